"""Callbacks: EarlyStopping, ReduceLROnPlateau, LearningRateScheduler and TerminateOnNaN."""

import keras
import numpy as np
from keras import callbacks, layers

rng = np.random.RandomState(10)
x = rng.normal(size=(96, 8)).astype("float32")
y = rng.randint(0, 3, 96)
settings = {"batch_size": 32, "shuffle": False, "verbose": 0, "validation_split": 0.25}


def make(rate):
    random = np.random.RandomState(100)
    made = keras.Sequential(
        [keras.Input((8,)), layers.Dense(12, activation="relu"), layers.Dense(3, activation="softmax")]
    )
    made.set_weights([random.normal(0, 0.4, w.shape) for w in made.get_weights()])
    made.compile(keras.optimizers.SGD(rate, momentum=0.9), "sparse_categorical_crossentropy", metrics=["accuracy"])
    return made


model = make(0.3)
stop = callbacks.EarlyStopping(monitor="val_loss", patience=2, min_delta=1e-3, restore_best_weights=True)
history = model.fit(x, y, epochs=15, callbacks=[stop], **settings)
results = {
    "stopped": [stop.stopped_epoch, stop.best_epoch, len(history.epoch)],
    "best": stop.best,
    "history": history.history,
    "restored": model.evaluate(x[72:], y[72:], verbose=0),
}

model = make(0.3)
plateau = callbacks.ReduceLROnPlateau(monitor="val_loss", factor=0.5, patience=1, cooldown=1, min_lr=0.01)
results["plateau"] = model.fit(x, y, epochs=8, callbacks=[plateau], **settings).history
results["rate after"] = float(model.optimizer.learning_rate)


def schedule(epoch, rate):
    return rate if epoch < 2 else rate * float(np.exp(-0.5))


model = make(0.1)
history = model.fit(x, y, epochs=4, callbacks=[callbacks.LearningRateScheduler(schedule)], **settings)
results["scheduled"] = history.history

model = make(0.1)
broken = np.where(np.arange(96)[:, None] == 40, np.nan, x).astype("float32")
history = model.fit(broken, y, epochs=4, callbacks=[callbacks.TerminateOnNaN()], **settings)
results["ended by NaN after epochs"] = len(history.epoch)
