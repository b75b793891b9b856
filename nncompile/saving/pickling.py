"""Layers and models for ``pickle`` and ``copy``: their configuration, and their numbers as HDF5.

That is what a ``.keras`` file has, so a copy is what one would get by saving and loading: compiled
code is not part of it, nor is a History, nor are attributes that no configuration knows. A class or
function of the user's goes along as the object that it is, which ``pickle`` writes by reference and
``copy.deepcopy`` takes as it is; nothing of ours is looked up by a name out of a pickle, other than
the classes that :mod:`.objects` knows.

A pickle is code to whoever loads it. Exchange ``.keras`` files with others.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from typing import Any

from .. import registry
from ..errors import FileFormatError
from ..layers import Lambda
from . import hdf5, objects, weights_h5


def reduce(layer: Any) -> tuple[Callable[..., Any], tuple[Any, ...]]:
    """Returns how to make an equal layer or model, for its ``__reduce__``."""
    with registry.collecting() as custom:
        text = json.dumps(objects.model_config(layer))
    return restore, (text, bytes(weights_h5.write(layer)), _by_reference(custom))


def _by_reference(custom: Mapping[str, Any]) -> dict[str, Any]:
    """Returns what goes along as it is: all but what is registered and stands where no reference finds it."""

    def is_found(thing: Any) -> bool:
        found: Any = sys.modules.get(thing.__module__)
        for part in thing.__qualname__.split("."):
            found = getattr(found, part, None)
        return found is thing

    registered = registry.custom_objects()
    return {name: thing for name, thing in custom.items() if registered.get(name) is not thing or is_found(thing)}


def restore(text: str, weights: bytes, custom: Mapping[str, Any]) -> Any:
    """Makes the layer or model that :func:`reduce` described.

    Args:
        text: its configuration, as JSON.
        weights: its numbers, and those of its optimizer, as HDF5.
        custom: the classes and functions of the user's in the configuration, by name.

    Raises:
        FileFormatError: one of them does not fit the others.
        UnsupportedError: a class that is not known.
    """
    where = "pickle"
    made = objects.made(json.loads(text), where, {**custom, "Lambda": _lambda_with(custom)})
    with hdf5.opened(weights, where) as file:
        plan = weights_h5.read(file, made, where, error=FileFormatError)
    weights_h5.assign(plan)
    return made


def _lambda_with(functions: Mapping[str, Any]) -> type[Lambda]:
    """Returns a class that makes a Lambda of a configuration in which its functions are names.

    From a file that is refused, since there the functions are code or gone; here they are at hand.
    """

    class Known(Lambda):
        @classmethod
        def from_config(cls, config: Mapping[str, Any]) -> Any:
            given = dict(config)
            for name in ("function", "output_shape"):
                if isinstance(given.get(name), Mapping):
                    given[name] = functions[given[name]["registered_name"]]
            return Lambda.from_config(given)

    return Known


def reduce_optimizer(optimizer: Any) -> tuple[Callable[..., Any], tuple[Any, ...]]:
    """Returns how to make an equal optimizer, for its ``__reduce__``.

    As in Keras it begins anew, and takes the weights of any model: what an optimizer keeps beside
    weights goes with the model that has them.
    """
    with registry.collecting() as custom:
        text = json.dumps(objects.serialize_keras_object(optimizer))
    return restore_optimizer, (text, _by_reference(custom))


def restore_optimizer(text: str, custom: Mapping[str, Any]) -> Any:
    """Makes the optimizer that :func:`reduce_optimizer` described.

    Raises:
        FileFormatError: it is not an optimizer's description.
        UnsupportedError: a class that is not known.
    """
    return objects.made(json.loads(text), "pickle", dict(custom))
