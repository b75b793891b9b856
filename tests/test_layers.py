"""Layers: numbers, shapes, configurations against Keras, old spellings, bad arguments."""

from __future__ import annotations

import copy
import json
import math
import pickle
import warnings

import numpy as np
import pytest
from oracle import keras

from nncompile import activations, backend, config, initializers, layers, ops, random, registry, regularizers, utils
from nncompile.errors import FileFormatError, ModelError, UnsupportedError
from nncompile.layers import Activation, Dense, Dropout, Flatten, Input, InputLayer, InputSpec, Layer, penalties
from nncompile.models import Sequential
from nncompile.variables import Variable


@pytest.fixture(autouse=True)
def fresh_names():
    backend.clear_session(free_memory=False)
    keras.backend.clear_session(free_memory=False)
    yield
    config.set_floatx("float32")


def rows(*shape):
    return np.random.default_rng(1).normal(size=shape).astype("float32")


def symbol(*shape):
    return ops.symbol("x", ops.ELEMENT, shape)


# ------------------------------------------------------------------ Dense


@pytest.mark.parametrize("shape", [(4, 7), (1, 7), (0, 7), (3, 5, 7), (2, 3, 4, 7)])
@pytest.mark.parametrize("activation", [None, "relu", "softmax", "tanh"])
def test_dense_computes_what_keras_computes(shape, activation):
    ours, theirs = Dense(3, activation, bias_initializer="normal"), keras.layers.Dense(3, activation)
    x = rows(*shape)
    y = ours(x)
    theirs.build((None, *shape[1:]))
    theirs.set_weights(ours.get_weights())
    assert y.dtype == "float32"
    np.testing.assert_allclose(y, np.asarray(theirs(x)), rtol=2e-6, atol=2e-6)
    assert ours.compute_output_shape((None, *shape[1:])) == (None, *shape[1:-1], 3)


def test_dense_weights():
    layer = Dense(3)
    assert not layer.built
    assert layer.weights == []
    layer.build((None, 7))
    assert layer.built
    kernel, bias = layer.weights
    assert (kernel.name, kernel.path, kernel.shape) == ("kernel", "dense/kernel", (7, 3))
    assert (bias.name, bias.path, bias.shape) == ("bias", "dense/bias", (3,))
    assert layer.kernel is kernel
    assert layer.bias is bias
    assert kernel.trainable
    assert layer.count_params() == 24
    assert not bias.value.any()
    limit = math.sqrt(6 / 10)
    assert 0.5 * limit < np.abs(kernel.value).max() <= limit
    assert layer.input_shape == (None, 7)
    assert layer.output_shape == (None, 3)
    assert layer.get_build_config() == {"input_shape": (None, 7)}
    assert repr(layer) == "<Dense name=dense, built=True>"
    assert layer.path == "dense"


def test_dense_without_bias():
    layer = Dense(3, use_bias=False)
    layer.build((None, 2))
    assert layer.bias is None
    assert [w.name for w in layer.weights] == ["kernel"]
    x = rows(4, 2)
    np.testing.assert_allclose(layer(x), x @ layer.kernel.value, rtol=1e-6)


def test_dense_in_float64():
    layer = Dense(3, dtype="float64")
    y = layer(rows(2, 4))
    assert (layer.dtype, layer.compute_dtype, layer.variable_dtype) == ("float64",) * 3
    assert y.dtype == layer.kernel.value.dtype == "float64"
    config.set_floatx("float64")
    assert Dense(3).dtype == "float64"


POLICY = {"module": "keras", "class_name": "DTypePolicy", "config": {"name": "float32"}, "registered_name": None}


@pytest.mark.parametrize("dtype", [np.float32, np.dtype("float32"), POLICY])
def test_forms_of_dtype(dtype):
    assert Dense(3, dtype=dtype).dtype == "float32"


@pytest.mark.parametrize("dtype", [None, "int64", "uint8", "float32", "float64"])
def test_dense_takes_any_numbers(dtype):
    data = [[1, 2], [3, 4]] if dtype is None else np.array([[1, 2], [3, 4]], dtype)
    layer = Dense(2, kernel_initializer="identity")
    y = layer(data)
    assert y.dtype == "float32"
    np.testing.assert_array_equal(y, [[1, 2], [3, 4]])


def test_dense_of_symbols():
    layer = Dense(3, "relu", name="mine")
    y = layer(symbol(None, 7))
    assert isinstance(y, ops.Expression)
    assert y.shape == (None, 3)
    assert layer.kernel.shape == (7, 3)
    assert y.owner == "mine"
    assert layer(symbol(None, 5, 7)).shape == (None, 5, 3)
    assert ops.set_owner("") == ""


@pytest.mark.parametrize("units", [0, -1, 2.0, 2.5, True, False, "3", None, [3], np.float32(3), math.nan])
def test_units_must_be_positive(units):
    with pytest.raises(ModelError, match="Dense: expected units to be a positive integer, received "):
        Dense(units)
    with pytest.raises(ValueError, match="units"):
        Dense(units)


def test_units_of_numpy_are_integers():
    layer = Dense(np.int64(3))
    assert layer.units == 3
    assert type(layer.units) is int


@pytest.mark.parametrize(
    "name",
    [
        "lora_rank",
        "lora_alpha",
        "quantization_config",
    ],
)
def test_unsupported_arguments_are_refused_by_name(name):
    value = 4 if "lora" in name else "l2"
    with pytest.raises(UnsupportedError, match=f"Dense: {name}={value!r} is not supported yet"):
        Dense(3, **{name: value})
    with pytest.raises(NotImplementedError):
        Dense(3, **{name: value})
    Dense(3, **{name: None})


