"""Functional API: a graph of layers, two models that share layers, tensors inside a model."""

import keras
import numpy as np
from keras import layers

rng = np.random.RandomState(2)
x = rng.uniform(size=(80, 12)).astype("float32")
y = rng.randint(0, 4, 80)

inputs = keras.Input(shape=(12,), name="pixels")
hidden = layers.Dense(10, activation="relu", name="hidden_1")(inputs)
hidden = layers.Dense(8, activation="tanh", name="hidden_2")(hidden)
outputs = layers.Dense(4, name="logits")(hidden)
model = keras.Model(inputs=inputs, outputs=outputs, name="digits")
model.set_weights([rng.normal(0, 0.4, w.shape) for w in model.get_weights()])
results = {
    "shapes": [list(inputs.shape), list(hidden.shape), list(outputs.shape)],
    "types": [str(inputs.dtype), str(outputs.dtype)],
    "layers": [layer.name for layer in model.layers],
    "outputs": model.output_names,
    "count": model.count_params(),
}
model.compile(
    loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    optimizer=keras.optimizers.RMSprop(),
    metrics=["accuracy"],
)
history = model.fit(x, y, batch_size=16, epochs=2, validation_split=0.2, shuffle=False, verbose=0)
results["history"] = history.history
results["evaluate"] = model.evaluate(x, y, verbose=0, return_dict=True)

# a second model on the same tensors has the same weights
encoder = keras.Model(inputs, hidden, name="encoder")
results["same weights"] = encoder.layers[1] is model.layers[1]
results["codes"] = encoder.predict(x[:4], verbose=0)

# a model is a layer
again = keras.Input(shape=(12,))
outer = keras.Model(again, layers.Softmax()(model(again)))
results["probabilities"] = outer.predict(x[:4], verbose=0)
results["in NumPy's terms"] = bool(
    np.allclose(np.sum(results["probabilities"], axis=1), 1.0, atol=1e-5) and outer.count_params() == 254
)
