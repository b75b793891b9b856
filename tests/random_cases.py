"""What real Keras computes for some eight hundred random models and parts of models, and nncompile for the same.

One function per kind makes a case of a seed with the library it is given, Keras or
nncompile, and returns numbers by name. Those of Keras are stored beside this file, so that
the tests need no Keras and cost seconds (KERAS_BACKEND=torch is quick, but some of its own ways are other ones):

python tests/random_cases.py              stores all of them anew, with the Keras that is installed
python tests/random_cases.py losses ...   only these kinds
python tests/random_cases.py graphs:3,4   only the cases of these seeds
"""

from __future__ import annotations

import json
import os
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import random_ops
from random_graphs import (
    ACTIVATIONS,
    CONSTRAINTS,
    REGULARIZERS,
    WIDTHS,
    Choices,
    Grower,
    random_inputs,
    random_model,
    random_weights,
)

FOLDER = Path(__file__).with_name("differential")
Numbers = dict[str, Any]
ROWS, VALIDATION_ROWS, EPOCHS = 20, 8, 2


def is_keras(k: Any) -> bool:
    return bool(k.__name__ == "keras")


def leaves(structure: Any) -> list[Any]:
    if isinstance(structure, dict):
        return list(structure.values())
    return list(structure) if isinstance(structure, list | tuple) else [structure]


def as_array(value: Any) -> Any:
    """The numbers of an array of any backend of Keras."""
    return np.asarray(value.detach() if hasattr(value, "detach") else value)


def packed(structure: Any, values: list[Any]) -> Any:
    """``values`` in the form that ``structure``, of a model's inputs or outputs, has."""
    if isinstance(structure, dict):
        return dict(zip(structure, values, strict=True))
    return values if isinstance(structure, list | tuple) else values[0]


# ------------------------------------------------------------------ models that are not trained


def graphs(k: Any, seed: int) -> Numbers:
    """Outputs, penalties and moved statistics of a random graph."""
    noise = seed % 3 == 0
    model, choices = random_model(k, seed, noise), Choices([2, seed])
    model.set_weights(random_weights(model, choices))
    x = packed(model.input, random_inputs(model, choices, 5))
    numbers: Numbers = {}
    for training in (False,) if noise else (False, True):
        for i, y in enumerate(leaves(model(x, training=training))):
            numbers[f"output {i}, training={training}"] = y
        numbers[f"penalty, training={training}"] = np.sum([np.float32(as_array(loss)) for loss in model.losses] or [0])
    for i, weight in enumerate(model.weights):
        if "moving" in weight.name:
            numbers[f"weight {i}, {weight.name}"] = weight.value
    return numbers


# ------------------------------------------------------------------ parts of models


def activations(k: Any, seed: int) -> Numbers:
    """An activation on rows of all sizes, and on numbers where formulas have their corners."""
    choices = Choices([3, seed])
    every = (*ACTIVATIONS, ("glu", {}), ("glu", {"axis": 1}), ("softmax", {"axis": 1}), ("log_softmax", {"axis": 1}))
    name, arguments = every[seed % len(every)]
    shape = [5, choices.one(WIDTHS)]
    if choices.often(0.5) or arguments.get("axis") == 1:
        shape.insert(1, choices.one([1, 2, 3]))
    if name == "glu":
        shape[arguments.get("axis", -1)] *= 2
    x = choices.numbers(*shape) * np.float32(choices.one([0.3, 1, 10]))
    corners = [0.0, -0.0, 0.5, -0.5, 1.0, -1.0, 3.0, -3.0, 6.0, 88.0, -88.0, 1e4, -1e4, 1e-8, -1e-8]
    if name in ("exponential", "sparsemax"):  # that of Keras loses its digits, and is 0 everywhere
        corners = [n for n in corners if abs(n) < 50]
    x.reshape(-1)[: len(corners)] = corners[: x.size]
    return {name: getattr(k.activations, name)(x, **arguments)}


