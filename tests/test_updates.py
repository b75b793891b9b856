"""What is done to weights, compiled: every optimizer, schedule, regularizer and constraint against NumPy."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from reference import descent, float_type, target

import nncompile as nn
from nncompile import constraints, ops, optimizers, regularizers, targets
from nncompile.errors import ModelError, UnsupportedError
from nncompile.layers import Dense
from nncompile.optimizers import schedules
from nncompile.variables import Variable

# real Keras with NumPy 2
pytestmark = [
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
    pytest.mark.quick_c,
]

ROWS, FEATURES, CLASSES = 12, 13, 5
LOSS = nn.losses.SparseCategoricalCrossentropy()


def data() -> tuple[Any, Any]:
    rng = np.random.default_rng(0)
    return rng.normal(size=(ROWS, FEATURES)).astype("float32"), rng.integers(0, CLASSES, ROWS)


def network(**first: Any) -> Any:
    """Widths of more than a panel, of one column and of less than a vector; ``first`` goes to the first layer."""
    layers = [Dense(37, "tanh", **first), Dense(1, "tanh"), Dense(CLASSES, "softmax")]
    return nn.Sequential([nn.Input((FEATURES,)), *layers])


def start(model: Any) -> list[Any]:
    rng = np.random.default_rng(3)
    return [rng.normal(size=w.shape).astype("float32") * np.float32(0.4) for w in model.weights]


class Reference:
    """Steps of an optimizer with NumPy, with gradients from a network of the same shape that only descends."""

    def __init__(self) -> None:
        self.model = descent(network(), LOSS)
        self.x, self.y = data()

    def gradients(self, weights: list[Any]) -> list[Any]:
        self.model.set_weights(weights)
        self.model.train_on_batch(self.x, self.y)
        return [a - b for a, b in zip(weights, self.model.get_weights(), strict=True)]

    def loss(self, weights: list[Any]) -> float:
        self.model.set_weights(weights)
        return float(self.model.test_on_batch(self.x, self.y))


@pytest.fixture(scope="module")
def reference() -> Reference:
    return Reference()


def slope(penalty: Callable[[Any], Any], weight: Any) -> Any:
    """The gradient of a penalty, from differences in double precision."""
    wide, result = weight.astype("float64"), np.zeros(weight.shape)
    for index in np.ndindex(weight.shape):
        ends = []
        for step in (1e-6, -1e-6):
            moved = wide.copy()
            moved[index] += step
            ends.append(float(penalty(moved)))
        result[index] = (ends[0] - ends[1]) / 2e-6
    return result.astype("float32")


def follows(reference: Reference, make: Callable[[], Any], first: dict[str, Any], steps: int = 6) -> Any:
    """Asserts that compiled steps are those of NumPy, losses and slots included; returns the model."""
    model, mine = network(**first), make()
    model.compile(make(), LOSS)
    model.set_weights(start(model))
    weights = [Variable(w, name=v.name, path=v.path) for w, v in zip(start(model), model.weights, strict=True)]
    for a, b in zip(weights, model.weights, strict=True):
        a.constraint = b.constraint
    for _ in range(steps):
        values = [w.value for w in weights]
        g, penalty = reference.gradients(values), 0.0
        for i, v in enumerate(model.weights):
            if v.regularizer is not None:
                g[i] = g[i] + slope(v.regularizer, values[i])
                penalty += float(v.regularizer(values[i]))
        loss = model.train_on_batch(reference.x, reference.y)
        assert loss == pytest.approx(reference.loss(values) + penalty, abs=2e-6, rel=2e-6)
        mine.apply([mine.scale_loss(x) for x in g], weights)
        for a, b in zip(weights, model.weights, strict=True):
            np.testing.assert_allclose(b.value, a.value, rtol=0, atol=5e-5, err_msg=a.path)
    for a, b in zip(mine.variables, model.optimizer.variables, strict=True):
        size = float(np.abs(a.value).max(initial=0)) + 1e-6
        np.testing.assert_allclose(b.value, a.value, rtol=0, atol=1e-5 * size, err_msg=a.path)
    return model


class Trusting(optimizers.Optimizer):
    """A user's own: steps in proportion to the size of each column, and never longer than all of the weight."""

    slots = {"momentum": 0.0}  # noqa: RUF012

    def update(self, w: Any, g: Any, m: Any, *, step: Any) -> tuple[Any, ...]:
        m = 0.9 * m + g
        size = ops.norm(w, axis=0, keepdims=True) if len(ops.shape(w)) == 2 else ops.norm(w)
        change = self.learning_rate * m * size / (ops.norm(m) + 1e-3)
        return w - change * ops.minimum(1.0, ops.norm(w) / (ops.norm(change) + 1e-3)), m


