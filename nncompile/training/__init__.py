"""Training, evaluation and prediction of models: the loops around compiled code.

The work is done in C, many batches at a time; Python is in between as often as a
callback, the progress bar or Ctrl-C needs it. Mini-batches are Keras': every epoch a new
random order, all samples used, a last short batch trained on, and one update per batch
with the mean of its losses. What comes as a stream of batches is one call of C for each.

====================  ====================================================================
:mod:`.supervision`   what the outputs are trained for, and the logs that come of it
:mod:`.feeds`         the samples of an epoch, cut into calls of C
:mod:`.compiled`      what ``compile`` was given, and the libraries compiled for it
:mod:`.intake`        checks of data against the model
:mod:`.loops`         fit, evaluate and predict
:mod:`.legacy`        the same under the names of Keras 1 and 2
====================  ====================================================================

All of it is one class in the end, :class:`Trainer`, which models derive from.
"""

from __future__ import annotations

from .loops import Trainer

__all__ = ["Trainer"]
