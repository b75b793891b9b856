"""Inputs and outputs in dicts of lists: losses, metrics, weights and logs in the same structure."""

import keras
import numpy as np
from keras import layers

rng = np.random.RandomState(14)
x = {"sensor": rng.normal(size=(40, 4)), "cameras": [rng.normal(size=(40, 3)), rng.normal(size=(40, 2))]}
x = {"sensor": x["sensor"].astype("float32"), "cameras": [one.astype("float32") for one in x["cameras"]]}
y = {"speed": np.sum(x["sensor"], axis=1, keepdims=True), "ways": [x["cameras"][1], np.abs(x["cameras"][0])]}


def start(model):
    model.set_weights([rng.normal(0, 0.4, w.shape) for w in model.get_weights()])


inputs = {"sensor": keras.Input((4,), name="sensor")}
inputs["cameras"] = [keras.Input((3,), name="left"), keras.Input((2,), name="right")]
h = layers.Dense(6, "tanh")(layers.Concatenate()([inputs["sensor"], *inputs["cameras"]]))
outputs = {"speed": layers.Dense(1, name="speed")(h)}
outputs["ways"] = [layers.Dense(2, name="turn")(h), layers.Dense(3, name="brake")(h)]
model = keras.Model(inputs, outputs)
start(model)
results = {}

# one loss for all, then one for each
model.compile("sgd", "mse")
results["one loss"] = model.fit(x, y, batch_size=20, shuffle=False, verbose=0).history
model.compile(
    keras.optimizers.Adam(0.01),
    loss={"speed": "mae", "ways": ["mse", keras.losses.Huber()]},
    loss_weights={"speed": 0.5, "ways": [1.0, 2.0]},
    metrics={"speed": ["mse"], "ways": [["mae"], ["mse", "mae"]]},
)
weights = rng.uniform(0.5, 1.5, 40).astype("float32")
given = {"speed": weights, "ways": [weights, weights**2]}
history = model.fit(x, y, batch_size=8, epochs=2, shuffle=False, verbose=0, sample_weight=given, validation_data=(x, y))
results["history"] = history.history
results["evaluate"] = model.evaluate(x, y, verbose=0)
results["on batch"] = model.train_on_batch(x, y, return_dict=True)
results["of batches"] = model.evaluate(((x, y) for _ in range(1)), verbose=0, return_dict=True)

# what predict gives has the structure, in files and copies too
few = {"sensor": x["sensor"][:3], "cameras": [one[:3] for one in x["cameras"]]}
results["predict"] = model.predict(few, verbose=0)
model.save("nested.keras")
again = keras.saving.load_model("nested.keras")
results["loaded"] = again.predict(few, verbose=0)
copy = keras.models.clone_model(model)
copy.set_weights(model.get_weights())
results["cloned"] = copy.predict(few, verbose=0)


# a class of one's own has it from its data
class Controller(keras.Model):
    def __init__(self):
        super().__init__()
        self.hidden = layers.Dense(5, activation="relu")
        self.speed, self.turn = layers.Dense(1), layers.Dense(2)

    def call(self, x):
        h = self.hidden(x["sensor"])
        return {"speed": self.speed(h), "ways": [self.turn(h) + x["cameras"][1], x["cameras"][0]]}


own = Controller()
own(few)
start(own)
own.compile("adam", loss={"speed": "mse", "ways": ["mae", "mse"]}, metrics={"speed": [], "ways": [["mae"], ["mse"]]})
results["own"] = own.fit(x, y, batch_size=20, shuffle=False, verbose=0).history
results["own predict"] = own.predict(few, verbose=0)
