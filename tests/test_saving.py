"""Files: exchanged with real Keras, replaced in one step, and safe to read from anyone."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import io
import json
import os
import random
import stat
import struct
import subprocess
import sys
import textwrap
import time
import warnings
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nncompile import layers, models, optimizers, registry, saving
from nncompile.errors import FileFormatError, ModelError, NncompileError, UnsupportedError
from nncompile.saving import archive, hdf5, storage

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


@pytest.fixture
def keras() -> Iterator[Any]:
    """Real Keras, whose own warnings are not ours to mend."""
    from oracle import keras

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"(keras|jax|absl)\b")
        yield keras


def leftovers(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir() if p.name.endswith(".tmp"))


# ------------------------------------------------------------------ to and from Keras


def test_keras_opens_our_archive(keras: Any, tmp_path: Path) -> None:
    ours = network()
    ours.save(tmp_path / "m.keras")
    theirs = keras.models.load_model(tmp_path / "m.keras")
    np.testing.assert_allclose(predict(theirs), predict(ours), rtol=1e-5, atol=1e-7)
    for a, b in zip(theirs.get_weights(), ours.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_we_open_keras_archive(keras: Any, tmp_path: Path) -> None:
    theirs = network(keras)
    theirs.save(tmp_path / "m.keras")
    ours = saving.load_model(tmp_path / "m.keras")
    np.testing.assert_allclose(predict(ours), predict(theirs), rtol=1e-5, atol=1e-7)
    assert [layer.name for layer in ours.layers] == [layer.name for layer in theirs.layers]
    assert ours.name == theirs.name


def test_configuration_is_the_one_that_keras_writes(keras: Any, tmp_path: Path) -> None:
    network(name="net").save(tmp_path / "ours.keras")
    keras.models.load_model(tmp_path / "ours.keras").save(tmp_path / "theirs.keras")
    ours, theirs = (
        json.loads(zipfile.ZipFile(tmp_path / name).read("config.json")) for name in ("ours.keras", "theirs.keras")
    )
    assert ours == theirs


def test_weights_have_the_layout_that_keras_writes(keras: Any, tmp_path: Path) -> None:
    def layout(data: bytes) -> dict[str, Any]:
        found: dict[str, Any] = {}
        with h5py.File(io.BytesIO(data)) as file:
            file.visititems(lambda name, item: found.update({name: (dict(item.attrs), getattr(item, "shape", None))}))
        return found

    network(name="net").save(tmp_path / "ours.keras")
    keras.models.load_model(tmp_path / "ours.keras").save(tmp_path / "theirs.keras")
    ours, theirs = (
        layout(zipfile.ZipFile(tmp_path / name).read("model.weights.h5")) for name in ("ours.keras", "theirs.keras")
    )
    assert ours == theirs


def test_weights_alone_both_ways(keras: Any, tmp_path: Path) -> None:
    ours, theirs = network(), network(keras)
    ours.save_weights(tmp_path / "ours.weights.h5")
    theirs.load_weights(tmp_path / "ours.weights.h5")
    np.testing.assert_allclose(predict(theirs), predict(ours), rtol=1e-5, atol=1e-7)
    theirs.set_weights([w + 1 for w in theirs.get_weights()])
    theirs.save_weights(tmp_path / "theirs.weights.h5")
    ours.load_weights(tmp_path / "theirs.weights.h5")
    np.testing.assert_allclose(predict(theirs), predict(ours), rtol=1e-5, atol=1e-7)
    theirs.save(tmp_path / "theirs.keras")
    again = network()
    again.load_weights(tmp_path / "theirs.keras")
    np.testing.assert_array_equal(predict(again), predict(ours))


def test_nested_models_both_ways(keras: Any, tmp_path: Path) -> None:
    def build(library: Any, sequential: Any) -> Any:
        inner = sequential([library.Input((4,)), library.Dense(3), library.Dense(2)], name="inner")
        return sequential([library.Input((6,)), library.Dense(4), inner, library.Dense(2)])

    ours, theirs = build(layers, models.Sequential), build(keras.layers, keras.Sequential)
    ours.save(tmp_path / "ours.keras")
    np.testing.assert_allclose(
        predict(keras.models.load_model(tmp_path / "ours.keras")), predict(ours), rtol=1e-5, atol=1e-6
    )
    theirs.save(tmp_path / "theirs.keras")
    np.testing.assert_allclose(
        predict(saving.load_model(tmp_path / "theirs.keras")), predict(theirs), rtol=1e-5, atol=1e-6
    )


def test_layers_within_layers_have_the_places_of_keras(keras: Any, tmp_path: Path) -> None:
    def make(library: Any) -> Any:
        class Block(library.Layer):  # type: ignore[misc, name-defined]
            def __init__(self, **kwargs: Any) -> None:
                super().__init__(**kwargs)
                self.second = library.Dense(5)
                self.first = library.Dense(4)
                self.rest = [library.Dense(5), library.Dense(5)]
                self._last = library.Dense(2)

            def build(self, input_shape: Any) -> None:
                self.first.build(input_shape)
                self.second.build((None, 4))
                for layer in (*self.rest, self._last):
                    layer.build((None, 5))
                self.shift = self.add_weight(shape=(2,), initializer="ones", name="shift")

            def call(self, inputs: Any) -> Any:
                x = self.second(self.first(inputs))
                for layer in self.rest:
                    x = layer(x)
                return self._last(x) + self.shift

        return Block()

    ours = models.Sequential([layers.Input((6,)), make(layers)])
    theirs = keras.Sequential([keras.layers.Input((6,)), make(keras.layers)])
    ours.save_weights(tmp_path / "ours.weights.h5")
    theirs.load_weights(tmp_path / "ours.weights.h5")
    np.testing.assert_allclose(predict(theirs), predict(ours), rtol=1e-4, atol=1e-5)


def test_unbuilt_model_both_ways(keras: Any, tmp_path: Path) -> None:
    models.Sequential([layers.Dense(3), layers.Dense(2)]).save(tmp_path / "ours.keras")
    theirs = keras.models.load_model(tmp_path / "ours.keras")
    assert not theirs.built
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs.save(tmp_path / "theirs.keras")
    ours = saving.load_model(tmp_path / "theirs.keras")
    assert not ours.built
    assert predict(ours).shape == (8, 2)


def test_legacy_file_of_keras_3(keras: Any, tmp_path: Path) -> None:
    theirs = network(keras)
    theirs.save(tmp_path / "m.h5")
    np.testing.assert_allclose(predict(saving.load_model(tmp_path / "m.h5")), predict(theirs), rtol=1e-5, atol=1e-7)
    ours = network()
    ours.load_weights(tmp_path / "m.h5")
    np.testing.assert_allclose(predict(ours), predict(theirs), rtol=1e-5, atol=1e-7)


# ------------------------------------------------------------------ state of optimizers

OPTIMIZERS: list[tuple[str, dict[str, Any]]] = [
    ("SGD", {}),
    ("SGD", {"momentum": 0.9, "nesterov": True}),
    ("RMSprop", {}),
    ("RMSprop", {"momentum": 0.9, "centered": True}),
    ("RMSprop", {"centered": True}),
    ("Adam", {}),
    ("Adam", {"amsgrad": True}),
    ("AdamW", {}),
    ("Adagrad", {}),
    ("Adadelta", {}),
    ("Adamax", {}),
    ("Nadam", {}),
    ("Lion", {}),
]


def with_state(library: Any, model: Any, name: str, options: dict[str, Any]) -> Any:
    """Gives a model an optimizer that has made three steps along fixed gradients."""
    optimizer = getattr(library.optimizers, name)(learning_rate=0.01, **options)
    optimizer.build(model.trainable_variables)
    rng = np.random.default_rng(1)
    for _ in range(3):
        grads = [rng.standard_normal(v.shape).astype("float32") for v in model.trainable_variables]
        optimizer.apply(grads, model.trainable_variables)
    return optimizer


@pytest.mark.parametrize(("name", "options"), OPTIMIZERS, ids=str)
def test_optimizer_state_both_ways(keras: Any, tmp_path: Path, name: str, options: dict[str, Any]) -> None:
    import nncompile

    theirs, ours = network(keras), network()
    theirs.compile(with_state(keras, theirs, name, options), loss="mse")
    theirs.save_weights(tmp_path / "theirs.weights.h5")
    ours.optimizer = getattr(optimizers, name)(learning_rate=0.5, **options)
    ours.load_weights(tmp_path / "theirs.weights.h5")
    assert int(ours.optimizer.iterations) == 3
    for mine, other in zip(ours.optimizer.variables, theirs.optimizer.variables, strict=True):
        np.testing.assert_array_equal(mine.value, np.asarray(other.value), err_msg=mine.path)

    ours.optimizer = with_state(nncompile, ours, name, options)
    ours.save_weights(tmp_path / "ours.weights.h5")
    theirs.load_weights(tmp_path / "ours.weights.h5")
    for mine, other in zip(ours.optimizer.variables, theirs.optimizer.variables, strict=True):
        np.testing.assert_array_equal(mine.value, np.asarray(other.value), err_msg=mine.path)


def test_state_of_another_optimizer_is_left_out_with_a_warning(tmp_path: Path) -> None:
    import nncompile

    model = network()
    model.optimizer = with_state(nncompile, model, "Adam", {})
    model.save_weights(tmp_path / "m.weights.h5")
    other = network()
    other.optimizer = optimizers.SGD(momentum=0.9)
    with pytest.warns(UserWarning, match="state of the optimizer is left as it was"):
        other.load_weights(tmp_path / "m.weights.h5")
    np.testing.assert_array_equal(predict(other), predict(model))
    assert int(other.optimizer.iterations) == 0


def test_state_before_the_first_step(tmp_path: Path) -> None:
    model = small()
    model.optimizer = optimizers.Adam(learning_rate=0.25)
    model.save_weights(tmp_path / "m.weights.h5")
    other = small()
    other.optimizer = optimizers.Adam()
    other.load_weights(tmp_path / "m.weights.h5")
    assert float(other.optimizer.learning_rate) == 0.25
    assert int(other.optimizer.iterations) == 0


def test_state_as_keras_2_counted_it(tmp_path: Path) -> None:
    """Keras 2.12 to 2.15 left the learning rate out."""
    import nncompile

    model = small()
    model.optimizer = with_state(nncompile, model, "Adam", {})
    model.save_weights(tmp_path / "m.weights.h5")
    with h5py.File(tmp_path / "m.weights.h5", "r+") as file:
        group = file["optimizer/vars"]
        count = len(group)
        del group["1"]
        for i in range(2, count):
            group.move(str(i), str(i - 1))
    other = small()
    other.optimizer = optimizers.Adam(learning_rate=0.75)
    other.load_weights(tmp_path / "m.weights.h5")
    assert float(other.optimizer.learning_rate) == 0.75
    for a, b in zip(other.optimizer.variables[2:], model.optimizer.variables[2:], strict=True):
        np.testing.assert_array_equal(a.value, b.value)


# ------------------------------------------------------------------ training goes on

DATA = np.random.default_rng(3).random((40, 6), dtype="float32")
LABELS = np.random.default_rng(4).integers(0, 3, 40)


def trained(library: Any, optimizer: Any, **options: Any) -> Any:
    """A compiled model that has seen the data once. Without Dropout, which draws other numbers in Keras."""
    kinds = library.layers
    model = library.Sequential(
        [kinds.Input((6,)), kinds.Dense(8, activation="tanh"), kinds.Dense(3, activation="softmax")]
    )
    rng = np.random.default_rng(5)
    model.set_weights([rng.standard_normal(w.shape).astype("float32") / 2 for w in model.get_weights()])
    model.compile(optimizer, loss="sparse_categorical_crossentropy", metrics=["accuracy"], **options)
    go_on(model)
    return model


def go_on(model: Any) -> None:
    model.fit(DATA, LABELS, batch_size=8, epochs=1, shuffle=False, verbose=0)


TRAINED: list[tuple[str, dict[str, Any]]] = [
    ("SGD", {"learning_rate": 0.05, "momentum": 0.9, "nesterov": True}),
    ("RMSprop", {"learning_rate": 0.01, "momentum": 0.5, "centered": True}),
    ("Adam", {"learning_rate": 0.01, "amsgrad": True}),
    ("AdamW", {"learning_rate": 0.01, "weight_decay": 0.1}),
    ("Nadam", {"learning_rate": 0.01}),
]


@pytest.mark.parametrize(("name", "options"), TRAINED, ids=lambda value: value if isinstance(value, str) else "")
def test_resumed_training_takes_the_same_path(keras: Any, tmp_path: Path, name: str, options: dict[str, Any]) -> None:
    """Saved by either after one epoch, both go on alike: weights, state and hyper-parameters came along."""
    import nncompile

    for library in (nncompile, keras):
        first = trained(library, getattr(library.optimizers, name)(**options))
        path = tmp_path / f"{library.__name__}.keras"
        first.save(path)
        ours, theirs = saving.load_model(path), keras.models.load_model(path)
        for model in (ours, theirs, first):
            assert int(np.asarray(model.optimizer.iterations)) == 5
            go_on(model)
        for model in (ours, theirs):
            for mine, other in zip(model.get_weights(), first.get_weights(), strict=True):
                np.testing.assert_allclose(mine, other, rtol=2e-4, atol=2e-5)
        assert ours.evaluate(DATA, LABELS, verbose=0) == pytest.approx(
            list(theirs.evaluate(DATA, LABELS, verbose=0)), rel=1e-4
        )


@pytest.mark.parametrize(("name", "options"), TRAINED, ids=lambda value: value if isinstance(value, str) else "")
def test_resumed_training_is_the_same_to_the_bit(tmp_path: Path, name: str, options: dict[str, Any]) -> None:
    import nncompile

    whole = trained(nncompile, getattr(optimizers, name)(**options))
    whole.save(tmp_path / "m.keras")
    whole.save_weights(tmp_path / "m.weights.h5")
    resumed = saving.load_model(tmp_path / "m.keras")
    other = trained(nncompile, getattr(optimizers, name)(**options))
    go_on(other)
    other.load_weights(tmp_path / "m.weights.h5")  # back to after the first epoch, the optimizer too
    for model in (whole, resumed, other):
        go_on(model)
    for model in (resumed, other):
        for mine, expected in zip(
            [*model.weights, *model.optimizer.variables], [*whole.weights, *whole.optimizer.variables], strict=True
        ):
            np.testing.assert_array_equal(mine.value, expected.value, err_msg=mine.path)


def test_how_it_was_compiled_both_ways(keras: Any, tmp_path: Path) -> None:
    import nncompile

    def compiled(library: Any) -> Any:
        model = network(None if library is nncompile else library, name="net")
        model.compile(
            library.optimizers.Adam(0.125, beta_1=0.75, weight_decay=0.5, name="mine"),
            loss=library.losses.CategoricalCrossentropy(label_smoothing=0.25),
            metrics=["accuracy", library.metrics.TopKCategoricalAccuracy(k=2), "mse"],
        )
        return model

    ours, theirs = compiled(nncompile), compiled(keras)
    ours.save(tmp_path / "ours.keras")
    theirs.save(tmp_path / "theirs.keras")
    configs = [
        json.loads(zipfile.ZipFile(tmp_path / name).read("config.json"))["compile_config"]
        for name in ("ours.keras", "theirs.keras")
    ]
    assert configs[0] == configs[1]
    there, here = keras.models.load_model(tmp_path / "ours.keras"), saving.load_model(tmp_path / "theirs.keras")
    for model in (there, here):
        assert model.compiled
        assert model.optimizer.get_config() == theirs.optimizer.get_config()
        assert model.loss.get_config() == theirs.loss.get_config()
    assert here.get_compile_config() == ours.get_compile_config()
    for name in ("ours.keras", "theirs.keras"):
        model = saving.load_model(tmp_path / name, compile=False)
        assert not model.compiled
        assert model.optimizer is None


def own_loss(y_true: Any, y_pred: Any) -> Any:
    from nncompile import ops

    return ops.mean(ops.abs(y_true - y_pred), axis=-1)


def test_loss_of_the_users_own(tmp_path: Path) -> None:
    model = small()
    model.compile("sgd", loss=own_loss, metrics=[own_loss])
    model.save(tmp_path / "m.keras")
    with pytest.raises(UnsupportedError, match=r"own_loss.*compile=False"):
        saving.load_model(tmp_path / "m.keras")
    assert not saving.load_model(tmp_path / "m.keras", compile=False).compiled
    again = saving.load_model(tmp_path / "m.keras", custom_objects={"own_loss": own_loss})
    assert again.loss is own_loss
    result = again.fit(DATA, np.zeros((40, 3), "float32"), verbose=0).history
    assert set(result) == {"loss", "own_loss"}


def test_a_schedule_goes_on_where_keras_left_off(keras: Any, tmp_path: Path) -> None:
    schedule = keras.optimizers.schedules.ExponentialDecay(0.1, 10, 0.9)
    theirs = trained(keras, keras.optimizers.SGD(schedule, momentum=0.9, clipnorm=0.5))
    theirs.save(tmp_path / "m.keras")
    ours = saving.load_model(tmp_path / "m.keras")
    assert ours.optimizer.get_config() == theirs.optimizer.get_config()
    for model in (ours, theirs):
        go_on(model)
    assert float(ours.optimizer.learning_rate) == pytest.approx(float(theirs.optimizer.learning_rate))
    for mine, other in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_allclose(mine, other, rtol=2e-4, atol=2e-5)


def test_what_the_optimizer_has_not_is_said(keras: Any, tmp_path: Path) -> None:
    theirs = network(keras)
    theirs.compile(keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD()), loss="mse")
    theirs.save(tmp_path / "m.keras")
    with pytest.raises(UnsupportedError, match=r"LossScaleOptimizer.*compile=False"):
        saving.load_model(tmp_path / "m.keras")
    saving.load_model(tmp_path / "m.keras", compile=False)


def test_legacy_file_of_keras_3_with_training(keras: Any, tmp_path: Path) -> None:
    theirs = trained(keras, keras.optimizers.Adam(0.01))
    theirs.save(tmp_path / "m.h5")
    ours = saving.load_model(tmp_path / "m.h5")
    assert int(ours.optimizer.iterations) == 5
    for model in (ours, theirs):
        go_on(model)
    for mine, other in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_allclose(mine, other, rtol=2e-4, atol=2e-5)
    assert not saving.load_model(tmp_path / "m.h5", compile=False).compiled


# ------------------------------------------------------------------ round trips of our own


def test_round_trip_keeps_every_bit(tmp_path: Path) -> None:
    model = network()
    model.save(tmp_path / "m.keras")
    again = saving.load_model(tmp_path / "m.keras")
    np.testing.assert_array_equal(predict(again), predict(model))
    assert saving.serialize_keras_object(again) == saving.serialize_keras_object(model)


def test_nan_and_infinity_are_kept(tmp_path: Path) -> None:
    model = small()
    kernel = model.layers[0].kernel
    value = kernel.value
    value.flat[:3] = np.nan, np.inf, -np.inf
    kernel.assign(value)
    model.save(tmp_path / "m.keras")
    np.testing.assert_array_equal(saving.load_model(tmp_path / "m.keras").layers[0].kernel.value, value)


def test_float64(tmp_path: Path) -> None:
    model = models.Sequential([layers.Input((6,), dtype="float64"), layers.Dense(3, dtype="float64")])
    model.save(tmp_path / "m.keras")
    again = saving.load_model(tmp_path / "m.keras")
    assert again.layers[0].kernel.dtype == "float64"
    np.testing.assert_array_equal(again.layers[0].kernel.value, model.layers[0].kernel.value)


def test_json_round_trip() -> None:
    model = network()
    again = saving.model_from_json(saving.model_to_json(model))
    assert saving.model_to_json(again) == saving.model_to_json(model)
    assert [v.shape for v in again.weights] == [v.shape for v in model.weights]


def test_configuration_alone(keras: Any, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(network(keras).to_json())
    assert predict(saving.load_model(tmp_path / "config.json")).shape == (8, 3)


def test_folder_of_the_members(tmp_path: Path) -> None:
    model = small()
    model.save(tmp_path / "m.keras")
    zipfile.ZipFile(tmp_path / "m.keras").extractall(tmp_path / "m")
    np.testing.assert_array_equal(predict(saving.load_model(tmp_path / "m")), predict(model))
    (tmp_path / "m" / "config.json").rename(tmp_path / "elsewhere.json")
    (tmp_path / "m" / "config.json").symlink_to(tmp_path / "elsewhere.json")
    with pytest.raises(FileFormatError, match="symbolic link"):
        saving.load_model(tmp_path / "m")


def test_clone_has_new_numbers_and_the_same_form() -> None:
    model = network()
    clone = models.clone_model(model)
    assert [v.shape for v in clone.weights] == [v.shape for v in model.weights]
    assert not np.array_equal(clone.layers[0].kernel.value, model.layers[0].kernel.value)


def test_serialized_values() -> None:
    values = [1, 2.5, "x", None, True, {"a": [1, 2]}]
    assert saving.deserialize_keras_object(saving.serialize_keras_object(values)) == values
    array = saving.deserialize_keras_object(saving.serialize_keras_object(np.arange(3.0)))
    np.testing.assert_array_equal(array, np.arange(3.0))


@pytest.mark.parametrize(
    "thing", [layers.Dense(3), optimizers.Adam(0.25, amsgrad=True), layers.Activation("relu")], ids=repr
)
def test_serialized_objects(thing: Any) -> None:
    form = json.loads(json.dumps(saving.serialize_keras_object(thing)))
    again = saving.deserialize_keras_object(form)
    assert type(again) is type(thing)
    assert again.get_config() == thing.get_config()


# ------------------------------------------------------------------ the user's own classes


class Scale(layers.Layer):
    """A layer of the user's own."""

    def __init__(self, factor: float = 1.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.factor = factor

    def build(self, input_shape: Any) -> None:
        self.gain = self.add_weight(shape=(input_shape[-1],), initializer="ones", name="gain")

    def call(self, inputs: Any) -> Any:
        return inputs * self.gain * self.factor

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "factor": self.factor}


