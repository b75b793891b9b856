"""Callbacks: ModelCheckpoint, CSVLogger, BackupAndRestore and LambdaCallback."""

import csv
import os

import keras
import numpy as np
from keras import callbacks, layers

rng = np.random.RandomState(11)
x = rng.normal(size=(96, 8)).astype("float32")
y = rng.randint(0, 3, 96)


def make():
    random = np.random.RandomState(110)
    made = keras.Sequential(
        [keras.Input((8,)), layers.Dense(12, activation="relu"), layers.Dense(3, activation="softmax")]
    )
    made.set_weights([random.normal(0, 0.4, w.shape) for w in made.get_weights()])
    made.compile(keras.optimizers.SGD(0.2, momentum=0.9), "sparse_categorical_crossentropy", metrics=["accuracy"])
    return made


said = []
model = make()
history = model.fit(
    x, y, batch_size=32, epochs=5, validation_split=0.25, shuffle=False, verbose=0,
    callbacks=[
        callbacks.ModelCheckpoint("every_{epoch:02d}.keras"),
        callbacks.ModelCheckpoint("best.keras", monitor="val_loss", save_best_only=True),
        callbacks.ModelCheckpoint("last.weights.h5", save_weights_only=True, save_freq=3),
        callbacks.CSVLogger("log.csv"),
        callbacks.LambdaCallback(
            on_epoch_begin=lambda epoch, logs: said.append(f"epoch {epoch}"),
            on_train_batch_end=lambda batch, logs: said.append(f"batch {batch}: {', '.join(logs)}"),
            on_train_end=lambda logs: said.append("end"),
        ),
    ],
)  # fmt: skip
results = {"history": history.history, "said": said, "files": sorted(os.listdir("."))}
with open("log.csv", newline="") as file:
    rows = list(csv.reader(file))
results["columns of the log"] = rows[0]
results["log"] = [[float(cell) for cell in row] for row in rows[1:]]

best = keras.models.load_model("best.keras")
results["best"] = best.evaluate(x[72:], y[72:], verbose=0)
results["second"] = keras.models.load_model("every_02.keras").predict(x[:2], verbose=0)
fresh = make()
fresh.load_weights("last.weights.h5")
results["last"] = fresh.predict(x[:2], verbose=0)


class Interrupted(callbacks.Callback):
    def on_epoch_begin(self, epoch, logs=None):
        if epoch == 2:
            raise RuntimeError("the power went out")


model, backup = make(), callbacks.BackupAndRestore("backup")
try:
    model.fit(x, y, batch_size=32, epochs=4, shuffle=False, verbose=0, callbacks=[backup, Interrupted()])
except RuntimeError as error:
    results["error"] = str(error)
model = make()
history = model.fit(
    x, y, batch_size=32, epochs=4, shuffle=False, verbose=0, callbacks=[callbacks.BackupAndRestore("backup")]
)
results["epochs after the interruption"] = history.epoch
results["resumed"] = history.history
