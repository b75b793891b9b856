"""Small helpers, with the names of ``keras.utils``."""

from __future__ import annotations

import random as python_random
import unicodedata
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import random, registry
from .backend import clear_session
from .errors import ModelError
from .registry import register_keras_serializable

__all__ = [
    "clear_session",
    "format_table",
    "normalize",
    "register_keras_serializable",
    "set_random_seed",
    "to_categorical",
]

Array = NDArray[Any]

_SAVING = (
    "CustomObjectScope",
    "custom_object_scope",
    "deserialize_keras_object",
    "get_custom_objects",
    "get_registered_name",
    "get_registered_object",
    "serialize_keras_object",
)


def set_random_seed(seed: int) -> None:
    """Seeds the generators of Python, NumPy and nncompile.

    Raises:
        ModelError: ``seed`` is not an integer from 0 to 2**32 - 1, the range of NumPy.
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
        raise ModelError(
            f"to_categorical: expected classes from 0 to {num_classes - 1}, "
            f"received {classes.min()} to {classes.max()}."
        )
    return np.asarray(classes[..., None] == np.arange(num_classes)).astype("float64")


def normalize(x: ArrayLike, axis: int | None = -1, order: Any = 2) -> Array:
    """Divides ``x`` by its norm along ``axis``; where that is 0, by 1.

    Args:
        x: array of one axis or more.
        axis: which axis; the norm of the whole array if None.
        order: which norm, as of ``numpy.linalg.norm``.
    """
    array = np.asarray(x)
    if array.dtype.kind != "f":
        array = array.astype("float64")
    norm = np.linalg.norm(array, order, axis, keepdims=True)
    return np.asarray(array / np.where(norm == 0, np.ones_like(norm), norm))


_PLOTTING = ("model_to_dot", "plot_model")


def __getattr__(name: str) -> Any:
    """Looks up what ``keras.utils`` shares with ``keras.saving``, and what draws, when it is first asked for."""
    if name in _PLOTTING:
        from .models import plotting

        return getattr(plotting, name)
    if name in _SAVING:
        from . import saving

        return getattr(saving, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


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
    header: Sequence[str],
    rows: Sequence[Sequence[str]],
    widths: Sequence[int],
    alignments: Sequence[str],
    ascii_only: bool = False,
) -> str:
    """Draws a table with lines, as Keras' summaries have it.

    Args:
        header: text over each column.
        rows: texts of the cells.
        widths: room for the text of each column.
        alignments: ``"left"``, ``"right"`` or ``"center"`` for each column.
        ascii_only: whether to draw it without characters that ASCII has not.
    """
    top, head, under, body, between, bottom = _ASCII_LINES if ascii_only else _LINES

    def rule(ends: Sequence[str]) -> str:
        left, line, cross, right = ends
        return left + cross.join(line * (width + 2) for width in widths) + right

    def cells(texts: Sequence[str], lines: Sequence[str], at_bottom: bool = False) -> list[str]:
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
