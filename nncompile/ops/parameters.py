"""Weights and arrays in the formula of a layer, beside the values of samples.

They are the same for all samples, and all their sizes are known. One number per feature
is read where the formula is computed. Others meet values per row in one of two ways:

- One that has the last axes of the values, all of them in full, is one number per feature
  once these axes are joined: ``(None, 8, 3) - (8, 3)`` is ``(None, 24) - (24,)``.
- Any other is made a value of each sample first (the primitive ``same``), on which all
  that can be done to values can be done: moving axes, reducing along them, products.

What is computed from weights alone is written down with the nodes of
:mod:`nncompile.ops.weights`, and only becomes a value of each sample when it meets one.
"""

from __future__ import annotations

import contextlib
import math
import weakref
from collections.abc import Iterable, Iterator, Sequence
from contextvars import ContextVar
from typing import Any

import numpy as np

from .. import config
from ..errors import ModelError, UnsupportedError, line_of_user
from ..variables import Variable
from . import arrays, core, reshaping
from .core import PRIMITIVES
from .expressions import ELEMENT, ROW, UNIFORM, Expression, node

_WHOLE = ("over", "view", "transposed", "product", "moved")
"""Operations on a whole weight, of :mod:`nncompile.ops.weights`, and its numbers in other places."""
_OVER_BATCH = ("batch_mean", "over_rows", "batch_sum", "whole")
"""What is known of a whole batch, of :mod:`nncompile.ops.batch`: numbers, or one per feature."""
_MOST = 2**16
"""Numbers of a weight that each sample gets for its own; more would be a large part of the memory."""


class Constant(Variable):
    """An array that the formula of a layer has in it: no weight of the layer, and the same in all that use it.

    Compiled networks have copies of the numbers, which stay here.
    """

    def bind(self, storage: Any) -> None:
        if storage is not None:
            storage.write(self.value)


class Turned(Variable):
    """The transpose of a weight that values are multiplied by; compiled networks keep it beside the weight.

    Attributes:
        source: the weight, which has the numbers and is trained.
    """

    def __init__(self, source: Variable) -> None:
        super().__init__("zeros", source.shape[::-1], source.dtype, False, name=f"{source.name}_transposed")
        self.source = source
        self.path = f"the transpose of {source.path}"

    @property
    def value(self) -> Any:
        return np.ascontiguousarray(self.source.value.T)

    def bind(self, storage: Any) -> None:
        if storage is not None:
            storage.write(self.value)


_constants: weakref.WeakValueDictionary[Any, Constant] = weakref.WeakValueDictionary()
_turned: weakref.WeakValueDictionary[int, Turned] = weakref.WeakValueDictionary()


def array(x: Any) -> Expression:
    """An array as the leaf of a formula; the same for the same numbers.

    Raises:
        ModelError: it has no numbers.
    """
    return leaf(_constant(x, "numbers"))


def matrix(x: Any) -> Constant:
    """An array to multiply values by; the same for the same numbers."""
    return _constant(x, "matrix")


def turned(source: Variable) -> Turned:
    """The transpose of a weight of two axes, to multiply values by; the same each time.

    Args:
        source: the weight.
    """
    found = _turned.get(id(source))
    if found is None or found.source is not source:
        found = _turned[id(source)] = Turned(source)
    return found


def _constant(x: Any, use: str) -> Constant:
    numbers = np.asarray(x)
    if numbers.dtype.kind not in "biuf" or not numbers.size:
        raise ModelError(f"A formula met an array of {numbers.dtype} of shape {numbers.shape}: expected numbers.")
    numbers = np.ascontiguousarray(numbers, dtype=config.floatx())
    key = (use, str(numbers.dtype), numbers.shape, numbers.tobytes())
    constant = _constants.get(key)
    if constant is None:
        constant = _constants[key] = Constant(numbers, name="array", trainable=False)
    return constant


def leaf(variable: Variable) -> Expression:
    """A weight of one axis or more, as what formulas are made of."""
    return node("weight", (), variable, level=ELEMENT, shape=variable.shape)


def is_parameter(x: Any) -> bool:
    """Whether an expression is the same for all samples, and more than one number given so."""
    if not isinstance(x, Expression) or x.op in ("column", "noise"):
        return False
    if x.level == UNIFORM:
        return not is_plain(x)
    return x.level == ELEMENT and bool(x.shape) and None not in x.shape


_whole: ContextVar[frozenset[int]] = ContextVar("weights that are matrices elsewhere", default=frozenset())


@contextlib.contextmanager
def kept_whole(variables: Iterable[Variable]) -> Iterator[None]:
    """Meanwhile these weights are never seen as numbers on one axis: they are matrices that are multiplied as well."""
    token = _whole.set(frozenset(map(id, variables)))
    try:
        yield
    finally:
        _whole.reset(token)


def _called(x: Expression) -> str:
    """A parameter as errors name it."""
    if x.op == "weight" and not isinstance(x.value, Constant):
        return f"the weight {x.value.path}"
    return "an array" if x.op == "weight" else "what was computed from weights"


