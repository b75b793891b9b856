"""Functional: the model that ``Model(inputs, outputs)`` makes, and its configuration."""

from __future__ import annotations

from typing import Any

from ..layers import base
from .model import Model


class Functional(Model):
    """A model of the layers that were called between its inputs and its outputs; see :class:`Model`.

    Args:
        inputs: a symbolic tensor, or a structure of such.
        outputs: likewise.
        name: any string without ``/``; made up if None.
        **kwargs: ``trainable``.

    Source: ``keras.Model``.
    """

    def __init__(self, inputs: Any = None, outputs: Any = None, name: str | None = None, **kwargs: Any) -> None:
        given = {k: v for k, v in (("inputs", inputs), ("outputs", outputs)) if v is not None}
        super().__init__(**given, name=name, **kwargs)


base.MODELS["Functional"] = Functional
