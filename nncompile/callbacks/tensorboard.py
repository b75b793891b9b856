"""TensorBoard: the logs of training as event files, written with tensorboardX."""

from __future__ import annotations

import os
import time
from typing import Any

import numpy as np

from .. import registry
from ..errors import ModelError
from .base import Callback, Logs, heard_if, learning_rate, positive, refuse_unknown


class TensorBoard(Callback):
    """Writes what TensorBoard shows: ``tensorboard --logdir logs``.

    In ``log_dir/train`` are ``epoch_loss`` and the other metrics by epoch, the learning rate as
    ``epoch_learning_rate``, and with ``update_freq`` ``batch_loss`` and the others by batch; in
    ``log_dir/validation`` ``epoch_loss`` and the others of the validation, and
    ``evaluation_loss_vs_iterations`` by updates done. It needs the package ``tensorboardX``:
    ``pip install 'nncompile[tensorboard]'``.

    Args:
        log_dir: the folder.
        histogram_freq: every how many epochs to write histograms of the weights; 0 for never.
        write_graph: whether to write the layers of the model, for the tab Graphs.
        write_images: not supported: there are no images of weights.
        write_steps_per_second: whether to write how many updates a second are done.
        update_freq: ``"epoch"``; or ``"batch"`` or a number of batches, after which the logs of
            the batch are written as well.
        profile_batch: not supported: ``nncompile bench`` measures a model.
        embeddings_freq: not supported.
        embeddings_metadata: not supported.

    Raises:
        ImportError: in fit or evaluate, if ``tensorboardX`` is not installed.
        ModelError: ``histogram_freq`` or ``update_freq`` is none of these.
        UnsupportedError: an argument that is not supported was given.

    Source: ``keras.callbacks.TensorBoard``.
    """

    def __init__(
        self,
        log_dir: str | os.PathLike[str] = "logs",
        histogram_freq: int = 0,
        write_graph: bool = True,
        write_images: bool = False,
        write_steps_per_second: bool = False,
        update_freq: str | int = "epoch",
        profile_batch: Any = 0,
        embeddings_freq: int = 0,
        embeddings_metadata: Any = None,
        **unknown: Any,
    ) -> None:
        refuse_unknown(TensorBoard, unknown)
        super().__init__()
        registry.refuse(
            "TensorBoard",
            write_images=write_images,
            profile_batch=profile_batch or None,
            embeddings_freq=embeddings_freq or None,
            embeddings_metadata=embeddings_metadata,
        )
        if isinstance(histogram_freq, bool) or not isinstance(histogram_freq, (int, np.integer)) or histogram_freq < 0:
            raise ModelError(
                f"TensorBoard: expected histogram_freq to be a number of epochs or 0, received {histogram_freq!r}."
            )
        self.log_dir = os.fspath(log_dir)
        self.histogram_freq = int(histogram_freq)
        self.write_graph = write_graph
        self.write_steps_per_second = write_steps_per_second
        self.update_freq: str | int = 1 if update_freq == "batch" else update_freq
        if update_freq != "epoch":
            self.update_freq = positive("TensorBoard", "update_freq", self.update_freq, "'epoch', 'batch' or ")
        self._writers: dict[str, Any] = {}
        self._batches = 0
        self._batch_begun = 0.0
        self._epoch_begun = 0.0
        self._updates_before = 0

    def _writer(self, part: str) -> Any:
        """The writer of ``train`` or ``validation``, made when it is first needed."""
        if part not in self._writers:
            try:
                from tensorboardX import SummaryWriter
            except ImportError as error:
                raise ImportError(
                    "TensorBoard needs the package tensorboardX. Install it: pip install 'nncompile[tensorboard]'."
                ) from error
            self._writers[part] = SummaryWriter(os.path.join(self.log_dir, part))
        return self._writers[part]

    def _scalars(self, part: str, form: str, logs: Logs, step: int) -> None:
        for name, value in logs.items():
            self._writer(part).add_scalar(form.format(name), value, step)

    def _updates(self) -> int:
        optimizer = self.model.optimizer
        return 0 if optimizer is None else int(optimizer.iterations)

    def on_train_begin(self, logs: Logs | None = None) -> None:
        self._close()  # of a run that was broken off
        self._batches = 0
        self._writer("train")
        if self.write_graph:
            self._write_layers()

    def _write_layers(self) -> None:
        """Writes the configuration of the model, from which the tab Graphs draws its layers."""
        from tensorboardX.proto.summary_pb2 import Summary, SummaryMetadata
        from tensorboardX.proto.tensor_pb2 import TensorProto

        plugin = SummaryMetadata.PluginData(plugin_name="graph_keras_model", content=b"1")
        value = Summary.Value(
            tag="keras",
            metadata=SummaryMetadata(plugin_data=plugin),
            tensor=TensorProto(dtype="DT_STRING", string_val=[self.model.to_json().encode()]),
        )
        self._writer("train").file_writer.add_summary(Summary(value=[value]), 0)

    def on_train_end(self, logs: Logs | None = None) -> None:
        self._close()

    def _close(self) -> None:
        for writer in self._writers.values():
            writer.close()
        self._writers = {}

    def on_test_end(self, logs: Logs | None = None) -> None:
        self._scalars("validation", "evaluation_{}_vs_iterations", logs or {}, self._updates())
        self._writer("validation").flush()

    @heard_if(lambda self: self.update_freq != "epoch")
    def on_train_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        self._batch_begun = time.perf_counter()

    @heard_if(lambda self: self.update_freq != "epoch")
    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        self._batches += 1
        if self.update_freq == "epoch" or self._batches % int(self.update_freq):
            return
        written = dict(logs or {})
        if self.write_steps_per_second:
            written["steps_per_second"] = 1.0 / (time.perf_counter() - self._batch_begun)
        self._scalars("train", "batch_{}", written, self._batches)

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        self._epoch_begun = time.perf_counter()
        self._updates_before = self._updates()

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        logs = logs or {}
        if logs:
            train = {key: value for key, value in logs.items() if not key.startswith("val_")}
            if self.model.optimizer is not None:
                train["learning_rate"] = learning_rate(self.model)
            if self.write_steps_per_second:
                seconds = time.perf_counter() - self._epoch_begun
                train["steps_per_second"] = (self._updates() - self._updates_before) / seconds
            held = {key.removeprefix("val_"): value for key, value in logs.items() if key.startswith("val_")}
            self._scalars("train", "epoch_{}", train, epoch)
            self._scalars("validation", "epoch_{}", held, epoch)
        if self.histogram_freq and epoch % self.histogram_freq == 0:
            for layer in self.model.layers:
                for weight in layer.weights:
                    self._writer("train").add_histogram(f"{weight.path}/histogram", weight.value, epoch)
        for writer in self._writers.values():
            writer.flush()
