"""The table of primitives, how expressions are built of them, and the operations that they are.

What an operand may be, which shapes meet, and what is simplified at once stands here, for
all operations; :mod:`nncompile.ops` says what expressions mean, and
:mod:`nncompile.ops.expressions` how they look to who writes a formula.
"""

from __future__ import annotations

import builtins
import functools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import config
from ..docstrings import REDUCTION, described, elementwise
from ..errors import ModelError, UnsupportedError, line_of_user
from ..variables import Variable, as_symbol, stands_for
from .expressions import (
    ELEMENT,
    ROW,
    UNIFORM,
    Binary,
    Expression,
    Gradients,
    Unary,
    _nodes,
    _owner,
    column,
    constant,
    node,
)

# ------------------------------------------------------------------ primitives


@dataclass(frozen=True)
class Primitive:
    """One row of the table of primitives.

    Attributes:
        numpy: its meaning on arrays.
        gradient: ``(g, y, *args)`` to a gradient per argument: ``g`` is the gradient of
            the result ``y``. Stated in ``y`` where that saves keeping an argument.
        c: how it is printed, over ``vec`` or ``real``.
        cost: rough number of arithmetic instructions, to decide what is worth keeping.
        kind: ``map``, ``mask`` (gives a truth value) or ``reduce``.
    """

    numpy: Callable[..., Any]
    gradient: Callable[..., Gradients] | None
    c: str
    cost: int = 1
    kind: str = "map"


def _share_of_maximum(g: Any, y: Any, x: Any) -> Any:
    hit = cast(equal(x, y), None)
    return g * hit / sum(hit, axis=-1, keepdims=True)


def _np_sigmoid(x: Any) -> Any:
    x = np.asarray(x)
    e = np.exp(-np.abs(x))
    return np.where(x >= 0, 1 / (1 + e), e / (1 + e)).astype(e.dtype)


def _product_of_others(g: Any, y: Any, x: Any) -> Any:
    """The gradient of a product: that of the others, zero if there is a zero among them."""
    hit = equal(x, 0.0)
    zeros = sum(cast(hit, None), axis=-1, keepdims=True)
    others = prod(where(hit, 1.0, x), axis=-1, keepdims=True)
    return g * where(hit, where(equal(zeros, 1.0), others, 0.0), where(equal(zeros, 0.0), y / x, 0.0))


_np_erf = np.vectorize(math.erf, otypes=[float])
_np_erfc = np.vectorize(math.erfc, otypes=[float])


def _np_erfinv(x: Any) -> Any:
    """Winitzki's approximation, and three steps of Halley's method from it."""
    x = np.asarray(x, dtype=float)
    size = np.abs(x)
    rest = 1 - size
    w = -np.log(rest * (1 + size))
    a = 2 / (math.pi * 0.147) - w / 2
    y = np.sqrt(np.sqrt(a * a + w / 0.147) - a)
    for _ in range(3):
        wrong = np.where(size < 0.5, _np_erf(y) - size, rest - _np_erfc(y)) * (math.sqrt(math.pi) / 2) * np.exp(y * y)
        y = y - wrong / (1 + wrong * y)
    return np.copysign(np.where(size < 1, y, np.where(size == 1, np.inf, np.nan)), x)


def _np_bfloat16(x: Any) -> Any:
    x = np.asarray(x)
    if x.dtype != np.float32:  # 8 bits of 53
        mantissa, exponent = np.frexp(x)
        return np.ldexp(np.round(mantissa * 256) / 256, exponent)
    bits = np.ascontiguousarray(x).view(np.uint32)
    rounded = (bits + np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1))) & np.uint32(0xFFFF0000)
    return np.where(np.isnan(x), x + x, rounded.view(np.float32))


