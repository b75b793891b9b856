"""Functional: the model that ``Model(inputs, outputs)`` makes, and how files describe it.

A configuration lists the layers and, for each, its calls (``inbound_nodes``). A tensor
among the arguments of a call is named by where it comes from::

    {"class_name": "__keras_tensor__", "config": {..., "keras_history": ["dense_1", 0, 0]}}

which is the layer, the number of its call within this model, and the number of what the
call returned. Keras 2 wrote ``["dense_1", 0, 0, {}]`` for each tensor instead.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from .. import tree
from ..errors import FileFormatError, UnsupportedError
from ..layers.core import InputLayer
from ..layers.serialization import MODELS, deserialize, plain, serialize
from ..ops import symbolic
from ..ops.symbolic import FunctionOperation, KerasTensor, Node
from .model import Model
from .network import Network

GROWING = frozenset("broadcast_to one_hot pad repeat tile".split())
"""Operations whose options say how large their result is."""
PRODUCTS = frozenset("dot einsum kron matmul outer tensordot".split())
"""Operations whose result may be as large as the product of the operands."""
MOST = 1 << 26
"""The most numbers that such an operation of a file may make of one row."""


class Functional(Model):
    """A model of the layers that were called between its inputs and its outputs; see :class:`Model`.

    Args:
        inputs: a symbolic tensor, or a structure of such.
        outputs: likewise.
        name: any string without ``/``; made up if None.
        **kwargs: ``trainable``.

    Source: ``keras.Model``.
    """

    def __init__(self, inputs: Any = None, outputs: Any = None, name: str | None = None, **kwargs: Any) -> None:
        given = {k: v for k, v in (("inputs", inputs), ("outputs", outputs)) if v is not None}
        super().__init__(**given, name=name, **kwargs)

    @staticmethod
    def _network_config(model: Model) -> dict[str, Any]:
        """Returns the configuration of a model of a graph, its class aside."""
        return _Writer(model, model._graph("configuration")).config()

    @staticmethod
    def _from_network_config(kind: type[Model], config: Mapping[str, Any]) -> Model:
        """Makes the model of a class that :meth:`_network_config` described."""
        return _Reader(config, kind.__name__).model(kind)


MODELS["Functional"] = Functional


# ------------------------------------------------------------------ writing


class _Writer:
    """Describes a graph: calls are counted among those that belong to it."""

    def __init__(self, model: Model, network: Network) -> None:
        self.model = model
        self.network = network

    def config(self) -> dict[str, Any]:
        layers = []
        for operation in self.network.operations:
            form = operation.serialize() if isinstance(operation, FunctionOperation) else serialize(operation)
            calls = [node for node in operation._inbound_nodes if self.network.contains(node) and not node.is_input]
            layers.append({**form, "name": operation.name, "inbound_nodes": [self._call(node) for node in calls]})
        return {
            "name": self.model.name,
            "trainable": self.model.trainable,
            "layers": layers,
            "input_layers": tree.map_structure(self._end, self.network.inputs_struct),
            "output_layers": tree.map_structure(self._end, self.network.outputs_struct),
        }

    def _history(self, tensor: KerasTensor) -> list[Any]:
        operation, call, index = tensor._keras_history
        outside = sum(not self.network.contains(node) for node in operation._inbound_nodes[:call])
        return [operation.name, call - outside, index]

    def _end(self, tensor: KerasTensor) -> list[Any]:
        """An input or output of the whole; of a model of a graph Keras counts one call more."""
        name, call, index = self._history(tensor)
        return [name, call + _is_graph(tensor._keras_history.operation), index]

    def _call(self, node: Node) -> dict[str, Any]:
        def written(value: Any) -> Any:
            if isinstance(value, KerasTensor):
                inner = {"shape": value.shape, "dtype": value.dtype, "keras_history": self._history(value)}
                return {"class_name": "__keras_tensor__", "config": inner}
            if isinstance(value, slice):
                inner = {"start": value.start, "stop": value.stop, "step": value.step}
                return {"class_name": "__slice__", "config": inner}
            if value is ...:
                return {"class_name": "__ellipsis__", "config": {}}
            try:
                return plain(value)
            except UnsupportedError as error:
                raise UnsupportedError(
                    f"{self.model._where}: cannot be saved: {node.operation.name} is called with {value!r:.80}. {error}"
                ) from error

        args, kwargs = tree.map_structure(written, (list(node.args), node.kwargs))
        return {"args": args, "kwargs": kwargs}


def _is_graph(operation: Any) -> bool:
    return isinstance(operation, Model) and operation._is_functional


# ------------------------------------------------------------------ reading


class _NotYetThere(Exception):
    """A call names a tensor that another call, not made so far, returns."""


class _Reader:
    """Makes the layers of a configuration, and calls them as it says."""

    def __init__(self, config: Mapping[str, Any], owner: str) -> None:
        self.config = config
        self.owner = owner
        self.made: dict[str, Any] = {}
        """Layers and operations by the names that the configuration gives them."""
        self.called: dict[str, int] = {}
        """How often each was called before, by another model that has it as well."""

    def model(self, cls: type[Model]) -> Model:
        layers = self.config.get("layers")
        if not isinstance(layers, list):
            raise FileFormatError(f"{self.owner}: expected a configuration with layers, received {layers!r:.80}.")
        waiting = {name: calls for name, calls in map(self._layer, layers) if calls}
        while waiting:
            before = sum(map(len, waiting.values()))
            for name in list(waiting):
                calls = waiting[name]
                try:
                    while calls:
                        self._call(name, calls[0])
                        del calls[0]
                except _NotYetThere:
                    continue
                del waiting[name]
            if sum(map(len, waiting.values())) == before:
                raise FileFormatError(
                    f"{self.owner}: the calls of {', '.join(map(repr, waiting))} depend on each other, "
                    "or on a layer that is not called."
                )
        ends = [self._ends(self.config.get(key), key) for key in ("input_layers", "output_layers")]
        extra = {k: v for k, v in self.config.items() if k not in ("layers", "input_layers", "output_layers")}
        trainable = extra.pop("trainable", True)
        extra.pop("dtype", None)  # of older releases
        model = cls(*ends, **{"name": None, **extra})
        model._trainable = trainable is None or bool(trainable)
        return model

    def _layer(self, form: Any) -> tuple[str, list[Any]]:
        """Makes a layer; returns its name and its calls."""
        if not isinstance(form, Mapping) or not isinstance(form.get("class_name"), str):
            raise FileFormatError(f"{self.owner}: expected a layer, received {form!r:.80}.")
        inner = form.get("config")
        name = form.get("name", inner.get("name") if isinstance(inner, Mapping) else None)
        calls = form.get("inbound_nodes", [])
        if not isinstance(name, str) or not isinstance(calls, list):
            raise FileFormatError(f"{self.owner}: expected a layer with a name and a list of calls: {form!r:.80}.")
        if name in self.made:
            raise FileFormatError(f"{self.owner}: two layers are called {name!r}.")
        made = _operation(form) if is_operation(form) else deserialize(form)
        self.made[name] = made
        self.called[name] = 0 if isinstance(made, InputLayer) else len(made._inbound_nodes)
        return name, list(calls)

    def _call(self, name: str, call: Any) -> None:
        operation = self.made[name]
        if isinstance(call, Mapping):
            args, kwargs = self._values(call.get("args", [])), self._values(call.get("kwargs", {}))
            if not isinstance(args, list) or not isinstance(kwargs, Mapping):
                raise FileFormatError(f"{self.owner}: {name}: expected args and kwargs, received {call!r:.80}.")
        elif isinstance(call, list):
            args, kwargs = self._legacy(name, call)
        else:
            raise FileFormatError(f"{self.owner}: {name}: expected a call, received {call!r:.80}.")
        if not symbolic.tensors_among((args, dict(kwargs))):
            if isinstance(call, list) and not call:
                return
            raise FileFormatError(f"{self.owner}: {name}: a call on nothing, received {call!r:.80}.")
        if isinstance(operation, FunctionOperation):
            while args and args[-1] is None:
                args = args[:-1]
            named = {key: value for key, value in kwargs.items() if value is not None}
            unknown = named.keys() - symbolic.parameters(operation.function).keys()
            if unknown:
                raise FileFormatError(f"{self.owner}: {name}: {operation.function} has no {sorted(unknown)}.")
            _check_growth(operation, [*args, *named.values()])
            operation(*args, **named)
        else:
            operation(*args, **kwargs)

    def _values(self, value: Any) -> Any:
        """Arguments as they were: tensors by their history, and what JSON cannot hold by its class."""
        if isinstance(value, (list, tuple)):
            return [self._values(item) for item in value]
        if not isinstance(value, Mapping):
            return value
        kind, inner = value.get("class_name"), value.get("config")
        if kind == "__keras_tensor__":
            history = inner.get("keras_history") if isinstance(inner, Mapping) else None
            return self._tensor(history, str(history))
        if kind is not None and "config" in value:
            from ..saving import deserialize_keras_object

            return deserialize_keras_object(value)
        return {key: self._values(item) for key, item in value.items()}

    def _tensor(self, history: Any, what: str, shift: int = 0) -> KerasTensor:
        fits = isinstance(history, (list, tuple)) and len(history) == 3 and isinstance(history[0], str)
        if not fits or not all(isinstance(n, int) and not isinstance(n, bool) and n >= 0 for n in history[1:]):
            raise FileFormatError(f"{self.owner}: expected [layer, call, output], received {what:.80}.")
        name, call, index = history
        if name not in self.made:
            raise FileFormatError(f"{self.owner}: no layer is called {name!r:.80}.")
        call = call - shift if _is_graph(self.made[name]) and call >= shift else call
        nodes = self.made[name]._inbound_nodes[self.called[name] :]
        if call >= len(nodes):
            raise _NotYetThere(name)
        if index >= len(nodes[call].outputs):
            raise FileFormatError(f"{self.owner}: {name} does not return {index + 1} tensors.")
        tensor: KerasTensor = nodes[call].outputs[index]
        return tensor

    def _legacy(self, name: str, call: list[Any]) -> tuple[list[Any], dict[str, Any]]:
        """A call as Keras 2 wrote it: a list of tensors, the last of which may have further arguments."""
        tensors, kwargs = [], {}
        for item in call:
            if not isinstance(item, (list, tuple)) or len(item) not in (3, 4):
                raise FileFormatError(f"{self.owner}: {name}: expected [layer, call, output], received {item!r:.80}.")
            if len(item) == 4 and isinstance(item[3], Mapping):
                kwargs = {key: value for key, value in item[3].items() if value is not None}
            history = list(item[:3])
            # A model of models began with a call of its own there.
            before = 1 if isinstance(self.made.get(history[0]), Model) else 0
            if before and isinstance(history[1], int) and history[1] > 0:
                history[1] -= 1
            tensors.append(self._tensor(history, str(item)))
        return [tensors[0] if len(tensors) == 1 else tensors], kwargs

    def _ends(self, struct: Any, key: str) -> Any:
        """The inputs or outputs of the whole."""
        if isinstance(struct, Mapping):
            return {k: self._ends(v, key) for k, v in struct.items()}
        if not isinstance(struct, (list, tuple)):
            raise FileFormatError(f"{self.owner}: expected {key} to name layers, received {struct!r:.80}.")
        if len(struct) == 3 and isinstance(struct[0], str):
            try:
                return self._tensor(struct, str(struct), shift=1)
            except _NotYetThere:
                raise FileFormatError(f"{self.owner}: {key}: {struct!r:.80} is not called that often.") from None
        parts = [self._ends(part, key) for part in struct]
        return parts if isinstance(struct, list) else tuple(parts)


def is_operation(form: Mapping[str, Any]) -> bool:
    """Whether a serialized form is one of an operation of ``keras.ops`` and not of a layer."""
    module = form.get("module")
    return isinstance(module, str) and (module.startswith("keras.src.ops") or module.startswith("keras.ops"))


def _operation(form: Mapping[str, Any]) -> FunctionOperation:
    kind, inner = form["class_name"], form.get("config")
    function = symbolic.function_of(kind)
    if function is None:
        raise UnsupportedError(f"ops: {kind!r:.80} is not supported yet.")
    if not isinstance(inner, Mapping) or not isinstance(inner.get("name", ""), str):
        raise FileFormatError(f"ops: {kind}: expected a configuration, received {inner!r:.80}.")
    known = symbolic.parameters(function)
    # Keras writes a type for every operation, and what it has dropped as long as it is False
    options = {key: value for key, value in inner.items() if key in known or (key not in ("name", "dtype") and value)}
    return FunctionOperation(function, options, inner.get("name"))


def _check_growth(operation: FunctionOperation, args: Sequence[Any]) -> None:
    """Refuses an operation of a file whose result would not fit into memory."""
    shapes = [(1, *(n or 1 for n in x.shape[1:])) for x in symbolic.tensors_among(list(args))]
    sizes = [math.prod(shape) for shape in shapes]
    most = sum(sizes)
    if operation.function in GROWING:
        numbers = [x for x in tree.flatten((list(operation.options.values()), list(args))) if isinstance(x, int)]
        most = math.prod(max(abs(n), 1) for n in (*numbers, *sizes))
    elif operation.function in PRODUCTS:
        most = math.isqrt(math.prod(sizes))
    else:
        with contextlib.suppress(ValueError):  # operands that do not broadcast; the operation says so itself
            most = max(most, math.prod(np.broadcast_shapes(*shapes)))
    if most > MOST:
        raise FileFormatError(f"{operation.name}: {operation.function} makes rows of more than {MOST} numbers.")