def test_signature_is_that_of_keras():
    import inspect

    for ours, theirs in (
        (Dense, keras.layers.Dense),
        (Dropout, keras.layers.Dropout),
        (Flatten, keras.layers.Flatten),
        (Activation, keras.layers.Activation),
        (InputLayer, keras.layers.InputLayer),
        (Layer, keras.layers.Layer),
    ):

        def arguments(cls):
            return [(p.name, p.default, p.kind) for p in inspect.signature(cls.__init__).parameters.values()]

        assert arguments(ours) == arguments(theirs)
    ours, theirs = inspect.signature(Input), inspect.signature(keras.Input)
    assert [(p.name, p.default) for p in ours.parameters.values()] == [
        (p.name, p.default) for p in theirs.parameters.values()
    ]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Dense(unit=500), "Dense got an unexpected keyword argument 'unit'. Did you mean 'units'?"),
        (lambda: Dense(5, activaton="relu"), "Did you mean 'activation'?"),
        (lambda: Dense(5, kernel_init="zeros"), "Did you mean 'kernel_initializer'"),
        (lambda: Dense(5, nmae="x"), "Did you mean 'name'?"),
        (lambda: Dense(5, input_shap=(3,)), "Did you mean 'input_shape'"),
        (lambda: Dense(5, zzz=1), "unexpected keyword argument 'zzz'.$"),
        (Dense, "missing 1 required positional argument: 'units'"),
        (lambda: Dense(units=5, output_dim=5), "got both 'output_dim' and 'units'"),
        (lambda: Dense(5, input_dim=3, input_shape=(3,)), "got both 'input_shape' and 'input_dim'"),
        (lambda: Dense(5, batch_size=3), "got 'batch_size' without 'input_shape'"),
        (lambda: Dropout(ratee=0.5), "Did you mean 'rate'?"),
        (lambda: Dropout(0.5, noise_shap=1), "Did you mean 'noise_shape'?"),
        (lambda: Flatten(dataformat=None), "Did you mean 'data_format'?"),
        (lambda: Activation(activaton="relu"), "Did you mean 'activation'?"),
        (lambda: Input(shap=(3,)), "unexpected keyword argument 'shap'"),
        (lambda: InputLayer(shap=(3,)), "Did you mean 'shape'"),
        (lambda: Layer(nam="x"), "Did you mean 'name'?"),
    ],
)
def test_misspellings(make, message):
    with pytest.raises(TypeError, match=message.replace("?", r"\?")):
        make()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"use_bias": "yes"}, "expected use_bias to be True or False"),
        ({"activation": "rellu"}, "unknown name 'rellu'. Did you mean 'relu'"),
        ({"activation": 3}, "activations: expected a name"),
        ({"kernel_initializer": "glorot"}, "initializers: unknown name 'glorot'"),
        ({"bias_initializer": 1.5}, "initializers: expected a name"),
        ({"trainable": 1}, "expected trainable to be True or False, received 1"),
        ({"name": 3}, "expected name to be a string, received 3"),
        ({"name": 3}, "expected name to be a string"),
        ({"dtype": "float"}, "expected one of 'float32', 'float64', 'mixed_bfloat16', received 'float'"),
        ({"dtype": 3}, "expected one of 'float32', 'float64', 'mixed_bfloat16', received 3"),
    ],
)  # fmt: skip
def test_bad_arguments_of_dense(arguments, message):
    with pytest.raises(ModelError, match=message):
        Dense(3, **arguments)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "mixed_float16", "int8"])
def test_other_types_are_refused(dtype):
    with pytest.raises(UnsupportedError, match=f"Dense: dtype: {dtype} is not supported"):
        Dense(3, dtype=dtype)


@pytest.mark.parametrize(
    ("data", "error", "message"),
    [
        (rows(3), ModelError, r"dense \(Dense\): expected \(batch, features\), received shape \(3,\)"),
        (np.float32(3), ModelError, r"expected \(batch, features\), received shape \(\)"),
        (
            rows(3, 5),
            ModelError,
            r"dense \(Dense\): expected 4 features, received shape \(3, 5\). Its weights",
        ),
        (
            rows(3, 2, 2),
            ModelError,
            r"expected 4 features, received shape \(3, 2, 2\). Put Flatten\(\) before it.",
        ),
        (np.array([["a", "b"]]), ModelError, "expected numbers, received an array of <U1"),
        (np.array([[None]]), ModelError, "expected numbers, received an array of object"),
        (np.ones((1, 4), complex), ModelError, "expected numbers, received an array of complex128"),
        ([[1.0], [1.0, 2.0]], ModelError, "expected an array, received list"),
        ([rows(1, 4), rows(1, 4)], ModelError, r"expected 1 input, received 2 of shapes \(1, 4\), \(1, 4\)"),
        ({"x": rows(1, 4), "y": rows(1, 4)}, ModelError, "expected 1 input, received 2"),
    ],
)
def test_bad_input_of_dense(data, error, message):
    layer = Dense(3)
    layer.build((None, 4))
    with pytest.raises(error, match=message):
        layer(data)


def test_width_must_be_known():
    with pytest.raises(ModelError, match=r"expected to know the width of its input, received shape \(None, None\)"):
        Dense(3).build((None, None))
    with pytest.raises(ModelError, match=r"dense_1 \(Dense\): expected a shape, received the number 3. Write \(3,\)"):
        Dense(3).build(3)
    with pytest.raises(ModelError, match=r"expected sizes of 0 or more, or None, received -1"):
        Dense(3).build((None, -1))


def test_too_large_is_said():
    with pytest.raises(ModelError, match=r"kernel: a weight of shape \(1000000, 1000000000000\) needs .* GB of memory"):
        Dense(10**12, kernel_initializer="zeros").build((None, 10**6))


def test_built_once():
    layer = Dense(3)
    layer.build((None, 4))
    before = layer.get_weights()
    with pytest.raises(ModelError, match=r"dense \(Dense\): expected 4 features, received shape \(None, 5\)"):
        layer.build((None, 5))
    with pytest.raises(ModelError, match=r"dense \(Dense\): is built already, for an input of shape \(None, 4\)"):
        layer.build((None, 4))
    with pytest.raises(ModelError, match="weights can only be added in __init__ or build"):
        layer.add_weight(shape=(1,))
    with pytest.raises(ModelError, match="'extra' can only be set to a weight or a layer in __init__ or build"):
        layer.extra = Dense(3)
    layer.note = "anything else"
    layer.kernel = layer.kernel
    np.testing.assert_equal(layer.get_weights(), before)


def test_a_build_that_fails_leaves_nothing():
    def wrong(shape, dtype=None):
        return np.zeros(7)

    layer = Dense(3, bias_initializer=wrong)
    with pytest.raises(
        ModelError, match=r"dense \(Dense\): bias: its initializer returned shape \(7,\) instead of \(3,\)"
    ):
        layer.build((None, 4))
    assert not layer.built
    assert layer.weights == []
    layer.bias_initializer = lambda shape, dtype=None: np.zeros(shape)
    layer.build((None, 5))
    assert [w.shape for w in layer.weights] == [(5, 3), (3,)]


def test_get_and_set_weights():
    layer = Dense(2)
    layer.build((None, 3))
    new = [np.ones((3, 2)), [1.0, 2.0]]
    layer.set_weights(new)
    np.testing.assert_array_equal(layer.get_weights()[0], new[0])
    np.testing.assert_array_equal(layer.get_weights()[1], new[1])
    assert layer.get_weights()[0].dtype == "float32"
    with pytest.raises(ModelError, match=r"dense \(Dense\): expected 2 weights, received 1"):
        layer.set_weights([np.ones((3, 2))])
    with pytest.raises(ModelError, match=r"expected shape \(2,\) for dense/bias, received \(3,\)"):
        layer.set_weights([np.zeros((3, 2)), np.ones(3)])
    np.testing.assert_array_equal(layer.get_weights()[0], new[0])
    layer.get_weights()[0][:] = 9
    assert layer.kernel.value.max() == 1
    with pytest.raises(ModelError, match=r"expected 0 weights, received 1. Build it first"):
        Dense(2).set_weights([1])
    with pytest.raises(ModelError, match="has no weights before it is built"):
        Dense(2).count_params()
    with pytest.raises(AttributeError, match="no input shape before it is built"):
        Dense(2).input_shape  # noqa: B018


