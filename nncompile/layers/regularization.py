"""Layers that act only in training."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import random, registry
from ..errors import ModelError
from ..registry import register
from .base import Layer, Shape, legacy_keywords, standardize_shape


@register("layers")
class Dropout(Layer):
    """In training, sets a random share of its input to zero and scales up the rest.

    Where U is uniform in [0, 1): ``x / (1 - rate)`` if ``U < 1 - rate``, else 0.
    Otherwise, or if ``rate`` is 0, the input as it is. Srivastava et al., 2014.

    Args:
        rate: share to drop, from 0 to 1.
        noise_shape: not supported yet; only None.
        seed: integer; drawn if None.
        **kwargs: those of :class:`Layer`; ``p`` is the spelling of Keras 1 for ``rate``.

    Raises:
        ModelError: ``rate`` is not a number between 0 and 1.
    """

    _takes_integers = False

    @legacy_keywords(p="rate")
    def __init__(
        self,
        rate: float,
        noise_shape: Sequence[int | None] | None = None,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        owner = type(self).__name__
        number = isinstance(rate, (int, float, np.integer, np.floating)) and not isinstance(rate, bool)
        if not number or math.isnan(rate) or not 0 <= rate <= 1:
            raise ModelError(f"{owner}: expected rate to be a number between 0 and 1, received {rate!r:.80}.")
        registry.refuse(owner, noise_shape=noise_shape)
        self.rate = rate.item() if isinstance(rate, np.generic) else rate
        self.noise_shape = None
        self.seed = seed
        self.seed_generator: random.SeedGenerator | None = None
        if self.rate > 0:
            self.seed_generator = random.SeedGenerator(seed)
        self.supports_masking = True
        self._build_at_init()

    def call(self, inputs: Any, training: bool = False) -> Any:
        if not training or self.rate == 0:
            return inputs
        return random.dropout(inputs, self.rate, seed=self.seed_generator)

    def compute_output_shape(self, input_shape: Any) -> Shape:
        return standardize_shape(input_shape, self._where)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "rate": self.rate, "seed": self.seed, "noise_shape": None}
