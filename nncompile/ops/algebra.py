"""Products of ``keras.ops`` that are made of others, and operations that arrays alone have.

What has no place in a formula of one row computes with NumPy, before anything is traced,
and says on symbols why it cannot.
"""

from __future__ import annotations

import builtins
import functools
import inspect
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

from .. import config
from ..docstrings import ARRAYS, described, elementwise
from ..errors import ModelError, UnsupportedError
from .arrays import _axis, _move, moveaxis, stack
from .core import _computed, _number_or_array, _symbols, _traced, cast, is_weight, multiply, sum
from .expressions import Expression
from .reshaping import convert_to_tensor, expand_dims, one_hot, ones_like, reshape, shape
from .shapes import ndim

F = TypeVar("F", bound=Callable[..., Any])


def _of_arrays(reason: str) -> Callable[[F], F]:
    """Makes an operation that refuses symbols, for a reason."""

    def decorate(function: F) -> F:
        signature = inspect.signature(function)

        @functools.wraps(function)
        def operation(*args: Any, **keywords: Any) -> Any:
            bound = signature.bind(*args, **keywords)
            bound.apply_defaults()
            given = [part for a in bound.args for part in (a if isinstance(a, (list, tuple)) else (a,))]
            if _symbols(*given):
                raise UnsupportedError(f"ops.{function.__name__}: {reason}")
            arrays = [bound.arguments.pop(n) for n in ("x", "x1", "x2", "indices") if n in bound.arguments]
            return _computed(functools.partial(function, **bound.arguments), *arrays)

        return described(ARRAYS)(operation)  # type: ignore[return-value]

    return decorate


_ROWS = "works on a whole array; a formula works on one row at a time."
_VARIES = "the size of its result depends on values, which are not known before it runs."
_WHOLE = "of whole numbers; the values of a network are real numbers."


@_of_arrays(_VARIES)
def nonzero(x: Any) -> Any:
    """The places of what is not 0.

    Args:
        x: array of any shape.

    Returns:
        For each axis the numbers of the places along it, ``(n,)`` for n places.
    """
    return tuple(at.astype(np.int32) for at in np.nonzero(x))


def bincount(x: Any, weights: Any = None, minlength: int = 0, sparse: bool = False) -> Any:
    """How often each whole number occurs, or the sum of its weights; of more axes along the last one.

    Args:
        x: numbers from 0 on, ``(…, n)``; in a formula of samples.
        weights: what each counts, as x; 1 if None.
        minlength: how many numbers are counted at least; in a formula just so many, and others not at all.
        sparse: not supported; only False.

    Returns:
        A number for each from 0 to the largest, ``(…, count)``.

    Raises:
        ModelError: in a formula, without ``minlength``, or not of values of samples.
        UnsupportedError: ``sparse`` is True.
    """
    if sparse:
        raise UnsupportedError("ops.bincount: sparse=True is not supported.")
    if _symbols(x, weights):
        number = _traced(x)
        if not minlength or not isinstance(number, Expression) or len(number.shape) < 2:
            raise ModelError(
                "ops.bincount: in a formula expected values of samples and minlength, how many numbers are counted: "
                f"the largest is not known before it runs. Received shape {shape(number)} and minlength={minlength}."
            )
        hot = one_hot(cast(number, "int32"), minlength)
        return sum(hot if weights is None else hot * expand_dims(weights, -1), axis=-2)
    array = np.asarray(_number_or_array(x))
    count = builtins.max(int(np.max(array, initial=0)) + 1 if array.size else 0, minlength)
    rows = array.reshape(-1, array.shape[-1]) if array.ndim else array.reshape(1, 1)
    of = (
        [None] * len(rows)
        if weights is None
        else np.broadcast_to(convert_to_tensor(weights), array.shape).reshape(rows.shape)
    )
    found = np.array([np.bincount(row, w, count) for row, w in zip(rows, of, strict=True)])
    found = found.reshape(*array.shape[:-1], count)
    return found.astype(np.int32 if weights is None else np.asarray(convert_to_tensor(weights)).dtype)


@_of_arrays(_ROWS)
def histogram(x: Any, bins: Any = 10, range: Any = None) -> Any:
    """How many numbers are in each bin.

    Args:
        x: array of any shape.
        bins: how many of equal width, or their edges.
        range: the first and the last edge; the least and the largest number if None.

    Returns:
        The counts, ``(n,)``, and the edges of the n bins, ``(n + 1,)``.
    """
    counts, edges = np.histogram(x, bins, range)
    return counts.astype(np.int32), edges.astype(config.floatx())


