"""Formulas over a whole weight, as sweeps over it.

What an optimizer, a regularizer or a constraint computes may reduce a weight along its
axes and multiply matrices that come of it. Such a formula has *stages*: a reduction, or a
product, needs all of its operand first. In each stage

1. one thread takes the parts of reductions together and computes single numbers and
   vectors, of one number per row or per column (:class:`~.program.Between`);
2. all threads go over the matrices and compute number by number what is stored and
   reduced (:class:`~.weightwise.Sweep`);
3. matrices are transposed and multiplied.

Values number by number are computed again in a later stage rather than kept, unless they
are stored anyway; so a new slot is read in a later stage where it is needed, and an array
that is still needed as it was is written in the last stage.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ..errors import InternalError, UnsupportedError
from ..ops import UNIFORM, Expression
from .expression import operands, resolved, topological
from .memory import Matrix, Panels
from .weightwise import (
    Apply,
    Array,
    Between,
    Combine,
    Loop,
    Number,
    Product,
    Reduction,
    Sweep,
    Turn,
)

ALIGNED = 16
"""Figures begin at multiples of so many numbers: no two units write the same line of a cache."""

TILED_ROWS = 64
"""Rows of a unit of a product by matrix tiles."""

Domain = tuple[int, int]


@dataclass
class Figures:
    """Memory for figures: first what lasts through a step, then what one formula after the other uses."""

    lasting: int = 0
    largest: int = 0

    def last(self, count: int) -> int:
        """Takes memory that lasts; before any formula is planned."""
        at = self.lasting
        self.lasting += -(-count // ALIGNED) * ALIGNED
        return at


@dataclass(frozen=True)
class Cut:
    """How arrays are cut and laid out for a target.

    Attributes:
        panels: of so many columns.
        stride: of rows of so many columns.
        rows: of a unit of a sweep.
        lanes: of a vector.
        spare: rows behind a matrix that a product may read.
    """

    panels: Callable[[int], Panels]
    stride: Callable[[int], int]
    rows: int
    lanes: int
    spare: int

    def units(self, matrix: Matrix) -> int:
        """How many units the update of a kernel has."""
        return matrix.panels.count * -(-matrix.inputs // (TILED_ROWS if matrix.parts else self.rows))


@dataclass
class _Stage:
    """What is done in a stage, as it is found."""

    items: dict[Any, Any] = field(default_factory=dict)
    stores: dict[Domain, list[tuple[Array, Expression]]] = field(default_factory=dict)
    reductions: dict[Domain, list[Reduction]] = field(default_factory=dict)
    after: list[Product | Turn] = field(default_factory=list)


class Lowering:
    """Turns formulas over one weight into sweeps.

    Args:
        name: what the functions in C begin with.
        shape: of the weight.
        leaves: where the arrays are; those of the weight's own shape lie as it does.
        numbers: single numbers that are known when the formula is computed, among the figures.
        cut: how arrays are cut.
        figures: memory.
        summed: sums of which there are parts already, with where these are among the figures, and how many.
    """

    def __init__(
        self,
        name: str,
        shape: tuple[int, ...],
        leaves: Mapping[Expression, Array],
        numbers: Mapping[Expression, int],
        cut: Cut,
        figures: Figures,
        summed: Mapping[Expression, tuple[int, int]] | None = None,
    ) -> None:
        self.summed = summed or {}
        self.name, self.shape, self.leaves, self.given = name, shape, dict(leaves), dict(numbers)
        self.cut, self.figures = cut, figures
        self.used = figures.lasting
        self.stages: dict[int, _Stage] = {}
        self.known_stages: dict[Expression, int] = {}
        self.late: dict[Expression, bool] = {}
        self.numbers: dict[Expression, int] = dict(numbers)  # where single numbers are that are computed on the way
        self.vectors: dict[Expression, Array] = {}
        self.matrices: dict[Expression, Array] = {}

    # ---------------------------------------------------------------- what there is

    def domain(self, x: Expression) -> Domain | None:
        """The rows and columns that a value is computed over; one row for a vector, None for a number."""
        if x.level <= UNIFORM:
            return None
        sizes = tuple(n for n in x.shape if n is not None)
        if self._is_own(x):
            return (sizes[0], sizes[1]) if len(sizes) == 2 else (1, sizes[0])
        return (1, math.prod(sizes)) if self.is_vector(x) else (sizes[0], sizes[1])

    def _is_own(self, x: Expression) -> bool:
        if x.shape != self.shape or x.op == "over":
            return False
        return not (x.op == "view" and self.is_vector(resolved(x.args[0])))

    def is_vector(self, x: Expression) -> bool:
        """Whether a value is a vector, not of the weight's own shape."""
        return x.level > UNIFORM and not self._is_own(x) and sum(n != 1 for n in x.shape) <= 1

    def is_late(self, x: Expression) -> bool:
        """Whether a single number depends on arrays, not on the step and hyper-parameters alone."""
        if x not in self.late:
            order = topological([x])
            self.late[x] = any(n.op == "over" or n in self.given for n in order)
        return self.late[x]

    def stage(self, x: Expression) -> int:
        """The stage in which a value can be computed first."""
        x = resolved(x)
        if x in self.known_stages:
            return self.known_stages[x]
        for n in map(resolved, topological([x])):
            if n in self.known_stages:
                continue
            inner = max((self.stage(resolved(a)) for a in operands(n)), default=0)
            if n.op in ("product", "transposed") or (n.op == "over" and not self.is_vector(resolved(n.args[0]))):
                inner += 1
            self.known_stages[n] = inner
        return self.known_stages[x]

    def at(self, stage: int) -> _Stage:
        return self.stages.setdefault(stage, _Stage())

    def take(self, count: int) -> int:
        """Memory of this formula."""
        at = self.used
        self.used += -(-count // ALIGNED) * ALIGNED
        self.figures.largest = max(self.figures.largest, self.used)
        return at

    # ---------------------------------------------------------------- number by number

    def ends(self, root: Expression, vector: bool, stored: Mapping[Expression, Array]) -> list[Expression]:
        """Where a formula number by number ends: arrays in memory, vectors, and single numbers that are late.

        Args:
            root: the value.
            vector: whether it is computed over a vector, where all vectors are alike.
            stored: values that are in memory already.
        """
        found: dict[Expression, None] = {}
        seen: set[Expression] = set()
        stack = [root]
        while stack:
            x = resolved(stack.pop())
            if x in seen:
                continue
            seen.add(x)
            if x.level <= UNIFORM:
                if self.is_late(x):
                    found[x] = None
            elif (
                x in stored
                or x in self.leaves
                or x.op in ("product", "transposed", "over", "identity", "ones")
                or (not vector and self.is_vector(x))
            ):
                found[x] = None
            elif x.op == "view" and not vector:
                raise UnsupportedError(
                    f"{self.name}: a formula looks at {x.args[0].shape} as {x.shape}; that is not supported here."
                )
            else:
                stack += operands(x)
        return list(found)

    # ---------------------------------------------------------------- demands

    def number(self, x: Expression) -> int:
        """Where a single number is that is late."""
        x = resolved(x)
        if x not in self.numbers:
            if x.op == "over":
                return self.reduction(x).to  # type: ignore[no-any-return]
            needed = [n for n in _numbers_in(x, self.given) if n is not x]
            places = tuple((n, self.number(n)) for n in needed)
            self.numbers[x] = self.take(1)
            self.at(self.stage(x)).items[x] = Number(x, self.numbers[x], places)
        return self.numbers[x]

    def reduction(self, x: Expression) -> Any:
        """What takes a reduction together."""
        inner, (op, axis) = resolved(x.args[0]), str(x.value).split()
        stage = self.at(self.stage(x))
        if x in stage.items:
            return stage.items[x]
        if x in self.summed:
            parts, count = self.summed[x]
            self.numbers[x] = self.take(1)
            stage.items[x] = summed = Combine(x, op, parts, count, 1, self.numbers[x])
            return summed
        if self.is_vector(inner):
            self.numbers[x] = self.take(1)
            loop = self.loop(inner, (), ((x, self.numbers[x]),))
            stage.items[x] = loop
            return Number(x, self.numbers[x], ())
        rows, columns = self.domain(inner) or (1, 1)
        pieces, panels = -(-rows // self.cut.rows), self.cut.panels(columns)
        width = {"all": 1, "0": panels.padded, "1": -(-rows // self.cut.lanes) * self.cut.lanes}[axis]
        count = {"all": panels.count * pieces, "0": pieces, "1": panels.count}[axis]
        parts, to = self.take(count * width), self.take(width)
        self.ready(inner)
        self.at(self.stage(inner)).reductions.setdefault((rows, columns), []).append(
            Reduction(x, inner, op, axis, parts)
        )
        stage.items[x] = made = Combine(x, op, parts, count, width, to)
        if axis == "all":
            self.numbers[x] = to
        else:
            self.vectors[x] = Array("", 1, rows if axis == "1" else columns, offset=to)
        return made

    def loop(
        self,
        root: Expression,
        stores: tuple[tuple[Array, Expression], ...],
        reductions: tuple[tuple[Expression, int], ...] = (),
    ) -> Loop:
        leaves, numbers = [], []
        for x in self.ends(root, True, {}):
            if x.level <= UNIFORM:
                numbers.append((x, self.number(x)))
            elif x.op in ("over", "product", "transposed"):
                leaves.append((x, self.vector(x)))
            elif x in self.leaves and self.is_vector(x):
                leaves.append((x, self.leaves[x]))
            else:
                raise UnsupportedError(
                    f"{self.name}: a formula takes an array of shape {x.shape} for a vector; that is not supported."
                )
        return Loop((self.domain(root) or (1, 1))[1], stores, reductions, tuple(leaves), tuple(numbers))

    def vector(self, x: Expression) -> Array:
        """Where a vector is."""
        x = resolved(x)
        if x in self.leaves:
            return self.leaves[x]
        if x.op == "view":
            return self.vector(x.args[0])
        if x not in self.vectors:
            if x.op == "over" and self.is_vector(resolved(x.args[0])):  # along its axis of size 1
                return self.vector(x.args[0])
            if x.op == "over":
                self.reduction(x)
            elif x.op in ("product", "transposed"):
                self.vectors[x] = self._as_row(self.matrix(x), self.stage(x) - 1)
            else:
                columns = (self.domain(x) or (1, 1))[1]
                to = Array("", 1, columns, offset=self.take(self.cut.panels(columns).padded))
                self.at(self.stage(x)).items[x] = self.loop(x, ((to, x),))
                self.vectors[x] = to
        return self.vectors[x]

    def _as_row(self, array: Array, stage: int) -> Array:
        """A matrix of one row or one column, which lies row after row, as numbers side by side."""
        if array.rows == 1:
            return Array("", 1, array.columns, offset=array.offset)
        to = self.plain(1, array.rows, self.cut.stride(array.rows))
        self.at(stage).after.append(Turn(f"{self.name}_turned_{self.step()}", array, to))
        return Array("", 1, array.rows, offset=to.offset)

    def matrix(self, x: Expression) -> Array:
        """Where a matrix is that a product takes, row after row."""
        x = resolved(x)
        if x in self.matrices:
            return self.matrices[x]
        rows, columns = (n or 1 for n in x.shape)
        stride = self.cut.stride(columns)
        stage = self.stage(x)
        if self.is_vector(x) and columns == 1 and x.op not in ("product", "transposed"):
            source = replace(self.vector(x), stride=rows)
            to = self.plain(rows, 1, stride)
            self.at(stage).after.append(Turn(f"{self.name}_turned_{self.step()}", source, to))
        elif x.op == "transposed":
            source = self.matrix(x.args[0])
            to = self.plain(rows, columns, stride)
            self.at(stage - 1).after.append(Turn(f"{self.name}_turned_{self.step()}", source, to))
        elif x.op == "product":
            a, b = map(self.matrix, x.args)
            to = self.plain(rows, columns, stride)
            made = Product(f"{self.name}_product_{self.step()}", a, b, to, a.columns, self.cut.panels(columns))
            self.at(stage - 1).after.append(made)
        else:
            self.ready(x)
            to = self.plain(rows, columns, stride)
            self.at(stage).stores.setdefault((rows, columns), []).append((to, x))
        self.matrices[x] = to
        return to

    def plain(self, rows: int, columns: int, stride: int) -> Array:
        return Array("", rows, columns, stride=stride, offset=self.take((rows + self.cut.spare) * stride))

    def step(self) -> int:
        return 1 + sum(len(stage.after) for stage in self.stages.values())

    def ready(self, x: Expression) -> None:
        """Sees to it that all is in memory that a value number by number ends in."""
        for end in self.ends(x, False, {}):
            if end.level <= UNIFORM:
                self.number(end)
            elif self.is_vector(end) and end.op not in ("identity", "ones"):
                self.vector(end)
            elif end.op in ("product", "transposed"):
                self.matrix(end)

    # ---------------------------------------------------------------- all of it

    def lower(
        self,
        roots: Sequence[tuple[Array, Expression]],
        results: Sequence[tuple[int, Expression]] = (),
        when: str = "always",
        comment: str = "",
    ) -> Apply:
        """Plans all of it.

        Args:
            roots: (array, what it becomes).
            results: (place among the lasting figures, single number).
            when: see :class:`~.weightwise.Apply`.
            comment: what is computed.
        """
        changed = [(to, resolved(x)) for to, x in roots]
        changed = [(to, x) for to, x in changed if self.leaves.get(x) != to]
        finals: list[tuple[Array, Expression, Array]] = []
        whole: list[tuple[Array, Expression]] = []
        for to, x in changed:
            if x.level <= UNIFORM or not self._vectorlike(to):
                whole.append((to, x))
                self.ready(x)
            else:
                finals.append((to, x, self.vector(x)))
        for place, x in results:
            x = resolved(x)
            last = self.at(self.stage(x)).items
            if x in self.given or self.is_late(x):
                value = self.number(x)
                last[_Copy(x)] = Number(x, place, ((x, value),))
            else:
                last[_Copy(x)] = Number(x, place, ())
        end = max([0, *self.stages, *(self.stage(x) for _, x in whole)])
        places = self._places(whole, end)
        for (to, x), place in zip(whole, places, strict=True):
            rows, columns = to.rows, to.columns
            self.at(place).stores.setdefault((rows, columns), []).append((to, x))
        if finals:
            for to, x, at in finals:
                copied = Loop(to.columns, ((to, x),), (), ((x, at),), ())
                self.at(end + 1).items[_Copy(x)] = copied
        return Apply(self.name, tuple(self._steps(whole, places)), when, comment)

    def _vectorlike(self, to: Array) -> bool:
        """Whether an array is a vector that is not of the weight's own shape."""
        own = (self.shape[0], self.shape[1]) if len(self.shape) == 2 else (1, self.shape[0])
        return (to.rows, to.columns) != own or (to.panels is None and len(self.shape) == 2)

    def _places(self, whole: Sequence[tuple[Array, Expression]], end: int) -> list[int]:
        """The stage in which each array is written: as early as can be, but not while it is needed as it was."""
        places = [self.stage(x) for _, x in whole]
        for place in (*places, end):
            self.at(place)
        by_array = {to: leaf for leaf, to in self.leaves.items()}
        while True:
            late = set()
            for number, stage in sorted(self.stages.items()):
                stored = {x: to for (to, x), place in zip(whole, places, strict=True) if place < number}
                values = [x for stores in stage.stores.values() for _, x in stores]
                values += [r.value for reductions in stage.reductions.values() for r in reductions]
                values += [x for (_, x), place in zip(whole, places, strict=True) if place == number]
                read = {leaf for x in values for leaf in self.ends(x, False, stored) if leaf in self.leaves}
                late |= {i for i, (to, _) in enumerate(whole) if places[i] < number and by_array.get(to) in read}
            if not late:
                return places
            places = [end if i in late else place for i, place in enumerate(places)]

    def _steps(self, whole: Sequence[tuple[Array, Expression]], places: Sequence[int]) -> list[Any]:
        steps: list[Any] = []
        made = [key for stage in self.stages.values() for key in stage.items if not isinstance(key, _Copy)]
        order = {x: i for i, x in enumerate(topological(made))}
        for number, stage in sorted(self.stages.items()):
            if stage.items:
                keys = sorted(stage.items, key=lambda k: len(order) if isinstance(k, _Copy) else order[k])
                steps.append(Between(f"{self.name}_between_{number}", tuple(stage.items[k] for k in keys)))
            stored = {x: to for (to, x), place in zip(whole, places, strict=True) if place < number}
            domains = list(dict.fromkeys((*stage.stores, *stage.reductions)))
            for i, domain in enumerate(domains):
                title = f"{self.name}_sweep_{number}" + (f"_{i + 1}" if i else "")
                steps.append(self._sweep(title, domain, stage, stored))
            steps += stage.after
        return steps

    def _sweep(self, name: str, domain: Domain, stage: _Stage, stored: Mapping[Expression, Array]) -> Sweep:
        stores, reductions = stage.stores.get(domain, []), stage.reductions.get(domain, [])
        leaves: dict[Expression, Array] = {}
        numbers: dict[Expression, int] = {}
        for x in [*(x for _, x in stores), *(r.value for r in reductions)]:
            for end in self.ends(x, False, stored):
                if end.level <= UNIFORM:
                    numbers[end] = self.numbers[end]
                elif end in stored:
                    leaves[end] = stored[end]
                elif end in self.leaves:
                    leaves[end] = self.leaves[end]
                elif end.op in ("identity", "ones"):
                    leaves[end] = Array("", *domain)
                elif self.is_vector(end):
                    leaves[end] = self.vector(end)
                elif end.op in ("product", "transposed"):
                    leaves[end] = self.matrices[end]
                else:
                    raise InternalError(f"{name}: nothing computes {end!r:.100}")
        rows, columns = domain
        return Sweep(
            name, rows, columns, self.cut.panels(columns), tuple(stores), tuple(reductions), tuple(leaves.items()),
            tuple(numbers.items()),
        )  # fmt: skip


@dataclass(frozen=True, eq=False)
class _Copy:
    """Stands for a value that is written to another place, after it was computed."""

    value: Expression


def _numbers_in(root: Expression, given: Mapping[Expression, int]) -> list[Expression]:
    """The reductions and given numbers that a single number is computed from."""
    found: dict[Expression, None] = {}
    seen: set[Expression] = set()
    stack = [root]
    while stack:
        x = resolved(stack.pop())
        if x in seen:
            continue
        seen.add(x)
        if x.op == "over" or x in given:
            found[x] = None
        else:
            stack += operands(x)
    return list(found)
