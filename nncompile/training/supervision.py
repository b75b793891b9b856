"""Supervision: what ``compile`` was given, sorted by the outputs of the model, and the logs that come of it.

Losses and metrics can be given once, in the order of the outputs or by their names, as in
Keras. :class:`Objectives` keeps what was given and sorts it when the outputs are known;
:class:`Supervisor` has the metrics themselves, made for the shapes of outputs and targets,
and turns the sums of C into the logs, in Keras' names and order.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import Any, NamedTuple

import numpy as np

from .. import data, losses, metrics, ops, registry, tree
from ..errors import ModelError, NncompileError, UnsupportedError
from ..ops.batch import AcrossRowsError, crosses_rows
from ..variables import Array

_BY_SHAPE_LOSSES = ("crossentropy", "ce")
_BY_SHAPE_METRICS = ("accuracy", "acc", "crossentropy", "ce")
_OURS = f"{__package__.partition('.')[0]}."
_C_NAMES = {"loss", "rows", "state", "b", "r", "c", "scale", "column", "inside"}
"""What the C calls something else."""


@dataclass(frozen=True)
class Goal:
    """What one output is trained for.

    Attributes:
        name: of the output; None if it has none.
        path: the keys and positions that lead to it in a nested structure; nothing in one list or dict.
        loss: as it was given; None if the output is not trained.
        factor: of its loss in the whole.
        metrics: as they were given, every sample counting the same.
        weighted: those that use the weights of samples.
    """

    name: str | None
    path: tuple[Any, ...]
    loss: Any
    factor: float
    metrics: tuple[Any, ...]
    weighted: tuple[Any, ...]

    @property
    def wanted(self) -> bool:
        """Whether targets are needed."""
        return self.loss is not None or bool(self.metrics or self.weighted)


class Objectives:
    """The losses and metrics that ``compile`` was given.

    Args:
        loss: one for all outputs, a list of one for each, or a dict by their names.
        loss_weights: factors of the losses, in the same ways.
        metrics: a list or dict; for a single output all belong to it.
        weighted_metrics: likewise.
        where: the model, for messages.
        whole: what takes the place of the loss, of a model of one output.

    Raises:
        ModelError: something that is no loss or metric, or not in one of these forms.
    """

    def __init__(
        self, loss: Any, loss_weights: Any, metrics: Any, weighted_metrics: Any, *, where: str, whole: Any = None
    ) -> None:
        self.where = f"{where}: compile()"
        self.whole = whole
        self.loss, self.loss_weights = loss, loss_weights
        self.metrics, self.weighted_metrics = metrics, weighted_metrics
        for one in _flat(loss):
            _check_loss(one)
        for name, given in (("metrics", metrics), ("weighted_metrics", weighted_metrics)):
            if given is not None and not isinstance(given, (list, tuple, Mapping)):
                raise ModelError(
                    f"{self.where}: {name}: expected a list, received {given!r:.80}. Write {name}=[{given!r:.40}]."
                )
            for one in _flat(given):
                _check_metric(one)
        if isinstance(loss_weights, int):
            raise ModelError(
                f"{self.where}: loss_weights: expected a float, or a list or dict with one for each output, "
                f"received {loss_weights!r}. Write {float(loss_weights)}."
            )
        for one in _flat(loss_weights) if loss_weights is not None else ():
            if isinstance(one, bool) or not isinstance(one, (int, float, np.integer, np.floating)):
                raise ModelError(f"{self.where}: loss_weights: expected numbers, received {one!r:.80}.")

    @property
    def has_loss(self) -> bool:
        """Whether there is something to minimise."""
        return self.whole is not None or any(one is not None for one in _flat(self.loss))

    def unplaced_metrics(self) -> list[Any]:
        """The metrics of a model whose outputs are not known yet, taken for classes."""
        both = (self.metrics, self.weighted_metrics)
        given = [one for row in both if row is not None for one in _flat(row) if one is not None]
        return [metrics.Mean(name="loss"), *(metrics.resolve(one, (None, None), (None, None)) for one in given)]

    def given(self, names: Sequence[str | None], made: Any) -> tuple[Goal, ...]:
        """As :meth:`sort`, with the loss that ``compile`` was given and not what takes its place."""
        return tuple(
            replace(goal, loss=loss)
            for goal, loss in zip(self.sort(names, made), self._losses(names, made), strict=True)
        )

    def sort(self, names: Sequence[str | None], made: Any) -> tuple[Goal, ...]:
        """Returns what each output is trained for.

        Args:
            names: of the outputs, in order.
            made: the structure of the outputs, with their numbers. Of a dict some losses may be missing.

        Raises:
            ModelError: something is given for more, fewer or other outputs.
        """
        keyed = isinstance(made, Mapping)
        found_losses, factors = self._losses(names, made), self._factors(names, keyed, made)
        if self.whole is not None:
            if len(names) != 1:
                raise UnsupportedError(
                    f"{self.where}: compute_loss() of a class of one's own is compiled for one output, and there are "
                    f"{len(names)}. Give a loss for each, or add_loss in a layer that takes the outputs."
                )
            found_losses, factors = [self.whole], [1.0]
        plain, weighted = (self._metrics(key, names, made) for key in ("metrics", "weighted_metrics"))
        paths = [path if data.is_deep(made) else () for path, _ in tree.flatten_with_path(made)]
        return tuple(
            Goal(name, path, loss, factor, tuple(m), tuple(w))
            for name, path, loss, factor, m, w in zip(names, paths, found_losses, factors, plain, weighted, strict=True)
        )

    def order(self, names: Sequence[str | None], made: Any) -> list[int]:
        """Numbers of the outputs in the order in which Keras has their losses: as given, if both are dicts."""
        if isinstance(made, Mapping) and isinstance(self.loss, Mapping):
            if data.is_deep(made):
                return [number for key in self.loss for number in tree.flatten(made[key])]
            return [names.index(key) for key in self.loss]
        return list(range(len(names)))

    def _in_row(self, argument: str, given: Any, made: Any) -> Any:
        """Losses may be left out and be given in one list; what each metric is for must be said."""
        named = argument not in ("metrics", "weighted_metrics")
        return data.in_row(argument, given, made, where=self.where, of="output", partial=named, flat=named)

    def _losses(self, names: Sequence[str | None], made: Any) -> list[Any]:
        keyed, loss = isinstance(made, Mapping), self._in_row("loss", self.loss, made)
        if isinstance(loss, Mapping):
            self._check_names("loss", loss, names)
            missing = [name for name in names if name not in loss]
            if missing and not (keyed and loss):
                raise ModelError(
                    f"{self.where}: loss: expected one for each of the outputs {_listed(names)}, received "
                    f"{_listed(loss)}: {missing[0]!r} is missing. Give None for an output that is not trained."
                )
            return [loss.get(name) for name in names]
        if isinstance(loss, (list, tuple)):
            if len(loss) != len(names):
                expected = "one loss" if len(names) == 1 else f"one loss for each of the outputs {_listed(names)}"
                raise ModelError(f"{self.where}: expected {expected}, received {len(loss)}: {loss!r:.80}.")
            return list(loss)
        return [loss] * len(names)

    def _factors(self, names: Sequence[str | None], keyed: bool, made: Any) -> list[float]:
        given = self.loss_weights
        if given is None:
            return [1.0] * len(names)
        if data.is_deep(made) and tree.is_nested(given):
            given = [1.0 if one is None else one for one in self._in_row("loss_weights", given, made)]
        if isinstance(given, Mapping):
            self._check_names("loss_weights", given, names)
            untrained = [name for name in names if keyed and isinstance(self.loss, Mapping) and name not in self.loss]
            missing = [name for name in names if name not in given and name not in untrained]
            if missing:
                raise ModelError(
                    f"{self.where}: loss_weights: expected one for each of the outputs {_listed(names)}, received "
                    f"{_listed(given)}: {missing[0]!r} is missing. Give 1.0 for those that are not to be changed."
                )
            given = [given.get(name, 1.0) for name in names]
        if isinstance(given, (list, tuple)):
            expected = len(names) if isinstance(self.loss, (list, tuple, Mapping)) else 1
            if len(given) != expected:
                raise ModelError(
                    f"{self.where}: loss_weights: expected as many as there are losses, {expected}, "
                    f"received {len(given)}. Give one loss and one weight for each output."
                )
            given = list(given) if expected > 1 else list(given) * len(names)
        else:
            given = [given] * len(names)
        return [float(factor) for factor in given]

    def _metrics(self, argument: str, names: Sequence[str | None], made: Any) -> list[list[Any]]:
        given = getattr(self, argument)
        if not given:
            return [[] for _ in names]
        if len(names) == 1:
            return [[one for one in _flat(given) if one is not None]]
        given = self._in_row(argument, given, made)
        if isinstance(given, Mapping):
            self._check_names(argument, given, names)
            given = [given.get(name) for name in names]
        elif len(given) != len(names):
            raise ModelError(
                f"{self.where}: {argument}: expected one entry, which may be a list or None, for each of the outputs "
                f"{_listed(names)}, received {len(given)}: {given!r:.80}. Or give a dict by their names."
            )
        return [[one for one in _flat(entry) if one is not None] for entry in given]

    def _check_names(self, argument: str, given: Mapping[Any, Any], names: Sequence[str | None]) -> None:
        for key in given:
            if key not in names:
                hint = registry.nearest(str(key), [name for name in names if name])
                raise ModelError(
                    f"{self.where}: {argument}: expected names of the outputs, {_listed(names)}, "
                    f"received {key!r}.{hint}"
                )

    # ---------------------------------------------------------------- files

    def serialized(self) -> dict[str, Any]:
        """The four arguments in Keras' serialized form."""
        return {
            "loss": _mapped(self.loss, lambda one: None if one is None else losses.serialize(one)),
            "loss_weights": _mapped(self.loss_weights, lambda one: one),
            "metrics": _mapped(self.metrics, _serialize_metric),
            "weighted_metrics": _mapped(self.weighted_metrics, _serialize_metric),
        }


