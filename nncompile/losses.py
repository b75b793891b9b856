"""Losses: a formula for a value per sample, and a class that reduces these to a number.

The functions here are formulas over :mod:`nncompile.ops`: on arrays they compute, on
symbols they build what is differentiated and compiled. The classes hold a formula's
arguments and the reduction over the batch.

The crossentropies of probabilities clip them to [epsilon, 1 - epsilon] as Keras does on
JAX, so that their gradient is 0 outside. Where the probabilities come straight from a
softmax or sigmoid, the compiler may take :meth:`Loss.logits_form` instead, which is
exact everywhere; :attr:`Loss.fuses_with` says after which activation.
"""

from __future__ import annotations

import functools
import inspect
import warnings
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from . import config, ops, registry
from .activations import log_softmax, softplus
from .backend import auto_name
from .errors import ModelError, UnsupportedError
from .registry import register

if TYPE_CHECKING:
    from typing_extensions import Self

Array = NDArray[Any]
Formula = Callable[..., Any]
Shape = Sequence[int | None]
T = TypeVar("T")

REDUCTIONS = ("sum_over_batch_size", "mean", "sum", "mean_with_sample_weight", "none")
"""The names of reductions; None is accepted for ``"none"``."""

# fmt: off
_KERAS_ONLY = frozenset((
    "CTC", "BinaryFocalCrossentropy", "CategoricalFocalCrossentropy", "CategoricalGeneralizedCrossEntropy",
    "CategoricalHinge", "Circle", "CosineSimilarity", "Dice", "Hinge", "Huber", "KLDivergence", "LogCosh",
    "MeanAbsolutePercentageError", "MeanSquaredLogarithmicError", "Poisson", "SquaredHinge", "Tversky",
    "MAPE", "MSLE", "KLD", "mape", "msle", "kld", "binary_focal_crossentropy",
    "categorical_focal_crossentropy", "categorical_generalized_cross_entropy", "categorical_hinge", "circle",
    "cosine_similarity", "ctc", "dice", "hinge", "huber", "kl_divergence", "log_cosh",
    "mean_absolute_percentage_error", "mean_squared_logarithmic_error", "poisson", "squared_hinge", "tversky",
))
# fmt: on


# ------------------------------------------------------------------ shapes


def squeeze_or_expand(x1: Any, x2: Any) -> tuple[Any, Any]:
    """Adds or drops a last axis of size 1 where the ranks differ by exactly that.

    ``(n,)`` meets ``(n, 1)`` as ``(n, 1)``; ``(n, k)`` meets ``(n, k, 1)`` as ``(n, k)``.
    """
    rank1, rank2 = len(x1.shape), len(x2.shape)
    if rank1 == rank2 + 1 and x1.shape[-1] == 1:
        return (x1, ops.expand_dims(x2, -1)) if rank2 == 1 else (ops.squeeze(x1, -1), x2)
    if rank2 == rank1 + 1 and x2.shape[-1] == 1:
        return (ops.expand_dims(x1, -1), x2) if rank1 == 1 else (x1, ops.squeeze(x2, -1))
    return x1, x2


def _check_shapes(where: str, y_true: Any, y_pred: Any, expected: Shape) -> None:
    given = tuple(y_true.shape)
    fits = len(given) == len(expected) and all(
        a == b or a is None or b is None for a, b in zip(given, expected, strict=True)
    )
    if not fits:
        raise ModelError(
            f"{where}: expected y_true of shape {tuple(expected)} for y_pred of shape {tuple(y_pred.shape)}, "
            f"received {given}. "
            + (
                "Give one integer label per sample."
                if where.startswith("sparse")
                else "Give one value per output, or sparse_categorical_crossentropy for integer labels."
            )
        )


def check_axis(where: str, axis: Any) -> None:
    """Raises an error for an axis that is not the last one, written as -1."""
    if isinstance(axis, bool) or not isinstance(axis, int):
        raise ModelError(f"{where}: axis: expected an integer, received {axis!r} ({type(axis).__name__}).")
    if axis != -1:
        raise UnsupportedError(f"{where}: axis={axis} is not supported yet; the classes are the last axis, -1.")


