"""Optimizers: hyper-parameters, slots and one formula per class.

An optimizer says what happens to one number of a weight: :meth:`Optimizer.update` is a
formula over :mod:`nncompile.ops` that takes the weight, its gradient and its slots (the
numbers kept beside it) and returns the new ones. The compiler prints it as the end of
the kernel of the weight's gradient; :meth:`Optimizer.apply_gradients` computes it with
NumPy, which is what the compiled one is tested against.

The order of operations is Keras': what is in Python numbers alone, as ``1 - beta_1``,
is computed in double precision, and the rest in the element type of the weight. (In
Nadam and Lion Keras rounds the betas first, which differs by some 1e-5 of an update at
most.)
"""

from __future__ import annotations

import inspect
import sys
import warnings
from collections.abc import Iterable, Mapping, MutableMapping, Sequence
from numbers import Real
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from . import config, ops, registry
from .backend import auto_name
from .errors import ModelError, UnsupportedError
from .registry import register
from .variables import Variable

if TYPE_CHECKING:
    from typing_extensions import Self

_KERAS_ONLY = frozenset(
    (
        "adafactor",
        "ftrl",
        "lamb",
        "lossscaleoptimizer",
        "multioptimizer",
        "muon",
        "optimizermap",
        "schedulefreeadamw",
    )
)


def _is_on(value: Any) -> bool:
    """Whether an optional hyper-parameter does something; a symbol stands for one that does."""
    return value is not None and (isinstance(value, ops.Expression) or value > 0)


