"""Metrics of yes or no: counts of right and wrong, precision and recall, F-scores."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import config, ops
from ..errors import ModelError
from ..losses import squeeze_or_expand
from ..registry import register
from ..variables import Variable
from .base import MeanMetricWrapper, Metric, RowSum, divide_no_nan, number_or_array
from .regression import check_rows

Array = NDArray[Any]

NOWHERE = -1e10
"""What a prediction becomes that is not among the k largest of its row, and the threshold above which it is."""

KINDS = ("true_positives", "false_positives", "true_negatives", "false_negatives")


# ------------------------------------------------------------------ counting


def evenly_spaced(thresholds: Sequence[float]) -> bool:
    """Whether there are at least three thresholds, from 0 to 1 in even steps."""
    number = len(thresholds)
    even = np.arange(number, dtype=np.float32) / max(number - 1, 1)
    return number >= 3 and np.allclose(thresholds, even, atol=config.epsilon())


def _largest_only(y_pred: Array, top_k: int) -> Array:
    """Predictions with :data:`NOWHERE` for all but the k largest of each row; of equals the first are the larger."""
    if top_k >= y_pred.shape[-1]:
        return y_pred
    known = np.where(np.isnan(y_pred), -np.inf, y_pred)
    last = np.partition(known, -top_k, axis=-1)[..., -top_k, None]  # the smallest of those that are kept
    above, equal = known > last, known == last
    left = top_k - np.count_nonzero(above, axis=-1, keepdims=True)
    return np.where(above | (equal & (np.cumsum(equal, axis=-1) <= left)), y_pred, y_pred.dtype.type(NOWHERE))


def _thresholds_below(y_pred: Array, thresholds: Array, even: bool) -> NDArray[np.int64]:
    """How many thresholds, which are in order, each prediction is above; NaN is as low as a prediction can be."""
    number = len(thresholds)
    if not even:
        lowest = np.where(np.isnan(y_pred), -np.inf, y_pred)
        return np.asarray(np.searchsorted(thresholds, lowest, side="left"), np.int64)
    below = np.ceil(np.clip(np.nan_to_num(y_pred, nan=0.0), 0.0, 1.0) * (number - 1))  # rounded as Keras does
    if thresholds[0] < 0.0 or thresholds[-1] > 1.0:
        below = np.maximum(below, 1.0)
    return np.asarray(below, np.int64)


def confusion_counts(
    y_true: Any,
    y_pred: Any,
    thresholds: Sequence[float],
    dtype: str,
    *,
    even: bool,
    sample_weight: Any = None,
    top_k: int | None = None,
    class_id: int | None = None,
    multi_label: bool = False,
    label_weights: Any = None,
    where: str = "confusion",
) -> dict[str, Array]:
    """Counts, weighted, what is right and wrong above and up to each threshold.

    Each prediction is sorted into one of the ranges between the thresholds; sums over the
    ranges give the counts of all thresholds at once.

    Args:
        y_true: 0 or 1, of the shape of ``y_pred``; what is not 0 counts as 1.
        y_pred: predictions of any shape; those above a threshold are positive, NaN never.
        thresholds: in any order.
        dtype: element type of the comparison.
        even: whether the thresholds are :func:`evenly_spaced`, or are but for an epsilon
            at the ends. Predictions are then clipped to [0, 1].
        sample_weight: weights per sample, per prediction or for all.
        top_k: how many predictions of each row count; None for all.
        class_id: the column that counts; None for all.
        multi_label: whether the columns are counted apart.
        label_weights: weights of the columns.
        where: name of the metric, for messages.

    Returns:
        The counts by their name in :data:`KINDS`, ``(thresholds,)`` or ``(thresholds, columns)``.

    Raises:
        ModelError: the shapes do not fit.
    """
    y_pred, y_true = squeeze_or_expand(np.asarray(y_pred, dtype), np.asarray(y_true, dtype))
    if y_pred.shape != y_true.shape:
        raise ModelError(f"{where}: y_true of shape {y_true.shape} does not fit y_pred of shape {y_pred.shape}.")
    weight: Any = None
    if sample_weight is not None:
        weight = np.asarray(sample_weight, dtype)[..., None]
        if weight.ndim == y_true.ndim + 1:
            weight = weight[..., 0]
    if top_k is not None:
        y_pred = _largest_only(y_pred, top_k)
    if class_id is not None:
        if y_pred.ndim == 1:
            raise ModelError(f"{where}: class_id={class_id} needs y_pred (batch, classes), received {y_pred.shape}.")
        if not -y_pred.shape[-1] <= class_id < y_pred.shape[-1]:
            raise ModelError(f"{where}: class_id={class_id}: there are {y_pred.shape[-1]} classes.")
        y_true, y_pred = y_true[..., class_id, None], y_pred[..., class_id, None]
    if label_weights is not None:
        weight = np.asarray(label_weights, dtype)[None] * (1.0 if weight is None else weight)
    if weight is not None:
        try:
            weight = np.broadcast_to(weight, y_pred.shape)
        except ValueError:
            raise ModelError(
                f"{where}: sample_weight of shape {np.shape(sample_weight)} does not fit y_pred {y_pred.shape}."
            ) from None
    columns = y_pred.shape[-1] if multi_label else 1
    ordered = np.argsort(thresholds, kind="stable")
    limits = np.asarray(thresholds, dtype)[ordered]
    ranges = len(limits) + 1
    place = _thresholds_below(y_pred, limits, even) + ranges * (y_true != 0)
    if multi_label:
        place = place + 2 * ranges * np.arange(columns)
    counts = np.bincount(
        place.ravel(), None if weight is None else weight.ravel().astype(np.float64), 2 * ranges * columns
    )
    above = np.cumsum(counts.reshape(columns, 2, ranges)[..., ::-1], axis=-1, dtype=np.float64)[..., ::-1]
    positive = np.empty((columns, 2, len(limits)))
    positive[..., ordered] = above[..., 1:]
    negative = above[..., :1] - positive
    found = (positive[:, 1], positive[:, 0], negative[:, 0], negative[:, 1])
    return {kind: (x.T if multi_label else x[0]) for kind, x in zip(KINDS, found, strict=True)}


def _row_formula(kind: str, threshold: float, class_id: int | None) -> Callable[[Any, Any], Any]:
    """The number of a row's outputs of a kind, as a formula."""
    right, positive = kind.split("_")
    predicted = positive == "positives"
    labelled = predicted == (right == "true")

    def count(y_true: Any, y_pred: Any) -> Any:
        y_true, y_pred = squeeze_or_expand(y_true, y_pred)
        above = ops.greater(y_pred, threshold)
        label = ops.not_equal(y_true, 0.0)
        hit = ops.logical_and(
            label if labelled else ops.logical_not(label), above if predicted else ops.logical_not(above)
        )
        if class_id is not None:
            width = y_pred.shape[-1]
            column = ops.column() if isinstance(y_pred, ops.Expression) else np.arange(width)
            hit = ops.logical_and(hit, ops.equal(column, float(class_id % width)))
        return ops.sum(ops.cast(hit, None), axis=-1)

    count.__name__ = kind
    return count


