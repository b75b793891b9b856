"""The standalone C: compiled alone by every compiler here, run, and compared with Python bit for bit."""

from __future__ import annotations

import ctypes
import functools
import itertools
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from reference import float_type, target
from stacks import random_stack

import nncompile as nn
from nncompile import activations, export, layers, ops, registry
from nncompile.compiler.plain import table
from nncompile.errors import BuildError, ModelError, UnsupportedError

pytestmark = pytest.mark.quick_c

COMPILERS = [c for c in ("gcc", "clang") if shutil.which(c)]
STRICT = (
    "-std=c99 -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Wstrict-prototypes -Wmissing-prototypes "
    "-Wdouble-promotion -Wundef -Wcast-align -Wcast-qual -Wwrite-strings -Wold-style-definition -Werror"
).split()
SAME_BITS = "-ffp-contract=off"

both = pytest.mark.parametrize("cc", COMPILERS)
numbers = itertools.count()

assert COMPILERS, "the tests of the export need gcc or clang"


def compiled(cc, *arguments, check=True):
    done = subprocess.run([cc, *map(str, arguments)], capture_output=True, text=True, check=False)
    if check:
        assert done.returncode == 0, done.stderr
    return done


class Loaded:
    """An exported network in this process."""

    def __init__(self, report, cc=COMPILERS[0], flags=("-O2",)):
        library = report.source.with_suffix(f".{next(numbers)}.so")
        compiled(cc, *STRICT, *flags, SAME_BITS, "-shared", "-fPIC", report.source, "-o", library, "-lm")
        self.report, self.function = report, getattr(ctypes.CDLL(str(library)), f"{report.name}_predict")
        self.function.restype = None

    def __call__(self, x):
        real = "float64" if self.report.real == "double" else "float32"
        x = np.ascontiguousarray(x, real).reshape(len(x), -1)
        y = np.empty((len(x), self.report.outputs), real)
        guard = 64
        for row, out in zip(x, y, strict=True):
            memory = np.full(self.report.workspace + guard, 0xFF, "uint8")  # NaN wherever nothing was written
            self.function(*(ctypes.c_void_p(a.ctypes.data) for a in (memory, row, out)))
            assert (memory[-guard:] == 0xFF).all(), "wrote behind the workspace"
        return y


def same_bits(a, b):
    a, b = np.ravel(a), np.ravel(b)
    bits = {4: "uint32", 8: "uint64"}[a.dtype.itemsize]
    return a.dtype == b.dtype and bool(((a.view(bits) == b.view(bits)) | (np.isnan(a) & np.isnan(b))).all())


def sequential(*parts, shape=(7,), name=None, seed=0):
    """A model with weights that are not small."""
    model = nn.Sequential([nn.Input(shape), *parts], name=name)
    rng = np.random.default_rng(seed)
    for w in model.weights:
        w.assign(rng.normal(size=w.shape))
    return model


def inputs(model, rows=6, seed=1):
    x = np.random.default_rng(seed).normal(size=(rows, *model.input_shape[1:])) * 2
    x[0] = 0
    return x.astype("float64" if model.dtype == "float64" else "float32")


def agrees(model, path, **how):
    """Exports, compiles and compares with the c99 form from Python and with the host's; returns the report."""
    report = model.export(path)
    x = inputs(model)
    got = Loaded(report, **how)(x)
    with target("c99"):
        assert same_bits(got, model.predict(x, verbose=0))
    tolerance = 1e-10 if model.dtype == "float64" else 2e-3
    scale = max(1.0, float(np.abs(got).max()))
    np.testing.assert_allclose(got.ravel() / scale, model.predict(x, verbose=0).ravel() / scale, rtol=0, atol=tolerance)
    return report


@functools.cache
def small():
    """A network with a bit of everything that is built in."""
    parts = [layers.Dense(19, activation="gelu"), layers.Dropout(0.3), layers.Dense(16, activation="softmax")]
    return sequential(*parts, layers.Dense(3, activation="relu"), name="small")


@pytest.fixture
def report(tmp_path):
    return small().export(tmp_path / "small.c")


# ------------------------------------------------------------------ what it computes

