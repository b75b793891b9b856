"""Layers that several models share, and what is the user's own, through every form of file, copies and clones."""

from __future__ import annotations

import copy
import io
import json
import pickle
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nncompile as nn
from nncompile.errors import FileFormatError, UnsupportedError

pytestmark = pytest.mark.quick_c

X = np.random.default_rng(0).normal(size=(6, 4)).astype("float32")
Y = np.random.default_rng(1).normal(size=(6, 3)).astype("float32")


# ------------------------------------------------------------------ layers that models share


def in_two_graphs(k: Any) -> Any:
    shared = k.layers.Dense(4, activation="tanh", name="shared")
    first, second = k.Input((4,)), k.Input((4,))
    left = k.Model(first, k.layers.Dense(4, name="left")(shared(first)), name="a")
    right = k.Model(second, k.layers.Dense(4, name="right")(shared(second)), name="b")
    x = k.Input((4,))
    return k.Model(x, k.layers.Add()([left(x), right(x), shared(x)]))


def in_two_sequences(k: Any) -> Any:
    shared = k.layers.Dense(4, activation="tanh", name="shared")
    left = k.Sequential([k.Input((4,)), shared, k.layers.Dense(3)], name="a")
    right = k.Sequential([k.Input((4,)), shared, k.layers.Dense(3)], name="b")
    x = k.Input((4,))
    return k.Model(x, k.layers.Add()([left(x), right(x)]))


def one_after_another(k: Any) -> Any:
    shared = k.layers.Dense(4, activation="tanh", name="shared")
    halves = [k.Sequential([k.Input((4,)), shared, k.layers.Dense(4)], name=name) for name in "ab"]
    return k.Sequential([k.Input((4,)), *halves, k.layers.Dense(2)])


def in_two_wrappers(k: Any) -> Any:
    shared = k.layers.Dense(4, activation="tanh", name="shared")
    x = k.Input((4,))
    steps = k.layers.Reshape((2, 2))(x)
    first, second = k.layers.TimeDistributed(shared, name="a"), k.layers.TimeDistributed(shared, name="b")
    return k.Model(x, k.layers.Flatten()(k.layers.Add()([first(steps), second(steps)])))


def a_model_in_two_models(k: Any) -> Any:
    shared = k.Sequential([k.Input((4,)), k.layers.Dense(4, activation="tanh", name="inside")], name="shared")
    left = k.Sequential([k.Input((4,)), shared, k.layers.Dense(4)], name="a")
    right = k.Sequential([k.Input((4,)), shared, k.layers.Dense(4)], name="b")
    x = k.Input((4,))
    return k.Model(x, k.layers.Concatenate()([left(x), right(x)]))


def in_layers_of_the_user(k: Any) -> Any:
    @k.saving.register_keras_serializable("shared_files")
    class Half(k.layers.Layer):  # type: ignore[misc, name-defined]
        def __init__(self, inner: Any, **kwargs: Any) -> None:
            super().__init__(**kwargs)
            self.inner = inner

        def call(self, inputs: Any) -> Any:
            return self.inner(inputs) / 2

        def get_config(self) -> dict[str, Any]:
            return {**super().get_config(), "inner": k.saving.serialize_keras_object(self.inner)}

        @classmethod
        def from_config(cls, config: dict[str, Any]) -> Any:
            return cls(k.saving.deserialize_keras_object(config.pop("inner")), **config)

    shared = k.layers.Dense(4, activation="tanh", name="shared")
    x = k.Input((4,))
    return k.Model(x, k.layers.Add()([Half(shared, name="a")(x), Half(shared, name="b")(x)]))


def as_an_activation(k: Any) -> Any:
    shared = k.layers.PReLU(name="shared")
    return k.Sequential([k.Input((4,)), k.layers.Dense(4, activation=shared), k.layers.Dense(4, activation=shared)])


