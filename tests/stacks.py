"""Descriptions of small networks, from which real Keras and nncompile build the same one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

SMOOTH = ("tanh", "sigmoid", "softplus", "softsign", "silu", "gelu", "mish", "squareplus", "exponential", "log_sigmoid",
          "tanh_shrink", "linear")  # fmt: skip
KINKED = ("relu", "leaky_relu", "relu6", "elu", "selu", "celu", "hard_sigmoid", "hard_silu", "hard_tanh", "soft_shrink",
          "hard_shrink", "sparse_plus", "sparse_sigmoid")  # fmt: skip
OVER_ROWS = ("softmax", "log_softmax")


@dataclass(frozen=True)
class Stack:
    """A Sequential: the shape of a row, and (class name, arguments) of its layers."""

    shape: tuple[int, ...]
    layers: tuple[tuple[str, dict[str, Any]], ...]

    def build(self, library: Any, name: str | None = None) -> Any:
        """Makes the model of ``keras`` or ``nncompile``."""
        layers = [getattr(library.layers, kind)(**arguments) for kind, arguments in self.layers]
        return library.Sequential([library.Input(self.shape), *layers], name=name)

    def __str__(self) -> str:
        texts = [f"{kind}({', '.join(f'{k}={v}' for k, v in a.items())})" for kind, a in self.layers]
        return f"{'x'.join(map(str, self.shape))}-{'-'.join(texts)}"


def random_stack(
    rng: np.random.Generator, outputs: int | None = None, dropout: bool = True, few_sizes: bool = False
) -> Stack:
    """A network of up to five layers with all that may be combined; its output is a Dense of ``outputs``.

    With ``few_sizes`` the layers of many networks are of the same few sizes: real Keras
    compiles each operation once for each size.
    """

    def activation() -> str:
        return str(rng.choice(SMOOTH + KINKED + OVER_ROWS))

    rank = int(rng.choice([1, 1, 1, 2, 3]))
    shape = tuple(int(n) for n in rng.integers(2, 6, rank))
    if rng.random() < 0.2:
        shape = (*shape[:-1], int(rng.integers(17, 40)))
    if few_sizes:
        shape = ((5,), (5,), (5,), (20,), (20,), (3, 5), (3, 5), (2, 3, 5))[rng.integers(8)]
        rank = len(shape)
    layers: list[tuple[str, dict[str, Any]]] = []
    for _ in range(int(rng.integers(1, 5))):
        kind = rng.choice(["Dense", "Dense", "Dense", "Activation", "Flatten", "Dropout"])
        if kind == "Dense":
            units = int(rng.integers(2, 8)) if rng.random() < 0.8 else int(rng.integers(15, 35))
            units = (5, 5, 20)[rng.integers(3)] if few_sizes else units
            layers.append(("Dense", {"units": units, "activation": activation(), "use_bias": bool(rng.random() < 0.7)}))
        elif kind == "Activation":
            layers.append(("Activation", {"activation": activation()}))
        elif kind == "Dropout":
            layers.append(("Dropout", {"rate": float(rng.choice([0.0, 0.25])) if dropout else 0.0}))
        else:
            layers.append(("Flatten", {}))
    if rng.random() < 0.5 or (rank == 3 and ("Flatten", {}) not in layers):
        layers.append(("Flatten", {}))
    last = {"units": outputs or int(rng.integers(1, 5)), "use_bias": bool(rng.random() < 0.7)}
    return Stack(shape, (*layers, ("Dense", last)))
