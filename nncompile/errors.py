"""The errors of nncompile.

Each message says where, what was expected, what was received and what to do, in
that order, for example ``dense_1 (Dense): expected (batch, features), received
(batch, 28, 28). Put Flatten() before it.`` Every class also derives from the
built-in error that a Keras user would catch.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path


class NncompileError(Exception):
    """Base of all errors that nncompile raises on purpose."""


class ModelError(NncompileError, ValueError):
    """A model, an argument or data that cannot be right; nothing was run."""


class UnsupportedError(NncompileError, NotImplementedError):
    """Something that Keras accepts and nncompile does not, yet."""


class FileFormatError(NncompileError, ValueError):
    """A file that is truncated, foreign or hostile; nothing of it was used."""


class InternalError(NncompileError):
    """A defect of nncompile itself; please report it with the message."""


class BuildError(NncompileError, RuntimeError):
    """The C compiler is missing or failed.

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
