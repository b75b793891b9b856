"""Sequential: stacking, building, summaries, configurations against Keras, bad models."""

from __future__ import annotations

import json
import sys
import types
import warnings

import numpy as np
import pytest
from oracle import keras

import nncompile.saving
from nncompile import backend, layers, models, ops
from nncompile.errors import FileFormatError, ModelError, UnsupportedError
from nncompile.layers import Activation, Dense, Dropout, Flatten, Input, InputLayer, Layer
from nncompile.models import Model, Sequential, clone_model, model_from_json
from nncompile.random import SeedGenerator

pytestmark = pytest.mark.quick_c


@pytest.fixture(autouse=True)
def fresh_names():
    backend.clear_session(free_memory=False)
    keras.backend.clear_session(free_memory=False)


def rows(*shape):
    return np.random.default_rng(1).normal(size=shape).astype("float32")


def mnist(module, inputs=True):
    """The same model in nncompile and in Keras."""
    first = [module.layers.Input((784,))] if inputs else []
    dense = module.layers.Dense
    stack = [dense(500, activation="relu"), module.layers.Dropout(0.2), dense(500, activation="relu")]
    return module.Sequential([*first, *stack, dense(10, activation="softmax")])


OURS = types.SimpleNamespace(layers=layers, Sequential=Sequential, models=models)
BOTH = [OURS, keras]


def summary(model, **arguments):
    text = []
    model.summary(print_fn=text.append, **arguments)
    assert len(text) == 1
    return text[0]


# ------------------------------------------------------------------ building


@pytest.mark.parametrize("k", BOTH)
def test_built_as_it_grows(k):
    model = k.Sequential()
    assert not model.built
    model.add(k.layers.Input((7,)))
    assert not model.built
    model.add(k.layers.Dense(3))
    assert model.built
    assert [tuple(w.shape) for w in model.weights] == [(7, 3), (3,)]
    model.add(k.layers.Dense(2))
    assert model.built
    assert len(model.weights) == 4
    assert [layer.name for layer in model.layers] == ["dense", "dense_1"]
    assert model.input_shape == (None, 7)
    assert model.output_shape == (None, 2)
    assert model.pop() is not None
    assert model.built
    assert len(model.weights) == 2
    assert model.output_shape == (None, 3)
    model.pop()
    assert not model.built
    assert model.layers == []
    assert model.weights == []
    model.add(k.layers.Dense(5, name="again"))
    assert model.output_shape == (None, 5)


@pytest.mark.parametrize("k", BOTH)
def test_unbuilt_until_data(k):
    model = mnist(k, inputs=False)
    assert not model.built
    assert model.weights == []
    with pytest.raises(AttributeError):
        model.input_shape  # noqa: B018
    with pytest.raises(AttributeError):
        model.output_shape  # noqa: B018
    with pytest.raises(ValueError):
        model.count_params()
    model.build((None, 784))
    assert model.built
    assert model.count_params() == 648_010
    assert len(model.layers) == 4
    assert model.input_shape == (None, 784)


def test_built_from_data_takes_any_number_of_rows():
    model = Sequential([Dense(3), Dropout(0.5)])
    y = model(rows(5, 4))
    assert y.shape == (5, 3)
    assert model.built
    assert model.input_shape == (5, 4)
    assert [layer.output.shape for layer in model.layers] == [(5, 3), (5, 3)]
    assert model(rows(2, 4)).shape == (2, 3)
    assert model.predict(rows(70, 4), verbose=0).shape == (70, 3)
    assert model(nncompile.Input((4,))).shape == (None, 3)
    assert model.get_build_config() == {"input_shape": (5, 4)}


def test_paths_are_those_of_keras():
    def paths(k):
        inner = k.Sequential([k.layers.Dense(2), k.layers.Dense(3, name="last")], name="inner")
        model = k.Sequential([k.layers.Input((4,)), k.layers.Dense(5), inner, k.layers.Dense(1)])
        return [w.path for w in model.weights]

    assert paths(OURS) == paths(keras)


