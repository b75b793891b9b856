"""The forward pass of a network: where each of its values is, and the steps that make it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from .. import ops
from ..ops import ELEMENT, ROW, UNIFORM, Expression
from ..ops.arrays import Arrangement, Piece
from .expression import differentiate, identifier, operands, resolved, topological
from .graph import Graph, Node, on_numbers
from .program import (
    Columns,
    Copy,
    Dot,
    Forward,
    Operand,
    Round,
    Rows,
    Step,
    Take,
)

if TYPE_CHECKING:
    from .planner import Planner

# ------------------------------------------------------------------ helpers


def stem(node: Node) -> str:
    """``dense`` for the node ``dense_product``."""
    return node.name.removesuffix("_product")


_SAYS = {
    "matmul": "x . kernel",
    "dot": "its matrices, multiplied",
    "reshape": "in new rows",
    "arrange": "in new places",
    "take": "rows of the weight",
    "formula": "its value",
    "row": "its column",
    "batch_mean": "means over the batch",
    "vector": "numbers per feature",
    "target": "what it should be",
}


def says(node: Node) -> str:
    if node.op == "input":
        return "the input" if node.layer == "input" else node.layer
    return f"{node.layer}: {_SAYS[node.op]}"


def total_of(values: Sequence[Expression]) -> Expression:
    total = values[0]
    for x in values[1:]:
        total = total + x
    return total


Leaves = dict[Expression, Operand]


def dot_sizes(product: Node, left: Node) -> tuple[int, int, int]:
    """Of products of matrices of a sample: how many there are, rows of the first, and what is summed over."""
    rows = product.shape[-2]
    return product.positions // rows, rows, left.features


def sizes_of(product: Node, left: Node) -> str:
    groups, rows, inner = dot_sizes(product, left)
    return f"{f'{groups} times ' if groups > 1 else ''}{rows} x {inner} . {inner} x {product.features}"


def back_in_rows(size: int) -> Arrangement:
    """Numbers that only begin new rows."""
    return Arrangement((Piece(0, (size,), 0, (1,), 0, (1,)),), True, (True,))


def rows_of(positions: int) -> str:
    """Rows of a batch, as C says it."""
    return f"samples * {positions}" if positions > 1 else "samples"


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
        also = [node for _, node in (*graph.assignments, *graph.aims)] + [p.node for p in graph.penalties]
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
        self.late: list[Step] = []
        """Those that losses alone need."""

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
        name = self.planner.buffer(self.called.get(node.name, node.name), node, says(node))
        self.at[node.name] = Operand("column" if resolved(node.expression).level == ROW else "buffer", name)
        return name

    def forward(self, keeps: bool) -> list[Step]:
        """The steps that predict; formulas stand as those of training.

        Args:
            keeps: whether a backward pass follows.
        """
        waiting: dict[str, Node] = {}  # products whose formula comes
        ahead = self.steps
        for node in self.graph.nodes:
            self.steps = self.late if node.name in self.graph.late else ahead
            if node.op == "input":
                self._put(node)
            elif node.op == "target":
                labels = node.expression.level == ROW
                self.at[node.name] = Operand("labels" if labels else "buffer", node.name)
            elif node.op == "matmul":
                takers = self.takers[node.name]
                if len(takers) == 1 and self._fuses(takers[0], node):
                    waiting[node.name] = node
                else:
                    self._product(node, node, {}, [])
            elif node.op in ("reshape", "arrange"):
                self._copy(node)
            elif node.op == "dot":
                left, right = (self.graph.node(name) for name in node.inputs)
                says = f"{node.layer}: {sizes_of(node, left)}"
                places = (self.at[left.name].name, self.at[right.name].name)
                panels, sizes = self.planner.panels(node.features), dot_sizes(node, left)
                self.steps.append(Dot(node.name, *places, self._put(node), *sizes, False, panels, says))
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
        return ahead

    def _fuses(self, taker: str, product: Node) -> bool:
        """Whether the one that takes a product is a formula that can be computed on its tiles."""
        found = [n for n in self.graph.nodes if n.name == taker]
        if not found or found[0].op != "formula" or taker in self.open or product.name in self.graph.outputs:
            return False
        return self._primary(found[0]) is product

    def _primary(self, node: Node) -> Node | None:
        """The product on whose tiles a formula is computed: the last that nobody else wants."""
        inputs = [n.expression for n in self.inputs(node)]
        leaves = {*inputs, *map(resolved, inputs)}
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
        self.steps.append(Forward(stem(product), matrix, x, product.positions, formula, None, comment))

    def _copy(self, node: Node) -> None:
        sources = tuple(self.at[name].name for name in node.inputs)
        if node.op == "reshape":
            comment, how = f"{node.layer}: the numbers of a sample in new rows", back_in_rows(math.prod(node.shape))
        else:
            comment, how = f"{node.layer}: numbers of a sample in other places", node.expression.value
        self.steps.append(Copy(node.name, sources, self._put(node), how, comment))

    def _columns(self, node: Node) -> None:
        name = self.planner.statistic(node.name, node.shape[0], says(node))
        self.at[node.name] = Operand("statistic", name)
        leaves = self.leaves(node)
        if node.op == "batch_mean":
            root = resolved(node.expression.args[0])
            positions = max(n.positions for n in self.inputs(node) if not n.per_feature)
            total = self.planner.statistic(self.planner.names.new(f"{name}_sum"), node.shape[0], f"sum for {name}")
            symbol, count = ops.symbol(total, ELEMENT, node.shape), ops.symbol("count", UNIFORM)
            of = dict(self.planner.found([root], leaves))
            of |= {symbol: Operand("statistic", total), count: Operand("number", rows_of(positions))}
            sums = ((total, root),)
            mean = ((name, symbol if node.expression.value == "sum" else symbol / count),)
            made = Round(positions, sums, mean, tuple(of.items()))
            self.steps.append(Columns(node.name, node.shape[0], (made,), says(node)))
            return
        root = self.root(node)
        found = self.planner.found([root], leaves)
        made = Round(1, (), ((name, root),), found)
        self.steps.append(Columns(node.name, node.shape[0], (made,), says(node)))

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
            name = f"{node.name}_rows"  # the same for training and prediction, whose steps are one if they are equal
            if any(n.name == name for n in self.graph.nodes):  # rows of a weight that this layer takes
                name = f"{node.name}_by_row"
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
        inside = [x for x in above(topological([root], [leaf, *others]), [leaf]) if x is resolved(x)]
        seed = ops.symbol("g", ELEMENT, root.shape)
        wanted = [leaf, *(x for x in others if not self.by_expression[x].per_feature), *self.vectors(node)]
        gradients = differentiate(node.expression, seed, wanted, others)
        met = _met_first([g for g in gradients if g is not None], set(inside))
        name = self.planner.buffer(node.name, node, says(node))
        kept = {root: Operand("buffer", name)}
        if root.op == "bfloat16":  # what is rounded for the next product serves backward as well
            kept[root.args[0]] = kept[root]
        met = [x for x in met if x not in kept]
        if len(met) > 1:
            # later values of the topological order are nearer to the result: the last that serves
            met = [next(x for x in reversed(inside) if leaf not in set(topological(met, [x])) or x is leaf)]
        for x in met:
            wish = f"{stem(product)}_{identifier(x.name) if x.name and x is not leaf else 'kept'}"
            where = self.planner.buffer(self.planner.names.new(wish), node, f"{node.layer}: kept for backward")
            kept[x] = Operand("buffer", where)
        return kept

    def vectors(self, node: Node, below: Expression | None = None) -> list[Expression]:
        """The weights that a formula uses, of one number per feature or single ones."""
        stops = {x for n in self.inputs(node) for x in (n.expression, resolved(n.expression))}
        root = self.root(node) if below is None else below
        return [x for x in topological([root], stops) if x.op == "weight"]


def above(order: Sequence[Expression], leaves: Iterable[Expression]) -> list[Expression]:
    """Those values of a topological order that are computed from one of ``leaves``, these included."""
    found = set(leaves)
    for x in order:
        if any(a in found for a in operands(x)):
            found.add(x)
    return [x for x in order if x in found]
