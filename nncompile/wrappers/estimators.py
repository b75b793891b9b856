"""Estimators of scikit-learn that train a model.

They follow scikit-learn's rules: a constructor only keeps its arguments, ``fit`` checks the data,
makes a model and leaves what it learned in attributes that end in an underscore, and whatever else
has to do with data goes through its own functions.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import ModelError
from ..models import Model, clone_model

try:
    import sklearn
    from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin, TransformerMixin
    from sklearn.utils.metadata_routing import MetadataRequest
    from sklearn.utils.multiclass import type_of_target
    from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data
except ImportError as error:
    raise ImportError(
        "nncompile.wrappers needs scikit-learn of 1.6 or later. Install it: pip install 'nncompile[sklearn]'."
    ) from error

if TYPE_CHECKING:
    from typing_extensions import Self

    from ..callbacks import History

Array = np.ndarray[Any, Any]

__all__ = ["SKLearnClassifier", "SKLearnRegressor", "SKLearnTransformer"]


class _Estimator(BaseEstimator):  # type: ignore[misc]
    """What the estimators share.

    Args:
        model: a compiled model, of which each ``fit`` trains a clone with new weights; or a
            function of ``X`` and ``y``, as they are given to the model, that returns one.
        warm_start: whether ``fit`` goes on with the model that was trained before and, the first
            time, trains ``model`` itself instead of a clone.
        model_kwargs: further keyword arguments of the function.
        fit_kwargs: keyword arguments of ``model.fit``; those given to ``fit`` come first.

    Attributes:
        model_: the model that was trained.
        history_: the History of its fit.
        n_features_in_: number of columns of X.
    """

    def __init__(
        self,
        model: Model | Callable[..., Model],
        warm_start: bool = False,
        model_kwargs: Mapping[str, Any] | None = None,
        fit_kwargs: Mapping[str, Any] | None = None,
    ) -> None:
        self.model = model
        self.warm_start = warm_start
        self.model_kwargs = model_kwargs
        self.fit_kwargs = fit_kwargs

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.non_deterministic = True  # unless the function of the model sets a seed
        return tags

    def __sklearn_clone__(self) -> Self:
        """Returns an estimator of the same arguments that was not fitted; a model is copied, a function is not."""
        model = copy.deepcopy(self.model) if isinstance(self.model, Model) else self.model
        return type(self)(model, self.warm_start, copy.copy(self.model_kwargs), copy.copy(self.fit_kwargs))

    @property
    def epoch_(self) -> int:
        """Number of epochs of the last ``fit``, 0 before there was one."""
        return len(self.history_.epoch) if hasattr(self, "history_") else 0

    def set_fit_request(self, **kwargs: bool | str | None) -> Self:
        """Says which arguments of ``fit`` other estimators may route to this one.

        Args:
            **kwargs: name of an argument, and True, False, None, or the name by which it comes.

        Returns:
            The estimator.

        Raises:
            RuntimeError: routing is off; ``sklearn.set_config(enable_metadata_routing=True)`` is its switch.
        """
        if not sklearn.get_config().get("enable_metadata_routing", False):
            raise RuntimeError(
                f"{type(self).__name__}: set_fit_request needs metadata routing. "
                "Call sklearn.set_config(enable_metadata_routing=True)."
            )
        request = MetadataRequest(owner=type(self).__name__)
        for param, alias in kwargs.items():
            request.fit.add_request(param=param, alias=alias)
        self._metadata_request = request
        return self

    def fit(self, X: Any, y: Any, **kwargs: Any) -> Self:
        """Trains a model.

        Args:
            X: numbers of shape ``(samples, features)``.
            y: targets of shape ``(samples,)`` or ``(samples, outputs)``.
            **kwargs: keyword arguments of ``model.fit``; of ``sample_weight`` those that are 0 leave
                their samples out.

        Returns:
            The estimator.

        Raises:
            ModelError: what was given as model is not a compiled one, nor a function that returns one.
            ValueError: data that scikit-learn refuses.
        """
        X, y = validate_data(self, X, y, **self._checks())
        arguments = {**(self.fit_kwargs or {}), **kwargs}
        if arguments.get("sample_weight") is not None:
            # A sample of weight 0 is to be as if it were not there, so it must not bring a class along either.
            weights = _check_sample_weight(arguments["sample_weight"], X)
            there = weights != 0
            X, y, arguments["sample_weight"] = X[there], y[there], weights[there]
        y = self._encode(y)
        model = self._model(X, y)
        self.history_: History = model.fit(X, y, **arguments)
        self.model_ = model
        return self

    def predict(self, X: Any) -> Array:
        """Returns what the model predicts, in the form of the ``y`` that it was trained on.

        Args:
            X: numbers of shape ``(samples, features)``.
        """
        return self._decode(self._outputs(X))

    def _outputs(self, X: Any) -> Array:
        check_is_fitted(self)
        X = validate_data(self, X, reset=False)
        verbose = (self.fit_kwargs or {}).get("verbose", "auto")
        outputs: Array = self.model_.predict(X, verbose=verbose)
        return outputs

    def _model(self, X: Array, y: Array) -> Model:
        name = type(self).__name__
        if self.warm_start and hasattr(self, "model_"):
            return self.model_
        if isinstance(self.model, Model):
            model: Any = self.model if self.warm_start else clone_model(self.model)
        elif callable(self.model):
            model = self.model(X=X, y=y, **(self.model_kwargs or {}))
        else:
            raise ModelError(f"{name}: expected a model or a function that returns one, received {self.model!r:.80}.")
        if not isinstance(model, Model):
            raise ModelError(f"{name}: expected the function to return a model, received {model!r:.80}.")
        if not model.compiled or not model.loss or not model.optimizer:
            raise ModelError(
                f"{name}: expected a model with a loss and an optimizer. Call compile(optimizer=…, loss=…) on it."
            )
        return model

    def _checks(self) -> dict[str, Any]:
        """Keyword arguments of scikit-learn's check of X and y."""
        return {"multi_output": True}

    def _encode(self, y: Array) -> Array:
        """Returns the targets as the model takes them: two axes."""
        if type_of_target(y) == "unknown":
            raise ValueError(f"{type(self).__name__}: Unknown label type: {y!r:.80}.")
        self._target_axes = y.ndim
        return y.reshape(-1, 1) if y.ndim == 1 else y

    def _decode(self, outputs: Array) -> Array:
        """Returns outputs of the model in the form of the targets."""
        return outputs[:, 0] if self._target_axes == 1 and outputs.ndim == 2 and outputs.shape[1] == 1 else outputs


