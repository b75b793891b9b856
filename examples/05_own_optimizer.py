"""An optimizer of your own: a class with its numbers, what it keeps for each weight, and a formula."""

import numpy as np

from nncompile import Input, Optimizer, Sequential, layers, ops


class SignedMomentum(Optimizer):
    """Steps of one size in the direction of a running mean: m = b m + (1 - b) g, w = w - rate sign(m)."""

    def __init__(self, learning_rate=0.001, beta=0.9, *common, **keywords):
        super().__init__(learning_rate, *common, **keywords)
        self.beta = beta

    @property
    def slots(self):
        return {"momentum": 0.0}

    def update(self, w, g, momentum, step):
        m = self.beta * momentum + (1 - self.beta) * g
        return w - self.learning_rate * ops.sign(m), m

    def get_config(self):
        return {**super().get_config(), "beta": self.beta}


rng = np.random.default_rng(0)
x = rng.uniform(-1, 1, (2000, 8))
y = np.argmax(x[:, :3], axis=1)

model = Sequential([Input((8,)), layers.Dense(32, activation="relu"), layers.Dense(3, activation="softmax")])
model.compile(loss="sparse_categorical_crossentropy", optimizer=SignedMomentum(0.003), metrics=["accuracy"])
model.fit(x, y, epochs=20, verbose=0)
model.optimizer.learning_rate = 0.0003  # numbers of an optimizer change without a new build
model.optimizer.beta = 0.99
model.fit(x, y, epochs=10, verbose=0)
loss, accuracy = model.evaluate(x, y, verbose=0)
print(f"accuracy {accuracy:.3f}")
assert accuracy > 0.9