def test_own_variables():
    layer, other = Dense(2), Dense(2)
    layer.build((None, 3))
    other.build((None, 3))
    store = {}
    layer.save_own_variables(store)
    assert list(store) == ["0", "1"]
    other.load_own_variables(store)
    np.testing.assert_array_equal(other.kernel.value, layer.kernel.value)
    with pytest.raises(ModelError, match="expected 2 weights, received 1"):
        other.load_own_variables({"0": 1})


def test_trainable():
    layer = Dense(2, trainable=False)
    layer.build((None, 3))
    assert layer.trainable_weights == []
    assert layer.non_trainable_weights == layer.weights
    assert not layer.kernel.trainable
    layer.trainable = True
    assert layer.trainable_weights == layer.weights
    assert layer.kernel.trainable


# ------------------------------------------------------------------ old spellings


def warned(make, *messages):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        result = make()
    assert [w.category for w in caught] == [DeprecationWarning] * len(messages)
    for warning, message in zip(caught, messages, strict=True):
        assert message in str(warning.message)
        assert warning.filename == __file__
    return result


@pytest.mark.parametrize(
    ("old", "new", "value"),
    [
        ("output_dim", "units", 5),
        ("init", "kernel_initializer", "he_normal"),
        ("bias", "use_bias", False),
    ],
)
def test_old_names_of_dense(old, new, value):
    arguments = {"units": 4, old: value}
    if old == "output_dim":
        del arguments["units"]
    layer = warned(lambda: Dense(**arguments), f"Dense: {old!r} is the spelling of Keras 1 or 2; use {new!r}")
    written = layer.get_config()[new]
    assert written == value or written["class_name"] == "HeNormal"


def test_old_and_new_name_together():
    with (
        pytest.warns(DeprecationWarning, match="'output_dim'"),
        pytest.raises(TypeError, match="multiple values for argument 'units'"),
    ):
        Dense(5, output_dim=5)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("W_regularizer", "kernel_regularizer"),
        ("b_regularizer", "bias_regularizer"),
        ("W_constraint", "kernel_constraint"),
        ("b_constraint", "bias_constraint"),
    ],
)
def test_old_names_of_penalties(old, new):
    value = "l2" if "regularizer" in old else "non_neg"
    layer = warned(lambda: Dense(3, **{old: value}), f"{old!r} is the spelling of Keras 1 or 2; use {new!r}")
    assert getattr(layer, new).get_config() == getattr(Dense(3, **{new: value}), new).get_config()


def test_a_line_of_keras_1():
    layer = warned(
        lambda: Dense(
            output_dim=2, init="uniform", bias=True, b_constraint=None, input_dim=3,
            weights=[np.ones((3, 2)), np.zeros(2)],
        ),
        "'output_dim'", "'init'", "'bias'", "'b_constraint'", "'weights'", "Input((3,))",
    )  # fmt: skip
    layer.build((None, 3))
    np.testing.assert_array_equal(layer([[1, 2, 3]]), [[6, 6]])


@pytest.mark.parametrize(
    ("arguments", "shape", "message"),
    [
        (
            {"input_dim": 7},
            (None, 7),
            "Dense: 'input_dim' is the spelling of Keras 1 or 2; put Input((7,)) before",
        ),
        (
            {"input_shape": (7,)},
            (None, 7),
            "'input_shape' is the spelling of Keras 1 or 2; put Input((7,)) before",
        ),
        ({"input_shape": [3, 7]}, (None, 3, 7), "put Input((3, 7))"),
        ({"input_shape": (7,), "batch_size": 5}, (5, 7), "put Input((7,), batch_size=5)"),
        ({"batch_input_shape": (5, 7)}, (5, 7), "put Input((7,), batch_size=5)"),
        ({"batch_input_shape": (None, 7)}, (None, 7), "put Input((7,)) before"),
    ],
)
def test_old_ways_to_say_the_input(arguments, shape, message):
    layer = warned(lambda: Dense(3, **arguments), message)
    assert layer._batch_shape_argument == shape
    assert "input_shape" not in layer.get_config()
    for cls in (Flatten, lambda **kw: Dropout(0.5, **kw), lambda **kw: Activation("relu", **kw)):
        assert warned(lambda cls=cls: cls(**arguments), message.replace("Dense: ", ""))._batch_shape_argument == shape


def test_old_ways_to_say_the_input_wrongly():
    with pytest.raises(ModelError, match=r"Dense: input_shape: expected a shape, received the number 7. Write \(7,\)"):
        Dense(3, input_shape=7)
    with pytest.raises(ModelError, match="Dense: input_dim: expected sizes of 0 or more"):
        Dense(3, input_dim="7")


def test_wrong_initial_weights():
    layer = warned(lambda: Dense(2, weights=[np.ones((3, 2))]), "use set_weights()")
    with pytest.raises(ModelError, match="expected 2 weights, received 1"):
        layer.build((None, 3))


def test_old_names_of_dropout_and_input():
    assert warned(lambda: Dropout(p=0.3), "Dropout: 'p' is the spelling of Keras 1 or 2; use 'rate'").rate == 0.3
    assert warned(lambda: InputLayer(input_shape=(3,)), "use 'shape'").batch_shape == (None, 3)
    assert warned(lambda: InputLayer(batch_input_shape=(2, 3)), "use 'batch_shape'").batch_shape == (2, 3)


def test_no_warnings_without_old_names():
    warned(
        lambda: [
            Dense(3),
            Dropout(0.5),
            Flatten(),
            Activation("relu"),
            Input((3,)),
            Dense(3).build((None, 3)),
        ]
    )


# ------------------------------------------------------------------ names


@pytest.mark.parametrize(
    "name",
    ["int", 'a"b', "a\nb", "*/ int x; /*", "*\\ #include <x>", "日本", "", " ", "a.b", "%s", "{{x}}", "\\", "\0"],
)
def test_any_string_is_a_name(name):
    layer = Dense(2, name=name)
    assert layer.name == name
    assert layer.get_config()["name"] == name
    assert not layer._auto_named
    layer.build((None, 2))
    assert layer.kernel.path == f"{name}/kernel"
    with pytest.raises(ModelError) as error:
        layer(rows(2, 3))
    assert "\n" not in str(error.value)


