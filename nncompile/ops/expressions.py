"""Expressions: what formulas are made of, and how they look to who writes one.

Equal expressions are one object; :mod:`nncompile.ops` says what they mean. Operators and
indices are operations of :mod:`nncompile.ops`; what has no meaning before a formula runs
says so, with the line of the user's that asked for it.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from .. import config
from ..errors import ModelError, line_of_user
from ..variables import Variable

Array = NDArray[Any]

NUMBER, UNIFORM, ROW, ELEMENT = range(4)
"""Levels: a Python number, one value per step, one per row, one per row and column."""

Gradients = tuple["Expression | None", ...]
Unary = Callable[[Any], Any]
Binary = Callable[[Any, Any], Any]


class Expression:
    """A node of a formula; equal expressions are the same object.

    Attributes:
        op: name of a primitive, or one of ``symbol``, ``constant``, ``weight``,
            ``matmul``, ``dot``, ``reshape``, ``arrange``, ``take``, ``batch_mean``, ``row``, ``noise``,
            ``column``, ``expand``, ``custom``, and those of :mod:`.batch`.
        args: operands.
        value: what else the node is made of: the number of a constant, the name of a
            symbol, the variable of a weight.
        level: NUMBER, UNIFORM, ROW or ELEMENT.
        shape: as NumPy would say, None for the number of rows.
        mask: whether it is a truth value.
        name: what its author called it, for the C that is printed.
        owner: name of the layer in whose ``call`` it was made.
        alike: whether it is the same in all rows of a batch; None until that is asked for.
    """

    __slots__ = ("__weakref__", "alike", "args", "level", "mask", "name", "op", "owner", "shape", "value")
    op: str
    args: tuple[Expression, ...]
    value: Any
    level: int
    shape: tuple[int | None, ...]
    mask: bool
    name: str
    owner: str
    alike: bool | None

    @property
    def dtype(self) -> str:
        """Name of the type of its numbers, that of the layers."""
        return config.floatx()

    @property
    def ndim(self) -> int:
        """Number of axes, that of the rows included."""
        return len(self.shape)

    def __add__(self, other: Any) -> Any:
        return _core().add(self, other)

    def __radd__(self, other: Any) -> Any:
        return _core().add(other, self)

    def __sub__(self, other: Any) -> Any:
        return _core().subtract(self, other)

    def __rsub__(self, other: Any) -> Any:
        return _core().subtract(other, self)

    def __mul__(self, other: Any) -> Any:
        return _core().multiply(self, other)

    def __rmul__(self, other: Any) -> Any:
        return _core().multiply(other, self)

    def __truediv__(self, other: Any) -> Any:
        return _core().divide(self, other)

    def __rtruediv__(self, other: Any) -> Any:
        return _core().divide(other, self)

    def __pow__(self, other: Any) -> Any:
        return _core().power(self, other)

    def __rpow__(self, other: Any) -> Any:
        return _core().power(other, self)

    def __matmul__(self, other: Any) -> Any:
        return _reshaping().matmul(self, other)

    def __rmatmul__(self, other: Any) -> Any:
        return _reshaping().matmul(other, self)

    def __neg__(self) -> Any:
        return _core().negative(self)

    def __abs__(self) -> Any:
        return _core().abs(self)

    def __getitem__(self, key: Any) -> Any:
        from . import arrays

        return arrays.taken(self, key)

    def __floordiv__(self, other: Any) -> Any:
        return _mathematics().floor_divide(self, other)

    def __rfloordiv__(self, other: Any) -> Any:
        return _mathematics().floor_divide(other, self)

    def __mod__(self, other: Any) -> Any:
        return _mathematics().mod(self, other)

    def __rmod__(self, other: Any) -> Any:
        return _mathematics().mod(other, self)

    def __and__(self, other: Any) -> Any:
        return _core().logical_and(self, other)

    def __or__(self, other: Any) -> Any:
        return _core().logical_or(self, other)

    def __xor__(self, other: Any) -> Any:
        return _mathematics().logical_xor(self, other)

    __rand__, __ror__, __rxor__ = __and__, __or__, __xor__

    def __invert__(self) -> Any:
        return _core().logical_not(self)

    def __round__(self, decimals: int | None = None) -> Any:
        return _mathematics().round(self, decimals or 0)

    def __lt__(self, other: Any) -> Any:
        return _core().less(self, other)

    def __le__(self, other: Any) -> Any:
        return _core().less_equal(self, other)

    def __gt__(self, other: Any) -> Any:
        return _core().greater(self, other)

    def __ge__(self, other: Any) -> Any:
        return _core().greater_equal(self, other)

    def __eq__(self, other: object) -> Any:
        # number by number, as everywhere in a formula: parts of one are told apart by ``is``
        return _core().equal(self, other) if isinstance(other, _VALUES) else NotImplemented

    def __ne__(self, other: object) -> Any:
        return _core().not_equal(self, other) if isinstance(other, _VALUES) else NotImplemented

    __hash__ = object.__hash__

    def __bool__(self) -> NoReturn:
        raise _misuse(
            "A formula cannot branch on a value that is only known when it runs: use ops.where(condition, a, b), and "
            "& and | in place of and and or."
        )

    def __float__(self) -> NoReturn:
        raise _misuse(
            "A formula has no number before it runs: leave float(), int() and the functions of the module math out of "
            "it. nncompile.ops has those that can become C."
        )

    __int__ = __index__ = __complex__ = __trunc__ = __floor__ = __ceil__ = __float__

    def __iter__(self) -> NoReturn:
        raise _misuse(
            "A formula works on all rows at once: it cannot be looped over or unpacked. Loop over the columns of "
            "x.shape[-1], and take them as x[:, i]."
        )

    def __contains__(self, _: Any) -> NoReturn:
        raise _misuse("A formula has no numbers before it runs, so that none can be looked for in it: use ops.equal.")

    def __len__(self) -> NoReturn:
        raise _misuse(f"The number of rows of {self.shape} is not known before it runs: len() has no answer.")

    def __setitem__(self, key: Any, value: Any) -> NoReturn:
        raise _misuse(
            "A value of a formula cannot be changed in place: use ops.where(condition, a, b), or ops.concatenate of "
            "its parts."
        )

    def __getattr__(self, name: str) -> NoReturn:
        from .. import ops

        hint = f": write ops.{name}(x, …)" if name in ops.__all__ else ", whose numbers are not known before it runs"
        if name.startswith("__"):
            hint = ""
        raise AttributeError(f"An expression of a formula has no {name!r}{hint}.{'' if not hint else line_of_user()}")

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **_: Any) -> Any:
        if method == "__call__" and ufunc.__name__ in _OPERATORS:  # NumPy's number is on the left of an operator
            from .. import ops

            return getattr(ops, _OPERATORS[ufunc.__name__])(*inputs)
        raise _misuse(_NO_NUMPY.format(f"np.{ufunc.__name__}"))

    def __array_function__(self, function: Any, types: Any, args: Any, keywords: Any) -> Any:
        if function.__name__ in ("shape", "ndim"):
            return getattr(args[0], function.__name__)
        raise _misuse(_NO_NUMPY.format(f"np.{function.__name__}"))

    def __array__(self, *_: Any, **__: Any) -> NoReturn:
        raise _misuse(_NO_NUMPY.format("NumPy"))

    def __repr__(self) -> str:
        inner = ", ".join(a.name or repr(a) for a in self.args)
        if self.op in ("constant", "symbol", "weight"):
            return str(getattr(self.value, "path", self.value))
        return f"{self.op}({inner})"


_OPERATORS = {  # NumPy's names of what its numbers do when they are on the left, and ours
    **{n: n for n in "add subtract multiply divide floor_divide power matmul".split()},
    **{n: n for n in "less less_equal greater greater_equal equal not_equal".split()},
    **{"remainder": "mod", "bitwise_and": "logical_and", "bitwise_or": "logical_or", "bitwise_xor": "logical_xor"},
}
_VALUES = (Expression, Variable, int, float, np.number, np.bool_, np.ndarray, list, tuple)
"""What a formula is compared with number by number; with anything else it is not equal."""

_NO_NUMPY = "A formula must use the functions of nncompile.ops, not {}, so that it can become C."


def _misuse(message: str) -> ModelError:
    """An error that names the line of the user's which is the cause."""
    return ModelError(message + line_of_user())


