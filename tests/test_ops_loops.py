"""Operations that call a function again and again, and those on whole arrays, against Keras."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from remembered import assert_as_keras

import nncompile as nn
from nncompile import ops
from nncompile.errors import ModelError, UnsupportedError

pytestmark = pytest.mark.quick_c

RNG = np.random.default_rng(0)
A = RNG.normal(size=(3, 3)).astype(np.float32)
S = A @ A.T + np.eye(3, dtype=np.float32)
B = RNG.normal(size=(3, 2)).astype(np.float32)
D = RNG.normal(size=(6, 2)).astype(np.float32)
T = RNG.normal(size=(2, 4, 3)).astype(np.float32)
WHOLE, OF = np.array([3, 5, 6], np.int32), np.array([0, 2, 0, 1, 2, 2], np.int32)
HALF = np.array([0.5, 2.0], np.float32)

ARRAYS: dict[str, Callable[[Any], list[Any]]] = {
    "bits": lambda o: [
        *(getattr(o, f"bitwise_{name}")(WHOLE, 3) for name in ("and", "or", "xor", "left_shift", "right_shift")),
        *(getattr(o, name)(WHOLE) for name in ("bitwise_not", "bitwise_invert")),
        *(getattr(o, name)(WHOLE, 1) for name in ("left_shift", "right_shift")),
        o.bitwise_and([1, 3], [3, 2]),
    ],
    "matrices": lambda o: [
        *(o.cholesky(S), o.cholesky(S, upper=True), o.cholesky_inverse(o.cholesky(S)), o.det(A), o.logdet(S)),
        *(*o.slogdet(A), o.inv(A), o.pinv(B), o.matrix_rank(A), o.solve(A, B), o.solve(A, B[:, 0]), o.lstsq(A, B)),
        *(o.solve_triangular(A, B), o.solve_triangular(A, B, lower=True), o.eigh(S)[0], o.matmul(*o.qr(A))),
        *(o.svd(B)[1], o.svd(B, compute_uv=False)),
    ],
    "segments": lambda o: [
        *(
            getattr(o, f"segment_{name}")(D, OF, num_segments=n)
            for name in ("sum", "max", "min", "prod")
            for n in (2, 4)
        ),
        o.cdist(B, B[::-1]),
    ],
    "places": lambda o: [
        o.scatter(np.array([[0, 1], [2, 0]]), HALF, (3, 3)),
        o.scatter(np.array([[0], [2], [0]]), D[:3], (3, 2)),
        o.scatter_update(A, [[0, 1], [1, 2]], HALF),
        *(o.scatter_update(A, [[0, 1], [0, 1]], HALF, reduction=kind) for kind in ("add", "max", "min", "mul")),
    ],
    "loops": lambda o: [
        o.map(lambda x: x * 2.0, D),
        o.vectorized_map(lambda x: o.sum(x), D),
        *o.scan(lambda c, x: (c + x, c * x), np.zeros(2, np.float32), D),
        *o.scan(lambda c, x: (c * 2.0, c), np.ones(2, np.float32), length=3, reverse=True),
        o.scan(lambda c, x: (c + x["a"], None), np.zeros(2, np.float32), {"a": D})[0],
        o.associative_scan(lambda a, b: a + b, D),
        o.associative_scan(lambda a, b: a * b, T, reverse=True, axis=1),
        o.while_loop(lambda i, x: i < 3, lambda i, x: (i + 1, x * 2.0), (0, D))[1],
        o.while_loop(lambda i, x: i < 9, lambda i, x: (i + 1, x * 2.0), (0, D), maximum_iterations=2)[1],
    ],
    "rearrange": lambda o: [
        o.rearrange(T, "b h c -> b c h"),
        o.rearrange(T, "b (h p) c -> b h (p c)", p=2),
        o.rearrange(T, "b h c -> (b h) c"),
        o.rearrange(T, "b (a h) c -> (a b) (c h)", a=2),
    ],
}


@pytest.mark.parametrize("name", ARRAYS)
def test_of_arrays_as_keras(name: str) -> None:
    from oracle import keras

    for number, (theirs, ours) in enumerate(zip(ARRAYS[name](keras.ops), ARRAYS[name](ops), strict=True)):
        np.testing.assert_allclose(ours, theirs, rtol=2e-4, atol=1e-5, err_msg=str(number))


def looping(k: Any) -> Any:
    """A layer whose formula has all kinds of loops."""
    o = k.ops

    class Looping(k.layers.Layer):  # type: ignore[misc, name-defined]
        def build(self, shape: Any) -> None:
            self.rates = self.add_weight(shape=(3, 4), initializer="ones", name="rates")
            super().build(shape)

        def call(self, x: Any) -> Any:
            walked, _ = o.scan(
                lambda c, rate: (o.tanh(c * rate + x[:, 0]), None), x[:, 1], o.map(o.square, self.rates * 1.0)
            )
            sums = o.associative_scan(lambda a, b: a + b, x, axis=1)
            pairs = o.rearrange(sums, "b (h p) c -> b h (p c)", h=2, p=3)
            if k is nn:
                _, doubled = o.while_loop(lambda i, _: i < 2, lambda i, v: (i + 1, v + o.sin(v)), (0, walked))
            else:  # JAX does not differentiate that
                doubled = o.fori_loop(0, 2, lambda _, v: v + o.sin(v), walked)
            return o.concatenate([doubled, o.reshape(pairs, (-1, 24))], axis=-1)

    return Looping()


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # Keras on NumPy 2
def test_loops_in_layers_are_trained_as_in_keras(request: pytest.FixtureRequest) -> None:
    rng = np.random.default_rng(3)
    x, y = rng.normal(size=(10, 6, 4)).astype("f4"), rng.normal(size=(10, 2)).astype("f4")
    given = [rng.normal(size=shape).astype("f4") * 0.5 for shape in ((3, 4), (28, 2), (2,))]

    def run(k: Any) -> Any:
        model = k.Sequential([k.Input((6, 4)), looping(k), k.layers.Dense(2)])
        model.set_weights(given)
        model.compile(k.optimizers.SGD(0.05), "mse")
        losses = model.fit(x, y, batch_size=4, epochs=2, shuffle=False, verbose=0).history["loss"]
        return losses, model.predict(x, verbose=0), model.get_weights()

    assert_as_keras(request, run, atol=1e-5)  # of numbers up to 5, with and without fused operations


def test_branches_take_what_runs() -> None:
    class Branching(nn.layers.Layer):
        def build(self, shape: Any) -> None:
            self.which = self.add_weight((), initializer="zeros")

        def call(self, x: Any) -> Any:
            kinds = ops.switch(ops.cast(self.which, "int32"), [lambda a: a, lambda a: a * 2.0, lambda a: -a], x)
            big = ops.cond(ops.mean(x) > 1.0, lambda: (x, x + 1.0), lambda: (-x, x * 0.0))
            return ops.concatenate([kinds, *big], axis=-1)

    model = nn.Sequential([nn.Input((2,)), Branching()])
    for which, factor in ((-1.0, 1.0), (0.0, 1.0), (1.0, 2.0), (7.0, -1.0)):
        model.set_weights([np.float32(which)])
        for x in (np.array([[1.0, 2.0], [0.0, 3.0]], "f4"), np.array([[1.0, 2.0], [0.0, 0.5]], "f4")):
            big = (x, x + 1) if x.mean() > 1 else (-x, 0 * x)
            np.testing.assert_array_equal(model.predict_on_batch(x), np.concatenate([factor * x, *big], -1))


def test_on_tensors_of_functional_models() -> None:
    x = nn.Input((4, 3))
    last, _ = ops.scan(lambda c, _: (c * 2.0 + 1.0, None), x, length=3)
    model = nn.Model(x, ops.rearrange(last, "b (h p) c -> b h (p c)", p=2))
    np.testing.assert_allclose(model.predict(T, verbose=0), (T * 8 + 7).reshape(2, 2, 6), rtol=1e-6)


def test_what_is_refused() -> None:
    x = ops.symbol("x", ops.ELEMENT, (None, 3))
    same: Callable[..., Any] = lambda *a: a[0]  # noqa: E731
    for call, error, says in (
        (lambda: ops.map(same, x), ModelError, r"ops\.map: the rows of a batch stay apart.*\(None, 3\)"),
        (lambda: ops.vectorized_map(same, x), ModelError, "the rows of a batch stay apart"),
        (lambda: ops.associative_scan(same, x), ModelError, "the rows of a batch stay apart"),
        (lambda: ops.while_loop(lambda v: v > 1.0, same, (x,)), UnsupportedError, "how often a formula loops"),
        (lambda: ops.scan(same, x, length=999), UnsupportedError, "at most 256 of them, received 999"),
        (lambda: ops.scan(same, A), ModelError, "received neither"),
        (lambda: ops.scan(same, A, A, unroll=0), ModelError, "unroll: expected"),
        (lambda: ops.scan(same, A, [A, B.T]), ModelError, r"one length, received \[2, 3\]"),
        (lambda: ops.map(same, 1.0), ModelError, "at least one axis"),
        (lambda: ops.rearrange(T, "b h -> h b"), ModelError, r"3 axes of shape \(2, 4, 3\) once on either side"),
        (lambda: ops.rearrange(T, "b (h p) c -> b h p c", p=3), ModelError, r"\(h p\) of 4 numbers cannot be cut"),
        (lambda: ops.cond(x > 1.0, A.sum, A.sum), ModelError, r"ops\.cond: expected a truth value .*\(None, 3\)"),
        (lambda: ops.switch(x, [same, same], 1.0), ModelError, r"ops\.switch: expected a number .*ops\.select"),
        (lambda: ops.inv(x), UnsupportedError, r"ops\.inv: takes a matrix apart"),
        (lambda: ops.det(B), ModelError, r"expected square matrices, received shape \(3, 2\)"),
        (lambda: ops.segment_sum(x, OF), UnsupportedError, "across the samples of a batch"),
        (lambda: ops.segment_sum(D, OF[:2]), ModelError, "a whole number for each"),
        (lambda: ops.scatter_update(A, [[0, 0]], [1.0], reduction="div"), ModelError, "received 'div'"),
    ):
        with pytest.raises(error, match=says):
            call()
