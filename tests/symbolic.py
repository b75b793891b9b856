"""Computes expressions with NumPy, to compare what a formula means on symbols with what it means on arrays."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from nncompile import ops
from nncompile.compiler.expression import differentiate
from nncompile.ops import ELEMENT, PRIMITIVES, ROW, UNIFORM, Expression


def symbol(name: str, value: Any) -> Expression:
    """A symbol for an array of rows, ``(n, k)`` or ``(n,)``, or for a number."""
    rank = np.ndim(value)
    if rank == 0:
        return ops.symbol(name, UNIFORM)
    return ops.symbol(name, ELEMENT if rank == 2 else ROW, (None, *np.shape(value)[1:]))


def evaluate(root: Expression, values: Mapping[Expression, Any]) -> Any:
    """Returns the value of an expression; a value per row keeps its axis, as ``(n, 1)``."""
    done: dict[Expression, Any] = {}
    for key, value in values.items():
        done[key] = np.reshape(value, (-1, 1)) if key.level == ROW else np.asarray(value)
    columns = max((np.shape(v)[1] for v in done.values() if np.ndim(v) == 2), default=1)

    def visit(x: Expression) -> Any:
        if x not in done:
            done[x] = compute(x)
        return done[x]

    def compute(x: Expression) -> Any:
        if x.op == "constant":
            return float(x.value)
        if x.op == "column":
            return np.arange(columns)
        args = [visit(a) for a in (x.args[:1] if x.op in ("custom", "expand") else x.args)]
        single = x.op in ("reshape", "row") and np.shape(args[0])[1:] == (1,)  # a column of its own
        if x.op in ("custom", "expand", "stop_gradient") or single:
            return args[0]
        if x.op == "over":
            op, axis = str(x.value).split()
            return (
                PRIMITIVES[op].numpy(args[0], axis=None if axis == "all" else int(axis), keepdims=True).reshape(x.shape)
            )
        if x.op == "view":
            return np.reshape(args[0], x.shape)
        if x.op in ("identity", "ones"):
            return np.eye(*x.shape) if x.op == "identity" else np.ones(x.shape)
        if x.op in ("product", "transposed"):
            return np.matmul(*args) if x.op == "product" else np.transpose(args[0])
        primitive = PRIMITIVES[x.op]
        if primitive.kind == "reduce":
            return primitive.numpy(args[0], axis=-1, keepdims=True)
        return np.asarray(getattr(ops, x.op)(*args, *((None,) if x.op == "cast" else ())))

    with np.errstate(all="ignore"):
        return visit(root)


def same(root: Expression, values: Mapping[Expression, Any], expected: Any, **tolerance: Any) -> None:
    """Asserts that an expression is worth ``expected``."""
    got = evaluate(root, values)
    np.testing.assert_allclose(np.reshape(got, np.shape(expected)), expected, **tolerance)


def gradient(formula: Callable[..., Any], values: Mapping[str, Any], wanted: str, seed: Any) -> Any:
    """Returns the gradient of ``sum(seed * formula(**values))`` by one of the values."""
    symbols = {name: symbol(name, value) for name, value in values.items()}
    g = symbol("g", seed)
    (result,) = differentiate(formula(**symbols), g, [symbols[wanted]])
    shape = np.shape(values[wanted])
    if result is None:
        return np.zeros(shape)
    known = {symbols[name]: value for name, value in values.items()}
    return np.broadcast_to(evaluate(result, {**known, g: seed}), shape)