def _formula(function: Callable[..., T]) -> Callable[..., T]:
    """Lets a formula take lists and labels of any type, and compute without NumPy's warnings."""

    @functools.wraps(function)
    def loss(y_true: Any, y_pred: Any, *args: Any, **keywords: Any) -> T:
        if isinstance(y_true, ops.Expression) or isinstance(y_pred, ops.Expression):
            return function(y_true, y_pred, *args, **keywords)
        y_pred = ops.convert_to_tensor(y_pred)
        if y_pred.dtype.kind != "f":
            y_pred = y_pred.astype(config.floatx())
        with np.errstate(all="ignore"):
            return function(ops.convert_to_tensor(y_true, y_pred.dtype), y_pred, *args, **keywords)

    return loss


# ------------------------------------------------------------------ formulas


@register("losses", "mse", "MSE")
@_formula
def mean_squared_error(y_true: Any, y_pred: Any) -> Any:
    """``mean((y_true - y_pred)^2)`` over the last axis.

    Args:
        y_true: what was expected, of the shape of ``y_pred``.
        y_pred: what was predicted, ``(batch, outputs)``.

    Returns:
        A value per sample, ``(batch,)``.

    Source: ``keras.losses.mean_squared_error``.
    """
    y_true, y_pred = squeeze_or_expand(y_true, y_pred)
    return ops.mean(ops.square(y_true - y_pred), axis=-1)


@register("losses", "mae", "MAE")
@_formula
def mean_absolute_error(y_true: Any, y_pred: Any) -> Any:
    """``mean(|y_true - y_pred|)`` over the last axis; its derivative is 0 where they are equal.

    Args:
        y_true: what was expected, of the shape of ``y_pred``.
        y_pred: what was predicted, ``(batch, outputs)``.

    Returns:
        A value per sample, ``(batch,)``.

    Source: ``keras.losses.mean_absolute_error``.
    """
    y_true, y_pred = squeeze_or_expand(y_true, y_pred)
    return ops.mean(ops.abs(y_true - y_pred), axis=-1)


@register("losses", "bce", "BCE")
@_formula
def binary_crossentropy(
    y_true: Any, y_pred: Any, from_logits: bool = False, label_smoothing: float = 0.0, axis: int = -1
) -> Any:
    """``mean(-t * log(p) - (1 - t) * log(1 - p))`` over the last axis, for t = y_true.

    ``p`` is y_pred clipped to [epsilon, 1 - epsilon]. From logits ``z`` it is
    ``mean(max(z, 0) - z * t + log(1 + e^-|z|))``, whose derivative is ``sigmoid(z) - t``.

    Args:
        y_true: 0 or 1, or anything between, of the shape of ``y_pred``.
        y_pred: probabilities of 1, ``(batch, outputs)``; or their logits.
        from_logits: whether y_pred is logits.
        label_smoothing: s in [0, 1]: t becomes ``t * (1 - s) + s / 2``.
        axis: -1; Keras has others.

    Returns:
        A value per sample, ``(batch,)``.

    Raises:
        ModelError: the shapes differ.
        UnsupportedError: another axis.

    Source: ``keras.losses.binary_crossentropy``.
    """
    check_axis("binary_crossentropy", axis)
    _check_shapes("binary_crossentropy", y_true, y_pred, y_pred.shape)
    if label_smoothing:
        y_true = y_true * (1.0 - label_smoothing) + 0.5 * label_smoothing
    if from_logits:
        return ops.mean(softplus(y_pred) - y_pred * y_true, axis=-1)
    p = ops.clip(y_pred, config.epsilon(), 1.0 - config.epsilon())
    return ops.mean(-(y_true * ops.log(p) + (1.0 - y_true) * ops.log(1.0 - p)), axis=-1)


def _log_probabilities(y_pred: Any, from_logits: bool) -> Any:
    if from_logits:
        return log_softmax(y_pred)
    p = y_pred / ops.sum(y_pred, axis=-1, keepdims=True)
    return ops.log(ops.clip(p, config.epsilon(), 1.0 - config.epsilon()))


