"""Serialization: a whole model in one file, its training resumed, its architecture alone, its weights alone."""

import json
import os

import keras
import numpy as np
from keras import layers

rng = np.random.RandomState(17)
x = rng.normal(size=(96, 8)).astype("float32")
y = rng.randint(0, 3, 96)
settings = {"batch_size": 32, "shuffle": False, "verbose": 0}

model = keras.Sequential(
    [keras.Input((8,)), layers.Dense(12, activation="relu"), layers.Dense(3, activation="softmax")], name="saved"
)
model.set_weights([rng.normal(0, 0.4, w.shape) for w in model.get_weights()])
model.compile(keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy", metrics=["accuracy"])
results = {"first": model.fit(x, y, epochs=2, **settings).history}

model.save("model.keras")
again = keras.models.load_model("model.keras")
results["same outputs"] = bool(np.array_equal(model.predict(x, verbose=0), again.predict(x, verbose=0)))
results["kind"] = [type(again).__name__, again.name, type(again.optimizer).__name__]
results["iterations"] = int(again.optimizer.iterations)
resumed = again.fit(x, y, initial_epoch=2, epochs=4, **settings)
straight = model.fit(x, y, initial_epoch=2, epochs=4, **settings)
results["resumed"] = resumed.history
results["as if never stopped"] = bool(np.allclose(resumed.history["loss"], straight.history["loss"], rtol=1e-6))

config = model.get_config()
results["classes"] = [layer["class_name"] for layer in config["layers"]]
results["units"] = [layer["config"].get("units") for layer in config["layers"]]
fresh = keras.Sequential.from_config(config)
results["fresh"] = [fresh.name, fresh.count_params(), fresh.compiled]
from_json = keras.models.model_from_json(model.to_json())
results["from JSON"] = [type(from_json).__name__, json.loads(model.to_json())["class_name"]]

model.save_weights("only.weights.h5")
fresh.load_weights("only.weights.h5")
results["weights alone"] = bool(np.array_equal(model.predict(x, verbose=0), fresh.predict(x, verbose=0)))
results["files"] = sorted(os.listdir("."))

clone = keras.models.clone_model(model)
clone.set_weights(model.get_weights())
results["clone"] = [
    clone.count_params(),
    bool(np.array_equal(clone.predict(x, verbose=0), model.predict(x, verbose=0))),
]


def wider(layer):
    if isinstance(layer, layers.Dense) and layer.units == 12:
        return layers.Dense(20, activation="tanh", name=layer.name)
    return layer.__class__.from_config(layer.get_config())


results["wider"] = keras.models.clone_model(model, clone_function=wider).count_params()

# a file that is there already, layers by name, and one file that does not fit
model.get_layer(index=0).set_weights([np.zeros((8, 12)), np.zeros(12)])
model.save("model.keras", overwrite=True)
results["overwritten"] = keras.models.load_model("model.keras", compile=False).predict(x[:2], verbose=0)
try:
    keras.Sequential([keras.Input((8,)), layers.Dense(5)]).load_weights("only.weights.h5")
except ValueError:
    results["does not fit"] = "ValueError"
