"""Builds: once for equal sources, in private, silently, and with an error that says all."""

from __future__ import annotations

import dataclasses
import os
import shlex
import stat
import subprocess
import sys
import sysconfig
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nncompile as nn
from nncompile import targets
from nncompile.compiler import build, render
from nncompile.compiler.render import Sources
from nncompile.errors import BuildError

GOOD = Sources("int answer(void);\n", '#include "network.h"\nint answer(void) { return 42; }\n')
IN_PARTS = Sources(
    "int answer(void);\n",
    """#include "network.h"
int half(void);
#if !defined(PART) || PART == 1
int half(void) { return 21; }
#endif
#if !defined(PART) || PART == 2
int answer(void) { return 2 * half(); }
#endif
""",
    parts=2,
)
BAD = Sources("int answer(void);\n", '#include "network.h"\nint answer(void) { return undeclared_thing; }\n')


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, and a process that has loaded nothing of it and looked for no compiler."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("NNCOMPILE_CACHE_DIR", str(folder))
    monkeypatch.setattr(build, "_found", {})
    forget()
    return folder


@pytest.fixture
def commands(monkeypatch: pytest.MonkeyPatch) -> list[Sequence[str]]:
    """The commands that are run, questions for the version left out."""
    seen: list[Sequence[str]] = []
    real = build._Processes.start

    def noted(self: Any, command: Sequence[str], *args: Any, **keywords: Any) -> Any:
        if "--version" not in command:
            seen.append(command)
        return real(self, command, *args, **keywords)

    monkeypatch.setattr(build._Processes, "start", noted)
    return seen


def forget() -> None:
    """Drops loaded modules, as in a new process."""
    for name in [n for n in sys.modules if n.startswith("_nncompile_")]:
        del sys.modules[name]


def answer(sources: Sources = GOOD) -> int:
    return int(build.build(sources, targets.host()).lib.answer())  # type: ignore[attr-defined]


def entries(cache: Path) -> list[Path]:
    return sorted(p for p in cache.iterdir() if p.name != "failed")


def ended(reader: int) -> bool:
    """Whether nobody has a pipe open for writing any more, within some seconds."""
    until = time.monotonic() + 10
    while time.monotonic() < until:
        try:
            return os.read(reader, 1) == b""
        except BlockingIOError:  # somebody has
            time.sleep(0.02)
    return False