ACTIVATIONS = dict(registry.registered("activations"))
ACTIVATIONS["threshold"] = lambda x: activations.threshold(x, 0.1, 0.2)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_every_activation(name, tmp_path):
    function = ACTIVATIONS[name]
    width = 20 if name == "glu" else 19  # glu halves it, twice
    model = sequential(layers.Dense(width, activation=function), layers.Activation(function), layers.Dense(2))
    report = model.export(tmp_path / "net.c")
    x = inputs(model)
    with target("c99"):
        expected = model.predict(x, verbose=0)
    loaded = [Loaded(report, cc) for cc in COMPILERS]
    for predict in loaded:
        assert same_bits(predict(x), expected)
    x[:, 3] = np.nan
    for predict in loaded:
        assert np.isnan(predict(x)).all(), "not a number became one"


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activation_alone_keeps_nan(name, tmp_path):
    report = sequential(layers.Activation(ACTIVATIONS[name]), shape=(4,)).export(tmp_path / "net.c")
    y = Loaded(report)(np.array([[1, np.nan, -1, 0]]))
    assert np.isnan(y[0, 1])


@pytest.mark.parametrize("seed", range(8))
def test_random_networks(seed, tmp_path):
    stack = random_stack(np.random.default_rng(seed))
    model = stack.build(nn)
    rng = np.random.default_rng(seed)
    for w in model.weights:
        w.assign(rng.normal(size=w.shape) * 0.7)
    for cc, flags in zip(itertools.cycle(COMPILERS), (["-O0"], ["-O3"]), strict=False):
        agrees(model, tmp_path / "net.c", cc=cc, flags=flags)


def keep_both(x):
    return x * ops.softmax(x)


def twice(x):
    return ops.softmax(ops.softmax(x) * 3.0)


def centred(x):
    centred = x - ops.mean(x, axis=-1, keepdims=True)
    return centred * ops.rsqrt(ops.mean(centred * centred, axis=-1, keepdims=True) + 1e-3)


def two_kept(x):
    p = ops.softmax(x)
    q = ops.softmax(p * 2.0)
    return x * q + p


def conditions(x):
    inside = ops.logical_and(ops.greater(x, 0.0), ops.logical_not(ops.less(ops.floor(x), 1.0)))
    outside = ops.logical_or(ops.less(x, -1.0), ops.equal(x, 0.0))
    return ops.where(inside, x, ops.sign(x) * -0.5) + ops.cast(outside, None) * ops.where(outside, 2.0, ops.round(x))


def places(x):
    hot = ops.one_hot(ops.argmax(x, axis=-1), x.shape[-1])
    return ops.min(x, axis=-1, keepdims=True) + hot * x - ops.maximum(x, float("-inf"))


def signs(x):
    inner = -(x - (-3.0))
    return -inner - (x - (x - 1.0)) * -2.0 - (-x) / (1.0 + ops.power(ops.abs(x), 1.5))


def angles(x):
    far = ops.sin(x + 1700.0) * 0.1 + ops.cos(x * 3.0)  # beyond what is reduced in parts, and before
    return far + ops.arctan2(x, 0.5) + ops.fmod(x, 1e3) * ops.arcsinh(x)


def tails(x):
    share = ops.prod(ops.tanh(x) + 1.5, axis=-1, keepdims=True)
    return ops.erfinv(ops.tanh(x)) + ops.erfc(x) * ops.exp2(x) + ops.log2(ops.abs(x) + 1.0) * ops.tanh(share)


FORMULAS = [keep_both, twice, centred, two_kept, conditions, places, signs, angles, tails]


class Scale(layers.Layer):
    """Uses weights of no axis and of one, the first in formulas of their own."""

    def build(self, input_shape):
        self.gain = self.add_weight(shape=(), initializer="ones", name="gain", trainable=False)
        self.shift = self.add_weight(shape=(input_shape[-1],), initializer="ones", name="shift")

    def call(self, x):
        sign = ops.where(ops.greater(self.gain, 0.1), 2.0, self.gain)
        odd = ops.tanh(self.gain) + ops.log(self.gain) + ops.sqrt(ops.abs(self.gain)) * ops.power(self.gain, 3.0)
        odd = odd + ops.cos(self.gain) * ops.erfc(self.gain) + ops.exp2(self.gain) - ops.arctan(self.gain)
        return x * ops.exp(self.gain * 0.3) + self.shift * sign + ops.where(ops.equal(odd, odd), odd, 0.25)


@pytest.mark.parametrize("function", FORMULAS, ids=lambda f: f.__name__)
def test_own_formulas(function, tmp_path):
    first = sequential(layers.Dense(19, activation=function), layers.Dense(3, activation=function))
    agrees(first, tmp_path / "first.c", cc=COMPILERS[-1])
    parts = [layers.Activation(function), layers.Dense(18, activation=function), Scale(), layers.Flatten()]
    second = sequential(*parts, layers.Activation(function), layers.Dense(16), shape=(3, 5))
    agrees(second, tmp_path / "second.c")