LOSSES: tuple[tuple[str, dict[str, Any], str], ...] = (
    # class, arguments, kind of target and prediction
    ("MeanSquaredError", {}, "numbers"), ("MeanAbsoluteError", {}, "numbers"),
    ("MeanAbsolutePercentageError", {}, "numbers"), ("MeanSquaredLogarithmicError", {}, "counts"),
    ("CosineSimilarity", {}, "numbers"), ("Huber", {}, "numbers"), ("Huber", {"delta": 0.4}, "numbers"),
    ("LogCosh", {}, "numbers"), ("Hinge", {}, "signs"), ("Hinge", {}, "bits"), ("SquaredHinge", {}, "signs"),
    ("CategoricalHinge", {}, "one-hot"), ("KLDivergence", {}, "one-hot"), ("Poisson", {}, "counts"),
    ("BinaryCrossentropy", {}, "bits"), ("BinaryCrossentropy", {"label_smoothing": 0.1}, "bits"),
    ("BinaryCrossentropy", {"from_logits": True}, "bits, logits"), ("BinaryFocalCrossentropy", {}, "bits"),
    ("BinaryFocalCrossentropy", {"apply_class_balancing": True, "alpha": 0.3, "gamma": 1.5}, "bits"),
    ("BinaryFocalCrossentropy", {"from_logits": True, "label_smoothing": 0.1}, "bits, logits"),
    ("CategoricalCrossentropy", {}, "one-hot"), ("CategoricalCrossentropy", {"label_smoothing": 0.2}, "one-hot"),
    ("CategoricalCrossentropy", {"from_logits": True}, "one-hot, logits"), ("CategoricalFocalCrossentropy", {}, "one-hot"),
    ("CategoricalFocalCrossentropy", {"gamma": 1.5, "alpha": 0.4, "from_logits": True}, "one-hot, logits"),
    ("SparseCategoricalCrossentropy", {}, "labels"), ("SparseCategoricalCrossentropy", {"from_logits": True}, "labels, logits"),
    ("SparseCategoricalCrossentropy", {"ignore_class": 0}, "labels"),
    ("CategoricalGeneralizedCrossEntropy", {}, "labels"), ("CategoricalGeneralizedCrossEntropy", {"q": 0.8}, "labels"),
    ("Dice", {"axis": -1}, "bits"), ("Tversky", {"axis": -1}, "bits"), ("Tversky", {"alpha": 0.2, "beta": 0.7, "axis": -1}, "bits"),
)  # fmt: skip
ONLY_LOSSES: tuple[tuple[str, dict[str, Any], str], ...] = (
    ("Dice", {}, "bits"), ("Tversky", {"alpha": 0.2, "beta": 0.7}, "bits"),
    ("CategoricalCrossentropy", {"axis": 1, "from_logits": True}, "numbers"),
    ("BinaryCrossentropy", {"axis": 1, "from_logits": True}, "bits, logits"), ("CosineSimilarity", {"axis": 1}, "numbers"),
)  # fmt: skip
"""Those that need more than the row, or other axes than the last, without which nothing is trained here."""
REDUCTIONS = ("sum_over_batch_size", "sum", "mean", "mean_with_sample_weight", "none", None)


def targets_of(kind: str, choices: Choices, *shape: int) -> Any:
    """Targets for predictions of ``shape``, rows included."""
    kind = kind.split(",", maxsplit=1)[0]
    if kind == "numbers":
        y = choices.numbers(*shape)
        return y + np.sign(y) * np.float32(0.2)
    if kind == "counts":
        return choices.integers(4, *shape).astype("float32")
    if kind in ("bits", "signs"):
        bits = choices.integers(2, *shape).astype("float32")
        return bits if kind == "bits" else bits * 2 - 1
    labels = choices.integers(shape[-1], *shape[:-1])
    return labels if kind == "labels" else np.eye(shape[-1], dtype="float32")[labels]


def predictions_of(kind: str, choices: Choices, *shape: int) -> Any:
    """What the activation of an output could have returned, away from the ends where Keras clips."""
    p = choices.numbers(*shape)
    if "logits" in kind or kind in ("numbers", "signs"):
        return p * 2
    if kind == "counts":
        return np.log1p(np.exp(p))
    if kind == "bits":
        return 1 / (1 + np.exp(-p))
    return np.exp(p) / np.sum(np.exp(p), axis=-1, keepdims=True)


