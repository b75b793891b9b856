"""Muon: momentum whose matrix is made orthogonal."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from .. import ops
from ..registry import register
from ..variables import Variable
from .base import Initial, Optimizer


@register("optimizers")
class Muon(Optimizer):
    """Momentum made orthogonal for matrices, :class:`AdamW` for all other weights.

    For a weight of two axes ``m = m + g + m * (momentum - 1)``, and ``G = g + momentum * m`` with Nesterov's look
    ahead, else m. G divided by its norm, as a wide matrix X, goes through ``ns_steps`` Newton-Schulz steps ``A = X
    X^T``, ``X = muon_a * X + (muon_b * A + muon_c * A A) X``, which bring its singular values near 1. Then
    ``w = w - learning_rate * X * sqrt(max(rows, columns)) * rms_rate``.

    Args:
        learning_rate: size of a step.
        adam_beta_1: how much of the mean of gradients is kept, for AdamW.
        adam_beta_2: how much of the mean of squares is kept, for AdamW.
        adam_weight_decay: the decay of weights for AdamW.
        epsilon: added to the root, for AdamW.
        weight_decay: the decay of the matrices.
        clipnorm: as of :class:`Optimizer`, and so are all up to ``name``.
        clipvalue: likewise.
        global_clipnorm: likewise.
        use_ema: likewise.
        ema_momentum: likewise.
        ema_overwrite_frequency: likewise.
        loss_scale_factor: likewise.
        gradient_accumulation_steps: likewise.
        name: likewise.
        exclude_layers: regular expressions; matrices in whose path one is found are for AdamW.
        exclude_embeddings: whether matrices with ``embedding`` in their path are for AdamW.
        muon_a: of the Newton-Schulz steps.
        muon_b: likewise.
        muon_c: likewise.
        adam_lr_ratio: the learning rate of AdamW in units of the other.
        momentum: how much of the sum of gradients is kept.
        ns_steps: how many steps.
        nesterov: whether the momentum looks ahead.
        rms_rate: factor of the change, with the root of the longer side; None for neither.
        **kwargs: the spellings of Keras 1 and 2.

    Source: ``keras.optimizers.Muon``; Jordan et al., 2024, https://kellerjordan.github.io/posts/muon;
    Liu et al., 2025, https://arxiv.org/abs/2502.16982.
    """

    _optional = ("rms_rate", "adam_weight_decay")

    def __init__(
        self,
        learning_rate: float = 0.001,
        adam_beta_1: float = 0.9,
        adam_beta_2: float = 0.999,
        adam_weight_decay: float | None = 0.004,
        epsilon: float = 1e-7,
        weight_decay: float | None = 0.004,
        clipnorm: float | None = None,
        clipvalue: float | None = None,
        global_clipnorm: float | None = None,
        use_ema: bool = False,
        ema_momentum: float = 0.99,
        ema_overwrite_frequency: int | None = None,
        loss_scale_factor: float | None = None,
        gradient_accumulation_steps: int | None = None,
        name: str | None = None,
        exclude_layers: Sequence[str] | None = None,
        exclude_embeddings: bool = True,
        muon_a: float = 3.4445,
        muon_b: float = -4.7750,
        muon_c: float = 2.0315,
        adam_lr_ratio: float = 1,
        momentum: float = 0.95,
        ns_steps: int = 5,
        nesterov: bool = True,
        rms_rate: float | None = 0.2,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            learning_rate,
            weight_decay,
            clipnorm,
            clipvalue,
            global_clipnorm,
            use_ema,
            ema_momentum,
            ema_overwrite_frequency,
            loss_scale_factor,
            gradient_accumulation_steps,
            name,
            **kwargs,
        )
        self.adam_beta_1: Any = adam_beta_1
        self.adam_beta_2: Any = adam_beta_2
        self.epsilon: Any = epsilon
        self.exclude_layers = list(exclude_layers or [])
        self.muon_a: Any = muon_a
        self.muon_b: Any = muon_b
        self.muon_c: Any = muon_c
        self.adam_lr_ratio: Any = adam_lr_ratio
        self.momentum: Any = momentum
        self.ns_steps = ns_steps
        self.nesterov = nesterov
        self.exclude_embeddings = exclude_embeddings
        self.adam_weight_decay: Any = adam_weight_decay
        self.rms_rate: Any = rms_rate

    @property
    def slots(self) -> dict[str, Initial]:
        return {"momentum": 0.0, "velocity": 0.0}

    def slots_of(self, weight: Variable) -> dict[str, Initial]:
        return self.slots if self._is_for_adam(weight) else {"momentum": 0.0}

    def _is_for_adam(self, weight: Variable) -> bool:
        if weight.ndim != 2 or (self.exclude_embeddings and "embedding" in weight.path.lower()):
            return True
        return any(re.search(pattern, weight.path) for pattern in self.exclude_layers)

    def decay_of(self, weight: Variable) -> str | None:
        name = "adam_weight_decay" if self._is_for_adam(weight) else "weight_decay"
        return name if getattr(self, name) is not None and self._decays(weight) else None

    def reads(self, name: str) -> bool:
        return name != "ns_steps"

    def update(self, w: Any, g: Any, m: Any, *velocity: Any, step: Any) -> tuple[Any, ...]:
        if velocity:
            return self._adam(w, g, m, velocity[0], step)
        m = m + (g + m * (self.momentum - 1))
        change = self.learning_rate * self._orthogonal(g + self.momentum * m if self.nesterov else m)
        if self.rms_rate is not None:
            change = change * float(max(ops.weights.sizes(w)) ** 0.5) * self.rms_rate
        return w - change, m

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        last = {name: config.pop(name) for name in ("exclude_embeddings", "adam_weight_decay", "rms_rate")}
        return {**config, **last}  # the order of Keras

    def _orthogonal(self, x: Any) -> Any:
        """About ``U V^T`` for the singular value decomposition ``U S V^T`` of x."""
        rows, columns = ops.weights.sizes(x)
        if min(rows, columns) == 1:  # then X X^T, of the wide X, is one number
            x = x / (ops.norm(x) + 1e-7)
            for _ in range(self.ns_steps):
                a = ops.sum(ops.square(x))
                x = x * (self.muon_a + (self.muon_b * a + self.muon_c * ops.square(a)))
            return x
        x = ops.transpose(x) if rows > columns else x
        x = x / (ops.norm(x) + 1e-7)
        for _ in range(self.ns_steps):
            a = ops.matmul(x, ops.transpose(x))
            b = self.muon_b * a + self.muon_c * ops.matmul(a, a)
            x = self.muon_a * x + ops.matmul(b, x)
        return ops.transpose(x) if rows > columns else x

    def _adam(self, w: Any, g: Any, m: Any, v: Any, step: Any) -> tuple[Any, ...]:
        rate = self.learning_rate * self.adam_lr_ratio
        rate = rate * ops.sqrt(1 - self.adam_beta_2**step) / (1 - self.adam_beta_1**step)
        m = m + (g - m) * (1 - self.adam_beta_1)
        v = v + (ops.square(g) - v) * (1 - self.adam_beta_2)
        return w - m * rate / (ops.sqrt(v) + self.epsilon), m, v