def largest_of_columns(weight: Any) -> Any:
    return 0.01 * ops.sum(ops.max(ops.abs(weight), axis=0))


CASES: dict[str, tuple[Callable[[], Any], dict[str, Any]]] = {
    "ftrl": (lambda: optimizers.Ftrl(0.1, -0.4, l1_regularization_strength=0.01, beta=0.1), {}),
    "schedule-free": (lambda: optimizers.ScheduleFreeAdamW(0.01, warmup_steps=3), {}),
    "lamb": (lambda: optimizers.Lamb(0.01), {}),
    "adafactor": (lambda: optimizers.Adafactor(0.1), {}),
    "adafactor-clipped": (lambda: optimizers.Adafactor(0.1, global_clipnorm=0.1), {}),  # sums of what the norm scales
    "muon": (lambda: optimizers.Muon(0.01), {}),
    "own": (lambda: Trusting(0.05), {}),
    "accumulation": (lambda: optimizers.Nadam(0.01, gradient_accumulation_steps=2, loss_scale_factor=4.0), {}),
    "average": (lambda: optimizers.Adam(0.01, use_ema=True, ema_momentum=0.7, ema_overwrite_frequency=2), {}),
    "clipvalue": (lambda: optimizers.SGD(0.1, clipvalue=0.01), {}),
    "clipnorm": (lambda: optimizers.SGD(0.1, momentum=0.5, clipnorm=0.1), {}),
    "global-clipnorm": (
        lambda: optimizers.Adam(
            0.01, global_clipnorm=0.1, gradient_accumulation_steps=3, use_ema=True, loss_scale_factor=16.0
        ),
        {},
    ),
    "penalties": (
        lambda: optimizers.Adam(0.01),
        {"kernel_regularizer": regularizers.L1L2(0.01, 0.02), "bias_regularizer": "l2"},
    ),
    "orthogonal": (
        lambda: optimizers.SGD(0.1),
        {"kernel_regularizer": regularizers.OrthogonalRegularizer(0.1), "kernel_constraint": constraints.MinMaxNorm(
            0.5, 0.9, rate=0.5, axis=1)},
    ),
    "norms": (
        lambda: optimizers.Adam(0.01),
        {"kernel_constraint": constraints.MaxNorm(1.0), "bias_constraint": "non_neg"},
    ),
    "everything": (
        lambda: optimizers.Lamb(
            schedules.CosineDecay(0.01, 5, warmup_target=0.1, warmup_steps=2), global_clipnorm=0.1, weight_decay=0.1,
            gradient_accumulation_steps=2, use_ema=True,
        ),
        {"kernel_constraint": "unit_norm", "kernel_regularizer": largest_of_columns},
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_compiled_steps_are_those_of_numpy(case: str, reference: Reference) -> None:
    follows(reference, *CASES[case])


@pytest.mark.parametrize(
    "schedule",
    [
        schedules.ExponentialDecay(0.5, 2, 0.5, staircase=True),
        schedules.PiecewiseConstantDecay([1, 3], [0.1, 0.2, 0.01]),
        schedules.PolynomialDecay(0.1, 2, power=0.5, cycle=True),
        schedules.InverseTimeDecay(0.3, 2, 0.5),
        schedules.CosineDecay(0.01, 5, warmup_target=0.1, warmup_steps=2),
        schedules.CosineDecayRestarts(0.1, 2, 1.5, 0.9),
    ],
    ids=lambda s: type(s).__name__,
)
def test_compiled_schedules_are_those_of_numpy(schedule: Any) -> None:
    """Number by number, in one call of C: the weight falls by the learning rate in each step."""
    model = nn.Sequential([nn.Input((1,)), Dense(1, use_bias=False, kernel_initializer="zeros")])
    model.compile(optimizers.SGD(schedule), lambda y_true, y_pred: ops.mean(y_pred, axis=-1))
    x, seen = np.ones((2, 1), "float32"), []
    for _ in range(3):
        before = float(model.layers[0].kernel.value[0, 0])
        model.fit(x, x, batch_size=1, verbose=0)
        seen.append(before - float(model.layers[0].kernel.value[0, 0]))
    np.testing.assert_allclose(seen, [schedule(2 * i) + schedule(2 * i + 1) for i in range(3)], rtol=1e-5)
    assert float(model.optimizer.learning_rate) == pytest.approx(float(schedule(6)))


def test_a_schedule_changes_its_numbers_without_a_build() -> None:
    schedule = schedules.ExponentialDecay(0.5, 1000, 0.5)
    model = nn.Sequential([nn.Input((1,)), Dense(1, use_bias=False, kernel_initializer="zeros")])
    model.compile(optimizers.SGD(schedule), lambda y_true, y_pred: ops.mean(y_pred, axis=-1))
    x = np.ones((1, 1), "float32")
    model.train_on_batch(x, x)
    library = next(iter(model._libraries.values()))
    schedule.initial_learning_rate = 0.25
    model.train_on_batch(x, x)
    assert next(iter(model._libraries.values())) is library
    assert float(model.layers[0].kernel.value[0, 0]) == pytest.approx(-0.75, rel=1e-3)


def test_a_schedule_that_is_not_a_formula_is_refused_with_its_line() -> None:
    class Stairs(schedules.LearningRateSchedule):
        def __call__(self, step: Any) -> Any:
            return 0.1 if step < 10 else 0.01  # the line at fault

    class Cold(schedules.LearningRateSchedule):
        def __call__(self, step: Any) -> Any:
            return 0.1 * np.exp(-step)

    for schedule, line in ((Stairs(), "the line at fault"), (Cold(), r"np\.exp\(-step\)")):
        model = network()
        model.compile(optimizers.SGD(schedule), LOSS)
        name = type(schedule).__name__
        with pytest.raises(ModelError, match=rf"learning_rate: {name}: .*test_updates\.py, line \d+: .*{line}"):
            model.train_on_batch(*data())


def test_formulas_over_weights_that_cannot_be() -> None:
    def branches(w: Any) -> Any:
        return ops.sum(w) if ops.sum(w) > 1.0 else 0.0

    for first, kind, message in (
        ({"kernel_regularizer": branches}, ModelError, r"kernel: regularizer: .*ops\.sum\(w\) if ops\.sum\(w\) > 1"),
        ({"kernel_regularizer": lambda w: ops.sum(w, axis=0)}, ModelError, r"one number, received shape \(37,\)"),
        ({"kernel_constraint": lambda w: ops.sum(w)}, ModelError, r"to return shape \(13, 37\), received \(\)"),
        ({"kernel_regularizer": lambda w: ops.argmax(w)}, UnsupportedError, "argmax: is not supported over a weight"),
        ({"kernel_regularizer": lambda w: ops.sum(w, axis=2)}, ModelError, r"axis=2 is none of an array of shape"),
    ):
        model = network(**first)
        model.compile("sgd", LOSS)
        with pytest.raises(kind, match=message):
            model.train_on_batch(*data())

    class Short(optimizers.Optimizer):
        def update(self, w: Any, g: Any, *, step: Any) -> Any:
            return ops.sum(w, axis=0)

    model = network()
    model.compile(Short(0.1), LOSS)
    with pytest.raises(ModelError, match=r"Short\.update: expected w of shape \(13, 37\), received \(37,\)"):
        model.train_on_batch(*data())


def deep(kind: str, dtype: str = "float32") -> list[Any]:
    """Weights and slots after some steps of a wider network, of which several steps are worth sharing out."""
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(64, 200)).astype(dtype), rng.integers(0, 10, 64)
    with float_type(dtype):
        layers = [Dense(211, "relu", kernel_regularizer="l2", kernel_constraint=constraints.MaxNorm(1.5)), Dense(10)]
        model = nn.Sequential([nn.Input((200,)), *layers])
        loss = nn.losses.SparseCategoricalCrossentropy(from_logits=True)
        made = {
            "adafactor": lambda: optimizers.Adafactor(0.1, global_clipnorm=0.5),
            "muon": lambda: optimizers.Muon(0.01, ns_steps=2, gradient_accumulation_steps=2, use_ema=True),
        }[kind]()
        model.compile(made, loss)
        rng = np.random.default_rng(2)
        model.set_weights([rng.normal(size=w.shape) * 0.1 for w in model.weights])
        model.fit(x, y, batch_size=16, epochs=2, shuffle=False, verbose=0)
    return [*model.get_weights(), *(v.value for v in model.optimizer.variables)]


@pytest.fixture(scope="module")
def on_one_thread() -> dict[str, list[Any]]:
    return {kind: with_threads(1, kind) for kind in ("adafactor", "muon")}


def with_threads(threads: int, kind: str) -> list[Any]:
    before = nn.config.num_threads()
    nn.config.set_num_threads(threads)
    try:
        return deep(kind)
    finally:
        nn.config.set_num_threads(before)


@pytest.mark.quick_c(False)
@pytest.mark.parametrize("kind", ["adafactor", "muon"])
def test_any_number_of_threads_gives_the_same_bits(kind: str, on_one_thread: dict[str, list[Any]]) -> None:
    for a, b in zip(on_one_thread[kind], with_threads(3, kind), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(t.name, marks=pytest.mark.quick_c(t.form != "c99"))
        for t in targets.available()
        if t.name != targets.host().name
    ],
)
def test_every_target_does_the_same(name: str, on_one_thread: dict[str, list[Any]]) -> None:
    with target(name):
        other = deep("muon")
    for a, b in zip(on_one_thread["muon"], other, strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=2e-4 * (float(np.abs(a).max(initial=0)) + 1e-3))


