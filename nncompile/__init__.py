"""nncompile: a compiler for neural networks.

A Keras-like description goes in, specialised C comes out, and the C does all the work:
training, evaluation and inference. ``import nncompile as keras`` runs a Keras script::

    model = nncompile.Sequential([
        nncompile.Input((784,)),
        nncompile.layers.Dense(500, activation="relu"),
        nncompile.layers.Dense(10, activation="softmax"),
    ])
    model.compile(loss="sparse_categorical_crossentropy", optimizer="adam", metrics=["accuracy"])
    model.fit(x_train, y_train, batch_size=100, epochs=20)
    model.export("out/mnist.c")
"""

from __future__ import annotations

from . import (
    absent,
    activations,
    backend,
    callbacks,
    config,
    constraints,
    dtype_policies,
    errors,
    initializers,
    layers,
    losses,
    metrics,
    mixed_precision,
    models,
    ops,
    optimizers,
    random,
    regularizers,
    tree,
    utils,
)
from ._version import __version__
from .dtype_policies import DTypePolicy, FloatDTypePolicy
from .initializers import Initializer
from .layers import Input, InputLayer, InputSpec, Layer
from .losses import Loss
from .metrics import Metric
from .models import Model, Sequential
from .ops import KerasTensor
from .optimizers import Optimizer
from .regularizers import Regularizer
from .variables import Variable

absent.watch()


def version() -> str:
    """Returns the version of nncompile.

    Source: ``keras.version``, which returns Keras'.
    """
    return __version__


__all__ = [
    "DTypePolicy", "FloatDTypePolicy", "Initializer", "Input", "InputLayer", "InputSpec", "KerasTensor", "Layer",
    "Loss", "Metric", "Model", "Optimizer", "Regularizer", "Sequential", "Variable", "__version__", "activations",
    "backend", "callbacks", "config", "constraints", "dtype_policies", "errors", "initializers", "layers", "losses",
    "metrics", "mixed_precision", "models", "ops", "optimizers", "random", "regularizers", "tree", "utils", "version",
]  # fmt: skip
