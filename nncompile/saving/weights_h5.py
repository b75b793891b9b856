"""The numbers of a model and its optimizer as HDF5: ``.weights.h5``.

A group for each layer, by the place of the layer and not by its name, since names are
often made up and differ from one run to the next::

    vars                          attribute name="sequential"
    layers/dense/vars             attribute name="dense_3"
    layers/dense/vars/0           kernel
    layers/dense/vars/1           bias
    layers/dense_1/vars/0         kernel of the second Dense
    layers/sequential/layers/...  a model within the model
    optimizer/vars/0              iteration, learning rate, then the slots

Within a layer variables are counted from 0, the trainable ones first.

Loading reads and checks everything first and assigns then, so that a model is never
left with half of a file.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import registry
from ..errors import FileFormatError, ModelError, NncompileError
from ..layers.base import Layer
from . import hdf5

if TYPE_CHECKING:
    import h5py

    from ..variables import Variable

LAYERS, LAYERS_2 = "layers", "_layer_checkpoint_dependencies"
"""The group of a model's layers, in Keras 3 and in Keras 2.12 and 2.13."""

MAX_NESTING = 100

Plan = list[tuple[Callable[[Any], Any], Any]]
"""What to call with what, when all of it has been read."""


def places(model: Any) -> Iterator[tuple[str, Any]]:
    """Yields the model and every layer in it, each once, with its place in a file.

    The layers of a Sequential are numbered by class. A layer that a class of the user's
    own keeps as an attribute has the name of the attribute for its place, and layers in
    a list there are again numbered by class. Attributes are taken in alphabetical order,
    those that begin with an underscore last.
    """
    seen: set[int] = set()

    def visit(layer: Any, path: str, depth: int) -> Iterator[tuple[str, Any]]:
        if id(layer) in seen:
            return
        if depth > MAX_NESTING:
            raise ModelError(f"{describe(layer)}: layers nested deeper than {MAX_NESTING}.")
        seen.add(id(layer))
        yield path, layer
        for name, value in _attributes(layer):
            yield from inside(value, f"{path}/{name}" if path else name, depth + 1)

    def inside(value: Any, path: str, depth: int) -> Iterator[tuple[str, Any]]:
        if isinstance(value, Layer):
            yield from visit(value, path, depth)
        elif isinstance(value, (list, tuple, dict)) and depth <= MAX_NESTING:
            used: dict[str, int] = {}
            for item in value.values() if isinstance(value, dict) else value:
                if not isinstance(item, (Layer, list, tuple, dict)):
                    continue
                kind = type(item).__name__ if isinstance(item, Layer) else "container"
                name = registry.snake_case(kind)
                used[name] = used.get(name, -1) + 1
                name = f"{name}_{used[name]}" if used[name] else name
                yield from inside(item, f"{path}/{name}", depth + 1)

    return visit(model, "", 0)


def _attributes(layer: Any) -> Iterator[tuple[str, Any]]:
    """Yields what may hold inner layers, in the order in which Keras looks for them."""
    if type(layer).__module__.partition(".")[0] == __name__.partition(".")[0]:
        if hasattr(layer, LAYERS):  # a Sequential keeps its Input too, which has no place
            yield LAYERS, layer.layers
        for name in ("activation", "layer"):  # a layer as an activation, and that of a wrapper
            if isinstance(vars(layer).get(name), Layer):
                yield name, vars(layer)[name]
        return
    names = {name for name in vars(layer) if name not in _NOT_STATE}
    if hasattr(layer, LAYERS):
        if hasattr(layer, "input_layer"):
            yield LAYERS, layer.layers
        else:
            names.add(LAYERS)
    for name in sorted(names, key=lambda name: f"~{name}" if name.startswith("_") else name):
        yield name, getattr(layer, name)


