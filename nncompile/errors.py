"""The errors of nncompile.

Each message says where, what was expected, what was received and what to do, in
that order, for example ``dense_1 (Dense): expected (batch, features), received
(batch, 28, 28). Put Flatten() before it.`` Every class also derives from the
built-in error that a Keras user would catch.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import FrameType, TracebackType


class NncompileError(Exception):
    """Base of all errors that nncompile raises on purpose."""


class ModelError(NncompileError, ValueError):
    """A model, an argument or data that cannot be right; nothing was run."""


class ModelTypeError(ModelError, TypeError):
    """As :class:`ModelError`, where Python or Keras raise TypeError: an argument that there is not, say."""


class ModelIndexError(ModelError, IndexError):
    """As :class:`ModelError`, where Python or Keras raise IndexError: there is no such place."""


class UnsupportedError(NncompileError, NotImplementedError):
    """Something that Keras accepts and nncompile does not, yet."""


class UnknownObjectError(UnsupportedError, TypeError, ValueError):
    """A serialized object of a class or function that is not known; Keras raises TypeError or ValueError."""


class FileFormatError(NncompileError, ValueError):
    """A file that is truncated, foreign or hostile; nothing of it was used."""


class InternalError(NncompileError):
    """A defect of nncompile itself; please report it with the message."""


class BuildError(NncompileError, RuntimeError):
    """The C compiler is missing or failed.



    Args:
        message: what failed, and what to do.

    Attributes:
        command: the command that was run, as a list of arguments.
        output: what the compiler printed.
        source: where the C that did not compile was kept, if it was written.
    """

    def __init__(
        self,
        message: str,
        *,
        command: Sequence[str] = (),
        output: str = "",
        source: Path | None = None,
    ) -> None:
        super().__init__(message)
        self.command = tuple(command)
        self.output = output
        self.source = source


# ------------------------------------------------------------------ lines of the user's


def line_of_user(traceback: TracebackType | None = None) -> str:
    """The innermost line of Python that is the user's, of those that run or that an error went through.

    Args:
        traceback: of an error that was caught; None for what runs.

    Returns:
        `` File "model.py", line 12: y = float(x)`` after a line break, or nothing if there is no such line.
    """
    places = _raised(traceback) if traceback is not None else _running(sys._getframe(1))
    for frame, line in places:
        if str(frame.f_globals.get("__name__")).partition(".")[0] not in ("nncompile", "numpy"):
            import linecache

            source = linecache.getline(frame.f_code.co_filename, line, frame.f_globals).strip()[:120]
            return f'\n  File "{frame.f_code.co_filename}", line {line}{": " + source if source else ""}'
    return ""


def _running(frame: FrameType | None) -> Iterable[tuple[FrameType, int]]:
    while frame is not None:
        yield frame, frame.f_lineno
        frame = frame.f_back


def _raised(traceback: TracebackType | None) -> Iterable[tuple[FrameType, int]]:
    places = []
    while traceback is not None:
        places.append((traceback.tb_frame, traceback.tb_lineno))
        traceback = traceback.tb_next
    return reversed(places)
