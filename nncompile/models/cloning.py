"""Copies of models with new weights, and models out of their configurations."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from .. import registry
from ..errors import ModelError
from ..layers.base import Layer
from ..layers.core import InputLayer
from ..ops.symbolic import KerasTensor
from .model import Model, known_objects
from .network import input_layer_of
from .sequential import Sequential


def model_from_json(json_string: str, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """Makes the model that ``to_json``, here or in Keras, described; its weights are new.

    Args:
        json_string: what ``to_json`` returned, or the ``config.json`` of a ``.keras`` file.
        custom_objects: classes and functions of the user's own, by name.

    Raises:
        FileFormatError: it is not JSON, or not of a model.
        UnsupportedError: it uses something that nncompile has not.
    """
    from .. import saving

    return saving.model_from_json(json_string, custom_objects)


def clone_model(
    model: Model,
    input_tensors: Any = None,
    clone_function: Callable[[Layer], Layer] | None = None,
    call_function: Any = None,
    recursive: bool = False,
    **kwargs: Any,
) -> Any:
    """Returns a model of equal layers with new weights.

    Args:
        model: a Sequential, or a model of a class of the user's own.
        input_tensors: an ``Input`` for the clone, if it shall take other rows.
        clone_function: makes the clone of a layer; from its configuration if None.
        call_function: not supported: it is for functional models.
        recursive: whether inner models are cloned by ``clone_function`` as well.
        **kwargs: none.

    Raises:
        ModelError: an argument that does not fit the model.
    """
    registry.check_keywords("clone_model", kwargs, ("input_tensors", "clone_function", "recursive"))
    if not isinstance(model, Model):
        raise ModelError(f"clone_model: expected a model, received {model!r:.80}.")
    if call_function is not None:
        raise ModelError("clone_model: call_function is for functional models; this one is a Sequential.")
    if not isinstance(model, Sequential):
        if clone_function is not None or input_tensors is not None:
            raise ModelError("clone_model: clone_function and input_tensors are for Sequential models.")
        return type(model).from_config(model.get_config())
    return _clone_sequential(model, input_tensors, clone_function, recursive, {})


def _clone_sequential(
    model: Sequential,
    inputs: Any,
    function: Callable[[Layer], Layer] | None,
    recursive: bool,
    cache: dict[int, Layer],
) -> Sequential:
    def clone(layer: Layer) -> Layer:
        if id(layer) not in cache:
            if recursive and isinstance(layer, Sequential):
                cache[id(layer)] = _clone_sequential(layer, None, function, recursive, cache)
            elif function is not None:
                cache[id(layer)] = function(layer)
            else:
                # Functions of the user's are known to the layer, if to nobody else.
                functions = {f.__name__: f for f in vars(layer).values() if inspect.isfunction(f)}
                with known_objects(functions):
                    cache[id(layer)] = type(layer).from_config(layer.get_config())
        return cache[id(layer)]

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
    layers = [clone(layer) for layer in model.layers]
    copy = Sequential([inputs, *layers] if inputs is not None else layers, model.trainable, model.name)
    compile_config = model.get_compile_config() if model.compiled else None
    if compile_config:
        copy.compile_from_config(compile_config)
    return copy
