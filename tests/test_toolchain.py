"""More of builds: killed ones, strange compilers, targets, and models that are built once."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nncompile as nn
from nncompile import compiler, targets
from nncompile.compiler import build, cache, render
from nncompile.compiler.render import Sources
from nncompile.errors import BuildError, ModelError

X = np.random.default_rng(0).normal(size=(20, 3)).astype("float32")
Y = np.random.default_rng(1).integers(0, 2, 20)


def tiny(value: int) -> Sources:
    """C that is built much faster than a network, other C for each value."""
    return Sources("int number(void);\n", f'#include "network.h"\nint number(void) {{ return {value}; }}\n')


def small() -> Any:
    layer = nn.layers.Dense(2, activation="softmax", kernel_initializer="ones", name="only")
    model = nn.Sequential([nn.Input((3,), name="input"), layer], name="small")
    model.compile(nn.optimizers.SGD(0.1), "sparse_categorical_crossentropy")
    return model


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache; what was found of compilers is forgotten."""
    made = tmp_path / "cache"
    made.mkdir(mode=0o700)
    monkeypatch.setenv("NNCOMPILE_CACHE_DIR", str(made))
    monkeypatch.setattr(build, "_found", {})
    return made


def names(folder: Path) -> list[str]:
    """What there is of modules; prepared templates are kept there too."""
    return sorted(p.name for p in folder.iterdir() if p.name != "templates")


def script(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o700)
    return path


def failing(path: Path, text: str) -> Path:
    """A compiler that says what its version is, and does as the text says otherwise."""
    return script(path, f'case "$1" in --version) echo fake 1.0;; *) {text};; esac')


def real_compiler() -> str:
    found = shlex.join(build.find_compiler().command)
    build._found.clear()
    return found


