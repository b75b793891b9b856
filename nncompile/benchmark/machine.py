"""The machine: what it is, and what it can do at most, measured.

A network cannot be faster than the multiply-adds of the processor or the memory that it
reads and writes, whichever takes longer: its roofline. Both are measured here, with a
small program printed for the same target as the network, in the same minute.
"""

from __future__ import annotations

import os
import platform
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .. import _version, targets
from ..compiler import build, records, render, vocabulary
from ..errors import BuildError, InternalError
from ..targets import Target

_CPUS = Path("/sys/devices/system/cpu")
_ASSUMED = ((1, 32 << 10, False), (2, 1 << 20, False), (3, 16 << 20, True))
"""Caches where the system does not say: (level, bytes, whether all processors share it)."""
_LARGEST = 256 << 20
"""Bytes at most that one thread works on: enough to be in no cache."""
_BLOCK = 8
"""Vectors that a pass over memory takes at a time."""
_SUMS = 48
"""Sums in plain C: the compiler makes 12 vectors of 4 of them. Other targets have as many as their tiles."""


@dataclass(frozen=True)
class Cache:
    """A cache for data.

    Attributes:
        level: 1, 2 or 3.
        bytes: its size.
        shared: how many processors use the same one.
        assumed: whether the system did not say so.
    """

    level: int
    bytes: int
    shared: int
    assumed: bool = False


@dataclass(frozen=True)
class Machine:
    """What is measured on.

    Attributes:
        cpu: what the processor calls itself.
        system: the operating system and the kind of processor.
        cores: how many this process may use.
        memory: bytes; 0 where the system does not say.
        caches: of one processor, the nearest first.
        target: what networks are compiled for.
        form: of the target: ``gnu`` or ``c99``.
        vector_bytes: of the target; 0 for plain C.
        versions: what is installed, by name.
    """

    cpu: str
    system: str
    cores: int
    memory: int
    caches: tuple[Cache, ...]
    target: str
    form: str
    vector_bytes: int
    versions: dict[str, str]


@dataclass(frozen=True)
class Level:
    """How fast memory is for data of one size.

    Attributes:
        name: ``L1``, ``L2``, ``L3``, ``memory`` or ``network``.
        bytes: that all threads together work on.
        read: GB/s of reading.
        update: GB/s of changing in place, reads and writes both counted.
    """

    name: str
    bytes: int
    read: float
    update: float


@dataclass(frozen=True)
class Peak:
    """The most that some threads can do at once.

    Attributes:
        threads: how many.
        gflops: billions of operations a second, a multiply-add being two.
        levels: memory, the nearest first.
    """

    threads: int
    gflops: float
    levels: tuple[Level, ...]

    def level(self, name: str) -> Level:
        """The level of that name."""
        return next(level for level in self.levels if level.name == name)

    def holding(self, size: float) -> Level:
        """The nearest level that holds so many bytes."""
        own = [level for level in self.levels if level.name != "network"]
        return next((level for level in own[:-1] if 2 * level.bytes >= size), own[-1])


@dataclass(frozen=True)
class _Wanted:
    """A line of what the program measures."""

    kind: str
    threads: int
    bytes: int


# ------------------------------------------------------------------ what it is


