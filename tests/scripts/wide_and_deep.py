"""Structured data: a wide linear part and a deep one, then a deep and cross network, over a dictionary of columns."""

import keras
import numpy as np
from keras import layers

rng = np.random.RandomState(22)
rows = 80
columns = {
    "age": rng.normal(size=(rows, 1)).astype("float32"),
    "hours": rng.normal(size=(rows, 1)).astype("float32"),
    "job": rng.randint(0, 5, (rows, 1)),
    "country": rng.randint(0, 3, (rows, 1)),
}
y = (columns["age"] + (columns["job"] == 2) > 0.2).astype("float32")


def create_inputs():
    return {
        name: keras.Input((1,), name=name, dtype="float32" if a.dtype == "float32" else "int32")
        for name, a in columns.items()
    }


def encode(inputs, wide):
    parts = []
    for name, words in (("job", 5), ("country", 3)):
        if wide:
            parts.append(layers.CategoryEncoding(num_tokens=words, output_mode="one_hot")(inputs[name]))
        else:
            parts.append(layers.Flatten()(layers.Embedding(words, 2)(inputs[name])))
    return layers.concatenate([*parts, inputs["age"], inputs["hours"]])


def wide_and_deep():
    inputs = create_inputs()
    wide = layers.BatchNormalization()(encode(inputs, wide=True))
    deep = encode(inputs, wide=False)
    for units in (8, 4):
        deep = layers.Dense(units)(deep)
        deep = layers.LayerNormalization()(deep)
        deep = layers.ReLU()(deep)
    return keras.Model(inputs, layers.Dense(1, activation="sigmoid")(layers.concatenate([wide, deep])))


def deep_and_cross():
    inputs = create_inputs()
    x0 = encode(inputs, wide=True)
    cross = x0
    for _ in range(2):
        cross = x0 * layers.Dense(cross.shape[-1])(cross) + cross
    deep = layers.Dense(6, activation="relu")(x0)
    return keras.Model(inputs, layers.Dense(1, activation="sigmoid")(layers.concatenate([cross, deep])))


results = {}
for make in (wide_and_deep, deep_and_cross):
    model = make()
    for weight in model.trainable_weights:
        weight.assign(rng.normal(0.1, 0.4, weight.shape))
    model.compile(keras.optimizers.Adam(0.02), "binary_crossentropy", metrics=[keras.metrics.BinaryAccuracy(), "mae"])
    history = model.fit(columns, y, epochs=2, batch_size=20, shuffle=False, verbose=0)
    results[make.__name__] = {
        "count": model.count_params(),
        "history": history.history,
        "evaluate": model.evaluate(columns, y, verbose=0),
        "predict": model.predict({name: a[:3] for name, a in columns.items()}, verbose=0),
    }
