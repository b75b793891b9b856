"""What is around a layer while it is built or called: other layers, a mode of training, the owner of formulas.

Paths of weights, such as ``sequential/dense/kernel``, come from the layers around, and an
inner layer is in training if the outermost call is; context variables keep both.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar
from typing import TYPE_CHECKING

from .. import ops

if TYPE_CHECKING:
    from .base import Layer

_layers: ContextVar[tuple[Layer, ...]] = ContextVar("layers around", default=())
layers_around = _layers.get
"""Returns the layers that are being built or called, the outermost first."""
_training: ContextVar[bool | None] = ContextVar("training mode of the outermost call", default=None)
training_around = _training.get
"""Returns the mode of training of the call around, None if nothing was said or nothing is called."""

_trial: ContextVar[bool] = ContextVar("whether the number of rows is made up", default=False)


@contextlib.contextmanager
def trial(made_up: bool) -> Iterator[None]:
    """Says of what is called meanwhile whether its arrays have some number of rows for want of a known one."""
    token = _trial.set(made_up)
    try:
        yield
    finally:
        _trial.reset(token)


def built_for(shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
    """Returns the shape for which a layer is built that is called on an array: as in Keras with its rows."""
    return (None, *shape[1:]) if _trial.get() else shape


@contextlib.contextmanager
def inside(layer: Layer) -> Iterator[None]:
    """Puts ``layer`` into the path of what is made meanwhile."""
    around = _layers.get()
    if around and around[-1] is layer:
        yield
        return
    token = _layers.set((*around, layer))
    try:
        yield
    finally:
        _layers.reset(token)


def path_of(layer: Layer) -> str:
    """Returns the names of the layers around and its own: ``sequential/dense``."""
    around = _layers.get()
    names = [other.name for other in around]
    if not around or around[-1] is not layer:
        names.append(layer.name)
    return "/".join(names)


@contextlib.contextmanager
def training(mode: bool | None) -> Iterator[None]:
    """Sets the mode of training of what is called meanwhile."""
    token = _training.set(mode)
    try:
        yield
    finally:
        _training.reset(token)


@contextlib.contextmanager
def calling(layer: Layer, mode: bool | None, symbols: bool) -> Iterator[None]:
    """Sets all that is around the ``call`` of a layer.

    Args:
        layer: it.
        mode: of training.
        symbols: whether it is called on expressions, which belong to it then.
    """
    owner = ops.set_owner(layer.name) if symbols else None
    token, products = _training.set(mode), ops.products_in(layer.compute_dtype)
    try:
        with inside(layer):
            yield
    finally:
        _training.reset(token)
        ops.products_in(products)
        if owner is not None:
            ops.set_owner(owner)
