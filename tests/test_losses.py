"""Losses: against real Keras, on numbers and on symbols, values and gradients."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import pytest
from symbolic import gradient, same, symbol

from nncompile import losses, ops, registry
from nncompile.errors import ModelError, UnsupportedError

RNG = np.random.default_rng(7)
N, K = 11, 4
LOGITS = (RNG.normal(size=(N, K)) * 4).astype(np.float32)
LOGITS[0] = 0.0
LOGITS[1] = [1e4, -1e4, 0.0, 100.0]
LOGITS[2] = 1e4
P = np.exp(np.minimum(LOGITS, 80) - 5).astype(np.float32) + np.float32(1e-3)
P /= P.sum(axis=-1, keepdims=True)
P[3] = [1.0, 0.0, 0.0, 0.0]
P[4] = [0.25, 0.5, 0.5, 0.25]
HOT = np.eye(K, dtype=np.float32)[RNG.integers(0, K, N)]
SOFT = np.abs(HOT - np.float32(0.2))
LABELS = np.argmax(HOT, axis=-1).astype(np.int32)
BITS = RNG.integers(0, 2, (N, K)).astype(np.float32)
REALS = (RNG.normal(size=(N, K)) * 3).astype(np.float32)

FUNCTIONS: list[tuple[str, Any, Any, dict[str, Any]]] = [
    ("mean_squared_error", REALS, LOGITS, {}),
    ("mean_absolute_error", REALS, LOGITS, {}),
    ("binary_crossentropy", BITS, P, {}),
    ("binary_crossentropy", BITS, P, {"label_smoothing": 0.2}),
    ("binary_crossentropy", BITS, LOGITS, {"from_logits": True}),
    ("binary_crossentropy", BITS, LOGITS, {"from_logits": True, "label_smoothing": 0.1}),
    ("categorical_crossentropy", HOT, P, {}),
    ("categorical_crossentropy", SOFT, P, {"label_smoothing": 0.2}),
    ("categorical_crossentropy", SOFT, LOGITS, {"from_logits": True}),
    ("categorical_crossentropy", HOT, LOGITS, {"from_logits": True, "label_smoothing": 0.1}),
    ("sparse_categorical_crossentropy", LABELS, P, {}),
    ("sparse_categorical_crossentropy", LABELS[:, None], P, {}),
    ("sparse_categorical_crossentropy", LABELS, LOGITS, {"from_logits": True}),
    ("sparse_categorical_crossentropy", LABELS, LOGITS, {"from_logits": True, "ignore_class": 2}),
    ("sparse_categorical_crossentropy", LABELS, P, {"ignore_class": 0}),
    ("sparse_categorical_crossentropy", LABELS - 1, P, {"ignore_class": -1}),
]
FUNCTION_IDS = [f"{name}-{'-'.join(map(str, a.values()))}-{t.ndim}" for name, t, _, a in FUNCTIONS]
CLASSES: list[tuple[str, Any, Any, dict[str, Any]]] = [
    ("MeanSquaredError", REALS, LOGITS, {}),
    ("MeanAbsoluteError", REALS, LOGITS, {}),
    ("BinaryCrossentropy", BITS, P, {}),
    ("BinaryCrossentropy", BITS, LOGITS, {"from_logits": True, "label_smoothing": 0.1}),
    ("CategoricalCrossentropy", HOT, P, {}),
    ("CategoricalCrossentropy", HOT, LOGITS, {"from_logits": True, "label_smoothing": 0.1}),
    ("SparseCategoricalCrossentropy", LABELS, P, {}),
    ("SparseCategoricalCrossentropy", LABELS, LOGITS, {"from_logits": True}),
]
REDUCTIONS = [*losses.REDUCTIONS, None]
TOLERANCE: dict[str, Any] = {"rtol": 3e-6, "atol": 1e-6}


def test_every_loss_is_tested() -> None:
    assert set(registry.registered("losses")) == {case[0] for case in FUNCTIONS + CLASSES}


@pytest.mark.parametrize(("name", "y_true", "y_pred", "arguments"), FUNCTIONS, ids=FUNCTION_IDS)
def test_values_are_those_of_keras(name: str, y_true: Any, y_pred: Any, arguments: dict[str, Any]) -> None:
    from oracle import keras

    expected = np.asarray(getattr(keras.losses, name)(y_true, y_pred, **arguments))
    got = getattr(losses, name)(y_true, y_pred, **arguments)
    assert got.shape == expected.shape == (N,)
    assert got.dtype == np.float32
    np.testing.assert_allclose(got, expected, **TOLERANCE)
    np.testing.assert_array_equal(getattr(losses, name)(y_true.tolist(), y_pred.tolist(), **arguments), got)


@pytest.mark.parametrize(("name", "y_true", "y_pred", "arguments"), FUNCTIONS, ids=FUNCTION_IDS)
def test_symbols_mean_the_same(name: str, y_true: Any, y_pred: Any, arguments: dict[str, Any]) -> None:
    formula = getattr(losses, name)
    t, p = symbol("t", y_true), symbol("p", y_pred)
    loss = formula(t, p, **arguments)
    assert loss.shape == (None,)
    same(loss, {t: y_true, p: y_pred}, formula(y_true, y_pred, **arguments), **TOLERANCE)


@pytest.mark.parametrize(("name", "y_true", "y_pred", "arguments"), FUNCTIONS, ids=FUNCTION_IDS)
def test_gradients_are_those_of_keras(name: str, y_true: Any, y_pred: Any, arguments: dict[str, Any]) -> None:
    from oracle import keras

    jax = pytest.importorskip("jax")
    seed = RNG.normal(size=N).astype(np.float32)
    # where probabilities are clipped, and nowhere else, one-sided derivatives differ
    rows = [i for i in range(N) if i not in (3,)]
    y_true, y_pred, seed = y_true[rows], y_pred[rows], seed[rows]
    expected = jax.grad(lambda p: (getattr(keras.losses, name)(y_true, p, **arguments) * seed).sum())(y_pred)
    got = gradient(
        lambda y_true, y_pred: getattr(losses, name)(y_true, y_pred, **arguments),
        {"y_true": y_true, "y_pred": y_pred},
        "y_pred",
        seed,
    )
    np.testing.assert_allclose(got, expected, rtol=2e-5, atol=1e-6)


@pytest.mark.parametrize(("name", "y_true", "y_pred", "arguments"), CLASSES, ids=[c[0] + str(c[3]) for c in CLASSES])
@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("weights", [None, "sample", "column", "one", "zero"])
def test_classes_are_those_of_keras(
    name: str, y_true: Any, y_pred: Any, arguments: dict[str, Any], reduction: str | None, weights: str | None
) -> None:
    from oracle import keras

    weight: Any = np.linspace(0, 2, N, dtype=np.float32)
    weight = {None: None, "sample": weight, "column": weight[:, None], "one": 0.5, "zero": weight * 0}[weights]
    expected = getattr(keras.losses, name)(reduction=reduction, **arguments)
    loss = getattr(losses, name)(reduction=reduction, **arguments)
    assert loss.get_config() == expected.get_config()
    value, reference = loss(y_true, y_pred, weight), np.asarray(expected(y_true, y_pred, weight))
    assert np.shape(value) == reference.shape
    assert value.dtype == np.float32
    np.testing.assert_allclose(value, reference, **TOLERANCE)
    again = type(loss).from_config(loss.get_config())
    assert again.get_config() == loss.get_config()
    np.testing.assert_array_equal(again(y_true, y_pred, weight), value)


@pytest.mark.parametrize("name", [c[0] for c in CLASSES[:2]])
@pytest.mark.parametrize(
    ("true_shape", "pred_shape"),
    [((6,), (6,)), ((6,), (6, 1)), ((6, 1), (6,)), ((6, 2), (6, 2, 1)), ((2, 3, 2),) * 2],
)
def test_ranks_that_differ_by_one(name: str, true_shape: tuple[int, ...], pred_shape: tuple[int, ...]) -> None:
    from oracle import keras

    y_true, y_pred = RNG.normal(size=true_shape), RNG.normal(size=pred_shape)
    expected = np.asarray(getattr(keras.losses, name)()(y_true, y_pred))
    np.testing.assert_allclose(getattr(losses, name)()(y_true, y_pred), expected, rtol=1e-6)


def test_targets_without_a_column_meet_one_output() -> None:
    from oracle import keras

    y_true, y_pred = BITS[:, 0], P[:, :1]
    expected = np.asarray(keras.losses.BinaryCrossentropy()(y_true, y_pred))
    np.testing.assert_allclose(losses.BinaryCrossentropy()(y_true, y_pred), expected, rtol=1e-6)
    t, p = symbol("t", y_true), symbol("p", y_pred)
    each = losses.BinaryCrossentropy(reduction="none")
    same(each.call(t, p), {t: y_true, p: y_pred}, each(y_true, y_pred), rtol=1e-6)


def test_losses_of_an_empty_batch_and_of_nothing_finite() -> None:
    from oracle import keras

    empty = np.zeros((0, 3), np.float32)
    assert (
        losses.MeanSquaredError()(empty, empty).shape == np.asarray(keras.losses.MeanSquaredError()(empty, empty)).shape
    )
    assert np.isnan(losses.MeanSquaredError()([[np.nan]], [[1.0]]))
    assert np.isnan(losses.CategoricalCrossentropy()([[0.0, 1.0]], [[np.nan, 1.0]]))
    assert not np.isfinite(losses.BinaryCrossentropy(from_logits=True)([[0.0]], [[np.inf]]))
    assert np.isnan(losses.BinaryCrossentropy()([[0.0]], [[np.nan]]))


def test_gradients_at_zero_logits() -> None:
    zero = np.zeros((1, 2), np.float32)
    target = np.array([[0.0, 1.0]], np.float32)
    got = gradient(
        lambda t, p: losses.binary_crossentropy(t, p, from_logits=True),
        {"t": target, "p": zero},
        "p",
        np.ones(1),
    )
    np.testing.assert_allclose(got, [[0.25, -0.25]])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_dtype(dtype: str) -> None:
    loss = losses.MeanSquaredError(dtype=dtype)
    assert loss.dtype == dtype
    assert loss([[0.0]], [[0.1]]).dtype == dtype
    with pytest.raises(UnsupportedError, match="MeanSquaredError: float16"):
        losses.MeanSquaredError(dtype="float16")
    with pytest.raises(ModelError, match="received 'int'"):
        losses.MeanSquaredError(dtype="int")


@pytest.mark.parametrize(
    ("loss", "fuses_with", "sparse"),
    [
        (losses.MeanSquaredError(), None, False),
        (losses.MeanAbsoluteError(), None, False),
        (losses.BinaryCrossentropy(label_smoothing=0.1, name="b"), "sigmoid", False),
        (losses.BinaryCrossentropy(from_logits=True), None, False),
        (losses.CategoricalCrossentropy(reduction="sum"), "softmax", False),
        (losses.CategoricalCrossentropy(from_logits=True), None, False),
        (losses.SparseCategoricalCrossentropy(dtype="float64"), "softmax", True),
        (losses.SparseCategoricalCrossentropy(from_logits=True), None, True),
        (losses.LossFunctionWrapper(losses.mean_squared_error), None, False),
        (losses.resolve("sparse_categorical_crossentropy", (None, 3), (None,)), "softmax", True),
        (losses.resolve("bce", (None, 1), (None, 1)), "sigmoid", False),
    ],
)
def test_forms_from_logits(loss: losses.Loss, fuses_with: str | None, sparse: bool) -> None:
    assert (loss.fuses_with, loss.sparse_labels) == (fuses_with, sparse)
    form = loss.logits_form()
    assert (form.fuses_with, form.sparse_labels) == (None, sparse)
    if fuses_with is None:
        assert form is loss
        return
    assert type(form) is type(loss)
    assert form.dtype == loss.dtype
    assert form.get_config() == {**loss.get_config(), "from_logits": True}
    z = REALS
    e = np.exp(z.astype(np.float64))
    probabilities = e / e.sum(axis=-1, keepdims=True) if fuses_with == "softmax" else e / (1 + e)
    labels = LABELS if sparse else HOT
    np.testing.assert_allclose(form(labels, z), loss(labels, probabilities), rtol=1e-5)


def test_a_loss_of_your_own() -> None:
    def mine(y_true: Any, y_pred: Any, power: float = 2.0) -> Any:
        return ops.mean(ops.abs(y_true - y_pred) ** power, axis=-1)

    class Mine(losses.Loss):
        def call(self, y_true: Any, y_pred: Any) -> Any:
            return mine(y_true, y_pred)

    reference = losses.MeanSquaredError()(REALS, LOGITS)
    assert Mine()(REALS, LOGITS) == pytest.approx(reference)
    assert losses.LossFunctionWrapper(mine, power=2.0)(REALS, LOGITS) == pytest.approx(reference)
    assert Mine().fuses_with is None
    assert not Mine().sparse_labels
    assert losses.resolve(mine, (None, K), (None, K)).name == "mine"  # type: ignore[union-attr]
    assert losses.resolve(Mine, (None, K), (None, K)).name.startswith("mine")  # type: ignore[union-attr]
    one = Mine(name="one")
    assert losses.resolve(one, (None, K), (None, K)) is one
    with pytest.raises(NotImplementedError, match="define call"):
        losses.Loss()(REALS, LOGITS)
    with pytest.raises(
        ModelError, match=r"one \(Mine\): a formula needs the value of each sample.*call\(y_true, y_pred\)"
    ):
        one(symbol("t", REALS), symbol("p", LOGITS))


@pytest.mark.parametrize("identifier", ["crossentropy", "ce", "CE"])
@pytest.mark.parametrize(
    ("output", "target", "name"),
    [
        ((None, 1), (None, 1), "binary_crossentropy"),
        ((None, 1), (None,), "binary_crossentropy"),
        ((None, 3), (None,), "sparse_categorical_crossentropy"),
        ((None, 3), (None, 1), "sparse_categorical_crossentropy"),
        ((None, 3), (None, 3), "categorical_crossentropy"),
    ],
)
def test_crossentropy_by_shape(identifier: str, output: Any, target: Any, name: str) -> None:
    loss = losses.resolve(identifier, output, target)
    assert isinstance(loss, losses.LossFunctionWrapper)
    assert loss.fn is getattr(losses, name)
    assert loss.name == identifier


def test_get_and_resolve() -> None:
    from oracle import keras

    for name in ("mse", "MSE", "mae", "MAE", "bce", "BCE", *registry.registered("losses")):
        got, theirs = losses.get(name), keras.losses.get(name)
        assert inspect.isfunction(got) == inspect.isfunction(theirs)
        assert (got if inspect.isfunction(got) else type(got)).__name__ == (
            theirs if inspect.isfunction(theirs) else type(theirs)
        ).__name__
    assert losses.get(None) is None
    assert losses.resolve(None, (None, 1), (None, 1)) is None
    assert losses.get(losses.MeanSquaredError).name == "mean_squared_error"
    loss = losses.resolve("mse", (None, 1), (None, 1))
    assert loss is not None
    assert (loss.name, loss.reduction) == ("mse", "sum_over_batch_size")


def test_signatures_are_those_of_keras() -> None:
    from oracle import keras

    for name, thing in registry.registered("losses").items():
        theirs = inspect.signature(getattr(keras.losses, name)).parameters
        mine = inspect.signature(thing).parameters
        assert [(p.name, p.default) for p in mine.values()] == [(p.name, p.default) for p in theirs.values()]
    assert list(inspect.signature(losses.Loss.__init__).parameters) == ["self", "name", "reduction", "dtype"]


def test_serialize() -> None:
    from oracle import keras

    @registry.register_keras_serializable("Mine")
    def mine(y_true: Any, y_pred: Any) -> Any:
        return y_pred

    for name, _, _, arguments in CLASSES:
        loss = getattr(losses, name)(**arguments, name="n", reduction="sum")
        description = losses.serialize(loss)
        assert description == keras.losses.serialize(
            getattr(keras.losses, name)(**arguments, name="n", reduction="sum")
        )
        assert losses.serialize(losses.deserialize(description)) == description
    function = losses.serialize(losses.mean_squared_error)
    assert function == keras.losses.serialize(keras.losses.mean_squared_error)
    assert losses.deserialize(function) is losses.mean_squared_error
    assert losses.get(function) is losses.mean_squared_error
    wrapper = losses.LossFunctionWrapper(losses.binary_crossentropy, name="w", label_smoothing=0.5)
    again = losses.LossFunctionWrapper.from_config(wrapper.get_config())
    assert again.get_config() == wrapper.get_config()
    assert again(BITS, P) == wrapper(BITS, P)
    assert losses.deserialize(losses.serialize(mine)) is mine
    with pytest.raises(ModelError, match="cannot be saved"):
        losses.LossFunctionWrapper(lambda t, p: p).get_config()


def test_what_cannot_be_right() -> None:
    with pytest.raises(
        ModelError, match=r"losses: unknown name 'mean_square_error'\. Did you mean 'mean_squared_error'"
    ):
        losses.get("mean_square_error")
    with pytest.raises(UnsupportedError, match="'Huber' is not supported yet"):
        losses.get("Huber")
    with pytest.raises(ModelError, match=r"expected a name, a function or a Loss, received 3"):
        losses.get(3)
    with pytest.raises(ModelError, match=r"MeanSquaredError: reduction: expected one of .*received 'summ'.*'sum'"):
        losses.MeanSquaredError(reduction="summ")
    with pytest.raises(
        TypeError, match=r"MeanSquaredError got an unexpected keyword argument 'reductoin'.*'reduction'"
    ):
        losses.MeanSquaredError(reductoin="sum")  # type: ignore[call-arg]
    with pytest.raises(UnsupportedError, match="BinaryCrossentropy: axis=1 is not supported yet"):
        losses.BinaryCrossentropy(axis=1)
    with pytest.raises(UnsupportedError, match="axis=0"):
        losses.SparseCategoricalCrossentropy(axis=0)
    with pytest.raises(ModelError, match=r"axis: expected an integer, received True \(bool\)"):
        losses.categorical_crossentropy(HOT, P, axis=True)
    with pytest.raises(UnsupportedError, match=r"ignore_class=0 is not supported yet"):
        losses.SparseCategoricalCrossentropy(ignore_class=0)
    with pytest.raises(
        ModelError,
        match=r"categorical_crossentropy: expected y_true of shape \(11, 4\) for y_pred of shape \(11, 4\), "
        r"received \(11,\)\. Give one value per output, or sparse_categorical_crossentropy",
    ):
        losses.categorical_crossentropy(LABELS, P)
    with pytest.raises(ModelError, match=r"binary_crossentropy: expected y_true of shape \(11, 4\)"):
        losses.binary_crossentropy(BITS[:, :3], P)
    with pytest.raises(ModelError, match=r"sparse_categorical_crossentropy: .*received \(11, 4\).*integer label"):
        losses.sparse_categorical_crossentropy(HOT, P)
    with pytest.raises(ModelError, match=r"received \(None, 3\)"):
        losses.categorical_crossentropy(symbol("t", HOT[:, :3]), symbol("p", P))
    with pytest.warns(SyntaxWarning, match="classes > 1") as seen:
        losses.categorical_crossentropy(HOT[:, :1], P[:, :1])
    assert seen[0].filename == __file__


def test_names_follow_each_other() -> None:
    from nncompile import backend

    class OwnLoss(losses.Loss):
        pass

    backend.clear_session()
    assert [OwnLoss().name, OwnLoss().name, OwnLoss(name="x").name] == ["own_loss", "own_loss_1", "x"]
