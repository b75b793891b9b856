"""The losses: classes that hold the arguments of a formula and the reduction over the batch."""

from __future__ import annotations

from typing import Any, ClassVar

from ..errors import ModelError
from ..registry import register
from .base import BuiltInLoss
from .formulas import (
    binary_crossentropy,
    binary_focal_crossentropy,
    categorical_crossentropy,
    categorical_focal_crossentropy,
    categorical_generalized_cross_entropy,
    categorical_hinge,
    check_axis,
    cosine_similarity,
    dice,
    hinge,
    huber,
    kl_divergence,
    log_cosh,
    mean_absolute_error,
    mean_absolute_percentage_error,
    mean_squared_error,
    mean_squared_logarithmic_error,
    poisson,
    sparse_categorical_crossentropy,
    squared_hinge,
    tversky,
)


@register("losses")
class MeanSquaredError(BuiltInLoss):
    """Mean of squared errors.

    ``mean((y_true - y_pred)^2)`` over the last axis; see :func:`mean_squared_error`.

    Args:
        reduction: as of :class:`Loss`.
        name: of this loss.
        dtype: as of :class:`Loss`.

    Source: ``keras.losses.MeanSquaredError``.
    """

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "mean_squared_error",
        dtype: Any = None,
    ) -> None:
        super().__init__(mean_squared_error, reduction, name, dtype)


@register("losses")
class MeanAbsoluteError(BuiltInLoss):
    """Mean of absolute errors.

    ``mean(|y_true - y_pred|)`` over the last axis; see :func:`mean_absolute_error`.

    Args:
        reduction: as of :class:`Loss`.
        name: of this loss.
        dtype: as of :class:`Loss`.

    Source: ``keras.losses.MeanAbsoluteError``.
    """

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "mean_absolute_error",
        dtype: Any = None,
    ) -> None:
        super().__init__(mean_absolute_error, reduction, name, dtype)


@register("losses")
class MeanAbsolutePercentageError(BuiltInLoss):
    """Mean of absolute errors in per cent of the targets.

    ``100 * mean(|y_true - y_pred| / max(|y_true|, epsilon))`` over the last axis; see
    :func:`mean_absolute_percentage_error`.

    Args:
        reduction: as of :class:`Loss`.
        name: of this loss.
        dtype: as of :class:`Loss`.

    Source: ``keras.losses.MeanAbsolutePercentageError``.
    """

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "mean_absolute_percentage_error",
        dtype: Any = None,
    ) -> None:
        super().__init__(mean_absolute_percentage_error, reduction, name, dtype)


@register("losses")
class MeanSquaredLogarithmicError(BuiltInLoss):
    """Mean of squared differences of logarithms.

    ``mean((log(max(y_true, epsilon) + 1) - log(max(y_pred, epsilon) + 1))^2)`` over the last axis; see
    :func:`mean_squared_logarithmic_error`.

    Args:
        reduction: as of :class:`Loss`.
        name: of this loss.
        dtype: as of :class:`Loss`.

    Source: ``keras.losses.MeanSquaredLogarithmicError``.
    """

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "mean_squared_logarithmic_error",
        dtype: Any = None,
    ) -> None:
        super().__init__(mean_squared_logarithmic_error, reduction, name, dtype)


@register("losses")
class CosineSimilarity(BuiltInLoss):
    """How far directions differ, from -1 to 1.

    ``-sum(t * p)`` for t = y_true and p = y_pred, each divided by ``max(|.|, epsilon)``, over an axis; see
    :func:`cosine_similarity`.

    Args:
        axis: along which the vectors lie.
        reduction: as of :class:`Loss`.
        name: of this loss.
        dtype: as of :class:`Loss`.

    Source: ``keras.losses.CosineSimilarity``.
    """

    unsaved: ClassVar = {"axis": -1}

    def __init__(
        self,
        axis: int = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "cosine_similarity",
        dtype: Any = None,
    ) -> None:
        check_axis(type(self).__name__, axis)
        super().__init__(cosine_similarity, reduction, name, dtype, axis=axis)


