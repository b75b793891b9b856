"""Layers of one's own: parts of weights, tokens for each sample, statistics of a batch."""

import keras
import numpy as np
from keras import layers, ops

rng = np.random.RandomState(31)
x = rng.normal(size=(24, 5)).astype("float32")
y = rng.normal(size=(24, 5)).astype("float32")
results = {}


def trained(name, layer, behind=True, epochs=2):
    inputs = keras.Input((5,))
    model = keras.Model(inputs, layer(layers.Dense(5)(inputs) if behind else inputs))
    model.set_weights([rng.normal(0, 0.5, w.shape) for w in model.get_weights()])
    model.compile(keras.optimizers.SGD(0.05), "mse")
    history = model.fit(x, y, batch_size=8, epochs=epochs, shuffle=False, verbose=0)
    results[name] = {"loss": history.history["loss"], "weights": layer.get_weights()}
    results[name]["predict"] = model.predict(x[:10], batch_size=4, verbose=0)


class Parts(layers.Layer):
    """Numbers of weights in other places."""

    def build(self, input_shape):
        self.bank = self.add_weight(shape=(4, 5), name="bank")
        self.long = self.add_weight(shape=(7,), name="long")
        self.row = self.add_weight(shape=(1, 5), name="row")

    def call(self, x):
        scale, shift = ops.split(self.long, [2])
        x = ops.slice_update(x, (0, 1), x[:, 2:4] * 2.0)
        x = x * self.bank[0] + scale[1] * self.bank[1:3, ::-1][1]
        x = x + shift * ops.flip(self.row[0]) - ops.roll(shift, 2)
        x = x * ops.squeeze(self.row, 0) + ops.expand_dims(shift, 0)
        x = x + ops.take(self.long, [6, 0, 0, 3, 2]) * self.long[None, 1:6]
        x = x - ops.sum(ops.stack([shift, self.bank[3]]), axis=0) * ops.concatenate([scale, self.long[4:]])
        square = ops.reshape(ops.concatenate([self.bank, self.row, self.bank]), (9, 5))[2:7]
        x = ops.matmul(x, ops.tril(square)) + ops.matmul(ops.matmul(x, ops.transpose(self.bank)), self.bank)
        return x + ops.matmul(x, ops.diag(shift))


class Activated(layers.Layer):
    """Activations of weights: positive ones, and gates."""

    def build(self, input_shape):
        self.scale = self.add_weight(shape=(5,), name="scale")
        self.bank = self.add_weight(shape=(3, 5), name="bank")

    def call(self, x):
        positive = x * ops.softplus(self.scale) + ops.relu(self.bank)[1]
        gates = keras.activations.sigmoid(ops.concatenate([self.bank, self.bank[:2]]))
        return positive + ops.matmul(x, gates) * ops.leaky_relu(self.scale)


class Tokens(layers.Layer):
    """What is the same for all samples beside what is not."""

    def build(self, input_shape):
        self.tokens = self.add_weight(shape=(2, 5), name="tokens")
        self.place = self.add_weight(shape=(1, 5), name="place")

    def call(self, x):
        batch = ops.shape(x)[0]
        tokens = ops.broadcast_to(self.tokens, (batch, 2, 5))
        first = ops.tile(ops.expand_dims(self.tokens, 0), (batch, 1, 1))
        sequence = ops.concatenate([tokens, ops.expand_dims(x, 1), first * 0.5], axis=1)
        scores = ops.softmax(ops.matmul(sequence, ops.swapaxes(sequence, 1, 2)))
        x = ops.mean(ops.matmul(scores, sequence), axis=1) + ops.repeat(self.place, batch, axis=0)
        x = ops.concatenate([x[:, :4], ops.ones((batch, 1)), ops.zeros((batch, 2))], axis=-1)
        return x[:, 1:6] * ops.full((batch, 1), 1.5) + ops.broadcast_to(self.place, ops.shape(x[:, :5]))


class Whitened(layers.Layer):
    """Statistics of the batch, through which gradients go."""

    def build(self, input_shape):
        self.scale = self.add_weight(shape=(5,), initializer="ones", name="scale")

    def call(self, x):
        mean, variance = ops.moments(x, axes=[0])
        x = (x - mean) / ops.sqrt(variance + 1e-3) * self.scale
        x = x + 0.1 * ops.sum(ops.tanh(x), axis=0, keepdims=True)
        return ops.normalize(x, axis=0) + 0.1 * (x - ops.mean(x, axis=0)) / (ops.std(x, axis=0) + 0.5)


trained("parts", Parts())
trained("activated", Activated())
trained("activated inputs", Activated(), behind=False)
trained("tokens", Tokens())
trained("whitened", Whitened())
