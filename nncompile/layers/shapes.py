"""Shapes: as layers are given them, and what a layer expects of those of its inputs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from .. import tree
from ..errors import ModelError

Shape = tuple[int | None, ...]


def standardize_shape(shape: Any, where: str) -> Shape:
    """Returns ``shape`` as a tuple of integers and None.

    Raises:
        ModelError: it is not a sequence of those.
    """
    if isinstance(shape, (int, np.integer)) and not isinstance(shape, bool):
        raise ModelError(f"{where}: expected a shape, received the number {shape}. Write ({shape},).")
    if shape is None or isinstance(shape, (str, bytes, bool)) or not isinstance(shape, Iterable):
        raise ModelError(f"{where}: expected a shape, a tuple of integers, received {shape!r:.80}.")
    sizes: list[int | None] = []
    for size in shape:
        if size is None:
            sizes.append(None)
        elif isinstance(size, (int, np.integer)) and not isinstance(size, (bool, np.bool_)) and size >= 0:
            sizes.append(int(size))
        else:
            raise ModelError(f"{where}: expected sizes of 0 or more, or None, received {size!r:.80} in {shape!r:.80}.")
    return tuple(sizes)


def standardize_shapes(shapes: Any, where: str) -> Any:
    """As :func:`standardize_shape`, for one shape or a structure of shapes."""
    if isinstance(shapes, Mapping) or (isinstance(shapes, (list, tuple)) and any(map(tree.is_nested, shapes))):
        return tree.map_shape_structure(lambda s: None if s is None else standardize_shape(s, where), shapes)
    return standardize_shape(shapes, where)


class InputSpec:
    """What a layer expects of the shape of its input, as ``keras.layers.InputSpec``.

    Args:
        dtype: element type.
        shape: whole shape, None for any size.
        ndim: number of axes.
        max_ndim: largest number of axes.
        min_ndim: smallest number of axes.
        axes: sizes of single axes, by index.
        allow_last_axis_squeeze: whether a last axis of 1 may be missing or too many.
        name: for the reader.
        optional: kept for the interface.

    Source: ``keras.layers.InputSpec``.
    """

    def __init__(
        self,
        dtype: str | None = None,
        shape: Sequence[int | None] | None = None,
        ndim: int | None = None,
        max_ndim: int | None = None,
        min_ndim: int | None = None,
        axes: Mapping[int, int | None] | None = None,
        allow_last_axis_squeeze: bool = False,
        name: str | None = None,
        optional: bool = False,
    ) -> None:
        self.dtype = dtype
        self.shape = None if shape is None else standardize_shape(shape, "InputSpec")
        self.ndim = ndim if self.shape is None else len(self.shape)
        self.max_ndim = max_ndim
        self.min_ndim = min_ndim
        self.axes = {int(axis): size for axis, size in (axes or {}).items()}
        self.allow_last_axis_squeeze = allow_last_axis_squeeze
        self.name = name
        self.optional = optional

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that make an equal one, as Keras writes them."""
        names = ("dtype", "shape", "ndim", "max_ndim", "min_ndim", "axes", "optional")
        return {name: getattr(self, name) for name in names}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> InputSpec:
        """Returns what :meth:`get_config` described.

        Args:
            config: what that returned.

        Returns:
            An equal one.
        """
        return cls(**config)

    def complaint(self, shape: Shape, dtype: str) -> str | None:
        """Returns what was expected instead of this input, or None if it fits.

        Args:
            shape: of the input.
            dtype: its element type.
        """
        if self.dtype is not None and dtype != self.dtype:
            return f"an input of type {self.dtype}"
        rank, expected = len(shape), self.shape
        if expected is not None and self.allow_last_axis_squeeze and abs(rank - len(expected)) == 1:
            longer = shape if rank > len(expected) else expected
            if longer[-1] == 1:
                shape, expected = (s[:-1] if s is longer else s for s in (shape, expected))
                rank = len(expected)
        elif self.ndim is not None and rank != self.ndim:
            return f"an input of {self.ndim} axes"
        if expected is not None and (
            rank != len(expected) or any(a != b and None not in (a, b) for a, b in zip(shape, expected, strict=True))
        ):
            return f"an input of shape {self.shape}"
        if self.min_ndim is not None and rank < self.min_ndim:
            return f"an input of {self.min_ndim} axes or more"
        if self.max_ndim is not None and rank > self.max_ndim:
            return f"an input of {self.max_ndim} axes or fewer"
        for axis, size in self.axes.items():
            if not -rank <= axis < rank:
                return f"an input with an axis {axis}"
            if size is not None and shape[axis] not in (size, None):
                return f"an input of {size} on axis {axis}"
        return None
