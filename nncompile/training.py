"""Training, evaluation and prediction of models: the loops around compiled code.

The work is done in C, many batches at a time; Python is in between as often as a
callback, the progress bar or Ctrl-C needs it. Mini-batches are Keras': every epoch a new
random order, all samples used, a last short batch trained on, and one update per batch
with the mean of its losses.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from . import data, losses, metrics, optimizers, random, registry, targets
from .callbacks import CallbackList, History
from .errors import ModelError
from .variables import Array

if TYPE_CHECKING:
    from .compiler import Library
    from .compiler.library import Samples

_PAUSE = 0.05
"""Seconds after which C should be back in Python: so long Ctrl-C may have to wait."""
_FIRST = 1e7
"""Multiply-adds that take much less than that on any machine: what the first call of C does."""
_ROWS = 240
"""Rows at a time where no batch size matters: in prediction, in evaluation unless the loss is a sum over its batch."""

_LEGACY_FIT = {"nb_epoch": "epochs"}


class _Key(NamedTuple):
    """What a compiled library depends on, beside the model's layers."""

    target: targets.Target
    purpose: str
    labels: bool
    columns: int
    trainable: tuple[bool, ...]
    products: tuple[str, ...]


def _not_prepared(x: Any) -> Array | None:
    """In the place of a prepared prediction while there is none."""
    return None


