"""Operations of ``keras.ops`` on the axes of values: other shapes of the same numbers, arrays like others, products.

They are built on the primitives of :mod:`nncompile.ops.core`, and are what
:mod:`nncompile.ops.arrays`, which moves numbers, is built on.
"""

from __future__ import annotations

import builtins
import math
from collections.abc import Sequence
from contextvars import ContextVar
from typing import Any

import numpy as np

from .. import config
from ..errors import ModelError, UnsupportedError
from ..variables import Variable, as_product, as_symbol
from .core import (
    _as_number,
    _expand,
    _is_given,
    _kept,
    _lift,
    _number_or_array,
    _strip,
    _symbolic,
    _symbols,
    _traced,
    _truth,
    bfloat16,
    equal,
    is_weight,
    reduced_width,
    sum,
    where,
)
from .expressions import (
    ELEMENT,
    ROW,
    Expression,
    column,
    node,
)


def shape(x: Any) -> tuple[Any, ...]:
    """Sizes of the axes.

    Args:
        x: array, weight or value of a formula.

    Returns:
        A tuple of whole numbers; None stands for the number of rows of a formula.

    Source: ``keras.ops.shape``.
    """
    return tuple(x.shape) if isinstance(x, (Expression, Variable)) else np.shape(x)


def squeeze(x: Any, axis: int | Sequence[int] | None = None) -> Any:
    """``x`` without axes of size 1.

    Args:
        x: array, or value of a formula.
        axis: which one, or several; all of size 1 if None. In a formula the batch stays.

    Returns:
        The same numbers with fewer axes; a formula may be left with a value per row.

    Raises:
        ModelError: in a formula, an axis has another size.
    """
    x = _traced(x)
    if not isinstance(x, Expression):
        return np.squeeze(np.asarray(x), axis=axis if axis is None or isinstance(axis, int) else tuple(axis))
    weight = is_weight(x)
    if weight:
        from . import weights
    of = weights.sizes(x) if weight else x.shape
    rank = len(of)
    if not weight and x.level == ROW and rank == 1 and axis in (1, -1) and _is_given(x):
        return x
    if axis is None:
        axes = {i for i, n in enumerate(of) if n == 1}
    else:
        axes = set(_places("squeeze", axis, rank))
        wrong = [i for i in sorted(axes) if of[i] != 1]
        if wrong:
            raise ModelError(f"ops.squeeze: expected axes of size 1, received axis={axis} of shape {of}.")
    rest = tuple(n for i, n in enumerate(of) if i not in axes)
    if weight:
        return weights.view(x, rest)  # type: ignore[arg-type]
    if not axes or x.level < ROW:
        return x
    if x.level == ROW:
        return _strip(x)
    return reshape(x, (-1, *rest[1:])) if len(rest) > 1 else sum(reshape(x, (-1, 1)), axis=-1)


def _places(name: str, axis: int | Sequence[int], rank: int) -> tuple[int, ...]:
    """Axes counted from the front."""
    axes = (axis,) if isinstance(axis, int) else tuple(axis)
    if any(not -rank <= a < rank for a in axes):
        raise ModelError(f"ops.{name}: expected axes of an array of {rank}, received axis={axis}.")
    return tuple(a % rank for a in axes)


def expand_dims(x: Any, axis: int | Sequence[int]) -> Any:
    """``x`` with a new axis of size 1, or several.

    Args:
        x: array, or value of a formula, whose value per row becomes one per row and column.
        axis: where it stands in the result, or they do; in a formula not 0, where the batch is.

    Returns:
        The same numbers with more axes.

    Raises:
        ModelError: in a formula, there is no such place.
    """
    x = _traced(x)
    if not isinstance(x, Expression):
        return np.expand_dims(np.asarray(x), axis if isinstance(axis, int) else tuple(axis))
    if not isinstance(axis, int):
        for place in sorted(_places("expand_dims", axis, len(shape(x)) + len(axis))):
            x = expand_dims(x, place)
        return x
    if is_weight(x):
        from . import weights

        of = weights.sizes(x)
        place = axis % (len(of) + 1)
        return weights.view(x, (*of[:place], 1, *of[place:]))
    if not x.shape and as_symbol.get() is not None and x.op != "constant":  # a single number of weights
        return node(x.op, x.args, x.value, level=x.level, shape=(1,), mask=x.mask)
    if not x.shape or x.shape[0] is not None:
        return _expand(x)
    rank = len(x.shape) + 1
    if not -rank <= axis < rank:
        raise ModelError(f"ops.expand_dims: expected an axis from {-rank} to {rank - 1}, received {axis}.")
    place = axis % rank
    if place == 0:
        raise ModelError("ops.expand_dims: axis 0 is the batch in a formula.")
    if x.level == ROW and not _kept(x):
        if place == rank - 1:
            return _expand(x)
        from . import parameters

        return expand_dims(parameters.together(x), axis)
    return reshape(x, (-1, *x.shape[1:place], 1, *x.shape[place:]))


