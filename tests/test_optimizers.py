"""Optimizers: against real Keras step by step, on numbers and on symbols."""

from __future__ import annotations

import inspect
import warnings
from typing import Any

import numpy as np
import pytest
from symbolic import evaluate

from nncompile import backend, ops, optimizers, registry
from nncompile.errors import ModelError, UnsupportedError
from nncompile.ops import ELEMENT, NUMBER, UNIFORM
from nncompile.optimizers import schedules
from nncompile.variables import Variable

# real Keras with NumPy 2
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

SHAPES = [(3, 4), (4,), (4, 1)]
CASES: list[tuple[str, dict[str, Any]]] = [
    ("SGD", {}),
    ("SGD", {"learning_rate": 0.1, "momentum": 0.9}),
    ("SGD", {"momentum": 0.5, "nesterov": True}),
    ("SGD", {"momentum": 1.0}),
    ("SGD", {"nesterov": True}),
    ("SGD", {"weight_decay": 0.1, "clipvalue": 0.3}),
    ("SGD", {"weight_decay": 0.0, "clipvalue": 0.0}),
    ("RMSprop", {}),
    ("RMSprop", {"momentum": 0.4}),
    ("RMSprop", {"centered": True, "rho": 0.8}),
    ("RMSprop", {"momentum": 0.4, "centered": True, "epsilon": 1e-3}),
    ("Adagrad", {}),
    ("Adagrad", {"initial_accumulator_value": 0.0, "epsilon": 1e-4}),
    ("Adadelta", {}),
    ("Adadelta", {"learning_rate": 1.0, "rho": 0.9}),
    ("Adam", {}),
    ("Adam", {"amsgrad": True, "beta_2": 0.5}),
    ("Adam", {"learning_rate": 0.01, "beta_1": 0.8, "beta_2": 0.99, "epsilon": 1e-3, "weight_decay": 0.01}),
    ("AdamW", {}),
    ("AdamW", {"weight_decay": 0.5, "amsgrad": True, "clipvalue": 0.1}),
    ("Adamax", {}),
    ("Adamax", {"learning_rate": 0.02, "beta_2": 0.7}),
    ("Nadam", {}),
    ("Nadam", {"learning_rate": 0.02, "beta_1": 0.7, "weight_decay": 0.1}),
    ("Lion", {}),
    ("Lion", {"beta_1": 0.5, "weight_decay": 0.1}),
    ("Ftrl", {}),
    ("Ftrl", {"learning_rate": 0.1, "l1_regularization_strength": 0.01, "l2_regularization_strength": 0.1,
              "l2_shrinkage_regularization_strength": 0.2, "beta": 0.3, "learning_rate_power": -0.4}),
    ("Lamb", {}),
    ("Lamb", {"learning_rate": 0.02, "beta_1": 0.8, "weight_decay": 0.1}),
    ("Adafactor", {}),
    ("Adafactor", {"learning_rate": 0.5, "clip_threshold": 0.5, "epsilon_2": 0.1, "beta_2_decay": -0.5}),
    ("Adafactor", {"relative_step": False, "clipnorm": 1.0}),
    ("Muon", {}),
    ("Muon", {"learning_rate": 0.02, "nesterov": False, "rms_rate": None, "adam_weight_decay": None, "ns_steps": 2}),
    ("Muon", {"adam_lr_ratio": 0.1, "exclude_layers": ["dense_1"], "momentum": 0.5, "weight_decay": 0.1}),
    ("ScheduleFreeAdamW", {}),
    ("ScheduleFreeAdamW", {"learning_rate": 0.02, "warmup_steps": 3, "weight_decay": 0.1, "beta_1": 0.7}),
    ("SGD", {"learning_rate": 0.1, "clipnorm": 0.5, "momentum": 0.9}),
    ("SGD", {"clipnorm": 0.0}),
    ("Adam", {"global_clipnorm": 1.5, "weight_decay": 0.01}),
    ("SGD", {"use_ema": True, "ema_momentum": 0.8}),
    ("RMSprop", {"use_ema": True, "ema_momentum": 0.5, "ema_overwrite_frequency": 3}),
    ("Adam", {"gradient_accumulation_steps": 2, "clipvalue": 0.3}),
    ("Nadam", {"gradient_accumulation_steps": 3, "global_clipnorm": 1.0, "loss_scale_factor": 8.0}),
    ("SGD", {"gradient_accumulation_steps": 2, "use_ema": True, "ema_overwrite_frequency": 2, "momentum": 0.5}),
    ("Lamb", {"gradient_accumulation_steps": 2, "use_ema": True, "clipnorm": 2.0}),
]  # fmt: skip
IDS = ["-".join([name, *(f"{k}={v}" for k, v in arguments.items())])[:80] for name, arguments in CASES]
cases = pytest.mark.parametrize(("name", "arguments"), CASES, ids=IDS)


