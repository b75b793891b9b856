"""Formulas as data: trace, differentiate, schedule into passes over a row, print as C.

The nodes themselves, with the rules that simplify them, are in :mod:`nncompile.ops`.
"""

from __future__ import annotations

import keyword
import re
import sys
import weakref
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

import numpy as np

from .. import ops
from ..errors import InternalError, ModelError, NncompileError, line_of_user
from ..ops import ELEMENT, NUMBER, PRIMITIVES, ROW, UNIFORM, Expression, weights
from ..ops.batch import batch_sum

BOUNDARY = ("matmul", "dot", "reshape", "arrange", "take", "row", "batch_mean")
"""Operations that reach beyond one row: where they are, formulas end and begin."""
_OF_WEIGHTS = ("over", "view", "product", "transposed")
"""Operations on whole weights, of which the module ops.weights knows the gradients."""
_TRANSPARENT = ("expand", "custom", "stop_gradient")
_VAGUE = ("x", "x1", "x2", "inputs", "outputs", "result", "value", "self", "y", "features")
"""Names of local variables that say nothing about a value."""

# ------------------------------------------------------------------ trace


def trace(formula: Callable[..., Any], *args: Any, **keywords: Any) -> Any:
    """Calls ``formula`` with symbols and notes what its local variables are called.

    The names make the printed C read like the formula. They are taken from the frames
    of the formula and of the formulas that it calls as these return.

    Raises:
        ModelError: it does what no formula can; the message ends with the user's line that is the cause. So it is
            for errors of Python which come from a symbol being no array.
    """
    ours = (__name__, weakref.__name__)
    readable = ("softmax", "log_softmax", "logsumexp")  # of the module ops, those that are formulas themselves

    def note(frame: FrameType, event: str, _: Any) -> None:
        if event != "return":
            return
        module = str(frame.f_globals.get("__name__"))
        if (module in ours or module.startswith(f"{ops.__name__}.")) and frame.f_code.co_name not in readable:
            return
        for name, value in frame.f_locals.items():
            if isinstance(value, Expression) and value.args and name.isascii() and name not in _VAGUE:
                inner = resolved(value)
                if not inner.name and inner.args and not inner.mask:
                    inner.name = name

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        return formula(*args, **keywords)
    except NncompileError as error:
        line = _line(error)
        if line and line not in str(error):
            error.args = (f"{error}{line}", *error.args[1:])
        raise
    except (AttributeError, IndexError, TypeError) as error:
        line = _line(error)
        if not line:
            raise
        raise ModelError(
            f"A formula is called with symbols, once: they have axes, but no numbers and no number of rows, which is "
            f"None. {type(error).__name__}: {str(error).removesuffix(line)}{line}"
        ) from error
    finally:
        enable = getattr(before, "enable", None)
        if enable is not None:  # cProfile's, which setprofile does not take back
            enable()
        else:
            sys.setprofile(before)


def _line(error: Exception) -> str:
    """The user's line within the formula that is traced; nothing if the formula is one of ours."""
    inside = error.__traceback__ and error.__traceback__.tb_next
    return line_of_user(inside) if inside is not None else ""


def resolved(x: Expression) -> Expression:
    """The node that computes ``x``: past those that only change how it is seen."""
    while x.op in _TRANSPARENT:
        x = x.args[0]
    return x


def operands(x: Expression) -> tuple[Expression, ...]:
    """What the value of ``x`` is computed from."""
    return (x.args[0],) if x.op in _TRANSPARENT else x.args


def topological(roots: Iterable[Expression], stop: Iterable[Expression] = ()) -> list[Expression]:
    """All nodes that ``roots`` are computed from, operands first; ``stop`` are taken as leaves."""
    stops = set(stop)
    order: list[Expression] = []
    seen: set[Expression] = set()
    stack = [(root, False) for root in reversed(list(roots))]
    while stack:
        x, ready = stack.pop()
        if ready:
            order.append(x)
        elif x not in seen:
            seen.add(x)
            stack.append((x, True))
            if x not in stops:
                stack.extend((a, False) for a in reversed(x.args if x.op == "custom" else operands(x)))
    return order