@register("losses")
class Huber(BuiltInLoss):
    """Mean of errors squared when small and absolute when large.

    ``mean(e^2 / 2)`` where ``|e| <= delta``, ``mean(delta * |e| - delta^2 / 2)`` elsewhere, of
    ``e = y_pred - y_true``; see :func:`huber`.

    Args:
        delta: the error from which on the loss grows in proportion.
        reduction: as of :class:`Loss`.
        name: of this loss.
        dtype: as of :class:`Loss`.

    Source: ``keras.losses.Huber``; Huber, 1964.
    """

    unsaved: ClassVar = {"delta": 1.0}

    def __init__(
        self,
        delta: float = 1.0,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "huber_loss",
        dtype: Any = None,
    ) -> None:
        super().__init__(huber, reduction, name, dtype, delta=delta)


@register("losses")
class LogCosh(BuiltInLoss):
    """Mean of the logarithms of the hyperbolic cosines of errors.

    ``mean(log(cosh(y_pred - y_true)))`` over the last axis; see :func:`log_cosh`.

    Args:
        reduction: as of :class:`Loss`.
        name: of this loss.
        dtype: as of :class:`Loss`.

    Source: ``keras.losses.LogCosh``.
    """

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "log_cosh",
        dtype: Any = None,
    ) -> None:
        super().__init__(log_cosh, reduction, name, dtype)


@register("losses")
class Hinge(BuiltInLoss):
    """Mean of what is short of a margin of 1.

    ``mean(max(1 - y_true * y_pred, 0))`` over the last axis, for labels -1 and 1; see :func:`hinge`.

    Args:
        reduction: as of :class:`Loss`.
        name: of this loss.
        dtype: as of :class:`Loss`.

    Source: ``keras.losses.Hinge``.
    """

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "hinge",
        dtype: Any = None,
    ) -> None:
        super().__init__(hinge, reduction, name, dtype)


@register("losses")
class SquaredHinge(BuiltInLoss):
    """Mean of squares of what is short of a margin of 1.

    ``mean(max(1 - y_true * y_pred, 0)^2)`` over the last axis, for labels -1 and 1; see :func:`squared_hinge`.

    Args:
        reduction: as of :class:`Loss`.
        name: of this loss.
        dtype: as of :class:`Loss`.

    Source: ``keras.losses.SquaredHinge``.
    """

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "squared_hinge",
        dtype: Any = None,
    ) -> None:
        super().__init__(squared_hinge, reduction, name, dtype)


@register("losses")
class CategoricalHinge(BuiltInLoss):
    """What the right class is short of a margin of 1 to the best of the others.

    ``max(max((1 - t) * p) - sum(t * p) + 1, 0)`` over the last axis, for t = y_true, p = y_pred; see
    :func:`categorical_hinge`.

    Args:
        reduction: as of :class:`Loss`.
        name: of this loss.
        dtype: as of :class:`Loss`.

    Source: ``keras.losses.CategoricalHinge``.
    """

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "categorical_hinge",
        dtype: Any = None,
    ) -> None:
        super().__init__(categorical_hinge, reduction, name, dtype)


@register("losses")
class KLDivergence(BuiltInLoss):
    """Divergence of Kullback and Leibler.

    ``sum(t * log(t / p))`` over the last axis, for t = y_true and p = y_pred, clipped to [epsilon, 1]; see
    :func:`kl_divergence`.

    Args:
        reduction: as of :class:`Loss`.
        name: of this loss.
        dtype: as of :class:`Loss`.

    Source: ``keras.losses.KLDivergence``.
    """

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "kl_divergence",
        dtype: Any = None,
    ) -> None:
        super().__init__(kl_divergence, reduction, name, dtype)


@register("losses")
class Poisson(BuiltInLoss):
    """Negative log-likelihood of counts with predicted means, up to a constant.

    ``mean(y_pred - y_true * log(y_pred + epsilon))`` over the last axis; see :func:`poisson`.

    Args:
        reduction: as of :class:`Loss`.
        name: of this loss.
        dtype: as of :class:`Loss`.

    Source: ``keras.losses.Poisson``.
    """

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "poisson",
        dtype: Any = None,
    ) -> None:
        super().__init__(poisson, reduction, name, dtype)