def start() -> list[Any]:
    rng = np.random.default_rng(5)
    return [rng.normal(size=shape).astype(np.float32) for shape in SHAPES]


def gradients(step: int) -> list[Any]:
    rng = np.random.default_rng(100 + step)
    g = [(rng.normal(size=shape) * 10.0 ** rng.integers(-3, 2)).astype(np.float32) for shape in SHAPES]
    g[0][0, 0] = 0.0
    return g


def made(name: str, arguments: dict[str, Any]) -> tuple[Any, list[Variable]]:
    paths = ["sequential/dense/kernel", "sequential/dense/bias", "sequential/dense_1/kernel"]
    weights = [Variable(w, name=p.rsplit("/", 1)[1], path=p) for w, p in zip(start(), paths, strict=True)]
    return getattr(optimizers, name)(**arguments), weights


def test_every_optimizer_is_tested() -> None:
    assert set(registry.registered("optimizers")) == {name for name, _ in CASES}


@cases
def test_steps_are_those_of_keras(name: str, arguments: dict[str, Any]) -> None:
    from oracle import keras

    theirs = getattr(keras.optimizers, name)(**arguments)
    mine, weights = made(name, arguments)
    reference = [keras.Variable(w) for w in start()]
    if "exclude_layers" in arguments:  # Keras looks at paths
        reference[2]._path = weights[2].path
    for step in range(1, 9):
        if step == 5:  # as a callback does
            theirs.learning_rate = 0.05
            mine.learning_rate = 0.05
        theirs.apply_gradients(list(zip(gradients(step), reference, strict=True)))
        assert mine.apply_gradients(zip(gradients(step), weights, strict=True)) is mine.variables[0]
        assert int(mine.iterations) == int(theirs.iterations)
        assert int(mine.variables[0]) == step
        for a, b in zip(weights, reference, strict=True):
            np.testing.assert_allclose(a.value, np.asarray(b), rtol=3e-5, atol=1e-6)
    theirs.finalize_variable_values(reference)
    mine.finalize_variable_values(weights)
    for a, b in zip(weights, reference, strict=True):
        np.testing.assert_allclose(a.value, np.asarray(b), rtol=3e-5, atol=1e-6)
    assert len(mine.variables) == len(theirs.variables)
    for a, b in zip(mine.variables, theirs.variables, strict=True):
        assert a.shape == b.shape
        np.testing.assert_allclose(a.value, np.asarray(b), rtol=3e-5, atol=1e-7, err_msg=a.path)


@cases
def test_variables_and_configuration_are_those_of_keras(name: str, arguments: dict[str, Any]) -> None:
    from oracle import keras

    keras.utils.clear_session(free_memory=False)
    backend.clear_session(free_memory=False)
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(4), keras.layers.Dense(1, use_bias=False)])
    theirs = getattr(keras.optimizers, name)(**arguments)
    theirs.build(model.trainable_variables)
    mine, weights = made(name, arguments)
    mine.build(weights)
    mine.build([])  # has no effect
    assert list(mine.get_config().items()) == list(theirs.get_config().items())  # in this order
    assert list(mine.get_config())[:11] == list(theirs.get_config())[:11]
    paths = [v.path for v in theirs.variables]
    paths = [f"{mine.name}/u_product" if p == "variable" else p for p in paths]
    assert [v.path.rpartition("/")[2] for v in mine.variables] == [p.rpartition("/")[2] for p in paths]
    assert optimizers.serialize(mine) == keras.optimizers.serialize(theirs)
    again = optimizers.deserialize(optimizers.serialize(mine))
    assert type(again) is type(mine)
    assert again.get_config() == mine.get_config()
    if name != "Lamb":  # which Keras does not find by its own description
        assert keras.optimizers.deserialize(optimizers.serialize(mine)).get_config() == theirs.get_config()