# fmt: off
PRIMITIVES: dict[str, Primitive] = {
    "add":           Primitive(np.add, lambda g, y, a, b: (g, g), "{} + {}"),
    "subtract":      Primitive(np.subtract, lambda g, y, a, b: (g, -g), "{} - {}"),
    "multiply":      Primitive(np.multiply, lambda g, y, a, b: (g * b, g * a), "{} * {}"),
    "divide":        Primitive(np.true_divide, lambda g, y, a, b: (g / b, -(g / b) * y), "{} / {}", 8),
    "negative":      Primitive(np.negative, lambda g, y, x: (-g,), "-{}"),
    "abs":           Primitive(np.abs, lambda g, y, x: (g * sign(x),), "nn_abs"),
    "sign":          Primitive(np.sign, None, "nn_sign", 3),
    "copysign":      Primitive(np.copysign, lambda g, y, a, b: (where(equal(y, a), g, -g), None), "nn_copysign"),
    "floor":         Primitive(lambda x: np.floor(x * 1.0), None, "nn_floor", 2),
    "round":         Primitive(np.round, None, "nn_round", 2),
    "sqrt":          Primitive(np.sqrt, lambda g, y, x: (g * 0.5 / y,), "nn_sqrt", 10),
    "rsqrt":         Primitive(lambda x: 1 / np.sqrt(x), lambda g, y, x: (g * -0.5 * y / x,), "nn_rsqrt", 18),
    "exp":           Primitive(np.exp, lambda g, y, x: (g * y,), "nn_exp", 14),
    "exp2":          Primitive(np.exp2, lambda g, y, x: (g * y * 0.6931471805599453,), "nn_exp2", 14),
    "expm1":         Primitive(np.expm1, lambda g, y, x: (g * (y + 1.0),), "nn_expm1", 20),
    "log":           Primitive(np.log, lambda g, y, x: (g / x,), "nn_log", 18),
    "log2":          Primitive(np.log2, lambda g, y, x: (g / x * 1.4426950408889634,), "nn_log2", 20),
    "log1p":         Primitive(np.log1p, lambda g, y, x: (g / (x + 1.0),), "nn_log1p", 22),
    "sin":           Primitive(np.sin, lambda g, y, x: (g * cos(x),), "nn_sin", 36),
    "cos":           Primitive(np.cos, lambda g, y, x: (g * -sin(x),), "nn_cos", 36),
    "arctan":        Primitive(np.arctan, lambda g, y, x: (g / (x * x + 1.0),), "nn_atan", 30),
    "tanh":          Primitive(np.tanh, lambda g, y, x: (g * (1.0 - y * y),), "nn_tanh", 24),
    "sigmoid":       Primitive(_np_sigmoid, lambda g, y, x: (g * (y * (1.0 - y)),), "nn_sigmoid", 24),
    "erf":           Primitive(_np_erf, lambda g, y, x: (g * exp(-x * x) * 1.1283791670955126,), "nn_erf", 30),
    "erfc":          Primitive(_np_erfc, lambda g, y, x: (g * exp(-x * x) * -1.1283791670955126,), "nn_erfc", 55),
    "erfinv":        Primitive(_np_erfinv, lambda g, y, x: (g * exp(y * y) * 0.886226925452758,), "nn_erfinv", 70),
    "power":         Primitive(np.power, lambda g, y, a, b: (g * b * power(a, b - 1.0), g * y * log(a)), "nn_pow", 40),
    "fmod":          Primitive(np.fmod, lambda g, y, a, b: (g, -g * round((a - y) / b)), "nn_fmod", 60),
    "maximum":       Primitive(np.maximum, lambda g, y, a, b: (where(y > b, g, 0.0), where(y > b, 0.0, g)), "nn_max"),
    "minimum":       Primitive(np.minimum, lambda g, y, a, b: (where(y < b, g, 0.0), where(y < b, 0.0, g)), "nn_min"),
    "where":         Primitive(np.where, lambda g, y, c, a, b: (None, where(c, g, 0.0), where(c, 0.0, g)), "nn_select"),
    "cast":          Primitive(lambda x: x * 1, None, "nn_from_mask"),
    "bfloat16":      Primitive(_np_bfloat16, lambda g, y, x: (g,), "nn_bfloat16", 5),
    "stop_gradient": Primitive(lambda x: x, None, "{}", 0),
    "same":          Primitive(lambda x: x, lambda g, y, x: (g,), "{}", 0),
    "equal":         Primitive(np.equal, None, "nn_eq", 1, "mask"),
    "not_equal":     Primitive(np.not_equal, None, "nn_ne", 1, "mask"),
    "less":          Primitive(np.less, None, "nn_lt", 1, "mask"),
    "less_equal":    Primitive(np.less_equal, None, "nn_le", 1, "mask"),
    "greater":       Primitive(np.greater, None, "nn_gt", 1, "mask"),
    "greater_equal": Primitive(np.greater_equal, None, "nn_ge", 1, "mask"),
    "logical_and":   Primitive(np.logical_and, None, "nn_and", 1, "mask"),
    "logical_or":    Primitive(np.logical_or, None, "nn_or", 1, "mask"),
    "logical_not":   Primitive(np.logical_not, None, "nn_not", 1, "mask"),
    "sum":           Primitive(np.sum, lambda g, y, x: (g,), "sum", 1, "reduce"),
    "prod":          Primitive(np.prod, lambda g, y, x: (_product_of_others(g, y, x),), "prod", 1, "reduce"),
    "max":           Primitive(np.max, lambda g, y, x: (_share_of_maximum(g, y, x),), "max", 1, "reduce"),
    "min":           Primitive(np.min, lambda g, y, x: (_share_of_maximum(g, y, x),), "min", 1, "reduce"),
    "argmax":        Primitive(np.argmax, None, "argmax", 2, "reduce"),
}
# fmt: on

