"""Adam and what came of it: AdamW, Adamax, Nadam, ScheduleFreeAdamW, Lamb, Adafactor."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import ops
from ..errors import ModelError
from ..registry import register
from ..variables import Array, Variable
from .base import Initial, Optimizer, is_on


@register("optimizers")
class Adam(Optimizer):
    """Running mean of gradients divided by the root of that of their squares.

    ``m = m + (g - m) * (1 - beta_1)`` and ``v = v + (g^2 - v) * (1 - beta_2)``, then
    ``w = w - m * rate / (sqrt(v) + epsilon)`` with the correction for having started at 0 in
    ``rate = learning_rate * sqrt(1 - beta_2^step) / (1 - beta_1^step)``. AMSGrad takes
    the largest v so far.

    Args:
        learning_rate: size of a step.
        beta_1: how much of the mean of gradients is kept.
        beta_2: how much of the mean of squares is kept.
        epsilon: added to the root.
        amsgrad: whether to use the largest mean of squares.
        *common: as of :class:`Optimizer`, from ``weight_decay`` on.
        **keywords: the same by name.

    Source: ``keras.optimizers.Adam``; Kingma and Ba, 2014, https://arxiv.org/abs/1412.6980
    (end of section 2); Reddi et al., 2018.
    """

    def __init__(
        self,
        learning_rate: float = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        amsgrad: bool = False,
        *common: Any,
        **keywords: Any,
    ) -> None:
        super().__init__(learning_rate, *common, **keywords)
        self.beta_1: Any = beta_1
        self.beta_2: Any = beta_2
        self.epsilon: Any = epsilon
        self.amsgrad = amsgrad

    @property
    def slots(self) -> dict[str, Initial]:
        names = ["momentum", "velocity"] + (["velocity_hat"] if self.amsgrad else [])
        return dict.fromkeys(names, 0.0)

    @property
    def slot_groups(self) -> list[list[str]]:
        return [["momentum", "velocity"], *([["velocity_hat"]] if self.amsgrad else [])]

    def update(self, w: Any, g: Any, m: Any, v: Any, *v_hat: Any, step: Any) -> tuple[Any, ...]:
        rate = self.learning_rate * ops.sqrt(1 - self.beta_2**step) / (1 - self.beta_1**step)
        m = m + (g - m) * (1 - self.beta_1)
        v = v + (ops.square(g) - v) * (1 - self.beta_2)
        if not v_hat:
            return w - m * rate / (ops.sqrt(v) + self.epsilon), m, v
        largest = ops.maximum(v_hat[0], v)
        return w - m * rate / (ops.sqrt(largest) + self.epsilon), m, v, largest


@register("optimizers", "adamw")
class AdamW(Adam):
    """:class:`Adam` with weight decay apart from the gradient: ``w - w * weight_decay * learning_rate`` first.

    Args:
        learning_rate: size of a step.
        weight_decay: as of :class:`Optimizer`, but not None.
        beta_1: how much of the mean of gradients is kept.
        beta_2: how much of the mean of squares is kept.
        epsilon: added to the root.
        amsgrad: whether to use the largest mean of squares.
        *common: as of :class:`Optimizer`, from ``clipnorm`` on.
        **keywords: the same by name.

    Raises:
        ModelError: ``weight_decay`` is None.

    Source: ``keras.optimizers.AdamW``; Loshchilov and Hutter, 2019, https://arxiv.org/abs/1711.05101.
    """

    def __init__(
        self,
        learning_rate: float = 0.001,
        weight_decay: float = 0.004,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        amsgrad: bool = False,
        *common: Any,
        **keywords: Any,
    ) -> None:
        if weight_decay is None:
            raise ModelError("AdamW: weight_decay: expected a float, received None. Use Adam for none.")
        super().__init__(learning_rate, beta_1, beta_2, epsilon, amsgrad, weight_decay, *common, **keywords)


@register("optimizers")
class Adamax(Optimizer):
    """:class:`Adam` with the largest gradient, fading, in place of the root.

    ``m = m + (g - m) * (1 - beta_1)`` and ``u = max(beta_2 * u, |g|)``, then
    ``w = w - learning_rate * m / ((1 - beta_1^step) * (u + epsilon))``.

    Args:
        learning_rate: size of a step.
        beta_1: how much of the mean of gradients is kept.
        beta_2: how fast the largest gradient fades.
        epsilon: added to it.
        *common: as of :class:`Optimizer`, from ``weight_decay`` on.
        **keywords: the same by name.

    Source: ``keras.optimizers.Adamax``; Kingma and Ba, 2014, section 7.1.
    """

    def __init__(
        self,
        learning_rate: float = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        *common: Any,
        **keywords: Any,
    ) -> None:
        super().__init__(learning_rate, *common, **keywords)
        self.beta_1: Any = beta_1
        self.beta_2: Any = beta_2
        self.epsilon: Any = epsilon

    @property
    def slots(self) -> dict[str, Initial]:
        return {"momentum": 0.0, "norm": 0.0}

    def update(self, w: Any, g: Any, m: Any, u: Any, *, step: Any) -> tuple[Any, ...]:
        m = m + (g - m) * (1 - self.beta_1)
        u = ops.maximum(self.beta_2 * u, ops.abs(g))
        return w - self.learning_rate * m / ((1 - self.beta_1**step) * (u + self.epsilon)), m, u


@register("optimizers")
class Nadam(Optimizer):
    """:class:`Adam` with Nesterov's momentum.

    With ``u(t) = beta_1 * (1 - 0.96^t / 2)`` and their product P(t) up to t = step,
    m and v as in Adam: ``w = w - learning_rate * m' / (sqrt(v / (1 - beta_2^t)) + epsilon)`` where
    ``m' = u(t + 1) * m / (1 - P(t) * u(t + 1)) + (1 - u(t)) * g / (1 - P(t))``.

    Args:
        learning_rate: size of a step.
        beta_1: how much of the mean of gradients is kept.
        beta_2: how much of the mean of squares is kept.
        epsilon: added to the root.
        *common: as of :class:`Optimizer`, from ``weight_decay`` on.
        **keywords: the same by name.

    Source: ``keras.optimizers.Nadam``; Dozat, 2015.
    """

    def __init__(
        self,
        learning_rate: float = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        *common: Any,
        **keywords: Any,
    ) -> None:
        super().__init__(learning_rate, *common, **keywords)
        self.beta_1: Any = beta_1
        self.beta_2: Any = beta_2
        self.epsilon: Any = epsilon

    @property
    def slots(self) -> dict[str, Initial]:
        return {"momentum": 0.0, "velocity": 0.0}

    @property
    def scalars(self) -> dict[str, float]:
        return {"u_product": 1.0}

    def update_scalars(self, step: Any, *scalars: Any) -> tuple[Any, ...]:
        return (scalars[0] * self.beta_1 * (1.0 - 0.5 * 0.96**step),)

    def update(self, w: Any, g: Any, m: Any, v: Any, *, step: Any, u_product: Any) -> tuple[Any, ...]:
        u = self.beta_1 * (1.0 - 0.5 * 0.96**step)
        u_next = self.beta_1 * (1.0 - 0.5 * 0.96 ** (step + 1.0))
        m = m + (g - m) * (1 - self.beta_1)
        v = v + (ops.square(g) - v) * (1 - self.beta_2)
        m_hat = u_next * m / (1.0 - u_product * u_next) + (1.0 - u) * g / (1.0 - u_product)
        v_hat = v / (1.0 - self.beta_2**step)
        return w - m_hat * self.learning_rate / (ops.sqrt(v_hat) + self.epsilon), m, v


@register("optimizers")
class ScheduleFreeAdamW(Optimizer):
    """:class:`Adam` without a schedule: it trains at a point between a fast sequence and the mean of that.

    ``z`` (the slot ``momentum``, which starts as the weight) takes the steps: ``z = z - rate * g / (sqrt(v / (1 -
    beta_2^step)) + epsilon)``, with v as in Adam and ``rate = learning_rate * min(step / warmup_steps, 1)``. The mean
    is ``x = (1 - 1 / step) * x + z / step``; the weight, from which x is found again, is ``w = (1 - beta_1) * z +
    beta_1 * x``.

    Args:
        learning_rate: size of a step.
        beta_1: share of the mean in the weight, above 0.
        beta_2: how much of the mean of squares is kept.
        epsilon: added to the root.
        warmup_steps: how long the rate rises; 0 for no rise.
        *common: as of :class:`Optimizer`, from ``weight_decay`` on.
        **keywords: the same by name.

    Source: ``keras.optimizers.ScheduleFreeAdamW``; Defazio et al., 2024, https://arxiv.org/abs/2405.15682.
    """

    def __init__(
        self,
        learning_rate: float = 0.0025,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        warmup_steps: int = 0,
        *common: Any,
        **keywords: Any,
    ) -> None:
        super().__init__(learning_rate, *common, **keywords)
        self.beta_1: Any = beta_1
        self.beta_2: Any = beta_2
        self.epsilon: Any = epsilon
        self.warmup_steps: Any = warmup_steps

    @property
    def slots(self) -> dict[str, Initial]:
        return {"momentum": np.copy, "velocity": 0.0}

    def reads(self, name: str) -> bool:
        return name != "warmup_steps" or is_on(self.warmup_steps)

    def update(self, w: Any, g: Any, z: Any, v: Any, *, step: Any) -> tuple[Any, ...]:
        rate = self.learning_rate
        if is_on(self.warmup_steps):
            rate = rate * ops.minimum(step / self.warmup_steps, 1.0)
        v = v + (ops.square(g) - v) * (1 - self.beta_2)
        x = (w - (1 - self.beta_1) * z) / self.beta_1
        z = z - rate * g / (ops.sqrt(v / (1 - self.beta_2**step)) + self.epsilon)
        share = 1.0 / step
        x = (1 - share) * x + share * z
        return (1 - self.beta_1) * z + self.beta_1 * x, z, v


@register("optimizers")
class Lamb(Optimizer):
    """:class:`Adam` with steps in proportion to the size of the weight.

    With m and v as in Adam and ``r = m / (1 - beta_1^step) / (sqrt(v / (1 - beta_2^step)) + epsilon)``:
    ``w = w - learning_rate * r * norm(w) / norm(r)``; without the quotient where a norm is 0.

    Args:
        learning_rate: size of a step.
        beta_1: how much of the mean of gradients is kept.
        beta_2: how much of the mean of squares is kept.
        epsilon: added to the root.
        *common: as of :class:`Optimizer`, from ``weight_decay`` on.
        **keywords: the same by name.

    Source: ``keras.optimizers.Lamb``; You et al., 2019, https://arxiv.org/abs/1904.00962.
    """

    def __init__(
        self,
        learning_rate: float = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        *common: Any,
        **keywords: Any,
    ) -> None:
        super().__init__(learning_rate, *common, **keywords)
        self.beta_1: Any = beta_1
        self.beta_2: Any = beta_2
        self.epsilon: Any = epsilon

    @property
    def slots(self) -> dict[str, Initial]:
        return {"momentum": 0.0, "velocity": 0.0}

    def update(self, w: Any, g: Any, m: Any, v: Any, *, step: Any) -> tuple[Any, ...]:
        m = m + (g - m) * (1 - self.beta_1)
        v = v + (ops.square(g) - v) * (1 - self.beta_2)
        change = m / (1.0 - self.beta_1**step) / (ops.sqrt(v / (1.0 - self.beta_2**step)) + self.epsilon)
        size, length = ops.norm(w), ops.norm(change)
        ratio = ops.where(size > 0.0, ops.where(length > 0.0, size / length, 1.0), 1.0)
        return w - ratio * self.learning_rate * change, m, v


@register("optimizers")
class Adafactor(Optimizer):
    """Gradients divided by the root of the mean of their squares, of which only rows and columns are kept.

    With ``rms(a) = sqrt(mean(a^2))``, ``b = 1 - step^beta_2_decay`` and ``s = g^2 + epsilon_1``: the slots r and c of
    a kernel are running means of s over each row and each column, ``r = b * r + (1 - b) * mean(s, -1)``, and
    ``velocity = r / mean(r) * c``, an outer product; of a weight of one axis it is the running mean of s itself. Then
    ``u = g / sqrt(velocity)`` and ``w = w - a * u / max(1, rms(u) / clip_threshold)`` with ``a = max(epsilon_2,
    rms(w)) * min(learning_rate, 1 / sqrt(step))``.

    Args:
        learning_rate: largest size of a step, relative to the weight.
        beta_2_decay: how the memory of the means grows with the steps.
        epsilon_1: added to squares.
        epsilon_2: the least that counts as the size of a weight.
        clip_threshold: limit of rms(u).
        relative_step: kept for the interface: without it the step is not above ``1 / sqrt(step)`` either.
        *common: as of :class:`Optimizer`, from ``weight_decay`` on.
        **keywords: the same by name.

    Source: ``keras.optimizers.Adafactor``; Shazeer and Stern, 2018, https://arxiv.org/abs/1804.04235.
    """

    def __init__(
        self,
        learning_rate: float = 0.001,
        beta_2_decay: float = -0.8,
        epsilon_1: float = 1e-30,
        epsilon_2: float = 1e-3,
        clip_threshold: float = 1.0,
        relative_step: bool = True,
        *common: Any,
        **keywords: Any,
    ) -> None:
        super().__init__(learning_rate, *common, **keywords)
        self.beta_2_decay: Any = beta_2_decay
        self.epsilon_1: Any = epsilon_1
        self.epsilon_2: Any = epsilon_2
        self.clip_threshold: Any = clip_threshold
        self.relative_step = relative_step

    @property
    def slots(self) -> dict[str, Initial]:
        return {"r": _of_rows, "c": _of_columns, "velocity": 0.0}

    def slots_of(self, weight: Variable) -> dict[str, Initial]:
        return self.slots if weight.ndim >= 2 else {"velocity": 0.0}

    def _placeholders(self, weight: Variable, name: str) -> list[Variable]:
        return [self._variable(0, weight.name, "int32")]

    def update(self, w: Any, g: Any, *slots: Any, step: Any) -> tuple[Any, ...]:
        # Keras takes the smaller of learning_rate and 1 / sqrt(step) a second time if relative_step is set.
        relative = ops.minimum(self.learning_rate, 1 / ops.sqrt(step))
        rate = ops.maximum(self.epsilon_2, _root_mean_square(w)) * relative
        kept = 1 - ops.power(step, self.beta_2_decay)
        squares = ops.square(g) + self.epsilon_1
        means: tuple[Any, ...] = ()
        if len(slots) == 3:
            r = kept * slots[0] + (1 - kept) * ops.mean(squares, axis=-1)
            c = kept * slots[1] + (1 - kept) * ops.mean(squares, axis=-2)
            shares = r / ops.mean(r, axis=-1, keepdims=True)
            velocity = ops.expand_dims(shares, -1) * ops.expand_dims(c, -2)
            means = (r, c)
        else:
            velocity = kept * slots[0] + (1 - kept) * squares
        change = g / ops.sqrt(velocity)
        change = change / ops.maximum(1.0, _root_mean_square(change) / self.clip_threshold)
        return (w - rate * change, *means, velocity)


def _of_rows(w: Array) -> Array:
    return np.zeros(w.shape[:-1], w.dtype)


def _of_columns(w: Array) -> Array:
    return np.zeros((*w.shape[:-2], w.shape[-1]), w.dtype)


def _root_mean_square(x: Any) -> Any:
    return ops.sqrt(ops.mean(ops.square(x)))
