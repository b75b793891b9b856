"""What a benchmark of a model found, as tables for people."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence

from . import timing
from .machine import Machine, Peak
from .records import Beside, Compiled, Lap, Network, Predicted, Trained


def _table(rows: Sequence[Sequence[str]], left: int = 1) -> list[str]:
    """Lines of columns, the first ``left`` of them aligned at their beginnings."""
    wide = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell.ljust(w) if n < left else cell.rjust(w) for n, (cell, w) in enumerate(zip(row, wide, strict=True))
        ).rstrip()
        for row in rows
    ]


def readable(size: float) -> str:
    """Bytes for people."""
    for unit, scale in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size >= scale:
            return f"{size / scale:.3g} {unit}" if size < 100 * scale else f"{size / scale:,.0f} {unit}"
    return f"{size:.0f} B"


def figure(value: float | None, digits: int = 3) -> str:
    """A number with so many digits that mean something, and no exponent."""
    if value is None or not math.isfinite(value):
        return "-"
    if value == 0:
        return "0"
    rounded = float(f"{value:.{digits - 1}e}")
    places = max(0, digits - 1 - math.floor(math.log10(abs(rounded))))
    return f"{value:,.{places}f}"


def counted(number: int, noun: str) -> str:
    """``1 thread``, ``2 threads``."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def of_machine(date: str, m: Machine, peaks: Sequence[Peak]) -> str:
    vectors = f"vectors of {m.vector_bytes} bytes" if m.vector_bytes else "plain C"
    memory = f", {m.memory / 2**30:.0f} GiB" if m.memory else ""
    versions = ", ".join(f"{name} {version}" for name, version in m.versions.items() if name != "compiler")
    lines = [
        f"machine   {m.cpu}, {counted(m.cores, 'core')}{memory}, {m.system}",
        f"target    {m.target}, {vectors}",
        f"versions  {versions}, {m.versions['compiler']}",
        f"date      {date}",
        "",
    ]
    rows = [["measured peak", "", *(counted(p.threads, "thread") for p in peaks)]]
    rows.append(["multiply-adds", "GFLOP/s", *(figure(p.gflops) for p in peaks)])
    for n, level in enumerate(peaks[0].levels):
        cells = [f"{figure(p.levels[n].read)} / {figure(p.levels[n].update)}" for p in peaks]
        name = f"this network, {readable(level.bytes)}" if level.name == "network" else level.name
        rows.append([name, "GB/s", *cells])
    assumed = "; sizes of caches are assumed" if any(c.assumed for c in m.caches) else ""
    return "\n".join([*lines, *_table(rows, left=2), f"GB/s: of reading / of changing in place{assumed}"])


def of_network(n: Network, c: Compiled, notes: Sequence[str]) -> str:
    widths = "-".join(map(str, n.widths))
    lines = [
        f"model     {n.name}: {widths}, {n.weights:,} weights, {n.dtype}",
        f"training  {n.optimizer}, {n.loss}, batches of {n.batch_size:,}, {counted(n.rows, 'row')}, "
        f"{counted(n.threads, 'thread')}",
        f"compiling {figure(c.seconds)} s, {figure(c.again)} s from the cache; {readable(c.source_bytes)} of C",
    ]
    return "\n".join([*lines, *([of_notes(notes)] if notes else [])])


def of_notes(notes: Sequence[str]) -> str:
    """Each as a paragraph."""
    return "\n".join(
        textwrap.fill(note, 110, initial_indent="note      ", subsequent_indent=" " * 10, break_long_words=False)
        for note in notes
    )


def _peak_share(share: float, n: Network) -> str:
    return f"{share:.1%} of the peak of {counted(n.threads, 'thread')}"


def of_training(t: Trained, n: Network) -> str:
    spread = f"median of {t.epochs:,}, {figure(t.fastest)} to {figure(t.slowest)}"
    rows = [
        ["training", "", ""],
        ["seconds per epoch", figure(t.seconds, 4), spread],
        ["GFLOP/s", figure(t.gflops, 4), _peak_share(t.share, n)],
        ["rows/s", figure(n.rows / t.seconds, 4), ""],
        ["loss", figure(t.losses[1], 4), f"{figure(t.losses[0], 4)} in the first epoch of {t.epochs + 1:,}"],
    ]
    return _described(rows)


