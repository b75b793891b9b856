"""Functions of ``keras.ops.nn``: the formulas of :mod:`nncompile.activations` and :mod:`nncompile.losses`.

They stand there, once, and are imported when they are called, as those modules are
built on this package.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .. import config
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


def relu(x: Any) -> Any:
    """``max(x, 0)``."""
    return _activations().relu(x)


def relu6(x: Any) -> Any:
    """``min(max(x, 0), 6)``."""
    return _activations().relu6(x)


def leaky_relu(x: Any, negative_slope: float = 0.2) -> Any:
    """``x`` if ``x >= 0``, else ``negative_slope x``."""
    return _activations().leaky_relu(x, negative_slope)


def elu(x: Any, alpha: float = 1.0) -> Any:
    """``x`` if ``x > 0``, else ``alpha (e^x - 1)``."""
    return _activations().elu(x, alpha)


def selu(x: Any) -> Any:
    """``1.0507009873554805 elu(x, 1.6732632423543772)``."""
    return _activations().selu(x)


def celu(x: Any, alpha: float = 1.0) -> Any:
    """``x`` if ``x > 0``, else ``alpha (e^(x / alpha) - 1)``."""
    return _activations().celu(x, alpha)


def sparsemax(x: Any, axis: int = -1) -> Any:
    """The point of the simplex that is the nearest to x, along an axis."""
    return _activations().sparsemax(x, axis)


def gelu(x: Any, approximate: bool = True) -> Any:
    """``x / 2 (1 + erf(x / sqrt(2)))``, or an approximation of it by tanh, which is the default as in Keras."""
    return _activations().gelu(x, approximate)


def silu(x: Any) -> Any:
    """``x sigmoid(x)``."""
    return _activations().silu(x)


def hard_sigmoid(x: Any) -> Any:
    """``x / 6 + 1 / 2``, limited to [0, 1]."""
    return _activations().hard_sigmoid(x)


def hard_silu(x: Any) -> Any:
    """``x hard_sigmoid(x)``."""
    return _activations().hard_silu(x)


def hard_tanh(x: Any) -> Any:
    """x limited to [-1, 1]."""
    return _activations().hard_tanh(x)


def tanh_shrink(x: Any) -> Any:
    """``x - tanh(x)``."""
    return _activations().tanh_shrink(x)


def hard_shrink(x: Any, threshold: float = 0.5) -> Any:
    """x beyond ``threshold`` on either side, 0 between."""
    return _activations().hard_shrink(x, threshold)


def soft_shrink(x: Any, threshold: float = 0.5) -> Any:
    """x moved towards 0 by ``threshold``, 0 where it would pass it."""
    return _activations().soft_shrink(x, threshold)


def threshold(x: Any, threshold: float, default_value: float) -> Any:
    """x above ``threshold``, ``default_value`` elsewhere."""
    return _activations().threshold(x, threshold, default_value)


def softplus(x: Any) -> Any:
    """``log(1 + e^x)``."""
    return _activations().softplus(x)


def softsign(x: Any) -> Any:
    """``x / (1 + |x|)``."""
    return _activations().softsign(x)


def log_sigmoid(x: Any) -> Any:
    """``log(sigmoid(x))``."""
    return _activations().log_sigmoid(x)


def sparse_plus(x: Any) -> Any:
    """0 below -1, x above 1, ``(x + 1)^2 / 4`` between."""
    return _activations().sparse_plus(x)


def sparse_sigmoid(x: Any) -> Any:
    """0 below -1, 1 above 1, ``(x + 1) / 2`` between."""
    return _activations().sparse_sigmoid(x)


def squareplus(x: Any, b: float = 4) -> Any:
    """``(x + sqrt(x^2 + b)) / 2``."""
    return _activations().squareplus(x, b)


def glu(x: Any, axis: int = -1) -> Any:
    """The first half of the columns times the sigmoid of the second."""
    from .arrays import split

    if (x.shape[axis] or 0) % 2:
        raise ModelError(f"ops.glu: expected an even number of columns along axis {axis}, received shape {x.shape}.")
    first, second = split(x, 2, axis=axis)
    return multiply(first, sigmoid(second))


def binary_crossentropy(target: Any, output: Any, from_logits: bool = False) -> Any:
    """Elementwise ``-t log(p) - (1 - t) log(1 - p)``.

    Args:
        target: t, between 0 and 1.
        output: probabilities, limited to [epsilon, 1 - epsilon]; with ``from_logits`` logits: then it is
            ``max(z, 0) - z t + log(1 + e^-|z|)``.
        from_logits: which of the two.
    """
    if from_logits:
        return maximum(output, 0.0) - multiply(output, target) + log1p(exp(-abs(output)))
    p = clip(output, config.epsilon(), 1.0 - config.epsilon())
    return -(multiply(target, log(p)) + multiply(1.0 - target, log(1.0 - p)))


def categorical_crossentropy(target: Any, output: Any, from_logits: bool = False, axis: int = -1) -> Any:
    """``-sum(t log(p))`` over the classes; see :func:`nncompile.losses.categorical_crossentropy`."""
    return _losses().categorical_crossentropy(target, output, from_logits=from_logits, axis=axis)


def sparse_categorical_crossentropy(target: Any, output: Any, from_logits: bool = False, axis: int = -1) -> Any:
    """``-log(p)`` of the class that the target names; see :func:`nncompile.losses.sparse_categorical_crossentropy`."""
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