def depends(root: Expression, on: Iterable[Expression]) -> bool:
    """Whether ``root`` is computed from one of ``on``."""
    return not set(on).isdisjoint(topological([root]))


# ------------------------------------------------------------------ differentiate


def differentiate(
    root: Expression, seed: Expression, wanted: Sequence[Expression], leaves: Iterable[Expression] = ()
) -> list[Expression | None]:
    """Reverse mode: the gradients of ``wanted`` given the gradient ``seed`` of ``root``.

    Args:
        root: a formula.
        seed: the gradient of some total with respect to it.
        wanted: nodes that it is computed from, taken as independent of each other.
        leaves: other values that are known, taken as constants.

    Returns:
        For each an expression, or None where the total does not depend on it. The
        gradient of a weight of one number per feature is per row, as is that of a single
        number; the total is the sum over the rows.
    """
    gradients: dict[Expression, Expression] = {_strip(root): _strip(seed)}
    stops = {*wanted, *leaves}
    order = topological([_strip(root)], stop=stops)
    active = set(wanted)
    for x in order:
        if x not in stops and any(a in active for a in x.args):
            active.add(x)
    for x in reversed(order):
        g = gradients.get(x)
        if g is None or not x.args or x in stops or x not in active:
            continue
        for operand, part in zip(x.args, _gradients(x, g), strict=True):
            if part is None or operand not in active:
                continue
            part = _strip(part)
            # a formula over weights alone, unless it is part of one over rows: then the rows are summed up later
            if x.op not in _OF_WEIGHTS and weights.is_weight(x) and None not in part.shape:
                part = weights.summed_to(part, operand, x.shape)
            if operand.level in (ROW, UNIFORM) and x.level == ELEMENT:  # it counts in every column
                summed = part.level == ELEMENT
                part = ops.sum(part, axis=-1, keepdims=True) if summed else part * float(x.shape[-1] or 1)
                part = _strip(part)
            before = gradients.get(operand)
            total = part if before is None else _wide(before) + _wide(part)
            gradients[operand] = _strip(total)
    return [gradients.get(_strip(w)) for w in wanted]


def _gradients(x: Expression, g: Expression) -> tuple[Expression | None, ...]:
    wide = _wide(g)
    if x.op == "expand":
        return (g,)
    if x.op == "custom":
        parts = x.value(wide)
        return (None, *(parts if isinstance(parts, (tuple, list)) else (parts,)))
    if x.op in _OF_WEIGHTS:
        return weights.gradients(x, g)
    if x.op == "batch_sum":
        return (batch_sum(g),)
    if x.op in BOUNDARY:
        raise InternalError(f"differentiate: {x.op} is not part of a formula")
    rule = PRIMITIVES[x.op].gradient
    if rule is None:
        return (None,) * len(x.args)
    return rule(wide, _wide(x), *map(_wide, x.args))


def _strip(x: Expression) -> Expression:
    return x.args[0] if x.op == "expand" else x


def _wide(x: Expression) -> Expression:
    wide: Expression = ops.expand_dims(x, -1) if x.level == ROW else x
    return wide


# ------------------------------------------------------------------ print


@dataclass
class Names:
    """Gives each value of a C function a name of its own."""

    taken: set[str] = field(default_factory=set)

    def new(self, wish: str) -> str:
        wish = identifier(wish)
        name, count = wish, 1
        while name in self.taken:
            count += 1
            name = f"{wish}_{count}"
        self.taken.add(name)
        return name


