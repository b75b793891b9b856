"""Formulas over ``ops`` for a layer's call, made alike of real Keras and of nncompile: each operation with its arguments.

A formula is called with the library's ``ops``, a value ``x`` of shape (rows, width) or
(rows, positions, width), and another one ``z`` of the same shape. What has no derivative,
or only in pieces, is wrapped so that it is used where it has one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Formula = Callable[[Any, Any, Any], Any]
"""Of ops, x and z."""


def named(name: str, *more: Any, of: Formula | None = None, **options: Any) -> Formula:
    """An operation of one value, by default of x itself."""
    return lambda o, x, z: getattr(o, name)(x if of is None else of(o, x, z), *more, **options)


def both(name: str, *more: Any, **options: Any) -> Formula:
    """An operation of x and z."""
    return lambda o, x, z: getattr(o, name)(x, z, *more, **options)


def truth(formula: Formula) -> Formula:
    """Numbers of what holds or does not, in which only z is trained."""
    return lambda o, x, z: o.where(formula(o, x, z), z, -0.5 * z)


def row(formula: Formula) -> Formula:
    """One number per row, or position, as a column again."""
    return lambda o, x, z: o.expand_dims(formula(o, x, z), -1)


def above(least: float) -> Formula:
    """Values of more than a number, with a derivative everywhere."""
    return lambda o, x, z: o.square(x) + least


def within(most: float) -> Formula:
    """Values of less than a number, with a derivative everywhere."""
    return lambda o, x, z: most * o.tanh(x)


def elementwise() -> dict[str, Formula]:
    """Operations number by number, of one value."""
    made: dict[str, Formula] = {}
    for name in (
        "abs", "absolute", "fabs", "negative", "square", "exp", "exp2", "expm1", "sin", "cos", "tanh", "arctan", "arcsinh",
        "sinh", "cosh", "erf", "erfc", "cbrt", "sigmoid", "silu", "swish", "relu", "relu6", "elu", "selu", "celu", "softplus",
        "softsign", "log_sigmoid", "hard_sigmoid", "hard_silu", "hard_swish", "hard_tanh", "tanh_shrink", "hard_shrink",
        "soft_shrink", "sparse_plus", "sparse_sigmoid", "squareplus", "sinc", "deg2rad", "nan_to_num", "copy", "real", "conj",
    ):  # fmt: skip
        made[name] = named(name)
    for name in ("sqrt", "rsqrt", "log", "log2", "log10", "log1p", "reciprocal"):
        made[name] = named(name, of=above(0.3))
    for name in ("arcsin", "arccos", "arctanh", "erfinv", "tan"):
        made[name] = named(name, of=within(0.8))
    made["arccosh"] = named("arccosh", of=above(1.2))
    for name in ("floor", "ceil", "trunc", "round", "sign"):
        made[name] = lambda o, x, z, name=name: getattr(o, name)(x) * z  # a step, whose derivative is 0
    made["round to 1"] = lambda o, x, z: o.round(x, 1) + z
    made["rad2deg"] = named("rad2deg", of=within(0.1))
    for name in ("isnan", "isinf", "isfinite", "isposinf", "isneginf", "signbit", "isreal", "logical_not"):
        made[name] = truth(named(name))
    made |= {
        "clip": named("clip", -0.5, 0.7), "leaky_relu": named("leaky_relu", negative_slope=0.3),
        "elu, alpha": named("elu", alpha=0.4), "celu, alpha": named("celu", alpha=0.5),
        "gelu": named("gelu"), "gelu, exact": named("gelu", approximate=False),
        "threshold": named("threshold", 0.2, -0.4), "hard_shrink, threshold": named("hard_shrink", threshold=0.2),
        "soft_shrink, threshold": named("soft_shrink", threshold=0.2), "squareplus, b": named("squareplus", b=1.5),
        "power 2": named("power", 2), "power 3": named("power", 3.0), "power 1.5": named("power", 1.5, of=above(0.3)),
        "power -1": named("power", -1.0, of=above(0.5)), "x ** 2": lambda o, x, z: x**2,
        "number ** x": lambda o, x, z: 1.7**x, "number / x": lambda o, x, z: 0.5 / (o.square(x) + 0.4),
        "number - x": lambda o, x, z: 0.3 - x, "-x": lambda o, x, z: -x, "abs(x)": lambda o, x, z: abs(x),
        "zeros_like": lambda o, x, z: o.zeros_like(x) + z, "ones_like": lambda o, x, z: o.ones_like(x) * z,
        "full_like": lambda o, x, z: o.full_like(x, 0.3) * z, "stop_gradient": lambda o, x, z: o.stop_gradient(x) * z,
        "cast": lambda o, x, z: o.cast(o.greater(x, 0.0), "float32") * z,
        "digitize": lambda o, x, z: o.cast(o.digitize(x, [-0.5, 0.0, 0.8]), "float32") * z,
        "ldexp": lambda o, x, z: o.ldexp(x, 2),
    }  # fmt: skip
    return made


def pairs() -> dict[str, Formula]:
    """Operations number by number, of two values."""
    made: dict[str, Formula] = {}
    for name in ("add", "subtract", "multiply", "maximum", "minimum", "fmax", "fmin", "hypot", "arctan2", "logaddexp",
                 "logaddexp2"):  # fmt: skip
        made[name] = both(name)
    for name in ("less", "less_equal", "greater", "greater_equal", "equal", "not_equal", "logical_xor", "isclose"):
        made[name] = truth(both(name))
    for name in ("logical_and", "logical_or"):
        made[name] = truth(
            lambda o, x, z, name=name: getattr(o, name)(o.greater(x, 0.1), o.logical_not(o.less(z, -0.2)))
        )
    made |= {
        "divide": lambda o, x, z: o.divide(x, o.square(z) + 0.5), "x / z": lambda o, x, z: x / (o.abs(z) + 0.5),
        "true_divide": lambda o, x, z: o.true_divide(x, o.exp(z)),
        "divide_no_nan": lambda o, x, z: o.divide_no_nan(x, o.relu(z) * 2 + 0.5),
        "power": lambda o, x, z: o.power(o.square(x) + 0.5, o.tanh(z)),
        "mod": lambda o, x, z: o.mod(x, 0.7) + z, "floor_divide": lambda o, x, z: o.floor_divide(x, 0.6) * z,
        "x % number": lambda o, x, z: x % 0.7 + z, "x // number": lambda o, x, z: x // 0.6 + z,
        "heaviside": lambda o, x, z: o.heaviside(x, 0.5) * z,
        "where": lambda o, x, z: o.where(o.greater(x, z), x, 0.5 * z),
        "where, number": lambda o, x, z: o.where(x > 0.3, x * z, -0.2),
        "select": lambda o, x, z: o.select([o.less(x, -0.3), o.greater(x, 0.4)], [z, x * z], 0.25),
        "maximum, number": lambda o, x, z: o.maximum(x, 0.2) * z, "minimum, number": lambda o, x, z: o.minimum(0.1, x) - z,
        "x > z": lambda o, x, z: o.cast(x > z, "float32") * x,
        "x + z, x * z, x - z": lambda o, x, z: (x + z) * (x - z),
    }  # fmt: skip
    return made


def reductions() -> dict[str, Formula]:
    """Reductions over the last axis and over axis 1, with and without it as one of size 1."""
    made: dict[str, Formula] = {}
    smooth = {
        "sum": {}, "mean": {}, "max": {}, "min": {}, "amax": {}, "amin": {}, "prod": {}, "var": {}, "std": {}, "logsumexp": {},
        "norm": {}, "norm, 1": {"ord": 1}, "norm, 3": {"ord": 3}, "norm, inf": {"ord": float("inf")}, "ptp": {}, "nansum": {},
        "nanmean": {}, "nanmax": {}, "nanmin": {}, "nanprod": {}, "nanvar": {}, "nanstd": {},
    }  # fmt: skip
    for title, options in smooth.items():
        name = title.split(",")[0]
        for axis in (-1, 1):
            made[f"{title}, axis={axis}"] = lambda o, x, z, name=name, axis=axis, options=options: (
                z * getattr(o, name)(x, axis=axis, keepdims=True, **options)
            )
        made[f"{title}, dropped"] = row(named(name, axis=-1, **options))
    for name in ("any", "all", "argmax", "argmin", "nanargmax", "nanargmin"):
        of = (lambda o, x, z: o.greater(x, 0.4)) if name in ("any", "all") else (lambda o, x, z: x)
        for axis in (-1, 1):
            made[f"{name}, axis={axis}"] = lambda o, x, z, name=name, axis=axis, of=of: (
                z * o.cast(getattr(o, name)(of(o, x, z), axis=axis, keepdims=True), "float32")
            )
    for axis in (-1, 1):
        made[f"count_nonzero, axis={axis}"] = lambda o, x, z, axis=axis: (
            z * o.expand_dims(o.cast(o.count_nonzero(o.relu(x), axis=axis), "float32"), axis)
        )
        made[f"softmax, axis={axis}"] = named("softmax", axis=axis)
        made[f"log_softmax, axis={axis}"] = named("log_softmax", axis=axis)
        made[f"normalize, axis={axis}"] = named("normalize", axis=axis)
        made[f"normalize, order 1, axis={axis}"] = named("normalize", axis=axis, order=1)
        made[f"layer_normalization, axis={axis}"] = named("layer_normalization", axis=axis)
        made[f"rms_normalization, axis={axis}"] = named("rms_normalization", axis=axis)
        made[f"moments, axis={axis}"] = lambda o, x, z, axis=axis: o.add(*o.moments(x, [axis], keepdims=True)) * z
        made[f"average, axis={axis}"] = lambda o, x, z, axis=axis: z * o.expand_dims(o.average(x, axis=axis), axis)
        made[f"max, initial, axis={axis}"] = lambda o, x, z, axis=axis: (
            z * o.max(x, axis=axis, keepdims=True, initial=0.3)
        )
    return made


def arrangements() -> dict[str, Formula]:
    """Operations that move numbers, of any rank."""
    made: dict[str, Formula] = {}
    for axis in (-1, 1):
        made[f"concatenate, axis={axis}"] = lambda o, x, z, axis=axis: o.concatenate([x, o.tanh(z), x], axis=axis)
        made[f"stack, axis={axis}"] = lambda o, x, z, axis=axis: o.stack([x, z], axis=axis)
        made[f"flip, axis={axis}"] = named("flip", axis=axis)
        made[f"roll, axis={axis}"] = named("roll", 2, axis=axis)
        made[f"repeat, axis={axis}"] = named("repeat", 2, axis=axis)
        made[f"expand_dims, axis={axis}"] = lambda o, x, z, axis=axis: o.squeeze(o.expand_dims(x * z, axis), axis)
        made[f"take, axis={axis}"] = named("take", [1, 0, 1], axis=axis)
        made[f"split, axis={axis}"] = lambda o, x, z, axis=axis: o.multiply(
            *o.split(o.concatenate([x, z], axis), 2, axis)
        )
        made[f"split at, axis={axis}"] = lambda o, x, z, axis=axis: o.split(x * z, [1], axis)[0]
        made[f"diff, axis={axis}"] = named("diff", axis=axis)
        made[f"trapezoid, axis={axis}"] = lambda o, x, z, axis=axis: (
            z * o.expand_dims(o.trapezoid(x, dx=0.5, axis=axis), axis)
        )
        made[f"unstack, axis={axis}"] = lambda o, x, z, axis=axis: o.stack(o.unstack(x, axis=axis)[::-1], axis=axis) * z
        made[f"append, axis={axis}"] = both("append", axis=axis)
        made[f"one_hot, axis={axis}"] = lambda o, x, z, axis=axis: z * o.max(
            o.one_hot(o.argmax(x, axis=axis), 4), axis=-1, keepdims=True
        ) if len(x.shape) == 2 else o.one_hot(o.argmax(x, axis=axis), 4)  # fmt: skip
    made |= {
        "x[:, 1:]": lambda o, x, z: x[:, 1:], "x[..., ::-1]": lambda o, x, z: x[..., ::-1] * z,
        "x[..., :1]": lambda o, x, z: z + x[..., :1], "x[..., -1]": row(lambda o, x, z: x[..., -1]),
        "x[:, None]": lambda o, x, z: x[:, None] * z[:, None], "x[..., ::2]": lambda o, x, z: x[..., ::2],
        "get_item": lambda o, x, z: o.get_item(x, (slice(None), slice(0, 2))),
        "reshape": lambda o, x, z: o.reshape(x, (-1, x.shape[1], *x.shape[2:], 1)),
        "reshape flat": lambda o, x, z: o.reshape(x * z, (-1, x.shape[-1] * (x.shape[1] if len(x.shape) == 3 else 1))),
        "swapaxes": lambda o, x, z: o.swapaxes(o.stack([x, z], axis=1), 1, -1),
        "moveaxis": lambda o, x, z: o.moveaxis(o.stack([x, z], axis=1), 1, -1),
        "transpose": lambda o, x, z: o.transpose(o.stack([x, z], axis=1), (0, 2, 1, *range(3, len(x.shape) + 1))),
        "tile": lambda o, x, z: o.tile(x, (1,) * (len(x.shape) - 1) + (2,)),
        "pad": lambda o, x, z: o.pad(x, [(0, 0)] * (len(x.shape) - 1) + [(1, 2)]),
        "pad of axis 1": lambda o, x, z: o.pad(x, [(0, 0), (2, 0), *[(0, 0)] * (len(x.shape) - 2)]),
        "pad, number": lambda o, x, z: o.pad(x, [(0, 0), *[(1, 2)] * (len(x.shape) - 1)], constant_values=0.5),
        "hstack": lambda o, x, z: o.hstack([x, z]), "glu": lambda o, x, z: o.glu(o.concatenate([x, z], axis=-1)),
        "broadcast_to": lambda o, x, z: o.broadcast_to(o.mean(x, axis=-1, keepdims=True), o.shape(z)) * z,
        "binary_crossentropy": lambda o, x, z: o.binary_crossentropy(o.sigmoid(x), o.sigmoid(z)),
        "binary_crossentropy, logits": lambda o, x, z: o.binary_crossentropy(o.sigmoid(x), z, from_logits=True),
        "categorical_crossentropy": row(lambda o, x, z: o.categorical_crossentropy(o.softmax(x), o.softmax(z))),
        "categorical_crossentropy, logits": row(
            lambda o, x, z: o.categorical_crossentropy(o.softmax(x), z, from_logits=True)
        ),
        "sparse_categorical_crossentropy": row(
            lambda o, x, z: o.sparse_categorical_crossentropy(o.argmax(x, axis=-1), z, from_logits=True)
        ),
        "standardized": lambda o, x, z: (x - o.mean(x, -1, keepdims=True)) / (o.std(x, -1, keepdims=True) + 0.1),
        "attention": lambda o, x, z: o.sum(o.softmax(x * z, axis=1) * z, axis=1),
        "gated": lambda o, x, z: o.tanh(x) * o.sigmoid(z) + x * (1 - o.sigmoid(z)),
        "cosine": row(lambda o, x, z: o.sum(o.normalize(x, axis=-1) * o.normalize(z, axis=-1), axis=-1)),
        "distance": row(lambda o, x, z: o.sqrt(o.sum(o.square(x - z), axis=-1) + 0.1)),
    }  # fmt: skip
    return made


PLANES: dict[str, Formula] = {
    "sum, axes": lambda o, x, z: z * o.sum(x, axis=(1, 2), keepdims=True),
    "mean, axes": lambda o, x, z: o.mean(x * z, axis=(1, 2), keepdims=True) + x,
    "max, axes": lambda o, x, z: z * o.max(x, axis=(1, 2), keepdims=True),
    "min, axes": lambda o, x, z: z - o.min(x, axis=(1, 2), keepdims=True),
    "var, axes": lambda o, x, z: z * o.var(x, axis=(1, 2), keepdims=True),
    "logsumexp, axes": lambda o, x, z: z - o.logsumexp(x, axis=(1, 2), keepdims=True),
    "layer_normalization, axes": named("layer_normalization", axis=[1, 2]),
    "moments, axes": lambda o, x, z: o.subtract(*o.moments(x, [1, 2], keepdims=True)) * z,
    "mean, axis=1, dropped": lambda o, x, z: o.mean(x * z, axis=1),
    "max, axis=1, dropped": lambda o, x, z: o.max(x + z, axis=1),
    "std, axis=1, dropped": lambda o, x, z: o.std(x - z, axis=1),
    "transpose of planes": lambda o, x, z: o.transpose(x, (0, 2, 1)),
    "reshape of planes": lambda o, x, z: o.reshape(x * z, (-1, x.shape[2], x.shape[1])),
    "x[:, 0]": lambda o, x, z: x[:, 0] * z[:, -1],
    "x[:, 1:] - x[:, :-1]": lambda o, x, z: x[:, 1:] - z[:, :-1],
    "x[:, ::-1, 1:]": lambda o, x, z: x[:, ::-1, 1:],
    "tril": lambda o, x, z: o.tril(x, k=1), "triu": lambda o, x, z: o.triu(x),
    "roll of positions": lambda o, x, z: o.roll(x, -1, axis=1) * z,
    "softmax of both axes": lambda o, x, z: o.softmax(o.softmax(x, axis=1) * z, axis=-1),
    "plane by column": lambda o, x, z: x * z[:, :1] + z[..., :1],
    "pad of positions": lambda o, x, z: o.pad(x, ((0, 0), (1, 1), (0, 0))),
    "weighted mean of positions": lambda o, x, z: o.sum(x * o.softmax(z, axis=1), axis=1) / x.shape[1],
}  # fmt: skip
"""Formulas of three axes alone."""

PER_MODEL = 12
"""Formulas of one model, each of values of its own and of one value that all share."""


def models() -> list[list[tuple[str, int, Formula]]]:
    """Formulas with their names and ranks, as they are put together to models: each once, in either rank in turn."""
    every = {**elementwise(), **pairs(), **reductions(), **arrangements()}
    ranks = [(name, 3 if "axis=1" in name or i % 2 else 2, f) for i, (name, f) in enumerate(every.items())]
    ranks += [(name, 3, f) for name, f in PLANES.items()]
    made = []
    for rank in (2, 3):
        chosen = [case for case in ranks if case[1] == rank]
        made += [chosen[at : at + PER_MODEL] for at in range(0, len(chosen), PER_MODEL)]
    return made
