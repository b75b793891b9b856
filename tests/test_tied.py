"""Products with the transpose of a weight, as tied autoencoders have them: no copies, the speed of any product."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from oracle import keras
from test_export_graphs import STRICT

import nncompile as nn
from nncompile import export, targets
from nncompile.compiler import build

pytestmark = [
    pytest.mark.quick_c,
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),  # of Keras' variables
]


@pytest.fixture(autouse=True)
def defaults() -> Iterator[None]:
    yield
    nn.config.set_dtype_policy(None)
    targets.set_threads(None)
    targets.set_host(None)


RNG = np.random.default_rng(2)
X = RNG.normal(size=(50, 37)).astype("float32")


def tied(framework: Any) -> Any:
    """A layer that multiplies by the transpose of another one's kernel."""

    class Tied(framework.layers.Layer):  # type: ignore[misc]
        def __init__(self, source: Any, name: str = "tied") -> None:
            super().__init__(name=name)
            self.source = source

        def build(self, input_shape: Any) -> None:
            self.bias = self.add_weight(shape=(self.source.kernel.shape[0],), name="bias", initializer="ones")

        def call(self, x: Any) -> Any:
            return framework.ops.matmul(x, framework.ops.transpose(self.source.kernel)) + self.bias

    return Tied


def autoencoder(framework: Any, activation: str = "sigmoid", regularizer: Any = None) -> Any:
    given = framework.Input((37,))
    one = framework.layers.Dense(21, activation, name="one", kernel_regularizer=regularizer)
    two = framework.layers.Dense(5, "tanh", name="two")
    kind = tied(framework)
    code = two(one(given))
    model = framework.Model(given, kind(one, "back_one")(framework.ops.relu(kind(two, "back_two")(code))))
    rng = np.random.default_rng(7)
    model.set_weights([rng.normal(size=w.shape).astype("float32") * 0.3 for w in model.get_weights()])
    return model


def only_turned(framework: Any) -> Any:
    """The weight is used turned alone, and over rows of a sample."""

    class Turned(framework.layers.Layer):  # type: ignore[misc]
        def build(self, input_shape: Any) -> None:
            self.w = self.add_weight(shape=(9, input_shape[-1]), name="w")

        def call(self, x: Any) -> Any:
            return framework.ops.einsum("bri,oi->bro", x, self.w) + 0.1 * (x @ framework.ops.transpose(self.w))

    given = framework.Input((37,))
    rows = framework.layers.Reshape((1, 37))(given)
    model = framework.Model(given, framework.layers.Flatten()(Turned()(rows)))
    model.set_weights([np.random.default_rng(1).normal(size=(9, 37)).astype("float32")])
    return model


def table(framework: Any) -> Any:
    """The rows of a table, which also says how near a value is to each of them."""

    class Scores(framework.layers.Layer):  # type: ignore[misc]
        def __init__(self, table: Any) -> None:
            super().__init__()
            self.table = table

        def call(self, x: Any) -> Any:
            return framework.ops.softmax(framework.ops.matmul(x, framework.ops.transpose(self.table.embeddings)))

    given = framework.Input((1,))
    rows = framework.layers.Embedding(11, 6, name="table")
    hidden = framework.layers.Dense(6, "tanh")(framework.layers.Flatten()(rows(given)))
    model = framework.Model(given, Scores(rows)(hidden))
    rng = np.random.default_rng(3)
    model.set_weights([rng.normal(size=w.shape).astype("float32") for w in model.get_weights()])
    return model


LABELS = RNG.integers(0, 11, (50, 1)).astype("float32")
CASES: dict[str, tuple[Any, Any, Any, str, str, dict[str, Any]]] = {
    "sigmoid": (autoencoder, X, X, "mse", "Adam", {}),
    "a penalty": (lambda f: autoencoder(f, "exponential", "l2"), X, X, "mse", "SGD", {"global_clipnorm": 0.5}),
    "turned alone": (only_turned, X, X[:, :9], "mae", "RMSprop", {}),
    "a table": (table, LABELS, LABELS[::-1], "sparse_categorical_crossentropy", "Adam", {}),
}