def deserialized(config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None) -> dict[str, Any]:
    """Returns the arguments of ``compile`` that :meth:`Objectives.serialized` wrote, of those that are there.

    Raises:
        UnsupportedError: a loss or metric that is not known here.
    """
    custom = custom_objects or {}

    def made(kind: str) -> Callable[[Any], Any]:
        return lambda one: custom.get(one, one) if isinstance(one, str) else registry.deserialize(one, kind, custom)

    kinds = {"loss": "losses", "metrics": "metrics", "weighted_metrics": "metrics"}
    found = {key: _mapped(config[key], made(kind)) for key, kind in kinds.items() if key in config}
    if "loss_weights" in config:
        found["loss_weights"] = _mapped(config["loss_weights"], lambda one: one)
    return found


def _mapped(value: Any, change: Callable[[Any], Any]) -> Any:
    """Changes everything in nested lists and dicts; a serialized object is one thing, a serialized tuple a list."""
    if value is None:
        return None
    if isinstance(value, (list, tuple)):
        return [_mapped(one, change) for one in value]
    if isinstance(value, Mapping):
        if value.get("class_name") == "__tuple__" and isinstance(value.get("config"), Mapping):
            return [_mapped(one, change) for one in value["config"].get("value", ())]
        if "class_name" not in value:
            return {key: _mapped(one, change) for key, one in value.items()}
    return change(value)


