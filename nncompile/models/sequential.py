"""Sequential: a stack of layers.

It is built as soon as it knows the shape of a row: from its ``Input``, from ``build``,
or from the first data. A model built from data has, as in Keras, the number of rows of
its first batch in its shapes; it takes batches of any size all the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from .. import backend, ops, registry, tree
from ..errors import FileFormatError, ModelError, ModelIndexError
from ..layers.base import Layer
from ..layers.core import InputLayer
from ..layers.scope import layers_around
from ..layers.serialization import MODELS, deserialize, serialize
from ..layers.shapes import standardize_shape, standardize_shapes
from ..ops.symbolic import KerasTensor
from .model import Model, known_objects
from .network import Network, input_layer_of

if TYPE_CHECKING:
    from typing_extensions import Self

T = TypeVar("T")


class Sequential(Model):
    """A stack of layers, each of which takes what the one before it returns.

    Args:
        layers: the layers in order; an ``Input`` first, or a shape given later.
        trainable: whether the optimizer may change the weights.
        name: any string without ``/``; made up if None.

    Raises:
        ModelError: something that is no layer, or two layers of one name.

    Source: ``keras.Sequential``.
    """

    def __init__(self, layers: Iterable[Layer] | None = None, trainable: bool = True, name: str | None = None) -> None:
        super().__init__(trainable=trainable, name=name)
        self._layers: list[Layer] = []
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
        if isinstance(layer, KerasTensor):  # what Input() returns
            layer = input_layer_of(layer) or layer
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
        """Returns the layer on top, which it removes.

        Args:
            rebuild: whether to build the rest at once.

        Raises:
            ModelError: there is none.
        """
        if not self._layers:
            raise ModelIndexError(f"{self._where}: has no layer to remove.")
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
        self._network = None
        self._reset_library()

    def _maybe_rebuild(self) -> None:
        if len(self._layers) < 2:
            return
        first = self._layers[0]
        if isinstance(first, InputLayer):
            self.build(first.batch_shape)
        elif isinstance(first, Model) and first.built and tree.is_shape(first.input_shape):
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

    def _attributes(self, kind: type[T]) -> Iterator[T]:
        """A Sequential holds nothing but its layers: what a Trainer keeps is not state."""
        return (x for x in self._layers if isinstance(x, kind))

    @property
    def _is_functional(self) -> bool:
        return False

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
        if given is None and tree.is_nested(input_shape) and not tree.is_shape(input_shape):
            self._build_for_several(standardize_shapes(input_shape, f"{self._where}: build"))
            return
        shape = standardize_shape(input_shape, f"{self._where}: build")
        if not shape:
            raise ModelError(f"{self._where}: expected a shape with the number of rows first, received ().")
        if given is not None and given.batch_shape[1:] != shape[1:]:
            raise ModelError(
                f"{self._where}: takes an input of shape {given.batch_shape}; it cannot be built for {shape}."
            )
        shape = shape if given is None else given.batch_shape
        first = given or InputLayer(batch_shape=shape, dtype=self._layers[0].input_dtype)
        x = first.output
        for layer in self.layers:
            x = layer(x)
        if given is None:
            self._layers.insert(0, first)
        self._network = Network(first.output, x, self._where)
        backend.auto_name("Functional")  # Keras makes one here, and counts it: names of later ones depend on it
        self._build_shapes = {"input_shape": shape}

    def _build_for_several(self, shapes: Any) -> None:
        """Builds a stack whose first layer takes a structure of tensors; no Input can say that."""
        dtype = self._layers[0].input_dtype
        inputs = tree.map_shape_structure(lambda shape: InputLayer(batch_shape=shape, dtype=dtype).output, shapes)
        x = inputs
        for layer in self.layers:
            x = layer(x)
        self._network = Network(inputs, x, self._where)
        self._build_shapes = {"input_shape": tree.map_structure(lambda tensor: tensor.shape, inputs)}

    @property
    def input_dtype(self) -> str:
        """Element type of the input."""
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
            if self.built and self._network is not None and self._is_plain(inputs) and len(self._network.inputs) == 1:
                x = self._converted(self._array(inputs), self._network.inputs[0])
                if len(x) and self._computes_alike():
                    return self._outputs(inputs, f"{self._title}: call")
        if training is not None:
            kwargs["training"] = training
        return super().__call__(inputs, *args, **kwargs)

    @staticmethod
    def _is_plain(inputs: Any) -> bool:
        """Whether this is one array, or what can be made one."""
        if isinstance(inputs, (ops.Expression, KerasTensor, Mapping)):
            return False
        return not isinstance(inputs, (list, tuple)) or not any(
            isinstance(x, (ops.Expression, KerasTensor)) for x in inputs
        )

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

    def compute_output_spec(self, *args: Any, **kwargs: Any) -> Any:
        if self._network is not None:
            return super().compute_output_spec(*args, **kwargs)
        x = args[0]
        for layer in self.layers:
            x = layer.compute_output_spec(x)
        return x

    def compute_output_shape(self, input_shape: Any) -> Any:
        if self._network is not None:
            return super().compute_output_shape(input_shape)
        shape = standardize_shape(input_shape, self._where)
        for layer in self.layers:
            shape = layer.compute_output_shape(shape)
        return shape

    @property
    def input_shape(self) -> Any:
        """Shape of the input, None for the number of rows; an AttributeError if not known."""
        return self._graph("input shape") and super().input_shape

    @property
    def output_shape(self) -> Any:
        """Shape of the output, None for the number of rows; an AttributeError if not known."""
        return self._graph("output shape") and super().output_shape

    # -------------------------------------------------------------- configuration

    def get_config(self) -> dict[str, Any]:
        config = Layer.get_config(self)
        config["layers"] = [serialize(layer) for layer in self._layers]
        if self._network is not None:
            config["build_input_shape"] = self.input_shape
        return config

    @classmethod
    def from_config(cls, config: Any, custom_objects: Mapping[str, Any] | None = None) -> Self:
        """Returns the model that :meth:`get_config` described.

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
        with known_objects(custom_objects):
            model = cls(name=config.get("name"))
            made: list[tuple[Any, Layer]] = []
            for form in layers:
                # A form that stands there twice is one layer, used twice.
                known = [layer for other, layer in made if other == form and _has_name(form)]
                layer = known[0] if known else deserialize(form)
                made.append((form, layer))
                model.add(layer, rebuild=False)
            model._maybe_rebuild()
            shape = config.get("build_input_shape")
            if not model.built and shape and model.layers:
                model.build(standardize_shapes(shape, f"{cls.__name__}: build_input_shape"))
            if not model.built:
                for form, layer in made:
                    layer.build_from_config(form.get("build_config"))
        model._trainable = bool(trainable)
        return model


MODELS["Sequential"] = Sequential


def _has_name(form: Any) -> bool:
    config = form.get("config")
    return isinstance(config, Mapping) and isinstance(config.get("name"), str)


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