def reshape(x: Any, newshape: Sequence[int | None]) -> Any:
    """``x`` in another shape, its numbers in the order that they have, the last axis fastest.

    Args:
        x: array, weight or value of a formula.
        newshape: sizes of the axes, of which one may be -1 and is what is left. In a formula the rows of a batch stay
            apart: ``newshape[0]`` is -1 or None, and another may be -1. A weight becomes one of a single axis by
            ``(-1,)``.

    Returns:
        As many numbers in the shape ``newshape``.

    Raises:
        ModelError: in a formula, the numbers are not as many, or the rows do not come first.
    """
    if isinstance(x, Variable) and as_symbol.get():
        if tuple(newshape) == (-1,):
            return node("weight", (), x, level=ELEMENT, shape=(math.prod(x.shape),))
        x = _lift(x)
    if not isinstance(x, Expression):
        return np.reshape(x, tuple(-1 if n is None else n for n in newshape))
    if is_weight(x):
        from . import weights

        return weights.view(x, np.zeros(weights.sizes(x)).reshape([-1 if n is None else n for n in newshape]).shape)
    if x.mask:
        return _truth(reshape(_as_number(x), newshape))
    first, *rest = newshape
    if x.level == ROW:
        from . import arrays

        x = arrays.elements(x) if len(x.shape) > 1 else arrays.as_column(x)
    old = x.shape[1:]
    if rest.count(-1) == 1 and None not in old:  # the size that is left
        known = math.prod(n for n in rest if n is not None and n != -1)
        size = math.prod(n or 1 for n in old)
        rest[rest.index(-1)] = size // builtins.max(known, 1)
    if first not in (-1, None) or x.level != ELEMENT or any(n is None or n < 1 for n in rest):
        raise ModelError(f"ops.reshape: expected (-1, sizes…) for the rows, received {tuple(newshape)}.")
    sizes = tuple(int(n) for n in rest if n is not None) or (1,)
    if math.prod(sizes) != math.prod(n or 1 for n in old):
        raise ModelError(f"ops.reshape: {old} does not have as many elements as {sizes}.")
    if x.op == "reshape" and x.args[0].level == ELEMENT and sizes != old:  # the numbers stay in their order
        return reshape(x.args[0], (-1, *sizes))
    return x if sizes == old else node("reshape", (x,), level=ELEMENT, shape=(None, *sizes))


def one_hot(x: Any, num_classes: int, axis: int = -1, dtype: Any = None, sparse: bool = False) -> Any:
    """1 in the column that a label names, 0 elsewhere; a label that names none gives zeros.

    Args:
        x: labels, whole numbers of any shape; in a formula a value per row.
        num_classes: number of columns.
        axis: where the columns are; in a formula the last axis.
        dtype: type of an array; that of the layers if None.
        sparse: not supported; only False.

    Returns:
        Zeros and ones in the shape of ``x`` with one more axis, ``(…, num_classes)``.

    Raises:
        UnsupportedError: ``sparse`` is True.
    """
    if sparse:
        raise UnsupportedError("ops.one_hot: sparse=True is not supported.")
    if not isinstance(x, Expression):
        hot = np.asarray(x)[..., None] == np.arange(num_classes)
        return np.moveaxis(hot, -1, axis).astype(dtype or config.floatx())
    if x.level == ELEMENT and x.shape and x.shape[0] is None:
        from . import arrays

        x = arrays.as_row(expand_dims(x, -1))  # each of the numbers side by side has columns of its own
    elif x.level == ROW and reduced_width(x) not in (num_classes, None):
        from . import arrays

        x = arrays.stored(x)  # a formula has one number of columns
    label = node("expand", (_strip(x),), level=ROW, shape=(*_strip(x).shape, 1)) if x.level == ROW else x
    hot = _symbolic("equal", column(), label)
    return node("cast", (hot,), level=ELEMENT, shape=(*_strip(x).shape, num_classes))


