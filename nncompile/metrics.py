"""Metrics: a formula for a value per sample, and its running mean.

The functions here are formulas over :mod:`nncompile.ops`, as losses are. A metric adds
up their values and the number of samples, in double precision whatever the element
type; compiled code adds whole batches with :meth:`Mean.add`.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from . import config, initializers, losses, ops, registry
from .backend import auto_name
from .errors import ModelError
from .losses import (
    binary_crossentropy,
    categorical_crossentropy,
    mean_absolute_error,
    mean_squared_error,
    sparse_categorical_crossentropy,
    squeeze_or_expand,
)
from .registry import register
from .variables import Variable

if TYPE_CHECKING:
    from typing_extensions import Self

# fmt: off
_KERAS_ONLY = frozenset((
    "AUC", "BinaryIoU", "CategoricalHinge", "ConcordanceCorrelation", "CosineSimilarity", "F1Score",
    "FBetaScore", "FalseNegatives", "FalsePositives", "Hinge", "IoU", "KLDivergence", "LogCoshError",
    "MeanAbsolutePercentageError", "MeanIoU", "MeanSquaredLogarithmicError", "OneHotIoU", "OneHotMeanIoU",
    "PearsonCorrelation", "Poisson", "Precision", "PrecisionAtRecall", "R2Score", "Recall",
    "RecallAtPrecision", "RootMeanSquaredError", "SensitivityAtSpecificity", "SpecificityAtSensitivity",
    "SquaredHinge", "Sum", "TrueNegatives", "TruePositives",
))
# fmt: on
_KERAS_ONLY |= {registry.snake_case(name) for name in _KERAS_ONLY} | {"mape", "MAPE", "msle", "MSLE"}


# ------------------------------------------------------------------ formulas


def _tensors(y_true: Any, y_pred: Any) -> tuple[Any, Any]:
    return ops.convert_to_tensor(y_true), ops.convert_to_tensor(y_pred)


def accuracy(y_true: Any, y_pred: Any) -> Any:
    """1 where ``y_true == y_pred``, else 0; of the shape of the two.

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
        from_sorted_ids: False; Keras also takes sorted class numbers as predictions.

    Returns:
        A value per sample, ``(batch,)``.

    Raises:
        UnsupportedError: ``from_sorted_ids``.

    Source: ``keras.metrics.sparse_top_k_categorical_accuracy``.
    """
    registry.refuse("sparse_top_k_categorical_accuracy", from_sorted_ids=from_sorted_ids)
    y_true, y_pred = _tensors(y_true, y_pred)
    hot = ops.one_hot(_labels(y_true, y_pred), y_pred.shape[-1])
    score = ops.max(ops.where(hot, y_pred, -math.inf), axis=-1, keepdims=True)
    score = ops.where(ops.equal(score, score), score, -math.inf)
    better = ops.sum(ops.cast(ops.greater(y_pred, score), None), axis=-1)
    return ops.cast(ops.less(better, float(k)), None)


# ------------------------------------------------------------------ classes


class Metric:
    """Base of metrics.

    A metric that the compiler can run is a :class:`MeanMetricWrapper`; give a function
    of ``(y_true, y_pred)`` instead of deriving from this class where you can.

    Args:
        dtype: element type of the values; :func:`~nncompile.config.floatx` if None.
        name: of this metric; made from the class's if None.

    Raises:
        ModelError: an unknown element type.
        UnsupportedError: an element type that cannot be compiled.

    Source: ``keras.metrics.Metric``.
    """

    _direction: str
    """``"up"`` or ``"down"``: where better is. Missing if that is not known."""

    def __new__(cls, *args: Any, **keywords: Any) -> Any:
        losses.check_arguments(cls, keywords)
        return super().__new__(cls)

    def __init__(self, dtype: Any = None, name: str | None = None) -> None:
        self.name = name or auto_name(type(self).__name__)
        self._dtype = config.checked_float(config.floatx() if dtype is None else dtype, type(self).__name__)
        self._variables: list[Variable] = []

    @property
    def dtype(self) -> str:
        return self._dtype

    @property
    def variables(self) -> list[Variable]:
        """The state that was made by :meth:`add_variable`."""
        return list(self._variables)

    def add_variable(
        self,
        shape: Sequence[int] = (),
        initializer: Any = "zeros",
        dtype: Any = None,
        aggregation: str | None = "sum",
        name: str | None = None,
    ) -> Variable:
        """Makes a variable for the state of a metric of your own.

        Args:
            shape: of the variable.
            initializer: a name or initializer.
            dtype: element type; the metric's if None.
            aggregation: accepted for Keras; there are no replicas here.
            name: of the variable.
        """
        name = name or "variable"
        path = f"{self.name}/{name}"
        make = initializers.get(initializer) or initializers.Zeros()
        value = initializers.initial_value(make, shape, dtype or self.dtype, path)
        variable = Variable(value, name=name, path=path, trainable=False)
        self._variables.append(variable)
        return variable

    def add_weight(
        self, shape: Sequence[int] = (), initializer: Any = None, dtype: Any = None, name: str | None = None
    ) -> Variable:
        """:meth:`add_variable` under its older name."""
        return self.add_variable(shape=shape, initializer=initializer, dtype=dtype, name=name)

    def update_state(self, *args: Any, **kwargs: Any) -> None:
        """Takes a batch into account."""
        raise NotImplementedError(f"{type(self).__name__}: define update_state(self, y_true, y_pred, sample_weight).")

    def reset_state(self) -> None:
        """Forgets what was seen: sets the variables to 0."""
        for variable in self._variables:
            variable.assign(np.zeros(variable.shape))

    def result(self) -> Any:
        """Returns the metric of what was seen since the last reset."""
        raise NotImplementedError(f"{type(self).__name__}: define result(self).")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        self.update_state(*args, **kwargs)
        return self.result()

    def get_config(self) -> dict[str, Any]:
        return {"name": self.name, "dtype": self.dtype}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        return cls(**config)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} name={self.name}>"


@register("metrics")
class Mean(Metric):
    """The weighted mean of all values, ``sum(w * x) / sum(w)``; 0 if there were none.

    Values of several axes are averaged per sample first.

    Args:
        name: of this metric.
        dtype: as of :class:`Metric`.

    Attributes:
        total: the sum of values times weights so far.
        count: the sum of weights so far.

    Source: ``keras.metrics.Mean``.
    """

    def __init__(self, name: str | None = "mean", dtype: Any = None) -> None:
        super().__init__(name=name, dtype=dtype)
        self.total = 0.0
        self.count = 0.0

    def update_state(self, values: Any, sample_weight: Any = None) -> None:
        """Adds a batch of values, ``(batch, …)``, with weights per value, per sample or for all."""
        values = np.asarray(values, self.dtype)
        weight = None
        if sample_weight is not None:
            values, weight = squeeze_or_expand(values, np.asarray(sample_weight, self.dtype))
            if values.ndim > weight.ndim:
                values = _mean(values, from_axis=weight.ndim)
            weight = np.broadcast_to(weight, values.shape)
            with np.errstate(all="ignore"):
                values = values * weight
            weight = _mean(weight, from_axis=1)
        values = _mean(values, from_axis=1)
        samples = values.shape[0] if values.ndim else 1
        self.add(
            float(np.sum(values, dtype=np.float64)),
            float(samples if weight is None else np.sum(weight, dtype=np.float64)),
        )

    def add(self, total: float, count: float) -> None:
        """Adds sums that were taken elsewhere: of values times weights, and of weights."""
        self.total += total
        self.count += count

    def reset_state(self) -> None:
        self.total = self.count = 0.0

    def result(self) -> float:
        return self.total / self.count if self.count else 0.0


def _mean(values: Any, from_axis: int) -> Any:
    axes = tuple(range(from_axis, values.ndim))
    return np.mean(values, axis=axes) if axes else values


class MeanMetricWrapper(Mean):
    """The mean of a function of ``(y_true, y_pred)`` over all samples.

    Args:
        fn: the function; it returns a value per sample, or per sample and output.
        name: of this metric.
        dtype: as of :class:`Metric`.
        **kwargs: further arguments of ``fn``.

    Attributes:
        fn: the function.

    Source: ``keras.metrics.MeanMetricWrapper``.
    """

    def __init__(self, fn: Callable[..., Any], name: str | None = None, dtype: Any = None, **kwargs: Any) -> None:
        super().__init__(name=name, dtype=dtype)
        self.fn = fn
        self._fn_kwargs = kwargs
        known = registry.registered("losses")
        if fn in known.values() or type(fn) in known.values():
            self._direction = "down"

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Returns a value per sample, the outputs averaged: a formula over :mod:`nncompile.ops`."""
        values = self.fn(y_true, y_pred, **self._fn_kwargs)
        if isinstance(values, ops.Expression):  # one value per row of a sample is the compiler's to average
            return ops.mean(values, axis=-1) if values.level == ops.ELEMENT else values
        while np.ndim(values) > 1:
            values = ops.mean(values, axis=-1)
        return values

    def update_state(  # type: ignore[override]
        self, y_true: Any, y_pred: Any, sample_weight: Any = None
    ) -> None:
        """Takes a batch into account, with weights per sample, per output or for all."""
        with np.errstate(all="ignore"):
            values = self.fn(y_true, y_pred, **self._fn_kwargs)
        super().update_state(values, sample_weight=sample_weight)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "fn": serialize(self.fn), **self._fn_kwargs}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        config = dict(config)
        if isinstance(config.get("fn"), (str, Mapping)):
            config["fn"] = _function(config["fn"])
        return cls(**config)