@register("losses")
@_formula
def categorical_crossentropy(
    y_true: Any, y_pred: Any, from_logits: bool = False, label_smoothing: float = 0.0, axis: int = -1
) -> Any:
    """``-sum(t * log(p))`` over the last axis, for t = y_true.

    ``p`` is y_pred divided by its sum and clipped to [epsilon, 1 - epsilon]; from logits
    ``log(p)`` is the log-softmax.

    Args:
        y_true: a probability for each of K classes, ``(batch, K)``, for example one-hot.
        y_pred: predicted probabilities ``(batch, K)``; or logits.
        from_logits: whether y_pred is logits.
        label_smoothing: s in [0, 1]: t becomes ``t * (1 - s) + s / K``.
        axis: -1; Keras has others.

    Returns:
        A value per sample, ``(batch,)``.

    Raises:
        ModelError: the shapes differ.
        UnsupportedError: another axis.

    Source: ``keras.losses.categorical_crossentropy``.
    """
    check_axis("categorical_crossentropy", axis)
    _check_shapes("categorical_crossentropy", y_true, y_pred, y_pred.shape)
    classes = y_pred.shape[-1]
    if classes == 1:
        warnings.warn(
            f"categorical_crossentropy: expected y_pred (batch, classes) with classes > 1, received "
            f"{tuple(y_pred.shape)}: the loss of one class is always 0. Use binary_crossentropy.",
            SyntaxWarning,
            stacklevel=3,
        )
    if label_smoothing:
        y_true = y_true * (1.0 - label_smoothing) + label_smoothing / classes
    return -ops.sum(y_true * _log_probabilities(y_pred, from_logits), axis=-1)


@register("losses")
@_formula
def sparse_categorical_crossentropy(
    y_true: Any, y_pred: Any, from_logits: bool = False, ignore_class: int | None = None, axis: int = -1
) -> Any:
    """``-log(p)`` of the class that the label names.

    ``p`` is as in :func:`categorical_crossentropy`. A label that names no class, from 0
    to K - 1, gives 0.

    Args:
        y_true: integer labels, ``(batch,)`` or ``(batch, 1)``.
        y_pred: predicted probabilities ``(batch, K)``; or logits.
        from_logits: whether y_pred is logits.
        ignore_class: a label whose samples get 0.
        axis: -1; Keras has others.

    Returns:
        A value per sample, ``(batch,)``.

    Raises:
        ModelError: the shapes do not fit.
        UnsupportedError: another axis.

    Source: ``keras.losses.sparse_categorical_crossentropy``.
    """
    check_axis("sparse_categorical_crossentropy", axis)
    labels = y_true
    if len(labels.shape) == len(y_pred.shape) and labels.shape[-1] == 1:
        labels = ops.squeeze(labels, -1)
    _check_shapes("sparse_categorical_crossentropy", labels, y_pred, y_pred.shape[:-1])
    if ignore_class is not None:
        ignored = ops.equal(labels, ignore_class)
        labels = ops.where(ignored, 0.0, labels)
        y_pred = ops.where(ops.expand_dims(ignored, -1), 0.0, y_pred)
    hot = ops.one_hot(labels, y_pred.shape[-1])
    loss = -ops.sum(hot * _log_probabilities(y_pred, from_logits), axis=-1)
    return loss if ignore_class is None else ops.where(ignored, 0.0, loss)


_FUSES_WITH: dict[Formula, str] = {
    binary_crossentropy: "sigmoid",
    categorical_crossentropy: "softmax",
    sparse_categorical_crossentropy: "softmax",
}


# ------------------------------------------------------------------ classes


