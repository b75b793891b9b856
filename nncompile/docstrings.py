"""Docstrings of functions that are alike: what a family of them takes and returns is said once.

``help()`` of each says all of it. A function's own docstring has what it does, and the
arguments that are its own; :func:`described` adds those that it shares, in the order of the
signature, and what is returned, unless it says so itself.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import CodeType
from typing import Any, TypeVar

F = TypeVar("F", bound=Callable[..., Any])

_SECTIONS = ("Args:", "Attributes:", "Returns:", "Raises:", "Source:")
"""The order of sections; text that is none of them stands ahead."""


@dataclass(frozen=True)
class Family:
    """What functions have in common.

    Attributes:
        arguments: by name, as a section of arguments says it.
        returns: what is returned.
        raises: an error and when it is raised.
    """

    arguments: Mapping[str, str]
    returns: str = ""
    raises: str = ""


_ALONE = Family({})


def described(family: Family) -> Callable[[F], F]:
    """Makes a decorator that adds to a docstring what is said of all of a family."""

    def decorate(function: F) -> F:
        if function.__doc__:
            function.__doc__ = completed(function.__doc__, _parameters(function), family)
        return function

    return decorate


def _parameters(function: Callable[..., Any]) -> Sequence[str]:
    code: CodeType = inspect.unwrap(function).__code__  # much less work than a signature, for hundreds of functions
    return code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]


def family_of(text: str) -> Family:
    """Returns what a docstring says of its arguments, for those that share them."""
    sections = inspect.cleandoc(text).split("\n\n")
    section = next((s for s in sections if s.startswith("Args:")), "")  # none under python -OO
    return Family({name: entry.partition(": ")[2] for name, entry in _arguments(section).items()})


def completed(
    text: str, names: Iterable[str] = (), family: Family = _ALONE, source: str = "", without: Iterable[str] = ()
) -> str:
    """Returns a docstring with what it does not say of some arguments, of the result, and of its source.

    Args:
        text: the docstring.
        names: of the arguments, in their order, with any stars.
        family: what is said of those that it does not name; of others nothing.
        source: what the function is named after.
        without: arguments to leave out, as they stand for others.
    """
    paragraphs = (inspect.cleandoc(text) if "\n" in text else text).split("\n\n")
    found: dict[str, str] = {}
    rest = []
    for paragraph in paragraphs:
        head = paragraph.partition(" " if paragraph.startswith("Source:") else "\n")[0]
        if head in _SECTIONS:
            found[head] = paragraph
        else:
            rest.append(paragraph)
    said = _arguments(found.get("Args:", ""))
    for name in without:
        said.pop(name, None)
    entries = [said.pop(name, "") or _entry(name, family) for name in names]
    if any(entries):
        found["Args:"] = "\n".join(entry for entry in ("Args:", *entries, *said.values()) if entry)
    if family.returns and not text.startswith("Returns"):
        found.setdefault("Returns:", f"Returns:\n    {family.returns}")
    if family.raises:
        raised = found.get("Raises:", "Raises:")
        if family.raises.partition(":")[0] not in raised:
            found["Raises:"] = f"{raised}\n    {family.raises}"
    if source:
        found.setdefault("Source:", f"Source: {source}.")
    return "\n\n".join((*rest, *(found[head] for head in _SECTIONS if head in found)))


def _arguments(section: str) -> dict[str, str]:
    """The entries of a section of arguments, by name."""
    entries: dict[str, str] = {}
    name = ""
    for line in section.split("\n")[1:]:
        if name and line.startswith("     "):
            entries[name] += f"\n{line}"
        else:
            name = line.partition(":")[0].strip()
            entries[name] = line
    return entries


def _entry(name: str, family: Family) -> str:
    said = family.arguments.get(name)
    return "" if said is None else f"    {name}: {said}"


# ------------------------------------------------------------------ families of operations

_NUMBERS = "numbers of any shape: an array, or values of a formula."
_BROADCAST = "as ``x1``; sizes of 1 are broadcast to those of the other."
_EACH = {"x": _NUMBERS, "x1": _NUMBERS, "x2": _BROADCAST}
_AXES = (
    "one, several, or None for all. In a formula not that of the batch; sums and means in a loss are also over\n"
    "        all, or all but the last."
)

ARRAYS = Family({"x": "array of any shape."}, raises="UnsupportedError: in a formula.")
"""What cannot be in a formula."""
REDUCTION = Family(
    {
        "x": _NUMBERS,
        "axis": _AXES,
        "keepdims": "whether these axes stay, of size 1.",
        "dtype": "type of the result; that of ``x`` if None.",
    },
    "The results in the shape of ``x`` without these axes, or with size 1 there.",
)
"""What finds one value for all along some axes."""


def elementwise(function: F) -> F:
    """Adds to a docstring what is said of all functions that work number by number."""
    where = "in the shape that both have together" if "x2" in _parameters(function) else "in the shape of ``x``"
    what = "A truth value" if (function.__doc__ or "").startswith("Whether") else "A number"
    return described(Family(_EACH, f"{what} for each, {where}."))(function)
