"""The machinery of the benchmarks: what they do is right. How long it takes is not tested here."""

import dataclasses
import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from benchmarks import curves, installed, run, tables

import nncompile
from nncompile import Input, Sequential, config, layers, losses, optimizers
from nncompile.benchmark import child, peers, timing, workloads
from nncompile.benchmark.timing import Case, Measured
from nncompile.benchmark.workloads import T1, T2, T3, T4, Workload
from nncompile.errors import ModelError, UnsupportedError

SMALL = Workload("small", "a small one", ((7, "sigmoid"), (6, "relu"), (4, "softmax")), 5, 50, 16)
VARIED = [
    SMALL,
    dataclasses.replace(SMALL, optimizer="sgd"),
    dataclasses.replace(SMALL, optimizer="momentum"),
    dataclasses.replace(SMALL, batch_size=1, optimizer="sgd"),
    dataclasses.replace(SMALL, layers=((6, "tanh"), (2, "sigmoid")), loss="binary_crossentropy"),
    dataclasses.replace(SMALL, layers=((6, "relu"), (3, "linear")), loss="mean_squared_error", learning_rate=0.005),
    dataclasses.replace(SMALL, layers=((6, "relu"), (3, "sigmoid")), loss="mean_squared_error"),
    dataclasses.replace(SMALL, layers=((6, "tanh"), (3, "softmax")), loss="mean_squared_error"),
    dataclasses.replace(SMALL, rows=48),
]


@pytest.fixture(autouse=True)
def _threads():
    """Peers set the number of threads of this process, which other tests should not see."""
    yield
    config.set_num_threads(None)


def named(workload):
    return "-".join(
        [workload.optimizer, workload.loss, workload.layers[-1][1], str(workload.rows), str(workload.batch_size)]
    )


# ------------------------------------------------------------------ workloads


def test_work_is_counted():
    assert T1.multiply_adds == 784 * 500 + 500 * 500 + 500 * 10
    assert T1.flops_per_row == 2 * T1.multiply_adds
    assert T1.flops_per_epoch == pytest.approx(31.0e9, rel=0.01)
    assert T3.flops_per_epoch == pytest.approx(172e9, rel=0.01)
    assert T1.weights == 784 * 500 + 500 + 500 * 500 + 500 + 500 * 10 + 10
    assert T1.weight_bytes() == 4 * T1.weights == 2 * T1.weight_bytes("bfloat16")
    assert (T1.rate, T3.rate, dataclasses.replace(T1, learning_rate=0.5).rate) == (0.001, 0.01, 0.5)
    assert set(workloads.WORKLOADS) == {"T1", "T2", "T3", "T4", "I1", "I2", "I3"}


@pytest.mark.parametrize("workload", VARIED, ids=named)
def test_data_are_the_same_every_time(workload):
    (x, y), (again_x, again_y) = workload.data(), workload.data()
    assert (x == again_x).all() and (y == again_y).all()
    assert x.shape == (workload.rows, workload.inputs) and y.shape == (workload.rows, workload.outputs)
    assert x.dtype == y.dtype == np.float32 and -1 <= x.min() and x.max() < 1
    if workload.loss == "categorical_crossentropy":
        assert (y.sum(axis=1) == 1).all() and set(np.unique(y)) == {0, 1}
    weights = workload.initial_weights()
    assert [kernel.shape for kernel, _ in weights] == list(workload.shapes)
    assert sum(a.size for pair in weights for a in pair) == workload.weights


def test_workload_travels_as_json():
    for workload in (*VARIED, *workloads.WORKLOADS.values()):
        assert Workload.from_json(workload.to_json()) == workload
    for wrong in ("[]", "{}", '{"layers": 3}'):
        with pytest.raises(ValueError, match="expected the JSON of a workload"):
            Workload.from_json(wrong)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"layers": ()}, "at least one layer"),
        ({"layers": ((3, "gelu"),)}, "expected an activation of"),
        ({"layers": ((3, "softmax"), (3, "softmax"))}, "softmax as the last"),
        ({"layers": ((3, "relu"),)}, "expected softmax as the last activation before categorical"),
        ({"loss": "hinge"}, "expected a loss of"),
        ({"loss": "binary_crossentropy"}, "expected sigmoid"),
        ({"optimizer": "lion"}, "expected an optimizer of"),
        ({"rows": 0}, "expected positive sizes"),
    ],
)
def test_workload_says_what_is_wrong(change, said):
    with pytest.raises(ValueError, match=said):
        dataclasses.replace(SMALL, **change)


