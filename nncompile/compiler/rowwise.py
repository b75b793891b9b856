"""Losses and metrics as one value per row.

What a user writes over whole arrays is made one value per row, which is all that a loss
has room for: a sum or mean over the batch becomes how rows are added up, and slices of
columns become single columns, each of which is a sum over a row in which the others are 0.
"""

from __future__ import annotations

import functools
from typing import Any

from .. import ops
from ..errors import ModelError, UnsupportedError
from ..ops import ELEMENT, PRIMITIVES, ROW, Expression
from ..ops.core import _expand, _strip, _symbolic
from .expression import BOUNDARY, topological

_COLUMNS = 32
"""Columns that are computed one by one: each costs a pass over the row."""
_FOLDS = {"sum": ops.add, "prod": ops.multiply, "max": ops.maximum, "min": ops.minimum}


def per_row(x: Any, what: str, given: Expression) -> tuple[Expression, str]:
    """A loss or metric of ``given`` as one value per row, the outputs averaged.

    Returns:
        The value, and how it makes the value of a batch where the formula says so: ``"sum"`` or ``"mean"``;
        else an empty string.

    Raises:
        ModelError: it is no formula, or depends on no sample.
        UnsupportedError: it needs more than the numbers of one row.
    """
    if not isinstance(x, Expression):
        raise ModelError(f"{what}: expected a formula over nncompile.ops, received {type(x).__name__}.")
    of_batch = ""
    if x.op == "whole":
        of_batch, x = {"rows": ""}.get(x.value, x.value), x.args[0]
    before = set(topological([given]))
    if any(inner.op in BOUNDARY and inner not in before for inner in topological([x], before)):
        lowered = _Columns(what, before).of(x)
        x = functools.reduce(ops.add, lowered) / float(len(lowered)) if isinstance(lowered, list) else lowered
    if x.level == ELEMENT:
        x = ops.mean(x, axis=-1)
    if x.level < ROW:
        raise ModelError(f"{what}: expected a value per sample, received one that depends on no sample.")
    return _strip(x), of_batch


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
        if x.op == "custom":  # its gradient is one for whole rows
            return args[0]
        if all(new is old for new, old in zip(args, x.args, strict=True)) and x.op not in BOUNDARY:
            return x
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
        done = {"matmul": "products with weights", "take": "rows of tables", "batch_mean": "means over the batch"}
        raise UnsupportedError(
            f"{self.what}: it is computed row by row; {done.get(x.op, 'other shapes')} are not supported "
            "in it yet. Make them in a layer at the end of the model, or select columns with ops.where."
        )

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


__all__ = ["per_row"]