def test_a_layer_that_names_its_input():
    for arguments, shape in (
        ({"input_dim": 7}, (None, 7)),
        ({"input_shape": (7,)}, (None, 7)),
        ({"batch_input_shape": (5, 7)}, (5, 7)),
    ):
        with pytest.warns(DeprecationWarning, match="put Input"):
            first = Dense(3, **arguments)
        model = Sequential()
        model.add(first)
        assert model.built
        assert model.input_shape == shape
        assert model.layers == [first]
    with pytest.warns(DeprecationWarning):
        late = Dense(3, input_dim=99)
    assert Sequential([Input((7,)), late]).built  # as Keras: the Input is what counts


def test_models_within_models():
    inner = Sequential([Input((4,)), Dense(3, name="a")], name="inner")
    model = Sequential([inner, Dense(2, name="b")])
    assert model.built  # the first one knows its input
    assert model.input_shape == (None, 4)
    assert [w.path for w in model.weights][:2] == ["inner/a/kernel", "inner/a/bias"]
    x = rows(3, 4)
    np.testing.assert_allclose(model(x), model.layers[1](inner(x)), rtol=1e-6, atol=1e-7)
    assert model.count_params() == 15 + 8
    with pytest.raises(ModelError, match=r"inner \(Sequential\): expected shape \(None, 4\), received \(None, 5\)"):
        Sequential([Input((5,)), inner])


@pytest.mark.parametrize("k", BOTH)
def test_one_layer_used_twice(k):
    layer = k.layers.Dense(4)
    model = k.Sequential([k.layers.Input((4,)), layer, layer])
    assert len(model.weights) == 2
    assert model.count_params() == 20
    assert len(model.layers) == 2


def test_one_layer_used_twice_is_one_in_a_file():
    layer = Dense(4)
    model = Sequential([Input((4,)), layer, layer])
    copy = model_from_json(model.to_json())
    assert copy.layers[0] is copy.layers[1]
    copy.set_weights(model.get_weights())
    np.testing.assert_array_equal(copy(rows(2, 4)), model(rows(2, 4)))
    assert len(clone_model(model).weights) == 2


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Sequential([3]), r"sequential \(Sequential\): expected a layer, received 3. Layers are in nncompile"),
        (lambda: Sequential([Dense]), r"expected a layer, received <class .*Make one: Dense"),
        (lambda: Sequential(["relu"]), r"received 'relu'. A function or its name goes into Activation"),
        (lambda: Sequential([np.tanh]), r"A function or its name goes into Activation"),
        (lambda: Sequential([None]), "expected a layer, received None"),
        (lambda: Sequential([keras.layers.Dense(3)]), "This one is of keras; make it from nncompile.layers"),
        (lambda: Sequential(Dense(3)), "expected a list of layers, received <Dense"),
        (lambda: Sequential(3), "expected a list of layers, received 3"),
        (lambda: Sequential().add(Dense(3)).x, "'NoneType'"),
        (lambda: Sequential([Dense(3, name="a"), Dense(4, name="a")]), "two layers are called 'a'. Give one of them"),
        (lambda: Sequential([Input((3,)), Input((3,))]), r"has an Input of shape \(None, 3\); it cannot have another"),
        (lambda: Sequential([Dense(3), Input((3,))]), r"Input must come first, before dense \(Dense\)"),
        (lambda: Sequential().pop(), "has no layer to remove"),
        (lambda: Sequential().build((None, 3)), "has no layers. Add some"),
        (lambda: Sequential()(rows(2, 3)), "has no layers. Add some"),
        (lambda: Sequential([Dense(3)]).build(), r"expected a shape, for example build\(\(None, 784\)\)"),
        (lambda: Sequential([Dense(3)]).build(784), r"expected a shape, received the number 784. Write \(784,\)"),
        (lambda: Sequential([Dense(3)]).build("x"), "expected a shape, a tuple of integers"),
        (lambda: Sequential([Dense(3)]).build(()), "expected a shape with the number of rows first"),
        (lambda: Sequential([Dense(3)]).build((None,)), r"expected \(batch, features\), received shape \(None,\)"),
        (lambda: Sequential([Input((None,)), Dense(3)]), "expected to know the width of its input"),
        (lambda: Sequential([Input((3,)), Dense(3)]).build((None, 4)), r"takes an input of shape \(None, 3\); it"),
        (lambda: Sequential(name=3), "Sequential: expected name to be a string, received 3"),
        (lambda: Sequential(trainable=3), "Sequential: expected trainable to be True or False"),
    ],
)  # fmt: skip
def test_bad_models(make, message):
    with pytest.raises((ModelError, AttributeError), match=message):
        make()