@cases
def test_symbols_mean_the_same(name: str, arguments: dict[str, Any]) -> None:
    mine, weights = made(name, {k: v for k, v in arguments.items() if not k.startswith(("gradient", "use_ema", "ema"))})
    mine.build(weights)
    mine.apply(gradients(1))
    before = {k: v.value for k, v in mine.scalar_variables.items()}
    values: dict[Any, Any] = {}
    leaves: set[Any] = set()

    def symbol(what: str, value: Any) -> Any:
        shape = np.shape(value)
        made = ops.symbol(what, ELEMENT if shape else UNIFORM, shape)
        values[made] = value
        return made

    numbers = {n: symbol(n, np.float32(getattr(mine, n))) for n in ("learning_rate", *mine.hyperparameters)}
    copy = mine.with_values(**numbers)
    step = symbol("step", np.float32(2))
    scalars = copy.update_scalars(step, *(symbol(k, v) for k, v in before.items()))
    assert len(scalars) == len(mine.scalars)
    factor = np.float32(mine.loss_scale_factor or 1)
    norm = np.sqrt(np.sum([np.sum(np.square(g / factor)) for g in gradients(2)])).astype(np.float32)
    norm_symbol, results = symbol("norm", norm), []
    for weight, g in zip(weights, gradients(2), strict=True):
        slots = zip(mine.slots_of(weight), (v.value for v in mine.slot_variables(weight)), strict=True)
        results.append(
            copy.step(
                symbol("w", weight.value),
                symbol("g", g / factor),
                *(symbol(f"slot {k}", v) for k, v in slots),
                step=step,
                decay=mine.decay_of(weight),
                norm=norm_symbol,
                **dict(zip(mine.scalars, scalars, strict=True)),
            )
        )
    mine.apply(gradients(2))
    for weight, result in zip(weights, results, strict=True):
        for got, expected in zip(result, (weight, *mine.slot_variables(weight)), strict=True):
            value = np.broadcast_to(evaluate(got, values), expected.shape)
            np.testing.assert_allclose(value, expected.value, rtol=5e-5, atol=1e-6)
    # a hyper-parameter that nothing reads would be a leaf of no result
    todo = [*(x for result in results for x in result), *scalars]
    while todo:
        node = todo.pop()
        if node not in leaves:
            leaves.add(node)
            todo += node.args
    read = {"learning_rate", *mine.hyperparameters} - {"loss_scale_factor"}
    assert {n for n, s in numbers.items() if s in leaves} == read


@pytest.mark.parametrize("name", registry.registered("optimizers"))
def test_precision_and_infinities(name: str) -> None:
    optimizer = getattr(optimizers, name)()
    weight = Variable(np.zeros(3), dtype="float64")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        optimizer.apply([[np.nan, np.inf, 1e300]], [weight])
    assert weight.value.dtype == np.float64
    assert np.isnan(weight.value[0])
    assert all(v.dtype == "float64" for v in optimizer.slot_variables(weight))


@pytest.mark.parametrize(
    ("optimizer", "names"),
    [
        (optimizers.SGD(), ()),
        (
            optimizers.SGD(momentum=0.5, clipvalue=1.0, weight_decay=0.0),
            ("momentum", "weight_decay", "clipvalue"),
        ),
        (optimizers.SGD(clipvalue=0.0), ()),
        (optimizers.RMSprop(), ("rho", "epsilon")),
        (optimizers.RMSprop(momentum=0.1), ("rho", "momentum", "epsilon")),
        (optimizers.Adagrad(), ("epsilon",)),
        (optimizers.Adam(amsgrad=True), ("beta_1", "beta_2", "epsilon")),
        (optimizers.Adam(beta_1=0), ("beta_1", "beta_2", "epsilon")),
        (optimizers.AdamW(), ("beta_1", "beta_2", "epsilon", "weight_decay")),
    ],
)
def test_hyperparameters(optimizer: optimizers.Optimizer, names: tuple[str, ...]) -> None:
    assert optimizer.hyperparameters == names