class Optimizer:
    """Base of optimizers; one of your own defines :attr:`slots` and :meth:`update`.

    In a constructor, hand what you do not know on to this class, as the ones here do::

        def __init__(self, learning_rate=0.01, momentum=0.9, *common, **keywords):
            super().__init__(learning_rate, *common, **keywords)
            self.momentum = momentum

    What the constructor takes and keeps under the same name is part of
    :meth:`get_config`; what of it is a number can change between two batches.

    Args:
        learning_rate: a float. An integer is refused, as in Keras, and so are
            schedules, which are not supported yet.
        weight_decay: d; every weight w, biases too, first becomes ``w - w * d * learning_rate``.
        clipnorm: None; not supported yet.
        clipvalue: limit of the absolute value of gradients, if above 0.
        global_clipnorm: None; not supported yet.
        use_ema: False; not supported yet.
        ema_momentum: not used without ``use_ema``.
        ema_overwrite_frequency: not used without ``use_ema``.
        loss_scale_factor: None; not supported yet.
        gradient_accumulation_steps: None; not supported yet.
        name: of the optimizer; made from the class's if None.
        **kwargs: ``lr`` and ``decay``, the spellings of Keras 1 and 2. As in Keras 3,
            ``decay`` has no effect but a warning.

    Attributes:
        slots: name to initial value of the numbers kept for each number of a weight.
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
        registry.refuse(
            owner,
            clipnorm=clipnorm or None,
            global_clipnorm=global_clipnorm or None,
            use_ema=use_ema,
            loss_scale_factor=loss_scale_factor,
            gradient_accumulation_steps=gradient_accumulation_steps or None,
        )
        for what, value in (("weight_decay", weight_decay), ("clipvalue", clipvalue)):
            if value is not None:
                _check_number(owner, what, value)
        self.name = name or auto_name(owner)
        self.weight_decay: Any = weight_decay
        self.clipnorm = clipnorm
        self.clipvalue: Any = clipvalue
        self.global_clipnorm = global_clipnorm
        self.use_ema = use_ema
        self.ema_momentum = ema_momentum
        self.ema_overwrite_frequency = ema_overwrite_frequency
        self.loss_scale_factor = loss_scale_factor
        self.gradient_accumulation_steps = gradient_accumulation_steps
        self._refuse_schedule(learning_rate)
        if not isinstance(learning_rate, float):
            raise ModelError(
                f"{owner}: learning_rate: expected a float, received {learning_rate!r} "
                f"({type(learning_rate).__name__}). Write for example 0.01, or 1.0 instead of 1."
            )
        self._iterations = self._variable(np.zeros((), np.int64), "iteration")
        self._learning_rate: Any = self._variable(np.asarray(learning_rate, config.floatx()), "learning_rate")
        self._weights: list[Variable] = []
        self._slots: dict[str, list[Variable]] = {}
        self._scalars: dict[str, Variable] = {}
        self._made: list[Variable] = []
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

    def _refuse_schedule(self, learning_rate: Any) -> None:
        if callable(learning_rate) or isinstance(learning_rate, Mapping):
            name = learning_rate.get("class_name") if isinstance(learning_rate, Mapping) else None
            name = name or getattr(learning_rate, "__name__", type(learning_rate).__name__)
            raise UnsupportedError(
                f"{type(self).__name__}: learning_rate: the schedule {name} is not supported yet. "
                "Give a float, and a LearningRateScheduler callback to fit()."
            )

    # -------------------------------------------------------------- formulas

    @property
    def slots(self) -> dict[str, float]:
        return {}

    @property
    def scalars(self) -> dict[str, float]:
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
            w: the weight.
            g: the gradient of the loss by the weight.
            *slots: what is kept beside the weight.
            step: number of this update, from 1.
            **scalars: what is kept once, as :meth:`update_scalars` returned it.

        Returns:
            The new ``(w, *slots)``.
        """
        raise NotImplementedError(
            f"{type(self).__name__}: define update(self, w, g, *slots, step) returning (w, *slots), over nncompile.ops."
        )

    def update_scalars(self, step: Any, *scalars: Any) -> tuple[Any, ...]:
        """Returns the new :attr:`scalars`, before the weights of a step are updated."""
        return scalars

    def step(self, w: Any, g: Any, *slots: Any, step: Any, **scalars: Any) -> tuple[Any, ...]:
        """Clips the gradient, decays the weight, and updates it: the whole formula of a step.

        The hyper-parameters must be numbers or symbols: see :meth:`with_values`.

        Returns:
            The new ``(w, *slots)``.
        """
        if _is_on(self.clipvalue):
            g = ops.clip(g, -self.clipvalue, self.clipvalue)
        if self.weight_decay is not None:
            w = w - w * self.weight_decay * self.learning_rate
        result = self.update(w, g, *slots, step=step, **scalars)
        result = result if isinstance(result, tuple) else (result,)
        if len(result) != 1 + len(slots):
            raise ModelError(
                f"{type(self).__name__}.update: expected (w, {', '.join(self.slots)}), received {len(result)} values."
            )
        return result

    @property
    def hyperparameters(self) -> tuple[str, ...]:
        """Names of the numbers that :meth:`step` reads, apart from ``learning_rate``.

        Raises:
            ModelError: one of them is not a number.
        """
        names = []
        for name in self._own:
            value = getattr(self, name, None)
            if isinstance(value, ops.Expression) or _is_number(value):
                if self.reads(name):
                    names.append(name)
            elif _is_number(self._parameters[name]):
                _check_number(type(self).__name__, name, value)
        if self.weight_decay is not None:
            names.append("weight_decay")
        if _is_on(self.clipvalue):
            names.append("clipvalue")
        return tuple(names)

    def reads(self, name: str) -> bool:
        """Whether :meth:`update` reads the hyper-parameter called ``name``, as it is set now."""
        return True

    def with_values(self, **values: Any) -> Self:
        """Returns a copy whose hyper-parameters are the given numbers or symbols.

        Only its formulas are of use: it shares its variables with this optimizer.
        """
        other = object.__new__(type(self))
        other.__dict__.update(self.__dict__)
        for name, value in values.items():
            setattr(other, "_learning_rate" if name == "learning_rate" else name, value)
        return other

    def __reduce__(self) -> tuple[Any, ...]:
        """Lets ``pickle`` and ``copy`` make an equal optimizer, which begins anew."""
        from .saving import pickling

        return pickling.reduce_optimizer(self)

    # -------------------------------------------------------------- variables

    def _variable(self, value: Any, name: str, dtype: str | None = None) -> Variable:
        return Variable(value, name=name, path=f"{self.name}/{name}", trainable=False, dtype=dtype)

    @property
    def iterations(self) -> Variable:
        """Number of updates so far."""
        return self._iterations

    @property
    def learning_rate(self) -> Any:
        """The learning rate: a variable that can be set to a number."""
        return self._learning_rate

    @learning_rate.setter
    def learning_rate(self, value: Any) -> None:
        if isinstance(value, ops.Expression):
            self._learning_rate = value
            return
        self._refuse_schedule(value)
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

        They are the iteration, the learning rate, the slots (see :attr:`slot_groups`)
        and the scalars.
        """
        return [self._iterations, self._learning_rate, *self._made]

    def build(self, variables: Iterable[Variable]) -> None:
        """Makes the slots of the weights, and the scalars; once."""
        if self.built:
            return
        self._weights = list(variables)
        slots = self.slots
        self._slots = {name: [] for name in slots}
        for group in self.slot_groups:
            for weight in self._weights:
                for slot in group:
                    name = f"{weight.path.replace('/', '_')}_{slot}"
                    variable = self._variable(np.full(weight.shape, slots[slot]), name, weight.dtype)
                    self._slots[slot].append(variable)
                    self._made.append(variable)
        dtype = self._weights[0].dtype if self._weights else config.floatx()
        self._scalars = {name: self._variable(value, name, dtype) for name, value in self.scalars.items()}
        self._made += self._scalars.values()
        self.built = True

    def slot_variables(self, weight: Variable) -> tuple[Variable, ...]:
        """Returns the slots of a weight, in the order of :attr:`slots`.

        Raises:
            ModelError: the optimizer was not built for this weight.
        """
        for index, known in enumerate(self._weights):
            if known is weight:
                return tuple(variables[index] for variables in self._slots.values())
        raise ModelError(
            f"{self.name} ({type(self).__name__}): {weight.path} is not one of the {len(self._weights)} variables that "
            "the optimizer was built with. Make a new optimizer for other weights."
        )

    @property
    def scalar_variables(self) -> dict[str, Variable]:
        """The variables of :attr:`scalars` by name, once built."""
        return dict(self._scalars)

    def set_weights(self, weights: Sequence[Any]) -> None:
        """Sets all :attr:`variables`.

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
        """Writes the variables into ``store`` under ``"0"``, ``"1"``, …"""
        for index, variable in enumerate(self.variables):
            store[str(index)] = variable.numpy()

    def load_own_variables(self, store: Mapping[str, Any]) -> None:
        """Reads what :meth:`save_own_variables` wrote; of another number nothing, with a warning."""
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
        """Refused: weight decay is of all weights, yet.

        Raises:
            UnsupportedError: always.
        """
        raise UnsupportedError(f"{type(self).__name__}: exclude_from_weight_decay() is not supported yet.")

    # -------------------------------------------------------------- NumPy

    def apply_gradients(self, grads_and_vars: Iterable[tuple[Any, Variable]]) -> Variable:
        """Updates weights with NumPy, given pairs of gradient and variable.

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
            self.build(weights)
        if len(grads) != len(weights):
            raise ModelError(f"{self.name}: apply: expected {len(weights)} gradients, received {len(grads)}.")
        slots = [self.slot_variables(weight) for weight in weights]
        missing = [weight.path for g, weight in zip(grads, weights, strict=True) if g is None]
        if len(missing) == len(weights):
            raise ModelError(f"{self.name}: apply: expected a gradient, received None for every variable.")
        if missing:
            warnings.warn(f"{self.name}: there are no gradients for {', '.join(missing)}.", stacklevel=2)
        step = int(self._iterations) + 1
        rate = float(self._learning_rate)
        with np.errstate(all="ignore"):
            if self._scalars:
                kept = [variable.value[()] for variable in self._scalars.values()]
                for variable, value in zip(
                    self._scalars.values(), self.update_scalars(kept[0].dtype.type(step), *kept), strict=True
                ):
                    variable.assign(value)
            for g, weight, variables in zip(grads, weights, slots, strict=True):
                if g is not None:
                    number = np.dtype(weight.dtype).type
                    result = self.with_values(learning_rate=number(rate)).step(
                        weight.value,
                        np.asarray(g, weight.dtype),
                        *(variable.value for variable in variables),
                        step=number(step),
                        **{name: number(variable.value) for name, variable in self._scalars.items()},
                    )
                    for variable, value in zip((weight, *variables), result, strict=True):
                        variable.assign(value)
                    constraint = getattr(weight, "constraint", None)
                    if constraint is not None:
                        weight.assign(constraint(weight.value))
        self._iterations.assign(step)

    # -------------------------------------------------------------- configuration

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that make an optimizer like this one, without its state."""
        return {
            "name": self.name,
            "learning_rate": float(self._learning_rate),
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
        """Makes the optimizer that :meth:`get_config` described."""
        return cls(**config)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} name={self.name}>"


