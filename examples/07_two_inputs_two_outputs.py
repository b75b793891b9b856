"""A graph: numbers and categories in, a price and a class out, with a weight for each loss."""

import numpy as np

import nncompile as keras
from nncompile import layers

rng = np.random.default_rng(0)
size = rng.uniform(20, 200, (2000, 1)).astype("float32")
rooms = (size // 25 + rng.integers(0, 2, size.shape)).astype("float32")
town = rng.integers(0, 12, (2000, 1))
price = size * (2.0 + town % 4) + 10 * rooms
sold = (price[:, 0] / size[:, 0] < 4.0).astype("int64")

numbers = keras.Input((2,), name="numbers")
place = keras.Input((1,), name="place")
scale = layers.Normalization()
scale.adapt(np.concatenate([size, rooms], axis=1))
where = layers.Flatten()(layers.Embedding(12, 4)(place))
hidden = layers.Concatenate()([scale(numbers), where])
hidden = layers.Dense(64)(hidden)
hidden = layers.ReLU()(layers.BatchNormalization()(hidden))
hidden = layers.Add()([hidden, layers.Dense(64, activation="relu")(hidden)])
outputs = {
    "price": layers.Dense(1, name="price")(hidden),
    "sold": layers.Dense(2, activation="softmax", name="sold")(hidden),
}
model = keras.Model({"numbers": numbers, "place": place}, outputs)
model.summary()

model.compile(
    keras.optimizers.AdamW(keras.optimizers.schedules.CosineDecay(0.02, 20 * 50), clipvalue=1.0),
    loss={"price": "huber", "sold": "sparse_categorical_crossentropy"},
    loss_weights={"price": 0.01, "sold": 1.0},
    metrics={"price": ["mae"], "sold": ["accuracy"]},
)
history = model.fit(
    {"numbers": np.concatenate([size, rooms], axis=1), "place": town},
    {"price": price, "sold": sold},
    batch_size=32,
    epochs=20,
    validation_split=0.2,
    verbose=0,
)
for name in ("price_mae", "sold_accuracy", "val_sold_accuracy"):
    print(f"{name}: {history.history[name][0]:.3f} -> {history.history[name][-1]:.3f}")
assert history.history["val_sold_accuracy"][-1] > 0.8
# with pandas: pandas.DataFrame(history.history).plot()

report = model.export("out/houses.c")
print(f"{report.source}: {report.weights} bytes of weights, {report.workspace} of workspace")
