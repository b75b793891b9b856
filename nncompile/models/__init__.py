"""Models, with the names of ``keras.models``.

A model is a layer that can be trained, saved and exported. There are three kinds: a
:class:`Sequential` is a stack of layers; ``Model(inputs, outputs)`` is a graph of calls
of layers, a Functional; and a class of a user's own calls its layers in ``call``. All of
them compile in the same way, as ``call`` does nothing else than to call layers.
"""

from __future__ import annotations

from .cloning import clone_model, model_from_json
from .functional import Functional as Functional
from .model import Model
from .sequential import Sequential

__all__ = ["Model", "Sequential", "clone_model", "model_from_json"]
