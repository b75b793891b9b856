"""The progress bar: its text is that of real Keras, apart from times and redraws."""

from __future__ import annotations

import io
import re
import sys
from typing import Any

import numpy as np
import pytest

from nncompile import progress
from nncompile.progress import Progbar, print_message

ESCAPE = re.compile(r"\x1b\[[0-9]*m")
TIME = re.compile(r"(\d+:)*\d+(s|ms|us)(/\w+)?")


class Stream(io.TextIOWrapper):
    """A standard output of a chosen encoding, which may be a terminal."""

    def __init__(self, tty: bool, encoding: str = "utf-8") -> None:
        self.bytes = io.BytesIO()
        super().__init__(self.bytes, encoding=encoding, newline="")
        self.tty = tty

    def isatty(self) -> bool:
        return self.tty

    def text(self) -> str:
        self.flush()
        return self.bytes.getvalue().decode(self.encoding)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """A clock that stands still unless the test moves it."""
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NO_COLOR", "TERM", "PYCHARM_HOSTED"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.delitem(sys.modules, "ipykernel", raising=False)
    monkeypatch.setenv("COLUMNS", "300")


def stdout(monkeypatch: pytest.MonkeyPatch, tty: bool, encoding: str = "utf-8") -> Stream:
    stream = Stream(tty, encoding)
    monkeypatch.setattr(sys, "stdout", stream)
    return stream


def shown(text: str) -> list[str]:
    """The lines that remain on a terminal, without colours, with ``T`` for times."""
    lines = []
    for line in ESCAPE.sub("", text).split("\n"):
        visible: list[str] = []
        column = 0
        for character in line:
            if character == "\r":
                column = 0
            elif character == "\b":
                column = max(column - 1, 0)
            else:
                visible[column : column + 1] = [character]
                column += 1
        lines.append(TIME.sub("T", "".join(visible)).rstrip())
    return lines


def run(bar: Any, steps: int, value: Any = lambda step: 1 / step) -> None:
    for step in range(1, steps):
        bar.update(step, [("accuracy", value(step)), ("loss", 2 * value(step))], finalize=False)
    bar.update(steps, [("accuracy", 0.9), ("loss", 0.3), ("val_loss", 1e-5)], finalize=True)


# --- against real Keras ---------------------------------------------------------------


@pytest.mark.parametrize("verbose", [0, 1, 2])
@pytest.mark.parametrize("target", [1, 9, 80, 1000])
@pytest.mark.parametrize("names", [{}, {"stateless_metrics": ["loss"]}, {"stateful_metrics": ["loss"]}])
def test_final_line_is_that_of_keras(
    monkeypatch: pytest.MonkeyPatch, verbose: int, target: int, names: dict[str, Any]
) -> None:
    from oracle import keras

    def text(cls: Any) -> list[str]:
        stream = stdout(monkeypatch, tty=True)
        run(cls(target, verbose=verbose, interval=0, **names), target)
        return shown(stream.text())

    ours = text(Progbar)
    assert ours == text(keras.utils.Progbar)
    assert (ours == [""]) == (verbose == 0)


@pytest.mark.parametrize("target", [7, 80, None])
@pytest.mark.parametrize(
    "value",
    [lambda s: 1 / s, lambda s: s * 1e-4, lambda s: -s, lambda s: np.float32(s), lambda s: float("nan")],
)
@pytest.mark.parametrize("names", [{}, {"stateless_metrics": ["loss"]}, {"stateful_metrics": ["accuracy"]}])
def test_every_redraw_is_that_of_keras(
    monkeypatch: pytest.MonkeyPatch, target: int | None, value: Any, names: dict[str, Any]
) -> None:
    from oracle import keras

    def states(cls: Any) -> list[list[str]]:
        stream = stdout(monkeypatch, tty=True)
        bar = cls(target, interval=0, **names)
        seen = []
        for step in (1, 2, 3, 5, 7):
            bar.update(step, [("accuracy", value(step)), ("loss", 2 * value(step))], finalize=False)
            seen.append(shown(stream.text()))
        return seen

    assert states(Progbar) == states(keras.utils.Progbar)


