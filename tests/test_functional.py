"""Models of inputs and outputs: graphs, structures, files, summaries, clones; beside real Keras."""

from __future__ import annotations

import json
import re
import shutil
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from graphs import GRAPHS, branches, chain, named, nested, operations, random_graph, repeated
from oracle import keras
from reference import float_type

import nncompile as nn
from nncompile import Input, Model, Sequential, backend, compiler, layers, ops, saving, targets, tree, utils
from nncompile.errors import FileFormatError, ModelError, UnsupportedError
from nncompile.layers import Add, Concatenate, Dense, Dot, Dropout, Subtract
from nncompile.models import Functional, clone_model, model_from_json

pytestmark = pytest.mark.quick_c

ARE = pytest.mark.parametrize("make", GRAPHS, ids=[make.__name__ for make in GRAPHS])


@pytest.fixture(autouse=True)
def _fresh_names() -> None:
    backend.clear_session(free_memory=False)
    keras.backend.clear_session(free_memory=False)


def rows(*shape: int, seed: int = 1) -> Any:
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def inputs_of(model: Any, count: int = 3) -> Any:
    """Data for a model, in the structure that it takes."""
    arrays = [rows(count, *x.shape[1:], seed=i) for i, x in enumerate(model.inputs)]
    return model._pack_inputs(arrays)


def agree(a: Any, b: Any, tolerance: float = 1e-5) -> None:
    a, b = tree.flatten(a), tree.flatten(b)
    assert len(a) == len(b)
    for x, y in zip(a, b, strict=True):
        np.testing.assert_allclose(np.asarray(x), np.asarray(y), rtol=tolerance, atol=tolerance)


def summary(model: Any, **arguments: Any) -> str:
    text: list[str] = []
    model.summary(print_fn=text.append, **arguments)
    return text[0]


# ------------------------------------------------------------------ as in Keras


@ARE
def test_it_is_the_model_that_keras_makes(make: Any) -> None:
    """Layers, their order, names of weights, configuration and summary, to the letter."""
    ours, theirs = make(nn), make(keras)
    assert ours.name == theirs.name
    assert [x.name for x in ours.layers] == [x.name for x in theirs.layers]
    assert [w.path for w in ours.weights] == [w.path for w in theirs.weights]
    assert [tuple(x.shape) for x in ours.inputs] == [tuple(x.shape) for x in theirs.inputs]
    assert [tuple(x.shape) for x in ours.outputs] == [tuple(x.shape) for x in theirs.outputs]
    assert ours.input_shape == theirs.input_shape
    assert ours.output_shape == theirs.output_shape
    assert json.loads(ours.to_json()) == json.loads(theirs.to_json())
    for arguments in ({}, {"expand_nested": True}, {"show_trainable": True, "line_length": 79}):
        assert summary(ours, **arguments) == summary(theirs, **arguments)


@pytest.mark.parametrize("seed", range(40))
def test_random_graphs_are_those_that_keras_makes(seed: int) -> None:
    ours, theirs = random_graph(nn, seed), random_graph(keras, seed)
    assert json.loads(ours.to_json()) == json.loads(theirs.to_json())
    assert summary(ours) == summary(theirs)
    assert [w.path for w in ours.weights] == [w.path for w in theirs.weights]
    again = model_from_json(theirs.to_json())
    assert json.loads(again.to_json()) == json.loads(ours.to_json())


@pytest.mark.filterwarnings("ignore")  # of Keras and h5py about each other
@pytest.mark.parametrize("make", [branches, named, nested, operations], ids=lambda make: make.__name__)
def test_files_both_ways(make: Any, tmp_path: Any) -> None:
    ours, theirs = make(nn), make(keras)
    x = inputs_of(ours)
    ours.save(tmp_path / "ours.keras")
    theirs.save(tmp_path / "theirs.keras")
    agree(ours(x), keras.models.load_model(tmp_path / "ours.keras")(x))
    agree(saving.load_model(tmp_path / "theirs.keras")(x), theirs(x))
    agree(saving.load_model(tmp_path / "ours.keras")(x), ours(x), 0)
    theirs.save_weights(tmp_path / "theirs.weights.h5")
    ours.load_weights(tmp_path / "theirs.weights.h5")
    agree(ours(x), theirs(x))


@pytest.mark.filterwarnings("ignore")
def test_weights_of_a_legacy_file(tmp_path: Any) -> None:
    ours, theirs = branches(nn), branches(keras)
    theirs.save(tmp_path / "theirs.h5")
    x = inputs_of(ours)
    agree(saving.load_model(tmp_path / "theirs.h5")(x), theirs(x))
    ours.load_weights(tmp_path / "theirs.h5")
    agree(ours(x), theirs(x))


@ARE
def test_a_configuration_is_read_back(make: Any) -> None:
    model = make(nn)
    again = model_from_json(model.to_json())
    assert type(again) is type(model)
    again.set_weights(model.get_weights())
    x = inputs_of(model)
    agree(again(x), model(x), 0)
    assert again.to_json() == model.to_json()
    other = type(model).from_config(model.get_config())
    assert [w.shape for w in other.weights] == [w.shape for w in model.weights]


