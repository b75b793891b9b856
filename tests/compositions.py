"""Random compositions of operations that move, reduce, compare and combine the values of a sample.

The same Python gives a result on arrays, by NumPy, and a formula on symbols, which is
compiled. What a composition does depends on its seed and on shapes without the batch alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from nncompile import config, ops

SHAPES = ((4,), (3, 4), (2, 3, 2), (1, 5), (5, 1), (16,), (17,), (2, 18))


def composed(seed: int, x: Any, log: list[str] | None = None) -> Any:
    """What some steps make of x; each takes the last value or an earlier one."""
    rng, made = np.random.default_rng(seed), [x]
    for _ in range(rng.integers(2, 7)):
        value = made[rng.integers(len(made))] if rng.random() < 0.4 else made[-1]
        step, text = _step(rng, value, made[rng.integers(len(made))])
        with np.errstate(all="ignore"):
            result = step(value)
        if log is not None:
            log.append(f"{text} -> {tuple(result.shape[1:])}")
        if len(result.shape) <= 4 and math.prod(result.shape[1:]) <= 200:
            made.append(result)
    return made[-1]


def _fit(a: Any, b: Any) -> bool:
    """Whether two values have as many axes and can meet."""
    same = len(a.shape) == len(b.shape)
    return same and all(m == n or 1 in (m, n) for m, n in zip(a.shape[1:], b.shape[1:], strict=True))


def _step(rng: np.random.Generator, a: Any, b: Any) -> tuple[Callable[[Any], Any], str]:
    """A step that a value can take, and its name."""
    rank = len(a.shape)
    flat = {
        "sigmoid": ops.sigmoid,
        "tanh": ops.tanh,
        "relu": lambda x: ops.relu(x - 0.1),
        "abs": lambda x: abs(x + 0.1),
    }
    name = str(rng.choice(list(flat)))
    axis = int(rng.integers(1, rank)) if rank > 1 else 0
    size = a.shape[axis] if axis else 1
    axis -= rank if rng.random() < 0.5 else 0
    keep, place, shift = bool(rng.integers(2)), int(rng.integers(size)), int(rng.integers(-2, 3))
    new = int(rng.integers(1, rank + 1)) - (rank + 1 if rng.random() < 0.5 else 0)
    order = [0, *(int(i) for i in 1 + rng.permutation(rank - 1))]
    sizes = tuple(int(n) if rng.random() < 0.6 else 1 for n in a.shape[1:])
    constant = np.linspace(-1, 2, math.prod(sizes)).reshape(sizes)
    kind, how, cut = int(rng.integers(30)), int(rng.integers(4)), (place, None, int(rng.choice([1, 2, -1])))
    named = f"({axis}, {keep})"
    if kind == 0:
        return lambda x: ops.expand_dims(x, new), f"expand_dims({new})"
    if kind == 1 and _fit(a, b):
        return lambda x: x * b + x, f"a * b + a of {b.shape[1:]}"
    if kind == 2 and _fit(a, b):
        return lambda x: ops.where(x > b, x, b * 0.5), f"where(a > b) of {b.shape[1:]}"
    if rank < 2:
        return flat[name], name
    if kind in (3, 4, 5, 6):
        reduce = (ops.sum, ops.max, ops.mean, ops.min)[kind - 3]
        return lambda x: reduce(x, axis=axis, keepdims=keep), ("sum", "max", "mean", "min")[kind - 3] + named
    if kind in (7, 8, 9):
        moved = (ops.flip, ops.softmax, ops.cumsum)[kind - 7]
        return lambda x: moved(x, axis=axis), f"{('flip', 'softmax', 'cumsum')[kind - 7]}({axis})"
    if kind == 10:
        return lambda x: ops.concatenate([x, x * 2.0], axis=axis), f"concatenate({axis})"
    if kind == 11:
        return lambda x: ops.take(x, place, axis=axis), f"take({place}, {axis})"
    if kind == 12:
        return lambda x: ops.transpose(x, order), f"transpose({order})"
    if kind == 13:
        return lambda x: ops.reshape(x, (-1, math.prod(a.shape[1:]))), "flat"
    if kind == 14:
        key = tuple(slice(*cut) if i == axis % rank else slice(None) for i in range(rank))
        return lambda x: x[key], f"[{key}]"
    if kind == 15:
        return lambda x: ops.repeat(x, 2, axis=axis), f"repeat({axis})"
    if kind == 16:
        return lambda x: ops.roll(x, shift, axis=axis), f"roll({shift}, {axis})"
    if kind == 17:
        return lambda x: ops.stack([x, -x], axis=axis), f"stack({axis})"
    if kind == 18 and size == 1:
        return lambda x: ops.squeeze(x, axis=axis), f"squeeze({axis})"
    if kind in (19, 20):
        return lambda x: x + constant if kind == 19 else x * constant, f"with constant {sizes}"
    if kind == 21:
        matrix = np.cos(np.arange(a.shape[-1] * 3)).reshape(-1, 3).astype(np.float32)
        return lambda x: ops.matmul(x, matrix), "matmul"
    if kind == 22:
        return lambda x: ops.cast(ops.argmax(x, axis=axis, keepdims=keep), config.floatx()), "argmax" + named
    if kind == 23 and rank == 3:
        return lambda x: ops.matmul(x, ops.transpose(x, (0, 2, 1))), "x @ x.T"
    if kind == 24:
        widths = [(1, 0) if i == axis % rank else (0, 0) for i in range(rank)]
        return lambda x: ops.pad(x, widths), f"pad({axis})"
    if kind == 25:
        return lambda x: ops.cast(ops.any(x > 0.8, axis=axis, keepdims=keep), config.floatx()), "any" + named
    if 26 <= kind < 29:
        return lambda x: _chosen(x, axis, keep, kind - 26, how, new), f"mask {kind - 26}, {how}, {new}, {named}"
    if size <= 20:
        return lambda x: ops.sort(x, axis=axis), f"sort({axis})"
    return flat[name], name


def _chosen(x: Any, axis: int, keep: bool, kind: int, how: int, new: int) -> Any:
    """Values where something is true of them, or of what they add up to, in its place or in others."""
    of = (ops.sum(x, axis=axis, keepdims=keep), ops.max(x, axis=axis, keepdims=keep), x)[kind]
    truth = ops.logical_or(of > 0.5, ops.logical_not(of < -0.2))
    if how == 1:
        truth = ops.expand_dims(truth, max(min(new, len(of.shape)), -len(of.shape)))
    elif how == 2 and len(of.shape) > 2:
        truth = ops.swapaxes(truth, 1, -1)
    elif how == 3 and len(of.shape) > 1:
        truth = ops.flip(truth, axis=-1)
    return ops.where(truth, x, 0.25) if _fit(truth, x) else ops.cast(truth, config.floatx())


# ------------------------------------------------------------------ of weights


def shapes_of_weights(shape: tuple[int, ...]) -> list[tuple[int, ...]]:
    """Shapes of weights that values of a shape can meet, one way or another."""
    columns = shape[-1]
    matrices = [(shape[-2], columns), (shape[-2], 1)] if len(shape) > 1 else []
    return [(), (1,), (columns,), (columns, 3), (3, columns), *matrices, (3,)]


def weighted(seed: int, x: Any, weights: list[Any], log: list[str] | None = None) -> Any:
    """What x becomes when it meets what some steps make of weights, each in several places and shapes."""
    rng, value = np.random.default_rng(seed), x
    for _ in range(rng.integers(1, 5)):
        made, names = weights[rng.integers(len(weights))], []
        names.append(str(tuple(made.shape)))
        for _ in range(rng.integers(0, 4)):
            step, name = _of_weight(rng, made, weights)
            made = step(made)
            names.append(name)
        with np.errstate(all="ignore"):
            value, name = _met(rng, value, made)
        if log is not None:
            log.append(f"{' '.join(names)}: {name} -> {tuple(value.shape[1:])}")
    return value


def _of_weight(rng: np.random.Generator, p: Any, weights: list[Any]) -> tuple[Callable[[Any], Any], str]:
    """A step that a weight, or what was made of one, can take, and its name."""
    rank, other = len(p.shape), weights[rng.integers(len(weights))]
    axis = int(rng.integers(rank)) if rank else 0
    size = p.shape[axis] if rank else 1
    axis -= rank if rng.random() < 0.5 else 0
    keep, place, new, kind = (
        bool(rng.integers(2)),
        int(rng.integers(size)),
        int(rng.integers(rank + 1)),
        int(rng.integers(22)),
    )
    plain: dict[str, Callable[[Any], Any]] = {
        "exp": lambda w: ops.exp(w * 0.3), "tanh": ops.tanh, "softplus": ops.softplus, "sigmoid": ops.sigmoid,
        "square": lambda w: w * w, "2w + 1": lambda w: w * 2.0 + 1.0, "relu": lambda w: ops.relu(w + 0.2), "mean": ops.mean,
    }  # fmt: skip
    name = str(rng.choice(list(plain)))
    along: dict[str, Callable[[Any], Any]] = {
        "sum": lambda w: ops.sum(w, axis=axis, keepdims=keep), "max": lambda w: ops.max(w, axis=axis, keepdims=keep),
        "softmax": lambda w: ops.softmax(w, axis=axis), "flip": lambda w: ops.flip(w, axis=axis),
        "double": lambda w: ops.concatenate([w, w * 2.0], axis=axis), "flat": lambda w: ops.reshape(w, (-1,)),
        "take": lambda w: ops.take(w, place, axis=axis), "repeat": lambda w: ops.repeat(w, 2, axis=axis),
        "normed": lambda w: w / (1.0 + ops.sqrt(ops.sum(ops.square(w)) + 1.0)),
    }  # fmt: skip
    single = rank and math.prod(p.shape) == 1 and p.shape not in [tuple(w.shape) for w in weights]
    if kind < len(along) and rank and not single:
        chosen = list(along)[kind]
        return along[chosen], f"{chosen}({axis}, {keep}, {place})"
    if kind == 9 and rank == 2:
        return ops.transpose, "transpose"
    if kind == 10 and rank < 2:
        return lambda w: ops.expand_dims(w, new), f"expand_dims({new})"
    if kind == 11 and rank and size > 1:
        key = tuple(slice(1, None) if i == axis % rank else slice(None) for i in range(rank))
        return lambda w: w[key], f"[1:] of {axis}"
    if kind == 12 and rank == 2 and p.shape[0] <= 20:
        return lambda w: ops.matmul(w, ops.transpose(w)), "w @ w.T"
    if kind < 15 and tuple(other.shape) in ((), tuple(p.shape)):
        return lambda w: w - other * 0.5, f"- another of {tuple(other.shape)}"
    return plain[name], name


def _met(rng: np.random.Generator, value: Any, p: Any) -> tuple[Any, str]:
    """A value with what a weight became."""
    of, sizes, kind = tuple(value.shape[1:]), tuple(p.shape), int(rng.integers(6))
    fits = len(sizes) <= len(of) and all(a == b or 1 in (a, b) for a, b in zip(sizes[::-1], of[::-1], strict=False))
    if len(sizes) == 2 and of[-1] == sizes[0] and sizes[1] <= 20 and (kind < 3 or not fits):
        return ops.matmul(value, p), "value @ w"
    if not fits:
        return value * ops.mean(p), "value * mean(w)"
    ways: list[tuple[Callable[[], Any], str]] = [
        (lambda: value + p, "value + w"), (lambda: ops.where(value > p, value, p), "where(value > w)"),
        (lambda: p - value, "w - value"), (lambda: value / (1.0 + ops.square(p)), "value / (1 + w^2)"),
        (lambda: ops.maximum(value, p), "maximum"), (lambda: value * p, "value * w"),
    ]  # fmt: skip
    return ways[kind][0](), ways[kind][1]
