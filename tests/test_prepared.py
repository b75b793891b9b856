"""Predictions of few rows are prepared once: they are never out of date, and the same as all others."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import nncompile as nn
from nncompile import compiler, config, ops, targets
from nncompile.compiler.library import Direct
from nncompile.errors import ModelError

pytestmark = pytest.mark.quick_c

X = np.random.default_rng(0).normal(size=(40, 4)).astype("float32")
LABELS = np.random.default_rng(1).integers(0, 3, len(X))
ROW = X[:1]


def small(compiled: bool = True) -> Any:
    model = nn.Sequential(
        [
            nn.Input((4,), name="input"),
            nn.layers.Dense(5, activation="tanh", name="hidden"),
            nn.layers.Dropout(0.5, name="dropout"),
            nn.layers.Dense(3, activation="softmax", name="output"),
        ],
        name="prepared",
    )
    if compiled:
        model.compile(nn.optimizers.SGD(0.5), "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


@pytest.fixture
def uses(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """For each prediction that was prepared, whether it was used."""
    seen: list[bool] = []
    prepare = Direct.__init__

    def watch(direct: Direct, *arguments: Any) -> None:
        prepare(direct, *arguments)
        outputs = direct.outputs

        def watched(x: Any) -> Any:
            made = outputs(x)
            seen.append(made is not None)
            return made

        direct.outputs = watched

    monkeypatch.setattr(Direct, "__init__", watch)
    return seen


def check(model: Any, x: Any = ROW) -> None:
    """All ways to predict agree with the layers, which compute with NumPy."""
    expected = np.asarray(model.call(x))
    for predict in (model, model.predict_on_batch, lambda x: model.predict(x, verbose=0)):
        for _ in range(2):
            np.testing.assert_allclose(predict(x), expected, rtol=1e-5, atol=1e-6)


# ------------------------------------------------------------------ what may have changed


@pytest.fixture
def as_before() -> Iterator[None]:
    yield
    config.set_target(None)
    config.set_num_threads(None)


CHANGES: dict[str, Callable[[Any], Any]] = {
    "nothing": lambda model: None,
    "set_weights": lambda model: model.set_weights([w + 1 for w in model.get_weights()]),
    "assign": lambda model: model.layers[0].kernel.assign(np.ones((4, 5))),
    "fit": lambda model: model.fit(X, LABELS, epochs=3, verbose=0),
    "train_on_batch": lambda model: model.train_on_batch(X, LABELS),
    "evaluate": lambda model: model.evaluate(X, LABELS, verbose=0),
    "compile": lambda model: model.compile("adam", "sparse_categorical_crossentropy"),
    "compile and fit": lambda model: (
        model.compile("adam", "sparse_categorical_crossentropy"),
        model.fit(X, LABELS, verbose=0),
    ),
    "freeze": lambda model: setattr(model.layers[0], "trainable", False),
    "freeze and fit": lambda model: (
        setattr(model.layers[0], "trainable", False),
        model.fit(X, LABELS, epochs=3, verbose=0),
    ),
    "target": lambda model: config.set_target("c99"),
    "target and fit": lambda model: (config.set_target("c99"), model.fit(X, LABELS, verbose=0)),
    "threads": lambda model: config.set_num_threads(3),
    "add": lambda model: model.add(nn.layers.Dense(2, name="added")),
    "add without weights": lambda model: model.add(nn.layers.Activation("tanh", name="added")),
    "pop": lambda model: model.pop(),
    "pop and add": lambda model: (model.pop(), model.add(nn.layers.Dense(3, name="other"))),
    "a shared layer": lambda model: nn.Sequential([nn.Input((4,)), model.layers[0]]).predict(ROW, verbose=0),
    "a shared layer that is trained": lambda model: (
        other := nn.Sequential([nn.Input((4,)), model.layers[0]]),
        other.compile("sgd", "mse"),
        other.fit(X, np.ones((len(X), 5)), epochs=3, verbose=0),
    ),
    "within another model": lambda model: nn.Sequential([nn.Input((4,)), model]).predict(ROW, verbose=0),
    "another shape": lambda model: model.predict_on_batch(X[:3]),
    "another type": lambda model: model.predict_on_batch(ROW.astype("float64")),
    "the other settings of noise": lambda model: nn.utils.set_random_seed(3),
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("trained", [False, True], ids=["new", "trained"])
def test_nothing_is_out_of_date(change: str, trained: bool, as_before: None) -> None:
    model = small()
    if trained:
        model.fit(X, LABELS, verbose=0)
    check(model)
    CHANGES[change](model)
    check(model)
    if "add" in change:  # an optimizer is for the weights that it was built with
        model.compile("adam", "sparse_categorical_crossentropy")
    model.fit(X, np.zeros(len(X)), epochs=2, verbose=0)
    check(model)


def test_only_what_is_up_to_date_is_used(uses: list[bool], as_before: None) -> None:
    model = small()
    model.predict_on_batch(ROW)
    assert uses == []
    model.predict_on_batch(ROW)
    model.set_weights(model.get_weights())
    model.predict(ROW, verbose=0)
    model(ROW)
    assert uses == [True, True, True]
    model.fit(X, LABELS, verbose=0)  # the weights move to the library that trains
    model.predict_on_batch(ROW)
    model.predict_on_batch(ROW)
    assert uses[3:] == [False, True]
    model.fit(X, LABELS, verbose=0)
    model.predict_on_batch(ROW)
    assert uses[5:] == [True]
    config.set_target("c99")
    model.predict_on_batch(ROW)
    assert uses[6:] == [False]
    assert targets.host().name == "c99"
    model.predict_on_batch(ROW)
    assert uses[7:] == [True]
    config.set_target(None)
    model.predict_on_batch(ROW)
    assert uses[8:] == [False]
    model.layers[0].trainable = False
    model.predict_on_batch(ROW)
    model.compile("sgd", "mse")
    model.predict_on_batch(ROW)
    assert uses[9:] == [True]  # compile() dropped it


def test_prediction_needs_no_library_for_every_choice_of_what_is_trained() -> None:
    model = small()
    model.predict_on_batch(ROW)
    model.layers[0].trainable = False
    model.predict_on_batch(ROW)
    assert len(model._libraries) == 1


# ------------------------------------------------------------------ inputs and outputs


def test_results_are_the_callers() -> None:
    model = small()
    made = [model.predict_on_batch(X[i : i + 1]) for i in range(3)]
    assert len({m.tobytes() for m in made}) == 3
    for i, m in enumerate(made):
        np.testing.assert_array_equal(m, model.predict(X, verbose=0)[i : i + 1])
        assert m.flags.owndata
        assert m.flags.writeable
        m[:] = 7
    check(model)


@pytest.mark.parametrize("dtype", ["bool", "uint8", "int64", "float16", "float32", "float64", ">f4", "longdouble"])
def test_types(dtype: str) -> None:
    model = small()
    x = (X[:2] * 10).astype(dtype)
    as_float = x.astype("float32")
    expected = model.predict(np.concatenate([as_float, X]), verbose=0)[:2]
    for predict in (model, model.predict_on_batch):
        for _ in range(3):
            np.testing.assert_array_equal(predict(x), expected)
            np.testing.assert_array_equal(predict(as_float), expected)


@pytest.mark.parametrize("change", [
    lambda x: np.asfortranarray(x),
    lambda x: np.repeat(x, 2, axis=1)[:, ::2],
    lambda x: x[::-1][::-1],
    lambda x: x.tolist(),
    lambda x: np.require(x, requirements="W").view(np.recarray),
    lambda x: np.frombuffer(b"\0" + x.tobytes(), np.uint8)[1:].view("float32").reshape(x.shape),
    lambda x: x[..., None],
], ids=["columns", "gaps", "backwards", "list", "subclass", "unaligned", "rank"])  # fmt: skip
def test_forms(change: Callable[[Any], Any]) -> None:
    model, x = small(), X[:3]
    expected = model.predict(X, verbose=0)[:3]
    for _ in range(3):
        np.testing.assert_array_equal(model.predict_on_batch(x), expected)
        np.testing.assert_array_equal(model.predict_on_batch(change(x)), expected)
        np.testing.assert_array_equal(model(change(x)), expected)


def test_float64_beyond_float32_is_infinity_without_a_warning() -> None:
    model = nn.Sequential([nn.Input((2,)), nn.layers.Activation("linear")])
    for _ in range(3):
        np.testing.assert_array_equal(model.predict_on_batch(np.array([[1e300, -1e300]])), [[np.inf, -np.inf]])


def test_errors_are_the_same_once_it_is_prepared() -> None:
    model = small()
    model.predict_on_batch(ROW)
    for bad in (X[:1, :3], ROW[0], [["a"] * 4], None, ROW.astype(complex), ROW[:0]):
        with pytest.raises(ModelError):
            model.predict_on_batch(bad)
        with pytest.raises(ModelError):
            model.predict(bad, verbose=0)
    with pytest.raises(ModelError):
        model.predict_on_batch(iter(X))
    check(model)


def test_shapes_alternate() -> None:
    model = small()
    for _ in range(2):
        for rows in range(1, 20):
            check(model, X[:rows])
    (library,) = model._libraries.values()
    assert len(library._directs) <= 8


def test_large_inputs_are_not_copied() -> None:
    model = nn.Sequential([nn.Input((20_000,)), nn.layers.Dense(1)])
    x = np.ones((1, 20_000), "float32")
    np.testing.assert_array_equal(model.predict_on_batch(x), model.predict(x, verbose=0))
    (library,) = model._libraries.values()
    assert not library._directs


# ------------------------------------------------------------------ model(x)


def test_a_call_is_a_prediction() -> None:
    model = small()
    expected = model.predict(X, verbose=0)
    np.testing.assert_array_equal(model(X), expected)
    np.testing.assert_array_equal(model(X, training=False), expected)
    np.testing.assert_array_equal(model(X, training=None), expected)
    assert model(X[:0]).shape == (0, 3)


def test_a_call_in_training_mode_drops() -> None:
    model = small()
    expected = model(X)
    assert not np.allclose(model(X, training=True), expected)
    assert not np.allclose(model(X, True), expected)
    np.testing.assert_array_equal(model(X), expected)


def test_a_call_within_a_layer_is_of_that_layers_kind() -> None:
    inner = nn.Sequential([nn.Input((4,)), nn.layers.Dropout(0.5), nn.layers.Dense(4)])
    inner(ROW)

    class Twice(nn.layers.Layer):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.inner = inner

        def call(self, inputs: Any) -> Any:
            return inner(inner(inputs))

    layer = Twice()
    np.testing.assert_allclose(layer(X), inner.call(inner.call(X)), rtol=1e-5, atol=1e-6)
    assert not np.allclose(layer(X, training=True), layer(X))
    symbol = inner(ops.symbol("x", ops.ELEMENT, (None, 4)))
    assert symbol.shape == (None, 4)


def test_a_call_builds_and_computes() -> None:
    model = nn.Sequential([nn.layers.Dense(3)])
    first = model(X)
    assert model.built
    np.testing.assert_allclose(model(X), first, rtol=1e-5, atol=1e-6)


def test_a_call_of_a_model_with_its_own_call() -> None:
    class Half(nn.Sequential):  # type: ignore[misc]
        def call(self, inputs: Any, training: Any = None, mask: Any = None, scale: float = 0.5) -> Any:
            return super().call(inputs, training=training) * scale

    model = Half([nn.Input((4,)), nn.layers.Dense(3)])
    whole = nn.Sequential.call(model, X)
    np.testing.assert_allclose(model(X), whole * 0.5)
    np.testing.assert_allclose(model(X, scale=2.0), whole * 2)


# ------------------------------------------------------------------ threads


def test_threads_share_a_model() -> None:
    model = small()
    expected = model.predict(X, verbose=0)
    wrong: list[int] = []
    start = threading.Barrier(4)

    def work(number: int) -> None:
        start.wait()
        for turn in range(2000):
            i = (number * 7 + turn) % len(X)
            if not np.array_equal(model.predict_on_batch(X[i : i + 1]), expected[i : i + 1]):
                wrong.append(i)

    workers = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert not wrong


def test_a_model_is_used_while_it_trains() -> None:
    """Predictions are those of the weights between two calls of C, and training is not disturbed by them."""
    alone, model = small(), small()
    model.set_weights(alone.get_weights())
    going = True
    shapes: set[Any] = set()

    def work() -> None:
        while going:
            shapes.add(model.predict_on_batch(ROW).shape)

    worker = threading.Thread(target=work)
    worker.start()
    results = []
    for each in (model, alone):
        nn.utils.set_random_seed(5)
        each.layers[1].rate = 0.0
        each.fit(X, LABELS, epochs=300, shuffle=False, verbose=0)
        results.append(each.get_weights())
    going = False
    worker.join()
    assert shapes == {(1, 3)}
    for mine, its in zip(*results, strict=True):
        np.testing.assert_array_equal(mine, its)


def test_a_dropped_library_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    model = small()
    model.predict_on_batch(ROW)
    (library,) = model._libraries.values()
    calls: list[Any] = []
    predict = compiler.Library.predict
    monkeypatch.setattr(compiler.Library, "predict", lambda self, *a: (calls.append(self), predict(self, *a)))
    model.compile("sgd", "mse")
    model.predict_on_batch(ROW)
    assert calls
    assert library not in calls
