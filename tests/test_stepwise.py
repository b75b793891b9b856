"""Optimizers written as for Keras, by build and update_step: the same numbers as those that come with nncompile."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nncompile as nn
from nncompile import ops, optimizers
from nncompile.errors import ModelError, UnsupportedError

pytestmark = pytest.mark.quick_c

rng = np.random.RandomState(1)
X, Y = rng.normal(size=(48, 5)).astype("float32"), rng.normal(size=(48, 1)).astype("float32")
START = [rng.normal(0, 0.5, shape) for shape in ((5, 6), (6,), (6, 1), (1,))]


@nn.saving.register_keras_serializable("stepwise")
class OwnAdam(nn.optimizers.Optimizer):
    """Adam, as Keras has it; without a guard in build, as in the example of Keras' base class."""

    def __init__(self, learning_rate: float = 0.001, beta_1: float = 0.9, beta_2: float = 0.999, **kwargs: Any) -> None:
        super().__init__(learning_rate=learning_rate, **kwargs)
        self.beta_1, self.beta_2 = beta_1, beta_2

    def build(self, variables: Any) -> None:
        super().build(variables)
        self._momentums, self._velocities = self.add_optimizer_variables(variables, ["momentum", "velocity"])

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        lr = ops.cast(learning_rate, variable.dtype)
        gradient = ops.cast(gradient, variable.dtype)
        local_step = ops.cast(self.iterations + 1, variable.dtype)
        beta_1_power = ops.power(ops.cast(self.beta_1, variable.dtype), local_step)
        beta_2_power = ops.power(ops.cast(self.beta_2, variable.dtype), local_step)
        m = self._momentums[self._get_variable_index(variable)]
        v = self._velocities[self._get_variable_index(variable)]
        alpha = lr * ops.sqrt(1 - beta_2_power) / (1 - beta_1_power)
        self.assign_add(m, ops.multiply(ops.subtract(gradient, m), 1 - self.beta_1))
        self.assign_add(v, ops.multiply(ops.subtract(ops.square(gradient), v), 1 - self.beta_2))
        self.assign_sub(variable, ops.divide(ops.multiply(m, alpha), ops.add(ops.sqrt(v), 1e-7)))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "beta_1": self.beta_1, "beta_2": self.beta_2}


def trained(optimizer: Any, epochs: int = 3) -> Any:
    nn.backend.clear_session(free_memory=False)  # names begin anew
    model = nn.Sequential([nn.Input((5,)), nn.layers.Dense(6, activation="tanh"), nn.layers.Dense(1)])
    model.set_weights(START)
    model.compile(optimizer, "mse")
    model.fit(X, Y, epochs=epochs, batch_size=16, shuffle=False, verbose=0)
    return model


def same(got: Any, expected: Any) -> None:
    for a, b in zip(got, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-5, atol=2e-6)


@pytest.mark.parametrize(
    "common",
    [
        {},
        {"clipnorm": 0.1, "weight_decay": 0.1},
        {"use_ema": True, "ema_momentum": 0.8, "gradient_accumulation_steps": 2},
        {"learning_rate": optimizers.schedules.ExponentialDecay(0.1, 2, 0.5)},
    ],
    ids=["plain", "clipped", "averaged", "scheduled"],
)
def test_compiled_as_the_one_that_comes_with_it(common: dict[str, Any]) -> None:
    arguments = {"learning_rate": 0.02, **common}
    own, known = trained(OwnAdam(**arguments)), trained(optimizers.Adam(**arguments))
    same(own.get_weights(), known.get_weights())
    assert [v.name for v in own.optimizer.variables] == [v.name for v in known.optimizer.variables]
    same([v.value for v in own.optimizer.variables], [v.value for v in known.optimizer.variables])


