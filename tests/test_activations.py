"""Activations: against real Keras, on numbers and on symbols, values and gradients."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pytest
from symbolic import gradient, same, symbol

from nncompile import activations, config, registry
from nncompile.errors import ModelError

EXTREME = [-np.inf, -1e30, -1e4, -100.0, -20.0, 20.0, 88.0, 100.0, 1e4, 1e30, np.inf, np.nan, 0.0, -0.0]
KINKS = [-6.0, -3.0, -1.0, -0.5, 0.5, 1.0, 3.0, 6.0, 1e-3, -1e-3, 1e-20, -1e-20]
X = np.concatenate([EXTREME, KINKS, np.linspace(-8, 8, 97)]).astype(np.float32)

CASES: list[tuple[str, dict[str, Any]]] = [
    ("linear", {}),
    ("relu", {}),
    ("relu", {"negative_slope": 0.1}),
    ("relu", {"negative_slope": 1.5}),
    ("relu", {"max_value": 2.0}),
    ("relu", {"max_value": 6}),
    ("relu", {"threshold": 1.0}),
    ("relu", {"threshold": -1.0}),
    ("relu", {"negative_slope": 0.25, "threshold": 1.5, "max_value": 3.0}),
    ("relu", {"negative_slope": 0.25, "max_value": 3.0}),
    ("leaky_relu", {}),
    ("leaky_relu", {"negative_slope": 0.3}),
    ("relu6", {}),
    ("sigmoid", {}),
    ("log_sigmoid", {}),
    ("hard_sigmoid", {}),
    ("sparse_sigmoid", {}),
    ("tanh", {}),
    ("hard_tanh", {}),
    ("tanh_shrink", {}),
    ("softplus", {}),
    ("softsign", {}),
    ("elu", {}),
    ("elu", {"alpha": 0.3}),
    ("selu", {}),
    ("celu", {}),
    ("celu", {"alpha": 2.0}),
    ("exponential", {}),
    ("silu", {}),
    ("swish", {}),
    ("hard_silu", {}),
    ("hard_swish", {}),
    ("gelu", {}),
    ("gelu", {"approximate": True}),
    ("mish", {}),
    ("squareplus", {}),
    ("squareplus", {"b": 1.0}),
    ("sparse_plus", {}),
    ("soft_shrink", {}),
    ("soft_shrink", {"threshold": 2.0}),
    ("hard_shrink", {}),
    ("threshold", {"threshold": 0.5, "default_value": -7.0}),
]
ROWS = [
    [[1.0, 2.0, 3.0], [0.0, 0.0, 0.0], [-1e4, 0.0, 1e4], [1e4, 1e4, 1e4], [88.0, -88.0, 200.0]],
    [
        [np.nan, 0.0, 1.0],
        [np.inf, 0.0, 1.0],
        [-np.inf, 0.0, 1.0],
        [-np.inf, -np.inf, -np.inf],
        [3.0, 3.0, -3.0],
    ],
]
IDS = ["-".join([name, *map(str, arguments.values())]) for name, arguments in CASES]
EVERY = {name for name, _ in CASES} | {"softmax", "log_softmax", "sparsemax", "glu"}
SMOOTH = {
    "sigmoid",
    "log_sigmoid",
    "tanh",
    "softplus",
    "softsign",
    "exponential",
    "silu",
    "gelu",
    "mish",
    "linear",
}
SMOOTH |= {"elu", "celu", "squareplus", "swish", "tanh_shrink"}
# Keras compares and so turns NaN into a number where we keep it.
KEEPS_NAN = {"soft_shrink", "hard_shrink", "threshold", "relu-1.0", "relu--1.0"}


def test_every_activation_is_tested() -> None:
    assert set(registry.registered("activations")) <= EVERY


@pytest.mark.parametrize(("name", "arguments"), CASES, ids=IDS)
def test_values_are_those_of_keras(name: str, arguments: dict[str, Any]) -> None:
    from oracle import keras

    expected = np.asarray(getattr(keras.activations, name)(X, **arguments))
    got = getattr(activations, name)(X, **arguments)
    assert got.dtype == np.float32
    known = ~np.isnan(X) if {name, "-".join([name, *map(str, arguments.values())])} & KEEPS_NAN else slice(None)
    assert np.isnan(got[np.isnan(X)]).all()
    # gelu: Keras has erfc, which is exact where 1 + erf cancels
    np.testing.assert_allclose(got[known], expected[known], rtol=2e-6, atol=5e-7 if name == "gelu" else 1e-7)


@pytest.mark.parametrize(("name", "arguments"), CASES, ids=IDS)
def test_symbols_mean_the_same(name: str, arguments: dict[str, Any]) -> None:
    formula = functools.partial(getattr(activations, name), **arguments)
    rows = X.reshape(-1, 3)
    x = symbol("x", rows)
    same(formula(x), {x: rows}, formula(rows), rtol=1e-6)


@pytest.mark.parametrize(("name", "arguments"), CASES, ids=IDS)
def test_gradients_are_those_of_keras(name: str, arguments: dict[str, Any]) -> None:
    from oracle import keras

    jax = pytest.importorskip("jax")
    smooth = name in SMOOTH
    at = np.concatenate([np.linspace(-8, 8, 97) + (0.0 if smooth else 0.003), [-1e4, -100.0, 30.0]]).astype(np.float32)
    expected = jax.vmap(jax.grad(lambda x: getattr(keras.activations, name)(x, **arguments)))(at)
    formula = functools.partial(getattr(activations, name), **arguments)
    got = gradient(formula, {"x": at[:, None]}, "x", np.ones((len(at), 1), np.float32))
    # 1 - tanh(z)^2 cancels; gelu multiplies what is left by z's derivative, up to some 20
    np.testing.assert_allclose(got[:, 0], expected, rtol=5e-6, atol=4e-6 if name == "gelu" else 2e-6)


@pytest.mark.parametrize(
    ("name", "at", "slope"),
    [
        ("relu", 0.0, 0.0),
        ("relu6", 0.0, 0.0),
        ("relu6", 6.0, 0.0),
        ("leaky_relu", 0.0, 1.0),
        ("softplus", 0.0, 0.5),
        ("log_sigmoid", 0.0, 0.5),
        ("mish", 0.0, 0.6),
        ("elu", 0.0, 1.0),
        ("celu", 0.0, 1.0),
        ("softsign", 0.0, 1.0),
        ("softplus", np.inf, 1.0),
        ("softplus", -np.inf, 0.0),
        ("elu", 1e30, 1.0),
        ("sparse_plus", np.inf, 1.0),
    ],
)
def test_gradients_where_it_is_delicate(name: str, at: float, slope: float) -> None:
    one = np.ones((1, 1), np.float32)
    assert gradient(getattr(activations, name), {"x": one * np.float32(at)}, "x", one) == pytest.approx(slope)


@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
@pytest.mark.parametrize("rows", ROWS, ids=["finite", "not"])
def test_rows(name: str, rows: list[list[float]]) -> None:
    from oracle import keras

    array = np.asarray(rows, np.float32)
    expected = np.asarray(getattr(keras.activations, name)(array))
    np.testing.assert_allclose(getattr(activations, name)(array), expected, rtol=1e-6, atol=1e-7)
    x = symbol("x", array)
    same(getattr(activations, name)(x), {x: array}, expected, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
def test_rows_have_the_gradients_of_keras(name: str) -> None:
    from oracle import keras

    jax = pytest.importorskip("jax")
    rows = np.random.default_rng(1).normal(size=(4, 5)).astype(np.float32) * 3
    seed = np.random.default_rng(2).normal(size=(4, 5)).astype(np.float32)
    expected = jax.grad(lambda x: (getattr(keras.activations, name)(x) * seed).sum())(rows)
    got = gradient(getattr(activations, name), {"x": rows}, "x", seed)
    np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-6)


def projected(x: Any) -> Any:
    """The nearest point of the simplex, by sorting: the textbook's sparsemax."""
    x = np.asarray(x, np.float64)
    ordered = -np.sort(-x, axis=-1)
    sums, numbers = np.cumsum(ordered, axis=-1), np.arange(1, x.shape[-1] + 1)
    support = np.sum(1 + numbers * ordered > sums, axis=-1, keepdims=True)
    threshold = (np.take_along_axis(sums, support - 1, axis=-1) - 1) / support
    return np.maximum(x - threshold, 0)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_sparsemax_is_a_projection(dtype: str) -> None:
    rng = np.random.default_rng(0)
    config.set_floatx(dtype)
    try:
        for width in (1, 2, 3, 10, 100, 1000):
            sizes = np.geomspace(1e-4, 1e4, 50)[:, None]
            x = (rng.normal(size=(50, width)) * sizes).astype(dtype)
            steep = (-np.geomspace(1e-6, 3.0, width)).astype(dtype)  # many steps: each leaves out few
            x[0], x[1], x[2], x[3] = 0, np.linspace(0, 1, width), steep, np.cumsum(np.full(width, 1 / width))
            got = activations.sparsemax(x)
            eps = np.finfo(dtype).eps
            assert got.dtype == dtype
            shifted = x - x.max(axis=-1, keepdims=True)  # exact where it matters; the threshold is near 0
            np.testing.assert_allclose(got, projected(shifted), rtol=0, atol=4 * eps)
            np.testing.assert_allclose(got.sum(axis=-1), 1.0, rtol=0, atol=width * eps)
            s = symbol("x", x)
            same(activations.sparsemax(s), {s: x}, got, rtol=0, atol=eps)
        turned = activations.sparsemax(x.T, axis=0)
        np.testing.assert_allclose(turned.T, got, rtol=0, atol=eps)  # whose sums are in another order
    finally:
        config.set_floatx("float32")
    assert np.isnan(activations.sparsemax(np.float32([[np.nan, 0.0], [np.inf, 1.0]]))).all()
    np.testing.assert_array_equal(activations.sparsemax(np.float32([[-np.inf, 0.0, -0.5]])), [[0.0, 0.75, 0.25]])


