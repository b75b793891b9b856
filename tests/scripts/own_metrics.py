"""Training and evaluation: metrics of one's own, as a function and as classes with state."""

import keras
import numpy as np
from keras import layers, ops

rng = np.random.RandomState(8)
x = rng.normal(size=(90, 8)).astype("float32")
y = np.argmax(x[:, :3], axis=1)


class CategoricalTruePositives(keras.metrics.Metric):
    """Counts rows whose largest output is that of the label."""

    def __init__(self, name="categorical_true_positives", **kwargs):
        super().__init__(name=name, **kwargs)
        self.true_positives = self.add_variable(shape=(), name="ctp", initializer="zeros")

    def update_state(self, y_true, y_pred, sample_weight=None):
        y_pred = ops.reshape(ops.argmax(y_pred, axis=1), (-1, 1))
        values = ops.cast(y_true, "int32") == ops.cast(y_pred, "int32")
        values = ops.cast(values, "float32")
        if sample_weight is not None:
            values = ops.multiply(values, ops.cast(sample_weight, "float32"))
        self.true_positives.assign_add(ops.sum(values))

    def result(self):
        return self.true_positives.value

    def reset_state(self):
        self.true_positives.assign(0)


class LeastProbability(keras.metrics.Metric):
    """The least probability that a label was given."""

    def __init__(self, name="least", **kwargs):
        super().__init__(name=name, **kwargs)
        self.least = self.add_weight(name="least", initializer="ones")

    def update_state(self, y_true, y_pred, sample_weight=None):
        chosen = ops.sum(ops.one_hot(ops.reshape(y_true, (-1,)), 3) * y_pred, axis=-1)
        self.least.assign(ops.minimum(self.least, ops.min(chosen)))

    def result(self):
        return self.least.value

    def reset_state(self):
        self.least.assign(1)


def confidence(y_true, y_pred):
    return ops.max(y_pred, axis=-1)


model = keras.Sequential(
    [keras.Input((8,)), layers.Dense(12, activation="relu"), layers.Dense(3, activation="softmax")]
)
model.set_weights([rng.normal(0, 0.4, w.shape) for w in model.get_weights()])
model.compile(
    optimizer=keras.optimizers.SGD(0.1),
    loss="sparse_categorical_crossentropy",
    metrics=[CategoricalTruePositives(), LeastProbability(), confidence],
)
labels = y.reshape(-1, 1)
history = model.fit(x, labels, batch_size=30, epochs=3, shuffle=False, verbose=0)
metric = CategoricalTruePositives()
metric.update_state(labels[:20], model.predict(x[:20], verbose=0))
half = float(metric.result())
metric.update_state(labels[20:], model.predict(x[20:], verbose=0))
results = {
    "history": history.history,
    "evaluate": model.evaluate(x, labels, verbose=0, return_dict=True),
    "alone": [half, float(metric.result())],
    "variables": [v.name for v in metric.variables],
}
metric.reset_state()
results["at rest"] = float(metric.result())
