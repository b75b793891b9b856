"""The arrays of several inputs or outputs, given in order or by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .. import registry, tree
from ..errors import ModelError


def in_row(
    argument: str,
    given: Any,
    structure: Any,
    *,
    where: str,
    of: str,
    partial: bool = False,
    spare: bool = False,
    flat: bool = True,
) -> Any:
    """Returns what was given for a nested structure of inputs or outputs as a list, in the order of the model.

    What was given for a model whose inputs or outputs are not nested any deeper than in one
    list or dict is returned as it is: :func:`parts` takes that.

    Args:
        argument: ``x``, ``y``, ``loss``, ..., for messages.
        given: what the user gave: the same structure, in which lists and tuples are alike, or one
            list with a part for each input or output. What stands at the place of one may itself be nested.
        structure: of the inputs or outputs of the model.
        where: what was called, for messages.
        of: ``input`` or ``output``, for messages.
        partial: whether parts may be missing in dicts, or be None for several at a time; they are None then.
        spare: whether a dict may have other names as well, as Keras allows for inputs.
        flat: whether one list of all is taken, too.

    Raises:
        ModelError: the structure is another one.
    """
    if not is_deep(structure) or not tree.is_nested(given):
        return given
    count = len(tree.flatten(structure))
    if flat and isinstance(given, (list, tuple)) and len(given) == count and not any(map(tree.is_nested, given)):
        return list(given)

    def walk(expected: Any, found: Any, path: str) -> list[Any]:
        if not tree.is_nested(expected):
            return [found]
        if partial and found is None:
            return [None] * len(tree.flatten(expected))
        keyed = isinstance(expected, Mapping)
        if keyed != isinstance(found, Mapping) or not tree.is_nested(found):
            kind = f"a dict of {_keys(expected)}" if keyed else f"a list of {len(expected)}"
            raise _other(path, f"expected {kind}, received {_kind(found)}")
        if keyed:
            missing = [key for key in expected if key not in found]
            if missing and not partial:
                raise _other(path, f"expected {_keys(expected)}, received {_keys(found)}: {missing[0]!r} is missing")
            unknown = [key for key in found if key not in expected]
            if unknown and not spare:
                raise _other(path, f"expected {_keys(expected)}, received {_keys(found)}: there is no {unknown[0]!r}")
        elif len(found) != len(expected):
            raise _other(path, f"expected {len(expected)}, received {len(found)}")
        row = []
        for place, part in tree.children(expected):
            inner = found.get(place) if keyed else found[place]
            row += walk(part, inner, f"{path}[{place!r}]")
        return row

    def _other(path: str, what: str) -> ModelError:
        shown = str(tree.map_structure(lambda _: ..., structure)).replace("Ellipsis", "…")
        return ModelError(
            f"{where}: {path}: {what}. Give {argument} in the structure of the model's {of}s, {shown}"
            f"{f', or a list of {count}' if flat else ''}."
        )

    return walk(structure, given, argument)


def is_deep(structure: Any) -> bool:
    """Whether a list or dict has lists or dicts inside."""
    if not tree.is_nested(structure):
        return False
    return any(tree.is_nested(part) for _, part in tree.children(structure))


def _kind(given: Any) -> str:
    if isinstance(given, Mapping):
        return f"a dict of {_keys(given)}"
    return f"a {type(given).__name__} of {len(given)}" if isinstance(given, (list, tuple)) else type(given).__name__


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