def losses(k: Any, seed: int) -> Numbers:
    """A loss of a batch with each of the reductions, weights per row, and its gradient."""
    choices = Choices([4, seed])
    name, arguments, kind = (*LOSSES, *ONLY_LOSSES)[seed % (len(LOSSES) + len(ONLY_LOSSES))]
    shape = [choices.one([1, 2, 7, 16]), choices.one(WIDTHS)]
    if choices.often(0.3) or arguments.get("axis") == 1:
        shape.insert(1, choices.one([2, 3]))
    if name in ("Dice", "Tversky", "CategoricalGeneralizedCrossEntropy"):
        shape = [shape[0], max(2, shape[-1])]  # of one class Keras takes labels for something else
    y, p = targets_of(kind, choices, *shape), predictions_of(kind, choices, *shape)
    weight, numbers = choices.positive(shape[0]), Numbers()
    for reduction in REDUCTIONS:
        loss = getattr(k.losses, name)(**arguments, reduction=reduction)
        numbers[f"{name}, {reduction}"] = loss(y, p)
        if "axis" not in arguments or name in ("BinaryCrossentropy", "CosineSimilarity"):
            rows = weight if len(shape) == 2 else choices.positive(shape[0], shape[1])
            if arguments.get("axis") == 1:
                rows = choices.positive(shape[0], shape[2])
            if name not in ("Dice", "Tversky"):
                numbers[f"{name}, {reduction}, weighted"] = loss(y, p, rows)
    if len(shape) == 2 and (name, arguments) not in [(n, a) for n, a, _ in ONLY_LOSSES]:
        numbers[f"{name}, gradient"] = _gradient(k, getattr(k.losses, name)(**arguments).call, y, p, weight)
    return numbers


def _gradient(k: Any, formula: Callable[..., Any], y: Any, p: Any, weight: Any) -> Any:
    """Of ``sum(weight * formula(y, p))`` by p."""
    if is_keras(k) and k.backend.backend() == "torch":
        p = k.ops.convert_to_tensor(p).requires_grad_()
        (formula(y, p) * k.ops.convert_to_tensor(weight)).sum().backward()
        return p.grad
    if is_keras(k):
        import jax

        return jax.grad(lambda p: (formula(y, p) * weight).sum())(p)
    from symbolic import gradient

    return gradient(lambda y, p: formula(y, p), {"y": y, "p": p}, "p", weight)


METRICS: tuple[tuple[str, dict[str, Any], str], ...] = (
    ("Accuracy", {}, "classes"), ("BinaryAccuracy", {}, "bits"), ("BinaryAccuracy", {"threshold": 0.3}, "bits"),
    ("CategoricalAccuracy", {}, "one-hot"), ("SparseCategoricalAccuracy", {}, "labels"),
    ("TopKCategoricalAccuracy", {"k": 2}, "one-hot"), ("SparseTopKCategoricalAccuracy", {"k": 3}, "labels"),
    ("RootMeanSquaredError", {}, "numbers"), ("CosineSimilarity", {}, "numbers"), ("PearsonCorrelation", {}, "wide"),
    ("ConcordanceCorrelation", {}, "wide"), ("R2Score", {}, "numbers"), ("R2Score", {"class_aggregation": None}, "numbers"),
    ("R2Score", {"class_aggregation": "variance_weighted_average"}, "numbers"), ("TruePositives", {}, "bits"),
    ("FalsePositives", {"thresholds": [0.2, 0.5, 0.8]}, "bits"), ("TrueNegatives", {"thresholds": 0.4}, "bits"),
    ("FalseNegatives", {}, "bits"), ("Precision", {}, "bits"), ("Precision", {"thresholds": [0.3, 0.6]}, "bits"),
    ("Precision", {"top_k": 1}, "one-hot"), ("Recall", {}, "bits"), ("Recall", {"class_id": 0}, "bits"),
    ("SensitivityAtSpecificity", {"specificity": 0.5}, "bits"), ("SpecificityAtSensitivity", {"sensitivity": 0.4}, "bits"),
    ("PrecisionAtRecall", {"recall": 0.5}, "bits"), ("RecallAtPrecision", {"precision": 0.5}, "bits"),
    ("FBetaScore", {"beta": 2.0, "threshold": 0.4}, "bits"), ("FBetaScore", {"average": "macro"}, "one-hot"),
    ("F1Score", {"average": "weighted"}, "one-hot"), ("AUC", {}, "bits"), ("AUC", {"curve": "PR", "num_thresholds": 20}, "bits"),
    ("AUC", {"summation_method": "majoring", "multi_label": True}, "bits"), ("AUC", {"from_logits": True}, "bits, logits"),
    ("IoU", {"num_classes": 3, "target_class_ids": [0, 2]}, "classes"), ("BinaryIoU", {"threshold": 0.4}, "bits"),
    ("MeanIoU", {"num_classes": 3}, "classes"), ("OneHotIoU", {"num_classes": None, "target_class_ids": [0]}, "one-hot"),
    ("OneHotMeanIoU", {"num_classes": None}, "one-hot"), ("MeanSquaredError", {}, "numbers"), ("MeanAbsoluteError", {}, "numbers"),
    ("MeanAbsolutePercentageError", {}, "numbers"), ("MeanSquaredLogarithmicError", {}, "counts"), ("LogCoshError", {}, "numbers"),
    ("Hinge", {}, "signs"), ("SquaredHinge", {}, "bits"), ("CategoricalHinge", {}, "one-hot"), ("KLDivergence", {}, "one-hot"),
    ("Poisson", {}, "counts"), ("BinaryCrossentropy", {"label_smoothing": 0.1}, "bits"),
    ("BinaryCrossentropy", {"from_logits": True}, "bits, logits"), ("CategoricalCrossentropy", {}, "one-hot"),
    ("SparseCategoricalCrossentropy", {}, "labels"), ("SparseCategoricalCrossentropy", {"from_logits": True}, "labels, logits"),
    ("Mean", {}, "values"), ("Sum", {}, "values"),
)  # fmt: skip
UNWEIGHTED = ("PearsonCorrelation", "ConcordanceCorrelation")
"""Whose rows are correlated in themselves: one number per row is all there is to be weighed."""


