"""Tensors that have a shape and no numbers, and the record of what is done to them.

``Input`` makes such a tensor. A layer called on one notes the call as a :class:`Node`
and returns tensors again; so does an operation of :mod:`nncompile.ops`. From the tensors
at the end a model finds the way back to those at the beginning.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, NoReturn

import numpy as np

from .. import backend, config, tree
from ..docstrings import completed
from ..errors import ModelError, NncompileError, UnsupportedError
from .core import set_owner
from .expressions import Expression

Shape = tuple[int | None, ...]

FUNCTIONS: dict[str, Callable[..., Any]] = {}
"""The operations that can be recorded, by name; :func:`overload` fills it."""


class History(NamedTuple):
    """Where a tensor comes from: which result of which call of which operation."""

    operation: Any
    node_index: int
    tensor_index: int


class KerasTensor:
    """A tensor of a model that is being described: shape and type, no numbers.

    Args:
        shape: sizes, None for the number of rows.
        dtype: element type of what will be there.
        sparse: not supported; only False.
        ragged: not supported; only False.
        record_history: whether what is done to it is recorded.
        name: for the reader; made up if None.

    Source: ``keras.KerasTensor``.
    """

    _keras_history: History

    def __init__(
        self,
        shape: Sequence[int | None],
        dtype: str = "float32",
        sparse: bool = False,
        ragged: bool = False,
        record_history: bool = True,
        name: str | None = None,
    ) -> None:
        if sparse or ragged:
            raise UnsupportedError("KerasTensor: sparse and ragged tensors are not supported.")
        self.shape: Shape = tuple(shape)
        self.dtype = str(dtype)
        self.sparse = False
        self.ragged = False
        self.record_history = record_history
        self.name = backend.auto_name("KerasTensor") if name is None else name

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    def __repr__(self) -> str:
        return (
            f"<KerasTensor shape={self.shape}, dtype={self.dtype}, sparse={self.sparse}, ragged={self.ragged}, "
            f"name={self.name}>"
        )

    def reshape(self, newshape: Sequence[int | None]) -> Any:
        """Returns the same numbers in another shape.

        Args:
            newshape: sizes of the axes, of which -1 is what is left.
        """
        return _call("reshape", self, newshape)

    def squeeze(self, axis: int | None = None) -> Any:
        """Returns the same without an axis of size 1.

        Args:
            axis: which one; all of them if None.
        """
        return _call("squeeze", self, axis)

    # ---------------------------------------------------------------- what it is not

    def __array__(self, *_: Any, **__: Any) -> NoReturn:
        raise ModelError(
            f"{self!r} has no numbers: it stands for the values of a model. "
            "Use layers and nncompile.ops on it, and give arrays to the model."
        )

    def __bool__(self) -> NoReturn:
        raise ModelError(f"{self!r} has no value to branch on. Use ops.where(condition, a, b).")

    def __float__(self) -> NoReturn:
        raise ModelError(f"{self!r} has no number before the model runs: leave float() and int() out.")

    __int__ = __float__

    def __iter__(self) -> NoReturn:
        raise ModelError(f"{self!r} cannot be iterated over; its number of rows is not known.")

    def __len__(self) -> int:
        raise ModelError(f"{self!r} has no length; its number of rows is not known.")

    # ---------------------------------------------------------------- operators

    def __add__(self, other: Any) -> Any:
        return _call("add", self, other)

    def __radd__(self, other: Any) -> Any:
        return _call("add", other, self)

    def __sub__(self, other: Any) -> Any:
        return _call("subtract", self, other)

    def __rsub__(self, other: Any) -> Any:
        return _call("subtract", other, self)

    def __mul__(self, other: Any) -> Any:
        return _call("multiply", self, other)

    def __rmul__(self, other: Any) -> Any:
        return _call("multiply", other, self)

    def __truediv__(self, other: Any) -> Any:
        return _call("true_divide", self, other)

    def __rtruediv__(self, other: Any) -> Any:
        return _call("true_divide", other, self)

    def __floordiv__(self, other: Any) -> Any:
        return _call("floor_divide", self, other)

    def __rfloordiv__(self, other: Any) -> Any:
        return _call("floor_divide", other, self)

    def __mod__(self, other: Any) -> Any:
        return _call("mod", self, other)

    def __rmod__(self, other: Any) -> Any:
        return _call("mod", other, self)

    def __pow__(self, other: Any) -> Any:
        return _call("power", self, other)

    def __rpow__(self, other: Any) -> Any:
        return _call("power", other, self)

    def __matmul__(self, other: Any) -> Any:
        return _call("matmul", self, other)

    def __rmatmul__(self, other: Any) -> Any:
        return _call("matmul", other, self)

    def __neg__(self) -> Any:
        return _call("negative", self)

    def __abs__(self) -> Any:
        return _call("absolute", self)

    def __invert__(self) -> Any:
        return _call("logical_not", self)

    def __and__(self, other: Any) -> Any:
        return _call("logical_and", self, other)

    def __or__(self, other: Any) -> Any:
        return _call("logical_or", self, other)

    def __lt__(self, other: Any) -> Any:
        return _call("less", self, other)

    def __le__(self, other: Any) -> Any:
        return _call("less_equal", self, other)

    def __gt__(self, other: Any) -> Any:
        return _call("greater", self, other)

    def __ge__(self, other: Any) -> Any:
        return _call("greater_equal", self, other)

    def __getitem__(self, key: Any) -> Any:
        return _call("get_item", self, key)


class Node:
    """One call of an operation: what it was given and what it returned.

    Attributes:
        operation: the layer, model or :class:`FunctionOperation`.
        args: positional arguments; tensors may be in nested structures.
        kwargs: arguments by name.
        inputs: the tensors among the arguments, in order.
        outputs: the tensors that it returned, in order.
    """

    def __init__(self, operation: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any], outputs: Any) -> None:
        self.operation = operation
        self.args = args
        self.kwargs = dict(kwargs)
        self.inputs = tensors_among((self.args, self.kwargs))
        self.outputs: list[KerasTensor] = tree.flatten(outputs)
        for tensor in self.outputs:
            if not isinstance(tensor, KerasTensor):
                raise ModelError(f"{operation.name}: expected all it returns to be tensors, received {tensor!r:.80}.")
        if all(tensor.record_history for tensor in self.inputs):
            for index, tensor in enumerate(self.outputs):
                tensor._keras_history = History(operation, len(operation._inbound_nodes), index)
        operation._inbound_nodes.append(self)
        for parent in self.parents:
            parent.operation._outbound_nodes.append(self)

    @property
    def is_input(self) -> bool:
        """Whether nothing comes before it: the call of an InputLayer."""
        return not self.inputs

    input_tensors = property(lambda self: self.inputs)
    output_tensors = property(lambda self: self.outputs)

    @property
    def parents(self) -> list[Node]:
        """The calls that made the tensors it was given."""
        return [node for node in map(node_of, self.inputs) if node is not None]

    def filled(self, values: Mapping[int, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Returns the arguments with values in the place of tensors, by the ids of these."""

        def value(x: Any) -> Any:
            return values[id(x)] if isinstance(x, KerasTensor) else x

        if not self.kwargs and len(self.args) == 1 and isinstance(self.args[0], KerasTensor):
            return (values[id(self.args[0])],), {}
        return tree.map_structure(value, self.args), tree.map_structure(value, self.kwargs)

    def __repr__(self) -> str:
        return f"<Node operation={self.operation.name}>"