class Trainer:
    """What makes a model one that learns: compile, fit, evaluate and predict.

    Attributes:
        optimizer: the optimizer, once compiled.
        loss: what ``compile`` was given.
        compiled: whether ``compile`` was called.
        stop_training: set it to True in a callback to end ``fit``.
        history: the History of the last ``fit``.
    """

    # of Model, which derives from this
    name: str
    layers: Any
    built: bool
    trainable: bool
    input_shape: Any
    output_shape: Any

    def __init__(self) -> None:
        self.optimizer: Any = None
        self.loss: Any = None
        self.compiled = False
        self.stop_training = False
        self._initial_epoch: int | None = None  # where fit begins, if a callback says so in on_train_begin
        self.history: History | None = None
        self._metric_specs: list[Any] = []
        self._metrics: list[tuple[str, Any]] = []
        self._compile_arguments: dict[str, Any] = {}
        self._libraries: dict[_Key, Library] = {}
        self._prepared: Callable[[Any], Array | None] = _not_prepared

    # ---------------------------------------------------------------- compile

    def compile(
        self,
        optimizer: Any = "rmsprop",
        loss: Any = None,
        loss_weights: Any = None,
        metrics: Any = None,
        weighted_metrics: Any = None,
        run_eagerly: bool = False,
        steps_per_execution: int = 1,
        jit_compile: str | bool = "auto",
        auto_scale_loss: bool = True,
        **unknown: Any,
    ) -> None:
        """Says how to train.

        Args:
            optimizer: a name or an Optimizer.
            loss: a name, a function of (y_true, y_pred) or a Loss.
            loss_weights: not supported.
            metrics: a list of names, functions of (y_true, y_pred) or Metrics.
            weighted_metrics: not supported.
            run_eagerly: not supported: there is only compiled code.
            steps_per_execution: must be 1; many steps run in one call anyway.
            jit_compile: any of Keras' values; the model is compiled in every case.
            auto_scale_loss: without effect, as in Keras where no loss is scaled.

        Raises:
            TypeError: a misspelled argument; the nearest is named.
            ModelError: an unknown name.
            UnsupportedError: something that is not supported yet.
        """
        registry.check_keywords(f"{self._title}: compile()", unknown, _COMPILE_ARGUMENTS)
        registry.refuse(
            f"{self._title}: compile()",
            loss_weights=loss_weights,
            weighted_metrics=weighted_metrics or None,
            run_eagerly=run_eagerly,
            steps_per_execution=None if steps_per_execution in (None, 1) else steps_per_execution,
        )
        if jit_compile not in (True, False, "auto", None):
            raise ModelError(
                f"{self._title}: compile(): jit_compile: expected True, False or 'auto', received {jit_compile!r}."
            )
        if isinstance(loss, (list, tuple, dict)):
            if not isinstance(loss, (list, tuple)) or len(loss) != 1:
                raise ModelError(f"{self._title}: compile(): expected one loss, received {loss!r:.80}.")
            loss = loss[0]
        if metrics is not None and not isinstance(metrics, (list, tuple)):
            raise ModelError(
                f"{self._title}: compile(): metrics: expected a list, received {metrics!r:.80}. "
                f"Write metrics=[{metrics!r:.40}]."
            )
        wanted = list(metrics or [])
        if len(wanted) == 1 and isinstance(wanted[0], (list, tuple)):
            wanted = list(wanted[0])
        made = optimizers.get(optimizer)
        if isinstance(loss, str) and loss.lower() not in ("crossentropy", "ce"):
            losses.get(loss)  # an unknown name is reported here, not in fit
        elif loss is not None and not isinstance(loss, str) and not callable(loss):
            losses.get(loss)
        for m in wanted:
            _check_metric(m)
        self._forget_slots()
        self.optimizer, self.loss, self._metric_specs, self._metrics = made, loss, wanted, []
        self._compile_arguments = {
            "optimizer": made,
            "loss": loss,
            "loss_weights": None,
            "metrics": list(metrics) if metrics is not None else None,
            "weighted_metrics": None,
            "run_eagerly": False,
            "steps_per_execution": 1,
            "jit_compile": True if jit_compile in ("auto", None) else bool(jit_compile),
        }
        self.compiled, self.stop_training = True, False
        self._drop_libraries()

    def get_compile_config(self) -> dict[str, Any] | None:
        """Returns the arguments of :meth:`compile` in Keras' serialized form, None if it was not called."""
        if not self.compiled:
            return None
        arguments = dict(self._compile_arguments)
        arguments["optimizer"] = registry.serialize(self.optimizer, "optimizers")
        arguments["loss"] = losses.serialize(self.loss) if self.loss is not None else None
        if arguments["metrics"] is not None:
            arguments["metrics"] = [_serialize_metric(m) for m in arguments["metrics"]]
        return arguments

    def compile_from_config(self, config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None) -> None:
        """Compiles as :meth:`get_compile_config` said.

        Raises:
            UnsupportedError: it names something that is not known here.
        """
        arguments = {k: v for k, v in config.items() if k in _COMPILE_ARGUMENTS}
        arguments["optimizer"] = registry.deserialize(config.get("optimizer"), "optimizers", custom_objects)
        loss = config.get("loss")
        if isinstance(loss, Mapping):
            arguments["loss"] = registry.deserialize(loss, "losses", custom_objects)
        elif isinstance(loss, str) and custom_objects and loss in custom_objects:
            arguments["loss"] = custom_objects[loss]
        if isinstance(config.get("metrics"), (list, tuple)):
            arguments["metrics"] = [_deserialize_metric(m, custom_objects) for m in config["metrics"]]
        if arguments.get("jit_compile") is None:
            arguments.pop("jit_compile", None)
        self.compile(**arguments)
        if self.built and self.optimizer is not None:
            self.optimizer.build(self.trainable_variables)

    @property
    def metrics(self) -> list[Any]:
        """The metrics: a mean of the loss, then those of ``compile`` once their shapes are known."""
        return [m for _, m in self._metrics] if self._metrics else list(self._metric_specs)

    @property
    def metrics_names(self) -> list[str]:
        """Names of the loss and the metrics, in the order in which ``evaluate`` returns them."""
        return ["loss", *(m.name for _, m in self._metrics)]

    @property
    def trainable_variables(self) -> list[Any]:
        return list(self.trainable_weights)  # type: ignore[attr-defined]

    # ---------------------------------------------------------------- libraries

    @property
    def _title(self) -> str:
        return f"{self.name} ({type(self).__name__})"

    def _reset_library(self) -> None:
        """Forgets what was compiled: the layers are others now."""
        self._drop_libraries()

    def _drop_libraries(self) -> None:
        self._prepared = _not_prepared
        for library in self._libraries.values():
            library.release()
        self._libraries.clear()

    def _forget_slots(self) -> None:
        """Takes what the old optimizer kept out of the state that is dropped with it."""
        for variable in getattr(self.optimizer, "variables", ()):
            variable.bind(None)

    def _products(self) -> tuple[str, ...]:
        """In which type each layer multiplies."""
        return tuple(layer.compute_dtype for layer in self.layers)

    def _predictor(self) -> Library:
        """A library that predicts, with the weights in its state.

        Whatever can train can predict as well. The one that has the weights comes first, so that they stay there.
        """
        target, products = targets.host(), self._products()
        usable = [lib for key, lib in list(self._libraries.items()) if (key.target, key.products) == (target, products)]
        for library in usable:
            if library.hold.whole:
                return library
        library = usable[0] if usable else self._compiled(_Key(target, "predict", False, 0, (), products))
        library.bind()
        return library

    def _trainer(self, kind: str, loss: Any) -> Library:
        """The library that trains and evaluates, with the weights and the optimizer's numbers in its state."""
        trainable = tuple(
            bool(self.trainable and layer.trainable and w.trainable) for layer in self.layers for w in layer.weights
        )
        columns = 0 if kind == "labels" else int(self.output_shape[-1])
        key = _Key(targets.host(), "train", kind == "labels", columns, trainable, self._products())
        library = self._compiled(key, loss)
        library.bind(self.optimizer)
        return library

    def _compiled(self, key: _Key, loss: Any = None) -> Library:
        """The library of a key, compiled when it is first asked for."""
        found = self._libraries.get(key)
        if found is not None:
            return found
        from . import compiler

        training = None
        if key.purpose == "train":
            training = self._supervised(loss, key.labels, key.columns)
            if self.optimizer is not None:
                self.optimizer.build(self.trainable_variables)
                for variable in self.trainable_variables:  # an optimizer of other weights is reported before the build
                    self.optimizer.slot_variables(variable)
        made = compiler.compile_network(self, key.target, training)
        return self._libraries.setdefault(key, made)  # another thread may have been faster

    def _supervised(self, loss: Any, labels: bool, columns: int, profile: bool = False) -> Any:
        from . import compiler

        measured = tuple((name, metric, False) for name, metric in self._metrics)
        return compiler.Training((compiler.Supervision(loss, measured, labels, columns),), self.optimizer, profile)

    def _profile(self, x: Any, y: Any, batch_size: int) -> dict[str, tuple[float, int]]:
        """Times every step of the C over an epoch of training, in a copy of the state: the model stays as it is.

        Returns:
            For each step its seconds and how often it was done.
        """
        from . import compiler

        self._need_compiled("profile")
        taken, prepared, kind, loss = self._take(x, y, "profile")
        self.optimizer.build(self.trainable_variables)
        columns = 0 if kind == "labels" else int(self.output_shape[-1])
        training = self._supervised(loss, kind == "labels", columns, profile=True)
        library = compiler.compile_network(self, targets.host(), training)
        library.copy_in(self.optimizer)
        library.begin(self.optimizer)
        samples = library.samples(taken, prepared)
        library.train(samples, 0, min(len(taken), 4 * batch_size), batch_size)  # the first steps meet cold caches
        before = library.laps()
        library.train(samples, 0, len(taken), batch_size)
        steps = -(-len(taken) // batch_size)
        return {name: (seconds - before[name], steps) for name, seconds in library.laps().items()}

    def source(self) -> str:
        """Returns the C that the model was compiled to, for prediction only if it was not trained yet."""
        for key in sorted(self._libraries, key=lambda k: k.purpose, reverse=True):
            return self._libraries[key].source
        self._need_built("source")
        return self._predictor().source

    # ---------------------------------------------------------------- data

    def _need_compiled(self, where: str, training: bool = True) -> None:
        if not self.compiled:
            raise ModelError(f"{self._title}: {where}() needs to know how to train. Call compile(…) first.")
        if self.loss is None:
            raise ModelError(f"{self._title}: {where}() needs a loss. Call compile(loss=…) first.")
        if training and self.optimizer is None:
            raise ModelError(f"{self._title}: {where}() needs an optimizer. Call compile(optimizer=…) first.")

    def _need_built(self, where: str) -> None:
        if not self.built:
            raise ModelError(
                f"{self._title}: {where}() before the shape of the input is known. "
                "Begin the model with Input((features,)), call build(shape), or train it first."
            )

    def _take_x(self, x: Any, where: str, name: str = "x") -> Array:
        """Checks the rows of an input, building the model from them if it is not built."""
        array = data.as_rows(name, x, where=f"{self._title}: {where}")
        if len(array) == 0:
            raise ModelError(f"{self._title}: {where}: {name}: expected at least one row, received none.")
        if not self.built:
            self.build((None, *array.shape[1:]))  # type: ignore[attr-defined]
        first = self.layers[0] if self.layers else self
        return data.check_inputs(array, self.input_shape, f"{first.name} ({type(first).__name__})")

    def _take(self, x: Any, y: Any, where: str) -> tuple[Array, Array, str, Any]:
        """Checks inputs and targets.

        Returns:
            x, y, ``labels`` or ``dense``, and the loss.
        """
        taken = self._take_x(x, where)
        targets_ = data.as_rows("y", y, where=f"{self._title}: {where}")
        data.check_pair(taken, targets_, where=f"{self._title}: {where}")
        shape = self.output_shape
        loss = losses.resolve(self.loss, shape, targets_.shape)
        if loss is not None and str(getattr(loss, "reduction", "")) in ("none", "None"):
            raise ModelError(f"{self._title}: {where}: a loss with reduction=None has no single number to minimise.")
        if not self._metrics and self._metric_specs:
            self._resolve_metrics(shape, targets_.shape)
        prepared, kind = data.prepare_targets(targets_, shape, loss, where=f"{self._title}: {where}")
        return taken, prepared, kind, loss

    def _resolve_metrics(self, output_shape: Any, target_shape: Any) -> None:
        from .compiler.expression import Names

        names = Names({"loss", "rows", "state", "b", "r", "c", "scale", "column", "inside"})
        made = []
        for spec in self._metric_specs:
            metric = metrics.resolve(spec, output_shape, target_shape)
            if not isinstance(metric, metrics.MeanMetricWrapper):
                raise ModelError(
                    f"{self._title}: metric {metric.name!r}: expected a mean of a formula, received a "
                    f"{type(metric).__name__}. Give a function of (y_true, y_pred) over nncompile.ops."
                )
            made.append((names.new(metric.name), metric))
        self._metrics = made

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
            x: inputs: an array of any numeric type, or a list; memory-mapped arrays are not loaded.
            y: targets, as the loss wants them.
            batch_size: samples per update; 32 if None.
            epochs: number of the last epoch; 0 does nothing.
            verbose: 0 silent, 1 or "auto" a progress bar, 2 a line per epoch.
            callbacks: a list of Callbacks.
            validation_split: share of the data, its tail, to evaluate on after each epoch.
            validation_data: (x, y) to evaluate on instead.
            shuffle: True for a new random order each epoch, False for none, "batch" within batches.
            class_weight: not supported.
            sample_weight: not supported.
            initial_epoch: number of epochs done before.
            steps_per_epoch: not supported.
            validation_steps: not supported.
            validation_batch_size: samples at a time in validation.
            validation_freq: every how many epochs to validate, or the numbers of the epochs.

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
        registry.refuse(
            where,
            class_weight=class_weight,
            sample_weight=sample_weight,
            steps_per_epoch=steps_per_epoch,
            validation_steps=validation_steps,
        )
        self._need_compiled("fit")
        epochs, initial_epoch = _count(where, "epochs", epochs), _count(where, "initial_epoch", initial_epoch)
        batch = data.check_batch_size(batch_size, where=where)
        shown = _verbosity(where, verbose)
        due = _validation_epochs(where, validation_freq)
        x, y, kind, loss = self._take(x, y, "fit")
        held = None
        if validation_data is not None:
            if not isinstance(validation_data, (tuple, list)) or len(validation_data) != 2:
                raise ModelError(f"{where}: validation_data: expected (x, y), received {_kind_of(validation_data)}.")
            held_x, held_y, held_kind, _ = self._take(validation_data[0], validation_data[1], "fit: validation_data")
            if held_kind != kind:
                raise ModelError(f"{where}: validation_data: its y is of another form ({held_kind}) than y ({kind}).")
            held = (held_x, held_y)
        elif validation_split:
            (x, y), held = data.split_validation(x, y, validation_split)
        size = batch if validation_batch_size is None else data.check_batch_size(validation_batch_size, where=where)
        data.check_shuffle(shuffle)
        rows = len(x)
        steps = math.ceil(rows / batch)
        called = CallbackList(
            callbacks, add_history=True, add_progbar=shown != 0, model=self, verbose=shown, epochs=epochs, steps=steps
        )
        self.stop_training, self._initial_epoch = False, None
        logs: dict[str, float] = {}
        if epochs <= initial_epoch:
            called.on_train_begin()
            called.on_train_end(logs)
            return self._made_history()
        library = self._trainer(kind, loss)
        order = np.empty(rows, np.int64) if shuffle else None
        samples = library.samples(x, y, order)
        held_samples = library.samples(*held) if held is not None else None
        pace, held_pace = _Pace(library), _Pace(library)
        called.on_train_begin()
        each = called.needs_train_batches
        unheard = called.only_history and held_samples is None and shuffle != "batch"
        epoch = initial_epoch if self._initial_epoch is None else self._initial_epoch
        while epoch < epochs:
            together = min(pace.epochs(rows), epochs - epoch) if unheard else 1
            if together > 1:
                made = self._epochs(library, samples, bool(shuffle), batch, pace, together)
                called.on_epochs_end(epoch, made)
                logs = made[-1]
                epoch += together
            else:
                called.on_epoch_begin(epoch)
                if order is not None and shuffle == "batch":
                    data.shuffle_batches(order, random.generator(), batch)
                elif order is not None:
                    library.shuffle(samples, int(random.next_words(1)[0]))
                logs = self._epoch(library, called, each, samples, batch, pace)
                if held_samples is not None and due(epoch + 1):
                    measured = self._evaluate(library, called, held_samples, size, held_pace)
                    logs.update({f"val_{name}": value for name, value in measured.items()})
                called.on_epoch_end(epoch, logs)
                epoch += 1
            if self.stop_training:
                break
        if epochs > 0:
            self.optimizer.finalize_variable_values(self.trainable_variables)
        called.on_train_end(logs)
        return self._made_history()

    def _made_history(self) -> History:
        assert self.history is not None  # the list of callbacks has set it
        return self.history

    def _epoch(
        self, library: Library, called: CallbackList, each: bool, samples: Samples, batch: int, pace: _Pace
    ) -> dict[str, float]:
        """Trains on all samples once, with ``each`` one batch at a time."""
        logs: dict[str, float] = {}
        self._begin_totals(library)
        for first, count in pace.pieces(samples.rows, batch, each):
            number = first // batch
            if each:
                called.on_train_batch_begin(number)
            self._train(library, samples, first, count, batch)
            logs = self._logs(library, first + count)
            if each:
                called.on_train_batch_end(number, logs)
                if self.stop_training:
                    break
            else:
                called.progress(math.ceil((first + count) / batch), logs)
        return logs

    def _epochs(
        self, library: Library, samples: Samples, shuffle: bool, batch: int, pace: _Pace, epochs: int
    ) -> list[dict[str, float]]:
        """Trains on all samples some times over, in one call of C."""
        library.bind(self.optimizer)
        self._begin_totals(library)
        begun = time.perf_counter()
        library.begin(self.optimizer)
        try:
            seeds = random.next_words(epochs) if shuffle else None
            totals = library.train_epochs(samples, min(batch, max(samples.rows, 2)), seeds, epochs)
        finally:
            library.end(self.optimizer)
        pace.learn(samples.rows * epochs, time.perf_counter() - begun)
        return [self._logs(library, samples.rows, each) for each in totals]

    def _train(self, library: Library, samples: Samples, first: int, count: int, batch: int) -> None:
        library.bind(self.optimizer)  # a callback may have used the model in between
        library.begin(self.optimizer)
        try:
            # Few samples need little memory to work in; but batches of one row have code of their own.
            library.train(samples, first, count, min(batch, max(samples.rows, 2)))
        finally:  # Ctrl-C is raised when the C has returned: its updates are done, and counted
            library.end(self.optimizer)

    def _begin_totals(self, library: Library) -> None:
        library.reset_totals()
        for _, metric in self._metrics:
            metric.reset_state()

    def _logs(self, library: Library, samples: int, totals: dict[str, float] | None = None) -> dict[str, float]:
        """The loss and the metrics over the samples so far."""
        if totals is None:
            totals = library.totals()
        logs = {"loss": totals["loss"] / samples}
        if self._metrics:
            rows = samples * library.program.outputs[0].positions
            for key, metric in self._metrics:
                metric.reset_state()
                metric.add(totals[key], rows)
                logs[metric.name] = float(metric.result())
        return logs

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
            x: inputs.
            y: targets.
            batch_size: samples at a time, for callbacks and the progress bar; 32 if None.
            verbose: 0 silent, 1 or "auto" a progress bar, 2 a line.
            sample_weight: not supported.
            steps: not supported.
            callbacks: a list of Callbacks.
            return_dict: whether to return a dict of names and values.

        Returns:
            The loss; with metrics a list of the loss and the metrics in their order; or the dict.
        """
        where = f"{self._title}: evaluate"
        registry.check_keywords(f"{where}()", unknown, _EVALUATE_ARGUMENTS)
        registry.refuse(where, sample_weight=sample_weight, steps=steps)
        self._need_compiled("evaluate", training=False)
        batch = data.check_batch_size(batch_size, where=where)
        shown = _verbosity(where, verbose)
        x, y, kind, loss = self._take(x, y, "evaluate")
        library = self._trainer(kind, loss)
        called = CallbackList(
            callbacks, add_progbar=shown != 0, model=self, verbose=shown, epochs=1, steps=math.ceil(len(x) / batch)
        )
        logs = self._evaluate(library, called, library.samples(x, y), batch, _Pace(library))
        if return_dict:
            return logs
        values = list(logs.values())
        return values if self._metrics else values[0]

    def _evaluate(
        self, library: Library, called: CallbackList, samples: Samples, batch: int, pace: _Pace
    ) -> dict[str, float]:
        self._begin_totals(library)
        called.on_test_begin()
        each = called.needs_test_batches
        logs: dict[str, float] = {}
        for first, count in pace.pieces(samples.rows, batch, each):
            if each:
                called.on_test_batch_begin(first // batch)
            library.bind(self.optimizer)
            library.evaluate(
                samples,
                first,
                count,
                min(batch if each or library.program.by_batch else _ROWS, count),
            )
            logs = self._logs(library, first + count)
            if each:
                called.on_test_batch_end(first // batch, logs)
            else:
                called.progress(math.ceil((first + count) / batch), logs)
        called.on_test_end(logs)
        return logs

    def predict(
        self,
        x: Any,
        batch_size: int | None = None,
        verbose: str | int = "auto",
        steps: int | None = None,
        callbacks: Any = None,
        **unknown: Any,
    ) -> Array:
        """Computes the outputs.

        Args:
            x: inputs.
            batch_size: samples at a time, for callbacks and the progress bar; 32 if None.
            verbose: 0 silent, 1 or "auto" a progress bar, 2 a line.
            steps: not supported.
            callbacks: a list of Callbacks.

        Returns:
            An array of shape (rows, …).
        """
        if callbacks is None and verbose in (0, False) and batch_size is None and steps is None and not unknown:
            prepared = self._prepared(x)
            if prepared is not None:
                return prepared
        where = f"{self._title}: predict"
        registry.check_keywords(f"{where}()", unknown, _PREDICT_ARGUMENTS)
        registry.refuse(where, steps=steps)
        batch = data.check_batch_size(batch_size, where=where)
        shown = _verbosity(where, verbose)
        if not shown and callbacks is None:
            return self._outputs(x, "predict")
        x = self._take_x(x, "predict")
        library = self._predictor()
        called = CallbackList(
            callbacks, add_progbar=shown != 0, model=self, verbose=shown, epochs=1, steps=math.ceil(len(x) / batch)
        )
        out = np.empty((len(x), *self.output_shape[1:]), dtype=library.dtype)
        samples = library.samples(x)
        called.on_predict_begin()
        each = called.needs_predict_batches
        for first, count in _Pace(library).pieces(len(x), batch, each):
            if each:
                called.on_predict_batch_begin(first // batch)
            library.predict(samples, first, count, min(batch if each else _ROWS, count), out[first : first + count])
            if each:
                called.on_predict_batch_end(first // batch, {"outputs": out[first : first + count]})
            else:
                called.progress(math.ceil((first + count) / batch))
        called.on_predict_end()
        return out

    def _outputs(self, x: Any, where: str) -> Array:
        """The outputs for all rows of ``x``, where nobody watches; small arrays get a prepared prediction."""
        given = x
        x = self._take_x(x, where)
        library, rows, shape = self._predictor(), len(x), tuple(self.output_shape[1:])
        if rows <= _ROWS and x is given:
            direct = library.direct(x.shape, x.dtype, shape)
            if direct is not None:
                self._prepared = direct.outputs
        out = np.empty((rows, *shape), dtype=library.dtype)
        samples = library.samples(x)
        for first, count in _Pace(library).pieces(rows, _ROWS, False):
            library.predict(samples, first, count, min(_ROWS, count), out[first : first + count])
        return out

    # ---------------------------------------------------------------- single batches

    def train_on_batch(
        self, x: Any, y: Any = None, sample_weight: Any = None, class_weight: Any = None, return_dict: bool = False
    ) -> Any:
        """Does one update with all rows of ``x``; returns the loss and metrics before it."""
        registry.refuse(f"{self._title}: train_on_batch", sample_weight=sample_weight, class_weight=class_weight)
        self._need_compiled("train_on_batch")
        x, y, kind, loss = self._take(x, y, "train_on_batch")
        library = self._trainer(kind, loss)
        self._begin_totals(library)
        self._train(library, library.samples(x, y), 0, len(x), len(x))
        return self._batch_result(self._logs(library, len(x)), return_dict)

    def test_on_batch(self, x: Any, y: Any = None, sample_weight: Any = None, return_dict: bool = False) -> Any:
        """Returns the loss and metrics of all rows of ``x``."""
        registry.refuse(f"{self._title}: test_on_batch", sample_weight=sample_weight)
        self._need_compiled("test_on_batch", training=False)
        x, y, kind, loss = self._take(x, y, "test_on_batch")
        library = self._trainer(kind, loss)
        self._begin_totals(library)
        library.evaluate(
            library.samples(x, y),
            0,
            len(x),
            len(x) if library.program.by_batch else min(len(x), _ROWS),
        )
        return self._batch_result(self._logs(library, len(x)), return_dict)

    def _batch_result(self, logs: dict[str, float], return_dict: bool) -> Any:
        if return_dict:
            return logs
        values = list(logs.values())
        return values if self._metrics else values[0]

    def predict_on_batch(self, x: Any) -> Array:
        """Returns the outputs for all rows of ``x``, without loop, callbacks or progress bar."""
        prepared = self._prepared(x)
        return self._outputs(x, "predict_on_batch") if prepared is None else prepared


# ------------------------------------------------------------------ helpers


def _names_of(method: Callable[..., Any], *also: str) -> tuple[str, ...]:
    code = method.__code__
    return (*code.co_varnames[1 : code.co_argcount], *also)


_COMPILE_ARGUMENTS = _names_of(Trainer.compile)
_FIT_ARGUMENTS = _names_of(Trainer.fit, *_LEGACY_FIT)
_EVALUATE_ARGUMENTS = _names_of(Trainer.evaluate)
_PREDICT_ARGUMENTS = _names_of(Trainer.predict)


class _Pace:
    """How much to do in one call of C: as much as takes about _PAUSE seconds, which is found out while it runs."""

    def __init__(self, library: Library) -> None:
        self._rows = _FIRST / max(sum(matrix.numbers for matrix in library.program.matrices), 1)

    def learn(self, rows: int, seconds: float) -> None:
        """Takes into account how long some rows took."""
        self._rows = min(self._rows * 4, rows * _PAUSE / max(seconds, 1e-6))

    def epochs(self, rows: int) -> int:
        """How many epochs of so many rows fit into a call."""
        return int(self._rows / rows)

    def pieces(self, rows: int, batch: int, each: bool) -> Iterator[tuple[int, int]]:
        """Cuts an epoch into calls: (first row, number of rows), in whole batches; with ``each`` every batch is one."""
        first = 0
        while first < rows:
            batches = 1 if each else max(int(self._rows / batch), 1)
            count = min(batches * batch, rows - first)
            begun = time.perf_counter()
            yield first, count
            first += count
            if not each:
                self.learn(count, time.perf_counter() - begun)


def _count(where: str, name: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 0:
        raise ModelError(f"{where}: {name}: expected a whole number, 0 or more, received {value!r:.80}.")
    return int(value)


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


def _kind_of(value: Any) -> str:
    return f"{len(value)} things" if isinstance(value, (tuple, list)) else type(value).__name__


def _check_metric(metric: Any) -> None:
    if isinstance(metric, str) and metric.lower() in ("accuracy", "acc", "crossentropy", "ce"):
        return
    metrics.get(metric)


def _serialize_metric(metric: Any) -> Any:
    return [_serialize_metric(m) for m in metric] if isinstance(metric, (list, tuple)) else metrics.serialize(metric)


def _deserialize_metric(config: Any, custom_objects: Mapping[str, Any] | None) -> Any:
    if isinstance(config, (list, tuple)):
        return [_deserialize_metric(m, custom_objects) for m in config]
    if isinstance(config, str):
        return (custom_objects or {}).get(config, config)
    return registry.deserialize(config, "metrics", custom_objects)