def _is_number(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)


def _check_number(owner: str, what: str, value: Any) -> None:
    if not _is_number(value):
        raise ModelError(f"{owner}: {what}: expected a number, received {value!r} ({type(value).__name__}).")


@register("optimizers")
class SGD(Optimizer):
    """Gradient descent, with momentum if asked for.

    ``w = w - learning_rate * g``; with momentum ``m = momentum * m - learning_rate * g``
    and then ``w = w + m``, or ``w = w + momentum * m - learning_rate * g`` (Nesterov's).

    Args:
        learning_rate: how far to go against the gradient.
        momentum: how much of the last change is kept, a float in [0, 1].
        nesterov: whether the momentum looks ahead.
        *common: as of :class:`Optimizer`, from ``weight_decay`` on.
        **keywords: the same by name.

    Raises:
        ModelError: ``momentum`` is not such a float.

    Source: ``keras.optimizers.SGD``; Sutskever et al., 2013.
    """

    def __init__(
        self,
        learning_rate: float = 0.01,
        momentum: float = 0.0,
        nesterov: bool = False,
        *common: Any,
        **keywords: Any,
    ) -> None:
        super().__init__(learning_rate, *common, **keywords)
        if not isinstance(momentum, float) or not 0 <= momentum <= 1:
            raise ModelError(f"SGD: momentum: expected a float between 0 and 1, received {momentum!r}.")
        self.momentum: Any = momentum
        self.nesterov = nesterov

    @property
    def slots(self) -> dict[str, float]:
        return {"momentum": 0.0} if _is_on(self.momentum) else {}

    def reads(self, name: str) -> bool:
        return name != "momentum" or _is_on(self.momentum)

    def update(self, w: Any, g: Any, *slots: Any, step: Any) -> tuple[Any, ...]:
        change = g * self.learning_rate
        if not slots:
            return (w - change,)
        momentum = slots[0] * self.momentum - change
        if self.nesterov:
            return w + (momentum * self.momentum - change), momentum
        return w + momentum, momentum


