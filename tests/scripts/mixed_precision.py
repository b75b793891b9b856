"""Mixed precision: a policy for all layers, float32 at the end, weights in float32 all the same."""

import keras
import numpy as np
from keras import layers

rng = np.random.RandomState(35)
x = rng.normal(size=(64, 6)).astype("float32")
y = rng.randint(0, 3, 64)

keras.mixed_precision.set_global_policy("mixed_bfloat16")
policy = keras.mixed_precision.global_policy()
inputs = keras.Input((6,), name="numbers")
dense = layers.Dense(16, activation="relu", name="dense_1")
h = dense(inputs)
h = layers.Dense(8, activation="relu", name="dense_2")(h)
logits = layers.Dense(3, name="logits")(h)
outputs = layers.Activation("softmax", dtype="float32", name="predictions")(logits)
model = keras.Model(inputs, outputs)
keras.mixed_precision.set_global_policy("float32")

model.set_weights([rng.normal(0, 0.4, w.shape) for w in model.get_weights()])
model.compile(keras.optimizers.SGD(0.1), "sparse_categorical_crossentropy", metrics=["accuracy"])
history = model.fit(x, y, epochs=3, batch_size=16, shuffle=False, verbose=0)
results = {
    "policy": [policy.name, policy.compute_dtype, policy.variable_dtype],
    "layer": [dense.compute_dtype, dense.variable_dtype, dense.kernel.dtype, dense.dtype_policy.name],
    "outputs": str(outputs.dtype),
    "loss": history.history["loss"],
    "predict": model.predict(x[:4], verbose=0),
    "back": [keras.mixed_precision.dtype_policy().name, layers.Dense(1).dtype_policy.name],
}
