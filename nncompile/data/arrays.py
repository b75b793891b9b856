"""Checks of the arrays that a user gives, before any C reads them.

What fits is used as it is: nothing is copied, a memory-mapped file stays on the disk,
and the C that gathers the rows of a batch converts them (:data:`TYPE_CODES`). Whatever
does not fit is reported here, as C would take it for numbers of another kind.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from .. import registry
from ..errors import ModelError

Array = NDArray[Any]
Kind = Literal["labels", "dense"]
Shape = Sequence[int | None]

TYPE_CODES: dict[str, int] = {
    "bool": 0,
    "uint8": 0,
    "int8": 1,
    "uint16": 2,
    "int16": 3,
    "uint32": 4,
    "int32": 5,
    "uint64": 6,
    "int64": 7,
    "float32": 8,
    "float64": 9,
}
"""The element types of data that C reads, by their NumPy names."""

_TYPES = frozenset(map(np.dtype, TYPE_CODES))  # byte order included
_CHUNK = 1 << 20  # labels that are looked at in one go


def as_rows(name: str, data: Any, *, where: str) -> Array:
    """Returns ``data`` as an array that C can read, without a copy where possible.

    Arrays of bool, integers, float32 and float64 that are contiguous are returned as they
    are. Others are converted: lists and what has ``__array__`` or columns, other orders of
    axes or bytes, float16 and longdouble (both to float32). As in Keras ``[x]`` is ``x``
    if that is an array of rows.

    Args:
        name: ``x``, ``y``, ... for messages.
        data: the rows, along the first axis.
        where: what was called, for messages.

    Raises:
        ModelError: not an array of numbers, or a single number.
    """
    if type(data) is np.ndarray and data.dtype in _TYPES and data.ndim:  # what nearly all give
        flags = data.flags
        if flags.c_contiguous and flags.aligned:
            return data
    _refuse_streams(name, data, where)
    if isinstance(data, (list, tuple)) and len(data) == 1 and getattr(data[0], "ndim", 0) >= 2:
        data = data[0]
    if hasattr(data, "requires_grad"):  # a tensor of torch, which may not say __array__ then
        data = data.detach().cpu()
    if data is None:
        raise ModelError(f"{where}: {name}: expected an array, received None.")
    if isinstance(data, np.ma.MaskedArray):
        raise ModelError(
            f"{where}: {name}: expected numbers everywhere, received a masked array. "
            "Fill it with .filled(value) or leave the rows out."
        )
    try:
        array = data if isinstance(data, np.memmap) else np.asarray(_columns(data))
    except Exception as error:  # any library's __array__ may be called here
        raise ModelError(
            f"{where}: {name}: expected an array, received {type(data).__name__}, of which NumPy makes none: "
            f"{error}. Give rows that all have the same shape, as a NumPy array."
        ) from error
    if array.dtype.kind not in "buif":
        raise _type_error(name, data, array, where)
    if array.ndim == 0:
        raise ModelError(
            f"{where}: {name}: expected rows along the first axis, received the number {data!r:.80}. "
            f"For one row use [{data!r:.80}]."
        )
    dtype = array.dtype.newbyteorder("=")
    if dtype.name not in TYPE_CODES:  # float16 and longdouble; the rest is in the table
        dtype = np.dtype(np.float32)
    if array.dtype == dtype and array.flags.c_contiguous and array.flags.aligned:
        return array
    return np.array(array, dtype=dtype, order="C")


def _columns(data: Any) -> Any:
    """Returns a table as an array of its columns if that is all it lets one have, or if they have several types."""
    names = getattr(data, "columns", None)
    if isinstance(data, np.ndarray) or not isinstance(names, Iterable):
        return data
    if hasattr(data, "__array__") and len({getattr(data[name], "dtype", None) for name in names}) < 2:
        return data
    columns = [np.asarray(data[name]) for name in names]
    if any(column.dtype.kind not in "buif" for column in columns) or not columns:
        return data if hasattr(data, "__array__") else np.array(columns, dtype=object).T
    return np.stack(columns, axis=1)


def _refuse_streams(name: str, data: Any, where: str) -> None:
    """Refuses what is no array where only an array can be meant."""
    what = ""
    if inspect.isgeneratorfunction(data):
        raise ModelError(
            f"{where}: {name}: expected an array, received the function {data.__name__!r}. "
            f"Call it: {data.__name__}() gives the batches."
        )
    if inspect.isgenerator(data) or isinstance(data, Iterator):
        what = "a generator"
    elif isinstance(data, Mapping):
        what = f"a dict of {', '.join(map(repr, list(data)[:4]))}"
    if what:
        raise ModelError(f"{where}: {name}: expected an array, received {what}. Give an array of numbers.")


def _type_error(name: str, data: Any, array: Array, where: str) -> ModelError:
    kind = array.dtype.kind
    if kind in "SUT":
        hint = "Number the words, for example with numpy.unique(..., return_inverse=True)."
    elif kind in "mM":
        hint = "Give times as numbers, for example .astype('int64')."
    elif kind == "c":
        hint = "Give the real and the imaginary part as two columns."
    elif hasattr(data, "toarray"):
        hint = "Give .toarray(): sparse matrices are not supported."
    elif kind == "O" and array.ndim == 0:
        hint = "Give a NumPy array."
    else:
        hint = "Convert it with .astype('float32'); columns of text or missing values need numbers first."
    given = f"{type(data).__name__} of dtype {array.dtype}"
    return ModelError(f"{where}: {name}: expected an array of numbers, received {given}. {hint}")


def check_pair(x: Array, y: Array, *, where: str = "fit", x_name: str = "x", y_name: str = "y") -> None:
    """Checks that ``x`` and ``y`` have the same number of rows, and some.

    Raises:
        ModelError: they have not.
    """
    check_rows([(x_name, x)], where=where)
    if not len(y):
        check_rows([(y_name, y)], where=where)
    if len(x) != len(y):
        raise ModelError(
            f"{where}: expected as many rows in {y_name} as in {x_name}, which has {len(x)}, "
            f"received {len(y)}. Give the target of each row."
        )


def check_rows(arrays: Sequence[tuple[str, Array]], *, where: str) -> None:
    """Checks that some inputs have the same number of rows, at least one.

    Args:
        arrays: each with its name.
        where: what was called, for messages.

    Raises:
        ModelError: they have not.
    """
    first, rows = arrays[0][0], len(arrays[0][1])
    for name, array in arrays:
        if not len(array):
            raise ModelError(
                f"{where}: {name}: expected at least one row, received shape {array.shape}. Give some data."
            )
        if len(array) != rows:
            raise ModelError(
                f"{where}: expected as many rows in {name} as in {first}, which has {rows}, received {len(array)}. "
                "All inputs have one row for each sample."
            )


def check_inputs(x: Array, input_shape: Shape, layer_name: str) -> Array:
    """Returns ``x`` in the shape of a model's input, as a view.

    As in Keras one number per row is taken for a row of one, and a last axis of length 1
    too many is dropped.

    Args:
        x: rows.
        input_shape: the model's, with the rows as its first entry; None fits any length.
        layer_name: the layer that receives them, for messages: ``dense_1 (Dense)``.

    Raises:
        ModelError: the shape is another one.
    """
    inner = tuple(input_shape[1:])
    if _fits(x.shape[1:], inner):
        return x
    if x.ndim == len(inner) and inner[-1:] == (1,) and _fits(x.shape[1:], inner[:-1]):
        return x.reshape(*x.shape, 1)
    if x.ndim > 1 and x.shape[-1] == 1 and _fits(x.shape[1:-1], inner):
        return x.reshape(x.shape[:-1])
    raise ModelError(f"{layer_name}: expected {_batch(inner)}, received {_batch(x.shape[1:])}. {_shape_hint(x, inner)}")


def _fits(shape: Sequence[int], expected: Shape) -> bool:
    return len(shape) == len(expected) and all(b in (None, a) for a, b in zip(shape, expected, strict=True))


def _batch(shape: Shape) -> str:
    return f"({', '.join(map(str, ('batch', *shape)))}{'' if shape else ','})"


def _shape_hint(x: Array, inner: tuple[int | None, ...]) -> str:
    """What to do about ``x`` where rows of shape ``inner`` are expected."""
    if _fits(x.shape, inner):
        return "This is one row: use x[None]."
    known = [length for length in inner if length is not None]
    if len(known) == len(inner) and math.prod(x.shape[1:]) == math.prod(known):
        if len(inner) == 1:
            return f"Put Flatten() before it, or use x.reshape(len(x), {inner[0]})."
        return f"Use x.reshape(len(x), {', '.join(map(str, inner))})."
    if _fits(x.shape[:1], inner) and x.ndim == 2:
        return "Rows are along the first axis: use x.T."
    return "Give rows of that shape, or change the shape of the input."


def prepare_targets(
    y: Array,
    output_shape: Shape,
    loss: Any,
    *,
    where: str = "fit",
    name: str = "y",
    rows: Sequence[int | None] | None = None,
) -> tuple[Array, Kind]:
    """Returns ``y`` in the form that the loss takes, as a view, and which form that is.

    ``"labels"`` is one number per row of outputs, of shape (n,), or (n, ...) without the last
    axis of outputs that have several; ``"dense"`` has the shape of the outputs. Labels are
    for sparse_categorical_crossentropy and other losses with ``sparse_labels``, and for a
    loss of the user's own, or none, over several outputs if ``y`` has one number per row. The labels of the
    former are checked, as they count columns: whole numbers, at least 0 and below the number
    of outputs.

    Args:
        y: targets, as from :func:`as_rows`.
        output_shape: the model's, with the rows as its first entry.
        loss: what ``compile`` was given: a name, a function or a Loss.
        where: what was called, for messages.
        name: name of the argument, for messages.
        rows: shape of the labels of a sample; that of its outputs without the last axis if None.

    Raises:
        ModelError: shape or numbers do not fit the model and its loss.
    """
    inner = tuple(output_shape[1:])
    outputs = inner[-1] if inner and inner[-1] is not None else 1
    shape = y.shape[1:]
    single = shape in ((), (1,))
    loss_name = _loss_name(loss)
    if loss_name in ("crossentropy", "ce") and single and outputs > 1:
        loss_name = "sparse_categorical_crossentropy"
    if loss_name == "sparse_categorical_crossentropy" or getattr(loss, "sparse_labels", False):
        rows = inner[:-1] if rows is None else tuple(rows)
        if len(rows) == len(inner) - 1 and None not in inner:
            outputs = math.prod(n or 1 for n in inner) // max(math.prod(n or 1 for n in rows), 1)
        if not (_fits(shape, rows) or (shape[-1:] == (1,) and _fits(shape[:-1], rows))):
            hint = "Give one label per row."
            if shape == inner:
                hint = "This looks one-hot: use categorical_crossentropy, or y.argmax(axis=-1)."
            raise ModelError(f"{where}: {name}: {loss_name} expected {_batch(rows)}, received {_batch(shape)}. {hint}")
        labels = y.reshape(y.shape[: 1 + len(rows)])
        _check_labels(labels, outputs, _ignored_class(loss), f"{where}: {name}")
        return labels, "labels"
    if _fits(shape, inner):
        return y, "dense"
    if shape == () and inner == (1,):
        return y.reshape(len(y), 1), "dense"
    if shape[-1:] == (1,) and _fits(shape[:-1], inner):
        return y.reshape(y.shape[:-1]), "dense"
    if single and len(inner) == 1 and (loss is None or _is_own(loss)):
        return y.reshape(len(y)), "labels"
    raise ModelError(
        f"{where}: {name}: {loss_name or 'the loss'} expected {_batch(inner)}, as the model's output, "
        f"received {_batch(shape)}. {_target_hint(shape, inner, loss_name)}"
    )


def _target_hint(shape: tuple[int, ...], inner: tuple[int | None, ...], loss_name: str) -> str:
    if shape in ((), (1,)) and len(inner) == 1:
        if "categorical" in loss_name:
            return f"For labels use sparse_categorical_crossentropy, or to_categorical(y, {inner[0]})."
        if "binary" in loss_name and inner == (2,):
            return "For labels 0 and 1 end the model with Dense(1), or use sparse_categorical_crossentropy."
        return "End the model with Dense(1), or give one number per output."
    if inner == (1,) and len(shape) == 1:
        return f"End the model with Dense({shape[0]}), or give one number per row."
    known = [length for length in inner if length is not None]
    if len(known) == len(inner) and math.prod(shape) == math.prod(known):
        return f"Use y.reshape(len(y), {', '.join(map(str, inner))})."
    return "Give targets of that shape, or change the last layer."


def _loss_name(loss: Any) -> str:
    """The name of a loss in snake case, or an empty one."""
    if isinstance(loss, str):
        return registry.snake_case(loss)
    function = getattr(loss, "fn", loss)  # a LossFunctionWrapper has one
    if inspect.isfunction(function):
        return function.__name__
    return "" if loss is None else registry.snake_case(type(loss).__name__)


def _is_own(loss: Any) -> bool:
    """Whether a loss is one of the user's, so that nothing is known of its targets."""
    if loss is None:
        return False
    if isinstance(loss, str):
        return any(key in registry.custom_objects() for key in (loss, f"Custom>{loss}"))
    builtin = registry.registered("losses").values()
    return not any(thing is part for part in (loss, type(loss), getattr(loss, "fn", None)) for thing in builtin)


