"""What Keras 1 and 2 had under ``keras.utils.np_utils``; it stands in :mod:`nncompile.utils`."""

from .. import absent
from . import normalize, to_categorical

__all__ = ["normalize", "to_categorical"]

absent.warn_of_module("nncompile.utils.np_utils", "nncompile.utils")