SHARING = [
    in_two_graphs, in_two_sequences, one_after_another, in_two_wrappers, a_model_in_two_models, in_layers_of_the_user,
    as_an_activation,
]  # fmt: skip


def trained(model: Any, k: Any) -> Any:
    """A model in which no two weights are alike."""
    numbers = np.random.default_rng(5)
    model.set_weights([numbers.normal(size=w.shape).astype("float32") for w in model.get_weights()])
    model.compile(k.optimizers.Adam(0.01), "mse")
    model.fit(X, np.ones((6, model.output_shape[-1]), "float32"), batch_size=3, shuffle=False, verbose=0)
    return model


def same_after_training(first: Any, second: Any) -> None:
    """A layer that became two would be trained apart."""
    assert len(first.weights) == len(second.weights)
    for model in (first, second):
        model.fit(X, np.ones((6, model.output_shape[-1]), "float32"), batch_size=3, shuffle=False, verbose=0)
    np.testing.assert_allclose(first.predict(X, verbose=0), second.predict(X, verbose=0), atol=1e-5)


@pytest.mark.parametrize("make", SHARING)
def test_files_of_ours_have_it_once(make: Callable[[Any], Any], tmp_path: Path) -> None:
    model = trained(make(nn), nn)
    expected = model.predict(X, verbose=0)
    model.save(tmp_path / "m.keras")
    model.save(tmp_path / "m.h5")
    model.save_weights(tmp_path / "m.weights.h5")
    copies = [nn.models.load_model(tmp_path / name) for name in ("m.keras", "m.h5")]
    copies += [pickle.loads(pickle.dumps(model)), copy.deepcopy(model)]
    for other in copies:
        np.testing.assert_array_equal(other.predict(X, verbose=0), expected)
        assert len(other.weights) == len(model.weights)
    same_after_training(model, copies[0])
    copies[0].load_weights(tmp_path / "m.weights.h5")
    np.testing.assert_array_equal(copies[0].predict(X, verbose=0), expected)


@pytest.mark.parametrize("make", SHARING)
def test_files_of_keras_have_it_once(keras: Any, make: Callable[[Any], Any], tmp_path: Path) -> None:
    theirs = trained(make(keras), keras)  # Keras itself finds two layers in these files, and no weights for one
    theirs.save(tmp_path / "m.keras")
    make(nn)  # a class of the user's is registered
    ours = nn.models.load_model(tmp_path / "m.keras")
    np.testing.assert_allclose(ours.predict(X, verbose=0), theirs.predict(X, verbose=0), atol=1e-5)
    same_after_training(ours, theirs)


@pytest.mark.parametrize("make", SHARING[1:])
def test_keras_finds_it_once_in_ours(keras: Any, make: Callable[[Any], Any], tmp_path: Path) -> None:
    """Not so with graphs: where a layer is in several of them, Keras takes its calls in one for those in another."""
    ours = trained(make(nn), nn)
    ours.save(tmp_path / "m.keras")
    make(keras)
    theirs = keras.models.load_model(tmp_path / "m.keras")
    np.testing.assert_allclose(theirs.predict(X, verbose=0), ours.predict(X, verbose=0), atol=1e-5)
    same_after_training(ours, theirs)


def test_only_what_is_shared_has_a_number(tmp_path: Path) -> None:
    def numbers(model: Any) -> list[int]:
        model.save(tmp_path / "m.keras")
        text = zipfile.ZipFile(tmp_path / "m.keras").read("config.json").decode()
        found: list[int] = []
        json.loads(text, object_hook=lambda item: found.append(item.get("shared_object_id")) or item)
        return [number for number in found if number is not None]

    alone = nn.Sequential([nn.Input((4,)), nn.layers.Dense(3), nn.layers.Dense(3)])
    assert numbers(alone) == []
    assert len(set(numbers(in_two_sequences(nn)))) == 1
    assert "shared_object_id" not in in_two_sequences(nn).to_json()  # as in Keras: a description, not a file