@register("optimizers", "rmsprop")
class RMSprop(Optimizer):
    """Gradients divided by the root of the running mean of their squares.

    ``velocity = rho * velocity + (1 - rho) * g^2``, then
    ``w = w - learning_rate * g / sqrt(velocity + epsilon)``. Centered, the square of the
    running mean of g is subtracted from velocity first. With momentum, that change is
    added to ``momentum`` times the last one.

    Args:
        learning_rate: size of a step.
        rho: how much of the running means is kept.
        momentum: how much of the last change is kept, if above 0.
        epsilon: added under the root.
        centered: whether to divide by the variance instead of the mean square.
        *common: as of :class:`Optimizer`, from ``weight_decay`` on.
        **keywords: the same by name.

    Source: ``keras.optimizers.RMSprop``; Tieleman and Hinton, 2012; Graves, 2013.
    """

    def __init__(
        self,
        learning_rate: float = 0.001,
        rho: float = 0.9,
        momentum: float = 0.0,
        epsilon: float = 1e-7,
        centered: bool = False,
        *common: Any,
        **keywords: Any,
    ) -> None:
        super().__init__(learning_rate, *common, **keywords)
        self.rho: Any = rho
        self.momentum: Any = momentum
        self.epsilon: Any = epsilon
        self.centered = centered

    @property
    def slots(self) -> dict[str, float]:
        names = ["velocity"]
        if _is_on(self.momentum):
            names.append("momentum")
        if self.centered:
            names.append("average_gradient")
        return dict.fromkeys(names, 0.0)

    @property
    def slot_groups(self) -> list[list[str]]:
        return [[name] for name in self.slots]

    def reads(self, name: str) -> bool:
        return name != "momentum" or _is_on(self.momentum)

    def update(self, w: Any, g: Any, velocity: Any, *slots: Any, step: Any) -> tuple[Any, ...]:
        kept = list(slots)
        velocity = self.rho * velocity + (1 - self.rho) * ops.square(g)
        variance = velocity
        if self.centered:
            average_gradient = self.rho * kept[-1] + (1 - self.rho) * g
            variance = velocity - ops.square(average_gradient)
            kept[-1] = average_gradient
        change = self.learning_rate * g / ops.sqrt(variance + self.epsilon)
        if _is_on(self.momentum):
            change = self.momentum * kept[0] + change
            kept[0] = change
        return (w - change, velocity, *kept)


