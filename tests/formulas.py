"""Random formulas, as trees, that stay away from overflow and from the ends of domains."""

from __future__ import annotations

from typing import Any

import numpy as np

from nncompile import ops

Tree = Any

UNARY = {
    "negative": lambda a: -a,
    "abs": ops.abs,
    "square": ops.square,
    "tanh": ops.tanh,
    "sigmoid": ops.sigmoid,
    "erf": ops.erf,
    "exp": lambda a: ops.exp(ops.tanh(a)),
    "expm1": lambda a: ops.expm1(ops.clip(a, -3.0, 2.0)),
    "log": lambda a: ops.log(ops.square(a) + 0.5),
    "log1p": lambda a: ops.log1p(ops.abs(a)),
    "sqrt": lambda a: ops.sqrt(ops.square(a) + 0.25),
    "rsqrt": lambda a: ops.rsqrt(ops.square(a) + 0.25),
    "reciprocal": lambda a: ops.reciprocal(ops.square(a) + 1.0),
    "clip": lambda a: ops.clip(a, -0.7, 0.9),
    "relu": lambda a: ops.maximum(a, 0.0),
    "floor": lambda a: a - ops.floor(a),
    "round": lambda a: a - ops.round(a),
    "sign": lambda a: ops.sign(a) * a,
    "power": lambda a: a**3,
    "softplus": lambda a: ops.log1p(ops.exp(-ops.abs(a))),
    "sum": lambda a: ops.sum(a, axis=-1, keepdims=True),
    "mean": lambda a: ops.mean(a, axis=-1, keepdims=True),
    "max": lambda a: ops.max(a, axis=-1, keepdims=True),
    "min": lambda a: ops.min(a, axis=-1, keepdims=True),
    "logsumexp": lambda a: ops.logsumexp(a, axis=-1, keepdims=True),
    "softmax": lambda a: ops.softmax(a, axis=-1),
    "log_softmax": lambda a: ops.log_softmax(a, axis=-1),
}
BINARY = {
    "add": lambda a, b: a + b,
    "subtract": lambda a, b: a - b,
    "multiply": lambda a, b: a * b,
    "divide": lambda a, b: a / (ops.square(b) + 1.0),
    "power": lambda a, b: (ops.square(a) + 0.5) ** ops.tanh(b),
    "maximum": ops.maximum,
    "minimum": ops.minimum,
    "less": lambda a, b: ops.where(ops.less(a, b), a, b * 0.5),
    "greater_equal": lambda a, b: ops.where(ops.greater_equal(a, 0.1), b, a),
    "logical": lambda a, b: ops.where(
        ops.logical_or(ops.less_equal(a, -0.2), ops.logical_not(ops.greater(b, 0.3))), a - b, a * b
    ),
    "cast": lambda a, b: a + b * ops.cast(ops.logical_and(ops.greater(a, b), ops.not_equal(a, 0.0)), None),
}
OVER_ROWS = ("sum", "mean", "max", "min", "logsumexp", "softmax", "log_softmax")


def random_tree(rng: np.random.Generator, leaves: list[str], depth: int = 4, over_rows: bool = True) -> Tree:
    """A tree of names of operations over the leaves and numbers; its value is one per row and column."""
    if depth == 0 or rng.random() < 0.1:
        return str(rng.choice(leaves)) if rng.random() < 0.85 else round(float(rng.normal()), 2)
    if rng.random() < 0.5:
        names = [n for n in UNARY if over_rows or n not in OVER_ROWS]
        inner = random_tree(rng, leaves, depth - 1, over_rows)
        name = str(rng.choice(names))
        if isinstance(inner, float) or (name in OVER_ROWS and not has_columns(inner)):
            return inner
        return (name, inner)
    pair = [random_tree(rng, leaves, depth - 1, over_rows) for _ in range(2)]
    if isinstance(pair[0], float):
        pair.reverse()
    return pair[0] if isinstance(pair[0], float) else (str(rng.choice(list(BINARY))), *pair)


def has_columns(tree: Tree) -> bool:
    """Whether a tree has a value for every column, so that there is something to reduce."""
    if isinstance(tree, tuple):
        return tree[0] in ("softmax", "log_softmax") or (
            tree[0] not in OVER_ROWS and any(has_columns(t) for t in tree[1:])
        )
    return tree in ("x", "x1", "x2")


def compute(tree: Tree, values: dict[str, Any]) -> Any:
    """The value of a tree on arrays, or its expression on symbols."""
    if isinstance(tree, str):
        return values[tree]
    if isinstance(tree, float):
        return tree
    operands = [compute(t, values) for t in tree[1:]]
    return (UNARY if len(operands) == 1 else BINARY)[tree[0]](*operands)
