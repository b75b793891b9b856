"""Activation functions: one formula each, over :mod:`nncompile.ops`.

A function here computes with NumPy when it is given numbers, a list or an array, and
builds an expression when it is given a symbol, so that it is its own reference. In
layers, only activations over the last axis can be compiled.

Not a number stays not a number: where Keras compares and thereby turns NaN into a
number (``hard_shrink``, ``threshold`` and ``relu`` with a threshold), the comparison
is turned round here, because a NaN that vanishes hides the defect that made it.
"""

from __future__ import annotations

import functools
import inspect
import math
import warnings
from collections.abc import Callable, Mapping
from typing import Any, ParamSpec

import numpy as np

from . import config, ops, registry
from .docstrings import elementwise
from .errors import ModelError
from .registry import register

P = ParamSpec("P")

_SELU_ALPHA = 1.6732632423543772
_SELU_SCALE = 1.0507009873554805


def _formula(function: Callable[P, Any]) -> Callable[P, Any]:
    """Lets a formula take whatever NumPy takes, and compute without NumPy's warnings.

    Its docstring gets what is said of all functions that work number by number.
    """

    @functools.wraps(function)
    def activation(x: Any, *args: Any, **keywords: Any) -> Any:
        formula: Callable[..., Any] = function
        if isinstance(x, (ops.Expression, ops.KerasTensor)):
            return formula(x, *args, **keywords)
        array = ops.convert_to_tensor(x)
        if isinstance(array, ops.Expression):  # of a weight, in a layer
            return formula(array, *args, **keywords)
        if array.dtype.kind in "biu" or isinstance(x, float):
            array = array.astype(config.floatx())
        with np.errstate(all="ignore"):
            return formula(array, *args, **keywords)

    return elementwise(activation)  # type: ignore[return-value]


@register("activations")
def linear(x: Any) -> Any:
    """Returns x unchanged.

    Args:
        x: anything.

    Source: ``keras.activations.linear``.
    """
    return x


@register("activations")
@_formula
def relu(x: Any, negative_slope: float = 0.0, max_value: float | None = None, threshold: float = 0.0) -> Any:
    """Rectifier: ``x`` above the threshold, ``negative_slope * (x - threshold)`` below.

    Its derivative at the threshold is the one below it: 0 without a slope.

    Args:
        negative_slope: factor below the threshold.
        max_value: largest result; none if None.
        threshold: where the two parts meet; what lies above is not shifted.

    Source: ``keras.activations.relu``; Nair and Hinton, 2010.
    """
    if max_value is None and threshold == 0:
        return leaky_relu(x, negative_slope) if negative_slope else ops.maximum(x, 0.0)
    above = ops.where(ops.less_equal(x, threshold), 0.0, x) if threshold else ops.maximum(x, 0.0)
    if max_value is not None:
        above = ops.clip(above, 0.0, max_value)
    if negative_slope:
        above = above - negative_slope * ops.maximum(threshold - x, 0.0)
    return above


@register("activations")
@_formula
def leaky_relu(x: Any, negative_slope: float = 0.2) -> Any:
    """``x`` if ``x >= 0``, else ``negative_slope * x``.

    The layer :class:`~nncompile.layers.LeakyReLU` has another default slope, 0.3.

    Args:
        negative_slope: factor below 0.

    Source: ``keras.activations.leaky_relu``; Maas et al., 2013.
    """
    return ops.where(ops.greater_equal(x, 0.0), x, negative_slope * x)


@register("activations")
@_formula
def relu6(x: Any) -> Any:
    """``min(max(x, 0), 6)``.

    Source: ``keras.activations.relu6``; Krizhevsky, 2010.
    """
    return ops.clip(x, 0.0, 6.0)


@register("activations")
@_formula
def softmax(x: Any, axis: int = -1) -> Any:
    """``e^x / sum(e^x)`` over an axis, with ``max(x)`` subtracted first.

    It warns if the axis has size 1, because the result is then always 1.

    Args:
        axis: along which results add up to 1.

    Source: ``keras.activations.softmax``.
    """
    if -len(x.shape) <= axis < len(x.shape) and x.shape[axis] == 1:
        warnings.warn(
            f"softmax: axis {axis} of shape {tuple(x.shape)} has size 1, so that the result is always 1. "
            "Use sigmoid for one output.",
            stacklevel=3,
        )
    return ops.softmax(x, axis=axis)