def test_learning_rate() -> None:
    sgd = optimizers.SGD(0.5)
    assert isinstance(sgd.learning_rate, Variable)
    assert sgd.learning_rate.dtype == "float32"
    sgd.learning_rate = 2
    assert sgd.get_config()["learning_rate"] == 2.0
    symbol = ops.symbol("rate", UNIFORM)
    copy = sgd.with_values(learning_rate=symbol)
    assert copy.learning_rate is symbol
    copy.learning_rate = other = ops.symbol("other", UNIFORM)
    assert copy.learning_rate is other
    assert float(sgd.learning_rate) == 2.0
    with pytest.raises(UnsupportedError, match="the function <lambda> is not supported, as nothing calls Python"):
        sgd.learning_rate = lambda: 0.1
    with pytest.warns(DeprecationWarning, match="'lr' is the spelling of Keras 1 or 2") as seen:
        sgd.lr = 0.25
    assert seen[0].filename == __file__
    with pytest.warns(DeprecationWarning):
        assert float(sgd.lr) == 0.25


def test_legacy_arguments() -> None:
    for name in registry.registered("optimizers"):
        with pytest.warns(DeprecationWarning, match=f"{name}: 'lr' is the spelling") as seen:
            assert float(getattr(optimizers, name)(lr=0.25).learning_rate) == 0.25
        assert seen[0].filename == __file__
        with pytest.warns(UserWarning, match=f"{name}: 'decay' has no effect, as in Keras 3") as seen:
            getattr(optimizers, name)(decay=1e-6)
        assert seen[0].filename == __file__
    optimizers.SGD(decay=0.0)
    with pytest.raises(TypeError, match="got both 'lr' and 'learning_rate'"):
        optimizers.SGD(0.5, lr=0.25)


def test_signatures_are_those_of_keras() -> None:
    from oracle import keras

    for name, thing in registry.registered("optimizers").items():
        theirs = inspect.signature(getattr(keras.optimizers, name)).parameters
        mine = inspect.signature(thing).parameters
        assert [(p.name, p.default, p.kind) for p in mine.values()] == [
            (p.name, p.default, p.kind) for p in theirs.values()
        ]
    by_position = optimizers.SGD(0.1, 0.9, True, 1e-4, None, 0.5)
    config = by_position.get_config()
    assert [config[k] for k in ("momentum", "nesterov", "weight_decay", "clipvalue")] == [
        0.9,
        True,
        1e-4,
        0.5,
    ]
    config = optimizers.AdamW(0.1, 0.2, 0.8, 0.9, 1e-3, True, None, 0.5).get_config()
    assert [config[k] for k in ("weight_decay", "beta_1", "beta_2", "epsilon", "amsgrad", "clipvalue")] == [
        0.2, 0.8, 0.9, 1e-3, True, 0.5,
    ]  # fmt: skip


def test_get() -> None:
    for name, cls in registry.registered("optimizers").items():
        for spelling in (name, name.lower(), name.upper()):
            assert type(optimizers.get(spelling)) is cls
        assert type(optimizers.get({"class_name": name.lower(), "config": {}})) is cls
    adam = optimizers.Adam()
    assert optimizers.get(adam) is adam
    assert optimizers.get(None) is None


def test_names_follow_each_other() -> None:
    backend.clear_session(free_memory=False)
    names = [
        optimizers.Adam().name,
        optimizers.Adam().name,
        optimizers.RMSprop().name,
        optimizers.AdamW(name="x").name,
    ]
    assert names == ["adam", "adam_1", "rm_sprop", "x"]


