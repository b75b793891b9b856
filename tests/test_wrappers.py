"""The estimators keep scikit-learn's rules, as its own checks have them, and Keras' interface."""

from __future__ import annotations

import inspect
import pickle
import subprocess
import sys
import unittest
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import nncompile as nn
from nncompile.errors import ModelError

pytestmark = pytest.mark.quick_c

sklearn = pytest.importorskip("sklearn", reason="an optional package: the extra [sklearn]")

from sklearn.base import clone  # noqa: E402
from sklearn.utils.estimator_checks import estimator_checks_generator  # noqa: E402

from nncompile.wrappers import SKLearnClassifier, SKLearnRegressor, SKLearnTransformer  # noqa: E402


def network(X: Any, y: Any, loss: str = "mse", activation: str = "linear", seed: int = 1) -> nn.Sequential:
    """A network for the data that it gets, which always begins with the same weights."""
    nn.utils.set_random_seed(seed)
    layers = [nn.layers.Dense(8, activation="relu"), nn.layers.Dense(y.shape[1], activation=activation)]
    made = nn.Sequential([nn.Input(X.shape[1:]), *layers])
    made.compile("rmsprop", loss)
    return made


SETTINGS = {"loss": "categorical_crossentropy", "activation": "softmax"}
ESTIMATORS = [
    SKLearnClassifier(network, model_kwargs=SETTINGS, fit_kwargs={"epochs": 30, "verbose": 0}),
    SKLearnRegressor(network, fit_kwargs={"verbose": 0}),
    SKLearnTransformer(network, fit_kwargs={"verbose": 0}),
]
TWO_COLUMNS = "decision_function returns the model's outputs, as Keras' does; for two classes these are two columns"
EXPECTED = {"check_classifiers_train": TWO_COLUMNS, "check_classifiers_classes": TWO_COLUMNS}


def checks() -> Iterator[Any]:
    """All checks of all estimators; their names are the same in every process, as scikit-learn's own are not."""
    for estimator in ESTIMATORS:
        expected = EXPECTED if isinstance(estimator, SKLearnClassifier) else {}
        made = estimator_checks_generator(estimator, expected_failed_checks=expected, mark="xfail")
        for number, case in enumerate(made):
            values, marks = (case.values, case.marks) if hasattr(case, "marks") else (case, ())
            name = getattr(values[1], "func", values[1]).__name__
            yield pytest.param(*values, marks=marks, id=f"{type(estimator).__name__}-{number}-{name}")


@pytest.mark.parametrize(("estimator", "check"), list(checks()))
def test_rules_of_scikit_learn(estimator: Any, check: Any) -> None:
    try:
        check(estimator)
    except unittest.SkipTest as reason:  # of a package that the check needs, or that the estimator draws numbers
        pytest.skip(str(reason))


@pytest.mark.parametrize("cls", [SKLearnClassifier, SKLearnRegressor, SKLearnTransformer])
def test_interface_is_that_of_keras(cls: type) -> None:
    from oracle import keras

    theirs = getattr(keras.wrappers, cls.__name__)
    for name in ("__init__", "fit", "predict", "decision_function", "transform", "set_fit_request"):
        assert hasattr(cls, name) == hasattr(theirs, name), name
        if hasattr(cls, name):
            ours = inspect.signature(getattr(cls, name)).parameters.values()
            other = inspect.signature(getattr(theirs, name)).parameters.values()
            assert [(p.name, p.default, p.kind) for p in ours] == [(p.name, p.default, p.kind) for p in other]


X = np.random.default_rng(0).normal(size=(40, 3))
CLASSES = np.array(["a", "b", "c"])[np.argmax(X, axis=1)]