# ------------------------------------------------------------------ arrays like others


def convert_to_tensor(x: Any, dtype: Any = None, sparse: bool | None = None, ragged: bool | None = None) -> Any:
    """``x`` as an array; values of formulas stay what they are.

    Args:
        x: numbers in lists, an array, a weight or a value of a formula.
        dtype: type of the array; if None that of the layers for Python's floats, int32 for its whole numbers, and of
            arrays their own.
        sparse: not supported; only False or None.
        ragged: not supported; only False or None.

    Returns:
        The numbers in the shape that they have.

    Raises:
        UnsupportedError: an array is to be sparse or ragged.

    Source: ``keras.ops.convert_to_tensor``.
    """
    if sparse or ragged:
        raise UnsupportedError("ops.convert_to_tensor: sparse and ragged arrays are not supported.")
    x = _traced(x)
    if isinstance(x, Expression):
        return x
    if dtype is None and isinstance(x, (int, list, tuple)):
        array = np.asarray(x)
        return array.astype(np.int32) if array.dtype == np.int64 else np.asarray(_number_or_array(x))
    return np.asarray(_number_or_array(x), dtype=dtype)


def zeros_like(x: Any, dtype: Any = None) -> Any:
    """0 in the shape of ``x``.

    Args:
        x: array, or value of a formula.
        dtype: type of an array; that of ``x`` if None.

    Returns:
        Zeros.
    """
    x = _traced(x)
    if not isinstance(x, Expression):
        return np.zeros_like(_number_or_array(x), dtype=dtype)
    return where(equal(x, x), 0.0, 0.0)  # not x * 0, which is NaN for an infinite x


def ones_like(x: Any, dtype: Any = None) -> Any:
    """1 in the shape of ``x``.

    Args:
        x: array, or value of a formula.
        dtype: type of an array; that of ``x`` if None.

    Returns:
        Ones.
    """
    x = _traced(x)
    return where(equal(x, x), 1.0, 1.0) if isinstance(x, Expression) else np.ones_like(_number_or_array(x), dtype=dtype)


# ------------------------------------------------------------------ products

_products: ContextVar[str] = ContextVar("type of the operands of products", default="")


def products_in(dtype: str) -> str:
    """Sets the type that operands of products are rounded to.

    Args:
        dtype: ``"bfloat16"``, or any other for none.

    Returns:
        What was set before.
    """
    before = _products.get()
    if dtype != before:
        _products.set(dtype)
        as_product.set(matmul if dtype == "bfloat16" else None)
    return before


def matmul(x1: Any, x2: Any) -> Any:
    """Product of matrices: ``y[…, i, j] = sum over k of x1[…, i, k] * x2[…, k, j]``.

    In a formula values are multiplied by a weight, or matrices of each sample by each other. Within a layer of the
    policy ``mixed_bfloat16`` both are rounded to bfloat16 first.

    Args:
        x1: ``(…, m, k)``, or a vector ``(k,)``.
        x2: ``(…, k, n)``, or a vector ``(k,)``.

    Returns:
        ``(…, m, n)``, without the axis of a vector.

    Raises:
        ModelError: in a formula, the shapes do not fit, or samples would be multiplied by each other.
    """
    low = _products.get() == "bfloat16"
    if not _symbols(x1, x2):
        operands = (_number_or_array(x) for x in (x1, x2))
        return np.matmul(*map(bfloat16, operands) if low else operands)
    if as_symbol.get() is None and (is_weight(x1) or is_weight(x2)):
        from . import weights

        return weights.matmul(x1, x2)
    from . import products

    return products.matmul(x1, x2, low)
