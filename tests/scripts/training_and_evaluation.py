"""Training and evaluation: validation data, a split, epochs from a later one, weights of samples and classes."""

import keras
import numpy as np
from keras import layers

rng = np.random.RandomState(6)
x = rng.normal(size=(100, 8)).astype("float32")
y = np.argmax(x[:, :3] + 0.3 * rng.normal(size=(100, 3)), axis=1)


def make(**arguments):
    made = keras.Sequential(
        [keras.Input((8,)), layers.Dense(12, activation="relu"), layers.Dense(3, activation="softmax")]
    )
    random = np.random.RandomState(60)
    made.set_weights([random.normal(0, 0.4, w.shape) for w in made.get_weights()])
    made.compile(optimizer=keras.optimizers.SGD(0.1, momentum=0.9), loss="sparse_categorical_crossentropy", **arguments)
    return made


metrics = [keras.metrics.SparseCategoricalAccuracy(), "sparse_top_k_categorical_accuracy"]
settings = {"batch_size": 32, "shuffle": False, "verbose": 0}
results = {}

model = make(metrics=metrics[:1])
history = model.fit(x[:70], y[:70], epochs=3, validation_data=(x[70:], y[70:]), **settings)
results["history"] = history.history
results["epochs"] = history.epoch
results["evaluate"] = model.evaluate(x, y, batch_size=7, verbose=0)
results["predict"] = model.predict(x[:3], verbose=0)
results["classes"] = np.argmax(model.predict(x, verbose=0), axis=-1)

later = model.fit(x, y, initial_epoch=3, epochs=5, validation_split=0.3, validation_freq=2, **settings)
results["later"] = later.history
results["later epochs"] = later.epoch

weights = np.where(y == 1, 2.0, 1.0)
model = make(weighted_metrics=["accuracy"])
results["sample_weight"] = model.fit(x, y, sample_weight=weights, epochs=2, **settings).history
results["evaluate with weights"] = model.evaluate(x, y, sample_weight=weights, verbose=0)
again = make(weighted_metrics=["accuracy"])
results["class_weight"] = again.fit(x, y, class_weight={0: 1.0, 1: 2.0, 2: 1.0}, epochs=2, **settings).history
results["same"] = bool(np.allclose(results["sample_weight"]["loss"], results["class_weight"]["loss"], rtol=1e-5))
third = make(weighted_metrics=["accuracy"])
held = (x[80:], y[80:], weights[80:])
results["validation with weights"] = third.fit(x[:80], y[:80], validation_data=held, epochs=2, **settings).history
