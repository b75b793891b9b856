"""A loss that is a method of the model: of its own, and beside the one that compile was given."""

import keras
import numpy as np
from keras import layers, ops

rng = np.random.RandomState(41)
x = rng.normal(size=(30, 6)).astype("float32")
y = rng.normal(size=(30, 3)).astype("float32")
results = {}


class Robust(keras.Model):
    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None):
        error = y - y_pred
        return ops.mean(ops.sqrt(ops.square(error) + 0.01)) + 0.1 * ops.sqrt(ops.mean(ops.square(error)))


class Calm(keras.Model):
    def __init__(self, strength=0.2, **kwargs):
        super().__init__(**kwargs)
        self.hidden = layers.Dense(4, activation="tanh", kernel_regularizer="l2")
        self.last = layers.Dense(3)
        self.strength = strength

    def call(self, x):
        return self.last(self.hidden(x))

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        loss = super().compute_loss(x, y, y_pred, sample_weight)
        return loss + self.strength * ops.mean(ops.abs(y_pred))


def trained(name, model, **compiled):
    model(x[:2])
    model.set_weights([rng.normal(0, 0.5, w.shape) for w in model.get_weights()])
    model.compile(keras.optimizers.Adam(0.01), **compiled)
    history = model.fit(x, y, batch_size=10, epochs=3, shuffle=False, verbose=0, validation_data=(x[:10], y[:10]))
    results[name] = history.history
    results[f"{name} evaluated"] = model.evaluate(x, y, batch_size=15, verbose=0)
    results[f"{name} weights"] = model.get_weights()


inputs = keras.Input((6,))
trained("robust", Robust(inputs, layers.Dense(3)(inputs)), metrics=["mae"])
trained("calm", Calm(), loss="huber")

# asked for by hand
model = keras.Model(inputs, {"a": layers.Dense(3, name="a")(inputs), "b": layers.Dense(1, name="b")(inputs)})
model.set_weights([rng.normal(0, 0.5, w.shape) for w in model.get_weights()])
model.compile("sgd", {"a": "mse", "b": "mae"}, loss_weights={"a": 1.0, "b": 2.0})
results["by hand"] = float(model.compute_loss(x, {"a": y, "b": y[:, :1]}, model.predict(x, verbose=0)))
