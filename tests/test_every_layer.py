"""Every layer beside Keras': numbers, weights, shapes, configurations both ways; bad arguments and old spellings."""

from __future__ import annotations

import copy
import inspect
import json
import math
import pickle
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from layer_cases import CASES, INTEGERS, RANDOM
from oracle import keras

from nncompile import backend, layers, ops, random, registry
from nncompile.errors import FileFormatError, ModelError, UnsupportedError
from nncompile.models import Sequential
from nncompile.saving import legacy_config

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

cases = pytest.mark.parametrize(("name", "arguments", "shape"), CASES, ids=lambda value: str(value).replace(" ", ""))


@pytest.fixture(autouse=True)
def fresh_names() -> None:
    backend.clear_session(free_memory=False)
    keras.backend.clear_session(free_memory=False)


def rows(*shape: int, seed: int = 1) -> Any:
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def symbol(*shape: int) -> Any:
    return ops.symbol("x", ops.ELEMENT, (None, *shape))


def data_for(name: str, shape: tuple[int, ...]) -> Any:
    """Six rows of a case's input."""
    if name in INTEGERS:
        return np.random.default_rng(1).integers(0, 4, (6, *shape)).astype("int32")
    return rows(6, *shape)


def pair(name: str, arguments: dict[str, Any], shape: tuple[int, ...]) -> tuple[Any, Any]:
    """The layer and Keras', built, with the same random weights, all of them positive as variances must be."""
    ours, theirs = getattr(layers, name)(**arguments), getattr(keras.layers, name)(**arguments)
    for layer in (ours, theirs):
        layer.build((None, *shape))
    rng = np.random.default_rng(2)
    weights = [rng.uniform(0.5, 1.5, w.shape).astype(w.dtype) for w in ours.weights]
    for layer in (ours, theirs):
        layer.set_weights(weights)
    if isinstance(theirs, keras.layers.Normalization):
        theirs.finalize_state()  # without which it would not see them
    return ours, theirs


def modes(layer: Any) -> list[dict[str, Any]]:
    """What a call may be told about training."""
    if "training" not in inspect.signature(layer.call).parameters:
        return [{}]
    return [{"training": False}, {"training": True}]


# ------------------------------------------------------------------ beside Keras


@cases
def test_computes_what_keras_computes(name: str, arguments: dict[str, Any], shape: tuple[int, ...]) -> None:
    ours, theirs = pair(name, arguments, shape)
    x = data_for(name, shape)
    described = [(w.name, w.path, w.shape, w.dtype, w.trainable) for w in theirs.weights]
    assert [(w.name, w.path, w.shape, w.dtype, w.trainable) for w in ours.weights] == described
    for mode in modes(ours):
        if mode.get("training") and name in RANDOM:
            assert ours(x, **mode).shape == x.shape
            continue
        got, expected = np.asarray(ours(x, **mode)), np.asarray(theirs(x, **mode))
        assert got.dtype == expected.dtype
        np.testing.assert_allclose(got, expected, rtol=5e-6, atol=2e-6)
        for mine, other in zip(ours.get_weights(), theirs.get_weights(), strict=True):  # moving statistics
            np.testing.assert_allclose(mine, other, rtol=2e-6)
        assert ours.compute_output_shape((None, *shape)) == (None, *expected.shape[1:])
    assert [float(loss) for loss in ours.losses] == pytest.approx([float(loss) for loss in theirs.losses])


@cases
def test_configuration_is_that_of_keras(name: str, arguments: dict[str, Any], shape: tuple[int, ...]) -> None:
    ours, theirs = getattr(layers, name)(**arguments), getattr(keras.layers, name)(**arguments)
    for _ in range(2):  # before it is built and after
        assert plain(layers.serialize(ours)) == plain(keras.layers.serialize(theirs))
        form = plain(layers.serialize(ours))
        back = layers.deserialize(form)
        assert type(back) is type(ours)
        assert plain(back.get_config()) == form["config"]
        assert plain(keras.layers.deserialize(form).get_config()) == form["config"]
        back.build_from_config(form.get("build_config"))
        for layer in () if ours.built else (ours, theirs):
            layer.build((None, *shape))
    assert [(w.path, w.shape) for w in back.weights] == [(w.path, w.shape) for w in ours.weights] or not ours.weights


def plain(config: Any) -> Any:
    return json.loads(json.dumps(config))


@cases
def test_of_symbols(name: str, arguments: dict[str, Any], shape: tuple[int, ...]) -> None:
    """The formula has the shape that is stated, in both modes, and its owner."""
    layer = getattr(layers, name)(**arguments)
    if name == "ActivityRegularization":
        pytest.skip("what a formula adds to the loss is noted only while a whole model is traced")
    layer.build((None, *shape))
    for mode in modes(layer):
        if mode.get("training") and name == "BatchNormalization":
            continue  # assigns, which is noted only while a whole model is traced
        y = layer(symbol(*shape), **mode)
        assert isinstance(y, ops.Expression)
        assert y.level == ops.ELEMENT
        assert y.shape == layer.compute_output_shape((None, *shape))
    assert ops.set_owner("") == ""


def test_signatures_are_those_of_keras() -> None:
    for name, ours in registry.registered("layers").items():
        theirs = getattr(keras.layers, name)

        def parameters(cls: Any) -> list[Any]:
            return [(p.name, p.default, p.kind) for p in inspect.signature(cls.__init__).parameters.values()]

        assert parameters(ours) == parameters(theirs), name


@cases
def test_is_documented(name: str, arguments: dict[str, Any], shape: tuple[int, ...]) -> None:
    cls = getattr(layers, name)
    assert f"Source: ``keras.layers.{name}``" in cls.__doc__ or name in ("Dense", "Activation")
    for argument in inspect.signature(cls).parameters:
        assert f"        {'**' if argument == 'kwargs' else ''}{argument}: " in cls.__doc__, argument


