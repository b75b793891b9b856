"""Configurations that Keras 1 and 2 wrote, in the words of Keras 3.

Files keep the names of their time: Keras 1 called the units of a Dense ``output_dim``
and wrote a Sequential as a list, Keras 2 put the input shape into the first layer. All
of it is translated here, so that nothing behind knows of it, and without the warnings
that a person who types old names deserves.

Some formulas and defaults changed as well; :mod:`.legacy_formulas` has those of before. Files
of before mean those, and get them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from ..errors import FileFormatError, UnsupportedError
from ..losses.names import OLD_NAMES
from . import legacy_formulas

Config = dict[str, Any]


class Release(NamedTuple):
    """Which Keras wrote a file.

    Attributes:
        major: the first number of its version.
        minor: the second one.
        tensorflow: whether it was the Keras inside TensorFlow, of which there were two until 2.4.
    """

    major: int
    minor: int = 0
    tensorflow: bool = False

    @property
    def own_optimizers(self) -> bool:
        """Whether the optimizers were those of the Keras of several backends."""
        return (self.major, self.minor) < (2, 4) and not self.tensorflow

    @property
    def old_optimizers(self) -> bool:
        """Whether the optimizers were those of before Keras 2.11."""
        return (self.major, self.minor) < (2, 11)


def release_of(text: Any, default: Release) -> Release:
    """Returns what ``"2.15.0"`` or ``"2.2.4-tf"`` says, and ``default`` for what is no version."""
    found = re.match(r"(\d{1,3})\.(\d{1,3})", text) if isinstance(text, str) else None
    return Release(int(found[1]), int(found[2]), text.endswith("-tf")) if found else default


LAST_2 = Release(2, 15, True)
"""The last release of Keras 2."""

RENAMED_CLASSES = {"ThresholdedReLU": "ReLU", "TimeDistributedDense": "Dense"}

_DENSE = {
    "output_dim": "units",
    "init": "kernel_initializer",
    "W_regularizer": "kernel_regularizer",
    "b_regularizer": "bias_regularizer",
    "W_constraint": "kernel_constraint",
    "b_constraint": "bias_constraint",
    "bias": "use_bias",
}

_POOLING = {"pool_length": "pool_size", "stride": "strides", "border_mode": "padding"}

RENAMED: dict[str, dict[str, str]] = {
    "Dense": _DENSE,
    "TimeDistributedDense": _DENSE,
    "Embedding": {
        "init": "embeddings_initializer",
        "W_regularizer": "embeddings_regularizer",
        "W_constraint": "embeddings_constraint",
    },
    "AveragePooling1D": _POOLING,
    "MaxPooling1D": _POOLING,
    "UpSampling1D": {"length": "size"},
    "Dropout": {"p": "rate"},
    "SpatialDropout1D": {"p": "rate"},
    "GaussianDropout": {"p": "rate"},
    "GaussianNoise": {"sigma": "stddev"},
    "BatchNormalization": {"beta_init": "beta_initializer", "gamma_init": "gamma_initializer"},
    "LeakyReLU": {"alpha": "negative_slope"},
    "PReLU": {"init": "alpha_initializer"},
    "ThresholdedReLU": {"theta": "threshold"},
    "InputLayer": {"batch_input_shape": "batch_shape", "input_dtype": "dtype"},
}
"""Arguments of layers that have had another name."""

DROPPED: dict[str, dict[str, tuple[Any, ...]]] = {
    "BatchNormalization": {
        "mode": (0,),
        "fused": (None, True, False),
        "renorm": (False,),
        "renorm_clipping": (None,),
        "renorm_momentum": (None, 0.99),
        "virtual_batch_size": (None,),
        "adjustment": (None,),
    },
    "InputLayer": {"sparse": (False, None), "ragged": (False, None), "input_tensor": (None,)},
    "TimeDistributedDense": {"input_length": (None,)},
    "Embedding": {"dropout": (0, 0.0)},
    "": {"weights": (None,), "input_dtype": (None, "float32"), "input_dim": (None,)},
}
"""Arguments that are gone, and the values with which they meant what is left. Those
under the empty name are of every layer."""

_ANY_SHAPE = "batch_input_shape"


def modern_model(config: Any, version: int, where: str) -> Config:
    """Returns the configuration of a model in the form of Keras 3.

    Args:
        config: ``class_name`` and ``config`` of a model, as Keras 1 or 2 wrote them.
        version: the major version of the Keras that wrote it.
        where: the file, for messages.

    Raises:
        FileFormatError: it is not the configuration of a model.
        UnsupportedError: an option that is gone was used.
    """
    if not isinstance(config, Mapping) or not isinstance(config.get("class_name"), str):
        raise FileFormatError(f"{where}: expected the configuration of a model, found {config!r:.80}.")
    result = dict(config)
    inner = config.get("config")
    if isinstance(inner, list):  # until 2.2 a Sequential was nothing but its layers
        inner = {"layers": inner}
    if not isinstance(inner, Mapping) or not isinstance(inner.get("layers"), list):
        raise FileFormatError(f"{where}: expected a model with a list of layers, found {inner!r:.80}.")
    layers: list[Config] = []
    for position, layer in enumerate(inner["layers"]):
        if _class_name(layer, where) in ("Sequential", "Model", "Functional"):
            layers.append(modern_model(layer, version, where))
            continue
        modern, shape = _layer(layer, version, where)
        if position == 0 and shape is not None and config["class_name"] == "Sequential":
            layers.append({"module": "keras.layers", "class_name": "InputLayer", "config": {"batch_shape": shape}})
        layers.append(modern)
    if "output_layers" in inner and result.get("class_name") == "Model":  # Keras 3 calls it by its class
        result["class_name"] = "Functional"
    result["module"] = result.get("module") or "keras"
    result["config"] = {**inner, "layers": layers}
    return result


def _class_name(config: Any, where: str) -> str:
    name = config.get("class_name") if isinstance(config, Mapping) else None
    if not isinstance(name, str) or not isinstance(config.get("config"), (Mapping, list)):
        raise FileFormatError(f"{where}: expected a layer, found {config!r:.80}.")
    return name


def _layer(layer: Any, version: int, where: str) -> tuple[Config, Any]:
    """Returns a layer in the form of Keras 3, and the shape of its input if it said so."""
    name = _class_name(layer, where)
    if not isinstance(layer["config"], Mapping):
        raise FileFormatError(f"{where}: {name}: expected a configuration, found a list.")
    old: Config = dict(layer["config"])
    label = f"{where}: {old.get('name', name)} ({name})"
    if name == "Merge":
        return {**layer, "module": "keras.layers", **_merge(old, label)}, None
    config = _renamed(old, RENAMED.get(name, {}), label)
    if name == "Embedding":
        config.pop("input_length", None)  # a hint for layers after it, which read it from its output now
    if name == "TimeDistributed" and isinstance(config.get("layer"), Mapping):
        config["layer"] = _layer(config["layer"], version, where)[0]
    width = config.get("input_dim") if name != "Embedding" else None
    shape = config.pop(_ANY_SHAPE, None) or ([None, width] if width is not None else None)
    if width is not None:
        del config["input_dim"]
    for key, harmless in {**DROPPED[""], **DROPPED.get(name, {})}.items():
        kept = (name == "InputLayer" and config.get(key) is None) or (name, key) == ("Embedding", "input_dim")
        if key in config and not kept:
            value = config.pop(key)
            if value not in harmless:
                raise UnsupportedError(f"{label}: {key}={value!r:.80} is not supported.")
    if isinstance(config.get("axis"), list) and len(config["axis"]) == 1:
        config["axis"] = config["axis"][0]
    for key, value in config.items():
        for suffix, change in _CHANGES.items():
            if key.endswith(suffix) and value is not None:
                config[key] = change(value, label)
        if version < 2 and key.endswith("_initializer") and isinstance(value, str):
            config[key] = INITIALIZERS_1.get(value, value)
    if config.get("activation") == "hard_sigmoid" and version < 3:
        config["activation"] = _HARD_SIGMOID
    result = {**layer, "class_name": RENAMED_CLASSES.get(name, name), "config": config}
    result["module"] = result.get("module") or "keras.layers"
    return result, shape if name != "InputLayer" else None


_MERGED = {
    "sum": "Add",
    "mul": "Multiply",
    "ave": "Average",
    "max": "Maximum",
    "concat": "Concatenate",
    "dot": "Dot",
    "cos": "Dot",
}


def _merge(config: Config, label: str) -> Config:
    """Returns class and configuration of the layer that a Merge of Keras 1 is by its mode."""
    mode = config.get("mode")
    if not isinstance(mode, str) or mode not in _MERGED or config.get("layers"):
        raise UnsupportedError(f"{label}: mode={mode!r:.80} is not supported, nor are layers inside a Merge.")
    result: Config = {"name": config.get("name")}
    if mode == "concat":
        result["axis"] = config.get("concat_axis", -1)
    if mode in ("dot", "cos"):
        result.update(axes=config.get("dot_axes", -1), normalize=mode == "cos")
    return {"class_name": _MERGED[mode], "config": result}


def _function(function: Any) -> Config:
    """Returns the description of one of the functions of :mod:`.legacy_formulas`."""
    name = function.__name__
    registered = f"{legacy_formulas.PACKAGE}>{name}"
    return {"module": "builtins", "class_name": "function", "config": name, "registered_name": registered}


_HARD_SIGMOID = _function(legacy_formulas.hard_sigmoid_keras2)


def _initializer_1(name: str, **config: Any) -> Config:
    return {"module": "keras.initializers", "class_name": name, "config": config}


INITIALIZERS_1 = {
    "glorot_normal": _initializer_1("VarianceScaling", mode="fan_avg", distribution="untruncated_normal"),
    "he_normal": _initializer_1("VarianceScaling", scale=2.0, mode="fan_in", distribution="untruncated_normal"),
    "orthogonal": _initializer_1("Orthogonal", gain=1.1),
}
"""What names of initializers meant in Keras 1, where it was something else."""


def _renamed(config: Config, names: Mapping[str, str], label: str) -> Config:
    result: Config = {}
    for key, value in config.items():
        key = names.get(key, key)
        if key in result:
            raise FileFormatError(f"{label}: {key} under two names.")
        result[key] = value
    return result


def _described(value: Any, label: str) -> tuple[str, Config] | None:
    """Returns class and configuration of what Keras 1 or 2 wrote, None for a bare name or a function of the user's."""
    if isinstance(value, str) or _is_function(value):
        return None
    if isinstance(value, Mapping):
        inner = value.get("config", value)
        name = value.get("class_name", value.get("name"))
        if isinstance(inner, Mapping) and isinstance(name, str):
            return name, {k: v for k, v in inner.items() if k != "name" or inner is not value}
    raise FileFormatError(f"{label}: expected a name or an object, found {value!r:.80}.")


