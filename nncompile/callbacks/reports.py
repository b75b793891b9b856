"""Callbacks that write down how training goes: for the program, on the screen, into a file, to a server."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable, Mapping, Sequence
from typing import IO, TYPE_CHECKING, Any

from ..errors import ModelError
from ..progress import Progbar, print_message
from .base import Callback, Logs, refuse_unknown

if TYPE_CHECKING:
    import csv


class History(Callback):
    """Keeps the logs of all epochs; fit adds one and returns it.

    Attributes:
        epoch: numbers of the epochs of the last fit, from 0.
        history: name of a metric to the list of its values.

    Source: ``keras.callbacks.History``.
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

    def _extend(self, epochs: range, logs: Mapping[str, Sequence[float]]) -> None:
        """Keeps the logs of several epochs."""
        self.epoch.extend(epochs)
        for key in sorted(logs):
            self.history.setdefault(key, []).extend(logs[key])
        if self.model is not None:
            self.model.history = self


class ProgbarLogger(Callback):
    """Prints progress and metrics; fit, evaluate and predict add one unless verbose=0.

    Source: ``keras.callbacks.ProgbarLogger``.
    """

    def __init__(self, **unknown: Any) -> None:
        refuse_unknown(ProgbarLogger, unknown)
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
        """Moves the bar to ``seen_batches``; validation within fit does not move it.

        Args:
            seen_batches: number of batches done in this epoch, evaluation or prediction.
            logs: values up to now.
        """
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


class CSVLogger(Callback):
    """Writes the logs of each epoch to a CSV file.

    The columns are ``epoch``, counted from 0, and the sorted keys of the first epoch's
    logs; without validation in it also each key with the prefix ``val_``, in case there
    is some later. A value that is missing is written as ``NA``.

    Args:
        filename: the file.
        separator: what stands between two values.
        append: whether to go on with a file that is there, instead of replacing it.

    Source: ``keras.callbacks.CSVLogger``.
    """

    def __init__(
        self,
        filename: str | os.PathLike[str],
        separator: str = ",",
        append: bool = False,
        **unknown: Any,
    ) -> None:
        refuse_unknown(CSVLogger, unknown)
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
        """Writes the line of an epoch.

        Args:
            epoch: its number, from 0.
            logs: metrics of the epoch and of its validation.

        Raises:
            ModelError: no run has begun.
        """
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


class RemoteMonitor(Callback):
    """Sends the logs of each epoch to a server, by HTTP POST.

    It sends a JSON object of ``epoch``, counted from 0, and the logs. A server that is not
    reached is a warning. It needs the package ``requests``.

    Args:
        root: address of the server.
        path: what follows it.
        field: name of the field of a form that has the JSON.
        headers: further headers of HTTP.
        send_as_json: whether the JSON itself is sent instead of a form.

    Raises:
        ImportError: when an epoch ends and ``requests`` is not installed.

    Source: ``keras.callbacks.RemoteMonitor``.
    """

    def __init__(
        self,
        root: str = "http://localhost:9000",
        path: str = "/publish/epoch/end/",
        field: str = "data",
        headers: Mapping[str, str] | None = None,
        send_as_json: bool = False,
        **unknown: Any,
    ) -> None:
        refuse_unknown(RemoteMonitor, unknown)
        super().__init__()
        self.root = root
        self.path = path
        self.field = field
        self.headers = headers
        self.send_as_json = send_as_json

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Sends the metrics of an epoch.

        Args:
            epoch: its number, from 0.
            logs: metrics of the epoch and of its validation.

        Raises:
            ImportError: the package requests is missing.
        """
        try:
            import requests
        except ImportError as error:
            raise ImportError("RemoteMonitor needs the package requests. Install it: pip install requests.") from error
        values = {key: value.item() if hasattr(value, "item") else value for key, value in (logs or {}).items()}
        send = {"epoch": epoch, **values}
        import json  # it takes a while to import, and few need it

        body = {"json": send} if self.send_as_json else {"data": {self.field: json.dumps(send)}}
        try:
            requests.post(self.root + self.path, headers=self.headers, **body)
        except requests.exceptions.RequestException as error:
            warnings.warn(f"RemoteMonitor: the server at {self.root} was not reached: {error}.", stacklevel=2)
