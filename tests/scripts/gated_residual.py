"""Structured data: gated residual networks and a selection of variables, as layers of layers."""

import keras
import numpy as np
from keras import layers, ops

rng = np.random.RandomState(23)
x = rng.normal(size=(60, 4)).astype("float32")
y = (x[:, :1] * x[:, 1:2] > 0).astype("float32")


class GatedLinearUnit(layers.Layer):
    def __init__(self, units):
        super().__init__()
        self.linear = layers.Dense(units)
        self.sigmoid = layers.Dense(units, activation="sigmoid")

    def call(self, inputs):
        return self.linear(inputs) * self.sigmoid(inputs)


class GatedResidualNetwork(layers.Layer):
    def __init__(self, units, dropout_rate):
        super().__init__()
        self.units = units
        self.elu_dense = layers.Dense(units, activation="elu")
        self.linear_dense = layers.Dense(units)
        self.dropout = layers.Dropout(dropout_rate)
        self.gated_linear_unit = GatedLinearUnit(units)
        self.layer_norm = layers.LayerNormalization()
        self.project = layers.Dense(units)

    def call(self, inputs):
        x = self.elu_dense(inputs)
        x = self.linear_dense(x)
        x = self.dropout(x)
        if inputs.shape[-1] != self.units:
            inputs = self.project(inputs)
        x = inputs + self.gated_linear_unit(x)
        return self.layer_norm(x)


class VariableSelection(layers.Layer):
    def __init__(self, num_features, units, dropout_rate):
        super().__init__()
        self.units = units
        self.grns = [GatedResidualNetwork(units, dropout_rate) for _ in range(num_features)]
        self.grn_concat = GatedResidualNetwork(units, dropout_rate)
        self.softmax = layers.Dense(units=num_features, activation="softmax")

    def call(self, inputs):
        v = self.softmax(self.grn_concat(layers.concatenate(inputs)))
        chosen = [grn(one) * v[:, i : i + 1] for i, (grn, one) in enumerate(zip(self.grns, inputs, strict=True))]
        return ops.sum(ops.stack(chosen, axis=1), axis=1)


inputs = [keras.Input((1,), name=f"feature_{i}") for i in range(3)]
features = VariableSelection(3, 4, 0.0)([layers.Dense(4)(one) for one in inputs])
model = keras.Model(inputs, layers.Dense(1, activation="sigmoid")(features))
for weight in model.trainable_weights:
    weight.assign(rng.normal(0, 0.4, weight.shape))
model.compile(keras.optimizers.Adam(0.01), "binary_crossentropy", metrics=["accuracy"])
columns = [x[:, i : i + 1] for i in range(3)]
history = model.fit(columns, y, epochs=2, batch_size=20, shuffle=False, verbose=0)
results = {
    "count": model.count_params(),
    "history": history.history,
    "predict": model.predict([one[:4] for one in columns], verbose=0),
}
