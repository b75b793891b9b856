"""Stage 2: from a Graph to a Program. After this nothing is decided.

The network is a chain of *segments*: a source (the input, a product or a reshape) and
the formula on it. The formula behind a product is computed while the product is in the
first-level cache if it works number by number; the one behind the last source is
computed together with the loss.

Rewrites across layers are functions of this module: :func:`fuse_cross_entropy`.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .. import ops
from ..errors import ModelError, UnsupportedError
from ..ops import ELEMENT, NUMBER, ROW, UNIFORM, Expression
from ..targets import Target
from .expression import Names, depends, differentiate, identifier, resolved, topological, trace
from .graph import RESERVED, Graph, Node, Weight
from .program import (
    Backward,
    Buffer,
    Copy,
    Formula,
    Forward,
    Matrix,
    Operand,
    Panels,
    Program,
    Rows,
    Rule,
    Step,
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


def _lifetimes(steps: Sequence[Step], input_name: str) -> dict[str, tuple[int, int]]:
    result: dict[str, tuple[int, int]] = {input_name: (0, 0)}
    for number, step in enumerate(steps):
        for name in step.uses():
            if name not in ("y", "target"):
                first, _ = result.get(name, (number, number))
                result[name] = (first, number)
    return result


# ------------------------------------------------------------------ the chain of segments


@dataclass(frozen=True)
class _Segment:
    """A source and the formula on it.

    Attributes:
        source: the input, a product or a reshape.
        node: the value that is stored; the source itself if there is no formula.
    """

    source: Node
    node: Node

    @property
    def leaf(self) -> Expression:
        return self.source.expression

    @property
    def value(self) -> Expression:
        """What is differentiated."""
        return self.node.expression

    @property
    def root(self) -> Expression:
        """What is computed."""
        return resolved(self.node.expression)

    @property
    def low(self) -> bool:
        """Whether the source is a product of numbers that are rounded to bfloat16."""
        return self.source.op == "matmul" and resolved(self.leaf.args[0]).op == "bfloat16"

    def vectors(self) -> list[Expression]:
        """The weights of one number per feature that the formula uses."""
        inside = topological([self.root], [self.leaf])
        return [x for x in inside if x.op == "weight" and x.level == ELEMENT]


def _segments(graph: Graph) -> list[_Segment]:
    formulas = {n.inputs[0]: n for n in graph.nodes if n.op == "formula"}
    return [_Segment(n, formulas.get(n.name, n)) for n in graph.nodes if n.op != "formula"]


def _on_tiles(segment: _Segment) -> bool:
    """Whether the formula can be computed on tiles of a product: no reduction, no number of a column."""
    if segment.source.op != "matmul":
        return False
    inside = topological([segment.root], [segment.leaf])
    return all(x.level != ROW and x.op != "column" for x in inside if x is not segment.leaf)


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


def _says(node: Node) -> str:
    if node.op == "input":
        return "the input"
    return f"{node.layer}: {({'matmul': 'x . kernel', 'reshape': 'in new rows', 'formula': 'its value'})[node.op]}"


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
        self.inference = _segments(inference_graph)
        self.training = _segments(training_graph or inference_graph)
        self.last = len(self.training) - 1
        self.low = {s.source.weights[0] for s in (*self.inference, *self.training) if s.low}
        self.all_weights = (training_graph or inference_graph).weights
        self.weights = {w.name: w for w in self.all_weights}
        self.by_variable = {id(w.variable): w for w in self.all_weights}
        for w in self.all_weights:
            if len(w.shape) > 2:
                raise UnsupportedError(f"{w.name}: weights of shape {w.shape} are not supported.")
            if trains and w.trainable:
                self._check_trainable(w)
        nodes = [n for graph in (inference_graph, training_graph or inference_graph) for n in graph.nodes]
        self.names = Names({*RESERVED, *self.weights, *(n.name for n in nodes), *map(_stem, nodes)})
        self.gradient_names: dict[str, str] = {}
        self.buffers: dict[str, tuple[int, int, str]] = {}
        self.noises: list[ops.Noise] = []
        # gradients are needed back to the first segment that has a weight to train
        trained = [trains and any(self.weights[n].trainable for n in self._weights_of(s)) for s in self.training]
        self.first_trained = trained.index(True) if any(trained) else len(trained)
        self.stored: list[str] = []  # the buffer that each segment leaves its value in
        self.saved: list[dict[Expression, Operand]] = []  # what the backward pass of each segment loads
        self.gradients: dict[str, str] = {}  # the buffer that holds the gradient of a product or vector

    def _check_trainable(self, weight: Weight) -> None:
        """Refuses a weight whose gradient would be wrong, as it is a sum that is not taken yet."""
        uses = sum(self._weights_of(s).count(weight.name) for s in self.training)
        if uses > 1:
            raise UnsupportedError(
                f"{weight.variable.path}: is used {uses} times; a layer that is used more than once cannot be "
                "trained yet. Set its trainable to False, or make a layer for each use."
            )
        if weight.shape == ():
            raise UnsupportedError(
                f"{weight.variable.path}: a weight of shape () cannot be trained yet. "
                "Give it a number per feature, or trainable=False."
            )

    @staticmethod
    def _weights_of(segment: _Segment) -> list[str]:
        return list(dict.fromkeys((*segment.source.weights, *segment.node.weights)))

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
        self.buffers.setdefault(name, (node.positions, node.features, comment))
        return name

    def d(self, key: str) -> str:
        """The name of the gradient of a value, which no layer has: ``d_dense`` for ``dense``."""
        if key not in self.gradient_names:
            self.gradient_names[key] = self.names.new(f"d_{key}")
        return self.gradient_names[key]

    def matrix(self, name: str) -> Matrix:
        weight = self.weights[name]
        inputs, outputs = weight.shape
        low = name in self.low
        tiled = self.target.tiles and self.real == "float" and inputs * outputs >= self.target.tiles_from
        parts = 0 if not tiled else 1 if low else self.target.parts
        return Matrix(name, inputs, outputs, self.panels(outputs), weight.trainable, low, parts)

    def vector(self, name: str) -> Vector:
        (length,) = self.weights[name].shape
        return Vector(name, length, self.panels(length).padded, self.weights[name].trainable)

    def formula(
        self,
        stores: Sequence[tuple[str, Expression]],
        leaves: Mapping[Expression, Operand],
        comment: str,
        results: Sequence[tuple[str, Expression]] = (),
    ) -> Formula:
        """Finds the leaves of a formula; those in ``leaves`` are not looked behind."""
        found: dict[Expression, Operand] = {}
        for x in topological([v for _, v in (*stores, *results)], leaves):
            if x in leaves:
                found[x] = leaves[x]
            elif x.op == "weight":
                kind = "vector" if x.level == ELEMENT else "number"
                found[x] = Operand(kind, self.by_variable[id(x.value)].name)
            elif x.op == "noise":
                found[x] = Operand("noise", str(self._noise(x.value)))
        return Formula(tuple(stores), tuple(found.items()), comment, tuple(results))

    def _noise(self, source: ops.Noise) -> int:
        """The number of a source of random numbers."""
        if source not in self.noises:
            self.noises.append(source)
        return self.noises.index(source)

    # ---------------------------------------------------------------- forward

    def forward(self) -> list[Step]:
        """The steps from the input to the source of the last segment."""
        steps: list[Step] = []
        for i, (t, n) in enumerate(zip(self.training, self.inference, strict=True)):
            source = t.source
            raw = self.buffer(source.name, source, _says(source))
            plain = i == self.last or (t.root is t.leaf and n.root is n.leaf) or (i == 0 and self.rounds_input())
            fused = not plain and _on_tiles(t) and _on_tiles(n)
            stored = raw if plain else self.buffer(t.node.name, t.node, _says(t.node))
            kept = self._keep(t, stored) if fused and i >= self.first_trained else {}
            if source.op == "reshape":
                comment = f"{source.layer}: the numbers of a sample in new rows"
                steps.append(Copy(source.name, self.stored[-1], raw, comment))
            if source.op == "matmul":
                tiles = {s: {s.leaf: Operand("tile", "product")} for s in (t, n)}
                if fused:
                    extra = [(o.name, x) for x, o in kept.items() if o.name != stored]
                    training = self.formula([(stored, t.root), *extra], tiles[t], t.node.layer)
                    inference = self.formula([(stored, n.root)], tiles[n], n.node.layer)
                else:
                    training = inference = self.formula([(raw, t.leaf)], tiles[t], source.layer)
                matrix = self.matrix(source.weights[0])
                comment = f"{source.layer}: {matrix.inputs} -> {matrix.outputs}"
                steps.append(
                    Forward(_stem(source), matrix, self.stored[-1], source.positions, training, inference, comment)
                )
            if not plain and not fused:
                rows = [
                    self.formula([(stored, s.root)], {s.leaf: Operand("buffer", raw)}, s.node.layer) for s in (t, n)
                ]
                name = f"{t.node.name}_rows"
                steps.append(Rows(name, source.positions, source.features, rows[0], rows[1], t.node.layer))
            self.stored.append(stored)
            self.saved.append(kept if fused else {t.leaf: Operand("buffer", raw)})
        return steps

    def rounds_input(self) -> bool:
        """Whether all that the first formula does is to round the input: that is done where samples are taken in."""
        return self.last > 0 and all(
            s[0].source.op == "input" and s[0].root.op == "bfloat16" and s[0].root.args[0] is s[0].leaf
            for s in (self.training, self.inference)
        )

    def _keep(self, segment: _Segment, name: str) -> dict[Expression, Operand]:
        """Decides what the backward pass of a formula on tiles loads.

        It is differentiated once to see which of its values the gradient is stated in. If
        that is at most one beside the stored result they are kept; otherwise one value
        that all of them can be computed from again.
        """
        inside = [x for x in topological([segment.root], [segment.leaf]) if depends(x, [segment.leaf])]
        inside = [x for x in inside if x is resolved(x)]
        seed = ops.symbol("g", ELEMENT, segment.root.shape)
        gradients = differentiate(segment.value, seed, [segment.leaf, *segment.vectors()])
        met = _met_first([g for g in gradients if g is not None], set(inside))
        kept = {segment.root: Operand("buffer", name)}
        if segment.root.op == "bfloat16":  # what is rounded for the next product serves backward as well
            kept[segment.root.args[0]] = kept[segment.root]
        met = [x for x in met if x not in kept]
        if len(met) > 1:
            # later values of the topological order are nearer to the result: the last that serves
            met = [next(x for x in reversed(inside) if segment.leaf not in topological(met, [x]) or x is segment.leaf)]
        for x in met:
            wish = f"{_stem(segment.source)}_{identifier(x.name) if x.name and x is not segment.leaf else 'kept'}"
            where = self.buffer(self.names.new(wish), segment.node, f"{segment.node.layer}: kept for backward")
            kept[x] = Operand("buffer", where)
        return kept

    def predict(self) -> Rows:
        """The last formula, to the user's memory."""
        end = self.inference[-1]
        out = self.formula([("y", end.root)], {end.leaf: Operand("buffer", self.stored[-1])}, end.node.layer)
        return Rows("output", end.node.positions, end.node.features, None, out, f"{end.node.layer}: the output")

    # ---------------------------------------------------------------- loss

    def loss(self, loss: Any, metrics: Sequence[tuple[str, Any]], labels: bool) -> Rows:
        """The last formula, the loss, its gradient and the metrics, as one formula over rows."""
        name = getattr(loss, "name", None) or type(loss).__name__
        comment = f"{name} of {self.training[-1].node.layer}"
        forms = []
        for segment, training in ((self.training[-1], True), (self.inference[-1], False)):
            shape = segment.root.shape
            y_true = ops.symbol("label", ROW, shape[:-1]) if labels else ops.symbol("y_true", ELEMENT, shape)
            scale = ops.symbol("scale", UNIFORM)
            leaves = {
                segment.leaf: Operand("buffer", self.stored[-1]),
                y_true: Operand("labels" if labels else "buffer", "target"),
                scale: Operand("number", "scale"),
            }
            fused, value = fuse_cross_entropy(loss, segment.value)
            per_row = _per_row(trace(fused.call, y_true, value), f"loss {name!r}")
            results = [("loss", per_row)]
            for key, metric in metrics:
                measured = trace(metric.call, y_true, segment.root)
                results.append((key, _per_row(measured, f"metric {metric.name!r}")))
            stores: list[tuple[str, Expression]] = []
            if training and self.first_trained <= self.last:
                wanted = [segment.leaf, *self._trainable(segment)]
                for x, g in zip(wanted, differentiate(per_row, scale, wanted), strict=True):
                    self._store_gradient(stores, segment, x, g)
            forms.append(self.formula(stores, leaves, comment, results))
        end = self.training[-1].node
        return Rows("loss", end.positions, end.features, forms[0], forms[1], comment)

    def _trainable(self, segment: _Segment) -> list[Expression]:
        return [x for x in segment.vectors() if self.by_variable[id(x.value)].trainable]

    def _store_gradient(
        self, stores: list[tuple[str, Expression]], segment: _Segment, x: Expression, gradient: Expression | None
    ) -> None:
        """Notes which buffer will hold the gradient of ``x``, storing it if no buffer does yet."""
        key = segment.source.name if x is segment.leaf else self.by_variable[id(x.value)].name
        gradient = gradient if gradient is not None else ops.constant(0.0)
        for name, known in stores:
            if gradient is (known.args[0] if known.op == "bfloat16" else known):  # that of a bias is the product's
                self.gradients[key] = name
                return
        if x is segment.leaf and segment.low:  # two products take it: those of the input's and of the kernel's gradient
            gradient = ops.bfloat16(gradient)
        self.gradients[key] = self.buffer(self.d(key), segment.source, f"gradient of {key}")
        stores.append((self.gradients[key], gradient))

    # ---------------------------------------------------------------- backward

    def backward(self) -> list[Step]:
        """From the gradient of the last product back to the first weight that is trained."""
        steps: list[Step] = []
        for i in range(self.last, self.first_trained - 1, -1):
            segment = self.training[i]
            if i > self.first_trained:
                steps += self._through(segment, self.training[i - 1], self.saved[i - 1])
            update = self._update(segment, self.stored[i - 1] if i else "")
            if update is not None:
                steps.append(update)
        return steps

    def _through(self, segment: _Segment, before: _Segment, saved: Mapping[Expression, Operand]) -> list[Step]:
        """From the gradient of a source to that of the source before it."""
        node, d = segment.source, self.gradients[segment.source.name]
        incoming = ops.symbol("g", ELEMENT, before.root.shape)
        on_tile = node.op == "matmul" and (_on_tiles(before) or before.root is before.leaf)
        name = self.d(before.node.name)
        if not on_tile:
            self.buffer(name, before.node, f"gradient of {before.node.name}")
        leaves = {**saved, incoming: Operand("tile", "product") if on_tile else Operand("buffer", name)}
        stores: list[tuple[str, Expression]] = []
        wanted = [before.leaf, *self._trainable(before)]
        same = before.value is before.leaf
        gradients = [incoming] if same else differentiate(before.value, incoming, wanted)
        for x, g in zip(wanted, gradients, strict=True):
            self._store_gradient(stores, before, x, g)
        formula = self.formula(stores, leaves, f"gradient of {before.node.layer}")
        steps: list[Step] = []
        if node.op == "matmul":
            on_product = formula
            if not on_tile:
                on_product = self.formula([(name, incoming)], {incoming: Operand("tile", "product")}, formula.comment)
            comment = f"gradient of {before.node.name} through {node.layer}"
            matrix = self.matrix(node.weights[0])
            panels = self.panels(matrix.inputs)
            steps.append(Backward(_stem(node), matrix, panels, d, node.positions, on_product, comment))
        else:
            comment = f"{node.layer}: gradients in their old rows"
            steps.append(Copy(f"{node.name}_backward", d, name, comment))
        if not on_tile and not same:
            at = before.node
            name = f"{at.name}_rows_backward"
            steps.append(Rows(name, at.positions, at.features, formula, None, f"gradient of {before.source.name}"))
        return steps

    def _update(self, segment: _Segment, x: str) -> Update | None:
        """The update of all weights of a segment, if it has any."""
        node = segment.source
        vectors = tuple((self.vector(n), self.gradients[n]) for n in segment.node.weights if n in self.gradients)
        trained = node.op == "matmul" and self.weights[node.weights[0]].trainable
        if not trained and not vectors:
            return None
        matrix = self.matrix(node.weights[0]) if trained else None
        return Update(
            _stem(node), matrix, x, self.gradients[node.name], node.positions, vectors, f"weights of {node.layer}"
        )


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