@_of_arrays(_ROWS)
def allclose(x1: Any, x2: Any, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False) -> Any:
    """Whether all of ``x1`` are close to ``x2``: ``|x1 - x2| <= atol + rtol * |x2|``. ops.isclose compares one by one.

    Args:
        x1: array.
        x2: what ``rtol`` is relative to, of a shape that is broadcast.
        rtol: relative tolerance.
        atol: absolute tolerance.
        equal_nan: whether NaN is close to NaN.

    Returns:
        One truth value.
    """
    return np.allclose(x1, x2, rtol, atol, equal_nan)


@_of_arrays(_WHOLE)
@elementwise
def gcd(x1: Any, x2: Any) -> Any:
    """Greatest common divisor.

    Args:
        x1: whole numbers of any shape.
        x2: likewise, of a shape that is broadcast.
    """
    return np.gcd(x1, x2)


@_of_arrays(_WHOLE)
@elementwise
def lcm(x1: Any, x2: Any) -> Any:
    """Least common multiple: ``|x1 * x2| / gcd(x1, x2)``.

    Args:
        x1: whole numbers of any shape.
        x2: likewise, of a shape that is broadcast.
    """
    return np.lcm(x1, x2)


@_of_arrays(_WHOLE)
def unravel_index(indices: Any, shape: Any) -> Any:
    """Places in an array of a shape as one number per axis.

    Args:
        indices: numbers of places, of any shape, the last axis of the array fastest.
        shape: of the array.

    Returns:
        For each axis the numbers along it, in the shape of ``indices``.
    """
    return tuple(at.astype(np.int32) for at in np.unravel_index(indices, shape))


@_of_arrays("steps from number to number; a formula is of real numbers.")
@elementwise
def nextafter(x1: Any, x2: Any) -> Any:
    """The number next to ``x1`` in the direction of ``x2``.

    Args:
        x1: array of any shape.
        x2: another, of a shape that is broadcast.
    """
    return np.nextafter(x1, x2)


@_of_arrays("Bessel functions are not among the functions that can become C.")
@elementwise
def i0(x: Any) -> Any:
    """Modified Bessel function of the first kind, of order 0: ``sum over k of (x^2 / 4)^k / (k!)^2``.

    Args:
        x: array of any shape.
    """
    return np.i0(x)


def inner(x1: Any, x2: Any) -> Any:
    """Sums of products along the last axes: ``sum over k of x1[…, k] * x2[…, k]``.

    Args:
        x1: ``(…, k)``, or a number; in a formula values of samples or a weight.
        x2: ``(…, k)``, or a number; in a formula the other of the two.

    Returns:
        A number for each row of one and each of the other: the axes of ``x1`` before the last, then those of ``x2``.
    """
    if not _symbols(x1, x2):
        return _computed(np.inner, x1, x2)
    return tensordot(x1, x2, axes=((-1,), (-1,))) if ndim(x1) and ndim(x2) else multiply(x1, x2)


def outer(x1: Any, x2: Any) -> Any:
    """Products of each number of one with each of the other: ``x1[i] * x2[j]``.

    Args:
        x1: n numbers of any shape; in a formula one per sample.
        x2: m numbers of any shape; in a formula an array or a weight.

    Returns:
        ``(n, m)``

    Raises:
        ModelError: in a formula, other shapes.
    """
    if not _symbols(x1, x2):
        return _computed(np.outer, x1, x2)
    first = _traced(x1)
    if not isinstance(first, Expression) or first.shape != (None,) or shape(x2)[:1] == (None,):
        raise ModelError(
            "ops.outer: in a formula expected one number per sample and an array or a weight, received shapes "
            f"{shape(x1)} and {shape(x2)}. expand_dims(x, -1) * expand_dims(y, -2) has the products within a sample."
        )
    return expand_dims(first, -1) * reshape(x2, (1, -1))


@_of_arrays(_ROWS)
def vdot(x1: Any, x2: Any) -> Any:
    """Sum of the products of all numbers: ``sum(x1 * x2)``.

    Args:
        x1: array of any shape.
        x2: another of as many numbers.

    Returns:
        One number.
    """
    return np.vdot(x1, x2)


