"""Matrix products in the formula of a layer: of values and a weight, and of two values of each sample.

A product with a weight of two axes is the primitive ``matmul``, which is tuned. One of two
values, as in attention, is the primitive ``dot``: for each sample a matrix times a matrix,
``(None, …, m, k) · (None, …, k, n)``. Weights that are turned round, or have other axes,
are values of each sample there (:mod:`nncompile.ops.parameters`).
"""

from __future__ import annotations

import math
import string
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..errors import ModelError, UnsupportedError
from ..variables import Variable
from . import arrays, core, parameters, reshaping, weights
from .expressions import ELEMENT, ROW, Expression, node


def matmul(x1: Any, x2: Any, low: bool = False) -> Any:
    """``x1 · x2`` with NumPy's meaning, where one at least is a formula.

    Args:
        x1: values, a weight or an array.
        x2: likewise.
        low: whether operands are rounded to bfloat16 first.

    Raises:
        ModelError: the shapes do not fit, or samples would be multiplied by each other.
    """
    a, b = _operand(x1), _operand(x2)
    if not a.shape or not b.shape:
        raise ModelError(f"ops.matmul: expected two with axes, received shapes {a.shape} and {b.shape}.")
    if _is_value(a) and b.op == "weight" and len(b.shape) == 2 and not parameters.is_elsewhere(b):
        return of_weight(a, x2, (b.shape[0] or 0, b.shape[1] or 0), low)
    if _is_value(a) and b.op == "transposed" and _is_whole(b.args[0]):
        return of_weight(a, _turned(b.args[0]), (b.shape[0] or 0, b.shape[1] or 0), False)
    if not _is_value(a) and not _is_value(b):
        return weights.matmul(a, b)
    inner = a.shape[-1], b.shape[-2 if len(b.shape) > 1 else -1]
    if inner[0] != inner[1]:
        raise ModelError(f"ops.matmul: shapes {a.shape} and {b.shape} do not fit.")
    if not _is_value(b) and len(b.shape) == 1:
        return core.sum(core.multiply(a, b), axis=-1)
    if not _is_value(a) and len(a.shape) == 1:
        return core.sum(core.multiply(reshaping.reshape(a, (-1, 1)), b), axis=-2)
    if not _is_value(b) and len(b.shape) == 2:  # all rows of a sample are multiplied by one matrix
        rows = math.prod(n or 0 for n in a.shape[1:-1])
        made = dot(reshaping.reshape(a, (-1, rows, inner[0])), parameters.valued(b), low)
        return reshaping.reshape(made, (-1, *a.shape[1:-1], b.shape[1]))
    rank = max(len(x.shape) + (not _is_value(x)) for x in (a, b))
    a, b = (x if _is_value(x) else parameters.of_rank(parameters.valued(x), rank) for x in (a, b))
    if len(a.shape) < 3 or len(b.shape) < 3 or len(a.shape) != len(b.shape):
        raise ModelError(
            f"ops.matmul: values of shapes {reshaping.shape(x1)} and {reshaping.shape(x2)} would be multiplied across "
            "the samples of a batch, whose axis comes first: expected two axes behind it, and as many of both. "
            "ops.expand_dims(x, 1) makes a matrix of one row of each sample."
        )
    return dot(a, b, low)


def of_weight(x: Expression, weight: Any, shape: Sequence[int], low: bool) -> Expression:
    """Values times a weight, seen as a matrix of a shape."""
    if x.shape[-1] != shape[0]:
        path = weight.path if isinstance(weight, Variable) else "an array"
        raise ModelError(f"ops.matmul: {x.shape} times {path} of shape {tuple(shape)} does not fit.")
    kernel = weight.value if isinstance(weight, Expression) else weight
    if not isinstance(kernel, Variable):
        kernel = parameters.matrix(np.reshape(kernel, tuple(shape)))
    x = core.bfloat16(x) if low else x
    return node("matmul", (x,), kernel, level=ELEMENT, shape=(*x.shape[:-1], shape[1]))


