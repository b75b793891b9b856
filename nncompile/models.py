"""Model and Sequential, with the interface of ``keras.models``.

A Sequential is built as soon as it knows the shape of a row: from its ``Input``, from
``build``, or from the first data. The number of rows is never part of that: a model
built from data has ``None`` there, so that it takes batches of any size.
"""

from __future__ import annotations

import contextlib
import inspect
import itertools
import json
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from . import ops, registry
from .errors import FileFormatError, ModelError, UnsupportedError
from .layers import base
from .layers.base import Layer, Shape, layers_around, standardize_shape
from .layers.core import InputLayer
from .random import SeedGenerator
from .training import Trainer
from .utils import format_table
from .variables import Variable

if TYPE_CHECKING:
    from typing_extensions import Self

Array = NDArray[Any]
PathLike = str | Path

_FUNCTIONAL = (
    "{}: models made from inputs and outputs are not supported yet. Write Sequential([Input(…), layer, layer, …])."
)


class Model(Trainer, Layer):
    """Base of models: a layer that can be trained, saved and exported.

    Make a :class:`Sequential`. ``Model(inputs, outputs)``, the functional form of
    Keras, is not supported yet.

    Args:
        trainable: whether the optimizer may change the weights.
        dtype: element type.
        name: any string without ``/``.

    Raises:
        UnsupportedError: inputs or outputs were given.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if args or {"inputs", "outputs", "input", "output"} & kwargs.keys():
            raise UnsupportedError(_FUNCTIONAL.format(type(self).__name__))
        Trainer.__init__(self)
        Layer.__init__(self, **kwargs)

    def _seal(self) -> None:
        """A model may get further layers after it was built."""

    def _attributes(self) -> Iterator[Any]:
        """As of a layer, but what a Trainer keeps in lists are other layers' weights."""
        for name, value in list(self.__dict__.items()):
            if name == "_arguments":
                continue
            if isinstance(value, (Variable, SeedGenerator)):
                yield value
            else:
                yield from (x for x in base.tensors_in(value) if isinstance(x, Layer))

    @property
    def layers(self) -> list[Layer]:
        """The layers directly in the model."""
        return self._sublayers()

    def get_layer(self, name: str | None = None, index: int | None = None) -> Layer:
        """Returns a layer by its name or its position.

        Raises:
            ModelError: there is none, or not exactly one of the arguments was given.
        """
        if (name is None) == (index is None):
            raise ModelError(f"{self._where}: get_layer expected either a name or an index.")
        layers = self.layers
        if index is not None:
            if not -len(layers) <= index < len(layers):
                raise ModelError(f"{self._where}: has {len(layers)} layers; there is no index {index}.")
            return layers[index]
        for layer in layers:
            if layer.name == name:
                return layer
        names = [layer.name for layer in layers]
        hint = registry.nearest(str(name), names) or f" There are: {', '.join(map(repr, names))}."
        raise ModelError(f"{self._where}: has no layer called {name!r}.{hint}")

    def summary(
        self,
        line_length: int | None = None,
        positions: Sequence[float] | None = None,
        print_fn: Callable[[str], Any] | None = None,
        expand_nested: bool = False,
        show_trainable: bool = False,
        layer_range: Sequence[str] | None = None,
    ) -> None:
        """Prints a table of the layers, and how many numbers the model has.

        Args:
            line_length: width of the table; up to 88 if None, as the terminal allows.
            positions: where each column ends, as shares of the width.
            print_fn: called with the whole text; ``print`` if None.
            expand_nested: whether the layers of inner models get rows of their own.
            show_trainable: whether there is a column that says what is trainable.
            layer_range: names, or regular expressions, of the first and the last row.

        Raises:
            ModelError: an argument cannot be right.
        """
        encoding = "utf-8" if print_fn is not None else getattr(sys.stdout, "encoding", None) or "utf-8"
        try:
            "┏│…".encode(encoding)
            ascii_only = False
        except (UnicodeError, LookupError):
            ascii_only = True
        text = _summary(self, line_length, positions, expand_nested, show_trainable, layer_range, ascii_only)
        if print_fn is not None:
            print_fn(text)
        else:
            print(text.encode(encoding, "replace").decode(encoding) if ascii_only else text, end="")

    # -------------------------------------------------------------- files

    def save(self, filepath: PathLike, overwrite: bool = True, zipped: bool | None = None, **kwargs: Any) -> None:
        """Writes the model to a ``.keras`` file; see :func:`nncompile.saving.save_model`."""
        from . import saving

        saving.save_model(self, filepath, overwrite=overwrite, zipped=zipped, **kwargs)

    def save_weights(self, filepath: PathLike, overwrite: bool = True, max_shard_size: Any = None) -> None:
        """Writes a ``.weights.h5`` file; see :func:`nncompile.saving.save_weights`."""
        from . import saving

        saving.save_weights(self, filepath, overwrite=overwrite, max_shard_size=max_shard_size)

    def load_weights(self, filepath: PathLike, skip_mismatch: bool = False, **kwargs: Any) -> None:
        """Reads weights from a file; see :func:`nncompile.saving.load_weights`."""
        from . import saving

        saving.load_weights(self, filepath, skip_mismatch=skip_mismatch, **kwargs)

    def export(
        self,
        filepath: PathLike,
        format: str = "c",
        verbose: bool | None = None,
        input_signature: Any = None,
        **kwargs: Any,
    ) -> Any:
        """Writes the model as C that needs nothing else: ``mnist.c`` and ``mnist.h``.

        Args:
            filepath: of the C file; its stem names the functions.
            format: ``"c"``.
            verbose: whether to print what was written.
            input_signature: not supported; the model knows the shape of its input.
            **kwargs: see :func:`nncompile.export.export_model`.
        """
        from .export import export_model

        registry.refuse("export", input_signature=input_signature)
        if verbose is not None:
            kwargs["verbose"] = verbose
        return export_model(self, filepath, format=format, **kwargs)

    def to_json(self, **kwargs: Any) -> str:
        """Returns the configuration of the model as JSON, which Keras reads as well.

        Args:
            **kwargs: those of ``json.dumps``.
        """
        return json.dumps(base.serialize(self), **kwargs)

    @classmethod
    def from_config(cls, config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None) -> Self:
        """Makes the model that ``get_config`` described."""
        if "input_layers" in config and "output_layers" in config:
            raise UnsupportedError(_FUNCTIONAL.format(cls.__name__))
        with _known(custom_objects):
            return super().from_config(config)