_C_WORDS = frozenset(
    """
    auto break case char const continue default do double else enum extern float for goto if inline int long register
    restrict return short signed sizeof static struct switch typedef union unsigned void volatile while
    alignas alignof bool complex imaginary noreturn generic atomic asm typeof main real vec mask
    and or not xor bitand bitor compl catch class delete explicit export false friend mutable namespace new operator
    private protected public template this throw true try typename using virtual wchar_t nullptr constexpr decltype
    noexcept concept requires int32_t int64_t uint32_t uint64_t ptrdiff_t size_t linux unix i386
    """.split()
)
"""Words of C, C++ and of our own that cannot be a name, and macros that gcc defines in lower case."""


def identifier(text: str) -> str:
    """A C identifier that looks like ``text``, whatever that is."""
    name = re.sub(r"[^0-9A-Za-z_]+", "_", text.encode("ascii", "replace").decode().replace("?", "_"))
    name = re.sub(r"_+", "_", name).strip("_")[:40].strip("_").lower()
    name = re.sub(r"^(nn_)+", "", name) or "value"  # names with nn_ are those of the vocabulary
    if name[0].isdigit() or name in _C_WORDS or keyword.iskeyword(name):
        name = f"x{name}" if name[0].isdigit() else f"{name}_"
    return name


def literal(value: float, real: str) -> str:
    """A C constant of the element type, exact after rounding to it."""
    if real == "double":
        number = repr(float(value))
        suffix = ""
    elif abs(value) >= 3.4028235677973366e38 and np.isfinite(value):  # halfway to the next, which is infinite
        return literal(float("inf") if value > 0 else -float("inf"), real)
    else:
        number = str(np.float32(value))
        suffix = "f"
    if number in ("inf", "-inf", "nan"):
        sign = "-" if number[0] == "-" else ""
        return f"{sign}NN_INFINITY" if "inf" in number else "NN_NAN"
    return (number if any(c in number for c in ".e") else number + ".0") + suffix


_INFIX = {"add": 1, "subtract": 1, "multiply": 2, "divide": 2, "negative": 3}


@dataclass(frozen=True)
class Code:
    """Statements of C, and what they need around them.

    Attributes:
        lines: the statements.
        functions: names of the vocabulary that they call.
    """

    lines: tuple[str, ...]
    functions: frozenset[str]


