"""Networks that are no chain: predictions against the layers on arrays, gradients against differences in float64."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from reference import central_differences, descent, every_form, float_type, target, trained_gradients

import nncompile as nn
from nncompile import compiler, layers, losses, metrics, ops, optimizers, regularizers, targets
from nncompile.errors import ModelError, UnsupportedError
from nncompile.layers import Dense, Flatten, Layer

pytestmark = pytest.mark.quick_c

Formula = Callable[[Any, Any], Any]


class Made(Layer):
    """A formula over the input and weights that are named here, with their shapes."""

    def __init__(self, formula: Formula, **shapes: Any) -> None:
        super().__init__()
        self.formula, self.shapes = formula, shapes

    def build(self, input_shape: Any) -> None:
        width = input_shape[-1]
        for number, (name, shape) in enumerate(self.shapes.items()):
            sizes = tuple(width if n == "n" else n for n in shape)
            start = (
                nn.initializers.GlorotUniform(seed=number)
                if len(sizes) == 2
                else nn.initializers.RandomNormal(1.0, seed=number)
            )
            setattr(self, name, self.add_weight(shape=sizes, initializer=start, name=name))

    def call(self, inputs: Any) -> Any:
        return self.formula(self, inputs)


def normalized(layer: Any, x: Any) -> Any:
    mean = ops.batch_mean(x)
    variance = ops.batch_mean(ops.square(x - mean))
    return (x - mean) * (layer.gamma * ops.rsqrt(variance + 1e-3)) + layer.beta


def row_normalized(layer: Any, x: Any) -> Any:
    mean = ops.mean(x, axis=-1, keepdims=True)
    variance = ops.mean(ops.square(x - mean), axis=-1, keepdims=True)
    return (x - mean) * ops.rsqrt(variance + 1e-3) * layer.gamma + layer.beta


SQUARES = {"a": ("n", "n"), "b": ("n", "n")}
SCALES = {"gamma": ("n",), "beta": ("n",)}

# fmt: off
STACKS: dict[str, tuple[tuple[int, ...], Callable[[], list[Any]]]] = {
    "two products": ((5,), lambda: [Made(lambda s, x: ops.matmul(x, s.a) + ops.tanh(ops.matmul(x, s.b)), **SQUARES), Dense(2)]),
    "around a product": ((5,), lambda: [Dense(5, "tanh"), Made(lambda s, x: ops.softplus(ops.matmul(x, s.a) + x), **SQUARES), Dense(2)]),
    "around two products": ((5,), lambda: [Dense(5, "tanh"), Made(lambda s, x: ops.matmul(x, s.a) + x + ops.matmul(x, s.b), **SQUARES), Dense(2)]),
    "products multiplied": ((5,), lambda: [Dense(5, "silu"), Made(lambda s, x: ops.matmul(x, s.a) * ops.matmul(x, s.b), **SQUARES), Dense(2)]),
    "products multiplied at the end": ((5,), lambda: [Dense(2, "tanh"), Made(lambda s, x: ops.matmul(x, s.a) * ops.tanh(ops.matmul(x, s.b)), **SQUARES)]),
    "side by side": ((5,), lambda: [Made(lambda s, x: ops.concatenate([ops.tanh(ops.matmul(x, s.a)), x, ops.matmul(x, s.b)], -1), **SQUARES), Dense(2)]),
    "halves": ((5,), lambda: [Dense(6, "tanh"), Made(lambda s, x: x[:, :3] * ops.sigmoid(x[:, 3:])), Dense(2)]),
    "every second, backwards": ((5,), lambda: [Dense(9, "tanh"), Made(lambda s, x: ops.flip(x[:, ::2], -1)), Dense(2)]),
    "single numbers": ((5,), lambda: [Dense(6, "tanh"), Made(lambda s, x: x * s.k + ops.tanh(x) * s.j, k=(), j=()), Dense(2)]),
    "single numbers on many columns": ((5,), lambda: [Dense(37, "tanh"), Made(lambda s, x: x * s.k + ops.tanh(x) * s.j, k=(), j=()), Dense(2)]),
    "numbers per feature, dearly": ((5,), lambda: [Made(lambda s, x: x * ops.exp(s.k), k=("n",)), Dense(6, "tanh"), Made(lambda s, x: x * ops.exp(s.k), k=("n",)), Dense(2)]),
    "normalized over the batch": ((5,), lambda: [Dense(6, "tanh"), Made(normalized, **SCALES), Dense(2)]),
    "normalized before and behind activations": ((5,), lambda: [Dense(6), Made(lambda s, x: ops.tanh(normalized(s, x)), **SCALES), Dense(7), Made(normalized, **SCALES), Dense(2, "tanh"), Made(normalized, **SCALES)]),
    "softmax normalized over the batch": ((5,), lambda: [Dense(6, "softmax"), Made(lambda s, x: ops.softmax(normalized(s, x)), **SCALES), Dense(2)]),
    "normalized over the row": ((5,), lambda: [Dense(6, "tanh"), Made(row_normalized, **SCALES), Dense(2)]),
    "normalized positions": ((4, 5), lambda: [Dense(6, "tanh"), Made(row_normalized, **SCALES), Made(normalized, **SCALES), Flatten(), Dense(2)]),
    "turned": ((4, 5), lambda: [Dense(6, "tanh"), Made(lambda s, x: ops.transpose(x, (0, 2, 1))), Dense(3, "tanh"), Flatten(), Dense(2)]),
    "pooled": ((4, 5), lambda: [Dense(6, "tanh"), Made(lambda s, x: ops.mean(x, axis=1)), Dense(2)]),
    "largest of positions": ((4, 5), lambda: [Dense(6, "tanh"), Made(lambda s, x: ops.max(x, axis=1)), Dense(2)]),
    "summed rows": ((4, 5), lambda: [Dense(6, "tanh"), Made(lambda s, x: ops.sum(x, axis=-1)), Dense(2)]),
    "centred positions": ((4, 5), lambda: [Dense(6, "tanh"), Made(lambda s, x: x - ops.mean(x, axis=1, keepdims=True)), Flatten(), Dense(2)]),
    "a column for a gate of the input": ((5,), lambda: [Made(lambda s, x: x * ops.sigmoid(ops.matmul(x, s.w)), w=("n", 1)), Dense(2)]),
    "a column for a gate": ((5,), lambda: [Dense(20, "tanh"), Made(lambda s, x: x * ops.sigmoid(ops.matmul(x, s.w)), w=("n", 1)), Dense(2)]),
    "repeated": ((5,), lambda: [Dense(3, "tanh"), Made(lambda s, x: ops.repeat(x, 4, axis=1)), Dense(2)]),
    "padded and rolled": ((4, 5), lambda: [Dense(3, "tanh"), Made(lambda s, x: ops.roll(ops.pad(x, ((0, 0), (1, 0), (0, 2))), 1, 1)), Flatten(), Dense(2)]),
    "columns for each of the largest": ((4, 5), lambda: [Dense(6, "tanh"), Made(lambda s, x: ops.one_hot(ops.argmax(x, axis=1), 4) * x[:, :1, :1]), Flatten(), Dense(2)]),
    "padded with a number": ((4, 5), lambda: [Dense(3, "tanh"), Made(lambda s, x: ops.pad(x, ((0, 0), (2, 0), (0, 1)), constant_values=0.5) * x[:, :1, :1]), Flatten(), Dense(2)]),
    "a wide row": ((37,), lambda: [Dense(37, "tanh"), Made(lambda s, x: x * ops.sum(x * s.k, axis=-1, keepdims=True) + x, k=("n",)), Dense(2)]),
}
# fmt: on


def check(model: Any, x: Any, y: Any) -> None:
    with float_type("float64"):
        loss = losses.MeanSquaredError()
    descent(model, loss)
    np.testing.assert_allclose(model.predict(x, verbose=0), model.call(x), rtol=1e-12, atol=1e-12)
    expected = central_differences(model, loss, x, y)
    for variable, got, other in zip(model.trainable_weights, trained_gradients(model, x, y), expected, strict=True):
        np.testing.assert_allclose(got, other, rtol=1e-6, atol=1e-8, err_msg=variable.path)


@pytest.mark.parametrize("name", STACKS)
def test_gradients_find_their_way(name: str) -> None:
    rng = np.random.default_rng(0)
    shape, made = STACKS[name]
    with float_type("float64"):
        nn.utils.set_random_seed(1)
        model = nn.Sequential([nn.Input(shape), *made()])
    check(model, rng.normal(size=(5, *shape)), rng.normal(size=(5, *model.output_shape[1:])))


@pytest.mark.parametrize("classes", [3, 9, 40])
def test_a_label_that_was_computed_meets_any_number_of_columns(classes: int) -> None:
    rng = np.random.default_rng(0)
    model = nn.Sequential([nn.Input((5,)), Made(lambda s, x: ops.one_hot(ops.argmax(x, axis=-1), classes))])
    x = rng.normal(size=(40, 5)).astype("float32")
    np.testing.assert_array_equal(model.predict(x, verbose=0), model.call(x))


def functional() -> Any:
    """Values that are used again and again, on their way to one output."""
    given = nn.Input((5,))
    hidden = Dense(4, "tanh")(given)
    other = Dense(4, "silu")(hidden)
    met = layers.Maximum()([layers.Add()([hidden, other]), layers.Multiply()([hidden, other])])
    both = layers.Concatenate()([met, layers.Average()([hidden, other]), given])
    return nn.Model(given, Dense(2)(both))


@pytest.mark.parametrize("name", every_form())
def test_functional_models_on_every_target(name: str) -> None:
    rng = np.random.default_rng(3)
    with float_type("float64"), target(name):
        nn.utils.set_random_seed(1)
        check(functional(), rng.normal(size=(7, 5)), rng.normal(size=(7, 2)))


# ------------------------------------------------------------------ several inputs and outputs, weights, captured outputs


def two_in_two_out() -> Any:
    first, second = nn.Input((3,), name="first"), nn.Input((2, 4), name="second")
    joined = layers.Concatenate()([Dense(4, "tanh")(first), Flatten()(second)])
    return nn.Model([first, second], [Dense(2, "tanh", name="near")(joined), Dense(3, "softmax", name="far")(joined)])


def trained_library(model: Any, **more: Any) -> Any:
    with float_type("float64"):
        near, far = losses.MeanSquaredError(), losses.SparseCategoricalCrossentropy(reduction="mean_with_sample_weight")
    outputs = (
        compiler.Supervision(near, (("mae", metrics.MeanAbsoluteError(), True),), False, 2, 0.5, True, "near"),
        compiler.Supervision(far, (), True, 0, 2.0, True, "far"),
    )  # fmt: skip
    optimizer = optimizers.SGD(1.0)
    optimizer.build(model.trainable_variables)
    library = compiler.compile_network(model, targets.host(), compiler.Training(outputs, optimizer, **more))
    library.bind(optimizer)
    library.begin(optimizer)
    return library


def test_parts_of_the_loss_have_factors_and_samples_weights() -> None:
    rng = np.random.default_rng(0)
    with float_type("float64"):
        nn.utils.set_random_seed(1)
        model = two_in_two_out()
    xs = [rng.normal(size=(9, 3)), rng.normal(size=(9, 2, 4))]
    near, far = rng.normal(size=(9, 2)), rng.integers(0, 3, 9)
    weights = [rng.uniform(size=9), rng.uniform(size=9)]

    def loss(_: Any = None, outputs: Any = None) -> float:
        one, other = model.call(xs) if outputs is None else outputs
        first = np.mean(weights[0] * np.mean((one - near) ** 2, axis=-1))
        second = -np.sum(weights[1] * np.log(other[np.arange(9), far])) / np.sum(weights[1])
        return float(0.5 * first + 2.0 * second)

    library = trained_library(model, capture=True)
    samples = library.samples(xs, [near, far], None, weights)
    outs = [np.empty((9, 2)), np.empty((9, 3))]
    library.predict(samples, 0, 9, 4, outs)
    for got, wanted in zip(outs, model.call(xs), strict=True):
        np.testing.assert_allclose(got, wanted, rtol=1e-12)
    captured = [np.empty((9, 2)), np.empty((9, 3))]
    library.evaluate(samples, 0, 9, 9, captured)
    np.testing.assert_allclose(captured[0], outs[0], rtol=1e-12)
    np.testing.assert_allclose(captured[1], outs[1], rtol=1e-12)
    totals = library.totals()
    np.testing.assert_allclose(totals["loss"] / 9, loss(), rtol=1e-12)
    np.testing.assert_allclose(totals["near_loss"] * 0.5 + totals["far_loss"] * 2.0, totals["loss"], rtol=1e-12)
    np.testing.assert_allclose(totals["mae"], np.sum(weights[0] * np.mean(np.abs(outs[0] - near), axis=-1)), rtol=1e-12)
    np.testing.assert_allclose(totals["mae_weights"], np.sum(weights[0]), rtol=1e-12)

    class Whole:
        def __call__(self, y: Any, outputs: Any) -> float:
            return loss(outputs=outputs)

    class Joined:
        trainable_weights = model.trainable_weights

        def call(self, _: Any, training: Any = None) -> Any:
            return model.call(xs)

    expected = central_differences(Joined(), Whole(), None, None)
    before = [v.value for v in model.trainable_weights]
    library.train(samples, 0, 9, 9, captured)
    np.testing.assert_allclose(captured[1], outs[1], rtol=1e-12, err_msg="the outputs before the update")
    for variable, start, gradient in zip(model.trainable_weights, before, expected, strict=True):
        np.testing.assert_allclose(start - variable.value, gradient, rtol=1e-6, atol=1e-8, err_msg=variable.path)


def test_probabilities_that_something_else_takes_too() -> None:
    """A penalty, another layer or another output: the cross-entropy is that of what is stored, not of logits."""
    rng = np.random.default_rng(0)
    with float_type("float64"):
        nn.utils.set_random_seed(1)
        given = nn.Input((5,))
        shares = Dense(3, "softmax", activity_regularizer=regularizers.L2(0.3), name="shares")(Dense(4, "tanh")(given))
        model = nn.Model(given, [shares, Dense(2, name="more")(shares)])
        loss, other = losses.SparseCategoricalCrossentropy(), losses.MeanSquaredError()
    x, y, more = rng.normal(size=(6, 5)), rng.integers(0, 3, 6), rng.normal(size=(6, 2))

    def whole(_: Any, outputs: Any) -> float:
        p = outputs[0]
        return float(loss(y, p)) + float(other(more, outputs[1])) + 0.3 * float(np.sum(p**2)) / 6

    model.compile(optimizers.SGD(1.0), [loss, other])
    before = [w.value for w in model.trainable_weights]
    np.testing.assert_allclose(model.evaluate(x, [y, more], verbose=0)[0], whole(None, model.call(x)), rtol=1e-12)
    expected = central_differences(model, whole, x, None)
    model.train_on_batch(x, [y, more])
    for variable, start, gradient in zip(model.trainable_weights, before, expected, strict=True):
        np.testing.assert_allclose(start - variable.value, gradient, rtol=1e-6, atol=1e-8, err_msg=variable.path)


class Penalized(Layer):
    """Adds to the loss, and counts what it has seen."""

    def build(self, input_shape: Any) -> None:
        self.mean = self.add_weight(shape=(input_shape[-1],), initializer="zeros", trainable=False, name="mean")

    def call(self, inputs: Any, training: bool = False) -> Any:
        self.add_loss([0.3 * ops.square(inputs), 0.2 * ops.mean(inputs**3), -ops.sum(inputs)])
        if training:
            self.mean.assign(self.mean * 0.9 + ops.batch_mean(inputs) * 0.1)
        return inputs * 2.0


def test_a_layer_adds_to_the_loss_and_sets_weights() -> None:
    rng = np.random.default_rng(0)
    with float_type("float64"):
        nn.utils.set_random_seed(1)
        model = nn.Sequential([nn.Input((5,)), Dense(4, "tanh"), Penalized(), Dense(2)])
        loss = losses.MeanSquaredError()
    x, y = rng.normal(size=(6, 5)), rng.normal(size=(6, 2))

    def whole(y_true: Any, y_pred: Any) -> float:
        hidden = model.layers[0](x)
        return float(loss(y_true, y_pred) + 0.3 * np.sum(hidden**2) + 0.2 * np.mean(hidden**3) - np.sum(hidden))

    descent(model, loss)
    before = model.evaluate(x, y, verbose=0)
    np.testing.assert_allclose(before, whole(y, model.call(x)), rtol=1e-12)
    expected = central_differences(model, whole, x, y)
    hidden = model.layers[0](x)
    for variable, got, other in zip(model.trainable_weights, trained_gradients(model, x, y), expected, strict=True):
        np.testing.assert_allclose(got, other, rtol=1e-6, atol=1e-8, err_msg=variable.path)
    np.testing.assert_allclose(model.layers[1].mean.value, 0.1 * np.mean(hidden, axis=0), rtol=1e-12)


def own_losses() -> list[Callable[[Any, Any], Any]]:
    """Losses as users write them: over the whole batch, of slices, with labels as a column and arrays of numbers."""
    factors = np.array([1.0, 0.5, 2.0])
    mse, mae = losses.MeanSquaredError(), losses.MeanAbsoluteError(reduction="sum")
    return [
        lambda y, z: ops.mean(ops.square(y - z)) * 2.0 + ops.mean(ops.abs(z)) / 3.0,
        lambda y, z: -ops.sum(y * z) + ops.sum(ops.square(z)),
        lambda y, z: ops.square(y[:, 0] - z[:, 0]) + ops.mean(ops.square(y[:, 1:] - z[:, 1:]) * z[:, :2], axis=-1),
        lambda y, z: ops.mean(0.5 * ops.exp(-z[:, 1:2]) * ops.square(y - z[:, :1]) + 0.5 * z[:, 1:2]),
        lambda y, z: ops.mean(ops.maximum(factors * (y - z), (factors - 3.0) * (y - z)), axis=-1),
        lambda y, z: mse(y, z) + 0.1 * ops.mean(ops.square(z)),
        lambda y, z: mae(y, z),
        lambda y, z: ops.max(z[:, 1:], axis=-1) - ops.prod(z[:, ::2], axis=-1) + ops.squeeze(y, -1) * z[:, 2],
    ]


def test_losses_over_the_batch_and_of_slices() -> None:
    """Each is what it is of arrays, and so is its gradient."""
    rng = np.random.default_rng(0)
    with float_type("float64"):
        formulas = own_losses()
        nn.utils.set_random_seed(1)
        x = nn.Input((4,))
        model = nn.Model(x, [Dense(3, "tanh", name=f"z{number}")(x) for number in range(len(formulas))])
    ys = [rng.normal(size=(6, 1 if number in (3, 4, 7) else 3)) for number in range(len(formulas))]
    inputs = rng.normal(size=(6, 4))

    def whole(_: Any, outputs: Any) -> float:
        return sum(float(np.mean(f(y, z))) for f, y, z in zip(formulas, ys, outputs, strict=True))

    descent(model, formulas)
    logs = model.evaluate(inputs, ys, verbose=0, return_dict=True)
    outputs = model.call(inputs)
    for number, (formula, y, z) in enumerate(zip(formulas, ys, outputs, strict=True)):
        np.testing.assert_allclose(logs[f"z{number}_loss"], np.mean(formula(y, z)), rtol=1e-12, err_msg=str(number))
    expected = central_differences(model, whole, inputs, None)
    for variable, got, other in zip(
        model.trainable_weights, trained_gradients(model, inputs, ys), expected, strict=True
    ):
        np.testing.assert_allclose(got, other, rtol=1e-6, atol=1e-8, err_msg=variable.path)


def test_what_a_loss_cannot_have() -> None:
    model = nn.Sequential([nn.Input((4,)), Dense(3)])
    x, y = np.zeros((5, 4), np.float32), np.zeros((5, 3), np.float32)
    for loss, says in (
        (lambda y, z: ops.max(y - z), r"ops\.max: .*axis=-1.*test_networks"),
        (lambda y, z: ops.prod(z, axis=0), r"ops\.prod: .*the rows of a batch.*test_networks"),
    ):
        model.compile("sgd", loss)
        with pytest.raises(ModelError, match=rf"(?s){says}"):
            model.fit(x, y, verbose=0)
    model.compile("sgd", lambda y, z: ops.mean(ops.square(y - z), axis=0))
    with pytest.raises(UnsupportedError, match=r"a number per column for a batch, but samples have weights: .*one"):
        model.fit(x, y, sample_weight=np.ones(5), verbose=0)


def test_metrics_over_the_batch_are_means_of_batches() -> None:
    def rms(y: Any, z: Any) -> Any:
        return ops.sqrt(ops.mean(ops.square(y - z)))

    def size(y: Any, z: Any) -> Any:
        return ops.mean(ops.abs(z))

    nn.utils.set_random_seed(1)
    model = nn.Sequential([nn.Input((4,)), Dense(3)])
    model.compile("sgd", "mse", metrics=[rms, size])
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(7, 4)), rng.normal(size=(7, 3))
    z = model.predict(x, verbose=0)
    logs = model.evaluate(x, y, batch_size=5, verbose=0, return_dict=True)
    for name, function in (("rms", rms), ("size", size)):
        np.testing.assert_allclose(logs[name], (function(y[:5], z[:5]) + function(y[5:], z[5:])) / 2, rtol=1e-5)


def mixed_widths(layer: Any, x: Any) -> Any:
    """Columns by number, and what was reduced over other numbers of columns."""
    wide = ops.matmul(x, layer.wide)
    column, other = x[:, 0], wide[:, -1]
    total = ops.sum(wide, axis=-1, keepdims=True)
    own = ops.max(x, axis=-1, keepdims=True)
    chosen = ops.where(total > 0.0, x, ops.tanh(x)) * ops.exp(0.1 * total * own)
    scaled = layer.one * layer.gamma + layer.scale * layer.one + layer.scale * layer.gamma
    parts = ops.stack([column * other, ops.mean(x, axis=-1), column], axis=1)
    hot = ops.one_hot(ops.argmax(wide, axis=-1), 3)
    return ops.concatenate([chosen * scaled, parts * hot, ops.one_hot(ops.argmax(x, axis=-1), 11)], axis=-1)


def test_values_of_several_widths_meet() -> None:
    rng = np.random.default_rng(0)
    with float_type("float64"):
        nn.utils.set_random_seed(1)
        made = Made(mixed_widths, wide=("n", 7), one=(1,), scale=(), gamma=("n",))
        model = nn.Sequential([nn.Input((4,)), Dense(5, "tanh"), made, Dense(2)])
        loss = losses.MeanSquaredError()
    x, y = rng.normal(size=(9, 4)), rng.normal(size=(9, 2))
    descent(model, loss)
    np.testing.assert_allclose(model.predict(x, verbose=0), model.call(x), rtol=1e-12)
    expected = central_differences(model, loss, x, y)
    for variable, got, other in zip(model.trainable_weights, trained_gradients(model, x, y), expected, strict=True):
        np.testing.assert_allclose(got, other, rtol=1e-6, atol=1e-8, err_msg=variable.path)


def test_a_model_may_return_one_number_per_sample_and_rows_of_a_table_by_column() -> None:
    class Pairs(nn.Model):
        def __init__(self) -> None:
            super().__init__()
            self.left, self.right = layers.Embedding(5, 3), layers.Embedding(6, 3)

        def call(self, inputs: Any) -> Any:
            return ops.sum(self.left(inputs[:, 0]) * self.right(inputs[:, 1]), axis=1)

    nn.utils.set_random_seed(1)
    pairs = np.array([[0, 5], [4, 1], [2, 2]])
    model = Pairs()
    model.compile("sgd", "mse")
    wanted = model(pairs)
    assert wanted.shape == (3,)
    np.testing.assert_allclose(model.predict(pairs, verbose=0), wanted, rtol=1e-6)
    assert model.predict(pairs, verbose=0).shape == (3,)
    before = model.evaluate(pairs, np.ones(3), verbose=0)
    np.testing.assert_allclose(before, np.mean((wanted - 1) ** 2), rtol=1e-6)
    model.fit(pairs, np.ones(3), epochs=5, verbose=0)
    assert model.evaluate(pairs, np.ones(3), verbose=0) < before


def test_dropout_of_a_model_whose_call_names_no_training() -> None:
    class Dropped(nn.Model):
        def __init__(self, **arguments: Any) -> None:
            super().__init__(**arguments)
            self.drop = layers.Dropout(1.0)

        def call(self, inputs: Any) -> Any:
            return self.drop(inputs) + 1.0

    model = Dropped()
    x = np.full((4, 3), 2.0)
    model.compile("sgd", "mse")
    assert model.evaluate(x, x, verbose=0) == 1.0  # 2 + 1 in the place of 2
    assert model.train_on_batch(x, x) == 1.0  # 1
    np.testing.assert_array_equal(model.predict(x, verbose=0), x + 1)


def test_a_lambda_of_several_inputs() -> None:
    a, b = nn.Input((3,)), nn.Input((3,))
    apart = layers.Lambda(lambda x: ops.abs(x[0] - x[1]))([a, b])
    product = layers.Lambda(lambda x: x["a"] * x["b"], output_shape=(3,))({"a": a, "b": b})
    assert apart.shape == product.shape == (None, 3)
    model = nn.Model([a, b], layers.concatenate([apart, product]))
    xs = [np.array([[1.0, 2.0, 3.0]]), np.array([[3.0, 2.0, 1.0]])]
    np.testing.assert_array_equal(model.predict(xs, verbose=0), [[2, 0, 2, 3, 4, 3]])
