"""What is installed is whole: the wheel holds templates and digits, and trains without this checkout."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import jinja2
import pytest

from nncompile.compiler import environment
from nncompile.compiler.environment import COMPILED

ROOT = Path(__file__).parent.parent

SCRIPT = """
import hashlib, nncompile, pathlib, sys
assert pathlib.Path(nncompile.__file__).is_relative_to(sys.argv[1]), nncompile.__file__
from nncompile import Input, Sequential, datasets, layers
(x, y), _ = datasets.mnist.load_data()
model = Sequential([Input((28, 28)), layers.Flatten(), layers.Dense(10, activation="softmax")])
model.compile(loss="sparse_categorical_crossentropy", optimizer="adam", metrics=["accuracy"])
print(model.fit(x / 255, y, epochs=1, verbose=0).history["accuracy"][0])
print(hashlib.sha256(model.source().encode()).hexdigest())
from nncompile.compiler import cache, render
print(type(render.environment().loader).__name__, (cache.cache_folder() / "templates").exists())
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    source.mkdir()
    for name in ("nncompile", "templates", "pyproject.toml", "setup.py", "README.md", "LICENSE"):
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
    assert {f"nncompile/templates/{COMPILED}/{jinja2.ModuleLoader.get_module_filename(t)}" for t in templates} <= names
    assert {"nncompile/datasets/mnist9k.npz", "nncompile/py.typed"} <= names
    modules = {p.relative_to(ROOT).as_posix() for p in (ROOT / "nncompile").rglob("*.py")}
    assert modules <= names
    assert not [n for n in names if n.startswith(("tests", "examples"))]


def _trained(folder, site):
    env = {**os.environ, "PYTHONPATH": str(site), "NNCOMPILE_CACHE_DIR": str(folder / "cache")}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(site)], cwd=folder, env=env, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    accuracy, source, *templates = done.stdout.split()
    assert float(accuracy) > 0.7
    return source, templates


def test_wheel_trains(wheel, tmp_path):
    """With the templates that were compiled when it was made, which print what those of the checkout do."""
    site, beside = tmp_path / "site", tmp_path / "beside"
    zipfile.ZipFile(wheel).extractall(site)
    beside.mkdir()
    source, templates = _trained(tmp_path, site)
    assert templates == ["ModuleLoader", "False"]
    assert (source, ["FileSystemLoader", "True"]) == _trained(beside, ROOT)


def test_templates_of_another_jinja_are_compiled_anew(wheel, tmp_path):
    """What one version of Jinja2 has made is not run by another."""
    zipfile.ZipFile(wheel).extractall(tmp_path)
    templates = tmp_path / "nncompile" / "templates"
    environment.compile_templates(templates)  # as a second build in the same place does
    (templates / COMPILED).rename(templates / "compiled-2.0")
    assert not environment.is_compiled(templates)
    text = environment.create(templates).get_template("stdin.c.j2")
    assert text.filename == str(templates / "stdin.c.j2")
