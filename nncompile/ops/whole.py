"""Operations of ``keras.ops`` on whole arrays: bits, matrices, segments and places that are data.

They compute with NumPy, before anything is traced. A formula is one for each sample of a
batch, in real numbers, so that each of them says on symbols why it is not part of one.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np

from .. import config
from ..docstrings import ARRAYS, Family, described
from ..errors import ModelError, UnsupportedError
from ..variables import Variable
from .core import _symbols
from .reshaping import convert_to_tensor

F = TypeVar("F", bound=Callable[..., Any])


def _of_arrays(reason: str) -> Callable[[F], F]:
    """Makes an operation that refuses symbols, for a reason; arguments without a default are arrays."""

    def decorate(function: F) -> F:
        signature = inspect.signature(function)
        needed = [name for name, p in signature.parameters.items() if p.default is p.empty and name != "shape"]

        @functools.wraps(function)
        def operation(*args: Any, **keywords: Any) -> Any:
            bound = signature.bind(*args, **keywords)
            if _symbols(*bound.arguments.values()):
                raise UnsupportedError(f"ops.{function.__name__}: {reason}")
            for name in needed:
                bound.arguments[name] = _array(bound.arguments[name])
            return function(*bound.args, **bound.kwargs)

        return described(ARRAYS)(operation)  # type: ignore[return-value]

    return decorate


def _array(x: Any) -> Any:
    """x as an array; of Python's numbers as int32, or of the type of the layers."""
    if isinstance(x, Variable):
        return np.asarray(x.value)
    if isinstance(x, (np.ndarray, np.generic)):
        return np.asarray(x)
    made = np.asarray(x)
    return made.astype({"f": config.floatx(), "i": "int32"}.get(made.dtype.kind, made.dtype))


# ------------------------------------------------------------------ bits

_BITS = "works on the bits of whole numbers; the values of a network are real numbers."
BITS = Family(
    {"x": "whole numbers of any shape.", "y": "likewise, of a shape that is broadcast."},
    "Whole numbers in the shape that both have together.",
)
SHIFT = Family({**BITS.arguments, "y": "how far, whole numbers of a shape that is broadcast."}, BITS.returns)


@_of_arrays(_BITS)
@described(BITS)
def bitwise_and(x: Any, y: Any) -> Any:
    """The bits that both have: ``x & y``."""
    return np.bitwise_and(x, y)


@_of_arrays(_BITS)
@described(BITS)
def bitwise_or(x: Any, y: Any) -> Any:
    """The bits that one of both has at least: ``x | y``."""
    return np.bitwise_or(x, y)


@_of_arrays(_BITS)
@described(BITS)
def bitwise_xor(x: Any, y: Any) -> Any:
    """The bits that just one of both has: ``x ^ y``."""
    return np.bitwise_xor(x, y)


@_of_arrays(_BITS)
@described(BITS)
def bitwise_not(x: Any) -> Any:
    """The bits that ``x`` has not: ``~x``.

    Returns:
        Whole numbers in the shape of ``x``.
    """
    return np.bitwise_not(x)


@_of_arrays(_BITS)
@described(BITS)
def bitwise_invert(x: Any) -> Any:
    """The bits that ``x`` has not: ``~x``.

    Returns:
        Whole numbers in the shape of ``x``.
    """
    return np.bitwise_not(x)


@_of_arrays(_BITS)
@described(SHIFT)
def bitwise_left_shift(x: Any, y: Any) -> Any:
    """The bits of ``x`` moved y places up: ``x << y``."""
    return np.left_shift(x, y)


@_of_arrays(_BITS)
@described(SHIFT)
def left_shift(x: Any, y: Any) -> Any:
    """The bits of ``x`` moved y places up: ``x << y``."""
    return np.left_shift(x, y)


@_of_arrays(_BITS)
@described(SHIFT)
def bitwise_right_shift(x: Any, y: Any) -> Any:
    """The bits of ``x`` moved y places down: ``x >> y``."""
    return np.right_shift(x, y)


@_of_arrays(_BITS)
@described(SHIFT)
def right_shift(x: Any, y: Any) -> Any:
    """The bits of ``x`` moved y places down: ``x >> y``."""
    return np.right_shift(x, y)


# ------------------------------------------------------------------ matrices

_MATRICES = (
    "takes a matrix apart in steps that follow its values, and a formula has the same steps for all. Matrices of "
    "numbers that are fixed are computed before the model is made."
)
MATRICES = Family({"x": "square matrices, ``(…, n, n)``."})