@register("activations")
@_formula
def log_softmax(x: Any, axis: int = -1) -> Any:
    """``log(softmax(x))`` over an axis: ``s - log(sum(e^s))`` with ``s = x - max(x)``.

    The largest value is subtracted before the logarithm is, not together with it:
    large logits would swallow the logarithm.

    Args:
        axis: that of the sum.

    Source: ``keras.activations.log_softmax``.
    """
    shifted = x - ops.stop_gradient(ops.max(x, axis=axis, keepdims=True))
    return shifted - ops.log(ops.sum(ops.exp(shifted), axis=axis, keepdims=True))


def _steps_to_simplex(width: int | None) -> int:
    """How many of Newton's steps find the threshold of a row to within its rounding.

    The sum above the threshold is convex and piecewise linear. With each step from the
    left the product of what is left of it and its slope falls to a quarter or less: from
    at most ``width^2`` to the rounding of 1. And each step leaves out at least one column,
    or was the last.
    """
    digits = 53 if config.floatx() == "float64" else 24
    if width is None:
        raise ModelError("sparsemax: the number of columns is not known here.")
    return min(width, math.ceil(math.log2(max(width, 1))) + digits // 2)


def _sparsemax(x: Any, axis: int) -> Any:
    @ops.custom_gradient
    def project(x: Any) -> tuple[Any, Callable[[Any], Any]]:
        z = x - ops.max(x, axis=axis, keepdims=True)
        threshold: Any = -1.0
        for _ in range(_steps_to_simplex(x.shape[axis])):
            above = ops.greater(z, threshold)
            number = ops.sum(ops.cast(above, None), axis=axis, keepdims=True)
            threshold = (ops.sum(ops.where(above, z, 0.0), axis=axis, keepdims=True) - 1.0) / number
        y = ops.maximum(z - threshold, 0.0)

        def gradient(g: Any) -> Any:
            support = ops.greater(y, 0.0)
            number = ops.sum(ops.cast(support, None), axis=axis, keepdims=True)
            mean = ops.sum(ops.where(support, g, 0.0), axis=axis, keepdims=True) / number
            return ops.where(support, g - mean, 0.0)

        return y, gradient

    return project(x)


@register("activations")
@_formula
def sparsemax(x: Any, axis: int = -1) -> Any:
    """``max(x - t, 0)`` with the t for which the sum over an axis is 1: the nearest probabilities to x.

    Unlike those of softmax many of them are 0. The threshold t is found by Newton's
    method, which needs no sorting. What Keras 3 returns up to version 3.15 is not this
    where more than one value is above 0: it takes the sum of the running sums for the
    last of them, and its results do not add up to 1.

    Args:
        axis: along which results add up to 1.

    Source: ``keras.activations.sparsemax``; Martins and Astudillo, 2016, https://arxiv.org/abs/1602.02068.
    """
    return _sparsemax(x, axis)


@register("activations")
@_formula
def glu(x: Any, axis: int = -1) -> Any:
    """``a * sigmoid(b)`` for the halves a and b of an axis, which the result has half of.

    Args:
        axis: which is halved; in a formula not the batch.

    Returns:
        Numbers in the shape of ``x`` with half the size along the axis.

    Raises:
        ModelError: the axis cannot be halved.

    Source: ``keras.activations.glu``; Dauphin et al., 2017, https://arxiv.org/abs/1612.08083.
    """
    if not -len(x.shape) <= axis < len(x.shape) or (x.shape[axis] or 1) % 2:
        raise ModelError(f"glu: expected an axis of even size, received axis {axis} of shape {tuple(x.shape)}.")
    half = x.shape[axis] // 2
    before = (slice(None),) * (axis % len(x.shape))
    return x[before + (slice(None, half),)] * ops.sigmoid(x[before + (slice(half, None),)])  # noqa: RUF005


def _exponential_unit(x: Any, alpha: float, width: float) -> Any:
    """``x`` above 0, ``alpha * (e^(x / width) - 1)`` below, where e^x cannot overflow."""
    positive = ops.greater(x, 0.0)
    below = ops.where(positive, 0.0, x)
    return ops.where(positive, x, alpha * ops.expm1(below if width == 1 else below / width))


@register("activations")
@_formula
def elu(x: Any, alpha: float = 1.0) -> Any:
    """``x`` if ``x > 0``, else ``alpha * (e^x - 1)``.

    Args:
        alpha: how far below 0 it goes.

    Source: ``keras.activations.elu``; Clevert et al., 2016, https://arxiv.org/abs/1511.07289.
    """
    return _exponential_unit(x, alpha, 1.0)


@register("activations")
@_formula
def selu(x: Any) -> Any:
    """``1.0507009873554805 * elu(x, alpha=1.6732632423543772)``.

    Source: ``keras.activations.selu``; Klambauer et al., 2017, https://arxiv.org/abs/1706.02515.
    """
    return _SELU_SCALE * _exponential_unit(x, _SELU_ALPHA, 1.0)


@register("activations")
@_formula
def celu(x: Any, alpha: float = 1.0) -> Any:
    """``x`` if ``x > 0``, else ``alpha * (e^(x / alpha) - 1)``; its derivative at 0 is 1.

    Args:
        alpha: how far below 0 it goes.

    Source: ``keras.activations.celu``; Barron, 2017, https://arxiv.org/abs/1704.07483.
    """
    return _exponential_unit(x, alpha, alpha)


@ops.custom_gradient
def _softplus(x: Any) -> tuple[Any, Callable[[Any], Any]]:
    # Differentiated as written, the two kinks at 0 would not cancel: max(x, 0) has
    # slope 0 there and |x| has slope 0, while softplus has slope 1/2.
    e = ops.exp(-ops.abs(x))
    softplus = ops.maximum(x, 0.0) + ops.log1p(e)

    def gradient(g: Any) -> Any:
        sigmoid = ops.where(ops.greater(x, 0.0), 1.0, e) / (1.0 + e)
        return g * sigmoid

    return softplus, gradient


@register("activations")
@_formula
def softplus(x: Any) -> Any:
    """``log(1 + e^x)``, as ``max(x, 0) + log(1 + e^-|x|)``; its derivative is the sigmoid.

    Source: ``keras.activations.softplus``; Dugas et al., 2001.
    """
    return _softplus(x)


@register("activations")
@_formula
def softsign(x: Any) -> Any:
    """``x / (1 + |x|)``.

    Source: ``keras.activations.softsign``; Glorot and Bengio, 2010.
    """
    return x / (1.0 + ops.abs(x))


@register("activations")
@_formula
def sigmoid(x: Any) -> Any:
    """``1 / (1 + e^-x)``, without overflow.

    Source: ``keras.activations.sigmoid``.
    """
    return ops.sigmoid(x)


@register("activations")
@_formula
def log_sigmoid(x: Any) -> Any:
    """``log(sigmoid(x))``, as ``-softplus(-x)``.

    Source: ``keras.activations.log_sigmoid``.
    """
    return -_softplus(-x)


@register("activations")
@_formula
def hard_sigmoid(x: Any) -> Any:
    """``min(max(x + 3, 0), 6) / 6``. Keras 1 and 2 had ``clip(0.2 * x + 0.5, 0, 1)``.

    Source: ``keras.activations.hard_sigmoid``.
    """
    return ops.clip(x + 3.0, 0.0, 6.0) / 6.0


@register("activations")
@_formula
def sparse_sigmoid(x: Any) -> Any:
    """``min(max((x + 1) / 2, 0), 1)``.

    Source: ``keras.activations.sparse_sigmoid``; Blondel et al., 2019, https://arxiv.org/abs/1901.02324.
    """
    return ops.clip(0.5 * (x + 1.0), 0.0, 1.0)


@register("activations")
@_formula
def tanh(x: Any) -> Any:
    """Hyperbolic tangent: ``(e^x - e^-x) / (e^x + e^-x)``, without overflow.

    Source: ``keras.activations.tanh``.
    """
    return ops.tanh(x)


@register("activations")
@_formula
def hard_tanh(x: Any) -> Any:
    """``min(max(x, -1), 1)``.

    Source: ``keras.activations.hard_tanh``.
    """
    return ops.clip(x, -1.0, 1.0)


@register("activations")
@_formula
def tanh_shrink(x: Any) -> Any:
    """``x - tanh(x)``.

    Source: ``keras.activations.tanh_shrink``.
    """
    return x - ops.tanh(x)


@register("activations")
@_formula
def exponential(x: Any) -> Any:
    """``e^x``.

    Source: ``keras.activations.exponential``.
    """
    return ops.exp(x)


@register("activations", "swish")
@_formula
def silu(x: Any) -> Any:
    """``x * sigmoid(x)``; also called swish.

    Source: ``keras.activations.silu``; Ramachandran et al., 2017, https://arxiv.org/abs/1710.05941.
    """
    return x * ops.sigmoid(x)


@register("activations", "hard_swish")
@_formula
def hard_silu(x: Any) -> Any:
    """``x * hard_sigmoid(x)``; also called hard swish.

    Source: ``keras.activations.hard_silu``; Howard et al., 2019, https://arxiv.org/abs/1905.02244.
    """
    return x * hard_sigmoid(x)


@register("activations")
@_formula
def gelu(x: Any, approximate: bool = False) -> Any:
    """``x * P(X <= x)`` for a standard normal X: ``x / 2 * (1 + erf(x / sqrt(2)))``.

    Args:
        approximate: ``x / 2 * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 * x^3)))`` instead.

    Source: ``keras.activations.gelu``; Hendrycks and Gimpel, 2016, https://arxiv.org/abs/1606.08415.
    """
    if approximate:
        share = ops.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * (x * x * x)))
    else:
        share = ops.erf(x * math.sqrt(0.5))
    return x * (0.5 * (1.0 + share))


