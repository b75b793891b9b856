"""A siamese network: the same tower for both sides, cosine of their codes, a distance, and a contrastive loss."""

import keras
import numpy as np
from keras import layers, ops

rng = np.random.RandomState(27)
kinds = rng.randint(0, 3, (2, 60))
centres = rng.normal(size=(3, 6)) * 2
left, right = ((centres[k] + 0.3 * rng.normal(size=(60, 6))).astype("float32") for k in kinds)
same = (kinds[0] != kinds[1]).astype("float32").reshape(-1, 1)


def start(model):
    model.set_weights([rng.normal(0, 0.4, w.shape) for w in model.get_weights()])


def euclidean_distance(vectors):
    x, y = vectors
    sum_square = ops.sum(ops.square(x - y), axis=1, keepdims=True)
    return ops.sqrt(ops.maximum(sum_square, keras.config.epsilon()))


def contrastive(margin=1):
    def contrastive_loss(y_true, y_pred):
        square_pred = ops.square(y_pred)
        margin_square = ops.square(ops.maximum(margin - y_pred, 0))
        return ops.mean((1 - y_true) * square_pred + y_true * margin_square)

    return contrastive_loss


def tower():
    inputs = keras.Input((6,))
    x = layers.BatchNormalization(momentum=0.7)(inputs)
    x = layers.Dense(8, activation="tanh")(x)
    return keras.Model(inputs, layers.Dense(4, activation="tanh")(x), name="tower")


embed = tower()
input_1, input_2 = keras.Input((6,)), keras.Input((6,))
merged = layers.Lambda(euclidean_distance, output_shape=(1,))([embed(input_1), embed(input_2)])
normal = layers.BatchNormalization(momentum=0.7)(merged)
model = keras.Model([input_1, input_2], layers.Dense(1, activation="sigmoid")(normal))
for weight in model.trainable_weights:
    weight.assign(rng.normal(0.2, 0.4, weight.shape))
model.compile(loss=contrastive(margin=1), optimizer="rmsprop", metrics=["accuracy"])
history = model.fit([left, right], same, epochs=3, batch_size=20, shuffle=False, verbose=0)
results = {
    "history": history.history,
    "evaluate": model.evaluate([left, right], same, verbose=0),
    "predict": model.predict([left[:4], right[:4]], verbose=0),
}

embed = keras.Sequential([keras.Input((6,)), layers.Dense(5, activation="tanh")])
cosine = layers.Dot(axes=1, normalize=True)([embed(input_1), embed(input_2)])
similar = keras.Model([input_1, input_2], cosine)
start(similar)
similar.compile("sgd", "mse")
results["cosine loss"] = similar.fit([left, right], 1 - same, epochs=2, batch_size=20, shuffle=False, verbose=0).history
results["cosines"] = similar.predict([left[:4], right[:4]], verbose=0)
