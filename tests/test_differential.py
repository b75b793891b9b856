"""Random models, built by the same code in real Keras and here, weights copied, take the same path.

Both sides compute in float32, in different orders. A difference is counted in roundings:
units of eps times the size of the numbers that were added up. One update adds a few of
them to a weight, the network amplifies those of the updates before, and optimizers that
divide by the root of a running mean amplify them where gradients are near zero; so the
bound is a number of roundings per update. It was set at a few times what these cases need,
and is far below what a wrong formula, constant or order of updates would give: those
differ in the second or third digit.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from oracle import keras
from reference import roundings
from stacks import Stack, random_stack

import nncompile as nn

# Keras on NumPy 2 warns of itself
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

DIVERGING = {30}
"""Networks in which exponentials of exponentials overflow, in Keras as here: they say nothing."""
PROGRAMS, VARIANTS = [n for n in range(41) if n not in DIVERGING], 4
"""Networks with a loss and an optimizer; and of each how many data, numbers and sizes of a batch."""
ROWS, VALIDATION_ROWS, EPOCHS = 20, 8, 2
BATCHES = (8, 4, 8, 4)
PER_UPDATE = {"history": 50, "evaluation": 50, "weights": 50, "predictions": 50, "optimizer": 250}
"""Roundings that one update may add, in units of eps times the largest number of the array.

