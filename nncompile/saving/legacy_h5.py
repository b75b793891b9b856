"""The ``.h5`` of Keras 1 and 2, and of Keras 3's own legacy mode: read only.

    attributes              keras_version, backend, model_config, training_config
    model_weights           attribute layer_names
    model_weights/<layer>   attribute weight_names, and datasets of those names
    optimizer_weights       attribute weight_names, and datasets of those names

A file of weights alone has the groups of ``model_weights`` at its root. Layers are
matched in order, those without weights left out, since names were often automatic. An
attribute that is too long for HDF5 is split into ``layer_names0``, ``layer_names1``, ...
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

from ..errors import FileFormatError, ModelError, NncompileError
from . import attributes, hdf5, legacy_config, objects, storage, weights_h5
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
        config, training = _configuration(_File(h5, data, where))
    if compile and training:
        config["compile_config"] = legacy_config.modern_training(training, f"{where}: training_config")
    model = objects.model_from_object(
        config, f"{where}: model_config", custom, compile=compile, stored=len(data), version=3
    )
    with hdf5.opened(data, where) as h5:
        file = _File(h5, data, where)
        plan = _read_model(file, file.group(h5, "model_weights"), model, False, False, FileFormatError)
        if compile and getattr(model, "optimizer", None) is not None:
            plan += _read_optimizer(file, model)
    weights_h5.assign(plan)
    return model


def _configuration(file: _File) -> tuple[dict[str, Any], dict[str, Any]]:
    """Returns the configurations of the model, in the form of Keras 3, and of its training."""
    text = file.text(file.root, "model_config")
    if text is None:
        what = "the weights of a model" if hdf5.group(file.root, weights_h5.LAYERS, file.where) else "no model"
        raise FileFormatError(
            f"{file.where}: expected a whole model, found {what}. "
            "Build the model in Python, and call load_weights() for weights alone."
        )
    config = storage.parse_object(text, f"{file.where}: model_config")
    version = objects.major_version(file.text(file.root, "keras_version"), default=1)
    config = legacy_config.modern_model(config, version, f"{file.where}: model_config")
    training = file.text(file.root, "training_config")
    if training is None:
        return config, {}
    return config, storage.parse_object(training, f"{file.where}: training_config")


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


def _read_optimizer(file: _File, model: Any) -> Plan:
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
    for expected in _orders(model.optimizer, variables, file.names(group, "weight_names")):
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
    # Adam/m/dense/kernel:0 of 2.11 and adam/dense_kernel_momentum of 3 are in the order
    # of today; Adam/dense/kernel/m:0 and Adam/Variable:0 of before are not.
    today = any(name.rpartition("/")[2] == "learning_rate" for name in names)
    prefixed = any(name.split("/")[1:2] and name.split("/")[1] in _SLOTS_2_11 for name in names)
    if not slots:
        return [variables, iteration]
    if today:
        return [variables]
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
