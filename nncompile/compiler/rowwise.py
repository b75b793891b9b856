"""Losses and metrics as one value per row.

What a user writes over whole arrays is made one value per row, which is all that a loss
has room for: a sum or mean over the batch becomes how rows are added up, or a number that
each row sees (``batch_sum``, see :mod:`.batchwise`), and slices of columns become single
columns, each of which is a sum over a row in which the others are 0.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from typing import Any

from .. import ops
from ..errors import ModelError, UnsupportedError
from ..ops import ELEMENT, PRIMITIVES, ROW, Expression
from ..ops.batch import batch_sum, count, crosses_rows
from ..ops.core import _expand, _strip, _symbolic
from .expression import BOUNDARY, topological

_COLUMNS = 32
"""Columns that are computed one by one: each costs a pass over the row."""
_LOWERED = (*BOUNDARY, "over_rows", "over", "view", "product", "transposed")
"""Operations that a formula over rows has not."""
_FOLDS = {"sum": ops.add, "prod": ops.multiply, "max": ops.maximum, "min": ops.minimum}


class OtherShapesError(UnsupportedError):
    """A loss or metric is no formula over the rows of its output alone: it rearranges or multiplies them."""


def per_row(
    x: Any, what: str, given: Sequence[Expression], summed: bool = False, weighted: bool = False
) -> tuple[Expression, str]:
    """A loss or metric of ``given`` as one value per row.

    Args:
        x: what its formula returned.
        what: what it is, for messages.
        given: values that it is about, such as the output: they are not looked behind.
        summed: whether the values of a batch are added up; else their mean is taken.
        weighted: whether rows have weights, which a number for a batch is multiplied by as well.

    Returns:
        The value, and how it makes the value of a batch where the formula says so: ``"sum"`` or ``"mean"``;
        else an empty string. A number for a batch is a value that all rows have in common, of which that
        is the mean.

    Raises:
        ModelError: it is no formula, or depends on no sample.
        OtherShapesError: it needs more than the numbers of one row, and sums over all.
    """
    if not isinstance(x, Expression):
        raise ModelError(f"{what}: expected a formula over nncompile.ops, received {type(x).__name__}.")
    of_batch, alone = "", False
    if x.op == "whole" and not weighted and not crosses_rows(x, given):
        of_batch, x = {"rows": ""}.get(x.value, x.value), x.args[0]
    else:
        x = x.args[1] if x.op == "whole" else x
        alone = x.shape[:1] != (None,) and crosses_rows(x, given)
    if alone and x.shape and weighted:
        raise UnsupportedError(
            f"{what}: it is a number per column for a batch, but samples have weights: return one number, such as "
            "ops.mean(…) of them, or a value per sample."
        )
    x = lowered(x, what, given)
    join = ops.sum if summed else ops.mean
    if isinstance(x, list):
        total = functools.reduce(ops.add, x)
        x = total if summed else total / float(len(x))
    if x.level == ELEMENT:
        x = join(x, axis=-1)
    if x.level < ROW:
        raise ModelError(f"{what}: expected a value per sample, received one that depends on no sample.")
    return _strip(x), "mean" if alone and not weighted else of_batch


def lowered(x: Expression, what: str, given: Iterable[Expression]) -> Any:
    """A formula over rows alone, of which some may be sums over all rows: with slices as single columns.

    Args:
        x: the formula.
        what: what it is, for messages.
        given: values that it is about, which are found as they are.

    Returns:
        A value per row, one per row and column, or a list of columns.
    """
    before = set(topological(given))
    if any(inner.op in _LOWERED and inner not in before for inner in topological([x], before)):
        return _Columns(what, before).of(x)
    return x


class _Columns:
    """Makes an expression anew with slices as single columns.

    A value is then what it was, or a value per row, or a list of them: its columns.

    Args:
        what: the loss or metric, for messages.
        leaves: what stays as it is: the output and all that it is made of.
    """

    def __init__(self, what: str, leaves: set[Expression]) -> None:
        self.what, self.leaves = what, leaves
        self.known: dict[Expression, Any] = {}

    def of(self, x: Expression) -> Any:
        for inner in topological([x], self.leaves):
            if inner not in self.known:
                self.known[inner] = self._made(inner)
        return self.known[x]

    def _made(self, x: Expression) -> Any:
        if x in self.leaves or not x.args:
            return x
        args = [self.known[a] for a in x.args]
        if all(new is old for new, old in zip(args, x.args, strict=True)) and x.op not in _LOWERED:
            return x
        if x.op == "custom":  # its gradient is one for whole rows
            return args[0]
        if x.op in ("over_rows", "batch_mean"):
            return self._summed(x, args[0])
        if x.op == "over" and x.value.endswith(" all") and len(x.args[0].shape) == 1:
            return self._reduced(x.value.split()[0], args[0])
        if x.op == "arrange":
            return self._arranged(x, args)
        if x.op == "expand" or (x.op == "row" and not isinstance(args[0], list)):
            return args[0]
        if x.op == "row":
            (only,) = args[0]
            return only
        if x.op == "reshape" and len(x.shape) == 2:
            if isinstance(args[0], list):
                return args[0]
            if args[0].level == ROW and x.shape[-1] == 1:
                return [_strip(args[0])]
        if x.op not in PRIMITIVES:
            self._refuse(x)
        if PRIMITIVES[x.op].kind == "reduce":
            return self._reduced(x.op, args[0])
        return self._mapped(x, args)

    def _refuse(self, x: Expression) -> None:
        done = {"matmul": "products with weights", "take": "rows of tables"}
        raise OtherShapesError(
            f"{self.what}: it is computed row by row; {done.get(x.op, 'other shapes')} are not supported "
            "in it yet. Make them in a layer at the end of the model, or select columns with ops.where."
        )

    def _summed(self, x: Expression, of: Any) -> Any:
        """A sum or mean over all rows, as each of them sees it."""
        if isinstance(of, list):
            return [self._summed(x, one) for one in of]
        total = batch_sum(of)
        return _strip(total if x.value == "sum" else total / count())

    def _arranged(self, x: Expression, sources: list[Any]) -> list[Expression]:
        width = x.shape[-1] or 0
        if len(x.shape) != 2 or width > _COLUMNS or any(len(a.shape) != 2 for a in x.args):
            self._refuse(x)
        columns: list[Any] = [ops.constant(0.0)] * width
        for piece in x.value.pieces:
            if len(piece.sizes) != 1:
                self._refuse(x)
            for i in range(piece.sizes[0]):
                at = piece.start + i * piece.steps[0]
                columns[piece.to_start + i * piece.to_steps[0]] = self._column(sources[piece.source], at)
        return columns

    def _column(self, x: Any, at: int) -> Expression:
        if isinstance(x, list):
            return x[at]  # type: ignore[no-any-return]
        if x.level == ROW:
            return _strip(x)
        chosen: Expression = ops.sum(ops.where(_is_column(at, x.shape[-1]), x, 0.0), axis=-1)
        return chosen

    def _reduced(self, op: str, x: Any) -> Expression:
        if isinstance(x, list):
            if op in _FOLDS:
                return functools.reduce(_FOLDS[op], x)  # type: ignore[no-any-return]
            best, place = x[0], ops.constant(0.0)
            for i, other in enumerate(x[1:], 1):
                better = ops.greater(other, best)
                best, place = ops.where(better, other, best), ops.where(better, float(i), place)
            return place
        if x.level == ROW:
            return _strip(x)
        return getattr(ops, op)(x, axis=-1)  # type: ignore[no-any-return]

    def _mapped(self, x: Expression, args: list[Any]) -> Any:
        lists = [a for a in args if isinstance(a, list)]
        width = max(map(len, lists), default=0)
        whole = [a for a in args if not isinstance(a, list) and a.level == ELEMENT and a.op != "column"]
        if whole and lists:  # the columns of a row as they are
            if any(len(columns) not in (1, whole[0].shape[-1]) for columns in lists):
                self._refuse(x)
            args = [self._joined(a) if isinstance(a, list) else a for a in args]
            lists = []
        if not lists:
            wide = any(a.level == ELEMENT for a in args)
            return _strip(_symbolic(x.op, *(_expand(a) if wide and a.level == ROW else a for a in args)))
        made = []
        for i in range(width):
            here = [a[i if len(a) > 1 else 0] if isinstance(a, list) else a for a in args]
            here = [ops.constant(float(i)) if a.op == "column" else a for a in here]
            made.append(_strip(_symbolic(x.op, *map(_strip, here))))
        return made

    def _joined(self, columns: list[Expression]) -> Expression:
        result = _expand(columns[-1])
        for i, one in reversed(list(enumerate(columns[:-1]))):
            result = ops.where(_is_column(i, len(columns)), _expand(one), result)
        return result


def _is_column(at: int, width: int | None) -> Expression:
    """Whether a value is in the column of this number, of so many."""
    return ops.node("equal", (ops.column(), ops.constant(float(at))), level=ELEMENT, shape=(None, width), mask=True)


def of_layers(x: Expression) -> Expression:
    """What a layer adds to the loss, with sums over all rows as each of them sees them.

    Raises:
        UnsupportedError: it needs more than the numbers of one row, and such sums.
    """
    within = [inner for inner in topological([x]) if crosses_rows(inner, means=False)]
    if not within:
        return x
    given = [a for inner in within for a in inner.args if a not in set(within)]
    made = lowered(x, "add_loss", given)
    value: Expression = functools.reduce(ops.add, made) if isinstance(made, list) else made
    return value


__all__ = ["OtherShapesError", "lowered", "of_layers", "per_row"]
