"""The base of metrics, sums and means, and the wrapper that makes a metric of a function."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from .. import absent, config, initializers, losses, ops, registry
from ..backend import auto_name
from ..errors import ModelError
from ..losses import squeeze_or_expand
from ..registry import register
from ..variables import Variable

if TYPE_CHECKING:
    from typing_extensions import Self

Array = NDArray[Any]
Function = Callable[..., Any]


class Metric(absent.Refusing):
    """Base of metrics; one of your own defines :meth:`update_state` and :meth:`result`.

    Its state is what :meth:`add_variable` makes, and the metrics among its attributes; it
    is NumPy's, and is fed with the outputs of the network. A function of ``(y_true, y_pred)``
    over :mod:`nncompile.ops` is the simpler thing to write, and is summed in compiled code.

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
        self._dtype = self._checked_dtype(config.floatx() if dtype is None else dtype)
        self._variables: list[Variable] = []

    def _checked_dtype(self, dtype: Any) -> str:
        return config.checked_float(dtype, type(self).__name__)

    @property
    def dtype(self) -> str:
        """Element type of the values."""
        return self._dtype

    @property
    def variables(self) -> list[Variable]:
        """The state: what :meth:`add_variable` made, and that of the metrics among the attributes."""
        return [*self._own_variables(), *(v for metric in self._inner_metrics() for v in metric.variables)]

    def _own_variables(self) -> list[Variable]:
        self._check_begun()
        return list(self._variables)

    def _inner_metrics(self) -> Iterator[Metric]:
        for value in vars(self).values():
            for inner in value if isinstance(value, (list, tuple)) else (value,):
                if isinstance(inner, Metric):
                    yield inner

    def _check_begun(self) -> None:
        if "_variables" not in vars(self):
            raise ModelError(f"{type(self).__name__}: call super().__init__(name=…, dtype=…) first in __init__.")

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

        Returns:
            The variable.
        """
        self._check_begun()
        name = name or "variable"
        path = f"{self.name}/{name}"
        make = initializers.get(initializer) or initializers.Zeros()
        value = initializers.initial_value(make, tuple(shape), dtype or self.dtype, path)
        variable = Variable(value, dtype=value.dtype, name=name, path=path, trainable=False)
        self._variables.append(variable)
        return variable

    def add_weight(
        self, shape: Sequence[int] = (), initializer: Any = None, dtype: Any = None, name: str | None = None
    ) -> Variable:
        """Makes a variable: :meth:`add_variable` under its older name.

        Args:
            shape: of the variable.
            initializer: a name or initializer.
            dtype: element type; the metric's if None.
            name: of the variable.

        Returns:
            The variable.
        """
        return self.add_variable(shape=shape, initializer=initializer, dtype=dtype, name=name)

    def _add_sums(self, shape: Sequence[int], *names: str) -> list[Variable]:
        """Makes variables for sums, in double precision whatever the element type."""
        return [self.add_variable(shape, "zeros", "float64", name=name) for name in names]

    def update_state(self, *args: Any, **kwargs: Any) -> None:
        """Takes a batch into account; every metric overrides it.

        Args:
            *args: ``y_true`` and ``y_pred``, what was expected and what was predicted, each ``(batch, …)``, of one
                shape or labels without the last axis; or only ``values``.
            **kwargs: ``sample_weight``: factors, per sample or as a metric says; equal ones if None.

        Raises:
            ModelError: the shapes do not fit.
        """
        raise NotImplementedError(f"{type(self).__name__}: define update_state(self, y_true, y_pred, sample_weight).")

    def parts(self, output_shape: Sequence[int | None]) -> tuple[MeanMetricWrapper, ...]:
        """Returns the sums that the state is made of, where each is the sum of a formula over all rows.

        The compiler takes the sums, and gives each to the :meth:`MeanMetricWrapper.add` of
        its part. A metric that has no parts is fed with the outputs instead, by
        :meth:`update_state`.

        Args:
            output_shape: of the predictions, batch included.
        """
        return ()

    def reset_state(self) -> None:
        """Forgets what was seen: sets the variables to 0."""
        for variable in self.variables:
            variable.assign(np.zeros(variable.shape))

    def result(self) -> Any:
        """Returns the metric of what was seen since the last reset; every metric overrides it.

        Raises:
            ModelError: a metric that learns its size from data has seen none.
        """
        raise NotImplementedError(f"{type(self).__name__}: define result(self).")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        self._check_begun()
        self.update_state(*args, **kwargs)
        return self.result()

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that make an equal metric."""
        return {"name": self.name, "dtype": self.dtype}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """Returns the metric that :meth:`get_config` described.

        Args:
            config: its arguments.
        """
        return cls(**config)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} name={self.name}>"


