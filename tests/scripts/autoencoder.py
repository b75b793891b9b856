"""An autoencoder: encoder and decoder as models on the same layers, noise taken away, sparse codes, errors of rows."""

import keras
import numpy as np
from keras import layers, regularizers

rng = np.random.RandomState(37)
basis = rng.uniform(size=(3, 10))
x = (rng.uniform(size=(80, 3)) @ basis / 2.5).clip(0, 1).astype("float32")
noisy = np.clip(x + 0.1 * rng.normal(size=x.shape), 0.0, 1.0).astype("float32")

encoder_input = keras.Input((10,), name="original")
h = layers.Dense(6, activation="relu")(encoder_input)
code = layers.Dense(3, activation="relu", activity_regularizer=regularizers.L1(1e-3), name="code")(h)
encoder = keras.Model(encoder_input, code, name="encoder")
decoder_input = keras.Input((3,), name="encoded")
h = layers.Dense(6, activation="relu")(decoder_input)
decoder = keras.Model(decoder_input, layers.Dense(10, activation="sigmoid")(h), name="decoder")
autoencoder = keras.Model(encoder_input, decoder(encoder(encoder_input)), name="autoencoder")
for model in (encoder, decoder):
    model.set_weights([rng.normal(0.1, 0.4, w.shape) for w in model.get_weights()])
autoencoder.compile(optimizer=keras.optimizers.Adam(0.01), loss="binary_crossentropy")
history = autoencoder.fit(
    noisy, x, epochs=4, batch_size=20, shuffle=False, verbose=0, validation_data=(noisy[:20], x[:20])
)
codes = encoder.predict(x[:5], verbose=0)
decoded = decoder.predict(codes, verbose=0)
errors = np.mean(np.abs(autoencoder.predict(x, verbose=0) - x), axis=1)
results = {
    "history": history.history,
    "codes": codes,
    "decoded": decoded,
    "both ways": bool(np.allclose(decoded, autoencoder.predict(x[:5], verbose=0), atol=1e-5)),
    "threshold": float(np.mean(errors) + np.std(errors)),
    "anomalies": int(np.sum(errors > np.mean(errors) + np.std(errors))),
}