def _nodes(x: Expression) -> list[Expression]:
    """What a parameter is made of; sums and means over the batch are leaves."""
    found: dict[Expression, None] = {}
    waiting = [x]
    while waiting:
        x = waiting.pop()
        if x not in found:
            found[x] = None
            waiting.extend(x.args if x.op not in _OVER_BATCH else ())
    return list(found)


def is_elsewhere(x: Expression) -> bool:
    """Whether a weight is seen in another shape than its own while it is used in its own, or in a third."""
    return id(x.value) in _whole.get() and x.shape != x.value.shape


def is_plain(x: Expression) -> bool:
    """Whether a parameter is computed number by number, of leaves of one shape or single numbers."""
    shapes = set[tuple[int | None, ...]]()
    for n in _nodes(x):
        if n.op in _WHOLE or (n.op in _OVER_BATCH and n.level == ELEMENT):
            return False
        if n.op == "weight" and id(n.value) in _whole.get():
            return False
        if not n.args:
            shapes |= {n.shape} if n.level == ELEMENT else set()
    return len(shapes) <= 1


def _of_means(x: Expression) -> bool:
    """Whether a parameter is made of sums or means over the batch, one per feature."""
    nodes = _nodes(x)
    return any(n.op in _OVER_BATCH and n.level == ELEMENT for n in nodes) and not any(n.op in _WHOLE for n in nodes)


def _sizes(x: Expression) -> tuple[int, ...]:
    """The shape without the axes of size 1 that it begins with."""
    sizes = [n or 0 for n in x.shape]
    while sizes and sizes[0] == 1:
        sizes.pop(0)
    return tuple(sizes)


def _joined(x: Expression, level: int) -> Expression:
    """A plain parameter on one axis, or as a single number."""
    if level == ELEMENT:
        return reshaped(x, (math.prod(n or 1 for n in x.shape),))
    if x.level < ELEMENT:
        return x
    if x.op == "weight":
        return node("weight", (), x.value, level=UNIFORM)
    if x.op == "custom":  # its gradient is one for numbers that lie as they did
        return _joined(x.args[0], level)
    return core._symbolic(x.op, *(_joined(a, level) for a in x.args))


def reshaped(x: Expression, shape: tuple[int, ...]) -> Expression:
    """A plain parameter in another shape of as many numbers."""
    if x.level < ELEMENT:
        return x
    if x.op == "weight":
        return node("weight", (), x.value, level=ELEMENT, shape=shape)
    if x.op == "custom":
        return reshaped(x.args[0], shape)
    return core._symbolic(x.op, *(reshaped(a, shape) for a in x.args))


def met(op: str, args: Sequence[Expression]) -> Expression | None:
    """The primitive ``op`` where parameters meet values of samples; None if the parameters are numbers per feature.

    Raises:
        ModelError: the shapes do not fit.
    """
    given = [a for a in args if is_parameter(a)]
    if given and any(map(is_apart, args)):
        return core._symbolic(op, *map(together, args))
    rows = [a for a in args if a.level in (ROW, ELEMENT) and a.shape[:1] == (None,)]
    simple = all(a.level == ELEMENT and len(a.shape) == 1 and (is_plain(a) or _of_means(a)) for a in given)
    if not rows or not given or simple:
        return None
    rank = max(len(a.shape) for a in rows)
    for a in given:
        if len(_sizes(a)) >= rank:
            shown = " and ".join(str(r.shape) for r in rows)
            raise ModelError(
                f"ops.{op}: {_called(a)} of shape {a.shape} meets values of shape {shown}, whose first axis is the "
                "batch: it can have the axes behind that one, or fewer of the last ones. Matrices are multiplied by "
                "ops.matmul."
            )
    weights = set(given)
    shape = core._broadcast([_sizes(a) if a in weights else a.shape for a in args])
    made = list(args)
    tail = max((len(_sizes(a)) for a in given if _is_tail(a, shape)), default=0)
    for i, a in enumerate(made):
        if a not in weights:
            continue
        sizes = _sizes(a)
        if is_plain(a) and not sizes:
            made[i] = _joined(a, UNIFORM)
        elif is_plain(a) and len(sizes) == 1 and (tail < 2 or sizes == (1,)):
            made[i] = _joined(a, ELEMENT)
        elif not (tail > 1 and _is_tail(a, shape) and len(sizes) == tail):
            made[i] = of_rank(valued(a), rank)
    if tail < 2:
        return core._symbolic(op, *made)
    # the last axes as one
    for i, a in enumerate(made):
        if is_parameter(a):
            made[i] = _joined(a, ELEMENT)
        elif a.shape[:1] == (None,):
            made[i] = _flattened(op, a, shape, tail)
    result = core._symbolic(op, *made)
    whole: Expression = reshaping.reshape(core._as_number(result), (-1, *shape[1:]))
    return core._truth(whole) if result.mask else whole


def is_apart(x: Expression) -> bool:
    """Whether values were reduced along their last axis, and have others."""
    return x.level == ROW and x.op != "expand" and len(x.shape) > 1


