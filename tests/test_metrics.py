"""Metrics: against real Keras, on numbers and on symbols, over several batches."""

from __future__ import annotations

import inspect
import json
from typing import Any

import numpy as np
import pytest
from symbolic import same, symbol

import nncompile as nn
from nncompile import backend, losses, metrics, ops, registry
from nncompile.errors import ModelError, UnsupportedError

pytestmark = pytest.mark.quick_c

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

RANKED = np.argsort(-FINITE, axis=-1).astype(np.float32)
REALS = RNG.normal(size=(N, K)).astype(np.float32)
ONE = FINITE[:, 0] / FINITE[:, 0].max()  # probabilities, one per sample
ONE[:4] = [0.0, 1.0, 0.5, 0.25]
YES = BITS[:, 0]
PROBABILITIES = np.clip(REALS * 0.3 + 0.5, 0, 1)

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
    ("sparse_top_k_categorical_accuracy", LABELS, RANKED, {"from_sorted_ids": True}),
    ("sparse_top_k_categorical_accuracy", LABELS, RANKED, {"from_sorted_ids": True, "k": 2}),
    ("mean_squared_error", BITS, FINITE, {}),
    ("categorical_crossentropy", HOT, FINITE, {}),
    ("pearson_correlation", REALS, FINITE, {}),
    ("pearson_correlation", REALS, FINITE, {"axis": 1}),
    ("concordance_correlation", REALS, FINITE, {}),
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
    ("SparseCategoricalCrossentropy", LABELS, FINITE, {"ignore_class": 2}),
    ("SparseTopKCategoricalAccuracy", LABELS, RANKED, {"k": 3, "from_sorted_ids": True}),
    ("MeanAbsolutePercentageError", REALS, FINITE, {}),
    ("MeanSquaredLogarithmicError", FINITE, REALS, {}),
    ("RootMeanSquaredError", REALS, FINITE, {}),
    ("RootMeanSquaredError", REALS[:, 0], FINITE[:, :1], {}),
    ("LogCoshError", REALS, FINITE, {}),
    ("Hinge", BITS, REALS, {}),
    ("SquaredHinge", BITS * 2 - 1, REALS, {}),
    ("CategoricalHinge", HOT, REALS, {}),
    ("KLDivergence", HOT, FINITE, {}),
    ("Poisson", BITS, FINITE, {}),
    ("CosineSimilarity", REALS, FINITE, {}),
    ("PearsonCorrelation", REALS, FINITE, {}),
    ("ConcordanceCorrelation", REALS, FINITE, {}),
]
STATES: list[tuple[str, Any, Any, dict[str, Any]]] = [
    # metrics whose state is not one mean
    ("TruePositives", BITS, PROBABILITIES, {}),
    ("TruePositives", YES, ONE, {"thresholds": [0.8, 0.2, 0.5, 0.2]}),
    ("FalsePositives", YES[:, None], ONE[:, None], {"thresholds": 0.25}),
    ("FalsePositives", YES, ONE, {"thresholds": [0, 0.25, 0.5, 0.75, 1]}),
    ("TrueNegatives", YES, ONE[:, None], {}),
    ("FalseNegatives", BITS, PROBABILITIES, {"thresholds": [0.0, 0.5, 1.0]}),
    ("Precision", YES, ONE, {}),
    ("Precision", BITS, PROBABILITIES, {"thresholds": [0.1, 0.9]}),
    ("Precision", BITS, PROBABILITIES, {"top_k": 2}),
    ("Precision", BITS, PROBABILITIES, {"class_id": 1}),
    ("Precision", BITS, PROBABILITIES, {"top_k": 3, "class_id": 2, "thresholds": 0.4}),
    ("Precision", BITS * 0, PROBABILITIES, {}),
    ("Recall", YES, ONE, {}),
    ("Recall", BITS, PROBABILITIES, {"top_k": 2}),
    ("Recall", BITS, PROBABILITIES, {"class_id": -1, "thresholds": [0.0, 0.5, 1.0]}),
    ("Recall", BITS * 0, PROBABILITIES, {}),
    ("SensitivityAtSpecificity", YES, ONE, {"specificity": 0.4}),
    ("SensitivityAtSpecificity", YES, ONE, {"specificity": 0.5, "num_thresholds": 1}),
    ("SensitivityAtSpecificity", BITS, PROBABILITIES, {"specificity": 0.6, "class_id": 3}),
    ("SpecificityAtSensitivity", YES, ONE, {"sensitivity": 0.6, "num_thresholds": 12}),
    ("PrecisionAtRecall", YES, ONE, {"recall": 0.5}),
    ("RecallAtPrecision", YES, ONE, {"precision": 0.6}),
    ("RecallAtPrecision", YES, ONE, {"precision": 1.0}),
    ("AUC", YES, ONE, {}),
    ("AUC", YES[:, None], ONE[:, None], {"num_thresholds": 10, "summation_method": "minoring"}),
    ("AUC", BITS, PROBABILITIES, {"summation_method": "Majoring", "curve": "roc"}),
    ("AUC", YES, ONE, {"curve": "PR"}),
    ("AUC", YES, ONE, {"curve": "PR", "summation_method": "majoring", "thresholds": [0.7, 0.2, 0.3]}),
    ("AUC", YES, ONE, {"curve": "PR", "thresholds": [0.25, 0.5, 0.75]}),
    ("AUC", YES, ONE, {"curve": "PRGAIN", "num_thresholds": 30}),
    ("AUC", YES, ONE, {"curve": "prgain", "summation_method": "minoring"}),
    ("AUC", YES, REALS[:, 0], {"from_logits": True}),
    ("AUC", YES, P[:, 0], {}),
    ("AUC", YES * 0, ONE, {}),
    ("AUC", YES * 0 + 1, ONE, {"curve": "PR"}),
    ("AUC", BITS, PROBABILITIES, {"multi_label": True}),
    ("AUC", BITS, PROBABILITIES, {"multi_label": True, "num_labels": K, "label_weights": np.arange(K), "curve": "PR"}),
    ("AUC", BITS, PROBABILITIES, {"multi_label": True, "thresholds": [0.3, 0.6], "label_weights": np.arange(K)}),
    ("AUC", BITS, PROBABILITIES, {"label_weights": np.arange(K)}),
    ("AUC", BITS, PROBABILITIES, {"label_weights": np.arange(K), "thresholds": [0.31, 0.62]}),
    ("F1Score", HOT, FINITE, {}),
    ("F1Score", HOT, FINITE * 0, {}),
    ("F1Score", BITS, FINITE, {"average": "micro", "threshold": 0.2}),
    ("FBetaScore", HOT, FINITE, {"average": "macro", "beta": 2.0}),
    ("FBetaScore", HOT, FINITE, {"average": "weighted", "beta": 0.5}),
    ("FBetaScore", BITS, PROBABILITIES, {"threshold": 0.5}),
    ("R2Score", REALS, FINITE, {}),
    ("R2Score", REALS, PROBABILITIES, {"class_aggregation": None}),
    ("R2Score", REALS, PROBABILITIES, {"class_aggregation": "variance_weighted_average", "num_regressors": 2}),
    ("R2Score", YES[:, None], ONE[:, None], {}),
    ("R2Score", YES[:, None] * 0, ONE[:, None], {}),
    ("IoU", LABELS % 3, LABELS // 2, {"num_classes": 3, "target_class_ids": [0, 2]}),
    ("IoU", HOT, FINITE, {"num_classes": K, "target_class_ids": [1], "sparse_y_true": False, "sparse_y_pred": False}),
    ("BinaryIoU", YES, ONE, {}),
    ("BinaryIoU", BITS, PROBABILITIES, {"target_class_ids": [1], "threshold": 0.25}),
    ("MeanIoU", LABELS, LABELS[::-1], {"num_classes": K}),
    ("MeanIoU", LABELS, LABELS // 2, {"num_classes": 4, "ignore_class": 1}),
    ("MeanIoU", LABELS, LABELS // 2, {"num_classes": 5, "ignore_class": -1, "dtype": "float32"}),
    ("OneHotIoU", HOT, FINITE, {"num_classes": K, "target_class_ids": [0, 3], "ignore_class": 3}),
    ("OneHotIoU", HOT, LABELS[::-1], {"num_classes": K, "target_class_ids": (0, 3), "sparse_y_pred": True}),
    ("OneHotMeanIoU", HOT, FINITE, {"num_classes": K}),
    ("Sum", None, BITS, {}),
    ("Sum", None, YES, {}),
    ("Mean", None, REALS, {}),
]
IDS = [f"{i}-{case[0]}" for i, case in enumerate(CLASSES)]


def test_every_metric_is_tested() -> None:
    of_anything = {"MeanMetricWrapper"}  # a function's mean; those here are made of it
    assert set(registry.registered("metrics")) - of_anything == {case[0] for case in CLASSES + STATES}


@pytest.mark.parametrize(("name", "y_true", "y_pred", "arguments"), FUNCTIONS)
def test_values_are_those_of_keras(name: str, y_true: Any, y_pred: Any, arguments: dict[str, Any]) -> None:
    from oracle import keras

    expected = np.asarray(getattr(keras.metrics, name)(y_true, y_pred, **arguments))
    got = getattr(metrics, name)(y_true, y_pred, **arguments)
    assert got.dtype == np.float32
    np.testing.assert_allclose(np.reshape(got, expected.shape), expected, rtol=1e-6, atol=2e-7)
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
def test_classes_are_those_of_keras(name: str, y_true: Any, y_pred: Any, arguments: dict[str, Any]) -> None:
    from oracle import keras

    weight = np.linspace(0, 2, N, dtype=np.float32)
    weights: list[Any] = [None, weight]
    if name in ("BinaryAccuracy", "RootMeanSquaredError", "MeanSquaredError"):
        weights += [weight[:, None], weight * 0 + 1, weight * 0]
    theirs, mine = getattr(keras.metrics, name)(**arguments), getattr(metrics, name)(**arguments)
    assert list(mine.get_config().items()) == list(theirs.get_config().items())  # in this order
    assert mine._direction == theirs._direction
    again = type(mine).from_config(mine.get_config())
    assert again.get_config() == mine.get_config()
    for each in weights:
        theirs.reset_state()
        mine.reset_state()
        assert (mine.total, mine.count, mine.result()) == (0.0, 0.0, 0.0)
        for rows in (slice(0, N // 2), slice(N // 2, N)):
            w = None if each is None else each[rows]
            theirs.update_state(y_true[rows], y_pred[rows], w)
            mine.update_state(y_true[rows], y_pred[rows], w)
            assert float(theirs.result()) == pytest.approx(mine.result(), rel=3e-6, abs=2e-7)
        assert float(theirs.count) == pytest.approx(mine.count, rel=1e-6)
    assert [v.path for v in mine.variables] == [v.path for v in theirs.variables]
    assert [float(v) for v in mine.variables] == [mine.total, mine.count]


@pytest.mark.filterwarnings("ignore:You are passing weight as:UserWarning")
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning", "ignore:Explicitly requested dtype")
@pytest.mark.parametrize(
    ("name", "y_true", "y_pred", "arguments"), STATES, ids=[f"{i}-{case[0]}" for i, case in enumerate(STATES)]
)
def test_states_are_those_of_keras(name: str, y_true: Any, y_pred: Any, arguments: dict[str, Any]) -> None:
    from oracle import keras

    theirs, mine = getattr(keras.metrics, name)(**arguments), getattr(metrics, name)(**arguments)
    description = theirs.get_config()
    if arguments.get("label_weights") is not None:
        description["label_weights"] = np.asarray(description["label_weights"]).tolist()
    assert list(mine.get_config().items()) == list(description.items())
    assert getattr(mine, "_direction", None) == getattr(theirs, "_direction", None)
    # both ways, as files have it
    here = metrics.deserialize(json.loads(json.dumps(keras.metrics.serialize(theirs))))
    there = keras.metrics.deserialize(json.loads(json.dumps(metrics.serialize(mine))))
    assert here.get_config() == mine.get_config()
    assert type(there) is type(theirs)
    assert mine.get_config() == type(mine).from_config(mine.get_config()).get_config()
    for weight in (None, np.linspace(0, 2, N, dtype=np.float32)):
        if weight is not None and name == "BinaryIoU" and y_pred.ndim == 2:
            weight = np.repeat(weight[:, None], K, axis=1)
        for rows in (slice(0, N // 2), slice(N // 2, N)):  # of one shape: Keras compiles each anew
            batch = () if y_true is None else (y_true[rows],)
            w = None if weight is None else weight[rows]
            for metric in (theirs, mine, here):
                metric.update_state(*batch, y_pred[rows], sample_weight=w)
            expected, got = np.asarray(theirs.result()), mine.result()
            assert np.shape(got) == expected.shape
            np.testing.assert_allclose(got, expected, rtol=2e-5, atol=2e-6)
            np.testing.assert_array_equal(here.result(), got)
        assert [(v.path, v.shape) for v in mine.variables] == [(v.path, tuple(v.shape)) for v in theirs.variables]
        for a, b in zip(mine.variables, theirs.variables, strict=True):
            np.testing.assert_allclose(a.value, np.asarray(b), rtol=2e-6, atol=5e-5, err_msg=a.path)
        for metric in (theirs, mine, here):
            metric.reset_state()
        assert not any(np.any(v.value) for v in mine.variables)


@pytest.mark.parametrize(
    ("name", "y_true", "y_pred", "arguments"),
    CLASSES + STATES,
    ids=[f"{i}-{c[0]}" for i, c in enumerate(CLASSES + STATES)],
)
def test_samples_one_by_one(name: str, y_true: Any, y_pred: Any, arguments: dict[str, Any]) -> None:
    """What is measured does not depend on how samples come in batches, be they of one or of none."""
    at_once, one_by_one = (getattr(metrics, name)(**arguments) for _ in range(2))
    weight = np.linspace(0, 2, N)
    if name == "BinaryIoU" and y_pred.ndim == 2:
        weight = np.repeat(weight[:, None], K, axis=1)
    batches = [slice(i, i + 1) for i in range(N)]
    for metric, pieces in ((at_once, [slice(None)]), (one_by_one, [*batches[:5], slice(5, 5), *batches[5:]])):
        for rows in pieces:
            batch = () if y_true is None else (y_true[rows],)
            metric.update_state(*batch, y_pred[rows], sample_weight=weight[rows])
    np.testing.assert_allclose(one_by_one.result(), at_once.result(), rtol=1e-6, atol=1e-7)


FORMULAS = ("TruePositives", "FalsePositives", "TrueNegatives", "FalseNegatives", "Precision", "Recall")


@pytest.mark.parametrize("name", FORMULAS)
def test_counts_are_sums_of_formulas(name: str) -> None:
    """The parts of a metric, summed over rows with weights, are its state."""
    weight = np.linspace(0.0, 2.0, N)
    choices = [{}, {"thresholds": [0.3, 0.7]}, {"thresholds": 0.2}]
    for arguments in choices + ([{"class_id": 2}, {"class_id": -1}] if name in ("Precision", "Recall") else []):
        expected, summed = (getattr(metrics, name)(**arguments) for _ in range(2))
        expected.update_state(BITS, PROBABILITIES, weight)
        parts = summed.parts((None, K))
        assert len(parts) == sum(np.size(v.value) for v in summed.variables)
        assert len({part.name for part in parts}) == len(parts)
        t, p = symbol("t", BITS), symbol("p", PROBABILITIES)
        for part in parts:
            values = part.call(BITS, PROBABILITIES)
            same(part.call(t, p), {t: BITS, p: PROBABILITIES}, values)
            part.add(5.0, 1.0)
            part.reset_state()
            part.add(float(np.sum(values * weight)), float(np.sum(weight)))
            assert part.result() == pytest.approx(float(np.sum(values * weight)))
        np.testing.assert_allclose(summed.result(), expected.result(), rtol=1e-6)
        one = getattr(metrics, name)()
        (first, *_) = one.parts((None, 1))
        t, p = symbol("t", YES[:, None]), symbol("p", ONE[:, None])
        same(first.call(t, p), {t: YES[:, None], p: ONE[:, None]}, first.call(YES, ONE[:, None]))


def test_what_is_a_sum_of_formulas() -> None:
    mean = metrics.MeanSquaredError()
    assert mean.parts((None, K)) == (mean,)
    for captured in (
        metrics.AUC(),
        metrics.F1Score(),
        metrics.Precision(top_k=2),
        metrics.Recall(thresholds=[0.1, 0.2, 0.3]),
        metrics.R2Score(),
        metrics.Metric(),
    ):
        assert captured.parts((None, K)) == ()


def test_metrics_of_a_network() -> None:
    """Sums of C and states that are fed with the outputs, plain and weighted, in one program."""

    class Largest(metrics.Metric):
        def __init__(self, name: str = "largest") -> None:
            super().__init__(name=name)
            self.largest = self.add_weight(name="largest")

        def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
            self.largest.assign(np.maximum(self.largest, np.max(y_pred)))

        def result(self) -> Any:
            return self.largest.value

    def chosen(prefix: str) -> list[metrics.Metric]:
        return [
            metrics.AUC(name=f"{prefix}auc"),
            metrics.Precision(name=f"{prefix}precision"),
            metrics.Recall(thresholds=[0.4, 0.6], class_id=1, name=f"{prefix}recall"),
            metrics.Recall(top_k=2, name=f"{prefix}top"),
            metrics.TrueNegatives(name=f"{prefix}negatives"),
            metrics.F1Score(average="macro", name=f"{prefix}f1"),
            metrics.R2Score(class_aggregation=None, name=f"{prefix}r2"),
            metrics.RootMeanSquaredError(name=f"{prefix}rmse"),
            metrics.OneHotMeanIoU(3, dtype="float32", name=f"{prefix}iou"),
            metrics.CosineSimilarity(name=f"{prefix}cosine"),
            Largest(f"{prefix}largest"),
        ]

    rng = np.random.default_rng(5)
    x, y = rng.normal(size=(40, 4)).astype(np.float32), np.eye(3, dtype=np.float32)[rng.integers(0, 3, 40)]
    weight = rng.random(40)
    model = nn.Sequential([nn.Input((4,)), nn.layers.Dense(3, "sigmoid")])
    model.compile("sgd", "mse", metrics=chosen("a"), weighted_metrics=chosen("b"))
    got = model.evaluate(x, y, sample_weight=weight, batch_size=16, verbose=0, return_dict=True)
    p = model.predict(x, verbose=0)
    for prefix, w in (("a", None), ("b", weight)):
        for metric in chosen(prefix):
            metric.update_state(y, p, sample_weight=w)
            np.testing.assert_allclose(got[metric.name], metric.result(), rtol=1e-5, err_msg=metric.name)
    history = model.fit(x, y, epochs=2, verbose=0).history
    assert len(history["aauc"]) == 2
    assert history["bprecision"] == history["aprecision"]  # without weights
    assert np.shape(history["arecall"]) == (2, 2)


def test_samples_that_do_not_count() -> None:
    """Without weights they are in the mean, as zeros; the weights that they have are not."""
    from oracle import keras

    grid, p = np.repeat(LABELS[:, None], 2, axis=1), np.repeat(FINITE[:, None], 2, axis=1)
    weight = np.linspace(0, 2, N, dtype=np.float32)
    for y, x, w in (
        (LABELS, FINITE, None),
        (LABELS, FINITE, weight),
        (grid, p, None),
        (grid, p, np.stack([weight] * 2, 1)),
    ):
        theirs, mine = (m.SparseCategoricalCrossentropy(ignore_class=1) for m in (keras.metrics, metrics))
        for metric in (theirs, mine):
            metric.update_state(y, x, w)
        assert mine.result() == pytest.approx(float(theirs.result()), rel=1e-6)
        assert mine.count == pytest.approx(float(theirs.count), rel=1e-6)
    assert mine.parts((None, K)) == ()  # of weights that do not count the compiler knows nothing


def test_many_predictions() -> None:
    """Bucketing counts what comparing with every threshold would, in any order of thresholds."""
    rng = np.random.default_rng(0)
    y, p = rng.random(20000) < 0.3, rng.random(20000).astype(np.float32)
    weight = rng.random(20000)
    for thresholds in (rng.random(50), np.linspace(0, 1, 51)):
        counted = metrics.TruePositives(thresholds=thresholds.tolist())
        counted.update_state(y, p, weight)
        limits = thresholds.astype(np.float32)
        if len(limits) == 51:  # evenly spaced ones are found by a multiplication
            limits = np.ceil(p * np.float32(50))[None] > np.arange(51)[:, None]
            expected = (limits * (y * weight)).sum(axis=1)
        else:
            expected = ((p[None] > limits[:, None]) * (y * weight)).sum(axis=1)
        np.testing.assert_allclose(counted.result(), expected, rtol=1e-5)
    auc = metrics.AUC(num_thresholds=2000)
    auc.update_state(y, p + y * 0.2)
    right, wrong = p[y] + 0.2, p[~y]
    order = np.searchsorted(np.sort(wrong), right).sum() / (right.size * wrong.size)
    assert auc.result() == pytest.approx(order, abs=0.01)  # the area is the share of pairs in the right order


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

    needs_arguments = {name for name, _, _, arguments in STATES if "num_classes" in arguments or "At" in name}
    needs_arguments.add("MeanMetricWrapper")
    names = "mse MSE mae MAE mape MAPE msle MSLE bce BCE auc io_u r2_score sparse_top_k_categorical_accuracy".split()
    for name in (*names, *registry.registered("metrics")):
        if name in needs_arguments or name == "io_u":
            with pytest.raises(TypeError, match="missing"):
                metrics.get(name)
            continue
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

    backend.clear_session(free_memory=False)
    count = Count()
    assert count.name == "count"
    assert count([0, 1], [0, 1]) == 2.0
    assert [v.path for v in count.variables] == ["count/seen", "count/others"]
    count.reset_state()
    assert count.result() == 0.0
    assert repr(count) == "<Count name=count>"
    with pytest.raises(NotImplementedError, match="define update_state"):
        metrics.Metric().update_state()

    class Both(metrics.Metric):
        """Metrics inside, one of them in a list, and a variable of another element type."""

        def __init__(self, name: str = "both") -> None:
            super().__init__(name=name)
            self.mean = metrics.Mean(name="inner")
            self.counts = [metrics.TruePositives(name="tp")]
            self.most = self.add_weight(name="most", dtype="float64", initializer="ones")

        def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
            self.mean.update_state(y_pred)
            self.counts[0].update_state(y_true, y_pred)
            self.most.assign_add(2.0)
            self.most.assign_sub(0.5)

        def result(self) -> dict[str, float]:
            return {"mean": self.mean.result(), "tp": self.counts[0].result(), "most": float(self.most)}

    both = Both()
    assert both([1.0, 0.0], [0.75, 0.25]) == {"mean": 0.5, "tp": 1.0, "most": 2.5}
    assert [v.path for v in both.variables] == ["both/most", "inner/total", "inner/count", "tp/accumulator"]
    both.variables[1].assign(3.0)
    assert both.mean.total == 3.0
    both.reset_state()
    assert both.result() == {"mean": 0.0, "tp": 0.0, "most": 0.0}

    class Forgot(metrics.Metric):
        def __init__(self) -> None:
            self.seen = self.add_weight()

    with pytest.raises(ModelError, match=r"Forgot: call super\(\)\.__init__"):
        Forgot()


def test_what_cannot_be_right() -> None:
    with pytest.raises(ModelError, match=r"metrics: unknown name 'binary_acuracy'\. Did you mean 'binary_accuracy'"):
        metrics.get("binary_acuracy")
    with pytest.raises(ModelError, match="received 3"):
        metrics.get(3)
    with pytest.raises(ModelError, match="received None"):
        metrics.resolve(None, (None, 1), (None, 1))
    with pytest.raises(TypeError, match=r"BinaryAccuracy got an unexpected keyword argument 'treshold'.*'threshold'"):
        metrics.BinaryAccuracy(treshold=0.1)  # type: ignore[call-arg]
    with pytest.raises(ModelError, match="CategoricalCrossentropy: axis: expected an integer, received None"):
        metrics.CategoricalCrossentropy(axis=None)  # type: ignore[arg-type]
    with pytest.raises(UnsupportedError, match="Mean: float16"):
        metrics.Mean(dtype="float16")
    for make, message in (
        (
            lambda: metrics.Precision(thresholds=[0.5, 1.5]),
            r"Precision: thresholds: expected numbers from 0 to 1.*1\.5",
        ),
        (lambda: metrics.FalsePositives(thresholds=-1), r"FalsePositives: thresholds: .*-1"),
        (lambda: metrics.Recall(thresholds=[]), r"Recall: thresholds: .*\[\]"),
        (lambda: metrics.PrecisionAtRecall(1.5), r"PrecisionAtRecall: recall: expected a number from 0 to 1"),
        (lambda: metrics.RecallAtPrecision(0.5, 0), r"num_thresholds: expected a number from 1 on, received 0"),
        (lambda: metrics.AUC(curve="POC"), r"AUC: curve: expected one of .*received 'POC'.*'ROC'"),
        (lambda: metrics.AUC(summation_method="minor"), r"summation_method: expected one of .*'minoring'"),
        (lambda: metrics.AUC(1), r"AUC: num_thresholds: expected a number from 2 on, received 1"),
        (lambda: metrics.AUC(num_labels=3), r"num_labels=3 is for multi_label=True"),
        (lambda: metrics.AUC(multi_label=True).update_state(YES, ONE), r"multi_label needs y_pred \(batch, labels\)"),
        (
            lambda: metrics.AUC().update_state(BITS, ONE),
            r"y_true of shape \(24, 7\) does not fit y_pred of shape \(24,\)",
        ),
        (lambda: metrics.AUC().update_state(YES, ONE, np.ones(3)), r"sample_weight of shape \(3,\) does not fit"),
        (lambda: metrics.AUC(multi_label=True).result(), r"no result before the first update_state"),
        (lambda: metrics.Recall(class_id=7).update_state(BITS, FINITE), r"class_id=7: there are 7 classes"),
        (lambda: metrics.Recall(class_id=0).update_state(YES, ONE), r"class_id=0 needs y_pred \(batch, classes\)"),
        (lambda: metrics.F1Score(average="mean"), r"average: expected one of .*received 'mean'"),
        (lambda: metrics.FBetaScore(beta=1), r"beta: expected a float above 0, received 1 \(int\)"),
        (lambda: metrics.F1Score(threshold=0.0), r"threshold: expected None or a float above 0"),
        (lambda: metrics.F1Score().update_state(YES, ONE), r"expected y_true and y_pred \(batch, outputs\)"),
        (lambda: metrics.F1Score().result(), r"no result before the first update_state"),
        (lambda: metrics.R2Score("mean"), r"class_aggregation: expected one of .*received 'mean'"),
        (lambda: metrics.R2Score(num_regressors=-1), r"num_regressors: expected a number from 0 on"),
        (lambda: metrics.R2Score().result(), r"no result before the first update_state"),
        (lambda: metrics.IoU(3, [3]), r"target_class_ids: \[3\] are no classes; there are 3"),
        (lambda: metrics.MeanIoU(3).update_state([0, 1], [0]), r"2 labels do not fit 1 predictions"),
        (lambda: metrics.MeanIoU(3).update_state([0, 1], [0, 1], [1, 1, 1]), r"shape \(3,\) does not fit 2 labels"),
        (lambda: metrics.MeanIoU(3, dtype="complex64"), r"received 'complex64'"),
    ):
        with pytest.raises(ModelError, match=message):
            make()  # type: ignore[no-untyped-call]


def test_warnings() -> None:
    adjusted = metrics.R2Score(num_regressors=9)
    adjusted.update_state(REALS[:2, :1], FINITE[:2, :1])
    with pytest.warns(UserWarning, match="9 regressors need more than 10 numbers.*2 were seen"):
        value = adjusted.result()
    plain = metrics.R2Score()
    plain.update_state(REALS[:2, :1], FINITE[:2, :1])
    assert value == plain.result()


def test_metrics_of_your_own_see_targets_as_given() -> None:
    """Labels in a column are a column, whichever form the loss takes; so it is by Keras."""

    class Shapes(metrics.Metric):
        def __init__(self, name: str = "shapes") -> None:
            super().__init__(name=name)
            self.seen: set[tuple[int, ...]] = set()

        def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
            self.seen.add(y_true.shape[1:])

        def result(self) -> float:
            return 0.0

    x, labels = FINITE[:6, :2], np.arange(6) % 3
    for loss, width, given in (
        ("sparse_categorical_crossentropy", 3, labels),
        ("sparse_categorical_crossentropy", 3, labels[:, None]),
        ("mse", 1, labels),
        ("mse", 1, labels[:, None]),
    ):
        metric = Shapes()
        model = nn.Sequential([nn.Input((2,)), nn.layers.Dense(width, activation="softmax" if width > 1 else None)])
        model.compile("sgd", loss, metrics=[metric, metrics.MeanIoU(3, sparse_y_pred=False)] if width > 1 else [metric])
        model.fit(x, given, batch_size=4, epochs=1, verbose=0)
        model.fit(((x[:3], given[:3]) for _ in range(2)), steps_per_epoch=2, verbose=0)
        model.evaluate(x, given, verbose=0)
        model.train_on_batch(x, given)
        assert metric.seen == {given.shape[1:]}


def test_weights_of_whole_numbers_are_cut() -> None:
    """As by Keras, which says nothing of it: the dtype of these metrics is int32."""
    metric = metrics.MeanIoU(2)
    metric.update_state([0, 1, 1], [0, 1, 0], [0.5, 1.7, 2.0])
    np.testing.assert_array_equal(metric.total_cm, [[0, 0], [2, 1]])
