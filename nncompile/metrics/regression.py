"""Metrics of numbers: errors, shares of variance that are explained, correlations and directions."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from .. import config, losses, ops
from ..errors import ModelError
from ..losses import squeeze_or_expand
from ..registry import register
from .base import BuiltInMean, Metric, number_or_array


def _floats(y_true: Any, y_pred: Any) -> tuple[Any, Any]:
    """Both in the element type of the predictions, with axes that fit."""
    if isinstance(y_pred, ops.Expression):
        return squeeze_or_expand(y_true, y_pred)
    y_pred = ops.convert_to_tensor(y_pred)
    if y_pred.dtype.kind != "f":
        y_pred = y_pred.astype(config.floatx())
    return squeeze_or_expand(ops.convert_to_tensor(y_true, y_pred.dtype), y_pred)


def squared_error(y_true: Any, y_pred: Any) -> Any:
    """``(y_true - y_pred)^2``, of the shape of the two."""
    y_true, y_pred = _floats(y_true, y_pred)
    return ops.square(y_pred - y_true)


def cosine_similarity(y_true: Any, y_pred: Any, axis: int = -1) -> Any:
    """``sum(t * p)`` for t = y_true and p = y_pred, each divided by ``max(|.|, epsilon)``, over an axis.

    1 for vectors of one direction, -1 for opposite ones. The loss of that name has the
    other sign.

    Args:
        y_true: what was expected, of the shape of ``y_pred``.
        y_pred: what was predicted, ``(batch, outputs)``.
        axis: along which the vectors lie.

    Returns:
        A value per sample, ``(batch,)``.

    Source: ``keras.metrics.CosineSimilarity``.
    """
    return losses.cosine(*_floats(y_true, y_pred), axis)


def _centred(x: Any) -> Any:
    return x - ops.mean(x, axis=-1, keepdims=True)


def pearson_correlation(y_true: Any, y_pred: Any, axis: int = -1) -> Any:
    """``mean(t * p)`` over an axis, for y_true and y_pred with their means subtracted, by their deviations.

    The deviations are those of a population. NaN where one of the two is constant.

    Args:
        y_true: what was expected, of the shape of ``y_pred``.
        y_pred: what was predicted, ``(batch, outputs)``.
        axis: over which the values of a sample lie.

    Returns:
        A value per sample, ``(batch,)``.

    Source: ``keras.metrics.pearson_correlation``.
    """
    y_true, y_pred = losses.to_last("pearson_correlation", axis, *_floats(y_true, y_pred))
    t, p = _centred(y_true), _centred(y_pred)

    def deviation(x: Any) -> Any:
        return ops.sqrt(ops.mean(ops.square(x), axis=-1, keepdims=True))

    with np.errstate(all="ignore"):
        return ops.mean((t / deviation(t)) * (p / deviation(p)), axis=-1)


def concordance_correlation(y_true: Any, y_pred: Any, axis: int = -1) -> Any:
    """``2 * cov(t, p) / (var(t) + var(p) + (mean(t) - mean(p))^2 + epsilon)`` over an axis, for t = y_true, p = y_pred.

    Covariance and variances are those of a population.

    Args:
        y_true: what was expected, of the shape of ``y_pred``.
        y_pred: what was predicted, ``(batch, outputs)``.
        axis: over which the values of a sample lie.

    Returns:
        A value per sample, ``(batch,)``.

    Source: ``keras.metrics.concordance_correlation``; Lin, 1989.
    """
    y_true, y_pred = losses.to_last("concordance_correlation", axis, *_floats(y_true, y_pred))
    t, p = _centred(y_true), _centred(y_pred)
    apart = ops.square(ops.mean(y_true, axis=-1) - ops.mean(y_pred, axis=-1))
    spread = ops.mean(ops.square(t), axis=-1) + ops.mean(ops.square(p), axis=-1) + apart
    return 2.0 * ops.mean(t * p, axis=-1) / (spread + config.epsilon())


# ------------------------------------------------------------------ classes


@register("metrics")
class RootMeanSquaredError(BuiltInMean):
    """The root of the mean of squared errors over all samples: ``sqrt(mean((y_true - y_pred)^2))``.

    Args:
        name: of this metric.
        dtype: as of :class:`Metric`.

    Source: ``keras.metrics.RootMeanSquaredError``.
    """

    _direction = "down"

    def __init__(self, name: str | None = "root_mean_squared_error", dtype: Any = None) -> None:
        super().__init__(squared_error, name, dtype)

    def result(self) -> float:
        return math.sqrt(super().result())


@register("metrics")
class CosineSimilarity(BuiltInMean):
    """How near directions are, from -1 to 1.

    ``sum(t * p)`` for t = y_true and p = y_pred, each divided by ``max(|.|, epsilon)``, over an axis; see
    :func:`cosine_similarity`.

    Args:
        name: of this metric.
        dtype: as of :class:`Metric`.
        axis: along which the vectors lie.

    Source: ``keras.metrics.CosineSimilarity``.
    """

    _direction = "up"
    unsaved: ClassVar = {"axis": -1}

    def __init__(self, name: str | None = "cosine_similarity", dtype: Any = None, axis: int = -1) -> None:
        losses.check_axis(type(self).__name__, axis)
        super().__init__(cosine_similarity, name, dtype, axis=axis)


@register("metrics")
class PearsonCorrelation(BuiltInMean):
    """Mean of the correlations of samples' values.

    ``mean(t * p)`` over an axis, for y_true and y_pred with their means subtracted, by their deviations; see
    :func:`pearson_correlation`.

    Args:
        name: of this metric.
        dtype: as of :class:`Metric`.
        axis: over which the values of a sample lie.

    Source: ``keras.metrics.PearsonCorrelation``.
    """

    _direction = "up"

    def __init__(self, name: str | None = "pearson_correlation", dtype: Any = None, axis: int = -1) -> None:
        losses.check_axis(type(self).__name__, axis)
        super().__init__(pearson_correlation, name, dtype, axis=axis)


@register("metrics")
class ConcordanceCorrelation(BuiltInMean):
    """Mean of the concordances of samples' values.

    ``2 * cov(t, p) / (var(t) + var(p) + (mean(t) - mean(p))^2 + epsilon)`` over an axis, for t = y_true, p =
    y_pred; see :func:`concordance_correlation`.

    Args:
        name: of this metric.
        dtype: as of :class:`Metric`.
        axis: over which the values of a sample lie.

    Source: ``keras.metrics.ConcordanceCorrelation``.
    """

    _direction = "up"

    def __init__(self, name: str | None = "concordance_correlation", dtype: Any = None, axis: int = -1) -> None:
        losses.check_axis(type(self).__name__, axis)
        super().__init__(concordance_correlation, name, dtype, axis=axis)


def check_rows(where: str, y_true: Any, y_pred: Any) -> None:
    """Raises an error unless both are ``(batch, outputs)``."""
    if y_true.ndim != 2 or y_pred.ndim != 2:
        raise ModelError(
            f"{where}: expected y_true and y_pred (batch, outputs), received {y_true.shape} and {y_pred.shape}."
        )


@register("metrics")
class R2Score(Metric):
    """The share of the variance that is explained: ``1 - sum((t - p)^2) / sum((t - mean(t))^2)`` for each output.

    Where the targets are constant it is 0, or NaN if the predictions equal them. With P
    regressors and n numbers seen it is adjusted: ``1 - (1 - r) * (n - 1) / (n - P - 1)``.

    Args:
        class_aggregation: how the scores of several outputs become one:
            ``"uniform_average"``, ``"variance_weighted_average"``, or None for an array.
        num_regressors: P; 0 for no adjustment.
        name: of this metric.
        dtype: as of :class:`Metric`.

    Raises:
        ModelError: another aggregation, or a negative number of regressors.

    Source: ``keras.metrics.R2Score``.
    """

    _direction = "up"

    def __init__(
        self,
        class_aggregation: str | None = "uniform_average",
        num_regressors: int = 0,
        name: str | None = "r2_score",
        dtype: Any = None,
    ) -> None:
        super().__init__(name=name, dtype=dtype)
        known = (None, "uniform_average", "variance_weighted_average")
        if class_aggregation not in known:
            raise ModelError(
                f"{self.name}: class_aggregation: expected one of {known}, received {class_aggregation!r}."
            )
        if num_regressors < 0:
            raise ModelError(f"{self.name}: num_regressors: expected a number from 0 on, received {num_regressors}.")
        self.class_aggregation = class_aggregation
        self.num_regressors = num_regressors
        (self.num_samples,) = self._add_sums((), "num_samples")
        self._built = False

    def _build(self, outputs: int) -> None:
        names = ("squared_sum", "sum", "residual", "count")
        self.squared_sum, self.sum, self.total_mse, self.count = self._add_sums((outputs,), *names)
        self._built = True

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Takes a batch of ``(batch, outputs)`` into account, with weights per sample, per output or for all."""
        y_true, y_pred = squeeze_or_expand(np.asarray(y_true, self.dtype), np.asarray(y_pred, self.dtype))
        check_rows(self.name, y_true, y_pred)
        if not self._built:
            self._build(y_pred.shape[-1])
        error = np.square(np.float64(y_true - y_pred))
        y_true = np.float64(y_true)
        weight = np.asarray(1.0 if sample_weight is None else sample_weight, np.float64)
        weight = np.broadcast_to(weight[:, None] if weight.ndim == 1 else weight, y_true.shape)
        sums: Sequence[tuple[Any, Any]] = (
            (self.sum, y_true * weight),
            (self.squared_sum, y_true * (y_true * weight)),
            (self.total_mse, error * weight),
            (self.count, weight),
        )
        for variable, values in sums:
            variable.assign(variable.value + np.sum(values, axis=0))
        self.num_samples.assign(self.num_samples.value + y_true.size)

    def result(self) -> Any:
        if not self._built:
            raise ModelError(f"{self.name}: there is no result before the first update_state.")
        with np.errstate(all="ignore"):
            total = self.squared_sum.value - self.sum.value * (self.sum.value / self.count.value)
            scores: Any = 1.0 - self.total_mse.value / total
            scores = np.where(np.isinf(scores), 0.0, scores)
            if self.class_aggregation == "uniform_average":
                scores = np.mean(scores)
            elif self.class_aggregation == "variance_weighted_average":
                scores = np.sum(total * scores) / np.sum(total)
        left = float(self.num_samples) - 1.0 - self.num_regressors
        if self.num_regressors and left > 0:
            scores = 1.0 - (1.0 - scores) * (float(self.num_samples) - 1.0) / left
        elif self.num_regressors:
            warnings.warn(
                f"{self.name}: {self.num_regressors} regressors need more than {self.num_regressors + 1} numbers for "
                f"an adjusted score, and {int(self.num_samples)} were seen; the score is not adjusted.",
                stacklevel=2,
            )
        return number_or_array(scores, self.dtype)

    def get_config(self) -> dict[str, Any]:
        own = {"class_aggregation": self.class_aggregation, "num_regressors": self.num_regressors}
        return {**super().get_config(), **own}
