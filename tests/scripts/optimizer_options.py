"""Optimizers: clipping, decay of weights, running means of weights, gradients added up over steps, the rate changed."""

import keras
import numpy as np
from keras import layers, optimizers

rng = np.random.RandomState(30)
x = rng.normal(size=(64, 5)).astype("float32")
y = (3 * x @ rng.normal(size=(5, 1))).astype("float32")


def make(optimizer):
    random = np.random.RandomState(300)
    model = keras.Sequential([keras.Input((5,)), layers.Dense(6, activation="tanh"), layers.Dense(1)])
    model.set_weights([random.normal(0, 0.4, w.shape) for w in model.get_weights()])
    model.compile(optimizer, "mse")
    return model


def train(optimizer, callbacks=None):
    model = make(optimizer)
    history = model.fit(x, y, epochs=3, batch_size=16, shuffle=False, verbose=0, callbacks=callbacks)
    return {"loss": history.history["loss"], "bias": model.layers[0].get_weights()[1], "last": model.get_weights()[-1]}


results = {
    "clipnorm": train(optimizers.SGD(0.1, clipnorm=0.5)),
    "global clipnorm": train(optimizers.Adam(0.02, global_clipnorm=0.5)),
    "clipvalue": train(optimizers.RMSprop(0.02, clipvalue=0.1)),
    "running means": train(optimizers.Adam(0.02, use_ema=True, ema_momentum=0.8)),
    "overwritten": train(optimizers.SGD(0.05, use_ema=True, ema_momentum=0.7, ema_overwrite_frequency=3)),
    "accumulated": train(optimizers.SGD(0.05, momentum=0.9, gradient_accumulation_steps=2)),
}

optimizer = optimizers.AdamW(0.02, weight_decay=0.1)
optimizer.exclude_from_weight_decay(var_names=["bias"])
results["decay"] = train(optimizer)

model = make(optimizers.Adam(0.02, use_ema=True, ema_momentum=0.8))
swap = keras.callbacks.SwapEMAWeights(swap_on_epoch=True)
history = model.fit(x, y, epochs=2, batch_size=16, shuffle=False, verbose=0, validation_data=(x, y), callbacks=[swap])
results["validated with means"] = history.history

# names of variables, and a rate that is set while training goes on
model = make("adam")
model.train_on_batch(x, y)
results["variables"] = [v.name for v in model.optimizer.variables]
model.optimizer.learning_rate = 0.5
results["after a change"] = [float(model.train_on_batch(x, y)), float(model.train_on_batch(x, y))]
results["configuration"] = {
    name: value
    for name, value in optimizers.Nadam(0.1, beta_1=0.8, clipnorm=1.0).get_config().items()
    if name in ("name", "beta_1", "clipnorm", "weight_decay", "use_ema")
}
