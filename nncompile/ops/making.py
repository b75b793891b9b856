"""New arrays of ``keras.ops``: of one number, of evenly spaced ones, of ones and zeros in a pattern, windows.

They know no values of samples but for the number of rows, which can be the first size of a shape.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import config
from ..docstrings import Family, described
from .arrays import is_batch, with_batch
from .core import _symbols, _traced, add
from .reshaping import convert_to_tensor, zeros_like

NEW = Family(
    {
        "shape": "sizes of the axes; in a formula the first may be that of the batch, ``ops.shape(x)[0]``.",
        "dtype": "type of the numbers; that of the layers if None.",
    },
    "Numbers of that shape.",
)
SPACED = Family(
    {
        "start": "the first.",
        "stop": "the last, or with ``endpoint=False`` where one more would be.",
        "num": "how many.",
        "endpoint": "whether ``stop`` is one of them.",
        "dtype": "type of the numbers; that of the layers if None.",
        "axis": "of the result, along which they stand, where ``start`` or ``stop`` is an array.",
    },
    "``(num,)``, or with the axes of ``start`` and ``stop`` as well.",
)
WINDOW = Family({"x": "how many numbers."}, "``(x,)``, numbered by i from 0.")


def _new(values: Any, dtype: Any, whole: bool = False) -> Any:
    """An array of a type; by default of that of the layers, or int32 for whole numbers."""
    return np.asarray(values).astype(dtype or ("int32" if whole else config.floatx()))


def array(x: Any, dtype: Any = None) -> Any:
    """``x`` as an array, as :func:`convert_to_tensor`; values of formulas stay what they are.

    Args:
        x: numbers of any shape.
        dtype: type of the array.

    Returns:
        The numbers in the shape that they have.

    Source: ``keras.ops.array``.
    """
    return convert_to_tensor(x, dtype)


@described(NEW)
def zeros(shape: Any, dtype: Any = None) -> Any:
    """An array of zeros."""
    return full(shape, 0, dtype)


@described(NEW)
def ones(shape: Any, dtype: Any = None) -> Any:
    """An array of ones."""
    return full(shape, 1, dtype)


@described(NEW)
def full(shape: Any, fill_value: Any, dtype: Any = None) -> Any:
    """An array of one number.

    Args:
        fill_value: the number.
    """
    if isinstance(shape, (tuple, list)) and shape and is_batch(shape[0]):
        inner = np.full(tuple(shape[1:]) or (1,), fill_value, dtype or config.floatx())
        made = with_batch(inner, (None, *inner.shape))
        return made if len(shape) > 1 else made[:, 0]
    return np.full(shape, fill_value, dtype or config.floatx())


@described(NEW)
def empty(shape: Any, dtype: Any = None) -> Any:
    """An array whose numbers do not matter; they are zeros."""
    return zeros(shape, dtype)


def full_like(x: Any, fill_value: Any, dtype: Any = None) -> Any:
    """A number in the shape of ``x``.

    Args:
        x: array, or value of a formula.
        fill_value: the number.
        dtype: type of an array; that of ``x`` if None.

    Returns:
        As many numbers as ``x`` has.
    """
    if _symbols(x, fill_value):
        return add(zeros_like(_traced(x)), fill_value)
    return np.full_like(convert_to_tensor(x), fill_value, dtype=dtype)


def empty_like(x: Any, dtype: Any = None) -> Any:
    """Numbers in the shape of ``x`` that do not matter; they are zeros.

    Args:
        x: array, or value of a formula.
        dtype: type of an array; that of ``x`` if None.

    Returns:
        As many numbers as ``x`` has.
    """
    return full_like(x, 0, dtype)


def arange(start: float, stop: float | None = None, step: float | None = None, dtype: Any = None) -> Any:
    """Numbers from ``start`` up to but not ``stop``, ``step`` apart: ``start + i * step``.

    Args:
        start: the first; with this argument alone where it ends, and the first is 0.
        stop: where it ends.
        step: the distance; 1 if None.
        dtype: type of the numbers; int32 if None and all are whole, else that of the layers.

    Returns:
        ``(ceil((stop - start) / step),)``
    """
    given = [n for n in (start, stop, step) if n is not None]
    whole = all(isinstance(n, (int, np.integer)) for n in given)
    return _new(np.arange(start, stop, step) if stop is not None else np.arange(0, start, step), dtype, whole)


@described(SPACED)
def linspace(
    start: Any,
    stop: Any,
    num: int = 50,
    endpoint: bool = True,
    retstep: bool = False,
    dtype: Any = None,
    axis: int = 0,
) -> Any:
    """``num`` numbers evenly from ``start`` to ``stop``: ``start + i * (stop - start) / (num - 1)``.

    Args:
        retstep: whether to return their distance too.
    """
    values, step = np.linspace(start, stop, num, endpoint, retstep=True, axis=axis)
    return (_new(values, dtype), step) if retstep else _new(values, dtype)


@described(SPACED)
def logspace(
    start: Any, stop: Any, num: int = 50, endpoint: bool = True, base: float = 10, dtype: Any = None, axis: int = 0
) -> Any:
    """``num`` powers of ``base``, the exponents evenly from ``start`` to ``stop``.

    Args:
        start: the first exponent.
        stop: the last exponent.
        base: what they are powers of.
    """
    return _new(np.logspace(start, stop, num, endpoint, base, axis=axis), dtype)


@described(SPACED)
def geomspace(start: Any, stop: Any, num: int = 50, endpoint: bool = True, dtype: Any = None, axis: int = 0) -> Any:
    """``num`` numbers from ``start`` to ``stop``, each the same multiple of the one before."""
    return _new(np.geomspace(start, stop, num, endpoint, axis=axis), dtype)


def eye(N: int, M: int | None = None, k: int = 0, dtype: Any = None) -> Any:
    """Ones on the k-th diagonal, zeros elsewhere: 1 if ``j == i + k``.

    Args:
        N: number of rows.
        M: number of columns; as many if None.
        k: how far above the middle the diagonal is.
        dtype: type of the numbers; that of the layers if None.

    Returns:
        ``(N, M)``
    """
    return np.eye(N, M, k, dtype or config.floatx())


def identity(n: int, dtype: Any = None) -> Any:
    """The unit matrix: 1 if ``i == j``, else 0.

    Args:
        n: number of rows and columns.
        dtype: type of the numbers; that of the layers if None.

    Returns:
        ``(n, n)``
    """
    return eye(n, dtype=dtype)


def tri(N: int, M: int | None = None, k: int = 0, dtype: Any = None) -> Any:
    """Ones on and below the k-th diagonal, zeros above: 1 if ``j <= i + k``.

    Args:
        N: number of rows.
        M: number of columns; as many if None.
        k: how far above the middle the diagonal is.
        dtype: type of the numbers; that of the layers if None.

    Returns:
        ``(N, M)``
    """
    return np.tri(N, M, k, dtype or config.floatx())


@described(WINDOW)
def bartlett(x: int) -> Any:
    """Bartlett's window, a triangle: ``1 - |2 * i / (x - 1) - 1|``."""
    return _new(np.bartlett(x), None)