def script(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/sh\n" + text)
    path.chmod(0o755)
    return path


# ------------------------------------------------------------------ hits and misses


def test_equal_sources_are_compiled_once(cache: Path, commands: list[Sequence[str]]) -> None:
    assert answer() == 42
    assert len(commands) == 3
    assert answer() == 42
    forget()
    assert answer() == 42
    assert len(commands) == 3
    (entry,) = entries(cache)
    module = f"module{build._suffix()}"
    assert {p.name for p in entry.iterdir()} == {"unit.c", "network.h", "binding.c", "command", "checksum", module}
    assert (entry / "unit.c").read_text() == GOOD.code
    assert [shlex.split(line) for line in (entry / "command").read_text().splitlines()] == commands
    assert stat.S_IMODE(cache.stat().st_mode) == 0o700
    assert stat.S_IMODE(entry.stat().st_mode) == 0o700


def test_whatever_counts_makes_another_entry(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compiler = build.find_compiler()
    commands = build.commands_for(compiler, targets.host())
    others = [t for t in targets.TARGETS if t.flags != targets.host().flags]
    keys = {
        build.key_of(GOOD, commands, compiler),
        build.key_of(BAD, commands, compiler),
        build.key_of(Sources(GOOD.declarations + " ", GOOD.code), commands, compiler),
        build.key_of(GOOD, build.commands_for(compiler, targets.host(), 2), compiler),
        build.key_of(GOOD, [*commands[:-1], [*commands[-1], "-DX"]], compiler),
        build.key_of(GOOD, commands, build.Compiler(compiler.command, "another version")),
        *(build.key_of(GOOD, build.commands_for(compiler, t), compiler) for t in others),
    }
    assert len(keys) == 6 + len({t.flags for t in others})
    assert build.key_of(GOOD, commands, compiler) in keys
    monkeypatch.setattr(sys, "version", "4.0")
    assert build.key_of(GOOD, commands, compiler) not in keys


def test_flags_of_the_users(monkeypatch: pytest.MonkeyPatch) -> None:
    compiler, host = build.find_compiler(), targets.host()
    plain = build.commands_for(compiler, host)
    monkeypatch.setenv("NNCOMPILE_CFLAGS", "-g '-DNAME=a b'")
    flagged = build.commands_for(compiler, host)
    assert all("-g" in command and "-DNAME=a b" in command for command in flagged)
    assert all(command.index("-g") > command.index("-O2") for command in flagged[:-1])
    assert build.key_of(GOOD, flagged, compiler) != build.key_of(GOOD, plain, compiler)
    monkeypatch.setenv("NNCOMPILE_CFLAGS", "'-g")
    with pytest.raises(BuildError, match=r"NNCOMPILE_CFLAGS: expected flags .* received \"'-g\": No closing quotation"):
        build.commands_for(compiler, host)


@pytest.mark.parametrize("parts", [1, 2, 3])
def test_each_part_is_compiled_by_a_command_of_its_own(parts: int) -> None:
    compiler = build.find_compiler()
    *compiling, link = build.commands_for(compiler, targets.host(), parts)
    made = [command[command.index("-o") + 1] for command in compiling]
    assert len(set(made)) == parts + 1 and made[-1] == "binding.o"
    assert [word for word in link if word.endswith(".o")] == made and "-c" not in link
    assert all("-c" in command and command[: len(compiler.command)] == [*compiler.command] for command in compiling)
    chosen = [[word for word in command if word.startswith("-DPART")] for command in compiling]
    assert chosen == [
        *([f"-DPART={n}"] for n in range(1, parts + 1) if parts > 1),
        *([] for _ in range(2 - min(parts, 2))),
        [],
    ]


def test_a_unit_in_parts(cache: Path, commands: list[Sequence[str]]) -> None:
    assert answer(IN_PARTS) == 42
    assert len(commands) == 4


@pytest.mark.parametrize("loss", [None, "mse"])
def test_the_parts_of_a_network_are_the_whole(
    loss: str | None, cache: Path, monkeypatch: pytest.MonkeyPatch, commands: list[Sequence[str]]
) -> None:
    """What is compiled in parts and what is compiled whole computes the same bits."""
    results = []
    real = render.training
    for whole in (False, True):
        if whole:
            monkeypatch.setattr(render, "training", lambda program: dataclasses.replace(real(program), parts=1))
        commands.clear()
        model = nn.Sequential([nn.Input((5,)), nn.layers.Dense(40, "gelu"), nn.layers.Dense(3, "softmax")])
        rng = np.random.default_rng(0)
        model.set_weights([rng.normal(size=w.shape) for w in model.weights])
        x = rng.normal(size=(30, 5)).astype("float32")
        if loss:
            model.compile("adam", loss)
            model.fit(x, x[:, :3], batch_size=7, shuffle=False, verbose=0)
            model.fit(x, x[:, :3], batch_size=1, shuffle=False, verbose=0)
        results.append([model.predict(x, verbose=0), *model.get_weights()])
        assert len(commands) == (3 if whole else 5 if loss else 4)
    assert all(np.array_equal(a, b) for a, b in zip(*results, strict=True))


def test_a_hit_imports_nothing_that_writes_c(cache: Path) -> None:
    """setuptools takes 0.3 s to import, and cffi's recompiler 0.1 s."""
    answer()
    text = child(
        "import sys\n"
        "assert answer() == 42\n"
        "print(sorted({m.partition('.')[0] for m in sys.modules} & {'setuptools', 'distutils', 'pycparser', 'cffi'}))"
    )
    assert text == "[]\n"


PRELUDE = """
from nncompile import targets
from nncompile.compiler import build
from nncompile.compiler.render import Sources
sources = Sources({declarations!r}, {code!r})
def answer():
    return build.build(sources, targets.host()).lib.answer()
"""


def child_code(body: str) -> str:
    return PRELUDE.format(declarations=GOOD.declarations, code=GOOD.code) + body


def child(body: str, **environment: str) -> str:
    """What a new process prints that has ``answer()``."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", child_code(body)],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0 and not done.stderr, done.stderr
    return done.stdout


def children(number: int, body: str, warnings: str = "error") -> list[tuple[int, str, str]]:
    """The status and output of processes that run at one time."""
    started = [
        subprocess.Popen(
            [sys.executable, "-W", warnings, "-c", child_code(body)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(number)
    ]
    for process in started:  # all have started, and wait for this
        assert process.stdout is not None and process.stdout.readline() == "ready\n"
    for process in started:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    return [(p.wait(60), *p.communicate(timeout=60)) for p in started]


TOGETHER = "import sys\nprint('ready', flush=True)\nsys.stdin.readline()\nprint(answer())"


def test_eight_processes_build_the_same_at_one_time(cache: Path) -> None:
    assert children(8, TOGETHER) == [(0, "42\n", "")] * 8
    (entry,) = entries(cache)
    assert build._sound(entry)


def test_eight_processes_find_the_same_damaged_entry(cache: Path) -> None:
    answer()
    (entry,) = entries(cache)
    module = next(entry.glob("module*"))
    module.unlink()
    module.write_bytes(b"no module")
    results = children(8, TOGETHER, warnings="ignore")
    assert [(status, output) for status, output, _ in results] == [(0, "42\n")] * 8, results
    (entry,) = entries(cache)
    assert build._sound(entry)


# ------------------------------------------------------------------ damage


def truncate(entry: Path) -> None:
    module = next(entry.glob("module*"))
    data = module.read_bytes()
    module.unlink()  # it may be mapped into this process
    module.write_bytes(data[: len(data) // 2])


def flip(entry: Path) -> None:
    module = next(entry.glob("module*"))
    data = bytearray(module.read_bytes())
    data[len(data) // 2] ^= 1
    module.unlink()
    module.write_bytes(data)


@pytest.mark.parametrize(
    "damage",
    [
        truncate,
        flip,
        lambda entry: next(entry.glob("module*")).unlink(),
        lambda entry: (entry / "checksum").unlink(),
        lambda entry: (entry / "checksum").write_text("0" * 64),
        lambda entry: (entry / "checksum").write_bytes(b"\xff\xfe"),
        lambda entry: [p.unlink() for p in entry.iterdir()],
    ],
    ids=["truncated", "flipped", "no module", "no checksum", "wrong checksum", "no text", "empty"],
)
def test_a_damaged_entry_is_built_again(damage: Any, cache: Path, commands: list[Sequence[str]]) -> None:
    answer()
    (entry,) = entries(cache)
    damage(entry)
    forget()
    with pytest.warns(RuntimeWarning, match=rf"{entry}: a damaged entry"):
        assert answer() == 42
    assert len(commands) == 6
    assert entries(cache) == [entry] and build._sound(entry)
    forget()
    assert answer() == 42
    assert len(commands) == 6


def test_an_interrupted_build_leaves_nothing(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    build.find_compiler()

    def interrupted(*args: Any, **keywords: Any) -> Any:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(build._Processes, "finish", interrupted)
        with pytest.raises(KeyboardInterrupt):
            answer()
    assert entries(cache) == []
    assert answer() == 42


# ------------------------------------------------------------------ errors


def test_c_that_does_not_compile(cache: Path) -> None:
    with pytest.raises(BuildError) as caught:
        answer(BAD)
    error = caught.value
    assert error.command[0] == build.find_compiler().command[0] and "unit.c" in error.command
    assert "undeclared_thing" in error.output
    assert error.source is not None and error.source.read_text() == BAD.code
    assert error.source.is_relative_to(cache)
    for part in ("status 1", shlex.join(error.command), str(error.source.parent), "undeclared_thing"):
        assert part in str(error)
    assert entries(cache) == []
    again = subprocess.run(error.command, cwd=error.source.parent, capture_output=True, text=True, check=False)
    assert again.returncode == 1 and "undeclared_thing" in again.stderr, "the command can be repeated where the C is"
    with pytest.raises(BuildError):  # what was kept does not get in the way
        answer(BAD)


@pytest.mark.parametrize("number", [1, 2])
def test_a_part_that_does_not_compile(number: int, cache: Path) -> None:
    code = f"{IN_PARTS.code}#if PART == {number}\nint worse(void) {{ return undeclared_thing; }}\n#endif\n"
    with pytest.raises(BuildError, match=f"status 1.*\n.*-DPART={number} unit.c") as caught:
        answer(Sources(IN_PARTS.declarations, code, parts=2))
    error = caught.value
    assert error.source is not None and error.source.read_text() == code
    assert f"-DPART={number}" in error.command and "undeclared_thing" in error.output
    assert entries(cache) == []
    again = subprocess.run(error.command, cwd=error.source.parent, capture_output=True, text=True, check=False)
    assert again.returncode == 1 and "undeclared_thing" in again.stderr


def test_parts_that_do_not_fit_together(cache: Path) -> None:
    """The link fails, and its command can be repeated too."""
    twice = Sources(GOOD.declarations, GOOD.code, parts=2)
    with pytest.raises(BuildError, match="status 1.*\n.*unit1.o unit2.o") as caught:
        answer(twice)
    assert caught.value.source is not None and "answer" in caught.value.output
    again = subprocess.run(caught.value.command, cwd=caught.value.source.parent, capture_output=True, check=False)
    assert again.returncode == 1


@pytest.mark.parametrize("stubborn", ["", "trap '' TERM; "])
def test_what_still_runs_when_a_part_fails_is_ended(
    stubborn: str, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also what the compiler itself has started, and though it may not care for a polite request."""
    alive, begun = tmp_path / "alive", tmp_path / "begun"
    os.mkfifo(alive)
    reader = os.open(alive, os.O_RDONLY | os.O_NONBLOCK)
    text = f"""case "$*" in
    *--version*) echo fake 1.0;;
    *-DPART=1*) while [ ! -e {begun} ]; do sleep 0.02; done; exit 3;;
    *-DPART=2*) {stubborn}(touch {begun}; exec sleep 100) > {alive} & wait;;
    *) exec cc "$@";;
esac
"""
    monkeypatch.setenv("CC", str(script(tmp_path / "halting-cc", text)))
    try:
        with pytest.raises(BuildError, match="status 3"):
            answer(IN_PARTS)
        assert ended(reader)
    finally:
        os.close(reader)


def test_a_compiler_that_fails(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = 'case "$*" in *--version*) echo broken 1.0;; *) echo "disk full"; echo "no space" >&2; exit 3;; esac\n'
    compiler = script(tmp_path / "broken-cc", text)
    monkeypatch.setenv("CC", str(compiler))
    with pytest.raises(BuildError, match="status 3") as caught:
        answer()
    assert caught.value.output == "disk full\nno space\n"
    assert caught.value.command[0] == str(compiler)


def test_a_compiler_that_makes_nothing(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CC", "true")
    with pytest.raises(BuildError, match=r"status 0.*\n.*unit\.c") as caught:
        answer()
    assert caught.value.source is not None and caught.value.source.exists()


def test_much_output_is_cut_in_the_message_alone(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = 'case "$*" in *--version*) ;; *) i=0; while [ $i -lt 500 ]; do echo "line $i"; i=$((i+1)); done; exit 1;; esac\n'
    monkeypatch.setenv("CC", str(script(tmp_path / "loud", text)))
    with pytest.raises(BuildError, match="460 lines more") as caught:
        answer()
    assert "line 39\n" in str(caught.value) and "line 40" not in str(caught.value)
    assert caught.value.output.count("\n") == 500


def test_cc_false(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CC", "false")
    with pytest.raises(BuildError, match=r"false --version failed with status 1") as caught:
        answer()
    assert caught.value.command == ("false",)


@pytest.mark.parametrize("wanted", ["/no/such/compiler", "no-such-compiler -O2", "'unfinished"])
def test_cc_that_is_not_there(wanted: str, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CC", wanted)
    with pytest.raises(BuildError, match=r"CC=.*Set CC to a C compiler"):
        answer()


def test_cc_that_cannot_be_run(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = script(tmp_path / "cc", "")
    broken.write_bytes(b"\x7fELF no program at all")
    monkeypatch.setenv("CC", str(broken))
    with pytest.raises(BuildError, match="cannot be run"):
        answer()


def test_no_compiler_at_all(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CC", raising=False)
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(sysconfig, "get_config_var", lambda name: {"CC": "gcc -pthread"}.get(name))
    with pytest.raises(BuildError, match=r"No C compiler was found.*Install one: .*nncompile\[zig\]"):
        answer()


def test_no_headers_of_python(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sysconfig, "get_path", lambda name: str(tmp_path))
    with pytest.raises(BuildError, match=r"Python\.h was not found.*-dev"):
        answer()


def test_a_model_that_does_not_compile_says_so(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CC", "true")
    model = nn.Sequential([nn.Input((2,)), nn.layers.Dense(1)])
    with pytest.raises(BuildError):
        model.predict(np.ones((1, 2)), verbose=0)
    monkeypatch.delenv("CC")
    assert model.predict(np.ones((1, 2)), verbose=0).shape == (1, 1)


# ------------------------------------------------------------------ which compiler


@pytest.mark.parametrize("form", ["{}", "'{}'", "'{}' -DONE=1 -DTWO"])
def test_a_compiler_with_spaces_in_its_path(
    form: str, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiler = script(tmp_path / "my tools $HOME" / "the cc;", 'exec cc "$@"\n')
    monkeypatch.setenv("CC", form.format(compiler))
    assert answer() == 42
    (entry,) = entries(cache)
    for line in (entry / "command").read_text().splitlines():
        command = shlex.split(line)
        assert command[0] == str(compiler) and ("-DONE=1" in command) == ("-DONE" in form)


@pytest.mark.parametrize("name", ["gcc", "clang"])
def test_compilers(name: str, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every target prints C that both of them take, and from which both make the same numbers."""
    import shutil

    if shutil.which(name) is None:
        pytest.skip(f"no {name} here")
    monkeypatch.setenv("CC", name)
    rng = np.random.default_rng(0)
    for target in targets.available():
        targets.set_host(target.name)
        model = nn.Sequential([nn.Input((5,)), nn.layers.Dense(40, "gelu"), nn.layers.Dense(3, "softmax")])
        model.set_weights([rng.normal(size=w.shape) * 0.3 for w in model.weights])
        x = rng.normal(size=(7, 5)).astype("float32")
        model.compile("adam", "categorical_crossentropy", metrics=["accuracy"])
        assert np.isfinite(model.train_on_batch(x, np.eye(3)[[0, 1, 2, 0, 1, 2, 0]])).all()
        np.testing.assert_allclose(model.predict(x, verbose=0), model.call(x), rtol=1e-5, atol=1e-6)


def test_the_compiler_of_python_comes_first(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CC", raising=False)
    for name in ("gcc", "clang", "cc", "pythons-cc"):
        script(tmp_path / "bin" / name, f'echo "{name} 1.0"\n')
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    for found in ("pythons-cc", "gcc", "clang", "cc"):
        monkeypatch.setattr(build, "_found", {})
        monkeypatch.setattr(sysconfig, "get_config_var", lambda name: {"CC": "pythons-cc -pthread"}.get(name))
        assert build.find_compiler() == build.Compiler((found,), f"{found} 1.0")
        (tmp_path / "bin" / found).unlink()


# ------------------------------------------------------------------ the folder


@pytest.mark.parametrize("mode", [0o777, 0o770, 0o702])
def test_a_folder_that_others_can_write_is_refused(mode: int, cache: Path) -> None:
    cache.mkdir()
    cache.chmod(mode)
    with pytest.raises(BuildError, match=r"others could change it.*chmod 700"):
        answer()
    assert entries(cache) == []


def test_a_folder_that_others_can_read_is_not_refused(cache: Path) -> None:
    cache.mkdir(mode=0o755)
    assert answer() == 42


def test_a_folder_that_is_a_file_is_refused(cache: Path) -> None:
    cache.write_text("")
    with pytest.raises(BuildError, match="NNCOMPILE_CACHE_DIR"):
        answer()


def test_a_folder_that_cannot_be_made_is_refused(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("NNCOMPILE_CACHE_DIR", str(tmp_path / "file" / "cache"))
    with pytest.raises(BuildError, match="cannot be made.*NNCOMPILE_CACHE_DIR"):
        answer()


def test_a_link_that_the_user_named_is_followed(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "real").mkdir(mode=0o700)
    (tmp_path / "link").symlink_to(tmp_path / "real")
    monkeypatch.setenv("NNCOMPILE_CACHE_DIR", str(tmp_path / "link"))
    assert answer() == 42
    assert len(entries(tmp_path / "real")) == 1
    (tmp_path / "real").chmod(0o777)
    with pytest.raises(BuildError, match="others could change it"):
        answer()


def test_without_a_name_it_is_the_users_cache(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NNCOMPILE_CACHE_DIR")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert answer() == 42
    (folder,) = tmp_path.rglob("nncompile")
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700 and len(entries(folder)) == 1


# ------------------------------------------------------------------ manners


@pytest.fixture
def surroundings() -> Iterator[None]:
    """What a build may not change."""

    def now() -> Any:
        mask = os.umask(0)
        os.umask(mask)
        environment = {k: v for k, v in os.environ.items() if k != "PYTEST_CURRENT_TEST"}
        return os.getcwd(), environment, mask, list(sys.path), sys.getprofile()

    before = now()
    yield
    assert now() == before


@pytest.mark.usefixtures("surroundings")
def test_nothing_is_printed_and_nothing_is_changed(cache: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert answer() == 42
    with pytest.raises(BuildError):
        answer(BAD)
    warned = Sources("int answer(void);\n", "int answer(void) { int unused = 1 / 0; return 42; }\n")
    assert answer(warned) == 42
    assert capfd.readouterr() == ("", "")


@pytest.mark.usefixtures("surroundings")
def test_training_prints_and_changes_nothing(cache: Path, capfd: pytest.CaptureFixture[str]) -> None:
    model = nn.Sequential([nn.Input((2,)), nn.layers.Dense(1)])
    model.compile("adam", "mse")
    model.fit(np.ones((4, 2)), np.ones(4), verbose=0)
    assert capfd.readouterr() == ("", "")


def test_what_debugging_shows(cache: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    shown = {1: ["render:", "build:", " ms"], 2: ["graph sequential", "program sequential"], 3: ["void network_predict("],
             4: ["unit.c -o unit1.o", "binding.c -o binding.o", "unit1.o unit2.o binding.o -o"]}  # fmt: skip
    for level in range(5):
        monkeypatch.setenv("NNCOMPILE_DEBUG", str(level))
        model = nn.Sequential([nn.Input((2,)), nn.layers.Dense(1)], name="sequential")
        model.predict(np.ones((1, 2)), verbose=0)
        out, err = capfd.readouterr()
        assert out == ""
        for number, texts in shown.items():
            assert all((text in err) == (number <= level) for text in texts), (level, texts)
    monkeypatch.setenv("NNCOMPILE_DEBUG", "yes")
    nn.Sequential([nn.Input((2,)), nn.layers.Dense(1)]).predict(np.ones((1, 2)), verbose=0)
