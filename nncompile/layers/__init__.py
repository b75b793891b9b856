"""The layers, with the names of ``keras.layers``."""

from __future__ import annotations

from typing import NoReturn

from ..registry import nearest
from .base import InputSpec, Layer, deserialize, serialize
from .core import Activation, Dense, Flatten, Input, InputLayer, Lambda
from .regularization import Dropout

__all__ = [
    "Activation",
    "Dense",
    "Dropout",
    "Flatten",
    "Input",
    "InputLayer",
    "InputSpec",
    "Lambda",
    "Layer",
    "deserialize",
    "serialize",
]

_OF_KERAS = (
    "ActivityRegularization Add AlphaDropout Attention AveragePooling2D BatchNormalization Bidirectional Concatenate "
    "Conv1D Conv2D Conv3D Dot ELU Embedding GaussianDropout GaussianNoise GlobalAveragePooling2D GlobalMaxPooling2D "
    "GRU GroupNormalization Identity LayerNormalization LeakyReLU LSTM Masking MaxPooling2D MultiHeadAttention "
    "Multiply Normalization Permute PReLU RepeatVector Rescaling Reshape ReLU RMSNormalization SimpleRNN Softmax "
    "SpatialDropout1D Subtract TextVectorization TimeDistributed UnitNormalization UpSampling2D ZeroPadding2D"
).split()


def __getattr__(name: str) -> NoReturn:
    """Says of a layer that is not here whether Keras has it, or which one was meant."""
    if name in _OF_KERAS:
        raise AttributeError(f"nncompile.layers.{name} is not supported yet.")
    raise AttributeError(f"nncompile.layers has no layer {name!r}.{nearest(name, __all__)}")