def test_an_optimizer_of_your_own() -> None:
    @registry.register_keras_serializable("Mine")
    class Heavy(optimizers.Optimizer):
        def __init__(
            self,
            learning_rate: float = 0.5,
            mass: float = 2.0,
            mode: str = "a",
            *common: Any,
            **keywords: Any,
        ):
            super().__init__(learning_rate, *common, **keywords)
            self.mass: Any = mass
            self.mode = mode

        slots = {"speed": 1.0}  # noqa: RUF012

        def update(self, w: Any, g: Any, speed: Any, *, step: Any) -> tuple[Any, ...]:
            speed = speed - g / self.mass
            return w + self.learning_rate * speed, speed

    heavy = Heavy(mass=4.0, weight_decay=0.0)
    weight = Variable(np.zeros(2, np.float32))
    heavy.apply_gradients([([4.0, 8.0], weight)])
    assert weight.value.tolist() == [0.0, -0.5]
    assert heavy.hyperparameters == ("mass", "weight_decay")
    again = optimizers.deserialize(optimizers.serialize(heavy))
    assert isinstance(again, Heavy)
    assert again.get_config() == heavy.get_config()
    assert isinstance(optimizers.get("Mine>Heavy"), Heavy)
    with pytest.raises(TypeError, match=r"Heavy got an unexpected keyword argument 'mas'\. Did you mean 'mass'"):
        Heavy(mas=1.0)
    with pytest.raises(ModelError, match=r"Heavy: mass: expected a number, received 'x' \(str\)"):
        Heavy(mass="x").hyperparameters  # type: ignore[arg-type]  # noqa: B018

    class Plain(optimizers.Optimizer):
        def update(self, w: Any, g: Any, *, step: Any) -> Any:
            return w - g

    Plain(1.0).apply([np.ones(2)], [weight])
    assert weight.value.tolist() == [-1.0, -1.5]

    class Wrong(optimizers.Optimizer):
        def update(self, w: Any, g: Any, *, step: Any) -> Any:
            return w, g

    with pytest.raises(ModelError, match=r"Wrong\.update: expected"):
        Wrong(1.0).apply([np.ones(2)], [weight])
    with pytest.raises(NotImplementedError, match="define update"):
        optimizers.Optimizer(1.0).apply([np.ones(2)], [weight])


def test_apply() -> None:
    sgd, weights = made("SGD", {"learning_rate": 1.0, "momentum": 0.5})
    with pytest.raises(ModelError, match="give trainable_variables, or call build"):
        sgd.apply(gradients(1))
    sgd.apply([])
    assert not sgd.built
    with pytest.warns(UserWarning, match="there are no gradients for sequential/dense/bias"):
        sgd.apply([gradients(1)[0], None, gradients(1)[2]], weights)
    np.testing.assert_array_equal(weights[1].value, start()[1])
    np.testing.assert_array_equal(weights[0].value, start()[0] - gradients(1)[0])
    with pytest.raises(ModelError, match="received None for every variable"):
        sgd.apply([None] * 3)
    with pytest.raises(ModelError, match="expected 3 gradients, received 1"):
        sgd.apply(gradients(1)[:1])
    with pytest.raises(ModelError, match="other is not one of the 3 variables"):
        sgd.apply_gradients([(np.zeros(1), Variable(np.zeros(1), path="other"))])
    assert int(sgd.iterations) == 1
    weights[1].constraint = lambda w: np.minimum(w, 0.0)  # type: ignore[attr-defined]
    sgd.apply(gradients(2))
    assert (weights[1].value <= 0).all()


def test_state() -> None:
    adam, weights = made("Adam", {})
    adam.apply_gradients(zip(gradients(1), weights, strict=True))
    store: dict[str, Any] = {}
    adam.save_own_variables(store)
    assert list(store) == [str(i) for i in range(8)]
    other, _ = made("Adam", {})
    with pytest.warns(UserWarning, match=r"its state is not loaded: expected 2 variables, found 8\. The optimizer was"):
        other.load_own_variables(store)
    with pytest.raises(ModelError, match="call build"):
        other.set_weights(list(store.values()))
    other.build(weights)
    other.load_own_variables(store)
    third, _ = made("Adam", {})
    third.build(weights)
    third.set_weights(list(store.values()))
    for a, b, c in zip(adam.variables, other.variables, third.variables, strict=True):
        np.testing.assert_array_equal(a.value, b.value)
        np.testing.assert_array_equal(a.value, c.value)
    with pytest.raises(ModelError, match="expected 8 arrays, received 1"):
        third.set_weights([np.zeros(())])


