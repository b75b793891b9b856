"""Training and evaluation: add_loss in layers, penalties of activations, a layer that holds the loss and a metric."""

import keras
import numpy as np
from keras import layers, ops, regularizers

rng = np.random.RandomState(9)
x = rng.normal(size=(64, 6)).astype("float32")
y = (rng.uniform(size=(64, 1)) < 0.5).astype("float32")


class ActivityRegularizationLayer(layers.Layer):
    def __init__(self, rate=1e-2, **kwargs):
        super().__init__(**kwargs)
        self.rate = rate

    def call(self, inputs):
        self.add_loss(self.rate * ops.mean(ops.square(inputs)))
        return inputs


class LogisticEndpoint(layers.Layer):
    """Compares logits with the targets it is given, and returns probabilities."""

    def __init__(self, name=None):
        super().__init__(name=name)
        self.loss_fn = keras.losses.BinaryCrossentropy(from_logits=True)

    def call(self, targets, logits):
        self.add_loss(self.loss_fn(targets, logits))
        return ops.sigmoid(logits)


inputs = keras.Input((6,))
h = layers.Dense(8, activation="relu", kernel_regularizer=regularizers.L2(1e-2))(inputs)
h = ActivityRegularizationLayer()(h)
h = layers.Dense(4, activation="tanh", activity_regularizer="l1", bias_regularizer=regularizers.L1(1e-2))(h)
h = layers.ActivityRegularization(l2=0.02)(h)
model = keras.Model(inputs, layers.Dense(1, activation="sigmoid")(h))
start = [rng.normal(0, 0.4, w.shape) for w in model.get_weights()]
model.set_weights(start)
model.compile("sgd", "binary_crossentropy", metrics=["accuracy"])
model(x[:16])
results = {
    "penalties": sorted(float(penalty) for penalty in model.losses),
    "history": model.fit(x, y, epochs=2, batch_size=16, shuffle=False, verbose=0).history,
    "evaluate": model.evaluate(x, y, verbose=0),
}

# the loss is all in the endpoint: nothing is compiled beside it
inputs, targets = keras.Input((6,), name="inputs"), keras.Input((1,), name="targets")
logits = layers.Dense(1)(inputs)
endpoint = keras.Model([inputs, targets], LogisticEndpoint(name="predictions")(targets, logits))
endpoint.set_weights([rng.normal(0, 0.4, w.shape) for w in endpoint.get_weights()])
endpoint.compile(optimizer="adam")
history = endpoint.fit({"inputs": x, "targets": y}, epochs=2, batch_size=16, shuffle=False, verbose=0)
results["endpoint"] = history.history
results["endpoint weights"] = endpoint.get_weights()
