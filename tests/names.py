"""What of Keras' names is here: the list of them, and the table in the README.

python tests/names.py            what is neither here nor refused, and what is refused and here
python tests/names.py --readme   writes the table into the README
python tests/names.py --keras    writes the list anew, from the Keras that is installed
"""

from __future__ import annotations

import json
import os
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
STORED = Path(__file__).with_name("keras_names.json")
BEGIN, END = "<!-- tests/names.py writes what follows -->\n", "<!-- until here -->\n"


def keras_names() -> dict[str, str]:
    """All public names of the Keras that is installed, by module: ``{"layers": "Activation …"}``."""
    os.environ.setdefault("KERAS_BACKEND", "jax")
    import keras

    found: dict[str, str] = {}

    def visit(module: types.ModuleType, path: str) -> None:
        names = sorted(name for name in dir(module) if not name.startswith("_") and name != "src")
        found[path] = " ".join(names)
        for name in names:
            value = getattr(module, name)
            # what stands in keras.src is a module by accident, such as keras.ops.numpy's own np
            public = isinstance(value, types.ModuleType) and value.__name__.startswith("keras.")
            if public and not value.__name__.startswith("keras.src"):
                visit(value, f"{path}.{name}".lstrip("."))

    visit(keras, "")
    return found


def stored() -> tuple[str, dict[str, list[str]]]:
    """The version of Keras and its names by module, as they were stored."""
    data = json.loads(STORED.read_text())
    return data["version"], {path: names.split() for path, names in data["names"].items()}


def lookup(path: str, name: str) -> Any:
    """What ``nncompile.<path>.<name>`` is; an AttributeError or ImportError if it is nothing."""
    import importlib

    import nncompile

    module: Any = nncompile
    for part in path.split("."):
        if part:
            module = getattr(module, part, None) or importlib.import_module(f"{module.__name__}.{part}")
    return getattr(module, name)


def status() -> Iterator[tuple[str, str, bool, str | None]]:
    """Yields module, name, whether it is here, and why not if that is known, for each name of Keras."""
    from nncompile import absent

    for path, names in stored()[1].items():
        for name in names:
            try:
                lookup(path, name)
                here = True
            except (AttributeError, ImportError):
                here = False
            yield path, name, here, absent.reason(path, name)


def _label(path: str) -> str:
    return f"`keras.{path}`" if path else "`keras`"


def table() -> str:
    """The text between the marks of the README."""
    from nncompile import absent

    here: dict[str, list[str]] = {}
    counts: dict[str, int] = {}
    refused: dict[str, dict[str, list[str]]] = {}
    for path, name, found, why in status():
        if path in absent._MIRRORS or (path and not found and _refused_as_a_whole(path)):
            continue  # what it has, or the module itself, is in the table
        counts[path] = counts.get(path, 0) + 1
        if found:
            here.setdefault(path, []).append(name)
        else:
            refused.setdefault(str(why), {}).setdefault(path, []).append(name)
    lines = ["| module | | here |", "|---|---|---|"]
    for path, names in here.items():
        lines.append(f"| {_label(path)} | {len(names)} of {counts[path]} | {' '.join(f'`{n}`' for n in names)} |")
    lines += ["", "| not here | why |", "|---|---|"]
    for why, groups in refused.items():
        what = "; ".join(f"{_label(path)}: {' '.join(f'`{n}`' for n in names)}" for path, names in groups.items())
        lines.append(f"| {what} | {why} |")
    return "\n".join(lines) + "\n"


def _refused_as_a_whole(path: str) -> bool:
    from nncompile import absent

    outer, _, inner = path.rpartition(".")
    return absent.reason(outer, inner) is not None


def readme(text: str) -> str:
    """The README with the table as it is now."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{table()}\n{END}{after}"


def main(arguments: list[str]) -> int:
    if arguments == ["--keras"]:
        names = keras_names()
        import keras

        lines = ",\n".join(f"  {json.dumps(path)}: {json.dumps(text)}" for path, text in names.items())
        STORED.write_text(f'{{"version": {json.dumps(keras.__version__)}, "names": {{\n{lines}\n}}}}\n')
    elif arguments == ["--readme"]:
        path = ROOT / "README.md"
        path.write_text(readme(path.read_text(encoding="utf-8")), encoding="utf-8")
    elif arguments:
        print(__doc__)
        return 2
    else:
        for path, name, here, why in status():
            if here == (why is not None):
                print(f"{path}.{name}: " + (f"is here, and refused in absent.py: {why}" if here else "no reason"))
    return 0


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    sys.exit(main(sys.argv[1:]))