def _core() -> Any:
    """The operations that are primitives, which are built on this module."""
    from . import core

    return core


def _reshaping() -> Any:
    from . import reshaping

    return reshaping


def _mathematics() -> Any:
    from . import mathematics

    return mathematics


# ------------------------------------------------------------------ nodes and leaves

_nodes: weakref.WeakValueDictionary[Any, Expression] = weakref.WeakValueDictionary()
_making = threading.Lock()
_owner: ContextVar[str] = ContextVar("owner", default="")


def node(
    op: str,
    args: tuple[Expression, ...] = (),
    value: Any = None,
    *,
    level: int,
    shape: tuple[int | None, ...] = (),
    mask: bool = False,
) -> Expression:
    """Returns the one expression that is made of these parts.

    Args:
        op: what it does; see :class:`Expression`.
        args: operands.
        value: what else it is made of; two values are one if they print alike as numbers or text, or are one object.
        level: NUMBER, UNIFORM, ROW or ELEMENT.
        shape: None for the number of rows.
        mask: whether it is a truth value.
    """
    token = repr(value) if isinstance(value, (float, int, str)) else id(value)
    key = (op, *map(id, args), token, level, shape)
    with _making:
        found = _nodes.get(key)
        if found is None:
            found = Expression()
            found.op, found.args, found.value = op, args, value
            found.level, found.shape, found.mask = level, shape, mask
            found.name, found.owner, found.alike = "", _owner.get(), None
            _nodes[key] = found
    return found


@dataclass(frozen=True, eq=False)
class Symbol:
    """What a symbol leaf stands for; two of one name are two things.

    Attributes:
        path: the name.
    """

    path: str


def symbol(name: str, level: int, shape: tuple[int | None, ...] = ()) -> Expression:
    """Returns a new leaf called ``name``: an input of a formula.

    It is new each time, so that formulas traced from it share nothing, names of
    intermediate values included, with what was traced before.

    Args:
        name: as the C that is printed calls it.
        level: UNIFORM, ROW or ELEMENT.
        shape: None for the number of rows.
    """
    made = node("symbol", (), Symbol(name), level=level, shape=shape)
    made.name = name
    return made


def constant(value: float) -> Expression:
    """Returns a literal number.

    Args:
        value: the number.
    """
    return node("constant", (), float(value), level=NUMBER)


def column() -> Expression:
    """Returns the leaf that is the number of its column: 0, 1, 2, …"""
    return node("column", level=ELEMENT)


@dataclass(frozen=True, eq=False)
class Noise:
    """What a leaf of random numbers stands for; two of one seed are two sources.

    Attributes:
        seed: what the numbers follow from; see :func:`noise`.
    """

    seed: object


def noise(shape: Sequence[int | None], seed: object = None) -> Expression:
    """Returns a new leaf of independent random numbers, uniform in [0, 1).

    Args:
        shape: as of the expression that it will meet.
        seed: a SeedGenerator, a number, or None for a seed of its own.
    """
    return node("noise", (), Noise(seed), level=ELEMENT, shape=tuple(shape))