def metrics(k: Any, seed: int) -> Numbers:
    """What a metric says after each of three batches, every second with weights of rows; and once it is reset."""
    choices = Choices([5, seed])
    name, arguments, kind = METRICS[seed % len(METRICS)]
    width = choices.one(WIDTHS[3:] if kind == "wide" else WIDTHS[1:] if kind == "one-hot" else WIDTHS)
    arguments = {key: width if value is None and key == "num_classes" else value for key, value in arguments.items()}
    metric, numbers = getattr(k.metrics, name)(**arguments), Numbers()
    for batch in range(4):
        if batch == 3:
            metric.reset_state()
        rows = choices.one([1, 5, 8]) if name not in ("R2Score",) else choices.one([3, 8])
        w = choices.positive(rows) if seed // len(METRICS) % 2 and not (name == "BinaryIoU" and width > 1) else None
        if kind == "values":
            metric.update_state(choices.numbers(rows, width), w)
        elif kind == "classes":
            metric.update_state(choices.integers(3, rows, 1), choices.integers(3, rows, 1), w)
        else:
            of = "numbers" if kind == "wide" else kind
            y, p = targets_of(of, choices, rows, width), predictions_of(of, choices, rows, width)
            metric.update_state(y, p, w)
        numbers[f"{name}, {batch}"] = metric.result()
    return numbers


SCHEDULES: tuple[tuple[str, dict[str, Any]], ...] = (
    ("ExponentialDecay", {"decay_steps": 3, "decay_rate": 0.7}),
    ("ExponentialDecay", {"decay_steps": 2, "decay_rate": 0.5, "staircase": True}),
    ("PiecewiseConstantDecay", {"boundaries": [1, 3], "values": [0.02, 0.03, 0.01]}),
    ("PolynomialDecay", {"decay_steps": 4, "end_learning_rate": 0.001, "power": 2.0}),
    ("PolynomialDecay", {"decay_steps": 2, "cycle": True}),
    ("InverseTimeDecay", {"decay_steps": 3, "decay_rate": 0.6}),
    ("InverseTimeDecay", {"decay_steps": 2, "decay_rate": 0.6, "staircase": True}),
    ("CosineDecay", {"decay_steps": 4, "alpha": 0.1}),
    ("CosineDecay", {"decay_steps": 3, "warmup_target": 0.05, "warmup_steps": 2}),
    ("CosineDecayRestarts", {"first_decay_steps": 2, "t_mul": 1.5, "m_mul": 0.9, "alpha": 0.05}),
)


def schedule_of(k: Any, number: int, rate: float) -> Any:
    name, arguments = SCHEDULES[number % len(SCHEDULES)]
    if name != "PiecewiseConstantDecay":
        arguments = {"initial_learning_rate": rate, **arguments}
    return getattr(k.optimizers.schedules, name)(**arguments)


