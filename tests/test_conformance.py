"""Everything that is registered: its C against its formula in NumPy, its gradient, its configuration.

A new activation, loss, metric, optimizer or layer is found in the registry and tested as
it is; its arguments are varied by what their defaults are. What has an argument without
a default, or one that this does not guess well, is named in ``EXAMPLES``.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
from layer_cases import CASES
from reference import central_differences, descent, every_form, float_type, forms, target, trained_gradients

import nncompile as nn
from nncompile import activations, initializers, layers, losses, metrics, ops, optimizers, registry
from nncompile.errors import ModelError
from nncompile.layers import Activation, Dense, Layer

pytestmark = pytest.mark.filterwarnings("ignore:softmax. axis -1:UserWarning")

TARGETS = forms()
TYPES = ["float32", "float64"]
everywhere = pytest.mark.parametrize("name", every_form())
of_types = pytest.mark.parametrize("dtype", TYPES)

EXAMPLES: dict[str, list[dict[str, Any]]] = {
    # for what is named here these stand in place of guessed arguments
    "threshold": [{"threshold": 0.3, "default_value": -1.0}],
    "relu": [
        {},
        {"negative_slope": 0.1},
        {"max_value": 2.0},
        {"threshold": 0.5},
        {"negative_slope": 0.1, "threshold": 0.5},
    ],
    "TopKCategoricalAccuracy": [{}, {"k": 2}],
    "SparseTopKCategoricalAccuracy": [{}, {"k": 2}],
    "SGD": [{}, {"momentum": 0.9}, {"momentum": 0.9, "nesterov": True}],
    "RMSprop": [{}, {"momentum": 0.4, "centered": True}],
    # coefficients of which the iteration converges
    "Muon": [
        {},
        {"muon_a": 3.0},
        {"muon_b": -5.0},
        {"muon_c": 1.8},
        {"ns_steps": 3},
        {"momentum": 0.7, "nesterov": False},
        {"adam_lr_ratio": 0.5},
        {"rms_rate": 0.2},
    ],
    "InputLayer": [{"shape": (5,)}],
    "Lambda": [{"function": lambda x: ops.softmax(x) * 2.0}],
    "Dot": [{"axes": 1}],
    **{name: [arguments for other, arguments, _ in CASES if other == name] for name, _, _ in CASES},  # of layers
    "TimeDistributed": [{"layer": Dense(3)}],
    "Constant": [{"value": 2.0}],
    "categorical_generalized_cross_entropy": [{"q": 0.5}, {"q": 0.3}],
    **{name: [{"axis": -1}] for name in ("dice", "Dice")},
    **{name: [{"axis": -1}, {"axis": -1, "alpha": 0.3, "beta": 0.8}] for name in ("tversky", "Tversky")},
    "categorical_focal_crossentropy": [{}, {"alpha": [0.1, 0.4, 0.2, 0.3], "gamma": 1.5}, {"from_logits": True}],
}
NOT_VARIED = ("axis", "name", "dtype", "reduction", "seed", "ignore_class", "from_sorted_ids", "fn", "trainable")


def examples(thing: Any, own: Any = None) -> list[dict[str, Any]]:
    """Arguments to test a class or function with: the defaults, and each with one of them changed."""
    if thing.__name__ in EXAMPLES:
        return EXAMPLES[thing.__name__]
    found: list[dict[str, Any]] = [{}]
    for parameter in inspect.signature(thing).parameters.values():
        default, name = parameter.default, parameter.name
        if name in NOT_VARIED or default is parameter.empty or (own is not None and name not in own):
            continue
        if isinstance(default, bool):
            found.append({name: not default})
        elif isinstance(default, (int, float)) and default:
            found.append({name: default * 0.75})
        elif isinstance(default, float):
            found.append({name: 0.25})
    return found


def registered(kind: str, what: Callable[[Any], bool], own: Callable[[Any], Any] = lambda thing: None) -> list[Any]:
    """(thing, arguments) of everything registered, as parameters of a test."""
    return [
        pytest.param(thing, arguments, id="-".join([name, *(f"{k}={v}" for k, v in arguments.items())]))
        for name, thing in registry.registered(kind).items()
        if what(thing)
        for arguments in examples(thing, own(thing))
    ]


ACTIVATIONS = registered("activations", lambda f: f is not activations.glu)  # which alone changes the width
LOSSES = registered("losses", lambda x: True)
METRICS = registered(
    "metrics", lambda c: issubclass(c, metrics.MeanMetricWrapper) and c is not metrics.MeanMetricWrapper
)  # that one is of a function of anybody's
OPTIMIZERS = registered("optimizers", lambda c: True, lambda c: c._own)


def call(function: Any, arguments: Mapping[str, Any]) -> Any:
    return lambda x: function(x, **arguments)


# ------------------------------------------------------------------ activations

FORMULAS = [call(*p.values) for p in ACTIVATIONS]


def over_rows(formula: Any) -> bool:
    """Whether the value at one column depends on the others."""
    x = np.array([[0.1, 0.2, 0.3], [0.1, 0.2, 0.4]])
    return bool(np.diff(formula(x)[:, 0])[0] != 0)


class Chosen(Layer):
    """One of all formulas: which one is a weight, so that one compilation serves for all."""

    def __init__(self, formulas: list[Any]) -> None:
        super().__init__()
        self.formulas = formulas

    def build(self, input_shape: Any) -> None:
        self.which = self.add_weight(shape=(), initializer="zeros", trainable=False, name="which")
        self.shift = self.add_weight(shape=input_shape[-1:], initializer="zeros", name="shift")

    def call(self, inputs: Any) -> Any:
        x = ops.add(inputs, self.shift)
        y = x * 1.0
        for number, formula in enumerate(self.formulas):
            y = ops.where(ops.equal(self.which, float(number)), formula(x), y)
        return y

    def compute_output_shape(self, input_shape: Any) -> Any:
        return tuple(input_shape)


def grid(dtype: str) -> np.ndarray[Any, Any]:
    """Numbers of every size, the ends of pieces, and what is no number."""
    kind = np.finfo(dtype)
    sizes = np.concatenate(
        [np.linspace(0, 8, 65), np.geomspace(1e-30, 1e3, 60), [0.3, 0.5, 0.75, 1, 2, 3, 6, 20, 60, 87, 88.5, 1e4]]
    )
    ends = [kind.tiny, kind.smallest_subnormal, kind.eps, 1e30, kind.max, np.inf]
    sizes = np.concatenate([sizes, ends])
    return np.concatenate([sizes, -sizes, [np.nan]]).astype(dtype)


def same_values(got: Any, expected: Any, x: Any, roundings: float, what: Any = "") -> None:
    """Equal up to roundings of the larger of value and operand; infinities and NaN where they should be."""
    got, expected = np.asarray(got), np.asarray(expected)
    np.testing.assert_array_equal(np.isnan(got), np.isnan(expected), err_msg=f"NaN of {what}")
    infinite = np.isinf(expected) | np.isinf(got)
    limit = np.finfo(expected.dtype).max * (1 - 8 * np.finfo(expected.dtype).eps)
    wrong = infinite & (got != expected) & ~((np.abs(got) >= limit) & (np.abs(expected) >= limit))
    assert not wrong.any(), f"infinities of {what}: {x[wrong]}: {got[wrong]}, not {expected[wrong]}"
    plain = np.isfinite(expected) & ~infinite
    size = np.maximum(np.abs(expected[plain]), np.abs(x[plain]))
    size = np.maximum(np.where(np.isfinite(size), size, 0), np.finfo(expected.dtype).tiny)
    apart = np.abs(got[plain] - expected[plain]) / (np.finfo(expected.dtype).eps * size)
    worst = int(np.argmax(apart))
    assert apart[worst] <= roundings, f"{what} at {x[plain][worst]}: {got[plain][worst]}, not {expected[plain][worst]}"


@everywhere
@of_types
def test_activations_compute_what_numpy_computes(name: str, dtype: str) -> None:
    """All over the range of numbers, on tiles as the end of a product, for every target."""
    numbers = [i for i, formula in enumerate(FORMULAS) if not over_rows(formula)]
    x = grid(dtype)
    with float_type(dtype), target(name):
        product = Dense(1, use_bias=False, kernel_initializer="ones")
        chosen = Chosen([FORMULAS[i] for i in numbers])
        model = nn.Sequential([nn.Input((1,)), product, chosen])
        for place, number in enumerate(numbers):
            chosen.which.assign(place)
            same_values(model.predict(x[:, None], verbose=0)[:, 0], FORMULAS[number](x), x, 8, ACTIVATIONS[number].id)


@everywhere
@of_types
def test_activations_over_rows_compute_what_numpy_computes(name: str, dtype: str) -> None:
    numbers = [i for i, formula in enumerate(FORMULAS) if over_rows(formula)]
    assert numbers
    rng = np.random.default_rng(0)
    with float_type(dtype), target(name):
        for width in (1, 16, 37):
            chosen = Chosen([FORMULAS[i] for i in numbers])
            model = nn.Sequential([nn.Input((width,)), chosen])
            x = (rng.normal(size=(40, width)) * np.geomspace(0.1, 100, 40)[:, None]).astype(dtype)
            x[0], x[1], x[2, 0], x[3, 0] = 0, 1e4, np.nan, -np.inf
            for place, number in enumerate(numbers):
                chosen.which.assign(place)
                finite = np.where(np.isfinite(x), x, 0)
                sizes = np.broadcast_to(np.abs(finite).max(axis=-1, keepdims=True), x.shape)
                same_values(model.predict(x, verbose=0), FORMULAS[number](x), sizes, 8, width)


@pytest.mark.quick_c
@pytest.mark.parametrize(("function", "arguments"), ACTIVATIONS)
def test_gradients_of_activations(function: Any, arguments: Mapping[str, Any]) -> None:
    """Behind a product, over rows and before the loss, in float64 against differences of the formula."""
    rng = np.random.default_rng(0)
    formula = call(function, arguments)
    with float_type("float64"):
        nn.utils.set_random_seed(1)
        model = nn.Sequential([nn.Input((3,)), Dense(5, formula), Dense(4), Activation("softmax"), Dense(3, formula)])
        loss = losses.MeanSquaredError()
        model.set_weights([rng.normal(size=w.shape) for w in model.weights])
        descent(model, loss)
        x, y = rng.normal(size=(6, 3)), rng.normal(size=(6, 3))
        numbers = steady = 0
        fine, coarse = (central_differences(model, loss, x, y, step) for step in (1e-5, 4e-5))
        for got, one, other in zip(trained_gradients(model, x, y), fine, coarse, strict=True):
            size = 1 + np.max(np.abs(one))
            good = np.abs(one - other) < 1e-6 * size  # no kink or jump is near
            np.testing.assert_allclose(got[good], one[good], rtol=0, atol=3e-6 * size)
            numbers, steady = numbers + good.size, steady + int(good.sum())
        assert steady > 0.7 * numbers


def test_gated_linear_units() -> None:
    """glu halves the width: alone, with axes behind the samples, and as the activation of a layer."""
    rng = np.random.default_rng(0)
    with float_type("float64"):
        model = nn.Sequential(
            [nn.Input((3, 4)), Activation(activations.glu), layers.Flatten(), Dense(10, "glu"), Dense(3)]
        )
        model.set_weights([rng.normal(size=w.shape) for w in model.weights])
        loss = losses.MeanSquaredError()
        descent(model, loss)
        x, y = rng.normal(size=(6, 3, 4)), rng.normal(size=(6, 3))
        np.testing.assert_allclose(model.predict(x, verbose=0), model.call(x), rtol=1e-12)
        for got, other in zip(trained_gradients(model, x, y), central_differences(model, loss, x, y), strict=True):
            np.testing.assert_allclose(got, other, rtol=1e-7, atol=1e-9)


@pytest.mark.quick_c
@pytest.mark.parametrize("name", TARGETS)
def test_derivatives_of_activations_on_a_line(name: str) -> None:
    """Point by point: a loss that is the sum of the results, and a shift whose gradient is the derivative."""
    numbers = [i for i, formula in enumerate(FORMULAS) if not over_rows(formula)]
    x = np.concatenate([np.linspace(-9, 9, 181), np.geomspace(1e-6, 1e-2, 9), -np.geomspace(1e-6, 1e-2, 9)])
    with float_type("float64"), target(name):
        chosen = Chosen([FORMULAS[i] for i in numbers])
        model = descent(
            nn.Sequential([nn.Input(x.shape), chosen]), lambda y_true, y_pred: ops.sum(y_pred + 0.0 * y_true, axis=-1)
        )
        for place, number in enumerate(numbers):
            formula = FORMULAS[number]
            chosen.which.assign(place)
            (got,) = trained_gradients(model, x[None], x[None])
            left, middle, right = formula(x - 2e-7), formula(x), formula(x + 2e-7)
            smooth = np.abs((right - middle) - (middle - left)) < 1e-5 * 2e-7 * (1 + np.abs(middle))
            assert smooth.mean() > 0.8
            np.testing.assert_allclose(
                got[smooth], (right - left)[smooth] / 4e-7, rtol=1e-6, atol=2e-6, err_msg=ACTIVATIONS[number].id
            )


# ------------------------------------------------------------------ losses

CLASSES = 4
RNG = np.random.default_rng(3)
ONE_HOT = np.eye(CLASSES)[RNG.integers(0, CLASSES, 9)]
LABELS = np.argmax(ONE_HOT, axis=-1)
INPUTS = RNG.normal(size=(9, 3))


def takes_labels(fn: Any) -> bool:
    """Whether a function of (y_true, y_pred) wants one integer per sample."""
    try:
        fn(ONE_HOT, np.full((9, CLASSES), 1 / CLASSES))
    except (ModelError, ValueError):
        return True
    return "sparse" in getattr(fn, "__name__", "")


def made_loss(thing: Any, arguments: Mapping[str, Any], **keywords: Any) -> Any:
    """A Loss; of a function, with its arguments."""
    if inspect.isclass(thing):
        return thing(**arguments, **keywords)
    return losses.LossFunctionWrapper(thing, **keywords, **arguments)


FUSED = [
    pytest.param(*p.values, activation, id=f"{p.id}-{activation}")
    for p in LOSSES
    for activation in ("sigmoid", "softmax")
    if made_loss(*p.values).fuses_with and (activation == "softmax" or not inspect.isclass(p.values[0]))
]


@pytest.mark.quick_c
@pytest.mark.parametrize(("thing", "arguments", "activation"), FUSED)
def test_losses_and_their_gradients(thing: Any, arguments: Mapping[str, Any], activation: str) -> None:
    """Those that the compiler may take from the logits, each in a program of its own."""
    rng = np.random.default_rng(0)
    with float_type("float64"):
        loss = made_loss(thing, arguments)
        y = LABELS if takes_labels(loss.call) else ONE_HOT
        model = nn.Sequential([nn.Input((3,)), Dense(CLASSES, activation)])
        model.set_weights([rng.normal(size=w.shape) for w in model.weights])
        descent(model, loss)
        expected = float(loss(y, model.call(INPUTS)))
        assert model.evaluate(INPUTS, y, verbose=0) == pytest.approx(expected, rel=1e-12)
        for got, other in zip(
            trained_gradients(model, INPUTS, y), central_differences(model, loss, INPUTS, y), strict=True
        ):
            np.testing.assert_allclose(got, other, rtol=1e-6, atol=1e-8)


@pytest.mark.quick_c
@pytest.mark.parametrize("labels", [False, True], ids=["dense", "labels"])
@pytest.mark.parametrize("activation", ["sigmoid", "softmax", "linear"])
def test_gradients_of_all_losses(activation: str, labels: bool) -> None:
    """The sum of all losses, each of size 1, in one program: if one gradient is wrong, that of the sum is.

    Their values are compared one by one, as metrics.
    """
    rng = np.random.default_rng(0)
    with float_type("float64"):
        y = LABELS if labels else ONE_HOT * 0.9 + 0.025
        model = nn.Sequential([nn.Input((3,)), Dense(CLASSES, activation)])
        model.set_weights([rng.normal(size=w.shape) for w in model.weights])
        made = [made_loss(*p.values) for p in LOSSES]
        made = [loss for loss in made if takes_labels(loss.call) == labels]
        sizes = [float(abs(loss(y, model.call(INPUTS)))) for loss in made]
        summed = [(loss, size) for loss, size in zip(made, sizes, strict=True) if 1e-3 < size < np.inf]
        assert len(summed) > (3 if labels else 0.7 * len(made))

        def every(y_true: Any, y_pred: Any) -> Any:
            return sum(loss.call(y_true, y_pred) / size for loss, size in summed)

        descent(model, every)
        both = zip(
            trained_gradients(model, INPUTS, y),
            central_differences(model, losses.LossFunctionWrapper(every), INPUTS, y),
            strict=True,
        )
        for got, other in both:
            np.testing.assert_allclose(got, other, rtol=1e-6, atol=1e-7)


@pytest.mark.quick_c
@pytest.mark.parametrize("reduction", losses.REDUCTIONS[:-1])
def test_reductions(reduction: str) -> None:
    with float_type("float64"):
        loss = losses.MeanSquaredError(reduction=reduction)
        model = descent(nn.Sequential([nn.Input((3,)), Dense(CLASSES)]), loss)
        assert model.test_on_batch(INPUTS, ONE_HOT) == pytest.approx(
            float(loss(ONE_HOT, model.call(INPUTS))), rel=1e-12
        )
        expected = central_differences(model, loss, INPUTS, ONE_HOT)
        for got, other in zip(trained_gradients(model, INPUTS, ONE_HOT), expected, strict=True):
            np.testing.assert_allclose(got, other, rtol=1e-7, atol=1e-9)


@pytest.mark.quick_c
@pytest.mark.parametrize("batch", [32, 300, 1000])
def test_a_sum_over_a_batch_depends_on_the_batch(batch: int) -> None:
    """As in Keras: the mean of the batches' sums, weighted by their lengths, in fit, validation and evaluate."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(500, 3)), rng.normal(size=(500, CLASSES))
    with float_type("float64"):
        loss = losses.MeanSquaredError(reduction="sum")
        model = nn.Sequential([nn.Input((3,)), Dense(CLASSES)])
        model.compile(nn.optimizers.SGD(0.0), loss)
        pieces = [slice(i, min(i + batch, 500)) for i in range(0, 500, batch)]
        expected = sum(float(loss(y[p], model.call(x[p]))) * (p.stop - p.start) for p in pieces) / 500
        history = model.fit(x, y, batch_size=batch, shuffle=False, validation_data=(x, y), verbose=0).history
        assert model.evaluate(x, y, batch_size=batch, verbose=0) == pytest.approx(expected, rel=1e-12)
        assert history == {
            "loss": [pytest.approx(expected, rel=1e-12)],
            "val_loss": [pytest.approx(expected, rel=1e-12)],
        }
        assert model.test_on_batch(x, y) == pytest.approx(float(loss(y, model.call(x))), rel=1e-12)


