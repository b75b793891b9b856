"""Random numbers that the C draws: their moments, and that rows, calls and places have each their own."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import nncompile as nn
from nncompile import layers, ops
from nncompile.errors import ModelError, UnsupportedError

pytestmark = pytest.mark.quick_c


class Draws(layers.Layer):
    """What random numbers make of an input, in inference as well."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.seed = nn.random.SeedGenerator(5)
        self.none = self.add_weight((), initializer="zeros")

    def call(self, x: Any, training: bool = False) -> Any:
        shape, seed, draw = ops.shape(x), self.seed, nn.random
        drawn = {
            "uniform": draw.uniform(shape, -1.0, 3.0, seed=seed),
            "normal": draw.normal(shape, 1.0, 2.0, seed=seed),
            "truncated": draw.truncated_normal(shape, 1.0, 2.0, seed=seed),
            "randint": ops.cast(draw.randint(shape, -2, 5, seed=seed), "float32"),
            "binomial": draw.binomial(shape, 5, 0.3, seed=seed),
            "categorical": ops.cast(draw.categorical(x, 2, seed=seed), "float32"),
        }
        return {name: value + ops.sin(self.none) * x[:, :1] for name, value in drawn.items()}


@pytest.fixture
def _threads() -> Iterator[None]:
    yield
    nn.config.set_num_threads(None)


@pytest.mark.usefixtures("_threads")
def test_random_numbers_of_a_formula() -> None:
    """Rows, calls and places differ, whatever number of threads draws them; the moments are those of the distributions."""
    x = layers.Input((3,))
    model = nn.Model(x, Draws()(x))
    given, found = np.tile(np.log([0.1, 0.3, 0.6]), (20_000, 1)), {}
    for threads in (1, 2):
        nn.config.set_num_threads(threads)
        nn.utils.set_random_seed(7)
        made = nn.models.clone_model(model)
        found[threads] = made.predict(given, batch_size=1000, verbose=0)
    again = made.predict(given, batch_size=1000, verbose=0)
    spread = 2 * math.sqrt(1 - 2 * 2 * math.exp(-2) / math.sqrt(2 * math.pi) / math.erf(math.sqrt(2)))
    of = {"uniform": (1, 4 / 12**0.5), "normal": (1, 2), "truncated": (1, spread), "randint": (1, 2),
          "binomial": (1.5, 1.05**0.5), "categorical": (1.5, 0.45**0.5)}  # fmt: skip
    for name, (mean, deviation) in of.items():
        y = found[1][name]
        np.testing.assert_array_equal(found[2][name], y, err_msg=name)
        assert np.mean(again[name] == y) < 0.6, name
        np.testing.assert_allclose(y.mean(0), mean, rtol=0, atol=5 * deviation / 20_000**0.5, err_msg=name)
        np.testing.assert_allclose(y.std(0), deviation, rtol=0.03, err_msg=name)
        assert np.all(np.abs(np.corrcoef(y.T) - np.eye(y.shape[1])) < 0.03), name
        assert np.all(np.abs([np.corrcoef(y[n:, 0], y[:-n, 0])[0, 1] for n in (1, 64, 240, 1000)]) < 0.03), name
    assert len(np.unique(found[1]["normal"], axis=0)) == 20_000
    assert found[1]["truncated"].min() >= -3 and found[1]["truncated"].max() <= 5
    assert set(np.unique(found[1]["randint"])) == set(range(-2, 5)) and set(np.unique(found[1]["binomial"])) == set(
        range(6)
    )


def test_training_and_inference_of_one_product_may_need_numbers_of_their_own() -> None:
    """What is fused with a product differs in training, in random numbers and in what is made of a weight."""

    class Noisy(layers.Layer):
        def __init__(self) -> None:
            super().__init__()
            self.seed, self.factor = nn.random.SeedGenerator(3), self.add_weight((), initializer="ones")

        def call(self, x: Any, training: bool = False) -> Any:
            drawn = nn.random.uniform(ops.shape(x), seed=self.seed) + nn.random.dropout(x, 0.5, seed=self.seed)
            e, f = ops.exp(self.factor), ops.sin(self.factor) * 3
            return x * e * e + 0.0 * drawn if training else x * f * f + 0.0 * drawn

    model = nn.Sequential([nn.Input((4,)), layers.Dense(3, kernel_initializer="ones"), Noisy()])
    model.compile(nn.optimizers.SGD(0.0), nn.losses.MeanAbsoluteError())
    x, y = np.ones((8, 4), "float32"), np.zeros((8, 3), "float32")
    for batch in (8, 1):  # with one row the update of a row and the product of the next are one pass
        losses = model.fit(x, y, batch_size=batch, verbose=0).history["loss"]
        np.testing.assert_allclose(losses, 4 * math.e**2, rtol=1e-6)
    np.testing.assert_allclose(model.evaluate(x, y, verbose=0), 36 * math.sin(1) ** 2, rtol=1e-6)
    with pytest.raises(UnsupportedError, match=r"random\.gamma: .*can be used: random\.uniform"):
        nn.random.gamma((None, 3), 2.0)
    for wrong in (lambda: nn.random.randint((None, 3), 0, 1 << 25), lambda: nn.random.randint((None, 3), 2, 2),
                  lambda: nn.random.binomial((None, 3), [1, 2, 3], 0.5), lambda: nn.random.binomial((None, 3), 99, 0.5)):  # fmt: skip
        with pytest.raises(ModelError, match=r"random\.\w+: .*expected"):
            wrong()
