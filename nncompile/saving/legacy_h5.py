"""The ``.h5`` of Keras 1 and 2, and of Keras 3's own legacy mode. The last is written as well.

    attributes              keras_version, backend, model_config, training_config
    model_weights           attribute layer_names
    model_weights/<layer>   attribute weight_names, and datasets of those names
    model_weights/top_level_model_weights   likewise, for weights of the model's own
    optimizer_weights       attribute weight_names, and datasets of those names

A file of weights alone has the groups of ``model_weights`` at its root. Layers are
matched in order, those without weights left out, since names were often automatic. An
attribute that is too long for HDF5 is split into ``layer_names0``, ``layer_names1``, ...
"""

from __future__ import annotations

import io
import json
import warnings
from typing import TYPE_CHECKING, Any

from .. import registry
from ..errors import FileFormatError, ModelError, NncompileError, UnsupportedError
from ..layers import serialization
from . import archive, attributes, hdf5, legacy_config, objects, storage, weights_h5
from .legacy_config import Release
from .weights_h5 import Mismatch, Plan

if TYPE_CHECKING:
    import h5py

    from ..variables import Variable


class _File:
    """An open file, with what has to be known of it as a whole."""

    def __init__(self, file: h5py.File, data: bytes, where: str) -> None:
        self.root = file
        self.where = where
        self._texts = attributes.Texts(data, where)

    def text(self, group: h5py.Group, name: str) -> str | None:
        value = self._texts.read(hdf5.address(group), name)
        if isinstance(value, list):
            value = value[0] if len(value) == 1 else None
        return value

    def names(self, group: h5py.Group, name: str) -> list[str]:
        """Returns a list of names, which may be in several attributes."""
        address = hdf5.address(group)
        value = self._texts.read(address, name)
        if value is not None:
            return [value] if isinstance(value, str) else value
        result: list[str] = []
        for i in range(attributes.MAX_MESSAGES):
            value = self._texts.read(address, f"{name}{i}")
            if value is None:
                break
            result += [value] if isinstance(value, str) else value
            if len(result) > hdf5.MAX_NAMES:
                raise FileFormatError(f"{self.where}: attribute {name!r}: more than {hdf5.MAX_NAMES} names.")
        return result

    def group(self, parent: h5py.Group, name: str) -> h5py.Group:
        found = hdf5.group(parent, name, self.where)
        if found is None:
            raise FileFormatError(f"{self.where}: expected a group {name!r:.80}, found none.")
        return found

    def datasets(self, group: h5py.Group) -> list[hdf5.Dataset]:
        result = []
        for name in self.names(group, "weight_names"):
            found = hdf5.dataset(group, name, self.where)
            if found is None:
                raise FileFormatError(f"{self.where}: expected a dataset {name!r:.80}, found none.")
            result.append(found)
        return result


def is_legacy(file: h5py.File) -> bool:
    """Says whether a file has the layout described above, and not that of ``.weights.h5``."""
    return any(name in file.attrs for name in ("layer_names", "layer_names0", "model_config"))


def load(data: bytes, where: str, custom: objects.Custom, compile: bool) -> Any:
    """Makes the model of a legacy ``.h5`` file that is in memory.

    Raises:
        FileFormatError: it is damaged or hostile, or has no model in it.
        UnsupportedError: a class or an option in it is not supported.
    """
    with hdf5.opened(data, where) as h5:
        config, training, release = _configuration(_File(h5, data, where))
    if compile and training:
        config["compile_config"] = legacy_config.modern_training(training, f"{where}: training_config", release)
    model = objects.model_from_object(
        config, f"{where}: model_config", custom, compile=compile, stored=len(data), version=3
    )
    with hdf5.opened(data, where) as h5:
        file = _File(h5, data, where)
        plan = _read_model(file, file.group(h5, "model_weights"), model, False, False, FileFormatError)
        if compile and getattr(model, "optimizer", None) is not None:
            plan += _read_optimizer(file, model, release)
    weights_h5.assign(plan)
    return model


