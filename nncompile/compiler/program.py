"""The Program: what the C will do, in order, as records with plain fields.

Which formula is computed where a product is still in registers, what backward keeps,
where every buffer lies: all is decided here, by :mod:`.planner`, and nothing later.
Formulas are expressions with, for each leaf, where its numbers are found.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..ops import Expression
from ..targets import Target
from .graph import Weight


@dataclass(frozen=True)
class Training:
    """What a network is trained for, or measured by.

    Attributes:
        loss: a Loss.
        metrics: (name in C, metric with a formula ``call``).
        optimizer: an Optimizer; None for a network that is only measured.
        labels: whether y has one number per row.
        columns: numbers per row of y otherwise.
        profile: whether the C measures how long each of its steps takes.
    """

    loss: Any
    metrics: tuple[tuple[str, Any], ...] = ()
    optimizer: Any = None
    labels: bool = False
    columns: int = 0
    profile: bool = False


@dataclass(frozen=True)
class Buffer:
    """Memory for a value of every sample of a batch.

    Attributes:
        name: its name in C.
        positions: rows per sample.
        columns: numbers in a row that mean something.
        padded: numbers in a row that a product may read or write: whole panels.
        stride: numbers from a row to the next; what lies behind the columns is padding.
        offset: where it starts, in numbers per sample of the capacity of the workspace.
        alone: where it starts if no two buffers share memory, for a single row.
        comment: what it holds.
    """

    name: str
    positions: int
    columns: int
    padded: int
    stride: int
    offset: int
    alone: int
    comment: str

    def __str__(self) -> str:
        return f"{self.name}[{self.positions}][{self.columns} of {self.stride}] at {self.offset}"


@dataclass(frozen=True)
class Panels:
    """How columns are cut: into panels of one width, the last one half as wide where that holds the rest.

    Attributes:
        count: of panels, the narrow one included.
        full: of panels that have the whole width.
        width: columns of a full panel.
        rest: columns of the narrow one; 0 if there is none.
    """

    count: int
    full: int
    width: int
    rest: int

    @property
    def padded(self) -> int:
        """Columns of all panels."""
        return self.full * self.width + self.rest

    def __str__(self) -> str:
        return f"{self.full} panels of {self.width}" + (f" and one of {self.rest}" if self.rest else "")


@dataclass(frozen=True)
class Matrix:
    """A weight of two axes, stored panel by panel, each as [inputs][columns of the panel].

    Attributes:
        low: whether products take it rounded to bfloat16: then there is a copy in which a
            word holds two rows of a column, panel by panel as [pairs][columns of the panel].
        parts: of bfloat16 that products by tiles take it in, 1 if it is rounded; 0 if it has no such products. Each
            part has such a copy.
    """

    name: str
    inputs: int
    outputs: int
    panels: Panels
    trainable: bool
    low: bool = False
    parts: int = 0

    @property
    def numbers(self) -> int:
        return self.inputs * self.panels.padded

    @property
    def pairs(self) -> int:
        """Pairs of rows, those that are not there of 0: half of the last pair, or what whole tiles have more."""
        return -(-self.inputs // 32) * 16 if self.parts else -(-self.inputs // 2)

    @property
    def copied(self) -> bool:
        """Whether there are copies in bfloat16, which have to follow the numbers."""
        return self.low or self.parts > 0

    @property
    def depth(self) -> int:
        """Tiles that a row of it is read in where it is transposed."""
        return -(-self.outputs // 32)

    @property
    def part_size(self) -> int:
        """Words of one part of a copy."""
        return self.pairs * self.panels.padded


@dataclass(frozen=True)
class Vector:
    """A weight of one axis, padded to whole panels."""

    name: str
    length: int
    padded: int
    trainable: bool


@dataclass(frozen=True)
class Operand:
    """Where a leaf of a formula is found.

    Attributes:
        kind: ``tile`` (the product, in registers), ``buffer``, ``vector``, ``noise``,
            ``labels`` (one number per row) or ``number``.
        name: of the buffer, weight or number; for noise which one it is.
    """

    kind: str
    name: str


@dataclass(frozen=True)
class Formula:
    """A formula over the rows of some buffers.

    Attributes:
        stores: (name of a buffer, element value).
        results: (name of a sum over all rows, row value).
        leaves: where the leaves are found.
        comment: what is computed.
    """

    stores: tuple[tuple[str, Expression], ...]
    leaves: tuple[tuple[Expression, Operand], ...]
    comment: str
    results: tuple[tuple[str, Expression], ...] = ()

    def reads(self) -> list[str]:
        return [o.name for _, o in self.leaves if o.kind == "buffer"]

    def __str__(self) -> str:
        made = [f"{n} = {x!r}" for n, x in (*self.stores, *self.results)]
        return "; ".join(made)


@dataclass(frozen=True)
class Forward:
    """One product and the formula on it: stores = f(x · kernel)."""

    name: str
    matrix: Matrix
    x: str
    positions: int
    training: Formula
    inference: Formula
    comment: str

    def uses(self) -> list[str]:
        formulas = (self.training, self.inference)
        return [self.x, *(n for f in formulas for n, _ in f.stores), *(n for f in formulas for n in f.reads())]


@dataclass(frozen=True)
class Rows:
    """A formula over rows that are in memory."""

    name: str
    positions: int
    width: int
    training: Formula | None
    inference: Formula | None
    comment: str

    def uses(self) -> list[str]:
        formulas = [f for f in (self.training, self.inference) if f]
        return [*(n for f in formulas for n, _ in f.stores), *(n for f in formulas for n in f.reads())]


@dataclass(frozen=True)
class Copy:
    """The numbers of every sample of one buffer, in order, as rows of another size."""

    name: str
    source: str
    target: str
    comment: str

    def uses(self) -> list[str]:
        return [self.source, self.target]


@dataclass(frozen=True)
class Backward:
    """The gradient of a product's input, and the formula on it: stores = f(dy · kernelᵀ).

    Attributes:
        matrix: the kernel.
        panels: how its inputs are cut.
    """

    name: str
    matrix: Matrix
    panels: Panels
    dy: str
    positions: int
    formula: Formula
    comment: str

    def uses(self) -> list[str]:
        return [self.dy, *(n for n, _ in self.formula.stores), *self.formula.reads()]


@dataclass(frozen=True)
class Update:
    """The gradients of a layer's weights, consumed by the optimizer tile by tile.

    Attributes:
        matrix: kernel, or None.
        x: input of the product.
        dy: gradient of the product.
        vectors: (weight, buffer whose column sums are its gradient).
    """

    name: str
    matrix: Matrix | None
    x: str
    dy: str
    positions: int
    vectors: tuple[tuple[Vector, str], ...]
    comment: str

    def uses(self) -> list[str]:
        return [*([self.x, self.dy] if self.matrix else []), *(b for _, b in self.vectors)]


Step = Forward | Rows | Copy | Backward | Update


@dataclass(frozen=True)
class Rule:
    """An optimizer: what happens to one weight, and to the numbers shared by all.

    Attributes:
        name: its name in C.
        slots: what is kept for each weight.
        scalars: what is kept once, with the initial value.
        hyper: names of the numbers that may change at run time, beside the learning rate.
        updates: (``w`` or a slot, new value).
        scalar_updates: (name, new value).
        leaves: what the leaves of all those values are called.
    """

    name: str
    slots: tuple[tuple[str, float], ...]
    scalars: tuple[tuple[str, float], ...]
    hyper: tuple[str, ...]
    updates: tuple[tuple[str, Expression], ...]
    scalar_updates: tuple[tuple[str, Expression], ...]
    leaves: tuple[tuple[Expression, str], ...]


@dataclass(frozen=True)
class Targets:
    """What the network should have said: the y of training.

    Attributes:
        labels: whether there is one number per row rather than one per column.
        positions: rows per sample.
        columns: numbers per row.
        stride: from a row to the next.
    """

    labels: bool
    positions: int
    columns: int
    stride: int


@dataclass(frozen=True)
class Program:
    """What the C does. ``str()`` of it is for people."""

    name: str
    real: str
    target: Target
    inputs: int
    outputs: int
    output_positions: int
    matrices: tuple[Matrix, ...]
    vectors: tuple[Vector, ...]
    weights: tuple[Weight, ...]
    buffers: tuple[Buffer, ...]
    sample_size: int
    alone_size: int
    scratch_size: int
    laps: tuple[str, ...]
    profile: bool
    one_pass: bool
    input_buffer: str
    input_low: bool
    forward: tuple[Step, ...]
    predict: Rows
    targets: Targets | None
    loss: Rows | None
    backward: tuple[Step, ...]
    rule: Rule | None
    totals: tuple[str, ...]
    mean: bool
    noises: tuple[Any, ...]
    layers: tuple[str, ...]

    def buffer(self, name: str) -> Buffer:
        return next(b for b in self.buffers if b.name == name)

    def __str__(self) -> str:
        steps = [*self.forward, *([self.loss] if self.loss else [self.predict]), *self.backward]
        lines = [f"program {self.name} for {self.target}, {self.sample_size} numbers per sample"]
        lines += [f"  {type(s).__name__.lower():8} {s.name}: {s.comment}" for s in steps]
        return "\n".join([*lines, *(f"  buffer {b}" for b in self.buffers)])
