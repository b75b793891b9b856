"""Targets: what the compiler has to know of a processor, as values."""

from __future__ import annotations

import functools
import numbers
import os
import platform
from dataclasses import dataclass, replace
from pathlib import Path

from .errors import ModelError
from .registry import nearest


@dataclass(frozen=True)
class Target:
    """A processor as the kernels see it.

    Attributes:
        name: what a user calls it.
        form: ``gnu`` for the vector extensions of GNU C, ``c99`` for plain scalar C99.
        vector_bytes: size of a vector register; of one element in the form ``c99``.
        tile_rows: heights of the register tiles, highest first; each the double of a
            smaller one or the sum of two, so that any number of rows is made of few.
        panel_vectors: vectors in a row of a register tile.
        updated_together: vectors of weights that an optimizer changes one right after another, between terms of the
            next gradient. Roots and quotients of several wait for each other's operands in the same time; as many as
            was quickest where it was measured.
        flags: flags of the C compiler.
        machines: values of ``platform.machine()`` that run it, empty for all.
        features: what /proc/cpuinfo must list, all of it.
        vendor: whose processors it is for, as /proc/cpuinfo names them; empty for all.
        tiles: what multiplies tiles of bfloat16 numbers, 16 x 32 by 32 x 16: ``amx`` for the instructions of x86,
            ``emulated`` for the same in C, ``dots`` for vectors with sums of two products in a lane (VDPBF16PS),
            empty for nothing. A panel is 32 columns wide then.
        tiles_from: how many numbers a kernel has at least whose products are done with tiles.
        parts: of bfloat16 that float32 operands of products are split into, where there are tiles; 0 for no such
            splitting. Part of a target, as it changes what is printed and computed.
    """

    name: str
    form: str
    vector_bytes: int
    tile_rows: tuple[int, ...]
    panel_vectors: int
    flags: tuple[str, ...]
    machines: tuple[str, ...] = ()
    features: tuple[str, ...] = ()
    vendor: str = ""
    tiles: str = ""
    tiles_from: int = 0
    parts: int = 0
    updated_together: int = 1

    @property
    def splits(self) -> bool:
        """Whether float32 products of bfloat16 parts are worth while: sums of two products are twice as fast as one."""
        return self.tiles in ("amx", "emulated")

    def __str__(self) -> str:
        return f"{self.name} ({self.form}, {self.vector_bytes} bytes, tiles {self.tile_rows[0]}x{self.panel_vectors})"


_X86 = ("x86_64", "AMD64")
_V3 = ("avx2", "fma", "bmi2", "f16c", "movbe", "abm")
_CONTRACT = ("-ffp-contract=fast",)

_V4 = (*_V3, "avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl")
_V4_FLAGS = ("-march=x86-64-v4", "-mprfchw", "-mprefer-vector-width=512", *_CONTRACT)

TARGETS: tuple[Target, ...] = (
    # fewer than 32 x 32 weights are multiplied before tiles are configured and filled
    Target("x86-64-v4-amx", "gnu", 64, (12, 8, 4), 2, (*_V4_FLAGS, "-mamx-tile", "-mamx-bf16"), _X86,
           (*_V4, "amx_tile", "amx_bf16"), tiles="amx", tiles_from=1024),
    # processors of Intel do these at half the rate of float32 multiply-adds, which comes to the same
    Target("x86-64-v4-bf16", "gnu", 64, (12, 8, 4), 2, (*_V4_FLAGS, "-mavx512bf16"), _X86,
           (*_V4, "avx512_bf16"), vendor="AuthenticAMD", tiles="dots", tiles_from=1024),
    Target("x86-64-v4", "gnu", 64, (12, 8, 4), 2, _V4_FLAGS, _X86, _V4),
    Target("x86-64-v3", "gnu", 32, (6, 4, 2), 2, ("-march=x86-64-v3", "-mprfchw", *_CONTRACT), _X86, _V3,
           updated_together=4),
    Target("x86-64", "gnu", 16, (6, 4, 2), 2, ("-march=x86-64", *_CONTRACT), _X86, updated_together=4),
    Target("aarch64", "gnu", 16, (12, 8, 4), 2, _CONTRACT, ("aarch64", "arm64")),
    Target("generic", "gnu", 16, (6, 4, 2), 2, _CONTRACT),
    # without contraction, so that every machine and compiler computes the same bits
    Target("c99", "c99", 0, (4, 2, 1), 16, ("-ffp-contract=off",)),
)  # fmt: skip
"""All targets, the best first; ``c99`` is the specification that the others are tested against."""

