"""Formulas of losses: a value per sample, over :mod:`nncompile.ops`.

On arrays they compute as Keras does, over any axis; on symbols they build what is
differentiated and compiled, which works on one sample at a time. Where Keras looks at the
whole batch a formula can have sums over it, as :func:`dice` and :func:`tversky` do, but no
choice: :func:`hinge` says what it does instead.
"""

from __future__ import annotations

import functools
import math
import warnings
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np

from .. import config, ops
from ..activations import log_softmax, softplus
from ..errors import ModelError, UnsupportedError
from ..registry import register

Formula = Callable[..., Any]
Shape = Sequence[int | None]
T = TypeVar("T")


# ------------------------------------------------------------------ shapes


def squeeze_or_expand(x1: Any, x2: Any) -> tuple[Any, Any]:
    """Adds or drops a last axis of size 1 where the ranks differ by exactly that.

    ``(n,)`` meets ``(n, 1)`` as ``(n, 1)``; ``(n, k)`` meets ``(n, k, 1)`` as ``(n, k)``.

    Args:
        x1: array, or value of a formula.
        x2: another.

    Returns:
        Both.

    Raises:
        ModelError: two arrays of shapes that do not fit otherwise.
    """
    rank1, rank2 = len(x1.shape), len(x2.shape)
    if rank1 == rank2 + 1 and x1.shape[-1] == 1:
        return (x1, ops.expand_dims(x2, -1)) if rank2 == 1 else (ops.squeeze(x1, -1), x2)
    if rank2 == rank1 + 1 and x2.shape[-1] == 1:
        return (ops.expand_dims(x1, -1), x2) if rank1 == 1 else (x1, ops.squeeze(x2, -1))
    pairs = zip(x1.shape, x2.shape, strict=True) if rank1 == rank2 else ()
    if any(a != b and a != 1 != b and None not in (a, b) for a, b in pairs):
        raise ModelError(
            f"losses: expected shapes that fit together, received {tuple(x1.shape)} and {tuple(x2.shape)}. "
            "Give a target for each number that is predicted, and a weight for each sample."
        )
    return x1, x2


def _check_shapes(where: str, y_true: Any, y_pred: Any, expected: Shape) -> None:
    given = tuple(y_true.shape)
    fits = len(given) == len(expected) and all(
        a == b or a is None or b is None for a, b in zip(given, expected, strict=True)
    )
    if not fits:
        raise ModelError(
            f"{where}: expected y_true of shape {tuple(expected)} for y_pred of shape {tuple(y_pred.shape)}, "
            f"received {given}. "
            + (
                "Give one integer label per sample."
                if where in ("sparse_categorical_crossentropy", "categorical_generalized_cross_entropy")
                else "Give one value per output, or sparse_categorical_crossentropy for integer labels."
            )
        )


def check_axis(where: str, axis: Any) -> None:
    """Raises an error for an axis that is not an integer.

    Args:
        where: who asks, for the error.
        axis: what should be one.

    Raises:
        ModelError: it is none.
    """
    if isinstance(axis, bool) or not isinstance(axis, int):
        raise ModelError(f"{where}: axis: expected an integer, received {axis!r} ({type(axis).__name__}).")


def _axis_of(where: str, axis: int, x: Any) -> int:
    """Returns an axis of ``x`` counted from the first; in a formula not that of the samples."""
    check_axis(where, axis)
    rank = len(x.shape)
    if not -rank <= axis < rank:
        raise ModelError(f"{where}: axis={axis}: y_pred of shape {tuple(x.shape)} has no such axis.")
    if axis % rank == 0 and isinstance(x, ops.Expression):
        raise UnsupportedError(
            f"{where}: axis={axis} is that of the samples, and a compiled loss or metric has a value for each of them. "
            "Give one of the axes behind it; -1 is the last."
        )
    return axis % rank


