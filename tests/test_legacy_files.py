"""Files of Keras 1 and 2 are opened: models, weights, and the state of their optimizers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from saved_files import (
    B1,
    B2,
    K1,
    K2,
    KERAS_1,
    KERAS_1_WEIGHTS,
    KERAS_2,
    KERAS_2_WEIGHTS,
    ROWS,
    TRAINING,
    adam_state,
    legacy_file,
    predict,
    small,
)

from nncompile import layers, models, saving
from nncompile.errors import FileFormatError, ModelError, UnsupportedError

h5py = pytest.importorskip("h5py")

LEGACY_RESULT = np.clip(0.2 * (ROWS @ K1 + B1) + 0.5, 0, 1) @ K2 + B2


def test_keras_1_model(tmp_path: Path) -> None:
    model = saving.load_model(legacy_file(tmp_path / "m.h5", KERAS_1, KERAS_1_WEIGHTS, "1.2.2"))
    assert [layer.name for layer in model.layers] == ["dense_1", "dropout_1", "dense_2"]
    np.testing.assert_allclose(predict(model), LEGACY_RESULT, rtol=1e-5, atol=1e-6)
    # Written anew it is the same model, old hard_sigmoid and all.
    model.save(tmp_path / "m.keras")
    np.testing.assert_array_equal(predict(saving.load_model(tmp_path / "m.keras")), predict(model))


def test_keras_2_model(tmp_path: Path) -> None:
    path = legacy_file(tmp_path / "m.h5", KERAS_2, KERAS_2_WEIGHTS, "2.2.4")
    np.testing.assert_allclose(predict(saving.load_model(path)), LEGACY_RESULT, rtol=1e-5, atol=1e-6)


def test_our_legacy_fixture_is_one_for_keras(keras: Any, tmp_path: Path) -> None:
    text = json.dumps(KERAS_2).replace("hard_sigmoid", "tanh").replace('"normal"', '"truncated_normal"')
    config = json.loads(text.replace(', "dtype": "float32"}', "}"))  # Keras 3 cannot read those of TensorFlow 1
    shape = config["config"]["layers"][0]["config"].pop("batch_input_shape")  # which it reads as one row's
    config["config"]["layers"].insert(
        0, {"class_name": "InputLayer", "config": {"batch_input_shape": shape, "dtype": "float32", "name": "i"}}
    )
    path = legacy_file(tmp_path / "m.h5", config, KERAS_2_WEIGHTS, "2.2.4")
    ours, theirs = saving.load_model(path), keras.models.load_model(path)
    np.testing.assert_allclose(predict(ours), predict(theirs), rtol=1e-5, atol=1e-6)


def test_legacy_weights_alone(tmp_path: Path) -> None:
    path = legacy_file(tmp_path / "w.h5", None, KERAS_2_WEIGHTS, "2.2.4")
    model = small()
    model.load_weights(path)
    np.testing.assert_array_equal(model.layers[0].kernel.value, K1)
    other = models.Sequential([layers.Input((6,)), layers.Dense(4, name="new"), layers.Dense(3, name="dense_2")])
    before = other.layers[0].kernel.value
    saving.load_weights(other, path, by_name=True)
    np.testing.assert_array_equal(other.layers[0].kernel.value, before)
    np.testing.assert_array_equal(other.layers[1].bias.value, B2)
    with pytest.raises(FileFormatError, match="whole model"):
        saving.load_model(path)


def test_legacy_weights_that_do_not_fit(tmp_path: Path) -> None:
    path = legacy_file(tmp_path / "w.h5", None, KERAS_2_WEIGHTS, "2.2.4")
    model = models.Sequential([layers.Input((6,)), layers.Dense(4), layers.Dense(5, name="last")])
    before = model.get_weights()
    with pytest.raises(ModelError, match=r"last \(Dense\): expected shape \(4, 5\) for kernel, received \(4, 3\)"):
        model.load_weights(path)
    np.testing.assert_array_equal(model.get_weights()[0], before[0])
    with pytest.raises(ModelError, match="expected 1 layers with weights, received 2"):
        models.Sequential([layers.Input((6,)), layers.Dense(4)]).load_weights(path)
    with pytest.warns(UserWarning, match="last"):
        model.load_weights(path, skip_mismatch=True)
    np.testing.assert_array_equal(model.get_weights()[0], K1)


def test_long_attributes_come_in_parts(tmp_path: Path) -> None:
    path = legacy_file(tmp_path / "w.h5", None, KERAS_2_WEIGHTS, "2.2.4")
    with h5py.File(path, "r+") as file:
        names = list(file.attrs["layer_names"])
        del file.attrs["layer_names"]
        file.attrs["layer_names0"], file.attrs["layer_names1"] = np.array(names[:2], "S"), np.array(names[2:], "S")
    model = small()
    model.load_weights(path)
    np.testing.assert_array_equal(model.layers[1].kernel.value, K2)


def test_batch_normalization_and_others_of_keras_1_are_translated() -> None:
    from nncompile.saving import legacy_config

    def modern(name: str, config: dict[str, Any], version: int = 1) -> dict[str, Any]:
        model = {"class_name": "Sequential", "config": [{"class_name": name, "config": config}]}
        return dict(legacy_config.modern_model(model, version, "m")["config"]["layers"][-1])

    found = modern("BatchNormalization", {"mode": 0, "axis": [-1], "beta_init": "zero", "epsilon": 1e-3, "name": "b"})
    assert found["config"] == {"axis": -1, "beta_initializer": "zero", "epsilon": 1e-3, "name": "b"}
    with pytest.raises(UnsupportedError, match="mode=1"):
        modern("BatchNormalization", {"mode": 1})
    assert modern("GaussianNoise", {"sigma": 0.5})["config"] == {"stddev": 0.5}
    assert modern("LeakyReLU", {"alpha": 0.5})["config"] == {"negative_slope": 0.5}
    found = modern("ThresholdedReLU", {"theta": 2.0})
    assert (found["class_name"], found["config"]) == ("ReLU", {"threshold": 2.0})
    found = modern("Dense", {
        "output_dim": 3, "W_regularizer": {"name": "WeightRegularizer", "l1": 0.0, "l2": 0.5},
        "b_constraint": {"name": "MaxNorm", "m": 2, "axis": 0}, "init": "he_uniform", "bias": False,
    })["config"]  # fmt: skip
    assert found == {
        "units": 3, "kernel_initializer": "he_uniform", "use_bias": False,
        "kernel_regularizer": {"module": "keras.regularizers", "class_name": "L1L2", "config": {"l1": 0.0, "l2": 0.5}},
        "bias_constraint": {
            "module": "keras.constraints", "class_name": "MaxNorm", "config": {"max_value": 2, "axis": 0}
        },
    }  # fmt: skip
    assert modern("Dense", {"units": 2, "dtype": {"class_name": "Policy", "config": {"name": "float64"}}}, 2)[
        "config"
    ] == {"units": 2, "dtype": "float64"}
    with pytest.raises(FileFormatError, match="two names"):
        modern("Dense", {"units": 2, "output_dim": 2})


def test_training_of_keras_1_and_2_is_translated() -> None:
    from nncompile.saving import legacy_config

    found = legacy_config.modern_training(
        {
            "optimizer_config": {
                "class_name": "Custom>Adam",
                "config": {"lr": 0.5, "decay": 0.0, "epsilon": None, "is_legacy_optimizer": False, "beta_1": 0.9},
            },
            "loss": ["kullback_leibler_divergence"],
            "metrics": [["acc", {"class_name": "MeanMetricWrapper", "config": {"name": "mine", "fn": "mse"}}]],
            "sample_weight_mode": None,
            "loss_weights": None,
        },
        "m",
    )
    assert found == {
        "optimizer": {
            "module": "keras.optimizers", "class_name": "Adam", "config": {"learning_rate": 0.5, "beta_1": 0.9}
        },
        "loss": "kl_divergence", "loss_weights": None, "metrics": ["acc", "mse"], "weighted_metrics": None,
    }  # fmt: skip
    loss = {"class_name": "MeanSquaredError", "config": {"reduction": "auto", "name": "m", "fn": "mse"}}
    found = legacy_config.modern_training({"optimizer_config": "sgd", "loss": {"out": loss}}, "m")
    assert found["loss"]["config"] == {"reduction": "sum_over_batch_size", "name": "m"}
    found = legacy_config.modern_training({"loss": ["mse", "logcosh"], "optimizer_config": "sgd"}, "m")
    assert found["loss"] == ["mse", "log_cosh"]
    found = legacy_config.modern_training(
        {"optimizer_config": "sgd", "loss": {"a": "mse", "b": loss}, "metrics": {"a": "acc", "b": ["mae"]}}, "m"
    )
    assert (found["loss"]["a"], found["loss"]["b"]["class_name"]) == ("mse", "MeanSquaredError")
    assert found["metrics"] == {"a": "acc", "b": ["mae"]}
    with pytest.raises(UnsupportedError, match="sample_weight_mode"):
        legacy_config.modern_training({"loss": "mse", "sample_weight_mode": "temporal"}, "m")
    decay = legacy_config.modern_optimizer({"class_name": "SGD", "config": {"lr": 0.5, "decay": 0.25}}, "m")
    assert decay["config"]["learning_rate"]["class_name"] == "InverseTimeDecay"


@pytest.mark.parametrize("order", ["1.2", "2.2", "2.4", "2.15"])
def test_optimizer_of_keras_1_and_2(tmp_path: Path, order: str) -> None:
    config, weights = (KERAS_1, KERAS_1_WEIGHTS) if order == "1.2" else (KERAS_2, KERAS_2_WEIGHTS)
    path = legacy_file(tmp_path / "m.h5", config, weights, f"{order}.0", training=TRAINING, state=adam_state(order))
    model = saving.load_model(path)
    optimizer = model.optimizer
    assert (float(optimizer.learning_rate), optimizer.beta_1, int(optimizer.iterations)) == (0.125, 0.75, 7)
    assert model.loss == "mean_squared_error"
    for weight in model.trainable_variables:
        first, second = optimizer.slot_variables(weight)
        np.testing.assert_array_equal(first.value, weight.value * 2)
        np.testing.assert_array_equal(second.value, weight.value * weight.value)
    model.fit(ROWS, np.zeros((8, 3), "float32"), verbose=0)


def test_sgd_of_keras_2_2(tmp_path: Path) -> None:
    """It kept moments that it did not use."""
    state: dict[str, Any] = {"SGD/iterations:0": np.int64(9)}
    state.update({f"training/SGD/Variable_{i}:0": w for i, w in enumerate((K1, B1, K2, B2))})
    training = {**TRAINING, "optimizer_config": {"class_name": "SGD", "config": {"lr": 0.5, "momentum": 0.0}}}
    path = legacy_file(tmp_path / "m.h5", KERAS_2, KERAS_2_WEIGHTS, "2.2.4", training=training, state=state)
    assert int(saving.load_model(path).optimizer.iterations) == 9


def test_optimizer_of_an_unknown_layout(tmp_path: Path) -> None:
    state = dict(list(adam_state("2.4").items())[:-1])
    path = legacy_file(tmp_path / "m.h5", KERAS_2, KERAS_2_WEIGHTS, "2.4.0", training=TRAINING, state=state)
    with pytest.warns(UserWarning, match="state of the optimizer is left as it was"):
        model = saving.load_model(path)
    assert int(model.optimizer.iterations) == 0