@register("activations")
@_formula
def mish(x: Any) -> Any:
    """``x * tanh(softplus(x))``.

    Source: ``keras.activations.mish``; Misra, 2019, https://arxiv.org/abs/1908.08681.
    """
    return x * ops.tanh(_softplus(x))


@register("activations")
@_formula
def squareplus(x: Any, b: float = 4) -> Any:
    """``(x + sqrt(x^2 + b)) / 2``.

    Args:
        b: how round the corner at 0 is; with 0 it is that of relu.

    Source: ``keras.activations.squareplus``; Barron, 2021, https://arxiv.org/abs/2112.11687.
    """
    return (x + ops.sqrt(ops.square(x) + b)) / 2.0


@register("activations")
@_formula
def sparse_plus(x: Any) -> Any:
    """0 up to -1, ``(x + 1)^2 / 4`` between -1 and 1, ``x`` from 1 on.

    Source: ``keras.activations.sparse_plus``.
    """
    return ops.where(ops.greater_equal(x, 1.0), x, 0.25 * ops.square(ops.clip(x + 1.0, 0.0, 2.0)))


@register("activations")
@_formula
def soft_shrink(x: Any, threshold: float = 0.5) -> Any:
    """``x`` moved towards 0 by ``threshold``, 0 in between: ``x - clip(x, -threshold, threshold)``.

    Args:
        threshold: how far.

    Source: ``keras.activations.soft_shrink``.
    """
    return x - ops.clip(x, -threshold, threshold)


