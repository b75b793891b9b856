"""Regularizers: penalties on the size of weights, or of what a layer computes.

A regularizer is a formula over the whole of an array that gives one number, which is added
to the loss once per batch::

    def l1_of_columns(weight):
        return 0.01 * nncompile.ops.max(nncompile.ops.sum(nncompile.ops.abs(weight), axis=0))

    layers.Dense(10, kernel_regularizer=l1_of_columns)

Given an array it computes with NumPy; traced, it is differentiated, its gradient goes into
the update of the weight and its value into the loss, both in C.
"""

from __future__ import annotations

import copy
import inspect
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from . import config, ops, registry
from .errors import ModelError, UnsupportedError
from .registry import register

if TYPE_CHECKING:
    from typing_extensions import Self

_KIND = "regularizers"


class Regularizer:
    """Base of regularizers; one of your own defines ``__call__(x)``, and ``get_config`` to be saved.

    Attributes:
        numbers: names of attributes that may be symbols while the formula is traced: they can change without
            compiling anew. Numbers that Python code of ``__call__`` decides by are not among them.

    Source: ``keras.regularizers.Regularizer``.
    """

    numbers: ClassVar[tuple[str, ...]] = ()

    def __call__(self, x: Any) -> Any:
        """Returns the penalty on an array: one number."""
        return 0.0

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that make a regularizer like this one."""
        raise NotImplementedError(f"{type(self).__name__}: define get_config() to save models that use it.")

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """Returns the regularizer that :meth:`get_config` described.

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


def _penalty(owner: str, what: str, value: Any) -> float:
    """A factor as a float.

    Raises:
        ModelError: it is not a finite number of 0 or above.
    """
    if not isinstance(value, (float, int)) or not math.isfinite(value) or value < 0:
        raise ModelError(f"{owner}: {what}: expected a number of 0 or above, received {value!r}.")
    return float(value)


@register(_KIND, "l1_l2")
class L1L2(Regularizer):
    """``l1 * sum(|x|) + l2 * sum(x^2)``.

    Args:
        l1: factor of the absolute values.
        l2: factor of the squares; there is no half.

    Raises:
        ModelError: a factor is not a finite number of 0 or above.

    Source: ``keras.regularizers.L1L2``.
    """

    def __init__(self, l1: float | None = 0.0, l2: float | None = 0.0) -> None:
        self.l1: Any = _penalty("L1L2", "l1", 0.0 if l1 is None else l1)
        self.l2: Any = _penalty("L1L2", "l2", 0.0 if l2 is None else l2)

    @property
    def numbers(self) -> tuple[str, ...]:  # type: ignore[override]
        return tuple(name for name in ("l1", "l2") if getattr(self, name) != 0.0)

    def __call__(self, x: Any) -> Any:
        total: Any = None
        for factor, size in ((self.l1, ops.abs), (self.l2, ops.square)):
            if isinstance(factor, ops.Expression) or factor != 0.0:
                term = factor * ops.sum(size(x))
                total = term if total is None else total + term
        return 0.0 * ops.sum(x) if total is None else total

    def get_config(self) -> dict[str, Any]:
        return {"l1": self.l1, "l2": self.l2}


@register(_KIND)
class L1(Regularizer):
    """``l1 * sum(|x|)``.

    Args:
        l1: the factor.

    Raises:
        ModelError: it is not a finite number of 0 or above.

    Source: ``keras.regularizers.L1``.
    """

    numbers = ("l1",)

    def __init__(self, l1: float | None = 0.01) -> None:
        self.l1: Any = _penalty("L1", "l1", 0.01 if l1 is None else l1)

    def __call__(self, x: Any) -> Any:
        return self.l1 * ops.sum(ops.abs(x))

    def get_config(self) -> dict[str, Any]:
        return {"l1": self.l1}


@register(_KIND)
class L2(Regularizer):
    """``l2 * sum(x^2)``: without a half.

    Args:
        l2: the factor.

    Raises:
        ModelError: it is not a finite number of 0 or above.

    Source: ``keras.regularizers.L2``.
    """

    numbers = ("l2",)

    def __init__(self, l2: float | None = 0.01) -> None:
        self.l2: Any = _penalty("L2", "l2", 0.01 if l2 is None else l2)

    def __call__(self, x: Any) -> Any:
        return self.l2 * ops.sum(ops.square(x))

    def get_config(self) -> dict[str, Any]:
        return {"l2": self.l2}