def check_arguments(cls: type, keywords: Collection[str]) -> None:
    """Raises TypeError, with the nearest name, for a keyword that ``cls(...)`` does not take."""
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
        return self._dtype

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Returns a value per sample: a formula over :mod:`nncompile.ops`."""
        raise NotImplementedError(f"{type(self).__name__}: define call(self, y_true, y_pred).")

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        """Computes the loss of a batch with NumPy.

        Args:
            y_true: what was expected.
            y_pred: what was predicted.
            sample_weight: factors of the values per sample, or one for all.

        Returns:
            A NumPy scalar; without reduction an array with a value per sample.
        """
        if isinstance(y_pred, ops.Expression):
            raise ModelError(
                f"{self.name} ({type(self).__name__}): a formula needs the value of each sample, and calling the loss "
                "gives one for the batch. Use its method call(y_true, y_pred)."
            )
        y_pred = ops.convert_to_tensor(y_pred, self.dtype)
        y_true = ops.convert_to_tensor(y_true, self.dtype)
        with np.errstate(all="ignore"):
            values = ops.convert_to_tensor(self.call(y_true, y_pred), self.dtype)
            return reduce(values, sample_weight, self.reduction)

    def logits_form(self) -> Loss:
        """Returns the loss that takes what :attr:`fuses_with` took; itself if that is None."""
        return self

    def get_config(self) -> dict[str, Any]:
        return {"name": self.name, "reduction": self.reduction}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        return cls(**config)


def reduce(values: Array, sample_weight: Any, reduction: str | None) -> Any:
    """Reduces the values per sample of a batch as :class:`Loss` says; an empty batch stays so."""
    weight = None
    if sample_weight is not None:
        weight = np.asarray(sample_weight, values.dtype)
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
        self.sparse_labels = fn is sparse_categorical_crossentropy
        if not kwargs.get("from_logits", False):
            self.fuses_with = _FUSES_WITH.get(fn)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        y_true, y_pred = squeeze_or_expand(y_true, y_pred)
        return self.fn(y_true, y_pred, **self._fn_kwargs)

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
            config["fn"] = deserialize(config["fn"])
        return cls(**config)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} fn={self.fn.__name__}, kwargs={self._fn_kwargs}>"


@register("losses")
class MeanSquaredError(LossFunctionWrapper):
    """Mean of squared errors, see :func:`mean_squared_error`.

    Args:
        reduction: as of :class:`Loss`.
        name: of this loss.
        dtype: as of :class:`Loss`.

    Source: ``keras.losses.MeanSquaredError``.
    """

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "mean_squared_error",
        dtype: Any = None,
    ) -> None:
        super().__init__(mean_squared_error, reduction, name, dtype)

    def get_config(self) -> dict[str, Any]:
        return Loss.get_config(self)


@register("losses")
class MeanAbsoluteError(LossFunctionWrapper):
    """Mean of absolute errors, see :func:`mean_absolute_error`.

    Args:
        reduction: as of :class:`Loss`.
        name: of this loss.
        dtype: as of :class:`Loss`.

    Source: ``keras.losses.MeanAbsoluteError``.
    """

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "mean_absolute_error",
        dtype: Any = None,
    ) -> None:
        super().__init__(mean_absolute_error, reduction, name, dtype)

    def get_config(self) -> dict[str, Any]:
        return Loss.get_config(self)


@register("losses")
class BinaryCrossentropy(LossFunctionWrapper):
    """Crossentropy of independent yes-or-no outputs, see :func:`binary_crossentropy`.

    Args:
        from_logits: whether predictions are logits instead of probabilities.
        label_smoothing: how far labels are moved towards 1/2, in [0, 1].
        axis: -1; Keras has others.
        reduction: as of :class:`Loss`.
        name: of this loss.
        dtype: as of :class:`Loss`.

    Raises:
        UnsupportedError: another axis.

    Source: ``keras.losses.BinaryCrossentropy``.
    """

    def __init__(
        self,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "binary_crossentropy",
        dtype: Any = None,
    ) -> None:
        check_axis(type(self).__name__, axis)
        super().__init__(
            binary_crossentropy,
            reduction,
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
        return {**Loss.get_config(self), **self._fn_kwargs}


@register("losses")
class CategoricalCrossentropy(LossFunctionWrapper):
    """Crossentropy of classes given as probabilities, see :func:`categorical_crossentropy`.

    Args:
        from_logits: whether predictions are logits instead of probabilities.
        label_smoothing: how far labels are moved towards 1/K, in [0, 1].
        axis: -1; Keras has others.
        reduction: as of :class:`Loss`.
        name: of this loss.
        dtype: as of :class:`Loss`.

    Raises:
        UnsupportedError: another axis.

    Source: ``keras.losses.CategoricalCrossentropy``.
    """

    def __init__(
        self,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "categorical_crossentropy",
        dtype: Any = None,
    ) -> None:
        check_axis(type(self).__name__, axis)
        super().__init__(
            categorical_crossentropy,
            reduction,
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
        return {**Loss.get_config(self), **self._fn_kwargs}


@register("losses")
class SparseCategoricalCrossentropy(LossFunctionWrapper):
    """Crossentropy of classes given as integers, see :func:`sparse_categorical_crossentropy`.

    Args:
        from_logits: whether predictions are logits instead of probabilities.
        ignore_class: None. Keras leaves samples of that class out of the mean, which
            needs their number before the batch is seen; the function can do it.
        reduction: as of :class:`Loss`.
        axis: -1; Keras has others.
        name: of this loss.
        dtype: as of :class:`Loss`.

    Raises:
        UnsupportedError: a class to ignore, or another axis.

    Source: ``keras.losses.SparseCategoricalCrossentropy``.
    """

    def __init__(
        self,
        from_logits: bool = False,
        ignore_class: int | None = None,
        reduction: str | None = "sum_over_batch_size",
        axis: int = -1,
        name: str | None = "sparse_categorical_crossentropy",
        dtype: Any = None,
    ) -> None:
        check_axis(type(self).__name__, axis)
        refuse_class(type(self).__name__, ignore_class)
        super().__init__(
            sparse_categorical_crossentropy,
            reduction,
            name,
            dtype,
            from_logits=from_logits,
            ignore_class=ignore_class,
            axis=axis,
        )
        self.from_logits = from_logits
        self.ignore_class = ignore_class

    def get_config(self) -> dict[str, Any]:
        return {**Loss.get_config(self), "from_logits": self.from_logits, "ignore_class": self.ignore_class}


def refuse_class(owner: str, ignore_class: int | None) -> None:
    """Raises UnsupportedError if there is a class to ignore, be it 0."""
    if ignore_class is not None:
        raise UnsupportedError(
            f"{owner}: ignore_class={ignore_class!r} is not supported yet. "
            "Give those samples a sample_weight of 0 instead."
        )


# ------------------------------------------------------------------ names


def get(identifier: Any) -> Any:
    """Returns the loss that ``identifier`` names or is.

    Args:
        identifier: None, a name, a function, a loss (both returned as they are), a
            class of losses, or what :func:`serialize` returned. The name of a function,
            as ``"mse"``, gives the function; that of a class gives a loss.

    Raises:
        ModelError: it is none of these; the nearest names are listed.
        UnsupportedError: a loss of Keras that is not here.
    """
    if identifier is None:
        return None
    found = registry.look_up("losses", identifier, "a name, a function or a Loss", _KERAS_ONLY)
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


def binary_or_sparse(output_shape: Shape, target_shape: Shape) -> tuple[bool, bool]:
    """Returns whether there is one output, and whether targets are integer labels, as Keras decides."""
    binary = output_shape[-1] == 1
    sparse = len(target_shape) < len(output_shape) or (target_shape[-1] == 1 and not binary)
    return binary, sparse


def name_of(function: Any) -> str:
    """Returns what a user's function or object is called in snake case."""
    if isinstance(getattr(function, "name", None), str):
        return str(function.name)
    return registry.snake_case(getattr(function, "__name__", type(function).__name__))


def describe_function(function: Any, kind: str) -> dict[str, Any]:
    """Returns Keras' description of a function.

    Raises:
        ModelError: it has no name by which it could be found again.
    """
    description = registry.describe_function(function)
    # Keras' own word for a function that is not registered.
    return {**description, "registered_name": registry.registered_name(function) or "function"}


def serialize(loss: Any) -> Any:
    """Returns Keras' description of a loss or function.

    Raises:
        ModelError: a function without a name by which it could be found again.
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
    """
    return registry.deserialize(name, "losses", custom_objects)