def test_classifier() -> None:
    estimator = SKLearnClassifier(network, model_kwargs=SETTINGS, fit_kwargs={"epochs": 1, "verbose": 0})
    assert estimator.epoch_ == 0
    assert estimator.fit(X, CLASSES, epochs=100, batch_size=8) is estimator
    assert estimator.epoch_ == 100
    assert list(estimator.history_.history) == ["loss"]
    assert estimator.score(X, CLASSES) > 0.8
    outputs = estimator.decision_function(X)
    np.testing.assert_array_equal(estimator.classes_[outputs.argmax(axis=1)], estimator.predict(X))
    np.testing.assert_array_equal(outputs, estimator.model_.predict(X, verbose=0))
    other = pickle.loads(pickle.dumps(estimator))
    np.testing.assert_array_equal(other.decision_function(X), outputs)
    other.fit(X, CLASSES, epochs=1)
    assert estimator.fit_kwargs == {"epochs": 1, "verbose": 0}
    with pytest.raises(ValueError, match="Unknown label type: expected classes, received continuous targets"):
        estimator.fit(X, X[:, 0])


@pytest.mark.parametrize("outputs", [None, 1, 2])
def test_regressor_gives_back_the_form_of_its_targets(outputs: int | None) -> None:
    y = X[:, 0] if outputs is None else X[:, :outputs]
    estimator = SKLearnRegressor(network, fit_kwargs={"verbose": 0})
    if outputs == 1:  # scikit-learn's own opinion of such targets is not asked, as there may be several
        assert estimator.__sklearn_tags__().target_tags.multi_output
    assert estimator.fit(X, y).predict(X).shape == y.shape


def test_model_in_place_of_a_function() -> None:
    given = network(X, X[:, :2])
    before = given.get_weights()
    estimator = SKLearnTransformer(given, fit_kwargs={"verbose": 0}).fit(X, X[:, :2])
    assert estimator.model_ is not given
    np.testing.assert_array_equal(given.get_weights()[0], before[0])
    np.testing.assert_array_equal(estimator.transform(X), estimator.model_.predict(X, verbose=0))
    again = clone(estimator)
    assert again.model is not given
    assert again.fit_kwargs == {"verbose": 0}
    assert not hasattr(again, "model_")


def test_warm_start() -> None:
    given = network(X, X[:, :2])
    estimator = SKLearnRegressor(given, warm_start=True, fit_kwargs={"verbose": 0}).fit(X, X[:, :2])
    assert estimator.model_ is given
    steps = int(given.optimizer.iterations)
    estimator.fit(X, X[:, :2])
    assert estimator.model_ is given
    assert int(given.optimizer.iterations) == 2 * steps


def test_what_is_no_model() -> None:
    plain = nn.Sequential([nn.Input((3,)), nn.layers.Dense(1)])
    for wrong, match in (
        (plain, "expected a model with a loss and an optimizer. Call compile"),
        (lambda X, y: plain, "expected a model with a loss and an optimizer. Call compile"),
        (lambda X, y: "model", "expected the function to return a model, received 'model'"),
        (3, "expected a model or a function that returns one, received 3"),
    ):
        with pytest.raises(ModelError, match=match):
            SKLearnRegressor(wrong).fit(X, X[:, 0])


def test_samples_of_no_weight_are_not_there() -> None:
    estimator = SKLearnClassifier(network, model_kwargs=SETTINGS)
    with pytest.raises(ValueError, match="only one class"):
        estimator.fit(X, CLASSES, sample_weight=(CLASSES == "a").astype(float))
    with pytest.raises(ValueError):
        estimator.fit(X, CLASSES, sample_weight=np.zeros(len(X)))


def test_routing() -> None:
    estimator = SKLearnRegressor(network)
    with pytest.raises(RuntimeError, match="set_config"):
        estimator.set_fit_request(epochs=True)
    with sklearn.config_context(enable_metadata_routing=True):
        assert estimator.set_fit_request(epochs=True, sample_weight="weights") is estimator
        assert estimator.get_metadata_routing().fit.requests == {"epochs": True, "sample_weight": "weights"}


def test_without_scikit_learn() -> None:
    code = (
        "import sys; sys.modules['sklearn'] = None\n"
        "import nncompile.wrappers\n"
        "try:\n    from nncompile.wrappers import SKLearnClassifier\n"
        "except ImportError as error:\n    print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "pip install 'nncompile[sklearn]'" in done.stdout