# ------------------------------------------------------------------ metrics


def measured(labels: bool) -> list[Any]:
    """All metrics, and all losses as metrics, for targets of a form."""
    found = [p.values[0](**p.values[1]) for p in METRICS]
    found += [
        metrics.MeanMetricWrapper(made_loss(*p.values).call, name="loss_" + p.id)
        for p in LOSSES
        if not inspect.isclass(p.values[0])  # whose formulas are those of functions
    ]
    for counts in (
        metrics.Precision(name="precision"),
        metrics.Recall([0.3, 0.6], class_id=2, name="recall"),
        metrics.TrueNegatives(name="negatives"),
    ):
        found += counts.parts((None, CLASSES))
    found = [m for m in found if takes_labels(m.call) == labels]
    for number, metric in enumerate(found):
        metric.name = f"{metric.name}_{number}"
    return found


@pytest.mark.parametrize("labels", [False, True], ids=["dense", "labels"])
@pytest.mark.parametrize(
    ("name", "dtype"),
    [
        *(pytest.param(*p.values, "float32", marks=p.marks) for p in every_form()),
        pytest.param(TARGETS[0], "float64", marks=pytest.mark.quick_c),
    ],
)
def test_metrics_compute_what_numpy_computes(name: str, dtype: str, labels: bool) -> None:
    """All in one program, on probabilities with ties among them."""
    y = LABELS if labels else ONE_HOT
    with float_type(dtype), target(name):
        chosen = measured(labels)
        assert len(chosen) > 5
        model = nn.Sequential([nn.Input((CLASSES,)), Activation("sigmoid")])
        x = RNG.normal(size=(9, CLASSES)).astype(dtype)
        x[0, :3], x[1, 1] = 0.3, x[1, 2]
        p = model.call(x)
        loss = losses.SparseCategoricalCrossentropy() if labels else losses.MeanSquaredError()
        model.compile("sgd", loss, metrics=chosen)
        got = model.evaluate(x, y, verbose=0, return_dict=True)
        for metric in measured(labels):
            metric.reset_state()
            metric.update_state(y, p)
            rounding = float(40 * np.finfo(dtype).eps)
            size = float(np.max(np.abs(metric.call(y, p))))  # of what may cancel in the mean
            assert got[metric.name] == pytest.approx(metric.result(), rel=rounding, abs=rounding * size), metric.name


