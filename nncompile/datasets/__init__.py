"""Data to try things with, under the names of ``keras.datasets``."""

from __future__ import annotations

from .. import absent
from . import mnist

__all__ = ["mnist"]

__getattr__ = absent.finder(__name__)
