"""Runs the scripts in ``tests/scripts`` with Keras or with nncompile, and keeps what Keras made of them.

Each is what a Keras user would write after a theme of Keras' documentation: it begins with
``import keras``, sets weights from a seed, and leaves numbers and words in a dictionary
``results``. nncompile gets the same text, but for that line: ``import keras`` becomes
``import nncompile as keras``, ``from keras import layers`` becomes ``from nncompile import
layers``. Names of files are within a folder that is empty at first.

python tests/keras_scripts.py               stores all results anew, with the Keras that is installed, on JAX
python tests/keras_scripts.py siamese ...   only those of these scripts
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import sys
import tempfile
import warnings
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

FOLDER = Path(__file__).with_name("scripts")
STORED = FOLDER / "keras.json"
OLD = ("keras_1_", "keras_2_")
"""How the names of scripts begin that Keras 3 cannot run: they compare old spellings with today's themselves."""
NAMES = sorted(path.stem for path in FOLDER.glob("*.py"))
WITH_KERAS = [name for name in NAMES if not name.startswith(OLD)]


def imports(line: str, package: str) -> str:
    """A line of a script, with another package in Keras' place if it is an import of Keras."""
    line = re.sub(r"^import keras$", f"import {package} as keras", line)
    return re.sub(r"^from keras((\.\w+)*) import ", rf"from {package}\1 import ", line)


def run(name: str, package: str) -> dict[str, Any]:
    """What the script ``name`` leaves in ``results``, in the current folder, with ``package`` for Keras."""
    path = FOLDER / f"{name}.py"
    text = "\n".join(imports(line, package) for line in path.read_text(encoding="utf-8").splitlines())
    variables: dict[str, Any] = {"__name__": f"scripts_{name}", "__file__": str(path)}
    exec(compile(text, str(path), "exec"), variables)
    return {key: plain(value) for key, value in variables["results"].items()}


def plain(value: Any) -> Any:
    """Numbers, words, lists and dicts of them: what JSON can hold."""
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, dict):
        return {str(key): plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    array = np.asarray(value)
    if array.dtype.kind == "f" or array.dtype.name == "bfloat16":
        return as_numbers(array.astype("float32").astype("float64").tolist())
    return array.tolist()


def as_numbers(value: Any) -> Any:
    """Floats with the eight digits that a float32 has."""
    return [as_numbers(one) for one in value] if isinstance(value, list) else float(f"{value:.8g}")


@contextlib.contextmanager
def folder_of_its_own() -> Any:
    """A current folder that is empty, and gone afterwards."""
    before = os.getcwd()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        try:
            yield
        finally:
            os.chdir(before)


@cache
def stored() -> dict[str, dict[str, Any]]:
    """Results of all scripts, as Keras computed them."""
    read: dict[str, dict[str, Any]] = json.loads(STORED.read_text(encoding="utf-8"))
    return read


def store(names: list[str]) -> None:
    """Runs scripts with Keras and keeps their results beside those of the others."""
    import keras

    for name in names:
        print(name, flush=True)
        keras.backend.clear_session(free_memory=False)
        with folder_of_its_own():
            made = run(name, "keras")
        stored.cache_clear()
        results = {**(stored() if STORED.exists() else {}), name: made}
        STORED.write_text(as_text(results), encoding="utf-8")


def as_text(results: dict[str, dict[str, Any]]) -> str:
    """JSON with a line for each result; those of scripts that are gone are left out."""
    parts = []
    for name in WITH_KERAS:
        if name in results:
            lines = [f"  {json.dumps(key)}: {json.dumps(value)}" for key, value in results[name].items()]
            parts.append(f"{json.dumps(name)}: {{\n" + ",\n".join(lines) + "\n}")
    return "{\n" + ",\n".join(parts) + "\n}\n"


if __name__ == "__main__":
    os.environ["KERAS_BACKEND"] = "jax"
    warnings.simplefilter("ignore")
    store(sys.argv[1:] or WITH_KERAS)
