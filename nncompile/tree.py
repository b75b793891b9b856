"""Nested structures of values: lists, tuples and dictionaries, with the names of ``keras.tree``.

A model may take and return its tensors in any of these. The values of a dictionary are
counted in the order of its sorted keys, as in Keras, those of an OrderedDict in its own.

Source: ``keras.tree``.
"""

from __future__ import annotations

import itertools
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from .errors import ModelError

__all__ = [
    "assert_same_structure",
    "flatten",
    "flatten_with_path",
    "is_nested",
    "lists_to_tuples",
    "map_shape_structure",
    "map_structure",
    "pack_sequence_as",
]

Path = tuple[Any, ...]


def is_nested(structure: Any) -> bool:
    """Returns whether it is a list, a tuple or a dictionary.

    Args:
        structure: anything.

    Source: ``keras.tree.is_nested``.
    """
    return isinstance(structure, (list, tuple, Mapping))


def children(structure: Any) -> Iterable[tuple[Any, Any]]:
    """The parts of a structure, each with its key or position, in the order in which they are counted."""
    if not isinstance(structure, Mapping):
        return enumerate(structure)
    if isinstance(structure, OrderedDict):
        return list(structure.items())
    try:
        return sorted(structure.items(), key=lambda item: item[0])
    except TypeError:  # keys of several kinds
        return sorted(structure.items(), key=lambda item: (type(item[0]).__name__, str(item[0])))


def _like(structure: Any, items: list[tuple[Any, Any]]) -> Any:
    """A structure of the same kind with other parts."""
    if isinstance(structure, Mapping):
        parts = dict(items)
        ordered = {key: parts[key] for key in structure}
        return OrderedDict(ordered) if isinstance(structure, OrderedDict) else ordered
    values = [value for _, value in items]
    if isinstance(structure, list):
        return values
    if hasattr(structure, "_fields"):  # a named tuple
        return type(structure)(*values)
    return tuple(values)


def counted_order(structure: Any) -> Any:
    """The structure with the keys of its dictionaries in the order in which they are counted."""
    if not is_nested(structure):
        return structure
    items = [(key, counted_order(part)) for key, part in children(structure)]
    return dict(items) if type(structure) is dict else _like(structure, items)


def flatten_with_path(structure: Any) -> list[tuple[Path, Any]]:
    """Returns the values in order, each with the keys and positions that lead to it.

    Args:
        structure: lists, tuples and dictionaries in each other.

    Source: ``keras.tree.flatten_with_path``.
    """
    if not is_nested(structure):
        return [((), structure)]
    return [((key, *path), leaf) for key, part in children(structure) for path, leaf in flatten_with_path(part)]


def flatten(structure: Any) -> list[Any]:
    """Returns the values in order; a value alone as a list of it.

    Args:
        structure: lists, tuples and dictionaries in each other.

    Source: ``keras.tree.flatten``.
    """
    if not is_nested(structure):
        return [structure]
    return [leaf for _, part in children(structure) for leaf in flatten(part)]


def map_structure(function: Callable[..., Any], *structures: Any, none_is_leaf: bool = True) -> Any:
    """Returns a structure of what ``function`` makes of the values at each place.

    Args:
        function: takes a value of each structure.
        *structures: one or several of the same structure.
        none_is_leaf: whether None is a value; if not, it stays None.

    Raises:
        ModelError: the structures differ.

    Source: ``keras.tree.map_structure``.
    """
    first, *others = structures
    if not is_nested(first):
        if any(map(is_nested, others)):
            raise ModelError(f"tree: expected structures that are alike, received {structures!r:.160}.")
        return first if first is None and not none_is_leaf else function(*structures)
    for other in others:
        _check_alike(first, other)
    rest = [dict(children(other)) for other in others]
    made = [
        (key, map_structure(function, part, *(parts[key] for parts in rest), none_is_leaf=none_is_leaf))
        for key, part in children(first)
    ]
    return _like(first, made)


def pack_sequence_as(structure: Any, flat_sequence: Iterable[Any]) -> Any:
    """Puts a flat list of values into a structure, as :func:`flatten` took them out of one.

    Args:
        structure: has as many places.
        flat_sequence: the values in order.

    Returns:
        The structure with these values.

    Raises:
        ModelError: there are more or fewer values than places.

    Source: ``keras.tree.pack_sequence_as``.
    """
    flat = list(flat_sequence)
    places = len(flatten(structure))
    if len(flat) != places:
        raise ModelError(f"tree: expected {places} values for the structure, received {len(flat)}.")

    def packed(part: Any, values: Iterator[Any]) -> Any:
        if not is_nested(part):
            return next(values)
        return _like(part, [(key, packed(inner, values)) for key, inner in children(part)])

    return packed(structure, iter(flat))


def _kind(structure: Any) -> Any:
    if isinstance(structure, Mapping):
        return dict
    return next((kind for kind in (list, tuple) if isinstance(structure, kind)), None)


def _check_alike(a: Any, b: Any) -> None:
    same = _kind(a) is _kind(b) and (not is_nested(a) or [k for k, _ in children(a)] == [k for k, _ in children(b)])
    if not same:
        raise ModelError(f"tree: expected structures that are alike, received {a!r:.80} and {b!r:.80}.")


def assert_same_structure(a: Any, b: Any) -> None:
    """Raises ModelError unless two structures differ in nothing but their values.

    Args:
        a: a structure.
        b: another.

    Raises:
        ModelError: they differ.

    Source: ``keras.tree.assert_same_structure``.
    """
    _check_alike(a, b)
    if is_nested(a):
        for (_, x), (_, y) in itertools.zip_longest(children(a), children(b)):
            assert_same_structure(x, y)


def lists_to_tuples(structure: Any) -> Any:
    """Returns the structure with tuples in the place of lists.

    Args:
        structure: lists, tuples and dictionaries in each other.

    Source: ``keras.tree.lists_to_tuples``.
    """
    if not is_nested(structure):
        return structure
    items = [(key, lists_to_tuples(part)) for key, part in children(structure)]
    return tuple(value for _, value in items) if isinstance(structure, list) else _like(structure, items)


def is_shape(structure: Any) -> bool:
    """Whether a list or tuple is a shape, of integers and None, and not a structure of shapes."""
    return isinstance(structure, (list, tuple)) and all(
        size is None or (isinstance(size, (int, np.integer)) and not isinstance(size, bool)) for size in structure
    )


def map_shape_structure(function: Callable[[Any], Any], structure: Any) -> Any:
    """As :func:`map_structure`, for a structure of shapes: tuples or lists of integers and None are its values.

    Args:
        function: takes a shape.
        structure: of shapes.

    Returns:
        A structure of what the function returned.

    Source: ``keras.tree.map_shape_structure``.
    """
    if is_shape(structure) or not is_nested(structure):
        return function(structure)
    return _like(structure, [(key, map_shape_structure(function, part)) for key, part in children(structure)])
