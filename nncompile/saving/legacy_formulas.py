"""Formulas as they were before Keras 3, for files of that time: they mean what they meant.

Each is registered under the package ``nncompile``, so that a model that was read from an old file
can be written to a new one, and read again here.

Sources: the tags 1.2.2, 2.3.1 and v2.10.0 of Keras, and the kernels of TensorFlow that the last of
these calls.
"""

from __future__ import annotations

from typing import Any

from .. import ops, registry
from ..optimizers import Adagrad, Nadam, RMSprop

PACKAGE = "nncompile"


@registry.register_keras_serializable(PACKAGE)
def hard_sigmoid_keras2(x: Any) -> Any:
    """Returns ``clip(0.2 x + 0.5, 0, 1)``, which Keras 1 and 2 called hard_sigmoid.

    Args:
        x: array or expression of any shape, which the result has too.

    Source: ``keras.backend.hard_sigmoid`` of 2.15.
    """
    return ops.clip(0.2 * x + 0.5, 0.0, 1.0)


@registry.register_keras_serializable(PACKAGE)
def cosine_proximity_keras1(y_true: Any, y_pred: Any) -> Any:
    """Returns ``-mean(t p)`` over the last axis, t and p of length 1: since Keras 2 it is the sum.

    Args:
        y_true: targets of shape ``(…, columns)``.
        y_pred: predictions of that shape.

    Source: ``keras.objectives.cosine_proximity`` of 1.2.2.
    """

    def unit(x: Any) -> Any:
        squares = ops.sum(ops.square(x), axis=-1, keepdims=True)
        return x / ops.sqrt(ops.maximum(squares, 1e-12))

    return -ops.mean(unit(y_true) * unit(y_pred), axis=-1)


@registry.register_keras_serializable(PACKAGE)
class RMSpropKeras2(RMSprop):
    """:class:`~nncompile.optimizers.RMSprop` without momentum, as it was before Keras 2.11.

    ``w = w - learning_rate * g / (sqrt(velocity) + epsilon)``: epsilon is added to the root, and
    not under it.

    Args:
        learning_rate: size of a step.
        rho: how much of the mean of squares is kept.
        momentum: only 0.
        epsilon: added to the root.
        centered: whether the square of the mean of gradients is subtracted first.
        *common: as of :class:`~nncompile.optimizers.Optimizer`, from ``weight_decay`` on.
        **keywords: the same by name.

    Source: ``keras.optimizers.RMSprop`` of 2.3.1.
    """

    def update(self, w: Any, g: Any, velocity: Any, *slots: Any, step: Any) -> tuple[Any, ...]:
        velocity = self.rho * velocity + (1 - self.rho) * ops.square(g)
        if not self.centered:
            return w - self.learning_rate * g / (ops.sqrt(velocity) + self.epsilon), velocity
        mean = self.rho * slots[0] + (1 - self.rho) * g
        root = ops.sqrt(velocity - ops.square(mean))
        return w - self.learning_rate * g / (root + self.epsilon), velocity, mean


@registry.register_keras_serializable(PACKAGE)
class AdagradKeras2(Adagrad):
    """:class:`~nncompile.optimizers.Adagrad` as it was before Keras 2.11.

    ``w = w - learning_rate * g / (sqrt(accumulator) + epsilon)``: epsilon is added to the root, and
    not under it.

    Args:
        learning_rate: size of a step.
        initial_accumulator_value: where the sums start.
        epsilon: added to the root.
        *common: as of :class:`~nncompile.optimizers.Optimizer`, from ``weight_decay`` on.
        **keywords: the same by name.

    Source: ``keras.optimizers.Adagrad`` of 2.3.1.
    """

    def update(self, w: Any, g: Any, accumulator: Any, *, step: Any) -> tuple[Any, ...]:
        accumulator = accumulator + ops.square(g)
        return w - self.learning_rate * g / (ops.sqrt(accumulator) + self.epsilon), accumulator


@registry.register_keras_serializable(PACKAGE)
class NadamKeras2(Nadam):
    """:class:`~nncompile.optimizers.Nadam` as it was before Keras 2.11.

    The momentum of step t is ``beta_1 * (1 - 0.96^(t * schedule_decay) / 2)``; since, the exponent is t.

    Args:
        learning_rate: size of a step.
        beta_1: how much of the mean of gradients is kept.
        beta_2: how much of the mean of squares is kept.
        epsilon: added to the root.
        schedule_decay: how fast the momentum grows.
        *common: as of :class:`~nncompile.optimizers.Optimizer`, from ``weight_decay`` on.
        **keywords: the same by name.

    Source: ``keras.optimizers.Nadam`` of 2.3.1.
    """

    def __init__(
        self,
        learning_rate: float = 0.002,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        schedule_decay: float = 0.004,
        *common: Any,
        **keywords: Any,
    ) -> None:
        super().__init__(learning_rate, beta_1, beta_2, epsilon, *common, **keywords)
        self.schedule_decay: Any = schedule_decay

    def _momentum(self, step: Any) -> Any:
        return self.beta_1 * (1.0 - 0.5 * 0.96 ** (step * self.schedule_decay))

    def update_scalars(self, step: Any, *scalars: Any) -> tuple[Any, ...]:
        return (scalars[0] * self._momentum(step),)

    def update(self, w: Any, g: Any, m: Any, v: Any, *, step: Any, u_product: Any) -> tuple[Any, ...]:
        now, later = self._momentum(step), self._momentum(step + 1.0)
        m = m + (g - m) * (1 - self.beta_1)
        v = v + (ops.square(g) - v) * (1 - self.beta_2)
        m_hat = later * m / (1.0 - u_product * later) + (1.0 - now) * g / (1.0 - u_product)
        v_hat = v / (1.0 - self.beta_2**step)
        return w - self.learning_rate * m_hat / (ops.sqrt(v_hat) + self.epsilon), m, v
