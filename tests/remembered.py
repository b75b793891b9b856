"""What real Keras computes in tests that train: stored beside them, as random_cases.py stores its numbers.

Keras compiles every model with XLA for one or more seconds. Of the stored results one in
some is computed again whenever the tests run, so that what is stored is known to be its. A
result that belongs to another test than the one that is there now does not agree with it.

NNCOMPILE_REMEMBER=1 pytest -n0 tests/test_batchwise.py     stores all results of a file anew
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nncompile as nn

FOLDER = Path(__file__).with_name("remembered")
AGAIN = 6
"""One result in so many is computed by Keras again."""


def leaves(structure: Any, path: str = "") -> dict[str, Any]:
    """The arrays and numbers in a structure of dicts, lists and tuples, by where they are."""
    if isinstance(structure, Mapping):
        items: list[tuple[Any, Any]] = list(structure.items())
    elif isinstance(structure, (list, tuple)):
        items = list(enumerate(structure))
    else:
        return {path: np.asarray(structure)}
    return {place: x for key, value in items for place, x in leaves(value, f"{path}/{key}").items()}


def assert_as_keras(
    request: pytest.FixtureRequest, compute: Callable[[Any], Any], rtol: float = 2e-5, atol: float = 1e-6
) -> None:
    """Asserts that nncompile computes what Keras does, or did.

    Args:
        request: of the test, whose name the result has.
        compute: what is done with a library; it gives numbers and arrays in any structure.
        rtol: how far apart they may be, as ``numpy.testing.assert_allclose`` has it.
        atol: likewise.
    """
    file, name = FOLDER / f"{request.path.stem.removeprefix('test_')}.npz", request.node.name
    stored = dict(np.load(file)) if file.exists() else {}
    remember = bool(os.environ.get("NNCOMPILE_REMEMBER"))
    mine = {key.partition("|")[2]: x for key, x in stored.items() if key.partition("|")[0] == name}
    if remember or zlib.crc32(name.encode()) % AGAIN == 0:
        from oracle import keras

        theirs = leaves(compute(keras))
        if remember:
            kept = {key: x for key, x in stored.items() if key.partition("|")[0] != name}
            FOLDER.mkdir(exist_ok=True)
            np.savez_compressed(file, **kept, **{f"{name}|{path}": x for path, x in theirs.items()})
            mine = theirs
        _agree(mine, theirs, rtol, atol, "what is stored is not what Keras computes: ")
    if not mine:
        raise AssertionError(
            f"{file.name} has no result of {name}: NNCOMPILE_REMEMBER=1 pytest -n0 {request.path.name}"
        )
    _agree(leaves(compute(nn)), mine, rtol, atol, "")


def _agree(ours: Mapping[str, Any], theirs: Mapping[str, Any], rtol: float, atol: float, what: str) -> None:
    assert list(ours) == list(theirs), what
    for path, expected in theirs.items():
        np.testing.assert_allclose(ours[path], expected, rtol=rtol, atol=atol, err_msg=what + path)
