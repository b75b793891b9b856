"""Formulas as data: simplified, differentiated, and printed as C that computes what NumPy computes."""

from __future__ import annotations

import re
import sys
from typing import Any

import numpy as np
import pytest
from formulas import OVER_ROWS, compute, random_tree
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import central_differences, descent, float_type, target, trained_gradients
from symbolic import evaluate, symbol

import nncompile as nn
from nncompile import losses, ops, targets
from nncompile.compiler.expression import Names, differentiate, identifier, literal, trace
from nncompile.errors import ModelError
from nncompile.layers import Activation, Dense
from nncompile.ops import ELEMENT, NUMBER, ROW, UNIFORM, Expression

pytestmark = pytest.mark.quick_c

ROWS, COLUMNS = 4, 5


@pytest.fixture
def double() -> Any:
    with float_type("float64"):
        yield


def leaves(seed: int) -> dict[str, Any]:
    """Two blocks of rows, a value per row, and a number."""
    rng = np.random.default_rng(seed)
    return {"x1": rng.normal(size=(ROWS, COLUMNS)), "x2": rng.normal(size=(ROWS, COLUMNS)), "row": rng.normal(size=ROWS),
            "number": float(rng.normal())}  # fmt: skip


def in_rows(values: dict[str, Any]) -> dict[str, Any]:
    """A value per row beside columns, as keepdims gives it."""
    return {n: ops.expand_dims(v, -1) if n == "row" else v for n, v in values.items()}


# ------------------------------------------------------------------ values and gradients of random formulas


@pytest.mark.parametrize("seed", range(200))
def test_a_simplified_formula_has_the_value_of_the_formula(seed: int) -> None:
    values = leaves(seed)
    tree = random_tree(np.random.default_rng(seed), [*values], depth=5)
    symbols = {n: symbol(n, v) for n, v in values.items()}
    with float_type("float64"):
        expected = compute(tree, in_rows(values))
        root = compute(tree, in_rows(symbols))
        if not isinstance(root, Expression):
            assert root == expected
            return
        got = evaluate(root, {symbols[n]: v for n, v in values.items()})
    np.testing.assert_allclose(np.broadcast_to(got, np.shape(expected)), expected, rtol=1e-13, atol=1e-13)


@pytest.mark.usefixtures("double")
@pytest.mark.parametrize("seed", range(200))
def test_a_gradient_is_what_differences_say(seed: int) -> None:
    values = leaves(seed)
    tree = random_tree(np.random.default_rng(seed), [*values], depth=4)
    rng = np.random.default_rng(seed + 1)
    weights = rng.normal(size=(ROWS, COLUMNS))

    def total(values: dict[str, Any]) -> float:
        return float(np.sum(weights * (compute(tree, in_rows(values)) + 0.1 * values["x1"])))

    symbols = {n: symbol(n, v) for n, v in values.items()}
    g = symbol("g", weights)
    root = compute(tree, in_rows(symbols)) + 0.1 * symbols["x1"]
    wanted = ["x1", "x2", "row"]
    gradients = differentiate(root, g, [symbols[n] for n in wanted])
    known = {**{symbols[n]: v for n, v in values.items()}, g: weights}
    for name, gradient in zip(wanted, gradients, strict=True):
        got = np.zeros_like(values[name]) if gradient is None else evaluate(gradient, known)
        got = np.broadcast_to(got, values[name].shape) if values[name].ndim == 2 else np.reshape(got, -1)
        for index in np.ndindex(values[name].shape):
            found = []
            for step in (1e-4, 5e-5, 2.5e-5):
                moved = {s: {**values, name: values[name].copy()} for s in (step, -step)}
                for distance, there in moved.items():
                    there[name][index] += distance
                found.append((total(moved[step]) - total(moved[-step])) / (2 * step))
            size = 1 + np.max(np.abs(found))
            if np.ptp(found) > 1e-4 * size:  # a kink or a jump is near
                continue
            best = (4 * found[2] - found[1]) / 3
            assert abs(got[index] - best) < 2e-7 * size, (tree, name, index)


