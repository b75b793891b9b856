"""Layers that bring their input to a common mean and size."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import constraints, initializers, ops, registry, regularizers
from ..errors import ModelError
from ..registry import register
from ..variables import Variable
from .axes import checked_axes, positive_axes, to_last, vector
from .base import Layer
from .legacy import caller_level, legacy_keywords
from .shapes import InputSpec, Shape, standardize_shape


def _positive_number(value: Any, owner: str, name: str) -> float:
    """Returns an argument that is a number of 0 or more, as Python's.

    Raises:
        ModelError: it is another thing.
    """
    number = isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool)
    if not number or not value >= 0:
        raise ModelError(f"{owner}: expected {name} to be a number of 0 or more, received {value!r:.80}.")
    plain: float = value.item() if isinstance(value, np.generic) else value
    return plain


class _Normalization(Layer):
    """What the layers of this module share: a scale ``gamma`` and a shift ``beta``, and their arguments."""

    _takes_integers = False
    axis: int | list[int]
    epsilon: float
    gamma: Variable | None = None
    beta: Variable | None = None

    def _take_scale_and_shift(
        self,
        center: bool,
        scale: bool,
        beta_initializer: Any,
        gamma_initializer: Any,
        beta_regularizer: Any,
        gamma_regularizer: Any,
        beta_constraint: Any,
        gamma_constraint: Any,
    ) -> None:
        for name, value in (("center", center), ("scale", scale)):
            if not isinstance(value, (bool, np.bool_)):
                raise ModelError(f"{self._where}: expected {name} to be True or False, received {value!r:.80}.")
        self.center = bool(center)
        self.scale = bool(scale)
        self.beta_initializer = initializers.get(beta_initializer)
        self.gamma_initializer = initializers.get(gamma_initializer)
        self.beta_regularizer = regularizers.get(beta_regularizer)
        self.gamma_regularizer = regularizers.get(gamma_regularizer)
        self.beta_constraint = constraints.get(beta_constraint)
        self.gamma_constraint = constraints.get(gamma_constraint)
        self.supports_masking = True

    def _add_scale_and_shift(self, shape: Sequence[int | None]) -> None:
        """Makes ``gamma``, then ``beta``, as far as they are wanted."""
        self.gamma = self.beta = None
        if self.scale:
            self.gamma = self.add_weight(
                shape=shape,  # type: ignore[arg-type]  # an unknown size is refused there, with its name
                name="gamma",
                initializer=self.gamma_initializer,
                regularizer=self.gamma_regularizer,
                constraint=self.gamma_constraint,
            )
        if self.center:
            self.beta = self.add_weight(
                shape=shape,  # type: ignore[arg-type]
                name="beta",
                initializer=self.beta_initializer,
                regularizer=self.beta_regularizer,
                constraint=self.beta_constraint,
            )

    def _scaled(self, x: Any) -> Any:
        """Returns ``x * gamma + beta``, over the last axis."""
        if self.gamma is not None:
            x = ops.multiply(x, vector(self.gamma))
        return x if self.beta is None else ops.add(x, vector(self.beta))

    def _scale_and_shift_config(self) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
        """The arguments of scale and shift in three parts, between which Keras has those of each class."""
        wanted = {"center": self.center, "scale": self.scale}
        initial = {
            "beta_initializer": initializers.serialize(self.beta_initializer),
            "gamma_initializer": initializers.serialize(self.gamma_initializer),
        }
        limits = {
            "beta_regularizer": regularizers.serialize(self.beta_regularizer),
            "gamma_regularizer": regularizers.serialize(self.gamma_regularizer),
            "beta_constraint": constraints.serialize(self.beta_constraint),
            "gamma_constraint": constraints.serialize(self.gamma_constraint),
        }
        return wanted, initial, limits

    def compute_output_shape(self, input_shape: Any) -> Shape:
        shape = standardize_shape(input_shape, self._where)
        positive_axes(self.axis, shape, self._where)
        return shape


@register("layers")
class BatchNormalization(_Normalization):
    """Gives each feature mean 0 and variance 1 over the batch, then a mean and a size that are learned.

    ``gamma * (x - mean) / sqrt(variance + epsilon) + beta``. In training mean and
    variance are those of the batch (the variance divides by the count, not by one less),
    over all axes but ``axis``, and the layer keeps running ones: ``moving = momentum *
    moving + (1 - momentum) * batch``. Otherwise, and in training too if the layer is not
    ``trainable``, the running ones are taken. Ioffe and Szegedy, 2015.

    Weights, each (features,): ``gamma``, ``beta``, ``moving_mean``, ``moving_variance``.

    Args:
        axis: of the features.
        momentum: how much of the running mean and variance stays at a step.
        epsilon: added to the variance.
        center: whether there is a ``beta``.
        scale: whether there is a ``gamma``.
        beta_initializer: of ``beta``.
        gamma_initializer: of ``gamma``.
        moving_mean_initializer: of the running mean.
        moving_variance_initializer: of the running variance.
        beta_regularizer: of ``beta``.
        gamma_regularizer: of ``gamma``.
        beta_constraint: of ``beta``.
        gamma_constraint: of ``gamma``.
        renorm: not supported; only False.
        renorm_clipping: not supported; only None.
        renorm_momentum: without ``renorm`` it means nothing; kept for the configuration.
        synchronized: not supported; only False.
        **kwargs: those of :class:`Layer`; ``mode=0``, ``beta_init`` and ``gamma_init`` are of Keras 1.

    Raises:
        ModelError: an argument that cannot be right; an input without that axis.
        UnsupportedError: ``renorm``, ``synchronized``, a mask, or a ``mode`` of Keras 1 other than 0.

    Source: ``keras.layers.BatchNormalization``.
    """

    axis: int
    moving_mean: Variable
    moving_variance: Variable

    @legacy_keywords("mode", beta_init="beta_initializer", gamma_init="gamma_initializer")
    def __init__(
        self,
        axis: int = -1,
        momentum: float = 0.99,
        epsilon: float = 0.001,
        center: bool = True,
        scale: bool = True,
        beta_initializer: Any = "zeros",
        gamma_initializer: Any = "ones",
        moving_mean_initializer: Any = "zeros",
        moving_variance_initializer: Any = "ones",
        beta_regularizer: Any = None,
        gamma_regularizer: Any = None,
        beta_constraint: Any = None,
        gamma_constraint: Any = None,
        renorm: bool = False,
        renorm_clipping: Any = None,
        renorm_momentum: float = 0.99,
        synchronized: bool = False,
        **kwargs: Any,
    ) -> None:
        owner = type(self).__name__
        if "mode" in kwargs:
            mode = kwargs.pop("mode")
            if mode != 0:
                registry.refuse(owner, mode=mode)
            warnings.warn(
                f"{owner}: 'mode' is the spelling of Keras 1; leave mode=0 out.",
                DeprecationWarning,
                stacklevel=caller_level(),
            )
        super().__init__(**kwargs)
        registry.refuse(owner, renorm=renorm, renorm_clipping=renorm_clipping, synchronized=synchronized)
        if isinstance(axis, bool) or not isinstance(axis, (int, np.integer)):
            raise ModelError(f"{owner}: expected axis to be an integer, received {axis!r:.80}.")
        self.axis = int(axis)
        self.momentum = float(_positive_number(momentum, owner, "momentum"))
        self.epsilon = float(_positive_number(epsilon, owner, "epsilon"))
        self._take_scale_and_shift(
            center, scale, beta_initializer, gamma_initializer, beta_regularizer, gamma_regularizer, beta_constraint,
            gamma_constraint,
        )  # fmt: skip
        self.moving_mean_initializer = initializers.get(moving_mean_initializer)
        self.moving_variance_initializer = initializers.get(moving_variance_initializer)
        self.renorm = False
        self.renorm_clipping = None
        self.renorm_momentum = renorm_momentum
        self.synchronized = False

    def build(self, input_shape: Any) -> None:
        shape = standardize_shape(input_shape, self._where)
        (axis,) = positive_axes(self.axis, shape, self._where, batch=False)
        size = (shape[axis],)
        self._add_scale_and_shift(size)
        self.moving_mean = self.add_weight(
            shape=size,  # type: ignore[arg-type]
            name="moving_mean",
            initializer=self.moving_mean_initializer,
            trainable=False,
        )
        self.moving_variance = self.add_weight(
            shape=size,  # type: ignore[arg-type]
            name="moving_variance",
            initializer=self.moving_variance_initializer,
            trainable=False,
        )
        self.input_spec = InputSpec(ndim=len(shape), axes={self.axis: shape[axis]})

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        registry.refuse(self._where, mask=mask)
        x, restore = to_last(inputs, positive_axes(self.axis, ops.shape(inputs), self._where))
        if training and self.trainable:
            mean = ops.batch_mean(x)
            # The deviations add up to 0, so the variance does not change with the mean, and its gradient is
            # spared that way. Deviations are squared, not numbers: what is far from 0 keeps its digits.
            variance = ops.batch_mean(ops.square(x - ops.stop_gradient(mean)))
            self.moving_mean.assign(self._moved(self.moving_mean, mean))
            self.moving_variance.assign(self._moved(self.moving_variance, variance))
        else:
            mean, variance = self.moving_mean, self.moving_variance
        factor = ops.rsqrt(ops.add(variance, self.epsilon))
        if self.gamma is not None:
            factor = ops.multiply(factor, self.gamma)
        y = ops.multiply(ops.subtract(x, mean), factor)
        return restore(y if self.beta is None else ops.add(y, self.beta))

    def _moved(self, moving: Variable, batch: Any) -> Any:
        return ops.add(ops.multiply(moving, self.momentum), ops.multiply(batch, 1.0 - self.momentum))

    def get_config(self) -> dict[str, Any]:
        wanted, initial, limits = self._scale_and_shift_config()
        return {
            **super().get_config(),
            "axis": self.axis,
            "momentum": self.momentum,
            "epsilon": self.epsilon,
            **wanted,
            **initial,
            "moving_mean_initializer": initializers.serialize(self.moving_mean_initializer),
            "moving_variance_initializer": initializers.serialize(self.moving_variance_initializer),
            **limits,
            "synchronized": False,
            "renorm": False,
            "renorm_clipping": None,
            "renorm_momentum": self.renorm_momentum,
        }


@register("layers")
class LayerNormalization(_Normalization):
    """Gives each sample mean 0 and variance 1 over an axis or several, then a mean and a size that are learned.

    ``gamma * (x - mean) / sqrt(variance + epsilon) + beta``. Ba, Kiros and Hinton, 2016.

    Weights, each of the sizes of ``axis``: ``gamma``, ``beta``.

    Args:
        axis: one axis or a list, over which mean and variance are taken.
        epsilon: added to the variance.
        center: whether there is a ``beta``.
        scale: whether there is a ``gamma``.
        beta_initializer: of ``beta``.
        gamma_initializer: of ``gamma``.
        beta_regularizer: of ``beta``.
        gamma_regularizer: of ``gamma``.
        beta_constraint: of ``beta``.
        gamma_constraint: of ``gamma``.
        **kwargs: those of :class:`Layer`, and ``rms_scaling``, which can only be False: see :class:`RMSNormalization`.

    Raises:
        ModelError: an argument that cannot be right; an input without those axes.

    Source: ``keras.layers.LayerNormalization``.
    """

    @legacy_keywords("rms_scaling")
    def __init__(
        self,
        axis: int | Sequence[int] = -1,
        epsilon: float = 0.001,
        center: bool = True,
        scale: bool = True,
        beta_initializer: Any = "zeros",
        gamma_initializer: Any = "ones",
        beta_regularizer: Any = None,
        gamma_regularizer: Any = None,
        beta_constraint: Any = None,
        gamma_constraint: Any = None,
        **kwargs: Any,
    ) -> None:
        owner = type(self).__name__
        registry.refuse(owner, rms_scaling=kwargs.pop("rms_scaling", False))
        super().__init__(**kwargs)
        self.axis = checked_axes(axis, owner)
        self.epsilon = _positive_number(epsilon, owner, "epsilon")
        self._take_scale_and_shift(
            center, scale, beta_initializer, gamma_initializer, beta_regularizer, gamma_regularizer, beta_constraint,
            gamma_constraint,
        )  # fmt: skip

    def build(self, input_shape: Any) -> None:
        shape = standardize_shape(input_shape, self._where)
        positive_axes(self.axis, shape, self._where, batch=False)
        # from here on a list, as in the files of Keras
        self.axis = sorted(self.axis) if isinstance(self.axis, list) else [self.axis]
        self._add_scale_and_shift([shape[a] for a in self.axis])

    def call(self, inputs: Any) -> Any:
        x, restore = to_last(inputs, positive_axes(self.axis, ops.shape(inputs), self._where))
        centered = x - ops.mean(x, axis=-1, keepdims=True)
        variance = ops.mean(ops.square(centered), axis=-1, keepdims=True)
        return restore(self._scaled(centered * ops.rsqrt(variance + self.epsilon)))

    def get_config(self) -> dict[str, Any]:
        wanted, initial, limits = self._scale_and_shift_config()
        return {
            **super().get_config(),
            "axis": self.axis,
            "epsilon": self.epsilon,
            **wanted,
            "rms_scaling": False,
            **initial,
            **limits,
        }


@register("layers")
class RMSNormalization(_Normalization):
    """Gives each sample the mean square 1 over an axis or several, then a size that is learned.

    ``scale * x / sqrt(mean(x^2) + epsilon)``. Zhang and Sennrich, 2019.

    Weight, of the sizes of ``axis``: ``scale``.

    Args:
        axis: one axis or a list, over which the mean is taken.
        epsilon: added to the mean square.
        **kwargs: those of :class:`Layer`.

    Raises:
        ModelError: an argument that cannot be right; an input without those axes.

    Source: ``keras.layers.RMSNormalization``.
    """

    scale: Variable  # type: ignore[assignment]

    @legacy_keywords()
    def __init__(self, axis: int | Sequence[int] = -1, epsilon: float = 1e-6, **kwargs: Any) -> None:
        owner = type(self).__name__
        super().__init__(**kwargs)
        self.axis = checked_axes(axis, owner)
        self.epsilon = _positive_number(epsilon, owner, "epsilon")

    def build(self, input_shape: Any) -> None:
        shape = standardize_shape(input_shape, self._where)
        positive_axes(self.axis, shape, self._where, batch=False)
        self.axis = sorted(self.axis) if isinstance(self.axis, list) else [self.axis]
        sizes: Any = [shape[a] for a in self.axis]
        self.scale = self.add_weight(shape=sizes, initializer="ones", name="scale")

    def call(self, x: Any) -> Any:
        x, restore = to_last(x, positive_axes(self.axis, ops.shape(x), self._where))
        size = ops.mean(ops.square(x), axis=-1, keepdims=True)
        return restore(ops.multiply(x * ops.rsqrt(size + self.epsilon), vector(self.scale)))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "axis": self.axis, "epsilon": self.epsilon}


@register("layers")
class UnitNormalization(_Normalization):
    """Gives each sample the length 1 over an axis or several: ``x / max(sqrt(sum(x^2)), 1e-12)``.

    Args:
        axis: one axis or a list, over which the sum is taken.
        **kwargs: those of :class:`Layer`.

    Raises:
        ModelError: an argument that cannot be right; an input without those axes.

    Source: ``keras.layers.UnitNormalization``.
    """

    @legacy_keywords()
    def __init__(self, axis: int | Sequence[int] = -1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.axis = checked_axes(axis, type(self).__name__)
        self.supports_masking = True
        self._build_at_init()

    def call(self, inputs: Any) -> Any:
        x, restore = to_last(inputs, positive_axes(self.axis, ops.shape(inputs), self._where))
        length_squared = ops.sum(ops.square(x), axis=-1, keepdims=True)
        return restore(x * ops.rsqrt(ops.maximum(length_squared, 1e-24)))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "axis": self.axis}


@register("layers")
class GroupNormalization(_Normalization):
    """Gives each group of features mean 0 and variance 1 in each sample, then a mean and a size that are learned.

    ``gamma * (x - mean) / sqrt(variance + epsilon) + beta``, mean and variance over the
    features of a group and all axes but those of the batch and the features. Wu and He, 2018.

    Weights, each (features,): ``gamma``, ``beta``.

    Args:
        groups: into how many equal groups of neighbours the features are divided; -1 for one each.
        axis: of the features.
        epsilon: added to the variance.
        center: whether there is a ``beta``.
        scale: whether there is a ``gamma``.
        beta_initializer: of ``beta``.
        gamma_initializer: of ``gamma``.
        beta_regularizer: of ``beta``.
        gamma_regularizer: of ``gamma``.
        beta_constraint: of ``beta``.
        gamma_constraint: of ``gamma``.
        **kwargs: those of :class:`Layer`.

    Raises:
        ModelError: ``groups`` does not divide the number of features, or another argument is wrong.

    Source: ``keras.layers.GroupNormalization``.
    """

    axis: int

    @legacy_keywords()
    def __init__(
        self,
        groups: int = 32,
        axis: int = -1,
        epsilon: float = 0.001,
        center: bool = True,
        scale: bool = True,
        beta_initializer: Any = "zeros",
        gamma_initializer: Any = "ones",
        beta_regularizer: Any = None,
        gamma_regularizer: Any = None,
        beta_constraint: Any = None,
        gamma_constraint: Any = None,
        **kwargs: Any,
    ) -> None:
        owner = type(self).__name__
        if isinstance(groups, bool) or not isinstance(groups, int) or (groups < 1 and groups != -1):
            raise ModelError(f"{owner}: expected groups to be a positive integer or -1, received {groups!r:.80}.")
        super().__init__(**kwargs)
        if isinstance(axis, bool) or not isinstance(axis, int):
            raise ModelError(f"{owner}: expected axis to be an integer, received {axis!r:.80}.")
        self.groups = groups
        self.axis = axis
        self.epsilon = _positive_number(epsilon, owner, "epsilon")
        self._take_scale_and_shift(
            center, scale, beta_initializer, gamma_initializer, beta_regularizer, gamma_regularizer, beta_constraint,
            gamma_constraint,
        )  # fmt: skip

    def build(self, input_shape: Any) -> None:
        shape = standardize_shape(input_shape, self._where)
        (axis,) = positive_axes(self.axis, shape, self._where, batch=False)
        features = shape[axis]
        if features is None:
            raise ModelError(f"{self._where}: expected to know the size of axis {self.axis}, received shape {shape}.")
        if self.groups == -1:
            self.groups = features
        if features % self.groups or features < self.groups:
            raise ModelError(
                f"{self._where}: expected groups to divide the {features} features of an input of shape {shape}, "
                f"received groups={self.groups}."
            )
        self.input_spec = InputSpec(ndim=len(shape), axes={self.axis: features})
        self._add_scale_and_shift((features,))

    def call(self, inputs: Any) -> Any:
        x, restore = to_last(inputs, positive_axes(self.axis, ops.shape(inputs), self._where))
        shape = [-1 if n is None else n for n in ops.shape(x)]
        rows, *positions, features = shape
        # the groups to the front, what belongs to one of them into a row
        grouped = ops.reshape(x, (rows, *positions, self.groups, features // self.groups))
        inner = [a for a in range(1, len(positions) + 3) if a != len(positions) + 1]
        y, ungrouped = to_last(grouped, inner)
        centered = y - ops.mean(y, axis=-1, keepdims=True)
        variance = ops.mean(ops.square(centered), axis=-1, keepdims=True)
        y = ungrouped(centered * ops.rsqrt(variance + self.epsilon))
        return restore(self._scaled(ops.reshape(y, shape)))

    def get_config(self) -> dict[str, Any]:
        wanted, initial, limits = self._scale_and_shift_config()
        return {
            **super().get_config(),
            "groups": self.groups,
            "axis": self.axis,
            "epsilon": self.epsilon,
            **wanted,
            **initial,
            **limits,
        }