def _configuration(file: _File) -> tuple[dict[str, Any], dict[str, Any], Release]:
    """Returns the configurations of the model, in the form of Keras 3, and of its training, and who wrote them."""
    text = file.text(file.root, "model_config")
    if text is None:
        what = "the weights of a model" if hdf5.group(file.root, weights_h5.LAYERS, file.where) else "no model"
        raise FileFormatError(
            f"{file.where}: expected a whole model, found {what}. "
            "Build the model in Python, and call load_weights() for weights alone."
        )
    config = storage.parse_object(text, f"{file.where}: model_config")
    release = legacy_config.release_of(file.text(file.root, "keras_version"), Release(1))
    config = legacy_config.modern_model(config, release.major, f"{file.where}: model_config")
    training = file.text(file.root, "training_config")
    if training is None:
        return config, {}, release
    return config, storage.parse_object(training, f"{file.where}: training_config"), release


def read_weights(
    h5: h5py.File, data: bytes, model: Any, where: str, *, skip_mismatch: bool = False, by_name: bool = False
) -> Plan:
    """Reads the weights of ``model`` from a legacy file, and assigns nothing.

    Raises:
        ModelError: the file has other weights.
        FileFormatError: it is damaged or hostile.
    """
    file = _File(h5, data, where)
    root = h5 if file.names(h5, "layer_names") else file.group(h5, "model_weights")
    return _read_model(file, root, model, skip_mismatch, by_name, ModelError)


def _weights(layer: Any) -> list[Variable]:
    return [*layer.trainable_weights, *layer.non_trainable_weights]


def _read_model(
    file: _File,
    root: h5py.Group,
    model: Any,
    skip_mismatch: bool,
    by_name: bool,
    error: type[NncompileError],
) -> Plan:
    names = file.names(root, "layer_names")
    stored = {name: file.datasets(file.group(root, name)) for name in names}
    layers = [layer for layer in model.layers if layer.weights]
    if by_name:
        pairs = [(layer, stored[layer.name]) for layer in layers if layer.name in stored]
    else:
        filled = [datasets for datasets in stored.values() if datasets]
        if len(filled) != len(layers):
            raise error(
                f"{file.where}: expected {len(layers)} layers with weights, received {len(filled)}. "
                "The file was written by another model."
            )
        pairs = list(zip(layers, filled, strict=True))
    plan: Plan = []
    skipped: list[str] = []
    for layer, datasets in pairs:
        try:
            plan += weights_h5.match(_weights(layer), datasets, weights_h5.describe(layer))
        except Mismatch as mismatch:
            if not skip_mismatch:
                raise weights_h5.misfit(error, file.where, mismatch) from None
            skipped.append(str(mismatch))
    if skipped:
        warnings.warn(f"{file.where}: left as they were: " + " ".join(skipped), UserWarning, stacklevel=5)
    return plan


def _read_optimizer(file: _File, model: Any, release: Release) -> Plan:
    """Reads the state of the optimizer, if its layout is one that is known.

    Keras 3 writes iteration, learning rate, and the slots weight by weight. Keras 2.11
    to 2.15 had the learning rate elsewhere. Before that all slots of a kind stood
    together, and some optimizers did not count iterations.
    """
    group = hdf5.group(file.root, "optimizer_weights", file.where)
    if group is None:
        return []
    stored = file.datasets(group)
    variables = weights_h5.built_variables(model)
    slots = any(v.shape for v in variables)
    orders = [variables]
    if release.major < 3:
        orders = _orders(model.optimizer, variables, file.names(group, "weight_names"))
    for expected in orders:
        used, rest = stored[: len(expected)], stored[len(expected) :]
        # Until 2.2 SGD kept moments that it did not use, and Adam an empty place for each of amsgrad's.
        if [v.shape for v in expected] == [d.shape for d in used] and all(d.shape == (1,) or not slots for d in rest):
            try:
                return weights_h5.match(expected, used, f"optimizer {model.optimizer.name}")
            except Mismatch:
                continue
    warnings.warn(
        f"{file.where}: the state of the optimizer is left as it was: it is of another Keras, "
        "which kept other numbers, or kept them in another order.",
        UserWarning,
        stacklevel=5,
    )
    return []


def _orders(optimizer: Any, variables: list[Variable], names: list[str]) -> list[list[Variable]]:
    """Returns the orders in which a file may have the variables, by the names in it."""
    iteration = [v for v in variables if v.name.startswith("iteration")]
    rate = [v for v in variables if v.name.startswith("learning_rate")]
    known = {id(v) for v in (*iteration, *rate)}
    slots = [v for v in variables if id(v) not in known]
    # Adam/m/dense/kernel:0 of 2.11 is in the order of today; Adam/dense/kernel/m:0 and
    # Adam/Variable:0 of before are not.
    prefixed = any(name.split("/")[1:2] and name.split("/")[1] in _SLOTS_2_11 for name in names)
    if not slots:
        return [variables, iteration]
    if prefixed:
        return [[*iteration, *slots]]
    kinds = [str(kind) for kind in getattr(optimizer, "slots", {})]
    together = [v for kind in kinds for v in slots if v.name.endswith(kind)]
    if len(together) != len(slots):
        return []
    return [[*iteration, *together], together]


