"""Checks of the data that a model is given, against its inputs, its outputs and what they are trained for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from .. import data, losses, random, tree
from ..errors import ModelError, UnsupportedError
from ..losses.names import MeanOfCounted
from ..variables import Array
from . import supervision
from .compiled import Compiled
from .feeds import Form, Taken


class Intake(Compiled):
    """Makes of what the user gives the arrays that C takes."""

    def _take_x(self, x: Any, where: str) -> list[Array]:
        """Checks the rows of the inputs, building the model from them if it is not built."""
        if not self.built:
            self._build_from(x, where)
        inputs = self._ends.inputs
        x = data.in_row("x", x, self._ends.taken, where=where, of="input", spare=True)
        if len(inputs) == 1:
            name, shape, layer = inputs[0]
            if not isinstance(x, np.ndarray):
                (x,) = data.parts("x", x, [name], where=where, of="input", spare=True)
            return [self._take_input("x", x, shape, layer, where)]
        found = data.parts("x", x, [name for name, _, _ in inputs], where=where, of="input", spare=True)
        taken = [
            self._take_input(f"x[{name!r}]", part, shape, layer, where)
            for part, (name, shape, layer) in zip(found, inputs, strict=True)
        ]
        data.check_rows([(f"x[{i[0]!r}]", array) for i, array in zip(inputs, taken, strict=True)], where=where)
        return taken

    @staticmethod
    def _take_input(argument: str, given: Any, shape: tuple[Any, ...], layer: str, where: str) -> Array:
        array = data.as_rows(argument, given, where=where)
        if len(array) == 0:
            raise ModelError(f"{where}: {argument}: expected at least one row, received none.")
        return data.check_inputs(array, shape, layer)

    def _build_from(self, x: Any, where: str, batch: Callable[[int], int] | None = None) -> None:
        """Builds the model for the shapes of its first data.

        Args:
            x: the inputs.
            where: what was called, for messages.
            batch: the rows of the first batch, of the number of all rows; all of them if None.
        """
        arrays: Any
        shapes: Any

        def first(array: Array) -> tuple[int, ...]:
            return (len(array) if batch is None else min(batch(len(array)), len(array)), *array.shape[1:])

        if data.is_deep(x) and all(hasattr(part, "shape") for part in tree.flatten(x)):
            arrays = tree.map_structure(lambda part: data.as_rows("x", part, where=where), x)
            shapes = tree.map_structure(first, arrays)
        elif isinstance(x, Mapping):
            arrays = {name: data.as_rows(f"x[{name!r}]", part, where=where) for name, part in x.items()}
            shapes = {name: first(array) for name, array in arrays.items()}
        elif isinstance(x, (list, tuple)) and len(x) > 1 and all(hasattr(part, "shape") for part in x):
            shapes = [first(data.as_rows("x", part, where=where)) for part in x]
        else:
            array = data.as_rows("x", x, where=where)
            if len(array) == 0:
                raise ModelError(f"{where}: x: expected at least one row, received none.")
            shapes = first(array)
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
        names, shapes, made = self._ends.names, self._ends.shapes, self._ends.made
        goals = self._supervisor.goals if self._supervisor is not None else self._objectives.sort(names, made)
        y = data.in_row("y", y, made, where=where, of="output", partial=True)
        sample_weight = data.in_row("sample_weight", sample_weight, made, where=where, of="output", partial=True)
        raw = self._take_y(y, xs[0], names, goals, where)
        supervisor, wanted = self._supervisor, [None if target is None else target.shape for target in raw]
        if supervisor is None:
            self._need_loss(where)
            if self._objectives.whole is not None:
                self._check_loss_of_the_users_own(where)
            order = self._objectives.order(names, made)
            supervisor = supervision.Supervisor(goals, shapes, wanted, order)
        found = list(supervisor.losses(wanted, where))
        seen = shapes if sample_weight is None else supervisor.weighed(found, shapes)
        weights = data.sample_weights(sample_weight, y, names, seen, len(xs[0]), where=where)
        if class_weight is not None:
            if sample_weight is not None:
                raise ModelError(f"{where}: expected class_weight or sample_weight, received both. Multiply them.")
            if len(names) > 1 or raw[0] is None:
                raise ModelError(f"{where}: class_weight is for models of one output, received {len(names)} outputs.")
            weights = [data.class_weights(raw[0], class_weight, where=where)]
        if self._objectives.whole is not None and any(weight is not None for weight in weights):
            raise UnsupportedError(
                f"{where}: weights of samples or classes: {type(self).__name__}.compute_loss() is a formula of targets "
                "and outputs, which does not get them. Give a loss to compile, and add to it by add_loss in a layer."
            )
        ys: list[Array | None] = []
        forms = []
        for number, (target, shape, loss, weight) in enumerate(zip(raw, shapes, found, weights, strict=True)):
            if target is None:
                ys.append(None)
                forms.append(Form(False, 0, False))
                continue
            argument = f"y[{names[number]!r}]" if len(names) > 1 else "y"
            rows = losses.shape_of_labels(loss, shape[1:])
            prepared, kind = data.prepare_targets(target, shape, loss, where=where, name=argument, rows=rows)
            ys.append(prepared)
            if loss is not None:
                found[number], weights[number] = losses.counted_form(
                    loss, prepared, weight, bool(goals[number].weighted)
                )
                if weights[number] is not weight and goals[number].weighted:
                    raise UnsupportedError(
                        f"{where}: weighted_metrics beside a loss that leaves out samples and divides by the sum of "
                        "weights would leave them out too. Give them as metrics, or the loss another reduction."
                    )
            if weights[number] is not None and goals[number].weighted and len(seen[number]) != len(shape):
                raise UnsupportedError(
                    f"{where}: weighted_metrics: expected metrics of as many values as the loss {loss.name!r} has, "
                    f"{(None, *seen[number][1:-1])}, as weights are of these, received an output of shape {shape}. "
                    "Give them as metrics."
                )
            if len(shape) == 1 and weights[number] is not None and goals[number].weighted:
                raise ModelError(
                    f"{where}: weighted_metrics: expected an output of shape (batch, features), received {shape}: of "
                    "single numbers a metric makes one for a whole batch, which weights of samples do not fit. "
                    "End the model with Reshape((1,))."
                )
            columns = 0 if kind == "labels" else int(shape[-1] or 1)
            counted = isinstance(found[number], MeanOfCounted)
            forms.append(Form(kind == "labels", columns, weights[number] is not None, counted))
        self._supervisor = supervisor  # made for targets that fit
        given = tuple(() if target is None else target.shape[1:] for target in raw)
        return Taken(xs, ys, weights, tuple(forms), tuple(found), given)

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


def _kind_of(value: Any) -> str:
    return f"{len(value)} things" if isinstance(value, (tuple, list)) else type(value).__name__
