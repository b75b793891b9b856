"""Operations that are formulas: their C against NumPy's own functions, their gradients against differences."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from reference import central_differences, descent, float_type, target, trained_gradients
from symbolic import evaluate, gradient, symbol

import nncompile as nn
from nncompile import losses, ops, targets
from nncompile.layers import Activation, Dense, Layer

pytestmark = pytest.mark.quick_c

# name: arguments after x, ends of a sample, roundings of float32 that value and NumPy may be apart
ELEMENTWISE: dict[str, tuple[tuple[Any, ...], float, float, float]] = {
    "sin": ((), -1e4, 1e4, 2),
    "cos": ((), -1e4, 1e4, 2),
    "tan": ((), -40, 40, 4),
    "arcsin": ((), -1, 1, 5),
    "arccos": ((), -1, 1, 5),
    "arctan": ((), -50, 50, 3),
    "sinh": ((), -89.2, 89.2, 6),
    "cosh": ((), -89.2, 89.2, 5),
    "arcsinh": ((), -1e3, 1e3, 5),
    "arccosh": ((), 1, 1e3, 5),
    "arctanh": ((), -1, 1, 5),
    "exp2": ((), -130, 128, 2),
    "log2": ((), 1e-3, 1e3, 3),
    "log10": ((), 1e-3, 1e3, 4),
    "cbrt": ((), -1e3, 1e3, 3),
    "erf": ((), -4, 4, 3),
    "erfc": ((), -5, 9, 6),
    "erfinv": ((), -1, 1, 4),
    "deg2rad": ((), -720, 720, 2),
    "rad2deg": ((), -20, 20, 2),
    "sinc": ((), -0.9, 0.9, 8),
    "ceil": ((), -9, 9, 0),
    "trunc": ((), -9, 9, 0),
    "round": ((1,), -9, 9, 1),
    "fabs": ((), -9, 9, 0),
    "nan_to_num": ((0.5, 7.0, -7.0), -9, 9, 0),
    "nan_to_num default": ((), -9, 9, 0),
    "isnan": ((), -9, 9, 0),
    "isinf": ((), -9, 9, 0),
    "isposinf": ((), -9, 9, 0),
    "isneginf": ((), -9, 9, 0),
    "isfinite": ((), -9, 9, 0),
    "isreal": ((), -9, 9, 0),
    "signbit": ((), -9, 9, 0),
    "logical_not": ((), -9, 9, 0),
    "digitize": (((-1.0, 0.0, 2.5),), -9, 9, 0),
    "isin": (((1.0, -2.5, 0.0),), -9, 9, 0),
    "real": ((), -9, 9, 0),
}
PAIRS: dict[str, tuple[tuple[Any, ...], float]] = {
    "arctan2": ((), 5),
    "hypot": ((), 4),
    "fmod": ((), 0),
    "mod": ((), 1),
    "floor_divide": ((), 1),
    "logaddexp": ((), 3),
    "logaddexp2": ((), 3),
    "copysign": ((), 0),
    "fmax": ((), 0),
    "fmin": ((), 0),
    "heaviside": ((), 0),
    "divide_no_nan": ((), 1),
    "isclose": ((0.3, 0.2, True), 0),
    "logical_xor": ((), 0),
    "power": ((), 300),
}
SPECIAL = [0.0, -0.0, 1.0, -1.0, 0.5, -0.5, 2.5, -2.5, 3.0, 1e-30, -1e-30, 1e30, -1e30, np.inf, -np.inf, np.nan]
COLUMNS = len(SPECIAL)


class Chosen(Layer):
    """One of all operations, of x alone or of x and a number of each column: one compilation serves for all."""

    def build(self, input_shape: Any) -> None:
        self.which = self.add_weight(shape=(), initializer="zeros", trainable=False, name="which")
        self.other = self.add_weight(shape=(COLUMNS,), initializer="zeros", trainable=False, name="other")

    def call(self, x: Any) -> Any:
        y = x * 1.0
        for number, (name, (more, *_)) in enumerate(ELEMENTWISE.items()):
            found = getattr(ops, name.split()[0])(x, *more)
            y = ops.where(ops.equal(self.which, float(number)), ops.cast(found, None), y)
        for number, (name, (more, _)) in enumerate(PAIRS.items(), len(ELEMENTWISE)):
            found = getattr(ops, name)(x, self.other, *more)
            y = ops.where(ops.equal(self.which, float(number)), ops.cast(found, None), y)
        return y

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape


def apart(got: Any, exact: Any, dtype: str, scale: Any = 0.0) -> Any:
    """Distance in roundings of the exact value, or of a larger operand; infinities and NaN are equal."""
    kind = np.finfo(dtype)
    with np.errstate(all="ignore"):
        expected = exact.astype(dtype)
        unit = kind.eps * np.maximum(np.maximum(np.abs(exact), scale), kind.tiny)
        distance = np.abs(got.astype(exact.dtype) - exact) / unit
    same = (got == expected) | (np.isnan(got) & np.isnan(exact))
    return np.where(same, 0.0, np.where(np.isnan(distance), np.inf, distance))


@pytest.mark.parametrize(("name", "dtype"), [(targets.available()[0].name, "float32"), ("c99", "float64")])
def test_c_computes_what_numpy_computes(name: str, dtype: str) -> None:
    """Every operation over its range and for numbers that are special, on tiles of a product's output."""
    wide = np.float64 if dtype == "float32" else np.longdouble
    rng = np.random.default_rng(0)
    with float_type(dtype), target(name):
        chosen = Chosen()
        model = nn.Sequential([nn.Input((COLUMNS,)), chosen])
        special = np.tile(np.array(SPECIAL, dtype)[:, None], COLUMNS)
        for number, (operation, (more, low, high, roundings)) in enumerate(ELEMENTWISE.items()):
            chosen.which.assign(number)
            function = getattr(ops, operation.split()[0])
            for x in (rng.uniform(low, high, (400, COLUMNS)).astype(dtype), special):
                if operation == "sinc":
                    x = np.where(np.abs(x) < 1, x, 0.25).astype(dtype)  # beyond, what pi x lost counts
                if operation in ("erf", "erfc", "erfinv"):  # of Python, in double precision
                    exact = np.asarray(function(x.astype(np.float64), *more))
                else:
                    exact = np.asarray(function(x.astype(wide), *more))
                d = apart(
                    model.predict(x, verbose=0),
                    np.asarray(exact, exact.dtype if exact.dtype.kind == "f" else wide),
                    dtype,
                )
                worst = np.unravel_index(np.argmax(d), d.shape)
                bound = roundings + (4 if dtype == "float64" and "erf" in operation else 0)
                if operation == "nan_to_num default":
                    d[np.isinf(x)] = 0  # the largest number of the type, asked for below
                    assert np.isfinite(model.predict(x, verbose=0)).all()
                assert d[worst] <= bound, f"{operation}({x[worst]!r}): {d[worst]} roundings"
        others = np.array(SPECIAL, dtype)
        for number, (operation, (more, roundings)) in enumerate(PAIRS.items(), len(ELEMENTWISE)):
            chosen.which.assign(number)
            for x, other in (
                (special, others),
                (rng.normal(size=(200, COLUMNS)).astype(dtype) * 9, rng.normal(size=COLUMNS).astype(dtype)),
            ):
                if operation == "power" and other is not others:
                    x = np.abs(x)
                chosen.other.assign(other)
                exact = np.asarray(getattr(ops, operation)(x.astype(wide), other.astype(wide), *more))
                scale = np.fmin(np.fmax(np.abs(x), np.abs(other)), 1e3) if "logadd" in operation else 0.0
                d = apart(model.predict(x, verbose=0), exact.astype(wide), dtype, scale)
                if operation == "hypot":  # NumPy's is infinite where the other is NaN, in either place
                    assert np.isinf(model.predict(x, verbose=0)[np.isinf(x) & np.isnan(other)]).all()
                worst = np.unravel_index(np.argmax(d), d.shape)
                assert d[worst] <= roundings, f"{operation}({x[worst]!r}, {other[worst[1]]!r}): {d[worst]} roundings"


