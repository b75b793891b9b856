"""Stage 2, the weights: what becomes of gradients. After this nothing is decided.

The planner says where the gradients of the weights come from. Here the optimizer is
traced for each weight, with the penalty on it, accumulation, clipping, decay, the running
mean and the constraint, as one formula of the weight, its gradient and what is kept
beside it. If that works number by number, and the gradient comes from one place, the
formula is a :class:`~.weightwise.Rule` that the kernel of the gradient ends in: the gradient
never goes to memory. Else the gradient is kept, in the layout of the weight: the first
contribution writes it, later ones add to it, and an :class:`~.weightwise.Apply` at the end
does the rest in sweeps over the weight (:mod:`.sweeps`).

Weights with the same formula, constants included, share a rule.
"""

from __future__ import annotations

import linecache
import os
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from .. import constraints, ops, regularizers
from ..errors import ModelError, NncompileError, UnsupportedError
from ..ops import ELEMENT, NUMBER, UNIFORM, Expression
from .expression import Names, differentiate, operands, resolved, topological, trace
from .graph import Weight
from .memory import Matrix
from .program import Scatter, Step, Update
from .sweeps import Cut, Figures, Lowering
from .weightwise import (
    Apply,
    Array,
    Between,
    Number,
    Optimization,
    Rule,
    Use,
)

_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep
_WHOLE = ("over", "product", "transposed", "view", "identity", "ones")
"""Nodes that no formula number by number has."""
_SUMS = (regularizers.L1, regularizers.L2, regularizers.L1L2)
"""Regularizers to which only the numbers of a weight count, not its axes."""
KEPT = "gradient"
"""What a gradient that is kept in memory is called, behind the name of its weight."""


def traced(what: str, formula: Callable[..., Any], *args: Any, **keywords: Any) -> Any:
    """Traces a formula of a user's; what cannot be traced is refused with the line that is the cause.

    Args:
        what: whose formula it is, for the message.
        formula: the function.
        *args: its arguments.
        **keywords: likewise.

    Raises:
        ModelError: or UnsupportedError, as the error was; it cannot be traced.
    """
    try:
        return trace(formula, *args, **keywords)
    except Exception as error:
        frames = traceback.extract_tb(error.__traceback__)
        theirs = [frame for frame in frames if not frame.filename.startswith(_PACKAGE)]
        if not theirs:
            raise
        frame = theirs[-1]
        line = linecache.getline(frame.filename, frame.lineno or 0).strip()
        kind: Any = type(error) if isinstance(error, NncompileError) else ModelError
        where = f"{os.path.basename(frame.filename)}, line {frame.lineno}: {line}"
        raise kind(f"{what}: cannot become C because of {where}\n{error}") from error


@dataclass(frozen=True)
class _Plan:
    """What is done to one weight.

    Attributes:
        leaves: its symbols by name: w, g and what is kept.
        changes: the new values by name, for a step that updates weights and, with accumulation, one that does not.
        constraint: what the constraint makes of the new weight, from a symbol of its own, by number; None if there
            is none or it is in ``changes`` already.
        wholly: whether the formula needs the whole gradient.
    """

    weight: Weight
    leaves: dict[str, Expression]
    changes: tuple[dict[str, Expression], ...]
    constraint: tuple[Expression, Expression] | None
    wholly: bool


