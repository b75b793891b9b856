"""Losses: a formula for a value per sample, and a class that reduces these to a number.

The functions here are formulas over :mod:`nncompile.ops`: on arrays they compute, on
symbols they build what is differentiated and compiled. The classes hold a formula's
arguments and the reduction over the batch.

The crossentropies of probabilities clip them to [epsilon, 1 - epsilon] as Keras does on
JAX, so that their gradient is 0 outside. Where the probabilities come straight from a
softmax or sigmoid, the compiler may take :meth:`Loss.logits_form` instead, which is
exact everywhere; :attr:`Loss.fuses_with` says after which activation.

Samples can be left out of the mean (``ignore_class``): :meth:`Loss.counted` gives a
formula of the labels that is 1 for those that count. Their sum over the batch is what a
mean is divided by, and with ``"mean_with_sample_weight"`` the weights are multiplied by
it before they are summed; the value of what does not count is 0 already.
"""

from __future__ import annotations

from .base import (
    REDUCTIONS,
    Loss,
    LossFunctionWrapper,
    check_arguments,
    counted_labels,
    describe_function,
    reduce,
)
from .classes import (
    BinaryCrossentropy,
    BinaryFocalCrossentropy,
    CategoricalCrossentropy,
    CategoricalFocalCrossentropy,
    CategoricalGeneralizedCrossEntropy,
    CategoricalHinge,
    CosineSimilarity,
    Dice,
    Hinge,
    Huber,
    KLDivergence,
    LogCosh,
    MeanAbsoluteError,
    MeanAbsolutePercentageError,
    MeanSquaredError,
    MeanSquaredLogarithmicError,
    Poisson,
    SparseCategoricalCrossentropy,
    SquaredHinge,
    Tversky,
)
from .formulas import (
    binary_crossentropy,
    binary_focal_crossentropy,
    categorical_crossentropy,
    categorical_focal_crossentropy,
    categorical_generalized_cross_entropy,
    categorical_hinge,
    check_axis,
    cosine,
    cosine_similarity,
    dice,
    hinge,
    huber,
    kl_divergence,
    log_cosh,
    mean_absolute_error,
    mean_absolute_percentage_error,
    mean_squared_error,
    mean_squared_logarithmic_error,
    poisson,
    sparse_categorical_crossentropy,
    squared_hinge,
    squeeze_or_expand,
    to_last,
    tversky,
)
from .names import (
    binary_or_sparse,
    deserialize,
    get,
    name_of,
    resolve,
    serialize,
)

__all__ = [
    "REDUCTIONS",
    "BinaryCrossentropy",
    "BinaryFocalCrossentropy",
    "CategoricalCrossentropy",
    "CategoricalFocalCrossentropy",
    "CategoricalGeneralizedCrossEntropy",
    "CategoricalHinge",
    "CosineSimilarity",
    "Dice",
    "Hinge",
    "Huber",
    "KLDivergence",
    "LogCosh",
    "Loss",
    "LossFunctionWrapper",
    "MeanAbsoluteError",
    "MeanAbsolutePercentageError",
    "MeanSquaredError",
    "MeanSquaredLogarithmicError",
    "Poisson",
    "SparseCategoricalCrossentropy",
    "SquaredHinge",
    "Tversky",
    "binary_crossentropy",
    "binary_focal_crossentropy",
    "binary_or_sparse",
    "categorical_crossentropy",
    "categorical_focal_crossentropy",
    "categorical_generalized_cross_entropy",
    "categorical_hinge",
    "check_arguments",
    "check_axis",
    "cosine",
    "cosine_similarity",
    "counted_labels",
    "describe_function",
    "deserialize",
    "dice",
    "get",
    "hinge",
    "huber",
    "kl_divergence",
    "log_cosh",
    "mean_absolute_error",
    "mean_absolute_percentage_error",
    "mean_squared_error",
    "mean_squared_logarithmic_error",
    "name_of",
    "poisson",
    "reduce",
    "resolve",
    "serialize",
    "sparse_categorical_crossentropy",
    "squared_hinge",
    "squeeze_or_expand",
    "to_last",
    "tversky",
]
