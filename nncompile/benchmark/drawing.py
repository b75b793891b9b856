"""Pictures of a report, with matplotlib if it is installed."""

from __future__ import annotations

import importlib.util
import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import ModelError
from .records import PERCENTILES, Lap
from .report import Report
from .tables import counted, figure, readable

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_SUFFIXES = (".png", ".svg", ".pdf")
_OWN, _OTHER, _INK, _FAINT = "#c8102e", "#9aa5b1", "#1f2933", "#cbd2d9"
_KINDS = {"forward": "#1f77b4", "backward": "#ff7f0e", "update": "#c8102e"}
"""Colours of steps, by how their names end; _OTHER for the rest."""
_LISTED = 15
"""Steps at most that have a number in the picture, those that take longest."""


def check(path: str | os.PathLike[str]) -> Path:
    """Returns where a picture is to be, if it can be drawn and written there.

    Raises:
        ModelError: the name or the folder is wrong, or there is no matplotlib.
    """
    place = Path(path)
    if place.suffix.lower() not in _SUFFIXES:
        raise ModelError(f"--plot: {place.name}: expected a name that ends in {', '.join(_SUFFIXES)}.")
    if place.is_dir() or not place.parent.is_dir():
        why = "it is a folder" if place.is_dir() else f"there is no folder {place.parent}"
        raise ModelError(f"--plot: {place}: cannot be written: {why}.")
    if importlib.util.find_spec("matplotlib") is None:
        raise ModelError("--plot needs matplotlib, which is not installed. Run: pip install 'nncompile[bench]'")
    return place


def draw(report: Report, path: str | os.PathLike[str]) -> Path:
    """Draws seconds per epoch, how long single rows take, and the roofline of the steps.

    Args:
        report: what was measured.
        path: of the picture; its ending says which format.

    Returns:
        Where it is.

    Raises:
        ModelError: it cannot be drawn or written there.
    """
    place = check(path)
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    style: Any = {"font.size": 9, "axes.spines.top": False, "axes.spines.right": False, "axes.edgecolor": _INK}
    with rc_context(style):  # not pyplot: it would open windows, and keep the figure
        picture = Figure(figsize=(12, 9.5), layout="constrained", facecolor="white")
        halves = picture.add_gridspec(2, 1, height_ratios=(1, 1.35))
        upper = halves[0].subgridspec(1, 2, width_ratios=(1, 1.1))
        lower = halves[1].subgridspec(1, 2, width_ratios=(2.6, 1))
        shown = sorted((lap for lap in report.laps if lap.gflops and lap.intensity), key=lambda lap: -lap.share)
        _epochs(picture.add_subplot(upper[0]), report)
        _latency(picture.add_subplot(upper[1]), report)
        _roofline(picture.add_subplot(lower[0]), report, shown)
        _key(picture.add_subplot(lower[1]), report, shown)
        n, m = report.network, report.machine
        picture.suptitle(
            f"{n.name}: {'-'.join(map(str, n.widths))}, {n.optimizer}, batches of {n.batch_size:,}, "
            f"{counted(n.rows, 'row')}, {counted(n.threads, 'thread')}\n"
            f"{m.cpu}, {m.target}, nncompile {m.versions['nncompile']}, {report.date}",
            fontsize=11,
        )
        picture.savefig(place, dpi=130)
    return place


def _epochs(axes: Axes, report: Report) -> None:
    """Seconds per epoch, the shortest on top."""
    found = [(b.name, b.seconds) for b in report.beside if b.seconds]
    bars: list[tuple[str, float]] = [(name, seconds) for name, seconds in found if seconds is not None]
    own = report.beside[0].name if bars else report.network.name
    bars = sorted(bars or [("nncompile", report.trained.seconds)], key=lambda bar: -bar[1])
    places = np.arange(len(bars))
    colours = [_OWN if name in (own, "nncompile") else _OTHER for name, _ in bars]
    axes.barh(places, [seconds for _, seconds in bars], color=colours, height=0.7)
    axes.set_yticks(places, [name for name, _ in bars])
    axes.tick_params(axis="y", length=0)
    first = next((seconds for name, seconds in bars if name in (own, "nncompile")), 0.0)
    for place, (_, seconds) in zip(places, bars, strict=True):
        ratio = f"  (x{seconds / first:.2f})" if first and seconds != first else ""
        axes.annotate(
            f"{figure(seconds)} s{ratio}", (seconds, place), xytext=(4, 0), textcoords="offset points", va="center"
        )
    axes.set_xlim(0, 1.3 * bars[0][1])
    if len(bars) == 1:
        axes.set_ylim(-1.5, 1.5)
    axes.set_xlabel("seconds per epoch, the median: shorter is better")
    axes.set_title("Training", loc="left", fontweight="bold")


