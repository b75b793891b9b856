"""Random models of every layer, made alike of real Keras and of nncompile: what a seed chooses, both choose.

The random numbers are those of ``numpy.random.RandomState``, whose stream NumPy keeps for
ever: what Keras made of them is stored (see random_cases.py).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

WIDTHS = (1, 2, 3, 5, 7, 8, 9, 13, 15, 16, 17, 31, 32, 33)
"""One, primes, and sizes around multiples of the lengths of vectors."""
POSITIONS = (1, 2, 3, 4, 5)
WORDS = 6
"""Integers are below this."""
LARGEST = 70
"""Numbers of a row of a value that is worked on further."""

ACTIVATIONS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("celu", {}), ("celu", {"alpha": 0.5}), ("elu", {}), ("elu", {"alpha": 0.3}), ("exponential", {}),
    ("gelu", {}), ("gelu", {"approximate": True}), ("hard_shrink", {}), ("hard_shrink", {"threshold": 0.2}),
    ("hard_sigmoid", {}), ("hard_silu", {}), ("hard_tanh", {}), ("leaky_relu", {}), ("leaky_relu", {"negative_slope": 0.4}),
    ("linear", {}), ("log_sigmoid", {}), ("log_softmax", {}), ("mish", {}), ("relu", {}),
    ("relu", {"negative_slope": 0.1, "max_value": 1.0, "threshold": 0.2}), ("relu6", {}), ("selu", {}), ("sigmoid", {}),
    ("silu", {}), ("soft_shrink", {}), ("soft_shrink", {"threshold": 0.1}), ("softmax", {}), ("softplus", {}),
    ("softsign", {}), ("sparse_plus", {}), ("sparse_sigmoid", {}), ("sparsemax", {}), ("squareplus", {}),
    ("squareplus", {"b": 2.0}), ("tanh", {}), ("tanh_shrink", {}), ("threshold", {"threshold": 0.1, "default_value": -0.5}),
)  # fmt: skip
"""Every activation, with arguments; glu halves rows and has cases of its own."""
PLAIN = ("celu", "elu", "gelu", "hard_sigmoid", "leaky_relu", "mish", "relu", "selu", "sigmoid", "silu", "softmax",
         "softplus", "softsign", "squareplus", "tanh", None)  # fmt: skip
"""Those of a layer in training, where none has steps and none grows without bound."""
REGULARIZERS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("L1", {"l1": 0.01}), ("L2", {"l2": 0.02}), ("L1L2", {"l1": 0.005, "l2": 0.01}), ("OrthogonalRegularizer", {"factor": 0.02}),
    ("OrthogonalRegularizer", {"factor": 0.02, "mode": "columns"}),
)  # fmt: skip
CONSTRAINTS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("MaxNorm", {"max_value": 0.8}), ("MaxNorm", {"max_value": 0.5, "axis": 1}), ("NonNeg", {}), ("UnitNorm", {}),
    ("UnitNorm", {"axis": 1}), ("MinMaxNorm", {"min_value": 0.4, "max_value": 0.9, "rate": 0.5}),
)  # fmt: skip


class Choices:
    """What a seed chooses."""

    def __init__(self, seed: Any) -> None:
        self.random = np.random.RandomState(seed)

    def one(self, things: Sequence[Any]) -> Any:
        return things[self.random.randint(len(things))]

    def often(self, chance: float) -> bool:
        return bool(self.random.uniform() < chance)

    def numbers(self, *shape: int) -> Any:
        return self.random.normal(size=shape).astype("float32")

    def integers(self, below: int, *shape: int) -> Any:
        return self.random.randint(0, below, shape).astype("int32")

    def positive(self, *shape: int) -> Any:
        return self.random.uniform(0.5, 1.5, shape).astype("float32")


class Grower:
    """Adds layers to a graph of ``k``, which is Keras or nncompile."""

    def __init__(self, k: Any, choices: Choices, noise: bool, training: bool) -> None:
        self.k, self.c, self.noise, self.training = k, choices, noise, training
        self.tensors: list[Any] = []
        self.shared: dict[int, Any] = {}

    # ---- inputs

    def inputs(self, most: int) -> list[Any]:
        made = []
        for number in range(self.c.random.randint(1, most + 1)):
            name, kind = f"x{number}", self.c.one(["vector", "vector", "sequence", "words"])
            if kind == "words":
                made.append(self.k.Input((self.c.one(POSITIONS),), name=name, dtype="int32"))
                self.tensors.append(self.of_words(made[-1]))
                continue
            width = self.c.one(WIDTHS)
            shape = (width,) if kind == "vector" else (self.c.one(POSITIONS), self.c.one(WIDTHS[:9]))
            made.append(self.k.Input(shape, name=name))
            self.tensors.append(made[-1])
        return made

    def of_words(self, x: Any) -> Any:
        layers = self.k.layers
        if self.c.often(0.7):
            options = {"embeddings_regularizer": "l2"} if self.c.often(0.2) else {}
            return layers.Embedding(WORDS, self.c.one(WIDTHS[:9]), **options)(x)
        return layers.CategoryEncoding(WORDS, output_mode=self.c.one(["multi_hot", "count"]))(x)

    # ---- layers

    def dense(self, x: Any, units: int | None = None, activation: Any = "any") -> Any:
        k, c, options = self.k, self.c, dict[str, Any]()
        if activation == "any":
            activation = c.one(PLAIN)
        if c.often(0.25):
            units = units or c.one(WIDTHS)
            alone = x is None or 1 in (units, x.shape[-1])  # nothing is orthogonal to one row
            name, arguments = c.one(REGULARIZERS[:3] if alone else REGULARIZERS)
            options["kernel_regularizer"] = getattr(k.regularizers, name)(**arguments)
            options["bias_regularizer"] = c.one([None, "l1", "l2"])
            options["activity_regularizer"] = c.one([None, None, "l1", "l2"])
        if c.often(0.2):
            name, arguments = c.one(CONSTRAINTS)
            options["kernel_constraint"] = getattr(k.constraints, name)(**arguments)
            options["bias_constraint"] = c.one([None, "non_neg"])
        use_bias = c.often(0.8)
        if not use_bias:
            options.pop("bias_regularizer", None), options.pop("bias_constraint", None)
        return k.layers.Dense(units or c.one(WIDTHS), activation=activation, use_bias=use_bias, **options)

    def pointwise(self, x: Any) -> Any:
        """A layer that keeps the shape."""
        k, c, layers = self.k, self.c, self.k.layers
        rank, width = len(x.shape), x.shape[-1]
        kind = c.one(["activation", "batch", "batch", "layer", "rms", "unit", "group", "noise", "relu", "leaky", "elu",
                      "prelu", "softmax", "identity", "rescaling", "activity", "given"])  # fmt: skip
        axis = c.one([-1] if rank == 2 else [-1, 1, 2])
        epsilon = c.one([1e-3, 0.01, 0.1])
        if kind == "activation":
            if self.training:
                return layers.Activation(c.one(PLAIN[:-1]))
            name, arguments = c.one(ACTIVATIONS)
            function = getattr(k.activations, name)
            return layers.Activation(function) if not arguments else _applied(function, arguments)
        if kind == "batch":
            return layers.BatchNormalization(axis=axis, momentum=c.one([0.99, 0.9, 0.5]), epsilon=epsilon,
                                             center=c.often(0.7), scale=c.often(0.7))  # fmt: skip
        if kind in ("layer", "rms", "unit"):
            over = c.one([axis, [1, 2]]) if rank == 3 else axis
            if kind == "unit":
                return layers.UnitNormalization(axis=over)
            if kind == "rms":
                return layers.RMSNormalization(axis=over, epsilon=epsilon)
            return layers.LayerNormalization(axis=over, epsilon=epsilon, center=c.often(0.7), scale=c.often(0.7))
        if kind == "group":
            groups = c.one([g for g in range(1, width + 1) if width % g == 0])
            return layers.GroupNormalization(groups=groups, epsilon=epsilon, scale=c.often(0.7))
        if kind == "noise":
            if not self.noise:
                return layers.Dropout(0.0)
            return c.one(noises(layers))
        if kind == "relu":
            return layers.ReLU(
                max_value=c.one([None, 1.5]), negative_slope=c.one([0.0, 0.2]), threshold=c.one([0.0, 0.1])
            )
        if kind == "leaky":
            return layers.LeakyReLU(negative_slope=c.one([0.3, 0.1]))
        if kind == "elu":
            return layers.ELU(alpha=c.one([1.0, 0.5]))
        if kind == "prelu":
            return layers.PReLU(shared_axes=c.one([None, [1]]), alpha_regularizer=c.one([None, "l2"]))
        if kind == "softmax":
            return layers.Softmax(axis=axis)
        if kind == "rescaling":
            return layers.Rescaling(c.one([0.5, 2.0]), offset=c.one([0.0, -0.5]))
        if kind == "activity":
            return layers.ActivityRegularization(l1=c.one([0.0, 0.01]), l2=0.02)
        if kind == "given":
            return layers.Normalization(axis=-1, mean=list(c.numbers(width)), variance=list(c.positive(width)),
                                        invert=c.often(0.3))  # fmt: skip
        return layers.Identity()

    def reshaping(self, x: Any) -> Any:
        """A layer that changes the shape."""
        c, layers = self.c, self.k.layers
        shape = x.shape[1:]
        if len(shape) == 1:
            width = shape[0]
            if c.often(0.5):
                return layers.RepeatVector(c.one([2, 3]))
            divisors = [n for n in range(1, width + 1) if width % n == 0]
            return layers.Reshape((-1, c.one(divisors)))
        positions = shape[0]
        return c.one([
            lambda: layers.Flatten(), lambda: layers.Permute((2, 1)), lambda: layers.Reshape((shape[1], -1)),
            lambda: layers.GlobalAveragePooling1D(keepdims=c.often(0.3)), lambda: layers.GlobalMaxPooling1D(),
            lambda: layers.AveragePooling1D(min(2, positions), c.one([1, 2]), c.one(["valid", "same"])),
            lambda: layers.MaxPooling1D(min(3, positions), c.one([1, 2]), c.one(["valid", "same"])),
            lambda: layers.ZeroPadding1D(c.one([1, (0, 2)])), lambda: layers.UpSampling1D(2),
            lambda: layers.Cropping1D((0, 1)) if positions > 1 else layers.ZeroPadding1D((1, 0)),
            lambda: layers.TimeDistributed(self.dense(None)),
        ])()  # fmt: skip

    def merged(self, x: Any) -> Any:
        c, layers = self.c, self.k.layers
        alike = [t for t in self.tensors if t.shape == x.shape]
        same_rank = [t for t in self.tensors if len(t.shape) == len(x.shape) and t.shape[1:-1] == x.shape[1:-1]]
        fitting = [t for t in same_rank if 1 in (t.shape[-1], x.shape[-1]) or t.shape[-1] == x.shape[-1]]
        kind = c.one(["Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum", "Concatenate", "Dot", "gate"])
        if kind == "Concatenate":
            return layers.Concatenate()([x, *(c.one(same_rank) for _ in range(c.one([1, 2])))])
        if kind == "Dot":
            if len(x.shape) == 3:
                return layers.Dot(axes=c.one([(1, 1), (2, 2)]))([x, c.one(alike)])
            return layers.Dot(axes=-1, normalize=c.often(0.3))([x, c.one(alike)])
        if kind == "Subtract":
            return layers.Subtract()([x, c.one(fitting)])
        if kind == "gate":
            return layers.Multiply()([x, layers.Dense(1, activation="sigmoid")(x)])
        return getattr(layers, kind)()([x, c.one(fitting), *([c.one(alike)] if c.often(0.4) else [])])

    def operated(self, x: Any) -> Any:
        ops = self.k.ops
        return self.c.one([
            lambda x: x * 0.5 + 1.0, lambda x: 1.0 - x, lambda x: x / (1.0 + ops.abs(x)), ops.tanh, lambda x: x[:, :1],
            lambda x: ops.sum(x, axis=-1, keepdims=True), lambda x: ops.exp(-ops.square(x)), lambda x: ops.maximum(x, 0.1),
            lambda x: ops.concatenate([x, -x], axis=-1), lambda x: ops.max(x, axis=1, keepdims=True),
        ])(x)  # fmt: skip

    def grow(self, steps: int) -> None:
        c, layers = self.c, self.k.layers
        for number in range(steps):
            x = c.one(self.tensors[-3:] if c.often(0.7) else self.tensors)
            kind = c.one(["dense", "dense", "dense", "shared", "pointwise", "pointwise", "pointwise", "reshaping", "merged",
                          "merged", "operated", "inner"])  # fmt: skip
            if kind == "dense":
                made = self.dense(x)(x)
            elif kind == "shared":
                width = x.shape[-1]
                units = c.one(WIDTHS[:9])
                layer = self.shared.setdefault(width, layers.Dense(units, activation="tanh", name=f"shared_{number}"))
                made = layer(x)
            elif kind == "inner":
                i = self.k.Input((x.shape[-1],))
                inner = self.k.Model(
                    i, layers.Dense(x.shape[-1])(layers.Dense(3, activation="tanh")(i)), name=f"m{number}"
                )
                flat = x if len(x.shape) == 2 else layers.GlobalAveragePooling1D()(x)
                made = inner(inner(flat))
            elif kind in ("merged", "operated"):
                made = getattr(self, kind)(x)
            else:
                made = getattr(self, kind)(x)(x)
            if int(np.prod(made.shape[1:])) <= LARGEST:
                self.tensors.append(made)


def _applied(function: Callable[..., Any], arguments: dict[str, Any]) -> Callable[[Any], Any]:
    """An activation with arguments, which an Activation does not take."""
    return lambda x: function(x, **arguments)


def noises(layers: Any) -> list[Any]:
    """Layers that only do something while a model is trained."""
    return [layers.Dropout(0.3), layers.GaussianDropout(0.3), layers.GaussianNoise(0.3), layers.AlphaDropout(0.2)]


def random_model(k: Any, seed: int, noise: bool) -> Any:
    """A graph of three to ten layers, of one to three inputs and outputs, in lists or by names."""
    choices = Choices([1, seed])
    grower = Grower(k, choices, noise, False)
    inputs = grower.inputs(3)
    grower.grow(int(choices.random.randint(3, 11)))
    candidates = [t for t in grower.tensors if not any(t is i for i in inputs)] or [k.layers.Dense(2)(inputs[0])]
    chosen = [candidates[-1], *(choices.one(candidates) for _ in range(2))]
    outputs = list({id(t): t for t in chosen}.values())
    if noise:  # in turn, so that all of them are met; what is predicted stays as it is
        outputs[0] = noises(k.layers)[seed // 3 % 4](outputs[0])
    if choices.often(0.25):
        return k.Model({t.name: t for t in inputs}, {f"y{i}": t for i, t in enumerate(outputs)})
    return k.Model(inputs if len(inputs) > 1 else inputs[0], outputs if len(outputs) > 1 else outputs[0])


def random_weights(model: Any, choices: Choices) -> list[Any]:
    """Numbers for all weights of a model, in the order it has them: of the sizes that trained ones are."""
    made = []
    for weight in model.weights:
        shape = tuple(weight.shape)
        if "variance" in weight.name:
            made.append(choices.positive(*shape))
        elif weight.name == "gamma":
            made.append(1 + 0.2 * choices.numbers(*shape))
        else:
            made.append(choices.numbers(*shape) * np.float32(0.3 if len(shape) < 2 else shape[0] ** -0.5))
    return [w.astype("float32") for w in made]


def random_inputs(model: Any, choices: Choices, rows: int) -> list[Any]:
    """Rows for every input of a model of :class:`Grower`."""
    return [
        choices.integers(WORDS, rows, *t.shape[1:]) if "int" in str(t.dtype) else choices.numbers(rows, *t.shape[1:])
        for t in model.inputs
    ]