@pytest.mark.parametrize("seed", [pytest.param(s, marks=pytest.mark.quick_c(s >= 6)) for s in range(12)])
def test_printed_c_computes_what_numpy_computes(seed: int) -> None:
    """Values, losses and gradients in float64: on tiles, over rows, and with the loss."""
    rng = np.random.default_rng(seed)
    trees = [random_tree(rng, ["x"], 4, over_rows=over) for over in (False, True, False, True)]
    formulas = [lambda x, tree=tree: 0.5 * x + compute(tree, {"x": x}) for tree in trees]
    available = targets.available()
    with float_type("float64"), target(available[seed % len(available)].name):
        nn.utils.set_random_seed(seed)
        model = nn.Sequential([nn.Input((3,))])
        for formula, units in zip(formulas, (int(rng.integers(1, 20)), 4, 5, 3), strict=True):
            model.add(Dense(units, bias_initializer="uniform"))
            model.add(Activation(formula))
        loss = losses.MeanSquaredError()
        descent(model, loss)
        x, y = rng.normal(size=(6, 3)), rng.normal(size=(6, 3))
        expected = model.call(x)
        np.testing.assert_allclose(model.evaluate(x, y, verbose=0), loss(y, expected), rtol=1e-11)
        np.testing.assert_allclose(model.predict(x, verbose=0), expected, rtol=1e-11, atol=1e-11)
        numbers = compared = 0
        fine, coarse = (central_differences(model, loss, x, y, step) for step in (1e-5, 4e-5))
        for got, one, other in zip(trained_gradients(model, x, y), fine, coarse, strict=True):
            size = 1 + np.max(np.abs(one))
            steady = np.abs(one - other) < 1e-6 * size  # no kink or jump is near
            np.testing.assert_allclose(got[steady], one[steady], rtol=0, atol=3e-6 * size)
            numbers += steady.size
            compared += int(steady.sum())
        assert compared > 0.8 * numbers


# ------------------------------------------------------------------ simplification

X = ops.symbol("x", ELEMENT, (None, COLUMNS))
Y = ops.symbol("y", ELEMENT, (None, COLUMNS))


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (lambda: X + 0.0, X),
        (lambda: 0 + X, X),
        (lambda: X - 0, X),
        (lambda: 0.0 - X, -X),
        (lambda: X * 1.0, X),
        (lambda: 1 * X, X),
        (lambda: X * -1.0, -X),
        (lambda: X / 1, X),
        (lambda: -(-X), X),
        (lambda: X**1, X),
        (lambda: X**2, X * X),
        (lambda: X**0.5, ops.sqrt(X)),
        (lambda: X**-1.0, 1.0 / X),
        (lambda: ops.reciprocal(X), 1.0 / X),
        (lambda: X + Y, Y + X),
        (lambda: X * Y, Y * X),
        (lambda: ops.maximum(0.0, X), ops.maximum(X, 0.0)),
        (lambda: ops.constant(2.0) + 3.0, ops.constant(5.0)),
        (lambda: ops.sqrt(ops.constant(2.0)) ** 2, ops.constant(np.sqrt(2.0) ** 2)),
        (lambda: ops.reshape(X, (-1, COLUMNS)), X),
        (lambda: ops.cast(X, "float32"), X),
        (lambda: ops.squeeze(ops.sum(X, axis=-1, keepdims=True), -1), ops.sum(X, axis=-1)),
        (lambda: ops.expand_dims(ops.sum(X, axis=-1), -1), ops.sum(X, axis=-1, keepdims=True)),
    ],
)
def test_what_is_simplified(made: Any, expected: Expression) -> None:
    assert made() is expected


