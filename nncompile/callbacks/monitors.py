"""Callbacks that watch one of the metrics and act on it."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from .. import registry
from ..errors import ModelError
from ..progress import print_message
from .base import Callback, Logs, learning_rate, refuse_unknown


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

    Source: ``keras.callbacks.EarlyStopping``.
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
        refuse_unknown(EarlyStopping, unknown)
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
        """Returns the metric that is watched, or None with a warning if it is not there.

        Args:
            logs: metrics by name.
        """
        logs = logs or {}
        value = logs.get(self.monitor)
        if value is None:
            warnings.warn(
                f"EarlyStopping: there is no {self.monitor!r} to watch. The logs have: {', '.join(logs) or 'nothing'}.",
                stacklevel=2,
            )
        return value


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

    Source: ``keras.callbacks.ReduceLROnPlateau``.
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
        refuse_unknown(ReduceLROnPlateau, legacy)
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
        logs["learning_rate"] = learning_rate(self.model)
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
        rate = learning_rate(self.model)
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
        """Returns whether epochs are not counted at present."""
        return self.cooldown_counter > 0