def test_colours_are_those_of_keras(monkeypatch: pytest.MonkeyPatch) -> None:
    from oracle import keras

    def text(cls: Any) -> str:
        stream = stdout(monkeypatch, tty=True)
        cls(10).update(4, [("loss", 0.5)])
        return TIME.sub("T", stream.text().strip("\r\b"))

    assert text(Progbar) == text(keras.utils.Progbar)
    assert "\x1b[32m━━━━━━━━\x1b[0m\x1b[37m━━━━━━━━━━━━\x1b[0m" in text(Progbar)


def test_add_and_unit_name_are_those_of_keras(monkeypatch: pytest.MonkeyPatch) -> None:
    from oracle import keras

    def text(cls: Any) -> list[str]:
        stream = stdout(monkeypatch, tty=True)
        bar = cls(10, width=30, unit_name="sample", interval=0)
        bar.add(4, [("loss", 1.0)])
        bar.add(6, [("loss", 3.0)])
        return shown(stream.text())

    assert text(Progbar) == text(keras.utils.Progbar)


# --- the line itself ------------------------------------------------------------------


def test_bar_text(monkeypatch: pytest.MonkeyPatch, clock: list[float]) -> None:
    stream = stdout(monkeypatch, tty=False)
    bar = Progbar(80)
    clock[0] += 0.16
    bar.update(80, [("accuracy", 0.9), ("loss", 0.3)])
    assert stream.text() == f"80/80 {'━' * 20} 0s 2ms/step - accuracy: 0.9000 - loss: 0.3000\n"


def test_verbose_2_is_one_line(monkeypatch: pytest.MonkeyPatch, clock: list[float]) -> None:
    stream = stdout(monkeypatch, tty=True)
    bar = Progbar(80, verbose=2)
    bar.update(40, [("loss", 0.5)])
    assert stream.text() == ""
    clock[0] += 8
    bar.update(80, [("loss", 0.3)])
    assert stream.text() == "80/80 - 8s - 100ms/step - loss: 0.3000\n"


def test_only_the_end_goes_into_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = stdout(monkeypatch, tty=False)
    run(Progbar(30, interval=0), 30)
    assert stream.text().count("\n") == 1
    assert not re.search("[\r\b\x1b]", stream.text())


def test_terminal_without_escapes(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("NO_COLOR", "1"), ("TERM", "dumb")):
        with monkeypatch.context() as context:
            context.setenv(name, value)
            stream = stdout(context, tty=True)
            Progbar(10).update(5)
            assert "\x1b" not in stream.text()
            assert "━" * 10 + "." * 10 in stream.text()


@pytest.mark.parametrize("notebook", ["module", "pycharm"])
def test_notebooks_are_redrawn(monkeypatch: pytest.MonkeyPatch, notebook: str) -> None:
    if notebook == "module":
        monkeypatch.setitem(sys.modules, "ipykernel", sys)
    else:
        monkeypatch.setenv("PYCHARM_HOSTED", "1")
    stream = stdout(monkeypatch, tty=False)
    Progbar(10).update(5)
    assert stream.text().startswith("\r")


def test_redraws_wait_for_the_interval(monkeypatch: pytest.MonkeyPatch, clock: list[float]) -> None:
    stream = stdout(monkeypatch, tty=True)
    bar = Progbar(100, interval=0.05)
    for step in range(1, 11):
        clock[0] += 0.01
        bar.update(step)
    assert stream.text().count("\r") == 2
    bar.update(100)
    assert stream.text().count("\r") == 3
    assert stream.text().endswith("\n")


