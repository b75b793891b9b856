"""Functional API: support tickets of three inputs and two outputs, each with a loss, a weight and metrics of its own."""

import keras
import numpy as np
from keras import layers

rng = np.random.RandomState(3)
rows, words, tags, departments = 64, 20, 5, 4
title = rng.randint(0, words, (rows, 6))
body = rng.randint(0, words, (rows, 9))
tag = rng.randint(0, 2, (rows, tags)).astype("float32")
priority = rng.uniform(size=(rows, 1)).astype("float32")
department = np.eye(departments, dtype="float32")[rng.randint(0, departments, rows)]

title_input = keras.Input(shape=(6,), name="title", dtype="int32")
body_input = keras.Input(shape=(9,), name="body", dtype="int32")
tags_input = keras.Input(shape=(tags,), name="tags")
title_features = layers.GlobalAveragePooling1D()(layers.Embedding(words, 7)(title_input))
body_features = layers.GlobalAveragePooling1D()(layers.Embedding(words, 5)(body_input))
x = layers.concatenate([title_features, body_features, tags_input])
priority_prediction = layers.Dense(1, activation="sigmoid", name="priority")(x)
department_prediction = layers.Dense(departments, name="department")(x)
model = keras.Model(
    inputs=[title_input, body_input, tags_input],
    outputs={"priority": priority_prediction, "department": department_prediction},
)
model.set_weights([rng.normal(0, 0.4, w.shape) for w in model.get_weights()])
model.compile(
    optimizer=keras.optimizers.Adam(1e-2),
    loss={
        "priority": keras.losses.BinaryCrossentropy(),
        "department": keras.losses.CategoricalCrossentropy(from_logits=True),
    },
    loss_weights={"priority": 1.0, "department": 0.2},
    metrics={"priority": ["mae"], "department": ["accuracy"]},
)
inputs = {"title": title, "body": body, "tags": tag}
targets = {"priority": priority, "department": department}
history = model.fit(inputs, targets, epochs=3, batch_size=16, shuffle=False, verbose=0)
results = {
    "history": history.history,
    "evaluate": model.evaluate(inputs, targets, verbose=0, return_dict=True),
    "predict": model.predict({name: a[:3] for name, a in inputs.items()}, verbose=0),
}
