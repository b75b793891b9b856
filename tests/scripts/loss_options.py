"""Losses: from logits, smoothed labels, a class that is ignored, reductions, and training with some of them."""

import keras
import numpy as np
from keras import layers, losses

rng = np.random.RandomState(32)
classes = rng.randint(0, 4, 30)
one_hot = np.eye(4, dtype="float32")[classes]
logits = rng.normal(size=(30, 4)).astype("float32")
probabilities = np.exp(logits) / np.sum(np.exp(logits), axis=1, keepdims=True)
bits = rng.randint(0, 2, (30, 4)).astype("float32")
numbers = rng.normal(size=(30, 4)).astype("float32")
weights = rng.uniform(0.5, 2.0, 30).astype("float32")

every = {
    "sparse": (losses.SparseCategoricalCrossentropy(from_logits=True), classes, logits),
    "ignored": (losses.SparseCategoricalCrossentropy(ignore_class=0, from_logits=True), classes, logits),
    "smoothed": (losses.CategoricalCrossentropy(label_smoothing=0.1), one_hot, probabilities),
    "focal": (losses.CategoricalFocalCrossentropy(gamma=3.0), one_hot, probabilities),
    "generalized": (losses.CategoricalGeneralizedCrossEntropy(q=0.7), classes, probabilities),
    "binary": (losses.BinaryCrossentropy(from_logits=True, label_smoothing=0.2), bits, logits),
    "binary focal": (losses.BinaryFocalCrossentropy(apply_class_balancing=True), bits, probabilities),
    "huber": (losses.Huber(delta=0.5), numbers, logits),
    "log cosh": (losses.LogCosh(), numbers, logits),
    "hinge": (losses.Hinge(), bits, logits),
    "squared hinge": (losses.SquaredHinge(), 2 * bits - 1, logits),
    "cosine": (losses.CosineSimilarity(), numbers, logits),
    "divergence": (losses.KLDivergence(), probabilities[::-1], probabilities),
    "poisson": (losses.Poisson(), bits * 3, probabilities),
    "logarithmic": (losses.MeanSquaredLogarithmicError(), bits * 3, probabilities),
    "tversky": (losses.Tversky(alpha=0.3, beta=0.7, axis=-1), bits, probabilities),
}
results = {name: [float(loss(t, p)), float(loss(t, p, sample_weight=weights))] for name, (loss, t, p) in every.items()}
for reduction in ("sum", "none", "mean_with_sample_weight"):
    results[f"reduction {reduction}"] = losses.MeanSquaredError(reduction=reduction)(numbers, logits, weights)
results["functions"] = [
    np.mean(losses.mean_squared_error(numbers, logits)),
    np.mean(losses.categorical_crossentropy(one_hot, probabilities)),
    np.mean(losses.get("mae")(numbers, logits)),
]

x = rng.normal(size=(60, 5)).astype("float32")
labels = rng.randint(0, 4, 60)
targets = {True: labels, False: np.eye(4, dtype="float32")[labels]}
for name in ("ignored", "smoothed", "binary focal"):
    sparse = name == "ignored"
    model = keras.Sequential(
        [
            keras.Input((5,)),
            layers.Dense(4, activation="linear" if sparse else "sigmoid" if "b" in name[:1] else "softmax"),
        ]
    )
    random = np.random.RandomState(320)
    model.set_weights([random.normal(0, 0.4, w.shape) for w in model.get_weights()])
    model.compile(keras.optimizers.SGD(0.5), every[name][0])
    history = model.fit(x, targets[sparse], epochs=2, batch_size=20, shuffle=False, verbose=0)
    results[f"trained, {name}"] = [history.history["loss"], model.get_weights()[1]]
