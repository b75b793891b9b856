"""A script as of Keras 1 and 2: what it computes is compared with the same in the words of today."""

import keras
import numpy as np
from keras.layers import Activation, Dense, Dropout, Input
from keras.models import Model, Sequential
from keras.optimizers import SGD
from keras.regularizers import l2
from keras.utils import np_utils

rng = np.random.RandomState(41)
x = rng.normal(size=(64, 6)).astype("float32")
labels = rng.randint(0, 3, 64)
start = [rng.normal(0, 0.4, shape) for shape in ((6, 8), (8,), (8, 3), (3,))]

# Keras 1
old = Sequential()
old.add(Dense(output_dim=8, input_dim=6, init="uniform", W_regularizer=l2(0.01), bias=True))
old.add(Activation("relu"))
old.add(Dropout(p=0.0))
old.add(Dense(output_dim=3, init="glorot_uniform"))
old.add(Activation("softmax"))
old.set_weights(start)
old.compile(loss="categorical_crossentropy", optimizer=SGD(lr=0.1, momentum=0.9), metrics=["accuracy"])
y = np_utils.to_categorical(labels, nb_classes=3)
first = old.fit(x, y, nb_epoch=3, batch_size=16, shuffle=False, verbose=0)

# today
new = keras.Sequential(
    [
        keras.Input((6,)),
        keras.layers.Dense(8, kernel_regularizer=keras.regularizers.L2(0.01)),
        keras.layers.Activation("relu"),
        keras.layers.Dropout(0.0),
        keras.layers.Dense(3),
        keras.layers.Activation("softmax"),
    ]
)
new.set_weights(start)
new.compile(loss="categorical_crossentropy", optimizer=keras.optimizers.SGD(0.1, momentum=0.9), metrics=["accuracy"])
second = new.fit(x, keras.utils.to_categorical(labels, 3), epochs=3, batch_size=16, shuffle=False, verbose=0)


def batches():
    while True:
        for i in range(0, 64, 16):
            yield x[i : i + 16], y[i : i + 16]


# Keras 1 counted samples, Keras 2 steps
old.fit_generator(batches(), samples_per_epoch=64, nb_epoch=1, verbose=0)
new.fit(batches(), steps_per_epoch=4, epochs=1, verbose=0)

a = Input(shape=(6,))
graph = Model(input=a, output=Dense(output_dim=2, activation="tanh")(a))
graph.set_weights([rng.normal(size=(6, 2)), np.zeros(2)])
b = keras.Input((6,))
today = keras.Model(inputs=b, outputs=keras.layers.Dense(2, activation="tanh")(b))
today.set_weights(graph.get_weights())

results = {
    "old": {
        "history": first.history,
        "evaluate": old.evaluate(x, y, verbose=0),
        "evaluate_generator": old.evaluate_generator(batches(), val_samples=64),
        "classes": old.predict_classes(x[:8], verbose=0),
        "probabilities": old.predict_proba(x[:3], verbose=0),
        "graph": graph.predict(x[:3]),
    },
    "today": {
        "history": second.history,
        "evaluate": new.evaluate(x, y, verbose=0),
        "evaluate_generator": new.evaluate(batches(), steps=4, verbose=0),
        "classes": np.argmax(new.predict(x[:8], verbose=0), axis=-1),
        "probabilities": new.predict(x[:3], verbose=0),
        "graph": today.predict(x[:3], verbose=0),
    },
}