@_of_arrays(_ROWS)
def kron(x1: Any, x2: Any) -> Any:
    """Kronecker's product: ``x2`` in the place of each number of ``x1``, multiplied by it.

    Args:
        x1: ``(n, m)``, or with other axes.
        x2: ``(p, q)``, or with other axes.

    Returns:
        ``(n * p, m * q)``
    """
    return np.kron(x1, x2)


def cross(x1: Any, x2: Any, axisa: int = -1, axisb: int = -1, axisc: int = -1, axis: int | None = None) -> Any:
    """Cross product of vectors: ``(a2 * b3 - a3 * b2, a3 * b1 - a1 * b3, a1 * b2 - a2 * b1)``.

    Args:
        x1: vectors a of 3 numbers, or of 2, whose third number is 0.
        x2: vectors b.
        axisa: the axis of x1 that has their numbers.
        axisb: that of x2.
        axisc: that of the result.
        axis: all three of them.

    Returns:
        Vectors of 3 in the shape that both have together; of two vectors of 2 the third number alone.

    Raises:
        ModelError: vectors of other sizes.
    """
    if not _symbols(x1, x2):
        x1, x2 = convert_to_tensor(x1), convert_to_tensor(x2)
    axisa, axisb, axisc = (axisa, axisb, axisc) if axis is None else (axis,) * 3
    a, b = moveaxis(x1, axisa, -1), moveaxis(x2, axisb, -1)
    sizes = shape(a)[-1], shape(b)[-1]
    if not {*sizes} <= {2, 3}:
        raise ModelError(f"ops.cross: expected vectors of 2 or 3 numbers, received {sizes[0]} and {sizes[1]}.")
    (ax, ay, az), (bx, by, bz) = (
        [v[..., i] if i < n else 0.0 for i in range(3)] for v, n in ((a, sizes[0]), (b, sizes[1]))
    )
    z = ax * by - ay * bx
    return z if sizes == (2, 2) else moveaxis(stack([ay * bz - az * by, az * bx - ax * bz, z], axis=-1), -1, axisc)


def tensordot(x1: Any, x2: Any, axes: Any = 2) -> Any:
    """Sums of products over several axes: the last of x1 with the first of x2, or those that are named.

    Args:
        x1: values, weights or arrays; in a formula one of both has samples, which come first.
        x2: the other, of the same sizes along the axes that are summed over.
        axes: how many, or those of x1 and those of x2.

    Returns:
        The sums, with the axes of ``x1`` that are left, then those of ``x2``.
    """
    if not _symbols(x1, x2):
        return _computed(lambda a, b: np.tensordot(a, b, axes), x1, x2)
    ranks = ndim(x1), ndim(x2)
    if isinstance(axes, int):
        pairs = [*range(ranks[0] - axes, ranks[0])], [*range(axes)]
    else:
        pairs = tuple([of] if isinstance(of, int) else list(of) for of in axes)  # type: ignore[assignment]
    of_1, of_2 = ([_axis(a, rank, "tensordot") for a in of] for of, rank in zip(pairs, ranks, strict=True))
    names = [chr(ord("a") + i) for i in range(ranks[0])], [chr(ord("A") + i) for i in range(ranks[1])]
    for one, other in zip(of_1, of_2, strict=True):
        names[1][other] = names[0][one]
    out = [n for i, n in enumerate(names[0]) if i not in of_1] + [n for i, n in enumerate(names[1]) if i not in of_2]
    return einsum(f"{''.join(names[0])},{''.join(names[1])}->{''.join(out)}", x1, x2)


def einsum(subscripts: str, *operands: Any, **kwargs: Any) -> Any:
    """Sums of products by Einstein's notation: over all letters that are not behind the arrow.

    ``einsum("bij,bkj->bik", q, k)`` has a matrix product of each sample.

    Args:
        subscripts: letters for the axes of each operand and, behind ``->``, of the result; ``...`` for any others.
        *operands: arrays; in a formula values of samples with the batch first, weights and arrays.
        **kwargs: those of ``np.einsum``, for arrays.

    Returns:
        The sums, with the axes that are named behind the arrow.

    Raises:
        ModelError: in a formula, the notation does not fit the operands, or is across samples.
        UnsupportedError: in a formula, a letter stands twice in an operand.
    """
    if _symbols(*operands):
        from . import products

        return products.einsum(subscripts, *operands)
    return np.einsum(subscripts, *map(convert_to_tensor, operands), **kwargs)