class Sequential(Model):
    """A stack of layers, each of which takes what the one before it returns.

    Args:
        layers: the layers in order; an ``Input`` first, or a shape given later.
        trainable: whether the optimizer may change the weights.
        name: any string without ``/``; made up if None.

    Raises:
        ModelError: something that is no layer, or two layers of one name.
    """

    def __init__(self, layers: Iterable[Layer] | None = None, trainable: bool = True, name: str | None = None) -> None:
        super().__init__(trainable=trainable, name=name)
        self._layers: list[Layer] = []
        self._row_shapes: list[Shape] = []
        if layers is None:
            return
        if isinstance(layers, Layer) or not isinstance(layers, Iterable):
            raise ModelError(f"{self._where}: expected a list of layers, received {layers!r:.80}.")
        for layer in layers:
            self.add(layer, rebuild=False)
        self._maybe_rebuild()

    # -------------------------------------------------------------- the stack

    def add(self, layer: Any, rebuild: bool = True) -> None:
        """Puts a layer on top.

        Args:
            layer: a layer or a model.
            rebuild: whether to build at once if the shape of the input is known.

        Raises:
            ModelError: it is no layer, or its name is taken.
        """
        if not isinstance(layer, Layer):
            raise ModelError(f"{self._where}: expected a layer, received {layer!r:.80}. {_layer_advice(layer)}")
        layer._check_super_called()
        if isinstance(layer, InputLayer) and self._layers:
            first = self._layers[0]
            if isinstance(first, InputLayer):
                raise ModelError(
                    f"{self._where}: has an Input of shape {first.batch_shape}; it cannot have another one."
                )
            raise ModelError(f"{self._where}: Input must come first, before {first._where}.")
        if any(inner is self for inner in layer._walk()):
            raise ModelError(f"{self._where}: cannot be a layer of itself.")
        for other in self._layers:
            if other is not layer and other.name == layer.name:
                raise ModelError(f"{self._where}: two layers are called {layer.name!r}. Give one of them another name.")
        if not self._layers and layer._batch_shape_argument is not None:
            self._layers.append(InputLayer(batch_shape=layer._batch_shape_argument, dtype=layer.input_dtype))
        self._layers.append(layer)
        self._forget()
        if rebuild:
            self._maybe_rebuild()

    def pop(self, rebuild: bool = True) -> Layer:
        """Removes the layer on top and returns it.

        Raises:
            ModelError: there is none.
        """
        if not self._layers:
            raise ModelError(f"{self._where}: has no layer to remove.")
        layer = self._layers.pop()
        self._forget()
        if rebuild:
            self._maybe_rebuild()
        return layer

    def _forget(self) -> None:
        """Drops what was known about the stack as it was."""
        self.built = False
        self._build_shapes = None
        self._shapes = None
        self._row_shapes = []
        self._reset_library()

    def _maybe_rebuild(self) -> None:
        if len(self._layers) < 2:
            return
        first = self._layers[0]
        if isinstance(first, InputLayer):
            self.build(first.batch_shape)
        elif isinstance(first, Sequential) and first.built:
            self.build(first.input_shape)

    @property
    def layers(self) -> list[Layer]:
        """The layers that were added, without the Input."""
        return self._layers[1:] if self.input_layer is not None else self._layers[:]

    @property
    def input_layer(self) -> InputLayer | None:
        """What the rows look like, if that is known."""
        first = self._layers[0] if self._layers else None
        return first if isinstance(first, InputLayer) else None

    def _sublayers(self) -> list[Layer]:
        return list({id(layer): layer for layer in self._layers}.values())

    def _attributes(self) -> Iterator[Any]:
        """A Sequential holds nothing but its layers: what a Trainer keeps is not state."""
        return iter(self._layers)

    # -------------------------------------------------------------- build and call

    def build(self, input_shape: Any = None) -> None:
        """Makes the weights of all layers.

        Args:
            input_shape: shape of the input with the number of rows, for example
                ``(None, 784)``; that of the Input if None.

        Raises:
            ModelError: there are no layers, or the shape does not fit.
        """
        if not self._layers:
            raise ModelError(f"{self._where}: has no layers. Add some: model.add(Dense(10)).")
        given = self.input_layer
        if input_shape is None:
            if given is None:
                raise ModelError(f"{self._where}: expected a shape, for example build((None, 784)).")
            input_shape = given.batch_shape
        shape = standardize_shape(input_shape, f"{self._where}: build")
        if not shape:
            raise ModelError(f"{self._where}: expected a shape with the number of rows first, received ().")
        if given is None:
            shape = (None, *shape[1:])
        elif given.batch_shape[1:] != shape[1:]:
            raise ModelError(
                f"{self._where}: takes an input of shape {given.batch_shape}; it cannot be built for {shape}."
            )
        else:
            shape = given.batch_shape
        row_shapes = []
        before = shape
        for layer in self.layers:
            layer._check_input(before, layer.input_dtype)
            layer._maybe_build(before)
            after = layer.compute_output_shape(before)
            layer._shapes = (before, after)
            row_shapes.append(after)
            before = after
        if given is None:
            self._layers.insert(0, InputLayer(batch_shape=shape, dtype=self._layers[0].input_dtype))
        self._row_shapes = row_shapes
        self._shapes = (shape, before)
        self._build_shapes = {"input_shape": shape}

    def _check_input(self, shape: Shape, dtype: str) -> None:
        if self._shapes is not None and len(shape) == len(self._shapes[0]):
            expected = self._shapes[0]
            if any(a != b and None not in (a, b) for a, b in zip(shape[1:], expected[1:], strict=True)):
                advice = "Its weights were made for that shape."
                raise ModelError(f"{self._where}: expected shape {(None, *expected[1:])}, received {shape}. {advice}")
        elif self._shapes is not None:
            raise ModelError(f"{self._where}: expected shape {(None, *self._shapes[0][1:])}, received {shape}.")

    def _adjust_rank(self, array: Array) -> Array:
        """Adds or drops a last axis of size 1 if that is all that keeps data from fitting."""
        if self._shapes is None:
            return array
        expected = self._shapes[0]
        if array.ndim == len(expected) + 1 and array.shape[-1] == 1:
            return array[..., 0]
        if array.ndim == len(expected) - 1 and expected[-1] == 1:
            return array[..., None]
        return array

    def _array(self, inputs: Any) -> Array:
        given = self.input_layer
        if given is None:
            return super()._array(inputs)
        # As in Keras the Input says the type, integers included.
        return self._adjust_rank(super()._array(inputs).astype(given.dtype, copy=False))

    @property
    def input_dtype(self) -> str:
        given = self.input_layer
        return self.dtype if given is None else given.dtype

    def __call__(self, inputs: Any, *args: Any, training: bool | None = None, **kwargs: Any) -> Any:
        """Returns the outputs for an array, computed by the compiled network as ``predict`` does.

        With ``training=True``, for the expression of a formula and within another layer the layers are called one by
        one, as :meth:`call` does.

        Args:
            inputs: array-like of the shape the model expects, rows first.
            *args: further arguments of ``call``.
            training: whether the layers behave as in training.
            **kwargs: further arguments of ``call``.

        Raises:
            ModelError: the shape or the type does not fit.
        """
        if not (training or args or kwargs or layers_around()):
            outputs = self._prepared(inputs)
            if outputs is not None:
                return outputs
            if self.built and not isinstance(inputs, ops.Expression):
                x = self._array(inputs)
                self._check_input(x.shape, str(x.dtype))
                if len(x) and self._computes_alike():
                    return self._outputs(inputs, f"{self._title}: call")
        if training is not None:
            kwargs["training"] = training
        return super().__call__(inputs, *args, **kwargs)

    def _computes_alike(self) -> bool:
        """Whether the compiled network does what :meth:`call` does: in one type, for an input whose size is known."""
        types = {layer.dtype for layer in self._layers}
        return type(self).call is Sequential.call and types == {self.dtype} and None not in self.input_shape[1:]

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        registry.refuse(f"{self._where}: call", mask=mask)
        x = inputs
        for layer in self.layers:
            x = layer(x, training=training)
        return x

    def compute_output_shape(self, input_shape: Any) -> Shape:
        shape = standardize_shape(input_shape, self._where)
        for layer in self.layers:
            shape = layer.compute_output_shape(shape)
        return shape

    @property
    def input_shape(self) -> Shape:
        """Shape of the input, None for the number of rows; an AttributeError if not known."""
        if self._shapes is None:
            raise AttributeError(f"{self._where}: has no input shape before it is built.")
        return self._shapes[0]

    @property
    def output_shape(self) -> Shape:
        """Shape of the output, None for the number of rows; an AttributeError if not known."""
        if self._shapes is None:
            raise AttributeError(f"{self._where}: has no output shape before it is built.")
        return self._shapes[1]

    # -------------------------------------------------------------- configuration

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        config["layers"] = [base.serialize(layer) for layer in self._layers]
        if self._shapes is not None:
            config["build_input_shape"] = self._shapes[0]
        return config

    @classmethod
    def from_config(cls, config: Any, custom_objects: Mapping[str, Any] | None = None) -> Self:
        """Makes the model that :meth:`get_config` described.

        Args:
            config: of this, of Keras 2 or 3, or the bare list of layers of Keras 1.
            custom_objects: classes and functions of the user's own, by name.

        Raises:
            FileFormatError: it is none of these.
        """
        if isinstance(config, list):
            config = {"layers": config}
        layers = config.get("layers") if isinstance(config, Mapping) else None
        if not isinstance(layers, list):
            raise FileFormatError(f"{cls.__name__}: expected a configuration with layers, received {config!r:.80}.")
        trainable = config.get("trainable", True)
        with _known(custom_objects):
            model = cls(name=config.get("name"))
            made: list[tuple[Any, Layer]] = []
            for form in layers:
                # A form that stands there twice is one layer, used twice.
                known = [layer for other, layer in made if other == form and _has_name(form)]
                layer = known[0] if known else base.deserialize(form)
                made.append((form, layer))
                model.add(layer, rebuild=False)
            model._maybe_rebuild()
            shape = config.get("build_input_shape")
            if not model.built and shape and model.layers:
                model.build(standardize_shape(shape, f"{cls.__name__}: build_input_shape"))
            if not model.built:
                for form, layer in made:
                    layer.build_from_config(form.get("build_config"))
        model._trainable = bool(trainable)
        return model


