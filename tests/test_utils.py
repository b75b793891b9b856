"""What keras.utils and keras.backend have beside: sequences, tuples of data, types, logging."""

from __future__ import annotations

import logging
import warnings
from typing import Any

import numpy as np
import pytest

import nncompile
from nncompile import backend, config, progress, utils
from nncompile.errors import ModelError

SEQUENCES: list[Any] = [[[1], [2, 3], [4, 5, 6]], [[], [7]], [], [[[1, 2], [3, 4]], [[5, 6]]]]


@pytest.mark.parametrize("sequences", SEQUENCES)
@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"maxlen": 2},
        {"maxlen": 2, "truncating": "post"},
        {"maxlen": 4, "padding": "post", "value": 9.5, "dtype": "float32"},
    ],
)
def test_pad_sequences_is_that_of_keras(sequences: Any, arguments: dict[str, Any]) -> None:
    from oracle import keras

    if not sequences and "maxlen" not in arguments:
        assert utils.pad_sequences(sequences).shape == (0, 0)  # Keras fails at the largest of no lengths
        return
    ours, theirs = utils.pad_sequences(sequences, **arguments), keras.utils.pad_sequences(sequences, **arguments)
    assert ours.dtype == theirs.dtype
    np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        (([[1]], None, "int32", "left"), "padding to be 'pre' or 'post', received 'left'"),
        (([[1]], None, "int32", "pre", "right"), "truncating to be"),
        ((3,), "expected a list of sequences"),
        (([1, 2],), "expected sequences, received 1"),
        (([[1]], None, "int32", "pre", "pre", "x"), "Give dtype=object"),
        (([[[1, 2]], [[1]]],), r"elements of shape \(2,\), received \(1,\) in sequence 1"),
    ],
)
def test_pad_sequences_refuses(arguments: Any, match: str) -> None:
    with pytest.raises(ModelError, match=match):
        utils.pad_sequences(*arguments)


def test_no_length_leaves_nothing() -> None:
    assert utils.pad_sequences([[1, 2], [3]], maxlen=0).shape == (2, 0)


def test_packing() -> None:
    from oracle import keras

    for data in ((1,), (1, 2), (1, 2, 3), ([1],), (1, None, 3)):
        assert utils.pack_x_y_sample_weight(*data) == keras.utils.pack_x_y_sample_weight(*data)
    for packed in (1, (1,), [1, 2], (1, 2), (1, 2, 3)):
        assert utils.unpack_x_y_sample_weight(packed) == keras.utils.unpack_x_y_sample_weight(packed)
    with pytest.raises(ModelError, match="received 4 things"):
        utils.unpack_x_y_sample_weight((1, 2, 3, 4))


def test_element_types() -> None:
    from oracle import keras

    for dtype in (None, int, float, bool, "float64", "uint8", np.int16, np.dtype("float32"), "bfloat16", np.float64):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            assert backend.standardize_dtype(dtype) == keras.backend.standardize_dtype(dtype)
            assert backend.is_float_dtype(dtype) == keras.backend.is_float_dtype(dtype)
            assert backend.is_int_dtype(dtype) == keras.backend.is_int_dtype(dtype)
    for wrong in ("string", "float33", object, str):
        with pytest.raises(ModelError, match="expected the type of a number"):
            backend.standardize_dtype(wrong)


def test_messages_may_go_to_a_logger(caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]) -> None:
    assert config.is_interactive_logging_enabled()
    utils.disable_interactive_logging()
    try:
        assert not config.is_interactive_logging_enabled()
        with caplog.at_level(logging.INFO, logger="nncompile"):
            bar = progress.Progbar(2)
            bar.update(1, [("loss", 1.0)])
            bar.update(2, [("loss", 1.0)])
    finally:
        utils.enable_interactive_logging()
    assert capsys.readouterr().out == ""
    (line,) = [record.getMessage() for record in caplog.records]
    assert line.startswith("2/2")
    assert line.endswith("loss: 1.0000")


def test_inputs_of_a_tensor() -> None:
    a, b = nncompile.Input((2,)), nncompile.Input((2,))
    shared = nncompile.layers.Dense(3)
    out = nncompile.layers.Add()([shared(a), shared(b), shared(a)])
    assert [id(x) for x in utils.get_source_inputs(out)] == [id(a), id(b)]
    assert utils.get_source_inputs(a) == [a]
    assert utils.get_source_inputs(3) == 3
    assert utils.is_keras_tensor(out)
    assert not utils.is_keras_tensor(np.zeros(2))
