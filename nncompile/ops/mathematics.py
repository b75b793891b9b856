"""Elementwise functions of ``keras.ops`` that are no primitives: formulas over those that are.

Given arrays each computes with the function of NumPy that stands above it, so that the
formula and its C have something to be compared with. The docstrings say how far a
formula may be from the exact value, in units of the last place (ULP), where it is more
than its primitives are.
"""

from __future__ import annotations

import builtins
import functools
import inspect
import math
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np

from .. import config
from ..docstrings import elementwise
from .core import (
    _computed,
    _symbols,
    _traced,
    abs,
    add,
    arctan,
    cast,
    clip,
    copysign,
    cos,
    custom_gradient,
    divide,
    equal,
    exp,
    exp2,
    expm1,
    floor,
    fmod,
    greater,
    less,
    less_equal,
    log,
    log1p,
    logical_and,
    logical_not,
    logical_or,
    maximum,
    minimum,
    not_equal,
    sigmoid,
    sin,
    sqrt,
    stop_gradient,
    where,
)
from .core import round as _nearest
from .reshaping import convert_to_tensor, zeros_like

F = TypeVar("F", bound=Callable[..., Any])

_LN2, _LN10 = math.log(2), math.log(10)
_LARGE = 2.0**60
"""Its square is finite, and 1 more is the same number, in float32 and float64."""


def _formula(numpy: Callable[..., Any]) -> Callable[[F], F]:
    """Makes an operation of a formula: what it is on symbols, and the function that it is on arrays."""

    def decorate(function: F) -> F:
        signature = inspect.signature(function)

        @functools.wraps(function)
        def operation(*args: Any, **keywords: Any) -> Any:
            bound = signature.bind(*args, **keywords)
            bound.apply_defaults()
            if _symbols(*bound.args):
                return function(*map(_traced, bound.args))
            return _computed(numpy, *bound.args)

        return elementwise(operation)  # type: ignore[return-value]

    return decorate


# ------------------------------------------------------------------ angles


@_formula(np.tan)
def tan(x: Any) -> Any:
    """Tangent of an angle in radians: ``sin(x) / cos(x)``, within 3 ULP."""
    return sin(x) / cos(x)


@_formula(np.arcsin)
@custom_gradient
def arcsin(x: Any) -> Any:
    """The angle whose sine is x: ``arctan(x / sqrt((1 - x) (1 + x)))``, within 4 ULP; NaN beyond 1."""
    root = sqrt((1.0 - x) * (1.0 + x))
    return arctan(x / root), lambda g: g / root


@_formula(np.arccos)
@custom_gradient
def arccos(x: Any) -> Any:
    """The angle whose cosine is x: ``2 arctan(sqrt((1 - x) / (1 + x)))``, within 4 ULP; NaN beyond 1."""
    ratio = (1.0 - x) / (1.0 + x)
    return 2.0 * arctan(sqrt(ratio)), lambda g: -g / sqrt((1.0 - x) * (1.0 + x))


@_formula(np.arctan2)
@custom_gradient
def arctan2(x1: Any, x2: Any) -> Any:
    """The angle of the point at ``x2`` to the right and ``x1`` up, from -pi to pi, within 4 ULP.

    The arctangent of the smaller by the larger size, an angle up to pi/4, is put into the
    octant of the point. Zeros and infinities count by their signs, as in C.
    """
    up, right = abs(x1), abs(x2)
    larger, smaller = maximum(up, right), minimum(up, right)
    ratio = where(equal(larger, smaller), where(equal(larger, 0.0), 0.0, 1.0), smaller / larger)
    angle = arctan(ratio)
    angle = where(greater(up, right), math.pi / 2 - angle, angle)
    angle = where(signbit(x2), math.pi - angle, angle)

    def gradient(g: Any) -> Any:
        square = x1 * x1 + x2 * x2
        return g * x2 / square, -g * x1 / square

    return copysign(angle, x1), gradient


@_formula(np.deg2rad)
def deg2rad(x: Any) -> Any:
    """Degrees as radians: ``x pi / 180``."""
    return x * (math.pi / 180)


@_formula(np.rad2deg)
def rad2deg(x: Any) -> Any:
    """Radians as degrees: ``x 180 / pi``."""
    return x * (180 / math.pi)