def model_of(*stack, loss="categorical_crossentropy", optimizer="adam"):
    model = Sequential([Input((5,)), *stack])
    model.compile(loss=loss, optimizer=optimizer)
    return model


def described(model, outputs=3, rows=40):
    return workloads.from_model(model, np.zeros((rows, 5), "float32"), np.zeros((rows, outputs)), 16)


def test_models_are_described():
    stack = [
        layers.Dense(7, activation="tanh"),
        layers.Dense(6),
        layers.Activation("relu"),
        layers.Dense(3, activation="softmax"),
    ]
    found = described(model_of(*stack, loss="sparse_categorical_crossentropy"))
    assert found.layers == ((7, "tanh"), (6, "relu"), (3, "softmax"))
    assert (found.inputs, found.rows, found.batch_size) == (5, 40, 16)
    assert (found.optimizer, found.loss, found.rate) == ("adam", "categorical_crossentropy", pytest.approx(0.001))
    assert "5-7-6-3" in found.title
    last = layers.Dense(3, activation="softmax")
    assert described(model_of(last, loss=losses.CategoricalCrossentropy())).loss == "categorical_crossentropy"
    assert described(model_of(layers.Dense(3), loss="mse")).loss == "mean_squared_error"
    momentum = optimizers.SGD(0.25, momentum=0.9)
    assert (described(model_of(layers.Dense(3), loss="mse", optimizer=momentum)).optimizer) == "momentum"
    assert described(model_of(layers.Dense(3), loss="mse", optimizer=optimizers.SGD(0.25))).rate == 0.25


@pytest.mark.parametrize(
    ("stack", "given", "said"),
    [
        ([layers.Dropout(0.5), layers.Dense(3, activation="softmax")], {}, "Dropout"),
        ([layers.Dense(3, activation="softmax", use_bias=False)], {}, "without a bias"),
        ([layers.Dense(3, activation="gelu"), layers.Dense(3, activation="softmax")], {}, "gelu"),
        ([layers.Activation("tanh"), layers.Dense(3, activation="softmax")], {}, "follows no linear Dense"),
        ([layers.Activation("linear")], {"loss": "mse"}, "at least one Dense"),
        ([layers.Dense(3)], {"loss": "mae"}, "mean_absolute_error"),
        ([layers.Dense(3)], {}, "expected softmax"),
        ([layers.Dense(3, activation="softmax")], {"loss": losses.CategoricalCrossentropy(label_smoothing=0.1)}, "with label_smoothing"),
        ([layers.Dense(3)], {"loss": "mse", "optimizer": "lion"}, "lion"),
        ([layers.Dense(3)], {"loss": "mse", "optimizer": optimizers.Adam(beta_1=0.5)}, "Adam with beta_1"),
        ([layers.Dense(3)], {"loss": "mse", "optimizer": optimizers.SGD(momentum=0.5)}, "SGD with a momentum of 0.5"),
    ],
)  # fmt: skip
def test_models_that_peers_have_not_are_refused(stack, given, said):
    with pytest.raises(UnsupportedError, match=said):
        described(model_of(*stack, **given))


def test_data_that_do_not_fit_are_refused():
    model = model_of(layers.Dense(3), loss="mse")
    with pytest.raises(UnsupportedError, match="rows of numbers"):
        workloads.from_model(model, np.zeros((4, 5, 1)), np.zeros((4, 3)), 2)
    with pytest.raises(ModelError, match="as many targets as the 4 rows, received 5"):
        workloads.from_model(model, np.zeros((4, 5)), np.zeros((5, 3)), 2)


# ------------------------------------------------------------------ peers


def losses_of(name, workload, epochs=2):
    peer = peers.PEERS[name]()
    peer.shuffle = False
    peer.prepare(workload, 1, "float32")
    return peer.run(epochs)


