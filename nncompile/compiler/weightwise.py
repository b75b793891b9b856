"""What a program does to weights: rules on gradients tile by tile, and formulas over a whole weight."""

from __future__ import annotations

from dataclasses import dataclass

from ..ops import Expression
from .memory import Panels


@dataclass(frozen=True)
class Use:
    """What becomes of the gradient of a weight, once a tile of it is known.

    Attributes:
        rule: the name of a :class:`Rule`.
        at: member of the state that the rule works on: the weight, or its gradient if that is kept in memory.
        parts: for each sum of the rule where its parts are among the figures, one for each unit of the step.
    """

    rule: str
    at: str
    parts: tuple[int, ...] = ()


@dataclass(frozen=True)
class Array:
    """Where an array of a formula over a weight is.

    Attributes:
        name: member of the state; ``""`` for the workspace's memory for figures.
        rows: of the array; 1 for a vector.
        columns: of the array.
        panels: how it is cut if it lies as a kernel does, panel by panel; None: row after row.
        stride: numbers from a row to the next otherwise.
        offset: where it starts among the figures.
    """

    name: str
    rows: int
    columns: int
    panels: Panels | None = None
    stride: int = 0
    offset: int = 0

    def __str__(self) -> str:
        return self.name or f"figures {self.offset}"


@dataclass(frozen=True)
class Reduction:
    """A reduction in a sweep: parts of it by unit, which :class:`Combine` takes together.

    Attributes:
        node: the expression, an ``over``.
        value: what is reduced.
        op: ``sum``, ``max`` or ``min``.
        axis: ``all``, ``0`` for one number per column, ``1`` for one per row.
        parts: where the parts are among the figures.
    """

    node: Expression
    value: Expression
    op: str
    axis: str
    parts: int


@dataclass(frozen=True)
class Sweep:
    """A run over a matrix, or a vector as one row, cut into units that any thread may do.

    Attributes:
        rows: of the matrix.
        columns: of the matrix.
        panels: how the columns are cut.
        stores: (where, value), number by number.
        reductions: of values number by number.
        leaves: where the arrays are that these are computed from.
        numbers: single numbers among the figures that these are computed from.
    """

    name: str
    rows: int
    columns: int
    panels: Panels
    stores: tuple[tuple[Array, Expression], ...]
    reductions: tuple[Reduction, ...]
    leaves: tuple[tuple[Expression, Array], ...]
    numbers: tuple[tuple[Expression, int], ...]


@dataclass(frozen=True)
class Combine:
    """The parts of a reduction taken together: ``count`` rows of ``width`` numbers become one, at ``to``."""

    node: Expression
    op: str
    parts: int
    count: int
    width: int
    to: int


@dataclass(frozen=True)
class Loop:
    """A formula over vectors of some numbers: what is stored, and reductions to single numbers."""

    columns: int
    stores: tuple[tuple[Array, Expression], ...]
    reductions: tuple[tuple[Expression, int], ...]
    leaves: tuple[tuple[Expression, Array], ...]
    numbers: tuple[tuple[Expression, int], ...]


@dataclass(frozen=True)
class Number:
    """A single number, and where it is kept among the figures."""

    value: Expression
    to: int
    numbers: tuple[tuple[Expression, int], ...]


@dataclass(frozen=True)
class Between:
    """What one thread does between two sweeps."""

    name: str
    items: tuple[Combine | Loop | Number, ...]


@dataclass(frozen=True)
class Product:
    """A product of two matrices that lie row after row; ``inner`` is the size that they share."""

    name: str
    a: Array
    b: Array
    to: Array
    inner: int
    panels: Panels


@dataclass(frozen=True)
class Turn:
    """A matrix transposed."""

    name: str
    source: Array
    to: Array


@dataclass(frozen=True)
class Apply:
    """A formula over a whole weight: what is done, in order.

    Attributes:
        name: for the reader.
        steps: sweeps, products and what comes between them.
        when: ``always``; with accumulation of gradients ``applies`` in steps that update the weights, ``holds`` in
            others.
        comment: what is computed.
    """

    name: str
    steps: tuple[Sweep | Between | Product | Turn, ...]
    when: str
    comment: str

    def uses(self) -> list[str]:
        return []


@dataclass(frozen=True)
class Rule:
    """What happens to numbers whose gradient is known: weights, or gradients that are kept.

    Attributes:
        name: its name in C.
        slots: what else it works on, beside ``w``.
        updates: (``w`` or a slot, new value); what does not change is missing.
        held: the same for a step that only accumulates gradients; None if there is none.
        leaves: what the leaves of these values are called.
        sums: values that are added up over a whole kernel on the way, from what was there before.
    """

    name: str
    slots: tuple[str, ...]
    updates: tuple[tuple[str, Expression], ...]
    held: tuple[tuple[str, Expression], ...] | None
    leaves: tuple[tuple[Expression, str], ...]
    sums: tuple[Expression, ...] = ()


@dataclass(frozen=True)
class Optimization:
    """An optimizer, and all else that is done to weights.

    Attributes:
        name: of the optimizer's class.
        kept: for each weight (name, shape) of what is kept beside it.
        scalars: what is kept once, with the initial value.
        numbers: (name in C, whose, attribute) of the numbers that may change at run time, beside the learning rate:
            whose is ``optimizer``, ``schedule``, or the name of a weight and ``regularizer`` or ``constraint``.
        scalar_updates: (name, new value) of scalars.
        schedule: the learning rate as a formula of the steps done; None if it is set from outside.
        leaves: what the single numbers that values are computed from are called.
        rules: what happens to gradients that are known tile by tile.
        gradients: names of the weights whose gradients are kept in memory.
        penalties: what computes the penalties on weights.
        penalties_at: where they are among the figures.
        penalties_before: those that a step of training computes ahead of its backward pass.
        penalties_behind: those of which the kernels' updates add up the terms, computed behind it.
        figures: how many numbers of the workspace formulas over weights need.
        accumulated: after how many steps weights are updated.
    """

    name: str
    kept: tuple[tuple[str, tuple[tuple[str, tuple[int, ...]], ...]], ...]
    scalars: tuple[tuple[str, float], ...]
    numbers: tuple[tuple[str, str, str], ...]
    scalar_updates: tuple[tuple[str, Expression], ...]
    schedule: Expression | None
    leaves: tuple[tuple[Expression, str], ...]
    rules: tuple[Rule, ...]
    gradients: tuple[str, ...]
    penalties: tuple[Apply, ...]
    penalties_at: tuple[int, ...]
    penalties_before: tuple[Apply, ...]
    penalties_behind: tuple[Apply, ...]
    figures: int
    accumulated: int

    def slots(self, weight: str) -> tuple[tuple[str, tuple[int, ...]], ...]:
        """(name, shape) of what is kept beside a weight."""
        return dict(self.kept).get(weight, ())
