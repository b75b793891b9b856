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

Paths of weights, such as ``sequential/dense/kernel``, come from the layers that are
being built or called around them, which a context variable keeps.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import math
import os
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .. import backend, constraints, dtype_policies, initializers, ops, registry, regularizers, targets, tree
from .. import config as settings
from ..dtype_policies import DTypePolicy
from ..errors import FileFormatError, ModelError, NncompileError, UnsupportedError
from ..ops import batch, symbolic
from ..ops.symbolic import KerasTensor, Node
from ..random import SeedGenerator
from ..variables import Variable, records
from . import penalties

if TYPE_CHECKING:
    from typing_extensions import Self

Array = NDArray[Any]
Shape = tuple[int | None, ...]
Function = TypeVar("Function", bound=Callable[..., Any])

LAYER_KEYWORDS = ("activity_regularizer", "trainable", "dtype", "autocast", "name")
LEGACY_KEYWORDS = ("input_shape", "input_dim", "batch_input_shape", "batch_size", "weights")
"""What every layer took in Keras 1 or 2, and still takes here with a warning."""

MODELS: dict[str, type[Layer]] = {}
"""Models that may stand in a file where a layer may, by name; ``models.py`` adds its own."""

_scope: ContextVar[tuple[Layer, ...]] = ContextVar("layers around", default=())
layers_around = _scope.get
"""Returns the layers that are being built or called, the outermost first."""
_training: ContextVar[bool | None] = ContextVar("training mode of the outermost call", default=None)

_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep


# ------------------------------------------------------------------ limits of what comes from files


class _Budget:
    """How much what a file describes may take.

    Attributes:
        left: bytes that its weights may still take.
        width: the most numbers that a row may have.
        found: why it is so much, for the message.
    """

    def __init__(self, left: int, width: int, found: str) -> None:
        self.left = left
        self.width = width
        self.found = found

    def take(self, size: int, what: str) -> None:
        """Counts the bytes of a weight that is about to be made."""
        self.left -= size
        if self.left < 0:
            raise FileFormatError(f"{what}: takes {size} bytes, and with those before it too many: {self.found}.")

    def check(self, shapes: Any, what: str) -> None:
        """Looks at the shapes of what a layer returns."""

        def one(shape: Any) -> None:
            numbers = math.prod(n or 1 for n in shape[1:])
            if numbers > self.width:
                raise FileFormatError(f"{what}: a row of {numbers} numbers; the most is {self.width}.")

        tree.map_shape_structure(one, shapes)


_budget: ContextVar[_Budget | None] = ContextVar("limits of what is made", default=None)


@contextlib.contextmanager
def limited(size: int, width: int, found: str) -> Iterator[None]:
    """Limits what is made meanwhile, because a file that may come from anyone describes it.

    Args:
        size: bytes that all weights may take together.
        width: the most numbers that a row of a tensor may have.
        found: why, for the message.
    """
    token = _budget.set(_Budget(size, width, found))
    try:
        yield
    finally:
        _budget.reset(token)


# ------------------------------------------------------------------ helpers for arguments


def standardize_shape(shape: Any, where: str) -> Shape:
    """Returns ``shape`` as a tuple of integers and None.

    Raises:
        ModelError: it is not a sequence of those.
    """
    if isinstance(shape, (int, np.integer)) and not isinstance(shape, bool):
        raise ModelError(f"{where}: expected a shape, received the number {shape}. Write ({shape},).")
    if shape is None or isinstance(shape, (str, bytes, bool)) or not isinstance(shape, Iterable):
        raise ModelError(f"{where}: expected a shape, a tuple of integers, received {shape!r:.80}.")
    sizes: list[int | None] = []
    for size in shape:
        if size is None:
            sizes.append(None)
        elif isinstance(size, (int, np.integer)) and not isinstance(size, (bool, np.bool_)) and size >= 0:
            sizes.append(int(size))
        else:
            raise ModelError(f"{where}: expected sizes of 0 or more, or None, received {size!r:.80} in {shape!r:.80}.")
    return tuple(sizes)


def standardize_shapes(shapes: Any, where: str) -> Any:
    """As :func:`standardize_shape`, for one shape or a structure of shapes."""
    if isinstance(shapes, Mapping) or (isinstance(shapes, (list, tuple)) and any(map(tree.is_nested, shapes))):
        return tree.map_shape_structure(lambda s: None if s is None else standardize_shape(s, where), shapes)
    return standardize_shape(shapes, where)


def _is_tensor(value: Any) -> bool:
    """Whether a value is an array of one axis or more, an expression or a symbolic tensor."""
    if isinstance(value, (KerasTensor, ops.Expression)):
        return True
    return hasattr(value, "__array__") and not isinstance(value, Layer) and np.ndim(value) > 0


