"""Activations with arguments or weights, as layers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import activations, constraints, initializers, ops, regularizers
from ..errors import ModelError
from ..registry import register
from ..variables import Variable
from .axes import checked_axes, positive_axes, to_last, vector
from .base import Layer
from .legacy import legacy_keywords
from .shapes import InputSpec, Shape, standardize_shape


def _number(value: Any, owner: str, name: str, lowest: float = -math.inf) -> float:
    """Returns an argument that is a number of ``lowest`` or more, as Python's."""
    number = isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool)
    if not number or not value >= lowest:
        least = f" of {lowest:g} or more" if lowest > -math.inf else ""
        raise ModelError(f"{owner}: expected {name} to be a number{least}, received {value!r:.80}.")
    plain: float = value.item() if isinstance(value, np.generic) else value
    return plain


class _ActivationLayer(Layer):
    """A layer whose output has the shape of its input."""

    _takes_integers = False

    def compute_output_shape(self, input_shape: Any) -> Shape:
        return standardize_shape(input_shape, self._where)


@register("layers")
class ReLU(_ActivationLayer):
    """Rectifier: ``x`` above the threshold, ``negative_slope * (x - threshold)`` below, at most ``max_value``.

    The input may have any shape, which the output has too.

    Args:
        max_value: largest output; none if None.
        negative_slope: factor below the threshold.
        threshold: where the two parts meet; what lies above is not shifted.
        **kwargs: those of :class:`Layer`.

    Raises:
        ModelError: a number that is negative, or none.

    Source: ``keras.layers.ReLU``; Nair and Hinton, 2010.
    """

    @legacy_keywords()
    def __init__(
        self, max_value: float | None = None, negative_slope: float = 0.0, threshold: float = 0.0, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        owner = type(self).__name__
        self.max_value = None if max_value is None else _number(max_value, owner, "max_value", 0)
        self.negative_slope = _number(negative_slope, owner, "negative_slope", 0)
        self.threshold = _number(threshold, owner, "threshold", 0)
        self.supports_masking = True
        self._build_at_init()

    def call(self, inputs: Any) -> Any:
        return activations.relu(
            inputs, negative_slope=self.negative_slope, max_value=self.max_value, threshold=self.threshold
        )

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "max_value": self.max_value,
            "negative_slope": self.negative_slope,
            "threshold": self.threshold,
        }


@register("layers")
class LeakyReLU(_ActivationLayer):
    """``x`` if ``x >= 0``, else ``negative_slope * x``, for any shape.

    The function :func:`~nncompile.activations.leaky_relu` has another default slope, 0.2.

    Args:
        negative_slope: factor below 0.
        **kwargs: those of :class:`Layer`; ``alpha`` is the spelling of Keras 1 and 2 for ``negative_slope``.

    Raises:
        ModelError: the slope is negative, or no number.

    Source: ``keras.layers.LeakyReLU``; Maas et al., 2013.
    """

    @legacy_keywords(alpha="negative_slope")
    def __init__(self, negative_slope: float = 0.3, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.negative_slope = _number(negative_slope, type(self).__name__, "negative_slope", 0)
        self.supports_masking = True
        self._build_at_init()

    def call(self, inputs: Any) -> Any:
        return activations.leaky_relu(inputs, negative_slope=self.negative_slope)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "negative_slope": self.negative_slope}