# ------------------------------------------------------------------ gradients

X = np.random.default_rng(1).uniform(0.1, 0.9, (3, 4)) * np.where(np.arange(12).reshape(3, 4) % 3 == 1, -1, 1)
Y = np.random.default_rng(2).uniform(0.3, 0.8, (3, 4)) * np.where(np.arange(12).reshape(3, 4) % 4 == 1, -1, 1)
GRADIENTS = {
    **dict.fromkeys(
        "sin cos tan arcsin arccos arctan sinh cosh arcsinh arctanh exp2 cbrt erf erfc erfinv sinc".split(), 1
    ),
    **dict.fromkeys("deg2rad rad2deg fabs nan_to_num".split(), 1),
    **dict.fromkeys("arctan2 hypot fmod mod logaddexp logaddexp2 copysign fmax fmin divide_no_nan".split(), 2),
}
OVER = {
    "arccosh": lambda x: ops.arccosh(1.1 + ops.square(x)),
    "log2": lambda x: ops.log2(ops.abs(x)),
    "log10": lambda x: ops.log10(ops.abs(x)),
    "select": lambda x: ops.select([ops.less(x, -0.2), ops.less(x, 0.4)], [x * x, x * 3.0], -x),
    "logsumexp": lambda x: ops.logsumexp(x, axis=-1, keepdims=True),
    "ldexp": lambda x: ops.ldexp(x, 3.0),
    "prod": lambda x: ops.prod(x, axis=-1, keepdims=True),
    "var": lambda x: ops.var(x, axis=-1, keepdims=True) * x,
    "std": lambda x: ops.std(x, axis=-1, keepdims=True),
    "ptp": lambda x: ops.ptp(x, axis=-1, keepdims=True),
    "norm": lambda x: ops.norm(x, axis=-1, keepdims=True),
    "norm-1": lambda x: ops.norm(x, ord=1, axis=-1, keepdims=True),
    "norm-3": lambda x: ops.norm(x, ord=3, axis=-1, keepdims=True),
    "norm-inf": lambda x: ops.norm(x, ord=np.inf, axis=-1, keepdims=True),
    "normalize": lambda x: ops.normalize(x),
    "normalize-3": lambda x: ops.normalize(x, order=3),
    "average": lambda x: ops.expand_dims(ops.average(x, axis=-1, weights=ops.sigmoid(x)), -1),
    "nanmean": lambda x: ops.nanmean(x, axis=-1, keepdims=True) * x,
    "nanvar": lambda x: ops.nanvar(x, axis=-1, keepdims=True) * x,
    "layer_normalization": lambda x: ops.layer_normalization(x, epsilon=1e-2),
    "rms_normalization": lambda x: ops.rms_normalization(x, epsilon=1e-2),
    "binary_crossentropy": lambda x: ops.binary_crossentropy(0.3, ops.sigmoid(x)),
    "binary_crossentropy-logits": lambda x: ops.binary_crossentropy(0.3, x, from_logits=True),
    "gelu": lambda x: ops.gelu(x),
    "leaky_relu": lambda x: ops.leaky_relu(x, 0.3),
}


