"""Callbacks: code of the user's that runs at given points of fit, evaluate and predict.

The loop over batches is in C. It comes back to Python after every batch only if a
callback asks for that by overriding one of the batch hooks; see
:attr:`CallbackList.needs_train_batches`. Otherwise many batches run in one call, and only
the progress bar hears of them, through :meth:`CallbackList.progress`.
"""

from __future__ import annotations

import inspect
import math
import os
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import IO, TYPE_CHECKING, Any, NoReturn

import numpy as np

from . import registry
from .errors import ModelError, UnsupportedError
from .progress import Progbar, print_message

if TYPE_CHECKING:
    import csv

__all__ = [
    "CSVLogger",
    "Callback",
    "CallbackList",
    "EarlyStopping",
    "History",
    "LambdaCallback",
    "LearningRateScheduler",
    "ModelCheckpoint",
    "ProgbarLogger",
    "ReduceLROnPlateau",
    "TerminateOnNaN",
]

Logs = dict[str, Any]

_TRAIN_HOOKS = ("on_batch_begin", "on_batch_end", "on_train_batch_begin", "on_train_batch_end")
_TEST_HOOKS = ("on_test_batch_begin", "on_test_batch_end")
_PREDICT_HOOKS = ("on_predict_batch_begin", "on_predict_batch_end")
_BATCH_HOOKS = (*_TRAIN_HOOKS, *_TEST_HOOKS, *_PREDICT_HOOKS)
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
_METHODS = (*_BATCH_HOOKS, *_OTHER_HOOKS, "set_params", "set_model")

_LATER = {
    "BackupAndRestore": "Use ModelCheckpoint, and fit(..., initial_epoch=...) to go on.",
    "OrbaxCheckpoint": "Use ModelCheckpoint.",
    "RemoteMonitor": "Send the logs from a LambdaCallback's on_epoch_end.",
    "SwapEMAWeights": "There are no averaged weights (use_ema) to swap with.",
    "TensorBoard": "Use CSVLogger, or the History that fit returns.",
}


class _LaterError(UnsupportedError, AttributeError):
    """A name of Keras' that is missing here; an AttributeError, so that hasattr is False."""


def __getattr__(name: str) -> NoReturn:
    if name in _LATER:
        raise _LaterError(f"nncompile.callbacks: {name} is not supported yet. {_LATER[name]}")
    # Python itself asks for __path__ on import, where no hint is worth its time
    hint = "" if name.startswith("__") else registry.nearest(name, __all__)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}.{hint}")


def _refuse_unknown(cls: type, unknown: Mapping[str, Any]) -> None:
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
    """

    params: Any = None
    _model: Any = None

    def __init__(self) -> None:
        self.params = None
        self._model = None

    def set_params(self, params: Any) -> None:
        """Receives what will be ``params``."""
        self.params = params

    def set_model(self, model: Any) -> None:
        """Receives what will be ``model``."""
        self._model = model

    @property
    def model(self) -> Any:
        return self._model

    def on_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """The older name of :meth:`on_train_batch_begin`."""

    def on_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """The older name of :meth:`on_train_batch_end`."""

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Is called by fit before epoch number ``epoch``, counted from 0."""

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Is called by fit after an epoch and its validation; logs has both."""

    def on_train_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Is called by fit before a batch; numbers start from 0 in each epoch."""
        self.on_batch_begin(batch, logs=logs)

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Is called by fit after a batch; logs is over the epoch up to it."""
        self.on_batch_end(batch, logs=logs)

    def on_test_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Is called by evaluate, and by fit for validation, before a batch."""

    def on_test_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Is called by evaluate, and by fit for validation, after a batch."""

    def on_predict_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Is called by predict before a batch."""

    def on_predict_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Is called by predict after a batch."""

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Is called when fit begins."""

    def on_train_end(self, logs: Logs | None = None) -> None:
        """Is called when fit ends; logs is that of the last epoch."""

    def on_test_begin(self, logs: Logs | None = None) -> None:
        """Is called when evaluate or a validation begins."""

    def on_test_end(self, logs: Logs | None = None) -> None:
        """Is called when evaluate or a validation ends; logs has its results."""

    def on_predict_begin(self, logs: Logs | None = None) -> None:
        """Is called when predict begins."""

    def on_predict_end(self, logs: Logs | None = None) -> None:
        """Is called when predict ends."""


