"""Metrics that are the mean of a loss; less of them is better."""

from __future__ import annotations

from typing import Any

from ..losses import (
    binary_crossentropy,
    categorical_crossentropy,
    categorical_hinge,
    check_axis,
    hinge,
    kl_divergence,
    log_cosh,
    mean_absolute_error,
    mean_absolute_percentage_error,
    mean_squared_error,
    mean_squared_logarithmic_error,
    poisson,
    sparse_categorical_crossentropy,
    squared_hinge,
)
from ..registry import register
from .base import BuiltInMean


@register("metrics", "mse", "MSE")
class MeanSquaredError(BuiltInMean):
    """Mean of squared errors.

    ``mean((y_true - y_pred)^2)`` over the last axis; see :func:`~nncompile.losses.mean_squared_error`.

    Args:
        name: of this metric.
        dtype: as of :class:`Metric`.

    Source: ``keras.metrics.MeanSquaredError``.
    """

    _direction = "down"

    def __init__(self, name: str | None = "mean_squared_error", dtype: Any = None) -> None:
        super().__init__(mean_squared_error, name, dtype)


@register("metrics", "mae", "MAE")
class MeanAbsoluteError(BuiltInMean):
    """Mean of absolute errors.

    ``mean(|y_true - y_pred|)`` over the last axis; see :func:`~nncompile.losses.mean_absolute_error`.

    Args:
        name: of this metric.
        dtype: as of :class:`Metric`.

    Source: ``keras.metrics.MeanAbsoluteError``.
    """

    _direction = "down"

    def __init__(self, name: str | None = "mean_absolute_error", dtype: Any = None) -> None:
        super().__init__(mean_absolute_error, name, dtype)


@register("metrics", "mape", "MAPE")
class MeanAbsolutePercentageError(BuiltInMean):
    """Mean of absolute errors in per cent of the targets.

    ``100 * mean(|y_true - y_pred| / max(|y_true|, epsilon))`` over the last axis; see
    :func:`~nncompile.losses.mean_absolute_percentage_error`.

    Args:
        name: of this metric.
        dtype: as of :class:`Metric`.

    Source: ``keras.metrics.MeanAbsolutePercentageError``.
    """

    _direction = "down"

    def __init__(self, name: str | None = "mean_absolute_percentage_error", dtype: Any = None) -> None:
        super().__init__(mean_absolute_percentage_error, name, dtype)


@register("metrics", "msle", "MSLE")
class MeanSquaredLogarithmicError(BuiltInMean):
    """Mean of squared differences of logarithms.

    ``mean((log(max(y_true, epsilon) + 1) - log(max(y_pred, epsilon) + 1))^2)`` over the last axis; see
    :func:`~nncompile.losses.mean_squared_logarithmic_error`.

    Args:
        name: of this metric.
        dtype: as of :class:`Metric`.

    Source: ``keras.metrics.MeanSquaredLogarithmicError``.
    """

    _direction = "down"

    def __init__(self, name: str | None = "mean_squared_logarithmic_error", dtype: Any = None) -> None:
        super().__init__(mean_squared_logarithmic_error, name, dtype)


@register("metrics")
class LogCoshError(BuiltInMean):
    """Mean of the logarithms of the hyperbolic cosines of errors.

    ``mean(log(cosh(y_pred - y_true)))`` over the last axis; see :func:`~nncompile.losses.log_cosh`.

    Args:
        name: of this metric.
        dtype: as of :class:`Metric`.

    Source: ``keras.metrics.LogCoshError``.
    """

    _direction = "down"

    def __init__(self, name: str | None = "logcosh", dtype: Any = None) -> None:
        super().__init__(log_cosh, name, dtype)


@register("metrics")
class Hinge(BuiltInMean):
    """Mean of what is short of a margin of 1.

    ``mean(max(1 - y_true * y_pred, 0))`` over the last axis, for labels -1 and 1; see
    :func:`~nncompile.losses.hinge`.

    Args:
        name: of this metric.
        dtype: as of :class:`Metric`.

    Source: ``keras.metrics.Hinge``.
    """

    _direction = "down"

    def __init__(self, name: str | None = "hinge", dtype: Any = None) -> None:
        super().__init__(hinge, name, dtype)


@register("metrics")
class SquaredHinge(BuiltInMean):
    """Mean of squares of what is short of a margin of 1.

    ``mean(max(1 - y_true * y_pred, 0)^2)`` over the last axis, for labels -1 and 1; see
    :func:`~nncompile.losses.squared_hinge`.

    Args:
        name: of this metric.
        dtype: as of :class:`Metric`.

    Source: ``keras.metrics.SquaredHinge``.
    """

    _direction = "down"

    def __init__(self, name: str | None = "squared_hinge", dtype: Any = None) -> None:
        super().__init__(squared_hinge, name, dtype)