def to_last(where: str, axis: int, *tensors: Any) -> tuple[Any, ...]:
    """Returns the tensors with an axis moved behind all others.

    Args:
        where: who asks, for an error.
        axis: of the last of them, counted as there.
        *tensors: values of one shape.
    """
    axis = _axis_of(where, axis, tensors[-1])
    rank = len(tensors[-1].shape)
    if axis == rank - 1:
        return tensors
    order = [*(i for i in range(rank) if i != axis), axis]
    return tuple(ops.transpose(x, order) for x in tensors)


def _sums_over(where: str, axis: Any, function: Callable[[Any, Any], tuple[Any, ...]], *of: Any) -> tuple[Any, ...]:
    """Sums over one axis, several, or all if None, of what a function makes of targets and outputs, number by number.

    In a formula numbers are put in order first, so that the axes are the last one, or all but the last if the samples
    are among them.
    """
    y_pred = of[-1]
    if not isinstance(y_pred, ops.Expression):
        axes = tuple(axis) if isinstance(axis, (list, tuple)) else axis
        return tuple(np.sum(x, axis=axes) for x in function(*of))
    if axis is None:
        return tuple(ops.sum(x) for x in function(*of))
    rank, over = len(y_pred.shape), set[int]()
    for each in axis if isinstance(axis, (list, tuple)) else (axis,):
        check_axis(where, each)
        if not -rank <= each < rank:
            raise ModelError(f"{where}: axis={each}: y_pred of shape {tuple(y_pred.shape)} has no such axis.")
        over.add(each % rank)
    if over == {*range(rank)}:
        return tuple(ops.sum(x) for x in function(*of))
    across, inner = 0 in over, sorted(over - {0})
    left = [a for a in range(1, rank) if a not in over]
    # (batch, what is summed, what is left), or the other way round
    sizes = [[y_pred.shape[a] or 0 for a in axes] for axes in ((inner, left) if across else (left, inner))]
    shape = [-1, *sizes[0], math.prod(sizes[1])]
    order = [0, *inner, *left] if across else [0, *left, *inner]
    rows = (
        [ops.reshape(ops.transpose(x, order), shape) for x in of]
        if order != [*range(rank)] or rank != len(shape)
        else of
    )
    sums: Any = tuple(range(len(shape) - 1)) if across else -1
    return tuple(ops.sum(x, axis=sums) for x in function(*rows))


def _formula(function: Callable[..., T]) -> Callable[..., T]:
    """Lets a formula take lists and labels of any type, and compute without NumPy's warnings."""

    @functools.wraps(function)
    def loss(y_true: Any, y_pred: Any, *args: Any, **keywords: Any) -> T:
        if isinstance(y_true, ops.Expression) or isinstance(y_pred, ops.Expression):
            return function(y_true, y_pred, *args, **keywords)
        y_pred = ops.convert_to_tensor(y_pred)
        if y_pred.dtype.kind != "f":
            y_pred = y_pred.astype(config.floatx())
        with np.errstate(all="ignore"):
            return function(ops.convert_to_tensor(y_true, y_pred.dtype), y_pred, *args, **keywords)

    return loss


# ------------------------------------------------------------------ of numbers


@register("losses", "mse", "MSE")
@_formula
def mean_squared_error(y_true: Any, y_pred: Any) -> Any:
    """``mean((y_true - y_pred)^2)`` over the last axis.

    Args:
        y_true: what was expected, of the shape of ``y_pred``.
        y_pred: what was predicted, ``(batch, outputs)``.

    Returns:
        A value per sample, ``(batch,)``.

    Source: ``keras.losses.mean_squared_error``.
    """
    y_true, y_pred = squeeze_or_expand(y_true, y_pred)
    return ops.mean(ops.square(y_true - y_pred), axis=-1)


@register("losses", "mae", "MAE")
@_formula
def mean_absolute_error(y_true: Any, y_pred: Any) -> Any:
    """``mean(|y_true - y_pred|)`` over the last axis; its derivative is 0 where they are equal.

    Args:
        y_true: what was expected, of the shape of ``y_pred``.
        y_pred: what was predicted, ``(batch, outputs)``.

    Returns:
        A value per sample, ``(batch,)``.

    Source: ``keras.losses.mean_absolute_error``.
    """
    y_true, y_pred = squeeze_or_expand(y_true, y_pred)
    return ops.mean(ops.abs(y_true - y_pred), axis=-1)