def test_a_model_is_no_layer_of_itself():
    model, outer = Sequential([Dense(3)]), Sequential()
    outer.add(model)
    for wrong in (model, outer):
        with pytest.raises(ModelError, match=r"sequential \(Sequential\): cannot be a layer of itself"):
            model.add(wrong)


def test_added_without_building():
    model = Sequential([Input((3,)), Dense(2)])
    model.add(Dense(4), rebuild=False)
    assert not model.built
    model.build()
    assert model.output_shape == (None, 4)
    model.pop(rebuild=False)
    assert not model.built
    assert model(rows(2, 3)).shape == (2, 2)


def test_misspelled_arguments():
    with pytest.raises(TypeError, match="unexpected keyword argument 'layer'"):
        Sequential(layer=[])


def test_a_build_that_fails_leaves_the_model_unbuilt():
    model = Sequential([Dense(3), Flatten(), Dense(4, name="bad", bias_initializer=lambda shape, dtype=None: 0)])
    with pytest.raises(ModelError, match=r"bad \(Dense\): bias: its initializer returned shape"):
        model.build((None, 5))
    assert not model.built
    model.pop()
    model.build((None, 5))
    assert model.output_shape == (None, 3)


# ------------------------------------------------------------------ calling


@pytest.mark.parametrize("shape", [(3, 28, 28), (1, 28, 28), (0, 28, 28)])
def test_computes_what_keras_computes(shape):
    def make(k):
        return k.Sequential([k.layers.Input((28, 28)), k.layers.Flatten(), k.layers.Dense(20, "tanh"),
                             k.layers.Dropout(0.5), k.layers.Dense(20), k.layers.Activation("relu"),
                             k.layers.Dense(10, "softmax")])  # fmt: skip

    ours, theirs = make(OURS), make(keras)
    theirs.set_weights(ours.get_weights())
    x = rows(*shape)
    y = ours(x)
    assert y.dtype == "float32"
    np.testing.assert_allclose(y, np.asarray(theirs(x)), rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(ours(x, training=False), y)
    if len(x):
        assert not np.array_equal(ours(x, training=True), y)


def test_calling_with_symbols():
    model = mnist(OURS)
    y = model(ops.symbol("x", ops.ELEMENT, (None, 784)), training=True)
    assert y.shape == (None, 10)
    found, waiting = set(), [y]
    while waiting:
        node = waiting.pop()
        if node not in found:
            found.add(node)
            waiting += node.args
    assert {n.owner for n in found if n.op == "matmul"} == {"dense", "dense_1", "dense_2"}
    assert sum(n.op == "noise" for n in found) == 1
    unbuilt = Sequential([Dense(3)])
    assert unbuilt(ops.symbol("x", ops.ELEMENT, (None, 4))).shape == (None, 3)
    assert unbuilt.built


def test_input_says_the_type():
    model = Sequential([Input((2,), dtype="float64"), Dense(2, dtype="float64")])
    assert model(np.ones((1, 2), "uint8")).dtype == "float64"
    assert model.input_dtype == "float64"
    flat = Sequential([Input((2,)), Flatten()])
    assert flat(np.ones((1, 2), "uint8")).dtype == "float32"
    assert Sequential([Dense(2, dtype="float64")])(rows(1, 2)).dtype == "float64"


def test_rank_is_adjusted_as_in_keras():
    for k in BOTH:
        model = k.Sequential([k.layers.Input((3, 1)), k.layers.Flatten()])
        assert tuple(model(rows(5, 3)).shape) == (5, 3)
        model = k.Sequential([k.layers.Input((3,)), k.layers.Dense(2)])
        assert tuple(model(rows(5, 3, 1)).shape) == (5, 2)
        assert tuple(model(rows(5, 3)).shape) == (5, 2)


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((2, 783), r"sequential \(Sequential\): expected shape \(None, 784\), received \(2, 783\)"),
        ((784,), r"expected shape \(None, 784\), received \(784,\)"),
        ((2, 28, 28), r"expected shape \(None, 784\), received \(2, 28, 28\)"),
    ],
)
def test_data_that_does_not_fit(shape, message):
    model = mnist(OURS)
    with pytest.raises(ModelError, match=message):
        model(rows(*shape))


