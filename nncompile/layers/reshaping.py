"""Layers that put their input into another shape or order."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import config as settings
from .. import ops
from ..errors import ModelError
from ..registry import register
from .base import Layer
from .legacy import legacy_keywords
from .shapes import InputSpec, Shape, standardize_shape


def checked_data_format(value: Any, owner: str) -> str:
    """Returns ``data_format``, the setting of the process if None.

    Raises:
        ModelError: it is neither ``"channels_last"`` nor ``"channels_first"``.
    """
    wanted = settings.image_data_format() if value is None else str(value).lower()
    if wanted not in ("channels_last", "channels_first"):
        raise ModelError(f"{owner}: expected data_format 'channels_last' or 'channels_first', received {value!r:.80}.")
    return wanted


def checked_count(value: Any, owner: str, name: str) -> int:
    """Returns an argument that is a positive integer.

    Raises:
        TypeError: it is no integer.
        ModelError: it is 0 or less.
    """
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, np.integer)):
        raise TypeError(f"{owner}: expected {name} to be a positive integer, received {value!r:.80}.")
    if value < 1:
        raise ModelError(f"{owner}: expected {name} to be a positive integer, received {value!r}.")
    return int(value)


def checked_sizes(value: Any, count: int, owner: str, name: str, lowest: int = 1) -> tuple[int, ...]:
    """Returns an argument that is ``count`` integers, or one that stands for all.

    Raises:
        ModelError: it is another thing, or one of them is below ``lowest``.
    """
    values = (value,) * count if isinstance(value, (int, np.integer)) else value
    if (
        not isinstance(values, (list, tuple))
        or len(values) != count
        or any(isinstance(n, bool) or not isinstance(n, (int, np.integer)) or n < lowest for n in values)
    ):
        several = "an integer" if count == 1 else f"{count} integers"
        raise ModelError(f"{owner}: expected {name} to be {several} of {lowest} or more, received {value!r:.80}.")
    return tuple(int(n) for n in values)


def rows_of(shape: Shape) -> int:
    """The number of rows as ops.reshape takes it: -1 if it is not known."""
    return -1 if shape[0] is None else shape[0]


@register("layers")
class Flatten(Layer):
    """Makes one axis of all but the first: ``(batch, …)`` becomes ``(batch, product)``.

    Args:
        data_format: ``"channels_last"``, or ``"channels_first"`` if the axis after that of the
            batch is to come last before it is flattened; that of ``config.image_data_format()`` if None.
        **kwargs: those of :class:`Layer`.

    Source: ``keras.layers.Flatten``.
    """

    @legacy_keywords()
    def __init__(self, data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.data_format = checked_data_format(data_format, self._where)
        self.input_spec = InputSpec(min_ndim=1)

    def call(self, inputs: Any) -> Any:
        shape = ops.shape(inputs)
        if self.data_format == "channels_first" and len(shape) > 2:
            inputs = ops.transpose(inputs, (0, *range(2, len(shape)), 1))
        return ops.reshape(inputs, (rows_of(shape), math.prod(n for n in shape[1:] if n is not None)))

    def compute_output_shape(self, input_shape: Any) -> Shape:
        rows, *rest = standardize_shape(input_shape, self._where)
        return (rows, None if None in rest else math.prod(n or 0 for n in rest))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "data_format": self.data_format}


@register("layers")
class Reshape(Layer):
    """Puts each sample into another shape: ``(batch, …)`` becomes ``(batch, *target_shape)``.

    Args:
        target_shape: sizes without the batch; one of them may be -1, for what is left.
        **kwargs: those of :class:`Layer`.

    Raises:
        ModelError: no shape, more than one -1, or another number of elements.

    Source: ``keras.layers.Reshape``.
    """

    @legacy_keywords()
    def __init__(self, target_shape: Sequence[int], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        owner = type(self).__name__
        if isinstance(target_shape, (str, bytes)) or not isinstance(target_shape, (Sequence, np.ndarray)):
            raise ModelError(
                f"{owner}: expected target_shape to be a tuple of integers, received {target_shape!r:.80}."
            )
        sizes = tuple(target_shape)
        integers = all(isinstance(n, (int, np.integer)) and not isinstance(n, bool) for n in sizes if n is not None)
        if not integers or any(n is not None and n < -1 for n in sizes) or sizes.count(-1) > 1:
            raise ModelError(
                f"{owner}: expected target_shape to be sizes of 0 or more and at most one -1, received {sizes!r:.80}."
            )
        self.target_shape = tuple(n if n is None else int(n) for n in sizes)
        self._build_at_init()

    def compute_output_shape(self, input_shape: Any) -> Shape:
        rows, *sizes = standardize_shape(input_shape, self._where)
        target = self.target_shape
        if None in sizes or None in target:
            return (rows, *(None if n == -1 else n for n in target))
        count, known = math.prod(n or 0 for n in sizes), math.prod(n or 0 for n in target if n != -1)
        if (count % known if known else count) if -1 in target else count != known:
            raise ModelError(
                f"{self._where}: expected as many elements as target_shape={target} has, received shape "
                f"{(rows, *sizes)}."
            )
        left = count // known if known else 0
        return (rows, *(left if n == -1 else n for n in target))

    def call(self, inputs: Any) -> Any:
        shape = ops.shape(inputs)
        sizes = self.compute_output_shape(shape)[1:]
        return ops.reshape(inputs, (rows_of(shape), *(-1 if n is None else n for n in sizes)))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "target_shape": self.target_shape}


@register("layers")
class Permute(Layer):
    """Puts the axes of each sample into another order.

    Args:
        dims: the axes in their new order, counted from 1, the first after the batch:
            with ``(2, 1)``, ``(batch, a, b)`` becomes ``(batch, b, a)``.
        **kwargs: those of :class:`Layer`.

    Raises:
        ModelError: ``dims`` is not an order of 1, 2, …; an input of another number of axes.

    Source: ``keras.layers.Permute``.
    """

    @legacy_keywords()
    def __init__(self, dims: Sequence[int], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        order = list(dims) if isinstance(dims, (list, tuple)) else []
        integers = all(isinstance(n, int) and not isinstance(n, bool) for n in order)
        if not order or not integers or sorted(order) != list(range(1, len(order) + 1)):
            raise ModelError(
                f"{type(self).__name__}: expected dims to be an order of the axes 1, 2, … after that of the batch, "
                f"received {dims!r:.80}."
            )
        self.dims = tuple(order)
        self.input_spec = InputSpec(ndim=len(order) + 1)

    def call(self, inputs: Any) -> Any:
        return ops.transpose(inputs, (0, *self.dims))

    def compute_output_shape(self, input_shape: Any) -> Shape:
        shape = standardize_shape(input_shape, self._where)
        self._check_input(shape, self.dtype)
        return (shape[0], *(shape[n] for n in self.dims))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "dims": self.dims}


@register("layers")
class RepeatVector(Layer):
    """Repeats each sample: ``(batch, features)`` becomes ``(batch, n, features)``.

    Args:
        n: how often.
        **kwargs: those of :class:`Layer`.

    Raises:
        TypeError: ``n`` is no integer.
        ModelError: ``n`` is not positive; an input of other than 2 axes.

    Source: ``keras.layers.RepeatVector``.
    """

    @legacy_keywords()
    def __init__(self, n: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.n = checked_count(n, type(self).__name__, "n")
        self.input_spec = InputSpec(ndim=2)

    def call(self, inputs: Any) -> Any:
        shape = ops.shape(inputs)
        return ops.repeat(ops.reshape(inputs, (rows_of(shape), 1, shape[1])), self.n, axis=1)

    def compute_output_shape(self, input_shape: Any) -> Shape:
        shape = standardize_shape(input_shape, self._where)
        self._check_input(shape, self.dtype)
        return (shape[0], self.n, shape[1])

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "n": self.n}


@register("layers")
class UpSampling1D(Layer):
    """Repeats each step: ``(batch, steps, features)`` becomes ``(batch, steps * size, features)``.

    Args:
        size: how often.
        **kwargs: those of :class:`Layer`; ``length`` is the spelling of Keras 1 for ``size``.

    Raises:
        TypeError: ``size`` is no integer.
        ModelError: ``size`` is not positive; an input of other than 3 axes.

    Source: ``keras.layers.UpSampling1D``.
    """

    @legacy_keywords(length="size")
    def __init__(self, size: int = 2, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.size = checked_count(size, type(self).__name__, "size")
        self.input_spec = InputSpec(ndim=3)

    def call(self, inputs: Any) -> Any:
        return ops.repeat(inputs, self.size, axis=1)

    def compute_output_shape(self, input_shape: Any) -> Shape:
        shape = standardize_shape(input_shape, self._where)
        self._check_input(shape, self.dtype)
        return (shape[0], None if shape[1] is None else shape[1] * self.size, shape[2])

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "size": self.size}


@register("layers")
class Cropping1D(Layer):
    """Leaves out the first and the last steps of ``(batch, steps, features)``.

    Args:
        cropping: how many at the beginning and at the end; a single number for both.
        **kwargs: those of :class:`Layer`.

    Raises:
        ModelError: not such numbers; an input of other than 3 axes, or of too few steps.

    Source: ``keras.layers.Cropping1D``.
    """

    @legacy_keywords()
    def __init__(self, cropping: int | Sequence[int] = (1, 1), **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.cropping = checked_sizes(cropping, 2, type(self).__name__, "cropping", lowest=0)
        self.input_spec = InputSpec(ndim=3)

    def call(self, inputs: Any) -> Any:
        self.compute_output_shape(ops.shape(inputs))
        first, last = self.cropping
        return inputs[:, first : inputs.shape[1] - last]

    def compute_output_shape(self, input_shape: Any) -> Shape:
        shape = standardize_shape(input_shape, self._where)
        self._check_input(shape, self.dtype)
        if shape[1] is None:
            return shape
        steps = shape[1] - sum(self.cropping)
        if steps < 1:
            raise ModelError(f"{self._where}: cropping={self.cropping} leaves nothing of an input of shape {shape}.")
        return (shape[0], steps, shape[2])

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "cropping": self.cropping}


@register("layers")
class ZeroPadding1D(Layer):
    """Adds steps of zeros before and after those of ``(batch, steps, features)``.

    Args:
        padding: how many at the beginning and at the end; a single number for both.
        data_format: ``"channels_last"``, or ``"channels_first"`` for ``(batch, features, steps)``;
            that of ``config.image_data_format()`` if None.
        **kwargs: those of :class:`Layer`.

    Raises:
        ModelError: not such numbers; an input of other than 3 axes.

    Source: ``keras.layers.ZeroPadding1D``.
    """

    @legacy_keywords()
    def __init__(self, padding: int | Sequence[int] = 1, data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.data_format = checked_data_format(data_format, self._where)
        self.padding = checked_sizes(padding, 2, type(self).__name__, "padding", lowest=0)
        self.input_spec = InputSpec(ndim=3)

    @property
    def _steps_axis(self) -> int:
        return 1 if self.data_format == "channels_last" else 2

    def call(self, inputs: Any) -> Any:
        return ops.pad(inputs, [self.padding if a == self._steps_axis else (0, 0) for a in range(3)])

    def compute_output_shape(self, input_shape: Any) -> Shape:
        shape = list(standardize_shape(input_shape, self._where))
        self._check_input(tuple(shape), self.dtype)
        steps = shape[self._steps_axis]
        shape[self._steps_axis] = None if steps is None else steps + sum(self.padding)
        return tuple(shape)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "padding": self.padding, "data_format": self.data_format}
