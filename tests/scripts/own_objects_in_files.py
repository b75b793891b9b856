"""Serialization: layers, losses and activations of one's own in files, registered or given when a file is loaded."""

import keras
import numpy as np
from keras import layers, ops

rng = np.random.RandomState(18)
x = rng.normal(size=(64, 5)).astype("float32")
y = (x @ rng.normal(size=(5, 1))).astype("float32")


@keras.saving.register_keras_serializable(package="serialization")
class Scale(layers.Layer):
    def __init__(self, factor, **kwargs):
        super().__init__(**kwargs)
        self.factor = factor

    def build(self, input_shape):
        self.offset = self.add_weight(shape=(input_shape[-1],), initializer="zeros", name="offset")

    def call(self, inputs):
        return inputs * self.factor + self.offset

    def get_config(self):
        return {**super().get_config(), "factor": self.factor}


@keras.saving.register_keras_serializable(package="serialization", name="bent")
def bent_identity(x):
    return (ops.sqrt(ops.square(x) + 1.0) - 1.0) / 2.0 + x


@keras.saving.register_keras_serializable(package="serialization")
class Wrapper(layers.Layer):
    """Holds another layer, which its configuration describes."""

    def __init__(self, sublayer, **kwargs):
        super().__init__(**kwargs)
        self.sublayer = sublayer

    def call(self, inputs):
        return self.sublayer(inputs)

    def get_config(self):
        return {**super().get_config(), "sublayer": keras.saving.serialize_keras_object(self.sublayer)}

    @classmethod
    def from_config(cls, config):
        sublayer = keras.saving.deserialize_keras_object(config.pop("sublayer"))
        return cls(sublayer, **config)


@keras.saving.register_keras_serializable(package="serialization")
class Net(keras.Model):
    def __init__(self, units, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.body = Wrapper(layers.Dense(units, activation=bent_identity))
        self.scale = Scale(0.5)
        self.head = layers.Dense(1)

    def call(self, inputs):
        return self.head(self.scale(self.body(inputs)))

    def get_config(self):
        return {**super().get_config(), "units": self.units}


class Own(layers.Layer):  # not registered
    def call(self, inputs):
        return ops.tanh(inputs) * 2.0


def worst(y_true, y_pred):  # not registered
    return ops.max(ops.abs(y_true - y_pred), axis=-1)


model = Net(6)
model(x[:1])
model.set_weights([rng.normal(0, 0.4, w.shape) for w in model.get_weights()])
model.compile("sgd", "mse")
results = {"loss": model.fit(x, y, epochs=2, batch_size=16, shuffle=False, verbose=0).history["loss"]}
model.save("net.keras")
again = keras.models.load_model("net.keras")
results["again"] = [type(again).__name__, again.units, again.scale.factor, again.count_params()]
results["outputs"] = again.predict(x[:3], verbose=0)
results["registered"] = [
    keras.saving.get_registered_name(Scale),
    keras.saving.get_registered_name(bent_identity),
    keras.saving.get_registered_object("serialization>Scale") is Scale,
]
config = keras.saving.serialize_keras_object(Scale(3.0, name="three"))
results["a layer"] = [config["registered_name"], config["config"]["factor"], config["config"]["name"]]

plain = keras.Sequential([keras.Input((5,)), layers.Dense(3), Own(), layers.Dense(1)])
plain.set_weights([rng.normal(0, 0.4, w.shape) for w in plain.get_weights()])
plain.compile("sgd", worst)
plain.save("plain.keras")
objects = {"Own": Own, "worst": worst}
given = keras.models.load_model("plain.keras", custom_objects=objects)
results["given"] = given.predict(x[:3], verbose=0)
with keras.saving.custom_object_scope(objects):
    scoped = keras.models.load_model("plain.keras")
results["in a scope"] = scoped.evaluate(x, y, verbose=0)