class Writer:
    """Prints expressions as statements over the vocabulary of vector.h.

    Args:
        real: ``float`` or ``double``.
        leaves: what each leaf, and each value computed elsewhere, is called in C.
        names: the names already used in the function.
        scalars: receives each value that depends on no row and its name, for the caller
            to compute ahead of the loop.
        prefix: what stands before those names, for example ``rates->``.
        assigned: names given so far, for values that are computed in several scopes.
        scalar_names: the names already used among ``scalars``, if these are apart from the function's.
    """

    def __init__(
        self,
        real: str,
        leaves: Mapping[Expression, str],
        names: Names,
        scalars: dict[Expression, str] | None = None,
        prefix: str = "",
        assigned: dict[Expression, str] | None = None,
        scalar_names: Names | None = None,
    ) -> None:
        self.real = real
        self.scalar_names = scalar_names or names
        self.assigned = assigned if assigned is not None else {}
        self.known: dict[Expression, str] = dict(leaves)
        self.names = names
        self.scalars = scalars if scalars is not None else {}
        self.prefix = prefix
        self.lines: list[str] = []
        self.functions: set[str] = set()

    def call(self, function: str) -> str:
        self.functions.add(function)
        return function

    def value(self, x: Expression) -> str:
        """The text of an operand that must be a vector."""
        text, _ = self._text(x)
        return text if self._is_vector(x) else f"{self.call('nn_set')}({text})"

    def define(self, x: Expression, wish: str = "") -> str:
        """Prints ``const vec name = …;`` unless ``x`` has a name already; returns the name."""
        x = resolved(x)
        if x in self.known:
            return self.known[x]
        text = self.value(x)
        name = self.assigned.get(x) or self.names.new(wish or x.name or _default_name(x))
        self.assigned[x] = name
        kind = "mask" if x.mask else "vec"
        self.lines.append(f"const {kind} {name} = {text};")
        self.known[x] = name
        return name

    def shared(self, roots: Sequence[Expression], ready: Callable[[Expression], bool] | None = None) -> None:
        """Defines all values under ``roots`` that are used more than once or that their author named."""
        uses: dict[Expression, int] = {}
        order: list[Expression] = []
        seen: set[Expression] = set()

        def visit(x: Expression) -> None:
            x = resolved(x)
            if x in self.known or x.level <= UNIFORM:
                return
            uses[x] = uses.get(x, 0) + 1
            if x not in seen:
                seen.add(x)
                for a in operands(x):
                    visit(a)
                order.append(x)

        for root in roots:
            visit(root)
        for x in order:
            if x.args and (uses[x] > 1 or x.name) and (ready is None or ready(x)):
                self.define(x)

    def _is_vector(self, x: Expression) -> bool:
        return x.mask or x.level > UNIFORM

    def _text(self, x: Expression) -> tuple[str, int]:
        """The text of an expression and how tightly it binds."""
        x = resolved(x)
        if x in self.known:
            return self.known[x], 4
        if x.op == "constant":
            text = literal(x.value, self.real)
            return text, 3 if text.startswith("-") else 4
        if x.level <= UNIFORM and not x.mask:
            if x not in self.scalars:
                wish = x.name or _default_name(x)
                self.scalars[x] = self.scalar_names.new(f"{wish}_value" if wish in _MATH.values() else wish)
            return self.prefix + self.scalars[x], 4
        if x.op == "column":
            raise InternalError("a formula uses the number of its column where there is none")
        if x.op == "view":  # of a vector, whose numbers lie as they are
            return self._text(x.args[0])
        if x.op in _INFIX:
            return self._infix(x)
        if x.op not in PRIMITIVES:
            raise InternalError(f"cannot print {x.op} here: {x!r}")
        if PRIMITIVES[x.op].c == "{}":
            return self._text(x.args[0])
        arguments = ", ".join(self.value(a) for a in x.args)
        return f"{self.call(PRIMITIVES[x.op].c)}({arguments})", 4

    def _infix(self, x: Expression) -> tuple[str, int]:
        binding = _INFIX[x.op]
        if x.op == "negative":
            text, inner = self._text(x.args[0])
            return (f"-{text}" if inner > binding else f"-({text})"), binding
        left, right = x.args
        parts = []
        for side, operand in enumerate((left, right)):
            text, inner = self._text(operand)
            if not (self._is_vector(left) or self._is_vector(right)):
                raise InternalError("a number was left inside a formula")
            tight = inner > binding or (inner == binding and side == 0)
            parts.append(text if tight else f"({text})")
        return PRIMITIVES[x.op].c.format(*parts), binding


def _default_name(x: Expression) -> str:
    """A name for a value that its author did not name: ``one_minus_beta_1``, ``exp_1``."""
    if x.op == "subtract" and x.args[0].op == "constant" and x.args[0].value == 1 and x.args[1].name:
        return f"one_minus_{x.args[1].name}"
    short = {"multiply": "product", "divide": "ratio", "add": "total", "subtract": "difference", "where": "choice"}
    return short.get(x.op, x.op)


_MATH = {"power": "pow", "sqrt": "sqrt", "exp": "exp", "log": "log", "tanh": "tanh", "expm1": "expm1",
         "log1p": "log1p", "erf": "erf", "abs": "fabs", "floor": "floor", "maximum": "fmax", "minimum": "fmin",
         "round": "rint", "sin": "sin", "cos": "cos", "arctan": "atan", "exp2": "exp2", "log2": "log2", "erfc": "erfc",
         "copysign": "copysign", "fmod": "fmod"}  # fmt: skip
"""Functions of <math.h> for what is computed once per step."""


