"""An activation of your own is one formula: it computes, is differentiated and becomes C like a built-in one."""

import numpy as np

from nncompile import Input, Sequential, layers, ops, optimizers


def squareplus(x):
    return (x + ops.sqrt(ops.square(x) + 4.0)) / 2.0


print("on an array:", squareplus(np.array([-2.0, 0.0, 2.0])))

model = Sequential([Input((2,)), layers.Dense(16, activation=squareplus), layers.Dense(1)])
model.compile(loss="mse", optimizer=optimizers.Adam(0.01))
rng = np.random.default_rng(0)
x = rng.uniform(-1, 1, (1000, 2))
model.fit(x, x[:, 0] * x[:, 1], epochs=30, verbose=0)
print("mean squared error of x0 * x1:", model.evaluate(x, x[:, 0] * x[:, 1], verbose=0))

print("and in C:")
print(*(line.strip() for line in model.source().splitlines() if "nn_sqrt(" in line and "return" not in line), sep="\n")