class Updates:
    """Plans what is done to the weights of one network.

    Args:
        optimizer: the optimizer.
        weights: of the network.
        names: those that the C has already.
        cut: how arrays are cut.
    """

    def __init__(self, optimizer: Any, weights: Sequence[Weight], names: Names, cut: Cut) -> None:
        self.optimizer, self.names, self.cut = optimizer, names, cut
        self.weights = {w.name: w for w in weights if w.trainable}
        self.numbers: dict[str, tuple[str, str]] = {}  # by name in C
        self.leaves: dict[Expression, str] = {}  # single numbers
        self.shared: dict[Any, Any] = {}  # regularizers and constraints of one configuration
        self.figures = Figures()
        self.summed: dict[str, dict[Expression, tuple[int, int]]] = {}
        """By weight the sums over it that its update adds up: where their parts are among the figures, how many."""
        self.rules: dict[Any, Rule] = {}
        self.accumulated = optimizer.gradient_accumulation_steps or 1
        self.title = type(optimizer).__name__
        hyper = {name: self.symbol(name, NUMBER) for name in optimizer.hyperparameters}
        self.numbers.update((name, ("optimizer", name)) for name in hyper)
        self.learning_rate = self.symbol("learning_rate", UNIFORM)
        self.formulas = optimizer.with_values(**hyper, learning_rate=self.learning_rate)
        self.step = self.symbol("step", UNIFORM)
        self.norm = ops.symbol("norm", UNIFORM)
        self.schedule = self._schedule()
        self.scalars, self.new_scalars = self._scalars()

    def symbol(self, name: str, level: int) -> Expression:
        made = ops.symbol(name, level)
        self.leaves[made] = name
        return made

    def _schedule(self) -> Expression | None:
        schedule = self.optimizer.schedule
        if schedule is None:
            return None
        numbers = {name: self.symbol(f"schedule_{name}", NUMBER) for name in schedule.numbers}
        self.numbers.update((f"schedule_{name}", ("schedule", name)) for name in numbers)
        done = self.symbol("iterations", UNIFORM)
        rate = traced(f"learning_rate: {type(schedule).__name__}", schedule.with_values(**numbers), done)
        rate = rate if isinstance(rate, Expression) else ops.constant(float(rate))
        if rate.level > UNIFORM:
            raise ModelError(f"learning_rate: {type(schedule).__name__}: expected one number per step.")
        return rate

    def _scalars(self) -> tuple[dict[str, Expression], dict[str, Expression]]:
        scalars = {name: self.symbol(name, UNIFORM) for name in self.optimizer.scalars}
        if not scalars:
            return {}, {}
        made = traced(f"{self.title}.update_scalars", self.formulas.update_scalars, self.step, *scalars.values())
        made = made if isinstance(made, tuple) else (made,)
        return scalars, dict(zip(scalars, made, strict=True))

    # ---------------------------------------------------------------- the formula of a weight

    def plan(self, weight: Weight) -> _Plan:
        """Traces all that is done to a weight."""
        shape = weight.shape or (1,)
        variable = weight.variable
        shapes = {"w": shape, "g": shape, **dict(self.shapes(weight))}
        leaves = {name: ops.symbol(name, ELEMENT, of) for name, of in shapes.items()}
        w = leaves["w"]
        g: Any = leaves["g"]
        if self.optimizer.loss_scale_factor is not None:
            g = g / self.formulas.loss_scale_factor
        if variable.regularizer is not None:
            if weight.shape != variable.shape and not isinstance(variable.regularizer, _SUMS):
                raise self._along_axes(weight, "regularizer")
            part = self.penalty_gradient(weight, w)
            g = g if part is None else g + part
        held = [False, True] if self.accumulated > 1 else [False]
        changes = [self._change(weight, leaves, g, hold) for hold in held]
        constraint = None
        if variable.constraint is not None:
            new = ops.symbol("w", ELEMENT, shape)
            made = traced(f"{variable.path}: constraint", self._constrained, variable, new)
            if made is not new:
                constraint = (new, made)
            if weight.shape != variable.shape and self._is_whole([resolved(made)]):
                raise self._along_axes(weight, "constraint")
        before = [x for change in changes for x in change.values()]
        wholly = self._is_whole(before)
        if constraint is not None and (wholly or not self._is_whole([constraint[1]])):
            for change in changes:
                change["w"] = traced(f"{variable.path}: constraint", self._constrained, variable, change["w"])
            constraint = None
        return _Plan(weight, leaves, tuple(changes), constraint, wholly)

    @staticmethod
    def _along_axes(weight: Weight, what: str) -> UnsupportedError:
        """Says of a weight that C has on one axis that there are no others to reduce along."""
        return UnsupportedError(
            f"{weight.variable.path}: a {what} that looks at its axes is not supported for a weight of shape "
            f"{weight.variable.shape} that is multiplied number by number."
        )

    def _is_whole(self, values: Sequence[Expression]) -> bool:
        return any(x.op in _WHOLE or x is self.norm for x in topological(values))

    def kept(self, weight: Weight) -> tuple[str, ...]:
        """Names of what is kept beside a weight."""
        return tuple(self.optimizer.kept(weight.variable))

    def shapes(self, weight: Weight) -> tuple[tuple[str, tuple[int, ...]], ...]:
        """(name, shape) of what is kept beside a weight."""
        kept = self.optimizer.kept(weight.variable).items()
        own = weight.variable.shape
        shapes = tuple((name, weight.shape if v.shape == own else v.shape) for name, v in kept)
        if weight.shape != own and any(shape != weight.shape for _, shape in shapes):
            raise UnsupportedError(
                f"{weight.variable.path}: {self.title} keeps sums along the axes of a weight, which is not supported "
                f"for one of shape {own} that is multiplied number by number."
            )
        return tuple((name, shape or (1,)) for name, shape in shapes)

    def _change(self, weight: Weight, leaves: Mapping[str, Expression], g: Any, hold: bool) -> dict[str, Expression]:
        """The new values of a weight and of what is kept beside it, before the constraint."""
        optimizer, variable = self.optimizer, weight.variable
        new = {name: x for name, x in leaves.items() if name != "g"}
        if self.accumulated > 1:
            total = g + leaves["gradient_accumulator"]
            new["gradient_accumulator"] = total if hold else ops.constant(0.0)
            g = total / float(self.accumulated)
        if not hold:
            slots = tuple(optimizer.slots_of(variable))
            results = traced(
                f"{self.title}.update",
                self.formulas.step,
                leaves["w"],
                g,
                *(leaves[name] for name in slots),
                step=self.step,
                decay=optimizer.decay_of(variable),
                norm=self.norm,
                of=variable,
                **self.new_scalars,
            )
            results = results if isinstance(results, tuple) else (results,)
            if len(results) != 1 + len(slots) or not all(isinstance(r, Expression) for r in results):
                raise ModelError(
                    f"{self.title}.update: expected the new weight and {len(slots)} slots "
                    f"({', '.join(slots) or 'none'}), received {len(results)} values: "
                    f"{', '.join(type(r).__name__ for r in results)}."
                )
            for name, value in zip(("w", *slots), results, strict=True):
                if value.level > UNIFORM and value.shape != leaves[name].shape:
                    raise ModelError(
                        f"{self.title}.update: expected {name} of shape {leaves[name].shape}, received {value.shape}."
                    )
                new[name] = value
        if optimizer.use_ema:
            started = self._named("started")
            new["average"] = trace(self.formulas.average, new["w"], leaves["average"], started)
            if optimizer.ema_overwrite_frequency:
                self.numbers.setdefault("ema_overwrite_frequency", ("optimizer", "ema_overwrite_frequency"))
                new["w"] = ops.where(ops.greater(self._named("overwrites"), 0.0), new["average"], new["w"])
        return new

    def _named(self, name: str) -> Expression:
        """The single number of a name, one symbol for all."""
        for x, known in self.leaves.items():
            if known == name:
                return x
        return self.symbol(name, UNIFORM)

    def _symbolic(self, weight: Weight, what: str) -> Any:
        """A regularizer or constraint with symbols for its numbers, shared by those of one configuration."""
        thing = getattr(weight.variable, what)
        names = tuple(getattr(thing, "numbers", ()))
        if not names:
            return thing
        key = (type(thing), repr(sorted((k, repr(v)) for k, v in vars(thing).items())))
        if key not in self.shared:
            symbols = {}
            for name in names:
                title = self.names.new(f"{what}_{name}")
                symbols[name] = self.symbol(title, NUMBER)
                self.numbers[title] = (f"{weight.name} {what}", name)
            self.shared[key] = thing.with_values(**symbols)
        return self.shared[key]

    def _constrained(self, variable: Any, w: Any) -> Any:
        weight = next(x for x in self.weights.values() if x.variable is variable)
        return constraints.constrained(self._symbolic(weight, "constraint"), w, variable.path)

    def _penalty(self, weight: Weight, w: Any) -> Expression:
        path = weight.variable.path
        value = traced(f"{path}: regularizer", regularizers.penalty, self._symbolic(weight, "regularizer"), w, path)
        return value if isinstance(value, Expression) else ops.constant(float(value))

    def penalty_gradient(self, weight: Weight, w: Expression) -> Expression | None:
        """The gradient of the penalty on a weight by the weight; None if there is none."""
        (gradient,) = differentiate(self._penalty(weight, w), ops.constant(1.0), [w])
        return gradient

    # ---------------------------------------------------------------- rules

    def rule(self, plan: _Plan, sums: Sequence[Expression] = ()) -> Rule:
        """The rule of a weight whose formula works number by number."""
        names = ["w", *self.kept(plan.weight)]
        summed = {f"sum {i}": x for i, x in enumerate(sums)}
        key = tuple(_fingerprint(change | summed, plan.leaves) for change in plan.changes)
        if key not in self.rules:
            updates = [
                tuple((n, resolved(c[n])) for n in names if resolved(c[n]) is not plan.leaves[n]) for c in plan.changes
            ]
            self.rules[key] = Rule(
                name=self.names.new(self.title),
                slots=tuple(names[1:]),
                updates=updates[0],
                held=updates[1] if len(updates) > 1 else None,
                leaves=tuple((x, n) for n, x in plan.leaves.items()),
                sums=tuple(sums),
            )
        return self.rules[key]

    def keeping(self, plan: _Plan, first: bool, sums: Sequence[Expression] = ()) -> Rule:
        """The rule that writes a gradient to memory, or adds to it."""
        title, g = "write" if first else "add", plan.leaves["g"]
        summed = {f"sum {i}": x for i, x in enumerate(sums)}
        key = (title, _fingerprint(summed, {"g": g}))
        if key not in self.rules:
            w = ops.symbol("w", ELEMENT, g.shape)
            value = g if first else w + g
            leaves = ((w, "w"), (g, "g"))
            name = self.names.new(f"{title}_gradient")
            self.rules[key] = Rule(name, (), (("w", value),), None, leaves, tuple(sums))
        return self.rules[key]

    # ---------------------------------------------------------------- formulas over whole weights

    def arrays(self, weight: Weight) -> dict[str, Array]:
        """Where a weight, its gradient and what is kept beside it are in the state."""

        def own(name: str) -> Array:
            if len(weight.shape) == 2:
                rows, columns = weight.shape
                return Array(name, rows, columns, self.cut.panels(columns))
            return Array(name, 1, weight.shape[0] if weight.shape else 1)

        found = {"w": own(weight.name), "g": own(f"{weight.name}_{KEPT}")}
        for name, shape in self.shapes(weight):
            title = f"{weight.name}_{name}"
            found[name] = own(title) if shape == (weight.shape or (1,)) else Array(title, 1, max(shape))
        return found

    def lowering(self, weight: Weight, name: str, leaves: Mapping[str, Expression], norm: int | None) -> Lowering:
        arrays = self.arrays(weight)
        where = {x: arrays[n] for n, x in leaves.items()}
        numbers = {} if norm is None else {self.norm: norm}
        summed = self.summed.get(weight.name)
        return Lowering(name, weight.shape or (1,), where, numbers, self.cut, self.figures, summed)

    def _apply(self, plan: _Plan, norm: int | None) -> list[Apply]:
        weight, arrays = plan.weight, self.arrays(plan.weight)
        applies = []
        for change, suffix in zip(plan.changes, ("", "_held"), strict=False):
            lowering = self.lowering(weight, f"{weight.name}{suffix}", plan.leaves, norm)
            roots = [(arrays[n], x) for n, x in change.items()]
            when = "always" if len(plan.changes) == 1 else "holds" if suffix else "applies"
            applies.append(lowering.lower(roots, when=when, comment=f"{self.title} of {weight.variable.path}"))
        return applies

    def _constrain(self, plan: _Plan) -> Apply:
        assert plan.constraint is not None
        weight, (leaf, made) = plan.weight, plan.constraint
        lowering = self.lowering(weight, f"{weight.name}_constraint", {"w": leaf}, None)
        comment = f"the constraint of {weight.variable.path}"
        return lowering.lower([(self.arrays(weight)["w"], made)], comment=comment)

    def _norms(self, plans: Sequence[_Plan], at: Sequence[int], total: int) -> list[Apply]:
        """The norm of all gradients together, each as it is before it is clipped."""
        when = "applies" if self.accumulated > 1 else "always"
        applies, parts = [], []
        for plan, place in zip(plans, at, strict=True):
            weight = plan.weight
            lowering = self.lowering(weight, f"{weight.name}_norm", plan.leaves, None)
            comment = f"the squares of the gradient of {weight.variable.path}, added up"
            applies.append(lowering.lower([], [(place, self._square(plan))], when, comment))
            parts.append((ops.symbol(f"square_{weight.name}", UNIFORM), place))
        value: Any = parts[0][0]
        for x, _ in parts[1:]:
            value = value + x
        step = Between("gradients_norm", (Number(ops.sqrt(value), total, tuple(parts)),))
        return [*applies, Apply("gradients_norm", (step,), when, "the norm of all gradients together")]

    def _square(self, plan: _Plan) -> Expression:
        """The sum of the squares of a gradient, as it is before it is clipped."""
        g: Any = plan.leaves["g"]
        if self.optimizer.loss_scale_factor is not None:
            g = g / self.formulas.loss_scale_factor
        if plan.weight.variable.regularizer is not None:
            part = self.penalty_gradient(plan.weight, plan.leaves["w"])
            g = g if part is None else g + part
        if self.accumulated > 1:
            g = (g + plan.leaves["gradient_accumulator"]) / float(self.accumulated)
        square: Expression = ops.sum(ops.square(g))
        return square

    # ---------------------------------------------------------------- sums that are made on the way

    def _sum_on_the_way(self, plan: _Plan, matrix: Matrix, kept: bool, needs_norm: bool) -> None:
        """Finds sums over a kernel that its update can add up: of its gradient if that is kept, else of the penalty.

        That saves a run over all of them, which costs more than adding up what is in registers anyway.
        """
        if self.accumulated > 1:
            return
        values = [x for change in plan.changes for x in change.values()] if kept else []
        if kept and needs_norm:
            values.append(self._square(plan))
        if not kept and plan.weight.variable.regularizer is not None:
            values.append(self._penalty(plan.weight, plan.leaves["w"]))
        inputs = {plan.leaves["g"] if kept else plan.leaves["w"]}
        for x in topological(values):
            if x.op != "over" or str(x.value) != "sum all":
                continue
            summand = resolved(x.args[0])
            if self._is_whole([summand]):  # sums of other sums, or of what the norm of all gradients scales
                continue
            if {y for y in topological([summand]) if y.level > UNIFORM and not y.args} != inputs:
                continue
            units = self.cut.units(matrix)
            self.summed.setdefault(plan.weight.name, {})[x] = (self.figures.last(units), units)

    # ---------------------------------------------------------------- all of it

    def build(self, steps: Sequence[Step]) -> tuple[list[Step], Optimization]:
        """The final backward steps, and the optimizer.

        Args:
            steps: those that the planner made, with where gradients come from.
        """
        sources: dict[str, int] = {}
        for step in steps:
            for name in _weights_of(step):
                # the rows of a scatter are no tile: that alone is reason enough to keep the gradient
                sources[name] = sources.get(name, 0) + (2 if isinstance(step, Scatter) else 1)
        plans = {name: self.plan(weight) for name, weight in self.weights.items()}
        # a gradient that comes from nowhere is kept as well: it is 0, but weights still decay and have penalties
        kept = {name: plan for name, plan in plans.items() if plan.wholly or sources.get(name) != 1}
        penalized = [w for w in self.weights.values() if w.variable.regularizer is not None]
        penalties_at = tuple(self.figures.last(1) for _ in penalized)
        needs_norm = any(x is self.norm for p in kept.values() for c in p.changes for x in topological(c.values()))
        norms_at = [self.figures.last(1) for _ in kept] if needs_norm else []
        norm = self.figures.last(1) if needs_norm else None
        for step in steps:
            if isinstance(step, Update) and step.matrix is not None and sources[step.matrix.name] == 1:
                name = step.matrix.name
                self._sum_on_the_way(plans[name], step.matrix, name in kept, needs_norm)
        self.figures.largest = self.figures.lasting
        final = self._used(steps, plans, kept)
        if norm is not None:
            final += self._norms(list(kept.values()), norms_at, norm)
        for name, plan in plans.items():
            final += self._apply(plan, norm) if name in kept else []
            final += [self._constrain(plan)] if plan.constraint is not None else []
        penalties = tuple(self._penalize(plans[w.name], at) for w, at in zip(penalized, penalties_at, strict=True))
        on_the_way = [w.name in self.summed and w.name not in kept for w in penalized]
        behind = tuple(
            self._penalize(plans[w.name], at, "_behind")
            for w, at, early in zip(penalized, penalties_at, on_the_way, strict=True)
            if early
        )
        made = Optimization(
            name=self.title,
            kept=tuple((name, self.shapes(w)) for name, w in self.weights.items()),
            scalars=tuple(self.optimizer.scalars.items()),
            numbers=tuple((name, *whose) for name, whose in self.numbers.items()),
            scalar_updates=tuple(self.new_scalars.items()),
            schedule=self.schedule,
            leaves=tuple(self.leaves.items()),
            rules=tuple(self.rules.values()),
            gradients=tuple(kept),
            penalties=penalties,
            penalties_at=penalties_at,
            penalties_before=tuple(p for p, early in zip(penalties, on_the_way, strict=True) if not early),
            penalties_behind=behind,
            figures=self.figures.largest,
            accumulated=self.accumulated,
        )
        return final, made

    def _penalize(self, plan: _Plan, at: int, behind: str = "") -> Apply:
        """What computes a penalty: from the weight, or behind its update from sums that this made on the way."""
        weight, w = plan.weight, plan.leaves["w"]
        lowering = self.lowering(weight, f"{weight.name}_penalty{behind}", {"w": w}, None)
        if not behind:
            lowering.summed = {}
        return lowering.lower([], [(at, self._penalty(weight, w))], comment=f"the penalty on {weight.variable.path}")

    def _used(self, steps: Sequence[Step], plans: Mapping[str, _Plan], kept: Mapping[str, _Plan]) -> list[Step]:
        """The steps with what becomes of each gradient."""
        met: set[str] = set()

        def use(name: str) -> Use:
            summed = self.summed.get(name, {})
            sums, parts = [resolved(x.args[0]) for x in summed], tuple(at for at, _ in summed.values())
            if name not in kept:
                return Use(self.rule(plans[name], sums).name, name, parts)
            first = name not in met
            met.add(name)
            return Use(self.keeping(plans[name], first, sums).name, f"{name}_{KEPT}", parts)

        final: list[Step] = []
        for step in steps:
            if isinstance(step, Update):
                matrix = use(step.matrix.name) if step.matrix else None
                vectors = tuple(use(vector.name) for vector, *_ in step.vectors)
                final.append(replace(step, use=matrix, vector_uses=vectors))
            elif isinstance(step, Scatter):
                final.append(replace(step, first=step.matrix.name not in met))
                met.add(step.matrix.name)
            else:
                final.append(step)
        return final