def test_automatic_names_are_those_of_keras():
    def names(module):
        return [
            made.name
            for made in (
                module.Dense(1),
                module.Dense(1),
                module.Dense(1, name="dense_7"),
                module.Dense(1),
                module.Dropout(0.5),
                module.Flatten(),
                module.Activation("relu"),
                module.Activation("relu"),
                module.InputLayer((3,)),
                module.InputLayer((3,)),
                type("MyLSTMBlock2D", (module.Layer,), {})(),
                type("XMLHttp", (module.Layer,), {})(),
            )
        ]

    assert names(layers) == names(keras.layers)
    assert Dense(1)._auto_named
    utils.clear_session()
    assert Dense(1).name == "dense"


# ------------------------------------------------------------------ Activation, Flatten, Dropout, Input


@pytest.mark.parametrize("name", [None, "relu", "softmax", "gelu", "linear"])
def test_activation(name):
    ours, theirs = Activation(name), keras.layers.Activation(name)
    x = rows(3, 5)
    np.testing.assert_allclose(ours(x), np.asarray(theirs(x)), rtol=1e-5, atol=1e-6)
    assert ours.built
    assert ours.get_build_config() is None
    assert ours.compute_output_shape((None, 5)) == (None, 5)
    assert ours(symbol(None, 5)).shape == (None, 5)
    assert ours.count_params() == 0
    assert Activation("tanh")([[1, 2]]).dtype == "float32"


def halves(x):
    """An activation that changes the width."""
    return ops.sum(x, axis=-1, keepdims=True) * 0.5


def test_activation_of_the_users():
    assert Activation(halves).compute_output_shape((None, 7)) == (None, 1)
    assert Dense(4, halves).compute_output_shape((None, 7)) == (None, 1)
    assert Activation(halves)(rows(3, 7)).shape == (3, 1)
    layer = Dense(4, activation=Activation("relu"))
    layer.build((None, 3))
    assert (layer(rows(5, 3)) >= 0).all()
    with pytest.raises(ModelError, match="cannot be saved, because it has no name"):
        Dense(4, activation=lambda x: x).get_config()


@pytest.mark.parametrize("shape", [(3,), (3, 4), (3, 4, 5), (2, 3, 4, 5), (0, 3, 4), (3, 0, 2), (1, 1)])
def test_flatten(shape):
    ours, theirs = Flatten(), keras.layers.Flatten()
    x = rows(*shape)
    y = ours(x)
    assert y.shape == (shape[0], math.prod(shape[1:]))
    if x.size:
        np.testing.assert_array_equal(y, np.asarray(theirs(x)))
    assert ours.compute_output_shape((None, *shape[1:])) == theirs.compute_output_shape((None, *shape[1:]))
    assert ours.built


def test_flatten_of_symbols():
    assert Flatten()(symbol(None, 28, 28)).shape == (None, 784)
    assert Flatten().compute_output_shape((None, None, 4)) == (None, None)
    assert Flatten()(np.ones((2, 3, 4), "uint8")).dtype == "uint8"


def test_flatten_channels_first():
    layer, theirs = Flatten("channels_first"), keras.layers.Flatten("channels_first")
    for shape in ((3, 4), (2, 3, 4), (2, 3, 4, 5)):
        np.testing.assert_array_equal(layer(rows(*shape)), np.asarray(theirs(rows(*shape))))
    with pytest.raises(ModelError, match="expected data_format 'channels_last' or 'channels_first', received 'x'"):
        Flatten("x")
    with pytest.raises(ModelError, match="expected an input of 1 axes or more"):
        Flatten()(3.0)


def test_dropout():
    layer = Dropout(0.25, seed=3)
    x = np.ones((300, 200), "float32")
    assert layer(x) is x
    assert layer(x, training=False) is x
    y = layer(x, training=True)
    assert y.dtype == "float32"
    assert set(np.unique(y)) == {np.float32(0), np.float32(1 / 0.75)}
    assert (y == 0).mean() == pytest.approx(0.25, abs=0.01)
    assert not np.array_equal(y, layer(x, training=True))
    assert layer.built
    np.testing.assert_array_equal(y, Dropout(0.25, seed=3)(x, training=True))
    assert not np.array_equal(y, Dropout(0.25)(x, training=True))
    assert Dropout(0.5)([[1, 2]], training=True).dtype == "float32"


def test_dropout_keeps_where_the_noise_is_small():
    layer = Dropout(0.3, seed=9)
    x = rows(50, 4)
    noise = random.uniform((50, 4), seed=random.SeedGenerator(9))
    expected = np.where(noise < 0.7, x / np.float32(0.7), 0)
    np.testing.assert_allclose(layer(x, training=True), expected, rtol=1e-6)


def test_dropout_at_its_ends():
    x = rows(5, 4)
    none, all_ = Dropout(0), Dropout(1.0)
    assert none(x, training=True) is x
    assert none.seed_generator is None
    np.testing.assert_array_equal(all_(x, training=True), np.zeros((5, 4)))
    assert all_(x) is x


def test_dropout_of_symbols():
    layer = Dropout(0.5, name="drop")
    x = symbol(None, 5)
    assert layer(x) is x
    y = layer(x, training=True)
    assert y.op == "where"
    assert y.shape == (None, 5)
    noise = y.args[0].args[0]
    assert noise.op == "noise"
    assert noise.value.seed is layer.seed_generator
    assert Dropout(0.5)(x, training=True) is not y
    assert Dropout(0)(x, training=True) is x
    assert Dropout(1)(x, training=True).shape == (None, 5)


def test_dropout_seed_is_a_variable():
    layer = Dropout(0.5, seed=4)
    theirs = keras.layers.Dropout(0.5, seed=4)
    assert layer.weights == []
    assert [v.path for v in layer.variables] == [v.path for v in theirs.variables]
    assert list(layer.variables[0].value) == [4, 0]
    assert layer.non_trainable_variables == layer.variables
    assert layer.trainable_variables == []


@pytest.mark.parametrize("rate", [-0.1, 1.1, math.nan, "0.5", None, True, [0.5], math.inf])
def test_rate(rate):
    with pytest.raises(ModelError, match="Dropout: expected rate to be a number between 0 and 1, received"):
        Dropout(rate)


def test_dropout_refuses():
    with pytest.raises(ModelError, match="seed: expected an integer"):
        Dropout(0.5, seed="a")
    assert Dropout(np.float32(0.5)).get_config()["rate"] == 0.5