def _function(description: Any) -> Any:
    """Returns the function that a wrapper was made of."""
    name = description.get("config") if isinstance(description, Mapping) else description
    if isinstance(name, str) and name in _FUNCTIONS:
        return _FUNCTIONS[name]
    return losses.deserialize(description)


@register("metrics")
class Accuracy(MeanMetricWrapper):
    """How often predictions equal targets, see :func:`accuracy`.

    The string ``"accuracy"`` in a model's metrics is not this class: see :func:`resolve`.

    Args:
        name: of this metric.
        dtype: as of :class:`Metric`.

    Source: ``keras.metrics.Accuracy``.
    """

    def __init__(self, name: str | None = "accuracy", dtype: Any = None) -> None:
        super().__init__(accuracy, name, dtype)
        self._direction = "up"

    def get_config(self) -> dict[str, Any]:
        return Metric.get_config(self)


@register("metrics")
class BinaryAccuracy(MeanMetricWrapper):
    """How often predictions are on the right side, see :func:`binary_accuracy`.

    Args:
        name: of this metric.
        dtype: as of :class:`Metric`.
        threshold: above which a prediction is 1.

    Source: ``keras.metrics.BinaryAccuracy``.
    """

    def __init__(self, name: str | None = "binary_accuracy", dtype: Any = None, threshold: float = 0.5) -> None:
        super().__init__(binary_accuracy, name, dtype, threshold=threshold)
        self.threshold = threshold
        self._direction = "up"

    def get_config(self) -> dict[str, Any]:
        return {**Metric.get_config(self), **self._fn_kwargs}


