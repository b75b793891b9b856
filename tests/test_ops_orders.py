"""Numbers put in order, running sums, and places that are values: in formulas against Keras, forward and backward."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from remembered import assert_as_keras

import nncompile as nn
from nncompile import ops
from nncompile.errors import ModelError, UnsupportedError

pytestmark = pytest.mark.quick_c


def ordering(k: Any) -> Any:
    """A layer whose output has what each operation makes of its input ``(batch, 3, 5)``, in rows of 5."""

    class Ordering(k.layers.Layer):
        def build(self, shape: Any) -> None:
            self.shift = self.add_weight(shape[1:], initializer="zeros")

        def call(self, x: Any) -> Any:
            o, x = k.ops, x + self.shift
            best = o.cast(o.argmax(x, axis=-1, keepdims=True), "int32")
            made = [
                *(o.sort(x), o.sort(x, axis=1), o.cast(o.argsort(x, axis=-1), "float32") * x, o.top_k(x, 3)[0]),
                *(o.median(x, axis=-1), o.median(x, axis=1, keepdims=True), o.quantile(x, 0.3, axis=-1)),
                *(o.percentile(x, 60.0, axis=1, method="nearest"), o.quantile(x, 0.3, axis=-1, method="midpoint")),
                *(o.cumsum(x, axis=-1), o.cumsum(x, axis=1), o.cumprod(x, axis=-1)),
                *(o.take_along_axis(x, o.cast(o.argsort(-x, axis=-1), "int32"), axis=-1),),
                o.take_along_axis(x, best, axis=2),
            ]
            flat = [o.reshape(m, (-1, math.prod(m.shape[1:]))) for m in made]
            return o.concatenate(flat, axis=-1)

    return Ordering()


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # Keras on NumPy 2
def test_layers_that_order_are_those_of_keras(request: pytest.FixtureRequest) -> None:
    rng = np.random.default_rng(3)
    x = rng.normal(size=(7, 3, 5)).astype("f4")
    x[0, :, 1] = x[0, :, 3]  # equals keep their order

    def run(k: Any) -> Any:
        model = k.Sequential([k.Input((3, 5)), ordering(k), k.layers.Dense(1, kernel_initializer="ones")])
        weights = model.get_weights()
        weights[1] = np.cos(np.arange(len(weights[1]), dtype="f4"))[:, None]
        model.set_weights(weights)
        before = np.asarray(model.layers[0](x))
        model.compile(k.optimizers.SGD(0.01), "mse", jit_compile=False)
        model.fit(x, np.ones((7, 1)), batch_size=4, epochs=2, shuffle=False, verbose=0)
        return before, model.get_weights()

    assert_as_keras(request, run, atol=2e-5)


def test_what_is_not_a_number_is_last() -> None:
    x = nn.Input((4,))
    y = {
        "sort": ops.sort(x),
        "cumsum": ops.nancumsum(x, axis=-1),
        "places": ops.argsort(x),
        "median": ops.median(x, axis=-1),
    }
    given = np.array([[2, math.nan, -math.inf, 1], [math.inf, 3, math.nan, math.nan], [4, 3, 1, 2]], "f4")
    found = nn.Model(x, y).predict(given, verbose=0)
    np.testing.assert_array_equal(found["sort"], np.sort(given))
    np.testing.assert_array_equal(found["places"], np.argsort(given, kind="stable"))
    np.testing.assert_array_equal(found["cumsum"], np.nancumsum(given, axis=-1))
    np.testing.assert_array_equal(found["median"], [math.nan, math.nan, 2.5])


def test_a_loss_that_orders() -> None:
    """The ranked probability score, and a loss of the two largest errors."""
    model = nn.Sequential([nn.Input((4,)), nn.layers.Activation("softmax")])
    ranked = lambda t, p: ops.mean(ops.square(ops.cumsum(p, axis=-1) - ops.cumsum(t, axis=-1)), axis=-1)  # noqa: E731
    largest = lambda t, p: ops.sum(ops.top_k(ops.abs(t - p), 2)[0], axis=-1)  # noqa: E731
    x, t = np.random.default_rng(0).normal(size=(5, 4)).astype("f4"), np.eye(4, dtype="f4")[[0, 1, 2, 3, 0]]
    for loss in (ranked, largest):
        model.compile("sgd", loss)
        expected = np.mean(loss(t, model.predict(x, verbose=0)))
        assert model.evaluate(x, t, verbose=0) == pytest.approx(float(expected), rel=1e-6)


def test_what_is_refused() -> None:
    x = ops.symbol("x", ops.ELEMENT, (None, 3))
    for call, error, says in (
        (lambda: ops.sort(x, axis=0), ModelError, r"ops\.sort: axis 0 of \(None, 3\) is the batch"),
        (lambda: ops.cumsum(x), ModelError, r"ops\.cumsum: axis=None is all of a batch"),
        (lambda: ops.median(x), ModelError, "axis=None is all of a batch"),
        (lambda: ops.top_k(x, 4), ModelError, "expected k from 1 to 3, the size of the last axis, received 4"),
        (lambda: ops.quantile(x, [0.1, 0.2], axis=-1), ModelError, r"expected one q from 0 to 1 .* received \[0\.1"),
        (
            lambda: ops.quantile(x, 0.1, axis=-1, method="weibull"),
            ModelError,
            "a method of .* received 0.1 and 'weibull'",
        ),
        (lambda: ops.sort(ops.symbol("x", ops.ELEMENT, (None, 600))), UnsupportedError, "at most 512, received 600"),
        (lambda: ops.take_along_axis(np.ones((3, 3)), x, -1), UnsupportedError, "not of weights or arrays"),
        (lambda: ops.nanmedian(x), ModelError, "nanquantile: axis=None is all of a batch"),
    ):
        with pytest.raises(error, match=says):
            call()