@register("losses", "mape", "MAPE")
@_formula
def mean_absolute_percentage_error(y_true: Any, y_pred: Any) -> Any:
    """``100 * mean(|y_true - y_pred| / max(|y_true|, epsilon))`` over the last axis.

    Args:
        y_true: what was expected, of the shape of ``y_pred``.
        y_pred: what was predicted, ``(batch, outputs)``.

    Returns:
        A value per sample, ``(batch,)``.

    Source: ``keras.losses.mean_absolute_percentage_error``.
    """
    y_true, y_pred = squeeze_or_expand(y_true, y_pred)
    size = ops.maximum(ops.abs(y_true), config.epsilon())
    return 100.0 * ops.mean(ops.abs((y_true - y_pred) / size), axis=-1)


@register("losses", "msle", "MSLE")
@_formula
def mean_squared_logarithmic_error(y_true: Any, y_pred: Any) -> Any:
    """``mean((log(max(y_true, epsilon) + 1) - log(max(y_pred, epsilon) + 1))^2)`` over the last axis.

    Args:
        y_true: what was expected, of the shape of ``y_pred``; not negative.
        y_pred: what was predicted, ``(batch, outputs)``; what is negative counts as epsilon.

    Returns:
        A value per sample, ``(batch,)``.

    Source: ``keras.losses.mean_squared_logarithmic_error``.
    """
    y_true, y_pred = squeeze_or_expand(y_true, y_pred)
    predicted, expected = (ops.log1p(ops.maximum(y, config.epsilon())) for y in (y_pred, y_true))
    return ops.mean(ops.square(predicted - expected), axis=-1)


@register("losses")
@_formula
def huber(y_true: Any, y_pred: Any, delta: float = 1.0) -> Any:
    """The mean of ``e^2 / 2`` where ``|e| <= delta`` and of ``delta * |e| - delta^2 / 2`` elsewhere.

    ``e`` is ``y_pred - y_true``; the mean is over the last axis.

    Args:
        y_true: what was expected, of the shape of ``y_pred``.
        y_pred: what was predicted, ``(batch, outputs)``.
        delta: the error from which on it grows in proportion.

    Returns:
        A value per sample, ``(batch,)``.

    Source: ``keras.losses.huber``; Huber, 1964.
    """
    y_true, y_pred = squeeze_or_expand(y_true, y_pred)
    error = y_pred - y_true
    size = ops.abs(error)
    far = delta * size - 0.5 * delta * delta
    return ops.mean(ops.where(ops.less_equal(size, delta), 0.5 * ops.square(error), far), axis=-1)


@ops.custom_gradient
def _log_cosh(x: Any) -> tuple[Any, Callable[[Any], Any]]:
    # Differentiated as written it would be sign(x) times a difference that cancels near 0.
    size = ops.abs(x)
    value = size + ops.log1p(ops.exp(-2.0 * size)) - math.log(2.0)
    return value, lambda g: g * ops.tanh(x)


@register("losses")
@_formula
def log_cosh(y_true: Any, y_pred: Any) -> Any:
    """``mean(log(cosh(y_pred - y_true)))`` over the last axis; its derivative is the mean of tanh.

    Computed as ``|e| + log(1 + e^(-2|e|)) - log(2)``, which cannot overflow.

    Args:
        y_true: what was expected, of the shape of ``y_pred``.
        y_pred: what was predicted, ``(batch, outputs)``.

    Returns:
        A value per sample, ``(batch,)``.

    Source: ``keras.losses.log_cosh``.
    """
    y_true, y_pred = squeeze_or_expand(y_true, y_pred)
    return ops.mean(_log_cosh(y_pred - y_true), axis=-1)