@register("metrics")
class CategoricalAccuracy(MeanMetricWrapper):
    """How often the likeliest class is right, see :func:`categorical_accuracy`.

    Args:
        name: of this metric.
        dtype: as of :class:`Metric`.

    Source: ``keras.metrics.CategoricalAccuracy``.
    """

    def __init__(self, name: str | None = "categorical_accuracy", dtype: Any = None) -> None:
        super().__init__(categorical_accuracy, name, dtype)
        self._direction = "up"

    def get_config(self) -> dict[str, Any]:
        return Metric.get_config(self)


@register("metrics")
class SparseCategoricalAccuracy(MeanMetricWrapper):
    """How often the likeliest class is the label, see :func:`sparse_categorical_accuracy`.

    Args:
        name: of this metric.
        dtype: as of :class:`Metric`.

    Source: ``keras.metrics.SparseCategoricalAccuracy``.
    """

    def __init__(self, name: str | None = "sparse_categorical_accuracy", dtype: Any = None) -> None:
        super().__init__(sparse_categorical_accuracy, name, dtype)
        self._direction = "up"

    def get_config(self) -> dict[str, Any]:
        return Metric.get_config(self)


@register("metrics")
class TopKCategoricalAccuracy(MeanMetricWrapper):
    """How often the right class is among the k likeliest, see :func:`top_k_categorical_accuracy`.

    Args:
        k: how many may be as good.
        name: of this metric.
        dtype: as of :class:`Metric`.

    Source: ``keras.metrics.TopKCategoricalAccuracy``.
    """

    def __init__(self, k: int = 5, name: str | None = "top_k_categorical_accuracy", dtype: Any = None) -> None:
        super().__init__(top_k_categorical_accuracy, name, dtype, k=k)
        self.k = k
        self._direction = "up"

    def get_config(self) -> dict[str, Any]:
        return {**Metric.get_config(self), **self._fn_kwargs}


