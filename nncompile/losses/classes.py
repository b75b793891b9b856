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
    """Mean of squared errors, see :func:`mean_squared_error`.

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
    """Mean of absolute errors, see :func:`mean_absolute_error`.

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
    """Mean of absolute errors in per cent of the targets, see :func:`mean_absolute_percentage_error`.

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
    """Mean of squared differences of logarithms, see :func:`mean_squared_logarithmic_error`.

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
    """How far directions differ, from -1 to 1, see :func:`cosine_similarity`.

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
    """Mean of errors squared when small and absolute when large, see :func:`huber`.

    Args:
        delta: the error from which on the loss grows in proportion.
        reduction: as of :class:`Loss`.
        name: of this loss.
        dtype: as of :class:`Loss`.

    Source: ``keras.losses.Huber``.
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
    """Mean of the logarithms of the hyperbolic cosines of errors, see :func:`log_cosh`.

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
    """Mean of what is short of a margin of 1, see :func:`hinge`.

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
    """Mean of squares of what is short of a margin of 1, see :func:`squared_hinge`.

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
    """What the right class is short of a margin of 1 to the best of the others, see :func:`categorical_hinge`.

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
    """Divergence of Kullback and Leibler, see :func:`kl_divergence`.

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
    """Negative log-likelihood of counts with predicted means, up to a constant, see :func:`poisson`.

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
    """Crossentropy of independent yes-or-no outputs, see :func:`binary_crossentropy`.

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
    """Crossentropy of yes-or-no outputs that attends to what is wrong, see :func:`binary_focal_crossentropy`.

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
            apply_class_balancing=apply_class_balancing,
            alpha=alpha,
            gamma=gamma,
            from_logits=from_logits,
            label_smoothing=label_smoothing,
            axis=axis,
        )


@register("losses")
class CategoricalCrossentropy(BuiltInLoss):
    """Crossentropy of classes given as probabilities, see :func:`categorical_crossentropy`.

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
    """Crossentropy of classes that attends to what is wrong, see :func:`categorical_focal_crossentropy`.

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
            alpha=alpha,
            gamma=gamma,
            from_logits=from_logits,
            label_smoothing=label_smoothing,
            axis=axis,
        )


@register("losses")
class SparseCategoricalCrossentropy(BuiltInLoss):
    """Crossentropy of classes given as integers, see :func:`sparse_categorical_crossentropy`.

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
    """A crossentropy of integer labels that bears wrong ones, see :func:`categorical_generalized_cross_entropy`.

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
    """How little sets overlap, see :func:`dice`.

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
    """How little sets overlap, with a price for either kind of mistake, see :func:`tversky`.

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
