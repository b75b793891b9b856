"""Callbacks: code of the user's that runs at given points of fit, evaluate and predict.

The loop over batches is in C. It comes back to Python after every batch only if a
callback asks for that by overriding one of the batch hooks; see
:attr:`CallbackList.needs_train_batches`. Otherwise many batches run in one call, and only
the progress bar hears of them, through :meth:`CallbackList.progress`.
"""

from __future__ import annotations

from .actions import LambdaCallback, LearningRateScheduler, SwapEMAWeights, TerminateOnNaN
from .base import Callback
from .checkpoints import BackupAndRestore, ModelCheckpoint
from .container import CallbackList
from .monitors import EarlyStopping, ReduceLROnPlateau
from .reports import CSVLogger, History, ProgbarLogger, RemoteMonitor
from .tensorboard import TensorBoard

__all__ = [
    "BackupAndRestore",
    "CSVLogger",
    "Callback",
    "CallbackList",
    "EarlyStopping",
    "History",
    "LambdaCallback",
    "LearningRateScheduler",
    "ModelCheckpoint",
    "ProgbarLogger",
    "ReduceLROnPlateau",
    "RemoteMonitor",
    "SwapEMAWeights",
    "TensorBoard",
    "TerminateOnNaN",
]