@pytest.mark.parametrize("common", [{}, {"clipnorm": 0.1, "weight_decay": 0.1}], ids=["plain", "clipped"])
def test_on_arrays(common: dict[str, Any]) -> None:
    own, known = OwnAdam(0.02, **common), optimizers.Adam(0.02, **common)
    sides = [[nn.Variable(w.astype("float32"), path=f"w{i}") for i, w in enumerate(START)] for _ in range(2)]
    for step in range(3):
        gradients = [np.full(w.shape, 0.5 - 0.2 * step, "float32") for w in START]
        own.apply(gradients, sides[0])
        known.apply(gradients, sides[1])
    same([v.value for v in sides[0]], [v.value for v in sides[1]])


def test_numbers_change_without_a_build_and_files_keep_its_state(tmp_path: Path) -> None:
    model = trained(OwnAdam(0.02))
    before = model.source()
    model.optimizer.beta_1 = 0.5
    model.save(tmp_path / "own.keras")
    again = nn.saving.load_model(tmp_path / "own.keras")
    assert isinstance(again.optimizer, OwnAdam) and again.optimizer.beta_1 == 0.5
    for one in (model, again):
        one.fit(X, Y, batch_size=16, shuffle=False, verbose=0)
    assert model.source() == before
    same(again.get_weights(), model.get_weights())
    assert int(again.optimizer.iterations) == 12
    assert not copy.deepcopy(model.optimizer).built


class Step(nn.optimizers.Optimizer):
    """What a test fills in."""

    def build(self, variables: Any) -> None:
        super().build(variables)
        self.added = [self.add_variable_from_reference(v, "average", initializer="ones") for v in variables]


def test_values_that_are_assigned() -> None:
    class Swap(Step):
        """The variable takes the weight's place, and the reverse: what is assigned is what it was then."""

        def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
            kept = self.added[self._get_variable_index(variable)]
            old = variable * 1.0
            variable.assign(kept)
            kept.assign(old - 0.0 * gradient)
            self.assign(kept, -(-kept))

    model = trained(Swap(0.1), epochs=1)
    same(model.get_weights(), [np.ones(w.shape) for w in START])
    same([v.value for v in model.optimizer.added], START)

    class Fixed(Step):
        def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
            self.assign(variable, 0.25)

    same(trained(Fixed(0.1), epochs=1).get_weights(), [np.full(w.shape, 0.25) for w in START])


def test_what_cannot_be() -> None:
    class Neighbour(Step):
        def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
            self.assign_sub(variable, self.added[0] * learning_rate * gradient)

    with pytest.raises(UnsupportedError, match=r"Neighbour.update_step: .*kernel_average is neither .*bias.*scalars"):
        trained(Neighbour(0.1))

    class Writes(Step):
        def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
            self.assign(self.iterations, 0)

    with pytest.raises(ModelError, match=r"has no 'assign'[^$]*self\.assign\(self\.iterations, 0\)"):
        trained(Writes(0.1))

    class Shared(Step):
        def build(self, variables: Any) -> None:
            super().build(variables)
            self.add_variable(shape=(), name="product")

        def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
            self.assign_sub(variable, gradient)

    with pytest.raises(UnsupportedError, match=r"Shared: add_variable: .*update_scalars"):
        trained(Shared(0.1))

    class Early(Step):
        def build(self, variables: Any) -> None:
            self.added = [self.add_variable_from_reference(v) for v in variables]

    with pytest.raises(ModelError, match=r"Call super\(\)\.build\(variables\) first"):
        trained(Early(0.1))
    with pytest.raises(NotImplementedError, match=r"define update\(.*or update_step\(self, gradient"):
        trained(Step(0.1))
    with pytest.raises(ModelError, match="an initializer for each of the 2 names, received 1"):
        Step(0.1).add_optimizer_variables([], ["a", "b"], ["zeros"])
    with pytest.raises(NotImplementedError, match="define update_step"):
        optimizers.SGD(0.1).update_step(None, None, None)  # type: ignore[arg-type]