def _object(value: Any, kind: str, name: str, config: Config) -> Config:
    """Returns the description of an object in the form of Keras 3, with the name that its class is registered under."""
    registered = value.get("registered_name") if isinstance(value, Mapping) else None
    if isinstance(registered, str):
        return {"module": value.get("module"), "class_name": name, "config": config, "registered_name": registered}
    return {"module": f"keras.{kind}", "class_name": name, "config": config}


def _is_function(value: Any) -> bool:
    """Whether a description is that of a function of the user's, as Keras 3 writes it."""
    return isinstance(value, Mapping) and value.get("class_name") == "function" and isinstance(value.get("config"), str)


def _regularizer(value: Any, label: str) -> Any:
    found = _described(value, label)
    if found is None:
        return value
    name, config = found
    if name in ("WeightRegularizer", "ActivityRegularizer", "L1L2Regularizer"):
        name = "L1L2"
    return _object(value, "regularizers", name, config)


def _constraint(value: Any, label: str) -> Any:
    found = _described(value, label)
    if found is None:
        return value
    name, config = found
    names = {"m": "max_value"} if name == "MaxNorm" else {"low": "min_value", "high": "max_value"}
    return _object(value, "constraints", name, _renamed(config, names, label))


def _initializer(value: Any, label: str) -> Any:
    found = _described(value, label)
    if found is None:
        return value
    name, config = found
    config.pop("dtype", None)  # of the initializers of TensorFlow, which take that of the variable
    if name == "VarianceScaling" and config.get("distribution") == "normal":
        config["distribution"] = "truncated_normal"
    return _object(value, "initializers", name, config)


