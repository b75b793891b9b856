"""Imbalanced classification: few positives, weights of classes, counts of right and wrong, a bias that begins right."""

import keras
import numpy as np
from keras import layers

rng = np.random.RandomState(25)
x = rng.normal(size=(200, 6)).astype("float32")
y = (x[:, 0] + x[:, 1] + 0.3 * rng.normal(size=200) > 2.4).astype("uint8").reshape(-1, 1)
counts = np.bincount(y[:, 0])
class_weight = {0: 1.0 / counts[0], 1: 1.0 / counts[1]}
mean, std = np.mean(x, axis=0), np.std(x, axis=0)
x = (x - mean) / std

model = keras.Sequential(
    [
        keras.Input(x.shape[1:]),
        layers.Dense(10, activation="relu"),
        layers.Dropout(0.0),
        layers.Dense(
            1, activation="sigmoid", bias_initializer=keras.initializers.Constant(np.log(counts[1] / counts[0]))
        ),
    ]
)
results = {"counts": counts, "bias": model.layers[-1].bias}
model.set_weights([rng.normal(0, 0.4, w.shape) for w in model.get_weights()])
model.compile(
    optimizer=keras.optimizers.Adam(1e-2),
    loss="binary_crossentropy",
    metrics=[
        keras.metrics.FalseNegatives(name="fn"),
        keras.metrics.FalsePositives(name="fp"),
        keras.metrics.TrueNegatives(name="tn"),
        keras.metrics.TruePositives(name="tp"),
        keras.metrics.Precision(name="precision"),
        keras.metrics.Recall(name="recall"),
        keras.metrics.AUC(name="auc"),
        keras.metrics.AUC(name="prc", curve="PR"),
    ],
)
history = model.fit(
    x[:150], y[:150], batch_size=50, epochs=3, validation_data=(x[150:], y[150:]),
    class_weight=class_weight, shuffle=False, verbose=0,
)  # fmt: skip
results["history"] = history.history
results["evaluate"] = model.evaluate(x[150:], y[150:], verbose=0, return_dict=True)
predicted = model.predict(x, verbose=0)
results["at 0.3"] = [int(np.sum((predicted > 0.3) & (y == 1))), int(np.sum((predicted > 0.3) & (y == 0)))]
