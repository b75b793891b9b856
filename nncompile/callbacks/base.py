"""Callback: the base of all callbacks, and what several of them share."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import numpy as np

from .. import registry
from ..errors import ModelError

Logs = dict[str, Any]
Hook = TypeVar("Hook", bound=Callable[..., Any])

TRAIN_HOOKS = ("on_batch_begin", "on_batch_end", "on_train_batch_begin", "on_train_batch_end")
TEST_HOOKS = ("on_test_batch_begin", "on_test_batch_end")
PREDICT_HOOKS = ("on_predict_batch_begin", "on_predict_batch_end")
_BATCH_HOOKS = (*TRAIN_HOOKS, *TEST_HOOKS, *PREDICT_HOOKS)
_OTHER_HOOKS = (
    "on_epoch_begin",
    "on_epoch_end",
    "on_train_begin",
    "on_train_end",
    "on_test_begin",
    "on_test_end",
    "on_predict_begin",
    "on_predict_end",
)
METHODS = (*_BATCH_HOOKS, *_OTHER_HOOKS, "set_params", "set_model")


def heard_if(condition: Callable[[Any], bool]) -> Callable[[Hook], Hook]:
    """Marks a hook of batches that has something to do only if ``condition(callback)``: else C need not be left."""

    def decorate(hook: Hook) -> Hook:
        hook._heard_if = condition  # type: ignore[attr-defined]
        return hook

    return decorate


def refuse_unknown(cls: type, unknown: Mapping[str, Any]) -> None:
    """Raises the TypeError of a keyword that ``cls`` does not have."""
    if unknown:
        parameters = inspect.signature(cls).parameters.values()
        known = [p.name for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD]
        registry.check_keywords(cls.__name__, unknown, known)


class Callback:
    """Base class of callbacks: override the hooks that are of interest.

    ``logs`` maps names of metrics to their values so far: the metrics of ``compile``
    and ``loss``, those of the validation data with the prefix ``val_``. Hooks of a
    beginning get an empty one.

    Overriding a hook of batches has a price: the loop then leaves C for every batch.

    Attributes:
        params: ``{"verbose": ..., "epochs": ..., "steps": ...}`` of the run.
        model: the model that is at work. Setting its ``stop_training`` to True ends
            fit after the batch or epoch.

    Source: ``keras.callbacks.Callback``.
    """

    params: Any = None
    _model: Any = None

    def __init__(self) -> None:
        self.params = None
        self._model = None

    def set_params(self, params: Any) -> None:
        """Receives what will be ``params``.

        Args:
            params: see :class:`Callback`.
        """
        self.params = params

    def set_model(self, model: Any) -> None:
        """Receives what will be ``model``.

        Args:
            model: the model that is at work.
        """
        self._model = model

    @property
    def model(self) -> Any:
        """The model that is at work; None before that."""
        return self._model

    def on_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """The older name of :meth:`on_train_batch_begin`.

        Args:
            batch: its number in the epoch or run, from 0.
            logs: empty.
        """

    def on_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """The older name of :meth:`on_train_batch_end`.

        Args:
            batch: its number in the epoch or run, from 0.
            logs: metrics over the epoch up to it.
        """

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Is called by fit before epoch number ``epoch``, counted from 0.

        Args:
            epoch: its number, from 0.
            logs: empty.
        """

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Is called by fit after an epoch and its validation; logs has both.

        Args:
            epoch: its number, from 0.
            logs: metrics of the epoch and of its validation.
        """

    def on_train_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Is called by fit before a batch; numbers start from 0 in each epoch.

        Args:
            batch: its number in the epoch or run, from 0.
            logs: empty.
        """
        self.on_batch_begin(batch, logs=logs)

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Is called by fit after a batch; logs is over the epoch up to it.

        Args:
            batch: its number in the epoch or run, from 0.
            logs: metrics over the epoch up to it.
        """
        self.on_batch_end(batch, logs=logs)

    def on_test_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Is called by evaluate, and by fit for validation, before a batch.

        Args:
            batch: its number in the epoch or run, from 0.
            logs: empty.
        """

    def on_test_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Is called by evaluate, and by fit for validation, after a batch.

        Args:
            batch: its number in the epoch or run, from 0.
            logs: metrics over the batches up to it.
        """

    def on_predict_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Is called by predict before a batch.

        Args:
            batch: its number in the epoch or run, from 0.
            logs: empty.
        """

    def on_predict_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Is called by predict after a batch.

        Args:
            batch: its number in the epoch or run, from 0.
            logs: ``outputs``: those of the batch.
        """

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Is called when fit begins.

        Args:
            logs: empty.
        """

    def on_train_end(self, logs: Logs | None = None) -> None:
        """Is called when fit ends; logs is that of the last epoch.

        Args:
            logs: those of the last epoch.
        """

    def on_test_begin(self, logs: Logs | None = None) -> None:
        """Is called when evaluate or a validation begins.

        Args:
            logs: empty.
        """

    def on_test_end(self, logs: Logs | None = None) -> None:
        """Is called when evaluate or a validation ends; logs has its results.

        Args:
            logs: the metrics.
        """

    def on_predict_begin(self, logs: Logs | None = None) -> None:
        """Is called when predict begins.

        Args:
            logs: empty.
        """

    def on_predict_end(self, logs: Logs | None = None) -> None:
        """Is called when predict ends.

        Args:
            logs: empty.
        """


def learning_rate(model: Any) -> float:
    """Returns the learning rate of a model as a number."""
    return float(np.asarray(model.optimizer.learning_rate))


def positive(owner: str, name: str, value: Any, other: str = "") -> int:
    """Returns an argument that must be a whole number from 1; ``other`` is what else it could have been."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1:
        raise ModelError(f"{owner}: expected {name} to be {other}a whole number from 1, received {value!r}.")
    return int(value)
