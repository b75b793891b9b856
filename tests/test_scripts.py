"""Scripts as a Keras user writes them give here the numbers that Keras gives: only the line of the import is another.

The scripts are in the folder ``scripts``; keras_scripts.py runs them, says what is
changed in their text, and how what Keras computed is stored anew. Both sides begin with
the same weights, take the rows in the same order, and draw no numbers that matter. Facts
(names, shapes, counts, files) are the same; numbers agree within
:data:`RELATIVE` of themselves or :data:`ABSOLUTE`: a few epochs in float32, computed in
different orders. Warnings are errors: a script does nothing that nncompile warns of.
"""

from __future__ import annotations

import json
import math
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras_scripts
import pytest
from keras_scripts import OLD, WITH_KERAS

import nncompile as nn
from nncompile import backend, config

RELATIVE, ABSOLUTE = 1e-4, 1e-5
WIDER: dict[str, tuple[float, str]] = {
    "mixed_precision": (2e-2, "operands have eight bits, and sums of them are rounded at other places"),
    "subclassed_model": (
        1e-3,
        "a bias before a normalisation has no gradient but roundings, of which Adam makes steps",
    ),
}
"""Scripts of which numbers may differ by more, relatively and of 1, and why."""
AGAIN = ["functional_api", "own_losses", "own_weights_rules"]
"""Those that Keras computes anew: quick ones of which each stands for others."""


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A folder for what a script writes; names of layers from the start; what it registers and sets is forgotten."""
    monkeypatch.chdir(tmp_path)
    backend.clear_session(free_memory=False)
    monkeypatch.setattr(config, "_policy", config._policy)  # the one that was set, which may be none
    known = dict(nn.saving.get_custom_objects())
    yield
    objects = nn.saving.get_custom_objects()
    objects.clear()
    objects.update(known)


def differences(got: Any, wanted: Any, bound: float, where: str = "") -> Iterator[str]:
    """What of some results is not as it should be."""
    if isinstance(wanted, dict) and isinstance(got, dict) and set(got) == set(wanted):
        for key, value in wanted.items():
            yield from differences(got[key], value, bound, f"{where}[{key!r}]")
    elif isinstance(wanted, list) and isinstance(got, list) and len(got) == len(wanted):
        for i, value in enumerate(wanted):
            yield from differences(got[i], value, bound, f"{where}[{i}]")
    elif isinstance(wanted, float) and isinstance(got, float):
        near = abs(got - wanted) <= max(bound * abs(wanted), bound * ABSOLUTE / RELATIVE)
        if not (near or (math.isnan(got) and math.isnan(wanted))):
            yield f"{where}: {got!r}, Keras has {wanted!r}"
    elif type(got) is not type(wanted) or got != wanted:
        yield f"{where}: {got!r}, Keras has {wanted!r}"


def check(name: str, got: dict[str, Any], wanted: dict[str, Any]) -> None:
    bound, _ = WIDER.get(name, (RELATIVE, ""))
    found = list(differences(got, wanted, bound))
    assert not found, f"{len(found)} results of {name}.py differ:\n" + "\n".join(found[:20])


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.quick_c(i % 3 != 0)) for i, name in enumerate(WITH_KERAS)]
)
def test_same_results_as_keras(name: str) -> None:
    check(name, keras_scripts.run(name, "nncompile"), keras_scripts.stored()[name])


@pytest.mark.parametrize("name", [name for name in keras_scripts.NAMES if name.startswith(OLD)])
def test_old_spellings_are_those_of_today(name: str) -> None:
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        results = keras_scripts.run(name, "nncompile")
    assert {w.category for w in said} == {DeprecationWarning}, said
    check(name, results["old"], results["today"])


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
@pytest.mark.parametrize("name", AGAIN)
def test_what_is_stored_is_what_keras_computes(name: str) -> None:
    from oracle import keras

    keras.backend.clear_session(free_memory=False)
    check(name, keras_scripts.run(name, "keras"), keras_scripts.stored()[name])


def test_scripts_name_keras_alone() -> None:
    """Each imports Keras in the lines that are changed, knows nothing of nncompile, and has results of Keras."""
    for name in keras_scripts.NAMES:
        lines = (keras_scripts.FOLDER / f"{name}.py").read_text(encoding="utf-8").splitlines()
        assert lines.count("import keras") == lines.count("import numpy as np") == 1, name
        assert not any("nncompile" in line for line in lines), name
        left = [keras_scripts.imports(line, "nncompile") for line in lines]
        assert not any(line.lstrip().startswith(("import keras", "from keras")) for line in left), name
    assert sorted(json.loads(keras_scripts.STORED.read_text(encoding="utf-8"))) == WITH_KERAS
