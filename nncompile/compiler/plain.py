"""Formulas and numbers as plain C99, for files that stand alone.

The vocabulary's vectors have one lane in the form ``c99``. Printed with its functions a
formula would be full of loads, stores and broadcasts that do nothing; here it is printed
as a person would write it: ``y[c] = nn_max(y[c] + bias[c], 0.0f);``. The operations and
their order are those of the form ``c99``, so that both compute the same bits.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InternalError
from ..ops import ELEMENT, NUMBER, PRIMITIVES, ROW, UNIFORM, Expression
from .expression import Pass, RowWriter, Writer, literal, operands, resolved, topological

_COMPARE = {
    "equal": "==", "not_equal": "!=", "less": "<", "less_equal": "<=", "greater": ">", "greater_equal": ">=",
}  # fmt: skip
_JOIN = {"logical_and": "&&", "logical_or": "||"}
_ATOM, _COMPARED, _JOINED, _CHOICE = 4, 0, -1, -2
"""How tightly a text binds; sums, products and signs, which Writer prints, are 1, 2 and 3."""


_WISHES = {"matmul": "product", "reshape": "value", "symbol": "value"}
"""What a value that was stored before is called if its author did not name it."""


def _literal(value: float, real: str) -> str:
    """A number; infinity is one of the vocabulary, as <math.h> is not there."""
    if math.isnan(value):
        return "(0 * nn_infinity.number)"
    if math.isinf(value):
        return "-nn_infinity.number" if value < 0 else "nn_infinity.number"
    return literal(value, real)


class PlainWriter(Writer):
    """Prints expressions over numbers instead of vectors."""

    def value(self, x: Expression) -> str:
        return self._text(x)[0]

    def define(self, x: Expression, wish: str = "") -> str:
        x = resolved(x)
        known = x in self.known
        name = super().define(x, wish)
        if not known:
            kind = "int" if x.mask else self.real
            self.lines[-1] = re.sub(r"^const (vec|mask) ", f"const {kind} ", self.lines[-1])
        return name

    def _text(self, x: Expression) -> tuple[str, int]:
        x = resolved(x)
        if x in self.known:
            return self.known[x], _ATOM
        if x.op == "constant" and not math.isfinite(x.value):
            self.call("nn_infinity")
            return _literal(x.value, self.real), 3 if x.value < 0 else _ATOM
        if x.level <= UNIFORM and not x.mask:
            return super()._text(x)
        if x.op in _COMPARE:
            a, b = (self._inside(arg, _COMPARED + 1) for arg in x.args)
            return f"{a} {_COMPARE[x.op]} {b}", _COMPARED
        if x.op in _JOIN:
            a, b = (self._inside(arg, _COMPARED) for arg in x.args)
            return f"{a} {_JOIN[x.op]} {b}", _JOINED
        if x.op == "logical_not":
            return f"!{self._inside(x.args[0], _ATOM)}", 3
        if x.op in ("where", "cast"):
            condition = self._inside(x.args[0], _JOINED)
            if x.op == "cast":
                return f"{condition} ? {literal(1, self.real)} : {literal(0, self.real)}", _CHOICE
            a, b = (self._inside(arg, _JOINED) for arg in x.args[1:])
            return f"{condition} ? {a} : {b}", _CHOICE
        return super()._text(x)

    def _inside(self, x: Expression, least: int) -> str:
        """The text of an operand, in parentheses if it binds less tightly than ``least``."""
        text, binding = self._text(x)
        return text if binding >= least else f"({text})"


class PlainRows(RowWriter):
    """Prints a formula over a row as loops over its columns.

    Args:
        real: ``float`` or ``double``.
        width: number of columns.
        source: the leaf that lies where the result may be written; None if there is none.
        loads: for each leaf its C text at column ``c``.
        rows: for each leaf that is a value per row its C text.
        numbers: the weights that are single numbers.
        reserved: names already used in the function.

    Attributes:
        conflict: after :meth:`write` with ``row`` as the row that is written as well,
            whether the formula would have read what it had written over.
    """

    def __init__(
        self,
        real: str,
        width: int,
        source: Expression | None,
        loads: Mapping[Expression, str],
        rows: Mapping[Expression, str],
        numbers: Mapping[Expression, float],
        reserved: Iterable[str],
    ) -> None:
        super().__init__(real, width, 1, loads, rows, {}, reserved)
        self.numbers = {x: self._number(value) for x, value in numbers.items()}
        self.source, self.values = source, numbers
        self.conflict = self._written = False

    def _last(self, row_names: dict[Expression, str]) -> Writer:
        return PlainWriter(self.real, row_names, self.names, self.scalars, assigned=self.assigned)

    def constants(self) -> tuple[str, ...]:
        """Statements for the numbers that depend on no sample, computed here and now; called after :meth:`write`."""
        return tuple(
            f"const {self.real} {name} = {self._number(number(x, self.real, self.values))};"
            for x, name in self.scalars.items()
        )

    def _number(self, value: float) -> str:
        if not math.isfinite(value):
            self.functions.add("nn_infinity")
        return _literal(value, self.real)

    def _pass(
        self,
        number: int,
        reductions: Sequence[Expression],
        stores: Sequence[tuple[str, Expression]],
        keep: Sequence[Expression],
        storage: Mapping[Expression, str],
        row_names: dict[Expression, str],
    ) -> Pass:
        leaves = {**self.loads, **{x: f"{where}[c]" for x, where in storage.items() if x not in set(keep)}}
        roots = [resolved(x) for x in (*(r.args[0] for r in reductions), *(x for _, x in stores), *keep)]
        order = topological(roots, stop={*leaves, *row_names})  # what is behind a stored value is no part of this
        ahead = PlainWriter(self.real, row_names, self.names, self.scalars, assigned=self.assigned)
        for x in order:
            if x.level == ELEMENT and x not in leaves:
                for a in map(resolved, operands(x)):
                    if a.level == ROW and a.args and a not in row_names:
                        row_names[a] = ahead.define(a)
        order = topological(roots, stop={*leaves, *row_names})
        writer = PlainWriter(self.real, row_names, self.names, self.scalars, assigned=self.assigned)
        columns = any(x.op == "column" for x in order)
        writer.known.update({x: "column" for x in order if x.op == "column"})
        self._load(writer, order, roots, leaves, row_names, bool(keep))
        writer.shared(roots)
        before = list(ahead.lines)
        for x in keep:
            writer.lines.append(f"{storage[x]}[c] = {writer.define(x)};")
        for x in reductions:
            columns |= x.op == "argmax"
            row_names[x] = self._reduce(writer, before, x)
        for text, x in stores:
            writer.lines.append(text.format(writer.value(x)))
        self.functions |= writer.functions | ahead.functions
        self.conflict |= self._written and self.source in set(order)
        self._written |= bool(keep) or bool(stores)
        return Pass(tuple(before), tuple(writer.lines), (), False, columns)

    def _load(
        self,
        writer: PlainWriter,
        order: Sequence[Expression],
        roots: Sequence[Expression],
        leaves: Mapping[Expression, str],
        row_names: Mapping[Expression, str],
        early: bool,
    ) -> None:
        """Names what is used twice; with ``early`` stores everything, which must be read before."""
        used = Counter(roots)
        for x in order:
            if x not in leaves and x not in row_names and resolved(x) is x:
                used.update(map(resolved, operands(x)))
        for x in order:
            if x not in leaves:
                continue
            if early or used[x] > 1:
                wish = x.name or _WISHES.get(x.op) or getattr(x.value, "name", None) or "value"
                name = self.assigned.get(x) or self.names.new(wish)
                self.assigned[x] = name
                writer.lines.append(f"const {self.real} {name} = {leaves[x]};")
                writer.known[x] = name
            else:
                writer.known[x] = leaves[x]

    def _reduce(self, writer: PlainWriter, before: list[str], x: Expression) -> str:
        """Prints the accumulation of a reduction; returns the name of its result."""
        name = self.names.new(x.name or x.op)
        operand = writer.value(x.args[0])
        zero = literal(0, self.real)
        if x.op in ("sum", "prod"):
            before.append(f"{self.real} {name} = {zero if x.op == 'sum' else literal(1, self.real)};")
            writer.lines.append(f"{name} {'+' if x.op == 'sum' else '*'}= {operand};")
            return name
        lowest = ("" if x.op == "min" else "-") + f"{writer.call('nn_infinity')}.number"
        if x.op in ("max", "min"):
            before.append(f"{self.real} {name} = {lowest};")
            writer.lines.append(f"{name} = {writer.call('nn_' + x.op)}({name}, {operand});")
            return name
        if x.op != "argmax":
            raise InternalError(f"cannot print the reduction {x.op}")
        best, new = self.names.new(f"{name}_value"), self.names.new(f"{name}_new")
        before += [f"{self.real} {best} = {lowest};", f"{self.real} {name} = {zero};"]
        writer.lines += [
            f"const {self.real} {new} = {operand};",
            f"if ({new} > {best}) {{",
            f"    {best} = {new};",
            f"    {name} = column;",
            "}",
        ]
        return name


# ------------------------------------------------------------------ numbers known now

_FUNCTIONS: dict[str, Callable[..., float]] = {
    "power": math.pow, "sqrt": math.sqrt, "exp": math.exp, "log": math.log, "tanh": math.tanh, "expm1": math.expm1,
    "log1p": math.log1p, "erf": math.erf, "abs": abs, "round": round, "sin": math.sin, "cos": math.cos,
    "arctan": math.atan, "log2": math.log2, "erfc": math.erfc, "fmod": math.fmod,
    "sigmoid": lambda x: 1.0 / (1.0 + math.exp(-x)), "rsqrt": lambda x: 1.0 / math.sqrt(x),
}  # fmt: skip


def number(x: Expression, real: str, known: Mapping[Expression, float]) -> float:
    """The value of what depends on constants and single weights alone.

    The types are those of :func:`.expression.scalar`, whose C the form ``c99`` runs:
    Python's numbers are computed in double, what meets a weight in the element type.
    """
    x = resolved(x)
    if x in known:
        return known[x]
    if x.op == "constant":
        return float(x.value)
    if x.level > UNIFORM or x.op not in PRIMITIVES:
        raise InternalError(f"not a number: {x!r}")
    single = real == "float" and x.level > NUMBER
    kind: Any = np.float32 if single else np.float64
    args = [kind(number(a, real, known)) for a in x.args]
    function = _FUNCTIONS.get(x.op)
    with np.errstate(all="ignore"):
        if function is not None:
            try:
                return float(kind(function(*map(float, args))))
            except (ValueError, OverflowError, ZeroDivisionError):  # NaN and infinity, as in C
                pass
        return float(kind(PRIMITIVES[x.op].numpy(*args)))


# ------------------------------------------------------------------ tables of numbers

_INDENT = "    "
_MANY = 10_000
"""Tables of more numbers are read by no person, and are printed without blanks."""


def table(values: NDArray[Any], per_line: int) -> str:
    """The initializer of an array: every number in the fewest digits that give it back.

    Args:
        values: float32 or float64, of any shape.
        per_line: numbers on a line.

    Returns:
        Lines that end in commas, without the braces around them. NaN and infinity are the
        macros of ``<math.h>``.
    """
    flat = np.ascontiguousarray(values).ravel()
    single = flat.dtype == np.float32
    digits = _digits(flat) if single else np.full(flat.shape, 17, dtype=np.int8)
    digits[~np.isfinite(flat)] = 0
    # one format string for all numbers, made of few pieces, is many times faster than one per number
    suffix = "f" if single else ""
    pieces = ["" if n == 0 else f"%#.{n}g{suffix}" for n in range(18)]
    if not single:
        pieces[17] = "%r"
    blank = " " if flat.size < _MANY else ""
    choices = [f"{p},{blank}" for p in pieces] + [f"{p},\n{_INDENT}" for p in pieces]
    ends = np.zeros(flat.shape, dtype=np.int8)
    ends[per_line - 1 :: per_line] = len(pieces)
    choice = np.array(choices, dtype=object)[digits + ends]
    for i in np.flatnonzero(digits == 0).tolist():
        choice[i] = _special(float(flat[i]), single) + "%.0s" + choice[i]
    text = "".join(choice.tolist()) % tuple(flat.tolist())
    return _INDENT + text.rstrip()


def _special(value: float, single: bool) -> str:
    name = "NAN" if math.isnan(value) else "-INFINITY" if value < 0 else "INFINITY"
    return name if single else f"(double){name}" if name[0] != "-" else f"-(double){name[1:]}"


def _digits(x: NDArray[np.float32]) -> NDArray[np.int8]:
    """How many significant digits each number needs; 9 are always enough."""
    size = np.abs(x).astype(np.float64)
    digits = np.full(x.shape, 9, dtype=np.int8)
    with np.errstate(all="ignore"):
        power = np.floor(np.log10(size))
        # what is read back is the nearest number, so that the error may be half a step: a quarter at powers of
        # two, where the steps below are half as wide, and a little less, as it is computed in double
        mantissa, exponent = np.frexp(size)
        step = np.ldexp(1.0, np.maximum(exponent - 24, -149))
        limit = step * np.where((mantissa == 0.5) & (exponent > -125), 0.24999, 0.49999)
        for n in range(8, 0, -1):
            scale = 10.0 ** (n - 1 - power)
            digits[np.abs(np.rint(size * scale) / scale - size) <= limit] = n
        whole = (digits <= power + 1) & (power <= 7)  # 1.0 and not 1.
    digits[whole] = power[whole].astype(np.int8) + 2
    digits[size == 0] = 2
    return digits
