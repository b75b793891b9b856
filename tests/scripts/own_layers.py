"""Making new layers: weights made at once or when the width is known, ones that are not trained, layers of layers."""

import keras
import numpy as np
from keras import layers, ops

rng = np.random.RandomState(13)
x = rng.normal(size=(64, 5)).astype("float32")
y = (x[:, :1] > 0).astype("float32")


class Linear(layers.Layer):
    def __init__(self, units=32, **kwargs):
        super().__init__(**kwargs)
        self.units = units

    def build(self, input_shape):
        self.w = self.add_weight(
            shape=(input_shape[-1], self.units), initializer="random_normal", trainable=True, name="w"
        )
        self.b = self.add_weight(shape=(self.units,), initializer="zeros", trainable=True, name="b")

    def call(self, inputs):
        return ops.matmul(inputs, self.w) + self.b

    def get_config(self):
        return {**super().get_config(), "units": self.units}


class ComputeSum(layers.Layer):
    """Adds up what it is given, over calls."""

    def __init__(self, input_dim):
        super().__init__()
        self.total = self.add_weight(initializer="zeros", shape=(input_dim,), trainable=False)

    def call(self, inputs):
        self.total.assign_add(ops.sum(inputs, axis=0))
        return self.total


class MLPBlock(layers.Layer):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.linear_1 = Linear(8)
        self.linear_2 = Linear(6)
        self.linear_3 = Linear(1)

    def call(self, inputs):
        h = keras.activations.relu(self.linear_1(inputs))
        h = keras.activations.relu(self.linear_2(h))
        return self.linear_3(h)


class Standardize(layers.Layer):
    """Subtracts the rows' own mean while training, and nothing otherwise."""

    def call(self, inputs, training=None):
        if training:
            return inputs - ops.mean(inputs, axis=-1, keepdims=True)
        return inputs


layer = Linear(4)
layer(x)
layer.set_weights([rng.normal(size=w.shape) for w in layer.get_weights()])
results = {
    "linear": layer(x[:3]),
    "shapes": [list(w.shape) for w in layer.weights],
    "config": {"units": layer.get_config()["units"], "again": Linear.from_config(layer.get_config()).units},
}

total = ComputeSum(2)
total(np.ones((2, 2), "float32"))
results["sums"] = np.array(total(np.ones((2, 2), "float32")))
results["trained or not"] = [len(total.trainable_weights), len(total.non_trainable_weights)]

block = MLPBlock()
block(np.ones((3, 5), "float32"))
results["weights of a block"] = [len(block.weights), len(block.trainable_weights)]

standardize = Standardize()
results["training"] = standardize(x[:2], training=True)
results["not"] = standardize(x[:2], training=False)

model = keras.Sequential([keras.Input((5,)), standardize, block, layers.Activation("sigmoid")])
model.set_weights([rng.normal(0, 0.4, w.shape) for w in model.get_weights()])
model.compile("adam", "binary_crossentropy", metrics=["accuracy"])
history = model.fit(x, y, epochs=2, batch_size=16, shuffle=False, verbose=0)
results["history"] = history.history
results["evaluate"] = model.evaluate(x, y, verbose=0)
results["weights"] = [list(w.shape) for w in model.weights]