def test_merging_layers_compute_what_keras_computes() -> None:
    cases: list[tuple[str, dict[str, Any], list[tuple[int, ...]]]] = [
        ("Add", {}, [(2, 3), (2, 3), (2, 3)]),
        ("Add", {}, [(2, 1), (2, 3)]),
        ("Subtract", {}, [(2, 4, 3), (2, 3)]),
        ("Multiply", {}, [(2, 4, 1), (2, 4, 3), (2, 3)]),
        ("Average", {}, [(2, 3), (2, 3), (2, 3)]),
        ("Maximum", {}, [(2, 3), (2, 3), (2, 3)]),
        ("Minimum", {}, [(2, 3), (2, 1)]),
        ("Concatenate", {}, [(2, 3), (2, 5), (2, 1)]),
        ("Concatenate", {"axis": 1}, [(2, 3, 4), (2, 5, 4)]),
        ("Concatenate", {"axis": -2}, [(2, 3, 4), (2, 5, 4)]),
        ("Dot", {"axes": 1}, [(2, 3), (2, 3)]),
        ("Dot", {"axes": -1, "normalize": True}, [(2, 3), (2, 3)]),
        ("Dot", {"axes": (1, 2)}, [(2, 3, 5), (2, 10, 3)]),
        ("Dot", {"axes": -1}, [(2, 4, 5), (2, 5)]),
        ("Dot", {"axes": -1}, [(2, 5), (2, 4, 5)]),
        ("Dot", {"axes": 2, "normalize": True}, [(2, 4, 5), (2, 6, 5)]),
        ("Dot", {"axes": (3, 1)}, [(2, 3, 4, 5), (2, 5, 6, 7)]),
    ]
    for name, arguments, shapes in cases:
        arrays = [rows(*shape, seed=i) for i, shape in enumerate(shapes)]
        ours, theirs = getattr(layers, name)(**arguments), getattr(keras.layers, name)(**arguments)
        agree(ours(arrays), theirs(arrays), 1e-6)
        unknown = [(None, *shape[1:]) for shape in shapes]
        assert ours.compute_output_shape(unknown) == tuple(theirs.compute_output_shape(unknown))
        function = getattr(layers, name.lower())
        agree(function(arrays, **arguments), ours(arrays), 0)
        tensor = function([Input(shape[1:]) for shape in shapes], **arguments)
        assert tensor.shape == ours.compute_output_shape(unknown)
        symbols = [ops.symbol("x", ops.ELEMENT, shape) for shape in unknown]
        assert tuple(ours.call(symbols).shape) == tensor.shape, name
        assert {**ours.get_config(), "name": ""}.keys() == theirs.get_config().keys()


def test_pictures_are_those_of_keras() -> None:
    pytest.importorskip("pydot", reason="pydot draws the pictures and is not installed")

    def text(dot: Any) -> str:
        names: dict[str, str] = {}
        return re.sub(r"\b\d{9,}\b", lambda found: names.setdefault(found[0], f"n{len(names)}"), dot.to_string())

    everything = {"show_shapes": True, "show_dtype": True, "show_trainable": True, "show_layer_activations": True}
    for make in (branches, named, nested, operations, chain):
        ours, theirs = make(nn), make(keras)
        for arguments in ({}, everything, {"expand_nested": True, "rankdir": "LR"}):
            assert text(utils.model_to_dot(ours, **arguments)) == text(keras.utils.model_to_dot(theirs, **arguments))


