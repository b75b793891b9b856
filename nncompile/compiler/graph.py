"""Stage 1: from a model to a Graph.

The model is called once with symbols. What comes out are expressions over its inputs;
products and whatever else reaches beyond one row (numbers put in other places, rows of
a table, means over the batch) cut them into formulas. All mistakes of a user that
concern the model itself are found here or before, with the layer's name.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from .. import ops, registry
from ..errors import ModelError, UnsupportedError
from ..layers import masks
from ..ops import ELEMENT, PRIMITIVES, ROW, UNIFORM, Expression, arrays, parameters
from ..variables import Variable, recording
from .expression import BOUNDARY, Names, identifier, operands, resolved, topological, trace
from .rowwise import of_layers
from .wholes import in_columns

RESERVED = frozenset(
    """
    data figures input left_operand rates right_operand state sums target tile transposed values weight workspace y
    """.split()
)
"""Names in the C that are not of layers."""
_DEAR = 8
"""A number per feature that costs so many instructions is computed once for all rows."""


@dataclass(frozen=True)
class Weight:
    """A weight that the graph uses.

    Attributes:
        name: its name in C.
        variable: where its numbers are.
        shape: in Keras' layout.
        trainable: whether its layer and itself may be trained.
    """

    name: str
    variable: Variable
    shape: tuple[int, ...]
    trainable: bool

    def __str__(self) -> str:
        return f"{self.name}{list(self.shape)}{'' if self.trainable else ' frozen'}"


@dataclass(frozen=True)
class Node:
    """A value of the network.

    ====================  =====================================================
    op                    what it is
    ====================  =====================================================
    ``input``             numbers of a sample
    ``matmul``            a product with a weight
    ``dot``               matrices of a sample times matrices of it
    ``reshape``           numbers in rows of another size
    ``arrange``           numbers in other places
    ``take``              rows of a weight
    ``row``               a single column, as a value per row
    ``formula``           what a formula makes of other values
    ``batch_mean``        means of columns over the batch, of a formula that is stored nowhere
    ``vector``            numbers per feature, computed from means and weights
    ``target``            what an output should be, for a loss that rearranges it
    ====================  =====================================================

    Attributes:
        name: its name in C, after the layer that makes it.
        op: one of these.
        inputs: names of the nodes that it is computed from.
        shape: of one sample, without the batch; of numbers per feature their number.
        layer: the layer for comments: its own name, an automatic one counted within the model, and its class.
        expression: the value as an expression over the nodes it is computed from; in training
            with the gradient that its author stated.
        weights: names of the weights that it uses.
    """

    name: str
    op: str
    inputs: tuple[str, ...]
    shape: tuple[int, ...]
    layer: str
    expression: Expression
    weights: tuple[str, ...]

    @property
    def features(self) -> int:
        """Size of the last axis."""
        return self.shape[-1] if self.shape else 1

    @property
    def positions(self) -> int:
        """Rows of the last axis in one sample."""
        return math.prod(self.shape[:-1])

    @property
    def per_feature(self) -> bool:
        """Whether it is the same for all rows."""
        return self.op in ("batch_mean", "vector")

    def __str__(self) -> str:
        uses = ", ".join((*self.inputs, *self.weights))
        return f"{self.name}{list(self.shape)} = {self.op}({uses})    # {self.layer}"


@dataclass(frozen=True)
class Penalty:
    """What a layer adds to the loss: the sum of a formula over all numbers of the batch.

    Attributes:
        name: in C.
        node: the formula, which is stored nowhere.
        mean: what the sum is divided by, as in :class:`nncompile.compiler.program.Loss`.
    """

    name: str
    node: Node
    mean: str


@dataclass(frozen=True)
class Graph:
    """A network: nodes in an order in which each follows what it is computed from.

    Attributes:
        outputs: names of the nodes that are returned.
        assignments: (weight, formula) done after the forward pass of a step of training.
        penalties: what layers add to the loss.
        aims: (number of an output, its loss) where that is a formula of more than the rows of that output. Its node is
            stored nowhere, as that of a penalty.
        late: names of the nodes that these losses alone take: a prediction does without.
    """

    name: str
    nodes: tuple[Node, ...]
    outputs: tuple[str, ...]
    weights: tuple[Weight, ...]
    training: bool
    assignments: tuple[tuple[str, Node], ...] = ()
    penalties: tuple[Penalty, ...] = ()
    aims: tuple[tuple[int, Node], ...] = ()
    late: frozenset[str] = frozenset()

    def aim(self, number: int) -> Node | None:
        """The loss of an output, if it is a formula of more than its rows."""
        return dict(self.aims).get(number)

    def node(self, name: str) -> Node:
        return next(n for n in self.nodes if n.name == name)

    @property
    def inputs(self) -> tuple[Node, ...]:
        return tuple(n for n in self.nodes if n.op == "input")

    def __str__(self) -> str:
        lines = [f"graph {self.name}{' (training)' if self.training else ''}", *map(str, self.nodes)]
        lines += [f"{name} becomes {node.name}" for name, node in self.assignments]
        lines += [f"penalty {p.node}" for p in self.penalties]
        lines += [f"loss of output {number}: {node}" for number, node in self.aims]
        return "\n".join([*lines, f"output {', '.join(self.outputs)}; weights {', '.join(map(str, self.weights))}"])


def build(model: Any, training: bool) -> Graph:
    """Calls ``model`` with symbols.

    Args:
        model: a built model.
        training: whether layers behave as in training.

    Raises:
        ModelError: a layer does something that no network can do.
        UnsupportedError: a network that cannot be compiled.
    """
    specs = model._input_specs()
    for name, shape, _ in specs:
        if not shape or any(not isinstance(n, int) or n < 1 for n in shape):
            raise ModelError(
                f"{model.name}: expected an input shape of positive sizes, received {(None, *shape)} for {name!r}. "
                "Every size but the batch must be known: Input((784,))."
            )
    inner = [part for layer in model.layers for part in layer._walk()]
    layer_names = c_names(inner)
    titles = {"": "input", model.name: f"{model.name} ({type(model).__name__})"}
    for layer in inner:
        kind = type(layer).__name__
        titles[layer.name] = f"{layer_names[layer.name] if _automatic(layer) else layer.name} ({kind})"
    sources = [ops.symbol("x", ELEMENT, (None, *shape)) for _, shape, _ in specs]
    names = [name for name, _, _ in specs] if len(specs) > 1 else ["input"]
    whole: list[Variable] = []
    while True:
        with recording() as records, parameters.kept_whole(whole):
            result = trace(model._traced, model._pack_inputs(list(sources)), training)
            if training:
                _refuse_masks(model, result)
        roots = in_columns(_roots(model, result))
        _refuse_sums(model, [*roots, *(x for _, x in records.assignments)])
        penalties = [(of_layers(x), mean) for x, mean in records.penalties]
        cutter = _Cutter(model, dict(zip(sources, names, strict=True)), layer_names, titles, training)
        try:
            return cutter.cut(roots, records.assignments if training else [], penalties)
        except _Clash as clash:
            if all(any(v is w for w in whole) for v in clash.variables):
                raise UnsupportedError(
                    f"{clash.what} is used as a matrix and number by number at once, or is too large for that. "
                    "Give one of the two a weight of its own."
                ) from None
            whole += clash.variables


class _Clash(Exception):
    """Weights are multiplied as matrices, and meet values number by number."""

    def __init__(self, variables: list[Variable], what: str) -> None:
        super().__init__(what)
        self.variables, self.what = variables, what


def _roots(model: Any, result: Any) -> list[Expression]:
    """The outputs of a model, as values per row and column."""
    roots = []
    for value in model._unpack_outputs(result):
        if isinstance(value, Expression) and value.mask:  # truth values are numbers outside
            owner = ops.set_owner(value.owner)
            value = ops.cast(value, None)
            ops.set_owner(owner)
        if isinstance(value, Expression) and value.level == ROW:
            owner = ops.set_owner(value.owner)
            value = arrays.as_column(value) if len(value.shape) == 1 else arrays.elements(value)
            ops.set_owner(owner)
        if not isinstance(value, Expression) or value.level != ELEMENT or not value.shape or value.shape[0] is not None:
            owner = getattr(value, "owner", "") or (model.layers[-1].name if model.layers else model.name)
            raise ModelError(
                f"{_where(model, owner)}: call() must return a value per row and column, "
                f"received {getattr(value, 'shape', value)!r}."
            )
        roots.append(value)
    return roots


def _refuse_masks(model: Any, result: Any) -> None:
    """Raises for an output that has a mask, which Keras lets a loss and its metrics take into account."""
    for value in model._unpack_outputs(result):
        if masks.of(value) is not None:
            owner = getattr(value, "owner", "") or model.name
            raise UnsupportedError(
                f"{_where(model, owner)}: the output has a mask, and losses take none here. Give fit a sample_weight "
                "that is 0 for the steps that do not count, and mask_zero=False; or GlobalAveragePooling1D uses it."
            )


def _refuse_sums(model: Any, formulas: Iterable[Expression]) -> None:
    """Raises for a number for the whole batch that meets no columns: as such it is for losses and add_loss."""
    for x in topological(formulas):
        if x.op in ("over_rows", "whole"):
            raise ModelError(
                f"{_where(model, x.owner)}: a sum or mean over the whole batch can meet values of columns in a layer, "
                "and here it meets values of rows that have none, or nothing. Apply it before rows are reduced; "
                "ops.mean(x, axis=0) has a number for each column."
            )


def _where(model: Any, name: str) -> str:
    """A layer as errors name it."""
    return next((str(part._where) for layer in model.layers for part in layer._walk() if part.name == name), name)


def _automatic(layer: Any) -> bool:
    """Whether a layer has no name of its user's; from a file it comes with the one that it was given."""
    kind = registry.snake_case(type(layer).__name__)
    return bool(layer._auto_named or re.fullmatch(rf"{re.escape(kind)}(_\d+)?", layer.name))