def _latency(axes: Axes, report: Report) -> None:
    """How many calls took longer than so many microseconds; of other libraries the median and the 99th percentile."""
    times = np.asarray(report.latencies, dtype="float64")
    if not times.size:  # a report that was made of its figures alone
        times = np.asarray(list(report.predicted.microseconds.values()))
    ordered = np.sort(times)
    longer = 1 - np.arange(len(ordered)) / len(ordered)
    axes.step(ordered, longer, where="post", color=_OWN, linewidth=1.8, label="nncompile", zorder=3)
    marks = [(report.predicted.microseconds[f"p{p:g}"], 1 - p / 100) for p in PERCENTILES]
    axes.plot(*zip(*marks, strict=True), "o", color=_OWN, markersize=5, zorder=4)
    for value, share in marks:
        axes.annotate(
            f"{figure(value)} us", (value, share), xytext=(6, 4), textcoords="offset points", color=_OWN, zorder=5
        )
    high = marks[-1][0]
    others = [(b.name, b.microseconds, b.tail) for b in report.beside[1:]]
    for number, (name, middle, tail) in enumerate(others):
        if middle is None:
            continue
        ends = [middle, *([tail] if tail is not None else [])]
        axes.plot(
            ends, [0.5, 0.01][: len(ends)], "o-", color=f"C{number % 10}", markersize=3.5, linewidth=1, alpha=0.8,
            label=f"{name}, {figure(middle)} us",
        )  # fmt: skip
        high = max(high, *ends)
    low = min([float(ordered[0]), *(m for _, m, _ in others if m is not None)])
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlim(low / 1.15, 6 * high if len(report.beside) > 1 else 2 * high)  # with room for names
    axes.set_ylim(5e-4, 1.3)
    _plain_ticks(axes.xaxis)
    shares = [1.0, *(1 - p / 100 for p in PERCENTILES)]
    axes.set_yticks(shares, ["all", *(f"{100 - p:.3g} %" for p in PERCENTILES)])
    axes.set_yticks([], minor=True)
    axes.grid(axis="y", color=_FAINT, linewidth=0.6)
    axes.set_xlabel("microseconds of a call")
    axes.set_ylabel("share of the calls that took longer")
    axes.set_title("Prediction of one row", loc="left", fontweight="bold")
    if len(report.beside) > 1:
        axes.legend(loc="upper right", fontsize=7.5, frameon=True, framealpha=0.9, edgecolor="none")


