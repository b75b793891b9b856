"""Layers that act only in training, and the one that only penalizes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import ops, random, regularizers
from ..errors import ModelError
from ..registry import register
from .base import Layer
from .legacy import legacy_keywords
from .shapes import InputSpec, Shape, standardize_shape


def _share(value: Any, owner: str, name: str) -> float:
    """Returns an argument that is a number from 0 to 1, as Python's.

    Raises:
        ModelError: it is another thing.
    """
    number = isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool)
    if not number or math.isnan(value) or not 0 <= value <= 1:
        raise ModelError(f"{owner}: expected {name} to be a number between 0 and 1, received {value!r:.80}.")
    plain: float = value.item() if isinstance(value, np.generic) else value
    return plain


def _noise_shape(value: Any, owner: str) -> tuple[int | None, ...] | None:
    """Returns an argument that is a shape of positive sizes, or None in place of those of the input."""
    if value is None:
        return None
    shape = standardize_shape(value, f"{owner}: noise_shape")
    if 0 in shape:
        raise ModelError(f"{owner}: expected noise_shape to be of positive sizes, or None, received {value!r:.80}.")
    return shape


class _Noise(Layer):
    """A layer that has a source of random numbers, and an output of the shape of its input."""

    _takes_integers = False
    seed: int | None
    seed_generator: random.SeedGenerator | None = None

    def _take_seed(self, seed: int | None, needed: bool) -> None:
        """Makes the source of random numbers, unless the arguments are such that there is no noise."""
        self.seed = seed
        self.supports_masking = True
        self.seed_generator = random.SeedGenerator(seed) if needed else None
        self._build_at_init()

    def compute_output_shape(self, input_shape: Any) -> Shape:
        return standardize_shape(input_shape, self._where)


@register("layers")
class Dropout(_Noise):
    """In training, sets a random share of its input to zero and scales up the rest.

    Where U is uniform in [0, 1): ``x / (1 - rate)`` if ``U < 1 - rate``, else 0.
    Otherwise, or if ``rate`` is 0, the input as it is. Srivastava et al., 2014.

    Args:
        rate: share to drop, from 0 to 1.
        noise_shape: of U, if not that of the input: along axes of 1 all is dropped or
            kept together; None stands for a size of the input. In a compiled model the
            first size, of the batch, can only be None.
        seed: integer; drawn if None.
        **kwargs: those of :class:`Layer`; ``p`` is the spelling of Keras 1 for ``rate``.

    Raises:
        ModelError: ``rate`` is not a number between 0 and 1, or ``noise_shape`` no shape.

    Source: ``keras.layers.Dropout``.
    """

    @legacy_keywords(p="rate")
    def __init__(
        self,
        rate: float,
        noise_shape: Sequence[int | None] | None = None,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.rate = _share(rate, type(self).__name__, "rate")
        self.noise_shape = _noise_shape(noise_shape, type(self).__name__)
        self._take_seed(seed, self.rate > 0)

    def call(self, inputs: Any, training: bool = False) -> Any:
        if not training or self.rate == 0:
            return inputs
        return random.dropout(inputs, self.rate, self.noise_shape, seed=self.seed_generator)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "rate": self.rate, "seed": self.seed, "noise_shape": self.noise_shape}


@register("layers")
class SpatialDropout1D(Dropout):
    """Drops whole features: :class:`Dropout` of one random number for each sample and feature.

    Input ``(batch, steps, features)``, output the same. Tompson et al., 2014.

    Args:
        rate: share to drop, from 0 to 1.
        seed: integer; drawn if None.
        name: any string without ``/``.
        dtype: see :class:`Layer`.

    Raises:
        ModelError: ``rate`` is not a number between 0 and 1; an input of other than 3 axes.

    Source: ``keras.layers.SpatialDropout1D``.
    """

    @legacy_keywords(p="rate")
    def __init__(self, rate: float, seed: int | None = None, name: str | None = None, dtype: Any = None) -> None:
        super().__init__(rate, seed=seed, name=name, dtype=dtype)
        self.input_spec = InputSpec(ndim=3)

    def call(self, inputs: Any, training: bool = False) -> Any:
        if not training or self.rate == 0:
            return inputs
        return random.dropout(inputs, self.rate, (None, 1, None), seed=self.seed_generator)

    def get_config(self) -> dict[str, Any]:
        return {"rate": self.rate, "seed": self.seed, "name": self.name, "dtype": self.dtype}


@register("layers")
class GaussianNoise(_Noise):
    """In training, adds normal random numbers: ``x + stddev * n`` with n of mean 0 and standard deviation 1.

    The input may have any shape, which the output has too.

    Args:
        stddev: standard deviation, from 0 to 1.
        seed: integer; drawn if None.
        **kwargs: those of :class:`Layer`; ``sigma`` is the spelling of Keras 1 for ``stddev``.

    Raises:
        ModelError: ``stddev`` is not a number between 0 and 1.

    Source: ``keras.layers.GaussianNoise``.
    """

    @legacy_keywords(sigma="stddev")
    def __init__(self, stddev: float, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.stddev = _share(stddev, type(self).__name__, "stddev")
        self._take_seed(seed, self.stddev > 0)

    def call(self, inputs: Any, training: bool = False) -> Any:
        if not training or self.stddev == 0:
            return inputs
        return inputs + random.normal(ops.shape(inputs), 0.0, self.stddev, self.dtype, self.seed_generator)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "stddev": self.stddev, "seed": self.seed}


@register("layers")
class GaussianDropout(_Noise):
    """In training, multiplies by normal random numbers of mean 1 and standard deviation ``sqrt(rate / (1 - rate))``.

    The input may have any shape, which the output has too. Srivastava et al., 2014.

    Args:
        rate: of the :class:`Dropout` whose noise has that deviation, from 0 to 1. At 1
            there is none, which a call in training says.
        seed: integer; drawn if None.
        **kwargs: those of :class:`Layer`; ``p`` is the spelling of Keras 1 for ``rate``.

    Raises:
        ModelError: ``rate`` is not a number between 0 and 1.

    Source: ``keras.layers.GaussianDropout``.
    """

    @legacy_keywords(p="rate")
    def __init__(self, rate: float, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.rate = _share(rate, type(self).__name__, "rate")
        self._take_seed(seed, self.rate > 0)

    def call(self, inputs: Any, training: bool = False) -> Any:
        if not training or self.rate == 0:
            return inputs
        if self.rate == 1:
            raise ModelError(f"{self._where}: a rate of 1 has no finite deviation. Choose one below 1.")
        stddev = math.sqrt(self.rate / (1.0 - self.rate))
        return inputs * random.normal(ops.shape(inputs), 1.0, stddev, self.dtype, self.seed_generator)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "rate": self.rate, "seed": self.seed}


@register("layers")
class AlphaDropout(_Noise):
    """In training, a dropout after which mean and variance are what they were, if these were 0 and 1.

    Where U is uniform in [0, 1) and ``p = -1.7581``, the lowest value of SELU: ``a * x +
    b`` if ``U >= rate``, else ``a * p + b``, with ``a = ((1 - rate) * (1 + rate * p^2))^-0.5``
    and ``b = -a * p * rate``. For networks of ``selu``. Klambauer et al., 2017.

    Args:
        rate: share to drop, from 0 to 1. At 1 there is nothing left to scale, which a call in training says.
        noise_shape: see :class:`Dropout`.
        seed: integer; drawn if None.
        **kwargs: those of :class:`Layer`.

    Raises:
        ModelError: ``rate`` is not a number between 0 and 1, or ``noise_shape`` no shape.

    Source: ``keras.layers.AlphaDropout``.
    """

    _LOWEST = -1.6732632423543772 * 1.0507009873554805

    @legacy_keywords()
    def __init__(
        self,
        rate: float,
        noise_shape: Sequence[int | None] | None = None,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.rate = _share(rate, type(self).__name__, "rate")
        self.noise_shape = _noise_shape(noise_shape, type(self).__name__)
        self._take_seed(seed, self.rate > 0)

    def call(self, inputs: Any, training: bool = False) -> Any:
        if not training or self.rate == 0:
            return inputs
        if self.rate == 1:
            raise ModelError(f"{self._where}: a rate of 1 leaves nothing to scale. Choose one below 1.")
        a = ((1 - self.rate) * (1 + self.rate * self._LOWEST**2)) ** -0.5
        b = -a * self._LOWEST * self.rate
        noise = random.noise_like(inputs, self.noise_shape, self.seed_generator)
        return ops.where(ops.less(noise, self.rate), a * self._LOWEST + b, a * inputs + b)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "rate": self.rate, "seed": self.seed, "noise_shape": self.noise_shape}


@register("layers")
class ActivityRegularization(Layer):
    """The input as it is; ``l1 * sum(|x|) + l2 * sum(x^2)``, divided by the number of rows, is added to the loss.

    Args:
        l1: factor of the absolute values.
        l2: factor of the squares.
        **kwargs: those of :class:`Layer`.

    Raises:
        ModelError: a factor that is no number of 0 or more.

    Source: ``keras.layers.ActivityRegularization``.
    """

    @legacy_keywords()
    def __init__(self, l1: float = 0.0, l2: float = 0.0, **kwargs: Any) -> None:
        super().__init__(activity_regularizer=regularizers.L1L2(l1=l1, l2=l2), **kwargs)
        self.supports_masking = True
        self.l1 = l1
        self.l2 = l2
        self._build_at_init()

    def call(self, inputs: Any) -> Any:
        return inputs

    def compute_output_shape(self, input_shape: Any) -> Shape:
        return standardize_shape(input_shape, self._where)

    def get_config(self) -> dict[str, Any]:
        config = {**super().get_config(), "l1": self.l1, "l2": self.l2}
        del config["activity_regularizer"]
        return config
