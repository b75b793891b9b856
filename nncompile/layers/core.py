"""Input, Dense, Activation and Identity."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import activations, constraints, initializers, ops, registry, regularizers, tree
from .. import config as settings
from ..errors import ModelError, UnsupportedError
from ..ops.symbolic import KerasTensor, Node
from ..registry import register
from ..variables import Variable
from .base import Layer
from .legacy import legacy_keywords
from .shapes import InputSpec, Shape, standardize_shape, standardize_shapes

if TYPE_CHECKING:
    from typing_extensions import Self


INTEGERS = ("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")


@register("layers")
class InputLayer(Layer):
    """What the rows that a model takes look like; :func:`Input` makes it.

    Args:
        shape: sizes of a row, for example ``(784,)``.
        batch_size: number of rows; kept for the reader, any number is accepted.
        dtype: ``"float32"``, ``"float64"``, ``"bool"`` or a type of integers. Integer
            data may be given as it is in any case.
        sparse: not supported; only False.
        ragged: not supported; only False.
        batch_shape: sizes with the number of rows, instead of ``shape``.
        input_tensor: not supported; only None.
        optional: not supported; only False.
        name: any string without ``/``.
        **kwargs: ``input_shape`` and ``batch_input_shape``, the old spellings.

    Raises:
        ModelError: there is no shape, or two, or a size that is not positive.

    Source: ``keras.layers.InputLayer``.
    """

    @legacy_keywords(input_shape="shape", batch_input_shape="batch_shape", input_dtype="dtype")
    def __init__(
        self,
        shape: Sequence[int | None] | None = None,
        batch_size: int | None = None,
        dtype: Any = None,
        sparse: bool | None = None,
        ragged: bool | None = None,
        batch_shape: Sequence[int | None] | None = None,
        input_tensor: Any = None,
        optional: bool = False,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        kind = dtype.__name__ if isinstance(dtype, type) else getattr(dtype, "name", dtype)
        integers = kind in INTEGERS
        super().__init__(dtype=settings.floatx() if dtype is None or integers else dtype, name=name, **kwargs)
        self._integer_dtype = str(kind) if integers else None
        where = f"Input {self.name!r}"
        registry.refuse(where, sparse=sparse, ragged=ragged, input_tensor=input_tensor, optional=optional)
        if batch_shape is not None and (shape is not None or batch_size is not None):
            other = "shape" if shape is not None else "batch_size"
            raise ModelError(f"{where}: expected either {other} or batch_shape, received both.")
        if batch_shape is not None:
            sizes = standardize_shape(batch_shape, where)
            if not sizes:
                raise ModelError(f"{where}: expected batch_shape to begin with the number of rows, received ().")
        elif shape is not None:
            sizes = (
                *standardize_shape((batch_size,), f"{where}: batch_size"),
                *standardize_shape(shape, where),
            )
        else:
            raise ModelError(f"{where}: expected a shape, for example Input((784,)).")
        if 0 in sizes:
            raise ModelError(f"{where}: expected positive sizes, received {sizes}.")
        self._batch_shape: Shape = sizes
        self.sparse = False
        self.ragged = False
        self.optional = False
        self._shapes = (sizes, sizes)
        self._finish_build()
        Node(self, (), {}, KerasTensor(sizes, self.dtype, name=name))

    @property
    def dtype(self) -> str:
        """Element type of the rows."""
        return self._integer_dtype or super().dtype

    @property
    def batch_shape(self) -> Shape:
        """Shape of a batch, None for any number of rows."""
        return self._batch_shape

    def call(self, inputs: Any) -> Any:
        return inputs

    def compute_output_shape(self, input_shape: Any) -> Shape:
        return standardize_shape(input_shape, self._where)

    def get_config(self) -> dict[str, Any]:
        return {
            "batch_shape": self.batch_shape,
            "dtype": self.dtype,
            "sparse": False,
            "ragged": False,
            "name": self.name,
            "optional": False,
        }

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        arguments = dict(config)
        if "batch_input_shape" in arguments:  # written by Keras 2
            arguments["batch_shape"] = arguments.pop("batch_input_shape")
        if arguments.get("dtype") == "bfloat16":  # Keras writes the type in which the layer after it multiplies
            arguments["dtype"] = "float32"
        return super().from_config(arguments)


def Input(
    shape: Sequence[int | None] | None = None,
    batch_size: int | None = None,
    dtype: Any = None,
    sparse: bool | None = None,
    ragged: bool | None = None,
    batch_shape: Sequence[int | None] | None = None,
    name: str | None = None,
    tensor: Any = None,
    optional: bool = False,
) -> Any:
    """Says what the rows look like that a model takes: the tensor with which a model begins.

    It is the first thing in a Sequential, and what layers are called on whose outputs become a ``Model``::

        inputs = Input((784,))
        hidden = Dense(500, activation="relu")(inputs)
        model = Model(inputs, Dense(10)(hidden))

    Args:
        shape: sizes of a row, for example ``(784,)``.
        batch_size: number of rows; kept for the reader, any number is accepted.
        dtype: ``"float32"``, ``"float64"``, ``"bool"`` or a type of integers. Integer
            data may be given as it is in any case.
        sparse: not supported; only False.
        ragged: not supported; only False.
        batch_shape: sizes with the number of rows, instead of ``shape``.
        name: any string without ``/``.
        tensor: not supported; only None.
        optional: not supported; only False.

    Returns:
        A KerasTensor of that shape; its ``_keras_history[0]`` is the :class:`InputLayer`.

    Raises:
        ModelError: there is no shape, or two, or a size that is not positive.

    Source: ``keras.Input``.
    """
    layer = InputLayer(
        shape=shape,
        batch_size=batch_size,
        dtype=dtype,
        sparse=sparse,
        ragged=ragged,
        batch_shape=batch_shape,
        input_tensor=tensor,
        optional=optional,
        name=name,
    )
    return layer.output


def _activated_shape(layer: Layer, activation: Any, shape: Shape) -> Any:
    """Returns the shape after an activation; glu and a user's own may change the width."""
    if activation is not activations.glu and activation in registry.registered("activations").values():
        return shape
    return layer._infer_output_shape(shape, activation)