@pytest.mark.parametrize("gain", [-1.5, 0.0, 0.7, 200.0])
def test_weights_of_one_number(gain, tmp_path):
    model = sequential(Scale())
    model.layers[0].gain.assign(gain)
    with np.errstate(all="ignore"):
        agrees(model, tmp_path / "net.c")


def test_double(tmp_path):
    with float_type("float64"):
        model = sequential(layers.Dense(19, activation="mish"), layers.Dense(17, activation=two_kept), Scale())
        report = agrees(model, tmp_path / "net.c")
    assert report.real == "double"
    assert "const double x[NET_INPUTS], double y[NET_OUTPUTS]" in report.header.read_text()
    for cc in COMPILERS:
        agrees(model, tmp_path / "net.c", cc=cc)


NOTHING = {
    "dropout": ([layers.Dropout(0.5)], (5,)),
    "flatten": ([layers.Flatten()], (2, 3)),
    "linear": ([layers.Activation("linear")], (1,)),
    "flatten at the end": ([layers.Dense(2, activation="tanh"), layers.Flatten()], (3, 2)),
    "one number": ([layers.Dense(1, use_bias=False)], (1,)),
    "rows": ([layers.Dense(17), layers.Activation("softmax"), layers.Dense(3)], (4, 3, 2)),
}


@pytest.mark.parametrize("parts, shape", NOTHING.values(), ids=NOTHING)
def test_odd_shapes(parts, shape, tmp_path):
    agrees(sequential(*parts, shape=shape), tmp_path / "net.c")


def test_wide_rows_use_long(tmp_path):
    model = sequential(layers.Dense(2, activation="softmax"), shape=(40_000,))
    agrees(model, tmp_path / "net.c")
    text = (tmp_path / "net.c").read_text()
    assert "for (long k" in text and "for (int k" not in text
    assert re.search(r"#define NET_INPUTS 40000$", (tmp_path / "net.h").read_text(), re.M)


def test_training_before_and_after(tmp_path):
    """The weights are those of the moment; the model goes on as if nothing had happened."""
    model = sequential(layers.Dense(5, activation="tanh"), layers.Dense(1))
    model.compile(optimizer="adam", loss="mse")
    x, y = inputs(model, 20), np.ones((20, 1))
    model.fit(x, y, verbose=0)
    before = [w.value for w in model.weights]
    report = model.export(tmp_path / "net.c")
    assert all(np.array_equal(a, w.value) for a, w in zip(before, model.weights, strict=True))
    np.testing.assert_allclose(Loaded(report)(x), model.predict(x, verbose=0), atol=1e-6)
    model.fit(x, y, verbose=0)
    assert model.export(tmp_path / "net.c").source.read_text() != ""
    assert not np.array_equal(before[0], model.weights[0].value)


def test_weights_that_are_no_numbers(tmp_path):
    model = sequential(layers.Dense(17), layers.Dense(2))
    kernel = model.weights[0].value
    kernel[0, :3] = np.nan, np.inf, -np.inf
    model.weights[0].assign(kernel)
    report = model.export(tmp_path / "net.c")
    with target("c99"):
        expected = model.predict(inputs(model), verbose=0)
    assert np.isnan(expected).any()
    for cc in COMPILERS:
        assert same_bits(Loaded(report, cc)(inputs(model)), expected)
    assert self_test(report)[0] == 0


# ------------------------------------------------------------------ the self-test


def self_test(report, cc=COMPILERS[0], *flags, text=None):
    """Status and output of the self-test, of another text if one is given."""
    source, program = report.source.resolve(), report.source.resolve().with_suffix(".test")
    if text is not None:
        source = source.with_name(f"other{next(numbers)}.c")
        source.write_text(text)
    compiled(cc, *(flags or ("-O1",)), f"-D{report.name.upper()}_SELF_TEST", source, "-o", program, "-lm")
    done = subprocess.run([str(program)], capture_output=True, text=True, check=False)
    return done.returncode, done.stdout


@both
@pytest.mark.parametrize("level", ["-O0", "-O1", "-O2", "-Os", "-O3"])
def test_self_test(cc, level, report):
    warnings = [*STRICT, "-Wno-error=unused-function"]
    status, said = self_test(report, cc, level, SAME_BITS, *warnings)
    allowed = f"{report.tolerance:.0e}".replace("e-0", "e-")
    assert (status, said) == (0, f"small: 8 rows, largest error 0, at most {allowed} allowed: passed\n")