@pytest.mark.parametrize(
    "formula",
    [
        lambda x, y: x * 0.0,
        lambda x, y: x - x,
        lambda x, y: x / x,
        lambda x, y: x - y - x,
        lambda x, y: x + y - y,
        lambda x, y: ops.where(ops.equal(x, x), 1.0, 2.0),
        lambda x, y: ops.maximum(x, x * 2.0),
        lambda x, y: ops.minimum(x, 0.0),
        lambda x, y: ops.clip(x, -1.0, 1.0),
        lambda x, y: ops.sign(x) + ops.abs(x),
        lambda x, y: ops.max(x, axis=-1, keepdims=True) + 0.0 * y,
    ],
)
def test_what_is_not_simplified_as_nan_and_rounding_would_be_lost(formula: Any) -> None:
    x = np.array([[np.nan, np.inf, 1.0, 0.0, -1e30], [-np.inf, 3.0, 1e-300, -0.0, 1e30]])
    y = np.full((2, COLUMNS), 1.5)
    with np.errstate(all="ignore"):
        expected = formula(x, y)
    np.testing.assert_array_equal(evaluate(formula(X, Y), {X: x, Y: y}), expected)


def test_equal_expressions_are_the_same_object() -> None:
    assert ops.exp(X + Y) is ops.exp(Y + X)
    assert ops.sum(X, axis=-1) is ops.sum(X, axis=-1) is ops.sum(X, axis=1)
    assert ops.constant(0.0) is not ops.constant(-0.0)
    assert ops.symbol("x", ELEMENT, (None, COLUMNS)) is not X, "two symbols are two things"


def test_levels_and_shapes() -> None:
    rate, w = ops.symbol("rate", NUMBER), ops.symbol("w", UNIFORM)
    assert (rate * 2).level == NUMBER and (rate * w).level == UNIFORM and (w + X).level == ELEMENT
    row = ops.sum(X, axis=-1)
    assert (row.level, row.shape) == (ROW, (None,)) and ops.sum(X, axis=-1, keepdims=True).shape == (None, 1)
    assert (row * w).shape == (None,) and (ops.sum(X, axis=-1, keepdims=True) / X).shape == (None, COLUMNS)
    assert ops.argmax(X, axis=-1).level == ROW and ops.less(X, Y).mask and not ops.cast(ops.less(X, Y), None).mask
    label = ops.symbol("label", ROW, (None,))
    assert ops.one_hot(label, 7).shape == (None, 7)
    cube = ops.symbol("c", ELEMENT, (None, 2, 3))
    assert ops.reshape(cube, (-1, 6)).shape == (None, 6) and ops.mean(cube, axis=-1).shape == (None, 2)


# ------------------------------------------------------------------ gradients that authors state


@ops.custom_gradient
def doubled(x: Any) -> Any:
    """x, with a gradient that is twice too large."""
    return x * 1.0 + 0.0, lambda g: 2.0 * g


@ops.custom_gradient
def scaled(x: Any, y: Any) -> Any:
    return x * y, lambda g: (g * y * 10.0, None)


def gradient_of(root: Expression, wanted: list[Expression], values: dict[Expression, Any]) -> list[Any]:
    g = ops.symbol("g", ELEMENT, (None, COLUMNS))
    ones = np.ones((ROWS, COLUMNS))
    found = differentiate(root, g, wanted)
    return [None if f is None else np.broadcast_to(evaluate(f, {**values, g: ones}), (ROWS, COLUMNS)) for f in found]


def test_a_custom_gradient_stands_for_that_of_the_formula() -> None:
    values = {X: leaves(0)["x1"], Y: leaves(0)["x2"]}
    x, y = values[X], values[Y]
    np.testing.assert_array_equal(gradient_of(doubled(X), [X], values)[0], 2.0)
    np.testing.assert_allclose(gradient_of(ops.tanh(doubled(X * 3.0)), [X], values)[0], (1 - np.tanh(3 * x) ** 2) * 6)
    by_x, by_y = gradient_of(scaled(X, Y) + Y, [X, Y], values)
    np.testing.assert_allclose(by_x, 10 * y)
    np.testing.assert_allclose(by_y, 1.0)
    np.testing.assert_array_equal(doubled(x), x)
    np.testing.assert_array_equal(evaluate(scaled(X, Y), values), x * y)


