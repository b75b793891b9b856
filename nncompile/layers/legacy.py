"""The spellings of Keras 1 and 2 that layers still take, each with a warning that gives today's."""

from __future__ import annotations

import functools
import inspect
import os
import sys
import warnings
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from .. import registry
from .shapes import Shape, standardize_shape

Function = TypeVar("Function", bound=Callable[..., Any])

LAYER_KEYWORDS = ("activity_regularizer", "trainable", "dtype", "autocast", "name")
"""What every layer takes."""
LEGACY_KEYWORDS = ("input_shape", "input_dim", "batch_input_shape", "batch_size", "weights")
"""What every layer took in Keras 1 or 2, and still takes here with a warning."""

_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep


def caller_level() -> int:
    """Returns the ``stacklevel`` with which the caller warns about a line outside this package."""
    frame, level = sys._getframe(1), 1
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_PACKAGE):
        frame, level = frame.f_back, level + 1
    return level


def legacy_keywords(*own: str, **renamed: str) -> Callable[[Function], Function]:
    """Gives an ``__init__`` the spellings of Keras 1 and 2, and names the nearest right one.

    Args:
        own: keywords that it takes from its ``**kwargs`` itself.
        renamed: old names and the new ones.
    """

    def decorate(init: Function) -> Function:
        kinds = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
        named = [p.name for p in inspect.signature(init).parameters.values() if p.kind in kinds][1:]
        known = (*named, *LAYER_KEYWORDS, *LEGACY_KEYWORDS)

        @functools.wraps(init)
        def wrapper(self: Any, *args: Any, **kwargs: Any) -> None:
            owner = type(self).__name__
            if renamed.keys() & kwargs.keys():
                kwargs = registry.rename_keywords(owner, kwargs, renamed, caller_level() + 1)
            unknown = {k: v for k, v in kwargs.items() if k not in known and k not in own}
            registry.check_keywords(owner, unknown, known)
            init(self, *args, **kwargs)

        return wrapper  # type: ignore[return-value]

    return decorate


def initial_weights(owner: str, given: Mapping[str, Any]) -> Any:
    """Returns the numbers with which a layer was to begin, None if nothing was said.

    Args:
        owner: the class, for the warning.
        given: its keywords of Keras 1 and 2.
    """
    if "weights" not in given:
        return None
    warnings.warn(
        f"{owner}: 'weights' is the spelling of Keras 1 or 2; use set_weights() once the layer is built.",
        DeprecationWarning,
        stacklevel=caller_level(),
    )
    return given["weights"]


def batch_shape(owner: str, given: Mapping[str, Any]) -> Shape | None:
    """Returns the shape of the input that a layer was given, the batch included, None if nothing was said.

    Args:
        owner: the class, for the messages.
        given: its keywords of Keras 1 and 2.

    Raises:
        TypeError: it was said twice, or the size of the batch alone.
        ModelError: it is no shape.
    """
    named = [k for k in ("batch_input_shape", "input_shape", "input_dim") if given.get(k) is not None]
    if not named:
        if given.get("batch_size") is not None:
            raise TypeError(f"{owner} got 'batch_size' without 'input_shape'. Give it to Input().")
        return None
    if len(named) > 1:
        raise TypeError(f"{owner} got both {named[0]!r} and {named[1]!r}.")
    value = given[named[0]]
    if named[0] == "batch_input_shape":
        shape = standardize_shape(value, f"{owner}: batch_input_shape")
    else:
        sizes = (value,) if named[0] == "input_dim" else value
        shape = standardize_shape((given.get("batch_size"),), f"{owner}: batch_size")
        shape += standardize_shape(sizes, f"{owner}: {named[0]}")
    batch = "" if shape[0] is None else f", batch_size={shape[0]}"
    warnings.warn(
        f"{owner}: {named[0]!r} is the spelling of Keras 1 or 2; "
        f"put Input({shape[1:]}{batch}) before the layer, as first in the model.",
        DeprecationWarning,
        stacklevel=caller_level(),
    )
    return shape
