"""Recommendations: a class with embeddings of users and films, their product and two biases."""

import keras
import numpy as np
from keras import layers, ops

rng = np.random.RandomState(28)
users, films = 9, 12
pairs = np.stack([rng.randint(0, users, 120), rng.randint(0, films, 120)], axis=1)
ratings = ((pairs[:, 0] * 3 + pairs[:, 1] * 5) % 7 / 6.0).astype("float32")


class RecommenderNet(keras.Model):
    def __init__(self, num_users, num_films, embedding_size, **kwargs):
        super().__init__(**kwargs)
        regularizer = keras.regularizers.l2(1e-4)
        self.user_embedding = layers.Embedding(
            num_users, embedding_size, embeddings_initializer="he_normal", embeddings_regularizer=regularizer
        )
        self.user_bias = layers.Embedding(num_users, 1)
        self.film_embedding = layers.Embedding(
            num_films, embedding_size, embeddings_initializer="he_normal", embeddings_regularizer=regularizer
        )
        self.film_bias = layers.Embedding(num_films, 1)

    def call(self, inputs):
        user_vector = self.user_embedding(inputs[:, 0])
        user_bias = self.user_bias(inputs[:, 0])
        film_vector = self.film_embedding(inputs[:, 1])
        film_bias = self.film_bias(inputs[:, 1])
        product = ops.sum(user_vector * film_vector, axis=1, keepdims=True)
        return ops.nn.sigmoid(product + user_bias + film_bias)


model = RecommenderNet(users, films, 4)
model(pairs[:1])
model.set_weights([rng.normal(0, 0.4, w.shape) for w in model.get_weights()])
model.compile(loss=keras.losses.BinaryCrossentropy(), optimizer=keras.optimizers.Adam(learning_rate=0.01))
history = model.fit(
    x=pairs[:100], y=ratings[:100], batch_size=25, epochs=3, shuffle=False, verbose=0,
    validation_data=(pairs[100:], ratings[100:]),
)  # fmt: skip
unseen = np.stack([np.full(films, 2), np.arange(films)], axis=1)
scores = model.predict(unseen, verbose=0).flatten()
results = {"history": history.history, "scores": scores, "best": scores.argsort()[-3:][::-1]}
