"""Optimizers: every schedule as numbers, training with one, a schedule of one's own, options in configurations."""

import keras
import numpy as np
from keras import layers, ops
from keras.optimizers import schedules

rng = np.random.RandomState(29)
x = rng.normal(size=(64, 5)).astype("float32")
y = (x @ rng.normal(size=(5, 1))).astype("float32")


class Warmup(schedules.LearningRateSchedule):
    """Grows until a step, and falls with its root from there on."""

    def __init__(self, peak, steps):
        self.peak, self.steps = peak, steps

    def __call__(self, step):
        step = ops.cast(step, "float32") + 1.0
        return self.peak * ops.minimum(step / self.steps, ops.sqrt(self.steps / step))

    def get_config(self):
        return {"peak": self.peak, "steps": self.steps}


every = {
    "exponential": schedules.ExponentialDecay(0.1, decay_steps=4, decay_rate=0.5, staircase=True),
    "piecewise": schedules.PiecewiseConstantDecay([3, 7], [0.1, 0.05, 0.01]),
    "polynomial": schedules.PolynomialDecay(0.1, 6, end_learning_rate=0.01, power=0.5),
    "inverse time": schedules.InverseTimeDecay(0.1, decay_steps=2, decay_rate=0.5),
    "cosine": schedules.CosineDecay(0.01, 8, alpha=0.1, warmup_target=0.1, warmup_steps=3),
    "restarts": schedules.CosineDecayRestarts(0.1, first_decay_steps=3, t_mul=2.0, m_mul=0.5),
    "own": Warmup(0.1, 4),
}
results = {name: [float(schedule(step)) for step in range(12)] for name, schedule in every.items()}


def train(schedule):
    random = np.random.RandomState(290)
    model = keras.Sequential([keras.Input((5,)), layers.Dense(6, activation="tanh"), layers.Dense(1)])
    model.set_weights([random.normal(0, 0.4, w.shape) for w in model.get_weights()])
    model.compile(keras.optimizers.SGD(learning_rate=schedule, momentum=0.5), "mse")
    losses = model.fit(x, y, epochs=3, batch_size=16, shuffle=False, verbose=0).history["loss"]
    return losses, float(model.optimizer.learning_rate), int(model.optimizer.iterations)


results["trained by cosine"] = train(every["cosine"])
results["trained by own"] = train(every["own"])
config = keras.optimizers.schedules.serialize(every["exponential"])
again = keras.optimizers.schedules.deserialize(config)
results["there and back"] = [config["class_name"], float(again(5)), float(every["exponential"](5))]
optimizer = keras.optimizers.get({"class_name": "Adam", "config": {"learning_rate": 0.05, "beta_1": 0.8}})
results["from a dictionary"] = [type(optimizer).__name__, float(optimizer.learning_rate), optimizer.beta_1]
