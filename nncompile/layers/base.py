"""Layer: what all layers share, with the interface of ``keras.layers.Layer``.

A layer is its arguments, its weights (made by ``build``, once the width of the input is
known) and its ``call``, a formula over :mod:`nncompile.ops`. Called with an array it
computes with NumPy; called with an expression it becomes part of a program. A layer of
a user's own is written as for Keras::

    class Scale(nncompile.layers.Layer):
        def build(self, input_shape):
            self.factor = self.add_weight(shape=(input_shape[-1],), initializer="ones", name="factor")

        def call(self, inputs):
            return inputs * self.factor

What it is made of, in the order in which the class below has need of it:

- :mod:`.legacy`: keywords of Keras 1 and 2
- :mod:`.state`: how a weight is made, and what weights and layers the attributes hold
- :mod:`.building`: what is added to every ``build``, and the run that finds the shape of the output
- :mod:`.shapes`: shapes, and what is expected of them
- :mod:`.scope`: what is around a call: the layers that paths begin with, the mode of training
- :mod:`.arguments`: the arguments of calls and constructors by name
- :mod:`.limits`: how much a file may ask for
- :mod:`.penalties`: what ``add_loss`` and activity regularizers add to the loss

Keras' serialized form of it is in :mod:`.serialization`.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .. import absent, backend, constraints, dtype_policies, ops, registry, regularizers, targets, tree
from ..dtype_policies import DTypePolicy
from ..errors import FileFormatError, ModelError, ModelTypeError, NncompileError, UnsupportedError
from ..ops import symbolic
from ..ops.symbolic import KerasTensor, Node
from ..random import SeedGenerator
from ..variables import Variable
from . import building, legacy, limits, masks, penalties, scope, state
from .arguments import CallSignature, constructor_arguments, is_tensor, shape_arguments
from .shapes import InputSpec, Shape, standardize_shape, standardize_shapes

if TYPE_CHECKING:
    from typing_extensions import Self

Array = NDArray[Any]
T = TypeVar("T")


class Layer(absent.Refusing, symbolic.Operation):
    """Base of all layers.

    Args:
        activity_regularizer: of the output; divided by the number of rows and added to the loss.
        trainable: whether the optimizer may change its weights.
        dtype: ``"float32"``, ``"float64"``, ``"mixed_bfloat16"`` or a ``DTypePolicy``;
            ``config.dtype_policy()`` if None.
        autocast: whether floating-point input is converted to the type of the layer.
        name: any string without ``/``; made from the class if None.
        **kwargs: the spellings of Keras 1 and 2 (``input_shape``, ``input_dim``,
            ``batch_input_shape``, ``weights``), each with a DeprecationWarning.

    Raises:
        TypeError: a keyword that is none of these; the nearest is named.
        ModelError: an argument that cannot be right.
        UnsupportedError: an argument that Keras has and nncompile has not.

    Source: ``keras.layers.Layer``.
    """

    name: str
    built: bool = False
    input_spec: InputSpec | None = None
    supports_masking: bool = False
    _takes_masks = True

    _trainable_variables: list[Variable]
    _non_trainable_variables: list[Variable]
    _constants: dict[str, Variable]
    _losses: list[Any]
    _auto_named: bool
    _trainable: bool
    _policy: DTypePolicy
    _building: bool = False
    _sealed: bool = False
    _path: str | None = None
    _build_shapes: dict[str, Any] | None = None
    _shapes: tuple[Any, Any] | None = None
    _batch_shape_argument: Shape | None = None
    _initial_weights: Sequence[ArrayLike] | None = None
    _simple: bool = True
    """Whether its weights are those of ``add_weight`` alone and it has no inner layers: no attribute holds others."""
    _takes_integers: bool = True
    """Whether ``call`` wants integers as they are; if not, they become ``dtype`` first."""
    _row_by_row: bool = False
    """Whether it treats the last axis alone, the same for any axes before it."""
    _takes_several: bool = False
    """Whether a layer of this package takes lists of tensors; those of users may do what they like."""

    _arguments: tuple[tuple[Any, ...], dict[str, Any]] = ((), {})
    _call_signature: CallSignature = CallSignature()

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        layer = super().__new__(cls)
        layer.__dict__["_inbound_nodes"] = []
        layer.__dict__["_outbound_nodes"] = []
        layer.__dict__["_trainable_variables"] = []
        layer.__dict__["_non_trainable_variables"] = []
        layer.__dict__["_constants"] = {}
        layer.__dict__["_losses"] = []
        if getattr(cls.get_config, "_is_default", False):  # then it is made from these
            layer.__dict__["_arguments"] = (args, kwargs)
        return layer

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        build = cls.__dict__.get("build")
        if inspect.isfunction(build):
            cls.build = building.wrap_build(build)  # type: ignore[method-assign]
        if "call" in cls.__dict__:
            cls._call_signature = CallSignature.of(cls.call)

    def __init__(
        self,
        *,
        activity_regularizer: Any = None,
        trainable: bool = True,
        dtype: Any = None,
        autocast: bool = True,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        owner = type(self).__name__
        registry.check_keywords(
            owner,
            {k: v for k, v in kwargs.items() if k not in legacy.LEGACY_KEYWORDS},
            (*inspect.signature(type(self).__init__).parameters, *legacy.LAYER_KEYWORDS),
        )
        self._auto_named = name is None
        if name is None:
            name = backend.auto_name(owner)
        if not isinstance(name, str):
            raise ModelError(f"{owner}: expected name to be a string, received {name!r:.80}.")
        self.name = name  # Keras refuses a '/'; here names are data wherever they go, and saving warns of it
        if not isinstance(trainable, bool):
            raise ModelError(f"{owner}: expected trainable to be True or False, received {trainable!r:.80}.")
        self.autocast = bool(autocast)
        self.activity_regularizer = regularizers.get(activity_regularizer)
        self._trainable = trainable
        self._policy = dtype_policies.get(dtype, f"{owner}: dtype")
        if "weights" in kwargs:
            self._initial_weights = legacy.initial_weights(owner, kwargs)
        shape = legacy.batch_shape(owner, kwargs)
        if shape is not None:
            self._batch_shape_argument = shape

    def _check_super_called(self) -> None:
        if "_trainable" not in self.__dict__:
            name = type(self).__name__
            raise RuntimeError(f"{name}: __init__ must call super().__init__(**kwargs) before anything else.")

    @property
    def _where(self) -> str:
        """The layer as errors name it: ``dense_1 (Dense)``."""
        name = self.name if self.name.isprintable() and self.name else repr(self.name)
        return f"{name} ({type(self).__name__})"

    def __repr__(self) -> str:
        return f"<{type(self).__name__} name={self.__dict__.get('name')}, built={self.built}>"

    # -------------------------------------------------------------- settings

    @property
    def dtype(self) -> str:
        """Element type of the weights, and of all that is computed but products."""
        return self._policy.variable_dtype

    @property
    def variable_dtype(self) -> str:
        """Element type of the weights."""
        return self.dtype

    @property
    def compute_dtype(self) -> str:
        """Type of the operands of matrix products: ``"bfloat16"`` if mixed, else ``dtype``."""
        return self._policy.compute_dtype

    @property
    def dtype_policy(self) -> DTypePolicy:
        """In which types the layer works."""
        return self._policy

    @dtype_policy.setter
    def dtype_policy(self, value: Any) -> None:
        policy = dtype_policies.get(value, f"{self._where}: dtype_policy")
        if self.built and policy.variable_dtype != self.dtype:
            raise ModelError(
                f"{self._where}: dtype_policy: its weights are {self.dtype} already, received {policy.name}. "
                "Set it before the layer is built."
            )
        self._policy = policy
        targets.changed()  # a prepared prediction multiplies as before

    @property
    def input_dtype(self) -> str:
        """Type of the arrays that it takes."""
        return self.dtype

    @property
    def path(self) -> str | None:
        """Names of the layers around it and its own, once it is built."""
        return self._path

    @property
    def trainable(self) -> bool:
        """Whether the optimizer may change its weights; setting it sets all inner layers'."""
        return self._trainable

    @trainable.setter
    def trainable(self, value: bool) -> None:
        self._trainable = bool(value)
        for variable in self._trainable_variables:
            variable.trainable = self._trainable
        for layer in self._sublayers():
            layer.trainable = self._trainable

    # -------------------------------------------------------------- weights

    def add_weight(
        self,
        shape: Sequence[int] | None = None,
        initializer: Any = None,
        dtype: Any = None,
        trainable: bool = True,
        autocast: bool = True,
        regularizer: Any = None,
        constraint: Any = None,
        aggregation: str | None = "none",
        overwrite_with_gradient: bool = False,
        name: str | None = None,
    ) -> Variable:
        """Makes a weight; call it in ``build`` or ``__init__``.

        Args:
            shape: sizes; ``()``, a single number, if None.
            initializer: see :func:`nncompile.initializers.get`; ``glorot_uniform`` if
                None, ``zeros`` for integers.
            dtype: element type; the layer's if None.
            trainable: whether the optimizer changes it.
            autocast: kept for the interface: there is one element type per layer.
            regularizer: what gives a penalty on it; see :func:`nncompile.regularizers.get`.
            constraint: what is made of it after each update; see :func:`nncompile.constraints.get`.
            aggregation: kept for the interface: there is one replica.
            overwrite_with_gradient: not supported; only False.
            name: last part of its path.

        Returns:
            The weight.

        Raises:
            ModelError: the shape is not known, or the layer was built before.
        """
        self._check_super_called()
        label = self._where
        if isinstance(shape, str):
            raise ModelError(f"{label}: add_weight takes the name as a keyword: add_weight(shape=…, name={shape!r}).")
        registry.refuse(f"{label}: add_weight", overwrite_with_gradient=overwrite_with_gradient)
        regularizer, constraint = regularizers.get(regularizer), constraints.get(constraint)
        if aggregation not in (None, "none", "mean", "sum", "only_first_replica"):
            raise ModelError(f"{label}: add_weight does not know aggregation={aggregation!r}.")
        if self._sealed and not self._building:
            raise ModelError(f"{label}: is built; weights can only be added in __init__ or build.")
        if self._sealed:
            raise ModelError(f"{label}: is built already, for an input of shape {self.input_shape}.")
        variable = state.make_weight(
            label,
            scope.path_of(self),
            name=name,
            shape=shape,
            dtype=self.dtype if dtype is None else dtype,
            initializer=initializer,
            trainable=bool(trainable),
        )
        if regularizer is not None:
            variable.regularizer = regularizer
        if constraint is not None:
            variable.constraint = constraint
        (self._trainable_variables if trainable else self._non_trainable_variables).append(variable)
        if not self._trainable:
            variable.trainable = False
        return variable

    add_variable = add_weight

    def _constant(self, name: str, value: ArrayLike) -> Variable:
        """Keeps numbers that the formula needs and that are no weights: files do not hold them.

        Args:
            name: for the C.
            value: the numbers, on one axis or none.
        """
        numbers = np.asarray(value, dtype=self.dtype)
        constant = self._constants.get(name)
        if constant is None or not np.array_equal(constant.value, numbers):
            constant = Variable(numbers, dtype=numbers.dtype, name=name, path=f"{self.name}/{name}", trainable=False)
            self._constants[name] = constant
        return constant

    @property
    def weights(self) -> list[Variable]:
        """All weights: own ones, then those of inner layers in order."""
        if self._simple and type(self)._sublayers is Layer._sublayers:
            return self._variables()
        return state.unique(variable for layer in self._walk() for variable in layer._variables())

    @property
    def trainable_weights(self) -> list[Variable]:
        """The weights that the optimizer changes."""
        return [v for v in self.weights if v.trainable] if self.trainable else []

    @property
    def non_trainable_weights(self) -> list[Variable]:
        """The weights that the optimizer leaves alone."""
        return [v for v in self.weights if not v.trainable] if self.trainable else self.weights

    @property
    def variables(self) -> list[Variable]:
        """All weights and the states of random seeds."""
        result: list[Variable] = []
        for layer in self._walk():
            result += layer._variables()
            result += [seed.state for seed in layer._attributes(SeedGenerator)]
        return state.unique(result)

    @property
    def trainable_variables(self) -> list[Variable]:
        """Those of :attr:`variables` that the optimizer changes."""
        return [v for v in self.variables if v.trainable] if self.trainable else []

    @property
    def non_trainable_variables(self) -> list[Variable]:
        """Those of :attr:`variables` that the optimizer leaves alone."""
        return [v for v in self.variables if not v.trainable] if self.trainable else self.variables

    def get_weights(self) -> list[Array]:
        """Returns the numbers of :attr:`weights`."""
        return [variable.numpy() for variable in self.weights]

    def set_weights(self, weights: Sequence[ArrayLike]) -> None:
        """Sets the numbers of :attr:`weights`; all of them or, on error, none.

        Args:
            weights: an array for each.

        Raises:
            ModelError: another number of arrays, or of another shape.
        """
        own = self.weights
        if len(weights) != len(own):
            hint = "" if self.built else " Build it first: it has no weights before it knows its input's width."
            raise ModelError(f"{self._where}: expected {len(own)} weights, received {len(weights)}.{hint}")
        arrays = [np.asarray(w) for w in weights]
        for variable, array in zip(own, arrays, strict=True):
            if array.shape != variable.shape:
                raise ModelError(
                    f"{self._where}: expected shape {variable.shape} for {variable.path}, received {array.shape}."
                )
        for variable, array in zip(own, arrays, strict=True):
            variable.assign(array)

    def count_params(self) -> int:
        """Returns how many numbers the weights have.

        Raises:
            ModelError: the layer is not built.
        """
        if not self.built:
            raise ModelError(f"{self._where}: has no weights before it is built. Call build(input_shape) first.")
        return sum(math.prod(variable.shape) for variable in self.weights)

    def save_own_variables(self, store: Any) -> None:
        """Puts the own weights into ``store`` under ``"0"``, ``"1"``, …

        Args:
            store: takes arrays by name.
        """
        for index, variable in enumerate(self._variables()):
            store[str(index)] = variable.value

    def load_own_variables(self, store: Any) -> None:
        """Takes the own weights from ``store``, as :meth:`save_own_variables` put them.

        Args:
            store: arrays by name.

        Raises:
            ModelError: another number of arrays, or of another shape.
        """
        own = self._variables()
        if len(store) != len(own):
            hint = "" if self.built else " The layer is not built."
            raise ModelError(f"{self._where}: expected {len(own)} weights, received {len(store)}.{hint}")
        for index, variable in enumerate(own):
            variable.assign(store[str(index)])

    # -------------------------------------------------------------- what its attributes hold

    def __setattr__(self, name: str, value: Any) -> None:
        if type(value) in state.PLAIN:
            super().__setattr__(name, value)
            return
        if self._simple and name not in state.NOT_STATE and self._may_hold(value):
            super().__setattr__("_simple", False)
        if self._sealed and isinstance(value, (Variable, Layer)):
            known = [*self._variables(), *self._sublayers()]
            if not any(value is thing for thing in known):
                raise ModelError(
                    f"{self._where}: is built; {name!r} can only be set to a weight or a layer in __init__ or build."
                )
        if not self._simple and isinstance(value, Layer):
            self._sublayers()  # what lists got so far comes before it, and what they get later behind it, as in Keras
            super().__setattr__(name, value)
            self._sublayers()
        else:
            super().__setattr__(name, value)

    def _may_hold(self, value: Any) -> bool:
        """Whether a value is or holds further weights or layers, or may do so later, as a list may."""
        if isinstance(value, Variable):
            return not any(value is known for known in (*self._trainable_variables, *self._non_trainable_variables))
        return isinstance(value, (list, dict)) or any(state.held_by(value, kind) for kind in (Variable, Layer))

    def _attributes(self, kind: type[T]) -> Iterator[T]:
        """Yields the variables, layers or seeds that were set as attributes, in order."""
        return state.held(self.__dict__, kind)

    def _sublayers(self) -> list[Layer]:
        """The inner layers, in the order in which the layer got them: a list may get some after other attributes."""
        if self._simple:
            return []
        seen: list[Layer] = self.__dict__.setdefault("_layers_seen", [])
        return state.in_order(seen, (x for x in self._attributes(Layer) if x is not self))

    def _variables(self) -> list[Variable]:
        """Own weights without those of inner layers: trainable first, as Keras orders them."""
        made = state.unique([*self._trainable_variables, *self._non_trainable_variables])
        if self._simple:
            return made
        others = [v for v in self._attributes(Variable) if not any(v is known for known in made)]
        first = [*self._trainable_variables, *(v for v in others if v.trainable)]
        return state.unique([*first, *self._non_trainable_variables, *others])

    def _walk(self) -> list[Layer]:
        """The layer and all inner layers, each once, outer before inner."""
        found: dict[int, Layer] = {}

        def visit(layer: Layer) -> None:
            if id(layer) not in found:
                found[id(layer)] = layer
                for inner in layer._sublayers():
                    visit(inner)

        visit(self)
        return list(found.values())

    # -------------------------------------------------------------- build

    def build(self, input_shape: Any) -> None:
        """Makes the weights; a subclass that has any overrides it.

        Args:
            input_shape: shape of the input, None for the number of rows.

        Raises:
            ModelError: a layer must know a size that is None there, or cannot work with the shape.
        """
        if any(not layer.built for layer in self._sublayers()):
            # Inner layers are built when they are called, so a trial run builds them.
            run = functools.partial(self.call, training=False) if self._call_signature.training else self.call
            self._infer_output_shape(standardize_shapes(input_shape, self._where), run)

    build = building.wrap_build(build)
    build._is_default = True  # type: ignore[attr-defined]

    def _finish_build(self) -> None:
        self.built = True
        self._seal()
        if self._initial_weights is not None:
            initial, self._initial_weights = self._initial_weights, None
            self.set_weights(initial)

    def _seal(self) -> None:
        self._sealed = True

    def _build_at_init(self) -> None:
        """Marks a layer without weights as built; the last line of its ``__init__``."""
        if type(self).build is Layer.build:
            self._finish_build()

    def _maybe_build(self, input_shape: Any) -> None:
        if not self.built:
            self.build(input_shape)

    def _build_for(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        """Builds the layer for the arguments of a call."""
        kwargs = {name: value for name, value in kwargs.items() if name != "training"}
        tensors = symbolic.tensors_among((args, kwargs))
        shapes = self._call_signature.shapes(args, kwargs)
        if len(tensors) == 1 and args and isinstance(args[0], KerasTensor):
            self._maybe_build(tensors[0].shape)
        elif len(shapes) == 1:
            self._maybe_build(next(iter(shapes.values())))
        elif getattr(type(self).build, "_is_default", False):  # inner layers are built as they are called
            self._path = scope.path_of(self)
            self._build_shapes = {f"{name}_shape": shape for name, shape in shapes.items()}
            self._finish_build()
        else:
            self.build(**shape_arguments(type(self).build, shapes))

    def get_build_config(self) -> dict[str, Any] | None:
        """Returns the shapes that ``build`` was called with, or None."""
        shapes = self._build_shapes
        if not shapes:
            return None
        return {"input_shape": next(iter(shapes.values()))} if len(shapes) == 1 else {"shapes_dict": shapes}

    def build_from_config(self, config: Mapping[str, Any] | None) -> None:
        """Builds for the shapes that :meth:`get_build_config` returned.

        Args:
            config: what that returned.
        """
        if not config or self.built:
            return
        if "input_shape" in config:
            self.build(standardize_shapes(config["input_shape"], self._where))
        elif isinstance(config.get("shapes_dict"), Mapping):
            shapes = {k: standardize_shapes(v, self._where) for k, v in config["shapes_dict"].items()}
            self.build(**shapes)

    # -------------------------------------------------------------- shapes

    @property
    def input_shape(self) -> Any:
        """Shape of the input, None for the number of rows; an AttributeError if not known."""
        if self._shapes is not None:
            return self._shapes[0]
        shapes = list((self._build_shapes or {}).values())
        if len(shapes) != 1 or not isinstance(shapes[0], (tuple, list, dict)):
            raise AttributeError(f"{self._where}: has no input shape before it is built.")
        return shapes[0]

    @property
    def output_shape(self) -> Any:
        """Shape of the output, None for the number of rows; an AttributeError if not known."""
        return self._shapes[1] if self._shapes is not None else self.compute_output_shape(self.input_shape)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Returns the shape of the output for one of the input, None for the number of rows.

        A layer that does not say is run on a few rows.

        Args:
            input_shape: a shape, or for a layer of several tensors the structure of their shapes.

        Raises:
            ModelError: its ``call`` failed on those; what it raised is the cause.
            UnsupportedError: likewise, with a NotImplementedError.
        """
        return self._infer_output_shape(standardize_shapes(input_shape, self._where))

    compute_output_shape._is_default = True  # type: ignore[attr-defined]

    def _infer_output_shape(self, input_shape: Any, function: Callable[..., Any] | None = None) -> Any:
        """Runs the layer on 2 and on 3 rows: sizes that differ are the number of rows."""
        given = tree.map_shape_structure(lambda shape: KerasTensor(shape, self.dtype, name=""), input_shape)
        outputs = building.tried(self, (given,), {}, function)
        return tree.map_structure(lambda tensor: tensor.shape, outputs)

    def compute_output_spec(self, *args: Any, **kwargs: Any) -> Any:
        """Returns symbolic tensors of the shapes and types that a call with such arguments returns.

        Args:
            *args: those of ``call``, with symbolic tensors in the place of arrays.
            **kwargs: likewise.
        """
        kwargs.pop("training", None)
        shape_of = type(self).compute_output_shape
        if getattr(shape_of, "_is_default", False):
            return building.tried(self, args, kwargs)
        tensors = symbolic.tensors_among((args, kwargs))
        shapes = self._call_signature.shapes(args, kwargs)
        if isinstance(args[0], KerasTensor) and len(tensors) == 1:
            shapes = {"input_shape": args[0].shape}
        if len(shapes) == 1:
            shape = self.compute_output_shape(next(iter(shapes.values())))
        else:
            shape = self.compute_output_shape(**shape_arguments(shape_of, shapes))
        return tree.map_shape_structure(
            lambda s: KerasTensor(standardize_shape(s, self._where), self._output_dtype(tensors)), shape
        )

    def _output_dtype(self, inputs: Sequence[KerasTensor]) -> str:
        """Type of what it returns for such tensors."""
        return self.dtype

    # -------------------------------------------------------------- call

    def call(self, *args: Any, **kwargs: Any) -> Any:
        """The formula: what the layer makes of its input. Every layer overrides it, and its class says what it does.

        Args:
            *args: the inputs: values, the batch first, or a list or dictionary of such where a layer takes several.
            **kwargs: where a layer takes them ``training``, whether it is trained, and ``mask``, which entries count.

        Returns:
            Values in the shape that :meth:`compute_output_shape` returns.

        Raises:
            ModelError: a layer cannot compute that, as it is or with these arguments.
        """
        raise UnsupportedError(f"{type(self).__name__} must define call(self, inputs).")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Applies the layer to arrays, to expressions of a formula, or to the tensors of a model that is described.

        Args:
            *args: those of ``call``: an array-like of the shape that the layer expects, rows first, or a list, tuple
                or dictionary of such for a layer of several inputs. With tensors that ``Input`` or another layer
                returned the call is recorded, and what is returned are tensors again.
            **kwargs: those of ``call``; ``training`` is passed on to inner layers, and
                is left out for a ``call`` that does not take it.

        Raises:
            ModelError: the shape or the type does not fit.
        """
        self._check_super_called()
        plain = len(args) == 1 and (not kwargs or (len(kwargs) == 1 and "training" in kwargs))
        if not plain or not isinstance(args[0], (np.ndarray, ops.Expression)):
            return self._call_any(args, kwargs)
        inputs = args[0]
        symbols = isinstance(inputs, ops.Expression)
        x = inputs if symbols else self._array(inputs)
        shape, dtype = tuple(x.shape), str(x.dtype)
        with self._calling(kwargs, symbols):
            self._check_input(shape, dtype)
            if not self.built:
                self._maybe_build(scope.built_for(shape))
                self._check_input(shape, dtype)
            return self._penalized(self._applied((x,), kwargs))

    def _call_any(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """As :meth:`__call__`, for all that is not one array or expression."""
        if not args:
            first = (*self._call_signature.positional, "inputs")[0]
            if first not in kwargs:
                raise TypeError(f"{self._where}: missing the argument {first!r}, what the layer is called on.")
            args = (kwargs.pop(first),)
        if kwargs.get("mask", self) is None and not self._call_signature.mask:
            del kwargs["mask"]
        if args[0] is None:
            raise ModelError(f"{self._where}: expected arrays or tensors, received None. Call it on something.")
        args = (self._standardized(args[0], True), *(self._standardized(x, False) for x in args[1:]))
        kwargs = {name: self._standardized(x, False) for name, x in kwargs.items()}
        if symbolic.tensors_among((args, kwargs)):
            return self._record(args, kwargs)
        symbols = any(isinstance(x, ops.Expression) for x in tree.flatten((args, kwargs)))
        with self._calling(kwargs, symbols):
            self._check_inputs(args[0])
            if not self.built:
                self._build_for(args, kwargs)
                self._check_inputs(args[0])
            return self._penalized(self._applied(args, kwargs))

    def _applied(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """What ``call`` returns, with masks where there are any."""
        if not masks.there_are() and type(self).compute_mask is _COMPUTE_MASK and kwargs.get("mask") is None:
            return self.call(*args, **kwargs)
        return masks.applied(self, args, kwargs)

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        """Returns the mask of what the layer returns: that of its input, unless a class says otherwise.

        Args:
            inputs: of the call.
            previous_mask: of these, or None.

        Source: ``keras.layers.Layer.compute_mask``.
        """
        return previous_mask

    def _calling(self, kwargs: dict[str, Any], symbols: bool) -> contextlib.AbstractContextManager[None]:
        """Returns what ``call`` is to be run in; ``kwargs`` get the mode of training that there is in there."""
        training = kwargs.pop("training", None)
        if training is None:
            training = scope.training_around()
        if training is None:
            training = self._call_signature.default
        if training is not None and self._call_signature.training:
            kwargs["training"] = training
        if not symbols and not scope.layers_around():  # the outermost call
            for layer in self._walk():
                layer._losses.clear()
        return scope.calling(self, training, symbols)

    def _traced(self, inputs: Any, training: bool) -> Any:
        """What :meth:`call` returns in a mode of training, which all that it calls is in as well."""
        with scope.training(training):
            return self.call(inputs, **({"training": training} if self._call_signature.training else {}))

    def _record(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Calls the layer on symbolic tensors: it is built, and what it will return is known by shape and type."""
        recorded = self._call_signature.recorded(kwargs)
        with scope.inside(self):
            self._check_inputs(args[0])
            if not self.built:
                self._build_for(args, kwargs)
                self._check_inputs(args[0])
            outputs = self.compute_output_spec(*args, **recorded)
        limits.check(outputs, self._where)
        Node(self, args, recorded, outputs)
        shapes = list(self._call_signature.shapes(args, {}).values())
        taken = args[0].shape if isinstance(args[0], KerasTensor) else shapes[0] if shapes else None
        if self._shapes is None or not isinstance(self._shapes, tuple):
            self._shapes = (taken, tree.map_structure(lambda x: x.shape, outputs))
        return outputs

    def _standardized(self, value: Any, first: bool) -> Any:
        """An argument of a call with arrays for all that can be one; ``first`` must be numbers."""
        if isinstance(value, (KerasTensor, ops.Expression)) or value is None:
            return value
        if isinstance(value, Mapping):
            return tree.map_structure(lambda x: self._standardized(x, first), value)
        if isinstance(value, (list, tuple)) and any(map(is_tensor, tree.flatten(value))):
            return tree.map_structure(lambda x: self._standardized(x, first), value)
        return self._array(value) if first or is_tensor(value) else value

    def _array(self, inputs: Any) -> Array:
        """Returns the input as an array of the type that ``call`` works in."""
        if isinstance(inputs, Layer):
            raise ModelError(
                f"{self._where}: expected arrays or tensors, received the layer {inputs._where}. "
                "Call it on something, and give what it returns."
            )
        try:
            array = np.asarray(inputs)
        except ValueError as error:
            raise ModelError(f"{self._where}: expected an array, received {type(inputs).__name__}: {error}.") from error
        if array.dtype.kind not in "biuf":
            raise ModelError(f"{self._where}: expected numbers, received an array of {array.dtype}.")
        if self.autocast and (array.dtype.kind == "f" or not self._takes_integers):
            array = array.astype(self.input_dtype, copy=False)
        return array

    def _check_inputs(self, inputs: Any) -> None:
        """Raises ModelError if the first argument, one or several tensors, does not fit."""
        several = isinstance(self.input_spec, (list, tuple)) and len(self.input_spec) != 1
        if not tree.is_nested(inputs) and not several:
            self._check_input(tuple(inputs.shape), str(inputs.dtype))
            return
        tensors, specs = tree.flatten(inputs), self.input_spec
        built_in = registry.registered("layers").get(type(self).__name__) is type(self)
        count = len(specs) if isinstance(specs, (list, tuple)) else 1
        if specs is None and (self._takes_several or not built_in):
            return
        if len(tensors) != count:
            noun = "input" if count == 1 else "inputs"
            shapes = ", ".join(str(tuple(getattr(x, "shape", ()))) for x in tensors)
            raise ModelError(f"{self._where}: expected {count} {noun}, received {len(tensors)} of shapes {shapes}.")
        if isinstance(specs, (list, tuple)):
            for spec, x in zip(specs, tensors, strict=True):
                if x is not None:
                    self._check_spec(spec, tuple(x.shape), str(x.dtype))
        else:
            self._check_input(tuple(tensors[0].shape), str(tensors[0].dtype))

    def _check_input(self, shape: Shape, dtype: str) -> None:
        """Raises ModelError if an input of this shape and type does not fit."""
        specs = self.input_spec if isinstance(self.input_spec, (list, tuple)) else [self.input_spec]
        for spec in specs:
            self._check_spec(spec, shape, dtype)

    def _check_spec(self, spec: InputSpec | None, shape: Shape, dtype: str) -> None:
        expected = spec.complaint(shape, dtype) if spec is not None else None
        if expected:
            raise ModelError(f"{self._where}: expected {expected}, received shape {shape} of {dtype}.")

    # -------------------------------------------------------------- penalties

    @property
    def losses(self) -> list[Any]:
        """Penalties of the last call, of the layer and of all inner layers; then those on weights as they are."""
        penalized = [v for v in self.trainable_weights if v.regularizer is not None]
        of_weights = [regularizers.penalty(v.regularizer, v.value, v.path) for v in penalized]
        return [*(loss for layer in self._walk() for loss in layer._losses), *of_weights]

    def add_loss(self, loss: Any) -> None:
        """Adds penalties to the loss; called in ``call``.

        Args:
            loss: one or a list. In a formula a number for the whole batch, made of sums and means over it such
                as ``ops.mean(x)``, or values whose sum over rows and columns is added. Given arrays, numbers
                for :attr:`losses`.

        Source: ``keras.layers.Layer.add_loss``.
        """
        for one in loss if isinstance(loss, (list, tuple)) else [loss]:
            if isinstance(one, ops.Expression):
                penalties.add(one, self._where)
            else:
                self._losses.append(one)

    def _penalized(self, outputs: Any) -> Any:
        """Returns outputs, after their penalty, divided by the number of rows, was added if there is one."""
        for output in tree.flatten(outputs) if self.activity_regularizer is not None else ():
            if isinstance(output, ops.Expression):
                penalties.add_activity(self.activity_regularizer, output, self._where)
                continue
            loss = self.activity_regularizer(output)
            rows = len(output) if np.ndim(output) else 1
            self.add_loss(loss / np.dtype(self.dtype).type(rows) if rows else 0.0 * loss)
        return outputs

    # -------------------------------------------------------------- configuration

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that make an equal layer, as Keras writes them.

        A class that does not override it gets the arguments its constructor was given.

        Raises:
            UnsupportedError: one of those cannot be written to a file.
        """
        self._check_super_called()
        dtype = dtype_policies.serialize(self._policy)
        config: dict[str, Any] = {"name": self.name, "trainable": self.trainable, "dtype": dtype}
        if self.activity_regularizer is not None:
            config["activity_regularizer"] = regularizers.serialize(self.activity_regularizer)
        if not getattr(type(self).get_config, "_is_default", False):
            return config
        given = constructor_arguments(type(self), *self._arguments, self._where)
        parameters = inspect.signature(type(self).__init__).parameters
        if "name" not in parameters and not any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
            del config["name"]
        return {**{k: v for k, v in config.items() if k == "name"}, **given, **config}

    get_config._is_default = True  # type: ignore[attr-defined]

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """Returns the layer that :meth:`get_config` described.

        Args:
            config: its arguments.

        Raises:
            FileFormatError: an entry is not an argument of the class.
        """
        arguments = dict(config)
        if isinstance(arguments.get("dtype"), Mapping):
            arguments["dtype"] = dtype_policies.get(arguments["dtype"], f"{cls.__name__}: dtype").name
        shape = arguments.pop("batch_input_shape", None)  # Keras 2 had it in the first layer
        parameters = inspect.signature(cls.__init__).parameters
        later: dict[str, Any] = {}
        if not any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
            later = {
                k: arguments.pop(k) for k in ("name", "trainable", "dtype") if k in arguments and k not in parameters
            }
        try:
            layer = cls(**arguments)
        except NncompileError as error:
            if not isinstance(error, ModelTypeError):
                raise
            raise FileFormatError(f"{cls.__name__}: its configuration does not fit: {error}") from error
        except TypeError as error:
            raise FileFormatError(f"{cls.__name__}: its configuration does not fit: {error}") from error
        if later.get("trainable") is False:
            layer.trainable = False
        if shape is not None:
            layer._batch_shape_argument = standardize_shape(shape, f"{cls.__name__}: batch_input_shape")
        return layer

    def __reduce__(self) -> tuple[Any, ...]:
        """Lets ``pickle`` and ``copy`` make an equal layer; see :mod:`nncompile.saving.pickling`."""
        from ..saving import pickling

        return pickling.reduce(self)

    # -------------------------------------------------------------- what Keras has and this has not

    def add_metric(self, *args: Any, **kwargs: Any) -> None:
        """Is not supported; give metrics to ``compile``.

        Args:
            *args: none.
            **kwargs: none.

        Raises:
            UnsupportedError: always.
        """
        raise UnsupportedError(f"{self._where}: add_metric is not supported. Give metrics to compile().")

    def quantize(self, mode: Any = None, **kwargs: Any) -> None:
        """Is not supported yet.

        Args:
            mode: none.
            **kwargs: none.

        Raises:
            UnsupportedError: always.
        """
        raise UnsupportedError(f"{self._where}: quantize({mode!r}) is not supported yet.")


_COMPUTE_MASK = Layer.compute_mask
