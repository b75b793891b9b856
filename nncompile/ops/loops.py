"""Operations of ``keras.ops`` that call functions, one of several or again and again, and :func:`rearrange`.

A formula has no loop of its own: what loops becomes part of it, once for each step, so that
the number of steps must be known when it is traced, and is bounded. The samples of a batch
are not looped over, as a formula is one for each of them.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .. import tree
from ..errors import ModelError, UnsupportedError
from .arrays import _axis
from .core import _symbols, _traced, is_weight, where
from .expressions import Expression
from .reshaping import convert_to_tensor
from .symbolic import FUNCTIONS, KerasTensor

Shape = Sequence[int | None]
_STEPS = 256
"""The most steps that become part of a formula."""


def _given(x: Any) -> Any:
    """An array, or a value of a formula or of a functional model."""
    return x if isinstance(x, KerasTensor) else _traced(x) if _symbols(x) else convert_to_tensor(x)


def _of_samples(x: Any) -> bool:
    return isinstance(x, KerasTensor) or (isinstance(x, Expression) and not is_weight(x))


def _entries(where: str, x: Any, axis: int = 0) -> list[Any]:
    """The parts of an array or of a value along an axis, which they do not have any more."""
    x = _given(x)
    if not len(x.shape):
        raise ModelError(f"ops.{where}: expected arrays of at least one axis, received a single number.")
    place = _axis(axis, len(x.shape), where)
    if place == 0 and _of_samples(x):
        raise ModelError(
            f"ops.{where}: the rows of a batch stay apart: a formula is one for each of them, and is not called for "
            f"each. Call the function with values of shape {x.shape}, its axes counted from the last."
        )
    size = x.shape[place]
    _check_steps(where, size, x)
    return [x[((slice(None),) * place) + (i,)] for i in range(size)]


def _check_steps(where: str, steps: int, *given: Any) -> None:
    if steps > _STEPS and (_symbols(*given) or any(isinstance(x, KerasTensor) for x in given)):
        raise UnsupportedError(
            f"ops.{where}: a formula becomes as long as all steps together: expected at most {_STEPS} of them, "
            f"received {steps}."
        )


def _rows_of(where: str, xs: Any) -> list[Any]:
    """What a function gets at each step, of arrays in a structure."""
    cut = [_entries(where, x) for x in tree.flatten(xs)]
    lengths = {len(c) for c in cut}
    if len(lengths) != 1:
        raise ModelError(f"ops.{where}: expected arrays of one length, received {sorted(lengths)}.")
    return [tree.pack_sequence_as(xs, list(parts)) for parts in zip(*cut, strict=True)]


def _stacked(parts: Sequence[Any]) -> Any:
    """Results of all steps, one behind the other along a new axis 0."""
    flat = [tree.flatten(part) for part in parts]
    return tree.pack_sequence_as(parts[0], [FUNCTIONS["stack"](column, axis=0) for column in zip(*flat, strict=True)])


def map(f: Callable[[Any], Any], xs: Any) -> Any:
    """``stack([f(x) for x in xs])``

    Args:
        f: of the parts of ``xs`` along axis 0.
        xs: an array, or several in a structure; in a formula weights and arrays, but no values of samples.

    Returns:
        The results along a new axis 0, in the structure that ``f`` returns.

    Raises:
        ModelError: values of samples, whose axis 0 is the batch.
        UnsupportedError: more steps than a formula may have.

    Source: ``keras.ops.map``.
    """
    return _stacked([f(x) for x in _rows_of("map", xs)])


def vectorized_map(function: Callable[[Any], Any], elements: Any) -> Any:
    """As :func:`map`: ``stack([function(x) for x in elements])``. Keras does the steps at one time.

    Args:
        function: of the parts of ``elements`` along axis 0.
        elements: an array, or several in a structure; in a formula weights and arrays, but no values of samples.

    Returns:
        The results along a new axis 0, in the structure that ``function`` returns.

    Raises:
        ModelError: values of samples, whose axis 0 is the batch.
        UnsupportedError: more steps than a formula may have.

    Source: ``keras.ops.vectorized_map``.
    """
    return _stacked([function(x) for x in _rows_of("vectorized_map", elements)])


def scan(
    f: Callable[[Any, Any], tuple[Any, Any]],
    init: Any,
    xs: Any = None,
    length: int | None = None,
    reverse: bool = False,
    unroll: int | bool = 1,
) -> tuple[Any, Any]:
    """``carry, y = f(carry, x)`` for each part of ``xs`` along axis 0: the last carry, and all y.

    Args:
        f: what is done at a step.
        init: the first carry, which may be a value of samples.
        xs: an array, or several in a structure; None for none. In a formula weights and arrays.
        length: how many steps there are without ``xs``.
        reverse: whether it goes from the last to the first.
        unroll: without meaning here.

    Returns:
        The carry, and the y along a new axis 0, None if they are None; of values of samples, whose axis 0 is the
        batch, a list.

    Raises:
        ModelError: there is neither ``xs`` nor ``length``, arrays differ in length, or another argument is wrong.
        UnsupportedError: more steps than a formula may have.

    Source: ``keras.ops.scan``.
    """
    if not callable(f):
        raise ModelError(f"ops.scan: f: expected a function, received {type(f).__name__}.")
    if not isinstance(unroll, bool) and (not isinstance(unroll, int) or unroll < 1):
        raise ModelError(f"ops.scan: unroll: expected a whole number from 1 or a bool, received {unroll!r}.")
    if xs is None and length is None:
        raise ModelError("ops.scan: expected xs to scan over, or length, received neither.")
    steps = [None] * int(length or 0) if xs is None else _rows_of("scan", xs)
    steps = steps if length is None else steps[: int(length)]
    carry = tree.map_structure(_given, init)
    _check_steps("scan", len(steps), *tree.flatten(carry))
    ys = []
    for x in reversed(steps) if reverse else steps:
        carry, y = f(carry, x)
        ys.append(y)
    ys = ys[::-1] if reverse else ys
    if all(y is None for y in ys):
        return carry, None
    of_samples = any(_of_samples(y) for part in ys for y in tree.flatten(part))
    return carry, (ys if of_samples else _stacked(ys))


def associative_scan(f: Callable[[Any, Any], Any], elems: Any, reverse: bool = False, axis: int = 0) -> Any:
    """``y[i] = f(y[i - 1], x[i])`` along an axis, beginning with ``y[0] = x[0]``, for an f that is associative.

    Args:
        f: what is done with two parts.
        elems: an array or value, or several in a structure.
        reverse: whether it goes from the last to the first.
        axis: along which; in a formula not the batch.

    Returns:
        All y, in the shapes of ``elems``.

    Raises:
        ModelError: ``f`` is no function, arrays differ in length, or the axis is that of the batch.

    Source: ``keras.ops.associative_scan``.
    """
    if not callable(f):
        raise ModelError(f"ops.associative_scan: f: expected a function, received {type(f).__name__}.")
    flat = [_given(x) for x in tree.flatten(elems)]
    for x in flat:  # of one more axis than _entries leaves, as f works on slices
        _entries("associative_scan", x, axis)
    place = [_axis(axis, len(x.shape), "associative_scan") for x in flat]
    lengths = {x.shape[a] for x, a in zip(flat, place, strict=True)}
    if len(lengths) != 1:
        raise ModelError(f"ops.associative_scan: expected one length along axis {axis}, received {sorted(lengths)}.")
    (size,) = lengths
    parts = [
        tree.pack_sequence_as(
            elems, [x[((slice(None),) * a) + (slice(i, i + 1),)] for x, a in zip(flat, place, strict=True)]
        )
        for i in range(size)
    ]
    parts = parts[::-1] if reverse else parts
    made = parts[:1]
    for part in parts[1:]:
        made.append(f(made[-1], part))
    made = made[::-1] if reverse else made
    columns = zip(*(tree.flatten(part) for part in made), strict=True)
    joined = [FUNCTIONS["concatenate"](c, axis=a) for c, a in zip(columns, place, strict=True)]
    return tree.pack_sequence_as(elems, joined)


def while_loop(
    cond: Callable[..., Any], body: Callable[..., Any], loop_vars: Any, maximum_iterations: int | None = None
) -> Any:
    """``loop_vars = body(*loop_vars)`` as long as ``cond(*loop_vars)``.

    Args:
        cond: whether it goes on; in a formula about numbers, not values: it becomes as long as all steps.
        body: returns as many values as it takes.
        loop_vars: the first values: one, or several in a tuple or list.
        maximum_iterations: the most steps; any number if None.

    Returns:
        The last values, as ``loop_vars``.

    Raises:
        UnsupportedError: in a formula, the condition is about values, or there are more steps than it may have.

    Source: ``keras.ops.while_loop``.
    """
    several = isinstance(loop_vars, (tuple, list))
    given, steps = (tuple(loop_vars) if several else (loop_vars,)), 0
    while maximum_iterations is None or steps < maximum_iterations:
        goes_on = cond(*given)
        if isinstance(goes_on, Expression):
            raise UnsupportedError(
                "ops.while_loop: how often a formula loops must be known when it is traced, and the condition is about "
                "values. Count the steps by a number of Python; ops.where chooses what a step changes."
            )
        if not goes_on:
            break
        made = body(*given)
        given = tuple(made) if isinstance(made, (list, tuple)) else (made,)
        steps += 1
        _check_steps("while_loop", steps, *tree.flatten(given))
    return type(loop_vars)(given) if several else given[0]


def vectorize(pyfunc: Callable[..., Any], *, excluded: Any = None, signature: str | None = None) -> Callable[..., Any]:
    """A function of numbers as one of arrays, called for each number; of values of a formula as it is.

    Args:
        pyfunc: of numbers.
        excluded: places and names of arguments that are given as they are.
        signature: of vectors and matrices in the place of numbers; of arrays alone.

    Returns:
        The function of arrays.

    Raises:
        ModelError: ``pyfunc`` is no function.

    Source: ``keras.ops.vectorize``.
    """
    if not callable(pyfunc):
        raise ModelError(f"ops.vectorize: pyfunc: expected a function, received {type(pyfunc).__name__}.")
    of_arrays = np.vectorize(pyfunc, excluded=excluded, signature=signature)

    def function(*args: Any, **keywords: Any) -> Any:
        if not _symbols(*args, *keywords.values()):
            return of_arrays(*args, **keywords)
        if signature is not None:
            raise UnsupportedError("ops.vectorize: with a signature it is for arrays; a formula is for a whole row.")
        return pyfunc(*args, **keywords)

    return function


def rearrange(tensor: Any, pattern: str, **axes_lengths: int) -> Any:
    """The axes of a tensor in another order, taken apart and put together as a pattern says.

    ``rearrange(x, "b (h p) c -> b h (p c)", p=2)``. In a formula the first axis stays the first.

    Args:
        tensor: an array or a value.
        pattern: names of the axes before and after ``->``; those in parentheses are one axis together.
        **axes_lengths: sizes of axes that are one together; of each group one may be missing.

    Returns:
        The numbers in the shape that the right side of the pattern says.

    Raises:
        ModelError: a pattern that does not fit the shape, or names other axes on either side.

    Source: ``keras.ops.rearrange``.
    """
    x = _given(tensor)
    sides = re.split(r"\s*->\s*", pattern.strip())
    groups = [
        [re.findall(r"\w+", group) for group in re.findall(r"\w+|\([\w\s]*\)", side)] if len(sides) == 2 else []
        for side in sides
    ]
    before, after = groups if len(groups) == 2 else ([], [])
    names, wanted = ([name for group in side for name in group] for side in (before, after))
    unknown = set(axes_lengths) - set(names)
    if len(before) != len(x.shape) or sorted(names) != sorted(wanted) or len(set(names)) != len(names) or unknown:
        raise ModelError(
            f"ops.rearrange: expected a pattern such as 'b h w -> b (w h)' with each of the {len(x.shape)} axes of "
            f"shape {tuple(x.shape)} once on either side, received {pattern!r}"
            f"{f' and sizes of {sorted(unknown)}' if unknown else ''}."
        )
    sizes: dict[str, int | None] = {}
    for group, size in zip(before, x.shape, strict=True):
        known = [axes_lengths[name] for name in group if name in axes_lengths]
        free = [name for name in group if name not in axes_lengths]
        product = math.prod(known)
        fits = len(free) <= 1 and ((size is None and not known) or (size is not None and size % max(product, 1) == 0))
        if not fits or (not free and size != product):
            raise ModelError(
                f"ops.rearrange: {pattern!r}: ({' '.join(group)}) of {size} numbers cannot be cut into sizes "
                f"{ {name: axes_lengths.get(name) for name in group} }."
            )
        sizes |= {name: axes_lengths.get(name, size if size is None else size // product) for name in group}
    places = [names.index(name) for name in wanted]

    def shape_of(side: Sequence[Sequence[str]]) -> list[int]:
        return [-1 if any(sizes[n] is None for n in g) else math.prod(sizes[n] or 1 for n in g) for g in side]

    if len(before) != len(names):
        x = FUNCTIONS["reshape"](x, shape_of([[name] for name in names]))
    if places != [*range(len(names))]:
        x = FUNCTIONS["transpose"](x, places)
    return FUNCTIONS["reshape"](x, shape_of(after)) if len(after) != len(names) else x


# ------------------------------------------------------------------ what Python decides


def cond(pred: Any, true_fn: Callable[[], Any], false_fn: Callable[[], Any]) -> Any:
    """One of two functions, called: ``true_fn()`` if ``pred``, else ``false_fn()``.

    Where the truth is only known when a formula runs both are computed, and the numbers of one are taken, as
    :func:`where` does: what is infinite or NaN in the other's derivative becomes NaN in that of both.

    Args:
        pred: a truth value: of Python, an array's, or one for all samples in a formula.
        true_fn: gives values, in any structure.
        false_fn: gives values in the same structure.

    Returns:
        What one of them gives.

    Raises:
        ModelError: ``pred`` is more than one truth value, or the structures differ.

    Source: ``keras.ops.cond``.
    """
    pred = _traced(pred)
    if not isinstance(pred, Expression):
        return true_fn() if pred else false_fn()
    _need_single("cond", "a truth value", pred, "ops.where(condition, a, b) takes one for each.")
    return tree.map_structure(lambda a, b: where(pred, a, b), true_fn(), false_fn())


def switch(index: Any, branches: Sequence[Callable[..., Any]], *operands: Any) -> Any:
    """One of several functions, called: ``branches[index](*operands)``, the first or the last if there is none.

    Where the index is only known when a formula runs all are computed; see :func:`cond`.

    Args:
        index: a whole number; in a formula one for all samples.
        branches: the functions, of which each gives values in the same structure.
        *operands: what each gets.

    Returns:
        What one of them gives.

    Raises:
        ModelError: ``index`` is more than one number, or the structures of the results differ.

    Source: ``keras.ops.switch``.
    """
    index = _traced(index)
    if not isinstance(index, Expression):
        return branches[min(max(int(index), 0), len(branches) - 1)](*operands)
    _need_single("switch", "a number", index, "ops.select(conditions, choices) takes one for each.")
    result = branches[0](*operands)
    for i, branch in enumerate(branches[1:], 1):
        reached = index >= i
        result = tree.map_structure(lambda a, b, reached=reached: where(reached, b, a), result, branch(*operands))
    return result


def _need_single(op: str, expected: str, x: Expression, hint: str) -> None:
    if x.shape != ():
        raise ModelError(f"ops.{op}: expected {expected} for all samples, received shape {x.shape}. {hint}")


def fori_loop(lower: int, upper: int, body_fun: Callable[[int, Any], Any], init_val: Any) -> Any:
    """``value = body_fun(i, value)`` from ``lower`` up to but not ``upper``; a formula becomes as long as that takes.

    Args:
        lower: the first i.
        upper: where it ends.
        body_fun: of the number of the step and the value, returns the next value.
        init_val: the first value.

    Returns:
        The last value.

    Raises:
        UnsupportedError: how often is not known when a formula is traced.

    Source: ``keras.ops.fori_loop``.
    """
    if isinstance(lower, Expression) or isinstance(upper, Expression):
        raise UnsupportedError("ops.fori_loop: how often a formula loops must be known when it is traced.")
    value = init_val
    for i in range(int(lower), int(upper)):
        value = body_fun(i, value)
    return value


__all__ = [
    "associative_scan",
    "cond",
    "fori_loop",
    "map",
    "rearrange",
    "scan",
    "switch",
    "vectorize",
    "vectorized_map",
    "while_loop",
]
