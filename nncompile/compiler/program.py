"""The Program: what the C will do, in order, as records with plain fields.

Which formula is computed where a product is still in registers, what backward keeps,
where every buffer lies: all is decided here, by :mod:`.planner`, and nothing later.
Formulas are expressions with, for each leaf, where its numbers are found.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, is_dataclass
from typing import Any

from ..ops import Expression
from ..ops.arrays import Arrangement
from ..targets import Target
from .graph import Weight
from .memory import Buffer, Matrix, Panels, Statistic, Vector
from .weightwise import Apply, Optimization, Use


@dataclass(frozen=True)
class Supervision:
    """What an output is trained for, or measured by.

    Attributes:
        loss: a Loss; None for an output that is only measured or neither.
        metrics: (name in C, metric with a formula ``call``, whether samples have weights in it).
        labels: whether y has one number per row.
        columns: numbers per row of y otherwise.
        factor: of its loss in the whole.
        weighted: whether each sample, or each row of one, has a weight: 1 where none is given.
        name: of the output, for C.
    """

    loss: Any
    metrics: tuple[tuple[str, Any, bool], ...] = ()
    labels: bool = False
    columns: int = 0
    factor: float = 1.0
    weighted: bool = False
    name: str = ""


@dataclass(frozen=True)
class Training:
    """What a network is trained for, or measured by.

    Attributes:
        outputs: of each output in order.
        optimizer: an Optimizer; None for a network that is only measured.
        profile: whether the C measures how long each of its steps takes.
        capture: whether training and evaluation can give the outputs that they computed.
    """

    outputs: tuple[Supervision, ...]
    optimizer: Any = None
    profile: bool = False
    capture: bool = False


@dataclass(frozen=True)
class Operand:
    """Where a leaf of a formula is found.

    Attributes:
        kind: ``tile`` (the product, in registers), ``buffer``, ``column`` (of a buffer of one column: a
            value per row), ``statistic`` (a number per feature in the workspace), ``figure`` (a single one that is
            the same for all rows), ``vector`` (a weight),
            ``noise``, ``labels`` (one number per row), ``weight`` (of a sample or row) or ``number``.
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
        return [o.name for _, o in self.leaves if o.kind in ("buffer", "column")]

    def __str__(self) -> str:
        made = [f"{n} = {x!r}" for n, x in (*self.stores, *self.results)]
        return "; ".join(made)


def comparable(record: Any) -> Any:
    """A record as tuples that ``==`` compares: expressions, whose own ``==`` is a formula, by who they are."""
    if isinstance(record, Expression):
        return id(record)
    if is_dataclass(record):
        return type(record).__name__, *(comparable(getattr(record, f.name)) for f in fields(record))
    return tuple(map(comparable, record)) if isinstance(record, (tuple, list)) else record


def _uses(*formulas: Formula | None) -> list[str]:
    made = [f for f in formulas if f]
    return [*(n for f in made for n, _ in f.stores), *(n for f in made for n in f.reads())]


@dataclass(frozen=True)
class Forward:
    """One product and the formula on it: stores = f(x · kernel), as in training and as in inference."""

    name: str
    matrix: Matrix
    x: str
    positions: int
    training: Formula | None
    inference: Formula | None
    comment: str

    def uses(self) -> list[str]:
        return [self.x, *_uses(self.training, self.inference)]


@dataclass(frozen=True)
class Rows:
    """A formula over rows that are in memory, as in training and as in inference."""

    name: str
    positions: int
    width: int
    training: Formula | None
    inference: Formula | None
    comment: str

    def uses(self) -> list[str]:
        return _uses(self.training, self.inference)


@dataclass(frozen=True)
class Copy:
    """The numbers of every sample of some buffers, in other places of another.

    Attributes:
        adds: whether numbers that come to one place are added up.
        when: ``both``, ``training`` or ``inference``.
    """

    name: str
    sources: tuple[str, ...]
    target: str
    arrangement: Arrangement
    comment: str
    adds: bool = False
    when: str = "both"

    def uses(self) -> list[str]:
        return [*self.sources, self.target]


@dataclass(frozen=True)
class Dot:
    """Matrices of a sample in one buffer times those in another.

    Attributes:
        left: rows of ``inner`` numbers, ``rows`` for each matrix; where it is turned, ``inner`` rows of ``rows``.
        right: ``inner`` rows for each matrix.
        groups: matrices in a sample.
        turned: whether the columns of ``left`` are taken as its rows.
        panels: how the columns of the result are cut.
        when: ``both``, ``training`` or ``inference``.
    """

    name: str
    left: str
    right: str
    target: str
    groups: int
    rows: int
    inner: int
    turned: bool
    panels: Panels
    comment: str
    when: str = "both"

    def uses(self) -> list[str]:
        return [self.left, self.right, self.target]