# ------------------------------------------------------------------ weights and layers


def test_weights():
    model, theirs = mnist(OURS), mnist(keras)
    assert [w.shape for w in model.weights] == [tuple(w.shape) for w in theirs.weights]
    assert [w.path for w in model.weights] == [w.path for w in theirs.weights]
    assert [v.path for v in model.variables if "seed" not in v.path] == [w.path for w in model.weights]
    assert len(model.variables) == len(theirs.variables)
    new = [rows(*w.shape) for w in model.weights]
    model.set_weights(new)
    for a, b in zip(model.get_weights(), new, strict=True):
        np.testing.assert_array_equal(a, b)
    with pytest.raises(ModelError, match=r"sequential \(Sequential\): expected 6 weights, received 1"):
        model.set_weights(new[:1])
    model.layers[0].trainable = False
    assert len(model.trainable_weights) == 4
    assert len(model.non_trainable_weights) == 2
    model.trainable = False
    assert model.trainable_weights == []
    assert not model.layers[-1].trainable
    model.trainable = True
    assert len(model.trainable_weights) == 6
    assert Sequential([Input((3,)), Dense(2)], trainable=False).trainable_weights == []


def test_get_layer():
    model = mnist(OURS)
    assert model.get_layer("dense_1") is model.layers[2]
    assert model.get_layer(index=0) is model.layers[0]
    assert model.get_layer(index=-1) is model.layers[-1]
    with pytest.raises(ModelError, match=r"has no layer called 'dense_9'. Did you mean 'dense_"):
        model.get_layer("dense_9")
    with pytest.raises(ModelError, match=r"has no layer called 'x'. There are: 'dense', 'dropout'"):
        model.get_layer("x")
    with pytest.raises(ModelError, match="has 4 layers; there is no index 4"):
        model.get_layer(index=4)
    for arguments in ({}, {"name": "dense", "index": 0}):
        with pytest.raises(ModelError, match="expected either a name or an index"):
            model.get_layer(**arguments)
    with pytest.raises(AttributeError):
        model.layers = []


def test_names():
    assert [Sequential().name, Sequential().name, Sequential(name="mine").name] == [
        "sequential",
        "sequential_1",
        "mine",
    ]
    assert Sequential(name='a "b"\n').name == 'a "b"\n'
    assert repr(Sequential()) == "<Sequential name=sequential_2, built=False>"


def test_changes_make_compiled_code_void(monkeypatch):
    calls = []
    monkeypatch.setattr(Sequential, "_reset_library", lambda self: calls.append(len(self._layers)))
    model = Sequential([Input((3,)), Dense(3)])
    calls.clear()
    model.add(Dense(2))
    model.pop()
    assert calls == [3, 2]


def test_models_of_the_users():
    class Mine(Model):
        def __init__(self, units=3, **kwargs):
            super().__init__(**kwargs)
            self.first = Dense(units)
            self.second = Dense(2)

        def call(self, inputs, training=None):
            return self.second(self.first(inputs))

    model = Mine(4)
    assert model(rows(3, 5)).shape == (3, 2)
    assert [layer.name for layer in model.layers] == ["dense", "dense_1"]
    assert [w.path for w in model.weights][::2] == ["mine/dense/kernel", "mine/dense_1/kernel"]
    assert Mine.from_config(model.get_config()).first.units == 4
    with pytest.raises(ModelError, match="for Sequential models"):
        clone_model(model, clone_function=print)
    model.seeds = SeedGenerator(1)
    assert len(model.variables) == len(model.weights) + 1
    assert "mine (Mine)" not in summary(model)
    assert "dense_1 (Dense)" in summary(model)
    assert clone_model(model).first.units == 4

    class Stack(Sequential):
        def __init__(self, units):
            super().__init__([Input((3,)), Dense(units)])

    assert Stack(4).output_shape == (None, 4)


