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
from ..ops import PRIMITIVES, UNIFORM, Expression
from . import cache, tiles, vocabulary
from .expression import ColumnWriter, Names, Pass, RowWriter, Writer, scalar, topological
from .program import Backward, Buffer, Copy, Formula, Forward, Matrix, Operand, Program, Rows, Rule, Update


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
    pack_cost: float = 0.0
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
    kind: str = "rows"


@dataclass(frozen=True)
class CopyText:
    step: Copy
    source: Buffer
    target: Buffer
    size: int
    cost: float
    kind: str = "copy"


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
    slots: tuple[str, ...]
    vectors: tuple[tuple[Any, str, str], ...]
    rows: str
    units: str
    cost: float
    pack_cost: float = 0.0
    kind: str = "update"


@dataclass(frozen=True)
class RuleText:
    """The optimizer, printed.

    Attributes:
        rates: (name, C text) of the numbers computed once per step.
        scalars: (name, C text) of the shared numbers that each step changes.
        lines: statements for a vector of weights.
        powers: whether something is raised to the power of the step.
    """

    name: str
    slots: tuple[str, ...]
    rates: tuple[tuple[str, str], ...]
    scalars: tuple[tuple[str, str], ...]
    lines: tuple[str, ...]
    powers: bool


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

    def _is_narrow(self, formula: Formula, width: int) -> bool:
        """Whether it takes fewer vectors to hold a column of several rows each than columns of one row."""
        if self.lanes == 1:
            return False
        values = topological([x for _, x in (*formula.stores, *formula.results)])
        reduced = any(x.op in PRIMITIVES and PRIMITIVES[x.op].kind == "reduce" for x in values)
        return width < self.lanes or (reduced and width <= self.lanes + self.lanes // 4)

    def _narrow(self, formula: Formula, width: int) -> Text:
        """A formula over narrow rows, LANES rows at a time."""
        loads: dict[Expression, str] = {}
        row_values: dict[Expression, str] = {}
        begin: dict[str, list[str]] = {}
        keys: list[str] = []
        end: list[str] = []
        reserved = {"state", "b", "rows", "y", "w", "unit", "thread", "first", "last", "end", "count"}
        reserved |= {b.name for b in self.program.buffers} | {"target"} | {n for n, _ in formula.results}
        for x, operand in formula.leaves:
            name = operand.name
            if operand.kind == "labels":
                row_values[x] = f"{self._call('nn_load')}(b->target + r)"  # behind the last row is other memory of ours
            elif operand.kind == "buffer":
                array = f"{name}_columns"
                call = f"{self._call('nn_load_columns')}(b->{name} + (ptrdiff_t)r * {constant_name(name)}{{}}, "
                call += f"{constant_name(name)}, count, {array}{{}});"
                begin[array] = [f"vec {array}[{self._whole(width)}];", *self._blocks(call, width)]
                loads[x] = f"{array}[c]"
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
        stores = []
        for where, x in formula.stores:
            array = f"new_{where}"
            begin[array] = [f"vec {array}[{width if where == 'y' else self._whole(width)}];"]
            stores.append((f"{array}[c] = {{}};", x))
            if where == "y":  # the user's memory has no padding
                end += ["for (int i = 0; i < count; i++)", f"    for (int c = 0; c < {width}; c++)"]
                end.append(f"        y[(ptrdiff_t)(r + i) * OUTPUTS + c] = {self._call('nn_lane')}({array}[c], i);")
                continue
            stride, padded = constant_name(where), self.program.buffer(where).padded
            if width < self._whole(width):
                end.append(f"UNROLL for (int c = {width}; c < {self._whole(width)}; c++)")
                end.append(f"    {array}[c] = {self._call('nn_set')}(0);")
            call = f"{self._call('nn_store_columns')}(b->{where} + (ptrdiff_t)r * {stride}{{}}, {stride}, count, "
            end += self._blocks(call + f"{array}{{}});", width)
            if self._whole(width) < padded:
                fill = f"{self._call('nn_store')}(b->{where} + (ptrdiff_t)(r + i) * {stride} + c, nn_set(0));"
                end.append("for (int i = 0; i < count; i++)")
                end.append(f"    for (int c = {self._whole(width)}; c < {padded}; c += LANES)")
                end.append(f"        {fill}")
        reserved |= set(begin)
        writer = ColumnWriter(self.real, width, loads, row_values, self._numbers(formula.leaves), reserved)
        results = [(f"{name} += {self._call('nn_sum_first')}({{}}, count);", x) for name, x in formula.results]
        code = writer.write(stores, results)
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

    def _wide(self, formula: Formula, width: int) -> Text:
        """A formula over rows of at least about as many columns as a vector has lanes."""
        loads: dict[Expression, str] = {}
        row_values: dict[Expression, str] = {}
        pointers: dict[str, str] = {}
        keys: list[str] = []
        buffers = {b.name for b in self.program.buffers} | {"target", "y"}
        for x, operand in formula.leaves:
            if operand.kind == "labels":
                row_values[x] = f"{self._call('nn_set')}(b->target[r])"
            elif operand.kind == "buffer":
                pointers.setdefault(operand.name, self._pointer(operand.name, const=True))
                loads[x] = f"{self._call('nn_load')}({operand.name}_row + c)"
            elif operand.kind != "number":
                loads[x], key = self._load(operand, "c", False, width)
                keys += key
        stores = []
        for where, x in formula.stores:
            pointers[where] = self._pointer(where, const=False)
            if where == "y":  # the user's memory has no padding
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
        }
        writer = RowWriter(self.real, width, self.lanes, loads, row_values, numbers, reserved)
        results = [(f"{name} += (double){self._call('nn_first')}({{}});", x) for name, x in formula.results]
        # what is written last can hold what is kept between passes, if it is padded and not read
        only = formula.stores[0][0] if len(formula.stores) == 1 else ""
        spare = (
            f"{only}_row" if only and only not in formula.reads() and not (only == "y" and width % self.lanes) else ""
        )
        code = writer.write(stores, results, spare)
        final = list(code.final)
        padding = -(-width // self.lanes) * self.lanes
        for where, _ in formula.stores:
            if where != "y" and padding < self.program.buffer(where).padded:
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

    def _pointer(self, name: str, const: bool) -> str:
        stride = "OUTPUTS" if name == "y" else constant_name(name)
        base = "y" if name == "y" else f"b->{name}"
        return f"{'const ' if const else ''}real *{name}_row = {base} + (ptrdiff_t)r * {stride};"

    def rule(self, rule: Rule) -> RuleText:
        names = Names({"rates", "state", *(n for n, _ in rule.slots), "w", "g"})
        leaves = dict(rule.leaves)
        known = {x: n for x, n in leaves.items() if x.level > UNIFORM}
        scalars: dict[Expression, str] = {}
        writer = Writer(self.real, known, names, scalars, prefix="rates->")
        writer.shared([x for _, x in rule.updates])
        for name, x in rule.updates:
            writer.lines.append(f"{writer.call('nn_store')}({name}_at, {writer.value(x)});")
        self.functions |= writer.functions | {"nn_load"}
        numbers = {x: f"state->{n}" for x, n in leaves.items() if x.level <= UNIFORM}
        for x, n in leaves.items():
            if n == "step":
                numbers[x] = f"({self.real})state->step"
        after = {x: f"state->{n}" for n, x in rule.scalar_updates}
        for x, name in [*scalars.items()]:
            if x in after:
                scalars[x] = name
        step = next((x for x, n in leaves.items() if n == "step"), None) if self.real == "float" else None
        rates = tuple((name, scalar(x, self.real, {**numbers, **after}, step)) for x, name in scalars.items())
        shared = tuple((n, scalar(x, self.real, numbers, step)) for n, x in rule.scalar_updates)
        return RuleText(
            name=rule.name,
            slots=tuple(n for n, _ in rule.slots),
            rates=rates,
            scalars=shared,
            lines=tuple(writer.lines),
            powers=any("nn_power_of_step(" in text for _, text in (*rates, *shared)),
        )

    def _call(self, name: str) -> str:
        self.functions.add(name)
        return name

    def _load(self, operand: Operand, column: str, tile: bool, width: int) -> tuple[str, list[str]]:
        """The text that loads a vector, and the statements that it needs ahead."""
        if operand.kind == "tile":
            return f"{self._call('nn_load')}(tile + i * width + c)", []
        if operand.kind == "buffer":
            return f"{self._call('nn_load')}(b->{operand.name} + at + c)", []
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
        return {x: "scale" if o.name == "scale" else f"state->{o.name}" for x, o in leaves if o.kind == "number"}


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
    forward: list[Any] = []
    for step in program.forward:
        forward.append(_step(printer, step))
    predict = _step(printer, program.predict)
    loss = _step(printer, program.loss) if program.loss else None
    backward = [_step(printer, s) for s in program.backward]
    rule = printer.rule(program.rule) if program.rule else None
    if program.one_pass:
        updates = {f.step.matrix.name: f for f in backward if f.kind == "update"}
        forward = [replace(f, update=updates[f.step.matrix.name]) for f in forward]
    printer.functions |= {"nn_load", "nn_store", "nn_set"}  # of the kernel of products
    if any(isinstance(s, Backward) for s in program.backward):
        printer.functions |= {"nn_iota", "nn_lt", "nn_select"}  # of dots()
    low = tuple(m for m in program.matrices if m.low and not m.parts)
    copied = tuple(m for m in program.matrices if m.copied)
    if copied:
        printer.functions |= {"nn_bfloat16", "nn_bits", "nn_from_bits"}
    if any(m.parts for m in copied):
        printer.functions |= {"nn_iota", "nn_select", "nn_transpose"}
    if any(m.parts > 1 for m in copied):
        printer.functions |= {"nn_abs", "nn_and"}
    products = [s for s in (*program.forward, *program.backward) if isinstance(s, (Forward, Backward))]
    changed = [s.matrix for s in program.backward if isinstance(s, Update) and s.matrix]
    tiled = [f for f in (*forward, *backward) if getattr(f, "pack_cost", 0)]
    context = {
        "program": program,
        "version": _version.__version__,
        "v": _vocabulary(program, printer.functions),
        "state": _state(program, rule),
        "forward": forward,
        "predict": predict,
        "loss": loss,
        "backward": backward,
        "rule": rule,
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
        "tiled": tiled,
        "turned": {s.matrix.name for s in program.backward if isinstance(s, Backward) and s.matrix.parts},
        "left_operands": [tiles.left_operand(f) for f in tiled],
        "right_operands": [tiles.right_operand(f) for f in tiled if f.kind == "update"],
        "untiled": any(not s.matrix.parts and not (s.matrix.low and isinstance(s, Forward)) for s in products),
        "untiled_updates": any(not m.parts for m in changed),
        "dots": any(isinstance(s, Backward) for s in products),
        "side_by_side": _SIDE_BY_SIDE,
        "low_widths": sorted({v for _, v in _row_times(low, printer.lanes)}, reverse=True),
        "row_times": _row_times(low, printer.lanes),
        "grain": max(program.target.tile_rows[2], 2),
        "transposes": program.scratch_size > 0,
        "threads": program.target.form == "gnu",
        "strides": [(constant_name(b.name), b.stride) for b in program.buffers],
        "interleaved": _interleaved(printer.lanes),
        "sample": program.buffer(program.input_buffer),
    }
    return Sources(fill("api.h.j2", context), fill("training.c.j2", context), parts=3 if rule else 2)


def _widths(program: Program, lanes: int) -> list[int]:
    """The widths of panels that products have, in vectors, the widest first."""
    cut = [m.panels for m in program.matrices]
    cut += [s.panels for s in program.backward if isinstance(s, Backward)]
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
    rows = "w->samples" if isinstance(step, Copy) or step.positions == 1 else f"w->samples * {step.positions}"
    if isinstance(step, Forward):
        train, infer = printer.tile(step.training), printer.tile(step.inference)
        stride = constant_name(step.training.stores[0][0])
        work = tiles.work(step.matrix, step.matrix.panels, rows, step.matrix.inputs)
        return ForwardText(step, step.x, constant_name(step.x), stride, train, infer, train == infer, rows, *work)
    if isinstance(step, Rows):
        texts = [printer.rows(f, step.width) if f else None for f in (step.training, step.inference)]
        return RowsText(step, texts[0], texts[1], texts[0] == texts[1] or None in texts, rows, 30.0 * step.width)
    if isinstance(step, Backward):
        stride, dy_stride = constant_name(step.formula.stores[0][0]), constant_name(step.dy)
        work = tiles.work(step.matrix, step.panels, rows, step.matrix.outputs, "BACKWARD_ROWS")
        return BackwardText(step, step.dy, dy_stride, stride, printer.tile(step.formula), rows, *work)
    if isinstance(step, Update):
        slots = tuple(n for n, _ in printer.program.rule.slots) if printer.program.rule else ()
        vectors = tuple((v, d, constant_name(d)) for v, d in step.vectors)
        units, cost, pack_cost = f"pieces({vectors[0][0].padded if vectors else 0}, PANEL)", 0.0, 0.0
        if step.matrix:
            packed = step.matrix.inputs + step.matrix.panels.padded
            cost, units, pack_cost = tiles.work(
                step.matrix, step.matrix.panels, str(step.matrix.inputs), packed, "UPDATE_ROWS"
            )
        else:
            cost = 2.0 * vectors[0][0].padded
        return UpdateText(
            step,
            step.x,
            constant_name(step.x),
            step.dy,
            constant_name(step.dy),
            slots,
            vectors,
            rows,
            units,
            cost,
            pack_cost,
        )
    if isinstance(step, Copy):
        source, to = (printer.program.buffer(n) for n in (step.source, step.target))
        size = source.positions * source.columns
        return CopyText(step, source, to, size, 2.0 * size)
    raise InternalError(f"no text for {step!r}")


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


def _state(program: Program, rule: RuleText | None) -> list[Field]:
    """The members of the state, weights first so that they are aligned."""
    fields: list[Field] = []
    slots = rule.slots if rule else ()
    backward = (s for s in program.backward if isinstance(s, Backward) and s.matrix.parts)
    turned = {s.matrix.name: s.panels.padded for s in backward}
    for m in program.matrices:
        what = f"{m.inputs} x {m.outputs}: {m.panels}, each of {m.inputs} rows"
        fields.append(Field(program.real, m.name, m.numbers, what))
        if m.copied:
            parts = f" in {m.parts} parts" if m.parts > 1 else ""
            pairs = (
                f"the same in bfloat16{parts}, {m.pairs} pairs of rows; the first of a pair in the lower half of a word"
            )
            fields.append(Field("uint32_t", f"{m.name}_pairs", max(m.parts, 1) * m.part_size, pairs))
        if m.name in turned:
            pairs = f"the same transposed, {16 * m.depth} pairs of rows"
            size = m.parts * 16 * m.depth * turned[m.name]
            fields.append(Field("uint32_t", f"{m.name}_transposed", size, pairs))
        if m.trainable:
            fields += [Field(program.real, f"{m.name}_{s}", m.numbers, f"{s} of the optimizer") for s in slots]
    for v in program.vectors:
        fields.append(Field(program.real, v.name, v.padded, f"{v.length}"))
        if v.trainable:
            fields += [Field(program.real, f"{v.name}_{s}", v.padded, f"{s} of the optimizer") for s in slots]
    for w in program.weights:
        if w.shape == ():
            fields.append(Field(program.real, w.name, 0, "a single weight"))
    if program.rule:
        fields += [Field("double", n, 0, "of the optimizer") for n in program.rule.hyper]
        fields.append(Field(program.real, "learning_rate", 0, "of the optimizer"))
        fields += [
            Field(program.real, n, 0, "of the optimizer, shared by all weights") for n, _ in program.rule.scalars
        ]
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
