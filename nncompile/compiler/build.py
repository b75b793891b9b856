"""Stage 4: from Sources to a loaded module. The only importer of cffi and subprocess.

``FFI.compile`` would change the working directory and the environment of the user's
process, read their setuptools configuration and let the compiler print to their
terminal. So cffi only writes the binding here, and commands of ours, argument lists and
never a shell, compile and link it with the unit. The parts of the unit and the binding
are compiled at one time, by a process each.

Builds are kept in a cache that is private to the user. Each entry is built in a folder
of its own and moved into place at once: any number of processes may build the same
model, and none waits for another.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.machinery
import importlib.util
import itertools
import os
import shlex
import shutil
import signal
import subprocess
import sys
import sysconfig
import tempfile
import threading
import time
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType, ModuleType, TracebackType

from .. import _version
from ..errors import BuildError
from ..targets import Target
from .cache import cache_folder
from .render import Sources

FLAGS = (
    "-std=gnu11",
    "-O2",
    "-ftree-vectorize",
    "-fno-math-errno",
    "-fno-trapping-math",
    "-Werror=implicit-function-declaration",
)
"""-O3 makes these units neither smaller nor faster, and takes four times as long.

NaN and infinity keep their meaning: nothing of -ffast-math that would take it away.
"""
FLAGS_VARIABLE = "NNCOMPILE_CFLAGS"
"""The variable of the environment that has further flags: ``-g``, ``-fsanitize=undefined``."""
_BINDING_FLAGS = ("-O1",)
"""Of the binding, behind all others: there is no loop in it. -O0 would make a small prediction a few percent slower."""
_GRACE = 1.0
"""Seconds that a compiler has to take its temporary files away once it is told to end."""


@dataclass(frozen=True)
class Compiler:
    """A C compiler.

    Attributes:
        command: how it is called, with its first arguments.
        version: what it says of itself; part of the key of the cache.
    """

    command: tuple[str, ...]
    version: str


_found: dict[str, Compiler] = {}


def find_compiler() -> Compiler:
    """Returns the C compiler: ``$CC``, else Python's own, gcc, clang, cc, or ziglang from PyPI.

    Raises:
        BuildError: there is none; the message says what installs one.
    """
    wanted = os.environ.get("CC", "")
    if wanted in _found:
        return _found[wanted]
    if wanted:
        candidates = [[wanted], _split(wanted)]  # a path with spaces, or a command with arguments
    else:
        built_with = shlex.split(sysconfig.get_config_var("CC") or "")[:1]
        candidates = [c for c in (built_with, ["gcc"], ["clang"], ["cc"]) if c]
    for command in candidates:
        if command and shutil.which(command[0]):
            _found[wanted] = Compiler(tuple(command), _version_of(command))
            return _found[wanted]
    if wanted:
        raise BuildError(f"CC={wanted!r}: no such compiler. Set CC to a C compiler, or unset it.")
    if importlib.util.find_spec("ziglang") is not None:
        zig = [sys.executable, "-m", "ziglang", "cc"]
        _found[wanted] = Compiler(tuple(zig), _version_of(zig))
        return _found[wanted]
    raise BuildError(
        "No C compiler was found (looked for $CC, gcc, clang, cc and ziglang). Install one: "
        f"{_install_hint()}, or run: pip install 'nncompile[zig]'"
    )


def _split(command: str) -> list[str]:
    try:
        return shlex.split(command)
    except ValueError as error:
        raise BuildError(f"CC={command!r}: {error}. Set CC to a C compiler, or unset it.") from error


def _install_hint() -> str:
    if sys.platform == "darwin":
        return "xcode-select --install"
    for tool, command in (
        ("apt-get", "sudo apt-get install gcc"),
        ("dnf", "sudo dnf install gcc"),
        ("apk", "sudo apk add gcc musl-dev"),
        ("pacman", "sudo pacman -S gcc"),
    ):
        if shutil.which(tool):
            return command
    return "your system's package gcc or clang"


def _version_of(command: Sequence[str]) -> str:
    try:
        done = _run([*command, "--version"])
    except OSError as error:
        raise BuildError(f"{command[0]}: cannot be run: {error.strerror}.", command=command) from error
    if done.returncode:
        raise BuildError(
            f"{shlex.join(command)} --version failed with status {done.returncode}:\n{done.stdout.strip()}",
            command=command,
            output=done.stdout,
        )
    return done.stdout.strip()


class _Processes:
    """Processes that run at one time; leaving ends those that still do, with all that they have started."""

    def __init__(self) -> None:
        self._started: list[subprocess.Popen[str]] = []

    def __enter__(self) -> _Processes:
        return self

    def start(self, command: Sequence[str], cwd: Path | None = None) -> subprocess.Popen[str]:
        """Starts a command without input; what it says is kept for :meth:`finish`."""
        with _interrupts_later():  # in between the process would run, and nobody know of it
            process = subprocess.Popen(
                command,
                cwd=cwd,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                start_new_session=True,  # a compiler is a process that starts others, which have to end with it
            )
            self._started.append(process)
        return process

    def finish(self, process: subprocess.Popen[str]) -> subprocess.CompletedProcess[str]:
        """Waits for the end of a process and returns its status and all that it said."""
        said, _ = process.communicate()
        return subprocess.CompletedProcess(process.args, process.returncode, said)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        running = [process for process in self._started if process.poll() is None]
        for process in running:
            _signal(process, signal.SIGTERM)
        until = time.monotonic() + _GRACE
        for process in running:
            try:
                process.wait(max(until - time.monotonic(), 0.0))
            except subprocess.TimeoutExpired:
                _signal(process, signal.SIGKILL)
                process.wait()
        for process in self._started:
            if process.stdout is not None:
                process.stdout.close()


@contextlib.contextmanager
def _interrupts_later() -> Iterator[None]:
    """Ctrl-C takes effect at the end of this; in other threads than the main one it never does."""
    handler = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(handler):
        yield
        return
    caught: list[tuple[int, FrameType | None]] = []
    signal.signal(signal.SIGINT, lambda number, frame: caught.append((number, frame)))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler)
    if caught:
        handler(*caught[0])


def _signal(process: subprocess.Popen[str], number: int) -> None:
    """Sends a signal to a process that was not waited for, and to all of its group."""
    try:
        os.killpg(process.pid, number)
    except PermissionError:  # macOS says so if all of them have ended by themselves
        process.send_signal(number)


def _run(command: Sequence[str], cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    with _Processes() as processes:
        return processes.finish(processes.start(command, cwd))


def commands_for(compiler: Compiler, target: Target, parts: int = 1) -> list[list[str]]:
    """Returns the commands that make a module of ``unit.c`` and ``binding.c`` in their folder.

    Each names what it makes behind ``-o``. The last one links what the others compile, the
    binding last; those can run at one time.

    Args:
        compiler: the compiler.
        target: the processor.
        parts: of the unit, see :class:`.Sources`.
    """
    shared = ["-bundle", "-undefined", "dynamic_lookup"] if sys.platform == "darwin" else ["-shared"]
    include = dict.fromkeys(f"-I{sysconfig.get_path(p)}" for p in ("include", "platinclude"))
    own = _own_flags()
    compiling = [
        *compiler.command,
        *FLAGS,
        *target.flags,
        *own,
        "-fPIC",
        "-pipe",
        "-c",
    ]  # the assembler works meanwhile
    units = [(f"unit{n}.o", [f"-DPART={n}"]) for n in range(1, parts + 1)] if parts > 1 else [("unit.o", [])]
    return [
        *([*compiling, *chosen, "unit.c", "-o", name] for name, chosen in units),
        [*compiling, *_BINDING_FLAGS, *include, "binding.c", "-o", "binding.o"],
        [
            *compiler.command,
            *own,
            *shared,
            *(name for name, _ in units),
            "binding.o",
            "-o",
            "module" + _suffix(),
            "-lm",
        ],
    ]


def _own_flags() -> list[str]:
    """Flags of the user's, behind all of ours.

    Raises:
        BuildError: their quotes do not end.
    """
    text = os.environ.get(FLAGS_VARIABLE, "")
    try:
        return shlex.split(text)
    except ValueError as error:
        raise BuildError(
            f"{FLAGS_VARIABLE}: expected flags of a C compiler as a shell takes them, received {text!r}: {error}."
        ) from error


def _suffix() -> str:
    return str(sysconfig.get_config_var("EXT_SUFFIX") or ".so")


def key_of(sources: Sources, commands: Sequence[Sequence[str]], compiler: Compiler) -> str:
    """SHA-256 of everything that the module depends on, in hexadecimal."""
    import _cffi_backend

    parts = (
        _version.__version__,
        sources.declarations,
        sources.code,
        *itertools.chain.from_iterable(commands),
        compiler.version,
        str(shutil.which(compiler.command[0])),
        _suffix(),
        sys.version,
        _cffi_backend.__version__,
    )
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


# ------------------------------------------------------------------ the cache


def _sound(entry: Path) -> bool:
    """Whether an entry of the cache is whole: what was stored is what is there."""
    try:
        expected = (entry / "checksum").read_text().strip()
        return hashlib.sha256((entry / f"module{_suffix()}").read_bytes()).hexdigest() == expected
    except (OSError, UnicodeDecodeError):
        return False


def build(sources: Sources, target: Target) -> ModuleType:
    """Compiles sources, or finds them compiled, and loads the module.

    Returns:
        The extension module; ``ffi`` and ``lib`` are its attributes.

    Raises:
        BuildError: there is no compiler, or it failed; the C is kept and named.
    """
    compiler = find_compiler()
    commands = commands_for(compiler, target, sources.parts)
    key = key_of(sources, commands, compiler)
    folder = cache_folder()
    entry = folder / key[:32]
    if entry.is_dir() and not _sound(entry):
        warnings.warn(f"{entry}: a damaged entry of the cache was built again.", RuntimeWarning, stacklevel=2)
        _discard(entry)
    if not entry.is_dir():
        _make(entry, sources, commands, f"_nncompile_{key[:16]}")
    return _load(f"_nncompile_{key[:16]}", entry / f"module{_suffix()}")


def _discard(entry: Path) -> None:
    """Takes an entry away at once, so that no other process meets half of it."""
    away = Path(tempfile.mkdtemp(prefix="old-", dir=entry.parent))
    try:
        os.replace(entry, away)
    except OSError:
        if entry.exists():
            raise  # otherwise another process was faster
    finally:
        shutil.rmtree(away, ignore_errors=True)


def _make(entry: Path, sources: Sources, commands: Sequence[Sequence[str]], name: str) -> None:
    _sweep(entry.parent)
    work = Path(tempfile.mkdtemp(prefix="new-", dir=entry.parent))
    try:
        (work / "network.h").write_text(sources.declarations)
        (work / "unit.c").write_text(sources.code)
        if not Path(sysconfig.get_path("include"), "Python.h").exists():
            raise BuildError(
                f"Python.h was not found in {sysconfig.get_path('include')}. Install the headers of this Python, "
                f"for example: sudo apt-get install python{sys.version_info.major}.{sys.version_info.minor}-dev"
            )
        *units, binding, link = commands
        with _Processes() as processes:
            started = [processes.start(command, work) for command in units]
            _write_binding(work, sources, name)  # while the units are compiled
            started.append(processes.start(binding, work))
            failed = next((done for done in map(processes.finish, started) if not _succeeded(done, work)), None)
            if failed is None:
                done = processes.finish(processes.start(link, work))
                failed = None if _succeeded(done, work) else done
        if failed is not None:  # and nothing writes there any more
            kept = _keep(entry, work)
            raise BuildError(
                f"The C compiler failed with status {failed.returncode}. Command, in {kept}:\n"
                f"  {shlex.join(failed.args)}\nIt said:\n{_shorten(failed.stdout)}",
                command=failed.args,
                output=failed.stdout,
                source=kept / "unit.c",
            )
        (work / "command").write_text("".join(f"{shlex.join(command)}\n" for command in commands))
        for command in (*units, binding):
            (work / _made(command)).unlink()
        module = work / f"module{_suffix()}"
        (work / "checksum").write_text(hashlib.sha256(module.read_bytes()).hexdigest() + "\n")
        try:
            os.replace(work, entry)
        except OSError:
            if not _sound(entry):  # not that another process was faster
                raise
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _made(command: Sequence[str]) -> str:
    """What a command makes."""
    return command[command.index("-o") + 1]


def _succeeded(done: subprocess.CompletedProcess[str], work: Path) -> bool:
    """Whether a command has made what it should."""
    return not done.returncode and (work / _made(done.args)).exists()


def _sweep(folder: Path) -> None:
    """Removes what builds that were killed more than a day ago have left."""
    for left in (*folder.glob("new-*"), *folder.glob("old-*")):
        try:
            abandoned = time.time() - left.stat().st_mtime > 86400
        except FileNotFoundError:  # another process is done with it
            continue
        if abandoned:
            shutil.rmtree(left, ignore_errors=True)


def _write_binding(work: Path, sources: Sources, name: str) -> None:
    # here: they take longer to import than a hit of the cache takes in all
    from cffi import FFI
    from cffi.recompiler import make_c_source

    ffi = FFI()
    ffi.cdef(sources.declarations)
    # what FFI.emit_c_code calls, without its message to the standard output
    make_c_source(ffi, name, '#include <stdint.h>\n#include "network.h"\n', str(work / "binding.c"), verbose=False)


def _keep(entry: Path, work: Path) -> Path:
    """Moves the C of a failed build to where it stays."""
    failed = entry.parent / "failed" / entry.name
    shutil.copytree(work, failed, dirs_exist_ok=True)  # it may be there, and another process may be at it
    return failed


def _shorten(text: str, lines: int = 40) -> str:
    parts = text.strip().splitlines()
    return "\n".join(parts[:lines] + ([f"… and {len(parts) - lines} lines more"] if len(parts) > lines else []))


def _load(name: str, path: Path) -> ModuleType:
    if name in sys.modules:
        return sys.modules[name]
    loader = importlib.machinery.ExtensionFileLoader(name, str(path))
    spec = importlib.util.spec_from_file_location(name, path, loader=loader)
    if spec is None:
        raise BuildError(f"{path}: cannot be loaded.")
    try:
        module = importlib.util.module_from_spec(spec)
        loader.exec_module(module)
    except ImportError as error:
        raise BuildError(f"{path}: was compiled but cannot be loaded: {error}") from error
    sys.modules[name] = module
    return module


# ------------------------------------------------------------------ programs that stand alone


@dataclass(frozen=True)
class Ran:
    """What a program did: its exit status and what it wrote to its standard output."""

    status: int
    output: bytes


def run_program(sources: Sequence[Path], flags: Sequence[str], stdin: bytes = b"") -> Ran:
    """Compiles files of C with a ``main`` among them, as anyone would, and runs the program.

    Args:
        sources: the files.
        flags: of the compiler.
        stdin: what the program reads.

    Raises:
        BuildError: there is no compiler, it failed, or the program cannot be run.
    """
    compiler = find_compiler()
    with tempfile.TemporaryDirectory(prefix="nncompile-") as folder:
        program = Path(folder, "program")
        command = [*compiler.command, *flags, *map(str, sources), "-o", str(program), "-lm"]
        done = _run(command)
        if done.returncode:
            raise BuildError(
                f"The C compiler failed with status {done.returncode}. Command:\n"
                f"  {shlex.join(command)}\nIt said:\n{_shorten(done.stdout)}",
                command=command,
                output=done.stdout,
                source=sources[0],
            )
        try:
            ran = subprocess.run([str(program)], input=stdin, stdout=subprocess.PIPE, check=False)
        except OSError as error:
            raise BuildError(
                f"{program}: what was compiled cannot be run: {error.strerror}.", command=command
            ) from error
    return Ran(ran.returncode, ran.stdout)
