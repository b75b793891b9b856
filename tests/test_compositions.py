"""Compiled formulas of random compositions against NumPy, and their gradients against differences."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from compositions import SHAPES, composed

import nncompile as nn
from nncompile import ops

pytestmark = pytest.mark.quick_c

EACH = 12
"""Compositions that are compiled together."""


class Compositions(nn.layers.Layer):
    """All compositions of some seeds, of an input and a weight that is added to it."""

    def __init__(self, seeds: range, **settings: Any) -> None:
        super().__init__(**settings)
        self.seeds = seeds

    def build(self, shape: Any) -> None:
        self.shift = self.add_weight(shape[1:], initializer="zeros")

    def call(self, x: Any) -> Any:
        made = [composed(seed, x + self.shift) for seed in self.seeds]
        flat = [m if len(m.shape) > 1 else ops.expand_dims(m, -1) for m in made]
        return ops.concatenate([ops.reshape(m, (-1, math.prod(m.shape[1:]))) for m in flat], axis=-1)


@pytest.mark.parametrize("number", range(len(SHAPES)))
def test_random_compositions(number: int) -> None:
    """In float64, where differences tell gradients to six digits."""
    nn.config.set_floatx("float64")
    seeds = range(number * EACH, number * EACH + EACH)
    x = np.random.default_rng(number).normal(size=(3, *SHAPES[number]))
    layer = Compositions(seeds)
    tensor = nn.Input(SHAPES[number])
    model = nn.Model(tensor, layer(tensor))

    def expected(x: Any) -> Any:
        return np.concatenate([np.reshape(composed(seed, x), (3, -1)) for seed in seeds], axis=-1)

    logs: list[str] = []
    for seed in seeds:
        part: list[str] = []
        composed(seed, x, part)
        logs.append(f"{seed}: {', '.join(part)}")
    y = expected(x)
    np.testing.assert_allclose(model.predict(x, verbose=0), y, rtol=1e-10, atol=1e-10, err_msg="\n".join(logs))

    factors = np.cos(np.arange(y.size)).reshape(y.shape)
    model.compile(nn.optimizers.SGD(1.0), lambda t, p: ops.sum(t * p, axis=-1))
    model.train_on_batch(x, factors)
    slope, step = np.zeros(SHAPES[number]), 1e-6
    for place in np.ndindex(SHAPES[number]):
        at = (slice(None), *place)
        ahead, behind = x.copy(), x.copy()
        ahead[at] += step
        behind[at] -= step
        slope[place] = ((expected(ahead) - expected(behind)) * factors).sum() / (2 * step)
    np.testing.assert_allclose(-3 * layer.shift.value, slope, rtol=1e-6, atol=1e-6, err_msg="\n".join(logs))
