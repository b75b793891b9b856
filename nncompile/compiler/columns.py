"""Numbers per feature: fewer runs over the rows of a batch.

Each step of :class:`~.program.Columns` goes over all rows, or over none, and works on one
column at a time. So steps that follow each other become one, which goes from round to
round while a panel of columns is in the first-level cache; and rounds that do not wait
for each other's sums become one loop. (A formula over rows behind them stays a step of its
own: reading rows from the second-level cache in their order is faster than writing panels.)
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from ..ops import UNIFORM, Expression, constant
from .expression import resolved, topological
from .graph import per_feature
from .program import Columns, Operand, Round, Step, Update


def joined(steps: Iterable[Step]) -> list[Step]:
    """The same steps, with those for numbers per feature that follow each other as one."""
    result: list[Step] = []
    for step in steps:
        last = result[-1] if result else None
        if (
            isinstance(step, Columns)
            and isinstance(last, Columns)
            and (last.columns, last.state, last.when) == (step.columns, step.state, step.when)
        ):
            rounds = list(last.rounds)
            for after in step.rounds:
                together = _together(rounds[-1], after)
                rounds[-1:] = [together] if together is not None else [rounds[-1], after]
            result[-1] = replace(last, rounds=tuple(rounds))
        else:
            result.append(step)
    return result


def _together(before: Round, after: Round) -> Round | None:
    """Two rounds as one; None if the sums of the second are about what the first computes, or for other rows."""
    if before.sums and after.sums and before.positions != after.positions:
        return None
    known, own = dict(before.leaves), dict(after.leaves)
    if any(own.get(x, where) != where for x, where in known.items()):
        return None
    # what one round takes from memory the other must not compute
    if (_inside(before) & own.keys()) - known.keys() or (_inside(after) & known.keys()) - own.keys():
        return None
    summed = set(topological([resolved(x) for _, x in after.sums], own))
    made = before.stores()
    for x, where in after.leaves:
        if where.name in made and (x in summed or where.kind == "vector"):
            return None
    alike = {x: name for name, x in before.sums}
    called = {name: alike[x] for name, x in after.sums if x in alike}
    leaves = {
        x: Operand(where.kind, called.get(where.name, where.name)) if where.kind == "statistic" else where
        for x, where in own.items()
    }
    return Round(
        positions=before.positions if before.sums else after.positions,
        sums=(*before.sums, *((name, x) for name, x in after.sums if name not in called)),
        derived=(*before.derived, *after.derived),
        leaves=tuple({**known, **leaves}.items()),
    )


def _inside(r: Round) -> set[Expression]:
    return set(topological([resolved(x) for _, x in (*r.sums, *r.derived)], [x for x, _ in r.leaves]))


def summed_already(steps: Sequence[Step]) -> list[Step]:
    """The same steps; gradients of vectors that are sums which were computed on the way are taken from there."""
    found: dict[tuple[str, int, int], str] = {}
    result: list[Step] = []
    for step in steps:
        if isinstance(step, Columns):
            for r in step.rounds:
                leaves = dict(r.leaves)
                for name, x in r.sums:
                    where = leaves.get(x)
                    if where is not None and where.kind == "buffer":
                        found[where.name, r.positions, step.columns] = name
        if isinstance(step, Update) and step.matrix is None and len(step.vectors) == 1:
            ((vector, place, alone),) = step.vectors
            name = found.get((place, step.positions, vector.length), "")
            if name and not alone:
                step = replace(step, positions=1, vectors=((vector, name, True),))
        result.append(step)
    return result


def without_factors(x: Expression) -> tuple[Expression, Expression]:
    """A value of rows as (what differs from row to row, what it is multiplied by in each): the sum needs only one."""
    if x.op == "negative":
        inner, factor = without_factors(x.args[0])
        return inner, -factor
    if x.op == "multiply":
        for a, b in (x.args, x.args[::-1]):
            if (per_feature(b) or b.level <= UNIFORM) and not (per_feature(a) or a.level <= UNIFORM):
                inner, factor = without_factors(a)
                return inner, factor * b
    return x, constant(1.0)