def schedules(k: Any, seed: int) -> Numbers:
    """Learning rates of the first steps."""
    schedule = schedule_of(k, seed, 0.1 / (1 + seed))
    return {SCHEDULES[seed % len(SCHEDULES)][0]: np.array([np.float32(as_array(schedule(step))) for step in range(12)])}


OPTIMIZERS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("SGD", {"learning_rate": 0.05}), ("SGD", {"learning_rate": 0.05, "momentum": 0.9}),
    ("SGD", {"learning_rate": 0.05, "momentum": 0.9, "nesterov": True}), ("RMSprop", {"learning_rate": 0.002}),
    ("RMSprop", {"learning_rate": 0.002, "rho": 0.8, "momentum": 0.5}),
    ("RMSprop", {"learning_rate": 0.002, "centered": True, "epsilon": 1e-3}),
    ("Adagrad", {"learning_rate": 0.01, "initial_accumulator_value": 0.2}), ("Adadelta", {"learning_rate": 1.0, "rho": 0.9}),
    ("Adam", {"learning_rate": 0.002}), ("Adam", {"learning_rate": 0.002, "amsgrad": True, "beta_1": 0.8, "beta_2": 0.99}),
    ("AdamW", {"learning_rate": 0.002, "weight_decay": 0.05}), ("Adamax", {"learning_rate": 0.005}),
    ("Nadam", {"learning_rate": 0.005}), ("Lion", {"learning_rate": 0.001}), ("Lamb", {"learning_rate": 0.01}),
    ("Ftrl", {"learning_rate": 0.05, "l1_regularization_strength": 0.01, "beta": 0.1}),
    ("Ftrl", {"learning_rate": 0.05, "learning_rate_power": -0.4, "l2_shrinkage_regularization_strength": 0.01}),
    ("Adafactor", {"learning_rate": 0.01}), ("Adafactor", {"learning_rate": 0.01, "relative_step": False, "beta_2_decay": -0.7}),
    ("Muon", {"learning_rate": 0.01}), ("ScheduleFreeAdamW", {"learning_rate": 0.01, "warmup_steps": 2}),
)  # fmt: skip


def optimizer_of(k: Any, choices: Choices, number: int, variant: int = 0) -> Any:
    """An optimizer with what all may have; the variant changes numbers for which nothing is compiled anew."""
    name, settings = OPTIMIZERS[number % len(OPTIMIZERS)]
    settings = {key: v * (1 - 0.1 * variant) if isinstance(v, float) else v for key, v in settings.items()}
    if choices.often(0.3) and name != "ScheduleFreeAdamW":
        settings["learning_rate"] = schedule_of(k, choices.random.randint(len(SCHEDULES)), settings["learning_rate"])
    settings.update(choices.one([{}, {}, {"clipvalue": 0.3}, {"clipnorm": 0.7}, {"global_clipnorm": 0.9}]))
    settings.update(choices.one([{}, {}, {"weight_decay": 0.02}]))
    if name != "ScheduleFreeAdamW":
        settings.update(choices.one([
            {}, {}, {"use_ema": True, "ema_momentum": 0.8}, {"use_ema": True, "ema_overwrite_frequency": 2},
        ]))  # fmt: skip
    settings.update(choices.one([{}, {}, {}, {"gradient_accumulation_steps": 2}]))
    settings.update(choices.one([{}, {}, {}, {"loss_scale_factor": 8.0}]))
    return getattr(k.optimizers, name)(**settings)


def optimizers(k: Any, seed: int) -> Numbers:
    """Weights and all that is kept beside them, after six steps with random gradients."""
    choices = Choices([6, seed])
    grower = Grower(k, choices, False, True)
    first = grower.dense(None, choices.one(WIDTHS))
    model = k.Sequential([k.Input((choices.one(WIDTHS),)), first, k.layers.Dense(choices.one(WIDTHS[:5]))])
    model.set_weights(random_weights(model, choices))
    optimizer = optimizer_of(k, choices, seed)
    for _ in range(6):
        gradients = [choices.numbers(*w.shape) * np.float32(0.3) for w in model.trainable_variables]
        optimizer.apply([k.ops.convert_to_tensor(g) for g in gradients], model.trainable_variables)
    numbers = {f"weight {i}": w.value for i, w in enumerate(model.trainable_variables)}
    numbers.update({f"variable {i}": v.value for i, v in enumerate(optimizer.variables)})
    if optimizer.use_ema:
        optimizer.finalize_variable_values(model.trainable_variables)
        numbers.update({f"averaged {i}": w.value for i, w in enumerate(model.trainable_variables)})
    return numbers


