"""Reductions and normalisations of ``keras.ops`` that are formulas over sums, products and extremes.

On symbols the axes are those of :func:`nncompile.ops.sum`: any but that of the rows.
"""

from __future__ import annotations

import functools
import inspect
import math
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np

from .. import config
from ..docstrings import REDUCTION, Family, described
from ..errors import ModelError, UnsupportedError
from .arrays import _axis
from .core import (
    _computed,
    _symbols,
    _traced,
    abs,
    add,
    argmax,
    cast,
    divide,
    equal,
    exp,
    greater,
    is_weight,
    less,
    log,
    max,
    maximum,
    mean,
    min,
    minimum,
    multiply,
    not_equal,
    power,
    prod,
    rsqrt,
    sqrt,
    square,
    stop_gradient,
    subtract,
    sum,
    where,
)
from .expressions import Expression
from .mathematics import _LN10, isnan
from .reshaping import convert_to_tensor, matmul, one_hot, ones_like, squeeze

F = TypeVar("F", bound=Callable[..., Any])


def _formula(numpy: Callable[..., Any], family: Family = REDUCTION) -> Callable[[F], F]:
    """Makes an operation of a formula: what it is on symbols, and the function of an array that it is there.

    Its docstring gets what is said of its family.
    """

    def decorate(function: F) -> F:
        signature = inspect.signature(function)

        @functools.wraps(function)
        def operation(*args: Any, **keywords: Any) -> Any:
            bound = signature.bind(*args, **keywords)
            bound.apply_defaults()
            x, *rest = bound.args
            if _symbols(x):
                return function(_traced(x), *rest)
            names = list(bound.arguments)[1:]
            rest = [
                tuple(value) if name == "axis" and isinstance(value, list) else value
                for name, value in zip(names, rest, strict=True)
            ]
            return _computed(functools.partial(numpy, **dict(zip(names, rest, strict=True))), x)

        return described(family)(operation)  # type: ignore[return-value]

    return decorate


# ------------------------------------------------------------------ truth