_NOT_STATE = frozenset(
    (
        "_arguments",
        "_layers",
        "_non_trainable_variables",
        "_trainable_variables",
        "optimizer",
        "_network",
        "_inbound_nodes",
        "_outbound_nodes",
    )
)
"""Attributes of layers and models that are kept otherwise, or not at all."""


def describe(layer: Any) -> str:
    """Returns ``dense_1 (Dense)``."""
    return f"{layer.name} ({type(layer).__name__})"


# Writing ---------------------------------------------------------------------------


def write(model: Any, include_optimizer: bool = True) -> memoryview:
    """Returns the HDF5 file of a model, in memory.

    Args:
        model: a built model, or one without weights so far.
        include_optimizer: also the state of the optimizer, if the model is compiled.
    """
    import h5py

    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        for path, layer in places(model):
            _write_variables(file, path, layer.name, _state(layer))
        optimizer = getattr(model, "optimizer", None) if include_optimizer else None
        if optimizer is not None:
            _write_variables(file, "optimizer", optimizer.name, _numbered(optimizer.variables))
    return buffer.getbuffer()


def _state(layer: Any) -> Mapping[str, Any]:
    """Returns the arrays of a layer by their names in the file."""
    if not _overrides(layer, "save_own_variables"):
        return _numbered(layer._variables())
    store: dict[str, Any] = {}
    layer.save_own_variables(store)
    return store


def _numbered(variables: Sequence[Variable]) -> dict[str, hdf5.Array]:
    return {str(i): variable.value for i, variable in enumerate(variables)}


def _overrides(layer: Any, method: str) -> bool:
    """Says whether the user's class keeps its numbers in a way of its own."""
    return getattr(type(layer), method) is not getattr(Layer, method)


def _write_variables(file: h5py.File, path: str, name: str, arrays: Mapping[str, Any]) -> None:
    group = file.create_group(f"{path}/vars" if path else "vars")
    group.attrs["name"] = str(name)
    for key, value in arrays.items():
        group.create_dataset(key, data=np.asarray(value))


# Reading ---------------------------------------------------------------------------


class Mismatch(Exception):
    """The file has other variables than the model; the message says which."""


def read(
    file: h5py.File,
    model: Any,
    where: str,
    *,
    skip_mismatch: bool = False,
    optimizer: bool = True,
    error: type[NncompileError] = ModelError,
) -> Plan:
    """Reads the variables of ``model``, and assigns nothing.

    Args:
        file: an open file.
        model: a built model.
        where: name of the file, for messages.
        skip_mismatch: warn of layers that do not fit and leave them out.
        optimizer: read the state of the optimizer too, if both have one.
        error: what to raise for a layer that does not fit.

    Raises:
        error: a layer of the model is not in the file, or has other shapes there.
        FileFormatError: the file is damaged or hostile.
    """
    plan: Plan = []
    skipped: list[str] = []
    if all(hdf5.group(file, name, where) is None for name in (LAYERS, LAYERS_2, "vars")):
        raise FileFormatError(f"{where}: expected the weights of a Keras model; it has no group {LAYERS!r}.")
    for path, layer in places(model):
        try:
            group = _group(file, path, where)
            if _overrides(layer, "load_own_variables"):
                plan.append((layer.load_own_variables, _read_all(group, where)))
            else:
                plan += _read_variables(group, layer._variables(), describe(layer), where)
        except Mismatch as mismatch:
            if not skip_mismatch:
                raise misfit(error, where, mismatch) from None
            skipped.append(str(mismatch))
    if skipped:
        warnings.warn(f"{where}: left as they were: " + " ".join(skipped), UserWarning, stacklevel=4)
    if optimizer:
        plan += _read_optimizer(file, model, where)
    return plan


def misfit(error: type[NncompileError], where: str, mismatch: Mismatch) -> NncompileError:
    """Returns the error for layers that do not fit: of the model, or of a whole file."""
    return error(f"{where}: {mismatch}" if error is FileFormatError else str(mismatch))


