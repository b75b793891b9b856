"""Models, and files as Keras 1 and 2 wrote them, that the tests of saving share."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nncompile import layers, models

h5py = pytest.importorskip("h5py")

ROOT = Path(__file__).resolve().parent.parent
ROWS = np.random.default_rng(0).random((8, 6), dtype="float32")


def network(library: Any = None, **options: Any) -> Any:
    """A model of every kind of layer that there is everywhere, in nncompile or in Keras."""
    kinds, sequential = (layers, models.Sequential) if library is None else (library.layers, library.Sequential)
    return sequential(
        [
            kinds.Input((6,)),
            kinds.Dense(4, activation="relu"),
            kinds.Dropout(0.25),
            kinds.Dense(5, use_bias=False),
            kinds.Activation("tanh"),
            kinds.Flatten(),
            kinds.Dense(3, activation="softmax"),
        ],
        **options,
    )


def small() -> Any:
    return models.Sequential([layers.Input((6,)), layers.Dense(4, activation="relu"), layers.Dense(3)])


def predict(model: Any) -> Any:
    return np.asarray(model(ROWS))


def legacy_file(path: Path, config: Any, arrays: dict[str, dict[str, Any]], version: str | None, **more: Any) -> Path:
    """Writes a file as Keras 1 and 2 did, which is not the way in which we read it."""
    with h5py.File(path, "w") as file:
        group = file
        if config is not None:
            file.attrs["model_config"] = json.dumps(config).encode()
            group = file.create_group("model_weights")
        if version is not None:
            file.attrs["keras_version"] = group.attrs["keras_version"] = version.encode()
        if "training" in more:
            file.attrs["training_config"] = json.dumps(more["training"]).encode()
        group.attrs["layer_names"] = [name.encode() for name in arrays]
        for layer, weights in arrays.items():
            inner = group.create_group(layer)
            inner.attrs["weight_names"] = [name.encode() for name in weights]
            for name, value in weights.items():
                inner[name] = value
        if "state" in more:
            inner = file.create_group("optimizer_weights")
            inner.attrs["weight_names"] = [name.encode() for name in more["state"]]
            for name, value in more["state"].items():
                inner[name] = value
    return path


RNG = np.random.default_rng(2)
K1, B1 = RNG.standard_normal((6, 4)).astype("float32"), RNG.standard_normal(4).astype("float32")
K2, B2 = RNG.standard_normal((4, 3)).astype("float32"), RNG.standard_normal(3).astype("float32")

KERAS_1 = {
    "class_name": "Sequential",
    "config": [
        {
            "class_name": "Dense",
            "config": {
                "W_constraint": None, "b_constraint": None, "name": "dense_1", "output_dim": 4,
                "activity_regularizer": None, "trainable": True, "init": "glorot_uniform", "bias": True,
                "input_dtype": "float32", "input_dim": 6, "b_regularizer": None, "W_regularizer": None,
                "activation": "hard_sigmoid", "batch_input_shape": [None, 6],
            },
        },
        {"class_name": "Dropout", "config": {"p": 0.5, "trainable": True, "name": "dropout_1"}},
        {
            "class_name": "Dense",
            "config": {
                "W_constraint": None, "b_constraint": None, "name": "dense_2", "output_dim": 3,
                "activity_regularizer": None, "trainable": True, "init": "uniform", "bias": True,
                "input_dim": None, "b_regularizer": None, "W_regularizer": None, "activation": "linear",
            },
        },
    ],
}  # fmt: skip

KERAS_1_WEIGHTS = {
    "dense_1": {"dense_1_W": K1, "dense_1_b": B1},
    "dropout_1": {},
    "dense_2": {"dense_2_W": K2, "dense_2_b": B2},
}


def dense_2(name: str, units: int, **more: Any) -> dict[str, Any]:
    """A Dense as Keras 2 wrote it."""
    config = {
        "name": name, "trainable": True, "dtype": "float32", "units": units, "activation": "linear", "use_bias": True,
        "kernel_initializer": {
            "class_name": "VarianceScaling",
            "config": {"scale": 1.0, "mode": "fan_avg", "distribution": "normal", "seed": None, "dtype": "float32"},
        },
        "bias_initializer": {"class_name": "Zeros", "config": {}},
        "kernel_regularizer": None, "bias_regularizer": None, "activity_regularizer": None,
        "kernel_constraint": None, "bias_constraint": None, **more,
    }  # fmt: skip
    return {"class_name": "Dense", "config": config}


KERAS_2 = {
    "class_name": "Sequential",
    "config": {
        "name": "sequential_1",
        "layers": [
            dense_2("dense_1", 4, activation="hard_sigmoid", batch_input_shape=[None, 6]),
            {"class_name": "Dropout", "config": {"name": "d", "trainable": True, "rate": 0.5, "seed": None}},
            dense_2("dense_2", 3),
        ],
    },
}  # fmt: skip

KERAS_2_WEIGHTS = {
    "dense_1": {"dense_1/kernel:0": K1, "dense_1/bias:0": B1},
    "d": {},
    "dense_2": {"dense_2/kernel:0": K2, "dense_2/bias:0": B2},
}


def adam_state(order: str) -> dict[str, Any]:
    """The state of Adam under the names, and in the order, of different times."""
    shapes = [("dense_1", "kernel", K1), ("dense_1", "bias", B1), ("dense_2", "kernel", K2), ("dense_2", "bias", B2)]
    state: dict[str, Any] = {}
    if order == "2.15":
        state["iteration:0"] = np.int64(7)
        for layer, name, w in shapes:
            state[f"Adam/m/{layer}/{name}:0"], state[f"Adam/v/{layer}/{name}:0"] = w * 2, w * w
    elif order == "2.4":
        state["training/Adam/iter:0"] = np.int64(7)
        for slot, of in (("m", lambda w: w * 2), ("v", lambda w: w * w)):
            for layer, name, w in shapes:
                state[f"training/Adam/{layer}/{name}/{slot}:0"] = of(w)
    else:
        state["Adam/iterations:0"] = np.int64(7)
        for i, value in enumerate([w * 2 for *_, w in shapes] + [w * w for *_, w in shapes]):
            state[f"training/Adam/Variable_{i}:0"] = value
        if order == "2.2":  # places for amsgrad, which is off
            state.update({f"training/Adam/Variable_{i}:0": np.zeros(1, "f4") for i in range(8, 12)})
    return state


TRAINING = {
    "optimizer_config": {
        "class_name": "Adam",
        "config": {"lr": 0.125, "beta_1": 0.75, "beta_2": 0.5, "epsilon": 1e-8, "decay": 0.0},
    },
    "loss": "mean_squared_error",
    "metrics": ["accuracy"],
    "sample_weight_mode": None,
    "loss_weights": None,
}


def child(code: str, *args: str, **options: Any) -> subprocess.CompletedProcess[str]:
    """Runs Python code in a process of its own."""
    command = [sys.executable, "-c", textwrap.dedent(code), *args]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(command, capture_output=True, text=True, timeout=120, env=environment, check=False, **options)
