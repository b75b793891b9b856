"""Random models, built by the same code in real Keras and here, give the same numbers.

What Keras computed is stored (random_cases.py makes it), so that all cases cost seconds;
some of each kind are computed by Keras again where it is installed, so that what is stored
is known to be its.

Both sides compute in float32, in different orders. A difference is counted in roundings:
units of eps times the largest number of an array, or 1. In training one update adds a few
of them to a weight, the network amplifies those of the updates before, and optimizers that
divide by the root of a running mean amplify them where gradients are near zero; so the
bound is a number of roundings per update. It was set at a few times what these cases need,
and is far below what a wrong formula, constant or order of updates would give: those
differ in the second or third digit.
"""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import numpy as np
import pytest
import random_cases
from random_cases import DIFFERENT, FAILING, KINDS, Numbers
from reference import roundings

import nncompile as nn
from nncompile import backend, registry

# Keras on NumPy 2 warns of itself; widths of 1 are among the cases, and Keras warns of them as we do
pytestmark = [
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:softmax. axis:UserWarning"),
    pytest.mark.filterwarnings("ignore:.*the loss of one class is always 0:SyntaxWarning"),
]

BOUNDS = {
    "graphs": 200, "activations": 4, "losses": 20, "metrics": 50, "schedules": 2, "optimizers": 50, "penalties": 10,
    "ops": 20, "training": 120,
}  # fmt: skip
"""Roundings of a case; of training, after all its updates."""
AGAIN = {"training": 1, "ops": 2, "optimizers": 3, "graphs": 4}
"""How many cases of a kind Keras computes anew, 6 of others: it takes seconds for a model, and longer to train one."""


@cache
def stored(kind: str) -> list[Numbers]:
    return list(random_cases.stored(kind))


def cases() -> list[Any]:
    """All but a few that Keras fails at itself. Those that differ must differ."""
    made = []
    for kind, (_, count) in KINDS.items():
        for seed in (seed for seed in range(count) if (kind, seed) not in FAILING):
            reason = DIFFERENT.get((kind, seed))
            marks: list[Any] = []
            if reason is not None:
                marks.append(pytest.mark.xfail(reason=reason, strict=True, raises=AssertionError))
            if seed // random_cases.VARIANTS % 6:  # variants share a program
                marks.append(pytest.mark.quick_c)
            made.append(pytest.param(kind, seed, marks=marks, id=f"{kind}-{seed}"))
    return made


def check(kind: str, got: Numbers, expected: Numbers) -> float:
    """Asserts that numbers are the same, and returns how many roundings they are apart."""
    assert list(got) == list(expected)
    worst = 0.0
    for name, wanted in expected.items():
        assert got[name].shape == wanted.shape, name
        if kind == "training" and ("accuracy" in name or "positives" in name):  # steps of one row: ties break otherwise
            step = 1.01 if "positives" in name else 1.01 / random_cases.VALIDATION_ROWS
            assert np.abs(got[name] - wanted).max(initial=0) <= step, name
            continue
        scale = max(1.0, float(np.max(np.abs(wanted), initial=0, where=np.isfinite(wanted))))
        apart = roundings(got[name], wanted, scale=scale)
        assert apart <= BOUNDS[kind], f"{name}: {apart:.0f} roundings"
        worst = max(worst, apart)
    return worst


@pytest.mark.parametrize(("kind", "seed"), cases())
def test_same_numbers_as_keras(kind: str, seed: int, disagreements: dict[str, float]) -> None:
    backend.clear_session(free_memory=False)
    worst = check(kind, random_cases.of(kind, nn, seed), stored(kind)[seed])
    key = f"{kind}, roundings"
    disagreements[key] = max(disagreements.get(key, 0.0), worst)


@pytest.mark.parametrize(("kind", "seed"), FAILING)
def test_what_keras_fails_at_is_computed(kind: str, seed: int) -> None:
    """There is nothing to compare it with; that it is right is for the tests of what it is made of."""
    assert not stored(kind)[seed]
    backend.clear_session(free_memory=False)
    assert all(np.isfinite(value).all() for value in random_cases.of(kind, nn, seed).values())


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_stored_is_what_keras_computes(kind: str) -> None:
    from oracle import keras

    keras.backend.clear_session(free_memory=False)
    count = KINDS[kind][1]
    assert len(stored(kind)) == count
    for seed in range(0, count, count // AGAIN.get(kind, 6) + 1):
        keras.backend.clear_session(free_memory=False)
        if (kind, seed) not in FAILING:
            check(kind, random_cases.of(kind, keras, seed), stored(kind)[seed])


def test_everything_is_among_the_cases() -> None:
    """Every loss, optimizer, activation, regularizer, constraint and schedule, and nearly every layer."""
    names = {kind: json.dumps([list(case) for case in stored(kind)]) for kind in ("losses", "activations")}
    for kind, text in names.items():
        for name, thing in registry.registered(kind).items():
            assert name in text or (kind == "losses" and not isinstance(thing, type)), name
    assert {name for name, _ in random_cases.OPTIMIZERS} == set(registry.registered("optimizers"))
    assert {name for name, _ in random_cases.REGULARIZERS} == set(registry.registered("regularizers"))
    assert {name for name, _ in random_cases.CONSTRAINTS} == set(registry.registered("constraints")) - {"Constraint"}
    found = set()
    for seed in range(KINDS["graphs"][1]):
        backend.clear_session(free_memory=False)
        found |= {type(x).__name__ for x in random_cases.random_model(nn, seed, seed % 3 == 0).layers}
    missing = set(registry.registered("layers")) - found
    assert missing <= {"Lambda", "SpatialDropout1D", "Discretization", "Masking"}, missing
    assert len(cases()) >= 834
