"""Variable: a named array of a model or an optimizer."""

from __future__ import annotations

import contextlib
import operator
from collections.abc import Callable, Iterator, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import config
from .errors import ModelError, line_of_user

Array = NDArray[Any]

as_symbol: ContextVar[Callable[[Variable], Any] | None] = ContextVar("as_symbol", default=None)
"""While the formula of a layer is traced: what makes a symbol of a variable."""
stands_for: ContextVar[Callable[[Variable], Any] | None] = ContextVar("stands_for", default=None)
"""While an optimizer's update_step is traced: what a variable is by then, as a symbol."""
as_product: ContextVar[Callable[[Any, Any], Any] | None] = ContextVar("as_product", default=None)
"""In a layer whose products are not those of NumPy: what multiplies."""


@dataclass
class Records:
    """What a traced model does beside computing its outputs.

    Attributes:
        assignments: variables that are set, and to what.
        penalties: what is added to the loss: a formula over rows, and how its sum over all numbers becomes
            a part of the loss: as ``mean`` of :class:`nncompile.compiler.program.Loss`.
    """

    assignments: list[tuple[Variable, Any]] = field(default_factory=list)
    penalties: list[tuple[Any, str]] = field(default_factory=list)


records: ContextVar[Records | None] = ContextVar("records", default=None)
"""While a model is traced: where is noted what it does."""


@contextlib.contextmanager
def recording() -> Iterator[Records]:
    """Notes what is assigned and added to the loss meanwhile."""
    made = Records()
    token = records.set(made)
    try:
        yield made
    finally:
        records.reset(token)


class Storage(Protocol):
    """Where the numbers of a variable are while compiled code owns them."""

    def read(self) -> Array: ...

    def write(self, value: Array) -> None: ...

    def leave(self) -> None:
        """Is told that the numbers are elsewhere from now on."""