def processors() -> int:
    """How many threads can run at once in this process."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def identify(target: Target) -> Machine:
    """Describes the machine, without measuring anything.

    Args:
        target: what networks are compiled for.

    Raises:
        BuildError: there is no C compiler.
    """
    compiler = build.find_compiler()
    return Machine(
        cpu=_cpu(),
        system=f"{platform.uname().system} {platform.machine()}",
        cores=targets.cores(),
        memory=_memory(),
        caches=caches(),
        target=target.name,
        form=target.form,
        vector_bytes=target.vector_bytes,
        versions={
            "nncompile": _version.__version__,
            "Python": platform.python_version(),
            "NumPy": np.__version__,
            "compiler": (compiler.version.splitlines() or ["unknown"])[0],
        },
    )


def _cpu() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text(errors="replace")
    except OSError:  # not Linux
        text = ""
    for line in text.splitlines():
        key, _, value = line.partition(":")
        if key.strip() in ("model name", "Hardware"):
            return " ".join(value.split())
    return platform.processor() or platform.machine()


def _memory() -> int:
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):  # not POSIX, or a system that does not say
        return 0


def caches(folder: Path = _CPUS) -> tuple[Cache, ...]:
    """The caches of one processor, the nearest first; usual ones where the system does not say.

    Args:
        folder: where Linux describes processors.
    """
    count = os.cpu_count() or 1
    found: dict[int, Cache] = {}
    allowed = min(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 0
    for index in sorted(folder.glob(f"cpu{allowed}/cache/index*")):
        try:
            level, kind, size, shared = (
                (index / name).read_text().strip() for name in ("level", "type", "size", "shared_cpu_list")
            )
            cache = Cache(int(level), _bytes(size), _listed(shared))
        except (OSError, ValueError):  # described in part, as on some virtual machines: not at all, then
            continue
        if kind != "Instruction" and cache.bytes:
            found[cache.level] = cache
    if not found:
        found = {n: Cache(n, size, count if shared else 1, assumed=True) for n, size, shared in _ASSUMED}
    return tuple(found[level] for level in sorted(found))


def _bytes(text: str) -> int:
    """The number of ``48K`` or ``1M``."""
    scale = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30}.get(text[-1:], 1)
    return int(text.rstrip("KMG")) * scale


def _listed(text: str) -> int:
    """How many numbers stand in ``0-3,8``."""
    ends = [(int(first), int(last or first)) for first, _, last in (part.partition("-") for part in text.split(","))]
    return sum(last - first + 1 for first, last in ends)


# ------------------------------------------------------------------ what it can do


def measure(
    target: Target,
    threads: Sequence[int],
    real: str = "float",
    network: int = 0,
    seconds: float = 0.003,
    trials: int = 15,
) -> tuple[Peak, ...]:
    """Measures the machine: of each number the best of some trials.

    Trials are many and short, so that where others compute as well some of them are not disturbed.

    Args:
        target: whose vectors and flags are used.
        threads: numbers of threads.
        real: ``float`` or ``double``.
        network: bytes of one more size of memory, called ``network``; 0 for none.
        seconds: of one trial.
        trials: how many.

    Returns:
        One per number of threads, in their order.

    Raises:
        BuildError: there is no C compiler, it failed, or the program did.
    """
    sizes = {count: _sizes(count, network) for count in threads}
    wanted = []
    for count in threads:
        wanted.append(_Wanted("MULTIPLY_ADD", count, 0))
        for _, size in sizes[count]:
            wanted += [_Wanted(kind, count, max(size // count, 1)) for kind in ("READ", "UPDATE")]
    numbers = iter(_run(source(target, wanted, real, seconds, trials), target, len(wanted)))
    peaks = []
    for count in threads:
        gflops = next(numbers)
        levels = tuple(Level(name, size, next(numbers), next(numbers)) for name, size in sizes[count])
        peaks.append(Peak(count, gflops, levels))
    return tuple(peaks)


def _sizes(threads: int, network: int) -> list[tuple[str, int]]:
    """Names and bytes, of all threads together, that fit a level and not the one before."""
    found, last = [], 0
    for cache in caches():
        # half of it: what else is going on needs some, and a level's edge is not sharp
        each = cache.bytes // 2
        total = each * max(1, threads // cache.shared if cache.shared > 1 else threads)
        found.append((f"L{cache.level}", total))
        last = max(last, cache.bytes * max(1, threads // cache.shared))
    found.append(("memory", max(min(4 * last, _LARGEST * threads), 64 << 20)))
    if network:
        found.append(("network", network))
    return found


def source(
    target: Target, wanted: Sequence[_Wanted], real: str = "float", seconds: float = 0.003, trials: int = 15
) -> str:
    """The C of the program that measures."""
    size = 8 if real == "double" else 4
    width = target.vector_bytes or size
    names = vocabulary.closure(["nn_load", "nn_store", "nn_set", "nn_fma"], target.form)
    lanes = width // size
    return render.fill(
        "peak.c.j2",
        {
            "version": _version.__version__,
            "target": target,
            "v": records.Vocabulary(target.form, real, size * 8, lanes, width, names),
            "chains": _SUMS if target.form == "c99" else target.tile_rows[0] * target.panel_vectors,
            "block": _BLOCK * max(lanes, 16 // size),
            "threads": max((w.threads for w in wanted), default=1),
            "trials": trials,
            "seconds": seconds,
            "wanted": wanted,
        },
    )


def _run(code: str, target: Target, count: int) -> list[float]:
    with tempfile.TemporaryDirectory(prefix="nncompile-") as folder:
        path = Path(folder, "peak.c")
        path.write_text(code, encoding="ascii")
        ran = build.run_program([path], [*build.FLAGS, *target.flags, "-pthread"])
    if ran.status:
        why = {2: "there is not enough memory", 3: "no thread could be started"}.get(ran.status, f"status {ran.status}")
        raise BuildError(f"The program that measures the machine failed: {why}.")
    numbers = [float(line) for line in ran.output.split()]
    if len(numbers) != count:
        raise InternalError(f"the program that measures the machine: expected {count} numbers, found {len(numbers)}.")
    return numbers
