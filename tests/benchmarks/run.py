"""Measures everything that the README says about speed, memory and size.

    python tests/benchmarks/run.py [--quick] [--only T1,T2,…] [--output DIR] [--readme]

It needs the extra ``[bench]``; what is not installed is left out. The results are written
after every section, so that ``--only`` measures a part again and keeps the rest.
"""

from __future__ import annotations

import argparse
import datetime
import importlib.util
import json
import os
import platform
import re
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
if str(HERE.parent) not in sys.path:
    sys.path.insert(0, str(HERE.parent))

from benchmarks import curves, installed, tables  # noqa: E402
from nncompile.benchmark import timing, workloads  # noqa: E402
from nncompile.benchmark.peers import PEERS  # noqa: E402
from nncompile.benchmark.timing import Case, Measured  # noqa: E402

ROOT = HERE.parent.parent
CURVES = {curve.name: curve for curve in curves.curves()}
SECTIONS = ("size", *workloads.WORKLOADS, "predict", "start", "losses", *CURVES)
LOW = {"T1": ("bfloat16", "bfloat16_6x", "bfloat16_3x"), "T3": ("bfloat16", "bfloat16_6x", "bfloat16_3x")}
"""Precisions beside float32, where the products are large enough; prediction has bfloat16 too."""
FLAGS = ("sse2", "avx2", "fma", "avx512f", "avx512_bf16", "amx_bf16", "asimd", "sve", "bf16")
"""Names in /proc/cpuinfo that say how fast a processor can be."""


