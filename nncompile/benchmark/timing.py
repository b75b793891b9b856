"""Processes that measure: one per peer, workload and number of threads, by turns."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .peers import PEERS
from .workloads import WORKLOADS, Workload

_START = """
import sys
if sys.path[0] == "":  # what lies in the current folder is not a library
    del sys.path[0]
from importlib.util import module_from_spec, spec_from_file_location
init, root = sys.argv.pop(1), sys.argv.pop(1)
if root not in sys.path:  # the same nncompile as here, however it was found
    sys.path.insert(0, root)
spec = spec_from_file_location("measuring", init)
sys.modules["measuring"] = module = module_from_spec(spec)
spec.loader.exec_module(module)
from measuring import child
sys.exit(child.main())
"""
"""Loads this package under another name: ``nncompile`` would cost the other peers its time and memory."""
_POOLS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NNCOMPILE_NUM_THREADS")
"""Variables that say how many threads a library takes."""
_TUNING = ("OPENBLAS_", "OMP_", "MKL_", "KMP_", "GOMP_", "XLA_", "ONEDNN_", "PYTHONDONTWRITEBYTECODE")
"""Beginnings of variables that slow a library down if they were set for something else."""
_FOLDER = Path(__file__).resolve().parent
_LIMIT = 1800.0
"""Seconds after which a process is stopped."""
DISTURBED = 0.05
"""Share of the processors' time that others may take before a measurement is repeated."""


@dataclass(frozen=True)
class Case:
    """What one process measures.

    Attributes:
        peer: a name of PEERS.
        workload: what it runs.
        threads: how many threads, and as many processors.
        precision: one of the peer's.
        what: ``train``, ``predict``, ``start``, ``losses`` or ``compile``.
        cold: whether nothing that was compiled before is found again.
    """

    peer: str
    workload: Workload
    threads: int = 1
    precision: str = "float32"
    what: str = "train"
    cold: bool = False


@dataclass
class Measured:
    """What the processes of one case found.

    Attributes:
        case: what was measured.
        version: of the peer.
        seconds: the median of each process.
        tail: the 99th percentile of each process.
        starts: seconds from the start of each process to its first epoch done.
        losses: of the first epochs, of the last process.
        peak_bytes: of each process.
        source_bytes: of the code that was printed.
        disturbance: share of the processors' time that others took, of each process.
        failure: why there is nothing, None if there is.
    """

    case: Case
    version: str = ""
    seconds: list[float] = field(default_factory=list)
    tail: list[float] = field(default_factory=list)
    starts: list[float] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)
    peak_bytes: list[int] = field(default_factory=list)
    source_bytes: int = 0
    disturbance: list[float] = field(default_factory=list)
    failure: str | None = None

    @property
    def median(self) -> float:
        """The median over the processes; NaN if there is none."""
        return statistics.median(self.seconds) if self.seconds else float("nan")

    @property
    def start(self) -> float:
        """The median time to the first epoch done; NaN if there is none."""
        return statistics.median(self.starts) if self.starts else float("nan")


