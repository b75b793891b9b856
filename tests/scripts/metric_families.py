"""Metrics: each family with update_state, result and weights, on arrays, then several of them in a compiled model."""

import keras
import numpy as np
from keras import layers, metrics

rng = np.random.RandomState(31)
truth = rng.randint(0, 2, (40, 1)).astype("float32")
score = np.clip(0.3 + 0.4 * truth + 0.25 * rng.normal(size=(40, 1)), 0.01, 0.99).astype("float32")
classes = rng.randint(0, 3, 40)
one_hot = np.eye(3, dtype="float32")[classes]
probabilities = rng.dirichlet(np.ones(3), 40).astype("float32")
numbers = rng.normal(size=(40, 2)).astype("float32")
guesses = (numbers + 0.5 * rng.normal(size=(40, 2))).astype("float32")
weights = rng.uniform(0.5, 2.0, 40).astype("float32")

binary = [
    metrics.BinaryAccuracy(threshold=0.6), metrics.BinaryCrossentropy(), metrics.AUC(num_thresholds=50),
    metrics.AUC(curve="PR", summation_method="majoring", name="pr"), metrics.Precision(thresholds=[0.3, 0.5, 0.7]),
    metrics.Recall(), metrics.TruePositives(), metrics.FalseNegatives(thresholds=0.4), metrics.BinaryIoU([0, 1], 0.5),
    metrics.SensitivityAtSpecificity(0.5), metrics.SpecificityAtSensitivity(0.5), metrics.PrecisionAtRecall(0.6),
    metrics.RecallAtPrecision(0.7),
]  # fmt: skip
categorical = [
    metrics.CategoricalAccuracy(), metrics.TopKCategoricalAccuracy(k=2), metrics.CategoricalCrossentropy(),
    metrics.F1Score(), metrics.FBetaScore(average="weighted", beta=0.5), metrics.KLDivergence(),
    metrics.CategoricalHinge(), metrics.OneHotMeanIoU(num_classes=3), metrics.CosineSimilarity(),
]  # fmt: skip
sparse = [
    metrics.SparseCategoricalAccuracy(), metrics.SparseTopKCategoricalAccuracy(k=2),
    metrics.SparseCategoricalCrossentropy(),
]  # fmt: skip
regression = [
    metrics.MeanSquaredError(), metrics.RootMeanSquaredError(), metrics.MeanAbsoluteError(),
    metrics.MeanAbsolutePercentageError(), metrics.LogCoshError(), metrics.R2Score(),
    metrics.R2Score(class_aggregation="variance_weighted_average", name="r2_by_variance"),
    metrics.PearsonCorrelation(), metrics.ConcordanceCorrelation(), metrics.Hinge(),
]  # fmt: skip
unweighted = (metrics.PearsonCorrelation, metrics.ConcordanceCorrelation, metrics.BinaryIoU)  # these count rows

results = {}
for kind, found, y_true, y_pred in (
    ("binary", binary, truth, score),
    ("categorical", categorical, one_hot, probabilities),
    ("sparse", sparse, classes, probabilities),
    ("regression", regression, numbers, guesses),
):
    values = results[kind] = {}
    for metric in found:
        for rows in (slice(0, 25), slice(25, None)):
            metric.update_state(y_true[rows], y_pred[rows])
        plain = np.array(metric.result())
        metric.reset_state()
        metric.update_state(y_true, y_pred, sample_weight=None if isinstance(metric, unweighted) else weights)
        values[metric.name] = [plain, np.array(metric.result())]

mean, total = metrics.Mean(), metrics.Sum()
for value in ([1.0, 3.0], [5.0]):
    mean.update_state(value)
    total.update_state(value)
results["reductions"] = [float(mean.result()), float(total.result()), float(metrics.Mean()([1, 3], [0.2, 0.8]))]
iou = metrics.MeanIoU(num_classes=3)
iou.update_state(classes, np.argmax(probabilities, axis=1))
results["mean IoU"] = float(iou.result())
wrapped = metrics.MeanMetricWrapper(lambda y_true, y_pred: np.abs(y_true - y_pred), name="gap")
results["names"] = [
    wrapped.name,
    type(metrics.get("mse")).__name__,
    metrics.MeanSquaredError().name,
    metrics.AUC().name,
]

model = keras.Sequential([keras.Input((2,)), layers.Dense(5, activation="tanh"), layers.Dense(3, activation="softmax")])
model.set_weights([rng.normal(0, 0.4, w.shape) for w in model.get_weights()])
model.compile(
    "sgd",
    "categorical_crossentropy",
    metrics=["acc", metrics.AUC(), metrics.TopKCategoricalAccuracy(k=2), metrics.F1Score(average="macro"), "mse"],
    weighted_metrics=[metrics.CategoricalAccuracy(name="weighted"), metrics.Precision()],
)
history = model.fit(numbers, one_hot, sample_weight=weights, epochs=2, batch_size=16, shuffle=False, verbose=0)
results["history"] = history.history
results["evaluate"] = model.evaluate(numbers, one_hot, sample_weight=weights, verbose=0, return_dict=True)