def test_a_custom_gradient_of_a_value_per_row() -> None:
    @ops.custom_gradient
    def length(x: Any) -> Any:
        result = ops.sqrt(ops.sum(x * x, axis=-1, keepdims=True))
        return result, lambda g: g * x * 3.0

    values = {X: leaves(0)["x1"]}
    np.testing.assert_allclose(gradient_of(length(X) * 2.0 + 0.0 * X, [X], values)[0], values[X] * 3.0 * 2.0 * COLUMNS)


def test_a_custom_gradient_in_c() -> None:
    with float_type("float64"):
        model = nn.Sequential([nn.Input((3,)), Dense(4, activation=doubled), Dense(2)])
        plain = nn.Sequential([nn.Input((3,)), Dense(4), Dense(2)])
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(5, 3)), rng.normal(size=(5, 2))
    plain.set_weights(model.get_weights())
    got, expected = (trained_gradients(descent(m, "mse"), x, y) for m in (model, plain))
    for one, other, factor in zip(got, expected, (2, 2, 1, 1), strict=True):
        np.testing.assert_allclose(one, factor * other, rtol=1e-10)


def test_a_loss_with_a_custom_gradient() -> None:
    @ops.custom_gradient
    def tenfold(y_true: Any, y_pred: Any) -> Any:
        e = y_pred - y_true
        return ops.mean(e * e, axis=-1), lambda g: (None, g * 20.0 / 2 * e)

    with float_type("float64"):
        model = nn.Sequential([nn.Input((3,)), Dense(2)])
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(5, 3)), rng.normal(size=(5, 2))
    expected = trained_gradients(descent(model, "mse"), x, y)
    for one, other in zip(trained_gradients(descent(model, tenfold), x, y), expected, strict=True):
        np.testing.assert_allclose(one, 10 * other, rtol=1e-10)


def test_a_layer_can_stop_gradients_between_two_products() -> None:
    for layer in (Activation(ops.stop_gradient), Activation(lambda x: ops.stop_gradient(ops.softmax(x)))):
        with float_type("float64"):
            model = nn.Sequential([nn.Input((3,)), Dense(4), layer, Dense(2)])
        x, y = np.ones((5, 3)), np.ones((5, 2))
        first, bias, second, last = trained_gradients(descent(model, "mse"), x, y)
        assert not first.any() and not bias.any() and second.any() and last.any()


def test_stop_gradient() -> None:
    values = {X: leaves(0)["x1"]}
    x = values[X]
    assert gradient_of(ops.stop_gradient(X) * Y, [X], {**values, Y: x})[0] is None
    np.testing.assert_allclose(gradient_of(ops.stop_gradient(X) * X, [X], values)[0], x)
    np.testing.assert_array_equal(ops.stop_gradient(x), x)
    for name in ("floor", "round", "sign"):
        assert gradient_of(getattr(ops, name)(X), [X], values)[0] is None
    assert gradient_of(ops.cast(ops.less(X, 0.0), None), [X], values)[0] is None


def test_the_gradient_of_a_maximum_goes_to_one_operand_or_is_shared_among_equals() -> None:
    x = np.array([[1.0, 3.0, 3.0, -1.0, 0.0]] * ROWS)
    values = {X: x}
    np.testing.assert_array_equal(gradient_of(ops.maximum(X, 0.0), [X], values)[0], (x > 0).astype(float))
    np.testing.assert_array_equal(gradient_of(ops.minimum(X, 3.0), [X], values)[0], (x < 3).astype(float))
    shared = gradient_of(ops.max(X, axis=-1, keepdims=True) + 0.0 * X, [X], values)[0]
    np.testing.assert_array_equal(shared, (x == 3) / 2 * COLUMNS)


