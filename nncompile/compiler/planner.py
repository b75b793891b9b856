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
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

from .. import ops
from ..errors import ModelError, UnsupportedError
from ..ops import ELEMENT, ROW, UNIFORM, Expression
from ..ops.batch import count
from ..ops.parameters import Turned
from ..targets import Target
from . import sweeps, updates
from .aims import extended, target_symbol
from .backwards import Backwards
from .batchwise import Batchwise
from .columns import joined, summed_already
from .expression import Names, identifier, resolved, topological, trace
from .flow import Flow, Leaves, rows_of, stem
from .graph import RESERVED, Graph, Node, Penalty, Weight, per_feature
from .memory import Buffer, Matrix, Panels, Statistic, Vector
from .program import (
    Backward,
    Columns,
    Copy,
    Dot,
    Formula,
    Forward,
    Input,
    Loss,
    Operand,
    Output,
    Program,
    Round,
    Rows,
    Step,
    Supervision,
    Take,
    Tally,
    Targets,
    Training,
    Turn,
    Update,
    comparable,
)
from .rowwise import per_row
from .weightwise import Optimization

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


def _lifetimes(steps: Sequence[Step], inputs: Sequence[str], buffers: Collection[str]) -> dict[str, tuple[int, int]]:
    """The first and the last step that uses each buffer."""
    result: dict[str, tuple[int, int]] = {name: (0, 0) for name in inputs}
    for number, step in enumerate(steps):
        for name in step.uses():
            if name in buffers:
                first, _ = result.get(name, (number, number))
                result[name] = (first, number)
    return result


# ------------------------------------------------------------------ helpers


# ------------------------------------------------------------------ the planner