@both
def test_self_test_allows_contraction(cc, report):
    if "fma" not in Path("/proc/cpuinfo").read_text():
        pytest.skip("this machine has no fused multiply-add")
    text = re.sub(r"#pragma STDC.*", "", report.source.read_text())
    status, said = self_test(report, cc, "-O3", "-march=native", "-std=gnu11", "-ffp-contract=fast", text=text)
    assert status == 0 and "largest error 0," not in said


def test_self_test_notices_any_wrong_weight(report):
    text = report.source.read_text()
    tables = re.findall(r"static const float (small_\w+)\[(\d+)\] = \{\n(.*?)\n\};", text, re.S)
    weights = [t for t in tables if "test" not in t[0]]
    assert len(weights) == 6
    for name, size, numbers_ in weights:
        first = numbers_.split(",")[0]
        wrong = numbers_.replace(first, f"{first.strip().rstrip('f')}f + 0.5f", 1)
        status, said = self_test(report, text=text.replace(numbers_, wrong))
        assert status == 1 and said.endswith("FAILED\n"), (name, size, said)


def test_self_test_notices_what_is_no_number(report):
    text = report.source.read_text()
    broken = text.replace("y[c] = sum[c];", "y[c] = sum[c] * (0.0f / (sum[c] * 0.0f));")
    assert broken != text
    status, said = self_test(report, text=broken)
    assert status == 1 and said.endswith("FAILED\n")


def test_helpers_of_the_command_line(report):
    ran = export.run_self_test(report)
    assert ran.status == 0 and b"passed" in ran.output
    x = inputs(small())
    with target("c99"):
        assert same_bits(export.run_predict(report, x), small().predict(x, verbose=0))
    report.source.write_text(report.source.read_text().replace("sum[c] +=", "sum[c] -="))
    assert export.run_self_test(report).status == 1
    report.source.write_text("syntax")
    with pytest.raises(BuildError, match="failed with status"):
        export.run_self_test(report)


# ------------------------------------------------------------------ strictness


@pytest.fixture(scope="module")
def variety(tmp_path_factory):
    """Networks with formulas of all kinds."""
    folder = tmp_path_factory.mktemp("variety")
    made = []
    for number, function in enumerate([conditions, two_kept, places, *list(ACTIVATIONS.values())[::5]]):
        model = sequential(layers.Dense(18, activation=function), Scale(), layers.Dense(1))
        made.append(model.export(folder / f"net{number}.c"))
    return made


@both
@pytest.mark.parametrize("level", ["-O0", "-O2", "-O3", "-Os"])
def test_no_warnings(cc, level, variety, tmp_path):
    for report in variety:
        # with the self-test it is the same and a main: without is enough at one level
        for extra in ([f"-D{report.name.upper()}_SELF_TEST"], *([[]] if level == "-O2" else [])):
            compiled(cc, *STRICT, level, *extra, "-c", report.source, "-o", tmp_path / "net.o")


@pytest.mark.parametrize("cc", [c for c in ("g++", "clang++") if shutil.which(c)])
def test_header_from_cpp(cc, report, tmp_path):
    main = tmp_path / "main.cpp"
    main.write_text(
        '#include "small.h"\n#include "small.h"\n'
        "int main() { small_workspace w; float x[SMALL_INPUTS] = {}, y[SMALL_OUTPUTS]; small_predict(&w, x, y); "
        "return y[0] == y[0] ? 0 : 1; }\n"
    )
    compiled("gcc" if "gcc" in COMPILERS else "clang", "-std=c99", "-c", report.source, "-o", tmp_path / "small.o")
    strict = "-std=c++17 -Wall -Wextra -Wpedantic -Wold-style-cast -Wconversion -Wshadow -Werror".split()
    compiled(cc, *strict, main, tmp_path / "small.o", "-o", tmp_path / "main")
    assert subprocess.run([tmp_path / "main"], check=False).returncode == 0


