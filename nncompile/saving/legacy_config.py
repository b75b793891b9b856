"""Configurations that Keras 1 and 2 wrote, in the words of Keras 3.

Files keep the names of their time: Keras 1 called the units of a Dense ``output_dim``
and wrote a Sequential as a list, Keras 2 put the input shape into the first layer. All
of it is translated here, so that nothing behind knows of it, and without the warnings
that a person who types old names deserves.

One formula changed as well. ``hard_sigmoid`` was ``clip(0.2 x + 0.5, 0, 1)`` until
Keras 2.15 and has been ``clip(x / 6 + 0.5, 0, 1)`` since. Files of before mean the
former, and get it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from .. import ops, registry
from ..errors import FileFormatError, UnsupportedError

Config = dict[str, Any]

HARD_SIGMOID = "nncompile>hard_sigmoid_keras2"


@registry.register_keras_serializable(package="nncompile")
def hard_sigmoid_keras2(x: Any) -> Any:
    """Returns ``clip(0.2 x + 0.5, 0, 1)``, which Keras 1 and 2 called hard_sigmoid.

    Args:
        x: array or expression of any shape, which the result has too.

    Source: ``keras.backend.hard_sigmoid`` of 2.15.
    """
    return ops.clip(0.2 * x + 0.5, 0.0, 1.0)


RENAMED_CLASSES = {"ThresholdedReLU": "ReLU"}

RENAMED: dict[str, dict[str, str]] = {
    "Dense": {
        "output_dim": "units",
        "init": "kernel_initializer",
        "W_regularizer": "kernel_regularizer",
        "b_regularizer": "bias_regularizer",
        "W_constraint": "kernel_constraint",
        "b_constraint": "bias_constraint",
        "bias": "use_bias",
    },
    "Dropout": {"p": "rate"},
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
    "": {"weights": (None,), "input_dtype": (None, "float32"), "input_dim": (None,)},
}
"""Arguments that are gone, and the values with which they meant what is left. Those
under the empty name are of every layer."""

LOSSES = {
    "kullback_leibler_divergence": "kl_divergence",
    "cosine_proximity": "cosine_similarity",
    "logcosh": "log_cosh",
}
"""Losses and metrics that have had another name."""

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
    if not isinstance(config, Mapping):
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
        if position == 0 and shape is not None:
            layers.append({"module": "keras.layers", "class_name": "InputLayer", "config": {"batch_shape": shape}})
        layers.append(modern)
    if "output_layers" in inner and result.get("class_name") == "Model":
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
    config = _renamed(old, RENAMED.get(name, {}), label)
    width = config.get("input_dim") if name != "Embedding" else None
    shape = config.pop(_ANY_SHAPE, None) or ([None, width] if width is not None else None)
    if width is not None:
        del config["input_dim"]
    for key, harmless in {**DROPPED[""], **DROPPED.get(name, {})}.items():
        if key in config and not (name == "InputLayer" and config[key] is None):
            value = config.pop(key)
            if value not in harmless:
                raise UnsupportedError(f"{label}: {key}={value!r:.80} is not supported.")
    if isinstance(config.get("axis"), list) and len(config["axis"]) == 1:
        config["axis"] = config["axis"][0]
    for key, value in config.items():
        for suffix, change in _CHANGES.items():
            if key.endswith(suffix) and value is not None:
                config[key] = change(value, label)
    if config.get("activation") == "hard_sigmoid" and version < 3:
        config["activation"] = _HARD_SIGMOID
    result = {**layer, "class_name": RENAMED_CLASSES.get(name, name), "config": config}
    result["module"] = result.get("module") or "keras.layers"
    return result, shape if name != "InputLayer" else None


_HARD_SIGMOID = {
    "module": "builtins",
    "class_name": "function",
    "config": "hard_sigmoid_keras2",
    "registered_name": HARD_SIGMOID,
}


def _renamed(config: Config, names: Mapping[str, str], label: str) -> Config:
    result: Config = {}
    for key, value in config.items():
        key = names.get(key, key)
        if key in result:
            raise FileFormatError(f"{label}: {key} under two names.")
        result[key] = value
    return result


def _described(value: Any, label: str) -> tuple[str, Config] | None:
    """Returns class and configuration of what Keras 1 or 2 wrote, None for a bare name."""
    if isinstance(value, str):
        return None
    if isinstance(value, Mapping):
        inner = value.get("config", value)
        name = value.get("class_name", value.get("name"))
        if isinstance(inner, Mapping) and isinstance(name, str):
            return name, {k: v for k, v in inner.items() if k != "name" or inner is not value}
    raise FileFormatError(f"{label}: expected a name or an object, found {value!r:.80}.")


def _regularizer(value: Any, label: str) -> Any:
    found = _described(value, label)
    if found is None:
        return value
    name, config = found
    if name in ("WeightRegularizer", "ActivityRegularizer", "L1L2Regularizer"):
        name = "L1L2"
    return {"module": "keras.regularizers", "class_name": name, "config": config}


def _constraint(value: Any, label: str) -> Any:
    found = _described(value, label)
    if found is None:
        return value
    name, config = found
    names = {"m": "max_value"} if name == "MaxNorm" else {"low": "min_value", "high": "max_value"}
    return {
        "module": "keras.constraints",
        "class_name": name,
        "config": _renamed(config, names, label),
    }


def _initializer(value: Any, label: str) -> Any:
    found = _described(value, label)
    if found is None:
        return value
    name, config = found
    config.pop("dtype", None)  # of the initializers of TensorFlow, which take that of the variable
    if name == "VarianceScaling" and config.get("distribution") == "normal":
        config["distribution"] = "truncated_normal"
    return {"module": "keras.initializers", "class_name": name, "config": config}


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


def modern_training(config: Mapping[str, Any], where: str) -> Config:
    """Returns ``training_config`` of Keras 1 or 2 as ``compile_config`` of Keras 3.

    Raises:
        FileFormatError: it is not what Keras writes.
        UnsupportedError: several losses, or weights of samples for each step in time.
    """
    if config.get("sample_weight_mode") not in (None, [None], {}):
        raise UnsupportedError(f"{where}: sample_weight_mode={config['sample_weight_mode']!r:.80} is not supported.")
    return {
        "optimizer": modern_optimizer(config.get("optimizer_config", config.get("optimizer")), where),
        "loss": _losses(config.get("loss"), where),
        "loss_weights": _single(config.get("loss_weights"), "loss_weights", where),
        "metrics": _metrics(config.get("metrics"), where),
        "weighted_metrics": _metrics(config.get("weighted_metrics"), where),
    }


def modern_optimizer(config: Any, where: str) -> Any:
    """Returns the description of an optimizer in the form of Keras 3."""
    found = _described(config, f"{where}: optimizer")
    if found is None:
        return config
    name, inner = found
    name = name.rpartition(">")[2]  # Keras 2.11 wrote Custom>Adam
    inner = _renamed(inner, {"lr": "learning_rate"}, f"{where}: {name}")
    for key in ("jit_compile", "is_legacy_optimizer", "schedule_decay"):
        inner.pop(key, None)
    if inner.get("epsilon", 0) is None:
        del inner["epsilon"]
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
    return {"module": "keras.optimizers", "class_name": name, "config": inner}


def _single(value: Any, what: str, where: str) -> Any:
    """Takes the only one out of a list or dictionary for each output of a model."""
    while isinstance(value, (list, dict)) and "class_name" not in value:
        if len(value) > 1:
            raise UnsupportedError(f"{where}: {what} for {len(value)} outputs is not supported yet.")
        value = next(iter(value.values() if isinstance(value, dict) else value), None)
    return value


def _losses(value: Any, where: str) -> Any:
    value = _single(value, "loss", where)
    found = None if value is None else _described(value, f"{where}: loss")
    if found is None:
        return LOSSES.get(value, value)
    name, config = found
    config.pop("fn", None)  # of which the class is a wrapper
    if config.get("reduction") == "auto":
        config["reduction"] = "sum_over_batch_size"
    return {"module": "keras.losses", "class_name": name, "config": config}


def _metrics(value: Any, where: str) -> Any:
    if value is None:
        return None
    if isinstance(value, dict):
        value = _single({k: [v] if isinstance(v, list) else v for k, v in value.items()}, "metrics", where)
    while isinstance(value, list) and len(value) == 1 and isinstance(value[0], list):
        value = value[0]
    if not isinstance(value, list):
        value = [value]
    return [_metric(item, where) for item in value if item is not None]


def _metric(value: Any, where: str) -> Any:
    found = _described(value, f"{where}: metrics")
    if found is None:
        return LOSSES.get(value, value)
    name, config = found
    if name in ("MeanMetricWrapper", "SumOverBatchSizeMetricWrapper"):
        # The wrapper of a name that compile() resolves by the shapes, or of a function.
        plain = config.get("name")
        return plain if plain in ("accuracy", "acc", "crossentropy", "ce") else config.get("fn")
    config.pop("fn", None)
    return {"module": "keras.metrics", "class_name": name, "config": config}
