"""pickle and copy: equal layers, models, optimizers, metrics, losses, that share nothing with what they were made of."""

from __future__ import annotations

import copy
import io
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import nncompile as nn
from nncompile import ops
from nncompile.errors import FileFormatError, ModelError, UnsupportedError
from nncompile.saving import pickling

pytestmark = pytest.mark.quick_c

X = np.random.default_rng(0).normal(size=(10, 4)).astype("float32")
Y = X[:, :2] ** 2


def through_pickle(thing: Any) -> Any:
    return pickle.loads(pickle.dumps(thing))


COPIES: list[Callable[[Any], Any]] = [copy.copy, copy.deepcopy, through_pickle]


def bent(x: Any) -> Any:
    return ops.maximum(x, 0.3 * x)


def cubic(y_true: Any, y_pred: Any) -> Any:
    return ops.mean(ops.abs(y_pred - y_true) ** 3, axis=-1)


class Scale(nn.layers.Layer):
    """A layer of the user's that nothing knows by name."""

    def __init__(self, power: float = 2.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.power = power

    def build(self, input_shape: Any) -> None:
        self.factor = self.add_weight(shape=(input_shape[-1],), initializer="ones", name="factor")

    def call(self, x: Any) -> Any:
        return x * self.factor * self.power


class Slow(nn.optimizers.SGD):
    """An optimizer of the user's."""


def model() -> nn.Sequential:
    made = nn.Sequential(
        [nn.Input((4,)), nn.layers.Dense(3, activation=bent), nn.layers.Dropout(0.1), Scale(3.0), nn.layers.Dense(2)]
    )
    made.compile("adam", cubic, metrics=["mae"])
    return made


def same(a: Any, b: Any) -> None:
    for one, other in zip(a, b, strict=True):
        np.testing.assert_array_equal(np.asarray(one), np.asarray(other))


@pytest.mark.parametrize("duplicate", COPIES)
def test_model_at_each_stage(duplicate: Any) -> None:
    plain = nn.Sequential([nn.layers.Dense(3, name="first"), Scale(0.5)], name="plain")
    unbuilt = duplicate(plain)
    assert (unbuilt.name, unbuilt.built, unbuilt.layers[0].name) == ("plain", False, "first")
    assert unbuilt.layers[1].power == 0.5

    made = model()
    twin = duplicate(made)
    assert twin.compiled
    assert twin.loss is cubic
    assert twin.optimizer is not made.optimizer
    assert [type(layer) for layer in twin.layers] == [type(layer) for layer in made.layers]
    assert twin.layers[0].activation is bent
    same(twin.get_weights(), made.get_weights())

    made.layers[2].trainable = False
    made.fit(X, Y, epochs=2, verbose=0)
    twin = duplicate(made)
    assert not twin.layers[2].trainable
    same(twin.get_weights(), made.get_weights())
    same(twin.optimizer.variables, made.optimizer.variables)
    same([twin.predict(X, verbose=0)], [made.predict(X, verbose=0)])
    before = made.get_weights()
    twin.fit(X, Y, verbose=0)  # what the copy learns is its own
    same(made.get_weights(), before)
    assert int(twin.optimizer.iterations) == int(made.optimizer.iterations) + 1


def test_training_goes_on_alike() -> None:
    made = nn.Sequential([nn.Input((4,)), nn.layers.Dense(2)])
    made.compile(nn.optimizers.SGD(0.1, momentum=0.9), "mse")
    made.fit(X, Y, verbose=0, shuffle=False)
    twin = through_pickle(made)
    for one in (made, twin):
        one.fit(X, Y, verbose=0, shuffle=False)
    same(twin.get_weights(), made.get_weights())


@pytest.mark.parametrize("duplicate", COPIES)
def test_layers(duplicate: Any) -> None:
    scale = Scale(1.5, name="scale")
    scale(X)
    scale.factor.assign([1, 2, 3, 4])
    twin = duplicate(scale)
    assert (twin.name, twin.power, twin.built) == ("scale", 1.5, True)
    same([twin.factor], [scale.factor])
    twin.factor.assign(np.zeros(4))
    same([scale.factor], [[1, 2, 3, 4]])
    dropout = nn.layers.Dropout(0.25, seed=7)
    assert duplicate(dropout).get_config() == dropout.get_config()


@pytest.mark.parametrize("duplicate", COPIES)
def test_optimizers_begin_anew(duplicate: Any) -> None:
    made = model()
    made.fit(X, Y, verbose=0)
    made.optimizer.learning_rate = 0.25
    twin = duplicate(made.optimizer)
    assert type(twin) is nn.optimizers.Adam
    assert (float(twin.learning_rate), int(twin.iterations), twin.built) == (0.25, 0, False)
    assert int(made.optimizer.iterations) == 1
    other = model()
    other.compile(twin, "mse")
    other.fit(X, Y, verbose=0)
    slow = duplicate(Slow(0.5, momentum=0.75))
    assert (type(slow), float(slow.learning_rate), slow.momentum) == (Slow, 0.5, 0.75)


@pytest.mark.parametrize("duplicate", COPIES)
@pytest.mark.parametrize(
    "thing",
    [
        nn.losses.BinaryCrossentropy(label_smoothing=0.1),
        nn.initializers.HeNormal(seed=3),
        nn.metrics.BinaryAccuracy(threshold=0.75),
    ],
    ids=lambda thing: type(thing).__name__,
)
def test_other_things(thing: Any, duplicate: Any) -> None:
    twin = duplicate(thing)
    assert type(twin) is type(thing)
    assert twin is not thing
    assert twin.get_config() == thing.get_config()


def test_state_of_a_metric_goes_along() -> None:
    metric = nn.metrics.Mean()
    metric.add(6.0, 4)
    twin = through_pickle(metric)
    assert float(twin.result()) == 1.5
    twin.reset_state()
    assert float(metric.result()) == 1.5


def test_variable_of_a_compiled_model() -> None:
    made = model()
    made.fit(X, Y, verbose=0)
    kernel = made.layers[0].kernel
    assert kernel.storage is not None
    for duplicate in COPIES:
        twin = duplicate(kernel)
        assert twin.storage is None
        same([twin], [kernel])
        twin.assign(np.zeros(kernel.shape))
        assert np.any(kernel.value)


def test_functions_without_a_name_can_be_copied() -> None:
    made = nn.Sequential(
        [
            nn.Input((4,)),
            nn.layers.Dense(3, activation=lambda x: ops.maximum(x, 0.5)),
            nn.layers.Dense(2, activation=lambda x: x * 2.0),
        ]
    )
    twin = copy.deepcopy(made)
    same([twin(X)], [made(X)])
    with pytest.raises((pickle.PicklingError, AttributeError), match="lambda"):
        pickle.dumps(made)
    with pytest.raises(ModelError, match="cannot be saved, because it has no name"):
        made.to_json()


def doubled(x: Any) -> Any:
    return 2.0 * x


def test_lambda_layers() -> None:
    def network(function: Any) -> Any:
        return nn.Sequential([nn.Input((4,)), nn.layers.Lambda(function), nn.layers.Dense(2)])

    made = network(lambda x: x * 3.0)
    same([copy.deepcopy(made)(X)], [made(X)])
    made = network(doubled)
    for duplicate in COPIES:
        twin = duplicate(made)
        assert type(twin.layers[0]) is nn.layers.Lambda
        same([twin(X)], [made(X)])


def test_two_things_of_one_name() -> None:
    def other() -> Any:
        def bent(x: Any) -> Any:
            return x

        return bent

    made = nn.Sequential([nn.Input((4,)), nn.layers.Dense(3, bent), nn.layers.Dense(3, other())])
    with pytest.raises(ModelError, match="'bent' is the name of two things"):
        copy.deepcopy(made)


def test_a_layer_that_cannot_be_written() -> None:
    class Holding(nn.layers.Layer):
        def __init__(self, thing: Any) -> None:
            super().__init__()

    with pytest.raises(UnsupportedError, match="Define get_config"):
        copy.deepcopy(Holding(object()))


def test_what_a_pickle_names() -> None:
    """Of ours a pickle calls one function, which looks up nothing but classes that are known, and those it brings."""
    made = model()
    made.fit(X, Y, verbose=0)
    named = set()

    class Recorder(pickle.Unpickler):
        def find_class(self, module: str, name: str) -> Any:
            named.add((module, name))
            return super().find_class(module, name)

    Recorder(io.BytesIO(pickle.dumps(made))).load()
    here = {(__name__, name) for name in ("bent", "cubic", "Scale")}
    assert named == {("nncompile.saving.pickling", "restore"), *here}
    text, weights, custom = pickling.reduce(made)[1]
    assert custom == {"bent": bent, "cubic": cubic, "Scale": Scale}
    with pytest.raises(UnsupportedError, match="'Scale' is not known here"):
        pickling.restore(text, weights, {"bent": bent, "cubic": cubic})
    with pytest.raises(FileFormatError):
        pickling.restore(text, weights[:-100], custom)
