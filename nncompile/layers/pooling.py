"""Layers that take the mean or the largest of neighbours."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import ops
from ..errors import ModelError
from ..registry import register
from .axes import to_last, vector
from .base import Layer
from .legacy import legacy_keywords
from .reshaping import checked_data_format, checked_sizes, rows_of
from .shapes import InputSpec, Shape, standardize_shape


class _GlobalPooling1D(Layer):
    """What the two global ones share."""

    _takes_integers = False

    def _take(self, data_format: str | None, keepdims: bool) -> None:
        self.data_format = checked_data_format(data_format, self._where)
        self.keepdims = keepdims
        self.input_spec = InputSpec(ndim=3)
        self._build_at_init()

    def _steps_last(self, inputs: Any) -> Any:
        return to_last(inputs, (1,))[0] if self.data_format == "channels_last" else inputs

    def _result(self, y: Any) -> Any:
        """Returns a value per sample and feature, of shape (batch, features), in the shape that was asked for."""
        shape = ops.shape(y)
        sizes = (1, shape[1]) if self.data_format == "channels_last" else (shape[1], 1)
        return ops.reshape(y, (rows_of(shape), *(sizes if self.keepdims else shape[1:])))

    def compute_output_shape(self, input_shape: Any) -> Shape:
        shape = standardize_shape(input_shape, self._where)
        self._check_input(shape, self.dtype)
        if self.data_format == "channels_last":
            return (shape[0], 1, shape[2]) if self.keepdims else (shape[0], shape[2])
        return (*shape[:2], 1) if self.keepdims else shape[:2]

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "data_format": self.data_format, "keepdims": self.keepdims}


@register("layers", "GlobalAvgPool1D")
class GlobalAveragePooling1D(_GlobalPooling1D):
    """The mean over the steps: ``(batch, steps, features)`` becomes ``(batch, features)``.

    Args:
        data_format: ``"channels_last"``, or ``"channels_first"`` for ``(batch, features, steps)``;
            that of ``config.image_data_format()`` if None.
        keepdims: whether the axis of the steps stays, with size 1.
        **kwargs: those of :class:`Layer`.

    Raises:
        ModelError: an input of other than 3 axes.

    With a mask the mean is over the steps that count.

    Source: ``keras.layers.GlobalAveragePooling1D``.
    """

    @legacy_keywords()
    def __init__(self, data_format: str | None = None, keepdims: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._take(data_format, keepdims)
        self.supports_masking = True

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        return None  # there are no steps any more

    def call(self, inputs: Any, mask: Any = None) -> Any:
        x = self._steps_last(inputs)
        if mask is None:
            return self._result(ops.mean(x, axis=-1))
        if isinstance(mask, ops.Expression):
            total = ops.sum(ops.where(ops.expand_dims(mask, 1), x, 0.0), axis=-1)
            return self._result(total / ops.sum(ops.cast(mask, None), axis=-1, keepdims=True))
        counted = np.asarray(mask, dtype=bool)[:, None, :]
        return self._result(ops.sum(ops.where(counted, x, 0.0), axis=-1) / np.sum(counted, axis=-1, dtype=x.dtype))


@register("layers", "GlobalMaxPool1D")
class GlobalMaxPooling1D(_GlobalPooling1D):
    """The largest over the steps: ``(batch, steps, features)`` becomes ``(batch, features)``.

    Args:
        data_format: ``"channels_last"``, or ``"channels_first"`` for ``(batch, features, steps)``;
            that of ``config.image_data_format()`` if None.
        keepdims: whether the axis of the steps stays, with size 1.
        **kwargs: those of :class:`Layer`.

    Raises:
        ModelError: an input of other than 3 axes.

    Source: ``keras.layers.GlobalMaxPooling1D``.
    """

    @legacy_keywords()
    def __init__(self, data_format: str | None = None, keepdims: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._take(data_format, keepdims)

    def call(self, inputs: Any) -> Any:
        return self._result(ops.max(self._steps_last(inputs), axis=-1))


class _Pooling1D(Layer):
    """What the two with windows share."""

    _takes_integers = False

    def _take(self, pool_size: Any, strides: Any, padding: Any, data_format: str | None) -> None:
        owner = type(self).__name__
        self.pool_size = checked_sizes(pool_size, 1, owner, "pool_size")
        self.strides = self.pool_size if strides is None else checked_sizes(strides, 1, owner, "strides")
        if padding not in ("valid", "same"):
            raise ModelError(f"{owner}: expected padding to be 'valid' or 'same', received {padding!r:.80}.")
        self.padding = padding
        self.data_format = checked_data_format(data_format, owner)
        self.input_spec = InputSpec(ndim=3)
        self._build_at_init()

    def _around(self, steps: int) -> tuple[int, int, int]:
        """Returns the number of windows, and how many steps they reach over before the first and after the last."""
        (size,), (stride,) = self.pool_size, self.strides
        if self.padding == "valid":
            windows = (steps - size) // stride + 1
            return windows, 0, (windows - 1) * stride + size - steps  # negative: so many are left out
        windows = -(-steps // stride)
        missing = max((windows - 1) * stride + size - steps, 0)
        after = (windows - 1) * stride + size - steps - missing // 2
        return windows, missing // 2, after

    def _windows(self, inputs: Any, mode: str) -> tuple[Any, int]:
        """Cuts ``(batch, steps, features)`` into windows.

        Args:
            inputs: array or expression.
            mode: what stands for the steps that are not there, as for ``ops.pad``.

        Returns:
            The values, ``(batch, windows, features, steps of a window)``, and the number of windows.
        """
        self.compute_output_shape(ops.shape(inputs))
        x = inputs if self.data_format == "channels_last" else ops.transpose(inputs, (0, 2, 1))
        (size,), (stride,) = self.pool_size, self.strides
        shape = ops.shape(x)
        steps, features = int(shape[1] or 0), shape[2]
        windows, before, after = self._around(steps)
        if before or after > 0:
            x = ops.pad(x, ((0, 0), (before, max(after, 0)), (0, 0)), mode)
        rows = rows_of(shape)
        if stride == size:  # they lie side by side
            x = ops.reshape(x[:, : windows * size], (rows, windows, size, features))
        else:
            x = ops.stack([x[:, first : first + size] for first in range(0, windows * stride, stride)], axis=1)
        return ops.transpose(x, (0, 1, 3, 2)), windows

    def _result(self, y: Any) -> Any:
        shape = ops.shape(y)
        y = ops.reshape(y, (rows_of(shape), *shape[1:]))
        return y if self.data_format == "channels_last" else ops.transpose(y, (0, 2, 1))

    def compute_output_shape(self, input_shape: Any) -> Shape:
        shape = list(standardize_shape(input_shape, self._where))
        self._check_input(tuple(shape), self.dtype)
        axis = 1 if self.data_format == "channels_last" else 2
        steps = shape[axis]
        if steps is not None:
            shape[axis] = self._around(steps)[0]
            if not (shape[axis] or 0) > 0:
                raise ModelError(
                    f"{self._where}: no window of pool_size={self.pool_size} fits into an input of shape "
                    f"{standardize_shape(input_shape, self._where)}."
                )
        return tuple(shape)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "pool_size": self.pool_size,
            "padding": self.padding,
            "strides": self.strides,
            "data_format": self.data_format,
        }


@register("layers", "AvgPool1D")
class AveragePooling1D(_Pooling1D):
    """The mean of the steps in each window: ``(batch, steps, features)`` becomes ``(batch, windows, features)``.

    Args:
        pool_size: steps of a window.
        strides: steps from one window to the next; ``pool_size`` if None.
        padding: ``"valid"`` for windows within the input; ``"same"`` for one at each stride,
            where the mean is of the steps that are there.
        data_format: ``"channels_last"``, or ``"channels_first"`` for ``(batch, features, steps)``;
            that of ``config.image_data_format()`` if None.
        name: any string without ``/``.
        **kwargs: those of :class:`Layer`; ``pool_length``, ``stride`` and ``border_mode`` are of Keras 1.

    Raises:
        ModelError: an argument that cannot be right; an input of other than 3 axes, or without room for a window.

    Source: ``keras.layers.AveragePooling1D``.
    """

    @legacy_keywords(pool_length="pool_size", stride="strides", border_mode="padding")
    def __init__(
        self,
        pool_size: int | Sequence[int],
        strides: int | Sequence[int] | None = None,
        padding: str = "valid",
        data_format: str | None = None,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(name=name, **kwargs)
        self._take(pool_size, strides, padding, data_format)

    def call(self, inputs: Any) -> Any:
        x, windows = self._windows(inputs, "constant")
        counts = self._counts(int(ops.shape(inputs)[1 if self.data_format == "channels_last" else 2] or 0), windows)
        if min(counts) == max(counts):
            return self._result(ops.sum(x, axis=-1) * (1.0 / counts[0]))
        total = ops.sum(x, axis=-1)
        flat, restore = to_last(total, range(1, len(ops.shape(total))))
        features = (ops.shape(flat)[-1] or 0) // windows
        shares = self._constant("shares", np.repeat(1.0 / np.array(counts), features))
        return self._result(restore(ops.multiply(flat, vector(shares))))

    def _counts(self, steps: int, windows: int) -> list[int]:
        """Returns how many steps of each window are there."""
        (size,), (stride,) = self.pool_size, self.strides
        first = -self._around(steps)[1]
        return [min(first + i * stride + size, steps) - max(first + i * stride, 0) for i in range(windows)]


@register("layers", "MaxPool1D")
class MaxPooling1D(_Pooling1D):
    """The largest of the steps in each window: ``(batch, steps, features)`` becomes ``(batch, windows, features)``.

    Args:
        pool_size: steps of a window.
        strides: steps from one window to the next; ``pool_size`` if None.
        padding: ``"valid"`` for windows within the input; ``"same"`` for one at each stride.
        data_format: ``"channels_last"``, or ``"channels_first"`` for ``(batch, features, steps)``;
            that of ``config.image_data_format()`` if None.
        name: any string without ``/``.
        **kwargs: those of :class:`Layer`; ``pool_length``, ``stride`` and ``border_mode`` are of Keras 1.

    Raises:
        ModelError: an argument that cannot be right; an input of other than 3 axes, or without room for a window.

    Source: ``keras.layers.MaxPooling1D``.
    """

    @legacy_keywords(pool_length="pool_size", stride="strides", border_mode="padding")
    def __init__(
        self,
        pool_size: int | Sequence[int] = 2,
        strides: int | Sequence[int] | None = None,
        padding: str = "valid",
        data_format: str | None = None,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(name=name, **kwargs)
        self._take(pool_size, strides, padding, data_format)

    def call(self, inputs: Any) -> Any:
        # beyond the ends the last step again: it is in each window that reaches so far, and no larger than itself
        return self._result(ops.max(self._windows(inputs, "edge")[0], axis=-1))