def diag(x: Any, k: int = 0) -> Any:
    """A matrix with ``x`` on its k-th diagonal, or the k-th diagonal of a matrix.

    Args:
        x: ``(n,)`` or ``(n, m)``; in a formula a weight.
        k: how far above the middle the diagonal is.

    Returns:
        ``(n + |k|, n + |k|)``, or the numbers of the diagonal.

    Raises:
        UnsupportedError: in a formula, values of samples.
    """
    if _symbols(x) and not is_weight(_traced(x)):
        raise UnsupportedError(f"ops.diag: {_ROWS}")
    # places count from 0 on, and below 0 there is nothing
    return _move(lambda a: np.diag(a + 1, k) - 1 if _symbols(x) else np.diag(a, k), x)


@_of_arrays(_ROWS)
def diagflat(x: Any, k: int = 0) -> Any:
    """A matrix with the numbers of ``x`` on its k-th diagonal.

    Args:
        x: n numbers of any shape.
        k: how far above the middle the diagonal is.

    Returns:
        ``(n + |k|, n + |k|)``
    """
    return np.diagflat(x, k)


def vander(x: Any, N: int | None = None, increasing: bool = False) -> Any:
    """Powers of ``x`` side by side: ``y[i, j] = x[i]^(N - 1 - j)``.

    Args:
        x: ``(n,)``; in a formula one per sample.
        N: how many powers, from 0 on; as many as x has numbers if None, in a formula it is needed.
        increasing: whether the power 0 comes first, not last.

    Returns:
        ``(n, N)``

    Raises:
        ModelError: in a formula, without N, or of another shape.
    """
    if not _symbols(x):
        return _computed(lambda a: np.vander(a, N, increasing), x)
    value = _traced(x)
    if N is None or not isinstance(value, Expression) or value.shape != (None,):
        raise ModelError(
            f"ops.vander: in a formula expected one number per sample and N, received shape {shape(value)} and N={N}."
        )
    powers = [ones_like(value)]
    while len(powers) < N:
        powers.append(powers[-1] * value)
    return stack(powers[:N] if increasing else powers[:N][::-1], axis=1)


@_of_arrays(_ROWS)
def corrcoef(x: Any) -> Any:
    """Correlations of rows: ``c[i, j] / sqrt(c[i, i] * c[j, j])`` with their covariances c.

    Args:
        x: ``(rows, columns)``

    Returns:
        ``(rows, rows)``
    """
    return np.corrcoef(x)


@_of_arrays(_ROWS)
def correlate(x1: Any, x2: Any, mode: str = "valid") -> Any:
    """Sums of products of two vectors, moved against each other: ``y[k] = sum over i of x1[i + k] * x2[i]``.

    Args:
        x1: ``(n,)``
        x2: ``(m,)``
        mode: ``"valid"`` where they overlap in full, ``"same"`` for as many as the longer has, ``"full"`` for all.

    Returns:
        ``(max(n, m) - min(n, m) + 1,)``, ``(max(n, m),)`` or ``(n + m - 1,)``, by the mode.
    """
    return np.correlate(x1, x2, mode)  # type: ignore[call-overload]


def meshgrid(*x: Any, indexing: str = "xy") -> Any:
    """Coordinates of a grid, of arrays.

    Args:
        *x: the coordinates along each axis, ``(n,)``, ``(m,)``, …
        indexing: ``"xy"`` for ``(m, n, …)``, ``"ij"`` for ``(n, m, …)``.

    Returns:
        For each axis an array of the shape of the grid.

    Raises:
        UnsupportedError: in a formula.
    """
    if _symbols(*x):
        raise UnsupportedError(f"ops.meshgrid: {_ROWS}")
    return np.meshgrid(*map(convert_to_tensor, x), indexing=indexing)  # type: ignore[call-overload]


__all__ = [
    "allclose",
    "bincount",
    "corrcoef",
    "correlate",
    "cross",
    "diag",
    "diagflat",
    "einsum",
    "gcd",
    "histogram",
    "i0",
    "inner",
    "kron",
    "lcm",
    "meshgrid",
    "nextafter",
    "nonzero",
    "outer",
    "tensordot",
    "unravel_index",
    "vander",
    "vdot",
]