# ------------------------------------------------------------------ optimizers

GRADIENTS = np.concatenate([[0.0, 1.0, -1.0, 1e-3, -30.0, 1e-6], np.random.default_rng(0).normal(size=34)])


def last_factor(y_true: Any, y_pred: Any) -> Any:
    """A loss whose gradient by the outputs is y."""
    return ops.sum(y_true * y_pred, axis=-1)


def add_up(sizes: dict[int, Any], optimizer: Any, weights: list[Any], before: list[Any]) -> None:
    """Notes the largest numbers that were added up to slots which may be far smaller, by the slots' identity.

    Ftrl's are sums of differences of two powers of nearly the same number, times a weight.
    """
    if not isinstance(optimizer, optimizers.Ftrl):
        return
    for weight, start in zip(weights, before, strict=True):
        squares, linear = optimizer.slot_variables(weight)
        power = squares.value**-optimizer.learning_rate_power / float(optimizer.learning_rate)
        sizes[id(linear)] = np.maximum(sizes.get(id(linear), 0), power * np.abs(start))


def steps_agree(make: Callable[[], Any], dtype: str, roundings: float) -> None:
    """Gradients are single products, the same in C and NumPy, so that only the update can differ."""
    factors = [1.0, 0.5, -0.25, 2.0, 1.0, 0.0, -1.0]
    with float_type(dtype):
        model = nn.Sequential(
            [nn.Input((1,)), Dense(GRADIENTS.size, kernel_initializer="uniform", bias_initializer="ones")]
        )
        model.compile(make(), last_factor)
        reference = [nn.Variable(w.value, name=w.name, path=w.path) for w in model.weights]
        theirs = make()
    summands: dict[int, Any] = {}
    for number, factor in enumerate(factors):
        if number == 4:
            model.optimizer.learning_rate = theirs.learning_rate = 0.03
        g = (GRADIENTS * factor).astype(dtype)
        before = [w.value for w in reference]
        model.train_on_batch(np.full((1, 1), 2.0, dtype), g[None])
        theirs.apply([2 * g[None], g], reference)
        pairs = zip([*model.weights, *model.optimizer.variables], [*reference, *theirs.variables], strict=True)
        add_up(summands, theirs, reference, before)
        for mine, other in pairs:
            assert mine.dtype == other.dtype and mine.shape == other.shape
            # weights are sums of numbers of their size, and so is the slot that begins as the weight
            begun = isinstance(theirs, optimizers.ScheduleFreeAdamW) and mine.path.endswith("_momentum")
            added = begun or any(mine is w for w in model.weights)
            size = np.maximum(np.abs(other.value), np.abs(other.value).max() if added else 0)
            size = np.maximum(size, summands.get(id(other), 0))
            unit = np.finfo(dtype).eps * np.maximum(size, np.finfo(dtype).tiny)
            apart = np.abs(mine.value.astype("float64") - other.value) / unit
            assert np.max(apart) <= roundings * (number + 1), (
                f"{mine.path} after {number + 1} steps: {np.max(apart)} roundings"
            )
    assert int(model.optimizer.iterations) == len(factors)