class Variable:
    """An array with a name, as ``keras.Variable``.

    Once a model is compiled to C its numbers live in the state of the compiled network,
    in the layout that its kernels want; :attr:`value` then reads them from there.

    Args:
        initializer: the initial numbers, or what makes them: an initializer, its name, or any
            function of a shape and ``dtype=``.
        shape: for an initializer.
        dtype: element type; by default that of the numbers, but ``config.floatx()`` for
            float64 and int32 for int64, as in Keras. An initializer makes numbers of floatx.
        trainable: whether an optimizer may change it.
        autocast: taken as by Keras and without effect: layers round operands, not variables.
        aggregation: taken as by Keras and without effect: there is one process.
        synchronization: likewise.
        name: the last part of the path, for example ``kernel``; by default ``variable``, numbered.
        path: the whole path, for example ``sequential/dense/kernel``.

    Attributes:
        regularizer: what gives a penalty on it; None for none.
        constraint: what is made of it after each update; None for nothing.

    Raises:
        ModelError: an initializer without a shape, a name with ``/``, or an unknown type.

    Source: ``keras.Variable``.
    """

    regularizer: Callable[[Any], Any] | None = None
    constraint: Callable[[Any], Any] | None = None
    overwrite_with_gradient = False

    def __init__(
        self,
        initializer: Any,
        shape: Sequence[int] | None = None,
        dtype: Any = None,
        trainable: bool = True,
        autocast: bool = True,
        aggregation: str | None = "none",
        synchronization: str | None = "auto",
        name: str | None = None,
        *,
        path: str | None = None,
    ) -> None:
        if path is None and name is not None and (not isinstance(name, str) or "/" in name):
            raise ModelError(f"Variable: name: expected a string without '/', received {name!r:.80}.")
        self.name = _numbered_name() if name is None else name
        self._array: Array | None = _initial(initializer, shape, dtype, self.name)
        self._storage: Storage | None = None
        self.path = path or self.name
        self.trainable = trainable
        self.autocast, self.aggregation, self.synchronization = autocast, aggregation or "none", synchronization
        self._shape: tuple[int, ...] = self._array.shape
        self._dtype = str(self._array.dtype)

    @property
    def shape(self) -> tuple[int, ...]:
        """The size of each axis, which stays."""
        return self._shape

    @property
    def dtype(self) -> str:
        """The element type, which stays."""
        return self._dtype

    @property
    def trainable(self) -> bool:
        """Whether an optimizer may change it."""
        return self._trainable

    @trainable.setter
    def trainable(self, value: Any) -> None:
        self._trainable = bool(value)

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return len(self.shape)

    @property
    def value(self) -> Array:
        """The numbers, as an array that is the caller's to keep."""
        if self._storage is not None:
            return self._storage.read().reshape(self.shape)
        assert self._array is not None
        own: Array = self._array.copy()
        return own

    def assign(self, value: ArrayLike | Variable) -> Any:
        """Sets the numbers, and returns them.

        In a model that is traced they are set at the end of the forward pass of every step of training.
        In an optimizer's ``update_step`` that is traced it is the result of the update.

        Args:
            value: numbers of the same shape, or one for all.

        Returns:
            The new numbers.

        Raises:
            ModelError: the shape is another one.
        """
        noted, stand = records.get(), stands_for.get()
        if stand is not None and isinstance(value, Variable):
            value = stand(value)
        if noted is not None and (stand is not None or getattr(value, "level", None) is not None):
            noted.assignments.append((self, value))
            return value
        array = np.asarray(value, dtype=self.dtype)
        if array.shape != self.shape:
            raise ModelError(f"{self.path}: expected an array of shape {self.shape}, received {array.shape}.")
        if self._storage is not None:
            self._storage.write(array)
        else:
            self._array = array.copy()
        return array

    def assign_add(self, value: ArrayLike | Variable) -> Any:
        """Adds to the numbers, and returns them.

        Args:
            value: numbers of the same shape, or one for all.

        Returns:
            The new numbers.
        """
        return self.assign(self + value)

    def assign_sub(self, value: ArrayLike | Variable) -> Any:
        """Subtracts from the numbers, and returns them.

        Args:
            value: numbers of the same shape, or one for all.

        Returns:
            The new numbers.
        """
        return self.assign(self - value)

    @property
    def storage(self) -> Storage | None:
        """Where compiled code keeps the numbers, None if nowhere."""
        return self._storage

    def bind(self, storage: Storage | None) -> None:
        """Moves the numbers into ``storage``, or out of it if None.

        Args:
            storage: where compiled code has them.
        """
        if storage is self._storage:
            return
        value = self.value
        if storage is not None:
            storage.write(value)
        left = self._storage
        if storage is None:  # in this order, so that a reader in another thread finds the numbers at any time
            self._array = value
        self._storage = storage
        if storage is not None:
            self._array = None
        if left is not None:
            left.leave()

    def __getstate__(self) -> dict[str, Any]:
        """For ``pickle`` and ``copy``: the numbers, wherever they are; a copy has its own."""
        return {**self.__dict__, "_array": self.value, "_storage": None}

    def numpy(self) -> Array:
        """Returns the numbers, as an array that is the caller's to keep."""
        return self._numbers()

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        return self._numbers().astype(dtype or self.dtype, copy=False)

    def __float__(self) -> float:
        return float(self._numbers())

    def __int__(self) -> int:
        return int(self._numbers())

    def _numbers(self) -> Array:
        """The numbers for Python and NumPy, which a formula that is traced would not see change."""
        if as_symbol.get() is not None:
            raise ModelError(
                f"{self.path}: the numbers of a weight are not known while a formula is traced: they change in "
                f"training. Compute with nncompile.ops.{line_of_user()}"
            )
        return self.value

    def _with(self, operation: Callable[[Any, Any], Any], other: Any, reflected: bool = False) -> Any:
        """Arithmetic with numbers, arrays and variables; expressions do their own."""
        if hasattr(other, "__array_ufunc__") and not isinstance(other, (np.ndarray, np.generic, Variable)):
            return NotImplemented
        symbol = stands_for.get() or as_symbol.get()
        mine = self.value if symbol is None else symbol(self)
        other = other.value if isinstance(other, Variable) and symbol is None else other
        return operation(other, mine) if reflected else operation(mine, other)

    def __add__(self, other: Any) -> Any:
        return self._with(operator.add, other)

    def __radd__(self, other: Any) -> Any:
        return self._with(operator.add, other, reflected=True)

    def __sub__(self, other: Any) -> Any:
        return self._with(operator.sub, other)

    def __rsub__(self, other: Any) -> Any:
        return self._with(operator.sub, other, reflected=True)

    def __mul__(self, other: Any) -> Any:
        return self._with(operator.mul, other)

    def __rmul__(self, other: Any) -> Any:
        return self._with(operator.mul, other, reflected=True)

    def __truediv__(self, other: Any) -> Any:
        return self._with(operator.truediv, other)

    def __rtruediv__(self, other: Any) -> Any:
        return self._with(operator.truediv, other, reflected=True)

    def __pow__(self, other: Any) -> Any:
        return self._with(operator.pow, other)

    def __rpow__(self, other: Any) -> Any:
        return self._with(operator.pow, other, reflected=True)

    def __matmul__(self, other: Any) -> Any:
        return self._with(as_product.get() or operator.matmul, other)

    def __rmatmul__(self, other: Any) -> Any:
        return self._with(as_product.get() or operator.matmul, other, reflected=True)

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **more: Any) -> Any:
        """What NumPy does where one of its arrays is on the left: of a variable it takes the numbers."""
        if any(isinstance(x, Variable) for x in more.get("out", ())):
            return NotImplemented  # numbers are set by assign()
        arrays = [x.value if isinstance(x, Variable) else x for x in inputs]
        multiply = as_product.get()
        if ufunc is np.matmul and method == "__call__" and multiply is not None and not more:
            return multiply(*arrays)
        return getattr(ufunc, method)(*arrays, **more)

    def __floordiv__(self, other: Any) -> Any:
        return self._with(operator.floordiv, other)

    def __rfloordiv__(self, other: Any) -> Any:
        return self._with(operator.floordiv, other, reflected=True)

    def __mod__(self, other: Any) -> Any:
        return self._with(operator.mod, other)

    def __rmod__(self, other: Any) -> Any:
        return self._with(operator.mod, other, reflected=True)

    def __lt__(self, other: Any) -> Any:
        return self._with(operator.lt, other)

    def __le__(self, other: Any) -> Any:
        return self._with(operator.le, other)

    def __gt__(self, other: Any) -> Any:
        return self._with(operator.gt, other)

    def __ge__(self, other: Any) -> Any:
        return self._with(operator.ge, other)

    def __eq__(self, other: Any) -> Any:
        """Number by number, as in Keras; whether two are the same variable ``is`` tells."""
        return self._with(operator.eq, other)

    def __ne__(self, other: Any) -> Any:
        return self._with(operator.ne, other)

    __hash__ = object.__hash__  # those of Keras have none; dicts and sets of variables go by identity

    def __neg__(self) -> Any:
        return self._with(operator.mul, -1.0) if stands_for.get() or as_symbol.get() else -self.value

    def __pos__(self) -> Any:
        return self._alone(operator.pos)

    def __abs__(self) -> Any:
        return self._alone(abs)

    def __round__(self, ndigits: int | None = None) -> Any:
        return self._alone(lambda mine: mine.round(ndigits or 0))

    def __getitem__(self, key: Any) -> Any:
        return self._alone(lambda mine: mine[key])

    def _alone(self, operation: Callable[[Any], Any]) -> Any:
        symbol = stands_for.get() or as_symbol.get()
        return operation(self.value if symbol is None else symbol(self))

    def __bool__(self) -> bool:
        raise TypeError(
            f"{self.path}: a Variable is neither true nor false. Ask for bool(variable.value) or `is None`."
        )

    def __repr__(self) -> str:
        return f"<Variable path={self.path}, shape={self.shape}, dtype={self.dtype}, value={self.value}>"


def _initial(initializer: Any, shape: Sequence[int] | None, dtype: Any, name: str) -> Array:
    """The first numbers of a variable."""
    if isinstance(initializer, str) or callable(initializer):
        from . import initializers

        function = initializers.get(initializer)
        assert function is not None  # only None is none
        if shape is None:
            raise ModelError(
                f"Variable {name}: shape: expected one beside an initializer, received None. "
                "Write for example Variable('zeros', shape=(3,))."
            )
        kind = config.floatx() if dtype is None else _standard(dtype, name)
        return initializers.initial_value(function, tuple(shape), kind, f"Variable {name}")
    if dtype is not None:
        return np.array(initializer, dtype=_standard(dtype, name))
    array: Array = np.array(initializer)
    kind = {"float64": config.floatx(), "int64": "int32"}.get(array.dtype.name, array.dtype.name)
    return array.astype(kind, copy=False)


def _standard(dtype: Any, name: str) -> str:
    try:
        return str(np.dtype(dtype))
    except TypeError as error:
        raise ModelError(f"Variable {name}: dtype: expected the name of a type, received {dtype!r:.80}.") from error


def _numbered_name() -> str:
    from . import backend

    return backend.auto_name("variable")