def _dtype(value: Any, label: str) -> Any:
    found = _described(value, label)
    return value if found is None else found[1].get("name")


_CHANGES: dict[str, Callable[[Any, str], Any]] = {
    "_regularizer": _regularizer,
    "_constraint": _constraint,
    "_initializer": _initializer,
    "dtype": _dtype,
}


# How it was compiled ---------------------------------------------------------------


def modern_training(config: Mapping[str, Any], where: str, release: Release = LAST_2) -> Config:
    """Returns ``training_config`` of Keras 1 or 2 as ``compile_config`` of Keras 3.

    Args:
        config: how the model was compiled.
        where: the file, for messages.
        release: the Keras that wrote it.

    Raises:
        FileFormatError: it is not what Keras writes.
        UnsupportedError: weights of samples for each step in time, or something that is gone.
    """
    if config.get("sample_weight_mode") not in (None, [None], {}):
        raise UnsupportedError(f"{where}: sample_weight_mode={config['sample_weight_mode']!r:.80} is not supported.")
    return {
        "optimizer": modern_optimizer(config.get("optimizer_config", config.get("optimizer")), where, release),
        "loss": _each(_unwrapped(config.get("loss")), lambda value: _loss(value, where, release)),
        "loss_weights": _unwrapped(config.get("loss_weights")),
        "metrics": _metrics(config.get("metrics"), where, release),
        "weighted_metrics": _metrics(config.get("weighted_metrics"), where, release),
    }


