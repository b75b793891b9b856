"""Stage 1: from a model to a Graph.

The model's layers are called once with symbols. What comes out is one expression over
the input; matrix products and reshapes cut it into formulas. All mistakes of a user
that concern the model itself are found here or before, with the layer's name.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .. import ops, registry
from ..errors import ModelError, UnsupportedError
from ..ops import ELEMENT, Expression
from ..variables import Variable
from .expression import Names, identifier, resolved, topological, trace

RESERVED = frozenset("input target y tile state workspace rates data transposed left_operand right_operand".split())
"""Names in the C that are not of layers."""


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
    """A value of the network: the input, a product, a reshape, or what a formula makes of others.

    Attributes:
        name: its name in C, after the layer that makes it.
        op: ``input``, ``matmul``, ``reshape`` or ``formula``.
        inputs: names of the nodes that it is computed from.
        shape: of one sample, without the batch.
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

    def __str__(self) -> str:
        uses = ", ".join((*self.inputs, *self.weights))
        return f"{self.name}{list(self.shape)} = {self.op}({uses})    # {self.layer}"


@dataclass(frozen=True)
class Graph:
    """A network: nodes in an order in which each follows what it is computed from."""

    name: str
    nodes: tuple[Node, ...]
    output: str
    weights: tuple[Weight, ...]
    training: bool

    def node(self, name: str) -> Node:
        return next(n for n in self.nodes if n.name == name)

    def __str__(self) -> str:
        lines = [f"graph {self.name}{' (training)' if self.training else ''}", *map(str, self.nodes)]
        return "\n".join([*lines, f"output {self.output}; weights {', '.join(map(str, self.weights))}"])


def build(model: Any, training: bool) -> Graph:
    """Calls the layers of ``model`` with symbols.

    Args:
        model: a built model; ``model.layers`` are its layers in order and
            ``model.input_shape`` the shape of its input, the batch included.
        training: whether layers behave as in training.

    Raises:
        ModelError: a layer does something that no network can do.
        UnsupportedError: a network that cannot be compiled yet.
    """
    shape = tuple(model.input_shape[1:])
    if not shape or any(not isinstance(n, int) or n < 1 for n in shape):
        raise ModelError(
            f"{model.name}: expected an input shape of positive sizes, received {model.input_shape}. "
            "Every size but the batch must be known: Input((784,))."
        )
    inner = [part for layer in model.layers for part in layer._walk()]
    layer_names = c_names(inner)
    source = ops.symbol("x", ELEMENT, (None, *shape))
    x: Any = source
    titles, known_as = {"": "input"}, dict[str, str]()
    for layer in inner:
        kind = type(layer).__name__
        titles[layer.name] = f"{layer_names[layer.name] if _automatic(layer) else layer.name} ({kind})"
        known_as[titles[layer.name]] = f"{layer.name} ({kind})"
    for layer in model.layers:
        x = trace(layer, x, training=training)
        if not isinstance(x, Expression) or x.level != ELEMENT:
            raise ModelError(
                f"{layer.name} ({type(layer).__name__}): call() must return a value per row and column, "
                f"received {getattr(x, 'shape', x)!r}."
            )
    graph = _cut(model, source, x, layer_names, titles, training)
    _check_uses(graph, known_as)
    return graph


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


def _cut(
    model: Any,
    source: Expression,
    root: Expression,
    layer_names: dict[str, str],
    titles: dict[str, str],
    training: bool,
) -> Graph:
    order = topological([root])
    boundaries = [x for x in order if x.op in ("matmul", "reshape")]
    weights = _weights(model, order, layer_names)
    by_variable = {id(w.variable): w for w in weights}
    names = Names({w.name for w in weights} | RESERVED)
    nodes: list[Node] = [_node("input", "input", (), source, titles[""], ())]
    known: dict[Expression, str] = {source: "input"}
    seen_as = (lambda x: x) if training else resolved  # only gradients ask how their authors state them
    root = seen_as(root)
    inputs = {seen_as(x.args[0]) for x in boundaries} | {root}

    def formula(x: Expression) -> str:
        """Makes a node of the value ``x`` that is stored; returns its name."""
        if x not in known:
            leaves = _reached(x, known)
            used = [by_variable[id(n.value)].name for n in topological([x], known) if n.op == "weight"]
            wish, title = x.owner or "output", titles.get(x.owner, x.owner)
            if x.op == "bfloat16" and not x.owner:  # what the first product makes of the input
                wish, title = "rounded_input", f"{title} in bfloat16"
            known[x] = names.new(layer_names.get(x.owner, identifier(wish)))
            made = _node(known[x], "formula", tuple(known[n] for n in leaves), x, title, used)
            nodes.append(made)
            known.setdefault(resolved(x), known[x])
        return known[x]

    for x in order:
        if x in boundaries:
            inner = formula(seen_as(x.args[0]))
            used = [by_variable[id(x.value)].name] if x.op == "matmul" else []
            owner = layer_names.get(x.owner, identifier(x.owner))
            known[x] = names.new(f"{owner}_{'product' if x.op == 'matmul' else 'reshape'}")
            nodes.append(_node(known[x], x.op, (inner,), x, titles.get(x.owner, x.owner), used))
        elif x in inputs and x.args and x not in known:
            formula(x)
    output = formula(root)
    name = registry.snake_case(type(model).__name__) if _automatic(model) else model.name
    return Graph(identifier(name), tuple(nodes), output, weights, training)


def _node(name: str, op: str, inputs: tuple[str, ...], x: Expression, layer: str, weights: Sequence[str]) -> Node:
    shape = tuple(n for n in x.shape[1:] if n is not None)
    return Node(name, op, inputs, shape, layer, x, tuple(dict.fromkeys(weights)))


def _reached(x: Expression, known: dict[Expression, str]) -> list[Expression]:
    return [n for n in topological([x], known) if n in known]


def _weights(model: Any, order: Sequence[Expression], layer_names: dict[str, str]) -> tuple[Weight, ...]:
    used = {id(x.value) for x in order if x.op in ("weight", "matmul")}
    result, names = [], Names()
    for layer in model.layers:
        for variable in layer.weights:
            if id(variable) not in used:
                continue
            name = names.new(f"{layer_names[layer.name]}_{identifier(variable.name)}")
            trainable = bool(model.trainable and layer.trainable and variable.trainable)
            result.append(Weight(name, variable, variable.shape, trainable))
            used.discard(id(variable))
    if used:
        lost = next(x for x in order if x.op in ("weight", "matmul") and id(x.value) in used)
        raise ModelError(
            f"{lost.owner}: uses the variable {lost.value.path!r}, which is not among the layer's weights. "
            "Make it with self.add_weight(…)."
        )
    return tuple(result)


def _check_uses(graph: Graph, known_as: Mapping[str, str]) -> None:
    """Refuses what is not a chain, with the names that the user's layers have."""
    uses: dict[str, int] = {}
    for node in graph.nodes:
        for name in node.inputs:
            uses[name] = uses.get(name, 0) + 1
    for node in graph.nodes:
        layer = known_as.get(node.layer, node.layer)
        if uses.get(node.name, 0) > 1 or (node.name == graph.output and node.name in uses):
            raise UnsupportedError(
                f"{layer}: its value is used {uses[node.name]} times; networks that branch are not supported yet."
            )
        if len(node.inputs) > 1:
            raise UnsupportedError(f"{layer}: combines {len(node.inputs)} values; that is not supported yet.")


__all__ = ["Graph", "Node", "Weight", "build", "c_names"]