def _weights_of(step: Step) -> list[str]:
    """The weights that a step has the gradients of."""
    if isinstance(step, Update):
        return [*([step.matrix.name] if step.matrix else []), *(vector.name for vector, *_ in step.vectors)]
    return [step.matrix.name] if isinstance(step, Scatter) else []


def _fingerprint(change: Mapping[str, Expression], leaves: Mapping[str, Expression]) -> tuple[Any, ...]:
    """The same for formulas that do the same to a number."""
    names = {x: name for name, x in leaves.items()}
    order = [x for x in topological(change.values()) if x is resolved(x)]
    at = {x: i for i, x in enumerate(order)}

    def described(x: Expression) -> tuple[Any, ...]:
        if x in names:
            return ("leaf", names[x])
        if x.level <= UNIFORM:
            return ("number", id(x))
        return (x.op, *(at[resolved(a)] for a in operands(x)))

    return tuple(map(described, order)), tuple((name, at[resolved(x)]) for name, x in change.items())


def build(
    steps: Sequence[Step], optimizer: Any, weights: Sequence[Weight], names: Names, cut: Cut
) -> tuple[list[Step], Optimization]:
    """Turns the gradients of the planner's backward steps into new weights.

    Args:
        steps: the backward steps.
        optimizer: the optimizer, built for the weights that are trained.
        weights: all weights of the network.
        names: those that the C has already.
        cut: how arrays are cut.

    Returns:
        The final steps, and the optimizer as C needs it.

    Raises:
        ModelError: the optimizer, a regularizer or a constraint is not a formula that can be used.
        UnsupportedError: it needs something that is not there for weights.
    """
    for weight in weights:
        if weight.trainable and len(weight.shape) > 2:
            raise UnsupportedError(f"{weight.variable.path}: weights of shape {weight.shape} cannot be trained yet.")
    return Updates(optimizer, weights, names, cut).build(steps)