@cases
def test_can_be_copied(name: str, arguments: dict[str, Any], shape: tuple[int, ...]) -> None:
    layer = getattr(layers, name)(**arguments)
    x = data_for(name, shape)
    expected = layer(x)
    for other in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        np.testing.assert_array_equal(other(x), expected)


def test_integers_become_floating_point() -> None:
    data = np.array([[[1, 2, 4], [3, 4, 9]]] * 2, "uint8")
    for layer in (layers.BatchNormalization(), layers.Rescaling(0.5), layers.Softmax(), layers.ReLU(),
                  layers.GlobalAveragePooling1D(), layers.MaxPooling1D(), layers.Normalization()):  # fmt: skip
        assert layer(data).dtype == "float32", layer
    for layer in (layers.Reshape((6,)), layers.Permute((2, 1)), layers.Identity(), layers.UpSampling1D()):
        assert layer(data).dtype == "uint8", layer


def test_in_float64() -> None:
    for name, arguments, shape in CASES:
        if name in (*INTEGERS, "Discretization") or name in RANDOM:
            continue
        layer = getattr(layers, name)(**arguments, dtype="float64")
        assert layer(rows(3, *shape).astype("float64"), **modes(layer)[-1]).dtype == "float64", name


# ------------------------------------------------------------------ normalization


def test_batch_normalization_moves_its_statistics() -> None:
    layer, theirs = pair("BatchNormalization", {"momentum": 0.9}, (5,))
    x = 3 + 2 * rows(40, 5)
    before = layer.get_weights()
    y = layer(x, training=True)
    np.testing.assert_allclose((y - before[1]).mean(axis=0), 0, atol=1e-6)
    np.testing.assert_allclose(layer.moving_mean.value, 0.9 * before[2] + 0.1 * x.mean(axis=0), rtol=1e-6)
    np.testing.assert_allclose(layer.moving_variance.value, 0.9 * before[3] + 0.1 * x.var(axis=0), rtol=1e-6)
    theirs(x, training=True)
    after = layer.get_weights()
    assert not np.array_equal(layer(x), y)
    layer(x, training=False)
    np.testing.assert_array_equal(layer.get_weights(), after)


def test_batch_normalization_that_is_frozen_infers() -> None:
    layer, theirs = pair("BatchNormalization", {}, (5,))
    x = 3 + 2 * rows(6, 5)
    expected, before = layer(x), layer.get_weights()
    for one in (layer, theirs):
        one.trainable = False
    assert layer.trainable_weights == []
    assert [w.name for w in layer.non_trainable_weights] == ["gamma", "beta", "moving_mean", "moving_variance"]
    np.testing.assert_array_equal(layer(x, training=True), expected)
    np.testing.assert_allclose(layer(x, training=True), np.asarray(theirs(x, training=True)), rtol=5e-6)
    np.testing.assert_array_equal(layer.get_weights(), before)
    layer.trainable = True
    assert [w.name for w in layer.trainable_weights] == ["gamma", "beta"]
    assert not np.array_equal(layer(x, training=True), expected)


@pytest.mark.parametrize("mean", [0.0, 1e3, 1e4])
def test_variance_of_what_is_far_from_zero(mean: float) -> None:
    """Deviations are squared: the difference of the squares' mean and the mean's square would have no digits left."""
    x = (mean + rows(64, 64).astype("float64")).astype("float32")
    wide = x.astype("float64")
    for layer, axis in ((layers.BatchNormalization(), 0), (layers.LayerNormalization(), 1)):
        exact = (wide - wide.mean(axis, keepdims=True)) / np.sqrt(wide.var(axis, keepdims=True) + 1e-3)
        got = layer(x, training=True) if axis == 0 else layer(x)
        np.testing.assert_allclose(got, exact, atol=1e-6 * (mean + 1))


def test_unit_normalization_of_nothing() -> None:
    np.testing.assert_array_equal(layers.UnitNormalization()(np.zeros((2, 3))), 0)
    np.testing.assert_allclose(layers.UnitNormalization()(np.full((1, 1), 1e-13, "float32")), [[0.1]], rtol=1e-6)
    np.testing.assert_allclose(np.sum(np.square(layers.UnitNormalization(0)(rows(5, 3))), axis=0), 1, rtol=1e-6)


def test_axes_of_layer_normalization_in_any_order() -> None:
    ours, theirs = layers.LayerNormalization(axis=[3, 1]), keras.layers.LayerNormalization(axis=[3, 1])
    x = rows(4, 2, 3, 5)
    theirs.build(x.shape)
    ours.build(x.shape)
    weights = [rows(*w.shape, seed=i) for i, w in enumerate(ours.weights)]
    for one in (ours, theirs):
        one.set_weights(weights)
    np.testing.assert_allclose(ours(x), np.asarray(theirs(x)), rtol=1e-5, atol=1e-6)


# ------------------------------------------------------------------ Normalization, Discretization


def test_adapt() -> None:
    x = (5 + 3 * rows(50, 4, 3)).astype("float32")
    for axis in (-1, 1, (1, 2), None):
        ours, theirs = layers.Normalization(axis=axis), keras.layers.Normalization(axis=axis)
        for layer in (ours, theirs):
            layer.adapt(x)
        for mine, other in zip(ours.get_weights(), theirs.get_weights(), strict=True):
            np.testing.assert_allclose(mine, other, rtol=1e-5)
        np.testing.assert_allclose(ours.mean, np.asarray(theirs.mean), rtol=1e-5)
        np.testing.assert_allclose(ours.variance, np.asarray(theirs.variance), rtol=1e-5)
        np.testing.assert_allclose(ours(x), np.asarray(theirs(x)), rtol=1e-4, atol=1e-5)
        at_once = ours.get_weights()
        for batches in ([x[:7], x[7:9], x[9:]], ((part, None) for part in np.split(x, 5))):
            ours.adapt(batches)
            for mine, other in zip(ours.get_weights(), at_once, strict=True):
                np.testing.assert_allclose(mine, other, rtol=1e-6)