def differences(formula: Any, values: dict[str, Any], wanted: str, seed: Any) -> Any:
    """The gradient of ``sum(seed * formula)`` by one of the values, by central differences of two steps."""
    found = np.zeros_like(values[wanted])
    for index in np.ndindex(found.shape):

        def at(step: float, index: Any = index) -> float:
            moved = values[wanted].copy()
            moved[index] += step
            return float(np.sum(seed * formula(**{**values, wanted: moved})))

        wide, narrow = (at(2e-4) - at(-2e-4)) / 4e-4, (at(1e-4) - at(-1e-4)) / 2e-4
        found[index] = (4 * narrow - wide) / 3
    return found


def agree(formula: Any, values: dict[str, Any]) -> None:
    with float_type("float64"):
        rows, columns = np.shape(formula(**values))
        seed = np.random.default_rng(3).normal(size=(rows, columns))
        for wanted in values:
            expected = differences(formula, values, wanted, seed)
            got = gradient(formula, values, wanted, seed[:, 0] if columns == 1 else seed)
            np.testing.assert_allclose(got, expected, rtol=2e-8, atol=2e-8)


@pytest.mark.parametrize("name", GRADIENTS)
def test_gradients_are_what_differences_say(name: str) -> None:
    function = getattr(ops, name)
    if GRADIENTS[name] == 1:
        agree(lambda x: function(x), {"x": X})
    else:
        agree(lambda x, y: function(x, y), {"x": X * 3, "y": Y})