@pytest.mark.parametrize(
    ("arguments", "shape"),
    [
        ({"shape": (3,)}, (None, 3)),
        ({"shape": [3, 4]}, (None, 3, 4)),
        ({"shape": ()}, (None,)),
        ({"shape": (None, 4)}, (None, None, 4)),
        ({"shape": (3,), "batch_size": 5}, (5, 3)),
        ({"batch_shape": (5, 3)}, (5, 3)),
        ({"batch_shape": (None, 3)}, (None, 3)),
        ({"shape": (np.int64(3),)}, (None, 3)),
        ({"shape": np.array([3, 4])}, (None, 3, 4)),
    ],
)
def test_input(arguments, shape):
    made, theirs = Input(**arguments), keras.Input(**arguments)
    assert made.shape == tuple(theirs.shape) == shape
    assert made.dtype == theirs.dtype == "float32"
    layer = made._keras_history[0]
    assert isinstance(layer, InputLayer)
    assert layer.built
    assert layer.batch_shape == layer.input_shape == layer.output_shape == shape
    assert Input((3,), name="q").name == "q"
    for dtype in ("float64", "int32", "uint8", "bool", np.int64):
        assert Input((3,), dtype=dtype).dtype == np.dtype(dtype).name


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, r"Input 'input_layer': expected a shape, for example Input\(\(784,\)\)"),
        ({"shape": 784}, r"expected a shape, received the number 784. Write \(784,\)"),
        ({"shape": "784"}, "expected a shape, a tuple of integers, received '784'"),
        ({"shape": (784.0,)}, "expected sizes of 0 or more, or None, received 784.0"),
        ({"shape": (-1,)}, "received -1"),
        ({"shape": (True,)}, "received True"),
        ({"shape": ("a",)}, "received 'a'"),
        ({"shape": (0,)}, r"expected positive sizes, received \(None, 0\)"),
        ({"shape": (3,), "batch_size": 0}, r"expected positive sizes, received \(0, 3\)"),
        ({"shape": (3,), "batch_size": 2.5}, "batch_size: expected sizes"),
        ({"shape": (3,), "batch_shape": (None, 3)}, "expected either shape or batch_shape, received both"),
        (
            {"batch_size": 3, "batch_shape": (None, 3)},
            "expected either batch_size or batch_shape, received both",
        ),
        ({"batch_shape": ()}, "expected batch_shape to begin with the number of rows"),
        ({"shape": (3,), "dtype": "foo"}, "expected one of 'float32', 'float64', 'mixed_bfloat16', received 'foo'"),
        ({"shape": (3,), "name": 3}, "expected name to be a string, received 3"),
    ],
)
def test_bad_input(arguments, message):
    with pytest.raises(ModelError, match=message):
        Input(**arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"sparse": True}, "sparse=True"),
        ({"ragged": True}, "ragged=True"),
        ({"tensor": 3}, "input_tensor=3"),
        ({"optional": True}, "optional=True"),
        ({"dtype": "float16"}, "float16"),
    ],
)
def test_unsupported_input(arguments, message):
    with pytest.raises(UnsupportedError, match=message):
        Input((3,), **arguments)
    Input((3,), sparse=False, ragged=False, optional=False)


# ------------------------------------------------------------------ configurations

CONFIGS = [
    ("Dense", {"units": 3}),
    ("Dense", {"units": 3, "activation": "relu", "use_bias": False, "trainable": False}),
    ("Dense", {"units": 3, "activation": "softmax", "kernel_initializer": "he_normal", "bias_initializer": "ones"}),
    ("Dense", {"units": 3, "activation": "swish", "dtype": "float64"}),
    ("Dense", {"units": 1, "name": 'odd "name"\n* é'}),
    ("Dropout", {"rate": 0.5}),
    ("Dropout", {"rate": 0, "seed": 3}),
    ("Dropout", {"rate": 1}),
    ("Flatten", {}),
    ("Flatten", {"data_format": "channels_first"}),
    ("Activation", {"activation": "tanh"}),
    ("Activation", {"activation": None}),
    ("InputLayer", {"shape": (3,)}),
    ("InputLayer", {"batch_shape": (5, 3, 4), "dtype": "float64"}),
]  # fmt: skip


@pytest.mark.parametrize(("name", "arguments"), CONFIGS, ids=str)
@pytest.mark.filterwarnings("ignore:Explicitly requested dtype float64")  # by JAX
def test_configuration_is_that_of_keras(name, arguments):
    ours, theirs = getattr(layers, name)(**arguments), getattr(keras.layers, name)(**arguments)
    assert list(ours.get_config().items()) == list(theirs.get_config().items())  # in this order
    assert layers.serialize(ours) == keras.layers.serialize(theirs)
    if name != "InputLayer":
        ours.build((None, 4))
        theirs.build((None, 4))
    assert layers.serialize(ours) == keras.layers.serialize(theirs)
    form = json.loads(json.dumps(layers.serialize(ours)))
    back = layers.deserialize(form)
    assert type(back) is type(ours)
    assert back.get_config() == ours.get_config()
    assert keras.layers.deserialize(form).get_config() == theirs.get_config()
    assert type(ours).from_config(theirs.get_config()).get_config() == ours.get_config()
    back.build_from_config(form.get("build_config"))
    assert [w.shape for w in back.weights] == [w.shape for w in ours.weights]


def test_configuration_of_an_initializer_with_arguments():
    ours = Dense(3, kernel_initializer=initializers.RandomUniform(-1.0, 1.0, seed=3), name="d")
    theirs = keras.layers.Dense(3, kernel_initializer=keras.initializers.RandomUniform(-1.0, 1.0, seed=3), name="d")
    assert list(ours.get_config().items()) == list(theirs.get_config().items())
    assert Dense.from_config(ours.get_config())(rows(2, 2)).tolist() == ours(rows(2, 2)).tolist()


def test_configuration_of_a_function_of_the_users():
    form = json.loads(json.dumps(layers.serialize(Dense(4, activation=halves, name="d"))))
    with utils.custom_object_scope({"halves": halves}):
        back = layers.deserialize(form)
    assert back.activation is halves
    with pytest.raises(UnsupportedError, match="'halves' is not known here"):
        layers.deserialize(form)


def test_configurations_of_keras_2_are_read():
    dense = {
        "name": "dense_1", "trainable": True, "batch_input_shape": [None, 784], "dtype": "float32", "units": 10,
        "activation": "relu", "use_bias": True,
        "kernel_initializer": {
            "class_name": "VarianceScaling",
            "config": {"scale": 1.0, "mode": "fan_avg", "distribution": "uniform", "seed": None},
        },
        "bias_initializer": {"class_name": "Zeros", "config": {}},
        "kernel_regularizer": None, "bias_regularizer": None, "activity_regularizer": None,
        "kernel_constraint": None, "bias_constraint": None,
    }  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        layer = layers.deserialize({"class_name": "Dense", "config": dense})
        inputs = {"batch_input_shape": [None, 3], "dtype": "float32", "sparse": False, "name": "i"}
        made = layers.deserialize({"class_name": "InputLayer", "config": inputs})
    assert layer._batch_shape_argument == (None, 784)
    assert layer.units == 10
    assert made.batch_shape == (None, 3)


def dense_form(**config):
    return {"class_name": "Dense", "config": {"units": 3, **config}}