def test_adapt_keeps_its_digits() -> None:
    x = 1e6 + np.arange(4.0).reshape(4, 1)
    layer = layers.Normalization(dtype="float64")
    layer.adapt(x.astype("float32"))
    assert (layer.mean.item(), layer.variance.item()) == (1e6 + 1.5, 1.25)


def test_adapt_refuses() -> None:
    layer = layers.Normalization()
    with pytest.raises(ModelError, match="expected at least one batch, received none"):
        layer.adapt([])
    with pytest.raises(TypeError, match="expected an array or an iterable of batches, received 3"):
        layer.adapt(3)
    with pytest.raises(TypeError, match="expected batches that are arrays, received float"):
        layer.adapt([1.0, 2.0])
    layer.adapt(rows(5, 3))
    with pytest.raises(ModelError, match=r"expected data for an input of shape \(None, 3\), received shape \(5, 4\)"):
        layer.adapt(rows(5, 4))
    with pytest.raises(ModelError, match="mean and variance were given"):
        layers.Normalization(mean=0.0, variance=1.0).adapt(rows(5, 3))
    with pytest.raises(ModelError, match="bin_boundaries were given"):
        layers.Discretization([0.0]).adapt(rows(5, 3))
    with pytest.raises(ModelError, match=r"discretization_1 \(Discretization\): has no boundaries"):
        layers.Discretization(num_bins=3)(rows(5, 3))


def adapt_theirs(layer: Any, batches: list[Any]) -> None:
    """Keras' ``adapt``, which asks for TensorFlow, step by step."""
    layer.reset_state()
    for batch in batches:
        layer.update_state(batch)
    layer.finalize_state()


def test_boundaries_that_are_found() -> None:
    x = rows(1000, 2)
    for bins, epsilon in ((4, 0.01), (3, 0.1), (10, 0.001)):
        ours = layers.Discretization(num_bins=bins, epsilon=epsilon, output_mode="one_hot")
        theirs = keras.layers.Discretization(num_bins=bins, epsilon=epsilon, output_mode="one_hot")
        assert ours.compute_output_shape((None, 2)) == (None, 2, bins)
        ours.adapt(x)
        adapt_theirs(theirs, [x])
        np.testing.assert_allclose(ours.bin_boundaries, theirs.bin_boundaries, rtol=1e-6)
        np.testing.assert_array_equal(ours(x), np.asarray(theirs(x)))
        config = plain(ours.get_config())
        assert config == plain({**theirs.get_config(), "bin_boundaries": ours.bin_boundaries, "name": ours.name})
        again = layers.Discretization.from_config(config)
        np.testing.assert_array_equal(again(x), ours(x))
        ours.adapt([x[:100], x[100:]])
        adapt_theirs(theirs, [x[:100], x[100:]])
        np.testing.assert_allclose(ours.bin_boundaries, theirs.bin_boundaries, rtol=1e-6)


def test_ranges() -> None:
    layer = layers.Discretization([0, 1, 1.5])
    x = np.array([[-np.inf, -1, 0, 0.5, 1, 1.4], [1.5, 2, np.inf, np.nan, -0.0, 1]], "float32")
    expected = [[0, 0, 1, 1, 2, 2], [3, 3, 3, 3, 1, 2]]
    np.testing.assert_array_equal(layer(x), expected)
    np.testing.assert_array_equal(layer(x), np.asarray(keras.layers.Discretization([0, 1, 1.5])(x)))


def test_categories_that_are_none() -> None:
    x = np.array([[0, 1.5, -1, 7], [2.9, 2, -0.5, 3]], "float32")
    whole = x.astype("int32")
    for data in (x, whole, whole[:, 0], whole[:1, :1]):
        for mode in ("one_hot", "multi_hot", "count") if data is not x else ("multi_hot",):
            ours = layers.CategoryEncoding(4, mode)
            np.testing.assert_array_equal(ours(data), np.asarray(keras.layers.CategoryEncoding(4, mode)(data)))
            assert ours(data).shape == ours.compute_output_shape(data.shape)
    weights = rows(2, 4)
    ours, theirs = (m.CategoryEncoding(4, "count") for m in (layers, keras.layers))
    expected = np.asarray(theirs(x.astype("int32"), count_weights=weights))
    np.testing.assert_allclose(ours(x.astype("int32"), count_weights=weights), expected, rtol=1e-6)
    assert layers.CategoryEncoding(4, "binary").output_mode == "multi_hot"
    with pytest.raises(ModelError, match="count_weights mean nothing with output_mode='one_hot'"):
        layers.CategoryEncoding(4, "one_hot")(x, count_weights=weights)


# ------------------------------------------------------------------ Embedding


