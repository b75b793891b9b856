"""Data that is made while it is used: batches of any size, with a weight for each sample."""

import numpy as np

import nncompile as keras
from nncompile import layers


class Waves(keras.utils.PyDataset):
    """Sums of sine waves; the network is to find the frequency of the strongest."""

    def __len__(self) -> int:
        return 40

    def __getitem__(self, index: int):
        rng = np.random.default_rng(index)
        frequency = rng.integers(1, 9, 64)
        time = np.linspace(0, 1, 64)
        x = np.sin(2 * np.pi * frequency[:, None] * time + rng.uniform(0, 6, (64, 1)))
        x += 0.3 * rng.normal(size=x.shape)
        weights = np.where(frequency > 6, 2.0, 1.0)
        return x.astype("float32"), frequency - 1, weights


keras.utils.set_random_seed(1)
model = keras.Sequential(
    [keras.Input((64,)), layers.Dense(64, activation="gelu"), layers.LayerNormalization(), layers.Dense(8)]
)
model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True), weighted_metrics=["accuracy"])
history = model.fit(Waves(), epochs=30, verbose=0, callbacks=[keras.callbacks.ReduceLROnPlateau(monitor="loss")])
print(f"accuracy {history.history['accuracy'][-1]:.3f} after {len(history.epoch)} epochs")
assert history.history["accuracy"][-1] > 0.9
