"""Sums over all rows of a batch, ahead of the formulas that each row sees them in.

A loss such as ``sqrt(mean((y - p)^2))`` is a formula of sums over the batch. As a value per
row it has ``batch_sum`` in it, a number that all rows see, and so have its gradients. Here
these are ordered: a run over the rows adds up all sums whose terms are known, one thread
makes of them what is the same for all rows, and the next run has it. What is left are
formulas over rows that find such numbers in memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from .. import ops
from ..errors import UnsupportedError
from ..ops import ELEMENT, ROW, Expression
from ..ops.batch import same_in_all_rows
from .expression import operands, resolved, topological
from .program import Formula, Operand, Tally

_RUNS = 12
"""The most runs over the rows of a batch; with gradients a formula takes about twice as many as its sums are deep."""

Named = Sequence[tuple[str, Expression]]
Leaves = Mapping[Expression, Operand]


class Batchwise:
    """Cuts formulas with sums over all rows into runs over these.

    Args:
        name: of the loss, for C.
        what: it is, for messages.
        width: columns of a row.
        leaves: where what the formulas are about is found.
        new: makes memory for numbers that are the same for all rows: its name, columns and comment to its name.
        formula: finds the leaves of a formula.
    """

    def __init__(
        self,
        name: str,
        what: str,
        width: int,
        leaves: Leaves,
        new: Callable[[str, int, str], str],
        formula: Callable[..., Formula],
    ) -> None:
        self.name, self.what, self.width = name, what, width
        self.leaves: dict[Expression, Operand] = dict(leaves)
        self.new, self.formula = new, formula
        self.depth: dict[Expression, int] = {}
        self.places: dict[Expression, tuple[str, Expression]] = {}
        """Of what is the same for all rows: its memory, and the leaf that stands for it."""

    def split(
        self, stores: Named, results: Named
    ) -> tuple[list[Tally], list[tuple[str, Expression]], list[tuple[str, Expression]]]:
        """Returns the runs, and the formulas as they are behind these; :attr:`leaves` then has what they need."""
        roots = [x for _, x in (*stores, *results)]
        order = topological(roots, self.leaves)
        for x in order:
            inner = max((self.depth[a] for a in operands(x)), default=0) if x not in self.leaves else 0
            self.depth[x] = inner + (x.op == "batch_sum")
        sums = [x for x in order if x.op == "batch_sum"]
        if not sums:
            return [], list(stores), list(results)
        runs = max(self.depth[x] for x in sums)
        if runs > _RUNS:
            raise UnsupportedError(
                f"{self.what}: sums over the batch of what is made of such sums, {runs} deep with their gradients: "
                f"expected at most {_RUNS} runs over the rows of a batch. Use ops.stop_gradient for inner ones."
            )
        derived = self._derived(order, [*roots, *(x.args[0] for x in sums)])
        for x in (*sums, *derived):
            self._place(x)
        tallies = []
        for number in range(1, runs + 1):
            mine = [x for x in sums if self.depth[x] == number]
            after = [x for x in derived if self.depth[x] == number]
            tallies.append(self._tally(number, mine, after))
        seen = {x: self._seen(x) for x in self.places}
        return tallies, self._behind(stores, seen), self._behind(results, seen)

    def _derived(self, order: Sequence[Expression], roots: Iterable[Expression]) -> list[Expression]:
        """What is made of sums and is the same for all rows, where formulas over rows first meet it."""
        found: set[Expression] = set()
        reached: set[Expression] = set()
        waiting = list(roots)
        while waiting:
            x = waiting.pop()
            if x in reached or x in self.leaves:
                continue
            reached.add(x)
            if self.depth[x] and same_in_all_rows(x):
                found.add(resolved(x))
            else:
                waiting.extend(operands(x))
        return [x for x in order if x in found and x.op != "batch_sum"]

    def _place(self, x: Expression) -> None:
        """Gives a number, or one per column, its memory."""
        one = x.level == ROW
        kind = "sum over all rows" if x.op == "batch_sum" else "the same for all rows"
        place = self.new(f"{self.name}_{'sum' if x.op == 'batch_sum' else 'factor'}", 1 if one else self.width, kind)
        leaf = ops.symbol(place, ROW if one else ELEMENT, x.shape)
        self.places[x] = place, leaf
        self.leaves[leaf] = Operand("figure" if one else "statistic", place)

    def _seen(self, x: Expression) -> Expression:
        """What stands for a value that is in memory."""
        leaf = self.places[x][1]
        if not x.mask:
            return leaf
        truth = ops.node("not_equal", (leaf, ops.constant(0.0)), level=x.level, shape=x.shape, mask=True)
        return truth

    def _tally(self, number: int, sums: Sequence[Expression], derived: Sequence[Expression]) -> Tally:
        known = {x: self._seen(x) for x in self.places if self.depth[x] < number}
        terms = [(self.places[x][0], _replaced(x.args[0], known, self.leaves)) for x in sums]
        known |= {x: self._seen(x) for x in self.places if self.depth[x] == number and x.op == "batch_sum"}
        made = [(self.places[x][0], ops.cast(_replaced(x, known, self.leaves), None)) for x in derived]
        return Tally(
            self.name,
            self._apart(terms, f"Sums for {self.what}"),
            self._apart(made, self.what) if made else None,
        )

    def _apart(self, values: Named, comment: str) -> Formula:
        """Numbers per column are stored, single numbers are results."""
        wide = [(name, x) for name, x in values if x.level == ELEMENT]
        single = [(name, x) for name, x in values if x.level != ELEMENT]
        return self.formula(wide, self.leaves, comment, single)

    def _behind(self, values: Named, seen: Mapping[Expression, Expression]) -> list[tuple[str, Expression]]:
        return [(name, _replaced(x, seen, self.leaves)) for name, x in values]


def _replaced(root: Expression, by: Mapping[Expression, Expression], leaves: Leaves) -> Expression:
    """A formula in which some values are others."""
    made: dict[Expression, Expression] = {}
    stops = {*by, *leaves}
    for x in topological([root], stops):
        if x in by:
            made[x] = by[x]
        elif x in leaves or not x.args:
            made[x] = x
        else:
            inner = operands(x)
            args = tuple(made[a] for a in inner)
            if all(new is old for new, old in zip(args, inner, strict=True)):
                made[x] = x
            elif x.op == "custom":
                made[x] = args[0]
            else:
                made[x] = ops.node(x.op, args, x.value, level=x.level, shape=x.shape, mask=x.mask)
                made[x].name = made[x].name or x.name
    return made[root]


__all__ = ["Batchwise"]