def _matching(method: Callable[..., Any], shapes: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the shapes of the arguments of a call by the names under which a method takes them.

    As in Keras, the shape of ``query`` is taken as ``query_shape``; a method of one parameter takes the first.
    """
    parameters = [p for p in inspect.signature(method).parameters.values()][1:]
    wanted = {f"{name}_shape": shape for name, shape in shapes.items()}
    if any(p.kind is p.VAR_KEYWORD for p in parameters):
        return wanted
    if len(parameters) == 1:
        return {parameters[0].name: next(iter(shapes.values()))}
    return {p.name: wanted[p.name] for p in parameters if p.name in wanted}


def caller_level() -> int:
    """Returns the ``stacklevel`` with which the caller warns about a line outside this package."""
    frame, level = sys._getframe(1), 1
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_PACKAGE):
        frame, level = frame.f_back, level + 1
    return level


def legacy_keywords(*own: str, **renamed: str) -> Callable[[Function], Function]:
    """Gives an ``__init__`` the spellings of Keras 1 and 2, and names the nearest right one.

    Args:
        own: keywords that it takes from its ``**kwargs`` itself.
        renamed: old names and the new ones.
    """

    def decorate(init: Function) -> Function:
        kinds = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
        named = [p.name for p in inspect.signature(init).parameters.values() if p.kind in kinds][1:]
        known = (*named, *LAYER_KEYWORDS, *LEGACY_KEYWORDS)

        @functools.wraps(init)
        def wrapper(self: Any, *args: Any, **kwargs: Any) -> None:
            owner = type(self).__name__
            if renamed.keys() & kwargs.keys():
                kwargs = registry.rename_keywords(owner, kwargs, renamed, caller_level() + 1)
            unknown = {k: v for k, v in kwargs.items() if k not in known and k not in own}
            registry.check_keywords(owner, unknown, known)
            init(self, *args, **kwargs)

        return wrapper  # type: ignore[return-value]

    return decorate


class InputSpec:
    """What a layer expects of the shape of its input, as ``keras.layers.InputSpec``.

    Args:
        dtype: element type.
        shape: whole shape, None for any size.
        ndim: number of axes.
        max_ndim: largest number of axes.
        min_ndim: smallest number of axes.
        axes: sizes of single axes, by index.
        allow_last_axis_squeeze: whether a last axis of 1 may be missing or too many.
        name: for the reader.
        optional: kept for the interface.

    Source: ``keras.layers.InputSpec``.
    """

    def __init__(
        self,
        dtype: str | None = None,
        shape: Sequence[int | None] | None = None,
        ndim: int | None = None,
        max_ndim: int | None = None,
        min_ndim: int | None = None,
        axes: Mapping[int, int | None] | None = None,
        allow_last_axis_squeeze: bool = False,
        name: str | None = None,
        optional: bool = False,
    ) -> None:
        self.dtype = dtype
        self.shape = None if shape is None else standardize_shape(shape, "InputSpec")
        self.ndim = ndim if self.shape is None else len(self.shape)
        self.max_ndim = max_ndim
        self.min_ndim = min_ndim
        self.axes = {int(axis): size for axis, size in (axes or {}).items()}
        self.allow_last_axis_squeeze = allow_last_axis_squeeze
        self.name = name
        self.optional = optional

    def complaint(self, shape: Shape, dtype: str) -> str | None:
        """Returns what was expected instead of this input, or None if it fits."""
        if self.dtype is not None and dtype != self.dtype:
            return f"an input of type {self.dtype}"
        rank, expected = len(shape), self.shape
        if expected is not None and self.allow_last_axis_squeeze and abs(rank - len(expected)) == 1:
            longer = shape if rank > len(expected) else expected
            if longer[-1] == 1:
                shape, expected = (s[:-1] if s is longer else s for s in (shape, expected))
                rank = len(expected)
        elif self.ndim is not None and rank != self.ndim:
            return f"an input of {self.ndim} axes"
        if expected is not None and (
            rank != len(expected) or any(a != b and None not in (a, b) for a, b in zip(shape, expected, strict=True))
        ):
            return f"an input of shape {self.shape}"
        if self.min_ndim is not None and rank < self.min_ndim:
            return f"an input of {self.min_ndim} axes or more"
        if self.max_ndim is not None and rank > self.max_ndim:
            return f"an input of {self.max_ndim} axes or fewer"
        for axis, size in self.axes.items():
            if not -rank <= axis < rank:
                return f"an input with an axis {axis}"
            if size is not None and shape[axis] not in (size, None):
                return f"an input of {size} on axis {axis}"
        return None


# ------------------------------------------------------------------ building


@contextlib.contextmanager
def _inside(layer: Layer) -> Iterator[None]:
    """Puts ``layer`` into the path of what is made meanwhile."""
    around = _scope.get()
    if around and around[-1] is layer:
        yield
        return
    token = _scope.set((*around, layer))
    try:
        yield
    finally:
        _scope.reset(token)


def _wrap_build(build: Function) -> Function:
    """Adds to a ``build`` what Keras adds: path, record of the shape, and the seal."""
    parameters = list(inspect.signature(build).parameters)[1:]

    @functools.wraps(build)
    def wrapper(self: Layer, *args: Any, **kwargs: Any) -> None:
        self._check_super_called()
        if self._building:  # build of a base class, called by the build of its subclass
            build(self, *args, **kwargs)
            return
        args = tuple(tuple(a) if isinstance(a, list) and tree.is_shape(a) else a for a in args)
        before = {k: list(v) if isinstance(v, list) else v for k, v in self.__dict__.items()}
        with _inside(self):
            self._building = True
            self._path = "/".join(layer.name for layer in _scope.get())
            try:
                build(self, *args, **kwargs)
            except BaseException:
                self.__dict__.clear()
                self.__dict__.update(before)
                raise
            self._building = False
        shapes = {**dict(zip(parameters, args, strict=False)), **kwargs}
        self._build_shapes = {
            name: tuple(s) if isinstance(s, list) and tree.is_shape(s) else s for name, s in shapes.items()
        }
        self._finish_build()

    wrapper._wraps_build = True  # type: ignore[attr-defined]
    return wrapper  # type: ignore[return-value]


def tensors_in(value: Any) -> list[Any]:
    """Returns the variables, layers and seeds that an attribute holds."""
    if isinstance(value, (Variable, Layer, SeedGenerator)):
        return [value]
    if isinstance(value, dict):
        value = value.values()
    elif not isinstance(value, (list, tuple)):
        return []
    return [tensor for item in value if type(item) not in _PLAIN for tensor in tensors_in(item)]


_PLAIN = frozenset((type(None), bool, int, float, str))
"""Types of most attributes; there is nothing in them."""
NOT_STATE = frozenset(
    (
        "_trainable_variables", "_non_trainable_variables", "_arguments", "_build_shapes", "_initial_weights",
        "_shapes", "_inbound_nodes", "_outbound_nodes", "_constants", "_losses",
    )
)  # fmt: skip
"""Attributes of every layer that are not looked through for weights and inner layers."""


def _unique(things: Iterable[Any]) -> list[Any]:
    return list({id(thing): thing for thing in things}.values())


class Layer(symbolic.Operation):
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
    _takes_training: bool = False
    _takes_mask: bool = False
    _training_default: bool | None = None
    _call_parameters: tuple[str, ...] = ()
    """What the arguments of ``call`` are called, those that may be given by position."""

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
            cls.build = _wrap_build(build)  # type: ignore[method-assign]
        if "call" in cls.__dict__:
            parameters = inspect.signature(cls.call).parameters
            training = parameters.get("training")
            cls._takes_training = training is not None
            cls._takes_mask = "mask" in parameters
            positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
            cls._call_parameters = tuple(p.name for p in parameters.values() if p.kind in positional)[1:]
            default = training.default if training is not None else None
            cls._training_default = default if isinstance(default, bool) else None

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
            {k: v for k, v in kwargs.items() if k not in LEGACY_KEYWORDS},
            (*inspect.signature(type(self).__init__).parameters, *LAYER_KEYWORDS),
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
        self._take_legacy(kwargs)

    def _take_legacy(self, given: dict[str, Any]) -> None:
        """Reads what Keras 1 and 2 said about the input and the initial numbers."""
        owner = type(self).__name__
        if "weights" in given:
            warnings.warn(
                f"{owner}: 'weights' is the spelling of Keras 1 or 2; use set_weights() once the layer is built.",
                DeprecationWarning,
                stacklevel=caller_level(),
            )
            self._initial_weights = given["weights"]
        named = [k for k in ("batch_input_shape", "input_shape", "input_dim") if given.get(k) is not None]
        if not named:
            if given.get("batch_size") is not None:
                raise TypeError(f"{owner} got 'batch_size' without 'input_shape'. Give it to Input().")
            return
        if len(named) > 1:
            raise TypeError(f"{owner} got both {named[0]!r} and {named[1]!r}.")
        value = given[named[0]]
        if named[0] == "batch_input_shape":
            shape = standardize_shape(value, f"{owner}: batch_input_shape")
        else:
            sizes = (value,) if named[0] == "input_dim" else value
            shape = standardize_shape((given.get("batch_size"),), f"{owner}: batch_size")
            shape += standardize_shape(sizes, f"{owner}: {named[0]}")
        batch = "" if shape[0] is None else f", batch_size={shape[0]}"
        warnings.warn(
            f"{owner}: {named[0]!r} is the spelling of Keras 1 or 2; "
            f"put Input({shape[1:]}{batch}) before the layer, as first in the model.",
            DeprecationWarning,
            stacklevel=caller_level(),
        )
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
        return self.dtype

    @property
    def compute_dtype(self) -> str:
        """Type of the operands of matrix products: ``"bfloat16"`` if mixed, else ``dtype``."""
        return self._policy.compute_dtype

    @property
    def dtype_policy(self) -> DTypePolicy:
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
        if name is None:
            name = backend.auto_name("variable")
        if not isinstance(name, str) or "/" in name:
            raise ModelError(
                f"{label}: expected the name of a weight to be a string without '/', received {name!r:.80}."
            )
        sizes = standardize_shape(() if shape is None else shape, f"{label}: {name}")
        if None in sizes:
            raise ModelError(
                f"{label}: {name} would have shape {sizes}, but the width of the input is not known. "
                "Give Input() sizes instead of None."
            )
        kind = self._weight_type(dtype)
        budget = _budget.get()
        if budget is not None:
            budget.take(math.prod(n or 0 for n in sizes) * np.dtype(kind).itemsize, f"{label}: {name} of shape {sizes}")
        if initializer is None:
            initializer = "glorot_uniform" if kind.startswith("float") else "zeros"
        function = initializers.get(initializer)
        assert function is not None
        value = initializers.initial_value(function, [n or 0 for n in sizes], kind, f"{label}: {name}")
        around = [layer.name for layer in _scope.get()]
        if not _scope.get() or _scope.get()[-1] is not self:
            around.append(self.name)
        variable = Variable(value, name=name, path="/".join([*around, name]), trainable=bool(trainable), dtype=kind)
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
            constant = Variable(numbers, name=name, path=f"{self.name}/{name}", trainable=False)
            self._constants[name] = constant
        return constant

    def _weight_type(self, dtype: Any) -> str:
        if dtype is None:
            return self.dtype
        with contextlib.suppress(TypeError):
            kind = np.dtype(dtype)
            if kind.kind in "biu":
                return str(kind)
        return settings.checked_float(dtype, f"{self._where}: dtype")

    def __setattr__(self, name: str, value: Any) -> None:
        if type(value) in _PLAIN:
            super().__setattr__(name, value)
            return
        if self._simple and name not in NOT_STATE and self._may_hold(value):
            super().__setattr__("_simple", False)
        if self._sealed and isinstance(value, (Variable, Layer)):
            state = [*self._variables(), *self._sublayers()]
            if not any(value is known for known in state):
                raise ModelError(
                    f"{self._where}: is built; {name!r} can only be set to a weight or a layer in __init__ or build."
                )
        super().__setattr__(name, value)

    def _may_hold(self, value: Any) -> bool:
        """Whether a value is or holds further weights or layers, or may do so later, as a list may."""
        if isinstance(value, Variable):
            return not any(value is known for known in (*self._trainable_variables, *self._non_trainable_variables))
        return isinstance(value, (list, dict)) or any(not isinstance(x, SeedGenerator) for x in tensors_in(value))

    def _attributes(self) -> Iterator[Any]:
        """Yields the variables, layers and seeds that were set as attributes, in order."""
        for name, value in list(self.__dict__.items()):
            if type(value) not in _PLAIN and name not in NOT_STATE:
                yield from tensors_in(value)

    def _sublayers(self) -> list[Layer]:
        if self._simple:
            return []
        return _unique(x for x in self._attributes() if isinstance(x, Layer) and x is not self)

    def _variables(self) -> list[Variable]:
        """Own weights without those of inner layers: trainable first, as Keras orders them."""
        if self._simple:
            return _unique([*self._trainable_variables, *self._non_trainable_variables])
        set_here = [x for x in self._attributes() if isinstance(x, Variable)]
        known = _unique([*self._trainable_variables, *self._non_trainable_variables])
        others = [v for v in set_here if not any(v is k for k in known)]
        first = [*self._trainable_variables, *(v for v in others if v.trainable)]
        return _unique([*first, *self._non_trainable_variables, *others])

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

    @property
    def weights(self) -> list[Variable]:
        """All weights: own ones, then those of inner layers in order."""
        if self._simple and type(self)._sublayers is Layer._sublayers:
            return self._variables()
        return _unique(variable for layer in self._walk() for variable in layer._variables())

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
            result += [x.state for x in layer._attributes() if isinstance(x, SeedGenerator)]
        return _unique(result)

    @property
    def trainable_variables(self) -> list[Variable]:
        return [v for v in self.variables if v.trainable] if self.trainable else []

    @property
    def non_trainable_variables(self) -> list[Variable]:
        return [v for v in self.variables if not v.trainable] if self.trainable else self.variables

    @property
    def losses(self) -> list[Any]:
        """Penalties of the last call, of the layer and of all inner layers; then those on weights as they are."""
        penalized = [v for v in self.trainable_weights if v.regularizer is not None]
        of_weights = [regularizers.penalty(v.regularizer, v.value, v.path) for v in penalized]
        return [*(loss for layer in self._walk() for loss in layer._losses), *of_weights]

    def get_weights(self) -> list[Array]:
        """Returns the numbers of :attr:`weights`."""
        return [variable.numpy() for variable in self.weights]

    def set_weights(self, weights: Sequence[ArrayLike]) -> None:
        """Sets the numbers of :attr:`weights`; all of them or, on error, none.

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
        """Puts the own weights into ``store`` under ``"0"``, ``"1"``, …"""
        for index, variable in enumerate(self._variables()):
            store[str(index)] = variable.value

    def load_own_variables(self, store: Any) -> None:
        """Takes the own weights from ``store``, as :meth:`save_own_variables` put them.

        Raises:
            ModelError: another number of arrays, or of another shape.
        """
        own = self._variables()
        if len(store) != len(own):
            hint = "" if self.built else " The layer is not built."
            raise ModelError(f"{self._where}: expected {len(own)} weights, received {len(store)}.{hint}")
        for index, variable in enumerate(own):
            variable.assign(store[str(index)])

    # -------------------------------------------------------------- build and call

    def build(self, input_shape: Any) -> None:
        """Makes the weights; a subclass that has any overrides it.

        Args:
            input_shape: shape of the input, None for the number of rows.
        """
        if any(not layer.built for layer in self._sublayers()):
            # Inner layers are built when they are called, so a trial run builds them.
            run = functools.partial(self.call, training=False) if self._takes_training else self.call
            self._infer_output_shape(standardize_shapes(input_shape, self._where), run)

    build = _wrap_build(build)
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

    def get_build_config(self) -> dict[str, Any] | None:
        """Returns the shapes that ``build`` was called with, or None."""
        shapes = self._build_shapes
        if not shapes:
            return None
        return {"input_shape": next(iter(shapes.values()))} if len(shapes) == 1 else {"shapes_dict": shapes}

    def build_from_config(self, config: Mapping[str, Any] | None) -> None:
        """Builds for the shapes that :meth:`get_build_config` returned."""
        if not config or self.built:
            return
        if "input_shape" in config:
            self.build(standardize_shapes(config["input_shape"], self._where))
        elif isinstance(config.get("shapes_dict"), Mapping):
            shapes = {k: standardize_shapes(v, self._where) for k, v in config["shapes_dict"].items()}
            self.build(**shapes)

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
        outputs = self._inferred((given,), {}, function)
        return tree.map_structure(lambda tensor: tensor.shape, outputs)

    def _inferred(
        self, args: tuple[Any, ...], kwargs: Mapping[str, Any], function: Callable[..., Any] | None = None
    ) -> Any:
        """Runs the layer on arrays of 2 and of 3 rows in the place of symbolic tensors; returns tensors likewise."""
        made, losses = [], {id(layer): [*layer._losses] for layer in self._walk()}
        for rows in (2, 3):
            given, named = tree.map_structure(functools.partial(symbolic.sample, rows=rows), (args, dict(kwargs)))
            try:
                with np.errstate(all="ignore"):
                    made.append(function(*given, **named) if function else self(*given, **named, training=False))
            except NncompileError:  # says itself which layer it is about
                raise
            except Exception as error:  # whatever a call() of the user's may raise
                kind = UnsupportedError if isinstance(error, NotImplementedError) else ModelError
                shapes = ", ".join(str(np.shape(x)) for x in tree.flatten((given, named)) if np.ndim(x))
                raise kind(
                    f"{self._where}: call() failed for an input of shape {shapes}, with which the shape of its "
                    f"output is found out: {type(error).__name__}: {error}. Make it take such an input, or define "
                    "compute_output_shape()."
                ) from error
            finally:
                for layer in self._walk():  # what a trial adds to the loss is none of it
                    layer._losses[:] = losses.get(id(layer), [])
        try:
            return tree.map_structure(symbolic.result, *made)
        except ModelError as error:
            raise ModelError(
                f"{self._where}: its output has another number of axes for another number of rows: {error}"
            ) from error

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

    def _check_input(self, shape: Shape, dtype: str) -> None:
        """Raises ModelError if an input of this shape and type does not fit."""
        specs = self.input_spec if isinstance(self.input_spec, (list, tuple)) else [self.input_spec]
        for spec in specs:
            expected = spec.complaint(shape, dtype) if spec is not None else None
            if expected:
                raise ModelError(f"{self._where}: expected {expected}, received shape {shape} of {dtype}.")

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
                expected = spec.complaint(tuple(x.shape), str(x.dtype)) if spec is not None and x is not None else None
                if expected:
                    raise ModelError(
                        f"{self._where}: expected {expected}, received shape {tuple(x.shape)} of {x.dtype}."
                    )
        else:
            self._check_input(tuple(tensors[0].shape), str(tensors[0].dtype))

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
        before = self._enter(kwargs, symbols)
        try:
            with _inside(self):
                self._check_input(shape, dtype)
                if not self.built:
                    self._maybe_build((None, *shape[1:]))
                    self._check_input(shape, dtype)
                return self._penalized(self.call(x, **kwargs))
        finally:
            self._leave(before)

    def _call_any(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """As :meth:`__call__`, for all that is not one array or expression."""
        if not args:
            first = self._call_parameters[0] if self._call_parameters else "inputs"
            if first not in kwargs:
                raise TypeError(f"{self._where}: missing the argument {first!r}, what the layer is called on.")
            args = (kwargs.pop(first),)
        if kwargs.get("mask", self) is None and not self._takes_mask:
            del kwargs["mask"]
        args = (self._standardized(args[0], True), *(self._standardized(x, False) for x in args[1:]))
        kwargs = {name: self._standardized(x, False) for name, x in kwargs.items()}
        if symbolic.tensors_among((args, kwargs)):
            return self._record(args, kwargs)
        symbols = any(isinstance(x, ops.Expression) for x in tree.flatten((args, kwargs)))
        given = {name: value for name, value in kwargs.items() if name != "training"}
        before = self._enter(kwargs, symbols)
        try:
            with _inside(self):
                self._check_inputs(args[0])
                if not self.built:
                    self._build_for(args, given)
                    self._check_inputs(args[0])
                return self._penalized(self.call(*args, **kwargs))
        finally:
            self._leave(before)

    def _enter(self, kwargs: dict[str, Any], symbols: bool) -> tuple[Any, ...]:
        """Sets what is around a call: the mode of training, which ``kwargs`` get as well, the owner of formulas.

        Returns:
            What was set before, for :meth:`_leave`.
        """
        training = kwargs.pop("training", None)
        if training is None:
            training = _training.get()
        if training is None:
            training = self._training_default
        if training is not None and self._takes_training:
            kwargs["training"] = training
        if not symbols and not _scope.get():  # the outermost call
            for layer in self._walk():
                layer._losses.clear()
        owner = ops.set_owner(self.name) if symbols else None
        return _training.set(training), ops.products_in(self.compute_dtype), owner

    def _traced(self, inputs: Any, training: bool) -> Any:
        """What :meth:`call` returns in a mode of training, which all that it calls is in as well."""
        token = _training.set(training)
        try:
            return self.call(inputs, **({"training": training} if self._takes_training else {}))
        finally:
            _training.reset(token)

    @staticmethod
    def _leave(before: tuple[Any, ...]) -> None:
        token, products, owner = before
        _training.reset(token)
        ops.products_in(products)
        if owner is not None:
            ops.set_owner(owner)

    def _standardized(self, value: Any, first: bool) -> Any:
        """An argument of a call with arrays for all that can be one; ``first`` must be numbers."""
        if isinstance(value, (KerasTensor, ops.Expression)) or value is None:
            return value
        if isinstance(value, Mapping):
            return tree.map_structure(lambda x: self._standardized(x, first), value)
        if isinstance(value, (list, tuple)) and any(map(_is_tensor, tree.flatten(value))):
            return tree.map_structure(lambda x: self._standardized(x, first), value)
        return self._array(value) if first or _is_tensor(value) else value

    def _argument_shapes(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
        """The shapes of the arguments that are tensors or structures of them, by the names that ``call`` gives them."""
        names = self._call_parameters
        named = {names[i] if i < len(names) else f"arg{i}": value for i, value in enumerate(args)}
        return {
            name: tree.map_structure(lambda x: None if x is None else (None, *x.shape[1:]), value)
            for name, value in {**named, **kwargs}.items()
            if any(map(_is_tensor, tree.flatten(value)))
        }

    def _build_for(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        """Builds the layer for the arguments of a call."""
        tensors = symbolic.tensors_among((args, kwargs))
        shapes = self._argument_shapes(args, kwargs)
        if len(tensors) == 1 and args and isinstance(args[0], KerasTensor):
            self._maybe_build(tensors[0].shape)
        elif len(shapes) == 1:
            self._maybe_build(next(iter(shapes.values())))
        elif getattr(type(self).build, "_is_default", False):  # inner layers are built as they are called
            with _inside(self):
                self._path = "/".join(layer.name for layer in _scope.get())
            self._build_shapes = {f"{name}_shape": shape for name, shape in shapes.items()}
            self._finish_build()
        else:
            self.build(**_matching(type(self).build, shapes))

    def _record(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Calls the layer on symbolic tensors: it is built, and what it will return is known by shape and type."""
        kwargs = {name: value for name, value in kwargs.items() if name != "training" or value is not None}
        call_kwargs = {k: v for k, v in kwargs.items() if k != "training" or self._takes_training}
        if self._takes_training and self._training_default is not None:  # as Keras records it
            call_kwargs.setdefault("training", self._training_default)
        if self._takes_mask:
            call_kwargs.setdefault("mask", None)
        with _inside(self):
            self._check_inputs(args[0])
            if not self.built:
                self._build_for(args, {k: v for k, v in kwargs.items() if k != "training"})
                self._check_inputs(args[0])
            outputs = self.compute_output_spec(*args, **call_kwargs)
        budget = _budget.get()
        if budget is not None:
            budget.check(tree.map_structure(lambda x: x.shape, outputs), self._where)
        Node(self, args, call_kwargs, outputs)
        shapes = list(self._argument_shapes(args, {}).values())
        taken = args[0].shape if isinstance(args[0], KerasTensor) else shapes[0] if shapes else None
        if self._shapes is None or not isinstance(self._shapes, tuple):
            self._shapes = (taken, tree.map_structure(lambda x: x.shape, outputs))
        return outputs

    def compute_output_spec(self, *args: Any, **kwargs: Any) -> Any:
        """Returns symbolic tensors of the shapes and types that a call with such arguments returns.

        Args:
            *args: those of ``call``, with symbolic tensors in the place of arrays.
            **kwargs: likewise.
        """
        kwargs.pop("training", None)
        shape_of = type(self).compute_output_shape
        if getattr(shape_of, "_is_default", False):
            return self._inferred(args, kwargs)
        tensors = symbolic.tensors_among((args, kwargs))
        shapes = self._argument_shapes(args, kwargs)
        if isinstance(args[0], KerasTensor) and len(tensors) == 1:
            shapes = {"input_shape": args[0].shape}
        if len(shapes) == 1:
            shape = self.compute_output_shape(next(iter(shapes.values())))
        else:
            shape = self.compute_output_shape(**_matching(shape_of, shapes))
        return tree.map_shape_structure(
            lambda s: KerasTensor(standardize_shape(s, self._where), self._output_dtype(tensors)), shape
        )

    def _output_dtype(self, inputs: Sequence[KerasTensor]) -> str:
        """Type of what it returns for such tensors."""
        return self.dtype

    def _penalized(self, outputs: Any) -> Any:
        """Returns outputs, after their penalty, divided by the number of rows, was added if there is one."""
        for output in tree.flatten(outputs) if self.activity_regularizer is not None else ():
            if isinstance(output, ops.Expression):
                found = penalties.terms(self.activity_regularizer, output, self._where)
                noted = records.get()
                if found and noted is None:
                    raise ModelError(f"{self._where}: a penalty means nothing where no model is compiled.")
                if noted is not None:
                    noted.penalties.extend(found)
                continue
            loss = self.activity_regularizer(output)
            rows = len(output) if np.ndim(output) else 1
            self.add_loss(loss / np.dtype(self.dtype).type(rows) if rows else 0.0 * loss)
        return outputs

    def call(self, *args: Any, **kwargs: Any) -> Any:
        """The formula; every layer overrides it."""
        raise NotImplementedError(f"{type(self).__name__} must define call(self, inputs).")

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
        given = self._given_arguments()
        parameters = inspect.signature(type(self).__init__).parameters
        if "name" not in parameters and not any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
            del config["name"]
        return {**{k: v for k, v in config.items() if k == "name"}, **given, **config}

    get_config._is_default = True  # type: ignore[attr-defined]

    def _given_arguments(self) -> dict[str, Any]:
        """Returns the arguments of the constructor by name, defaults included."""
        owner = type(self).__name__
        advice = f"Define get_config() in {owner}."
        args, kwargs = self._arguments
        signature = inspect.signature(type(self).__init__)
        bound = signature.bind(self, *args, **kwargs)
        bound.apply_defaults()
        given: dict[str, Any] = {}
        for name, value in list(bound.arguments.items())[1:]:
            kind = signature.parameters[name].kind
            if kind is inspect.Parameter.VAR_KEYWORD:
                given.update(value)
            elif kind is inspect.Parameter.VAR_POSITIONAL or kind is inspect.Parameter.POSITIONAL_ONLY:
                if value or kind is inspect.Parameter.POSITIONAL_ONLY:
                    raise UnsupportedError(f"{self._where}: cannot be saved: {name!r} has no keyword. {advice}")
            else:
                given[name] = value
        for name in ("name", *(k for k in LEGACY_KEYWORDS if k not in signature.parameters)):
            given.pop(name, None)
        for name, value in given.items():
            if not _is_plain(value):
                raise UnsupportedError(
                    f"{self._where}: cannot be saved: its argument {name!r} is {type(value).__name__}. {advice}"
                )
        return given

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """Makes the layer that :meth:`get_config` described.

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

    def add_loss(self, loss: Any) -> None:
        """Adds penalties to the loss; called in ``call``.

        Args:
            loss: one or a list. In a formula a number for the whole batch, made of sums and means over it such
                as ``ops.mean(x)``, or values whose sum over rows and columns is added. Given arrays, numbers
                for :attr:`losses`.

        Source: ``keras.layers.Layer.add_loss``.
        """
        for one in loss if isinstance(loss, (list, tuple)) else [loss]:
            noted = records.get()
            if not isinstance(one, ops.Expression):
                self._losses.append(one)
            elif noted is None:
                raise ModelError(f"{self._where}: add_loss of a formula means nothing where no model is compiled.")
            elif batch.crosses_rows(one, means=False):
                noted.penalties.append((one.args[1] if one.op == "whole" else one, "mean"))
            elif one.op == "whole":
                self._note(one.args[0], one.value)
            else:
                noted.penalties.append((one, "sum"))

    def _note(self, rows: ops.Expression, kind: str) -> None:
        """Notes a penalty: the sum or mean of values per row."""
        noted = records.get()
        assert noted is not None
        if kind == "rows":
            raise ModelError(f"{self._where}: add_loss of a mean and values per row: give it two, in a list.")
        if kind == "mean":
            kind, rows = "samples", rows / float(math.prod(n or 1 for n in rows.shape[1:]))
        noted.penalties.append((rows, kind))

    def add_metric(self, *args: Any, **kwargs: Any) -> None:
        """Not supported; give metrics to ``compile``."""
        raise UnsupportedError(f"{self._where}: add_metric is not supported. Give metrics to compile().")

    def quantize(self, mode: Any = None, **kwargs: Any) -> None:
        """Not supported yet."""
        raise UnsupportedError(f"{self._where}: quantize({mode!r}) is not supported yet.")


def _is_plain(value: Any) -> bool:
    if isinstance(value, (list, tuple)):
        return all(map(_is_plain, value))
    if isinstance(value, dict):
        return all(map(_is_plain, value.values()))
    return value is None or isinstance(value, (str, int, float, bool))


# ------------------------------------------------------------------ files


def plain(value: Any) -> Any:
    """Returns a configuration as JSON can hold it, objects in it serialized."""
    if value is None or isinstance(value, (str, bool, int, float)):
        return value
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        return {"class_name": "__numpy__", "config": {"value": value.tolist(), "dtype": str(value.dtype)}}
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(map(plain, value)) if type(value) in (list, tuple) else list(map(plain, value))
    if isinstance(value, Layer):
        return serialize(value)
    for kind in registry.KINDS:
        if registry.registered(kind).get(type(value).__name__) is type(value):
            return registry.serialize(value, kind)
    if inspect.isfunction(value) and value.__name__ == "<lambda>" and not registry.is_collecting():
        raise UnsupportedError(
            "A configuration holds a lambda, which has no name by which it could be found again. Write a subclass of "
            "Layer, with register_keras_serializable() above it."
        )
    if inspect.isfunction(value) or hasattr(value, "get_config"):
        return registry.serialize(value, "activations")
    raise UnsupportedError(f"A configuration holds {type(value).__name__}, which cannot be saved.")


def serialize(layer: Layer) -> dict[str, Any]:
    """Returns Keras' serialized form of a layer or a model.

    The form is ``{"module", "class_name", "config", "registered_name"}``, with
    ``build_config`` for a layer that was built, and ``compile_config`` for a model.
    """
    cls = type(layer)
    name: str | None = None
    if MODELS.get(cls.__name__) is cls:
        public = cls.__name__ != "Functional"  # a class that Keras does not export, and writes by where it stands
        module: str | None = "keras" if public else "keras.src.models.functional"
        name = None if public else cls.__name__
    elif registry.registered("layers").get(cls.__name__) is cls:
        module = "keras.layers"
    else:
        module, name = None, registry.written_name(cls)
    form: dict[str, Any] = {
        "module": module,
        "class_name": cls.__name__,
        "config": plain(layer.get_config()),
        "registered_name": name,
    }
    build_config = layer.get_build_config()
    if build_config is not None:
        form["build_config"] = plain(build_config)
    compile_config = getattr(layer, "get_compile_config", None)
    if compile_config is not None:
        form["compile_config"] = plain((compile_config() if getattr(layer, "compiled", False) else None) or {})
    return form


def deserialize(config: Any, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """Makes the layer that :func:`serialize` described; it is not built or compiled.

    Nothing is imported because a file names it: classes are those of nncompile, those
    registered, and those in ``custom_objects``.

    Raises:
        FileFormatError: the form is not one of Keras'.
        UnsupportedError: the class is not known.
    """
    layer = registry.deserialize(config, "layers", {**MODELS, **(custom_objects or {})})
    if inspect.isclass(layer) and issubclass(layer, Layer):
        layer = layer.from_config({})
    if not isinstance(layer, Layer):
        raise FileFormatError(f"layers: expected a layer, received {config!r:.80}.")
    return layer
