"""What all tests share: a cache of compiled models of their own, and settings that do not outlive a test."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest

from nncompile import config, targets

DISAGREEMENTS = pytest.StashKey[dict[str, float]]()
"""Largest differences found, in units that the test states."""


@pytest.fixture(scope="session", autouse=True)
def _cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Compiled models go to a folder that is empty at first, unless one was named."""
    if os.environ.get("NNCOMPILE_CACHE_DIR"):
        yield
        return
    if os.environ.get("PYTEST_XDIST_WORKER"):  # processes share what they compile
        folder = tmp_path_factory.getbasetemp().parent / "cache"
        folder.mkdir(exist_ok=True)
    else:
        folder = tmp_path_factory.mktemp("cache")
    folder.chmod(0o700)
    os.environ["NNCOMPILE_CACHE_DIR"] = str(folder)
    yield
    del os.environ["NNCOMPILE_CACHE_DIR"]


@pytest.fixture(autouse=True)
def _settings() -> Iterator[None]:
    """What a test sets for the process is set back."""
    floatx, epsilon = config.floatx(), config.epsilon()
    yield
    config.set_floatx(floatx)
    config.set_epsilon(epsilon)
    targets.set_host(None)


@pytest.fixture(scope="session")
def disagreements(pytestconfig: pytest.Config) -> dict[str, float]:
    """Where tests note how far two computations were apart at most; printed at the end."""
    return pytestconfig.stash.setdefault(DISAGREEMENTS, {})


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    found = config.stash.get(DISAGREEMENTS, {})
    if found:
        terminalreporter.write_sep("-", "largest disagreements")
        for what, size in sorted(found.items()):
            terminalreporter.write_line(f"{what}: {size:.3g}")
