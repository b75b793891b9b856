"""``nncompile bench``: what it says and refuses. Never how long something takes."""

from __future__ import annotations

import dataclasses
import importlib.util
import json
import math
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import nncompile as nn
from nncompile import config, layers, ops, targets
from nncompile.benchmark import drawing, machine, peers, records, report, rooflines, tables, timing, workloads
from nncompile.cli import main
from nncompile.errors import BuildError, ModelError, UnsupportedError

pytestmark = pytest.mark.quick_c

SPEC = """
import nncompile as nn

plain = nn.Sequential([nn.Input((6,)), nn.layers.Dense(8, activation="tanh"), nn.layers.Dense(3, activation="softmax")])
trained = nn.Sequential([nn.Input((6,)), nn.layers.Dense(4)], name="small")
trained.compile(optimizer=nn.optimizers.SGD(0.01, momentum=0.9), loss="mse", metrics=["mae"])
unbuilt = nn.Sequential([nn.layers.Dense(2)])
empty = nn.Sequential([nn.Input((6,)), nn.layers.Activation("tanh")])
frozen = nn.Sequential([nn.Input((6,)), nn.layers.Dense(2)])
frozen.trainable = False
open_ended = nn.Sequential([nn.Input((None, 6)), nn.layers.Dense(2)])
"""
needs_matplotlib = pytest.mark.skipif(
    importlib.util.find_spec("matplotlib") is None, reason="pictures need the extra [bench]"
)


