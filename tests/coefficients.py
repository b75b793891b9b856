"""Fits the polynomials of templates/math and prints them: ``python tests/coefficients.py`` (mpmath).

Each is the polynomial p of a given degree with the smallest maximum of ``|weight(x) (f(x) - p(x))|`` on an
interval (Remez exchange, 50 digits); the weight turns an error of p into a relative error of the result.
Coefficients are rounded to the precision of the target one at a time, the lowest first, and the rest is fitted
again, so that the rounding of one is made up for by the others. The error printed is that of the rounded ones.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

import mpmath as mp

Function = Callable[[mp.mpf], mp.mpf]
Numbers = list[mp.mpf]
POINTS = 1500
mp.mp.dps = 50


def exchange(grid: Numbers, target: Numbers, weight: Numbers, degree: int) -> Numbers:
    """Coefficients, the lowest first, of the polynomial nearest to the target on the grid."""
    points = [i * (len(grid) - 1) // (degree + 1) for i in range(degree + 2)]
    for _ in range(40):
        rows = [[weight[i] * grid[i] ** k for k in range(degree + 1)] + [(-1) ** n] for n, i in enumerate(points)]
        solution = mp.lu_solve(mp.matrix(rows), mp.matrix([weight[i] * target[i] for i in points]))
        fitted = [solution[k] for k in range(degree + 1)]
        errors = [w * (y - value(fitted, x)) for x, y, w in zip(grid, target, weight, strict=True)]
        points = []  # next: where the error is largest, in each run of equal sign
        for i, error in enumerate(errors):
            if not points or (error > 0) != (errors[points[-1]] > 0):
                points.append(i)
            elif abs(error) > abs(errors[points[-1]]):
                points[-1] = i
        sizes = [abs(errors[i]) for i in points]
        while len(points) > degree + 2:  # the smallest goes; an inner one with a neighbour: the signs still alternate
            n = sizes.index(min(sizes) if len(points) > degree + 3 else min(sizes[0], sizes[-1]))
            if 0 < n < len(points) - 1:
                n -= sizes[n - 1] < sizes[n + 1]
                del points[n], sizes[n]
            del points[n], sizes[n]
        if len(points) < degree + 2 or max(sizes) < 1.001 * min(sizes):
            break
    return fitted


def value(coefficients: Numbers, x: mp.mpf) -> mp.mpf:
    """The polynomial at x."""
    return mp.polyval(coefficients[::-1], x)


def rounded(x: mp.mpf, bits: int) -> mp.mpf:
    """The nearest number with a significand of ``bits`` bits."""
    mantissa, exponent = mp.frexp(x)
    return mp.ldexp(mp.nint(mp.ldexp(mantissa, bits)), exponent - bits)


def fit(name: str, f: Function, weight: Function, low: float, high: float, degree: int, bits: int) -> None:
    """Prints the coefficients, from the highest power down, as C literals, and their largest error."""
    middle, half = (mp.mpf(low) + high) / 2, (mp.mpf(high) - low) / 2
    grid = [middle - half * mp.cos(mp.pi * (i + mp.mpf(1) / 2) / POINTS) for i in range(POINTS)]
    target, weights = [f(x) for x in grid], [weight(x) for x in grid]
    done: Numbers = []
    for k in range(degree + 1):  # the rest is x^k times a polynomial
        rest = [(y - value(done, x)) / x**k for x, y in zip(grid, target, strict=True)]
        scaled = [abs(w * x**k) for x, w in zip(grid, weights, strict=True)]
        done.append(rounded(exchange(grid, rest, scaled, degree - k)[0], bits))
    error = max(abs(w * (y - value(done, x))) for x, y, w in zip(grid, target, weights, strict=True))
    print(f"{name}, degree {degree}, on [{low:.4g}, {high:.4g}]: largest error 2^{float(mp.log(error, 2)):.1f}")
    literals = [f"{float(c):+.9g}f" if bits == 24 else f"{float(c):+.17g}" for c in reversed(done)]
    terms = [literals[0].lstrip("+"), *(f"{c[0]} {c[1:]}" for c in literals[1:])]
    print("    " + ", ".join(f'"{term}"' for term in terms))


def exponential(r: mp.mpf) -> mp.mpf:
    """(e^r - 1 - r) / r^2"""
    return (mp.expm1(r) - r) / r**2


def logarithm(f: mp.mpf) -> mp.mpf:
    """(log(1 + f) - f + f^2 / 2) / f^3"""
    return (mp.log1p(f) - f + f**2 / 2) / f**3


def inverse_tangent(z: mp.mpf) -> mp.mpf:
    """(2 atanh(s) - 2 s) / s^3 with s = sqrt(z)"""
    s = mp.sqrt(z)
    return (2 * mp.atanh(s) - 2 * s) / s**3


def error_exponent(x: mp.mpf) -> mp.mpf:
    """-log(1 - erf(x)) / x - 1"""
    return -mp.log(mp.erfc(x)) / x - 1


def error_weight(x: mp.mpf) -> mp.mpf:
    """Change of erf(x), relative to erf(x), for a change of 1 in error_exponent(x)."""
    return x * mp.erfc(x) / mp.erf(x)


def sine(z: mp.mpf) -> mp.mpf:
    """(sin(r) - r) / r^3 with r = sqrt(z)"""
    r = mp.sqrt(z)
    return (mp.sin(r) - r) / r**3


def cosine(z: mp.mpf) -> mp.mpf:
    """(cos(r) - 1 + r^2 / 2) / r^4 with r = sqrt(z)"""
    return (mp.cos(mp.sqrt(z)) - 1 + z / 2) / z**2


def arctangent(z: mp.mpf) -> mp.mpf:
    """(atan(s) - s) / s^3 with s = sqrt(z)"""
    s = mp.sqrt(z)
    return (mp.atan(s) - s) / s**3


def scaled_erfc(u: mp.mpf, middle: int) -> mp.mpf:
    """(1 + 2 x) e^(x^2) erfc(x) with u = (x - middle) / (x + middle)"""
    x = middle * (1 + u) / (1 - u)
    return (1 + 2 * x) * mp.exp(x * x) * mp.erfc(x)


def inverse_ratio(w: mp.mpf) -> mp.mpf:
    """erfinv(x) / x with w = -log(1 - x^2)"""
    if w < 1e-12:
        return mp.sqrt(mp.pi) / 2 * (1 + mp.pi * w / 12)
    x = mp.sqrt(-mp.expm1(-w))
    if x < 0.9:
        return mp.erfinv(x) / x
    rest = -mp.expm1(mp.log1p(-mp.exp(-w)) / 2)  # 1 - x
    y = mp.sqrt(-mp.log(rest * mp.sqrt(mp.pi * w)))
    for _ in range(8):  # Newton's method on the logarithm of erfc
        e = mp.erfc(y)
        y += mp.log(e / rest) * e * mp.sqrt(mp.pi) / 2 * mp.exp(y * y)
    return y / x


def fit_inverse(name: str, low: float, high: float, middle: float, power: int, degree: int, bits: int) -> None:
    """Fits erfinv(x) / x as a polynomial in t - middle, t^power = -log(1 - x^2), for t between two numbers."""

    def ratio(t: mp.mpf) -> mp.mpf:
        return inverse_ratio((t + mp.mpf(middle)) ** power)

    fit(name, ratio, lambda t: 1 / ratio(t), low - middle, high - middle, degree, bits)


if __name__ == "__main__":
    half = float(mp.log(2) / 2) * 1.0001
    root = float(mp.sqrt(mp.mpf(1) / 2))
    for bits, exp_degree, erf_degree, end in ((24, 5, 8, 4.0), (53, 9, 22, 6.0)):
        fit("exp", exponential, lambda r: r**2 / mp.exp(r), -half, half, exp_degree, bits)
        fit("erf", error_exponent, error_weight, 1e-6, end, erf_degree, bits)
    fit("log, float", logarithm, lambda f: f**3 / mp.log1p(f), root - 1, 1 / root - 1, 8, 24)
    fit("log, double", inverse_tangent, lambda z: z / 2, 1e-9, ((1 - root) / (1 + root)) ** 2, 6, 53)
    eighth = (float(mp.pi / 4) * 1.0003) ** 2
    for bits, sine_degree, cosine_degree, arc_degree in ((24, 3, 2, 5), (53, 6, 5, 11)):
        fit("sin", sine, lambda z: z**1.5 / mp.sin(mp.sqrt(z)), 1e-9, eighth, sine_degree, bits)
        fit("cos", cosine, lambda z: z**2 / mp.cos(mp.sqrt(z)), 1e-9, eighth, cosine_degree, bits)
        fit("atan", arctangent, lambda z: z**1.5 / mp.atan(mp.sqrt(z)), 1e-9, 0.25001, arc_degree, bits)
    for bits, middle, last, degree in ((24, 2, 10.2, 10), (53, 3, 27.4, 24)):
        erfc = functools.partial(scaled_erfc, middle=middle)
        fit("erfc", erfc, lambda u, f=erfc: 1 / f(u), -1 + 1e-12, (last - middle) / (last + middle), degree, bits)
    mp.mp.dps = 60
    fit_inverse("erfinv, float", 0, 4, 0, 1, 8, 24)
    fit_inverse("erfinv, float, from there", 2, 4.09, 3, 2, 9, 24)
    fit_inverse("erfinv, double", 0, 5, 0, 1, 22, 53)
    fit_inverse("erfinv, double, from there", 2.236, 3.875, 3.0625, 2, 20, 53)
    fit_inverse("erfinv, double, from there", 3.875, 6.08, 5, 2, 18, 53)
