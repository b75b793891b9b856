"""Masks: what stands for no step does not count in means over the steps, as in Keras."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from oracle import keras

import nncompile as nn
from nncompile.errors import UnsupportedError

pytestmark = [
    pytest.mark.quick_c,
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:Layer 'sequential:UserWarning"),  # of Keras, whose inner layers see the mask
]

RNG = np.random.default_rng(5)
WORDS = RNG.integers(1, 12, (40, 7)) * (np.arange(7) < RNG.integers(1, 8, (40, 1)))
LABELS = RNG.integers(0, 2, (40, 1)).astype("float32")
STEPS = RNG.normal(size=(40, 7, 3)).astype("float32") * (WORDS[..., None] > 0)


def texts(framework: Any) -> Any:
    made = framework.layers
    return framework.Sequential(
        [
            framework.Input((7,)),
            made.Embedding(12, 5, mask_zero=True),
            made.Dropout(0.0),
            made.Dense(4, "tanh"),
            made.GlobalAveragePooling1D(),
            made.Dense(1, "sigmoid"),
        ]
    )


def masked_steps(framework: Any) -> Any:
    made = framework.layers
    return framework.Sequential(
        [
            framework.Input((7, 3)),
            made.Masking(0.0),
            made.Dense(4, "relu", bias_initializer="ones"),
            made.GlobalAveragePooling1D(keepdims=True),
            made.Flatten(),
            made.Dense(1),
        ]
    )


def branches(framework: Any) -> Any:
    made, given = framework.layers, framework.Input((7,))
    one, other = made.Embedding(12, 4, mask_zero=True)(given), made.Embedding(12, 4)(given)
    inner = framework.Sequential([framework.Input((7, 4)), made.Dense(4, "tanh", bias_initializer="ones")])
    parts = [made.Add()([one, other]), made.Concatenate(axis=1)([inner(one), other]), made.Concatenate()([one, other])]
    pooled = [made.GlobalAveragePooling1D()(part) for part in parts]
    return framework.Model(given, made.Dense(1, "sigmoid")(made.Concatenate()(pooled)))


class Sum:
    """A layer of the user's that takes a mask."""

    def __new__(cls, framework: Any) -> Any:
        class SumOfSteps(framework.layers.Layer):  # type: ignore[misc]
            def __init__(self) -> None:
                super().__init__()
                self.supports_masking = True

            def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
                return None

            def compute_output_shape(self, input_shape: Any) -> Any:
                return (input_shape[0], input_shape[2])

            def call(self, inputs: Any, mask: Any = None) -> Any:
                if mask is not None:
                    inputs = inputs * framework.ops.expand_dims(framework.ops.cast(mask, "float32"), -1)
                return framework.ops.sum(inputs, axis=1)

        return SumOfSteps()


def own(framework: Any) -> Any:
    rows = framework.layers.Embedding(12, 4, mask_zero=True)
    return framework.Sequential([framework.Input((7,)), rows, Sum(framework), framework.layers.Dense(1)])


MODELS: dict[str, tuple[Callable[[Any], Any], Any]] = {
    "words": (texts, WORDS),
    "steps": (masked_steps, STEPS),
    "branches": (branches, WORDS),
    "a layer of the user's": (own, WORDS),
}


@pytest.mark.parametrize("name", MODELS)
def test_it_is_trained_as_by_keras_and_goes_through_files(name: str, tmp_path: Path) -> None:
    make, x = MODELS[name]
    found = []
    for framework in (nn, keras):
        model = make(framework)
        rng = np.random.default_rng(1)
        model.set_weights([rng.normal(size=w.shape).astype("float32") for w in model.get_weights()])
        model.compile("sgd", "mse")
        losses = model.fit(x, LABELS, batch_size=16, epochs=2, shuffle=False, verbose=0).history["loss"]
        found.append((losses, model.evaluate(x, LABELS, verbose=0), model.predict(x, verbose=0)))
        if name != "a layer of the user's":
            model.save(tmp_path / f"{framework.__name__}.keras")
    (losses, at_end, made), (their_losses, their_end, theirs) = found
    np.testing.assert_allclose([*losses, at_end], [*their_losses, their_end], rtol=2e-5)
    np.testing.assert_allclose(made, theirs, rtol=1e-4, atol=1e-5)
    if name != "a layer of the user's":
        np.testing.assert_allclose(
            nn.saving.load_model(tmp_path / "keras.keras").predict(x, verbose=0), theirs, rtol=1e-4, atol=1e-5
        )
        np.testing.assert_allclose(
            keras.saving.load_model(tmp_path / "nncompile.keras").predict(x, verbose=0), made, rtol=1e-4, atol=1e-5
        )


def test_arrays_have_masks_as_well() -> None:
    rows = nn.layers.Embedding(12, 4, mask_zero=True)
    values = rows(WORDS)
    counted = np.asarray(WORDS > 0)[..., None]
    wanted = (np.asarray(values) * counted).sum(1) / counted.sum(1)
    np.testing.assert_allclose(nn.layers.GlobalAveragePooling1D()(values), wanted, rtol=1e-5)
    np.testing.assert_array_equal(rows.compute_mask(WORDS), WORDS > 0)


def test_a_mask_that_gets_lost_or_would_reach_the_loss_is_told() -> None:
    rows = nn.layers.Embedding(12, 4, mask_zero=True)
    with pytest.warns(UserWarning, match=r"flatten.*: does not pass on the mask of its input"):
        nn.Sequential([nn.Input((7,)), rows, nn.layers.Flatten()]).predict(WORDS, verbose=0)
    with pytest.raises(UnsupportedError, match=r"multiply.*: an input has a mask"):
        nn.layers.Multiply()([rows(WORDS), rows(WORDS)])
    model = nn.Sequential([nn.Input((7,)), nn.layers.Embedding(12, 4, mask_zero=True), nn.layers.Dense(1)])
    assert model.predict(WORDS, verbose=0).shape == (40, 7, 1)
    model.compile("sgd", "mse")
    with pytest.raises(UnsupportedError, match=r"dense.*: the output has a mask, .* sample_weight that is 0"):
        model.fit(WORDS, np.zeros((40, 7, 1)), verbose=0)
