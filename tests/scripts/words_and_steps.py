"""Text without recurrence: padded sequences, embeddings with positions, normalised steps, pooled over them."""

import keras
import numpy as np
from keras import layers, ops

rng = np.random.RandomState(40)
sentences = [list(rng.randint(1, 20, rng.randint(2, 9))) for _ in range(60)]
x = keras.utils.pad_sequences(sentences, maxlen=6, padding="post", truncating="post")
y = keras.utils.to_categorical([len(s) % 3 for s in sentences], num_classes=3)


class PositionEmbedding(layers.Layer):
    def __init__(self, length, words, width, **kwargs):
        super().__init__(**kwargs)
        self.token_emb = layers.Embedding(words, width)
        self.position = self.add_weight(shape=(length, width), initializer="uniform", name="position")

    def call(self, x):
        return self.token_emb(x) + self.position


inputs = keras.Input((6,), dtype="int32")
h = layers.Embedding(20, 4)(inputs)
h = layers.SpatialDropout1D(0.0)(h)
h = layers.LayerNormalization()(h)
h = layers.TimeDistributed(layers.Dense(5, activation="relu"))(h)
first = layers.GlobalMaxPooling1D()(h)
second = layers.GlobalAveragePooling1D()(layers.MaxPooling1D(2)(h))
outputs = layers.Dense(3, activation="softmax")(layers.concatenate([first, second]))
model = keras.Model(inputs, outputs)
model.set_weights([rng.normal(0.1, 0.4, w.shape) for w in model.get_weights()])
model.compile(keras.optimizers.Adam(0.02), "categorical_crossentropy", metrics=["accuracy"])
results = {
    "padded": x[:4],
    "history": model.fit(x, y, epochs=3, batch_size=20, shuffle=False, verbose=0).history,
    "predict": model.predict(x[:4], verbose=0),
}

embedding = PositionEmbedding(6, 20, 4)
embedding(x[:1])
embedding.set_weights([rng.normal(size=w.shape) for w in embedding.get_weights()])
results["with positions"] = ops.mean(embedding(x[:3]), axis=1)
results["shapes"] = [list(w.shape) for w in embedding.weights]
