"""Functions of ``keras.ops.nn``: the formulas of :mod:`nncompile.activations` and :mod:`nncompile.losses`.

They stand there, once, and are imported when they are called, as those modules are
built on this package.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .. import config
from ..docstrings import elementwise
from ..errors import ModelError
from .core import abs, clip, exp, log, log1p, maximum, multiply, sigmoid

if TYPE_CHECKING:
    from types import ModuleType


def _activations() -> ModuleType:
    from .. import activations

    return activations


def _losses() -> ModuleType:
    from .. import losses

    return losses


@elementwise
def relu(x: Any) -> Any:
    """``max(x, 0)``; the gradient at 0 is 0.

    Source: ``keras.ops.relu``; Nair and Hinton, 2010.
    """
    return _activations().relu(x)


@elementwise
def relu6(x: Any) -> Any:
    """``min(max(x, 0), 6)``

    Source: ``keras.ops.relu6``; Krizhevsky, 2010.
    """
    return _activations().relu6(x)


@elementwise
def leaky_relu(x: Any, negative_slope: float = 0.2) -> Any:
    """``x`` if ``x >= 0``, else ``negative_slope * x``.

    Args:
        negative_slope: factor below 0.

    Source: ``keras.ops.leaky_relu``; Maas et al., 2013.
    """
    return _activations().leaky_relu(x, negative_slope)


@elementwise
def elu(x: Any, alpha: float = 1.0) -> Any:
    """``x`` if ``x > 0``, else ``alpha * (e^x - 1)``.

    Args:
        alpha: how far below 0 it goes.

    Source: ``keras.ops.elu``; Clevert et al., 2016, https://arxiv.org/abs/1511.07289.
    """
    return _activations().elu(x, alpha)


@elementwise
def selu(x: Any) -> Any:
    """``1.0507009873554805 * elu(x, 1.6732632423543772)``

    Source: ``keras.ops.selu``; Klambauer et al., 2017, https://arxiv.org/abs/1706.02515.
    """
    return _activations().selu(x)


@elementwise
def celu(x: Any, alpha: float = 1.0) -> Any:
    """``x`` if ``x > 0``, else ``alpha * (e^(x / alpha) - 1)``.

    Args:
        alpha: how far below 0 it goes.

    Source: ``keras.ops.celu``; Barron, 2017, https://arxiv.org/abs/1704.07483.
    """
    return _activations().celu(x, alpha)


def sparsemax(x: Any, axis: int = -1) -> Any:
    """``max(x - t, 0)`` with the t for which the sum along an axis is 1: the nearest probabilities to ``x``.

    Args:
        x: array, or value of a formula.
        axis: along which results add up to 1.

    Returns:
        Numbers from 0 to 1, in the shape of ``x``.

    Source: ``keras.ops.sparsemax``; Martins and Astudillo, 2016, https://arxiv.org/abs/1602.02068.
    """
    return _activations().sparsemax(x, axis)


@elementwise
def gelu(x: Any, approximate: bool = True) -> Any:
    """``x / 2 * (1 + erf(x / sqrt(2)))``, or its approximation by tanh, which is the default as in Keras.

    Args:
        approximate: ``x / 2 * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 * x^3)))`` instead.

    Source: ``keras.ops.gelu``; Hendrycks and Gimpel, 2016, https://arxiv.org/abs/1606.08415.
    """
    return _activations().gelu(x, approximate)


@elementwise
def silu(x: Any) -> Any:
    """``x * sigmoid(x)``; also called swish.

    Source: ``keras.ops.silu``; Ramachandran et al., 2017, https://arxiv.org/abs/1710.05941.
    """
    return _activations().silu(x)


@elementwise
def hard_sigmoid(x: Any) -> Any:
    """``min(max(x + 3, 0), 6) / 6``"""
    return _activations().hard_sigmoid(x)


@elementwise
def hard_silu(x: Any) -> Any:
    """``x * hard_sigmoid(x)``; also called hard swish.

    Source: ``keras.ops.hard_silu``; Howard et al., 2019, https://arxiv.org/abs/1905.02244.
    """
    return _activations().hard_silu(x)


@elementwise
def hard_tanh(x: Any) -> Any:
    """``min(max(x, -1), 1)``"""
    return _activations().hard_tanh(x)


@elementwise
def tanh_shrink(x: Any) -> Any:
    """``x - tanh(x)``"""
    return _activations().tanh_shrink(x)


@elementwise
def hard_shrink(x: Any, threshold: float = 0.5) -> Any:
    """``x`` if ``|x| > threshold``, else 0.

    Args:
        threshold: up to which size numbers become 0.
    """
    return _activations().hard_shrink(x, threshold)


@elementwise
def soft_shrink(x: Any, threshold: float = 0.5) -> Any:
    """``x`` moved towards 0 by ``threshold``, 0 in between: ``x - clip(x, -threshold, threshold)``.

    Args:
        threshold: how far.
    """
    return _activations().soft_shrink(x, threshold)


@elementwise
def threshold(x: Any, threshold: float, default_value: float) -> Any:
    """``x`` if ``x > threshold``, else ``default_value``.

    Args:
        threshold: above which numbers stay.
        default_value: what others become.
    """
    return _activations().threshold(x, threshold, default_value)


@elementwise
def softplus(x: Any) -> Any:
    """``log(1 + e^x)``, as ``max(x, 0) + log(1 + e^-|x|)``.

    Source: ``keras.ops.softplus``; Dugas et al., 2001.
    """
    return _activations().softplus(x)


@elementwise
def softsign(x: Any) -> Any:
    """``x / (1 + |x|)``

    Source: ``keras.ops.softsign``; Glorot and Bengio, 2010.
    """
    return _activations().softsign(x)


@elementwise
def log_sigmoid(x: Any) -> Any:
    """``log(sigmoid(x))``, as ``-softplus(-x)``."""
    return _activations().log_sigmoid(x)


@elementwise
def sparse_plus(x: Any) -> Any:
    """0 up to -1, ``(x + 1)^2 / 4`` between -1 and 1, ``x`` from 1 on."""
    return _activations().sparse_plus(x)


@elementwise
def sparse_sigmoid(x: Any) -> Any:
    """0 up to -1, ``(x + 1) / 2`` between -1 and 1, 1 from 1 on.

    Source: ``keras.ops.sparse_sigmoid``; Blondel et al., 2019, https://arxiv.org/abs/1901.02324.
    """
    return _activations().sparse_sigmoid(x)


@elementwise
def squareplus(x: Any, b: float = 4) -> Any:
    """``(x + sqrt(x^2 + b)) / 2``

    Args:
        b: how round the corner at 0 is; with 0 it is that of relu.

    Source: ``keras.ops.squareplus``; Barron, 2021, https://arxiv.org/abs/2112.11687.
    """
    return _activations().squareplus(x, b)


def glu(x: Any, axis: int = -1) -> Any:
    """``a * sigmoid(b)`` for the halves a and b of an axis.

    Args:
        x: array, or value of a formula.
        axis: which is halved; in a formula not the batch.

    Returns:
        Numbers in the shape of ``x`` with half the size along the axis.

    Raises:
        ModelError: the axis has no even size.

    Source: ``keras.ops.glu``; Dauphin et al., 2017, https://arxiv.org/abs/1612.08083.
    """
    from .arrays import split

    if (x.shape[axis] or 0) % 2:
        raise ModelError(f"ops.glu: expected an even number of columns along axis {axis}, received shape {x.shape}.")
    first, second = split(x, 2, axis=axis)
    return multiply(first, sigmoid(second))


def binary_crossentropy(target: Any, output: Any, from_logits: bool = False) -> Any:
    """``-t * log(p) - (1 - t) * log(1 - p)``, number by number.

    Args:
        target: t, between 0 and 1, of any shape.
        output: p of the same shape, limited to [epsilon, 1 - epsilon]; with ``from_logits`` logits z: then it is
            ``max(z, 0) - z * t + log(1 + e^-|z|)``.
        from_logits: which of the two.

    Returns:
        A loss for each number, in the shape of ``target``.
    """
    if from_logits:
        return maximum(output, 0.0) - multiply(output, target) + log1p(exp(-abs(output)))
    p = clip(output, config.epsilon(), 1.0 - config.epsilon())
    return -(multiply(target, log(p)) + multiply(1.0 - target, log(1.0 - p)))


def categorical_crossentropy(target: Any, output: Any, from_logits: bool = False, axis: int = -1) -> Any:
    """``-sum(t * log(p))`` over the classes; see :func:`nncompile.losses.categorical_crossentropy`.

    Args:
        target: t, ``(batch, …, classes)``.
        output: p of the same shape, divided by its sum; with ``from_logits`` logits, whose softmax p is.
        from_logits: which of the two.
        axis: that of the classes.

    Returns:
        A loss for each sample, ``(batch, …)``.
    """
    return _losses().categorical_crossentropy(target, output, from_logits=from_logits, axis=axis)


def sparse_categorical_crossentropy(target: Any, output: Any, from_logits: bool = False, axis: int = -1) -> Any:
    """``-log(p)`` of the class that the target names; see :func:`nncompile.losses.sparse_categorical_crossentropy`.

    Args:
        target: numbers of classes, ``(batch, …)``.
        output: p, ``(batch, …, classes)``; with ``from_logits`` logits, whose softmax p is.
        from_logits: which of the two.
        axis: that of the classes.

    Returns:
        A loss for each sample, ``(batch, …)``.
    """
    return _losses().sparse_categorical_crossentropy(target, output, from_logits=from_logits, axis=axis)


swish, hard_swish = silu, hard_silu

__all__ = [
    "binary_crossentropy",
    "categorical_crossentropy",
    "celu",
    "elu",
    "gelu",
    "glu",
    "hard_shrink",
    "hard_sigmoid",
    "hard_silu",
    "hard_swish",
    "hard_tanh",
    "leaky_relu",
    "log_sigmoid",
    "relu",
    "relu6",
    "selu",
    "silu",
    "soft_shrink",
    "softplus",
    "softsign",
    "sparse_categorical_crossentropy",
    "sparse_plus",
    "sparse_sigmoid",
    "sparsemax",
    "squareplus",
    "swish",
    "tanh_shrink",
    "threshold",
]
