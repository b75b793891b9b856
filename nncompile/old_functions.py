"""Functions of Keras 1 and 2 that have no like: what they were called with, and what they did."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from . import config, layers, ops, random
from .errors import ModelError
from .variables import Variable

_MERGES = {
    "sum": layers.Add, "mul": layers.Multiply, "ave": layers.Average, "max": layers.Maximum,
    "concat": layers.Concatenate, "dot": layers.Dot, "cos": layers.Dot,
}  # fmt: skip


def merge(
    inputs: Sequence[Any], mode: str = "sum", dot_axes: Any = -1, concat_axis: int = -1, name: str | None = None
) -> Any:
    """Several tensors as one: use Add, Multiply, Average, Maximum, Concatenate or Dot of nncompile.layers.

    Args:
        inputs: the tensors.
        mode: ``"sum"``, ``"mul"``, ``"ave"``, ``"max"``, ``"concat"``, ``"dot"`` or ``"cos"``.
        dot_axes: of ``"dot"`` and ``"cos"``.
        concat_axis: of ``"concat"``.
        name: of the layer.

    Returns:
        The tensor.

    Raises:
        ModelError: another mode.

    Source: ``keras.layers.merge`` of 1.2.2.
    """
    if mode not in _MERGES:
        raise ModelError(f"merge: expected mode to be one of {', '.join(_MERGES)}, received {mode!r:.80}.")
    if mode == "concat":
        return layers.Concatenate(axis=concat_axis, name=name)(list(inputs))
    if mode in ("dot", "cos"):
        return layers.Dot(axes=dot_axes, normalize=mode == "cos", name=name)(list(inputs))
    return _MERGES[mode](name=name)(list(inputs))


def thresholded_relu(theta: float = 1.0, **kwargs: Any) -> Any:
    """A layer that lets pass what is larger than a number: use nncompile.layers.ReLU with threshold=theta.

    Args:
        theta: the number.
        **kwargs: those of every layer.

    Returns:
        The layer.

    Source: ``keras.layers.ThresholdedReLU`` of 2.2.4.
    """
    return layers.ReLU(threshold=theta, **kwargs)


def print_summary(model: Any, line_length: int | None = None, positions: Any = None, print_fn: Any = None) -> None:
    """Prints the layers of a model: use model.summary().

    Args:
        model: the model.
        line_length: columns of a line.
        positions: where the columns of the table end.
        print_fn: what prints a line.

    Source: ``keras.utils.print_summary`` of 2.2.4.
    """
    model.summary(line_length=line_length, positions=positions, print_fn=print_fn)


# ------------------------------------------------------------------ of the backend


def argmax(x: Any, axis: int = -1) -> Any:
    """The place of the largest number: use nncompile.ops.argmax, which is over all axes by itself.

    Args:
        x: array, or value of a formula.
        axis: along which.

    Returns:
        Whole numbers, without that axis.

    Source: ``keras.backend.argmax`` of 2.2.4.
    """
    return ops.argmax(x, axis=axis)


def argmin(x: Any, axis: int = -1) -> Any:
    """The place of the smallest number: use nncompile.ops.argmin, which is over all axes by itself.

    Args:
        x: array, or value of a formula.
        axis: along which.

    Returns:
        Whole numbers, without that axis.

    Source: ``keras.backend.argmin`` of 2.2.4.
    """
    return ops.argmin(x, axis=axis)


def batch_flatten(x: Any) -> Any:
    """Each sample on one axis: use nncompile.ops.reshape.

    Args:
        x: values ``(batch, …)``.

    Returns:
        Values ``(batch, n)``.

    Source: ``keras.backend.batch_flatten`` of 2.2.4.
    """
    return ops.reshape(x, (-1, math.prod(ops.shape(x)[1:])))


def cast_to_floatx(x: Any) -> Any:
    """An array in the type of the layers: use nncompile.ops.convert_to_tensor.

    Args:
        x: array.

    Returns:
        The array.

    Source: ``keras.backend.cast_to_floatx`` of 2.2.4.
    """
    return np.asarray(x, dtype=config.floatx())


def concatenate(tensors: Sequence[Any], axis: int = -1) -> Any:
    """Tensors side by side along an axis: use nncompile.ops.concatenate, whose axis is 0 by itself.

    Args:
        tensors: arrays, or values of a formula.
        axis: along which.

    Returns:
        The whole.

    Source: ``keras.backend.concatenate`` of 2.2.4.
    """
    return ops.concatenate(list(tensors), axis=axis)


def constant(value: Any, dtype: Any = None, shape: Sequence[int] | None = None, name: str | None = None) -> Any:
    """Numbers as an array: use nncompile.ops.convert_to_tensor.

    Args:
        value: the numbers.
        dtype: of the array; that of the layers if None.
        shape: of the array; that of ``value`` if None.
        name: of nothing any more.

    Returns:
        The array.

    Source: ``keras.backend.constant`` of 2.2.4.
    """
    made = np.asarray(value, dtype=dtype or config.floatx())
    return made if shape is None else np.broadcast_to(made, tuple(shape)).copy()


def eval(x: Any) -> Any:
    """The numbers of a variable or an array: use numpy.asarray.

    Args:
        x: the variable.

    Returns:
        An array.

    Source: ``keras.backend.eval`` of 2.2.4.
    """
    return ops.convert_to_numpy(x)


def expand_dims(x: Any, axis: int = -1) -> Any:
    """A tensor with an axis of size 1 more: use nncompile.ops.expand_dims.

    Args:
        x: array, or value of a formula.
        axis: where it is.

    Returns:
        The same numbers.

    Source: ``keras.backend.expand_dims`` of 2.2.4.
    """
    return ops.expand_dims(x, axis)


def flatten(x: Any) -> Any:
    """All numbers of an array, or each sample's in a formula, on one axis: use nncompile.ops.reshape.

    Args:
        x: array, or value of a formula.

    Returns:
        The numbers; in a formula ``(batch, n)``, as its samples stay apart.

    Source: ``keras.backend.flatten`` of 2.2.4.
    """
    return ops.reshape(x, (-1,)) if None not in ops.shape(x) else batch_flatten(x)


def gather(reference: Any, indices: Any) -> Any:
    """Rows by their numbers: use nncompile.ops.take with axis=0.

    Args:
        reference: what they are rows of.
        indices: their numbers.

    Returns:
        The rows.

    Source: ``keras.backend.gather`` of 2.2.4.
    """
    return ops.take(reference, indices, axis=0)


def get_value(x: Any) -> Any:
    """The numbers of a variable: use x.numpy().

    Args:
        x: the variable, or a number.

    Returns:
        An array.

    Source: ``keras.backend.get_value`` of 2.2.4.
    """
    return ops.convert_to_numpy(x)


def int_shape(x: Any) -> tuple[int | None, ...]:
    """The sizes of a tensor: use x.shape.

    Args:
        x: array, tensor, or value of a formula.

    Returns:
        Its sizes; None for the number of rows.

    Source: ``keras.backend.int_shape`` of 2.2.4.
    """
    return tuple(ops.shape(x))


def l2_normalize(x: Any, axis: Any = None) -> Any:
    """A tensor divided by its length: use nncompile.ops.normalize.

    Args:
        x: array, or value of a formula.
        axis: along which.

    Returns:
        Values in the shape of ``x``.

    Source: ``keras.backend.l2_normalize`` of 2.2.4.
    """
    return x / ops.sqrt(ops.maximum(ops.sum(ops.square(x), axis=axis, keepdims=True), 1e-12))


def random_normal(
    shape: Sequence[int], mean: float = 0.0, stddev: float = 1.0, dtype: Any = None, seed: Any = None
) -> Any:
    """Normal numbers: use nncompile.random.normal.

    Args:
        shape: of the result.
        mean: of the numbers.
        stddev: their standard deviation.
        dtype: of the result.
        seed: of the numbers.

    Returns:
        The numbers.

    Source: ``keras.backend.random_normal`` of 2.2.4.
    """
    return random.normal(shape, mean, stddev, dtype, seed)


def random_uniform(
    shape: Sequence[int], minval: float = 0.0, maxval: float = 1.0, dtype: Any = None, seed: Any = None
) -> Any:
    """Numbers that are as likely anywhere between two: use nncompile.random.uniform.

    Args:
        shape: of the result.
        minval: the smallest.
        maxval: all are below it.
        dtype: of the result.
        seed: of the numbers.

    Returns:
        The numbers.

    Source: ``keras.backend.random_uniform`` of 2.2.4.
    """
    return random.uniform(shape, minval, maxval, dtype, seed)


def set_value(x: Any, value: Any) -> None:
    """Sets the numbers of a variable: use x.assign(value).

    Args:
        x: the variable.
        value: the numbers.

    Raises:
        ModelError: ``x`` is no variable, as a learning rate is none here: set ``optimizer.learning_rate``.

    Source: ``keras.backend.set_value`` of 2.2.4.
    """
    if not hasattr(x, "assign"):
        raise ModelError(
            f"set_value: expected a variable, received {x!r:.80}. A learning rate is set by optimizer.learning_rate = …"
        )
    x.assign(value)


def variable(value: Any, dtype: Any = None, name: str | None = None, constraint: Any = None) -> Variable:
    """Numbers that can be set: use nncompile.Variable.

    Args:
        value: the numbers.
        dtype: their type; that of the layers if None.
        name: of the variable.
        constraint: what is done to the numbers after each update.

    Returns:
        The variable.

    Source: ``keras.backend.variable`` of 2.2.4.
    """
    made = Variable(np.asarray(value, dtype=dtype or config.floatx()), name=name)
    made.constraint = constraint
    return made
