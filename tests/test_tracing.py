"""What cannot become C is refused, with the line of the user's that is the cause; functions as layers."""

from __future__ import annotations

import inspect
import json
import math
import operator
import re
from typing import Any

import numpy as np
import pytest

import nncompile as nn
from nncompile import absent, layers, ops
from nncompile.compiler.expression import trace
from nncompile.errors import ModelError, UnsupportedError
from nncompile.layers import Dense, Lambda
from nncompile.ops import ELEMENT, Expression

X = ops.symbol("x", ELEMENT, (None, 4))
SEEN: list[Any] = []


def branch(x: Any) -> Any:
    if ops.sum(x, axis=-1) > 0:  # the cause
        return x
    return -x


def both(x: Any) -> Any:
    return ops.where(x > 0 and x < 1, x, 0.0)  # the cause


def loop(x: Any) -> Any:
    while x < 10:  # the cause
        x = x * 2
    return x


def assign(x: Any) -> Any:
    y = x * 2
    y[:, 0] = 0.0  # the cause
    return y


def number(x: Any) -> Any:
    return x * float(x[:, :1])  # the cause


def standard_library(x: Any) -> Any:
    return math.sin(x)  # the cause


def numpy_function(x: Any) -> Any:
    return np.tanh(x)  # the cause


def numpy_reduction(x: Any) -> Any:
    return x - np.mean(x, axis=-1)  # the cause


def numpy_array(x: Any) -> Any:
    return x * np.ones((4, 4))  # the cause


def method(x: Any) -> Any:
    return x.sum(axis=-1)  # the cause


def to_numpy(x: Any) -> Any:
    return x.numpy()  # the cause


def rows(x: Any) -> Any:
    return x / x.shape[0]  # the cause


def length(x: Any) -> Any:
    return x / len(x)  # the cause


def each_row(x: Any) -> Any:
    return [ops.exp(row) for row in x]  # the cause


def as_index(x: Any) -> Any:
    return [1.0, 2.0][x]  # the cause


def contains(x: Any) -> Any:
    return 1.0 if 0.0 in x else x  # the cause


def axes(x: Any) -> Any:
    return x - ops.mean(x, axis=-1)  # the cause


def bessel(x: Any) -> Any:
    return ops.i0(x)  # the cause


def conditional(x: Any) -> Any:
    return ops.cond(x, lambda: 1.0, lambda: 0.0)  # the cause


def image(x: Any) -> Any:
    return ops.conv(x, x)  # the cause


MISTAKES = {
    branch: r"ops\.where", both: "& and", loop: r"ops\.where", assign: r"in place.*ops\.where", number: r"float\(\)",
    standard_library: "module math", numpy_function: r"np\.tanh", numpy_reduction: r"np\.mean", numpy_array: r"\(4, 4\)",
    method: r"write ops\.sum\(x", to_numpy: "numbers are not known", rows: "rows, which is None", length: r"len\(\)",
    each_row: r"x\[:, i\]", as_index: r"float\(\)", contains: r"ops\.equal",
    axes: "keepdims=True", bessel: "Bessel", conditional: r"ops\.where", image: "images",
}  # fmt: skip


@pytest.mark.parametrize("formula", MISTAKES)
def test_a_mistake_is_named_with_its_line(formula: Any) -> None:
    """In whatever formula it is, called by another one, the innermost line of the user's is named."""
    lines, first = inspect.getsourcelines(formula)
    at = next(i for i, line in enumerate(lines) if line.endswith("# the cause\n"))
    with pytest.raises((ModelError, UnsupportedError), match=MISTAKES[formula]) as caught:
        trace(lambda x: formula(x) * 2.0, X)
    message = str(caught.value)
    assert message.endswith(f'\n  File "{__file__}", line {first + at}: {lines[at].strip()}')
    assert message.count("\n") == 1


def test_the_line_is_named_whoever_asks_for_the_c() -> None:
    """Of a layer that fit compiles, an activation, a loss and an optimizer."""

    def loss(y_true: Any, y_pred: Any) -> Any:
        return ops.mean(np.abs(y_pred - y_true), axis=-1)  # of the loss

    class Wrong(nn.optimizers.SGD):
        def update(self, w: Any, g: Any, *, step: Any) -> Any:
            return (w - g if step > 3 else w,)  # of the optimizer

    def model(activation: Any = None) -> Any:
        return nn.Sequential([nn.Input((3,)), Dense(2, activation=activation)])

    x, y = np.ones((4, 3)), np.ones((4, 2))
    with pytest.raises(ModelError, match=r"test_tracing\.py.*# the cause"):
        model(numpy_function).predict(x, verbose=0)
    for changed, mark in (({"loss": loss}, "of the loss"), ({"optimizer": Wrong(), "loss": "mse"}, "of the optimizer")):
        wrong = model()
        wrong.compile(**changed)
        with pytest.raises(ModelError, match=rf"test_tracing\.py.*# {mark}"):
            wrong.fit(x, y, verbose=0)


def test_mistakes_of_python_stay_what_they_are() -> None:
    def undefined(x: Any) -> Any:
        return x * nothing  # type: ignore[name-defined]  # noqa: F821

    with pytest.raises(NameError):
        trace(undefined, X)
    with pytest.raises(ZeroDivisionError):
        trace(lambda x: x * (1 / 0), X)
    assert not hasattr(X, "anything") and hasattr(X, "shape")
    with pytest.raises(TypeError, match="positional argument"):  # of the call, not of a line of the formula
        trace(branch, X, X)


