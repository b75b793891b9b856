"""Policies: in which types a layer keeps its weights and multiplies, as ``keras.dtype_policies``.

``mixed_bfloat16`` keeps weights, and what the optimizer keeps of them, in float32. The
operands of matrix products are rounded to bfloat16 (8 significant bits, the exponents of
float32), the products are summed in float32, and all else is computed in float32, which
is at least as accurate as what Keras does: it rounds every intermediate result. Outputs
are float32 arrays.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from . import config
from .errors import ModelError, UnsupportedError
from .registry import nearest

_NAMES = ("float32", "float64", "mixed_bfloat16")
_OF_KERAS = ("float16", "bfloat16", "mixed_float16", "int8", "uint8", "int4", "float8")
"""How the names of Keras' other policies begin."""


class DTypePolicy:
    """In which types a layer works.



    Args:
        name: ``"float32"``, ``"float64"`` or ``"mixed_bfloat16"``; the policy of the process
            if None.

    Attributes:
        name: the same.
        compute_dtype: type of the operands of matrix products: ``"bfloat16"`` if mixed.
        variable_dtype: type of the weights, and of all that is not a product.

    Raises:
        UnsupportedError: a policy that Keras has and nncompile has not.
        ModelError: anything else.

    Source: ``keras.DTypePolicy``.
    """

    def __init__(self, name: str | None = None) -> None:
        self.name: str = config.dtype_policy().name if name is None else checked(name, type(self).__name__)

    @property
    def compute_dtype(self) -> str:
        """Type of the operands of matrix products: ``"bfloat16"`` if mixed."""
        return "bfloat16" if self.name == "mixed_bfloat16" else self.name

    @property
    def variable_dtype(self) -> str:
        """Type of the weights, and of all that is not a product."""
        return "float32" if self.name == "mixed_bfloat16" else self.name

    @property
    def quantization_mode(self) -> None:
        """None: there are no quantized policies here."""
        return None

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that make an equal policy."""
        return {"name": self.name}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> DTypePolicy:
        """Returns the policy that :meth:`get_config` described.

        Args:
            config: its arguments.
        """
        return cls(**config)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, DTypePolicy) and self.name == other.name

    def __hash__(self) -> int:
        return hash(self.name)

    def __repr__(self) -> str:
        return f'<DTypePolicy "{self.name}">'


FloatDTypePolicy = DTypePolicy


def checked(name: object, where: str) -> str:
    """Returns ``name`` if it is that of a policy.

    Raises:
        UnsupportedError: Keras has the policy and nncompile has not.
        ModelError: anything else.
    """
    if isinstance(name, str):
        if name in _NAMES:
            return name
        if name.startswith(_OF_KERAS):
            raise UnsupportedError(f"{where}: {name} is not supported; use {', '.join(_NAMES)}.")
    advice = nearest(str(name), _NAMES)
    raise ModelError(f"{where}: expected one of {', '.join(map(repr, _NAMES))}, received {name!r:.80}.{advice}")


def get(identifier: Any, where: str = "dtype_policies.get") -> DTypePolicy:
    """Returns the policy that something names.

    Args:
        identifier: a name, a policy of this or of Keras' classes, a NumPy type, a
            configuration that Keras wrote, or None for the policy of the process.
        where: for the error.

    Raises:
        UnsupportedError: a policy that Keras has and nncompile has not.
        ModelError: anything else.

    Source: ``keras.dtype_policies.get``.
    """
    if identifier is None:
        return config.dtype_policy()
    if isinstance(identifier, DTypePolicy):
        return identifier
    if isinstance(identifier, Mapping):
        inner = identifier.get("config")
        if identifier.get("class_name") not in ("DTypePolicy", "FloatDTypePolicy") or not isinstance(inner, Mapping):
            raise UnsupportedError(f"{where}: {identifier.get('class_name')!r:.80} is not supported yet.")
        identifier = inner.get("name")
    elif isinstance(identifier, type) and issubclass(identifier, np.generic):
        identifier = np.dtype(identifier).name
    return DTypePolicy(checked(getattr(identifier, "name", identifier), where))


def serialize(dtype_policy: DTypePolicy) -> dict[str, Any]:
    """Returns what Keras writes of a policy.

    Args:
        dtype_policy: the policy.

    Source: ``keras.dtype_policies.serialize``.
    """
    return {
        "module": "keras",
        "class_name": "DTypePolicy",
        "config": dtype_policy.get_config(),
        "registered_name": None,
    }


def deserialize(config: Mapping[str, Any], custom_objects: Any = None) -> DTypePolicy:
    """Returns the policy that :func:`serialize` described.

    Args:
        config: what that returned.
        custom_objects: without meaning: there are no policies of users.

    Source: ``keras.dtype_policies.deserialize``.
    """
    del custom_objects  # there are none
    return get(config, "dtype_policies.deserialize")


__all__ = ["DTypePolicy", "FloatDTypePolicy", "deserialize", "get", "serialize"]
