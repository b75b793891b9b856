"""Callbacks that change what training does: its learning rate, its end, its weights."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from .. import registry
from ..errors import ModelError
from ..progress import print_message
from .base import METHODS, Callback, Logs, learning_rate, refuse_unknown


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

    Source: ``keras.callbacks.LambdaCallback``.
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
            misspelled = callable(value) and registry.nearest(name, METHODS)
            if name not in METHODS and (misspelled or name.startswith("on_")):
                registry.check_keywords("LambdaCallback", {name: None}, METHODS)
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
            if value is not None or name not in METHODS:
                setattr(self, name, value)


class TerminateOnNaN(Callback):
    """Ends training when the loss is NaN or infinite.

    Args:
        raise_error: whether to raise RuntimeError instead, in which case the
            ``on_train_end`` of other callbacks does not run.

    Source: ``keras.callbacks.TerminateOnNaN``.
    """

    def __init__(self, raise_error: bool = False, **unknown: Any) -> None:
        refuse_unknown(TerminateOnNaN, unknown)
        super().__init__()
        self.raise_error = raise_error

    def on_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Ends the run if the loss is NaN or infinite.

        Args:
            batch: its number in the epoch, from 0.
            logs: metrics over the epoch up to it.

        Raises:
            RuntimeError: it is, and ``raise_error`` was given.
        """
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


class LearningRateScheduler(Callback):
    """Sets the learning rate at the beginning of each epoch.

    The learning rate of each epoch is added to the logs as ``learning_rate``.

    Args:
        schedule: ``schedule(epoch, learning_rate)``, or ``schedule(epoch)``, which returns
            the learning rate as a float; epochs are counted from 0.
        verbose: 1 prints a line at each epoch.

    Source: ``keras.callbacks.LearningRateScheduler``.
    """

    def __init__(self, schedule: Callable[..., Any], verbose: int = 0, **unknown: Any) -> None:
        refuse_unknown(LearningRateScheduler, unknown)
        super().__init__()
        self.schedule = schedule
        self.verbose = verbose

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Sets the learning rate of an epoch.

        Args:
            epoch: its number, from 0.
            logs: empty.

        Raises:
            ModelError: the schedule returned no float.
        """
        rate = learning_rate(self.model)
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
            logs["learning_rate"] = learning_rate(self.model)


class SwapEMAWeights(Callback):
    """Evaluates and predicts with the averaged weights of an optimizer that has ``use_ema=True``.

    Before an evaluation, a validation or a prediction the weights and their running means change
    places, and after it again. Do not change either in other callbacks meanwhile.

    Args:
        swap_on_epoch: whether they also change places at the end of each epoch, until the next
            one begins, so that a ``ModelCheckpoint`` that comes later in the list saves the means.

    Raises:
        ModelError: when it is called and the optimizer keeps no means.

    Source: ``keras.callbacks.SwapEMAWeights``.
    """

    def __init__(self, swap_on_epoch: bool = False, **unknown: Any) -> None:
        refuse_unknown(SwapEMAWeights, unknown)
        super().__init__()
        self.swap_on_epoch = swap_on_epoch
        self._swapped = False

    def _pairs(self) -> list[tuple[Any, Any]]:
        """The trainable weights, each with its running mean."""
        optimizer = self.model.optimizer
        if optimizer is None or not getattr(optimizer, "use_ema", False):
            name = type(optimizer).__name__ if optimizer is not None else "SGD"
            raise ModelError(
                f"SwapEMAWeights: the optimizer keeps no running means of the weights. Write {name}(use_ema=True)."
            )
        if not optimizer.built:
            optimizer.build(self.model.trainable_variables)
        weights, means = optimizer._trainable_variables, optimizer._model_variables_moving_average
        return list(zip(weights, means, strict=True))

    def _swap(self, swapped: bool) -> None:
        if self._swapped is swapped:
            return
        for weight, mean in self._pairs():
            value = weight.value
            weight.assign(mean.value)
            mean.assign(value)
        self._swapped = swapped

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        if self.swap_on_epoch:
            self._swap(False)

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        if not self.swap_on_epoch:
            return
        self._swap(True)
        if epoch == self.params["epochs"] - 1:
            # fit ends by taking the means for the weights, which are in each other's places.
            for weight, mean in self._pairs():
                mean.assign(weight.value)

    def on_test_begin(self, logs: Logs | None = None) -> None:
        self._swap(True)

    def on_test_end(self, logs: Logs | None = None) -> None:
        self._swap(False)

    def on_predict_begin(self, logs: Logs | None = None) -> None:
        self._swap(True)

    def on_predict_end(self, logs: Logs | None = None) -> None:
        self._swap(False)
