"""Optimizers written as for Keras: ``build`` makes variables, ``update_step`` assigns to them.

Keras calls ``update_step(gradient, variable, learning_rate)`` for each weight in each
step. Here it is called once for each weight, with a symbol for the gradient: what it
assigns to the weight and to the variables that :meth:`Stepwise.add_variable_from_reference`
made for it is the formula of the update, the same as what ``update`` of an optimizer of
nncompile's own returns.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

from .. import initializers, ops
from ..errors import ModelError, UnsupportedError
from ..variables import Variable, recording, stands_for

_TAKEN = ("w", "g", "average", "gradient_accumulator")
"""What is kept for a weight, or given to its update, under other names than those of slots."""


class Stepwise:
    """What :class:`~nncompile.optimizers.Optimizer` has for classes written as for Keras."""

    name: str
    iterations: Any
    learning_rate: Any
    _iterations: Variable
    _weights: list[Variable]
    _kept: list[dict[str, Variable]]
    _made: list[Variable]
    _added: dict[int, list[str]]
    """By the number of a weight the names of the variables that were added for it."""

    def update_step(self, gradient: Any, variable: Variable, learning_rate: Any) -> None:
        """Assigns the new numbers of a weight, and of what was added for it: for classes written as for Keras.

        One of your own is called with symbols, once for each weight, so it must be a formula over
        :mod:`nncompile.ops`; see ``update`` for the other way of writing an optimizer.

        Args:
            gradient: of the loss by the weight.
            variable: the weight.
            learning_rate: of this step.
        """
        raise NotImplementedError(
            f"{type(self).__name__}: define update_step(self, gradient, variable, learning_rate)."
        )

    @property
    def _is_stepwise(self) -> bool:
        return type(self).update_step is not Stepwise.update_step

    # -------------------------------------------------------------- variables

    def add_variable_from_reference(
        self, reference_variable: Variable, name: str | None = None, initializer: Any = "zeros"
    ) -> Variable:
        """Makes a variable of the shape and type of a weight, which ``update_step`` may read and assign.

        To be called in ``build``, behind ``super().build(variables)``.

        Args:
            reference_variable: one of the weights that the optimizer was built with.
            name: of the variable; ``"var"`` if None.
            initializer: a name, a configuration or an :class:`~nncompile.initializers.Initializer`.

        Returns:
            The variable.

        Raises:
            ModelError: the optimizer was not built with that weight.
        """
        weight, name = reference_variable, name or "var"
        at = self._get_variable_index(weight)
        initial = initializers.get(initializer) or initializers.Zeros()
        value = initial(weight.shape, dtype=weight.dtype)
        title = f"{weight.path.replace('/', '_')}_{name}"  # Keras' names
        made = Variable(value, name=title, path=f"{self.name}/{title}", trainable=False, dtype=weight.dtype)
        key = re.sub(r"\W", "_", name)
        while key in self._kept[at] or key in _TAKEN or not key.isidentifier():
            key = f"{key}_2" if key.isidentifier() else f"slot_{key}"
        self._kept[at][key] = made
        self._added.setdefault(at, []).append(key)
        self._made.append(made)
        return made

    def add_variable(self, *args: Any, **keywords: Any) -> Variable:
        """Is not there: what is kept for no weight in particular is in ``scalars``.

        Args:
            *args: none.
            **keywords: none.

        Returns:
            Nothing.

        Raises:
            UnsupportedError: always.
        """
        raise UnsupportedError(
            f"{type(self).__name__}: add_variable: a variable of no weight in particular is not supported in build; "
            "add_variable_from_reference(weight, name) makes one for a weight. Write update(self, w, g, *slots, step) "
            "with scalars and update_scalars for numbers that all weights share."
        )

    def add_optimizer_variables(
        self, trainable_variables: Iterable[Variable], name: str | Sequence[str], initializer: Any = "zeros"
    ) -> Any:
        """Makes a variable, or several, for each of some weights.

        Args:
            trainable_variables: the weights.
            name: of the variables, or a list of names.
            initializer: of all of them, or a list of one for each name.

        Returns:
            A list of a variable for each weight; with a list of names a tuple of such lists.

        Raises:
            ModelError: names and initializers of other numbers.
        """
        names = [name] if isinstance(name, str) else list(name)
        several = isinstance(initializer, list | tuple) and not isinstance(name, str)
        given = list(initializer) if several else [initializer] * len(names)
        if len(given) != len(names):
            raise ModelError(
                f"{self.name}: add_optimizer_variables: expected an initializer for each of the {len(names)} names, "
                f"received {len(given)}."
            )
        made: tuple[list[Variable], ...] = tuple([] for _ in names)
        for weight in trainable_variables:
            for variables, one, initial in zip(made, names, given, strict=True):
                variables.append(self.add_variable_from_reference(weight, one, initial))
        return made[0] if isinstance(name, str) else made

    def _get_variable_index(self, variable: Variable) -> int:
        """The number of a weight among those that the optimizer was built with."""
        for i, weight in enumerate(self._weights):
            if weight is variable:
                return i
        raise ModelError(
            f"{self.name} ({type(self).__name__}): {variable.path} is not one of the {len(self._weights)} variables "
            "that the optimizer was built with. Call super().build(variables) first, and make a new optimizer for "
            "other weights."
        )

    def assign(self, variable: Variable, value: Any) -> None:
        """Sets a variable, in ``update_step``.

        Args:
            variable: the variable.
            value: its new numbers.
        """
        variable.assign(value)

    def assign_add(self, variable: Variable, value: Any) -> None:
        """Adds to a variable, in ``update_step``.

        Args:
            variable: the variable.
            value: what is added.
        """
        variable.assign_add(value)

    def assign_sub(self, variable: Variable, value: Any) -> None:
        """Subtracts from a variable, in ``update_step``.

        Args:
            variable: the variable.
            value: what is subtracted.
        """
        variable.assign_sub(value)

    # -------------------------------------------------------------- the formula

    def _by_steps(self, weight: Variable, w: Any, g: Any, slots: Sequence[Any], step: Any) -> tuple[Any, ...]:
        """What ``update_step`` makes of a weight and its slots, as ``update`` returns it."""
        kept = self._kept[self._get_variable_index(weight)]
        variables = [weight, *(kept[name] for name in self._added.get(self._get_variable_index(weight), []))]
        if not isinstance(g, ops.Expression):
            weight.assign(w)
            self.update_step(g, weight, self.learning_rate)
            return tuple(variable.value for variable in variables)
        now = {id(v): x for v, x in zip(variables, (w, *slots), strict=True)}
        now[id(self._iterations)] = step - 1.0
        with recording() as noted:

            def current(variable: Variable) -> Any:
                for assigned, value in reversed(noted.assignments):
                    if assigned is variable:
                        return value
                if id(variable) not in now:
                    raise self._of_others(variable, weight)
                return now[id(variable)]

            token = stands_for.set(current)
            try:
                self.update_step(g, weight, self.learning_rate)
                for variable, _ in noted.assignments:
                    if id(variable) not in now or variable is self._iterations:
                        raise self._of_others(variable, weight)
                return tuple(_as_expression(current(variable)) for variable in variables)
            finally:
                stands_for.reset(token)

    def _of_others(self, variable: Variable, weight: Variable) -> UnsupportedError:
        return UnsupportedError(
            f"{type(self).__name__}.update_step: {variable.path} is neither {weight.path}, which is updated, nor was "
            "it made for it by add_variable_from_reference; others cannot be read or assigned there yet. Keep what "
            "all weights share in scalars, and write update(self, w, g, *slots, step) in place of update_step."
        )


def _as_expression(value: Any) -> Any:
    """What was assigned, which may be a number."""
    return value if isinstance(value, ops.Expression) else ops.add(value, ops.constant(0.0))


__all__ = ["Stepwise"]