def test_in_double_precision(on_one_thread: dict[str, list[Any]]) -> None:
    """What is computed in float64 is what float32 comes near to."""
    for a, b in zip(on_one_thread["adafactor"], deep("adafactor", "float64"), strict=True):
        assert b.dtype in ("float64", "int64", "int32")
        np.testing.assert_allclose(a, b, rtol=0, atol=2e-4 * (float(np.abs(b).max(initial=0)) + 1e-3))


def test_kernels_in_bfloat16_are_packed_again_after_a_sweep() -> None:
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(16, 24)).astype("float32"), rng.integers(0, 5, 16)
    model = nn.Sequential([nn.Input((24,)), Dense(40, "relu", dtype="mixed_bfloat16"), Dense(5)])
    model.compile(optimizers.Lamb(0.1), nn.losses.SparseCategoricalCrossentropy(from_logits=True))
    model.fit(x, y, batch_size=8, epochs=3, verbose=0)
    fresh = nn.Sequential([nn.Input((24,)), Dense(40, "relu", dtype="mixed_bfloat16"), Dense(5)])
    fresh.set_weights(model.get_weights())
    np.testing.assert_array_equal(model.predict(x, verbose=0), fresh.predict(x, verbose=0))


def test_single_rows_keep_their_own_code() -> None:
    """Batches of one row: accumulation and averages are rules number by number, done in the pass of the next row."""
    x, y = data()
    results = []
    for batch_calls in (True, False):
        model = network()
        model.compile(optimizers.Adam(0.01, use_ema=True, gradient_accumulation_steps=2), LOSS)
        model.set_weights(start(model))
        if batch_calls:
            for i in range(ROWS):
                model.train_on_batch(x[i : i + 1], y[i : i + 1])
            model.optimizer.finalize_variable_values(model.trainable_weights)
        else:
            model.fit(x, y, batch_size=1, shuffle=False, verbose=0)
        assert next(iter(model._libraries.values())).program.one_pass
        results.append([*model.get_weights(), *(v.value for v in model.optimizer.variables)])
    for a, b in zip(*results, strict=True):
        np.testing.assert_array_equal(a, b)


