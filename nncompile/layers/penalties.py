"""Activity regularizers in a formula: what they add up over a batch, as a value per row and column.

A regularizer gives one number for a whole array, such as ``l1 * sum(|x|)``. The rows of a
batch stay apart in a formula, so the penalty must be a sum over the numbers of the array;
the loss takes the terms of the sum and adds them up itself.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from .. import ops
from ..errors import ModelError, UnsupportedError
from ..ops import ELEMENT, Expression
from ..ops.core import PRIMITIVES, _symbolic
from ..variables import as_symbol


def terms(regularizer: Callable[[Any], Any], x: Expression, where: str) -> Expression | None:
    """Returns the terms of the sum that a regularizer is: their total over rows and columns is its value.

    Args:
        regularizer: a formula over a whole array.
        x: what it is to penalize, ``(None, …)``.
        where: the layer, for the error.

    Returns:
        ``(None, n)``, or None if the penalty is always 0.

    Raises:
        UnsupportedError: the penalty is no sum over the numbers of the array.
        ModelError: it is no number, or one that does not depend on the array.
    """
    count = math.prod(n or 0 for n in x.shape[1:])
    whole = ops.symbol("activity", ELEMENT, (count,))
    token = as_symbol.set(None)  # an array all of whose sizes are known, as a weight is
    try:
        value = regularizer(whole)
    finally:
        as_symbol.reset(token)
    if isinstance(value, (int, float)) and value == 0:
        return None
    if not isinstance(value, Expression):
        raise ModelError(
            f"{where}: expected activity_regularizer to return a sum over its argument, received {value!r:.80}."
        )
    flat = ops.reshape(x, (-1, count))
    found: Expression = _terms(value, whole, flat, where)
    return found


def _terms(value: Expression, whole: Expression, flat: Expression, where: str) -> Any:
    if value.op == "over" and value.value == "sum all":
        return _in_place(value.args[0], whole, flat, where)
    sums = [a for a in value.args if a.op != "constant"]
    constant_places = [i for i, a in enumerate(value.args) if a.op == "constant"]
    fits = {"add": not constant_places, "subtract": not constant_places, "negative": True}
    fits |= {"multiply": len(constant_places) == 1, "divide": constant_places == [1]}
    if fits.get(value.op):
        inner = iter([_terms(a, whole, flat, where) for a in sums])
        return _symbolic(value.op, *(a if a.op == "constant" else next(inner) for a in value.args))
    raise UnsupportedError(
        f"{where}: activity_regularizer is no sum over the numbers of its argument (it has {value.op!r} of sums); "
        "that is not supported in a compiled model."
    )


def _in_place(value: Expression, whole: Expression, flat: Expression, where: str) -> Any:
    """The same formula, number by number, of ``flat``."""
    if value is whole:
        return flat
    if value.op == "constant":
        return value
    primitive = PRIMITIVES.get(value.op)
    if primitive is None or primitive.kind == "reduce":
        raise UnsupportedError(
            f"{where}: activity_regularizer is no sum over single numbers of its argument (it has {value.op!r}); that "
            "is not supported in a compiled model."
        )
    return _symbolic(value.op, *(_in_place(a, whole, flat, where) for a in value.args))