_COMMUTATIVE = ("add", "multiply", "equal", "not_equal", "logical_and", "logical_or")

# ------------------------------------------------------------------ building expressions


def set_owner(name: str) -> str:
    """Sets the layer whose formula is traced, which new expressions belong to.

    Args:
        name: of the layer; "" for none.

    Returns:
        The one before.
    """
    before = _owner.get()
    _owner.set(name)
    as_symbol.set(_lift if name else None)
    return before


def _lift(x: Any) -> Expression:
    """Makes an operand of whatever met an expression."""
    if isinstance(x, Expression):
        return x
    if isinstance(x, Variable):
        stand = stands_for.get()
        if stand is not None:
            return _lift(stand(x))
        if x.shape == ():
            return node("weight", (), x, level=UNIFORM)
        return node("weight", (), x, level=ELEMENT, shape=x.shape)
    if isinstance(x, (bool, int, float, np.integer, np.floating, np.bool_)) or np.ndim(x) == 0:
        return constant(float(x))
    if as_symbol.get() is not None:
        from . import parameters

        return parameters.array(x)
    raise ModelError(
        f"A formula met an array of shape {np.shape(x)}: give single numbers, or one number per column; in the "
        "formula of a layer arrays of any shape that fits."
    )


def is_weight(x: Any) -> bool:
    """Returns whether an expression is an array all of whose sizes are known: one over a weight, not over a batch.

    Args:
        x: anything.
    """
    known = isinstance(x, Expression) and bool(x.shape) and None not in x.shape
    return known and x.op not in ("column", "noise", "batch_mean") and x.level in (ELEMENT, UNIFORM)


def _check_weights(args: Sequence[Expression]) -> None:
    """Raises where a matrix meets values per row in a formula that is no layer's."""
    if any(a.shape[:1] == (None,) for a in args):
        for a in args:
            if a.op == "weight" and len(a.shape) > 1:
                raise ModelError(
                    f"{a.value.path}: a weight of shape {a.shape} can meet a formula that is no layer's only through "
                    "ops.matmul; weights of one number per feature can be used anywhere."
                )


def _as_number(x: Expression) -> Expression:
    return cast(x, None) if x.mask else x


def _broadcast(shapes: Sequence[tuple[int | None, ...]]) -> tuple[int | None, ...]:
    rank = builtins.max(map(len, shapes))
    result: list[int | None] = []
    for position in range(-rank, 0):
        sizes = {s[position] for s in shapes if len(s) >= -position} - {1}
        known = {s for s in sizes if s is not None}
        if len(known) > 1:
            raise ModelError(f"A formula combines shapes {' and '.join(map(str, shapes))}, which do not fit.")
        result.append(known.pop() if known and None not in sizes else None if sizes else 1)
    return tuple(result)


def _kept(x: Expression) -> bool:
    return x.op == "expand"


def _expand(x: Expression) -> Expression:
    """A row value as a column of one: what keepdims=True gives."""
    if x.level != ROW or _kept(x):
        return x
    return node("expand", (x,), level=ROW, shape=(*x.shape, 1), mask=x.mask)


def _strip(x: Expression) -> Expression:
    return x.args[0] if _kept(x) else x


def _symbolic(op: str, *operands: Any) -> Expression:
    """Builds a map or mask primitive, simplified."""
    if any(isinstance(x, (np.ndarray, list, tuple)) for x in operands):
        operands = _with_constants(operands)
    args = tuple(map(_lift, operands))
    if any(a.op == "whole" for a in args):
        from . import batch

        return batch.of_whole(op, args)
    if op not in ("logical_and", "logical_or", "logical_not", "cast"):
        first = 1 if op == "where" else 0
        args = (*args[:first], *map(_as_number, args[first:]))
    if as_symbol.get() is not None:
        from . import parameters

        made = parameters.met(op, args)
        if made is not None:
            return made
    else:
        _check_weights(args)
    level = builtins.max(a.level for a in args)
    if level == ELEMENT:
        args = _fitted(op, args)
    rows = [a for a in args if a.level == ROW]
    kept = any(map(_kept, rows))
    if rows and (level == ELEMENT or kept) and not all(map(_kept, rows)):
        args = tuple(_expand(a) if a.level == ROW and _is_given(a) else a for a in args)
        rows = [a for a in args if a.level == ROW]
    if as_symbol.get() is not None and kept and any(map(parameters.is_apart, rows)):
        return _symbolic(op, *map(parameters.together, args))
    if rows and ((level == ELEMENT or kept) and not all(map(_kept, rows))):
        raise ModelError(
            f"ops.{op}: a value per row meets values per row and column; "
            "keep the axis of the reduction: ops.sum(x, axis=-1, keepdims=True)."
        )
    if len(rows) > 1 and level == ROW:
        args = _of_one_width(args)
    shape = _broadcast([a.shape for a in args])
    args = tuple(map(_strip, args))
    simple = _simplify(op, args)
    if simple is not None:
        result = simple
    else:
        if level == ROW and kept:
            shape = shape[:-1]
        if op in _COMMUTATIVE and (op, id(args[1]), id(args[0]), id(None), level, shape) in _nodes:
            args = (args[1], args[0])
        result = node(op, args, level=level, shape=shape, mask=PRIMITIVES[op].kind == "mask")
    return _expand(result) if kept and result.level == ROW else result