def test_rows_of_the_table() -> None:
    ours, theirs = pair("Embedding", {"input_dim": 3, "output_dim": 2}, (4,))
    for x in ([[0, -1, 5, -4]], [[2, 1, 0, -3]], np.array([[2.9, -0.5, 1, 0]]), np.array([[0, 1, 2, 1]], "uint8")):
        np.testing.assert_array_equal(ours(x), np.asarray(theirs(np.asarray(x))))
    assert ours.embeddings is ours.weights[0]
    with pytest.raises(AttributeError, match="has no embeddings before it is built"):
        layers.Embedding(3, 2).embeddings  # noqa: B018
    for weights in (rows(3, 2), [rows(3, 2)]):
        layer = layers.Embedding(3, 2, weights=weights)
        np.testing.assert_array_equal(layer.get_weights()[0], rows(3, 2))
    with pytest.raises(ModelError, match=r"expected shape \(3, 2\) for embedding_4/embeddings, received \(2, 2\)"):
        layers.Embedding(3, 2, weights=rows(2, 2))


# ------------------------------------------------------------------ noise


@pytest.mark.parametrize("make", [
    lambda seed: layers.GaussianNoise(0.5, seed=seed), lambda seed: layers.GaussianDropout(0.2, seed=seed),
    lambda seed: layers.AlphaDropout(0.3, seed=seed), lambda seed: layers.SpatialDropout1D(0.3, seed=seed),
    lambda seed: layers.Dropout(0.3, (None, 1, None), seed=seed),
])  # fmt: skip
def test_noise_is_repeated_by_its_seed(make: Callable[[int], Any]) -> None:
    x, layer = 1 + rows(7, 5, 3), make(3)
    assert layer(x) is x
    assert layer(x, training=False) is x
    first = layer(x, training=True)
    np.testing.assert_array_equal(make(3)(x, training=True), first)
    assert not np.array_equal(layer(x, training=True), first)
    assert not np.array_equal(make(4)(x, training=True), first)
    assert layer.weights == []
    assert [v.path for v in layer.variables] == ["seed_generator/seed_generator_state"]


def test_moments_of_noise() -> None:
    x = np.ones((400, 500), "float32")
    y = layers.GaussianNoise(0.5, seed=1)(x, training=True) - 1
    assert abs(y.mean()) < 0.005
    assert y.std() == pytest.approx(0.5, rel=0.01)
    y = layers.GaussianDropout(0.2, seed=1)(3 * x, training=True)
    assert y.mean() == pytest.approx(3, rel=0.01)
    assert y.std() == pytest.approx(3 * math.sqrt(0.2 / 0.8), rel=0.01)
    x = np.random.default_rng(1).normal(size=(400, 500))
    layer = layers.AlphaDropout(0.3, seed=1, dtype="float64")
    y = layer(x, training=True)
    assert abs(y.mean()) < 0.01
    assert y.std() == pytest.approx(1, rel=0.01)
    values, counts = np.unique(y, return_counts=True)
    dropped = y == values[np.argmax(counts)]
    assert dropped.mean() == pytest.approx(0.3, abs=0.01)
    slope, shift = np.polyfit(x[~dropped], y[~dropped], 1)
    lowest = -1.6732632423543772 * 1.0507009873554805
    assert slope == pytest.approx((0.7 * (1 + 0.3 * lowest**2)) ** -0.5, rel=1e-6)
    np.testing.assert_allclose(y[dropped], slope * lowest + shift, rtol=1e-6)


def test_noise_shape() -> None:
    x = 1 + np.abs(rows(20, 6, 5))
    for shape, axis in (((None, 1, None), 1), ((None, None, 1), 2), ((1, None, None), 0), ((20, 6, 1), 2)):
        kept = layers.Dropout(0.5, shape, seed=2)(x, training=True) != 0
        assert 0.3 < kept.mean() < 0.7
        assert (kept.all(axis=axis) | ~kept.any(axis=axis)).all()
        low = layers.AlphaDropout(0.5, shape, seed=2)(x, training=True) < 0
        assert (low.all(axis=axis) | ~low.any(axis=axis)).all()
        assert 0.3 < low.mean() < 0.7
    kept = layers.SpatialDropout1D(0.5, seed=2)(x, training=True) != 0
    assert (kept.all(axis=1) | ~kept.any(axis=1)).all()
    assert layers.Dropout(0.5, [None, 1]).get_config()["noise_shape"] == (None, 1)
    for wrong in ((None, 2, None), (None, 1), (None, 1, None, None)):
        with pytest.raises(ModelError, match="expected noise_shape to fit an input of shape"):
            layers.Dropout(0.5, wrong)(x, training=True)
    with pytest.raises(UnsupportedError, match="is one number for the whole batch"):
        layers.Dropout(0.5, (1, None))(symbol(5), training=True)
    y = layers.Dropout(0.5, (None, 1, None))(symbol(6, 5), training=True)
    assert y.shape == (None, 6, 5)


def test_normal_numbers_of_a_formula(monkeypatch: pytest.MonkeyPatch) -> None:
    """The formula of the C, on uniform numbers like those of the C: the multiples of 2^-24 in [0, 1)."""
    rng = np.random.default_rng(5)
    drawn: list[Any] = []

    def noise(shape: Any, seed: Any) -> Any:
        drawn.append(rng.integers(0, 1 << 24, 400_000) / (1 << 24))
        return drawn[-1]

    monkeypatch.setattr(ops, "noise", noise)
    z = random.normal((None, 3), 0.0, 1.0)
    u, v = drawn
    np.testing.assert_allclose(z, np.sqrt(-2 * np.log1p(-u)) * np.cos(2 * np.pi * v), atol=6e-8)
    moments = [np.mean(z**n) for n in range(1, 7)]
    np.testing.assert_allclose(moments, [0, 1, 0, 3, 0, 15], atol=0.5, rtol=0.03)
    assert abs(moments[0]) < 0.006
    assert abs(moments[1] - 1) < 0.01
    # the largest distance of the distribution functions (Kolmogorov): 1.95 / sqrt(n) happens once in a thousand
    exact = np.array([0.5 * math.erfc(-x / math.sqrt(2)) for x in np.sort(z)[::40]])
    assert np.abs(exact - np.arange(0, len(z), 40) / len(z)).max() < 1.95 / math.sqrt(len(z))
    for bound, sides in ((3.0, 2.6998e-3), (4.0, 6.3342e-5)):
        expected = sides * len(z)
        assert abs((np.abs(z) > bound).sum() - expected) < 4 * math.sqrt(expected)


