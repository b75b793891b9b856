"""Numbers for a whole batch in a formula: sums and means over its rows, and formulas over these.

A loss may sum over the batch. What is linear in such sums is kept as a value per row and how
rows are added up, ``whole``: nothing has to be known of other rows. All else is ``over_rows``:
a number that is known only when all rows have been seen, or one per column where the rows
alone are summed over. :mod:`nncompile.compiler.rowwise` makes ``batch_sum`` of it, the same
number for every row, which formulas over rows are differentiated through.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from ..errors import ModelError, line_of_user
from ..variables import as_symbol
from .core import _expand, _strip, _symbolic
from .expressions import ELEMENT, NUMBER, ROW, UNIFORM, Expression, node


class AcrossRowsError(ModelError):
    """A formula needs what the rows of a batch have in common, and not as a sum or mean."""


def reduced(reduce: Any, x: Expression, axis: Any, keepdims: bool) -> Expression | None:
    """A sum or mean over the rows of a batch; None if the rows are not among the axes.

    Args:
        reduce: the function of that name.
        x: values of samples, ``(None, …)``, or what is known of a whole batch.
        axis: an axis, several, or None for all.
        keepdims: whether axes stay, of size 1. A number for a batch meets values of any shape without them.

    Raises:
        AcrossRowsError: another reduction, or one over the rows and some of the other axes.
    """
    op, rank = reduce.__name__, len(x.shape)
    if x.op == "whole" or (x.level <= UNIFORM and not x.shape and axis is None):
        return whole(op, x)
    if not x.shape or x.shape[0] is not None:
        return None
    given = range(rank) if axis is None else axis if isinstance(axis, Sequence) else [axis]
    if not all(isinstance(a, (int, np.integer)) and -rank <= a < rank for a in given):
        return None
    axes = {int(a) % rank for a in given}
    if 0 not in axes:
        return None
    inside = as_symbol.get() is not None  # of a layer, where add_loss alone may take sums over all of a batch
    if inside and op in ("sum", "mean") and axes == set(range(max(rank - 1, 1))) and rank > 1 and axis is not None:
        from .arrays import elements

        return of_columns(op, elements(x), inside)
    if op in ("sum", "mean") and (len(axes) == rank or not (inside and (axis is not None or keepdims))):
        if len(axes) == rank or (rank == 2 and x.op == "expand"):
            return whole(op, x)
        if len(axes) == rank - 1 and rank - 1 not in axes and x.level == ELEMENT:
            return of_columns(op, x)
    if op not in ("sum", "mean"):
        hint = "Of a batch there are sums and means, and what is made of them: ops.std, ops.var, ops.norm."
    elif inside:
        hint = (
            "ops.reshape(x, (-1, n)) makes one row of a sample, of which ops.mean(…, axis=0) has a number per column."
        )
    else:
        hint = "A loss has ops.sum and ops.mean over all axes, or all but the last; ops.transpose puts others there."
    raise AcrossRowsError(
        f"ops.{op}: a formula does not reduce over the rows of a batch: expected axis=-1, or others but 0, received "
        f"{axis!r} for values of shape {x.shape}. {hint}{line_of_user()}"
    )


def of_columns(op: str, x: Expression, inside: bool = False) -> Expression:
    """The sum or mean of each column over the rows of a batch, ``(features,)``.

    Args:
        op: ``"sum"`` or ``"mean"``.
        x: the values, ``(None, …, features)``.
        inside: whether in a layer, where rows that are known later meet what is found.
    """
    if op == "mean" or inside:
        return node("batch_mean", (x,), None if op == "mean" else op, level=ELEMENT, shape=(x.shape[-1],))
    return node("over_rows", (x,), op, level=ELEMENT, shape=(x.shape[-1],))


def whole(op: str, x: Expression) -> Expression:
    """The sum or mean over all numbers of a batch.

    It is kept in two ways: as a value per row of which it is the sum or mean, which it stays
    where it is scaled and added to others of its kind, and as what it is. ``value`` says how
    the values per row are added up: ``"sum"``, ``"mean"``, or ``"rows"`` for a mean to which
    values per row were added.

    Args:
        op: ``"sum"`` or ``"mean"``.
        x: the numbers, ``(None, …)``.
    """
    from . import core

    if x.op == "whole":
        return x if x.value != "rows" else whole(op, x.args[1])
    if x.level <= UNIFORM:
        return x
    row = _strip(_strip(x) if x.level == ROW else getattr(core, op)(x, axis=-1))
    return _whole(row, node("over_rows", (row,), op, level=UNIFORM), op)


def _whole(rows: Expression, itself: Expression, kind: str) -> Expression:
    return node("whole", (rows, itself), kind, level=UNIFORM)


def of_whole(op: str, args: tuple[Expression, ...]) -> Expression:
    """A formula over sums and means over the batch: one that is such a sum or mean again, if it can be."""
    itself = _symbolic(op, *(a.args[1] if a.op == "whole" else a for a in args))
    if op in ("cast", "stop_gradient", "negative"):
        (x,) = args
        return _whole(_symbolic(op, x.args[0]), itself, x.value)
    kinds = {a.value for a in args if a.op == "whole"}
    others = [a for a in args if a.op != "whole"]
    numbers = all(a.level == NUMBER or (a.level == UNIFORM and a.op == "weight") for a in others)
    divided = op == "divide" and len(others) == 1 and others[0] is args[1]
    if numbers and (divided or (op == "multiply" and len(others) == 1)):
        (kind,) = kinds
        return _whole(_symbolic(op, *(a.args[0] if a.op == "whole" else a for a in args)), itself, kind)
    if op in ("add", "subtract"):
        if others and "sum" not in kinds and (numbers or all(a.level == ROW for a in others)):
            kinds = kinds if numbers else {"rows"}
        elif others:
            kinds = {"sum", "mean"}
        if kinds <= {"mean", "rows"} or kinds == {"sum"}:
            parts = [_strip(a.args[0] if a.op == "whole" else a) for a in args]
            shapes = {p.shape for p in parts if p.level == ROW}
            if len(shapes) == 1:
                kind = "rows" if "rows" in kinds else next(iter(kinds))
                return _whole(_symbolic(op, *parts), itself, kind)
    return itself


def crosses_rows(x: Expression, given: Iterable[Expression] = (), means: bool = True) -> bool:
    """Whether a formula can only be computed when all rows of a batch are known, in more than one run over them.

    Args:
        x: the formula.
        given: values that it is about, however these are made.
        means: whether those of columns count, which layers may have as well.
    """
    kinds = ("over_rows", "batch_sum", "batch_mean") if means else ("over_rows", "batch_sum")
    waiting, seen = [x.args[0] if x.op == "whole" else x], set(given)
    while waiting:
        x = waiting.pop()
        if x not in seen:
            seen.add(x)
            if x.op in kinds:
                return True
            waiting.extend(x.args)
    return False


# ------------------------------------------------------------------ as formulas over rows take it


def same_in_all_rows(x: Expression) -> bool:
    """Whether a value per row, or per row and column, is the same in all rows of a batch."""
    waiting = [x]
    while waiting:
        top = waiting[-1]
        if top.alike is not None:
            waiting.pop()
            continue
        if top.level <= UNIFORM or top.op in ("batch_sum", "batch_mean", "column", "weight"):
            top.alike = True
        elif not top.args or any(a.alike is False for a in top.args):
            top.alike = False
        else:
            missing = [a for a in top.args if a.alike is None]
            waiting.extend(missing)
            if not missing:
                top.alike = True
    return bool(x.alike)


def count() -> Expression:
    """The number of rows of a batch."""
    return node("count", level=UNIFORM)


def batch_sum(x: Expression) -> Expression:
    """The sum over all rows of a batch of a value per row, or per row and column: what each row sees of it.

    The derivative of a total by what is summed is again such a sum: that of the derivatives by what each row sees.
    What is the same in all rows is multiplied behind the sum, so that it need not be known ahead of it.
    """
    x = _strip(x)
    if same_in_all_rows(x):
        return _strip(_symbolic("multiply", x, count()))
    if x.op == "negative":
        return _strip(_symbolic("negative", batch_sum(x.args[0])))
    if x.op in ("multiply", "divide"):
        a, b = x.args
        for inner, factor in ((a, b), (b, a)) if x.op == "multiply" else ((a, b),):
            if same_in_all_rows(factor) and (inner.level == x.level or factor.level <= UNIFORM):
                summed = batch_sum(inner)
                factor = _expand(factor) if summed.level == ELEMENT else factor
                return _strip(_symbolic(x.op, summed, factor))
    return node("batch_sum", (x,), level=x.level, shape=x.shape)


__all__ = [
    "AcrossRowsError",
    "batch_sum",
    "count",
    "crosses_rows",
    "of_columns",
    "reduced",
    "same_in_all_rows",
    "whole",
]
