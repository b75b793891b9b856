"""What training must do, with NumPy: losses of a whole model, gradients by differences, distances in roundings."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest

import nncompile as nn
from nncompile import config, targets

Array = np.ndarray[Any, Any]


@contextmanager
def float_type(name: str) -> Iterator[None]:
    """Layers made inside have this element type."""
    before = config.floatx()
    config.set_floatx(name)
    try:
        yield
    finally:
        config.set_floatx(before)


def forms(tiles: bool = False) -> list[str]:
    """One target of each form that C is printed in: vectors of each size, and scalars.

    Those of the same form get the same C, but for products in bfloat16, the number of weights that are updated together
    and the target's name.

    Args:
        tiles: whether those that differ in products in bfloat16 are of two forms.
    """
    best: dict[tuple[str, int, str], str] = {}
    for each in targets.available():
        best.setdefault((each.form, each.vector_bytes, each.tiles if tiles else ""), each.name)
    return list(best.values())


def every_form(tiles: bool = False) -> list[Any]:
    """:func:`forms` as parameters. The widest vectors and scalars are compiled as for users, widths between quickly."""
    names = forms(tiles)
    return [pytest.param(name, marks=pytest.mark.quick_c(name not in (names[0], names[-1]))) for name in names]


@contextmanager
def target(name: str) -> Iterator[None]:
    """Models compiled inside are for this target."""
    targets.set_host(name)
    try:
        yield
    finally:
        targets.set_host(None)


def central_differences(
    model: Any, loss: Any, x: Array, y: Array, step: float = 1e-5, training: bool | None = None, but: int = 0
) -> list[Array]:
    """The gradient of the loss of a batch by every weight, but for the last few; the model computes with NumPy, in float64.

    Two steps, of ``step`` and half of it, are combined so that the error is of order
    ``step**4``.
    """
    gradients = []
    for variable in model.trainable_weights[: -but or None]:
        start = variable.value
        gradient = np.zeros_like(start)
        for index in np.ndindex(start.shape):

            def at(
                distance: float, index: tuple[int, ...] = index, variable: Any = variable, start: Array = start
            ) -> float:
                moved = start.copy()
                moved[index] += distance
                variable.assign(moved)
                return float(loss(y, model.call(x, training=training)))

            wide = (at(step) - at(-step)) / (2 * step)
            narrow = (at(step / 2) - at(-step / 2)) / step
            gradient[index] = (4 * narrow - wide) / 3
        variable.assign(start)
        gradients.append(gradient)
    return gradients


def check_along(
    model: Any, loss: Any, x: Array, y: Array, gradients: Sequence[Array], count: int = 10, rtol: float = 1e-6
) -> None:
    """Checks gradients of a model that trains against differences along random directions of all weights together.

    It is much less work than :func:`central_differences` by every number, and any number that is wrong is in every
    direction. What fails is looked for weight by weight.
    """
    rng, variables = np.random.default_rng(count), model.trainable_weights

    def along(directions: Sequence[Array]) -> float:
        starts = [v.value for v in variables]

        def at(distance: float) -> float:
            for variable, start, direction in zip(variables, starts, directions, strict=True):
                variable.assign(start + distance * direction)
            return float(loss(y, model.call(x, training=True)))

        step = 1e-5 / np.sqrt(sum(np.sum(np.square(d)) for d in directions))
        wide, narrow = ((at(s) - at(-s)) / (2 * s) for s in (step, step / 2))
        for variable, start in zip(variables, starts, strict=True):
            variable.assign(start)
        return float((4 * narrow - wide) / 3)

    def differ(directions: Sequence[Array]) -> bool:
        parts = [float(np.sum(g * d)) for g, d in zip(gradients, directions, strict=True)]
        size = np.sqrt(sum(np.sum(np.square(g * d)) for g, d in zip(gradients, directions, strict=True)))
        return not abs(along(directions) - sum(parts)) <= rtol * (1 + size)

    for _ in range(count):
        directions = [rng.normal(size=v.shape) for v in variables]
        if differ(directions):
            alone = [[d if i == j else 0 * d for j, d in enumerate(directions)] for i in range(len(directions))]
            raise AssertionError(f"wrong: {[v.path for v, d in zip(variables, alone, strict=True) if differ(d)]}")


def trained_gradients(model: Any, x: Array, y: Array) -> list[Array]:
    """The gradient that the C computes, from one step of SGD with a learning rate of 1; the weights stay."""
    before = [w.value for w in model.trainable_weights]
    model.train_on_batch(x, y)
    after = [w.value for w in model.trainable_weights]
    for variable, value in zip(model.trainable_weights, before, strict=True):
        variable.assign(value)
    return [a - b for a, b in zip(before, after, strict=True)]


def descent(model: Any, loss: Any, metrics: Sequence[Any] = ()) -> Any:
    """Compiles a model such that a step subtracts the gradient."""
    model.compile(nn.optimizers.SGD(1.0), loss, metrics=list(metrics))
    return model


def roundings(got: Any, expected: Any, dtype: str = "float32", scale: float | None = None) -> float:
    """The largest difference of two arrays in units of ``eps * max(scale, |expected|)``.

    Args:
        got: what was computed.
        expected: what should have been.
        dtype: the element type whose ``eps`` is the unit.
        scale: size of the numbers that were added up on the way; the largest of
            ``expected`` if None.
    """
    got, expected = np.asarray(got, "float64"), np.asarray(expected, "float64")
    assert got.shape == expected.shape, (got.shape, expected.shape)
    if not got.size:
        return 0.0
    size = float(np.max(np.abs(expected))) if scale is None else scale
    unit = np.finfo(dtype).eps * np.maximum(np.abs(expected), max(size, np.finfo(dtype).tiny))
    same = (got == expected) | (np.isnan(got) & np.isnan(expected))
    with np.errstate(invalid="ignore"):  # of infinities, which are told apart by ``same``
        difference = np.abs(got - expected)
        distance = np.where(np.isfinite(difference), difference, np.inf) / unit
    return float(np.max(np.where(same, 0.0, np.where(np.isnan(distance), np.inf, distance))))