def penalties(k: Any, seed: int) -> Numbers:
    """A regularizer and a constraint of a weight."""
    choices = Choices([7, seed])
    weight = choices.numbers(choices.one(WIDTHS[1:]), choices.one(WIDTHS[1:]))  # one row alone is not orthogonal to any
    name, arguments = REGULARIZERS[seed % len(REGULARIZERS)]
    other, more = CONSTRAINTS[seed % len(CONSTRAINTS)]
    return {
        name: getattr(k.regularizers, name)(**arguments)(k.ops.convert_to_tensor(weight)),
        other: getattr(k.constraints, other)(**more)(k.ops.convert_to_tensor(weight)),
    }


# ------------------------------------------------------------------ models that are trained

HEADS = {
    "numbers": None,
    "counts": "softplus",
    "signs": "tanh",
    "bits": "sigmoid",
    "one-hot": "softmax",
    "labels": "softmax",
}
"""The activation of an output for a kind of target."""
OBSERVED = {
    "numbers": ["mse", "mae", "R2Score", "CosineSimilarity", "RootMeanSquaredError", "LogCoshError"],
    "counts": ["mse", "Poisson", "MeanSquaredLogarithmicError"],
    "signs": ["Hinge", "SquaredHinge", "mae"],
    "bits": ["accuracy", "AUC", "Precision", "Recall", "BinaryAccuracy", "FalsePositives", "BinaryIoU"],
    "one-hot": ["accuracy", "CategoricalCrossentropy", "TopKCategoricalAccuracy", "F1Score", "KLDivergence"],
    "labels": ["accuracy", "SparseCategoricalAccuracy", "SparseTopKCategoricalAccuracy"],
}  # fmt: skip


@dataclass
class Trained:
    """A model that is compiled, and the kinds of its outputs."""

    model: Any
    kinds: list[str]
    choices: Choices


def compiled(k: Any, program: int, variant: int) -> Trained:
    """A random graph with a loss for each of one or two outputs, an optimizer, and metrics.

    Variants of a program differ in numbers alone, for which nothing is compiled anew.
    """
    choices = Choices([8, program])
    grower = Grower(k, choices, False, True)
    inputs = grower.inputs(2)
    grower.grow(int(choices.random.randint(2, 6)))
    outputs, kinds, functions, observed = [], list[str](), list[Any](), list[Any]()
    for number in range(choices.one([1, 1, 2])):
        name, arguments, kind = LOSSES[(program * 5 + number * 11) % len(LOSSES)]
        x = grower.tensors[-1 - number] if number < len(grower.tensors) else grower.tensors[-1]
        if len(x.shape) == 3 and choices.often(0.7):
            x = k.layers.Flatten()(x)
        target, activation = kind.split(",")[0], HEADS[kind.split(",")[0]]
        if len(x.shape) == 3 and target not in ("numbers", "signs"):
            x = k.layers.Flatten()(x)
        width = choices.one([2, 3, 5]) if target in ("one-hot", "labels") else choices.one([1, 1, 3])
        if name == "CosineSimilarity":  # of one number it is 1 or -1, and its gradient nothing but rounding
            width = max(2, width)
        # moderate logits: Keras clips probabilities, which are exact here
        hidden = k.layers.Dense(4, activation="tanh")(x)
        made = k.layers.Dense(width, activation=None if "logits" in kind else activation, name=("one", "two")[number])
        outputs.append(made(hidden))
        kinds.append(kind)
        reduction = choices.one(["sum_over_batch_size", "sum_over_batch_size", "sum", "mean_with_sample_weight"])
        functions.append(getattr(k.losses, name)(**arguments, reduction=reduction))
        flat = len(x.shape) == 2
        chosen = [choices.one(OBSERVED[target]) for _ in range(2)] if flat and "logits" not in kind else []
        observed.append([m if m.islower() else getattr(k.metrics, m)() for m in dict.fromkeys(chosen)])
    several = len(outputs) > 1
    model = k.Model(inputs if len(inputs) > 1 else inputs[0], outputs if several else outputs[0])
    optimizer = optimizer_of(k, choices, program, variant)
    # samples that a class leaves out would be left out of these too, which is refused
    weighted = choices.often(0.3) and not any(
        "ignore_class" in f.get_config() and f.get_config()["ignore_class"] is not None for f in functions
    )
    given = observed if several else observed[0]
    model.compile(
        optimizer, functions if several else functions[0], loss_weights=[0.7, 1.3] if several and choices.often(0.7) else None,
        metrics=None if weighted else given, weighted_metrics=given if weighted else None,
        # operation by operation: Keras shares what it compiles of these among all models
        jit_compile=False,
    )  # fmt: skip
    return Trained(model, kinds, choices)


