"""Losses: against real Keras, on numbers and on symbols, values and gradients."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import pytest
from reference import central_differences, descent, float_type
from symbolic import gradient, same, symbol

import nncompile as nn
from nncompile import losses, ops, registry
from nncompile.errors import ModelError, UnsupportedError

pytestmark = pytest.mark.quick_c

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
SIGNS = BITS * 2 - 1
COUNTS = RNG.poisson(2.0, (N, K)).astype(np.float32)
ZEROS = np.zeros((N, K), np.float32)
FLAT = np.concatenate([ZEROS[:2], REALS[2:]])

FUNCTIONS: list[tuple[str, Any, Any, dict[str, Any]]] = [
    ("mean_squared_error", REALS, LOGITS, {}),
    ("mean_absolute_error", REALS, LOGITS, {}),
    ("mean_absolute_percentage_error", REALS, LOGITS, {}),
    ("mean_absolute_percentage_error", ZEROS, REALS, {}),
    ("mean_squared_logarithmic_error", COUNTS, REALS, {}),
    ("huber", REALS, LOGITS, {}),
    ("huber", REALS, REALS[::-1], {"delta": 0.3}),
    ("log_cosh", REALS, LOGITS, {}),
    ("log_cosh", REALS, REALS + np.float32(0.01), {}),
    ("poisson", COUNTS, P, {}),
    ("cosine_similarity", REALS, REALS[::-1], {}),
    ("cosine_similarity", FLAT, REALS, {"axis": 1}),
    ("hinge", SIGNS, REALS, {}),
    ("hinge", BITS, REALS, {}),
    ("squared_hinge", SIGNS, REALS, {}),
    ("squared_hinge", BITS, REALS, {}),
    ("categorical_hinge", HOT, REALS, {}),
    ("kl_divergence", SOFT, P, {}),
    ("kl_divergence", HOT, P, {}),
    ("binary_crossentropy", BITS, P, {}),
    ("binary_crossentropy", BITS, P, {"label_smoothing": 0.2}),
    ("binary_crossentropy", BITS, LOGITS, {"from_logits": True}),
    ("binary_crossentropy", BITS, LOGITS, {"from_logits": True, "label_smoothing": 0.1, "axis": 1}),
    ("binary_focal_crossentropy", BITS, P, {}),
    ("binary_focal_crossentropy", BITS, P, {"apply_class_balancing": True, "alpha": 0.7, "gamma": 1.5}),
    ("binary_focal_crossentropy", BITS, REALS, {"from_logits": True, "label_smoothing": 0.1}),
    ("categorical_crossentropy", HOT, P, {}),
    ("categorical_crossentropy", SOFT, P, {"label_smoothing": 0.2}),
    ("categorical_crossentropy", SOFT, LOGITS, {"from_logits": True}),
    ("categorical_crossentropy", HOT, LOGITS, {"from_logits": True, "label_smoothing": 0.1}),
    ("categorical_focal_crossentropy", HOT, P, {}),
    ("categorical_focal_crossentropy", SOFT, P, {"alpha": [0.1, 0.2, 0.3, 0.4], "gamma": 1.5}),
    ("categorical_focal_crossentropy", SOFT, REALS, {"from_logits": True, "label_smoothing": 0.2}),
    ("sparse_categorical_crossentropy", LABELS, P, {}),
    ("sparse_categorical_crossentropy", LABELS[:, None], P, {}),
    ("sparse_categorical_crossentropy", LABELS, LOGITS, {"from_logits": True}),
    ("sparse_categorical_crossentropy", LABELS, LOGITS, {"from_logits": True, "ignore_class": 2}),
    ("sparse_categorical_crossentropy", LABELS, P, {"ignore_class": 0}),
    ("sparse_categorical_crossentropy", LABELS - 1, P, {"ignore_class": -1}),
    ("categorical_generalized_cross_entropy", LABELS, P, {"q": 0.5}),
    ("categorical_generalized_cross_entropy", LABELS, P, {"q": 0.3}),
    ("dice", BITS, P, {"axis": -1}),
    ("dice", ZEROS, ZEROS, {"axis": 1}),
    ("tversky", BITS, P, {"axis": -1}),
    ("tversky", BITS, P, {"alpha": 0.3, "beta": 0.9, "axis": (1,)}),
]
FUNCTION_IDS = [f"{i}-{case[0]}" for i, case in enumerate(FUNCTIONS)]
CLASSES: list[tuple[str, Any, Any, dict[str, Any]]] = [
    ("MeanSquaredError", REALS, LOGITS, {}),
    ("MeanAbsoluteError", REALS, LOGITS, {}),
    ("MeanAbsolutePercentageError", REALS, LOGITS, {}),
    ("MeanSquaredLogarithmicError", COUNTS, REALS, {}),
    ("Huber", REALS, LOGITS, {}),
    ("LogCosh", REALS, LOGITS, {}),
    ("Poisson", COUNTS, P, {}),
    ("CosineSimilarity", REALS, LOGITS[:, ::-1], {}),
    ("Hinge", BITS, REALS, {}),
    ("SquaredHinge", SIGNS, REALS, {}),
    ("CategoricalHinge", HOT, REALS, {}),
    ("KLDivergence", SOFT, P, {}),
    ("BinaryCrossentropy", BITS, P, {}),
    ("BinaryCrossentropy", BITS, LOGITS, {"from_logits": True, "label_smoothing": 0.1}),
    ("BinaryFocalCrossentropy", BITS, P, {"apply_class_balancing": True}),
    ("CategoricalCrossentropy", HOT, P, {}),
    ("CategoricalCrossentropy", HOT, LOGITS, {"from_logits": True, "label_smoothing": 0.1}),
    ("CategoricalFocalCrossentropy", HOT, P, {"gamma": 3.0}),
    ("SparseCategoricalCrossentropy", LABELS, P, {}),
    ("SparseCategoricalCrossentropy", LABELS, LOGITS, {"from_logits": True}),
    ("SparseCategoricalCrossentropy", LABELS, P, {"ignore_class": 1}),
    ("SparseCategoricalCrossentropy", LABELS[:, None] * 0 + 3, P, {"ignore_class": 3}),
    ("CategoricalGeneralizedCrossEntropy", LABELS, P, {}),
    ("Dice", BITS, P, {}),
    ("Dice", BITS, P, {"axis": 1}),
    ("Tversky", BITS, P, {"alpha": 0.2, "beta": 0.6}),
    ("Tversky", BITS, P, {"axis": -1}),
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
def test_classes_are_those_of_keras(name: str, y_true: Any, y_pred: Any, arguments: dict[str, Any]) -> None:
    from oracle import keras

    weight = np.linspace(0, 2, N, dtype=np.float32)
    weights: list[Any] = [None, weight]
    if name == "MeanSquaredError" or "ignore_class" in arguments:  # the forms of weights are not the loss's
        weights += [weight[:, None], weight * 0, np.full(N, 0.5) if arguments else 0.5]
    for reduction in REDUCTIONS:
        expected = getattr(keras.losses, name)(reduction=reduction, **arguments)
        loss = getattr(losses, name)(reduction=reduction, **arguments)
        assert list(loss.get_config().items()) == list(expected.get_config().items())
        again = type(loss).from_config(loss.get_config())
        assert again.get_config() == loss.get_config()
        for w in weights:
            value, reference = loss(y_true, y_pred, w), np.asarray(expected(y_true, y_pred, w))
            assert np.shape(value) == reference.shape
            assert value.dtype == np.float32
            np.testing.assert_allclose(value, reference, **TOLERANCE, err_msg=f"{reduction} {w}")
            np.testing.assert_array_equal(again(y_true, y_pred, w), value)


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
    nan, one = np.array([[np.nan, 0.5]], np.float32), np.array([[1.0, 0.0]], np.float32)
    for name, function in registry.registered("losses").items():
        if inspect.isclass(function) or name.startswith(("sparse", "categorical_generalized")):
            continue
        arguments = {"axis": -1} if name in ("dice", "tversky") else {}
        assert np.isnan(function(one, nan, **arguments)).all(), name
        assert function(empty, empty, **arguments).shape == (0,), name


AXES: list[tuple[str, Any]] = [
    ("binary_crossentropy", {"label_smoothing": 0.1}),
    ("binary_crossentropy", {"from_logits": True}),
    ("binary_focal_crossentropy", {"apply_class_balancing": True}),
    ("categorical_crossentropy", {"label_smoothing": 0.1}),
    ("categorical_crossentropy", {"from_logits": True}),
    ("categorical_focal_crossentropy", {"label_smoothing": 0.1}),
    ("categorical_focal_crossentropy", {"from_logits": True}),
    ("cosine_similarity", {}),
    ("dice", {}),
    ("tversky", {"alpha": 0.2}),
]


@pytest.mark.parametrize(("name", "arguments"), AXES, ids=[a[0] + str(a[1]) for a in AXES])
def test_other_axes_of_arrays(name: str, arguments: dict[str, Any]) -> None:
    from oracle import keras

    t, p = (RNG.random((3, 4, 5)).astype(np.float32) for _ in range(2))
    axes: list[Any] = [0, 1, 2, -2]
    if name in ("dice", "tversky"):
        axes += [None, (1, 2), (0, 2)]
    for axis in axes:
        expected = np.asarray(getattr(keras.losses, name)(t, p, axis=axis, **arguments))
        got = getattr(losses, name)(t, p, axis=axis, **arguments)
        assert got.shape == expected.shape
        np.testing.assert_allclose(got, expected, rtol=3e-6, atol=1e-6, err_msg=str(axis))


def test_labels_beside_another_axis_of_classes() -> None:
    p = RNG.random((3, 4, 5)).astype(np.float32)
    labels = RNG.integers(0, 4, (3, 5))
    moved = np.moveaxis(p, 1, -1)
    expected = losses.sparse_categorical_crossentropy(labels, moved)
    np.testing.assert_array_equal(losses.sparse_categorical_crossentropy(labels, p, axis=1), expected)
    np.testing.assert_array_equal(losses.sparse_categorical_crossentropy(labels[:, None], p, axis=1), expected)
    loss = losses.SparseCategoricalCrossentropy(axis=1, ignore_class=2, reduction="sum")
    same_axis = losses.SparseCategoricalCrossentropy(ignore_class=2, reduction="sum")
    np.testing.assert_allclose(loss(labels, p), same_axis(labels, moved), rtol=1e-6)
    assert loss.fuses_with is None


def test_formulas_keep_the_samples_apart() -> None:
    t, p = symbol("t", BITS), symbol("p", P)
    with pytest.raises(UnsupportedError, match="categorical_crossentropy: axis=-2 is that of the samples"):
        losses.categorical_crossentropy(t, p, axis=-2)


def test_labels_of_hinges() -> None:
    """Compiled, a 0 is always taken as -1; on arrays only if all labels are 0 or 1, as in Keras."""
    from oracle import keras

    mixed = np.array([[0.0, 1.0, -1.0]], np.float32)
    p = np.array([[0.5, 0.25, 2.0]], np.float32)
    for name in ("hinge", "squared_hinge"):
        formula = getattr(losses, name)
        np.testing.assert_allclose(formula(mixed, p), np.asarray(getattr(keras.losses, name)(mixed, p)))
        t, x = symbol("t", mixed), symbol("p", p)
        same(formula(t, x), {t: mixed, x: p}, formula(np.array([[-1.0, 1.0, -1.0]], np.float32), p))
        for labels in (np.float32([[0, 1, 1]]), np.float32([[1, 1, 1]]), np.float32([[-1, 1, -1]])):
            same(formula(t, x), {t: labels, x: p}, formula(labels, p))


@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_samples_that_do_not_count(reduction: str | None) -> None:
    from oracle import keras

    labels, arguments = LABELS[:, None], {"ignore_class": int(LABELS[0]), "reduction": reduction}
    p = np.repeat(P[:, None], 3, axis=1)
    grid = np.repeat(labels, 3, axis=1)
    weight = RNG.random((N, 3)).astype(np.float32)
    for y, x, w in ((grid, p, None), (grid, p, weight), (labels[:, 0], P, weight[:, 0]), (labels, P, weight[:, :1])):
        expected = np.asarray(keras.losses.SparseCategoricalCrossentropy(**arguments)(y, x, w))
        got = losses.SparseCategoricalCrossentropy(**arguments)(y, x, w)
        np.testing.assert_allclose(got, expected, rtol=1e-6)
    loss = losses.SparseCategoricalCrossentropy(**arguments)
    t = symbol("t", LABELS)
    same(loss.counted(t), {t: LABELS}, LABELS != LABELS[0])
    assert losses.SparseCategoricalCrossentropy().counted(t) is None
    for w in (None, weight[:, 0]):  # as compiled code computes it: all samples, with weights
        form, weights = losses.counted_form(loss, LABELS, w)
        values, factors = form.call(LABELS, P), 1.0 if weights is None else weights
        divisor = {"mean_with_sample_weight": np.sum(factors), "sum": 1.0}.get(str(form.reduction), N)
        got = np.sum(values * factors) / divisor
        got = values * factors if reduction in (None, "none") else got
        np.testing.assert_allclose(got, loss(LABELS, P, w), rtol=1e-6)
        assert loss.reduction == reduction
    plain = losses.Hinge()
    form, weights = losses.counted_form(plain, LABELS, weight)
    assert form is plain and weights is weight


def test_training_without_some_samples() -> None:
    """The gradient of a mean over the samples that count, from what the C is given for it."""
    rng = np.random.default_rng(3)
    x, y = rng.normal(size=(12, 3)), rng.integers(0, 3, 12)
    weight = rng.random(12)
    with float_type("float64"):
        for reduction, w in (
            ("sum_over_batch_size", None),
            ("mean_with_sample_weight", weight),
            ("sum_over_batch_size", weight),
        ):
            loss = losses.SparseCategoricalCrossentropy(ignore_class=1, reduction=reduction)
            model = descent(nn.Sequential([nn.Input((3,)), nn.layers.Dense(3, "softmax")]), loss)

            def weighted(y_true: Any, y_pred: Any, loss: Any = loss, w: Any = w) -> Any:
                return loss(y_true, y_pred, w)

            expected = central_differences(model, weighted, x, y)
            before = model.get_weights()
            value = model.train_on_batch(x, y, sample_weight=w)
            got = [a - b for a, b in zip(before, model.get_weights(), strict=True)]
            model.set_weights(before)
            assert value == pytest.approx(float(loss(y, model.call(x), w)), rel=1e-12)
            for a, b in zip(got, expected, strict=True):
                np.testing.assert_allclose(a, b, rtol=1e-7, atol=1e-9)
            # as Keras: the mean of the batches' means, weighted by their lengths
            parts = [slice(0, 5), slice(5, 10), slice(10, 12)]
            means = [
                float(loss(y[s], model.call(x[s]), None if w is None else w[s])) * (s.stop - s.start) for s in parts
            ]
            assert model.evaluate(x, y, 5, sample_weight=w, verbose=0) == pytest.approx(sum(means) / 12, rel=1e-12)
            # one with weights and one without are two things, whatever came first
            assert model.test_on_batch(x, y) == pytest.approx(float(loss(y, model.call(x))), rel=1e-12)
            assert model.test_on_batch(x, y, w) == pytest.approx(float(loss(y, model.call(x), w)), rel=1e-12)
    # metrics know nothing of the samples that a loss leaves out, as in Keras
    for reduction, w in (
        ("sum_over_batch_size", None),
        ("sum_over_batch_size", weight),
        ("mean_with_sample_weight", None),
    ):
        loss = losses.SparseCategoricalCrossentropy(ignore_class=1, reduction=reduction, dtype="float64")
        model.compile("sgd", loss, weighted_metrics=["accuracy"])
        right = model.predict(x, verbose=0).argmax(-1) == y
        measured = model.evaluate(x, y, 12, sample_weight=w, verbose=0)
        assert measured[1] == pytest.approx(float(np.average(right, weights=w)), rel=1e-12)
        assert measured[0] == pytest.approx(float(loss(y, model.call(x), w)), rel=1e-12)
    model.compile("sgd", loss, weighted_metrics=["accuracy"])
    with pytest.raises(UnsupportedError, match=r"weighted_metrics beside a loss that leaves out samples.*as metrics"):
        model.fit(x, y, sample_weight=weight, verbose=0)


def test_what_a_compiled_loss_cannot_take() -> None:
    def both(y_true: Any, y_pred: Any) -> Any:
        error = ops.square(y_true - y_pred)
        return ops.sqrt(ops.mean(ops.mean(error, axis=1))) + ops.sqrt(ops.mean(ops.mean(error, axis=2)))

    def across(y_true: Any, y_pred: Any) -> Any:
        error = y_true - y_pred
        return ops.max(ops.abs(error - ops.mean(error)), axis=1)

    model = nn.Sequential([nn.Input((2, 3)), nn.layers.Dense(4, "sigmoid")])
    x, y = np.ones((2, 2, 3)), np.ones((2, 2, 4))
    for loss, message in (
        (both, r"loss 'both': values in rows of shapes .* a loss each"),
        (across, "loss 'across': sums over the batch are part of what is put in other places"),
    ):
        model.compile("sgd", loss)
        with pytest.raises(UnsupportedError, match=message):
            model.fit(x, y, verbose=0)


def test_arguments_that_keras_does_not_save_are_saved_where_they_matter() -> None:
    from oracle import keras

    for name, argument, value in (("Huber", "delta", 0.5), ("CosineSimilarity", "axis", 0)):
        loss = getattr(losses, name)(**{argument: value})
        assert loss.get_config()[argument] == value
        assert type(loss).from_config(loss.get_config()).get_config() == loss.get_config()
        theirs = getattr(keras.losses, name).from_config(loss.get_config())  # which Keras reads
        np.testing.assert_allclose(loss(REALS, P), np.asarray(theirs(REALS, P)), rtol=1e-6)


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
    given = symbol("t", REALS), symbol("p", LOGITS)
    assert one(*given) is ops.mean(mine(*given))
    with pytest.raises(ModelError, match=r"one \(Mine\): in a formula samples have no weights.*call\(y_true, y_pred\)"):
        one(*given, sample_weight=0.5)


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

    names = "mse MSE mae MAE mape MAPE msle MSLE bce BCE kld KLD".split()
    names += [n for n in registry.registered("losses") if "eneralized" not in n]  # which Keras does not find by name
    for name in names:
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
    for name in ("CTC", "ctc", "Circle", "circle"):
        with pytest.raises(UnsupportedError, match=f"'{name}' is not supported: "):
            losses.get(name)
    with pytest.raises(ModelError, match=r"expected a name, a function or a Loss, received 3"):
        losses.get(3)
    with pytest.raises(ModelError, match=r"MeanSquaredError: reduction: expected one of .*received 'summ'.*'sum'"):
        losses.MeanSquaredError(reduction="summ")
    with pytest.raises(
        TypeError, match=r"MeanSquaredError got an unexpected keyword argument 'reductoin'.*'reduction'"
    ):
        losses.MeanSquaredError(reductoin="sum")  # type: ignore[call-arg]
    with pytest.raises(ModelError, match=r"axis: expected an integer, received True \(bool\)"):
        losses.categorical_crossentropy(HOT, P, axis=True)
    with pytest.raises(ModelError, match=r"CategoricalCrossentropy: axis: expected an integer, received 1\.0"):
        losses.CategoricalCrossentropy(axis=1.0)  # type: ignore[arg-type]
    with pytest.raises(ModelError, match=r"binary_crossentropy: axis=2: y_pred of shape \(11, 4\) has no such axis"):
        losses.binary_crossentropy(BITS, P, axis=2)
    with pytest.raises(ModelError, match=r"CategoricalGeneralizedCrossEntropy: q: expected a number between 0 and 1"):
        losses.CategoricalGeneralizedCrossEntropy(q=1.0)
    with pytest.raises(
        ModelError, match=r"alpha: expected a number, or one for each of 4 classes, received shape \(3,\)"
    ):
        losses.categorical_focal_crossentropy(HOT, P, alpha=[1.0, 2.0, 3.0])
    with pytest.raises(ModelError, match=r"categorical_generalized_cross_entropy: .*Give one integer label"):
        losses.categorical_generalized_cross_entropy(HOT, P, 0.5)
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
    for function in (losses.categorical_crossentropy, losses.categorical_focal_crossentropy):
        with pytest.warns(SyntaxWarning, match=f"{function.__name__}: .*classes > 1") as seen:
            function(HOT[:, :1], P[:, :1])
        assert seen[0].filename == __file__


def test_names_follow_each_other() -> None:
    from nncompile import backend

    class OwnLoss(losses.Loss):
        pass

    backend.clear_session(free_memory=False)
    assert [OwnLoss().name, OwnLoss().name, OwnLoss(name="x").name] == ["own_loss", "own_loss_1", "x"]


@pytest.mark.parametrize("old", ["logcosh", "kullback_leibler_divergence", "cosine_proximity"])
def test_names_of_keras_2(old: str) -> None:
    today = losses.names.OLD_NAMES[old]
    with pytest.warns(DeprecationWarning, match=f"losses: '{old}' is the spelling of Keras 1 or 2; use '{today}'"):
        assert losses.get(old) is losses.get(today)
