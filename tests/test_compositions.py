"""Compiled formulas of random compositions against NumPy, and their gradients against differences."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from compositions import SHAPES, composed, shapes_of_weights, weighted

import nncompile as nn
from nncompile import ops

pytestmark = pytest.mark.quick_c


class Compositions(nn.layers.Layer):
    """Compositions of some seeds side by side, of an input and of weights."""

    def __init__(self, compose: Any, shapes: Any, seeds: range, **settings: Any) -> None:
        super().__init__(**settings)
        self.compose, self.shapes, self.seeds = compose, shapes, seeds

    def build(self, shape: Any) -> None:
        rng = np.random.default_rng(1)
        values = [rng.normal(size=s) for s in self.shapes(shape[1:])]
        self.all = [self.add_weight(v.shape, initializer=lambda shape, dtype=None, v=v: v) for v in values]

    def call(self, x: Any) -> Any:
        return side_by_side(self.compose, self.seeds, x, self.all)


def side_by_side(compose: Any, seeds: range, x: Any, weights: Any) -> Any:
    made = [compose(seed, x, weights) for seed in seeds]
    flat = [m if len(m.shape) > 1 else ops.expand_dims(m, -1) for m in made]
    return ops.concatenate([ops.reshape(m, (-1, math.prod(m.shape[1:]))) for m in flat], axis=-1)


def moved(seed: int, x: Any, weights: Any, log: list[str] | None = None) -> Any:
    """Compositions of an input that a weight is added to."""
    return composed(seed, x + weights[0], log)


KINDS = {"values": (moved, lambda shape: [shape], 12), "weights": (weighted, shapes_of_weights, 8)}
"""By what is composed: how, the shapes of its weights, and how many are compiled together."""


@pytest.mark.parametrize("number", range(len(SHAPES)))
@pytest.mark.parametrize("kind", KINDS)
def test_random_compositions(kind: str, number: int) -> None:
    """In float64, where differences tell gradients to six digits."""
    nn.config.set_floatx("float64")
    compose, shapes, each = KINDS[kind]
    seeds, shape = range(number * each, number * each + each), SHAPES[number]
    x = np.random.default_rng(number).normal(size=(3, *shape))
    layer, tensor = Compositions(compose, shapes, seeds), nn.Input(shape)
    model = nn.Model(tensor, layer(tensor))
    values, logs = [np.array(w.value) for w in layer.all], list[str]()
    for seed in seeds:
        steps: list[str] = []
        compose(seed, x, values, steps)
        logs.append(f"{seed}: {', '.join(steps)}")
    text = "\n".join(logs)
    y = side_by_side(compose, seeds, x, values)
    np.testing.assert_allclose(model.predict(x, verbose=0), y, rtol=1e-9, atol=1e-9, err_msg=text)

    factors = np.cos(np.arange(y.size)).reshape(y.shape)
    model.compile(nn.optimizers.SGD(1.0), lambda t, p: ops.sum(t * p, axis=-1))
    model.train_on_batch(x, factors)
    for number_, (weight, value) in enumerate(zip(layer.all, values, strict=True)):
        slope = np.zeros(value.shape)
        for place in np.ndindex(value.shape):
            ends = []
            for step in (1e-6, -1e-6):
                other = [v.copy() for v in values]
                other[number_][place] += step
                ends.append((side_by_side(compose, seeds, x, other) * factors).sum())
            slope[place] = (ends[0] - ends[1]) / 2e-6
        np.testing.assert_allclose(
            3 * (value - weight.value), slope, rtol=1e-5, atol=1e-5, err_msg=f"weight {value.shape}\n{text}"
        )