def changed(path: Path, change: Callable[[str], str]) -> Path:
    """The file with another configuration."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    members["config.json"] = change(members["config.json"].decode()).encode()
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    path.write_bytes(buffer.getvalue())
    return path


@pytest.mark.parametrize(
    ("number", "is_one"), [("true", True), ('"1"', True), ("[]", False), ("{}", False), ("1.5", False)]
)
def test_numbers_that_no_keras_writes(number: str, is_one: bool, tmp_path: Path) -> None:
    in_two_sequences(nn).save(tmp_path / "m.keras")
    path = changed(tmp_path / "m.keras", lambda text: re.sub(r'(?<="shared_object_id": )\d+', number, text))
    if is_one:
        assert len(nn.models.load_model(path).weights) == 6
        return
    with pytest.raises(FileFormatError, match=r"m\.keras"):
        nn.models.load_model(path)


# ------------------------------------------------------------------ what is the user's own


def own(k: Any, register: Callable[[str], Callable[[Any], Any]]) -> dict[str, Any]:
    """One of each kind, all of one name in files or another."""
    ops = k.ops

    @register("other_activation")
    def my_activation(x: Any) -> Any:
        return ops.tanh(x) * 2

    @register("other_loss")
    def my_loss(y_true: Any, y_pred: Any) -> Any:
        return ops.mean(ops.square(y_true - y_pred), axis=-1)

    @register("other_metric")
    def my_metric(y_true: Any, y_pred: Any) -> Any:
        return ops.mean(ops.abs(y_true - y_pred), axis=-1)

    @register("other_initializer")
    def my_initializer(shape: Any, dtype: Any = None) -> Any:
        return ops.ones(shape, dtype=dtype or "float32") * 0.3

    @register("other_regularizer")
    def my_regularizer(w: Any) -> Any:
        return 0.01 * ops.sum(ops.square(w))

    @register("other_constraint")
    def my_constraint(w: Any) -> Any:
        return w * 0.99

    @register("OtherDense")
    class MyDense(k.layers.Dense):  # type: ignore[misc, name-defined]
        pass

    @register("OtherLoss")
    class MyLoss(k.losses.Loss):  # type: ignore[misc, name-defined]
        def call(self, y_true: Any, y_pred: Any) -> Any:
            return ops.mean(ops.square(y_true - y_pred), axis=-1)

    @register("OtherMetric")
    class MyMetric(k.metrics.MeanSquaredError):  # type: ignore[misc, name-defined]
        pass

    @register("OtherAdam")
    class MyAdam(k.optimizers.Adam):  # type: ignore[misc, name-defined]
        pass

    @register("OtherRegularizer")
    class MyRegularizer(k.regularizers.Regularizer):  # type: ignore[misc, name-defined]
        def __call__(self, x: Any) -> Any:
            return 0.01 * ops.sum(ops.square(x))

        def get_config(self) -> dict[str, Any]:
            return {}

    @register("OtherSequence")
    class MySequence(k.Sequential):  # type: ignore[misc, name-defined]
        pass

    return {name: thing for name, thing in locals().items() if name.lower().startswith("my")}


def unregistered(_: str) -> Callable[[Any], Any]:
    return lambda thing: thing


def by_its_name(_: str) -> Callable[[Any], Any]:
    return nn.saving.register_keras_serializable("mine")


def by_another_name(name: str) -> Callable[[Any], Any]:
    return nn.saving.register_keras_serializable("mine", name)


def dense(**arguments: Any) -> Any:
    return nn.Sequential([nn.Input((4,)), nn.layers.Dense(3, **arguments)])


CASES: dict[str, Callable[[dict[str, Any]], tuple[Any, dict[str, Any]]]] = {
    "activation": lambda n: (dense(activation=n["my_activation"]), {}),
    "loss": lambda n: (dense(), {"loss": n["my_loss"]}),
    "losses": lambda n: (dense(), {"loss": [n["my_loss"]]}),
    "Loss": lambda n: (dense(), {"loss": n["MyLoss"]()}),
    "metric": lambda n: (dense(), {"metrics": [n["my_metric"]], "weighted_metrics": [n["my_metric"]]}),
    "Metric": lambda n: (dense(), {"metrics": [n["MyMetric"](), "mae"]}),
    "wrapped": lambda n: (dense(), {"metrics": [nn.metrics.MeanMetricWrapper(n["my_metric"], name="q")]}),
    "initializer": lambda n: (dense(kernel_initializer=n["my_initializer"]), {}),
    "regularizer": lambda n: (dense(kernel_regularizer=n["my_regularizer"]), {}),
    "Regularizer": lambda n: (dense(kernel_regularizer=n["MyRegularizer"]()), {}),
    "constraint": lambda n: (dense(kernel_constraint=n["my_constraint"]), {}),
    "Optimizer": lambda n: (dense(), {"optimizer": n["MyAdam"](0.1)}),
    "Layer": lambda n: (nn.Sequential([nn.Input((4,)), n["MyDense"](3, activation=n["my_activation"])]), {}),
    "Model": lambda n: (nn.Sequential([nn.Input((4,)), n["MySequence"]([nn.Input((4,)), n["MyDense"](3)])]), {}),
}


@pytest.mark.parametrize("register", [unregistered, by_its_name, by_another_name])
@pytest.mark.parametrize("case", CASES)
def test_through_files_and_clones(
    case: str, register: Callable[[str], Callable[[Any], Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for table in ("_custom", "_custom_names"):
        monkeypatch.setattr(nn.registry, table, {})
    things = own(nn, register)
    model, arguments = CASES[case](things)
    model.compile(**{"optimizer": "sgd", "loss": "mse", **arguments})
    model.fit(X, Y, batch_size=3, verbose=0)
    expected, found = model.predict(X, verbose=0), model.evaluate(X, Y, verbose=0, return_dict=True)
    known = things if register is unregistered else None
    model.save(tmp_path / "m.keras")
    model.save(tmp_path / "m.h5")
    clone = nn.models.clone_model(model)
    clone.set_weights(model.get_weights())
    others = [nn.models.load_model(tmp_path / name, custom_objects=known) for name in ("m.keras", "m.h5")]
    others += [clone, copy.deepcopy(model)]
    if known is None:  # without a name a pickle cannot hold what stands within a function
        others.append(pickle.loads(pickle.dumps(model)))
    for other in others:
        np.testing.assert_array_equal(other.predict(X, verbose=0), expected)
        assert other.evaluate(X, Y, verbose=0, return_dict=True) == pytest.approx(found, rel=1e-6)
    with nn.saving.custom_object_scope(known or {}):
        assert nn.models.model_from_json(model.to_json()).to_json() == model.to_json()
    if known is not None:
        with pytest.raises(UnsupportedError, match="custom_objects"):
            nn.models.load_model(tmp_path / "m.keras")


def test_a_wrapped_function_goes_to_keras_and_back(keras: Any, tmp_path: Path) -> None:
    model = dense()
    model.compile("sgd", "mse", metrics=[nn.metrics.MeanMetricWrapper(nn.losses.mean_absolute_error, name="q")])
    model.fit(X, Y, verbose=0)
    model.save(tmp_path / "ours.keras")
    theirs = keras.models.load_model(tmp_path / "ours.keras")
    theirs.save(tmp_path / "theirs.keras")
    back = nn.models.load_model(tmp_path / "theirs.keras")
    expected = model.evaluate(X, Y, verbose=0, return_dict=True)
    assert list(expected) == ["loss", "q"]
    for other in (theirs, back):
        assert other.evaluate(X, Y, verbose=0, return_dict=True) == pytest.approx(expected, rel=1e-5)
