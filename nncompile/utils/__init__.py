"""Small helpers, with the names of ``keras.utils``."""

from __future__ import annotations

import random as python_random
import unicodedata
from collections import abc
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .. import random, registry
from ..backend import clear_session, standardize_dtype
from ..config import disable_interactive_logging, enable_interactive_logging, is_interactive_logging_enabled
from ..data import PyDataset, pack_x_y_sample_weight, unpack_x_y_sample_weight
from ..data import PyDataset as Sequence
from ..errors import ModelError, ModelIndexError
from ..ops.symbolic import KerasTensor, node_of
from ..registry import register_keras_serializable

__all__ = [
    "PyDataset",
    "Sequence",
    "clear_session",
    "disable_interactive_logging",
    "enable_interactive_logging",
    "format_table",
    "get_source_inputs",
    "is_interactive_logging_enabled",
    "is_keras_tensor",
    "normalize",
    "pack_x_y_sample_weight",
    "pad_sequences",
    "register_keras_serializable",
    "set_random_seed",
    "standardize_dtype",
    "to_categorical",
    "unpack_x_y_sample_weight",
]

Array = NDArray[Any]


def set_random_seed(seed: int) -> None:
    """Seeds the generators of Python, NumPy and nncompile.

    Args:
        seed: the number that all of them start from.

    Raises:
        ModelError: ``seed`` is not an integer from 0 to 2**32 - 1, the range of NumPy.

    Source: ``keras.utils.set_random_seed``.
    """
    integer = isinstance(seed, (int, np.integer)) and not isinstance(seed, bool)
    if not integer or not 0 <= seed < 2**32:
        raise ModelError(f"set_random_seed: expected an integer from 0 to 2**32 - 1, received {seed!r:.80}.")
    python_random.seed(int(seed))
    np.random.seed(int(seed))  # for scripts that draw from it
    random.set_seed(int(seed))


def to_categorical(x: Any = None, num_classes: int | None = None, **legacy: Any) -> Array:
    """Turns class numbers into rows with a 1 in the column of the class.

    Args:
        x: integers from 0 to ``num_classes - 1``; a last axis of size 1 is dropped.
        num_classes: number of columns; the largest class plus one if None.
        **legacy: ``y`` and ``nb_classes``, the old spellings.

    Returns:
        Array of 0 and 1 with one axis more than ``x``.

    Raises:
        ModelError: a class is not an integer in range.

    Source: ``keras.utils.to_categorical``.
    """
    legacy = registry.rename_keywords("to_categorical", legacy, {"y": "x", "nb_classes": "num_classes"})
    if x is not None and "x" in legacy:
        raise TypeError("to_categorical got both 'x' and 'y'; 'y' is the old name.")
    x, num_classes = legacy.pop("x", x), legacy.pop("num_classes", num_classes)
    registry.check_keywords("to_categorical", legacy, ("x", "num_classes"))
    if x is None:
        raise TypeError("to_categorical() missing 1 required positional argument: 'x'")
    given = np.asarray(x)
    if given.dtype.kind not in "biuf" and given.size:
        raise ModelError(f"to_categorical: expected class numbers, received an array of {given.dtype}.")
    classes = given.astype("int64")
    if given.dtype.kind == "f" and not np.array_equal(classes, given):
        raise ModelError("to_categorical: expected whole numbers, received fractions.")
    if classes.ndim > 1 and classes.shape[-1] == 1:
        classes = classes[..., 0]
    if not num_classes:
        if not classes.size:
            raise ModelError("to_categorical: give num_classes, as there is no class to count.")
        num_classes = int(classes.max()) + 1
    if classes.size and not 0 <= classes.min() <= classes.max() < num_classes:
        raise ModelIndexError(
            f"to_categorical: expected classes from 0 to {num_classes - 1}, "
            f"received {classes.min()} to {classes.max()}."
        )
    return np.asarray(classes[..., None] == np.arange(num_classes)).astype("float64")


def normalize(x: ArrayLike, axis: int | None = -1, order: Any = 2) -> Array:
    """Divides ``x`` by its norm along ``axis``: ``x / norm(x)``; where that is 0, by 1.

    Args:
        x: array of one axis or more.
        axis: which axis; the norm of the whole array if None.
        order: which norm, as of ``numpy.linalg.norm``.

    Returns:
        Numbers in the shape of ``x``.

    Source: ``keras.utils.normalize``.
    """
    array = np.asarray(x)
    if array.dtype.kind != "f":
        array = array.astype("float64")
    norm = np.linalg.norm(array, order, axis, keepdims=True)
    return np.asarray(array / np.where(norm == 0, np.ones_like(norm), norm))


