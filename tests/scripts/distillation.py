"""Knowledge distillation: a small student learns a teacher's soft predictions and the labels, as two outputs."""

import keras
import numpy as np
from keras import layers, ops

rng = np.random.RandomState(39)
x = rng.normal(size=(80, 6)).astype("float32")
y = np.argmax(x[:, :3], axis=1)
temperature = 3.0


def start(model):
    model.set_weights([rng.normal(0, 0.4, w.shape) for w in model.get_weights()])


teacher = keras.Sequential([keras.Input((6,)), layers.Dense(16, activation="relu"), layers.Dense(3)], name="teacher")
start(teacher)
teacher.compile(
    keras.optimizers.Adam(0.02),
    keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    metrics=[keras.metrics.SparseCategoricalAccuracy()],
)
results = {"teacher": teacher.fit(x, y, epochs=3, batch_size=20, shuffle=False, verbose=0).history}
teacher.trainable = False
soft = np.array(ops.softmax(teacher.predict(x, verbose=0) / temperature, axis=1))

inputs = keras.Input((6,))
logits = layers.Dense(3, name="hard")(layers.Dense(4, activation="relu")(inputs))
softened = layers.Softmax(name="soft")(logits / temperature)
student = keras.Model(inputs, {"hard": logits, "soft": softened})
start(student)
student.compile(
    keras.optimizers.Adam(0.02),
    loss={"hard": keras.losses.SparseCategoricalCrossentropy(from_logits=True), "soft": keras.losses.KLDivergence()},
    loss_weights={"hard": 0.1, "soft": 0.9 * temperature**2},
    metrics={"hard": [keras.metrics.SparseCategoricalAccuracy(name="accuracy")]},
)
history = student.fit(x, {"hard": y, "soft": soft}, epochs=3, batch_size=20, shuffle=False, verbose=0)
results["student"] = history.history
results["evaluate"] = student.evaluate(x, {"hard": y, "soft": soft}, verbose=0, return_dict=True)
results["soft targets"] = soft[:3]
results["predict"] = student.predict(x[:3], verbose=0)