def test_sparsemax_where_keras_is_right() -> None:
    """With one value above 0, values and gradients are those of Keras; else its results are no probabilities."""
    from oracle import keras

    alone = np.float32([[3.0, 1.0, 0.5], [-1.0, 0.0, 1.0], [0.0, -2.0, -7.0]])
    np.testing.assert_allclose(activations.sparsemax(alone), np.asarray(keras.activations.sparsemax(alone)))
    shared = np.float32([[1.0, 1.0]])
    assert activations.sparsemax(shared).tolist() == [[0.5, 0.5]]
    assert np.asarray(keras.activations.sparsemax(shared)).sum() != 1.0


def test_gradient_of_sparsemax() -> None:
    rng = np.random.default_rng(1)
    x, seed = rng.normal(size=(20, 6)), rng.normal(size=(20, 6))
    config.set_floatx("float64")
    try:
        got = gradient(activations.sparsemax, {"x": x}, "x", seed)
    finally:
        config.set_floatx("float32")
    for column in range(6):
        step = np.zeros(6)
        step[column] = 1e-6
        slope = (projected(x + step) - projected(x - step)) / 2e-6
        np.testing.assert_allclose(got[:, column], (slope * seed).sum(axis=-1), rtol=0, atol=1e-6)


def test_glu() -> None:
    from oracle import keras

    x = np.random.default_rng(0).normal(size=(4, 6, 2)).astype(np.float32)
    for axis in (0, 1, 2, -1, -2):
        expected = np.asarray(keras.activations.glu(x, axis=axis))
        np.testing.assert_allclose(activations.glu(x, axis=axis), expected, rtol=1e-6, atol=1e-7)
    for wrong in (np.zeros((2, 3)), np.zeros(()), symbol("x", np.zeros((2, 3)))):
        with pytest.raises(ModelError, match="glu: expected an axis of even size, received axis -1 of shape"):
            activations.glu(wrong)


