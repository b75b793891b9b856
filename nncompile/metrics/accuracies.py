"""Accuracies: how often predictions are right."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import numpy as np

from .. import ops
from ..losses import squeeze_or_expand
from ..registry import register
from .base import BuiltInMean

# ------------------------------------------------------------------ formulas


def _tensors(y_true: Any, y_pred: Any) -> tuple[Any, Any]:
    return ops.convert_to_tensor(y_true), ops.convert_to_tensor(y_pred)


def accuracy(y_true: Any, y_pred: Any) -> Any:
    """1 where ``y_true == y_pred``, else 0.

    Args:
        y_true: labels of any shape.
        y_pred: predicted labels of that shape.

    Returns:
        A number for each, in that shape.

    Source: ``keras.metrics.Accuracy``.
    """
    y_true, y_pred = squeeze_or_expand(*_tensors(y_true, y_pred))
    return ops.cast(ops.equal(y_true, y_pred), None)


def binary_accuracy(y_true: Any, y_pred: Any, threshold: float = 0.5) -> Any:
    """1 where ``y_pred > threshold`` is what ``y_true`` says, else 0.

    Args:
        y_true: 0 or 1, of the shape of ``y_pred``.
        y_pred: predictions, ``(batch, outputs)``; NaN counts as 0.
        threshold: above which a prediction is 1.

    Returns:
        A value per output, ``(batch, outputs)``.

    Source: ``keras.metrics.binary_accuracy``.
    """
    y_true, y_pred = squeeze_or_expand(*_tensors(y_true, y_pred))
    return ops.cast(ops.equal(y_true, ops.cast(ops.greater(y_pred, threshold), None)), None)


def categorical_accuracy(y_true: Any, y_pred: Any) -> Any:
    """1 where ``argmax(y_true) == argmax(y_pred)``, else 0; of equals the first counts.

    Args:
        y_true: a probability for each class, ``(batch, K)``, for example one-hot.
        y_pred: predictions, ``(batch, K)``.

    Returns:
        A value per sample, ``(batch,)``.

    Source: ``keras.metrics.categorical_accuracy``.
    """
    y_true, y_pred = _tensors(y_true, y_pred)
    return ops.cast(ops.equal(ops.argmax(y_true, axis=-1), ops.argmax(y_pred, axis=-1)), None)


def _labels(y_true: Any, y_pred: Any) -> Any:
    return ops.squeeze(y_true, -1) if len(y_true.shape) == len(y_pred.shape) and y_true.shape[-1] == 1 else y_true


def sparse_categorical_accuracy(y_true: Any, y_pred: Any) -> Any:
    """1 where ``y_true == argmax(y_pred)``, else 0; of equals the first counts.

    Args:
        y_true: integer labels, ``(batch,)`` or ``(batch, 1)``.
        y_pred: predictions, ``(batch, K)``.

    Returns:
        A value per sample, ``(batch,)``.

    Source: ``keras.metrics.sparse_categorical_accuracy``.
    """
    y_true, y_pred = _tensors(y_true, y_pred)
    return ops.cast(ops.equal(_labels(y_true, y_pred), ops.argmax(y_pred, axis=-1)), None)


def top_k_categorical_accuracy(y_true: Any, y_pred: Any, k: int = 5) -> Any:
    """1 where fewer than k predictions are greater than that of class ``argmax(y_true)``, else 0.

    Args:
        y_true: a probability for each class, ``(batch, K)``, for example one-hot.
        y_pred: predictions, ``(batch, K)``.
        k: how many may be as good.

    Returns:
        A value per sample, ``(batch,)``.

    Source: ``keras.metrics.top_k_categorical_accuracy``.
    """
    y_true, y_pred = _tensors(y_true, y_pred)
    return sparse_top_k_categorical_accuracy(ops.argmax(y_true, axis=-1), y_pred, k)


def sparse_top_k_categorical_accuracy(y_true: Any, y_pred: Any, k: int = 5, from_sorted_ids: bool = False) -> Any:
    """1 where fewer than k predictions are greater than that of the labelled class, else 0.

    Equal predictions do not push each other out. A class whose prediction is NaN ranks
    with minus infinity, and so does a label that names no class.

    Args:
        y_true: integer labels, ``(batch,)`` or ``(batch, 1)``.
        y_pred: predictions, ``(batch, K)``.
        k: how many may be as good.
        from_sorted_ids: whether predictions are not scores but numbers of classes, the
            likeliest first: the label has to be among the first k.

    Returns:
        A value per sample, ``(batch,)``.

    Source: ``keras.metrics.sparse_top_k_categorical_accuracy``.
    """
    y_true, y_pred = _tensors(y_true, y_pred)
    labels = _labels(y_true, y_pred)
    if from_sorted_ids:
        place = ops.column() if isinstance(y_pred, ops.Expression) else np.arange(y_pred.shape[-1])
        hit = ops.logical_and(ops.equal(y_pred, ops.expand_dims(labels, -1)), ops.less(place, float(k)))
        return ops.max(ops.cast(hit, None), axis=-1)
    hot = ops.one_hot(labels, y_pred.shape[-1])
    score = ops.max(ops.where(hot, y_pred, -math.inf), axis=-1, keepdims=True)
    score = ops.where(ops.equal(score, score), score, -math.inf)
    better = ops.sum(ops.cast(ops.greater(y_pred, score), None), axis=-1)
    return ops.cast(ops.less(better, float(k)), None)


# ------------------------------------------------------------------ classes


@register("metrics")
class Accuracy(BuiltInMean):
    """How often predictions equal targets.

    1 where ``y_true == y_pred``, else 0; see :func:`accuracy`.

    The string ``"accuracy"`` in a model's metrics is not this class: see :func:`resolve`.

    Args:
        name: of this metric.
        dtype: as of :class:`Metric`.

    Source: ``keras.metrics.Accuracy``.
    """

    _direction = "up"

    def __init__(self, name: str | None = "accuracy", dtype: Any = None) -> None:
        super().__init__(accuracy, name, dtype)


@register("metrics")
class BinaryAccuracy(BuiltInMean):
    """How often predictions are on the right side.

    1 where ``y_pred > threshold`` is what ``y_true`` says, else 0; see :func:`binary_accuracy`.

    Args:
        name: of this metric.
        dtype: as of :class:`Metric`.
        threshold: above which a prediction is 1.

    Source: ``keras.metrics.BinaryAccuracy``.
    """

    _direction = "up"

    def __init__(self, name: str | None = "binary_accuracy", dtype: Any = None, threshold: float = 0.5) -> None:
        super().__init__(binary_accuracy, name, dtype, threshold=threshold)


@register("metrics")
class CategoricalAccuracy(BuiltInMean):
    """How often the likeliest class is right.

    1 where ``argmax(y_true) == argmax(y_pred)``, else 0; of equals the first counts; see
    :func:`categorical_accuracy`.

    Args:
        name: of this metric.
        dtype: as of :class:`Metric`.

    Source: ``keras.metrics.CategoricalAccuracy``.
    """

    _direction = "up"

    def __init__(self, name: str | None = "categorical_accuracy", dtype: Any = None) -> None:
        super().__init__(categorical_accuracy, name, dtype)


@register("metrics")
class SparseCategoricalAccuracy(BuiltInMean):
    """How often the likeliest class is the label.

    1 where ``y_true == argmax(y_pred)``, else 0; of equals the first counts; see
    :func:`sparse_categorical_accuracy`.

    Args:
        name: of this metric.
        dtype: as of :class:`Metric`.

    Source: ``keras.metrics.SparseCategoricalAccuracy``.
    """

    _direction = "up"

    def __init__(self, name: str | None = "sparse_categorical_accuracy", dtype: Any = None) -> None:
        super().__init__(sparse_categorical_accuracy, name, dtype)


@register("metrics")
class TopKCategoricalAccuracy(BuiltInMean):
    """How often the right class is among the k likeliest.

    1 where fewer than k predictions are greater than that of class ``argmax(y_true)``, else 0; see
    :func:`top_k_categorical_accuracy`.

    Args:
        k: how many may be as good.
        name: of this metric.
        dtype: as of :class:`Metric`.

    Source: ``keras.metrics.TopKCategoricalAccuracy``.
    """

    _direction = "up"

    def __init__(self, k: int = 5, name: str | None = "top_k_categorical_accuracy", dtype: Any = None) -> None:
        super().__init__(top_k_categorical_accuracy, name, dtype, k=k)


@register("metrics")
class SparseTopKCategoricalAccuracy(BuiltInMean):
    """How often the label is among the k likeliest.

    1 where fewer than k predictions are greater than that of the labelled class, else 0; see
    :func:`sparse_top_k_categorical_accuracy`.

    Args:
        k: how many may be as good.
        name: of this metric.
        dtype: as of :class:`Metric`.
        from_sorted_ids: whether predictions are not scores but numbers of classes, the
            likeliest first.

    Source: ``keras.metrics.SparseTopKCategoricalAccuracy``.
    """

    _direction = "up"
    unsaved: ClassVar = {"from_sorted_ids": False}

    def __init__(
        self,
        k: int = 5,
        name: str | None = "sparse_top_k_categorical_accuracy",
        dtype: Any = None,
        from_sorted_ids: bool = False,
    ) -> None:
        super().__init__(sparse_top_k_categorical_accuracy, name, dtype, k=k, from_sorted_ids=from_sorted_ids)
