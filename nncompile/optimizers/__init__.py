"""Optimizers: hyper-parameters, slots and one formula per class.

:class:`Optimizer` is the base, with what all have; :mod:`.schedules` has learning rates
that change from step to step.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from .. import registry
from ..errors import ModelError, UnsupportedError
from . import schedules
from .adaptive import Adafactor, Adam, Adamax, AdamW, Lamb, Nadam, ScheduleFreeAdamW
from .base import Optimizer
from .descent import SGD, Adadelta, Adagrad, Ftrl, Lion, RMSprop
from .muon import Muon

_REFUSED = {
    "lossscaleoptimizer": "gradients here are float32, also in mixed_bfloat16, and do not underflow: "
    "use the inner optimizer itself, with a loss_scale_factor if need be",
    "multioptimizer": "a model has one optimizer",
    "optimizermap": "a model has one optimizer",
}
"""Optimizers of Keras that are not here, and why."""


def get(identifier: Any) -> Any:
    """Returns the optimizer that ``identifier`` names or is.

    Args:
        identifier: None, a name in capitals or not, an optimizer (returned as it is), or
            what :func:`serialize` returned.

    Raises:
        ModelError: it is none of these; the nearest names are listed.
        UnsupportedError: an optimizer of Keras that is not here.

    Source: ``keras.optimizers.get``.
    """
    if identifier is None or isinstance(identifier, Optimizer):
        return identifier
    if isinstance(identifier, str):
        try:
            found = registry.find("optimizers", _name(identifier))
        except ModelError:
            _refuse(identifier)
            raise
        if inspect.isclass(found):
            found = found()
    elif isinstance(identifier, Mapping):
        found = deserialize(identifier)
    else:
        found = identifier
    if not isinstance(found, Optimizer):
        hint = f" Write {identifier.__name__}()." if inspect.isclass(identifier) else ""
        raise ModelError(
            f"optimizers: expected a name or an Optimizer, received {identifier!r} ({type(identifier).__name__}).{hint}"
        )
    return found


def _name(name: str) -> str:
    """Returns the registered spelling of a built-in optimizer's name, any other name as it is."""
    for known in registry.registered("optimizers"):
        if name.lower() == known.lower():
            return known
    return name


def _refuse(name: str) -> None:
    """Says why Keras' optimizer of a name is not here, if it is one of those."""
    reason = _REFUSED.get(name.lower())
    if reason is not None:
        raise UnsupportedError(f"optimizers: {name!r} is not supported: {reason}.")


def serialize(optimizer: Any) -> Any:
    """Returns Keras' description of an optimizer, without its state.

    Args:
        optimizer: the optimizer.

    Source: ``keras.optimizers.serialize``.
    """
    return registry.serialize(optimizer, "optimizers")


def deserialize(config: Any, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """Returns the optimizer that :func:`serialize` described.

    Args:
        config: a description; names of classes in capitals or not.
        custom_objects: the user's classes by name.

    Raises:
        FileFormatError: the form is not one of Keras'.
        UnsupportedError: a description of something that is not known.

    Source: ``keras.optimizers.deserialize``.
    """
    if isinstance(config, Mapping) and isinstance(config.get("class_name"), str):
        _refuse(config["class_name"])
        config = {**config, "class_name": _name(config["class_name"])}
    return registry.deserialize(config, "optimizers", custom_objects)


__all__ = [
    "SGD",
    "Adadelta",
    "Adafactor",
    "Adagrad",
    "Adam",
    "AdamW",
    "Adamax",
    "Ftrl",
    "Lamb",
    "Lion",
    "Muon",
    "Nadam",
    "Optimizer",
    "RMSprop",
    "ScheduleFreeAdamW",
    "deserialize",
    "get",
    "schedules",
    "serialize",
]
