"""Limits of what is made, while a file that may come from anyone describes it.

A few bytes can name a layer of a billion weights. What reads a file says how much there may be
(:func:`limited`), and layers ask before they make anything (:func:`take`, :func:`check`). Outside
of that there are no limits.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from .. import tree
from ..errors import FileFormatError


@dataclass
class _Budget:
    """How much what a file describes may take.

    Attributes:
        left: bytes that its weights may still take.
        width: the most numbers that a row may have.
        found: why it is so much, for the message.
    """

    left: int
    width: int
    found: str


_budget: ContextVar[_Budget | None] = ContextVar("limits of what is made", default=None)


@contextlib.contextmanager
def limited(size: int, width: int, found: str) -> Iterator[None]:
    """Limits what is made meanwhile, because a file that may come from anyone describes it.

    Args:
        size: bytes that all weights may take together.
        width: the most numbers that a row of a tensor may have.
        found: why, for the message.
    """
    token = _budget.set(_Budget(size, width, found))
    try:
        yield
    finally:
        _budget.reset(token)


def take(size: int, what: str) -> None:
    """Counts the bytes of a weight that is about to be made.

    Raises:
        FileFormatError: with those before it they are too many.
    """
    budget = _budget.get()
    if budget is None:
        return
    budget.left -= size
    if budget.left < 0:
        raise FileFormatError(f"{what}: takes {size} bytes, and with those before it too many: {budget.found}.")


def check(tensors: Any, what: str) -> None:
    """Looks at the shapes of what a layer returns, a tensor or a structure of tensors.

    Raises:
        FileFormatError: a row has too many numbers.
    """
    budget = _budget.get()
    if budget is None:
        return
    for tensor in tree.flatten(tensors):
        numbers = math.prod(n or 1 for n in tensor.shape[1:])
        if numbers > budget.width:
            raise FileFormatError(f"{what}: a row of {numbers} numbers; the most is {budget.width}.")
