"""What the templates see: one record for each step of a program, its formulas printed, its sizes as C."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .expression import Pass
from .memory import Buffer
from .program import (
    Backward,
    Columns,
    Copy,
    Dot,
    Forward,
    Loss,
    Rows,
    Scatter,
    Take,
    Turn,
    Update,
)
from .updates_text import RuleText

#
# ``cost`` is the number of operations per row of a step, about: it decides whether threads are worth while.
# ``pack_cost`` is that of laying out the operands of a product by tiles, 0 for any other product.


@dataclass(frozen=True)
class Text:
    """A printed formula.

    Attributes:
        comment: the formula in words.
        scalars: ``const real`` statements ahead of all rows.
        keys: statements that make the keys of random numbers.
        pointers: statements at the beginning of a row.
        lines: statements for a vector, of a formula on tiles.
        passes: loops over a row, of a formula on rows.
        scratch: arrays of one row.
        final: statements behind the passes of a row.
        width: columns of a row.
        narrow: whether a vector holds a column of some rows; else it holds some columns of a row.
        unrolled: whether so few columns are written out one by one, to stay in registers: it takes time to compile.
    """

    comment: str
    scalars: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()
    pointers: tuple[str, ...] = ()
    lines: tuple[str, ...] = ()
    passes: tuple[Pass, ...] = ()
    scratch: tuple[str, ...] = ()
    final: tuple[str, ...] = ()
    width: int = 0
    narrow: bool = False
    unrolled: bool = False


@dataclass(frozen=True)
class ForwardText:
    step: Forward
    x: str
    x_stride: str
    stride: str
    training: Text
    inference: Text
    same: bool
    rows: str
    cost: float
    units: str
    pack_cost: float
    when: str
    update: UpdateText | None = None
    kind: str = "forward"


@dataclass(frozen=True)
class RowsText:
    step: Rows
    training: Text | None
    inference: Text | None
    same: bool
    rows: str
    cost: float
    when: str
    kind: str = "rows"


@dataclass(frozen=True)
class LoopsText:
    """Numbers that go from one buffer to another.

    Attributes:
        source: the buffer.
        loops: heads of the loops from the outermost, indented.
        inner: the indentation within.
        run: how many numbers lie side by side in both behind the loops; 1 if they do not.
        origin, goal: C texts of places in a sample of the source and of the target.
    """

    source: Buffer
    loops: tuple[str, ...]
    inner: str
    run: int
    origin: str
    goal: str


@dataclass(frozen=True)
class CopyText:
    step: Copy
    target: Buffer
    pieces: tuple[LoopsText, ...]
    clear: bool
    cost: float
    when: str
    kind: str = "copy"


@dataclass(frozen=True)
class DotText:
    """Matrices of a sample, multiplied; ``padded`` columns of the result are whole panels."""

    step: Dot
    left: Buffer
    right: Buffer
    target: Buffer
    padded: int
    cost: float
    when: str
    kind: str = "dot"


@dataclass(frozen=True)
class TakeText:
    step: Take
    indices: Buffer
    target: Buffer
    cost: float
    when: str
    kind: str = "take"


@dataclass(frozen=True)
class RoundText:
    """Sums over all rows, and what is computed from them.

    Attributes:
        rows: C text of how many there are.
        row_lines: statements for the vector at a column of row ``r``.
        sums: (variable, statistic, C text of what is summed).
        lines: statements behind the sums, for the vector at a column.
        chains: sums of every so manieth row are kept apart: an addition need not wait for the one before.
    """

    rows: str
    row_lines: tuple[str, ...]
    sums: tuple[tuple[str, str, str], ...]
    lines: tuple[str, ...]
    chains: int


@dataclass(frozen=True)
class ColumnsText:
    """Numbers per feature.

    Attributes:
        scalars: ``const real`` statements ahead of all.
        padded: columns of whole panels.
        whole: whether there are panels of the full width.
        rest: whether there is a narrow one.
        cost: of a row, in all rounds.
    """

    step: Columns
    scalars: tuple[str, ...]
    rounds: tuple[RoundText, ...]
    padded: int
    whole: bool
    rest: bool
    rows: str
    cost: float
    when: str
    kind: str = "columns"


@dataclass(frozen=True)
class TallyText:
    """Sums over all rows of a batch, ahead of a loss.

    Attributes:
        name: of the function that adds up some rows; ``…_common`` is that of what follows.
        mode: ``training`` or ``inference``.
        sums: of the rows.
        common: what follows from them, as for a single row; None for nothing.
        singles: statistics that are single numbers.
        columns: (statistic, columns with the padding, where those of a unit are) of those per column.
    """

    name: str
    mode: str
    sums: Text
    common: Text | None
    singles: tuple[str, ...]
    columns: tuple[tuple[str, int, int], ...]


@dataclass(frozen=True)
class LossText:
    """A part of the loss.

    Attributes:
        number: which part.
        scale: C text of what the gradient is multiplied by.
        share: C text behind a sum over the rows of a batch that makes it the loss of its samples.
        tallies: what goes ahead, in order.
        singles, columns: how many numbers of a unit these need: single ones, and of columns.
    """

    step: Loss
    rows: RowsText
    number: int
    scale: str
    share: str
    tallies: tuple[TallyText, ...] = ()
    singles: int = 0
    columns: int = 0


@dataclass(frozen=True)
class BackwardText:
    step: Backward
    dy: str
    dy_stride: str
    stride: str
    text: Text
    rows: str
    cost: float
    units: str
    pack_cost: float = 0.0
    kind: str = "backward"


@dataclass(frozen=True)
class UpdateText:
    step: Update
    x: str
    x_stride: str
    dy: str
    dy_stride: str
    rule: RuleText | None
    vectors: tuple[tuple[Any, str, str, bool, str, RuleText], ...]
    rows: str
    units: str
    cost: float
    pack_cost: float = 0.0
    kind: str = "update"


@dataclass(frozen=True)
class ScatterText:
    """A gradient of a table; ``gradient`` is the member of the state."""

    step: Scatter
    indices: Buffer
    dy: Buffer
    gradient: str
    cost: float
    kind: str = "scatter"


@dataclass(frozen=True)
class TurnText:
    """A transpose that is kept."""

    step: Turn
    cost: float
    kind: str = "turn"


@dataclass(frozen=True)
class Field:
    """A member of the state."""

    type: str
    name: str
    count: int
    comment: str


@dataclass(frozen=True)
class Vocabulary:
    """What vector.h has to hold."""

    form: str
    real: str
    bits: int
    lanes: int
    bytes: int
    names: tuple[str, ...]
