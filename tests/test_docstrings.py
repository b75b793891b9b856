"""help() of every public name has a summary, its arguments, what it returns and, if it is Keras', its source."""

from __future__ import annotations

import importlib
import inspect
import re
import textwrap
import types
from collections.abc import Iterator
from typing import Any

import names
import numpy as np
import pytest

import nncompile
from nncompile import docstrings, ops

LAZY = ("saving", "datasets", "wrappers", "targets")
"""Public modules that are imported when they are asked for."""
KERAS = {path: set(listed) for path, listed in names.stored()[1].items()}


def own(module: types.ModuleType) -> list[str]:
    """The public names of a module; without ``__all__`` those that are defined in it."""
    if hasattr(module, "__all__"):
        return [name for name in module.__all__ if not name.startswith("__")]
    here = [name for name, value in vars(module).items() if getattr(value, "__module__", "") == module.__name__]
    return [name for name in here if not name.startswith("_") and callable(getattr(module, name))]


def modules() -> list[types.ModuleType]:
    found: dict[str, types.ModuleType] = {}
    waiting = [nncompile, *(importlib.import_module(f"nncompile.{name}") for name in LAZY)]
    while waiting:
        module = waiting.pop(0)
        if module.__name__ not in found:
            found[module.__name__] = module
            values = [getattr(module, name) for name in own(module)]
            waiting += [v for v in values if isinstance(v, types.ModuleType) and v.__name__.startswith("nncompile")]
    return list(found.values())


def methods(cls: type) -> Iterator[tuple[str, list[Any]]]:
    """Public methods and properties of a class that are ours: what it has itself, and what that overrides."""
    mine = [c for c in cls.__mro__ if c.__module__.startswith("nncompile")]
    for name in {name: None for c in mine for name in vars(c) if not name.startswith("_")}:
        chain = [vars(c)[name] for c in mine if name in vars(c)]
        chain = [c.__func__ if isinstance(c, (staticmethod, classmethod)) else c for c in chain]
        if inspect.isfunction(chain[0]) or isinstance(chain[0], property):
            yield name, chain


def signature(thing: Any) -> inspect.Signature:
    if not inspect.isclass(thing) or "__signature__" in vars(thing):
        return inspect.signature(thing)
    return inspect.signature(thing.__init__) if inspect.isfunction(thing.__init__) else inspect.Signature()


def complaints(chain: list[Any], keras: bool = False) -> list[str]:
    """What is missing in a docstring, or in those of the methods that a method overrides.

    Args:
        chain: the function, class or property, and what it overrides.
        keras: whether Keras has it as well, so that the source is named.
    """
    thing = chain[0]
    said = [(vars(t).get("__doc__") if inspect.isclass(t) else t.__doc__) or "" for t in chain]
    docs = [doc for doc in said if doc.strip()]
    if not docs:
        return ["has no docstring"]
    if isinstance(thing, property):
        return []
    missing = ["does not name its source"] if keras and "Source: ``keras." not in docs[0] else []
    found = signature(thing)
    # an override may name what the method that it overrides takes as *args, and says of it
    takes_any = any(re.search(r"^ +\*\w+: ", doc, re.M) for doc in said[1:])
    for name in found.parameters:
        # **unknown takes what is then refused
        known = name in ("self", "cls", "unknown") or name.startswith("_") or takes_any
        if not known and not any(re.search(rf"^ +\*{{0,2}}{name}: ", doc, re.M) for doc in docs):
            missing.append(f"does not say what {name} is")
    returns = not inspect.isclass(thing) and found.return_annotation not in ("None", "NoReturn", found.empty)
    if returns and not any(re.match(r"\s*Returns ", doc) or re.search(r"^ *Returns:$", doc, re.M) for doc in docs):
        missing.append("does not say what it returns")
    return missing


def test_every_public_name_is_documented() -> None:
    found, seen = [], set[int]()
    for module in modules():
        path = module.__name__.partition(".")[2]
        if not module.__doc__:
            found.append(f"{module.__name__} has no docstring")
        for name in own(module):
            thing = getattr(module, name)
            ours = callable(thing) and (getattr(thing, "__module__", None) or "").startswith("nncompile")
            if not ours or id(thing) in seen:
                continue
            seen.add(id(thing))
            where = f"{module.__name__}.{name}"
            found += [f"{where} {c}" for c in complaints([thing], name in KERAS.get(path, ()))]
            for method, chain in methods(thing) if inspect.isclass(thing) else ():
                if id(chain[0]) not in seen:
                    seen.add(id(chain[0]))
                    found += [f"{where}.{method} {c}" for c in complaints(chain)]
    assert len(seen) > 1000
    assert not found, "\n".join(found)