def pad_sequences(
    sequences: Iterable[abc.Sequence[Any]],
    maxlen: int | None = None,
    dtype: Any = "int32",
    padding: str = "pre",
    truncating: str = "pre",
    value: Any = 0.0,
) -> Array:
    """Makes rows of one length of sequences of several.

    Args:
        sequences: lists of numbers, or of arrays of one shape.
        maxlen: the length; that of the longest sequence if None.
        dtype: element type of the result.
        padding: whether ``value`` is put in before (``"pre"``) or after (``"post"``) a short sequence.
        truncating: whether a long one loses its beginning (``"pre"``) or its end (``"post"``).
        value: what is put in.

    Returns:
        Array of shape ``(sequences, maxlen, …)``.

    Raises:
        ModelError: an argument that cannot be right, or elements of several shapes.

    Source: ``keras.utils.pad_sequences``.
    """
    for name, side in (("padding", padding), ("truncating", truncating)):
        if side not in ("pre", "post"):
            raise ModelError(f"pad_sequences: expected {name} to be 'pre' or 'post', received {side!r:.80}.")
    if not hasattr(sequences, "__len__"):
        raise ModelError(f"pad_sequences: expected a list of sequences, received {sequences!r:.80}.")
    rows = list(sequences)
    for row in rows:
        if not hasattr(row, "__len__"):
            raise ModelError(f"pad_sequences: expected sequences, received {row!r:.80} among them.")
    kind = np.dtype(dtype)
    if isinstance(value, str) and kind.kind not in "OSU":
        raise ModelError(
            f"pad_sequences: the value {value!r:.80} does not fit in an array of {kind}. Give dtype=object."
        )
    length = max(map(len, rows), default=0) if maxlen is None else int(maxlen)
    inner = next((np.asarray(row).shape[1:] for row in rows if len(row)), ())
    result = np.full((len(rows), length, *inner), value, dtype=kind)
    for index, row in enumerate(rows):
        kept = np.asarray(row[max(len(row) - length, 0) :] if truncating == "pre" else row[:length], dtype=kind)
        if not len(kept):
            continue
        if kept.shape[1:] != inner:
            raise ModelError(
                f"pad_sequences: expected elements of shape {inner}, received {kept.shape[1:]} in sequence {index}."
            )
        result[index, slice(0, len(kept)) if padding == "post" else slice(length - len(kept), None)] = kept
    return result


def is_keras_tensor(x: Any) -> bool:
    """Returns whether ``x`` is a symbolic tensor: what ``Input`` returns, and what layers make of it.

    Args:
        x: anything.

    Source: ``keras.utils.is_keras_tensor``.
    """
    return isinstance(x, KerasTensor)


def get_source_inputs(tensor: Any) -> Any:
    """Returns the symbolic tensors at the beginning of the calls that made one, each once; of another thing itself.

    Args:
        tensor: as ``Input`` returns it, and as layers return it for one.

    Source: ``keras.utils.get_source_inputs``.
    """
    if not isinstance(tensor, KerasTensor):
        return tensor
    found: dict[int, Any] = {}
    seen, waiting = set(), [tensor]
    while waiting:
        one = waiting.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        node = node_of(one)
        if node is None or node.is_input:
            found[id(one)] = one
        else:
            waiting.extend(reversed(node.inputs))
    return list(found.values())


# ------------------------------------------------------------------ tables of text


def _columns_of(character: str) -> int:
    """How many columns of a terminal a character takes."""
    if unicodedata.combining(character) or unicodedata.category(character) in ("Cc", "Cf", "Me", "Mn"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "FW" else 1


def _length(text: str) -> int:
    return sum(map(_columns_of, text))


def _wrapped(text: str, width: int) -> list[str]:
    """Breaks ``text`` at spaces; a word that is still too long ends in an ellipsis."""
    lines: list[str] = []
    for paragraph in text.split("\n"):
        line = ""
        rest = paragraph
        while rest:
            blank = len(rest) - len(rest.lstrip(" "))
            end = rest.find(" ", blank)
            word = rest if end < 0 else rest[:end]
            if line.strip() and _length(line + word) > width:
                lines.append(line)
                line, rest = "", rest.lstrip(" ")
            else:
                line, rest = line + word, rest[len(word) :]
        lines.append(line)
    return [_cut(line.rstrip(), width) for line in lines]


def _cut(text: str, width: int) -> str:
    if _length(text) <= width:
        return text
    while text and _length(text) > width - 1:
        text = text[:-1]
    return text + "…"


def _aligned(text: str, width: int, alignment: str) -> str:
    blank = max(width - _length(text), 0)
    before = {"left": 0, "right": blank, "center": blank // 2}[alignment]
    return " " * before + text + " " * (blank - before)


_LINES = tuple(map(tuple, ("┏━┳┓", "┃┃┃", "┡━╇┩", "│││", "├─┼┤", "└─┴┘")))
_ASCII_LINES = tuple(map(tuple, ("+-++", "|||", "+-++", "|||", "+-++", "+-++")))


def format_table(
    header: abc.Sequence[str],
    rows: abc.Sequence[abc.Sequence[str]],
    widths: abc.Sequence[int],
    alignments: abc.Sequence[str],
    ascii_only: bool = False,
) -> str:
    """Draws a table with lines, as Keras' summaries have it.

    Args:
        header: text over each column.
        rows: texts of the cells.
        widths: room for the text of each column.
        alignments: ``"left"``, ``"right"`` or ``"center"`` for each column.
        ascii_only: whether to draw it without characters that ASCII has not.

    Returns:
        The lines as one text.
    """
    top, head, under, body, between, bottom = _ASCII_LINES if ascii_only else _LINES

    def rule(ends: abc.Sequence[str]) -> str:
        left, line, cross, right = ends
        return left + cross.join(line * (width + 2) for width in widths) + right

    def cells(texts: abc.Sequence[str], lines: abc.Sequence[str], at_bottom: bool = False) -> list[str]:
        blocks = [_wrapped(text, width) for text, width in zip(texts, widths, strict=True)]
        height = max(map(len, blocks))
        padded = [[""] * (height - len(b)) + b if at_bottom else b + [""] * (height - len(b)) for b in blocks]
        left, middle, right = lines
        return [
            left
            + middle.join(
                f" {_aligned(text, width, alignment)} "
                for text, width, alignment in zip(line, widths, alignments, strict=True)
            )
            + right
            for line in zip(*padded, strict=True)
        ]

    text = [rule(top), *cells(header, head, at_bottom=True), rule(under)]
    for index, row in enumerate(rows):
        text += ([rule(between)] if index else []) + cells(row, body)
    text.append(rule(bottom))
    result = "\n".join(text)
    return result.replace("…", "~") if ascii_only else result