@pytest.mark.parametrize("name", OVER)
def test_gradients_of_formulas_over_rows(name: str) -> None:
    agree(OVER[name], {"x": X})


def test_the_gradient_of_a_product_is_right_with_zeros() -> None:
    x = np.array([[2.0, 3.0, -4.0], [2.0, 0.0, -4.0], [0.0, 0.0, -4.0], [-0.0, 5.0, 7.0]])
    expected = [[-12.0, -8.0, 6.0], [0.0, -8.0, 0.0], [0.0, 0.0, 0.0], [35.0, 0.0, 0.0]]
    got = gradient(lambda x: ops.prod(x, axis=-1, keepdims=True), {"x": x}, "x", np.ones(4))
    np.testing.assert_array_equal(got, expected)


@pytest.mark.parametrize("name", ["ceil", "trunc", "round", "floor_divide", "heaviside", "signbit", "isfinite"])
def test_steps_have_no_gradient(name: str) -> None:
    two = name in ("floor_divide", "heaviside")
    formula = (
        (lambda x: ops.cast(getattr(ops, name)(x, 0.7), None))
        if two
        else (lambda x: ops.cast(getattr(ops, name)(x), None))
    )
    np.testing.assert_array_equal(gradient(formula, {"x": X}, "x", np.ones(X.shape)), 0)


# ------------------------------------------------------------------ over rows

ROWS: dict[str, Any] = {
    "any": lambda x: ops.any(ops.greater(x, 0.8), axis=-1, keepdims=True),
    "all": lambda x: ops.all(ops.less(x, 0.8), axis=-1, keepdims=True),
    "count_nonzero": lambda x: ops.expand_dims(ops.count_nonzero(ops.maximum(x, 0.0), axis=-1), -1),
    "argmin": lambda x: ops.argmin(x, axis=-1, keepdims=True),
    "prod": lambda x: ops.prod(x, axis=-1, keepdims=True),
    "amax": lambda x: ops.amax(x, axis=-1, keepdims=True),
    "amin": lambda x: ops.amin(x, axis=-1, keepdims=True),
    "max-initial": lambda x: ops.max(x, axis=-1, keepdims=True, initial=0.75),
    "ptp": lambda x: ops.ptp(x, axis=-1, keepdims=True),
    "var": lambda x: ops.var(x, axis=-1, keepdims=True),
    "std": lambda x: ops.std(x, axis=-1, keepdims=True),
    "norm": lambda x: ops.norm(x, axis=-1, keepdims=True),
    "norm-0": lambda x: ops.norm(ops.maximum(x, 0.0), ord=0, axis=-1, keepdims=True),
    "norm-3": lambda x: ops.norm(x, ord=3, axis=-1, keepdims=True),
    "norm-low": lambda x: ops.norm(x, ord=-np.inf, axis=-1, keepdims=True),
    "normalize": lambda x: ops.normalize(x),
    "normalize-1": lambda x: ops.normalize(x, order=1, epsilon=3.0),
    "nansum": lambda x: ops.nansum(ops.log(x), axis=-1, keepdims=True),
    "nanprod": lambda x: ops.nanprod(ops.sqrt(x), axis=-1, keepdims=True),
    "nanmean": lambda x: ops.nanmean(ops.log(x), axis=-1, keepdims=True),
    "nanstd": lambda x: ops.nanstd(ops.log(x), axis=-1, keepdims=True),
    "nanmax": lambda x: ops.nanmax(ops.log(x), axis=-1, keepdims=True),
    "nanmin": lambda x: ops.nanmin(ops.log(x), axis=-1, keepdims=True),
    "nanargmax": lambda x: ops.nanargmax(ops.log(x), axis=-1, keepdims=True),
    "nanargmin": lambda x: ops.nanargmin(ops.log(x), axis=-1, keepdims=True),
    "layer_normalization": lambda x: ops.layer_normalization(x),
    "rms_normalization": lambda x: ops.rms_normalization(x),
    "full_like": lambda x: ops.full_like(x, 2.5),
}


