"""Models as classes: layers in the constructor, the graph in call, with another way of training than of inference."""

import keras
import numpy as np
from keras import layers

rng = np.random.RandomState(14)
x = rng.normal(size=(80, 6)).astype("float32")
y = rng.randint(0, 3, 80)


class Block(layers.Layer):
    def __init__(self, units, **kwargs):
        super().__init__(**kwargs)
        self.dense = layers.Dense(units)
        self.norm = layers.BatchNormalization(momentum=0.8)

    def call(self, inputs, training=False):
        return keras.activations.relu(self.norm(self.dense(inputs), training=training))


class MLP(keras.Model):
    def __init__(self, units, classes, **kwargs):
        super().__init__(**kwargs)
        self.blocks = [Block(n) for n in units]
        self.dropout = layers.Dropout(0.0)
        self.head = layers.Dense(classes, activation="softmax")

    def call(self, inputs, training=False):
        x = inputs
        for block in self.blocks:
            x = block(x, training=training)
        if training:
            x = self.dropout(x, training=training)
        return self.head(x)


model = MLP([8, 6], 3)
model(x[:1])
model.set_weights([np.abs(rng.normal(0.3, 0.4, w.shape)) for w in model.get_weights()])
results = {
    "count": model.count_params(),
    "weights": [list(w.shape) for w in model.weights],
    "trainable": len(model.trainable_variables),
    "inference": model(x[:4]),
    "training": model(x[:4], training=True),
}
model.compile(keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy", metrics=["accuracy"])
history = model.fit(x, y, epochs=3, batch_size=20, validation_split=0.25, shuffle=False, verbose=0)
results["history"] = history.history
results["moving"] = [w for w in model.get_weights() if w.ndim == 1][2:4]
results["predict"] = model.predict(x[:4], verbose=0)

model.save_weights("mlp.weights.h5")
other = MLP([8, 6], 3)
other(x[:1])
other.load_weights("mlp.weights.h5")
results["loaded"] = bool(np.allclose(other.predict(x, verbose=0), model.predict(x, verbose=0), atol=1e-6))