@register("losses")
@_formula
def poisson(y_true: Any, y_pred: Any) -> Any:
    """``mean(y_pred - y_true * log(y_pred + epsilon))`` over the last axis.

    Args:
        y_true: counts, of the shape of ``y_pred``.
        y_pred: their predicted means, ``(batch, outputs)``.

    Returns:
        A value per sample, ``(batch,)``.

    Source: ``keras.losses.poisson``.
    """
    return ops.mean(y_pred - y_true * ops.log(y_pred + config.epsilon()), axis=-1)


def cosine(y_true: Any, y_pred: Any, axis: int, where: str = "cosine_similarity") -> Any:
    """The cosine of the angle between vectors along an axis: ``sum(t * p) / (norm(t) * norm(p))``; 0 where one is 0.

    Args:
        y_true: t.
        y_pred: p, of the same shape.
        axis: that of the vectors.
        where: who asks, for an error.

    Returns:
        The cosines in the shape without the axis.
    """
    y_true, y_pred = to_last(where, axis, *squeeze_or_expand(y_true, y_pred))

    def unit(x: Any) -> Any:
        square = ops.sum(ops.square(x), axis=-1, keepdims=True)
        return x * ops.rsqrt(ops.maximum(square, config.epsilon() ** 2))

    return ops.sum(unit(y_true) * unit(y_pred), axis=-1)


@register("losses")
@_formula
def cosine_similarity(y_true: Any, y_pred: Any, axis: int = -1) -> Any:
    """``-sum(t * p)`` for t = y_true and p = y_pred, each divided by ``max(|.|, epsilon)``, over an axis.

    -1 for vectors of one direction, 1 for opposite ones. The metric of that name has the
    other sign.

    Args:
        y_true: what was expected, of the shape of ``y_pred``.
        y_pred: what was predicted, ``(batch, outputs)``.
        axis: along which the vectors lie.

    Returns:
        A value per sample, ``(batch,)``.

    Source: ``keras.losses.cosine_similarity``.
    """
    return -cosine(y_true, y_pred, axis)


# ------------------------------------------------------------------ of margins


def _signs(y_true: Any) -> Any:
    """Labels 0 and 1 as -1 and 1, see :func:`hinge`."""
    negative = ops.equal(y_true, 0.0)
    if isinstance(y_true, ops.Expression):
        return ops.where(negative, -1.0, y_true)
    return 2.0 * y_true - 1.0 if np.all(negative | (y_true == 1)) else y_true


@register("losses")
@_formula
def hinge(y_true: Any, y_pred: Any) -> Any:
    """``mean(max(1 - y_true * y_pred, 0))`` over the last axis, for labels -1 and 1.

    Labels 0 and 1 are taken as -1 and 1. Keras does so if there are no others in the whole
    batch, and so does this on arrays. A compiled formula sees one number at a time and
    takes each 0 as -1, which is the same unless a batch has 0 among labels that are neither
    0 nor 1: there Keras takes 0 as it is, for a label that is on neither side.

    Args:
        y_true: -1 or 1, or 0 or 1, of the shape of ``y_pred``.
        y_pred: what was predicted, ``(batch, outputs)``; its sign is the class.

    Returns:
        A value per sample, ``(batch,)``.

    Source: ``keras.losses.hinge``.
    """
    return ops.mean(ops.maximum(1.0 - _signs(y_true) * y_pred, 0.0), axis=-1)


@register("losses")
@_formula
def squared_hinge(y_true: Any, y_pred: Any) -> Any:
    """``mean(max(1 - y_true * y_pred, 0)^2)`` over the last axis, for labels as in :func:`hinge`.

    Args:
        y_true: -1 or 1, or 0 or 1, of the shape of ``y_pred``.
        y_pred: what was predicted, ``(batch, outputs)``; its sign is the class.

    Returns:
        A value per sample, ``(batch,)``.

    Source: ``keras.losses.squared_hinge``.
    """
    return ops.mean(ops.square(ops.maximum(1.0 - _signs(y_true) * y_pred, 0.0)), axis=-1)


