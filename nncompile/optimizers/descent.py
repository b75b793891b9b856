"""Optimizers that follow the gradient, or its size number by number: SGD, RMSprop, Adagrad, Adadelta, Lion, Ftrl."""

from __future__ import annotations

from typing import Any

from .. import ops
from ..errors import ModelError
from ..registry import register
from .base import Initial, Optimizer, check_number, is_on


@register("optimizers")
class SGD(Optimizer):
    """Gradient descent, with momentum if asked for.

    ``w = w - learning_rate * g``; with momentum ``m = momentum * m - learning_rate * g``
    and then ``w = w + m``, or ``w = w + momentum * m - learning_rate * g`` (Nesterov's).

    Args:
        learning_rate: how far to go against the gradient.
        momentum: how much of the last change is kept, a float in [0, 1].
        nesterov: whether the momentum looks ahead.
        *common: as of :class:`Optimizer`, from ``weight_decay`` on.
        **keywords: the same by name.

    Raises:
        ModelError: ``momentum`` is not such a float.

    Source: ``keras.optimizers.SGD``; Sutskever et al., 2013.
    """

    def __init__(
        self,
        learning_rate: float = 0.01,
        momentum: float = 0.0,
        nesterov: bool = False,
        *common: Any,
        **keywords: Any,
    ) -> None:
        super().__init__(learning_rate, *common, **keywords)
        if not isinstance(momentum, float) or not 0 <= momentum <= 1:
            raise ModelError(f"SGD: momentum: expected a float between 0 and 1, received {momentum!r}.")
        self.momentum: Any = momentum
        self.nesterov = nesterov

    @property
    def slots(self) -> dict[str, Initial]:
        return {"momentum": 0.0} if is_on(self.momentum) else {}

    def reads(self, name: str) -> bool:
        return name != "momentum" or is_on(self.momentum)

    def update(self, w: Any, g: Any, *slots: Any, step: Any) -> tuple[Any, ...]:
        change = g * self.learning_rate
        if not slots:
            return (w - change,)
        momentum = slots[0] * self.momentum - change
        if self.nesterov:
            return w + (momentum * self.momentum - change), momentum
        return w + momentum, momentum


@register("optimizers", "rmsprop")
class RMSprop(Optimizer):
    """Gradients divided by the root of the running mean of their squares.

    ``velocity = rho * velocity + (1 - rho) * g^2``, then
    ``w = w - learning_rate * g / sqrt(velocity + epsilon)``. Centered, the square of the
    running mean of g is subtracted from velocity first. With momentum, that change is
    added to ``momentum`` times the last one.

    Args:
        learning_rate: size of a step.
        rho: how much of the running means is kept.
        momentum: how much of the last change is kept, if above 0.
        epsilon: added under the root.
        centered: whether to divide by the variance instead of the mean square.
        *common: as of :class:`Optimizer`, from ``weight_decay`` on.
        **keywords: the same by name.

    Source: ``keras.optimizers.RMSprop``; Tieleman and Hinton, 2012; Graves, 2013.
    """

    def __init__(
        self,
        learning_rate: float = 0.001,
        rho: float = 0.9,
        momentum: float = 0.0,
        epsilon: float = 1e-7,
        centered: bool = False,
        *common: Any,
        **keywords: Any,
    ) -> None:
        super().__init__(learning_rate, *common, **keywords)
        self.rho: Any = rho
        self.momentum: Any = momentum
        self.epsilon: Any = epsilon
        self.centered = centered

    @property
    def slots(self) -> dict[str, Initial]:
        names = ["velocity"]
        if is_on(self.momentum):
            names.append("momentum")
        if self.centered:
            names.append("average_gradient")
        return dict.fromkeys(names, 0.0)

    @property
    def slot_groups(self) -> list[list[str]]:
        return [[name] for name in self.slots]

    def reads(self, name: str) -> bool:
        return name != "momentum" or is_on(self.momentum)

    def update(self, w: Any, g: Any, velocity: Any, *slots: Any, step: Any) -> tuple[Any, ...]:
        kept = list(slots)
        velocity = self.rho * velocity + (1 - self.rho) * ops.square(g)
        variance = velocity
        if self.centered:
            average_gradient = self.rho * kept[-1] + (1 - self.rho) * g
            variance = velocity - ops.square(average_gradient)
            kept[-1] = average_gradient
        change = self.learning_rate * g / ops.sqrt(variance + self.epsilon)
        if is_on(self.momentum):
            change = self.momentum * kept[0] + change
            kept[0] = change
        return (w - change, velocity, *kept)


