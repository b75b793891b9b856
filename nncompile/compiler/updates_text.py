"""What is done to weights, as text: rules, sweeps and the numbers of a step, for the templates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..errors import InternalError
from ..ops import UNIFORM, Expression
from .expression import IDENTITY, Names, Writer, literal, scalar, topological
from .memory import Matrix
from .weightwise import (
    Apply,
    Array,
    Between,
    Combine,
    Loop,
    Number,
    Optimization,
    Product,
    Rule,
    Sweep,
    Turn,
)


@dataclass(frozen=True)
class RuleText:
    """A rule, printed.

    Attributes:
        name: of the function in C.
        slots: what it works on beside ``w``.
        lines: statements for a vector of weights.
        held: the same for a step that only accumulates gradients; empty if there is none.
        takes_rates: whether they read the numbers of the step.
        suffix: behind the names of what is printed once for each rule that matrices have.
        sums: how many values are added up on the way.
    """

    name: str
    slots: tuple[str, ...]
    lines: tuple[str, ...]
    held: tuple[str, ...]
    takes_rates: bool
    suffix: str = ""
    sums: int = 0


@dataclass(frozen=True)
class OptimizerText:
    """The numbers of a step, printed.

    Attributes:
        rates: (name, C text) of the numbers computed once per step.
        scalars: (name, C text) of the shared numbers that each update changes.
        schedule: C text of the learning rate; empty if it is set from outside.
        applies: C text of whether the step updates weights; empty if each does.
        scaled: whether the loss is multiplied by ``loss_scale_factor``.
        powers: whether something is raised to the power of the step.
        rules: all of them.
        kernels: those that matrices have.
    """

    rates: tuple[tuple[str, str], ...]
    scalars: tuple[tuple[str, str], ...]
    schedule: str
    applies: str
    scaled: bool
    powers: bool
    rules: tuple[RuleText, ...]
    kernels: tuple[RuleText, ...]


@dataclass(frozen=True)
class LoopsText:
    """The statements of a sweep over a part of a panel: around its loops, per row, and for the vector at a column."""

    before: tuple[str, ...]
    row: tuple[str, ...]
    body: tuple[str, ...]
    row_end: tuple[str, ...]
    after: tuple[str, ...]


@dataclass(frozen=True)
class PartText:
    """A function in C that is a part of a formula over a weight.

    Attributes:
        kind: ``sweep``, ``between``, ``product`` or ``turn``.
        name: of the function.
        units: C text of how many units it has.
        cost: operations of all of it, about.
        step: the record of the program.
        whole: of a sweep, the loops over a panel of the full width, all of whose columns exist; None if there is none.
        loops: the loops over any panel.
        lines: the statements of what comes between sweeps.
    """

    kind: str
    name: str
    units: str
    cost: float
    step: Any
    whole: LoopsText | None = None
    loops: LoopsText | None = None
    lines: tuple[str, ...] = ()


@dataclass(frozen=True)
class ApplyText:
    """A formula over a whole weight, printed.

    Attributes:
        packs: the kernel whose copy in bfloat16 is made again after it; None if there is none.
    """

    step: Apply
    parts: tuple[PartText, ...]
    packs: Matrix | None = None
    kind: str = "apply"


_RESERVED = (
    "area", "at", "c", "column", "end", "figures", "first", "i", "inside", "k", "padded", "part", "piece", "rates",
    "rows", "state", "thread", "unit", "w", "width",
)  # fmt: skip


class UpdatesPrinter:
    """Prints what is done to weights, collecting the numbers of a step and the vocabulary.

    Args:
        optimization: what is printed.
        real: ``float`` or ``double``.
        lanes: of a vector.
        functions: receives the names of the vocabulary that are used.
    """

    def __init__(self, optimization: Optimization, real: str, lanes: int, functions: set[str]) -> None:
        self.optimization, self.real, self.lanes, self.functions = optimization, real, lanes, functions
        self.rates: dict[Expression, str] = {}
        self.powers = False
        self.rate_names = Names({"applies", "unused"})
        steps = optimization.accumulated
        self.count = "state->step" if steps == 1 else f"((state->step - 1) / {steps} + 1)"
        texts = {
            "step": f"({real}){self.count}",
            "iterations": f"({real})(state->step - 1)",
            "started": f"({real})({self.count} > 1)",
            "overwrites": f"({real})({self.count} % (int64_t)state->ema_overwrite_frequency == 0)",
        }
        self.numbers = {x: texts.get(n, f"state->{n}") for x, n in optimization.leaves}
        self.power = next((x for x, n in optimization.leaves if n == "step"), None) if real == "float" else None

    def _call(self, name: str) -> str:
        self.functions.add(name)
        return name

    def _writer(self, known: Mapping[Expression, str], names: Names) -> Writer:
        return Writer(self.real, known, names, self.rates, prefix="rates->", scalar_names=self.rate_names)

    def scalar(self, x: Expression, known: Mapping[Expression, str]) -> str:
        text = scalar(x, self.real, {**self.numbers, **known}, self.power, self.count)
        self.powers = self.powers or "nn_power_of_step(" in text
        return text

    # ---------------------------------------------------------------- rules

    def rules(self, kernels: Sequence[str]) -> dict[str, RuleText]:
        """The rules by name.

        Args:
            kernels: names of those that matrices have.
        """
        made = {}
        for rule in self.optimization.rules:
            lines = self._rule_lines(rule, rule.updates)
            held = self._rule_lines(rule, rule.held) if rule.held is not None else ()
            takes_rates = bool(held) or any("rates->" in line for line in lines)
            suffix = f"_{rule.name}" if rule.name in kernels[1:] else ""
            made[rule.name] = RuleText(rule.name, rule.slots, lines, held, takes_rates, suffix, len(rule.sums))
        return made

    def _rule_lines(self, rule: Rule, updates: Sequence[tuple[str, Expression]]) -> tuple[str, ...]:
        names = Names({"rates", "state", "sums", "w", "g", *rule.slots})
        known = dict(rule.leaves)
        used = set(topological([*(x for _, x in updates), *rule.sums]))
        lines = []
        for name in ("w", *rule.slots):
            if any(n == name and x in used for x, n in rule.leaves):
                lines.append(f"const vec {name} = {self._call('nn_load')}({name}_at);")
        writer = self._writer(known, names)
        writer.shared([*(x for _, x in updates), *rule.sums])
        for name, x in updates:
            writer.lines.append(f"{writer.call('nn_store')}({name}_at, {writer.value(x)});")
        for number, x in enumerate(rule.sums):
            place = f"sums + {number} * PANEL" if number else "sums"
            total = f"{writer.call('nn_load')}({place}) + {self._bracketed(writer.value(x))}"
            writer.lines.append(f"{writer.call('nn_store')}({place}, {total});")
        self.functions |= writer.functions
        return (*lines, *writer.lines)

    # ---------------------------------------------------------------- whole weights

    def apply(self, apply: Apply, matrices: Sequence[Matrix] = ()) -> ApplyText:
        """Prints a formula over a whole weight.

        Args:
            apply: the formula.
            matrices: of the network.
        """
        made = {Sweep: self._sweep, Between: self._between, Product: self._product, Turn: self._turn}
        parts = tuple(made[type(step)](step) for step in apply.steps)  # type: ignore[operator]
        written = {to.name for s in apply.steps if isinstance(s, Sweep) for to, _ in s.stores}
        return ApplyText(apply, parts, next((m for m in matrices if m.copied and m.name in written), None))

    def _base(self, array: Array) -> str:
        if array.name:
            return f"state->{array.name}"
        return f"figures + {array.offset}" if array.offset else "figures"

    def _sweep(self, sweep: Sweep) -> PartText:
        panel = sweep.panels.width
        whole = self._loops(sweep, False) if sweep.panels.full and sweep.columns >= panel else None
        loops = self._loops(sweep, sweep.panels.padded != sweep.columns)
        units = f"{sweep.panels.count} * pieces({sweep.rows}, UPDATE_ROWS)"
        cost = 10.0 * sweep.rows * sweep.columns
        return PartText("sweep", sweep.name, units, cost, sweep, whole, loops)

    def _loops(self, sweep: Sweep, masked: bool) -> LoopsText:
        """The statements of a sweep.

        Args:
            sweep: the sweep.
            masked: whether there may be columns that do not exist: they count in no reduction and are stored as 0.
        """
        names = Names(set(_RESERVED))
        known: dict[Expression, str] = {}
        before, row, body, row_end, after = ([] for _ in range(5))  # type: ignore[var-annotated]
        before += self._numbers(sweep.numbers, known, names)
        for x, array in sweep.leaves:
            name = known[x] = names.new(x.name or array.name or x.op)
            text, each = self._place(x, array, sweep)
            (row if each else body).append(f"const vec {name} = {text};")
        writer = self._writer(known, names)
        writer.shared([*(x for _, x in sweep.stores), *(r.value for r in sweep.reductions)])
        for array, x in sweep.stores:
            value = self._masked(writer.value(x), 0.0) if masked else writer.value(x)
            writer.lines.append(f"{writer.call('nn_store')}({self._address(array, sweep)}, {value});")
        for r in sweep.reductions:
            value = writer.value(r.value)
            identity = f"{self._call('nn_set')}({literal(IDENTITY[r.op], self.real)})"
            value = self._masked(value, IDENTITY[r.op]) if masked else value
            name = names.new(r.node.name or f"{r.op}_{r.axis}")
            if r.axis == "1":
                width = -(-sweep.rows // self.lanes) * self.lanes
                row.append(f"vec {name} = {identity};")
                writer.lines.append(self._term(r.op, name, value))
                total = f"{self._call(f'nn_{r.op}_lanes')}({name})"
                row_end.append(f"figures[{r.parts} + (ptrdiff_t)area.panel * {width} + k] = {total};")
                continue
            before += [f"vec {name}[PANEL / LANES];", "UNROLL for (int i = 0; i < PANEL / LANES; i++)"]
            before.append(f"    {name}[i] = {identity};")
            writer.lines.append(self._term(r.op, f"{name}[c / LANES]", value))
            if r.axis == "0":
                after += ["for (int c = 0; c < width; c += LANES)"]
                place = f"figures + {r.parts} + (ptrdiff_t)piece * {sweep.panels.padded} + column + c"
                after.append(f"    {self._call('nn_store')}({place}, {name}[c / LANES]);")
            else:
                after += ["UNROLL for (int i = 1; i < PANEL / LANES; i++)"]
                after.append(f"    {self._term(r.op, f'{name}[0]', f'{name}[i]')}")
                after.append(f"figures[{r.parts} + unit] = {self._call(f'nn_{r.op}_lanes')}({name}[0]);")
        body += writer.lines
        self.functions |= writer.functions
        if any("inside" in line for line in body):
            limit = f"{self._call('nn_set')}((real){sweep.columns})"
            place = f"{self._call('nn_iota')}() + {self._call('nn_set')}((real)(column + c))"
            body.insert(0, f"const mask inside = {self._call('nn_lt')}({place}, {limit});")
        if any("piece" in line for line in after):
            before.insert(0, f"const int piece = unit % pieces({sweep.rows}, UPDATE_ROWS);")
        return LoopsText(tuple(before), tuple(row), tuple(body), tuple(row_end), tuple(after))

    def _numbers(
        self, numbers: Sequence[tuple[Expression, int]], known: dict[Expression, str], names: Names
    ) -> list[str]:
        lines = []
        for x, at in numbers:
            known[x] = names.new(x.name or ("norm" if x.op == "sqrt" else x.op))
            lines.append(f"const real {known[x]} = figures[{at}];")
        return lines

    def _masked(self, value: str, other: float) -> str:
        return f"{self._call('nn_select')}(inside, {value}, {self._call('nn_set')}({literal(other, self.real)}))"

    def _term(self, op: str, target: str, value: str) -> str:
        if op != "sum":
            return f"{target} = {self._call(f'nn_{op}')}({target}, {value});"
        return f"{target} = {target} + {self._bracketed(value)};"

    @staticmethod
    def _bracketed(value: str) -> str:
        return f"({value})" if " " in value else value

    def _address(self, array: Array, sweep: Sweep) -> str:
        """The place of the vector at column c of row k."""
        if array.panels is not None:
            return f"{self._base(array)} + at + c"
        if sweep.rows == 1:
            return f"{self._base(array)} + column + c"
        return f"{self._base(array)} + (ptrdiff_t)k * {array.stride} + column + c"

    def _place(self, x: Expression, array: Array, sweep: Sweep) -> tuple[str, bool]:
        """The text that loads an array, and whether it is one number per row."""
        if x.op == "ones":
            return f"{self._call('nn_set')}(1)", True
        if x.op == "identity":
            place = f"{self._call('nn_iota')}() + {self._call('nn_set')}((real)(column + c))"
            hit = f"{self._call('nn_eq')}({place}, nn_set((real)k))"
            return f"{self._call('nn_select')}({hit}, nn_set(1), nn_set(0))", False
        if (array.rows, array.columns) == (sweep.rows, sweep.columns):
            return f"{self._call('nn_load')}({self._address(array, sweep)})", False
        base = self._base(array)
        if x.shape[-1] == 1:  # one number per row, or one alone
            place = "k" if len(x.shape) == 2 and x.shape[0] != 1 else "0"
            return f"{self._call('nn_set')}({f'({base})' if ' ' in base else base}[{place}])", True
        return f"{self._call('nn_load')}({base} + column + c)", False

    # ---------------------------------------------------------------- between sweeps

    def _between(self, between: Between) -> PartText:
        lines: list[str] = []
        for item in between.items:
            if isinstance(item, Number):
                known = {x: f"figures[{at}]" for x, at in item.numbers}
                lines.append(f"figures[{item.to}] = {self.scalar(item.value, known)};")
            elif isinstance(item, Combine):
                lines += self._combine(item)
            else:
                lines += self._loop(item)
        return PartText("between", between.name, "1", 0.0, between, lines=tuple(lines))

    def _combine(self, c: Combine) -> list[str]:
        if c.width == 1:
            if c.op == "sum":
                return [
                    "{",
                    "    double total = 0;",
                    f"    for (int i = 0; i < {c.count}; i++)",
                    f"        total += figures[{c.parts} + i];",
                    f"    figures[{c.to}] = (real)total;",
                    "}",
                ]
            most = f"{self._call(f'nn_{c.op}')}({self._call('nn_set')}(most), nn_set(figures[{c.parts} + i]))"
            return [
                "{",
                f"    real most = figures[{c.parts}];",
                f"    for (int i = 1; i < {c.count}; i++)",
                f"        most = {self._call('nn_first')}({most});",
                f"    figures[{c.to}] = most;",
                "}",
            ]
        load = self._call("nn_load")
        return [
            f"for (int c = 0; c < {c.width}; c += LANES) {{",
            f"    vec total = {load}(figures + {c.parts} + c);",
            f"    for (int i = 1; i < {c.count}; i++)",
            f"        {self._term(c.op, 'total', f'{load}(figures + {c.parts} + (ptrdiff_t)i * {c.width} + c)')}",
            f"    {self._call('nn_store')}(figures + {c.to} + c, total);",
            "}",
        ]

    def _loop(self, loop: Loop) -> list[str]:
        names = Names(set(_RESERVED))
        known: dict[Expression, str] = {}
        before = self._numbers(loop.numbers, known, names)
        body, after = [], []
        for x, array in loop.leaves:
            known[x] = names.new(x.name or array.name or x.op)
            base = self._base(array)
            alone = array.columns == 1 != loop.columns
            text = f"{self._call('nn_set')}(({base})[0])" if alone else f"{self._call('nn_load')}({base} + c)"
            body.append(f"const vec {known[x]} = {text};")
        writer = self._writer(known, names)
        values = [*(x for _, x in loop.stores), *(_operand(x) for x, _ in loop.reductions)]
        writer.shared(values)
        for array, x in loop.stores:
            writer.lines.append(f"{writer.call('nn_store')}({self._base(array)} + c, {writer.value(x)});")
        partial = loop.columns % self.lanes != 0
        for x, at in loop.reductions:
            op = str(x.value).split()[0]
            value = writer.value(_operand(x))
            name = names.new(x.name or op)
            before.append(f"vec {name} = {self._call('nn_set')}({literal(IDENTITY[op], self.real)});")
            writer.lines.append(self._term(op, name, self._masked(value, IDENTITY[op]) if partial else value))
            after.append(f"figures[{at}] = {self._call(f'nn_{op}_lanes')}({name});")
        body += writer.lines
        self.functions |= writer.functions
        if any("inside" in line for line in body):
            place = f"{self._call('nn_iota')}() + {self._call('nn_set')}((real)c)"
            limit = f"{self._call('nn_set')}((real){loop.columns})"
            body.insert(0, f"const mask inside = {self._call('nn_lt')}({place}, {limit});")
        inner = [
            f"    for (int c = 0; c < {loop.columns}; c += LANES) {{",
            *(f"        {line}" for line in body),
            "    }",
        ]
        return ["{", *(f"    {line}" for line in before), *inner, *(f"    {line}" for line in after), "}"]

    def _product(self, p: Product) -> PartText:
        units = f"{p.panels.count} * pieces({p.to.rows}, FORWARD_ROWS)"
        return PartText("product", p.name, units, 2.0 * p.to.rows * p.inner * p.panels.padded, p)

    def _turn(self, t: Turn) -> PartText:
        units = f"pieces({t.source.rows}, SOME_ROWS)"
        return PartText("turn", t.name, units, 8.0 * t.source.rows * t.source.columns, t)

    # ---------------------------------------------------------------- the numbers of a step

    def optimizer(self, rules: Mapping[str, RuleText], kernels: Sequence[str]) -> OptimizerText:
        """The numbers of a step; once all else is printed, which finds them.

        Args:
            rules: by name.
            kernels: names of those that matrices have.
        """
        o = self.optimization
        after = {x: f"state->{n}" for n, x in o.scalar_updates}
        rates = tuple((name, self.scalar(x, after)) for x, name in self.rates.items())
        shared = tuple((n, self.scalar(x, {})) for n, x in o.scalar_updates)
        schedule = self.scalar(o.schedule, {}) if o.schedule is not None else ""
        return OptimizerText(
            rates=rates,
            scalars=shared,
            schedule=schedule,
            applies=f"state->step % {o.accumulated} == 0" if o.accumulated > 1 else "",
            scaled=any(name == "loss_scale_factor" for name, *_ in o.numbers),
            powers=self.powers,
            rules=tuple(rules.values()),
            kernels=tuple(rules[name] for name in kernels),
        )


def _operand(x: Expression) -> Expression:
    if x.level > UNIFORM or not x.args:
        raise InternalError(f"not a reduction to a number: {x!r:.100}")
    return x.args[0]


__all__ = ["ApplyText", "LoopsText", "OptimizerText", "PartText", "RuleText", "UpdatesPrinter"]