@register("losses")
@_formula
def categorical_hinge(y_true: Any, y_pred: Any) -> Any:
    """``max(max((1 - t) * p) - sum(t * p) + 1, 0)`` over the last axis, for t = y_true, p = y_pred.

    Args:
        y_true: one-hot, ``(batch, K)``.
        y_pred: a score for each class, ``(batch, K)``.

    Returns:
        A value per sample, ``(batch,)``.

    Source: ``keras.losses.categorical_hinge``; Weston and Watkins, 1999.
    """
    right = ops.sum(y_true * y_pred, axis=-1)
    best_wrong = ops.max((1.0 - y_true) * y_pred, axis=-1)
    return ops.maximum(best_wrong - right + 1.0, 0.0)


# ------------------------------------------------------------------ of probabilities


@register("losses", "kld", "KLD")
@_formula
def kl_divergence(y_true: Any, y_pred: Any) -> Any:
    """``sum(t * log(t / p))`` over the last axis, for t = y_true and p = y_pred, clipped to [epsilon, 1].

    Args:
        y_true: a probability for each class, ``(batch, K)``.
        y_pred: predicted probabilities, ``(batch, K)``.

    Returns:
        A value per sample, ``(batch,)``.

    Source: ``keras.losses.kl_divergence``; Kullback and Leibler, 1951.
    """
    t, p = (ops.clip(y, config.epsilon(), 1.0) for y in (y_true, y_pred))
    return ops.sum(t * ops.log(t / p), axis=-1)


def _smooth_bits(y_true: Any, label_smoothing: float) -> Any:
    return y_true * (1.0 - label_smoothing) + 0.5 * label_smoothing if label_smoothing else y_true


def _binary_crossentropy(y_true: Any, y_pred: Any) -> Any:
    p = ops.clip(y_pred, config.epsilon(), 1.0 - config.epsilon())
    return -(y_true * ops.log(p) + (1.0 - y_true) * ops.log(1.0 - p))


@register("losses", "bce", "BCE")
@_formula
def binary_crossentropy(
    y_true: Any, y_pred: Any, from_logits: bool = False, label_smoothing: float = 0.0, axis: int = -1
) -> Any:
    """``mean(-t * log(p) - (1 - t) * log(1 - p))`` over an axis, for t = y_true.

    ``p`` is y_pred clipped to [epsilon, 1 - epsilon]. From logits ``z`` it is
    ``mean(max(z, 0) - z * t + log(1 + e^-|z|))``, whose derivative is ``sigmoid(z) - t``.

    Args:
        y_true: 0 or 1, or anything between, of the shape of ``y_pred``.
        y_pred: probabilities of 1, ``(batch, outputs)``; or their logits.
        from_logits: whether y_pred is logits.
        label_smoothing: s in [0, 1]: t becomes ``t * (1 - s) + s / 2``.
        axis: over which the mean is taken.

    Returns:
        A value per sample, ``(batch,)``.

    Raises:
        ModelError: the shapes differ, or there is no such axis.

    Source: ``keras.losses.binary_crossentropy``.
    """
    _check_shapes("binary_crossentropy", y_true, y_pred, y_pred.shape)
    y_true, y_pred = to_last("binary_crossentropy", axis, y_true, y_pred)
    y_true = _smooth_bits(y_true, label_smoothing)
    each = softplus(y_pred) - y_pred * y_true if from_logits else _binary_crossentropy(y_true, y_pred)
    return ops.mean(each, axis=-1)


