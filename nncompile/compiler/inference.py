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
from typing import Any

from ..errors import UnsupportedError
from ..ops import ELEMENT, Expression
from . import vocabulary
from .expression import Names, Pass, identifier, resolved, topological
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
    """

    name: str
    weight: Weight
    inputs: int
    outputs: int
    panel: int
    whole: int
    rest: int
    advance: int


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
        weights: numbers that it reads, the kernel's included.
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


@dataclass
class _Part:
    """A layer while it is being planned."""

    layer: Node
    source: Node
    kernel: Kernel | None
    root: Expression | None
    name: str


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
    own = {f"{prefix}_{n}" for n in ("predict", "workspace", "test_x", "test_y", "float_has_4_bytes", "double_has_8_bytes")}
    exported = Names({*own, prefix, *vocabulary.DEPENDENCIES, *(f"nn_columns_{w}" for w in range(1, PANEL + 1))})
    globals_ = {w.name: exported.new(f"{prefix}_{w.name}") for w in graph.weights}
    kernels = {w.name: _kernel(globals_[w.name], w) for w in graph.weights if len(w.shape) == 2}
    vectors = {w.name: Vector(globals_[w.name], w) for w in graph.weights if len(w.shape) == 1}
    stored = {**kernels, **vectors}
    for w in graph.weights:
        if len(w.shape) > 2:
            raise UnsupportedError(f"{w.variable.path}: weights of shape {w.shape} are not supported.")
    parts = _parts(graph, kernels)
    called = [exported.new(f"{prefix}_{part.name}") for part in parts]
    reserved = {*_LOCAL, *exported.taken}
    locals_ = Names(set(reserved))
    by_variable = {id(w.variable): w for w in graph.weights}

    layers: list[Layer] = []
    functions: set[str] = set()
    sizes: dict[str, int] = {}
    lifetimes: dict[str, tuple[int, int]] = {}
    x = "x"
    for number, part in enumerate(parts):
        node = part.layer
        last = number == len(parts) - 1
        y = "y" if last else locals_.new(identifier(part.name))
        product = "y" if part.kernel else ""
        code, constants = None, ()
        if part.root is not None:
            rows, code = _formula(part, real, globals_, by_variable, reserved, in_place=part.kernel is not None)
            if rows.conflict and part.kernel is not None:
                product = "product"
                rows, code = _formula(part, real, globals_, by_variable, reserved, in_place=False)
            constants = rows.constants()
            functions |= rows.functions
        scratch = [*(["product"] if product == "product" else []), *(code.scratch if code else ())]
        given = [(name, locals_.new(f"{part.name}_{name}")) for name in scratch]
        for _, local in given:
            sizes[local], lifetimes[local] = node.features, (number, number)
        if not last:
            sizes[y], lifetimes[y] = node.positions * node.features, (number, number + 1)
        layers.append(
            Layer(
                function=called[number],
                title=titles.get(node.layer, node.layer),
                positions=node.positions,
                inputs=part.kernel.inputs if part.kernel else part.source.features,
                outputs=node.features,
                kernel=part.kernel,
                x=x,
                y=y,
                product=product,
                shape=node.shape,
                weights=sum(math.prod(w.shape) for w in _weights_of(part, graph)),
                constants=constants,
                passes=code.passes if code else (),
                scratch=tuple(given),
            )
        )
        x = y
    offsets, workspace = plan(lifetimes, sizes)
    end = parts[-1].layer if graph.nodes[-1].op != "reshape" else graph.nodes[-1]
    return Inference(
        prefix=prefix,
        real=real,
        input_shape=graph.nodes[0].shape,
        output_shape=end.shape,
        weights=tuple(stored[w.name] for w in graph.weights if w.name in stored),
        locals=tuple(Local(n, sizes[n], offsets[n]) for n in sorted(sizes, key=lambda n: (lifetimes[n], offsets[n]))),
        workspace=workspace,
        layers=tuple(layers),
        functions=tuple(n for n in vocabulary.closure(sorted(functions), "c99") if n != "nn_set"),
    )


def _weights_of(part: _Part, graph: Graph) -> list[Weight]:
    used = {*part.source.weights, *part.layer.weights}
    return [w for w in graph.weights if w.name in used]


def _kernel(name: str, weight: Weight) -> Kernel:
    inputs, outputs = weight.shape
    rest = outputs % PANEL
    return Kernel(name, weight, inputs, outputs, PANEL, outputs - rest, rest, PANEL * inputs)


def _parts(graph: Graph, kernels: Mapping[str, Kernel]) -> list[_Part]:
    """The products and formulas of the network; a reshape is none, as nothing is padded."""
    formulas = {n.inputs[0]: n for n in graph.nodes if n.op == "formula"}
    parts = []
    for node in graph.nodes:
        if node.op == "formula":
            continue
        made = formulas.get(node.name)
        kernel = kernels[node.weights[0]] if node.op == "matmul" else None
        root = resolved(made.expression) if made else None
        if root is node.expression:
            root = None
        if kernel is None and root is None:
            continue
        end = made or node
        parts.append(_Part(end, node, kernel, root, identifier(end.name.removesuffix("_product"))))
    if not parts:  # nothing but layers that do nothing: a copy
        first, end = graph.nodes[0], graph.nodes[-1]
        parts.append(_Part(first, first, None, first.expression, identifier(end.name)))
    return parts


def _formula(
    part: _Part,
    real: str,
    globals_: Mapping[str, str],
    by_variable: Mapping[int, Weight],
    reserved: set[str],
    in_place: bool,
) -> tuple[PlainRows, Any]:
    """Prints the formula of a part; ``in_place`` if its product lies where the result goes."""
    root, source = part.root, part.source.expression
    assert root is not None
    width = part.layer.features
    weights: dict[Expression, str] = {}
    numbers: dict[Expression, float] = {}
    for leaf in topological([root], [source]):
        if leaf.op == "noise":
            raise UnsupportedError(
                f"{part.layer.layer}: uses random numbers to predict; a file that stands alone has none."
            )
        if leaf.op != "weight" or leaf is source:
            continue
        weight = by_variable[id(leaf.value)]
        if leaf.level == ELEMENT:
            weights[leaf] = f"{globals_[weight.name]}[c]"
        else:
            numbers[leaf] = float(weight.variable.value)
    row = "y" if in_place else "product" if part.kernel else "x"
    reserved = {*reserved, row}
    rows = PlainRows(real, width, source, row, weights, numbers, reserved)
    return rows, rows.write([("y[c] = {};", root)], [], "y")


def widths(layers: Sequence[Layer]) -> tuple[int, ...]:
    """The widths of panels that a file needs a function for."""
    found = {w for k in (layer.kernel for layer in layers) if k for w in (PANEL if k.whole else 0, k.rest)}
    return tuple(sorted(found - {0}, reverse=True))
