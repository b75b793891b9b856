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

import importlib
from types import ModuleType

from . import (
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
from .dtype_policies import DTypePolicy
from .initializers import Initializer
from .layers import Input, InputLayer, Layer
from .losses import Loss
from .metrics import Metric
from .models import Model, Sequential
from .ops import KerasTensor
from .optimizers import Optimizer
from .regularizers import Regularizer
from .variables import Variable

_LATER = ("compiler", "datasets", "export", "saving", "targets")
"""Modules that take long to import and that not every script needs."""


def __getattr__(name: str) -> ModuleType:
    if name in _LATER:
        return importlib.import_module(f".{name}", __name__)
    raise AttributeError(f"module 'nncompile' has no attribute {name!r}")


def version() -> str:
    """Returns the version of nncompile."""
    return __version__


__all__ = [
    "DTypePolicy", "Initializer", "Input", "InputLayer", "KerasTensor", "Layer", "Loss", "Metric", "Model",
    "Optimizer", "Regularizer", "Sequential", "Variable", "__version__", "activations", "backend", "callbacks",
    "config", "constraints", "dtype_policies", "errors", "initializers", "layers", "losses", "metrics",
    "mixed_precision", "models", "ops", "optimizers", "random", "regularizers", "tree", "utils", "version",
]  # fmt: skip
