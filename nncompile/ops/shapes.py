"""Operations of ``keras.ops`` that move or choose numbers by their places, and those that arrays alone have.

What moves numbers within a sample is an arrangement (:mod:`nncompile.ops.arrays`) of
symbols as well. What has no place in a formula of one row computes with NumPy, before
anything is traced, and says on symbols why it cannot.
"""

from __future__ import annotations

import functools
import inspect
import math
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np

from .. import config, tree
from ..errors import ModelError, UnsupportedError
from .arrays import _axis, _move, arranged, concatenate, is_batch, moveaxis, stack, with_batch
from .core import (
    Expression,
    _computed,
    _number_or_array,
    _symbols,
    _traced,
    add,
    cast,
    convert_to_tensor,
    expand_dims,
    is_weight,
    multiply,
    one_hot,
    ones_like,
    reshape,
    shape,
    sum,
    where,
    zeros_like,
)

F = TypeVar("F", bound=Callable[..., Any])

# ------------------------------------------------------------------ numbers in other places


def fliplr(x: Any) -> Any:
    """x with axis 1 in reverse order."""
    return _move(np.fliplr, x)


def flipud(x: Any) -> Any:
    """x with axis 0 in reverse order; not of a formula, whose axis 0 is the batch."""
    return _move(np.flipud, x)


def rot90(array: Any, k: int = 1, axes: Sequence[int] = (0, 1)) -> Any:
    """An array turned k times by 90 degrees in the plane of two axes."""
    return _move(lambda a: np.rot90(a, k, (axes[0], axes[1])), array)


def ravel(x: Any) -> Any:
    """x as one row of numbers; not of a formula, whose rows stay apart."""
    return _move(np.ravel, x)