_SLOTS_2_11 = frozenset(
    "m v u vhat velocity momentum average_gradient accumulator accumulated_grad accumulated_delta_var".split()
)
"""The first part of the names of slots in Keras 2.11 to 2.15."""


# Writing ---------------------------------------------------------------------------

_LIMIT = 64512
"""The most bytes of one attribute, names of one length counted; longer lists are split."""


def save(model: Any, path: storage.Path, include_optimizer: bool = True) -> None:
    """Writes a model as Keras 3 writes its legacy ``.h5``, all of it or nothing.

    Raises:
        UnsupportedError: a model of a class of the user's own, which this form does not know.
    """
    import h5py

    config = _without_modules(objects.model_config(model))
    if not isinstance(config["config"].get("layers"), list):
        raise UnsupportedError(
            f"save_model: {weights_h5.describe(model)}: a legacy file holds layers, and this model is a class. "
            "Give a name that ends in .keras."
        )
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        file.attrs["keras_version"] = archive.KERAS_VERSION
        file.attrs["backend"] = "numpy"
        file.attrs["model_config"] = json.dumps(config)
        optimizer = model.optimizer if include_optimizer and getattr(model, "compiled", False) else None
        if optimizer is not None:
            training = serialization.plain(model.get_compile_config())
            training["optimizer_config"] = _without_modules(training.pop("optimizer"))
            training["loss"] = _whole_names(training["loss"])
            file.attrs["training_config"] = json.dumps(training)
        group = file.create_group("model_weights")
        group.attrs["keras_version"] = archive.KERAS_VERSION
        group.attrs["backend"] = "numpy"
        _write_names(group, "layer_names", [layer.name for layer in model.layers])
        inner = {id(v) for layer in model.layers for v in layer.weights}
        own = [v for v in _weights(model) if id(v) not in inner]
        for layer in model.layers:
            _write_variables(group.create_group(layer.name), _weights(layer))
        _write_variables(group.create_group("top_level_model_weights"), own)
        if optimizer is not None and optimizer.variables:
            _write_variables(file.create_group("optimizer_weights"), optimizer.variables)
    storage.write_file(path, [buffer.getbuffer()])


def _without_modules(value: Any) -> Any:
    """Returns a configuration whose layers are named as Keras 2 did: by their class, registered or not, alone."""
    config = dict(value["config"])
    if isinstance(config.get("layers"), list):
        config["layers"] = [_without_modules(layer) for layer in config["layers"]]
    kept = (
        "name",
        "inbound_nodes",
        registry.SHARED,
        *(["module"] if str(value.get("module")).startswith(objects.OPERATIONS) else []),
    )
    rest = {key: value[key] for key in kept if key in value}
    return {"class_name": value.get("registered_name") or value["class_name"], "config": config, **rest}


def _whole_names(loss: Any) -> Any:
    """Returns losses with ``mean_squared_error`` for ``mse``: Keras does not find short names when it reads them."""
    if isinstance(loss, list):
        return [_whole_names(item) for item in loss]
    if isinstance(loss, dict):
        return loss if "class_name" in loss else {name: _whole_names(item) for name, item in loss.items()}
    known = registry.table("losses")
    return known[loss].__name__ if isinstance(loss, str) and loss in known else loss


def _write_names(group: h5py.Group, name: str, names: list[str]) -> None:
    longest = max((len(text.encode()) for text in names), default=0)
    size = max(_LIMIT // max(longest, 1), 1)
    if len(names) <= size:
        group.attrs[name] = names
        return
    for part, first in enumerate(range(0, len(names), size)):
        group.attrs[f"{name}{part}"] = names[first : first + size]


def _write_variables(group: h5py.Group, variables: list[Variable]) -> None:
    names: list[str] = []
    for variable in variables:
        names.append(variable.path if variable.path not in names else f"{variable.path}_{len(names)}")
        group.create_dataset(names[-1], data=variable.value)
    _write_names(group, "weight_names", names)