def node_of(tensor: KerasTensor) -> Node | None:
    """Returns the call that made a tensor, None for one that was made by hand."""
    history = getattr(tensor, "_keras_history", None)
    if history is None:
        return None
    node: Node = history.operation._inbound_nodes[history.node_index]
    return node


def tensors_among(structure: Any) -> list[KerasTensor]:
    """Returns the symbolic tensors in a nested structure, in order."""
    return [x for x in tree.flatten(structure) if isinstance(x, KerasTensor)]


class Operation:
    """What can be called on symbolic tensors, and keeps a record of it: layers, models and functions."""

    name: str
    _inbound_nodes: list[Node]
    _outbound_nodes: list[Node]

    @property
    def input(self) -> Any:
        """The tensor, or the list of tensors, that it was first called on."""
        nodes = self._inbound_nodes
        if not nodes:
            raise AttributeError(f"{self.name}: was not called on an Input yet and has no input.")
        tensors = nodes[0].inputs or nodes[0].outputs  # of an InputLayer they are the same
        return tensors[0] if len(tensors) == 1 else list(tensors)

    @property
    def output(self) -> Any:
        """The tensor, or the list of tensors, that it first returned."""
        nodes = self._inbound_nodes
        if not nodes:
            raise AttributeError(f"{self.name}: was not called on an Input yet and has no output.")
        tensors = nodes[0].outputs
        return tensors[0] if len(tensors) == 1 else list(tensors)


