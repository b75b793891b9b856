"""The area under a curve of right and wrong predictions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .. import config
from ..activations import sigmoid
from ..errors import ModelError
from ..registry import nearest, register
from .base import Metric, divide_no_nan
from .confusion import KINDS, confusion_counts, evenly_spaced

if TYPE_CHECKING:
    from typing_extensions import Self

Array = NDArray[Any]

CURVES = ("ROC", "PR", "PRGAIN")
SUMMATIONS = ("interpolation", "majoring", "minoring")


def _choice(argument: str, value: Any, spellings: Mapping[str, str]) -> str:
    value = getattr(value, "value", value)  # Keras' enumerations
    if value not in spellings:
        known = tuple(dict.fromkeys(spellings.values()))
        raise ModelError(f"AUC: {argument}: expected one of {known}, received {value!r}.{nearest(str(value), known)}")
    return spellings[value]


@register("metrics")
class AUC(Metric):
    """The area under the ROC curve, or under that of precision over recall, from counts at some thresholds.

    At each threshold, from 0 to 1, true and false positives and negatives are counted; the
    curve goes through the points that they give. More thresholds give a better approximation.
    ROC is ``TP / (TP + FN)`` over ``FP / (FP + TN)``; PR is ``TP / (TP + FP)`` over
    ``TP / (TP + FN)``; PRGAIN has both of PR as gains over always saying yes,
    ``1 - P / N * FP / TP`` over ``1 - P / N * FN / TP``, for P right and N wrong ones.

    Args:
        num_thresholds: how many thresholds, evenly from 0 to 1; the ends are moved out by
            epsilon so that they are below and above all predictions.
        curve: ``"ROC"``, ``"PR"`` or ``"PRGAIN"``.
        summation_method: ``"interpolation"`` sums trapezoids, and for PR interpolates the
            counts in place of the precision (Davis and Goadrich, 2006);
            ``"minoring"`` and ``"majoring"`` sum the lower and the higher rectangles.
        name: of this metric.
        dtype: as of :class:`Metric`.
        thresholds: the inner thresholds themselves, in place of ``num_thresholds``.
        multi_label: whether each column has a curve of its own, whose areas are averaged.
        num_labels: how many columns there are then; found in the first batch if None.
        label_weights: of the columns: in the average of their areas, or without
            ``multi_label`` of what each counts.
        from_logits: whether predictions are logits, which the sigmoid is applied to.

    Raises:
        ModelError: an unknown curve or summation, too few thresholds, or ``num_labels``
            without ``multi_label``.

    Source: ``keras.metrics.AUC``.
    """

    _direction = "up"

    def __init__(
        self,
        num_thresholds: int = 200,
        curve: str = "ROC",
        summation_method: str = "interpolation",
        name: str | None = None,
        dtype: Any = None,
        thresholds: Sequence[float] | None = None,
        multi_label: bool = False,
        num_labels: int | None = None,
        label_weights: Any = None,
        from_logits: bool = False,
    ) -> None:
        super().__init__(name=name, dtype=dtype)
        self.curve = _choice("curve", curve, {k: c for c in CURVES for k in (c, c.lower())})
        spellings = {k: s for s in SUMMATIONS for k in (s, s.capitalize())}
        self.summation_method = _choice("summation_method", summation_method, spellings)
        self._init_from_thresholds = thresholds is not None
        if thresholds is not None:
            inner = sorted(map(float, thresholds))
            self._thresholds_distributed_evenly = evenly_spaced([0.0, *inner, 1.0])
        else:
            if num_thresholds <= 1:
                raise ModelError(f"AUC: num_thresholds: expected a number from 2 on, received {num_thresholds}.")
            inner = [(i + 1) / (num_thresholds - 1) for i in range(num_thresholds - 2)]
            self._thresholds_distributed_evenly = True
        self.thresholds = [-config.epsilon(), *inner, 1.0 + config.epsilon()]
        self.num_thresholds = len(self.thresholds)
        if num_labels and not multi_label:
            raise ModelError(f"AUC: num_labels={num_labels} is for multi_label=True.")
        self.multi_label = multi_label
        self.num_labels = num_labels
        self.label_weights = None if label_weights is None else np.asarray(label_weights, self.dtype)
        self._from_logits = from_logits
        self._built = False
        if not multi_label or num_labels:
            self._build(num_labels)

    def _build(self, columns: int | None) -> None:
        shape = (self.num_thresholds, columns) if self.multi_label and columns else (self.num_thresholds,)
        self._sums = self._add_sums(shape, *KINDS)
        self.true_positives, self.false_positives, self.true_negatives, self.false_negatives = self._sums
        self._built = True

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Takes a batch into account, with weights per sample, per prediction or for all."""
        y_pred = np.asarray(y_pred, self.dtype)
        if self.multi_label and y_pred.ndim != 2:
            raise ModelError(f"{self.name}: multi_label needs y_pred (batch, labels), received {y_pred.shape}.")
        if not self._built:
            self._build(y_pred.shape[1])
        counts = confusion_counts(
            y_true,
            sigmoid(y_pred) if self._from_logits else y_pred,
            self.thresholds,
            self.dtype,
            even=self._thresholds_distributed_evenly,
            sample_weight=sample_weight,
            multi_label=self.multi_label,
            label_weights=None if self.multi_label else self.label_weights,
            where=self.name,
        )
        for kind, variable in zip(KINDS, self._sums, strict=True):
            variable.assign(variable.value + counts[kind])

    def result(self) -> float:
        if not self._built:
            raise ModelError(f"{self.name}: there is no result before the first update_state.")
        tp, fp, tn, fn = (variable.value for variable in self._sums)
        if self.curve == "PR" and self.summation_method == "interpolation":
            areas = _interpolated(tp, fp, fn)
        else:
            x, y = _points(self.curve, tp, fp, tn, fn)
            heights = {
                "interpolation": (y[:-1] + y[1:]) / 2.0,
                "minoring": np.minimum(y[:-1], y[1:]),
                "majoring": np.maximum(y[:-1], y[1:]),
            }[self.summation_method]
            areas = np.sum((x[:-1] - x[1:]) * heights, axis=0)
        if not self.multi_label:
            return float(areas)
        if self.label_weights is None:
            return float(np.mean(areas))
        return float(divide_no_nan(np.sum(areas * self.label_weights), np.sum(self.label_weights)))

    def get_config(self) -> dict[str, Any]:
        own: dict[str, Any] = {
            "num_thresholds": self.num_thresholds,
            "curve": self.curve,
            "summation_method": self.summation_method,
            "multi_label": self.multi_label,
            "num_labels": self.num_labels,
            "label_weights": None if self.label_weights is None else self.label_weights.tolist(),
            "from_logits": self._from_logits,
        }
        if self._init_from_thresholds:
            own["thresholds"] = self.thresholds[1:-1]
        return {**super().get_config(), **own}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        config = dict(config)
        weights = config.get("label_weights")
        if isinstance(weights, Mapping) and isinstance(weights.get("config"), Mapping):  # an array, as Keras writes it
            config["label_weights"] = weights["config"].get("value")
        return cls(**config)


