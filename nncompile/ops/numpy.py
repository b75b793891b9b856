"""The operations under the names of ``keras.ops.numpy``; they stand in :mod:`nncompile.ops`."""

from .. import absent

__getattr__ = absent.mirror(__name__, "nncompile.ops")