def _fitted(op: str, args: tuple[Expression, ...]) -> tuple[Expression, ...]:
    """Operands of one shape: a single column meets all columns, values of one position those of all positions."""
    of_rows = [a for a in args if a.level == ELEMENT and a.shape and a.shape[0] is None]
    shapes = [a.shape for a in args if a.shape]
    if not of_rows and as_symbol.get() is None:
        return args
    shape = _broadcast(shapes)
    args = tuple(_as_uniform(a) if a.level == ELEMENT and a.shape == (1,) != shape[-1:] else a for a in args)
    if not of_rows and (not any(map(_kept, args)) or any(a.level == ELEMENT and not a.shape for a in args)):
        return args  # numbers of columns, as those of one_hot, fit any
    from . import arrays

    made = []
    for a in args:
        if a.level == ROW and not _kept(a) and 1 < len(a.shape) == len(shape):
            a = _truth(arrays.elements(a)) if a.mask else arrays.elements(a)
        if _kept(a) and reduced_width(a) not in (shape[-1], None):
            # A formula has one number of columns: what is reduced over others is a value of its own.
            mask = a.mask
            a = arrays.elements(a) if shape[-1] == 1 else arrays.stored(a)
            a = _truth(a) if mask else a
        elif a.level == ELEMENT and a.shape and a.shape[0] is None:
            if len(a.shape) != len(shape):
                raise ModelError(f"ops.{op}: shapes {' and '.join(map(str, shapes))} do not fit.")
            mask = a.mask
            if a.shape[-1] == 1 != shape[-1]:
                a = arrays.as_row(a)
            if a.shape[1:-1] != shape[1:-1]:
                a = arrays.stretched(arrays.elements(a) if a.level == ROW else a, shape)
                a = arrays.as_row(a) if a.shape[-1] == 1 != shape[-1] else a
            a = _truth(a) if mask and not a.mask else a
        made.append(a)
    return tuple(made)


def _as_uniform(x: Expression) -> Expression:
    """A single number that is the same for all rows, made of weights of shape (1,), as one for all columns."""
    if x.level <= UNIFORM:
        return x
    if x.op == "weight":
        return node("weight", (), x.value, level=UNIFORM)
    if x.op == "custom":  # its gradient is that of numbers on an axis
        return _as_uniform(x.args[0])
    if x.op in PRIMITIVES and PRIMITIVES[x.op].kind != "reduce":
        return _symbolic(x.op, *map(_as_uniform, x.args))
    raise UnsupportedError(f"ops.{x.op}: a mean over the batch of one column alone cannot meet several columns yet.")


def _is_given(x: Expression) -> bool:
    """Whether a value per row was given so: labels are a column, with its axis or without."""
    waiting = [x]
    while waiting:
        x = waiting.pop()
        if x.op in ("row", "take") or (x.op in PRIMITIVES and PRIMITIVES[x.op].kind == "reduce"):
            return False
        waiting.extend(x.args)
    return True


_COLUMNS = 64
"""The most numbers of an array that a formula has in it."""


def _with_constants(operands: Sequence[Any]) -> tuple[Any, ...]:
    """Operands of which a short array of one number per column is a choice by the number of the column."""
    of_rows = any(isinstance(x, Expression) and x.shape[:1] == (None,) for x in operands)
    if as_symbol.get() is not None or not of_rows:  # a layer has room for arrays
        return tuple(operands)
    made = []
    for x in operands:
        array = np.asarray(x) if isinstance(x, (np.ndarray, list, tuple)) else None
        if array is not None and array.size == 1:
            x = float(array.flat[0])
        elif array is not None and array.size <= _COLUMNS and array.shape in ((array.size,), (1, array.size)):
            numbers = [constant(float(n)) for n in array.flat]
            x = numbers[-1]
            for i, number in reversed(list(enumerate(numbers[:-1]))):
                x = node("where", (equal(column(), float(i)), number, x), level=ELEMENT, shape=(None, len(numbers)))
        made.append(x)
    return tuple(made)


def _of_one_width(args: tuple[Expression, ...]) -> tuple[Expression, ...]:
    """Values per row that were reduced over different numbers of columns, each as a value of its own."""
    widths = [reduced_width(a) for a in args]
    if len({w for w in widths if w is not None}) < 2:
        return args
    from . import arrays

    stored = [a if w is None else arrays.stored(a) for a, w in zip(args, widths, strict=True)]
    return tuple(_truth(b) if a.mask and not b.mask else b for a, b in zip(args, stored, strict=True))