RATES = {
    "SGD": 0.01,
    "RMSprop": 0.001,
    "Adagrad": 0.01,
    "Adadelta": 1.0,
    "Adam": 0.001,
    "Adamax": 0.002,
    "Nadam": 0.002,
}
"""The learning rates that optimizers had by themselves in the Keras of several backends."""

_OLD_CLASSES = {
    "RMSprop": legacy_formulas.RMSpropKeras2,
    "Adagrad": legacy_formulas.AdagradKeras2,
    "Nadam": legacy_formulas.NadamKeras2,
}


def modern_optimizer(config: Any, where: str, release: Release = LAST_2) -> Any:
    """Returns the description of an optimizer in the form of Keras 3.

    Args:
        config: its description, or its name.
        where: the file, for messages.
        release: the Keras that wrote it, whose formulas and defaults it gets.
    """
    names = {known.lower(): known for known in RATES}
    found = _described(config, f"{where}: optimizer")
    if found is None:
        if not release.old_optimizers or str(config).lower() not in names:
            return config
        found = names[str(config).lower()], {}
    name, inner = found
    name = name.removeprefix("Custom>") if name.rpartition(">")[2] in RATES else name  # Keras 2.11 wrote Custom>Adam
    inner = _renamed(inner, {"lr": "learning_rate"}, f"{where}: {name}")
    for key in ("jit_compile", "is_legacy_optimizer"):
        inner.pop(key, None)
    if not (release.old_optimizers and name == "Nadam"):
        inner.pop("schedule_decay", None)
    if inner.get("epsilon", 0) is None:
        del inner["epsilon"]
    if release.own_optimizers and name in RATES:
        _fill(name, inner, release)
    decay = inner.pop("decay", 0)
    if decay:
        inner["learning_rate"] = {
            "module": "keras.optimizers.schedules",
            "class_name": "InverseTimeDecay",
            "config": {
                "initial_learning_rate": inner.get("learning_rate"),
                "decay_steps": 1,
                "decay_rate": decay,
                "staircase": False,
            },
        }
    if release.old_optimizers and name in _OLD_CLASSES and not (name == "RMSprop" and inner.get("momentum")):
        old = _OLD_CLASSES[name].__name__
        registered = f"{legacy_formulas.PACKAGE}>{old}"
        return {"module": None, "class_name": old, "config": inner, "registered_name": registered}
    return {"module": None if ">" in name else "keras.optimizers", "class_name": name, "config": inner}


