"""scikit-learn: a network as a classifier and one as a regressor, with words for classes."""

import keras
import numpy as np
from keras import layers
from keras.wrappers import SKLearnClassifier, SKLearnRegressor

rng = np.random.RandomState(36)
x = rng.normal(size=(90, 4))
kinds = np.array(["low", "mid", "top"])[np.digitize(x[:, 0], [-0.4, 0.4])]


def network(X, y, loss, activation=None, width=8):
    random = np.random.RandomState(360)
    made = keras.Sequential(
        [keras.Input(X.shape[1:]), layers.Dense(width, activation="relu"), layers.Dense(y.shape[1], activation)]
    )
    made.set_weights([random.normal(0, 0.4, w.shape) for w in made.get_weights()])
    made.compile(keras.optimizers.Adam(0.02), loss)
    return made


fit = {"epochs": 3, "batch_size": 30, "shuffle": False, "verbose": 0}
classifier = SKLearnClassifier(
    network, model_kwargs={"loss": "categorical_crossentropy", "activation": "softmax"}, fit_kwargs=fit
)
classifier.fit(x, kinds)
results = {
    "classes": classifier.classes_,
    "predicted": classifier.predict(x[:12]),
    "outputs": classifier.decision_function(x[:3]),
    "score": classifier.score(x, kinds),
    "loss": classifier.history_.history["loss"],
    "parameters": sorted(classifier.get_params()),
}
regressor = SKLearnRegressor(network, model_kwargs={"loss": "mse", "width": 5}, fit_kwargs=fit)
target = x @ np.arange(4.0)
regressor.fit(x, target)
results["regression"] = regressor.predict(x[:5])
results["R2"] = regressor.score(x, target)
