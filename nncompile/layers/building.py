"""Building: what is added to every ``build``, and the trial run of a layer that does not say what it returns."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from .. import tree
from ..errors import ModelError, NncompileError, UnsupportedError
from ..ops import symbolic
from . import scope

if TYPE_CHECKING:
    from .base import Layer

Function = TypeVar("Function", bound=Callable[..., Any])


def wrap_build(build: Function) -> Function:
    """Adds to a ``build`` what Keras adds: path, record of the shape, and the seal.

    A ``build`` that fails leaves the layer as it was.
    """
    parameters = list(inspect.signature(build).parameters)[1:]

    @functools.wraps(build)
    def wrapper(self: Layer, *args: Any, **kwargs: Any) -> None:
        self._check_super_called()
        if self._building:  # build of a base class, called by the build of its subclass
            build(self, *args, **kwargs)
            return
        args = tuple(tuple(a) if isinstance(a, list) and tree.is_shape(a) else a for a in args)
        before = {k: list(v) if isinstance(v, list) else v for k, v in self.__dict__.items()}
        with scope.inside(self):
            self._building = True
            self._path = scope.path_of(self)
            try:
                build(self, *args, **kwargs)
            except BaseException:
                self.__dict__.clear()
                self.__dict__.update(before)
                raise
            self._building = False
        shapes = {**dict(zip(parameters, args, strict=False)), **kwargs}
        self._build_shapes = {
            name: tuple(s) if isinstance(s, list) and tree.is_shape(s) else s for name, s in shapes.items()
        }
        self._finish_build()

    return wrapper  # type: ignore[return-value]


def tried(
    layer: Layer, args: tuple[Any, ...], kwargs: Mapping[str, Any], function: Callable[..., Any] | None = None
) -> Any:
    """Runs a layer on arrays of 2 and of 3 rows in the place of symbolic tensors: sizes that differ are the rows.

    Of tensors whose rows are known it is run on these, once.

    Args:
        layer: what is run; layers inside of it are built by that.
        args: those of the call, with symbolic tensors.
        kwargs: likewise.
        function: what is run in the place of the layer.

    Returns:
        Symbolic tensors of the shapes and types that it returned.

    Raises:
        ModelError: it failed; what it raised is the cause.
        UnsupportedError: likewise, with a NotImplementedError.
    """
    made, losses = [], {id(part): [*part._losses] for part in layer._walk()}
    open_ended = any(None in x.shape for x in symbolic.tensors_among((args, dict(kwargs))))
    for rows in (2, 3) if open_ended else (2,):
        given, named = tree.map_structure(functools.partial(symbolic.sample, rows=rows), (args, dict(kwargs)))
        try:
            with np.errstate(all="ignore"), scope.trial(open_ended):
                made.append(function(*given, **named) if function else layer(*given, **named, training=False))
        except NncompileError:  # says itself which layer it is about
            raise
        except Exception as error:  # whatever a call() of the user's may raise
            kind = UnsupportedError if isinstance(error, NotImplementedError) else ModelError
            shapes = ", ".join(str(np.shape(x)) for x in tree.flatten((given, named)) if np.ndim(x))
            raise kind(
                f"{layer._where}: call() failed for an input of shape {shapes}, with which the shape of its "
                f"output is found out: {type(error).__name__}: {error}. Make it take such an input, or define "
                "compute_output_shape()."
            ) from error
        finally:
            for part in layer._walk():  # what a trial adds to the loss is none of it
                part._losses[:] = losses.get(id(part), [])
    try:
        return tree.map_structure(symbolic.result, made[0], made[-1])
    except ModelError as error:
        raise ModelError(
            f"{layer._where}: its output has another number of axes for another number of rows: {error}"
        ) from error
