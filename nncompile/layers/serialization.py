"""Keras' serialized form of layers and models: dictionaries that JSON can hold, and layers made of them again."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

import numpy as np

from .. import registry
from ..errors import FileFormatError, UnsupportedError
from .base import Layer

MODELS: dict[str, type[Layer]] = {}
"""Models that may stand in a file where a layer may, by name; :mod:`nncompile.models` adds its own."""


def plain(value: Any) -> Any:
    """Returns a configuration as JSON can hold it, objects in it serialized."""
    if value is None or isinstance(value, (str, bool, int, float)):
        return value
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        return {"class_name": "__numpy__", "config": {"value": value.tolist(), "dtype": str(value.dtype)}}
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(map(plain, value)) if type(value) in (list, tuple) else list(map(plain, value))
    if isinstance(value, Layer):
        return serialize(value)
    for kind in registry.KINDS:
        if registry.registered(kind).get(type(value).__name__) is type(value):
            return registry.serialize(value, kind)
    if inspect.isfunction(value) and value.__name__ == "<lambda>" and not registry.is_collecting():
        raise UnsupportedError(
            "A configuration holds a lambda, which has no name by which it could be found again. Write a subclass of "
            "Layer, with register_keras_serializable() above it."
        )
    if inspect.isfunction(value) or hasattr(value, "get_config"):
        return registry.serialize(value, "activations")
    raise UnsupportedError(f"A configuration holds {type(value).__name__}, which cannot be saved.")


def serialize(layer: Layer) -> dict[str, Any]:
    """Returns Keras' serialized form of a layer or a model.

    The form is ``{"module", "class_name", "config", "registered_name"}``, with
    ``build_config`` for a layer that was built, and ``compile_config`` for a model.

    Args:
        layer: a layer or a model.

    Source: ``keras.layers.serialize``.
    """
    cls = type(layer)
    name: str | None = None
    if MODELS.get(cls.__name__) is cls:
        public = cls.__name__ != "Functional"  # a class that Keras does not export, and writes by where it stands
        module: str | None = "keras" if public else "keras.src.models.functional"
        name = None if public else cls.__name__
    elif registry.registered("layers").get(cls.__name__) is cls:
        module = "keras.layers"
    else:
        module, name = None, registry.written_name(cls)
    form: dict[str, Any] = {
        "module": module,
        "class_name": cls.__name__,
        "config": plain(layer.get_config()),
        "registered_name": name,
    }
    build_config = layer.get_build_config()
    if build_config is not None:
        form["build_config"] = plain(build_config)
    compile_config = getattr(layer, "get_compile_config", None)
    if compile_config is not None:
        form["compile_config"] = plain((compile_config() if getattr(layer, "compiled", False) else None) or {})
    return registry.number(layer, form)


def deserialize(config: Any, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """Returns the layer that :func:`serialize` described; it is not built or compiled.

    Nothing is imported because a file names it: classes are those of nncompile, those
    registered, and those in ``custom_objects``.

    Args:
        config: what that returned.
        custom_objects: the user's classes and functions by name.

    Raises:
        FileFormatError: the form is not one of Keras'.
        UnsupportedError: the class is not known.

    Source: ``keras.layers.deserialize``.
    """
    layer = registry.deserialize(config, "layers", {**MODELS, **(custom_objects or {})})
    if inspect.isclass(layer) and issubclass(layer, Layer):
        layer = layer.from_config({})
    if not isinstance(layer, Layer):
        raise FileFormatError(f"layers: expected a layer, received {config!r:.80}.")
    return layer