def _matrix(where: str, x: Any, square: bool = True) -> Any:
    if x.ndim < 2 or (square and x.shape[-1] != x.shape[-2]):
        raise ModelError(f"ops.{where}: expected {'square ' if square else ''}matrices, received shape {x.shape}.")
    return x if x.dtype.kind == "f" else convert_to_tensor(x, "float32")


@_of_arrays(_MATRICES)
def cholesky(x: Any, upper: bool = False) -> Any:
    """The triangular L with ``L Lᵀ = x``, or the upper one with ``Uᵀ U = x``.

    Args:
        x: symmetric positive definite matrices, ``(…, n, n)``.
        upper: which of the two.

    Returns:
        Triangular matrices, ``(…, n, n)``.
    """
    lower = np.linalg.cholesky(_matrix("cholesky", x))
    return np.swapaxes(lower, -1, -2) if upper else lower


@_of_arrays(_MATRICES)
def cholesky_inverse(x: Any, upper: bool = False) -> Any:
    """``(L Lᵀ)^-1``, or ``(Uᵀ U)^-1``: the inverse of the matrix whose Cholesky factor is ``x``.

    Args:
        x: triangular matrices, ``(…, n, n)``.
        upper: which of the two.

    Returns:
        ``(…, n, n)``
    """
    x = _matrix("cholesky_inverse", x)
    turned = np.swapaxes(x, -1, -2)
    return np.linalg.inv(turned @ x if upper else x @ turned)


@_of_arrays(_MATRICES)
@described(MATRICES)
def det(x: Any) -> Any:
    """Determinants, the products of all eigenvalues.

    Returns:
        ``(…)``
    """
    return np.linalg.det(_matrix("det", x))


@_of_arrays(_MATRICES)
@described(MATRICES)
def logdet(x: Any) -> Any:
    """``log(det(x))``, the logarithms of the determinants of positive definite matrices.

    Returns:
        ``(…)``
    """
    return np.linalg.slogdet(_matrix("logdet", x))[1]


@_of_arrays(_MATRICES)
@described(MATRICES)
def slogdet(x: Any) -> Any:
    """Signs of determinants, and logarithms of their sizes: ``det(x) = sign * e^logarithm``.

    Returns:
        Both, each ``(…)``.
    """
    return tuple(np.linalg.slogdet(_matrix("slogdet", x)))


@_of_arrays(_MATRICES)
@described(MATRICES)
def inv(x: Any) -> Any:
    """Inverses: the y with ``x y = 1``, the unit matrix.

    Returns:
        ``(…, n, n)``
    """
    return np.linalg.inv(_matrix("inv", x))


@_of_arrays(_MATRICES)
def pinv(x: Any, rcond: float | None = None) -> Any:
    """Pseudo-inverses of Moore and Penrose: the least y of those that bring ``x y`` the nearest to the unit matrix.

    Args:
        x: matrices, ``(…, n, m)``.
        rcond: singular values below this share of the largest count as 0; NumPy's own if None.

    Returns:
        ``(…, m, n)``
    """
    x = _matrix("pinv", x, square=False)
    return np.linalg.pinv(x) if rcond is None else np.linalg.pinv(x, rcond)


@_of_arrays(_MATRICES)
def matrix_rank(x: Any, tol: float | None = None) -> Any:
    """How many directions the rows of a matrix span: how many of its singular values are not 0.

    Args:
        x: matrices, ``(…, n, m)``.
        tol: up to which value they count as 0; NumPy's own if None.

    Returns:
        Whole numbers, ``(…)``.
    """
    return np.asarray(np.linalg.matrix_rank(_matrix("matrix_rank", x, square=False), tol), np.int32)


@_of_arrays(_MATRICES)
@described(MATRICES)
def eigh(x: Any) -> Any:
    """Eigenvalues in increasing order, and eigenvectors, of symmetric matrices: ``x v = lambda v``.

    Returns:
        The values, ``(…, n)``, and the vectors as columns, ``(…, n, n)``.
    """
    return tuple(np.linalg.eigh(_matrix("eigh", x)))


@_of_arrays(_MATRICES)
def qr(x: Any, mode: str = "reduced") -> Any:
    """An orthogonal and an upper triangular matrix whose product is ``x``.

    Args:
        x: matrices, ``(…, n, m)``.
        mode: ``"reduced"`` or ``"complete"``.

    Returns:
        ``(…, n, k)`` and ``(…, k, m)``, with the smaller of n and m for k, or n if complete.

    Raises:
        ModelError: another mode, or no matrices.
    """
    if mode not in ("reduced", "complete"):
        raise ModelError(f"ops.qr: mode: expected 'reduced' or 'complete', received {mode!r}.")
    x = _matrix("qr", x, square=False)
    return tuple(np.linalg.qr(x, "reduced") if mode == "reduced" else np.linalg.qr(x, "complete"))