def reduced_width(x: Expression) -> int | None:
    """The number of columns that a value per row was reduced over; None if it was not, or is stored by itself."""
    waiting, seen = [x], set[Expression]()
    while waiting:
        x = waiting.pop()
        if x in seen or x.level != ROW or x.op == "row":
            continue
        seen.add(x)
        if x.op in PRIMITIVES and PRIMITIVES[x.op].kind == "reduce":
            return x.args[0].shape[-1] if x.args[0].shape else None
        waiting.extend(x.args)
    return None


def _simplify(op: str, args: tuple[Expression, ...]) -> Expression | None:
    """Rules that keep every bit of the result, but for the sign of a zero."""
    value = [a.value if a.op == "constant" else None for a in args]
    if PRIMITIVES[op].kind == "map" and op != "where" and None not in value:
        return constant(_fold(op, value))
    a, b = (args[0], value[0]), (args[-1], value[-1])
    if op == "add":
        if a[0] is b[0]:
            return _twice(a[0])
        return b[0] if a[1] == 0 else a[0] if b[1] == 0 else None
    if op == "subtract":
        return a[0] if b[1] == 0 else _symbolic("negative", b[0]) if a[1] == 0 else None
    if op == "multiply":
        for (_, number), (other, _) in ((a, b), (b, a)):
            if number == 1:
                return other
            if number == -1:
                return _symbolic("negative", other)
        return None
    if op == "divide":
        return a[0] if b[1] == 1 else None
    if op == "negative":
        return a[0].args[0] if a[0].op == "negative" else None
    if op == "power" and b[1] is not None:
        known: dict[float, Callable[[Any], Any]] = {1.0: lambda x: x, 2.0: square, 0.5: sqrt, -1.0: lambda x: 1.0 / x}
        rule = known.get(b[1])
        return None if rule is None else _lift(rule(a[0]))
    if op in ("maximum", "minimum") and a[1] is not None:
        return _symbolic(op, b[0], a[0])
    return None


def _twice(x: Expression) -> Expression:
    """x + x as a product, which one instruction adds to something else; a number in it is doubled once, ahead."""
    if x.op == "multiply" and x.level > UNIFORM:
        for number, other in (x.args, x.args[::-1]):
            if number.level <= UNIFORM:
                return _symbolic("multiply", _twice(number), other)
    return _symbolic("multiply", constant(2.0), x)


def _fold(op: str, value: Sequence[Any]) -> float:
    with np.errstate(all="ignore"):
        return float(PRIMITIVES[op].numpy(*value))


def _number_or_array(x: Any) -> Any:
    """Numbers stay Python's, so that they are typed weakly; the rest becomes an array."""
    if x is None:
        raise ModelError(
            "ops: expected numbers, received None. In a formula the number of rows of a batch, ops.shape(x)[0], is not "
            f"known: it can be the first size of a shape, and nothing is computed from it.{line_of_user()}"
        )
    if isinstance(x, Variable):
        return x.value if as_symbol.get() is None else np.asarray(x)  # which says why not
    if isinstance(x, (bool, int, float, np.ndarray, np.generic)):
        return x
    array = np.asarray(x)
    return array.astype(config.floatx()) if array.dtype in (np.float64, np.int64) else array


def _symbols(*args: Any) -> bool:
    kinds = (Expression, Variable) if as_symbol.get() or stands_for.get() else Expression
    return any(isinstance(a, kinds) for a in args)


def _traced(x: Any) -> Any:
    """A variable as a symbol where the formula of a layer is traced."""
    return _lift(x) if isinstance(x, Variable) and (as_symbol.get() or stands_for.get()) else x


def _apply(op: str, *args: Any) -> Any:
    if _symbols(*args):
        return _symbolic(op, *args)
    return _computed(PRIMITIVES[op].numpy, *args)


