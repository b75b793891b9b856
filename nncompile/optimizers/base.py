"""Optimizer: what happens to the weights, as a formula.

:meth:`Optimizer.update` takes a weight, its gradient and its slots (what is kept beside
it) and returns the new ones, over :mod:`nncompile.ops`. Around it stands what every
optimizer can do: gradients accumulated and clipped, weights decayed and averaged. The
compiler traces all of that for each weight (:mod:`nncompile.compiler.updates`): a formula
that works number by number becomes the end of the kernel of the gradient; one that
reduces, as ``ops.norm(w)``, or multiplies matrices is computed in passes over the weight.
:meth:`Optimizer.apply_gradients` computes it with NumPy, which is what the compiled one
is tested against.

The order of operations is Keras': what is in Python numbers alone, as ``1 - beta_1``,
is computed in double precision, and the rest in the element type of the weight. (In
Nadam and Lion Keras rounds the betas first, which differs by some 1e-5 of an update at
most.)
"""

from __future__ import annotations

import inspect
import re
import sys
import warnings
from collections.abc import Callable, Iterable, Mapping, MutableMapping, Sequence
from numbers import Real
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from .. import absent, config, ops, registry
from ..backend import auto_name
from ..docstrings import completed, family_of
from ..errors import ModelError, UnsupportedError
from ..variables import Array, Variable, stands_for
from . import schedules
from .schedules import LearningRateSchedule
from .stepwise import Stepwise

if TYPE_CHECKING:
    from typing_extensions import Self


def is_on(value: Any) -> bool:
    """Whether an optional hyper-parameter does something; a symbol stands for one that does."""
    return value is not None and (isinstance(value, ops.Expression) or value > 0)


Initial = float | Callable[[Array], Any]
"""How a slot begins: every number of it, or a function of the weight's numbers that gives the whole of it."""


