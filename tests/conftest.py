"""What all tests share: a cache of compiled models of their own, and settings that do not outlive a test.

The tests run in several processes (pytest-xdist), each with a cache of its own: some count
what is in it, and the processes share so few networks that it is nothing lost.
"""

from __future__ import annotations

import gc
import os
import warnings
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nncompile import config, targets
from nncompile.compiler import build
from nncompile.compiler.build import FLAGS_VARIABLE
from nncompile.utils import set_random_seed

DISAGREEMENTS = pytest.StashKey[dict[str, float]]()
"""Largest differences found, in units that the test states."""


@pytest.fixture(scope="session", autouse=True)
def _cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Compiled models go to a folder that is empty at first, or to one within that which was named."""
    named, worker = os.environ.get("NNCOMPILE_CACHE_DIR"), os.environ.get("PYTEST_XDIST_WORKER")
    if named and not worker:
        yield
        return
    folder = Path(named, worker) if named and worker else tmp_path_factory.mktemp("cache")
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.chmod(0o700)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NNCOMPILE_CACHE_DIR", str(folder))
        yield


def pytest_collection_finish() -> None:
    """What was imported stays: the collector of garbage need not look at it again and again."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def _settings() -> Iterator[None]:
    """What a test sets for the process is set back."""
    floatx, epsilon = config.floatx(), config.epsilon()
    yield
    config.set_floatx(floatx)
    config.set_epsilon(epsilon)
    targets.set_host(None)


@pytest.fixture(autouse=True)
def _seed(request: pytest.FixtureRequest) -> None:
    """Every test draws the same weights in every run, whichever tests ran before it; ``--seed`` draws others."""
    set_random_seed(zlib.crc32(request.node.nodeid.encode(), request.config.getoption("--seed")))


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--seed", type=int, default=0, help="another number draws other weights in all tests")
    parser.addoption("--optimized", action="store_true", help="compile the C of tests marked with quick_c as users do")


@pytest.fixture(autouse=True)
def _flags(request: pytest.FixtureRequest) -> Iterator[None]:
    """The C of a test that is marked with ``quick_c`` is compiled whole and with -O0, in a quarter of the time."""
    mark = request.node.get_closest_marker("quick_c")
    with pytest.MonkeyPatch.context() as patch:
        if mark and mark.args != (False,) and not request.config.getoption("--optimized"):
            patch.setenv(FLAGS_VARIABLE, "-O0")
            commands_for = build.commands_for  # parts at one time read the same text three times
            patch.setattr(build, "commands_for", lambda compiler, target, parts=1: commands_for(compiler, target))
        yield


@pytest.fixture
def keras() -> Iterator[Any]:
    """Real Keras, whose own warnings are not ours to mend."""
    from oracle import keras

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"(keras|jax|absl)\b")
        yield keras


@pytest.fixture(scope="session")
def disagreements(pytestconfig: pytest.Config) -> dict[str, float]:
    """Where tests note how far two computations were apart at most; printed at the end."""
    return pytestconfig.stash.setdefault(DISAGREEMENTS, {})


def pytest_sessionfinish(session: pytest.Session) -> None:
    """A process of several says what it found."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["disagreements"] = session.config.stash.get(DISAGREEMENTS, {})


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """What the processes found is put together."""
    found = node.config.stash.setdefault(DISAGREEMENTS, {})
    for what, size in getattr(node, "workeroutput", {}).get("disagreements", {}).items():
        found[what] = max(found.get(what, 0.0), size)


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    found = config.stash.get(DISAGREEMENTS, {})
    if found:
        terminalreporter.write_sep("-", "largest disagreements")
        for what, size in sorted(found.items()):
            terminalreporter.write_line(f"{what}: {size:.3g}")
