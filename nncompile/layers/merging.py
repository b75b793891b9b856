"""Layers that make one tensor of several.

Each is a class and a function: ``Add()([a, b])`` and ``add([a, b])`` are the same. All
but Concatenate and Dot broadcast: axes of size 1 are repeated, and a tensor of fewer
axes gets new ones of size 1 after the batch.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

from .. import config, ops, tree
from ..errors import ModelError, UnsupportedError
from ..registry import register
from .base import Layer
from .legacy import legacy_keywords
from .shapes import Shape

__all__ = [
    "Add", "Average", "Concatenate", "Dot", "Maximum", "Minimum", "Multiply", "Subtract",
    "add", "average", "concatenate", "dot", "maximum", "minimum", "multiply", "subtract",
]  # fmt: skip


class Merge(Layer):
    """Base of the layers that combine tensors number by number.

    Args:
        **kwargs: those of :class:`Layer`.
    """

    _takes_several = True
    _exactly: int | None = None
    """How many inputs there must be; one or more if None."""

    @legacy_keywords()
    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True

    def _merge(self, inputs: list[Any]) -> Any:
        raise NotImplementedError

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        """Returns the mask of what counts in one input or another; None if one of them has none.

        Args:
            inputs: of the call.
            previous_mask: a list of those of the inputs, or None.
        """
        if previous_mask is not None and type(self) in (Multiply, Maximum, Minimum):
            raise UnsupportedError(
                f"{self._where}: an input has a mask, and Keras takes the others alone where it does not count, which "
                "is not supported here. Give Embedding mask_zero=False on the branches, or add or concatenate them."
            )
        if previous_mask is None or any(m is None for m in previous_mask):
            return None
        return functools.reduce(ops.logical_or, previous_mask)

    def _shapes_of(self, input_shape: Any) -> list[Shape]:
        """Checks that these are the shapes of as many inputs as expected."""
        if tree.is_shape(input_shape) or not isinstance(input_shape, (list, tuple)):
            raise ModelError(
                f"{self._where}: expected a list of inputs, received one of shape {input_shape}. "
                f"Write {type(self).__name__}()([a, b])."
            )
        shapes = [tuple(shape) for shape in input_shape]
        if self._exactly is not None and len(shapes) != self._exactly:
            raise ModelError(f"{self._where}: expected {self._exactly} inputs, received {len(shapes)}.")
        if not all(shapes):
            raise ModelError(f"{self._where}: expected inputs with the number of rows first, received {shapes}.")
        rows = {shape[0] for shape in shapes} - {None}
        if len(rows) > 1:
            raise ModelError(f"{self._where}: expected inputs of as many rows, received shapes {_listed(shapes)}.")
        return shapes

    def build(self, input_shape: Any) -> None:
        self.compute_output_shape(input_shape)

    def _check_inputs(self, inputs: Any) -> None:
        if not isinstance(inputs, (list, tuple)):
            what = "a dictionary" if isinstance(inputs, dict) else f"one of shape {tuple(inputs.shape)}"
            raise ModelError(
                f"{self._where}: expected a list of inputs, received {what}. Write {type(self).__name__}()([a, b])."
            )
        self.compute_output_shape([tuple(x.shape) for x in inputs])

    def call(self, inputs: Any) -> Any:
        most = max(len(x.shape) for x in inputs)
        same = []
        for x in inputs:
            missing = most - len(x.shape)
            same.append(ops.reshape(x, (-1, *(1,) * missing, *x.shape[1:])) if missing else x)
        return self._merge(same)

    def compute_output_shape(self, input_shape: Any) -> Any:
        shapes = self._shapes_of(input_shape)
        sizes = functools.reduce(lambda a, b: self._broadcast(a, b, shapes), (shape[1:] for shape in shapes))
        rows = {shape[0] for shape in shapes} - {None}
        return (rows.pop() if rows else None, *sizes)

    def _broadcast(self, a: Shape, b: Shape, shapes: Sequence[Shape]) -> Shape:
        if len(a) < len(b):
            a, b = b, a
        sizes: list[int | None] = list(a[: len(a) - len(b)])
        for m, n in zip(a[len(a) - len(b) :], b, strict=True):
            if m is not None and n is not None and m != n and 1 not in (m, n):
                raise ModelError(f"{self._where}: expected inputs of shapes that fit, received {_listed(shapes)}.")
            sizes.append(None if None in (m, n) else n if m == 1 else m)
        return tuple(sizes)


def _listed(shapes: Sequence[Shape]) -> str:
    return " and ".join(map(str, shapes))


def _folded(function: Callable[[Any, Any], Any], inputs: list[Any]) -> Any:
    return functools.reduce(function, inputs)


@register("layers")
class Add(Merge):
    """``x1 + x2 + …``, number by number.

    Args:
        **kwargs: those of :class:`Layer`.

    Raises:
        ModelError: the shapes of the inputs do not fit.

    Source: ``keras.layers.Add``.
    """

    def _merge(self, inputs: list[Any]) -> Any:
        return _folded(ops.add, inputs)


@register("layers")
class Subtract(Merge):
    """``x1 - x2``, number by number, of exactly two inputs.

    Args:
        **kwargs: those of :class:`Layer`.

    Raises:
        ModelError: there are not two inputs, or their shapes do not fit.

    Source: ``keras.layers.Subtract``.
    """

    _exactly = 2

    def _merge(self, inputs: list[Any]) -> Any:
        return ops.subtract(*inputs)


@register("layers")
class Multiply(Merge):
    """``x1 * x2 * …``, number by number.

    Args:
        **kwargs: those of :class:`Layer`.

    Raises:
        ModelError: the shapes of the inputs do not fit.

    Source: ``keras.layers.Multiply``.
    """

    def _merge(self, inputs: list[Any]) -> Any:
        return _folded(ops.multiply, inputs)


@register("layers")
class Average(Merge):
    """``(x1 + x2 + … + xn) / n``, number by number.

    Args:
        **kwargs: those of :class:`Layer`.

    Raises:
        ModelError: the shapes of the inputs do not fit.

    Source: ``keras.layers.Average``.
    """

    def _merge(self, inputs: list[Any]) -> Any:
        return _folded(ops.add, inputs) / float(len(inputs))


@register("layers")
class Maximum(Merge):
    """``max(x1, x2, …)``, number by number; NaN if any is.

    Args:
        **kwargs: those of :class:`Layer`.

    Raises:
        ModelError: the shapes of the inputs do not fit.

    Source: ``keras.layers.Maximum``.
    """

    def _merge(self, inputs: list[Any]) -> Any:
        return _folded(ops.maximum, inputs)


@register("layers")
class Minimum(Merge):
    """``min(x1, x2, …)``, number by number; NaN if any is.

    Args:
        **kwargs: those of :class:`Layer`.

    Raises:
        ModelError: the shapes of the inputs do not fit.

    Source: ``keras.layers.Minimum``.
    """

    def _merge(self, inputs: list[Any]) -> Any:
        return _folded(ops.minimum, inputs)


@register("layers")
class Concatenate(Merge):
    """Puts its inputs side by side along an axis: ``(batch, 3)`` and ``(batch, 4)`` become ``(batch, 7)``.

    Args:
        axis: along which; the sizes of all others must be equal.
        **kwargs: those of :class:`Layer`; ``concat_axis`` is the spelling of Keras 1.

    Raises:
        ModelError: the shapes of the inputs do not fit, or there is no such axis.

    Source: ``keras.layers.Concatenate``.
    """

    @legacy_keywords(concat_axis="axis")
    def __init__(self, axis: int = -1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if isinstance(axis, bool) or not hasattr(axis, "__index__"):
            raise ModelError(f"{self._where}: expected axis to be an integer, received {axis!r:.80}.")
        self.axis = int(axis)

    def call(self, inputs: Any) -> Any:
        return ops.concatenate(list(inputs), axis=self.axis)

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        """Returns the masks one behind the other along the steps; along the features what counts in one of them.

        Args:
            inputs: of the call.
            previous_mask: a list of those of the inputs, or None.
        """
        if previous_mask is None or all(m is None for m in previous_mask):
            return None
        all_count = (
            ops.any(ops.equal(x, x), axis=-1) if m is None else m for x, m in zip(inputs, previous_mask, strict=True)
        )
        if self.axis % len(inputs[0].shape) == len(inputs[0].shape) - 1:
            return functools.reduce(ops.logical_or, all_count)
        return ops.greater(ops.concatenate([ops.cast(m, None) for m in all_count], axis=self.axis), 0.5)

    def compute_output_shape(self, input_shape: Any) -> Any:
        shapes = self._shapes_of(input_shape)
        rank = len(shapes[0])
        if not -rank <= self.axis < rank:
            raise ModelError(f"{self._where}: has axis={self.axis}, received inputs of shapes {_listed(shapes)}.")
        place = self.axis % rank
        result = list(shapes[0])
        for shape in shapes[1:]:
            fits = len(shape) == rank and all(
                m == n or None in (m, n) for i, (m, n) in enumerate(zip(result, shape, strict=True)) if i != place
            )
            if not fits:
                raise ModelError(
                    f"{self._where}: expected inputs that differ in the size of axis {self.axis} alone, "
                    f"received {_listed(shapes)}."
                )
            for i, (m, n) in enumerate(zip(result, shape, strict=True)):
                if i != place:
                    result[i] = n if m is None else m
                else:
                    result[i] = None if m is None or n is None else m + n
        return tuple(result)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "axis": self.axis}


@register("layers")
class Dot(Merge):
    """The products of rows of two inputs: sums over one axis of each of ``x1 * x2``.

    Of inputs ``(batch, …, n, …)`` and ``(batch, …, n, …)`` it gives ``(batch, …, …)``,
    the other axes of the first and then those of the second; ``(batch, 1)`` if there
    are none: of ``(batch, n)`` twice with ``axes=1``.

    Args:
        axes: the axis to sum over, or one for each input; not 0.
        normalize: whether the rows are divided by their length before, so that the
            result is the cosine of their angle.
        **kwargs: those of :class:`Layer`; ``dot_axes`` is the spelling of Keras 1.

    Raises:
        ModelError: there are not two inputs, the axis is not there or not of one size.

    Source: ``keras.layers.Dot``.
    """

    _exactly = 2

    @legacy_keywords(dot_axes="axes")
    def __init__(self, axes: int | Sequence[int], normalize: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        both = [axes, axes] if isinstance(axes, int) else axes
        if not isinstance(both, (list, tuple)) or any(isinstance(a, bool) or not isinstance(a, int) for a in both):
            raise TypeError(f"{self._where}: expected axes to be an integer or two, received {axes!r:.80}.")
        if len(both) != 2:
            raise ModelError(f"{self._where}: expected axes to be an integer or two, received {axes!r:.80}.")
        self.axes = axes
        self.normalize = bool(normalize)

    def _axes(self, shapes: Sequence[Any]) -> list[int]:
        """The axes of the two inputs, counted from the front."""
        both = [self.axes, self.axes] if isinstance(self.axes, int) else self.axes
        found = []
        for axis, shape in zip(both, shapes, strict=True):
            if len(shape) < 2:
                raise ModelError(f"{self._where}: expected inputs of two axes or more, received {_listed(shapes)}.")
            if not -len(shape) <= axis < len(shape) or axis % len(shape) == 0:
                raise ModelError(
                    f"{self._where}: axes={self.axes}: {shape} has no such axis to sum over; axis 0 is the batch."
                )
            found.append(axis % len(shape))
        return found

    def call(self, inputs: Any) -> Any:
        shapes = [tuple(x.shape) for x in inputs]
        axes = self._axes(shapes)
        first, second = (_last(x, axis) for x, axis in zip(inputs, axes, strict=True))
        if self.normalize:
            first, second = _unit(first), _unit(second)
        left, right = tuple(first.shape[1:-1]), tuple(second.shape[1:-1])
        if not left and not right:
            return ops.sum(first * second, axis=-1, keepdims=True)
        size = first.shape[-1]
        a = ops.reshape(first, (-1, math.prod(left), size))
        b = ops.transpose(ops.reshape(second, (-1, math.prod(right), size)), (0, 2, 1))
        return ops.reshape(ops.matmul(a, b), (-1, *left, *right))

    def compute_output_shape(self, input_shape: Any) -> Any:
        shapes = self._shapes_of(input_shape)
        axes = self._axes(shapes)
        m, n = (shape[axis] for shape, axis in zip(shapes, axes, strict=True))
        if m != n and None not in (m, n):
            raise ModelError(
                f"{self._where}: expected axes {axes[0]} and {axes[1]} of one size, received {_listed(shapes)}."
            )
        rows = {shape[0] for shape in shapes} - {None}
        others = [
            n for shape, axis in zip(shapes, axes, strict=True) for i, n in enumerate(shape) if i not in (0, axis)
        ]
        return (rows.pop() if rows else None, *(others or [1]))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "axes": self.axes, "normalize": self.normalize}


def _last(x: Any, axis: int) -> Any:
    """x with an axis moved to the end."""
    rank = len(x.shape)
    order = [*(i for i in range(rank) if i != axis), axis]
    return x if axis == rank - 1 else ops.transpose(x, order)


def _unit(x: Any) -> Any:
    """``x * min(1 / sqrt(sum(x²)), 1 / ε)`` over the last axis, ε being ``config.epsilon()``."""
    length = ops.sum(ops.square(x), axis=-1, keepdims=True)
    return x * ops.minimum(ops.rsqrt(length), 1.0 / config.epsilon())


# ------------------------------------------------------------------ as functions


def _function(cls: type[Merge]) -> Callable[..., Any]:
    def function(inputs: Any, **kwargs: Any) -> Any:
        return cls(**kwargs)(inputs)

    function.__name__ = function.__qualname__ = cls.__name__.lower()
    summary = (cls.__doc__ or "").partition("\n")[0]
    function.__doc__ = f"""{summary}

    It is what the layer :class:`{cls.__name__}` makes of a list of inputs.

    Args:
        inputs: a list of arrays or tensors.
        **kwargs: those of the layer.

    Returns:
        An array, or a tensor of a model.

    Source: ``keras.layers.{function.__name__}``.
    """
    return function


add = _function(Add)
subtract = _function(Subtract)
multiply = _function(Multiply)
average = _function(Average)
maximum = _function(Maximum)
minimum = _function(Minimum)


def concatenate(inputs: Any, axis: int = -1, **kwargs: Any) -> Any:
    """Returns the inputs side by side: what the layer :class:`Concatenate` makes of a list of inputs.

    Args:
        inputs: a list of arrays or tensors.
        axis: along which they are put side by side.
        **kwargs: those of the layer.

    Source: ``keras.layers.concatenate``.
    """
    return Concatenate(axis=axis, **kwargs)(inputs)


def dot(inputs: Any, axes: int | Sequence[int] = -1, **kwargs: Any) -> Any:
    """Returns sums of products along axes: what the layer :class:`Dot` makes of a list of two inputs.

    Args:
        inputs: a list of two arrays or tensors.
        axes: the axis to sum over, or one for each input.
        **kwargs: those of the layer.

    Source: ``keras.layers.dot``.
    """
    return Dot(axes=axes, **kwargs)(inputs)
