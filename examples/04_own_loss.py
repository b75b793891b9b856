"""A loss of your own: the pinball loss, whose minimum is a quantile instead of the mean."""

import numpy as np

from nncompile import Input, Sequential, layers, ops


def pinball(y_true, y_pred, share=0.9):
    error = y_true - y_pred
    return ops.mean(ops.maximum(share * error, (share - 1.0) * error), axis=-1)


rng = np.random.default_rng(0)
x = rng.uniform(0, 1, (5000, 1))
y = x + rng.normal(size=x.shape) * (0.1 + 0.4 * x)  # the noise grows with x

model = Sequential([Input((1,)), layers.Dense(32, activation="tanh"), layers.Dense(1)])
model.compile(loss=pinball, optimizer="adam")
model.fit(x, y, batch_size=50, epochs=40, verbose=0)
below = np.mean(y <= model.predict(x, verbose=0))
print(f"{below:.1%} of the samples are below the curve that should have 90 % below it")
assert 0.87 < below < 0.93