def dot(a: Expression, b: Expression, low: bool = False) -> Expression:
    """Products of matrices of each sample: ``(None, …, m, k) · (None, …, k, n)``, axes of size 1 between repeated."""
    lead = core._broadcast([a.shape[:-2], b.shape[:-2]])
    a, b = (_led(x, lead) for x in (a, b))
    if b.shape[-1] == 1:  # of a single column: sums over rows are less work than a panel of columns
        row = arrays.swapaxes(b, -1, -2)
        return arrays.elements(core.sum(core.multiply(*_rounded((a, row), low)), axis=-1, keepdims=True))
    a, b = _rounded((a, b), low)
    return node("dot", (a, b), level=ELEMENT, shape=(*lead, a.shape[-2], b.shape[-1]))


def _rounded(xs: tuple[Expression, ...], low: bool) -> tuple[Expression, ...]:
    return tuple(core.bfloat16(x) if low else x for x in xs)


def _led(x: Expression, lead: tuple[int | None, ...]) -> Expression:
    """Values with all axes before the last two repeated to their full size."""
    if x.shape[:-2] == lead:
        return x
    sizes = tuple(n or 0 for n in (*lead[1:], *x.shape[-2:]))
    return arrays.arranged(lambda a: np.broadcast_to(a, (len(a), *sizes)), x)


def _operand(x: Any) -> Expression:
    x = core._as_number(core._lift(x))
    return arrays.elements(x) if x.level == ROW and len(x.shape) > 1 else x


def _is_value(x: Expression) -> bool:
    return x.shape[:1] == (None,)


def _is_whole(x: Expression) -> bool:
    """Whether an expression is a weight of two axes, or an array, as it is."""
    return x.op == "weight" and len(x.shape) == 2 and x.shape == x.value.shape


def _turned(x: Expression) -> Variable:
    """The transpose of a weight, to multiply values by without copies for each sample."""
    constant = isinstance(x.value, parameters.Constant)
    return parameters.matrix(x.value.value.T) if constant else parameters.turned(x.value)


# ------------------------------------------------------------------ by Einstein's notation


def einsum(subscripts: str, *operands: Any) -> Any:
    """Sums of products by Einstein's notation, of operands of which one at least is a formula.

    Raises:
        ModelError: the notation does not fit the operands, or is across samples.
        UnsupportedError: a letter stands twice in an operand.
    """
    values = [_operand(x) for x in operands]
    names, out = _axes_by_name(subscripts, values)
    if any(len(set(n)) != len(n) for n in (*names, out)) or set(out) - set("".join(names)):
        raise UnsupportedError(
            f"ops.einsum: a formula expects each letter once in an operand, received {subscripts!r}."
        )
    if len(values) > 2:  # one more at a time, beginning with values of samples
        first, second, *rest = sorted(range(len(values)), key=lambda i: not _is_value(values[i]))
        needed = {*out, *"".join(names[i] for i in rest)}
        kept = "".join(dict.fromkeys(c for c in names[first] + names[second] if c in needed))
        made = einsum(f"{names[first]},{names[second]}->{kept}", operands[first], operands[second])
        left = ",".join([kept, *(names[i] for i in rest)])
        return einsum(f"{left}->{out}", made, *(operands[i] for i in rest))
    batch = {n[0] for x, n in zip(values, names, strict=True) if _is_value(x)}
    if len(batch) != 1 or out[:1] not in batch or any(out[0] in n[1:] for n in (*names, out)):
        raise ModelError(
            f"ops.einsum: {subscripts!r} is across samples: expected their axis first in values and result."
        )
    sizes: dict[str, int] = {}
    for x, n in zip(values, names, strict=True):
        for letter, size in zip(n, x.shape, strict=True):
            if size is not None and sizes.setdefault(letter, size) != size:
                raise ModelError(f"ops.einsum: {subscripts!r}: {letter!r} is {sizes[letter]} and {size}.")
    if len(values) == 1:
        return _ordered(_summed(values[0], names[0], out), "".join(c for c in names[0] if c in out), out)
    # what only one of them has, and the result has not, is summed up before
    (a, b), (of_a, of_b) = values, names
    lone = [n for n in (of_a, of_b) if any(c not in out and c not in (of_b if n is of_a else of_a) for c in n)]
    if lone:
        keep_a, keep_b = ("".join(c for c in n if c in out or c in m) for n, m in ((of_a, of_b), (of_b, of_a)))
        a, b = (_summed(x, n, k) for x, n, k in ((a, of_a, keep_a), (b, of_b, keep_b)))
        of_a, of_b = keep_a, keep_b
    if not _is_value(a):
        a, b, of_a, of_b = b, a, of_b, of_a
    shared = [c for c in of_a if c in of_b and c in out and c != out[0]]
    inner = [c for c in of_a if c in of_b and c not in out]
    mine, other = ([c for c in n if c not in m and c != out[0]] for n, m in ((of_a, of_b), (of_b, of_a)))
    if not inner:
        order = [c for c in out[1:] if c in of_a or c in of_b]
        return core.multiply(*(_spread(x, n, [out[0], *order], sizes) for x, n in ((a, of_a), (b, of_b))))
    depth, rows, columns = (math.prod(sizes[c] for c in axes) for axes in (inner, mine, other))
    left = reshaping.reshape(
        _ordered(a, of_a, [out[0], *shared, *mine, *inner]), (-1, *(sizes[c] for c in shared), rows, depth)
    )
    weight = operands[1] if values[1] is b else operands[0]
    if not _is_value(b) and not shared and list(of_b) == [*inner, *other] and b.op == "weight":
        made = of_weight(left, b if isinstance(weight, Expression) else weight, (depth, columns), _low())
    elif not _is_value(b) and not shared and _is_whole(b) and list(of_b) == [*other, *inner] and len(inner) == 1:
        made = of_weight(left, _turned(b), (depth, columns), False)
    else:
        b, of_b = (b, of_b) if _is_value(b) else (parameters.valued(b), out[0] + of_b)
        right = reshaping.reshape(
            _ordered(b, of_b, [out[0], *(c for c in shared if c in of_b), *inner, *other]),
            (-1, *(sizes[c] for c in shared), depth, columns),
        )
        made = dot(left, right, _low())
    names_made = [out[0], *shared, *mine, *other]
    result = reshaping.reshape(made, (-1, *(sizes[c] for c in names_made[1:]))) if len(names_made) > 1 else made
    if len(names_made) == 1:
        return core.sum(reshaping.reshape(made, (-1, 1)), axis=-1)
    return _ordered(result, "".join(names_made), out)


