"""Stage 2: from a Graph to a Program. After this nothing is decided.

The graph's formulas are computed where that costs least: on the tiles of a product
while these are in the first-level cache, together with the loss, or over rows in memory
(:class:`Flow`, one for training and one for inference). Gradients go the other way
(:class:`Backwards`): what takes a value contributes to its gradient, and when all have,
it goes on through the formula, on the tiles of a product again if it can.

Rewrites across layers are functions of this module: :func:`fuse_cross_entropy`.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from .. import ops
from ..errors import ModelError, UnsupportedError
from ..ops import ELEMENT, ROW, UNIFORM, Expression
from ..ops.arrays import Arrangement, Piece
from ..targets import Target
from . import sweeps, updates
from .expression import Names, differentiate, identifier, operands, resolved, topological, trace
from .graph import RESERVED, Graph, Node, Penalty, Weight, on_numbers, per_feature
from .program import (
    Backward,
    Buffer,
    Columns,
    Copy,
    Formula,
    Forward,
    Input,
    Loss,
    Matrix,
    Operand,
    Optimization,
    Output,
    Panels,
    Program,
    Rows,
    Scatter,
    Statistic,
    Step,
    Supervision,
    Take,
    Targets,
    Training,
    Update,
    Vector,
)

# ------------------------------------------------------------------ rewrites across layers


def fuse_cross_entropy(loss: Any, output: Expression) -> tuple[Any, Expression]:
    """Softmax or sigmoid with its cross-entropy becomes one stable step from the logits.

    Returns:
        The loss and the value to give it: the form from logits and the logits where
        ``output`` is the activation that the loss fuses with, else what came in.
    """
    wanted = getattr(loss, "fuses_with", None)
    if wanted == "sigmoid" and output.op == "sigmoid":
        return loss.logits_form(), output.args[0]
    if wanted == "softmax" and output.op == "divide":
        e = resolved(output.args[0])
        if e.op == "exp" and e.args[0].op == "subtract":
            logits = resolved(e.args[0].args[0])
            if resolved(ops.softmax(logits)) is output:
                return loss.logits_form(), logits
    return loss, output


# ------------------------------------------------------------------ memory


def plan(lifetimes: Mapping[str, tuple[int, int]], sizes: Mapping[str, int]) -> tuple[dict[str, int], int]:
    """Gives each buffer a place such that two which live at one time never overlap.

    Args:
        lifetimes: first and last step that uses a buffer.
        sizes: numbers per sample.

    Returns:
        The offsets, and the size of it all.
    """
    offsets: dict[str, int] = {}
    for name in sorted(lifetimes, key=lambda n: (-sizes[n], lifetimes[n], n)):
        first, last = lifetimes[name]
        taken = sorted(
            (offsets[o], offsets[o] + sizes[o]) for o in offsets if lifetimes[o][0] <= last and first <= lifetimes[o][1]
        )
        place = 0
        for start, end in taken:
            if place + sizes[name] <= start:
                break
            place = max(place, end)
        offsets[name] = place
    return offsets, max((offsets[n] + sizes[n] for n in offsets), default=0)


def _lifetimes(steps: Sequence[Step], inputs: Sequence[str]) -> dict[str, tuple[int, int]]:
    result: dict[str, tuple[int, int]] = {name: (0, 0) for name in inputs}
    for number, step in enumerate(steps):
        for name in step.uses():
            if name not in ("y", "target"):
                first, _ = result.get(name, (number, number))
                result[name] = (first, number)
    return result


# ------------------------------------------------------------------ helpers


def _per_row(x: Any, what: str) -> Expression:
    """A loss or metric as one value per row, the outputs averaged."""
    if not isinstance(x, Expression):
        raise ModelError(f"{what}: expected a formula over nncompile.ops, received {type(x).__name__}.")
    if x.level == ELEMENT:
        x = ops.mean(x, axis=-1)
    if x.level < ROW:
        raise ModelError(f"{what}: expected a value per sample, received one that depends on no sample.")
    row: Expression = x.args[0] if x.op == "expand" else x
    return row


def _stem(node: Node) -> str:
    """``dense`` for the node ``dense_product``."""
    return node.name.removesuffix("_product")


_SAYS = {
    "matmul": "x . kernel",
    "reshape": "in new rows",
    "arrange": "in new places",
    "take": "rows of the weight",
    "formula": "its value",
    "row": "its column",
    "batch_mean": "means over the batch",
    "vector": "numbers per feature",
}


def _says(node: Node) -> str:
    if node.op == "input":
        return "the input" if node.layer == "input" else node.layer
    return f"{node.layer}: {_SAYS[node.op]}"


def _sum(values: Sequence[Expression]) -> Expression:
    total = values[0]
    for x in values[1:]:
        total = total + x
    return total


Leaves = dict[Expression, Operand]


def _back_in_rows(size: int) -> Arrangement:
    """Numbers that only begin new rows."""
    return Arrangement((Piece(0, (size,), 0, (1,), 0, (1,)),), True, (True,))


# ------------------------------------------------------------------ the planner


class Planner:
    """Makes the program of one network for one target.

    Args:
        inference_graph: the network as it predicts.
        target: the processor.
        real: ``float`` or ``double``.
        training_graph: the network as it trains; None for a program that only predicts.
        trains: whether there is an optimizer.
    """

    def __init__(
        self, inference_graph: Graph, target: Target, real: str, training_graph: Graph | None, trains: bool
    ) -> None:
        self.target, self.real = target, real
        self.lanes = max(target.vector_bytes // (8 if real == "double" else 4), 1)
        self.panel = self.lanes * target.panel_vectors
        self.half = self.lanes * max(target.panel_vectors // 2, 1)
        graphs = [g for g in (training_graph, inference_graph) if g]
        self.low = {
            n.weights[0]
            for g in graphs
            for n in g.nodes
            if n.op == "matmul" and resolved(n.expression.args[0]).op == "bfloat16"
        }
        self.all_weights = self._all_weights(graphs)
        self.weights = {w.name: w for w in self.all_weights}
        self.by_variable = {id(w.variable): w for w in self.all_weights}
        for w in self.all_weights:
            if len(w.shape) > 2:
                raise UnsupportedError(f"{w.name}: weights of shape {w.shape} are not supported.")
        nodes = [n for g in graphs for n in g.nodes]
        self.names = Names({*RESERVED, *self.weights, *(n.name for n in nodes), *map(_stem, nodes)})
        self.gradient_names: dict[str, str] = {}
        self.buffers: dict[str, tuple[int, int, str]] = {}
        self.statistics: dict[str, tuple[int, str]] = {}
        self.noises: list[ops.Noise] = []
        self.trains, self.captures = trains, False
        self.low_inputs = {n.name for n in graphs[0].inputs if all(self._only_rounded(g, n.name) for g in graphs)}
        self.inference = Flow(self, inference_graph, {})
        self.training = self.inference
        if training_graph is not None:
            self.training = Flow(self, training_graph, {})
            self.inference = Flow(self, inference_graph, self._fed_alike(training_graph, inference_graph))

    @staticmethod
    def _all_weights(graphs: Sequence[Graph]) -> tuple[Weight, ...]:
        """The weights of all graphs, in the order of the first; those of others alone follow."""
        found = {id(w.variable): w for w in graphs[0].weights}
        names = Names({w.name for w in graphs[0].weights})
        for graph in graphs[1:]:
            for w in graph.weights:
                if id(w.variable) not in found:
                    found[id(w.variable)] = replace(w, name=names.new(w.name))
        return tuple(found.values())

    @staticmethod
    def _only_rounded(graph: Graph, name: str) -> bool:
        """Whether all that is done with an input is to round it: then that is done where samples are taken in."""
        takers = [n for n in graph.nodes if name in n.inputs]
        leaf = graph.node(name).expression
        return (
            len(takers) == 1
            and name not in graph.outputs
            and takers[0].name not in graph.outputs
            and resolved(takers[0].expression).op == "bfloat16"
            and resolved(takers[0].expression).args[0] is leaf
            and not any(name in p.node.inputs for p in graph.penalties)
        )

    @staticmethod
    def _fed_alike(training: Graph, inference: Graph) -> dict[str, str]:
        """What values of inference are called so that products find their inputs where they are in training."""
        wishes: dict[str, set[str]] = {}
        trained = {n.name: n for n in training.nodes if n.op == "matmul"}
        for n in inference.nodes:
            for name in n.inputs:
                source = trained.get(n.name)
                same = n.op == "matmul" and source is not None
                wishes.setdefault(name, set()).add(source.inputs[0] if same and source else name)
        taken = {n.name for n in inference.nodes}
        result: dict[str, str] = {}
        for name, wished in wishes.items():
            (wish, *others), node = sorted(wished), inference.node(name)
            if others or wish == name or wish in taken or wish in result.values() or name in inference.outputs:
                continue
            if node.op in ("formula", "matmul") and training.node(wish).shape == node.shape:
                result[name] = wish
        return result

    def panels(self, columns: int) -> Panels:
        """How so many columns are cut; a narrow panel is half as wide."""
        full, rest = divmod(-(-columns // self.half) * self.half, self.panel)
        return Panels(full + (rest > 0), full, self.panel, rest)

    def stride(self, columns: int) -> int:
        """Numbers from a row to the next.

        Long rows are an odd number of cache lines apart: rows that begin at multiples of a
        large power of two would all want the same few lines of a cache.
        """
        padded = self.panels(columns).padded
        line = 64 // (8 if self.real == "double" else 4)
        return padded if padded < 16 * line else (-(-padded // line) | 1) * line

    def buffer(self, name: str, node: Node, comment: str) -> str:
        """Memory for a value of the shape of a node; another name if there is one of another shape."""
        shape = (node.positions, node.features)
        if name in self.buffers and self.buffers[name][:2] != shape:
            name = self.names.new(name)
        self.buffers.setdefault(name, (*shape, comment))
        return name

    def statistic(self, name: str, columns: int, comment: str) -> str:
        self.statistics.setdefault(name, (columns, comment))
        return name

    def d(self, key: str) -> str:
        """The name of the gradient of a value, which no layer has: ``d_dense`` for ``dense``."""
        if key not in self.gradient_names:
            self.gradient_names[key] = self.names.new(f"d_{key}")
        return self.gradient_names[key]

    def matrix(self, name: str) -> Matrix:
        weight = self.weights[name]
        inputs, outputs = weight.shape
        return Matrix(name, inputs, outputs, self.panels(outputs), weight.trainable, name in self.low)

    def vector(self, name: str) -> Vector:
        length = self.weights[name].shape[0] if self.weights[name].shape else 1
        return Vector(name, length, self.panels(length).padded, self.weights[name].trainable)

    def leaf(self, x: Expression) -> Operand | None:
        """Where a leaf is found that is no value of a layer."""
        if x.op == "weight":
            return Operand("vector" if x.level == ELEMENT else "number", self.by_variable[id(x.value)].name)
        if x.op == "noise":
            return Operand("noise", str(self._noise(x.value)))
        return None

    def formula(
        self,
        stores: Sequence[tuple[str, Expression]],
        leaves: Mapping[Expression, Operand],
        comment: str,
        results: Sequence[tuple[str, Expression]] = (),
    ) -> Formula:
        """Finds the leaves of a formula; those in ``leaves`` are not looked behind."""
        return Formula(tuple(stores), self.found([v for _, v in (*stores, *results)], leaves), comment, tuple(results))

    def found(
        self, values: Sequence[Expression], leaves: Mapping[Expression, Operand]
    ) -> tuple[tuple[Expression, Operand], ...]:
        """The leaves that are needed for some values."""
        result: Leaves = {}
        for x in topological([resolved(v) for v in values], leaves):
            where = leaves.get(x) or self.leaf(x)
            if where is not None:
                result[x] = where
        return tuple(result.items())

    def _noise(self, source: ops.Noise) -> int:
        """The number of a source of random numbers."""
        if source not in self.noises:
            self.noises.append(source)
        return self.noises.index(source)

    # ---------------------------------------------------------------- forward

    def forward(self) -> list[Step]:
        """The steps from the inputs to what the last formulas are about."""
        if self.training is self.inference:
            return [as_done(s, "inference") for s in self.inference.forward(keeps=False)]
        trained = self.training.forward(keeps=self.trains)
        predicted = self.inference.forward(keeps=False)
        return _merged(trained, predicted, self.names)

    def assignments(self) -> list[Columns]:
        """What training sets beside the weights that are trained."""
        made = []
        for name, node in self.training.graph.assignments:
            vector = self.vector(name)
            if self.weights[name].shape not in ((vector.length,), ()):
                raise UnsupportedError(f"{name}: a formula sets weights of one axis, received {node.shape}.")
            leaves = self.training.leaves(node)
            root = resolved(node.expression)
            if root.level > UNIFORM and (not per_feature(root) or root.shape != (vector.length,)):
                raise ModelError(
                    f"{node.layer}: {name} is set to values of shape {root.shape}; expected ({vector.length},), "
                    "made of weights and of means over the batch (ops.batch_mean)."
                )
            found = self.found([root], leaves)
            made.append(
                Columns(
                    self.names.new(f"{name}_next"), 1, vector.length, (), ((name, root),), found,
                    f"{node.layer}: {name} after a step of training", True, "training",
                )
            )  # fmt: skip
        return made

    def outputs(self) -> list[Output]:
        """The last formulas, to the user's memory."""
        made = []
        flows = (self.training, self.inference)
        for number, ended in enumerate(self.inference.graph.outputs):
            node = self.inference.graph.node(ended)
            out: list[Formula] = []
            captured = None
            for flow in flows:
                end = flow.graph.node(flow.graph.outputs[number])
                out.append(self.formula([("y", flow.root(end))], flow.end_leaves(end), end.layer))
            if self.captures:
                name = self._numbered("captured", number)
                captured = Rows(name, node.positions, node.features, out[0], out[1], node.layer)
            says = f"{node.layer}: the output"
            rows = Rows(self._numbered("output", number), node.positions, node.features, None, out[1], says)
            made.append(Output(rows.name, node.positions, node.features, rows, captured))
        return made

    def _numbered(self, name: str, number: int) -> str:
        """A name for each output: itself where there is one."""
        return name if len(self.inference.graph.outputs) == 1 else f"{name}_{number + 1}"

    # ---------------------------------------------------------------- loss

    def losses(self, training: Training) -> list[Loss]:
        """For each output the last formula, the loss, its gradient and the metrics, and all penalties."""
        made = []
        backward = self.backward_pass = Backwards(self, self.training) if self.trains else None
        several = len(training.outputs) > 1
        penalties = len(self.training.graph.penalties)
        for number, given in enumerate(training.outputs):
            if given.loss is None and not given.metrics:
                continue
            made.append(self._loss(number, given, several or penalties > 0, backward))
        for trained, predicted in zip(
            self.training.graph.penalties, _padded(self.inference.graph.penalties, penalties), strict=True
        ):
            made.append(self._penalty(trained, predicted, backward))
        return made

    def _loss(self, number: int, given: Supervision, several: bool, backward: Backwards | None) -> Loss:
        name = getattr(given.loss, "name", None) or type(given.loss).__name__
        own = given.name if several and given.name else self._numbered("", number)
        total = f"{identifier(own)}_loss" if several else "loss"
        target, weight = self._numbered("target", number), self._numbered("weight", number)
        forms, totals = [], list[str]()
        for flow, training in ((self.training, True), (self.inference, False)):
            node = flow.graph.node(flow.graph.outputs[number])
            shape = node.expression.shape
            y_true = ops.symbol("label", ROW, shape[:-1]) if given.labels else ops.symbol("y_true", ELEMENT, shape)
            scale = ops.symbol("scale", UNIFORM)
            leaves = {
                **flow.end_leaves(node),
                y_true: Operand("labels" if given.labels else "buffer", target),
                scale: Operand("number", "scale"),
            }
            factor = None
            if given.weighted:
                factor = ops.symbol("weight", ROW, shape[:-1])
                leaves[factor] = Operand("weight", weight)
            output, results, seed = flow.value(node), list[tuple[str, Expression]](), scale
            per_row = None
            if given.loss is not None:
                fused, value = fuse_cross_entropy(given.loss, output)
                per_row = _per_row(trace(fused.call, y_true, value), f"loss {name!r}")
                results.append((total, per_row if factor is None else per_row * factor))
                seed = scale if factor is None else scale * factor
            for key, metric, weighted in given.metrics:
                measured = _per_row(trace(metric.call, y_true, flow.root(node)), f"metric {metric.name!r}")
                if weighted and factor is not None:
                    results += [(key, measured * factor), (f"{key}_weights", factor)]
                else:
                    results.append((key, measured))
            stores: list[tuple[str, Expression]] = []
            if training and backward is not None and per_row is not None:
                backward.from_loss(node, per_row, seed, leaves, stores)
            comment = f"{name} of {node.layer}" if given.loss is not None else f"metrics of {node.layer}"
            forms.append(self.formula(stores, leaves, comment, results))
            totals = [key for key, _ in results]
        node = self.training.graph.node(self.training.graph.outputs[number])
        rows = Rows(
            total if given.loss is not None else self._numbered("metrics", number),
            node.positions, node.features, forms[0], forms[1], forms[0].comment,
        )  # fmt: skip
        columns = 1 if given.labels else given.columns
        stride = 1 if given.labels else -(-columns // self.lanes) * self.lanes
        supervised = Targets(
            target, number, given.labels, node.positions, columns, stride, weight if given.weighted else ""
        )
        reduction = str(getattr(given.loss, "reduction", ""))
        mean = {"sum": "sum", REDUCED_BY_WEIGHTS: "weights" if given.weighted else "mean"}.get(reduction, "mean")
        return Loss(
            rows.name, rows, supervised, total if given.loss is not None else "", tuple(totals), mean, given.factor
        )

    def _penalty(self, trained: Penalty, predicted: Penalty, backward: Backwards | None) -> Loss:
        forms = []
        for flow, penalty, training in ((self.training, trained, True), (self.inference, predicted, False)):
            node = penalty.node
            scale = ops.symbol("scale", UNIFORM)
            leaves = {**flow.leaves(node), scale: Operand("number", "scale")}
            value = node.expression if node.expression.level != ELEMENT else ops.sum(node.expression, axis=-1)
            value = value.args[0] if value.op == "expand" else value
            stores: list[tuple[str, Expression]] = []
            if training and backward is not None:
                backward.through(node, value, scale, leaves, stores)
            forms.append(self.formula(stores, leaves, f"penalty of {node.layer}", [(penalty.name, value)]))
        of = [self.training.graph.node(n) for n in trained.node.inputs]
        width, positions = max(n.features for n in of), max(n.positions for n in of)
        rows = Rows(trained.name, positions, width, forms[0], forms[1], forms[0].comment)
        return Loss(trained.name, rows, None, trained.name, (trained.name,), "samples", 1.0)

    # ---------------------------------------------------------------- backward

    def backward(self) -> list[Step]:
        """From the gradients of the last products back to the first weight that is trained."""
        assert self.backward_pass is not None
        return self.backward_pass.steps()


REDUCED_BY_WEIGHTS = "mean_with_sample_weight"


def _padded(penalties: Sequence[Penalty], count: int) -> Sequence[Penalty]:
    if len(penalties) != count:
        raise ModelError(f"add_loss: expected as many calls in training as in inference, {len(penalties)} and {count}.")
    return penalties


def as_done(step: Step, when: str) -> Step:
    """A step as it is done in one mode only."""
    if isinstance(step, (Forward, Rows)):
        formula = step.training or step.inference
        trained = formula if when == "training" else None
        return replace(step, training=trained, inference=formula if trained is None else None)
    assert isinstance(step, (Copy, Take, Columns))
    return replace(step, when=when)


def _merged(trained: Sequence[Step], predicted: Sequence[Step], names: Names) -> list[Step]:
    """The steps of training and those of inference, each once; what both do in the same way is one step."""

    def key(step: Step) -> Any:
        if isinstance(step, (Forward, Rows)):
            return replace(step, training=None, inference=None, comment="")
        return step

    waiting = list(predicted)
    taken = {s.name for s in trained}
    result: list[Step] = []

    def alone(step: Step) -> Step:
        name = step.name if step.name not in taken else names.new(f"{step.name}_inference")
        return replace(as_done(step, "inference"), name=name)

    for step in trained:
        place = next((i for i, other in enumerate(waiting) if key(other) == key(step)), None)
        if place is None:
            result.append(as_done(step, "training"))
            continue
        result += map(alone, waiting[:place])
        other = waiting[place]
        if isinstance(step, (Forward, Rows)) and isinstance(other, (Forward, Rows)):
            step = replace(step, inference=other.training)
        result.append(step)
        waiting = waiting[place + 1 :]
    return [*result, *map(alone, waiting)]


# ------------------------------------------------------------------ forward, in one mode


class Flow:
    """The forward pass of one graph: where each value is, and the steps that make it.

    The formula behind a product is computed while the product is in the first-level cache,
    if nothing else wants the product and the formula works number by number. One that only
    the loss and the user want is left to those.

    Args:
        planner: for names and memory.
        graph: the network.
        called: names of values whose memory is called otherwise.
    """

    def __init__(self, planner: Planner, graph: Graph, called: Mapping[str, str]) -> None:
        self.planner, self.graph, self.called = planner, graph, called
        self.takers: dict[str, list[str]] = {n.name: [] for n in graph.nodes}
        also = [node for _, node in graph.assignments] + [p.node for p in graph.penalties]
        for n in (*graph.nodes, *also):
            for name in n.inputs:
                self.takers[name].append(n.name)
        self.open = {
            n.name
            for n in graph.nodes
            if n.op == "formula" and not self.takers[n.name] and graph.outputs.count(n.name) == 1
        }
        self.by_expression: dict[Expression, Node] = {}
        for n in graph.nodes:
            self.by_expression[n.expression] = n
            self.by_expression.setdefault(resolved(n.expression), n)
        self.at: dict[str, Operand] = {}
        self.kept: dict[str, Leaves] = {}
        """What backward finds of a formula on a tile, as the product itself is nowhere."""
        self.steps: list[Step] = []

    def root(self, node: Node) -> Expression:
        """What is computed."""
        return resolved(node.expression)

    def value(self, node: Node) -> Expression:
        """What the loss is about: the formula if it is open, or the value that is stored."""
        return node.expression

    def inputs(self, node: Node) -> list[Node]:
        return [self.graph.node(name) for name in dict.fromkeys(node.inputs)]

    def leaves(self, node: Node) -> Leaves:
        """Where what a formula is about is found, for whoever computes it from memory."""
        found: Leaves = {}
        for n in self.inputs(node):
            for x in (n.expression, resolved(n.expression)):
                found[x] = self.at[n.name]
        return found

    def end_leaves(self, node: Node) -> Leaves:
        """The same for an output: it is a leaf itself if it is stored."""
        if node.name in self.open:
            return self.leaves(node)
        return {x: self.at[node.name] for x in (node.expression, resolved(node.expression))}

    def _put(self, node: Node) -> str:
        """Memory for a value."""
        name = self.planner.buffer(self.called.get(node.name, node.name), node, _says(node))
        self.at[node.name] = Operand("column" if resolved(node.expression).level == ROW else "buffer", name)
        return name

    def forward(self, keeps: bool) -> list[Step]:
        """The steps; formulas stand as those of training.

        Args:
            keeps: whether a backward pass follows.
        """
        waiting: dict[str, Node] = {}  # products whose formula comes
        for node in self.graph.nodes:
            if node.op == "input":
                self._put(node)
            elif node.op == "matmul":
                takers = self.takers[node.name]
                if len(takers) == 1 and self._fuses(takers[0], node):
                    waiting[node.name] = node
                else:
                    self._product(node, node, {}, [])
            elif node.op in ("reshape", "arrange"):
                self._copy(node)
            elif node.op == "take":
                (source,), matrix = self.inputs(node), self.planner.matrix(node.weights[0])
                indices = self.at[source.name].name
                comment = f"{node.layer}: rows of {matrix.inputs} of {matrix.outputs}"
                self.steps.append(Take(node.name, matrix, indices, self._put(node), comment))
            elif node.op == "row":
                self.at[node.name] = Operand("column", self.at[node.inputs[0]].name)
            elif node.per_feature:
                self._columns(node)
            elif node.name not in self.open:
                self._formula(node, waiting, keeps)
        return self.steps

    def _fuses(self, taker: str, product: Node) -> bool:
        """Whether the one that takes a product is a formula that can be computed on its tiles."""
        found = [n for n in self.graph.nodes if n.name == taker]
        if not found or found[0].op != "formula" or taker in self.open or product.name in self.graph.outputs:
            return False
        return self._primary(found[0]) is product

    def _primary(self, node: Node) -> Node | None:
        """The product on whose tiles a formula is computed: the last that nobody else wants."""
        leaves = [n.expression for n in self.inputs(node)] + [resolved(n.expression) for n in self.inputs(node)]
        if self.root(node).level != ELEMENT or not on_numbers([self.root(node)], leaves):
            return None
        if self.root(node) in leaves:
            return None
        alone = [
            n
            for n in self.inputs(node)
            if n.op == "matmul" and self.takers[n.name] == [node.name] and n.name not in self.graph.outputs
        ]
        return alone[-1] if alone else None

    def _product(self, product: Node, node: Node, leaves: Leaves, extra: Sequence[tuple[str, Expression]]) -> None:
        stored = self._put(node)
        matrix = self.planner.matrix(product.weights[0])
        leaves = {**leaves, product.expression: Operand("tile", "product")}
        root = self.root(node) if node is not product else product.expression
        formula = self.planner.formula([(stored, root), *extra], leaves, node.layer)
        comment = f"{product.layer}: {matrix.inputs} -> {matrix.outputs}"
        x = self.at[product.inputs[0]].name
        self.steps.append(Forward(_stem(product), matrix, x, product.positions, formula, None, comment))

    def _copy(self, node: Node) -> None:
        sources = tuple(self.at[name].name for name in node.inputs)
        if node.op == "reshape":
            comment, how = f"{node.layer}: the numbers of a sample in new rows", _back_in_rows(math.prod(node.shape))
        else:
            comment, how = f"{node.layer}: numbers of a sample in other places", node.expression.value
        self.steps.append(Copy(node.name, sources, self._put(node), how, comment))

    def _columns(self, node: Node) -> None:
        name = self.planner.statistic(node.name, node.shape[0], _says(node))
        self.at[node.name] = Operand("statistic", name)
        leaves = self.leaves(node)
        if node.op == "batch_mean":
            root = resolved(node.expression.args[0])
            positions = max(n.positions for n in self.inputs(node) if not n.per_feature)
            total = self.planner.statistic(self.planner.names.new(f"{name}_sum"), node.shape[0], f"sum for {name}")
            symbol, count = ops.symbol(total, ELEMENT, node.shape), ops.symbol("count", UNIFORM)
            of = dict(self.planner.found([root], leaves))
            of |= {symbol: Operand("statistic", total), count: Operand("number", _count(positions))}
            sums, mean = ((total, root),), ((name, symbol / count),)
            self.steps.append(Columns(node.name, positions, node.shape[0], sums, mean, tuple(of.items()), _says(node)))
            return
        root = self.root(node)
        found = self.planner.found([root], leaves)
        last = self.steps[-1] if self.steps else None
        if isinstance(last, Columns) and last.columns == node.shape[0]:  # all of them are for one column
            both = tuple({**dict(last.leaves), **dict(found)}.items())
            self.steps[-1] = replace(last, derived=(*last.derived, (name, root)), leaves=both)
        else:
            self.steps.append(Columns(node.name, 1, node.shape[0], (), ((name, root),), found, _says(node)))

    def _formula(self, node: Node, waiting: Mapping[str, Node], keeps: bool) -> None:
        inner = self.inputs(node)
        same = [n for n in inner if resolved(n.expression) is self.root(node)]
        if same:  # it only looks different
            self.at[node.name] = self.at[same[0].name]
            return
        if len(inner) == 1 and inner[0].name in self.planner.low_inputs:
            self.at[node.name] = self.at[inner[0].name]
            return
        product = next((waiting[n.name] for n in reversed(inner) if n.name in waiting), None)
        others: Leaves = {}
        for n in inner:
            if n is not product:
                others |= {x: self.at[n.name] for x in (n.expression, resolved(n.expression))}
        if product is None:
            stored = self._put(node)
            formula = self.planner.formula([(stored, self.root(node))], others, node.layer)
            width = max([node.features, *(n.features for n in inner)])
            name = f"{node.name}_rows"
            self.steps.append(Rows(name, node.positions, width, formula, None, node.layer))
            return
        extra = []
        if keeps:
            kept = self._keep(node, product, others)
            self.kept[node.name] = kept
            extra = [(o.name, x) for x, o in kept.items() if o.name != node.name]
        self._product(product, node, others, extra)

    def _keep(self, node: Node, product: Node, others: Leaves) -> Leaves:
        """Decides what the backward pass of a formula on tiles loads.

        It is differentiated once to see which of its values the gradient is stated in. If
        that is at most one beside the stored result they are kept; otherwise one value
        that all of them can be computed from again.
        """
        root, leaf = self.root(node), product.expression
        inside = [x for x in _above(topological([root], [leaf, *others]), [leaf]) if x is resolved(x)]
        seed = ops.symbol("g", ELEMENT, root.shape)
        wanted = [leaf, *(x for x in others if not self.by_expression[x].per_feature), *self.vectors(node)]
        gradients = differentiate(node.expression, seed, wanted, others)
        met = _met_first([g for g in gradients if g is not None], set(inside))
        name = self.planner.buffer(node.name, node, _says(node))
        kept = {root: Operand("buffer", name)}
        if root.op == "bfloat16":  # what is rounded for the next product serves backward as well
            kept[root.args[0]] = kept[root]
        met = [x for x in met if x not in kept]
        if len(met) > 1:
            # later values of the topological order are nearer to the result: the last that serves
            met = [next(x for x in reversed(inside) if leaf not in topological(met, [x]) or x is leaf)]
        for x in met:
            wish = f"{_stem(product)}_{identifier(x.name) if x.name and x is not leaf else 'kept'}"
            where = self.planner.buffer(self.planner.names.new(wish), node, f"{node.layer}: kept for backward")
            kept[x] = Operand("buffer", where)
        return kept

    def vectors(self, node: Node, below: Expression | None = None) -> list[Expression]:
        """The weights that a formula uses, of one number per feature or single ones."""
        stops = {x for n in self.inputs(node) for x in (n.expression, resolved(n.expression))}
        root = self.root(node) if below is None else below
        return [x for x in topological([root], stops) if x.op == "weight"]


def _above(order: Sequence[Expression], leaves: Iterable[Expression]) -> list[Expression]:
    """Those values of a topological order that are computed from one of ``leaves``, these included."""
    found = set(leaves)
    for x in order:
        if any(a in found for a in operands(x)):
            found.add(x)
    return [x for x in order if x in found]


# ------------------------------------------------------------------ backward


@dataclass
class _Pending:
    """The gradient of the input of a product, which is not computed yet: a formula may still join it.

    Attributes:
        product: the product.
        dy: memory of its own gradient.
        after: steps that follow.
    """

    product: Node
    dy: str
    after: list[Step]


class Backwards:
    """The backward pass: contributions to the gradient of each value, from the last to the first.

    A contribution is an expression over what is in memory, or a product that is about to
    be computed. When all that take a value have contributed, the gradient goes on through
    it: on the tiles of that product if it can.

    Args:
        planner: for names and memory.
        flow: the forward pass of training.
    """

    def __init__(self, planner: Planner, flow: Flow) -> None:
        self.planner, self.flow, self.graph = planner, flow, flow.graph
        self.made: list[Step] = []
        self.late: list[Step] = []
        """Updates of weights that formulas may read until the end."""
        self.parts: dict[str, list[tuple[Expression, Leaves]]] = {n.name: [] for n in self.graph.nodes}
        self.sums: dict[str, list[tuple[Expression, Leaves]]] = {}
        """What is summed over all rows for the gradients of numbers per feature."""
        self.pending: dict[str, _Pending] = {}
        self.vectors: dict[str, list[tuple[Vector, str, bool]]] = {}
        """Of each source: weights of the formula on it, and where their gradients are."""
        self.biases: dict[str, list[tuple[Node, Expression]]] = {}
        """Of each product: weights that have the same gradient, and the formulas that use them."""
        self.rounded: set[str] = set()
        """Gradients that are stored rounded to bfloat16."""
        self.wants: dict[str, bool] = {}
        for n in self.graph.nodes:
            own = any(planner.weights[w].trainable for w in n.weights)
            self.wants[n.name] = own or any(self.wants[i] for i in n.inputs)

    def _trained(self, root: Expression, known: Iterable[Expression]) -> list[Expression]:
        """The weights that a formula uses and the optimizer changes."""
        weights = [x for x in topological([root], known) if x.op == "weight"]
        return [x for x in weights if self.planner.by_variable[id(x.value)].trainable]

    def _known(self, node: Node) -> list[Expression]:
        return [x for n in self.flow.inputs(node) for x in (n.expression, resolved(n.expression))]

    def _is_low(self, node: Node) -> bool:
        """Whether a source is a product of numbers that are rounded to bfloat16."""
        return node.op == "matmul" and resolved(node.expression.args[0]).op == "bfloat16"

    def _space(self, key: str, like: Node, comment: str) -> str:
        """New memory for a gradient."""
        name = self.planner.d(key)
        if name in self.planner.buffers:
            name = self.planner.names.new(name)
        return self.planner.buffer(name, like, comment)

    def _memory(self, name: str, x: Expression) -> tuple[Expression, Leaves]:
        """A leaf for a value like ``x`` that is in memory."""
        symbol = ops.symbol("g", ROW if x.level == ROW else ELEMENT, x.shape)
        return symbol, {symbol: Operand("column" if x.level == ROW else "buffer", name)}

    # ---------------------------------------------------------------- through a formula

    def from_loss(
        self, node: Node, per_row: Expression, seed: Expression, leaves: Leaves, stores: list[tuple[str, Expression]]
    ) -> None:
        """Begins at a loss: what it stores beside its results."""
        if not self.wants[node.name]:
            return
        if node.name in self.flow.open:
            self.through(node, per_row, seed, leaves, stores)
            return
        (g,) = differentiate(per_row, seed, [node.expression])
        if g is not None:
            g = _spread(g, node.expression.shape)
            low = self._is_low(node) and self.flow.takers[node.name] == []
            where = self._space(node.name, node, f"gradient of {node.name}")
            stores.append((where, ops.bfloat16(g) if low else g))
            self.rounded |= {where} if low else set()
            self.parts[node.name].append(self._memory(where, node.expression))

    def through(
        self, node: Node, value: Expression, seed: Expression, leaves: Leaves, stores: list[tuple[str, Expression]]
    ) -> list[Step]:
        """Takes a gradient on to what a formula is about.

        Args:
            node: the formula.
            value: what is differentiated: the formula, or the loss on it.
            seed: its gradient, over ``leaves``.
            leaves: where what the formula is about is found.
            stores: receives (buffer, expression) of what must be computed now.

        Returns:
            Steps that follow.
        """
        known = self._known(node)
        wanted = [n for n in self.flow.inputs(node) if self.wants[n.name]]
        rows, features = [n for n in wanted if not n.per_feature], [n for n in wanted if n.per_feature]
        neck: Expression | None = None
        if len(rows) == 1 and not features:
            neck = rows[0].expression
        elif wanted:
            neck = self._neck(value, [n.expression for n in wanted], known)
        direct = neck is None or neck in known
        below = set() if neck is None or direct else set(self._trained(neck, known))
        above = [x for x in self._trained(value, known) if x not in below]
        gradients = differentiate(value, seed, [*([neck] if neck is not None else []), *above], known)
        after: list[Step] = []
        if neck is not None:
            g = gradients.pop(0)
            g = ops.constant(0.0) if g is None else g
            g = g if neck.level == ROW else _spread(g, neck.shape)
            after = self._at_neck(node, neck, g, leaves, stores, [*rows, *features], direct)
        owner = rows[0] if direct and len(rows) == 1 else None
        if owner is not None and (owner.op in ("formula", "input") or self.flow.takers[owner.name] != [node.name]):
            owner = None
        for x, gradient in zip(above, gradients, strict=True):
            gradient = ops.constant(0.0) if gradient is None else gradient
            gradient = gradient if x.level == UNIFORM else _spread(gradient, (None, *x.shape))
            self._weight(node, owner, x, gradient, leaves, stores)
        return after

    def _neck(self, value: Expression, wanted: Sequence[Expression], known: Sequence[Expression]) -> Expression:
        """The first value through which all ways from what is wanted go."""
        order = topological([value], known)
        for x in _above(order, wanted):
            if x in known or x.mask or x.level < ROW or per_feature(x) or x.op == "expand":
                continue
            if set(wanted).isdisjoint(topological([value], {*known, x})):
                return x
        return value

    def _at_neck(
        self,
        node: Node,
        neck: Expression,
        g: Expression,
        leaves: Leaves,
        stores: list[tuple[str, Expression]],
        wanted: Sequence[Node],
        direct: bool,
    ) -> list[Step]:
        """Stores the gradient of the neck, unless it is in memory, and goes on to the leaves below it."""
        source = wanted[0] if direct else node
        low = direct and self._is_low(source) and self.flow.takers[source.name] == [node.name]
        where = leaves.get(g)
        if where is not None and where.kind in ("buffer", "column") and (not low or where.name in self.rounded):
            place = where.name
        else:
            key = source.name if direct or neck is resolved(node.expression) else f"{node.name}_inner"
            place = self._space(key, source if direct else _like(node, neck), f"gradient of {key}")
            # two products take it: those of the input's and of the kernel's gradient
            stores.append((place, ops.bfloat16(g) if low else g))
            self.rounded |= {place} if low else set()
        dz, found = self._memory(place, neck)
        if direct:
            self.parts[source.name].append((dz, found))
            return []
        found = {**{x: o for x, o in leaves.items() if o.kind != "tile"}, **found}
        known = self._known(node)
        weights = self._trained(neck, known)
        gradients = differentiate(neck, dz, [*(n.expression for n in wanted), *weights], known)
        for n, x in zip(wanted, gradients, strict=False):
            if x is not None:
                level, shape = n.expression.level, n.expression.shape
                x = x if level == ROW else _spread(x, (None, *shape) if n.per_feature else shape)
                self._contribute(n, x, found)
        after: list[Step] = []
        for w, x in zip(weights, gradients[len(wanted) :], strict=True):
            own = place
            alike = [n for n, part in zip(wanted, gradients, strict=False) if part is x and n.op == "matmul"]
            if alike and x is not dz and self.flow.takers[alike[0].name] == [node.name]:
                self.biases.setdefault(alike[0].name, []).append((node, w))  # the gradient of that product
                continue
            if x is not dz:
                name = self.planner.by_variable[id(w.value)].name
                g = ops.constant(0.0) if x is None else x
                g = g if w.level == UNIFORM else _spread(g, (None, *w.shape))
                own = self._space(name, _like(node, g), f"gradient of {name}")
                formula = self.planner.formula([(own, g)], found, f"gradient of {name}")
                called = self.planner.names.new(f"{own}_rows")
                after.append(Rows(called, node.positions, self._width(node, formula), formula, None, node.layer))
            self._late(node, w, own)
        return after

    def _contribute(self, node: Node, x: Expression, leaves: Leaves) -> None:
        (self.sums.setdefault(node.name, []) if node.per_feature else self.parts[node.name]).append((x, leaves))

    def _late(self, node: Node, weight: Expression, place: str) -> None:
        """An update after all else."""
        vector = self.planner.vector(self.planner.by_variable[id(weight.value)].name)
        name = self.planner.names.new(f"{node.name}_{identifier(weight.value.name)}")
        vectors = ((vector, place, False),)
        self.late.append(Update(name, None, "", place, node.positions, vectors, f"weights of {node.layer}"))

    def _weight(
        self,
        node: Node,
        owner: Node | None,
        weight: Expression,
        gradient: Expression,
        leaves: Leaves,
        stores: list[tuple[str, Expression]],
    ) -> None:
        """Provides for the gradient of a weight that a formula uses: column sums of what is stored."""
        name = self.planner.by_variable[id(weight.value)].name
        where = leaves.get(gradient)
        place = where.name if where is not None and where.kind in ("buffer", "column") else ""
        for buffer, x in stores:
            if gradient is (x.args[0] if x.op == "bfloat16" else x):  # that of a bias is the product's
                place = buffer
        if not place:
            place = self._space(name, _like(node, gradient), f"gradient of {name}")
            stores.append((place, gradient))
        if owner is not None:
            self.vectors.setdefault(owner.name, []).append((self.planner.vector(name), place, False))
        else:
            self._late(node, weight, place)

    # ---------------------------------------------------------------- the walk

    def steps(self) -> list[Step]:
        """From the last value back to the first weight that is trained."""
        for node in reversed(self.graph.nodes):
            if not self.wants[node.name] or node.name in self.flow.open:
                continue
            if node.per_feature:
                self._per_feature(node)
            elif node.op == "formula":
                self._formula(node)
            elif node.op != "input":
                self._source(node)
        return [*self.made, *self.late]

    def _incoming(self, node: Node) -> tuple[Expression | None, Leaves]:
        """The gradient of a value, without what is pending."""
        leaves: Leaves = {}
        for _, found in self.parts[node.name]:
            leaves |= found
        values = [x for x, _ in self.parts[node.name]]
        return (_sum(values) if values else None), leaves

    def _width(self, node: Node, formula: Formula) -> int:
        names = (*formula.reads(), *(n for n, _ in formula.stores))
        return max([node.features, *(self.planner.buffers[n][1] for n in names)])

    def _emit(
        self, node: Node, pending: _Pending | None, stores: list[tuple[str, Expression]], leaves: Leaves, comment: str
    ) -> None:
        """A step that computes what is stored: on the tiles of a pending product, or over rows in memory."""
        formula = self.planner.formula(stores, leaves, comment)
        if pending is not None:
            product = pending.product
            matrix = self.planner.matrix(product.weights[0])
            says = f"gradient of {node.name} through {product.layer}"
            panels = self.planner.panels(matrix.inputs)
            self.made.append(Backward(_stem(product), matrix, panels, pending.dy, product.positions, formula, says))
            self.made += pending.after
        elif stores:
            name = self.planner.names.new(f"{node.name}_rows_backward")
            self.made.append(Rows(name, node.positions, self._width(node, formula), formula, None, comment))

    def _raw(self, node: Node, pending: _Pending, key: str = "") -> None:
        """Stores a pending product as it is; from then on it is a contribution like others."""
        tile = ops.symbol("g", ELEMENT, node.expression.shape)
        where = self._space(node.name, node, f"gradient of {node.name}")
        self._emit(node, pending, [(where, tile)], {tile: Operand("tile", "product")}, f"gradient of {node.layer}")
        self.parts[node.name].append(self._memory(where, node.expression))

    def _formula(self, node: Node) -> None:
        pending = self.pending.pop(node.name, None)
        others, leaves = self._incoming(node)
        single = [x for x in self._trained(node.expression, self._known(node)) if x.level == UNIFORM]
        if pending is not None and (
            single
            or not on_numbers([node.expression], self._known(node))
            or (others is not None and not on_numbers([others], leaves))
        ):
            self._raw(node, pending)
            pending = None
            others, leaves = self._incoming(node)
        if pending is not None:
            tile = ops.symbol("g", ELEMENT, node.expression.shape)
            leaves = {**leaves, tile: Operand("tile", "product")}
            others = tile if others is None else tile + others
        if others is None:
            return
        found = {**self._saved(node), **leaves}
        stores: list[tuple[str, Expression]] = []
        after = self.through(node, node.expression, others, found, stores)
        of = self.flow.inputs(node)[0]
        comment = f"gradient of {node.layer}" if pending is not None else f"gradient of {of.name}"
        self._emit(node, pending, stores, found, comment)
        self.made += after

    def _saved(self, node: Node) -> Leaves:
        """What of a formula is in memory."""
        found: Leaves = dict(self.flow.kept.get(node.name, {}))
        for n in self.flow.inputs(node):
            if n.name in self.flow.at:
                found |= {x: self.flow.at[n.name] for x in (n.expression, resolved(n.expression))}
        return found

    def _source(self, node: Node) -> None:
        """The gradient of a product or of numbers in other places, and what follows from it."""
        pending = self.pending.pop(node.name, None)
        others, leaves = self._incoming(node)
        if pending is not None and others is not None and not on_numbers([others], leaves):
            self._raw(node, pending)
            pending = None
            others, leaves = self._incoming(node)
        if pending is None and others is None:
            return
        low = self._is_low(node)
        where = leaves.get(others) if others is not None and pending is None else None
        if where is not None and where.kind in ("buffer", "column") and (not low or where.name in self.rounded):
            self._before(node, where.name)
            return
        value = others
        if pending is not None:
            tile = ops.symbol("g", ELEMENT, node.expression.shape)
            leaves = {**leaves, tile: Operand("tile", "product")}
            value = tile if others is None else tile + others
        assert value is not None
        place = self._space(node.name, node, f"gradient of {node.name}")
        self._emit(node, pending, [(place, ops.bfloat16(value) if low else value)], leaves, f"gradient of {node.layer}")
        self.rounded |= {place} if low else set()
        self._before(node, place)

    def _before(self, node: Node, place: str) -> None:
        """What the gradient of a source means for the values before it, and for its weights."""
        for formula, weight in self.biases.pop(node.name, []):
            self._late(formula, weight, place)
        update = self._update(node, place, self.vectors.pop(node.name, []))
        if node.op == "matmul":
            (name,) = node.inputs
            if not self.wants[name]:
                self.made += update
                return
            if name in self.pending:
                self._raw(self.graph.node(name), self.pending.pop(name))
            self.pending[name] = _Pending(node, place, update)
            return
        if node.op == "take":
            matrix = self.planner.matrix(node.weights[0])
            if matrix.trainable:
                indices = self.flow.at[node.inputs[0]].name
                says = f"{node.layer}: gradient of the rows that were taken"
                self.made.append(Scatter(f"{node.name}_scatter", matrix, indices, place, says))
        elif node.op == "row":
            (source,) = self.flow.inputs(node)
            self.parts[source.name].append(self._memory(place, source.expression))
        else:
            for number, name in enumerate(node.inputs):
                if self.wants[name]:
                    self._copy_back(node, number, self.graph.node(name), place)
        self.made += update

    def _copy_back(self, node: Node, number: int, source: Node, place: str) -> None:
        adds, says = False, "gradients in their old rows"
        if node.op == "reshape":
            how = _back_in_rows(math.prod(node.shape))
        else:
            forward: Arrangement = node.expression.value
            how, adds, says = forward.back(number), not forward.gather[number], "gradients in their old places"
        to = self._space(source.name, source, f"gradient of {source.name}")
        called = f"{node.name}_backward" if len(node.inputs) == 1 else f"{node.name}_backward_{number + 1}"
        self.made.append(Copy(called, (place,), to, how, f"{node.layer}: {says}", adds))
        self.parts[source.name].append(self._memory(to, source.expression))

    def _update(self, node: Node, place: str, vectors: Sequence[tuple[Vector, str, bool]]) -> list[Step]:
        """The update of all weights of a source and of the formula on it, if there are any."""
        trained = node.op == "matmul" and self.planner.weights[node.weights[0]].trainable
        if not trained and not vectors:
            return []
        matrix = self.planner.matrix(node.weights[0]) if trained else None
        x = self.flow.at[node.inputs[0]].name if trained else ""
        return [Update(_stem(node), matrix, x, place, node.positions, tuple(vectors), f"weights of {node.layer}")]

    # ---------------------------------------------------------------- numbers per feature

    def _per_feature(self, node: Node) -> None:
        """The gradient of means over the batch, and of what is computed from them: sums over all rows."""
        parts = self.sums.get(node.name, [])
        if not parts:
            return
        sums: list[tuple[str, Expression]] = []
        leaves: Leaves = {}
        values: list[Expression] = []
        positions = 1
        for x, found in parts:
            if per_feature(x) or x.level <= UNIFORM:
                leaves |= dict(self.planner.found([x], found))
                values.append(x)
                continue
            if not on_numbers([x], found):
                x, found = self._in_memory(node, x, found)
            needed = dict(self.planner.found([x], found))
            positions = max([positions, *(self.planner.buffers[name][0] for name in _places(needed))])
            name = self._statistic(f"d_{node.name}_sum", node, f"sum for {node.name}")
            sums.append((name, x))
            total = ops.symbol(name, ELEMENT, node.shape)
            leaves |= {**needed, total: Operand("statistic", name)}
            values.append(total)
        g = _sum(values)
        if node.op == "batch_mean":
            self._mean(node, positions, sums, g, leaves)
            return
        known = self._known(node)
        weights = self._trained(node.expression, known)
        wanted = [n for n in self.flow.inputs(node) if self.wants[n.name]]
        gradients = differentiate(node.expression, g, [*(n.expression for n in wanted), *weights], known)
        derived: list[tuple[str, Expression]] = []
        for n, part in zip(wanted, gradients, strict=False):
            if part is not None:
                name = self._statistic(f"d_{n.name}_part", n, f"gradient of {n.name}")
                derived.append((name, part))
                symbol = ops.symbol(name, ELEMENT, n.shape)
                self.sums.setdefault(n.name, []).append((symbol, {symbol: Operand("statistic", name)}))
        for w, part in zip(weights, gradients[len(wanted) :], strict=True):
            if w.level == UNIFORM:
                raise UnsupportedError(
                    f"{node.layer}: {w!r} is a single number that numbers per feature are computed from; it cannot be "
                    "trained there. Give it a number per feature, or trainable=False."
                )
            name = self.planner.by_variable[id(w.value)].name
            place = self._statistic(f"d_{name}", node, f"gradient of {name}")
            derived.append((place, ops.constant(0.0) if part is None else part))
            update = self.planner.names.new(f"{node.name}_{identifier(w.value.name)}")
            vectors = ((self.planner.vector(name), place, True),)
            self.late.append(Update(update, None, "", place, 1, vectors, f"weights of {node.layer}"))
        found = {**leaves, **self.flow.leaves(node)}
        leaves |= dict(self.planner.found([value for _, value in derived], found))
        self._columns(node, positions, sums, derived, leaves)

    def _statistic(self, wish: str, like: Node, comment: str) -> str:
        return self.planner.statistic(self.planner.names.new(wish), like.shape[0], comment)

    def _columns(
        self,
        node: Node,
        positions: int,
        sums: Sequence[tuple[str, Expression]],
        derived: Sequence[tuple[str, Expression]],
        leaves: Leaves,
    ) -> None:
        name = self.planner.names.new(f"{node.name}_backward")
        comment = f"{node.layer}: gradient of {node.name}"
        self.made.append(
            Columns(name, positions, node.shape[0], tuple(sums), tuple(derived), tuple(leaves.items()), comment)
        )

    def _in_memory(self, node: Node, x: Expression, found: Leaves) -> tuple[Expression, Leaves]:
        """Stores a gradient that is not computed number by number, to be summed from there."""
        of = [self.planner.buffers[name] for name in _places(dict(self.planner.found([x], found)))]
        name = self.planner.names.new(f"d_{node.name}_rows")
        self.planner.buffers[name] = (max(p for p, _, _ in of), node.shape[0], f"gradient of {node.name} by row")
        formula = self.planner.formula([(name, x)], found, f"gradient of {node.layer}")
        width = max(node.shape[0], *(c for _, c, _ in of))
        called = self.planner.names.new(f"{name}_backward")
        self.made.append(Rows(called, self.planner.buffers[name][0], width, formula, None, node.layer))
        return self._memory(name, ops.symbol("g", ELEMENT, (None, node.shape[0])))

    def _mean(
        self, node: Node, positions: int, sums: Sequence[tuple[str, Expression]], g: Expression, leaves: Leaves
    ) -> None:
        """From a mean to what it is the mean of: each row gets its share."""
        count = ops.symbol("count", UNIFORM)
        name = self._statistic(f"d_{node.name}", node, f"gradient of each row through {node.name}")
        rows = max(n.positions for n in self.flow.inputs(node) if not n.per_feature)
        leaves[count] = Operand("number", _count(rows))
        self._columns(node, positions, sums, [(name, g / count)], leaves)
        share = ops.symbol(name, ELEMENT, node.shape)
        found = {**self.flow.leaves(node), share: Operand("statistic", name)}
        inner, known = node.expression.args[0], self._known(node)
        wanted = [n for n in self.flow.inputs(node) if self.wants[n.name]]
        for n, x in zip(wanted, differentiate(inner, share, [n.expression for n in wanted], known), strict=True):
            if x is not None:
                level, shape = n.expression.level, n.expression.shape
                x = x if level == ROW else _spread(x, (None, *shape) if n.per_feature else shape)
                self._contribute(n, x, found)
        trained = self._trained(inner, known)
        if trained:
            raise UnsupportedError(
                f"{node.layer}: a mean over the batch of what is computed from {trained[0]!r} cannot be trained. "
                "Apply the weight after the mean."
            )


def _count(positions: int) -> str:
    """Rows of a batch, as C says it."""
    return f"samples * {positions}" if positions > 1 else "samples"


def _places(leaves: Leaves) -> list[str]:
    """The buffers among some leaves."""
    return [o.name for o in leaves.values() if o.kind in ("buffer", "column")]


def _spread(g: Expression, shape: tuple[int | None, ...]) -> Expression:
    """A value per row as one per row and column, the same in all columns."""
    if g.level != ROW:
        return g
    row = g.args[0] if g.op == "expand" else g
    return ops.node("stop_gradient", (row,), level=ELEMENT, shape=shape)


def _like(node: Node, x: Expression) -> Node:
    """A node of the shape that a value has, on the rows of another node."""
    if x.level == ROW:
        return replace(node, shape=(*node.shape[:-1], 1))
    return replace(node, shape=(*node.shape[:-1], x.shape[-1])) if x.shape and x.shape[-1] else node


def _met_first(roots: Iterable[Expression], inside: set[Expression]) -> list[Expression]:
    """The values of ``inside`` that are met first on the way down from ``roots``."""
    met: dict[Expression, None] = {}
    seen: set[Expression] = set()
    stack = [resolved(x) for x in roots]
    while stack:
        x = resolved(stack.pop())
        if x in seen:
            continue
        seen.add(x)
        if x in inside and not x.mask:
            met[x] = None
        else:
            stack.extend(x.args)
    return list(met)


# ------------------------------------------------------------------ the stage


def _one_pass(program: Program) -> bool:
    """Whether, with one row per batch, an update can wait for the forward pass of the next row.

    Then each kernel is read and written once per row. All weights must belong to products
    of single rows that are trained, one after the other.
    """
    forward = [s for s in program.forward if isinstance(s, Forward) and s.positions == 1]
    products = [s.matrix.name for s in forward]
    others = [s for s in program.backward if not isinstance(s, Backward)]
    updates = [s.matrix.name for s in others if isinstance(s, Update) and s.matrix]
    alone = [v for s in others if isinstance(s, Update) for _, _, single in s.vectors for v in [single]]
    return (
        bool(products)
        and len(products) == len(program.forward) == len(set(products))
        and len(program.inputs) == len(program.losses) == len(program.outputs) == 1
        and not program.losses[0].targets.weights  # type: ignore[union-attr]
        and not program.assignments
        and not any(program.losses[0].mean == kind for kind in ("sum", "weights"))
        and all(o.capture is None for o in program.outputs)
        and not any(s.matrix.low or s.training is None or s.inference is None for s in forward)
        and sorted(products) == sorted(updates)
        and len(others) == len(updates)
        and not any(alone)
        and not (program.optimizer and program.optimizer.penalties)
    )


def _laps(forward: Sequence[Step], losses: Sequence[Loss], backward: Sequence[Step]) -> tuple[str, ...]:
    """What a profile measures, in the order in which it is done."""
    kinds = {Forward: "_forward", Backward: "_backward", Update: "_update"}
    names = [[s.name + kinds.get(type(s), "") for s in steps] for steps in (forward, backward)]
    return tuple(dict.fromkeys(("gather", *names[0], *(loss.name for loss in losses), *names[1])))


def build(
    inference_graph: Graph,
    target: Target,
    real: str,
    training_graph: Graph | None = None,
    training: Training | None = None,
) -> Program:
    """Orders, fuses and places everything.

    Args:
        inference_graph: the network as it predicts.
        target: the processor.
        real: ``float`` or ``double``.
        training_graph: the network as it trains; None for a program that only predicts.
        training: what it is trained for, likewise.

    Raises:
        UnsupportedError: the network needs something that is not there yet.
        ModelError: a loss, metric or optimizer is not a formula that can be used.
    """
    trains = training is not None and training.optimizer is not None
    planner = Planner(inference_graph, target, real, training_graph, trains)
    planner.captures = training is not None and training.capture
    forward = planner.forward()
    outputs = planner.outputs()
    assignments = planner.assignments() if training is not None else []
    losses, backward = list[Loss](), list[Step]()
    optimizer: Optimization | None = None
    if training is not None:
        losses = planner.losses(training)
        if training.optimizer is not None:
            rows = target.tile_rows[0]
            cut = sweeps.Cut(planner.panels, planner.stride, rows * 16, planner.lanes, rows)
            backward, optimizer = updates.build(
                planner.backward(), training.optimizer, planner.all_weights, planner.names, cut
            )
    ends: list[Step] = [loss.rows for loss in losses]
    ends += [rows for o in outputs for rows in (o.predict, o.capture) if rows]
    steps: list[Step] = [*forward, *assignments, *ends, *backward]
    inputs = [n for n in planner.training.graph.nodes if n.op == "input"]
    sizes = {n: p * planner.stride(c) for n, (p, c, _) in planner.buffers.items()}
    alone = dict(zip(sizes, itertools.accumulate(sizes.values(), initial=0), strict=False))
    offsets, sample_size = plan(_lifetimes(steps, [n.name for n in inputs]), sizes)
    profile = training is not None and training.profile
    program = Program(
        name=inference_graph.name,
        real=real,
        target=target,
        inputs=tuple(Input(n.name, n.positions, n.features, n.name in planner.low_inputs) for n in inputs),
        outputs=tuple(outputs),
        matrices=tuple(planner.matrix(w.name) for w in planner.all_weights if len(w.shape) == 2),
        vectors=tuple(planner.vector(w.name) for w in planner.all_weights if len(w.shape) < 2),
        weights=planner.all_weights,
        buffers=tuple(
            Buffer(n, p, c, planner.panels(c).padded, planner.stride(c), offsets[n], alone[n], comment)
            for n, (p, c, comment) in planner.buffers.items()
            if n in offsets
        ),
        statistics=tuple(
            Statistic(n, c, planner.panels(c).padded, comment) for n, (c, comment) in planner.statistics.items()
        ),
        sample_size=sample_size,
        alone_size=sum(sizes.values()),
        scratch_size=max((s.matrix.outputs * planner.panel for s in backward if isinstance(s, Backward)), default=0),
        laps=_laps(forward, losses, backward) if profile else (),
        profile=profile,
        one_pass=False,
        forward=tuple(forward),
        losses=tuple(losses),
        backward=tuple(backward),
        assignments=tuple(assignments),
        optimizer=optimizer,
        totals=_totals(losses),
        noises=tuple(source.seed for source in planner.noises),
        layers=tuple(dict.fromkeys(n.layer for n in inference_graph.nodes)),
    )
    return replace(program, one_pass=bool(losses) and optimizer is not None and _one_pass(program))


def _totals(losses: Sequence[Loss]) -> tuple[str, ...]:
    """The sums that are kept: of the whole loss, of its parts if there are several, and of the metrics."""
    names = list(dict.fromkeys(name for loss in losses for name in loss.totals))
    return tuple(dict.fromkeys(("loss", *names))) if losses else ()
