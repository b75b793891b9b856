"""The vector vocabulary, in each form that this machine runs: values, limits, random numbers, strict builds."""

from __future__ import annotations

import ctypes
import math
import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jinja2
import mpmath
import numpy as np
import pytest

from nncompile.compiler.vocabulary import DEPENDENCIES, closure
from nncompile.errors import InternalError

TEMPLATES = Path(__file__).parent.parent / "templates"
ELEMENTWISE = (
    "abs sign sqrt rsqrt round floor exp exp2 expm1 log log2 log1p tanh sigmoid erf erfc erfinv sin cos atan".split()
)
PAIRS = "max min pow copysign fmod".split()
COMPARISONS = {"lt": np.less, "le": np.less_equal, "gt": np.greater, "ge": np.greater_equal}
COMPARISONS |= {"eq": np.equal, "ne": np.not_equal}
POINTS = 2**17  # of a sample; a multiple of any number of lanes


# ------------------------------------------------------------------ printing and building


def vocabulary(form: str, real: str, size: int, names: tuple[str, ...]) -> str:
    """vector.h with the given functions."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    width = 4 if real == "float" else 8
    v = SimpleNamespace(form=form, real=real, bits=8 * width, lanes=size // width, bytes=size, names=list(names))
    return environment.get_template("vector.h.j2").render(v=v)


def unit(form: str, real: str, size: int) -> str:
    """Loops over arrays, one for each function."""
    loops = []

    def loop(name: str, expression: str, stored: str = "nn_store(z + i, {});") -> None:
        head = f"void each_{name}(const real *x, const real *y, real *z, long n)"
        body = f"(void)x, (void)y; for (long i = 0; i < n; i += LANES) {{ {stored.format(expression)} }}"
        loops.append(f"{head};\n{head} {{ {body} }}")

    a, b = "nn_load(x + i)", "nn_load(y + i)"
    for name in ELEMENTWISE:
        loop(name, f"nn_{name}({a})")
    for name in PAIRS:
        loop(name, f"nn_{name}({a}, {b})")
    for name in COMPARISONS:
        loop(name, f"nn_from_mask(nn_{name}({a}, {b}))")
    for name in ("sum", "prod", "max", "min"):
        loop(f"{name}_lanes", f"nn_{name}_lanes({a})", "*z++ = {};")
    loop("fma", f"nn_fma({a}, {b}, nn_set(3))")
    loop("iota", "nn_iota()")
    loop("relu", f"nn_max({a}, nn_set(0))")
    loop("masks", f"nn_select(nn_or(nn_and(nn_lt({a}, {b}), nn_not(nn_gt({a}, nn_set(0)))), {a} == 2), {a}, {b})")
    head = "void uniform(uint32_t key0, uint32_t key1, uint32_t first, real *z, long n)"
    body = "for (long i = 0; i < n; i += LANES) { nn_store(z + i, nn_uniform(key0, key1, first + (uint32_t)i)); }"
    loops.append(f"{head};\n{head} {{ {body} }}")
    head = "uint64_t key(uint64_t seed, uint64_t step, uint32_t layer)"
    loops.append(f"{head};\n{head} {{ return nn_key(seed, step, layer); }}")
    used = closure(DEPENDENCIES, form)
    names = tuple(name for name in used if name != "nn_swap" or form == "gnu")
    return vocabulary(form, real, size, names) + "\n" + "\n".join(loops) + "\n"


def compiler() -> list[str]:
    command = shlex.split(os.environ.get("CC", "cc"))
    if shutil.which(command[0]) is None:
        pytest.skip(f"no C compiler ({command[0]})")
    return command


def run(command: list[str], code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, input=code, capture_output=True, text=True, check=False)


def features() -> set[str]:
    """What the processor can do, as Linux says it."""
    cpu = Path("/proc/cpuinfo")
    found = re.search(r"^flags\s*:(.*)$", cpu.read_text(), re.MULTILINE) if cpu.exists() else None
    return set(found[1].split()) if found else set()


FORMS: dict[str, tuple[str, int, list[str], set[str]]] = {
    "c99": ("c99", 0, ["-ffp-contract=off"], set()),
    "c99-O0": ("c99", 0, ["-ffp-contract=off", "-O0"], set()),
    "gnu16": ("gnu", 16, [], set()),
    "gnu32": ("gnu", 32, ["-mavx2", "-mfma"], {"avx2", "fma"}),
    "gnu32-off": ("gnu", 32, ["-mavx2", "-mfma", "-ffp-contract=off"], {"avx2", "fma"}),
    "gnu64": (
        "gnu",
        64,
        ["-mavx512f", "-mavx512dq", "-mavx512vl", "-mavx512bw", "-mfma"],
        {"avx512f", "avx512dq", "avx512vl", "avx512bw"},
    ),
}
"""form, bytes of a vector (0: one number), flags, and what the processor must have."""


@dataclass(frozen=True)
class Unit:
    library: ctypes.CDLL
    type: type[np.floating[Any]]
    lanes: int

    def __call__(self, name: str, *arrays: Any, length: int | None = None) -> np.ndarray[Any, Any]:
        """A loop's result for arrays of any length."""
        count = len(arrays[0]) if arrays else POINTS
        padded = -(-count // 16) * 16
        given = [np.zeros(padded, self.type) for _ in range(2)]
        for to, x in zip(given, arrays, strict=False):
            to[:count] = x
        z = np.empty(padded, self.type)
        pointers = [ctypes.c_void_p(a.ctypes.data) for a in (*given, z)]
        getattr(self.library, f"each_{name}")(*pointers, ctypes.c_long(padded))
        return z[: count if length is None else length]

    def uniform(self, key0: int, key1: int, first: int, count: int) -> np.ndarray[Any, Any]:
        z = np.empty(count, self.type)
        keys = (ctypes.c_uint32(k) for k in (key0, key1, first))
        self.library.uniform(*keys, ctypes.c_void_p(z.ctypes.data), ctypes.c_long(count))
        return z


@pytest.fixture(scope="module")
def build(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, str], Unit]:
    folder = tmp_path_factory.mktemp("vocabulary")

    @cache
    def made(name: str, real: str) -> Unit:
        form, size, flags, needed = FORMS[name]
        if not needed <= features():
            pytest.skip(f"the processor has no {', '.join(sorted(needed - features()))}")
        width = 4 if real == "float" else 8
        library = folder / f"{name}-{real}.so"
        strict = ["-std=c99", "-Wpedantic"] if form == "c99" else ["-std=gnu11", "-ffp-contract=fast"]
        command = [*compiler(), *strict, "-O2", "-fno-math-errno", "-fno-trapping-math", *flags]
        command += ["-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-x", "c", "-", "-o", str(library), "-lm"]
        done = run(command, unit(form, real, size or width))
        assert done.returncode == 0, done.stderr
        loaded = ctypes.CDLL(str(library))
        loaded.key.restype = ctypes.c_uint64
        return Unit(loaded, np.float32 if real == "float" else np.float64, (size or width) // width)

    return made


@pytest.fixture(params=[(form, real) for form in FORMS for real in ("float", "double")], ids="-".join)
def built(request: pytest.FixtureRequest, build: Callable[[str, str], Unit]) -> Unit:
    return build(*request.param)


# ------------------------------------------------------------------ references and distances


def erf(x: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """erf(x) = 2 / sqrt(pi) e^(-x^2) (x + 2 x^3 / 3 + 4 x^5 / 15 + ...): no term is negative."""
    a = np.minimum(np.abs(x), 7)
    term = total = a
    for n in range(1, 220):
        term = term * (2 * a * a) / (2 * n + 1)
        total = total + term
    pi = np.longdouble("3.14159265358979323846264338327950288").astype(x.dtype)
    return np.copysign(np.exp(-a * a) * total * 2 / np.sqrt(pi), x)


def sigmoid(x: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    e = np.exp(-np.abs(x))
    return np.where(x < 0, e, 1 + 0 * e) / (1 + e)


REFERENCES: dict[str, Callable[[np.ndarray[Any, Any]], np.ndarray[Any, Any]]] = {
    "exp": np.exp,
    "expm1": np.expm1,
    "log": np.log,
    "log1p": np.log1p,
    "tanh": np.tanh,
    "sigmoid": sigmoid,
    "erf": erf,
    "exp2": np.exp2,
    "log2": np.log2,
    "sin": np.sin,
    "cos": np.cos,
    "atan": np.arctan,
    "erfc": np.vectorize(math.erfc, otypes=[float]),  # of a float alone: test_error_of_what_has_no_long_double
    "rsqrt": lambda x: 1 / np.sqrt(x),
}
BOUNDS = {"exp": 0.9, "expm1": 1.2, "log": 1.0, "log1p": 1.0, "tanh": 2.0, "sigmoid": 2.0, "erf": 2.0, "rsqrt": 1.5}
BOUNDS |= {"exp2": 1.2, "log2": 2.0, "sin": 1.0, "cos": 1.0, "atan": 2.0, "erfc": 5.0}
"""In ULP; the comments of the functions say the same, and 3 for erf of a double."""
RANGES = {"exp": 110, "expm1": 100, "log": 5, "log1p": 5, "tanh": 12, "sigmoid": 100, "erf": 5, "rsqrt": 5}
RANGES |= {"exp2": 1.2, "log2": 5, "sin": 20, "cos": 20, "atan": 8, "erfc": 7}
"""Where values are sampled evenly, besides a sample of all bit patterns; wider for a double."""


def precise(name: str, x: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """The function with more digits than x has."""
    if x.dtype == np.float64 and np.finfo(np.longdouble).nmant < 63:
        pytest.skip("long double is not longer than double")
    wide = np.float64 if x.dtype == np.float32 else np.longdouble
    with np.errstate(all="ignore"):
        return REFERENCES[name](x.astype(wide)).astype(wide)


def distance(y: np.ndarray[Any, Any], exact: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """|y - exact| in units of the last place of exact; 0 for equal infinities and for NaN twice, else infinite."""
    info = np.finfo(y.dtype)
    with np.errstate(all="ignore"):
        exponent = np.maximum(np.frexp(exact)[1].astype(np.int64) - 1, info.minexp) - info.nmant
        d = np.abs(np.ldexp(y.astype(exact.dtype) - exact, -exponent))
        too_large = np.abs(exact) >= exact.dtype.type(info.max) * (1 + 2.0 ** -(info.nmant + 2))
        same = (np.isnan(y) & np.isnan(exact)) | (too_large & np.isinf(y) & (np.signbit(y) == np.signbit(exact)))
    return np.where(same, 0, np.where(np.isnan(d), np.inf, d))


@cache
def sample(kind: str, reach: float) -> np.ndarray[Any, Any]:
    """All exponents and signs, NaN among them; then an even spread over a range, and what is near 0, 1 and -1."""
    bits = np.dtype(f"u{np.dtype(kind).itemsize}").type
    step = 2 ** (8 * np.dtype(kind).itemsize) // POINTS
    patterns = (np.arange(POINTS, dtype=bits) * bits(step) + bits(step // 3 | 1)).view(kind)
    even = np.linspace(-reach, reach, POINTS)
    near = np.linspace(-1.5, 1.5, POINTS)
    small = np.linspace(-0.01, 0.01, POINTS // 2)
    return np.concatenate([patterns, even.astype(kind), near.astype(kind), small.astype(kind)])


@cache
def expected(name: str, kind: str, reach: float) -> np.ndarray[Any, Any]:
    return precise(name, sample(kind, reach))


@pytest.mark.parametrize("name", REFERENCES)
def test_error(name: str, built: Unit) -> None:
    if name == "erfc" and built.type == np.float64:
        return
    kind = np.dtype(built.type).str
    reach = float(RANGES[name]) * (7.5 if built.type == np.float64 and RANGES[name] > 90 else 1.5)
    x, exact = sample(kind, reach), expected(name, kind, reach)
    d = distance(built(name, x), exact)
    if name == "sigmoid":  # taken as 0 where e^-x overflows, as NumPy's own 1 / (1 + exp(-x)) is
        end = 89 if built.type == np.float32 else 710
        assert not built(name, x[x < -end]).any()
        d[x < -end] = 0
    bound = 3.0 if name == "erf" and built.type == np.float64 else BOUNDS[name]
    worst = int(np.argmax(d))
    assert d[worst] <= bound, f"{name}({x[worst]!r}): {d[worst]:.3f} ULP"


EXACTLY = {"erfc": mpmath.erfc, "sin": mpmath.sin, "cos": mpmath.cos}


def inverse_of_erf(x: Any) -> Any:
    """From the double that is near, by Newton's method on the logarithm of what is missing to 1."""
    size = abs(x)
    if size < 0.9:
        return mpmath.erfinv(x)
    y = mpmath.sqrt(-mpmath.log(1 - size))
    for _ in range(12):
        rest = mpmath.erfc(y)
        y += mpmath.log(rest / (1 - size)) * rest * mpmath.sqrt(mpmath.pi) / 2 * mpmath.exp(y * y)
    return mpmath.sign(x) * y


@cache
def hard(name: str, kind: str) -> tuple[np.ndarray[Any, Any], list[Any], list[Any]]:
    """Arguments, and to 50 digits the values with their units of the last place."""
    random, info = np.random.default_rng(3), np.finfo(kind)
    single = info.nmant == 23
    with mpmath.workdps(50):
        if name in ("sin", "cos"):
            turns = np.r_[1:1025:5, 10 ** random.uniform(0, 7.8, 60) // 1].tolist()
            near = [float(mpmath.mpf(n) * mpmath.pi / 2) for n in turns]
            hardest = 16367173 * 2.0**72 if single else 6381956970095103 * 2.0**797
            x = np.r_[near, 10 ** random.uniform(-3, np.log10(float(info.max)), 300), hardest]
        elif name == "erfc":
            x = np.r_[random.uniform(-6, 10, 150), random.uniform(9, 27.5, 150), 0.0, -0.0]
        else:
            tail = 1 - 10 ** random.uniform(np.log10(info.eps / 2), 0, 200)
            x = np.r_[tail, -(10 ** random.uniform(-30, 0, 100)), 1 - info.eps / 2]
        x = x.astype(kind)
        function = inverse_of_erf if name == "erfinv" else EXACTLY[name]
        exact = [function(mpmath.mpf(float(v))) for v in x]
        least = info.minexp - info.nmant
        unit = [mpmath.ldexp(1, max(mpmath.frexp(e)[1] - 1 - info.nmant, least) if e else least) for e in exact]
    return x, exact, unit


@pytest.mark.parametrize("name", ["sin", "cos", "erfc", "erfinv"])
def test_error_where_long_double_does_not_help(name: str, built: Unit) -> None:
    """Angles of every size and next to multiples of pi/2, and the tails of erf."""
    x, exact, unit = hard(name, np.dtype(built.type).str)
    y = built(name, x)
    d = [float(abs(mpmath.mpf(float(a)) - e) / u) for a, e, u in zip(y, exact, unit, strict=True)]
    worst = int(np.argmax(d))
    assert d[worst] <= {"erfc": 5, "erfinv": 3}.get(name, 1), f"{name}({x[worst]!r}): {d[worst]:.3f} ULP"


def test_what_is_exact(built: Unit) -> None:
    """Powers of 2, and their logarithms."""
    info = np.finfo(built.type)
    whole = np.arange(info.minexp - info.nmant, info.maxexp).astype(built.type)
    powers = np.ldexp(built.type(1), whole.astype(int))
    np.testing.assert_array_equal(built("exp2", whole), powers)
    np.testing.assert_array_equal(built("log2", powers), whole)
    same(built("exp2", np.array([info.maxexp, 1e30, -1e30, -2000])), np.array([np.inf, np.inf, 0.0, 0.0]))


@pytest.mark.parametrize("name", ["exp", "log", "expm1", "log1p", "tanh", "erf", "sigmoid", "sin", "atan"])
def test_error_subnormal(name: str, built: Unit) -> None:
    """Subnormal arguments, and exp's subnormal results."""
    info = np.finfo(built.type)
    x = info.smallest_subnormal * np.r_[np.arange(1, 4000), 2.0 ** np.arange(info.nmant + 3)].astype(built.type)
    x = np.r_[x, -x]
    if name == "exp":
        low = np.log(np.longdouble(info.smallest_subnormal))
        x = np.linspace(float(low) - 2, float(np.log(info.tiny)) + 1, 20000).astype(built.type)
    assert distance(built(name, x), precise(name, x)).max() <= BOUNDS[name]


# ------------------------------------------------------------------ exact results

SPECIAL = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, 1, -1, 2, -2, 0.5, -0.5, 1.5, 2.5, -2.5, 1e30, -1e30, 1e-30])


def same(y: Any, exact: Any) -> None:
    """Equal numbers, signs of zeros and places of NaN."""
    np.testing.assert_array_equal(y, exact)
    known = ~np.isnan(exact)
    np.testing.assert_array_equal(np.signbit(y)[known], np.signbit(exact)[known])


@pytest.mark.parametrize("name", [n for n in ELEMENTWISE if "erf" not in n])
def test_limits(name: str, built: Unit) -> None:
    """Infinities, zeros with their signs, and NaN are NumPy's."""
    numpy: dict[str, Any] = {"rsqrt": lambda x: 1 / np.sqrt(x), "sigmoid": sigmoid, "round": np.rint, "atan": np.arctan}
    x = SPECIAL[:5].astype(built.type)
    with np.errstate(all="ignore"):
        same(built(name, x), numpy.get(name, getattr(np, name, None))(x))


def test_limits_by_name(built: Unit) -> None:
    inf, nan = np.inf, np.nan
    x = np.array([-inf, -1.0, -0.0, 0.0, 1.0, inf, nan], built.type)
    same(built("exp", x)[[0, 2, 3, 5, 6]], np.array([0.0, 1.0, 1.0, inf, nan]))
    same(built("expm1", x)[[0, 2, 3, 5, 6]], np.array([-1.0, -0.0, 0.0, inf, nan]))
    same(built("log", x)[[0, 1, 2, 3, 4, 5, 6]], np.array([nan, nan, -inf, -inf, 0.0, inf, nan]))
    same(built("log1p", x)[[0, 1, 2, 3, 5, 6]], np.array([nan, -inf, -0.0, 0.0, inf, nan]))
    for name in ("tanh", "erf"):
        same(built(name, x)[[0, 2, 3, 5, 6]], np.array([-1.0, -0.0, 0.0, 1.0, nan]))
    same(built("sigmoid", x)[[0, 2, 3, 5, 6]], np.array([0.0, 0.5, 0.5, 1.0, nan]))
    same(built("erfc", x)[[0, 2, 3, 5, 6]], np.array([2.0, 1.0, 1.0, 0.0, nan]))
    same(built("erfinv", x), np.array([nan, -inf, -0.0, 0.0, inf, nan, nan]))
    largest = np.log(np.finfo(built.type).max).astype(built.type)
    assert np.isfinite(built("exp", np.array([largest * built.type(1 - 1e-6)]))).all()


@pytest.mark.parametrize("name", ["abs", "sqrt", "round", "floor", "sign"])
def test_exact(name: str, built: Unit) -> None:
    halves = np.arange(-4096, 4096) / 2
    edges = np.ldexp(1.0, np.arange(20, 56))[:, None] + np.array([-1, -0.5, 0, 0.5, 1])
    chosen = np.concatenate([halves, edges.ravel(), -edges.ravel(), SPECIAL]).astype(built.type)
    x = np.concatenate([sample(np.dtype(built.type).str, 1e6), chosen])
    with np.errstate(all="ignore"):
        y = {"round": np.rint}.get(name, getattr(np, name))(x)
    same(built(name, x), y)


def test_pairs(built: Unit) -> None:
    """Maximum and minimum carry NaN from either side; comparisons and masks are NumPy's."""
    x, y = (a.ravel().astype(built.type) for a in np.meshgrid(SPECIAL, SPECIAL))
    np.testing.assert_array_equal(built("max", x, y), np.maximum(x, y))
    np.testing.assert_array_equal(built("min", x, y), np.minimum(x, y))
    np.testing.assert_array_equal(built("relu", x), np.maximum(x, 0))
    same(built("copysign", x, y)[~np.isnan(x)], np.copysign(x, y)[~np.isnan(x)])
    random = np.random.default_rng(4)
    exponents = random.integers(-40, 40, (2, 800))
    far = np.array([1e30, 1e-30, 3.0, np.finfo(built.type).max, np.finfo(built.type).smallest_subnormal * 3])
    over = np.r_[x, np.ldexp(random.normal(size=800), exponents[0]), far, far].astype(built.type)
    under = np.r_[y, np.ldexp(random.normal(size=800), exponents[1]), far[::-1], far].astype(built.type)
    with np.errstate(all="ignore"):
        same(built("fmod", over, under), np.fmod(over, under))
    for name, numpy in COMPARISONS.items():
        same(built(name, x, y), numpy(x, y).astype(built.type))
    same(built("masks", x, y), np.where(((x < y) & ~(x > 0)) | (x == 2), x, y))
    small = np.maximum(np.abs(np.nan_to_num(x)), np.abs(np.nan_to_num(y))) < 10
    np.testing.assert_array_equal(built("fma", x, y)[small], x[small] * y[small] + 3)
    np.testing.assert_array_equal(built("iota", x), np.arange(len(x)) % built.lanes)


def test_pow(built: Unit) -> None:
    special = np.r_[SPECIAL, 3, -3, 4, 1e5, 1e5 + 1, -0.25]
    x, y = (a.ravel().astype(built.type) for a in np.meshgrid(special, special))
    with np.errstate(all="ignore"):
        exact = np.power(x, y)
    z = built("pow", x, y)
    np.testing.assert_array_equal(np.isnan(z), np.isnan(exact))
    limits = np.isinf(exact) | (exact == 0) | (np.abs(exact) == 1)
    same(z[limits], exact[limits])
    np.testing.assert_array_equal(np.signbit(z[~np.isnan(z)]), np.signbit(exact[~np.isnan(z)]))

    random = np.random.default_rng(1)
    x, y = random.uniform(0.01, 20, POINTS).astype(built.type), random.uniform(-5, 5, POINTS).astype(built.type)
    wide = np.float64 if built.type == np.float32 else np.longdouble
    bound = 1 + 2 * np.abs(y * np.log(x))
    assert (distance(built("pow", x, y), np.power(x.astype(wide), y.astype(wide))) <= bound).all()


def test_lanes(built: Unit) -> None:
    random = np.random.default_rng(2)
    x = random.integers(-100, 100, 1600).astype(built.type)
    rows, count = x.reshape(-1, built.lanes), 1600 // built.lanes
    np.testing.assert_array_equal(built("sum_lanes", x, length=count), rows.sum(axis=1))
    factors = random.choice([-2.0, -1.0, 0.5, 1.0, 2.0], 1600).astype(built.type)
    products = factors.reshape(-1, built.lanes).prod(axis=1)
    np.testing.assert_array_equal(built("prod_lanes", factors, length=count), products)
    x[random.integers(0, 1600, 20)] = np.nan
    x[random.integers(0, 1600, 20)] = np.inf
    np.testing.assert_array_equal(built("max_lanes", x, length=count), rows.max(axis=1))
    np.testing.assert_array_equal(built("min_lanes", x, length=count), rows.min(axis=1))


def test_unoptimized_is_equal(build: Callable[[str, str], Unit]) -> None:
    """Without contraction the optimizer changes no bit."""
    for real in ("float", "double"):
        plain, optimized = build("c99-O0", real), build("c99", real)
        x = sample(np.dtype(plain.type).str, 100.0)
        for name in ELEMENTWISE:
            np.testing.assert_array_equal(plain(name, x), optimized(name, x))


# ------------------------------------------------------------------ random numbers


def mixed(x: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    x = (x ^ (x >> np.uint32(16))) * np.uint32(0x21F0AAAD)
    x = (x ^ (x >> np.uint32(15))) * np.uint32(0x735A2D97)
    return x ^ (x >> np.uint32(15))


def mixed64(x: int) -> int:
    mask = 2**64 - 1
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & mask
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & mask
    return x ^ (x >> 31)


def key_of(unit: Unit, seed: int, step: int, layer: int) -> tuple[int, int]:
    key = unit.library.key(ctypes.c_uint64(seed), ctypes.c_uint64(step), ctypes.c_uint32(layer))
    return key & 0xFFFFFFFF, key >> 32


def test_uniform_is_the_same_everywhere(built: Unit) -> None:
    for key0, key1, first in ((0, 0, 0), (1, 2, 3), (0xDEADBEEF, 0x12345678, 2**32 - 40)):
        index = np.arange(160, dtype=np.uint32) + np.uint32(first)
        h = mixed(mixed(index ^ np.uint32(key0)) ^ np.uint32(key1))
        np.testing.assert_array_equal(built.uniform(key0, key1, first, 160), (h >> np.uint32(8)) * 2.0**-24)
    for seed, step, layer in ((0, 0, 0), (1337, 10**12, 5), (2**64 - 1, 2**63, 2**32 - 1)):
        key = mixed64((mixed64((mixed64((seed + 0x9E3779B97F4A7C15) % 2**64) + step) % 2**64) + layer) % 2**64)
        assert key_of(built, seed, step, layer) == (key & 0xFFFFFFFF, key >> 32)


def test_uniform_is_random(build: Callable[[str, str], Unit]) -> None:
    """Mean, variance, spread and independence, each within 5 standard deviations."""
    unit, n = build("c99", "float"), 2**18

    def correlation(a: np.ndarray[Any, Any], b: np.ndarray[Any, Any]) -> float:
        return float(((a - 0.5) * (b - 0.5)).mean() * 12 * np.sqrt(len(a)))

    layers = [unit.uniform(*key_of(unit, 1, 7, layer), 0, n).astype(float) for layer in range(4)]
    steps = [unit.uniform(*key_of(unit, 1, step, 0), 0, n).astype(float) for step in range(4)]
    seeds = [unit.uniform(*key_of(unit, seed, 7, 0), 0, n).astype(float) for seed in (2, 3, 2**40)]
    raw = [unit.uniform(key, 0, 0, n).astype(float) for key in (0, 1, 2, 2**31)]
    for x in (*layers, *steps, *seeds, *raw):
        assert x.min() >= 0 and x.max() < 1
        assert abs(x.mean() - 0.5) * np.sqrt(12 * n) < 5
        assert abs(x.var() - 1 / 12) * np.sqrt(180 * n) < 5
        counts = np.bincount((x * 1024).astype(int), minlength=1024)
        assert abs(((counts - n / 1024) ** 2).sum() * 1024 / n - 1023) / np.sqrt(2 * 1023) < 5
        for lag in (1, 2, 7, 8, 16, 100, 784, 1024):
            assert abs(correlation(x[:-lag], x[lag:])) < 5, lag
        low = (x * 2**24).astype(int) & 1
        assert abs(low.mean() - 0.5) * 2 * np.sqrt(n) < 5
    for family in (layers, steps, seeds, raw):
        for i, a in enumerate(family):
            for b in family[i + 1 :]:
                assert abs(correlation(a, b)) < 5
                assert (a == b).mean() < 1e-4
    walk = np.array([unit.uniform(*key_of(unit, 5, step, 3), 42, 16)[0] for step in range(4096)], float)
    assert abs(walk.mean() - 0.5) * np.sqrt(12 * 4096) < 5
    assert abs(correlation(walk[:-1], walk[1:])) < 5


# ------------------------------------------------------------------ printing

STRICT = "-Wall -Wextra -Wpedantic -Wconversion -Wshadow -Wdouble-promotion -Werror".split()
COMPILERS = [c for c in ("gcc", "clang") if shutil.which(c)]


@pytest.mark.parametrize("cc", COMPILERS)
@pytest.mark.parametrize("real", ["float", "double"])
@pytest.mark.parametrize("name", [n for n in DEPENDENCIES if n != "nn_swap"])
def test_each_function_alone(name: str, real: str, cc: str) -> None:
    """A unit with one function and what it calls has no warning, as C99 and as C++, and nothing is missing."""
    use = f"\nvoid use(void);\nvoid use(void) {{ (void){name}; }}\n"
    code = vocabulary("c99", real, 4 if real == "float" else 8, closure([name], "c99")) + use
    for language in (["-x", "c", "-std=c99", "-Wstrict-prototypes"], ["-x", "c++", "-std=c++17"]):
        done = run([cc, *language, *STRICT, "-fsyntax-only", "-"], code)
        assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("real", ["float", "double"])
@pytest.mark.parametrize("form", ["gnu", "c99"])
def test_dependencies(form: str, real: str) -> None:
    """DEPENDENCIES are the calls that the text makes, and functions come after what they call."""
    names = tuple(n for n in DEPENDENCIES if n != "nn_swap" or form == "gnu")
    text = vocabulary(form, real, 32 if form == "gnu" else (4 if real == "float" else 8), names)
    code = re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)
    parts = re.split(r"(?:static (?:inline )?[\w ]+?|\} )(nn_\w+)(?=\(| =)", code)
    defined = dict(zip(parts[1::2], parts[2::2], strict=True))
    assert list(defined) == list(names)
    for name, body in defined.items():
        calls = set(re.findall(r"nn_\w+", body)) - {name}
        assert calls == set(DEPENDENCIES[name] if set(closure([name], form)) != {name} else ()), name
    order = list(DEPENDENCIES)
    assert all(order.index(called) < order.index(name) for name in order for called in DEPENDENCIES[name])


def test_closure() -> None:
    assert closure([]) == ()
    assert closure(["nn_floor", "nn_abs"]) == tuple(
        "nn_bits nn_from_bits nn_select nn_abs nn_with_sign nn_round nn_floor".split()
    )
    assert closure(["nn_max_lanes"], "c99") == ("nn_max_lanes",)
    assert closure(["nn_max_lanes"]) == ("nn_select", "nn_max", "nn_swap", "nn_max_lanes")
    with pytest.raises(InternalError, match="nn_cosecant"):
        closure(["nn_cosecant"])
