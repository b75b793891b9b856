"""Losses that are formulas of more than the rows of their output, as part of the graph.

A loss over another axis than the last, or with products in it, puts numbers of a sample
in other places or multiplies its matrices. So does a layer, and what it does is nodes of
the graph: those of such a loss are added to it, with what the output should be as one
more source, and what is left is a formula over rows, as a penalty of a layer is one.
They come after all that predicts, which does without them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from .. import losses, ops
from ..errors import UnsupportedError
from ..ops import ELEMENT, ROW, Expression
from ..ops.batch import crosses_rows
from .expression import BOUNDARY, Names, identifier, resolved, topological, trace
from .graph import RESERVED, Graph, Node
from .program import Supervision
from .rowwise import OtherShapesError, per_row

_CUTS = tuple(op for op in BOUNDARY if op != "batch_mean")
"""Where formulas of losses end; sums over the batch are part of them."""
_OF_WEIGHTS = ("matmul", "take")


def extended(graph: Graph, outputs: Sequence[Supervision], targets: Sequence[str]) -> Graph:
    """The graph, and in it what losses are made of that need more than the rows of their output.

    Args:
        graph: of the network.
        outputs: what each output is trained for.
        targets: what is the memory called of what each should be.

    Raises:
        UnsupportedError: a loss that cannot be computed so either.
    """
    for number, (given, target) in enumerate(zip(outputs, targets, strict=True)):
        if given.loss is None:
            continue
        output = graph.node(graph.outputs[number]).expression
        y_true = target_symbol(given, output)
        traced = trace(given.loss.call, y_true, output)
        what = f"loss {getattr(given.loss, 'name', None) or type(given.loss).__name__!r}"
        if not isinstance(traced, Expression) or _is_of_rows(traced, what, output):
            continue
        graph = _Aim(graph, what, identifier(given.name or "loss")).added(number, traced, y_true, target)
    return graph


def target_symbol(given: Supervision, output: Expression) -> Expression:
    """What an output should be, in a formula: as many numbers as it has, or a label for each row."""
    if given.labels:
        return ops.symbol("label", ROW, (None, *losses.shape_of_labels(given.loss, output.shape[1:])))
    return ops.symbol("y_true", ELEMENT, output.shape)


def _is_of_rows(x: Expression, what: str, output: Expression) -> bool:
    try:
        per_row(x, what, [output])
    except OtherShapesError:
        return False
    return True


class _Aim:
    """Adds what one loss is made of to a graph.

    Args:
        graph: of the network.
        what: the loss, for messages.
        name: of the output, for C.
    """

    def __init__(self, graph: Graph, what: str, name: str) -> None:
        self.graph, self.what, self.name = graph, what, name
        self.nodes = list(graph.nodes)
        self.names = Names({*RESERVED, *(n.name for n in graph.nodes), *(w.name for w in graph.weights)})
        self.known: dict[Expression, str] = {}
        for node in graph.nodes:
            self.known[node.expression] = node.name
            self.known.setdefault(resolved(node.expression), node.name)

    def added(self, number: int, x: Expression, y_true: Expression, target: str) -> Graph:
        self._add(target, "target", (), y_true, y_true.shape[1:])
        for part in topological([x], self.known):
            if part in self.known or part.op not in _CUTS:
                continue
            if part.op in _OF_WEIGHTS:
                raise UnsupportedError(
                    f"{self.what}: products with weights and rows of tables are made by layers: put one at the end of "
                    "the model."
                )
            inner = tuple(self._stored(a) for a in part.args)
            if part.op == "dot":
                inner = tuple(self._padded(name) for name in inner)
            self._add(self.names.new(f"{self.name}_{part.op}"), part.op, inner, part, part.shape[1:])
        reached = [a for a in topological([x], self.known) if a in self.known]
        inputs = list(dict.fromkeys(self.known[a] for a in reached))
        shape = self._rows([n for n in self.nodes if n.name in inputs])
        aim = Node(self.names.new(f"{self.name}_aim"), "formula", tuple(inputs), shape, self.what, x, ())
        late = {n.name for n in self.nodes[len(self.graph.nodes) :]}
        return replace(
            self.graph,
            nodes=tuple(self.nodes),
            aims=(*self.graph.aims, (number, aim)),
            late=self.graph.late | late,
        )

    def _add(self, name: str, op: str, inputs: tuple[str, ...], x: Expression, sizes: Sequence[int | None]) -> str:
        shape = tuple(n or 0 for n in sizes)
        if x.level == ROW and x.op != "expand":
            shape = (*shape, 1)
        self.known[x] = name
        self.known.setdefault(resolved(x), name)
        self.nodes.append(Node(name, op, inputs, shape, self.what, x, ()))
        return name

    def _stored(self, x: Expression) -> str:
        """A value that is to be put in other places, or multiplied: it is stored first."""
        x = x.args[0] if x.op == "expand" else x
        if x in self.known:
            return self.known[x]
        if crosses_rows(x, self.known):
            raise UnsupportedError(
                f"{self.what}: sums over the batch are part of what is put in other places, or multiplied. Rearrange "
                "the outputs and targets first, and take the sums behind that."
            )
        reached = [a for a in topological([x], self.known) if a in self.known]
        inputs = tuple(dict.fromkeys(self.known[a] for a in reached))
        self._rows([n for n in self.nodes if n.name in inputs])
        return self._add(self.names.new(f"{self.name}_part"), "formula", inputs, x, x.shape[1:])

    def _padded(self, name: str) -> str:
        """What a product reads has whole panels of columns, which what an output should be has not: it is copied."""
        (node,) = (n for n in self.nodes if n.name == name)
        if node.op != "target":
            return name
        copy = ops.node("reshape", (node.expression,), level=ELEMENT, shape=node.expression.shape)
        return self.known.get(copy) or self._add(self.names.new(f"{name}_copy"), "reshape", (name,), copy, node.shape)

    def _rows(self, inputs: Sequence[Node]) -> tuple[int, ...]:
        """The rows of a formula, which those of its values must be."""
        rows = [n for n in inputs if not n.per_feature]
        positions = {n.positions for n in rows}
        features = {n.features for n in rows} - {1}
        if len(positions) > 1 or len(features) > 1:
            shapes = " and ".join(str((None, *n.shape)) for n in rows)
            raise UnsupportedError(
                f"{self.what}: values in rows of shapes {shapes} meet in it, each of which is reduced over an axis of "
                "its own. Give the outputs a loss each, or add_loss in a layer."
            )
        return (math.prod(positions), math.prod(features))


def computed_by_rows(call: Any, shape: Sequence[int | None], labels: bool = False) -> bool:
    """Whether a metric of an output of a shape is a formula over its rows.

    Args:
        call: its formula, of targets and outputs.
        shape: of the output.
        labels: whether the targets are a number for each row.
    """
    output = ops.symbol("y_pred", ELEMENT, tuple(shape))
    target = ops.symbol("label", ROW, tuple(shape[:-1])) if labels else ops.symbol("y_true", ELEMENT, tuple(shape))
    traced = trace(call, target, output)
    return not isinstance(traced, Expression) or _is_of_rows(traced, "metric", output)


def seen_by(loss: Any, shape: Sequence[int | None]) -> Sequence[int | None]:
    """The shape of an output in whose rows a loss makes a value of each, or one that all have in common."""
    if loss is None or len(shape) < 3:
        return shape
    given, output = Supervision(loss, labels=loss.sparse_labels), ops.symbol("y_pred", ELEMENT, tuple(shape))
    traced = trace(loss.call, target_symbol(given, output), output)
    if isinstance(traced, Expression) and traced.level == ROW and traced.shape[:1] == (None,):
        return shape if traced.shape == output.shape[:-1] else (*traced.shape, 1)
    node = Node("y_pred", "input", (), tuple(n or 0 for n in shape[1:]), "", output, ())
    aim = extended(Graph("", (node,), (node.name,), (), False), [given], ["y_true"]).aim(0)
    return shape if aim is None else (None, *aim.shape)


__all__ = ["computed_by_rows", "extended", "seen_by", "target_symbol"]
