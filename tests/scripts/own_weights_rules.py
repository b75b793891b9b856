"""Regularizers, constraints and initializers of one's own, beside those that come with Keras."""

import keras
import numpy as np
from keras import constraints, initializers, layers, ops, regularizers

rng = np.random.RandomState(16)
x = rng.normal(size=(64, 5)).astype("float32")
y = (x @ rng.normal(size=(5, 2))).astype("float32")


class SmoothL1(regularizers.Regularizer):
    def __init__(self, factor=0.01):
        self.factor = factor

    def __call__(self, x):
        return self.factor * ops.sum(ops.sqrt(ops.square(x) + 0.01))

    def get_config(self):
        return {"factor": self.factor}


def cubes(weight):
    return 1e-3 * ops.sum(ops.power(ops.abs(weight), 3))


class CenterAround(constraints.Constraint):
    """Moves the mean of a weight to a reference value."""

    def __init__(self, reference=1.0):
        self.reference = reference

    def __call__(self, w):
        return w - ops.mean(w) + self.reference

    def get_config(self):
        return {"reference": self.reference}


class Stairs(initializers.Initializer):
    def __init__(self, step=0.1):
        self.step = step

    def __call__(self, shape, dtype=None, **kwargs):
        count = int(np.prod(shape))
        return ops.cast(ops.reshape(ops.arange(count), shape), dtype or "float32") * self.step

    def get_config(self):
        return {"step": self.step}


model = keras.Sequential(
    [
        keras.Input((5,)),
        layers.Dense(
            6,
            activation="tanh",
            kernel_initializer=Stairs(0.02),
            bias_initializer=initializers.Constant(0.1),
            kernel_regularizer=SmoothL1(0.02),
            kernel_constraint=constraints.MaxNorm(0.7),
        ),
        layers.Dense(
            4,
            kernel_initializer=initializers.Identity(gain=0.5),
            kernel_regularizer=cubes,
            bias_constraint=CenterAround(0.25),
        ),
        layers.Dense(
            2, kernel_initializer="ones", kernel_regularizer=regularizers.L1L2(0.01, 0.02), kernel_constraint="non_neg"
        ),
    ]
)
results = {"first kernel": model.layers[0].kernel, "penalties": [float(p) for p in model.losses]}
model.compile(keras.optimizers.SGD(0.05), "mse")
results["loss"] = model.fit(x, y, epochs=3, batch_size=16, shuffle=False, verbose=0).history["loss"]
results["weights"] = model.get_weights()
results["norms"] = bool(np.all(np.linalg.norm(model.layers[0].get_weights()[0], axis=0) < 0.7 + 1e-5))
results["of arrays"] = {
    "l2": regularizers.L2(0.1)(np.ones((2, 3), "float32")),
    "smooth": SmoothL1()(np.ones((2, 3), "float32")),
    "unit": constraints.UnitNorm()(np.arange(6.0, dtype="float32").reshape(2, 3)),
    "centered": CenterAround()(np.arange(6.0, dtype="float32")),
    "stairs": Stairs()((2, 2)),
}
results["configurations"] = [SmoothL1(0.5).get_config(), CenterAround(2.0).get_config(), Stairs().get_config()]
