"""Files of before Keras 3 mean what they meant: formulas, defaults, clipping; and legacy files that are written."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from saved_files import K1, KERAS_1, KERAS_1_WEIGHTS, KERAS_2, KERAS_2_WEIGHTS, ROWS, legacy_file

import nncompile as nn
from nncompile import saving
from nncompile.errors import UnsupportedError
from nncompile.saving import legacy_config, legacy_formulas
from nncompile.saving.legacy_config import Release

pytestmark = pytest.mark.quick_c

h5py = pytest.importorskip("h5py", reason="a dependency; the tests of files need it")

RNG = np.random.default_rng(0)


def steps(optimizer: Any, gradients: list[Any]) -> list[float]:
    """The values of one weight of 1.0 after each update."""
    weight, seen = nn.Variable(1.0, dtype="float64"), []
    optimizer.build([weight])
    for g in gradients:
        optimizer.apply_gradients([(np.asarray(g), weight)])
        seen.append(float(weight))
    return seen


GRADIENTS = [0.5, -0.25, 1e-6, 2.0, 0.0, -1e-9]


@pytest.fixture
def double() -> None:
    nn.config.set_floatx("float64")


# --- formulas -------------------------------------------------------------------------


@pytest.mark.usefixtures("double")
@pytest.mark.parametrize("centered", [False, True])
def test_rmsprop_of_keras_2(centered: bool) -> None:
    w, v, a, expected = 1.0, 0.0, 0.0, []
    for g in GRADIENTS:
        v = 0.9 * v + 0.1 * g * g
        a = 0.9 * a + 0.1 * g
        w -= 0.01 * g / (math.sqrt(v - a * a if centered else v) + 1e-3)
        expected.append(w)
    made = legacy_formulas.RMSpropKeras2(0.01, epsilon=1e-3, centered=centered)
    np.testing.assert_allclose(steps(made, GRADIENTS), expected, rtol=1e-12)
    today = steps(nn.optimizers.RMSprop(0.01, epsilon=1e-3, centered=centered), GRADIENTS)
    assert abs(today[-1] - expected[-1]) > 1e-4


@pytest.mark.usefixtures("double")
def test_adagrad_of_keras_2() -> None:
    w, a, expected = 1.0, 0.0, []
    for g in GRADIENTS:
        a += g * g
        w -= 0.01 * g / (math.sqrt(a) + 1e-3)
        expected.append(w)
    made = legacy_formulas.AdagradKeras2(0.01, initial_accumulator_value=0.0, epsilon=1e-3)
    np.testing.assert_allclose(steps(made, GRADIENTS), expected, rtol=1e-12)


@pytest.mark.usefixtures("double")
def test_nadam_of_keras_2() -> None:
    w, m, v, schedule, expected = 1.0, 0.0, 0.0, 1.0, []
    for t, g in enumerate(GRADIENTS, 1):
        now = 0.9 * (1 - 0.5 * 0.96 ** (t * 0.004))
        later = 0.9 * (1 - 0.5 * 0.96 ** ((t + 1) * 0.004))
        schedule *= now
        m = 0.9 * m + 0.1 * g
        v = 0.999 * v + 0.001 * g * g
        bar = (1 - now) * g / (1 - schedule) + later * m / (1 - schedule * later)
        w -= 0.002 * bar / (math.sqrt(v / (1 - 0.999**t)) + 1e-8)
        expected.append(w)
    np.testing.assert_allclose(steps(legacy_formulas.NadamKeras2(epsilon=1e-8), GRADIENTS), expected, rtol=1e-9)


def test_cosine_of_keras_1_is_a_mean() -> None:
    t, p = RNG.normal(size=(5, 4)), RNG.normal(size=(5, 4))
    lengths = np.linalg.norm(t, axis=1) * np.linalg.norm(p, axis=1)
    found = legacy_formulas.cosine_proximity_keras1(t, p)
    np.testing.assert_allclose(found, -(t * p).sum(axis=1) / lengths / 4, rtol=1e-12)
    assert np.isfinite(legacy_formulas.cosine_proximity_keras1(np.zeros((1, 4)), p[:1])).all()


# --- which Keras it was ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "release", "own", "old"),
    [
        ("1.2.2", Release(1, 2), True, True),
        ("2.2.4", Release(2, 2), True, True),
        ("2.3.1", Release(2, 3), True, True),
        ("2.2.4-tf", Release(2, 2, True), False, True),
        ("2.4.0", Release(2, 4), False, True),
        ("2.10.0", Release(2, 10), False, True),
        ("2.11.0", Release(2, 11), False, False),
        ("3.0.0", Release(3, 0), False, False),
        ("nonsense", Release(1), True, True),
        (None, Release(1), True, True),
    ],
)
def test_releases(text: Any, release: Release, own: bool, old: bool) -> None:
    found = legacy_config.release_of(text, Release(1))
    assert found == release
    assert (found.own_optimizers, found.old_optimizers) == (own, old)


def optimizer(name: str, version: str, **config: Any) -> dict[str, Any]:
    release = legacy_config.release_of(version, Release(1))
    return dict(legacy_config.modern_optimizer({"class_name": name, "config": config}, "m", release))


def test_defaults_are_those_of_the_time() -> None:
    assert optimizer("Adagrad", "1.2.2", lr=0.5)["config"] == {
        "learning_rate": 0.5, "epsilon": 1e-8, "initial_accumulator_value": 0.0
    }  # fmt: skip
    assert optimizer("Adadelta", "2.3.1", epsilon=None)["config"] == {"learning_rate": 1.0, "epsilon": 1e-7}
    assert optimizer("Adamax", "2.2.4")["config"] == {"learning_rate": 0.002, "epsilon": 1e-7}
    assert optimizer("SGD", "1.0.0", momentum=0.5)["config"] == {"momentum": 0.5, "learning_rate": 0.01}
    assert optimizer("Adagrad", "2.2.4-tf", learning_rate=0.5)["config"] == {"learning_rate": 0.5}
    assert optimizer("Adamax", "2.15.0")["config"] == {}
    release = Release(1, 2)
    named = legacy_config.modern_optimizer("rmsprop", "m", release)
    assert (named["class_name"], named["config"]) == ("RMSpropKeras2", {"learning_rate": 0.001, "epsilon": 1e-8})
    assert legacy_config.modern_optimizer("rmsprop", "m") == "rmsprop"
    assert legacy_config.modern_optimizer("mine", "m", release) == "mine"


def test_formulas_are_those_of_the_time() -> None:
    for version, name, arguments, expected in (
        ("1.2.2", "RMSprop", {}, "RMSpropKeras2"),
        ("2.2.4-tf", "RMSprop", {"momentum": 0.0}, "RMSpropKeras2"),
        ("2.10.0", "RMSprop", {"momentum": 0.5}, "RMSprop"),  # whose kernel had epsilon under the root
        ("2.11.0", "RMSprop", {}, "RMSprop"),
        ("2.3.1", "Adagrad", {}, "AdagradKeras2"),
        ("2.12.0", "Adagrad", {}, "Adagrad"),
        ("2.3.1", "Nadam", {"schedule_decay": 0.01}, "NadamKeras2"),
        ("2.13.0", "Nadam", {"schedule_decay": 0.01}, "Nadam"),
        ("1.2.2", "Adam", {}, "Adam"),
    ):
        found = optimizer(name, version, **arguments)
        assert found["class_name"] == expected, (version, name)
        assert ("schedule_decay" in found["config"]) == (expected == "NadamKeras2")


def test_clipnorm_was_of_all_gradients_together() -> None:
    assert optimizer("SGD", "2.3.1", clipnorm=1.5)["config"]["global_clipnorm"] == 1.5
    assert "clipnorm" not in optimizer("SGD", "2.3.1", clipnorm=0.0)["config"]
    assert optimizer("SGD", "2.2.4-tf", clipnorm=1.5)["config"] == {"clipnorm": 1.5}


def test_initializers_of_keras_1() -> None:
    def initial(name: str, version: int) -> Any:
        dense = {"class_name": "Dense", "config": {"output_dim": 2, "init": name}}
        model = {"class_name": "Sequential", "config": [dense]}
        return legacy_config.modern_model(model, version, "m")["config"]["layers"][0]["config"]["kernel_initializer"]

    for name, scale, mode in (("glorot_normal", 1.0, "fan_avg"), ("he_normal", 2.0, "fan_in")):
        made = nn.initializers.get(initial(name, 1))
        assert (made.scale, made.mode, made.distribution) == (scale, mode, "untruncated_normal")
        assert initial(name, 2) == name
    assert nn.initializers.get(initial("orthogonal", 1)).gain == 1.1
    assert initial("uniform", 1) == "uniform"


def test_metrics_and_losses_of_keras_1() -> None:
    config = {"loss": "cosine_proximity", "metrics": ["precision", "recall", "acc"], "optimizer_config": "sgd"}
    found = legacy_config.modern_training(config, "m", Release(1, 2))
    assert found["loss"]["config"] == "cosine_proximity_keras1"
    assert [m["class_name"] for m in found["metrics"][:2]] == ["Precision", "Recall"]
    assert found["metrics"][2] == "acc"
    found = legacy_config.modern_training(config, "m", Release(2, 2))
    assert (found["loss"], found["metrics"][0]) == ("cosine_similarity", "precision")
    with pytest.raises(UnsupportedError, match="'fmeasure' of Keras 1"):
        legacy_config.modern_training({**config, "metrics": ["fmeasure"]}, "m", Release(1, 2))


def test_layers_that_had_another_name() -> None:
    config = {"output_dim": 3, "input_length": None, "init": "one", "name": "t"}
    model = {"class_name": "Sequential", "config": [{"class_name": "TimeDistributedDense", "config": config}]}
    found = legacy_config.modern_model(model, 1, "m")["config"]["layers"][0]
    assert (found["class_name"], found["config"]) == ("Dense", {"units": 3, "kernel_initializer": "one", "name": "t"})
    embedding = {"input_dim": 7, "output_dim": 3, "init": "uniform", "W_regularizer": None, "dropout": 0.0}
    model = {"class_name": "Sequential", "config": [{"class_name": "Embedding", "config": embedding}]}
    assert legacy_config.modern_model(model, 1, "m")["config"]["layers"][0]["config"] == {
        "input_dim": 7, "output_dim": 3, "embeddings_initializer": "uniform", "embeddings_regularizer": None
    }  # fmt: skip


# --- graphs ---------------------------------------------------------------------------


def graph(version: int) -> dict[str, Any]:
    """A model of a branch, as Keras 1 and 2 wrote it."""
    dense = {"name": "d", "output_dim": 4, "init": "one", "activation": "hard_sigmoid", "bias": False}
    if version == 2:
        dense = {"name": "d", "units": 4, "activation": "hard_sigmoid", "use_bias": False}
    merge = {"name": "m", "mode": "concat", "mode_type": "raw", "concat_axis": -1, "dot_axes": -1, "arguments": {}}
    more: list[Any] = [{}] if version == 2 else []
    layers = [
        ("InputLayer", {"name": "i", "batch_input_shape": [None, 6], "sparse": False}, []),
        ("Dense", dense, [[["i", 0, 0, *more]]]),
        ("Merge" if version == 1 else "Concatenate", merge if version == 1 else {"name": "m", "axis": -1},
         [[["i", 0, 0, *more], ["d", 0, 0, *more]]]),
    ]  # fmt: skip
    listed = [
        {"class_name": c, "name": config["name"], "config": config, "inbound_nodes": n} for c, config, n in layers
    ]
    ends = {"input_layers": [["i", 0, 0]], "output_layers": [["m", 0, 0]]}
    return {"class_name": "Model", "config": {"name": "model_1", "layers": listed, **ends}}


@pytest.mark.parametrize("version", [1, 2])
def test_graph_of_keras_1_and_2(tmp_path: Path, version: int) -> None:
    arrays = {"i": {}, "d": {"d_W": K1}, "m": {}}
    path = legacy_file(tmp_path / "m.h5", graph(version), arrays, f"{version}.2.2")
    expected = np.concatenate([ROWS, np.clip(0.2 * (ROWS @ K1) + 0.5, 0, 1)], axis=1)
    np.testing.assert_allclose(saving.load_model(path)(ROWS), expected, rtol=1e-5, atol=1e-6)


def test_merge_of_keras_1() -> None:
    def merged(**config: Any) -> tuple[str, Any]:
        found = legacy_config._layer({"class_name": "Merge", "config": {"name": "m", **config}}, 1, "f")[0]
        return found["class_name"], found["config"]

    assert merged(mode="sum") == ("Add", {"name": "m"})
    assert merged(mode="cos", dot_axes=1) == ("Dot", {"name": "m", "axes": 1, "normalize": True})
    for wrong in ({"mode": "lambda"}, {"mode": ["sum"]}, {"mode": "sum", "layers": [{}]}, {}):
        with pytest.raises(UnsupportedError, match=r"f: m \(Merge\): mode="):
            merged(**wrong)


# --- a whole file ---------------------------------------------------------------------


def test_a_file_of_keras_1_trains_on_as_it_did(tmp_path: Path) -> None:
    """Epsilon is large here, so that where it stands decides."""
    training = {
        "optimizer_config": {"class_name": "Adagrad", "config": {"lr": 0.1, "epsilon": 0.5}},
        "loss": "mse", "metrics": [], "sample_weight_mode": None,
    }  # fmt: skip
    one = {**KERAS_1, "config": [{**KERAS_1["config"][0]}]}  # type: ignore[dict-item]
    one["config"][0]["config"] = {**one["config"][0]["config"], "activation": "linear", "bias": False}  # type: ignore[index]
    path = legacy_file(tmp_path / "m.h5", one, {"dense_1": {"dense_1_W": K1}}, "1.2.2", training=training)
    model = saving.load_model(path)
    y = RNG.normal(size=(8, 4)).astype("float32")
    w, a = K1.astype("float64"), np.zeros_like(K1, "float64")
    for _ in range(3):
        g = 2 * ROWS.T.astype("float64") @ (ROWS @ w - y) / y.size
        a += g * g
        w -= 0.1 * g / (np.sqrt(a) + 0.5)
    model.fit(ROWS, y, batch_size=8, epochs=3, verbose=0)
    np.testing.assert_allclose(model.layers[0].kernel.value, w, rtol=1e-4, atol=1e-6)
    # Written to a new file, and read from it, it is the same optimizer.
    model.save(tmp_path / "m.keras")
    again = saving.load_model(tmp_path / "m.keras")
    assert type(again.optimizer) is legacy_formulas.AdagradKeras2
    np.testing.assert_array_equal(again.optimizer.variables[2].value, model.optimizer.variables[2].value)


# --- written --------------------------------------------------------------------------


def trained() -> nn.Sequential:
    dense = nn.layers.Dense(4, activation="tanh", kernel_initializer="he_normal", name="first")
    made = nn.Sequential([nn.Input((6,)), dense, nn.layers.Dropout(0.25), nn.layers.Dense(3)], name="net")
    made.compile(nn.optimizers.Adam(0.05), "mse", metrics=["mae"])
    made.fit(ROWS, np.zeros((8, 3), "float32"), verbose=0)
    return made


def test_legacy_file_there_and_back(tmp_path: Path) -> None:
    model = trained()
    model.save(tmp_path / "m.h5")
    for name in ("m.h5", "m.hdf5"):
        model.save(tmp_path / name, include_optimizer=name == "m.h5")
    again = saving.load_model(tmp_path / "m.h5")
    assert [layer.name for layer in again.layers] == [layer.name for layer in model.layers]
    for a, b in zip(model.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    for a, b in zip(model.optimizer.variables, again.optimizer.variables, strict=True):
        np.testing.assert_array_equal(a.value, b.value)
    assert again.get_compile_config()["metrics"] == ["mae"]
    assert not saving.load_model(tmp_path / "m.hdf5").compiled
    other = trained()
    other.load_weights(tmp_path / "m.hdf5")
    np.testing.assert_array_equal(other.layers[0].kernel.value, model.layers[0].kernel.value)
    with pytest.raises(ValueError, match="exists"):
        model.save(tmp_path / "m.h5", overwrite=False)


def test_keras_opens_our_legacy_file(tmp_path: Path) -> None:
    from oracle import keras

    model = trained()
    model.save(tmp_path / "m.h5")
    theirs = keras.models.load_model(tmp_path / "m.h5")
    np.testing.assert_allclose(theirs.predict(ROWS, verbose=0), model.predict(ROWS, verbose=0), rtol=1e-5, atol=1e-7)
    assert theirs.optimizer.name == model.optimizer.name
    assert float(theirs.optimizer.learning_rate) == np.float32(0.05)
    with h5py.File(tmp_path / "m.h5") as file:
        names = list(file["optimizer_weights"].attrs["weight_names"])
    assert names == [v.path for v in model.optimizer.variables]


def network() -> nn.Model:
    """Two inputs, a layer used twice, and two outputs."""
    a, b = nn.Input((6,), name="a"), nn.Input((6,), name="b")
    shared = nn.layers.Dense(3, name="shared")
    total = nn.layers.Add()([shared(a), shared(b)])
    return nn.Model([a, b], [nn.layers.Dense(2, name="last")(total), total])


def test_graph_in_a_legacy_file(tmp_path: Path) -> None:
    from oracle import keras

    model = network()
    model.save(tmp_path / "m.h5")
    data = [ROWS, ROWS[::-1].copy()]
    expected = [np.asarray(y) for y in model(data)]
    for one, found in zip(expected, saving.load_model(tmp_path / "m.h5")(data), strict=True):
        np.testing.assert_array_equal(one, found)
    theirs = keras.models.load_model(tmp_path / "m.h5").predict(data, verbose=0)
    for one, other in zip(expected, theirs, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)


def test_graph_is_copied() -> None:
    import copy
    import pickle

    model = network()
    data = [ROWS, ROWS]
    for twin in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert len(twin.layers) == len(model.layers)
        for one, found in zip(model(data), twin(data), strict=True):
            np.testing.assert_array_equal(one, found)


def test_many_names_are_split(tmp_path: Path) -> None:
    stack = [nn.layers.Dropout(0.0, name=f"{i:03d}" + "x" * 700) for i in range(120)]
    model = nn.Sequential([nn.Input((2,)), *stack, nn.layers.Dense(1)])
    model.save(tmp_path / "m.h5")
    with h5py.File(tmp_path / "m.h5") as file:
        group = file["model_weights"]
        assert "layer_names" not in group.attrs
        parts = [list(group.attrs[f"layer_names{i}"]) for i in range(2)]
    assert [*parts[0], *parts[1]] == [layer.name for layer in model.layers]
    np.testing.assert_array_equal(saving.load_model(tmp_path / "m.h5").get_weights()[0], model.get_weights()[0])


def test_a_model_that_is_a_class_is_not_written(tmp_path: Path) -> None:
    class Own(nn.Model):
        def build(self, input_shape: Any) -> None:
            self.shift = self.add_weight(shape=(2,), initializer="ones", name="shift")

        def call(self, x: Any) -> Any:
            return x + self.shift

    model = Own()
    model.build((None, 2))
    with pytest.raises(UnsupportedError, match=r"\(Own\): a legacy file holds layers"):
        model.save(tmp_path / "m.h5")
    assert not (tmp_path / "m.h5").exists()


def test_config_alone_of_keras_2() -> None:
    model = nn.models.model_from_json(json.dumps({**KERAS_2, "keras_version": "2.2.4"}))
    assert [w.shape for w in model.get_weights()] == [(6, 4), (4,), (4, 3), (3,)]
    assert len(KERAS_2_WEIGHTS) == len(KERAS_1_WEIGHTS) == 3