@pytest.mark.parametrize("dtype", ["float32", pytest.param("float64", marks=pytest.mark.quick_c)])
@pytest.mark.parametrize(
    ("cls", "arguments"),
    [pytest.param(*p.values, id=p.id, marks=pytest.mark.quick_c if p.values[1] else ()) for p in OPTIMIZERS],
)
def test_optimizers_compute_what_numpy_computes(cls: Any, arguments: Mapping[str, Any], dtype: str) -> None:
    steps_agree(lambda: cls(**arguments), dtype, 16)


@pytest.mark.quick_c
@pytest.mark.parametrize("cls", [pytest.param(c, id=n) for n, c in registry.registered("optimizers").items()])
def test_optimizers_decay_weights_and_clip_gradients(cls: Any) -> None:
    steps_agree(lambda: cls(weight_decay=0.1, clipvalue=0.4), "float32", 16)


@pytest.mark.quick_c
@pytest.mark.parametrize("name", TARGETS[1:])
def test_optimizers_for_every_target(name: str) -> None:
    with target(name):
        for cls in registry.registered("optimizers").values():
            steps_agree(cls, "float32", 16)


# ------------------------------------------------------------------ layers


def test_layers_have_tests_of_their_own() -> None:
    """Those of one input are compiled in test_layers_compiled.py, those that merge and mask in tests of that."""
    several = {name for name, cls in registry.registered("layers").items() if cls._takes_several}
    here = set(registry.registered("layers")) - several - {"InputLayer", "TimeDistributed", "Lambda", "Masking"}
    assert here == {name for name, _, _ in CASES}


