"""Operations of ``keras.ops`` that put numbers in order, and running sums.

A formula has no loop over its columns: how many numbers are ahead of each, its rank, is a
sum of comparisons, and what is in a place is the sum over what has its rank. That is exact,
stable, costs n^2 comparisons for n numbers, and its derivative is that of moving numbers.
Running sums and products double their reach with each step (Hillis and Steele, 1986).
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from ..docstrings import Family
from ..errors import ModelError, UnsupportedError
from .arrays import _axis, moveaxis, pad
from .core import _computed, _symbols, _traced, cast, equal, is_weight, less, sum, where
from .expressions import Expression
from .mathematics import isnan
from .reductions import _formula
from .reshaping import expand_dims

_MOST = 512
"""The most numbers that a formula puts in order: it compares each with each."""


def _place(where_: str, x: Expression, axis: Any) -> int:
    """An axis of a sample, counted from the first."""
    if is_weight(x) or not isinstance(x, Expression):
        raise UnsupportedError(f"ops.{where_}: of values of samples, not of weights or arrays.")
    if axis is None:
        raise ModelError(f"ops.{where_}: axis=None is all of a batch; a formula is of one sample: axis=-1, or others.")
    place = _axis(axis, len(x.shape), where_)
    if place == 0:
        raise ModelError(
            f"ops.{where_}: axis 0 of {x.shape} is the batch, whose rows a formula does not bring in order."
        )
    return place


def _last(where_: str, x: Expression, axis: Any) -> tuple[Any, Callable[[Any], Any]]:
    """Values with an axis behind the others, and what brings it back."""
    place = _place(where_, x, axis)
    size = x.shape[place] or 0
    if size > _MOST:
        raise UnsupportedError(
            f"ops.{where_}: a formula compares each number with each: expected at most {_MOST}, received {size}."
        )
    if place == len(x.shape) - 1:
        return x, lambda y: y
    return moveaxis(x, place, -1), lambda y: moveaxis(y, -1, place)


def _ranks(x: Any) -> Any:
    """How many numbers of the last axis come ahead of each: smaller ones, equal ones before it; NaN is last."""
    number, other = expand_dims(x, -1), expand_dims(x, -2)
    missing, missing_other = (expand_dims(cast(isnan(x), None), axis) for axis in (-1, -2))
    ahead = (other < number) | (missing > missing_other)
    behind = (number < other) | (missing_other > missing)
    columns = _columns(x)
    earlier = expand_dims(columns, -2) < expand_dims(columns, -1)  # whether the other is at an earlier place
    return sum(where(earlier, 1.0 - cast(behind, None), cast(ahead, None)), axis=-1)


def _in_order(ranks: Any, x: Any, count: int) -> Any:
    """The first numbers of the last axis of ``x`` by their ranks."""
    chosen = equal(expand_dims(ranks, -2), expand_dims(_columns(ranks)[..., :count], -1))
    return sum(where(chosen, expand_dims(x, -2), 0.0), axis=-1)


def _columns(x: Any) -> Any:
    """The places of the numbers of the last axis, in the shape of x."""
    return cast(less(x, x), None) + np.arange(x.shape[-1], dtype=np.float64)


@_formula(np.sort)
def sort(x: Any, axis: int = -1) -> Any:
    """``x`` in increasing order along an axis, NaN last.

    Args:
        x: array, or value of a formula.
        axis: along which; in a formula not the batch.

    Returns:
        The numbers in the shape of ``x``.

    Raises:
        ModelError: in a formula, along the batch.
        UnsupportedError: in a formula, over 512 numbers.
    """
    x, back = _last("sort", x, axis)
    return back(_in_order(_ranks(x), x, x.shape[-1]))


def _np_argsort(x: Any, axis: int = -1) -> Any:
    return np.argsort(x, axis, kind="stable").astype(np.int32)


@_formula(_np_argsort)
def argsort(x: Any, axis: int = -1) -> Any:
    """The places of ``x`` in increasing order along an axis, equals in their own.

    Args:
        x: array, or value of a formula.
        axis: along which; in a formula not the batch.

    Returns:
        Whole numbers in the shape of ``x``, such that ``take_along_axis(x, places, axis)`` is in order.

    Raises:
        ModelError: in a formula, along the batch.
        UnsupportedError: in a formula, over 512 numbers.
    """
    x, back = _last("argsort", x, axis)
    return back(_in_order(_ranks(x), _columns(x), x.shape[-1]))


def _np_argpartition(x: Any, kth: int, axis: int = -1) -> Any:
    return np.argpartition(x, kth, axis).astype(np.int32)


@_formula(_np_argpartition)
def argpartition(x: Any, kth: int, axis: int = -1) -> Any:
    """Places of which the k-th is where it would be in order, smaller numbers before it, others behind.

    Args:
        x: array, or value of a formula, where all are in order.
        kth: k, from 0.
        axis: along which; in a formula not the batch.

    Returns:
        Whole numbers in the shape of ``x``.
    """
    return argsort(x, axis)


def _np_top_k(x: Any, k: int, sorted: bool = True) -> tuple[Any, Any]:
    at = np.argsort(-(x.astype(np.int64) if x.dtype.kind in "bu" else x), axis=-1, kind="stable")[..., :k]
    return np.take_along_axis(x, at, axis=-1), at.astype(np.int32)


@_formula(_np_top_k)
def top_k(x: Any, k: int, sorted: bool = True) -> tuple[Any, Any]:
    """The k largest numbers of the last axis and their places, the largest first, equals in their own order.

    Args:
        x: ``(…, n)``, array or value of a formula.
        k: how many.
        sorted: without meaning here: they always are.

    Returns:
        Numbers and places, each ``(…, k)``.

    Raises:
        ModelError: in a formula, k is not from 1 to the size of the axis.
    """
    x, _ = _last("top_k", x, -1)
    if not 1 <= k <= x.shape[-1]:
        raise ModelError(f"ops.top_k: expected k from 1 to {x.shape[-1]}, the size of the last axis, received {k}.")
    ranks = _ranks(-x)
    return _in_order(ranks, x, k), _in_order(ranks, _columns(x), k)


_METHODS: dict[str, Callable[[float], tuple[float, float]]] = {
    "linear": lambda at: (math.floor(at), at - math.floor(at)),
    "lower": lambda at: (math.floor(at), 0.0),
    "higher": lambda at: (math.ceil(at), 0.0),
    "nearest": lambda at: (round(at), 0.0),
    "midpoint": lambda at: (math.floor(at), 0.0 if at == math.floor(at) else 0.5),
}
"""Methods of :func:`quantile`: from a place between two ranks the lower rank, and the share of the next."""


@_formula(np.quantile)
def quantile(x: Any, q: Any, axis: Any = None, method: str = "linear", keepdims: bool = False) -> Any:
    """Where a share q of the values along an axis lies below; NaN if one of them is.

    It is the value at the place ``q * (n - 1)`` of n in increasing order, counted from 0.

    Args:
        x: values.
        q: share, from 0 to 1; in a formula one number.
        axis: along which; in a formula one, but not that of the batch.
        method: of what is between two values: ``linear``, ``lower``, ``higher``, ``nearest`` or ``midpoint``.
        keepdims: whether the axis stays, with size 1.

    Returns:
        Numbers in the shape of ``x`` without the axis; of arrays one such for each q.

    Raises:
        ModelError: in a formula, an argument is not one of these.
    """
    _check_quantile("quantile", q, method)
    place = _place("quantile", x, axis)
    x, _ = _last("quantile", x, axis)
    rank, share = _METHODS[method](q * (x.shape[-1] - 1))
    ranks = _ranks(x)
    found = sum(where(equal(ranks, rank), x, 0.0), axis=-1, keepdims=True)
    if share:
        found = found * (1.0 - share) + sum(where(equal(ranks, rank + 1), x, 0.0), axis=-1, keepdims=True) * share
    missing = sum(cast(isnan(x), None), axis=-1, keepdims=True)
    found = where(missing > 0, math.nan, found)
    return moveaxis(found, -1, place) if keepdims else found[..., 0]


def _check_quantile(where_: str, q: Any, method: str) -> None:
    if method not in _METHODS or np.ndim(q) or not 0 <= q <= 1:
        raise ModelError(
            f"ops.{where_}: in a formula expected one q from 0 to 1 and a method of {sorted(_METHODS)}, received "
            f"{q!r} and {method!r}."
        )


@_formula(np.nanquantile)
def nanquantile(x: Any, q: Any, axis: Any = None, method: str = "linear", keepdims: bool = False) -> Any:
    """:func:`quantile` of what is not NaN; NaN if all are.

    Args:
        x: values.
        q: share, from 0 to 1; in a formula one number.
        axis: along which; in a formula one, but not that of the batch.
        method: see :func:`quantile`.
        keepdims: whether the axis stays, with size 1.

    Returns:
        Numbers in the shape of ``x`` without the axis; of arrays one such for each q.

    Raises:
        ModelError: in a formula, an argument is not one of these.
    """
    _check_quantile("nanquantile", q, method)
    place = _place("nanquantile", x, axis)
    x, _ = _last("nanquantile", x, axis)
    # where it lies follows from how many there are, in double precision: of each count from 1 on it is known now
    at = [_METHODS[method](q * count) for count in range(x.shape[-1])]
    count = sum(cast(equal(x, x), None), axis=-1, keepdims=True)
    is_count = equal(_columns(x) + 1.0, count)
    rank, share = (
        sum(where(is_count, np.asarray(part), 0.0), axis=-1, keepdims=True) for part in zip(*at, strict=True)
    )
    ranks = _ranks(x)
    lower, upper = (sum(where(equal(ranks, r), x, 0.0), axis=-1, keepdims=True) for r in (rank, rank + (share > 0)))
    found = where(count > 0, lower * (1.0 - share) + upper * share, math.nan)
    return moveaxis(found, -1, place) if keepdims else found[..., 0]


@_formula(np.nanpercentile)
def nanpercentile(x: Any, q: Any, axis: Any = None, method: str = "linear", keepdims: bool = False) -> Any:
    """:func:`percentile` of what is not NaN; see :func:`nanquantile`.

    Args:
        x: values.
        q: percent, from 0 to 100; in a formula one number.
        axis: along which; in a formula one, but not that of the batch.
        method: see :func:`quantile`.
        keepdims: whether the axis stays, with size 1.

    Returns:
        Numbers in the shape of ``x`` without the axis; of arrays one such for each q.
    """
    return nanquantile(x, q / 100, axis, method, keepdims)


@_formula(np.nanmedian)
def nanmedian(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """:func:`median` of what is not NaN; see :func:`nanquantile`.

    Args:
        x: values.
        axis: along which; in a formula one, but not that of the batch.
        keepdims: whether the axis stays, with size 1.

    Returns:
        Numbers in the shape of ``x`` without the axis.
    """
    return nanquantile(x, 0.5, axis, "linear", keepdims)


@_formula(np.percentile)
def percentile(x: Any, q: Any, axis: Any = None, method: str = "linear", keepdims: bool = False) -> Any:
    """Where q percent of the values along an axis lie below: :func:`quantile` of ``q / 100``.

    Args:
        x: values.
        q: percent, from 0 to 100; in a formula one number.
        axis: along which; in a formula one, but not that of the batch.
        method: see :func:`quantile`.
        keepdims: whether the axis stays, with size 1.

    Returns:
        Numbers in the shape of ``x`` without the axis; of arrays one such for each q.
    """
    return quantile(x, q / 100, axis, method, keepdims)


@_formula(np.median)
def median(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """The middle of the values along an axis in order, or the mean of the two there: :func:`quantile` of a half.

    Args:
        x: values.
        axis: along which; in a formula one, but not that of the batch.
        keepdims: whether the axis stays, with size 1.

    Returns:
        Numbers in the shape of ``x`` without the axis.
    """
    return quantile(x, 0.5, axis, "linear", keepdims)


# ------------------------------------------------------------------ running sums


RUNNING = Family(
    {
        "x": "array, or value of a formula.",
        "axis": "along which, in a formula not the batch; None for all numbers of an array as one row.",
        "dtype": "type of the result; that of ``x`` if None.",
    },
    "Numbers in the shape of ``x``.",
)


def _typed(x: Any, dtype: Any) -> Any:
    return x if dtype is None else cast(x, dtype)


def _running(where_: str, function: Callable[[Any, Any], Any], nothing: float, x: Any, axis: Any) -> Any:
    place, reach = _place(where_, x, axis), 1
    size = x.shape[place] or 0
    while reach < size:
        key = (slice(None),) * place + (slice(0, size - reach),)
        widths = [(reach, 0) if i == place else (0, 0) for i in range(len(x.shape))]
        x = function(pad(x[key], widths, constant_values=nothing), x)
        reach *= 2
    return x


@_formula(np.cumsum, RUNNING)
def cumsum(x: Any, axis: int | None = None, dtype: Any = None) -> Any:
    """Sums of what is before and at each place of an axis: ``y[i] = x[0] + … + x[i]``."""
    return _running("cumsum", operator.add, 0.0, _typed(x, dtype), axis)


@_formula(np.cumprod, RUNNING)
def cumprod(x: Any, axis: int | None = None, dtype: Any = None) -> Any:
    """Products of what is before and at each place of an axis: ``y[i] = x[0] * … * x[i]``."""
    return _running("cumprod", operator.mul, 1.0, _typed(x, dtype), axis)


@_formula(np.nancumsum, RUNNING)
def nancumsum(x: Any, axis: int | None = None, dtype: Any = None) -> Any:
    """:func:`cumsum`, NaN as 0."""
    return _running("nancumsum", operator.add, 0.0, _typed(where(isnan(x), 0.0, x), dtype), axis)


@_formula(np.nancumprod, RUNNING)
def nancumprod(x: Any, axis: int | None = None, dtype: Any = None) -> Any:
    """:func:`cumprod`, NaN as 1."""
    return _running("nancumprod", operator.mul, 1.0, _typed(where(isnan(x), 1.0, x), dtype), axis)


# ------------------------------------------------------------------ places that are values


def take_along_axis(x: Any, indices: Any, axis: int | None = None) -> Any:
    """Entries of x along an axis, at places of their own for each of the other axes; negative ones from the end.

    Args:
        x: values.
        indices: places, with as many axes; in a formula values of samples, or whole numbers that are the same for all.
        axis: along which; in a formula not that of the batch.

    Returns:
        The entries in the shape of ``indices``: ``y[…, i] = x[…, indices[…, i]]``.

    Raises:
        ModelError: in a formula, along the batch.
    """
    x, indices = _traced(x), _traced(indices)
    if not _symbols(x, indices):
        return _computed(lambda x, at: np.take_along_axis(x, np.asarray(at).astype(np.int64), axis), x, indices)
    x, back = _last("take_along_axis", x, axis)
    if not isinstance(indices, Expression):
        indices = cast(x[..., :1] < 0, None) * 0.0 + np.moveaxis(np.asarray(indices, dtype=np.float64), axis or 0, -1)
    else:
        indices, _ = _last("take_along_axis", indices, axis)
    places = expand_dims(where(indices < 0, indices + float(x.shape[-1]), indices), -1)
    chosen = equal(places, expand_dims(_columns(x), -2))
    return back(sum(where(chosen, expand_dims(x, -2), 0.0), axis=-1))


__all__ = [
    "argpartition",
    "argsort",
    "cumprod",
    "cumsum",
    "median",
    "nancumprod",
    "nancumsum",
    "nanmedian",
    "nanpercentile",
    "nanquantile",
    "percentile",
    "quantile",
    "sort",
    "take_along_axis",
    "top_k",
]