class Over(Layer):
    """One of all formulas over rows."""

    def build(self, input_shape: Any) -> None:
        self.which = self.add_weight(shape=(), initializer="zeros", trainable=False, name="which")

    def call(self, x: Any) -> Any:
        y = x * 1.0
        for number, formula in enumerate(ROWS.values()):
            y = ops.where(ops.equal(self.which, float(number)), ops.cast(formula(x), None), y)
        return y

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape


@pytest.mark.parametrize(
    ("name", "width"), [(targets.available()[0].name, 37), (targets.available()[0].name, 3), ("c99", 5)]
)
def test_formulas_over_rows_in_c(name: str, width: int) -> None:
    x = np.random.default_rng(0).normal(size=(11, width))
    x[0] = -np.abs(x[0])  # no logarithm at all
    with float_type("float64"), target(name):
        over = Over()
        model = nn.Sequential([nn.Input((width,)), over])
        for number, (what, formula) in enumerate(ROWS.items()):
            over.which.assign(number)
            with np.errstate(all="ignore"):
                expected = np.broadcast_to(np.asarray(formula(x), float), x.shape)
            np.testing.assert_allclose(model.predict(x, verbose=0), expected, rtol=1e-12, atol=1e-14, err_msg=what)


def test_a_product_over_a_row_is_trained() -> None:
    rng = np.random.default_rng(0)
    with float_type("float64"):
        model = nn.Sequential(
            [nn.Input((3,)), Dense(5), Activation(lambda x: x * ops.prod(x, axis=-1, keepdims=True)), Dense(2)]
        )
        loss = losses.MeanSquaredError()
        descent(model, loss)
        x, y = rng.normal(size=(6, 3)), rng.normal(size=(6, 2))
        for got, expected in zip(trained_gradients(model, x, y), central_differences(model, loss, x, y), strict=True):
            np.testing.assert_allclose(got, expected, rtol=1e-6, atol=1e-8)