@register("optimizers")
class Adagrad(Optimizer):
    """Gradients divided by the root of the sum of all their squares.

    ``accumulator = accumulator + g^2``, then
    ``w = w - learning_rate * g / sqrt(accumulator + epsilon)``.

    Args:
        learning_rate: size of a step.
        initial_accumulator_value: where the sums start.
        epsilon: added under the root.
        *common: as of :class:`Optimizer`, from ``weight_decay`` on.
        **keywords: the same by name.

    Source: ``keras.optimizers.Adagrad``; Duchi et al., 2011.
    """

    def __init__(
        self,
        learning_rate: float = 0.001,
        initial_accumulator_value: float = 0.1,
        epsilon: float = 1e-7,
        *common: Any,
        **keywords: Any,
    ) -> None:
        super().__init__(learning_rate, *common, **keywords)
        self.initial_accumulator_value: Any = initial_accumulator_value
        self.epsilon: Any = epsilon

    @property
    def slots(self) -> dict[str, float]:
        return {"accumulator": self.initial_accumulator_value}

    def reads(self, name: str) -> bool:
        return name != "initial_accumulator_value"

    def update(self, w: Any, g: Any, accumulator: Any, *, step: Any) -> tuple[Any, ...]:
        accumulator = accumulator + ops.square(g)
        return w - self.learning_rate * g / ops.sqrt(accumulator + self.epsilon), accumulator


@register("optimizers")
class Adadelta(Optimizer):
    """Gradients scaled to the size of recent changes.

    ``accumulated_grad`` is the running mean of g^2, ``accumulated_delta_var`` that of d^2, where
    ``d = -g * sqrt(accumulated_delta_var + epsilon) / sqrt(accumulated_grad + epsilon)``
    uses the new one of the former and the old one of the latter; ``w = w + learning_rate * d``.

    Args:
        learning_rate: factor of the changes; the paper has 1.0.
        rho: how much of the running means is kept.
        epsilon: added under the roots.
        *common: as of :class:`Optimizer`, from ``weight_decay`` on.
        **keywords: the same by name.

    Source: ``keras.optimizers.Adadelta``; Zeiler, 2012, https://arxiv.org/abs/1212.5701.
    """

    def __init__(
        self,
        learning_rate: float = 0.001,
        rho: float = 0.95,
        epsilon: float = 1e-7,
        *common: Any,
        **keywords: Any,
    ) -> None:
        super().__init__(learning_rate, *common, **keywords)
        self.rho: Any = rho
        self.epsilon: Any = epsilon

    @property
    def slots(self) -> dict[str, float]:
        return {"accumulated_grad": 0.0, "accumulated_delta_var": 0.0}

    def update(
        self, w: Any, g: Any, accumulated_grad: Any, accumulated_delta_var: Any, *, step: Any
    ) -> tuple[Any, ...]:
        rho, epsilon = self.rho, self.epsilon
        accumulated_grad = rho * accumulated_grad + (1 - rho) * ops.square(g)
        delta = -(ops.sqrt(accumulated_delta_var + epsilon) * g / ops.sqrt(accumulated_grad + epsilon))
        accumulated_delta_var = rho * accumulated_delta_var + (1 - rho) * ops.square(delta)
        return w + self.learning_rate * delta, accumulated_grad, accumulated_delta_var