# ------------------------------------------------------------------ the optimizer


def rule_of(optimizer: Any, names: Names) -> Rule:
    """Traces an optimizer's update with symbols for its numbers.

    Args:
        optimizer: the optimizer.
        names: those that the C has already.

    Raises:
        ModelError: it does not return the weight and all slots.
    """
    hyper = {name: ops.symbol(name, NUMBER) for name in optimizer.hyperparameters}
    hyper["learning_rate"] = ops.symbol("learning_rate", UNIFORM)
    formulas = optimizer.with_values(**hyper)
    step = ops.symbol("step", UNIFORM)
    shape = (None, None)
    w, g = (ops.symbol(n, ELEMENT, shape) for n in ("w", "g"))
    slots = {n: ops.symbol(n, ELEMENT, shape) for n in optimizer.slots}
    scalars = {n: ops.symbol(n, UNIFORM) for n in optimizer.scalars}
    new_scalars: dict[str, Expression] = {}
    if scalars:
        made = trace(formulas.update_scalars, step, *scalars.values())
        new_scalars = dict(zip(scalars, made if isinstance(made, tuple) else (made,), strict=True))
    results = trace(formulas.step, w, g, *slots.values(), step=step, **new_scalars)
    results = results if isinstance(results, tuple) else (results,)
    name = type(optimizer).__name__
    if len(results) != 1 + len(slots) or not all(isinstance(r, Expression) for r in results):
        raise ModelError(
            f"{name}.update: expected the new weight and {len(slots)} slots ({', '.join(slots) or 'none'}), "
            f"received {len(results)} values: {', '.join(type(r).__name__ for r in results)}."
        )
    leaves = {x: name for name, x in hyper.items()} | {step: "step", w: "w", g: "g"}
    return Rule(
        name=names.new(name),
        slots=tuple(optimizer.slots.items()),
        scalars=tuple(optimizer.scalars.items()),
        hyper=tuple(optimizer.hyperparameters),
        updates=tuple(zip(("w", *slots), map(resolved, results), strict=True)),
        scalar_updates=tuple(new_scalars.items()),
        leaves=tuple((leaves | {x: n for n, x in (slots | scalars).items()}).items()),
    )