def test_gradients_are_stated_in_results_where_that_saves_an_operand() -> None:
    for name in ("tanh", "exp", "sigmoid", "sqrt", "expm1"):
        y = getattr(ops, name)(X)
        g = ops.symbol("g", ELEMENT, (None, COLUMNS))
        (found,) = differentiate(y, g, [X])
        reached, stack = set(), [found]
        while stack:
            node = stack.pop()
            if node is not y and node not in reached:
                reached.add(node)
                stack.extend(node.args)
        assert X not in reached, f"{name}: backward would keep its operand as well"


# ------------------------------------------------------------------ weights


class OfWeights(nn.layers.Layer):
    """A formula of a number, a number per feature and the input."""

    def __init__(self, formula: Any, trainable: bool = True) -> None:
        super().__init__()
        self.formula, self.trained = formula, trainable

    def build(self, input_shape: Any) -> None:
        self.scale = self.add_weight(shape=(), initializer="uniform", trainable=False, name="scale")
        self.shift = self.add_weight(
            shape=input_shape[-1:], initializer="uniform", trainable=self.trained, name="shift"
        )

    def call(self, inputs: Any) -> Any:
        return self.formula(inputs, self.scale, self.shift)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape


@pytest.mark.parametrize(
    "formula",
    [
        lambda x, a, b: x * ops.exp(a) + ops.square(b),
        lambda x, a, b: a * x + b,
        lambda x, a, b: x + b * b * a,
        lambda x, a, b: x - (-b) / (a + 2.0),
        lambda x, a, b: ops.softmax(x * (1.0 + b**2) + a),
        lambda x, a, b: ops.where(ops.less(x, b), a, x * b),
        lambda x, a, b: ops.tanh(x) * b + ops.maximum(b, a),
        lambda x, a, b: x + ops.log(ops.sqrt(ops.abs(a) + 1.0)) * ops.sum(x * b, axis=-1, keepdims=True),
    ],
)
def test_what_is_made_of_weights_alone_is_not_fixed_when_it_is_compiled(formula: Any) -> None:
    rng = np.random.default_rng(0)
    with float_type("float64"):
        model = nn.Sequential([nn.Input((3,)), Dense(4), OfWeights(formula), Dense(2)])
        loss = losses.MeanSquaredError()
    descent(model, loss)
    x, y = rng.normal(size=(5, 3)), rng.normal(size=(5, 2))
    for _ in range(2):
        np.testing.assert_allclose(model.predict(x, verbose=0), model.call(x), rtol=1e-12, atol=1e-12)
        expected = central_differences(model, loss, x, y)
        for got, other in zip(trained_gradients(model, x, y), expected, strict=True):
            np.testing.assert_allclose(got, other, rtol=1e-6, atol=1e-8)
        model.set_weights([w + 0.3 for w in model.get_weights()])


@pytest.mark.parametrize("shapes", [((None, 4), (1,)), ((None, 1), (4,)), ((None, 1), (None, 4))])
def test_one_column_meets_several_as_a_value_per_row(shapes: Any) -> None:
    """What stands behind the last column in memory is no number of the value."""
    one, other = (nn.Variable(np.ones(s)) if len(s) == 1 else ops.symbol("s", ELEMENT, s) for s in shapes)
    met = ops.multiply(one, other)
    assert met.shape == (None, 4) and met.level == ELEMENT
    assert sorted(a.level for a in met.args) == [ops.UNIFORM if (1,) in shapes else ops.ROW, ELEMENT]


def test_a_weight_alone_is_reduced() -> None:
    """In a layer, where it is the same for all rows."""
    model = nn.Sequential([nn.Input((3,)), OfWeights(lambda x, a, b: x * ops.sum(b, axis=-1, keepdims=True))])
    x = np.arange(6.0, dtype="float32").reshape(2, 3)
    shift, _ = model.get_weights()
    np.testing.assert_allclose(model.predict(x, verbose=0), x * shift.sum(), rtol=1e-5)


# ------------------------------------------------------------------ mistakes