class Run:
    """One run of this program: its settings and what it has found so far."""

    def __init__(self, given: argparse.Namespace) -> None:
        self.cpus = timing.processors() if given.cpus is None else [int(n) for n in given.cpus.split(",")]
        self.threads = (
            sorted({1, len(self.cpus)}) if given.threads is None else [int(n) for n in given.threads.split(",")]
        )
        self.quick = given.quick
        self.rounds = given.rounds or (1 if given.quick else 3)
        self.seconds = 0.3 if given.quick else 1.0
        self.peers = given.peers.split(",") if given.peers else None
        self.patience = given.patience if given.patience is not None else 1 if given.quick else 4
        self.folder = Path(given.output)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.file = self.folder / "results.json"
        self.machine = machine(len(self.cpus))
        self.results: dict[str, Any] = {"work": {}, "curves": {}, "losses": {}, "dates": {}}
        if self.file.is_file():
            self.results.update(json.loads(self.file.read_text(encoding="utf-8")))
        known = self.results.get("machine", self.machine)["cpu"]
        if known != self.machine["cpu"]:
            raise SystemExit(
                f"{self.file}: expected results of this machine ({self.machine['cpu']}), found some of {known}. "
                "Give another --output."
            )

    # ---------------------------------------------------------------- sections

    def section(self, name: str) -> None:
        """Measures one section."""
        print(f"== {name}", flush=True)
        if name in workloads.WORKLOADS:
            self.results["work"][name] = self._work(name)
        elif name in CURVES:
            self.results["curves"][name] = self._curve(CURVES[name])
        else:
            self.results[name] = getattr(self, f"_{name}")()
        self.results["dates"][name] = datetime.datetime.now(datetime.timezone.utc).date().isoformat()
        self.results["settings"] = {"rounds": self.rounds, "seconds": self.seconds}

    def _work(self, name: str) -> list[dict[str, Any]]:
        workload = workloads.WORKLOADS[name]
        what = "train" if workload in workloads.TRAINING else "predict"
        precisions = LOW.get(name, ("bfloat16",) if what == "predict" and name != "I2" else ())
        found = []
        for precision in ("float32", *precisions):
            for threads in self.threads:  # 1 thread and all are not measured by turns: they share nothing
                found += self._measure(timing.cases_of(workload, what, [threads], precision, self.peers))
        return [as_line(measured) for measured in found]

    def _predict(self) -> list[dict[str, Any]]:
        names = [name for name in ("nncompile predict", "Keras on JAX") if PEERS[name].available()]
        found = self._measure([Case(name, workloads.I1, 1, what="predict") for name in names])
        return [as_line(measured) for measured in found]

    def _start(self) -> list[dict[str, Any]]:
        """Twice: with nothing compiled before, and with all that the library keeps between processes."""
        threads, found = max(self.threads), []
        names = [case.peer for case in timing.cases_of(workloads.T1, "train", [threads], names=self.peers)]
        for cold in (True, False):
            cases = [Case(name, workloads.T1, threads, what="start", cold=cold) for name in names]
            with tempfile.TemporaryDirectory(prefix="nncompile-bench-") as kept:
                cache = None if cold else Path(kept)
                # not counted: it reads the libraries from the disk, and fills the cache
                timing.measure(cases, self.cpus, 1, self.seconds, cache, patience=0)
                found += self._measure(cases, cache)
        return [as_line(measured) for measured in found]

    def _losses(self) -> dict[str, list[dict[str, Any]]]:
        found = {}
        for workload in workloads.TRAINING:
            cases = [
                Case(case.peer, workload, max(self.threads), precision, "losses")
                for precision in ("float32", *LOW.get(workload.name, ()))
                for case in timing.cases_of(workload, "train", [1], precision, self.peers)
                if PEERS[case.peer].exact
            ]
            measured = timing.measure(cases, self.cpus, 1, self.seconds, patience=0, report=say)
            found[workload.name] = [as_line(m) for m in measured]
            difference = tables.apart(found[workload.name])
            if difference > tables.ALIKE:
                print(
                    f"WARNING: losses of {workload.name} are {difference:.1%} apart: the work is not the same.",
                    flush=True,
                )
        return found

    def _size(self) -> dict[str, int]:
        made = {
            "nncompile": ["nncompile"],
            "NumPy": ["numpy"],
            "LiteRT": ["ai-edge-litert"],
            "ONNX Runtime": ["onnxruntime"],
            "scikit-learn": ["scikit-learn"],
            "OpenVINO": ["openvino"],
            "JAX": ["jax"],
            "Keras on JAX": ["keras", "jax"],
            "PyTorch": ["torch"],
        }
        return {name: installed.size_of(names)[0] for name, names in made.items() if PEERS[name].available()}

    def _curve(self, curve: curves.Curve) -> dict[str, Any]:
        peers = curves.PEERS if self.peers is None else [p for p in curves.PEERS if p in self.peers]
        if curve.what == "compile":
            peers = [p for p in peers if p != "PyTorch"]  # eager: nothing is compiled
        chosen = curve.thinned() if self.quick else curve
        return curves.measure(chosen, self.cpus, peers, 1 if self.quick else 2, 0.3, self.patience, say)

    def _measure(self, cases: Sequence[Case], cache: Path | None = None) -> list[Measured]:
        return timing.measure(cases, self.cpus, self.rounds, self.seconds, cache, patience=self.patience, report=say)

    # ---------------------------------------------------------------- results

    def save(self) -> None:
        """Writes ``results.json`` and ``results.md``."""
        self.results.update(machine=self.machine, versions=versions())
        for section, order in (("work", list(workloads.WORKLOADS)), ("curves", list(CURVES))):
            known = self.results[section]
            self.results[section] = {name: known[name] for name in order if name in known}
        self.file.write_text(json.dumps(self.results, indent=1), encoding="utf-8")
        text = "\n".join(tables.complete(self.results)).rstrip()
        (self.folder / "results.md").write_text(f"{text}\n", encoding="utf-8")

    def draw(self) -> list[Path]:
        """Draws the curves; nothing without matplotlib."""
        if not self.results["curves"] or importlib.util.find_spec("matplotlib") is None:
            return []
        return curves.draw(self.results["curves"], CURVES, self.folder, tables.where_and_when(self.results))


def say(line: str) -> None:
    """Tells how far it is."""
    print(f"   {line}", flush=True)


