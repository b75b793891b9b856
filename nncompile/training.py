"""Training, evaluation and prediction of models: the loops around compiled code.

The work is done in C, many batches at a time; Python is in between as often as a
callback, the progress bar or Ctrl-C needs it. Mini-batches are Keras': every epoch a new
random order, all samples used, a last short batch trained on, and one update per batch
with the mean of its losses. What comes as a stream of batches is one call of C for each.

What the outputs are trained for is :mod:`.supervision`, what they are trained on
:mod:`.feeds` and :mod:`.data`.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from . import data, losses, optimizers, random, registry, supervision, targets
from .callbacks import CallbackList, History
from .errors import ModelError, UnsupportedError
from .feeds import ArrayFeed, Form, Pace, Piece, StreamFeed, Taken, samples_of, united
from .legacy_training import LegacyTrainer
from .variables import Array

if TYPE_CHECKING:
    from .compiler import Library, Training

_ROWS = 240
"""Rows at a time where no batch size matters: in prediction, in evaluation unless the loss is a sum over its batch."""

_Hooks = tuple[Callable[..., None], Callable[..., None]]

_LEGACY_FIT = {"nb_epoch": "epochs"}
_OVERRIDES = ("train_step", "test_step", "compute_loss", "compute_metrics", "make_train_function", "make_test_function")
_PREDICTION_OVERRIDES = ("predict_step", "make_predict_function")
"""Methods of Keras that say in Python what is done with a batch, which is in C here."""


class _Key(NamedTuple):
    """What a compiled library depends on, beside the model's layers."""

    target: targets.Target
    purpose: str
    forms: tuple[Form, ...]
    trainable: tuple[bool, ...]
    products: tuple[str, ...]


def _not_prepared(x: Any) -> Array | None:
    """In the place of a prepared prediction while there is none."""
    return None