def scalar(
    x: Expression,
    real: str,
    known: Mapping[Expression, str],
    step: Expression | None = None,
    count: str = "state->step",
) -> str:
    """The text of a value that depends on no row, over plain C and <math.h>.

    Python numbers are computed in double; what meets the step or the learning rate in
    the element type: NumPy's and JAX's weak typing, which Keras' update rules rely on.

    Args:
        x: the value.
        real: ``float`` or ``double``.
        known: the text of each leaf.
        step: the number of the step, if powers of it are to be computed by ``nn_power_of_step``.
        count: the text of that number as an integer.
    """
    x = resolved(x)
    if x in known:
        return known[x]
    if x.op == "constant":
        return repr(float(x.value))
    if x.level > UNIFORM or x.op not in PRIMITIVES:
        raise InternalError(f"not a number: {x!r}")
    kind = real if x.level == UNIFORM else "double"

    def operand(a: Expression) -> str:
        text = literal(a.value, kind) if a.op == "constant" else scalar(a, real, known, step, count)
        cast = kind == "float" and a.level == NUMBER and a.op != "constant"
        return f"(float){text}" if cast else text

    arguments = [operand(a) for a in x.args]
    if x.op == "power" and step is not None and resolved(x.args[1]) is step:
        return f"({kind})nn_power_of_step({arguments[0]}, {count})"
    if x.op in _MATH:
        return f"({kind}){_MATH[x.op]}({', '.join(arguments)})"
    if x.op in _INFIX:
        return f"({PRIMITIVES[x.op].c.format(*arguments)})"
    compare = {"less": "<", "less_equal": "<=", "greater": ">", "greater_equal": ">=", "equal": "==", "not_equal": "!="}
    if x.op in compare:
        return f"({arguments[0]} {compare[x.op]} {arguments[1]})"
    if x.op == "where":
        return f"({arguments[0]} ? {arguments[1]} : {arguments[2]})"
    if x.op in ("logical_and", "logical_or"):
        return f"({arguments[0]} {'&&' if x.op == 'logical_and' else '||'} {arguments[1]})"
    if x.op == "logical_not":
        return f"!{arguments[0]}"
    if x.op == "sign":
        return f"({kind})(({arguments[0]} > 0) - ({arguments[0]} < 0))"
    if x.op == "cast":
        return f"({kind}){arguments[0]}"
    if x.op == "sigmoid":
        return f"({kind})(1.0 / (1.0 + exp(-{arguments[0]})))"
    if x.op == "rsqrt":
        return f"({kind})(1.0 / sqrt({arguments[0]}))"
    raise ModelError(f"ops.{x.op} cannot be used on hyper-parameters and the step alone.")


def number_nodes(roots: Iterable[Expression]) -> list[Expression]:
    """The leaves among ``roots`` that are hyper-parameters or the step."""
    return [x for x in topological(roots) if not x.args and x.level <= UNIFORM and x.op != "constant"]


# ------------------------------------------------------------------ passes over a row


@dataclass(frozen=True)
class Pass:
    """One loop over the columns of a row.

    Attributes:
        before: statements ahead of the loop: accumulators.
        body: statements for the vector at column ``c``.
        after: statements behind it: what the reductions came to.
        masked: whether the body needs ``inside``, the mask of columns that exist.
        columns: whether it needs ``column``, the numbers of the columns.
    """

    before: tuple[str, ...]
    body: tuple[str, ...]
    after: tuple[str, ...]
    masked: bool
    columns: bool


@dataclass(frozen=True)
class RowCode:
    """A formula over one row, as C.

    Attributes:
        passes: the loops, in order.
        scratch: names of arrays of one row that must exist.
        final: statements after the last loop.
        scalars: (name, C text) of the numbers to compute ahead of all rows.
        functions: names of the vocabulary that are called.
    """

    passes: tuple[Pass, ...]
    scratch: tuple[str, ...]
    final: tuple[str, ...]
    scalars: tuple[tuple[str, str], ...]
    functions: frozenset[str]


IDENTITY = {"sum": 0.0, "prod": 1.0, "max": -float("inf"), "min": float("inf"), "argmax": -float("inf")}
_JOINED_BY = {"sum": "+", "prod": "*"}
_KEEP_COST = 8
"""A value that costs more instructions than this is kept for a later pass, not computed again."""


