"""Copies of models with new weights, and models out of their configurations."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from .. import registry, tree
from ..errors import ModelError
from ..layers.core import InputLayer
from ..ops.symbolic import FunctionOperation, KerasTensor
from .functional import Functional
from .model import Model, known_objects, takes_graph
from .network import input_layer_of, label
from .sequential import Sequential


def model_from_json(json_string: str, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """Returns the model that ``to_json``, here or in Keras, described; its weights are new.

    Args:
        json_string: what ``to_json`` returned, or the ``config.json`` of a ``.keras`` file.
        custom_objects: classes and functions of the user's own, by name.

    Raises:
        FileFormatError: it is not JSON, or not of a model.
        UnsupportedError: it uses something that nncompile has not.

    Source: ``keras.models.model_from_json``.
    """
    from .. import saving

    return saving.model_from_json(json_string, custom_objects)


def clone_model(
    model: Model,
    input_tensors: Any = None,
    clone_function: Callable[[Any], Any] | None = None,
    call_function: Callable[..., Any] | None = None,
    recursive: bool = False,
    **kwargs: Any,
) -> Any:
    """Returns a model of equal layers with new weights.

    Args:
        model: a Sequential, a model of inputs and outputs, or one of a class of the user's own.
        input_tensors: what ``Input`` returned, in the structure of ``model.input``, if
            the clone shall take other rows.
        clone_function: makes the clone of a layer, or of an operation of
            :mod:`nncompile.ops`; from its configuration if None. Inputs are cloned in any case.
        call_function: ``call_function(layer, *args, **kwargs)`` calls the clone of a
            layer, and may call others before or after it; only for a model of inputs and outputs.
        recursive: whether inner models are cloned by these functions as well.
        **kwargs: none.

    Raises:
        ModelError: an argument that does not fit the model.

    Source: ``keras.models.clone_model``.
    """
    known = ("input_tensors", "clone_function", "call_function", "recursive")
    registry.check_keywords("clone_model", kwargs, known)
    if not isinstance(model, Model):
        raise ModelError(f"clone_model: expected a model, received {model!r:.80}.")
    for name, function in (("clone_function", clone_function), ("call_function", call_function)):
        if function is not None and not callable(function):
            raise ModelError(f"clone_model: expected {name} to be a function, received {function!r:.80}.")
    cloner = _Cloner(clone_function, call_function, recursive)
    if isinstance(model, Sequential):
        if call_function is not None:
            raise ModelError("clone_model: call_function is for functional models; this one is a Sequential.")
        return cloner.sequential(model, input_tensors)
    given = clone_function is not None or call_function is not None or input_tensors is not None
    if model._is_functional and (given or getattr(type(model).get_config, "_is_default", False)):
        return cloner.functional(model, input_tensors)
    if given:
        raise ModelError(
            "clone_model: clone_function, call_function and input_tensors are for Sequential models and those of "
            "inputs and outputs."
        )
    return type(model).from_config(model.get_config())


class _Cloner:
    """Clones layers, each once.

    Args:
        clone_function: of the user's, or None.
        call_function: of the user's, or None.
        recursive: whether inner models are cloned in the same way.
    """

    def __init__(
        self, clone_function: Callable[[Any], Any] | None, call_function: Callable[..., Any] | None, recursive: bool
    ) -> None:
        self.clone_function = clone_function
        self.call_function = call_function
        self.recursive = recursive
        self.clones: dict[int, Any] = {}

    def clone(self, layer: Any) -> Any:
        """Returns the clone of a layer or of an operation."""
        if id(layer) not in self.clones:
            self.clones[id(layer)] = self._cloned(layer)
        return self.clones[id(layer)]

    def _cloned(self, layer: Any) -> Any:
        if self.recursive and isinstance(layer, Sequential):
            return self.sequential(layer, None)
        if self.recursive and isinstance(layer, Model) and layer._is_functional:
            return self.functional(layer, None)
        if self.clone_function is not None:
            return self.clone_function(layer)
        if isinstance(layer, FunctionOperation):
            return FunctionOperation(layer.function, layer.options, layer.name)
        # Functions and classes of the user's are known to the layer, if to nobody else.
        with registry.collecting() as custom:
            config = layer.get_config()
        with known_objects(custom):
            return type(layer).from_config(config)

    def sequential(self, model: Sequential, inputs: Any) -> Any:
        if isinstance(inputs, (list, tuple)):
            if len(inputs) != 1:
                raise ModelError(f"clone_model: expected one Input, received {len(inputs)}.")
            inputs = inputs[0]
        if isinstance(inputs, KerasTensor):
            inputs = input_layer_of(inputs)
        if inputs is not None and not isinstance(inputs, InputLayer):
            raise ModelError(f"clone_model: expected an Input, received {inputs!r:.80}.")
        given = model.input_layer
        if inputs is None and given is not None:
            inputs = InputLayer.from_config(given.get_config())
        layers = [self.clone(layer) for layer in model.layers]
        copy = Sequential([inputs, *layers] if inputs is not None else layers, model.trainable, model.name)
        return _compiled_like(copy, model)

    def functional(self, model: Model, inputs: Any) -> Any:
        network = model._graph("graph")
        if inputs is None:
            inputs = tree.map_structure(
                lambda x: InputLayer(batch_shape=x.shape, dtype=x.dtype, name=label(x)).output, network.inputs_struct
            )
        else:
            inputs = tree.map_structure(lambda x: x.output if isinstance(x, InputLayer) else x, inputs)
            try:
                tree.assert_same_structure(inputs, network.inputs_struct)
            except ModelError as error:
                raise ModelError(
                    f"clone_model: expected input_tensors in the structure of model.input, "
                    f"{network.inputs_struct!r:.160}, received {inputs!r:.160}."
                ) from error
            for x in tree.flatten(inputs):
                if not isinstance(x, KerasTensor):
                    raise ModelError(f"clone_model: expected input_tensors that Input() returned, received {x!r:.80}.")

        def call(operation: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
            clone = self.clone(operation)
            return self.call_function(clone, *args, **kwargs) if self.call_function else clone(*args, **kwargs)

        outputs = network.run(tree.flatten(inputs), call)
        cls: Any = type(model) if takes_graph(type(model)) else Functional
        copy = cls(inputs, outputs, name=model.name)
        copy._trainable = model.trainable
        return _compiled_like(copy, model)


def _compiled_like(copy: Any, model: Model) -> Any:
    """Compiles a clone as its model was."""
    with registry.collecting() as custom:
        config = model.get_compile_config() if model.compiled else None
    if config:
        with known_objects(custom):
            copy.compile_from_config(config)
    return copy