# ------------------------------------------------------------------ summary


def varied(k):
    inner = k.Sequential([k.layers.Input((2,)), k.layers.Dense(3), k.layers.Dropout(0.1)], name="inner")
    return k.Sequential([
        k.layers.Input((4,)),
        k.layers.Dense(3, name="a_very_long_layer_name_that_goes_on_and_on_forever"),
        k.layers.Dense(2, name="two words [x]\nnew", trainable=False),
        inner,
        k.layers.Dense(30000, name="öäü日本"),
        k.layers.Activation("relu", name="sp  aces"),
    ], name="odd [name]")  # fmt: skip


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"line_length": 60},
        {"line_length": 40},
        {"line_length": 77},
        {"show_trainable": True},
        {"show_trainable": True, "line_length": 79},
        {"expand_nested": True},
        {"positions": [0.3, 0.6, 1.0]},
        {"positions": [0.5, 0.7, 1.2]},
        {"layer_range": ["two.*", "inner"]},
        {"layer_range": ["öä.*", "two.*"]},
    ],
    ids=str,
)
@pytest.mark.parametrize(
    "make", [mnist, varied, lambda k: mnist(k, inputs=False), lambda k: k.Sequential(name="empty")]
)
def test_summary_is_that_of_keras(make, arguments):
    if "layer_range" in arguments and make is not varied:
        pytest.skip("has no such layers")
    ours, theirs = make(OURS), make(keras)
    assert summary(ours, **arguments) == summary(theirs, **arguments)


def built_by_data(k, use):
    """A stack and a class of the user's, built by what is done first."""

    class Own(k.Model):
        def __init__(self):
            super().__init__(name="own")
            self.inner = k.Sequential([k.layers.Dense(4, name="a")], name="inner")
            self.last = [k.layers.Dense(3, name="b")]

        def call(self, x):
            return self.last[0](self.inner(x))

    for model in (k.Sequential([k.layers.Dense(4, name="a"), k.layers.Dense(3, name="b")], name="stack"), Own()):
        model.compile(None, "mse")
        x, y = rows(50, 5), rows(50, 3)
        if use == "fit":
            model.compile("sgd", "mse")
            model.fit(x, y, batch_size=20, verbose=0)
            model.compile(None, "mse")  # the optimizer of Keras on JAX counts in 32 bits
        elif use == "split":
            model.compile("sgd", "mse")
            model.fit(x, y, validation_split=0.5, verbose=0)
            model.compile(None, "mse")
        elif use == "steps":
            model.evaluate(x, y, steps=3, verbose=0)
        elif use == "predict":
            model.predict(x, verbose=0)
        else:
            model(x)
        yield summary(model, expand_nested=True)


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
@pytest.mark.parametrize("use", ["fit", "split", "steps", "predict", "call"])
def test_summary_of_a_model_that_is_built_by_data(use):
    found = list(built_by_data(nncompile, use))
    assert found == list(built_by_data(keras, use))
    assert f"({dict(fit=20, split=25, steps=17, predict=32, call=50)[use]}, 4)" in found[0]


def test_positions_of_a_summary():
    model = mnist(OURS)
    model_of_keras = mnist(keras)
    for positions in ([0.3, 0.6, 0.8, 1.0], [0.3, 0.6, 0.9], [0.2, 0.6, 0.7, 0.8, 1.0]):
        assert summary(model, positions=positions) == summary(model_of_keras, positions=positions)
    # counted in characters as by Keras 1 and 2; Keras 3 says so too, and makes three columns of one width
    assert summary(model, line_length=80, positions=[24, 48, 80]) == summary(
        model, line_length=80, positions=[0.3, 0.6, 1.0]
    )
    with pytest.raises(ModelError, match="expected 3 positions, received 2"):
        summary(model, positions=[0.3, 0.6])


