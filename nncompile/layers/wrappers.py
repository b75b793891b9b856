"""Layers that apply another layer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from .. import ops, registry
from ..errors import FileFormatError, ModelError
from ..registry import register
from .base import Layer
from .legacy import legacy_keywords
from .serialization import deserialize, serialize
from .shapes import Shape, standardize_shape

if TYPE_CHECKING:
    from typing_extensions import Self


class Wrapper(Layer):
    """Base of layers around another layer; not one to use by itself.

    Args:
        layer: the layer within.
        **kwargs: those of :class:`Layer`.

    Raises:
        ModelError: ``layer`` is none.

    Source: ``keras.layers.Wrapper``.
    """

    @legacy_keywords()
    def __init__(self, layer: Layer, **kwargs: Any) -> None:
        if not isinstance(layer, Layer):
            raise ModelError(f"{type(self).__name__}: expected a layer, received {layer!r:.80}.")
        super().__init__(**kwargs)
        self.layer = layer

    def build(self, input_shape: Any = None) -> None:
        if not self.layer.built:
            self.layer.build(input_shape)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "layer": serialize(self.layer)}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        if "layer" not in config:
            raise FileFormatError(f"{cls.__name__}: its configuration has no layer.")
        layer = config["layer"]
        return super().from_config({**config, "layer": layer if isinstance(layer, Layer) else deserialize(layer)})


@register("layers")
class TimeDistributed(Wrapper):
    """Applies a layer to each step: ``(batch, steps, …)`` is ``steps`` inputs ``(batch, …)`` of the layer.

    One layer with one set of weights serves all steps. A layer that treats each row by
    itself is applied to all of them at once, any other step by step.

    Args:
        layer: the layer to apply.
        **kwargs: those of :class:`Layer`.

    Raises:
        ModelError: ``layer`` is none; an input of fewer than 3 axes.

    Source: ``keras.layers.TimeDistributed``.
    """

    @legacy_keywords()
    def __init__(self, layer: Layer, **kwargs: Any) -> None:
        super().__init__(layer, **kwargs)
        self.supports_masking = True

    def _inner_shape(self, shape: Shape) -> Shape:
        if len(shape) < 3:
            raise ModelError(f"{self._where}: expected an input of 3 axes or more, received shape {shape}.")
        return (shape[0], *shape[2:])

    def build(self, input_shape: Any = None) -> None:
        super().build(self._inner_shape(standardize_shape(input_shape, self._where)))

    def compute_output_shape(self, input_shape: Any) -> Shape:
        shape = standardize_shape(input_shape, self._where)
        inner = self.layer.compute_output_shape(self._inner_shape(shape))
        return (inner[0], shape[1], *inner[1:])

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        registry.refuse(self._where, mask=mask)
        shape = ops.shape(inputs)
        self._inner_shape(shape)
        # what Keras does at each step leaves out the activity regularizer of the layer itself
        activity, self.layer.activity_regularizer = self.layer.activity_regularizer, None
        try:
            if self.layer._row_by_row:
                return self.layer(inputs, training=training)
            return ops.stack([self.layer(inputs[:, i], training=training) for i in range(shape[1] or 0)], axis=1)
        finally:
            self.layer.activity_regularizer = activity
