"""Losses by their names, and in files."""

from __future__ import annotations

import copy
import inspect
import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np

from .. import ops, registry
from .base import Loss, LossFunctionWrapper, describe_function
from .formulas import (
    Shape,
    binary_crossentropy,
    categorical_crossentropy,
    sparse_categorical_crossentropy,
)

OLD_NAMES = {
    "kullback_leibler_divergence": "kl_divergence",
    "cosine_proximity": "cosine_similarity",
    "logcosh": "log_cosh",
}
"""Losses and metrics that had another name in Keras 2."""


def of_today(owner: str, identifier: Any) -> Any:
    """Of a name of Keras 1 or 2 that of today, with a warning; all else as it is."""
    if not isinstance(identifier, str) or identifier not in OLD_NAMES:
        return identifier
    warnings.warn(
        f"{owner}: {identifier!r} is the spelling of Keras 1 or 2; use {OLD_NAMES[identifier]!r}.",
        DeprecationWarning,
        stacklevel=3,
    )
    return OLD_NAMES[identifier]


def get(identifier: Any) -> Any:
    """Returns the loss that ``identifier`` names or is.

    Args:
        identifier: None, a name, a function, a loss (both returned as they are), a
            class of losses, or what :func:`serialize` returned. The name of a function,
            as ``"mse"``, gives the function; that of a class gives a loss.

    Raises:
        ModelError: it is none of these; the nearest names are listed.
        UnsupportedError: a loss of Keras that is not here.

    Source: ``keras.losses.get``.
    """
    if identifier is None:
        return None
    found = registry.look_up("losses", of_today("losses", identifier), "a name, a function or a Loss")
    return found() if inspect.isclass(found) else found


def resolve(identifier: Any, output_shape: Shape, target_shape: Shape) -> Loss | None:
    """Returns the :class:`Loss` that a model's ``loss=`` means.

    Args:
        identifier: as of :func:`get`; ``"crossentropy"`` and ``"ce"`` are chosen by the
            shapes: binary for one output, sparse for integer labels, else categorical.
        output_shape: of the model's output, batch included.
        target_shape: of the targets, batch included.
    """
    if identifier is None:
        return None
    if isinstance(identifier, str) and identifier.lower() in ("crossentropy", "ce"):
        binary, sparse = binary_or_sparse(output_shape, target_shape)
        found: Any = (
            binary_crossentropy if binary else sparse_categorical_crossentropy if sparse else categorical_crossentropy
        )
    else:
        found = get(identifier)
    if isinstance(found, Loss):
        return found
    return LossFunctionWrapper(found, name=identifier if isinstance(identifier, str) else name_of(found))


def counted_form(loss: Loss, y_true: Any, sample_weight: Any, apart: bool = False) -> tuple[Loss, Any]:
    """Returns the loss and the weights of samples that compiled code needs so that only some samples count.

    Compiled code divides by the number of rows, or by the sum of their weights. Without
    weights of the user's, the samples that count get a weight of 1 and the others 0, and the
    loss is divided by the sum of these. With weights it is divided by how many count, a sum
    over the batch in the formula.

    Args:
        loss: as of :func:`get`.
        y_true: the labels of all samples, an array.
        sample_weight: a weight per sample, or None.
        apart: whether something else takes the weights of samples as well, so that they stay as they are, if they can.
    """
    counted = loss.counted(y_true)
    if counted is None or loss.reduction in ("sum", "none", None):  # what does not count is 0 already
        return loss, sample_weight
    if sample_weight is None and not apart:
        weighted = copy.copy(loss)
        weighted.reduction = "mean_with_sample_weight"
        return weighted, counted
    if loss.reduction == "mean_with_sample_weight" and sample_weight is not None:
        weights = np.asarray(sample_weight)
        return loss, weights.reshape(weights.shape + (1,) * (counted.ndim - weights.ndim)) * counted
    return MeanOfCounted(loss), sample_weight


class MeanOfCounted(Loss):
    """A loss of which the mean over the samples is the one over those that count; for compiled code."""

    def __init__(self, loss: Loss) -> None:
        super().__init__(loss.name, loss.reduction, loss.dtype)
        self.loss, self.sparse_labels, self.fuses_with = loss, loss.sparse_labels, loss.fuses_with

    def call(self, y_true: Any, y_pred: Any) -> Any:
        share = ops.maximum(ops.mean(self.loss.counted(y_true)), 1e-20)  # without any, all values are 0
        return self.loss.call(y_true, y_pred) / share

    def logits_form(self) -> Loss:
        return MeanOfCounted(self.loss.logits_form())


def binary_or_sparse(output_shape: Shape, target_shape: Shape) -> tuple[bool, bool]:
    """Returns whether there is one output, and whether targets are integer labels, as Keras decides.

    Args:
        output_shape: of the outputs.
        target_shape: of the targets.
    """
    binary = output_shape[-1] == 1
    sparse = len(target_shape) < len(output_shape) or (target_shape[-1] == 1 and not binary)
    return binary, sparse


def name_of(function: Any) -> str:
    """Returns what a user's function or object is called in snake case.

    Args:
        function: a function, or an object with or without a ``name``.
    """
    if isinstance(getattr(function, "name", None), str):
        return str(function.name)
    return registry.snake_case(getattr(function, "__name__", type(function).__name__))


def serialize(loss: Any) -> Any:
    """Returns Keras' description of a loss or function.

    Args:
        loss: an object, a function, a name or None.

    Raises:
        ModelError: a function without a name by which it could be found again.

    Source: ``keras.losses.serialize``.
    """
    if loss is None or isinstance(loss, str) or hasattr(loss, "get_config"):
        return registry.serialize(loss, "losses")
    return describe_function(loss, "losses")


def deserialize(name: Any, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """Returns the loss or function that :func:`serialize` described.

    Args:
        name: a name or a description.
        custom_objects: the user's functions and classes by name.

    Raises:
        FileFormatError: the form is not one of Keras'.
        ModelError: a name that nothing has.
        UnsupportedError: a description of something that is not known.

    Source: ``keras.losses.deserialize``.
    """
    return registry.deserialize(name, "losses", custom_objects)
