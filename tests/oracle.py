"""Real Keras, which the tests compare with; they are skipped where it is not installed."""

from __future__ import annotations

import os
import warnings

import pytest

os.environ["KERAS_BACKEND"] = "jax"
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    keras = pytest.importorskip("keras")
    pytest.importorskip("jax")