def test_ends_of_the_normal_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    ends = iter([np.array([0, 0, 1 - 2**-24, 1 - 2**-24, 2**-24], "float32"), np.array([0, 0.5, 0, 0.5, 0], "float32")])
    monkeypatch.setattr(ops, "noise", lambda shape, seed: next(ends))
    z = random.normal((None,), 2.0, 1.0)
    assert z.dtype == "float32"
    np.testing.assert_allclose(z - 2, [0, 0, 5.768108, -5.768108, 3.4526698e-4], rtol=1e-3)


# ------------------------------------------------------------------ the others


def test_softmax_with_a_mask() -> None:
    x = rows(4, 3, 5)
    mask = np.random.default_rng(3).random((4, 3, 5)) < 0.6
    mask[0, 0] = False
    for axis in (-1, 1, (1, 2)):
        ours, theirs = layers.Softmax(axis), keras.layers.Softmax(axis)
        for one in (mask, mask.astype("float32"), mask[0], mask[:, :, :1]):
            expected = np.asarray(theirs(x, mask=one))
            np.testing.assert_allclose(ours(x, mask=one), expected, rtol=2e-6, atol=1e-7)
    with pytest.raises(ModelError, match=r"expected a mask for an input of shape \(4, 3, 5\), received shape \(4, 3\)"):
        layers.Softmax()(x, mask=mask[:, :, 0])


def test_mean_over_the_steps_that_count() -> None:
    x = rows(4, 3, 5)
    mask = np.array([[1, 1, 0], [1, 0, 0], [1, 1, 1], [0, 1, 1]], bool)
    for arguments in ({}, {"keepdims": True}):
        ours, theirs = layers.GlobalAveragePooling1D(**arguments), keras.layers.GlobalAveragePooling1D(**arguments)
        np.testing.assert_allclose(ours(x, mask=mask), np.asarray(theirs(x, mask=mask)), rtol=2e-6, atol=1e-7)