def test_expressions_compute_what_arrays_do() -> None:
    """Formulas whose operands or results are no plain columns, on symbols and on arrays."""
    labels, scores = np.array([2.0, 0.0, 1.0]), np.array([[1.0, 3.0, 3.0], [5.0, 2.0, 7.0], [0.0, 9.0, 1.0]])
    for k in (1, 2, 3):
        a, b = symbol("labels", labels), symbol("scores", scores)
        got = evaluate(ops.cast(ops.in_top_k(a, b, k), None), {a: labels, b: scores})
        np.testing.assert_array_equal(got[:, 0], ops.in_top_k(labels, scores, k))
    np.testing.assert_array_equal(ops.in_top_k(labels, scores, 1), [True, False, True])
    x = symbol("x", X)
    for found, expected in (
        (ops.digitize(x, [-0.5, 0.0, 0.5]), ops.digitize(X, [-0.5, 0.0, 0.5])),
        (ops.searchsorted([-0.5, 0.0, 0.5], x), ops.searchsorted([-0.5, 0.0, 0.5], X)),
        (ops.saturate_cast(x * 300.0, "int8"), ops.saturate_cast(X * 300.0, "int8")),
        (ops.isin(x, [float(X[0, 0])], invert=True), ops.isin(X, [X[0, 0]], invert=True)),
        (ops.average(x, axis=-1, weights=ops.abs(x)), ops.average(X, axis=-1, weights=np.abs(X))),
    ):
        np.testing.assert_allclose(np.reshape(evaluate(found, {x: X}), np.shape(expected)), expected, rtol=1e-14)


# ------------------------------------------------------------------ in schedules and in exports


def test_a_number_per_step_is_computed_by_math_h() -> None:
    class Cosine(nn.optimizers.SGD):
        def update(self, w: Any, g: Any, *, step: Any) -> Any:
            rate = ops.cos(step) + ops.arctan(step) + ops.exp2(-step) + ops.log2(step + 1.0) + ops.fmod(step, 2.0)
            rate = rate + ops.sin(step) + ops.erfc(step) + ops.copysign(0.5, -step)
            return (w - rate * g,)

    model = nn.Sequential([nn.Input((1,)), Dense(1, use_bias=False)])
    model.set_weights([np.zeros((1, 1), "float32")])
    model.compile(Cosine(1.0), lambda y_true, y_pred: ops.sum(y_true * y_pred, axis=-1))
    total = 0.0
    for step in range(1, 4):
        model.train_on_batch(np.ones((1, 1)), np.ones((1, 1)))
        total += math.cos(step) + math.atan(step) + 2.0**-step + math.log2(step + 1) + step % 2
        total += math.sin(step) + math.erfc(step) - 0.5
    assert float(model.get_weights()[0][0, 0]) == pytest.approx(-total, rel=1e-6)


# ------------------------------------------------------------------ arrays


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_arrays_keep_their_type_and_whole_numbers_get_that_of_the_layers(dtype: str) -> None:
    x, whole = X.astype(dtype), np.arange(1, 7).reshape(2, 3)
    for name in (
        "sin",
        "arcsinh",
        "cbrt",
        "erfc",
        "erfinv",
        "var",
        "std",
        "norm",
        "nanmean",
        "normalize",
        "exp2",
        "mean",
    ):
        assert getattr(ops, name)(x).dtype == dtype, name
        if name not in ("normalize", "erfinv"):
            assert getattr(ops, name)(whole).dtype == "float32", name
    assert ops.arctan2(x, whole[:1, :1]).dtype == dtype
    assert (
        ops.mod(whole, 4).dtype.kind == "i"
        and ops.arange(3).dtype == "int32"
        and ops.linspace(0, 1, 3).dtype == "float32"
    )
    assert isinstance(ops.sin(0.5), float)


def test_the_inverse_of_erf_is_exact_in_numpy() -> None:
    mpmath = pytest.importorskip("mpmath")
    x = np.r_[1 - np.geomspace(2.0**-53, 0.9, 60), -np.geomspace(1e-300, 0.9, 60)]
    exact = np.array([float(mpmath.erfinv(mpmath.mpf(v))) if abs(v) < 0.9 else _tail(mpmath, v) for v in x.tolist()])
    np.testing.assert_allclose(ops.erfinv(x), exact, rtol=6e-16)


def _tail(mpmath: Any, x: float) -> float:
    with mpmath.workdps(40):
        return float(mpmath.findroot(lambda y: mpmath.log(mpmath.erfc(y) / (1 - mpmath.mpf(x))), float(ops.erfinv(x))))
