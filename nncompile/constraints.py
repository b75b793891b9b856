"""Constraints: what a weight is made to be after each update.

A constraint is a formula over the whole of a weight that gives the new one. Given an array
it computes with NumPy; traced, it is done in C after the update: in the same pass where it
works number by number, else in passes of its own.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from . import config, ops, registry
from .errors import ModelError
from .registry import register

if TYPE_CHECKING:
    from typing_extensions import Self

_KIND = "constraints"


@register(_KIND)
class Constraint:
    """Base of constraints, one that changes nothing; one of your own defines ``__call__(w)``.

    Attributes:
        numbers: names of attributes that may be symbols while the formula is traced: they can change without
            compiling anew. Numbers that Python code of ``__call__`` decides by are not among them.

    Source: ``keras.constraints.Constraint``.
    """

    numbers: ClassVar[tuple[str, ...]] = ()

    def __call__(self, w: Any) -> Any:
        """Returns what the weight becomes."""
        return w

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that make a constraint like this one."""
        return {}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """Returns the constraint that :meth:`get_config` described.

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


def _norms(w: Any, axis: Any) -> Any:
    return ops.sqrt(ops.sum(ops.square(w), axis=axis, keepdims=True))


def _renamed(owner: str, legacy: dict[str, Any], renamed: dict[str, str]) -> dict[str, Any]:
    registry.check_keywords(owner, {name: x for name, x in legacy.items() if name not in renamed}, renamed)
    return registry.rename_keywords(owner, legacy, renamed, stacklevel=5)


@register(_KIND)
class MaxNorm(Constraint):
    """Shortens what is too long: ``w * min(norm, max_value) / (epsilon + norm)``.

    Args:
        max_value: the largest norm.
        axis: along which norms are taken; 0 gives one for each unit of a Dense layer.
        **legacy: ``m``, as Keras 1 called ``max_value``.

    Source: ``keras.constraints.MaxNorm``; Srivastava et al., 2014.
    """

    numbers = ("max_value",)

    def __init__(self, max_value: float = 2, axis: Any = 0, **legacy: Any) -> None:
        given = _renamed("MaxNorm", legacy, {"m": "max_value"})
        self.max_value: Any = given.get("max_value", max_value)
        self.axis = axis

    def __call__(self, w: Any) -> Any:
        norms = _norms(w, self.axis)
        return w * (ops.clip(norms, 0, self.max_value) / (config.epsilon() + norms))

    def get_config(self) -> dict[str, Any]:
        return {"max_value": self.max_value, "axis": self.axis}


@register(_KIND)
class NonNeg(Constraint):
    """``max(w, 0)``.

    Source: ``keras.constraints.NonNeg``.
    """

    def __call__(self, w: Any) -> Any:
        return ops.maximum(w, 0)


@register(_KIND)
class UnitNorm(Constraint):
    """``w / (epsilon + norm)``.

    Args:
        axis: along which norms are taken; 0 gives one for each unit of a Dense layer.

    Source: ``keras.constraints.UnitNorm``.
    """

    def __init__(self, axis: Any = 0) -> None:
        self.axis = axis

    def __call__(self, w: Any) -> Any:
        return w / (config.epsilon() + _norms(w, self.axis))

    def get_config(self) -> dict[str, Any]:
        return {"axis": self.axis}


@register(_KIND)
class MinMaxNorm(Constraint):
    """Brings norms nearer to a range: ``w * (rate * clip(norm) + (1 - rate) * norm) / (epsilon + norm)``.

    Args:
        min_value: the smallest norm.
        max_value: the largest norm.
        rate: how far to go: 1 goes all the way.
        axis: along which norms are taken; 0 gives one for each unit of a Dense layer.
        **legacy: ``low`` and ``high``, as Keras 1 called the smallest and the largest norm.

    Source: ``keras.constraints.MinMaxNorm``.
    """

    numbers = ("min_value", "max_value", "rate")

    def __init__(
        self, min_value: float = 0.0, max_value: float = 1.0, rate: float = 1.0, axis: Any = 0, **legacy: Any
    ) -> None:
        given = _renamed("MinMaxNorm", legacy, {"low": "min_value", "high": "max_value"})
        self.min_value: Any = given.get("min_value", min_value)
        self.max_value: Any = given.get("max_value", max_value)
        self.rate: Any = rate
        self.axis = axis

    def __call__(self, w: Any) -> Any:
        norms = _norms(w, self.axis)
        desired = self.rate * ops.clip(norms, self.min_value, self.max_value) + (1 - self.rate) * norms
        return w * (desired / (config.epsilon() + norms))

    def get_config(self) -> dict[str, Any]:
        return {"min_value": self.min_value, "max_value": self.max_value, "rate": self.rate, "axis": self.axis}


max_norm, non_neg, unit_norm, min_max_norm = MaxNorm, NonNeg, UnitNorm, MinMaxNorm


def get(identifier: Any) -> Any:
    """Returns the constraint that ``identifier`` names or is.

    Args:
        identifier: None, a name, what :func:`serialize` returned, a class, or a function of a weight.

    Raises:
        ModelError: it is none of these; the nearest names are listed.

    Source: ``keras.constraints.get``.
    """
    if identifier is None:
        return None
    found = registry.look_up(_KIND, identifier, "a name, a Constraint or a function of a weight")
    return found() if inspect.isclass(found) else found


def serialize(constraint: Any) -> Any:
    """Returns Keras' description of a constraint.

    Args:
        constraint: an object, a function or None.

    Source: ``keras.constraints.serialize``.
    """
    return registry.serialize(constraint, _KIND)


def deserialize(config: Any, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """Returns the constraint that :func:`serialize` described.

    Args:
        config: a name or a description.
        custom_objects: the user's functions and classes by name.

    Raises:
        FileFormatError: the form is not one of Keras'.
        UnsupportedError: a description of something that is not known.

    Source: ``keras.constraints.deserialize``.
    """
    return registry.deserialize(config, _KIND, custom_objects)


def constrained(constraint: Any, w: Any, where: str) -> Any:
    """Returns what a constraint makes of an array or a symbol, checked.

    Args:
        constraint: what is called.
        w: the weight.
        where: its name, for the error.

    Raises:
        ModelError: it has another shape.
    """
    result = constraint(w)
    if ops.shape(result) != ops.shape(w):
        raise ModelError(
            f"{where}: expected a constraint to return shape {ops.shape(w)}, received {ops.shape(result)}."
        )
    return result