def test_summary_counts_the_optimizer():
    model, theirs = mnist(OURS), mnist(keras)
    theirs.compile("adam", "mse")
    theirs.optimizer.build(theirs.trainable_variables)
    model.optimizer, model.compiled = theirs.optimizer, True
    assert summary(model) == summary(theirs)
    assert " Optimizer params: 1,296,022 (4.94 MB)" in summary(model)


def test_summary_prints(capsys):
    mnist(OURS).summary()
    text = capsys.readouterr().out
    backend.clear_session(free_memory=False)
    assert text == summary(mnist(OURS))
    assert " Total params: 648,010 (2.47 MB)\n" in text
    assert text.endswith(" Non-trainable params: 0 (0.00 B)\n")


def test_summary_where_there_is_only_ascii(monkeypatch):
    import io

    output = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", output)
    varied(OURS).summary()
    output.flush()
    text = output.buffer.getvalue().decode("ascii")
    assert "| Layer (type)" in text
    assert "+----" in text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"line_length": 8}, "a line of 8 characters has no room for 3 columns"),
        ({"positions": [0.5, 1.0]}, "expected 3 positions, received 2"),
        ({"layer_range": ["dense"]}, "expected layer_range to be two names"),
        ({"layer_range": "dense"}, "expected layer_range to be two names"),
        ({"layer_range": [0, 1]}, "expected layer_range to be two names"),
        ({"layer_range": ["dense", "x"]}, "no layer is called 'x'"),
        ({"layer_range": ["(", "dense"]}, "no regular expression"),
    ],
)
def test_bad_arguments_of_summary(arguments, message):
    with pytest.raises(ModelError, match=message):
        mnist(OURS).summary(**arguments)


# ------------------------------------------------------------------ configurations


def nested(k):
    return k.Sequential(
        [k.layers.Input((4,), name="in"), k.Sequential([k.layers.Dense(2)], name="inner"), k.layers.Dense(1)]
    )


def images(k):
    return k.Sequential([k.layers.Input(batch_shape=(7, 4, 4)), k.layers.Flatten(), k.layers.Dense(2, dtype="float32"),
                         k.layers.Activation("tanh")], name="images", trainable=False)  # fmt: skip


@pytest.mark.parametrize(
    "make",
    [
        mnist,
        nested,
        images,
        varied,
        lambda k: mnist(k, inputs=False),
        lambda k: k.Sequential(),
        lambda k: k.Sequential([k.layers.Input((3,))]),
    ],
)
def test_configuration_is_that_of_keras(make):
    ours, theirs = make(OURS), make(keras)
    assert ours.get_config() == theirs.get_config()
    assert json.loads(ours.to_json()) == json.loads(theirs.to_json())
    assert ours.to_json(indent=2).startswith("{\n  ")

    for copy in (Sequential.from_config(ours.get_config()), Sequential.from_config(theirs.get_config()),
                 model_from_json(ours.to_json()), model_from_json(theirs.to_json())):  # fmt: skip
        assert copy.get_config() == ours.get_config()
        assert copy.built == ours.built
        assert [w.shape for w in copy.weights] == [w.shape for w in ours.weights]
        if ours.built:
            copy.set_weights(ours.get_weights())
            x = rows(3, *ours.input_shape[1:])
            np.testing.assert_array_equal(copy(x), ours(x))

    back = keras.models.model_from_json(ours.to_json())
    written = json.loads(json.dumps(back.get_config()))
    written["trainable"] = ours.trainable  # Keras forgets it
    assert written == json.loads(json.dumps(theirs.get_config()))
    if ours.built:
        back.set_weights(ours.get_weights())
        np.testing.assert_allclose(np.asarray(back(x)), ours(x), rtol=1e-5, atol=1e-6)


def test_configuration_of_a_model_built_by_shape():
    def make(k):
        model = k.Sequential([k.layers.Dense(3), k.layers.Dense(2)])
        model.build((None, 4))
        return model

    ours, theirs = make(OURS), make(keras)
    assert ours.get_config() == theirs.get_config()
    config = ours.get_config()
    del config["layers"][0]  # without the Input, as Keras 2 has it
    copy = Sequential.from_config(config)
    assert copy.built
    assert copy.input_shape == (None, 4)