def test_shorter_line_covers_the_longer_one(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = stdout(monkeypatch, tty=True)
    bar = Progbar(10, interval=0, stateless_metrics=())
    bar.update(5, [("loss", 123456.0)])
    bar.update(10, [("loss", 1.0)])
    assert shown(stream.text())[0].endswith("loss: 1.0000")


def test_redraws_never_wrap_and_the_end_is_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    stream = stdout(monkeypatch, tty=True)
    bar = Progbar(10, interval=0)
    metrics = [(f"metric_{i}", 0.5) for i in range(9)]
    bar.update(5, metrics)
    assert len(ESCAPE.sub("", stream.text()).strip("\r")) == 59
    bar.update(10, metrics)
    assert shown(stream.text())[0].endswith("metric_8: 0.5000")


@pytest.mark.parametrize(
    ("left", "text"), [(9, "9s"), (75, "1:15"), (3599, "59:59"), (3725, "1:02:05"), (36000, "10:00:00")]
)
def test_time_that_remains(monkeypatch: pytest.MonkeyPatch, clock: list[float], left: float, text: str) -> None:
    stream = stdout(monkeypatch, tty=True)
    bar = Progbar(1000)
    clock[0] += (left + 0.5) / 999
    bar.update(1)
    assert f" \x1b[1m{text}\x1b[0m " in stream.text()


@pytest.mark.parametrize(("seconds", "text"), [(0.0, "0s"), (2e-5, "20us"), (0.002, "2ms"), (3.0, "3s")])
def test_time_per_step(monkeypatch: pytest.MonkeyPatch, clock: list[float], seconds: float, text: str) -> None:
    stream = stdout(monkeypatch, tty=False)
    bar = Progbar(2)
    clock[0] += 50  # the first step is not representative
    bar.update(1)
    clock[0] += seconds
    bar.update(2)
    assert f"s {text}/step" in stream.text()


def test_unknown_target(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = stdout(monkeypatch, tty=True)
    bar = Progbar(None)
    bar.update(3, [("loss", 1.0)])
    assert shown(stream.text()) == ["      3/Unknown T T - loss: 1.0000"]
    bar.update(0, finalize=True)
    assert stream.text().endswith("\n")
    for target in (0, -3):  # none that could be reached
        stream = stdout(monkeypatch, tty=False)
        Progbar(target).update(1)
        assert shown(stream.text()) == ["      1/Unknown T T", ""]


def test_what_a_bar_was_given() -> None:
    assert (Progbar(3.0).target, Progbar(3).stateful_metrics, Progbar(3).stateless_metrics) == (3, set(), None)  # type: ignore[arg-type]
    assert Progbar(3, stateful_metrics=["a"]).stateful_metrics == {"a"}
    assert Progbar(3, stateless_metrics=["a"]).stateful_metrics is None


def test_values_that_are_not_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = stdout(monkeypatch, tty=False)
    bar = Progbar(1, stateless_metrics=())
    bar.update(1, [("note", "fine"), ("f1", np.array([0.25, 0.75])), ("nan", float("nan"))])
    assert stream.text().endswith(" - note: fine - f1: 0.5000 - nan: nan\n")


def test_both_kinds_of_names_are_refused() -> None:
    with pytest.raises(ValueError, match="not both"):
        Progbar(1, stateful_metrics=["a"], stateless_metrics=["b"])


# --- standard output ------------------------------------------------------------------


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252"])
def test_ascii_where_the_encoding_has_no_bar(monkeypatch: pytest.MonkeyPatch, encoding: str) -> None:
    stream = stdout(monkeypatch, tty=False, encoding=encoding)
    Progbar(4, width=8).update(4, [("précision", 0.5)])
    assert "4/4 ======== " in stream.text()
    assert "0.5000" in stream.text()


def test_no_standard_output(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    print_message("nobody hears this")
    Progbar(1).update(1)


def test_stream_without_encoding(monkeypatch: pytest.MonkeyPatch) -> None:
    class Odd(io.StringIO):
        encoding = None  # type: ignore[assignment]

        def write(self, text: str) -> int:
            text.encode("ascii")
            return super().write(text)

    stream = Odd()
    monkeypatch.setattr(sys, "stdout", stream)
    print_message("━━ é")
    assert stream.getvalue() == "== ?\n"
