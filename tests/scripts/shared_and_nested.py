"""Functional API: one encoder for two inputs, a model of models, their average."""

import keras
import numpy as np
from keras import layers

rng = np.random.RandomState(4)
left = rng.normal(size=(48, 7)).astype("float32")
right = rng.normal(size=(48, 7)).astype("float32")
y = np.sum(left * right, axis=1, keepdims=True)


def start(model):
    model.set_weights([rng.normal(0, 0.4, w.shape) for w in model.get_weights()])


# the same layers for both sides
encoder = keras.Sequential([keras.Input((7,)), layers.Dense(6, activation="tanh"), layers.Dense(5)], name="encoder")
a, b = keras.Input((7,), name="a"), keras.Input((7,), name="b")
both = layers.Concatenate()([encoder(a), encoder(b), layers.Subtract()([encoder(a), encoder(b)])])
model = keras.Model([a, b], layers.Dense(1)(both))
start(model)
model.compile(keras.optimizers.Adam(0.01), "mse")
history = model.fit([left, right], y, epochs=3, batch_size=16, shuffle=False, verbose=0)
results = {"loss": history.history["loss"], "weights": len(model.weights)}
results["code"] = encoder.predict(left[:3], verbose=0)

# three networks, whose outputs are averaged


def member():
    inputs = keras.Input((7,))
    made = keras.Model(inputs, layers.Dense(1)(layers.Dense(3, activation="relu")(inputs)))
    start(made)
    return made


members = [member() for _ in range(3)]
inputs = keras.Input((7,))
ensemble = keras.Model(inputs, layers.average([one(inputs) for one in members]))
results["average"] = ensemble.predict(left[:4], verbose=0)
mean = np.mean([one.predict(left[:4], verbose=0) for one in members], axis=0)
results["is the mean"] = bool(np.allclose(mean, results["average"], atol=1e-5))
results["names"] = [len(ensemble.layers), len(ensemble.weights)]