@register("optimizers")
class Adagrad(Optimizer):
    """Gradients divided by the root of the sum of all their squares.

    ``accumulator = accumulator + g^2``, then
    ``w = w - learning_rate * g / sqrt(accumulator + epsilon)``.

    Args:
        learning_rate: size of a step.
        initial_accumulator_value: where the sums start.
        epsilon: added under the root.
        *common: as of :class:`Optimizer`, from ``weight_decay`` on.
        **keywords: the same by name.

    Source: ``keras.optimizers.Adagrad``; Duchi et al., 2011.
    """

    def __init__(
        self,
        learning_rate: float = 0.001,
        initial_accumulator_value: float = 0.1,
        epsilon: float = 1e-7,
        *common: Any,
        **keywords: Any,
    ) -> None:
        super().__init__(learning_rate, *common, **keywords)
        self.initial_accumulator_value: Any = initial_accumulator_value
        self.epsilon: Any = epsilon

    @property
    def slots(self) -> dict[str, Initial]:
        return {"accumulator": self.initial_accumulator_value}

    def reads(self, name: str) -> bool:
        return name != "initial_accumulator_value"

    def update(self, w: Any, g: Any, accumulator: Any, *, step: Any) -> tuple[Any, ...]:
        accumulator = accumulator + ops.square(g)
        return w - self.learning_rate * g / ops.sqrt(accumulator + self.epsilon), accumulator


@register("optimizers")
class Adadelta(Optimizer):
    """Gradients scaled to the size of recent changes.

    ``accumulated_grad`` is the running mean of g^2, ``accumulated_delta_var`` that of d^2, where
    ``d = -g * sqrt(accumulated_delta_var + epsilon) / sqrt(accumulated_grad + epsilon)``
    uses the new one of the former and the old one of the latter; ``w = w + learning_rate * d``.

    Args:
        learning_rate: factor of the changes; the paper has 1.0.
        rho: how much of the running means is kept.
        epsilon: added under the roots.
        *common: as of :class:`Optimizer`, from ``weight_decay`` on.
        **keywords: the same by name.

    Source: ``keras.optimizers.Adadelta``; Zeiler, 2012, https://arxiv.org/abs/1212.5701.
    """

    def __init__(
        self,
        learning_rate: float = 0.001,
        rho: float = 0.95,
        epsilon: float = 1e-7,
        *common: Any,
        **keywords: Any,
    ) -> None:
        super().__init__(learning_rate, *common, **keywords)
        self.rho: Any = rho
        self.epsilon: Any = epsilon

    @property
    def slots(self) -> dict[str, Initial]:
        return {"accumulated_grad": 0.0, "accumulated_delta_var": 0.0}

    def update(
        self, w: Any, g: Any, accumulated_grad: Any, accumulated_delta_var: Any, *, step: Any
    ) -> tuple[Any, ...]:
        rho, epsilon = self.rho, self.epsilon
        accumulated_grad = rho * accumulated_grad + (1 - rho) * ops.square(g)
        delta = -(ops.sqrt(accumulated_delta_var + epsilon) * g / ops.sqrt(accumulated_grad + epsilon))
        accumulated_delta_var = rho * accumulated_delta_var + (1 - rho) * ops.square(delta)
        return w + self.learning_rate * delta, accumulated_grad, accumulated_delta_var


@register("optimizers")
class Lion(Optimizer):
    """Steps of one size, in the direction of a running mean of gradients.

    ``w = w - learning_rate * sign(beta_1 * m + (1 - beta_1) * g)``, then
    ``m = beta_2 * m + (1 - beta_2) * g``.

    Args:
        learning_rate: size of a step.
        beta_1: share of the mean in the direction, above 0 and at most 1.
        beta_2: how much of the mean of gradients is kept.
        *common: as of :class:`Optimizer`, from ``weight_decay`` on.
        **keywords: the same by name.

    Raises:
        ModelError: ``beta_1`` is not in that range.

    Source: ``keras.optimizers.Lion``; Chen et al., 2023, https://arxiv.org/abs/2302.06675.
    """

    def __init__(
        self,
        learning_rate: float = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.99,
        *common: Any,
        **keywords: Any,
    ) -> None:
        super().__init__(learning_rate, *common, **keywords)
        check_number("Lion", "beta_1", beta_1)
        if not 0 < beta_1 <= 1:
            raise ModelError(f"Lion: beta_1: expected a number above 0 and at most 1, received {beta_1!r}.")
        self.beta_1: Any = beta_1
        self.beta_2: Any = beta_2

    @property
    def slots(self) -> dict[str, Initial]:
        return {"momentum": 0.0}

    def update(self, w: Any, g: Any, m: Any, *, step: Any) -> tuple[Any, ...]:
        direction = ops.sign(m * self.beta_1 + g * (1.0 - self.beta_1))
        return w - self.learning_rate * direction, m * self.beta_2 + g * (1.0 - self.beta_2)


