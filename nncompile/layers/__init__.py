"""The layers, with the names of ``keras.layers``."""

from __future__ import annotations

from typing import NoReturn

from ..registry import nearest
from .base import InputSpec, Layer, deserialize, serialize
from .core import Activation, Dense, Flatten, Input, InputLayer
from .merging import (
    Add,
    Average,
    Concatenate,
    Dot,
    Maximum,
    Minimum,
    Multiply,
    Subtract,
    add,
    average,
    concatenate,
    dot,
    maximum,
    minimum,
    multiply,
    subtract,
)  # fmt: skip
from .regularization import Dropout

__all__ = [
    "Activation",
    "Add",
    "Average",
    "Concatenate",
    "Dense",
    "Dot",
    "Dropout",
    "Flatten",
    "Input",
    "InputLayer",
    "InputSpec",
    "Layer",
    "Maximum",
    "Minimum",
    "Multiply",
    "Subtract",
    "add",
    "average",
    "concatenate",
    "deserialize",
    "dot",
    "maximum",
    "minimum",
    "multiply",
    "serialize",
    "subtract",
]

_OF_KERAS = (
    "ActivityRegularization AlphaDropout Attention AveragePooling2D BatchNormalization Bidirectional "
    "Conv1D Conv2D Conv3D ELU Embedding GaussianDropout GaussianNoise GlobalAveragePooling2D GlobalMaxPooling2D "
    "GRU GroupNormalization Identity Lambda LayerNormalization LeakyReLU LSTM Masking MaxPooling2D MultiHeadAttention "
    "Normalization Permute PReLU RepeatVector Rescaling Reshape ReLU RMSNormalization SimpleRNN Softmax "
    "SpatialDropout1D TextVectorization TimeDistributed UnitNormalization UpSampling2D ZeroPadding2D"
).split()


def __getattr__(name: str) -> NoReturn:
    """Says of a layer that is not here whether Keras has it, or which one was meant."""
    if name in _OF_KERAS:
        raise AttributeError(f"nncompile.layers.{name} is not supported yet.")
    raise AttributeError(f"nncompile.layers has no layer {name!r}.{nearest(name, __all__)}")