def as_line(measured: Measured) -> dict[str, Any]:
    """What is kept of a measurement."""
    case = measured.case
    return {
        "peer": case.peer,
        "version": measured.version,
        "threads": case.threads,
        "precision": case.precision,
        "cold": case.cold,
        "seconds": measured.median if measured.seconds else None,
        "each": measured.seconds,
        "tail": sorted(measured.tail)[len(measured.tail) // 2] if measured.tail else None,
        "start": measured.start if measured.starts else None,
        "losses": measured.losses,
        "peak_bytes": max(measured.peak_bytes, default=None),
        "disturbance": max(measured.disturbance, default=0.0),
        "failure": measured.failure,
    }


def machine(processors: int) -> dict[str, Any]:
    """What was measured on, as far as the system says."""
    from nncompile.compiler import build

    cpu, flags = platform.processor() or platform.machine(), set[str]()
    information = Path("/proc/cpuinfo")
    if information.is_file():
        for line in information.read_text(encoding="utf-8", errors="replace").splitlines():
            key, _, value = line.partition(":")
            if key.strip() == "model name":
                cpu = value.strip()
            elif key.strip() in ("flags", "Features"):
                flags |= set(value.split())
    return {
        "cpu": re.sub(r"\s+", " ", cpu),
        "vectors": [flag for flag in FLAGS if flag in flags],
        "processors": processors,
        "system": f"{platform.system()} {platform.machine()}, Python {platform.python_version()}",
        "compiler": (build.find_compiler().version.splitlines() or ["a C compiler"])[0],
    }


def versions() -> dict[str, str]:
    """The versions of nncompile and of the peers."""
    known = {}
    for peer in PEERS.values():
        if peer.available() and not peer.on_request:
            known["Keras" if peer.name == "Keras on JAX" else peer.name] = peer.version()
    return known


def main(arguments: Sequence[str] | None = None) -> int:
    """Measures what is asked for; returns the exit status."""
    parser = argparse.ArgumentParser(prog="tests/benchmarks/run.py", description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--quick", action="store_true", help="one process per figure and few sizes: a look, not a result"
    )
    parser.add_argument("--only", metavar="A,B", help=f"sections: {', '.join(SECTIONS)}; or curves for all of the last")
    parser.add_argument("--output", metavar="DIR", default=HERE / "results", help="where results.md and pictures go")
    parser.add_argument("--peers", metavar="A,B", help=f"of {', '.join(PEERS)}")
    parser.add_argument("--threads", metavar="1,N", help="numbers of threads (default: 1 and all)")
    parser.add_argument("--cpus", metavar="0,1", help="processors to use (default: those of this process)")
    parser.add_argument("--rounds", metavar="N", type=int, help="processes per figure (default: 3)")
    parser.add_argument(
        "--patience", metavar="N", type=int, help="how often a process is repeated that others disturbed (default: 4)"
    )
    parser.add_argument(
        "--readme", metavar="FILE", nargs="?", const=ROOT / "README.md", help="rewrite the part between its markers"
    )
    given = parser.parse_args(arguments)
    chosen = SECTIONS if given.only is None else tuple(given.only.replace("curves", ",".join(CURVES)).split(","))
    wrong = sorted(set(filter(None, chosen)) - set(SECTIONS))
    if wrong:
        parser.error(f"--only: expected sections of {', '.join(SECTIONS)}, received {', '.join(wrong)}")
    wrong = sorted(set((given.peers or "nncompile").split(",")) - set(PEERS))
    if wrong:
        parser.error(f"--peers: expected names of {', '.join(PEERS)}, received {', '.join(wrong)}")
    if given.readme is not None:  # what is wrong with it is told before hours of measuring
        tables.rewrite(Path(given.readme).read_text(encoding="utf-8"), [])
    run = Run(given)
    for name in filter(None, chosen):
        run.section(name)
        run.save()
    if not run.results["dates"]:
        parser.error(f"--only: there are no results in {run.folder} yet; name at least one section")
    run.save()
    pictures = run.draw()
    if given.readme is not None:
        readme = Path(given.readme)
        beside = [os.path.relpath(picture, readme.resolve().parent).replace(os.sep, "/") for picture in pictures]
        part = tables.readme_part(run.results, beside)
        readme.write_text(tables.rewrite(readme.read_text(encoding="utf-8"), part), encoding="utf-8")
    print(*tables.summary(run.results), sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
