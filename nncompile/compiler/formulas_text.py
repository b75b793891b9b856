"""Formulas as text: on tiles of products, on rows, on columns of a whole batch, for the templates."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ..errors import InternalError
from ..ops import PRIMITIVES, ROW, Expression
from .expression import ColumnWriter, Names, RowWriter, Writer, resolved, scalar, topological
from .program import (
    Columns,
    Formula,
    Operand,
    Program,
    Round,
    Tally,
)
from .records import ColumnsText, RoundText, TallyText, Text
from .updates_text import RuleText, UpdatesPrinter


def constant_name(buffer: str) -> str:
    return f"{buffer.upper()}_STRIDE"


class FormulasPrinter:
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
                "drawn",
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
            keys=tuple(dict.fromkeys(keys)),
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
        reserved = {"state", "b", "rows", "y", "w", "unit", "thread", "first", "last", "end", "count", "drawn"}
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
            keys=tuple(dict.fromkeys(keys)),
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
            "drawn",
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
            keys=tuple(dict.fromkeys(keys)),
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
            seed = f"state->noise_{number}_seed, drawing(w), {number}u"
            at = f"(drawn + {'r + i' if tile else 'r'}) * {width} + {column}"
            words = f"(uint32_t)key_{number}, (uint32_t)(key_{number} >> 32), (uint32_t)({at})"
            first = "const ptrdiff_t drawn = w->training ? 0 : (ptrdiff_t)w->position * (rows / w->samples);"
            return f"nn_uniform({words})", [first, f"const uint64_t key_{number} = nn_key({seed});"]
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
        return RoundText(rows_of(r.positions), tuple(summed.lines), sums, tuple(behind.lines), chains)

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


def rows_of(positions: int) -> str:
    """The rows of a batch, in C."""
    return f"w->samples * {positions}" if positions > 1 else "w->samples"
