"""Intersection over union: how well predicted classes cover the true ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import config
from ..errors import ModelError
from ..registry import register
from .base import Metric

_INTEGERS = ("int", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")


class _IoUBase(Metric):
    """Base: the state is a matrix of how often each class was predicted as each.

    Args:
        num_classes: how many there are, numbered from 0 on; others are left out.
        name: of the metric.
        dtype: of labels and weights; whole numbers if None, to which weights are cut, as in Keras.
        ignore_class: a label that is left out.
        sparse_y_true: whether labels are numbers of classes, not one value per class.
        sparse_y_pred: likewise of predictions.
        axis: of the classes, where there is a value for each.
    """

    _direction = "up"

    def __init__(
        self,
        num_classes: int,
        name: str | None = None,
        dtype: Any = None,
        ignore_class: int | None = None,
        sparse_y_true: bool = True,
        sparse_y_pred: bool = True,
        axis: int = -1,
    ) -> None:
        super().__init__(name=name, dtype=dtype or "int32")
        if num_classes < 1:
            raise ModelError(f"{self.name}: num_classes: expected 1 or more, received {num_classes!r}.")
        self.num_classes = num_classes
        self.ignore_class = ignore_class
        self.sparse_y_true = sparse_y_true
        self.sparse_y_pred = sparse_y_pred
        self.axis = axis
        (self.total_cm,) = self._add_sums((num_classes, num_classes), "total_confusion_matrix")

    def _checked_dtype(self, dtype: Any) -> str:
        name = getattr(dtype, "name", dtype)
        if name in _INTEGERS:
            return "int32" if name == "int" else str(name)
        return super()._checked_dtype(dtype)

    def _whole(self) -> bool:
        return self.dtype in _INTEGERS

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Takes a batch into account, with weights per label."""
        if not self.sparse_y_true:
            y_true = np.argmax(y_true, axis=self.axis)
        if not self.sparse_y_pred:
            y_pred = np.argmax(y_pred, axis=self.axis)
        kind = np.int64 if self._whole() else np.dtype(self.dtype)
        with np.errstate(invalid="ignore"):
            labels, found = (np.asarray(y).astype(kind).ravel() for y in (y_true, y_pred))
        if labels.shape != found.shape:
            raise ModelError(f"{self.name}: {labels.size} labels do not fit {found.size} predictions.")
        weight = np.asarray(1 if sample_weight is None else sample_weight)
        weight = weight.astype(kind).ravel() if weight.ndim else weight.astype(kind)
        if weight.shape not in ((), (1,), labels.shape):
            raise ModelError(f"{self.name}: sample_weight of shape {weight.shape} does not fit {labels.size} labels.")
        weight = np.broadcast_to(weight, labels.shape)
        inside = (labels >= 0) & (labels < self.num_classes) & (found >= 0) & (found < self.num_classes)
        if self.ignore_class is not None:
            inside &= labels != self.ignore_class
        place = labels[inside].astype(np.int64) * self.num_classes + found[inside].astype(np.int64)
        counts = np.bincount(place, weight[inside], self.num_classes**2)
        self.total_cm.assign(self.total_cm.value + counts.reshape(self.total_cm.shape))


@register("metrics")
class IoU(_IoUBase):
    """``TP / (TP + FP + FN)``, averaged over some classes: those of them that occur.

    Args:
        num_classes: how many there are, numbered from 0 on; others are left out.
        target_class_ids: the classes whose mean it is.
        name: of this metric.
        dtype: of labels and weights; whole numbers if None, to which weights are cut, as in Keras.
        ignore_class: a label that is left out.
        sparse_y_true: whether labels are numbers of classes, not one value per class.
        sparse_y_pred: likewise of predictions.
        axis: of the classes, where there is a value for each.

    Raises:
        ModelError: a target that is no class.

    Source: ``keras.metrics.IoU``.
    """

    def __init__(
        self,
        num_classes: int,
        target_class_ids: Sequence[int],
        name: str | None = None,
        dtype: Any = None,
        ignore_class: int | None = None,
        sparse_y_true: bool = True,
        sparse_y_pred: bool = True,
        axis: int = -1,
    ) -> None:
        super().__init__(num_classes, name, dtype, ignore_class, sparse_y_true, sparse_y_pred, axis)
        wrong = [k for k in target_class_ids if not 0 <= k < num_classes]
        if wrong:
            raise ModelError(
                f"{self.name}: target_class_ids: {wrong} are no classes; there are {num_classes}, from 0 on."
            )
        self.target_class_ids = list(target_class_ids)

    def result(self) -> float:
        matrix = self.total_cm.value
        right = np.diag(matrix)
        union = np.sum(matrix, axis=0) + np.sum(matrix, axis=1) - right
        right, union = right[self.target_class_ids], union[self.target_class_ids]
        occurs = union > 1e-9
        share = np.where(occurs, right / (union + config.epsilon()), 0.0)
        return float(np.sum(share) / (np.sum(occurs) + config.epsilon()))

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "num_classes": self.num_classes,
            "target_class_ids": self.target_class_ids,
            "ignore_class": self.ignore_class,
            "sparse_y_true": self.sparse_y_true,
            "sparse_y_pred": self.sparse_y_pred,
            "axis": self.axis,
        }

    def _config_of(self, *names: str) -> dict[str, Any]:
        """Some arguments in some order: Keras has another one in each of the classes."""
        config = IoU.get_config(self)
        return {name: config[name] for name in names}