class Trainer(LegacyTrainer):
    """What makes a model one that learns: compile, fit, evaluate and predict.

    Attributes:
        optimizer: the optimizer, once compiled.
        loss: what ``compile`` was given.
        compiled: whether ``compile`` was called.
        run_eagerly: what ``compile`` was given.
        steps_per_execution: after how many batches the hooks of batches are called.
        stop_training: set it to True in a callback to end ``fit``.
        stop_evaluating: set it to True in a hook of test batches to end ``evaluate``.
        stop_predicting: set it to True in a hook of predict batches to end ``predict``.
        history: the History of the last ``fit``.
    """

    # of Model, which derives from this
    name: str
    layers: Any
    built: bool
    trainable: bool
    input_shape: Any
    output_shape: Any
    _input_specs: Callable[[], list[tuple[str, tuple[Any, ...], str]]]
    _output_specs: Callable[[], list[tuple[str | None, tuple[Any, ...]]]]
    _pack_outputs: Callable[[list[Any]], Any]

    def __init__(self) -> None:
        self.optimizer: Any = None
        self.loss: Any = None
        self.compiled = False
        self.run_eagerly = False
        self.steps_per_execution = 1
        self.stop_training = self.stop_evaluating = self.stop_predicting = False
        self._initial_epoch: int | None = None  # where fit begins, if a callback says so in on_train_begin
        self.history: History | None = None
        self._objectives: supervision.Objectives | None = None
        self._supervisor: supervision.Supervisor | None = None
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
            loss: a name, a function of (y_true, y_pred) or a Loss; for several outputs one for
                all, a list of one for each, or a dict by their names. None for an output that
                is not trained.
            loss_weights: factors of the losses in their sum: a float, or a list or dict as ``loss``.
            metrics: a list of names, functions of (y_true, y_pred) or Metrics; for several
                outputs a list with an entry or a list of them for each, or a dict by their names.
            weighted_metrics: metrics that use sample_weight and class_weight, in the same ways.
            run_eagerly: accepted; there is only compiled code, and its results are the same.
            steps_per_execution: after how many batches the hooks of batches are called; C runs
                as many as it can in one call in every case.
            jit_compile: any of Keras' values; the model is compiled in every case.
            auto_scale_loss: without effect, as in Keras where no loss is scaled.

        Raises:
            TypeError: a misspelled argument; the nearest is named.
            ModelError: an unknown name, or losses and metrics of other outputs.
            UnsupportedError: something that is not supported, such as a train_step of your own.
        """
        where = f"{self._title}: compile()"
        registry.check_keywords(where, unknown, _COMPILE_ARGUMENTS)
        self._refuse_overrides(_OVERRIDES)
        if jit_compile not in (True, False, "auto", None):
            raise ModelError(f"{where}: jit_compile: expected True, False or 'auto', received {jit_compile!r}.")
        steps = _positive(where, "steps_per_execution", 1 if steps_per_execution is None else steps_per_execution)
        objectives = supervision.Objectives(loss, loss_weights, metrics, weighted_metrics, where=self._title)
        if self.built:
            objectives.sort([name for name, _ in self._output_specs()], self._is_keyed())
        made = optimizers.get(optimizer)
        self._forget_slots()
        self.optimizer, self.loss = made, loss
        self._objectives, self._supervisor = objectives, None
        self.run_eagerly, self.steps_per_execution = bool(run_eagerly), steps
        compiled = True if jit_compile in ("auto", None) else bool(jit_compile)
        self._compile_arguments = {
            "run_eagerly": self.run_eagerly,
            "steps_per_execution": steps,
            "jit_compile": compiled and not run_eagerly,
        }
        self.compiled, self.stop_training = True, False
        self._drop_libraries()

    def _refuse_overrides(self, names: Sequence[str]) -> None:
        for name in names:
            if hasattr(type(self), name):
                raise UnsupportedError(
                    f"{self._title}: defines {name}(), which is not supported: what is done with a batch is compiled. "
                    "Write a loss, a metric, an optimizer or a layer with add_loss instead."
                )

    def get_compile_config(self) -> dict[str, Any] | None:
        """Returns the arguments of :meth:`compile` in Keras' serialized form, None if it was not called."""
        if not self.compiled or self._objectives is None:
            return None
        optimizer = registry.serialize(self.optimizer, "optimizers")
        return {"optimizer": optimizer, **self._objectives.serialized(), **self._compile_arguments}

    def compile_from_config(self, config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None) -> None:
        """Compiles as :meth:`get_compile_config` said.

        Raises:
            UnsupportedError: it names something that is not known here.
        """
        arguments = {k: v for k, v in config.items() if k in _COMPILE_ARGUMENTS}
        arguments["optimizer"] = registry.deserialize(config.get("optimizer"), "optimizers", custom_objects)
        arguments.update(supervision.deserialized(config, custom_objects))
        if arguments.get("jit_compile") is None:
            arguments.pop("jit_compile", None)
        self.compile(**arguments)
        if self.built and self.optimizer is not None:
            self.optimizer.build(self.trainable_variables)

    @property
    def metrics(self) -> list[Any]:
        """The mean of the loss, the metrics and the means of the outputs' losses; before the first data what was given.

        Keras has the metrics in one object, ``CompileMetrics``; here each stands for itself.
        """
        if self._supervisor is not None:
            return self._supervisor.metrics
        return self._objectives.given_metrics() if self._objectives is not None else []

    @property
    def metrics_names(self) -> list[str]:
        """Names of the loss and the metrics, in the order in which ``evaluate`` returns them."""
        return ["loss"] if self._supervisor is None else self._supervisor.names

    def reset_metrics(self) -> None:
        """Forgets what the metrics have measured."""
        if self._supervisor is not None:
            self._supervisor.reset()

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
        self._supervisor = None

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
        library = usable[0] if usable else self._compiled(_Key(target, "predict", (), (), products))
        library.bind()
        return library

    def _trainer(self, forms: tuple[Form, ...], found: tuple[Any, ...]) -> Library:
        """The library that trains and evaluates, with the weights and the optimizer's numbers in its state.

        Args:
            forms: of the targets.
            found: the Loss of each output.
        """
        trainable = tuple(
            bool(self.trainable and layer.trainable and w.trainable) for layer in self.layers for w in layer.weights
        )
        library = self._compiled(_Key(targets.host(), "train", forms, trainable, self._products()), found)
        library.bind(self.optimizer)
        return library

    def _compiled(self, key: _Key, found: tuple[Any, ...] = ()) -> Library:
        """The library of a key, compiled when it is first asked for."""
        library = self._libraries.get(key)
        if library is not None:
            return library
        from . import compiler

        training = None
        if key.purpose == "train":
            training = self._training(key.forms, found)
            if self.optimizer is not None:
                self.optimizer.build(self.trainable_variables)
                for variable in self.trainable_variables:  # an optimizer of other weights is reported before the build
                    self.optimizer.slot_variables(variable)
        made = compiler.compile_network(self, key.target, training)
        return self._libraries.setdefault(key, made)  # another thread may have been faster

    def _training(self, forms: tuple[Form, ...], found: tuple[Any, ...], profile: bool = False) -> Training:
        """What the compiler has to know."""
        from . import compiler

        supervisor = self._supervised()
        outputs = tuple(
            compiler.Supervision(
                loss, supervisor.of_output(number), form.labels, form.columns, goal.factor, form.weighted, c_name
            )
            for number, (loss, form, goal, c_name) in enumerate(
                zip(found, forms, supervisor.goals, supervisor.c_names, strict=True)
            )
        )
        return compiler.Training(outputs, self.optimizer, profile, supervisor.captured)

    def _supervised(self) -> supervision.Supervisor:
        assert self._supervisor is not None  # taking the first targets has made it
        return self._supervisor

    def _profile(self, x: Any, y: Any, batch_size: int) -> dict[str, tuple[float, int]]:
        """Times every step of the C over an epoch of training, in a copy of the state: the model stays as it is.

        Returns:
            For each step its seconds and how often it was done.
        """
        from . import compiler

        self._need_compiled("profile")
        taken = self._take(x, y, None, None, f"{self._title}: profile")
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

    def source(self) -> str:
        """Returns the C that the model was compiled to, for prediction only if it was not trained yet."""
        for key in sorted(self._libraries, key=lambda k: k.purpose, reverse=True):
            return self._libraries[key].source
        self._need_built("source")
        return self._predictor().source

    # ---------------------------------------------------------------- data

    def _need_compiled(self, where: str, training: bool = True) -> None:
        if not self.compiled or self._objectives is None:
            raise ModelError(f"{self._title}: {where}() needs to know how to train. Call compile(…) first.")
        if training and self.optimizer is None:
            raise ModelError(f"{self._title}: {where}() needs an optimizer. Call compile(optimizer=…) first.")

    def _is_keyed(self) -> bool:
        """Whether the outputs are a dict."""
        return isinstance(self._pack_outputs([None] * len(self._output_specs())), Mapping)

    def _need_loss(self, where: str) -> None:
        """Sees to it that there is something to minimise: the loss of an output, or what layers add."""
        from .compiler import graph

        assert self._objectives is not None
        if not self._objectives.has_loss and not graph.build(self, training=True).penalties:
            raise ModelError(f"{where}() needs a loss. Call compile(loss=…) first.")

    def _need_built(self, where: str) -> None:
        if not self.built:
            raise ModelError(
                f"{self._title}: {where}() before the shape of the input is known. "
                "Begin the model with Input((features,)), call build(shape), or train it first."
            )

    def _take_x(self, x: Any, where: str) -> list[Array]:
        """Checks the rows of the inputs, building the model from them if it is not built."""
        if not self.built:
            self._build_from(x, where)
        specs = self._input_specs()
        several = len(specs) > 1
        found = [x]
        if several or not isinstance(x, np.ndarray):
            found = data.parts("x", x, [name for name, _, _ in specs], where=where, of="input", spare=True)
        taken = []
        for part, (name, shape, _) in zip(found, specs, strict=True):
            array = data.as_rows(f"x[{name!r}]" if several else "x", part, where=where)
            if len(array) == 0:
                raise ModelError(f"{where}: x: expected at least one row, received none.")
            if several:
                layer = f"{where}: input {name!r}"
            else:
                first = self.layers[0] if self.layers else self
                layer = f"{first.name} ({type(first).__name__})"
            taken.append(data.check_inputs(array, (None, *shape), layer))
        if several:
            data.check_rows([(f"x[{name!r}]", a) for (name, _, _), a in zip(specs, taken, strict=True)], where=where)
        return taken

    def _build_from(self, x: Any, where: str) -> None:
        """Builds the model for the shapes of its first data."""
        arrays: Any
        if isinstance(x, Mapping):
            arrays = {name: data.as_rows(f"x[{name!r}]", part, where=where) for name, part in x.items()}
            shapes: Any = {name: (None, *a.shape[1:]) for name, a in arrays.items()}
        elif isinstance(x, (list, tuple)) and len(x) > 1 and all(hasattr(part, "shape") for part in x):
            shapes = [(None, *data.as_rows("x", part, where=where).shape[1:]) for part in x]
        else:
            array = data.as_rows("x", x, where=where)
            if len(array) == 0:
                raise ModelError(f"{where}: x: expected at least one row, received none.")
            shapes = (None, *array.shape[1:])
        self.build(shapes)  # type: ignore[attr-defined]

    def _take(self, x: Any, y: Any, sample_weight: Any, class_weight: Mapping[int, float] | None, where: str) -> Taken:
        """Checks samples; the metrics are made for the shapes of the first.

        Args:
            x: inputs.
            y: targets.
            sample_weight: of the samples.
            class_weight: of their classes, checked.
            where: what was called, for messages.
        """
        xs = self._take_x(x, where)
        assert self._objectives is not None  # _need_compiled has seen to that
        if self._supervisor is not None:
            goals, names, shapes = self._supervisor.goals, self._supervisor.outputs, self._supervisor.shapes
        else:
            names, shapes = map(list, zip(*self._output_specs(), strict=True))
            goals = self._objectives.sort(names, self._is_keyed())
            self._need_loss(where)
        raw = self._take_y(y, xs[0], names, goals, where)
        found = tuple(
            losses.resolve(goal.loss, shape, shape if target is None else target.shape)
            for goal, shape, target in zip(goals, shapes, raw, strict=True)
        )
        for loss in found:
            if loss is not None and str(getattr(loss, "reduction", "")) in ("none", "None"):
                raise ModelError(f"{where}: a loss with reduction=None has no single number to minimise.")
        if self._supervisor is None:
            wanted = [None if target is None else target.shape for target in raw]
            order = self._objectives.order(names, self._is_keyed())
            self._supervisor = supervision.Supervisor(goals, shapes, wanted, order)
        weights = data.sample_weights(sample_weight, y, names, shapes, len(xs[0]), where=where)
        if class_weight is not None:
            if sample_weight is not None:
                raise ModelError(f"{where}: expected class_weight or sample_weight, received both. Multiply them.")
            if len(names) > 1 or raw[0] is None:
                raise ModelError(f"{where}: class_weight is for models of one output, received {len(names)} outputs.")
            weights = [data.class_weights(raw[0], class_weight, where=where)]
        ys: list[Array | None] = []
        forms = []
        for number, (target, shape, loss, weight) in enumerate(zip(raw, shapes, found, weights, strict=True)):
            if target is None:
                ys.append(None)
                forms.append(Form(False, 0, False))
                continue
            argument = f"y[{names[number]!r}]" if len(names) > 1 else "y"
            prepared, kind = data.prepare_targets(target, shape, loss, where=where, name=argument)
            ys.append(prepared)
            columns = 0 if kind == "labels" else int(shape[-1] or 1)
            forms.append(Form(kind == "labels", columns, weight is not None))
        return Taken(xs, ys, weights, tuple(forms), found)

    def _take_y(
        self, y: Any, x: Array, names: Sequence[Any], goals: Sequence[supervision.Goal], where: str
    ) -> list[Array | None]:
        """The targets of each output, None where none are wanted."""
        if len(goals) == 1 and isinstance(y, np.ndarray):
            array = data.as_rows("y", y, where=where)
            data.check_pair(x, array, where=where)
            return [array]
        wanted = [goal.wanted for goal in goals]
        if isinstance(y, Mapping):  # those of outputs that are not trained may be missing
            y = {**{name: None for name, want in zip(names, wanted, strict=True) if not want}, **y}
        elif isinstance(y, (list, tuple)) and len(y) == sum(wanted) < len(names):
            rest = iter(y)
            y = [next(rest) if want else None for want in wanted]
        elif y is None and len(names) > 1:
            y = [None] * len(names)
        taken: list[Array | None] = []
        for part, name, want in zip(data.parts("y", y, names, where=where, of="output"), names, wanted, strict=True):
            if not want:
                taken.append(None)
                continue
            argument = f"y[{name!r}]" if len(names) > 1 else "y"
            array = data.as_rows(argument, part, where=where)
            data.check_pair(x, array, where=where, y_name=argument)
            taken.append(array)
        return taken

    def _take_classes(self, class_weight: Any, where: str) -> dict[int, float] | None:
        return None if class_weight is None else data.check_class_weight(class_weight, where=where)

    def _stream(self, x: Any, where: str, shuffle: bool = False, **beside: Any) -> data.Stream:
        """A stream of batches, beside which nothing else may be given that its batches have."""
        stream = data.Stream(x, where=where, shuffle=shuffle, permute=random.generator().permutation)
        for name, value in beside.items():
            if value is not None and value is not False and not (isinstance(value, float) and value == 0):
                if name == "class_weight" and stream.weighs_classes:
                    continue
                hint = {
                    "validation_split": "Give validation_data.",
                    "class_weight": "Give sample_weight with every batch.",
                }.get(name, "Its batches have it: (x, y, sample_weight).")
                raise ModelError(f"{where}: {name}: expected None beside {stream.kind} as x, received some. {hint}")
        return stream

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
        steps = None if steps_per_epoch is None else _positive(where, "steps_per_epoch", steps_per_epoch)
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
        held_steps = None if validation_steps is None else _positive(where, "validation_steps", validation_steps)
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
                    called.on_epochs_end(epoch, made)
                    logs = made[-1]
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
        if epochs > 0:
            self.optimizer.finalize_variable_values(self.trainable_variables)
        called.on_train_end(logs)
        return self._made_history()

    def _hold(self, given: Any, where: str) -> tuple[Taken, data.Stream | None]:
        """Checks the data of a validation; of a stream its first batch."""
        if data.is_stream(given):
            stream = self._stream(given, where)
            return self._take(*stream.peek(), None, where), stream
        if not isinstance(given, (tuple, list)) or not 1 <= len(given) <= 3:
            raise ModelError(
                f"{where}: expected (x, y), (x, y, sample_weight) or a stream of them, received {_kind_of(given)}."
            )
        return self._take(*data.unpack_x_y_sample_weight(given), None, where), None

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
                ys, weights = feed.supervised(piece)
                supervisor.feed(ys, outputs, weights, piece.batch)
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
        return [np.empty((rows, *shape[1:]), library.dtype) for _, shape in self._output_specs()]

    def _epochs(self, library: Library, feed: ArrayFeed, epochs: int) -> list[dict[str, Any]]:
        """Trains on all samples some times over, in one call of C."""
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
        return [self._logs(library, feed.rows, feed.weighted, each) for each in totals]

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

    def _logs(
        self, library: Library, samples: int, weighted: Sequence[bool], totals: dict[str, float] | None = None
    ) -> dict[str, Any]:
        """The loss and the metrics over the samples so far."""
        return self._supervised().logs(library.totals() if totals is None else totals, samples, weighted)

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
        steps = None if steps is None else _positive(where, "steps", steps)
        shown = _verbosity(where, verbose)
        if data.is_stream(x):
            stream = self._stream(x, where, y=y, sample_weight=sample_weight)
            held: tuple[Taken, data.Stream | None] = (self._take(*stream.peek(), None, where), stream)
        else:
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
        steps = None if steps is None else _positive(where, "steps", steps)
        shown = _verbosity(where, verbose)
        if data.is_stream(x):
            return self._predict_stream(x, steps, shown, callbacks, where)
        if not shown and callbacks is None and steps is None:
            return self._outputs(x, where)
        xs = self._take_x(x, where)
        library = self._predictor()
        batch = _batch_size(batch_size, steps, len(xs[0]))
        feed = ArrayFeed(library, Taken(xs, [None], [None], (), ()), (), batch, steps, where=where)
        called = CallbackList(callbacks, add_progbar=shown != 0, model=self, verbose=shown, epochs=1, steps=feed.total)
        outs = self._empty_outputs(library, min(len(xs[0]), (steps or feed.total) * batch))
        hooked = called.needs_predict_batches
        self.stop_predicting = False
        called.on_predict_begin()
        for piece in feed.pieces(self.steps_per_execution if hooked else 0):
            last = piece.step + self.steps_per_execution - 1
            if hooked:
                called.on_predict_batch_begin(piece.step)
            made = [out[piece.first : piece.first + piece.rows] for out in outs]
            library.predict(piece.samples, piece.first, piece.rows, min(batch if hooked else _ROWS, piece.rows), made)
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
                library.predict(library.samples(xs), 0, len(xs[0]), min(_ROWS, len(xs[0])), outs)
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
        if rows <= _ROWS and xs[0] is given and self._pack_outputs(outs) is outs[0]:
            direct = library.direct(xs[0].shape, xs[0].dtype, outs[0].shape[1:])
            if direct is not None:
                self._prepared = direct.outputs
        samples = library.samples(xs)
        for first, count in Pace(library).pieces(0, rows, _ROWS, 0):
            library.predict(samples, first, count, min(_ROWS, count), [out[first : first + count] for out in outs])
        return self._pack_outputs(outs)

    # ---------------------------------------------------------------- single batches

    def train_on_batch(
        self, x: Any, y: Any = None, sample_weight: Any = None, class_weight: Any = None, return_dict: bool = False
    ) -> Any:
        """Does one update with all rows of ``x``; returns the loss and metrics before it."""
        where = f"{self._title}: train_on_batch"
        self._need_compiled("train_on_batch")
        taken = self._take(x, y, sample_weight, self._take_classes(class_weight, where), where)
        library = self._trainer(taken.forms, taken.losses)
        return self._result(self._single(library, taken, self._train), return_dict)

    def test_on_batch(self, x: Any, y: Any = None, sample_weight: Any = None, return_dict: bool = False) -> Any:
        """Returns the loss and metrics of all rows of ``x``."""
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
            supervisor.feed(taken.ys, outputs, taken.weights, rows)
        return self._logs(library, rows, [form.weighted for form in taken.forms])

    def predict_on_batch(self, x: Any) -> Any:
        """Returns the outputs for all rows of ``x``, without loop, callbacks or progress bar."""
        prepared = self._prepared(x)
        return self._outputs(x, f"{self._title}: predict_on_batch") if prepared is None else prepared


# ------------------------------------------------------------------ helpers


def _names_of(method: Callable[..., Any], *also: str) -> tuple[str, ...]:
    code = method.__code__
    return (*code.co_varnames[1 : code.co_argcount], *also)


_COMPILE_ARGUMENTS = _names_of(Trainer.compile)
_FIT_ARGUMENTS = _names_of(Trainer.fit, *_LEGACY_FIT)
_EVALUATE_ARGUMENTS = _names_of(Trainer.evaluate)
_PREDICT_ARGUMENTS = _names_of(Trainer.predict)


def _test_hooks(called: CallbackList) -> _Hooks | None:
    return (called.on_test_batch_begin, called.on_test_batch_end) if called.needs_test_batches else None


def _count(where: str, name: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 0:
        raise ModelError(f"{where}: {name}: expected a whole number, 0 or more, received {value!r:.80}.")
    return int(value)


def _positive(where: str, name: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1:
        raise ModelError(f"{where}: {name}: expected a whole number from 1, received {value!r:.80}.")
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


def _kind_of(value: Any) -> str:
    return f"{len(value)} things" if isinstance(value, (tuple, list)) else type(value).__name__