def _points(curve: str, tp: Array, fp: Array, tn: Array, fn: Array) -> tuple[Array, Array]:
    """x and y of the curve at each threshold."""
    recall = divide_no_nan(tp, tp + fn)
    if curve == "ROC":
        return divide_no_nan(fp, fp + tn), recall
    if curve == "PR":
        return recall, divide_no_nan(tp, tp + fp)
    ratio = divide_no_nan(tp + fn, tn + fp)
    recall_gain = np.where(tp == 0, 0.0, 1.0 - ratio * divide_no_nan(fn, tp))
    precision_gain = np.where(tp == 0, 1.0, 1.0 - ratio * divide_no_nan(fp, tp))
    return np.maximum(recall_gain, 0.0), precision_gain


def _interpolated(tp: Array, fp: Array, fn: Array) -> Array:
    """The area under precision over recall, where between two thresholds TP grows in proportion to FP."""
    positives = tp + fp
    steps = tp[:-1] - tp[1:]
    slope = divide_no_nan(steps, np.maximum(positives[:-1] - positives[1:], 0.0))
    intercept = tp[1:] - slope * positives[1:]
    known = (positives[:-1] > 0) & (positives[1:] > 0)
    ratio = np.where(known, divide_no_nan(positives[:-1], positives[1:]), 1.0)
    grown = slope * (steps + intercept * np.log(ratio))
    return np.sum(divide_no_nan(grown, np.maximum(tp[1:] + fn[1:], 0.0)), axis=0)  # type: ignore[no-any-return]
