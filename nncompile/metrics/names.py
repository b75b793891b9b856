"""Metrics by their names, and in files."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from .. import losses, registry
from ..errors import ModelError
from . import accuracies, of_losses, regression
from .base import MeanMetricWrapper, Metric

_FUNCTIONS: dict[str, Callable[..., Any]] = {
    function.__name__: function
    for function in (
        accuracies.accuracy,
        accuracies.binary_accuracy,
        accuracies.categorical_accuracy,
        accuracies.sparse_categorical_accuracy,
        accuracies.top_k_categorical_accuracy,
        accuracies.sparse_top_k_categorical_accuracy,
        regression.pearson_correlation,
        regression.concordance_correlation,
    )
}


def function_of(description: Any) -> Any:
    """Returns the function that a wrapper was made of."""
    name = description.get("config") if isinstance(description, Mapping) else description
    if isinstance(name, str) and name in _FUNCTIONS:
        return _FUNCTIONS[name]
    return losses.deserialize(description)


def get(identifier: Any) -> Any:
    """Returns the metric that ``identifier`` names or is.

    Args:
        identifier: None, a name, a function, a metric (both returned as they are), a
            class of metrics, or what :func:`serialize` returned.

    Raises:
        ModelError: it is none of these; the nearest names are listed.

    Source: ``keras.metrics.get``.
    """
    if identifier is None:
        return None
    found = registry.look_up("metrics", identifier, "a name, a function or a Metric")
    return found() if inspect.isclass(found) else found


def resolve(identifier: Any, output_shape: Sequence[int | None], target_shape: Sequence[int | None]) -> Metric:
    """Returns the :class:`Metric` that an entry of a model's ``metrics=`` means.

    Its name, the key in logs, is the string as it was given.

    Args:
        identifier: as of :func:`get`; ``"accuracy"`` and ``"acc"``, and as in Keras 2
            ``"crossentropy"`` and ``"ce"``, are chosen by the shapes: binary for one
            output, sparse for integer labels, else categorical.
        output_shape: of the model's output, batch included.
        target_shape: of the targets, batch included.

    Raises:
        ModelError: ``identifier`` is None or nothing that is known.
    """
    if identifier is None:
        raise ModelError("metrics: expected a name, a function or a Metric, received None.")
    key = identifier.lower() if isinstance(identifier, str) else ""
    if key in ("accuracy", "acc", "crossentropy", "ce"):
        binary, sparse = losses.binary_or_sparse(output_shape, target_shape)
        kind = "Binary" if binary else "SparseCategorical" if sparse else "Categorical"
        of_accuracy = key in ("accuracy", "acc")
        module, what = (accuracies, "Accuracy") if of_accuracy else (of_losses, "Crossentropy")
        found: Any = getattr(module, kind + what)()
    else:
        found = get(identifier)
    name = identifier if isinstance(identifier, str) else losses.name_of(found)
    metric = found if isinstance(found, Metric) else MeanMetricWrapper(found)
    metric.name = name
    return metric


def serialize(metric: Any) -> Any:
    """Returns Keras' description of a metric or function.

    Args:
        metric: an object, a function, a name or None.

    Raises:
        ModelError: a function without a name by which it could be found again.

    Source: ``keras.metrics.serialize``.
    """
    if metric is None or isinstance(metric, str) or hasattr(metric, "get_config"):
        return registry.serialize(metric, "metrics")
    return losses.describe_function(metric, "metrics")


def deserialize(config: Any, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """Returns the metric or function that :func:`serialize` described.

    Args:
        config: a name or a description.
        custom_objects: the user's functions and classes by name.

    Raises:
        FileFormatError: the form is not one of Keras'.
        ModelError: a name that nothing has.
        UnsupportedError: a description of something that is not known.

    Source: ``keras.metrics.deserialize``.
    """
    return registry.deserialize(config, "metrics", custom_objects)