@pytest.mark.skipif(shutil.which("dot") is None, reason="Graphviz is not installed")
def test_files_of_pictures(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pydot", reason="pydot draws the pictures and is not installed")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "IPython", None)
    model = chain(nn)
    for name, begin in (("a.png", b"\x89PNG"), ("b.PNG", b"\x89PNG"), ("c", b"\x89PNG"), ("d.svg", b"<?xml")):
        assert utils.plot_model(model, name, dpi=20) is None
        assert Path(name).read_bytes().startswith(begin)
    with pytest.raises(ModelError, match=r"'e\.txt': Graphviz has no format 'txt'\. Write a name that ends in \.png"):
        utils.plot_model(model, "e.txt")
    with pytest.raises(FileNotFoundError):
        utils.plot_model(model, "none/a.png", dpi=20)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.png", "b.PNG", "c", "d.svg"]


# ------------------------------------------------------------------ tensors


def test_tensors() -> None:
    x = Input((3, 4), name="x", dtype="float64")
    assert (x.shape, x.dtype, x.ndim, x.name) == ((None, 3, 4), "float64", 3, "x")
    assert repr(x) == "<KerasTensor shape=(None, 3, 4), dtype=float64, sparse=False, ragged=False, name=x>"
    assert isinstance(x, nn.KerasTensor)
    assert (x + 1).shape == (2 * x).shape == (1.0 - x).shape == (x / x).shape == (-x).shape == abs(x).shape == x.shape
    assert (x**2).shape == (x > 0.5).shape == x.shape
    assert (x > 0.5).dtype == "bool"
    assert x[:, 1].shape == (None, 4)
    assert x[:, :, 1:3].shape == (None, 3, 2)
    assert x.reshape((-1, 12)).shape == (None, 12)
    assert ops.transpose(x, (0, 2, 1)).shape == (None, 4, 3)
    assert ops.sum(x, axis=-1).shape == (None, 3)
    assert [part.shape for part in ops.split(x, 2, axis=-1)] == [(None, 3, 2)] * 2
    assert ops.concatenate([x, x], axis=1).shape == (None, 6, 4)
    assert Input((3,), batch_size=5)[:2].shape == (2, 3)


@pytest.mark.parametrize(
    ("use", "message"),
    [
        (lambda x: np.sin(x), "has no numbers: it stands for the values of a model"),
        (lambda x: bool(x), r"has no value to branch on. Use ops.where"),
        (lambda x: float(x), "has no number before the model runs"),
        (lambda x: list(x), "cannot be iterated over"),
        (lambda x: len(x), "has no length"),
        (lambda x: x + Input((4,)), r"ops.add: failed for shapes \(None, 3\), \(None, 4\)"),
        (lambda x: ops.clip(1.0, x, 2.0), "ops.clip: x_min cannot be a symbolic tensor"),
        (lambda x: Dense(2)(Dense(3)), r"received the layer dense_1 \(Dense\)"),
        (lambda x: Dense(2)([x, x]), r"expected 1 input, received 2 of shapes \(None, 3\), \(None, 3\)"),
        (lambda x: Dense(2)(x[:, 0]), r"expected \(batch, features\), received shape \(None,\)"),
        (lambda x: Dense(2)(), "missing the argument 'inputs'"),
        (lambda x: Dense(3).output, "dense: was not called on an Input yet and has no output"),
        (lambda x: Dense(3).input, "dense: was not called on an Input yet and has no input"),
        (lambda x: nn.KerasTensor((3,), sparse=True), "sparse and ragged tensors are not supported"),
    ],
)  # fmt: skip
def test_what_tensors_are_not(use: Any, message: str) -> None:
    with pytest.raises((ModelError, UnsupportedError, AttributeError, TypeError), match=message):
        use(Input((3,)))


def test_layers_know_what_they_were_called_on() -> None:
    x, y = Input((3,)), Input((3,))
    layer, add = Dense(2), Add()
    first, second = layer(x), layer(y)
    assert layer.input is x
    assert layer.output is first
    assert second.shape == (None, 2)
    assert layer.built
    assert len(layer.weights) == 2
    total = add([first, second])
    assert add.input == [first, second]
    assert add.output is total
    assert layer.input_shape == (None, 3)
    assert layer.output_shape == (None, 2)


# ------------------------------------------------------------------ calling


def test_structures_of_inputs() -> None:
    model = branches(nn)
    x = inputs_of(model)
    first, second = model(x)
    assert isinstance(model(x), list)
    agree(model(tuple(x)), [first, second], 0)
    agree(model({"a": x[0], "b": x[1]}), [first, second], 0)
    agree(model([x[0].tolist(), x[1].tolist()]), [first, second], 1e-6)
    agree(model.call(x), [first, second], 0)
    other = named(nn)
    made = other({"a": x[0], "b": x[1], "more": 3})
    assert set(made) == {"y", "z"}
    agree(other([x[0], x[1]]), [made["y"], made["z"]], 0)  # in the order of the sorted keys
    pair = Model((model.inputs[0], {"second": model.inputs[1]}), {"deep": [model.outputs]})
    agree(pair((x[0], {"second": x[1]}))["deep"][0], [first, second], 0)
    single = chain(nn)
    assert single([rows(2, 4)]).shape == (2, 2)
    assert single(rows(2, 4).tolist()).shape == (2, 2)


def test_an_axis_of_size_one_is_added_or_dropped() -> None:
    x = Input((1,))
    model = Model(x, Dense(2)(x))
    agree(model(rows(3, 1)[:, 0]), model(rows(3, 1)), 0)
    y = Input((4,))
    agree(Model(y, Dense(2)(y))(rows(3, 4, 1)).shape, (3, 2), 0)


def test_symbols_are_called_as_arrays_are() -> None:
    """What the compiler does: every layer once per call, shared values and weights kept shared."""
    model = repeated(nn)
    x = ops.symbol("x", ops.ELEMENT, (None, 4))
    outputs = model.call(x)
    assert [tuple(y.shape) for y in outputs] == [(None, 1), (None, 4), (None, 4)]
    found: set[Any] = set()

    def visit(y: Any) -> None:
        if y not in found:
            found.add(y)
            for arg in y.args:
                visit(arg)

    for y in outputs:
        visit(y)
    assert sum(y.op == "matmul" for y in found) == 3
    assert x in found


def test_a_path_of_operations_keeps_its_owner() -> None:
    x = Input((4,))
    model = Model(x, ops.tanh(x * 2))
    made = model.call(ops.symbol("x", ops.ELEMENT, (None, 4)))
    assert (made.op, made.owner) == ("tanh", "tanh")


def test_training_is_handed_on_and_overrides_what_was_recorded() -> None:
    class Sees(layers.Layer):
        def call(self, inputs: Any, training: Any = None) -> Any:
            seen.append(training)
            return inputs

    seen: list[Any] = []
    x = Input((3,))
    model = Model(x, Sees(name="b")(Sees(name="a")(x, training=True)))
    for training, expected in ((None, [True, None]), (True, [True, True]), (False, [False, False])):
        seen.clear()
        model(rows(2, 3), training=training)
        assert seen == expected
    seen.clear()
    Sequential([Input((3,)), model])(rows(2, 3), training=True)
    assert seen[-2:] == [True, True]


def test_several_arguments() -> None:
    class Mix(layers.Layer):
        def build(self, query_shape: Any, value_shape: Any) -> None:
            self.kernel = self.add_weight(shape=(query_shape[-1], value_shape[-1]), name="kernel")

        def call(self, query: Any, value: Any, scale: float = 1.0) -> Any:
            return [ops.matmul(query, self.kernel) * scale + value, query]

    layer = Mix()
    q, v = Input((3,)), Input((5,))
    made = layer(q, value=v, scale=2.0)
    assert [y.shape for y in made] == [(None, 5), (None, 3)]
    model = Model([q, v], made)
    a, b = rows(2, 3), rows(2, 5)
    agree(model([a, b])[0], 2 * (a @ layer.kernel.value) + b, 1e-6)
    agree(layer(a, b, 2.0)[0], model([a, b])[0], 0)
    agree(layer(query=a, value=b, scale=2.0)[0], model([a, b])[0], 0)
    with saving.custom_object_scope({"Mix": Mix}):
        again = model_from_json(model.to_json())
    again.set_weights(model.get_weights())
    agree(again([a, b]), model([a, b]), 0)


def test_layers_of_users_take_what_they_like() -> None:
    class Weighted(layers.Layer):
        def __init__(self, **kwargs: Any) -> None:
            super().__init__(**kwargs)
            self.inner = Dense(2)

        def call(self, inputs: Any) -> Any:
            return {"out": self.inner(inputs["x"]) * inputs["w"], "x": inputs["x"]}

    layer = Weighted()
    given = {"x": rows(4, 3), "w": rows(4, 1)}
    made = layer(given)
    assert layer.built
    agree(made["out"], layer.inner(given["x"]) * given["w"], 0)
    tensors = layer({"x": Input((3,)), "w": Input((1,))})
    assert tree.map_structure(lambda t: t.shape, tensors) == {"out": (None, 2), "x": (None, 3)}


# ------------------------------------------------------------------ compiled


def compiled(model: Any, x: Any) -> list[Any]:
    """What the compiled network returns for data in the structure that the model takes."""
    library = compiler.compile_network(model, targets.host())
    library.bind()
    arrays = tree.flatten(x)
    outputs = [np.empty((len(arrays[0]), *y.shape[1:]), dtype=library.dtype) for y in model.outputs]
    library.predict(library.samples(arrays), 0, len(arrays[0]), len(arrays[0]), outputs)
    return outputs


@ARE
def test_the_network_in_c_computes_what_the_layers_compute(make: Any) -> None:
    with float_type("float64"):
        model = make(nn)
        x = tree.map_structure(lambda a: a.astype("float64"), inputs_of(model, 5))
        agree(compiled(model, x), model(x), 1e-12)


@pytest.mark.parametrize("seed", range(40))
def test_random_graphs_in_c(seed: int) -> None:
    with float_type("float64"):
        model = random_graph(nn, seed)
        x = tree.map_structure(lambda a: a.astype("float64"), inputs_of(model, 5))
        copy = clone_model(model)
        copy.set_weights(model.get_weights())
        agree(copy(x), model(x), 0)
        agree(compiled(model, x), model(x), 1e-11)


def test_a_sum_over_other_columns_is_a_value_of_its_own() -> None:
    """A sum over 8 columns meets one column of a product, and another sum over 3."""
    with float_type("float64"):
        x, y = Input((8,)), Input((3,))
        square = Dot(axes=-1)([x, x])
        outputs = [
            layers.multiply([square, Dense(1)(x)]), Dense(3)(square), layers.multiply([square, Dense(1)(square)]),
            layers.multiply([square, Dot(axes=-1)([y, y])]),
        ]  # fmt: skip
        model = Model([x, y], outputs)
        data = [rows(5, 8).astype("float64"), rows(5, 3).astype("float64")]
        agree(compiled(model, data), model(data), 1e-11)


def test_merging_layers_in_c() -> None:
    """All of them in one network, with what is broadcast and what is not."""
    with float_type("float64"):
        a, b, c, d = Input((3,)), Input((3,)), Input((1,)), Input((2, 3))
        outputs = [
            layers.add([a, b, c]), layers.subtract([a, c]), layers.multiply([d, a]), layers.average([a, b]),
            layers.maximum([a, b]), layers.minimum([a, c]), layers.concatenate([a, c, b]),
            layers.concatenate([d, d], axis=1), layers.dot([a, b], axes=1), layers.dot([a, b], axes=1, normalize=True),
            layers.dot([d, a], axes=-1), layers.dot([d, d], axes=2), layers.dot([d, d], axes=1, normalize=True),
        ]  # fmt: skip
        model = Model([a, b, c, d], outputs)
        x = [rows(4, *t.shape[1:], seed=i).astype("float64") for i, t in enumerate(model.inputs)]
        agree(compiled(model, x), model(x), 1e-12)


def test_a_class_of_a_users_own_learns() -> None:
    class Residual(Model):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.last = Dense(4, activation="tanh"), Dense(1)

        def call(self, inputs: Any, training: Any = None) -> Any:
            return self.last(self.first(inputs) + inputs)

    x, y = rows(32, 4), rows(32, 1)
    model = Residual()
    model.compile(optimizer=nn.optimizers.SGD(0.1), loss="mse")
    losses = model.fit(x, y, epochs=3, batch_size=8, verbose=0).history["loss"]
    assert losses[2] < losses[0]
    agree(model.predict(x, verbose=0), model.call(x), 1e-5)
    # the same network as a graph takes the same steps
    inputs = Input((4,))
    first, last = Dense(4, activation="tanh"), Dense(1)
    graph = Model(inputs, last(first(inputs) + inputs))
    again = Residual()
    again.build((None, 4))
    graph.set_weights(again.get_weights())
    for one in (again, graph):
        one.compile(optimizer=nn.optimizers.SGD(0.1), loss="mse")
        one.fit(x, y, epochs=2, batch_size=8, shuffle=False, verbose=0)
    for a, b in zip(again.get_weights(), graph.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.filterwarnings("ignore")
def test_it_learns_what_keras_learns() -> None:
    """A layer that is called twice, two outputs with losses of their own."""
    ours, theirs = branches(nn), branches(keras)
    theirs.set_weights(ours.get_weights())
    x = inputs_of(ours, 16)
    y = [rows(16, 2, seed=5), rows(16, 1, seed=6)]
    logs = []
    for k, model in ((nn, ours), (keras, theirs)):
        model.compile(optimizer=k.optimizers.SGD(0.1), loss=["mse", "mae"], loss_weights=[1.0, 0.5])
        logs.append([model.train_on_batch(x, y, return_dict=True) for _ in range(3)])
    for a, b in zip(*logs, strict=True):
        assert a.keys() == b.keys()
        agree(list(a.values()), list(b.values()), 1e-5)
    agree(ours.get_weights(), theirs.get_weights(), 1e-5)


def test_an_integer_input() -> None:
    x = Input((3,), dtype="int32")
    model = Model(x, [Dense(2)(x)])
    numbers = np.arange(6).reshape(2, 3)
    assert isinstance(model.predict(numbers, verbose=0), np.ndarray)
    agree(model.predict(numbers, verbose=0), model(numbers), 1e-5)


# ------------------------------------------------------------------ making


def test_intermediate_values() -> None:
    model = branches(nn)
    x = inputs_of(model)
    shared = model.get_layer("shared")
    agree(Model(model.inputs[0], model.get_layer("dense").output)(x[0]), np.tanh(x[0] @ model.get_weights()[0]), 1e-5)
    both = Model(model.input, [shared.output, model.output])
    agree(both(x)[1], model(x), 0)
    assert model.get_layer(index=0).name == "a"
    with pytest.raises(ModelError, match=r"has no layer called 'share'. Did you mean 'shared'"):
        model.get_layer("share")
    stack = Sequential([Input((4,)), Dense(3), Dense(2)])
    agree(Model(stack.inputs, stack.layers[0].output)(rows(2, 4)), stack.layers[0](rows(2, 4)), 0)
    assert stack.input.shape == (None, 4)
    assert stack.output.shape == (None, 2)
    assert [x.shape for x in stack.outputs] == [(None, 2)]
    with pytest.raises(AttributeError, match="has no inputs: its inputs are not known"):
        Sequential([Dense(3)]).inputs  # noqa: B018


def test_a_model_of_the_rest_shares_its_layers() -> None:
    x = Input((4,))
    h = Dense(5)(x)
    y = Dense(2)(h)
    whole, head, tail = Model(x, y), Model(x, h), Model(h, y)
    agree(tail(head(rows(3, 4))), whole(rows(3, 4)), 0)
    assert tail.weights == whole.weights[2:]
    assert tail.input_shape == (None, 5)
    assert re.fullmatch(r"keras_tensor(_\d+)?CLONE", tail.layers[0].name)


def test_classes_of_users() -> None:
    class Own(Model):
        def __init__(self, units: int, **kwargs: Any) -> None:
            x = Input((3,))
            super().__init__(x, Dense(units)(x), **kwargs)
            self.units = units

        def get_config(self) -> dict[str, Any]:
            return {"units": self.units, "name": self.name}

    class Plain(Model):
        pass

    model = Own(2, name="own")
    assert model(rows(4, 3)).shape == (4, 2)
    assert [x.name for x in model.layers] == ["input_layer", "dense"]
    assert model.name == "own"
    assert Own.from_config(model.get_config()).units == 2
    x = Input((3,))
    plain = Plain(inputs=x, outputs=Dense(2)(x))
    assert type(plain) is Plain
    assert type(Plain.from_config(plain.get_config())) is Plain
    assert type(Model(x, Dense(2)(x))) is Functional


def test_models_whose_call_is_written_by_hand() -> None:
    class Twins(Model):
        def __init__(self) -> None:
            super().__init__()
            self.left, self.right = Dense(3), Sequential([Dense(4), Dense(3)])

        def call(self, inputs: Any, training: Any = None) -> Any:
            a, b = inputs["a"], inputs["b"]
            return {"sum": self.left(a) + self.right(b), "left": self.left(b)}

    model = Twins()
    made = model({"a": rows(2, 5), "b": rows(2, 5)})
    assert {key: value.shape for key, value in made.items()} == {"sum": (2, 3), "left": (2, 3)}
    assert model._input_specs() == [("a", (5,), "float32"), ("b", (5,), "float32")]
    assert model.output_names == ["left", "sum"]
    assert model._pack_inputs([1, 2]) == {"a": 1, "b": 2}
    assert model._unpack_outputs(made)[0] is made["left"]
    later = Twins()
    later.build({"a": (None, 5), "b": (None, 5)})
    assert [w.shape for w in later.weights] == [w.shape for w in model.weights]
    assert later.output_shape == {"sum": (None, 3), "left": (None, 3)}
    # and as a part of a graph
    a, b = Input((5,)), Input((5,))
    outer = Model([a, b], model({"a": a, "b": b})["sum"])
    agree(outer([rows(2, 5), rows(2, 5)]), made["sum"], 0)
    with pytest.raises(AttributeError, match="has no inputs"):
        model.inputs  # noqa: B018

    class Two(Model):
        def __init__(self) -> None:
            super().__init__()
            self.d = Dense(3)

        def call(self, left: Any, right: Any) -> Any:
            return self.d(left) - self.d(right)

    two = Two()
    difference = two(a, right=b)
    assert difference.shape == (None, 3)
    agree(Model([a, b], difference)([rows(2, 5), 0 * rows(2, 5)]), two(rows(2, 5), 0 * rows(2, 5)), 0)


def test_a_stack_on_a_list() -> None:
    model = Sequential([Concatenate(), Dense(2)])
    x = [rows(3, 4), rows(3, 5)]
    made = model(x)
    assert model.layers[1].kernel.shape == (9, 2)
    assert model.input_shape == [(3, 4), (3, 5)]
    assert [shape for _, shape, _ in model._input_specs()] == [(4,), (5,)]
    again = model_from_json(model.to_json())
    again.set_weights(model.get_weights())
    agree(again(x), made, 0)
    assert model([Input((4,)), Input((5,))]).shape == (None, 2)
    later = Sequential([Concatenate(), Dense(2)])
    later.build([(None, 4), (None, 5)])
    assert [w.shape for w in later.weights] == [w.shape for w in model.weights]


def test_what_the_compiler_asks() -> None:
    model = branches(nn)
    assert model._input_specs() == [("a", (3,), "float32"), ("b", (4,), "float32")]
    assert model.input_names == ["a", "b"]
    assert model.output_names == ["first", "second"]
    assert named(nn)._input_specs() == [("a", (3,), "float32"), ("b", (4,), "float32")]
    assert named(nn).output_names == ["y", "z"]
    stack = Sequential([Input((4,), name="rows", dtype="int32"), Dense(3, name="last")])
    assert stack._input_specs() == [("rows", (4,), "int32")]
    assert stack.output_names == ["last"]
    assert stack._pack_inputs([5]) == 5
    with pytest.raises(ModelError, match="is not built: the shapes of its inputs are not known"):
        Sequential([Dense(3)])._input_specs()


def test_old_spellings() -> None:
    x = Input((3,))
    y = Dense(2)(x)
    with pytest.warns(DeprecationWarning, match="'input' is the spelling of Keras 1 or 2; use 'inputs'") as caught:
        model = Model(input=x, outputs=y)
    assert len(caught) == 1
    assert caught[0].filename == __file__
    assert isinstance(model, Functional)
    with pytest.warns(DeprecationWarning):
        assert layers.Concatenate(concat_axis=1).axis == 1


def test_names_of_a_dictionary_should_be_those_of_the_tensors() -> None:
    x = Input((3,), name="x")
    with pytest.warns(UserWarning, match="the input 'y' is the tensor 'x'. Name it alike"):
        Model({"y": x}, Dense(2)(x))


def _cycle() -> Any:
    x = Input((3,))
    layer = Dense(3)
    y = layer(x)
    z = Dense(3)(y)
    layer._inbound_nodes[0].inputs[0] = z
    return Model(x, z)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda x, y: Model(x, Dense(3)), r"functional \(Functional\): expected outputs to be symbolic tensors, rec"),
        (lambda x, y: Model(3, x), r"expected inputs to be symbolic tensors, received 3 \(int\)"),
        (lambda x, y: Model(rows(2, 3), x), "expected inputs to be symbolic tensors"),
        (lambda x, y: Model([], x), r"expected inputs, received \[\]"),
        (lambda x, y: Model(x, []), r"expected outputs, received \[\]"),
        (lambda x, y: Model([x, x], Dense(3)(x)), "one tensor is given twice as an input"),
        (lambda x, y: Model(x, Dense(3)(y)), r"graph disconnected: 'y' of shape \(None, 4\), which dense is called on"),
        (lambda x, y: Model(x, [Dense(3)(x), y]), "the output 1 .* is not connected to the inputs"),
        (lambda x, y: Model(x, nn.KerasTensor((None, 3))), "the output 0 .* is not connected to the inputs"),
        (lambda x, y: Model(Dense(3)(x), Dense(2)(x)), "graph disconnected: 'x'"),
        (lambda x, y: Model(x, Dense(3, name="a")(Dense(3, name="a")(x))), "2 layers are called 'a'"),
        (lambda x, y: _cycle(), "dense_1 is part of a cycle"),
        (lambda x, y: Model(inputs=x), "expected both inputs and outputs; outputs is missing"),
        (lambda x, y: Model(outputs=x), "expected both inputs and outputs; inputs is missing"),
        (lambda x, y: Model(x, Dense(2)(x), inputs=x), "multiple values for argument 'inputs'|two values for 'inputs'"),
        (lambda x, y: Model(x, Dense(2)(x), nam="m"), "Did you mean 'name'"),
        (lambda x, y: Model(3), "takes inputs and outputs, or keywords; received"),
        (lambda x, y: Model()(rows(2, 3)), r"must define call\(self, inputs\), or be made of inputs and outputs"),
        (lambda x, y: Model(x, Dense(2)(x))(rows(2, 4)), r"expected shape \(None, 3\), received \(2, 4\)"),
        (lambda x, y: Model([x, y], Add()([x, x]))([rows(2, 3)]), r"expected 2 inputs \('x' \(None, 3\), 'y' \(None, 4"),
        (lambda x, y: Model([x, y], Add()([x, x]))([rows(2, 3), rows(2, 3)]), r"\(None, 4\) for the input 'y', receiv"),
        (lambda x, y: Model([x, y], Add()([x, x]))({"x": rows(2, 3)}), "expected inputs named 'x', 'y', received 'x'"),
        (lambda x, y: Model({"x": x, "y": y}, Add()([x, x]))({"y": rows(2, 4)}), "expected inputs named 'x', 'y'"),
        (lambda x, y: Model([x, y], Add()([x, x]))([rows(2, 3), None]), "expected an array for the input 'y', received"),
        (lambda x, y: Add()(x), r"add \(Add\): expected a list of inputs, received one of shape \(None, 3\)"),
        (lambda x, y: Add()({"a": x}), "expected a list of inputs, received a dictionary"),
        (lambda x, y: Add()([x, y]), r"expected inputs of shapes that fit, received \(None, 3\) and \(None, 4\)"),
        (lambda x, y: Add()([Input((3,), 2), Input((3,), 5)]), r"expected inputs of as many rows"),
        (lambda x, y: Subtract()([x, x, x]), "expected 2 inputs, received 3"),
        (lambda x, y: Concatenate(axis=1)([x, x[:, :, None]]), "expected inputs that differ in the size of axis 1"),
        (lambda x, y: Concatenate(axis=2)([x, y]), "has axis=2, received inputs of shapes"),
        (lambda x, y: Concatenate(axis="x"), "expected axis to be an integer, received 'x'"),
        (lambda x, y: Dot(axes=1)([x, y]), "expected axes 1 and 1 of one size"),
        (lambda x, y: Dot(axes=0)([x, x]), "axis 0 is the batch"),
        (lambda x, y: Dot(axes=(1, 1, 1)), "expected axes to be an integer or two"),
        (lambda x, y: Dot(axes=1.5), "expected axes to be an integer or two, received 1.5"),
        (lambda x, y: Add(axis=3), "unexpected keyword argument 'axis'"),
    ],
)  # fmt: skip
def test_what_is_refused(make: Any, message: str) -> None:
    with pytest.raises((ModelError, TypeError, NotImplementedError), match=message):
        make(Input((3,), name="x"), Input((4,), name="y"))


