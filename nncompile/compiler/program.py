"""Stage 2: from a Graph to a Program. After this nothing is decided.

A program is what the C will do, in order: which formula is computed where a product is
still in registers, what backward keeps, where every buffer lies. Its pieces are records
with plain fields; formulas in them are expressions with, for each leaf, where its
numbers are found.

Rewrites across layers are functions of this module: :func:`fuse_cross_entropy`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .. import ops
from ..errors import ModelError, UnsupportedError
from ..ops import ELEMENT, NUMBER, ROW, UNIFORM, Expression
from ..targets import Target
from .expression import Names, depends, differentiate, identifier, resolved, topological, trace
from .graph import Graph, Node, Weight

# ------------------------------------------------------------------ records


@dataclass(frozen=True)
class Buffer:
    """Memory for a value of every sample of a batch.

    Attributes:
        name: its name in C.
        positions: rows per sample.
        columns: numbers in a row that mean something.
        stride: numbers from a row to the next; what lies behind the columns is padding.
        offset: where it starts, in numbers per sample of the capacity of the workspace.
        comment: what it holds.
    """

    name: str
    positions: int
    columns: int
    stride: int
    offset: int
    comment: str

    def __str__(self) -> str:
        return f"{self.name}[{self.positions}][{self.columns} of {self.stride}] at {self.offset}"


@dataclass(frozen=True)
class Matrix:
    """A weight of two axes, stored as panels: [panels][inputs][panel width]."""

    name: str
    inputs: int
    outputs: int
    panels: int
    panel: int
    trainable: bool

    @property
    def numbers(self) -> int:
        return self.panels * self.inputs * self.panel


@dataclass(frozen=True)
class Vector:
    """A weight of one axis, padded to whole panels."""

    name: str
    length: int
    padded: int
    trainable: bool


@dataclass(frozen=True)
class Operand:
    """Where a leaf of a formula is found.

    Attributes:
        kind: ``tile`` (the product, in registers), ``buffer``, ``vector``, ``noise``,
            ``labels`` (one number per row) or ``number``.
        name: of the buffer, weight or number; for noise which one it is.
    """

    kind: str
    name: str


@dataclass(frozen=True)
class Formula:
    """A formula over the rows of some buffers.

    Attributes:
        stores: (name of a buffer, element value).
        results: (name of a sum over all rows, row value).
        leaves: where the leaves are found.
        comment: what is computed.
    """

    stores: tuple[tuple[str, Expression], ...]
    leaves: tuple[tuple[Expression, Operand], ...]
    comment: str
    results: tuple[tuple[str, Expression], ...] = ()

    def reads(self) -> list[str]:
        return [o.name for _, o in self.leaves if o.kind == "buffer"]

    def __str__(self) -> str:
        made = [f"{n} = {x!r}" for n, x in (*self.stores, *self.results)]
        return "; ".join(made)


@dataclass(frozen=True)
class Forward:
    """One product and the formula on it: stores = f(x · kernel)."""

    name: str
    matrix: Matrix
    x: str
    positions: int
    training: Formula
    inference: Formula
    comment: str

    def uses(self) -> list[str]:
        formulas = (self.training, self.inference)
        return [self.x, *(n for f in formulas for n, _ in f.stores), *(n for f in formulas for n in f.reads())]


@dataclass(frozen=True)
class Rows:
    """A formula over rows that are in memory."""

    name: str
    positions: int
    width: int
    training: Formula | None
    inference: Formula | None
    comment: str

    def uses(self) -> list[str]:
        formulas = [f for f in (self.training, self.inference) if f]
        return [*(n for f in formulas for n, _ in f.stores), *(n for f in formulas for n in f.reads())]


@dataclass(frozen=True)
class Copy:
    """The numbers of every sample of one buffer, in order, as rows of another size."""

    name: str
    source: str
    target: str
    comment: str

    def uses(self) -> list[str]:
        return [self.source, self.target]


@dataclass(frozen=True)
class Backward:
    """The gradient of a product's input, and the formula on it: stores = f(dy · kernelᵀ)."""

    name: str
    matrix: Matrix
    dy: str
    positions: int
    formula: Formula
    comment: str

    def uses(self) -> list[str]:
        return [self.dy, *(n for n, _ in self.formula.stores), *self.formula.reads()]