@pytest.mark.parametrize("rate", [1, "0.1", None, np.float32(0.1), True])
def test_a_learning_rate_must_be_a_float_as_in_keras(rate: Any) -> None:
    from oracle import keras

    with pytest.raises(ValueError, match="learning_rate"):
        keras.optimizers.SGD(rate)
    with pytest.raises(ModelError, match="SGD: learning_rate: expected a float or a LearningRateSchedule, received"):
        optimizers.SGD(rate)


@pytest.mark.parametrize("momentum", [1, -0.1, 1.5, "0.1", None])
def test_a_momentum_must_be_a_share_as_in_keras(momentum: Any) -> None:
    from oracle import keras

    with pytest.raises(ValueError, match="momentum"):
        keras.optimizers.SGD(momentum=momentum)
    with pytest.raises(ModelError, match="SGD: momentum: expected a float between 0 and 1"):
        optimizers.SGD(momentum=momentum)


def test_what_cannot_be_right() -> None:
    with pytest.raises(ModelError, match="one of clipnorm, clipvalue and global_clipnorm"):
        optimizers.Adam(clipnorm=1.0, clipvalue=1.0)
    with pytest.raises(ModelError, match="an integer of 2 or more, received 1"):
        optimizers.Adam(gradient_accumulation_steps=1)
    with pytest.raises(ModelError, match="AdamW: weight_decay: expected a float, received None"):
        optimizers.AdamW(weight_decay=None)  # type: ignore[arg-type]
    with pytest.raises(ModelError, match="Adam: weight_decay: expected a number, received 'a'"):
        optimizers.Adam(weight_decay="a")
    with pytest.raises(ModelError, match=r"Lion: beta_1: expected a number above 0 and at most 1, received 0\.0"):
        optimizers.Lion(beta_1=0.0)
    with pytest.raises(TypeError, match=r"Adam got an unexpected keyword argument 'beta1'\. Did you mean 'beta_1'"):
        optimizers.Adam(beta1=0.5)
    with pytest.raises(TypeError, match=r"SGD got an unexpected keyword argument 'learningrate'.*'learning_rate'"):
        optimizers.SGD(learningrate=0.5)
    with pytest.raises(ModelError, match=r"optimizers: unknown name 'adan'\. Did you mean 'Adam'"):
        optimizers.get("adan")
    with pytest.raises(ModelError, match=r"received 3 \(int\)"):
        optimizers.get(3)
    with pytest.raises(ModelError, match=r"Write Adam\(\)\."):
        optimizers.get(optimizers.Adam)


def test_optimizers_that_are_refused() -> None:
    for name in ("LossScaleOptimizer", "MultiOptimizer"):
        with pytest.raises(UnsupportedError, match=f"optimizers: '{name}' is not supported: "):
            optimizers.get(name)
        with pytest.raises(UnsupportedError, match=f"optimizers: '{name}' is not supported: "):
            optimizers.get({"class_name": name, "config": {}})
    for arguments, message in (
        ({"ema_momentum": 1.5, "use_ema": True}, "Adam: ema_momentum: expected a number between 0 and 1, received 1.5"),
        ({"ema_overwrite_frequency": 0.5, "use_ema": True}, "ema_overwrite_frequency: expected a whole number"),
        ({"clipnorm": "a"}, r"Adam: clipnorm: expected a number, received 'a' \(str\)"),
    ):
        with pytest.raises(ModelError, match=message):
            optimizers.Adam(**arguments)  # type: ignore[arg-type]
    with pytest.raises(ModelError, match="Ftrl: learning_rate_power: expected a number of 0 or below, received 0.5"):
        optimizers.Ftrl(learning_rate_power=0.5)
    with pytest.raises(
        ModelError, match="Ftrl: beta|Ftrl: l1_regularization_strength: expected a number of 0 or above"
    ):
        optimizers.Ftrl(l1_regularization_strength=-1.0)


