"""CallbackList, which calls many callbacks as if they were one."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from ..errors import ModelError
from .base import METHODS, PREDICT_HOOKS, TEST_HOOKS, TRAIN_HOOKS, Callback, Logs
from .reports import History, ProgbarLogger


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

    Source: ``keras.callbacks.CallbackList``.
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
        return self._needs(TRAIN_HOOKS)

    @property
    def needs_test_batches(self) -> bool:
        """Whether a callback has something to do at each batch of evaluation."""
        return self._needs(TEST_HOOKS)

    @property
    def needs_predict_batches(self) -> bool:
        """Whether a callback has something to do at each batch of prediction."""
        return self._needs(PREDICT_HOOKS)

    @property
    def shows_progress(self) -> bool:
        """Whether a progress bar wants to know how far the batches are."""
        return self._progbar is not None

    @property
    def only_history(self) -> bool:
        """Whether nobody but a :class:`History` hears of the epochs, which may then be told of several at once."""
        return all(type(c) is History and vars(c).keys().isdisjoint(METHODS) for c in self.callbacks)

    def _needs(self, hooks: Iterable[str]) -> bool:
        return not self.only_history and any(_uses(callback, hook) for callback in self.callbacks for hook in hooks)

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

    def on_epochs_end(self, epochs: range, logs: Mapping[str, Sequence[float]]) -> None:
        """Tells of several epochs at once, where :attr:`only_history` is all that listens.

        Args:
            epochs: their numbers.
            logs: the loss and the metrics by name, a value of each epoch.
        """
        for callback in self.callbacks:
            callback._extend(epochs, logs)

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
    missing = [method for method in METHODS if not callable(getattr(callback, method, None))]
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


def _uses(callback: Any, hook: str) -> bool:
    """Whether ``callback`` has to be called at every batch for ``hook``."""
    method = getattr(callback, hook)
    function = getattr(method, "__func__", method)
    if function is getattr(Callback, hook) or function is getattr(ProgbarLogger, hook):
        return False
    # Keras marks its own empty hooks like this; a callback of its may be used here.
    if getattr(function, "_is_default", False):
        return False
    condition = getattr(function, "_heard_if", None)
    return condition is None or bool(condition(callback))
