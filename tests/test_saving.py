"""Files: exchanged with real Keras, and back; training that goes on; the user's own classes; what does not fit."""

from __future__ import annotations

import io
import json
import warnings
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from saved_files import network, predict, small

import nncompile as nn
from nncompile import layers, models, optimizers, registry, saving
from nncompile.errors import FileFormatError, ModelError, UnsupportedError
from nncompile.saving import archive

pytestmark = pytest.mark.quick_c

h5py = pytest.importorskip("h5py")


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
    with pytest.warns(UserWarning, match="sequential.* is not built, so that the file may be without weights"):
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


@pytest.mark.parametrize("kind", ["LeakyReLU", "ELU", "ReLU", "Softmax"])
def test_a_layer_as_activation_goes_through_files_of_both(keras: Any, kind: str, tmp_path: Path) -> None:
    x = np.random.default_rng(0).normal(size=(5, 6)).astype("float32")
    for maker, reader in ((nn, keras), (keras, nn), (nn, nn)):
        made = getattr(maker.layers, kind)
        model = maker.Sequential([maker.Input((6,)), maker.layers.Dense(4, activation=made())])
        model.set_weights([np.random.default_rng(1).normal(size=w.shape) for w in model.get_weights()])
        model.save(tmp_path / "kept.keras")
        loaded = reader.saving.load_model(tmp_path / "kept.keras")
        np.testing.assert_allclose(loaded.predict(x, verbose=0), model.predict(x, verbose=0), rtol=1e-5, atol=1e-6)
        assert type(loaded.layers[0].activation).__name__ == kind