@register("losses")
class BinaryCrossentropy(BuiltInLoss):
    """Crossentropy of independent yes-or-no outputs.

    ``mean(-t * log(p) - (1 - t) * log(1 - p))`` over an axis, for t = y_true; see :func:`binary_crossentropy`.

    Args:
        from_logits: whether predictions are logits instead of probabilities.
        label_smoothing: how far labels are moved towards 1/2, in [0, 1].
        axis: over which the mean is taken.
        reduction: as of :class:`Loss`.
        name: of this loss.
        dtype: as of :class:`Loss`.

    Source: ``keras.losses.BinaryCrossentropy``.
    """

    def __init__(
        self,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "binary_crossentropy",
        dtype: Any = None,
    ) -> None:
        check_axis(type(self).__name__, axis)
        super().__init__(
            binary_crossentropy,
            reduction,
            name,
            dtype,
            from_logits=from_logits,
            label_smoothing=label_smoothing,
            axis=axis,
        )


@register("losses")
class BinaryFocalCrossentropy(BuiltInLoss):
    """Crossentropy of yes-or-no outputs that attends to what is wrong.

    ``mean((1 - q)^gamma * b)`` over an axis: the crossentropy b of what is right already counts less; see
    :func:`binary_focal_crossentropy`.

    Args:
        apply_class_balancing: whether to multiply by the weights that ``alpha`` gives.
        alpha: the weight of 1; 0 has 1 - alpha.
        gamma: how much less what is right already counts; 0 for the crossentropy itself.
        from_logits: whether predictions are logits instead of probabilities.
        label_smoothing: how far labels are moved towards 1/2, in [0, 1].
        axis: over which the mean is taken.
        reduction: as of :class:`Loss`.
        name: of this loss.
        dtype: as of :class:`Loss`.

    Source: ``keras.losses.BinaryFocalCrossentropy``.
    """

    def __init__(
        self,
        apply_class_balancing: bool = False,
        alpha: float = 0.25,
        gamma: float = 2.0,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "binary_focal_crossentropy",
        dtype: Any = None,
    ) -> None:
        check_axis(type(self).__name__, axis)
        super().__init__(
            binary_focal_crossentropy,
            reduction,
            name,
            dtype,
            from_logits=from_logits,
            label_smoothing=label_smoothing,
            axis=axis,
            apply_class_balancing=apply_class_balancing,
            alpha=alpha,
            gamma=gamma,
        )


@register("losses")
class CategoricalCrossentropy(BuiltInLoss):
    """Crossentropy of classes given as probabilities.

    ``-sum(t * log(p))`` over an axis, for t = y_true; see :func:`categorical_crossentropy`.

    Args:
        from_logits: whether predictions are logits instead of probabilities.
        label_smoothing: how far labels are moved towards 1/K, in [0, 1].
        axis: of the classes.
        reduction: as of :class:`Loss`.
        name: of this loss.
        dtype: as of :class:`Loss`.

    Source: ``keras.losses.CategoricalCrossentropy``.
    """

    def __init__(
        self,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "categorical_crossentropy",
        dtype: Any = None,
    ) -> None:
        check_axis(type(self).__name__, axis)
        super().__init__(
            categorical_crossentropy,
            reduction,
            name,
            dtype,
            from_logits=from_logits,
            label_smoothing=label_smoothing,
            axis=axis,
        )


@register("losses")
class CategoricalFocalCrossentropy(BuiltInLoss):
    """Crossentropy of classes that attends to what is wrong.

    ``-sum(alpha * (1 - p)^gamma * t * log(p))`` over an axis, for t = y_true: what is right already counts less;
    see :func:`categorical_focal_crossentropy`.

    Args:
        alpha: a factor, or a list with one for each class.
        gamma: how much less what is right already counts; 0 for the crossentropy itself.
        from_logits: whether predictions are logits instead of probabilities.
        label_smoothing: how far labels are moved towards 1/K, in [0, 1].
        axis: of the classes.
        reduction: as of :class:`Loss`.
        name: of this loss.
        dtype: as of :class:`Loss`.

    Source: ``keras.losses.CategoricalFocalCrossentropy``.
    """

    def __init__(
        self,
        alpha: Any = 0.25,
        gamma: float = 2.0,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "categorical_focal_crossentropy",
        dtype: Any = None,
    ) -> None:
        check_axis(type(self).__name__, axis)
        super().__init__(
            categorical_focal_crossentropy,
            reduction,
            name,
            dtype,
            from_logits=from_logits,
            label_smoothing=label_smoothing,
            axis=axis,
            alpha=alpha,
            gamma=gamma,
        )


