"""Stage 3: from a Program to Sources, the text of the C. The only importer of Jinja2.

Formulas are printed here, by :mod:`.expression`; the templates place what was printed.
Equal programs give equal bytes: no dates, no paths, no addresses.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import jinja2

from .. import _version
from ..errors import BuildError, InternalError, ModelError
from ..ops import PRIMITIVES, ROW, Expression
from . import cache, tiles, vocabulary
from .expression import ColumnWriter, Names, Pass, RowWriter, Writer, resolved, scalar, topological
from .program import (
    Apply,
    Backward,
    Buffer,
    Columns,
    Copy,
    Dot,
    Formula,
    Forward,
    Loss,
    Matrix,
    Operand,
    Product,
    Program,
    Round,
    Rows,
    Scatter,
    Take,
    Tally,
    Update,
)
from .sweeps import TILED_ROWS
from .updates import KEPT
from .updates_text import ApplyText, RuleText, UpdatesPrinter


@dataclass(frozen=True)
class Sources:
    """C that is ready to be compiled.

    Attributes:
        declarations: what Python or a C program may call; no preprocessor.
        code: the unit.
        parts: how many parts of about the same size the unit can be compiled in, with -DPART=1 and so on;
            compiled without that it is whole.
    """

    declarations: str
    code: str
    parts: int = 1

    def __str__(self) -> str:
        return self.code


# ------------------------------------------------------------------ what the templates see
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


# ------------------------------------------------------------------ printing formulas


def constant_name(buffer: str) -> str:
    return f"{buffer.upper()}_STRIDE"


class _Printer:
    """Prints the formulas of one program and collects the vocabulary that they use."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.real = program.real
        self.lanes = max(program.target.vector_bytes // (8 if self.real == "double" else 4), 1)
        self.functions: set[str] = set()
        optimizer = program.optimizer
        self.updates = UpdatesPrinter(optimizer, self.real, self.lanes, self.functions) if optimizer else None
        self.rules: dict[str, RuleText] = {}

    def tile(self, formula: Formula, rates: str = "") -> Text:
        """A formula on the vector at column ``c`` of row ``i`` of a tile."""
        names = Names(
            {
                "c",
                "r",
                "i",
                "n",
                "at",
                "area",
                "column",
                "height",
                "tile",
                "tiles",
                "rows",
                "state",
                "b",
                "w",
                "unit",
                "thread",
                "width",
                "kernel",
                "transposed",
                "pairs",
                "depth",
                "dy",
            }
        )
        lines, known, keys = [], {}, []
        width = self.program.buffer(formula.stores[0][0]).columns
        used = set(topological([x for _, x in formula.stores]))
        for x, operand in formula.leaves:
            if x not in used or operand.kind == "number":
                continue
            text, key = self._load(operand, "column + c", True, width)
            keys += key
            name = names.new(_leaf_name(x, operand))
            lines.append(f"const vec {name} = {text};")
            known[x] = name
        scalars: dict[Expression, str] = {}
        writer = Writer(self.real, known, names, scalars)
        writer.shared([x for _, x in formula.stores])
        for where, x in formula.stores:
            writer.lines.append(f"{writer.call('nn_store')}(b->{where} + at + c, {writer.value(x)});")
        self.functions |= writer.functions
        numbers = self._numbers(formula.leaves)
        return Text(
            comment=_comment(formula),
            scalars=tuple(f"const real {n} = {scalar(x, self.real, numbers)};" for x, n in scalars.items()),
            keys=tuple(keys),
            lines=(*lines, *writer.lines),
        )

    def rows(self, formula: Formula, width: int) -> Text:
        """A formula over whole rows."""
        return self._narrow(formula, width) if self._is_narrow(formula, width) else self._wide(formula, width)

    def tally(self, step: Tally, width: int, name: str, mode: str) -> TallyText:
        """Sums over all rows, of columns and of single numbers, and what follows from them."""
        padded = {s.name: s.padded for s in self.program.statistics}
        columns, at = [], 0
        for place, _ in step.sums.stores:
            columns.append((place, padded[place], at))
            at += padded[place]
        names = [place for place, _ in step.sums.stores]
        if self._is_narrow(step.sums, width):
            count = f"(real){self._call('nn_sum_first')}({{}}, count)" if names else ""
            sums = self._narrow(step.sums, width, {n: f"{n}_unit[c] += {count};" for n in names})
        else:
            add = f"{self._call('nn_load')}({{0}}_unit + c)" if names else ""
            store = self._call("nn_store") if names else ""
            kept = {n: f"{store}({n}_unit + c, {add.format(n)} + {{}});" for n in names}
            sums = self._wide(step.sums, width, kept)
        common = None
        if step.common is not None:
            kept = {n: f"{self._call('nn_store')}(b->{n} + c, {{}});" for n, _ in step.common.stores}
            kept |= {n: f"b->{n}[0] = {self._call('nn_first')}({{}});" for n, _ in step.common.results}
            common = self._wide(step.common, width, kept)
        singles = tuple(n for n, _ in step.sums.results)
        return TallyText(name, mode, sums, common, singles, tuple(columns))

    def _is_narrow(self, formula: Formula, width: int) -> bool:
        """Whether it takes fewer vectors to hold a column of several rows each than columns of one row."""
        if self.lanes == 1:
            return False
        values = topological([x for _, x in (*formula.stores, *formula.results)])
        reduced = any(x.op in PRIMITIVES and PRIMITIVES[x.op].kind == "reduce" for x in values)
        return width < self.lanes or (reduced and width <= self.lanes + self.lanes // 4)

    def _narrow(self, formula: Formula, width: int, kept: Mapping[str, str] | None = None) -> Text:
        """A formula over narrow rows, LANES rows at a time; ``kept`` are statements in the place of a store's."""
        kept = kept or {}
        loads: dict[Expression, str] = {}
        row_values: dict[Expression, str] = {}
        begin: dict[str, list[str]] = {}
        keys: list[str] = []
        end: list[str] = []
        reserved = {"state", "b", "rows", "y", "w", "unit", "thread", "first", "last", "end", "count"}
        reserved |= {b.name for b in self.program.buffers} | {"target"} | {n for n, _ in formula.results}
        for x, operand in formula.leaves:
            name = operand.name
            if operand.kind in ("labels", "weight"):
                row_values[x] = f"{self._call('nn_load')}(b->{name} + r)"  # behind the last row is other memory of ours
            elif operand.kind in ("buffer", "column"):
                array = f"{name}_columns"
                call = f"{self._call('nn_load_columns')}(b->{name} + (ptrdiff_t)r * {constant_name(name)}{{}}, "
                call += f"{constant_name(name)}, count, {array}{{}});"
                columns = width if operand.kind == "buffer" else 1
                begin[array] = [f"vec {array}[{self._whole(columns)}];", *self._blocks(call, columns)]
                if operand.kind == "buffer":
                    loads[x] = f"{array}[c]"
                else:
                    row_values[x] = f"{array}[0]"
            elif operand.kind == "statistic":
                loads[x] = f"{self._call('nn_set')}(b->{name}[c])"
            elif operand.kind == "figure":
                row_values[x] = f"{self._call('nn_set')}(b->{name}[0])"
            elif operand.kind == "vector":
                loads[x] = f"{self._call('nn_set')}(state->{name}[c])"
            elif operand.kind == "noise":
                array = f"noise_{name}_columns"
                text, key = self._load(operand, "c", True, width)
                keys += key
                lines = [f"vec {array}[{self._whole(width)}];", f"for (int c = 0; c < {width}; c += LANES) {{"]
                lines.append("    UNROLL for (int i = 0; i < LANES; i++)")
                lines.append(f"        {array}[c + i] = {text};")
                begin[array] = [*lines, f"    {self._call('nn_transpose')}({array} + c);", "}"]
                loads[x] = f"{array}[c]"
        stores, row_stores = [], []
        for where, x in formula.stores:
            if where in kept:
                stores.append((kept[where], x))
                continue
            array = f"new_{where}"
            columns = 1 if x.level == ROW else width
            begin[array] = [f"vec {array}[{columns if where == 'y' else self._whole(columns)}];"]
            if x.level == ROW:
                row_stores.append((f"{array}[0] = {{}};", x))
            else:
                stores.append((f"{array}[c] = {{}};", x))
            if where == "y":  # the user's memory has no padding
                end += ["for (int i = 0; i < count; i++)", f"    for (int c = 0; c < {width}; c++)"]
                end.append(f"        y[(ptrdiff_t)(r + i) * {width} + c] = {self._call('nn_lane')}({array}[c], i);")
                continue
            stride, padded = constant_name(where), self.program.buffer(where).padded
            if columns < self._whole(columns):
                end.append(f"UNROLL for (int c = {columns}; c < {self._whole(columns)}; c++)")
                end.append(f"    {array}[c] = {self._call('nn_set')}(0);")
            call = f"{self._call('nn_store_columns')}(b->{where} + (ptrdiff_t)r * {stride}{{}}, {stride}, count, "
            end += self._blocks(call + f"{array}{{}});", columns)
            if self._whole(columns) < padded:
                fill = f"{self._call('nn_store')}(b->{where} + (ptrdiff_t)(r + i) * {stride} + c, nn_set(0));"
                end.append("for (int i = 0; i < count; i++)")
                end.append(f"    for (int c = {self._whole(columns)}; c < {padded}; c += LANES)")
                end.append(f"        {fill}")
        reserved |= {*begin, *(f"{n}_unit" for n in kept)}
        writer = ColumnWriter(self.real, width, loads, row_values, self._numbers(formula.leaves), reserved)
        results = [(f"{name} += {self._call('nn_sum_first')}({{}}, count);", x) for name, x in formula.results]
        code = writer.write(stores, [*results, *row_stores])
        self.functions |= code.functions
        return Text(
            comment=_comment(formula),
            scalars=tuple(f"const real {n} = {t};" for n, t in code.scalars),
            keys=tuple(keys),
            pointers=tuple(line for lines in begin.values() for line in lines),
            passes=code.passes,
            scratch=code.scratch,
            final=(*code.final, *end),
            width=width,
            narrow=True,
            unrolled=width <= 4,
        )

    def _whole(self, width: int) -> int:
        """The columns of whole vectors."""
        return -(-width // self.lanes) * self.lanes

    def _blocks(self, call: str, width: int) -> list[str]:
        """A call for every LANES columns, which stand where it has ``{}``."""
        return [call.format(*[f" + {c}" if c else ""] * 2) for c in range(0, width, self.lanes)]

    def _wide(self, formula: Formula, width: int, kept: Mapping[str, str] | None = None) -> Text:
        """A formula over rows of at least about as many columns as a vector has lanes.

        ``kept`` are statements in the place of a store's or a result's.
        """
        kept = kept or {}
        loads: dict[Expression, str] = {}
        row_values: dict[Expression, str] = {}
        pointers: dict[str, str] = {}
        keys: list[str] = []
        buffers = {b.name for b in self.program.buffers} | {t.name for t in self.program.targets} | {"y"}
        for x, operand in formula.leaves:
            if operand.kind in ("labels", "weight"):
                row_values[x] = f"{self._call('nn_set')}(b->{operand.name}[r])"
            elif operand.kind == "column":
                at = f"b->{operand.name}[(ptrdiff_t)r * {constant_name(operand.name)}]"
                row_values[x] = f"{self._call('nn_set')}({at})"
            elif operand.kind == "figure":
                row_values[x] = f"{self._call('nn_set')}(b->{operand.name}[0])"
            elif operand.kind == "buffer":
                pointers.setdefault(operand.name, self._pointer(operand.name, width, const=True))
                loads[x] = f"{self._call('nn_load')}({operand.name}_row + c)"
            elif operand.kind != "number":
                loads[x], key = self._load(operand, "c", False, width)
                keys += key
        stores, row_stores = [], []
        for where, x in formula.stores:
            if where in kept:
                stores.append((kept[where], x))
                continue
            pointers[where] = self._pointer(where, width, const=False)
            if x.level == ROW:
                row_stores.append((f"{where}_row[0] = {self._call('nn_first')}({{}});", x))
            elif where == "y":  # the user's memory has no padding
                some = self._call("nn_store_some" if width % self.lanes else "nn_store")
                count = f", {width} - c" if width % self.lanes else ""
                stores.append((f"{some}(y_row + c, {{}}{count});", x))
            else:
                stores.append((f"{self._call('nn_store')}({where}_row + c, {{}});", x))
        numbers = self._numbers(formula.leaves)
        reserved = {
            "state",
            "b",
            "rows",
            "y",
            "w",
            "unit",
            "thread",
            "first",
            "last",
            "end",
            *(f"{n}_row" for n in buffers),
            *(n for n, _ in formula.results),
            *(("units", *(f"{n}_unit" for n in kept)) if kept else ()),
        }
        writer = RowWriter(self.real, width, self.lanes, loads, row_values, numbers, reserved)
        added = f" += (double){self._call('nn_first')}({{}});" if formula.results else ""
        results = [(kept.get(name, name + added), x) for name, x in formula.results]
        # what is written last can hold what is kept between passes, if it is padded and not read
        only = formula.stores[0][0] if len(formula.stores) == 1 and not row_stores and not kept else ""
        spare = (
            f"{only}_row" if only and only not in formula.reads() and not (only == "y" and width % self.lanes) else ""
        )
        code = writer.write(stores, [*results, *row_stores], spare)
        final = list(code.final)
        padding = -(-width // self.lanes) * self.lanes
        for where, x in formula.stores:
            if where in kept:
                continue
            if x.level == ROW:
                fill = f"{self._call('nn_store')}({where}_row + c, {self._call('nn_set')}(0));"
                final[:0] = [f"for (int c = 0; c < {self.program.buffer(where).padded}; c += LANES)", f"    {fill}"]
            elif where != "y" and padding < self.program.buffer(where).padded:
                fill = f"{self._call('nn_store')}({where}_row + c, {self._call('nn_set')}(0));"
                final.append(f"for (int c = {padding}; c < {self.program.buffer(where).padded}; c += LANES)")
                final.append(f"    {fill}")
        self.functions |= code.functions
        return Text(
            comment=_comment(formula),
            scalars=tuple(f"const real {n} = {t};" for n, t in code.scalars),
            keys=tuple(keys),
            pointers=tuple(pointers.values()),
            passes=code.passes,
            scratch=code.scratch,
            final=tuple(final),
            width=width,
        )

    def _pointer(self, name: str, width: int, const: bool) -> str:
        stride = str(width) if name == "y" else constant_name(name)
        base = "y" if name == "y" else f"b->{name}"
        return f"{'const ' if const else ''}real *{name}_row = {base} + (ptrdiff_t)r * {stride};"

    def _call(self, name: str) -> str:
        self.functions.add(name)
        return name

    def _load(self, operand: Operand, column: str, tile: bool, width: int) -> tuple[str, list[str]]:
        """The text that loads a vector, and the statements that it needs ahead."""
        if operand.kind == "tile":
            return f"{self._call('nn_load')}(tile + i * width + c)", []
        if operand.kind == "buffer":
            return f"{self._call('nn_load')}(b->{operand.name} + at + c)", []
        if operand.kind == "column":
            return f"{self._call('nn_set')}(b->{operand.name}[(ptrdiff_t)(r + i) * {constant_name(operand.name)}])", []
        if operand.kind == "statistic":
            return f"{self._call('nn_load')}(b->{operand.name} + {column})", []
        if operand.kind == "vector":
            return f"{self._call('nn_load')}(state->{operand.name} + {column})", []
        if operand.kind == "noise":
            # numbered without the padding, so that every target draws the same
            number = operand.name
            self.functions |= {"nn_key", "nn_uniform"}
            seed = f"state->noise_{number}_seed, (uint64_t)state->step, {number}u"
            at = f"(ptrdiff_t)({'r + i' if tile else 'r'}) * {width} + {column}"
            words = f"(uint32_t)key_{number}, (uint32_t)(key_{number} >> 32), (uint32_t)({at})"
            return f"nn_uniform({words})", [f"const uint64_t key_{number} = nn_key({seed});"]
        raise InternalError(f"no load for {operand}")

    def _numbers(self, leaves: Iterable[tuple[Expression, Operand]]) -> Mapping[Expression, str]:
        return {x: self._number(o.name) for x, o in leaves if o.kind == "number"}

    def _number(self, name: str) -> str:
        if name == "scale":
            return name
        return f"(real)(w->{name})" if name.startswith("samples") else f"state->{name}[0]"

    def columns(self, step: Columns) -> ColumnsText:
        """Sums over all rows, and what is computed from them."""
        names = Names(
            {"c", "r", "i", "k", "at", "column", "width", "rows", "state", "b", "w", "unit", "thread", "end", "first"}
        )
        scalars: dict[Expression, str] = {}
        numbers: dict[Expression, str] = {}
        rounds = []
        for r in step.rounds:
            numbers |= self._numbers(r.leaves)
            rounds.append(self._round(r, step, names, scalars))
        of = step.rounds[0].derived[0][0]
        known = {s.name: s.padded for s in self.program.statistics} | {v.name: v.padded for v in self.program.vectors}
        padded = known[of]
        panel = self.lanes * self.program.target.panel_vectors
        return ColumnsText(
            step=step,
            scalars=tuple(f"const real {n} = {scalar(x, self.real, numbers)};" for x, n in scalars.items()),
            rounds=tuple(rounds),
            padded=padded,
            whole=padded >= panel,
            rest=padded % panel > 0,
            rows=max((r.rows for r in rounds), key=len),
            cost=5.0 * padded * sum(1 + len(r.sums) for r in rounds),
            when=step.when,
        )

    def _round(self, r: Round, step: Columns, names: Names, scalars: dict[Expression, str]) -> RoundText:
        summed = Writer(self.real, {}, names, scalars)
        behind = Writer(self.real, {}, names, scalars)
        called = {name: names.new(name) for name, _ in (*r.sums, *r.derived)}
        pairs = ((summed, r.sums), (behind, r.derived))
        stops = [x for x, _ in r.leaves]
        among = [(writer, set(topological([resolved(x) for _, x in of], stops))) for writer, of in pairs]
        for x, operand in r.leaves:
            for writer, used in among:
                if x not in used or operand.kind == "number":
                    continue
                before = step.state and operand.kind == "vector"  # what a weight was until now, of the same name
                if writer is behind and operand.name in called and not before:  # it was just computed
                    writer.known[x] = called[operand.name]
                    continue
                name = names.new(_leaf_name(x, operand))
                writer.lines.append(f"const vec {name} = {self._column(operand)};")
                writer.known[x] = name
        summed.shared([x for _, x in r.sums])
        sums = tuple((called[n], n, summed.value(x)) for n, x in r.sums)
        for name, x in r.derived:
            behind.lines.append(f"const vec {called[name]} = {behind.value(x)};")
            place = f"{'state' if step.state else 'b'}->{name} + column + c"
            behind.lines.append(f"{behind.call('nn_store')}({place}, {called[name]});")
        self.functions |= summed.functions | behind.functions | {"nn_set", "nn_store"}
        chains = 4 if len(sums) == 1 else 2
        return RoundText(_rows_of(r.positions), tuple(summed.lines), sums, tuple(behind.lines), chains)

    def _column(self, operand: Operand) -> str:
        """The text that loads a vector of columns, of row ``r`` where there are rows."""
        if operand.kind == "buffer":
            at = f"b->{operand.name} + (ptrdiff_t)r * {constant_name(operand.name)} + column + c"
            return f"{self._call('nn_load')}({at})"
        if operand.kind == "column":
            return f"{self._call('nn_set')}(b->{operand.name}[(ptrdiff_t)r * {constant_name(operand.name)}])"
        if operand.kind in ("statistic", "vector"):
            place = "b" if operand.kind == "statistic" else "state"
            return f"{self._call('nn_load')}({place}->{operand.name} + column + c)"
        raise InternalError(f"no column of {operand}")


def _leaf_name(x: Expression, operand: Operand) -> str:
    if operand.kind == "tile":
        return "product"
    if operand.kind == "noise":
        return "noise"
    return x.value.name if operand.kind == "vector" else operand.name


def _comment(formula: Formula) -> str:
    return formula.comment.replace("*/", "* /").replace("/*", "/ *")


# ------------------------------------------------------------------ rendering


def safe_comment(text: object) -> str:
    """Text of a user inside a C comment: it cannot end the comment or begin another line."""
    cleaned = "".join(ch if ch.isascii() and ch.isprintable() and ch != "\\" else "?" for ch in str(text))
    return cleaned.replace("*/", "* /").replace("/*", "/ *").replace("??", "? ")


def template_folder() -> Path:
    """Where the templates are: in the package once installed, beside it in a checkout."""
    inside = Path(__file__).parent.parent / "templates"
    return inside if inside.is_dir() else Path(__file__).parent.parent.parent / "templates"


def _bytecode_cache() -> jinja2.BytecodeCache | None:
    """Compiled templates, kept beside the builds: they take longer to compile than all else in a warm start.

    Rendering must work where nothing can be written, so a cache folder that cannot be used
    only means that there is no such cache; a build would report it.
    """
    try:
        folder = cache.cache_folder() / "templates"
        folder.mkdir(mode=0o700, exist_ok=True)
    except (BuildError, OSError):
        return None
    return jinja2.FileSystemBytecodeCache(str(folder))


@functools.cache
def environment() -> jinja2.Environment:
    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader(template_folder()),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,
        optimized=False,  # it would fold constants, of which there are none, for a tenth of a cold start's rendering
        bytecode_cache=_bytecode_cache(),
    )
    made.globals.clear()
    made.filters["comment"] = safe_comment
    return made


def training(program: Program) -> Sources:
    """The unit that Python loads: predict, and evaluate and train if the program can."""
    printer = _Printer(program)
    forward = [_step(printer, step) for step in program.forward]
    outputs = [(_step(printer, o.predict), _step(printer, o.capture) if o.capture else None) for o in program.outputs]
    losses = [_loss(printer, loss, number) for number, loss in enumerate(program.losses)]
    assignments = [_step(printer, s) for s in program.assignments]
    updates, rule = printer.updates, None
    penalties, before, behind = (list[ApplyText]() for _ in range(3))
    uses = [s.use.rule for s in program.backward if isinstance(s, Update) and s.use]
    kernels = list(dict.fromkeys(uses))
    if updates is not None:
        printer.rules = updates.rules(kernels)
    backward = [_step(printer, s) for s in program.backward]
    if updates is not None:
        of = updates.optimization
        made = {a.name: updates.apply(a) for a in (*of.penalties, *of.penalties_behind)}
        penalties, before, behind = (
            [made[a.name] for a in some] for some in (of.penalties, of.penalties_before, of.penalties_behind)
        )
        rule = updates.optimizer(printer.rules, kernels)
    if program.one_pass:
        changes = {f.step.matrix.name: f for f in backward if f.kind == "update"}
        forward = [replace(f, update=changes[f.step.matrix.name]) for f in forward]
    printer.functions |= {"nn_load", "nn_store", "nn_set"}  # of the kernel of products
    if any(isinstance(s, Backward) for s in program.backward) or any(r.sums for r in printer.rules.values()):
        printer.functions |= {"nn_iota", "nn_lt", "nn_select"}  # of dots(), and of sums over a kernel
    if any(r.sums for r in printer.rules.values()):
        printer.functions.add("nn_sum_lanes")
    low = tuple(m for m in program.matrices if m.low and not m.parts)
    copied = tuple(m for m in program.matrices if m.copied)
    if copied:
        printer.functions |= {"nn_bfloat16", "nn_bits", "nn_from_bits"}
    if any(m.parts for m in copied):
        printer.functions |= {"nn_iota", "nn_select", "nn_transpose"}
    if any(m.parts > 1 for m in copied):
        printer.functions |= {"nn_abs", "nn_and"}
    products = [s for s in (*program.forward, *program.backward) if isinstance(s, (Forward, Backward))]
    tiled = [f for f in (*forward, *backward) if getattr(f, "pack_cost", 0)]
    applies = [f for f in (*backward, *penalties, *behind) if f.kind == "apply"]
    parts = [p for f in applies for p in f.parts]
    untiled = any(not s.matrix.parts and not (s.matrix.low and isinstance(s, Forward)) for s in products)
    untiled = untiled or any(p.kind == "product" for p in parts)
    untiled = untiled or any(f.kind == "dot" for f in (*forward, *backward))
    untiled_updates = any(isinstance(s, Update) and s.matrix and not s.matrix.parts for s in program.backward)
    context = {
        "program": program,
        "version": _version.__version__,
        "v": _vocabulary(program, printer.functions),
        "state": _state(program),
        "forward": forward,
        "outputs": outputs,
        "losses": losses,
        "backward": backward,
        "assignments": assignments,
        "rule": rule,
        "penalties": penalties,
        "penalties_before": before,
        "penalties_behind": behind,
        "applies": applies,
        "heights": program.target.tile_rows,
        "tile_heights": tuple(dict.fromkeys((*program.target.tile_rows, 1))),
        "panel": printer.lanes * program.target.panel_vectors,
        "widths": _widths(program, printer.lanes),
        "pairs": any(
            s.matrix.panels.full > 1 and not s.matrix.copied for s in program.forward if isinstance(s, Forward)
        ),
        "low": low,
        "rounded": any(m.low for m in program.matrices),
        "copied": copied,
        "splits": [tiles.SPLITS[n] for n in sorted({m.parts for m in copied if m.parts})],
        "tile_blocks": tiles.BLOCKS,
        "tiled_rows": TILED_ROWS,
        "tiled": tiled,
        "tiled_updates": any(f.kind == "update" for f in tiled),
        "by_pairs": any(m.parts for m in copied) and program.target.tiles == "dots",
        "turned": {s.matrix.name for s in program.backward if isinstance(s, Backward) and s.matrix.parts},
        "left_operands": [tiles.left_operand(f) for f in tiled],
        "right_operands": [tiles.right_operand(f) for f in tiled if f.kind == "update"],
        "untiled": untiled,
        "untiled_updates": untiled_updates,
        "in_parts": untiled or untiled_updates or bool(low) or any(p.kind == "sweep" for p in parts),
        "dots": any(isinstance(s, Backward) for s in products),
        "side_by_side": _SIDE_BY_SIDE,
        "low_widths": sorted({v for _, v in _row_times(low, printer.lanes)}, reverse=True),
        "row_times": _row_times(low, printer.lanes),
        "grain": max(program.target.tile_rows[2], 2),
        "together": program.target.updated_together,
        "transposes": program.scratch_size > 0,
        "threads": program.target.form == "gnu",
        "by_parts": program.target.form == "gnu" and not program.profile,
        "predict_cost": sum((f.cost * getattr(f.step, "positions", 1) for f in forward), float(program.sample_numbers)),
        "strides": [(constant_name(b.name), b.stride) for b in program.buffers]
        + [(constant_name(t.name), t.stride) for t in program.targets],
        "interleaved": _interleaved(printer.lanes),
        "inputs": [(i, program.buffer(i.name)) for i in program.inputs],
        "weighted": any(t.weights for t in program.targets),
        "takes": any(isinstance(s, (Take, Scatter)) for s in (*program.forward, *program.backward)),
        "captures": any(o.capture for o in program.outputs),
    }
    return Sources(fill("api.h.j2", context), fill("training.c.j2", context), parts=3 if rule else 2)


def _widths(program: Program, lanes: int) -> list[int]:
    """The widths of panels that products have, in vectors, the widest first."""
    cut = [m.panels for m in program.matrices]
    cut += [s.panels for s in program.backward if isinstance(s, Backward)]
    cut += [s.panels for s in (*program.forward, *program.backward) if isinstance(s, Dot)]
    applies = [s for s in program.backward if isinstance(s, Apply)]
    applies += program.optimizer.penalties if program.optimizer else ()
    cut += [p.panels for a in applies for p in a.steps if isinstance(p, Product)]
    found = {c.width // lanes for c in cut if c.full} | {c.rest // lanes for c in cut if c.rest}
    return sorted(found, reverse=True)


_SIDE_BY_SIDE = 4
"""Panels that one row is multiplied by at a time, in bfloat16: as many sums as the latency of an addition asks for."""


def _row_times(matrices: Iterable[Matrix], lanes: int) -> list[tuple[int, int]]:
    """How many panels, and of how many vectors, one row is multiplied by at a time."""
    found = set()
    for cut in (m.panels for m in matrices):
        found |= {(n + 1, cut.width // lanes) for n in range(min(cut.full, _SIDE_BY_SIDE))}
        found |= {(1, cut.rest // lanes)} if cut.rest else set()
    return sorted(found)


def _interleaved(lanes: int) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    """The lanes of two vectors side by side, of their first and of their second halves."""
    pairs = [(i, i + lanes) for i in range(lanes)]
    return pairs[: lanes // 2], pairs[lanes // 2 :]


def fill(name: str, context: Mapping[str, Any]) -> str:
    """Renders a template; blank lines that macros leave behind are taken out."""
    text = environment().get_template(name).render(context)
    text = re.sub(r"\n{3,}", "\n\n", text)
    return re.sub(r"(?<=\{\n)\n|\n(?=\n *\})", "", text).strip("\n") + "\n"


def _step(printer: _Printer, step: Any) -> Any:
    if isinstance(step, Apply):
        assert printer.updates is not None
        return printer.updates.apply(step, printer.program.matrices)
    rows = _rows_of(getattr(step, "positions", 1))
    program = printer.program
    if isinstance(step, Forward):
        train, infer = (printer.tile(f) if f else None for f in (step.training, step.inference))
        formula = step.training or step.inference
        one, other = train or infer, infer or train
        assert formula is not None and one is not None and other is not None
        stride, x_stride = constant_name(formula.stores[0][0]), constant_name(step.x)
        work = tiles.work(step.matrix, step.matrix.panels, rows, step.matrix.inputs, program.target)
        return ForwardText(step, step.x, x_stride, stride, one, other, one == other, rows, *work, _when(step))
    if isinstance(step, Rows):
        texts = [printer.rows(f, step.width) if f else None for f in (step.training, step.inference)]
        same = texts[0] == texts[1] or None in texts
        return RowsText(step, texts[0] or texts[1], texts[1], same, rows, 30.0 * step.width, _when(step))
    if isinstance(step, Columns):
        return printer.columns(step)
    if isinstance(step, Backward):
        stride, dy_stride = constant_name(step.formula.stores[0][0]), constant_name(step.dy)
        work = tiles.work(step.matrix, step.panels, rows, step.matrix.outputs, program.target, "BACKWARD_ROWS")
        return BackwardText(step, step.dy, dy_stride, stride, printer.tile(step.formula), rows, *work)
    if isinstance(step, Update):
        vectors = tuple(
            (v, d, "0" if alone else constant_name(d), alone, use.at, printer.rules[use.rule])
            for (v, d, alone), use in zip(step.vectors, step.vector_uses, strict=True)
        )
        rule = printer.rules[step.use.rule] if step.use else None
        units, cost, pack_cost = f"pieces({vectors[0][0].padded if vectors else 0}, PANEL)", 0.0, 0.0
        if step.matrix:
            packed = step.matrix.inputs + step.matrix.panels.padded
            cost, units, pack_cost = tiles.work(
                step.matrix, step.matrix.panels, str(step.matrix.inputs), packed, program.target, "UPDATE_ROWS"
            )
        else:
            cost = 2.0 * vectors[0][0].padded
        x_stride, dy_stride = constant_name(step.x), constant_name(step.dy)
        return UpdateText(step, step.x, x_stride, step.dy, dy_stride, rule, vectors, rows, units, cost, pack_cost)
    if isinstance(step, Scatter):
        dy = program.buffer(step.dy)
        cost = 2.0 * dy.positions * dy.columns
        return ScatterText(step, program.buffer(step.indices), dy, f"{step.matrix.name}_{KEPT}", cost)
    if isinstance(step, Copy):
        target = program.buffer(step.target)
        pieces = tuple(_loops(program, step, piece, target) for piece in step.arrangement.pieces)
        clear = step.adds or not step.arrangement.whole or target.columns != target.stride
        return CopyText(step, target, pieces, clear, 2.0 * target.positions * target.columns, step.when)
    if isinstance(step, Dot):
        left, right, target = (program.buffer(name) for name in (step.left, step.right, step.target))
        cost = 2.0 * step.groups * step.rows * step.inner * step.panels.padded
        return DotText(step, left, right, target, step.panels.padded, cost, step.when)
    if isinstance(step, Take):
        target = program.buffer(step.target)
        return TakeText(step, program.buffer(step.indices), target, 2.0 * target.positions * target.columns, step.when)
    raise InternalError(f"no text for {step!r}")


def _rows_of(positions: int) -> str:
    """The rows of a batch, in C."""
    return f"w->samples * {positions}" if positions > 1 else "w->samples"


def _when(step: Forward | Rows) -> str:
    """In which mode a step is done."""
    return "inference" if step.training is None else "training" if step.inference is None else "both"


def _loops(program: Program, step: Copy, piece: Any, target: Buffer) -> LoopsText:
    """The loops that bring numbers of a sample to their places."""
    source = program.buffer(step.sources[piece.source])
    sizes, starts = list(piece.sizes), (piece.start, piece.to_start)
    steps = [list(piece.steps), list(piece.to_steps)]
    run = sizes[-1]
    for buffer, start, by in zip((source, target), starts, steps, strict=True):
        inside = buffer.positions == 1 or (
            start % buffer.columns + run <= buffer.columns and all(n % buffer.columns == 0 for n in by[:-1])
        )
        if by[-1] != 1 or not inside:
            run = 1
    if run > 1:
        sizes, steps = sizes[:-1], [by[:-1] for by in steps]
    names = [f"i{n}" for n in range(len(sizes))]
    places = []
    for buffer, start, by in zip((source, target), starts, steps, strict=True):
        terms = [f"{name} * {n}" if n != 1 else name for name, n in zip(names, by, strict=True) if n]
        at = " + ".join([*terms, *([str(start)] if start or not terms else [])])
        if buffer.positions > 1:
            at = f"({at}) / {buffer.columns} * {constant_name(buffer.name)} + ({at}) % {buffer.columns}"
        places.append(at)
    heads = [f"for (int {i} = 0; {i} < {n}; {i}++)" for i, n in zip(names, sizes, strict=True)]
    loops = tuple("    " * depth + head for depth, head in enumerate(heads))
    return LoopsText(source, loops, "    " * len(heads), run, places[0], places[1])


def _loss(printer: _Printer, loss: Loss, number: int) -> LossText:
    positions = loss.rows.positions if loss.mean == "mean" else 1
    count = f"((double)w->samples * {positions})" if positions > 1 else "(double)w->samples"
    squared = f"1.0 / ({count} * {count})"
    scale = {"sum": "1.0", "weights": f"1.0 / w->weights[{number}]", "squared": squared}.get(
        loss.mean, f"1.0 / {count}"
    )
    scale = f"{loss.factor!r} * {scale}" if loss.factor != 1.0 else scale
    share = {
        "sum": " * w->samples", "weights": f" * w->samples / w->weights[{number}]", "squared": " / w->samples",
    }.get(loss.mean, f" / {positions}" if positions > 1 else "")  # fmt: skip
    tallies = tuple(
        printer.tally(tally, loss.rows.width, f"{loss.name}_{mode}_sums_{n}", mode)
        for mode, runs in (("training", loss.trained), ("inference", loss.predicted))
        for n, tally in enumerate(runs, 1)
    )
    singles = max((len(t.singles) for t in tallies), default=0)
    columns = max((sum(padded for _, padded, _ in t.columns) for t in tallies), default=0)
    return LossText(loss, _step(printer, loss.rows), number, scale, share, tallies, singles, columns)


_OF_ROWS = {
    "nn_first": (),
    "nn_argmax_lanes": ("nn_max_lanes", "nn_min_lanes", "nn_select", "nn_eq", "nn_set"),
    "nn_store_some": ("nn_store",),
    "nn_transpose": (),
    "nn_load_columns": ("nn_transpose", "nn_load", "nn_set"),
    "nn_store_columns": ("nn_transpose", "nn_store"),
    "nn_lane": (),
    "nn_sum_first": (),
}
"""What templates/kernels/rows.c.j2 adds to the vocabulary, and what that calls."""


def _vocabulary(program: Program, functions: Iterable[str]) -> Vocabulary:
    size = 8 if program.real == "double" else 4
    target = program.target
    width = target.vector_bytes or size
    names = set(functions)
    names |= {called for name, calls in _OF_ROWS.items() if name in names for called in calls}
    if any(isinstance(s, Backward) for s in program.backward):
        names.add("nn_transpose")
    used = vocabulary.closure(sorted(names - set(_OF_ROWS)), target.form)
    return Vocabulary(
        target.form, program.real, size * 8, width // size, width, (*used, *(n for n in _OF_ROWS if n in names))
    )


def _kept(program: Program, weight: str, shape: tuple[int, ...], numbers: int) -> list[Field]:
    """What is kept beside a weight, and its gradient if that goes to memory."""
    optimizer = program.optimizer
    if optimizer is None:
        return []
    lanes = max(program.target.vector_bytes // (8 if program.real == "double" else 4), 1)
    fields = [
        Field(program.real, f"{weight}_{name}", numbers if of == shape else -(-max(of) // lanes) * lanes, what)
        for name, of in optimizer.slots(weight)
        for what in [f"{name} of the optimizer"]
    ]
    if weight in optimizer.gradients:
        fields.append(Field(program.real, f"{weight}_{KEPT}", numbers, "its gradient"))
    return fields


def _state(program: Program) -> list[Field]:
    """The members of the state, weights first so that they are aligned."""
    fields: list[Field] = []
    optimizer = program.optimizer
    backward = (s for s in program.backward if isinstance(s, Backward) and s.matrix.parts)
    turned = {s.matrix.name: s.panels.padded for s in backward}
    for m in program.matrices:
        what = f"{m.inputs} x {m.outputs}: {m.panels}, each of {m.inputs} rows"
        fields.append(Field(program.real, m.name, m.numbers, what))
        if m.copied:
            parts = f" in {m.parts} parts" if m.parts > 1 else ""
            pairs = f"the same in bfloat16{parts}, {m.pairs} pairs of rows, the first in the lower half of a word"
            fields.append(Field("uint32_t", f"{m.name}_pairs", max(m.parts, 1) * m.part_size, pairs))
        if m.name in turned:
            pairs = f"the same transposed, {16 * m.depth} pairs of rows"
            size = m.parts * 16 * m.depth * turned[m.name]
            fields.append(Field("uint32_t", f"{m.name}_transposed", size, pairs))
        fields += _kept(program, m.name, (m.inputs, m.outputs), m.numbers)
    for v in program.vectors:
        fields.append(Field(program.real, v.name, v.padded, f"{v.length}"))
        fields += _kept(program, v.name, (v.length,), v.padded)
    if optimizer:
        fields += [Field("double", n, 0, f"of the {whose}") for n, whose, _ in optimizer.numbers]
        fields.append(Field(program.real, "learning_rate", 0, "of the optimizer"))
        fields += [Field(program.real, n, 0, "of the optimizer, shared by all weights") for n, _ in optimizer.scalars]
    fields.append(Field("int64_t", "step", 0, "updates done"))
    fields.append(Field("int32_t", "turn", 0, "whether the next prediction does the units of a step backwards"))
    fields += [Field("uint64_t", f"noise_{i}_seed", 0, "of random numbers") for i in range(len(program.noises))]
    fields += [Field("double", f"{n}_total", 0, "sum so far") for n in program.totals]
    fields += [Field("double", f"{n}_seconds", 0, "that this took so far") for n in program.laps]
    names = [f.name for f in fields]
    for name in names:
        if names.count(name) > 1:
            raise ModelError(
                f"{program.name}: two things would be called {name!r} in C: of the layers' weights and what the "
                "optimizer and the metrics keep. Give the layer, its weight or the metric another name."
            )
    return fields