def _computed(function: Callable[..., Any], *args: Any, **keywords: Any) -> Any:
    """What a NumPy function makes of arrays and numbers, with Keras' rule of types.

    No type is wider than 32 bits that was not given, and of whole numbers come numbers of the type of the layers.
    """
    numbers = [a if a is None else _number_or_array(a) for a in args]
    if isinstance(keywords.get("axis"), list):
        keywords["axis"] = tuple(keywords["axis"])
    with np.errstate(all="ignore"):
        result = function(*numbers, **keywords)
    # whole numbers alone are Python's, typed weakly, as is the step of an optimizer
    types = [
        n.dtype for n in numbers if isinstance(n, np.ndarray) or (isinstance(n, np.generic) and n.dtype.kind == "f")
    ]
    made = getattr(result, "dtype", None)
    if not types or made is None or made in types:
        return result
    floats = [t for t in types if t.kind == "f"]
    if made == np.float64 or (made.kind == "f" and not floats and made.itemsize < 4):
        with np.errstate(all="ignore"):
            if made.itemsize < 4:  # NumPy computes in half precision with whole numbers of 8 bits
                numbers = [n.astype(config.floatx()) if isinstance(n, np.ndarray) else n for n in numbers]
                result = function(*numbers, **keywords)
            return result.astype(np.result_type(*floats) if floats else config.floatx())
    if made.kind in "iu" and made.itemsize == 8 and all(t.itemsize < 8 for t in types):
        return result.astype(np.int32 if made.kind == "i" else np.uint32)
    return result


def _reduce(op: str, x: Any, axis: int | None, keepdims: bool) -> Any:
    x = _traced(x)
    if not isinstance(x, Expression):
        if op == "argmax":
            return np.argmax(_number_or_array(x), axis=axis, keepdims=keepdims).astype(np.int32)
        return _computed(PRIMITIVES[op].numpy, np.asarray(_number_or_array(x)), axis=axis, keepdims=keepdims)
    if is_weight(x):
        from . import weights

        return weights.reduce(op, _as_number(x), axis, keepdims)
    x = _as_number(x)
    if (axis != -1 and axis != len(x.shape) - 1) or (axis == 0 and x.shape == (None,)):
        return _other_axes(globals()[op], x, axis, keepdims)
    if x.level == ROW:  # one column, or none
        if not _kept(x) and not _is_given(x):
            if len(x.shape) > 1:  # it has other axes than the one that it was reduced along
                from . import arrays

                return _reduce(op, arrays.elements(x), -1, keepdims)
            raise ModelError(f"ops.{op}: there is no column left to reduce over.")
        result = _strip(x)
        if op == "argmax":  # 0 for each row, whatever it has
            result = _symbolic("cast", _symbolic("less", result, result))
    elif x.level < ROW:
        raise ModelError(f"ops.{op}: expected values per row and column, received a single number.")
    elif len(x.shape) < 2 and x.op != "column":
        raise UnsupportedError(f"ops.{op}: a weight alone cannot be reduced in a formula yet: {x!r:.80}.")
    else:
        result = node(op, (x,), level=ROW, shape=x.shape[:-1])
    return _expand(result) if keepdims else result


def _other_axes(reduce: Callable[..., Any], x: Expression, axis: Any, keepdims: bool) -> Any:
    """A reduction of a formula over other axes than the last."""
    from . import arrays, batch

    made = batch.reduced(reduce, x, axis, keepdims)
    return arrays.reduced(reduce, x, axis, keepdims) if made is None else made


# ------------------------------------------------------------------ the public operations


def _unary(name: str, text: str) -> Callable[[Any], Any]:
    def operation(x: Any) -> Any:
        return _apply(name, x)

    operation.__name__, operation.__doc__ = name, text
    return elementwise(operation)


def _binary(name: str, text: str) -> Callable[[Any, Any], Any]:
    def operation(x1: Any, x2: Any) -> Any:
        return _apply(name, x1, x2)

    operation.__name__, operation.__doc__ = name, text
    return elementwise(operation)