def test_softmax_of_one_column_warns() -> None:
    with pytest.warns(UserWarning, match=r"softmax: axis -1 of shape \(2, 1\) has size 1") as seen:
        assert activations.softmax([[3.0], [0.0]]).tolist() == [[1.0], [1.0]]
    assert seen[0].filename == __file__
    with pytest.warns(UserWarning, match="Use sigmoid"):
        activations.softmax(symbol("x", np.zeros((2, 1))))


def test_another_axis_of_arrays() -> None:
    x = np.random.default_rng(0).normal(size=(3, 4, 2))
    np.testing.assert_allclose(activations.softmax(x, axis=1).sum(axis=1), 1.0)
    np.testing.assert_allclose(np.exp(activations.log_softmax(x, axis=0)).sum(axis=0), 1.0)


def test_lists_numbers_integers_and_precision() -> None:
    assert activations.relu([-1, 2]).tolist() == [0.0, 2.0]
    assert activations.silu([1, 2]).dtype == np.float32
    assert activations.relu(np.array([-3, 3])).dtype == np.float32
    assert activations.sigmoid(0.0) == 0.5
    assert activations.sigmoid(0.0).dtype == np.float32
    assert activations.tanh(np.zeros(2, np.float64)).dtype == np.float64
    assert activations.relu(x=[-1.0]) == [0.0]
    assert activations.gelu(np.zeros((2, 3, 4), np.float32)).shape == (2, 3, 4)
    config.set_floatx("float64")
    try:
        assert activations.sigmoid([0.0]).dtype == np.float64
    finally:
        config.set_floatx("float32")


def test_get() -> None:
    def mine(x: Any) -> Any:
        return x

    assert activations.get(None) is activations.linear
    assert activations.get("swish") is activations.silu
    assert activations.get("hard_swish") is activations.hard_silu
    assert activations.get(mine) is mine
    assert activations.get({"class_name": "function", "config": "relu"}) is activations.relu
    for name in registry.registered("activations"):
        assert activations.get(name) is getattr(activations, name)


def test_names_are_those_of_keras() -> None:
    from oracle import keras

    theirs = {name for name in dir(keras.activations) if not name.startswith("_")}
    assert theirs <= set(dir(activations))


def test_unknown_names() -> None:
    with pytest.raises(ModelError, match=r"activations: unknown name 'rellu'\. Did you mean 'relu'"):
        activations.get("rellu")
    with pytest.raises(ModelError, match=r"expected a name, a function or a layer, received 3 \(int\)"):
        activations.get(3)


def test_serialize() -> None:
    @registry.register_keras_serializable("Mine")
    def mine(x: Any) -> Any:
        return x

    for name, function in registry.registered("activations").items():
        assert activations.serialize(function) == name
        assert activations.deserialize(name) is function
    assert activations.serialize(mine)["config"] == "mine"
    assert activations.deserialize(activations.serialize(mine)) is mine
    assert activations.deserialize("other", {"other": mine}) is mine
    for nameless in (lambda x: x, functools.partial(activations.relu, max_value=1.0)):
        with pytest.raises(ModelError, match="cannot be saved, because it has no name"):
            activations.serialize(nameless)