def test_training_goes_on_where_a_file_left_off(tmp_path: Path) -> None:
    x, y = data()

    def made() -> Any:
        model = network(kernel_regularizer=regularizers.L1L2(0.001, 0.002), kernel_constraint="max_norm")
        decay = schedules.InverseTimeDecay(0.1, 2, 0.5)
        model.compile(optimizers.Adafactor(decay, use_ema=True, gradient_accumulation_steps=2, clipnorm=1.0), LOSS)
        model.set_weights(start(model))
        return model

    whole = made()
    whole.fit(x, y, batch_size=4, epochs=1, shuffle=False, verbose=0)
    path = tmp_path / "half.keras"
    whole.save(path)
    other = nn.saving.load_model(path)
    assert other.layers[0].kernel_regularizer.get_config() == {"l1": 0.001, "l2": 0.002}
    assert isinstance(other.layers[0].kernel_constraint, constraints.MaxNorm)
    assert other.optimizer.get_config() == whole.optimizer.get_config()
    for model in (whole, other):
        model.fit(x, y, batch_size=4, epochs=2, shuffle=False, verbose=0)
    for a, b in zip(
        [*whole.weights, *whole.optimizer.variables], [*other.weights, *other.optimizer.variables], strict=True
    ):
        np.testing.assert_array_equal(a.value, b.value, err_msg=a.path)