@described(WINDOW)
def blackman(x: int) -> Any:
    """Blackman's window: ``0.42 - 0.5 * cos(a) + 0.08 * cos(2 * a)`` with ``a = 2 * pi * i / (x - 1)``."""
    return _new(np.blackman(x), None)


@described(WINDOW)
def hamming(x: int) -> Any:
    """Hamming's window: ``0.54 - 0.46 * cos(2 * pi * i / (x - 1))``."""
    return _new(np.hamming(x), None)


@described(WINDOW)
def hanning(x: int) -> Any:
    """Hann's window: ``0.5 - 0.5 * cos(2 * pi * i / (x - 1))``."""
    return _new(np.hanning(x), None)


@described(WINDOW)
def kaiser(x: int, beta: float) -> Any:
    """Kaiser's window: ``i0(beta * sqrt(1 - (2 * i / (x - 1) - 1)^2)) / i0(beta)``.

    Args:
        beta: how narrow it is; 0 for ones.
    """
    return _new(np.kaiser(x, beta), None)


__all__ = [
    "arange",
    "array",
    "bartlett",
    "blackman",
    "empty",
    "empty_like",
    "eye",
    "full",
    "full_like",
    "geomspace",
    "hamming",
    "hanning",
    "identity",
    "kaiser",
    "linspace",
    "logspace",
    "ones",
    "tri",
    "zeros",
]
