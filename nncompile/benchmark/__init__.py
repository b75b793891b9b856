"""Measuring: nncompile beside other libraries on the same work, and beside the limits of the machine.

Nothing here is imported by ``import nncompile``. The modules :mod:`.workloads` and
:mod:`.peers` import nothing of the rest of the package outside functions, so that a
process that measures another library does not pay for nncompile.
"""
