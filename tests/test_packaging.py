"""What is installed is whole: the wheel holds templates and digits, and trains without this checkout."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

SCRIPT = """
import nncompile, pathlib, sys
assert pathlib.Path(nncompile.__file__).is_relative_to(sys.argv[1]), nncompile.__file__
from nncompile import Input, Sequential, datasets, layers
(x, y), _ = datasets.mnist.load_data()
model = Sequential([Input((28, 28)), layers.Flatten(), layers.Dense(10, activation="softmax")])
model.compile(loss="sparse_categorical_crossentropy", optimizer="adam", metrics=["accuracy"])
print(model.fit(x / 255, y, epochs=1, verbose=0).history["accuracy"][0])
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    source.mkdir()
    for name in ("nncompile", "templates", "pyproject.toml", "README.md", "LICENSE"):
        (source / name).symlink_to(ROOT / name)
    command = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--no-deps",
        "--no-build-isolation",
        "-w",
        folder,
        source,
    ]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    (made,) = folder.glob("*.whl")
    return made


def test_wheel_is_whole(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    templates = {p.relative_to(ROOT / "templates").as_posix() for p in (ROOT / "templates").rglob("*.j2")}
    assert {f"nncompile/templates/{t}" for t in templates} <= names
    assert {"nncompile/datasets/mnist9k.npz", "nncompile/py.typed"} <= names
    modules = {p.relative_to(ROOT).as_posix() for p in (ROOT / "nncompile").rglob("*.py")}
    assert modules <= names
    assert not [n for n in names if n.startswith(("tests", "examples"))]


def test_wheel_trains(wheel, tmp_path):
    site = tmp_path / "site"
    zipfile.ZipFile(wheel).extractall(site)
    env = {**os.environ, "PYTHONPATH": str(site)}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(site)], cwd=tmp_path, env=env, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) > 0.7
