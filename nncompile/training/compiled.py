"""What ``compile`` was given, and the libraries that are compiled for it."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from .. import data, losses, ops, optimizers, registry, targets
from ..errors import ModelError, UnsupportedError
from ..variables import Array
from . import supervision
from .feeds import Form

if TYPE_CHECKING:
    from ..compiler import Library, Training

_OVERRIDES = ("train_step", "test_step", "compute_metrics", "make_train_function", "make_test_function")
"""Methods of Keras that say in Python what is done with a batch, which is in C here."""


class _Key(NamedTuple):
    """What a compiled library depends on, beside the model's layers."""

    target: targets.Target
    purpose: str
    forms: tuple[Form, ...]
    trainable: tuple[bool, ...]
    products: tuple[str, ...]


class Ends(NamedTuple):
    """The inputs and outputs of a model.

    Attributes:
        of: what they were found in; others are looked for once the model has others.
        inputs: (name, shape with the number of rows, layer for messages) of each.
        names: of the outputs.
        shapes: of the outputs, with the number of rows.
        taken: the structure of the inputs, with their numbers.
        made: the structure of the outputs, with their numbers.
    """

    of: tuple[Any, Any]
    inputs: list[tuple[str, tuple[Any, ...], str]]
    names: list[str | None]
    shapes: list[tuple[Any, ...]]
    taken: Any
    made: Any

    @property
    def alone(self) -> bool:
        """Whether the output is an array itself."""
        return isinstance(self.made, int)


def _not_prepared(x: Any) -> Array | None:
    """In the place of a prepared prediction while there is none."""
    return None