@register("metrics")
class SparseTopKCategoricalAccuracy(MeanMetricWrapper):
    """How often the label is among the k likeliest, see :func:`sparse_top_k_categorical_accuracy`.

    Args:
        k: how many may be as good.
        name: of this metric.
        dtype: as of :class:`Metric`.
        from_sorted_ids: False; Keras also takes sorted class numbers as predictions.

    Raises:
        UnsupportedError: ``from_sorted_ids``.

    Source: ``keras.metrics.SparseTopKCategoricalAccuracy``.
    """

    def __init__(
        self,
        k: int = 5,
        name: str | None = "sparse_top_k_categorical_accuracy",
        dtype: Any = None,
        from_sorted_ids: bool = False,
    ) -> None:
        registry.refuse(type(self).__name__, from_sorted_ids=from_sorted_ids)
        super().__init__(sparse_top_k_categorical_accuracy, name, dtype, k=k)
        self.k = k
        self.from_sorted_ids = from_sorted_ids
        self._direction = "up"

    def get_config(self) -> dict[str, Any]:
        return {**Metric.get_config(self), **self._fn_kwargs}


@register("metrics", "mse", "MSE")
class MeanSquaredError(MeanMetricWrapper):
    """Mean of squared errors, see :func:`~nncompile.losses.mean_squared_error`.

    Args:
        name: of this metric.
        dtype: as of :class:`Metric`.

    Source: ``keras.metrics.MeanSquaredError``.
    """

    def __init__(self, name: str | None = "mean_squared_error", dtype: Any = None) -> None:
        super().__init__(mean_squared_error, name, dtype)

    def get_config(self) -> dict[str, Any]:
        return Metric.get_config(self)


@register("metrics", "mae", "MAE")
class MeanAbsoluteError(MeanMetricWrapper):
    """Mean of absolute errors, see :func:`~nncompile.losses.mean_absolute_error`.

    Args:
        name: of this metric.
        dtype: as of :class:`Metric`.

    Source: ``keras.metrics.MeanAbsoluteError``.
    """

    def __init__(self, name: str | None = "mean_absolute_error", dtype: Any = None) -> None:
        super().__init__(mean_absolute_error, name, dtype)

    def get_config(self) -> dict[str, Any]:
        return Metric.get_config(self)


@register("metrics", "bce", "BCE")
class BinaryCrossentropy(MeanMetricWrapper):
    """Crossentropy of independent outputs, see :func:`~nncompile.losses.binary_crossentropy`.

    Args:
        name: of this metric.
        dtype: as of :class:`Metric`.
        from_logits: whether predictions are logits instead of probabilities.
        label_smoothing: how far labels are moved towards 1/2, in [0, 1].

    Source: ``keras.metrics.BinaryCrossentropy``.
    """

    def __init__(
        self,
        name: str | None = "binary_crossentropy",
        dtype: Any = None,
        from_logits: bool = False,
        label_smoothing: float = 0,
    ) -> None:
        super().__init__(binary_crossentropy, name, dtype, from_logits=from_logits, label_smoothing=label_smoothing)
        self.from_logits = from_logits
        self.label_smoothing = label_smoothing

    def get_config(self) -> dict[str, Any]:
        return {**Metric.get_config(self), **self._fn_kwargs}


@register("metrics")
class CategoricalCrossentropy(MeanMetricWrapper):
    """Crossentropy of classes, see :func:`~nncompile.losses.categorical_crossentropy`.

    Args:
        name: of this metric.
        dtype: as of :class:`Metric`.
        from_logits: whether predictions are logits instead of probabilities.
        label_smoothing: how far labels are moved towards 1/K, in [0, 1].
        axis: -1; Keras has others.

    Raises:
        UnsupportedError: another axis.

    Source: ``keras.metrics.CategoricalCrossentropy``.
    """

    def __init__(
        self,
        name: str | None = "categorical_crossentropy",
        dtype: Any = None,
        from_logits: bool = False,
        label_smoothing: float = 0,
        axis: int = -1,
    ) -> None:
        losses.check_axis(type(self).__name__, axis)
        super().__init__(
            categorical_crossentropy,
            name,
            dtype,
            from_logits=from_logits,
            label_smoothing=label_smoothing,
            axis=axis,
        )
        self.from_logits = from_logits
        self.label_smoothing = label_smoothing
        self.axis = axis

    def get_config(self) -> dict[str, Any]:
        return {**Metric.get_config(self), **self._fn_kwargs}


