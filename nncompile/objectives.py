"""The losses under the name that Keras 1 had for them; they stand in :mod:`nncompile.losses`."""

from . import absent

__getattr__ = absent.mirror(__name__, "nncompile.losses")

absent.warn_of_module("nncompile.objectives", "nncompile.losses")
