"""The whole path on real digits: describe, train, evaluate, predict, save, export C.

Run it with ``python examples/01_digits.py [folder]``; the files go to the folder, ``out`` if none is given.
"""

import sys
from pathlib import Path

from nncompile import Input, Sequential, datasets, layers, utils

folder = Path(sys.argv[1] if len(sys.argv) > 1 else "out")
utils.set_random_seed(1)

(x_train, y_train), (x_test, y_test) = datasets.mnist.load_data()
x_train, x_test = x_train.reshape(-1, 784) / 255.0, x_test.reshape(-1, 784) / 255.0

model = Sequential(
    [
        Input((784,)),
        layers.Dense(500, activation="sigmoid"),
        layers.Dropout(0.2),
        layers.Dense(500),
        layers.Activation("relu"),
        layers.Dense(10, activation="softmax"),
    ]
)
model.summary()
model.compile(loss="sparse_categorical_crossentropy", optimizer="adam", metrics=["accuracy"])
model.fit(x_train, y_train, batch_size=100, epochs=20, validation_split=0.1, verbose=2)
loss, accuracy = model.evaluate(x_test, y_test, verbose=0)
print(f"test accuracy {accuracy:.3f}, loss {loss:.3f}")

p = model.predict(x_test[:5], verbose=0)
print("the first five digits are", *p.argmax(axis=-1), "and should be", *y_test[:5])

folder.mkdir(parents=True, exist_ok=True)
model.save(folder / "mnist.keras")  # real Keras opens it
model.export(folder / "mnist.c")  # mnist.c and mnist.h, standalone C99