class SKLearnClassifier(ClassifierMixin, _Estimator):  # type: ignore[misc]
    """A classifier of scikit-learn that trains a model.

    The model gets the classes as rows of 0 and 1, so its last layer has a softmax over as many
    columns as there are classes, and its loss is a categorical cross-entropy::

        def model(X, y, units):
            made = Sequential([Input(X.shape[1:]), Dense(units, "relu"), Dense(y.shape[1], "softmax")])
            made.compile("adam", "categorical_crossentropy")
            return made

        SKLearnClassifier(model, model_kwargs={"units": 20}, fit_kwargs={"epochs": 5}).fit(X, y)

    Args:
        model: a compiled model, of which each ``fit`` trains a clone with new weights; or a
            function of ``X`` and ``y``, as they are given to the model, that returns one.
        warm_start: whether ``fit`` goes on with the model that was trained before and, the first
            time, trains ``model`` itself instead of a clone.
        model_kwargs: further keyword arguments of the function.
        fit_kwargs: keyword arguments of ``model.fit``; those given to ``fit`` come first.

    Attributes:
        model_: the model that was trained.
        history_: the History of its fit.
        classes_: the classes, sorted: those of the model's columns.
        n_features_in_: number of columns of X.

    Source: ``keras.wrappers.SKLearnClassifier``.
    """

    def decision_function(self, X: Any) -> Array:
        """Returns the outputs of the model, of shape ``(samples, classes)``; two classes have two columns as well.

        Args:
            X: numbers of shape ``(samples, features)``.
        """
        return self._outputs(X)

    def _checks(self) -> dict[str, Any]:
        return {}

    def _encode(self, y: Array) -> Array:
        kind = type_of_target(y)
        if kind not in ("binary", "multiclass"):
            raise ValueError(
                f"{type(self).__name__}: Unknown label type: expected classes, received {kind} targets. "
                "Only binary and multiclass targets are supported."
            )
        self.classes_, numbers = np.unique(y, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError(
                f"{type(self).__name__}: Classifier can't train when only one class is present, in samples whose "
                "sample_weight is not 0."
            )
        return np.eye(len(self.classes_))[numbers]

    def _decode(self, outputs: Array) -> Array:
        classes: Array = self.classes_[np.argmax(outputs, axis=-1)]
        return classes

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.poor_score = True
        return tags


class SKLearnRegressor(RegressorMixin, _Estimator):  # type: ignore[misc]
    """A regressor of scikit-learn that trains a model.

    The model gets the targets as rows, of one column if ``y`` has one axis; see
    :class:`SKLearnClassifier` for an example.

    Args:
        model: a compiled model, of which each ``fit`` trains a clone with new weights; or a
            function of ``X`` and ``y``, as they are given to the model, that returns one.
        warm_start: whether ``fit`` goes on with the model that was trained before and, the first
            time, trains ``model`` itself instead of a clone.
        model_kwargs: further keyword arguments of the function.
        fit_kwargs: keyword arguments of ``model.fit``; those given to ``fit`` come first.

    Attributes:
        model_: the model that was trained.
        history_: the History of its fit.
        n_features_in_: number of columns of X.

    Source: ``keras.wrappers.SKLearnRegressor``.
    """

    def _decode(self, outputs: Array) -> Array:
        return super()._decode(outputs).astype("float64", copy=False)  # of which regressors' predictions are to be

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.regressor_tags.poor_score = True
        tags.target_tags.multi_output = True
        return tags


class SKLearnTransformer(TransformerMixin, _Estimator):  # type: ignore[misc]
    """A step of a pipeline of scikit-learn that returns the outputs of a model.

    Args:
        model: a compiled model, of which each ``fit`` trains a clone with new weights; or a
            function of ``X`` and ``y``, as they are given to the model, that returns one.
        warm_start: whether ``fit`` goes on with the model that was trained before and, the first
            time, trains ``model`` itself instead of a clone.
        model_kwargs: further keyword arguments of the function.
        fit_kwargs: keyword arguments of ``model.fit``; those given to ``fit`` come first.

    Attributes:
        model_: the model that was trained.
        history_: the History of its fit.
        n_features_in_: number of columns of X.

    Source: ``keras.wrappers.SKLearnTransformer``.
    """

    def transform(self, X: Any) -> Array:
        """Returns the outputs of the model.

        Args:
            X: numbers of shape ``(samples, features)``.
        """
        return self._outputs(X)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = []
        tags.target_tags.multi_output = True
        return tags
