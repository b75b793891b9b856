"""Every layer compiled: its C against its formula in NumPy, its gradient, what it moves in training."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from layer_cases import CASES, INTEGERS, RANDOM
from reference import central_differences, descent, float_type, trained_gradients

import nncompile as nn
from nncompile import layers, ops, targets
from nncompile.layers import Layer

HOST = targets.host().name
SHAPES = sorted({shape for _, _, shape in CASES})
NO_PENALTY = ("ActivityRegularization",)


class All(Layer):
    """The outputs of many layers on one input, side by side: one compilation serves for all."""

    def __init__(self, shape: tuple[int, ...], training: bool) -> None:
        super().__init__()
        chosen = [case for case in CASES if case[2] == shape and not (training and case[0] in (*RANDOM, *NO_PENALTY))]
        self.integers = [getattr(layers, name)(**arguments) for name, arguments, _ in chosen if name in INTEGERS]
        self.others = [getattr(layers, name)(**arguments) for name, arguments, _ in chosen if name not in INTEGERS]
        if not self.others:
            self.others = [layers.Identity()]

    def build(self, input_shape: Any) -> None:
        for layer in (*self.integers, *self.others):
            layer.build(input_shape)

    def call(self, inputs: Any, training: bool = False) -> Any:
        whole = ops.floor(ops.minimum(ops.abs(inputs) * 2.0, 3.5))
        outputs = [layer(whole, training=training) for layer in self.integers]
        outputs += [layer(inputs, training=training) for layer in self.others]
        return ops.concatenate([layers.Flatten()(y) for y in outputs], axis=-1)


def model_for(shape: tuple[int, ...], training: bool, seed: int) -> tuple[Any, Any]:
    """A model of all layers that take rows of a shape, with random weights; and such rows."""
    rng = np.random.default_rng(seed)
    model = nn.Sequential([nn.Input(shape), All(shape, training)])
    model.set_weights([rng.uniform(0.5, 1.5, w.shape) for w in model.weights])
    return model, rng.normal(size=(6, *shape))


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_computes_what_numpy_computes(shape: tuple[int, ...]) -> None:
    with float_type("float64"):
        model, x = model_for(shape, False, 0)
        expected = model.call(x)
        np.testing.assert_allclose(model.predict(x, verbose=0), expected, rtol=1e-11, atol=1e-11)
        np.testing.assert_allclose(model.predict(x[:1], verbose=0), expected[:1], rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_gradient_is_that_of_differences(shape: tuple[int, ...]) -> None:
    with float_type("float64"):
        model, x = model_for(shape, True, 1)
        model = nn.Sequential([nn.Input(shape), layers.Dense(shape[-1]), *model.layers, layers.Dense(2)])
        y = np.random.default_rng(2).normal(size=(len(x), 2))
        descent(model, "mse")
        moving = [w for w in model.non_trainable_weights if "moving" in w.name]
        before = [w.value for w in moving]
        got = trained_gradients(model, x, y)
        after = [w.value for w in moving]
        for variable, value in zip(moving, before, strict=True):
            variable.assign(value)
        expected = central_differences(model, lambda y, p: np.mean(np.square(p - y)), x, y, training=True)
        for variable, mine, other in zip(model.trainable_weights, got, expected, strict=True):
            np.testing.assert_allclose(mine, other, rtol=1e-6, atol=1e-7, err_msg=variable.path)
        for variable, value in zip(moving, before, strict=True):
            variable.assign(value)
        model.call(x, training=True)
        for variable, value in zip(moving, after, strict=True):
            np.testing.assert_allclose(value, variable.value, rtol=1e-11, err_msg=variable.path)
