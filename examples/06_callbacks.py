"""Callbacks: stop early, keep the best weights, write a log, look at every epoch."""

import tempfile
from pathlib import Path

from nncompile import Input, Sequential, callbacks, datasets, layers, saving

(x_train, y_train), (x_test, y_test) = datasets.mnist.load_data()

model = Sequential([Input((28, 28)), layers.Flatten(), layers.Dense(100, activation="relu"), layers.Dense(10)])
model.compile(loss="mse", optimizer="rmsprop")  # a poor choice for digits, so that there is something to stop

with tempfile.TemporaryDirectory() as folder:
    best, log = Path(folder, "best.keras"), Path(folder, "log.csv")
    history = model.fit(
        x_train / 255.0,
        [[float(i == label) for i in range(10)] for label in y_train],
        batch_size=64,
        epochs=30,
        validation_split=0.2,
        verbose=0,
        callbacks=[
            callbacks.EarlyStopping(patience=2, restore_best_weights=True),
            callbacks.ModelCheckpoint(best, save_best_only=True),
            callbacks.CSVLogger(log),
            callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: print(f"{epoch}: {logs['val_loss']:.4f}")),
        ],
    )
    print("stopped after", len(history.epoch), "epochs; the log has", len(log.read_text().splitlines()), "lines")
    again = saving.load_model(best)
    print("accuracy of the best:", (again.predict(x_test / 255.0, verbose=0).argmax(-1) == y_test).mean())
