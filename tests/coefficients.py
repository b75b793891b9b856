"""Fits the polynomials of templates/vector_math.h.j2 and prints them: ``python tests/coefficients.py`` (mpmath).

Each is the polynomial p of a given degree with the smallest maximum of ``|weight(x) (f(x) - p(x))|`` on an
interval (Remez exchange, 50 digits); the weight turns an error of p into a relative error of the result.
Coefficients are rounded to the precision of the target one at a time, the lowest first, and the rest is fitted
again, so that the rounding of one is made up for by the others. The error printed is that of the rounded ones.
"""

from __future__ import annotations

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


if __name__ == "__main__":
    half = float(mp.log(2) / 2) * 1.0001
    root = float(mp.sqrt(mp.mpf(1) / 2))
    for bits, exp_degree, erf_degree, end in ((24, 5, 8, 4.0), (53, 9, 22, 6.0)):
        fit("exp", exponential, lambda r: r**2 / mp.exp(r), -half, half, exp_degree, bits)
        fit("erf", error_exponent, error_weight, 1e-6, end, erf_degree, bits)
    fit("log, float", logarithm, lambda f: f**3 / mp.log1p(f), root - 1, 1 / root - 1, 8, 24)
    fit("log, double", inverse_tangent, lambda z: z / 2, 1e-9, ((1 - root) / (1 + root)) ** 2, 6, 53)