@pytest.mark.parametrize("flags", [["-fsanitize=address,undefined", "-fno-sanitize-recover=all"]])
def test_sanitizers(flags, tmp_path):
    function = two_kept
    model = sequential(layers.Dense(18, activation=function), Scale(), layers.Flatten(), layers.Dense(3), shape=(3, 5))
    report = model.export(tmp_path / "net.c")
    done = compiled("gcc", *flags, "-DNET_SELF_TEST", "-g", report.source, "-o", tmp_path / "net", "-lm", check=False)
    if done.returncode and "cannot find" in done.stderr:
        pytest.skip("this gcc has no sanitizers")
    assert done.returncode == 0, done.stderr
    ran = subprocess.run([tmp_path / "net"], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert not ran.stderr


@both
def test_refuses_to_lose_nan(cc, report):
    done = compiled(cc, "-ffast-math", "-c", report.source, "-o", os.devnull, check=False)
    assert done.returncode and "build it without -ffast-math" in done.stderr


def symbols(cc, report, *flags):
    made = report.source.with_suffix(".o")
    compiled(cc, *flags, "-c", report.source, "-o", made)
    lines = subprocess.run(["nm", "-S", str(made)], capture_output=True, text=True, check=True).stdout.splitlines()
    found = []
    for line in lines:
        parts = line.split()
        size = int(parts[1], 16) if len(parts) == 4 else 0
        found.append((parts[-1], parts[-2], size))
    return found


@both
@pytest.mark.parametrize("level", ["-O0", "-O2", "-Os", "-O3"])
def test_symbols(cc, level, report, tmp_path):
    with_root = sequential(layers.Dense(5, activation="squareplus")).export(tmp_path / "root.c")
    for made, allowed in ((report, set()), (with_root, {"sqrtf"})):
        found = symbols(cc, made, level)
        assert {n for n, kind, _ in found if kind == "U"} <= allowed
        assert [n for n, kind, _ in found if kind.isupper() and kind != "U"] == [f"{made.name}_predict"]
        assert not [n for n, kind, _ in found if kind in "bBdDcC"], "a variable"
    assert "sqrtf" in with_root.header.read_text() and "sqrtf" not in report.header.read_text()
    assert "#include <math.h>" in with_root.source.read_text()


def test_no_library(report):
    text, header = report.source.read_text(), report.header.read_text()
    before = text.split("#ifdef SMALL_SELF_TEST")[0]
    assert re.findall(r"#include (.*)", before) == ['"small.h"', "<stdint.h>"]
    assert "#include" not in header
    relu = sequential(layers.Dense(3, activation="relu")).export(report.source.with_name("relu.c"))
    assert re.findall(r"#include (.*)", relu.source.read_text().split("#ifdef RELU_SELF_TEST")[0]) == ['"relu.h"']


# ------------------------------------------------------------------ sizes


def test_report(report, capsys):
    assert report.weights == 4 * sum(w.value.size for w in small().weights)
    assert report.workspace == 4 * (19 + 16)
    assert report.multiply_adds == 7 * 19 + 19 * 16 + 16 * 3
    assert [(s.title, s.shape, s.weights, s.multiply_adds) for s in report.layers] == [
        ("input", (7,), 0, 0),
        ("dense (Dense)", (19,), 152, 133),
        ("dense_1 (Dense)", (16,), 320, 304),
        ("dense_2 (Dense)", (3,), 51, 48),
    ]
    assert report.source_bytes == report.source.stat().st_size
    for line in report.lines():
        assert f"     {line}".rstrip() in report.source.read_text()
    small().export(report.source, verbose=True)
    assert capsys.readouterr().out == f"{report}\n"
    small().export(report.source)
    assert capsys.readouterr().out == ""
    assert f"{report.workspace} bytes" in report.header.read_text()


@both
def test_sizes_are_exact(cc, report, tmp_path):
    constants = {n: size for n, kind, size in symbols(cc, report, "-O0") if kind == "r" and n.startswith("small_")}
    assert sum(constants.values()) == report.weights
    main = tmp_path / "main.c"
    main.write_text(
        '#include "small.h"\n#include <stdio.h>\n'
        'int main(void) { printf("%d %d %d\\n", (int)sizeof(small_workspace), SMALL_INPUTS, SMALL_OUTPUTS); return 0; }'
    )
    compiled(cc, main, "-o", tmp_path / "main")
    said = subprocess.run([tmp_path / "main"], capture_output=True, text=True, check=True).stdout.split()
    assert said == [str(report.workspace), str(report.inputs), str(report.outputs)] == ["140", "7", "3"]


STACK = r"""
#define _XOPEN_SOURCE 700
#include <stdio.h>
#include <string.h>
#include <ucontext.h>
#include "net.h"
static unsigned char stack[1 << 16];
static net_workspace workspace;
static REAL x[NET_INPUTS], y[NET_OUTPUTS];
static ucontext_t here, there;
static int calls;
static void run(void) { if (calls) net_predict(&workspace, x, y); }
static int used(void) {
    int free = 0;
    memset(stack, 0xA5, sizeof stack);
    getcontext(&there);
    there.uc_stack.ss_sp = stack;
    there.uc_stack.ss_size = sizeof stack;
    there.uc_link = &here;
    makecontext(&there, run, 0);
    swapcontext(&here, &there);
    while (stack[free] == 0xA5) free++;
    return (int)sizeof stack - free;
}
int main(void) {
    const int nothing = used();
    calls = 1;
    printf("%d\n", used() - nothing);
    return 0;
}
"""


def long_formula(x):
    for n in range(20):
        part = ops.tanh(x + float(n))
        x = part * ops.exp(-part) + x
    return x


def deep(real):
    with float_type(real):
        return [
            sequential(layers.Dense(37, activation="mish"), layers.Dense(3, activation="log_softmax")),
            sequential(layers.Dense(37, activation="gelu"), layers.Dense(3, activation="softmax")),
            sequential(layers.Dense(40, activation=two_kept), Scale(), layers.Dense(3, activation="softplus")),
            sequential(layers.Dense(16, activation=long_formula)),
            sequential(*(layers.Dense(5 + n % 3, activation="tanh") for n in range(30))),
        ]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="contexts of glibc")
