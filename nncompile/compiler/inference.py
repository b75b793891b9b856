"""Stage 2 of the export: from a Graph to a network that predicts one sample, without padding.

The values are those of :mod:`.flow`, but nothing is for speed alone: they have no
padding, so that a reshape is nothing at all; a formula is computed where its product
lies, unless it would read what it has written over; inputs are read where the caller has
them and outputs are written where the caller wants them. Numbers per feature that depend
on weights alone are computed here and now, where that gives the bits that C would give.

The sums and formulas are those of the target ``c99``, in the same order, so that both
compute the same bits.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import UnsupportedError
from ..ops import ELEMENT, PRIMITIVES, ROW, Expression
from . import vocabulary
from .expression import Names, Pass, RowCode, operands, resolved, topological
from .flow import Flow, dot_sizes
from .graph import Graph, Node, Weight
from .plain import PlainRows
from .planner import plan

PANEL = 16
"""Columns of a product that are computed together, each sum in a register."""

_LOCAL = ("x", "y", "c", "k", "p", "workspace", "kernel", "column")
"""Names that the functions of the file use."""


@dataclass(frozen=True)
class Kernel:
    """A weight of two axes, stored as panels without padding: [panel][inputs][width].

    Attributes:
        name: its name in C.
        weight: its numbers.
        inputs, outputs: its shape.
        panel: width of a whole panel.
        whole: columns in whole panels.
        rest: width of the panel behind them, 0 if there is none.
        advance: numbers of a whole panel.
        low: whether its numbers are rounded to bfloat16.
    """

    name: str
    weight: Weight
    inputs: int
    outputs: int
    panel: int
    whole: int
    rest: int
    advance: int
    low: bool

    @property
    def size(self) -> int:
        return self.inputs * self.outputs


@dataclass(frozen=True)
class Vector:
    """Numbers per feature, or a table whose rows are taken.

    Attributes:
        weight: whose numbers they are; None for ``values``.
        values: numbers that were computed from weights.
        size: how many they are.
        comment: what they are.
    """

    name: str
    weight: Weight | None
    values: NDArray[Any] | None
    size: int
    comment: str


@dataclass(frozen=True)
class Local:
    """A part of the workspace, as :func:`predict` calls it."""

    name: str
    size: int
    offset: int


@dataclass(frozen=True)
class Port:
    """An input or an output of the network.

    Attributes:
        name: of the argument of predict.
        macro: what the header calls its size.
        shape: of a sample.
        rows: of the table whose rows its numbers name; 0 if they are any numbers.
    """

    name: str
    macro: str
    shape: tuple[int, ...]
    rows: int = 0

    @property
    def size(self) -> int:
        return math.prod(self.shape)


@dataclass(frozen=True)
class Argument:
    """What a layer reads or writes.

    Attributes:
        name: of the parameter of its function.
        place: the array, as the caller says.
        step: numbers from a row to the next; 0 for memory that every row uses anew.
        reads: whether it only reads it.
    """

    name: str
    place: str
    step: int
    reads: bool


@dataclass(frozen=True)
class Layer:
    """A product, a formula, a formula on a product, or numbers that are moved, for the rows of one sample.

    Attributes:
        function: name of its function in C.
        title: the layer as its user knows it.
        positions: rows in a sample.
        inputs, outputs: columns of a row before and after.
        width: columns that the formula runs over.
        kernel: of the product, None if there is none.
        arguments: of the function: what it reads, memory to work in, what it writes.
        product: where the function leaves the product: ``y``, ``product`` or nothing.
        shape: of its output for a sample.
        weights: numbers that it reads and no layer before it, the kernel's included.
        constants: statements for numbers that depend on no sample.
        passes: the formula, as loops over the columns; none if there is no formula.
        final: statements behind them.
        lines: statements of a layer that moves or multiplies numbers of a whole sample.
        products: multiply-adds of these.
    """

    function: str
    title: str
    positions: int
    inputs: int
    outputs: int
    width: int
    kernel: Kernel | None
    arguments: tuple[Argument, ...]
    product: str
    shape: tuple[int, ...]
    weights: int
    constants: tuple[str, ...] = ()
    passes: tuple[Pass, ...] = ()
    final: tuple[str, ...] = ()
    lines: tuple[str, ...] = ()
    products: int = 0

    @property
    def multiply_adds(self) -> int:
        return self.positions * self.inputs * self.outputs if self.kernel else self.products

    def __str__(self) -> str:
        what = f"{self.inputs} -> {self.outputs}"
        places = ", ".join(a.place for a in self.arguments)
        return f"{self.function}({places}): {self.title}, {what}, {self.positions} times"


@dataclass(frozen=True)
class Inference:
    """A network that predicts one sample. ``str()`` of it is for people.

    Attributes:
        prefix: what its names in C begin with.
        real: ``float`` or ``double``.
        inputs, outputs: what the caller gives and gets.
        weights: the constants, in the order of the model's weights.
        locals: the parts of the workspace.
        workspace: numbers in it.
        layers: what is done, in order.
        integer: the type of counters.
        functions: what is called of the vocabulary, in printing order.
    """

    prefix: str
    real: str
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    weights: tuple[Kernel | Vector, ...]
    locals: tuple[Local, ...]
    workspace: int
    layers: tuple[Layer, ...]
    integer: str
    functions: tuple[str, ...]

    def __str__(self) -> str:
        lines = [f"inference {self.prefix}, {self.workspace} numbers of workspace", *map(str, self.layers)]
        return "\n  ".join([*lines, *(f"{v.name} at {v.offset}, {v.size} numbers" for v in self.locals)])


# ------------------------------------------------------------------ the stage

_EXACT = frozenset(("add", "subtract", "multiply", "divide", "negative", "abs", "sqrt", "maximum", "minimum"))
"""What every machine rounds in the same way, NumPy included."""
_ROUNDED_TWICE = {"rsqrt": lambda x: 1 / np.sqrt(x)}
"""What is made of those."""


@dataclass
class _Part:
    """What becomes a layer: a product, a formula, both, or numbers that are moved.

    Attributes:
        end: the value that is stored.
        product: the product, if there is one.
        root: the formula, None if there is none.
    """

    end: Node
    product: Node | None = None
    root: Expression | None = None

    @property
    def name(self) -> str:
        return self.end.name.removesuffix("_product")


class _Builder:
    """Finds out what is done, names things and prints formulas."""

    def __init__(self, graph: Graph, real: str, prefix: str) -> None:
        self.graph, self.real, self.prefix = graph, real, prefix
        own = ("predict", "workspace", "test_x", "test_y", "float_has_4_bytes", "double_has_8_bytes")
        shared = (*vocabulary.DEPENDENCIES, *(f"nn_columns_{width}" for width in range(1, PANEL + 1)))
        self.exported = Names({prefix, *shared, *(f"{prefix}_{name}" for name in own)})
        self.flow = Flow(None, graph, {})  # type: ignore[arg-type]  # for who takes what
        self.by_variable = {id(w.variable): w for w in graph.weights}
        self.low = {
            n.weights[0] for n in graph.nodes if n.op == "matmul" and resolved(n.expression.args[0]).op == "bfloat16"
        }
        self.stored: dict[str, Kernel | Vector] = {}
        self.computed: dict[str, Vector] = {}
        multiplied = {n.weights[0] for n in graph.nodes if n.op == "matmul"}
        taken = {n.weights[0] for n in graph.nodes if n.op == "take"}
        formulas = [n for n in graph.nodes if n.op == "formula"]
        by_column = {id(x.value) for x in topological([n.expression for n in formulas]) if x.level == ELEMENT}
        read = {name for n in formulas for name in n.weights if id(self.graph_weight(name).variable) in by_column}
        folded = [n for n in graph.nodes if n.op == "vector" and self._is_exact(n.expression)]
        for w in graph.weights:
            if len(w.shape) > 2:
                raise UnsupportedError(f"{w.variable.path}: weights of shape {w.shape} are not supported.")
            if w.name in multiplied:
                self.stored[w.name] = self._kernel(self.exported.new(f"{prefix}_{w.name}"), w)
            elif (w.name in read or self._is_inlined(w, folded)) and len(w.shape) == 1:
                self.stored[w.name] = self._vector(w, w.variable.name)
            if w.name in taken:
                self.stored[f"{w.name} rows"] = self._vector(w, f"{w.variable.name}, row by row")
        for n in folded:
            values = self._evaluate(resolved(n.expression))
            name = self.exported.new(f"{prefix}_{n.name}")
            used = ", ".join(self.graph_weight(name).variable.name for name in n.weights)
            self.computed[n.name] = Vector(name, None, values, values.size, f"{n.layer}: of {used}")
        self.parts = self._parts()
        self.called = [self.exported.new(f"{prefix}_{part.name}") for part in self.parts]
        self.reserved = {*_LOCAL, *self.exported.taken}
        self.functions: set[str] = set()

    def graph_weight(self, name: str) -> Weight:
        return next(w for w in self.graph.weights if w.name == name)

    def _vector(self, w: Weight, what: str) -> Vector:
        size = math.prod(w.shape)
        shape = " x ".join(map(str, w.shape))
        return Vector(self.exported.new(f"{self.prefix}_{w.name}"), w, None, size, f"{what} of {shape}")

    def _kernel(self, name: str, weight: Weight) -> Kernel:
        inputs, outputs = weight.shape
        rest = outputs % PANEL
        low = weight.name in self.low
        return Kernel(name, weight, inputs, outputs, PANEL, outputs - rest, rest, PANEL * inputs, low)

    # ---------------------------------------------------------------- numbers per feature

    def _is_exact(self, x: Expression) -> bool:
        """Whether numbers per feature can be computed here with the bits that C computes."""
        x = resolved(x)
        if x.op in ("weight", "constant"):
            return True
        return (x.op in _EXACT or x.op in _ROUNDED_TWICE) and all(map(self._is_exact, operands(x)))

    def _is_inlined(self, w: Weight, folded: Sequence[Node]) -> bool:
        """Whether a formula reads a weight although only numbers per feature are made of it."""
        others = [n for n in self.graph.nodes if n.op == "vector" and n not in folded]
        return any(w.name in n.weights for n in others)

    def _evaluate(self, x: Expression) -> NDArray[Any]:
        kind: Any = np.float64 if self.real == "double" else np.float32
        x = resolved(x)
        if x.op == "constant":
            return np.asarray(x.value, kind)
        if x.op == "weight":
            return np.asarray(x.value.value, kind).reshape(-1)
        args = [self._evaluate(a) for a in operands(x)]
        with np.errstate(all="ignore"):
            made = _ROUNDED_TWICE.get(x.op, PRIMITIVES[x.op].numpy)(*args)
        return np.asarray(made, kind)

    # ---------------------------------------------------------------- parts

    def _parts(self) -> list[_Part]:
        """What the network does. A reshape is nothing, as there is no padding."""
        parts: list[_Part] = []
        waiting: dict[str, Node] = {}
        for node in self.graph.nodes:
            if node.op == "matmul":
                takers = self.flow.takers[node.name]
                taker = next((n for n in self.graph.nodes if takers == [n.name]), None)
                alone = node.name not in self.graph.outputs
                if taker is not None and alone and taker.op == "formula" and self._last_product(taker) is node:
                    waiting[node.name] = node
                else:
                    parts.append(_Part(node, node))
            elif node.op in ("arrange", "dot", "take"):
                parts.append(_Part(node))
            elif node.op == "formula":
                root = resolved(node.expression)
                if any(root is resolved(n.expression) for n in self.flow.inputs(node)):
                    continue
                product = next((waiting[name] for name in reversed(node.inputs) if name in waiting), None)
                parts.append(_Part(node, product, root))
        return parts

    def _last_product(self, node: Node) -> Node | None:
        """The product whose place a formula is computed in: the last that nobody else wants."""
        if resolved(node.expression).level != ELEMENT:
            return None
        alone = [
            n
            for n in self.flow.inputs(node)
            if n.op == "matmul" and self.flow.takers[n.name] == [node.name] and n.name not in self.graph.outputs
        ]
        return alone[-1] if alone else None

    def home(self, node: Node) -> Node:
        """The value whose numbers a value has: itself, unless it only looks different."""
        while True:
            if node.op in ("reshape", "row"):
                node = self.graph.node(node.inputs[0])
                continue
            if node.op == "formula":
                root = resolved(node.expression)
                same = [n for n in self.flow.inputs(node) if resolved(n.expression) is root]
                if same:
                    node = same[0]
                    continue
            return node

    # ---------------------------------------------------------------- formulas

    def formula(self, part: _Part, names: Mapping[str, str]) -> tuple[str, tuple[str, ...], RowCode]:
        """Prints a formula.

        Args:
            part: whose.
            names: of the parameters that have its values, by the values' names.

        Returns:
            Where the product must lie, the numbers computed ahead, and the loops.
        """
        row = "y" if part.product else ""
        rows, code = self._rows(part, row, names)
        if row and rows.conflict:  # it would read a product that it has written over
            row = "product"
            rows, code = self._rows(part, row, names)
        constants = rows.constants()
        self.functions |= rows.functions
        return row, constants, code

    def _rows(self, part: _Part, row: str, names: Mapping[str, str]) -> tuple[PlainRows, RowCode]:
        assert part.root is not None
        loads: dict[Expression, str] = {}
        of_rows: dict[Expression, str] = {}
        for n in self.flow.inputs(part.end):
            for x in (n.expression, resolved(n.expression)):
                if n is part.product:
                    loads[x] = f"{row}[c]"
                elif n.name in self.computed:
                    loads[x] = f"{self.computed[n.name].name}[c]"
                elif n.op != "vector" and x.level == ROW:
                    of_rows[x] = f"{names[n.name]}[0]"
                elif n.op != "vector":
                    loads[x] = f"{names[n.name]}[c]"
        numbers: dict[Expression, float] = {}
        for leaf in topological([part.root], {*loads, *of_rows}):
            if leaf.op == "noise":
                raise UnsupportedError(
                    f"{part.end.layer}: uses random numbers to predict; a file that stands alone has none."
                )
            if leaf.op == "weight" and leaf not in loads:
                weight = self.by_variable[id(leaf.value)]
                if leaf.level == ELEMENT:
                    loads[leaf] = f"{self.stored[weight.name].name}[c]"
                else:
                    numbers[leaf] = float(np.reshape(weight.variable.value, -1)[0])
        source = part.product.expression if part.product else None
        width = max([part.end.features, *(n.features for n in self.flow.inputs(part.end) if not n.per_feature)])
        taken = {*self.reserved, *names.values(), row} - {""}
        rows = PlainRows(self.real, width, source, loads, of_rows, numbers, taken)
        if part.root.level == ROW:
            return rows, rows.write([], [("y[0] = {};", part.root)])
        return rows, rows.write([("y[c] = {};", part.root)], [], "y")


class _Plan:
    """Gives every part its function, and every value its place."""

    def __init__(self, builder: _Builder, titles: Mapping[str, str]) -> None:
        self.builder, self.graph, self.titles = builder, builder.graph, titles
        self.names = Names(set(builder.reserved))  # of the values in predict
        several = len(self.graph.inputs) > 1, len(self.graph.outputs) > 1
        self.inputs = [self._port("x", "INPUTS", n, several[0]) for n in self.graph.inputs]
        ends = [self.graph.node(name) for name in self.graph.outputs]
        self.outputs = [self._port("y", "OUTPUTS", n, several[1]) for n in ends]
        self.sizes: dict[str, int] = {}
        self.lifetimes: dict[str, tuple[int, int]] = {}
        self.place = {n.name: port.name for n, port in zip(self.graph.inputs, self.inputs, strict=True)}
        self.layers: list[Layer] = []
        self.counted: set[str] = set()
        self.wanted: dict[str, str] = {}  # values that are computed where the caller wants them
        for n, port in zip(ends, self.outputs, strict=True):
            home = builder.home(n)
            if home.op != "input" and home.name not in self.wanted:
                self.wanted[home.name] = port.name

    def _port(self, name: str, macro: str, node: Node, several: bool) -> Port:
        takers = [n for n in self.graph.nodes if n.op == "take" and node.name in n.inputs]
        rows = min((self.builder.graph_weight(n.weights[0]).shape[0] for n in takers), default=0)
        if not several:
            return Port(name, f"{self.builder.prefix.upper()}_{macro}", node.shape, rows)
        own = node.name.removesuffix("_product").removesuffix("_reshape")
        made = self.names.new(own)
        return Port(made, f"{self.builder.prefix.upper()}_{macro}_{made.upper()}", node.shape, rows)

    def put(self, node: Node, number: int, name: str) -> str:
        """The place where a value is computed."""
        if node.name in self.wanted:
            self.place[node.name] = self.wanted[node.name]
        else:
            local = self.names.new(name)
            self.sizes[local] = node.positions * node.features
            self.lifetimes[local] = (number, number)
            self.place[node.name] = local
        return self.place[node.name]

    def read(self, node: Node, number: int) -> str:
        """The place where a value was computed, which is read now."""
        place = self.place[self.builder.home(node).name]
        if place in self.lifetimes:
            self.lifetimes[place] = (self.lifetimes[place][0], number)
        return place

    def count(self, names: Iterable[str]) -> int:
        """Numbers of the weights that no layer before has."""
        new = [w for w in self.graph.weights if w.name in {*names} - self.counted]
        self.counted |= {w.name for w in new}
        return sum(math.prod(w.shape) for w in new)

    def build(self) -> None:
        """Makes the layers."""
        for number, (part, function) in enumerate(zip(self.builder.parts, self.builder.called, strict=True)):
            if part.end.op == "arrange":
                self._moved(part, function, number)
            elif part.end.op == "dot":
                self._multiplied(part, function, number)
            elif part.end.op == "take":
                self._taken(part, function, number)
            else:
                self._computed(part, function, number)
        for name, port in zip(self.graph.outputs, self.outputs, strict=True):
            number, home = len(self.layers), self.builder.home(self.graph.node(name))
            place = self.read(home, number)
            if place != port.name:  # an input as it is, or a value that is wanted twice
                node = self.graph.node(name)
                size = math.prod(node.shape)
                arguments = (Argument("x", place, 0, True), Argument("y", port.name, 0, False))
                loop = (f"for ({_INTEGER} i = 0; i < {size}; i++) {{", "    y[i] = x[i];", "}")
                function = self.builder.exported.new(f"{self.builder.prefix}_{name}_copy")
                self._add(
                    Layer(
                        function, self.title(node), 1, size, size, size, None, arguments, "", node.shape, 0, lines=loop
                    )
                )

    def _add(self, layer: Layer) -> None:
        self.layers.append(layer)

    def title(self, node: Node) -> str:
        return self.titles.get(node.layer, node.layer)

    def _parameters(self, part: _Part, number: int) -> tuple[list[Argument], dict[str, str], Node | None]:
        """What a product and a formula read, and what their values are called in the function."""
        arguments, names = list[Argument](), dict[str, str]()
        inner = Names({*self.builder.reserved, "product"})
        first = None
        if part.product is not None:
            first = self.graph.node(part.product.inputs[0])
            arguments.append(Argument("x", self.read(first, number), first.features, True))
        for n in self.builder.flow.inputs(part.end) if part.root is not None else []:
            if n is part.product or n.per_feature:
                continue
            home = self.builder.home(n)
            known = [a for a in arguments if a.place == self.place[home.name] and a.step == n.features]
            if known and known[0].name != "x":
                names[n.name] = known[0].name
                continue
            alone = part.product is None and not arguments
            names[n.name] = "x" if alone else inner.new(f"{n.name.removesuffix('_product')}_row")
            arguments.append(Argument(names[n.name], self.read(n, number), n.features, True))
            first = first or n
        return arguments, names, first

    def _computed(self, part: _Part, function: str, number: int) -> None:
        end = part.end
        arguments, names, first = self._parameters(part, number)
        product, code = "y" if part.product else "", None
        constants: tuple[str, ...] = ()
        if part.root is not None:
            product, constants, code = self.builder.formula(part, names)
        wanted = [*(["product"] if product == "product" else []), *(code.scratch if code else ())]
        width = max([end.features, *(a.step for a in arguments if a.name in names.values())])
        for name in wanted:
            local = self.names.new(f"{part.name}_{name}")
            self.sizes[local], self.lifetimes[local] = width, (number, number)
            arguments.append(Argument(name, local, 0, False))
        arguments.append(Argument("y", self.put(end, number, part.name), end.features, False))
        kernel = self.builder.stored[part.product.weights[0]] if part.product else None
        vectors = [w for n in self.builder.flow.inputs(end) if n.op == "vector" for w in n.weights]
        used = [*(part.product.weights if part.product else ()), *end.weights, *vectors]
        self._add(
            Layer(
                function=function,
                title=self.title(end),
                positions=end.positions,
                inputs=first.features if first is not None else 0,
                outputs=end.features,
                width=width,
                kernel=kernel if isinstance(kernel, Kernel) else None,
                arguments=tuple(arguments),
                product=product if part.product else "",
                shape=end.shape,
                weights=self.count(used),
                constants=constants,
                passes=code.passes if code else (),
                final=code.final if code else (),
            )
        )

    def _moved(self, part: _Part, function: str, number: int) -> None:
        node, how = part.end, part.end.expression.value
        inner = Names(set(self.builder.reserved))
        sources = [self.graph.node(name) for name in node.inputs]
        names = ["x"] if len(sources) == 1 else [inner.new(f"x{i + 1}") for i in range(len(sources))]
        arguments = [Argument(name, self.read(n, number), 0, True) for name, n in zip(names, sources, strict=True)]
        size, lines = math.prod(node.shape), list[str]()
        if not how.whole:
            lines += [f"for ({_INTEGER} i = 0; i < {size}; i++) {{", "    y[i] = 0;", "}"]
        for piece in how.pieces:
            loops = [f"i{n}" for n in range(len(piece.sizes))]
            for depth, (name, count) in enumerate(zip(loops, piece.sizes, strict=True)):
                lines.append(f"{'    ' * depth}for ({_INTEGER} {name} = 0; {name} < {count}; {name}++) {{")
            goal, origin = _place_of(loops, piece.to_steps, piece.to_start), _place_of(loops, piece.steps, piece.start)
            lines.append(f"{'    ' * len(loops)}y[{goal}] = {names[piece.source]}[{origin}];")
            lines += [f"{'    ' * depth}}}" for depth in reversed(range(len(loops)))]
        arguments.append(Argument("y", self.put(node, number, part.name), 0, False))
        inputs = sum(math.prod(n.shape) for n in sources)
        self._add(
            Layer(
                function, self.title(node), 1, inputs, size, size, None, tuple(arguments), "", node.shape, 0,
                lines=tuple(lines),
            )
        )  # fmt: skip

    def _multiplied(self, part: _Part, function: str, number: int) -> None:
        """Matrices of a sample, multiplied: each sum takes its terms in order, as those of a kernel do."""
        node = part.end
        left, right = (self.graph.node(name) for name in node.inputs)
        groups, rows, inner = dot_sizes(node, left)
        columns = node.features
        arguments = (
            Argument("x1", self.read(left, number), 0, True),
            Argument("x2", self.read(right, number), 0, True),
            Argument("y", self.put(node, number, part.name), 0, False),
        )
        matrix = "x2" if groups == 1 else f"x2 + r / {rows} * {inner * columns}"
        lines = (
            f"for ({_INTEGER} r = 0; r < {groups * rows}; r++) {{",
            f"    const {self.builder.real} *row = x1 + r * {inner}, *matrix = {matrix};",
            f"    {self.builder.real} *to = y + r * {columns};",
            f"    for ({_INTEGER} c = 0; c < {columns}; c++) {{",
            "        to[c] = 0;",
            "    }",
            f"    for ({_INTEGER} k = 0; k < {inner}; k++) {{",
            f"        for ({_INTEGER} c = 0; c < {columns}; c++) {{",
            f"            to[c] += row[k] * matrix[k * {columns} + c];",
            "        }",
            "    }",
            "}",
        )
        size = math.prod(node.shape)
        inputs = math.prod(left.shape) + math.prod(right.shape)
        self._add(
            Layer(
                function, self.title(node), 1, inputs, size, size, None, arguments, "", node.shape, 0, lines=lines,
                products=size * inner,
            )
        )  # fmt: skip

    def _taken(self, part: _Part, function: str, number: int) -> None:
        node = part.end
        source = self.graph.node(node.inputs[0])
        weight = self.builder.graph_weight(node.weights[0])
        rows, columns = weight.shape
        table = self.builder.stored[f"{weight.name} rows"]
        self.builder.functions.add("nn_infinity")
        real = self.builder.real
        lines = (
            f"for ({_INTEGER} i = 0; i < {math.prod(source.shape)}; i++) {{",
            f"    const {real} number = x[i] < 0 ? x[i] + {rows} : x[i]; /* below 0 it counts from the end */",
            f"    const int known = number >= 0 && number < {rows};",
            f"    const {real} *row = {table.name} + (known ? (long)number : 0) * {columns};",
            f"    for ({_INTEGER} c = 0; c < {columns}; c++) {{",
            f"        y[i * {columns} + c] = known ? row[c] : 0 * nn_infinity.number;",
            "    }",
            "}",
        )
        arguments = (
            Argument("x", self.read(source, number), 0, True),
            Argument("y", self.put(node, number, part.name), 0, False),
        )
        size = math.prod(source.shape)
        self._add(
            Layer(
                function, self.title(node), 1, size, math.prod(node.shape), columns, None, arguments, "", node.shape,
                self.count(node.weights), lines=lines,
            )
        )  # fmt: skip


_INTEGER = "INTEGER"
"""What stands in lines where the type of a counter comes, which depends on the longest loop."""


def _place_of(loops: Sequence[str], steps: Sequence[int], start: int) -> str:
    terms = [name if step == 1 else f"{name} * {step}" for name, step in zip(loops, steps, strict=True) if step]
    return " + ".join([*terms, *([str(start)] if start or not terms else [])])


def build(graph: Graph, real: str, prefix: str, titles: Mapping[str, str]) -> Inference:
    """Orders and places everything.

    Args:
        graph: the network as it predicts.
        real: ``float`` or ``double``.
        prefix: what all names begin with.
        titles: what layers are called in comments, by what the graph calls them.

    Raises:
        UnsupportedError: the network needs something that an export cannot do.
    """
    for node in graph.nodes:
        if node.op == "batch_mean":
            raise UnsupportedError(f"{node.layer}: needs the mean over a batch to predict; a file predicts one sample.")
    builder = _Builder(graph, real, prefix)
    made = _Plan(builder, titles)
    made.build()
    offsets, workspace = plan(made.lifetimes, made.sizes)
    weights = [*builder.stored.values(), *builder.computed.values()]
    longest = max(max(layer.positions * max(layer.inputs, layer.outputs), layer.width) for layer in made.layers)
    integer = "int" if longest < 2**15 else "long"  # an int may have 16 bits
    return Inference(
        prefix=prefix,
        real=real,
        inputs=tuple(made.inputs),
        outputs=tuple(made.outputs),
        weights=tuple(weights),
        locals=tuple(
            Local(n, made.sizes[n], offsets[n])
            for n in sorted(made.sizes, key=lambda n: (made.lifetimes[n], offsets[n]))
        ),
        workspace=workspace,
        layers=tuple(
            replace(layer, lines=tuple(line.replace(_INTEGER, integer) for line in layer.lines))
            for layer in made.layers
        ),
        integer=integer,
        functions=tuple(n for n in vocabulary.closure(sorted(builder.functions), "c99") if n != "nn_set"),
    )


def widths(layers: Sequence[Layer]) -> tuple[int, ...]:
    """The widths of panels that a file needs a function for."""
    found = {w for k in (layer.kernel for layer in layers) if k for w in (PANEL if k.whole else 0, k.rest)}
    return tuple(sorted(found - {0}, reverse=True))
