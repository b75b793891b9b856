"""Results as Markdown: a summary for the README, and all figures."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from nncompile.benchmark.timing import DISTURBED
from nncompile.benchmark.workloads import WORKLOADS

from . import curves

OURS = "nncompile"
BEGIN, END = "<!-- benchmarks -->", "<!-- /benchmarks -->"
NAMES = {
    "float32": "float32",
    "bfloat16": "bfloat16",
    "bfloat16_6x": "float32 of 6 bfloat16 products",
    "bfloat16_3x": "float32 of 3 bfloat16 products",
}
COMPARED = {"bfloat16": ("bfloat16", "float32")}
"""In what precisions others count beside ours; float32 alone unless it stands here: who accepts less may take more."""
ALIKE = 0.01
"""How far the losses of two epochs may be apart, in shares of them."""


def duration(seconds: float | None) -> str:
    """A time with three digits and its unit."""
    if seconds is None or not math.isfinite(seconds):
        return "–"
    for factor, unit in ((1.0, "s"), (1e3, "ms"), (1e6, "µs"), (1e9, "ns")):
        if seconds * factor >= 1:
            return f"{_digits(seconds * factor)} {unit}"
    return f"{seconds * 1e9:.2g} ns"


def _digits(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def size(count: float | None) -> str:
    """Bytes, in MB."""
    return "–" if not count else f"{_digits(count / 1e6)} MB"


def ratio(ours: float | None, other: float | None) -> str:
    """How many times ours the other one is."""
    return "–" if not ours or not other else f"**{other / ours:.2f}**"


def _markdown(header: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    return [f"| {' | '.join(row)} |" for row in (header, ["---"] * len(header), *rows)]


def _good(lines: Iterable[Mapping[str, Any]], key: str = "seconds") -> list[Mapping[str, Any]]:
    return [line for line in lines if line.get(key)]


def summary(results: Mapping[str, Any]) -> list[str]:
    """Ours, the fastest other one, and how many times as long it takes."""
    header = ["", "precision", "threads", "nncompile", "fastest other", "its time", "ratio"]
    rows = []
    for name, lines in results.get("work", {}).items():
        good = _good(lines)
        for ours in (line for line in good if line["peer"] == OURS):
            precisions = COMPARED.get(ours["precision"], ("float32",))
            others = [
                line
                for line in good
                if line["peer"] != OURS and line["threads"] == ours["threads"] and line["precision"] in precisions
            ]
            best = min(others, key=lambda line: line["seconds"], default=None)
            rows.append(
                [
                    f"{name}: {WORKLOADS[name].title}",
                    NAMES[ours["precision"]],
                    str(ours["threads"]),
                    duration(ours["seconds"]) + _mark(ours),
                    "–" if best is None else _called(best, ours["precision"]),
                    "–" if best is None else duration(best["seconds"]) + _mark(best),
                    ratio(ours["seconds"], None if best is None else best["seconds"]),
                ]
            )
    rows += _few(results)
    return _markdown(header, rows)


def _called(line: Mapping[str, Any], precision: str) -> str:
    """The name of a peer, with its precision if that is more than ours."""
    return (
        f"{line['peer']}, float32" if precision == "bfloat16" and line["precision"] == "float32" else str(line["peer"])
    )


def _mark(line: Mapping[str, Any]) -> str:
    """A sign for what was disturbed in spite of repeating."""
    return " (d)" if line.get("disturbance", 0) > DISTURBED else ""


def _few(results: Mapping[str, Any]) -> list[list[str]]:
    """Rows of what is measured once: predict, start, memory, size; NumPy by hand is no framework to compare with."""
    rows: list[list[str]] = []

    def timed(what: str, ours: Mapping[str, Any], other: Mapping[str, Any], key: str) -> None:
        times = [duration(line[key]) + _mark(line) for line in (ours, other)]
        row = [what, "float32", str(ours["threads"]), times[0], other["peer"], times[1]]
        rows.append([*row, ratio(ours[key], other[key])])

    lines = {line["peer"]: line for line in _good(results.get("predict", ()))}
    if "nncompile predict" in lines and "Keras on JAX" in lines:
        what = "`predict` of one row, 784-500-500-10"
        timed(what, lines["nncompile predict"], lines["Keras on JAX"], "seconds")
    starts = _good(results.get("start", ()), "start")
    for cold in (True, False):
        known = {line["peer"]: line for line in starts if line["cold"] == cold}
        frameworks = [line for name, line in known.items() if name not in (OURS, "NumPy")]
        if OURS in known and frameworks:
            what = f"start of Python to the first epoch of T1 done, {'nothing compiled before' if cold else 'again'}"
            timed(what, known[OURS], min(frameworks, key=lambda line: line["start"]), "start")
    for name in ("T1", "T3"):
        peaks = {
            line["peer"]: line["peak_bytes"]
            for line in _good(results.get("work", {}).get(name, ()), "peak_bytes")
            if line["precision"] == "float32" and line["threads"] == 1
        }
        others = {peer: peak for peer, peak in peaks.items() if peer not in (OURS, "NumPy")}
        if OURS in peaks and others:
            best = min(others, key=lambda peer: others[peer])
            what = f"most memory of a process that trains {name}"
            rows.append(
                [what, "float32", "1", size(peaks[OURS]), best, size(others[best]), ratio(peaks[OURS], others[best])]
            )
    sizes = results.get("size", {})
    others = {name: bytes_ for name, bytes_ in sizes.items() if name in ("JAX", "PyTorch", "Keras on JAX")}
    if OURS in sizes and others:
        best = min(others, key=lambda name: others[name])
        what = "installed, with everything needed but Python and a C compiler"
        rows.append([what, "", "", size(sizes[OURS]), best, size(others[best]), ratio(sizes[OURS], others[best])])
    return rows


def where_and_when(results: Mapping[str, Any]) -> str:
    """One line: machine, versions and date."""
    machine, dates = results["machine"], sorted(set(results["dates"].values()))
    versions = ", ".join(f"{name} {version}" for name, version in results["versions"].items())
    return (
        f"{machine['cpu']} ({', '.join(machine['vectors']) or 'no vectors'}; processors used: {machine['processors']}), "
        f"{machine['system']}, {machine['compiler']}, {dates[0] if len(dates) == 1 else f'{dates[0]} to {dates[-1]}'}. "
        f"{versions}."
    )


def complete(results: Mapping[str, Any]) -> list[str]:
    """All that was measured."""
    lines = ["# Benchmarks", "", where_and_when(results), "", *_how(results), "", *summary(results)]
    for name, work in results.get("work", {}).items():
        lines += ["", f"## {name}: {WORKLOADS[name].title}", ""]
        header = ["", "precision", "threads", "time", "99 %", "memory", "loss of 2 epochs", "others took"]
        lines += _markdown(header, (_row(line) for line in work))
    if results.get("losses"):
        lines += [
            "",
            "## Losses",
            "",
            "Two epochs from the same weights without shuffling; largest difference of two.",
            "",
        ]
        rows = []
        for name, found in results["losses"].items():
            for line in found:
                losses = ", ".join(f"{loss:.7g}" for loss in line["losses"]) or line.get("failure", "")
                rows.append([name, line["peer"], line["precision"], losses])
            rows.append([name, "apart", "float32", f"{apart(found):.2g}"])
        lines += _markdown(["", "", "precision", "losses"], rows)
    if results.get("start"):
        lines += ["", "## Start of Python to the first epoch of T1 done", ""]
        rows = [
            [
                s["peer"],
                "nothing compiled before" if s["cold"] else "again",
                duration(s.get("start")),
                s.get("failure") or "",
            ]
            for s in results["start"]
        ]
        lines += _markdown(["", "", "time", ""], rows)
    if results.get("size"):
        lines += ["", "## Installed, with everything needed but Python and a C compiler", ""]
        lines += _markdown(["", "size"], ([name, size(count)] for name, count in results["size"].items()))
    lines += _text_of_curves(results.get("curves", {}))
    return lines


def _how(results: Mapping[str, Any]) -> list[str]:
    settings = results["settings"]
    return [
        f"Medians over {settings['rounds']} processes per figure, by turns, each of which repeats its work for "
        f"{settings['seconds']} s after a warm-up. A process that lost more than {DISTURBED:.0%} of its processors to others "
        "was repeated; (d) marks what was disturbed all the same. Ratio: time of the fastest other one, divided by ours. "
        "Weights at the beginning, optimizer, order of rows, data types and metrics are the same; losses agree (below).",
    ]


def _row(line: Mapping[str, Any]) -> list[str]:
    if line.get("failure"):
        return [line["peer"], NAMES[line["precision"]], str(line["threads"]), f"failed: {line['failure']}", *[""] * 4]
    losses = ", ".join(f"{loss:.4f}" for loss in line["losses"])
    return [
        f"{line['peer']} {line['version']}",
        NAMES[line["precision"]],
        str(line["threads"]),
        duration(line["seconds"]),
        duration(line["tail"]) if not losses else "",
        size(line["peak_bytes"]),
        losses,
        f"{line['disturbance']:.0%}",
    ]


def apart(found: Sequence[Mapping[str, Any]]) -> float:
    """The largest difference between losses of float32, as a share of ours; NaN without ours."""
    known = {line["peer"]: line["losses"] for line in found if line["losses"] and line["precision"] == "float32"}
    ours = known.get(OURS)
    if ours is None:
        return math.nan
    return max(abs(a - b) / abs(b) for losses in known.values() for a, b in zip(losses, ours, strict=True))


def _text_of_curves(found: Mapping[str, Any]) -> list[str]:
    if not found:
        return []
    lines = ["", "## How cost grows", ""]
    made = {curve.name: curve for curve in curves.curves()}
    for name, curve in made.items():
        if name not in found:
            continue
        data = found[name]
        lines += [f"### {curve.title}", ""]
        columns = list(data["seconds"])
        rows = [
            [str(s), *(duration(data["seconds"][peer][n]) for peer in columns), _kilobytes(data, n)]
            for n, s in enumerate(data["sizes"])
        ]
        lines += [*_markdown([curve.axis, *columns, "C"], rows), ""]
        if curve.what == "train":
            lines += [f"Cliffs of nncompile: {_text_of_cliffs(data)}.", ""]
    return lines


def _kilobytes(data: Mapping[str, Any], number: int) -> str:
    count = data["source_bytes"][number]
    return f"{count / 1000:.0f} KB" if count else ""


def _text_of_cliffs(data: Mapping[str, Any]) -> str:
    seconds = data["seconds"].get(OURS)
    if seconds is None:
        return "not measured"
    found = curves.cliffs(data["sizes"], data["work"], seconds)
    return ", ".join(f"{c.size:g} costs {c.factor:.2f} times what its neighbours suggest" for c in found) or "none"


def readme_part(results: Mapping[str, Any], pictures: Sequence[str] = ()) -> list[str]:
    """What stands between the markers of the README."""
    cliffs = [
        f"{name} {cliff.size:g} ({cliff.factor:.2f})"
        for name, data in results.get("curves", {}).items()
        if not name.startswith("build") and OURS in data["seconds"]
        for cliff in curves.cliffs(data["sizes"], data["work"], data["seconds"][OURS])
    ]
    lines = [where_and_when(results), "", *summary(results)]
    if results.get("curves"):
        said = ", ".join(cliffs) or "none"
        lines += ["", f"Sizes that cost over {curves.LIMIT} times what their neighbours suggest: {said}."]
    lines += [text for picture in pictures for text in ("", f"![{Path(picture).stem} against size]({picture})")]
    return lines


def rewrite(text: str, part: Sequence[str]) -> str:
    """Puts a part between the markers of a text.

    Raises:
        ValueError: it has not one pair of markers.
    """
    if text.count(BEGIN) != 1 or text.count(END) != 1 or text.index(BEGIN) > text.index(END):
        raise ValueError(
            f"README: expected one {BEGIN} and one {END} behind it. Put them where the tables should stand."
        )
    before, rest = text.split(BEGIN)
    _, after = rest.split(END)
    return f"{before}{BEGIN}\n{chr(10).join(part)}\n{END}{after}"
