"""The layers, with the names of ``keras.layers``."""

from __future__ import annotations

from .base import InputSpec, Layer, deserialize, serialize
from .core import Activation, Dense, Flatten, Input, InputLayer
from .regularization import Dropout

__all__ = [
    "Activation",
    "Dense",
    "Dropout",
    "Flatten",
    "Input",
    "InputLayer",
    "InputSpec",
    "Layer",
    "deserialize",
    "serialize",
]
