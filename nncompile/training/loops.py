"""The loops: fit, evaluate, predict, and single batches."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import data, optimizers, random, registry, targets
from ..callbacks import CallbackList, History
from ..errors import ModelError
from ..variables import Array
from .compiled import names_of, positive
from .feeds import ArrayFeed, Form, Pace, Piece, StreamFeed, Taken, samples_of, united
from .intake import Intake
from .legacy import LegacyTrainer

if TYPE_CHECKING:
    from ..compiler import Library

_ROWS = 240
"""Rows at a time where no batch size matters: in prediction, in evaluation unless the loss is a sum over its batch."""
_Hooks = tuple[Callable[..., None], Callable[..., None]]

_LEGACY_FIT = {"nb_epoch": "epochs"}
_PREDICTION_OVERRIDES = ("predict_step", "make_predict_function")


class Trainer(Intake, LegacyTrainer):
    """What makes a model one that learns: compile, fit, evaluate and predict.

    Attributes:
        stop_training: set it to True in a callback to end ``fit``.
        stop_evaluating: set it to True in a hook of test batches to end ``evaluate``.
        stop_predicting: set it to True in a hook of predict batches to end ``predict``.
        history: the History of the last ``fit``.
    """

    def __init__(self) -> None:
        super().__init__()
        self.stop_training = self.stop_evaluating = self.stop_predicting = False
        self._initial_epoch: int | None = None  # where fit begins, if a callback says so in on_train_begin
        self.history: History | None = None

    def _profile(self, x: Any, y: Any, batch_size: int) -> dict[str, tuple[float, int]]:
        """Times every step of the C over an epoch of training, in a copy of the state: the model stays as it is.

        Returns:
            For each step its seconds and how often it was done.
        """
        from .. import compiler

        self._need_compiled("profile")
        taken = self._take(x, y, None, None, f"{self._title}: profile")
        if not self.optimizer.built:
            self.optimizer.build(self.trainable_variables)
        training = self._training(taken.forms, taken.losses, profile=True)
        library = compiler.compile_network(self, targets.host(), training)
        library.copy_in(self.optimizer)
        library.begin(self.optimizer)
        feed = ArrayFeed(library, taken, taken.forms, batch_size)
        library.train(feed.samples, 0, min(taken.rows, 4 * batch_size), batch_size)  # the first steps meet cold caches
        before = library.laps()
        library.train(feed.samples, 0, taken.rows, batch_size)
        return {name: (seconds - before[name], feed.total) for name, seconds in library.laps().items()}

    # ---------------------------------------------------------------- fit

    def fit(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        epochs: int = 1,
        verbose: str | int = "auto",
        callbacks: Any = None,
        validation_split: float = 0.0,
        validation_data: Any = None,
        shuffle: bool | str = True,
        class_weight: Any = None,
        sample_weight: Any = None,
        initial_epoch: int = 0,
        steps_per_epoch: int | None = None,
        validation_steps: int | None = None,
        validation_batch_size: int | None = None,
        validation_freq: int | Sequence[int] = 1,
        **legacy: Any,
    ) -> History:
        """Trains for a number of epochs.

        Args:
            x: inputs: an array of any numeric type, or whatever becomes one; for several inputs
                a list, or a dict by their names. Memory-mapped arrays are not loaded. Or a
                stream of batches ``(x, y)`` or ``(x, y, sample_weight)``: a generator, a
                :class:`~nncompile.utils.PyDataset`, a torch DataLoader, anything to iterate over.
            y: targets, as the losses want them; for several outputs a list or dict. None beside a stream.
            batch_size: samples per update; 32 if None. A stream has batches of its own.
            epochs: number of the last epoch; 0 does nothing.
            verbose: 0 silent, 1 or "auto" a progress bar, 2 a line per epoch.
            callbacks: a list of Callbacks.
            validation_split: share of the data, its tail, to evaluate on after each epoch.
            validation_data: (x, y), (x, y, sample_weight) or a stream to evaluate on instead.
            shuffle: True for a new random order each epoch, False for none, "batch" within
                batches. Of streams only a PyDataset is shuffled, batch by batch.
            class_weight: a dict of class numbers to weights of their samples, 1 for all others.
            sample_weight: a weight per sample; for several outputs one array for all, or as y.
            initial_epoch: number of epochs done before.
            steps_per_epoch: batches of an epoch; the next goes on behind them. All if None.
            validation_steps: batches of a validation; all if None.
            validation_batch_size: samples at a time in validation.
            validation_freq: every how many epochs to validate, or the numbers of the epochs.
            **legacy: ``nb_epoch``, the spelling of Keras 1.

        Returns:
            The History: ``history`` maps names to a value per epoch.

        Raises:
            ModelError: the data do not fit the model; nothing was changed.
            TypeError: a misspelled argument.
        """
        where = f"{self._title}: fit"
        given = dict(legacy)
        if epochs != 1 and "nb_epoch" in given:  # both spellings, which is refused
            given["epochs"] = epochs
        given = registry.rename_keywords(where, given, _LEGACY_FIT)
        epochs = given.pop("epochs", epochs)
        registry.check_keywords(f"{where}()", given, _FIT_ARGUMENTS)
        self._need_compiled("fit")
        epochs, initial_epoch = _count(where, "epochs", epochs), _count(where, "initial_epoch", initial_epoch)
        steps = None if steps_per_epoch is None else positive(where, "steps_per_epoch", steps_per_epoch)
        data.check_batch_size(batch_size, where=where)
        shown = _verbosity(where, verbose)
        due = _validation_epochs(where, validation_freq)
        data.check_shuffle(shuffle)
        classes = self._take_classes(class_weight, where)
        stream = None
        if data.is_stream(x):
            beside = {"y": y, "sample_weight": sample_weight, "class_weight": class_weight}
            stream = self._stream(x, where, shuffle=bool(shuffle), **beside, validation_split=validation_split)
            taken = self._take(*stream.peek(), classes, where)
        else:
            if not self.built:
                split = 0.0 if validation_data is not None else validation_split

                def first_batch(rows: int) -> int:
                    trained = data.split_point(rows, split) if split else rows
                    return min(_batch_size(batch_size, steps, trained), trained)

                self._build_from(x, where, first_batch)
            taken = self._take(x, y, sample_weight, classes, where)
        forms, held = taken.forms, None
        if validation_data is not None:
            held = self._hold(validation_data, f"{where}: validation_data")
            forms = united(forms, held[0].forms, where=f"{where}: validation_data")
        elif validation_split:
            cut = data.split_point(taken.rows, validation_split)
            held = (taken.part(cut, taken.rows), None)
            taken = taken.part(0, cut)
        batch = _batch_size(batch_size, steps, taken.rows)
        size = batch_size if validation_batch_size is None else validation_batch_size
        data.check_batch_size(size, where=where)
        held_steps = None if validation_steps is None else positive(where, "validation_steps", validation_steps)
        total = steps or (stream.batches if stream is not None else math.ceil(taken.rows / batch))
        called = CallbackList(
            callbacks, add_history=True, add_progbar=shown != 0, model=self, verbose=shown, epochs=epochs, steps=total
        )
        self.stop_training, self._initial_epoch = False, None
        logs: dict[str, Any] = {}
        if epochs <= initial_epoch:
            called.on_train_begin()
            called.on_train_end(logs)
            return self._made_history()
        library = self._trainer(forms, taken.losses)
        feed: ArrayFeed | StreamFeed
        if stream is not None:
            feed = StreamFeed(library, stream, lambda b: self._take(*b, classes, where), forms, steps)
        else:
            feed = ArrayFeed(library, taken, forms, batch, steps, shuffle, where)
        held_feed = None if held is None else self._feed(library, held, forms, size, held_steps, where)
        called.on_train_begin()
        unheard = called.only_history and held_feed is None and not self._supervised().captured
        hooks = (called.on_train_batch_begin, called.on_train_batch_end) if called.needs_train_batches else None
        test_hooks = _test_hooks(called)
        epoch = initial_epoch = initial_epoch if self._initial_epoch is None else self._initial_epoch
        try:
            while epoch < epochs and not (epoch > initial_epoch and not feed.more()):
                together = 1
                if unheard and isinstance(feed, ArrayFeed) and feed.whole:
                    together = min(feed.pace.epochs(feed.rows), epochs - epoch)
                if together > 1 and isinstance(feed, ArrayFeed):
                    made = self._epochs(library, feed, together)
                    called.on_epochs_end(range(epoch, epoch + together), made)
                    logs = {name: values[-1] for name, values in made.items()}
                    epoch += together
                else:
                    called.on_epoch_begin(epoch)
                    logs = self._run(library, feed, called, self._train, hooks, self._is_stopped)
                    if held_feed is not None and due(epoch + 1) and held_feed.more():
                        measured = self._evaluate(library, held_feed, called, test_hooks)
                        logs.update({f"val_{name}": value for name, value in measured.items()})
                    called.on_epoch_end(epoch, logs)
                    epoch += 1
                if self.stop_training:
                    break
        finally:  # threads that make batches end here
            feed.close()
            if held_feed is not None:
                held_feed.close()
        if epochs > 0 and (self.optimizer.use_ema or not _finalizes_nothing_else(self.optimizer)):
            self.optimizer.finalize_variable_values(self.trainable_variables)
        called.on_train_end(logs)
        return self._made_history()

    def _feed(
        self,
        library: Library,
        held: tuple[Taken, data.Stream | None],
        forms: tuple[Form, ...],
        batch_size: int | None,
        steps: int | None,
        where: str,
    ) -> ArrayFeed | StreamFeed:
        """What evaluation takes samples from, in their order."""
        taken, stream = held
        if stream is None:
            return ArrayFeed(library, taken, forms, _batch_size(batch_size, steps, taken.rows), steps, where=where)
        return StreamFeed(library, stream, lambda b: self._take(*b, None, stream.where), forms, steps)

    def _made_history(self) -> History:
        assert self.history is not None  # the list of callbacks has set it
        return self.history

    def _is_stopped(self) -> bool:
        return self.stop_training

    def _run(
        self,
        library: Library,
        feed: ArrayFeed | StreamFeed,
        called: CallbackList,
        work: Callable[[Library, Piece, list[Array] | None], None],
        hooks: _Hooks | None,
        stopped: Callable[[], bool],
    ) -> dict[str, Any]:
        """Does the work of an epoch, piece by piece; between ``steps_per_execution`` batches the hooks are called.

        Returns:
            The logs over all of it.
        """
        supervisor, weighted = self._supervised(), feed.weighted
        self._begin_totals(library)
        columns = supervisor.columns if supervisor.captured else 0
        group = self.steps_per_execution
        logs: dict[str, Any] = {}
        seen, told, begun = 0, 0, -1  # samples done, samples that logs are about, the batch that was begun
        for piece in feed.pieces(group if hooks else 0, columns):
            if hooks and begun < 0:
                begun = piece.step
                hooks[0](begun)
            if columns:
                outputs = self._empty_outputs(library, piece.rows)
                work(library, piece, outputs)
                supervisor.feed(feed.supervised(piece), outputs, piece.batch)
            else:
                work(library, piece, None)
            seen += piece.rows
            if hooks is None:
                if called.shows_progress:
                    logs, told = self._logs(library, seen, weighted), seen
                    called.progress(piece.steps, logs)
            elif piece.steps >= begun + group:
                logs, told = self._logs(library, seen, weighted), seen
                hooks[1](begun + group - 1, logs)
                begun = -1
                if stopped():
                    break
        if told < seen or not seen:
            logs = self._logs(library, seen, weighted)
        if hooks and begun >= 0:  # fewer batches than are told of at once
            hooks[1](begun + group - 1, logs)
        return logs

    def _empty_outputs(self, library: Library, rows: int) -> list[Array]:
        return [np.empty((rows, *shape[1:]), library.dtype) for shape in self._ends.shapes]

    def _epochs(self, library: Library, feed: ArrayFeed, epochs: int) -> dict[str, list[Any]]:
        """Trains on all samples some times over, in one call of C; returns the logs, a list with one of each time."""
        library.bind(self.optimizer)
        self._begin_totals(library)
        begun = time.perf_counter()
        library.begin(self.optimizer)
        try:
            seeds = random.next_words(epochs) if feed.order is not None else None
            totals = library.train_epochs(feed.samples, min(feed.batch, max(feed.rows, 2)), seeds, epochs)
        finally:
            library.end(self.optimizer)
        feed.pace.learn(feed.rows * epochs, time.perf_counter() - begun)
        return self._supervised().logs_of_epochs(totals, epochs, feed.rows, feed.weighted)

    def _train(self, library: Library, piece: Piece, outputs: list[Array] | None = None) -> None:
        library.bind(self.optimizer)  # a callback may have used the model in between
        library.begin(self.optimizer)
        try:
            # Few samples need little memory to work in; but batches of one row have code of their own.
            batch = min(piece.batch, max(piece.samples.rows, 2))
            library.train(piece.samples, piece.first, piece.rows, batch, outputs or ())
        finally:  # Ctrl-C is raised when the C has returned: its updates are done, and counted
            library.end(self.optimizer)

    def _begin_totals(self, library: Library) -> None:
        library.reset_totals()
        self._supervised().reset()

    def _logs(self, library: Library, samples: int, weighted: Sequence[bool]) -> dict[str, Any]:
        """The loss and the metrics over the samples so far."""
        return self._supervised().logs(library.totals(), samples, weighted)

    # ---------------------------------------------------------------- evaluate and predict

    def evaluate(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        verbose: str | int = "auto",
        sample_weight: Any = None,
        steps: int | None = None,
        callbacks: Any = None,
        return_dict: bool = False,
        **unknown: Any,
    ) -> Any:
        """Measures the loss and the metrics.

        Args:
            x: inputs, or a stream of batches; see :meth:`fit`.
            y: targets; None beside a stream.
            batch_size: samples at a time, for callbacks and the progress bar; 32 if None.
            verbose: 0 silent, 1 or "auto" a progress bar, 2 a line.
            sample_weight: a weight per sample; for several outputs one array for all, or as y.
            steps: how many batches; all if None.
            callbacks: a list of Callbacks.
            return_dict: whether to return a dict of names and values.

        Returns:
            The loss; with metrics or several losses a list of values in the order of
            ``metrics_names``; or the dict.
        """
        where = f"{self._title}: evaluate"
        registry.check_keywords(f"{where}()", unknown, _EVALUATE_ARGUMENTS)
        self._need_compiled("evaluate", training=False)
        data.check_batch_size(batch_size, where=where)
        steps = None if steps is None else positive(where, "steps", steps)
        shown = _verbosity(where, verbose)
        if data.is_stream(x):
            stream = self._stream(x, where, y=y, sample_weight=sample_weight)
            held: tuple[Taken, data.Stream | None] = (self._take(*stream.peek(), None, where), stream)
        else:
            if not self.built:
                self._build_from(x, where, lambda n: _batch_size(batch_size, steps, n))
            held = (self._take(x, y, sample_weight, None, where), None)
        forms = held[0].forms
        library = self._trainer(forms, held[0].losses)
        feed = self._feed(library, held, forms, batch_size, steps, where)
        called = CallbackList(callbacks, add_progbar=shown != 0, model=self, verbose=shown, epochs=1, steps=feed.total)
        try:
            logs = self._evaluate(library, feed, called, _test_hooks(called))
        finally:
            feed.close()
        return self._result(logs, return_dict)

    def _evaluate(
        self, library: Library, feed: ArrayFeed | StreamFeed, called: CallbackList, hooks: _Hooks | None
    ) -> dict[str, Any]:
        self.stop_evaluating = False

        def measure(library: Library, piece: Piece, outputs: list[Array] | None) -> None:
            batch = min(piece.batch if hooks or library.program.by_batch else _ROWS, piece.rows)
            self._measure(library, piece, batch, outputs)

        feed.restart()
        called.on_test_begin()
        logs = self._run(library, feed, called, measure, hooks, lambda: self.stop_evaluating)
        called.on_test_end(logs)
        return logs

    def _measure(self, library: Library, piece: Piece, batch: int, outputs: list[Array] | None) -> None:
        library.bind(self.optimizer)
        library.evaluate(piece.samples, piece.first, piece.rows, batch, outputs or ())

    def _result(self, logs: dict[str, Any], return_dict: bool) -> Any:
        """What evaluate and the methods for single batches return."""
        if return_dict:
            return dict(sorted(logs.items()))
        return self._supervised().values(logs)

    def predict(
        self,
        x: Any,
        batch_size: int | None = None,
        verbose: str | int = "auto",
        steps: int | None = None,
        callbacks: Any = None,
        **unknown: Any,
    ) -> Any:
        """Computes the outputs.

        Args:
            x: inputs, or a stream of batches; see :meth:`fit`.
            batch_size: samples at a time, for callbacks and the progress bar; 32 if None.
            verbose: 0 silent, 1 or "auto" a progress bar, 2 a line.
            steps: how many batches; all if None.
            callbacks: a list of Callbacks.

        Returns:
            An array of shape (rows, …); of a model with several outputs a list or dict of them.
        """
        if callbacks is None and verbose in (0, False) and batch_size is None and steps is None and not unknown:
            prepared = self._prepared(x)
            if prepared is not None:
                return prepared
        where = f"{self._title}: predict"
        registry.check_keywords(f"{where}()", unknown, _PREDICT_ARGUMENTS)
        self._refuse_overrides(_PREDICTION_OVERRIDES)
        data.check_batch_size(batch_size, where=where)
        steps = None if steps is None else positive(where, "steps", steps)
        shown = _verbosity(where, verbose)
        if data.is_stream(x):
            return self._predict_stream(x, steps, shown, callbacks, where)
        if not self.built:
            self._build_from(x, where, lambda n: _batch_size(batch_size, steps, n))
        if not shown and callbacks is None and steps is None and not self._predictor().program.mixes_samples:
            return self._outputs(x, where)
        xs = self._take_x(x, where)
        library = self._predictor()
        batch = _batch_size(batch_size, steps, len(xs[0]))
        feed = ArrayFeed(library, Taken(xs, [None], [None], (), (), ((),)), (), batch, steps, where=where)
        called = CallbackList(callbacks, add_progbar=shown != 0, model=self, verbose=shown, epochs=1, steps=feed.total)
        outs = self._empty_outputs(library, min(len(xs[0]), (steps or feed.total) * batch))
        hooked = called.needs_predict_batches
        together = batch if hooked or library.program.mixes_samples else _ROWS
        self.stop_predicting = False
        called.on_predict_begin()
        for piece in feed.pieces(self.steps_per_execution if hooked else 0):
            last = piece.step + self.steps_per_execution - 1
            if hooked:
                called.on_predict_batch_begin(piece.step)
            made = [out[piece.first : piece.first + piece.rows] for out in outs]
            library.predict(piece.samples, piece.first, piece.rows, min(together, piece.rows), made)
            if not hooked:
                called.progress(piece.steps)
                continue
            called.on_predict_batch_end(last, {"outputs": self._pack_outputs(made)})
            if self.stop_predicting:
                outs = [out[: piece.first + piece.rows] for out in outs]
                break
        called.on_predict_end()
        return self._pack_outputs(outs)

    def _predict_stream(self, x: Any, steps: int | None, shown: int, callbacks: Any, where: str) -> Any:
        """The outputs for the batches of a stream; targets in it are not looked at."""
        stream = self._stream(x, where)
        self._take_x(stream.peek()[0], where)  # a model that is not built is built for these
        library = self._predictor()
        called = CallbackList(
            callbacks, add_progbar=shown != 0, model=self, verbose=shown, epochs=1, steps=steps or stream.batches
        )
        hooked, group = called.needs_predict_batches, self.steps_per_execution
        self.stop_predicting = False
        made: list[list[Array]] = []
        called.on_predict_begin()
        try:
            for step, batch in enumerate(stream.epoch(steps)):
                if hooked and step % group == 0:
                    called.on_predict_batch_begin(step)
                xs = self._take_x(batch[0], where)
                outs = self._empty_outputs(library, len(xs[0]))
                together = len(xs[0]) if library.program.mixes_samples else _ROWS
                library.predict(library.samples(xs), 0, len(xs[0]), min(together, len(xs[0])), outs)
                made.append(outs)
                if not hooked:
                    called.progress(step + 1)
                elif step % group == group - 1:
                    called.on_predict_batch_end(step, {"outputs": self._pack_outputs(outs)})
                    if self.stop_predicting:
                        break
            else:
                if hooked and len(made) % group:
                    last = len(made) - len(made) % group + group - 1
                    called.on_predict_batch_end(last, {"outputs": self._pack_outputs(made[-1])})
        finally:
            stream.close()
        called.on_predict_end()
        return self._pack_outputs([np.concatenate(parts) for parts in zip(*made, strict=True)])

    def _outputs(self, x: Any, where: str) -> Any:
        """The outputs for all rows of ``x``, where nobody watches; small arrays get a prepared prediction."""
        given = x
        xs = self._take_x(x, where)
        library, rows = self._predictor(), len(xs[0])
        outs = self._empty_outputs(library, rows)
        if rows <= _ROWS and xs[0] is given and self._ends.alone and not library.program.mixes_samples:
            direct = library.direct(xs[0].shape, xs[0].dtype, outs[0].shape[1:])
            if direct is not None:
                self._prepared = direct.outputs
        samples = library.samples(xs)
        together = rows if library.program.mixes_samples else _ROWS
        for first, count in Pace(library).pieces(0, rows, together, 0):
            library.predict(samples, first, count, min(together, count), [out[first : first + count] for out in outs])
        return outs[0] if self._ends.alone else self._pack_outputs(outs)

    # ---------------------------------------------------------------- single batches

    def train_on_batch(
        self, x: Any, y: Any = None, sample_weight: Any = None, class_weight: Any = None, return_dict: bool = False
    ) -> Any:
        """Does one update with all rows of ``x``.

        Args:
            x: inputs; see :meth:`fit`.
            y: targets.
            sample_weight: factors of the samples' losses.
            class_weight: factors by class.
            return_dict: whether the result is a dictionary.

        Returns:
            The loss and the metrics before the update: a number, a list in the order of :attr:`metrics_names`, or a
            dictionary.
        """
        where = f"{self._title}: train_on_batch"
        self._need_compiled("train_on_batch")
        taken = self._take(x, y, sample_weight, self._take_classes(class_weight, where), where)
        library = self._trainer(taken.forms, taken.losses)
        return self._result(self._single(library, taken, self._train), return_dict)

    def test_on_batch(self, x: Any, y: Any = None, sample_weight: Any = None, return_dict: bool = False) -> Any:
        """Returns the loss and metrics of all rows of ``x``.

        Args:
            x: inputs; see :meth:`fit`.
            y: targets.
            sample_weight: factors of the samples' losses.
            return_dict: whether the result is a dictionary.
        """
        where = f"{self._title}: test_on_batch"
        self._need_compiled("test_on_batch", training=False)
        taken = self._take(x, y, sample_weight, None, where)
        library = self._trainer(taken.forms, taken.losses)

        def measure(library: Library, piece: Piece, outputs: list[Array] | None) -> None:
            batch = piece.rows if library.program.by_batch else min(piece.rows, _ROWS)
            self._measure(library, piece, batch, outputs)

        return self._result(self._single(library, taken, measure), return_dict)

    def _single(
        self, library: Library, taken: Taken, work: Callable[[Library, Piece, list[Array] | None], None]
    ) -> dict[str, Any]:
        """Does some work on samples as one batch; returns the logs."""
        supervisor, rows = self._supervised(), taken.rows
        self._begin_totals(library)
        samples = samples_of(library, taken, taken.forms)
        piece = Piece(samples, 0, rows, rows, 0, 1)
        outputs = self._empty_outputs(library, rows) if supervisor.captured else None
        work(library, piece, outputs)
        if outputs is not None:
            supervisor.feed(taken.supervised(slice(None)), outputs, rows)
        return self._logs(library, rows, [form.weighted for form in taken.forms])

    def predict_on_batch(self, x: Any) -> Any:
        """Returns the outputs for all rows of ``x``, without loop, callbacks or progress bar.

        Args:
            x: inputs; see :meth:`fit`.
        """
        prepared = self._prepared(x)
        return self._outputs(x, f"{self._title}: predict_on_batch") if prepared is None else prepared


# ------------------------------------------------------------------ helpers


_FIT_ARGUMENTS = names_of(Trainer.fit, *_LEGACY_FIT)
_EVALUATE_ARGUMENTS = names_of(Trainer.evaluate)
_PREDICT_ARGUMENTS = names_of(Trainer.predict)


def _finalizes_nothing_else(optimizer: Any) -> bool:
    """Whether weights get final values only where there are running means."""
    return type(optimizer).finalize_variable_values is optimizers.Optimizer.finalize_variable_values


def _test_hooks(called: CallbackList) -> _Hooks | None:
    return (called.on_test_batch_begin, called.on_test_batch_end) if called.needs_test_batches else None


def _count(where: str, name: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 0:
        raise ModelError(f"{where}: {name}: expected a whole number, 0 or more, received {value!r:.80}.")
    return int(value)


def _batch_size(batch_size: int | None, steps: int | None, rows: int) -> int:
    """Samples of a batch: 32 if nothing is said, or what makes so many steps of all rows."""
    if batch_size is not None:
        return int(batch_size)
    return math.ceil(rows / steps) if steps else 32


def _verbosity(where: str, verbose: Any) -> int:
    if verbose == "auto":
        return 1
    if isinstance(verbose, bool) or verbose in (0, 1, 2):
        return int(verbose)
    raise ModelError(f"{where}: verbose: expected 'auto', 0, 1 or 2, received {verbose!r:.80}.")


def _validation_epochs(where: str, frequency: Any) -> Callable[[int], bool]:
    """Whether to validate after an epoch, counted from 1."""
    if isinstance(frequency, (int, np.integer)) and not isinstance(frequency, bool) and frequency > 0:
        return lambda epoch: epoch % int(frequency) == 0
    if isinstance(frequency, (list, tuple, set)):
        return lambda epoch: epoch in frequency
    raise ModelError(f"{where}: validation_freq: expected a positive number or a list, received {frequency!r:.80}.")
