"""How much each sample counts: weights given sample by sample, and weights of classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ModelError
from .arrays import Shape, as_rows
from .parts import parts

Array = NDArray[Any]

_CHUNK = 1 << 18  # rows that are looked at in one go


def sample_weights(
    given: Any, y: Any, names: Sequence[str | None], shapes: Sequence[Shape], rows: int, *, where: str
) -> list[Array | None]:
    """Returns the weights of the samples for each output: a number for each row of each sample.

    One array serves all outputs. Several are given as y is: a list with a list, a dict
    with a dict; None in it is for an output without. An output of several rows, such as
    (steps, columns), takes one number for each sample or one for each of its rows.

    Args:
        given: what the user gave; None for no weights.
        y: what the user gave as targets, whose structure the weights must have.
        names: of the outputs.
        shapes: of the outputs, batch included.
        rows: how many samples there are.
        where: what was called, for messages.

    Raises:
        ModelError: another structure, another number of samples, or something that is not numbers.
    """
    if given is None:
        return [None] * len(names)
    several = isinstance(given, Mapping) or (isinstance(given, (list, tuple)) and _holds_arrays(given))
    if not several:
        weight = as_rows("sample_weight", given, where=where)
        if len(names) > 1 and weight.shape[1:] not in ((), (1,)):
            raise ModelError(
                f"{where}: sample_weight: expected one number for each sample, as it is for all outputs, "
                f"received shape {weight.shape}. Give a list with one array for each output."
            )
        return [_one(weight, shape, rows, where, "sample_weight") for shape in shapes]
    like = (isinstance(y, Mapping), isinstance(y, (list, tuple))) == (
        isinstance(given, Mapping),
        isinstance(given, (list, tuple)),
    )
    if not like and not (len(names) == 1 and len(given) == 1):
        raise ModelError(
            f"{where}: sample_weight: expected the structure of y, a {_structure(y)}, received a {_structure(given)}. "
            "Give one array for each output as y has them, or one array for all."
        )
    found = parts("sample_weight", given, names, where=where, of="output")
    made: list[Array | None] = []
    for part, name, shape in zip(found, names, shapes, strict=True):
        argument = f"sample_weight[{name!r}]" if len(names) > 1 else "sample_weight"
        made.append(None if part is None else _one(as_rows(argument, part, where=where), shape, rows, where, argument))
    return made


def _holds_arrays(given: Sequence[Any]) -> bool:
    return any(part is None or (hasattr(part, "shape") and len(part.shape)) for part in given)


def _structure(value: Any) -> str:
    if isinstance(value, Mapping):
        return "dict"
    return f"list of {len(value)}" if isinstance(value, (list, tuple)) else "single array"


def _one(array: Array, shape: Shape, rows: int, where: str, name: str) -> Array:
    """Returns weights for an output of a shape: a number for each of its rows."""
    if len(array) != rows:
        raise ModelError(
            f"{where}: {name}: expected as many weights as rows in x, which has {rows}, received {len(array)}. "
            "Give one number for each row."
        )
    inner = tuple(n or 1 for n in shape[1:-1])
    if array.shape[1:] in (inner, (*inner, 1)):
        return array.reshape(rows, *inner)
    if array.shape[1:] in ((), (1,) * len(inner), (1,) * (len(inner) + 1)):
        return np.broadcast_to(array.reshape(rows, *(1 for _ in inner)), (rows, *inner))
    expected = " or ".join(map(str, dict.fromkeys(((rows,), (rows, *inner)))))
    raise ModelError(
        f"{where}: {name}: expected one number for each row of the output, of shape {expected}, "
        f"received shape {array.shape}."
    )


def check_class_weight(given: Any, *, where: str) -> dict[int, float]:
    """Checks the weights of classes.

    Raises:
        ModelError: not a dict of whole numbers to numbers.
    """
    if not isinstance(given, Mapping):
        raise ModelError(
            f"{where}: class_weight: expected a dict of class numbers to weights, received {given!r:.80}. "
            "Write for example class_weight={0: 1.0, 1: 5.0}."
        )
    checked = {}
    for key, value in given.items():
        if isinstance(key, bool) or not isinstance(key, (int, float, np.integer, np.floating)) or key != int(key):
            raise ModelError(f"{where}: class_weight: expected class numbers as keys, received {key!r:.80}.")
        if isinstance(value, bool) or not isinstance(value, (int, float, np.integer, np.floating)):
            raise ModelError(
                f"{where}: class_weight: expected a number as the weight of class {key}, received {value!r:.80}."
            )
        checked[int(key)] = float(value)
    return checked


def class_weights(y: Array, weights: Mapping[int, float], *, where: str) -> Array:
    """Returns for each row of targets the weight of its class, 1 for classes that have none.

    The class is the label, rounded, or the place of the largest number of a row.

    Args:
        y: labels of shape (rows,) or (rows, 1), or rows of one number for each class.
        weights: of classes, as from :func:`check_class_weight`.
        where: what was called, for messages.

    Raises:
        ModelError: there is more than one class for a row.
    """
    if y.ndim > 2:
        raise ModelError(
            f"{where}: class_weight: expected one class for each row of y, received y of shape {y.shape}. "
            "Give sample_weight instead."
        )
    made = np.ones(len(y), np.float32)
    if not weights:
        return made
    keys = np.array(sorted(weights))
    values = np.array([weights[int(key)] for key in keys], np.float32)
    for start in range(0, len(y), _CHUNK):
        chunk = np.asarray(y[start : start + _CHUNK])
        if chunk.ndim > 1:
            chunk = chunk.argmax(axis=-1) if chunk.shape[-1] != 1 else chunk[:, 0]
        labels = np.round(chunk).astype(np.int64) if chunk.dtype.kind == "f" else chunk.astype(np.int64)
        place = np.minimum(np.searchsorted(keys, labels), len(keys) - 1)
        made[start : start + _CHUNK] = np.where(keys[place] == labels, values[place], np.float32(1))
    return made