class CallbackList(Callback):
    """Calls a list of callbacks as if it were one.

    Args:
        callbacks: one callback, or a list of them, which may be nested.
        add_history: whether a :class:`History` is added if there is none.
        add_progbar: whether a :class:`ProgbarLogger` is added if there is none.
        model: what the callbacks get as ``model``.
        **params: what the callbacks get as ``params``.

    Attributes:
        callbacks: all callbacks, in the order in which they are called.

    Raises:
        ModelError: something in the list is not a callback.
    """

    def __init__(
        self,
        callbacks: Any = None,
        add_history: bool = False,
        add_progbar: bool = False,
        model: Any = None,
        **params: Any,
    ) -> None:
        super().__init__()
        self.callbacks: list[Any] = list(_flattened(callbacks))
        for callback in self.callbacks:
            _check_callback(callback)
        self._open_blocks = 0
        self._history: History | None = None
        self._progbar: ProgbarLogger | None = None
        for callback in self.callbacks:
            if isinstance(callback, ProgbarLogger):
                self._progbar = callback
            elif isinstance(callback, History):
                self._history = callback
        # Last in the list, so that they see what the others put into logs.
        if self._history is None and add_history:
            self._history = History()
            self.callbacks.append(self._history)
        if self._progbar is None and add_progbar:
            self._progbar = ProgbarLogger()
            self.callbacks.append(self._progbar)
        self.set_model(model)
        self.set_params(params)

    def set_params(self, params: Any) -> None:
        self.params = params
        if params:
            for callback in self.callbacks:
                callback.set_params(params)

    def set_model(self, model: Any) -> None:
        if model is None:
            return
        super().set_model(model)
        if self._history is not None:
            model.history = self._history
        for callback in self.callbacks:
            callback.set_model(model)

    @property
    def needs_train_batches(self) -> bool:
        """Whether a callback has something to do at each batch of training."""
        return self._needs(_TRAIN_HOOKS)

    @property
    def needs_test_batches(self) -> bool:
        """Whether a callback has something to do at each batch of evaluation."""
        return self._needs(_TEST_HOOKS)

    @property
    def needs_predict_batches(self) -> bool:
        """Whether a callback has something to do at each batch of prediction."""
        return self._needs(_PREDICT_HOOKS)

    @property
    def shows_progress(self) -> bool:
        """Whether a progress bar wants to know how far the batches are."""
        return self._progbar is not None

    @property
    def only_history(self) -> bool:
        """Whether nobody but a :class:`History` hears of the epochs, which may then be told of several at once."""
        return all(type(c) is History and vars(c).keys().isdisjoint(_METHODS) for c in self.callbacks)

    def _needs(self, hooks: Iterable[str]) -> bool:
        return any(_uses(callback, hook) for callback in self.callbacks for hook in hooks)

    def progress(self, seen_batches: int, logs: Logs | None = None) -> None:
        """Moves the progress bar after many batches at once.

        It is for a loop that does not call the hooks of batches; they move the bar as well.

        Args:
            seen_batches: number of batches done in this epoch, evaluation or prediction.
            logs: values up to now.
        """
        if self._progbar is not None:
            self._progbar.progress(seen_batches, _plain(logs))

    def _batch(self, hook: str, batch: int, logs: Logs | None) -> None:
        plain = _plain(logs)
        for callback in self.callbacks:
            getattr(callback, hook)(batch, logs=plain)

    def _epoch(self, hook: str, epoch: int, logs: Logs | None) -> None:
        plain = _plain(logs)
        for callback in self.callbacks:
            getattr(callback, hook)(epoch, plain)

    def _begin(self, hook: str, logs: Logs | None) -> None:
        self._open_blocks += 1
        plain = _plain(logs)
        for callback in self.callbacks:
            getattr(callback, hook)(plain)

    def _end(self, hook: str, logs: Logs | None) -> None:
        if not self._open_blocks:
            raise ModelError(f"CallbackList: {hook} without the call that begins it.")
        self._open_blocks -= 1
        plain = _plain(logs)
        for callback in self.callbacks:
            getattr(callback, hook)(plain)

    def on_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        self._batch("on_batch_begin", batch, logs)

    def on_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        self._batch("on_batch_end", batch, logs)

    def on_train_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        self._batch("on_train_batch_begin", batch, logs)

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        self._batch("on_train_batch_end", batch, logs)

    def on_test_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        self._batch("on_test_batch_begin", batch, logs)

    def on_test_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        self._batch("on_test_batch_end", batch, logs)

    def on_predict_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        self._batch("on_predict_batch_begin", batch, logs)

    def on_predict_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        self._batch("on_predict_batch_end", batch, logs)

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        self._epoch("on_epoch_begin", epoch, logs)

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        self._epoch("on_epoch_end", epoch, logs)

    def on_epochs_end(self, first: int, logs: Sequence[Mapping[str, float]]) -> None:
        """Tells of several epochs at once, from number ``first``, where :attr:`only_history` is all that listens."""
        for callback in self.callbacks:
            callback._extend(first, logs)

    def on_train_begin(self, logs: Logs | None = None) -> None:
        self._begin("on_train_begin", logs)

    def on_train_end(self, logs: Logs | None = None) -> None:
        self._end("on_train_end", logs)

    def on_test_begin(self, logs: Logs | None = None) -> None:
        self._begin("on_test_begin", logs)

    def on_test_end(self, logs: Logs | None = None) -> None:
        self._end("on_test_end", logs)

    def on_predict_begin(self, logs: Logs | None = None) -> None:
        self._begin("on_predict_begin", logs)

    def on_predict_end(self, logs: Logs | None = None) -> None:
        self._end("on_predict_end", logs)


