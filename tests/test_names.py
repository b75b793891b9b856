"""Every public name of Keras is here, or refused by a sentence that says why; the README says which."""

from __future__ import annotations

import subprocess
import sys
import types
from pathlib import Path
from typing import Any

import names
import pytest

import nncompile
from nncompile import absent
from nncompile.errors import UnsupportedError

ALL = list(names.status())


def test_every_name_of_keras_is_here_or_refused_with_a_reason() -> None:
    silent = [f"keras.{path}.{name}" for path, name, here, why in ALL if not here and why is None]
    assert not silent, "give them a reason in absent.py"


def test_nothing_is_refused_that_is_here() -> None:
    wrong = [f"keras.{path}.{name}" for path, name, here, why in ALL if here and why is not None]
    assert not wrong, "take them out of absent.py"


def test_nothing_is_refused_that_keras_has_not() -> None:
    _, theirs = names.stored()
    wrong = [
        f"{path}.{name}"
        for path, groups in absent.ABSENT.items()
        for listed in groups.values()
        for name in listed.split()
        if name not in theirs[path]
    ]
    assert not wrong
    listed = [name for groups in absent.ABSENT.values() for text in groups.values() for name in text.split()]
    assert len(listed) > 100


def test_refused_names_say_so_when_they_are_asked_for() -> None:
    count = 0
    for path, name, here, why in ALL:
        module = _module(path)
        if here or module is None:
            continue
        count += 1
        assert not hasattr(module, name)
        with pytest.raises(UnsupportedError) as error:
            getattr(module, name)
        assert str(why) in str(error.value)
        assert str(error.value).startswith(f"{module.__name__}.{name} is not supported")
    assert count > 100


def _module(path: str) -> Any:
    """The module of a path, None if it is refused as a whole."""
    value: Any = nncompile
    for part in filter(None, path.split(".")):
        value = getattr(value, part, None)
    return value if isinstance(value, types.ModuleType) else None


def test_import_of_a_refused_name_says_so_as_well() -> None:
    with pytest.raises(ImportError, match=r"^nncompile.layers.Conv2D is not supported: there are no convolutions"):
        from nncompile.layers import Conv2D  # noqa: F401
    with pytest.raises(ImportError, match=r"^nncompile.applications is not supported: .* load_model reads"):
        from nncompile import applications  # noqa: F401
    with pytest.raises(AttributeError, match=r"^nncompile.ops.nn.conv is not supported"):
        _ = nncompile.ops.nn.conv


def test_other_names_are_plain_attribute_errors() -> None:
    for ask in (lambda: nncompile.layers.Densee, lambda: nncompile.ops.nn.softmaxx):
        with pytest.raises(AttributeError) as error:
            ask()
        assert not isinstance(error.value, UnsupportedError)
    with pytest.raises(AttributeError, match="no attribute 'Densee'. Did you mean 'Dense'"):
        _ = nncompile.layers.Densee
    with pytest.raises(ImportError, match="cannot import name 'nothing'"):
        from nncompile.layers import nothing  # noqa: F401


def test_namespaces_of_operations_have_the_same_things() -> None:
    assert nncompile.ops.numpy.exp is nncompile.ops.exp
    assert nncompile.ops.nn.softmax is nncompile.ops.softmax


@pytest.mark.parametrize(
    ("statement", "expression"),
    [
        ("from nncompile import objectives", "objectives.mean_squared_error is nncompile.losses.mean_squared_error"),
        ("import nncompile.objectives as o", "o.mean_squared_error is nncompile.losses.mean_squared_error"),
        ("from nncompile.utils import np_utils", "np_utils.to_categorical is nncompile.utils.to_categorical"),
        ("from nncompile.utils.np_utils import normalize", "normalize is nncompile.utils.normalize"),
    ],
)
def test_modules_of_keras_1_warn_of_the_line_that_imports_them(statement: str, expression: str) -> None:
    code = f"import nncompile\n{statement}\nassert {expression}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("DeprecationWarning") == 1
    assert done.stderr.startswith("<string>:2: DeprecationWarning: nncompile.")


def test_table_of_the_readme() -> None:
    text = Path(names.ROOT, "README.md").read_text(encoding="utf-8")
    assert names.readme(text) == text, "run: python tests/names.py --readme"


def test_command() -> None:
    done = subprocess.run([sys.executable, names.__file__], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    done = subprocess.run([sys.executable, names.__file__, "--help"], capture_output=True, text=True)
    assert done.returncode == 2
    assert "--readme" in done.stdout


def test_stored_list_is_that_of_keras() -> None:
    from oracle import keras

    version, stored = names.stored()
    if keras.__version__ != version:
        pytest.skip(f"the list is that of Keras {version}, installed is {keras.__version__}")
    assert {path: text.split() for path, text in names.keras_names().items()} == stored


@pytest.mark.parametrize("name", absent.METHODS)
def test_a_method_that_only_keras_has_says_why(name: str) -> None:
    layer = nncompile.layers.Dense(2)
    model = nncompile.Sequential([nncompile.Input((3,)), layer])
    for thing in (layer, model, nncompile.metrics.Mean(), nncompile.optimizers.Adam()):
        assert not hasattr(thing, name)
        with pytest.raises(UnsupportedError, match=rf"{type(thing).__name__}\.{name} is not supported: \w+"):
            getattr(thing, name)


def test_what_a_property_says_is_not_lost() -> None:
    with pytest.raises(AttributeError, match="has no embeddings before it is built"):
        _ = nncompile.layers.Embedding(3, 2).embeddings