def double(x: Any) -> Any:
    return x + x


def test_custom_objects(tmp_path: Path) -> None:
    model = models.Sequential([layers.Input((6,)), Scale(3.0), layers.Dense(2, activation=double)])
    model.save(tmp_path / "m.keras")
    with pytest.raises(UnsupportedError, match=r"'Scale'.*custom_objects"):
        saving.load_model(tmp_path / "m.keras")
    custom = {"Scale": Scale, "double": double}
    before = dict(registry._custom)
    again = saving.load_model(tmp_path / "m.keras", custom_objects=custom)
    np.testing.assert_array_equal(predict(again), predict(model))
    assert registry._custom == before
    with saving.custom_object_scope(custom):
        np.testing.assert_array_equal(predict(saving.load_model(tmp_path / "m.keras")), predict(model))
    assert registry._custom == before


def test_registered_classes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_custom", dict(registry._custom))
    monkeypatch.setattr(registry, "_custom_names", dict(registry._custom_names))
    registered = saving.register_keras_serializable("mine")(type("Registered", (Scale,), {}))
    assert saving.get_registered_name(registered) == "mine>Registered"
    assert saving.get_registered_object("mine>Registered") is registered
    assert saving.get_registered_object("mine>Other") is None
    assert saving.get_registered_name(Scale) == "Scale"
    model = models.Sequential([layers.Input((6,)), registered(2.0)])
    model.save(tmp_path / "m.keras")
    np.testing.assert_array_equal(predict(saving.load_model(tmp_path / "m.keras")), predict(model))


