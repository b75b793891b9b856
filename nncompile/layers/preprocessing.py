"""Layers that bring data into the form that a network learns from."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .. import config as settings
from .. import ops, registry
from ..errors import FileFormatError, ModelError
from ..ops import arrays
from ..registry import register
from ..variables import Variable
from .axes import checked_axes, positive_axes, to_last, vector
from .base import Layer
from .legacy import legacy_keywords
from .reshaping import rows_of
from .shapes import Shape, standardize_shape

if TYPE_CHECKING:
    from typing_extensions import Self

Array = NDArray[Any]

_MODES = ("one_hot", "multi_hot", "count")


def _batches(data: Any, where: str) -> Iterable[Array]:
    """Yields the arrays that ``adapt`` was given: one, or those of an iterable of batches, without their targets."""
    if isinstance(data, np.ndarray) or (hasattr(data, "__array__") and hasattr(data, "shape")):
        yield np.asarray(data)
        return
    if isinstance(data, (str, bytes, Mapping)) or not isinstance(data, Iterable):
        raise TypeError(f"{where}: adapt() expected an array or an iterable of batches, received {data!r:.80}.")
    for batch in data:
        batch = batch[0] if isinstance(batch, tuple) else batch
        if not hasattr(batch, "shape"):
            raise TypeError(f"{where}: adapt() expected batches that are arrays, received {type(batch).__name__}.")
        yield np.asarray(batch)


@register("layers")
class Rescaling(Layer):
    """``x * scale + offset``.

    Args:
        scale: a number, or numbers for the last axes.
        offset: likewise.
        **kwargs: those of :class:`Layer`.

    Raises:
        ModelError: ``scale`` or ``offset`` are no numbers, or do not fit the input.

    Source: ``keras.layers.Rescaling``.
    """

    _takes_integers = False

    @legacy_keywords()
    def __init__(self, scale: ArrayLike, offset: ArrayLike = 0.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        for name, value in (("scale", scale), ("offset", offset)):
            if np.asarray(value).dtype.kind not in "iuf":
                raise ModelError(f"{type(self).__name__}: expected {name} to be numbers, received {value!r:.80}.")
        self.scale = scale
        self.offset = offset
        self.supports_masking = True

    def build(self, input_shape: Any) -> None:
        shape = standardize_shape(input_shape, self._where)
        axes = self._axes(shape)
        if not axes:
            return
        sizes = [shape[a] for a in axes]
        for name, value in (("scale", self.scale), ("offset", self.offset)):
            try:
                self._constant(name, np.broadcast_to(np.asarray(value), sizes).ravel())  # type: ignore[arg-type]
            except (ValueError, TypeError):
                raise ModelError(
                    f"{self._where}: {name} of shape {np.shape(value)} does not fit an input of shape {shape}."
                ) from None

    def _axes(self, shape: Shape) -> tuple[int, ...]:
        """Returns the axes along which the numbers differ: the last ones."""
        count = max(np.ndim(self.scale), np.ndim(self.offset))
        return positive_axes(range(-count, 0), shape, self._where, batch=False)

    def call(self, inputs: Any) -> Any:
        axes = self._axes(ops.shape(inputs))
        if not axes:
            return ops.add(ops.multiply(inputs, float(np.asarray(self.scale))), float(np.asarray(self.offset)))
        x, restore = to_last(inputs, axes)
        return restore(ops.add(ops.multiply(x, self._constants["scale"]), self._constants["offset"]))

    def compute_output_shape(self, input_shape: Any) -> Shape:
        return standardize_shape(input_shape, self._where)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "scale": self.scale, "offset": self.offset}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        return super().from_config(
            {**config, **{k: _plain_array(config[k]) for k in ("scale", "offset") if k in config}}
        )


def _plain_array(value: Any) -> Any:
    """Returns numbers as Keras serializes them, or as they are."""
    if not isinstance(value, Mapping):
        return value
    inner = value.get("config")
    if value.get("class_name") != "__numpy__" or not isinstance(inner, Mapping) or "value" not in inner:
        raise FileFormatError(f"Rescaling: expected numbers, received {value!r:.80}.")
    return np.array(inner["value"], dtype="float64")


@register("layers")
class Normalization(Layer):
    """``(x - mean) / max(sqrt(variance), epsilon)`` with the mean and variance of data, or given ones.

    ``epsilon`` is ``config.epsilon()``. With ``invert`` the other way round: ``x *
    max(sqrt(variance), epsilon) + mean``. :meth:`adapt` computes them; until then they
    are 0 and 1.

    Weights, none trainable, unless mean and variance are given: ``mean`` and ``variance``
    of the sizes of ``axis``, ``count``.

    Args:
        axis: one axis or several that have a mean and variance for each of their places;
            None for one mean and variance of all.
        mean: numbers that fit ``axis``; together with ``variance``.
        variance: numbers that fit ``axis``; together with ``mean``.
        invert: whether to undo the normalization instead.
        **kwargs: those of :class:`Layer`.

    Raises:
        ModelError: only one of ``mean`` and ``variance``, or of shapes that do not fit.

    Source: ``keras.layers.Normalization``.
    """

    _takes_integers = False
    adapt_mean: Variable
    adapt_variance: Variable
    count: Variable

    @legacy_keywords()
    def __init__(
        self,
        axis: int | Sequence[int] | None = -1,
        mean: ArrayLike | None = None,
        variance: ArrayLike | None = None,
        invert: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        owner = type(self).__name__
        axes = [] if axis is None else checked_axes(axis, owner)
        self.axis = tuple(axes) if isinstance(axes, list) else (axes,)
        if (mean is None) != (variance is None):
            raise ModelError(f"{owner}: expected both mean and variance or none, received one of them.")
        if mean is not None and variance is not None:
            if np.shape(mean) != np.shape(variance):
                raise ModelError(
                    f"{owner}: expected mean and variance of one shape, received {np.shape(mean)} and "
                    f"{np.shape(variance)}."
                )
            if np.ndim(mean) > len(self.axis):
                raise ModelError(
                    f"{owner}: expected mean to have no more axes than axis={self.axis} names, received shape "
                    f"{np.shape(mean)}."
                )
        self.input_mean = mean
        self.input_variance = variance
        self.invert = bool(invert)
        self.supports_masking = True

    @property
    def mean(self) -> Array | None:
        """The mean that is taken, with an axis of 1 for each that has one mean; None if not built."""
        return self._shaped("mean")

    @property
    def variance(self) -> Array | None:
        """The variance that is taken, of the shape of :attr:`mean`."""
        return self._shaped("variance")

    def _shaped(self, name: str) -> Array | None:
        if not self.built:
            return None
        shape, kept = self.input_shape, self._kept(self.input_shape)
        sizes = [shape[a] if a in kept else 1 for a in range(len(shape))]
        numbers = self._constants.get(name)
        if numbers is None:
            numbers = self.adapt_mean if name == "mean" else self.adapt_variance
        return numbers.value.reshape(sizes)

    def _kept(self, shape: Shape) -> tuple[int, ...]:
        return positive_axes(self.axis, shape, self._where, batch=False)

    def build(self, input_shape: Any) -> None:
        shape = standardize_shape(input_shape, self._where)
        sizes: Any = [shape[a] for a in self._kept(shape)]
        if None in sizes:
            raise ModelError(f"{self._where}: expected to know the sizes of axis {self.axis}, received shape {shape}.")
        if self.input_mean is None:
            self.adapt_mean = self.add_weight(shape=sizes, name="mean", initializer="zeros", trainable=False)
            self.adapt_variance = self.add_weight(shape=sizes, name="variance", initializer="ones", trainable=False)
            self.count = self.add_weight(shape=(), name="count", dtype="int32", initializer="zeros", trainable=False)
            return
        for name, value in (("mean", self.input_mean), ("variance", self.input_variance)):
            given = np.asarray(value, dtype=self.dtype)
            try:
                self._constant(name, np.broadcast_to(given, sizes).ravel() if sizes else given)
            except ValueError:
                raise ModelError(
                    f"{self._where}: {name} of shape {given.shape} does not fit an input of shape {shape}, of which "
                    f"axis {self.axis} has sizes {tuple(sizes)}."
                ) from None

    def adapt(self, data: Any) -> None:
        """Sets mean and variance to those of data, in place of what they were.

        Args:
            data: an array, or an iterable of batches; of a batch that is a tuple, its first entry.

        Raises:
            ModelError: mean and variance were given; no data, or of a shape that does not fit.
            TypeError: neither an array nor an iterable of arrays.
        """
        if self.input_mean is not None:
            raise ModelError(f"{self._where}: adapt() has nothing to do: mean and variance were given.")
        batches = iter(_batches(data, self._where))
        first = next(batches, None)
        if first is None:
            raise ModelError(f"{self._where}: adapt() expected at least one batch, received none.")
        if not self.built:
            self.build((None, *first.shape[1:]))
        kept = self._kept(self.input_shape)
        count, mean, variance = 0, np.zeros(()), np.zeros(())
        for batch in itertools.chain([first], batches):
            if batch.ndim != len(self.input_shape) or any(batch.shape[a] != self.input_shape[a] for a in kept):
                raise ModelError(
                    f"{self._where}: adapt() expected data for an input of shape {self.input_shape}, received shape "
                    f"{batch.shape}."
                )
            others = tuple(a for a in range(batch.ndim) if a not in kept)
            added = math.prod(batch.shape[a] for a in others)
            share = added / (count + added)
            # in double precision: data are of any size, and there may be many
            moved = np.mean(batch, axis=others, dtype="float64") - mean
            spread = np.var(batch, axis=others, dtype="float64")
            variance = variance * (1 - share) + spread * share + np.square(moved) * (share * (1 - share))
            mean, count = mean + moved * share, count + added
        self.adapt_mean.assign(mean)
        self.adapt_variance.assign(variance)

    def call(self, inputs: Any) -> Any:
        kept = self._kept(ops.shape(inputs))
        x, restore = to_last(inputs, kept) if kept else (inputs, lambda y: y)
        given = self.input_mean is not None
        mean = self._constants["mean"] if given else self.adapt_mean
        variance = self._constants["variance"] if given else self.adapt_variance
        if kept:
            mean, variance = vector(mean), vector(variance)
        deviation = ops.maximum(ops.sqrt(variance), settings.epsilon())
        if self.invert:
            return restore(ops.add(ops.multiply(x, deviation), mean))
        return restore(ops.divide(ops.subtract(x, mean), deviation))

    def compute_output_shape(self, input_shape: Any) -> Shape:
        return standardize_shape(input_shape, self._where)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "axis": self.axis,
            "invert": self.invert,
            "mean": None if self.input_mean is None else np.asarray(self.input_mean).tolist(),
            "variance": None if self.input_variance is None else np.asarray(self.input_variance).tolist(),
        }


def _encoded(x: Any, mode: str, depth: int, weights: Any = None) -> Any:
    """Integers as 0 and 1; those that are not from 0 to ``depth - 1`` count for nothing.

    Args:
        x: array or expression of integers, ``(batch, …)``.
        mode: ``"one_hot"``, a new last axis with 1 at the integer, in place of a last axis
            of 1; ``"multi_hot"``, the largest of those along the axis after the batch, or
            the only one; ``"count"``, their sum.
        depth: size of the new axis.
        weights: for ``"count"``, what to add in place of 1, of the shape of ``x``.
    """
    shape = ops.shape(x)
    if not shape:
        return _encoded(np.reshape(x, (1,)), mode, depth, weights)
    alone = mode == "one_hot" and len(shape) > 1 and shape[-1] == 1
    if isinstance(x, ops.Expression):  # a label is a value per row
        hot = ops.one_hot(arrays.as_row(x if alone else ops.expand_dims(x, -1)), depth)
    else:
        hot = ops.one_hot(ops.squeeze(x, -1) if alone else x, depth)
    if mode == "one_hot":
        return hot
    if weights is not None:
        hot = hot * ops.expand_dims(weights, -1)
    axis = 1 if len(shape) > 1 else 0
    reduced = ops.max(hot, axis=axis) if mode == "multi_hot" else ops.sum(hot, axis=axis)
    return ops.reshape(reduced, (rows_of(shape), *shape[2:], depth)) if axis else reduced


def _encoded_shape(shape: Shape, mode: str, depth: int) -> Shape:
    if not shape:
        return (1, depth) if mode == "one_hot" else (depth,)
    if mode == "one_hot":
        return (*(shape[:-1] if len(shape) > 1 and shape[-1] == 1 else shape), depth)
    return (shape[0], *shape[2:], depth) if len(shape) > 1 else (depth,)


@register("layers")
class CategoryEncoding(Layer):
    """Integers as 0 and 1.

    ``"one_hot"``: ``(batch, n)`` becomes ``(batch, n, num_tokens)``, and ``(batch, 1)``
    becomes ``(batch, num_tokens)``, 1 at the integer. ``"multi_hot"``: ``(batch, n)``
    becomes ``(batch, num_tokens)``, 1 at each integer that occurs. ``"count"``: the same
    with the number of times that it occurs, or the sum of the ``count_weights`` of the
    call. Integers outside of ``0 … num_tokens - 1`` count for nothing.

    Args:
        num_tokens: number of integers.
        output_mode: ``"one_hot"``, ``"multi_hot"`` (or its old name ``"binary"``) or ``"count"``.
        sparse: not supported; only False.
        **kwargs: those of :class:`Layer`.

    Raises:
        ModelError: ``num_tokens`` is not a positive integer, or there is no such mode; weights in another mode.

    Source: ``keras.layers.CategoryEncoding``.
    """

    @legacy_keywords()
    def __init__(
        self, num_tokens: int | None = None, output_mode: str = "multi_hot", sparse: bool = False, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        owner = type(self).__name__
        mode = "multi_hot" if output_mode == "binary" else output_mode
        if mode not in _MODES:
            raise ModelError(
                f"{owner}: expected output_mode to be one of {', '.join(map(repr, _MODES))}, "
                f"received {output_mode!r:.80}."
            )
        if isinstance(num_tokens, bool) or not isinstance(num_tokens, (int, np.integer)) or num_tokens < 1:
            raise ModelError(f"{owner}: expected num_tokens to be a positive integer, received {num_tokens!r:.80}.")
        registry.refuse(owner, sparse=sparse)
        self.num_tokens = int(num_tokens)
        self.output_mode = mode
        self.sparse = False

    def call(self, inputs: Any, count_weights: Any = None) -> Any:
        if count_weights is not None and self.output_mode != "count":
            raise ModelError(f"{self._where}: count_weights mean nothing with output_mode={self.output_mode!r}.")
        if self.output_mode == "multi_hot":  # as Keras makes integers of numbers, here alone
            whole = ops.floor(ops.abs(inputs))
            inputs = ops.where(ops.less(inputs, 0), -whole, whole)
        return ops.cast(_encoded(inputs, self.output_mode, self.num_tokens, count_weights), self.dtype)

    def compute_output_shape(self, input_shape: Any) -> Shape:
        return _encoded_shape(standardize_shape(input_shape, self._where), self.output_mode, self.num_tokens)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "num_tokens": self.num_tokens, "output_mode": self.output_mode}


@register("layers")
class Discretization(Layer):
    """Numbers as the range that they lie in: how many of ``bin_boundaries`` are not above them.

    The input may have any shape; with ``output_mode="int"`` the output has it too.

    Args:
        bin_boundaries: numbers in rising order; n of them bound n + 1 ranges, the first
            below all, each with its lower bound.
        num_bins: number of ranges that :meth:`adapt` is to find; instead of ``bin_boundaries``.
        epsilon: share of the data by which the boundaries that :meth:`adapt` finds may be off.
        output_mode: ``"int"``, or as of :class:`CategoryEncoding`.
        sparse: not supported; only False.
        dtype: see :class:`Layer`.
        name: any string without ``/``.

    Raises:
        ModelError: both or neither of ``bin_boundaries`` and ``num_bins``, or one that cannot be right.

    Source: ``keras.layers.Discretization``.
    """

    _takes_integers = False

    @legacy_keywords()
    def __init__(
        self,
        bin_boundaries: Sequence[float] | None = None,
        num_bins: int | None = None,
        epsilon: float = 0.01,
        output_mode: str = "int",
        sparse: bool = False,
        dtype: Any = None,
        name: str | None = None,
    ) -> None:
        super().__init__(name=name, dtype=dtype)
        owner = type(self).__name__
        registry.refuse(owner, sparse=sparse)
        if output_mode not in ("int", *_MODES):
            raise ModelError(
                f"{owner}: expected output_mode to be one of 'int', {', '.join(map(repr, _MODES))}, "
                f"received {output_mode!r:.80}."
            )
        if (num_bins is None) == (bin_boundaries is None):
            got = "none" if num_bins is None else "both"
            raise ModelError(f"{owner}: expected either bin_boundaries or num_bins, received {got}.")
        if num_bins is not None and (isinstance(num_bins, bool) or not isinstance(num_bins, int) or num_bins < 1):
            raise ModelError(f"{owner}: expected num_bins to be a positive integer, received {num_bins!r:.80}.")
        self.bin_boundaries = None if bin_boundaries is None else self._checked(bin_boundaries)
        self.num_bins = num_bins
        self.epsilon = epsilon
        self.output_mode = output_mode
        self.sparse = False
        self.summary = np.zeros((2, 0), dtype="float32")

    def _checked(self, boundaries: Any) -> list[float]:
        numbers = np.asarray(boundaries)
        if numbers.ndim != 1 or numbers.dtype.kind not in "iuf" or not (np.diff(numbers) >= 0).all():
            raise ModelError(
                f"{type(self).__name__}: expected bin_boundaries to be numbers in rising order, "
                f"received {boundaries!r:.80}."
            )
        return boundaries if isinstance(boundaries, list) else list(numbers.tolist())

    def adapt(self, data: Any, steps: int | None = None) -> None:
        """Sets the boundaries so that as many of the data lie in each range.

        Args:
            data: an array, or an iterable of batches; of a batch that is a tuple, its first entry.
            steps: number of batches to look at; all if None.

        Raises:
            ModelError: ``bin_boundaries`` were given.
            TypeError: neither an array nor an iterable of arrays.
        """
        if self.num_bins is None:
            raise ModelError(f"{self._where}: adapt() has nothing to do: bin_boundaries were given.")
        self.reset_state()
        for batch in itertools.islice(_batches(data, self._where), steps):
            self.update_state(batch)
        self.finalize_state()

    def update_state(self, data: Any) -> None:
        """Takes data into account, for :meth:`finalize_state`.

        Args:
            data: numbers of any shape.
        """
        values = np.sort(np.asarray(data, dtype="float32"), axis=None)
        # every step-th of the values stands for those before it
        step = max(values.size * self.epsilon, 1.0)
        chosen = values[int(step - 1) :: int(step)]
        joined = np.concatenate([np.stack([chosen, np.full_like(chosen, step)]), self.summary], axis=1)
        self.summary = _compressed(joined[:, np.argsort(joined[0])], self.epsilon)

    def finalize_state(self) -> None:
        """Sets the boundaries from the data seen since :meth:`reset_state`."""
        if self.num_bins is not None:
            self.bin_boundaries = _compressed(self.summary, 1.0 / self.num_bins)[0, :-1].tolist()

    def reset_state(self) -> None:
        """Forgets the data that were seen."""
        if self.num_bins is not None:
            self.summary = np.zeros((2, 0), dtype="float32")

    def call(self, inputs: Any) -> Any:
        if self.bin_boundaries is None:
            raise ModelError(f"{self._where}: has no boundaries. Give bin_boundaries, or call adapt(data) first.")
        symbolic = isinstance(inputs, ops.Expression)
        if symbolic:
            place: Any = float(len(self.bin_boundaries))  # of NaN too
            for boundary in self.bin_boundaries:
                place = place - ops.cast(ops.less(inputs, float(boundary)), None)
        else:
            place = np.searchsorted(np.asarray(self.bin_boundaries, inputs.dtype), inputs, side="right")
        if self.output_mode == "int":
            return place if symbolic else place.astype("int32")
        return ops.cast(_encoded(place, self.output_mode, len(self.bin_boundaries) + 1), self.dtype)

    def _output_dtype(self, inputs: Sequence[Any]) -> str:
        return "int32" if self.output_mode == "int" else self.dtype

    def compute_output_shape(self, input_shape: Any) -> Shape:
        shape = standardize_shape(input_shape, self._where)
        if self.output_mode == "int":
            return shape
        known = self.bin_boundaries is not None
        depth = len(self.bin_boundaries or ()) + 1 if known else int(self.num_bins or 0)
        return _encoded_shape(shape, self.output_mode, depth)

    def get_config(self) -> dict[str, Any]:
        return {
            "bin_boundaries": self.bin_boundaries,
            "num_bins": self.num_bins,
            "epsilon": self.epsilon,
            "output_mode": self.output_mode,
            "sparse": False,
            "name": self.name,
            "dtype": self.dtype,
        }

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        arguments = dict(config)
        found = arguments.get("bin_boundaries")
        if found is None or arguments.get("num_bins") is None:
            return super().from_config(arguments)
        layer = super().from_config({**arguments, "bin_boundaries": None})  # it was adapted
        layer.bin_boundaries = layer._checked(found)
        return layer


def _compressed(summary: Array, epsilon: float) -> Array:
    """Returns values and the weight of each, as many as steps of ``epsilon`` make 1: quantiles by interpolation.

    Args:
        summary: rows of values in rising order and of their weights.
        epsilon: share of the weight between two of the values that are returned.
    """
    if summary.shape[1] * epsilon < 1:
        return summary
    shares = epsilon + np.arange(0.0, 1.0, epsilon)
    sums = np.cumsum(summary[1])
    values = np.interp(shares, sums / sums[-1], summary[0])
    reached = np.interp(shares, sums / sums[-1], sums)
    return np.stack([values, np.diff(reached, prepend=0.0)]).astype("float32")