def _flattened(callbacks: Any) -> Iterator[Any]:
    if callbacks is None:
        return
    if isinstance(callbacks, (list, tuple)):
        for callback in callbacks:
            yield from _flattened(callback)
    else:
        yield callbacks


def _check_callback(callback: Any) -> None:
    if inspect.isclass(callback):
        name = callback.__name__
        raise ModelError(f"callbacks: expected Callback objects, received the class {name}. Use {name}().")
    if isinstance(callback, Callback):
        return
    missing = [method for method in _METHODS if not callable(getattr(callback, method, None))]
    if missing:
        raise ModelError(
            f"callbacks: expected Callback objects, received {callback!r:.80}, which has no {missing[0]}. "
            "Derive its class from nncompile.callbacks.Callback."
        )


def _plain(logs: Mapping[str, Any] | None) -> Logs:
    """Returns ``logs`` sorted, without nesting, its values as Python floats where possible."""
    plain: Logs = {}
    if not logs:
        return plain
    for key, value in sorted(logs.items()):
        if type(value) is float:
            plain[key] = value
            continue
        if isinstance(value, Mapping):
            plain.update(_plain(value))
            continue
        if getattr(value, "size", None) == 1 and hasattr(value, "item"):
            value = value.item()
        try:
            plain[key] = float(value)
        except (TypeError, ValueError):
            plain[key] = value
    return plain


class History(Callback):
    """Keeps the logs of all epochs; fit adds one and returns it.

    Attributes:
        epoch: numbers of the epochs of the last fit, from 0.
        history: name of a metric to the list of its values.
    """

    def __init__(self) -> None:
        super().__init__()
        self.epoch: list[int] = []
        self.history: dict[str, list[Any]] = {}

    def on_train_begin(self, logs: Logs | None = None) -> None:
        self.epoch = []

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        self.epoch.append(epoch)
        for key, value in (logs or {}).items():
            self.history.setdefault(key, []).append(value)
        if self.model is not None:
            self.model.history = self

    def _extend(self, first: int, logs: Sequence[Mapping[str, float]]) -> None:
        """Keeps the logs of several epochs, which have the same names."""
        self.epoch.extend(range(first, first + len(logs)))
        for key in sorted(logs[0]):
            self.history.setdefault(key, []).extend([each[key] for each in logs])
        if self.model is not None:
            self.model.history = self


class ProgbarLogger(Callback):
    """Prints progress and metrics; fit, evaluate and predict add one unless verbose=0."""

    def __init__(self, **unknown: Any) -> None:
        _refuse_unknown(ProgbarLogger, unknown)
        super().__init__()
        self.seen = 0
        self.progbar: Progbar | None = None
        self.target: int | None = None
        self.verbose: int = 1
        self.epochs: int = 1
        self._in_fit = False
        self._in_test = False

    def set_params(self, params: Any) -> None:
        self.params = params
        verbose = params.get("verbose", "auto")
        self.verbose = 1 if verbose == "auto" else verbose
        self.epochs = params.get("epochs", 1)
        self.target = params.get("steps")

    def on_train_begin(self, logs: Logs | None = None) -> None:
        self._in_fit = True

    def on_train_end(self, logs: Logs | None = None) -> None:
        self._in_fit = False

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        if self.verbose and self.epochs > 1:
            print_message(f"Epoch {epoch + 1}/{self.epochs}")
        self._start()

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        self._finish(logs)

    def on_test_begin(self, logs: Logs | None = None) -> None:
        self._in_test = True
        if not self._in_fit:
            self._start()

    def on_test_end(self, logs: Logs | None = None) -> None:
        self._in_test = False
        if not self._in_fit:
            self._finish(logs)

    def on_predict_begin(self, logs: Logs | None = None) -> None:
        self._start()

    def on_predict_end(self, logs: Logs | None = None) -> None:
        self._finish(None)

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        self.progress(batch + 1, logs)

    def on_test_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        self.progress(batch + 1, logs)

    def on_predict_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        self.progress(batch + 1)

    def progress(self, seen_batches: int, logs: Logs | None = None) -> None:
        """Moves the bar to ``seen_batches``; validation within fit does not move it."""
        if self._in_fit and self._in_test:
            return
        self.seen = seen_batches
        if self.verbose == 1:
            self._bar().update(seen_batches, list((logs or {}).items()), finalize=False)

    def _start(self) -> None:
        self.seen = 0
        self.progbar = None
        self._bar()

    def _bar(self) -> Progbar:
        if self.progbar is None:
            self.progbar = Progbar(self.target, verbose=self.verbose, stateless_metrics=())
        return self.progbar

    def _finish(self, logs: Logs | None) -> None:
        bar = self._bar()
        if self.target is None:
            bar.target = self.target = self.seen
        bar.update(self.target, list((logs or {}).items()), finalize=True)


