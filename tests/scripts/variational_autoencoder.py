"""A variational autoencoder: a layer draws codes while training; what is compared are the sure parts of it."""

import keras
import numpy as np
from keras import layers, ops

rng = np.random.RandomState(38)
x = rng.uniform(size=(48, 8)).astype("float32")


class Sampling(layers.Layer):
    """Draws from a normal distribution while training, and is its mean otherwise; adds the divergence to the loss."""

    def __init__(self, weight=0.1, seed=1337, **kwargs):
        super().__init__(**kwargs)
        self.weight = weight
        self.seed_generator = keras.random.SeedGenerator(seed)

    def call(self, inputs, training=False):
        z_mean, z_log_var = inputs
        divergence = -0.5 * ops.mean(z_log_var - ops.square(z_mean) - ops.exp(z_log_var) + 1)
        self.add_loss(self.weight * divergence)
        if not training:
            return z_mean
        epsilon = keras.random.normal(shape=ops.shape(z_mean), seed=self.seed_generator)
        return z_mean + ops.exp(0.5 * z_log_var) * epsilon


inputs = keras.Input((8,))
h = layers.Dense(6, activation="relu")(inputs)
z_mean = layers.Dense(2, name="z_mean")(h)
z_log_var = layers.Dense(2, name="z_log_var")(h)
z = Sampling()([z_mean, z_log_var])
encoder = keras.Model(inputs, [z_mean, z_log_var, z], name="encoder")
latent = keras.Input((2,))
h = layers.Dense(6, activation="relu")(latent)
decoder = keras.Model(latent, layers.Dense(8, activation="sigmoid")(h), name="decoder")
vae = keras.Model(inputs, decoder(encoder(inputs)[2]), name="vae")
for model in (encoder, decoder):
    model.set_weights([rng.normal(0, 0.3, w.shape) for w in model.get_weights()])
vae.compile(keras.optimizers.Adam(0.01), "binary_crossentropy")
results = {
    "codes": encoder.predict(x[:3], verbose=0),
    "evaluate": vae.evaluate(x, x, verbose=0),
    "predict": vae.predict(x[:3], verbose=0),
    "grid": decoder.predict(np.array([[-1.0, 0.0], [1.0, 1.0]], "float32"), verbose=0),
}
history = vae.fit(x, x, epochs=2, batch_size=16, shuffle=False, verbose=0)
results["trained"] = [len(history.history["loss"]), bool(np.all(np.isfinite(history.history["loss"])))]
results["moved"] = bool(np.any(vae.predict(x[:3], verbose=0) != results["predict"]))