@pytest.fixture
def counted(tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
    """Tells how often the compiler has linked a module."""
    log = tmp_path / "log"
    log.touch()
    text = f'case " $* " in *" --version "* | *" -c "*) ;; *) echo run >> {shlex.quote(str(log))};; esac\nexec {real_compiler()} "$@"'
    monkeypatch.setenv("CC", str(script(tmp_path / "counting-cc", text)))
    return lambda: len(log.read_text().splitlines())


# ------------------------------------------------------------------ the cache


def test_hits_and_misses(folder: Path, counted: Callable[[], int], monkeypatch: pytest.MonkeyPatch) -> None:
    target = targets.host()
    first = build.build(tiny(1), target)
    assert build.build(tiny(1), target) is first
    sys.modules.pop(first.__name__)
    assert build.build(tiny(1), target).lib.number() == 1  # as a new process would find it
    assert counted() == 1
    assert build.build(tiny(2), target).lib.number() == 2  # other C
    assert counted() == 2
    assert build.build(tiny(1), targets.find("c99")).lib.number() == 1  # another target
    assert counted() == 3
    monkeypatch.setattr(build, "FLAGS", (*build.FLAGS, "-DOTHER"))  # another flag
    assert build.build(tiny(1), target).lib.number() == 1
    assert counted() == len(names(folder)) == 4


def test_a_model_is_built_once(folder: Path, counted: Callable[[], int]) -> None:
    first, second = small(), small()
    first.fit(X, Y, shuffle=False, verbose=0)
    second.fit(X, Y, shuffle=False, verbose=0)
    second.evaluate(X, Y, verbose=0)
    second.predict(X, verbose=0)
    assert counted() == 1
    assert np.array_equal(first.get_weights()[0], second.get_weights()[0])
    small().predict(X, verbose=0)  # without a loss there is less of it
    assert counted() == len(names(folder)) == 2


def test_printing_again_gives_the_same_bytes() -> None:
    texts = [render.training(compiler.plan(small(), targets.find("c99"))).code for _ in range(2)]
    assert texts[0] == texts[1]


TRAINING = f"""
import sys
from {Path(__file__).stem} import X, Y, small
model = small()
print("ready", flush=True)
sys.stdin.readline()
model.fit(X, Y, shuffle=False, epochs=2, verbose=0)
print([w.tolist() for w in model.get_weights()])
"""


def start(text: str = TRAINING, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-W", "always", "-c", text],
        cwd=Path(__file__).parent,
        env={**os.environ, **environment},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_many_processes_train_the_same_model(folder: Path) -> None:
    processes = [start() for _ in range(4)]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    results = [process.communicate(timeout=100) for process in processes]
    assert [process.returncode for process in processes] == [0] * 4, results
    assert {err for _, err in results} == {""}
    assert len({out for out, _ in results}) == 1
    assert [len(name) for name in names(folder)] == [32]


def stop_amid(process: subprocess.Popen[str], begun: Path, number: int) -> str:
    """Sends a signal while the compiler runs; returns what the process said."""
    try:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
        until = time.monotonic() + 30
        while not begun.exists() and time.monotonic() < until:
            time.sleep(0.02)
        assert begun.exists()
        process.send_signal(number)
        return process.communicate(timeout=30)[1]
    finally:
        process.kill()
        process.communicate()


def test_a_killed_build_is_no_harm(folder: Path, tmp_path: Path) -> None:
    begun, slow = tmp_path / "begun", tmp_path / "slow-cc"
    failing(slow, f"echo half > unit1.o; touch {begun}; exec sleep 5 >&- 2>&-")
    stop_amid(start(CC=str(slow)), begun, signal.SIGKILL)
    assert [name[:4] for name in names(folder)] == ["new-"]
    failing(slow, f'exec {real_compiler()} "$@"')  # of the same name and version, so that the key is the same
    again = start(CC=str(slow))
    out, err = again.communicate("go\n", timeout=60)
    assert (again.returncode, err) == (0, "")
    assert "[[" in out
    assert len(names(folder)) == 2


def test_ctrl_c_in_a_build_leaves_nothing(folder: Path, tmp_path: Path) -> None:
    """Nor what a compiler has started: an interrupt may reach this process alone, as in a notebook."""
    begun, alive = tmp_path / "begun", tmp_path / "alive"
    os.mkfifo(alive)
    reader = os.open(alive, os.O_RDONLY | os.O_NONBLOCK)
    slow = failing(tmp_path / "slow-cc", f"(touch {begun}; exec sleep 100) > {alive}")
    process = start("import signal; signal.signal(signal.SIGINT, signal.default_int_handler)" + TRAINING, CC=str(slow))
    try:
        assert "KeyboardInterrupt" in stop_amid(process, begun, signal.SIGINT)
        assert names(folder) == []
        until = time.monotonic() + 10
        while time.monotonic() < until:
            try:
                assert os.read(reader, 1) == b""
                break
            except BlockingIOError:  # somebody can still write
                time.sleep(0.02)
        else:
            pytest.fail("a process of the compiler still runs")
    finally:
        os.close(reader)


def test_an_interrupt_waits_until_a_process_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    begin = subprocess.Popen

    def interrupted(*given: Any, **more: Any) -> subprocess.Popen[str]:
        process = begin(*given, **more)
        os.kill(os.getpid(), signal.SIGINT)  # before anybody has it
        time.sleep(0.01)  # Python would raise here
        return process

    monkeypatch.setattr(build.subprocess, "Popen", interrupted)
    processes = build._Processes()
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's process in the background ignores it
    try:
        with pytest.raises(KeyboardInterrupt), processes:
            processes.start(["sleep", "100"])
    finally:
        signal.signal(signal.SIGINT, before)
    (process,) = processes._started
    assert process.returncode == -signal.SIGTERM


def test_damaged_templates_are_prepared_again(folder: Path) -> None:
    checkout = str(Path(__file__).parent.parent)  # what is installed has its templates compiled
    first, _ = start(PYTHONPATH=checkout).communicate("go\n", timeout=60)
    prepared = [p for p in (folder / "templates").rglob("*") if p.is_file()]
    assert prepared
    for path in prepared:
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    process = start(PYTHONPATH=checkout)
    again, err = process.communicate("go\n", timeout=60)
    assert (process.returncode, err) == (0, "")
    assert again == first


def test_discarding_what_another_process_discarded(folder: Path) -> None:
    build._discard(folder / "gone")
    assert names(folder) == []


# ------------------------------------------------------------------ its folder


def test_a_folder_of_another_user_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getuid", lambda: folder.stat().st_uid + 1)
    with pytest.raises(BuildError, match="others could change it"):
        cache.cache_folder()


@pytest.mark.skipif(sys.platform != "linux", reason="XDG_CACHE_HOME is of Linux")
def test_a_link_that_the_user_did_not_name_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NNCOMPILE_CACHE_DIR", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    (tmp_path / "other").mkdir(mode=0o700)
    (tmp_path / "nncompile").symlink_to(tmp_path / "other")
    with pytest.raises(BuildError, match="expected a folder, found something else"):
        cache.cache_folder()


def test_a_read_only_folder_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.chmod(0o500)
    access = os.access  # root may write anywhere
    monkeypatch.setattr(os, "access", lambda path, *a, **k: Path(path) != folder and access(path, *a, **k))
    with pytest.raises(BuildError, match=r"the cache folder cannot be written\. Set NNCOMPILE_CACHE_DIR"):
        build.build(tiny(3), targets.host())


# ------------------------------------------------------------------ compilers


def test_a_failed_build_changes_nothing(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CC", str(failing(tmp_path / "bad-cc", "exit 3")))
    model = small()
    before = model.get_weights()
    for _ in range(2):
        with pytest.raises(BuildError, match="The C compiler failed with status 3") as caught:
            model.fit(X, Y, verbose=0)
        assert names(folder) == ["failed"]
    assert caught.value.source is not None
    assert "network_train" in caught.value.source.read_text()
    assert {"unit.c", "binding.c", "network.h"} <= set(names(caught.value.source.parent))  # what the command needs
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))
    assert int(model.optimizer.iterations) == 0
    monkeypatch.delenv("CC")
    model.fit(X, Y, verbose=0)
    assert int(model.optimizer.iterations) == 1


@pytest.mark.parametrize(("text", "said"), [
    (r"printf 'caf\351 \377\000!\n'; exit 1", "caf\N{REPLACEMENT CHARACTER}"),
    ("kill -9 $$", ""),
    ("cat; exit 1", ""),  # it waits for no input
])  # fmt: skip
def test_strange_compilers(
    text: str,
    said: str,
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("CC", str(failing(tmp_path / "odd-cc", text)))
    with pytest.raises(BuildError, match="The C compiler failed with status") as caught:
        build.build(tiny(4), targets.host())
    assert said in caught.value.output
    assert said in str(caught.value)
    assert capfd.readouterr() == ("", "")


def test_a_module_that_is_none(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = 'while [ "$1" != -o ]; do shift; done; echo nonsense > "$2"'
    monkeypatch.setenv("CC", str(failing(tmp_path / "odd-cc", text)))
    with pytest.raises(BuildError, match="was compiled but cannot be loaded"):
        build.build(tiny(5), targets.host())


@pytest.mark.parametrize(("tool", "hint"), [
    ("apt-get", "sudo apt-get install gcc"), ("dnf", "sudo dnf install gcc"), ("apk", "sudo apk add gcc musl-dev"),
    ("pacman", "sudo pacman -S gcc"), ("", "your system's package gcc or clang"),
])  # fmt: skip
def test_how_to_install_a_compiler(
    tool: str, hint: str, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CC", raising=False)
    if tool:
        script(tmp_path / "bin" / tool, "")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setattr(build.sysconfig, "get_config_var", lambda name: "/nowhere/gcc -pthread")
    monkeypatch.setattr(build.importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(sys, "platform", "linux")
    with pytest.raises(BuildError, match="No C compiler was found") as caught:
        build.build(tiny(6), targets.host())
    assert hint in str(caught.value)
    assert "pip install 'nncompile[zig]'" in str(caught.value)
    monkeypatch.setattr(sys, "platform", "darwin")
    assert build._install_hint() == "xcode-select --install"


def test_ziglang_is_used_if_there_is_nothing_else(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CC", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(build.sysconfig, "get_config_var", lambda name: None)
    monkeypatch.setattr(build.importlib.util, "find_spec", lambda name: object())
    monkeypatch.setattr(build, "_version_of", lambda command: "zig 0.13")
    assert build.find_compiler() == build.Compiler((sys.executable, "-m", "ziglang", "cc"), "zig 0.13")


# ------------------------------------------------------------------ targets


def trained_on(target: str) -> list[Any]:
    nn.config.set_target(target)
    model = small()
    model.fit(X, Y, epochs=3, batch_size=7, shuffle=False, verbose=0)
    return [*model.get_weights(), model.predict(X, verbose=0)]


@pytest.mark.parametrize("target", [t.name for t in targets.available()])
def test_every_target_trains_the_same(target: str) -> None:
    expected, got = trained_on("c99"), trained_on(target)
    for a, b in zip(got, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)
    assert not np.array_equal(got[0], np.ones((3, 2)))


@pytest.mark.skipif(shutil.which("clang") is None, reason="clang is not installed")
@pytest.mark.parametrize("target", [None, "c99"])
def test_clang_trains_the_same(target: str | None, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = target or targets.host().name
    expected = trained_on(name)
    monkeypatch.setenv("CC", "clang")
    got = trained_on(name)
    assert build.find_compiler().command == ("clang",)
    for a, b in zip(got, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)
        assert target != "c99" or np.array_equal(a, b)  # the specification is exact
    assert len(names(folder)) == 2


def test_targets_are_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    best = targets.available()[0].name
    monkeypatch.delenv("NNCOMPILE_TARGET", raising=False)
    assert nn.config.target() == best
    monkeypatch.setenv("NNCOMPILE_TARGET", "c99")
    assert nn.config.target() == "c99"
    model = small()
    model.predict(X, verbose=0)
    assert "for c99" in model.source()
    nn.config.set_target("generic")  # goes before the environment
    assert nn.config.target() == "generic"
    nn.config.set_target(None)
    assert nn.config.target() == "c99"
    monkeypatch.setenv("NNCOMPILE_TARGET", "")
    assert nn.config.target() == best


def test_a_model_changes_its_target() -> None:
    model, weights = small(), None
    for target in ("c99", "generic", "c99"):
        nn.config.set_target(target)
        model.fit(X, Y, verbose=0)
        assert weights is None or not np.array_equal(model.get_weights()[0], weights)
        weights = model.get_weights()[0]
    assert int(model.optimizer.iterations) == 3
    assert len(model._libraries) == 2


def test_unknown_targets(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(
        ModelError,
        match=r"one of x86-64-v4-amx, x86-64-v4-bf16, x86-64-v4, .*, c99, received 'x86-64-v5'\. Did you mean 'x86-64-v4'",
    ):
        nn.config.set_target("x86-64-v5")
    with pytest.raises(ModelError, match=r"received 'C98'\. Did you mean 'c99'"):
        nn.config.set_target("C98")
    monkeypatch.setenv("NNCOMPILE_TARGET", "aarch46")
    with pytest.raises(ModelError, match=r"received 'aarch46'\. Did you mean 'aarch64'"):
        small().predict(X, verbose=0)
    foreign = next((t.name for t in targets.TARGETS if t not in targets.available()), None)
    if foreign:
        with pytest.raises(ModelError, match=f"target: this machine cannot run {foreign}; it can run .*c99"):
            nn.config.set_target(foreign)
        monkeypatch.setenv("NNCOMPILE_TARGET", foreign)
        with pytest.raises(ModelError, match=f"NNCOMPILE_TARGET: this machine cannot run {foreign}"):
            nn.config.target()


# ------------------------------------------------------------------ what is noticed outside


def test_a_noisy_compiler_is_not_noticed(
    folder: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    real = real_compiler()
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    Path("setup.cfg").write_text("[build_ext]\ninclude_dirs = /nowhere\n[global]\nverbose = 1\n")
    noisy = script(tmp_path / "noisy-cc", f'echo working; echo warning >&2; exec {real} "$@"')
    monkeypatch.setenv("CC", str(noisy))

    def around() -> Any:
        return dict(os.environ), os.getcwd(), sorted(os.listdir()), sys.path[:], list(map(str, warnings.filters))

    before = around()
    assert build.build(tiny(60), targets.host()).lib.number() == 60
    assert around() == before
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("level", ["", "0", "1", "2", "3", "4", "9", "much"])
def test_debugging_of_training(level: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("NNCOMPILE_DEBUG", level)
    small().train_on_batch(X, Y)
    out, err = capfd.readouterr()
    assert out == ""
    number = int(level) if level.isdecimal() else 0
    assert [stage in err for stage in ("graph: ", "program: ", "render: ", "build: ")] == [number >= 1] * 4
    assert (err == "") == (number == 0)
    if number == 1:
        assert all(line.startswith("nncompile: ") and line.endswith(" ms") for line in err.splitlines())
    assert ("void network_train(" in err) == (number >= 3)
    assert all(flag in err for flag in build.FLAGS) == (number >= 4)


def test_the_source_is_what_was_built(folder: Path) -> None:
    model = small()
    model.train_on_batch(X, Y)
    (name,) = names(folder)
    assert (folder / name / "unit.c").read_text() == model.source()
    shutil.copytree(folder / name, folder / "copy")
    for command in (folder / name / "command").read_text().splitlines():  # repeated by hand
        done = subprocess.run(shlex.split(command), cwd=folder / "copy", capture_output=True, check=False)
        assert (done.returncode, done.stderr) == (0, b"")


def test_what_killed_builds_left_is_swept(tmp_path):
    old, young = tmp_path / "new-old", tmp_path / "new-young"
    for folder in (old, young):
        folder.mkdir()
        (folder / "unit.c").write_text("int x;")
    os.utime(old, (time.time() - 100_000,) * 2)
    build._sweep(tmp_path)
    assert young.exists()
    assert not old.exists()