@pytest.mark.quick_c
@pytest.mark.parametrize("workload", VARIED, ids=named)
@pytest.mark.parametrize("name", ["NumPy", "JAX", "PyTorch"])
def test_losses_and_outputs_agree(name, workload):
    if not peers.PEERS[name].available():
        pytest.skip(f"{name} is not installed")
    ours, theirs = losses_of("nncompile", workload), losses_of(name, workload)
    # PyTorch adds Adam's epsilon behind the correction of the second moment, the others before it
    assert theirs == pytest.approx(ours, rel=2e-4 if name == "PyTorch" else 2e-5)
    assert ours[1] < ours[0]
    fresh, again = (peers.PEERS[n]() for n in ("nncompile", name))
    for peer in (fresh, again):
        peer.prepare(workload, 1, "float32")
    assert again.predict(again.x).shape == (workload.rows, workload.outputs)
    np.testing.assert_allclose(fresh.predict(fresh.x), again.predict(again.x), rtol=1e-5, atol=1e-6)


def test_order_is_the_same_for_all_and_new_every_epoch():
    orders = []
    for _ in range(2):
        peer = peers.NumPy()
        peer.prepare(SMALL, 1, "float32")
        orders.append([peer.order(), peer.order()])
    assert (np.array(orders[0]) == np.array(orders[1])).all()
    assert (orders[0][0] != orders[0][1]).any() and set(orders[0][0]) == set(range(SMALL.rows))
    peer.shuffle = False
    assert (peer.order() == np.arange(SMALL.rows)).all()


def test_long_inputs_are_cut():
    long = dataclasses.replace(SMALL, rows=2 * peers.CHUNK + 3)
    peer = peers.NumPy()
    peer.prepare(long, 1, "float32")
    whole = peer.predict(peer.x)
    np.testing.assert_allclose(whole[-3:], peer.predict(peer.x[-3:]), rtol=1e-6)


def test_peers_say_what_they_cannot():
    assert peers.ScikitLearn.refusal(T1) == "all its hidden layers have one activation"
    assert peers.ScikitLearn.refusal(T2) is None
    assert peers.PEERS["nncompile"].able("float32") and not peers.PEERS["NumPy"].able("bfloat16")
    assert not peers.PEERS["nncompile"].able("float16")


def test_memory_is_known():
    assert 10e6 < child.peak_bytes() < 100e9


