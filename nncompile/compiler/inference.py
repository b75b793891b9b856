"""Stage 2 of the export: from a Graph to a network that predicts one sample, without padding.

It is the same chain of segments as in :mod:`.planner`, but nothing is for speed alone:
values have no padding, so that a reshape is nothing at all; a formula is computed where
its product lies, unless it would read what it has written over; the input is read where
the caller has it and the last value is written where the caller wants it.

The sums and formulas are those of the target ``c99``, in the same order, so that both
compute the same bits.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..errors import UnsupportedError
from ..ops import ELEMENT, Expression
from . import vocabulary
from .expression import Names, Pass, RowCode, resolved, topological
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


@dataclass(frozen=True)
class Vector:
    """A weight of one axis."""

    name: str
    weight: Weight


@dataclass(frozen=True)
class Local:
    """A part of the workspace, as :func:`predict` calls it."""

    name: str
    size: int
    offset: int


@dataclass(frozen=True)
class Layer:
    """A product, a formula, or a formula on a product, for the rows of one sample.

    Attributes:
        function: name of its function in C.
        title: the layer as its user knows it.
        positions: rows in a sample.
        inputs, outputs: columns of a row before and after.
        kernel: of the product, None if there is none.
        x, y: what it reads and writes, as the caller of the function says.
        product: where the function leaves the product: ``y``, ``product`` or nothing.
        shape: of its output for a sample.
        weights: numbers that it reads and no layer before it, the kernel's included.
        constants: statements for numbers that depend on no sample.
        passes: the formula, as loops over the columns; none if there is no formula.
        scratch: what else the function is given: (parameter, local of the caller).
    """

    function: str
    title: str
    positions: int
    inputs: int
    outputs: int
    kernel: Kernel | None
    x: str
    y: str
    product: str
    shape: tuple[int, ...]
    weights: int
    constants: tuple[str, ...]
    passes: tuple[Pass, ...]
    scratch: tuple[tuple[str, str], ...]

    @property
    def multiply_adds(self) -> int:
        return self.positions * self.inputs * self.outputs if self.kernel else 0

    def __str__(self) -> str:
        what = f"{self.inputs} -> {self.outputs}"
        return f"{self.function}({self.x}, {self.y}): {self.title}, {what}, {self.positions} times"


@dataclass(frozen=True)
class Inference:
    """A network that predicts one sample. ``str()`` of it is for people.

    Attributes:
        prefix: what its names in C begin with.
        real: ``float`` or ``double``.
        input_shape, output_shape: of a sample.
        weights: the constants, in the order of the model's weights.
        locals: the parts of the workspace.
        workspace: numbers in it.
        layers: what is done, in order.
        functions: what is called of the vocabulary, in printing order.
    """

    prefix: str
    real: str
    input_shape: tuple[int, ...]
    output_shape: tuple[int, ...]
    weights: tuple[Kernel | Vector, ...]
    locals: tuple[Local, ...]
    workspace: int
    layers: tuple[Layer, ...]
    functions: tuple[str, ...]

    def __str__(self) -> str:
        lines = [f"inference {self.prefix}, {self.workspace} numbers of workspace", *map(str, self.layers)]
        return "\n  ".join([*lines, *(f"{v.name} at {v.offset}, {v.size} numbers" for v in self.locals)])


# ------------------------------------------------------------------ the stage


@dataclass(frozen=True)
class _Part:
    """A product, a formula, or a formula on a product.

    Attributes:
        source: the product, or what the formula is about.
        end: the value that is stored.
        root: the formula, None if there is none.
    """

    source: Node
    end: Node
    root: Expression | None

    @property
    def name(self) -> str:
        return self.end.name.removesuffix("_product")


def _parts(graph: Graph) -> list[_Part]:
    """What the network does. A reshape is nothing, as there is no padding."""
    formulas = {n.inputs[0]: n for n in graph.nodes if n.op == "formula"}
    parts = []
    for source in graph.nodes:
        if source.op == "formula":
            continue
        end = formulas.get(source.name, source)
        root = resolved(end.expression)
        if source.op == "matmul" or root is not source.expression:
            parts.append(_Part(source, end, None if root is source.expression else root))
    if not parts:  # layers that do nothing: a copy
        source = graph.nodes[0]
        parts.append(_Part(source, graph.node(graph.outputs[0]), source.expression))
    return parts


class _Builder:
    """Names things and prints formulas."""

    def __init__(self, graph: Graph, real: str, prefix: str) -> None:
        own = ("predict", "workspace", "test_x", "test_y", "float_has_4_bytes", "double_has_8_bytes")
        shared = (*vocabulary.DEPENDENCIES, *(f"nn_columns_{width}" for width in range(1, PANEL + 1)))
        exported = Names({prefix, *shared, *(f"{prefix}_{name}" for name in own)})
        self.graph, self.real = graph, real
        self.parts = _parts(graph)
        products = [n for n in graph.nodes if n.op == "matmul"]
        self.low = {n.weights[0] for n in products if resolved(n.expression.args[0]).op == "bfloat16"}
        self.stored: dict[str, Kernel | Vector] = {}
        for w in graph.weights:
            if w.shape:  # a single number is printed where it is used
                self.stored[w.name] = self._stored(exported.new(f"{prefix}_{w.name}"), w)
        self.called = [exported.new(f"{prefix}_{part.name}") for part in self.parts]
        self.reserved = {*_LOCAL, *exported.taken}
        self.functions: set[str] = set()

    def _stored(self, name: str, weight: Weight) -> Kernel | Vector:
        if len(weight.shape) == 1:
            return Vector(name, weight)
        if len(weight.shape) > 2:
            raise UnsupportedError(f"{weight.variable.path}: weights of shape {weight.shape} are not supported.")
        inputs, outputs = weight.shape
        rest = outputs % PANEL
        low = weight.name in self.low
        return Kernel(name, weight, inputs, outputs, PANEL, outputs - rest, rest, PANEL * inputs, low)

    def kernel(self, part: _Part) -> Kernel | None:
        found = self.stored[part.source.weights[0]] if part.source.op == "matmul" else None
        return found if isinstance(found, Kernel) else None

    def formula(self, part: _Part) -> tuple[str, tuple[str, ...], RowCode]:
        """Prints a formula.

        Returns:
            Where the product must lie, the numbers computed ahead, and the loops.
        """
        assert part.root is not None
        row = "y" if part.source.op == "matmul" else "x"
        rows, code = self._rows(part, part.root, row)
        if row == "y" and rows.conflict:  # it would read a product that it has written over
            row = "product"
            rows, code = self._rows(part, part.root, row)
        constants = rows.constants()
        self.functions |= rows.functions
        return row, constants, code

    def _rows(self, part: _Part, root: Expression, row: str) -> tuple[PlainRows, RowCode]:
        source = part.source.expression
        by_variable = {id(w.variable): w for w in self.graph.weights}
        weights: dict[Expression, str] = {}
        numbers: dict[Expression, float] = {}
        for leaf in topological([root], [source]):
            if leaf.op == "noise":
                raise UnsupportedError(
                    f"{part.end.layer}: uses random numbers to predict; a file that stands alone has none."
                )
            if leaf.op == "weight":
                weight = by_variable[id(leaf.value)]
                if leaf.level == ELEMENT:
                    weights[leaf] = f"{self.stored[weight.name].name}[c]"
                else:
                    numbers[leaf] = float(weight.variable.value)
        rows = PlainRows(self.real, part.end.features, source, row, weights, numbers, {*self.reserved, row})
        return rows, rows.write([("y[c] = {};", root)], [], "y")


def build(graph: Graph, real: str, prefix: str, titles: Mapping[str, str]) -> Inference:
    """Orders and places everything.

    Args:
        graph: the network as it predicts.
        real: ``float`` or ``double``.
        prefix: what all names begin with.
        titles: what layers are called in comments, by what the graph calls them.

    Raises:
        UnsupportedError: the network needs something that an export cannot do yet.
    """
    _check_chain(graph)
    builder = _Builder(graph, real, prefix)
    names = Names(set(builder.reserved))  # of the values in predict
    sizes: dict[str, int] = {}
    lifetimes: dict[str, tuple[int, int]] = {}
    layers: list[Layer] = []
    counted: set[str] = set()
    x = "x"
    for number, part in enumerate(builder.parts):
        end, kernel = part.end, builder.kernel(part)
        product, code = "y", None
        constants: tuple[str, ...] = ()
        if part.root is not None:
            product, constants, code = builder.formula(part)
        wanted = [*(["product"] if product == "product" else []), *(code.scratch if code else ())]
        scratch = tuple((name, names.new(f"{part.name}_{name}")) for name in wanted)
        for _, local in scratch:
            sizes[local], lifetimes[local] = end.features, (number, number)
        y = "y"
        if number < len(builder.parts) - 1:
            y = names.new(part.name)
            sizes[y], lifetimes[y] = end.positions * end.features, (number, number + 1)
        new = [w for w in graph.weights if w.name in {*part.source.weights, *end.weights} - counted]
        counted |= {w.name for w in new}
        layers.append(
            Layer(
                function=builder.called[number],
                title=titles.get(end.layer, end.layer),
                positions=end.positions,
                inputs=kernel.inputs if kernel else part.source.features,
                outputs=end.features,
                kernel=kernel,
                x=x,
                y=y,
                product=product if kernel else "",
                shape=end.shape,
                weights=sum(math.prod(w.shape) for w in new),
                constants=constants,
                passes=code.passes if code else (),
                scratch=scratch,
            )
        )
        x = y
    offsets, workspace = plan(lifetimes, sizes)
    return Inference(
        prefix=prefix,
        real=real,
        input_shape=graph.nodes[0].shape,
        output_shape=graph.node(graph.outputs[0]).shape,
        weights=tuple(builder.stored.values()),
        locals=tuple(Local(n, sizes[n], offsets[n]) for n in sorted(sizes, key=lambda n: (lifetimes[n], offsets[n]))),
        workspace=workspace,
        layers=tuple(layers),
        functions=tuple(n for n in vocabulary.closure(sorted(builder.functions), "c99") if n != "nn_set"),
    )


def _check_chain(graph: Graph) -> None:
    """Refuses what is not one value after the other."""
    if len(graph.inputs) != 1 or len(graph.outputs) != 1:
        raise UnsupportedError(f"{graph.name}: a file of its own has one input and one output so far.")
    uses: dict[str, int] = {}
    for node in graph.nodes:
        if node.op not in ("input", "matmul", "reshape", "formula") or len(node.inputs) > 1:
            raise UnsupportedError(f"{node.layer}: cannot be exported yet.")
        for name in node.inputs:
            uses[name] = uses.get(name, 0) + 1
            if uses[name] > 1 or name in graph.outputs:
                raise UnsupportedError(
                    f"{graph.node(name).layer}: its value is used twice; that cannot be exported yet."
                )


def widths(layers: Sequence[Layer]) -> tuple[int, ...]:
    """The widths of panels that a file needs a function for."""
    found = {w for k in (layer.kernel for layer in layers) if k for w in (PANEL if k.whole else 0, k.rest)}
    return tuple(sorted(found - {0}, reverse=True))
