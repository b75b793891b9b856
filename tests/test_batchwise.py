"""Losses that are formulas of sums over a whole batch, against Keras, differences and each other on every target."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from reference import central_differences, descent, float_type, forms, target, trained_gradients
from remembered import assert_as_keras

import nncompile as nn
from nncompile import layers, losses, ops, targets
from nncompile.errors import ModelError, UnsupportedError

pytestmark = pytest.mark.quick_c

RNG = np.random.default_rng(0)
ROWS = 37
X = RNG.normal(size=(ROWS, 4)).astype(np.float32)
Y = (RNG.uniform(size=(ROWS, 3)) > 0.5).astype(np.float32)
WEIGHTS = RNG.uniform(0.1, 2.0, ROWS).astype(np.float32)


def formulas(k: Any) -> dict[str, Any]:
    """Losses as users write them, over the ops and losses of Keras or of this package."""
    o = k.ops

    def rmse(y: Any, p: Any) -> Any:
        return o.sqrt(o.mean(o.square(y - p)))

    def overlap(y: Any, p: Any) -> Any:
        return 1 - (2 * o.sum(y * p) + 1) / (o.sum(y) + o.sum(p) + 1)

    def pearson(y: Any, p: Any) -> Any:
        a, b = y - o.mean(y), p - o.mean(p)
        return 1 - o.sum(a * b) / (o.sqrt(o.sum(o.square(a)) * o.sum(o.square(b))) + 1e-7)

    def pearson_of_columns(y: Any, p: Any) -> Any:
        a, b = y - o.mean(y, axis=0), p - o.mean(p, axis=0)
        r = o.sum(a * b, axis=0) / o.sqrt(o.sum(o.square(a), axis=0) * o.sum(o.square(b), axis=0) + 1e-3)
        return 1 - o.mean(r)

    def concordance(y: Any, p: Any) -> Any:
        a, b = o.mean(y, axis=0, keepdims=True), o.mean(p, axis=0, keepdims=True)
        common = o.mean((y - a) * (p - b), axis=0, keepdims=True)
        return o.sum(1 - 2 * common / (o.var(y, axis=0, keepdims=True) + o.var(p, axis=0) + o.square(a - b) + 0.1))

    def unexplained(y: Any, p: Any) -> Any:
        return o.sum(o.square(y - p)) / o.sum(o.square(y - o.mean(y)))

    def deviation_of_deviation(y: Any, p: Any) -> Any:
        return rmse(y, p) + o.mean(o.abs(p - o.mean(o.square(p - o.mean(p, keepdims=True)))))

    def chosen(y: Any, p: Any) -> Any:
        return o.where(o.mean(p) > 0.3, o.exp(o.mean(o.square(y - p))), o.std(p))

    def of_slices(y: Any, p: Any) -> Any:
        first = o.log(1 + o.mean(o.square(y[:, 0] - p[:, 0])))
        return first + o.sum(y[:, 1:] * p[:, 1:]) / (1 + o.sum(p[:, :2]))

    def of_rows(y: Any, p: Any) -> Any:
        each = o.mean(o.square(y - p), axis=-1)
        return each / (0.1 + o.mean(each)) + o.max(p, axis=-1) * o.mean(p[:, 0], axis=0)

    def of_losses(y: Any, p: Any) -> Any:
        return k.losses.MeanSquaredError()(y, p) ** 0.5 + 0.3 * k.losses.Dice()(y, p)

    own = [rmse, overlap, pearson, pearson_of_columns, concordance, unexplained, deviation_of_deviation, chosen]
    return {
        **{f.__name__: f for f in (*own, of_slices, of_rows, of_losses)},
        "dice": k.losses.Dice(),
        "summed_dice": k.losses.Dice(reduction="sum"),
        "tversky": k.losses.Tversky(alpha=0.3, beta=0.7),
    }


def of_columns(k: Any) -> dict[str, Any]:
    """Losses with a number per column."""
    o = k.ops
    return {
        "means": lambda y, p: o.square(o.mean(y, axis=0) - o.mean(p, axis=0)),
        "dice": k.losses.Dice(axis=0),
        "tversky": k.losses.Tversky(axis=0, reduction="sum"),
        "sums": lambda y, p: o.log(1 + o.sum(o.square(y - p), axis=0)),
    }


def over_axes(k: Any) -> dict[str, Any]:
    """Losses of outputs of several rows, over other axes than the last, or with products in them."""
    o, of = k.ops, k.losses

    def steps(y: Any, p: Any) -> Any:
        return o.mean(o.square((p[:, 1:] - p[:, :-1]) - (y[:, 1:] - y[:, :-1])), axis=(1, 2))

    def gram(y: Any, p: Any) -> Any:
        a, b = (o.matmul(o.transpose(x, (0, 2, 1)), x) for x in (y, p))
        return o.mean(o.square(a - b), axis=(1, 2))

    def centred(y: Any, p: Any) -> Any:
        return o.mean(o.square(y - p - o.mean(y - p, axis=1, keepdims=True)), axis=1)

    def furthest(y: Any, p: Any) -> Any:
        return o.max(o.abs(y - p), axis=1)

    def root(y: Any, p: Any) -> Any:
        return o.sqrt(o.sum(o.square(y - p), axis=(1, 2)))

    def spread(y: Any, p: Any) -> Any:
        return o.sqrt(o.mean(o.square(o.transpose(y, (0, 2, 1)) - o.transpose(p, (0, 2, 1)))))

    own = [steps, gram, centred, furthest, root, spread]
    return {
        **{f.__name__: f for f in own},
        **{
            f"dice_{number}": of.Dice(axis=axis)
            for number, axis in enumerate([1, -1, (1, 2), (0, 1), (0, 2), 0, (2, 0, 1)])
        },
        "tversky": of.Tversky(axis=(1, 2), alpha=0.3, beta=0.7),
        "tversky_over_rows": of.Tversky(axis=[0, -1], reduction="sum"),
        "cosine": of.CosineSimilarity(axis=-2),
        "crossentropy": of.CategoricalCrossentropy(axis=1, label_smoothing=0.1),
        "of_logits": of.CategoricalCrossentropy(axis=1, from_logits=True),
        "focal": of.CategoricalFocalCrossentropy(axis=1, alpha=[0.2, 0.3, 0.5]),
        "binary": of.BinaryCrossentropy(axis=1),
        "binary_focal": of.BinaryFocalCrossentropy(axis=1),
    }


def network(k: Any, names: Any, activation: str, shape: tuple[int, ...] = (4,)) -> Any:
    x = k.Input(shape)
    h = k.layers.Dense(5, "tanh")(x)
    model = k.Model(x, {name: k.layers.Dense(3, activation, name=name)(h) for name in names})
    rng = np.random.default_rng(2)
    model.set_weights([rng.normal(size=w.shape).astype(np.float32) * 0.5 for w in model.weights])
    return model


def training(made: Any, activation: str, weights: Any, x: Any = X, each: Any = Y) -> Any:
    """What trains a network of a library with some losses: its logs, what it measures, and the weights in the end."""

    def run(k: Any) -> Any:
        of = made(k)
        model = network(k, of, activation, x.shape[1:])
        factors = {name: 0.5 + 0.1 * number for number, name in enumerate(of)}
        model.compile(k.optimizers.SGD(0.1), of, loss_weights=factors, metrics={next(iter(of)): "mae"})
        y = {name: each for name in of}
        given = None if weights is None else {name: weights for name in of}
        # 29 rows of training are 3 batches of 8 and a short one, as are the rows that it is validated and measured with
        history = model.fit(
            x, y, sample_weight=given, validation_split=0.2, epochs=3, batch_size=8, shuffle=False, verbose=0
        )
        measured = model.evaluate(x, y, sample_weight=given, batch_size=9, verbose=0, return_dict=True)
        alone = model.train_on_batch(x[:1], {name: each[:1] for name in of}, return_dict=True)
        return dict(sorted(history.history.items())), measured, alone, [np.asarray(w.value) for w in model.weights]

    return run


def test_training_is_that_of_keras(request: pytest.FixtureRequest) -> None:
    assert_as_keras(request, training(formulas, "sigmoid", None), atol=3e-6)


def test_weights_of_samples_are_factors_of_a_number_for_the_batch(request: pytest.FixtureRequest) -> None:
    names = ("rmse", "of_rows", "of_slices", "dice", "summed_dice")
    run = training(lambda k: {name: formulas(k)[name] for name in names}, "softmax", WEIGHTS)
    assert_as_keras(request, run, atol=3e-6)


def test_training_of_numbers_per_column_is_that_of_keras(request: pytest.FixtureRequest) -> None:
    assert_as_keras(request, training(of_columns, "sigmoid", None), atol=3e-6)


WIDE_X = RNG.normal(size=(ROWS, 5, 4)).astype(np.float32)
WIDE_Y = RNG.uniform(size=(ROWS, 5, 3)).astype(np.float32)


def test_losses_over_other_axes_train_as_in_keras(request: pytest.FixtureRequest) -> None:
    assert_as_keras(request, training(over_axes, "sigmoid", None, WIDE_X, WIDE_Y), atol=3e-6)


def test_weights_of_samples_with_losses_over_other_axes(request: pytest.FixtureRequest) -> None:
    names = ("steps", "root", "dice_2", "tversky", "spread")
    run = training(lambda k: {name: over_axes(k)[name] for name in names}, "softmax", WEIGHTS, WIDE_X, WIDE_Y)
    assert_as_keras(request, run, atol=3e-6)


def test_metrics_along_another_axis(request: pytest.FixtureRequest) -> None:
    def run(k: Any) -> Any:
        model = network(k, ("measured",), "sigmoid", (5, 4))
        axes = [
            k.metrics.CosineSimilarity(axis=1),
            k.metrics.CategoricalCrossentropy(axis=1),
            "mae",
            over_axes(k)["steps"],
        ]
        model.compile(k.optimizers.SGD(0.1), {"measured": k.losses.Dice(axis=1)}, metrics={"measured": axes})
        y = {"measured": WIDE_Y}
        logs = model.fit(WIDE_X, y, epochs=2, batch_size=8, shuffle=False, verbose=0).history
        return dict(sorted(logs.items())), model.evaluate(WIDE_X, y, verbose=0, return_dict=True)

    assert_as_keras(request, run)


@pytest.mark.parametrize("ignored", [None, 4])
def test_labels_along_another_axis(ignored: int | None) -> None:
    """Keras takes these with classes on the last axis alone: what is trained is what arrays give."""
    labels = RNG.integers(0, 5, (9, 3))
    labels[::3, 1] = 4
    loss = losses.SparseCategoricalCrossentropy(axis=1, ignore_class=ignored)
    with float_type("float64"):
        model = network(nn, ("a",), "sigmoid", (5, 4))
    x, y = WIDE_X[:9].astype("f8"), {"a": labels}

    def whole(_: Any, outputs: Any) -> float:
        return float(
            losses.SparseCategoricalCrossentropy(axis=1, ignore_class=ignored, dtype="float64")(labels, outputs["a"])
        )

    descent(model, loss)
    expected = central_differences(model, whole, x, None)
    for variable, got, other in zip(model.trainable_weights, trained_gradients(model, x, y), expected, strict=True):
        np.testing.assert_allclose(got, other, rtol=1e-6, atol=1e-8, err_msg=variable.path)


@pytest.mark.parametrize("weights", [None, WEIGHTS[:20]])
def test_outputs_of_several_positions(weights: Any) -> None:
    from oracle import keras

    rng = np.random.default_rng(4)
    x, y = rng.normal(size=(20, 5, 4)).astype(np.float32), rng.uniform(size=(20, 5, 3)).astype(np.float32)
    start = [rng.normal(size=shape).astype(np.float32) for shape in ((4, 3), (3,))]
    found = []
    for k in (keras, nn):
        model = k.Sequential([k.Input((5, 4)), k.layers.Dense(3, "sigmoid")])
        model.set_weights(start)
        model.compile(k.optimizers.SGD(0.1), k.losses.Dice())
        history = model.fit(x, y, sample_weight=weights, batch_size=8, epochs=2, shuffle=False, verbose=0).history
        found.append([np.asarray(history["loss"]), *(np.asarray(w.value) for w in model.weights)])
    for theirs, ours in zip(*found, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)


def test_gradients_in_double() -> None:
    with float_type("float64"):  # also of the losses that losses call
        of = {**formulas(nn), **{f"{name}_of_columns": f for name, f in of_columns(nn).items()}}
        model = network(nn, of, "softmax")
        y = {name: Y.astype("f8") for name in of}

        def whole(_: Any, outputs: Any) -> float:
            values = {n: getattr(f, "call", f)(y[n], outputs[n]) for n, f in of.items()}
            return sum(
                float((np.sum if getattr(of[n], "reduction", "") == "sum" else np.mean)(v)) for n, v in values.items()
            )

        descent(model, of)
        expected = central_differences(model, whole, X.astype("f8"), None)
        made = trained_gradients(model, X, y)
    for variable, got, other in zip(model.trainable_weights, made, expected, strict=True):
        np.testing.assert_allclose(got, other, rtol=1e-6, atol=1e-8, err_msg=variable.path)


def trained(threads: int, width: int) -> list[Any]:
    """What is logged, and the weights, after two epochs of several losses."""
    targets.set_threads(threads)
    of = {**formulas(nn), **of_columns(nn)}
    chosen = {n: of[n] for n in ("pearson", "pearson_of_columns", "deviation_of_deviation", "means", "dice")}
    rng = np.random.default_rng(3)
    x, y = rng.normal(size=(700, 4)), rng.uniform(size=(700, width))
    inputs = nn.Input((4,))
    h = layers.Dense(9, "tanh")(inputs)
    model = nn.Model(inputs, {name: layers.Dense(width, "softmax", name=name)(h) for name in chosen})
    model.set_weights([rng.normal(size=w.shape) * 0.5 for w in model.get_weights()])
    model.compile(nn.optimizers.SGD(0.1), chosen)
    logs = model.fit(x, {n: y for n in chosen}, batch_size=301, epochs=2, shuffle=False, verbose=0).history
    logs["measured"] = model.evaluate(x, {n: y for n in chosen}, batch_size=650, verbose=0)
    return [*(np.asarray(v) for v in logs.values()), *model.get_weights()]


@pytest.mark.quick_c(False)
@pytest.mark.parametrize("width", [3, 37])
def test_every_target_and_number_of_threads(width: int) -> None:
    """On each target the bits do not depend on the threads; the targets differ by roundings."""
    try:
        found = []
        for each in forms():
            with target(each):
                one = trained(1, width)
                for a, b in zip(one, trained(3, width), strict=True):
                    np.testing.assert_array_equal(a, b)
                found.append(one)
        assert len(found) > 1
        for other in found[1:]:
            for a, b in zip(found[0], other, strict=True):
                np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)
    finally:
        targets.set_threads(None)


class Penalized(layers.Layer):
    """Adds to the loss how far its values are spread, and how they hang together."""

    def call(self, inputs: Any) -> Any:
        self.add_loss(0.3 * ops.sqrt(ops.mean(ops.square(inputs - ops.mean(inputs)))))
        self.add_loss(ops.sum(inputs[:, 0] * inputs[:, 1]) / ops.sum(ops.square(inputs)))
        return inputs * 2.0


def test_what_layers_add_to_the_loss() -> None:
    def spread(x: Any) -> Any:
        return 0.2 * ops.sqrt(ops.sum(ops.square(x)))

    with float_type("float64"):
        nn.utils.set_random_seed(1)
        parts = [
            layers.Dense(5, "tanh", activity_regularizer=spread),
            layers.Dense(4),
            Penalized(),
            layers.Dense(3, "softmax"),
        ]
        model = nn.Sequential([nn.Input((4,)), *parts])
    x, y = X[:9].astype("f8"), Y[:9].astype("f8")

    def whole(_: Any, outputs: Any) -> float:
        first = parts[0](x)
        second = parts[1](first)
        added = 0.2 * np.sqrt(np.sum(first**2)) / len(x) + 0.3 * np.std(second)
        added += np.sum(second[:, 0] * second[:, 1]) / np.sum(second**2)
        return float(losses.dice(y, outputs) + added)

    descent(model, losses.Dice())
    np.testing.assert_allclose(model.evaluate(x, y, verbose=0), whole(y, model.call(x)), rtol=1e-12)
    expected = central_differences(model, whole, x, y)
    for variable, got, other in zip(model.trainable_weights, trained_gradients(model, x, y), expected, strict=True):
        np.testing.assert_allclose(got, other, rtol=1e-6, atol=1e-8, err_msg=variable.path)


def products(o: Any) -> Any:
    """A number for the batch, and one of each row that is reduced over other axes."""
    return lambda y, p: o.sqrt(o.mean(p)) + o.mean(o.reshape(p, (-1, 2, 2)), axis=(1, 2))


PENALTIES: dict[str, Any] = {
    "root": lambda o: lambda x: o.sqrt(o.sum(o.square(x))),
    "product": lambda o: lambda x: o.sum(x) * o.sum(x),
    "constant": lambda o: lambda x: o.sum(x) + 1.0,
    "sum and mean": lambda o: lambda x: o.sum(x) + o.mean(x),
    "shares": lambda o: lambda x: o.sum(x / o.sum(x)),
    "inverse": lambda o: lambda x: 2.0 / o.sum(x),
}


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # Keras on NumPy 2
@pytest.mark.parametrize("name", ["products", *PENALTIES])
def test_formulas_of_a_batch_train_as_in_keras(name: str, request: pytest.FixtureRequest) -> None:
    """A loss, and what a regularizer of the activity adds to one."""
    rng = np.random.default_rng(3)
    x, y = (rng.uniform(0.5, 1.5, (10, 4)).astype("float32") for _ in range(2))
    given = [rng.uniform(0, 1, shape).astype("float32") for shape in ((4, 4), (4,))]

    def run(k: Any) -> Any:
        penalty = PENALTIES[name](k.ops) if name in PENALTIES else None
        model = k.Sequential([k.Input((4,)), k.layers.Dense(4, activity_regularizer=penalty)])
        model.set_weights(given)
        model.compile(k.optimizers.SGD(0.001), "mse" if penalty else products(k.ops))
        history = model.fit(x, y, batch_size=4, epochs=2, shuffle=False, verbose=0).history["loss"]
        return history, model.evaluate(x, y, batch_size=4, verbose=0), model.get_weights()

    assert_as_keras(request, run)


def test_what_is_refused() -> None:
    def deep(y: Any, p: Any) -> Any:
        level = ops.mean(p)
        for _ in range(9):
            level = ops.mean(ops.square(p - level))
        return level

    model = nn.Sequential([nn.Input((4,)), layers.Dense(4)])
    y = np.zeros((ROWS, 4), np.float32)
    for loss, error, says in (
        (deep, UnsupportedError, r"loss 'deep': .* runs over the rows of a batch.*stop_gradient"),
        (lambda y, p: ops.max(p), ModelError, r"ops\.max: a formula does not reduce over the rows.*test_batchwise"),
    ):
        model.compile("sgd", loss)
        with pytest.raises(error, match=rf"(?s){says}"):
            model.fit(X, y, verbose=0)

    class Scaled(layers.Layer):
        def call(self, inputs: Any) -> Any:
            return inputs * ops.expand_dims(ops.sum(inputs, axis=-1) / ops.mean(inputs), -1)

    class Largest(layers.Layer):
        def call(self, inputs: Any) -> Any:
            return inputs / ops.max(inputs, axis=0)

    for layer, says in (
        (Scaled(name="scaled"), r"scaled \(Scaled\): a sum or mean over the whole batch can meet values of columns"),
        (Largest(), r"ops\.max: .* received 0 for values of shape \(None, 4\)\. Of a batch there are sums and means"),
    ):
        model = nn.Sequential([nn.Input((4,)), layer, layers.Dense(3)])
        model.compile("sgd", "mse")
        with pytest.raises(ModelError, match=says):
            model.fit(X, Y, verbose=0)


STATISTICS: dict[str, Any] = {
    "mean": lambda o, x: x / (1.0 + o.square(o.mean(x))),
    "kept": lambda o, x: x - o.mean(x, keepdims=True),
    "axes": lambda o, x: x * o.tanh(o.sum(x, axis=(0, 1))),
    "deviation": lambda o, x: (x - o.mean(x)) / o.std(x),
    "columns": lambda o, x: (x - o.mean(x, axis=0)) / (o.std(x, axis=0, keepdims=True) + 1.0),
    "chosen": lambda o, x: o.where(o.mean(x) > 0.1, x * 2.0, o.mean(o.square(x), axis=0) - x),
}


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # Keras on NumPy 2
def test_layers_over_the_batch_train_and_predict_as_in_keras(request: pytest.FixtureRequest) -> None:
    rng = np.random.default_rng(3)
    start = [rng.normal(size=s).astype("f4") * 0.5 for _ in STATISTICS for s in ((4, 5), (5,))]
    start += [rng.normal(size=s).astype("f4") * 0.5 for s in ((30, 3), (3,))]

    def run(k: Any) -> Any:
        x = k.Input((4,))
        of = [k.layers.Lambda(lambda v, f=f, o=k.ops: f(o, v))(k.layers.Dense(5)(x)) for f in STATISTICS.values()]
        model = k.Model(x, k.layers.Dense(3)(k.layers.Concatenate()(of)))
        model.set_weights(start)
        model.compile(k.optimizers.SGD(0.05), "mse")
        losses = model.fit(X, Y, batch_size=8, epochs=2, shuffle=False, verbose=0).history["loss"]
        return losses, model.predict(X, batch_size=9, verbose=0), model.get_weights()

    assert_as_keras(request, run, rtol=1e-4, atol=1e-5)
