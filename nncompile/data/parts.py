"""The arrays of several inputs or outputs, given in order or by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .. import registry
from ..errors import ModelError


def parts(
    argument: str, given: Any, names: Sequence[str | None], *, where: str, of: str, spare: bool = False
) -> list[Any]:
    """Returns what was given for each input, or each output, in the order of the model.

    A list or tuple has one part for each, a dict has them by name. For a single input or
    output the array itself may be given, or a list of the one array.

    Args:
        argument: ``x``, ``y`` or ``sample_weight``, for messages.
        given: what the user gave.
        names: of the inputs or outputs, in order; None for one that has no name.
        where: what was called, for messages.
        of: ``input`` or ``output``, for messages.
        spare: whether a dict may have other names as well, as Keras allows for inputs.

    Raises:
        ModelError: a part is missing or too many.
    """
    count = len(names)
    if isinstance(given, Mapping):
        return _by_name(argument, given, names, where, of, spare)
    if isinstance(given, (list, tuple)) and (count > 1 or _wraps_one(given)):
        if len(given) == count:
            return list(given)
        raise ModelError(
            f"{where}: {argument}: expected {_several(names, of)}, received a {type(given).__name__} of {len(given)}. "
            f"Give one array for each {of}, in that order or by name."
        )
    if count == 1:
        return [given]
    raise ModelError(
        f"{where}: {argument}: expected {_several(names, of)}, received one {type(given).__name__}. "
        f"Give a list of {count} arrays, or a dict of them by name."
    )


def _wraps_one(given: Sequence[Any]) -> bool:
    """Whether this is a list around one array, and not the rows of one."""
    return len(given) == 1 and hasattr(given[0], "shape") and len(given[0].shape) > 0


def _by_name(
    argument: str, given: Mapping[Any, Any], names: Sequence[str | None], where: str, of: str, spare: bool
) -> list[Any]:
    known = [name for name in names if name is not None]
    if len(known) < len(names):
        raise ModelError(
            f"{where}: {argument}: expected a list in the order of the {of}s, which have no names, received a dict."
        )
    missing = [name for name in known if name not in given]
    if missing:
        hint = registry.nearest(missing[0], [str(key) for key in given if key not in known])
        raise ModelError(
            f"{where}: {argument}: expected {_several(names, of)} by name, received {_keys(given)}: "
            f"{missing[0]!r} is missing.{hint}"
        )
    unknown = [key for key in given if key not in known]
    if unknown and not spare:
        raise ModelError(
            f"{where}: {argument}: expected {_several(names, of)} by name, received {_keys(given)}: "
            f"there is no {of} {unknown[0]!r}."
        )
    return [given[name] for name in known]


def _several(names: Sequence[str | None], of: str) -> str:
    if None in names:
        return f"{len(names)} {of}s"
    return f"the {of}{'' if len(names) == 1 else 's'} {', '.join(map(repr, names))}"


def _keys(given: Mapping[Any, Any]) -> str:
    return ", ".join(repr(key) for key in given) or "an empty dict"