EMULATED = Target("emulated-tiles", "gnu", 16, (4, 2, 1), 8, _CONTRACT, tiles="emulated")
"""What tests tiles where there are none: the layout and the sums of the real ones, bit for bit, and slow.

It is found by its name, and in no list that users see. All numbers of a kernel, also of the smallest, go through tiles.
"""


@functools.cache
def _features() -> frozenset[str]:
    """What the processor can do, by the names of Linux; empty where that cannot be read."""
    return _said_of_processors("flags") | _said_of_processors("Features")


@functools.cache
def _vendor() -> str:
    """Who made the processor, by the name of Linux; empty where that cannot be read."""
    return " ".join(_said_of_processors("vendor_id"))


@functools.cache
def _said_of_processors(what: str) -> frozenset[str]:
    """The words that Linux has for something, of all processors."""
    try:
        text = Path("/proc/cpuinfo").read_text(errors="replace")
    except OSError:
        return frozenset()
    lines = (line.partition(":") for line in text.splitlines())
    return frozenset(word for key, _, value in lines if key.strip() == what for word in value.split())


@functools.cache
def _tiles_granted(process: int) -> bool:
    """Asks Linux to let this process use the registers of tiles, 8 KB more to save for each thread.

    A processor that has them, and a system that saves them (it lists ``amx_tile`` only if bits 17 and 18 of the
    register XCR0 are set), do not do: until a process has asked, the instructions end it with SIGILL. The permission
    is for all threads, and for children that are forked. The system refuses it if a thread has a stack for signal
    handlers that is too small for the larger registers.

    Args:
        process: the number of this process, which is asked for once.
    """
    if not hasattr(os, "uname") or os.uname().sysname != "Linux" or platform.machine() != "x86_64":
        return False
    import ctypes  # the one way to a call of the system that Python has no name for; nothing else needs it

    arch_prctl, request_permission, tile_data = 158, 0x1023, 18  # numbers of Linux on x86-64
    return int(ctypes.CDLL(None, use_errno=True).syscall(arch_prctl, request_permission, tile_data)) == 0


def available() -> tuple[Target, ...]:
    """Returns the targets that this machine can run, the best first."""
    found = _of_machine(platform.machine(), _features(), _vendor())
    return tuple([t for t in found if t.tiles != "amx" or _tiles_granted(os.getpid())])


@functools.cache  # every call of a model asks for the best target
def _of_machine(machine: str, features: frozenset[str], vendor: str) -> tuple[Target, ...]:
    found = (t for t in TARGETS if (not t.machines or machine in t.machines) and set(t.features) <= features)
    return tuple(t for t in found if t.vendor in ("", vendor))


def tested() -> tuple[Target, ...]:
    """Returns the targets that tests can run here: the available ones and the one that emulates tiles."""
    return (*available(), EMULATED)


# ------------------------------------------------------------------ threads


def cores() -> int:
    """How many cores this process may use.

    Two threads of one core share its arithmetic units, so that hardware threads do not
    count; what the scheduler (affinity) or a container (a quota) withholds does not either.

    Returns:
        A number from 1.
    """
    if hasattr(os, "sched_getaffinity"):
        cpus = sorted(os.sched_getaffinity(0))
        siblings = (Path(f"/sys/devices/system/cpu/cpu{n}/topology/thread_siblings_list") for n in cpus)
        found = len({path.read_text() if path.exists() else str(path) for path in siblings})
    else:
        found = os.cpu_count() or 1
    return max(min(found, _quota()), 1)