class RowWriter:
    """Schedules a formula over rows of ``width`` columns into passes and prints them.

    Args:
        real: ``float`` or ``double``.
        width: number of columns.
        lanes: elements in a vector.
        loads: for each element leaf the C text that loads the vector at column ``c``.
        rows: for each row leaf the C text of its vector, the same number in all lanes.
        numbers: C texts of numbers: those of level UNIFORM have the element type, those of
            level NUMBER are double.
        reserved: names already used in the function.
    """

    def __init__(
        self,
        real: str,
        width: int,
        lanes: int,
        loads: Mapping[Expression, str],
        rows: Mapping[Expression, str],
        numbers: Mapping[Expression, str],
        reserved: Iterable[str] = (),
    ) -> None:
        self.real, self.width, self.partial = real, width, width % lanes != 0
        self.loads, self.rows, self.numbers = loads, rows, numbers
        self.names = Names({"c", "r", "column", "inside", *reserved})
        self.scalars: dict[Expression, str] = {}
        self.functions: set[str] = set()
        self.assigned: dict[Expression, str] = {}
        self.stages: dict[Expression, int] = {}

    def stage(self, x: Expression) -> int:
        """The first pass in which an element value, or after which a row value, can be had."""
        x = resolved(x)
        if x not in self.stages:
            inner = max((self.stage(a) for a in operands(x)), default=0)
            self.stages[x] = inner + 1 if x.op in PRIMITIVES and PRIMITIVES[x.op].kind == "reduce" else inner
        return self.stages[x]

    def write(
        self,
        stores: Sequence[tuple[str, Expression]],
        results: Sequence[tuple[str, Expression]],
        spare: str = "",
    ) -> RowCode:
        """Prints the formula.

        Args:
            stores: (C text of the statement with ``{}`` for the vector, element value).
            results: (C text of the statement with ``{}`` for the vector, row value).
            spare: C name of a row of memory that is written by the last pass only, to be
                used for values kept between passes.
        """
        roots = [resolved(x) for _, x in (*stores, *results)]
        # without recursion first, so that long chains of formulas do not overflow the stack
        ends = [*self.loads, *self.rows, *self.numbers]
        for x in ends:
            self.stages[x] = 0
        order = topological(roots, ends)
        for x in order:
            self.stage(x)
        stored = set(ends)
        reductions = [x for x in order if x.op in PRIMITIVES and PRIMITIVES[x.op].kind == "reduce" and x not in stored]
        loops = [self.stage(x) for _, x in stores] + [self.stage(x.args[0]) for x in reductions]
        last = max(loops, default=-1)
        kept, keep_at = self._kept(stores, reductions, last)
        storage: dict[Expression, str] = {}
        for x in kept:
            if spare and spare not in storage.values() and self._spare_is_free(stores, last):
                storage[x] = spare
            else:
                storage[x] = self.names.new(f"{x.name or 'kept'}_row")
        row_names: dict[Expression, str] = dict(self.rows)
        row_names.update({x: text for x, text in self.numbers.items() if x.level == UNIFORM})
        passes = []
        for number in range(last + 1):
            here = [x for x in reductions if self.stage(resolved(x.args[0])) == number]
            out = [(text, x) for text, x in stores if self.stage(x) == number]
            keep = [x for x in kept if keep_at[x] == number]
            if here or out or keep:
                passes.append(self._pass(number, here, out, keep, storage, row_names))
        final = self._last(row_names)
        final.shared([x for _, x in results])
        for text, x in results:
            final.lines.append(text.format(final.value(x)))
        self.functions |= final.functions
        scalars = tuple((name, scalar(x, self.real, self.numbers)) for x, name in self.scalars.items())
        scratch = tuple(dict.fromkeys(s for s in storage.values() if s != spare))
        return RowCode(tuple(passes), scratch, tuple(final.lines), scalars, frozenset(self.functions))

    def _last(self, row_names: dict[Expression, str]) -> Writer:
        """What prints the statements behind the last loop."""
        return Writer(self.real, row_names, self.names, self.scalars)

    def _spare_is_free(self, stores: Sequence[tuple[str, Expression]], last: int) -> bool:
        return all(self.stage(x) == last for _, x in stores)

    def _kept(
        self, stores: Sequence[tuple[str, Expression]], reductions: Sequence[Expression], last: int
    ) -> tuple[list[Expression], dict[Expression, int]]:
        """Element values of an early pass that a later pass should load, not compute again."""
        wanted: dict[Expression, int] = {}
        for number in range(last + 1):
            roots = [resolved(x.args[0]) for x in reductions if self.stage(resolved(x.args[0])) == number]
            roots += [resolved(x) for _, x in stores if self.stage(x) == number]
            stack = list(roots)
            seen: set[Expression] = set()
            while stack:
                x = resolved(stack.pop())
                if x in seen or x.level != ELEMENT or x in self.loads:
                    continue
                seen.add(x)
                early = self.stage(x) < number and not x.mask and x.op in PRIMITIVES
                if early and (x in wanted or self._own_cost(x) > _KEEP_COST):
                    wanted.setdefault(x, self.stage(x))
                    continue
                stack.extend(operands(x))
        return list(wanted), wanted

    def _own_cost(self, x: Expression) -> int:
        """The cost of the dearest operation that would have to be done again."""
        nodes = [n for n in topological([x], self.loads) if n.level == ELEMENT and n.op in PRIMITIVES]
        return max((PRIMITIVES[n.op].cost for n in nodes if self.stage(n) == self.stage(x)), default=0)

    def _pass(
        self,
        number: int,
        reductions: Sequence[Expression],
        stores: Sequence[tuple[str, Expression]],
        keep: Sequence[Expression],
        storage: Mapping[Expression, str],
        row_names: dict[Expression, str],
    ) -> Pass:
        leaves, kept = dict(self.loads), set(keep)
        for x, where in storage.items():
            if x not in kept:
                leaves[x] = self._kept_value(where)
        roots = [resolved(x.args[0]) for x in reductions] + [resolved(x) for _, x in stores] + list(keep)
        order = topological(roots, stop=[*leaves, *row_names])  # what is behind a stored value is no part of this
        ahead = Writer(self.real, row_names, self.names, self.scalars, assigned=self.assigned)
        for x in order:
            if x.level == ELEMENT and x not in leaves:
                for a in map(resolved, operands(x)):
                    if a.level == ROW and a.args and a not in row_names:
                        row_names[a] = ahead.define(a)
        writer = Writer(self.real, row_names, self.names, self.scalars, assigned=self.assigned)
        columns = False
        for x in order:
            if x in leaves and x not in writer.known:
                wish = x.name or (x.value.name if x.op == "weight" else x.op)
                name = self.assigned.get(x) or self.names.new(wish)
                self.assigned[x] = name
                writer.lines.append(f"const vec {name} = {leaves[x]};")
                writer.known[x] = name
            elif x.op == "column":
                writer.known[x] = "column"
                columns = True
        writer.shared(roots)
        before, after = ahead.lines, list[str]()
        for x in keep:
            writer.lines.append(self._keep(writer, storage[x], writer.define(x)))
        for x in reductions:
            columns = columns or x.op == "argmax"
            row_names[x] = self._reduction(writer, x, before, after)
        for text, x in stores:
            value = writer.value(x)
            if self.partial and text.startswith("nn_store("):  # what lies behind the last column stays zero
                value = f"{writer.call('nn_select')}(inside, {value}, {writer.call('nn_set')}({literal(0, self.real)}))"
            writer.lines.append(text.format(value))
        self.functions |= writer.functions | ahead.functions
        masked = any("inside" in line for line in writer.lines)
        if masked or columns:
            self.functions |= {"nn_iota", "nn_set"} | ({"nn_lt"} if masked else set())
        return Pass(tuple(before), tuple(writer.lines), tuple(after), masked, columns or masked)

    def _kept_value(self, where: str) -> str:
        """The text of a vector that an earlier pass kept."""
        self.functions.add("nn_load")
        return f"nn_load({where} + c)"

    def _keep(self, writer: Writer, where: str, value: str) -> str:
        """The statement that keeps a vector for later passes."""
        return f"{writer.call('nn_store')}({where} + c, {value});"

    def _reduction(self, writer: Writer, x: Expression, before: list[str], after: list[str]) -> str:
        """Prints a reduction: its beginning, its part of the body and its result, whose name is returned."""
        operand = writer.value(x.args[0])
        identity = f"{writer.call('nn_set')}({literal(IDENTITY[x.op], self.real)})"
        if self.partial:
            operand = f"{writer.call('nn_select')}(inside, {operand}, {identity})"
        name = self.names.new(x.name or x.op)
        so_far = self.names.new(f"{name}_lanes")
        before.append(f"vec {so_far} = {identity};")
        if x.op == "argmax":
            at = self._track(writer, name, so_far, operand, before)
            result = f"{writer.call('nn_argmax_lanes')}({so_far}, {at})"
        else:
            writer.lines.append(self._term(writer, x.op, so_far, operand))
            result = f"{writer.call(f'nn_{x.op}_lanes')}({so_far})"
        after.append(f"const vec {name} = {writer.call('nn_set')}({result});")
        return name

    def _term(self, writer: Writer, op: str, so_far: str, operand: str) -> str:
        """The statement that takes a vector into a sum, a product or an extreme."""
        if op not in _JOINED_BY:
            return f"{so_far} = {writer.call(f'nn_{op}')}({so_far}, {operand});"
        term = f"({operand})" if " " in operand else operand  # what is summed is rounded as one number
        return f"{so_far} = {so_far} {_JOINED_BY[op]} {term};"

    def _track(self, writer: Writer, name: str, largest: str, operand: str, before: list[str]) -> str:
        """Prints how the column of the largest so far is kept, the first of equals; returns its name."""
        at, new, better = (self.names.new(f"{name}_{s}") for s in ("at", "new", "better"))
        before.append(f"vec {at} = {writer.call('nn_set')}({literal(0, self.real)});")
        writer.lines += [
            f"const vec {new} = {operand};",
            f"const mask {better} = {writer.call('nn_gt')}({new}, {largest});",
            f"{largest} = {writer.call('nn_select')}({better}, {new}, {largest});",
            f"{at} = {writer.call('nn_select')}({better}, column, {at});",
        ]
        return at