@pytest.mark.parametrize("real", ["float32", "float64"])
def test_stack_is_enough(real, tmp_path):
    main = tmp_path / "main.c"
    main.write_text(STACK)
    for model in deep(real):
        report = model.export(tmp_path / "net.c")
        most = 0
        for cc, level in itertools.product(COMPILERS, ("-O0", "-O2", "-O3")):
            compiled(cc, level, "-c", report.source, "-o", tmp_path / "net.o")
            flags = [f"-DREAL={report.real}", "-O1", main, tmp_path / "net.o", "-o", tmp_path / "main"]
            compiled(cc, *flags, "-Wl,-z,now", "-lm")
            done = subprocess.run([tmp_path / "main"], capture_output=True, text=True, check=True)
            most = max(most, int(done.stdout))
        assert most <= report.stack, "more stack than was said"
        assert report.stack <= 3 * most, "less would have been enough"


def test_workspace_is_two_layers(tmp_path):
    widths = (30, 50, 20, 40, 10)
    report = sequential(*(layers.Dense(n, activation="relu") for n in widths), layers.Dense(2)).export(
        tmp_path / "net.c"
    )
    assert report.workspace == 4 * max(a + b for a, b in itertools.pairwise(widths))


# ------------------------------------------------------------------ names

HOSTILE = [
    'quote"',
    "apostrophe'",
    "line\nint evil;",
    "end */ int evil; /*",
    "*/",
    "/*",
    "trigraph ??/",
    "??/\nint evil;",
    "backslash\\",
    "back\\\nint evil;",
    "gr\u00fc\u00dfe \u7db2",
    "int",
    "main",
    "predict",
    "workspace",
    "nn_exp",
    "x",
    "y",
    "c",
    "%s%n",
    "#include <x>",
    "\x00\x01\x7f\u2028",
    "sqrtf",
    "linux",
    "net_dense",
]


def tokens(text):
    """C without comments, as words."""
    return re.sub(r"/\*.*?\*/", " ", text, flags=re.S).split()


@pytest.mark.parametrize("hostile", HOSTILE, ids=lambda s: ascii(s)[:20])
def test_names_of_others(hostile, tmp_path):
    from nncompile.compiler.expression import identifier

    def made(title, folder):
        parts = [layers.Dense(17, activation=two_kept, name=title), layers.Dense(2, activation="softmax", name="dense")]
        return sequential(*parts, name=title).export(tmp_path / folder / "net.c")

    report, plain = made(hostile, "a"), made(identifier(hostile), "b")
    for one, other in zip((report.source, report.header), (plain.source, plain.header), strict=True):
        assert one.read_bytes().isascii()
        assert tokens(one.read_text()) == tokens(other.read_text())
        assert "evil" not in " ".join(tokens(one.read_text())) or "evil" in identifier(hostile)
    for cc in COMPILERS[1:]:
        compiled(cc, *STRICT, "-trigraphs", "-Wcomment", "-fsyntax-only", report.source)
    assert self_test(report, COMPILERS[0], *STRICT, "-trigraphs", "-Wcomment")[0] == 0


@pytest.mark.parametrize("hostile", HOSTILE, ids=lambda s: ascii(s)[:20])
def test_own_name(hostile, tmp_path):
    if not any(ch.isascii() and ch.isalnum() for ch in hostile):
        with pytest.raises(ModelError, match="name"):
            small().export(tmp_path / "net.c", name=hostile)
        return
    report = small().export(tmp_path / "net.c", name=hostile)
    assert report.source.read_bytes().isascii()
    assert re.fullmatch("[a-z][a-z0-9_]*", report.name) and "__" not in f"{report.name}_"
    for cc in COMPILERS[1:]:
        compiled(cc, *STRICT, "-fsyntax-only", report.source)
    assert f"void {report.name}_predict({report.name}_workspace *workspace" in report.header.read_text()
    assert f"#define {report.name.upper()}_INPUTS 7\n" in report.header.read_text()
    assert self_test(report, COMPILERS[0], *STRICT)[0] == 0