@register("losses")
@_formula
def binary_focal_crossentropy(
    y_true: Any,
    y_pred: Any,
    apply_class_balancing: bool = False,
    alpha: float = 0.25,
    gamma: float = 2.0,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int = -1,
) -> Any:
    """``mean((1 - q)^gamma * b)`` over an axis: the crossentropy b of what is right already counts less.

    ``b`` is ``-t * log(p) - (1 - t) * log(1 - p)`` with p = y_pred clipped to
    [epsilon, 1 - epsilon], and ``q = t * p + (1 - t) * (1 - p)`` the probability of what is
    right, for t = y_true.

    Args:
        y_true: 0 or 1, or anything between, of the shape of ``y_pred``.
        y_pred: probabilities of 1, ``(batch, outputs)``; or their logits.
        apply_class_balancing: whether to multiply by ``t * alpha + (1 - t) * (1 - alpha)``.
        alpha: the weight of 1.
        gamma: how much less; 0 for the crossentropy itself.
        from_logits: whether y_pred is logits, which the sigmoid is applied to.
        label_smoothing: s in [0, 1]: t becomes ``t * (1 - s) + s / 2``.
        axis: over which the mean is taken.

    Returns:
        A value per sample, ``(batch,)``.

    Raises:
        ModelError: the shapes differ, or there is no such axis.

    Source: ``keras.losses.binary_focal_crossentropy``; Lin et al., 2018, https://arxiv.org/abs/1708.02002.
    """
    _check_shapes("binary_focal_crossentropy", y_true, y_pred, y_pred.shape)
    y_true, y_pred = to_last("binary_focal_crossentropy", axis, y_true, y_pred)
    y_true = _smooth_bits(y_true, label_smoothing)
    p = ops.sigmoid(y_pred) if from_logits else y_pred
    right = y_true * p + (1.0 - y_true) * (1.0 - p)
    each = ops.power(1.0 - right, gamma) * _binary_crossentropy(y_true, p)
    if apply_class_balancing:
        each = each * (y_true * alpha + (1.0 - y_true) * (1.0 - alpha))
    return ops.mean(each, axis=-1)


def _clipped_shares(y_pred: Any) -> Any:
    p = y_pred / ops.sum(y_pred, axis=-1, keepdims=True)
    return ops.clip(p, config.epsilon(), 1.0 - config.epsilon())


def _log_probabilities(y_pred: Any, from_logits: bool) -> Any:
    return log_softmax(y_pred) if from_logits else ops.log(_clipped_shares(y_pred))


def _smooth_classes(where: str, y_true: Any, y_pred: Any, label_smoothing: float) -> Any:
    """The targets, moved towards 1/K; K is the size of the last axis, whatever axis the classes are on: so Keras."""
    _check_shapes(where, y_true, y_pred, y_pred.shape)
    classes = y_pred.shape[-1]
    if classes == 1:
        warnings.warn(
            f"{where}: expected y_pred (batch, classes) with classes > 1, received {tuple(y_pred.shape)}: the loss of "
            "one class is always 0. Use binary_crossentropy.",
            SyntaxWarning,
            stacklevel=4,
        )
    return y_true * (1.0 - label_smoothing) + label_smoothing / classes if label_smoothing else y_true


@register("losses")
@_formula
def categorical_crossentropy(
    y_true: Any, y_pred: Any, from_logits: bool = False, label_smoothing: float = 0.0, axis: int = -1
) -> Any:
    """``-sum(t * log(p))`` over an axis, for t = y_true.

    ``p`` is y_pred divided by its sum and clipped to [epsilon, 1 - epsilon]; from logits
    ``log(p)`` is the log-softmax.

    Args:
        y_true: a probability for each of K classes, ``(batch, K)``, for example one-hot.
        y_pred: predicted probabilities ``(batch, K)``; or logits.
        from_logits: whether y_pred is logits.
        label_smoothing: s in [0, 1]: t becomes ``t * (1 - s) + s / K``.
        axis: of the classes.

    Returns:
        A value per sample, ``(batch,)``.

    Raises:
        ModelError: the shapes differ, or there is no such axis.

    Source: ``keras.losses.categorical_crossentropy``.
    """
    where = "categorical_crossentropy"
    check_axis(where, axis)
    y_true = _smooth_classes(where, y_true, y_pred, label_smoothing)
    y_true, y_pred = to_last(where, axis, y_true, y_pred)
    return -ops.sum(y_true * _log_probabilities(y_pred, from_logits), axis=-1)


