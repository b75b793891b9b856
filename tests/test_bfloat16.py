"""Products of numbers that are rounded to bfloat16: the policy, what it computes on every target, and its files."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from reference import every_form

import nncompile as nn
from nncompile import dtype_policies, ops, targets
from nncompile.compiler import build
from nncompile.errors import ModelError, UnsupportedError

os.environ.setdefault("KERAS_BACKEND", "jax")
ml_dtypes = pytest.importorskip("ml_dtypes", reason="comes with jax, of the extra [test]")

EPS = float(np.finfo(np.float32).eps)
TARGETS = every_form(tiles=True)


@pytest.fixture(autouse=True)
def defaults() -> Iterator[None]:
    yield
    nn.config.set_dtype_policy(None)
    targets.set_threads(None)
    targets.set_host(None)


def low(x: Any) -> Any:
    return np.asarray(x, np.float32).astype(ml_dtypes.bfloat16).astype(np.float32)


def dense(*widths: int, activation: str = "sigmoid", last: str | None = None, inputs: int = 5) -> Any:
    nn.utils.set_random_seed(4)
    layers = [nn.layers.Dense(n, activation, dtype="mixed_bfloat16") for n in widths[:-1]]
    model = nn.Sequential([nn.Input((inputs,)), *layers, nn.layers.Dense(widths[-1], last, dtype="mixed_bfloat16")])
    biases = np.random.default_rng(2)
    for layer in model.layers:
        kernel, bias = layer.get_weights()
        layer.set_weights([kernel, biases.normal(size=bias.shape).astype("float32")])
    return model


def rows(count: int, width: int, seed: int = 1) -> Any:
    return np.random.default_rng(seed).normal(size=(count, width)).astype("float32")


# ------------------------------------------------------------------ rounding


def test_rounding_is_that_of_bfloat16() -> None:
    bits = np.random.default_rng(0).integers(0, 2**32, 200_000, dtype=np.uint64).astype(np.uint32)
    edges = np.array([0, 0x8000, 0x18000, 0x3F808000, 0x3F818000, 0x7F7FFFFF, 0x7F800000, 0x7FC00000, 1], np.uint32)
    x = np.concatenate([bits, edges, edges | np.uint32(1 << 31)]).view(np.float32)
    with np.errstate(all="ignore"):
        y = ops.bfloat16(x)
        expected = low(x)
    nan = np.isnan(x)
    assert nan.any() and np.isnan(y[nan]).all()
    assert y[~nan].tobytes() == expected[~nan].tobytes()
    wide = ops.bfloat16(x[np.isfinite(x)].astype("float64"))
    normal = np.abs(wide) >= np.finfo(np.float32).tiny
    same = np.isfinite(expected[np.isfinite(x)]) & normal
    np.testing.assert_array_equal(wide[same], expected[np.isfinite(x)][same])


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_rounding_in_c_is_that_of_numpy(target: str, dtype: str) -> None:
    nn.config.set_target(target)
    nn.config.set_floatx(dtype)
    model = nn.Sequential([nn.Input((3,)), nn.layers.Activation(ops.bfloat16)])
    special = [0.0, -0.0, np.inf, -np.inf, np.nan, 1.00390625, 1.01171875, 3.4e38, 1e-30]
    x = np.concatenate([np.array([*special, *special, *special]), rows(1, 600)[0] * 1e3]).reshape(-1, 3).astype(dtype)
    with np.errstate(all="ignore"):
        expected = ops.bfloat16(x)
    np.testing.assert_array_equal(model.predict(x, verbose=0), expected)


def test_the_gradient_passes_through() -> None:
    from nncompile.compiler.expression import differentiate

    x, g = (ops.symbol(n, ops.ELEMENT, (None, 3)) for n in "xg")
    assert differentiate(ops.bfloat16(x), g, [x]) == [g]
    assert ops.bfloat16(ops.bfloat16(x)) is ops.bfloat16(x)


# ------------------------------------------------------------------ products


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("inputs", [1, 2, 17, 33, 64])
def test_products_are_those_of_rounded_numbers(target: str, inputs: int) -> None:
    nn.config.set_target(target)
    given = nn.Input((inputs,))
    outputs = [nn.layers.Dense(n, dtype="mixed_bfloat16", bias_initializer="uniform")(given) for n in (1, 16, 31, 170)]
    model = nn.Model(given, outputs)
    weights = model.get_weights()
    for count in (1, 2, 13, 25, 61):
        x = rows(count, inputs)
        ys = model.predict(x, batch_size=61, verbose=0)
        alone = [(i, model.predict_on_batch(x[i : i + 1])) for i in range(0, count, 7)]
        for number, (y, kernel, bias) in enumerate(zip(ys, weights[::2], weights[1::2], strict=True)):
            exact = low(x).astype("float64") @ low(kernel).astype("float64")
            bound = (inputs + 2) * EPS * (np.abs(low(x)) @ np.abs(low(kernel)) + np.abs(bias))
            assert (np.abs(y - (exact + bias)) <= bound).all()
            for i, one in alone:  # a row alone, as each in its batch
                assert one[number].tobytes() == y[i : i + 1].tobytes()


@pytest.mark.parametrize("target", TARGETS)
def test_several_layers_and_an_array_through_them(target: str) -> None:
    nn.config.set_target(target)
    model = dense(70, 33, 6, last="softmax", inputs=37)
    x = rows(50, 37)
    value = x
    for layer in model.layers:
        value = layer(value)
    kernels = model.get_weights()[::2]
    assert max(np.abs(low(k) - k).max() for k in kernels) > 1e-4  # rounding shows
    np.testing.assert_allclose(model.predict(x, verbose=0), value, atol=2e-6)
    exact = nn.Sequential.from_config(model.get_config())
    for layer in exact.layers:
        layer.dtype_policy = "float32"
    exact.set_weights(model.get_weights())
    apart = np.abs(exact.predict(x, verbose=0) - value).max()
    assert 1e-5 < apart < 1e-2


def one_step(model: Any, x: Any, y: Any, rate: float) -> list[Any]:
    """SGD on the mean of squares, by hand: operands of products rounded, all else in float64."""
    (k0, b0), (k1, b1) = (tuple(w.astype("float64") for w in layer.get_weights()) for layer in model.layers)
    x = low(x).astype("float64")
    hidden = low(1 / (1 + np.exp(-(x @ low(k0) + b0)))).astype("float64")
    out = hidden @ low(k1) + b1
    exact_d1 = 2 * (out - y) / out.size
    d1 = low(exact_d1).astype("float64")
    d0 = low(d1 @ low(k1).T * hidden * (1 - hidden)).astype("float64")
    return [k0 - rate * x.T @ d0, b0 - rate * d0.sum(0), k1 - rate * hidden.T @ d1, b1 - rate * d1.sum(0)]


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("count", [1, 2, 24, 49])
@pytest.mark.parametrize("widths", [(33, 3), (64, 40), (1, 1)])
def test_an_update_by_hand(target: str, count: int, widths: tuple[int, int]) -> None:
    nn.config.set_target(target)
    model = dense(*widths, inputs=19)
    x, y = rows(count, 19), rows(count, widths[1], seed=5)
    before, expected = model.get_weights(), one_step(model, x, y, 0.5)
    model.compile(nn.optimizers.SGD(0.5), "mean_squared_error")
    model.fit(x, y, batch_size=count, verbose=0, shuffle=False)
    for old, new, by_hand in zip(before, model.get_weights(), expected, strict=True):
        # a number that is nearly halfway may be rounded to the other side, by 2^-8 of it
        step = np.abs(by_hand - old).max()
        assert step > 0 and np.abs(new - by_hand).max() <= step * 2**-7


@pytest.mark.parametrize("target", TARGETS)
def test_copies_follow_the_kernels(target: str) -> None:
    """After training, and after weights are set, products take the kernels as they are now."""
    nn.config.set_target(target)
    model = dense(35, 9, inputs=7)
    model.compile("adam", "mean_squared_error")
    x, y = rows(40, 7), rows(40, 9, seed=2)
    model.fit(x, y, batch_size=13, epochs=2, verbose=0)
    again = nn.Sequential.from_config(model.get_config())
    again.set_weights(model.get_weights())
    assert model.predict(x, verbose=0).tobytes() == again.predict(x, verbose=0).tobytes()
    weights = [w + 0.25 for w in model.get_weights()]
    model.set_weights(weights)
    again.layers[0].kernel.assign(weights[0])
    again.layers[0].bias.assign(weights[1])
    again.layers[1].set_weights(weights[2:])
    assert model.predict(x, verbose=0).tobytes() == again.predict(x, verbose=0).tobytes()


@pytest.mark.parametrize("target", TARGETS)
def test_same_bits_for_any_number_of_threads(target: str) -> None:
    nn.config.set_target(target)
    found = []
    for threads in (1, 2, 3):
        nn.config.set_num_threads(threads)
        model = dense(300, 70, 10, activation="relu", last="softmax", inputs=200)
        model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
        x, y = rows(700, 200), np.arange(700) % 10
        model.fit(x, y, batch_size=97, epochs=2, verbose=0)
        made = [*model.get_weights(), model.predict(x, verbose=0), model.predict(x[:1], verbose=0)]
        found.append(b"".join(a.tobytes() for a in made))
    assert found[0] == found[1] == found[2]


def test_nan_and_infinity_keep_their_meaning() -> None:
    model = dense(33, 40, activation="linear", inputs=19)
    x = rows(30, 19)
    x[3, 18], x[7, 0] = np.nan, np.inf
    y = model.predict(x, verbose=0)
    assert np.isnan(y[3]).all() and not np.isfinite(y[7]).any()
    assert np.isfinite(np.delete(y, [3, 7], axis=0)).all()
    kernel = model.layers[0].kernel.numpy()
    kernel[18, 2] = np.nan
    model.layers[0].kernel.assign(kernel)
    assert np.isnan(model.predict(x, verbose=0)).all() and np.isnan(model.predict_on_batch(x[:1])).all()


def test_frozen_layers_and_one_layer_in_float32() -> None:
    model = dense(20, 30, 4, inputs=11)
    model.layers[0].trainable = False
    model.layers[2].dtype_policy = "float32"
    model.compile("sgd", "mean_squared_error")
    before = model.get_weights()
    x, y = rows(50, 11), rows(50, 4, seed=3)
    losses = model.fit(x, y, epochs=20, verbose=0).history["loss"]
    after = model.get_weights()
    assert losses[-1] < losses[0]
    assert all((a == b).all() for a, b in zip(before[:2], after[:2], strict=True))
    assert all((a != b).any() for a, b in zip(before[2:], after[2:], strict=True))
    assert "dense_2_kernel_pairs" not in model.source() and "dense_1_kernel_pairs" in model.source()


def test_a_layer_of_the_users_multiplies_by_an_operator() -> None:
    """Rounded as ops.matmul does it, on arrays and compiled, whatever stands on the left; elsewhere as NumPy does."""

    class Own(nn.layers.Layer):  # type: ignore[misc]
        def build(self, input_shape: Any) -> None:
            self.kernel = self.add_weight(shape=(input_shape[-1], 9), name="kernel")

        def call(self, inputs: Any) -> Any:
            return inputs @ self.kernel

    x = rows(6, 40)
    layer = Own(dtype="mixed_bfloat16")
    model = nn.Sequential([nn.Input((40,)), layer])
    (kernel,) = layer.get_weights()
    expected = low(x) @ low(kernel)
    assert np.abs(x @ kernel - expected).max() > 1e-4
    np.testing.assert_allclose(layer(x), expected, atol=1e-5)
    np.testing.assert_allclose(np.asarray(model.call(x)), expected, atol=1e-5)
    np.testing.assert_allclose(model.predict(x, verbose=0), expected, atol=1e-5)
    assert np.array_equal(x @ layer.kernel, x @ kernel) and np.array_equal(np.matmul(x, layer.kernel), x @ kernel)
    other = np.ascontiguousarray(kernel.T)  # NumPy multiplies an array by its own transpose in another order
    assert np.array_equal(layer.kernel @ other, kernel @ other)
    assert np.array_equal(np.float32(2) * layer.kernel, 2 * kernel)
    assert np.array_equal(layer.kernel - layer.kernel, 0 * kernel) and np.array_equal(
        np.add.reduce(layer.kernel), kernel.sum(0)
    )
    sums = np.ones_like(kernel)
    before, sums = sums, np.add(sums, layer.kernel, out=sums)
    assert before is sums and np.array_equal(sums, 1 + kernel)
    with pytest.raises(TypeError):
        np.add(kernel, kernel, out=layer.kernel)


def test_losses_are_those_of_keras() -> None:
    """Keras rounds every intermediate result to bfloat16, this only what is multiplied."""
    import keras

    x, labels = rows(200, 30), np.arange(200) % 5
    x[np.arange(200), labels] += 2.0
    nn.config.set_dtype_policy("mixed_bfloat16")
    ours = nn.Sequential([nn.Input((30,)), nn.layers.Dense(50, "tanh"), nn.layers.Dense(5, "softmax", dtype="float32")])
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        theirs = keras.Sequential(
            [keras.Input((30,)), keras.layers.Dense(50, "tanh"), keras.layers.Dense(5, "softmax", dtype="float32")]
        )
        theirs.set_weights(ours.get_weights())
        found = []
        for model, optimizer in ((ours, nn.optimizers.Adam(0.01)), (theirs, keras.optimizers.Adam(0.01))):
            model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"])
            found.append(model.fit(x, labels, batch_size=25, epochs=8, shuffle=False, verbose=0).history)
    finally:
        keras.config.set_dtype_policy(before)
    np.testing.assert_allclose(found[0]["loss"], found[1]["loss"], rtol=0.02)
    np.testing.assert_allclose(found[0]["accuracy"], found[1]["accuracy"], atol=0.02)


# ------------------------------------------------------------------ files


@pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning")
def test_files_go_both_ways_and_the_export_is_the_network(tmp_path: Path) -> None:
    import keras

    model, x = dense(35, 6, last="softmax", inputs=21), rows(30, 21)
    y = model.predict(x, verbose=0)
    model.save(tmp_path / "m.keras")
    assert nn.saving.load_model(tmp_path / "m.keras").predict(x, verbose=0).tobytes() == y.tobytes()
    theirs = keras.saving.load_model(tmp_path / "m.keras")
    assert [layer.dtype_policy.name for layer in theirs.layers] == ["mixed_bfloat16"] * 2
    np.testing.assert_allclose(np.asarray(theirs.predict(x, verbose=0), "float32"), y, atol=0.02)
    theirs.save(tmp_path / "k.keras")
    assert nn.saving.load_model(tmp_path / "k.keras").predict(x, verbose=0).tobytes() == y.tobytes()

    deferred = keras.Sequential([keras.layers.Dense(3, dtype="mixed_bfloat16")])
    deferred.build((None, 4))
    deferred.save(tmp_path / "d.keras")  # its InputLayer says bfloat16
    assert nn.saving.load_model(tmp_path / "d.keras").layers[0].dtype_policy.name == "mixed_bfloat16"

    model.export(tmp_path / "m.c")
    compiler = build.find_compiler().command
    flags = ["-std=c99", "-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Wshadow", "-Werror", "-DM_SELF_TEST"]
    subprocess.run([*compiler, *flags, tmp_path / "m.c", "-o", tmp_path / "test"], check=True)
    done = subprocess.run([tmp_path / "test"], capture_output=True, text=True, check=True)
    assert "largest error 0," in done.stdout


# ------------------------------------------------------------------ the policy


def test_what_a_policy_is() -> None:
    assert nn.config.dtype_policy().name == "float32"
    nn.config.set_dtype_policy("mixed_bfloat16")
    policy = nn.config.dtype_policy()
    assert policy == nn.DTypePolicy("mixed_bfloat16") == nn.mixed_precision.global_policy() == nn.DTypePolicy()
    assert repr(policy) == '<DTypePolicy "mixed_bfloat16">' and hash(policy) == hash(nn.DTypePolicy())
    assert (policy.compute_dtype, policy.variable_dtype, policy.quantization_mode) == ("bfloat16", "float32", None)
    layer = nn.layers.Dense(3)
    assert (layer.dtype, layer.variable_dtype, layer.compute_dtype) == ("float32", "float32", "bfloat16")
    assert layer.dtype_policy == policy and nn.Input((3,)).dtype == "float32"
    assert nn.layers.Dense.from_config(layer.get_config()).dtype_policy == policy
    assert dtype_policies.deserialize(dtype_policies.serialize(policy)) == policy
    assert nn.layers.Dense(3, dtype=nn.DTypePolicy("float32")).compute_dtype == "float32"
    assert nn.layers.Dense(3, dtype=np.float64).dtype == "float64"
    nn.config.set_dtype_policy(None)
    nn.config.set_floatx("float64")
    assert nn.config.dtype_policy().name == "float64"


def test_the_policy_of_a_built_layer() -> None:
    model = dense(8, inputs=3)
    x = rows(1, 3)
    in_low = model.predict_on_batch(x)
    model.layers[0].dtype_policy = "float32"
    exact = model.predict_on_batch(x)
    assert (in_low != exact).any()
    model.layers[0].dtype_policy = nn.DTypePolicy("mixed_bfloat16")
    assert model.predict_on_batch(x).tobytes() == in_low.tobytes()
    with pytest.raises(ModelError, match="its weights are float32 already, received float64"):
        model.layers[0].dtype_policy = "float64"


@pytest.mark.parametrize("name", ["mixed_float16", "bfloat16", "float16", "int8_from_float32", "float8_from_float32"])
def test_policies_of_keras_that_are_not_here(name: str) -> None:
    for use in (nn.config.set_dtype_policy, nn.DTypePolicy, lambda n: nn.layers.Dense(3, dtype=n)):
        with pytest.raises(UnsupportedError, match=f"{name} is not supported; use float32, float64, mixed_bfloat16"):
            use(name)
    assert nn.config.dtype_policy().name == "float32"


@pytest.mark.parametrize("wrong", ["mixed_bfloat61", "foo", 3, ["float32"]])
def test_what_is_no_policy(wrong: Any) -> None:
    with pytest.raises(ModelError, match="set_dtype_policy: expected one of 'float32', 'float64', 'mixed_bfloat16'"):
        nn.config.set_dtype_policy(wrong)
    with pytest.raises(ModelError, match=r"set_dtype_policy\('mixed_bfloat16'\)|expected 'float32' or 'float64'"):
        nn.config.set_floatx(wrong)
    with pytest.raises(UnsupportedError, match="'Int4DTypePolicy' is not supported"):
        dtype_policies.get({"class_name": "Int4DTypePolicy", "config": {}})