@pytest.mark.parametrize("size", [1, 2, 3, 5])
@pytest.mark.parametrize("padding", ["valid", "same"])
def test_windows(size: int, padding: str) -> None:
    """Against a loop over the windows, whose places are those of TensorFlow."""
    for steps in (5, 6, 7):
        x = rows(2, steps, 3)
        for stride in (1, 2, 3, 5):
            count = -(-steps // stride) if padding == "same" else (steps - size) // stride + 1
            before = max((count - 1) * stride + size - steps, 0) // 2 if padding == "same" else 0
            parts = [x[:, max(i * stride - before, 0) : i * stride - before + size] for i in range(count)]
            largest, mean = (np.stack([f(p, axis=1) for p in parts], axis=1) for f in (np.max, np.mean))
            np.testing.assert_array_equal(layers.MaxPooling1D(size, stride, padding)(x), largest)
            np.testing.assert_allclose(layers.AveragePooling1D(size, stride, padding)(x), mean, rtol=1e-6, atol=1e-7)


def test_time_distributed() -> None:
    x = rows(4, 3, 5)
    made: list[tuple[Callable[[Any], Any], Any]] = [
        (lambda m: m.Dense(2, "tanh"), (4, 3, 2)),
        (lambda m: m.Activation("softmax"), (4, 3, 5)),
        (lambda m: m.LayerNormalization(), (4, 3, 5)),
        (lambda m: m.BatchNormalization(momentum=0.5), (4, 3, 5)),
        (lambda m: m.Reshape((5, 1)), (4, 3, 5, 1)),
    ]
    for make, shape in made:
        ours = layers.TimeDistributed(make(layers), name="steps")
        theirs = keras.layers.TimeDistributed(make(keras.layers), name="steps")
        for layer in (ours, theirs):
            layer.build((None, 3, 5))
        theirs.set_weights(ours.get_weights())
        for training in (False, True):
            expected = np.asarray(theirs(x, training=training))
            assert expected.shape == shape
            np.testing.assert_allclose(ours(x, training=training), expected, rtol=1e-4, atol=1e-5)
        for mine, other in zip(ours.get_weights(), theirs.get_weights(), strict=True):
            np.testing.assert_allclose(mine, other, rtol=1e-5, atol=1e-6)
        assert ours.compute_output_shape((None, 3, 5)) == (None, *shape[1:])
        assert [w.path for w in ours.weights] == [w.path for w in theirs.weights]
        form = plain(layers.serialize(ours))
        assert form == plain(keras.layers.serialize(theirs))
        again = layers.deserialize(form)
        again.build_from_config(form["build_config"])
        assert [w.shape for w in again.weights] == [w.shape for w in ours.weights]
        y = ours(symbol(3, 5))
        assert y.shape == (None, *shape[1:])
    with pytest.raises(ModelError, match="TimeDistributed: expected a layer, received 3"):
        layers.TimeDistributed(3)
    with pytest.raises(ModelError, match=r"steps \(TimeDistributed\): expected an input of 3 axes or more"):
        ours.build((None, 3))
    with pytest.raises(FileFormatError, match="its configuration has no layer"):
        layers.TimeDistributed.from_config({})


def test_dense_of_many_axes_is_trained_alike() -> None:
    x = rows(2, 3, 4, 5)
    layer = layers.Dense(3)
    np.testing.assert_array_equal(layer(x)[1, 2], layer(x[1:2, 2])[0])


def test_constants_are_no_weights() -> None:
    layer = layers.Rescaling([1.0, 2.0], 1)
    layer.build((None, 2))
    assert layer.weights == layer.variables == []
    assert not layer.get_weights()
    np.testing.assert_array_equal(layer([[3.0, 4.0]]), [[4.0, 9.0]])


# ------------------------------------------------------------------ what is refused

BAD_ARGUMENTS: list[tuple[str, dict[str, Any], str]] = [
    ("AlphaDropout", {"rate": 2}, "expected rate to be a number between 0 and 1, received 2"),
    ("AveragePooling1D", {"pool_size": 0}, "expected pool_size to be an integer of 1 or more, received 0"),
    ("AveragePooling1D", {"pool_size": (2, 2)}, "expected pool_size to be an integer of 1 or more"),
    ("AveragePooling1D", {"pool_size": 2, "padding": "causal"}, "expected padding to be 'valid' or 'same'"),
    ("AveragePooling1D", {"pool_size": 2, "strides": "a"}, "expected strides to be an integer"),
    ("BatchNormalization", {"axis": 1.5}, "expected axis to be an integer, received 1.5"),
    ("BatchNormalization", {"axis": [1, 2]}, "expected axis to be an integer"),
    ("BatchNormalization", {"epsilon": -1}, "expected epsilon to be a number of 0 or more, received -1"),
    ("BatchNormalization", {"momentum": "a"}, "expected momentum to be a number"),
    ("BatchNormalization", {"center": 1}, "expected center to be True or False, received 1"),
    ("BatchNormalization", {"gamma_initializer": "onse"}, "unknown name 'onse'. Did you mean 'ones'"),
    ("CategoryEncoding", {}, "expected num_tokens to be a positive integer, received None"),
    ("CategoryEncoding", {"num_tokens": 0}, "expected num_tokens to be a positive integer, received 0"),
    ("CategoryEncoding", {"num_tokens": 3, "output_mode": "int"}, "expected output_mode to be one of 'one_hot', "),
    ("Cropping1D", {"cropping": -1}, "expected cropping to be 2 integers of 0 or more, received -1"),
    ("Cropping1D", {"cropping": (1, 1, 1)}, "expected cropping to be 2 integers"),
    ("Discretization", {}, "expected either bin_boundaries or num_bins, received none"),
    ("Discretization", {"bin_boundaries": [1.0], "num_bins": 2}, "bin_boundaries or num_bins, received both"),
    ("Discretization", {"bin_boundaries": [1.0, 0.0]}, "expected bin_boundaries to be numbers in rising order"),
    ("Discretization", {"bin_boundaries": "ab"}, "expected bin_boundaries to be numbers"),
    ("Discretization", {"num_bins": -1}, "expected num_bins to be a positive integer, received -1"),
    ("Discretization", {"num_bins": 3, "output_mode": "hot"}, "expected output_mode to be one of 'int', 'one_hot'"),
    ("Dropout", {"rate": 0.5, "noise_shape": 3}, r"expected a shape, received the number 3. Write \(3,\)"),
    ("Dropout", {"rate": 0.5, "noise_shape": "a"}, "expected a shape, a tuple of integers, received 'a'"),
    ("Dropout", {"rate": 0.5, "noise_shape": (0, 1)}, "expected noise_shape to be of positive sizes"),
    ("Dropout", {"rate": 0.5, "noise_shape": (1.5,)}, "received 1.5"),
    ("ELU", {"alpha": None}, "expected alpha to be a number, received None"),
    ("Embedding", {"input_dim": 0, "output_dim": 1}, "expected input_dim to be a positive integer, received 0"),
    ("Embedding", {"input_dim": 3, "output_dim": 1.5}, "expected output_dim to be a positive integer"),
    ("Flatten", {"data_format": "x"}, "expected data_format 'channels_last' or 'channels_first', received 'x'"),
    ("GaussianDropout", {"rate": -0.1}, "expected rate to be a number between 0 and 1"),
    ("GaussianNoise", {"stddev": 1.5}, "expected stddev to be a number between 0 and 1, received 1.5"),
    ("GlobalMaxPooling1D", {"data_format": "x"}, "expected data_format"),
    ("GroupNormalization", {"groups": 0}, "expected groups to be a positive integer or -1, received 0"),
    ("GroupNormalization", {"groups": 2.0}, "expected groups to be a positive integer or -1"),
    ("LayerNormalization", {"axis": "1"}, "expected axis to be an integer or a list of integers, received '1'"),
    ("LayerNormalization", {"epsilon": math.nan}, "expected epsilon to be a number of 0 or more"),
    ("LeakyReLU", {"negative_slope": -0.1}, "expected negative_slope to be a number of 0 or more, received -0.1"),
    ("LeakyReLU", {"negative_slope": None}, "expected negative_slope to be a number of 0 or more, received None"),
    ("Normalization", {"mean": 1.0}, "expected both mean and variance or none, received one of them"),
    ("Normalization", {"mean": [1.0], "variance": 1.0}, r"of one shape, received \(1,\) and \(\)"),
    ("Normalization", {"mean": [[1.0]], "variance": [[1.0]]}, r"no more axes than axis=\(-1,\) names"),
    ("Normalization", {"axis": "a"}, "expected axis to be an integer or a list"),
    ("PReLU", {"shared_axes": "a"}, "shared_axes: expected axis to be an integer or a list"),
    ("Permute", {"dims": (0, 1)}, "expected dims to be an order of the axes 1, 2, …"),
    ("Permute", {"dims": (1, 3)}, "expected dims to be an order"),
    ("Permute", {"dims": 2}, "expected dims to be an order"),
    ("RMSNormalization", {"axis": None}, "expected axis to be an integer or a list"),
    ("ReLU", {"max_value": -1.0}, "expected max_value to be a number of 0 or more, received -1.0"),
    ("ReLU", {"negative_slope": -1.0}, "expected negative_slope to be a number of 0 or more"),
    ("ReLU", {"threshold": None}, "expected threshold to be a number of 0 or more"),
    ("RepeatVector", {"n": 0}, "expected n to be a positive integer, received 0"),
    ("Rescaling", {"scale": "a"}, "expected scale to be numbers, received 'a'"),
    ("Reshape", {"target_shape": 3}, "expected target_shape to be a tuple of integers, received 3"),
    ("Reshape", {"target_shape": (-1, -1)}, "expected target_shape to be sizes of 0 or more and at most one -1"),
    ("Reshape", {"target_shape": (2.5,)}, "expected target_shape to be sizes"),
    ("Softmax", {"axis": 0.5}, "expected axis to be an integer or a list"),
    ("UnitNormalization", {"axis": None}, "expected axis to be an integer or a list"),
    ("UpSampling1D", {"size": -2}, "expected size to be a positive integer"),
    ("ZeroPadding1D", {"padding": (-1, 0)}, "expected padding to be 2 integers of 0 or more"),
]


@pytest.mark.parametrize(("name", "arguments", "message"), BAD_ARGUMENTS, ids=lambda value: str(value)[:60])
def test_bad_arguments(name: str, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ModelError, match=f"{name}.*{message}|unknown name"):
        getattr(layers, name)(**arguments)


@pytest.mark.parametrize(("name", "arguments"), [
    ("BatchNormalization", {"renorm": True}), ("BatchNormalization", {"renorm_clipping": {"rmax": 1.0}}),
    ("BatchNormalization", {"synchronized": True}), ("CategoryEncoding", {"num_tokens": 3, "sparse": True}),
    ("Discretization", {"num_bins": 3, "sparse": True}), ("Embedding", {"input_dim": 2, "output_dim": 2, "lora_rank": 2}),
    ("Embedding", {"input_dim": 2, "output_dim": 2, "lora_rank": 2}), ("LayerNormalization", {"rms_scaling": True}),
    ("BatchNormalization", {"mode": 1}),
])  # fmt: skip
def test_arguments_that_are_not_supported(name: str, arguments: dict[str, Any]) -> None:
    option = list(arguments)[-1]
    with pytest.raises(UnsupportedError, match=f"{name}: {option}=.* is not supported yet"):
        getattr(layers, name)(**arguments)


@pytest.mark.parametrize(("name", "arguments", "shape", "message"), [
    ("AveragePooling1D", {"pool_size": 4}, (3, 2), r"no window of pool_size=\(4,\) fits into an input of shape"),
    ("BatchNormalization", {"axis": 3}, (5,), r"expected an input with an axis 3, received shape \(None, 5\)"),
    ("BatchNormalization", {"axis": 0}, (5,), r"axis \[0\] is that of the batch in an input of shape \(None, 5\)"),
    ("Cropping1D", {"cropping": 2}, (4, 3), r"cropping=\(2, 2\) leaves nothing of an input of shape"),
    ("Cropping1D", {}, (4,), "expected an input of 3 axes, received shape"),
    ("GroupNormalization", {}, (5,), r"expected groups to divide the 5 features .* received groups=32"),
    ("GroupNormalization", {"groups": 2}, (5,), "expected groups to divide the 5 features"),
    ("LayerNormalization", {"axis": [1, -1]}, (5,), "twice"),
    ("LayerNormalization", {"axis": 2}, (5,), "expected an input with an axis 2"),
    ("Normalization", {"mean": [1.0, 2.0], "variance": [1.0, 2.0]}, (3,), r"mean of shape \(2,\) does not fit an input"),
    ("PReLU", {"shared_axes": [2]}, (5,), "expected an input with an axis 2"),
    ("Permute", {"dims": (2, 1)}, (5,), "expected an input of 3 axes"),
    ("RepeatVector", {"n": 2}, (3, 4), "expected an input of 2 axes"),
    ("Rescaling", {"scale": [1.0, 2.0]}, (3,), r"scale of shape \(2,\) does not fit an input of shape \(None, 3\)"),
    ("Reshape", {"target_shape": (3, 2)}, (5,), r"expected as many elements as target_shape=\(3, 2\) has, received"),
    ("Reshape", {"target_shape": (-1, 2)}, (5,), "expected as many elements as"),
    ("SpatialDropout1D", {"rate": 0.5}, (5,), "expected an input of 3 axes"),
    ("Softmax", {"axis": 2}, (5,), "expected an input with an axis 2"),
])  # fmt: skip
def test_inputs_that_do_not_fit(name: str, arguments: dict[str, Any], shape: tuple[int, ...], message: str) -> None:
    layer = getattr(layers, name)(**arguments)
    message = message.replace(r"\(None, ", r"\((None|2), ")  # of an array with its rows
    with pytest.raises(ModelError, match=rf"{layer.name} \({name}\): .*{message}"):
        layer(rows(2, *shape))
        layer.build((None, *shape))
    with pytest.raises(ModelError, match=message):
        getattr(layers, name)(**arguments)(symbol(*shape))
    ops.set_owner("")


def test_unknown_sizes() -> None:
    for layer in (layers.BatchNormalization(), layers.LayerNormalization(), layers.PReLU(), layers.RMSNormalization()):
        with pytest.raises(ModelError, match="the width of the input is not known"):
            layer.build((None, None))
    for layer in (layers.GroupNormalization(1), layers.Normalization()):
        with pytest.raises(ModelError, match="expected to know the size"):
            layer.build((None, None))
    assert layers.Cropping1D().compute_output_shape((None, None, 3)) == (None, None, 3)
    assert layers.UpSampling1D().compute_output_shape((None, None, 3)) == (None, None, 3)
    assert layers.ZeroPadding1D().compute_output_shape((None, None, 3)) == (None, None, 3)
    assert layers.Reshape((-1, 2)).compute_output_shape((None, None)) == (None, None, 2)
    assert layers.MaxPooling1D().compute_output_shape((None, None, 3)) == (None, None, 3)


def test_integers_that_are_none() -> None:
    for make in (lambda: layers.RepeatVector(2.0), lambda: layers.UpSampling1D("2"), lambda: layers.RepeatVector(True)):
        with pytest.raises(TypeError, match="expected .* to be a positive integer"):
            make()


def test_masks_are_refused() -> None:
    for layer, shape in ((layers.BatchNormalization(), (4, 3)), (layers.TimeDistributed(layers.Dense(2)), (4, 3, 2))):
        with pytest.raises(UnsupportedError, match="mask=ndarray is not supported yet"):
            layer(rows(*shape), mask=np.ones(shape[:-1], bool))


def test_noise_without_end() -> None:
    for layer in (layers.GaussianDropout(1.0), layers.AlphaDropout(1.0)):
        x = rows(2, 3)
        assert layer(x) is x
        with pytest.raises(ModelError, match="a rate of 1"):
            layer(x, training=True)


# ------------------------------------------------------------------ old spellings


@pytest.mark.parametrize(("name", "old", "new"), [
    ("BatchNormalization", {"beta_init": "ones"}, {"beta_initializer": "ones"}),
    ("BatchNormalization", {"gamma_init": "zeros"}, {"gamma_initializer": "zeros"}),
    ("BatchNormalization", {"mode": 0}, {}),
    ("Embedding", {"input_dim": 3, "output_dim": 2, "init": "ones"}, {"input_dim": 3, "output_dim": 2, "embeddings_initializer": "ones"}),
    ("Embedding", {"input_dim": 3, "output_dim": 2, "input_length": 5}, {"input_dim": 3, "output_dim": 2}),
    ("GaussianDropout", {"p": 0.3}, {"rate": 0.3}),
    ("GaussianNoise", {"sigma": 0.3}, {"stddev": 0.3}),
    ("LeakyReLU", {"alpha": 0.2}, {"negative_slope": 0.2}),
    ("MaxPooling1D", {"pool_length": 3, "stride": 2, "border_mode": "same"}, {"pool_size": 3, "strides": 2, "padding": "same"}),
    ("AveragePooling1D", {"pool_length": 3}, {"pool_size": 3}),
    ("PReLU", {"init": "ones"}, {"alpha_initializer": "ones"}),
    ("SpatialDropout1D", {"p": 0.3}, {"rate": 0.3}),
    ("UpSampling1D", {"length": 3}, {"size": 3}),
])  # fmt: skip
def test_old_spellings(name: str, old: dict[str, Any], new: dict[str, Any]) -> None:
    cls = getattr(layers, name)
    changed = [key for key in old if key not in new]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        made = cls(**old, name="x")
    assert [str(w.message).split("'")[1] for w in caught] == changed
    assert {w.category for w in caught} == {DeprecationWarning}
    assert {w.filename for w in caught} == {__file__}
    assert made.get_config() == cls(**new, name="x").get_config()


@pytest.mark.parametrize(("name", "wrong", "right"), [
    ("BatchNormalization", "momentm", "momentum"), ("Embedding", "mask_zeros", "mask_zero"), ("LeakyReLU", "slope", None),
    ("LayerNormalization", "epsilo", "epsilon"), ("Discretization", "bins", "num_bins"), ("ReLU", "max_val", "max_value"),
    ("Reshape", "shape", "input_shape"), ("SpatialDropout1D", "trainable", None),
])  # fmt: skip
def test_misspellings(name: str, wrong: str, right: str | None) -> None:
    hint = "" if right is None else f".*{right}"
    with pytest.raises(TypeError, match=f"'{wrong}'{hint}"):
        getattr(layers, name)(**{wrong: 1})


def test_configurations_of_keras_1_and_2() -> None:
    """Layers within a wrapper are read as others are, and hints that mean nothing are left out."""
    dense = {"class_name": "Dense", "config": {"name": "d", "output_dim": 2, "init": "one", "activation": "relu"}}
    old = [
        {"class_name": "Embedding", "config": {"batch_input_shape": [None, 6], "input_dim": 7, "output_dim": 3,
                                               "init": "uniform", "input_length": 6, "dropout": 0.0}},
        {"class_name": "SpatialDropout1D", "config": {"p": 0.5}},
        {"class_name": "MaxPooling1D", "config": {"pool_length": 2, "stride": 2, "border_mode": "valid"}},
        {"class_name": "UpSampling1D", "config": {"length": 3}},
        {"class_name": "TimeDistributed", "config": {"name": "t", "layer": dense}},
        {"class_name": "BatchNormalization", "config": {"mode": 0, "axis": [2], "beta_init": "zero", "gamma_init": "one"}},
    ]  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        modern = legacy_config.modern_model({"class_name": "Sequential", "config": old}, 1, "file")
        model = Sequential.from_config(modern["config"])
    assert model.output_shape == (None, 9, 2)
    wrapper = model.layers[4]
    assert (wrapper.layer.units, wrapper.layer.activation.__name__) == (2, "relu")
    np.testing.assert_array_equal(wrapper.layer.kernel.value, 1)
    assert model.layers[5].axis == 2
