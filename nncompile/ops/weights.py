"""Formulas over a whole weight: reductions along its axes, products of matrices, other views of its numbers.

What an optimizer, a regularizer or a constraint computes has no batch: an array there is a
weight, its gradient or what is kept beside it, and all sizes are known. So it may be
reduced along any axis, transposed, and multiplied as a matrix, with NumPy's meaning of
shapes. The nodes made here are of three kinds, beside the primitives number by number:

- ``over``: a reduction, ``value`` is ``"sum all"``, ``"max 0"``, …; it keeps its axes as sizes of 1, and what is
  left of a single number has the level UNIFORM.
- ``view``: the same numbers with axes of size 1 more or fewer.
- ``product``, ``transposed``: of matrices.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..errors import ModelError, UnsupportedError
from ..variables import as_symbol
from . import core, reshaping
from .core import is_weight
from .expressions import ELEMENT, UNIFORM, Expression, node

_REDUCTIONS = ("sum", "max", "min")


def reduce(op: str, x: Expression, axis: int | Sequence[int] | None, keepdims: bool) -> Expression:
    """A reduction of an array along axes, as NumPy's of that name.

    Args:
        op: ``"sum"``, ``"max"`` or ``"min"``.
        x: over a weight.
        axis: one, several, or None for all.
        keepdims: whether the axes stay, of size 1.

    Returns:
        The expression.

    Raises:
        ModelError: there is no such axis.
        UnsupportedError: a reduction that there is not for weights.
    """
    if op not in _REDUCTIONS:
        raise UnsupportedError(f"ops.{op}: is not supported over a weight; {', '.join(_REDUCTIONS)} and mean are.")
    of = sizes(x)
    axes = _axes(op, of, axis)
    kept = tuple(1 if i in axes else n for i, n in enumerate(of))
    shape = kept if keepdims else tuple(n for i, n in enumerate(of) if i not in axes)
    if x.level <= UNIFORM or not axes:
        return view(x, shape)
    if len(of) > 2 and any(n != 1 for n in kept):
        raise UnsupportedError(
            f"ops.{op}: is not supported along axes of a weight of shape {of}: it has more than two."
        )
    if all(n == 1 for n in kept):
        return node("over", (x,), f"{op} all", level=UNIFORM, shape=shape)
    (which,) = axes  # of two
    return view(node("over", (x,), f"{op} {which}", level=ELEMENT, shape=kept), shape)


def count(op: str, x: Expression, axis: int | Sequence[int] | None) -> float:
    """Returns how many numbers a reduction along axes takes together.

    Args:
        op: its name, for an error.
        x: over a weight.
        axis: one, several, or None for all.
    """
    of = sizes(x)
    return float(np.prod([of[i] for i in _axes(op, of, axis)]))


def sizes(x: Any) -> tuple[int, ...]:
    """Returns the shape of an array, or of an expression over a weight, all of whose sizes are known.

    Args:
        x: the array or expression.
    """
    return tuple(n for n in reshaping.shape(x) if n is not None)


def _axes(op: str, of: tuple[int, ...], axis: int | Sequence[int] | None) -> tuple[int, ...]:
    rank = len(of)
    asked = range(rank) if axis is None else axis if isinstance(axis, (tuple, list)) else (axis,)
    for i in asked:
        if not isinstance(i, (int, np.integer)) or not -rank <= i < rank:
            raise ModelError(f"ops.{op}: axis={axis!r} is none of an array of shape {of}.")
    return tuple(sorted({int(i) % rank for i in asked}))


def view(x: Expression, shape: tuple[int, ...]) -> Expression:
    """Returns the same numbers with axes of size 1 more or fewer; a single number meets any shape as it is.

    Args:
        x: over a weight.
        shape: the one that is wanted; in a layer any of as many numbers.

    Raises:
        UnsupportedError: outside a layer, other axes than those of size 1 come or go.
    """
    if x.shape == shape or not x.shape:
        return x
    if x.level <= UNIFORM:
        return node(x.op, x.args, x.value, level=x.level, shape=shape, mask=x.mask)
    if as_symbol.get() is not None:
        from . import arrays, parameters

        if parameters.is_plain(x):
            return parameters.reshaped(x, shape)
        if len(shape) > 2 or [n for n in x.shape if n != 1] != [n for n in shape if n != 1]:
            return arrays.arranged(lambda a: a.reshape(shape), x)
    if [n for n in x.shape if n != 1] != [n for n in shape if n != 1] or len(shape) > 2:
        raise UnsupportedError(
            f"ops.reshape: {x.shape} as {shape} is not supported over a weight: only axes of size 1 can come and go."
        )
    if x.op == "view":
        return view(x.args[0], shape)
    return node("view", (x,), level=ELEMENT, shape=shape)


def transpose(x: Expression) -> Expression:
    """Returns an array with its axes in the opposite order.

    Args:
        x: over a weight.
    """
    if x.level <= UNIFORM or len(x.shape) < 2:
        return x
    if x.op == "transposed":
        return x.args[0]
    return node("transposed", (x,), level=ELEMENT, shape=sizes(x)[::-1])


def matmul(a: Any, b: Any) -> Expression:
    """The product of two matrices: ``sum over k of a[i, k] * b[k, j]``.

    Args:
        a: over a weight, ``(m, k)``.
        b: likewise, ``(k, n)``.

    Returns:
        ``(m, n)``

    Raises:
        ModelError: they are not matrices that fit.
    """
    for x in (a, b):
        if not is_weight(x) or len(x.shape) != 2:
            raise ModelError(
                "ops.matmul: in a formula over a weight both must be matrices computed from it, "
                f"received shapes {reshaping.shape(a)} and {reshaping.shape(b)}."
            )
    if a.shape[1] != b.shape[0]:
        raise ModelError(f"ops.matmul: shapes {a.shape} and {b.shape} do not fit.")
    return node("product", (a, b), level=ELEMENT, shape=(a.shape[0], b.shape[1]))


def identity_like(x: Any) -> Any:
    """Returns 1 on the diagonal of a square matrix, 0 elsewhere.

    Args:
        x: the array or expression whose shape it has.
    """
    if not isinstance(x, Expression):
        return np.eye(len(x), dtype=x.dtype)
    return node("identity", (), level=ELEMENT, shape=x.shape)


# ------------------------------------------------------------------ gradients


def widened(x: Expression, shape: tuple[int | None, ...]) -> Expression:
    """Returns ``x`` in a shape that it broadcasts to.

    Args:
        x: over a weight.
        shape: the wider one.
    """
    if x.level == ELEMENT and x.shape == shape:
        return x
    return core.where(core.equal(node("ones", (), level=ELEMENT, shape=shape), 1.0), x, x)  # type: ignore[no-any-return]


def summed_to(part: Expression, operand: Expression, shape: tuple[int | None, ...]) -> Expression:
    """The gradient of an operand that was broadcast to ``shape``, given that of each place: summed over places.

    Args:
        part: what each place of the result contributes, in ``shape`` or narrower where all places have the same.
        operand: what was broadcast.
        shape: of the result.

    Returns:
        The sums, in the shape of ``operand``.
    """
    rank = len(shape)
    mine = (1,) * (rank - len(operand.shape)) + tuple(operand.shape)
    theirs = (1,) * (rank - len(part.shape)) + tuple(part.shape)
    over = [i for i in range(rank) if mine[i] == 1 and shape[i] != 1]
    if not over:
        return part
    same = float(np.prod([shape[i] or 1 for i in over if theirs[i] == 1]))
    axes = [i - (rank - len(part.shape)) for i in over if theirs[i] != 1]
    total: Any = reduce("sum", part, axes, keepdims=True) if axes else part
    total = total if same == 1 else total * same
    return view(total, sizes(operand)) if operand.shape else total


def gradients(x: Expression, g: Expression) -> tuple[Expression | None, ...]:
    """Returns the gradients of what a node of this module is computed from.

    Args:
        x: the node.
        g: the gradient of its numbers, of its shape.
    """
    inner = x.args[0] if x.args else x
    if x.op == "over":
        op, axis = str(x.value).split()
        if inner.level == ELEMENT and axis != "all":
            g = view(g, sizes(x))
        if op == "sum":
            return (g,)
        hit = core.cast(core.equal(inner, x), None)
        return (g * hit / reduce("sum", hit, None if axis == "all" else int(axis), keepdims=True),)
    if x.op == "view":
        return (view(g, sizes(inner)),)
    g = widened(g, x.shape)
    if x.op == "transposed":
        return (transpose(g),)
    a, b = x.args
    return (matmul(g, transpose(b)), matmul(transpose(a), g))


__all__ = [
    "count",
    "gradients",
    "identity_like",
    "is_weight",
    "matmul",
    "reduce",
    "sizes",
    "summed_to",
    "transpose",
    "view",
]