@dataclass(frozen=True)
class Take:
    """The rows of a weight that some numbers name."""

    name: str
    matrix: Matrix
    indices: str
    target: str
    comment: str
    when: str = "both"

    def uses(self) -> list[str]:
        return [self.indices, self.target]


@dataclass(frozen=True)
class Scatter:
    """The gradient of a weight whose rows were taken: the rows of dy, added to those that were named.

    Attributes:
        first: whether nothing else contributed to the gradient before, so that it begins as 0.
    """

    name: str
    matrix: Matrix
    indices: str
    dy: str
    comment: str
    first: bool = True

    def uses(self) -> list[str]:
        return [self.indices, self.dy]


@dataclass(frozen=True)
class Turn:
    """The transpose of a kernel, made anew when the kernel has changed.

    Attributes:
        matrix: the kernel.
        turned: what it is kept in, to multiply values by.
    """

    name: str
    matrix: Matrix
    turned: Matrix
    comment: str

    def uses(self) -> list[str]:
        return []


@dataclass(frozen=True)
class Round:
    """Sums over all rows of a batch, and numbers per feature that are computed from them.

    Attributes:
        positions: rows per sample.
        sums: (statistic, formula that is summed over the rows).
        derived: (statistic or weight, formula over statistics and weights).
        leaves: where the leaves of these formulas are found.
    """

    positions: int
    sums: tuple[tuple[str, Expression], ...]
    derived: tuple[tuple[str, Expression], ...]
    leaves: tuple[tuple[Expression, Operand], ...]

    def stores(self) -> set[str]:
        """The numbers per feature that it computes, by name."""
        return {name for name, _ in (*self.sums, *self.derived)}


@dataclass(frozen=True)
class Tally:
    """Sums over all rows of a batch that a loss is made of, and what follows from them.

    Attributes:
        name: of the loss.
        sums: over the rows: results are single numbers, stores numbers per column; both are named after statistics.
        common: formulas over statistics, computed once, as for a row: results and stores likewise. None if there
            are none.
    """

    name: str
    sums: Formula
    common: Formula | None
    comment: str = "sums over the batch"

    def uses(self) -> list[str]:
        return self.sums.reads()


@dataclass(frozen=True)
class Columns:
    """Numbers per feature, each of a column alone, so that a panel of columns can go from round to round.

    Attributes:
        columns: features.
        rounds: what is done, in order.
        state: whether what is derived are weights.
        when: ``both``, ``training`` or ``inference``.
    """

    name: str
    columns: int
    rounds: tuple[Round, ...]
    comment: str
    state: bool = False
    when: str = "both"

    def uses(self) -> list[str]:
        return [o.name for r in self.rounds for _, o in r.leaves if o.kind in ("buffer", "column")]


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
        return [self.dy, *_uses(self.formula)]


@dataclass(frozen=True)
class Update:
    """The gradients of a layer's weights, consumed by the optimizer tile by tile, or kept.

    Attributes:
        matrix: kernel, or None.
        x: input of the product.
        dy: gradient of the product.
        vectors: (weight, buffer whose column sums are its gradient, or whether it is a statistic that is it).
        use: what becomes of the gradient of the kernel; :mod:`.updates` says it, and the next.
        uses: the same for the vectors.
    """

    name: str
    matrix: Matrix | None
    x: str
    dy: str
    positions: int
    vectors: tuple[tuple[Vector, str, bool], ...]
    comment: str
    use: Use | None = None
    vector_uses: tuple[Use, ...] = ()

    def uses(self) -> list[str]:
        return [*([self.x, self.dy] if self.matrix else []), *(b for _, b, alone in self.vectors if not alone)]


Step = Forward | Rows | Copy | Dot | Take | Scatter | Tally | Columns | Backward | Update | Apply | Turn


@dataclass(frozen=True)
class Input:
    """What the network takes in.

    Attributes:
        name: of the buffer.
        low: whether it is rounded to bfloat16 where it is taken in.
    """

    name: str
    positions: int
    columns: int
    low: bool


