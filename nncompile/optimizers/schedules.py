"""Learning rates that change from step to step: formulas of the number of steps done.

A schedule is a formula over :mod:`nncompile.ops` of the step, which counts from 0. Called
with a number it computes with NumPy, in ``config.floatx()``, as Keras does; traced, it
becomes a few lines of C that are computed once per step, without leaving the loop. One of
your own is written as for Keras::

    class Warmup(nncompile.optimizers.schedules.LearningRateSchedule):
        def __init__(self, peak, steps):
            self.peak, self.steps = peak, steps

        def __call__(self, step):
            return self.peak * nncompile.ops.minimum(1.0, (step + 1) / self.steps)

        def get_config(self):
            return {"peak": self.peak, "steps": self.steps}
"""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from .. import config, ops, registry
from ..errors import ModelError
from ..registry import register

if TYPE_CHECKING:
    from typing_extensions import Self

_KIND = "optimizers.schedules"


class LearningRateSchedule:
    """Base of schedules; one of your own defines ``__call__(step)``, and ``get_config`` to be saved.

    Attributes:
        numbers: names of attributes that may be symbols while the formula is traced: what they are can change
            without compiling anew. Numbers that Python code of ``__call__`` decides by are not among them.

    Source: ``keras.optimizers.schedules.LearningRateSchedule``.
    """

    numbers: ClassVar[tuple[str, ...]] = ()

    def __call__(self, step: Any) -> Any:
        """Returns the learning rate of a step.

        Args:
            step: how many steps were done: a number, an array or a symbol.
        """
        raise NotImplementedError(
            f"{type(self).__name__}: define __call__(self, step) returning the learning rate, over nncompile.ops."
        )

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that make a schedule like this one."""
        raise NotImplementedError(f"{type(self).__name__}: define get_config() to save models that use it.")

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """Returns the schedule that :meth:`get_config` described.

        Args:
            config: its arguments.
        """
        return cls(**config)

    def with_values(self, **values: Any) -> Self:
        """Returns a copy whose :attr:`numbers` are the given symbols.

        Args:
            **values: symbols, or numbers, by name.
        """
        other = copy.copy(self)
        for name, value in values.items():
            setattr(other, name, value)
        return other


def _real(step: Any) -> Any:
    """A step in the element type; symbols stay what they are."""
    return step if isinstance(step, ops.Expression) else np.asarray(step).astype(config.floatx())[()]


def _positive(owner: str, what: str, value: Any) -> None:
    if not value > 0:
        raise ModelError(f"{owner}: {what}: expected a number above 0, received {value!r}.")


@register(_KIND)
class ExponentialDecay(LearningRateSchedule):
    """``initial_learning_rate * decay_rate ^ (step / decay_steps)``.

    Args:
        initial_learning_rate: where it starts.
        decay_steps: the period of the decay, above 0.
        decay_rate: what a period leaves of it.
        staircase: whether only whole periods count: the floor of ``step / decay_steps``.
        name: for the configuration.

    Raises:
        ModelError: ``decay_steps`` is not above 0.

    Source: ``keras.optimizers.schedules.ExponentialDecay``.
    """

    numbers = ("initial_learning_rate", "decay_steps", "decay_rate")

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: float,
        decay_rate: float,
        staircase: bool = False,
        name: str = "ExponentialDecay",
    ) -> None:
        _positive("ExponentialDecay", "decay_steps", decay_steps)
        self.initial_learning_rate: Any = initial_learning_rate
        self.decay_steps: Any = decay_steps
        self.decay_rate: Any = decay_rate
        self.staircase, self.name = staircase, name

    def __call__(self, step: Any) -> Any:
        periods = _real(step) / self.decay_steps
        if self.staircase:
            periods = ops.floor(periods)
        return self.initial_learning_rate * ops.power(self.decay_rate, periods)

    def get_config(self) -> dict[str, Any]:
        return {
            "initial_learning_rate": self.initial_learning_rate,
            "decay_steps": self.decay_steps,
            "decay_rate": self.decay_rate,
            "staircase": self.staircase,
            "name": self.name,
        }


@register(_KIND)
class PiecewiseConstantDecay(LearningRateSchedule):
    """``values[0]`` up to and including step ``boundaries[0]``, then ``values[1]``, and so on.

    Args:
        boundaries: the last steps of all values but the last, increasing.
        values: learning rates, one more than boundaries.
        name: for the configuration.

    Raises:
        ModelError: there is not one value more than boundaries.

    Source: ``keras.optimizers.schedules.PiecewiseConstantDecay``.
    """

    def __init__(self, boundaries: Sequence[float], values: Sequence[float], name: str = "PiecewiseConstant") -> None:
        if len(boundaries) != len(values) - 1:
            raise ModelError(
                "PiecewiseConstantDecay: expected one value more than boundaries, "
                f"received {len(boundaries)} boundaries and {len(values)} values."
            )
        self.boundaries, self.values, self.name = boundaries, values, name

    def __call__(self, step: Any) -> Any:
        step = _real(step)
        rate = self.values[-1] + ops.zeros_like(step)
        for boundary, value in reversed([*zip(self.boundaries, self.values, strict=False)]):
            rate = ops.where(step <= boundary, value, rate)
        return rate if isinstance(rate, ops.Expression) else rate[()]

    def get_config(self) -> dict[str, Any]:
        return {"boundaries": self.boundaries, "values": self.values, "name": self.name}


@register(_KIND)
class PolynomialDecay(LearningRateSchedule):
    """``(initial_learning_rate - end_learning_rate) * (1 - s / n)^power + end_learning_rate``.

    ``n = decay_steps`` and ``s = min(step, n)``; in cycles s is the step, and n the first multiple of
    ``decay_steps`` that is not below it.

    Args:
        initial_learning_rate: where it starts.
        decay_steps: how long the decay takes, above 0.
        end_learning_rate: where it ends.
        power: of the polynomial.
        cycle: whether it starts over, with a longer decay each time.
        name: for the configuration.

    Raises:
        ModelError: ``decay_steps`` is not above 0.

    Source: ``keras.optimizers.schedules.PolynomialDecay``.
    """

    numbers = ("initial_learning_rate", "decay_steps", "end_learning_rate", "power")

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: float,
        end_learning_rate: float = 0.0001,
        power: float = 1.0,
        cycle: bool = False,
        name: str = "PolynomialDecay",
    ) -> None:
        _positive("PolynomialDecay", "decay_steps", decay_steps)
        self.initial_learning_rate: Any = initial_learning_rate
        self.decay_steps: Any = decay_steps
        self.end_learning_rate: Any = end_learning_rate
        self.power: Any = power
        self.cycle, self.name = cycle, name

    def __call__(self, step: Any) -> Any:
        step, steps = _real(step), self.decay_steps
        if self.cycle:
            steps = steps * ops.where(ops.equal(step, 0.0), 1.0, -ops.floor(-(step / steps)))  # the next whole number
        else:
            step = ops.minimum(step, steps)
        left = ops.power(1.0 - step / steps, self.power)
        return (self.initial_learning_rate - self.end_learning_rate) * left + self.end_learning_rate

    def get_config(self) -> dict[str, Any]:
        return {
            "initial_learning_rate": self.initial_learning_rate,
            "decay_steps": self.decay_steps,
            "end_learning_rate": self.end_learning_rate,
            "power": self.power,
            "cycle": self.cycle,
            "name": self.name,
        }


@register(_KIND)
class InverseTimeDecay(LearningRateSchedule):
    """``initial_learning_rate / (1 + decay_rate * step / decay_steps)``.

    Args:
        initial_learning_rate: where it starts.
        decay_steps: the period of the decay, above 0.
        decay_rate: how much a period adds to the divisor.
        staircase: whether only whole periods count: the floor of ``step / decay_steps``.
        name: for the configuration.

    Raises:
        ModelError: ``decay_steps`` is not above 0.

    Source: ``keras.optimizers.schedules.InverseTimeDecay``.
    """

    numbers = ("initial_learning_rate", "decay_steps", "decay_rate")

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: float,
        decay_rate: float,
        staircase: bool = False,
        name: str = "InverseTimeDecay",
    ) -> None:
        _positive("InverseTimeDecay", "decay_steps", decay_steps)
        self.initial_learning_rate: Any = initial_learning_rate
        self.decay_steps: Any = decay_steps
        self.decay_rate: Any = decay_rate
        self.staircase, self.name = staircase, name

    def __call__(self, step: Any) -> Any:
        periods = _real(step) / self.decay_steps
        if self.staircase:
            periods = ops.floor(periods)
        return self.initial_learning_rate / (1.0 + self.decay_rate * periods)

    def get_config(self) -> dict[str, Any]:
        return {
            "initial_learning_rate": self.initial_learning_rate,
            "decay_steps": self.decay_steps,
            "decay_rate": self.decay_rate,
            "staircase": self.staircase,
            "name": self.name,
        }


@register(_KIND)
class CosineDecay(LearningRateSchedule):
    """Half a cosine from a rate r down to ``alpha * r``, after a linear warm-up if there is one.

    ``r * ((1 - alpha) * (1 + cos(pi * s / decay_steps)) / 2 + alpha)`` with ``s = min(step, decay_steps)`` and
    ``r = initial_learning_rate``. With a ``warmup_target`` the rate first rises to it in ``warmup_steps`` steps,
    in a line from ``initial_learning_rate``; then r is the target and s counts from there.

    Args:
        initial_learning_rate: where it starts.
        decay_steps: how long the decay takes, above 0.
        alpha: the share that is left in the end.
        name: for the configuration.
        warmup_target: where the warm-up leads; None for none.
        warmup_steps: how long it takes.

    Raises:
        ModelError: ``decay_steps`` is not above 0.

    Source: ``keras.optimizers.schedules.CosineDecay``; Loshchilov and Hutter, 2016,
    https://arxiv.org/abs/1608.03983.
    """

    numbers = ("initial_learning_rate", "decay_steps", "alpha")

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: float,
        alpha: float = 0.0,
        name: str = "CosineDecay",
        warmup_target: float | None = None,
        warmup_steps: float = 0,
    ) -> None:
        _positive("CosineDecay", "decay_steps", decay_steps)
        self.initial_learning_rate: Any = initial_learning_rate
        self.decay_steps: Any = decay_steps
        self.alpha: Any = alpha
        self.name = name
        self.warmup_target, self.warmup_steps = warmup_target, warmup_steps

    def _decayed(self, step: Any, rate: Any) -> Any:
        cosine = 0.5 * (1.0 + ops.cos(math.pi * (step / self.decay_steps)))
        return rate * ((1 - self.alpha) * cosine + self.alpha)

    def __call__(self, step: Any) -> Any:
        step, first, target = _real(step), self.initial_learning_rate, self.warmup_target
        if target is None:
            return self._decayed(ops.minimum(step, self.decay_steps), first)
        warmup = self.warmup_steps
        step = ops.minimum(step, self.decay_steps + warmup)
        if warmup == 0:  # there is no such step
            return self._decayed(step, target)
        rising = (target - first) * (step / warmup) + first
        return ops.where(step < warmup, rising, self._decayed(step - warmup, target))

    def get_config(self) -> dict[str, Any]:
        return {
            "initial_learning_rate": self.initial_learning_rate,
            "decay_steps": self.decay_steps,
            "alpha": self.alpha,
            "name": self.name,
            "warmup_target": self.warmup_target,
            "warmup_steps": self.warmup_steps,
        }


@register(_KIND)
class CosineDecayRestarts(LearningRateSchedule):
    """Half cosines, one after the other, each ``t_mul`` times as long and from ``m_mul`` times as high.

    With the period i and the share f of it that is over at a step,
    ``initial_learning_rate * ((1 - alpha) * m_mul^i * (1 + cos(pi * f)) / 2 + alpha)``.

    Args:
        initial_learning_rate: where the first period starts.
        first_decay_steps: how long it is, above 0.
        t_mul: length of a period in units of that before.
        m_mul: height likewise.
        alpha: the share that is left at the end of a period.
        name: for the configuration.

    Raises:
        ModelError: ``first_decay_steps`` is not above 0.

    Source: ``keras.optimizers.schedules.CosineDecayRestarts``; Loshchilov and Hutter, 2016.
    """

    numbers = ("initial_learning_rate", "first_decay_steps", "alpha")

    def __init__(
        self,
        initial_learning_rate: float,
        first_decay_steps: float,
        t_mul: float = 2.0,
        m_mul: float = 1.0,
        alpha: float = 0.0,
        name: str = "SGDRDecay",
    ) -> None:
        _positive("CosineDecayRestarts", "first_decay_steps", first_decay_steps)
        self.initial_learning_rate: Any = initial_learning_rate
        self.first_decay_steps: Any = first_decay_steps
        self.t_mul, self.m_mul = t_mul, m_mul
        self.alpha: Any = alpha
        self.name = name

    def __call__(self, step: Any) -> Any:
        done = _real(step) / self.first_decay_steps
        if self.t_mul == 1.0:
            period = ops.floor(done)
            share = done - period
        else:  # the periods before i are (1 - t_mul^i) / (1 - t_mul) first ones long together
            period = ops.floor(ops.log(1.0 - done * (1.0 - self.t_mul)) / math.log(self.t_mul))
            length = ops.power(self.t_mul, period)
            share = (done - (1.0 - length) / (1.0 - self.t_mul)) / length
        cosine = 0.5 * ops.power(self.m_mul, period) * (1.0 + ops.cos(math.pi * share))
        return self.initial_learning_rate * ((1 - self.alpha) * cosine + self.alpha)

    def get_config(self) -> dict[str, Any]:
        return {
            "initial_learning_rate": self.initial_learning_rate,
            "first_decay_steps": self.first_decay_steps,
            "t_mul": self.t_mul,
            "m_mul": self.m_mul,
            "alpha": self.alpha,
            "name": self.name,
        }


def serialize(learning_rate_schedule: LearningRateSchedule) -> Any:
    """Returns Keras' description of a schedule.

    Args:
        learning_rate_schedule: the schedule.

    Source: ``keras.optimizers.schedules.serialize``.
    """
    return registry.serialize(learning_rate_schedule, _KIND)


def deserialize(config: Any, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """Returns the schedule that :func:`serialize` described.

    Args:
        config: a description.
        custom_objects: the user's classes by name.

    Raises:
        FileFormatError: the form is not one of Keras'.
        UnsupportedError: a description of something that is not known.
        ModelError: it is no schedule.

    Source: ``keras.optimizers.schedules.deserialize``.
    """
    found = registry.deserialize(config, _KIND, custom_objects)
    if not isinstance(found, LearningRateSchedule):
        raise ModelError(f"learning_rate: expected a LearningRateSchedule, received {type(found).__name__}.")
    return found


__all__ = [
    "CosineDecay",
    "CosineDecayRestarts",
    "ExponentialDecay",
    "InverseTimeDecay",
    "LearningRateSchedule",
    "PiecewiseConstantDecay",
    "PolynomialDecay",
    "deserialize",
    "serialize",
]