@register("layers")
class Dense(Layer):
    """``activation(x · kernel + bias)`` over the last axis.

    Input ``(batch, …, features)``, output ``(batch, …, units)``. Weights: ``kernel``
    (features, units), then ``bias`` (units).

    Args:
        units: number of outputs.
        activation: name or function; None for the identity.
        use_bias: whether there is a bias.
        kernel_initializer: of the kernel.
        bias_initializer: of the bias.
        kernel_regularizer: penalty on the kernel; see :mod:`nncompile.regularizers`.
        bias_regularizer: penalty on the bias.
        activity_regularizer: not supported yet; only None.
        kernel_constraint: what the kernel is made to be after each update; see :mod:`nncompile.constraints`.
        bias_constraint: the same of the bias.
        lora_rank: not supported; only None.
        lora_alpha: not supported; only None.
        quantization_config: not supported; only None.
        **kwargs: those of :class:`Layer`, and the spellings of Keras 1 and 2.

    Raises:
        ModelError: ``units`` is not a positive integer, or another argument is wrong.
        UnsupportedError: an argument that Keras has and nncompile has not.
        TypeError: a keyword that neither has; the nearest is named.

    Source: ``keras.layers.Dense``.
    """

    _takes_integers = False
    _row_by_row = True

    @legacy_keywords(
        output_dim="units",
        init="kernel_initializer",
        bias="use_bias",
        W_regularizer="kernel_regularizer",
        b_regularizer="bias_regularizer",
        W_constraint="kernel_constraint",
        b_constraint="bias_constraint",
    )
    def __init__(
        self,
        units: int,
        activation: Any = None,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        lora_rank: int | None = None,
        lora_alpha: float | None = None,
        quantization_config: Any = None,
        **kwargs: Any,
    ) -> None:
        owner = type(self).__name__
        if isinstance(units, (bool, np.bool_)) or not isinstance(units, (int, np.integer)) or units < 1:
            raise ModelError(f"{owner}: expected units to be a positive integer, received {units!r:.80}.")
        if not isinstance(use_bias, (bool, np.bool_)):
            raise ModelError(f"{owner}: expected use_bias to be True or False, received {use_bias!r:.80}.")
        registry.refuse(
            owner,
            lora_rank=lora_rank,
            lora_alpha=lora_alpha,
            quantization_config=quantization_config,
        )
        super().__init__(activity_regularizer=activity_regularizer, **kwargs)
        self.units = int(units)
        self.activation = activations.get(activation)
        self.use_bias = bool(use_bias)
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.bias_initializer = initializers.get(bias_initializer)
        self.kernel_regularizer = regularizers.get(kernel_regularizer)
        self.bias_regularizer = regularizers.get(bias_regularizer)
        self.kernel_constraint = constraints.get(kernel_constraint)
        self.bias_constraint = constraints.get(bias_constraint)
        self.input_spec = InputSpec(min_ndim=2)
        self.supports_masking = True

    kernel: Variable
    bias: Variable | None

    def build(self, input_shape: Any) -> None:
        shape = standardize_shape(input_shape, self._where)
        self._check_input(shape, self.dtype)
        width = shape[-1]
        if width is None:
            raise ModelError(
                f"{self._where}: expected to know the width of its input, received shape {shape}. "
                "Give Input() a size instead of None."
            )
        self.kernel = self.add_weight(
            shape=(width, self.units),
            initializer=self.kernel_initializer,
            regularizer=self.kernel_regularizer,
            constraint=self.kernel_constraint,
            name="kernel",
        )
        self.bias = None
        if self.use_bias:
            self.bias = self.add_weight(
                shape=(self.units,),
                initializer=self.bias_initializer,
                regularizer=self.bias_regularizer,
                constraint=self.bias_constraint,
                name="bias",
            )
        self.input_spec = InputSpec(min_ndim=2, axes={-1: width})

    def _check_input(self, shape: Shape, dtype: str) -> None:
        if len(shape) < 2:
            raise ModelError(
                f"{self._where}: expected (batch, features), received shape {shape}. "
                "Give one row as x[None, :], one feature as x[:, None]."
            )
        width = self.input_spec.axes.get(-1) if self.input_spec is not None else None
        if width is not None and shape[-1] not in (width, None):
            flat = math.prod(n or 1 for n in shape[1:])
            advice = "Put Flatten() before it." if flat == width else "Its weights were made for that width."
            raise ModelError(f"{self._where}: expected {width} features, received shape {shape}. {advice}")

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        x = ops.matmul(inputs, self.kernel)
        if self.bias is not None:
            x = ops.add(x, self.bias)
        return self.activation(x)

    def compute_output_shape(self, input_shape: Any) -> Any:
        shape = standardize_shape(input_shape, self._where)
        return _activated_shape(self, self.activation, (*shape[:-1], self.units))

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "units": self.units,
            "activation": activations.serialize(self.activation),
            "use_bias": self.use_bias,
            "kernel_initializer": initializers.serialize(self.kernel_initializer),
            "bias_initializer": initializers.serialize(self.bias_initializer),
            "kernel_regularizer": regularizers.serialize(self.kernel_regularizer),
            "bias_regularizer": regularizers.serialize(self.bias_regularizer),
            "kernel_constraint": constraints.serialize(self.kernel_constraint),
            "bias_constraint": constraints.serialize(self.bias_constraint),
            "quantization_config": None,
        }

    def enable_lora(self, rank: int, *args: Any, **kwargs: Any) -> None:
        """Is not supported yet.

        Args:
            rank: none.
            *args: none.
            **kwargs: none.

        Raises:
            UnsupportedError: always.
        """
        raise UnsupportedError(f"{self._where}: enable_lora({rank!r}) is not supported yet.")