@register("metrics")
class SparseCategoricalCrossentropy(MeanMetricWrapper):
    """Crossentropy of integer labels, see :func:`~nncompile.losses.sparse_categorical_crossentropy`.

    Args:
        name: of this metric.
        dtype: as of :class:`Metric`.
        from_logits: whether predictions are logits instead of probabilities.
        ignore_class: None; Keras can ignore a class.
        axis: -1; Keras has others.

    Raises:
        UnsupportedError: a class to ignore, or another axis.

    Source: ``keras.metrics.SparseCategoricalCrossentropy``.
    """

    def __init__(
        self,
        name: str | None = "sparse_categorical_crossentropy",
        dtype: Any = None,
        from_logits: bool = False,
        ignore_class: int | None = None,
        axis: int = -1,
    ) -> None:
        losses.check_axis(type(self).__name__, axis)
        losses.refuse_class(type(self).__name__, ignore_class)
        super().__init__(
            sparse_categorical_crossentropy,
            name,
            dtype,
            from_logits=from_logits,
            ignore_class=ignore_class,
            axis=axis,
        )
        self.from_logits = from_logits
        self.ignore_class = ignore_class
        self.axis = axis

    def get_config(self) -> dict[str, Any]:
        return {**Metric.get_config(self), **self._fn_kwargs}


# ------------------------------------------------------------------ names

_FUNCTIONS: dict[str, Callable[..., Any]] = {
    function.__name__: function
    for function in (
        accuracy,
        binary_accuracy,
        categorical_accuracy,
        sparse_categorical_accuracy,
        top_k_categorical_accuracy,
        sparse_top_k_categorical_accuracy,
    )
}


def get(identifier: Any) -> Any:
    """Returns the metric that ``identifier`` names or is.

    Args:
        identifier: None, a name, a function, a metric (both returned as they are), a
            class of metrics, or what :func:`serialize` returned.

    Raises:
        ModelError: it is none of these; the nearest names are listed.
        UnsupportedError: a metric of Keras that is not here.
    """
    if identifier is None:
        return None
    found = registry.look_up("metrics", identifier, "a name, a function or a Metric", _KERAS_ONLY)
    return found() if inspect.isclass(found) else found


def resolve(identifier: Any, output_shape: Sequence[int | None], target_shape: Sequence[int | None]) -> Metric:
    """Returns the :class:`Metric` that an entry of a model's ``metrics=`` means.

    Its name, the key in logs, is the string as it was given.

    Args:
        identifier: as of :func:`get`; ``"accuracy"`` and ``"acc"``, and as in Keras 2
            ``"crossentropy"`` and ``"ce"``, are chosen by the shapes: binary for one
            output, sparse for integer labels, else categorical.
        output_shape: of the model's output, batch included.
        target_shape: of the targets, batch included.

    Raises:
        ModelError: ``identifier`` is None or nothing that is known.
    """
    if identifier is None:
        raise ModelError("metrics: expected a name, a function or a Metric, received None.")
    key = identifier.lower() if isinstance(identifier, str) else ""
    if key in ("accuracy", "acc", "crossentropy", "ce"):
        binary, sparse = losses.binary_or_sparse(output_shape, target_shape)
        which = 0 if binary else 1 if sparse else 2
        if key in ("accuracy", "acc"):
            found: Any = (BinaryAccuracy, SparseCategoricalAccuracy, CategoricalAccuracy)[which]()
        else:
            found = (BinaryCrossentropy, SparseCategoricalCrossentropy, CategoricalCrossentropy)[which]()
    else:
        found = get(identifier)
    name = identifier if isinstance(identifier, str) else losses.name_of(found)
    metric = found if isinstance(found, Metric) else MeanMetricWrapper(found)
    metric.name = name
    return metric


def serialize(metric: Any) -> Any:
    """Returns Keras' description of a metric or function.

    Raises:
        ModelError: a function without a name by which it could be found again.
    """
    if metric is None or isinstance(metric, str) or hasattr(metric, "get_config"):
        return registry.serialize(metric, "metrics")
    return losses.describe_function(metric, "metrics")


def deserialize(config: Any, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """Returns the metric or function that :func:`serialize` described.

    Args:
        config: a name or a description.
        custom_objects: the user's functions and classes by name.

    Raises:
        FileFormatError: the form is not one of Keras'.
        ModelError: a name that nothing has.
        UnsupportedError: a description of something that is not known.
    """
    return registry.deserialize(config, "metrics", custom_objects)