def _flat(value: Any) -> list[Any]:
    """Everything in nested lists and dicts; serialized objects are single things."""
    if isinstance(value, Mapping) and "class_name" not in value:
        value = list(value.values())
    if isinstance(value, (list, tuple)):
        return [one for part in value for one in _flat(part)]
    return [value]


def _listed(names: Any) -> str:
    return ", ".join(repr(name) for name in names) or "nothing"


def _check_loss(loss: Any) -> None:
    """An unknown name is reported by compile, not by fit."""
    if loss is None or (isinstance(loss, str) and loss.lower() in _BY_SHAPE_LOSSES):
        return
    if isinstance(loss, str) or not callable(loss):
        losses.get(loss)


def _check_metric(metric: Any) -> None:
    if metric is None or (isinstance(metric, str) and metric.lower() in _BY_SHAPE_METRICS):
        return
    metrics.get(metric)


def _serialize_metric(metric: Any) -> Any:
    return None if metric is None else metrics.serialize(metric)


# ------------------------------------------------------------------ metrics and logs


@dataclass(frozen=True)
class Entry:
    """A metric in the logs.

    Attributes:
        key: in the logs.
        metric: the metric.
        output: number of its output.
        weighted: whether it uses the weights of samples.
        parts: the means of formulas that C adds up, each with its name in C; without any the metric is
            given the outputs.
        own: whether its class or function is the user's and may tell batches apart.
    """

    key: str
    metric: Any
    output: int
    weighted: bool
    parts: tuple[tuple[str, Any], ...]
    own: bool