@_of_arrays(_MATRICES)
def svd(x: Any, full_matrices: bool = True, compute_uv: bool = True) -> Any:
    """Singular values, with the vectors to the left and right of them: ``x = U diag(s) V``.

    Args:
        x: matrices, ``(…, n, m)``.
        full_matrices: whether U and V are square.
        compute_uv: whether they are returned.

    Returns:
        U ``(…, n, n)``, s ``(…, k)`` in decreasing order and V ``(…, m, m)``, with the smaller of n and m for k; or
        without ``full_matrices`` ``(…, n, k)`` and ``(…, k, m)``. Or s alone.
    """
    x = _matrix("svd", x, square=False)
    return tuple(np.linalg.svd(x, full_matrices)) if compute_uv else np.linalg.svd(x, compute_uv=False)


@_of_arrays(_MATRICES)
def solve(a: Any, b: Any) -> Any:
    """The x with ``a x = b``.

    Args:
        a: square matrices, ``(…, n, n)``.
        b: ``(…, n, m)``, or vectors ``(…, n)``.

    Returns:
        As ``b``.
    """
    a, b = _matrix("solve", a), b if b.dtype.kind == "f" else convert_to_tensor(b, "float32")
    return np.linalg.solve(a, b[..., None])[..., 0] if b.ndim == a.ndim - 1 else np.linalg.solve(a, b)


@_of_arrays(_MATRICES)
def solve_triangular(a: Any, b: Any, lower: bool = False) -> Any:
    """The x with ``a x = b`` for a triangular a; what is on the other side of its diagonal counts as 0.

    Args:
        a: square matrices, ``(…, n, n)``.
        b: ``(…, n, m)``, or vectors ``(…, n)``.
        lower: which side of the diagonal counts.

    Returns:
        As ``b``.
    """
    a = _matrix("solve_triangular", a)
    a, b = np.tril(a) if lower else np.triu(a), b if b.dtype.kind == "f" else convert_to_tensor(b, "float32")
    return np.linalg.solve(a, b[..., None])[..., 0] if b.ndim == a.ndim - 1 else np.linalg.solve(a, b)


@_of_arrays(_MATRICES)
def lstsq(a: Any, b: Any, rcond: float | None = None) -> Any:
    """The x of least ``sum((a x - b)^2)``.

    Args:
        a: a matrix, ``(n, m)``.
        b: ``(n,)`` or ``(n, k)``.
        rcond: singular values below this share of the largest count as 0; NumPy's own if None.

    Returns:
        ``(m,)`` or ``(m, k)``
    """
    return np.linalg.lstsq(_matrix("lstsq", a, square=False), b, rcond)[0]


# ------------------------------------------------------------------ segments and places

_BATCH = "works across the samples of a batch, which stay apart in a formula; batch_mean is the mean over them."
_PLACES = "writes to places that are data; in a formula slice_update writes to a block, and one_hot chooses columns."

SEGMENTS = Family(
    {
        "data": "``(n, …)``",
        "segment_ids": "a whole number for each entry, ``(n,)``; entries of numbers that no segment has are left out.",
        "num_segments": "how many segments there are; up to the largest number if None.",
        "sorted": "whether the numbers increase; without meaning here.",
    },
    "``(num_segments, …)``",
)


def _segments(where: str, data: Any, segment_ids: Any, num_segments: int | None, add: Any, start: Any) -> Any:
    ids = segment_ids
    if data.ndim < 1 or ids.shape != data.shape[:1] or ids.dtype.kind not in "iu":
        raise ModelError(
            f"ops.{where}: expected a whole number for each of the entries of data of shape {data.shape}, received "
            f"{ids.dtype} of shape {ids.shape}."
        )
    count = int(ids.max(initial=-1)) + 1 if num_segments is None else int(num_segments)
    made = np.full((count, *data.shape[1:]), start(data.dtype), data.dtype)
    known = (ids >= 0) & (ids < count)
    add.at(made, ids[known], data[known])
    return made


def _least(dtype: Any) -> Any:
    return -np.inf if dtype.kind == "f" else np.iinfo(dtype).min


def _largest(dtype: Any) -> Any:
    return np.inf if dtype.kind == "f" else np.iinfo(dtype).max


