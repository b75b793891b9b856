"""Transfer learning: a trained body is frozen under a new head, its statistics stay; then all of it learns slowly."""

import keras
import numpy as np
from keras import layers

rng = np.random.RandomState(19)
x = rng.normal(1.0, 2.0, size=(80, 6)).astype("float32")
y = (x[:, :1] * x[:, 1:2] > 1).astype("float32")

layer = layers.BatchNormalization()
layer.build((None, 4))
results = {"of a normalisation": [len(layer.weights), len(layer.trainable_weights), len(layer.non_trainable_weights)]}

base = keras.Sequential(
    [
        keras.Input((6,)),
        layers.Dense(8, activation="relu", name="features"),
        layers.BatchNormalization(name="norm", momentum=0.5),
    ],
    name="base",
)
start = [rng.normal(0, 0.4, (6, 8)), rng.normal(size=8)]
base.set_weights([*start, rng.normal(1, 0.1, 8), rng.normal(size=8), rng.normal(size=8), rng.uniform(1, 2, 8)])
frozen = [w.copy() for w in base.get_weights()]

base.trainable = False
inputs = keras.Input((6,))
h = base(inputs, training=False)
outputs = layers.Dense(1, activation="sigmoid")(h)
model = keras.Model(inputs, outputs)
head = model.layers[-1]
head.set_weights([rng.normal(0, 0.4, w.shape) for w in head.get_weights()])
results["frozen"] = [len(model.trainable_weights), len(model.non_trainable_weights), base.layers[0].trainable]
model.compile(keras.optimizers.Adam(0.01), "binary_crossentropy", metrics=["accuracy"])
history = model.fit(x, y, epochs=2, batch_size=16, shuffle=False, verbose=0)
results["head"] = history.history
results["body stays"] = all(np.array_equal(a, b) for a, b in zip(frozen, base.get_weights(), strict=True))

# fine-tuning: weights of the body move, its statistics do not, as it was called with training=False
base.trainable = True
model.compile(keras.optimizers.Adam(1e-3), "binary_crossentropy", metrics=["accuracy"])
results["tuned"] = model.fit(x, y, epochs=2, batch_size=16, shuffle=False, verbose=0).history
moved = [not np.array_equal(a, b) for a, b in zip(frozen, base.get_weights(), strict=True)]
results["moved"] = moved
results["predict"] = model.predict(x[:4], verbose=0)

# only the normalisation is frozen: it works as in inference even while the rest is trained
whole = keras.Sequential([base, layers.Dense(1)])
whole.build((None, 6))
whole.layers[-1].set_weights([np.full((8, 1), 0.1), np.zeros(1)])
base.get_layer("norm").trainable = False
whole.compile("sgd", "mse")
results["a frozen normalisation"] = whole.fit(x, y, epochs=2, batch_size=16, shuffle=False, verbose=0).history["loss"]
results["statistics"] = base.get_layer("norm").get_weights()[2:]
