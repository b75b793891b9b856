"""What a user gives as data: used as it is where possible, refused where it cannot be meant."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nncompile import losses, registry
from nncompile.data import (
    TYPE_CODES,
    as_rows,
    check_batch_size,
    check_inputs,
    check_pair,
    check_shuffle,
    in_row,
    prepare_targets,
    shuffle_batches,
    split_point,
)
from nncompile.data import arrays as data
from nncompile.errors import ModelError


def rows(value: Any) -> np.ndarray:
    return as_rows("x", value, where="fit")


# --- as_rows: what is accepted --------------------------------------------------------


@pytest.mark.parametrize("dtype", TYPE_CODES)
@pytest.mark.parametrize("shape", [(4,), (4, 3), (2, 3, 4), (0, 3)])
def test_arrays_of_known_types_are_used_as_they_are(dtype: str, shape: tuple[int, ...]) -> None:
    array = np.ones(shape, dtype)
    assert rows(array) is array


def test_type_codes() -> None:
    codes = [TYPE_CODES[np.dtype(c).name] for c in "?BbHhIiQqfd"]
    assert codes == [0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9]
    assert len(TYPE_CODES) == len(codes)


@pytest.mark.parametrize("dtype", ["float16", np.longdouble])
def test_other_floats_become_single(dtype: Any) -> None:
    array = rows(np.array([[1.5, -2.0]], dtype))
    assert array.dtype == np.float32
    np.testing.assert_array_equal(array, [[1.5, -2.0]])


@pytest.mark.parametrize("dtype", [">f4", ">f8", ">i2", ">u4", "<f4", ">f2"])
def test_byte_order_is_that_of_the_machine(dtype: str) -> None:
    array = rows(np.array([1, 258, 3], dtype))
    assert array.dtype.isnative
    assert array.dtype.name in TYPE_CODES
    np.testing.assert_array_equal(array, [1, 258, 3])


@pytest.mark.parametrize(
    "view", [lambda a: a.T, lambda a: a[:, ::2], lambda a: a[::-1], lambda a: np.asfortranarray(a)]
)
def test_strided_arrays_become_contiguous(view: Any) -> None:
    array = view(np.arange(24.0).reshape(4, 6))
    result = rows(array)
    assert result.flags.c_contiguous
    np.testing.assert_array_equal(result, array)


def test_rows_of_an_array_are_not_copied() -> None:
    array = np.arange(24.0).reshape(4, 6)
    assert np.shares_memory(rows(array[1:3]), array)


def test_unaligned_arrays_are_copied() -> None:
    array = np.frombuffer(bytes(17), np.float32, count=4, offset=1)
    assert not array.flags.aligned
    assert rows(array).flags.aligned


def test_read_only_arrays_are_used() -> None:
    array = np.ones((2, 2))
    array.flags.writeable = False
    assert rows(array) is array


def test_memmap_is_used_in_place(tmp_path: Path) -> None:
    np.arange(12, dtype=np.uint8).tofile(tmp_path / "x")
    mapped = np.memmap(tmp_path / "x", dtype=np.uint8, mode="r", shape=(4, 3))
    assert rows(mapped) is mapped
    part = rows(mapped[1:3])
    assert isinstance(part, np.memmap)
    assert np.shares_memory(part, mapped)
    np.testing.assert_array_equal(rows(mapped.T), mapped.T)


@pytest.mark.parametrize(
    ("value", "expected", "dtype"),
    [
        ([1, 2, 3], [1, 2, 3], "int64"),
        ([1.5, 2], [1.5, 2], "float64"),
        ([[1, 2], [3, 4]], [[1, 2], [3, 4]], "int64"),
        (((1.0, 2.0), (3.0, 4.0)), [[1, 2], [3, 4]], "float64"),
        ([True, False], [1, 0], "bool"),
        (range(3), [0, 1, 2], "int64"),
        ([np.float32([1, 2]), np.float32([3, 4])], [[1, 2], [3, 4]], "float32"),
        ([np.zeros((2, 2)), np.ones((2, 2))], [[[0, 0], [0, 0]], [[1, 1], [1, 1]]], "float64"),
        (memoryview(b"\x01\x02"), [1, 2], "uint8"),
    ],
)
def test_what_numpy_understands(value: Any, expected: Any, dtype: str) -> None:
    array = rows(value)
    assert type(array) is np.ndarray
    np.testing.assert_array_equal(array, expected)
    if dtype != "int64":  # is the default integer, which depends on the platform
        assert array.dtype == dtype


class Frame:
    """Has ``__array__`` and columns in memory, as a table of pandas."""

    def __init__(self, values: Any) -> None:
        self.values = values

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        return self.values

    def __len__(self) -> int:
        return len(self.values)


def test_tables() -> None:
    array = rows(Frame(np.asfortranarray(np.arange(6.0).reshape(2, 3))))
    assert array.flags.c_contiguous
    np.testing.assert_array_equal(array, [[0, 1, 2], [3, 4, 5]])


def test_list_of_one_input_is_that_input() -> None:
    x = np.ones((5, 3))
    assert rows([x]) is x
    assert rows((x,)) is x
    assert rows([np.ones(3)]).shape == (1, 3)


@given(
    st.sampled_from(sorted(TYPE_CODES)),
    st.sampled_from("<>"),
    st.sampled_from("CF"),
    st.lists(st.integers(0, 3), min_size=1, max_size=4),
    st.booleans(),
)
@settings(max_examples=100, deadline=None)
def test_anything_numeric_keeps_its_values(
    dtype: str, byte_order: str, order: Any, shape: list[int], reverse: bool
) -> None:
    count = int(np.prod(shape))
    array = np.arange(count).reshape(shape).astype(np.dtype(dtype).newbyteorder(byte_order), order=order)
    if reverse:
        array = array[::-1]
    result = rows(array)
    assert result.flags.c_contiguous
    assert result.flags.aligned
    assert result.dtype.isnative
    assert result.dtype == np.dtype(dtype)
    np.testing.assert_array_equal(result, array)


# --- as_rows: what is refused ---------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "dtype", "hint"),
    [
        (np.array(["a", "b"]), "<U1", "Number the words"),
        (np.array([b"a"]), "|S1", "Number the words"),
        (["a", "b"], "<U1", "Number the words"),
        (np.array([1 + 2j]), "complex128", "two columns"),
        (np.array(["2020-01-01"], "datetime64[D]"), r"datetime64\[D\]", "times as numbers"),
        (np.array([1], "timedelta64[s]"), r"timedelta64\[s\]", "times as numbers"),
        (np.array([1, None]), "object", "astype"),
        ([[1, None]], "object", "astype"),
        (np.zeros(2, [("a", int), ("b", float)]), r"\[\('a'", "astype"),
        (Frame(np.array([[1, "a"]], object)), "object", "columns of text"),
        ({1, 2}, "object", "Give a NumPy array"),
        (object(), "object", "Give a NumPy array"),
        (len, "object", "Give a NumPy array"),
        ("abc", "<U3", "Number the words"),
    ],
)
def test_other_types_are_refused_by_name(value: Any, dtype: str, hint: str) -> None:
    with pytest.raises(ModelError, match=rf"^fit: x: expected an array of numbers, received .*{dtype}.*{hint}"):
        rows(value)


@pytest.mark.parametrize("value", [3, 2.5, np.float32(1), np.array(4), True])
def test_a_single_number_is_refused(value: Any) -> None:
    with pytest.raises(ModelError, match="expected rows along the first axis, received the number"):
        rows(value)


def test_none_is_refused() -> None:
    with pytest.raises(ModelError, match="evaluate: y: expected an array, received None"):
        as_rows("y", None, where="evaluate")


@pytest.mark.parametrize("value", [[[1, 2], [3]], [np.ones((2, 3)), np.ones((2, 4))]])
def test_rows_of_different_shapes_are_refused(value: Any) -> None:
    with pytest.raises(ModelError, match=r"x: expected an array.* received list.*same shape"):
        rows(value)


def test_masked_arrays_are_refused() -> None:
    with pytest.raises(ModelError, match="received a masked array"):
        rows(np.ma.masked_equal([1, 2, 3], 2))


def test_sparse_matrices_are_refused() -> None:
    class Sparse:
        def toarray(self) -> Any: ...

    with pytest.raises(ModelError, match=r"received Sparse .*Give \.toarray\(\)"):
        rows(Sparse())


def test_an_object_that_fails_to_become_an_array() -> None:
    class Graph:
        def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
            raise RuntimeError("it requires grad")

    with pytest.raises(ModelError, match=r"received Graph.*it requires grad"):
        rows(Graph())


def numbers() -> Any:
    yield np.ones(3)


@pytest.mark.parametrize(
    ("value", "name"),
    [
        (numbers(), "a generator"),
        (iter([1]), "a generator"),
        (map(abs, [1]), "a generator"),
        ({"a": np.ones(3)}, "a dict of 'a'"),
        (numbers, r"the function 'numbers'. Call it: numbers\(\) gives the batches"),
    ],
)
def test_what_is_no_array_is_named(value: Any, name: str) -> None:
    with pytest.raises(ModelError, match=f"^fit: y: expected an array, received {name}"):
        as_rows("y", value, where="fit")


def test_other_sequences_are_no_streams() -> None:
    import collections

    class Numbers(collections.UserList):  # type: ignore[type-arg]
        pass

    np.testing.assert_array_equal(rows(Numbers([1, 2])), [1, 2])


# --- check_pair -----------------------------------------------------------------------


def test_pairs() -> None:
    check_pair(np.ones((3, 2)), np.ones(3))
    with pytest.raises(
        ModelError,
        match=re.escape("fit: expected as many rows in y as in x, which has 3, received 2. Give the target"),
    ):
        check_pair(np.ones((3, 2)), np.ones(2))
    with pytest.raises(ModelError, match=re.escape("x: expected at least one row, received shape (0, 2)")):
        check_pair(np.ones((0, 2)), np.ones(0))
    with pytest.raises(ModelError, match="validation_data: val_y: expected at least one row"):
        check_pair(np.ones(1), np.ones(0), where="validation_data", x_name="val_x", y_name="val_y")


# --- check_inputs ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given_shape", "input_shape", "result"),
    [
        ((5, 3), (None, 3), (5, 3)),
        ((5, 28, 28), (None, 28, 28), (5, 28, 28)),
        ((5, 7, 3), (None, None, 3), (5, 7, 3)),
        ((5,), (None, 1), (5, 1)),
        ((5, 4), (None, 4, 1), (5, 4, 1)),
        ((5, 4, 1), (None, 4), (5, 4)),
        ((1,), (None, 1), (1, 1)),
    ],
)
def test_inputs_that_fit(given_shape: Any, input_shape: Any, result: Any) -> None:
    x = np.ones(given_shape)
    checked = check_inputs(x, input_shape, "dense (Dense)")
    assert checked.shape == result
    assert np.shares_memory(checked, x)


@pytest.mark.parametrize(
    ("given_shape", "input_shape", "message"),
    [
        (
            (9, 28, 28),
            (None, 784),
            "expected (batch, 784), received (batch, 28, 28). Put Flatten() before it, or use x.reshape(len(x), 784).",
        ),
        (
            (9, 784),
            (None, 28, 28),
            "expected (batch, 28, 28), received (batch, 784). Use x.reshape(len(x), 28, 28).",
        ),
        ((784,), (None, 784), "expected (batch, 784), received (batch,). This is one row: use x[None]."),
        ((28, 28), (None, 28, 28), "received (batch, 28). This is one row: use x[None]."),
        ((784, 9), (None, 784), "received (batch, 9). Rows are along the first axis: use x.T."),
        ((9, 3), (None, 4), "expected (batch, 4), received (batch, 3). Give rows of that shape"),
        ((9, 3), (None, None, 3), "expected (batch, None, 3), received (batch, 3). This is one row"),
        ((9,), (None, 3), "received (batch,). Give rows of that shape"),
    ],
)
def test_inputs_that_do_not_fit(given_shape: Any, input_shape: Any, message: str) -> None:
    with pytest.raises(ModelError, match=re.escape(message)) as error:
        check_inputs(np.ones(given_shape), input_shape, "dense_1 (Dense)")
    assert str(error.value).startswith("dense_1 (Dense): expected ")


# --- prepare_targets ------------------------------------------------------------------


SPARSE = "sparse_categorical_crossentropy"


def own_loss(y_true: Any, y_pred: Any) -> Any: ...


@pytest.mark.parametrize(
    ("shape", "output_shape", "loss", "result", "kind"),
    [
        ((5, 3), (None, 3), "mse", (5, 3), "dense"),
        ((5, 3), (None, 3), "categorical_crossentropy", (5, 3), "dense"),
        ((5,), (None, 1), "mse", (5, 1), "dense"),
        ((5, 1), (None, 1), "binary_crossentropy", (5, 1), "dense"),
        ((5, 3, 1), (None, 3), losses.MeanSquaredError(), (5, 3), "dense"),
        ((5, 2, 3), (None, 2, 3), losses.mean_squared_error, (5, 2, 3), "dense"),
        ((5, 2, 3), (None, None, 3), "mse", (5, 2, 3), "dense"),
        ((5, 3), (None, 3), None, (5, 3), "dense"),
        ((5,), (None, 1), "crossentropy", (5, 1), "dense"),
        ((5, 3), (None, 3), "crossentropy", (5, 3), "dense"),
        ((5,), (None, 3), "crossentropy", (5,), "labels"),
        ((5,), (None, 3), "ce", (5,), "labels"),
        ((5,), (None, 3), SPARSE, (5,), "labels"),
        ((5, 1), (None, 3), SPARSE, (5,), "labels"),
        ((5,), (None, 3), "SparseCategoricalCrossentropy", (5,), "labels"),
        ((5,), (None, 3), losses.SparseCategoricalCrossentropy(), (5,), "labels"),
        ((5,), (None, 3), losses.sparse_categorical_crossentropy, (5,), "labels"),
        ((5,), (None, 3), own_loss, (5,), "labels"),
        ((5, 1), (None, 3), own_loss, (5,), "labels"),
        ((5, 3), (None, 3), own_loss, (5, 3), "dense"),
        ((5,), (None, 1), own_loss, (5, 1), "dense"),
        ((5,), (None, 3), losses.LossFunctionWrapper(own_loss), (5,), "labels"),
        ((5, 1), (None, 3), None, (5,), "labels"),
        ((5, 3), (None, 3), None, (5, 3), "dense"),
    ],
)
@pytest.mark.parametrize("dtype", ["uint8", "int64", "float32"])
def test_targets_that_fit(shape: Any, output_shape: Any, loss: Any, result: Any, kind: str, dtype: str) -> None:
    y = np.ones(shape, dtype)
    array, found = prepare_targets(y, output_shape, loss)
    assert (array.shape, found) == (result, kind)
    assert array.dtype == dtype
    assert np.shares_memory(array, y)


@pytest.mark.parametrize(
    ("shape", "output_shape", "loss", "message"),
    [
        (
            (5,),
            (None, 10),
            "categorical_crossentropy",
            "fit: y: categorical_crossentropy expected (batch, 10), as the model's output, "
            "received (batch,). For labels use sparse_categorical_crossentropy, or to_categorical(y, 10).",
        ),
        ((5, 1), (None, 10), losses.categorical_crossentropy, "received (batch, 1). For labels use sparse_"),
        (
            (5,),
            (None, 10),
            losses.LossFunctionWrapper(losses.categorical_crossentropy),
            "For labels use sparse_categorical_crossentropy",
        ),
        (
            (5, 10),
            (None, 10),
            SPARSE,
            "sparse_categorical_crossentropy expected (batch,), received (batch, 10). "
            "This looks one-hot: use categorical_crossentropy, or y.argmax(axis=-1).",
        ),
        ((5, 7), (None, 10), SPARSE, "received (batch, 7). Give one label per row."),
        (
            (5,),
            (None, 10),
            "mse",
            "mse expected (batch, 10), as the model's output, received (batch,). End the",
        ),
        ((5, 1), (None, 10), "mse", "received (batch, 1). End the model with Dense(1)"),
        ((5,), (None, 2), "binary_crossentropy", "For labels 0 and 1 end the model with Dense(1)"),
        (
            (5, 2),
            (None, 1),
            "binary_crossentropy",
            "End the model with Dense(2), or give one number per row.",
        ),
        ((5, 28, 28), (None, 784), "mse", "Use y.reshape(len(y), 784)."),
        (
            (5, 4),
            (None, 3),
            "mse",
            "received (batch, 4). Give targets of that shape, or change the last layer",
        ),
        ((5, 4), (None, 3), own_loss, "own_loss expected (batch, 3)"),
        ((5, 4), (None, 3), None, "the loss expected (batch, 3)"),
        ((5,), (None, 3), losses.MeanSquaredError(), "mean_squared_error expected (batch, 3)"),
    ],
)
def test_targets_that_do_not_fit(shape: Any, output_shape: Any, loss: Any, message: str) -> None:
    with pytest.raises(ModelError, match=re.escape(message)):
        prepare_targets(np.ones(shape), output_shape, loss)


def test_labels_of_outputs_with_more_axes() -> None:
    for shape in ((5, 4), (5, 4, 1)):
        labels, kind = prepare_targets(np.ones(shape), (None, 4, 10), SPARSE)
        assert (labels.shape, kind) == ((5, 4), "labels")
    with pytest.raises(ModelError, match=re.escape("expected (batch, 4), received (batch,)")):
        prepare_targets(np.ones(5), (None, 4, 10), SPARSE)
    wrong = np.zeros((5, 4))
    wrong[3, 2] = 10
    with pytest.raises(ModelError, match=r"received 10.0 in row 3"):
        prepare_targets(wrong, (None, 4, 10), SPARSE)


def test_labels_for_a_registered_loss(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(registry._custom, "Custom>focal", own_loss)
    assert prepare_targets(np.ones(5), (None, 3), "focal")[1] == "labels"


def test_labels_of_a_loss_that_says_so() -> None:
    class Focal(losses.Loss):
        sparse_labels = True

    assert prepare_targets(np.ones(5), (None, 3), Focal())[1] == "labels"
    with pytest.raises(ModelError, match="received 3 in row 1"):
        prepare_targets(np.array([0, 3]), (None, 3), Focal())
    with pytest.raises(ModelError, match=r"focal expected \(batch,\), received \(batch, 3\)"):
        prepare_targets(np.ones((5, 3)), (None, 3), Focal())


def test_keras_losses_count_as_labels_too() -> None:
    from oracle import keras

    y = np.ones(5, np.int64)
    assert prepare_targets(y, (None, 3), keras.losses.SparseCategoricalCrossentropy())[1] == "labels"


@pytest.mark.parametrize("dtype", ["uint8", "int8", "uint64", "int64", "float32", "float64", "bool"])
def test_good_labels(dtype: str) -> None:
    labels = np.array([0, 1, 0], dtype)
    assert prepare_targets(labels, (None, 2), SPARSE)[0] is not None
    prepare_targets(labels, (None, 300), SPARSE)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (np.array([0, 9, 10, 11]), "received 10 in row 2. If the labels count from 1, use y - 1"),
        (np.array([0, -1]), "received -1 in row 1. Number the labels from 0"),
        (np.array([0, 200], np.uint8), "received 200 in row 1. Number the labels from 0 without gaps"),
        (np.array([0, 2**63], np.uint64), f"received {2**63} in row 1."),
        (np.array([0.0, 1.5]), "received 1.5 in row 1. Labels are whole numbers"),
        (np.array([0.0, np.nan], np.float32), "received nan in row 1. Labels are whole numbers"),
        (np.array([np.inf]), "received inf in row 0. Labels are whole numbers"),
        (np.array([3.0, -2.0]), "received -2.0 in row 1. Number the labels from 0"),
        (np.array([[1], [12]]), "received 12 in row 1."),
    ],
)
def test_bad_labels(labels: Any, message: str) -> None:
    start = "evaluate: y: expected labels from 0 to 9, as the model has 10 outputs, "
    with pytest.raises(ModelError, match="^" + re.escape(start + message)):
        prepare_targets(labels, (None, 10), SPARSE, where="evaluate")


def test_labels_above_one_output() -> None:
    with pytest.raises(ModelError, match=r"from 0 to 0, .*received True in row 1"):
        prepare_targets(np.array([False, True]), (None, 1), SPARSE)


def test_the_ignored_class_is_a_label() -> None:
    loss = losses.LossFunctionWrapper(losses.sparse_categorical_crossentropy, ignore_class=-1)
    labels = np.array([0, -1, 2])
    np.testing.assert_array_equal(prepare_targets(labels, (None, 3), loss)[0], labels)
    with pytest.raises(ModelError, match="received -2 in row 1"):
        prepare_targets(np.array([0, -2]), (None, 3), loss)


@given(
    labels=st.lists(st.integers(-1, 5), min_size=1, max_size=30),
    chunk=st.integers(1, 7),
    dtype=st.sampled_from(["int8", "int64", "float32"]),
)
@settings(max_examples=100, deadline=None)
def test_the_first_bad_label_is_reported(labels: list[int], chunk: int, dtype: str) -> None:
    bad = [row for row, label in enumerate(labels) if not 0 <= label < 4]
    old, data._CHUNK = data._CHUNK, chunk
    try:
        if not bad:
            prepare_targets(np.array(labels, dtype), (None, 4), SPARSE)
        else:
            with pytest.raises(ModelError, match=rf"received {labels[bad[0]]}(\.0)? in row {bad[0]}\. "):
                prepare_targets(np.array(labels, dtype), (None, 4), SPARSE)
    finally:
        data._CHUNK = old


def test_labels_of_a_memmap_are_looked_at_in_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    np.zeros(10, np.uint8).tofile(tmp_path / "y")
    mapped = np.memmap(tmp_path / "y", dtype=np.uint8, mode="r")
    seen = []
    asarray = np.asarray

    def watched(array: Any, *args: Any, **kwargs: Any) -> Any:
        seen.append(len(array))
        return asarray(array, *args, **kwargs)

    monkeypatch.setattr(data, "_CHUNK", 4)
    monkeypatch.setattr(data.np, "asarray", watched)
    labels, _ = prepare_targets(mapped, (None, 2), SPARSE)
    assert isinstance(labels, np.memmap)
    assert seen == [4, 4, 2]


# --- split_point ----------------------------------------------------------------------


@given(rows=st.integers(1, 60), fraction=st.floats(0.001, 0.999))
@settings(max_examples=100, deadline=None)
def test_split_is_that_of_keras(rows: int, fraction: float) -> None:
    from oracle import keras

    split = keras.src.trainers.data_adapters.array_slicing.train_validation_split
    x = np.arange(rows)
    try:
        (theirs,), _ = split((x,), validation_split=fraction)
    except ValueError:
        with pytest.raises(ModelError, match=f"expected rows for both parts, received {rows}"):
            split_point(rows, fraction)
        return
    assert split_point(rows, fraction) == len(getattr(theirs, "array", theirs))


@pytest.mark.parametrize("fraction", [0.0, 1.0, -0.1, 1.5, float("nan"), "0.1", True, None])
def test_fractions_that_are_none(fraction: Any) -> None:
    with pytest.raises(ModelError, match="validation_split to be between 0 and 1"):
        split_point(10, fraction)


# --- check_batch_size -----------------------------------------------------------------


@pytest.mark.parametrize(("value", "result"), [(None, 32), (1, 1), (np.int64(7), 7), (np.uint8(200), 200)])
def test_batch_sizes(value: Any, result: int) -> None:
    size = check_batch_size(value)
    assert size == result
    assert type(size) is int


@pytest.mark.parametrize("value", [0, -1, 32.0, True, False, np.bool_(True), "32", np.float32(8), [32]])
def test_bad_batch_sizes(value: Any) -> None:
    with pytest.raises(ModelError, match="predict: expected batch_size to be a whole number from 1, received"):
        check_batch_size(value, where="predict")


# --- orders ---------------------------------------------------------------------------


@given(n=st.integers(0, 50), batch_size=st.integers(1, 20), seed=st.integers(0, 9))
@settings(max_examples=60, deadline=None)
def test_batches_are_shuffled_within(n: int, batch_size: int, seed: int) -> None:
    made = []
    for _ in range(2):
        order = np.full(n, -1)
        shuffle_batches(order, np.random.default_rng(seed), batch_size)
        np.testing.assert_array_equal(np.sort(order), np.arange(n))
        np.testing.assert_array_equal(order // batch_size, np.arange(n) // batch_size)
        made.append(order)
    np.testing.assert_array_equal(*made)


def test_each_batch_has_an_order_of_its_own() -> None:
    order = np.empty(100, np.int64)
    shuffle_batches(order, np.random.default_rng(1), 10)
    assert len({tuple(batch) for batch in order.reshape(10, 10) % 10}) == 10


@pytest.mark.parametrize("shuffle", [True, False, "batch", 0, 1, np.bool_(True)])
def test_good_orders(shuffle: Any) -> None:
    check_shuffle(shuffle)


@pytest.mark.parametrize("shuffle", ["yes", "batches", None, 1.0, [True]])
def test_bad_orders(shuffle: Any) -> None:
    with pytest.raises(ModelError, match="expected shuffle to be True, False or 'batch', received"):
        check_shuffle(shuffle)


DEEP = {"p": 0, "q": [1, 2]}


@pytest.mark.parametrize(
    ("given", "options", "expected"),
    [
        ({"p": 5, "q": (6, 7)}, {}, [5, 6, 7]),
        ([5, 6, 7], {}, [5, 6, 7]),
        ({"p": [5, 5], "q": [6, {"a": 7}]}, {}, [[5, 5], 6, {"a": 7}]),
        ({"q": [None, 6]}, {"partial": True}, [None, None, 6]),
        ({"p": 5, "q": None}, {"partial": True}, [5, None, None]),
        ({"p": 5, "q": [6, 7], "z": 8}, {"spare": True}, [5, 6, 7]),
        (5, {}, 5),
    ],
)
def test_nested_structures_in_a_row(given, options, expected):
    assert in_row("x", given, DEEP, where="fit", of="input", **options) == expected
    assert in_row("x", given, {"p": 0, "q": 1}, where="fit", of="input", **options) is given, "not nested"


@pytest.mark.parametrize(
    ("given", "options", "message"),
    [
        ({"p": 5}, {}, "fit: x: expected 'p', 'q', received 'p': 'q' is missing"),
        ({"p": 5, "q": [6, 7], "z": 8}, {}, "there is no 'z'"),
        ({"p": 5, "q": [6]}, {}, r"fit: x\['q'\]: expected 2, received 1. Give x in the structure .* or a list of 3"),
        ({"p": 5, "q": {"a": 6}}, {}, r"x\['q'\]: expected a list of 2, received a dict of 'a'"),
        ({"p": 5, "q": None}, {}, r"x\['q'\]: expected a list of 2, received NoneType"),
        ([5, 6, 7], {"flat": False}, "expected a dict of 'p', 'q', received a list of 3"),
        ([5, 6], {}, "expected a dict of 'p', 'q', received a list of 2"),
    ],
)
def test_other_structures_are_refused(given, options, message):
    with pytest.raises(ModelError, match=message):
        in_row("x", given, DEEP, where="fit", of="input", **options)