@register("losses")
class SparseCategoricalCrossentropy(BuiltInLoss):
    """Crossentropy of classes given as integers.

    ``-log(p)`` of the class that the label names; see :func:`sparse_categorical_crossentropy`.

    Args:
        from_logits: whether predictions are logits instead of probabilities.
        ignore_class: a label whose samples do not count: they are left out of the mean.
        reduction: as of :class:`Loss`.
        axis: of the classes.
        name: of this loss.
        dtype: as of :class:`Loss`.

    Source: ``keras.losses.SparseCategoricalCrossentropy``.
    """

    unsaved: ClassVar = {"axis": -1}

    def __init__(
        self,
        from_logits: bool = False,
        ignore_class: int | None = None,
        reduction: str | None = "sum_over_batch_size",
        axis: int = -1,
        name: str | None = "sparse_categorical_crossentropy",
        dtype: Any = None,
    ) -> None:
        check_axis(type(self).__name__, axis)
        super().__init__(
            sparse_categorical_crossentropy,
            reduction,
            name,
            dtype,
            from_logits=from_logits,
            ignore_class=ignore_class,
            axis=axis,
        )


@register("losses")
class CategoricalGeneralizedCrossEntropy(BuiltInLoss):
    """A crossentropy of integer labels that bears wrong ones.

    ``(1 - p^q) / q`` for the probability p of the class that the label names; see
    :func:`categorical_generalized_cross_entropy`.

    Args:
        q: in (0, 1): 0 is near the crossentropy, 1 near the absolute error.
        reduction: as of :class:`Loss`.
        name: of this loss.
        dtype: as of :class:`Loss`.

    Raises:
        ModelError: ``q`` is not between 0 and 1.

    Source: ``keras.losses.CategoricalGeneralizedCrossEntropy``.
    """

    def __init__(
        self,
        q: float = 0.5,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "categorical_generalized_cross_entropy",
        dtype: Any = None,
    ) -> None:
        if not 0 < q < 1:
            raise ModelError(f"{type(self).__name__}: q: expected a number between 0 and 1, received {q!r}.")
        super().__init__(categorical_generalized_cross_entropy, reduction, name, dtype, q=q)


@register("losses")
class Dice(BuiltInLoss):
    """How little sets overlap.

    ``1 - 2 * sum(t * p) / (sum(t) + sum(p) + epsilon)`` for t = y_true and p = y_pred; see :func:`dice`.

    Args:
        reduction: as of :class:`Loss`.
        name: of this loss.
        axis: what is summed over, one axis or several; None for all, with the samples.
        dtype: as of :class:`Loss`.

    Source: ``keras.losses.Dice``.
    """

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "dice",
        axis: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(dice, reduction, name, dtype, axis=axis)


@register("losses")
class Tversky(BuiltInLoss):
    """How little sets overlap, with a price for either kind of mistake.

    ``1 - c / (c + alpha * sum((1 - p) * t) + beta * sum(p * (1 - t)) + epsilon)`` with ``c = sum(t * p)``; see
    :func:`tversky`.

    Args:
        alpha: what a member costs that was not predicted.
        beta: what a prediction costs that is no member.
        reduction: as of :class:`Loss`.
        name: of this loss.
        axis: what is summed over, one axis or several; None for all, with the samples.
        dtype: as of :class:`Loss`.

    Source: ``keras.losses.Tversky``.
    """

    def __init__(
        self,
        alpha: float = 0.5,
        beta: float = 0.5,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "tversky",
        axis: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(tversky, reduction, name, dtype, alpha=alpha, beta=beta, axis=axis)