def test_two_in_one_program(report, tmp_path):
    other = sequential(layers.Dense(4, activation="gelu"), name="other").export(tmp_path / "other.c")
    main = tmp_path / "main.c"
    main.write_text(
        '#include "small.h"\n#include "other.h"\n'
        "int main(void) { static small_workspace a; static other_workspace b; static float x[7], y[4];\n"
        "small_predict(&a, x, y); other_predict(&b, x, y); return 0; }\n"
    )
    compiled(COMPILERS[0], *STRICT, main, report.source, other.source, "-o", tmp_path / "main")


def test_layers_of_one_name_in_c(tmp_path):
    names = ["a b", "a_b", "a-b", "A B", "net_a_b"]
    parts = [layers.Dense(2, activation="tanh", name=name) for name in names]
    agrees(sequential(*parts), tmp_path / "net.c")


PATHS = {
    "net.c": ("net", "net"),
    "net.h": ("net", "net"),
    "net": ("net", "net"),
    "my-net.v2.c": ("my-net.v2", "my_net_v2"),
    "a/b/c/net.c": ("net", "net"),
    "folder/": ("small", "small"),
    "NET.C": ("NET", "net"),
    "while.c": ("while", "while_net"),
    "7up.c": ("7up", "x7up"),
}


@pytest.mark.parametrize("path, made", PATHS.items(), ids=PATHS)
def test_paths(path, made, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    report = small().export(path)
    assert (report.source.stem, report.name) == made
    assert report.source.suffix == ".c" and report.header.suffix == ".h"
    assert report.source.parent == report.header.parent
    assert report.source.is_file() and report.header.is_file()
    assert self_test(report)[0] == 0


def test_existing_folder(tmp_path):
    assert small().export(tmp_path).source == tmp_path / "small.c"
    assert small().export(str(tmp_path)).header == tmp_path / "small.h"


@pytest.mark.parametrize(
    "path", ["gr\u00fcn.c", 'a"b.c', "a\nb.c", "a\\b.c", "a b.c", "net.onnx", "net.keras", "net.cpp", "", "a\0b"]
)
def test_impossible_paths(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ModelError, match="export"):
        small().export(path)
    assert not list(tmp_path.iterdir())


# ------------------------------------------------------------------ mistakes


def test_mistakes(tmp_path):
    path = tmp_path / "net.c"
    with pytest.raises(ModelError, match="before the shape of the input is known"):
        nn.Sequential([layers.Dense(3)]).export(path)
    with pytest.raises(UnsupportedError, match="format='onnx'"):
        small().export(path, format="onnx")
    with pytest.raises(ModelError, match="expected 'c', received 'C\\+\\+'"):
        small().export(path, format="C++")
    with pytest.raises(TypeError, match="Did you mean 'name'"):
        small().export(path, nmae="x")
    with pytest.raises(UnsupportedError, match="input_signature"):
        small().export(path, input_signature=[1])
    with pytest.raises(ModelError, match="name: expected"):
        small().export(path, name=3)
    with pytest.raises(ModelError, match="expected the path of a file"):
        small().export(3)
    assert not list(tmp_path.iterdir())


def test_random_numbers_cannot_be_exported(tmp_path):
    class Noisy(layers.Layer):
        def call(self, x):
            return x + nn.random.uniform(ops.shape(x))

    with pytest.raises(UnsupportedError, match="random numbers"):
        sequential(layers.Dense(3), Noisy()).export(tmp_path / "net.c")


def test_no_compiler(tmp_path, monkeypatch):
    monkeypatch.setenv("CC", "there-is-no-such-compiler")
    with pytest.raises(BuildError, match="there-is-no-such-compiler"):
        small().export(tmp_path / "net.c")
    assert not list(tmp_path.iterdir())


# ------------------------------------------------------------------ files


def listing(folder):
    return {p.name: p.read_bytes() for p in folder.iterdir()}


def test_equal_bytes(tmp_path):
    def made():
        return sequential(layers.Dense(9, activation="gelu"), layers.Dense(2), name="net")

    first = made().export(tmp_path / "a" / "net.c")
    second = made().export(tmp_path / "b" / "net.c")
    assert listing(first.source.parent) == listing(second.source.parent)
    for path in (first.source, first.header):
        assert str(tmp_path) not in path.read_text()
        assert path.read_bytes().endswith(b"\n") and b"\r" not in path.read_bytes() and b"\t" not in path.read_bytes()


SCRIPT = """
import sys
import nncompile as nn
nn.utils.set_random_seed(3)
parts = [nn.layers.Dense(18, activation="mish"), nn.layers.Dense(2, activation="softmax")]
model = nn.Sequential([nn.Input((5,)), *parts])
model.export(sys.argv[1])
"""


def test_equal_bytes_in_other_processes(tmp_path):
    for seed in ("0", "1"):
        path = tmp_path / seed / "net.c"
        subprocess.run([sys.executable, "-c", SCRIPT, path], env={**os.environ, "PYTHONHASHSEED": seed}, check=True)
    assert listing(tmp_path / "0") == listing(tmp_path / "1")


def test_equal_bytes_of_a_saved_model(tmp_path):
    names = ("one", "two")
    model = sequential(*(layers.Dense(4, name=n, activation="tanh") for n in names), name="net")
    model.export(tmp_path / "a" / "net.c")
    model.save(tmp_path / "net.keras")
    nn.saving.load_model(tmp_path / "net.keras").export(tmp_path / "b" / "net.c")
    assert listing(tmp_path / "a") == listing(tmp_path / "b")


def test_replaces_files_whole(tmp_path, monkeypatch):
    report = small().export(tmp_path / "net.c")
    before = listing(tmp_path)

    def failing(*paths):
        raise OSError(28, "No space left on device")

    other = sequential(layers.Dense(2))
    other.export(tmp_path / "net2" / "net.c")  # compiles it, which moves files too
    shutil.rmtree(tmp_path / "net2")
    monkeypatch.setattr(os, "replace", failing)
    with pytest.raises(OSError, match=r"cannot be written: No space left on device"):
        other.export(report.source)
    assert listing(tmp_path) == before


@pytest.mark.parametrize("path", ["file/net.c", "file/deep/net.c", "/proc/none/net.c"])
def test_folders_that_cannot_be(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("file").write_text("a file")
    with pytest.raises(OSError, match="cannot be written: "):
        small().export(path)
    assert listing(tmp_path) == {"file": b"a file"}


def test_folder_in_the_way(tmp_path):
    (tmp_path / "net.h").mkdir()
    with pytest.raises(ModelError, match="is a folder"):
        small().export(tmp_path / "net.c")
    assert [p.name for p in tmp_path.iterdir()] == ["net.h"]


# ------------------------------------------------------------------ tables


def read_back(text, dtype):
    words = [w for w in text.replace("\n", " ").split(",") if w.strip()]
    return np.array([dtype(float(w.strip().removesuffix("f"))) for w in words], dtype)


def test_tables_give_every_bit_back():
    rng = np.random.default_rng(0)
    singles = rng.integers(0, 2**32, 50_000, dtype="uint32").view("float32")
    singles = np.concatenate(
        [singles[np.isfinite(singles)], (2.0 ** np.arange(-149, 128)).astype("float32"), [0, -0.0]]
    )
    singles = singles.astype("float32")
    assert same_bits(read_back(table(singles, 16), np.float32), singles)
    doubles = rng.integers(0, 2**64, 5_000, dtype="uint64").view("float64")
    doubles = doubles[np.isfinite(doubles)]
    assert same_bits(read_back(table(doubles, 16), np.float64), doubles)


def test_tables_are_short():
    values = np.float32([0.1, -0.25, 1 / 3, 1e-5, 1234.5])
    assert table(values, 5) == "    0.1f, -0.25f, 0.33333334f, 1.e-05f, 1234.5f,"
    rng = np.random.default_rng(0)
    many = rng.normal(size=3000).astype("float32")

    def digits(word):
        return len(word.partition("e")[0].replace("-", "").replace(".", "").strip("0"))

    printed = [w.strip().removesuffix("f") for w in table(many, 16).split(",")[:-1]]
    longer = [w for w, v in zip(printed, many, strict=True) if digits(w) > digits(str(v))]
    assert len(longer) < 5


def test_tables_of_whole_and_special_numbers():
    values = np.float32([0, -0.0, 1, -20, 16777216, 3e38, np.inf, -np.inf, np.nan])
    text = table(values, 3).split("\n")
    assert text == ["    0.0f, -0.0f, 1.0f,", "    -20.0f, 16777216.0f, 3.e+38f,", "    INFINITY, -INFINITY, NAN,"]
    assert table(np.array([1.0, np.nan, -np.inf]), 4) == "    1.0, (double)NAN, -(double)INFINITY,"