def of_prediction(p: Predicted, n: Network) -> str:
    of = f"microseconds of a call, {p.calls:,} calls"
    rows = [["prediction", "", ""]]
    rows += [
        [f"one row, {name}", figure(value), of if not number else ""]
        for number, (name, value) in enumerate(p.microseconds.items())
    ]
    rows += [
        [f"{n.rows:,} rows: rows/s", figure(p.rows_per_second), ""],
        ["GFLOP/s", figure(p.gflops), _peak_share(p.share, n)],
    ]
    return _described(rows)


def _described(rows: Sequence[Sequence[str]]) -> str:
    """Lines of what, how much, and a remark."""
    wide = [max(len(row[n]) for row in rows) for n in range(2)]
    return "\n".join(f"{a.ljust(wide[0])}  {b.rjust(wide[1])}  {c}".rstrip() for a, b, c in rows)


def of_laps(laps: Sequence[Lap], n: Network) -> str:
    if not laps:
        return ""
    rows = [["steps of training", "calls", "us/call", "time", "GFLOP/s", "bytes", "GB/s", "FLOP/byte", "roofline", ""]]
    for lap in laps:
        rows.append(
            [
                lap.name,
                f"{lap.calls:,}",
                figure(1e6 * lap.seconds / lap.calls if lap.calls else None),
                f"{lap.share:.1%}",
                figure(lap.gflops or None),
                readable(lap.bytes) if lap.bytes else "-",
                figure(lap.gigabytes or None),
                figure(lap.intensity or None),
                f"{lap.roofline:.0%}" if lap.bound else "-",
                lap.bound,
            ]
        )
    whole = sum(lap.seconds for lap in laps)
    batches = math.ceil(n.rows / n.batch_size)
    calls = max(lap.calls for lap in laps)
    flops = sum(lap.flops * lap.calls for lap in laps)
    each = figure(1e6 * whole / calls if calls else None)
    rows.append(["all", "", each, "100.0%", figure(1e-9 * flops / whole if whole else None), "", "", "", "", ""])
    remark = (
        f"bytes: that {'the only call' if batches == 1 else 'a call'} must read and write, each number once; roofline: "
        "the least time for that and for the multiply-adds, as a share of the time taken"
    )
    return "\n".join([*_table(rows), remark])


def of_beside(beside: Sequence[Beside]) -> str:
    if not beside:
        return ""
    ours = beside[0]

    def times(theirs: float | None, own: float | None, inverse: bool = False) -> str:
        if theirs is None or own is None or not theirs or not own:
            return ""
        return f"x{own / theirs if inverse else theirs / own:.2f}"

    rows = [["beside others", "", "s/epoch", "", "loss", "row, us", "", "p99", "rows/s", ""]]
    for b in beside:
        rows.append(
            [
                b.name,
                b.version,
                figure(b.seconds),
                times(b.seconds, ours.seconds),
                figure(b.loss, 4),
                figure(b.microseconds),
                times(b.microseconds, ours.microseconds),
                figure(b.tail),
                figure(b.rows_per_second),
                times(b.rows_per_second, ours.rows_per_second, inverse=True),
            ]
        )
    lines = _table(rows, left=2)
    lines.append(f"x: times as long as {ours.name} takes, each in a process of its own")
    disturbed = [b for b in beside if b.disturbance > timing.DISTURBED]
    failures = [f"{b.name}: {failure}" for b in beside for failure in dict.fromkeys(b.failures)]
    if disturbed:
        failures.append(
            f"Other processes took up to {max(b.disturbance for b in disturbed):.0%} of the processors' time while "
            f"{', '.join(b.name for b in disturbed)} ran. Measure again when the machine is idle."
        )
    return "\n".join([*lines, *([of_notes(failures)] if failures else [])])