def test_configurations_of_old_versions_are_read():
    dense = {
        "class_name": "Dense",
        "config": {"name": "dense_1", "units": 3, "batch_input_shape": [None, 4], "activation": "relu"},
    }
    flat = {"class_name": "Activation", "config": {"name": "activation_1", "activation": "softmax"}}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for config in ([dense, flat], {"name": "old", "layers": [dense, flat]}):
            model = Sequential.from_config(config)
            assert model.built
            assert model.input_shape == (None, 4)
            assert [layer.name for layer in model.layers] == ["dense_1", "activation_1"]


def test_layers_of_the_users_in_a_model():
    class Twice(Layer):
        def build(self, input_shape):
            self.factor = self.add_weight(shape=(input_shape[-1],), name="factor")

        def call(self, inputs):
            return inputs * self.factor

    def mine(x):
        return ops.maximum(x, 0.5)

    model = Sequential([Input((3,)), Twice(), Dense(2, activation=mine)])
    assert model.weights[0].path == "sequential/twice/factor"
    text = model.to_json()
    with pytest.raises(UnsupportedError, match="Twice"):
        model_from_json(text)
    copy = model_from_json(text, custom_objects={"Twice": Twice, "mine": mine})
    assert copy.layers[1].activation is mine
    assert copy.layers[0].factor.shape == (3,)
    again = Sequential.from_config(model.get_config(), custom_objects={"Twice": Twice, "mine": mine})
    assert isinstance(again.layers[0], Twice)
    with pytest.raises(UnsupportedError, match="not known here"):
        Sequential.from_config(model.get_config())
    cloned = clone_model(model)
    assert cloned.layers[1].activation is mine


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("", FileFormatError),
        ("{", FileFormatError),
        ("[]", FileFormatError),
        ("3", FileFormatError),
        ('"Sequential"', FileFormatError),
        ("{}", FileFormatError),
        ('{"class_name": "Sequential"}', FileFormatError),
        ('{"class_name": "Sequential", "config": {}}', FileFormatError),
        ('{"class_name": "Sequential", "config": {"name": "a", "layers": 3}}', FileFormatError),
        ('{"class_name": "Sequential", "config": {"name": "a", "layers": [3]}}', FileFormatError),
        ('{"class_name": "Sequential", "config": {"name": 3, "layers": []}}', ValueError),
        ('{"class_name": "Dense", "config": {"units": 3}}', FileFormatError),
        ('{"class_name":"Sequential","config":{"layers":[{"class_name": "Lambda", "config": {}}]}}', UnsupportedError),
        ("[" * 100_000, FileFormatError),
    ],
)  # fmt: skip
def test_bad_json(text, error):
    with pytest.raises(error):
        model_from_json(text)


@pytest.mark.parametrize("config", [3, "x", None, {}, {"layers": None}, {"layers": [None]}, {"layers": [{}]}])
def test_bad_configurations(config):
    with pytest.raises(FileFormatError):
        Sequential.from_config(config)


# ------------------------------------------------------------------ clones


def test_clone():
    model = mnist(OURS)
    copy = clone_model(model)
    assert copy.get_config() == model.get_config()
    assert copy.layers[0] is not model.layers[0]
    assert not np.array_equal(copy.get_weights()[0], model.get_weights()[0])
    assert clone_model(mnist(OURS, inputs=False)).built is False


def test_clone_with_a_function():
    model = Sequential([Input((4,)), Dense(3, name="d"), Sequential([Dense(2, name="e")], name="inner")])

    def wider(layer):
        config = layer.get_config()
        if isinstance(layer, Dense):
            config["units"] = 7
        return type(layer).from_config(config)

    with pytest.raises(ModelError, match=r"inner \(Sequential\): expected shape \(None, 3\), received \(None, 7\)"):
        clone_model(model, clone_function=wider)
    model = Sequential([Input((4,)), Sequential([Dense(2, name="e")], name="inner")])
    assert clone_model(model, clone_function=wider).output_shape == (None, 2)
    assert clone_model(model, clone_function=wider, recursive=True).output_shape == (None, 7)
    other = clone_model(Sequential([Input((4,)), Flatten()]), input_tensors=Input((5,)))
    assert other.input_shape == (None, 5)
    assert clone_model(Sequential([Flatten()]), input_tensors=[Input((5,))]).input_shape == (None, 5)