def training(k: Any, seed: int) -> Numbers:
    """What fit logs, and weights, optimizer and predictions after it."""
    program, variant = divmod(seed, VARIANTS)
    made = compiled(k, program, variant)
    model, kinds = made.model, made.kinds
    several, weighing = len(kinds) > 1, made.choices.one(["none", "none", "rows", "rows", "classes"])
    choices = Choices([9, program, variant])
    model.set_weights(random_weights(model, choices))
    rows = ROWS + VALIDATION_ROWS
    xs = random_inputs(model, choices, rows)
    ys = [targets_of(kind, choices, rows, *y.shape[1:]) for kind, y in zip(kinds, model.outputs, strict=True)]
    options: dict[str, Any] = {}
    if weighing == "rows":
        weights = [choices.positive(ROWS, *y.shape[1:-1]) for y in model.outputs]
        options["sample_weight"] = weights if several else weights[0]
    elif weighing == "classes" and not several and kinds[0].split(",")[0] in ("labels", "one-hot"):
        options["class_weight"] = {0: 0.5, 1: 2.0, 2: 1.5, 3: 1.0, 4: 0.7}

    def part(values: list[Any], where: slice) -> Any:
        return [v[where] for v in values] if len(values) > 1 else values[0][where]

    first, held = slice(0, ROWS), slice(ROWS, None)
    history = model.fit(
        part(xs, first), part(ys, first), validation_data=(part(xs, held), part(ys, held)), batch_size=(8, 5)[variant],
        validation_batch_size=VALIDATION_ROWS, epochs=EPOCHS, shuffle=False, verbose=0, **options,
    ).history  # fmt: skip
    numbers = {f"history, {name}": np.array(values) for name, values in history.items()}
    numbers.update({f"optimizer, {i}": v.value for i, v in enumerate(model.optimizer.variables)})
    numbers.update({f"weights, {i} {w.name}": w.value for i, w in enumerate(model.weights)})
    for i, y in enumerate(leaves(model.predict(part(xs, held), batch_size=8, verbose=0))):
        numbers[f"predictions, {i}"] = y
    return numbers


# ------------------------------------------------------------------ formulas in layers


def ops(k: Any, seed: int) -> Numbers:
    """Formulas over ``ops`` in layers of a compiled model: outputs, losses, and weights after a step with their gradients."""

    class Formula(k.layers.Layer):  # type: ignore[misc]
        """A formula of two values."""

        def __init__(self, formula: random_ops.Formula) -> None:
            super().__init__()
            self.formula = formula

        def call(self, inputs: Any) -> Any:
            return self.formula(k.ops, *inputs)

    choices, formulas = Choices([10, seed]), random_ops.models()[seed]
    width, shape = choices.one(WIDTHS[1:11]), [choices.one(WIDTHS[1:6])]
    if formulas[0][1] == 3:
        shape.insert(0, choices.one([2, 3]))
    given = k.Input(tuple(shape))
    shared = k.layers.Dense(width, name="shared")(given)
    outputs = [
        Formula(formula)([k.layers.Dense(width, name=f"of_{i}")(given), shared])
        for i, (_, _, formula) in enumerate(formulas)
    ]
    model = k.Model(given, outputs)
    model.compile(k.optimizers.SGD(0.05), ["mse"] * len(outputs))
    model.set_weights(random_weights(model, choices))
    x = choices.numbers(4, *shape)
    numbers: Numbers = {}
    found = model.predict_on_batch(x)
    for (name, *_), y in zip(formulas, found, strict=True):
        numbers[f"{name}: output"] = y
    logs = model.train_on_batch(x, [choices.numbers(*y.shape) for y in found])
    for (name, *_), loss in zip(formulas, logs[1:], strict=True):
        numbers[f"{name}: loss"] = loss
    for i, (name, *_) in enumerate(formulas):
        numbers[f"{name}: kernel"] = model.get_layer(f"of_{i}").kernel.value
    numbers["shared: kernel"] = model.get_layer("shared").kernel.value
    return numbers