def kind_of(operation: Any) -> str:
    """Returns the name of the class as Keras has it: ``Dense``, or ``Add`` of ``a + b``."""
    return operation.kind if isinstance(operation, FunctionOperation) else type(operation).__name__


# ------------------------------------------------------------------ functions as operations

OPERANDS = frozenset(
    "x x1 x2 xs inputs condition a b y indices arrays operands key values target output targets predictions condlist "
    "choicelist default array sorted_sequence weights".split()
)
"""Parameters of operations that belong to the call; the others say what operation it is."""
_MORE_OPERANDS = {
    "batch_normalization": "mean variance offset scale", "digitize": "bins", "full_like": "fill_value",
    "isclose": "rtol atol", "layer_normalization": "gamma beta", "nanpercentile": "q", "nanquantile": "q",
    "pad": "constant_values", "percentile": "q", "quantile": "q", "rms_normalization": "scale",
    "segment_max": "data segment_ids", "segment_min": "data segment_ids", "segment_prod": "data segment_ids",
    "segment_sum": "data segment_ids", "slice": "start_indices", "slice_update": "start_indices updates",
    "stop_gradient": "variable",
}  # fmt: skip
"""Parameters that belong to the call of some operations."""
_OPTIONS = {"bincount": "weights", "squareplus": "b", "trapezoid": "x"}
"""Parameters that say what operation it is, though their names are those of operands."""

_NAMES = {"abs": "absolute", "swish": "silu", "hard_swish": "hard_silu"}
"""Operations that have another name in Keras' files."""
_KINDS = {
    "allclose": "AllClose", "cdist": "CDist", "isin": "IsIn", "psnr": "PSNR", "searchsorted": "SearchSorted",
    "batch_normalization": "BatchNorm", "layer_normalization": "LayerNorm", "rms_normalization": "RMSNorm",
}  # fmt: skip
"""Classes of Keras whose names do not follow from those of the functions."""
_MODULES = {
    "core": "cast saturate_cast scatter scatter_update slice slice_update stop_gradient unstack",
    "math": "cdist erf erfc erfinv in_top_k logdet logsumexp rsqrt segment_max segment_min segment_prod segment_sum "
    "top_k",
    "linalg": "cholesky cholesky_inverse det eigh inv lstsq matrix_rank norm pinv qr solve solve_triangular",
    "nn": "batch_normalization binary_crossentropy categorical_crossentropy celu elu gelu glu hard_shrink "
    "hard_sigmoid hard_silu hard_tanh layer_normalization leaky_relu log_sigmoid log_softmax moments "
    "multi_hot normalize one_hot psnr relu relu6 rms_normalization selu sigmoid silu soft_shrink softmax "
    "softplus softsign sparse_categorical_crossentropy sparse_plus sparse_sigmoid sparsemax squareplus "
    "tanh_shrink threshold",
}
_MODULE_OF = {name: module for module, names in _MODULES.items() for name in names.split()}
"""In which module of ``keras.src.ops`` the class of an operation stands, if not in that of NumPy's."""
_ONLY_HERE = frozenset(("batch_mean", "copysign"))