# ------------------------------------------------------------------ configurations


def plain(config: Any) -> Any:
    """What is left of a configuration in a file."""
    return json.loads(json.dumps(config))


@pytest.mark.parametrize("function", [p.values[0] for p in ACTIVATIONS], ids=[p.id for p in ACTIVATIONS])
def test_activations_are_found_again(function: Any) -> None:
    assert activations.deserialize(plain(activations.serialize(function))) is function
    assert activations.get(function.__name__) is function


CONFIGURED = [
    *(pytest.param(losses, *p.values, id=p.id) for p in LOSSES if inspect.isclass(p.values[0])),
    *(pytest.param(metrics, *p.values, id=p.id) for p in METRICS),
    *(pytest.param(optimizers, *p.values, id=p.id) for p in OPTIMIZERS),
    # the function of a Lambda is no data
    *(pytest.param(layers, *p.values, id=p.id) for p in registered("layers", lambda c: c is not layers.Lambda)),
    *(pytest.param(initializers, *p.values, id=p.id) for p in registered("initializers", lambda c: True)),
]


@pytest.mark.parametrize(("module", "cls", "arguments"), CONFIGURED)
def test_configurations_are_read_back(module: Any, cls: Any, arguments: Mapping[str, Any]) -> None:
    thing = cls(**arguments)
    config = thing.get_config()
    assert plain(config) == plain(cls.from_config(dict(config)).get_config())
    again = module.deserialize(plain(module.serialize(thing)))
    assert type(again) is cls and plain(again.get_config()) == plain(config)
    for name, value in arguments.items():
        # of layers test_every_layer.py compares the whole with Keras, which writes some arguments in another form
        assert module is layers or plain(config[name]) == plain(value)


def test_a_newcomer_is_found() -> None:
    """The lists of this file are those of the registry, with nothing left out."""
    assert {p.values[0] for p in ACTIVATIONS} | {activations.glu} == set(registry.registered("activations").values())
    assert {p.values[0] for p in LOSSES} == set(registry.registered("losses").values())
    assert {p.values[0] for p in OPTIMIZERS} == set(registry.registered("optimizers").values())
    formulas = {c for c in registry.registered("metrics").values() if issubclass(c, metrics.MeanMetricWrapper)}
    formulas.remove(metrics.MeanMetricWrapper)
    assert {p.values[0] for p in METRICS} == formulas  # the others are NumPy's: tests/test_metrics.py

    def newcomer(x: Any, steepness: float = 2.0, flat: bool = False, shift: float = 0.0) -> Any:
        return ops.tanh(x * steepness)

    assert examples(newcomer) == [{}, {"steepness": 1.5}, {"flat": True}, {"shift": 0.25}]
