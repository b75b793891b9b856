"""Callbacks that save the model, or the state of its training, while it is trained."""

from __future__ import annotations

import os
import warnings
from typing import Any

import numpy as np

from ..errors import FileFormatError, ModelError
from ..progress import print_message
from .base import Callback, Logs, heard_if, positive, refuse_unknown
from .monitors import MonitorCallback


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

    Source: ``keras.callbacks.ModelCheckpoint``.
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
        period = positive("ModelCheckpoint", "period", legacy.pop("period", 1))
        refuse_unknown(ModelCheckpoint, legacy)
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
            self.save_freq = positive("ModelCheckpoint", "save_freq", save_freq, "'epoch' or ")
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

    @heard_if(lambda self: self.save_freq != "epoch")
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
        self._find_direction()
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


class BackupAndRestore(Callback):
    """Lets a fit that was broken off go on where it was, when the same script is run again.

    The weights and the state of the optimizer are kept in ``backup_dir``, as
    ``latest.weights.h5``, and the number of the epoch as ``training_metadata.json``. If they
    are there when fit begins, training goes on with that epoch. A fit that ends removes them.
    Each of the files is replaced in one step.

    Args:
        backup_dir: a folder of its own; made if it is not there.
        save_freq: ``"epoch"``, or a number of batches after which to save. An epoch that was
            broken off is begun anew, with the weights of its last batch that was saved.
        double_checkpoint: whether the files of the time before are kept as well, with ``.bkp``
            at the end, and used if the latest ones cannot be read.
        delete_checkpoint: whether the files are removed when fit ends. Other files of the
            folder stay, and so does the folder if there are any; Keras removes all of it.

    Raises:
        ModelError: an argument that cannot be right; in fit, a model that is not built.

    Source: ``keras.callbacks.BackupAndRestore``.
    """

    def __init__(
        self,
        backup_dir: str | os.PathLike[str],
        save_freq: str | int = "epoch",
        double_checkpoint: bool = False,
        delete_checkpoint: bool = True,
        **unknown: Any,
    ) -> None:
        refuse_unknown(BackupAndRestore, unknown)
        super().__init__()
        if not backup_dir:
            raise ModelError(f"BackupAndRestore: expected backup_dir to be a folder, received {backup_dir!r}.")
        self.backup_dir = os.fspath(backup_dir)
        self.save_freq = save_freq
        if save_freq != "epoch":
            self.save_freq = positive("BackupAndRestore", "save_freq", save_freq, "'epoch' or ")
        self.double_checkpoint = double_checkpoint
        self.delete_checkpoint = delete_checkpoint
        self._weights_path = os.path.join(self.backup_dir, "latest.weights.h5")
        self._metadata_path = os.path.join(self.backup_dir, "training_metadata.json")
        self._batches_since_saving = 0
        self._last_batch = 0
        self._epoch = 0

    @property
    def _files(self) -> tuple[str, str]:
        return self._weights_path, self._metadata_path

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Reads the state of a run that was broken off, if there is one.

        Args:
            logs: empty.

        Raises:
            ModelError: the model is not built.
            FileFormatError: what was written is no such state.
        """
        if not self.model.built:
            raise ModelError(
                "BackupAndRestore: expected a model that is built, since its weights may have to be read. "
                "Put Input() first, or call build(input_shape)."
            )
        from ..saving import storage

        try:
            self._restore()
        except (OSError, FileFormatError) as error:
            if not os.path.exists(f"{self._weights_path}.bkp"):
                raise
            warnings.warn(f"BackupAndRestore: the files of the time before are used: {error}", stacklevel=2)
            for path in self._files:
                if os.path.exists(f"{path}.bkp"):
                    storage.write_file(path, [storage.read_file(f"{path}.bkp")])
                elif os.path.exists(path):
                    os.remove(path)
            self._restore()

    def _restore(self) -> None:
        from ..saving import storage

        if os.path.exists(self._weights_path):
            optimizer = self.model.optimizer
            if optimizer is not None and not optimizer.built:
                optimizer.build(self.model.trainable_variables)
            self.model.load_weights(self._weights_path)
        if os.path.exists(self._metadata_path):
            text = storage.read_file(self._metadata_path)
            epoch = storage.parse_object(text, self._metadata_path).get("epoch")
            if isinstance(epoch, bool) or not isinstance(epoch, int) or epoch < 0:
                raise FileFormatError(f"{self._metadata_path}: expected the number of an epoch, found {epoch!r:.80}.")
            self.model._initial_epoch = epoch

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        self._epoch = epoch

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        self._epoch = epoch + 1
        self._last_batch = 0
        if self.save_freq == "epoch":
            self._save()

    @heard_if(lambda self: self.save_freq != "epoch")
    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        if self.save_freq == "epoch":
            return
        self._batches_since_saving += batch + 1 if batch <= self._last_batch else batch - self._last_batch
        self._last_batch = batch
        if self._batches_since_saving >= int(self.save_freq):
            self._batches_since_saving = 0
            self._save()

    def _save(self) -> None:
        from ..saving import storage

        os.makedirs(self.backup_dir, exist_ok=True)
        if self.double_checkpoint:
            for path in self._files:
                if os.path.exists(path):
                    storage.write_file(f"{path}.bkp", [storage.read_file(path)])
        self.model.save_weights(self._weights_path, overwrite=True)
        import json  # it takes a while to import, and few need it

        metadata = json.dumps({"epoch": self._epoch, "batch": self._last_batch})
        storage.write_file(self._metadata_path, [metadata.encode()])

    def on_train_end(self, logs: Logs | None = None) -> None:
        if not self.delete_checkpoint:
            return
        for path in self._files:
            for name in (path, f"{path}.bkp"):
                if os.path.exists(name):
                    os.remove(name)
        if os.path.isdir(self.backup_dir) and not os.listdir(self.backup_dir):
            os.rmdir(self.backup_dir)