@register(_KIND)
class OrthogonalRegularizer(Regularizer):
    """Keeps the rows, or the columns, of a matrix at right angles.

    ``factor * sum(|N N^T| off the diagonal) / (n * (n - 1))``, where the n rows of N are those of the matrix (or its
    columns) divided by their length: the mean of what the products of all pairs are worth.

    Args:
        factor: of the penalty, 0 or above.
        mode: ``"rows"`` or ``"columns"``.

    Raises:
        ModelError: another mode or factor, or, when called, an array that is no matrix.

    Source: ``keras.regularizers.OrthogonalRegularizer``.
    """

    numbers = ("factor",)

    def __init__(self, factor: float = 0.01, mode: str = "rows") -> None:
        self.factor: Any = _penalty("OrthogonalRegularizer", "factor", factor)
        if mode not in ("rows", "columns"):
            raise ModelError(f"OrthogonalRegularizer: mode: expected 'rows' or 'columns', received {mode!r}.")
        self.mode = mode

    def __call__(self, x: Any) -> Any:
        if len(ops.shape(x)) != 2:
            raise ModelError(f"OrthogonalRegularizer: expected a matrix, received the shape {ops.shape(x)}.")
        rows = x if self.mode == "rows" else ops.transpose(x)
        inverse = ops.rsqrt(ops.sum(ops.square(rows), axis=1, keepdims=True))
        rows = rows * ops.minimum(inverse, 1.0 / config.epsilon())
        products = ops.matmul(rows, ops.transpose(rows))
        size = ops.weights.sizes(products)[0]
        if size < 2:
            raise ModelError(f"OrthogonalRegularizer: expected two {self.mode} or more, received shape {ops.shape(x)}.")
        pairs = size * (size - 1.0) / 2.0
        others = products * (1.0 - ops.weights.identity_like(products))
        return self.factor * 0.5 * ops.sum(ops.abs(others)) / pairs

    def get_config(self) -> dict[str, Any]:
        return {"factor": self.factor, "mode": self.mode}


l1, l2, l1_l2, orthogonal_regularizer = L1, L2, L1L2, OrthogonalRegularizer


def get(identifier: Any) -> Any:
    """Returns the regularizer that ``identifier`` names or is.

    Args:
        identifier: None, a name, what :func:`serialize` returned, a class, or a function of an array.

    Raises:
        ModelError: it is none of these; the nearest names are listed.

    Source: ``keras.regularizers.get``.
    """
    if identifier is None:
        return None
    found = registry.look_up(_KIND, identifier, "a name, a Regularizer or a function of an array")
    return found() if inspect.isclass(found) else found


def serialize(regularizer: Any) -> Any:
    """Returns Keras' description of a regularizer.

    Args:
        regularizer: an object, a function or None.

    Source: ``keras.regularizers.serialize``.
    """
    return registry.serialize(regularizer, _KIND)


def deserialize(config: Any, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """Returns the regularizer that :func:`serialize` described.

    Args:
        config: a name or a description.
        custom_objects: the user's functions and classes by name.

    Raises:
        FileFormatError: the form is not one of Keras'.
        UnsupportedError: a description of something that is not known.

    Source: ``keras.regularizers.deserialize``.
    """
    return registry.deserialize(config, _KIND, custom_objects)


def penalty(regularizer: Any, x: Any, where: str) -> Any:
    """Returns the penalty on an array or a symbol, checked.

    Args:
        regularizer: a function of an array.
        x: the array, or the symbol of a weight.
        where: whose penalty it is, for the message.

    Raises:
        ModelError: it is not one number.
        UnsupportedError: the formula needs what is not there for weights.
    """
    try:
        value = regularizer(x)
    except UnsupportedError as error:
        name = getattr(regularizer, "__name__", type(regularizer).__name__)
        raise UnsupportedError(f"{where}: regularizer {name}: {error}") from error
    if not isinstance(value, ops.Expression):
        if len(ops.shape(value)) != 0:
            raise ModelError(
                f"{where}: expected a regularizer to return one number, received shape {ops.shape(value)}."
            )
        return value
    if value.level > ops.UNIFORM:
        raise ModelError(f"{where}: expected a regularizer to return one number, received shape {value.shape}.")
    return value