# ------------------------------------------------------------------ clones


def test_clones() -> None:
    model = nested(nn)
    copy = clone_model(model)
    assert copy.to_json() == model.to_json()
    assert not set(map(id, copy.weights)) & set(map(id, model.weights))
    copy.set_weights(model.get_weights())
    agree(copy(rows(2, 4)), model(rows(2, 4)), 0)
    names: list[str] = []

    def clone(layer: Any) -> Any:
        names.append(layer.name)
        return type(layer).from_config(layer.get_config())

    clone_model(model, clone_function=clone)
    assert names == ["inner", "stack", "average"]
    names.clear()
    clone_model(model, clone_function=clone, recursive=True)
    assert names == ["dense_1", "dense", "dense_2", "activation", "average"] or set(names) == {
        "dense", "dense_1", "dense_2", "activation", "average",
    }  # fmt: skip


def test_clones_by_functions() -> None:
    def call(layer: Any, *args: Any, **kwargs: Any) -> Any:
        made = layer(*args, **kwargs)
        return Dropout(0.5)(made) if isinstance(layer, Dense) else made

    model = chain(nn)
    copy = clone_model(model, clone_function=lambda layer: layer, call_function=call)
    assert [type(x).__name__ for x in copy.layers] == ["InputLayer", "Dense", "Dropout", "Dropout", "Dense", "Dropout"]
    assert copy.weights == model.weights
    wide = clone_model(model, input_tensors=Input((4,), name="other", batch_size=7))
    assert wide.input_shape == (7, 4)
    assert clone_model(operations(nn)).output_shape == operations(nn).output_shape
    for arguments, message in (
        ({"input_tensors": [Input((4,))]}, "expected input_tensors in the structure of model.input"),
        ({"input_tensors": 3}, r"expected input_tensors that Input\(\) returned, received 3"),
        ({"clone_function": 3}, "expected clone_function to be a function"),
    ):
        with pytest.raises(ModelError, match=message):
            clone_model(model, **arguments)


