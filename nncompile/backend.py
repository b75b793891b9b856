"""Process-wide state under the names of ``keras.backend``: settings and automatic names."""

from __future__ import annotations

import gc
from collections import Counter
from typing import Any

import numpy as np

from .config import epsilon, floatx, image_data_format, set_epsilon, set_floatx, set_image_data_format
from .errors import ModelError
from .registry import snake_case

__all__ = [
    "auto_name",
    "clear_session",
    "epsilon",
    "floatx",
    "get_uid",
    "image_data_format",
    "is_float_dtype",
    "is_int_dtype",
    "reset_uids",
    "set_epsilon",
    "set_floatx",
    "set_image_data_format",
    "standardize_dtype",
]

_uids: Counter[str] = Counter()


def get_uid(prefix: str = "") -> int:
    """Returns how often ``prefix`` was asked for, this time included.

    Args:
        prefix: of a name.

    Source: ``keras.backend.get_uid``.
    """
    _uids[prefix] += 1
    return _uids[prefix]


def auto_name(class_name: str) -> str:
    """Returns a name not given before: ``dense``, then ``dense_1``, ``dense_2``, …

    Args:
        class_name: what is to be named, ``"Dense"``.
    """
    prefix = snake_case(class_name)
    number = get_uid(prefix) - 1
    return f"{prefix}_{number}" if number else prefix


def reset_uids() -> None:
    """Makes automatic names start over."""
    _uids.clear()


def clear_session(free_memory: bool = True) -> None:
    """Forgets which automatic names were given, so that ``dense`` is next again.

    Args:
        free_memory: whether to collect garbage as well.

    Source: ``keras.backend.clear_session``.
    """
    reset_uids()
    if free_memory:
        gc.collect()


def standardize_dtype(dtype: Any) -> str:
    """Returns the name of an element type: ``floatx()`` for None, ``"float32"`` for ``float``, ``"int32"`` for ``int``.

    Args:
        dtype: name or type, of Python, NumPy or another package.

    Raises:
        ModelError: it is not the type of a number.

    Source: ``keras.backend.standardize_dtype``.
    """
    if dtype is None:
        return floatx()
    if dtype is float or dtype is int:
        return "float32" if dtype is float else "int32"
    name = str(getattr(dtype, "name", None) or getattr(dtype, "__name__", None) or dtype)
    name = name.removeprefix("torch.").removeprefix("jax.numpy.")
    if name == "bfloat16":
        return name
    try:
        found = np.dtype(name)
    except TypeError:
        found = None
    if found is None or found.kind not in "biufc":
        raise ModelError(f"standardize_dtype: expected the type of a number, received {dtype!r:.80}.")
    return str(found)


def is_float_dtype(dtype: Any) -> bool:
    """Returns whether an element type is one of fractions.

    Args:
        dtype: name or type.

    Source: ``keras.backend.is_float_dtype``.
    """
    return "float" in standardize_dtype(dtype)


def is_int_dtype(dtype: Any) -> bool:
    """Returns whether an element type is one of whole numbers, bool not among them.

    Args:
        dtype: name or type.

    Source: ``keras.backend.is_int_dtype``.
    """
    return standardize_dtype(dtype).removeprefix("u").startswith("int")