VARIANTS = 2
KINDS: dict[str, tuple[Callable[[Any, int], Numbers], int]] = {
    "graphs": (graphs, 250),
    "activations": (activations, 82),
    "losses": (losses, 114),
    "metrics": (metrics, 112),
    "schedules": (schedules, 20),
    "optimizers": (optimizers, 105),
    "penalties": (penalties, 30),
    "ops": (ops, len(random_ops.models())),
    "training": (training, 48 * VARIANTS),
}
"""What makes a case of a seed, and how many there are."""

_NO_SIMPLEX = "sparsemax: rows of Keras' do not add up to 1 where their largest numbers are far apart, as they must"
_NO_LENGTH = (
    "UnitNormalization: the gradient of Keras' at a row of zeros is NaN, that of 1 / sqrt(0); "
    "the first step of Ftrl makes such rows of an Embedding"
)
DIFFERENT: dict[tuple[str, int], str] = {
    ("activations", 31): _NO_SIMPLEX,
    ("activations", 72): _NO_SIMPLEX,
    ("training", 72): _NO_LENGTH,
    ("training", 73): _NO_LENGTH,
}
"""Cases that differ from Keras, and why."""
_NO_AXIS = "RMSNormalization of Keras fails along an axis that is not the last: it does not reshape its scale"
FAILING: dict[tuple[str, int], str] = {("graphs", 36): _NO_AXIS, ("graphs", 243): _NO_AXIS}
"""Cases that Keras fails at, and why: nothing is stored of them."""


def of(kind: str, library: Any, seed: int) -> Numbers:
    """The numbers of a case, as arrays."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        if is_keras(library):
            warnings.simplefilter("ignore")
        return {name: as_array(value) for name, value in KINDS[kind][0](library, seed).items()}


# ------------------------------------------------------------------ what is stored


def store(kind: str, seeds: Sequence[int] = ()) -> None:
    """Computes cases of a kind with Keras; all, or those of some seeds, beside what is stored of the others.

    What fails stays as it is stored. What is done is written case by case: whole trainings take minutes.
    """
    import keras

    kept = dict(enumerate(stored(kind))) if (FOLDER / f"{kind}.npz").exists() else {}
    by = f"{keras.__version__} on {keras.backend.backend()}"
    for seed in seeds or range(KINDS[kind][1]):
        keras.backend.clear_session(free_memory=False)
        try:
            kept[seed] = of(kind, keras, seed)
        except Exception as error:
            print(f"{kind} {seed} by {by}: {type(error).__name__}: {error!s:.80}", file=sys.stderr)
        write(kind, kept)


def write(kind: str, cases: dict[int, Numbers]) -> None:
    """Writes the numbers of cases by seed; those that are missing are stored as nothing."""
    every = [cases.get(seed, {}) for seed in range(KINDS[kind][1])]
    index = [{name: list(value.shape) for name, value in case.items()} for case in every]
    parts = [value.astype("float32").ravel() for case in every for value in case.values()]
    np.savez_compressed(
        FOLDER / f"{kind}.npz",
        index=np.frombuffer(json.dumps(index, separators=(",", ":")).encode(), "uint8"),
        numbers=np.concatenate(parts or [np.empty(0, "float32")]),
    )


def stored(kind: str) -> Iterator[Numbers]:
    """What Keras computed for the cases of a kind, in the order of their seeds."""
    with np.load(FOLDER / f"{kind}.npz") as file:
        index, numbers = json.loads(file["index"].tobytes()), file["numbers"]
    at = 0
    for shapes in index if isinstance(index, list) else index["cases"]:
        case = {}
        for name, shape in shapes.items():
            size = int(np.prod(shape))
            case[name] = numbers[at : at + size].reshape(shape)
            at += size
        yield case


if __name__ == "__main__":
    os.environ.setdefault("KERAS_BACKEND", "jax")
    FOLDER.mkdir(exist_ok=True)
    for chosen in sys.argv[1:] or KINDS:
        name, _, some = chosen.partition(":")
        store(name, [int(seed) for seed in some.split(",") if some])