@pytest.mark.parametrize(
    ("form", "error"),
    [
        ({"class_name": "Dense", "config": {}}, FileFormatError),
        ({"class_name": "Dense", "config": {"units": 3, "evil": 1}}, FileFormatError),
        ({"class_name": "Dense", "config": {"units": "3"}}, ModelError),
        ({"class_name": "Dense", "config": [3]}, FileFormatError),
        ({"class_name": "Dense"}, FileFormatError),
        ({"class_name": 3, "config": {}}, FileFormatError),
        ({"class_name": "Lambda", "config": {}}, UnsupportedError),
        ({"class_name": "function", "config": "eval", "module": "builtins"}, UnsupportedError),
        (dense_form(dtype={"class_name": "QuantizedDTypePolicy", "config": {"name": "int8"}}), UnsupportedError),
        (dense_form(dtype={"class_name": "DTypePolicy", "config": 3}), UnsupportedError),
        (dense_form(kernel_regularizer={"class_name": "L3", "config": {}}), UnsupportedError),
        ({"class_name": "InputLayer", "config": {}}, ModelError),
        ("os.system", ModelError),
        (None, FileFormatError),
        (3, FileFormatError),
    ],
)  # fmt: skip
def test_bad_forms(form, error):
    with pytest.raises(error):
        layers.deserialize(form)


# ------------------------------------------------------------------ layers of the user's


class Scale(Layer):
    """Written as for Keras."""

    def __init__(self, start=1.0, shift=False, **kwargs):
        super().__init__(**kwargs)
        self.start = start
        self.shift = shift

    def build(self, input_shape):
        self.factor = self.add_weight(shape=(input_shape[-1],), initializer="ones", name="factor")
        if self.shift:
            self.offset = self.add_weight((input_shape[-1],), "zeros", trainable=False, name="offset")

    def call(self, inputs):
        y = inputs * self.factor * self.start
        return y + self.offset if self.shift else y


class Block(Layer):
    """Layers in a layer, in an attribute and in a list, and no build."""

    def __init__(self, units, **kwargs):
        super().__init__(**kwargs)
        self.first = Dense(units, name="first")
        self.rest = [Dense(units + 1, name="second"), {"drop": Dropout(0.5, name="drop")}]

    def call(self, inputs, training=None):
        x = self.rest[0](self.first(inputs))
        return self.rest[1]["drop"](x)


def test_layer_of_the_users():
    layer = Scale(2.0, shift=True)
    x = rows(3, 4)
    np.testing.assert_allclose(layer(x), 2 * x, rtol=1e-6)
    assert layer.built
    assert [w.path for w in layer.weights] == ["scale/factor", "scale/offset"]
    assert [w.name for w in layer.trainable_weights] == ["factor"]
    assert [w.name for w in layer.non_trainable_weights] == ["offset"]
    assert layer.compute_output_shape((None, 4)) == (None, 4)
    assert layer.output_shape == (3, 4)
    assert layer(symbol(None, 4)).shape == (None, 4)
    assert layer.get_build_config() == {"input_shape": (3, 4)}  # as Keras has it


def test_configuration_of_a_layer_of_the_users_is_that_of_keras():
    class Theirs(keras.layers.Layer):
        def __init__(self, start=1.0, shift=False, **kwargs):
            super().__init__(**kwargs)

    Theirs.__name__ = "Scale"
    for arguments in (
        {},
        {"start": 2.0},
        {"shift": True, "trainable": False},
        {"name": "q", "dtype": "float64"},
    ):
        ours, theirs = Scale(**arguments), Theirs(**arguments)
        assert list(ours.get_config().items()) == list(theirs.get_config().items())
        assert {**layers.serialize(ours), "module": 0} == {**keras.layers.serialize(theirs), "module": 0}
        back = layers.deserialize(layers.serialize(ours), custom_objects={"Scale": Scale})
        assert back.get_config() == ours.get_config()
        assert back.start == ours.start


def test_registered_layer_is_found():
    @registry.register_keras_serializable("mine")
    class Known(Scale):
        pass

    form = layers.serialize(Known(3.0))
    assert form["registered_name"] == "mine>Known"
    assert layers.deserialize(form).start == 3.0


def test_default_configuration_has_its_limits():
    class Takes(Layer):
        def __init__(self, value, *more):
            super().__init__()

    class Short(Layer):
        def __init__(self, units):
            super().__init__()
            self.units = units

    with pytest.raises(UnsupportedError, match=r"its argument 'value' is function. Define get_config\(\) in Takes"):
        Takes(halves).get_config()
    with pytest.raises(NotImplementedError, match="'more' has no keyword"):
        Takes(1, 2).get_config()
    config = Short(3).get_config()
    assert "name" not in config
    back = Short.from_config({**config, "trainable": False})  # where Keras fails
    assert back.units == 3
    assert not back.trainable


def test_own_get_config():
    class Own(Layer):
        def __init__(self, units, **kwargs):
            super().__init__(**kwargs)
            self.units = units

        def get_config(self):
            return {**super().get_config(), "units": self.units, "extra": np.float32(2)}

        @classmethod
        def from_config(cls, config):
            return cls(config["units"], name=config["name"])

    form = layers.serialize(Own(3, name="o"))
    assert form["config"]["units"] == 3
    assert form["config"]["extra"] == 2.0
    json.dumps(form)
    assert layers.deserialize(form, {"Own": Own}).units == 3


def test_what_a_configuration_may_hold():
    class Holds(Layer):
        def __init__(self, values=(1, [2.0, {"a": None}]), **kwargs):
            super().__init__(**kwargs)
            self.values = values

    class Writes(Holds):
        def get_config(self):
            return {**super().get_config(), "values": self.values}

    assert Holds([1, {"a": "b"}]).get_config()["values"] == [1, {"a": "b"}]
    inner = Dense(3, name="inner")
    form = layers.serialize(Writes([np.float32(2), np.arange(2), inner, initializers.Zeros(), halves], name="w"))
    written = json.loads(json.dumps(form))["config"]["values"]
    assert written[0] == 2.0
    assert written[1] == {"class_name": "__numpy__", "config": {"value": [0, 1], "dtype": "int64"}}
    assert written[2]["class_name"] == "Dense"
    assert written[3]["class_name"] == "Zeros"
    assert written[4]["config"] == "halves"
    with pytest.raises(UnsupportedError, match="A configuration holds object, which cannot be saved"):
        layers.serialize(Writes(object()))


def test_shapes_by_name():
    class Named(Layer):
        def build(self, first_shape, second_shape=None):
            self.factor = self.add_weight(shape=(first_shape[-1], second_shape[-1]), name="factor")

    layer = Named()
    layer.build([None, 3], second_shape=[None, 4])
    config = layer.get_build_config()
    assert config == {"shapes_dict": {"first_shape": (None, 3), "second_shape": (None, 4)}}
    with pytest.raises(AttributeError, match="no input shape"):
        layer.input_shape  # noqa: B018
    other = Named()
    other.build_from_config(json.loads(json.dumps(config)))
    assert other.factor.shape == (3, 4)