@_formula(np.sinc)
def sinc(x: Any) -> Any:
    """``sin(pi x) / (pi x)``, 1 at 0; the error is that of ``pi x``, which is rounded."""
    zero = equal(x, 0.0)
    angle = where(zero, 1.0, x) * math.pi
    return where(zero, 1.0, sin(angle) / angle)


@_formula(np.sinh)
@custom_gradient
def sinh(x: Any) -> Any:
    """Hyperbolic sine, within 5 ULP.

    ``(e^x - e^-x) / 2`` is ``u (u + 2) / 2 (1 + 1 / (u + 1)^2)`` with ``u = e^(|x| / 2) - 1``, which is exact near 0
    and overflows where the result does; then the sign of x.
    """
    u = expm1(abs(x) * 0.5)
    size = u * (0.5 * u + 1.0) * (1.0 + 1.0 / ((u + 1.0) * (u + 1.0)))
    return copysign(size, x), lambda g: g * cosh(x)


@_formula(np.cosh)
@custom_gradient
def cosh(x: Any) -> Any:
    """Hyperbolic cosine: ``h + 1 / (4 h)`` with ``h = e^|x| / 2``, as the square of ``e^(|x| / 2)``; within 4 ULP."""
    root = exp(abs(x) * 0.5)
    half = 0.5 * root * root
    return half + 0.25 / half, lambda g: g * sinh(x)


@_formula(np.arcsinh)
@custom_gradient
def arcsinh(x: Any) -> Any:
    """Inverse of the hyperbolic sine: ``log(1 + |x| + x^2 / (1 + sqrt(1 + x^2)))``, within 4 ULP; then the sign of x.

    Where the square would overflow it is ``log(|x|) + log(2)``.
    """
    size = abs(x)
    small = minimum(size, _LARGE)
    square = small * small
    large = greater(size, _LARGE)
    inner = where(large, size, small + square / (1.0 + sqrt(1.0 + square)))
    return copysign(log1p(inner) + where(large, _LN2, 0.0), x), lambda g: g / sqrt(x * x + 1.0)


@_formula(np.arccosh)
@custom_gradient
def arccosh(x: Any) -> Any:
    """Inverse of the hyperbolic cosine, within 4 ULP: ``log(1 + t + sqrt(t) sqrt(t + 2))`` with ``t = x - 1``.

    NaN below 1. For very large x it is ``log(x) + log(2)``.
    """
    t = x - 1.0
    small = minimum(t, _LARGE)
    large = greater(t, _LARGE)
    inner = where(large, t, small + sqrt(small) * sqrt(small + 2.0))
    return log1p(inner) + where(large, _LN2, 0.0), lambda g: g / (sqrt(t) * sqrt(x + 1.0))


@_formula(np.arctanh)
@custom_gradient
def arctanh(x: Any) -> Any:
    """Inverse of the hyperbolic tangent: ``log(1 + 2 |x| / (1 - |x|)) / 2``, within 4 ULP, with the sign of x."""
    size = abs(x)
    y = 0.5 * log1p(2.0 * size / (1.0 - size))
    return copysign(y, x), lambda g: g / ((1.0 - x) * (1.0 + x))


# ------------------------------------------------------------------ powers and logarithms


@_formula(np.log10)
def log10(x: Any) -> Any:
    """Logarithm to base 10: ``log(x) / log(10)``, within 3 ULP."""
    return log(x) * (1 / _LN10)


@_formula(np.logaddexp)
@custom_gradient
def logaddexp(x1: Any, x2: Any) -> Any:
    """``log(e^x1 + e^x2)``, without overflow: the larger plus ``log(1 + e^-|x1 - x2|)``.

    Its gradients are ``sigmoid(x1 - x2)`` and ``sigmoid(x2 - x1)``.
    """
    difference = where(equal(x1, x2), 0.0, x1 - x2)
    result = maximum(x1, x2) + log1p(exp(-abs(difference)))
    return result, lambda g: (g * sigmoid(difference), g * sigmoid(-difference))


@_formula(np.logaddexp2)
@custom_gradient
def logaddexp2(x1: Any, x2: Any) -> Any:
    """``log2(2^x1 + 2^x2)``, without overflow; its gradients are those of :func:`logaddexp` at ``x log(2)``."""
    difference = where(equal(x1, x2), 0.0, x1 - x2)
    result = maximum(x1, x2) + log1p(exp2(-abs(difference))) * (1 / _LN2)
    return result, lambda g: (g * sigmoid(difference * _LN2), g * sigmoid(-difference * _LN2))