def c_names(layers: Sequence[Any]) -> dict[str, str]:
    """Names for C: a user's own names, cleaned; automatic ones counted within the model.

    Keras counts automatic names through the whole process. Counting anew makes equal
    models equal text, and so one entry of the cache.
    """
    names, result = Names(set(RESERVED)), {}
    counts: dict[str, int] = {}
    for layer in {id(layer): layer for layer in layers}.values():
        wish = layer.name
        if _automatic(layer):
            wish = registry.snake_case(type(layer).__name__)
            counts[wish] = counts.get(wish, -1) + 1
            wish += f"_{counts[wish]}" if counts[wish] else ""
        result[layer.name] = names.new(identifier(wish))
    return result


def per_feature(x: Expression) -> bool:
    """Whether a value is the same for all rows: made of weights and of means over the batch."""
    return x.level == ELEMENT and bool(x.shape) and x.shape[0] is not None


def on_numbers(roots: Iterable[Expression], leaves: Iterable[Expression]) -> bool:
    """Whether formulas work number by number: no reduction, no number of a column."""
    known = set(leaves)
    return all(
        (x.level != ROW and x.op != "column") or x in known for x in topological([resolved(r) for r in roots], known)
    )


class _Cutter:
    """Cuts the expressions of a network into nodes.

    Args:
        model: whose layers have the weights.
        sources: the symbols of the inputs and what they are called.
        layer_names: names in C.
        titles: names for comments.
        training: whether gradients are wanted.
    """

    def __init__(
        self,
        model: Any,
        sources: dict[Expression, str],
        layer_names: dict[str, str],
        titles: dict[str, str],
        training: bool,
    ) -> None:
        self.model, self.sources, self.training = model, sources, training
        self.layer_names, self.titles = layer_names, titles
        self.nodes: list[Node] = []
        self.known: dict[Expression, str] = {}

    def seen_as(self, x: Expression) -> Expression:
        """Only gradients ask how their authors state them."""
        return x if self.training else resolved(x)

    def cut(
        self,
        roots: Sequence[Expression],
        assignments: Sequence[tuple[Variable, Expression]],
        penalties: Sequence[tuple[Expression, str]],
    ) -> Graph:
        ends = [self.seen_as(r) for r in roots]
        added = [self.seen_as(p) for p, _ in penalties]
        assigned = [resolved(x) for _, x in assignments]
        order = topological([*roots, *added, *assigned])
        self.weights = self._weights([*order, *(_of(v) for v, _ in assignments)])
        self.by_variable = {id(w.variable): w for w in self.weights}
        self.names = Names({w.name for w in self.weights} | RESERVED)
        for source, wish in self.sources.items():
            name = "input" if wish == "input" else self.names.new(identifier(wish))
            self.known[source] = name
            title = "input" if wish == "input" else f"input {wish}"
            self.nodes.append(_node(name, "input", (), source, title, ()))
        wanted = {self.seen_as(x.args[0]) for x in order if x.op in BOUNDARY and x.op != "batch_mean"}
        wanted |= {self.seen_as(a) for x in order if x.op in ("arrange", "dot") for a in x.args}
        wanted |= {*ends, *self._shared(order)}
        vectors = self._vectors(order, assigned)
        for x in order:
            if x in self.known:
                continue
            if x.op == "batch_mean":
                self._mean(x)
            elif x.op in BOUNDARY:
                inner = tuple(dict.fromkeys(self._formula(self.seen_as(a)) for a in x.args))
                used = [self.by_variable[id(x.value)].name] if x.op in ("matmul", "take") else []
                if x.op in ("arrange", "dot"):
                    inner = tuple(self._formula(self.seen_as(a)) for a in x.args)
                self._add(x, x.op, inner, used, "product" if x.op == "matmul" else "rows" if x.op == "take" else x.op)
            elif x in vectors:
                self._add(x, "vector", self._leaves(x), self._used(x), x.name or "factor")
            elif x in wanted and x.args:
                self._formula(x)
        outputs = tuple(self._formula(x) for x in ends)
        changed = []
        for (variable, x), root in zip(assignments, assigned, strict=True):
            weight = self.by_variable[id(variable)]
            node = _node(weight.name, "vector", self._leaves(root), x, self._title(x), self._used(root))
            changed.append((weight.name, node))
        added_nodes = []
        for x, (_, mean) in zip(added, penalties, strict=True):
            name = self.names.new(f"{self.layer_names.get(x.owner, identifier(x.owner or 'layer'))}_penalty")
            node = _node(name, "formula", self._leaves(x), x, self._title(x), self._used(x))
            added_nodes.append(Penalty(name, node, mean))
        name = registry.snake_case(type(self.model).__name__) if _automatic(self.model) else self.model.name
        return Graph(
            identifier(name),
            tuple(self.nodes),
            outputs,
            self.weights,
            self.training,
            tuple(changed),
            tuple(added_nodes),
        )

    def _shared(self, order: Sequence[Expression]) -> set[Expression]:
        """What several layers take from one: it is stored, not computed by each of them again."""
        users: dict[Expression, set[Expression]] = {}
        for x in order:
            if x.op not in ("expand", "stop_gradient"):
                for a in x.args if x.op == "custom" else operands(x):
                    users.setdefault(self.seen_as(a), set()).add(x)
        result = set()
        for x, by in users.items():
            apart = {u.owner for u in by} - {x.owner}
            dear = bool(x.args) and x.level == ELEMENT and not x.mask and x.op not in BOUNDARY and not per_feature(x)
            if dear and x.owner and len(apart) > 1:
                result.add(x)
        return result

    def _vectors(self, order: Sequence[Expression], assigned: Sequence[Expression]) -> set[Expression]:
        """Numbers per feature that are computed once: from means over the batch, or dearly."""
        cost: dict[Expression, int] = {}
        for x in order:
            if per_feature(x) and x.args and x.op not in BOUNDARY:
                dear = any(resolved(a).op == "batch_mean" for a in operands(x))
                own = _DEAR if dear else PRIMITIVES[x.op].cost if x.op in PRIMITIVES else 0
                cost[x] = max([own, *(cost.get(a, 0) for a in operands(x))])
        given = set(assigned)
        of_rows = {resolved(a) for x in order if x not in cost for a in operands(x)}
        kept = {resolved(x) for x, c in cost.items() if c >= _DEAR and resolved(x) in of_rows and x not in given}
        return {x for x in kept if not x.mask}  # a choice is no number that could be kept

    def _title(self, x: Expression) -> str:
        return self.titles.get(x.owner, x.owner)

    def _reached(self, x: Expression) -> list[Expression]:
        return [n for n in topological([x], self.known) if n in self.known]

    def _leaves(self, x: Expression) -> tuple[str, ...]:
        return tuple(dict.fromkeys(self.known[n] for n in self._reached(x)))

    def _used(self, x: Expression) -> list[str]:
        return [self.by_variable[id(n.value)].name for n in topological([x], self.known) if n.op == "weight"]

    def _add(self, x: Expression, op: str, inputs: tuple[str, ...], used: Sequence[str], suffix: str) -> None:
        owner = self.layer_names.get(x.owner, identifier(x.owner))
        self.known[x] = self.names.new(f"{owner}_{suffix}")
        self.nodes.append(_node(self.known[x], op, inputs, x, self._title(x), used))

    def _mean(self, x: Expression) -> None:
        """A mean over the batch; what it is the mean of is computed on the way if that is simple."""
        inner = self.seen_as(x.args[0])
        simple = on_numbers([inner], self._reached(inner)) and not self._used(inner)
        if inner not in self.known and not simple:
            self._formula(inner)
        self._add(x, "batch_mean", self._leaves(inner), self._used(inner), x.name or "mean")

    def _formula(self, x: Expression) -> str:
        """Makes a node of the value ``x`` that is stored; returns its name."""
        x = x.args[0] if x.op == "expand" else x
        if x not in self.known:
            wish, title = x.owner or "output", self._title(x)
            if x.op == "bfloat16" and not x.owner:  # what the first product makes of the input
                wish, title = "rounded_input", f"{self.titles['']} in bfloat16"
            inputs, used = self._leaves(x), self._used(x)
            self.known[x] = self.names.new(self.layer_names.get(x.owner, identifier(wish)))
            self.nodes.append(_node(self.known[x], "formula", inputs, x, title, used))
            self.known.setdefault(resolved(x), self.known[x])
        return self.known[x]

    def _weights(self, order: Sequence[Expression]) -> tuple[Weight, ...]:
        used = {id(x.value): x for x in order if x.op in ("weight", "matmul", "take")}
        turned = {id(x.value): x for x in order if x.op == "matmul" and isinstance(x.value, parameters.Turned)}
        for x in turned.values():
            used.setdefault(id(x.value.source), _of(x.value.source))
        # weights that meet columns are on one axis there, however many they have, and those that multiply on two
        shapes: dict[int, tuple[int, ...]] = {
            id(x.value): (math.prod(x.value.shape),) for x in order if x.op == "weight" and x.value.ndim > 1
        }
        matrices = {id(_source(x.value)): x for x in order if x.op in ("matmul", "take")}
        met = {id(x.value) for x in order if x.op == "weight"}
        seen = {  # as matrices of these rows
            (id(_source(x.value)), (x.args if x.value is _source(x.value) else (x,))[0].shape[-1])
            for x in order
            if x.op == "matmul"
        }
        several = Counter(key for key, _ in seen)
        clashes = [_source(x.value) for key, x in matrices.items() if key in met or several[key] > 1]
        if clashes:
            raise _Clash(clashes, f"{self._title(matrices[id(clashes[0])])}: {clashes[0].path}")
        for x in order:
            if x.op == "matmul":
                shapes.setdefault(id(x.value), (x.args[0].shape[-1] or 0, x.shape[-1] or 0))
        result, names = [], Names()
        for layer, trainable in _trainable(self.model):
            for variable in (*layer._variables(), *layer._constants.values()):
                if used.pop(id(variable), None) is None:
                    continue
                around = self.layer_names.get(layer.name, identifier(layer.name))
                name = names.new(f"{around}_{identifier(variable.name)}")
                shape = shapes.get(id(variable), variable.shape)
                result.append(Weight(name, variable, shape, bool(trainable and variable.trainable)))
        called = {id(w.variable): w.name for w in result}
        for x in turned.values():
            if id(x.value.source) in called:
                del used[id(x.value)]
                name = names.new(f"{called[id(x.value.source)]}_transposed")
                result.append(Weight(name, x.value, x.value.shape, False))
        for x in [x for x in used.values() if isinstance(x.value, parameters.Constant)]:
            del used[id(x.value)]
            around, shape = self.layer_names.get(x.owner, identifier(x.owner)), shapes.get(id(x.value), x.value.shape)
            result.append(Weight(names.new(f"{around}_{x.value.name}"), x.value, shape, False))
        if used:
            lost = next(iter(used.values()))
            raise ModelError(
                f"{lost.owner}: uses the variable {lost.value.path!r}, which is not among the layer's weights. "
                "Make it with self.add_weight(…)."
            )
        return tuple(result)


