"""How the cost of an epoch grows with a network: sizes, measuring, cliffs, and plots."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nncompile.benchmark import timing
from nncompile.benchmark.timing import Case
from nncompile.benchmark.workloads import Workload

LIMIT = 1.3
"""How many times what its neighbours suggest a size may cost."""
CLOSE = 1.08
"""Sizes that differ by less are no neighbours: 500 and 512 would hide each other's cliffs."""
PEERS = ("nncompile", "JAX", "PyTorch")
"""Drawn beside each other; the first one is looked at for cliffs."""

WIDTHS = (16, 24, 32, 48, 64, 96, 100, 128, 192, 256, 384, 500, 512, 768, 1000, 1024, 1536, 2000, 2048, 3000, 4096)
DEPTHS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32)
BATCHES = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 100, 128, 192, 256, 500, 512, 1000, 1024, 2048, 4096)
ROWS = (1_000, 3_000, 10_000, 30_000, 100_000, 300_000, 1_000_000)


@dataclass(frozen=True)
class Curve:
    """One thing that is varied.

    Attributes:
        name: short.
        title: what is varied, and what is held.
        axis: what the sizes are.
        what: ``train`` or ``compile``, as in :class:`Case`.
        points: (size, workload), growing.
    """

    name: str
    title: str
    axis: str
    what: str
    points: tuple[tuple[int, Workload], ...]

    def thinned(self) -> Curve:
        """The same with few sizes, for a quick look."""
        few = self.points[:-3:4] + self.points[-3:-1]
        return Curve(self.name, self.title, self.axis, self.what, few)


@dataclass(frozen=True)
class Cliff:
    """A size that costs more than those around it suggest.

    Attributes:
        size: which.
        seconds: what it costs.
        expected: what its neighbours suggest.
    """

    size: float
    seconds: float
    expected: float

    @property
    def factor(self) -> float:
        """How many times the expected."""
        return self.seconds / self.expected


def _network(name: str, widths: Sequence[int], inputs: int, rows: int, batch: int) -> Workload:
    layers = (*((width, "relu") for width in widths), (10, "softmax"))
    return Workload(name, name, layers, inputs, rows, batch)


def curves() -> tuple[Curve, ...]:
    """All that are measured."""
    width = [(n, _network(f"width {n}", (n, n), n, 1_000, 100)) for n in WIDTHS]
    depth = [(n, _network(f"depth {n}", (128,) * n, 128, 10_000, 100)) for n in DEPTHS]
    batch = [(n, _network(f"batch {n}", (256, 256), 256, 4_096, n)) for n in BATCHES]
    rows = [(n, _network(f"rows {n}", (64, 64), 64, n, 100)) for n in ROWS]
    built = [(n, _network(f"built width {n}", (n, n), n, 100, 100)) for n in WIDTHS]
    deep = [(n, _network(f"built depth {n}", (128,) * n, 128, 100, 100)) for n in DEPTHS]
    return (
        Curve("width", "n-n-n-10, batch 100, 1,000 rows", "width n", "train", tuple(width)),
        Curve("depth", "n layers of 128, batch 100, 10,000 rows", "layers n", "train", tuple(depth)),
        Curve("batch", "256-256-256-10, batch n, 4,096 rows", "batch n", "train", tuple(batch)),
        Curve("rows", "64-64-64-10, batch 100, n rows", "rows n", "train", tuple(rows)),
        Curve("build-width", "n-n-n-10: compiling", "width n", "compile", tuple(built)),
        Curve("build-depth", "n layers of 128: compiling", "layers n", "compile", tuple(deep)),
    )


# ------------------------------------------------------------------ measuring


def measure(
    curve: Curve,
    cpus: Sequence[int],
    peers: Sequence[str],
    rounds: int,
    seconds: float,
    patience: int,
    report: Callable[[str], None],
) -> dict[str, Any]:
    """Measures a curve on one thread.

    What looks like a cliff of the first peer is measured again with its neighbours, with
    twice the rounds: a disturbance seldom comes back to the same size.

    Returns:
        What goes into the results: sizes, work, and seconds and bytes of C by peer.
    """
    found: dict[str, Any] = {
        "sizes": [size for size, _ in curve.points],
        "work": [_work(curve, size, workload) for size, workload in curve.points],
        "seconds": {},
        "source_bytes": [],
        "failures": [],
    }
    able = [name for name in peers if timing.PEERS[name].available()]
    lines: dict[str, list[timing.Measured]] = {name: [] for name in able}
    for _, workload in curve.points:
        cases = [Case(name, workload, 1, what=curve.what, cold=curve.what == "compile") for name in able]
        for result in timing.measure(cases, cpus, rounds, seconds, patience=patience, report=report):
            lines[result.case.peer].append(result)
    first = lines[able[0]]
    if curve.what == "train":
        suspects = {
            found["sizes"].index(cliff.size) for cliff in cliffs(found["sizes"], found["work"], _medians(first))
        }
        again = sorted({n for s in suspects for n in range(max(s - 2, 0), min(s + 3, len(first)))})
        if again:
            cases = [first[n].case for n in again]
            repeated = timing.measure(cases, cpus, 2 * rounds, seconds, patience=patience, report=report)
            for n, result in zip(again, repeated, strict=True):
                first[n] = result
    found["seconds"] = {name: _medians(results) for name, results in lines.items()}
    found["source_bytes"] = [result.source_bytes for result in first]
    found["failures"] = [f"{r.case.peer}: {r.failure}" for results in lines.values() for r in results if r.failure]
    return found


