"""The base of losses, and the one that wraps a formula."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from .. import config, ops, registry
from ..backend import auto_name
from ..errors import ModelError
from .formulas import (
    Formula,
    binary_crossentropy,
    categorical_crossentropy,
    categorical_generalized_cross_entropy,
    sparse_categorical_crossentropy,
    squeeze_or_expand,
)

if TYPE_CHECKING:
    from typing_extensions import Self

Array = NDArray[Any]

REDUCTIONS = ("sum_over_batch_size", "mean", "sum", "mean_with_sample_weight", "none")
"""The names of reductions; None is accepted for ``"none"``."""

_FUSES_WITH: dict[Formula, str] = {
    binary_crossentropy: "sigmoid",
    categorical_crossentropy: "softmax",
    sparse_categorical_crossentropy: "softmax",
}
_TAKES_LABELS = (sparse_categorical_crossentropy, categorical_generalized_cross_entropy)


def check_arguments(cls: type, keywords: Collection[str]) -> None:
    """Raises TypeError, with the nearest name, for a keyword that ``cls(...)`` does not take.

    Args:
        cls: the class.
        keywords: names of arguments.

    Raises:
        TypeError: one of them is not an argument.
    """
    known = _arguments_of(cls) if keywords else None
    if known is not None:
        registry.check_keywords(cls.__name__, {name: None for name in keywords if name not in known}, known)


@functools.cache
def _arguments_of(cls: type) -> tuple[str, ...] | None:
    """Names of the arguments of a class, None if it takes any; kept, as it takes long to find out."""
    parameters = inspect.signature(cls.__init__).parameters  # type: ignore[misc]
    if any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
        return None
    return tuple(name for name in parameters if name != "self")


class Loss:
    """Base of losses; one of your own defines :meth:`call`.

    Args:
        name: of this loss; made from the class's if None.
        reduction: of the values per sample: ``"sum_over_batch_size"`` or ``"mean"``
            divide their sum by their number, whatever the weights; ``"sum"``;
            ``"mean_with_sample_weight"`` divides by the sum of the weights; ``"none"``
            or None leaves them.
        dtype: element type of the computation; :func:`~nncompile.config.floatx` if None.

    Attributes:
        sparse_labels: whether labels are integers, one per sample.
        fuses_with: the activation after which :meth:`logits_form` may stand, or None.

    Raises:
        ModelError: an unknown reduction or element type.
        UnsupportedError: an element type that cannot be compiled.

    Source: ``keras.losses.Loss``.
    """

    sparse_labels: bool = False
    fuses_with: str | None = None

    def __new__(cls, *args: Any, **keywords: Any) -> Any:
        check_arguments(cls, keywords)
        return super().__new__(cls)

    def __init__(
        self, name: str | None = None, reduction: str | None = "sum_over_batch_size", dtype: Any = None
    ) -> None:
        self.name = name or auto_name(type(self).__name__)
        if reduction is not None and reduction not in REDUCTIONS:
            raise ModelError(
                f"{type(self).__name__}: reduction: expected one of {', '.join(REDUCTIONS)} or None, "
                f"received {reduction!r}.{registry.nearest(str(reduction), REDUCTIONS)}"
            )
        self.reduction = reduction
        self._dtype = config.checked_float(config.floatx() if dtype is None else dtype, type(self).__name__)

    @property
    def dtype(self) -> str:
        """Element type of the computation."""
        return self._dtype

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Returns a value per sample: a formula over :mod:`nncompile.ops`.

        Args:
            y_true: what was expected, ``(batch, …)``: as ``y_pred``, or labels without its last axis.
            y_pred: what was predicted, ``(batch, …)``.
        """
        raise NotImplementedError(f"{type(self).__name__}: define call(self, y_true, y_pred).")

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        """Computes the loss of a batch with NumPy.

        Args:
            y_true: what was expected, ``(batch, …)``: as ``y_pred``, or labels without its last axis.
            y_pred: what was predicted, ``(batch, …)``.
            sample_weight: factors of the values per sample, ``(batch, …)``, or one for all.

        Returns:
            A NumPy scalar; without reduction an array with a value per sample.
        """
        if isinstance(y_pred, ops.Expression):
            if sample_weight is not None or self.counted(y_true) is not None:
                raise ModelError(
                    f"{self.name} ({type(self).__name__}): in a formula samples have no weights; multiply what its "
                    "method call(y_true, y_pred) returns."
                )
            of_samples = self.call(y_true, y_pred)
            if self.reduction in (None, "none"):
                return of_samples
            return ops.sum(of_samples) if self.reduction == "sum" else ops.mean(of_samples)
        for what, given in (("y_true", y_true), ("y_pred", y_pred)):
            if given is None:
                raise ModelError(f"{self.name} ({type(self).__name__}): {what}: expected an array, received None.")
        y_pred = ops.convert_to_tensor(y_pred, self.dtype)
        y_true = ops.convert_to_tensor(y_true, self.dtype)
        with np.errstate(all="ignore"):
            values = ops.convert_to_tensor(self.call(y_true, y_pred), self.dtype)
            return reduce(values, sample_weight, self.reduction, self.counted(y_true))

    def counted(self, y_true: Any) -> Any:
        """Returns 1 for each sample that counts in a mean and 0 for the others, a formula; None if all count.

        Args:
            y_true: what was expected.
        """
        return None

    def logits_form(self) -> Loss:
        """Returns the loss that takes what :attr:`fuses_with` took; itself if that is None."""
        return self

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that make an equal loss."""
        return {"name": self.name, "reduction": self.reduction}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """Returns the loss that :meth:`get_config` described.

        Args:
            config: its arguments.
        """
        return cls(**config)


def reduce(values: Array, sample_weight: Any, reduction: str | None, counted: Any = None) -> Any:
    """Reduces the values per sample of a batch as :class:`Loss` says; an empty batch stays so.

    Args:
        values: of the samples.
        sample_weight: factors of them, or None.
        reduction: as of :class:`Loss`.
        counted: which samples count: with the mean over the number of samples only these are
            in it, and in the sum of the weights only theirs.

    Returns:
        One number, or the values themselves.
    """
    weight = None if sample_weight is None else np.asarray(sample_weight, values.dtype)
    if counted is not None:
        counted = np.asarray(counted, values.dtype)
        if reduction in ("mean", "sum_over_batch_size"):  # so that division by their number divides by that of counted
            number = np.sum(counted)
            counted = counted * (counted.size / number if number else 0.0)
        if weight is not None:
            counted, weight = squeeze_or_expand(counted, weight)
        weight = counted if weight is None else weight * counted
    if weight is not None:
        values, weight = squeeze_or_expand(values, weight)
        values = values * weight
    if reduction in (None, "none") or values.shape in ((), (0,)):
        return values[()]
    total = np.sum(values)
    if reduction == "sum":
        return total
    divisor = values.dtype.type(values.size)
    if reduction == "mean_with_sample_weight" and weight is not None:
        divisor = np.sum(weight)
    return total / divisor if divisor != 0 else values.dtype.type(0)


class LossFunctionWrapper(Loss):
    """A loss that is a function of ``(y_true, y_pred)``.

    Args:
        fn: the function, which returns a value per sample.
        reduction: as of :class:`Loss`.
        name: of this loss.
        dtype: as of :class:`Loss`.
        **kwargs: further arguments of ``fn``.

    Attributes:
        fn: the function.

    Source: ``keras.losses.LossFunctionWrapper``.
    """

    def __init__(
        self,
        fn: Formula,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = None,
        dtype: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(name=name, reduction=reduction, dtype=dtype)
        self.fn = fn
        self._fn_kwargs = kwargs
        self.sparse_labels = fn in _TAKES_LABELS
        if not kwargs.get("from_logits", False) and kwargs.get("axis", -1) == -1:
            self.fuses_with = _FUSES_WITH.get(fn)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        y_true, y_pred = squeeze_or_expand(y_true, y_pred)
        return self.fn(y_true, y_pred, **self._fn_kwargs)

    def counted(self, y_true: Any) -> Any:
        ignored = self._fn_kwargs.get("ignore_class") if self.fn is sparse_categorical_crossentropy else None
        return None if ignored is None else counted_labels(y_true, ignored, self._fn_kwargs.get("axis", -1))

    def logits_form(self) -> Loss:
        if self.fuses_with is None:
            return self
        if "from_logits" in inspect.signature(type(self).__init__).parameters:
            return type(self)(**{**self.get_config(), "from_logits": True, "dtype": self.dtype})
        return LossFunctionWrapper(
            self.fn, self.reduction, self.name, self.dtype, **{**self._fn_kwargs, "from_logits": True}
        )

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "fn": describe_function(self.fn, "losses"), **self._fn_kwargs}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        config = dict(config)
        if isinstance(config.get("fn"), (str, Mapping)):
            config["fn"] = registry.deserialize(config["fn"], "losses")
        return cls(**config)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} fn={self.fn.__name__}, kwargs={self._fn_kwargs}>"


def shape_of_labels(loss: Any, shape: Sequence[int | None]) -> tuple[int | None, ...]:
    """Returns the axes of integer labels of a sample: those of an output but the one of the classes.

    Args:
        loss: what is minimised, which may have an ``axis``; None for the last.
        shape: of a sample of the output.
    """
    axis = getattr(loss, "_fn_kwargs", {}).get("axis", -1) if getattr(loss, "sparse_labels", False) else -1
    axis = axis - 1 if axis >= 0 else axis + len(shape)
    return tuple(n for place, n in enumerate(shape) if place != axis)


def describe_function(function: Any, kind: str) -> dict[str, Any]:
    """Returns Keras' description of a function.

    Args:
        function: of the user's.
        kind: of function, ``"losses"`` or ``"metrics"``.

    Raises:
        ModelError: it has no name by which it could be found again.
    """
    description = registry.describe_function(function)
    # Keras' own word for a function that is not registered.
    return {**description, "registered_name": registry.registered_name(function) or "function"}


def counted_labels(y_true: Any, ignore_class: int, axis: int = -1) -> Any:
    """Returns 1 for each label that is not ``ignore_class``, 0 for the others, without the axis of size 1 of labels.

    Args:
        y_true: the labels.
        ignore_class: the label that does not count.
        axis: that of size 1, if there is one.
    """
    if len(y_true.shape) > 1 and y_true.shape[axis] == 1:
        y_true = ops.squeeze(y_true, axis)
    return ops.cast(ops.not_equal(y_true, ignore_class), None)


class BuiltInLoss(LossFunctionWrapper):
    """A loss of this package: its arguments are attributes, and in its configuration in place of the function.

    Attributes:
        unsaved: arguments that Keras leaves out of configurations, with their defaults.
            They are left out while they have these, so that Keras' and these are the
            same, and are there otherwise, so that nothing is lost; Keras can read them.
    """

    unsaved: ClassVar[Mapping[str, Any]] = {}

    def __init__(
        self,
        fn: Formula,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = None,
        dtype: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(fn, reduction, name, dtype, **kwargs)
        for argument, value in kwargs.items():
            setattr(self, argument, value)

    def get_config(self) -> dict[str, Any]:
        missing = object()
        own = {k: v for k, v in self._fn_kwargs.items() if self.unsaved.get(k, missing) != v}
        return {**Loss.get_config(self), **own}
