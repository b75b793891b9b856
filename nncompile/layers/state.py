"""State: how a weight is made, and how what a layer holds is found.

A layer holds what ``add_weight`` made, and the variables, seeds and inner layers that were set
as attributes, alone or in lists, tuples and dictionaries.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypeVar

import numpy as np

from .. import backend, initializers
from .. import config as settings
from ..errors import ModelError
from ..variables import Variable
from . import limits
from .shapes import standardize_shape

T = TypeVar("T")

PLAIN = frozenset((type(None), bool, int, float, str))
"""Types of most attributes; there is nothing in them."""
NOT_STATE = frozenset(
    (
        "_trainable_variables", "_non_trainable_variables", "_arguments", "_build_shapes", "_initial_weights",
        "_shapes", "_inbound_nodes", "_outbound_nodes", "_constants", "_losses", "_layers_seen",
    )
)  # fmt: skip
"""Attributes of every layer that are not looked through for weights and inner layers."""


def held(attributes: Mapping[str, Any], kind: type[T]) -> Iterator[T]:
    """Yields the things of a class that attributes hold, in order."""
    for name, value in list(attributes.items()):
        if type(value) not in PLAIN and name not in NOT_STATE:
            yield from held_by(value, kind)


def held_by(value: Any, kind: type[T]) -> list[T]:
    """Returns the things of a class that the value of an attribute is or holds."""
    if isinstance(value, kind):
        return [value]
    if isinstance(value, dict):
        value = value.values()
    elif not isinstance(value, (list, tuple)):
        return []
    return [thing for item in value if type(item) not in PLAIN for thing in held_by(item, kind)]


def unique(things: Iterable[T]) -> list[T]:
    """Returns each thing once, in order."""
    return list({id(thing): thing for thing in things}.values())


def in_order(seen: list[T], things: Iterable[T]) -> list[T]:
    """Returns each thing once, in the order in which they were first seen, which ``seen`` remembers."""
    held_now = {id(thing): thing for thing in things}
    known = {id(thing) for thing in seen}
    seen[:] = [x for x in seen if id(x) in held_now] + [x for key, x in held_now.items() if key not in known]
    return list(seen)


def make_weight(
    where: str, path: str, name: Any, shape: Any, dtype: Any, initializer: Any, trainable: bool
) -> Variable:
    """Makes a weight.

    Args:
        where: the layer, for the errors.
        path: of the layer, which the path of the weight begins with.
        name: last part of its path; made up if None.
        shape: sizes; ``()``, a single number, if None.
        dtype: element type.
        initializer: see :func:`nncompile.initializers.get`; ``glorot_uniform`` if None, ``zeros`` for integers.
        trainable: whether the optimizer changes it.

    Raises:
        ModelError: the shape is not known, or another argument cannot be right.
        FileFormatError: it is larger than the file that describes it may ask for.
    """
    if name is None:
        name = backend.auto_name("variable")
    if not isinstance(name, str) or "/" in name:
        raise ModelError(f"{where}: expected the name of a weight to be a string without '/', received {name!r:.80}.")
    sizes = standardize_shape(() if shape is None else shape, f"{where}: {name}")
    if None in sizes:
        raise ModelError(
            f"{where}: {name} would have shape {sizes}, but the width of the input is not known. "
            "Give Input() sizes instead of None."
        )
    known = [n or 0 for n in sizes]
    kind = _element_type(dtype, where)
    limits.take(math.prod(known) * np.dtype(kind).itemsize, f"{where}: {name} of shape {sizes}")
    if initializer is None:
        initializer = "glorot_uniform" if kind.startswith("float") else "zeros"
    function = initializers.get(initializer)
    assert function is not None
    value = initializers.initial_value(function, known, kind, f"{where}: {name}")
    return Variable(value, name=name, path=f"{path}/{name}", trainable=trainable, dtype=kind)


def _element_type(dtype: Any, where: str) -> str:
    with contextlib.suppress(TypeError):
        kind = np.dtype(dtype)
        if kind.kind in "biu":
            return str(kind)
    return settings.checked_float(dtype, f"{where}: dtype")
