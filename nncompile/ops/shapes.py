"""Operations of ``keras.ops`` that move or choose numbers by their places, or ask what a value is.

What moves numbers within a sample is an arrangement (:mod:`nncompile.ops.arrays`) of
symbols as well.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np

from ..errors import ModelError
from .arrays import _axis, _move, arranged, concatenate
from .core import _number_or_array, _symbols, _traced, is_weight, sum
from .expressions import Expression
from .reshaping import convert_to_tensor

F = TypeVar("F", bound=Callable[..., Any])

# ------------------------------------------------------------------ numbers in other places


def fliplr(x: Any) -> Any:
    """``x`` with axis 1 in reverse order.

    Args:
        x: array, or value of a formula, of two axes at least.

    Returns:
        The numbers in the shape of ``x``.
    """
    return _move(np.fliplr, x)


def flipud(x: Any) -> Any:
    """``x`` with axis 0 in reverse order.

    Args:
        x: array; in a formula a weight, as axis 0 of values is the batch.

    Returns:
        The numbers in the shape of ``x``.

    Raises:
        ModelError: in a formula, values of samples.
    """
    return _move(np.flipud, x)


def rot90(array: Any, k: int = 1, axes: Sequence[int] = (0, 1)) -> Any:
    """An array turned k times by 90 degrees in the plane of two axes, from the first towards the second.

    Args:
        array: array, or value of a formula.
        k: how often.
        axes: the two; in a formula not the batch.

    Returns:
        The numbers in the shape of ``array``, with the two sizes exchanged for an odd k.
    """
    return _move(lambda a: np.rot90(a, k, (axes[0], axes[1])), array)


def ravel(x: Any) -> Any:
    """``x`` as one row of numbers, the last axis fastest.

    Args:
        x: array; in a formula a weight, as the rows of values stay apart.

    Returns:
        All numbers, ``(n,)``.
    """
    return _move(np.ravel, x)


def diagonal(x: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Any:
    """The diagonals in the plane of two axes: ``y[…, i] = x[…, i, i + offset]``.

    Args:
        x: array, or value of a formula.
        offset: how far above the middle the diagonal is.
        axis1: the axis of rows; in a formula not the batch.
        axis2: the axis of columns.

    Returns:
        The numbers in the shape of ``x`` without these axes, and the diagonal along the last.
    """
    return _move(lambda a: np.diagonal(a, offset, axis1, axis2), x)


def trace(x: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Any:
    """Sums of the diagonals in the plane of two axes: ``sum over i of x[…, i, i + offset]``.

    Args:
        x: array, or value of a formula.
        offset: how far above the middle the diagonal is.
        axis1: the axis of rows; in a formula not the batch.
        axis2: the axis of columns.

    Returns:
        The sums in the shape of ``x`` without these axes.
    """
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
    """The last two axes with zeros above the k-th diagonal: ``x[…, i, j]`` if ``j <= i + k``, else 0.

    Args:
        x: array, or value of a formula, ``(…, rows, columns)``.
        k: how far above the middle the diagonal is.

    Returns:
        The numbers in the shape of ``x``.

    Raises:
        ModelError: in a formula, there are no two axes behind the batch.
    """
    return _triangle(x, lambda ones: np.tril(ones, k))


def triu(x: Any, k: int = 0) -> Any:
    """The last two axes with zeros below the k-th diagonal: ``x[…, i, j]`` if ``j >= i + k``, else 0.

    Args:
        x: array, or value of a formula, ``(…, rows, columns)``.
        k: how far above the middle the diagonal is.

    Returns:
        The numbers in the shape of ``x``.

    Raises:
        ModelError: in a formula, there are no two axes behind the batch.
    """
    return _triangle(x, lambda ones: np.triu(ones, k))


def append(x1: Any, x2: Any, axis: int | None = None) -> Any:
    """``x2`` behind ``x1`` along an axis.

    Args:
        x1: array, or value of a formula.
        x2: another of the same shape but for that axis.
        axis: along which, in a formula not the batch; arrays become rows first if None.

    Returns:
        The numbers of both.
    """
    if axis is None:
        return concatenate([ravel(x1), ravel(x2)], axis=0)
    return concatenate([x1, x2], axis=axis)


def hstack(xs: Sequence[Any]) -> Any:
    """Values side by side along axis 1, vectors along axis 0.

    Args:
        xs: arrays, or values of a formula, of one shape but for that axis.

    Returns:
        All their numbers.
    """
    return concatenate(xs, axis=0 if len(np.shape(xs[0]) if not _symbols(xs[0]) else _traced(xs[0]).shape) < 2 else 1)


def vstack(xs: Sequence[Any]) -> Any:
    """Arrays one below the other along axis 0; vectors become rows first.

    Args:
        xs: arrays of one shape but for that axis; in a formula weights, as axis 0 of values is the batch.

    Returns:
        All their numbers, with two axes at least.
    """
    if _symbols(*xs):
        return concatenate(xs, axis=0)
    return np.vstack([convert_to_tensor(x) for x in xs])


def dstack(xs: Sequence[Any]) -> Any:
    """Values one behind the other along axis 2; what has no such axis gets one.

    Args:
        xs: arrays, or values of a formula, of one shape but for that axis.

    Returns:
        All their numbers, with three axes at least.
    """
    if not _symbols(*xs):
        return np.dstack([convert_to_tensor(x) for x in xs])
    expressions = [_traced(x) for x in xs]
    deep = [x if len(x.shape) > 2 else arranged(lambda a: a[..., None], x) for x in expressions]
    return concatenate(deep, axis=2)


def array_split(x: Any, indices_or_sections: Any, axis: int = 0) -> list[Any]:
    """``x`` cut along an axis into parts of which the first may be longer by 1.

    Args:
        x: array, or value of a formula.
        indices_or_sections: into so many parts, or at these places.
        axis: along which; in a formula not the batch.

    Returns:
        The parts, which have the other axes whole.

    Raises:
        ModelError: in a formula, along the batch.
    """
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
    """``x`` cut along axis 1, vectors along axis 0; see :func:`array_split`.

    Args:
        x: array, or value of a formula.
        indices_or_sections: into so many parts, or at these places.

    Returns:
        The parts.
    """
    x = _traced(x)
    return array_split(x, indices_or_sections, axis=1 if len(np.shape(x) if not _symbols(x) else x.shape) > 1 else 0)


def vsplit(x: Any, indices_or_sections: Any) -> list[Any]:
    """``x`` cut along axis 0; see :func:`array_split`.

    Args:
        x: array; not of a formula, whose axis 0 is the batch.
        indices_or_sections: into so many parts, or at these places.

    Returns:
        The parts.
    """
    return array_split(x, indices_or_sections, axis=0)


def dsplit(x: Any, indices_or_sections: Any) -> list[Any]:
    """``x`` cut along axis 2; see :func:`array_split`.

    Args:
        x: array, or value of a formula.
        indices_or_sections: into so many parts, or at these places.

    Returns:
        The parts.
    """
    return array_split(x, indices_or_sections, axis=2)


def unstack(x: Any, num: int | None = None, axis: int = 0) -> list[Any]:
    """The parts of ``x`` along an axis, which they do not have any more.

    Args:
        x: array, or value of a formula.
        num: how many there are, if given.
        axis: along which; in a formula not the batch.

    Returns:
        As many as the size of the axis.

    Raises:
        ModelError: in a formula, along the batch; or ``num`` is not the size.
    """
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
    """``x[key]``

    Args:
        x: array, or value of a formula, of which the batch stays whole: ``x[:, …]``.
        key: what stands between the brackets.

    Returns:
        The numbers there.
    """
    return (_traced(x) if _symbols(x) else convert_to_tensor(x))[key]


def slice_(inputs: Any, start_indices: Sequence[int], shape: Sequence[int]) -> Any:
    """The block of a shape that begins at a place: ``inputs[a : a + n, b : b + m, …]``.

    Args:
        inputs: array, or value of a formula.
        start_indices: a, b, …, a number for each axis; 0 first in a formula.
        shape: n, m, …; -1 or None for all that is left. In a formula the first has no meaning: it is all rows.

    Returns:
        The block.

    Raises:
        ModelError: in a formula, not all rows.
    """
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

    Returns:
        Numbers in the shape of ``inputs``.

    Raises:
        ModelError: in a formula, not all rows.
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
    """``x`` in memory of its own.

    Args:
        x: array; or a value of a formula, which nothing changes, so that it is itself.

    Returns:
        The same numbers.
    """
    return _traced(x) if _symbols(x) else np.array(_number_or_array(x))


# ------------------------------------------------------------------ asking


def convert_to_numpy(x: Any) -> Any:
    """``x`` as an array of NumPy.

    Args:
        x: numbers of any shape; a value of a formula has none before it runs.

    Returns:
        The array.

    Raises:
        ModelError: in a formula.

    Source: ``keras.ops.convert_to_numpy``.
    """
    return np.asarray(x)


def is_tensor(x: Any) -> bool:
    """Whether ``x`` is what operations return.

    Args:
        x: anything.

    Returns:
        True for an array and for a value of a formula.

    Source: ``keras.ops.is_tensor``.
    """
    return isinstance(x, (np.ndarray, np.generic, Expression))


def ndim(x: Any) -> int:
    """Number of axes.

    Args:
        x: array, weight or value of a formula.

    Returns:
        A whole number; in a formula the rows are an axis.

    Source: ``keras.ops.ndim``.
    """
    return len(x.shape) if hasattr(x, "shape") else np.ndim(x)


def size(x: Any) -> int:
    """How many numbers ``x`` has.

    Args:
        x: array or weight.

    Returns:
        The product of all sizes.

    Raises:
        ModelError: in a formula, whose rows are as many as there are.

    Source: ``keras.ops.size``.
    """
    shape = tuple(x.shape) if hasattr(x, "shape") else np.shape(x)
    if None in shape:
        raise ModelError(f"ops.size: the number of rows of {shape} is not known before it runs. Use x.shape[-1].")
    return math.prod(shape)


def dtype(x: Any) -> str:
    """Name of the type of the numbers in ``x``.

    Args:
        x: array, weight or value of a formula.

    Returns:
        ``"float32"`` or another.

    Source: ``keras.ops.dtype``.
    """
    return str(x.dtype if hasattr(x, "dtype") else convert_to_tensor(x).dtype)


__all__ = [
    "append",
    "array_split",
    "convert_to_numpy",
    "copy",
    "diagonal",
    "dsplit",
    "dstack",
    "dtype",
    "fliplr",
    "flipud",
    "get_item",
    "hsplit",
    "hstack",
    "is_tensor",
    "ndim",
    "ravel",
    "rot90",
    "size",
    "slice_update",
    "trace",
    "tril",
    "triu",
    "unstack",
    "vsplit",
    "vstack",
]