@_formula(np.cbrt)
@custom_gradient
def cbrt(x: Any) -> Any:
    """Cube root, within 2 ULP: ``e^(log|x| / 3)``, and a step of Newton's method from there; then the sign of x."""
    size = abs(x)
    guess = exp(log(size) * (1 / 3))
    better = guess - (guess - size / (guess * guess)) * (1 / 3)
    finite = logical_and(greater(size, 0.0), less(size, math.inf))
    y = copysign(where(finite, better, size), x)
    return y, lambda g: g / (3.0 * y * y)


@_formula(np.hypot)
@custom_gradient
def hypot(x1: Any, x2: Any) -> Any:
    """``sqrt(x1^2 + x2^2)``, without overflow and within 3 ULP; its gradients are 0 at 0."""
    a, b = abs(x1), abs(x2)
    larger, smaller = maximum(a, b), minimum(a, b)
    ratio = smaller / where(equal(larger, 0.0), 1.0, larger)
    infinite = logical_or(equal(a, math.inf), equal(b, math.inf))
    y = where(infinite, math.inf, larger * sqrt(1.0 + ratio * ratio))

    def gradient(g: Any) -> Any:
        share = g / where(equal(y, 0.0), 1.0, y)
        return share * x1, share * x2

    return y, gradient


@_formula(lambda x1, x2: np.ldexp(x1, np.asarray(x2).astype(np.int32)))
def ldexp(x1: Any, x2: Any) -> Any:
    """``x1 * 2^x2`` for a whole ``x2``; in two steps, as the power alone may overflow."""
    half = floor(x2 * 0.5)
    return x1 * exp2(half) * exp2(x2 - half)


# ------------------------------------------------------------------ whole numbers and remainders


@_formula(lambda x: np.ceil(x * 1.0))
def ceil(x: Any) -> Any:
    """The smallest integer that is not smaller; no gradient."""
    return -floor(-x)


@_formula(np.trunc)
def trunc(x: Any) -> Any:
    """The integer next to x towards 0; no gradient."""
    return stop_gradient(copysign(floor(abs(x)), x))


@_formula(np.round)
def round(x: Any, decimals: int = 0) -> Any:
    """The nearest number with so many decimals, halves to even; no gradient.

    Args:
        decimals: how many; below 0 as many places ahead of the point become 0.
    """
    if not decimals:
        return _nearest(x)
    scale = 10.0 ** builtins.abs(decimals)
    return _nearest(x * scale) / scale if decimals > 0 else _nearest(x / scale) * scale


def _remainder(x1: Any, x2: Any) -> tuple[Any, Any]:
    """What is left by division towards 0, and whether that is on the other side of 0 than x2."""
    rest = fmod(x1, x2)
    return rest, logical_and(not_equal(rest, 0.0), not_equal(less(rest, 0.0), less(x2, 0.0)))


@_formula(np.mod)
def mod(x1: Any, x2: Any) -> Any:
    """What whole multiples of x2 leave of x1, with the sign of x2; exact up to one rounding.

    NaN for an infinite x1 and for ``x2 = 0``. Its gradients are 1 and ``-floor(x1 / x2)``.
    """
    rest, beyond = _remainder(x1, x2)
    inside = where(beyond, rest + x2, rest)
    return where(equal(rest, 0.0), copysign(inside, x2), inside)


@_formula(np.floor_divide)
def floor_divide(x1: Any, x2: Any) -> Any:
    """The whole number below ``x1 / x2``, the quotient as it is before it is rounded; no gradient.

    It is ``(x1 - fmod(x1, x2)) / x2``, 1 less where the quotient has a fraction and is negative; ``x1 / x2`` for
    ``x2 = 0``.
    """
    ratio = x1 / x2
    rest, beyond = _remainder(x1, x2)
    quotient = (x1 - rest) / x2 - where(beyond, 1.0, 0.0)
    down = floor(quotient)
    down = where(greater(quotient - down, 0.5), down + 1.0, down)
    down = where(equal(quotient, 0.0), copysign(0.0, ratio), down)
    return stop_gradient(where(equal(x2, 0.0), ratio, down))


# ------------------------------------------------------------------ signs, sizes, special numbers


@_formula(np.fabs)
def fabs(x: Any) -> Any:
    """|x|, of a whole number as well a number with a fraction."""
    return abs(x)


@_formula(np.signbit)
def signbit(x: Any) -> Any:
    """Whether x has a minus sign, which a zero may have as well."""
    return less(copysign(1.0, x), 0.0)