def test_weights_that_do_not_decay() -> None:
    from oracle import keras

    excluded: tuple[tuple[Any, list[int]], ...] = ((None, []), (["bias"], []), (["k.r"], [1]), (None, [0, 2]))
    for names, numbers in excluded:
        theirs = keras.optimizers.AdamW(0.1, weight_decay=0.5)
        mine, weights = made("AdamW", {"learning_rate": 0.1, "weight_decay": 0.5})
        reference = [keras.Variable(w, name=v.name) for w, v in zip(start(), weights, strict=True)]
        theirs.exclude_from_weight_decay([reference[i] for i in numbers], names)
        mine.exclude_from_weight_decay([weights[i] for i in numbers], names)
        theirs.apply_gradients(list(zip(gradients(1), reference, strict=True)))
        mine.apply_gradients(zip(gradients(1), weights, strict=True))
        for a, b in zip(weights, reference, strict=True):
            np.testing.assert_allclose(a.value, np.asarray(b), rtol=1e-5)
    with pytest.raises(ModelError, match="exclude_from_weight_decay: call it before the optimizer is built"):
        mine.exclude_from_weight_decay(var_names=["bias"])


SCHEDULES: list[tuple[str, dict[str, Any]]] = [
    ("ExponentialDecay", {"initial_learning_rate": 0.1, "decay_steps": 7, "decay_rate": 0.5}),
    ("ExponentialDecay", {"initial_learning_rate": 0.1, "decay_steps": 7, "decay_rate": 0.5, "staircase": True}),
    ("PiecewiseConstantDecay", {"boundaries": [3, 10, 11], "values": [0.1, 0.03, 0.5, 0.01]}),
    ("PolynomialDecay", {"initial_learning_rate": 0.1, "decay_steps": 9, "power": 2.0}),
    ("PolynomialDecay", {"initial_learning_rate": 0.1, "decay_steps": 9, "end_learning_rate": 0.01, "cycle": True}),
    ("InverseTimeDecay", {"initial_learning_rate": 0.1, "decay_steps": 3.0, "decay_rate": 0.5}),
    ("InverseTimeDecay", {"initial_learning_rate": 0.1, "decay_steps": 3, "decay_rate": 0.5, "staircase": True}),
    ("CosineDecay", {"initial_learning_rate": 0.1, "decay_steps": 20, "alpha": 0.2}),
    ("CosineDecay", {"initial_learning_rate": 0.0, "decay_steps": 20, "warmup_target": 0.1, "warmup_steps": 5}),
    ("CosineDecay", {"initial_learning_rate": 0.0, "decay_steps": 20, "warmup_target": 0.1}),
    ("CosineDecayRestarts", {"initial_learning_rate": 0.1, "first_decay_steps": 5, "alpha": 0.1}),
    ("CosineDecayRestarts", {"initial_learning_rate": 0.1, "first_decay_steps": 5, "t_mul": 1.0, "m_mul": 0.5}),
    ("CosineDecayRestarts", {"initial_learning_rate": 0.1, "first_decay_steps": 3, "t_mul": 1.5, "m_mul": 0.9}),
]
schedule_cases = pytest.mark.parametrize(
    ("name", "arguments"), SCHEDULES, ids=[f"{i}-{name}" for i, (name, _) in enumerate(SCHEDULES)]
)


