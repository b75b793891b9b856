"""Metrics: against real Keras, on numbers and on symbols, over several batches."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import pytest
from symbolic import same, symbol

from nncompile import backend, losses, metrics, ops, registry
from nncompile.errors import ModelError, UnsupportedError

RNG = np.random.default_rng(3)
N, K = 24, 7
P = RNG.integers(0, 5, (N, K)).astype(np.float32) / 5  # with many ties
P[0] = np.nan
P[1, 2] = np.nan
P[2] = [np.inf, -np.inf, 0, 1, np.inf, 2, 3]
P[3] = -np.inf
P[4] = 0.5
LABELS = RNG.integers(0, K, N).astype(np.int32)
LABELS[1:4] = [2, 1, 0]
HOT = np.eye(K, dtype=np.float32)[LABELS]
BITS = RNG.integers(0, 2, (N, K)).astype(np.float32)
FINITE = np.abs(RNG.normal(size=(N, K))).astype(np.float32) + np.float32(0.1)
FINITE /= FINITE.sum(axis=-1, keepdims=True)

FUNCTIONS: list[tuple[str, Any, Any, dict[str, Any]]] = [
    ("binary_accuracy", BITS, P, {}),
    ("binary_accuracy", BITS, P, {"threshold": 0.2}),
    ("binary_accuracy", BITS[:, 0], P[:, :1], {}),
    ("categorical_accuracy", HOT, P, {}),
    ("categorical_accuracy", P[::-1].copy(), P, {}),
    ("sparse_categorical_accuracy", LABELS, P, {}),
    ("sparse_categorical_accuracy", LABELS[:, None], P, {}),
    ("top_k_categorical_accuracy", HOT, P, {}),
    ("top_k_categorical_accuracy", HOT, P, {"k": 1}),
    ("sparse_top_k_categorical_accuracy", LABELS, P, {"k": 1}),
    ("sparse_top_k_categorical_accuracy", LABELS, P, {"k": 2}),
    ("sparse_top_k_categorical_accuracy", LABELS, P, {"k": 3}),
    ("sparse_top_k_categorical_accuracy", LABELS, P, {}),
    ("sparse_top_k_categorical_accuracy", LABELS, P, {"k": 99}),
    ("mean_squared_error", BITS, FINITE, {}),
    ("categorical_crossentropy", HOT, FINITE, {}),
]
CLASSES: list[tuple[str, Any, Any, dict[str, Any]]] = [
    ("Accuracy", BITS, np.round(FINITE * 2), {}),
    ("BinaryAccuracy", BITS, P, {}),
    ("BinaryAccuracy", BITS, P, {"threshold": 0.3}),
    ("CategoricalAccuracy", HOT, P, {}),
    ("SparseCategoricalAccuracy", LABELS, P, {}),
    ("TopKCategoricalAccuracy", HOT, P, {"k": 2}),
    ("SparseTopKCategoricalAccuracy", LABELS, P, {}),
    ("MeanSquaredError", BITS, FINITE, {}),
    ("MeanAbsoluteError", BITS, FINITE, {}),
    ("BinaryCrossentropy", BITS, FINITE, {"label_smoothing": 0.1}),
    ("BinaryCrossentropy", BITS, FINITE, {"from_logits": True}),
    ("CategoricalCrossentropy", HOT, FINITE, {"from_logits": True}),
    ("SparseCategoricalCrossentropy", LABELS, FINITE, {}),
]
IDS = [f"{i}-{case[0]}" for i, case in enumerate(CLASSES)]


def test_every_metric_is_tested() -> None:
    assert set(registry.registered("metrics")) == {case[0] for case in CLASSES} | {"Mean"}


@pytest.mark.parametrize(("name", "y_true", "y_pred", "arguments"), FUNCTIONS)
def test_values_are_those_of_keras(name: str, y_true: Any, y_pred: Any, arguments: dict[str, Any]) -> None:
    from oracle import keras

    expected = np.asarray(getattr(keras.metrics, name)(y_true, y_pred, **arguments))
    got = getattr(metrics, name)(y_true, y_pred, **arguments)
    assert got.dtype == np.float32
    np.testing.assert_allclose(np.reshape(got, expected.shape), expected, rtol=1e-6)
    np.testing.assert_array_equal(getattr(metrics, name)(y_true.tolist(), y_pred.tolist(), **arguments), got)


@pytest.mark.parametrize(("name", "y_true", "y_pred", "arguments"), FUNCTIONS)
def test_symbols_mean_the_same(name: str, y_true: Any, y_pred: Any, arguments: dict[str, Any]) -> None:
    metric = metrics.MeanMetricWrapper(getattr(metrics, name), **arguments)
    t, p = symbol("t", y_true), symbol("p", y_pred)
    values = metric.call(t, p)
    assert values.shape == (None,)
    expected = metric.call(y_true, y_pred)
    same(values, {t: y_true, p: y_pred}, expected, rtol=1e-6)
    metric.update_state(y_true, y_pred)
    assert metric.result() == pytest.approx(np.mean(expected))


def test_labels_that_name_no_class_are_never_right() -> None:
    scores = np.zeros((2, 3), np.float32)
    assert metrics.sparse_top_k_categorical_accuracy([3, -1], scores, k=2).tolist() == [0.0, 0.0]
    assert metrics.sparse_categorical_accuracy([3, -1], scores).tolist() == [0.0, 0.0]


@pytest.mark.parametrize(("name", "y_true", "y_pred", "arguments"), CLASSES, ids=IDS)
@pytest.mark.parametrize("weights", [None, "sample", "column", "one", "zero"])
def test_classes_are_those_of_keras(
    name: str, y_true: Any, y_pred: Any, arguments: dict[str, Any], weights: str | None
) -> None:
    from oracle import keras

    weight: Any = np.linspace(0, 2, N, dtype=np.float32)
    weight = {
        None: None,
        "sample": weight,
        "column": weight[:, None],
        "one": weight * 0 + 1,
        "zero": weight * 0,
    }[weights]
    theirs, mine = getattr(keras.metrics, name)(**arguments), getattr(metrics, name)(**arguments)
    assert mine.get_config() == theirs.get_config()
    assert mine._direction == theirs._direction
    for rows in (slice(0, 10), slice(10, 17), slice(17, N)):
        w = None if weight is None else weight[rows]
        theirs.update_state(y_true[rows], y_pred[rows], w)
        mine.update_state(y_true[rows], y_pred[rows], w)
        assert float(theirs.result()) == pytest.approx(mine.result(), rel=2e-6, abs=1e-7)
    assert float(theirs.count) == pytest.approx(mine.count, rel=1e-6)
    mine.reset_state()
    assert (mine.total, mine.count, mine.result()) == (0.0, 0.0, 0.0)
    again = type(mine).from_config(mine.get_config())
    assert again.get_config() == mine.get_config()


@pytest.mark.parametrize(
    ("values", "weight"),
    [
        ([1, 3, 5, 7], None),
        ([1, 3, 5, 7], [1, 1, 0, 0]),
        ([1, 3, 5, 7], 2.0),
        (4.0, None),
        (np.arange(12.0).reshape(2, 3, 2), None),
        (np.arange(12.0).reshape(2, 3, 2), [1, 3]),
        (np.arange(12.0).reshape(2, 3, 2), [[1, 3, 0], [0, 1, 1]]),
        (np.arange(6.0).reshape(2, 3), [[1, 3, 0], [0, 1, 1]]),
        (np.arange(4.0).reshape(4, 1), [1, 2, 3, 4]),
    ],
)
def test_mean(values: Any, weight: Any) -> None:
    from oracle import keras

    theirs, mine = keras.metrics.Mean(), metrics.Mean()
    theirs.update_state(values, weight)
    assert mine(values, weight) == pytest.approx(float(theirs.result()), rel=1e-6)
    assert mine.count == pytest.approx(float(theirs.count))
    mine.add(10.0, 5.0)
    assert mine.total == pytest.approx(float(theirs.total) + 10)


def test_sums_are_exact_over_many_batches() -> None:
    mean = metrics.Mean()
    for _ in range(1000):
        mean.update_state(np.full(100, 0.1, np.float32))
    assert mean.result() == pytest.approx(float(np.float32(0.1)), rel=1e-12)


@pytest.mark.parametrize("identifier", ["accuracy", "acc", "Accuracy", "crossentropy", "ce"])
@pytest.mark.parametrize(
    ("output", "target", "prefix"),
    [
        ((None, 1), (None, 1), "Binary"),
        ((None, 1), (None,), "Binary"),
        ((None, 3), (None,), "SparseCategorical"),
        ((None, 3), (None, 1), "SparseCategorical"),
        ((None, 3), (None, 3), "Categorical"),
    ],
)
def test_chosen_by_shape(identifier: str, output: Any, target: Any, prefix: str) -> None:
    metric = metrics.resolve(identifier, output, target)
    kind = "Accuracy" if identifier.lower().startswith("acc") else "Crossentropy"
    assert type(metric).__name__ == prefix + kind
    assert metric.name == identifier


def test_resolve_names_as_keras_does() -> None:
    from oracle import keras

    get_metric = keras.src.trainers.compile_utils.get_metric

    def OwnMetric(y_true: Any, y_pred: Any) -> Any:
        return ops.mean(y_pred, axis=-1)

    shapes = ((None, K), (None, K))
    for identifier in ("acc", "accuracy", "mse", "MAE", "MeanSquaredError", "binary_accuracy", OwnMetric):
        theirs = get_metric(identifier, keras.Input((K,)), keras.Input((K,)))
        mine = metrics.resolve(identifier, *shapes)
        assert mine.name == theirs.name
        assert type(mine).__name__ == type(theirs).__name__
        assert hasattr(mine, "_direction") == hasattr(theirs, "_direction")
    given = metrics.BinaryAccuracy(name="given")
    assert metrics.resolve(given, *shapes) is given
    assert given.name == "given"
    assert metrics.resolve(lambda t, p: p, *shapes).name == "lambda"
    assert metrics.resolve(losses.mean_squared_error, *shapes)._direction == "down"
    assert metrics.resolve(metrics.BinaryAccuracy, *shapes).name == "binary_accuracy"


def test_get() -> None:
    from oracle import keras

    for name in (
        "mse",
        "MSE",
        "mae",
        "MAE",
        "bce",
        "BCE",
        "sparse_top_k_categorical_accuracy",
        *registry.registered("metrics"),
    ):
        assert type(metrics.get(name)).__name__ == type(keras.metrics.get(name)).__name__
    assert metrics.get(None) is None
    assert metrics.get(metrics.accuracy) is metrics.accuracy


def test_signatures_are_those_of_keras() -> None:
    from oracle import keras

    for name, thing in registry.registered("metrics").items():
        theirs = inspect.signature(getattr(keras.metrics, name)).parameters
        mine = inspect.signature(thing).parameters
        assert [(p.name, p.default) for p in mine.values()] == [(p.name, p.default) for p in theirs.values()]


def test_serialize() -> None:
    from oracle import keras

    for name, _, _, arguments in CLASSES:
        description = metrics.serialize(getattr(metrics, name)(name="n", **arguments))
        assert description == keras.metrics.serialize(getattr(keras.metrics, name)(name="n", **arguments))
        assert metrics.serialize(metrics.deserialize(description)) == description
        assert type(metrics.get(description)).__name__ == name

    @registry.register_keras_serializable("Mine")
    def mine(y_true: Any, y_pred: Any) -> Any:
        return y_pred

    for function in (
        mine,
        losses.mean_squared_error,
        metrics.binary_accuracy,
        metrics.top_k_categorical_accuracy,
    ):
        wrapper = metrics.MeanMetricWrapper(function, name="w")
        again = metrics.MeanMetricWrapper.from_config(wrapper.get_config())
        assert again.fn is function
        assert again.get_config() == wrapper.get_config()
    assert metrics.MeanMetricWrapper(losses.mean_squared_error, name="w").get_config() == (
        keras.metrics.MeanMetricWrapper(keras.losses.mean_squared_error, name="w").get_config()
    )
    with pytest.raises(ModelError, match="cannot be saved"):
        metrics.serialize(lambda t, p: p)


def test_a_metric_of_your_own() -> None:
    class Count(metrics.Metric):
        def __init__(self, name: str | None = None, **keywords: Any) -> None:
            super().__init__(name=name, **keywords)
            self.seen = self.add_variable(shape=(), initializer="zeros", name="seen")
            self.others = self.add_weight(shape=(2,), name="others")

        def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
            self.seen.assign(ops.add(self.seen, len(y_true)))

        def result(self) -> Any:
            return float(self.seen)

    backend.clear_session()
    count = Count()
    assert count.name == "count"
    assert count([0, 1], [0, 1]) == 2.0
    assert [v.path for v in count.variables] == ["count/seen", "count/others"]
    count.reset_state()
    assert count.result() == 0.0
    assert repr(count) == "<Count name=count>"
    with pytest.raises(NotImplementedError, match="define update_state"):
        metrics.Metric().update_state()


def test_what_cannot_be_right() -> None:
    with pytest.raises(ModelError, match=r"metrics: unknown name 'binary_acuracy'\. Did you mean 'binary_accuracy'"):
        metrics.get("binary_acuracy")
    with pytest.raises(UnsupportedError, match="'AUC' is not supported yet"):
        metrics.get("AUC")
    with pytest.raises(UnsupportedError, match="'f1_score' is not supported yet"):
        metrics.resolve("f1_score", (None, 1), (None, 1))
    with pytest.raises(ModelError, match="received 3"):
        metrics.get(3)
    with pytest.raises(ModelError, match="received None"):
        metrics.resolve(None, (None, 1), (None, 1))
    with pytest.raises(TypeError, match=r"BinaryAccuracy got an unexpected keyword argument 'treshold'.*'threshold'"):
        metrics.BinaryAccuracy(treshold=0.1)  # type: ignore[call-arg]
    with pytest.raises(UnsupportedError, match="from_sorted_ids=True is not supported yet"):
        metrics.SparseTopKCategoricalAccuracy(from_sorted_ids=True)
    with pytest.raises(UnsupportedError, match="CategoricalCrossentropy: axis=0"):
        metrics.CategoricalCrossentropy(axis=0)
    with pytest.raises(UnsupportedError, match="ignore_class=1"):
        metrics.SparseCategoricalCrossentropy(ignore_class=1)
    with pytest.raises(UnsupportedError, match="Mean: float16"):
        metrics.Mean(dtype="float16")