def _ignored_class(loss: Any) -> int | None:
    value = getattr(loss, "_fn_kwargs", {}).get("ignore_class")
    return None if value is None else int(value)


def _check_labels(labels: Array, classes: int, ignored: int | None, where: str) -> None:
    """Finds the first label that is not the number of an output."""
    step = max(_CHUNK // max(math.prod(labels.shape[1:]), 1), 1)
    for start in range(0, len(labels), step):
        chunk = np.asarray(labels[start : start + step])
        good = (chunk >= 0) & (chunk < classes)
        if chunk.dtype.kind == "f":
            good &= chunk == np.floor(chunk)
        if ignored is not None:
            good |= chunk == ignored
        if good.all():
            continue
        bad = np.unravel_index(int(np.argmin(good)), good.shape)
        row, value = int(bad[0]), chunk[bad].item()
        if isinstance(value, float) and not value.is_integer():
            hint = "Labels are whole numbers; for other targets use a loss such as mean_squared_error."
        elif value < 0:
            hint = "Number the labels from 0, or leave the row out."
        elif value == classes:
            hint = f"If the labels count from 1, use y - 1; otherwise end the model with Dense({classes + 1})."
        else:
            hint = "Number the labels from 0 without gaps, or give the model an output for each."
        raise ModelError(
            f"{where}: expected labels from 0 to {classes - 1}, as the model has {classes} outputs, "
            f"received {value} in row {start + row}. {hint}"
        )


def split_point(rows: int, fraction: float) -> int:
    """Returns where the last rows for validation begin: at row ``floor(n * (1 - fraction))``.

    Raises:
        ModelError: the fraction is not between 0 and 1, or one part would be empty.
    """
    number = isinstance(fraction, (int, float, np.integer, np.floating)) and not isinstance(fraction, bool)
    if not number or not 0 < fraction < 1:
        raise ModelError(
            f"fit: expected validation_split to be between 0 and 1, received {fraction!r:.80}. "
            "It is the part of the rows to validate with, for example 0.1."
        )
    cut = math.floor(rows * (1.0 - fraction))
    if cut in (0, rows):
        raise ModelError(
            f"fit: validation_split={fraction} expected rows for both parts, received {rows}. "
            "Give more rows, another fraction, or validation_data."
        )
    return cut


def check_batch_size(batch_size: Any, *, where: str = "fit") -> int:
    """Returns the number of rows of a batch, 32 for None.

    Raises:
        ModelError: not a whole number from 1.
    """
    if batch_size is None:
        return 32
    whole = isinstance(batch_size, (int, np.integer)) and not isinstance(batch_size, bool)
    if not whole or batch_size < 1:
        raise ModelError(
            f"{where}: expected batch_size to be a whole number from 1, received {batch_size!r:.80}. "
            "Leave it out for 32."
        )
    return int(batch_size)


def check_shuffle(shuffle: Any) -> None:
    """Checks the argument of ``fit``.

    Raises:
        ModelError: it is not True, False or ``"batch"``.
    """
    if shuffle == "batch" if isinstance(shuffle, str) else isinstance(shuffle, (bool, int, np.bool_, np.integer)):
        return
    raise ModelError(f"fit: expected shuffle to be True, False or 'batch', received {shuffle!r:.80}.")


def shuffle_batches(order: NDArray[np.int64], rng: np.random.Generator, batch_size: int) -> None:
    """Writes the batches of 0, 1, 2, … over ``order``, with a random order within each: what ``shuffle="batch"`` means.

    Args:
        order: one number per row.
        rng: where random numbers come from.
        batch_size: rows of a batch.
    """
    order[:] = np.arange(len(order), dtype=np.int64)
    whole = len(order) - len(order) % batch_size
    batches = order[:whole].reshape(-1, batch_size)
    rng.permuted(batches, axis=1, out=batches)
    rng.shuffle(order[whole:])