class Planner:
    """Makes the program of one network for one target.

    Args:
        inference_graph: the network as it predicts.
        target: the processor.
        real: ``float`` or ``double``.
        training_graph: the network as it trains; None for a program that only predicts.
        trains: whether there is an optimizer.

    Both graphs have the nodes of losses that need more than the rows of their outputs.
    """

    def __init__(
        self, inference_graph: Graph, target: Target, real: str, training_graph: Graph | None, trains: bool
    ) -> None:
        self.target, self.real = target, real
        self.lanes = max(target.vector_bytes // (8 if real == "double" else 4), 1)
        self.panel = self.lanes * target.panel_vectors
        self.half = self.lanes * max(target.panel_vectors // 2, 1)
        graphs = [g for g in (training_graph, inference_graph) if g]
        products = [n for g in graphs for n in g.nodes if n.op == "matmul"]
        self.kernels = {n.weights[0] for n in products}
        self.low = {n.weights[0] for n in products if resolved(n.expression.args[0]).op == "bfloat16"}
        self.all_weights = self._all_weights(graphs)
        self.weights = {w.name: w for w in self.all_weights}
        self.by_variable = {id(w.variable): w for w in self.all_weights}
        for w in self.all_weights:
            if len(w.shape) > 2:
                raise UnsupportedError(f"{w.name}: weights of shape {w.shape} are not supported.")
        nodes = [n for g in graphs for n in g.nodes]
        self.names = Names({*RESERVED, *self.weights, *(n.name for n in nodes), *map(stem, nodes)})
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

    def extent(self, name: str) -> tuple[int, int]:
        """Rows of a sample in a buffer, and their columns; what an output should be is one as well."""
        if name in self.buffers:
            return self.buffers[name][:2]
        target = self.training.graph.node(name)
        return target.positions, target.features

    def statistic(self, name: str, columns: int, comment: str) -> str:
        self.statistics.setdefault(name, (columns, comment))
        return name

    def d(self, key: str) -> str:
        """The name of the gradient of a value, which no layer has: ``d_dense`` for ``dense``."""
        if key not in self.gradient_names:
            self.gradient_names[key] = self.names.new(f"d_{key}")
        return self.gradient_names[key]

    def source(self, name: str) -> Weight:
        """The weight that has the numbers of one, which may be its transpose."""
        variable = self.weights[name].variable
        return self.by_variable[id(variable.source if isinstance(variable, Turned) else variable)]

    def turns(self) -> list[Turn]:
        """What keeps transposes of kernels up to date."""
        return [
            Turn(f"{w.name}_turn", self.matrix(self.source(w.name).name), self.matrix(w.name), f"{w.name}, made anew")
            for w in self.all_weights
            if isinstance(w.variable, Turned)
        ]

    def matrix(self, name: str) -> Matrix:
        weight = self.weights[name]
        inputs, outputs = weight.shape
        low = name in self.low
        tiled = self.target.tiles and self.real == "float" and inputs * outputs >= max(self.target.tiles_from, 1)
        tiled = tiled and name in self.kernels and not isinstance(weight.variable, Turned)
        parts = 0 if not tiled else 1 if low else self.target.parts
        return Matrix(name, inputs, outputs, self.panels(outputs), weight.trainable, low, parts)

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
                result[resolved(x)] = where  # as what is printed is looked up
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

    def late(self) -> list[Step]:
        """The steps behind these that losses alone need."""
        if self.training is self.inference:
            return []
        return _merged(self.training.late, self.inference.late, self.names)

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
                    self.names.new(f"{name}_next"),
                    vector.length,
                    (Round(1, (), ((name, root),), found),),
                    f"{node.layer}: {name} after a step of training",
                    True,
                    "training",
                )
            )
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
            more = several or penalties > 0
            if self.training.graph.aim(number) is None:
                made.append(self._loss(number, given, more, backward))
                continue
            made.append(self._aimed(number, given, more, backward))
            if given.metrics:
                made.append(self._loss(number, replace(given, loss=None), more, backward, made[-1].targets))
        for trained, predicted in zip(
            self.training.graph.penalties, _padded(self.inference.graph.penalties, penalties), strict=True
        ):
            made.append(self._penalty(trained, predicted, backward))
        return made

    def _total(self, number: int, given: Supervision, several: bool) -> str:
        """What the loss of an output is called."""
        own = given.name if several and given.name else self._numbered("", number)
        return f"{identifier(own)}_loss" if several else "loss"

    def _targets(self, number: int, given: Supervision, positions: int, rows: int) -> Targets:
        """The memory of what an output should be.

        Args:
            number: of the output.
            given: what it is trained for.
            positions: rows of its targets.
            rows: of the loss, each of which may have a weight.
        """
        columns = 1 if given.labels else given.columns
        stride = 1 if given.labels else -(-columns // self.lanes) * self.lanes
        weight = self._numbered("weight", number) if given.weighted else ""
        name = self._numbered("target", number)
        return Targets(name, number, given.labels, positions, columns, stride, rows, weight)

    def _aimed(self, number: int, given: Supervision, several: bool, backward: Backwards | None) -> Loss:
        """A loss that is a formula of more than the rows of its output."""
        name = f"loss {getattr(given.loss, 'name', None) or type(given.loss).__name__!r}"
        total, reduction = self._total(number, given, several), str(getattr(given.loss, "reduction", ""))
        forms, tallies, of_batch = [], list[tuple[Tally, ...]](), ""
        places: dict[tuple[str, int, int], str] = {}
        aims = [flow.graph.aim(number) for flow in (self.training, self.inference)]
        for flow, aim, training in zip((self.training, self.inference), aims, (True, False), strict=True):
            assert aim is not None
            scale = ops.symbol("scale", UNIFORM)
            leaves = flow.leaves(aim)
            about = list(leaves)
            leaves |= {scale: Operand("number", "scale"), count(): Operand("number", rows_of(aim.positions))}
            value, of_batch = per_row(aim.expression, name, about, summed=reduction == "sum", weighted=given.weighted)
            seed, weighted = scale, value
            if given.weighted:
                factor = ops.symbol("weight", ROW, value.shape)
                leaves[factor] = Operand("weight", self._numbered("weight", number))
                seed, weighted = scale * factor, value * factor
            stores: list[tuple[str, Expression]] = []
            if training and backward is not None:
                backward.from_penalty(aim, value, seed, leaves, stores)
            ahead, formula = self._ahead(
                total, name, aim.features, leaves, stores, [(total, weighted)], f"{name} of {aim.layer}", places
            )
            tallies.append(tuple(ahead))
            forms.append(formula)
        assert aim is not None
        rows = Rows(total, aim.positions, aim.features, forms[0], forms[1], forms[0].comment)
        target = self.training.graph.node(self._numbered("target", number))
        targets = self._targets(number, given, target.positions, aim.positions)
        mean = _mean_of(of_batch or reduction, given.weighted)
        return Loss(rows.name, rows, targets, total, (total,), mean, given.factor, *tallies)

    def _loss(
        self,
        number: int,
        given: Supervision,
        several: bool,
        backward: Backwards | None,
        targets: Targets | None = None,
    ) -> Loss:
        """A loss and metrics over the rows of an output; ``targets`` has what it should be, if they are given."""
        name = getattr(given.loss, "name", None) or type(given.loss).__name__
        total = self._total(number, given, several)
        target, weight = self._numbered("target", number), self._numbered("weight", number)
        forms, totals, tallies = [], list[str](), list[tuple[Tally, ...]]()
        places: dict[tuple[str, int, int], str] = {}
        for flow, training in ((self.training, True), (self.inference, False)):
            node = flow.graph.node(flow.graph.outputs[number])
            shape = node.expression.shape
            y_true = target_symbol(given, node.expression)
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
            leaves[count()] = Operand("number", rows_of(node.positions))
            output, results, seed = flow.value(node), list[tuple[str, Expression]](), scale
            reduction = str(getattr(given.loss, "reduction", ""))
            value, value_of_row, of_batch = output, None, ""
            if given.loss is not None:
                fused = given.loss
                if node.name in flow.open:  # the logits of a value that is stored are nowhere
                    fused, value = fuse_cross_entropy(given.loss, output)
                traced = trace(fused.call, y_true, value)
                value_of_row, of_batch = per_row(
                    traced, f"loss {name!r}", [value], summed=reduction == "sum", weighted=factor is not None
                )
                results.append((total, value_of_row if factor is None else value_of_row * factor))
                seed = scale if factor is None else scale * factor
            for key, metric, weighted in given.metrics:
                root = flow.root(node)
                measured, _ = per_row(trace(metric.call, y_true, root), f"metric {metric.name!r}", [root])
                if weighted and factor is not None:
                    results += [(key, measured * factor), (f"{key}_weights", factor)]
                else:
                    results.append((key, measured))
            stores: list[tuple[str, Expression]] = []
            if training and backward is not None and value_of_row is not None:
                backward.from_loss(node, value, value_of_row, seed, leaves, stores)
            comment = f"{name} of {node.layer}" if given.loss is not None else f"metrics of {node.layer}"
            ahead, formula = self._ahead(
                total, f"loss {name!r}", node.features, leaves, stores, results, comment, places
            )
            tallies.append(tuple(ahead))
            forms.append(formula)
            totals = [key for key, _ in results]
        node = self.training.graph.node(self.training.graph.outputs[number])
        rows = Rows(
            total if given.loss is not None else self._numbered("metrics", number),
            node.positions, node.features, forms[0], forms[1], forms[0].comment,
        )  # fmt: skip
        supervised = targets or self._targets(number, given, node.positions, node.positions)
        mean = _mean_of(of_batch or reduction, given.weighted)
        return Loss(
            rows.name, rows, supervised, total if given.loss is not None else "", tuple(totals), mean, given.factor,
            *tallies,
        )  # fmt: skip

    def _ahead(
        self,
        name: str,
        what: str,
        width: int,
        leaves: Leaves,
        stores: Sequence[tuple[str, Expression]],
        results: Sequence[tuple[str, Expression]],
        comment: str,
        places: dict[tuple[str, int, int], str],
    ) -> tuple[list[Tally], Formula]:
        """The formula of a loss, and the sums over all rows that it finds in memory.

        ``places`` has memory that one mode needed and the other may use.
        """
        counts: dict[tuple[str, int], int] = {}

        def new(wish: str, columns: int, kind: str) -> str:
            counts[wish, columns] = counts.get((wish, columns), 0) + 1
            key = wish, columns, counts[wish, columns]
            if key not in places:
                places[key] = self.statistic(self.names.new(wish), columns, f"{kind}, of {what}")
            return places[key]

        cut = Batchwise(name, what, width, leaves, new, self.formula)
        tallies, stores, results = cut.split(stores, results)
        return tallies, self.formula(stores, cut.leaves, comment, results)

    def _penalty(self, trained: Penalty, predicted: Penalty, backward: Backwards | None) -> Loss:
        forms, tallies = [], list[tuple[Tally, ...]]()
        places: dict[tuple[str, int, int], str] = {}
        for flow, penalty, training in ((self.training, trained, True), (self.inference, predicted, False)):
            node = penalty.node
            scale = ops.symbol("scale", UNIFORM)
            positions = max(flow.graph.node(n).positions for n in node.inputs)
            leaves = {
                **flow.leaves(node),
                scale: Operand("number", "scale"),
                count(): Operand("number", rows_of(positions)),
            }
            value = node.expression if node.expression.level != ELEMENT else ops.sum(node.expression, axis=-1)
            value = value.args[0] if value.op == "expand" else value
            stores: list[tuple[str, Expression]] = []
            if training and backward is not None:
                backward.from_penalty(node, value, scale, leaves, stores)
            what, results = f"penalty of {node.layer}", [(penalty.name, value)]
            width = max(flow.graph.node(n).features for n in node.inputs)
            ahead, formula = self._ahead(penalty.name, what, width, leaves, stores, results, what, places)
            tallies.append(tuple(ahead))
            forms.append(formula)
        of = [self.training.graph.node(n) for n in trained.node.inputs]
        width, positions = max(n.features for n in of), max(n.positions for n in of)
        rows = Rows(trained.name, positions, width, forms[0], forms[1], forms[0].comment)
        return Loss(trained.name, rows, None, trained.name, (trained.name,), trained.mean, 1.0, *tallies)

    # ---------------------------------------------------------------- backward

    def backward(self) -> list[Step]:
        """From the gradients of the last products back to the first weight that is trained."""
        assert self.backward_pass is not None
        return self.backward_pass.steps()


REDUCED_BY_WEIGHTS = "mean_with_sample_weight"


def _mean_of(reduction: str, weighted: bool) -> str:
    """What the sum of a loss over the rows of a batch is divided by, as :class:`Loss` has it."""
    return {"sum": "sum", REDUCED_BY_WEIGHTS: "weights" if weighted else "mean"}.get(reduction, "mean")


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
    assert isinstance(step, (Copy, Dot, Take, Columns))
    return replace(step, when=when)


def _merged(trained: Sequence[Step], predicted: Sequence[Step], names: Names) -> list[Step]:
    """The steps of training and those of inference, each once; what both do in the same way is one step."""

    def key(step: Step) -> Any:
        if isinstance(step, (Forward, Rows)):
            step = replace(step, training=None, inference=None, comment="")
        return comparable(step)

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
        and program.losses[0].targets is not None  # a penalty alone has none
        and not program.losses[0].targets.weights
        and not program.assignments
        and not program.late
        and not any(program.losses[0].mean == kind for kind in ("sum", "weights"))
        and not program.losses[0].trained
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
    if training is not None and training_graph is not None:
        names = ["target" if len(training.outputs) == 1 else f"target_{n + 1}" for n in range(len(training.outputs))]
        training_graph, inference_graph = (
            extended(graph, training.outputs, names) for graph in (training_graph, inference_graph)
        )
    planner = Planner(inference_graph, target, real, training_graph, trains)
    planner.captures = training is not None and training.capture
    forward, late = joined(planner.forward()), joined(planner.late())
    outputs = planner.outputs()
    assignments = planner.assignments() if training is not None else []
    assignments = [step for step in joined(assignments) if isinstance(step, Columns)]
    losses, backward = list[Loss](), list[Step]()
    optimizer: Optimization | None = None
    if training is not None:
        losses = planner.losses(training)
        if training.optimizer is not None:
            rows = target.tile_rows[0]
            cut = sweeps.Cut(planner.panels, planner.stride, rows * 16, planner.lanes, rows)
            gradients = summed_already(joined(planner.backward()))
            backward, optimizer = updates.build(gradients, training.optimizer, planner.all_weights, planner.names, cut)
            backward += planner.turns()
    ends: list[Step] = []
    for loss in losses:
        ends += [*loss.trained, *loss.predicted, loss.rows]
    ends += [rows for o in outputs for rows in (o.predict, o.capture) if rows]
    steps: list[Step] = [*forward, *assignments, *late, *ends, *backward]
    inputs = [n for n in planner.training.graph.nodes if n.op == "input"]
    sizes = {n: p * planner.stride(c) for n, (p, c, _) in planner.buffers.items()}
    alone = dict(zip(sizes, itertools.accumulate(sizes.values(), initial=0), strict=False))
    offsets, sample_size = plan(_lifetimes(steps, [n.name for n in inputs], sizes), sizes)
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
        scratch_size=max(
            (s.matrix.outputs * planner.panel for s in backward if isinstance(s, Backward) and not s.matrix.parts),
            default=0,
        ),
        laps=_laps([*forward, *late], losses, backward) if profile else (),
        profile=profile,
        one_pass=False,
        forward=tuple(forward),
        late=tuple(late),
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