# ------------------------------------------------------------------ sums and means


class _Number:
    """Where a variable finds a number that is an attribute."""

    def __init__(self, owner: Any, attribute: str) -> None:
        self.owner, self.attribute = owner, attribute

    def read(self) -> Array:
        return np.asarray(getattr(self.owner, self.attribute), np.float64)

    def write(self, value: Array) -> None:
        setattr(self.owner, self.attribute, float(value))

    def leave(self) -> None:
        """The number stays where it is."""


def _numbers(owner: Metric, *attributes: str) -> list[Variable]:
    """Variables that are numbers of a metric: plain attributes cost least, and few ask for the variables."""
    made = []
    for name in attributes:
        number = _Number(owner, name)
        variable = Variable(number.read(), dtype="float64", name=name, path=f"{owner.name}/{name}", trainable=False)
        variable.bind(number)
        made.append(variable)
    return made


def _folded(fold: Function, values: Any, from_axis: int) -> Any:
    axes = tuple(range(from_axis, values.ndim))
    return fold(values, axis=axes) if axes else values


def _per_sample(values: Any, sample_weight: Any, fold: Function, dtype: str) -> tuple[Any, Any]:
    """Returns values times weights, and the weights, with the axes behind the samples' folded into one number.

    Args:
        values: of any shape.
        sample_weight: weights per value, per sample or for all; None for none.
        fold: ``np.mean`` or ``np.sum``.
        dtype: element type.
    """
    values = np.asarray(values, dtype)
    weight = None
    if sample_weight is not None:
        values, weight = squeeze_or_expand(values, np.asarray(sample_weight, dtype))
        if values.ndim > weight.ndim:
            values = _folded(fold, values, weight.ndim)
        weight = np.broadcast_to(weight, values.shape)
        with np.errstate(all="ignore"):
            values = values * weight
        weight = _folded(fold, weight, 1)
    return _folded(fold, values, 1), weight


@register("metrics")
class Sum(Metric):
    """The weighted sum of all values, ``sum(w * x)``.

    Args:
        name: of this metric.
        dtype: as of :class:`Metric`.

    Attributes:
        total: the sum so far.

    Source: ``keras.metrics.Sum``.
    """

    def __init__(self, name: str | None = "sum", dtype: Any = None) -> None:
        super().__init__(name=name, dtype=dtype)
        self.total = 0.0

    def _own_variables(self) -> list[Variable]:
        return [*_numbers(self, "total"), *super()._own_variables()]

    def update_state(self, values: Any, sample_weight: Any = None) -> None:
        """Adds a batch of values, ``(batch, …)``, with weights per value, per sample or for all."""
        values, _ = _per_sample(values, sample_weight, np.sum, self.dtype)
        self.total += float(np.sum(values, dtype=np.float64))

    def result(self) -> float:
        return self.total


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

    def _own_variables(self) -> list[Variable]:
        return [*_numbers(self, "total", "count"), *super()._own_variables()]

    def update_state(self, values: Any, sample_weight: Any = None) -> None:
        """Adds a batch of values, ``(batch, …)``, with weights per value, per sample or for all."""
        values, weight = _per_sample(values, sample_weight, np.mean, self.dtype)
        samples = values.shape[0] if values.ndim else 1
        self.add(
            float(np.sum(values, dtype=np.float64)),
            float(samples if weight is None else np.sum(weight, dtype=np.float64)),
        )

    def add(self, total: float, count: float) -> None:
        """Adds sums that were taken elsewhere: of values times weights, and of weights.

        Args:
            total: the sum of values times weights.
            count: the sum of weights.
        """
        self.total += total
        self.count += count

    def reset_state(self) -> None:
        self.total = self.count = 0.0
        if self._variables:
            super().reset_state()

    def result(self) -> float:
        return self.total / self.count if self.count else 0.0


