"""Training and evaluation: losses of one's own, as a function, as a class with arguments, for quantiles."""

import keras
import numpy as np
from keras import layers, ops

rng = np.random.RandomState(7)
x = rng.normal(size=(64, 5)).astype("float32")
y = (x @ rng.normal(size=(5, 1)) + 0.2 * rng.normal(size=(64, 1))).astype("float32")


def custom_mean_squared_error(y_true, y_pred):
    return ops.mean(ops.square(y_true - y_pred), axis=-1)


@keras.saving.register_keras_serializable(package="own_losses")
class PullToHalf(keras.losses.Loss):
    """Squared errors, and a penalty of predictions far from one half."""

    def __init__(self, regularization_factor=0.1, name="pull_to_half", **kwargs):
        super().__init__(name=name, **kwargs)
        self.regularization_factor = regularization_factor

    def call(self, y_true, y_pred):
        mse = ops.mean(ops.square(y_true - y_pred), axis=-1)
        return mse + ops.mean(ops.square(0.5 - y_pred), axis=-1) * self.regularization_factor

    def get_config(self):
        return {**super().get_config(), "regularization_factor": self.regularization_factor}


def quantile_loss(quantiles):
    def loss(y_true, y_pred):
        total = 0.0
        for i, q in enumerate(quantiles):
            error = y_true[:, 0] - y_pred[:, i]
            total = total + ops.maximum(q * error, (q - 1.0) * error)
        return total

    return loss


def train(loss, outputs=1):
    random = np.random.RandomState(70)
    model = keras.Sequential([keras.Input((5,)), layers.Dense(6, activation="tanh"), layers.Dense(outputs)])
    model.set_weights([random.normal(0, 0.4, w.shape) for w in model.get_weights()])
    model.compile(optimizer="adam", loss=loss)
    history = model.fit(x, y, batch_size=16, epochs=3, shuffle=False, verbose=0)
    return history.history["loss"], model.predict(x[:3], verbose=0)


results = {
    "function": train(custom_mean_squared_error),
    "class": train(PullToHalf(0.3)),
    "quantiles": train(quantile_loss([0.1, 0.5, 0.9]), outputs=3),
    "of arrays": PullToHalf()(y[:4], y[4:8]),
    "not reduced": PullToHalf(reduction="none")(y[:4], y[4:8]),
    "from a configuration": PullToHalf.from_config(PullToHalf(0.7).get_config()).regularization_factor,
}
