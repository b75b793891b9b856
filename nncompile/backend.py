"""Process-wide state under the names of ``keras.backend``: settings and automatic names."""

from __future__ import annotations

import gc
from collections import Counter

from .config import epsilon, floatx, image_data_format, set_epsilon, set_floatx
from .registry import snake_case

__all__ = [
    "auto_name",
    "clear_session",
    "epsilon",
    "floatx",
    "get_uid",
    "image_data_format",
    "reset_uids",
    "set_epsilon",
    "set_floatx",
]

_uids: Counter[str] = Counter()


def get_uid(prefix: str = "") -> int:
    """Returns how often ``prefix`` was asked for, this time included."""
    _uids[prefix] += 1
    return _uids[prefix]


def auto_name(class_name: str) -> str:
    """Returns a name not given before: ``dense``, then ``dense_1``, ``dense_2``, …"""
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
    """
    reset_uids()
    if free_memory:
        gc.collect()
