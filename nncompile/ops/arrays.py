"""Operations on the axes of values: the numbers of a sample in other places, and values across samples.

Axis 0 is the batch. Whatever only moves numbers within a sample is one primitive,
``arrange``: its NumPy meaning is applied once to the numbers 0, 1, 2, … of the places,
and what comes out is cut into loops with fixed steps, which C runs forward and, the
other way round, for the gradient.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ModelError, UnsupportedError, line_of_user
from ..variables import Variable, as_symbol
from . import weights
from .core import _as_number, _is_given, _number_or_array, _traced, equal, is_weight, where
from .expressions import ELEMENT, ROW, UNIFORM, Expression, node
from .reshaping import reshape as _reshape

_PIECES = 256
"""Loops that a rearrangement may take; what takes more follows no rule."""


@dataclass(frozen=True)
class Piece:
    """One nest of loops: number ``start + sum(i * step)`` of a source goes to ``to_start + sum(i * to_step)``.

    Attributes:
        source: which of the sources.
        sizes: how often each loop runs, the innermost last.
        start, steps: in numbers of a sample of the source.
        to_start, to_steps: in numbers of a sample of the result.
    """

    source: int
    sizes: tuple[int, ...]
    start: int
    steps: tuple[int, ...]
    to_start: int
    to_steps: tuple[int, ...]

    @property
    def count(self) -> int:
        """How many numbers it moves."""
        return math.prod(self.sizes)


@dataclass(frozen=True)
class Arrangement:
    """Where the numbers of a sample come from; what no piece writes is 0.

    Attributes:
        pieces: the loops.
        whole: whether they write every number of the result.
        gather: for each source whether all its numbers are used, and none twice.
    """

    pieces: tuple[Piece, ...]
    whole: bool
    gather: tuple[bool, ...]

    def back(self, source: int) -> Arrangement:
        """The way back for the gradient of a source: numbers that were used more than once are added up."""
        pieces = tuple(
            Piece(0, p.sizes, p.to_start, p.to_steps, p.start, p.steps) for p in self.pieces if p.source == source
        )
        return Arrangement(pieces, self.gather[source], (False,))


def arranged(
    function: Callable[..., NDArray[Any]], *xs: Expression, shape: tuple[int, ...] | None = None
) -> Expression:
    """The expression of a function that only moves numbers within each sample.

    Args:
        function: of NumPy arrays, the batch first; it may leave places at -1, which become 0.
        xs: the operands.
        shape: of a sample of the result, if the function returns more axes, which are easier to loop over.

    Weights and arrays have no batch: a function of these alone gets their axes as they are.
    """
    from . import parameters

    given = tuple(map(_as_number, map(_traced, xs)))
    if any(map(parameters.is_parameter, given)):
        return _of_parameters(function, given)
    if len(given) == 1 and given[0].level < ROW and given[0].shape:  # a single number of weights, with axes
        from . import weights

        sizes = np.asarray(function(np.zeros([n or 1 for n in given[0].shape]))).shape
        if math.prod(sizes) == 1:
            return weights.view(given[0], sizes)
    xs = tuple(x if _is_number(x) else elements(x) for x in given)
    places, first = [], 0
    for x in xs:
        sizes = tuple(n or 0 for n in x.shape[1:])
        places.append(np.arange(first, first + math.prod(sizes)).reshape(1, *sizes))
        first += math.prod(sizes)
    try:
        # two samples: what moves numbers from one to the other is seen by it
        both = np.asarray(function(*(np.concatenate([place, place + first]) for place in places)))
    except (ValueError, IndexError, TypeError) as error:
        shapes = " and ".join(str(x.shape) for x in xs)
        raise ModelError(f"ops: values of shape {shapes} cannot be put in order that way: {error}.") from error
    if both.ndim < 1 or both.shape[0] != 2 or not np.array_equal(both[1], np.where(both[0] < 0, -1, both[0] + first)):
        raise ModelError("ops: the rows of a batch stay apart: axis 0 cannot be moved, cut or joined in a formula.")
    made = both[:1]
    axes = made.shape[1:] or (1,)
    shape = shape or axes
    ends = np.cumsum([math.prod(n or 0 for n in x.shape[1:]) for x in xs])
    xs = tuple(as_column(x) if _is_number(x) else x for x in xs)
    # axes that were only cut otherwise have the numbers in the same order
    xs = tuple(x.args[0] if x.op == "reshape" and x.args[0].level == ELEMENT else x for x in xs)
    result = _placed(made, axes, shape, xs, ends)
    return _number(result) if made.ndim == 1 else result


def _placed(
    made: NDArray[Any], axes: tuple[int, ...], shape: tuple[int, ...], xs: tuple[Expression, ...], ends: NDArray[Any]
) -> Expression:
    """The values of ``xs`` at the places that ``made`` names."""
    value = _arrangement(made.astype(np.int64).tobytes(), axes, tuple(int(n) for n in ends))
    if len(xs) == 1 and value.whole and _moves_nothing(value, int(ends[0])):
        return xs[0] if xs[0].shape[1:] == shape else _reshape(xs[0], (-1, *shape))
    return node("arrange", xs, value, level=ELEMENT, shape=(None, *shape))


def _of_parameters(function: Callable[..., NDArray[Any]], xs: tuple[Expression, ...]) -> Expression:
    """As :func:`arranged`, of what is the same for all samples."""
    from . import parameters

    shapes = " and ".join(str(x.shape) for x in xs)
    if as_symbol.get() is None:
        raise UnsupportedError(f"ops: the numbers of a weight are not put in another order here, received {shapes}.")
    if not all(map(parameters.is_parameter, xs)):
        raise ModelError(
            f"ops: values of shapes {shapes} cannot be put in order together: some have a batch and some have none. "
            "ops.broadcast_to(weight, (ops.shape(x)[0], …)) gives a weight one."
        )
    places, first = [], 0
    for x in xs:
        size = math.prod(n or 0 for n in x.shape)
        places.append(np.arange(first, first + size).reshape([n or 0 for n in x.shape]))
        first += size
    try:
        made = np.asarray(function(*places))
    except (ValueError, IndexError, TypeError) as error:
        raise ModelError(f"ops: values of shape {shapes} cannot be put in order that way: {error}.") from error
    ends = np.cumsum([p.size for p in places])
    value = _arrangement(made.astype(np.int64).tobytes(), made.shape or (1,), tuple(int(n) for n in ends))
    if (
        len(xs) == 1
        and value.whole
        and _moves_nothing(value, int(ends[0]))
        and parameters.is_plain(xs[0])
        and made.ndim
    ):
        return parameters.reshaped(xs[0], made.shape)
    return node("moved", xs, value, level=ELEMENT if made.ndim else UNIFORM, shape=made.shape)


def with_batch(x: Any, shape: Sequence[int | None]) -> Expression:
    """What is the same for all samples as values of each: of a shape whose first size, of the batch, is None or -1."""
    from . import parameters

    x = _traced(x)
    x = _as_number(x) if isinstance(x, Expression) else parameters.array(x)
    sizes = tuple(int(n or 0) for n in shape[1:])
    if not parameters.is_parameter(x):
        return arranged(lambda a: np.broadcast_to(a, (len(a), *sizes)), x)
    if len(x.shape) == len(shape):
        if x.shape[0] != 1:
            raise ModelError(f"ops.broadcast_to: {x.shape} cannot be repeated along the batch to {tuple(shape)}.")
        x = _of_parameters(lambda a: a[0], (x,))
    one = parameters.of_rank(parameters.valued(x), len(shape))
    return arranged(lambda a: np.broadcast_to(a, (len(a), *sizes)), one)


def is_batch(size: Any) -> bool:
    """Whether a size is that of the batch in a formula, ``ops.shape(x)[0]``, and nothing that is known."""
    return size is None and as_symbol.get() is not None


def _moves_nothing(value: Arrangement, size: int) -> bool:
    return value.pieces == (Piece(0, (size,), 0, (1,), 0, (1,)),)


@functools.lru_cache(maxsize=256)
def _arrangement(numbers: bytes, shape: tuple[int, ...], ends: tuple[int, ...]) -> Arrangement:
    """The loops of a rearrangement; the same object for the same one, so that equal expressions are one."""
    places = np.frombuffer(numbers, np.int64).reshape(shape)
    starts = (0, *ends[:-1])
    source = np.searchsorted(np.asarray(ends), places, side="right")
    pieces: list[Piece] = []
    steps = tuple(math.prod(shape[i + 1 :]) for i in range(len(shape)))
    _cut(places, np.where(places < 0, -1, source), 0, steps, starts, pieces)
    flat = places[places >= 0]
    used = np.bincount(flat.ravel(), minlength=ends[-1])
    gather = tuple(bool((used[a:b] == 1).all()) for a, b in zip(starts, ends, strict=True))
    return Arrangement(tuple(pieces), bool((places >= 0).all()), gather)


def transposed(count: int, rows: int, columns: int) -> Arrangement:
    """The columns of so many matrices as their rows."""
    places = np.arange(count * rows * columns, dtype=np.int64).reshape(1, count, rows, columns).swapaxes(2, 3)
    return _arrangement(places.tobytes(), (count, columns, rows), (places.size,))


def _cut(
    places: NDArray[np.int64],
    source: NDArray[np.int64],
    at: int,
    to_steps: tuple[int, ...],
    starts: tuple[int, ...],
    pieces: list[Piece],
) -> None:
    """Cuts a block of places into loops."""
    if (source < 0).all():
        return
    steps = [int(places.take(1, a).flat[0] - places.flat[0]) if n > 1 else 0 for a, n in enumerate(places.shape)]
    rule = places.flat[0] + sum(
        (np.arange(n) * step).reshape([-1 if b == a else 1 for b in range(places.ndim)])
        for a, (n, step) in enumerate(zip(places.shape, steps, strict=True))
    )
    if (source == source.flat[0]).all() and (places == rule).all():
        start = int(places.flat[0]) - starts[int(source.flat[0])]
        pieces.append(_shortest(int(source.flat[0]), places.shape, start, tuple(steps), at, to_steps))
        if len(pieces) > _PIECES:
            raise UnsupportedError("ops: this order of numbers follows no rule that short loops could have.")
        return
    best: list[int] = []
    axis = -1
    for a, n in enumerate(places.shape):
        if n < 2:
            continue
        lines, kinds = np.moveaxis(places, a, 0).reshape(n, -1), np.moveaxis(source, a, 0).reshape(n, -1)
        change = np.diff(lines, axis=0)
        even = (kinds[1:] == kinds[:-1]).all(1) & (change == change[:, :1]).all(1)
        cuts, step = [0], None
        for i, (goes_on, by) in enumerate(zip(even.tolist(), change[:, 0].tolist(), strict=True), 1):
            if not goes_on or step not in (None, by):
                cuts.append(i)
                step = None
            else:
                step = by
        if len(cuts) > 1 and (axis < 0 or len(cuts) < len(best)):
            best, axis = cuts, a
    if axis < 0:
        raise UnsupportedError("ops: this order of numbers follows no rule that short loops could have.")
    for first, last in zip(best, [*best[1:], places.shape[axis]], strict=True):
        part = [slice(None)] * places.ndim
        part[axis] = slice(first, last)
        _cut(places[tuple(part)], source[tuple(part)], at + first * to_steps[axis], to_steps, starts, pieces)


def _shortest(
    source: int, sizes: Sequence[int], start: int, steps: Sequence[int], to_start: int, to_steps: Sequence[int]
) -> Piece:
    """A nest of as few loops as possible."""
    loops: list[list[int]] = []
    for size, step, to_step in zip(sizes, steps, to_steps, strict=True):
        if size == 1:
            continue
        if loops and loops[-1][1] == size * step and loops[-1][2] == size * to_step:
            loops[-1] = [loops[-1][0] * size, step, to_step]
        else:
            loops.append([size, step, to_step])
    loops = loops or [[1, 1, 1]]
    return Piece(
        source,
        tuple(n for n, _, _ in loops),
        start,
        tuple(s for _, s, _ in loops),
        to_start,
        tuple(t for _, _, t in loops),
    )


# ------------------------------------------------------------------ values as elements, rows and columns


def elements(x: Any) -> Expression:
    """A value per row as values per row and column: ``(None, n)`` of n rows a sample become n columns of one."""
    x = _as_number(_traced(x))
    if not isinstance(x, Expression):
        raise ModelError(f"ops: expected values of samples, received {type(x).__name__}.")
    if x.level == ROW:
        kept = x if x.op == "expand" else node("expand", (x,), level=ROW, shape=(*x.shape, 1))
        if len(x.shape) < 2:
            raise ModelError(
                "A formula gives one number per sample without an axis; keep the axis of the reduction: "
                "ops.sum(x, axis=-1, keepdims=True)."
            )
        return node("reshape", (kept,), level=ELEMENT, shape=x.shape)
    if x.level < ROW:
        raise ModelError("ops: expected values of samples, received a number.")
    return x


def stored(x: Expression) -> Expression:
    """Values per row as values of their own, which meet any number of columns; their axes stay."""
    row = as_row(as_column(x.args[0] if x.op == "expand" else x))
    return row if x.op == "expand" else row.args[0]


def _is_number(x: Expression) -> bool:
    """Whether a value is one number per sample, without another axis."""
    return x.level == ROW and x.op != "expand" and len(x.shape) == 1


def as_column(x: Expression) -> Expression:
    """Values per row with another axis, of size 1: one number per sample as a single column."""
    x = _as_number(x)
    return node("reshape", (node("expand", (x,), level=ROW, shape=(*x.shape, 1)),), level=ELEMENT, shape=(*x.shape, 1))


def _number(x: Expression) -> Expression:
    """A single column as one number per sample."""
    if x.op == "reshape" and x.args[0].op == "expand":
        return x.args[0].args[0]
    return node("row", (x,), level=ROW, shape=x.shape[:1])


def as_row(x: Expression) -> Expression:
    """Values of a single column as values per row, which meet any number of columns."""
    x = _as_number(x)
    return node("expand", (node("row", (x,), level=ROW, shape=x.shape[:-1]),), level=ROW, shape=x.shape)


def stretched(x: Expression, shape: Sequence[int | None]) -> Expression:
    """Values repeated along the axes between the batch and the last, to meet others of ``shape``."""
    middle = tuple(n or 0 for n in shape[1:-1])
    return arranged(lambda a: np.broadcast_to(a, (len(a), *middle, a.shape[-1])), x)


# ------------------------------------------------------------------ public


def _move(function: Callable[..., Any], x: Any) -> Any:
    x = _traced(x)
    return arranged(function, x) if isinstance(x, Expression) else function(_number_or_array(x))


def _axis(axis: Any, rank: int, where: str) -> int:
    if isinstance(axis, bool) or not isinstance(axis, (int, np.integer)) or not -rank <= axis < rank:
        raise ModelError(f"ops.{where}: expected an axis from {-rank} to {rank - 1}, received {axis!r}.")
    return int(axis) % rank


def transpose(x: Any, axes: Sequence[int] | None = None) -> Any:
    """The axes of ``x`` in another order.

    Args:
        x: array, or value of a formula.
        axes: for each axis of the result which one of ``x`` it is; the other way round if None. In a formula the first
            is 0, unless ``x`` is a weight.

    Returns:
        The numbers of ``x`` in the shape ``x.shape[axes[0]], x.shape[axes[1]], …``.

    Raises:
        ModelError: in a formula, the batch would be moved.
    """
    x = _traced(x)
    if weights.is_weight(x):
        order = [*range(len(x.shape))][::-1] if axes is None else [a % len(x.shape) for a in axes]
        if order == [*range(len(x.shape))][::-1]:
            return weights.transpose(x)
        if order == [*range(len(x.shape))]:
            return x
    return _move(lambda a: np.transpose(a, None if axes is None else tuple(axes)), x)


def swapaxes(x: Any, axis1: int, axis2: int) -> Any:
    """``x`` with two axes exchanged.

    Args:
        x: array, or value of a formula.
        axis1: one of them; in a formula not 0.
        axis2: the other.

    Returns:
        The numbers of ``x`` in the shape with these two sizes exchanged.

    Raises:
        ModelError: in a formula, the batch would be moved.
    """
    return _move(lambda a: np.swapaxes(a, axis1, axis2), x)


def moveaxis(x: Any, source: Any, destination: Any) -> Any:
    """``x`` with axes moved to other places; the others keep their order.

    Args:
        x: array, or value of a formula.
        source: the axis, or several.
        destination: where it stands in the result, for each.

    Returns:
        The numbers of ``x``.

    Raises:
        ModelError: in a formula, the batch would be moved.
    """
    return _move(lambda a: np.moveaxis(a, source, destination), x)


def _not_along_batch(x: Any, axis: Any, where: str) -> Any:
    """Returns what is to be moved along axes, of which none is the batch."""
    x = _traced(x)
    if isinstance(x, Expression) and x.shape[:1] == (None,):
        rank = len(x.shape)
        axes = range(rank) if axis is None else axis if isinstance(axis, Sequence) else [axis]
        if 0 in {_axis(a, rank, where) for a in axes}:
            raise ModelError(
                f"ops.{where}: the rows of a batch stay apart: expected an axis of a row, received {axis!r} for values "
                f"of shape {x.shape}.{line_of_user()}"
            )
    return x


def flip(x: Any, axis: Any = None) -> Any:
    """``x`` in reverse order along axes: ``y[i] = x[n - 1 - i]``.

    Args:
        x: array, or value of a formula.
        axis: one, several, or None for all; in a formula not the batch.

    Returns:
        The numbers in the shape of ``x``.

    Raises:
        ModelError: in a formula, the batch would be turned round.
    """
    return _move(lambda a: np.flip(a, axis), _not_along_batch(x, axis, "flip"))


def roll(x: Any, shift: Any, axis: Any = None) -> Any:
    """``x`` shifted along axes, what leaves at one end coming in at the other: ``y[i] = x[(i - shift) mod n]``.

    Args:
        x: array, or value of a formula.
        shift: how far, for each axis.
        axis: one, or several; None for all numbers of an array as one row.

    Returns:
        The numbers in the shape of ``x``.

    Raises:
        ModelError: in a formula, along the batch.
    """
    return _move(lambda a: np.roll(a, shift, axis), _not_along_batch(x, axis, "roll"))


def repeat(x: Any, repeats: Any, axis: int | None = None) -> Any:
    """``x`` with each entry along an axis so many times in a row: ``a a b b``.

    Args:
        x: array, or value of a formula.
        repeats: how often; of arrays also a number for each entry.
        axis: along which, in a formula not the batch; None for all numbers of an array as one row.

    Returns:
        The entries in the shape of ``x`` with ``repeats`` times the size there.

    Raises:
        ModelError: in a formula, the batch would be repeated, there is no axis, or more than one number of times.
    """
    x = _traced(x)
    if is_batch(repeats) and axis == 0 and not (isinstance(x, Expression) and x.shape[:1] == (None,)):
        return with_batch(x, (None, *np.shape(x)[1:]))
    if not isinstance(x, Expression):
        return np.repeat(_number_or_array(x), repeats, axis)
    if is_weight(x):
        return arranged(lambda a: np.repeat(a, repeats, axis), x)
    if axis is None or not isinstance(repeats, (int, np.integer)):
        raise ModelError(f"ops.repeat: a formula expects a number and an axis, received {repeats!r} and {axis!r}.")
    place = _axis(axis, len(x.shape), "repeat")
    shape = [n or 0 for n in x.shape[1:]]
    if place == 0:
        raise ModelError("ops.repeat: the rows of a batch stay apart: axis 0 cannot be repeated in a formula.")
    shape[place - 1] *= int(repeats)

    def times(a: NDArray[Any]) -> NDArray[Any]:
        wide = np.expand_dims(a, place + 1)
        return np.broadcast_to(wide, (*a.shape[: place + 1], int(repeats), *a.shape[place + 1 :]))

    return arranged(times, x, shape=tuple(shape))


def tile(x: Any, repeats: Any) -> Any:
    """``x`` so many times side by side: ``a b a b``.

    Args:
        x: array, or value of a formula.
        repeats: how often along each axis; in a formula 1 first, or for a weight ``ops.shape(x)[0]``, which gives it a
            batch.

    Returns:
        The numbers in the shape of ``x`` with each size multiplied.

    Raises:
        ModelError: in a formula, the batch would be repeated.
    """
    x = _traced(x)
    if isinstance(repeats, Sequence) and repeats and is_batch(repeats[0]):
        if isinstance(x, Expression) and x.shape[:1] == (None,):
            raise ModelError(f"ops.tile: values of shape {x.shape} have a batch already: expected 1 for it.")
        inner = np.tile(np.empty(np.shape(x)), (1, *repeats[1:])).shape
        return with_batch(_move(lambda a: np.tile(a, (1, *repeats[1:])), x), (None, *inner[1:]))
    return _move(lambda a: np.tile(a, repeats), x)


def broadcast_to(x: Any, shape: Sequence[int | None]) -> Any:
    """``x`` repeated along axes of size 1, or new ones in front, to a shape.

    Args:
        x: array, or value of a formula.
        shape: of the result; in a formula ``shape[0]`` is -1 or None, the batch.

    Returns:
        The numbers in that shape.

    Raises:
        ModelError: in a formula, ``x`` does not fit the shape.
    """
    x = _traced(x)
    if is_batch(shape[0]) or (isinstance(x, Expression) and not is_weight(x)):
        return with_batch(x, shape)
    if is_weight(x):
        return arranged(lambda a: np.broadcast_to(a, tuple(shape)), x)  # type: ignore[arg-type]
    return np.broadcast_to(_number_or_array(x), tuple(shape))  # type: ignore[arg-type]


def pad(x: Any, pad_width: Any, mode: str = "constant", constant_values: Any = None) -> Any:
    """``x`` with other numbers around it.

    Args:
        x: array, or value of a formula.
        pad_width: how many before and behind along each axis, ``((0, 0), (1, 2))``; in a formula none along the batch.
        mode: ``"constant"``, or what NumPy has for ``np.pad``: ``"reflect"``, ``"symmetric"``, ``"edge"``, …
        constant_values: the numbers of ``"constant"``, 0 if None; in a formula one.

    Returns:
        The numbers in the shape with both widths added to each size.

    Raises:
        ModelError: in a formula, along the batch.
        UnsupportedError: in a formula, with more than one number.
    """
    x = _traced(x)
    if isinstance(x, Expression):
        if mode == "constant":
            number = 0.0 if constant_values is None else constant_values
            if not isinstance(number, (int, float, np.number)):
                raise UnsupportedError(f"ops.pad: a formula is padded with one number, received {number!r:.100}.")
            if number == 0.0:
                return arranged(lambda a: np.pad(a, pad_width, constant_values=-1), x)

            first = 0 if is_weight(x) else 1  # axis of a sample: one of its own numbers is what it is padded with

            def filled(a: NDArray[Any], filler: NDArray[Any]) -> NDArray[Any]:
                padded = np.pad(a, pad_width, constant_values=-1)
                corner = tuple(slice(None) if axis < first else slice(1) for axis in range(filler.ndim))
                return np.where(padded < 0, filler[corner], padded)

            x = elements(x)
            return arranged(filled, x, where(equal(x, x), number, number))
        return arranged(lambda a: np.pad(a, pad_width, mode=mode), x)  # type: ignore[call-overload]
    more = {} if constant_values is None else {"constant_values": constant_values}
    return np.pad(_number_or_array(x), pad_width, mode=mode, **more)  # type: ignore[call-overload]


def concatenate(xs: Sequence[Any], axis: int = 0) -> Any:
    """Values side by side along an axis.

    Args:
        xs: arrays, or values of a formula, of one shape but for that axis.
        axis: along which; in a formula not the batch.

    Returns:
        All their numbers, in the shape with the sizes of that axis added up.

    Raises:
        ModelError: in a formula, along the batch, or shapes do not fit.
    """
    xs = [_traced(x) for x in xs]
    if any(isinstance(x, Expression) for x in xs):
        return arranged(lambda *a: np.concatenate(a, axis), *xs)
    return np.concatenate([_number_or_array(x) for x in xs], axis)


def stack(x: Sequence[Any], axis: int = 0) -> Any:
    """Values side by side along a new axis.

    Args:
        x: arrays, or values of a formula, of one shape.
        axis: where the new one stands in the result; in a formula not in front.

    Returns:
        All their numbers, in their shape with one more axis.

    Raises:
        ModelError: in a formula, along the batch, or shapes differ.
    """
    xs = [_traced(one) for one in x]
    if any(isinstance(one, Expression) for one in xs):
        return arranged(lambda *a: np.stack(a, axis), *xs)
    return np.stack([_number_or_array(one) for one in xs], axis)


def split(x: Any, indices_or_sections: Any, axis: int = 0) -> list[Any]:
    """``x`` cut along an axis.

    Args:
        x: array, or value of a formula.
        indices_or_sections: into so many equal parts, or at these places.
        axis: along which; in a formula not the batch.

    Returns:
        The parts, which have the other axes whole.

    Raises:
        ModelError: in a formula, along the batch, or parts would not be equal.
    """
    x = _traced(x)
    if not isinstance(x, Expression):
        return list(np.split(_number_or_array(x), indices_or_sections, axis))
    place = _axis(axis, len(x.shape), "split")
    if place == 0 and not is_weight(x):
        raise ModelError("ops.split: the rows of a batch stay apart: axis 0 cannot be cut in a formula.")
    size = x.shape[place] or 0
    if isinstance(indices_or_sections, (int, np.integer)):
        if size % indices_or_sections:
            raise ModelError(f"ops.split: {size} columns cannot be cut into {indices_or_sections} equal parts.")
        ends = [size // indices_or_sections * i for i in range(1, int(indices_or_sections))]
    else:
        ends = [int(i) for i in indices_or_sections]
    parts = zip([0, *ends], [*ends, size], strict=True)
    return [taken(x, (slice(None),) * place + (slice(a, b),)) for a, b in parts]


def taken(x: Expression, key: Any) -> Expression:
    """``x[key]`` of an expression: the batch whole, other axes by numbers, slices, lists of numbers or None.

    Args:
        x: the value.
        key: what stands between the brackets.

    Returns:
        The numbers there.

    Raises:
        ModelError: rows of the batch are asked for.
        UnsupportedError: another kind of key.
    """
    keys = tuple(_places(k) for k in (key if isinstance(key, tuple) else (key,)))
    key = keys
    if is_weight(x):
        return arranged(lambda a: a[key], x)
    first = keys[0] if keys else Ellipsis
    whole = first is Ellipsis or (isinstance(first, slice) and first == slice(None))
    if not whole:
        raise ModelError("The rows of a batch stay apart: x[:, …] is expected in a formula, with ':' first.")
    if len(keys) > 1 and _is_number(x) and _is_given(x):  # labels, which are a column
        x = as_column(x)
    return arranged(lambda a: a[key], x)


def _places(key: Any) -> Any:
    """What stands for one axis in ``x[...]``: several places as an array."""
    if key is None or key is Ellipsis or isinstance(key, (int, np.integer, slice)):
        return key
    places = np.asarray(key) if isinstance(key, (list, np.ndarray)) else np.empty(0)
    if places.size and places.dtype.kind not in "iub":
        places = np.empty(0)
    if not places.size:
        raise UnsupportedError(f"A formula is indexed by numbers, slices and lists of numbers, received {key!r:.80}.")
    return places


def take(x: Any, indices: Any, axis: int | None = None) -> Any:
    """Entries of ``x`` along an axis by their numbers.

    In a formula ``x`` may be a weight of two axes with ``axis=0``: then ``indices`` are
    values, and each becomes the row of the weight that it names. A number below 0 counts
    from the end; one that names no row gives NaN.

    Args:
        x: array, weight or value of a formula.
        indices: whole numbers, of any shape.
        axis: along which; None for all numbers of an array as one row, and in a formula the last.

    Returns:
        The entries, in the shape of ``x`` with that of ``indices`` in the place of the axis.

    Raises:
        ModelError: in a formula, rows of a weight are not taken along axis 0.
    """
    x = _weight_or_value(x)
    if isinstance(x, Variable):
        index = _traced(indices)
        if isinstance(index, Expression):
            if axis not in (0, -2) or x.ndim != 2:
                raise ModelError(f"ops.take: rows of a weight of two axes are taken with axis=0, received {axis!r}.")
            alone = _is_number(_as_number(index))
            index = as_column(index) if alone else elements(index)
            rows = node("take", (index,), x, level=ELEMENT, shape=(*index.shape, x.shape[1]))
            return _reshape(rows, (-1, x.shape[1])) if alone else rows
        x = _traced(x)
    if isinstance(x, Expression):
        if is_weight(x):
            return arranged(lambda a: np.take(a, np.asarray(indices), axis), x)
        place = _axis(axis if axis is not None else -1, len(x.shape), "take")
        return arranged(lambda a: np.take(a, np.asarray(indices), place), x)
    array, index = np.asarray(_number_or_array(x)), np.asarray(indices)
    index = index.astype(np.int64) if index.dtype.kind == "f" else index
    size = array.size if axis is None else array.shape[axis]
    found = np.take(array, np.clip(np.where(index < 0, index + size, index), 0, size - 1), axis)
    outside = (index < -size) | (index >= size)
    if outside.any() and array.dtype.kind == "f":
        place = 0 if axis is None else axis % array.ndim
        found[(slice(None),) * place + (outside,)] = np.nan
    return found


def _weight_or_value(x: Any) -> Any:
    return x if isinstance(x, Variable) else _traced(x)


def batch_mean(x: Any) -> Any:
    """The mean over all axes but the last: of a column over the samples of a batch and their positions.

    It is not an operation of Keras, whose ``mean(x, axis=0)`` is the same for values of two axes in a layer.

    Args:
        x: values, ``(batch, …, features)``.

    Returns:
        A number per feature, ``(features,)``. In a formula it meets values as a weight of that shape does.

    Raises:
        ModelError: in a formula, what is the same for all samples.
    """
    x = _traced(x)
    if not isinstance(x, Expression):
        array = np.asarray(_number_or_array(x))
        return np.mean(array, axis=tuple(range(array.ndim - 1)))
    x = elements(x)
    if x.shape and x.shape[0] is not None:
        raise ModelError("ops.batch_mean: expected values of samples, received what is the same for all.")
    return node("batch_mean", (x,), level=ELEMENT, shape=(x.shape[-1],))


def reduced(reduce: Callable[..., Any], x: Any, axis: int | Sequence[int], keepdims: bool) -> Any:
    """A reduction over any axes of a formula but the batch: they become the last."""
    rank = len(x.shape)
    axes = [axis] if isinstance(axis, (int, np.integer)) else list(axis)
    over = sorted(_axis(a, rank, reduce.__name__) for a in axes)
    if not over or over[0] == 0:
        raise ModelError(
            f"ops.{reduce.__name__}: a formula does not reduce over the rows of a batch: expected axis=-1, or others "
            f"but 0, received {axis!r}. ops.batch_mean(x) is the mean over the rows."
        )
    kept = [a for a in range(1, rank) if a not in over]
    last = transpose(elements(x), (0, *kept, *over))
    sizes = tuple(x.shape[a] or 0 for a in kept)
    merged = _reshape(last, (-1, *sizes, math.prod(x.shape[a] or 0 for a in over)))
    result = reduce(merged, axis=-1)
    if not kept and not keepdims:
        return result
    result = elements(result) if kept else elements(node("expand", (result,), level=ROW, shape=(*result.shape, 1)))
    if keepdims:
        return _reshape(result, (-1, *(1 if a in over else x.shape[a] for a in range(1, rank))))
    return result


__all__ = [
    "Arrangement",
    "Piece",
    "arranged",
    "as_column",
    "as_row",
    "batch_mean",
    "broadcast_to",
    "concatenate",
    "elements",
    "flip",
    "moveaxis",
    "pad",
    "reduced",
    "repeat",
    "roll",
    "split",
    "stack",
    "stored",
    "stretched",
    "swapaxes",
    "take",
    "taken",
    "tile",
    "transpose",
]