def _per_class(values: Any, y_pred: Any) -> Any:
    """Numbers, one for all classes or one for each, as what meets ``y_pred`` in its last axis."""
    if np.ndim(values) == 0:
        return float(values)
    if np.shape(values) != (y_pred.shape[-1],):
        raise ModelError(
            f"categorical_focal_crossentropy: alpha: expected a number, or one for each of {y_pred.shape[-1]} classes, "
            f"received shape {np.shape(values)}."
        )
    if not isinstance(y_pred, ops.Expression):
        return np.asarray(values, y_pred.dtype)
    result: Any = float(values[0])
    for number, value in enumerate(values[1:], start=1):
        result = ops.where(ops.equal(ops.column(), float(number)), float(value), result)
    return result


@register("losses")
@_formula
def categorical_focal_crossentropy(
    y_true: Any,
    y_pred: Any,
    alpha: Any = 0.25,
    gamma: float = 2.0,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int = -1,
) -> Any:
    """``-sum(alpha * (1 - p)^gamma * t * log(p))`` over an axis, for t = y_true: what is right already counts less.

    ``p`` is y_pred divided by its sum and clipped to [epsilon, 1 - epsilon].

    Args:
        y_true: a probability for each of K classes, ``(batch, K)``, for example one-hot.
        y_pred: predicted probabilities ``(batch, K)``; or logits.
        alpha: a factor, or one for each class.
        gamma: how much less; 0 for the crossentropy itself.
        from_logits: whether y_pred is logits, which the softmax is applied to.
        label_smoothing: s in [0, 1]: t becomes ``t * (1 - s) + s / K``.
        axis: of the classes.

    Returns:
        A value per sample, ``(batch,)``.

    Raises:
        ModelError: the shapes differ, there is no such axis, or alpha has another number of classes.

    Source: ``keras.losses.categorical_focal_crossentropy``; Lin et al., 2018, https://arxiv.org/abs/1708.02002.
    """
    where = "categorical_focal_crossentropy"
    check_axis(where, axis)
    y_true = _smooth_classes(where, y_true, y_pred, label_smoothing)
    factor = _per_class(alpha, y_pred)  # along the last axis, whatever axis the classes are on: so Keras
    if np.ndim(alpha) and _axis_of(where, axis, y_pred) != len(y_pred.shape) - 1:
        y_true, factor = y_true * factor, 1.0
    y_true, y_pred = to_last(where, axis, y_true, y_pred)
    p = _clipped_shares(ops.softmax(y_pred, axis=-1) if from_logits else y_pred)
    return -ops.sum(factor * ops.power(1.0 - p, gamma) * (y_true * ops.log(p)), axis=-1)


def _labels_of(where: str, y_true: Any, y_pred: Any) -> Any:
    """Labels without their axis of size 1; ``y_pred`` has the classes on its last axis."""
    if len(y_true.shape) == len(y_pred.shape) and y_true.shape[-1] == 1:
        y_true = ops.squeeze(y_true, -1)
    _check_shapes(where, y_true, y_pred, y_pred.shape[:-1])
    return y_true