@pytest.mark.parametrize(
    ("mistake", "message"),
    [
        (lambda: bool(X), r"ops\.where"),
        (lambda: 1 if X < 0 else 2, r"ops\.where"),
        (lambda: X and Y, r"ops\.where"),
        (lambda: 0 < X < 1, r"ops\.where"),
        (lambda: float(X), r"float\(\)"),
        (lambda: int(X), r"float\(\)"),
        (lambda: np.exp(X), r"nncompile\.ops"),
        (lambda: np.sum(X), r"nncompile\.ops"),
        (lambda: np.asarray(X), r"nncompile\.ops"),
        (lambda: np.maximum(X, 0), r"nncompile\.ops"),
        (lambda: np.where(ops.less(X, 0.0), X, Y), r"nncompile\.ops"),
        (lambda: X + np.ones((2, 5)), r"array of shape \(2, 5\)"),
        (lambda: np.arange(65.0) * X, r"array of shape \(65,\)"),
        (lambda: X - ops.mean(X, axis=-1), r"keepdims=True"),
        (lambda: ops.where(ops.less(ops.sum(X, axis=-1), 0.0), X, Y), r"keepdims=True"),
        (lambda: ops.sum(X, axis=-1) + ops.sum(X, axis=-1, keepdims=True), r"keepdims=True"),
        (lambda: ops.max(X, axis=0), r"axis=-1"),
        (lambda: ops.exp(ops.max(X)), r"axis=-1"),
        (lambda: ops.max(ops.sum(X, axis=-1), axis=-1), r"axis|column"),
        (lambda: ops.sum(ops.symbol("n", UNIFORM), axis=-1), r"axis|single number"),
        (lambda: ops.mean(ops.symbol("w", ELEMENT, (None, None)), axis=-1), r"number of columns"),
        (lambda: X + ops.symbol("z", ELEMENT, (None, 4)), r"\(None, 5\).*\(None, 4\)"),
        (lambda: ops.matmul(X, X), r"\(None, 5\) and \(None, 5\) do not fit"),
        (lambda: ops.matmul(X, nn.Variable(np.ones((4, 2)), path="a/kernel")), r"a/kernel of shape \(4, 2\)"),
        (lambda: X * nn.Variable(np.ones((5, 5)), path="a/kernel"), r"a/kernel.*ops\.matmul"),
        (lambda: ops.reshape(X, (5, -1)), r"\(-1, sizes"),
        (lambda: ops.reshape(X, (-1, 4)), r"\(5,\).*\(4,\)"),
    ],
)  # fmt: skip
def test_mistakes_say_what_to_do(mistake: Any, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        mistake()


def test_numpy_numbers_may_stand_on_either_side() -> None:
    assert np.float32(2) * X is 2.0 * X
    assert np.float64(3) - X is 3.0 - X
    assert np.int64(1) / X is 1.0 / X
    assert X * np.float32(0.5) is X * 0.5
    assert (np.float64(0) < X) is ops.less(0.0, X)


# ------------------------------------------------------------------ names and printed text


def printed(formula: Any, width: int = COLUMNS, metrics: Any = (), loss: Any = "mse") -> str:
    """The C of a network that ends in a formula over rows."""
    model = nn.Sequential([nn.Input((3,)), Dense(width), Activation(formula)])
    model.compile("sgd", loss, metrics=list(metrics))
    model.train_on_batch(np.ones((2, 3)), np.ones((2, width)))
    return str(model.source())


def test_values_are_called_what_the_author_called_them() -> None:
    def formula(x: Any) -> Any:
        weighted = x * 0.5
        largest = ops.max(weighted, axis=-1, keepdims=True)
        distance = largest - weighted
        return ops.exp(-distance)

    common = ("const vec weighted = ", "const vec distance = largest - weighted;", "nn_exp(-distance)")
    for width, more in (
        (40, "largest_lanes = nn_max(largest_lanes, "),
        (3, "largest = nn_max(largest, "),
    ):
        text = printed(formula, width)
        for line in (*common, more):
            assert line in text, line


def test_names_of_the_author_cannot_meet_those_of_c() -> None:
    def formula(x: Any) -> Any:
        double = x * 2.0
        r = ops.sum(double * double, axis=-1, keepdims=True)
        c = double / (1.0 + r)
        nn_exp = ops.tanh(c)
        state = nn_exp + c
        static = ops.exp(state * 0.1)
        b = static * nn_exp
        rows = b - static
        vec = rows * rows
        PANEL = vec + rows
        return vec - PANEL * 0.5

    text = printed(formula)
    assert "const vec double_ = " in text
    with pytest.raises(AssertionError):
        assert re.search(r"const vec (double|r|c|b|rows|state|static|vec|nn_exp|PANEL) =", text)


def test_a_name_used_twice_is_counted() -> None:
    def formula(x: Any) -> Any:
        for _ in range(3):
            inner = ops.tanh(x) * x
            x = inner + 1.0
        return x

    text = printed(formula)
    assert "const vec inner = " in text and "const vec inner_2 = " not in text.split("const vec inner = ")[0]


def test_an_optimizer_reads_like_its_formula() -> None:
    model = nn.Sequential([nn.Input((3,)), Dense(2)])
    model.compile("adam", "mse")
    model.train_on_batch(np.ones((2, 3)), np.ones((2, 2)))
    text = model.source()
    update = text[text.index("static inline void adam_update") :]
    update = update[: update.index("\n}")]
    assert update.splitlines()[-5:] == [
        "    const vec m = momentum + (g - momentum) * rates->one_minus_beta_1;",
        "    const vec v = velocity + (g * g - velocity) * rates->one_minus_beta_2;",
        "    nn_store(w_at, w - m * rates->rate / (nn_sqrt(v) + rates->epsilon));",
        "    nn_store(momentum_at, m);",
        "    nn_store(velocity_at, v);",
    ]


def test_tracing_leaves_the_profiler_of_the_user_alone() -> None:
    events: list[str] = []

    def mine(frame: Any, event: str, argument: Any) -> None:
        events.append(event)

    sys.setprofile(mine)
    try:
        trace(lambda x: x + 1.0, X)
        assert sys.getprofile() is mine
        with pytest.raises(ModelError):
            trace(lambda x: float(x), X)
        assert sys.getprofile() is mine
    finally:
        sys.setprofile(None)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.text(max_size=60))
