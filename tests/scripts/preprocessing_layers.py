"""Preprocessing of tables: Normalization, Rescaling, Discretization, CategoryEncoding and Embedding, inside a model."""

import keras
import numpy as np
from keras import layers

rng = np.random.RandomState(21)
rows = 80
numbers = np.stack([rng.normal(40, 10, rows), rng.uniform(0, 500, rows), rng.exponential(3.0, rows)], axis=1)
numbers = numbers.astype("float32")
category = rng.randint(0, 4, (rows, 1))
several = rng.randint(0, 6, (rows, 3))
y = (numbers[:, :1] / 10 + category).astype("float32")

normalization = layers.Normalization()
normalization.adapt(numbers)
results = {
    "mean": normalization.mean,
    "variance": normalization.variance,
    "normalized": normalization(numbers[:3]),
    "given": layers.Normalization(mean=3.0, variance=4.0)(np.array([[1.0, 5.0]], "float32")),
    "inverse": layers.Normalization(mean=3.0, variance=4.0, invert=True)(np.array([[1.0, 5.0]], "float32")),
    "rescaled": layers.Rescaling(1 / 127.5, offset=-1)(np.array([[0.0, 127.5, 255.0]], "float32")),
    "one-hot": layers.CategoryEncoding(num_tokens=4, output_mode="one_hot")(category[:3]),
    "multi-hot": layers.CategoryEncoding(num_tokens=6, output_mode="multi_hot")(several[:3]),
    "counts": layers.CategoryEncoding(num_tokens=6, output_mode="count")(several[:3]),
    "bins": layers.Discretization(bin_boundaries=[30.0, 40.0, 50.0])(numbers[:6, :1]),
}
one_axis = layers.Normalization(axis=None)
one_axis.adapt(numbers)
results["over all"] = one_axis(numbers[:2])

number_input = keras.Input((3,), name="numbers")
category_input = keras.Input((1,), name="category", dtype="int32")
several_input = keras.Input((3,), name="several", dtype="int32")
features = layers.Concatenate()(
    [
        normalization(number_input),
        layers.CategoryEncoding(num_tokens=4, output_mode="one_hot")(category_input),
        layers.Flatten()(layers.Embedding(6, 2)(several_input)),
    ]
)
model = keras.Model([number_input, category_input, several_input], layers.Dense(1)(features))
trained = model.trainable_weights
for weight in trained:
    weight.assign(rng.normal(0, 0.4, weight.shape))
model.compile(keras.optimizers.Adam(0.05), "mse")
inputs = {"numbers": numbers, "category": category, "several": several}
results["loss"] = model.fit(inputs, y, epochs=3, batch_size=20, shuffle=False, verbose=0).history["loss"]
results["predict"] = model.predict([numbers[:4], category[:4], several[:4]], verbose=0)
results["trained"] = [list(w.shape) for w in trained]