@register("optimizers")
class Adam(Optimizer):
    """Running mean of gradients divided by the root of that of their squares.

    ``m = m + (g - m) * (1 - beta_1)`` and ``v = v + (g^2 - v) * (1 - beta_2)``, then
    ``w = w - m * rate / (sqrt(v) + epsilon)`` with the correction for having started at 0 in
    ``rate = learning_rate * sqrt(1 - beta_2^step) / (1 - beta_1^step)``. AMSGrad takes
    the largest v so far.

    Args:
        learning_rate: size of a step.
        beta_1: how much of the mean of gradients is kept.
        beta_2: how much of the mean of squares is kept.
        epsilon: added to the root.
        amsgrad: whether to use the largest mean of squares.
        *common: as of :class:`Optimizer`, from ``weight_decay`` on.
        **keywords: the same by name.

    Source: ``keras.optimizers.Adam``; Kingma and Ba, 2014, https://arxiv.org/abs/1412.6980
    (end of section 2); Reddi et al., 2018.
    """

    def __init__(
        self,
        learning_rate: float = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        amsgrad: bool = False,
        *common: Any,
        **keywords: Any,
    ) -> None:
        super().__init__(learning_rate, *common, **keywords)
        self.beta_1: Any = beta_1
        self.beta_2: Any = beta_2
        self.epsilon: Any = epsilon
        self.amsgrad = amsgrad

    @property
    def slots(self) -> dict[str, float]:
        names = ["momentum", "velocity"] + (["velocity_hat"] if self.amsgrad else [])
        return dict.fromkeys(names, 0.0)

    @property
    def slot_groups(self) -> list[list[str]]:
        return [["momentum", "velocity"], *([["velocity_hat"]] if self.amsgrad else [])]

    def update(self, w: Any, g: Any, m: Any, v: Any, *v_hat: Any, step: Any) -> tuple[Any, ...]:
        rate = self.learning_rate * ops.sqrt(1 - self.beta_2**step) / (1 - self.beta_1**step)
        m = m + (g - m) * (1 - self.beta_1)
        v = v + (ops.square(g) - v) * (1 - self.beta_2)
        if not v_hat:
            return w - m * rate / (ops.sqrt(v) + self.epsilon), m, v
        largest = ops.maximum(v_hat[0], v)
        return w - m * rate / (ops.sqrt(largest) + self.epsilon), m, v, largest


@register("optimizers", "adamw")
class AdamW(Adam):
    """:class:`Adam` with weight decay apart from the gradient.

    Args:
        learning_rate: size of a step.
        weight_decay: as of :class:`Optimizer`, but not None.
        beta_1: how much of the mean of gradients is kept.
        beta_2: how much of the mean of squares is kept.
        epsilon: added to the root.
        amsgrad: whether to use the largest mean of squares.
        *common: as of :class:`Optimizer`, from ``clipnorm`` on.
        **keywords: the same by name.

    Raises:
        ModelError: ``weight_decay`` is None.

    Source: ``keras.optimizers.AdamW``; Loshchilov and Hutter, 2019, https://arxiv.org/abs/1711.05101.
    """

    def __init__(
        self,
        learning_rate: float = 0.001,
        weight_decay: float = 0.004,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        amsgrad: bool = False,
        *common: Any,
        **keywords: Any,
    ) -> None:
        if weight_decay is None:
            raise ModelError("AdamW: weight_decay: expected a float, received None. Use Adam for none.")
        super().__init__(learning_rate, beta_1, beta_2, epsilon, amsgrad, weight_decay, *common, **keywords)


