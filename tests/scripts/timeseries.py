"""Timeseries: windows of a signal, a baseline, a network of dense layers, and one step taken after another."""

import keras
import numpy as np
from keras import layers, ops

rng = np.random.RandomState(24)
time = np.arange(140)
signal = np.stack([np.sin(time / 7.0), np.cos(time / 11.0)], axis=1) + 0.05 * rng.normal(size=(140, 2))
mean, deviation = signal[:100].mean(axis=0), signal[:100].std(axis=0)
signal = ((signal - mean) / deviation).astype("float32")

past = 12
windows = np.stack([signal[i : i + past] for i in range(len(signal) - past)])
following = signal[past:, 0]
train, held = slice(0, 96), slice(96, None)

baseline = float(np.mean(np.abs(windows[held, -1, 0] - following[held])))

inputs = keras.Input((past, 2))
recent = layers.Flatten()(layers.Cropping1D((past - 4, 0))(inputs))
trend = layers.GlobalAveragePooling1D()(layers.TimeDistributed(layers.Dense(3, activation="tanh"))(inputs))
smooth = layers.Flatten()(layers.AveragePooling1D(3)(inputs))
h = layers.Dense(8, activation="relu")(layers.concatenate([recent, trend, smooth]))
model = keras.Model(inputs, layers.Dense(1)(h))
model.set_weights([rng.normal(0, 0.3, w.shape) for w in model.get_weights()])


def huber_of_recent(y_true, y_pred):
    error = ops.abs(y_true - y_pred)
    return ops.mean(ops.where(error < 0.5, ops.square(error), error - 0.25), axis=-1)


model.compile(keras.optimizers.Adam(0.01), huber_of_recent, metrics=["mae", keras.metrics.RootMeanSquaredError()])
history = model.fit(
    windows[train], following[train], epochs=4, batch_size=24, shuffle=False, verbose=0,
    validation_data=(windows[held], following[held]),
)  # fmt: skip
results = {
    "baseline": baseline,
    "history": history.history,
    "forecast": model.predict(windows[held][:5], verbose=0),
    "one at a time": [float(model.predict(windows[i : i + 1], verbose=0)[0, 0]) for i in (96, 97, 98)],
}