def together(x: Expression) -> Expression:
    """Values that were reduced along their last axis in rows along the one before."""
    if not is_apart(x):
        return x
    return core._truth(arrays.elements(x)) if x.mask else arrays.elements(x)


def _is_tail(x: Expression, shape: Sequence[int | None]) -> bool:
    """Whether a parameter has the last axes of a shape in full."""
    sizes = _sizes(x)
    return is_plain(x) and len(sizes) > 1 and sizes == tuple(shape[-len(sizes) :])


def _flattened(op: str, x: Expression, shape: Sequence[int | None], tail: int) -> Expression:
    """A value of samples with its last axes, stretched to those of ``shape``, as one."""
    if len(x.shape) != len(shape):
        raise ModelError(f"ops.{op}: shapes {x.shape} and {tuple(shape)} do not fit.")
    value = arrays.elements(x)
    lead = tuple(n or 0 for n in value.shape[1 : len(shape) - tail])
    last = tuple(n or 0 for n in shape[-tail:])
    if all(n == 1 for n in value.shape[-tail:]):
        made: Expression = reshaping.reshape(value, (-1, *lead, 1))
    else:
        joined = (*lead, math.prod(last))
        made = arrays.arranged(lambda a: np.broadcast_to(a, (len(a), *lead, *last)), value, shape=joined)
    return core._truth(made) if x.mask else made


def of_rank(x: Expression, rank: int) -> Expression:
    """A value of samples with axes of size 1 behind the batch, more or fewer."""
    missing = rank - len(x.shape)
    inner = [n or 1 for n in x.shape[1:]]
    while missing < 0 and inner[0] == 1:
        inner, missing = inner[1:], missing + 1
    return reshaping.reshape(x, (-1, *(1,) * missing, *inner)) if len(inner) + missing + 1 != len(x.shape) else x


def _repeated(x: Expression) -> Expression:
    """Numbers of one axis, as a value of each sample."""
    return node("same", (x,), level=ELEMENT, shape=(None, *x.shape))


def valued(x: Expression) -> Expression:
    """A parameter as a value of each sample: ``(None, *shape)``, a single number as ``(None, 1)``.

    Raises:
        UnsupportedError: it is too large for that, or made of means over the batch.
    """
    made: Any
    if x.op == "constant":
        return x
    if x.op == "weight":
        size = math.prod(x.value.shape)
        if size > _MOST:
            raise UnsupportedError(
                f"{x.value.path}: each sample would get a copy of a weight of shape {x.value.shape}, which is for at "
                f"most {_MOST} numbers. ops.matmul(x, weight) and arithmetic number by number make none."
                f"{line_of_user()}"
            )
        if id(x.value) in _whole.get() and len(x.value.shape) == 2:  # its rows, as those of a table
            numbers = _repeated(array(np.arange(x.value.shape[0])))
            made = node("take", (numbers,), x.value, level=ELEMENT, shape=(None, *x.value.shape))
        else:
            made = _repeated(node("weight", (), x.value, level=ELEMENT, shape=(size,)))
        return reshaping.reshape(made, (-1, *(x.shape or (1,))))  # type: ignore[no-any-return]
    if x.op == "over":
        inner = arrays.stored(valued(x.args[0]))  # a formula has the columns of its values in memory
        op, axis = str(x.value).split()
        axes = tuple(range(1, len(inner.shape))) if axis == "all" else (int(axis) + 1,)
        made = arrays.reduced(getattr(core, op), inner, axes, True)
        return reshaping.reshape(made, (-1, *(x.shape or (1,))))  # type: ignore[no-any-return]
    if x.op == "custom":
        return valued(x.args[0])
    if x.op == "moved":
        values = (arrays.elements(valued(a)) for a in x.args)
        flat = (v.args[0] if v.op == "reshape" and v.args[0].level == ELEMENT else v for v in values)
        return node("arrange", tuple(flat), x.value, level=ELEMENT, shape=(None, *(x.shape or (1,))))
    if x.op == "view":
        return reshaping.reshape(valued(x.args[0]), (-1, *x.shape))  # type: ignore[no-any-return]
    if x.op == "transposed":
        return arrays.transpose(valued(x.args[0]), (0, *range(len(x.shape), 0, -1)))  # type: ignore[no-any-return]
    if x.op == "product":
        return reshaping.matmul(*map(valued, x.args))  # type: ignore[no-any-return]
    if x.op not in PRIMITIVES or PRIMITIVES[x.op].kind == "reduce":
        raise UnsupportedError(
            f"ops.{x.op}: what is computed from means over the batch meets values as one number per feature alone, "
            f"and has shape {x.shape}.{line_of_user()}"
        )
    rank = max(len(x.shape), 1) + 1
    return core._symbolic(x.op, *(a if a.op == "constant" else of_rank(valued(a), rank) for a in x.args))


__all__ = [
    "Constant",
    "Turned",
    "array",
    "is_apart",
    "is_parameter",
    "is_plain",
    "leaf",
    "matrix",
    "met",
    "of_rank",
    "reshaped",
    "together",
    "turned",
    "valued",
]