@register("losses")
@_formula
def sparse_categorical_crossentropy(
    y_true: Any, y_pred: Any, from_logits: bool = False, ignore_class: int | None = None, axis: int = -1
) -> Any:
    """``-log(p)`` of the class that the label names.

    ``p`` is as in :func:`categorical_crossentropy`. A label that names no class, from 0
    to K - 1, gives 0.

    Args:
        y_true: integer labels, ``(batch,)`` or ``(batch, 1)``.
        y_pred: predicted probabilities ``(batch, K)``; or logits.
        from_logits: whether y_pred is logits.
        ignore_class: a label whose samples get 0.
        axis: of the classes.

    Returns:
        A value per sample, ``(batch,)``.

    Raises:
        ModelError: the shapes do not fit, or there is no such axis.

    Source: ``keras.losses.sparse_categorical_crossentropy``.
    """
    where = "sparse_categorical_crossentropy"
    check_axis(where, axis)
    if len(y_true.shape) == len(y_pred.shape) and y_true.shape[axis] == 1:
        (y_true,) = to_last(where, axis, y_true)
    (y_pred,) = to_last(where, axis, y_pred)
    labels = _labels_of(where, y_true, y_pred)
    if ignore_class is not None:
        ignored = ops.equal(labels, ignore_class)
        labels = ops.where(ignored, 0.0, labels)
        y_pred = ops.where(ops.expand_dims(ignored, -1), 0.0, y_pred)
    hot = ops.one_hot(labels, y_pred.shape[-1])
    loss = -ops.sum(hot * _log_probabilities(y_pred, from_logits), axis=-1)
    return loss if ignore_class is None else ops.where(ignored, 0.0, loss)


@register("losses")
@_formula
def categorical_generalized_cross_entropy(y_true: Any, y_pred: Any, q: float) -> Any:
    """``(1 - p^q) / q`` for the probability p of the class that the label names.

    Between the crossentropy, as q goes to 0, and the absolute error, for q = 1; it bears
    some wrong labels.

    Args:
        y_true: integer labels, ``(batch,)`` or ``(batch, 1)``.
        y_pred: predicted probabilities ``(batch, K)``.
        q: in (0, 1).

    Returns:
        A value per sample, ``(batch,)``.

    Raises:
        ModelError: the shapes do not fit.

    Source: ``keras.losses.categorical_generalized_cross_entropy``; Zhang and Sabuncu, 2018,
    https://arxiv.org/abs/1805.07836.
    """
    labels = _labels_of("categorical_generalized_cross_entropy", y_true, y_pred)
    p = ops.sum(y_pred * ops.one_hot(labels, y_pred.shape[-1]), axis=-1)
    return (1.0 - ops.power(p, q)) / q


# ------------------------------------------------------------------ of sets


@register("losses")
@_formula
def dice(y_true: Any, y_pred: Any, axis: Any = None) -> Any:
    """``1 - 2 * sum(t * p) / (sum(t) + sum(p) + epsilon)`` for t = y_true and p = y_pred: how little they overlap.

    Args:
        y_true: 0 or 1 for each member, of the shape of ``y_pred``.
        y_pred: predicted memberships in [0, 1], ``(batch, …)``.
        axis: what is summed over, one axis or several; None for all, with the samples
            among them.

    Returns:
        A value for what is left of the axes: per sample if ``axis`` is all the others.

    Source: ``keras.losses.dice``; Dice, 1945.
    """
    total, common = _sums_over("dice", axis, lambda t, p: (t + p, t * p), y_true, y_pred)
    return 1.0 - 2.0 * common / (total + config.epsilon())


@register("losses")
@_formula
def tversky(y_true: Any, y_pred: Any, alpha: float = 0.5, beta: float = 0.5, axis: Any = None) -> Any:
    """``1 - c / (c + alpha * sum((1 - p) * t) + beta * sum(p * (1 - t)) + epsilon)`` with ``c = sum(t * p)``.

    For t = y_true and p = y_pred; with alpha = beta = 0.5 it is :func:`dice`.

    Args:
        y_true: 0 or 1 for each member, of the shape of ``y_pred``.
        y_pred: predicted memberships in [0, 1], ``(batch, …)``.
        alpha: what a member costs that was not predicted.
        beta: what a prediction costs that is no member.
        axis: as of :func:`dice`.

    Returns:
        A value for what is left of the axes: per sample if ``axis`` is all the others.

    Source: ``keras.losses.tversky``; Salehi et al., 2017, https://arxiv.org/abs/1706.05721.
    """
    common, missed, wrong = _sums_over(
        "tversky", axis, lambda t, p: (t * p, (1.0 - p) * t, p * (1.0 - t)), y_true, y_pred
    )
    return 1.0 - common / (common + alpha * missed + beta * wrong + config.epsilon())