@register("optimizers")
class Adamax(Optimizer):
    """:class:`Adam` with the largest gradient, fading, in place of the root.

    ``m = m + (g - m) * (1 - beta_1)`` and ``u = max(beta_2 * u, |g|)``, then
    ``w = w - learning_rate * m / ((1 - beta_1^step) * (u + epsilon))``.

    Args:
        learning_rate: size of a step.
        beta_1: how much of the mean of gradients is kept.
        beta_2: how fast the largest gradient fades.
        epsilon: added to it.
        *common: as of :class:`Optimizer`, from ``weight_decay`` on.
        **keywords: the same by name.

    Source: ``keras.optimizers.Adamax``; Kingma and Ba, 2014, section 7.1.
    """

    def __init__(
        self,
        learning_rate: float = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        *common: Any,
        **keywords: Any,
    ) -> None:
        super().__init__(learning_rate, *common, **keywords)
        self.beta_1: Any = beta_1
        self.beta_2: Any = beta_2
        self.epsilon: Any = epsilon

    @property
    def slots(self) -> dict[str, float]:
        return {"momentum": 0.0, "norm": 0.0}

    def update(self, w: Any, g: Any, m: Any, u: Any, *, step: Any) -> tuple[Any, ...]:
        m = m + (g - m) * (1 - self.beta_1)
        u = ops.maximum(self.beta_2 * u, ops.abs(g))
        return w - self.learning_rate * m / ((1 - self.beta_1**step) * (u + self.epsilon)), m, u


@register("optimizers")
class Nadam(Optimizer):
    """:class:`Adam` with Nesterov's momentum.

    With ``u(t) = beta_1 * (1 - 0.96^t / 2)`` and their product P(t) up to t = step,
    m and v as in Adam: ``w = w - learning_rate * m' / (sqrt(v / (1 - beta_2^t)) + epsilon)`` where
    ``m' = u(t + 1) * m / (1 - P(t) * u(t + 1)) + (1 - u(t)) * g / (1 - P(t))``.

    Args:
        learning_rate: size of a step.
        beta_1: how much of the mean of gradients is kept.
        beta_2: how much of the mean of squares is kept.
        epsilon: added to the root.
        *common: as of :class:`Optimizer`, from ``weight_decay`` on.
        **keywords: the same by name.

    Source: ``keras.optimizers.Nadam``; Dozat, 2015.
    """

    def __init__(
        self,
        learning_rate: float = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        *common: Any,
        **keywords: Any,
    ) -> None:
        super().__init__(learning_rate, *common, **keywords)
        self.beta_1: Any = beta_1
        self.beta_2: Any = beta_2
        self.epsilon: Any = epsilon

    @property
    def slots(self) -> dict[str, float]:
        return {"momentum": 0.0, "velocity": 0.0}

    @property
    def scalars(self) -> dict[str, float]:
        return {"u_product": 1.0}

    def update_scalars(self, step: Any, *scalars: Any) -> tuple[Any, ...]:
        return (scalars[0] * self.beta_1 * (1.0 - 0.5 * 0.96**step),)

    def update(self, w: Any, g: Any, m: Any, v: Any, *, step: Any, u_product: Any) -> tuple[Any, ...]:
        u = self.beta_1 * (1.0 - 0.5 * 0.96**step)
        u_next = self.beta_1 * (1.0 - 0.5 * 0.96 ** (step + 1.0))
        m = m + (g - m) * (1 - self.beta_1)
        v = v + (ops.square(g) - v) * (1 - self.beta_2)
        m_hat = u_next * m / (1.0 - u_product * u_next) + (1.0 - u) * g / (1.0 - u_product)
        v_hat = v / (1.0 - self.beta_2**step)
        return w - m_hat * self.learning_rate / (ops.sqrt(v_hat) + self.epsilon), m, v


