"""Multi-label classification: words in a bag, several labels a row, thresholds and scores for each label."""

import keras
import numpy as np
from keras import layers

rng = np.random.RandomState(26)
words = rng.randint(0, 15, (90, 8))
labels = np.stack([np.any(words == k, axis=1) for k in range(4)], axis=1).astype("float32")

model = keras.Sequential(
    [
        keras.Input((8,), dtype="int32"),
        layers.CategoryEncoding(num_tokens=15, output_mode="multi_hot"),
        layers.Dense(10, activation="relu"),
        layers.Dense(4, activation="sigmoid"),
    ]
)
model.set_weights([rng.normal(0, 0.4, w.shape) for w in model.get_weights()])
model.compile(
    loss="binary_crossentropy",
    optimizer=keras.optimizers.Adam(0.02),
    metrics=[
        "binary_accuracy",
        keras.metrics.AUC(multi_label=True, num_labels=4, name="auc"),
        keras.metrics.F1Score(threshold=0.5, average="macro"),
        keras.metrics.F1Score(threshold=0.5, name="each"),
        keras.metrics.Precision(class_id=1, name="precision_of_1"),
        keras.metrics.Recall(top_k=2, name="recall_at_2"),
    ],
)
history = model.fit(words, labels, epochs=3, batch_size=30, validation_split=0.2, shuffle=False, verbose=0)
results = {
    "history": history.history,
    "evaluate": model.evaluate(words, labels, verbose=0, return_dict=True),
    "labels": (model.predict(words[:6], verbose=0) > 0.5).astype(int),
}