def _source(variable: Variable) -> Variable:
    """The weight that has the numbers."""
    return variable.source if isinstance(variable, parameters.Turned) else variable


def _of(variable: Variable) -> Expression:
    """The leaf that stands for a variable that is only assigned to."""
    return ops.node("weight", (), variable, level=ELEMENT if variable.shape else UNIFORM, shape=variable.shape)


def _trainable(model: Any) -> list[tuple[Any, bool]]:
    """All layers, outer before inner, and whether they may be trained: those around them must be as well."""
    found: dict[int, tuple[Any, bool]] = {}

    def visit(layer: Any, trainable: bool) -> None:
        if id(layer) not in found:
            found[id(layer)] = (layer, trainable and layer.trainable)
            for inner in layer._sublayers():
                visit(inner, trainable and layer.trainable)

    visit(model, True)
    return list(found.values())


def _node(name: str, op: str, inputs: tuple[str, ...], x: Expression, layer: str, weights: Sequence[str]) -> Node:
    shape = x.shape if per_feature(x) else x.shape[1:]
    sizes = tuple(n for n in shape if n is not None)
    if x.level == ROW and x.op != "expand":
        sizes = (*sizes, 1)
    return Node(name, op, inputs, sizes, layer, x, tuple(dict.fromkeys(weights)))


__all__ = ["Graph", "Node", "Penalty", "Weight", "build", "c_names", "on_numbers", "per_feature"]