@dataclass(frozen=True)
class Output:
    """What the network returns.

    Attributes:
        predict: the last formula, to the user's memory.
        capture: the same as it is in training and in inference; None if nobody asks for it.
    """

    name: str
    positions: int
    columns: int
    predict: Rows
    capture: Rows | None


@dataclass(frozen=True)
class Targets:
    """What an output should have been: a y of training.

    Attributes:
        name: of its memory.
        number: which y of the data it is.
        labels: whether there is one number per row rather than one per column.
        positions: rows per sample.
        columns: numbers per row.
        stride: from a row to the next.
        rows: of the loss of a sample.
        weights: name of the memory of the weights, one per row; empty if there are none.
    """

    name: str
    number: int
    labels: bool
    positions: int
    columns: int
    stride: int
    rows: int
    weights: str = ""


@dataclass(frozen=True)
class Loss:
    """A part of the loss with its gradient and metrics, as one formula over rows.

    Attributes:
        name: of its functions and its total.
        rows: the formula; its results are sums over rows.
        targets: what the output should have been; None for a penalty.
        total: name of the result that is the loss; empty for an output that is only measured.
        totals: names of the results, each a member of the state with ``_total``.
        mean: how a sum becomes the loss of a batch: ``mean`` of rows, ``samples`` (divided by their number),
            ``squared`` (divided by it twice), ``sum``, or ``weights`` (divided by the sum of the weights).
        factor: in the whole loss.
        trained, predicted: runs over the rows that go ahead in training, and in evaluation.
    """

    name: str
    rows: Rows
    targets: Targets | None
    total: str
    totals: tuple[str, ...]
    mean: str
    factor: float
    trained: tuple[Tally, ...] = ()
    predicted: tuple[Tally, ...] = ()


@dataclass(frozen=True)
class Program:
    """What the C does. ``str()`` of it is for people.

    Attributes:
        sample_size: numbers per sample of all buffers, which share memory.
        alone_size: numbers of all buffers of a single row, where none share.
        totals: of a step, members of the state.
        late: steps behind those of forward that losses alone need.
    """

    name: str
    real: str
    target: Target
    inputs: tuple[Input, ...]
    outputs: tuple[Output, ...]
    matrices: tuple[Matrix, ...]
    vectors: tuple[Vector, ...]
    weights: tuple[Weight, ...]
    buffers: tuple[Buffer, ...]
    statistics: tuple[Statistic, ...]
    sample_size: int
    alone_size: int
    scratch_size: int
    laps: tuple[str, ...]
    profile: bool
    one_pass: bool
    forward: tuple[Step, ...]
    late: tuple[Step, ...]
    losses: tuple[Loss, ...]
    backward: tuple[Step, ...]
    assignments: tuple[Columns, ...]
    optimizer: Optimization | None
    totals: tuple[str, ...]
    noises: tuple[Any, ...]
    layers: tuple[str, ...]

    def buffer(self, name: str) -> Buffer:
        """The buffer of a name; what an output should be is one as well."""
        for t in self.targets:
            if t.name == name:
                return Buffer(name, t.positions, t.columns, t.stride, t.stride, 0, 0, "what the output should be")
        return next(b for b in self.buffers if b.name == name)

    @property
    def mixes_samples(self) -> bool:
        """Whether what is predicted for some samples depends on the batches that they come in: on means over these."""
        return any(
            isinstance(s, Columns) and s.when != "training" and any(r.sums for r in s.rounds) for s in self.forward
        )

    @property
    def by_batch(self) -> bool:
        """Whether the loss of some samples depends on the batches that they come in."""
        return self.mixes_samples or any(
            loss.predicted or loss.mean in ("sum", "weights", "squared") for loss in self.losses
        )

    @property
    def sample_numbers(self) -> int:
        """Numbers that a sample has in all inputs."""
        return sum(i.positions * i.columns for i in self.inputs)

    @property
    def targets(self) -> tuple[Targets, ...]:
        """All targets, in the order of the outputs."""
        return tuple(dict.fromkeys(loss.targets for loss in self.losses if loss.targets))

    def __str__(self) -> str:
        ends = [loss.rows for loss in self.losses] or [o.predict for o in self.outputs]
        steps = [*self.forward, *self.assignments, *self.late, *ends, *self.backward]
        lines = [f"program {self.name} for {self.target}, {self.sample_size} numbers per sample"]
        lines += [f"  {type(s).__name__.lower():8} {s.name}: {s.comment}" for s in steps]
        return "\n".join([*lines, *(f"  buffer {b}" for b in (*self.buffers, *self.statistics))])