def _kind(function: str) -> str:
    name = _NAMES.get(function, function)
    return _KINDS.get(name) or "".join(part.capitalize() for part in name.split("_"))


class FunctionOperation(Operation):
    """An operation of :mod:`nncompile.ops` on symbolic tensors, which a model does again with its values.

    Args:
        function: its name in :mod:`nncompile.ops`.
        options: arguments that are not operands, by name.
        name: made from that of the function if None.
    """

    def __init__(self, function: str, options: Mapping[str, Any] | None = None, name: str | None = None) -> None:
        self.function = function
        self.kind = _kind(function)
        self.options = dict(options or {})
        self.name = backend.auto_name(self.kind) if name is None else name
        self._inbound_nodes = []
        self._outbound_nodes = []

    def __call__(self, *operands: Any, **named: Any) -> Any:
        given = (*operands, *named.values())
        if tensors_among(given):
            outputs = self._inferred(operands, named)
            Node(self, operands, named, outputs)
            return outputs
        owner = set_owner(self.name) if any(isinstance(x, Expression) for x in tree.flatten(given)) else None
        try:
            return self._computed(operands, named)
        finally:
            if owner is not None:
                set_owner(owner)

    def _computed(self, operands: Sequence[Any], named: Mapping[str, Any]) -> Any:
        """Calls the function: what is no option of it is an operand, wherever its parameter stands."""
        known = {**self.options, **named}
        args: list[Any] = []
        by_name, left, in_order = dict(known), list(operands), True
        for parameter in parameters(self.function).values():
            if parameter.kind is inspect.Parameter.VAR_POSITIONAL:
                args, left = args + left, []
            elif parameter.name not in known and not (left and is_operand(self.function, parameter.name)):
                in_order = False  # it keeps its default, and those behind it are given by name
            else:
                value = known[parameter.name] if parameter.name in known else left.pop(0)
                by_name.pop(parameter.name, None)
                if in_order and parameter.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD:
                    args.append(value)
                else:
                    by_name[parameter.name] = value
        return FUNCTIONS[self.function](*args, *left, **by_name)

    def _inferred(self, operands: tuple[Any, ...], named: Mapping[str, Any]) -> Any:
        """The tensors that it returns: it is done on 2 and on 3 rows, and sizes that differ are the number of rows."""
        made = []
        for rows in (2, 3):
            given, by_name = tree.map_structure(functools.partial(sample, rows=rows), (operands, dict(named)))
            try:
                with np.errstate(all="ignore"):
                    made.append(self._computed(given, by_name))
            except NncompileError:
                raise
            except (ValueError, TypeError, IndexError) as error:
                shown = ", ".join(str(t.shape) for t in tensors_among(operands))
                raise ModelError(f"ops.{self.function}: failed for shapes {shown}: {error}") from error
        return tree.map_structure(result, *made)

    def serialize(self) -> dict[str, Any]:
        """Returns Keras' serialized form of the operation.

        Raises:
            UnsupportedError: Keras has no such operation.
        """
        if self.function in _ONLY_HERE:
            raise UnsupportedError(
                f"ops.{self.function} of symbolic tensors cannot be saved: Keras has no such operation. "
                "Put it into the call() of a layer."
            )
        name = _NAMES.get(self.function, self.function)
        options = {key: value for key, value in self.options.items() if value is not None}
        return {
            "module": f"keras.src.ops.{_MODULE_OF.get(name, 'numpy')}",
            "class_name": self.kind,
            "config": {"name": self.name, **options},
            "registered_name": self.kind,
        }

    def __repr__(self) -> str:
        return f"<Operation {self.function} name={self.name}>"


def is_operand(function: str, parameter: str) -> bool:
    """Whether a parameter of an operation belongs to its call; the others are its configuration."""
    if parameter in OPERANDS:
        return parameter not in _OPTIONS.get(function, "").split()
    return parameter in _MORE_OPERANDS.get(function, "").split()


