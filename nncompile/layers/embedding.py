"""Embedding: a row of a table for each integer."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from .. import constraints, initializers, ops, registry, regularizers
from ..errors import ModelError
from ..registry import register
from ..variables import Variable
from .base import Layer
from .legacy import caller_level, legacy_keywords
from .shapes import Shape, standardize_shape


@register("layers")
class Embedding(Layer):
    """Replaces each integer by a row of a table that is learned: ``(batch, …)`` becomes ``(batch, …, output_dim)``.

    A number below 0 counts from the end of the table; one that names no row gives NaN.

    Weight: ``embeddings`` (input_dim, output_dim).

    Args:
        input_dim: number of rows, one more than the largest integer.
        output_dim: width of a row.
        embeddings_initializer: of the table.
        embeddings_regularizer: of the table.
        embeddings_constraint: of the table.
        mask_zero: whether 0 stands for no step at all: then there is a mask, which leaves it out of means over the
            steps (``GlobalAveragePooling1D``).
        weights: initial numbers of the table, as an array or a list of one.
        lora_rank: not supported; only None.
        lora_alpha: not supported; only None.
        quantization_config: not supported; only None.
        **kwargs: those of :class:`Layer`, ``input_length``, which means nothing any more, and the spellings
            of Keras 1 ``init``, ``W_regularizer`` and ``W_constraint``.

    Raises:
        ModelError: ``input_dim`` or ``output_dim`` is not a positive integer.
        UnsupportedError: an argument that Keras has and nncompile has not.

    Source: ``keras.layers.Embedding``.
    """

    @legacy_keywords(
        "input_length",
        init="embeddings_initializer",
        W_regularizer="embeddings_regularizer",
        W_constraint="embeddings_constraint",
    )
    def __init__(
        self,
        input_dim: int,
        output_dim: int,
        embeddings_initializer: Any = "uniform",
        embeddings_regularizer: Any = None,
        embeddings_constraint: Any = None,
        mask_zero: bool = False,
        weights: ArrayLike | list[Any] | None = None,
        lora_rank: int | None = None,
        lora_alpha: float | None = None,
        quantization_config: Any = None,
        **kwargs: Any,
    ) -> None:
        owner = type(self).__name__
        for name, size in (("input_dim", input_dim), ("output_dim", output_dim)):
            if isinstance(size, (bool, np.bool_)) or not isinstance(size, (int, np.integer)) or size < 1:
                raise ModelError(f"{owner}: expected {name} to be a positive integer, received {size!r:.80}.")
        registry.refuse(
            owner,
            lora_rank=lora_rank,
            lora_alpha=lora_alpha,
            quantization_config=quantization_config,
        )
        if kwargs.pop("input_length", None) is not None:
            warnings.warn(
                f"{owner}: 'input_length' is of Keras 1 and 2 and means nothing any more; leave it out.",
                DeprecationWarning,
                stacklevel=caller_level(),
            )
        super().__init__(**kwargs)
        self.input_dim = int(input_dim)
        self.output_dim = int(output_dim)
        self.embeddings_initializer = initializers.get(embeddings_initializer)
        self.embeddings_regularizer = regularizers.get(embeddings_regularizer)
        self.embeddings_constraint = constraints.get(embeddings_constraint)
        self.mask_zero = self.supports_masking = bool(mask_zero)
        self.autocast = False
        if weights is not None:
            self.build()
            self.set_weights(weights if isinstance(weights, list) and len(weights) == 1 else [weights])

    _embeddings: Variable

    @property
    def embeddings(self) -> Variable:
        """The table; an AttributeError before the layer is built."""
        if not self.built:
            raise AttributeError(f"{self._where}: has no embeddings before it is built.")
        return self._embeddings

    def build(self, input_shape: Any = None) -> None:
        self._embeddings = self.add_weight(
            shape=(self.input_dim, self.output_dim),
            initializer=self.embeddings_initializer,
            name="embeddings",
            regularizer=self.embeddings_regularizer,
            constraint=self.embeddings_constraint,
        )

    def call(self, inputs: Any) -> Any:
        if not isinstance(inputs, ops.Expression) and inputs.dtype not in ("int32", "int64"):
            inputs = inputs.astype("int32")
        return ops.take(self._embeddings, inputs, axis=0)

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        return ops.not_equal(inputs, 0) if self.mask_zero else None

    def compute_output_shape(self, input_shape: Any) -> Shape:
        return (*standardize_shape(input_shape, self._where), self.output_dim)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "input_dim": self.input_dim,
            "output_dim": self.output_dim,
            "embeddings_initializer": initializers.serialize(self.embeddings_initializer),
            "embeddings_regularizer": regularizers.serialize(self.embeddings_regularizer),
            "activity_regularizer": regularizers.serialize(self.activity_regularizer),
            "embeddings_constraint": constraints.serialize(self.embeddings_constraint),
            "mask_zero": self.mask_zero,
            "quantization_config": None,
        }


@register("layers")
class Masking(Layer):
    """Leaves out steps all of whose numbers are one value: they are 0 and do not count where masks are used.

    ``y = x`` where any number of a step is not ``mask_value``, and 0 elsewhere.

    Args:
        mask_value: the number.
        **kwargs: those of :class:`Layer`.

    Source: ``keras.layers.Masking``.
    """

    def __init__(self, mask_value: float = 0.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.mask_value = mask_value
        self.supports_masking = True
        self._build_at_init()

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        return ops.any(ops.not_equal(inputs, self.mask_value), axis=-1)

    def call(self, inputs: Any) -> Any:
        counts = ops.any(ops.not_equal(inputs, self.mask_value), axis=-1, keepdims=True)
        return ops.where(counts, inputs, 0.0)

    def compute_output_shape(self, input_shape: Any) -> Shape:
        return standardize_shape(input_shape, self._where)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "mask_value": self.mask_value}