def peaks_of(threads, network=1000):
    """A machine of round numbers."""
    return tuple(
        machine.Peak(
            n,
            100.0 * n,
            (
                machine.Level("L1", 1 << 14, 400.0 * n, 600.0 * n),
                machine.Level("L2", 1 << 19, 200.0 * n, 300.0 * n),
                machine.Level("memory", 1 << 27, 20.0, 30.0),
                *([machine.Level("network", network, 50.0 * n, 80.0 * n)] if network else []),
            ),
        )
        for n in threads
    )


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """A folder of its own; what takes long is cut short; settings are set back."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("NNCOMPILE_DEBUG", raising=False)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(report, "_ENOUGH", 0.001)
    Path("spec.py").write_text(SPEC)
    yield tmp_path
    config.set_num_threads(None)


@pytest.fixture
def quick(monkeypatch):
    """The machine is not measured."""
    asked = []

    def measure(target, threads, real="float", network=0, seconds=0.01, trials=5):
        asked.append((target.name, tuple(threads), real, network))
        return peaks_of(threads, network)

    monkeypatch.setattr(machine, "measure", measure)
    return asked


def run(*arguments):
    return main(["bench", *(str(a) for a in arguments)])


def bench(*arguments):
    return run(*arguments, "--rows", 40, "--batch-size", 16, "--epochs", 2, "--threads", 1, "--no-peers")


def refused(capsys, *arguments):
    """What is said on the one line of an error of status 1."""
    assert run(*arguments) == 1
    said = capsys.readouterr()
    assert said.out == ""
    lines = said.err.splitlines()
    assert len(lines) == 1 and lines[0].startswith("nncompile: error: "), said.err
    return lines[0].removeprefix("nncompile: error: ")


def a_model(loss="mse", last=None, units=4, **keywords):
    model = nn.Sequential([nn.Input((6,)), layers.Dense(units, activation=last)], **keywords)
    model.compile(optimizer="adam", loss=loss)
    return model


# ------------------------------------------------------------------ the command


def test_text(quick, capsys):
    assert bench("spec.py:trained") == 0
    said = capsys.readouterr()
    assert said.err == ""
    text = said.out
    assert re.search(r"^machine   .+ cores?, ", text, re.M)
    assert re.search(rf"^target    {targets.host().name}, ", text, re.M)
    assert re.search(rf"^versions  nncompile {nn.__version__}, Python .+, NumPy {np.__version__}, ", text, re.M)
    assert re.search(r"^measured peak +1 thread", text, re.M)
    assert re.search(r"^multiply-adds +GFLOP/s +100", text, re.M)
    assert re.search(r"^L2 +GB/s +200 / 300", text, re.M)
    assert re.search(r"^this network, .*B +GB/s +50\.0 / 80\.0", text, re.M)
    assert "model     small: 6-4, 28 weights, float32\n" in text
    assert "training  SGD, mean_squared_error, batches of 16, 40 rows, 1 thread\n" in text
    assert re.search(r"^compiling .+ s, .+ s from the cache; .+ of C$", text, re.M)
    assert re.search(r"^seconds per epoch +\S+  median of 2, \S+ to \S+$", text, re.M)
    assert re.search(r"^GFLOP/s +\S+  \S+% of the peak of 1 thread$", text, re.M)
    assert re.search(r"^loss +\S+  \S+ in the first epoch of 3$", text, re.M)
    for name in ("p50", "p90", "p99", "p99.9"):
        assert re.search(rf"^one row, {re.escape(name)} +\S+", text, re.M)
    assert re.search(r"^40 rows: rows/s +\S+$", text, re.M)
    assert "assumed" not in text and "beside others" not in text
    assert not re.search(r"[ \t]$|\n{3}|nan|inf", text.rstrip("\n") + "\n", re.M)
    ((target, threads, real, network),) = quick
    assert (target, real) == (targets.host().name, "float") and set(threads) == {1, targets.cores()}
    assert network > 4 * 28 * 2  # weights and momentum, and a batch


def test_json_is_one_object(quick, capsys):
    assert bench("spec.py:trained", "--json") == 0
    said = capsys.readouterr()
    assert said.err == ""
    found = json.loads(said.out)
    assert set(found) == {
        "date", "machine", "peaks", "network", "notes", "compiled", "trained", "predicted", "laps", "beside",
    }  # fmt: skip
    assert found["machine"]["target"] == targets.host().name and "compiler" in found["machine"]["versions"]
    assert found["peaks"][0]["gflops"] == 100.0 and found["peaks"][0]["levels"][0]["name"] == "L1"
    network = found["network"]
    assert (network["widths"], network["weights"], network["optimizer"]) == ([6, 4], 28, "SGD")
    assert (network["rows"], network["batch_size"], network["threads"]) == (40, 16, 1)
    assert network["flops_per_row"] == 2 * 24 and network["training_flops_per_row"] == 4 * 24
    trained = found["trained"]
    assert trained["epochs"] == 2 and 0 < trained["fastest"] <= trained["seconds"] <= trained["slowest"]
    assert trained["gflops"] == pytest.approx(1e-9 * 40 * 4 * 24 / trained["seconds"])
    assert trained["share"] == pytest.approx(trained["gflops"] / 100)
    row = found["predicted"]["microseconds"]
    assert list(row) == ["p50", "p90", "p99", "p99.9"]
    assert 0 < row["p50"] <= row["p90"] <= row["p99"] <= row["p99.9"]
    assert found["compiled"]["source_bytes"] > 1000
    assert found["beside"] == []


def test_a_file_keeps_its_training_and_stays_as_it_is(quick, capsys):
    model = nn.Sequential([nn.Input((5,)), layers.Dense(3, activation="softmax")], name="kept")
    model.compile(optimizer=nn.optimizers.RMSprop(0.01), loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    model.save("net.keras")
    before = Path("net.keras").read_bytes()
    assert bench("net.keras") == 0
    text = capsys.readouterr().out
    assert "training  RMSprop, sparse_categorical_crossentropy, " in text
    assert "assumed" not in text and "drawn anew" not in text
    assert Path("net.keras").read_bytes() == before
    assert sorted(os.listdir()) == ["net.keras", "spec.py"]


def test_what_is_assumed_is_said(quick, capsys):
    assert bench("spec.py:plain") == 0
    text = capsys.readouterr().out
    assert "The model was not compiled for training: Adam and categorical_crossentropy assumed." in text
    assert "training  Adam, categorical_crossentropy, " in text
    model = nn.Sequential([nn.Input((5,)), layers.Dense(3, activation="sigmoid"), layers.Dropout(0.5)])
    Path("config.json").write_text(model.to_json())
    assert bench("config.json") == 0
    text = capsys.readouterr().out
    assert "config.json has no weights: they were drawn anew." in text
    assert "Adam and binary_crossentropy assumed." in text


def test_an_optimizer_without_a_loss(quick):
    model = nn.Sequential([nn.Input((5,)), layers.Dense(3)])
    model.compile(optimizer="sgd")
    made = report.benchmark(model, report.Options(16, 40, 1, 1, peers=False))
    assert made.notes[0] == "The model was not compiled for training: mean_squared_error assumed."
    assert (made.network.optimizer, made.network.loss) == ("SGD", "mean_squared_error")


@pytest.mark.parametrize("target", [t.name for t in targets.available()][-2:])
def test_target(quick, capsys, target):
    assert bench("spec.py:trained", "--target", target) == 0
    assert f"target    {target}, " in capsys.readouterr().out
    assert quick[0][0] == target


def test_double_precision(quick):
    config.set_floatx("float64")
    made = report.benchmark(a_model(), report.Options(16, 40, 1, 1))
    assert made.network.dtype == "float64" and quick[0][2] == "double"
    assert made.beside == () and "expected float32 or bfloat16, received float64" in made.notes[-1]


def test_the_environment_is_as_it_was(quick):
    before = dict(os.environ)
    report.benchmark(a_model(), report.Options(16, 40, 1, 1, peers=False))
    assert dict(os.environ) == before


def test_parts_are_shown_as_they_are_known(quick):
    shown = []
    made = report.benchmark(a_model(), report.Options(16, 40, 1, 1, peers=False), show=shown.append)
    assert [text.split()[0] for text in shown][:4] == ["machine", "model", "training", "prediction"]
    for text in shown[:4]:
        assert text in str(made)


def test_help(capsys):
    with pytest.raises(SystemExit) as ended:
        run("--help")
    assert ended.value.code == 0
    text = capsys.readouterr().out
    for option in (
        "SPEC",
        "--batch-size",
        "--rows",
        "--epochs",
        "--threads",
        "--target",
        "--no-peers",
        "--plot",
        "--json",
    ):
        assert option in text


def test_import_is_lean():
    code = (
        "import sys, nncompile, nncompile.cli; "
        "wrong = [m for m in sys.modules if m.startswith(('nncompile.benchmark', 'matplotlib'))]; print(wrong); "
        "import nncompile.benchmark.report; "
        "print([m for m in sys.modules if m.partition('.')[0] in ('matplotlib', 'jax', 'torch', 'keras')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split("\n")[:2] == ["[]", "[]"]


# ------------------------------------------------------------------ what is refused


@pytest.mark.parametrize(
    "wrong",
    [
        ("--rows", 0), ("--rows", "many"), ("--batch-size", 0), ("--batch-size", -3), ("--epochs", 0), ("--threads", 0),
        ("--target", "z80"), ("--peer",),
    ],
)  # fmt: skip
def test_called_wrongly(capsys, wrong):
    with pytest.raises(SystemExit) as ended:
        run("spec.py:trained", *wrong)
    assert ended.value.code == 2
    said = capsys.readouterr()
    assert said.out == "" and "nncompile" in said.err.splitlines()[-1] and "Traceback" not in said.err


def test_no_such_model(capsys):
    assert "nothing.keras" in refused(capsys, "nothing.keras")
    assert "there is no such file" in refused(capsys, "nothing.py:model")
    assert "has no variable 'trianed'" in refused(capsys, "spec.py:trianed")


@pytest.mark.parametrize(
    "name, reason",
    [
        ("unbuilt", "before the shape of the input is known"),
        ("empty", "expected weights that can be trained, found none"),
        ("frozen", "expected weights that can be trained, found none"),
        ("open_ended", "of known, positive sizes"),
    ],
)
def test_models_that_cannot_be_measured(capsys, name, reason):
    assert reason in refused(capsys, f"spec.py:{name}")


def test_more_than_there_is(capsys):
    most = machine.processors()
    message = refused(capsys, "spec.py:trained", "--threads", most + 1)
    assert f"this process may use {most} processor" in message and f"received {most + 1}" in message
    message = refused(capsys, "spec.py:trained", "--rows", 10**13, "--threads", 1)
    assert "10,000,000,000,000 rows" in message and "Give fewer rows." in message


def test_a_target_of_another_machine(capsys, monkeypatch):
    monkeypatch.setattr(targets, "available", lambda: (targets.find("c99"),))
    assert "this machine cannot run x86-64" in refused(capsys, "spec.py:trained", "--target", "x86-64")


@pytest.mark.parametrize("name", ["batch_size", "rows", "epochs", "threads"])
@pytest.mark.parametrize("value", [0, -1, 2.5, True, "3"])
def test_options_are_checked(name, value):
    with pytest.raises(ModelError, match=rf"bench: {name}: expected a whole number from 1"):
        report.benchmark(a_model(), dataclasses.replace(report.Options(), **{name: value}))


# ------------------------------------------------------------------ data


@pytest.mark.parametrize(
    "loss, last, kind",
    [
        ("mse", None, "real"), ("mae", "relu", "real"), ("mse", "softmax", "one of"), ("mse", "sigmoid", "zero or one"),
        ("binary_crossentropy", "sigmoid", "zero or one"), ("categorical_crossentropy", "softmax", "one of"),
        ("categorical_crossentropy", "sigmoid", "one of"), ("crossentropy", "softmax", "one of"),
        ("sparse_categorical_crossentropy", "softmax", "label"),
        (nn.losses.SparseCategoricalCrossentropy(from_logits=True), None, "label"),
        (lambda t, p: ops.mean(ops.square(t - p), axis=-1), None, "real"),
    ],
)  # fmt: skip
def test_made_up_data_fit_the_loss(loss, last, kind):
    model = a_model(loss, last)
    x, y, dense = report.made_up(model, 30)
    assert x.shape == (30, 6) and x.dtype == "float32" and -1 <= x.min() < 0 < x.max() < 1
    assert dense.shape == (30, 4) and dense.dtype == "float32"
    if kind == "label":
        assert y.shape == (30,) and y.dtype.kind == "i"
        assert np.array_equal(dense.argmax(axis=-1), y)
    else:
        assert y is dense
    values = set(np.unique(dense))
    assert (values == {0.0, 1.0}) == (kind != "real")
    assert (dense.sum(axis=-1) == 1).all() == (kind in ("one of", "label"))
    again = report.made_up(model, 30)
    assert np.array_equal(again[0], x) and np.array_equal(again[1], y)
    assert np.isfinite(model.train_on_batch(x, y))


def test_made_up_data_of_more_axes():
    model = nn.Sequential([nn.Input((5, 6)), layers.Dense(3, activation="softmax")])
    model.compile(loss="sparse_categorical_crossentropy")
    x, y, dense = report.made_up(model, 7)
    assert (x.shape, y.shape, dense.shape) == ((7, 5, 6), (7, 5), (7, 5, 3))
    assert np.isfinite(model.train_on_batch(x, y))


# ------------------------------------------------------------------ the machine


def test_identify():
    found = machine.identify(targets.host())
    assert found.cpu and found.cores == targets.cores() and found.target == targets.host().name
    assert set(found.versions) == {"nncompile", "Python", "NumPy", "compiler"}
    assert all(c.bytes > 0 and c.shared > 0 for c in found.caches)
    assert [c.level for c in found.caches] == sorted({c.level for c in found.caches})


def describe(folder, index, level, kind, size, shared):
    place = folder / f"cpu{min(os.sched_getaffinity(0))}" / "cache" / f"index{index}"
    place.mkdir(parents=True)
    for name, text in (("level", level), ("type", kind), ("size", size), ("shared_cpu_list", shared)):
        if text is not None:
            (place / name).write_text(f"{text}\n")


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="of Linux")
def test_caches_of_linux(here):
    describe(here, 0, 1, "Data", "48K", "0")
    describe(here, 1, 1, "Instruction", "32K", "0")
    describe(here, 2, 2, "Unified", "2048K", "0-1")
    describe(here, 3, 3, "Unified", "30M", "0-3,8-11")
    found = machine.caches(here)
    assert found == (
        machine.Cache(1, 48 << 10, 1),
        machine.Cache(2, 2 << 20, 2),
        machine.Cache(3, 30 << 20, 8),
    )


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="of Linux")
def test_caches_that_are_not_described(here):
    describe(here, 0, 1, "Data", None, "0")
    describe(here, 1, 2, "Unified", "large", "0")
    found = machine.caches(here)
    assert [c.level for c in found] == [1, 2, 3] and all(c.assumed for c in found)


@pytest.mark.parametrize("real", ["float", "double"])
@pytest.mark.parametrize("target", targets.available(), ids=lambda t: t.name)
def test_the_program_that_measures(target, real):
    """Compiled without a warning, and it prints what it is asked for."""
    wanted = [machine._Wanted(kind, n, 4096) for n in (1, 2) for kind in ("MULTIPLY_ADD", "READ", "UPDATE")]
    code = machine.source(target, wanted, real, seconds=1e-5, trials=1)
    assert code.isascii() and f"typedef {real} real;" in code and "{{" not in code
    flagged = dataclasses.replace(target, flags=(*target.flags, "-Wall", "-Wextra", "-Werror"))
    numbers = machine._run(code, flagged, len(wanted))
    assert all(n > 0 and math.isfinite(n) for n in numbers)


def test_a_program_that_fails(monkeypatch):
    code = machine.source(targets.host(), [])
    failing = re.sub(r"int main\(void\) \{.*", "int main(void) { return 3; }", code, flags=re.S)
    with pytest.raises(BuildError, match="no thread could be started"):
        machine._run(failing, dataclasses.replace(targets.host(), flags=(*targets.host().flags, "-w")), 1)


def test_measure(monkeypatch):
    asked = []

    def run_(code, target, count):
        asked.append(code)
        return [float(n) for n in range(1, count + 1)]

    monkeypatch.setattr(machine, "_run", run_)
    monkeypatch.setattr(machine, "caches", lambda: (machine.Cache(1, 1 << 15, 1), machine.Cache(2, 1 << 20, 4)))
    one, four = machine.measure(targets.host(), (1, 4), network=4000)
    assert [level.name for level in one.levels] == ["L1", "L2", "memory", "network"]
    assert (one.threads, one.gflops, four.threads, four.gflops) == (1, 1.0, 4, 10.0)
    assert [(level.read, level.update) for level in one.levels] == [(2.0, 3.0), (4.0, 5.0), (6.0, 7.0), (8.0, 9.0)]
    assert [level.bytes for level in one.levels] == [1 << 14, 1 << 19, 64 << 20, 4000]
    # the first level is of each processor, the second one of all four
    assert [level.bytes for level in four.levels] == [1 << 16, 1 << 19, 64 << 20, 4000]
    assert "{READ, 4, 1000}" in asked[0] and "{UPDATE, 1, 4000}" in asked[0]
    assert len(machine.measure(targets.host(), (2,))[0].levels) == 3


def test_level_that_holds():
    (peak,) = peaks_of([1])
    assert [peak.holding(size).name for size in (1, 1 << 15, 1 << 16, 1 << 20, 1 << 21)] == [
        "L1", "L1", "L2", "L2", "memory",
    ]  # fmt: skip
    assert peak.level("network").read == 50.0


def test_busy_processors_are_told():
    assert report._crowded(peaks_of((1, 4))) == [] and report._crowded(peaks_of((1,))) == []
    one, two = peaks_of((1, 2))
    (note,) = report._crowded((one, dataclasses.replace(two, gflops=110.0)))
    assert note.startswith("2 threads did only 1.10 times the multiply-adds of one")


# ------------------------------------------------------------------ steps


@pytest.fixture
def measured():
    """A network, its program, and what is known of both."""
    model = nn.Sequential(
        [
            nn.Input((20,)),
            layers.Dense(12, activation="tanh", name="first"),
            layers.Dense(5, activation="softmax", name="second"),
        ],
        name="two",
    )
    model.compile(optimizer="adam", loss="categorical_crossentropy")
    x, y, _ = report.made_up(model, 48)
    model.fit(x, y, batch_size=16, verbose=0)
    program = report._program(model)
    return model, program, report._network(model, program, report.Options(16, 48, 1, 1), 1)


def test_costs(measured):
    _, program, network = measured
    found = rooflines.costs(program)
    assert {
        "gather",
        "loss",
        "first_forward",
        "second_forward",
        "second_backward",
        "first_update",
        "second_update",
    } == set(found)
    assert found["gather"] == rooflines.Cost(0, (20 + 5) * 8, 0)
    forward = found["first_forward"]
    assert (forward.flops, forward.row, forward.call) == (2 * 20 * 12, 4 * (20 + 12), 4 * 20 * 12)
    backward = found["second_backward"]
    assert (backward.flops, backward.call) == (2 * 12 * 5, 4 * 12 * 5)
    update = found["first_update"]
    assert update.changes and update.flops == 2 * 20 * 12
    assert update.call == 4 * 2 * 3 * (20 * 12 + 12)  # weights, bias and two moments, read and written
    assert network.flops_per_row == 2 * (20 * 12 + 12 * 5)
    assert network.training_flops_per_row == 2 * (2 * 20 * 12 + 3 * 12 * 5)
    assert network.widths == (20, 12, 5) and network.bytes > 4 * 3 * network.weights


def test_roofline(measured):
    _, program, network = measured
    (peak,) = peaks_of([1])
    cost = rooflines.costs(program)["first_forward"]
    flops, moved = 16 * cost.flops, 16 * cost.row + cost.call
    laps = {"gather": (1e-6, 3), "first_forward": (3e-6, 3), "something": (6e-6, 3), "never": (0.0, 0)}
    gather, forward, other, never = rooflines.roofline(program, laps, network, peak)
    assert (forward.calls, forward.share) == (3, pytest.approx(0.3))
    assert (forward.flops, forward.bytes) == (flops, moved)
    assert forward.gflops == pytest.approx(1e-9 * flops / 1e-6)
    assert forward.intensity == pytest.approx(flops / moved)
    computing, moving = flops / 100e9, moved / 50e9  # the network's level: it reads
    assert forward.bound == ("compute" if computing > moving else "memory")
    assert forward.roofline == pytest.approx(max(computing, moving) / 1e-6)
    assert gather.bound == "memory" and gather.flops == gather.gflops == 0
    assert (other.bound, other.roofline, other.share) == ("", 0.0, pytest.approx(0.6))
    assert (never.calls, never.share) == (0, 0)


def test_slow_memory_and_slow_units_bound(measured):
    _, program, network = measured
    (peak,) = peaks_of([1])
    laps = {"first_update": (1e-3, 3)}
    (slow,) = rooflines.roofline(program, laps, network, dataclasses.replace(peak, gflops=0.001))
    (fast,) = rooflines.roofline(program, laps, network, dataclasses.replace(peak, gflops=1e6))
    assert (slow.bound, fast.bound) == ("compute", "memory")
    cost = rooflines.costs(program)["first_update"]
    assert fast.roofline == pytest.approx((16 * cost.row + cost.call) / 80e9 / (1e-3 / 3))  # it reads and writes


def test_laps_in_the_report(quick):
    asked = []

    def profile(x, y, batch_size):
        asked.append((x.shape, y.shape, batch_size))
        return {"gather": (1e-5, 3), "dense_forward": (2e-5, 3), "loss": (1e-5, 3), "dense_update": (4e-5, 3)}

    model = a_model()
    made = report.benchmark(model, report.Options(16, 40, 1, 1, peers=False), profile=profile)
    assert asked == [((40, 6), (40, 4), 16)]
    assert [lap.name for lap in made.laps] == ["gather", "dense_forward", "loss", "dense_update"]
    text = str(made)
    assert re.search(
        r"^steps of training +calls +us/call +time +GFLOP/s +bytes +GB/s +FLOP/byte +roofline$", text, re.M
    )
    assert re.search(r"^dense_forward +3 +6\.67 +25\.0% .+% +(memory|compute)$", text, re.M)
    assert re.search(r"^all +26\.7 +100\.0%", text, re.M)
    assert json.loads(made.to_json())["laps"][1]["name"] == "dense_forward"


def test_the_model_measures_its_own_steps(quick):
    model = a_model()
    if not hasattr(model, "_profile"):
        pytest.skip("this version has no laps")
    made = report.benchmark(model, report.Options(16, 40, 1, 1, peers=False))
    names = [lap.name for lap in made.laps]
    assert {"gather", "dense_forward", "loss", "dense_update"} <= set(names)
    assert all(lap.calls > 0 and lap.seconds >= 0 for lap in made.laps)
    assert sum(lap.share for lap in made.laps) == pytest.approx(1)


def test_text_of_numbers():
    assert [tables.figure(v) for v in (0.0, 1.0, 0.012345, 99.96, 123456.0, None, math.nan)] == [
        "0", "1.00", "0.0123", "100", "123,456", "-", "-",
    ]  # fmt: skip
    assert [tables.readable(v) for v in (12, 1234, 2.5e6, 123e6)] == ["12 B", "1.23 kB", "2.5 MB", "123 MB"]
    assert tables.counted(1, "thread") == "1 thread" and tables.counted(2000, "row") == "2,000 rows"
    assert report._finite({"a": [math.inf, 1.0, "b"], "c": (math.nan,)}) == {"a": [None, 1.0, "b"], "c": [None]}


# ------------------------------------------------------------------ others


@pytest.fixture
def others(monkeypatch):
    """Processes that measure are not started."""
    asked = []
    seconds = {"nncompile": 1.0, "NumPy": 2.0, "JAX": 0.5}

    def cases_of(workload, what, threads, precision="float32", names=None):
        return [timing.Case(name, workload, n, precision, what) for n in threads for name in seconds]

    def measure(cases, cpus, rounds=3, seconds_=1.0, cache=None, data=None, patience=3, report=None):
        with np.load(data) as file:
            arrays = {name: file[name].shape for name in file.files}
        found = []
        for case in cases:
            asked.append((case, arrays, dict(os.environ).get("NNCOMPILE_TARGET")))
            if report is not None:
                report(f"{case.peer} {case.what}")
            m = timing.Measured(case, version="1.2")
            if case.peer == "JAX" and case.what == "predict":
                m.failure = "it fell over"
            else:
                m.seconds, m.tail = [seconds[case.peer] * 1e-3], [5e-3]
                m.losses = [1.5, 1.25]
                m.disturbance = [0.3 if case.peer == "NumPy" else 0.01]
            found.append(m)
        return found

    monkeypatch.setattr(timing, "cases_of", cases_of)
    monkeypatch.setattr(timing, "measure", measure)
    return asked


def test_beside_others(quick, others, monkeypatch):
    model = a_model("sparse_categorical_crossentropy", "softmax")
    given = workloads.Workload("w", "a test", ((4, "softmax"),), 6, 40, 16)
    described = []

    def from_model(model, x, y, batch_size, epochs=1):
        described.append((x.shape, y.shape, batch_size))
        return given

    monkeypatch.setattr(workloads, "from_model", from_model)
    told, shown = [], []
    made = report.benchmark(model, report.Options(16, 40, 1, 1), show=shown.append, progress=told.append)
    assert described == [((40, 6), (40, 4), 16)]  # labels are written out for the others
    assert [(case.peer, case.what, case.workload.rows) for case, _, _ in others] == [
        (name, what, rows)
        for what, rows in (("train", 40), ("predict", 1), ("predict", 40))
        for name in ("nncompile", "NumPy", "JAX")
    ]
    for case, arrays, target in others:
        assert arrays == {"x": (case.workload.rows, 6), "y": (case.workload.rows, 4), "w0": (6, 4), "b0": (4,)}
        assert case.threads == 1 and target == targets.host().name
    assert len(told) == 9
    ours, numpy, jax = made.beside
    assert (ours.name, ours.seconds, ours.microseconds) == ("nncompile", 1e-3, pytest.approx(1000))
    assert (numpy.version, numpy.loss, numpy.tail) == ("1.2", 1.25, pytest.approx(5000))
    assert numpy.rows_per_second == pytest.approx(20_000)
    assert jax.seconds == 5e-4 and jax.microseconds is None and jax.failures == ("it fell over", "it fell over")
    text = str(made)
    assert re.search(r"^NumPy +1\.2 +0\.00200 +x2\.00 +1\.250 +2,000 +x2\.00 +5,000 +20,000 +x2\.00$", text, re.M)
    assert re.search(r"^JAX +1\.2 +0\.000500 +x0\.50 ", text, re.M)
    assert text.count("note      JAX: it fell over") == 1
    said = " ".join(text.split())
    assert "Other processes took up to 30% of the processors' time while NumPy ran." in said
    assert sum(part.startswith("beside others") for part in shown) == 1


@pytest.mark.parametrize(
    "loss", ["categorical_crossentropy", nn.losses.CategoricalCrossentropy()], ids=["name", "loss"]
)
def test_a_model_that_others_can_run(quick, others, loss):
    """With nothing of the comparison replaced but the processes."""
    made = report.benchmark(a_model(loss, "softmax"), report.Options(16, 40, 1, 1))
    assert [b.name for b in made.beside] == ["nncompile", "NumPy", "JAX"]
    work = others[0][0].workload
    assert (work.inputs, work.layers, work.rows, work.batch_size) == (6, ((4, "softmax"),), 40, 16)
    assert (work.loss, work.optimizer) == ("categorical_crossentropy", "adam")


def test_a_model_that_others_cannot_run(quick, others):
    model = nn.Sequential([nn.Input((6,)), layers.Dense(4), layers.Dropout(0.5), layers.Dense(2)])
    model.compile(loss="mse")
    shown = []
    made = report.benchmark(model, report.Options(16, 40, 1, 1), show=shown.append)
    assert made.beside == () and others == []
    assert "Dropout" in made.notes[-1] and "without peers" in made.notes[-1]
    assert shown[-1].startswith("note ")
    assert str(made).count("Dropout") == 1


def test_peers_are_those_of_the_table():
    assert next(iter(peers.PEERS)) == "nncompile"  # the one that others are measured by


def test_no_peers_are_asked_for(quick, others, capsys):
    assert bench("spec.py:trained") == 0
    assert others == []


# ------------------------------------------------------------------ pictures


@pytest.fixture
def a_report(measured):
    _, program, network = measured
    peaks = peaks_of((1, 2), network.bytes)
    laps = {name: (1e-5 * (n + 1), 3) for n, name in enumerate(rooflines.costs(program))}
    times = tuple(float(t) for t in range(10, 2010))
    return report.Report(
        date="2001-02-03 04:05 UTC",
        machine=machine.identify(targets.host()),
        peaks=peaks,
        network=network,
        notes=("a note",),
        compiled=records.Compiled(1.0, 0.1, 1000),
        trained=records.Trained(0.1, 0.05, 0.2, 5, 50.0, 0.5, (2.0, 1.0)),
        predicted=records.Predicted(
            {"p50": 1010.0, "p90": 1810.0, "p99": 1990.0, "p99.9": 2008.0}, 2000, 1e5, 10.0, 0.1
        ),
        laps=rooflines.roofline(program, laps, network, peaks[0]),
        beside=(
            records.Beside("nncompile", "1", 0.1, 1.0, 900.0, 1900.0, 1e5),
            records.Beside("other", "2", 0.2, 1.0, 90.0, None, 1e4),
            records.Beside("third", "3", None, None, None, None, 1e4, ("it cannot train",)),
        ),
        latencies=times,
    )


@needs_matplotlib
@pytest.mark.parametrize("kind, begins", [("png", b"\x89PNG\r\n"), ("svg", b"<?xml"), ("pdf", b"%PDF")])
def test_picture(a_report, kind, begins):
    place = drawing.draw(a_report, f"speed.{kind}")
    assert place.read_bytes().startswith(begins)
    if kind == "svg":
        text = place.read_text()
        for word in ("Training", "Prediction of one row", "Roofline", "first_update", "other", "multiply-adds"):
            assert word in text


@needs_matplotlib
def test_pictures_of_little(a_report):
    bare = dataclasses.replace(a_report, laps=(), beside=(), latencies=())
    assert drawing.draw(bare, "bare.png").stat().st_size > 10_000
    many = tuple(dataclasses.replace(a_report.laps[1], name=f"layer_{n}_forward") for n in range(40))
    assert drawing.draw(dataclasses.replace(a_report, laps=many), "many.png").stat().st_size > 10_000


@needs_matplotlib
def test_plot_option(quick, capsys):
    assert bench("spec.py:trained", "--plot", "speed.png") == 0
    assert capsys.readouterr().out.endswith("wrote speed.png\n")
    assert Path("speed.png").read_bytes().startswith(b"\x89PNG")
    assert bench("spec.py:trained", "--plot", "speed.svg", "--json") == 0
    json.loads(capsys.readouterr().out)
    assert Path("speed.svg").exists()


def test_plot_without_matplotlib(capsys, monkeypatch):
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *a: None if name == "matplotlib" else found(name, *a))
    message = refused(capsys, "spec.py:trained", "--plot", "speed.png")
    assert message == "--plot needs matplotlib, which is not installed. Run: pip install 'nncompile[bench]'"


@pytest.mark.parametrize(
    "name, reason",
    [("speed", "a name that ends in .png"), ("speed.gif", "a name that ends in .png"), ("no/speed.png", "no folder no"),
     ("folder.png", "it is a folder")],
)  # fmt: skip
def test_a_picture_that_cannot_be(capsys, name, reason):
    """It is said before anything is measured."""
    Path("folder.png").mkdir()
    assert reason in refused(capsys, "spec.py:trained", "--plot", name)


def test_errors_are_of_the_package():
    assert issubclass(UnsupportedError, nn.errors.NncompileError)
