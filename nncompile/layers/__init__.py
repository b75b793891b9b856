"""The layers, with the names of ``keras.layers``."""

from __future__ import annotations

from typing import NoReturn

from ..registry import nearest
from .activations import ELU, LeakyReLU, PReLU, ReLU, Softmax
from .base import InputSpec, Layer, deserialize, serialize
from .core import Activation, Dense, Identity, Input, InputLayer
from .embedding import Embedding
from .normalization import (
    BatchNormalization,
    GroupNormalization,
    LayerNormalization,
    RMSNormalization,
    UnitNormalization,
)
from .pooling import AveragePooling1D, GlobalAveragePooling1D, GlobalMaxPooling1D, MaxPooling1D
from .preprocessing import CategoryEncoding, Discretization, Normalization, Rescaling
from .regularization import (
    ActivityRegularization,
    AlphaDropout,
    Dropout,
    GaussianDropout,
    GaussianNoise,
    SpatialDropout1D,
)
from .reshaping import Cropping1D, Flatten, Permute, RepeatVector, Reshape, UpSampling1D, ZeroPadding1D
from .wrappers import TimeDistributed, Wrapper

AvgPool1D = AveragePooling1D
GlobalAvgPool1D = GlobalAveragePooling1D
GlobalMaxPool1D = GlobalMaxPooling1D
MaxPool1D = MaxPooling1D

__all__ = [
    "Activation",
    "ActivityRegularization",
    "AlphaDropout",
    "AveragePooling1D",
    "AvgPool1D",
    "BatchNormalization",
    "CategoryEncoding",
    "Cropping1D",
    "Dense",
    "Discretization",
    "Dropout",
    "ELU",
    "Embedding",
    "Flatten",
    "GaussianDropout",
    "GaussianNoise",
    "GlobalAveragePooling1D",
    "GlobalAvgPool1D",
    "GlobalMaxPool1D",
    "GlobalMaxPooling1D",
    "GroupNormalization",
    "Identity",
    "Input",
    "InputLayer",
    "InputSpec",
    "Layer",
    "LayerNormalization",
    "LeakyReLU",
    "MaxPool1D",
    "MaxPooling1D",
    "Normalization",
    "PReLU",
    "Permute",
    "RMSNormalization",
    "ReLU",
    "RepeatVector",
    "Rescaling",
    "Reshape",
    "Softmax",
    "SpatialDropout1D",
    "TimeDistributed",
    "UnitNormalization",
    "UpSampling1D",
    "Wrapper",
    "ZeroPadding1D",
    "deserialize",
    "serialize",
]

_OF_KERAS = (
    "Add AdditiveAttention Attention Average AveragePooling2D AveragePooling3D Bidirectional CenterCrop Concatenate "
    "Conv1D Conv1DTranspose Conv2D Conv2DTranspose Conv3D Conv3DTranspose ConvLSTM1D ConvLSTM2D ConvLSTM3D "
    "Cropping2D Cropping3D DepthwiseConv1D DepthwiseConv2D Dot EinsumDense FlaxLayer GRU GRUCell "
    "GlobalAveragePooling2D GlobalAveragePooling3D GlobalMaxPooling2D GlobalMaxPooling3D GroupQueryAttention "
    "HashedCrossing Hashing IntegerLookup JaxLayer LSTM LSTMCell Lambda Masking MaxPooling2D MaxPooling3D Maximum "
    "MelSpectrogram Minimum MultiHeadAttention Multiply RNN RandomBrightness RandomContrast RandomCrop RandomFlip "
    "RandomRotation RandomTranslation RandomZoom Resizing ReversibleEmbedding SeparableConv1D SeparableConv2D "
    "SimpleRNN SimpleRNNCell SpatialDropout2D SpatialDropout3D SpectralNormalization StackedRNNCells StringLookup "
    "Subtract TFSMLayer TextVectorization TorchModuleWrapper UpSampling2D UpSampling3D ZeroPadding2D ZeroPadding3D"
).split()


def __getattr__(name: str) -> NoReturn:
    """Says of a layer that is not here whether Keras has it, or which one was meant."""
    if name in _OF_KERAS:
        raise AttributeError(f"nncompile.layers.{name} is not supported yet.")
    raise AttributeError(f"nncompile.layers has no layer {name!r}.{nearest(name, __all__)}")