@dataclass(frozen=True)
class Update:
    """The gradients of a layer's weights, consumed by the optimizer tile by tile.

    Attributes:
        matrix: kernel, or None.
        x: input of the product.
        dy: gradient of the product.
        vectors: (weight, buffer whose column sums are its gradient).
    """

    name: str
    matrix: Matrix | None
    x: str
    dy: str
    positions: int
    vectors: tuple[tuple[Vector, str], ...]
    comment: str

    def uses(self) -> list[str]:
        return [*([self.x, self.dy] if self.matrix else []), *(b for _, b in self.vectors)]


Step = Forward | Rows | Copy | Backward | Update


@dataclass(frozen=True)
class Rule:
    """An optimizer: what happens to one weight, and to the numbers shared by all.

    Attributes:
        name: its name in C.
        slots: what is kept for each weight.
        scalars: what is kept once, with the initial value.
        hyper: names of the numbers that may change at run time, beside the learning rate.
        updates: (``w`` or a slot, new value).
        scalar_updates: (name, new value).
        leaves: what the leaves of all those values are called.
    """

    name: str
    slots: tuple[tuple[str, float], ...]
    scalars: tuple[tuple[str, float], ...]
    hyper: tuple[str, ...]
    updates: tuple[tuple[str, Expression], ...]
    scalar_updates: tuple[tuple[str, Expression], ...]
    leaves: tuple[tuple[Expression, str], ...]


@dataclass(frozen=True)
class Targets:
    """What the network should have said: the y of training.

    Attributes:
        labels: whether there is one number per row rather than one per column.
        positions: rows per sample.
        columns: numbers per row.
        stride: from a row to the next.
    """

    labels: bool
    positions: int
    columns: int
    stride: int


@dataclass(frozen=True)
class Program:
    """What the C does. ``str()`` of it is for people."""

    name: str
    real: str
    target: Target
    inputs: int
    outputs: int
    output_positions: int
    matrices: tuple[Matrix, ...]
    vectors: tuple[Vector, ...]
    weights: tuple[Weight, ...]
    buffers: tuple[Buffer, ...]
    sample_size: int
    scratch_size: int
    input_buffer: str
    forward: tuple[Step, ...]
    predict: Rows
    targets: Targets | None
    loss: Rows | None
    backward: tuple[Step, ...]
    rule: Rule | None
    totals: tuple[str, ...]
    mean: bool
    noises: tuple[Any, ...]
    layers: tuple[str, ...]

    def buffer(self, name: str) -> Buffer:
        return next(b for b in self.buffers if b.name == name)

    def __str__(self) -> str:
        steps = [*self.forward, *([self.loss] if self.loss else [self.predict]), *self.backward]
        lines = [f"program {self.name} for {self.target}, {self.sample_size} numbers per sample"]
        lines += [f"  {type(s).__name__.lower():8} {s.name}: {s.comment}" for s in steps]
        return "\n".join([*lines, *(f"  buffer {b}" for b in self.buffers)])


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
            (offsets[o], offsets[o] + sizes[o])
            for o in offsets
            if lifetimes[o][0] <= last and first <= lifetimes[o][1]
        )
        place = 0
        for start, end in taken:
            if place + sizes[name] <= start:
                break
            place = max(place, end)
        offsets[name] = place
    return offsets, max((offsets[n] + sizes[n] for n in offsets), default=0)


# ------------------------------------------------------------------ building