Squared gradients are small differences of large sums, and running means of them more so.
"""

OPTIMIZERS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("SGD", {"learning_rate": 0.05}),
    ("SGD", {"learning_rate": 0.05, "momentum": 0.9}),
    ("SGD", {"learning_rate": 0.05, "momentum": 0.9, "nesterov": True}),
    ("SGD", {"learning_rate": 0.05, "weight_decay": 0.1, "clipvalue": 0.02}),
    ("RMSprop", {}),
    ("RMSprop", {"rho": 0.8, "momentum": 0.5}),
    ("RMSprop", {"centered": True, "epsilon": 1e-3}),
    ("Adagrad", {"learning_rate": 0.01, "initial_accumulator_value": 0.2}),
    ("Adadelta", {"learning_rate": 1.0, "rho": 0.9}),
    ("Adam", {}),
    ("Adam", {"amsgrad": True, "beta_1": 0.8, "beta_2": 0.99}),
    ("Adam", {"clipvalue": 0.1, "epsilon": 1e-4}),
    ("AdamW", {"weight_decay": 0.05}),
    ("Adamax", {"learning_rate": 0.005}),
    ("Nadam", {"learning_rate": 0.005}),
    ("Lion", {"learning_rate": 0.001, "weight_decay": 0.01}),
)

LOSSES: tuple[tuple[str, dict[str, Any], str, str], ...] = (
    # class, arguments, activation of the output, kind of target
    ("MeanSquaredError", {}, "linear", "numbers"),
    ("MeanSquaredError", {"reduction": "sum"}, "tanh", "numbers"),
    ("MeanAbsoluteError", {}, "linear", "numbers"),
    ("BinaryCrossentropy", {}, "sigmoid", "bits"),
    ("BinaryCrossentropy", {"from_logits": True, "label_smoothing": 0.1}, "linear", "bits"),
    ("CategoricalCrossentropy", {}, "softmax", "one-hot"),
    ("CategoricalCrossentropy", {"from_logits": True}, "linear", "one-hot"),
    ("CategoricalCrossentropy", {"label_smoothing": 0.2}, "softmax", "one-hot"),
    ("SparseCategoricalCrossentropy", {}, "softmax", "labels"),
    ("SparseCategoricalCrossentropy", {"from_logits": True}, "linear", "labels"),
)

METRICS = {
    "numbers": ["mse", "mae"],
    "bits": ["accuracy", "binary_accuracy", "mse"],
    "one-hot": ["accuracy", "categorical_accuracy", "top_k_categorical_accuracy"],
    "labels": ["accuracy", "sparse_categorical_accuracy", "sparse_top_k_categorical_accuracy"],
}


def targets_of(kind: str, shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """Random targets for outputs of ``shape``, rows included."""
    if kind == "numbers":
        return rng.normal(size=shape).astype("float32")
    if kind == "bits":
        return rng.integers(0, 2, shape).astype("float32")
    labels = rng.integers(0, shape[-1], shape[:-1])
    return labels if kind == "labels" else np.eye(shape[-1], dtype="float32")[labels]


def make(library: Any, program: int, variant: int) -> Any:
    """Builds and compiles the model of a case in ``keras`` or ``nncompile``.

    Variants of a program differ in numbers alone, for which nothing is compiled anew.
    """
    rng = np.random.default_rng(program)
    loss, arguments, activation, kind = LOSSES[program % len(LOSSES)]
    optimizer, settings = OPTIMIZERS[program * 7 % len(OPTIMIZERS)]
    numbers = {k: v * (1 - 0.1 * variant) if isinstance(v, float) else v for k, v in settings.items()}
    outputs = 3 if kind in ("labels", "one-hot") else int(rng.choice([1, 3]))
    stack = random_stack(rng, outputs=outputs, dropout=False, few_sizes=True)
    if activation in ("sigmoid", "softmax"):  # moderate logits: Keras clips probabilities, which are exact here
        stack = Stack(stack.shape, (*stack.layers[:-1], ("Activation", {"activation": "tanh"}), stack.layers[-1]))
    model = stack.build(library)
    model.add(library.layers.Activation(activation))
    model.compile(
        optimizer=getattr(library.optimizers, optimizer)(**numbers),
        loss=getattr(library.losses, loss)(**arguments),
        metrics=list(METRICS[kind]),
        # operation by operation: Keras shares what it compiles of these among all models
        jit_compile=False,
    )
    return model


@pytest.mark.parametrize("variant", range(VARIANTS))
@pytest.mark.parametrize("program", PROGRAMS)
def test_same_path_as_keras(program: int, variant: int, disagreements: dict[str, float]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Keras' own
        theirs = make(keras, program, variant)
    ours = make(nn, program, variant)
    rng = np.random.default_rng([program, variant])
    kind = LOSSES[program % len(LOSSES)][3]
    shape = tuple(theirs.input_shape[1:])
    x = rng.normal(size=(ROWS + VALIDATION_ROWS, *shape)).astype("float32")
    y = targets_of(kind, (ROWS + VALIDATION_ROWS, *theirs.output_shape[1:]), rng)
    weights = [w + rng.normal(size=w.shape).astype("float32") * np.float32(0.05) for w in theirs.get_weights()]
    for model in (theirs, ours):
        model.set_weights(weights)
    batch = BATCHES[variant]
    arguments = {"batch_size": batch, "epochs": EPOCHS, "shuffle": False, "verbose": 0}
    held = (x[ROWS:], y[ROWS:])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = theirs.fit(
            x[:ROWS], y[:ROWS], validation_data=held, validation_batch_size=VALIDATION_ROWS, **arguments
        ).history
        expected_p = theirs.predict(x[:ROWS], batch_size=8, verbose=0)
    got = ours.fit(x[:ROWS], y[:ROWS], validation_data=held, validation_batch_size=VALIDATION_ROWS, **arguments).history

    assert all(np.isfinite(w).all() for w in theirs.get_weights()), "the case says nothing: Keras diverged"
    updates = EPOCHS * -(-ROWS // batch)
    assert list(got) == list(expected)
    worst: dict[str, float] = {}
    for name in expected:
        if "accuracy" in name:  # steps of one row: a tie may be broken otherwise
            assert np.abs(np.subtract(got[name], expected[name])).max() <= 1.01 / VALIDATION_ROWS, name
        else:
            worst["history"] = max(worst.get("history", 0), roundings(got[name], expected[name]))
    for a, b in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        worst["weights"] = max(worst.get("weights", 0), roundings(a, b))
    mine, other = ours.optimizer.variables, theirs.optimizer.variables
    assert [v.shape for v in mine] == [tuple(v.shape) for v in other]
    for a, b in zip(mine[2:], other[2:], strict=True):
        worst["optimizer"] = max(worst.get("optimizer", 0), roundings(a, np.asarray(b)))
    worst["predictions"] = roundings(ours.predict(x[:ROWS], verbose=0), expected_p)
    measured = ours.evaluate(*held, verbose=0, return_dict=True)
    worst["evaluation"] = roundings([measured["loss"]], [expected["val_loss"][-1]])
    for what, size in worst.items():
        key = f"{what}, roundings per update"
        disagreements[key] = max(disagreements.get(key, 0.0), size / updates)
        assert size <= PER_UPDATE[what] * updates, (what, size, updates)
    disagreements["differential cases"] = disagreements.get("differential cases", 0) + 1