def _quota() -> int:
    """Processors that a container grants, rounded up; many if there is no limit."""
    limit = Path("/sys/fs/cgroup/cpu.max")
    try:
        quota, period = limit.read_text().split()[:2]
    except (OSError, ValueError):  # another system, or an older one
        return 1 << 16
    return 1 << 16 if quota == "max" else -(-int(quota) // int(period))


THREADS_VARIABLE = "NNCOMPILE_NUM_THREADS"
"""The variable of the environment that says how many threads to use."""
_threads: int | None = None


def threads() -> int:
    """How many threads compiled code uses: what was set, else ``NNCOMPILE_NUM_THREADS``, else all cores.

    Returns:
        A number from 1.

    Raises:
        ModelError: the environment has something that is no number of threads.
    """
    global _threads
    if _threads is None:
        text = os.environ.get(THREADS_VARIABLE, "").strip()
        if text and not (text.isdecimal() and int(text)):
            raise ModelError(f"{THREADS_VARIABLE}: expected a number of threads, 1 or more, received {text!r}.")
        _threads = int(text) if text else cores()
    return _threads


def set_threads(count: int | None) -> None:
    """Sets how many threads compiled code uses; None for the default.

    Args:
        count: from 1; None for the default.

    Raises:
        ModelError: not a positive whole number.
    """
    global _threads
    if count is not None and (isinstance(count, bool) or not isinstance(count, numbers.Integral) or count < 1):
        raise ModelError(f"set_num_threads: expected a whole number, 1 or more, or None, received {count!r}.")
    _threads = None if count is None else int(count)
    changed()


# ------------------------------------------------------------------ the target


_chosen: Target | None = None
changes = 0
"""Counts the changes of what models are compiled for: what was prepared before the last one may not be used."""
VARIABLE = "NNCOMPILE_TARGET"
"""The variable of the environment that names a target."""


def find(name: str) -> Target:
    """Returns the target called ``name``.

    Args:
        name: of the target.

    Raises:
        ModelError: there is none of that name.
    """
    for target in (*TARGETS, EMULATED):
        if target.name == name:
            return target
    known = [t.name for t in TARGETS]
    raise ModelError(f"target: expected one of {', '.join(known)}, received {name!r}.{nearest(name, known)}")


def host() -> Target:
    """Returns the target that models are compiled for.

    It is the one that :func:`set_host` chose, else that of ``NNCOMPILE_TARGET``, else the
    best that this machine can run.

    Raises:
        ModelError: the environment names a target that is unknown or cannot run here.
    """
    target = _chosen
    if target is None:
        named = os.environ.get(VARIABLE)
        target = _runnable(named, VARIABLE) if named else available()[0]
    return _split(target, PRECISIONS[precision()]) if target.splits else target


@functools.cache
def _split(target: Target, parts: int) -> Target:
    return replace(target, parts=parts)


def _runnable(name: str, where: str) -> Target:
    target = find(name)
    if target not in tested():
        names = ", ".join(t.name for t in available())
        raise ModelError(f"{where}: this machine cannot run {name}; it can run {names}.")
    return target


def set_host(name: str | None) -> None:
    """Chooses the target by name; None chooses the best one again.

    Args:
        name: of the target.

    Raises:
        ModelError: the name is unknown, or this machine cannot run it.
    """
    global _chosen
    _chosen = _runnable(name, "target") if name else None
    changed()


PRECISION_VARIABLE = "NNCOMPILE_MATMUL_PRECISION"
"""The variable of the environment that says how products of float32 numbers are computed."""
PRECISIONS = {"float32": 0, "bfloat16_6x": 3, "bfloat16_3x": 2}
"""How they can be: in how many parts of bfloat16 each operand is split, 0 for not at all."""
_precision: str | None = None


def precision() -> str:
    """How products of float32 numbers are computed: as was set, else ``NNCOMPILE_MATMUL_PRECISION``, else in float32.

    Returns:
        Its name.

    Raises:
        ModelError: the environment has something else.
    """
    global _precision
    if _precision is None:
        _precision = _known_precision(os.environ.get(PRECISION_VARIABLE) or "float32", PRECISION_VARIABLE)
    return _precision


def set_precision(name: str | None) -> None:
    """Sets how products of float32 numbers are computed; None for the default.

    Args:
        name: of the precision.

    Raises:
        ModelError: there is no precision of that name.
    """
    global _precision
    _precision = None if name is None else _known_precision(name, "set_matmul_precision")
    changed()


def _known_precision(name: object, where: str) -> str:
    if isinstance(name, str) and name in PRECISIONS:
        return name
    known = ", ".join(map(repr, PRECISIONS))
    advice = nearest(str(name), PRECISIONS)
    raise ModelError(f"{where}: expected one of {known}, received {name!r:.80}.{advice}")


def changed() -> None:
    """Says that what models are compiled for may be another now."""
    global changes
    changes += 1