def _roofline(axes: Axes, report: Report, shown: Sequence[Lap]) -> None:
    """GFLOP/s against operations per byte: what memory and multiply-adds allow, and what steps reach."""
    peak = report.peak
    slowest, fastest = (pick(level.read for level in peak.levels) for pick in (min, max))
    left = min([0.2, *(lap.intensity / 1.5 for lap in shown)])
    right = max([3 * peak.gflops / slowest, *(1.7 * lap.intensity for lap in shown)])
    bottom = min([peak.gflops / 40, *(lap.gflops / 1.7 for lap in shown)])
    top = max([1.35 * peak.gflops, *(1.35 * lap.gflops for lap in shown)])
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlim(left, right)
    axes.set_ylim(bottom, top)
    axes.grid(color=_FAINT, linewidth=0.4, alpha=0.6)
    for level in peak.levels:
        own = level.name == "network"
        knee, begin = peak.gflops / level.read, max(left, bottom / level.read)
        axes.plot(
            [left, knee], [left * level.read, peak.gflops],
            color=_INK if own else _OTHER, linewidth=1.7 if own else 1.0, linestyle="-" if own else "--", zorder=2,
        )  # fmt: skip
        name = f"this network, {readable(level.bytes)}" if own else level.name
        near = 1.02 if own else 0.94  # above its line, and below it
        at = begin * (knee / begin) ** (0.45 if own else 0.04)  # elsewhere than that of the level it is like
        if knee > begin:
            axes.text(
                at, at * level.read * near, f" {name}: {figure(level.read)} GB/s", fontsize=8, color=_INK,
                va="bottom" if own else "top", rotation=math.degrees(math.atan(level.read)), rotation_mode="anchor",
                transform_rotates_text=True, clip_on=True, zorder=2,
            )  # fmt: skip
    axes.plot([peak.gflops / fastest, right], [peak.gflops] * 2, color=_INK, linewidth=1.7, zorder=2)
    axes.annotate(
        f"multiply-adds of {counted(peak.threads, 'thread')}: {figure(peak.gflops)} GFLOP/s", (right, peak.gflops),
        xytext=(-4, 4), textcoords="offset points", ha="right",
    )  # fmt: skip
    axes.axhline(report.trained.gflops, color=_OWN, linewidth=1, linestyle=":", zorder=2)
    for number, lap in reversed(list(enumerate(shown, 1))):  # those that matter most on top
        axes.plot(
            [lap.intensity], [lap.gflops], "o", color=_colour(lap), markersize=11 + 14 * math.sqrt(lap.share),
            markeredgecolor="white", markeredgewidth=0.8, alpha=0.9, zorder=3,
        )  # fmt: skip
        if number <= _LISTED:
            axes.annotate(
                str(number), (lap.intensity, lap.gflops), color="white", fontsize=7.5, fontweight="bold",
                ha="center", va="center", zorder=3,
            )  # fmt: skip
    _plain_ticks(axes.xaxis)
    _plain_ticks(axes.yaxis)
    axes.set_xlabel("operations per byte that a step must read and write")
    axes.set_ylabel("GFLOP/s")
    axes.set_title("Roofline", loc="left", fontweight="bold")


def _key(axes: Axes, report: Report, shown: Sequence[Lap]) -> None:
    """What the dots of the roofline are."""
    axes.set_axis_off()
    lines = [
        ("", "whole epoch, dotted", "", f"{report.trained.share:.0%} of peak", _OWN),
        *(
            (str(number), lap.name, f"{lap.share:.0%}", f"{lap.roofline:.0%}", _colour(lap))
            for number, lap in enumerate(shown[:_LISTED], 1)
        ),
    ]
    if shown:
        axes.set_title("steps of training", loc="left")
        lines.insert(1, ("", "", "time", "roofline", _INK))
    if len(shown) > _LISTED:
        rest = sum(lap.share for lap in shown[_LISTED:])
        lines.append(("", f"{len(shown) - _LISTED} more", f"{rest:.0%}", "", _OTHER))
    for n, (number, name, share, reached, colour) in enumerate(lines):
        height = 0.97 - n * 0.97 / (_LISTED + 3)
        for x, text, align in ((0.06, number, "right"), (0.1, name, "left"), (0.76, share, "right")):
            axes.text(x, height, text, transform=axes.transAxes, ha=align, va="top", color=colour, fontsize=8.5)
        axes.text(1, height, reached, transform=axes.transAxes, ha="right", va="top", color=colour, fontsize=8.5)


def _colour(lap: Lap) -> str:
    return _KINDS.get(lap.name.rpartition("_")[2], _OTHER)


def _plain_ticks(axis: Any) -> None:
    """Numbers as people write them instead of powers of ten."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    axis.set_major_locator(LogLocator(base=10, subs=(1.0, 2.0, 5.0), numticks=20))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}" if value >= 1 else f"{value:.3g}"))
    axis.set_minor_formatter(NullFormatter())