def _fill(name: str, config: Config, release: Release) -> None:
    """Puts the defaults of the Keras of several backends into what a file leaves out, and says its clipping anew."""
    config.setdefault("learning_rate", RATES[name])
    if name != "SGD":
        config.setdefault("epsilon", 1e-8 if release.major < 2 else 1e-7)
    if name == "Adagrad":
        config.setdefault("initial_accumulator_value", 0.0)
    if "clipnorm" in config:  # it was the norm of all gradients together
        norm = config.pop("clipnorm")
        if norm:
            config["global_clipnorm"] = norm


def _unwrapped(value: Any) -> Any:
    """Takes the only one out of a list or dictionary for each output of a model."""
    while isinstance(value, (list, dict)) and len(value) == 1 and "class_name" not in value:
        value = next(iter(value.values() if isinstance(value, dict) else value))
    return value


def _each(value: Any, change: Callable[[Any], Any]) -> Any:
    """Changes what is given for each output of a model, in whatever lists and dictionaries it is."""
    if isinstance(value, list):
        return [_each(item, change) for item in value]
    if isinstance(value, dict) and "class_name" not in value:
        return {name: _each(item, change) for name, item in value.items()}
    return None if value is None else change(value)


def _loss(value: Any, where: str, release: Release) -> Any:
    found = _described(value, f"{where}: loss")
    if found is None:
        if release.major < 2 and value == "cosine_proximity":
            return _function(legacy_formulas.cosine_proximity_keras1)
        return OLD_NAMES.get(value, value) if isinstance(value, str) else value
    name, config = found
    config.pop("fn", None)  # of which the class is a wrapper
    if config.get("reduction") == "auto":
        config["reduction"] = "sum_over_batch_size"
    return _object(value, "losses", name, config)


def _metrics(value: Any, where: str, release: Release) -> Any:
    if value is None:
        return None
    if isinstance(value, dict) and len(value) == 1:
        value = next(iter(value.values()))
    while isinstance(value, list) and len(value) == 1 and isinstance(value[0], list):
        value = value[0]
    if not isinstance(value, (list, dict)):
        value = [value]
    if isinstance(value, list):
        value = [item for item in value if item is not None]
    return _each(value, lambda item: _metric(item, where, release))


METRICS_1 = {"precision": "Precision", "recall": "Recall"}
"""Metrics of Keras 1 that were means over the batches, and are of the whole now."""

_GONE = ("fbeta_score", "fmeasure", "matthews_correlation")


def _metric(value: Any, where: str, release: Release) -> Any:
    found = _described(value, f"{where}: metrics")
    if found is None:
        if not isinstance(value, str):
            return value
        if release.major < 2 and value in METRICS_1:
            return {"module": "keras.metrics", "class_name": METRICS_1[value], "config": {"name": value}}
        if release.major < 2 and value in _GONE:
            raise UnsupportedError(f"{where}: the metric {value!r} of Keras 1 is not supported.")
        return OLD_NAMES.get(value, value)
    name, config = found
    if name in ("MeanMetricWrapper", "SumOverBatchSizeMetricWrapper"):
        # The wrapper of a name that compile() resolves by the shapes, or of a function.
        plain = config.get("name")
        if plain in ("accuracy", "acc", "crossentropy", "ce"):
            return plain
        return (
            _object(value, "metrics", "MeanMetricWrapper", config)
            if _is_function(config.get("fn"))
            else config.get("fn")
        )
    config.pop("fn", None)
    return _object(value, "metrics", name, config)