base.MODELS["Sequential"] = Sequential


def _has_name(form: Any) -> bool:
    config = form.get("config")
    return isinstance(config, Mapping) and isinstance(config.get("name"), str)


def _known(custom_objects: Mapping[str, Any] | None) -> contextlib.AbstractContextManager[Any]:
    """A scope in which classes and functions of the user's are known by name."""
    from .saving import CustomObjectScope

    return CustomObjectScope(custom_objects)


def _layer_advice(thing: Any) -> str:
    """What to do about something that is not a layer."""
    if isinstance(thing, type) and issubclass(thing, Layer):
        return f"Make one: {thing.__name__}(…)."
    module = type(thing).__module__.partition(".")[0]
    if module in ("keras", "tensorflow", "tf_keras"):
        return f"This one is of {module}; make it from nncompile.layers."
    if isinstance(thing, str) or callable(thing):
        return "A function or its name goes into Activation(…)."
    return "Layers are in nncompile.layers."


# ------------------------------------------------------------------ from and to other forms


def model_from_json(json_string: str, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """Makes the model that ``to_json``, here or in Keras, described; its weights are new.

    Args:
        json_string: what ``to_json`` returned, or the ``config.json`` of a ``.keras`` file.
        custom_objects: classes and functions of the user's own, by name.

    Raises:
        FileFormatError: it is not JSON, or not of a model.
        UnsupportedError: it uses something that nncompile has not.
    """
    from . import saving

    return saving.model_from_json(json_string, custom_objects)


def clone_model(
    model: Model,
    input_tensors: Any = None,
    clone_function: Callable[[Layer], Layer] | None = None,
    call_function: Any = None,
    recursive: bool = False,
    **kwargs: Any,
) -> Any:
    """Returns a model of equal layers with new weights.

    Args:
        model: a Sequential, or a model of a class of the user's own.
        input_tensors: an ``Input`` for the clone, if it shall take other rows.
        clone_function: makes the clone of a layer; from its configuration if None.
        call_function: not supported: it is for functional models.
        recursive: whether inner models are cloned by ``clone_function`` as well.
        **kwargs: none.

    Raises:
        ModelError: an argument that does not fit the model.
    """
    registry.check_keywords("clone_model", kwargs, ("input_tensors", "clone_function", "recursive"))
    if not isinstance(model, Model):
        raise ModelError(f"clone_model: expected a model, received {model!r:.80}.")
    if call_function is not None:
        raise ModelError("clone_model: call_function is for functional models; this one is a Sequential.")
    if not isinstance(model, Sequential):
        if clone_function is not None or input_tensors is not None:
            raise ModelError("clone_model: clone_function and input_tensors are for Sequential models.")
        return type(model).from_config(model.get_config())
    return _clone_sequential(model, input_tensors, clone_function, recursive, {})


def _clone_sequential(
    model: Sequential,
    inputs: Any,
    function: Callable[[Layer], Layer] | None,
    recursive: bool,
    cache: dict[int, Layer],
) -> Sequential:
    def clone(layer: Layer) -> Layer:
        if id(layer) not in cache:
            if recursive and isinstance(layer, Sequential):
                cache[id(layer)] = _clone_sequential(layer, None, function, recursive, cache)
            elif function is not None:
                cache[id(layer)] = function(layer)
            else:
                # Functions of the user's are known to the layer, if to nobody else.
                functions = {f.__name__: f for f in vars(layer).values() if inspect.isfunction(f)}
                with _known(functions):
                    cache[id(layer)] = type(layer).from_config(layer.get_config())
        return cache[id(layer)]

    if isinstance(inputs, (list, tuple)):
        if len(inputs) != 1:
            raise ModelError(f"clone_model: expected one Input, received {len(inputs)}.")
        inputs = inputs[0]
    if inputs is not None and not isinstance(inputs, InputLayer):
        raise ModelError(f"clone_model: expected an Input, received {inputs!r:.80}.")
    given = model.input_layer
    if inputs is None and given is not None:
        inputs = InputLayer.from_config(given.get_config())
    layers = [clone(layer) for layer in model.layers]
    copy = Sequential([inputs, *layers] if inputs is not None else layers, model.trainable, model.name)
    compile_config = model.get_compile_config() if model.compiled else None
    if compile_config:
        copy.compile_from_config(compile_config)
    return copy


# ------------------------------------------------------------------ summary


def _summary(
    model: Model,
    line_length: int | None,
    positions: Sequence[float] | None,
    expand_nested: bool,
    show_trainable: bool,
    layer_range: Sequence[str] | None,
    ascii_only: bool,
) -> str:
    header = ["Layer (type)", "Output Shape", "Param #"]
    alignments = ["left", "left", "right"]
    ends = list(positions or (0.45, 0.80, 1.0))
    length = 88
    if show_trainable:
        header.append("Trainable")
        alignments.append("center")
        ends = [0.9 * end for end in ends] + [1.0]
        length += 12
    if len(ends) != len(header):
        raise ModelError(f"summary: expected {len(header)} positions, received {len(ends)}.")
    import shutil

    length = line_length or min(length, shutil.get_terminal_size().columns - 4)
    rows: list[list[str]] = []
    layers = _with_shapes(model)
    first, last = _row_range([layer for layer, _ in layers], layer_range)
    for layer, shape in layers[first:last]:
        _summary_rows(rows, layer, shape, 0, expand_nested, show_trainable)
    text = format_table(header, rows, _column_widths(ends, length), alignments, ascii_only)
    lines = [f'Model: "{model.name}"', text]
    trainable = _unique(model.trainable_weights)
    frozen = _unique(model.non_trainable_weights)
    optimizer: list[Variable] = []
    has_optimizer = bool(model.compiled and model.optimizer and getattr(model.optimizer, "built", False))
    if has_optimizer:
        optimizer = _unique(model.optimizer.variables)
    counts = [("Total", trainable + frozen + optimizer), ("Trainable", trainable), ("Non-trainable", frozen)]
    counts += [("Optimizer", optimizer)] if has_optimizer else []
    for label, variables in counts:
        numbers = sum(int(np.prod(v.shape, dtype="int64")) for v in variables)
        size = sum(int(np.prod(v.shape, dtype="int64")) * np.dtype(v.dtype).itemsize for v in variables)
        lines.append(f" {label} params: {numbers:,} ({_readable_size(size)})")
    return "\n".join(lines) + "\n"


def _unique(variables: Iterable[Variable]) -> list[Variable]:
    return list({id(v): v for v in variables}.values())


def _with_shapes(model: Model) -> list[tuple[Layer, Shape | None]]:
    """Returns the layers with the shapes of their outputs, at the place where they stand."""
    layers = model.layers
    if isinstance(model, Sequential) and len(model._row_shapes) == len(layers):
        return list(zip(layers, model._row_shapes, strict=True))
    return [(layer, _known_shape(layer)) for layer in layers]


def _known_shape(layer: Layer) -> Shape | None:
    try:
        return layer.output_shape if layer.built else None
    except (AttributeError, ModelError, NotImplementedError):
        return None


def _summary_rows(
    rows: list[list[str]],
    layer: Layer,
    shape: Shape | None,
    depth: int,
    expand_nested: bool,
    show_trainable: bool,
) -> None:
    prefix = "   " * depth + "└ " if depth else ""
    row = [
        f"{prefix}{layer.name} ({type(layer).__name__})",
        "?" if shape is None else f"({', '.join(map(str, shape))})",
        f"{layer.count_params():,}" if layer.built else "0 (unbuilt)",
    ]
    if show_trainable:
        row.append(("Y" if layer.trainable else "N") if layer.weights else "-")
    rows.append(row)
    if expand_nested and isinstance(layer, Model):
        for inner, inner_shape in _with_shapes(layer):
            _summary_rows(rows, inner, inner_shape, depth + 1, expand_nested, show_trainable)


def _column_widths(ends: Sequence[float], length: int) -> list[int]:
    """Returns the room for text in each column of a table that is ``length`` wide.

    Lines between the columns and a blank at either side of a text come out of the
    columns in equal shares, rounded so that the table is exactly that wide.
    """
    edges = [0, *(int(end * length) for end in ends)]
    asked = [right - left for left, right in itertools.pairwise(edges)]
    if min(asked) < 4:
        raise ModelError(f"summary: a line of {length} characters has no room for {len(asked)} columns.")
    excess = sum(asked) + 3 * len(asked) + 1 - length
    widths = []
    for index, width in enumerate(asked):
        share = round(excess / (len(asked) - index))
        widths.append(max(width - share, 1))
        excess -= share
    return widths


def _row_range(layers: Sequence[Layer], layer_range: Sequence[str] | None) -> tuple[int, int]:
    """Returns where the rows that ``layer_range`` names begin and end."""
    if layer_range is None:
        return 0, len(layers)
    if isinstance(layer_range, str) or len(layer_range) != 2 or not all(isinstance(name, str) for name in layer_range):
        raise ModelError(f"summary: expected layer_range to be two names, received {layer_range!r:.80}.")
    found = []
    for name in layer_range:
        try:
            matches = [index for index, layer in enumerate(layers) if re.match(name, layer.name)]
        except re.error as error:
            raise ModelError(f"summary: layer_range {name!r} is no regular expression: {error}.") from error
        if not matches:
            raise ModelError(f"summary: no layer is called {name!r}.")
        found.append(matches)
    first, last = min(found[0]), max(found[1])
    if first > last:  # given the other way round
        first, last = min(found[1]), max(found[0])
    return first, last + 1


def _readable_size(size: float) -> str:
    for unit in ("B", "KB", "MB", "GB", "TB"):
        if size < 1024:
            return f"{size:.2f} {unit}"
        size /= 1024
    return f"{size:.2f} PB"