def test_clone_compiles_as_the_model_was(monkeypatch):
    monkeypatch.setattr(Sequential, "get_compile_config", lambda self: {"loss": "mse"})
    monkeypatch.setattr(Sequential, "compile_from_config", lambda self, config: setattr(self, "seen", config))
    model = mnist(OURS)
    assert not hasattr(clone_model(model), "seen")
    model.compiled = True
    assert clone_model(model).seen == {"loss": "mse"}
    assert json.loads(model.to_json())["compile_config"] == {"loss": "mse"}
    assert model_from_json(model.to_json()).seen == {"loss": "mse"}


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"call_function": print}, ModelError, "call_function is for functional models"),
        ({"input_tensors": 3}, ModelError, "expected an Input, received 3"),
        ({"input_tensors": []}, ModelError, "expected one Input, received 0"),
        ({"clone_functoin": print}, TypeError, "Did you mean 'clone_function'"),
    ],
)
def test_bad_clones(arguments, error, message):
    with pytest.raises(error, match=message):
        clone_model(mnist(OURS), **arguments)
    with pytest.raises(ModelError, match="expected a model, received <Dense"):
        clone_model(Dense(3))


# ------------------------------------------------------------------ what others do


def test_saving_and_export_are_called(monkeypatch):
    calls = []

    def note(name):
        return lambda *args, **kwargs: calls.append((name, args[1:], kwargs))

    for name in ("save_model", "save_weights", "load_weights"):
        monkeypatch.setattr(nncompile.saving, name, note(name))
    export = types.ModuleType("nncompile.export")
    export.export_model = note("export_model")
    monkeypatch.setitem(sys.modules, "nncompile.export", export)
    monkeypatch.setattr(nncompile, "export", export, raising=False)
    model = mnist(OURS)
    model.save("m.keras", overwrite=False, include_optimizer=False)
    model.save_weights("m.weights.h5")
    model.load_weights("m.weights.h5", skip_mismatch=True)
    model.export("m.c", name="net")
    model.export("m.c", "c", verbose=True)
    assert calls == [
        ("save_model", ("m.keras",), {"overwrite": False, "zipped": None, "include_optimizer": False}),
        ("save_weights", ("m.weights.h5",), {"overwrite": True, "max_shard_size": None}),
        ("load_weights", ("m.weights.h5",), {"skip_mismatch": True}),
        ("export_model", ("m.c",), {"format": "c", "name": "net"}),
        ("export_model", ("m.c",), {"format": "c", "verbose": True}),
    ]
    with pytest.raises(UnsupportedError, match="export: input_signature=3 is not supported"):
        model.export("m.c", input_signature=3)


def test_input_layer_in_a_model():
    model = Sequential([InputLayer((3,), name="in"), Activation("relu")])
    assert model.input_layer.name == "in"
    assert Sequential().input_layer is None
    assert model.weights == []
    assert model.built


def test_layers_come_in_the_order_in_which_a_layer_got_them() -> None:
    """As in Keras: a list that is filled late comes late, whatever its attribute's place."""

    class Late(Model):
        def __init__(self) -> None:
            super().__init__()
            self.parts: list[Layer] = []
            self.table: dict[str, Layer] = {}
            self.parts.append(Dense(2, name="first"))
            self.head = Dense(1, name="head")
            self.parts += [Dense(2, name=f"later_{i}") for i in range(2)]
            self.table["x"] = Dense(2, name="in_table")
            self.last = (Dense(2, name="last"),)
            self.parts.pop(1)

        def call(self, x):
            for part in (*self.parts, *self.table.values(), *self.last):
                x = part(x)
            return self.head(x)

    model = Late()
    model(np.ones((1, 2), "float32"))
    names = ["first", "head", "later_1", "in_table", "last"]
    assert [layer.name for layer in model.layers] == names
    assert [w.path.split("/")[-2] for w in model.weights] == [name for name in names for _ in range(2)]
