"""Callbacks of one's own: all hooks, logs of batches, stopping at the least loss, setting the learning rate."""

import keras
import numpy as np
from keras import layers

rng = np.random.RandomState(12)
x = rng.normal(size=(96, 8)).astype("float32")
y = rng.randint(0, 3, 96)


def make():
    random = np.random.RandomState(120)
    made = keras.Sequential(
        [keras.Input((8,)), layers.Dense(12, activation="relu"), layers.Dense(3, activation="softmax")]
    )
    made.set_weights([random.normal(0, 0.4, w.shape) for w in made.get_weights()])
    made.compile(keras.optimizers.SGD(0.2, momentum=0.9), "sparse_categorical_crossentropy", metrics=["accuracy"])
    return made


class Diary(keras.callbacks.Callback):
    """Writes down every call, as its name and what it was given."""

    def __init__(self):
        super().__init__()
        self.lines = []

    def write(self, what, logs):
        self.lines.append(f"{what}: {' '.join(sorted(logs or {}))}")

    def on_train_begin(self, logs=None):
        self.write(f"train begin {self.params['epochs']} {self.params['steps']}", logs)

    def on_train_end(self, logs=None):
        self.write("train end", logs)

    def on_epoch_begin(self, epoch, logs=None):
        self.write(f"epoch {epoch} begin", logs)

    def on_epoch_end(self, epoch, logs=None):
        self.write(f"epoch {epoch} end", logs)

    def on_test_begin(self, logs=None):
        self.write("test begin", logs)

    def on_test_end(self, logs=None):
        self.write("test end", logs)

    def on_predict_begin(self, logs=None):
        self.write("predict begin", logs)

    def on_predict_end(self, logs=None):
        self.write("predict end", logs)

    def on_train_batch_begin(self, batch, logs=None):
        self.write(f"train batch {batch} begin", logs)

    def on_train_batch_end(self, batch, logs=None):
        self.write(f"train batch {batch} end", logs)

    def on_test_batch_end(self, batch, logs=None):
        self.write(f"test batch {batch} end", logs)

    def on_predict_batch_end(self, batch, logs=None):
        self.write(f"predict batch {batch} end", logs)


class LossesOfBatches(keras.callbacks.Callback):
    def on_train_begin(self, logs=None):
        self.losses = []

    def on_train_batch_end(self, batch, logs=None):
        self.losses.append(logs["loss"])


class EarlyStoppingAtMinLoss(keras.callbacks.Callback):
    """Stops when the loss is not less than the least for some epochs, and puts the best weights back."""

    def __init__(self, patience=0):
        super().__init__()
        self.patience = patience
        self.best_weights = None

    def on_train_begin(self, logs=None):
        self.wait, self.stopped_epoch, self.best = 0, 0, np.inf

    def on_epoch_end(self, epoch, logs=None):
        current = logs.get("val_loss")
        if np.less(current, self.best):
            self.best, self.wait = current, 0
            self.best_weights = self.model.get_weights()
        else:
            self.wait += 1
            if self.wait >= self.patience:
                self.stopped_epoch = epoch
                self.model.stop_training = True
                self.model.set_weights(self.best_weights)


class StepsOfRates(keras.callbacks.Callback):
    def __init__(self, rates):
        super().__init__()
        self.rates = rates

    def on_epoch_begin(self, epoch, logs=None):
        self.model.optimizer.learning_rate = self.rates.get(epoch, float(self.model.optimizer.learning_rate))


settings = {"batch_size": 32, "shuffle": False, "verbose": 0}
diary, losses = Diary(), LossesOfBatches()
model = make()
model.fit(x, y, epochs=2, validation_split=0.25, callbacks=[diary, losses], **settings)
model.evaluate(x, y, verbose=0, callbacks=[diary], batch_size=48)
model.predict(x, verbose=0, callbacks=[diary], batch_size=48)
results = {"diary": diary.lines, "losses of batches": losses.losses}

stop = EarlyStoppingAtMinLoss(patience=1)
model = make()
history = model.fit(x, y, epochs=20, validation_split=0.25, callbacks=[stop], **settings)
results["stopped"] = [stop.stopped_epoch, len(history.epoch)]
results["best"] = [stop.best, *model.evaluate(x[72:], y[72:], verbose=0)]

model = make()
history = model.fit(x, y, epochs=4, callbacks=[StepsOfRates({0: 0.3, 2: 0.05})], **settings)
results["rates"] = [history.history["loss"], float(model.optimizer.learning_rate)]