@_formula(np.isnan)
def isnan(x: Any) -> Any:
    """Whether x is no number."""
    return not_equal(x, x)


@_formula(np.isinf)
def isinf(x: Any) -> Any:
    """Whether x is infinite."""
    return equal(abs(x), math.inf)


@_formula(np.isposinf)
def isposinf(x: Any) -> Any:
    """Whether x is infinite and positive."""
    return equal(x, math.inf)


@_formula(np.isneginf)
def isneginf(x: Any) -> Any:
    """Whether x is infinite and negative."""
    return equal(x, -math.inf)


@_formula(np.isfinite)
def isfinite(x: Any) -> Any:
    """Whether x is a number, and not infinite."""
    return less(abs(x), math.inf)


@_formula(np.isreal)
def isreal(x: Any) -> Any:
    """Whether x has no imaginary part; there are real numbers only."""
    return logical_or(equal(x, x), isnan(x))


@_formula(np.isclose)
def isclose(x1: Any, x2: Any, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False) -> Any:
    """Whether ``|x1 - x2| <= atol + rtol |x2|``, or both are the same infinity.

    Args:
        x1: arrays or expressions.
        x2: what ``rtol`` is relative to.
        rtol: relative tolerance.
        atol: absolute tolerance.
        equal_nan: whether NaN is close to NaN.
    """
    close = logical_and(isfinite(x2), less_equal(abs(x1 - x2), abs(x2) * rtol + atol))
    close = logical_or(close, equal(x1, x2))
    return logical_or(close, logical_and(isnan(x1), isnan(x2))) if equal_nan else close


@_formula(lambda x, nan, posinf, neginf: np.nan_to_num(x, nan=nan, posinf=posinf, neginf=neginf))
def nan_to_num(x: Any, nan: float = 0.0, posinf: float | None = None, neginf: float | None = None) -> Any:
    """x with other numbers in place of NaN and of infinities.

    Args:
        x: array or expression.
        nan: stands for NaN.
        posinf: stands for infinity; the largest number if None.
        neginf: stands for -infinity; the most negative number if None.
    """
    largest = float(np.finfo(config.floatx()).max)
    y = where(isnan(x), nan, x)
    y = where(isposinf(x), largest if posinf is None else posinf, y)
    return where(isneginf(x), -largest if neginf is None else neginf, y)


@_formula(np.fmax)
def fmax(x1: Any, x2: Any) -> Any:
    """The larger of two, the other if one is NaN."""
    return where(isnan(x1), x2, where(isnan(x2), x1, maximum(x1, x2)))


@_formula(np.fmin)
def fmin(x1: Any, x2: Any) -> Any:
    """The smaller of two, the other if one is NaN."""
    return where(isnan(x1), x2, where(isnan(x2), x1, minimum(x1, x2)))


@_formula(np.heaviside)
def heaviside(x1: Any, x2: Any) -> Any:
    """0 for negative ``x1``, 1 for positive, ``x2`` for 0, NaN for NaN."""
    return where(equal(x1, 0.0), x2, where(isnan(x1), x1, where(greater(x1, 0.0), 1.0, 0.0)))


def _np_divide_no_nan(x1: Any, x2: Any) -> Any:
    return np.where(np.equal(x2, 0), 0, np.true_divide(x1, np.where(np.equal(x2, 0), 1, x2)))


@_formula(_np_divide_no_nan)
def divide_no_nan(x1: Any, x2: Any) -> Any:
    """``x1 / x2``, 0 where x2 is 0."""
    zero = equal(x2, 0.0)
    return where(zero, 0.0, x1 / where(zero, 1.0, x2))


true_divide = divide


@_formula(np.logical_xor)
def logical_xor(x1: Any, x2: Any) -> Any:
    """Whether one holds and the other does not."""
    return not_equal(cast(logical_not(x1), None), cast(logical_not(x2), None))


@_formula(np.real)
def real(x: Any) -> Any:
    """x; there are real numbers only."""
    return x


conj = conjugate = real


# ------------------------------------------------------------------ choices among several


def select(condlist: Sequence[Any], choicelist: Sequence[Any], default: Any = 0) -> Any:
    """The first choice whose condition holds, else the default.

    Args:
        condlist: conditions: truth values of any shape.
        choicelist: a choice for each: numbers of a shape that is broadcast to that of the conditions.
        default: where none holds.

    Returns:
        The numbers in the shape that all have together.
    """
    result = default
    for condition, choice in reversed(list(zip(condlist, choicelist, strict=True))):
        result = where(condition, choice, result)
    return result