@_formula(np.any)
def any(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """Whether one of the values over axes holds, or is not 0."""
    return not_equal(max(cast(not_equal(x, 0.0), None), axis=axis, keepdims=keepdims), 0.0)


@_formula(np.all)
def all(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """Whether all of the values over axes hold, or are not 0."""
    return not_equal(min(cast(not_equal(x, 0.0), None), axis=axis, keepdims=keepdims), 0.0)


@_formula(np.count_nonzero)
def count_nonzero(x: Any, axis: Any = None) -> Any:
    """How many values over axes are not 0.

    Returns:
        Whole numbers in the shape of ``x`` without these axes.
    """
    return sum(cast(not_equal(x, 0.0), None), axis=axis)


# ------------------------------------------------------------------ extremes


@described(REDUCTION)
def amax(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """Largest value over axes, as :func:`max`."""
    return max(x, axis=axis, keepdims=keepdims)


@described(REDUCTION)
def amin(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """Smallest value over axes, as :func:`min`."""
    return min(x, axis=axis, keepdims=keepdims)


@described(REDUCTION)
def argmin(x: Any, axis: int | None = None, keepdims: bool = False) -> Any:
    """Place of the smallest value along an axis, the first of equals.

    Args:
        axis: along which; None for the place among all numbers, of arrays.
    """
    if not _symbols(x):
        return np.argmin(convert_to_tensor(x), axis=axis, keepdims=keepdims).astype(np.int32)
    return argmax(-_traced(x), axis=axis, keepdims=keepdims)


@_formula(np.ptp)
def ptp(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """``max(x) - min(x)`` over axes."""
    return max(x, axis=axis, keepdims=keepdims) - min(x, axis=axis, keepdims=keepdims)


# ------------------------------------------------------------------ over exponentials


def _real(x: Any) -> Any:
    """Whole numbers of an array in the type of the layers: differences of small ones do not fit their own."""
    x = convert_to_tensor(x)
    return x if isinstance(x, Expression) or x.dtype.kind == "f" else x.astype(config.floatx())


@described(REDUCTION)
def logsumexp(x: Any, axis: int | None = None, keepdims: bool = False) -> Any:
    """``m + log(sum(e^(x - m)))`` over axes with ``m = max(x)``: ``log(sum(e^x))`` without overflow."""
    x = _real(x)
    m = stop_gradient(max(x, axis=axis, keepdims=True))
    e = exp(x - m)
    result = add(log(sum(e, axis=axis, keepdims=True)), m)
    return result if keepdims else squeeze(result, axis)


def softmax(x: Any, axis: int = -1) -> Any:
    """``e^(x - m) / sum(e^(x - m))`` along an axis with ``m = max(x)``: ``e^x / sum(e^x)`` without overflow.

    Args:
        x: array, or value of a formula.
        axis: along which results add up to 1.

    Returns:
        Numbers from 0 to 1 in the shape of ``x``.

    Source: ``keras.ops.softmax``; Bridle, 1990.
    """
    x = _real(x)
    m = stop_gradient(max(x, axis=axis, keepdims=True))
    e = exp(x - m)
    s = sum(e, axis=axis, keepdims=True)
    return e / s


def log_softmax(x: Any, axis: int = -1) -> Any:
    """``x - m - log(sum(e^(x - m)))`` along an axis with ``m = max(x)``: ``log(softmax(x))`` without overflow.

    Args:
        x: array, or value of a formula.
        axis: that of the sum.

    Returns:
        Numbers up to 0 in the shape of ``x``.
    """
    x = _real(x)
    m = stop_gradient(max(x, axis=axis, keepdims=True))
    shifted = x - m
    s = sum(exp(shifted), axis=axis, keepdims=True)
    return shifted - log(s)


# ------------------------------------------------------------------ moments and norms


@_formula(np.var)
def var(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """Mean of the squared distance from the mean over axes: ``mean((x - mean(x))^2)``."""
    # the mean of the distances is 0, and with it what the mean would add to the gradient
    return mean(square(x - stop_gradient(mean(x, axis=axis, keepdims=True))), axis=axis, keepdims=keepdims)


@_formula(np.std)
def std(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """Standard deviation over axes: the root of :func:`var`, whose gradient at 0 is not finite."""
    return sqrt(var(x, axis=axis, keepdims=keepdims))


def moments(x: Any, axes: Any, keepdims: bool = False, synchronized: bool = False) -> tuple[Any, Any]:
    """Mean ``m = mean(x)`` and variance ``mean((x - m)^2)`` over axes.

    Args:
        x: array, or value of a formula.
        axes: one axis, or several.
        keepdims: whether the axes stay, of size 1.
        synchronized: not supported; only False.

    Returns:
        Both, in the shape of ``x`` without these axes.

    Raises:
        UnsupportedError: ``synchronized`` is True.
    """
    if synchronized:
        raise UnsupportedError("ops.moments: synchronized=True is for several machines, which nncompile does not use.")
    axes = tuple(axes) if isinstance(axes, Sequence) else axes
    return mean(x, axis=axes, keepdims=keepdims), var(x, axis=axes, keepdims=keepdims)


def average(x: Any, axis: Any = None, weights: Any = None) -> Any:
    """Mean along an axis, weighted: ``sum(w * x) / sum(w)``.

    Args:
        x: array, or value of a formula.
        axis: the axis; all if None, of arrays.
        weights: w, numbers that meet ``x``, or None for equal ones. Of arrays also one per place along the axis.

    Returns:
        The means in the shape of ``x`` without the axis.
    """
    if weights is None:
        return mean(x, axis=axis)
    if not _symbols(x, weights):
        return _computed(lambda x, w: np.average(x, axis=axis, weights=w), x, weights)
    total = sum(multiply(weights, ones_like(x)), axis=axis)
    return divide(sum(multiply(x, weights), axis=axis), total)


def _np_norm(x: Any, ord: Any, axis: Any, keepdims: bool) -> Any:
    return np.linalg.norm(x, ord=ord, axis=axis, keepdims=keepdims)


@_formula(_np_norm)
def norm(x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Any:
    """Length of the vectors along an axis: ``sqrt(sum(x^2))``, or another of them.

    Args:
        x: array, or value of a formula.
        ord: 2 or None for the root of the sum of squares; 1 for the sum and ``inf`` and ``-inf`` for the largest and
            the smallest of sizes; 0 for how many are not 0; p for the p-th root of the sum of p-th powers of sizes.
            Of matrices "fro" or None is the root of the sum of squares, 1 and -1 are the largest and smallest sum of
            a column, ``inf`` and ``-inf`` of a row; those that need singular values are for arrays alone.
        axis: the axis, or the two of matrices; of arrays also None.
        keepdims: whether the axis stays, of size 1.

    Returns:
        The lengths in the shape of ``x`` without the axis.

    Raises:
        UnsupportedError: in a formula, along no axis, or a norm of matrices that needs singular values.
    """
    if isinstance(x, Expression) and is_weight(x) and ord in (None, "fro"):
        return sqrt(sum(square(x), axis=axis, keepdims=keepdims))  # of all of it, where there is no axis
    if isinstance(axis, Sequence) and len(axis) == 2:
        rows, columns = (_axis(a, len(x.shape), "norm") for a in axis)
        return _matrix_norm(x, ord, rows, columns, keepdims)
    if not isinstance(axis, int) or isinstance(ord, str):
        raise UnsupportedError(
            f"ops.norm: a formula has norms of vectors, along one axis, and of matrices, along two: received "
            f"axis={axis!r}, ord={ord!r}."
        )
    if ord is None or ord == 2:
        return sqrt(sum(square(x), axis=axis, keepdims=keepdims))
    if ord == math.inf:
        return max(abs(x), axis=axis, keepdims=keepdims)
    if ord == -math.inf:
        return min(abs(x), axis=axis, keepdims=keepdims)
    if ord == 0:
        return sum(cast(not_equal(x, 0.0), None), axis=axis, keepdims=keepdims)
    if ord == 1:
        return sum(abs(x), axis=axis, keepdims=keepdims)
    return power(sum(power(abs(x), float(ord)), axis=axis, keepdims=keepdims), 1.0 / ord)


def _matrix_norm(x: Any, ord: Any, rows: int, columns: int, keepdims: bool) -> Any:
    if ord in (None, "fro"):
        squares: Any = sum(square(x), axis=columns, keepdims=True)
        squares = sum(squares, axis=rows, keepdims=True)
        return sqrt(squares if keepdims else squeeze(squares, (rows, columns)))
    if ord not in (1, -1, math.inf, -math.inf):
        raise UnsupportedError(
            f"ops.norm: expected ord 'fro', 1, -1, inf or -inf of matrices in a formula, received {ord!r}, which "
            "needs singular values."
        )
    of, over = (rows, columns) if ord in (1, -1) else (columns, rows)
    sums = sum(abs(x), axis=of, keepdims=True)
    found = (max if ord > 0 else min)(sums, axis=over, keepdims=True)
    return found if keepdims else squeeze(found, (rows, columns))


def normalize(x: Any, axis: Any = -1, order: float = 2, epsilon: float | None = None) -> Any:
    """``x / max(norm(x), epsilon)`` along an axis.

    Args:
        x: array, or value of a formula.
        axis: the axis.
        order: which norm; see :func:`norm`.
        epsilon: the least divisor; ``config.epsilon()`` if None.

    Returns:
        Numbers in the shape of ``x``.

    Raises:
        ModelError: ``order`` is not a number from 1 on.
    """
    if not isinstance(order, (int, float)) or order < 1:
        raise ModelError(f"ops.normalize: expected order to be a number from 1 on, received {order!r}.")
    least = config.epsilon() if epsilon is None else epsilon
    x = _traced(x) if _symbols(x) else convert_to_tensor(x)
    if order == 2:
        return multiply(x, minimum(rsqrt(sum(square(x), axis=axis, keepdims=True)), 1.0 / least))
    return divide(x, maximum(norm(x, ord=order, axis=axis, keepdims=True), least))


# ------------------------------------------------------------------ without NaN


def _without(x: Any, number: float) -> Any:
    return where(isnan(x), number, x)


def _counts(x: Any, axis: Any, keepdims: bool) -> Any:
    return sum(cast(equal(x, x), None), axis=axis, keepdims=keepdims)


@_formula(np.nansum)
def nansum(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """Sum over axes of what is not NaN."""
    return sum(_without(x, 0.0), axis=axis, keepdims=keepdims)


@_formula(np.nanprod)
def nanprod(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """Product over axes of what is not NaN."""
    return prod(_without(x, 1.0), axis=axis, keepdims=keepdims)


def _quiet(function: Callable[..., Any]) -> Callable[..., Any]:
    """NumPy warns of rows that are NaN throughout; the result says it as well."""

    def operation(*args: Any, **keywords: Any) -> Any:
        import warnings

        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)
            return function(*args, **keywords)

    return operation


@_formula(_quiet(np.nanmean))
def nanmean(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """Mean over axes of what is not NaN; NaN if all are."""
    return nansum(x, axis=axis, keepdims=keepdims) / _counts(x, axis, keepdims)


@_formula(_quiet(np.nanvar))
def nanvar(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """Variance over axes of what is not NaN, as :func:`var`; NaN if all are."""
    distance = where(isnan(x), 0.0, x - stop_gradient(nanmean(x, axis=axis, keepdims=True)))
    return sum(square(distance), axis=axis, keepdims=keepdims) / _counts(x, axis, keepdims)


@_formula(_quiet(np.nanstd))
def nanstd(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """Standard deviation over axes of what is not NaN, as :func:`std`; NaN if all are."""
    return sqrt(nanvar(x, axis=axis, keepdims=keepdims))


@_formula(_quiet(np.nanmax))
def nanmax(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """Largest value over axes of what is not NaN; NaN if all are."""
    largest = max(_without(x, -math.inf), axis=axis, keepdims=keepdims)
    return where(equal(_counts(x, axis, keepdims), 0.0), math.nan, largest)


@_formula(_quiet(np.nanmin))
def nanmin(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """Smallest value over axes of what is not NaN; NaN if all are."""
    smallest = min(_without(x, math.inf), axis=axis, keepdims=keepdims)
    return where(equal(_counts(x, axis, keepdims), 0.0), math.nan, smallest)


def _np_nanarg(name: str, number: float) -> Callable[..., Any]:
    def operation(x: Any, axis: Any, keepdims: bool) -> Any:
        found = getattr(np, name)(np.where(np.isnan(x), number, x), axis=axis, keepdims=keepdims)
        return np.where(np.isnan(x).all(axis=axis, keepdims=keepdims), -1, found)

    return operation


@_formula(_np_nanarg("argmax", -math.inf))
def nanargmax(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """Place of the largest value along an axis that is not NaN; -1 if all are.

    Args:
        axis: along which; None for the place among all numbers, of arrays.
    """
    found = argmax(_without(x, -math.inf), axis=axis, keepdims=keepdims)
    return where(equal(_counts(x, axis, keepdims), 0.0), -1.0, found)


@_formula(_np_nanarg("argmin", math.inf))
def nanargmin(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """Place of the smallest value along an axis that is not NaN; -1 if all are.

    Args:
        axis: along which; None for the place among all numbers, of arrays.
    """
    found = argmin(_without(x, math.inf), axis=axis, keepdims=keepdims)
    return where(equal(_counts(x, axis, keepdims), 0.0), -1.0, found)


# ------------------------------------------------------------------ products and differences


def dot(x1: Any, x2: Any) -> Any:
    """Product of arrays, as NumPy's ``dot``; in a formula of values by a weight of two axes, as :func:`matmul`.

    Args:
        x1: ``(…, k)``, or a number.
        x2: ``(…, k, n)``, ``(k,)`` or a number.

    Returns:
        ``sum over k of x1[…, k] * x2[…, k, n]`` with the axes of ``x1``, then those of ``x2``.
    """
    if not _symbols(x1, x2):
        return _computed(np.dot, x1, x2)
    numbers = [x for x in (x1, x2) if not isinstance(x, Expression) and np.ndim(x) == 0]
    return multiply(x1, x2) if numbers else matmul(x1, x2)


def _neighbours(x: Expression, axis: int) -> tuple[Any, Any]:
    """All but the first and all but the last along an axis."""
    before = (slice(None),) * (axis % len(x.shape))
    behind, ahead = (*before, slice(1, None)), (*before, slice(None, -1))
    return x[behind], x[ahead]


def diff(a: Any, n: int = 1, axis: int = -1) -> Any:
    """Differences of neighbours along an axis, n times over: ``x[i + 1] - x[i]``.

    Args:
        a: array, or value of a formula.
        n: how often.
        axis: the axis; in a formula not the batch.

    Returns:
        Numbers in the shape of ``a`` with n fewer along the axis.
    """
    if not _symbols(a):
        return np.diff(convert_to_tensor(a), n=n, axis=axis)
    x = _traced(a)
    for _ in range(n):
        x = subtract(*_neighbours(x, axis))
    return x


def trapezoid(y: Any, x: Any = None, dx: float = 1.0, axis: int = -1) -> Any:
    """Area under points along an axis: ``sum((y[i] + y[i + 1]) / 2 * (x[i + 1] - x[i]))``.

    Args:
        y: array, or value of a formula.
        x: where the points are, as ``y``; ``dx`` apart if None.
        dx: their distance.
        axis: the axis.

    Returns:
        The areas in the shape of ``y`` without the axis.
    """
    if not _symbols(y, x):
        integrate = getattr(np, "trapezoid", None) or np.trapz  # type: ignore[attr-defined]
        return _computed(lambda y, x: integrate(y, x, dx=dx, axis=axis), _real(y), None if x is None else _real(x))
    y = _traced(y)
    middle = add(*_neighbours(y, axis)) * 0.5
    return sum(multiply(middle, dx if x is None else diff(x, axis=axis)), axis=axis)


# ------------------------------------------------------------------ classes


def in_top_k(targets: Any, predictions: Any, k: int) -> Any:
    """Whether fewer than k columns are larger than the one that the target names.

    Args:
        targets: numbers of columns, ``(rows,)``.
        predictions: ``(rows, columns)``.
        k: how many columns count.

    Returns:
        A truth value per row, ``(rows,)``; of arrays not where the value that is named is NaN or infinite.
    """
    if not _symbols(targets, predictions):
        numbers, values = np.asarray(targets).astype(np.int64), convert_to_tensor(predictions)
        at = np.take_along_axis(values, numbers[:, None], axis=-1)
        found = (values > at).sum(axis=-1) < k
        return found & np.isfinite(at[:, 0])
    x = _traced(predictions)
    hot = one_hot(targets, x.shape[-1])
    at = sum(where(greater(hot, 0.5), x, 0.0), axis=-1, keepdims=True)
    count = sum(cast(greater(x, at), None), axis=-1, keepdims=True)
    return squeeze(less(count, float(k)), -1)


def multi_hot(
    inputs: Any,
    num_classes: int | None = None,
    axis: int = -1,
    dtype: Any = None,
    sparse: bool = False,
    **kwargs: Any,
) -> Any:
    """1 in every column that one of the labels of a row names, 0 elsewhere.

    Args:
        inputs: labels, ``(rows, labels)`` or ``(labels,)``; of arrays also with more axes before the last.
        num_classes: number of columns.
        axis: where the columns are; in a formula the last axis.
        dtype: type of an array; that of the layers if None.
        sparse: not supported; only False.
        **kwargs: ``num_tokens``, the old name of ``num_classes``.

    Returns:
        Zeros and ones, ``(rows, num_classes)``.

    Raises:
        ModelError: there is no ``num_classes``.
        TypeError: a keyword that there is not.
        UnsupportedError: ``sparse`` is True; in a formula, labels of another shape.
    """
    num_classes = kwargs.pop("num_tokens", num_classes)
    if kwargs:
        raise TypeError(f"ops.multi_hot got an unexpected keyword argument {next(iter(kwargs))!r}.")
    if num_classes is None:
        raise ModelError("ops.multi_hot: expected num_classes, the number of columns.")
    if sparse:
        raise UnsupportedError("ops.multi_hot: sparse=True is not supported.")
    if not _symbols(inputs):
        labels = np.asarray(inputs)
        hot = (labels[..., None] == np.arange(num_classes)).any(axis=-2)
        return np.moveaxis(hot, -1, axis).astype(dtype or config.floatx())
    x = _traced(inputs)
    if axis not in (-1, len(x.shape) - 1) or len(x.shape) != 2:
        raise UnsupportedError(f"ops.multi_hot: a formula expects labels of shape (rows, labels), received {x.shape}.")
    columns = (sum(x[:, i : i + 1], axis=-1) for i in range(x.shape[-1]))
    return functools.reduce(maximum, (one_hot(column, num_classes) for column in columns))


# ------------------------------------------------------------------ normalisations


def layer_normalization(
    x: Any, gamma: Any = None, beta: Any = None, axis: Any = -1, epsilon: float | None = None
) -> Any:
    """``(x - mean) / sqrt(variance + epsilon) * gamma + beta`` with the mean and variance along an axis.

    Args:
        x: array, or value of a formula.
        gamma: factors that meet ``x``; none if None.
        beta: what is added; nothing if None.
        axis: the axis, or several.
        epsilon: ``config.epsilon()`` if None.

    Returns:
        Numbers in the shape of ``x``.

    Source: ``keras.ops.layer_normalization``; Ba et al., 2016, https://arxiv.org/abs/1607.06450.
    """
    average, spread = moments(x, axis, keepdims=True)
    least = config.epsilon() if epsilon is None else epsilon
    return _scaled(multiply(subtract(x, average), rsqrt(spread + least)), gamma, beta)


def rms_normalization(x: Any, scale: Any = None, axis: Any = -1, epsilon: float | None = None) -> Any:
    """``x / sqrt(mean(x^2) + epsilon) * scale`` with the mean along an axis.

    Args:
        x: array, or value of a formula.
        scale: factors that meet ``x``; none if None.
        axis: the axis, or several.
        epsilon: ``config.epsilon()`` if None.

    Returns:
        Numbers in the shape of ``x``.

    Source: ``keras.ops.rms_normalization``; Zhang and Sennrich, 2019, https://arxiv.org/abs/1910.07467.
    """
    least = config.epsilon() if epsilon is None else epsilon
    return _scaled(multiply(x, rsqrt(mean(square(x), axis=axis, keepdims=True) + least)), scale, None)


def batch_normalization(
    x: Any, mean: Any, variance: Any, axis: int, offset: Any = None, scale: Any = None, epsilon: float = 1e-3
) -> Any:
    """``(x - mean) / sqrt(variance + epsilon) * scale + offset``, with numbers per place along an axis.

    Args:
        x: array, or value of a formula.
        mean: ``(n,)``, n places along the axis.
        variance: ``(n,)``.
        axis: the axis; in a formula the last.
        offset: ``(n,)``; nothing if None.
        scale: ``(n,)``; none if None.
        epsilon: added to the variance.

    Returns:
        Numbers in the shape of ``x``.

    Raises:
        UnsupportedError: in a formula, another axis.

    Source: ``keras.ops.batch_normalization``; Ioffe and Szegedy, 2015, https://arxiv.org/abs/1502.03167.
    """
    rank = len(x.shape)
    if axis not in (-1, rank - 1):
        if _symbols(x, mean, variance):
            raise UnsupportedError(f"ops.batch_normalization: a formula expects axis=-1, received {axis}.")
        shape = [-1 if a == axis % rank else 1 for a in range(rank)]
        mean, variance, offset, scale = (
            None if n is None else np.reshape(convert_to_tensor(n), shape) for n in (mean, variance, offset, scale)
        )
    return _scaled(multiply(subtract(x, mean), rsqrt(variance + epsilon)), scale, offset)


def _scaled(x: Any, scale: Any, offset: Any) -> Any:
    x = x if scale is None else multiply(x, scale)
    return x if offset is None else x + offset


def psnr(x1: Any, x2: Any, max_val: float) -> Any:
    """Peak signal-to-noise ratio in decibels: ``20 * log10(max_val) - 10 * log10(mean((x1 - x2)^2))``.

    Args:
        x1: array of any shape.
        x2: another of that shape.
        max_val: the largest value that there can be.

    Returns:
        One number for both arrays.

    Raises:
        UnsupportedError: in a formula.
    """
    if _symbols(x1, x2):
        raise UnsupportedError("ops.psnr: compares whole batches; a formula works on one row at a time.")
    return 20 * math.log10(max_val) - log(mean(square(subtract(x1, x2)))) * (10 / _LN10)


__all__ = [
    "all",
    "amax",
    "amin",
    "any",
    "argmin",
    "average",
    "batch_normalization",
    "count_nonzero",
    "diff",
    "dot",
    "in_top_k",
    "layer_normalization",
    "log_softmax",
    "logsumexp",
    "moments",
    "multi_hot",
    "nanargmax",
    "nanargmin",
    "nanmax",
    "nanmean",
    "nanmin",
    "nanprod",
    "nanstd",
    "nansum",
    "nanvar",
    "norm",
    "normalize",
    "psnr",
    "ptp",
    "rms_normalization",
    "softmax",
    "std",
    "trapezoid",
    "var",
]