def test_identifiers_are_identifiers(text: str) -> None:
    name = identifier(text)
    assert re.fullmatch(r"[a-z_][a-z0-9_]{0,41}", name), name
    assert name not in ("int", "double", "real", "vec", "while", "class", "main")
    assert not name.startswith("nn_"), "the vocabulary's names are its own"


def test_names_are_given_once() -> None:
    names = Names({"c"})
    found = [names.new(w) for w in ("c", "c", "c_2", "C", "x y", "x-y")]
    assert len(set(found)) == len(found) and "c" not in found


@settings(max_examples=500, deadline=None, derandomize=True)
@given(st.floats(allow_nan=False, allow_infinity=False), st.sampled_from(["float", "double"]))
def test_literals_keep_every_bit(value: float, real: str) -> None:
    text = literal(value, real)
    number = text.removesuffix("f") if real == "float" else text
    if "INFINITY" in number:
        assert real == "float" and abs(value) > 3.4e38
        return
    assert ("." in number or "e" in number) and (text.endswith("f") == (real == "float"))
    expected = np.float32(value) if real == "float" else np.float64(value)
    assert type(expected)(number) == expected and np.signbit(type(expected)(number)) == np.signbit(expected)


def test_literals_that_are_no_numbers() -> None:
    for real in ("float", "double"):
        assert [literal(v, real) for v in (np.inf, -np.inf, np.nan)] == ["NN_INFINITY", "-NN_INFINITY", "NN_NAN"]
    assert literal(1e39, "float") == "NN_INFINITY" and literal(1e39, "double") == "1e+39"
    assert literal(3.0, "float") == "3.0f" and literal(1e-45, "float") == "1e-45f"


def test_every_operation_over_rows_is_tried() -> None:
    assert set(OVER_ROWS) >= {"sum", "mean", "max", "min", "softmax"}
