"""Functional API: blocks whose input is added to their output, with normalisation, and operators on tensors."""

import keras
import numpy as np
from keras import layers, ops

rng = np.random.RandomState(5)
x = rng.normal(size=(64, 6)).astype("float32")
y = np.sin(x[:, :1]) + x[:, 1:2] * x[:, 2:3]


def block(x, width):
    residual = x
    x = layers.LayerNormalization()(x)
    x = layers.Dense(width, activation="gelu")(x)
    x = layers.Dense(width)(x)
    if residual.shape[-1] != width:
        residual = layers.Dense(width, use_bias=False)(residual)
    return layers.add([x, residual])


inputs = keras.Input((6,))
h = block(inputs, 8)
h = block(h, 8)
scale = ops.sigmoid(layers.Dense(8)(h))  # operations on tensors become layers
h = h * scale + 0.5
model = keras.Model(inputs, layers.Dense(1)(h))
model.set_weights([w + rng.normal(0, 0.3, w.shape) for w in map(np.zeros_like, model.get_weights())])
model.compile(keras.optimizers.Adam(0.005), "mse", metrics=["mae"])
history = model.fit(x, y, epochs=3, batch_size=16, validation_data=(x[:20], y[:20]), shuffle=False, verbose=0)
results = {
    "history": history.history,
    "count": model.count_params(),
    "predict": model.predict(x[:5], verbose=0),
}
