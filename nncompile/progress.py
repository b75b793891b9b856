"""The progress bar of fit, evaluate and predict, with the look of Keras.

On a terminal or in a notebook the line is drawn again in place, at most every
``interval`` seconds. Into a file or a pipe goes one plain line per epoch, without
colours and control characters, where Keras would write every redraw.
"""

from __future__ import annotations

import math
import os
import sys
import time
from collections.abc import Iterable
from typing import Any

import numpy as np

from . import config

_BLOCK = "━"
_PLAIN, _BOLD, _GREEN, _WHITE = 0, 1, 32, 37  # the numbers of terminal escapes

Segment = tuple[int, str]


def print_message(message: str, end: str = "\n") -> None:
    """Prints to standard output, also where it cannot show every character; or logs, if that was asked for."""
    if not config.is_interactive_logging_enabled():
        import logging

        logging.getLogger("nncompile").info("%s", message.strip())
        return
    stream = sys.stdout
    if stream is None:  # a program without a console, such as pythonw
        return
    text = message + end
    try:
        stream.write(text)
    except UnicodeEncodeError:
        encoding = stream.encoding or "ascii"
        stream.write(text.replace(_BLOCK, "=").encode(encoding, "replace").decode(encoding))
    stream.flush()


class Progbar:
    """A line that shows how far a loop is and how its metrics stand.

    Each metric is shown as its mean over the steps so far, or as it was given last.
    Without ``stateful_metrics`` and ``stateless_metrics`` all are averaged.

    Args:
        target: number of steps to come; None if that is not known.
        width: number of characters of the bar.
        verbose: 0 prints nothing, 1 a bar, 2 one line at the end.
        interval: shortest time between two redraws, in seconds.
        stateful_metrics: names of the metrics that are shown as given.
        stateless_metrics: names of the metrics that are averaged, all others being
            shown as given. Only one of the two can be used.
        unit_name: what a step is called in the time per step.

    Raises:
        ValueError: both kinds of names were given.
    """

    def __init__(
        self,
        target: int | None,
        width: int = 20,
        verbose: int = 1,
        interval: float = 0.05,
        stateful_metrics: Iterable[str] | None = None,
        stateless_metrics: Iterable[str] | None = None,
        unit_name: str = "step",
    ) -> None:
        if stateful_metrics is not None and stateless_metrics is not None:
            raise ValueError("Progbar: give stateful_metrics or stateless_metrics, not both.")
        self.target = None if target is None else int(target)
        self.width = width
        self.verbose = verbose
        self.interval = interval
        self.unit_name = unit_name
        self.stateless_metrics = None if stateless_metrics is None else set(stateless_metrics)
        self.stateful_metrics = set(stateful_metrics or ()) if stateless_metrics is None else None
        self._terminal = bool(getattr(sys.stdout, "isatty", lambda: False)())
        self._dynamic = self._terminal or "ipykernel" in sys.modules or "PYCHARM_HOSTED" in os.environ
        if not config.is_interactive_logging_enabled():
            self._terminal = self._dynamic = False
        self._coloured = self._dynamic and not os.environ.get("NO_COLOR") and os.environ.get("TERM", "") != "dumb"
        self._seen = 0
        self._sums: dict[str, tuple[Any, int]] = {}  # name: sum of the values, number of steps
        self._start = time.monotonic()
        self._first_step: float | None = None  # when step 1 ended
        self._drawn = -math.inf  # when the line was drawn last
        self._drawn_width = 0

    def update(
        self, current: int, values: Iterable[tuple[str, Any]] | None = None, finalize: bool | None = None
    ) -> None:
        """Moves the bar.

        Args:
            current: number of steps done.
            values: pairs of a metric's name and its value.
            finalize: whether this is the last call, which ends the line; by default
                it is when ``current`` has reached the target.
        """
        if finalize is None:
            finalize = self.target is not None and current >= self.target
        self._remember(current, values or (), finalize)
        now = time.monotonic()
        pace = self._time_per_step(current, now)
        if self.verbose == 1:
            due = now - self._drawn >= self.interval
            if finalize or (due and self._dynamic):
                self._draw(self._segments(current, pace, now, finalize), finalize)
                self._drawn = now
        elif self.verbose == 2 and finalize and self._is_bounded:
            seconds = f"{now - self._start:.0f}s"
            print_message(f"{self._count(current)} - {seconds} - {self._pace(pace)}{self._metrics()}")

    def add(self, n: int, values: Iterable[tuple[str, Any]] | None = None) -> None:
        """Moves the bar by ``n`` steps."""
        self.update(self._seen + n, values)

    @property
    def _is_bounded(self) -> bool:
        """Whether it is known how many steps there are."""
        return self.target is not None and self.target > 0

    def _remember(self, current: int, values: Iterable[tuple[str, Any]], finalize: bool) -> None:
        for name, value in values:
            if self.stateless_metrics is not None:
                averaged = name in self.stateless_metrics
            else:
                averaged = name not in (self.stateful_metrics or ())
            if finalize or not averaged:
                self._sums[name] = (value, 1)
            else:
                # The end of an epoch may repeat the number of its last step.
                steps = max(current - self._seen, 1)
                total, count = self._sums.get(name, (0.0, 0))
                self._sums[name] = (total + value * steps, count + steps)
        self._seen = current

    def _time_per_step(self, current: int, now: float) -> float:
        """Seconds per step, without the first one, in which things are set up."""
        if not current:
            return 0.0
        if self._first_step is not None and current > 1:
            pace = (now - self._first_step) / (current - 1)
        else:
            pace = (now - self._start) / current
        if current == 1:
            self._first_step = now
        return pace

    def _segments(self, current: int, pace: float, now: float, finalize: bool) -> list[Segment]:
        """The line as pairs of a terminal's escape number and a text."""
        line: list[Segment] = []
        if self.target is not None and self._is_bounded:
            done = min(int(self.width * current / self.target), self.width)
            # Without colours the part to come needs a character of its own.
            rest = _BLOCK if self._coloured else "."
            line += [(_BOLD, self._count(current)), (_PLAIN, " ")]
            line += [(_GREEN, _BLOCK * done), (_WHITE, rest * (self.width - done))]
        else:
            line += [(_PLAIN, self._count(current))]
        if self.target is not None and self._is_bounded and not finalize:
            clock = _remaining(pace * (self.target - current))
        else:
            clock = f"{now - self._start:.0f}s"
        return [*line, (_PLAIN, " "), (_BOLD, clock), (_PLAIN, f" {self._pace(pace)}{self._metrics()}")]

    def _draw(self, line: list[Segment], finalize: bool) -> None:
        width = sum(len(text) for _, text in line)
        if self._terminal and not finalize:
            # A line that wraps cannot be drawn over: its metrics are cut until the end.
            import shutil

            excess = width - (shutil.get_terminal_size().columns - 1)
            if excess > 0:
                style, text = line[-1]
                line[-1] = (style, text[: max(len(text) - excess, 0)])
                width = sum(len(text) for _, text in line)
        text = "".join(self._painted(style, text) for style, text in line)
        if self._dynamic:
            text = "\r" + text + " " * (self._drawn_width - width)
        self._drawn_width = width
        print_message(text, end="\n" if finalize else "")

    def _painted(self, style: int, text: str) -> str:
        return f"\x1b[{style}m{text}\x1b[0m" if style and text and self._coloured else text

    def _count(self, current: int) -> str:
        if not self._is_bounded:
            return f"{current:7d}/Unknown"
        return f"{current:{len(str(self.target))}d}/{self.target}"

    def _pace(self, seconds: float) -> str:
        if seconds >= 1 or seconds == 0:
            return f"{seconds:.0f}s/{self.unit_name}"
        if seconds >= 1e-3:
            return f"{seconds * 1e3:.0f}ms/{self.unit_name}"
        return f"{seconds * 1e6:.0f}us/{self.unit_name}"

    def _metrics(self) -> str:
        return "".join(f" - {name}: {_number(*sums)}" for name, sums in self._sums.items())


def _remaining(seconds: float) -> str:
    if seconds > 3600:
        return f"{seconds // 3600:.0f}:{seconds % 3600 // 60:02.0f}:{int(seconds % 60):02d}"
    if seconds > 60:
        return f"{seconds // 60:.0f}:{int(seconds % 60):02d}"
    return f"{int(seconds)}s"


def _number(total: Any, count: int) -> str:
    try:
        mean = float(np.mean(total)) / count
    except (TypeError, ValueError):
        return str(total)
    return f"{mean:.4f}" if abs(mean) > 1e-3 else f"{mean:.4e}"