def test_what_is_missing_is_found() -> None:
    def nothing(x: Any) -> None: ...

    def little(x: Any, y: int = 0, *more: Any) -> Any:
        """Adds.

        Args:
            x: one.
        """

    def enough(x: Any) -> Any:
        """Returns something.

        Args:
            x: one.
        """

    def overriding(z: Any) -> Any: ...

    def general(*args: Any) -> Any:
        """Does it.

        Args:
            *args: what there is.

        Returns:
            Something.
        """

    assert complaints([nothing]) == ["has no docstring"]
    assert complaints([little], keras=True) == [
        "does not name its source",
        "does not say what y is",
        "does not say what more is",
        "does not say what it returns",
    ]
    assert complaints([enough]) == []
    assert complaints([overriding, general]) == []
    assert complaints([overriding, enough]) == ["does not say what z is"]


def test_a_family_is_said_once() -> None:
    family = docstrings.Family({"x": "the first.", "y": "the second."}, "A sum.", "ValueError: never.")

    @docstrings.described(family)
    def function(x: Any, y: Any, z: Any = None) -> Any:
        """Adds.

        Slowly.

        Args:
            z: the third,
                which is long.

        Source: a book.
        """

    assert function.__doc__ == textwrap.dedent(
        """\
        Adds.

        Slowly.

        Args:
            x: the first.
            y: the second.
            z: the third,
                which is long.

        Returns:
            A sum.

        Raises:
            ValueError: never.

        Source: a book."""
    )
    again = docstrings.completed(function.__doc__, ("x", "y", "z"), family, "another")
    assert again == function.__doc__
    assert docstrings.completed("Adds.", source="a book") == "Adds.\n\nSource: a book."
    assert docstrings.completed("Returns it.", family=family, source="s").count("Returns") == 1


def test_help_of_an_operation_and_of_an_optimizer() -> None:
    assert ops.exp.__doc__ == (
        "e^x\n\nArgs:\n    x: numbers of any shape: an array, or values of a formula.\n\n"
        "Returns:\n    A number for each, in the shape of ``x``.\n\nSource: ``keras.ops.exp``."
    )
    text = nncompile.optimizers.SGD.__doc__ or ""
    assert "    clipnorm: c, if above 0;" in text
    assert "*common" not in text


# ------------------------------------------------------------------ examples


def example(thing: Any) -> str:
    """The first example of a docstring: what is indented behind ``::``."""
    text = inspect.cleandoc(thing.__doc__)
    found = re.search(r"::\n\n((?:    .*\n|\n)+)", text + "\n")
    assert found, thing
    return textwrap.dedent(found[1])


@pytest.mark.parametrize(
    ("path", "check"),
    [
        ("layers.core.Input", "model.output_shape == (None, 10)"),
        ("models.model.Model", "model.output_shape == (None, 10)"),
        ("layers.base", "(Scale()(np.ones((2, 3))) == 1).all()"),
        ("optimizers.schedules", "Warmup(2.0, 4)(np.array([0, 3, 9])).tolist() == [0.5, 2, 2]"),
        ("regularizers", "l1_of_columns(np.array([[1.0, -2], [0, 5]])) == 0.07"),
    ],
)
def test_examples_run(path: str, check: str) -> None:
    module, _, name = f"nncompile.{path}".rpartition(".")
    thing = getattr(importlib.import_module(module), name)
    space: dict[str, Any] = {"nncompile": nncompile, "np": np, "layers": nncompile.layers}
    space |= {n: getattr(nncompile.layers, n) for n in ("Dense", "Input")} | {"Model": nncompile.Model}
    exec(example(thing), space)
    assert eval(check, space)


def test_first_lines_of_the_package_docstring() -> None:
    code = example(nncompile)
    space: dict[str, Any] = {"nncompile": nncompile}
    exec(code.partition("model.fit")[0], space)
    assert space["model"].count_params() == 397510
    assert space["model"].compiled
