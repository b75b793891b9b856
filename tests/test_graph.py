"""Graphs: how a model's layers become nodes, and what is said where they cannot."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import nncompile as nn
from nncompile import ops
from nncompile.compiler import graph
from nncompile.errors import ModelError
from nncompile.layers import Activation, Dense, Dropout, Flatten, Layer


def stack(*layers: Any, shape: tuple[int, ...] = (5,), name: str | None = None) -> Any:
    return nn.Sequential([nn.Input(shape), *layers], name=name)


def nodes(model: Any, training: bool = False) -> list[str]:
    return [f"{n.name} {n.op} {list(n.shape)}" for n in graph.build(model, training).nodes]


class Formula(Layer):
    """A layer that is a function of its input."""

    def __init__(self, function: Any, **keywords: Any) -> None:
        super().__init__(**keywords)
        self.function = function

    def call(self, inputs: Any) -> Any:
        return self.function(inputs)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return tuple(input_shape)


# ------------------------------------------------------------------ nodes


def test_products_and_reshapes_cut_a_network_into_formulas() -> None:
    model = stack(Dense(4, "tanh"), Activation("softmax"), Flatten(), Dense(2), shape=(3, 5))
    assert nodes(model) == [
        "input input [3, 5]",
        "dense_product matmul [3, 4]",
        "activation formula [3, 4]",
        "flatten_reshape reshape [12]",
        "dense_1_product matmul [2]",
        "dense_1 formula [2]",
    ]
    found = graph.build(model, False)
    assert found.outputs == ("dense_1",) and found.node("dense_1").weights == ("dense_1_bias",)
    assert [n.inputs for n in found.nodes] == [(), ("input",), ("dense_product",), ("activation",), ("flatten_reshape",),
                                               ("dense_1_product",)]  # fmt: skip
    assert found.node("activation").positions == 3 and found.node("activation").features == 4
    assert [(w.name, w.shape, w.trainable) for w in found.weights] == [
        ("dense_kernel", (5, 4), True), ("dense_bias", (4,), True), ("dense_1_kernel", (12, 2), True), ("dense_1_bias", (2,), True),
    ]  # fmt: skip


def test_a_layer_without_a_formula_leaves_no_node() -> None:
    assert nodes(stack(Dense(4, use_bias=False), Dense(2, use_bias=False))) == [
        "input input [5]", "dense_product matmul [4]", "dense_1_product matmul [2]",
    ]  # fmt: skip
    assert nodes(stack(Flatten(), Activation("linear"))) == ["input input [5]"]
    assert nodes(stack(Activation("relu"))) == ["input input [5]", "activation formula [5]"]


def test_dropout_is_only_there_in_training() -> None:
    model = stack(Dropout(0.5), Dense(2))
    assert nodes(model, training=True)[1] == "dropout formula [5]"
    assert nodes(model, training=False)[1] == "dense_product matmul [2]"
    assert nodes(stack(Dropout(0.0), Dense(2)), training=True)[1] == "dense_product matmul [2]"


def test_what_is_trained() -> None:
    model = stack(Dense(3), Dense(3), Dense(2))
    model.layers[0].trainable = False
    model.layers[1].kernel.trainable = False
    assert [w.trainable for w in graph.build(model, True).weights] == [False, False, False, True, True, True]
    model.trainable = False
    assert not any(w.trainable for w in graph.build(model, True).weights)


def test_a_model_inside_a_model_is_its_layers() -> None:
    inner = stack(Dense(4, "tanh", name="a"), Dense(3, name="b"), name="inner")
    model = nn.Sequential([inner, Dense(2, name="last")])
    x = np.random.default_rng(0).normal(size=(4, 5)).astype("float32")
    np.testing.assert_allclose(model.predict(x, verbose=0), model.call(x), rtol=1e-5, atol=1e-6)
    model.build((None, 5))
    assert [n.op for n in graph.build(model, False).nodes].count("matmul") == 3


def test_it_can_be_read() -> None:
    text = str(graph.build(stack(Dense(2, "tanh", name="hidden")), True)).splitlines()
    assert text[0].endswith("(training)")
    assert "hidden_product[2] = matmul(input, hidden_kernel)    # hidden (Dense)" in text
    assert text[-1] == "output hidden; weights hidden_kernel[5, 2], hidden_bias[2]"


# ------------------------------------------------------------------ names


def fake(name: str, automatic: bool = False, kind: str = "Dense") -> Any:
    return type(kind, (SimpleNamespace,), {})(name=name, _auto_named=automatic)


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["hidden", "output"], ["hidden", "output"]),
        (["input", "state", "target"], ["input_2", "state_2", "target_2"]),
        (["int", "main", "class", "real", "vec"], ["int_", "main_", "class_", "real_", "vec_"]),
        (["my layer", "my-layer", "My Layer"], ["my_layer", "my_layer_2", "my_layer_3"]),
        (["1st", "2nd"], ["x1st", "x2nd"]),
        (["größe", "層", "😀"], ["gr_e", "value", "value_2"]),
        (["a" * 100, "a" * 100 + "b"], ["a" * 40, "a" * 40 + "_2"]),
        (["x; } int main() { //", "*/ evil /*", 'a"b\\n'], ["x_int_main", "evil", "a_b_n"]),
        (["", "_", "__"], ["value", "value_2", "value_3"]),
    ],
)
def test_names_for_c(names: list[str], expected: list[str]) -> None:
    found = graph.c_names([fake(n) for n in names])
    if names != ["größe", "層", "😀"]:
        assert [found[n] for n in names] == expected
    for name in found.values():
        assert name.isascii() and name.isidentifier() and name == name.lower() and len(name) < 50
    assert len(set(found.values())) == len(names)


def test_automatic_names_count_within_the_model() -> None:
    """The tenth model of a process is the same text, and the same entry of the cache, as the first."""
    layers = [fake("dense_17", True), fake("flatten_3", True, "Flatten"), fake("dense_4", True), fake("dense", False)]
    assert graph.c_names(layers) == {
        "dense_17": "dense",
        "flatten_3": "flatten",
        "dense_4": "dense_1",
        "dense": "dense_2",
    }
    assert nodes(stack(Dense(2), Dense(3))) == nodes(stack(Dense(2), Dense(3)))


# ------------------------------------------------------------------ mistakes


def refused(error: type[Exception], message: str, *layers: Any, shape: tuple[int, ...] = (5,)) -> None:
    """Both prediction and the graph alone say so, naming the layer."""
    with pytest.raises(error, match=message):
        graph.build(stack(*layers, shape=shape), False)


def test_a_number_for_all_rows_is_not_the_output_of_a_layer() -> None:
    refused(ModelError, r"means \(Formula\).*call\(\)", Formula(lambda x: ops.sum(x), name="means"))
    refused(ModelError, r"one \(Formula\)", Formula(lambda x: 1.0, name="one"))


@pytest.mark.parametrize(
    "function",
    [
        lambda x: x if x else -x,
        lambda x: float(x),
        lambda x: int(x) * x,
        np.exp,
        np.asarray,
        lambda x: ops.exp(x) + ops.sum(x, axis=-1),
        lambda x: x + np.ones((2, 5)),
        lambda x: ops.reshape(x, (3, 5)),
        lambda x: ops.sum(x, axis=0),
        lambda x: ops.matmul(x, x),
        lambda x: ops.max(x),
        lambda x: x * ops.expand_dims(ops.sum(x, axis=-1) / ops.mean(x), -1),
    ],
)
def test_mistakes_in_a_formula_are_the_layers(function: Any) -> None:
    with pytest.raises(ModelError) as caught:
        graph.build(stack(Formula(function, name="mine")), False)
    assert "mine" in str(caught.value) or "ormula" in str(caught.value) or "ops." in str(caught.value)


class Branch(Layer):
    """Two products of one input, added."""

    def build(self, input_shape: Any) -> None:
        width = input_shape[-1]
        self.a = self.add_weight(shape=(width, width), name="a")
        self.b = self.add_weight(shape=(width, width), name="b")

    def call(self, inputs: Any) -> Any:
        return ops.matmul(inputs, self.a) + ops.tanh(ops.matmul(inputs, self.b))


class Skip(Branch):
    """What goes around a product."""

    def call(self, inputs: Any) -> Any:
        return ops.matmul(inputs, self.a) + inputs


def test_networks_that_branch_are_cut_where_they_meet() -> None:
    assert nodes(stack(Branch(name="branch"))) == [
        "input input [5]",
        "branch_product matmul [5]",
        "branch_product_2 matmul [5]",
        "branch formula [5]",
    ]
    (*_, end) = graph.build(stack(Skip(name="skip")), True).nodes
    assert end.inputs == ("skip_product", "input") and end.op == "formula"
    found = graph.build(stack(Dense(4, "tanh", name="hidden"), Branch(name="branch")), True)
    assert [n.name for n in found.nodes if "hidden" in n.inputs] == ["branch_product", "branch_product_2"]


def test_a_variable_that_is_no_weight_is_named() -> None:
    outside = nn.Variable(np.ones(5, "float32"), name="outside", path="somewhere/outside")
    refused(ModelError, r"mine.*'somewhere/outside'.*add_weight", Formula(lambda x: x * outside, name="mine"))
    matrix = nn.Variable(np.ones((5, 3), "float32"), path="somewhere/matrix")
    refused(ModelError, r"'somewhere/matrix'.*add_weight", Formula(lambda x: ops.matmul(x, matrix), name="mine"))


def test_a_variable_set_as_an_attribute_is_a_weight() -> None:
    class Shifted(Layer):
        def __init__(self) -> None:
            super().__init__()
            self.shift = nn.Variable(np.ones(5, "float32"), name="shift")

        def call(self, inputs: Any) -> Any:
            return inputs + self.shift

    assert [w.shape for w in graph.build(stack(Shifted()), True).weights] == [(5,)]


def test_a_matrix_can_only_be_multiplied() -> None:
    class Wrong(Layer):
        def build(self, input_shape: Any) -> None:
            self.matrix = self.add_weight(shape=(input_shape[-1], 5), name="matrix")

        def call(self, inputs: Any) -> Any:
            return inputs * self.matrix

        def compute_output_shape(self, input_shape: Any) -> Any:
            return input_shape

    refused(ModelError, r"wrong/matrix.*ops\.matmul", Wrong(name="wrong"))


def test_an_input_of_unknown_size_is_refused() -> None:
    with pytest.raises(ModelError, match=r"Input|size"):
        nn.Sequential([nn.Input((None, 5)), Dense(2)]).predict(np.ones((2, 3, 5)), verbose=0)