@register("metrics")
class BinaryIoU(IoU):
    """:class:`IoU` of no and yes, for predictions that are yes from a threshold on.

    Args:
        target_class_ids: 0 and 1, or one of them.
        threshold: from which on a prediction is 1.
        name: of this metric.
        dtype: of labels and weights; whole numbers if None, to which weights are cut, as in Keras.

    Source: ``keras.metrics.BinaryIoU``.
    """

    def __init__(
        self,
        target_class_ids: Sequence[int] = (0, 1),
        threshold: float = 0.5,
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(2, target_class_ids, name, dtype)
        self.threshold = threshold

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Takes a batch of labels and of scores of yes into account, with weights per label."""
        super().update_state(y_true, np.asarray(y_pred, np.float32) >= self.threshold, sample_weight)

    def get_config(self) -> dict[str, Any]:
        return {
            **self._config_of("target_class_ids"),
            "threshold": self.threshold,
            **self._config_of("name", "dtype"),
        }


@register("metrics")
class MeanIoU(IoU):
    """:class:`IoU` averaged over all classes that occur: the mean of ``TP / (TP + FP + FN)``.

    Args:
        num_classes: how many there are, numbered from 0 on; others are left out.
        name: of this metric.
        dtype: of labels and weights; whole numbers if None, to which weights are cut, as in Keras.
        ignore_class: a label that is left out.
        sparse_y_true: whether labels are numbers of classes, not one value per class.
        sparse_y_pred: likewise of predictions.
        axis: of the classes, where there is a value for each.

    Source: ``keras.metrics.MeanIoU``.
    """

    def __init__(
        self,
        num_classes: int,
        name: str | None = None,
        dtype: Any = None,
        ignore_class: int | None = None,
        sparse_y_true: bool = True,
        sparse_y_pred: bool = True,
        axis: int = -1,
    ) -> None:
        every = range(num_classes)
        super().__init__(num_classes, every, name, dtype, ignore_class, sparse_y_true, sparse_y_pred, axis)

    def get_config(self) -> dict[str, Any]:
        return self._config_of("num_classes", "name", "dtype", "ignore_class", "sparse_y_true", "sparse_y_pred", "axis")


@register("metrics")
class OneHotIoU(IoU):
    """:class:`IoU` of labels with one value per class, of which the largest names it.

    Args:
        num_classes: how many there are.
        target_class_ids: the classes whose mean it is.
        name: of this metric.
        dtype: of labels and weights; whole numbers if None, to which weights are cut, as in Keras.
        ignore_class: a label that is left out.
        sparse_y_pred: whether predictions are numbers of classes.
        axis: of the classes.

    Source: ``keras.metrics.OneHotIoU``.
    """

    def __init__(
        self,
        num_classes: int,
        target_class_ids: Sequence[int],
        name: str | None = None,
        dtype: Any = None,
        ignore_class: int | None = None,
        sparse_y_pred: bool = False,
        axis: int = -1,
    ) -> None:
        super().__init__(num_classes, target_class_ids, name, dtype, ignore_class, False, sparse_y_pred, axis)

    def get_config(self) -> dict[str, Any]:
        return self._config_of(
            "num_classes", "target_class_ids", "name", "dtype", "ignore_class", "sparse_y_pred", "axis"
        )


@register("metrics")
class OneHotMeanIoU(MeanIoU):
    """:class:`MeanIoU` of labels with one value per class, of which the largest names it.

    Args:
        num_classes: how many there are.
        name: of this metric.
        dtype: of labels and weights; whole numbers if None, to which weights are cut, as in Keras.
        ignore_class: a label that is left out.
        sparse_y_pred: whether predictions are numbers of classes.
        axis: of the classes.

    Source: ``keras.metrics.OneHotMeanIoU``.
    """

    def __init__(
        self,
        num_classes: int,
        name: str | None = None,
        dtype: Any = None,
        ignore_class: int | None = None,
        sparse_y_pred: bool = False,
        axis: int = -1,
    ) -> None:
        super().__init__(num_classes, name, dtype, ignore_class, False, sparse_y_pred, axis)

    def get_config(self) -> dict[str, Any]:
        return self._config_of("num_classes", "name", "dtype", "ignore_class", "sparse_y_pred", "axis")
