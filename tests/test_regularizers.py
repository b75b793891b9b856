"""Regularizers and constraints against real Keras, on arrays, on symbols, and as descriptions."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from symbolic import evaluate

import nncompile as nn
from nncompile import constraints, ops, registry, regularizers
from nncompile.compiler.expression import differentiate
from nncompile.errors import ModelError
from nncompile.ops import ELEMENT

# real Keras with NumPy 2
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

PENALTIES: list[tuple[str, dict[str, Any]]] = [
    ("L1", {}),
    ("L1", {"l1": 0.3}),
    ("L2", {}),
    ("L2", {"l2": None}),
    ("L1L2", {}),
    ("L1L2", {"l1": 0.1, "l2": 0.2}),
    ("L1L2", {"l2": 0.2}),
    ("OrthogonalRegularizer", {}),
    ("OrthogonalRegularizer", {"factor": 0.5, "mode": "columns"}),
]
LIMITS: list[tuple[str, dict[str, Any]]] = [
    ("Constraint", {}),
    ("MaxNorm", {}),
    ("MaxNorm", {"max_value": 1.0, "axis": 1}),
    ("MaxNorm", {"max_value": 0.5, "axis": (0, 1)}),
    ("NonNeg", {}),
    ("UnitNorm", {}),
    ("UnitNorm", {"axis": 1}),
    ("MinMaxNorm", {}),
    ("MinMaxNorm", {"min_value": 1.5, "max_value": 1.9, "rate": 0.3, "axis": 1}),
]


def weight(shape: tuple[int, ...] = (5, 4)) -> Any:
    return np.random.default_rng(7).normal(size=shape).astype("float32")


def test_all_are_tested() -> None:
    assert set(registry.registered("regularizers")) == {name for name, _ in PENALTIES}
    assert set(registry.registered("constraints")) == {name for name, _ in LIMITS}


@pytest.mark.parametrize(("name", "arguments"), PENALTIES)
def test_penalties_are_those_of_keras(name: str, arguments: dict[str, Any]) -> None:
    from oracle import keras

    mine, theirs = getattr(regularizers, name)(**arguments), getattr(keras.regularizers, name)(**arguments)
    w = weight()
    assert float(mine(w)) == pytest.approx(float(theirs(keras.ops.convert_to_tensor(w))), rel=2e-6)
    x = ops.symbol("w", ELEMENT, w.shape)
    penalty = mine(x)
    assert float(evaluate(penalty, {x: w})) == pytest.approx(float(theirs(keras.ops.convert_to_tensor(w))), rel=2e-6)
    (gradient,) = differentiate(penalty, ops.constant(1.0), [x])
    assert gradient is not None
    got = np.broadcast_to(evaluate(gradient, {x: w}), w.shape)
    for index in np.ndindex(w.shape):
        ends = []
        for step in (1e-6, -1e-6):
            moved = w.astype("float64")
            moved[index] += step
            ends.append(float(mine(moved)))
        assert got[index] == pytest.approx((ends[0] - ends[1]) / 2e-6, abs=1e-5)
    described = regularizers.serialize(mine)
    for key, value in keras.regularizers.serialize(theirs).items():
        assert described[key] == (value if key != "config" else {k: pytest.approx(v) for k, v in value.items()})
    assert regularizers.deserialize(described).get_config() == mine.get_config()
    assert regularizers.get(described).get_config() == mine.get_config()


@pytest.mark.parametrize(("name", "arguments"), LIMITS)
def test_constraints_are_those_of_keras(name: str, arguments: dict[str, Any]) -> None:
    from oracle import keras

    mine, theirs = getattr(constraints, name)(**arguments), getattr(keras.constraints, name)(**arguments)
    w = weight()
    np.testing.assert_allclose(mine(w), np.asarray(theirs(keras.ops.convert_to_tensor(w))), rtol=2e-6)
    x = ops.symbol("w", ELEMENT, w.shape)
    np.testing.assert_allclose(evaluate(mine(x), {x: w}), np.asarray(theirs(keras.ops.convert_to_tensor(w))), rtol=2e-6)
    assert mine(w).dtype == np.float32
    assert constraints.serialize(mine) == keras.constraints.serialize(theirs)
    assert constraints.deserialize(constraints.serialize(mine)).get_config() == mine.get_config()


def test_names() -> None:
    from oracle import keras

    for spelling in ("l1", "l2", "l1l2", "L1", "L2", "L1L2", "orthogonal_regularizer"):
        mine, theirs = regularizers.get(spelling), keras.regularizers.get(spelling)
        assert type(mine).__name__ == type(theirs).__name__
        assert mine.get_config() == pytest.approx(theirs.get_config())
    for spelling in ("max_norm", "non_neg", "unit_norm", "min_max_norm", "MaxNorm", "NonNeg"):
        assert type(constraints.get(spelling)).__name__ == type(keras.constraints.get(spelling)).__name__
    for alias in ("l1", "l2", "l1_l2", "orthogonal_regularizer"):
        assert getattr(regularizers, alias).__name__ == getattr(keras.regularizers, alias).__name__
    for alias in ("max_norm", "non_neg", "unit_norm", "min_max_norm"):
        assert getattr(constraints, alias).__name__ == getattr(keras.constraints, alias).__name__
    for module in (regularizers, constraints):
        assert module.get(None) is None
        assert module.get(abs) is abs
        with pytest.raises(ModelError, match=rf"{module.__name__.rpartition('.')[2]}: unknown name 'l22'"):
            module.get("l22")
        with pytest.raises(ModelError, match=r"received 3 \(int\)"):
            module.get(3)


def test_what_cannot_be_right() -> None:
    for make, message in (
        (lambda: regularizers.L1(-0.1), "L1: l1: expected a number of 0 or above, received -0.1"),
        (lambda: regularizers.L2(float("nan")), "L2: l2: expected a number of 0 or above, received nan"),
        (lambda: regularizers.L1L2("a"), "L1L2: l1: expected a number of 0 or above, received 'a'"),
        (lambda: regularizers.OrthogonalRegularizer(0.1, "row"), "expected 'rows' or 'columns', received 'row'"),
        (lambda: regularizers.OrthogonalRegularizer()(weight((4,))), r"expected a matrix, received the shape \(4,\)"),
        (lambda: regularizers.OrthogonalRegularizer()(weight((1, 4))), "expected two rows or more"),
    ):
        with pytest.raises(ModelError, match=message):
            make()
    with pytest.raises(NotImplementedError, match="define get_config"):
        regularizers.Regularizer().get_config()


def test_layers_take_them_and_say_so() -> None:
    from oracle import keras

    settings = {
        "kernel_regularizer": "l2",
        "bias_regularizer": {"class_name": "L1", "config": {"l1": 0.25}},
        "kernel_constraint": "max_norm",
        "bias_constraint": "non_neg",
    }
    mine, theirs = nn.layers.Dense(3, **settings), keras.layers.Dense(3, **settings)
    config, expected = mine.get_config(), theirs.get_config()
    assert {k: config[k] for k in settings} == {k: expected[k] for k in settings}
    mine.build((None, 4))
    mine.set_weights([weight((4, 3)), weight((3,))])
    theirs.build((None, 4))
    theirs.set_weights([weight((4, 3)), weight((3,))])
    assert [float(x) for x in mine.losses] == pytest.approx([float(x) for x in theirs.losses])
    mine.trainable = theirs.trainable = False
    assert mine.losses == [] == theirs.losses
    again = nn.layers.Dense.from_config(config)
    assert again.get_config() == config
    for text in (
        "kernel_regularizer", "bias_regularizer", "kernel_constraint", "bias_constraint",
    ):  # fmt: skip
        with pytest.raises(ModelError, match="unknown name 'nothing'"):
            nn.layers.Dense(3, **{text: "nothing"})
