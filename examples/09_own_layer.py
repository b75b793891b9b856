"""A layer of your own that keeps a state while training: it is compiled, saved and exported like any other."""

import numpy as np

import nncompile as keras
from nncompile import layers, ops


@keras.saving.register_keras_serializable("examples")
class Whiten(layers.Layer):
    """Subtracts a running mean of what it has seen and divides by a running size, and learns a scale."""

    def __init__(self, momentum: float = 0.9, **kwargs):
        super().__init__(**kwargs)
        self.momentum = momentum

    def build(self, input_shape):
        width = input_shape[-1:]
        self.scale = self.add_weight(shape=width, initializer="ones", name="scale")
        self.mean = self.add_weight(shape=width, initializer="zeros", trainable=False, name="mean")
        self.size = self.add_weight(shape=width, initializer="ones", trainable=False, name="size")

    def call(self, inputs, training=False):
        if training:
            keep = self.momentum
            mean = ops.batch_mean(inputs)
            size = ops.batch_mean(ops.abs(inputs - mean))
            self.mean.assign(self.mean * keep + mean * (1.0 - keep))
            self.size.assign(self.size * keep + size * (1.0 - keep))
        return (inputs - self.mean) / (self.size + 1e-3) * self.scale

    def get_config(self):
        return {**super().get_config(), "momentum": self.momentum}


keras.utils.set_random_seed(1)
x = np.random.default_rng(0).normal(3.0, 5.0, (1000, 6)).astype("float32")
y = np.sum(np.abs(x - 3.0), axis=1, keepdims=True)
model = keras.Sequential([keras.Input((6,)), Whiten(), layers.Dense(64, activation="relu"), layers.Dense(1)])
model.compile(keras.optimizers.Adam(0.01), "mse")
history = model.fit(x, y, epochs=60, verbose=0)
print(f"mse {history.history['loss'][0]:.1f} -> {history.history['loss'][-1]:.2f}")
print("running mean:", np.round(model.layers[0].mean.numpy(), 1))
assert history.history["loss"][-1] < 0.05 * history.history["loss"][0]

model.save("out/whiten.keras")
again = keras.saving.load_model("out/whiten.keras")
assert np.array_equal(again.predict(x, verbose=0), model.predict(x, verbose=0))
