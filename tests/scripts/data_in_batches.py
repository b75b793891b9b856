"""Data in batches: a PyDataset, generators of two and three values, with steps and validation."""

import math

import keras
import numpy as np
from keras import layers

rng = np.random.RandomState(20)
x = rng.normal(size=(90, 8)).astype("float32")
y = rng.randint(0, 3, 90)
weights = rng.uniform(0.5, 1.5, 90)


class Batches(keras.utils.PyDataset):
    def __init__(self, x, y, batch_size, **kwargs):
        super().__init__(**kwargs)
        self.x, self.y, self.batch_size = x, y, batch_size

    def __len__(self):
        return math.ceil(len(self.x) / self.batch_size)

    def __getitem__(self, index):
        low = index * self.batch_size
        high = min(low + self.batch_size, len(self.x))  # the last batch may be smaller
        return self.x[low:high], self.y[low:high]


def generator(weighted=False):
    while True:
        for start in range(0, 90, 30):
            rows = slice(start, start + 30)
            yield (x[rows], y[rows], weights[rows]) if weighted else (x[rows], y[rows])


def make():
    random = np.random.RandomState(200)
    made = keras.Sequential(
        [keras.Input((8,)), layers.Dense(12, activation="relu"), layers.Dense(3, activation="softmax")]
    )
    made.set_weights([random.normal(0, 0.4, w.shape) for w in made.get_weights()])
    made.compile(keras.optimizers.SGD(0.2, momentum=0.9), "sparse_categorical_crossentropy", metrics=["accuracy"])
    return made


data = Batches(x, y, 32)
model = make()
history = model.fit(data, epochs=3, validation_data=Batches(x[:20], y[:20], 8), shuffle=False, verbose=0)
results = {
    "dataset": history.history,
    "length": len(data),
    "evaluate": model.evaluate(data, verbose=0),
    "predict": model.predict(data, verbose=0)[-3:],
}
model = make()
arrays = model.fit(x, y, batch_size=32, epochs=3, shuffle=False, verbose=0)
results["as arrays"] = bool(np.allclose(arrays.history["loss"], history.history["loss"], rtol=1e-5))

model = make()
history = model.fit(generator(), steps_per_epoch=3, epochs=2, verbose=0)
results["generator"] = history.history
results["steps"] = model.evaluate(generator(), steps=2, verbose=0)
results["with weights"] = make().fit(generator(weighted=True), steps_per_epoch=3, epochs=2, verbose=0).history
results["predicted"] = model.predict(generator(), steps=1, verbose=0)[:2]
