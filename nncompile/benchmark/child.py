"""One measurement of one peer, in this process: run as a program, this module prints one line of JSON.

:mod:`.timing` starts it, as often as it is to be measured.
"""

from __future__ import annotations

import argparse
import gc
import json
import math
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from .peers import PEERS, Peer
from .workloads import WORKLOADS, Workload


def measure(
    peer: Peer, workload: Workload, threads: int, precision: str, what: str, seconds: float, **given: Any
) -> dict[str, Any]:
    """Measures one peer in this process.

    Args:
        peer: a new one.
        workload: what to run.
        threads: how many to use.
        precision: one of the peer's.
        what: ``train``, times of ``workload.epochs`` epochs; ``predict``, times of one call;
            ``start``, one epoch without a warm-up; ``losses``, of two epochs without shuffling;
            ``compile``, how much longer the first epoch takes than the second one.
        seconds: for how long to repeat it, after the warm-up.
        **given: data and weights, as :meth:`Peer.prepare` takes them.

    Returns:
        What :func:`main` prints.
    """
    found: dict[str, Any] = {}
    if what == "losses":
        peer.shuffle = False
    peer.prepare(workload, threads, precision, **given)
    if what in ("train", "start"):
        found["losses"] = [peer.epoch()]
        found["first_epoch_at"] = time.monotonic()
    if what == "compile":
        begun = time.perf_counter()
        peer.epoch()
        first, begun = time.perf_counter() - begun, time.perf_counter()
        peer.epoch()
        found["seconds"] = [max(first - (time.perf_counter() - begun), 0.0)]
        found["source_bytes"] = peer.source_bytes()
    elif what == "losses":
        found["losses"] = [peer.epoch() for _ in range(2)]
    elif what == "train":
        found["losses"] += [peer.epoch()]
        found["seconds"] = _repeat(lambda: peer.run(workload.epochs), seconds)
    elif what == "predict":
        rows = peer.x
        output = peer.predict(rows)
        if output.shape != (workload.rows, workload.outputs):
            raise ValueError(
                f"{peer.name}: predict: expected shape {(workload.rows, workload.outputs)}, received {output.shape}."
            )
        found["outputs"] = [float(v) for v in output[0][:4]]
        found["seconds"] = _repeat(lambda: peer.predict(rows), seconds)
    found["peak_bytes"] = peak_bytes()
    return found


def _repeat(work: Callable[[], Any], seconds: float) -> list[float]:
    """Times of calls, after a warm-up; of very short ones means over some calls."""
    clock = time.perf_counter
    begun = clock()
    work()
    once = clock() - begun
    calls = 1
    if once < 0.05:  # find out how often a clock can be read without changing what is measured
        until = clock() + min(0.2, seconds / 2)
        count = 0
        begun = clock()
        while clock() < until:
            work()
            count += 1
        once = (clock() - begun) / count
        calls = max(1, math.ceil(20e-6 / once))
    times: list[float] = []
    gc.collect()
    until = clock() + seconds
    while len(times) < 3 or (clock() < until and len(times) < 200_000):
        begun = clock()
        for _ in range(calls):
            work()
        times.append((clock() - begun) / calls)
    return times


def peak_bytes() -> int:
    """The most memory that this process had at once, in bytes."""
    status = Path("/proc/self/status")
    if status.is_file():  # ru_maxrss there begins with that of the process that started this one
        for line in status.read_text(encoding="ascii", errors="replace").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _percentiles(times: Sequence[float]) -> dict[str, float]:
    ordered = sorted(times)
    return {
        name: ordered[min(len(ordered) - 1, int(share * len(ordered)))]
        for name, share in (("p05", 0.05), ("p50", 0.5), ("p95", 0.95), ("p99", 0.99))
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Measures one peer and prints one line of JSON."""
    parser = argparse.ArgumentParser(prog="python -m nncompile.benchmark.child", description=main.__doc__)
    parser.add_argument("--peer", required=True, choices=list(PEERS))
    parser.add_argument("--workload", required=True, help=f"one of {', '.join(WORKLOADS)}, or the JSON of one")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--precision", default="float32")
    parser.add_argument("--what", default="train", choices=("train", "predict", "start", "losses", "compile"))
    parser.add_argument("--seconds", type=float, default=1.0, help="how long to repeat it")
    parser.add_argument("--data", help="an .npz file with x, y and the weights w0, b0, w1, … of the user")
    given = parser.parse_args(arguments)
    known = WORKLOADS.get(given.workload)
    workload = known if known is not None else Workload.from_json(given.workload)
    kind = PEERS[given.peer]
    refusal = kind.refusal(workload)
    if not kind.able(given.precision):
        refusal = f"it has no {given.precision}"
    line: dict[str, Any] = {
        "peer": given.peer, "workload": workload.name, "threads": given.threads, "precision": given.precision,
        "what": given.what,
    }  # fmt: skip
    if refusal is not None:
        line["refused"] = refusal
    else:
        line["version"] = kind.version()
        data = _given_data(Path(given.data), workload) if given.data else {}
        line.update(measure(kind(), workload, given.threads, given.precision, given.what, given.seconds, **data))
        if "seconds" in line:
            line["percentiles"] = _percentiles(line["seconds"])
            line["median"] = statistics.median(line["seconds"])
            line["runs"] = len(line["seconds"])
            del line["seconds"]
    print(json.dumps(line), flush=True)
    return 0


def _given_data(path: Path, workload: Workload) -> dict[str, Any]:
    import numpy as np

    with np.load(path, allow_pickle=False) as file:
        weights = [(file[f"w{n}"], file[f"b{n}"]) for n in range(len(workload.layers))]
        return {"data": (file["x"], file["y"]), "weights": weights}


if __name__ == "__main__":
    sys.exit(main())