def _group(file: h5py.File, path: str, where: str) -> h5py.Group | None:
    """Returns the group of variables at a place, where Keras 3 or 2.13 put it."""
    steps = [*path.split("/"), "vars"] if path else ["vars"]
    found = hdf5.group(file, "/".join(steps), where)
    if found is None and len(steps) > 1:
        steps[::2] = [LAYERS_2 if step == LAYERS else step for step in steps[::2]]
        found = hdf5.group(file, "/".join(steps), where)
    return found


def _read_all(group: h5py.Group | None, where: str) -> dict[str, hdf5.Array]:
    """Reads all datasets of a group, for a class that knows what they are."""
    if group is None or not hdf5.count(group, where):
        return {}
    found = {name: hdf5.dataset(group, name, where) for name in list(group)}
    return {name: dataset.read() for name, dataset in found.items() if dataset is not None}


def _read_variables(group: h5py.Group | None, variables: Sequence[Variable], name: str, where: str) -> Plan:
    """Reads the datasets 0, 1, ... of a group; raises Mismatch if they are others."""
    stored = 0 if group is None else hdf5.count(group, where)
    datasets = [hdf5.dataset(group, str(i), where) for i in range(stored)] if group is not None else []
    if any(dataset is None for dataset in datasets):
        raise FileFormatError(f"{where}: {name}: expected variables that are counted from 0.")
    return match(variables, [d for d in datasets if d is not None], name)


def match(variables: Sequence[Variable], datasets: Sequence[hdf5.Dataset], name: str) -> Plan:
    """Reads ``datasets`` if their shapes are those of ``variables``.

    Raises:
        Mismatch: they are not; nothing has been read.
    """
    if len(datasets) != len(variables):
        wanted = ", ".join(f"{v.name} {v.shape}" for v in variables) or "none"
        raise Mismatch(
            f"{name}: expected {len(variables)} variables ({wanted}), received {len(datasets)} "
            f"({', '.join(str(d.shape) for d in datasets) or 'none'}). "
            "The file was written by a model with other layers."
        )
    for variable, dataset in zip(variables, datasets, strict=True):
        if dataset.shape != variable.shape:
            raise Mismatch(
                f"{name}: expected shape {variable.shape} for {variable.name}, received {dataset.shape}. "
                "The file was written by a model with layers of other sizes."
            )
        if np.dtype(variable.dtype).kind in "iu" and dataset.dtype.kind == "f":
            raise Mismatch(f"{name}: expected integers for {variable.name}, received {dataset.dtype}.")
    return [(v.assign, d.read(v.dtype)) for v, d in zip(variables, datasets, strict=True)]


def _read_optimizer(file: h5py.File, model: Any, where: str) -> Plan:
    optimizer: Any = getattr(model, "optimizer", None)
    group = hdf5.group(file, "optimizer/vars", where) if optimizer is not None else None
    if group is None:
        return []
    variables = built_variables(model)
    stored = hdf5.count(group, where)
    expected = variables
    if stored in (1, 2):  # of an optimizer that had not made a step, and no slots
        expected = variables[:stored]
    elif stored == len(variables) - 1 and variables[1].name == "learning_rate":  # Keras 2.12 to 2.15
        expected = [variables[0], *variables[2:]]
    try:
        return _read_variables(group, expected, f"optimizer {optimizer.name}", where)
    except Mismatch as mismatch:
        warnings.warn(f"{where}: the state of the optimizer is left as it was. {mismatch}", UserWarning, stacklevel=5)
        return []


def built_variables(model: Any) -> list[Variable]:
    """Returns the variables of the optimizer of ``model``, with its slots."""
    if not getattr(model.optimizer, "built", False):
        model.optimizer.build(model.trainable_weights)
    return list(model.optimizer.variables)


def assign(plan: Plan) -> None:
    """Puts what was read into the variables."""
    for put, value in plan:
        put(value)