class ColumnWriter(RowWriter):
    """Prints a formula over narrow rows with a row in each lane: a vector holds one column of as many rows.

    The passes are those of :class:`RowWriter`, over single columns. A reduction is complete in every lane when its
    pass is, and no lane is padding.
    """

    def __init__(
        self,
        real: str,
        width: int,
        loads: Mapping[Expression, str],
        rows: Mapping[Expression, str],
        numbers: Mapping[Expression, str],
        reserved: Iterable[str] = (),
    ) -> None:
        super().__init__(real, width, 1, loads, rows, numbers, reserved)

    def _kept_value(self, where: str) -> str:
        return f"{where}[c]"

    def _keep(self, writer: Writer, where: str, value: str) -> str:
        return f"{where}[c] = {value};"

    def _reduction(self, writer: Writer, x: Expression, before: list[str], after: list[str]) -> str:
        operand = writer.value(x.args[0])
        name = self.names.new(x.name or x.op)
        so_far = self.names.new(f"{name}_largest") if x.op == "argmax" else name
        before.append(f"vec {so_far} = {writer.call('nn_set')}({literal(IDENTITY[x.op], self.real)});")
        if x.op == "argmax":
            return self._track(writer, name, so_far, operand, before)
        writer.lines.append(self._term(writer, x.op, so_far, operand))
        return name