@pytest.mark.parametrize("batch", [1, 16])
@pytest.mark.parametrize("name", CASES)
def test_it_is_trained_as_keras_trains_it(name: str, batch: int) -> None:
    make, x, y, loss, optimizer, options = CASES[name]
    x, y = (x, y) if batch > 1 else (x[:9], y[:9])
    found = []
    for framework in (nn, keras):
        model = make(framework)
        model.compile(getattr(framework.optimizers, optimizer)(0.01, **options), loss)
        history = model.fit(x, y, batch_size=batch, epochs=2, shuffle=False, verbose=0).history["loss"]
        found.append((history, model.evaluate(x, y, verbose=0), model.predict(x, verbose=0), model.get_weights()))
    (losses, loss_at_end, made, weights), (their_losses, their_loss, their_made, their_weights) = found
    np.testing.assert_allclose([*losses, loss_at_end], [*their_losses, their_loss], rtol=2e-5)
    np.testing.assert_allclose(made, their_made, rtol=2e-4, atol=2e-5)
    for one, other in zip(weights, their_weights, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("name", [t.name for t in targets.available() if not t.tiles])
def test_every_target_computes_the_same(name: str) -> None:
    bits = []
    for threads in (1, 3):
        nn.config.set_target(name)
        nn.config.set_num_threads(threads)
        model = autoencoder(nn)
        model.compile("adam", "mse")
        model.fit(X, X, batch_size=50, epochs=3, shuffle=False, verbose=0)
        bits.append(model.predict(X, verbose=0))
    np.testing.assert_array_equal(*bits)
    reference = autoencoder(keras)
    reference.compile("adam", "mse")
    reference.fit(X, X, batch_size=50, epochs=3, shuffle=False, verbose=0)
    np.testing.assert_allclose(bits[0], reference.predict(X, verbose=0), rtol=2e-4, atol=2e-5)


def test_weights_that_are_set_are_seen_at_once(tmp_path: Path) -> None:
    model = autoencoder(nn)
    model.compile("sgd", "mse")
    model.fit(X, X, epochs=1, verbose=0)
    model.save_weights(tmp_path / "kept.weights.h5")
    before = model.predict(X, verbose=0)
    kernel = model.get_layer("one").kernel
    kernel.assign(kernel.value * 2)
    doubled = model.predict(X, verbose=0)
    np.testing.assert_allclose(doubled, np.asarray(model.call(X)), rtol=1e-4, atol=1e-5)
    assert np.abs(doubled - before).max() > 0.1
    model.load_weights(tmp_path / "kept.weights.h5")
    np.testing.assert_array_equal(model.predict(X, verbose=0), before)


def test_one_larger_than_any_copy_for_each_sample_would_be() -> None:
    layer = nn.layers.Dense(300)
    given = nn.Input((400,))
    model = nn.Model(given, tied(nn)(layer)(layer(given)))
    model.compile("sgd", "mse")
    x = np.random.default_rng(0).normal(size=(8, 400)).astype("float32")
    model.fit(x, x, verbose=0)
    np.testing.assert_allclose(model.predict(x, verbose=0), np.asarray(model.call(x)), rtol=1e-4, atol=1e-4)
    assert "transposed" in model.source() and "_turn(const work *w" in model.source()


def test_it_is_computed_in_float32_where_other_products_are_not() -> None:
    nn.config.set_dtype_policy("mixed_bfloat16")
    model = autoencoder(nn)
    model.compile("adam", "mse")
    first, *_, last = model.fit(X, X, epochs=30, verbose=0).history["loss"]
    assert last < 0.8 * first
    np.testing.assert_allclose(model.predict(X, verbose=0), np.asarray(model.call(X)), rtol=0.05, atol=0.05)


def test_it_is_exported(tmp_path: Path) -> None:
    model = autoencoder(nn)
    report = export.export_model(model, tmp_path / "net.c")
    ran = build.run_program([report.source], [*STRICT, "-DNET_SELF_TEST"])
    assert ran.status == 0 and b"largest error 0," in ran.output, ran.output
    np.testing.assert_allclose(export.run_predict(report, [X[:3]]), model.predict(X[:3], verbose=0), rtol=2e-5)
