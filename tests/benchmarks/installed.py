"""How much has to be installed for a library, with everything that it needs."""

from __future__ import annotations

import importlib.metadata
import re
from collections.abc import Iterable
from pathlib import Path


def size_of(names: Iterable[str]) -> tuple[int, list[str]]:
    """Adds up the files of distributions and of all that they require.

    Args:
        names: of distributions that are installed.

    Returns:
        Bytes, and the names of all distributions counted.

    Raises:
        importlib.metadata.PackageNotFoundError: one of ``names`` is not installed.
    """
    waiting, known, total = list(names), dict[str, bool](), 0
    given = {_normal(name) for name in waiting}
    while waiting:
        name = _normal(waiting.pop())
        if name in known:
            continue
        try:
            distribution = importlib.metadata.distribution(name)
        except importlib.metadata.PackageNotFoundError:
            if name in given:
                raise
            continue  # a requirement of another system, or one that its user left out: it takes no room here
        known[name] = True
        total += _bytes(distribution)
        waiting += [required for text in distribution.requires or () if (required := _requirement(text))]
    return total, sorted(known)


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _requirement(text: str) -> str:
    """The name of a requirement; empty if it is for an extra."""
    if re.search(r";.*\bextra\b", text):
        return ""
    found = re.match(r"\s*([A-Za-z0-9][A-Za-z0-9._-]*)", text)
    return found.group(1) if found else ""


def _bytes(distribution: importlib.metadata.Distribution) -> int:
    """Bytes of the files, without what Python compiles of them by itself."""
    if _normal(distribution.name) == "nncompile":  # in a checkout its metadata do not list its files
        import nncompile

        package = Path(nncompile.__file__).parent
        places = [package] if (package / "templates").is_dir() else [package, package.parent / "templates"]
        return sum(path.stat().st_size for place in places for path in place.rglob("*") if _counts(path))
    paths = (Path(str(file.locate())) for file in distribution.files or ())
    return sum(path.stat().st_size for path in paths if _counts(path))


def _counts(path: Path) -> bool:
    return path.is_file() and path.suffix != ".pyc"