def _medians(results: Sequence[timing.Measured]) -> list[float | None]:
    return [result.median if result.seconds else None for result in results]


def _work(curve: Curve, size: int, workload: Workload) -> float:
    """What the cost should follow: operations, or the size itself where they are the same for all."""
    return float(size) if curve.name == "batch" else float(workload.flops_per_epoch)


def cliffs(
    sizes: Sequence[float], work: Sequence[float], seconds: Sequence[float | None], limit: float = LIMIT
) -> list[Cliff]:
    """Finds sizes that cost more than their neighbours suggest.

    The neighbours are the nearest sizes on either side that differ by 8 % or more; what
    they suggest lies on the straight line between them, in logarithms of work and time.
    The first and the last size have no two neighbours and cannot be judged.

    Args:
        sizes: growing.
        work: of each, what the cost should follow.
        seconds: of each; None if it was not measured.
        limit: how many times the suggestion is too much.
    """
    points = [(s, w, t) for s, w, t in zip(sizes, work, seconds, strict=True) if t is not None and t > 0]
    found = []
    for number, (size, amount, spent) in enumerate(points):
        below = [p for p in points[:number] if p[0] * CLOSE <= size]
        above = [p for p in points[number + 1 :] if p[0] >= size * CLOSE]
        if not below or not above:
            continue
        (_, low, low_time), (_, high, high_time) = below[-1], above[0]
        share = (math.log(amount) - math.log(low)) / (math.log(high) - math.log(low))
        expected = math.exp((1 - share) * math.log(low_time) + share * math.log(high_time))
        if spent > limit * expected:
            found.append(Cliff(size, spent, expected))
    return found


# ------------------------------------------------------------------ plots


def draw(results: Mapping[str, Any], made: Mapping[str, Curve], folder: Path, caption: str) -> list[Path]:
    """Draws what was measured.

    Args:
        results: of curves by name, as :func:`measure` returned them.
        made: the curves by name.
        folder: where the pictures go.
        caption: machine, versions and date.

    Returns:
        The pictures: ``cost.png`` and ``compile.png``, if there is something on them.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    groups = {
        "cost.png": ("width", "depth", "batch", "rows"),
        "compile.png": ("build-width", "build-depth"),
    }
    written = []
    for file, names in groups.items():
        known = [name for name in names if name in results]
        if not known:
            continue
        wide = min(2, len(known))
        high = math.ceil(len(known) / wide)
        figure, grid = pyplot.subplots(high, wide, figsize=(5.2 * wide, 3.9 * high + 0.3), squeeze=False)
        for axes in list(grid.flat)[len(known) :]:
            axes.set_visible(False)
        for axes, name in zip(grid.flat, known, strict=False):
            _panel(axes, made[name], results[name])
        text = textwrap.fill(caption, 95 * wide)
        figure.text(0.01, 0.005, text, fontsize=6, color="0.35", va="bottom")
        figure.tight_layout(rect=(0, 0.03 * (1 + text.count("\n")) / high, 1, 1))
        figure.savefig(folder / file, dpi=110)
        pyplot.close(figure)
        written.append(folder / file)
    return written


def _panel(axes: Any, curve: Curve, found: Mapping[str, Any]) -> None:
    """One curve: seconds of each peer, and the bytes of C on an axis of their own."""
    sizes = found["sizes"]
    for (name, seconds), marker in zip(found["seconds"].items(), "osv^D", strict=False):
        drawn = [(s, t) for s, t in zip(sizes, seconds, strict=True) if t]
        axes.plot(*zip(*drawn, strict=True), marker=marker, markersize=3, linewidth=1.2, label=name)
    if curve.what == "train":
        first = next(iter(found["seconds"].values()))
        for cliff in cliffs(sizes, found["work"], first):
            axes.plot(cliff.size, cliff.seconds, "o", markersize=10, fillstyle="none", color="tab:red")
    axes.set(xscale="log", yscale="log", xlabel=curve.axis, title=curve.title)
    axes.set_ylabel("seconds per epoch" if curve.what == "train" else "seconds to compile")
    axes.title.set_fontsize(9)
    axes.grid(which="both", alpha=0.25, linewidth=0.5)
    axes.xaxis.set_major_formatter(_plain)
    axes.yaxis.set_major_formatter(_plain)
    _whole_decades(axes, [t for seconds in found["seconds"].values() for t in seconds if t])
    if curve.what == "compile" and any(found["source_bytes"]):
        beside = axes.twinx()
        beside.plot(sizes, [b / 1000 for b in found["source_bytes"]], "k--", linewidth=1, label="size of the C")
        beside.set(yscale="log", ylabel="KB of C")
        beside.yaxis.set_major_formatter(_plain)
        _whole_decades(beside, [b / 1000 for b in found["source_bytes"] if b])
        lines = [*axes.get_lines(), *beside.get_lines()]
        axes.legend(lines, [line.get_label() for line in lines], fontsize=7)
    else:
        axes.legend(fontsize=7)


def _plain(value: float, _: int) -> str:
    """A number as people write it."""
    return f"{value:g}" if value < 1e5 else f"{value:,.0f}"


def _whole_decades(axes: Any, values: Sequence[float]) -> None:
    """Shows whole powers of ten, so that what hardly changes looks so."""
    if values:
        low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
        axes.set_ylim(10.0**low, 10.0 ** max(high, low + 1))
