"""Sequential: layers added and taken off, a delayed input, features of every layer, frozen layers."""

import keras
import numpy as np
from keras import layers

rng = np.random.RandomState(1)
x = rng.normal(size=(60, 6)).astype("float32")
y = rng.randint(0, 3, 60)


def start(model):
    model.set_weights([rng.normal(0, 0.4, w.shape) for w in model.get_weights()])


# without an input the weights wait for the first data
model = keras.Sequential(name="late")
model.add(layers.Dense(5, activation="relu", name="first"))
model.add(layers.Dense(4, activation="relu", name="extra"))
model.pop()
model.add(layers.Dense(3, activation="softmax", name="last"))
results = {"built at first": model.built, "layers": [layer.name for layer in model.layers]}
model(x[:2])
results["built"] = model.built
results["shapes"] = [list(w.shape) for w in model.weights]
results["names"] = [w.path for w in model.weights]
results["count"] = model.count_params()
start(model)
model.compile(optimizer="sgd", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
history = model.fit(x, y, batch_size=20, epochs=3, shuffle=False, verbose=0)
results["history"] = history.history
results["evaluate"] = model.evaluate(x, y, verbose=0)

# what each layer makes of the rows
features = keras.Model(inputs=model.inputs, outputs=[layer.output for layer in model.layers])
results["features"] = features(x[:3])
results["one layer"] = keras.Model(model.inputs, model.get_layer("first").output).predict(x[:3], verbose=0)

# the body stays, a new head learns
model.layers[0].trainable = False
grown = keras.Sequential([keras.Input((6,)), *model.layers[:-1], layers.Dense(1, name="head")])
head = grown.get_layer("head")
head.set_weights([rng.normal(0, 0.4, w.shape) for w in head.get_weights()])
grown.compile("sgd", "mse")
before = grown.layers[0].get_weights()[0]
grown.fit(x, x[:, :1], batch_size=20, epochs=2, shuffle=False, verbose=0)
results["body unchanged"] = bool(np.array_equal(before, grown.layers[0].get_weights()[0]))
results["head"] = head.get_weights()
results["trainable"] = [len(grown.trainable_weights), len(grown.non_trainable_weights)]
