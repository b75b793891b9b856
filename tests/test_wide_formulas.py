"""Layers of a user's with arrays, matrix weights and products of two values, beside the same text in Keras."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from oracle import keras
from reference import check_along, descent, every_form, float_type, target, trained_gradients
from remembered import assert_as_keras
from test_export import Loaded

import nncompile as nn
from nncompile import layers, ops, targets
from nncompile.errors import ModelError, UnsupportedError

pytestmark = pytest.mark.quick_c

MATRIX = np.random.default_rng(0).normal(size=(4, 3)).astype("float32")
POSITIONS = np.random.default_rng(1).normal(size=(3, 4)).astype("float32")


def of(call: Callable[..., Any], *shapes: tuple[int, ...]) -> Callable[[Any], Any]:
    """A layer whose ``call`` is ``call(k.ops, x, *weights)``, for a library ``k``."""

    def make(k: Any) -> Any:
        class Own(k.layers.Layer):
            def build(self, input_shape: Any) -> None:
                self.own = [
                    self.add_weight(shape=shape, initializer="glorot_uniform", name=f"w{i}")
                    for i, shape in enumerate(shapes)
                ]
                self.built = True

            def call(self, x: Any) -> Any:
                return call(k.ops, x, *self.own)

            def compute_output_shape(self, input_shape: Any) -> Any:
                rows = [np.zeros((n, *input_shape[1:]), "float32") for n in (2, 3)]
                weights = [np.zeros(shape, "float32") for shape in shapes]
                made = [np.shape(call(keras.ops, x, *weights)) for x in rows]
                return (None, *made[0][1:])

        return Own()

    return make


def attention(o: Any, x: Any, wq: Any, wk: Any, wv: Any) -> Any:
    q, k, v = o.matmul(x, wq), o.matmul(x, wk), o.matmul(x, wv)
    return o.matmul(o.softmax(o.matmul(q, o.transpose(k, (0, 2, 1))) / np.sqrt(6.0), axis=-1), v)


def einsums(o: Any, x: Any, wq: Any, wk: Any, wv: Any) -> Any:
    q, k, v = (o.einsum("bij,jk->bik", x, w) for w in (wq, wk, wv))
    return o.einsum("bij,bjk->bik", o.softmax(o.einsum("bij,bkj->bik", q, k), axis=-1), v)


def heads(o: Any, x: Any, wq: Any, wk: Any, wv: Any, wo: Any) -> Any:
    q, k, v = (o.einsum("btf,fhd->bthd", x, w) for w in (wq, wk, wv))
    scores = o.softmax(o.einsum("bqhd,bkhd->bhqk", q, k) / np.sqrt(3.0), axis=-1)
    return x + o.einsum("bthd,hdf->btf", o.einsum("bhqk,bkhd->bqhd", scores, v), wo)


def four_axes(o: Any, x: Any, w: Any) -> Any:
    h = o.transpose(o.reshape(o.matmul(x, w), (-1, 3, 2, 5)), (0, 2, 1, 3))
    return o.reshape(o.transpose(h @ (o.swapaxes(h, -1, -2) @ h), (0, 2, 1, 3)), (-1, 3, 10))


def distances(o: Any, x: Any, centers: Any, gamma: Any) -> Any:
    return o.exp(-gamma * o.sum(o.square(o.expand_dims(x, 1) - centers), axis=-1))


def distances_by_products(o: Any, x: Any, centers: Any) -> Any:
    near = o.sum(o.square(x), axis=-1, keepdims=True) - 2 * o.matmul(x, o.transpose(centers))
    return o.exp(-(near + o.sum(o.square(centers), axis=-1)))


def normalized_weight(o: Any, x: Any, w: Any, g: Any) -> Any:
    length = o.sqrt(o.sum(o.square(w), axis=0, keepdims=True))
    return o.matmul(x, w / length * g) + o.sum(g) * o.mean(w, axis=0)


def pooled(o: Any, x: Any, w: Any, column: Any) -> Any:
    a = o.softmax(o.matmul(x, w), axis=-1)
    return o.einsum("bt,btf->bf", a, x * column) + o.squeeze(o.matmul(o.expand_dims(a, 1), x), 1)


CASES: dict[str, tuple[tuple[int, ...], Callable[[Any], Any]]] = {
    "array": ((4,), of(lambda o, x: x * np.arange(4.0, dtype="float32"))),
    "array on the left, of one row": ((4,), of(lambda o, x: np.arange(4, dtype="float32")[None] - x)),
    "array of no float": ((4,), of(lambda o, x: o.where(np.array([True, False, True, False]), x, -x))),
    "product with an array": ((4,), of(lambda o, x: o.tanh(o.matmul(x, MATRIX)) + x @ MATRIX)),
    "arrays by position": ((3, 4), of(lambda o, x: o.maximum(x * POSITIONS, POSITIONS[:, :1]))),
    "array times values": ((3, 4), of(lambda o, x: o.matmul(MATRIX, x))),
    "long array": ((100,), of(lambda o, x: x * np.linspace(0, 1, 100, dtype="float32"))),
    "function with an array": ((4,), lambda k: k.layers.Lambda(lambda x: x * np.float32([1, 2, 3, 4]), output_shape=(4,))),
    "distances": ((4,), of(distances, (5, 4), (5,))),
    "lengths": ((4,), of(lambda o, x, c: o.norm(o.expand_dims(x, 1) - c, axis=-1), (5, 4))),
    "distances by products": ((4,), of(distances_by_products, (5, 4))),
    "dense by hand": ((4,), of(lambda o, x, w, b: o.sum(o.expand_dims(x, -1) * w, axis=1) + b, (4, 6), (6,))),
    "by position": ((3, 4), of(lambda o, x, p, q, s: (x + p) * q / (1.0 + s * s), (1, 3, 4), (3, 1), (1,))),
    "by position and pair": ((3, 4), of(lambda o, x, w: o.expand_dims(x, 2) * w, (2, 4))),
    "tied": ((4,), of(lambda o, x, w: o.matmul(o.tanh(o.matmul(x, w)), o.transpose(w)), (4, 3))),
    "normalized weight": ((4,), of(normalized_weight, (4, 3), (3,))),
    "a matrix for each pair": ((4,), of(lambda o, x, w: o.einsum("bik,bi->bk", o.einsum("bj,ijk->bik", x, w), x), (4, 4, 3))),
    "attention": ((3, 4), of(attention, (4, 6), (4, 6), (4, 6))),
    "attention by einsum": ((5, 4), of(einsums, (4, 6), (4, 6), (4, 20))),
    "attention of heads": ((5, 4), of(heads, (4, 2, 3), (4, 2, 3), (4, 2, 3), (2, 3, 4))),
    "matrices of four axes": ((3, 4), of(four_axes, (4, 10))),
    "of many columns": ((17, 40), of(lambda o, x: o.tanh(o.matmul(o.transpose(x, (0, 2, 1)), x) * 0.1))),
    "each with each": ((4,), of(lambda o, x: o.einsum("bi,bj->bij", x, o.tanh(x)))),
    "differences of tokens": (
        (5, 4),
        of(lambda o, x: o.sqrt(0.1 + o.sum(o.square(o.expand_dims(x, 1) - o.expand_dims(x, 2)), axis=-1))),
    ),
    "pooled by attention": ((5, 4), of(pooled, (4,), (5, 1))),
}  # fmt: skip


def network(k: Any, name: str) -> Any:
    shape, make = CASES[name]
    inner = [k.layers.Dense(shape[-1], "tanh"), make(k), k.layers.Flatten()]
    return k.Sequential([k.Input(shape), *inner, k.layers.Dense(2)])


def started(k: Any, name: str) -> tuple[Any, Any, Any]:
    """The network of a case with its first weights, and data for it."""
    rng = np.random.default_rng(5)
    model = network(k, name)
    model.set_weights([rng.uniform(0.05, 0.5, w.shape).astype("float32") for w in model.get_weights()])
    x = rng.normal(size=(21, *CASES[name][0])).astype("float32")
    return model, x, rng.normal(size=(21, 2)).astype("float32")


@pytest.mark.parametrize("name", CASES)
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # Keras on NumPy 2
def test_it_trains_as_keras_trains(name: str, tmp_path: Any, request: pytest.FixtureRequest) -> None:
    """Losses, weights, predictions of a batch and of one row, evaluation, weights in a file, and the exported C."""
    made = []

    def run(k: Any) -> Any:
        model, x, y = started(k, name)
        made.append((model, x))
        rate = 0.01 if len(model.get_weights()[-2]) <= 200 else 1e-4  # steps that are too long multiply roundings
        model.compile(k.optimizers.SGD(rate), "mse")
        losses = model.fit(x, y, batch_size=8, epochs=2, shuffle=False, verbose=0).history["loss"]
        made_of_x = np.asarray(model.predict(x, verbose=0))
        return {
            "losses": [losses, model.evaluate(x, y, verbose=0)],
            "weights": model.get_weights(),
            "predictions": made_of_x / np.abs(made_of_x).max(),
        }

    assert_as_keras(request, run, atol={"losses": 0.0, "weights": 2e-6, "predictions": 5e-6})
    ours, x = made[-1]
    expected = ours.predict(x, verbose=0)
    size = float(np.abs(expected).max())
    for got, wanted in (
        (ours.predict(x[:1], verbose=0), expected[:1]),
        (np.asarray(ours(x)), expected),
        (Loaded(ours.export(tmp_path / "net.c"))(x), expected),
    ):
        np.testing.assert_allclose(got, wanted, rtol=2e-5, atol=5e-6 * size)
    ours.save_weights(tmp_path / "own.weights.h5")
    again = network(nn, name)
    again.load_weights(tmp_path / "own.weights.h5")
    np.testing.assert_array_equal(again.predict(x, verbose=0), ours.predict(x, verbose=0))


CHOSEN = ("arrays by position", "by position", "attention", "attention of heads", "pooled by attention")


@pytest.mark.parametrize("name", [*every_form(), targets.EMULATED.name])
def test_gradients_on_every_target(name: str) -> None:
    """Some layers side by side, so that one compilation serves: values and gradients against differences."""
    with float_type("float64"), target(name):
        inputs = nn.Input((5, 4))
        parts = []
        for case in CHOSEN:
            part = layers.Cropping1D((0, 5 - CASES[case][0][0]))(inputs)
            parts.append(layers.Flatten()(CASES[case][1](nn)(part)))
        model = nn.Model(inputs, layers.Dense(2)(layers.Concatenate()(parts)))
        rng = np.random.default_rng(3)
        model.set_weights([rng.uniform(0.1, 0.6, w.shape) for w in model.get_weights()])
        x, y = rng.normal(size=(6, 5, 4)), rng.normal(size=(6, 2))
        descent(model, "mse")
        got = trained_gradients(model, x, y)
        check_along(model, lambda y, p: np.mean(np.square(p - y)), x, y, got)
        np.testing.assert_allclose(model.predict(x, verbose=0), model.call(x), rtol=1e-6, atol=1e-6)


def two_rows(x: Any) -> Any:
    return x * np.ones((3, 4))  # the cause


def no_numbers(x: Any) -> Any:
    return x * np.array(["a", "b", "c", "d"])  # the cause


def of_other_size(x: Any) -> Any:
    return x + np.ones(3)  # the cause


def across_samples(x: Any) -> Any:
    return ops.matmul(x, ops.reshape(x, (-1, 4, 1)))  # the cause


def product_of_other_size(x: Any) -> Any:
    return ops.matmul(x, np.ones((3, 2)))  # the cause


def einsum_across_samples(x: Any) -> Any:
    return ops.einsum("ij,kj->ik", x, x)  # the cause


def largest_of_the_batch(x: Any) -> Any:
    return x - ops.max(x, axis=0)  # the cause


def turned_batch(x: Any) -> Any:
    return ops.flip(x, axis=0)  # the cause


def rolled_batch(x: Any) -> Any:
    return ops.roll(x, 1)  # the cause


def counted_batch(x: Any) -> Any:
    return x / ops.cast(ops.shape(x)[0], "float32")  # the cause


MISTAKES = {
    two_rows: r"shape \(3, 4\) meets values of shape \(None, 4\)", no_numbers: "expected numbers",
    of_other_size: "do not fit", across_samples: "across the samples", product_of_other_size: r"\(3, 2\) does not fit",
    einsum_across_samples: "across samples", largest_of_the_batch: "over the rows of a batch",
    turned_batch: "rows of a batch stay apart", rolled_batch: "rows of a batch stay apart",
    counted_batch: "number of rows of a batch",
}  # fmt: skip


@pytest.mark.parametrize("formula", MISTAKES)
def test_what_does_not_fit_is_refused_with_its_line(formula: Any) -> None:
    def call(x: Any) -> Any:
        return formula(x) if isinstance(x, ops.Expression) else x

    model = nn.Sequential([nn.Input((4,)), layers.Dense(4), layers.Lambda(call), layers.Dense(2)])
    with pytest.raises((ModelError, UnsupportedError), match=MISTAKES[formula]) as caught:
        model.predict(np.ones((4, 4), "float32"), verbose=0)
    assert "test_wide_formulas.py" in str(caught.value) and "# the cause" in str(caught.value)


def test_means_over_the_batch_are_those_of_the_batches_that_are_predicted() -> None:
    centred = layers.Lambda(lambda x: x - ops.batch_mean(x))
    model = nn.Sequential([nn.Input((4,)), layers.Dense(4), centred, layers.Dense(2)])
    x, y = np.random.default_rng(0).normal(size=(600, 4)).astype("float32"), np.zeros((600, 2), "float32")
    expected = np.concatenate([model.call(x[i : i + 7]) for i in range(0, 600, 7)])
    np.testing.assert_allclose(model.predict(x, batch_size=7, verbose=0), expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(model.predict_on_batch(x), model.call(x), rtol=1e-4, atol=1e-5)
    model.compile("sgd", "mse")
    loss = model.evaluate(x, y, batch_size=7, verbose=0)
    np.testing.assert_allclose(loss, np.mean(np.square(expected)), rtol=1e-4)


def test_shapes_of_weights_are_taken_without_their_numbers() -> None:
    class Like(layers.Layer):
        def build(self, input_shape: Any) -> None:
            self.scale = self.add_weight(shape=(3,), initializer="zeros")

        def call(self, x: Any) -> Any:
            return x + 2.0 * ops.ones_like(self.scale) + ops.zeros_like(self.scale) + ops.full_like(self.scale, 5.0)

    model = nn.Sequential([nn.Input((3,)), Like()])
    np.testing.assert_array_equal(model.predict(np.ones((2, 3), "float32"), verbose=0), np.full((2, 3), 8.0))