add: Binary = _binary("add", "x1 + x2")
subtract: Binary = _binary("subtract", "x1 - x2")
multiply: Binary = _binary("multiply", "x1 * x2")
divide: Binary = _binary("divide", "x1 / x2")
power: Binary = _binary("power", "x1 to the power of x2: ``x1^x2``; NaN for a negative x1 and an x2 with a fraction.")
maximum: Binary = _binary("maximum", "The larger of two, NaN if either is; of equals the gradient goes to x2.")
minimum: Binary = _binary("minimum", "The smaller of two, NaN if either is; of equals the gradient goes to x2.")
equal: Binary = _binary("equal", "Whether x1 == x2; NaN is not equal to itself.")
not_equal: Binary = _binary("not_equal", "Whether x1 != x2; NaN is not equal to itself.")
less: Binary = _binary("less", "Whether x1 < x2; not if either is NaN.")
less_equal: Binary = _binary("less_equal", "Whether x1 <= x2; not if either is NaN.")
greater: Binary = _binary("greater", "Whether x1 > x2; not if either is NaN.")
greater_equal: Binary = _binary("greater_equal", "Whether x1 >= x2; not if either is NaN.")
negative: Unary = _unary("negative", "-x")
abs = absolute = _unary("abs", "|x|; the gradient at 0 is 0.")
sign: Unary = _unary("sign", "-1 below 0, 0 at 0, 1 above; no gradient.")
floor: Unary = _unary("floor", "The largest integer that is not larger; no gradient.")
round: Unary = _unary("round", "The nearest integer, halves to even; no gradient.")
sqrt: Unary = _unary("sqrt", "Square root: ``x^(1 / 2)``, NaN below 0.")
rsqrt: Unary = _unary("rsqrt", "1 / sqrt(x)")
exp: Unary = _unary("exp", "e^x")
expm1: Unary = _unary("expm1", "e^x - 1, exact near 0.")
log: Unary = _unary("log", "Natural logarithm: the y with ``e^y = x``; NaN below 0.")
log1p: Unary = _unary("log1p", "log(1 + x), exact near 0; NaN below -1.")
tanh: Unary = _unary("tanh", "Hyperbolic tangent: ``(e^x - e^-x) / (e^x + e^-x)``, without overflow.")
sigmoid: Unary = _unary("sigmoid", "1 / (1 + e^-x), without overflow.")
erf: Unary = _unary("erf", "The error function: ``2 / sqrt(pi)`` times the integral of ``e^(-t^2)`` from 0 to x.")
erfc: Unary = _unary("erfc", "1 - erf(x), exact where erf(x) is nearly 1.")
erfinv: Unary = _unary("erfinv", "The y with erf(y) = x; infinite at 1 and -1, NaN beyond.")
exp2: Unary = _unary("exp2", "2^x, exact for a whole x.")
log2: Unary = _unary("log2", "Logarithm to base 2, exact for a power of 2; NaN below 0.")
sin: Unary = _unary("sin", "Sine of an angle in radians.")
cos: Unary = _unary("cos", "Cosine of an angle in radians.")
arctan: Unary = _unary("arctan", "The angle between -pi/2 and pi/2 whose tangent is x.")
copysign: Binary = _binary("copysign", "The size of x1 with the sign of x2, also of a zero; not an operation of Keras.")
fmod: Binary = _binary("fmod", "What whole multiples of x2 leave of x1, with the sign of x1; exact.")


def _truth(x: Expression) -> Any:
    return x if x.mask else not_equal(x, 0.0)


def _logical(op: str, *args: Any) -> Any:
    return _apply(op, *(_truth(_lift(x)) for x in args) if _symbols(*args) else args)


@elementwise
def logical_and(x1: Any, x2: Any) -> Any:
    """Whether both hold: numbers hold that are not 0."""
    return _logical("logical_and", x1, x2)


@elementwise
def logical_or(x1: Any, x2: Any) -> Any:
    """Whether one holds at least: numbers hold that are not 0."""
    return _logical("logical_or", x1, x2)


@elementwise
def logical_not(x: Any) -> Any:
    """Whether it does not hold: numbers hold that are not 0."""
    return _logical("logical_not", x)


def where(condition: Any, x1: Any = None, x2: Any = None) -> Any:
    """``x1`` where the condition holds, else ``x2``; without both, of an array, the places where it holds.

    The gradient goes to the one that is chosen. The other is computed as well: where it is not finite, a formula that
    made it so has a gradient that is NaN.

    Args:
        condition: truth values, or numbers, which hold if they are not 0.
        x1: numbers of any shape that is broadcast to that of the others.
        x2: likewise.

    Returns:
        The numbers in the shape that all three have together; without these two an array of places for each axis.

    Raises:
        ModelError: only one of both is given, or none in a formula.
    """
    if x1 is None and x2 is None and not _symbols(condition):
        return tuple(at.astype(np.int32) for at in np.nonzero(condition))
    if x1 is None or x2 is None:
        raise ModelError("ops.where: expected both x1 and x2. Where a condition holds is not known before it runs.")
    if not _symbols(condition, x1, x2):
        x1, x2 = _number_or_array(x1), _number_or_array(x2)
        arrays = [a for a in (x1, x2) if isinstance(a, (np.ndarray, np.generic))]
        result = np.where(condition, x1, x2)  # np.where knows no weak types
        return (
            result.astype(np.result_type(*arrays, *(a for a in (x1, x2) if isinstance(a, float)))) if arrays else result
        )
    return _apply("where", _truth(_lift(condition)), x1, x2)


def cast(x: Any, dtype: Any) -> Any:
    """``x`` in another type.

    In a formula, whose numbers are all of one type, to whole numbers is to what they are without their
    fraction, ``bool`` is whether they are not 0, and a truth value becomes 0 or 1.

    Args:
        x: numbers of any shape: an array, or values of a formula.
        dtype: name or type; that of the layers if None.

    Returns:
        The numbers in the shape of ``x``.
    """
    x = _traced(x)
    if not isinstance(x, Expression):
        return np.asarray(_number_or_array(x)).astype(dtype or config.floatx())
    kind = "f" if dtype is None or str(dtype) == "bfloat16" else np.dtype(dtype).kind
    if kind == "b":
        return x if x.mask else not_equal(x, 0.0)
    if x.mask:
        return _symbolic("cast", x)
    if kind not in "iu" or x.op in ("argmax", "cast", "column", "floor"):
        return x
    return where(less(x, 0.0), 0.0 - floor(-x), floor(x))