def test_nothing_is_imported_by_import_nncompile():
    code = (
        "import sys, nncompile; bad = [m for m in sys.modules if m.startswith('nncompile.benchmark') "
        "or m.partition('.')[0] in ('jax', 'torch', 'keras', 'onnx', 'sklearn', 'matplotlib')]; sys.exit(str(bad) if bad else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    code = (
        "import sys, importlib.util; from nncompile.benchmark import peers, timing; [p.available() for p in peers.PEERS.values()]; "
        "bad = [m for m in sys.modules if m.partition('.')[0] in ('jax', 'torch', 'keras', 'onnx', 'sklearn')]; "
        "sys.exit(str(bad) if bad else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


# ------------------------------------------------------------------ processes


@pytest.fixture(scope="module")
def cpus():
    return timing.processors()


def test_child_prints_one_line_of_json(tmp_path):
    command = [
        sys.executable,
        "-m",
        "nncompile.benchmark.child",
        "--peer",
        "NumPy",
        "--workload",
        SMALL.to_json(),
        "--seconds",
        "0.01",
    ]
    root = Path(nncompile.__file__).parent.parent
    done = subprocess.run(command, capture_output=True, text=True, cwd=root)
    assert done.returncode == 0, done.stderr
    (line,) = done.stdout.splitlines()
    found = json.loads(line)
    assert (found["peer"], found["workload"], found["what"], found["threads"]) == ("NumPy", "small", "train", 1)
    assert found["version"] == np.__version__
    assert found["median"] > 0 and found["peak_bytes"] > 1e6 and found["runs"] >= 3
    assert len(found["losses"]) == 2 and set(found["percentiles"]) == {"p05", "p50", "p95", "p99"}


@pytest.mark.parametrize("what", ["train", "predict", "start", "losses", "compile"])
def test_children_measure(what, cpus, tmp_path):
    tmp_path.chmod(0o700)
    found = timing.run_child(Case("nncompile", SMALL, what=what), cpus, 0.01, cache=tmp_path)
    assert found["what"] == what and 0 <= found["disturbance"] <= 1
    if what in ("train", "predict", "compile"):
        assert found["median"] >= 0 and found["runs"] >= (1 if what == "compile" else 3)
    if what in ("train", "start"):
        assert 0 < found["start"] < 600
    if what == "losses":
        assert found["losses"] == pytest.approx(losses_of("NumPy", SMALL), rel=1e-5)
    if what == "compile":
        assert found["source_bytes"] > 1000
    assert any(tmp_path.iterdir()) or what == "predict"


def test_child_takes_the_data_of_its_user(cpus, tmp_path):
    (x, y), weights = SMALL.data(seed=7), SMALL.initial_weights(seed=8)
    named_arrays = {f"{'wb'[n]}{number}": a for number, pair in enumerate(weights) for n, a in enumerate(pair)}
    np.savez(tmp_path / "data.npz", x=x, y=y, **named_arrays)
    case = Case("NumPy", SMALL, what="losses")
    found = timing.run_child(case, cpus, 0.01, data=tmp_path / "data.npz")
    peer = peers.NumPy()
    peer.shuffle = False
    peer.prepare(SMALL, 1, "float32", (x, y), weights)
    assert found["losses"] == pytest.approx(peer.run(2), rel=1e-6)
    assert found["losses"] != pytest.approx(timing.run_child(case, cpus, 0.01)["losses"], rel=1e-3)


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no affinity here")
def test_processors_are_given_back(cpus):
    with timing.pinned(cpus[-1:]):
        assert timing.processors() == cpus[-1:]
    assert timing.processors() == cpus


def test_children_that_fail_say_why(cpus):
    with pytest.raises(RuntimeError, match="expected 10000 processors"):
        timing.run_child(Case("NumPy", SMALL, threads=10_000), cpus, 0.01)
    (found,) = timing.measure([Case("NumPy", SMALL, precision="bfloat16")], cpus, 2, 0.01, patience=0)
    assert found.failure == "it has no bfloat16" and not found.seconds
    missing = dataclasses.replace(SMALL, rows=4, batch_size=2)
    (found,) = timing.measure([Case("NumPy", missing)], cpus, 1, 0.01, data=Path("nothing.npz"), patience=0)
    assert found.failure is not None and "FileNotFoundError" in found.failure


def test_cases_are_measured_by_turns(monkeypatch, cpus):
    asked, disturbed = [], [0.5, 0.0]

    def run_child(case, cpus, seconds, cache=None, data=None):
        asked.append(case.peer)
        return {
            "version": "1", "median": 1.0, "percentiles": {"p99": 2.0}, "peak_bytes": 3, "start": 4.0, "losses": [5.0],
            "disturbance": disturbed.pop(0) if disturbed and case.peer == "B" else 0.0,
        }  # fmt: skip

    monkeypatch.setattr(timing, "run_child", run_child)
    monkeypatch.setattr(timing.time, "sleep", lambda seconds: None)
    said = []
    found = timing.measure([Case(name, SMALL) for name in "ABC"], cpus, 2, report=said.append)
    assert "".join(asked) == "ABBCABC"  # B was disturbed once, and repeated
    assert all(
        (f.median, f.start, f.tail, f.peak_bytes, len(f.seconds)) == (1.0, 4.0, [2.0, 2.0], [3, 3], 2) for f in found
    )
    assert [f.disturbance for f in found] == [[0.0, 0.0]] * 3
    assert len(said) == 6 and said[0].startswith("1/2 small train A float32 1 threads: 1 s")


def test_cases_are_of_what_is_installed():
    names = [case.peer for case in timing.cases_of(T1, "train", [1])]
    assert names[0] == "nncompile" and "NumPy" in names and "scikit-learn" not in names
    assert "nncompile predict" not in names and "PyTorch compile" not in names
    assert [case.threads for case in timing.cases_of(T4, "train", [1, 2], names=["NumPy"])] == [1, 2]
    assert timing.cases_of(T4, "train", [1], "bfloat16", names=["NumPy"]) == []
    with pytest.raises(ValueError, match="expected peers of nncompile, .*, received Theano"):
        timing.cases_of(T1, "train", [1], names=["Theano"])


@pytest.mark.parametrize("name", ["Keras on JAX", "ONNX Runtime", "LiteRT", "OpenVINO"])
def test_others_agree(name, cpus):
    """In processes of their own: they choose backends when they are imported, and start threads."""
    peer = peers.PEERS[name]
    if not peer.available():
        pytest.skip(f"{name} is not installed")
    reference = peers.NumPy()
    reference.prepare(SMALL, 1, "float32")
    outputs = timing.run_child(Case(name, SMALL, what="predict"), cpus, 0.01)["outputs"]
    assert outputs == pytest.approx(list(reference.predict(reference.x)[0]), rel=1e-5)
    if peer.trains:
        found = timing.run_child(Case(name, SMALL, what="losses"), cpus, 0.01)
        assert found["losses"] == pytest.approx(losses_of("nncompile", SMALL), rel=2e-5)


# ------------------------------------------------------------------ curves


def smooth(sizes):
    """A constant cost, one that follows the work, and a step where a cache is too small."""
    work = [2.0 * s * s for s in sizes]
    return work, [1e-4 + w / 1e11 * (1.2 if w > 1e6 else 1.0) for w in work]


def test_smooth_curves_have_no_cliffs():
    work, seconds = smooth(curves.WIDTHS)
    assert curves.cliffs(curves.WIDTHS, work, seconds) == []
    assert curves.cliffs([], [], []) == curves.cliffs([1], [1], [1]) == []


@pytest.mark.parametrize("size", [100, 500, 512, 2048])
def test_a_cliff_is_found(size):
    work, seconds = smooth(curves.WIDTHS)
    at = curves.WIDTHS.index(size)
    usual = seconds[at]
    seconds[at] *= 1.45
    (found,) = curves.cliffs(curves.WIDTHS, work, seconds)
    assert found.size == size and found.expected == pytest.approx(usual, rel=0.15)
    assert found.factor == pytest.approx(1.45, rel=0.15)


def test_two_cliffs_beside_each_other_are_found():
    work, seconds = smooth(curves.WIDTHS)
    for size in (500, 512):
        seconds[curves.WIDTHS.index(size)] *= 1.6
    assert [c.size for c in curves.cliffs(curves.WIDTHS, work, seconds)] == [500, 512]


def test_what_was_not_measured_is_no_cliff():
    work, seconds = smooth(curves.WIDTHS)
    seconds[3] = None
    assert curves.cliffs(curves.WIDTHS, work, seconds) == []


def test_curves_grow():
    for curve in curves.curves():
        sizes = [size for size, _ in curve.points]
        assert sizes == sorted(set(sizes))
        few = curve.thinned()
        assert set(few.points) < set(curve.points) and len(few.points) >= 3
    names = [curve.name for curve in curves.curves()]
    assert len(names) == len(set(names))


def test_a_suspect_is_measured_again(monkeypatch):
    curve = next(c for c in curves.curves() if c.name == "depth")
    rounds_asked = []

    def measure(cases, cpus, rounds, seconds, patience, report):
        rounds_asked.append((rounds, len(cases)))
        found = []
        for case in cases:
            slow = 2.0 if case.workload.name == "depth 8" and rounds == 1 else 1.0
            result = Measured(case, seconds=[slow * case.workload.flops_per_epoch / 1e10], source_bytes=7)
            found.append(result)
        return found

    monkeypatch.setattr(timing, "measure", measure)
    found = curves.measure(curve, [0], ["nncompile", "NumPy"], 1, 0.1, 0, lambda line: None)
    assert (2, 5) in rounds_asked  # depth 8 and two sizes on either side
    assert curves.cliffs(found["sizes"], found["work"], found["seconds"]["nncompile"]) == []
    assert found["source_bytes"] == [7] * len(curve.points) and found["failures"] == []


@pytest.mark.skipif(importlib.util.find_spec("matplotlib") is None, reason="matplotlib is not installed")
@pytest.mark.filterwarnings("ignore")
def test_curves_are_drawn(tmp_path):
    made = {curve.name: curve for curve in curves.curves()}
    found = {}
    for name in ("width", "build-depth"):
        sizes = [size for size, _ in made[name].points]
        found[name] = {
            "sizes": sizes, "work": [float(s) for s in sizes], "source_bytes": [1000] * len(sizes), "failures": [],
            "seconds": {"nncompile": [s / 100 for s in sizes], "JAX": [None, *(s / 50 for s in sizes[1:])]},
        }  # fmt: skip
    written = curves.draw(found, made, tmp_path, "here, today")
    assert [path.name for path in written] == ["cost.png", "compile.png"]
    assert all(path.stat().st_size > 1000 for path in written)


# ------------------------------------------------------------------ tables


def line(peer, seconds, threads=1, precision="float32", **more):
    return {
        "peer": peer, "version": "1.0", "threads": threads, "precision": precision, "cold": False, "seconds": seconds,
        "each": [seconds], "tail": seconds, "start": None, "losses": [2.0, 1.0], "peak_bytes": 50_000_000, "disturbance": 0.0,
        "failure": None, **more,
    }  # fmt: skip


@pytest.fixture
def results():
    return {
        "machine": {"cpu": "A processor", "vectors": ["avx2"], "processors": 2, "system": "Linux", "compiler": "cc 1.0"},
        "versions": {"nncompile": "0.1.0", "JAX": "0.10"},
        "dates": {"T1": "2026-01-02", "start": "2026-01-01"},
        "settings": {"rounds": 3, "seconds": 1.0},
        "size": {"nncompile": 80e6, "JAX": 540e6, "PyTorch": 700e6},
        "work": {
            "T1": [
                line("nncompile", 0.1), line("JAX", 0.2, peak_bytes=400_000_000), line("PyTorch", 0.3),
                line("NumPy", None, failure="it broke"),
                line("nncompile", 0.05, precision="bfloat16"), line("PyTorch", 0.25, precision="bfloat16"),
                line("nncompile", 0.06, 2), line("PyTorch", 0.12, 2, disturbance=0.5),
            ]
        },
        "predict": [line("nncompile predict", 1e-5), line("Keras on JAX", 1e-3)],
        "start": [
            line("nncompile", None, start=1.0, cold=True), line("JAX", None, start=1.5, cold=True),
            line("NumPy", None, start=0.1, cold=True),
        ],
        "losses": {"T1": [line("nncompile", None), line("JAX", None, losses=[2.0, 1.001])]},
        "curves": {
            "width": {
                "sizes": [16, 32, 64], "work": [1.0, 4.0, 16.0], "source_bytes": [1000, 1000, 2000], "failures": [],
                "seconds": {"nncompile": [1.0, 8.0, 16.0], "JAX": [1.0, 4.0, None]},
            }
        },
    }  # fmt: skip


def test_summary_compares_with_the_fastest(results):
    text = tables.summary(results)
    rows = [[cell.strip() for cell in row.strip("|").split("|")] for row in text]
    assert len({len(row) for row in rows}) == 1
    by = {(row[0][:2], row[1], row[2]): row[3:] for row in rows[2:]}
    assert by["T1", "float32", "1"] == ["100 ms", "JAX", "200 ms", "**2.00**"]
    assert by["T1", "float32", "2"] == ["60.0 ms", "PyTorch", "120 ms (d)", "**2.00**"]
    # who accepts bfloat16 could take the faster float32 of another
    assert by["T1", "bfloat16", "1"] == ["50.0 ms", "JAX, float32", "200 ms", "**4.00**"]
    assert next(row for row in rows if "`predict`" in row[0])[3:] == [
        "10.0 µs",
        "Keras on JAX",
        "1.00 ms",
        "**100.00**",
    ]
    assert next(row for row in rows if "nothing compiled" in row[0])[3:] == ["1.00 s", "JAX", "1.50 s", "**1.50**"]
    assert next(row for row in rows if "memory" in row[0])[3:] == ["50.0 MB", "PyTorch", "50.0 MB", "**1.00**"]
    assert next(row for row in rows if row[0].startswith("installed"))[3:] == ["80.0 MB", "JAX", "540 MB", "**6.75**"]


def test_everything_is_written(results):
    text = "\n".join(tables.complete(results))
    for said in ("A processor (avx2; processors used: 2)", "nncompile 0.1.0, JAX 0.10", "2026-01-01 to 2026-01-02", "failed: it broke",
                 "| T1 | apart | float32 | 0.001 |", "32 costs 2.00 times", "| 64 | 16.0 s | – | 2 KB |"):  # fmt: skip
        assert said in text
    assert tables.apart(results["losses"]["T1"]) == pytest.approx(0.001)


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(12.345, "12.3 s"), (0.1, "100 ms"), (0.00123, "1.23 ms"), (1.126e-6, "1.13 µs"), (2e-8, "20.0 ns"), (3e-10, "0.3 ns"),
     (None, "–"), (float("nan"), "–")],
)  # fmt: skip
def test_times_have_units(seconds, said):
    assert tables.duration(seconds) == said


