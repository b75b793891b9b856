"""Data to try things with, under the names of ``keras.datasets``."""

from __future__ import annotations

from typing import NoReturn

from ..errors import UnsupportedError
from . import mnist

__all__ = ["mnist"]

_LATER = (
    "boston_housing",
    "california_housing",
    "cifar10",
    "cifar100",
    "fashion_mnist",
    "imdb",
    "reuters",
)


class _LaterError(UnsupportedError, AttributeError):
    """A name of Keras' that is missing here; an AttributeError, so that hasattr is False."""


def __getattr__(name: str) -> NoReturn:
    if name in _LATER:
        raise _LaterError(
            f"nncompile.datasets: {name} is not supported yet. Read its arrays with numpy.load and give them to fit."
        )
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