class MonitorCallback(Callback):
    """Base of the callbacks that watch one of the metrics.

    A value is better than another if it is below it (or above, by ``mode``) by more
    than ``min_delta``.

    Args:
        monitor: key of the logs.
        mode: ``"min"``, ``"max"``, or ``"auto"``: the loss and the metrics know
            themselves which way is better.
        baseline: what the first value is compared with; None if it always counts.
        min_delta: the smallest change that counts.
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        mode: str = "auto",
        baseline: float | None = None,
        min_delta: float = 0,
    ) -> None:
        super().__init__()
        if mode not in ("auto", "min", "max"):
            warnings.warn(
                f"{type(self).__name__}: mode={mode!r} is none of 'auto', 'min' and 'max'; 'auto' is used.",
                stacklevel=3,
            )
            mode = "auto"
        self.monitor = monitor
        self.mode = mode
        self.best = baseline
        self.min_delta = abs(min_delta)
        self._sign: int | None = None

    def _find_direction(self) -> int:
        """Returns 1 if more is better, -1 if less is.

        Only known once a model is trained, as the metrics may be made in its first epoch.
        """
        if self._sign is None:
            direction = {"min": "down", "max": "up"}.get(self.mode) or _direction(self.model, self.monitor)
            if direction is None:
                raise ModelError(
                    f"{type(self).__name__}: it is not known whether less or more of {self.monitor!r} is "
                    "better. Give mode='min' or mode='max'."
                )
            self._sign = 1 if direction == "up" else -1
        return self._sign

    def _is_improvement(self, value: Any, reference: Any) -> bool:
        sign = self._find_direction()
        if reference is None:
            return True
        # Neither comparison holds for NaN: it is never an improvement.
        if sign > 0:
            return bool(value - self.min_delta > reference)
        return bool(value + self.min_delta < reference)


def _direction(model: Any, monitor: str) -> str | None:
    """Returns "up" or "down", whichever is better for ``monitor``, or None."""
    name = monitor.removeprefix("val_")
    if name == "loss":
        return "down"
    for attribute in ("metrics", "weighted_metrics"):
        for metric in _metrics(getattr(model, attribute, None)):
            if isinstance(metric, str):
                found = metric == name and _named_direction(metric)
            else:
                own = getattr(metric, "name", None) or getattr(metric, "__name__", None)
                found = own == name and getattr(metric, "_direction", None)
            if found:
                return str(found)
    return None


def _metrics(metrics: Any) -> Iterator[Any]:
    if isinstance(metrics, Mapping):
        metrics = list(metrics.values())
    if isinstance(metrics, (list, tuple)):
        for metric in metrics:
            yield from _metrics(metric)
    elif metrics is not None:
        yield metrics
        inner = getattr(metrics, "metrics", None)
        if isinstance(inner, (list, tuple, Mapping)):  # a container of metrics
            yield from _metrics(inner)


def _named_direction(name: str) -> str | None:
    """The direction of a metric that compile was given by name."""
    # These names stand for different metrics, depending on the shapes.
    direction = {"accuracy": "up", "acc": "up", "crossentropy": "down", "ce": "down"}.get(name)
    if direction is None:
        try:
            metric = registry.find("metrics", name)
            direction = getattr(metric() if inspect.isclass(metric) else metric, "_direction", None)
        except (ModelError, TypeError):  # unknown, or needs arguments
            return None
    return direction


def _learning_rate(model: Any) -> float:
    return float(np.asarray(model.optimizer.learning_rate))


class EarlyStopping(MonitorCallback):
    """Ends training when a metric has stopped improving.

    Args:
        monitor: key of the logs.
        min_delta: the smallest change that counts as an improvement.
        patience: number of epochs without one after which training stops.
        verbose: 1 prints a line when it stops and when weights are restored.
        mode: ``"min"``, ``"max"`` or ``"auto"``, see :class:`MonitorCallback`.
        baseline: improvements that do not reach this value do not reset the patience.
        restore_best_weights: whether training ends, however it ends, with the weights
            of the best epoch.
        start_from_epoch: epochs before this one are not looked at.

    Attributes:
        best: the best value.
        best_epoch: its epoch, from 0.
        wait: number of epochs since the last improvement.
        stopped_epoch: the epoch that was the last one, 0 if training was not stopped.
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        min_delta: float = 0,
        patience: int = 0,
        verbose: int = 0,
        mode: str = "auto",
        baseline: float | None = None,
        restore_best_weights: bool = False,
        start_from_epoch: int = 0,
        **unknown: Any,
    ) -> None:
        _refuse_unknown(EarlyStopping, unknown)
        super().__init__(monitor, mode, min_delta=min_delta)
        self.patience = patience
        self.verbose = verbose
        self.baseline = baseline
        self.restore_best_weights = restore_best_weights
        self.start_from_epoch = start_from_epoch
        self._reset()

    def _reset(self) -> None:
        self.wait = 0
        self.stopped_epoch = 0
        self.best = None
        self.best_epoch = 0
        self.best_weights: list[Any] | None = None

    def on_train_begin(self, logs: Logs | None = None) -> None:
        self._reset()

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        self._find_direction()
        current = self.get_monitor_value(logs)
        if current is None or epoch < self.start_from_epoch:
            return
        self.wait += 1
        if self._is_improvement(current, self.best):
            self.best = current
            self.best_epoch = epoch
            if self.restore_best_weights:
                self.best_weights = self.model.get_weights()
            if self.baseline is None or self._is_improvement(current, self.baseline):
                self.wait = 0
        elif self.wait >= self.patience and epoch > 0:
            self.stopped_epoch = epoch
            self.model.stop_training = True

    def on_train_end(self, logs: Logs | None = None) -> None:
        if self.stopped_epoch > 0 and self.verbose > 0:
            print_message(f"Epoch {self.stopped_epoch + 1}: early stopping")
        if self.restore_best_weights and self.best_weights is not None:
            if self.verbose > 0:
                print_message(f"Restoring model weights from the end of the best epoch: {self.best_epoch + 1}.")
            self.model.set_weights(self.best_weights)

    def get_monitor_value(self, logs: Logs | None) -> Any:
        """Returns the metric that is watched, or None with a warning if it is not there."""
        logs = logs or {}
        value = logs.get(self.monitor)
        if value is None:
            warnings.warn(
                f"EarlyStopping: there is no {self.monitor!r} to watch. The logs have: {', '.join(logs) or 'nothing'}.",
                stacklevel=2,
            )
        return value