def test_readme_is_rewritten_between_its_markers(results, tmp_path, monkeypatch, capsys):
    part = tables.readme_part(results, ["tests/benchmarks/results/cost.png"])
    text = f"# Title\n\n{tables.BEGIN}\nold\n{tables.END}\n\nThe end.\n"
    once = tables.rewrite(text, part)
    assert once.startswith("# Title\n") and once.endswith("\nThe end.\n") and "old" not in once
    assert "A processor" in once and "![cost against size](tests/benchmarks/results/cost.png)" in once
    assert "width 32 (2.00)" in once
    assert tables.rewrite(once, part) == once
    for wrong in ("no markers", tables.BEGIN, f"{tables.END} {tables.BEGIN}", text + text):
        with pytest.raises(ValueError, match="expected one"):
            tables.rewrite(wrong, part)


def test_script_measures_and_rewrites(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(run.Run, "_work", lambda self, name: [line("nncompile", 0.1), line("NumPy", 0.2)])
    readme = tmp_path / "README.md"
    readme.write_text(f"before\n{tables.BEGIN}\n{tables.END}\nafter\n")
    assert run.main(["--only", "T1,size", "--output", str(tmp_path / "out"), "--readme", str(readme), "--quick"]) == 0
    text = readme.read_text()
    assert "| T1: 784-500-500-10" in text and "| NumPy | 200 ms | **2.00** |" in text and text.endswith("after\n")
    assert "| installed" in text or not peers.PEERS["JAX"].available()
    assert "T1" in (tmp_path / "out" / "results.md").read_text()
    monkeypatch.setattr(run.Run, "_work", lambda self, name: [line("nncompile", 3.0)])
    assert run.main(["--only", "T2", "--output", str(tmp_path / "out"), "--quick"]) == 0
    kept = json.loads((tmp_path / "out" / "results.json").read_text())
    assert list(kept["work"]) == ["T1", "T2"] and kept["work"]["T1"][0]["seconds"] == 0.1  # the rest is kept
    assert set(kept["dates"]) == {"T1", "T2", "size"}
    for wrong in (["--only", "T9"], ["--peers", "Theano"]):
        with pytest.raises(SystemExit):
            run.main([*wrong, "--output", str(tmp_path / "out")])
    with pytest.raises(SystemExit):
        run.main(["--only", "", "--output", str(tmp_path / "none")])
    said = capsys.readouterr().err
    assert "expected sections of" in said and "there are no results" in said
    kept["machine"]["cpu"] = "Another one"
    (tmp_path / "out" / "results.json").write_text(json.dumps(kept))
    with pytest.raises(SystemExit, match="expected results of this machine"):
        run.main(["--only", "T2", "--output", str(tmp_path / "out")])


def test_installed_size():
    ours, names = installed.size_of(["nncompile"])
    assert {"nncompile", "numpy", "cffi"} <= set(names)
    numpy, _ = installed.size_of(["numpy"])
    assert 1e6 < numpy < ours < 200e6
    with pytest.raises(importlib.metadata.PackageNotFoundError):
        installed.size_of(["no-such-distribution"])
