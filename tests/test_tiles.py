"""Products by matrix tiles: emulated, bit for bit; as instructions, where those are executed by a handler of SIGILL."""

from __future__ import annotations

import ctypes
import dataclasses
import functools
import shutil
import subprocess
import sys
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import nncompile as nn
from nncompile import cli, compiler, ops, targets
from nncompile.benchmark import rooflines
from nncompile.compiler import build, render
from nncompile.errors import ModelError

EPS = float(np.finfo(np.float32).eps)
AMX = targets.find("x86-64-v4-amx")
EMULATED = "emulated-tiles"
VECTORS = next(t.name for t in targets.available() if not t.tiles)
FORMS = ("mixed_bfloat16", "bfloat16_6x", "bfloat16_3x")
DOTS = targets.find("x86-64-v4-bf16")
COMPILERS = [name for name in ("gcc", "clang") if shutil.which(name)]


@pytest.fixture(autouse=True)
def defaults(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delenv(targets.PRECISION_VARIABLE, raising=False)
    targets.set_precision(None)
    yield
    targets.set_precision(None)
    targets.set_threads(None)
    targets.set_host(None)


def rows(count: int, width: int, seed: int = 1) -> Any:
    return np.random.default_rng(seed).normal(size=(count, width)).astype("float32")


def use(form: str, target: str = EMULATED) -> str:
    """Chooses a target and how it multiplies; returns the policy of the layers."""
    if form == "dots":
        if not set(DOTS.features) <= targets._features():
            pytest.skip("this processor has no VDPBF16PS")
        targets._chosen = dataclasses.replace(DOTS, tiles_from=0)  # whoever made it
        return "mixed_bfloat16"
    nn.config.set_target(target)
    nn.config.set_matmul_precision("float32" if form.startswith("mixed") else form)
    return form if form.startswith("mixed") else "float32"


def network(policy: str, inputs: int, *widths: int, activation: str = "tanh", last: str | None = None) -> Any:
    nn.utils.set_random_seed(4)
    layers = [nn.layers.Dense(n, activation, dtype=policy) for n in widths[:-1]]
    model = nn.Sequential([nn.Input((inputs,)), *layers, nn.layers.Dense(widths[-1], last, dtype=policy)])
    for number, layer in enumerate(model.layers):
        kernel, bias = layer.get_weights()
        layer.set_weights([kernel, rows(1, bias.size, number)[0]])
    return model


def trained(model: Any) -> compiler.Training:
    """What a network is trained for."""
    optimizer = nn.optimizers.Adam()
    optimizer.build(model.trainable_variables)
    supervision = compiler.Supervision(nn.losses.MeanSquaredError(), columns=model.output_shape[-1])
    return compiler.Training((supervision,), optimizer)


# ------------------------------------------------------------------ the instruction


def rounded(x: Fraction) -> Fraction:
    """The nearest number of 24 bits, to even if halfway, 0 below 2^-126."""
    if x == 0:
        return x
    exponent = abs(x).numerator.bit_length() - abs(x).denominator.bit_length()
    exponent -= abs(x) < Fraction(2) ** exponent
    unit = Fraction(2) ** (exponent - 23)
    x = round(x / unit) * unit
    return x if abs(x) >= Fraction(2) ** -126 else Fraction(0)


def test_the_emulated_sums_are_those_of_the_instruction(tmp_path: Path) -> None:
    """Of products that are tiny, that cancel, and that are far apart, as the description of TDPBF16PS states it."""
    text = render.environment().from_string('{% import "kernels/tiles.c.j2" as tiles with context %}{{ tiles.form() }}')
    program = SimpleNamespace(target=targets.EMULATED)
    call = """void dot(float *c, const uint32_t *a, const uint32_t *b) {
        TILE_REGISTERS;
        TILE_LOAD(0, c, 16);
        TILE_LOAD(4, a, 16);
        TILE_LOAD(6, b, 16);
        TILE_DOT(0, 4, 6);
        TILE_STORE(0, c, 16);
    }"""
    source = "#include <stddef.h>\n#include <stdint.h>\n#include <string.h>\n" + text.render(program=program) + call
    (tmp_path / "tiles.c").write_text(source)
    compiler = build.find_compiler().command
    made = tmp_path / "tiles.so"
    subprocess.run([*compiler, "-O2", "-shared", "-fPIC", tmp_path / "tiles.c", "-o", made], check=True)
    dot = ctypes.CDLL(str(made)).dot

    rng = np.random.default_rng(0)
    bits = rng.integers(0, 2, (3, 16, 32)) << 15 | rng.integers(0, 128, (3, 16, 32))
    a, b = bits[0] | rng.integers(100, 150, (16, 32)) << 7, bits[1] | rng.integers(100, 150, (16, 32)) << 7
    tiny, small = slice(0, 6), slice(6, 9)
    a[tiny], b[:, 0::2] = bits[0][tiny] | rng.integers(0, 70, (6, 32)) << 7, b[:, 0::2] & ~(1 << 14)
    a[small] = bits[2][small] | rng.integers(64, 66, (3, 32)) << 7
    a[9, 1::2], b[:, 5] = 0, b[:, 4]
    c = rng.normal(size=(16, 16)).astype("float32") * np.exp2(rng.integers(-130, 10, (16, 16))).astype("float32")
    before = c.copy()

    def number(x: int) -> Fraction:
        exact = Fraction(float(np.array(int(x) << 16, np.uint32).view(np.float32)))
        return exact if abs(exact) >= Fraction(2) ** -126 else Fraction(0)

    left, right = np.ascontiguousarray(a.astype(np.uint16)), np.ascontiguousarray(b.astype(np.uint16))
    dot(*(ctypes.c_void_p(array.ctypes.data) for array in (c, left, right)))
    expected = np.empty((16, 16))
    flushed = 0
    for i in range(16):
        for j in range(16):
            sums = [Fraction(0), Fraction(0)]
            for k in range(32):  # right[pair][2 * column + which]
                exact = sums[k % 2] + number(a[i, k]) * number(b[k // 2, 2 * j + k % 2])
                sums[k % 2] = rounded(exact)
                flushed += exact != 0 and sums[k % 2] == 0
            start = Fraction(float(before[i, j]))
            start = start if abs(start) >= Fraction(2) ** -126 else Fraction(0)
            expected[i, j] = float(rounded(start + rounded(sums[0] + sums[1])))
    assert flushed > 100
    assert np.array_equal(c, expected.astype("float32"))

    special = np.zeros((16, 32), np.uint16)
    special[:, 0], special[1, 0], special[2, 0] = 0x3F80, 0x7F80, 0x7FC0  # 1, infinity and NaN times 1 and 0
    unit = np.eye(16, 32, dtype=np.uint16) * np.uint16(0x3F80)
    c[...] = 0
    dot(*(ctypes.c_void_p(array.ctypes.data) for array in (c, special, unit)))
    assert c[0, 0] == 1 and np.isinf(c[1, 0]) and np.isnan(c[2]).all() and np.isnan(c[1, 1])


# ------------------------------------------------------------------ what is computed

SHAPES = [(1, (1, 1)), (19, (33, 3)), (47, (64, 15, 32)), (32, (16, 31, 145))]


def by_hand(model: Any, x: Any, y: Any, rate: float, low: Any) -> tuple[Any, list[Any]]:
    """Outputs and weights of one step of SGD on the mean of squares, in float64 but for what ``low`` rounds."""
    weights = [w.astype("float64") for w in model.get_weights()]
    values = [low(x).astype("float64")]
    for kernel, bias in zip(weights[:-2:2], weights[1:-2:2], strict=True):
        values.append(low(np.tanh(values[-1] @ low(kernel) + bias)))
    out = values[-1] @ low(weights[-2]) + weights[-1]
    d, new = low(2 * (out - y) / out.size), []
    for n in reversed(range(len(values))):
        new[:0] = [weights[2 * n] - rate * values[n].T @ d, weights[2 * n + 1] - rate * d.sum(0)]
        if n:
            d = low(d @ low(weights[2 * n]).T * (1 - values[n] ** 2))
    return out, new


@pytest.mark.parametrize("form", [*FORMS, "dots"])
@pytest.mark.parametrize(("inputs", "widths"), SHAPES)
def test_outputs_and_updates_by_hand(form: str, inputs: int, widths: tuple[int, ...]) -> None:
    """Of one row, of primes, and around whole tiles; a row alone gives the bits that it has in its batch."""
    if form == "bfloat16_3x" and inputs != 47:
        pytest.skip("its layouts are those of six products; one network is enough for its sums")
    model = network(use(form), inputs, *widths)
    # beside a midpoint of bfloat16 numbers the other one may be taken, by 2^-8 of it
    near = {"mixed_bfloat16": 2.0**-7, "dots": 2.0**-7}
    low = (lambda a: ops.bfloat16(np.asarray(a, "float32")).astype("float64")) if form in near else (lambda a: a)
    tolerance = near.get(form) or {"bfloat16_6x": 3e-6, "bfloat16_3x": 1e-4}[form]
    for count in (1, 2, 31, 32, 33, 65, 113):
        x, y = rows(count, inputs), rows(count, widths[-1], seed=5)
        before, (out, expected) = model.get_weights(), by_hand(model, x, y, 0.5, low)
        made = model.predict(x, batch_size=count, verbose=0)
        np.testing.assert_allclose(made, out, rtol=0, atol=tolerance * np.abs(out).max())
        for i in range(0, count, 16):
            assert model.predict_on_batch(x[i : i + 1]).tobytes() == made[i : i + 1].tobytes()
        model.compile(nn.optimizers.SGD(0.5), "mean_squared_error")
        model.fit(x, y, batch_size=count, verbose=0, shuffle=False)
        for old, new, exact in zip(before, model.get_weights(), expected, strict=True):
            step = np.abs(exact - old).max()
            assert step > 0 and np.abs(new - exact).max() <= step * tolerance + 2 * EPS * np.abs(new).max()
        model.set_weights(before)


@pytest.mark.parametrize("inputs", [7, 300, 1100])
def test_split_products_are_as_accurate_as_float32(inputs: int, disagreements: dict[str, float]) -> None:
    """Six products: within K eps, and in the mean no further from float64 than what vectors compute."""
    (kernel,), wide = [rows(inputs, 48, seed=3)], np.random.default_rng(4)
    kernel *= (10.0 ** wide.integers(-3, 4, kernel.shape)).astype("float32")
    spread = (10.0 ** wide.integers(-6, 7, (33, inputs))).astype("float32")
    samples = [rows(33, inputs), rows(33, inputs) * spread, np.abs(rows(33, inputs))]
    errors: dict[str, list[Any]] = {}
    for form, target in (("float32", VECTORS), ("bfloat16_6x", EMULATED), ("bfloat16_3x", EMULATED)):
        use(form, target)
        model = nn.Sequential([nn.Input((inputs,)), nn.layers.Dense(48, use_bias=False)])
        model.set_weights([kernel])
        for x in samples:
            exact = x.astype("float64") @ kernel.astype("float64")
            sizes = np.abs(x).astype("float64") @ np.abs(kernel).astype("float64")
            errors.setdefault(form, []).append(np.abs(model.predict(x, batch_size=33, verbose=0) - exact) / sizes)
    six, three, vectors = errors["bfloat16_6x"], errors["bfloat16_3x"], errors["float32"]
    assert all((e <= (inputs + 1) * EPS).all() for e in six)
    assert all((e <= 3 * 2.0**-16 + inputs * EPS).all() for e in three) and any((e > 10 * EPS).any() for e in three)
    for ours, theirs in zip(six, vectors, strict=True):
        ratio = float(np.sqrt(np.mean(ours**2) / np.mean(theirs**2)))
        disagreements["error of split products against that of vectors"] = max(
            disagreements.get("error of split products against that of vectors", 0.0), ratio
        )
        assert ratio <= 1.02  # of a few terms nothing but the rounding of the result is left to compare


def test_numbers_at_the_ends_of_float32() -> None:
    """The largest keep all their bits, the smallest lose what tiles take for 0, and nothing finite is lost."""
    use("bfloat16_6x")
    model = nn.Sequential([nn.Input((2,)), nn.layers.Dense(16, use_bias=False)])
    model.set_weights([np.eye(2, 16, dtype="float32") * 0.75])
    x = np.array([[3.4028235e38, -3.39e38], [1e-29, -3e-31], [2.0**-126, 1.17e-36], [1e-45, 0.0]], "float32")
    made = model.predict(x, verbose=0)[:, :2].astype("float64")
    exact = x.astype("float64") * 0.75
    assert (np.abs(made - exact) <= 2 * EPS * np.abs(exact) + 2.0**-126).all()
    assert (np.abs(made - exact)[:2] <= 2 * EPS * np.abs(exact)[:2]).all()
    with np.errstate(all="ignore"):
        wrong = model.predict(np.array([[np.inf, 1], [np.nan, 1], [1, 1]], "float32"), verbose=0)
    assert not np.isfinite(wrong[:2]).any() and (wrong[2, :2] == 0.75).all()


@pytest.mark.parametrize("form", ["mixed_bfloat16", "bfloat16_6x"])
def test_copies_follow_the_kernels(form: str) -> None:
    """After training, of single rows as well, and after weights are set, products take the kernels as they are now."""
    model, x, y = network(use(form), 7, 35, 9), rows(40, 7), rows(40, 9, seed=2)
    model.layers[0].trainable = form == "bfloat16_6x"
    model.compile("adam", "mean_squared_error")
    again = nn.Sequential.from_config(model.get_config())
    for batch_size in (13, 1):
        model.fit(x, y, batch_size=batch_size, verbose=0)
        again.set_weights(model.get_weights())
        assert model.predict(x, verbose=0).tobytes() == again.predict(x, verbose=0).tobytes()
    weights = [w + 0.25 for w in model.get_weights()]
    model.set_weights(weights)
    again.layers[0].kernel.assign(weights[0])
    again.layers[0].bias.assign(weights[1])
    again.layers[1].set_weights(weights[2:])
    assert model.predict(x, verbose=0).tobytes() == again.predict(x, verbose=0).tobytes()
    again.compile("adam", "mean_squared_error")
    found = []
    for m in (model, again):  # the transposed copies as well
        m.optimizer = nn.optimizers.get("sgd")
        m.compile("sgd", "mean_squared_error")
        m.fit(x, y, batch_size=20, shuffle=False, verbose=0)
        found.append(m.layers[1].get_weights()[0].tobytes())
    assert found[0] == found[1]


@pytest.mark.parametrize("form", ["mixed_bfloat16", "bfloat16_6x"])
def test_gradients_in_memory_and_layers_used_twice(form: str) -> None:
    """What is done to whole weights after their gradients is followed by copies as well."""
    found = []
    for target in (VECTORS, EMULATED):
        policy = use(form, target)
        nn.utils.set_random_seed(2)
        inputs = nn.Input((21,))
        twice = nn.layers.Dense(21, "tanh", kernel_regularizer="l2", dtype=policy)
        outputs = nn.layers.Dense(3, dtype=policy, kernel_constraint="max_norm")(twice(twice(inputs)))
        model = nn.Model(inputs, outputs)
        model.compile(nn.optimizers.SGD(0.2, momentum=0.9, global_clipnorm=0.5), "mean_squared_error")
        x, y = rows(60, 21), rows(60, 3, seed=2)
        loss = model.fit(x, y, batch_size=20, epochs=3, shuffle=False, verbose=0).history["loss"]
        made = model.predict(x, verbose=0)
        weights = model.get_weights()
        model.set_weights(weights)  # packs all copies anew
        assert model.predict(x, verbose=0).tobytes() == made.tobytes()
        found.append([np.array(loss), made, *weights])
    near = 2e-2 if "mixed" in form else 2e-5
    for one, other in zip(*found, strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=near * np.abs(one).max())


def test_losses_are_those_of_float32() -> None:
    """A network of both kinds of layers, one of whose inputs has several rows to a sample."""
    x, labels = rows(200, 30).reshape(200, 3, 10), np.arange(200) % 5
    x[np.arange(200), 0, labels] += 2.0
    found = {}
    for form, target in (("float32", VECTORS), ("bfloat16_6x", EMULATED)):
        use(form, target)
        nn.utils.set_random_seed(1)
        layers = [nn.layers.Dense(20, "tanh"), nn.layers.Flatten(), nn.layers.Dense(40, "relu", dtype="mixed_bfloat16")]
        model = nn.Sequential([nn.Input((3, 10)), *layers, nn.layers.Dropout(0.1, seed=1), nn.layers.Dense(5)])
        model.compile("adam", nn.losses.SparseCategoricalCrossentropy(from_logits=True))
        found[form] = model.fit(x, labels, batch_size=25, epochs=6, shuffle=False, verbose=0).history["loss"]
        if form != "float32":
            assert "tiles_1_2x2" in model.source() and "tiles_3_2x2" in model.source()
    assert found["float32"][-1] < found["float32"][0]
    np.testing.assert_allclose(found["float32"], found["bfloat16_6x"], rtol=1e-3)


@pytest.mark.parametrize("form", ["mixed_bfloat16", "bfloat16_6x", "dots"])
def test_same_bits_for_any_number_of_threads(form: str) -> None:
    found, policy, count = [], use(form), 160 if form == "bfloat16_6x" else 460
    for threads in (1, 2, 5):
        nn.config.set_num_threads(threads)
        model = network(policy, 150, 170, 10, last="softmax")
        model.compile("adam", "sparse_categorical_crossentropy")
        x = rows(count, 150)
        model.fit(x, np.arange(count) % 10, batch_size=count, verbose=0)
        made = [*model.get_weights(), model.predict(x, batch_size=count, verbose=0)]
        found.append(b"".join(a.tobytes() for a in made))
    assert found[0] == found[1] == found[2]
    step = next(line for line in model.source().splitlines() if "run(w, dense_forward," in line)
    assert float(step.split(", ")[-1].split(" * ")[0]) * count > 3e6  # or it is not shared out


# ------------------------------------------------------------------ the instructions


def real(**more: Any) -> targets.Target:
    """The target of the instructions, for kernels of any size."""
    return dataclasses.replace(AMX, tiles_from=0, **more)


@functools.cache
def knows_tiles(name: str) -> bool:
    """Whether a compiler knows the flags of the target."""
    command = [name, *AMX.flags, "-xc", "-fsyntax-only", "-"]
    return subprocess.run(command, input="", capture_output=True, text=True, check=False).returncode == 0


@pytest.mark.parametrize("form", FORMS)
def test_compilers_take_it(form: str, tmp_path: Path) -> None:
    """The instructions and the emulation, both compilers, without a word; and what is compiled has the instructions."""
    known = [name for name in COMPILERS if knows_tiles(name)]
    if not known:
        pytest.skip("no compiler here knows the flags of tiles")
    policy = "mixed_bfloat16" if "mixed" in form else "float32"
    parts = 0 if "mixed" in form else targets.PRECISIONS[form]
    model = network(policy, 40, 70, 33, 5, last="softmax")
    training = trained(model)
    strict = ["-std=gnu11", "-Wall", "-Wextra", "-Werror", "-Wno-unknown-pragmas", "-Wno-psabi"]
    forms = [real(parts=parts), dataclasses.replace(targets.EMULATED, parts=parts)]
    for target in [*forms, *([dataclasses.replace(DOTS, tiles_from=0)] if not parts else [])]:
        for purpose in (training, None):
            code = render.training(compiler.plan(model, target, purpose)).code
            (tmp_path / "unit.c").write_text(code)
            whole = target.tiles == "amx" and purpose is not None
            output = ["-O1", "-S", "-o", tmp_path / "unit.s"] if whole else ["-fsyntax-only"]
            for name in known:
                command = [name, *strict, *target.flags, *output, tmp_path / "unit.c"]
                done = subprocess.run(command, capture_output=True, text=True, check=False)
                assert done.returncode == 0 and not done.stderr, done.stderr
                if whole:
                    made = (tmp_path / "unit.s").read_text()
                    for word in ("ldtilecfg", "tilerelease", "tilezero", "tileloadd", "tilestored", "tdpbf16ps"):
                        assert word in made


TRAPPED = """
import ctypes, dataclasses, os, sys
import numpy as np
sys.path.insert(0, {folder!r})
import nncompile as nn
from nncompile import targets
from test_tiles import network, real, rows

trap = ctypes.CDLL({library!r})
trap.trap_install()
counts = (ctypes.c_int64 * 3).in_dll(trap, "trap_counts")

def made(target, form, threads=1):
    targets._chosen = target
    nn.config.set_num_threads(threads)
    nn.config.set_matmul_precision("float32" if "mixed" in form else form)
    model = network("mixed_bfloat16" if "mixed" in form else "float32", 96, 106, 5, last="softmax")
    model.compile("adam", "mean_squared_error")
    x, y = rows(301, 96), np.eye(5)[np.arange(301) % 5]
    loss = model.fit(x, y, batch_size=300, verbose=0, shuffle=False).history["loss"]
    outputs = [model.predict(x[:n], batch_size=300, verbose=0) for n in (1, 33, 301)]
    return b"".join(a.tobytes() for a in [*model.get_weights(), *outputs, np.array(loss)])

for form in {forms!r}:
    before = counts[2]
    one = made(real(), form)
    assert counts[2] > before
    assert one == made(real(tiles="emulated", flags=real().flags[:-2]), form), form
assert one == made(real(), form, threads=3)
child = os.fork()
if child == 0:
    os._exit(0 if made(real(), form, threads=2) == one else 1)
assert os.waitpid(child, 0)[1] == 0
assert counts[0] == counts[1] > 100, "a thread keeps its tiles"
print("products", counts[2])
"""


@pytest.mark.parametrize("name", ["gcc", "clang"])
def test_the_instructions_compute_what_is_emulated(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A whole training run, on threads and in a forked child, to the last bit.

    Where the processor does not know the instructions, or the process has not asked for tiles, each of them raises
    SIGILL, and tests/tiles_trap.c does in its place what the manual says.
    """
    if name not in COMPILERS or not knows_tiles(name):
        pytest.skip(f"no {name} here that knows the flags of tiles")
    if "x86-64-v4" not in [t.name for t in targets.available()]:
        pytest.skip("everything but the tiles of this target needs AVX-512")
    here = Path(__file__).parent
    library = tmp_path / "trap.so"
    command = [name, "-O2", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", here / "tiles_trap.c", "-o", library]
    subprocess.run(command, check=True)
    monkeypatch.setenv("CC", name)
    forms = ("mixed_bfloat16", "bfloat16_6x") if name == COMPILERS[0] else ("bfloat16_6x",)
    text = TRAPPED.format(folder=str(here), library=str(library), forms=forms)
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout.split()[-1]) > 1000


# ------------------------------------------------------------------ settings


def test_precision_is_a_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    assert nn.config.matmul_precision() == "float32"
    nn.config.set_matmul_precision("bfloat16_3x")
    assert nn.config.matmul_precision() == "bfloat16_3x"
    for wrong in ("bfloat16_9x", "tf32", 6, ["float32"]):
        with pytest.raises(ModelError, match=r"set_matmul_precision: expected one of 'float32', 'bfloat16_6x'"):
            nn.config.set_matmul_precision(wrong)
    assert nn.config.matmul_precision() == "bfloat16_3x"
    monkeypatch.setenv("NNCOMPILE_MATMUL_PRECISION", "bfloat16_6x")
    nn.config.set_matmul_precision(None)
    assert nn.config.matmul_precision() == "bfloat16_6x"
    monkeypatch.setenv("NNCOMPILE_MATMUL_PRECISION", "bfloat16_6")
    nn.config.set_matmul_precision(None)
    with pytest.raises(ModelError, match=r"NNCOMPILE_MATMUL_PRECISION: .*Did you mean 'bfloat16_6x'"):
        nn.config.matmul_precision()


def test_a_model_changes_its_precision() -> None:
    """It is compiled again where that makes a difference, and only there."""
    model, x, found = network("float32", 40, 33), rows(20, 40), []
    for target in (VECTORS, EMULATED):
        nn.config.set_target(target)
        for precision in ("float32", "bfloat16_3x", "bfloat16_6x", "float32"):
            nn.config.set_matmul_precision(precision)
            found.append(model.predict_on_batch(x).tobytes())
    vectors, emulated = found[:4], found[4:]
    assert len(set(vectors)) == 1
    assert emulated[0] == emulated[3] and len(set(emulated)) == 3
    assert len(model._libraries) == 4


def test_bench_counts_the_copies_that_are_read() -> None:
    model = network("mixed_bfloat16", 40, 70, 33)
    training = trained(model)
    kernel = 70 * 33
    for target, policy, forward, backward, copies, rate in (
        (targets.find(VECTORS), "mixed_bfloat16", 2, 4, 2, 1),
        (targets.EMULATED, "mixed_bfloat16", 2, 2, 4, 16),
        (targets.EMULATED, "float32", 4, 4, 0, 1),
        (dataclasses.replace(targets.EMULATED, parts=3), "float32", 6, 6, 12, 16 / 6),
    ):
        for layer in model.layers:
            layer.dtype_policy = policy
        found = rooflines.costs(compiler.plan(model, target, training))
        assert found["dense_1_forward"].call == forward * kernel and found["dense_1_forward"].rate == rate
        assert found["dense_1_backward"].call == backward * kernel
        assert found["dense_1_update"].call == 4 * 2 * 3 * (kernel + 33) + copies * kernel


def test_float64_is_not_split() -> None:
    use("bfloat16_3x")
    nn.config.set_floatx("float64")
    model = nn.Sequential([nn.Input((20,)), nn.layers.Dense(30)])
    x = rows(5, 20).astype("float64")
    kernel, bias = model.get_weights()
    np.testing.assert_allclose(model.predict(x, verbose=0), x @ kernel + bias, rtol=1e-12, atol=1e-12)
    assert "TILE_DOT" not in model.source()


def test_tiles_are_chosen_only_where_they_are_granted(monkeypatch: pytest.MonkeyPatch) -> None:
    """The processor must have them, and the system must let this process use them; and pairs only where they pay."""
    has, asked = frozenset(AMX.features), []
    monkeypatch.setattr(targets.platform, "machine", lambda: "x86_64")
    monkeypatch.setattr(targets, "_features", lambda: has)
    granted = False
    monkeypatch.setattr(targets, "_tiles_granted", lambda process: asked.append(process) or granted)
    monkeypatch.delenv("NNCOMPILE_TARGET", raising=False)
    assert nn.config.target() == "x86-64-v4" and asked
    with pytest.raises(ModelError, match="this machine cannot run x86-64-v4-amx; it can run x86-64-v4, "):
        nn.config.set_target("x86-64-v4-amx")
    granted = True
    assert nn.config.target() == "x86-64-v4-amx" == targets.available()[0].name
    asked.clear()
    has -= {"amx_bf16"}
    assert nn.config.target() == "x86-64-v4" and not asked, "a process without tiles does not ask"
    has, made_by = frozenset(DOTS.features), "AuthenticAMD"
    monkeypatch.setattr(targets, "_vendor", lambda: made_by)
    assert nn.config.target() == "x86-64-v4-bf16"
    made_by = "GenuineIntel"
    assert nn.config.target() == "x86-64-v4"
    monkeypatch.setenv("NNCOMPILE_TARGET", "x86-64-v4-amx")
    with pytest.raises(ModelError, match="NNCOMPILE_TARGET: this machine cannot run x86-64-v4-amx"):
        nn.config.target()


def test_the_system_is_asked_once() -> None:
    """What it says is what it does: where the answer is no, the target is not among those of this machine."""
    answers = {targets._tiles_granted(n) for n in (1, 1)}
    assert len(answers) == 1
    assert (AMX in targets.available()) <= answers.pop()


def test_the_emulation_is_in_no_list(capsys: pytest.CaptureFixture[str]) -> None:
    assert targets.EMULATED not in (*targets.TARGETS, *targets.available())
    assert targets.tested() == (*targets.available(), targets.EMULATED)
    with pytest.raises(ModelError) as refused:
        nn.config.set_target("emulated")
    assert EMULATED not in str(refused.value)
    with pytest.raises(SystemExit):
        cli.main(["bench", "--help"])
    assert EMULATED not in capsys.readouterr().out