class ModelCheckpoint(MonitorCallback):
    """Saves the model or its weights during training.

    Args:
        filepath: where to; ends in ``.keras`` or ``.h5``, or in ``.weights.h5`` for
            weights only. ``{epoch}``, counted from 1, ``{batch}`` and keys of the logs in
            it are replaced, with a format if given: ``{epoch:02d}-{val_loss:.2f}.keras``.
        monitor: key of the logs, for ``save_best_only``.
        verbose: 1 prints a line for what is done.
        save_best_only: whether only a model better than all before is saved.
        save_weights_only: whether the weights alone are saved.
        mode: ``"min"``, ``"max"`` or ``"auto"``, see :class:`MonitorCallback`.
        save_freq: ``"epoch"``, or a number of batches after which to save.
        initial_value_threshold: what the first model has to be better than.
        **legacy: ``period``, of Keras 2: a number of epochs after which to save.

    Raises:
        ModelError: the ending does not fit, or save_freq is something else.
    """

    def __init__(
        self,
        filepath: str | os.PathLike[str],
        monitor: str = "val_loss",
        verbose: int = 0,
        save_best_only: bool = False,
        save_weights_only: bool = False,
        mode: str = "auto",
        save_freq: str | int = "epoch",
        initial_value_threshold: float | None = None,
        **legacy: Any,
    ) -> None:
        period_given = "period" in legacy
        period = _positive("ModelCheckpoint", "period", legacy.pop("period", 1))
        _refuse_unknown(ModelCheckpoint, legacy)
        super().__init__(monitor, mode, initial_value_threshold)
        if period_given:
            # Counting in epochs has no new spelling: save_freq counts batches.
            warnings.warn(
                "ModelCheckpoint: 'period' is the spelling of Keras 1 or 2; use 'save_freq', "
                f"which is 'epoch' or a number of batches. Epochs between two files: {period}.",
                DeprecationWarning,
                stacklevel=2,
            )
        self.filepath = os.fspath(filepath)
        self.verbose = verbose
        self.save_best_only = save_best_only
        self.save_weights_only = save_weights_only
        self.save_freq = save_freq
        self.period = period
        if save_freq != "epoch":
            self.save_freq = _positive("ModelCheckpoint", "save_freq", save_freq, "'epoch' or ")
        endings = (".weights.h5",) if save_weights_only else (".keras", ".h5")
        if not self.filepath.endswith(endings):
            kind = "weights" if save_weights_only else "a model"
            raise ModelError(
                f"ModelCheckpoint: expected a filepath that ends in {' or '.join(endings)} for {kind}, "
                f"received {self.filepath!r}."
            )
        self._current_epoch = 0
        self._epochs_since_saving = 0
        self._batches_since_saving = 0
        self._last_batch: int | None = None

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        self._current_epoch = epoch

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        if self.save_freq == "epoch":
            return
        if self._last_batch is None or batch <= self._last_batch:  # a new epoch
            self._batches_since_saving += batch + 1
        else:
            self._batches_since_saving += batch - self._last_batch
        self._last_batch = batch
        if self._batches_since_saving >= int(self.save_freq):
            self._batches_since_saving = 0
            self._save(self._current_epoch, batch, logs or {})

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        if self.save_freq != "epoch":
            return
        self._epochs_since_saving += 1
        if self._epochs_since_saving >= self.period:
            self._epochs_since_saving = 0
            self._save(epoch, None, logs or {})

    def _save(self, epoch: int, batch: int | None, logs: Logs) -> None:
        path = self._path(epoch, batch, logs)
        if not self._should_save(epoch, logs, path):
            return
        if os.path.isdir(path):
            raise IsADirectoryError(
                f"ModelCheckpoint: expected the path of a file, received the folder {path!r}. Give another filepath."
            )
        folder = os.path.dirname(path)
        if folder:
            os.makedirs(folder, exist_ok=True)
        if self.save_weights_only:
            self.model.save_weights(path, overwrite=True)
        else:
            self.model.save(path, overwrite=True)
        if self.verbose > 0:
            print_message(f"\nEpoch {epoch + 1}: finished saving model to {path}")

    def _should_save(self, epoch: int, logs: Logs, path: str) -> bool:
        epoch += 1
        if not self.save_best_only:
            if self.verbose > 0:
                print_message(f"\nEpoch {epoch}: saving model to {path}")
            return True
        current = logs.get(self.monitor)
        if current is None:
            warnings.warn(
                f"ModelCheckpoint: there is no {self.monitor!r} to choose the best model by, so each one "
                f"is saved. The logs have: {', '.join(logs) or 'nothing'}.",
                stacklevel=2,
            )
            return True
        if np.ndim(current) > 0:
            warnings.warn(
                f"ModelCheckpoint: expected {self.monitor!r} to be a number, received {current!r:.80}, so "
                "each model is saved.",
                stacklevel=2,
            )
            return True
        best = "None" if self.best is None else f"{self.best:.5f}"
        if not self._is_improvement(current, self.best):
            if self.verbose > 0:
                print_message(f"\nEpoch {epoch}: {self.monitor} did not improve from {best}")
            return False
        if self.verbose > 0:
            print_message(
                f"\nEpoch {epoch}: {self.monitor} improved from {best} to {current:.5f}, saving model to {path}"
            )
        self.best = current
        return True

    def _path(self, epoch: int, batch: int | None, logs: Logs) -> str:
        fields = dict(logs)
        if batch is not None:
            fields.setdefault("batch", batch + 1)
        try:
            return self.filepath.format(**{**fields, "epoch": epoch + 1})
        except KeyError as error:
            raise KeyError(
                f"ModelCheckpoint: {self.filepath!r} asks for {error}, which is not in the logs. "
                f"They have: epoch, {', '.join(fields)}."
            ) from error