class Compiled:
    """What a model is trained for, and what was compiled for that.

    Attributes:
        optimizer: the optimizer, once compiled.
        loss: what ``compile`` was given.
        compiled: whether ``compile`` was called.
        run_eagerly: what ``compile`` was given.
        steps_per_execution: after how many batches the hooks of batches are called.
    """

    # of Model, which derives from this
    name: str
    layers: Any
    losses: Any
    built: bool
    trainable: bool
    input_shape: Any
    output_shape: Any
    _input_specs: Callable[[], list[tuple[str, tuple[Any, ...], str]]]
    _output_specs: Callable[[], list[tuple[str | None, tuple[Any, ...]]]]
    _pack_inputs: Callable[[Sequence[Any]], Any]
    _pack_outputs: Callable[[Sequence[Any]], Any]
    # of Trainer
    stop_training: bool

    def __init__(self) -> None:
        self.optimizer: Any = None
        self.loss: Any = None
        self.compiled = False
        self.run_eagerly = False
        self.steps_per_execution = 1
        self._known_ends: Ends | None = None
        self._objectives: supervision.Objectives | None = None
        self._supervisor: supervision.Supervisor | None = None
        self._expectation: tuple[Ends, supervision.Supervisor] | None = None  # what it will be, and for which model
        self._unplaced: list[Any] | None = None
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
        steps = positive(where, "steps_per_execution", 1 if steps_per_execution is None else steps_per_execution)
        whole = self._loss_of_the_users_own() if type(self).compute_loss is not Compiled.compute_loss else None
        objectives = supervision.Objectives(
            loss, loss_weights, metrics, weighted_metrics, where=self._title, whole=whole
        )
        if self.built:
            objectives.sort(self._ends.names, self._ends.made)
        made = optimizers.get(optimizer)
        self._forget_slots()
        self.optimizer, self.loss = made, loss
        self._objectives, self._supervisor, self._expectation, self._unplaced = objectives, None, None, None
        self.run_eagerly, self.steps_per_execution = bool(run_eagerly), steps
        compiled = True if jit_compile in ("auto", None) else bool(jit_compile)
        self._compile_arguments = {
            "run_eagerly": self.run_eagerly,
            "steps_per_execution": steps,
            "jit_compile": compiled and not run_eagerly,
        }
        self.compiled, self.stop_training = True, False
        self._drop_libraries()

    def compute_loss(
        self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None, training: bool = True
    ) -> Any:
        """The loss of a batch: what ``compile`` was given of targets and outputs, and what layers add.

        A class may define it anew for a model of one output, over ``y`` and ``y_pred``; it is traced once as a
        formula, in which ``super().compute_loss`` is the loss that ``compile`` was given, and what layers add.
        Inputs are not part of it, and samples have no weights.

        Args:
            x: not used.
            y: targets, of one output or of several as the model has them.
            y_pred: outputs.
            sample_weight: factors of the samples' losses.
            training: not used.

        Returns:
            One number.

        Raises:
            ModelError: there is no loss.

        Source: ``keras.Model.compute_loss``.
        """
        if self._objectives is None:
            raise ModelError(f"{self._title}: compute_loss() needs to know how. Call compile(optimizer, loss) first.")
        ends = self._ends
        traced = isinstance(y_pred, ops.Expression)
        goals = self._objectives.given(ends.names, ends.made)
        wanted, outputs, weights = (
            data.in_row(name, part, ends.made, where=f"{self._title}: compute_loss", of="output")
            for name, part in (("y", y), ("y_pred", y_pred), ("sample_weight", sample_weight))
        )
        if ends.alone:
            wanted, outputs, weights = [wanted], [outputs], [weights]
        elif isinstance(outputs, Mapping):
            wanted, outputs = ([part[name] for name in ends.names] for part in (wanted, outputs))
        if weights is None or len(goals) > len(weights):
            weights = [sample_weight] * len(goals)
        total: Any = None
        for goal, target, output, weight in zip(goals, wanted, outputs, weights, strict=True):
            shape = getattr(target, "shape", None) or np.shape(target)
            loss = losses.resolve(goal.loss, tuple(output.shape), tuple(shape))
            if loss is not None:
                value = loss(target, output, weight)
                value = value if goal.factor == 1.0 else value * goal.factor
                total = value if total is None else total + value
        for penalty in () if traced else self.losses:
            total = penalty if total is None else total + penalty
        if total is None:
            raise ModelError(f"{self._title}: compute_loss(): there is no loss. Call compile(loss=…).")
        return total

    def _loss_of_the_users_own(self) -> Callable[[Any, Any], Any]:
        """``compute_loss`` of a class of the user's, as a loss of targets and outputs."""
        takes = inspect.signature(self.compute_loss).parameters
        every = any(p.kind is p.VAR_KEYWORD for p in takes.values())
        more: dict[str, Any] = {k: v for k, v in (("sample_weight", None), ("training", True)) if every or k in takes}

        def compute_loss(y_true: Any, y_pred: Any) -> Any:
            return self.compute_loss(x=_Inputs(), y=y_true, y_pred=y_pred, **more)

        return compute_loss

    def _check_loss_of_the_users_own(self, where: str) -> None:
        """What layers add to the loss is in it if ``super().compute_loss`` is, and only so."""
        from ..compiler import graph

        code = getattr(type(self).compute_loss, "__code__", None)
        asks = set(code.co_names) if code is not None else set()
        if "super" in asks and "losses" not in asks:
            return
        regularized = any(w.regularizer for layer in self.layers for w in layer.weights)
        if regularized or graph.build(self, training=True).penalties:
            raise UnsupportedError(
                f"{where}: layers add to the loss, by regularizers or add_loss, and "
                f"{type(self).__name__}.compute_loss() leaves that out. Call super().compute_loss(x, y, y_pred, "
                "sample_weight) in it, or give the layers none."
            )

    def _refuse_overrides(self, names: Sequence[str]) -> None:
        for name in names:
            if hasattr(type(self), name):
                raise UnsupportedError(
                    f"{self._title}: defines {name}(), which is not supported: what is done with a batch is compiled. "
                    + (
                        "Give metrics to compile, your own as well."
                        if name == "compute_metrics"
                        else "Define compute_loss(), or write a loss, a metric, an optimizer or a layer with add_loss."
                    )
                )

    def get_compile_config(self) -> dict[str, Any] | None:
        """Returns the arguments of :meth:`compile` in Keras' serialized form, None if it was not called."""
        if not self.compiled or self._objectives is None:
            return None
        optimizer = registry.serialize(self.optimizer, "optimizers")
        return {"optimizer": optimizer, **self._objectives.serialized(), **self._compile_arguments}

    def compile_from_config(self, config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None) -> None:
        """Compiles as :meth:`get_compile_config` said.

        Args:
            config: what that returned.
            custom_objects: the user's classes and functions by name.

        Raises:
            UnsupportedError: it names something that is not known here.
        """
        arguments = {k: v for k, v in config.items() if k in _COMPILE_ARGUMENTS}
        arguments["optimizer"] = registry.deserialize(config.get("optimizer"), "optimizers", custom_objects)
        arguments.update(supervision.deserialized(config, custom_objects))
        if arguments.get("jit_compile") is None:
            arguments.pop("jit_compile", None)
        self.compile(**arguments)
        if self.built and self.optimizer is not None and not self.optimizer.built:
            self.optimizer.build(self.trainable_variables)

    @property
    def metrics(self) -> list[Any]:
        """The mean of the loss, the metrics and the means of the outputs' losses; none before ``compile``.

        Before the first data a metric that depends on the targets, such as ``"accuracy"``, is the one that the loss
        and the outputs let expect. Keras has the metrics in one object, ``CompileMetrics``; here each stands for
        itself.
        """
        if self._objectives is None:
            return []
        supervisor = self._supervisor or self._expected()
        if supervisor is not None:
            return supervisor.metrics
        if self._unplaced is None:
            self._unplaced = self._objectives.unplaced_metrics()
        return self._unplaced

    @property
    def metrics_names(self) -> list[str]:
        """Names of the loss and the metrics, in the order in which ``evaluate`` returns them."""
        supervisor = self._supervisor or self._expected()
        return [metric.name for metric in self.metrics] if supervisor is None else list(supervisor.names)

    def _expected(self) -> supervision.Supervisor | None:
        """The metrics for targets as the loss wants them; None if not compiled, or the outputs are not known."""
        if self._objectives is None or not self.built:
            return None
        ends = self._ends
        known = self._expectation
        if known is None or known[0] is not ends:
            goals = self._objectives.sort(ends.names, ends.made)
            targets = []
            for goal, shape in zip(goals, ends.shapes, strict=True):
                loss = losses.resolve(goal.loss, shape, shape)
                sparse = getattr(loss, "sparse_labels", False)
                targets.append((shape[0], *losses.shape_of_labels(loss, shape[1:])) if sparse else shape)
            order = self._objectives.order(ends.names, ends.made)
            self._expectation = known = (ends, supervision.Supervisor(goals, ends.shapes, targets, order))
        return known[1]

    @property
    def jit_compile(self) -> bool:
        """What ``compile`` was given; the model is compiled in every case."""
        return bool(self._compile_arguments.get("jit_compile", True))

    @property
    def metrics_variables(self) -> list[Any]:
        """The state of the loss and the metrics."""
        return [v for metric in self.metrics for v in getattr(metric, "variables", ())]

    def get_metrics_result(self) -> dict[str, Any]:
        """Returns the loss and the metrics as they are now.

        Returns:
            Numbers, by the names of the logs.

        Source: ``keras.Model.get_metrics_result``.
        """
        return {} if self._supervisor is None else self._supervisor.results()

    def reset_metrics(self) -> None:
        """Forgets what the metrics have measured."""
        if self._supervisor is not None:
            self._supervisor.reset()

    @property
    def trainable_variables(self) -> list[Any]:
        """The weights that the optimizer changes."""
        return list(self.trainable_weights)  # type: ignore[attr-defined]

    def _need_compiled(self, where: str, training: bool = True) -> None:
        if not self.compiled or self._objectives is None:
            raise ModelError(f"{self._title}: {where}() needs to know how to train. Call compile(…) first.")
        if training and self.optimizer is None:
            raise ModelError(f"{self._title}: {where}() needs an optimizer. Call compile(optimizer=…) first.")

    @property
    def _ends(self) -> Ends:
        """The inputs and outputs of the model, which must be built."""
        network, shapes = getattr(self, "_network", None), getattr(self, "_shapes", None)
        known = self._known_ends
        if known is not None and known.of[0] is network and known.of[1] is shapes:
            return known
        specs, outputs = self._input_specs(), self._output_specs()
        first = self.layers[0] if self.layers else self
        title = f"{first.name} ({type(first).__name__})"
        inputs = [
            (name, (None, *shape), title if len(specs) == 1 else f"{self._title}: input {name!r}")
            for name, shape, _ in specs
        ]
        taken, made = self._pack_inputs(range(len(specs))), self._pack_outputs(range(len(outputs)))
        names = [name for name, _ in outputs]
        # a model that was built by data has the rows of its first batch, and is compiled for any number
        of_outputs = [(None, *shape[1:]) if shape else () for _, shape in outputs]
        self._known_ends = known = Ends((network, shapes), inputs, names, of_outputs, taken, made)
        return known

    def _need_loss(self, where: str) -> None:
        """Sees to it that there is something to minimise: the loss of an output, or what layers add."""
        from ..compiler import graph

        assert self._objectives is not None
        if not self._objectives.has_loss and not graph.build(self, training=True).penalties:
            raise ModelError(f"{where}() needs a loss. Call compile(loss=…) first.")

    def _need_built(self, where: str) -> None:
        if not self.built:
            raise ModelError(
                f"{self._title}: {where}() before the shape of the input is known. "
                "Begin the model with Input((features,)), call build(shape), or train it first."
            )

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
        from .. import compiler

        training = None
        if key.purpose == "train":
            training = self._training(key.forms, found)
            if self.optimizer is not None:
                if not self.optimizer.built:
                    self.optimizer.build(self.trainable_variables)
                for variable in self.trainable_variables:  # an optimizer of other weights is reported before the build
                    self.optimizer.slot_variables(variable)
        made = compiler.compile_network(self, key.target, training)
        return self._libraries.setdefault(key, made)  # another thread may have been faster

    def _training(self, forms: tuple[Form, ...], found: tuple[Any, ...], profile: bool = False) -> Training:
        """What the compiler has to know."""
        from .. import compiler

        supervisor = self._supervised()
        outputs = tuple(
            compiler.Supervision(
                loss, supervisor.of_output(number), form.labels, form.columns, goal.factor, form.weighted, c_name
            )
            for number, (loss, form, goal, c_name) in enumerate(
                zip(found, forms, supervisor.goals, supervisor.c_names, strict=True)
            )
        )
        optimizer = self.optimizer
        if optimizer is None and any(w.regularizer is not None for w in self.trainable_variables):
            optimizer = optimizers.SGD(
                name="none"
            )  # penalties are computed with the updates, of which nothing else is done
            optimizer.build(self.trainable_variables)
        return compiler.Training(outputs, optimizer, profile, supervisor.captured)

    def _supervised(self) -> supervision.Supervisor:
        assert self._supervisor is not None  # taking the first targets has made it
        return self._supervisor

    def source(self) -> str:
        """Returns the C that the model was compiled to, for prediction only if it was not trained yet."""
        for key in sorted(self._libraries, key=lambda k: k.purpose, reverse=True):
            return self._libraries[key].source
        self._need_built("source")
        return self._predictor().source


class _Inputs:
    """What stands for the inputs in a loss of the user's, which may hand them on."""

    def _refuse(self, *_: Any) -> Any:
        raise UnsupportedError(
            "compute_loss(): it is a formula of targets and outputs, of which x is none. Give the model an output that "
            "is what is needed of its inputs, or call add_loss in a layer that takes them."
        )

    __getitem__ = __getattr__ = __len__ = __iter__ = _refuse
    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __truediv__ = __rtruediv__ = __matmul__ = _refuse


def names_of(method: Callable[..., Any], *also: str) -> tuple[str, ...]:
    """The names of the arguments of a method, for :func:`~nncompile.registry.check_keywords`."""
    code = method.__code__
    return (*code.co_varnames[1 : code.co_argcount], *also)


def positive(where: str, name: str, value: Any) -> int:
    """Returns a whole number from 1.

    Raises:
        ModelError: it is none.
    """
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1:
        raise ModelError(f"{where}: {name}: expected a whole number from 1, received {value!r:.80}.")
    return int(value)


_COMPILE_ARGUMENTS = names_of(Compiled.compile)