@register("layers")
class Activation(Layer):
    """Applies a function to its input: ``activation(x)``, for any shape that the function takes.

    Args:
        activation: name or function; None for the identity.
        **kwargs: those of :class:`Layer`.

    Source: ``keras.layers.Activation``.
    """

    _takes_integers = False
    _row_by_row = True

    @legacy_keywords()
    def __init__(self, activation: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.activation = activations.get(activation)
        self.supports_masking = True
        self._build_at_init()

    def call(self, inputs: Any) -> Any:
        return self.activation(inputs)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return _activated_shape(self, self.activation, standardize_shape(input_shape, self._where))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "activation": activations.serialize(self.activation)}


@register("layers")
class Lambda(Layer):
    """Applies a function that is written over :mod:`nncompile.ops`.

    The function is called once with a symbol and becomes C as every layer does, so that it
    is as fast. A file holds no code: a Lambda of a function with a name is saved as that
    name, as Keras does, and is refused when a file is loaded. A subclass of
    :class:`Layer` that is registered can be saved and loaded.

    Args:
        function: ``function(inputs, **arguments)``; it gets ``training`` too if it takes that.
        output_shape: of a sample, or a function of the shape of the input; found out by a trial if None.
        mask: not supported; only None.
        arguments: more keywords for the function.
        **kwargs: those of :class:`Layer`.

    Raises:
        ModelError: the function is none.

    Source: ``keras.layers.Lambda``.
    """

    _takes_integers = False
    _takes_several = True

    _takes_masks = False

    @legacy_keywords()
    def __init__(
        self,
        function: Callable[..., Any],
        output_shape: Any = None,
        mask: Any = None,
        arguments: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        if not callable(function):
            raise ModelError(f"Lambda: expected a function, received {function!r:.80}.")
        if output_shape is not None and not callable(output_shape) and not isinstance(output_shape, (tuple, list)):
            raise ModelError(
                f"Lambda: expected output_shape to be a shape or a function, received {output_shape!r:.80}."
            )
        registry.refuse("Lambda", mask=mask)
        super().__init__(**kwargs)
        self.function = function
        self.arguments = dict(arguments or {})
        self._output_shape = output_shape
        self._passes_training = "training" in inspect.signature(function).parameters
        self.supports_masking = True

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        more = {"training": training} if self._passes_training else {}
        return self.function(inputs, **{**self.arguments, **more})

    def compute_output_shape(self, input_shape: Any) -> Shape:
        shapes = standardize_shapes(input_shape, self._where)
        if self._output_shape is None:
            inferred: Shape = self._infer_output_shape(shapes)
            return inferred
        if callable(self._output_shape):
            return standardize_shape(self._output_shape(shapes), self._where)
        rows = tree.flatten(tree.map_shape_structure(lambda shape: shape[0], shapes))
        return (rows[0], *standardize_shape(self._output_shape, self._where))

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments of the layer; the function is one of Python, and a file can hold but its name."""
        config: dict[str, Any] = {**super().get_config(), "function": self.function}
        if self._output_shape is not None:
            config["output_shape"] = self._output_shape
        return {**config, "arguments": self.arguments}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """Makes the layer again, of a configuration that was not in a file.

        Raises:
            UnsupportedError: the function is a description of one.
        """
        for name in ("function", "output_shape"):
            value = config.get(name)
            if isinstance(value, (Mapping, str)) or (name == "function" and not callable(value)):
                raise UnsupportedError(
                    f"Lambda {config.get('name')!r}: its {name} is code of the program that made the file, which "
                    "is not loaded from files. Write a subclass of Layer, with register_keras_serializable() above it."
                )
        return super().from_config(config)


@register("layers")
class Identity(Layer):
    """The input as it is, of any shape.

    Args:
        **kwargs: those of :class:`Layer`.

    Source: ``keras.layers.Identity``.
    """

    @legacy_keywords()
    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True
        self._build_at_init()

    def call(self, inputs: Any) -> Any:
        return inputs

    def compute_output_shape(self, input_shape: Any) -> Shape:
        return standardize_shape(input_shape, self._where)

    def get_config(self) -> dict[str, Any]:
        return super().get_config()