def processors() -> list[int]:
    """The processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


@contextmanager
def pinned(cpus: Sequence[int]) -> Iterator[None]:
    """Processes that are started inside may use these processors only.

    Libraries choose the number of their threads by it when they start, some of them
    cannot be told in another way. Without effect where there is no affinity.
    """
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cpus)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def run_child(
    case: Case, cpus: Sequence[int], seconds: float, cache: Path | None = None, data: Path | None = None
) -> dict[str, Any]:
    """Measures one case in a process of its own.

    Args:
        case: what to measure.
        cpus: the processors that may be used; as many as the case has threads are.
        seconds: for how long to repeat it.
        cache: folder of compiled code; that of the user if None.
        data: file with the user's data and weights.

    Returns:
        What the process printed, with ``start`` if it trained, and ``disturbance``, the share of
        the processors' time that others took meanwhile.

    Raises:
        RuntimeError: it failed; the end of what it said is in the message.
    """
    # The last ones first: interrupts and the rest of the system prefer the first.
    used = list(cpus)[-case.threads :]
    if len(used) < case.threads:
        raise RuntimeError(
            f"benchmark: {case.peer}: expected {case.threads} processors, may use {len(used)}. Ask for fewer threads."
        )
    environment = {name: value for name, value in os.environ.items() if not name.startswith(_TUNING)}
    environment.update({name: str(case.threads) for name in _POOLS})
    if cache is not None:
        environment["NNCOMPILE_CACHE_DIR"] = str(cache)
        if not case.cold:  # others can keep what they compiled too
            environment.update(
                JAX_COMPILATION_CACHE_DIR=str(cache / "jax"),
                JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS="0",
                JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES="-1",
                TORCHINDUCTOR_CACHE_DIR=str(cache / "torch"),
            )
    known = WORKLOADS.get(case.workload.name) == case.workload
    command = [
        sys.executable, "-c", _START, str(_FOLDER / "__init__.py"), str(_FOLDER.parent.parent),
        "--peer", case.peer, "--workload", case.workload.name if known else case.workload.to_json(),
        "--threads", str(case.threads), "--precision", case.precision, "--what", case.what,
        "--seconds", str(seconds),
    ]  # fmt: skip
    if data is not None:
        command += ["--data", str(data)]
    with pinned(used):
        begun, busy, own = time.monotonic(), _busy(used), _children()
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=_LIMIT, check=False)
        spent = time.monotonic() - begun
        others = max(0.0, (_busy(used) - busy) - (_children() - own))
    lines = done.stdout.strip().splitlines()
    if done.returncode or not lines:
        said = (done.stderr.strip().splitlines() or [f"status {done.returncode}"])[-1]
        raise RuntimeError(f"benchmark: {case.peer} on {case.workload.name}, {case.threads} threads: {said}")
    found: dict[str, Any] = json.loads(lines[-1])
    found["disturbance"] = others / (spent * len(used))
    if "first_epoch_at" in found:  # of the same clock: it is the system's
        found["start"] = found.pop("first_epoch_at") - begun
    return found


def _busy(cpus: Sequence[int]) -> float:
    """Seconds that processors have worked for anyone, or were taken by other machines; 0 if that is not known."""
    table = Path("/proc/stat")
    if not table.is_file():
        return 0.0
    names = {f"cpu{cpu}" for cpu in cpus}
    total = 0
    for line in table.read_text(encoding="ascii").splitlines():
        name, *ticks = line.split()
        if name in names:
            user, nice, system, _, _, irq, soft, steal = map(int, ticks[:8])
            total += user + nice + system + irq + soft + steal
    return total / float(os.sysconf("SC_CLK_TCK"))


def _children() -> float:
    """Seconds of processors that ended children have used."""
    import resource

    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def measure(
    cases: Sequence[Case],
    cpus: Sequence[int],
    rounds: int = 3,
    seconds: float = 1.0,
    cache: Path | None = None,
    data: Path | None = None,
    patience: int = 3,
    report: Callable[[str], None] | None = None,
) -> list[Measured]:
    """Measures cases by turns, A B C A B C, so that what disturbs hits all of them.

    Args:
        cases: what to measure.
        cpus: the processors that may be used.
        rounds: processes per case.
        seconds: for how long each repeats it.
        cache: folder of compiled code that is kept; that of the user if None.
        data: file with the user's data and weights.
        patience: how often a disturbed process is repeated; the least disturbed one counts.
        report: is told what was found, a line at a time.

    Returns:
        One per case, in their order. A peer that cannot run a case or fails says why.
    """
    results = [Measured(case) for case in cases]
    for turn in range(rounds):
        for result in results:
            if result.failure is not None:
                continue
            case = result.case
            try:
                found = _calmest(case, cpus, seconds, cache, data, patience)
            except (RuntimeError, subprocess.TimeoutExpired) as error:
                result.failure = str(error)
                if report is not None:
                    report(result.failure)
                continue
            _add(result, found)
            if report is not None:
                report(f"{turn + 1}/{rounds} {_line(result)}")
    return results


def _calmest(
    case: Case, cpus: Sequence[int], seconds: float, cache: Path | None, data: Path | None, patience: int
) -> dict[str, Any]:
    """Measures a case until nothing disturbs it; returns the least disturbed one."""
    best: dict[str, Any] = {}
    for attempt in range(patience + 1):
        if attempt:
            time.sleep(min(2.0**attempt, 15.0))
        with tempfile.TemporaryDirectory(prefix="nncompile-bench-") as empty:
            found = run_child(case, cpus, seconds, Path(empty) if case.cold else cache, data)
        if not best or found["disturbance"] < best["disturbance"]:
            best = found
        if best["disturbance"] <= DISTURBED:
            break
    return best


def _add(result: Measured, found: Mapping[str, Any]) -> None:
    if "refused" in found:
        result.failure = str(found["refused"])
        return
    result.version = str(found["version"])
    if "median" in found:
        result.seconds.append(float(found["median"]))
        result.tail.append(float(found["percentiles"]["p99"]))
    if "start" in found:
        result.starts.append(float(found["start"]))
    result.source_bytes = int(found.get("source_bytes", 0))
    result.losses = [float(loss) for loss in found.get("losses", [])]
    result.peak_bytes.append(int(found["peak_bytes"]))
    result.disturbance.append(float(found["disturbance"]))


def _line(result: Measured) -> str:
    case = result.case
    what = f"{case.workload.name} {case.what} {case.peer} {case.precision} {case.threads} threads"
    times = result.seconds or result.starts
    found = f"{times[-1]:.6g} s" if times else f"losses {', '.join(f'{loss:.7g}' for loss in result.losses)}"
    return f"{what}: {result.failure or found}{_remark(result)}"


def _remark(result: Measured) -> str:
    share = result.disturbance[-1] if result.disturbance else 0.0
    return f" (others took {share:.0%})" if share > DISTURBED else ""


def cases_of(
    workload: Workload,
    what: str,
    threads: Sequence[int],
    precision: str = "float32",
    names: Sequence[str] | None = None,
) -> list[Case]:
    """All that can be measured of a workload with the peers that are installed.

    Args:
        workload: what to run.
        what: ``train``, ``predict``, ``start``, ``losses`` or ``compile``.
        threads: numbers of threads.
        precision: peers that do not have it here are left out.
        names: of the peers; None for all but those that are measured on request only.

    Raises:
        ValueError: an unknown name.
    """
    unknown = sorted(set(names or ()) - set(PEERS))
    if unknown:
        raise ValueError(f"benchmark: expected peers of {', '.join(PEERS)}, received {', '.join(unknown)}.")
    found = []
    for count in threads:
        for name, peer in PEERS.items():
            wanted = name in names if names is not None else not peer.on_request
            able = peer.trains if what != "predict" else peer.predicts
            if wanted and able and peer.available() and peer.able(precision) and not peer.refusal(workload):
                found.append(Case(name, workload, count, precision, what))
    return found
