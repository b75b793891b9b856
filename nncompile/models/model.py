"""Model: what all kinds of models share, with the interface of ``keras.Model``."""

from __future__ import annotations

import contextlib
import inspect
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from .. import registry, tree
from ..errors import FileFormatError, ModelError, ModelTypeError, UnsupportedError
from ..layers import legacy, state
from ..layers.base import Layer
from ..layers.serialization import MODELS, serialize
from ..layers.shapes import Shape, standardize_shapes
from ..ops.symbolic import FunctionOperation, KerasTensor
from ..training import Trainer
from .network import Network, label
from .summary import summary_text

if TYPE_CHECKING:
    from typing_extensions import Self

Array = NDArray[Any]
T = TypeVar("T")
PathLike = str | Path

_LEGACY = {"input": "inputs", "output": "outputs"}


class Model(Trainer, Layer):
    """Base of models: a layer that can be trained, saved and exported.

    There are three ways to make one. A :class:`Sequential` is a stack of layers. With
    ``inputs`` and ``outputs`` it is the graph of the layers that were called in between::

        inputs = Input((784,))
        outputs = Dense(10, activation="softmax")(Dense(500, activation="relu")(inputs))
        model = Model(inputs, outputs)

    And a class of a user's own makes its layers in ``__init__`` and calls them in ``call``.

    Args:
        inputs: the tensor that ``Input`` returned, or a list, tuple or dictionary of
            such. A tensor from the midst of another model becomes an input as well.
        outputs: the tensor that a layer returned, or a structure of such.
        trainable: whether the optimizer may change the weights.
        dtype: element type.
        name: any string without ``/``.
        *args: of a class of a user's own, none.
        **kwargs: the same by name; ``input`` and ``output``, the spellings of Keras 1.

    Raises:
        ModelError: the inputs and outputs make no graph.

    Source: ``keras.Model``.
    """

    _takes_masks = False  # values that go in have theirs

    _network: Network | None = None

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        if cls is Model and _has_graph(args, kwargs):
            return super().__new__(MODELS["Functional"])
        return super().__new__(cls, *args, **kwargs)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        graph: dict[str, Any] = {}
        if _has_graph(args, kwargs):
            owner = type(self).__name__
            kwargs = registry.rename_keywords(owner, kwargs, _LEGACY, legacy.caller_level() + 1)
            if len(args) > 3:
                raise ModelTypeError(
                    f"{owner} takes inputs, outputs and name, received {len(args)} positional arguments."
                )
            graph = dict(zip(("inputs", "outputs", "name"), args, strict=False))
            for name in graph.keys() & kwargs.keys():
                raise ModelTypeError(f"{owner} got two values for {name!r}.")
            graph.update({k: kwargs.pop(k) for k in ("inputs", "outputs", "name") if k in kwargs})
            kwargs["name"] = graph.pop("name", None)
            if kwargs.get("trainable", True) is None:
                del kwargs["trainable"]
            for name in ("inputs", "outputs"):
                if name not in graph:
                    raise ModelTypeError(f"{owner} expected both inputs and outputs; {name} is missing.")
        elif args:
            raise ModelTypeError(f"{type(self).__name__} takes inputs and outputs, or keywords; received {args!r:.80}.")
        Trainer.__init__(self)
        Layer.__init__(self, **kwargs)
        if graph:
            self._set_network(Network(graph["inputs"], graph["outputs"], self._where))

    # -------------------------------------------------------------- the graph

    def _set_network(self, network: Network) -> None:
        """Makes this the model of a graph."""
        if isinstance(network.inputs_struct, Mapping):
            for key, tensor in network.inputs_struct.items():
                if isinstance(tensor, KerasTensor) and key != tensor.name:
                    warnings.warn(
                        f"{self._where}: the input {key!r} is the tensor {tensor.name!r}. "
                        f"Name it alike: Input(…, name={key!r}).",
                        UserWarning,
                        stacklevel=legacy.caller_level(),
                    )
        self._network = network
        self._path = self.name
        self.built = True

    @property
    def _is_functional(self) -> bool:
        """Whether it was made of inputs and outputs."""
        return self._network is not None

    def _graph(self, what: str) -> Network:
        if self._network is None:
            raise AttributeError(f"{self._where}: has no {what}: its inputs are not known. Build it with Input().")
        return self._network

    @property
    def inputs(self) -> list[KerasTensor]:
        """The symbolic inputs, in order."""
        return list(self._graph("inputs").inputs)

    @property
    def outputs(self) -> list[KerasTensor]:
        """The symbolic outputs, in order."""
        return list(self._graph("outputs").outputs)

    @property
    def input(self) -> Any:
        """The symbolic inputs in the structure in which they were given."""
        return self._network.inputs_struct if self._network is not None else super().input

    @property
    def output(self) -> Any:
        """The symbolic outputs in the structure in which they were given."""
        return self._network.outputs_struct if self._network is not None else super().output

    @property
    def input_shape(self) -> Any:
        """Shape of the input, or a list of those of several; an AttributeError if not known."""
        if self._network is None:
            return super().input_shape
        shapes = [x.shape for x in self._network.inputs]
        return shapes[0] if len(shapes) == 1 else shapes

    @property
    def output_shape(self) -> Any:
        """Shape of the output, or a list of those of several; an AttributeError if not known."""
        if self._network is None:
            return super().output_shape
        shapes = [x.shape for x in self._network.outputs]
        return shapes[0] if len(shapes) == 1 else shapes

    @property
    def operations(self) -> list[Any]:
        """All that is called in the graph, each once, in the order of the summary."""
        return list(self._graph("operations").operations)

    # -------------------------------------------------------------- what the compiler asks

    def _input_specs(self) -> list[tuple[str, Shape, str]]:
        """Returns name, shape of a row and element type of each input, in order.

        The inputs of a dictionary have its keys for names, others those of their Input.

        Raises:
            ModelError: the model is not built.
        """
        if self._network is not None:
            struct = self._network.inputs_struct
            named = isinstance(struct, Mapping)
            return [
                (str(path[-1]) if named and isinstance(path[-1], str) else label(x), x.shape[1:], x.dtype)
                for path, x in tree.flatten_with_path(struct)
            ]
        shapes = _shapes_with_path(self._built_shapes())
        names = _names("input", [path for path, _ in shapes])
        return [(name, tuple(shape[1:]), self.input_dtype) for name, (_, shape) in zip(names, shapes, strict=True)]

    def _built_shapes(self) -> Any:
        """The shape, or the structure of shapes, of what a class of the user's own is called on."""
        if not self.built:
            raise ModelError(f"{self._where}: is not built: the shapes of its inputs are not known.")
        return self.input_shape

    def _pack_inputs(self, values: Sequence[Any]) -> Any:
        """Puts values for the inputs, in order, into the structure on which ``call`` is called."""
        if self._network is not None:
            return tree.pack_sequence_as(self._network.inputs_struct, values)
        marks = tree.map_shape_structure(lambda shape: 0, self._built_shapes())
        return tree.pack_sequence_as(marks, values)

    def _unpack_outputs(self, structure: Any) -> list[Any]:
        """Returns what ``call`` returned as a list, in the order of :attr:`output_names`."""
        return tree.flatten(structure)

    def _pack_outputs(self, values: Sequence[Any]) -> Any:
        """Puts values of the outputs, in order, into what ``call`` returns; keys are sorted, as by Keras on JAX."""
        if self._network is not None:
            return tree.counted_order(_unpacked(tree.pack_sequence_as(self._network.outputs_struct, values)))
        structure = tree.map_shape_structure(lambda shape: 0, self.output_shape)
        return tree.counted_order(tree.pack_sequence_as(structure, values))

    def _output_specs(self) -> list[tuple[str | None, Shape]]:
        """Returns the name by which targets and logs know an output, and its shape, for each output in order.

        As in Keras, those of a class of the user's own have names only in a dictionary of arrays.
        """
        if self._network is not None:
            shapes = [x.shape for x in self._network.outputs]
            return list(zip(self.output_names, shapes, strict=True))
        found = _shapes_with_path(self.output_shape)
        flat = all(len(path) < 2 for path, _ in found)
        return [
            (path[0] if flat and path and isinstance(path[0], str) else None, tuple(shape)) for path, shape in found
        ]

    @property
    def input_names(self) -> list[str]:
        """Names of the inputs, in order."""
        return [name for name, _, _ in self._input_specs()]

    @property
    def output_names(self) -> list[str]:
        """Names of the outputs, in order: of the layers that return them, or the keys of a dictionary."""
        if self._network is not None:
            struct = self._network.outputs_struct
            if isinstance(struct, Mapping) and not any(map(tree.is_nested, struct.values())):
                return [str(path[0]) for path, _ in tree.flatten_with_path(struct)]
            return [x._keras_history.operation.name for x in self._network.outputs]
        return _names("output", [path for path, _ in _shapes_with_path(self.output_shape)])

    # -------------------------------------------------------------- layers

    def _seal(self) -> None:
        """A model may get further layers after it was built."""

    def _attributes(self, kind: type[T]) -> Iterator[T]:
        """As of a layer, but what a Trainer keeps in lists are other layers' weights."""
        if self._network is not None:
            yield from (x for x in self._network.operations if isinstance(x, kind))
        for name, value in list(self.__dict__.items()):
            if isinstance(value, kind) and name not in state.NOT_STATE:
                yield value
            elif kind is Layer and name not in state.NOT_STATE:
                yield from state.held_by(value, kind)

    @property
    def layers(self) -> list[Layer]:
        """The layers directly in the model, in the order in which files and summaries have them."""
        if self._network is not None:
            return [x for x in self._network.operations if isinstance(x, Layer)]
        return self._sublayers()

    def get_layer(self, name: str | None = None, index: int | None = None) -> Layer:
        """Returns a layer by its name or its position.

        Args:
            name: of the layer.
            index: its position in :attr:`layers`, counted from the end if below 0.

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
        text = summary_text(self, line_length, positions, expand_nested, show_trainable, layer_range, ascii_only)
        if print_fn is not None:
            print_fn(text)
        else:
            print(text.encode(encoding, "replace").decode(encoding) if ascii_only else text, end="")

    # -------------------------------------------------------------- build and call

    def build(self, input_shape: Any = None) -> None:
        """Makes the weights of all layers, by running the model once on a few rows.

        Args:
            input_shape: shape of the input with the number of rows, for example
                ``(None, 784)``, or the structure of shapes that ``call`` takes. A model
                of a graph is built already and needs none.

        Raises:
            ModelError: ``call`` fails for this shape.
        """
        if self._network is not None:
            return
        if input_shape is None:
            raise ModelError(f"{self._where}: expected a shape, for example build((None, 784)).")
        shape = standardize_shapes(input_shape, f"{self._where}: build")
        call = self.call
        if self._call_signature.training:
            self._infer_output_shape(shape, lambda x: call(x, training=False))
        else:
            self._infer_output_shape(shape, call)

    def _check_inputs(self, inputs: Any) -> None:
        if self._network is None:
            super()._check_inputs(inputs)
            return
        values = self._network.standardized(inputs)
        for value, tensor in zip(values, self._network.inputs, strict=True):
            if value is None:
                raise ModelError(f"{self._where}: expected an array for the input {label(tensor)!r}, received None.")
            self._network.check(tuple(value.shape), tensor)

    def _standardized(self, value: Any, first: bool) -> Any:
        if self._network is None or not first:
            return super()._standardized(value, first)
        values = self._network.standardized(value)
        made = [
            self._converted(super(Model, self)._standardized(x, True), tensor)
            for x, tensor in zip(values, self._network.inputs, strict=True)
        ]
        return tree.pack_sequence_as(self._network.inputs_struct, made)

    def _converted(self, value: Any, tensor: KerasTensor) -> Any:
        """A value of the type and the number of axes that an input has."""
        assert self._network is not None
        if isinstance(value, np.ndarray):
            value = value.astype(tensor.dtype, copy=False)
        return value if value is None or isinstance(value, KerasTensor) else self._network.fitted(value, tensor)

    def _array(self, inputs: Any) -> Array:
        if self._network is None or len(self._network.inputs) != 1:
            return super()._array(inputs)
        # As in Keras the Input says the type, integers included.
        tensor = self._network.inputs[0]
        return super()._array(inputs).astype(tensor.dtype, copy=False)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Returns the outputs for arrays, expressions or symbolic tensors; see :class:`~nncompile.layers.Layer`.

        Args:
            *args: what ``call`` takes: an array, or a list, tuple or dictionary of arrays as the model has inputs.
            **kwargs: further arguments of ``call``.

        Raises:
            ModelError: a shape or a type does not fit.
        """
        if self._network is not None and (len(args) == 1 or "inputs" in kwargs):
            inputs = args[0] if args else kwargs.pop("inputs")
            return self._call_any((inputs,), kwargs)
        return super().__call__(*args, **kwargs)

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        """Calls the layers of the graph; a class of the user's own overrides it.

        Args:
            inputs: values, or a structure of such, as the model was made of.
            training: whether it is trained; None for what the call around says.
            mask: not supported; only None.

        Returns:
            The outputs, in the structure that the model was made of.
        """
        network = self._network
        if network is None:
            raise UnsupportedError(
                f"{type(self).__name__} must define call(self, inputs), or be made of inputs and outputs."
            )
        registry.refuse(f"{self._where}: call", mask=mask)
        values = [self._converted(x, t) for x, t in zip(network.standardized(inputs), network.inputs, strict=True)]

        def call(operation: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
            # As in Keras what the call around says of training holds for all, whatever was recorded.
            if training is not None and isinstance(operation, Layer) and operation._call_signature.training:
                kwargs["training"] = training
            return operation(*args, **kwargs)

        return _unpacked(network.run(values, call))

    def compute_output_spec(self, *args: Any, **kwargs: Any) -> Any:
        network = self._network
        if network is None:
            return super().compute_output_spec(*args, **kwargs)
        given = network.standardized(args[0])
        if all(x.shape == known.shape for x, known in zip(given, network.inputs, strict=True)):
            return _unpacked(tree.map_structure(lambda x: KerasTensor(x.shape, x.dtype), network.outputs_struct))

        def call(operation: Any, inner: tuple[Any, ...], named: dict[str, Any]) -> Any:
            if isinstance(operation, FunctionOperation):
                return operation._inferred(inner, named)
            return operation.compute_output_spec(*inner, **named)

        return _unpacked(network.run(given, call))

    def compute_output_shape(self, input_shape: Any) -> Any:
        if self._network is None:
            return super().compute_output_shape(input_shape)
        shapes = standardize_shapes(input_shape, self._where)
        given = self._network.standardized(tree.map_shape_structure(lambda s: KerasTensor(s, name=""), shapes))
        for x, known in zip(given, self._network.inputs, strict=True):
            x.dtype = known.dtype
        return tree.map_structure(lambda x: x.shape, self.compute_output_spec(given))

    compute_output_shape._is_default = True  # type: ignore[attr-defined]

    # -------------------------------------------------------------- files

    def save(self, filepath: PathLike, overwrite: bool = True, zipped: bool | None = None, **kwargs: Any) -> None:
        """Writes the model to a ``.keras`` file; see :func:`nncompile.saving.save_model`.

        Args:
            filepath: where; the name ends in ``.keras``, or in ``.h5`` or ``.hdf5``.
            overwrite: whether an existing file is replaced.
            zipped: only None or True.
            **kwargs: others of ``save_model``.

        Raises:
            ModelError: the name has another ending, the file exists, or the model has something that no file can hold.
        """
        from .. import saving

        saving.save_model(self, filepath, overwrite=overwrite, zipped=zipped, **kwargs)

    def save_weights(self, filepath: PathLike, overwrite: bool = True, max_shard_size: Any = None) -> None:
        """Writes a ``.weights.h5`` file; see :func:`nncompile.saving.save_weights`.

        Args:
            filepath: where; the name ends in ``.weights.h5``.
            overwrite: whether an existing file is replaced.
            max_shard_size: only None.

        Raises:
            ModelError: the model is not built, the name has another ending, or the file exists.
        """
        from .. import saving

        saving.save_weights(self, filepath, overwrite=overwrite, max_shard_size=max_shard_size)

    def load_weights(self, filepath: PathLike, skip_mismatch: bool = False, **kwargs: Any) -> None:
        """Reads weights from a file; see :func:`nncompile.saving.load_weights`.

        Args:
            filepath: a ``.weights.h5``, ``.keras`` or legacy ``.h5`` file.
            skip_mismatch: leave layers out that do not fit, with a warning.
            **kwargs: others of ``load_weights``.

        Raises:
            ModelError: the model is not built, or has other layers than the file.
            FileFormatError: there is no such file, or it is damaged, foreign or hostile.
        """
        from .. import saving

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

        Returns:
            The :class:`~nncompile.export.Report`: sizes, and the multiply-adds of each layer.
        """
        from ..export import export_model

        registry.refuse("export", input_signature=input_signature)
        if verbose is not None:
            kwargs["verbose"] = verbose
        return export_model(self, filepath, format=format, **kwargs)

    def to_json(self, **kwargs: Any) -> str:
        """Returns the configuration of the model as JSON, which Keras reads as well.

        Args:
            **kwargs: those of ``json.dumps``.
        """
        import json  # it takes a while to import, and few need it

        return json.dumps(serialize(self), **kwargs)

    # -------------------------------------------------------------- configuration

    def get_config(self) -> dict[str, Any]:
        """Returns what makes an equal model, as Keras writes it."""
        if self._is_functional and takes_graph(type(self)):
            return MODELS["Functional"]._network_config(self)  # type: ignore[attr-defined, no-any-return]
        return super().get_config()

    get_config._is_default = True  # type: ignore[attr-defined]

    def get_build_config(self) -> dict[str, Any] | None:
        return {"input_shape": None} if self._is_functional else super().get_build_config()

    @classmethod
    def from_config(cls, config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None) -> Self:
        """Returns the model that ``get_config`` described.

        Args:
            config: of this, or of Keras 2 or 3.
            custom_objects: classes and functions of the user's own, by name.

        Raises:
            FileFormatError: it is none of these.
        """
        with known_objects(custom_objects):
            if "input_layers" in config and "output_layers" in config and takes_graph(cls):
                made: Self = MODELS["Functional"]._from_network_config(cls, config)  # type: ignore[attr-defined]
                return made
            if cls is MODELS["Functional"]:
                keys = list(config)[:5]
                raise FileFormatError(
                    f"{cls.__name__}: expected input_layers and output_layers, received {keys!r:.80}."
                )
            return super().from_config(config)


Model.build._is_default = True  # type: ignore[attr-defined]


def _has_graph(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> bool:
    """Whether these are the arguments of a model made of inputs and outputs."""
    given = {"inputs", "outputs", *_LEGACY} & kwargs.keys()
    return len(args) >= 2 or bool(given and (args or len(given) >= 1))


def takes_graph(cls: type[Model]) -> bool:
    """Whether a class can be made of inputs, outputs and a name, and of nothing else, as Model can."""
    init = cls.__init__
    if init in (Model.__init__, MODELS["Functional"].__init__):
        return True
    return list(inspect.signature(init).parameters)[1:4] == ["inputs", "outputs", "name"]


def _shapes_with_path(shapes: Any) -> list[tuple[tuple[Any, ...], Any]]:
    """Returns the shapes in a structure in order, each with what leads to it."""
    places = tree.flatten_with_path(tree.map_shape_structure(lambda shape: 0, shapes))
    found: list[Any] = []
    tree.map_shape_structure(found.append, shapes)
    return [(path, shape) for (path, _), shape in zip(places, found, strict=True)]


def _names(what: str, paths: Sequence[tuple[Any, ...]]) -> list[str]:
    """Names for the inputs or outputs of a class of the user's own: keys of dictionaries, else counted."""
    if len(paths) == 1 and not paths[0]:
        return [what]
    return [path[-1] if isinstance(path[-1], str) else f"{what}_{number}" for number, path in enumerate(paths, 1)]


def _unpacked(x: Any) -> Any:
    """What is alone in a list or tuple, without it."""
    return x[0] if isinstance(x, (list, tuple)) and len(x) == 1 and not tree.is_shape(x) else x


def known_objects(custom_objects: Mapping[str, Any] | None) -> contextlib.AbstractContextManager[Any]:
    """A scope in which classes and functions of the user's are known by name."""
    from ..saving import CustomObjectScope

    return CustomObjectScope(custom_objects)
