"""The backward pass of a network: from the gradients of its losses to those of its weights."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from .. import ops
from ..errors import UnsupportedError
from ..ops import ELEMENT, ROW, UNIFORM, Expression, core
from ..ops.arrays import Arrangement, transposed
from ..ops.batch import crosses_rows
from .columns import without_factors
from .expression import differentiate, identifier, resolved, topological
from .flow import Flow, Leaves, above, back_in_rows, dot_sizes, rows_of, stem, total_of
from .graph import Node, on_numbers, per_feature
from .memory import Vector
from .program import (
    Backward,
    Columns,
    Copy,
    Dot,
    Formula,
    Operand,
    Round,
    Rows,
    Scatter,
    Step,
    Update,
)

if TYPE_CHECKING:
    from .planner import Planner

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
            own = any(planner.source(w).trainable for w in n.weights)
            self.wants[n.name] = own or any(self.wants[i] for i in n.inputs)

    def _trained(self, root: Expression, known: Iterable[Expression]) -> list[Expression]:
        """The weights that a formula uses and the optimizer changes."""
        weights = [x for x in topological([root], known) if x.op == "weight"]
        return [x for x in weights if self.planner.by_variable[id(x.value)].trainable]

    def _known(self, node: Node) -> list[Expression]:
        return [x for n in self.flow.inputs(node) for x in (n.expression, resolved(n.expression))]

    def _is_low(self, node: Node) -> bool:
        """Whether a source is a product of numbers that are rounded to bfloat16."""
        return node.op in ("matmul", "dot") and resolved(node.expression.args[0]).op == "bfloat16"

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
        self,
        node: Node,
        value: Expression,
        per_row: Expression,
        seed: Expression,
        leaves: Leaves,
        stores: list[tuple[str, Expression]],
    ) -> None:
        """Begins at a loss: what it stores beside its results.

        Args:
            node: the output.
            value: what the loss is about: the output, or its logits.
            per_row: the loss.
            seed: its gradient, over ``leaves``.
            leaves: where what these are about is found.
            stores: receives (buffer, expression) of what must be computed now.
        """
        if not self.wants[node.name]:
            return
        if node.name in self.flow.open and crosses_rows(per_row, [value]):
            (seed_of_value,) = differentiate(per_row, seed, [value])
            if seed_of_value is None:
                return
            per_row, seed = value, seed_of_value
        if node.name in self.flow.open:
            self.made += self.through(node, per_row, seed, leaves, stores)
            return
        (g,) = differentiate(per_row, seed, [node.expression])
        if g is not None:
            g = _spread(g, node.expression.shape)
            low = self._is_low(node) and self.flow.takers[node.name] == []
            where = self._space(node.name, node, f"gradient of {node.name}")
            stores.append((where, ops.bfloat16(g) if low else g))
            self.rounded |= {where} if low else set()
            self.parts[node.name].append(self._memory(where, node.expression))

    def from_penalty(
        self, node: Node, value: Expression, seed: Expression, leaves: Leaves, stores: list[tuple[str, Expression]]
    ) -> None:
        """Begins at what a layer adds to the loss, likewise."""
        if not crosses_rows(value, self._known(node)):
            self.made += self.through(node, value, seed, leaves, stores)
            return
        known = self._known(node)
        wanted = [n for n in self.flow.inputs(node) if self.wants[n.name]]
        weights = self._trained(value, known)
        if any(n.per_feature for n in wanted):
            raise UnsupportedError(
                f"{node.layer}: add_loss of a number made of sums over the batch cannot have ops.batch_mean in it. Use "
                "ops.mean of single columns, ops.mean(x[:, i])."
            )
        gradients = differentiate(value, seed, [*(n.expression for n in wanted), *weights], known)
        for x, g in zip(weights, gradients[len(wanted) :], strict=True):
            g = ops.constant(0.0) if g is None else g
            self._weight(node, None, x, g if x.level == UNIFORM else _spread(g, (None, *x.shape)), leaves, stores)
        for n, g in zip(wanted, gradients, strict=False):
            if g is not None:
                where = self._space(n.name, n, f"gradient of {n.name}")
                stores.append((where, g if n.expression.level == ROW else _spread(g, n.expression.shape)))
                self.parts[n.name].append(self._memory(where, n.expression))

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
        direct = neck is None or neck in set(known)
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
        """The first value through which all ways from what is wanted go, and those from weights that are below it."""
        order, found = topological([value], known), set(known)
        for x in above(order, wanted):
            if x in found or x.mask or x.level < ROW or per_feature(x) or x.op == "expand":
                continue
            around = set(topological([value], {*found, x}))
            if around.isdisjoint(wanted) and around.isdisjoint(self._trained(x, known)):
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
                own = self._space(name, _like(node, g if w.level == UNIFORM else w), f"gradient of {name}")
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
            place = self._space(
                name, _like(node, gradient if weight.level == UNIFORM else weight), f"gradient of {name}"
            )
            stores.append((place, gradient))
        vector = self.planner.vector(name)
        # the update of a kernel goes over its columns: a single number, say, has fewer
        if owner is not None and vector.padded == self.planner.panels(owner.features).padded:
            self.vectors.setdefault(owner.name, []).append((vector, place, False))
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
            elif node.op not in ("input", "target"):
                self._source(node)
        return [*self.made, *self.late]

    def _incoming(self, node: Node) -> tuple[Expression | None, Leaves]:
        """The gradient of a value, without what is pending."""
        leaves: Leaves = {}
        widths = {core.reduced_width(x) for x, _ in self.parts[node.name]}
        if len(widths - {None}) > 1:  # a formula has one number of columns: these are added as they lie in memory
            self.parts[node.name] = [self._column(node, x, found) for x, found in self.parts[node.name]]
        for _, found in self.parts[node.name]:
            leaves |= found
        values = [x for x, _ in self.parts[node.name]]
        return (total_of(values) if values else None), leaves

    def _column(self, node: Node, x: Expression, found: Leaves) -> tuple[Expression, Leaves]:
        """A part of a gradient that is reduced over columns, as a value in memory."""
        if core.reduced_width(x) is None:
            return x, found
        place = self._space(f"{node.name}_part", _like(node, x), f"part of the gradient of {node.name}")
        formula = self.planner.formula([(place, x)], found, f"gradient of {node.layer}")
        called = self.planner.names.new(f"{place}_rows")
        self.made.append(Rows(called, node.positions, self._width(node, formula), formula, None, node.layer))
        return self._memory(place, x)

    def _width(self, node: Node, formula: Formula) -> int:
        names = (*formula.reads(), *(n for n, _ in formula.stores))
        return max([node.features, *(self.planner.extent(n)[1] for n in names)])

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
            self.made.append(Backward(stem(product), matrix, panels, pending.dy, product.positions, formula, says))
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
            or any(n.expression.level == ROW and self.wants[n.name] for n in self.flow.inputs(node))  # by sums of rows
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
        of = self.flow.inputs(node)
        comment = f"gradient of {node.layer}" if pending is not None or not of else f"gradient of {of[0].name}"
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
        elif node.op == "dot":
            self._dot_back(node, place)
        elif node.op == "row":
            (source,) = self.flow.inputs(node)
            self.parts[source.name].append(self._memory(place, source.expression))
        else:
            for number, name in enumerate(node.inputs):
                if self.wants[name]:
                    self._copy_back(node, number, self.graph.node(name), place)
        self.made += update

    def _dot_back(self, node: Node, place: str) -> None:
        """The gradients of two matrices whose product has one: ``g . bᵀ`` and ``aᵀ . g``."""
        a, b = (self.graph.node(name) for name in node.inputs)
        groups, rows, inner = dot_sizes(node, a)
        for number, (source, other) in enumerate(((a, b), (b, a))):
            if not self.wants[source.name]:
                continue
            to = self._space(source.name, source, f"gradient of {source.name}")
            says = f"{node.layer}: gradient of {source.name}"
            called = self.planner.names.new(f"{node.name}_backward_{number + 1}")
            panels = self.planner.panels(source.features)
            if number == 0:
                turned = self._transposed(other, groups, called)
                step = Dot(called, place, turned, to, groups, rows, node.features, False, panels, says)
            else:
                step = Dot(called, self.flow.at[other.name].name, place, to, groups, inner, rows, True, panels, says)
            self.made.append(step)
            self.parts[source.name].append(self._memory(to, source.expression))

    def _transposed(self, node: Node, groups: int, called: str) -> str:
        """Memory of a value with its matrices turned: what it was itself turned from, or a copy."""
        rows, columns = node.positions // groups, node.features
        if node.op == "arrange" and node.expression.value == transposed(groups, columns, rows):
            source = self.graph.node(node.inputs[0])
            if (source.positions, source.features) == (groups * columns, rows):
                return self.flow.at[source.name].name
        like = replace(node, shape=(groups, columns, rows))
        name = self.planner.buffer(self.planner.names.new(f"{node.name}_transposed"), like, f"{node.name}, transposed")
        how, says = transposed(groups, rows, columns), f"{node.layer}: its rows as columns"
        self.made.append(Copy(f"{called}_copy", (self.flow.at[node.name].name,), name, how, says))
        return name

    def _copy_back(self, node: Node, number: int, source: Node, place: str) -> None:
        adds, says = False, "gradients in their old rows"
        if node.op == "reshape":
            how = back_in_rows(math.prod(node.shape))
        else:
            forward: Arrangement = node.expression.value
            how, adds, says = forward.back(number), not forward.gather[number], "gradients in their old places"
        to = self._space(source.name, source, f"gradient of {source.name}")
        called = f"{node.name}_backward" if len(node.inputs) == 1 else f"{node.name}_backward_{number + 1}"
        self.made.append(Copy(called, (place,), to, how, f"{node.layer}: {says}", adds))
        self.parts[source.name].append(self._memory(to, source.expression))

    def _update(self, node: Node, place: str, vectors: Sequence[tuple[Vector, str, bool]]) -> list[Step]:
        """The update of all weights of a source and of the formula on it, if there are any."""
        source = self.planner.source(node.weights[0]) if node.op == "matmul" else None
        trained = source is not None and source.trainable
        if not trained and not vectors:
            return []
        matrix = self.planner.matrix(source.name) if source is not None and trained else None
        x = self.flow.at[node.inputs[0]].name if trained else ""
        if matrix is not None and matrix.name != node.weights[0]:  # by its transpose: the sides change places
            name = stem(node)
            made: list[Step] = [Update(name, matrix, place, x, node.positions, (), f"weights of {node.layer}")]
            if vectors:
                name = self.planner.names.new(f"{name}_vectors")
                made.append(Update(name, None, "", place, node.positions, tuple(vectors), f"weights of {node.layer}"))
            return made
        return [Update(stem(node), matrix, x, place, node.positions, tuple(vectors), f"weights of {node.layer}")]

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
            x, factor = without_factors(x)
            leaves |= dict(self.planner.found([factor], found))
            if not on_numbers([x], found):
                x, found = self._in_memory(node, x, found)
            needed = dict(self.planner.found([x], found))
            positions = max([positions, *(self.planner.extent(name)[0] for name in _places(needed))])
            name = self._statistic(f"d_{node.name}_sum", node, f"sum for {node.name}")
            sums.append((name, x))
            total = ops.symbol(name, ELEMENT, node.shape)
            leaves |= {**needed, total: Operand("statistic", name)}
            values.append(total * factor)
        g = total_of(values)
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
        made = Round(positions, tuple(sums), tuple(derived), tuple(leaves.items()))
        self.made.append(Columns(name, node.shape[0], (made,), comment))

    def _in_memory(self, node: Node, x: Expression, found: Leaves) -> tuple[Expression, Leaves]:
        """Stores a gradient that is not computed number by number, to be summed from there."""
        of = [self.planner.extent(name) for name in _places(dict(self.planner.found([x], found)))]
        name = self.planner.names.new(f"d_{node.name}_rows")
        self.planner.buffers[name] = (max(p for p, _ in of), node.shape[0], f"gradient of {node.name} by row")
        formula = self.planner.formula([(name, x)], found, f"gradient of {node.layer}")
        width = max(node.shape[0], *(c for _, c in of))
        called = self.planner.names.new(f"{name}_backward")
        self.made.append(Rows(called, self.planner.buffers[name][0], width, formula, None, node.layer))
        return self._memory(name, ops.symbol("g", ELEMENT, (None, node.shape[0])))

    def _mean(
        self, node: Node, positions: int, sums: Sequence[tuple[str, Expression]], g: Expression, leaves: Leaves
    ) -> None:
        """From a mean or sum to what it is that of: each row gets its share."""
        count = ops.symbol("count", UNIFORM)
        name = self._statistic(f"d_{node.name}", node, f"gradient of each row through {node.name}")
        rows = max(n.positions for n in self.flow.inputs(node) if not n.per_feature)
        leaves[count] = Operand("number", rows_of(rows))
        each = g if node.expression.value == "sum" else g / count
        self._columns(node, positions, sums, [(name, each)], leaves)
        share = ops.symbol(name, ELEMENT, node.shape)
        found = {**self.flow.leaves(node), share: Operand("statistic", name)}
        inner, known = node.expression.args[0], self._known(node)
        wanted = [n for n in self.flow.inputs(node) if self.wants[n.name]]
        for n, x in zip(wanted, differentiate(inner, share, [n.expression for n in wanted], known), strict=True):
            if x is not None:
                level, shape = n.expression.level, n.expression.shape
                x = x if level == ROW else _spread(x, (None, *shape) if n.per_feature else shape)
                self._contribute(n, x, found)


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