@functools.cache
def parameters(function: str) -> Mapping[str, inspect.Parameter]:
    """The parameters of an operation, by name and in order."""
    return inspect.signature(FUNCTIONS[function]).parameters


def function_of(kind: str) -> str | None:
    """Returns the operation that a class of ``keras.src.ops`` is, None if there is none here."""
    return next((name for name in FUNCTIONS if _kind(name) == kind), None)


def sample(x: Any, rows: int) -> Any:
    """An array of the shape and type of a symbolic tensor; anything else as it is."""
    if not isinstance(x, KerasTensor):
        return x
    shape = [rows if n is None else n for n in x.shape]
    kind = "float32" if x.dtype == "bfloat16" else x.dtype
    return np.full(shape, 0.5 if np.dtype(kind).kind == "f" else 0, dtype=kind)


def result(a: Any, b: Any) -> KerasTensor:
    """The tensor that stands for two results of one computation, for different numbers of rows."""
    if len(np.shape(a)) != len(np.shape(b)):
        raise ModelError(f"Another number of rows gives another number of axes: {np.shape(a)} and {np.shape(b)}.")
    shape = tuple(m if m == n else None for m, n in zip(np.shape(a), np.shape(b), strict=True))
    return KerasTensor(shape, str(getattr(a, "dtype", config.floatx())))


def get_item(x: Any, key: Any) -> Any:
    """x[key], by position or slice."""
    return x[tuple(key) if isinstance(key, list) else key]  # JSON has no tuples


def _call(name: str, *args: Any) -> Any:
    if name not in FUNCTIONS:
        raise UnsupportedError(f"ops.{name} of symbolic tensors is not supported yet.")
    return FUNCTIONS[name](*args)


_NOT_RECORDED = frozenset(
    (
        "array associative_scan bfloat16 column cond constant convert_to_numpy convert_to_tensor custom_gradient dtype "
        "fori_loop is_tensor map ndim node noise products_in rearrange scan set_owner shape size switch symbol "
        "vectorize vectorized_map while_loop"
    ).split()
)


def overload(namespace: dict[str, Any], names: Sequence[str]) -> None:
    """Makes the operations of a module take symbolic tensors too: they are then recorded.

    Args:
        namespace: of the module, in which they are replaced.
        names: its public names.
    """
    for name in names:
        function = namespace[name]
        if inspect.isfunction(function) and name not in _NOT_RECORDED:
            namespace[name] = FUNCTIONS[name] = _recording(name, function)
    FUNCTIONS["get_item"] = _recording("get_item", get_item)
    FUNCTIONS.setdefault("true_divide", _recording("true_divide", namespace["divide"]))  # what Keras calls the operator


_WATCHED = frozenset((KerasTensor, list, tuple))
"""Types of arguments that symbolic tensors can be among."""


def _recording(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def operation(*args: Any, **kwargs: Any) -> Any:
        for x in args:
            if type(x) in _WATCHED and tensors_among(x):
                return _recorded(name, function, args, kwargs)
        if not kwargs:  # as nearly always
            return function(*args)
        return _recorded(name, function, args, kwargs) if tensors_among(kwargs) else function(*args, **kwargs)

    text = function.__doc__ or ""
    if text and "not an operation of Keras" not in text:
        operation.__doc__ = completed(text, source=f"``keras.ops.{name}``")
    return operation


def _recorded(name: str, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    bound = inspect.signature(function).bind(*args, **kwargs)
    bound.apply_defaults()
    operands: list[Any] = []
    options: dict[str, Any] = {}
    for parameter, value in bound.arguments.items():
        kind = bound.signature.parameters[parameter].kind
        if kind is inspect.Parameter.VAR_POSITIONAL:
            operands.extend(value)
        elif kind is inspect.Parameter.VAR_KEYWORD:
            options.update(value)
        elif is_operand(name, parameter):
            operands.append(value)
        elif tensors_among(value):
            raise UnsupportedError(f"ops.{name}: {parameter} cannot be a symbolic tensor.")
        else:
            options[parameter] = value
    return FunctionOperation(name, options)(*operands)
