"""The layers, with the names of ``keras.layers``."""

from __future__ import annotations

from typing import NoReturn

from ..registry import nearest
from .activations import ELU, LeakyReLU, PReLU, ReLU, Softmax
from .base import InputSpec, Layer, deserialize, serialize
from .core import Activation, Dense, Identity, Input, InputLayer, Lambda
from .embedding import Embedding
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
)
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
    "ELU",
    "Activation",
    "ActivityRegularization",
    "Add",
    "AlphaDropout",
    "Average",
    "AveragePooling1D",
    "AvgPool1D",
    "BatchNormalization",
    "CategoryEncoding",
    "Concatenate",
    "Cropping1D",
    "Dense",
    "Discretization",
    "Dot",
    "Dropout",
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
    "Lambda",
    "Layer",
    "LayerNormalization",
    "LeakyReLU",
    "MaxPool1D",
    "MaxPooling1D",
    "Maximum",
    "Minimum",
    "Multiply",
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
    "Subtract",
    "TimeDistributed",
    "UnitNormalization",
    "UpSampling1D",
    "Wrapper",
    "ZeroPadding1D",
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
    "AdaptiveAveragePooling1D AdaptiveAveragePooling2D AdaptiveAveragePooling3D AdaptiveMaxPooling1D "
    "AdaptiveMaxPooling2D AdaptiveMaxPooling3D AdditiveAttention Attention AugMix AutoContrast AveragePooling2D "
    "AveragePooling3D AvgPool2D AvgPool3D Bidirectional CenterCrop ContrastLimitedAdaptiveHistogramEqualization "
    "Conv1D Conv1DTranspose Conv2D Conv2DTranspose Conv3D Conv3DTranspose ConvLSTM1D ConvLSTM2D ConvLSTM3D "
    "Convolution1D Convolution1DTranspose Convolution2D Convolution2DTranspose Convolution3D "
    "Convolution3DTranspose Cropping2D Cropping3D CutMix DepthwiseConv1D DepthwiseConv2D EinsumDense Equalization "
    "FlaxLayer GRU GRUCell GlobalAveragePooling2D GlobalAveragePooling3D GlobalAvgPool2D GlobalAvgPool3D "
    "GlobalMaxPool2D GlobalMaxPool3D GlobalMaxPooling2D GlobalMaxPooling3D GroupQueryAttention HashedCrossing "
    "Hashing IntegerLookup JaxLayer LSTM LSTMCell Masking MaxNumBoundingBoxes MaxPool2D MaxPool3D "
    "MaxPooling2D MaxPooling3D MelSpectrogram MixUp MultiHeadAttention Pipeline RNN RandAugment RandomBrightness "
    "RandomColorDegeneration RandomColorJitter RandomContrast RandomCrop RandomElasticTransform RandomErasing "
    "RandomFlip RandomGaussianBlur RandomGrayscale RandomHue RandomInvert RandomPerspective RandomPosterization "
    "RandomRotation RandomSaturation RandomSharpness RandomShear RandomTranslation RandomZoom Resizing "
    "ReversibleEmbedding STFTSpectrogram SeparableConv1D SeparableConv2D SeparableConvolution1D "
    "SeparableConvolution2D SimpleRNN SimpleRNNCell Solarization SpatialDropout2D SpatialDropout3D "
    "SpectralNormalization StackedRNNCells StringLookup TFSMLayer TextVectorization TorchModuleWrapper "
    "UpSampling2D UpSampling3D ZeroPadding2D ZeroPadding3D"
).split()


def __getattr__(name: str) -> NoReturn:
    """Says of a layer that is not here whether Keras has it, or which one was meant."""
    if name in _OF_KERAS:
        raise AttributeError(f"nncompile.layers.{name} is not supported yet.")
    raise AttributeError(f"nncompile.layers has no layer {name!r}.{nearest(name, __all__)}")