class ConfusionMetric(Metric):
    """Base of metrics whose state are counts at some thresholds.

    Args:
        kinds: which of :data:`KINDS`.
        thresholds: where predictions are cut.
        even: whether the thresholds are evenly spaced from 0 to 1.
        name: of the metric.
        dtype: as of :class:`Metric`.
        top_k: how many predictions of each row count; None for all.
        class_id: the column that counts; None for all.
    """

    def __init__(
        self,
        kinds: Sequence[str],
        thresholds: Sequence[float],
        even: bool,
        name: str | None,
        dtype: Any,
        top_k: int | None = None,
        class_id: int | None = None,
    ) -> None:
        super().__init__(name=name, dtype=dtype)
        self.thresholds = list(thresholds)
        self._thresholds_distributed_evenly = even
        self.top_k = top_k
        self.class_id = class_id
        self._kinds: dict[str, Variable] = {}
        for kind in kinds:
            (self._kinds[kind],) = self._add_sums((len(self.thresholds),), self._variable_name(kind))

    def _variable_name(self, kind: str) -> str:
        return kind

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Takes a batch into account, with weights per sample, per prediction or for all."""
        counts = confusion_counts(
            y_true,
            y_pred,
            self.thresholds,
            self.dtype,
            even=self._thresholds_distributed_evenly,
            sample_weight=sample_weight,
            top_k=self.top_k,
            class_id=self.class_id,
            where=self.name,
        )
        for kind, variable in self._kinds.items():
            variable.assign(variable.value + counts[kind])

    def parts(self, output_shape: Sequence[int | None]) -> tuple[MeanMetricWrapper, ...]:
        if self.top_k is not None or len(self.thresholds) > 2:  # many passes over a row cost more than its copy
            return ()
        return tuple(
            RowSum(self, variable, index, _row_formula(kind, threshold, self.class_id))
            for kind, variable in self._kinds.items()
            for index, threshold in enumerate(self.thresholds)
        )

    def _counts(self) -> tuple[Array, Array, Array, Array]:
        """Right and wrong positives, right and wrong negatives; 0 for what is not counted."""
        found = [self._kinds[k].value if k in self._kinds else np.zeros(()) for k in KINDS]
        return found[0], found[1], found[2], found[3]

    def _of_thresholds(self, values: Array) -> Any:
        return number_or_array(values[0] if len(self.thresholds) == 1 else values, self.dtype)


def _checked_thresholds(owner: str, thresholds: Any, default: float) -> list[float]:
    if thresholds is None:
        return [default]
    given = list(thresholds) if isinstance(thresholds, (list, tuple, np.ndarray)) else [thresholds]
    wrong = [t for t in given if t is None or not 0 <= t <= 1]
    if wrong or not given:
        raise ModelError(f"{owner}: thresholds: expected numbers from 0 to 1, received {wrong or given}.")
    return given


class _ConditionCount(ConfusionMetric):
    """Base of the four counts.

    Attributes:
        kind: which it is.
    """

    kind: str

    def __init__(self, thresholds: Any = None, name: str | None = None, dtype: Any = None) -> None:
        self.init_thresholds = thresholds
        checked = _checked_thresholds(type(self).__name__, thresholds, 0.5)
        super().__init__((self.kind,), checked, evenly_spaced(checked), name, dtype)
        self.accumulator = self._kinds[self.kind]

    def _variable_name(self, kind: str) -> str:
        return "accumulator"

    def result(self) -> Any:
        return self._of_thresholds(self.accumulator.value)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "thresholds": self.init_thresholds}


@register("metrics")
class TruePositives(_ConditionCount):
    """How many predictions above a threshold are right, weighted.

    ``sum(w)`` where ``p > threshold`` and the label is 1.

    Args:
        thresholds: from 0 to 1, one or several; 0.5 if None. Several give an array.
        name: of this metric.
        dtype: as of :class:`Metric`.

    Raises:
        ModelError: a threshold is not from 0 to 1.

    Source: ``keras.metrics.TruePositives``.
    """

    kind = "true_positives"


@register("metrics")
class FalsePositives(_ConditionCount):
    """How many predictions above a threshold are wrong, weighted.

    ``sum(w)`` where ``p > threshold`` and the label is 0.

    Args:
        thresholds: from 0 to 1, one or several; 0.5 if None. Several give an array.
        name: of this metric.
        dtype: as of :class:`Metric`.

    Raises:
        ModelError: a threshold is not from 0 to 1.

    Source: ``keras.metrics.FalsePositives``.
    """

    kind = "false_positives"


@register("metrics")
class TrueNegatives(_ConditionCount):
    """How many predictions that are not above a threshold are right, weighted.

    ``sum(w)`` where ``p <= threshold`` and the label is 0.

    Args:
        thresholds: from 0 to 1, one or several; 0.5 if None. Several give an array.
        name: of this metric.
        dtype: as of :class:`Metric`.

    Raises:
        ModelError: a threshold is not from 0 to 1.

    Source: ``keras.metrics.TrueNegatives``.
    """

    kind = "true_negatives"


@register("metrics")
class FalseNegatives(_ConditionCount):
    """How many predictions that are not above a threshold are wrong, weighted.

    ``sum(w)`` where ``p <= threshold`` and the label is 1.

    Args:
        thresholds: from 0 to 1, one or several; 0.5 if None. Several give an array.
        name: of this metric.
        dtype: as of :class:`Metric`.

    Raises:
        ModelError: a threshold is not from 0 to 1.

    Source: ``keras.metrics.FalseNegatives``.
    """

    kind = "false_negatives"


# ------------------------------------------------------------------ precision and recall


class _Share(ConfusionMetric):
    """Base of precision and recall: true positives as a share of themselves and others.

    Attributes:
        others: what the others are.
    """

    _direction = "up"
    others: str

    def __init__(
        self,
        thresholds: Any = None,
        top_k: int | None = None,
        class_id: int | None = None,
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        self.init_thresholds = thresholds
        checked = _checked_thresholds(type(self).__name__, thresholds, 0.5 if top_k is None else NOWHERE)
        kinds = ("true_positives", self.others)
        super().__init__(kinds, checked, evenly_spaced(checked), name, dtype, top_k, class_id)
        self.true_positives = self._kinds["true_positives"]
        setattr(self, self.others, self._kinds[self.others])

    def result(self) -> Any:
        right, others = self.true_positives.value, self._kinds[self.others].value
        return self._of_thresholds(divide_no_nan(right, right + others))

    def get_config(self) -> dict[str, Any]:
        own = {"thresholds": self.init_thresholds, "top_k": self.top_k, "class_id": self.class_id}
        return {**super().get_config(), **own}


@register("metrics")
class Precision(_Share):
    """The share of what is predicted that is right: ``TP / (TP + FP)``, 0 if nothing is.

    Args:
        thresholds: from 0 to 1, one or several; predictions above are positive. 0.5 if
            None, or with ``top_k`` none. Several give an array.
        top_k: how many of each row's predictions may be positive: the largest. None for all.
        class_id: the column that counts; None for all.
        name: of this metric.
        dtype: as of :class:`Metric`.

    Raises:
        ModelError: a threshold is not from 0 to 1.

    Source: ``keras.metrics.Precision``.
    """

    others = "false_positives"


@register("metrics")
class Recall(_Share):
    """The share of what is to be predicted that is: ``TP / (TP + FN)``, 0 if nothing is to be.

    Args:
        thresholds: from 0 to 1, one or several; predictions above are positive. 0.5 if
            None, or with ``top_k`` none. Several give an array.
        top_k: how many of each row's predictions may be positive: the largest. None for all.
        class_id: the column that counts; None for all.
        name: of this metric.
        dtype: as of :class:`Metric`.

    Raises:
        ModelError: a threshold is not from 0 to 1.

    Source: ``keras.metrics.Recall``.
    """

    others = "false_negatives"


# ------------------------------------------------------------------ one at a value of the other


class _BestAt(ConfusionMetric):
    """Base of metrics that find the best of one share among the thresholds where another is large enough.

    Attributes:
        argument: what the value is called that the other has to reach.
        wanted: the share that is returned, as in :meth:`_share`.
        bound: the other.
    """

    _direction = "up"
    argument: str
    wanted: str
    bound: str

    def _begin(self, value: float, num_thresholds: int, class_id: int | None, name: str | None, dtype: Any) -> None:
        owner = type(self).__name__
        if not 0 <= value <= 1:
            raise ModelError(f"{owner}: {self.argument}: expected a number from 0 to 1, received {value}.")
        if num_thresholds <= 0:
            raise ModelError(f"{owner}: num_thresholds: expected a number from 1 on, received {num_thresholds}.")
        setattr(self, self.argument, value)
        self.value = value
        self.num_thresholds = num_thresholds
        inner = [(i + 1) / (num_thresholds - 1) for i in range(num_thresholds - 2)]
        thresholds = [0.5] if num_thresholds == 1 else [0.0, *inner, 1.0]
        super().__init__(KINDS, thresholds, num_thresholds > 1, name, dtype, class_id=class_id)

    def _share(self, name: str) -> Array:
        tp, fp, tn, fn = self._counts()
        part, rest = {"sensitivity": (tp, fn), "recall": (tp, fn), "specificity": (tn, fp), "precision": (tp, fp)}[name]
        return divide_no_nan(part, part + rest)

    def result(self) -> float:
        feasible = self._share(self.bound) >= self.value
        return float(np.max(self._share(self.wanted), where=feasible, initial=0.0))

    def get_config(self) -> dict[str, Any]:
        own = {"class_id": self.class_id, "num_thresholds": self.num_thresholds, self.argument: self.value}
        return {**super().get_config(), **own}


@register("metrics")
class SensitivityAtSpecificity(_BestAt):
    """The best ``TP / (TP + FN)`` at a threshold where ``TN / (TN + FP)`` is at least a value; 0 if there is none.

    Args:
        specificity: the value, from 0 to 1.
        num_thresholds: how many thresholds are tried, evenly from 0 to 1; 0.5 if it is 1.
        class_id: the column that counts; None for all.
        name: of this metric.
        dtype: as of :class:`Metric`.

    Raises:
        ModelError: a number is out of its range.

    Source: ``keras.metrics.SensitivityAtSpecificity``.
    """

    argument, wanted, bound = "specificity", "sensitivity", "specificity"

    def __init__(
        self,
        specificity: float,
        num_thresholds: int = 200,
        class_id: int | None = None,
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        self._begin(specificity, num_thresholds, class_id, name, dtype)


@register("metrics")
class SpecificityAtSensitivity(_BestAt):
    """The best ``TN / (TN + FP)`` at a threshold where ``TP / (TP + FN)`` is at least a value; 0 if there is none.

    Args:
        sensitivity: the value, from 0 to 1.
        num_thresholds: how many thresholds are tried, evenly from 0 to 1; 0.5 if it is 1.
        class_id: the column that counts; None for all.
        name: of this metric.
        dtype: as of :class:`Metric`.

    Raises:
        ModelError: a number is out of its range.

    Source: ``keras.metrics.SpecificityAtSensitivity``.
    """

    argument, wanted, bound = "sensitivity", "specificity", "sensitivity"

    def __init__(
        self,
        sensitivity: float,
        num_thresholds: int = 200,
        class_id: int | None = None,
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        self._begin(sensitivity, num_thresholds, class_id, name, dtype)


@register("metrics")
class PrecisionAtRecall(_BestAt):
    """The best ``TP / (TP + FP)`` at a threshold where ``TP / (TP + FN)`` is at least a value; 0 if there is none.

    Args:
        recall: the value, from 0 to 1.
        num_thresholds: how many thresholds are tried, evenly from 0 to 1; 0.5 if it is 1.
        class_id: the column that counts; None for all.
        name: of this metric.
        dtype: as of :class:`Metric`.

    Raises:
        ModelError: a number is out of its range.

    Source: ``keras.metrics.PrecisionAtRecall``.
    """

    argument, wanted, bound = "recall", "precision", "recall"

    def __init__(
        self,
        recall: float,
        num_thresholds: int = 200,
        class_id: int | None = None,
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        self._begin(recall, num_thresholds, class_id, name, dtype)


@register("metrics")
class RecallAtPrecision(_BestAt):
    """The best ``TP / (TP + FN)`` at a threshold where ``TP / (TP + FP)`` is at least a value; 0 if there is none.

    Args:
        precision: the value, from 0 to 1.
        num_thresholds: how many thresholds are tried, evenly from 0 to 1; 0.5 if it is 1.
        class_id: the column that counts; None for all.
        name: of this metric.
        dtype: as of :class:`Metric`.

    Raises:
        ModelError: a number is out of its range.

    Source: ``keras.metrics.RecallAtPrecision``.
    """

    argument, wanted, bound = "precision", "recall", "precision"

    def __init__(
        self,
        precision: float,
        num_thresholds: int = 200,
        class_id: int | None = None,
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        self._begin(precision, num_thresholds, class_id, name, dtype)


# ------------------------------------------------------------------ F-scores


@register("metrics")
class FBetaScore(Metric):
    """``(1 + b^2) * precision * recall / (b^2 * precision + recall)`` of each class.

    Args:
        average: how the scores of the classes become one: ``"micro"`` counts all of them
            together, ``"macro"`` is their mean, ``"weighted"`` their mean weighted by how
            often each is to be predicted; None gives an array.
        beta: b, how many times as much recall counts as precision.
        threshold: above which a prediction is positive; if None the largest of each row
            is, unless it is 0.
        name: of this metric.
        dtype: as of :class:`Metric`.

    Raises:
        ModelError: another average, or a number of the wrong type or out of its range.

    Source: ``keras.metrics.FBetaScore``.
    """

    _direction = "up"

    def __init__(
        self,
        average: str | None = None,
        beta: float = 1.0,
        threshold: float | None = None,
        name: str | None = "fbeta_score",
        dtype: Any = None,
    ) -> None:
        super().__init__(name=name, dtype=dtype)
        known = (None, "micro", "macro", "weighted")
        if average not in known:
            raise ModelError(f"{self.name}: average: expected one of {known}, received {average!r}.")
        if not isinstance(beta, float) or not beta > 0:
            raise ModelError(f"{self.name}: beta: expected a float above 0, received {beta!r} ({type(beta).__name__}).")
        if threshold is not None and (not isinstance(threshold, float) or not 0 < threshold <= 1):
            raise ModelError(
                f"{self.name}: threshold: expected None or a float above 0 and up to 1, received {threshold!r} "
                f"({type(threshold).__name__})."
            )
        self.average = average
        self.beta = beta
        self.threshold = threshold
        self._built = False

    def _build(self, classes: int) -> None:
        shape = () if self.average == "micro" else (classes,)
        names = ("true_positives", "false_positives", "false_negatives", "intermediate_weights")
        self._sums = self._add_sums(shape, *names)
        self.true_positives, self.false_positives, self.false_negatives, self.intermediate_weights = self._sums
        self._built = True

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Takes a batch of ``(batch, classes)`` into account, with weights per sample."""
        y_true, y_pred = np.asarray(y_true, self.dtype), np.asarray(y_pred, self.dtype)
        check_rows(self.name, y_true, y_pred)
        if not self._built:
            self._build(y_pred.shape[-1])
        if self.threshold is None:
            largest = np.max(y_pred, axis=-1, keepdims=True)
            positive = (y_pred >= largest) & (np.abs(y_pred) > 1e-9)
        else:
            positive = y_pred > self.threshold
        weight = 1.0 if sample_weight is None else np.asarray(sample_weight, np.float64)[:, None]
        axis = None if self.average == "micro" else 0
        right, found, wanted = (
            np.sum(x * weight, axis=axis) for x in map(np.float64, (y_true * positive, positive, y_true))
        )
        for variable, more in zip(self._sums, (right, found - right, wanted - right, wanted), strict=True):
            variable.assign(variable.value + more)

    def result(self) -> Any:
        if not self._built:
            raise ModelError(f"{self.name}: there is no result before the first update_state.")
        epsilon = config.epsilon()
        right = self.true_positives.value
        precision = right / (right + self.false_positives.value + epsilon)
        recall = right / (right + self.false_negatives.value + epsilon)
        square = self.beta**2
        score: Any = precision * recall / (square * precision + recall + epsilon) * (1.0 + square)
        if self.average == "weighted":
            weights = self.intermediate_weights.value
            score = np.sum(score * weights / (np.sum(weights) + epsilon))
        elif self.average is not None:
            score = np.mean(score)
        return number_or_array(score, self.dtype)

    def get_config(self) -> dict[str, Any]:
        own = {"average": self.average, "beta": self.beta, "threshold": self.threshold}
        return {**super().get_config(), **own}


@register("metrics")
class F1Score(FBetaScore):
    """``2 * precision * recall / (precision + recall)`` of each class.

    Args:
        average: as of :class:`FBetaScore`.
        threshold: as of :class:`FBetaScore`.
        name: of this metric.
        dtype: as of :class:`Metric`.

    Raises:
        ModelError: another average, or a threshold of the wrong type or out of its range.

    Source: ``keras.metrics.F1Score``.
    """

    def __init__(
        self,
        average: str | None = None,
        threshold: float | None = None,
        name: str | None = "f1_score",
        dtype: Any = None,
    ) -> None:
        super().__init__(average, 1.0, threshold, name, dtype)

    def get_config(self) -> dict[str, Any]:
        own = super().get_config()
        del own["beta"]
        return own
