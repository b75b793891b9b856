"""Numbers for a whole batch in layers: sums and means over all axes, such as ``ops.mean(x)``, as columns.

What a formula over rows finds of other rows are numbers of columns, ``batch_mean``. A
single number for a batch is made one of these: the sum or mean of each row, as many times
side by side as there are columns where it is met, and the mean of these columns.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .. import ops
from ..errors import ModelError
from ..ops import ELEMENT, PRIMITIVES, ROW, UNIFORM, Expression, arrays
from ..ops.batch import of_columns
from .expression import topological

_SUMS = ("over_rows", "whole")


def in_columns(roots: Sequence[Expression]) -> list[Expression]:
    """The values of a network with numbers for a batch as numbers of columns; what cannot be so stays."""
    if not any(x.op in _SUMS for x in topological(roots)):
        return list(roots)
    return _Columns(roots).made


class _Columns:
    def __init__(self, roots: Sequence[Expression]) -> None:
        self.known: dict[Expression, Expression] = {}
        self.columns: dict[tuple[Expression, int], Expression] = {}
        order = topological(roots)
        self.crossing: set[Expression] = set()
        for x in order:
            if x.op in _SUMS or any(a in self.crossing for a in x.args):
                self.crossing.add(x)
        for x in order:
            if x.level > UNIFORM:
                self.known[x] = self._value(x)
        self.made = [self.known.get(x, x) for x in roots]

    def _value(self, x: Expression) -> Expression:
        """A value of samples with what it is made of in the new form."""
        if x not in self.crossing or x.op in (*_SUMS, "custom"):
            return x
        width = x.shape[-1] if x.level == ELEMENT and x.shape else None
        args = []
        for a in x.args:
            if a not in self.crossing or a.level > UNIFORM:
                args.append(self.known.get(a, a))
            elif width is None:
                return x
            else:
                args.append(self._number(a, width))
        made = ops.node(x.op, tuple(args), x.value, level=x.level, shape=x.shape, mask=x.mask)
        made.name, made.owner = made.name or x.name, x.owner
        return made

    def _number(self, x: Expression, width: int) -> Expression:
        """A number for a batch in each of so many columns."""
        if x not in self.crossing:
            return x
        if (x, width) in self.columns:
            return self.columns[x, width]
        owner = ops.set_owner(x.owner)
        try:
            if x.op == "whole":
                made = self._number(x.args[1], width)
            elif x.op == "over_rows":
                row = self.known.get(x.args[0], x.args[0])
                if row.level != ROW:
                    raise ModelError(f"{x.owner}: a sum over the batch of what is the same for all rows.")
                each = arrays.arranged(lambda a: np.repeat(a, width, axis=-1), arrays.as_column(row))
                made = of_columns(x.value, each, inside=True)
            else:
                args = tuple(self._number(a, width) for a in x.args)
                mask = PRIMITIVES[x.op].kind == "mask"
                made = ops.node(x.op, args, x.value, level=ELEMENT, shape=(width,), mask=mask)
        finally:
            ops.set_owner(owner)
        made.name, made.owner = made.name or x.name, x.owner
        self.columns[x, width] = made
        return made


__all__ = ["in_columns"]