class Scaled(nn.layers.Layer):
    """A number, or a number of shape (1,), that is trained, decays and may not fall below 0."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.own = shape

    def build(self, input_shape: Any) -> None:
        options = {"regularizer": "l2", "constraint": "non_neg", "initializer": "ones"}
        self.factor = self.add_weight(shape=self.own, name="factor", **options)

    def call(self, inputs: Any) -> Any:
        return ops.tanh(inputs * self.factor)


@pytest.mark.parametrize("kind", ["()", "(1,)", "shared", "table"])
def test_gradients_that_come_from_many_places(kind: str) -> None:
    """Single numbers, a layer used three times, and a table of which rows are taken: against differences."""
    twice = Dense(5, "tanh")
    rng = np.random.default_rng(4)

    class Table(nn.layers.Layer):
        def build(self, input_shape: Any) -> None:
            self.table = self.add_weight(shape=(7, 6), initializer="uniform", name="table")

        def call(self, inputs: Any) -> Any:
            return ops.reshape(ops.take(self.table, inputs, axis=0), (-1, 18))

    layers: list[Any] = {
        "()": [Dense(4, "tanh"), Scaled(())],
        "(1,)": [Dense(4, "tanh"), Scaled((1,))],
        "shared": [twice, Dense(5), twice, twice],
        "table": [Table()],
    }[kind]
    model = nn.Sequential([nn.Input((3 if kind == "table" else 5,)), *layers, Dense(2)])
    x = rng.integers(0, 7, (8, 3)) if kind == "table" else rng.normal(size=(8, 5))
    y = rng.normal(size=(8, 2)).astype("float32")
    x = x.astype("float32")
    model.compile(optimizers.SGD(0.1), "mse")
    before = [w.value for w in model.weights]
    expected = []
    for variable, value in zip(model.weights, before, strict=True):

        def penalized(w: Any, variable: Any = variable) -> Any:
            variable.assign(w)
            return nn.losses.mean_squared_error(y.astype("float64"), model.call(x)).mean() + sum(model.losses)

        moved = np.zeros(value.shape)
        for index in np.ndindex(value.shape):
            ends = []
            for step in (1e-2, -1e-2):
                other = value.copy()
                other[index] += np.float32(step)
                ends.append(float(penalized(other)))
            moved[index] = (ends[0] - ends[1]) / 2e-2
        variable.assign(value)
        expected.append(moved)
    model.train_on_batch(x, y)
    for variable, value, slope_ in zip(model.weights, before, expected, strict=True):
        np.testing.assert_allclose((value - variable.value) / 0.1, slope_, rtol=0, atol=2e-3, err_msg=variable.path)


def test_fit_logs_penalties_and_ends_with_averages_as_keras() -> None:
    from oracle import keras

    x, y = data()
    histories, finals, measured = [], [], []
    for library in (keras, nn):
        settings = {
            "kernel_regularizer": library.regularizers.L1L2(0.01, 0.02),
            "kernel_constraint": library.constraints.MaxNorm(1.0),
            "bias_regularizer": "l2",
        }
        layers = [library.layers.Dense(7, "tanh", **settings), library.layers.Dense(CLASSES, "softmax", **settings)]
        model = library.Sequential([library.Input((FEATURES,)), *layers])
        model.layers[1].trainable = False  # its penalty does not count
        decay = library.optimizers.schedules.ExponentialDecay(0.1, 2, 0.5)
        optimizer = library.optimizers.SGD(decay, momentum=0.9, use_ema=True, ema_momentum=0.5, global_clipnorm=0.5)
        model.compile(optimizer, "sparse_categorical_crossentropy", jit_compile=False)
        rng = np.random.default_rng(3)
        model.set_weights([rng.normal(size=w.shape).astype("float32") * 0.4 for w in model.get_weights()])
        measured.append(model.evaluate(x, y, verbose=0))  # before anything has trained
        arguments = {"batch_size": 5, "shuffle": False, "verbose": 0, "validation_data": (x[:3], y[:3])}
        histories.append(model.fit(x, y, epochs=2, **arguments).history)
        finals.append(model.get_weights())
        measured.append(model.evaluate(x, y, verbose=0))
        assert len(model.losses) == len(model.layers[0].losses) == 2
        measured.append(float(sum(np.asarray(loss) for loss in model.losses)))
    for name in histories[0]:
        np.testing.assert_allclose(histories[1][name], histories[0][name], rtol=1e-5, err_msg=name)
    for a, b in zip(*finals, strict=True):
        np.testing.assert_allclose(b, a, rtol=0, atol=1e-5)
    np.testing.assert_allclose(measured[3:], measured[:3], rtol=1e-5)
    model.compile(None, "sparse_categorical_crossentropy")  # no optimizer, with which penalties are computed
    np.testing.assert_allclose(model.evaluate(x, y, verbose=0), measured[1], rtol=1e-5)


def test_a_layer_may_be_called_as_the_memory_for_figures() -> None:
    model = nn.Sequential([nn.Input((3,)), Dense(4, name="figures", kernel_regularizer="l2"), Dense(2, name="rates")])
    model.compile(optimizers.Lamb(0.1), "mse")
    assert np.isfinite(model.train_on_batch(np.ones((2, 3), "float32"), np.ones((2, 2), "float32")))
