"""Real Keras, which the tests compare with; they are skipped where it is not installed."""

from __future__ import annotations

import gc
import importlib.metadata
import importlib.util
import os
import warnings

import pytest

os.environ["KERAS_BACKEND"] = "jax"
QUICK = "--xla_backend_optimization_level=0 --xla_cpu_use_fusion_emitters=false"
"""Most of the time of a test that trains with Keras XLA spends on compiling: this takes a third of it, and computes the same."""
if importlib.util.find_spec("jaxlib") and importlib.metadata.version("jaxlib").startswith(("0.9.", "0.10.")):
    # by version, since XLA ends the process at a flag that it does not know
    os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {QUICK}".strip()
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    keras = pytest.importorskip("keras")
    pytest.importorskip("jax")
gc.freeze()  # its modules stay: no collection need look at their half a million objects