@register("metrics")
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

    def __init__(self, fn: Function, name: str | None = None, dtype: Any = None, **kwargs: Any) -> None:
        super().__init__(name=name, dtype=dtype)
        self.fn = fn
        self._fn_kwargs = kwargs
        known = registry.registered("losses")
        if not hasattr(self, "_direction") and (fn in known.values() or type(fn) in known.values()):
            self._direction = "down"

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Returns a value per sample, the outputs averaged: a formula over :mod:`nncompile.ops`.

        Args:
            y_true: what was expected, the batch first.
            y_pred: what was predicted.
        """
        values = self.fn(y_true, y_pred, **self._fn_kwargs)
        if isinstance(values, ops.Expression):  # one value per row of a sample is the compiler's to average
            return ops.mean(values, axis=-1) if values.level == ops.ELEMENT else values
        while np.ndim(values) > 1:
            values = ops.mean(values, axis=-1)
        return values

    def parts(self, output_shape: Sequence[int | None]) -> tuple[MeanMetricWrapper, ...]:
        return (self,) if self._ignored is None else ()

    @property
    def _ignored(self) -> int | None:
        """The label whose samples' weights do not count; without weights they are in the mean, as zeros: so Keras."""
        return self._fn_kwargs.get("ignore_class") if self.fn is losses.sparse_categorical_crossentropy else None

    def update_state(  # type: ignore[override]
        self, y_true: Any, y_pred: Any, sample_weight: Any = None
    ) -> None:
        """Takes a batch into account, with weights per sample, per output or for all.

        Args:
            y_true: what was expected, the batch first.
            y_pred: what was predicted.
            sample_weight: the weights; equal ones if None.
        """
        with np.errstate(all="ignore"):
            values = self.fn(y_true, y_pred, **self._fn_kwargs)
        if sample_weight is not None and self._ignored is not None:
            counted = losses.counted_labels(np.asarray(y_true), self._ignored, self._fn_kwargs.get("axis", -1))
            counted, weight = squeeze_or_expand(counted, np.asarray(sample_weight, self.dtype))
            sample_weight = counted * weight
        super().update_state(values, sample_weight=sample_weight)

    def get_config(self) -> dict[str, Any]:
        from .names import serialize

        return {**super().get_config(), "fn": serialize(self.fn), **self._fn_kwargs}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        from .names import function_of

        config = dict(config)
        if isinstance(config.get("fn"), (str, Mapping)):
            config["fn"] = function_of(config["fn"])
        return cls(**config)


class BuiltInMean(MeanMetricWrapper):
    """A mean of this package: its arguments are attributes, and in its configuration in place of the function.

    Attributes:
        unsaved: arguments that Keras leaves out of configurations, with their defaults.
            They are left out while they have these, so that Keras' and these are the
            same, and are there otherwise, so that nothing is lost; Keras can read them.
    """

    unsaved: ClassVar[Mapping[str, Any]] = {}

    def __init__(self, fn: Function, name: str | None = None, dtype: Any = None, **kwargs: Any) -> None:
        super().__init__(fn, name, dtype, **kwargs)
        for argument, value in kwargs.items():
            setattr(self, argument, value)

    def get_config(self) -> dict[str, Any]:
        missing = object()
        own = {k: v for k, v in self._fn_kwargs.items() if self.unsaved.get(k, missing) != v}
        return {**Metric.get_config(self), **own}


class RowSum(MeanMetricWrapper):
    """One of the sums that the state of a metric is made of, as :meth:`Metric.parts` gives them.

    Args:
        owner: the metric.
        variable: its variable that the sum is added to.
        index: which number of the variable.
        fn: a value per row, of ``(y_true, y_pred)``: a formula.
    """

    def __init__(self, owner: Metric, variable: Variable, index: int, fn: Function) -> None:
        number = f"_{index}" if variable.shape[0] > 1 else ""
        super().__init__(fn, f"{owner.name}_{variable.name}{number}", owner.dtype)
        self.variable, self.index = variable, index

    def add(self, total: float, count: float) -> None:
        """Adds sums that were taken elsewhere.

        Args:
            total: of values.
            count: without meaning here.
        """
        value = self.variable.value
        value[self.index] += total
        self.variable.assign(value)

    def reset_state(self) -> None:
        value = self.variable.value
        value[self.index] = 0.0
        self.variable.assign(value)

    def result(self) -> float:
        return float(self.variable.value[self.index])


# ------------------------------------------------------------------ numbers


def divide_no_nan(a: Any, b: Any) -> Array:
    """``a / b``, and 0 where b is 0."""
    a, b = np.broadcast_arrays(np.asarray(a, np.float64), np.asarray(b, np.float64))
    with np.errstate(all="ignore"):
        return np.where(b == 0, 0.0, a / np.where(b == 0, 1.0, b))


def number_or_array(value: Any, dtype: str) -> Any:
    """A result as a metric gives it: a number as Python's, several in its element type."""
    return float(value) if np.ndim(value) == 0 else np.asarray(value).astype(dtype)