def _axes_by_name(subscripts: str, values: Sequence[Expression]) -> tuple[list[str], str]:
    """The letters of each operand and of the result: those of ``...`` too, and of a result that is not written."""
    before, arrow, out = subscripts.replace(" ", "").partition("->")
    names = before.split(",")
    if len(names) != len(values):
        raise ModelError(f"ops.einsum: {subscripts!r} is of {len(names)} operands, received {len(values)}.")
    if not arrow:
        out = "..." * ("..." in before) + "".join(sorted(c for c in {*before} - {*".,"} if before.count(c) == 1))
    free = [c for c in string.ascii_letters if c not in subscripts]
    most = 0
    for i, (x, n) in enumerate(zip(values, names, strict=True)):
        more = len(x.shape) - len(n.replace("...", ""))
        if more < 0 or (more and "..." not in n):
            raise ModelError(f"ops.einsum: {n!r} names {len(n.replace('...', ''))} axes, received shape {x.shape}.")
        names[i] = n.replace("...", "".join(reversed(free[:more])))  # the last of them meet
        most = max(most, more)
    return names, out.replace("...", "".join(reversed(free[:most])))


def _low() -> bool:
    return reshaping._products.get() == "bfloat16"


def _summed(x: Expression, names: str, keep: str) -> Expression:
    axes = tuple(i for i, c in enumerate(names) if c not in keep)
    if not axes:
        return x
    if not _is_value(x):
        for axis in reversed(axes):
            x = core._lift(core.sum(x, axis=axis))
        return x
    made: Expression = arrays.reduced(core.sum, x, axes, False)
    return arrays.elements(made) if len(made.shape) > 1 else made


def _ordered(x: Expression, names: str, wanted: Sequence[str]) -> Any:
    """Values with their axes in an order."""
    order = [names.index(c) for c in wanted]
    return x if order == [*range(len(names))] else arrays.transpose(x, order)


def _spread(x: Expression, names: str, wanted: Sequence[str], sizes: dict[str, int]) -> Any:
    """Values with the axes that are wanted, of size 1 where they have none."""
    if not _is_value(x):
        x, names = parameters.valued(x), wanted[0] + names
    ordered = _ordered(x, names, [c for c in wanted if c in names])
    return reshaping.reshape(ordered, (-1, *(sizes[c] if c in names else 1 for c in wanted[1:])))


__all__ = ["dot", "einsum", "matmul", "of_weight"]