def test_layers_by_name():
    assert type(layers.deserialize("Flatten")) is Flatten
    assert type(layers.deserialize("flatten")) is Flatten
    with pytest.raises(FileFormatError, match="Dense: its configuration does not fit"):
        layers.deserialize("Dense")


def test_layers_within_a_layer():
    layer = Block(3)
    y = layer(rows(5, 4))
    assert y.shape == (5, 4)
    assert [w.path for w in layer.weights] == [
        "block/first/kernel", "block/first/bias", "block/second/kernel", "block/second/bias",
    ]  # fmt: skip
    assert len(layer.variables) == 5
    assert layer.count_params() == 4 * 3 + 3 + 3 * 4 + 4
    layer.trainable = False
    assert not layer.rest[0].kernel.trainable
    assert layer.trainable_weights == []
    theirs = layer.get_config()
    assert theirs["units"] == 3


def test_layers_within_a_layer_are_built_with_it():
    layer = Block(3)
    layer.build((None, 4))
    assert [w.shape for w in layer.weights] == [(4, 3), (3,), (3, 4), (4,)]
    assert layer.compute_output_shape((None, 4)) == (None, 4)
    layer = Block(3)
    assert layer.compute_output_shape((None, 6)) == (None, 4)
    assert layer(symbol(None, 6)).shape == (None, 4)


def test_training_reaches_inner_layers():
    seen = []

    class Spy(Layer):
        def call(self, inputs, training=None):
            seen.append(training)
            return inputs

    class Outer(Layer):
        def __init__(self):
            super().__init__()
            self.inner = Spy()

        def call(self, inputs):
            return self.inner(inputs)

    class Stubborn(Layer):
        def __init__(self):
            super().__init__()
            self.inner = Spy()

        def call(self, inputs, training=None):
            return self.inner(inputs, training=False)

    class Always(Layer):
        def __init__(self):
            super().__init__()
            self.inner = Spy()

        def call(self, inputs, training=True):
            return self.inner(inputs)

    x = rows(1, 1)
    outer, stubborn, always = Outer(), Stubborn(), Always()
    for layer in (outer, stubborn, always):
        layer(x)
    seen.clear()
    outer(x, training=True)
    outer(x, training=False)
    outer(x)
    stubborn(x, training=True)
    always(x)
    always(x, training=False)
    assert seen == [True, False, None, False, True, False]

    class Calm(Always):
        def call(self, inputs, training=False):
            return Stubborn.call(self, inputs) if training else self.inner(inputs)

    class Bare(Always):
        def call(self, inputs, training):
            return self.inner(inputs)

    calm, bare = Calm(), Bare()
    calm(x)
    bare(x, training=True)
    seen.clear()
    calm(x)
    bare(x, training=True)
    assert seen == [False, True]


def test_build_of_a_base_class():
    class More(Scale):
        def build(self, input_shape):
            super().build(input_shape)
            self.more = self.add_weight(shape=(2, 3), name="more")

    layer = More()
    layer.build([None, 5])
    assert [w.path for w in layer.weights] == ["more/factor", "more/more"]
    assert layer.get_build_config() == {"input_shape": (None, 5)}
    with pytest.raises(ModelError, match="is built already"):
        layer.build((None, 5))


def test_weights_set_as_attributes():
    class Direct(Layer):
        def __init__(self):
            super().__init__()
            self.frozen = Variable(np.zeros(2), name="frozen", trainable=False)
            self.free = Variable(np.ones(2), name="free")
            self.made = self.add_weight(shape=(2,), name="made")

    assert [w.name for w in Direct().weights] == ["made", "free", "frozen"]


def test_add_weight():
    class Bare(Layer):
        pass

    layer = Bare(name="bare")
    assert layer.add_weight().shape == ()
    assert layer.add_weight((2, 3)).value.std() > 0
    assert layer.add_weight((2,), dtype="int32", trainable=False).value.tolist() == [0, 0]
    assert layer.add_weight((2,), "ones", "float64", name="w").dtype == "float64"
    assert layer.add_variable(shape=(2,), initializer="zeros", name="v").path == "bare/v"
    assert layer.add_weight(shape=(2,), initializer=lambda shape, dtype=None: np.arange(2)).value.tolist() == [0, 1]
    assert layer.add_weight(shape=(2,), aggregation="mean").name.startswith("variable")
    with pytest.raises(ModelError, match=r"bare \(Bare\): add_weight takes the name as a keyword"):
        layer.add_weight("w", (2,))
    with pytest.raises(ModelError, match=r"w would have shape .None, 3., but the width of the input is not known"):
        layer.add_weight(shape=(None, 3), name="w")
    with pytest.raises(ModelError, match="does not know aggregation='all'"):
        layer.add_weight(aggregation="all")
    with pytest.raises(ModelError, match="expected the name of a weight to be a string without '/'"):
        layer.add_weight(name="a/b")
    with pytest.raises(UnsupportedError, match="float16"):
        layer.add_weight((2,), dtype="float16")
    with pytest.raises(UnsupportedError, match=r"bare \(Bare\): add_weight: overwrite_with_gradient=True is not supp"):
        layer.add_weight((2,), overwrite_with_gradient=True)


def test_forgotten_super():
    class Forgot(Layer):
        def __init__(self):
            self.units = 3

        def build(self, input_shape):
            pass

    with pytest.raises(RuntimeError, match=r"Forgot: __init__ must call super\(\).__init__"):
        Forgot()(rows(2, 2))
    with pytest.raises(RuntimeError, match="Forgot"):
        Forgot().build((None, 2))
    assert "Forgot" in repr(Forgot())


def test_no_call():
    class Nothing(Layer):
        pass

    with pytest.raises(NotImplementedError, match=r"Nothing must define call\(self, inputs\)"):
        Nothing()(rows(2, 2))


@pytest.mark.parametrize("error", [TypeError("too few"), KeyError("axis"), RuntimeError("no"), ZeroDivisionError()])
def test_a_call_that_fails_is_named(error):
    class Broken(Layer):
        def call(self, inputs):
            raise error

    class Around(Layer):
        def __init__(self):
            super().__init__()
            self.inner = Broken(name="inside")

        def call(self, inputs):
            return self.inner(inputs)

    where = rf"^broken \(Broken\): call\(\) failed for an input of shape \(2, 4\).*: {type(error).__name__}"
    for make in (
        lambda: Sequential([Input((4,)), Broken(name="broken")]),
        lambda: Broken(name="broken").compute_output_shape((None, 4)),
    ):
        with pytest.raises(ModelError, match=where) as caught:
            make()
        assert caught.value.__cause__ is error
    with pytest.raises(ModelError, match=r"^around.* \(Around\): call\(\) failed") as caught:
        Sequential([Input((4,)), Around()])
    assert caught.value.__cause__ is error
    with pytest.raises(type(error)):  # where nothing is found out the user's own error is the message
        Broken()(np.ones((2, 4)))