def test_what_python_does_meanwhile_is_done_once() -> None:
    def formula(x: Any) -> Any:
        SEEN.append(x)
        total = x
        for power in range(2, 4):
            total = total + x**power
        return total if SEEN else x

    made = trace(formula, X)
    assert SEEN == [X] and isinstance(made, Expression)


def test_operators_are_those_of_a_tensor() -> None:
    y = ops.symbol("y", ELEMENT, (None, 4))
    for symbol in (operator.mod, operator.floordiv):
        name = {"mod": "mod", "floordiv": "floor_divide"}[symbol.__name__]
        assert symbol(X, 3.0) is getattr(ops, name)(X, 3.0) and symbol(3.0, X) is getattr(ops, name)(3.0, X)
    assert ((y > 0) & (X > 1)) is ops.logical_and(y > 0, X > 1) and ((y > 0) | (X > 1)) is ops.logical_or(y > 0, X > 1)
    assert ((y > 0) ^ (X > 1)) is ops.logical_xor(y > 0, X > 1) and (~(y > 0)) is ops.logical_not(y > 0)
    assert round(X) is ops.round(X) and round(X, 1) is ops.round(X, 1)
    assert (X == 1) is ops.equal(X, 1) and (X != y) is ops.not_equal(X, y) and (y == X) is ops.equal(X, y)
    assert (X == "a") is False and (X != None) is True  # noqa: E711
    two = np.float32(2)
    assert (two == X) is ops.equal(2.0, X) and two % X is ops.mod(2.0, X) and two // X is ops.floor_divide(2.0, X)


def test_names_of_keras_that_are_refused() -> None:
    for reason, names in absent.ABSENT["ops"].items():
        for name in names.split():
            assert not hasattr(ops, name) and name not in ops.__all__
            with pytest.raises(UnsupportedError, match=rf"ops\.{name} is not supported: {re.escape(reason)}"):
                getattr(ops, name)
    assert "not supported yet" not in absent.ABSENT["ops"]
    assert ops.nn.relu is ops.relu and ops.numpy.add is ops.add and ops.linalg.norm is ops.norm
    assert len(set(ops.__all__)) == len(ops.__all__) and all(hasattr(ops, name) for name in ops.__all__)


@pytest.mark.parametrize("name", ["i0", "nonzero", "histogram", "gcd", "allclose"])
def test_what_is_of_arrays_alone_says_why(name: str) -> None:
    arguments = {"gcd": (X, X), "allclose": (X, X)}.get(name, (X,))
    with pytest.raises(UnsupportedError, match=rf"ops\.{name}: "):
        getattr(ops, name)(*arguments)


# ------------------------------------------------------------------ functions as layers


def test_a_function_is_a_layer() -> None:
    def scaled(x: Any, factor: float, training: bool = False) -> Any:
        return ops.tanh(x) * (factor if not training else 0.0)

    model = nn.Sequential(
        [nn.Input((3,)), Dense(4), Lambda(scaled, arguments={"factor": 2.5}), Lambda(lambda x: x[:, :2])]
    )
    x = np.random.default_rng(0).normal(size=(5, 3)).astype("float32")
    assert model.output_shape == (None, 2)
    np.testing.assert_allclose(model.layers[1](x), np.tanh(x) * 2.5, rtol=1e-6)
    np.testing.assert_array_equal(model.layers[1](x, training=True), 0 * x)
    assert Lambda(lambda x: x, output_shape=(7,)).compute_output_shape((None, 3)) == (None, 7)
    assert Lambda(lambda x: x, output_shape=lambda s: (s[0], 2 * s[1])).compute_output_shape((None, 3)) == (None, 6)
    softened = nn.Sequential([nn.Input((3,)), Dense(4), Lambda(lambda x: ops.softmax(x * 0.5))])
    kernel, bias = softened.get_weights()
    expected = ops.softmax((x @ kernel + bias) * 0.5)
    np.testing.assert_allclose(softened.predict(x, verbose=0), expected, rtol=1e-5)
    assert "Lambda" in softened.source()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [({"function": 3}, "expected a function"), ({"function": abs, "output_shape": 3}, "output_shape"),
     ({"function": abs, "mask": abs}, "mask")],
)  # fmt: skip
def test_wrong_arguments_of_a_lambda(arguments: Any, message: str) -> None:
    with pytest.raises((ModelError, UnsupportedError), match=message):
        Lambda(**arguments)


def doubled(x: Any) -> Any:
    return x * 2.0


def test_files_bring_no_functions(tmp_path: Any) -> None:
    """What is in memory can be copied; a lambda is not saved, and what was saved by name is not loaded."""
    layer = Lambda(doubled, name="twice")
    again = Lambda.from_config(layer.get_config())
    assert again.function is doubled and again.name == "twice"
    form = json.loads(json.dumps(layers.serialize(layer)))
    assert form["module"] == "keras.layers" and form["config"]["function"]["config"] == "doubled"
    with pytest.raises(UnsupportedError, match=r"Lambda 'twice'.*register_keras_serializable"):
        layers.deserialize(form)
    with pytest.raises(UnsupportedError, match="lambda"):
        layers.serialize(Lambda(lambda x: x))
    model = nn.Sequential([nn.Input((3,)), layer])
    model.save(tmp_path / "m.keras")
    with pytest.raises(UnsupportedError, match="Lambda"):
        nn.saving.load_model(tmp_path / "m.keras")
