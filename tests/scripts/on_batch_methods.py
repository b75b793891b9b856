"""A training loop written by hand: train_on_batch, test_on_batch, predict_on_batch, metrics carried or reset."""

import keras
import numpy as np
from keras import layers

rng = np.random.RandomState(34)
x = rng.normal(size=(96, 8)).astype("float32")
y = rng.randint(0, 3, 96)
weights = rng.uniform(0.5, 1.5, 96)

model = keras.Sequential(
    [keras.Input((8,)), layers.Dense(12, activation="relu"), layers.Dense(3, activation="softmax")]
)
model.set_weights([rng.normal(0, 0.4, w.shape) for w in model.get_weights()])
model.compile(keras.optimizers.SGD(0.2, momentum=0.9), "sparse_categorical_crossentropy", metrics=["accuracy"])

results = {"steps": [], "held": []}
for _ in range(2):
    for start in range(0, 72, 24):
        rows = slice(start, start + 24)
        results["steps"].append(model.train_on_batch(x[rows], y[rows]))
    results["held"].append(model.test_on_batch(x[72:], y[72:], return_dict=True))
results["dictionary"] = model.train_on_batch(x[:10], y[:10], return_dict=True)
results["weights of rows"] = model.train_on_batch(x[:10], y[:10], sample_weight=weights[:10])
results["weights of classes"] = model.train_on_batch(x[:10], y[:10], class_weight={0: 1.0, 1: 3.0, 2: 0.5})
results["test with weights"] = model.test_on_batch(x[:10], y[:10], sample_weight=weights[:10])
results["predicted"] = model.predict_on_batch(x[:3])
results["called"] = model(x[:3])
results["alike"] = bool(np.allclose(model.predict_on_batch(x[:3]), model.predict(x[:3], verbose=0), atol=1e-6))
results["iterations"] = int(model.optimizer.iterations)
model.reset_metrics()
results["at rest"] = [float(metric.result()) for metric in model.metrics[:1]]
