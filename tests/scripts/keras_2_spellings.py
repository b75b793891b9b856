"""Spellings of Keras 2: what they compute is compared with the same in the words of today."""

import keras
import numpy as np
from keras import layers

rng = np.random.RandomState(42)
x = rng.normal(size=(64, 6)).astype("float32")
y = rng.normal(size=(64, 1)).astype("float32")
start = [rng.normal(0, 0.4, shape) for shape in ((6, 8), (8,), (8, 1), (1,))]


def train(model, optimizer, loss):
    model.set_weights(start)
    model.compile(optimizer, loss)
    return model.fit(x, y, epochs=3, batch_size=16, shuffle=False, verbose=0).history["loss"]


def batches():
    for i in range(0, 64, 16):
        yield x[i : i + 16], y[i : i + 16]


old = keras.models.Sequential()
old.add(layers.Dense(8, input_shape=(6,)))
old.add(layers.LeakyReLU(alpha=0.1))
old.add(layers.Dense(1))
new = keras.Sequential([keras.Input((6,)), layers.Dense(8), layers.LeakyReLU(negative_slope=0.1), layers.Dense(1)])
results = {
    "old": {
        "loss": train(old, keras.optimizers.Adam(lr=0.02), "logcosh"),
        "evaluate": old.evaluate_generator(batches(), steps=4),
        "predict": old.predict_generator(batches(), steps=1),
        "penalty": float(keras.regularizers.l1_l2(l1=0.1, l2=0.2)(x)),
        "constraint": keras.constraints.max_norm(0.5)(x[:3]),
        "losses": keras.losses.get("kullback_leibler_divergence")(np.abs(x[:3]), np.abs(x[3:6])),
    },
    "today": {
        "loss": train(new, keras.optimizers.Adam(learning_rate=0.02), "log_cosh"),
        "evaluate": new.evaluate(batches(), steps=4, verbose=0),
        "predict": new.predict(batches(), steps=1, verbose=0),
        "penalty": float(keras.regularizers.L1L2(l1=0.1, l2=0.2)(x)),
        "constraint": keras.constraints.MaxNorm(0.5)(x[:3]),
        "losses": keras.losses.get("kl_divergence")(np.abs(x[:3]), np.abs(x[3:6])),
    },
}