@register("activations")
@_formula
def hard_shrink(x: Any, threshold: float = 0.5) -> Any:
    """``x`` if ``|x| > threshold``, else 0.

    Args:
        threshold: up to which size numbers become 0.

    Source: ``keras.activations.hard_shrink``.
    """
    return ops.where(ops.less_equal(ops.abs(x), threshold), 0.0, x)


@register("activations")
@_formula
def threshold(x: Any, threshold: float, default_value: float) -> Any:
    """``x`` if ``x > threshold``, else ``default_value``.

    Args:
        threshold: above which numbers stay.
        default_value: what others become.

    Source: ``keras.activations.threshold``.
    """
    return ops.where(ops.less_equal(x, threshold), default_value, x)


swish = silu
hard_swish = hard_silu


# ------------------------------------------------------------------ names


def get(identifier: Any) -> Callable[..., Any]:
    """Returns the activation that ``identifier`` names or is.

    Args:
        identifier: None (:func:`linear`), a name, a function or layer (returned as it
            is), or what :func:`serialize` returned.

    Raises:
        ModelError: it is none of these; the nearest names are listed.

    Source: ``keras.activations.get``.
    """
    if identifier is None:
        return linear
    found = registry.look_up("activations", identifier, "a name, a function or a layer")
    return found  # type: ignore[no-any-return]


def serialize(activation: Callable[..., Any]) -> Any:
    """Returns the name of a built-in activation, or Keras' description of another.

    Args:
        activation: a function, or a layer.

    Raises:
        ModelError: it has no name by which it could be found again.

    Source: ``keras.activations.serialize``.
    """
    if not hasattr(activation, "get_config") and not inspect.isfunction(activation):
        return registry.describe_function(activation)
    return registry.serialize(activation, "activations")


def deserialize(config: Any, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """Returns the activation that :func:`serialize` described.

    Args:
        config: a name or a description.
        custom_objects: the user's functions and classes by name.

    Raises:
        FileFormatError: the form is not one of Keras'.
        ModelError: a name that nothing has.
        UnsupportedError: a description of something that is not known.

    Source: ``keras.activations.deserialize``.
    """
    return registry.deserialize(config, "activations", custom_objects)