def _positive(owner: str, name: str, value: Any, other: str = "") -> int:
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1:
        raise ModelError(f"{owner}: expected {name} to be {other}a whole number from 1, received {value!r}.")
    return int(value)


class LambdaCallback(Callback):
    """A callback made of functions.

    The hooks of epochs are called with ``(epoch, logs)``, those of batches with
    ``(batch, logs=logs)``, all others with ``(logs)``.

    Args:
        on_epoch_begin: called before each epoch.
        on_epoch_end: called after each epoch.
        on_train_begin: called when fit begins.
        on_train_end: called when fit ends.
        on_train_batch_begin: called before each batch.
        on_train_batch_end: called after each batch.
        **kwargs: functions for other hooks of :class:`Callback`; anything else becomes
            an attribute.

    Raises:
        TypeError: the name of a hook is misspelled.
    """

    def __init__(
        self,
        on_epoch_begin: Callable[..., Any] | None = None,
        on_epoch_end: Callable[..., Any] | None = None,
        on_train_begin: Callable[..., Any] | None = None,
        on_train_end: Callable[..., Any] | None = None,
        on_train_batch_begin: Callable[..., Any] | None = None,
        on_train_batch_end: Callable[..., Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__()
        for name, value in kwargs.items():
            misspelled = callable(value) and registry.nearest(name, _METHODS)
            if name not in _METHODS and (misspelled or name.startswith("on_")):
                registry.check_keywords("LambdaCallback", {name: None}, _METHODS)
        given = {
            **kwargs,
            "on_epoch_begin": on_epoch_begin,
            "on_epoch_end": on_epoch_end,
            "on_train_begin": on_train_begin,
            "on_train_end": on_train_end,
            "on_train_batch_begin": on_train_batch_begin,
            "on_train_batch_end": on_train_batch_end,
        }
        for name, value in given.items():
            if value is not None or name not in _METHODS:
                setattr(self, name, value)


class CSVLogger(Callback):
    """Writes the logs of each epoch to a CSV file.

    The columns are ``epoch``, counted from 0, and the sorted keys of the first epoch's
    logs; without validation in it also each key with the prefix ``val_``, in case there
    is some later. A value that is missing is written as ``NA``.

    Args:
        filename: the file.
        separator: what stands between two values.
        append: whether to go on with a file that is there, instead of replacing it.
    """

    def __init__(
        self,
        filename: str | os.PathLike[str],
        separator: str = ",",
        append: bool = False,
        **unknown: Any,
    ) -> None:
        _refuse_unknown(CSVLogger, unknown)
        super().__init__()
        self.filename = os.fspath(filename)
        self.sep = separator
        self.append = append
        self.append_header = True
        self.csv_file: IO[str] | None = None
        self.writer: csv.DictWriter[str] | None = None
        self.keys: list[str] | None = None

    def on_train_begin(self, logs: Logs | None = None) -> None:
        self.on_train_end()  # of a run that was broken off
        if self.append and os.path.exists(self.filename):
            self.append_header = os.path.getsize(self.filename) == 0
        self.csv_file = open(self.filename, "a" if self.append else "w", newline="", encoding="utf-8")  # noqa: SIM115
        self.keys = None

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        logs = logs or {}
        if self.csv_file is None:
            raise ModelError("CSVLogger: on_epoch_end without on_train_begin.")
        if self.keys is None:
            self.keys = sorted(logs)
            if not any(key.startswith("val_") for key in self.keys):
                self.keys += [f"val_{key}" for key in self.keys]
        if self.writer is None:
            import csv

            self.writer = csv.DictWriter(self.csv_file, ["epoch", *self.keys], delimiter=self.sep)
            if self.append_header:
                self.writer.writeheader()
        row = {key: _cell(logs.get(key, "NA")) for key in self.keys}
        self.writer.writerow({"epoch": epoch, **row})
        self.csv_file.flush()

    def on_train_end(self, logs: Logs | None = None) -> None:
        if self.csv_file is not None:
            self.csv_file.close()
        self.csv_file = None
        self.writer = None


def _cell(value: Any) -> Any:
    """What is written for ``value``: a list as ``"[1, 2]"``, with its quotes, as Keras does."""
    if isinstance(value, str) or not isinstance(value, Iterable) or getattr(value, "ndim", 1) == 0:
        return value
    return f'"[{", ".join(map(str, value))}]"'


class TerminateOnNaN(Callback):
    """Ends training when the loss is NaN or infinite.

    Args:
        raise_error: whether to raise RuntimeError instead, in which case the
            ``on_train_end`` of other callbacks does not run.
    """

    def __init__(self, raise_error: bool = False, **unknown: Any) -> None:
        _refuse_unknown(TerminateOnNaN, unknown)
        super().__init__()
        self.raise_error = raise_error

    def on_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        loss = (logs or {}).get("loss")
        if loss is None or math.isfinite(loss):
            return
        if self.raise_error:
            raise RuntimeError(
                f"TerminateOnNaN: the loss is {loss} after batch {batch}. "
                "Lower the learning rate, or look for such numbers in the data."
            )
        print_message(f"Batch {batch}: Invalid loss, terminating training")
        self.model.stop_training = True


class ReduceLROnPlateau(MonitorCallback):
    """Lowers the learning rate when a metric has stopped improving.

    The learning rate of each epoch is added to the logs as ``learning_rate``.

    Args:
        monitor: key of the logs.
        factor: what the learning rate is multiplied with; below 1.
        patience: number of epochs without improvement after which that is done.
        verbose: 1 prints a line when it is done.
        mode: ``"min"``, ``"max"`` or ``"auto"``, see :class:`MonitorCallback`.
        min_delta: the smallest change that counts as an improvement.
        cooldown: number of epochs to wait after that before counting again.
        min_lr: the learning rate never gets below this.
        **legacy: ``epsilon``, the old name of ``min_delta``.

    Raises:
        ModelError: factor is 1 or more.
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        factor: float = 0.1,
        patience: int = 10,
        verbose: int = 0,
        mode: str = "auto",
        min_delta: float = 1e-4,
        cooldown: int = 0,
        min_lr: float = 0.0,
        **legacy: Any,
    ) -> None:
        if min_delta != 1e-4:
            legacy["min_delta"] = min_delta
        legacy = registry.rename_keywords("ReduceLROnPlateau", legacy, {"epsilon": "min_delta"})
        min_delta = legacy.pop("min_delta", min_delta)
        _refuse_unknown(ReduceLROnPlateau, legacy)
        super().__init__(monitor, mode, min_delta=min_delta)
        if factor >= 1.0:
            raise ModelError(f"ReduceLROnPlateau: expected a factor below 1, received {factor!r}.")
        self.factor = factor
        self.patience = patience
        self.verbose = verbose
        self.cooldown = cooldown
        self.min_lr = min_lr
        self._reset()

    def _reset(self) -> None:
        self.best = None
        self.cooldown_counter = 0
        self.wait = 0

    def on_train_begin(self, logs: Logs | None = None) -> None:
        self._reset()

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        self._find_direction()
        logs = {} if logs is None else logs
        logs["learning_rate"] = _learning_rate(self.model)
        current = logs.get(self.monitor)
        if current is None:
            warnings.warn(
                f"ReduceLROnPlateau: there is no {self.monitor!r} to watch. The logs have: {', '.join(logs)}.",
                stacklevel=2,
            )
            return
        if self.in_cooldown():
            self.cooldown_counter -= 1
            self.wait = 0
        if self._is_improvement(current, self.best):
            self.best = current
            self.wait = 0
        elif not self.in_cooldown():
            self.wait += 1
            if self.wait >= self.patience:
                self._reduce(epoch)

    def _reduce(self, epoch: int) -> None:
        rate = _learning_rate(self.model)
        # The optimizer holds the rate in single precision, so the bound is rounded, too.
        if rate <= np.float32(self.min_lr):
            return
        rate = max(rate * self.factor, self.min_lr)
        self.model.optimizer.learning_rate = rate
        if self.verbose > 0:
            print_message(f"\nEpoch {epoch + 1}: ReduceLROnPlateau reducing learning rate to {rate}.")
        self.cooldown_counter = self.cooldown
        self.wait = 0

    def in_cooldown(self) -> bool:
        """Whether epochs are not counted at present."""
        return self.cooldown_counter > 0


class LearningRateScheduler(Callback):
    """Sets the learning rate at the beginning of each epoch.

    The learning rate of each epoch is added to the logs as ``learning_rate``.

    Args:
        schedule: ``schedule(epoch, learning_rate)``, or ``schedule(epoch)``, which returns
            the learning rate as a float; epochs are counted from 0.
        verbose: 1 prints a line at each epoch.
    """

    def __init__(self, schedule: Callable[..., Any], verbose: int = 0, **unknown: Any) -> None:
        _refuse_unknown(LearningRateScheduler, unknown)
        super().__init__()
        self.schedule = schedule
        self.verbose = verbose

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        rate = _learning_rate(self.model)
        # The signature tells the two forms apart without hiding a TypeError of the schedule's.
        try:
            inspect.signature(self.schedule).bind(epoch, rate)
            arguments: tuple[Any, ...] = (epoch, rate)
        except TypeError:
            arguments = (epoch,)
        except ValueError:  # written in C, without a signature
            arguments = (epoch, rate)
        rate = self.schedule(*arguments)
        if not isinstance(rate, (float, np.float32, np.float64)):
            raise ModelError(f"LearningRateScheduler: expected schedule to return a float, received {rate!r:.80}.")
        self.model.optimizer.learning_rate = float(rate)
        if self.verbose > 0:
            print_message(f"\nEpoch {epoch + 1}: LearningRateScheduler setting learning rate to {rate}.")

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        if logs is not None:
            logs["learning_rate"] = _learning_rate(self.model)


def _uses(callback: Any, hook: str) -> bool:
    """Whether ``callback`` has to be called at every batch for ``hook``."""
    method = getattr(callback, hook)
    function = getattr(method, "__func__", method)
    if function is getattr(Callback, hook) or function is getattr(ProgbarLogger, hook):
        return False
    if function is ModelCheckpoint.on_train_batch_end:
        return bool(callback.save_freq != "epoch")
    # Keras marks its own empty hooks like this; a callback of its may be used here.
    return not getattr(function, "_is_default", False)