@register("optimizers")
class Lion(Optimizer):
    """Steps of one size, in the direction of a running mean of gradients.

    ``w = w - learning_rate * sign(beta_1 * m + (1 - beta_1) * g)``, then
    ``m = beta_2 * m + (1 - beta_2) * g``.

    Args:
        learning_rate: size of a step.
        beta_1: share of the mean in the direction, above 0 and at most 1.
        beta_2: how much of the mean of gradients is kept.
        *common: as of :class:`Optimizer`, from ``weight_decay`` on.
        **keywords: the same by name.

    Raises:
        ModelError: ``beta_1`` is not in that range.

    Source: ``keras.optimizers.Lion``; Chen et al., 2023, https://arxiv.org/abs/2302.06675.
    """

    def __init__(
        self,
        learning_rate: float = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.99,
        *common: Any,
        **keywords: Any,
    ) -> None:
        super().__init__(learning_rate, *common, **keywords)
        _check_number("Lion", "beta_1", beta_1)
        if not 0 < beta_1 <= 1:
            raise ModelError(f"Lion: beta_1: expected a number above 0 and at most 1, received {beta_1!r}.")
        self.beta_1: Any = beta_1
        self.beta_2: Any = beta_2

    @property
    def slots(self) -> dict[str, float]:
        return {"momentum": 0.0}

    def update(self, w: Any, g: Any, m: Any, *, step: Any) -> tuple[Any, ...]:
        direction = ops.sign(m * self.beta_1 + g * (1.0 - self.beta_1))
        return w - self.learning_rate * direction, m * self.beta_2 + g * (1.0 - self.beta_2)


# ------------------------------------------------------------------ names


def get(identifier: Any) -> Any:
    """Returns the optimizer that ``identifier`` names or is.

    Args:
        identifier: None, a name in capitals or not, an optimizer (returned as it is), or
            what :func:`serialize` returned.

    Raises:
        ModelError: it is none of these; the nearest names are listed.
        UnsupportedError: an optimizer of Keras that is not here.
    """
    if identifier is None or isinstance(identifier, Optimizer):
        return identifier
    if isinstance(identifier, str):
        try:
            found = registry.find("optimizers", _name(identifier))
        except ModelError:
            if identifier.lower() in _KERAS_ONLY:
                raise UnsupportedError(f"optimizers: {identifier!r} is not supported yet.") from None
            raise
        if inspect.isclass(found):
            found = found()
    elif isinstance(identifier, Mapping):
        found = deserialize(identifier)
    else:
        found = identifier
    if not isinstance(found, Optimizer):
        hint = f" Write {identifier.__name__}()." if inspect.isclass(identifier) else ""
        raise ModelError(
            f"optimizers: expected a name or an Optimizer, received {identifier!r} ({type(identifier).__name__}).{hint}"
        )
    return found


def _name(name: str) -> str:
    """Returns the registered spelling of a built-in optimizer's name, any other name as it is."""
    for known in registry.registered("optimizers"):
        if name.lower() == known.lower():
            return known
    return name


def serialize(optimizer: Any) -> Any:
    """Returns Keras' description of an optimizer, without its state."""
    return registry.serialize(optimizer, "optimizers")


def deserialize(config: Any, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """Returns the optimizer that :func:`serialize` described.

    Args:
        config: a description; names of classes in capitals or not.
        custom_objects: the user's classes by name.

    Raises:
        FileFormatError: the form is not one of Keras'.
        UnsupportedError: a description of something that is not known.
    """
    if isinstance(config, Mapping) and isinstance(config.get("class_name"), str):
        config = {**config, "class_name": _name(config["class_name"])}
    return registry.deserialize(config, "optimizers", custom_objects)