@register("metrics")
class CategoricalHinge(BuiltInMean):
    """What the right class is short of a margin of 1 to the others.

    ``max(max((1 - t) * p) - sum(t * p) + 1, 0)`` over the last axis, for t = y_true, p = y_pred; see
    :func:`~nncompile.losses.categorical_hinge`.

    Args:
        name: of this metric.
        dtype: as of :class:`Metric`.

    Source: ``keras.metrics.CategoricalHinge``.
    """

    _direction = "down"

    def __init__(self, name: str | None = "categorical_hinge", dtype: Any = None) -> None:
        super().__init__(categorical_hinge, name, dtype)


@register("metrics")
class KLDivergence(BuiltInMean):
    """Divergence of Kullback and Leibler.

    ``sum(t * log(t / p))`` over the last axis, for t = y_true and p = y_pred, clipped to [epsilon, 1]; see
    :func:`~nncompile.losses.kl_divergence`.

    Args:
        name: of this metric.
        dtype: as of :class:`Metric`.

    Source: ``keras.metrics.KLDivergence``.
    """

    _direction = "down"

    def __init__(self, name: str | None = "kl_divergence", dtype: Any = None) -> None:
        super().__init__(kl_divergence, name, dtype)


@register("metrics")
class Poisson(BuiltInMean):
    """Negative log-likelihood of counts with predicted means, up to a constant.

    ``mean(y_pred - y_true * log(y_pred + epsilon))`` over the last axis; see :func:`~nncompile.losses.poisson`.

    Args:
        name: of this metric.
        dtype: as of :class:`Metric`.

    Source: ``keras.metrics.Poisson``.
    """

    _direction = "down"

    def __init__(self, name: str | None = "poisson", dtype: Any = None) -> None:
        super().__init__(poisson, name, dtype)


@register("metrics", "bce", "BCE")
class BinaryCrossentropy(BuiltInMean):
    """Crossentropy of independent yes-or-no outputs.

    ``mean(-t * log(p) - (1 - t) * log(1 - p))`` over an axis, for t = y_true; see
    :func:`~nncompile.losses.binary_crossentropy`.

    Args:
        name: of this metric.
        dtype: as of :class:`Metric`.
        from_logits: whether predictions are logits instead of probabilities.
        label_smoothing: how far labels are moved towards 1/2, in [0, 1].

    Source: ``keras.metrics.BinaryCrossentropy``.
    """

    _direction = "down"

    def __init__(
        self,
        name: str | None = "binary_crossentropy",
        dtype: Any = None,
        from_logits: bool = False,
        label_smoothing: float = 0,
    ) -> None:
        super().__init__(binary_crossentropy, name, dtype, from_logits=from_logits, label_smoothing=label_smoothing)


@register("metrics")
class CategoricalCrossentropy(BuiltInMean):
    """Crossentropy of classes given as probabilities.

    ``-sum(t * log(p))`` over an axis, for t = y_true; see :func:`~nncompile.losses.categorical_crossentropy`.

    Args:
        name: of this metric.
        dtype: as of :class:`Metric`.
        from_logits: whether predictions are logits instead of probabilities.
        label_smoothing: how far labels are moved towards 1/K, in [0, 1].
        axis: of the classes.

    Source: ``keras.metrics.CategoricalCrossentropy``.
    """

    _direction = "down"

    def __init__(
        self,
        name: str | None = "categorical_crossentropy",
        dtype: Any = None,
        from_logits: bool = False,
        label_smoothing: float = 0,
        axis: int = -1,
    ) -> None:
        check_axis(type(self).__name__, axis)
        super().__init__(
            categorical_crossentropy, name, dtype, from_logits=from_logits, label_smoothing=label_smoothing, axis=axis
        )


@register("metrics")
class SparseCategoricalCrossentropy(BuiltInMean):
    """Crossentropy of classes given as integers.

    ``-log(p)`` of the class that the label names; see :func:`~nncompile.losses.sparse_categorical_crossentropy`.

    Args:
        name: of this metric.
        dtype: as of :class:`Metric`.
        from_logits: whether predictions are logits instead of probabilities.
        ignore_class: a label whose samples are worth 0, and whose weights do not count.
        axis: of the classes.

    Source: ``keras.metrics.SparseCategoricalCrossentropy``.
    """

    _direction = "down"

    def __init__(
        self,
        name: str | None = "sparse_categorical_crossentropy",
        dtype: Any = None,
        from_logits: bool = False,
        ignore_class: int | None = None,
        axis: int = -1,
    ) -> None:
        check_axis(type(self).__name__, axis)
        super().__init__(
            sparse_categorical_crossentropy, name, dtype, from_logits=from_logits, ignore_class=ignore_class, axis=axis
        )