@schedule_cases
def test_schedules_are_those_of_keras(name: str, arguments: dict[str, Any]) -> None:
    import jax
    from oracle import keras

    theirs = getattr(keras.optimizers.schedules, name)(**arguments)
    mine = getattr(schedules, name)(**arguments)
    steps = range(40)
    with jax.disable_jit():  # some thirty of jnp's functions for a number, each of which is compiled otherwise
        expected = [float(theirs(step)) for step in steps]
    np.testing.assert_allclose([mine(step) for step in steps], expected, rtol=2e-6, atol=1e-8)
    symbol = ops.symbol("step", UNIFORM)
    for kept in ((), type(mine).numbers):
        numbers = {n: ops.symbol(n, NUMBER) for n in kept}
        values = {x: getattr(mine, n) for n, x in numbers.items()}
        formula = mine.with_values(**numbers)(symbol)
        got = [float(evaluate(formula, {symbol: np.float32(step), **values})) for step in steps]
        np.testing.assert_allclose(got, expected, rtol=2e-6, atol=1e-8)
    assert list(mine.get_config().items()) == list(theirs.get_config().items())
    assert schedules.serialize(mine) == keras.optimizers.schedules.serialize(theirs)
    again = schedules.deserialize(schedules.serialize(mine))
    assert type(again) is type(mine)
    assert again.get_config() == mine.get_config()
    assert inspect.signature(type(mine)) == inspect.signature(type(theirs)) or [
        (p.name, p.default) for p in inspect.signature(type(mine)).parameters.values()
    ] == [(p.name, p.default) for p in inspect.signature(type(theirs)).parameters.values()]


def test_every_schedule_is_tested() -> None:
    assert set(registry.registered("optimizers.schedules")) == {name for name, _ in SCHEDULES}


def test_an_optimizer_with_a_schedule() -> None:
    from oracle import keras

    backend.clear_session(free_memory=False)
    keras.utils.clear_session(free_memory=False)
    arguments = {"initial_learning_rate": 0.5, "decay_steps": 2, "decay_rate": 0.5}
    theirs = keras.optimizers.Adam(keras.optimizers.schedules.ExponentialDecay(**arguments))
    mine, weights = made("Adam", {"learning_rate": schedules.ExponentialDecay(**arguments)})
    reference = [keras.Variable(w) for w in start()]
    for step in range(1, 5):
        assert float(mine.learning_rate) == pytest.approx(float(theirs.learning_rate), rel=1e-6)
        theirs.apply_gradients(list(zip(gradients(step), reference, strict=True)))
        mine.apply_gradients(zip(gradients(step), weights, strict=True))
    for a, b in zip(weights, reference, strict=True):
        np.testing.assert_allclose(a.value, np.asarray(b), rtol=3e-5, atol=1e-6)
    assert [v.shape for v in mine.variables] == [v.shape for v in theirs.variables]  # none of the learning rate
    assert optimizers.serialize(mine) == keras.optimizers.serialize(theirs)
    again = optimizers.deserialize(keras.optimizers.serialize(theirs))
    assert again.get_config() == mine.get_config()
    assert keras.optimizers.deserialize(optimizers.serialize(mine)).get_config() == theirs.get_config()
    for optimizer in (mine, theirs):
        with pytest.raises(TypeError, match="schedule|LearningRateSchedule"):
            optimizer.learning_rate = 0.1
    plain = optimizers.SGD(0.1)
    plain.learning_rate = schedules.ExponentialDecay(**arguments)
    assert float(plain.learning_rate) == 0.5
    assert len(plain.variables) == 1
    built, weights = made("SGD", {})
    built.build(weights)
    with pytest.raises(UnsupportedError, match="a schedule cannot be set once the optimizer is built"):
        built.learning_rate = schedules.ExponentialDecay(**arguments)


def test_schedules_that_cannot_be() -> None:
    for cls, arguments, message in (
        (schedules.ExponentialDecay, (0.1, 0, 0.5), "ExponentialDecay: decay_steps: expected a number above 0"),
        (schedules.CosineDecayRestarts, (0.1, -1), "first_decay_steps: expected a number above 0, received -1"),
        (schedules.PiecewiseConstantDecay, ([1, 2], [0.1, 0.2]), "received 2 boundaries and 2 values"),
    ):
        with pytest.raises(ModelError, match=message):
            cls(*arguments)
    with pytest.raises(NotImplementedError, match=r"define __call__\(self, step\)"):
        schedules.LearningRateSchedule()(1)
    with pytest.raises(UnsupportedError, match=r"'ExponentialDeca' is not known here.*'ExponentialDecay'"):
        optimizers.deserialize(
            {"class_name": "SGD", "config": {"learning_rate": {"class_name": "ExponentialDeca", "config": {}}}}
        )
