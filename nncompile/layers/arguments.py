"""What the methods of a layer take, by name: its constructor, its ``build`` and its ``call``.

A class of the user's own names its arguments as it likes. What is recorded, built or written
to a file goes by these names.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from .. import ops, tree
from ..errors import UnsupportedError
from ..ops.symbolic import KerasTensor, Operation
from . import scope
from .legacy import LEGACY_KEYWORDS


def is_tensor(value: Any) -> bool:
    """Whether a value is an array of one axis or more, an expression or a symbolic tensor."""
    if isinstance(value, (KerasTensor, ops.Expression)):
        return True
    return hasattr(value, "__array__") and not isinstance(value, Operation) and np.ndim(value) > 0


class CallSignature(NamedTuple):
    """What ``call`` takes.

    Attributes:
        positional: what its arguments are called, those that may be given by position.
        training: whether it takes ``training``.
        mask: whether it takes ``mask``.
        default: its default for ``training``, None if that is neither True nor False.
    """

    positional: tuple[str, ...] = ()
    training: bool = False
    mask: bool = False
    default: bool | None = None

    @classmethod
    def of(cls, call: Callable[..., Any]) -> CallSignature:
        """Returns that of a method."""
        parameters = inspect.signature(call).parameters
        training = parameters.get("training")
        kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
        positional = tuple(p.name for p in parameters.values() if p.kind in kinds)[1:]
        default = training.default if training is not None and isinstance(training.default, bool) else None
        return cls(positional, training is not None, "mask" in parameters, default)

    def recorded(self, kwargs: Mapping[str, Any]) -> dict[str, Any]:
        """The arguments by name as Keras records them of a call: with its defaults for ``training`` and ``mask``."""
        kept = {k: v for k, v in kwargs.items() if k != "training" or (self.training and v is not None)}
        if self.default is not None:
            kept.setdefault("training", self.default)
        if self.mask:
            kept.setdefault("mask", None)
        return kept

    def shapes(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
        """The shapes of the arguments that are tensors or structures of them, by the names that ``call`` gives them."""
        names = self.positional
        named = {names[i] if i < len(names) else f"arg{i}": value for i, value in enumerate(args)}
        return {
            name: tree.map_structure(lambda x: None if x is None else scope.built_for(tuple(x.shape)), value)
            for name, value in {**named, **kwargs}.items()
            if any(map(is_tensor, tree.flatten(value)))
        }


def shape_arguments(method: Callable[..., Any], shapes: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the shapes of the arguments of a call by the names under which a method takes them.

    As in Keras, the shape of ``query`` is taken as ``query_shape``; a method of one parameter takes the first.
    """
    parameters = [p for p in inspect.signature(method).parameters.values()][1:]
    wanted = {f"{name}_shape": shape for name, shape in shapes.items()}
    if any(p.kind is p.VAR_KEYWORD for p in parameters):
        return wanted
    if len(parameters) == 1:
        return {parameters[0].name: next(iter(shapes.values()))}
    return {p.name: wanted[p.name] for p in parameters if p.name in wanted}


def constructor_arguments(
    cls: type[Any], args: tuple[Any, ...], kwargs: Mapping[str, Any], where: str
) -> dict[str, Any]:
    """Returns the arguments that a layer was made with by name, defaults included, as a file can hold them.

    Args:
        cls: its class.
        args: those given by position.
        kwargs: those given by name.
        where: the layer, for the errors.

    Raises:
        UnsupportedError: one of them has no name, or cannot be written to a file.
    """
    advice = f"Define get_config() in {cls.__name__}."
    signature = inspect.signature(cls.__init__)
    bound = signature.bind(None, *args, **kwargs)
    bound.apply_defaults()
    given: dict[str, Any] = {}
    for name, value in list(bound.arguments.items())[1:]:
        kind = signature.parameters[name].kind
        if kind is inspect.Parameter.VAR_KEYWORD:
            given.update(value)
        elif kind is inspect.Parameter.VAR_POSITIONAL or kind is inspect.Parameter.POSITIONAL_ONLY:
            if value or kind is inspect.Parameter.POSITIONAL_ONLY:
                raise UnsupportedError(f"{where}: cannot be saved: {name!r} has no keyword. {advice}")
        else:
            given[name] = value
    for name in ("name", *(k for k in LEGACY_KEYWORDS if k not in signature.parameters)):
        given.pop(name, None)
    for name, value in given.items():
        if not _is_plain(value):
            raise UnsupportedError(
                f"{where}: cannot be saved: its argument {name!r} is {type(value).__name__}. {advice}"
            )
    return given


def _is_plain(value: Any) -> bool:
    if isinstance(value, (list, tuple)):
        return all(map(_is_plain, value))
    if isinstance(value, dict):
        return all(map(_is_plain, value.values()))
    return value is None or isinstance(value, (str, int, float, bool))