def test_scope_keeps_what_was_registered_within() -> None:
    with saving.CustomObjectScope({"one": 1}) as scope:
        assert saving.get_custom_objects()["one"] == 1
        saving.get_custom_objects()["kept"] = 2
        with scope:
            assert saving.get_custom_objects()["one"] == 1
        assert saving.get_custom_objects()["one"] == 1
    assert "one" not in saving.get_custom_objects()
    assert saving.get_custom_objects().pop("kept") == 2


def test_own_way_of_keeping_numbers(tmp_path: Path) -> None:
    class Halved(Scale):
        def save_own_variables(self, store: Any) -> None:
            store["half"] = self.gain.value / 2

        def load_own_variables(self, store: Any) -> None:
            self.gain.assign(np.asarray(store["half"]) * 2)

    model = models.Sequential([layers.Input((6,)), Halved()])
    model.layers[0].gain.assign(np.arange(6.0))
    model.save(tmp_path / "m.keras")
    again = saving.load_model(tmp_path / "m.keras", custom_objects={"Halved": Halved})
    np.testing.assert_array_equal(again.layers[0].gain.value, np.arange(6.0))


# ------------------------------------------------------------------ arguments


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda m, d: saving.save_model(models.Sequential(), d / "m.h5"), ModelError, r"is not built.*\.keras"),
        (lambda m, d: saving.save_model(m, d / "m.h5", save_format="tf"), UnsupportedError, "TensorFlow"),
        (lambda m, d: saving.save_model(m, d / "m"), ValueError, r"ends in \.keras"),
        (lambda m, d: saving.save_model(m, d / "m.pkl"), ModelError, r"ends in \.keras"),
        (lambda m, d: saving.save_model(m, d / "m.keras", zipped=False), UnsupportedError, "zipped=False"),
        (lambda m, d: saving.save_model(m, d / "m.keras", save_format="tf"), UnsupportedError, "TensorFlow"),
        (lambda m, d: saving.save_model(m, d / "m.keras", overwrit=True), TypeError, "overwrite"),
        (lambda m, d: saving.save_model(m, "hf://a/b"), UnsupportedError, "not on this machine"),
        (lambda m, d: saving.save_model(m, 3), ModelError, "path of a file"),
        (lambda m, d: saving.save_weights(m, d / "m.h5"), ModelError, r"ends in \.weights\.h5"),
        (lambda m, d: saving.save_weights(m, d / "m.weights.h5", max_shard_size=1), UnsupportedError, "max_shard"),
        (lambda m, d: saving.load_weights(m, d / "m.weights.json"), UnsupportedError, "several files"),
        (lambda m, d: saving.load_weights(m, d / "m.h5", objects_to_skip=[m]), UnsupportedError, "objects_to_skip"),
        (lambda m, d: saving.load_weights(m, d / "m.h5", by_nam=True), TypeError, "by_name"),
        (lambda m, d: saving.load_model(d / "m.keras", safe_mode=False), UnsupportedError, "never run"),
        (lambda m, d: saving.load_model(d / "m.keras", custom_objects=[1]), ModelError, "dictionary of names"),
        (lambda m, d: saving.load_model(d / "m.keras"), FileNotFoundError, "no such file"),
        (lambda m, d: saving.load_model(d / "m.keras"), ValueError, "no such file"),
        (lambda m, d: saving.load_model(d / "a\0b"), FileFormatError, "name of a file"),
        (lambda m, d: saving.save_model(m, d / "a\0.keras"), ModelError, "name of a file"),
        (lambda m, d: saving.load_model(d), FileFormatError, "no such file"),
        (
            lambda m, d: saving.save_weights(models.Sequential([layers.Dense(2)]), d / "m.weights.h5"),
            ModelError,
            "built",
        ),
        (
            lambda m, d: saving.load_weights(models.Sequential([layers.Dense(2)]), d / "m.weights.h5"),
            ModelError,
            "built",
        ),
        (lambda m, d: saving.model_from_json(3), ModelError, "expected text"),
        (lambda m, d: saving.serialize_keras_object(lambda x: x), ModelError, "no name"),
        (lambda m, d: saving.serialize_keras_object(object()), UnsupportedError, "cannot be saved"),
        (lambda m, d: saving.deserialize_keras_object({}, safe_mode=False), UnsupportedError, "never run"),
    ],
)
def test_refused_arguments(tmp_path: Path, call: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call(small(), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_include_optimizer(tmp_path: Path) -> None:
    model = small()
    model.optimizer = optimizers.Adam()
    model.save(tmp_path / "m.keras", include_optimizer=False)
    members = archive.members_of((tmp_path / "m.keras").read_bytes(), "m")
    assert json.loads(members["config.json"])["compile_config"] == {}
    with h5py.File(io.BytesIO(members["model.weights.h5"])) as file:
        assert "optimizer" not in file


# ------------------------------------------------------------------ weights that do not fit


def test_other_shapes_name_the_layer_and_change_nothing(tmp_path: Path) -> None:
    small().save_weights(tmp_path / "m.weights.h5")
    model = models.Sequential([layers.Input((6,)), layers.Dense(4), layers.Dense(7, name="last")])
    before = model.get_weights()
    with pytest.raises(ModelError, match=r"last \(Dense\): expected shape \(4, 7\) for kernel, received \(4, 3\)"):
        model.load_weights(tmp_path / "m.weights.h5")
    for a, b in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(a, b)
    with pytest.warns(UserWarning, match=r"last \(Dense\)"):
        model.load_weights(tmp_path / "m.weights.h5", skip_mismatch=True)
    assert not np.array_equal(model.layers[0].kernel.value, before[0])
    np.testing.assert_array_equal(model.layers[1].kernel.value, before[2])


def test_other_numbers_of_variables(tmp_path: Path) -> None:
    small().save_weights(tmp_path / "m.weights.h5")
    model = models.Sequential([layers.Input((6,)), layers.Dense(4, use_bias=False, name="a"), layers.Dense(3)])
    with pytest.raises(ModelError, match=r"a \(Dense\): expected 1 variables .*received 2"):
        model.load_weights(tmp_path / "m.weights.h5")
    model = models.Sequential([layers.Input((6,)), layers.Dense(4), layers.Dense(3), layers.Dense(3, name="new")])
    with pytest.raises(ModelError, match=r"new \(Dense\): expected 2 variables .*received 0"):
        model.load_weights(tmp_path / "m.weights.h5")


# ------------------------------------------------------------------ Keras 1 and 2


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


# ------------------------------------------------------------------ one step


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    path = tmp_path / "m.keras"
    small().save(path)
    return path


def test_order_of_operations(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file reaches the disk before its name does, and the name before we return."""
    calls: list[str] = []
    fsync, replace = os.fsync, os.replace

    def record_fsync(descriptor: int) -> None:
        calls.append("folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file")
        fsync(descriptor)

    def record_replace(source: str, target: str) -> None:
        calls.append("rename")
        assert os.path.dirname(source) == os.path.dirname(target)
        replace(source, target)

    monkeypatch.setattr(os, "fsync", record_fsync)
    monkeypatch.setattr(os, "replace", record_replace)
    small().save(saved)
    assert calls == ["file", "rename", "folder"]
    small().save_weights(saved.with_name("m.weights.h5"))
    assert calls == ["file", "rename", "folder"] * 2


@pytest.mark.parametrize("failing", ["open", "write", "fsync", "replace"])
@pytest.mark.parametrize("raised", [OSError(errno.ENOSPC, "no space"), KeyboardInterrupt()], ids=["full", "ctrl-c"])
def test_failure_leaves_the_old_file(
    saved: Path, monkeypatch: pytest.MonkeyPatch, failing: str, raised: BaseException
) -> None:
    before = saved.read_bytes()

    def fail(*args: Any, **kwargs: Any) -> Any:
        raise raised

    if failing == "write":

        class Full(io.FileIO):
            def write(self, data: Any) -> int:
                if self.tell() > 1000:
                    raise raised
                return super().write(data[:500])

        monkeypatch.setattr(os, "fdopen", lambda descriptor, mode, buffering: Full(descriptor, mode))
    else:
        monkeypatch.setattr(os, failing, fail)
    model = small()
    with pytest.raises(type(raised)):
        storage.write_file(saved, [b"x" * 5000]) if failing == "open" else model.save(saved)
    monkeypatch.undo()
    assert saved.read_bytes() == before
    assert leftovers(saved.parent) == []
    saving.load_model(saved)


def test_short_writes_are_continued(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Short(io.FileIO):
        def write(self, data: Any) -> int:
            return super().write(data[:7])

    monkeypatch.setattr(os, "fdopen", lambda descriptor, mode, buffering: Short(descriptor, mode))
    storage.write_file(tmp_path / "f", [b"a" * 20, bytearray(b"b" * 5), memoryview(b"")])
    assert (tmp_path / "f").read_bytes() == b"a" * 20 + b"b" * 5


def child(code: str, *args: str, **options: Any) -> subprocess.CompletedProcess[str]:
    """Runs Python code in a process of its own."""
    command = [sys.executable, "-c", textwrap.dedent(code), *args]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(command, capture_output=True, text=True, timeout=120, env=environment, check=False, **options)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_kill_at_any_moment_leaves_the_old_file_or_the_new_one(tmp_path: Path) -> None:
    result = child(
        """
        import os, random, signal, sys, time, warnings
        import numpy as np
        from nncompile import layers, models, saving

        path, rounds = sys.argv[1], 100
        def model(value):
            m = models.Sequential([layers.Input((50,)), layers.Dense(80), layers.Dense(3)])
            m.set_weights([np.full(v.shape, value, "float32") for v in m.weights])
            return m
        old, new = model(0.0), model(1.0)
        old.save(path)
        rng = random.Random(0)
        seen = set()
        start = time.perf_counter(); new.save(path); longest = 2 * (time.perf_counter() - start)
        for _ in range(rounds):
            old.save(path)
            pid = os.fork()
            if pid == 0:
                try:
                    new.save(path)
                finally:
                    os._exit(0)
            time.sleep(rng.random() * longest)
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            values = {float(x) for w in saving.load_model(path).get_weights() for x in w.ravel()}
            assert values in ({0.0}, {1.0}), values
            seen |= values
            longest *= 1.1 if values == {0.0} else 0.9  # so that either happens about as often
        print(seen)
        """,
        str(tmp_path / "m.keras"),
    )
    assert result.returncode == 0, result.stderr
    # Both outcomes, or the moments were badly chosen and nothing was tested.
    assert "0.0" in result.stdout
    assert "1.0" in result.stdout


def test_full_disk(saved: Path) -> None:
    before = saved.read_bytes()
    result = child(
        """
        import os, resource, sys
        from nncompile import layers, models
        from nncompile.saving import archive
        path = sys.argv[1]
        m = models.Sequential([layers.Input((100,)), layers.Dense(100)])
        m.save(path + ".warm.keras")  # what is imported late is imported now
        os.unlink(path + ".warm.keras")
        resource.setrlimit(resource.RLIMIT_FSIZE, (20000, 20000))
        for save in (lambda: m.save(path), lambda: m.save_weights(path + ".weights.h5")):
            try:
                save()
            except OSError as error:
                print("OSError", error.errno)
        """,
        str(saved),
    )
    assert result.stdout.split() == ["OSError", str(errno.EFBIG)] * 2, result.stderr
    assert saved.read_bytes() == before
    assert [p.name for p in saved.parent.iterdir()] == [saved.name]


def test_folder_that_cannot_be_written(tmp_path: Path) -> None:
    # Even the superuser, whom permissions do not stop, cannot create a file here.
    with pytest.raises(OSError, match=r"m\.keras"):
        small().save("/proc/m.keras" if os.path.isdir("/proc/1") else "/dev/null/m.keras")
    with pytest.raises(FileNotFoundError):
        small().save(tmp_path / "missing" / "m.keras")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="permissions do not stop the superuser")
def test_read_only_folder(saved: Path) -> None:
    before = saved.read_bytes()
    saved.parent.chmod(0o555)
    try:
        with pytest.raises(PermissionError):
            small().save(saved)
    finally:
        saved.parent.chmod(0o755)
    assert saved.read_bytes() == before


def test_overwrite(saved: Path) -> None:
    before = saved.read_bytes()
    with pytest.raises(ModelError, match="exists"):
        small().save(saved, overwrite=False)
    assert saved.read_bytes() == before
    small().save_weights(saved.with_name("w.weights.h5"), overwrite=False)
    with pytest.raises(ModelError, match="exists"):
        small().save_weights(saved.with_name("w.weights.h5"), overwrite=False)


@pytest.mark.skipif(os.name != "posix", reason="POSIX files")
def test_links_permissions_and_special_files(saved: Path) -> None:
    link = saved.with_name("link.keras")
    link.symlink_to(saved.name)
    saved.chmod(0o640)
    model = small()
    model.save(link)
    assert link.is_symlink()
    assert stat.S_IMODE(saved.stat().st_mode) == 0o640
    np.testing.assert_array_equal(predict(saving.load_model(saved)), predict(model))
    pipe, folder = saved.with_name("pipe.keras"), saved.with_name("folder.keras")
    os.mkfifo(pipe)
    folder.mkdir()
    for path in (pipe, folder):
        with pytest.raises(ModelError):
            model.save(path)
        with pytest.raises(FileFormatError):
            saving.load_model(path)
    with pytest.raises(FileFormatError):
        saving.load_model("/dev/zero")
    umask = os.umask(0o027)
    try:
        model.save(saved.with_name("new.keras"))
    finally:
        os.umask(umask)
    assert stat.S_IMODE(saved.with_name("new.keras").stat().st_mode) == 0o640
    long = saved.with_name("x" * 240 + ".keras")
    model.save(long)
    saving.load_model(long)


# ------------------------------------------------------------------ hostile files


@dataclasses.dataclass
class Watch:
    """What the interpreter did meanwhile that could do harm."""

    events: list[tuple[str, Any]] = dataclasses.field(default_factory=list)
    on: bool = False


WATCH = Watch()
HARMFUL = (
    "open", "import", "exec", "marshal.loads", "pickle.find_class", "os.", "subprocess.", "socket.",
    "ctypes.", "shutil.", "tempfile.", "urllib.", "code.__new__", "function.__new__", "webbrowser.", "http.",
)  # fmt: skip


def _audit(event: str, args: tuple[Any, ...]) -> None:
    if WATCH.on and event.startswith(HARMFUL) and not (event == "open" and isinstance(args[0], int)):
        WATCH.events.append((event, args[:1]))


@contextlib.contextmanager
def watched() -> Iterator[list[tuple[str, Any]]]:
    """Records files opened, modules imported, code run: nothing of which a file may cause."""
    if not WATCH.events and not getattr(_audit, "added", False):
        sys.addaudithook(_audit)
        _audit.added = True  # type: ignore[attr-defined]
    WATCH.events.clear()
    WATCH.on = True
    try:
        yield WATCH.events
    finally:
        WATCH.on = False


def good_members() -> dict[str, bytes]:
    buffer = io.BytesIO()
    config = saving.model_to_json(small()).encode()
    metadata = b'{"keras_version": "3.15.1", "date_saved": "2026-01-01@00:00:00"}'
    from nncompile.saving import weights_h5

    buffer.write(weights_h5.write(small()))
    return {"metadata.json": metadata, "config.json": config, "model.weights.h5": buffer.getvalue()}


def zipped(members: dict[str, bytes], **options: Any) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", **options) as file:
        for name, data in members.items():
            file.writestr(name, data)
    return buffer.getvalue()


def with_config(change: Callable[[Any], Any]) -> bytes:
    """A good archive, with another configuration."""
    members = good_members()
    config = json.loads(members["config.json"])
    changed = change(config)
    members["config.json"] = json.dumps(config if changed is None else changed).encode()
    return zipped(members)


def with_text(text: bytes) -> bytes:
    return zipped({**good_members(), "config.json": text})


def with_layer(**layer: Any) -> bytes:
    """A good archive, in which the first Dense is something else."""

    def change(config: Any) -> None:
        old = config["config"]["layers"][1]
        new = {**old, **layer}
        if "config" in layer and isinstance(layer["config"], dict):
            new["config"] = {**old["config"], **layer["config"]}
        config["config"]["layers"][1] = new

    return with_config(change)


def with_hdf5(change: Callable[[Any], Any]) -> bytes:
    """A good archive, with other weights."""
    members = good_members()
    buffer = io.BytesIO(members["model.weights.h5"])
    with h5py.File(buffer, "r+") as file:
        change(file)
    return zipped({**members, "model.weights.h5": buffer.getvalue()})


FIRST = "layers/dense/vars/0"


def replaced(make: Callable[[Any], Any], path: str = FIRST) -> bytes:
    """A good archive, with something else in the place of the first kernel."""

    def change(file: Any) -> None:
        group, _, name = path.rpartition("/")
        parent = file[group] if group else file
        del parent[name]
        made = make(parent)
        if made is not None:
            parent[name] = made

    return with_hdf5(change)


def virtual(group: Any) -> None:
    layout = h5py.VirtualLayout((6, 4), "f4")
    layout[:] = h5py.VirtualSource("/tmp/other.h5", "x", (6, 4))
    group.create_virtual_dataset("0", layout)


def unknown_filter(group: Any) -> None:
    properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    properties.set_chunk((6, 4))
    properties.set_filter(32099, h5py.h5z.FLAG_OPTIONAL, (1,))
    h5py.h5d.create(group.id, b"0", h5py.h5t.IEEE_F32LE, h5py.h5s.create_simple((6, 4)), properties)


def missing_chunk(group: Any) -> None:
    group.create_dataset("0", (6, 4), "f4", chunks=(3, 4))[:3] = 1.0


def corrupt(data: bytes, at: bytes, offset: int, value: bytes) -> bytes:
    place = data.rfind(at) + offset
    return data[:place] + value + data[place + len(value) :]


def directory_entry(offset: int, value: bytes, member: bytes = b"config.json") -> bytes:
    """A good archive, with other bytes in the central directory."""
    return corrupt(zipped(good_members()), member, offset - 46, value)


def nested(depth: int) -> bytes:
    def change(config: Any) -> None:
        for _ in range(depth):
            config["config"]["layers"] = [
                {
                    "module": "keras",
                    "class_name": "Sequential",
                    "config": {"name": "s", "layers": config["config"]["layers"]},
                }
            ]

    return with_config(change)


FOREIGN = {"module": "os", "class_name": "system", "config": {"command": "touch /tmp/owned"}, "registered_name": None}
FUNCTION = {"module": "os", "class_name": "function", "config": "system", "registered_name": "system"}
LAMBDA = {
    "module": "keras.layers", "class_name": "Lambda", "registered_name": None,
    "config": {"name": "l", "function": {"class_name": "__lambda__", "config": {"code": "4wEAAAA="}}},
}  # fmt: skip

BAD: dict[str, tuple[Callable[[], bytes], type[Exception], str]] = {
    # not an archive
    "empty": (lambda: b"", FileFormatError, "empty"),
    "text": (lambda: b"hello, world\n" * 50, FileFormatError, "expected a model"),
    "pickle": (lambda: b"\x80\x04cos\nsystem\n(S'true'\ntR.", FileFormatError, "expected a model"),
    "yaml": (lambda: b"!!python/object/apply:os.system ['true']\n", FileFormatError, "expected a model"),
    "PK alone": (lambda: b"PK", FileFormatError, "ends too early"),
    "signature alone": (lambda: b"PK\x03\x04" + bytes(100), FileFormatError, "ends too early"),
    "end alone": (lambda: b"PK\x05\x06" + bytes(18), FileFormatError, "config.json"),
    "foreign zip": (lambda: zipped({"word/document.xml": b"<x/>"}), FileFormatError, "config.json"),
    # archives
    "no config": (lambda: zipped({"model.weights.h5": b"", "metadata.json": b"{}"}), FileFormatError, "config.json"),
    "no weights": (lambda: zipped({"config.json": b"{}"}), FileFormatError, "model.weights.h5"),
    "npz weights": (lambda: zipped({"config.json": b"{}", "model.weights.npz": b""}), UnsupportedError, "npz"),
    "duplicate config": (lambda: duplicate("config.json"), FileFormatError, "twice"),
    "duplicate weights": (lambda: duplicate("model.weights.h5"), FileFormatError, "twice"),
    "duplicate of another": (lambda: duplicate("readme"), FileFormatError, "twice"),
    "bomb of config": (
        lambda: zipped({**good_members(), "config.json": bytes(7 << 20)}, compression=zipfile.ZIP_DEFLATED),
        FileFormatError,
        "declared are",
    ),
    "large config": (lambda: with_text(b" " * (9 << 20)), FileFormatError, "at most"),
    "bomb of weights": (
        lambda: zipped({**good_members(), "model.weights.h5": bytes(50 << 20)}, compression=zipfile.ZIP_DEFLATED),
        FileFormatError,
        "declared are",
    ),
    "4 GiB declared": (lambda: directory_entry(24, b"\xff\xff\xff\xfe"), FileFormatError, "GiB|declared|ZIP"),
    "size too large": (lambda: directory_entry(24, struct.pack("<L", 99999)), FileFormatError, "ZIP|bytes"),
    "size too small": (lambda: directory_entry(24, struct.pack("<L", 9)), FileFormatError, "ZIP|bytes"),
    "wrong check sum": (lambda: directory_entry(16, b"abcd"), FileFormatError, "CRC"),
    "encrypted": (lambda: directory_entry(8, b"\x01\0"), FileFormatError, "encrypted"),
    "unknown compression": (lambda: directory_entry(10, b"\x63\0"), FileFormatError, "ZIP"),
    "far version": (lambda: directory_entry(6, b"\xff\xff"), FileFormatError, "ZIP"),
    "place out of the file": (lambda: directory_entry(42, b"\xff\xff\xff\x7f"), FileFormatError, "ZIP"),
    "place of another member": (lambda: directory_entry(42, bytes(4)), FileFormatError, "ZIP"),
    "very many members": (
        lambda: zipped({**good_members(), **{f"x{i:05}": b"" for i in range(25000)}}),
        FileFormatError,
        "three members",
    ),
    "directory elsewhere": (
        lambda: corrupt(zipped(good_members()), b"PK\x05\x06", 16, b"\xff\xff\xff\x7f"),
        FileFormatError,
        "ZIP",
    ),
    "metadata is a list": (lambda: zipped({**good_members(), "metadata.json": b"[]"}), FileFormatError, "object"),
    "metadata is no JSON": (lambda: zipped({**good_members(), "metadata.json": b"\0"}), FileFormatError, "JSON"),
    # JSON
    "config not UTF-8": (lambda: with_text(b'{"class_name": "\xff\xfe"}'), FileFormatError, "UTF-8"),
    "config UTF-16": (lambda: with_text('{"class_name": "Sequential"}'.encode("utf-16")), FileFormatError, "UTF-8"),
    "config no JSON": (lambda: with_text(b"{'class_name': 1}"), FileFormatError, "JSON"),
    "config empty": (lambda: with_text(b""), FileFormatError, "JSON"),
    "config null": (lambda: with_text(b"null"), FileFormatError, "object"),
    "config a list": (lambda: with_text(b"[]"), FileFormatError, "object"),
    "config a number": (lambda: with_text(b"1e999"), FileFormatError, "object"),
    "config a string": (lambda: with_text(b'"os.system"'), FileFormatError, "object"),
    "config without class": (lambda: with_text(b"{}"), FileFormatError, "class_name"),
    "class a number": (lambda: with_text(b'{"class_name": 3, "config": {}}'), FileFormatError, "class_name"),
    "deep lists": (lambda: with_text(b"[" * 100_000), FileFormatError, "JSON"),
    "deep objects": (lambda: with_text(b'{"a":' * 50_000 + b"1" + b"}" * 50_000), FileFormatError, "JSON"),
    "closed deep lists": (lambda: with_text(b"[" * 300 + b"]" * 300), FileFormatError, "nested deeper"),
    "models in models": (lambda: nested(60), FileFormatError, "nested"),
    "key twice": (lambda: with_text(b'{"class_name": "A", "class_name": "B"}'), FileFormatError, "twice"),
    "long integer": (lambda: with_text(b'{"a": ' + b"9" * 5000 + b"}"), FileFormatError, "digits"),
    "lone surrogate": (lambda: with_text(b'{"class_name": "\\ud800"}'), FileFormatError, "UTF-8"),
    # objects
    "layers a number": (lambda: with_config(lambda c: c["config"].update(layers=3)), FileFormatError, "layers"),
    "layers an object": (lambda: with_config(lambda c: c["config"].update(layers={})), FileFormatError, "layers"),
    "layer a number": (lambda: with_config(lambda c: c["config"].update(layers=[3])), FileFormatError, "3"),
    "layer null": (lambda: with_config(lambda c: c["config"].update(layers=[None])), FileFormatError, "None"),
    "layer a function": (lambda: with_config(lambda c: c["config"].update(layers=["relu"])), NncompileError, "relu"),
    "inner config a list": (lambda: with_layer(config=[]), FileFormatError, "Dense"),
    "unknown class": (lambda: with_layer(class_name="Nonesuch"), UnsupportedError, "Nonesuch.*custom_objects"),
    "unknown class of the user's": (
        lambda: with_layer(class_name="Mine", module=None, registered_name="me>Mine"),
        UnsupportedError,
        "me>Mine.*custom_objects",
    ),
    "the user's class with the name of ours": (
        lambda: with_layer(module="mine.layers", registered_name="mine>Dense"),
        UnsupportedError,
        "mine.layers.Dense.*custom_objects",
    ),
    "class of a module": (
        lambda: with_config(lambda c: c["config"]["layers"].append(FOREIGN)),
        UnsupportedError,
        "os.system",
    ),
    "model of a module": (lambda: with_config(lambda c: FOREIGN), UnsupportedError, "os.system"),
    "function of a module": (
        lambda: with_layer(config={"activation": FUNCTION}),
        UnsupportedError,
        "os.system. is not known",
    ),
    "builtin function": (
        lambda: with_layer(
            config={
                "activation": {
                    "module": "builtins",
                    "class_name": "function",
                    "config": "exec",
                    "registered_name": "function",
                }
            }
        ),
        NncompileError,
        "exec",
    ),
    "path of a function": (lambda: with_layer(config={"activation": "os.system"}), FileFormatError, "os.system"),
    "import in a name": (
        lambda: with_layer(config={"kernel_initializer": "__import__('os')"}),
        FileFormatError,
        "__import__",
    ),
    "keras utility": (
        lambda: with_layer(module="keras.utils", class_name="get_file", config={"origin": "http://localhost/x"}),
        UnsupportedError,
        "get_file",
    ),
    "keras option": (
        lambda: with_layer(module="keras.config", class_name="enable_unsafe_deserialization"),
        UnsupportedError,
        "enable_unsafe",
    ),
    "internal module": (
        lambda: with_layer(module="keras.src.utils.python_utils", class_name="func_load"),
        UnsupportedError,
        "func_load",
    ),
    "Lambda": (
        lambda: with_config(lambda c: c["config"]["layers"].append(LAMBDA)),
        UnsupportedError,
        "Lambda.*never run",
    ),
    "Lambda as model": (lambda: with_config(lambda c: LAMBDA), UnsupportedError, "Lambda"),
    "lambda as activation": (
        lambda: with_layer(
            config={"activation": {"class_name": "__lambda__", "config": {"value": ["4wEAAAA=", None, None]}}}
        ),
        UnsupportedError,
        "__lambda__.*never run",
    ),
    "TFSMLayer": (
        lambda: with_layer(class_name="TFSMLayer", config={"filepath": "/tmp/model"}),
        UnsupportedError,
        "TFSMLayer",
    ),
    "TorchModuleWrapper": (lambda: with_layer(class_name="TorchModuleWrapper"), UnsupportedError, "TorchModule"),
    "vocabulary": (
        lambda: with_layer(class_name="StringLookup", config={"vocabulary": "/etc/passwd"}),
        UnsupportedError,
        "StringLookup",
    ),
    "class of ours under a name of the user's": (
        lambda: with_layer(registered_name="mine>Dense"),
        UnsupportedError,
        "mine>Dense|keras.layers.Dense.*custom_objects",
    ),
    "function of ours under a name of the user's": (
        lambda: with_layer(
            config={"activation": {**FUNCTION, "module": "builtins", "config": "relu", "registered_name": "mine>relu"}}
        ),
        UnsupportedError,
        "mine>relu.*custom_objects",
    ),
    "function without a name": (
        lambda: with_layer(config={"activation": {**FUNCTION, "module": "builtins", "config": ["relu"]}}),
        FileFormatError,
        "relu",
    ),
    "class to come": (lambda: with_layer(class_name="Conv7D"), UnsupportedError, "Conv7D"),
    "functional": (
        lambda: with_config(lambda c: c.update(class_name="Functional")),
        FileFormatError,
        "expected input_layers",
    ),
    "a layer, not a model": (
        lambda: with_config(lambda c: c["config"]["layers"][1]),
        FileFormatError,
        "expected a model",
    ),
    "an optimizer, not a model": (
        lambda: with_config(lambda c: {"module": "keras.optimizers", "class_name": "SGD", "config": {}}),
        FileFormatError,
        "expected a model",
    ),
    "unknown argument": (lambda: with_layer(config={"unit": 3}), FileFormatError, "unit"),
    "units negative": (lambda: with_layer(config={"units": -1}), FileFormatError, "units"),
    "units text": (lambda: with_layer(config={"units": "__import__('os')"}), FileFormatError, "units"),
    "units huge": (lambda: with_layer(config={"units": 10**9}), FileFormatError, "numbers|bytes"),
    "units beyond 64 bits": (lambda: with_layer(config={"units": 2**63 - 64}), FileFormatError, "numbers|bytes"),
    "units of many layers": (
        lambda: with_config(
            lambda c: [layer["config"].update(units=1 << 20) for layer in c["config"]["layers"][1:]] and None
        ),
        FileFormatError,
        "bytes of weights",
    ),
    "units NaN": (lambda: with_layer(config={"units": float("nan")}), FileFormatError, "units"),
    "units a list": (lambda: with_layer(config={"units": [1, 2]}), FileFormatError, "units"),
    "dtype unknown": (lambda: with_layer(config={"dtype": "object"}), FileFormatError, "object"),
    "dtype half": (lambda: with_layer(config={"dtype": "float16"}), UnsupportedError, "float16"),
    "dtype a list": (lambda: with_layer(config={"dtype": []}), FileFormatError, "dtype|float"),
    "name a list": (lambda: with_layer(config={"name": [1]}), FileFormatError, "name"),
    "name twice": (
        lambda: with_config(
            lambda c: [layer["config"].update(name="x") for layer in c["config"]["layers"][1:]] and None
        ),
        FileFormatError,
        "name|called",
    ),
    "width huge": (
        lambda: with_config(lambda c: c["config"]["layers"][0]["config"].update(batch_shape=[None, 10**12])),
        FileFormatError,
        "numbers",
    ),
    "width negative": (
        lambda: with_config(lambda c: c["config"]["layers"][0]["config"].update(batch_shape=[None, -6])),
        FileFormatError,
        "-6",
    ),
    "shape text": (
        lambda: with_config(lambda c: c["config"]["layers"][0]["config"].update(batch_shape="abc")),
        FileFormatError,
        "abc",
    ),
    "shape of very many axes": (
        lambda: with_config(lambda c: c["config"]["layers"][0]["config"].update(batch_shape=[None] + [1] * 5000)),
        FileFormatError,
        r"\w",
    ),
    "another shape in build_config": (
        lambda: with_config(lambda c: c.update(build_config={"input_shape": [None, 1 << 40]})),
        FileFormatError,
        "numbers",
    ),
    "shape without an Input": (
        lambda: with_config(
            lambda c: c["config"].update(layers=c["config"]["layers"][1:], build_input_shape=[None, 1 << 22])
        ),
        FileFormatError,
        "bytes of weights",
    ),
    # HDF5
    "weights no HDF5": (lambda: zipped({**good_members(), "model.weights.h5": b"text"}), FileFormatError, "HDF5"),
    "weights empty": (lambda: zipped({**good_members(), "model.weights.h5": b""}), FileFormatError, "HDF5"),
    "weights a signature": (
        lambda: zipped({**good_members(), "model.weights.h5": b"\x89HDF\r\n\x1a\n"}),
        FileFormatError,
        "HDF5",
    ),
    "small places": (
        lambda: zipped(
            {**good_members(), "model.weights.h5": corrupt(good_members()["model.weights.h5"], b"\x89HDF", 13, b"\4\4")}
        ),
        FileFormatError,
        "64 bits",
    ),
    "soft link": (lambda: replaced(lambda g: h5py.SoftLink("/layers/dense_1/vars/0")), FileFormatError, "soft link"),
    "external link": (
        lambda: replaced(lambda g: h5py.ExternalLink("/tmp/other.h5", "x")),
        FileFormatError,
        "another file",
    ),
    "soft link to a group": (
        lambda: replaced(lambda g: h5py.SoftLink("/layers/dense_1/vars"), "layers/dense/vars"),
        FileFormatError,
        "soft link",
    ),
    "external link to a group": (
        lambda: replaced(lambda g: h5py.ExternalLink("/tmp/other.h5", "/"), "layers"),
        FileFormatError,
        "another file",
    ),
    "external storage": (
        lambda: replaced(lambda g: g.create_dataset("0", (6, 4), "f4", external=[("/etc/hostname", 0, 96)]) and None),
        FileFormatError,
        "another file",
    ),
    "virtual dataset": (lambda: replaced(virtual), FileFormatError, "virtual"),
    "shape bomb": (
        lambda: replaced(
            lambda g: g.create_dataset("0", (1 << 20, 1 << 20), "f4", chunks=(64, 64), compression="gzip") and None
        ),
        FileFormatError,
        "declared are",
    ),
    "shapes that overflow": (
        lambda: replaced(lambda g: g.create_dataset("0", (1 << 31, 1 << 30), "f4", chunks=(1, 1)) and None),
        FileFormatError,
        "declared are",
    ),
    "bomb that fits": (
        lambda: replaced(
            lambda g: g.create_dataset("0", (2000, 2000), "f4", chunks=(100, 100), compression="gzip") and None
        ),
        FileFormatError,
        "declared are",
    ),
    "nothing stored": (
        lambda: replaced(lambda g: g.create_dataset("0", (6, 4), "f4") and None),
        FileFormatError,
        "not stored",
    ),
    "a chunk missing": (lambda: replaced(missing_chunk), FileFormatError, "not stored"),
    "huge chunks": (
        lambda: replaced(
            lambda g: g.create_dataset("0", (6, 4), "f4", chunks=(1 << 14, 1 << 14), maxshape=(None, None)) and None
        ),
        FileFormatError,
        "chunks",
    ),
    "unknown filter": (lambda: replaced(unknown_filter), FileFormatError, "filter 32099"),
    "other shape": (lambda: replaced(lambda g: np.zeros((4, 6), "f4")), FileFormatError, r"expected shape \(6, 4\)"),
    "other rank": (lambda: replaced(lambda g: np.zeros((6, 4, 1), "f4")), FileFormatError, "expected shape"),
    "a scalar": (lambda: replaced(lambda g: 1.0), FileFormatError, "expected shape"),
    "texts": (lambda: replaced(lambda g: np.full((6, 4), b"x")), FileFormatError, "expected numbers"),
    "texts of any length": (
        lambda: replaced(lambda g: np.full((6, 4), "x", object)),
        FileFormatError,
        "expected numbers",
    ),
    "compounds": (lambda: replaced(lambda g: np.zeros((6, 4), "f4,f4")), FileFormatError, "expected numbers"),
    "complex": (lambda: replaced(lambda g: np.zeros((6, 4), "c8")), FileFormatError, "expected numbers"),
    "opaque": (lambda: replaced(lambda g: np.zeros((6, 4), "V8")), FileFormatError, "expected numbers"),
    "bfloat16": (lambda: replaced(lambda g: np.zeros((6, 4), "V2")), UnsupportedError, "bfloat16"),
    "references": (
        lambda: replaced(lambda g: g.create_dataset("0", (6, 4), h5py.ref_dtype) and None),
        FileFormatError,
        "expected numbers",
    ),
    "empty dataset": (lambda: replaced(lambda g: h5py.Empty("f4")), FileFormatError, r"\w"),
    "group for a dataset": (lambda: replaced(lambda g: g.create_group("0") and None), FileFormatError, "dataset"),
    "dataset for a group": (
        lambda: replaced(lambda g: np.zeros(3), "layers/dense/vars"),
        FileFormatError,
        "expected a group",
    ),
    "type for a dataset": (lambda: replaced(lambda g: np.dtype("f4")), FileFormatError, "dataset"),
    "dataset missing": (lambda: replaced(lambda g: None), FileFormatError, "counted from 0|expected 2"),
    "one dataset too many": (
        lambda: with_hdf5(lambda f: f.__setitem__("layers/dense/vars/2", np.zeros(3))),
        FileFormatError,
        "expected 2 variables",
    ),
    "layer missing": (lambda: with_hdf5(lambda f: f.__delitem__("layers/dense_1")), FileFormatError, "received 0"),
    "no groups": (lambda: with_hdf5(lambda f: f.clear()), FileFormatError, "weights of a Keras model"),
}


def duplicate(name: str) -> bytes:
    buffer = io.BytesIO(zipped({**good_members(), "readme": b""}))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with zipfile.ZipFile(buffer, "a") as file:
            file.writestr(name, b"{}")
    return buffer.getvalue()


def load_bytes(data: bytes, tmp_path: Path) -> Any:
    path = tmp_path / "bad.keras"
    path.write_bytes(data)
    saving.load_weights(small(), WARM)  # what is imported late is imported now
    with watched() as events:
        try:
            return saving.load_model(path)
        finally:
            WATCH.on = False
            assert [e for e in events if e != ("open", (str(path),))] == []
            assert sorted(p.name for p in tmp_path.iterdir()) == ["bad.keras"]


@pytest.fixture(scope="module", autouse=True)
def warm(tmp_path_factory: pytest.TempPathFactory) -> None:
    global WARM
    WARM = tmp_path_factory.mktemp("warm") / "good.keras"
    WARM.write_bytes(zipped(good_members(), compression=zipfile.ZIP_DEFLATED))
    saving.load_model(WARM)


WARM: Path


@pytest.mark.parametrize("name", BAD)
def test_bad_file(name: str, tmp_path: Path) -> None:
    make, error, message = BAD[name]
    data = make()
    before = dict(registry._custom)
    start = time.monotonic()
    with pytest.raises(error, match=message) as caught:
        load_bytes(data, tmp_path)
    assert time.monotonic() - start < 10
    assert isinstance(caught.value, NncompileError)
    assert "bad.keras" in str(caught.value), "the message says which file"
    assert registry._custom == before


def test_there_are_enough_bad_files() -> None:
    assert len(BAD) >= 100


def test_good_files_are_good(tmp_path: Path) -> None:
    """What the bad ones are made of, and harmless oddities, load."""
    load_bytes(zipped(good_members()), tmp_path)
    load_bytes(zipped(good_members(), compression=zipfile.ZIP_DEFLATED), tmp_path)
    without = {k: v for k, v in good_members().items() if k != "metadata.json"}
    load_bytes(zipped(without), tmp_path)
    names = {"../../evil": b"x", "/etc/evil": b"x", "assets/a.txt": b"x", "C:\\evil": b"x"}
    load_bytes(zipped({**names, **good_members()}), tmp_path)
    load_bytes(with_layer(config={"name": "a; rm -rf *\n${x} *\\ ü"}), tmp_path)
    model = load_bytes(with_layer(config={"name": "../../etc/cron.d/x"}), tmp_path)
    (tmp_path / "bad.keras").unlink()
    with pytest.warns(UserWarning, match=r"cron.d/x \(Dense\): Keras does not open"):
        model.save(tmp_path / "bad.keras")
    np.testing.assert_array_equal(predict(load_bytes((tmp_path / "bad.keras").read_bytes(), tmp_path)), predict(model))
    load_bytes(with_hdf5(lambda f: f.__setitem__("unknown", h5py.ExternalLink("/tmp/other.h5", "/"))), tmp_path)
    packed: dict[str, Any] = {"data": np.ones((6, 4), "f8"), "chunks": (2, 4), "compression": "gzip", "shuffle": True}
    load_bytes(replaced(lambda g: g.create_dataset("0", **packed) and None), tmp_path)


def test_every_truncation_of_an_archive_is_refused(tmp_path: Path) -> None:
    data = zipped(good_members())
    for size in [*range(0, 200), *range(200, len(data) - 200, 211), *range(len(data) - 200, len(data))]:
        with pytest.raises(FileFormatError):
            load_bytes(data[:size], tmp_path)


def test_every_truncation_of_hdf5_is_refused(tmp_path: Path) -> None:
    data = good_members()["model.weights.h5"]
    model = small()
    before = model.get_weights()
    path = tmp_path / "m.weights.h5"
    for size in [*range(0, 120), *range(120, len(data), 97), len(data) - 1]:
        path.write_bytes(data[:size])
        with pytest.raises(FileFormatError):
            model.load_weights(path)
    for a, b in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(a, b)


def test_random_damage_is_found_or_harmless(tmp_path: Path) -> None:
    """Whatever is wrong ends in an error of ours, and never in part of a model."""
    members = good_members()
    archived = zipped(members)
    path = legacy_file(tmp_path / "m.h5", KERAS_2, KERAS_2_WEIGHTS, "2.4.0", training=TRAINING, state=adam_state("2.4"))
    legacy = path.read_bytes()
    path.unlink()
    model = small()
    path = tmp_path / "m.weights.h5"
    refused = 0
    for seed in range(600):
        rng = random.Random(seed)
        which = rng.choice(["archive", "config.json", "model.weights.h5", "weights alone", "legacy"])
        whole = {"archive": archived, "legacy": legacy, "weights alone": members["model.weights.h5"], **members}
        data = bytearray(whole[which])
        for _ in range(rng.choice([1, 1, 2, 8])):
            at = rng.randrange(len(data))
            while data[at] == 0 and rng.random() < 0.8:  # what is not zero matters more
                at = rng.randrange(len(data))
            data[at] = rng.choice([0, 1, 127, 128, 255, rng.randrange(256), data[at] ^ (1 << rng.randrange(8))])
        before = model.get_weights()
        try:
            if which == "weights alone":
                path.write_bytes(data)
                model.load_weights(path)
                path.unlink()
            elif which == "archive":
                load_bytes(bytes(data), tmp_path)
            elif which == "legacy":
                path.write_bytes(data)
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")  # of the state of the optimizer
                    saving.load_model(path)
            else:
                path.unlink(missing_ok=True)
                load_bytes(zipped({**members, which: bytes(data)}), tmp_path)
        except NncompileError:
            refused += 1
            for a, b in zip(model.get_weights(), before, strict=True):
                np.testing.assert_array_equal(a, b)
        finally:
            path.unlink(missing_ok=True)
            (tmp_path / "bad.keras").unlink(missing_ok=True)
    assert refused > 150


# Legacy files that are hostile: the same doors, once more.


def legacy_with(tmp_path: Path, change: Callable[[Any], Any]) -> Path:
    path = legacy_file(tmp_path / "bad.h5", KERAS_2, KERAS_2_WEIGHTS, "2.2.4")
    with h5py.File(path, "r+") as file:
        change(file)
    return path


def rename_first_weight(file: Any, name: str) -> None:
    group = file["model_weights/dense_1"]
    group.attrs["weight_names"] = [name.encode(), b"dense_1/bias:0"]


def change_config(file: Any, change: Callable[[Any], Any]) -> None:
    config = json.loads(file.attrs["model_config"])
    change(config)
    file.attrs["model_config"] = json.dumps(config).encode()


def amplify(file: Any) -> None:
    """A list of 4000 names, each of which is the same megabyte."""
    text = "x" * (1 << 20)
    group = file["model_weights"]
    del group.attrs["layer_names"]
    names = np.array([text], h5py.string_dtype())
    group.attrs.create("layer_names", np.array([text] * 400, h5py.string_dtype()))
    assert names.size


BAD_LEGACY: dict[str, tuple[Callable[[Any], Any], type[Exception], str]] = {
    "no model": (lambda f: f.attrs.__delitem__("model_config"), FileFormatError, "whole model"),
    "config a number": (lambda f: f.attrs.__setitem__("model_config", 3), FileFormatError, "expected text"),
    "config numbers": (lambda f: f.attrs.__setitem__("model_config", np.zeros(100)), FileFormatError, "expected text"),
    "config no JSON": (lambda f: f.attrs.__setitem__("model_config", "x"), FileFormatError, "JSON"),
    "config not UTF-8": (
        lambda f: f.attrs.__setitem__("model_config", np.bytes_(b"\xff\xfe")),
        FileFormatError,
        "UTF-8|utf-8|codec",
    ),
    "config a list": (lambda f: f.attrs.__setitem__("model_config", "[]"), FileFormatError, "object"),
    "training a list": (lambda f: f.attrs.__setitem__("training_config", "[]"), FileFormatError, "object"),
    "no weights": (lambda f: f.__delitem__("model_weights"), FileFormatError, "model_weights"),
    "no layer names": (lambda f: f["model_weights"].attrs.__delitem__("layer_names"), FileFormatError, "received 0"),
    "layer missing": (lambda f: f.__delitem__("model_weights/dense_1"), FileFormatError, "dense_1"),
    "weight missing": (lambda f: f.__delitem__("model_weights/dense_1/dense_1/kernel:0"), FileFormatError, "kernel"),
    "weight by a path": (
        lambda f: rename_first_weight(f, "/model_weights/dense_2/dense_2/kernel:0"),
        FileFormatError,
        "name in HDF5",
    ),
    "weight by dots": (lambda f: rename_first_weight(f, "../dense_2/dense_2/kernel:0"), FileFormatError, "found none"),
    "weight without a name": (lambda f: rename_first_weight(f, ""), FileFormatError, "name in HDF5"),
    "weight of zero": (lambda f: rename_first_weight(f, "a\\u0000b"), FileFormatError, "found none|name"),
    "external link": (
        lambda f: (
            f.__delitem__("model_weights/dense_1"),
            f.__setitem__("model_weights/dense_1", h5py.ExternalLink("/tmp/o.h5", "/")),
        ),
        FileFormatError,
        "another file",
    ),
    "soft link": (
        lambda f: (f.__delitem__("model_weights/dense_1"), f.__setitem__("model_weights/dense_1", h5py.SoftLink("/"))),
        FileFormatError,
        "soft link",
    ),
    "external link for all": (
        lambda f: (f.__delitem__("model_weights"), f.__setitem__("model_weights", h5py.ExternalLink("/tmp/o.h5", "/"))),
        FileFormatError,
        "another file",
    ),
    "names a thousand times": (amplify, FileFormatError, "400 texts of"),
    "Lambda": (
        lambda f: change_config(
            f,
            lambda c: c["config"]["layers"].append(
                {"class_name": "Lambda", "config": {"function": ["4wEAAAA=", None, None]}}
            ),
        ),
        UnsupportedError,
        "Lambda.*never run",
    ),
    "unknown class": (
        lambda f: change_config(f, lambda c: c["config"]["layers"].append({"class_name": "Mine", "config": {}})),
        UnsupportedError,
        "Mine.*custom_objects",
    ),
    "units huge": (
        lambda f: change_config(f, lambda c: c["config"]["layers"][0]["config"].update(units=1 << 30)),
        FileFormatError,
        "numbers",
    ),
    "units of another file": (
        lambda f: change_config(f, lambda c: c["config"]["layers"][0]["config"].update(units=5)),
        FileFormatError,
        r"dense_1 \(Dense\): expected shape \(6, 5\)",
    ),
}


@pytest.mark.parametrize("name", BAD_LEGACY)
def test_bad_legacy_file(name: str, tmp_path: Path) -> None:
    change, error, message = BAD_LEGACY[name]
    path = legacy_with(tmp_path, change)
    with watched() as events, pytest.raises(error, match=message) as caught:
        saving.load_model(path)
    assert [e for e in events if e != ("open", (str(path),))] == []
    assert "bad.h5" in str(caught.value)


def test_a_link_is_refused_even_if_it_leads_somewhere(tmp_path: Path) -> None:
    """Not because the other file is missing: it is there, and would fit."""
    with h5py.File(tmp_path / "secret.h5", "w") as file:
        file["0"] = np.full((6, 4), 42.0, "f4")
    np.full((6, 4), 42.0, "f4").tofile(tmp_path / "secret.bin")
    external = [(str(tmp_path / "secret.bin"), 0, 96)]
    layout = h5py.VirtualLayout((6, 4), "f4")
    layout[:] = h5py.VirtualSource(str(tmp_path / "secret.h5"), "0", (6, 4))
    makers: list[Callable[[Any], Any]] = [
        lambda g: h5py.ExternalLink(str(tmp_path / "secret.h5"), "0"),
        lambda g: g.create_dataset("0", (6, 4), "f4", external=external) and None,
        lambda g: g.create_virtual_dataset("0", layout) and None,
    ]
    model = small()
    model.optimizer = optimizers.SGD()
    (tmp_path / "m.keras").write_bytes(
        with_hdf5(lambda f: f.__setitem__("optimizer", h5py.ExternalLink(str(tmp_path / "secret.h5"), "/")))
    )
    with pytest.raises(FileFormatError, match="another file"):
        model.load_weights(tmp_path / "m.keras")
    for make in makers:
        (tmp_path / "m.keras").write_bytes(replaced(make))
        with pytest.raises(FileFormatError, match=r"another file|virtual"):
            saving.load_model(tmp_path / "m.keras")


def test_memory_stays_small(tmp_path: Path) -> None:
    """Bombs are refused before they are unpacked."""
    names = ("bomb of weights", "shape bomb", "units huge", "width huge", "very many members", "deep lists")
    for i, name in enumerate(names):
        (tmp_path / f"{i}.keras").write_bytes(BAD[name][0]())
    result = child(
        """
        import resource, sys
        from pathlib import Path
        from nncompile import saving, errors
        from nncompile.saving import archive, hdf5
        import h5py, zipfile
        try:
            saving.load_model(sys.argv[1] + "/5.keras")
        except errors.FileFormatError:
            pass
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        for path in Path(sys.argv[1]).iterdir():
            try:
                saving.load_model(path)
            except errors.FileFormatError:
                print("refused")
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
        """,
        str(tmp_path),
    )
    *refused, grown = result.stdout.split()
    assert refused == ["refused"] * len(names), result.stderr
    assert int(grown) < 100_000  # kilobytes


# ------------------------------------------------------------------ the rest


def test_start_up_is_not_slowed() -> None:
    result = child("import sys, nncompile.saving; print({'h5py', 'zipfile', 'keras'} & set(sys.modules))")
    assert result.stdout.strip() == "set()", result.stderr


def test_nothing_on_the_way_can_run_code() -> None:
    """No module that makes code of data is imported, and none is imported by its name."""
    import ast

    for path in sorted((ROOT / "nncompile" / "saving").glob("*.py")):
        tree = ast.parse(path.read_text())
        for node in ast.walk(tree):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                assert node.func.id not in ("eval", "exec", "compile", "__import__"), path
            for name in names:
                assert name.partition(".")[0] not in (
                    "pickle", "marshal", "shelve", "yaml", "importlib", "subprocess", "ctypes", "runpy", "tarfile",
                    "shutil", "tempfile",
                ), (path, name)  # fmt: skip
            if isinstance(node, ast.Attribute):
                assert node.attr not in ("extract", "extractall", "import_module"), path


@pytest.mark.parametrize(
    "value",
    [
        "x",
        "",
        "ü" * 60_000,
        b"bytes",
        np.bytes_(b"fixed"),
        np.array([b"a", b"bcd"]),
        ["list", "of", "texts"],
        np.array(["a", "b" * 900], object),
        np.array([[b"a", b"b"]]),
        [],
        np.array([], "S3"),
    ],
    ids=lambda value: repr(value)[:30],
)
def test_attributes_are_read_as_h5py_reads_them(value: Any) -> None:
    from nncompile.saving import attributes

    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        group = file.create_group("some/group")
        for i in range(30):
            group.attrs[f"other{i}"] = "x" * i
        group.attrs["value"] = value
        group.attrs["number"] = 3.5
        group.attrs["numbers"] = np.arange(4)
        address = hdf5.address(group)
        expected = group.attrs["value"]
    texts = attributes.Texts(buffer.getvalue(), "f")
    if isinstance(expected, bytes):
        expected = expected.decode()
    if isinstance(expected, np.ndarray):
        expected = [t.decode() if isinstance(t, bytes) else t for t in expected.ravel().tolist()]
    assert texts.read(address, "value") == expected
    assert texts.read(address, "other7") == "x" * 7
    assert texts.read(address, "none") is None
    for name in ("number", "numbers"):
        with pytest.raises(FileFormatError, match="expected text"):
            texts.read(address, name)


@pytest.mark.parametrize("damage", ["free place of no size", "text of 2 GiB", "place out of the file", "many blocks"])
def test_damage_that_the_hdf5_library_does_not_survive(tmp_path: Path, damage: str) -> None:
    """With the first it goes round for ever, with the second it sets 2 GiB aside."""
    path = legacy_file(tmp_path / "bad.h5", KERAS_2, KERAS_2_WEIGHTS, "2.4.0")
    with h5py.File(path, "r+") as file:
        for i in range(40):
            file["model_weights"].attrs[f"x{i}"] = f"{i}" * 50
        place = hdf5.address(file["model_weights"])
    data = bytearray(path.read_bytes())
    heap = data.find(b"GCOL")
    text = data.find(b"layer_names", place)
    if damage == "free place of no size":
        data[heap + 16 : heap + 32] = bytes(16)
    elif damage == "many blocks":  # one within the other, each of which lists the rest
        blocks = b"GCOL\1\0\0\0" + (1 << 16).to_bytes(8, "little")
        data[heap + 32 : heap + 32 + 16 * 40] = blocks * 40
    else:
        # The value of layer_names: lengths, places and numbers of three texts.
        value = data.find((len("dense_1")).to_bytes(4, "little") + heap.to_bytes(8, "little"), text)
        new = (1 << 31).to_bytes(4, "little") if damage == "text of 2 GiB" else b"\7\0\0\0" + b"\xf0" * 8
        data[value : value + len(new)] = new
    path.write_bytes(data)
    start = time.monotonic()
    with pytest.raises(FileFormatError, match=r"bad\.h5"):
        saving.load_model(path)
    assert time.monotonic() - start < 5
