"""An optimizer of one's own, after the base class's documentation: build makes variables, update_step moves weights."""

import keras
import numpy as np
from keras import layers, ops

rng = np.random.RandomState(15)
x = rng.normal(size=(64, 5)).astype("float32")
y = (x @ rng.normal(size=(5, 1))).astype("float32")


class Momentum(keras.optimizers.Optimizer):
    def __init__(self, learning_rate=0.01, momentum=0.9, **kwargs):
        super().__init__(learning_rate=learning_rate, **kwargs)
        self.momentum = momentum

    def build(self, variables):
        if self.built:
            return
        super().build(variables)
        self.momentums = []
        for variable in variables:
            self.momentums.append(self.add_variable_from_reference(reference_variable=variable, name="momentum"))

    def update_step(self, gradient, variable, learning_rate):
        learning_rate = ops.cast(learning_rate, variable.dtype)
        gradient = ops.cast(gradient, variable.dtype)
        m = self.momentums[self._get_variable_index(variable)]
        self.assign(m, ops.subtract(ops.multiply(m, self.momentum), ops.multiply(gradient, learning_rate)))
        self.assign_add(variable, m)

    def get_config(self):
        return {**super().get_config(), "momentum": self.momentum}


start = [rng.normal(0, 0.4, shape) for shape in ((5, 6), (6,), (6, 1), (1,))]
results = {}
for name, optimizer in {"own": Momentum(0.02), "SGD": keras.optimizers.SGD(0.02, momentum=0.9)}.items():
    model = keras.Sequential([keras.Input((5,)), layers.Dense(6, activation="tanh"), layers.Dense(1)])
    model.set_weights(start)
    model.compile(optimizer, "mse")
    results[name] = model.fit(x, y, epochs=3, batch_size=16, shuffle=False, verbose=0).history["loss"]
results["momentum"] = Momentum.from_config(Momentum(momentum=0.5).get_config()).momentum
