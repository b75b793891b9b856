"""Axes of the input of a layer: checked, and brought to the end, where formulas work.

A formula reduces over the last axis, and meets weights of one number per column. A layer
that works over other axes, or several, brings these to the end, makes one of them, and
puts its result back into place. Where they are last already nothing is moved.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from .. import ops
from ..errors import ModelError
from ..variables import Variable
from .shapes import Shape

Axes = Sequence[int]


def checked_axes(axis: Any, where: str) -> int | list[int]:
    """Returns an argument that is one axis or several.

    Raises:
        ModelError: it is neither an integer nor a list of them.
    """
    several = isinstance(axis, (list, tuple))
    if any(isinstance(a, bool) or not isinstance(a, int) for a in (axis if several else [axis])):
        raise ModelError(f"{where}: expected axis to be an integer or a list of integers, received {axis!r:.80}.")
    return list(axis) if several else axis


def positive_axes(axis: int | Axes, shape: Shape, where: str, batch: bool = True) -> tuple[int, ...]:
    """Returns axes of ``shape`` counted from the first, in order.

    Args:
        axis: one or several, negative ones counted from the last.
        shape: of the input, the batch included.
        where: the layer, for the error.
        batch: whether the axis of the batch may be one of them.

    Raises:
        ModelError: there is no such axis, or one is named twice.
    """
    axes = [axis] if isinstance(axis, int) else list(axis)
    for a in axes:
        if not -len(shape) <= a < len(shape):
            raise ModelError(f"{where}: expected an input with an axis {a}, received shape {shape}.")
    found = sorted(a % len(shape) for a in axes)
    if len(set(found)) < len(found):
        raise ModelError(f"{where}: axis {axes} names an axis of an input of shape {shape} twice.")
    if not batch and 0 in found:
        raise ModelError(f"{where}: axis {axes} is that of the batch in an input of shape {shape}.")
    return tuple(found)


def to_last(x: Any, axes: Axes) -> tuple[Any, Callable[[Any], Any]]:
    """Brings axes to the end and makes one axis of them, in their order.

    Args:
        x: array or expression.
        axes: from the first, in order. With none the last axis is a new one of size 1.

    Returns:
        ``x`` of shape ``(the other axes…, product of the sizes of axes)``, and a function
        that gives an array or expression of that shape the axes that ``x`` had.
    """
    before = ops.shape(x)
    order = [*(a for a in range(len(before)) if a not in axes), *axes]
    others = len(before) - len(axes)
    moved, result = [before[a] for a in order], x
    in_place = order == sorted(order)
    if not in_place:
        result = ops.transpose(result, order)
    if len(axes) != 1:
        result = ops.reshape(result, _target([*moved[:others], math.prod(n or 0 for n in moved[others:])]))

    def restore(y: Any) -> Any:
        if len(axes) != 1:
            y = ops.reshape(y, _target(moved))
        return y if in_place else ops.transpose(y, [order.index(a) for a in range(len(order))])

    return result, restore


def _target(shape: Sequence[int | None]) -> tuple[int, ...]:
    return tuple(-1 if n is None else n for n in shape)


def vector(weight: Variable) -> Any:
    """Returns a weight as one of a single axis, which meets the columns of :func:`to_last`."""
    return weight if weight.ndim == 1 else ops.reshape(weight, (-1,))