def test_a_call_that_is_not_supported_is_named():
    class Broken(Layer):
        def call(self, inputs):
            raise NotImplementedError("later")

    with pytest.raises(UnsupportedError, match=r"broken.* \(Broken\): call\(\) failed .*later") as caught:
        Sequential([Input((4,)), Broken()])
    assert type(caught.value.__cause__) is NotImplementedError


def test_what_is_not_supported():
    layer = Dense(3)
    for make in (
        lambda: layer.add_metric(1),
        lambda: layer.quantize("int8"),
        lambda: layer.enable_lora(4),
    ):
        with pytest.raises(UnsupportedError, match=r"dense \(Dense\): .* is not supported"):
            make()


class Penalized(Layer):
    """Adds numbers of its own to the loss."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.inner = Dense(2, kernel_regularizer="l2", activity_regularizer="l1")

    def call(self, inputs):
        self.add_loss([ops.sum(inputs), 3.0])
        return self.inner(inputs)


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # Keras on NumPy 2
def test_losses_are_those_of_the_last_call():
    layer = Penalized()
    assert layer.losses == []
    for x in (rows(4, 3), rows(2, 3)):
        y = layer(x)
        kernel = layer.inner.kernel.value
        expected = [x.sum(), 3.0, 0.01 * np.abs(y).sum() / len(x), 0.01 * np.square(kernel).sum()]
        np.testing.assert_allclose(layer.losses, expected, rtol=1e-6)
        assert layer.inner.losses == layer.losses[2:]
    theirs = keras.layers.Dense(2, activity_regularizer="l2")
    ours = Dense(2, activity_regularizer="l2", name="dense")
    theirs.build((None, 3))
    ours.build((None, 3))
    ours.set_weights(theirs.get_weights())
    ours(rows(4, 3))
    theirs(rows(4, 3))
    np.testing.assert_allclose(ours.losses, [float(loss) for loss in theirs.losses], rtol=1e-6)
    assert layers.serialize(ours) == keras.layers.serialize(theirs)
    assert layers.deserialize(layers.serialize(ours)).activity_regularizer.l2 == 0.01
    ours(np.zeros((0, 3)))
    assert ours.losses == [0.0]


@pytest.mark.parametrize("name", ["l1", "l2", "l1_l2"])
def test_terms_of_an_activity_regularizer(name):
    """What a formula adds up over rows is what the regularizer says of the whole."""
    ((row, mean),) = penalties.terms(regularizers.get(name), symbol(None, 3, 2), "here")
    assert (row.level, row.shape, mean) == (ops.ROW, (None, 3), "samples")
    assert penalties.terms(lambda x: 0.0, symbol(None, 3), "here") == []
    ((row, mean),) = penalties.terms(lambda x: ops.mean(ops.abs(x)) / 2.0 - (-ops.mean(x * x)), symbol(None, 3), "here")
    assert (row.shape, mean) == ((None,), "squared")


def test_what_is_no_sum_is_refused():
    for regularizer in (lambda x: ops.max(x), "orthogonal_regularizer"):
        with pytest.raises((UnsupportedError, ModelError), match=r"here: activity_regularizer|axis|matri"):
            penalties.terms(regularizers.get(regularizer), symbol(None, 3), "here")
    with pytest.raises(
        ModelError, match="here: expected activity_regularizer to return a number made of sums or means .* received 1.0"
    ):
        penalties.terms(lambda x: 1.0, symbol(None, 3), "here")


def test_output_shape_by_trying():
    class Odd(Layer):
        def call(self, inputs):
            return ops.mean(inputs, axis=-1)

    class Bad(Layer):
        def call(self, inputs):
            return inputs if len(inputs) == 2 else inputs[0]

    assert Odd().compute_output_shape((None, 5)) == (None,)
    assert Odd().compute_output_shape((None, None, 5)) == (None, None)
    assert Odd().compute_output_shape((7, 5)) == (7,)
    with pytest.raises(ModelError, match="another number of axes"):
        Bad().compute_output_shape((None, 5))


def test_layers_can_be_copied():
    layer = Dense(3)
    y = layer(rows(2, 4))
    for other in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        np.testing.assert_array_equal(other(rows(2, 4)), y)
        assert other.kernel is not layer.kernel


@pytest.mark.parametrize(
    ("spec", "good", "bad", "message"),
    [
        ({"ndim": 2}, (3, 4), (3,), "an input of 2 axes"),
        ({"min_ndim": 2}, (3, 4, 5), (3,), "an input of 2 axes or more"),
        ({"max_ndim": 2}, (3, 4), (3, 4, 5), "an input of 2 axes or fewer"),
        ({"axes": {-1: 4}}, (3, 4), (3, 5), "an input of 4 on axis -1"),
        ({"axes": {2: None}}, (3, 4, 5), (3, 4), "an input with an axis 2"),
        ({"shape": (None, 4)}, (3, 4), (3, 5), r"an input of shape \(None, 4\)"),
        ({"shape": (None, 4)}, (3, 4), (3, 4, 1), "an input of 2 axes"),
        ({"shape": (None, 4, 1), "allow_last_axis_squeeze": True}, (3, 4), (3, 5), r"shape \(None, 4, 1\)"),
        ({"shape": (None, 4), "allow_last_axis_squeeze": True}, (3, 4, 1), (3, 4, 2), r"shape \(None, 4\)"),
        ({"dtype": "float32"}, (3,), None, "an input of type float32"),
    ],
)
def test_input_spec(spec, good, bad, message):
    class Picky(Layer):
        def __init__(self):
            super().__init__()
            self.input_spec = InputSpec(**spec)

        def call(self, inputs):
            return inputs

    Picky()(rows(*good))
    with pytest.raises(ModelError, match=rf"picky_1 \(Picky\): expected .*{message}, received shape"):
        Picky()(np.ones(good, "int32") if bad is None else rows(*bad))


def test_every_layer_that_is_registered_is_public():
    for name, cls in registry.registered("layers").items():
        assert getattr(layers, name) is cls
        assert registry.find("layers", registry.snake_case(name)) is cls
        assert activations.get(None) is activations.linear


def test_a_rate_of_one_drops_even_infinity() -> None:
    """0 in the shape of x is no multiple of x: that of infinity is NaN."""
    import nncompile as nn

    model = nn.Sequential([nn.Input((3,)), nn.layers.Dropout(1.0), nn.layers.Dense(2)])
    model.compile("sgd", "mse")
    x, y = np.full((4, 3), np.inf, "float32"), np.ones((4, 2), "float32")
    assert model.fit(x, y, batch_size=4, verbose=0).history["loss"] == [1.0]
    assert np.all(np.isfinite(model.layers[-1].kernel.numpy()))