@dataclass
class _Builder:
    """Collects steps and buffers; the only mutable thing of this stage."""

    target: Target
    real: str
    training_graph: Graph | None
    inference_graph: Graph
    lanes: int = 0
    panel: int = 0
    buffers: dict[str, tuple[int, int, str]] = field(default_factory=dict)
    names: Names = field(default_factory=Names)
    noises: dict[int, int] = field(default_factory=dict)
    noise_seeds: list[Any] = field(default_factory=list)

    def __post_init__(self) -> None:
        size = 8 if self.real == "double" else 4
        self.lanes = max(self.target.vector_bytes // size, 1)
        self.panel = self.lanes * self.target.panel_vectors
        graph = self.inference_graph
        used = [*(n.name for n in graph.nodes), *(w.name for w in graph.weights)]
        self.names = Names({"input", "target", "tile", "state", "workspace", "rates", "data", *used})

    def matrix(self, weight: Weight) -> Matrix:
        inputs, outputs = weight.shape
        return Matrix(weight.name, inputs, outputs, -(-outputs // self.panel), self.panel, weight.trainable)

    def vector(self, weight: Weight) -> Vector:
        (length,) = weight.shape
        return Vector(weight.name, length, -(-length // self.panel) * self.panel, weight.trainable)

    def stride(self, columns: int) -> int:
        return -(-columns // self.panel) * self.panel

    def buffer(self, name: str, positions: int, columns: int, comment: str) -> str:
        self.buffers.setdefault(name, (positions, columns, comment))
        return name

    def noise(self, x: Expression) -> int:
        """The number of a source of random numbers; one seed object is one source."""
        if id(x.value) not in self.noises:
            self.noises[id(x.value)] = len(self.noises)
            self.noise_seeds.append(x.value)
        return self.noises[id(x.value)]


@dataclass(frozen=True)
class _Segment:
    """A formula between two boundaries.

    Attributes:
        source: input, product or reshape that it starts from.
        root: the value that is stored; the source itself if there is no formula.
        name: of the stored value.
    """

    source: Node
    root: Expression
    name: str
    node: Node


def _segments(graph: Graph) -> list[_Segment]:
    """The chain of formulas: one for the input, and one behind each product and reshape."""
    result = []
    formulas = {n.inputs[0]: n for n in graph.nodes if n.op == "formula"}
    for node in graph.nodes:
        if node.op != "formula":
            made = formulas.get(node.name, node)
            result.append(_Segment(node, resolved(made.expression), made.name, made))
    return result


def _elementwise(root: Expression, source: Expression) -> bool:
    """Whether a formula can be computed on a tile: no reduction, no number of a column."""
    return all(
        x.level != ROW and x.op != "column" for x in topological([root], [source]) if x is not source
    )


def build(
    inference_graph: Graph,
    target: Target,
    real: str,
    *,
    training_graph: Graph | None = None,
    loss: Any = None,
    metrics: Sequence[tuple[str, Any]] = (),
    optimizer: Any = None,
    labels: bool = False,
    target_columns: int = 0,
) -> Program:
    """Orders, fuses and places everything.

    Args:
        inference_graph: the network as it predicts.
        target: the processor.
        real: ``float`` or ``double``.
        training_graph: the network as it trains; None for a program that only predicts.
        loss: a Loss, needed for training and evaluation.
        metrics: (name in C, metric with a formula ``fn``).
        optimizer: an Optimizer; None for a program that cannot train.
        labels: whether y has one number per row.
        target_columns: numbers per row of y otherwise.

    Raises:
        UnsupportedError, ModelError: as the functions below say.
    """
    b = _Builder(target, real, training_graph, inference_graph)
    inference = _segments(inference_graph)
    training = _segments(training_graph) if training_graph else inference
    weights = {w.name: w for w in (training_graph or inference_graph).weights}
    for w in weights.values():
        if len(w.shape) > 2:
            raise UnsupportedError(f"{w.name}: weights of shape {w.shape} are not supported.")
    leaf_weights = {id(w.variable): w for w in weights.values()}

    # the first products that must be trained decide how far back gradients are needed
    trained = [
        any(weights[n].trainable for n in (*s.source.weights, *s.node.weights)) and optimizer is not None
        for s in training
    ]
    first_trained = trained.index(True) if any(trained) else len(training)

    forward: list[Step] = []
    stored: list[str] = []  # the buffer that each segment leaves its value in
    saved: list[dict[Expression, Operand]] = []  # what the backward pass of each segment can load
    last = len(training) - 1
    for i, (t, n) in enumerate(zip(training, inference, strict=True)):
        source = t.source
        raw = b.buffer(source.name, source.positions, source.features, _says(source))
        here: dict[Expression, Operand] = {}
        if source.op == "reshape":
            forward.append(Copy(source.name, stored[-1], raw, f"{source.layer}: the numbers of a sample in new rows"))
        needs = i >= first_trained and i != last
        fused = source.op == "matmul" and i != last and _elementwise(t.root, source.expression)
        if i == last:  # the formula is computed together with the loss, or with the output
            stored.append(raw)
            here[source.expression] = Operand("buffer", raw)
        elif t.root is source.expression and n.root is n.source.expression:
            stored.append(raw)
            here[source.expression] = Operand("buffer", raw)
        else:
            name = b.buffer(t.name, t.node.positions, t.node.features, _says(t.node))
            stored.append(name)
            if not fused:
                here[source.expression] = Operand("buffer", raw)
            elif needs:
                here = _keep(b, t, name)
            here.setdefault(t.root, Operand("buffer", name))
        saved.append(here)

        extra = [(o.name, x) for x, o in here.items() if fused and o.name != stored[-1]]
        if source.op == "matmul":
            matrix = b.matrix(weights[source.weights[0]])
            if fused:
                f_train = _formula(b, [(stored[-1], t.root), *extra], {t.source.expression: Operand("tile", "product")}, leaf_weights, t.node.layer)
                f_infer = _formula(b, [(stored[-1], n.root)], {n.source.expression: Operand("tile", "product")}, leaf_weights, n.node.layer)
            else:
                f_train = _formula(b, [(raw, source.expression)], {source.expression: Operand("tile", "product")}, leaf_weights, source.layer)
                f_infer = f_train
            comment = f"{source.layer}: {matrix.inputs} -> {matrix.outputs}"
            forward.append(Forward(_stem(source), matrix, stored[i - 1], source.positions, f_train, f_infer, comment))
        if i != last and not fused and stored[-1] != raw:
            rows = [
                _formula(b, [(stored[-1], s.root)], {s.source.expression: Operand("buffer", raw)}, leaf_weights, s.node.layer)
                for s in (t, n)
            ]
            forward.append(Rows(f"{t.name}_rows", t.source.positions, t.source.features, rows[0], rows[1], t.node.layer))

    end_t, end_n = training[-1], inference[-1]
    out = _formula(b, [("y", end_n.root)], {end_n.source.expression: Operand("buffer", stored[-1])}, leaf_weights, end_n.node.layer)
    predict = Rows("output", end_n.node.positions, end_n.node.features, None, out, f"{end_n.node.layer}: the output")

    targets, loss_step, backward, rule, totals, mean = None, None, [], None, (), True
    if loss is not None:
        columns = 1 if labels else target_columns
        targets = Targets(labels, end_t.node.positions, columns, 1 if labels else -(-columns // b.lanes) * b.lanes)
        gradients: dict[str, str] = {}
        loss_step, gradients, totals = _loss(b, end_t, end_n, stored[-1], loss, metrics, labels, leaf_weights, first_trained <= last)
        mean = getattr(loss, "reduction", "sum_over_batch_size") != "sum"
        if optimizer is not None:
            rule = _rule(optimizer)
            backward = _backward(b, training, stored, saved, first_trained, weights, leaf_weights, gradients)

    steps: list[Step] = [*forward, *([loss_step] if loss_step else []), predict, *backward]
    sizes = {n: p * b.stride(c) for n, (p, c, _) in b.buffers.items()}
    offsets, sample_size = plan(_lifetimes(steps, training[0].source.name), sizes)
    buffers = tuple(
        Buffer(n, p, c, b.stride(c), offsets[n], comment) for n, (p, c, comment) in b.buffers.items() if n in offsets
    )
    transposed = [s.matrix for s in backward if isinstance(s, Backward)]
    all_weights = (training_graph or inference_graph).weights
    return Program(
        name=inference_graph.name,
        real=real,
        target=target,
        inputs=inference[0].source.positions * inference[0].source.features,
        outputs=end_n.node.features,
        output_positions=end_n.node.positions,
        matrices=tuple(b.matrix(w) for w in all_weights if len(w.shape) == 2),
        vectors=tuple(b.vector(w) for w in all_weights if len(w.shape) == 1),
        weights=all_weights,
        buffers=buffers,
        sample_size=sample_size,
        scratch_size=max((b.stride(m.inputs) * m.outputs for m in transposed), default=0),
        input_buffer=training[0].source.name,
        forward=tuple(forward),
        predict=predict,
        targets=targets,
        loss=loss_step,
        backward=tuple(backward),
        rule=rule,
        totals=totals,
        mean=mean,
        noises=tuple(b.noise_seeds),
        layers=tuple(dict.fromkeys(n.layer for n in inference_graph.nodes)),
    )


def _stem(node: Node) -> str:
    """``dense`` for the node ``dense_product``."""
    return node.name.removesuffix("_product")


def _says(node: Node) -> str:
    kind = {"input": "the input", "matmul": "x . kernel", "reshape": "in new rows", "formula": "its value"}
    return f"{node.layer}: {kind[node.op]}" if node.op != "input" else "the input"


def _lifetimes(steps: Sequence[Step], input_name: str) -> dict[str, tuple[int, int]]:
    result: dict[str, tuple[int, int]] = {input_name: (0, 0)}
    for number, step in enumerate(steps):
        for name in step.uses():
            if name not in ("y", "target"):
                first, _ = result.get(name, (number, number))
                result[name] = (first, number)
    return result


def _formula(
    b: _Builder,
    stores: Sequence[tuple[str, Expression]],
    leaves: Mapping[Expression, Operand],
    weights: Mapping[int, Weight],
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
            found[x] = Operand(kind, weights[id(x.value)].name)
        elif x.op == "noise":
            found[x] = Operand("noise", str(b.noise(x)))
    return Formula(tuple(stores), tuple(found.items()), comment, tuple(results))


def _keep(b: _Builder, segment: _Segment, name: str) -> dict[Expression, Operand]:
    """Decides what the backward pass of a fused formula loads.

    The gradient is differentiated once to see which values of the formula it is stated
    in. If that is at most one beside the stored result they are kept; otherwise the one
    value that all of them depend on, so that the rest is computed again from it.
    """
    source = segment.source.expression
    if segment.root is source:
        return {}
    seed = ops.symbol("g", ELEMENT, segment.root.shape)
    inside = [x for x in topological([segment.root], [source]) if depends_on(x, source)]
    vectors = [x for x in topological([segment.root], [source]) if x.op == "weight" and x.level == ELEMENT]
    gradients = [g for g in differentiate(segment.root, seed, [source, *vectors]) if g is not None]
    met = [x for x in _frontier(gradients, set(inside)) if x is not segment.root and not x.mask]
    kept: dict[Expression, Operand] = {segment.root: Operand("buffer", name)}
    if len(met) > 1:
        common = [x for x in inside if all(x in topological([m]) for m in met) and _cuts(met, x, source)]
        met = [common[-1]] if common else [source]
    for x in met:
        extra = b.names.new(f"{_stem(segment.source)}_{identifier(x.name) if x.name else 'kept'}")
        where = b.buffer(extra, segment.node.positions, segment.node.features, f"{segment.node.layer}: kept for backward")
        kept[x] = Operand("buffer", where)
    return kept


def depends_on(x: Expression, source: Expression) -> bool:
    return depends(x, [source])


def _frontier(roots: Iterable[Expression], inside: set[Expression]) -> list[Expression]:
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


def _cuts(met: Iterable[Expression], x: Expression, source: Expression) -> bool:
    """Whether all of ``met`` can be computed from ``x`` without ``source``."""
    return x is source or source not in topological(met, stop=[x])


def _loss(
    b: _Builder,
    end: _Segment,
    end_inference: _Segment,
    stored: str,
    loss: Any,
    metrics: Sequence[tuple[str, Any]],
    labels: bool,
    weights: Mapping[int, Weight],
    gradient: bool,
) -> tuple[Rows, dict[str, str], tuple[str, ...]]:
    """The last formula, the loss, its gradient and the metrics, as one formula over rows."""
    forms: list[Formula] = []
    sums: dict[str, str] = {}
    totals = ("loss", *(name for name, _ in metrics))
    for segment, training in ((end, True), (end_inference, False)):
        source, root = segment.source.expression, segment.root
        y_true = ops.symbol("label", ROW, root.shape[:-1]) if labels else ops.symbol("target", ELEMENT, root.shape)
        leaves = {source: Operand("buffer", stored), y_true: Operand("labels" if labels else "buffer", "target")}
        fused, value = fuse_cross_entropy(loss, root)
        name = getattr(loss, "name", None) or type(loss).__name__
        per_row = _per_row(trace(fused.call, y_true, value), f"loss {name!r}")
        scale = ops.symbol("scale", UNIFORM)
        leaves[scale] = Operand("number", "scale")
        results = [("loss", per_row)]
        for key, metric in metrics:
            measured = trace(metric.fn, y_true, root, **getattr(metric, "_fn_kwargs", {}))
            results.append((key, _per_row(measured, f"metric {key!r}")))
        stores: list[tuple[str, Expression]] = []
        if training and gradient:
            vectors = [x for x in topological([root], [source]) if x.op == "weight" and x.level == ELEMENT]
            wanted = [source, *vectors]
            for x, g in zip(wanted, differentiate(per_row, scale, wanted), strict=True):
                key = segment.source.name if x is source else weights[id(x.value)].name
                if x is not source and not weights[id(x.value)].trainable:
                    continue
                _store_gradient(b, stores, sums, key, g, segment.source)
        comment = f"{name} of {segment.node.layer}"
        forms.append(_formula(b, stores, leaves, weights, comment, results))
    rows = Rows("loss", end.node.positions, end.node.features, forms[0], forms[1], forms[0].comment)
    return rows, sums, totals


def _store_gradient(
    b: _Builder,
    stores: list[tuple[str, Expression]],
    sums: dict[str, str],
    key: str,
    gradient: Expression | None,
    node: Node,
) -> None:
    """Notes in ``sums`` which buffer will hold the gradient of ``key``, storing it if it is new."""
    if gradient is None:
        gradient = ops.constant(0.0)
    for name, x in stores:
        if x is gradient:
            sums[key] = name
            return
    name = b.buffer(f"d_{key}", node.positions, node.features, f"gradient of {key}")
    sums[key] = name
    stores.append((name, gradient))


def _per_row(x: Any, what: str) -> Expression:
    if not isinstance(x, Expression):
        raise ModelError(f"{what}: expected a formula over nncompile.ops, received {type(x).__name__}.")
    if x.level == ELEMENT:
        x = ops.mean(x, axis=-1)
    if x.level == NUMBER:
        raise ModelError(f"{what}: it does not depend on y_true or y_pred.")
    return resolved(x)


def _backward(
    b: _Builder,
    segments: Sequence[_Segment],
    stored: Sequence[str],
    saved: Sequence[Mapping[Expression, Operand]],
    first: int,
    weights: Mapping[str, Weight],
    leaf_weights: Mapping[int, Weight],
    sums: dict[str, str],
) -> list[Step]:
    """From the gradient of the last product back to the first weight that is trained."""
    steps: list[Step] = []
    for i in range(len(segments) - 1, first - 1, -1):
        segment = segments[i]
        node = segment.source
        d = sums[node.name]
        if i > first:
            before = segments[i - 1]
            leaves = dict(saved[i - 1])
            incoming = ops.symbol("g", ELEMENT, before.root.shape)
            fused = node.op == "matmul" and before.source.op == "matmul" and _elementwise(before.root, before.source.expression)
            fused = fused or before.root is before.source.expression
            name = f"d_{before.name}"
            if fused and node.op == "matmul":
                leaves[incoming] = Operand("tile", "product")
            else:
                b.buffer(name, before.node.positions, before.node.features, f"gradient of {before.name}")
                leaves[incoming] = Operand("buffer", name)
            formula = _vjp(b, before, incoming, leaves, leaf_weights, sums)
            if node.op == "matmul":
                matrix = b.matrix(weights[node.weights[0]])
                raw = formula
                if leaves[incoming].kind == "buffer":
                    tile = ops.symbol("g", ELEMENT, before.root.shape)
                    raw = Formula(((name, tile),), ((tile, Operand("tile", "product")),), "gradient of " + before.name)
                comment = f"gradient of {before.name} through {node.layer}"
                steps.append(Backward(_stem(node), matrix, d, node.positions, raw, comment))
            else:
                steps.append(Copy(f"{node.name}_backward", d, name, f"{node.layer}: gradients in their old rows"))
            if leaves[incoming].kind == "buffer" and any(n != name for n, _ in formula.stores):
                rows = Rows(f"{before.name}_rows_backward", before.node.positions, before.node.features, formula, None, f"gradient of {before.source.name}")
                steps.append(rows)
        vectors = [
            (b.vector(weights[n]), sums[n]) for n in segment.node.weights if n in sums and weights[n].trainable
        ]
        matrix_weight = weights[node.weights[0]] if node.op == "matmul" else None
        trained = matrix_weight is not None and matrix_weight.trainable
        if trained or vectors:
            matrix = b.matrix(matrix_weight) if trained and matrix_weight else None
            x = stored[i - 1] if matrix else ""
            steps.append(
                Update(_stem(node), matrix, x, d, node.positions, tuple(vectors), f"weights of {segment.source.layer}")
            )
    return steps


def _vjp(
    b: _Builder,
    segment: _Segment,
    incoming: Expression,
    leaves: Mapping[Expression, Operand],
    weights: Mapping[int, Weight],
    sums: dict[str, str],
) -> Formula:
    """The gradients of a formula's source and vectors from that of its value."""
    source = segment.source.expression
    vectors = [
        x
        for x in topological([segment.root], [source])
        if x.op == "weight" and x.level == ELEMENT and weights[id(x.value)].trainable
    ]
    wanted = [source, *vectors]
    stores: list[tuple[str, Expression]] = []
    if segment.root is source:
        gradients: list[Expression | None] = [incoming]
    else:
        gradients = differentiate(segment.root, incoming, wanted)
    for x, g in zip(wanted, gradients, strict=True):
        key = segment.source.name if x is source else weights[id(x.value)].name
        _store_gradient(b, stores, sums, key, g, segment.source)
    return _formula(b, stores, leaves, weights, f"gradient of {segment.node.layer}")


def _rule(optimizer: Any) -> Rule:
    """Traces the optimizer's update with symbols for its numbers."""
    hyper = {name: ops.symbol(name, NUMBER) for name in optimizer.hyperparameters}
    hyper["learning_rate"] = ops.symbol("learning_rate", UNIFORM)
    formulas = optimizer.with_values(**hyper)
    leaves = {x: name for name, x in hyper.items()}
    step = ops.symbol("step", UNIFORM)
    leaves[step] = "step"
    shape = (None, None)
    w, g = (ops.symbol(n, ELEMENT, shape) for n in ("w", "g"))
    slots = {n: ops.symbol(n, ELEMENT, shape) for n in optimizer.slots}
    scalars = {n: ops.symbol(n, UNIFORM) for n in optimizer.scalars}
    leaves.update({w: "w", g: "g"} | {x: n for n, x in (slots | scalars).items()})
    new_scalars: dict[str, Expression] = {}
    if scalars:
        made = trace(formulas.update_scalars, step, *scalars.values())
        new_scalars = dict(zip(scalars, made if isinstance(made, tuple) else (made,), strict=True))
    results = trace(formulas.step, w, g, *slots.values(), step=step, **new_scalars)
    results = results if isinstance(results, tuple) else (results,)
    name = type(optimizer).__name__
    if len(results) != 1 + len(slots):
        raise ModelError(
            f"{name}.update: expected the new weight and {len(slots)} slots ({', '.join(slots)}), "
            f"received {len(results)} values."
        )
    updates = tuple(zip(("w", *slots), map(resolved, results), strict=True))
    return Rule(
        name=identifier(name),
        slots=tuple(optimizer.slots.items()),
        scalars=tuple(optimizer.scalars.items()),
        hyper=tuple(optimizer.hyperparameters),
        updates=updates,
        scalar_updates=tuple(new_scalars.items()),
        leaves=tuple(leaves.items()),
    )