# ------------------------------------------------------------------ the stage


def _one_pass(forward: Sequence[Step], backward: Sequence[Step]) -> bool:
    """Whether, with one row per batch, an update can wait for the forward pass of the next row.

    Then each kernel is read and written once per row. All weights must belong to products
    of single rows that are trained.
    """
    products = [s.matrix.name for s in forward if isinstance(s, Forward) and s.positions == 1]
    updates = [s.matrix.name for s in backward if isinstance(s, Update) and s.matrix]
    others = [s for s in backward if not isinstance(s, Backward)]
    return (
        bool(products)
        and len(products) == len(forward)
        and not any(s.matrix.low for s in forward if isinstance(s, Forward))
        and sorted(products)
        == sorted(updates)
        == sorted(s.matrix.name for s in others if isinstance(s, Update) and s.matrix)
        and len(others) == len(updates)
    )


def _laps(forward: Sequence[Step], backward: Sequence[Step]) -> tuple[str, ...]:
    """What a profile measures, in the order in which it is done."""
    kinds = {Forward: "_forward", Backward: "_backward", Update: "_update"}
    names = [[s.name + kinds.get(type(s), "") for s in steps] for steps in (forward, backward)]
    return tuple(dict.fromkeys(("gather", *names[0], "loss", *names[1])))


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
    forward = planner.forward()
    predict = planner.predict()
    end = planner.training[-1].node
    targets, loss_step, backward, rule = None, None, list[Step](), None
    if training is not None:
        columns = 1 if training.labels else training.columns
        stride = 1 if training.labels else -(-columns // planner.lanes) * planner.lanes
        targets = Targets(training.labels, end.positions, columns, stride)
        loss_step = planner.loss(training.loss, training.metrics, training.labels)
        if training.optimizer is not None:
            rule = rule_of(training.optimizer, planner.names)
            backward = planner.backward()
    source = planner.training[0].source
    steps: list[Step] = [*forward, *([loss_step] if loss_step else []), predict, *backward]
    sizes = {n: p * planner.stride(c) for n, (p, c, _) in planner.buffers.items()}
    alone = dict(zip(sizes, itertools.accumulate(sizes.values(), initial=0), strict=False))
    offsets, sample_size = plan(_lifetimes(steps, source.name), sizes)
    return Program(
        name=inference_graph.name,
        real=real,
        target=target,
        inputs=source.positions * source.features,
        outputs=end.features,
        output_positions=end.positions,
        matrices=tuple(planner.matrix(w.name) for w in planner.all_weights if len(w.shape) == 2),
        vectors=tuple(planner.vector(w.name) for w in planner.all_weights if len(w.shape) == 1),
        weights=planner.all_weights,
        buffers=tuple(
            Buffer(n, p, c, planner.panels(c).padded, planner.stride(c), offsets[n], alone[n], comment)
            for n, (p, c, comment) in planner.buffers.items()
            if n in offsets
        ),
        sample_size=sample_size,
        alone_size=sum(sizes.values()),
        scratch_size=max(
            (s.matrix.outputs * planner.panel for s in backward if isinstance(s, Backward) and not s.matrix.parts),
            default=0,
        ),
        laps=_laps(forward, backward) if training is not None and training.profile else (),
        profile=training is not None and training.profile,
        one_pass=_one_pass(forward, backward),
        input_buffer=source.name,
        input_low=planner.rounds_input(),
        forward=tuple(forward),
        predict=predict,
        targets=targets,
        loss=loss_step,
        backward=tuple(backward),
        rule=rule,
        totals=("loss", *(name for name, _ in training.metrics)) if training is not None else (),
        mean=training is None or str(getattr(training.loss, "reduction", "")) != "sum",
        noises=tuple(source.seed for source in planner.noises),
        layers=tuple(dict.fromkeys(n.layer for n in inference_graph.nodes)),
    )