class Supervised(NamedTuple):
    """What samples have beside their inputs, for each output; None where there is nothing.

    Attributes:
        ys: targets, of the shape that the loss takes.
        given: the same of the shape in which they were given.
        weights: of the samples.
    """

    ys: list[Array | None]
    given: list[Array | None]
    weights: list[Array | None]


class Supervisor:
    """The metrics of a model whose outputs are known, and the logs.

    Args:
        goals: what each output is trained for.
        shapes: of the outputs, batch included.
        targets: shapes of the targets, batch included; None where there are none.
        order: numbers of the outputs in the order of their losses; that of the outputs if None.

    Attributes:
        goals: what each output is trained for.
        columns: numbers of all outputs of a sample.
        entries: the metrics, in the order in which the logs name them.
        loss: mean of the whole loss.
        parts: for each output that is trained (name in the logs, number, mean of its loss), if there are several.
        c_names: what C calls the outputs.
        captured: whether a metric has to be given the outputs.
        metrics: the mean of the loss, the metrics, and the means of the outputs' losses.
        names: the keys of the logs, in the order in which ``evaluate`` returns their values.
    """

    def __init__(
        self,
        goals: Sequence[Goal],
        shapes: Sequence[Sequence[int | None]],
        targets: Sequence[Any | None],
        order: Sequence[int] | None = None,
    ) -> None:
        from ..compiler.expression import Names

        self.goals, self._shapes = tuple(goals), list(shapes)
        self._losses: dict[tuple[Any, ...], tuple[Any, ...]] = {}
        rows = [prod(n or 1 for n in shape[1:-1]) for shape in shapes]
        self.columns = sum(prod(n or 1 for n in shape[1:]) for shape in shapes)
        self.loss = metrics.Mean(name="loss")
        numbers = range(len(goals)) if order is None else order
        trained = [number for number in numbers if goals[number].loss is not None]
        self.parts: list[tuple[str, int, Any]] = []
        if len(trained) > 1:
            for number in trained:
                key = f"{_loss_name(goals[number], shapes[number], targets[number])}_loss"
                self.parts.append((key, number, metrics.Mean(name=key)))
        names, used = Names(set(_C_NAMES)), dict[str, int]()
        self.c_names = [names.new(goal.name or f"output_{number}") for number, goal in enumerate(goals)]
        for c_name in self.c_names:
            names.new(f"{c_name}_loss")  # what C adds up for it; no metric is called so
        self.entries: list[Entry] = []
        for weighted in (False, True):
            for number, goal in enumerate(goals):
                for given in goal.weighted if weighted else goal.metrics:
                    metric = metrics.resolve(given, shapes[number], targets[number] or shapes[number])
                    prefix = f"{goal.name}_" if goal.name and len(goals) > 1 else ""
                    key = _key(prefix, metric.name, weighted, used)
                    # of single numbers Keras' functions make one for a batch, and the mean over batches is taken
                    alone = len(shapes[number]) == 1
                    parts = () if alone else _parts(metric, shapes[number])
                    own = alone or not _is_ours(type(metric)) or (not parts and _by_batch(metric, shapes[number]))
                    c_names = [names.new(key if len(parts) == 1 else f"{key}_{n}") for n in range(len(parts))]
                    self.entries.append(
                        Entry(key, metric, number, weighted, tuple(zip(c_names, parts, strict=True)), own)
                    )
        self._parts = [
            ("loss", "loss", self.loss),
            *((key, f"{self.c_names[n]}_loss", mean) for key, n, mean in self.parts),
        ]
        self._streamed = [(e, rows[e.output], _is_plain(e)) for e in self.entries if e.parts]
        self._fed = [e for e in self.entries if not e.parts]
        self.captured = bool(self._fed)
        self.metrics = [self.loss, *(e.metric for e in self.entries), *(mean for _, _, mean in self.parts)]
        self.names = self._ordered(["loss", *(e.key for e in self.entries), *(key for key, _, _ in self.parts)])

    def _ordered(self, keys: Sequence[str]) -> list[str]:
        """Keras' order: what the logs call by the names of the metrics, in their order, then the rest by its keys."""
        known = [m.name for m in self.metrics]
        return [name for name in known if name in keys] + sorted(key for key in keys if key not in known)

    def values(self, logs: Mapping[str, Any]) -> Any:
        """What ``evaluate`` returns: the loss, or a list if there is more."""
        found = [logs[name] for name in self.names]
        return found[0] if len(found) == 1 else found

    def losses(self, targets: Sequence[Any | None], where: str) -> tuple[Any, ...]:
        """The Loss of each output for targets of some shapes; None for outputs that are not trained.

        Raises:
            ModelError: one has no number for a batch.
        """
        key = tuple(None if shape is None else shape[1:] for shape in targets)
        if key not in self._losses:
            found = [
                losses.resolve(goal.loss, shape, target or shape)
                for goal, shape, target in zip(self.goals, self._shapes, targets, strict=True)
            ]
            if any(loss is not None and str(getattr(loss, "reduction", "")) in ("none", "None") for loss in found):
                raise ModelError(f"{where}: a loss with reduction=None has no single number to minimise.")
            self._losses[key] = tuple(found)
        return self._losses[key]

    def weighed(self, found: Sequence[Any], shapes: Sequence[Sequence[int | None]]) -> list[tuple[int | None, ...]]:
        """Shapes of outputs whose rows are those that the losses make a value of each: the weights are of these."""
        from ..compiler import aims

        return [tuple(aims.seen_by(loss, shape)) for loss, shape in zip(found, shapes, strict=True)]

    def reset(self) -> None:
        """Forgets what was measured."""
        for metric in self.metrics:
            metric.reset_state()

    def results(self) -> dict[str, Any]:
        """Returns what the loss and the metrics are now, by their names in the logs."""
        found = {"loss": self.loss, **{e.key: e.metric for e in self.entries}, **{key: m for key, _, m in self.parts}}
        return {key: _number(metric.result()) for key, metric in found.items()}

    def of_output(self, number: int) -> tuple[tuple[str, Any, bool], ...]:
        """What C adds up for an output: (name in C, a mean of a formula, whether the weights of samples count)."""
        return tuple((name, part, e.weighted) for e in self.entries if e.output == number for name, part in e.parts)

    def logs(self, totals: Mapping[str, float], samples: int, weighted: Sequence[bool]) -> dict[str, Any]:
        """Returns the logs.

        Args:
            totals: the sums of C over the samples.
            samples: how many they are.
            weighted: for each output whether its samples have weights.
        """
        logs: dict[str, Any] = {}
        for key, name, mean in self._parts:
            mean.total, mean.count = totals[name], samples
            logs[key] = mean.total / samples if samples else 0.0
        for e, rows, plain in self._streamed:
            metric, count = e.metric, float(samples * rows)
            if plain:
                name = e.parts[0][0]
                if e.weighted and weighted[e.output]:
                    count = totals[f"{name}_weights"]
                metric.total, metric.count = totals[name], count
                logs[e.key] = metric.total / count if count else 0.0
                continue
            metric.reset_state()
            for name, part in e.parts:
                part.add(totals[name], totals[f"{name}_weights"] if e.weighted and weighted[e.output] else count)
            logs[e.key] = _number(metric.result())
        for e in self._fed:
            logs[e.key] = _number(e.metric.result())
        return logs

    def logs_of_epochs(
        self, totals: Mapping[str, Array], epochs: int, samples: int, weighted: Sequence[bool]
    ) -> dict[str, list[Any]]:
        """Returns the logs of several epochs, of each name a list; metrics are left as the last one leaves them.

        Args:
            totals: the sums of C over the samples, one of each epoch.
            epochs: how many they are.
            samples: how many an epoch has.
            weighted: for each output whether its samples have weights.
        """
        each = {name: column.tolist() for name, column in totals.items()}
        if not all(plain and not (e.weighted and weighted[e.output]) for e, _, plain in self._streamed):
            rows = [
                self.logs({name: column[i] for name, column in each.items()}, samples, weighted) for i in range(epochs)
            ]
            return {name: [row[name] for row in rows] for name in rows[0]}
        last = self.logs({name: column[-1] for name, column in each.items()}, samples, weighted)
        counts = [(key, name, samples) for key, name, _ in self._parts]
        counts += [(e.key, e.parts[0][0], samples * rows) for e, rows, _ in self._streamed]
        logs = {key: [total / count for total in each[name]] for key, name, count in counts if count}
        return {key: logs.get(key, [value] * epochs) for key, value in last.items()}

    def feed(self, supervised: Supervised, outputs: Sequence[Array], batch: int) -> None:
        """Gives the metrics that C does not add up some samples, those of the user's own batch by batch.

        Args:
            supervised: what the samples have beside inputs. Metrics of the user's own see targets of the shape in
                which they were given, as in Keras, the others of the shape that the loss takes.
            outputs: of the network.
            batch: samples of a batch.
        """
        for e in self._fed:
            y = (supervised.given if e.own else supervised.ys)[e.output]
            made, weight = outputs[e.output], supervised.weights[e.output] if e.weighted else None
            step = batch if e.own else len(made)
            for first in range(0, len(made), step):
                part = slice(first, first + step)
                e.metric.update_state(
                    None if y is None else y[part], made[part], sample_weight=None if weight is None else weight[part]
                )