def diagonal(x: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Any:
    """The diagonals in the plane of two axes, along the last axis."""
    return _move(lambda a: np.diagonal(a, offset, axis1, axis2), x)


def trace(x: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Any:
    """Sums of the diagonals in the plane of two axes."""
    return sum(diagonal(x, offset, axis1, axis2), axis=-1)


def _triangle(x: Any, keep: Callable[[Any], Any]) -> Any:
    """Numbers of the last two axes where a matrix of ones keeps them, else 0."""
    x = _traced(x)
    if not isinstance(x, Expression):
        x = convert_to_tensor(x)
        return np.where(keep(np.ones(x.shape[-2:], bool)), x, np.zeros((), x.dtype))
    if len(x.shape) < 3 and not is_weight(x):
        raise ModelError(f"ops: expected two axes behind the batch, received shape {x.shape}.")
    return arranged(lambda a: np.where(keep(np.ones(a.shape[-2:], bool)), a, -1), x)


def tril(x: Any, k: int = 0) -> Any:
    """The last two axes with zeros above the k-th diagonal."""
    return _triangle(x, lambda ones: np.tril(ones, k))


def triu(x: Any, k: int = 0) -> Any:
    """The last two axes with zeros below the k-th diagonal."""
    return _triangle(x, lambda ones: np.triu(ones, k))


def append(x1: Any, x2: Any, axis: int | None = None) -> Any:
    """x2 behind x1 along an axis; arrays without one become rows first."""
    if axis is None:
        return concatenate([ravel(x1), ravel(x2)], axis=0)
    return concatenate([x1, x2], axis=axis)


def hstack(xs: Sequence[Any]) -> Any:
    """Values side by side along axis 1, vectors along axis 0."""
    return concatenate(xs, axis=0 if len(np.shape(xs[0]) if not _symbols(xs[0]) else _traced(xs[0]).shape) < 2 else 1)


def vstack(xs: Sequence[Any]) -> Any:
    """Arrays one below the other along axis 0; not of a formula, whose axis 0 is the batch."""
    if _symbols(*xs):
        return concatenate(xs, axis=0)
    return np.vstack([convert_to_tensor(x) for x in xs])


def dstack(xs: Sequence[Any]) -> Any:
    """Values one behind the other along axis 2."""
    if not _symbols(*xs):
        return np.dstack([convert_to_tensor(x) for x in xs])
    expressions = [_traced(x) for x in xs]
    deep = [x if len(x.shape) > 2 else arranged(lambda a: a[..., None], x) for x in expressions]
    return concatenate(deep, axis=2)


def array_split(x: Any, indices_or_sections: Any, axis: int = 0) -> list[Any]:
    """x cut along an axis, into so many nearly equal parts or at these places."""
    x = _traced(x)
    if not isinstance(x, Expression):
        return list(np.array_split(convert_to_tensor(x), indices_or_sections, axis))
    place = _axis(axis, len(x.shape), "array_split")
    if place == 0:
        raise ModelError("ops.array_split: the rows of a batch stay apart: axis 0 cannot be cut in a formula.")
    parts = np.array_split(np.arange(x.shape[place] or 0), indices_or_sections)
    keys = [(slice(None),) * place + (slice(int(p[0]), int(p[-1]) + 1),) for p in parts if len(p)]
    return [x[key] for key in keys]


def hsplit(x: Any, indices_or_sections: Any) -> list[Any]:
    """x cut along axis 1, vectors along axis 0."""
    x = _traced(x)
    return array_split(x, indices_or_sections, axis=1 if len(np.shape(x) if not _symbols(x) else x.shape) > 1 else 0)


def vsplit(x: Any, indices_or_sections: Any) -> list[Any]:
    """x cut along axis 0; not of a formula, whose axis 0 is the batch."""
    return array_split(x, indices_or_sections, axis=0)


def dsplit(x: Any, indices_or_sections: Any) -> list[Any]:
    """x cut along axis 2."""
    return array_split(x, indices_or_sections, axis=2)


def unstack(x: Any, num: int | None = None, axis: int = 0) -> list[Any]:
    """The parts of x along an axis, which they do not have any more."""
    x = _traced(x) if _symbols(x) else convert_to_tensor(x)
    place = _axis(axis, len(x.shape), "unstack")
    size = x.shape[place]
    if size is None or (place == 0 and isinstance(x, Expression) and not is_weight(x)):
        raise ModelError("ops.unstack: the rows of a batch stay apart: axis 0 cannot be cut in a formula.")
    if num not in (None, size):
        raise ModelError(f"ops.unstack: expected num={size}, the size of axis {axis}, received {num}.")
    keys = [(slice(None),) * place + (i,) for i in range(size)]
    return [x[key] for key in keys]


def get_item(x: Any, key: Any) -> Any:
    """``x[key]``"""
    return (_traced(x) if _symbols(x) else convert_to_tensor(x))[key]


def slice_(inputs: Any, start_indices: Sequence[int], shape: Sequence[int]) -> Any:
    """The block of a shape that begins at a place; in a formula all rows: ``start_indices[0] = 0``."""
    places = [slice(int(a), None if n in (-1, None) else int(a + n)) for a, n in zip(start_indices, shape, strict=True)]
    if _symbols(inputs) and not is_weight(_traced(inputs)):
        if start_indices[0] != 0:
            raise ModelError(f"ops.slice: the rows of a batch stay apart: expected 0 first, received {start_indices}.")
        places[0] = slice(None)
    return get_item(inputs, tuple(places))


slice_.__name__ = slice_.__qualname__ = "slice"


def slice_update(inputs: Any, start_indices: Sequence[int], updates: Any) -> Any:
    """``inputs`` with ``updates`` in the place of the block that begins there; in a formula for all rows.

    Args:
        inputs: an array or a value of samples.
        start_indices: where the block begins, a number for each axis; 0 first in a formula.
        updates: what is to stand there, of as many axes.
    """
    first = [int(i) for i in start_indices]
    inputs, updates = (_traced(x) if _symbols(x) else convert_to_tensor(x) for x in (inputs, updates))

    def written(a: Any, b: Any) -> Any:
        made = np.array(a)
        made[tuple(slice(i, i + n) for i, n in zip(first, b.shape, strict=True))] = b
        return made

    if not _symbols(inputs, updates):
        return written(inputs, np.asarray(updates, inputs.dtype))
    if len(first) != len(inputs.shape) or (first[0] != 0 and not is_weight(inputs)):
        raise ModelError(
            f"ops.slice_update: the rows of a batch stay apart: expected {len(inputs.shape)} numbers, 0 first, "
            f"received {first}."
        )
    return arranged(written, inputs, updates)


def copy(x: Any) -> Any:
    """x in memory of its own; an expression is not changed by anything, so it is itself."""
    return _traced(x) if _symbols(x) else np.array(_number_or_array(x))


# ------------------------------------------------------------------ asking


def convert_to_numpy(x: Any) -> Any:
    """x as an array of NumPy; an expression has no numbers before it runs."""
    return np.asarray(x)


def is_tensor(x: Any) -> bool:
    """Whether x is what operations return: an array, or a symbol in a formula."""
    return isinstance(x, (np.ndarray, np.generic, Expression))


def ndim(x: Any) -> int:
    """Number of axes."""
    return len(x.shape) if hasattr(x, "shape") else np.ndim(x)


def size(x: Any) -> int:
    """How many numbers x has; not known of an expression, whose rows are as many as there are."""
    shape = tuple(x.shape) if hasattr(x, "shape") else np.shape(x)
    if None in shape:
        raise ModelError(f"ops.size: the number of rows of {shape} is not known before it runs. Use x.shape[-1].")
    return math.prod(shape)


def dtype(x: Any) -> str:
    """Name of the type of the numbers in x."""
    return str(x.dtype if hasattr(x, "dtype") else convert_to_tensor(x).dtype)


# ------------------------------------------------------------------ new arrays


def _new(values: Any, dtype: Any, whole: bool = False) -> Any:
    """An array of a type; by default of that of the layers, or int32 for whole numbers."""
    return np.asarray(values).astype(dtype or ("int32" if whole else config.floatx()))


def array(x: Any, dtype: Any = None) -> Any:
    """x as an array; expressions stay what they are."""
    return convert_to_tensor(x, dtype)


def zeros(shape: Any, dtype: Any = None) -> Any:
    """An array of zeros; in a formula the first size may be that of the batch, ``ops.shape(x)[0]``."""
    return full(shape, 0, dtype)


def ones(shape: Any, dtype: Any = None) -> Any:
    """An array of ones; in a formula the first size may be that of the batch, ``ops.shape(x)[0]``."""
    return full(shape, 1, dtype)


def full(shape: Any, fill_value: Any, dtype: Any = None) -> Any:
    """An array of one number; in a formula the first size may be that of the batch, ``ops.shape(x)[0]``."""
    if isinstance(shape, (tuple, list)) and shape and is_batch(shape[0]):
        inner = np.full(tuple(shape[1:]) or (1,), fill_value, dtype or config.floatx())
        made = with_batch(inner, (None, *inner.shape))
        return made if len(shape) > 1 else made[:, 0]
    return np.full(shape, fill_value, dtype or config.floatx())


def empty(shape: Any, dtype: Any = None) -> Any:
    """An array whose numbers do not matter; they are zeros."""
    return zeros(shape, dtype)


def full_like(x: Any, fill_value: Any, dtype: Any = None) -> Any:
    """A number in the shape of x."""
    if _symbols(x, fill_value):
        return add(zeros_like(_traced(x)), fill_value)
    return np.full_like(convert_to_tensor(x), fill_value, dtype=dtype)


def empty_like(x: Any, dtype: Any = None) -> Any:
    """Numbers in the shape of x that do not matter; they are zeros."""
    return full_like(x, 0, dtype)


def arange(start: float, stop: float | None = None, step: float | None = None, dtype: Any = None) -> Any:
    """Numbers from ``start`` up to but not ``stop``, ``step`` apart."""
    given = [n for n in (start, stop, step) if n is not None]
    whole = all(isinstance(n, (int, np.integer)) for n in given)
    return _new(np.arange(start, stop, step) if stop is not None else np.arange(0, start, step), dtype, whole)


def linspace(
    start: Any,
    stop: Any,
    num: int = 50,
    endpoint: bool = True,
    retstep: bool = False,
    dtype: Any = None,
    axis: int = 0,
) -> Any:
    """``num`` numbers evenly from ``start`` to ``stop``; with their distance, if ``retstep``."""
    values, step = np.linspace(start, stop, num, endpoint, retstep=True, axis=axis)
    return (_new(values, dtype), step) if retstep else _new(values, dtype)


def logspace(
    start: Any, stop: Any, num: int = 50, endpoint: bool = True, base: float = 10, dtype: Any = None, axis: int = 0
) -> Any:
    """``num`` powers of ``base``, the exponents evenly from ``start`` to ``stop``."""
    return _new(np.logspace(start, stop, num, endpoint, base, axis=axis), dtype)


def geomspace(start: Any, stop: Any, num: int = 50, endpoint: bool = True, dtype: Any = None, axis: int = 0) -> Any:
    """``num`` numbers from ``start`` to ``stop``, each the same multiple of the one before."""
    return _new(np.geomspace(start, stop, num, endpoint, axis=axis), dtype)


def eye(N: int, M: int | None = None, k: int = 0, dtype: Any = None) -> Any:
    """Ones on the k-th diagonal of N rows and M columns, zeros elsewhere."""
    return np.eye(N, M, k, dtype or config.floatx())


def identity(n: int, dtype: Any = None) -> Any:
    """The unit matrix of n rows."""
    return eye(n, dtype=dtype)


def tri(N: int, M: int | None = None, k: int = 0, dtype: Any = None) -> Any:
    """Ones on and below the k-th diagonal of N rows and M columns, zeros above."""
    return np.tri(N, M, k, dtype or config.floatx())


def bartlett(x: int) -> Any:
    """Bartlett's window of x numbers."""
    return _new(np.bartlett(x), None)


def blackman(x: int) -> Any:
    """Blackman's window of x numbers."""
    return _new(np.blackman(x), None)


def hamming(x: int) -> Any:
    """Hamming's window of x numbers."""
    return _new(np.hamming(x), None)


def hanning(x: int) -> Any:
    """Hann's window of x numbers."""
    return _new(np.hanning(x), None)


def kaiser(x: int, beta: float) -> Any:
    """Kaiser's window of x numbers."""
    return _new(np.kaiser(x, beta), None)


# ------------------------------------------------------------------ of arrays alone


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

        return operation  # type: ignore[return-value]

    return decorate


_ROWS = "works on a whole array; a formula works on one row at a time."
_VARIES = "the size of its result depends on values, which are not known before it runs."
_WHOLE = "of whole numbers; the values of a network are real numbers."


@_of_arrays(_VARIES)
def nonzero(x: Any) -> Any:
    """The places of what is not 0, an array per axis."""
    return tuple(at.astype(np.int32) for at in np.nonzero(x))


def bincount(x: Any, weights: Any = None, minlength: int = 0, sparse: bool = False) -> Any:
    """How often each whole number occurs, or the sum of its weights; of more axes along the last one.

    Args:
        x: numbers from 0 on, ``(..., n)``; in a formula of samples.
        weights: what each counts, as x; 1 if None.
        minlength: how many numbers are counted at least; in a formula just so many, and others not at all.
        sparse: not supported; only False.
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
    count = int(np.max(array, initial=minlength - 1)) + 1
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
    """How many numbers are in each bin, and the edges of the bins."""
    counts, edges = np.histogram(x, bins, range)
    return counts.astype(np.int32), edges.astype(config.floatx())


@_of_arrays(_ROWS)
def allclose(x1: Any, x2: Any, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False) -> Any:
    """Whether all of x1 are close to x2: ``|x1 - x2| <= atol + rtol |x2|``. ops.isclose compares one by one."""
    return np.allclose(x1, x2, rtol, atol, equal_nan)


@_of_arrays(_WHOLE)
def gcd(x1: Any, x2: Any) -> Any:
    """Greatest common divisor."""
    return np.gcd(x1, x2)


@_of_arrays(_WHOLE)
def lcm(x1: Any, x2: Any) -> Any:
    """Least common multiple."""
    return np.lcm(x1, x2)


@_of_arrays(_WHOLE)
def unravel_index(indices: Any, shape: Any) -> Any:
    """Places in an array of a shape as one number per axis."""
    return tuple(at.astype(np.int32) for at in np.unravel_index(indices, shape))


@_of_arrays("steps from number to number; a formula is of real numbers.")
def nextafter(x1: Any, x2: Any) -> Any:
    """The number next to x1 in the direction of x2."""
    return np.nextafter(x1, x2)


@_of_arrays("Bessel functions are not among the functions that can become C.")
def i0(x: Any) -> Any:
    """Modified Bessel function of the first kind, of order 0."""
    return np.i0(x)


def inner(x1: Any, x2: Any) -> Any:
    """Sums of products along the last axes; in a formula of values by a weight, or the other way round."""
    if not _symbols(x1, x2):
        return _computed(np.inner, x1, x2)
    return tensordot(x1, x2, axes=((-1,), (-1,))) if ndim(x1) and ndim(x2) else multiply(x1, x2)


def outer(x1: Any, x2: Any) -> Any:
    """Products of each number of one with each of the other; in a formula x1 has one number per sample."""
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
    """Sum of the products of all numbers."""
    return np.vdot(x1, x2)


@_of_arrays(_ROWS)
def kron(x1: Any, x2: Any) -> Any:
    """Kronecker's product."""
    return np.kron(x1, x2)


def cross(x1: Any, x2: Any, axisa: int = -1, axisb: int = -1, axisc: int = -1, axis: int | None = None) -> Any:
    """Cross product of vectors of 3, or of 2, whose third number is 0.

    Args:
        x1: vectors.
        x2: vectors.
        axisa: the axis of x1 that has their numbers.
        axisb: that of x2.
        axisc: that of the result; of two vectors of 2 it is the third number alone.
        axis: all three of them.
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
        x2: the other.
        axes: how many, or those of x1 and those of x2.
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
    """Sums of products by Einstein's notation; in a formula of one or two operands, the batch first.

    ``einsum("bij,bkj->bik", q, k)`` has a matrix product of each sample.
    """
    if _symbols(*operands):
        from . import products

        return products.einsum(subscripts, *operands)
    return np.einsum(subscripts, *map(convert_to_tensor, operands), **kwargs)


def diag(x: Any, k: int = 0) -> Any:
    """A matrix with x on its k-th diagonal, or the k-th diagonal of a matrix; in a formula x is a weight."""
    if _symbols(x) and not is_weight(_traced(x)):
        raise UnsupportedError(f"ops.diag: {_ROWS}")
    # places count from 0 on, and below 0 there is nothing
    return _move(lambda a: np.diag(a + 1, k) - 1 if _symbols(x) else np.diag(a, k), x)


@_of_arrays(_ROWS)
def diagflat(x: Any, k: int = 0) -> Any:
    """A matrix with the numbers of x on its k-th diagonal."""
    return np.diagflat(x, k)


def vander(x: Any, N: int | None = None, increasing: bool = False) -> Any:
    """Powers of x side by side.

    Args:
        x: numbers; in a formula one per sample.
        N: how many powers, from 0 on; as many as x has numbers if None, in a formula it is needed.
        increasing: whether the power 0 comes first, not last.
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
    """Correlations of rows."""
    return np.corrcoef(x)


@_of_arrays(_ROWS)
def correlate(x1: Any, x2: Any, mode: str = "valid") -> Any:
    """Sums of products of two vectors, moved against each other."""
    return np.correlate(x1, x2, mode)  # type: ignore[call-overload]


def meshgrid(*x: Any, indexing: str = "xy") -> Any:
    """Coordinates of a grid, of arrays."""
    if _symbols(*x):
        raise UnsupportedError(f"ops.meshgrid: {_ROWS}")
    return np.meshgrid(*map(convert_to_tensor, x), indexing=indexing)  # type: ignore[call-overload]


# ------------------------------------------------------------------ what Python decides


def cond(pred: Any, true_fn: Callable[[], Any], false_fn: Callable[[], Any]) -> Any:
    """One of two functions, called: ``true_fn()`` if ``pred``, else ``false_fn()``.

    Where the truth is only known when a formula runs both are computed, and the numbers of one are taken, as
    :func:`where` does: what is infinite or NaN in the other's derivative becomes NaN in that of both.

    Args:
        pred: a truth value: of Python, an array's, or one for all samples in a formula.
        true_fn: gives values, in any structure.
        false_fn: gives values in the same structure.

    Raises:
        ModelError: ``pred`` is more than one truth value, or the structures differ.
    """
    pred = _traced(pred)
    if not isinstance(pred, Expression):
        return true_fn() if pred else false_fn()
    _need_single("cond", "a truth value", pred, "ops.where(condition, a, b) takes one for each.")
    return tree.map_structure(lambda a, b: where(pred, a, b), true_fn(), false_fn())


def switch(index: Any, branches: Sequence[Callable[..., Any]], *operands: Any) -> Any:
    """One of several functions, called: ``branches[index](*operands)``, the first or the last if there is none.

    Where the index is only known when a formula runs all are computed; see :func:`cond`.

    Raises:
        ModelError: ``index`` is more than one number, or the structures of the results differ.
    """
    index = _traced(index)
    if not isinstance(index, Expression):
        return branches[min(max(int(index), 0), len(branches) - 1)](*operands)
    _need_single("switch", "a number", index, "ops.select(conditions, choices) takes one for each.")
    result = branches[0](*operands)
    for i, branch in enumerate(branches[1:], 1):
        reached = index >= i
        result = tree.map_structure(lambda a, b, reached=reached: where(reached, b, a), result, branch(*operands))
    return result


def _need_single(op: str, expected: str, x: Expression, hint: str) -> None:
    if x.shape != ():
        raise ModelError(f"ops.{op}: expected {expected} for all samples, received shape {x.shape}. {hint}")


def fori_loop(lower: int, upper: int, body_fun: Callable[[int, Any], Any], init_val: Any) -> Any:
    """``body_fun(i, value)`` from ``lower`` up to but not ``upper``; a formula becomes as long as that takes."""
    if isinstance(lower, Expression) or isinstance(upper, Expression):
        raise UnsupportedError("ops.fori_loop: how often a formula loops must be known when it is traced.")
    value = init_val
    for i in range(int(lower), int(upper)):
        value = body_fun(i, value)
    return value


__all__ = [
    "allclose",
    "append",
    "arange",
    "array",
    "array_split",
    "bartlett",
    "bincount",
    "blackman",
    "cond",
    "convert_to_numpy",
    "copy",
    "corrcoef",
    "correlate",
    "cross",
    "diag",
    "diagflat",
    "diagonal",
    "dsplit",
    "dstack",
    "dtype",
    "einsum",
    "empty",
    "empty_like",
    "eye",
    "fliplr",
    "flipud",
    "fori_loop",
    "full",
    "full_like",
    "gcd",
    "geomspace",
    "get_item",
    "hamming",
    "hanning",
    "histogram",
    "hsplit",
    "hstack",
    "i0",
    "identity",
    "inner",
    "is_tensor",
    "kaiser",
    "kron",
    "lcm",
    "linspace",
    "logspace",
    "meshgrid",
    "ndim",
    "nextafter",
    "nonzero",
    "ones",
    "outer",
    "ravel",
    "rot90",
    "size",
    "slice_update",
    "switch",
    "tensordot",
    "trace",
    "tri",
    "tril",
    "triu",
    "unravel_index",
    "unstack",
    "vander",
    "vdot",
    "vsplit",
    "vstack",
    "zeros",
]
