"""Every layer compiled: its C against its formula in NumPy, its gradient, what it moves in training."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from layer_cases import CASES, INTEGERS, RANDOM
from oracle import keras
from reference import central_differences, check_along, descent, float_type, trained_gradients
from test_export import Loaded

import nncompile as nn
from nncompile import layers, ops
from nncompile.errors import UnsupportedError
from nncompile.layers import Layer

pytestmark = pytest.mark.quick_c

SHAPES = sorted({shape for _, _, shape in CASES})
NO_PENALTY = ("ActivityRegularization",)


class All(Layer):
    """The outputs of many layers on one input, side by side: one compilation serves for all."""

    def __init__(self, shape: tuple[int, ...], training: bool) -> None:
        super().__init__()
        chosen = [case for case in CASES if case[2] == shape and not (training and case[0] in (*RANDOM, *NO_PENALTY))]
        self.integers = [getattr(layers, name)(**arguments) for name, arguments, _ in chosen if name in INTEGERS]
        self.others = [getattr(layers, name)(**arguments) for name, arguments, _ in chosen if name not in INTEGERS]
        if not self.others:
            self.others = [layers.Identity()]

    def build(self, input_shape: Any) -> None:
        for layer in (*self.integers, *self.others):
            layer.build(input_shape)

    def call(self, inputs: Any, training: bool = False) -> Any:
        whole = ops.floor(ops.minimum(ops.abs(inputs) * 2.0, 3.5))
        outputs = [layer(whole, training=training) for layer in self.integers]
        outputs += [layer(inputs, training=training) for layer in self.others]
        return ops.concatenate([layers.Flatten()(y) for y in outputs], axis=-1)


def model_for(shape: tuple[int, ...], training: bool, seed: int) -> tuple[Any, Any]:
    """A model of all layers that take rows of a shape, with random weights; and such rows."""
    rng = np.random.default_rng(seed)
    model = nn.Sequential([nn.Input(shape), All(shape, training)])
    model.set_weights([rng.uniform(0.5, 1.5, w.shape) for w in model.weights])
    return model, rng.normal(size=(6, *shape))


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_computes_what_numpy_computes(shape: tuple[int, ...], tmp_path: Any) -> None:
    """In the compiled network, of a batch and of one row, and in the exported one."""
    with float_type("float64"):
        model, x = model_for(shape, False, 0)
        expected = model.call(x)
        np.testing.assert_allclose(model.predict(x, verbose=0), expected, rtol=1e-11, atol=1e-11)
        np.testing.assert_allclose(model.predict(x[:1], verbose=0), expected[:1], rtol=1e-11, atol=1e-11)
        np.testing.assert_allclose(Loaded(model.export(tmp_path / "net.c"))(x), expected, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_gradient_is_that_of_differences(shape: tuple[int, ...]) -> None:
    with float_type("float64"):
        model, x = model_for(shape, True, 1)
        model = nn.Sequential([nn.Input(shape), layers.Dense(shape[-1]), *model.layers, layers.Dense(2)])
        y = np.random.default_rng(2).normal(size=(len(x), 2))
        descent(model, "mse")
        moving = [w for w in model.non_trainable_weights if "moving" in w.name]
        before = [w.value for w in moving]
        got = trained_gradients(model, x, y)
        after = [w.value for w in moving]
        for variable, value in zip(moving, before, strict=True):
            variable.assign(value)
        check_along(model, lambda y, p: np.mean(np.square(p - y)), x, y, got)
        for variable, value in zip(moving, before, strict=True):
            variable.assign(value)
        model.call(x, training=True)
        for variable, value in zip(moving, after, strict=True):
            np.testing.assert_allclose(value, variable.value, rtol=1e-11, err_msg=variable.path)


# ------------------------------------------------------------------ beside Keras, while training


def vectors(m: Any) -> Any:
    """Layers with weights, on vectors and sequences of them, and what they are mixed with."""
    k = m.layers
    return [
        m.Input((4, 3)), k.BatchNormalization(momentum=0.9), k.Dense(5, activity_regularizer="l2"), k.PReLU(),
        k.LayerNormalization(axis=[1, 2]), k.ActivityRegularization(l1=0.01, l2=0.02), k.TimeDistributed(k.Dense(3)),
        k.Flatten(), k.GroupNormalization(groups=3), k.LeakyReLU(), k.RepeatVector(2), k.RMSNormalization(),
        k.MaxPooling1D(2, 1, "same"), k.GlobalAveragePooling1D(), k.UnitNormalization(), k.Dense(2),
    ]  # fmt: skip


def sequences(m: Any) -> Any:
    """A network of words."""
    k = m.layers
    return [
        m.Input((4,)), k.Embedding(5, 3), k.ZeroPadding1D(1), k.AveragePooling1D(3, 1), k.Permute((2, 1)),
        k.BatchNormalization(axis=1, center=False), k.ELU(), k.Reshape((2, -1)), k.Softmax(axis=1), k.Cropping1D((0, 1)),
        k.Flatten(), k.Rescaling([1.0, 2.0, 3.0, 4.0, 5.0, 6.0], 0.5), k.Dense(2),
    ]  # fmt: skip


@pytest.mark.parametrize("network", [vectors, sequences])
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # Keras on NumPy 2
def test_trains_as_keras_trains(network: Any, tmp_path: Any) -> None:
    """Losses, weights and moving statistics; then the file, read by the other."""
    ours, theirs = nn.Sequential(network(nn)), keras.Sequential(network(keras))
    rng = np.random.default_rng(5)
    weights = [rng.uniform(0.5, 1.5, w.shape).astype("float32") for w in ours.weights]
    shape = ours.input_shape[1:]
    x = rng.normal(size=(20, *shape)) if network is vectors else rng.integers(0, 5, (20, *shape))
    y = rng.normal(size=(20, 2)).astype("float32")
    history = []
    for model, library in ((ours, nn), (theirs, keras)):
        model.set_weights(weights)
        model.compile(library.optimizers.Adam(0.01), "mse")
        history.append(model.fit(x, y, batch_size=8, epochs=2, shuffle=False, verbose=0).history["loss"])
    np.testing.assert_allclose(history[0], history[1], rtol=1e-5)
    assert [w.name for w in ours.weights] == [w.name for w in theirs.weights]
    for mine, other in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_allclose(mine, other, rtol=2e-5, atol=2e-5)
    expected = np.asarray(theirs.predict(x, verbose=0))
    np.testing.assert_allclose(ours.predict(x, verbose=0), expected, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(ours.evaluate(x, y, verbose=0), theirs.evaluate(x, y, verbose=0), rtol=1e-5)
    for model, path, load in (
        (ours, tmp_path / "ours.keras", keras.saving.load_model),
        (theirs, tmp_path / "theirs.keras", nn.saving.load_model),
    ):
        model.save(path)
        np.testing.assert_allclose(load(path).predict(x, verbose=0), model.predict(x, verbose=0), rtol=1e-5, atol=1e-5)


# ------------------------------------------------------------------ noise


def moments_of(layer: Layer, x: Any) -> list[float]:
    """Mean, mean square and fourth power of what a layer makes of x in training, as the C draws it."""

    def power(n: int) -> Any:
        def moment(y_true: Any, y_pred: Any) -> Any:
            return ops.mean(y_pred**n, axis=-1)

        moment.__name__ = f"power{n}"
        return moment

    model = nn.Sequential([nn.Input(x.shape[1:]), layers.Dense(x.shape[-1], kernel_initializer="identity"), layer])
    model.compile(nn.optimizers.SGD(0.0), "mse", metrics=[power(1), power(2), power(4)])
    history = model.fit(x, x, batch_size=500, epochs=1, verbose=0).history
    return [history[f"power{n}"][0] for n in (1, 2, 4)]


def test_normal_noise_in_c() -> None:
    """Moments within a few of the standard deviations that a sample of this size has."""
    x = np.zeros((4000, 50), "float32")
    first, second, fourth = moments_of(layers.GaussianNoise(0.5, seed=3), x)
    count = x.size
    assert abs(first) < 4 * 0.5 / np.sqrt(count)
    assert abs(second - 0.25) < 4 * 0.25 * np.sqrt(2 / count)
    assert abs(fourth - 3 * 0.5**4) < 4 * 0.5**4 * np.sqrt(96 / count)
    first, second, _ = moments_of(layers.GaussianDropout(0.2, seed=3), x + 1)
    assert abs(first - 1) < 4 * 0.5 / np.sqrt(count)
    assert abs(second - 1.25) < 4 * np.sqrt(2 * 0.25**2 + 4 * 0.25) / np.sqrt(count)


def test_dropped_numbers_in_c() -> None:
    x = np.ones((4000, 10, 5), "float32")
    for layer, numbers in (
        (layers.Dropout(0.3, (None, 1, None), seed=3), 20000),
        (layers.SpatialDropout1D(0.3, seed=4), 20000),
        (layers.Dropout(0.3, (None, None, 1), seed=5), 40000),
    ):
        first, second, _ = moments_of(layer, x)
        deviation = np.sqrt(0.3 * 0.7 / numbers)
        assert abs(first - 1) < 4 * deviation / 0.7
        assert second == pytest.approx(first / 0.7, rel=1e-4)
    a = (0.7 * (1 + 0.3 * 1.7580993408473766**2)) ** -0.5
    high, low = a + a * 1.7580993408473766 * 0.3, -a * 1.7580993408473766 * 0.7
    first, second, _ = moments_of(layers.AlphaDropout(0.3, seed=6), x)
    share = (first - low) / (high - low)
    assert abs(share - 0.7) < 4 * np.sqrt(0.3 * 0.7 / x.size)
    assert second == pytest.approx(share * high**2 + (1 - share) * low**2, rel=1e-4)


# ------------------------------------------------------------------ what is frozen


def test_frozen_batch_normalization() -> None:
    """It infers in training, its statistics stay, and it is trained again once it is trainable."""
    rng = np.random.default_rng(7)
    x, y = 3 + rng.normal(size=(16, 4)).astype("float32"), rng.normal(size=(16, 2)).astype("float32")
    frozen = layers.BatchNormalization()
    model = nn.Sequential([nn.Input((4,)), frozen, layers.Dense(2, activation="tanh")])
    frozen.trainable = False
    model.compile(nn.optimizers.SGD(0.1), "mse")
    before = frozen.get_weights()
    expected = float(np.mean(np.square(model.call(x) - y)))
    loss = model.train_on_batch(x, y)
    assert loss == pytest.approx(expected, rel=1e-5)
    np.testing.assert_array_equal(frozen.get_weights(), before)
    frozen.trainable = True
    model.compile(nn.optimizers.SGD(0.1), "mse")
    model.train_on_batch(x, y)
    changed = [not np.array_equal(a, b) for a, b in zip(frozen.get_weights(), before, strict=True)]
    assert changed == [True] * 4
    np.testing.assert_allclose(frozen.moving_mean.value, 0.01 * x.mean(axis=0), rtol=1e-5)


def test_axes_of_a_weight_that_c_does_not_know() -> None:
    """A weight of several axes meets columns on one of its own; what looks at its axes is refused."""
    x = np.ones((4, 2, 3), "float32")
    for arguments, optimizer, what in (
        ({"alpha_constraint": "max_norm"}, "sgd", "constraint"),
        ({"alpha_regularizer": nn.regularizers.OrthogonalRegularizer()}, "sgd", "regularizer"),
        ({}, nn.optimizers.Adafactor(), "Adafactor keeps sums along the axes"),
    ):
        model = nn.Sequential([nn.Input((2, 3)), layers.PReLU(**arguments)])
        model.compile(optimizer, "mse")
        with pytest.raises(UnsupportedError, match=rf"p_re_lu\S*/alpha: .*{what}.* of shape \(2, 3\)"):
            model.train_on_batch(x, x)
    model = nn.Sequential([nn.Input((2, 3)), layers.PReLU("ones", "l2", "non_neg")])
    model.compile("sgd", "mse")
    loss = model.train_on_batch(x, x)
    assert loss == pytest.approx(0.06, rel=1e-5)


@pytest.mark.parametrize("layer", [layers.BatchNormalization, layers.LayerNormalization, layers.PReLU])
def test_a_layer_on_the_only_column_of_a_reduction(layer: Any) -> None:
    """Its weights have one number, and what it is given is the root of a sum over other columns."""
    rng = np.random.default_rng(5)
    x, y = rng.normal(size=(7, 4)), rng.normal(size=(7, 1))
    with float_type("float64"):
        inputs = nn.Input((4,))
        length = ops.sqrt(ops.sum(ops.square(layers.Dense(3)(inputs)), axis=-1, keepdims=True))
        model = nn.Model(inputs, layers.Dense(1)(layer()(length)))
        model.set_weights([rng.uniform(0.5, 1.5, w.shape) for w in model.weights])
        descent(model, nn.losses.MeanSquaredError())
        np.testing.assert_allclose(model.predict(x, verbose=0), model.call(x), rtol=1e-11)
        got = trained_gradients(model, x, y)
        expected = central_differences(model, nn.losses.MeanSquaredError(), x, y, training=True)
    for a, b in zip(got, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-9)