def _number(value: Any) -> Any:
    return float(value) if np.ndim(value) == 0 and not isinstance(value, Mapping) else value


def _is_ours(cls: type) -> bool:
    return cls.__module__.partition(".")[0] == __package__.partition(".")[0]


def _parts(metric: Any, shape: Sequence[int | None]) -> tuple[Any, ...]:
    """The means of formulas that the state of a metric is made of; none if it does something else when updated."""
    for name in ("update_state", "reset_state", "add"):
        if not all(_is_ours(cls) for cls in type(metric).__mro__ if name in vars(cls)):
            return ()
    if _by_batch(metric, shape):
        return ()
    parts = tuple(metric.parts(shape)) if hasattr(metric, "parts") else ()
    if isinstance(metric, metrics.MeanMetricWrapper) and not hasattr(metric, "parts"):
        parts = (metric,)
    return parts if (len(shape) < 3 and not _is_of_the_user(metric)) or _over_rows(parts, shape) else ()


def _over_rows(parts: Sequence[Any], shape: Sequence[int | None]) -> bool:
    """Whether metrics are formulas over the rows of an output, and reduce over no other axis than the last."""
    from ..compiler import aims

    for part in parts:
        for labels in (False, True):
            try:
                if not aims.computed_by_rows(part.call, shape, labels):
                    return False
            except NncompileError:  # the other form of targets, or what the planner will say with its name
                continue
    return True