@_of_arrays(_BATCH)
@described(SEGMENTS)
def segment_sum(data: Any, segment_ids: Any, num_segments: int | None = None, sorted: bool = False) -> Any:
    """Sums of the entries along axis 0 that have the same number; 0 where none has."""
    return _segments("segment_sum", data, segment_ids, num_segments, np.add, lambda _: 0)


@_of_arrays(_BATCH)
@described(SEGMENTS)
def segment_prod(data: Any, segment_ids: Any, num_segments: int | None = None, sorted: bool = False) -> Any:
    """Products of the entries along axis 0 that have the same number; 1 where none has."""
    return _segments("segment_prod", data, segment_ids, num_segments, np.multiply, lambda _: 1)


@_of_arrays(_BATCH)
@described(SEGMENTS)
def segment_max(data: Any, segment_ids: Any, num_segments: int | None = None, sorted: bool = False) -> Any:
    """The largest of the entries along axis 0 that have the same number; the least there is where none has."""
    return _segments("segment_max", data, segment_ids, num_segments, np.maximum, _least)


@_of_arrays(_BATCH)
@described(SEGMENTS)
def segment_min(data: Any, segment_ids: Any, num_segments: int | None = None, sorted: bool = False) -> Any:
    """The smallest of the entries along axis 0 that have the same number; the largest there is where none has."""
    return _segments("segment_min", data, segment_ids, num_segments, np.minimum, _largest)


@_of_arrays(_BATCH)
def cdist(x: Any, y: Any) -> Any:
    """Distances of each row to each row: ``sqrt(sum over k of (x[i, k] - y[j, k])^2)``.

    Args:
        x: ``(…, n, k)``
        y: ``(…, m, k)``

    Returns:
        ``(…, n, m)``

    Raises:
        ModelError: rows differ in length.
        UnsupportedError: in a formula.
    """
    if x.ndim < 2 or y.ndim < 2 or x.shape[-1] != y.shape[-1]:
        raise ModelError(f"ops.cdist: expected rows of one length, received shapes {x.shape} and {y.shape}.")
    return np.sqrt(np.sum(np.square(x[..., :, None, :] - y[..., None, :, :]), axis=-1))


@_of_arrays(_PLACES)
def scatter(indices: Any, values: Any, shape: Sequence[int]) -> Any:
    """Zeros of a shape with values added at places.

    Args:
        indices: of the places, along their last axis.
        values: one, or a block, for each place.
        shape: of the result.

    Returns:
        Numbers in that shape.

    Raises:
        UnsupportedError: in a formula.
    """
    made = np.zeros(tuple(shape), values.dtype)
    np.add.at(made, tuple(np.moveaxis(indices, -1, 0)), values)
    return made


_CHANGES: dict[Any, Any] = {"add": np.add, "max": np.maximum, "min": np.minimum, "mul": np.multiply}


@_of_arrays(_PLACES)
def scatter_update(inputs: Any, indices: Any, updates: Any, reduction: str | None = None) -> Any:
    """``inputs`` with other values at places.

    Args:
        inputs: an array.
        indices: of the places, a row for each.
        updates: one, or a block, for each place.
        reduction: None to put them there, or what is done with those that are there: ``"add"``, ``"max"``, ``"min"`` or
            ``"mul"``.

    Returns:
        Numbers in the shape of ``inputs``.

    Raises:
        ModelError: another reduction.
        UnsupportedError: in a formula.
    """
    made, places = np.array(inputs), tuple(np.transpose(indices))
    if reduction is None:
        made[places] = updates
    elif reduction in _CHANGES:
        _CHANGES[reduction].at(made, places, np.asarray(updates, made.dtype))
    else:
        raise ModelError(
            f"ops.scatter_update: reduction: expected {', '.join(_CHANGES)} or None, received {reduction!r}."
        )
    return made


__all__ = [
    "bitwise_and",
    "bitwise_invert",
    "bitwise_left_shift",
    "bitwise_not",
    "bitwise_or",
    "bitwise_right_shift",
    "bitwise_xor",
    "cdist",
    "cholesky",
    "cholesky_inverse",
    "det",
    "eigh",
    "inv",
    "left_shift",
    "logdet",
    "lstsq",
    "matrix_rank",
    "pinv",
    "qr",
    "right_shift",
    "scatter",
    "scatter_update",
    "segment_max",
    "segment_min",
    "segment_prod",
    "segment_sum",
    "slogdet",
    "solve",
    "solve_triangular",
    "svd",
]