def digitize(x: Any, bins: Any) -> Any:
    """How many of the increasing numbers ``bins`` are not larger than ``x``: the number of its bin.

    Args:
        x: numbers of any shape: an array, or values of a formula.
        bins: the limits, ``(n,)``; in a formula known when it is traced.

    Returns:
        Whole numbers from 0 to n, in the shape of ``x``.
    """
    if not _symbols(x):
        return np.digitize(convert_to_tensor(x), np.asarray(bins)).astype(np.int32)
    return _counted(less, _traced(x), bins)


def searchsorted(sorted_sequence: Any, values: Any, side: str = "left") -> Any:
    """Where values have to stand in an increasing sequence: how many of its numbers come before each.

    Args:
        sorted_sequence: ``(n,)``; in a formula known when it is traced.
        values: numbers of any shape: an array, or values of a formula.
        side: ``"left"`` to stand before equal numbers, ``"right"`` behind them.

    Returns:
        Whole numbers from 0 to n, in the shape of ``values``.
    """
    if not _symbols(sorted_sequence, values):
        return np.searchsorted(np.asarray(sorted_sequence), convert_to_tensor(values), side).astype(np.int32)  # type: ignore[call-overload]
    return _counted(less_equal if side == "left" else less, _traced(values), sorted_sequence)


def _counted(before: Callable[[Any, Any], Any], x: Any, limits: Any) -> Any:
    """How many of some numbers x is not before, all of them for NaN; their number is how long the formula gets."""
    numbers = np.asarray(limits, dtype=float).ravel().tolist()
    terms = [cast(logical_not(before(x, limit)), None) for limit in numbers]
    return functools.reduce(add, terms) if terms else zeros_like(x)


def isin(x1: Any, x2: Any, assume_unique: bool = False, invert: bool = False) -> Any:
    """Whether ``x1`` is one of the numbers ``x2``.

    Args:
        x1: numbers of any shape: an array, or values of a formula.
        x2: numbers of any shape; in a formula known when it is traced.
        assume_unique: without meaning for the result.
        invert: whether it is none of them instead.

    Returns:
        A truth value for each, in the shape of ``x1``.
    """
    if not _symbols(x1):
        return np.isin(convert_to_tensor(x1), np.asarray(x2), assume_unique=assume_unique, invert=invert)
    x = _traced(x1)
    found = functools.reduce(logical_or, (equal(x, float(n)) for n in np.asarray(x2).ravel()))
    return logical_not(found) if invert else found


def saturate_cast(x: Any, dtype: Any) -> Any:
    """``x`` in another type, limited to what that can hold.

    Args:
        x: numbers of any shape: an array, or values of a formula, which stay real numbers, limited, and are cut
            off behind the point for a type of whole numbers.
        dtype: name or type.

    Returns:
        Numbers in the shape of ``x``.
    """
    kind = np.dtype(dtype)
    limits = np.iinfo(kind) if kind.kind in "iu" else np.finfo(kind) if kind.kind == "f" else None
    if limits is None:
        return cast(x, dtype)
    if _symbols(x):
        bounded = clip(_traced(x), float(limits.min), float(limits.max))
        return trunc(bounded) if kind.kind in "iu" else bounded
    return np.clip(convert_to_tensor(x), limits.min, limits.max).astype(kind)


__all__ = [
    "arccos",
    "arccosh",
    "arcsin",
    "arcsinh",
    "arctan2",
    "arctanh",
    "cbrt",
    "ceil",
    "conj",
    "conjugate",
    "cosh",
    "deg2rad",
    "digitize",
    "divide_no_nan",
    "fabs",
    "floor_divide",
    "fmax",
    "fmin",
    "heaviside",
    "hypot",
    "isclose",
    "isfinite",
    "isin",
    "isinf",
    "isnan",
    "isneginf",
    "isposinf",
    "isreal",
    "ldexp",
    "log10",
    "logaddexp",
    "logaddexp2",
    "logical_xor",
    "mod",
    "nan_to_num",
    "rad2deg",
    "real",
    "round",
    "saturate_cast",
    "searchsorted",
    "select",
    "signbit",
    "sinc",
    "sinh",
    "tan",
    "true_divide",
    "trunc",
]