@elementwise
def bfloat16(x: Any) -> Any:
    """``x`` rounded to 8 significant bits, to even if halfway: the nearest bfloat16, in the type that ``x`` has.

    Its gradient is 1. It is not an operation of Keras.
    """
    if not _symbols(x):
        return _np_bfloat16(_number_or_array(x))
    x = _lift(x)
    if x.op == "bfloat16":
        return x
    made = _symbolic("bfloat16", x)
    made.owner = x.owner  # it belongs to the value, not to the layer that multiplies it
    return made


def stop_gradient(variable: Any) -> Any:
    """``x``, which differentiation takes for a constant.

    Args:
        variable: an array, or a value of a formula, of any shape.

    Returns:
        The same.
    """
    return _symbolic("stop_gradient", variable) if _symbols(variable) else variable


@elementwise
def square(x: Any) -> Any:
    """``x * x``"""
    return multiply(x, x)


@elementwise
def reciprocal(x: Any) -> Any:
    """``1 / x``"""
    return divide(1.0, x)


@elementwise
def clip(x: Any, x_min: float, x_max: float) -> Any:
    """``min(max(x, x_min), x_max)``; where it limits, the gradient is 0.

    Args:
        x_min: the least result.
        x_max: the largest result.
    """
    return minimum(maximum(x, x_min), x_max)


@described(REDUCTION)
def sum(x: Any, axis: int | None = None, keepdims: bool = False) -> Any:
    """Sum over axes."""
    return _reduce("sum", x, axis, keepdims)


@described(REDUCTION)
def mean(x: Any, axis: int | None = None, keepdims: bool = False) -> Any:
    """Mean over axes: ``sum(x) / n`` for n numbers.

    Raises:
        ModelError: in a formula, n is not known when it is traced.
    """
    x = _traced(x)
    if not isinstance(x, Expression):
        return _computed(np.mean, x, axis=axis, keepdims=keepdims)
    if is_weight(x):
        from . import weights

        return sum(x, axis, keepdims) / weights.count("mean", x, axis)
    if (axis != -1 and axis != len(x.shape) - 1) or (axis == 0 and x.shape == (None,)):
        return _other_axes(mean, x, axis, keepdims)
    if x.shape and x.shape[-1] is None:
        raise ModelError("ops.mean: the number of columns is not known here.")
    return sum(x, axis, keepdims) / float(x.shape[-1] or 1)


@described(REDUCTION)
def prod(x: Any, axis: int | None = None, keepdims: bool = False, dtype: Any = None) -> Any:
    """Product over axes.

    Its gradient is the product of the other numbers, right where there are zeros as well.

    Args:
        dtype: type of the result; that of ``x`` if None.
    """
    result = _reduce("prod", x, axis, keepdims)
    return result if dtype is None else cast(result, dtype)


@described(REDUCTION)
def max(x: Any, axis: int | None = None, keepdims: bool = False, initial: Any = None) -> Any:
    """Largest value over axes; its gradient is shared by those that are equal to it.

    Args:
        initial: one more value, the least result.
    """
    result = _reduce("max", x, axis, keepdims)
    return result if initial is None else maximum(result, initial)


@described(REDUCTION)
def min(x: Any, axis: int | None = None, keepdims: bool = False, initial: Any = None) -> Any:
    """Smallest value over axes; its gradient is shared by those that are equal to it.

    Args:
        initial: one more value, the largest result.
    """
    result = _reduce("min", x, axis, keepdims)
    return result if initial is None else minimum(result, initial)


@described(REDUCTION)
def argmax(x: Any, axis: int | None = None, keepdims: bool = False) -> Any:
    """Place of the largest value along an axis, the first of equals.

    Args:
        axis: along which; None for the place among all numbers, of arrays.
    """
    return _reduce("argmax", x, axis, keepdims)


def custom_gradient(f: Callable[..., tuple[Any, Callable[..., Any]]]) -> Callable[..., Any]:
    """Gives a formula a gradient of its author's.

    Args:
        f: ``f(*args)`` returns the value and a function that takes the
            gradient of the value and returns one for each argument.

    Returns:
        A function of the same arguments that returns the value alone.

    Source: ``keras.ops.custom_gradient``.
    """

    @functools.wraps(f)
    def operation(*args: Any) -> Any:
        value, gradient = f(*args)
        if not isinstance(value, Expression):
            return value
        operands = tuple(_strip(_lift(a)) for a in args)
        made = node("custom", (_strip(value), *operands), gradient, level=value.level, shape=_strip(value).shape)
        return _expand(made) if _kept(value) else made

    return operation