def _is_of_the_user(metric: Any) -> bool:
    """Whether a metric is a function of the user's."""
    function = getattr(metric, "fn", None) if isinstance(metric, metrics.MeanMetricWrapper) else None
    return function is not None and not str(getattr(function, "__module__", "")).startswith(_OURS)


def _by_batch(metric: Any, shape: Sequence[int | None]) -> bool:
    """Whether a metric is a function of the user's that takes all rows of a batch together."""
    if not _is_of_the_user(metric):
        return False
    from ..compiler.expression import trace

    output = ops.symbol("y_pred", ops.ELEMENT, tuple(shape))
    for target in (ops.symbol("y_true", ops.ELEMENT, tuple(shape)), ops.symbol("label", ops.ROW, tuple(shape[:-1]))):
        try:
            value = trace(metric.call, target, output)
        except AcrossRowsError:
            return True
        except NncompileError:  # the other form of targets, or what the planner will say with its name
            continue
        if isinstance(value, ops.Expression) and (value.op == "whole" or crosses_rows(value)):
            return True
    return False


def _is_plain(entry: Entry) -> bool:
    """Whether the result is the one sum through the one count."""
    metric = entry.metric
    return entry.parts[0][1] is metric and type(metric).result is metrics.Mean.result


def _key(prefix: str, name: str, weighted: bool, used: dict[str, int]) -> str:
    """What the logs call a metric: Keras numbers equal names, and those of weighted ones say so first."""
    key = f"{prefix}{name}"
    if key in used and weighted:
        key = f"{prefix}weighted_{name}"
    if key not in used:
        used[key] = 1
        return key
    used[key] += 1
    return f"{key}_{used[key] - 1}"


def _loss_name(goal: Goal, shape: Any, target: Any) -> str:
    """What Keras' logs call the loss of an output: by its keys and its name, by that of its loss if it has none."""
    if goal.path and isinstance(goal.path[-1], str):
        return "/".join(map(str, goal.path))
    name = goal.name
    if name is None:
        found = losses.resolve(goal.loss, shape, target or shape)
        name = str(found.name if found is not None else "")
    return "/".join(map(str, (*goal.path[:-1], name)))