class Optimizer(absent.Refusing, Stepwise):
    """Base of optimizers; one of your own defines :attr:`slots` and :meth:`update`.

    Classes written as for Keras work too: ``build`` makes variables with
    :meth:`add_variable_from_reference`, and :meth:`update_step` assigns to them.

    In a constructor, hand what you do not know on to this class, as the ones here do::

        def __init__(self, learning_rate=0.01, momentum=0.9, *common, **keywords):
            super().__init__(learning_rate, *common, **keywords)
            self.momentum = momentum

    What the constructor takes and keeps under the same name is part of
    :meth:`get_config`; what of it is a number can change between two batches.

    Args:
        learning_rate: a float, or a :class:`~nncompile.optimizers.schedules.LearningRateSchedule`. An integer is
            refused, as in Keras.
        weight_decay: d; every weight w, biases too, first becomes ``w - w * d * learning_rate``;
            see :meth:`exclude_from_weight_decay`.
        clipnorm: c, if above 0; each gradient g becomes ``g * c / max(norm(g), c)``.
        clipvalue: limit of the absolute value of gradients, if above 0.
        global_clipnorm: c, if above 0; with the norm N of all gradients together each becomes
            ``g * c * min(1 / N, 1 / c)``.
        use_ema: whether to keep a running mean of each weight, which takes its place at the end of ``fit``.
        ema_momentum: m in ``average = m * average + (1 - m) * w``, which starts as the weight after the first update.
        ema_overwrite_frequency: after so many updates each time the weights become their means; None for never.
        loss_scale_factor: the loss is multiplied by it before gradients are computed, and these are divided by it.
        gradient_accumulation_steps: k; only every k-th call updates the weights, with the mean of the last k
            gradients.
        name: of the optimizer; made from the class's if None.
        **kwargs: ``lr`` and ``decay``, the spellings of Keras 1 and 2. As in Keras 3,
            ``decay`` has no effect but a warning.

    Attributes:
        slots: name to initial value of what is kept for a weight: a number for one beside each number of the
            weight, or a function of the weight's numbers that returns an array, of any shape.
        scalars: name to initial value of numbers kept once for all weights.
        built: whether :meth:`build` made the variables.

    Raises:
        ModelError: an argument that cannot be right.
        TypeError: a keyword that nothing has; the nearest is given.
        UnsupportedError: an argument that Keras has and nncompile does not, yet.

    Source: ``keras.optimizers.Optimizer``.
    """

    _parameters: ClassVar[dict[str, Any]]
    """Defaults of all arguments by name; a missing one is ``inspect.Parameter.empty``."""
    _own: ClassVar[tuple[str, ...]] = ()
    """Names of the arguments that are not those of every optimizer."""
    _optional: ClassVar[tuple[str, ...]] = ()
    """Those of them that may be None in place of a number."""

    def __init__(
        self,
        learning_rate: float,
        weight_decay: float | None = None,
        clipnorm: float | None = None,
        clipvalue: float | None = None,
        global_clipnorm: float | None = None,
        use_ema: bool = False,
        ema_momentum: float = 0.99,
        ema_overwrite_frequency: int | None = None,
        loss_scale_factor: float | None = None,
        gradient_accumulation_steps: int | None = None,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        owner = type(self).__name__
        if kwargs:
            learning_rate = self._legacy(learning_rate, kwargs)
        if sum(limit is not None for limit in (clipnorm, clipvalue, global_clipnorm)) > 1:
            raise ModelError(
                f"{owner}: expected one of clipnorm, clipvalue and global_clipnorm, received clipnorm={clipnorm!r}, "
                f"clipvalue={clipvalue!r}, global_clipnorm={global_clipnorm!r}."
            )
        if gradient_accumulation_steps and not gradient_accumulation_steps >= 2:
            raise ModelError(
                f"{owner}: gradient_accumulation_steps: expected an integer of 2 or more, "
                f"received {gradient_accumulation_steps!r}."
            )
        if use_ema and not 0 <= ema_momentum <= 1:
            raise ModelError(f"{owner}: ema_momentum: expected a number between 0 and 1, received {ema_momentum!r}.")
        frequency = ema_overwrite_frequency
        if use_ema and frequency and (not isinstance(frequency, int) or frequency < 1):
            raise ModelError(
                f"{owner}: ema_overwrite_frequency: expected a whole number of 1 or more, or None, "
                f"received {frequency!r}."
            )
        numbers = {"weight_decay": weight_decay, "clipnorm": clipnorm, "clipvalue": clipvalue}
        numbers |= {"global_clipnorm": global_clipnorm, "loss_scale_factor": loss_scale_factor}
        for what, value in numbers.items():
            if value is not None:
                check_number(owner, what, value)
        self.name = name or auto_name(owner)
        self.weight_decay: Any = weight_decay
        self.clipnorm: Any = clipnorm
        self.clipvalue: Any = clipvalue
        self.global_clipnorm: Any = global_clipnorm
        self.use_ema = use_ema
        self.ema_momentum: Any = ema_momentum
        self.ema_overwrite_frequency = ema_overwrite_frequency
        self.loss_scale_factor: Any = loss_scale_factor
        self.gradient_accumulation_steps = gradient_accumulation_steps
        self._schedule = self._schedule_in(learning_rate)
        if self._schedule is None and not isinstance(learning_rate, float):
            raise ModelError(
                f"{owner}: learning_rate: expected a float or a LearningRateSchedule, received {learning_rate!r} "
                f"({type(learning_rate).__name__}). Write for example 0.01, or 1.0 instead of 1."
            )
        self._iterations = self._variable(np.zeros((), np.int64), "iteration")
        self._learning_rate: Any = None  # a variable, unless there is a schedule
        if self._schedule is None:
            self._learning_rate = self._variable(np.asarray(learning_rate, config.floatx()), "learning_rate")
        self._undecayed: tuple[frozenset[int], re.Pattern[str] | None] = (frozenset(), None)
        self._weights: list[Variable] = []
        self._kept: list[dict[str, Variable]] = []  # of each weight: slots, accumulator and average by name
        self._scalars: dict[str, Variable] = {}
        self._made: list[Variable] = []
        self._added: dict[int, list[str]] = {}
        self.built = False

    def __init_subclass__(cls, **keywords: Any) -> None:
        super().__init_subclass__(**keywords)
        common = list(inspect.signature(Optimizer.__init__).parameters.values())[1:]
        mine = list(inspect.signature(cls.__init__).parameters.values())[1:]
        if any(p.kind is p.VAR_POSITIONAL for p in mine):
            # *common stands for the arguments of the base class that come next.
            mine = [p for p in mine if p.kind is p.POSITIONAL_OR_KEYWORD]
            names = [p.name for p in mine]
            mine += [p for p in common if p.name not in names]
            cls.__signature__ = inspect.Signature(mine)  # type: ignore[attr-defined]
            if "*common: " in (cls.__doc__ or ""):
                names = ["**" * (p.kind is p.VAR_KEYWORD) + p.name for p in mine]
                family = family_of(Optimizer.__doc__ or "")
                cls.__doc__ = completed(cls.__doc__ or "", names, family, without=("*common", "**keywords"))
        cls._parameters = {p.name: p.default for p in mine if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)}
        cls._own = tuple(name for name in cls._parameters if name not in {p.name for p in common})

    def _legacy(self, learning_rate: Any, given: Mapping[str, Any]) -> Any:
        """Understands the arguments of Keras 1 and 2; returns the learning rate."""
        owner = type(self).__name__
        level, frame = 2, sys._getframe(1)
        while frame.f_back and frame.f_code.co_name == "__init__" and frame.f_locals.get("self") is self:
            level, frame = level + 1, frame.f_back
        known = self._parameters if type(self) is not Optimizer else inspect.signature(Optimizer).parameters
        registry.check_keywords(owner, {k: v for k, v in given.items() if k not in ("lr", "decay")}, known)
        if given.get("decay"):
            warnings.warn(
                f"{owner}: 'decay' has no effect, as in Keras 3. Set learning_rate in a "
                "LearningRateScheduler callback instead.",
                stacklevel=level,
            )
        if "lr" not in given:
            return learning_rate
        both = {"lr": given["lr"]}
        if learning_rate != self._parameters.get("learning_rate"):
            both["learning_rate"] = learning_rate
        return registry.rename_keywords(owner, both, {"lr": "learning_rate"}, stacklevel=level + 1)["learning_rate"]

    def _schedule_in(self, learning_rate: Any) -> LearningRateSchedule | None:
        """The schedule that a learning rate is; None if it is none.

        Raises:
            UnsupportedError: a function.
        """
        if isinstance(learning_rate, LearningRateSchedule):
            return learning_rate
        if isinstance(learning_rate, Mapping):
            return schedules.deserialize(learning_rate)  # type: ignore[no-any-return]
        if callable(learning_rate):
            name = getattr(learning_rate, "__name__", type(learning_rate).__name__)
            raise UnsupportedError(
                f"{type(self).__name__}: learning_rate: the function {name} is not supported, as nothing calls Python "
                "between two steps. Make it a LearningRateSchedule, whose __call__(step) is a formula over ops, or "
                "give fit() a LearningRateScheduler callback."
            )
        return None

    # -------------------------------------------------------------- formulas

    @property
    def slots(self) -> dict[str, Initial]:
        """Name to initial value of what is kept for a weight; see :class:`Optimizer`."""
        return {}

    def slots_of(self, weight: Variable) -> dict[str, Initial]:
        """Returns the :attr:`slots` of a weight, for optimizers that keep other things for other weights.

        Args:
            weight: the weight.
        """
        if not self._is_stepwise or not self.built:
            return self.slots
        return dict.fromkeys(self._added.get(self._get_variable_index(weight), []), 0.0)

    @property
    def scalars(self) -> dict[str, float]:
        """Name to initial value of numbers kept once for all weights."""
        return {}

    @property
    def slot_groups(self) -> list[list[str]]:
        """Names of slots by the order of :attr:`variables`: those of a group alternate, weight by weight."""
        return [list(self.slots)]

    def update(self, *args: Any, **keywords: Any) -> tuple[Any, ...]:
        """Returns the new weight and slots: a formula over :mod:`nncompile.ops`.

        It is defined as ``update(self, w, g, *slots, step)`` with the slots in their
        order, and further keywords for :attr:`scalars`.

        Args:
            *args: w, the weight; g, the gradient of the loss by it; then the slots, what is kept beside the weight.
            **keywords: step, the number of this update, from 1; then the scalars, what is kept once, as
                :meth:`update_scalars` returned it.

        Returns:
            The new ``(w, *slots)``.
        """
        raise NotImplementedError(
            f"{type(self).__name__}: define update(self, w, g, *slots, step) returning (w, *slots), over "
            "nncompile.ops, or update_step(self, gradient, variable, learning_rate) as for Keras."
        )

    def update_scalars(self, step: Any, *scalars: Any) -> tuple[Any, ...]:
        """Returns the new :attr:`scalars`, before the weights of a step are updated.

        Args:
            step: number of this update, from 1.
            *scalars: the old ones, in their order.
        """
        return scalars

    def step(
        self,
        w: Any,
        g: Any,
        *slots: Any,
        step: Any,
        decay: str | None = "weight_decay",
        norm: Any = None,
        of: Variable | None = None,
        **scalars: Any,
    ) -> tuple[Any, ...]:
        """Clips the gradient, decays the weight, and updates it: the whole formula of an update.

        The hyper-parameters must be numbers or symbols: see :meth:`with_values`.

        Args:
            w: the weight.
            g: its gradient.
            *slots: what is kept beside the weight.
            step: number of this update, from 1.
            decay: the name of the factor of this weight's decay; None for none.
            norm: of all gradients together, for ``global_clipnorm``.
            of: the variable that the weight is, for :meth:`update_step`.
            **scalars: what is kept once.

        Returns:
            The new ``(w, *slots)``.

        Raises:
            ModelError: :meth:`update` returned another number of values.
        """
        if is_on(self.clipnorm):
            g = g * self.clipnorm / ops.maximum(ops.norm(g), self.clipnorm)
        elif is_on(self.global_clipnorm):
            scale = self.global_clipnorm * ops.minimum(1.0 / norm, 1.0 / self.global_clipnorm)
            g = g * (scale + (norm - norm))  # NaN if the norm is no finite number
        elif is_on(self.clipvalue):
            g = ops.clip(g, -self.clipvalue, self.clipvalue)
        if decay is not None and getattr(self, decay) is not None:
            w = w - w * getattr(self, decay) * self.learning_rate
        if self._is_stepwise and of is not None:
            return self._by_steps(of, w, g, slots, step)
        result = self.update(w, g, *slots, step=step, **scalars)
        result = result if isinstance(result, tuple) else (result,)
        if len(result) != 1 + len(slots):
            raise ModelError(
                f"{type(self).__name__}.update: expected (w, {', '.join(self.slots)}), received {len(result)} values."
            )
        return result

    def average(self, w: Any, average: Any, started: Any) -> Any:
        """The new running mean of a weight: ``m * average + (1 - m) * w`` with ``m = started * ema_momentum``.

        Args:
            w: the weight after an update.
            average: the mean so far.
            started: 1, but 0 in the first update.

        Returns:
            The mean, in the shape of the weight.
        """
        momentum = started * self.ema_momentum
        return momentum * average + (1 - momentum) * w

    def decay_of(self, weight: Variable) -> str | None:
        """Returns the name of the hyper-parameter by which a weight decays; None if it does not.

        Args:
            weight: the weight.
        """
        return "weight_decay" if self.weight_decay is not None and self._decays(weight) else None

    def _decays(self, weight: Variable) -> bool:
        excluded, pattern = self._undecayed
        return id(weight) not in excluded and not (pattern is not None and pattern.search(weight.name))

    @property
    def hyperparameters(self) -> tuple[str, ...]:
        """Names of the numbers that :meth:`step` reads, apart from ``learning_rate``.

        Raises:
            ModelError: one of them is not a number.
        """
        names = []
        for name in self._own:
            value = getattr(self, name, None)
            if isinstance(value, ops.Expression) or is_number(value):
                if self.reads(name):
                    names.append(name)
            elif is_number(self._parameters[name]) and not (value is None and name in self._optional):
                check_number(type(self).__name__, name, value)
        if self.weight_decay is not None:
            names.append("weight_decay")
        names += [name for name in ("clipnorm", "global_clipnorm", "clipvalue") if is_on(getattr(self, name))]
        if self.use_ema:
            names.append("ema_momentum")
        if self.loss_scale_factor is not None:
            names.append("loss_scale_factor")
        return tuple(names)

    def reads(self, name: str) -> bool:
        """Returns whether :meth:`update` reads a hyper-parameter, as it is set now.

        Args:
            name: what it is called.
        """
        return True

    def with_values(self, **values: Any) -> Self:
        """Returns a copy whose hyper-parameters are the given numbers or symbols.

        Only its formulas are of use: it shares its variables with this optimizer.

        Args:
            **values: symbols, or numbers, by name.
        """
        other = object.__new__(type(self))
        other.__dict__.update(self.__dict__)
        for name, value in values.items():
            setattr(other, "_learning_rate" if name == "learning_rate" else name, value)
        return other

    def __reduce__(self) -> tuple[Any, ...]:
        """Lets ``pickle`` and ``copy`` make an equal optimizer, which begins anew."""
        from ..saving import pickling

        return pickling.reduce_optimizer(self)

    # -------------------------------------------------------------- variables

    def _variable(self, value: Any, name: str, dtype: str | None = None) -> Variable:
        return Variable(
            value, dtype=dtype or np.asarray(value).dtype, name=name, path=f"{self.name}/{name}", trainable=False
        )

    @property
    def iterations(self) -> Any:
        """Number of updates so far: a variable; with accumulation of gradients a number, of the updates alone."""
        stand = stands_for.get()
        if stand is not None:
            return stand(self._iterations)
        if self.gradient_accumulation_steps:
            return np.int64(int(self._iterations) // self.gradient_accumulation_steps)
        return self._iterations

    @property
    def schedule(self) -> LearningRateSchedule | None:
        """What the learning rate follows; None if it is a variable."""
        return self._schedule

    @property
    def learning_rate(self) -> Any:
        """The learning rate: a variable that can be set to a number; with a schedule its value in the next step."""
        if self._schedule is not None and self._learning_rate is None:
            return self._schedule(self._iterations.value)
        return self._learning_rate

    @learning_rate.setter
    def learning_rate(self, value: Any) -> None:
        if isinstance(value, ops.Expression):
            self._learning_rate = value
            return
        owner = type(self).__name__
        schedule = self._schedule_in(value)
        if schedule is not None:
            if self.built:
                raise UnsupportedError(
                    f"{owner}: learning_rate: a schedule cannot be set once the optimizer is built: make a new "
                    f"optimizer, {owner}(learning_rate={type(schedule).__name__}(…)), and compile() with it."
                )
            self._schedule, self._learning_rate = schedule, None
        elif self._schedule is not None:
            raise TypeError(
                f"{owner}: learning_rate: follows the schedule {type(self._schedule).__name__} and cannot be set, "
                f"received {value!r}. Make the optimizer with a float to set it later."
            )
        else:
            self._learning_rate.assign(value)

    @property
    def lr(self) -> Any:
        """``learning_rate`` as Keras 1 and 2 called it."""
        self._warn_of_lr()
        return self.learning_rate

    @lr.setter
    def lr(self, value: Any) -> None:
        self._warn_of_lr()
        self.learning_rate = value

    def _warn_of_lr(self) -> None:
        warnings.warn(
            f"{type(self).__name__}: 'lr' is the spelling of Keras 1 or 2; use 'learning_rate'.",
            DeprecationWarning,
            stacklevel=3,
        )

    @property
    def variables(self) -> list[Variable]:
        """All variables, in the order of Keras' files.

        They are the iteration, the learning rate unless there is a schedule, with ``use_ema`` the averages, with
        accumulation the accumulated gradients, the slots (see :attr:`slot_groups`) and the scalars.
        """
        rate = [] if self._schedule is not None else [self._learning_rate]
        return [self._iterations, *rate, *self._made]

    def build(self, variables: Iterable[Variable]) -> None:
        """Makes the slots of the weights, and the scalars; once.

        Args:
            variables: the weights.
        """
        if self.built:
            return
        self._weights = list(variables)
        self._kept = [{} for _ in self._weights]
        accumulates = bool(self.gradient_accumulation_steps)
        common = [*(["average"] if self.use_ema else []), *(["gradient_accumulator"] if accumulates else [])]
        for name in common:
            for weight, kept in zip(self._weights, self._kept, strict=True):
                kept[name] = self._slot(weight, name, 0.0)
        slots = [self.slots_of(weight) for weight in self._weights]
        for group in self.slot_groups:
            for weight, kept, initial in zip(self._weights, self._kept, slots, strict=True):
                for name in group:
                    if name in initial:
                        kept[name] = self._slot(weight, name, initial[name])
                    else:
                        self._made += self._placeholders(weight, name)
        dtype = self._weights[0].dtype if self._weights else config.floatx()
        self._scalars = {name: self._variable(value, name, dtype) for name, value in self.scalars.items()}
        self._made += self._scalars.values()
        self.built = True

    def _slot(self, weight: Variable, name: str, initial: Initial) -> Variable:
        value = initial(weight.value) if callable(initial) else np.full(weight.shape, initial)
        own = value.shape == weight.shape
        title = f"{weight.path.replace('/', '_')}_{name}" if own else weight.name  # Keras' names
        variable = self._variable(value, title, weight.dtype)
        self._made.append(variable)
        return variable

    def _placeholders(self, weight: Variable, name: str) -> list[Variable]:
        """What stands in Keras' files in the place of a slot that a weight does not have."""
        return []

    def kept(self, weight: Variable) -> dict[str, Variable]:
        """Returns all that is kept for a weight by name: its slots, ``gradient_accumulator`` and ``average``.

        Args:
            weight: the weight.

        Raises:
            ModelError: the optimizer was not built for this weight.
        """
        for known, kept in zip(self._weights, self._kept, strict=True):
            if known is weight:
                return kept
        raise ModelError(
            f"{self.name} ({type(self).__name__}): {weight.path} is not one of the {len(self._weights)} variables that "
            "the optimizer was built with. Make a new optimizer for other weights."
        )

    def slot_variables(self, weight: Variable) -> tuple[Variable, ...]:
        """Returns the slots of a weight, in the order of :attr:`slots`.

        Args:
            weight: the weight.

        Raises:
            ModelError: the optimizer was not built for this weight.
        """
        kept = self.kept(weight)
        return tuple(kept[name] for name in self.slots_of(weight))

    @property
    def scalar_variables(self) -> dict[str, Variable]:
        """The variables of :attr:`scalars` by name, once built."""
        return dict(self._scalars)

    def set_weights(self, weights: Sequence[Any]) -> None:
        """Sets all :attr:`variables`.

        Args:
            weights: an array for each variable.

        Raises:
            ModelError: the optimizer is not built, or number or shapes are others.
        """
        if not self.built:
            raise ModelError(f"{self.name}: set_weights: call build(trainable_variables) first.")
        if len(weights) != len(self.variables):
            raise ModelError(
                f"{self.name}: set_weights: expected {len(self.variables)} arrays, received {len(weights)}."
            )
        for variable, weight in zip(self.variables, weights, strict=True):
            variable.assign(weight)

    def save_own_variables(self, store: MutableMapping[str, Any]) -> None:
        """Writes the variables into ``store`` under ``"0"``, ``"1"``, …

        Args:
            store: takes arrays by name.
        """
        for index, variable in enumerate(self.variables):
            store[str(index)] = variable.numpy()

    def load_own_variables(self, store: Mapping[str, Any]) -> None:
        """Reads what :meth:`save_own_variables` wrote; of another number nothing, with a warning.

        Args:
            store: arrays by name.
        """
        if len(store) != len(self.variables):
            warnings.warn(
                f"{self.name} ({type(self).__name__}): its state is not loaded: expected {len(self.variables)} "
                f"variables, found {len(store)}." + ("" if self.built else " The optimizer was not built."),
                stacklevel=2,
            )
            return
        for index, variable in enumerate(self.variables):
            variable.assign(store[str(index)])

    def exclude_from_weight_decay(
        self, var_list: Iterable[Variable] | None = None, var_names: Iterable[str] | None = None
    ) -> None:
        """Says which weights do not decay; before :meth:`build`.

        Args:
            var_list: variables.
            var_names: regular expressions; a variable in whose name, as ``kernel``, one of them is found.

        Raises:
            ModelError: the optimizer is built already.
        """
        if self.built:
            raise ModelError(f"{self.name}: exclude_from_weight_decay: call it before the optimizer is built.")
        names = sorted(set(var_names or ()))
        excluded = frozenset(id(variable) for variable in var_list or ())
        self._undecayed = (excluded, re.compile("|".join(names)) if names else None)

    def finalize_variable_values(self, var_list: Iterable[Variable]) -> None:
        """Gives weights their final values: with ``use_ema`` their running means.

        Args:
            var_list: the weights.

        Raises:
            ModelError: the optimizer was not built with just these weights.
        """
        if not self.use_ema:
            return
        weights = list(var_list)
        if len(weights) != len(self._weights):
            raise ModelError(
                f"{self.name}: finalize_variable_values: expected the {len(self._weights)} variables that the "
                f"optimizer was built with, received {len(weights)}."
            )
        for weight in weights:
            weight.assign(self.kept(weight)["average"].value)

    @property
    def _model_variables_moving_average(self) -> list[Variable]:
        """The running means, by weight, under the name that Keras' callbacks know."""
        return [kept["average"] for kept in self._kept if "average" in kept]

    @property
    def _trainable_variables(self) -> list[Variable]:
        return list(self._weights)

    def scale_loss(self, loss: Any) -> Any:
        """Returns the loss times ``loss_scale_factor``, if there is one.

        Args:
            loss: a number.
        """
        return loss if self.loss_scale_factor is None else loss * self.loss_scale_factor

    # -------------------------------------------------------------- NumPy

    def apply_gradients(self, grads_and_vars: Iterable[tuple[Any, Variable]]) -> Variable:
        """Updates weights with NumPy, given pairs of gradient and variable.

        Args:
            grads_and_vars: a gradient and the variable that it is of, for each weight.

        Returns:
            The variable :attr:`iterations`.
        """
        pairs = list(grads_and_vars)
        self.apply([g for g, _ in pairs], [v for _, v in pairs])
        return self._iterations

    def apply(self, grads: Sequence[Any], trainable_variables: Sequence[Variable] | None = None) -> None:
        """Updates weights with NumPy; those whose gradient is None stay, with a warning.

        Args:
            grads: a gradient for each variable; none does nothing.
            trainable_variables: what to update; on the first call, all that there will be.

        Raises:
            ModelError: unknown variables, another number of gradients, or no gradient.
        """
        if len(grads) == 0:
            return
        if trainable_variables is None:
            if not self.built:
                raise ModelError(f"{self.name}: apply: give trainable_variables, or call build() with them first.")
            weights = self._weights
        else:
            weights = list(trainable_variables)
            if not self.built:
                self.build(weights)
        if len(grads) != len(weights):
            raise ModelError(f"{self.name}: apply: expected {len(weights)} gradients, received {len(grads)}.")
        for weight in weights:
            self.kept(weight)
        missing = [weight.path for g, weight in zip(grads, weights, strict=True) if g is None]
        if len(missing) == len(weights):
            raise ModelError(f"{self.name}: apply: expected a gradient, received None for every variable.")
        if missing:
            warnings.warn(f"{self.name}: there are no gradients for {', '.join(missing)}.", stacklevel=2)
        given = [
            (np.asarray(g, weight.dtype), weight) for g, weight in zip(grads, weights, strict=True) if g is not None
        ]
        with np.errstate(all="ignore"):
            self._apply(given)
        self._iterations.assign(int(self._iterations) + 1)

    def _apply(self, given: list[tuple[Array, Variable]]) -> None:
        """One step, given gradients that are not None."""
        done, steps = int(self._iterations), self.gradient_accumulation_steps or 1
        if self.loss_scale_factor is not None:
            given = [(g / self.loss_scale_factor, weight) for g, weight in given]
        if steps > 1:
            sums = [(g + self.kept(weight)["gradient_accumulator"].value, weight) for g, weight in given]
            now = (done + 1) % steps == 0
            for total, weight in sums:
                self.kept(weight)["gradient_accumulator"].assign(np.zeros_like(total) if now else total)
            if now:
                self._update([(total / steps, weight) for total, weight in sums], done // steps + 1)
        else:
            self._update(given, done + 1)
        if self.use_ema:
            started, frequency = done // steps != 0, self.ema_overwrite_frequency
            for weight, kept in zip(self._weights, self._kept, strict=True):
                number = np.dtype(weight.dtype).type
                kept["average"].assign(self.average(weight.value, kept["average"].value, number(started)))
                if frequency and (done // steps + 1) % frequency == 0:
                    weight.assign(kept["average"].value)
        for _, weight in given:
            constraint = getattr(weight, "constraint", None)
            if constraint is not None:
                weight.assign(constraint(weight.value))

    def _update(self, given: list[tuple[Array, Variable]], step: int) -> None:
        """An update with gradients that are neither scaled nor to be accumulated."""
        rate = float(self.learning_rate)
        norm = None
        if is_on(self.global_clipnorm):
            norm = np.sqrt(np.sum(np.stack([np.sum(np.square(g)) for g, _ in given])))
        if self._scalars:
            kept = [variable.value[()] for variable in self._scalars.values()]
            for variable, value in zip(
                self._scalars.values(), self.update_scalars(kept[0].dtype.type(step), *kept), strict=True
            ):
                variable.assign(value)
        for g, weight in given:
            number, slots = np.dtype(weight.dtype).type, self.slot_variables(weight)
            result = self.with_values(learning_rate=number(rate)).step(
                weight.value,
                g,
                *(variable.value for variable in slots),
                step=number(step),
                decay=self.decay_of(weight),
                norm=norm,
                of=weight,
                **{name: number(variable.value) for name, variable in self._scalars.items()},
            )
            for variable, value in zip((weight, *slots), result, strict=True):
                variable.assign(value)

    # -------------------------------------------------------------- configuration

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that make an optimizer like this one, without its state."""
        return {
            "name": self.name,
            "learning_rate": float(self._learning_rate)
            if self._schedule is None
            else schedules.serialize(self._schedule),
            "weight_decay": self.weight_decay,
            "clipnorm": self.clipnorm,
            "global_clipnorm": self.global_clipnorm,
            "clipvalue": self.clipvalue,
            "use_ema": self.use_ema,
            "ema_momentum": self.ema_momentum,
            "ema_overwrite_frequency": self.ema_overwrite_frequency,
            "loss_scale_factor": self.loss_scale_factor,
            "gradient_accumulation_steps": self.gradient_accumulation_steps,
            **{name: getattr(self, name) for name in self._own if hasattr(self, name)},
        }

    @classmethod
    def from_config(cls, config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None) -> Self:
        """Returns the optimizer that :meth:`get_config` described.

        Args:
            config: its arguments.
            custom_objects: the user's schedules by name.
        """
        arguments = dict(config)
        if isinstance(arguments.get("learning_rate"), Mapping):
            arguments["learning_rate"] = schedules.deserialize(arguments["learning_rate"], custom_objects)
        return cls(**arguments)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} name={self.name}>"


def is_number(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)


def check_number(owner: str, what: str, value: Any) -> None:
    if not is_number(value):
        raise ModelError(f"{owner}: {what}: expected a number, received {value!r} ({type(value).__name__}).")
