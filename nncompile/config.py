"""Process-wide settings, with the names of ``keras.config``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from . import targets
from .errors import ModelError, UnsupportedError

if TYPE_CHECKING:
    from .dtype_policies import DTypePolicy

_FLOATS = ("float32", "float64")
_floatx = "float32"
_epsilon = 1e-7
_policy: DTypePolicy | None = None
_interactive_logging = True
_image_data_format = "channels_last"


def floatx() -> str:
    """Returns the element type of new layers: ``"float32"`` or ``"float64"``.

    Source: ``keras.config.floatx``.
    """
    return _floatx


def set_floatx(value: str) -> None:
    """Sets the element type of layers made from now on.

    Args:
        value: ``"float32"`` (the default) or ``"float64"``.

    Raises:
        UnsupportedError: a type that Keras knows and nncompile does not.
        ModelError: anything else.

    Source: ``keras.config.set_floatx``.
    """
    global _floatx
    _floatx = checked_float(value, "set_floatx")


def checked_float(value: object, where: str) -> str:
    """Returns ``value`` if it names an element type that can be compiled.

    Args:
        value: name or type.
        where: who asks, for the error.

    Raises:
        UnsupportedError: a type that Keras has and that cannot be compiled.
        ModelError: anything else.
    """
    name = getattr(value, "name", value)
    if name in _FLOATS:
        return str(name)
    if name in ("float16", "bfloat16", "mixed_float16", "mixed_bfloat16", "int8"):
        advice = " For bfloat16 products: set_dtype_policy('mixed_bfloat16')." if "bfloat16" in str(name) else ""
        raise UnsupportedError(f"{where}: {name} is not supported; use float32 or float64.{advice}")
    raise ModelError(f"{where}: expected 'float32' or 'float64', received {value!r}.")


def dtype_policy() -> DTypePolicy:
    """Returns the policy of layers made from now on: the one that was set, else that of :func:`floatx`.

    Source: ``keras.config.dtype_policy``.
    """
    from .dtype_policies import DTypePolicy

    return DTypePolicy(_floatx) if _policy is None else _policy


def set_dtype_policy(policy: Any) -> None:
    """Sets the policy of layers made from now on.

    Args:
        policy: ``"float32"``, ``"float64"``, ``"mixed_bfloat16"`` (products of bfloat16
            numbers summed in float32, weights in float32) or a ``DTypePolicy``; None for
            that of :func:`floatx` again.

    Raises:
        UnsupportedError: a policy that Keras has and nncompile has not.
        ModelError: anything else.

    Source: ``keras.config.set_dtype_policy``.
    """
    from . import dtype_policies

    global _policy
    _policy = None if policy is None else dtype_policies.get(policy, "set_dtype_policy")


def epsilon() -> float:
    """Returns the small number of Keras' formulas, 1e-7 unless set.

    Source: ``keras.config.epsilon``.
    """
    return _epsilon


def set_epsilon(value: float) -> None:
    """Sets the number that :func:`epsilon` returns.

    Args:
        value: the number.

    Source: ``keras.config.set_epsilon``.
    """
    global _epsilon
    _epsilon = float(value)


def enable_interactive_logging() -> None:
    """Makes progress and messages go to standard output, as they do at first.

    Source: ``keras.config.enable_interactive_logging``.
    """
    global _interactive_logging
    _interactive_logging = True


_image_data_format = "channels_last"


def disable_interactive_logging() -> None:
    """Makes progress and messages go to the logger ``nncompile`` of Python's ``logging``, as lines of level INFO.

    Source: ``keras.config.disable_interactive_logging``.
    """
    global _interactive_logging
    _interactive_logging = False


def is_interactive_logging_enabled() -> bool:
    """Returns whether progress and messages go to standard output.

    Source: ``keras.config.is_interactive_logging_enabled``.
    """
    return _interactive_logging


def image_data_format() -> str:
    """Returns where layers take channels to be unless they are told: ``"channels_last"``, or what was set.

    Source: ``keras.config.image_data_format``.
    """
    return _image_data_format


def set_image_data_format(data_format: str) -> None:
    """Sets where layers that are made from now on take channels to be, for example ``Flatten``.

    Args:
        data_format: ``"channels_last"`` (the default) or ``"channels_first"``.

    Raises:
        ModelError: anything else.

    Source: ``keras.config.set_image_data_format``.
    """
    global _image_data_format
    wanted = str(data_format).lower()
    if wanted not in ("channels_last", "channels_first"):
        raise ModelError(
            f"set_image_data_format: expected 'channels_last' or 'channels_first', received {data_format!r:.80}."
        )
    _image_data_format = wanted


def set_target(name: str | None) -> None:
    """Chooses the processor that models are compiled for, by the name of a target.

    Args:
        name: for example ``"x86-64-v3"`` or ``"c99"``; None for the best that this machine
            can run. ``NNCOMPILE_TARGET`` does the same from outside.

    Raises:
        ModelError: the name is unknown, or this machine cannot run it.
    """
    targets.set_host(name)


def target() -> str:
    """Returns the name of the target that models are compiled for."""
    return targets.host().name


def set_num_threads(count: int | None) -> None:
    """Sets how many threads train and predict. The results are the same, to the last bit, for any number.

    Args:
        count: 1 or more; None for the default, which is ``NNCOMPILE_NUM_THREADS`` or else as
            many as this process has cores.

    Raises:
        ModelError: not a positive whole number.
    """
    targets.set_threads(count)


def num_threads() -> int:
    """Returns how many threads train and predict."""
    return targets.threads()


def set_matmul_precision(name: str | None) -> None:
    """Sets how products of float32 numbers are computed where the processor multiplies tiles of bfloat16 numbers.

    There they are several times faster than float32 arithmetic. A number x is split into bfloat16 parts, each the
    nearest to what the ones before leave, and products of parts are summed in float32:

    * ``"bfloat16_6x"``: x = x1 + x2 + x3, which is exact; x1 y1 + x1 y2 + x2 y1 + x2 y2 + x1 y3 + x3 y1. With
      K = the length of the sums and eps = 2^-23, the error is at most (K + 1) eps sum |x||y|, as in float32, and
      in most sums less than there, since fewer of them are rounded.
    * ``"bfloat16_3x"``: x1 y1 + x1 y2 + x2 y1; the error is at most (3 2^-16 + K eps) sum |x||y|.

    Tiles take numbers below 2^-126 as 0: parts of numbers below 2^-102 may be lost, an error of up to 2^-126 |y| in
    a product. A product with an infinity, or of a size that float32 cannot hold, becomes NaN.

    Elsewhere, and in a batch of one row while training, products are computed in float32 as ever, which is at least as
    accurate as the bounds say. Layers with the policy ``mixed_bfloat16`` and float64 are no concern of this.

    Args:
        name: ``"float32"`` (the default), ``"bfloat16_6x"`` or ``"bfloat16_3x"``; None for the default again, which
            is ``NNCOMPILE_MATMUL_PRECISION`` where that is set.

    Raises:
        ModelError: anything else.
    """
    targets.set_precision(name)


def matmul_precision() -> str:
    """Returns how products of float32 numbers are computed where the processor multiplies tiles."""
    return targets.precision()