# ------------------------------------------------------------------ files of others


def config_of(*nodes: Any, **changes: Any) -> dict[str, Any]:
    """A model of an Input and a Dense as Keras 3 writes it, with other calls of the Dense."""
    x = Input((3,), name="x")
    config = json.loads(Model(x, Dense(2, name="d")(x), name="m").to_json())
    if nodes:
        config["config"]["layers"][1]["inbound_nodes"] = list(nodes)
    config["config"].update(changes)
    return config


def tensor(*history: Any) -> dict[str, Any]:
    inner = {"shape": [None, 3], "dtype": "float32", "keras_history": list(history)}
    return {"class_name": "__keras_tensor__", "config": inner}


def operation(kind: str, *args: Any, module: str = "keras.src.ops.numpy", **options: Any) -> dict[str, Any]:
    nodes = [{"args": [tensor("x", 0, 0), *args], "kwargs": {}}]
    config = {"name": "d", **options}
    return {"module": module, "class_name": kind, "config": config, "name": "d", "inbound_nodes": nodes}


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: config_of({"args": [tensor("y", 0, 0)], "kwargs": {}}), FileFormatError, "no layer is called 'y'"),
        (lambda: config_of({"args": [tensor("d", 0, 0)], "kwargs": {}}), FileFormatError, "calls of 'd' depend on each"),
        (lambda: config_of({"args": [tensor("x", 1, 0)], "kwargs": {}}), FileFormatError, "depend on each other"),
        (lambda: config_of({"args": [tensor("x", 0, 1)], "kwargs": {}}), FileFormatError, "does not return 2 tensors"),
        (lambda: config_of({"args": [tensor("x", -1, 0)], "kwargs": {}}), FileFormatError, "layer, call, output"),
        (lambda: config_of({"args": [tensor("x", True, 0)], "kwargs": {}}), FileFormatError, "layer, call, output"),
        (lambda: config_of({"args": [3], "kwargs": {}}), FileFormatError, "a call on nothing"),
        (lambda: config_of({"args": 3}), FileFormatError, "expected args and kwargs"),
        (lambda: config_of(3), FileFormatError, "expected a call, received 3"),
        (lambda: config_of([["x", 0]]), FileFormatError, "layer, call, output"),
        (lambda: config_of(output_layers=["d", 1, 0]), FileFormatError, "is not called that often"),
        (lambda: config_of(output_layers=3), FileFormatError, "expected output_layers to name layers"),
        (lambda: config_of(layers=3), FileFormatError, "expected a .*layers"),
        (lambda: config_of(layers=[3]), FileFormatError, "expected a layer, received 3"),
        (lambda: config_of(layers=config_of()["config"]["layers"] * 2), FileFormatError, "two layers are called 'x'"),
        (lambda: with_operation(operation("Popen", module="subprocess")), UnsupportedError, "subprocess.Popen"),
        (lambda: with_operation(operation("Popen")), UnsupportedError, "keras.src.ops.numpy.Popen.* is not supported"),
        (lambda: with_operation(operation("Tile", repeats=[1, 1 << 40])), FileFormatError, "makes rows of more than"),
        (lambda: with_operation(operation("Repeat", repeats=1 << 40, axis=1)), FileFormatError, "makes rows of more"),
        (lambda: with_operation(operation("Sum", nonsense=3)), FileFormatError, "nonsense"),
        (lambda: with_units(1 << 40), FileFormatError, "a row of 1099511627776 numbers"),
    ],
)  # fmt: skip
def test_bad_configurations(make: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        model_from_json(json.dumps(make()))


def with_operation(form: dict[str, Any]) -> dict[str, Any]:
    config = config_of()
    config["config"]["layers"][1] = form
    return config


def with_units(units: int) -> dict[str, Any]:
    config = config_of()
    config["config"]["layers"][1]["config"]["units"] = units
    return config


def test_a_small_file_cannot_declare_large_weights(tmp_path: Any) -> None:
    """Each Dense is small beside its input; what they take together is found out as they are made."""
    x = Input((2000,), name="x")
    model = Model(x, Dense(3, name="a")(x))
    config = json.loads(model.to_json())
    config["config"]["layers"][1]["config"]["units"] = 60_000
    model.save(tmp_path / "m.keras")
    import zipfile

    with zipfile.ZipFile(tmp_path / "m.keras") as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    members["config.json"] = json.dumps(config).encode()
    with zipfile.ZipFile(tmp_path / "bad.keras", "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    with pytest.raises(FileFormatError, match=r"a \(Dense\): kernel of shape .* takes 480000000 bytes"):
        saving.load_model(tmp_path / "bad.keras")


def test_operations_that_keras_has_not_are_not_saved() -> None:
    x = Input((3,))
    model = Model(x, x - ops.batch_mean(x))
    with pytest.raises(UnsupportedError, match="ops.batch_mean of symbolic tensors cannot be saved"):
        model.to_json()


def test_what_keras_2_wrote() -> None:
    def layer(kind: str, name: str, nodes: list[Any], **config: Any) -> dict[str, Any]:
        return {"class_name": kind, "name": name, "config": {"name": name, **config}, "inbound_nodes": nodes}

    inner = {
        "name": "inner",
        "layers": [
            layer("InputLayer", "i", [], batch_input_shape=[None, 3], dtype="float32", sparse=False),
            layer("Dense", "small", [[["i", 0, 0, {}]]], units=3, activation="tanh"),
        ],
        "input_layers": [["i", 0, 0]],
        "output_layers": [["small", 0, 0]],
    }
    outer = {
        "name": "outer",
        "layers": [
            layer("InputLayer", "x", [], batch_input_shape=[None, 3], dtype="float32", sparse=False),
            {"class_name": "Model", "name": "inner", "config": inner, "inbound_nodes": [[["x", 0, 0, {}]]]},
            layer("Dense", "d", [[["inner", 1, 0, {}]], [["x", 0, 0, {}]]], units=2),
            layer("Concatenate", "c", [[["d", 0, 0, {}], ["d", 1, 0, {}]]], axis=-1),
        ],
        "input_layers": [["x", 0, 0]],
        "output_layers": [["c", 0, 0]],
    }
    text = json.dumps({"class_name": "Model", "config": outer, "keras_version": "2.3.1", "backend": "tensorflow"})
    model = model_from_json(text)
    assert isinstance(model, Functional)
    assert [x.name for x in model.layers] == ["x", "inner", "d", "c"]
    k, b, m, c = model.get_weights()
    x = rows(4, 3)
    agree(model(x), np.concatenate([np.tanh(x @ k + b) @ m + c, x @ m + c], axis=-1), 1e-5)


# ------------------------------------------------------------------ summaries and pictures


def test_summary_of_what_is_not_built() -> None:
    class Own(Model):
        def __init__(self) -> None:
            super().__init__(name="own")
            self.d = Dense(3)

        def call(self, inputs: Any) -> Any:
            return self.d(inputs)

    text = summary(Own())
    assert "dense (Dense)" in text
    assert "?" in text
    assert "0 (unbuilt)" in text


def test_plotting_needs_pydot(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pydot", None)
    model = chain(nn)
    for function in (utils.plot_model, utils.model_to_dot):
        with pytest.raises(ImportError, match="needs the package pydot: pip install pydot"):
            function(model)
        with pytest.raises(ModelError, match="is not built"):
            function(Sequential([Dense(3)]))
        with pytest.raises(ModelError, match="expected a model"):
            function(3)
        with pytest.raises(ModelError, match="layer_range is no longer supported"):
            function(model, layer_range=["a", "b"])
        with pytest.raises(TypeError, match="Did you mean 'show_shapes'"):
            function(model, show_shape=True)


def test_what_is_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Boxes and arrows, with a stand-in for the library that notes what it is told."""

    class Thing:
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            self.args, self.kwargs, self.nodes, self.edges, self.inner = args, kwargs, [], [], []
            self.settings: dict[str, Any] = {}

        def set(self, name: str, value: Any) -> None:
            self.settings[name] = value

        def set_node_defaults(self, **kwargs: Any) -> None:
            self.settings.update(kwargs)

        def add_node(self, node: Thing) -> None:
            self.nodes.append(node)

        def add_edge(self, edge: Thing) -> None:
            self.edges.append(edge.args)

        def add_subgraph(self, graph: Thing) -> None:
            self.inner.append(graph)

        def get_edge(self, *ends: str) -> bool:
            return ends in self.edges

    stand_in = types.ModuleType("pydot")
    for name in ("Dot", "Cluster", "Node", "Edge"):
        setattr(stand_in, name, Thing)
    monkeypatch.setitem(sys.modules, "pydot", stand_in)
    x = Input((3,), name="x<y")
    d = Dense(2, name="d", activation="relu", trainable=False)
    inner = Model(x, d(x), name="inner")
    z = Input((3,), name="z")
    model = Model(z, inner(z) + inner(z))
    dot = utils.model_to_dot(model, rankdir="LR", dpi=50, splines="line")
    assert dot.settings["rankdir"] == "LR"
    assert dot.settings["dpi"] == 50
    assert dot.settings["splines"] == "line"
    assert len(dot.nodes) == 3
    assert len(dot.edges) == 2
    dot = utils.model_to_dot(
        model, expand_nested=True, show_shapes=True, show_trainable=True, show_layer_activations=True, show_dtype=True
    )
    (cluster,) = dot.inner
    labels = [node.kwargs["label"] for node in cluster.nodes]
    assert "<b>x&lt;y</b> (InputLayer)" in labels[0]
    assert "Output shape: <b>(None, 2)</b>" in labels[1]
    assert "Activation: <b>relu</b>" in labels[1]
    assert "<b>Non-trainable</b>" in labels[1]
    assert "Output dtype: <b>float32</b>" in labels[1]
    assert (str(id(z._keras_history[0])), str(id(x._keras_history[0]))) in dot.edges


# ------------------------------------------------------------------ structures


def test_structures() -> None:
    struct = {"b": [1, (2, 3)], "a": 4}
    assert tree.flatten(struct) == [4, 1, 2, 3]
    assert tree.pack_sequence_as(struct, "wxyz") == {"b": ["x", ("y", "z")], "a": "w"}
    assert list(tree.pack_sequence_as(struct, "wxyz")) == ["b", "a"]
    assert tree.map_structure(lambda x, y: x + y, struct, struct) == {"b": [2, (4, 6)], "a": 8}
    assert tree.flatten_with_path(struct)[0] == (("a",), 4)
    assert tree.lists_to_tuples(struct) == {"b": (1, (2, 3)), "a": 4}
    assert tree.map_shape_structure(len, [(None, 3), [1, 2, 3]]) == [2, 3]
    assert not tree.is_nested(3)
    for wrong in ([1], {"b": 1}, 3):
        with pytest.raises(ModelError, match="structures that are alike"):
            tree.assert_same_structure(struct, wrong)
    with pytest.raises(ModelError, match="expected 4 values for the structure, received 2"):
        tree.pack_sequence_as(struct, [1, 2])
    assert tree.flatten(struct) == keras.tree.flatten(struct)


def test_keys_of_predictions_are_sorted() -> None:
    """As by Keras on JAX; those of calls and shapes stay as they were given."""

    def keys(structure: Any) -> Any:
        return {key: keys(part) for key, part in structure.items()} if isinstance(structure, dict) else 0

    given = Input((2,))
    heads = {"b": Dense(1)(given), "a": {"z": Dense(2)(given), "c": Dense(2)(given)}}
    model, x = Model(given, heads), rows(3, 2)
    for made in (model.predict(x, verbose=0), model.predict(x, verbose=2), model.predict_on_batch(x)):
        assert json.dumps(keys(made)) == '{"a": {"c": 0, "z": 0}, "b": 0}'
        agree(made, model(x))
    assert json.dumps(keys(model(x))) == json.dumps(keys(model.output)) == '{"b": 0, "a": {"z": 0, "c": 0}}'


def test_prediction_builds_what_is_not_built() -> None:
    class Two(Model):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = Dense(1), Dense(1)

        def call(self, inputs: Any) -> Any:
            return {"b": self.first(inputs), "a": self.second(inputs)}

    x = rows(3, 2)
    for make in (Two, lambda: Sequential([Dense(2)])):
        for predict in (lambda m: m.predict(x, verbose=0), lambda m: m.predict(x), lambda m: m.predict_on_batch(x)):
            model = make()
            agree(predict(model), model(x))


@pytest.mark.parametrize(
    "shapes, axes, sums",
    [
        (((6, 8), (5, 8)), -1, "bik,bjk->bij"),
        (((3, 4, 8), (8, 5)), (3, 1), "bcik,bkj->bcij"),
        (((8,), (5, 8)), (1, 2), "bk,bjk->bj"),
    ],
)
def test_dot_of_matrices_is_a_product(shapes: Any, axes: Any, sums: str) -> None:
    from nncompile.compiler import graph

    inputs = [nn.Input(shape) for shape in shapes]
    model = nn.Model(inputs, Dot(axes=axes)(inputs))
    given = [np.random.default_rng(0).normal(size=(7, *shape)).astype(np.float32) for shape in shapes]
    np.testing.assert_allclose(model.predict(given, verbose=0), np.einsum(sums, *given), rtol=1e-4, atol=1e-5)
    assert any(node.op == "dot" for node in graph.build(model, False).nodes)
