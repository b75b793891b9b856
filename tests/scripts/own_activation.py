"""An activation of one's own from keras.ops, as a function, as a layer with a weight, and in a model of both."""

import keras
import numpy as np
from keras import layers, ops

rng = np.random.RandomState(33)
x = rng.normal(size=(64, 5)).astype("float32")
y = np.sum(np.abs(x), axis=1, keepdims=True)


def snake(x, frequency=2.0):
    """x + sin(f x)^2 / f, for signals that repeat."""
    return x + ops.square(ops.sin(frequency * x)) / frequency


def bent(x):
    return ops.where(x > 0, ops.log1p(ops.maximum(x, 0.0)), 0.1 * x)


class ParametricSwish(layers.Layer):
    def build(self, input_shape):
        self.beta = self.add_weight(shape=(input_shape[-1],), initializer="ones", name="beta")

    def call(self, inputs):
        return inputs * ops.sigmoid(self.beta * inputs)


model = keras.Sequential(
    [
        keras.Input((5,)),
        layers.Dense(7, activation=snake),
        layers.Dense(6),
        ParametricSwish(),
        layers.Dense(5, activation=lambda t: ops.tanh(t) * ops.exp(-ops.square(t))),
        layers.Dense(4),
        layers.Activation(bent),
        layers.PReLU(),
        layers.Dense(1),
    ]
)
model.set_weights([rng.normal(0, 0.5, w.shape) for w in model.get_weights()])
model.compile(keras.optimizers.Adam(0.01), "mse")
numbers = np.linspace(-3, 3, 13, dtype="float32")
results = {
    "snake": snake(numbers),
    "bent": bent(numbers),
    "loss": model.fit(x, y, epochs=3, batch_size=16, shuffle=False, verbose=0).history["loss"],
    "beta": model.layers[2].beta,
    "predict": model.predict(x[:4], verbose=0),
    "built in": {
        name: getattr(keras.activations, name)(numbers)
        for name in ("gelu", "silu", "mish", "selu", "softsign", "hard_sigmoid", "log_sigmoid")
    },
    "got": [
        keras.activations.get("relu") is keras.activations.relu,
        keras.activations.serialize(keras.activations.elu),
    ],
}