@register("optimizers")
class Ftrl(Optimizer):
    """Follows the regularized leader: weights that a sum of gradients alone decides, many of them 0.

    With ``p = -learning_rate_power``, ``n' = accumulator + g^2`` and ``l2 = l2_regularization_strength + beta / (2 *
    learning_rate)``: ``linear = linear + g + 2 * l2_shrinkage_regularization_strength * w - (n'^p - accumulator^p) /
    learning_rate * w``, then ``w = (clip(linear, -l1, l1) - linear) / (n'^p / learning_rate + 2 * l2)`` with ``l1 =
    l1_regularization_strength``, and ``accumulator = n'``.

    Args:
        learning_rate: size of a step.
        learning_rate_power: how fast it shrinks, 0 or below; 0 keeps it.
        initial_accumulator_value: where the sums of squares start, 0 or above.
        l1_regularization_strength: 0 or above.
        l2_regularization_strength: 0 or above.
        l2_shrinkage_regularization_strength: 0 or above; a penalty on the size of the weights alone.
        beta: of the paper.
        *common: as of :class:`Optimizer`, from ``weight_decay`` on.
        **keywords: the same by name.

    Raises:
        ModelError: a number is out of its range.

    Source: ``keras.optimizers.Ftrl``; McMahan et al., 2013.
    """

    def __init__(
        self,
        learning_rate: float = 0.001,
        learning_rate_power: float = -0.5,
        initial_accumulator_value: float = 0.1,
        l1_regularization_strength: float = 0.0,
        l2_regularization_strength: float = 0.0,
        l2_shrinkage_regularization_strength: float = 0.0,
        beta: float = 0.0,
        *common: Any,
        **keywords: Any,
    ) -> None:
        super().__init__(learning_rate, *common, **keywords)
        ranges = {
            "initial_accumulator_value": initial_accumulator_value,
            "l1_regularization_strength": l1_regularization_strength,
            "l2_regularization_strength": l2_regularization_strength,
            "l2_shrinkage_regularization_strength": l2_shrinkage_regularization_strength,
        }
        for what, value in ranges.items():
            check_number("Ftrl", what, value)
            if value < 0.0:
                raise ModelError(f"Ftrl: {what}: expected a number of 0 or above, received {value!r}.")
        check_number("Ftrl", "learning_rate_power", learning_rate_power)
        if learning_rate_power > 0.0:
            raise ModelError(
                f"Ftrl: learning_rate_power: expected a number of 0 or below, received {learning_rate_power!r}."
            )
        self.learning_rate_power: Any = learning_rate_power
        self.initial_accumulator_value: Any = initial_accumulator_value
        self.l1_regularization_strength: Any = l1_regularization_strength
        self.l2_regularization_strength: Any = l2_regularization_strength
        self.l2_shrinkage_regularization_strength: Any = l2_shrinkage_regularization_strength
        self.beta: Any = beta

    @property
    def slots(self) -> dict[str, Initial]:
        return {"accumulator": self.initial_accumulator_value, "linear": 0.0}

    def reads(self, name: str) -> bool:
        return name != "initial_accumulator_value"

    def update(self, w: Any, g: Any, accumulator: Any, linear: Any, *, step: Any) -> tuple[Any, ...]:
        rate, power = self.learning_rate, -self.learning_rate_power
        l1, l2 = self.l1_regularization_strength, self.l2_regularization_strength + self.beta / (2.0 * rate)
        total = accumulator + ops.square(g)
        root = ops.power(total, power)
        shrunk = g + 2 * self.l2_shrinkage_regularization_strength * w
        linear = linear + (shrunk - (root - ops.power(accumulator, power)) / rate * w)
        return (ops.clip(linear, -l1, l1) - linear) / (root / rate + 2 * l2), total, linear