@register("layers")
class ELU(_ActivationLayer):
    """``x`` if ``x > 0``, else ``alpha * (e^x - 1)``, for any shape. Clevert et al., 2015.

    Args:
        alpha: minus the value far below 0.
        **kwargs: those of :class:`Layer`.

    Raises:
        ModelError: ``alpha`` is no number.

    Source: ``keras.layers.ELU``.
    """

    @legacy_keywords()
    def __init__(self, alpha: float = 1.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.alpha = _number(alpha, type(self).__name__, "alpha")
        self.supports_masking = True
        self._build_at_init()

    def call(self, inputs: Any) -> Any:
        return activations.elu(inputs, alpha=self.alpha)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        return {"name": config.pop("name"), "alpha": self.alpha, **config}  # the order of Keras


@register("layers")
class PReLU(_ActivationLayer):
    """``x`` if ``x > 0``, else ``alpha * x``, where the slopes ``alpha`` are learned. He et al., 2015.

    Weight: ``alpha``, of the shape of a sample, with 1 for each axis of ``shared_axes``.

    Args:
        alpha_initializer: of the slopes.
        alpha_regularizer: of the slopes.
        alpha_constraint: of the slopes.
        shared_axes: axes along which the slope is one, counted from 1, the first after the batch.
        **kwargs: those of :class:`Layer`; ``init`` is the spelling of Keras 1 for ``alpha_initializer``.

    Raises:
        ModelError: ``shared_axes`` are not axes of the input.

    Source: ``keras.layers.PReLU``.
    """

    alpha: Variable

    @legacy_keywords(init="alpha_initializer")
    def __init__(
        self,
        alpha_initializer: Any = "Zeros",
        alpha_regularizer: Any = None,
        alpha_constraint: Any = None,
        shared_axes: int | Sequence[int] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.alpha_initializer = initializers.get(alpha_initializer)
        self.alpha_regularizer = regularizers.get(alpha_regularizer)
        self.alpha_constraint = constraints.get(alpha_constraint)
        self.shared_axes: list[int] | None = None
        if shared_axes is not None:
            axes = checked_axes(shared_axes, f"{type(self).__name__}: shared_axes")
            self.shared_axes = axes if isinstance(axes, list) else [axes]
        self.supports_masking = True

    def build(self, input_shape: Any) -> None:
        shape = standardize_shape(input_shape, self._where)
        shared = positive_axes(self.shared_axes or [], shape, self._where, batch=False)
        sizes: list[Any] = [1 if a in shared else shape[a] for a in range(1, len(shape))]
        self.alpha = self.add_weight(
            shape=sizes,
            name="alpha",
            initializer=self.alpha_initializer,
            regularizer=self.alpha_regularizer,
            constraint=self.alpha_constraint,
        )
        self.input_spec = InputSpec(
            ndim=len(shape), axes={a: shape[a] for a in range(1, len(shape)) if a not in shared}
        )

    def call(self, inputs: Any) -> Any:
        shape = ops.shape(inputs)
        shared = positive_axes(self.shared_axes or [], shape, self._where)
        x, restore = to_last(inputs, [a for a in range(1, len(shape)) if a not in shared])
        below = ops.multiply(ops.maximum(-x, 0.0), vector(self.alpha))
        return restore(ops.maximum(x, 0.0) - below)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "alpha_initializer": initializers.serialize(self.alpha_initializer),
            "alpha_regularizer": regularizers.serialize(self.alpha_regularizer),
            "alpha_constraint": constraints.serialize(self.alpha_constraint),
            "shared_axes": self.shared_axes,
        }


@register("layers")
class Softmax(_ActivationLayer):
    """``e^x / sum(e^x)``, the sum over an axis or several, without overflow.

    With a mask, what it leaves out is 0 and counts for nothing in the sum.

    Args:
        axis: one axis or a list, along which the outputs add up to 1.
        **kwargs: those of :class:`Layer`.

    Raises:
        ModelError: ``axis`` is not one of the input; a mask whose shape does not fit the input.

    Source: ``keras.layers.Softmax``.
    """

    _LEFT_OUT = -1e9
    """What stands for the inputs that a mask leaves out: Keras' number."""

    @legacy_keywords()
    def __init__(self, axis: int | Sequence[int] = -1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        checked_axes(axis, type(self).__name__)
        self.axis = axis
        self.supports_masking = True
        self._build_at_init()

    def call(self, inputs: Any, mask: Any = None) -> Any:
        if mask is not None:
            mask = self._truth(mask, ops.shape(inputs))
            inputs = ops.where(mask, inputs, self._LEFT_OUT)
        x, restore = to_last(inputs, positive_axes(self.axis, ops.shape(inputs), self._where))
        outputs = restore(ops.softmax(x, axis=-1))
        return outputs if mask is None else ops.where(mask, outputs, 0.0)

    def _truth(self, mask: Any, shape: Shape) -> Any:
        sizes = ops.shape(mask)
        fits = len(sizes) <= len(shape) and all(
            m in (1, n) or None in (m, n) for m, n in zip(reversed(sizes), reversed(shape), strict=False)
        )
        if not fits:
            raise ModelError(f"{self._where}: expected a mask for an input of shape {shape}, received shape {sizes}.")
        if isinstance(mask, ops.Expression):
            return mask if mask.mask else ops.greater(mask, 0.5)
        mask = np.asarray(mask)
        return mask if mask.dtype == bool else mask > 0.5

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "axis": self.axis}
