"""The graph of calls between the inputs of a model and its outputs.

Its order is Keras' own, since names of weights in files and the rows of summaries come
in it: calls are sorted by their depth, the longest way to an output, deepest first, and
among equals by when a search backwards from the outputs came upon them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from .. import ops, tree
from ..errors import ModelError
from ..layers.core import InputLayer
from ..ops.symbolic import KerasTensor, Node, node_of

Call = Callable[[Any, tuple[Any, ...], dict[str, Any]], Any]
"""How an operation is done: it, its arguments by position and those by name."""


class Network:
    """The calls that lead from symbolic inputs to symbolic outputs.

    Args:
        inputs: a tensor, or a nested structure of tensors.
        outputs: likewise; all must be computable from the inputs.
        where: the model, for messages.

    Attributes:
        inputs_struct: the inputs as they were given.
        outputs_struct: the outputs as they were given.
        inputs: the inputs in order.
        outputs: the outputs in order.
        nodes_by_depth: the calls by depth, the deepest first.
        nodes: all of them in the order in which they are done.
        operations: the layers, models and functions that are called, each once, in Keras' order.

    Raises:
        ModelError: something that is no tensor, a graph that is not connected, a cycle,
            or two operations of one name.
    """

    def __init__(self, inputs: Any, outputs: Any, where: str) -> None:
        self.where = where
        for what, structure in (("inputs", inputs), ("outputs", outputs)):
            for tensor in tree.flatten(structure):
                if not isinstance(tensor, KerasTensor):
                    advice = "Call the layer on something." if hasattr(tensor, "call") else "Input() returns such."
                    raise ModelError(
                        f"{where}: expected {what} to be symbolic tensors, received {tensor!r:.80} "
                        f"({type(tensor).__name__}). {advice}"
                    )
            if not tree.flatten(structure):
                raise ModelError(f"{where}: expected {what}, received {structure!r:.80}.")
        if not all(_is_input(tensor) for tensor in tree.flatten(inputs)):
            inputs, outputs = _with_inputs(inputs, outputs, where)
        self.inputs_struct = tree.map_structure(lambda x: x, inputs)
        self.outputs_struct = tree.map_structure(lambda x: x, outputs)
        self.inputs: list[KerasTensor] = tree.flatten(inputs)
        self.outputs: list[KerasTensor] = tree.flatten(outputs)
        if len({id(x) for x in self.inputs}) != len(self.inputs):
            raise ModelError(f"{where}: one tensor is given twice as an input.")
        self._order()
        self._check()

    # ---------------------------------------------------------------- order

    def _order(self) -> None:
        calls, first_seen = _search(self.inputs, self.outputs, self.where)
        inside = set(calls)
        depths: dict[Node, int] = {}
        by_operation: dict[Any, int] = {}
        for node in reversed(calls):
            # Calls of one operation are as deep as the deepest of them.
            depth = max(depths.setdefault(node, 0), by_operation.get(node.operation, 0))
            by_operation[node.operation] = depths[node] = depth
            for parent in node.parents:
                if parent in inside:
                    depths[parent] = max(depth + 1, depths.get(parent, 0))
        for made in map(node_of, self.inputs):  # those that no output needs
            if made is not None and made.is_input and made.operation not in by_operation:
                by_operation[made.operation] = depths[made] = 0
                first_seen[made.operation] = -1
        self.nodes_by_depth = {
            depth: [node for node, d in depths.items() if d == depth] for depth in sorted(set(depths.values()))[::-1]
        }
        self.nodes = [node for nodes in self.nodes_by_depth.values() for node in nodes]
        self._inside = set(self.nodes)
        order = sorted(by_operation, key=lambda operation: (-by_operation[operation], first_seen[operation]))
        self.operations: list[Any] = order

    def _check(self) -> None:
        names = [operation.name for operation in self.operations]
        for name in names:
            if names.count(name) > 1:
                raise ModelError(
                    f"{self.where}: {names.count(name)} layers are called {name!r}. Give each another name."
                )
        known = {id(tensor) for tensor in self.inputs}
        reached: list[str] = []
        for node in self.nodes:
            for tensor in node.inputs:
                if id(tensor) not in known:
                    raise ModelError(
                        f"{self.where}: graph disconnected: {label(tensor)!r} of shape {tensor.shape}, which "
                        f"{node.operation.name} is called on, cannot be computed from the inputs "
                        f"({', '.join(repr(label(x)) for x in self.inputs)}). Reached were: "
                        f"{', '.join(dict.fromkeys(reached)) or 'none'}."
                    )
            reached.append(node.operation.name)
            known.update(id(x) for x in node.outputs if node.inputs or id(x) in known)
        for path, tensor in tree.flatten_with_path(self.outputs_struct):
            if id(tensor) not in known:
                place = ".".join(map(str, path)) or "0"
                raise ModelError(f"{self.where}: the output {place} ({tensor!r}) is not connected to the inputs.")

    def contains(self, node: Node) -> bool:
        """Whether a call is part of this network."""
        return node in self._inside

    def is_chain(self) -> bool:
        """Whether each operation is called once, on what the one before it returned."""
        return all(len(nodes) == 1 and len(nodes[0].inputs) <= 1 for nodes in self.nodes_by_depth.values()) and len(
            {id(node.operation) for node in self.nodes}
        ) == len(self.nodes)

    # ---------------------------------------------------------------- values

    def run(self, values: Sequence[Any], call: Call) -> Any:
        """Does all calls with values in the place of the symbolic inputs.

        Args:
            values: one for each of the inputs, in order.
            call: how an operation is done.

        Returns:
            What takes the place of the outputs, in their structure.
        """
        known = {id(x): value for x, value in zip(self.inputs, values, strict=True)}
        for node in self.nodes:
            if node.is_input:
                continue
            args, kwargs = node.filled(known)
            outputs = tree.flatten(call(node.operation, args, kwargs))
            known.update((id(x), value) for x, value in zip(node.outputs, outputs, strict=True))
        return tree.map_structure(lambda x: known[id(x)], self.outputs_struct)

    def standardized(self, inputs: Any) -> list[Any]:
        """Returns the values for the inputs in their order, whatever structure they came in.

        A list may be given for a dictionary of inputs and the reverse, by the names of
        the inputs; a single array for one input.

        Raises:
            ModelError: there are other inputs than expected.
        """
        expected = self.inputs_struct
        if isinstance(inputs, Mapping) and not isinstance(expected, Mapping):
            names = [label(x) for x in self.inputs]
            for wanted in (names, [x.name for x in self.inputs]):
                if set(wanted) <= set(inputs):
                    return [inputs[name] for name in wanted]
            raise ModelError(
                f"{self.where}: expected inputs named {', '.join(map(repr, names))}, "
                f"received {', '.join(map(repr, inputs)) or 'none'}."
            )
        if isinstance(inputs, Mapping) and not any(map(tree.is_nested, expected.values())):
            missing = [key for key in expected if key not in inputs]
            if missing:
                raise ModelError(
                    f"{self.where}: expected inputs named {', '.join(map(repr, expected))}, "
                    f"received {', '.join(map(repr, inputs)) or 'none'}."
                )
            return tree.flatten({key: inputs[key] for key in expected})
        if len(self.inputs) == 1:
            alone = isinstance(inputs, (list, tuple)) and len(inputs) == 1 and not tree.is_nested(expected)
            return [inputs[0] if alone and _is_value(inputs[0]) else _matched(expected, inputs)[0]]
        flat = _matched(expected, inputs)
        if len(flat) != len(self.inputs):
            noun = "input" if len(self.inputs) == 1 else "inputs"
            shown = ", ".join(f"{label(x)!r} {x.shape}" for x in self.inputs)
            raise ModelError(f"{self.where}: expected {len(self.inputs)} {noun} ({shown}), received {len(flat)}.")
        return flat

    def fitted(self, value: Any, tensor: KerasTensor) -> Any:
        """Returns a value with an axis of size 1 added or dropped if that is all that keeps it from fitting.

        Raises:
            ModelError: its shape is another one.
        """
        shape, wanted = tuple(value.shape), tensor.shape
        if len(shape) == len(wanted) + 1 and shape[-1] == 1:
            value = ops.squeeze(value, axis=-1) if not isinstance(value, np.ndarray) else value[..., 0]
        elif len(shape) == len(wanted) - 1 and wanted[-1] == 1:
            value = ops.expand_dims(value, -1) if not isinstance(value, np.ndarray) else value[..., None]
        self.check(tuple(value.shape), tensor)
        return value

    def check(self, shape: tuple[int | None, ...], tensor: KerasTensor) -> None:
        """Raises ModelError unless a value of this shape can take the place of an input."""
        wanted = tensor.shape
        if len(shape) != len(wanted) or any(
            a != b and None not in (a, b) for a, b in zip(shape[1:], wanted[1:], strict=True)
        ):
            name = f" for the input {label(tensor)!r}" if len(self.inputs) > 1 else ""
            raise ModelError(
                f"{self.where}: expected shape {(None, *wanted[1:])}{name}, received {shape}. "
                "Its weights were made for that shape."
            )


def input_layer_of(tensor: KerasTensor) -> InputLayer | None:
    """Returns the InputLayer that made a tensor, None if something else did."""
    node = node_of(tensor)
    return node.operation if node is not None and isinstance(node.operation, InputLayer) else None


def _matched(expected: Any, given: Any) -> list[Any]:
    """The values at the places of a structure of tensors; those of another structure all in a row."""
    if isinstance(expected, KerasTensor):
        return [given]
    if isinstance(expected, Mapping):
        if isinstance(given, Mapping) and given.keys() == expected.keys():
            return [x for key in _keys(expected) for x in _matched(expected[key], given[key])]
    elif isinstance(given, (list, tuple)) and len(given) == len(expected):
        return [x for one, other in zip(expected, given, strict=True) for x in _matched(one, other)]
    return tree.flatten(given)


def _keys(struct: Mapping[Any, Any]) -> list[Any]:
    """The keys of a dictionary in the order in which its values are counted."""
    return [path[0] for path, _ in tree.flatten_with_path({key: 0 for key in struct})]


def _is_value(x: Any) -> bool:
    """Whether something is a whole array, expression or symbolic tensor, and not one number of a nested list."""
    return isinstance(x, (KerasTensor, ops.Expression)) or np.ndim(x) > 0


def label(tensor: KerasTensor) -> str:
    """Returns the name by which a person knows a tensor: of its Input, if it is one."""
    layer = input_layer_of(tensor)
    return tensor.name if layer is None else layer.name


def _is_input(tensor: KerasTensor) -> bool:
    node = node_of(tensor)
    return node is not None and node.is_input


def _search(
    inputs: Sequence[KerasTensor], outputs: Sequence[KerasTensor], where: str
) -> tuple[list[Node], dict[Any, int]]:
    """Goes back from the outputs.

    Returns:
        The calls that were found, those that others depend on first, and for each
        operation when it was first seen.
    """
    given = {id(x) for x in inputs}
    finished: set[Node] = set()
    in_progress: set[Node] = set()
    order: list[Node] = []
    first_seen: dict[Any, int] = {}
    # An explicit stack: networks may be deeper than Python lets functions nest.
    stack: list[tuple[KerasTensor, Node | None]] = []
    for output in outputs:
        stack.append((output, None))
        while stack:
            tensor, done = stack.pop()
            if done is not None:
                finished.add(done)
                in_progress.discard(done)
                order.append(done)
                continue
            node = node_of(tensor)
            if node is None or node in finished:
                continue
            if not node.is_input and id(tensor) in given:
                finished.add(node)
                continue
            if node in in_progress:
                raise ModelError(f"{where}: {node.operation.name} is part of a cycle.")
            first_seen.setdefault(node.operation, len(first_seen))
            in_progress.add(node)
            stack.append((tensor, node))
            stack.extend((x, None) for x in reversed(node.inputs))
    return order, first_seen


def _with_inputs(inputs: Any, outputs: Any, where: str) -> tuple[Any, Any]:
    """Makes inputs of tensors that are in the midst of another model, and calls all between again.

    The layers are the same and share their weights; only their record grows by calls
    that begin with the new inputs.
    """
    calls, _ = _search(tree.flatten(inputs), tree.flatten(outputs), where)
    known: dict[int, KerasTensor] = {}

    def begun(tensor: KerasTensor) -> KerasTensor:
        known[id(tensor)] = tensor
        if not _is_input(tensor):
            layer = InputLayer(batch_shape=tensor.shape, dtype=tensor.dtype, name=f"{tensor.name}CLONE")
            known[id(tensor)] = layer.output
        return known[id(tensor)]

    def copied(x: Any) -> Any:
        if not isinstance(x, KerasTensor):
            return x
        if id(x) not in known:
            known[id(x)] = KerasTensor(x.shape, x.dtype, name=f"{x.name}_clone")
        return known[id(x)]

    new_inputs = tree.map_structure(begun, inputs)
    for node in calls:
        if node.is_input:
            known.update((id(x), x) for x in node.outputs)
            continue
        args, kwargs = tree.map_structure(copied, (node.args, node.kwargs))
        Node(node.operation, args, kwargs, [copied(x) for x in node.outputs])
    missing = [x for x in tree.flatten(outputs) if id(x) not in known]
    if missing:
        raise ModelError(f"{where}: the output {missing[0]!r} is not connected to the inputs.")
    return new_inputs, tree.map_structure(copied, outputs)
