"""fit, evaluate and predict: the same numbers as NumPy's, every sample once, and nothing done with bad arguments."""

from __future__ import annotations

import itertools
import os
import re
import signal
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from reference import float_type, roundings

import nncompile as nn
from nncompile import compiler, ops
from nncompile.errors import ModelError

pytestmark = pytest.mark.quick_c

ROWS, INPUTS, HIDDEN, CLASSES = 50, 4, 5, 3

X = np.random.default_rng(0).normal(size=(ROWS, INPUTS)).astype("float32")
LABELS = np.random.default_rng(1).integers(0, CLASSES, ROWS)
ONE_HOT = np.eye(CLASSES, dtype="float32")[LABELS]


def small(
    optimizer: Any = None, loss: Any = "sparse_categorical_crossentropy", metrics: Any = (), seed: int = 2
) -> Any:
    """A model with weights of its own seed. All have the same names, so that equal ones are built once."""
    model = nn.Sequential(
        [
            nn.Input((INPUTS,), name="input"),
            nn.layers.Dense(HIDDEN, activation="tanh", name="hidden"),
            nn.layers.Dense(CLASSES, activation="softmax", name="output"),
        ],
        name="small",
    )
    rng = np.random.default_rng(seed)
    model.set_weights([rng.normal(size=w.shape) / 2 for w in model.weights])
    model.compile(optimizer or nn.optimizers.SGD(0.5), loss, metrics=list(metrics))
    return model


def with_dropout() -> Any:
    model = nn.Sequential(
        [
            nn.Input((INPUTS,), name="input"),
            nn.layers.Dense(HIDDEN, activation="tanh", name="hidden"),
            nn.layers.Dropout(0.4, name="dropout"),
            nn.layers.Dense(CLASSES, activation="softmax", name="output"),
        ],
        name="dropped",
    )
    model.compile(nn.optimizers.SGD(0.5), "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def bits(model: Any) -> bytes:
    return b"".join(w.tobytes() for w in model.get_weights())


def child(script: str, *arguments: str, timeout: float = 60) -> str:
    """What a script prints in a new process."""
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments],
        cwd=Path(__file__).parent,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def product(y_true: Any, y_pred: Any) -> Any:
    """A loss whose gradient by the outputs is y."""
    return ops.mean(y_true * y_pred, axis=-1)


def one_weight_per_sample(samples: int) -> tuple[Any, Any]:
    """A model and its inputs: a step of SGD changes the weights of the samples of its batch, by 1 / their number."""
    layer = nn.layers.Dense(1, use_bias=False, kernel_initializer="zeros", name="only")
    model = nn.Sequential([nn.Input((samples,), name="input"), layer], name="per_sample")
    model.compile(nn.optimizers.SGD(1.0), product)
    return model, np.eye(samples, dtype="float32")


# ------------------------------------------------------------------ the same as NumPy


def gradients(model: Any, x: Any, y: Any) -> list[Any]:
    """Of the mean crossentropy of :func:`small`, by its weights."""
    hidden, output = model.layers
    h = np.asarray(hidden(x))
    p = np.asarray(output(h))
    delta = (p - y) / len(x)
    inner = (delta @ output.kernel.value.T) * (1 - h * h)
    return [x.T @ inner, inner.sum(0), h.T @ delta, delta.sum(0)]


@pytest.mark.parametrize("make", [
    lambda: nn.optimizers.SGD(0.3, momentum=0.9, nesterov=True),
    lambda: nn.optimizers.Adam(0.02, beta_1=0.8, weight_decay=0.01),
], ids=["SGD", "Adam"])  # fmt: skip
def test_training_is_a_loop_over_batches(make: Callable[[], Any]) -> None:
    with float_type("float64"):
        optimizer, model, other = make(), small(make(), "categorical_crossentropy", ["mae"]), small()
    x, y = X.astype("float64"), ONE_HOT.astype("float64")
    expected: dict[str, list[float]] = {"loss": [], "mae": []}
    for _ in range(3):
        losses, errors = [], []
        for start in range(0, ROWS, 8):  # the last batch has 2 rows
            rows = slice(start, start + 8)
            p = np.asarray(other.call(x[rows]))
            losses += list(-np.log((p * y[rows]).sum(1)))
            errors += list(np.abs(p - y[rows]).mean(1))
            optimizer.apply(gradients(other, x[rows], y[rows]), other.trainable_weights)
        expected["loss"].append(float(np.mean(losses)))
        expected["mae"].append(float(np.mean(errors)))
    history = model.fit(x, y, batch_size=8, epochs=3, shuffle=False, verbose=0)
    assert history is model.history
    assert history.epoch == [0, 1, 2]
    assert sorted(history.history) == sorted(expected)
    for name, values in expected.items():
        assert history.history[name] == pytest.approx(values, rel=1e-9)
    for mine, its in zip(model.get_weights(), other.get_weights(), strict=True):
        assert roundings(mine, its, "float64") < 2000
    assert int(model.optimizer.iterations) == int(optimizer.iterations) == 3 * 7
    for mine, its in zip(model.optimizer.variables[2:], optimizer.variables[2:], strict=True):
        assert np.allclose(mine.value, its.value, rtol=1e-9, atol=1e-14)


def test_single_batches() -> None:
    model, other = small(metrics=["accuracy"]), small()
    p = np.asarray(other.call(X))
    loss, accuracy = float(-np.log(p[np.arange(ROWS), LABELS]).mean()), float((p.argmax(1) == LABELS).mean())
    assert model.test_on_batch(X, LABELS) == pytest.approx([loss, accuracy], rel=1e-5)
    by_name = pytest.approx({"loss": loss, "accuracy": accuracy}, rel=1e-5)
    assert model.test_on_batch(X, LABELS, return_dict=True) == by_name
    assert int(model.optimizer.iterations) == 0
    assert model.train_on_batch(X, LABELS) == pytest.approx([loss, accuracy], rel=1e-5)  # before the update
    other.optimizer.apply(gradients(other, X, ONE_HOT), other.trainable_weights)
    for mine, its in zip(model.get_weights(), other.get_weights(), strict=True):
        assert roundings(mine, its) < 20
    assert int(model.optimizer.iterations) == 1
    assert set(model.train_on_batch(X[:1], LABELS[:1], return_dict=True)) == {"loss", "accuracy"}
    one = model.predict_on_batch(X)
    assert one.shape == (ROWS, CLASSES)
    assert one.dtype == np.float32
    assert np.array_equal(one, model.predict(X, verbose=0))
    assert roundings(one, model.call(X)) < 20


def test_single_batches_without_metrics_give_numbers() -> None:
    model = small()
    assert isinstance(model.train_on_batch(X, LABELS), float)
    assert isinstance(model.test_on_batch(X, LABELS), float)
    assert isinstance(model.evaluate(X, LABELS, verbose=0), float)


def test_evaluate_returns_a_list_or_a_dict() -> None:
    model = small(metrics=["accuracy"])
    values = model.evaluate(X, LABELS, batch_size=7, verbose=0)
    assert model.evaluate(X, LABELS, verbose=0, return_dict=True) == pytest.approx(
        dict(zip(model.metrics_names, values, strict=True)), rel=1e-6
    )
    assert model.metrics_names == ["loss", "accuracy"]
    assert int(model.optimizer.iterations) == 0


@pytest.mark.parametrize("rows", [1, 7, 239, 240, 241, 500])
def test_any_number_of_rows_is_predicted(rows: int) -> None:
    model = small()
    x = np.random.default_rng(rows).normal(size=(rows, INPUTS)).astype("float32")
    expected = np.asarray(model.call(x))
    for batch in (None, 1, 32, 1000):
        assert roundings(model.predict(x, batch_size=batch, verbose=0), expected) < 20


# ------------------------------------------------------------------ data

INTEGERS = np.random.default_rng(3).integers(0, 2, (ROWS, INPUTS))
TYPES = ["bool", "uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64", "float16", "float32",
         "float64", "longdouble", ">f4", ">i2"]  # fmt: skip


@pytest.fixture(scope="module")
def trained() -> Callable[..., bytes]:
    """The weights after an epoch, from the same start; one model for all types of data."""
    models = {loss: small(loss=loss) for loss in ("sparse_categorical_crossentropy", "categorical_crossentropy")}
    start = small().get_weights()

    def run(x: Any, y: Any, loss: str = "sparse_categorical_crossentropy") -> bytes:
        model = models[loss]
        model.set_weights(start)
        model.fit(x, y, batch_size=8, shuffle=False, verbose=0)
        assert len(model._libraries) == 1
        return bits(model)

    return run


@pytest.mark.parametrize("dtype", TYPES)
def test_types_of_data(dtype: str, trained: Callable[..., bytes]) -> None:
    expected = trained(INTEGERS.astype("float32"), LABELS)
    assert trained(INTEGERS.astype(dtype), LABELS) == expected
    dense = "categorical_crossentropy"
    assert trained(X, ONE_HOT.astype(dtype), dense) == trained(X, ONE_HOT, dense)
    if dtype != "bool":
        assert trained(X, LABELS.astype(dtype)) == trained(X, LABELS)


def test_float64_is_rounded_as_numpy_does(trained: Callable[..., bytes]) -> None:
    x = np.random.default_rng(4).normal(size=X.shape)
    assert trained(x, LABELS) == trained(x.astype("float32"), LABELS)


@pytest.mark.parametrize("change", [
    np.asfortranarray,
    lambda a: np.repeat(a, 2, axis=0)[::2],
    lambda a: np.repeat(a, 3, axis=-1)[..., ::3] if a.ndim > 1 else np.repeat(a, 3)[::3],
    lambda a: a[::-1].copy()[::-1],
    lambda a: a.tolist(),
    lambda a: tuple(a.tolist()),
    lambda a: [a] if a.ndim > 1 else a,
], ids=["fortran", "every second row", "every third column", "backwards", "list", "tuple", "list of one"])  # fmt: skip
def test_forms_of_data(change: Callable[[Any], Any], trained: Callable[..., bytes]) -> None:
    assert trained(change(X), change(LABELS)) == trained(X, LABELS)
    dense = "categorical_crossentropy"
    assert trained(change(X), change(ONE_HOT), dense) == trained(X, ONE_HOT, dense)
    assert trained(X, LABELS[:, None]) == trained(X, LABELS)


@pytest.mark.parametrize("dtype", ["float32", "uint8"])
def test_memory_mapped_files_are_read_in_place(
    dtype: str, tmp_path: Path, trained: Callable[..., bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    np.save(tmp_path / "x.npy", INTEGERS.astype(dtype))
    np.save(tmp_path / "y.npy", LABELS)
    x, y = np.load(tmp_path / "x.npy", mmap_mode="r"), np.load(tmp_path / "y.npy", mmap_mode="r")
    expected = trained(INTEGERS, LABELS)
    given = []
    samples = compiler.Library.samples

    def watched(library: Any, *arrays: Any) -> Any:
        given.append(arrays[:2])
        return samples(library, *arrays)

    monkeypatch.setattr(compiler.Library, "samples", watched)
    assert trained(x, y) == expected
    assert given
    for (used_x,), (used_y,) in given:
        assert used_x.ctypes.data == x.ctypes.data
        assert used_y.ctypes.data == y.ctypes.data


MEMORY = """
import resource, sys, tracemalloc
import numpy as np
import nncompile as nn
folder, kind = sys.argv[1:]
rows, columns = 100_000, 500
x = np.lib.format.open_memmap(f"{folder}/x.npy", "w+", "uint8", (rows, columns))
y = np.lib.format.open_memmap(f"{folder}/y.npy", "w+", "uint8", (rows,))
y[:] = np.arange(rows) % 3
del x, y
x = np.load(f"{folder}/x.npy", mmap_mode="r" if kind == "memmap" else None)
y = np.load(f"{folder}/y.npy", mmap_mode="r" if kind == "memmap" else None)
model = nn.Sequential([nn.Input((columns,)), nn.layers.Dense(3, activation="softmax")])
model.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"])
few = slice(0, 64)
model.fit(x[few], y[few], verbose=0, validation_split=0.5)
model.evaluate(x[few], y[few], verbose=0)
model.predict(x[few], verbose=0)
tracemalloc.start()
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss if kind == "array" else 0)
model.fit(x, y, batch_size=1000, epochs=2, verbose=0, validation_split=0.1)
model.evaluate(x, y, verbose=0)
model.test_on_batch(x[:9000], y[:9000])
model.predict(x, verbose=0)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss if kind == "array" else 0)
print(tracemalloc.get_traced_memory()[1])
"""


@pytest.mark.parametrize("kind", ["array", "memmap"])
def test_data_are_never_copied_whole(kind: str, tmp_path: Path) -> None:
    """50 MB of uint8 would be 200 MB of float32; orders, predictions and what work is done in take some MB."""
    before, after, peak = map(int, child(MEMORY, str(tmp_path), kind).split())
    assert peak < 10e6
    assert (after - before) * 1024 < 20e6


SPARSE = """
import sys
import numpy as np
import nncompile as nn
path, rows, columns = sys.argv[1], 300_000, 1000  # 300 MB of zeros that take no room on the disk
with open(path, "wb") as file:
    file.truncate(rows * columns)
x, y = np.memmap(path, "uint8", "r", shape=(rows, columns)), np.zeros(rows, "uint8")
model = nn.Sequential([nn.Input((columns,)), nn.layers.Dense(3, activation="softmax")])
model.compile("sgd", "sparse_categorical_crossentropy")
few = slice(0, 64)
model.fit(x[few], y[few], verbose=0, sample_weight=y[few])
def own():
    \"\"\"Memory that is the process's own, the pages of the file apart.\"\"\"
    lines = dict(line.split(":") for line in open("/proc/self/status"))
    return int(lines["RssAnon"].split()[0])
before = own()
model.fit(x, y, batch_size=1000, steps_per_epoch=40, verbose=0, sample_weight=np.broadcast_to(np.float32(1), (rows,)))
def batches():
    for first in range(0, 50_000, 1000):
        yield x[first : first + 1000], y[first : first + 1000]
model.compile("sgd", "sparse_categorical_crossentropy")
model.fit(batches(), verbose=0)
model.predict(x, batch_size=1000, steps=40, verbose=0)
print(own() - before)
"""


@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="asks Linux how much memory is whose")
def test_a_file_larger_than_its_use_is_read_in_place(tmp_path: Path) -> None:
    """Of 300 MB nothing is kept: there are an order and a weight for each row, 4 MB, and what work is done in."""
    assert int(child(SPARSE, str(tmp_path / "x"))) < 25_000


def test_data_are_not_changed(trained: Callable[..., bytes]) -> None:
    x, y = X.copy(), LABELS.copy()
    x.flags.writeable = y.flags.writeable = False
    trained(x, y)
    assert np.array_equal(x, X)
    assert np.array_equal(y, LABELS)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_numbers_that_are_none_stay_in_their_row(bad: float) -> None:
    model = small(metrics=["accuracy"])
    x = X.copy()
    x[7, 2] = bad
    rest = np.arange(ROWS) != 7
    with np.errstate(invalid="ignore"):
        expected = np.asarray(model.call(x))
    got = model.predict(x, verbose=0)
    assert roundings(got[rest], expected[rest]) < 20
    assert roundings(got[7], expected[7]) < 20  # NaN where NumPy has NaN
    assert np.isnan(got[7]).all() == np.isnan(bad)
    model.fit(x, LABELS, batch_size=ROWS, verbose=0)
    assert all(np.isnan(w).any() for w in model.get_weights()) or not np.isnan(bad)


# ------------------------------------------------------------------ the order of samples


@pytest.mark.parametrize("shuffle", [True, False, "batch"])
def test_every_sample_once_and_a_short_last_batch(shuffle: Any) -> None:
    model, x = one_weight_per_sample(10)
    y = np.ones(10)
    lasts = []
    for _ in range(6):
        before = model.get_weights()[0].ravel()
        model.fit(x, y, batch_size=4, shuffle=shuffle, verbose=0)
        change = before - model.get_weights()[0].ravel()
        assert sorted(change) == [0.25] * 8 + [0.5] * 2
        lasts.append(tuple(np.flatnonzero(change == 0.5)))
    assert int(model.optimizer.iterations) == 18
    assert (set(lasts) == {(8, 9)}) == (shuffle is not True)


def test_orders_of_samples() -> None:
    """The learning rate is halved with each batch, so that a weight tells the number of its batch."""
    model, x = one_weight_per_sample(12)

    class Halve(nn.callbacks.Callback):
        def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
            self.model.optimizer.learning_rate = 2.0**-batch

    def numbers(shuffle: Any, batch: int) -> list[int]:
        model.set_weights([np.zeros((12, 1))])
        model.fit(x, np.ones(12), batch_size=batch, shuffle=shuffle, verbose=0, callbacks=[Halve()])
        return [int(n) for n in np.round(-np.log2(-model.get_weights()[0].ravel() * batch))]

    assert numbers(False, 1) == list(range(12))
    assert numbers(False, 5)[:10] == [0] * 5 + [1] * 5
    assert numbers("batch", 4) == [0] * 4 + [1] * 4 + [2] * 4
    orders = [tuple(numbers(True, 1)) for _ in range(4)]
    assert all(sorted(order) == list(range(12)) for order in orders)
    assert len(set(orders)) == 4
    assert len(model._libraries) == 1


# ------------------------------------------------------------------ the same bits again

REPEATED = """
import hashlib, sys
import numpy as np
import nncompile as nn
from test_training import LABELS, X, bits, with_dropout
nn.utils.set_random_seed(11)
model = with_dropout()
model.fit(X, LABELS, batch_size=8, epochs=3, verbose=0)
print(hashlib.sha256(bits(model)).hexdigest())
"""


class EveryBatch(nn.callbacks.Callback):
    """Makes the loop come back after each batch, and uses the model there."""

    def __init__(self, use: bool = False) -> None:
        super().__init__()
        self.use = use
        self.logs: list[Any] = []

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self.logs.append(dict(logs))
        if self.use:
            self.model.predict(X[:3], verbose=0)
            self.model.set_weights(self.model.get_weights())


@pytest.mark.quick_c(False)  # bits are compared with those of another process
def test_a_seed_repeats_a_run() -> None:
    import hashlib

    def run(seed: int = 11, callbacks: Any = None) -> tuple[bytes, Any]:
        nn.utils.set_random_seed(seed)
        model = with_dropout()
        history = model.fit(X, LABELS, batch_size=8, epochs=3, verbose=0, callbacks=callbacks)
        return bits(model), history.history

    first = run()
    assert run() == first
    watched = EveryBatch()
    assert run(callbacks=[watched]) == first
    assert run(callbacks=[EveryBatch(use=True)]) == first
    assert run(12)[0] != first[0]
    assert len(watched.logs) == 3 * 7
    assert watched.logs[-1] == {name: values[-1] for name, values in first[1].items()}
    assert child(REPEATED).strip() == hashlib.sha256(first[0]).hexdigest()


@pytest.mark.parametrize("shuffle", [True, False, "batch"])
@pytest.mark.parametrize("batch", [1, 7, 49, 100])
def test_epochs_in_one_call_of_c_or_in_several(shuffle: Any, batch: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody can tell that nobody listened: the same weights, history, number of updates and random numbers after it."""
    together: list[int] = []
    train_epochs = compiler.Library.train_epochs

    def watched(library: Any, *arguments: Any) -> Any:
        together.append(arguments[-1])
        return train_epochs(library, *arguments)

    monkeypatch.setattr(compiler.Library, "train_epochs", watched)

    def run(callbacks: Any) -> Any:
        nn.utils.set_random_seed(4)
        model = with_dropout()
        made = model.fit(X, LABELS, batch_size=batch, epochs=20, shuffle=shuffle, verbose=0, callbacks=callbacks)
        return bits(model), made.history, made.epoch, int(model.optimizer.iterations), nn.random.uniform((2,)).tolist()

    silent = run([nn.callbacks.History()])
    assert bool(together) == (shuffle != "batch")
    assert not together or sum(together) >= 10
    assert silent == run(None)
    together.clear()
    assert silent == run([nn.callbacks.Callback()])
    assert silent == run([EveryBatch()])
    assert not together


def test_epochs_are_told_one_by_one_if_someone_listens() -> None:
    model, seen = small(), []
    model.fit(X, LABELS, epochs=5, verbose=0)

    class Stop(nn.callbacks.Callback):
        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            seen.append((epoch, int(self.model.optimizer.iterations)))
            self.model.stop_training = epoch == 2

    model.fit(X, LABELS, batch_size=10, epochs=50, verbose=0, callbacks=[Stop()])
    assert seen == [(0, 15), (1, 20), (2, 25)]
    history = nn.callbacks.History()
    history.on_epoch_begin = lambda epoch, logs=None: seen.append(epoch)  # type: ignore[method-assign]
    model.fit(X, LABELS, epochs=3, verbose=0, callbacks=[history])
    assert seen[3:] == [0, 1, 2]


def test_epochs_in_one_fit_or_in_several() -> None:
    one, several = small(nn.optimizers.Adam(0.01)), small(nn.optimizers.Adam(0.01))
    one.fit(X, LABELS, epochs=3, shuffle=False, verbose=0)
    for _ in range(3):
        several.fit(X, LABELS, shuffle=False, verbose=0)
    assert bits(one) == bits(several)


# ------------------------------------------------------------------ dropout


def test_dropout() -> None:
    columns, rate = 400, 0.25
    nn.utils.set_random_seed(5)
    model = nn.Sequential(
        [
            nn.Input((columns,), name="input"),
            nn.layers.Dropout(rate, name="dropout"),
            nn.layers.Dense(1, use_bias=False, kernel_initializer="zeros", name="only"),
        ],
        name="noisy",
    )
    model.compile(nn.optimizers.SGD(1.0), product)
    x, steps = np.ones((2, columns), "float32"), []
    for _ in range(50):
        model.set_weights([np.zeros((columns, 1))])
        model.train_on_batch(x, [2.0, 128.0])  # the change is -(first + 64 * second) / (1 - rate)
        change = -model.get_weights()[0].ravel() * (1 - rate)
        assert np.allclose(change, np.round(change), atol=1e-4)
        steps.append(np.stack([np.round(change) % 64, np.round(change) // 64]))
    kept = np.array(steps)  # steps, rows, columns
    assert set(np.unique(kept)) == {0.0, 1.0}
    assert kept.mean() == pytest.approx(1 - rate, abs=5 * np.sqrt(rate * (1 - rate) / kept.size))
    spread = 5 * np.sqrt(rate * (1 - rate))
    assert np.abs(kept.mean(axis=0) - (1 - rate)).max() < spread / np.sqrt(50)
    assert np.abs(kept.mean(axis=2) - (1 - rate)).max() < spread / np.sqrt(columns)
    assert len(np.unique(kept.reshape(100, columns), axis=0)) == 100  # steps and rows
    assert len(np.unique(kept.reshape(100, columns), axis=1).T) == columns
    # neither between rows, nor between neighbours, nor between steps there is a connection
    centred = kept - (1 - rate)
    for a, b in (
        (centred[:, 0], centred[:, 1]),
        (centred[..., 1:], centred[..., :-1]),
        (centred[..., 16:], centred[..., :-16]),
        (centred[1:], centred[:-1]),
        (centred[1:, :, 1:], centred[:-1, :, :-1]),
    ):
        assert abs((a * b).mean()) < 5 * rate * (1 - rate) / np.sqrt(a.size)
    # and none of it outside of training
    weights = np.random.default_rng(6).normal(size=(columns, 1))
    model.set_weights([weights])
    assert model.predict(x, verbose=0) == pytest.approx(np.full((2, 1), weights.sum()), rel=1e-4)
    assert model.evaluate(x, [1.0, 1.0], verbose=0) == pytest.approx(weights.sum(), rel=1e-4)


def test_dropout_of_two_layers_differs() -> None:
    nn.utils.set_random_seed(7)
    model = nn.Sequential(
        [
            nn.Input((400,), name="input"),
            nn.layers.Dropout(0.5, name="first"),
            nn.layers.Dropout(0.5, name="second"),
            nn.layers.Dense(1, use_bias=False, kernel_initializer="zeros", name="only"),
        ],
        name="twice",
    )
    model.compile(nn.optimizers.SGD(1.0), product)
    shares = []
    for _ in range(30):
        model.set_weights([np.zeros((400, 1))])
        model.train_on_batch(np.ones((1, 400)), [1.0])
        change = -model.get_weights()[0]
        assert set(np.unique(change)) == {0.0, 4.0}
        shares.append((change == 4).mean())
    assert np.mean(shares) == pytest.approx(0.25, abs=5 * np.sqrt(0.25 * 0.75 / 12000))


# ------------------------------------------------------------------ epochs, validation, printing


def test_no_epochs() -> None:
    model = small()
    before = bits(model)
    for arguments in ({"epochs": 0}, {"epochs": 2, "initial_epoch": 2}, {"epochs": 2, "initial_epoch": 5}):
        history = model.fit(X, LABELS, verbose=0, **arguments)
        assert (history.epoch, history.history) == ([], {})
    assert bits(model) == before
    assert int(model.optimizer.iterations) == 0
    assert not model._libraries


def test_initial_epoch() -> None:
    model = small()
    begun: list[int] = []
    watch = nn.callbacks.LambdaCallback(on_epoch_begin=lambda epoch, logs=None: begun.append(epoch))
    history = model.fit(X, LABELS, epochs=5, initial_epoch=3, verbose=0, callbacks=[watch])
    assert begun == history.epoch == [3, 4]
    assert int(model.optimizer.iterations) == 4


def test_validation_split_is_the_tail() -> None:
    split, given = small(metrics=["accuracy"]), small(metrics=["accuracy"])
    nn.utils.set_random_seed(1)
    one = split.fit(X, LABELS, validation_split=0.3, epochs=2, verbose=0)
    nn.utils.set_random_seed(1)
    two = given.fit(X[:35], LABELS[:35], validation_data=(X[35:], LABELS[35:]), epochs=2, verbose=0)
    assert one.history == two.history
    assert list(one.history) == ["accuracy", "loss", "val_accuracy", "val_loss"]
    assert bits(split) == bits(given)
    measured = given.evaluate(X[35:], LABELS[35:], verbose=0, return_dict=True)
    assert measured == {k: two.history[f"val_{k}"][-1] for k in measured}


def test_validation_does_not_change_training() -> None:
    model, other = small(nn.optimizers.Adam(0.01)), small(nn.optimizers.Adam(0.01))
    model.fit(X, LABELS, epochs=2, shuffle=False, verbose=0)
    held = [X[:9], LABELS[:9]]
    other.fit(X, LABELS, epochs=2, shuffle=False, verbose=0, validation_data=held, validation_batch_size=2)
    assert bits(model) == bits(other)


@pytest.mark.parametrize(
    ("frequency", "epochs"), [(1, [1, 2, 3, 4]), (2, [2, 4]), (5, []), ([1, 4], [1, 4]), ((3,), [3]), ([], [])]
)
def test_validation_frequency(frequency: Any, epochs: list[int]) -> None:
    model, done = small(), []

    class Watch(nn.callbacks.Callback):
        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            self.epoch = epoch + 1

        def on_test_begin(self, logs: Any = None) -> None:
            done.append(self.epoch)

    history = model.fit(X, LABELS, epochs=4, validation_data=(X, LABELS), validation_freq=frequency, verbose=0,
                        callbacks=[Watch()])  # fmt: skip
    assert done == epochs
    assert len(history.history.get("val_loss", [])) == len(epochs)
    assert len(history.history["loss"]) == 4


@pytest.mark.parametrize("verbose", [0, 1, 2, "auto", True, False])
def test_what_is_printed(verbose: Any, capfd: pytest.CaptureFixture[str]) -> None:
    model = small(metrics=["accuracy"])
    model.fit(X, LABELS, epochs=2, validation_split=0.2, verbose=verbose)
    model.evaluate(X, LABELS, verbose=verbose)
    model.predict(X, verbose=verbose)
    out, err = capfd.readouterr()
    assert err == ""
    if not verbose:
        assert out == ""
        return
    lines = out.splitlines()
    assert [line for line in lines if line.startswith("Epoch")] == ["Epoch 1/2", "Epoch 2/2"]
    assert sum("val_accuracy: " in line and "val_loss: " in line and "2/2" in line for line in lines) == 2
    assert len(lines) == 6
    assert any("━" in line for line in lines) == (verbose != 2)


def test_batches_need_not_be_watched_for_the_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    """The bar hears of many batches at a time: C is not left for each."""
    model, calls = small(), []
    train = compiler.Library.train
    monkeypatch.setattr(compiler.Library, "train", lambda self, *a: (calls.append(a[2]), train(self, *a)))
    model.fit(np.tile(X, (40, 1)), np.tile(LABELS, 40), batch_size=1, verbose=0)
    assert sum(calls) == 40 * ROWS
    assert len(calls) < 20 * ROWS


# ------------------------------------------------------------------ callbacks

HOOKS = [f"on_{kind}{what}_{when}" for kind in ("train", "test", "predict") for what in ("", "_batch")
         for when in ("begin", "end")] + ["on_epoch_begin", "on_epoch_end"]  # fmt: skip


def recorder(base: Any) -> tuple[Any, list[Any]]:
    """A callback of all hooks, and what they were called with."""
    calls: list[Any] = []

    def make(hook: str) -> Any:
        def called(self: Any, *arguments: Any, logs: Any = None) -> None:
            if arguments and (arguments[-1] is None or isinstance(arguments[-1], dict)):
                *arguments, logs = arguments
            names = sorted(logs or {}) if hook.endswith("end") else []
            calls.append((hook, *(int(a) for a in arguments), *names))

        return called

    return type("Recorder", (base,), {hook: make(hook) for hook in HOOKS})(), calls


def use_all(library: Any, model: Any, callback: Any) -> Any:
    model.fit(X, LABELS, batch_size=20, epochs=3, validation_data=(X[:20], LABELS[:20]), validation_freq=2,
              validation_batch_size=15, callbacks=[callback], verbose=0)  # fmt: skip
    seen = [dict(callback.params)]
    model.evaluate(X, LABELS, batch_size=25, callbacks=[callback], verbose=0)
    seen.append(dict(callback.params))
    model.predict(X, batch_size=30, callbacks=[callback], verbose=0)
    return [*seen, dict(callback.params), callback.model is model]


def test_hooks_are_called_as_in_keras() -> None:
    from oracle import keras

    theirs = keras.Sequential([keras.Input((INPUTS,)), keras.layers.Dense(CLASSES, activation="softmax")])
    theirs.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"])
    keras_callback, expected = recorder(keras.callbacks.Callback)
    params = use_all(keras, theirs, keras_callback)
    mine, calls = recorder(nn.callbacks.Callback)
    assert use_all(nn, small(metrics=["accuracy"]), mine) == params
    assert calls == expected


def test_early_stopping() -> None:
    model = small(nn.optimizers.SGD(0.0))  # it does not get better
    stop = nn.callbacks.EarlyStopping(monitor="val_loss", patience=2)
    history = model.fit(X, LABELS, epochs=20, verbose=0, validation_split=0.2, callbacks=[stop])
    assert history.epoch == [0, 1, 2]
    assert stop.stopped_epoch == 2
    assert model.stop_training
    assert model.fit(X, LABELS, epochs=2, verbose=0).epoch == [0, 1]  # the next is not stopped


def test_early_stopping_restores_the_best() -> None:
    model, best = small(nn.optimizers.SGD(0.1)), {}

    def worsen(epoch: int, logs: Any = None) -> None:
        if epoch == 1:
            best["weights"] = bits(model)
            model.optimizer.learning_rate = -2.0

    stop = nn.callbacks.EarlyStopping(monitor="val_loss", patience=1, restore_best_weights=True)
    watch = nn.callbacks.LambdaCallback(on_epoch_end=worsen)
    history = model.fit(X, LABELS, epochs=20, verbose=0, validation_data=(X, LABELS), callbacks=[stop, watch])
    assert len(history.epoch) == 3
    assert bits(model) == best["weights"]


def test_stopping_after_a_batch() -> None:
    model = small()

    class Stop(nn.callbacks.Callback):
        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            self.model.stop_training = batch == 1

    history = model.fit(X, LABELS, batch_size=8, epochs=5, verbose=0, callbacks=[Stop()])
    assert history.epoch == [0]
    assert int(model.optimizer.iterations) == 2


def test_an_error_in_a_callback_leaves_the_model_usable() -> None:
    model = small(nn.optimizers.Adam(0.01))

    def fail(batch: int, logs: Any = None) -> None:
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        model.fit(X, LABELS, verbose=0, callbacks=[nn.callbacks.LambdaCallback(on_train_batch_end=fail)])
    assert int(model.optimizer.iterations) == 1
    model.fit(X, LABELS, verbose=0)
    assert int(model.optimizer.iterations) == 3


# ------------------------------------------------------------------ settings between batches


def entries() -> set[str]:
    return {p.name for p in Path(os.environ["NNCOMPILE_CACHE_DIR"]).iterdir()}


def test_numbers_of_the_optimizer_change_without_a_build() -> None:
    with float_type("float64"):
        optimizer, other = nn.optimizers.Adam(0.01), nn.optimizers.Adam(0.01)
        model, copy = small(optimizer, "categorical_crossentropy"), small()
    x, y = X.astype("float64"), ONE_HOT.astype("float64")
    model.fit(x, y, batch_size=ROWS, verbose=0)
    built = entries()

    def change(o: Any, epoch: int) -> None:
        o.learning_rate = 0.1 / (epoch + 1)
        o.beta_1 = 0.5 + epoch / 20
        o.epsilon = 1e-3

    watch = nn.callbacks.LambdaCallback(on_epoch_begin=lambda epoch, logs=None: change(optimizer, epoch))
    model.fit(x, y, batch_size=ROWS, epochs=3, verbose=0, callbacks=[watch])
    change(optimizer, 5)
    model.train_on_batch(x, y)
    for epoch in (None, 0, 1, 2, 5):
        if epoch is not None:
            change(other, epoch)
        other.apply(gradients(copy, x, y), copy.trainable_weights)
    for mine, its in zip(model.get_weights(), copy.get_weights(), strict=True):
        assert roundings(mine, its, "float64") < 2000
    assert entries() == built
    assert len(model._libraries) == 1


def test_learning_rate_scheduler() -> None:
    model, x = one_weight_per_sample(4)
    model.fit(x, np.ones(4), batch_size=1, epochs=3, verbose=0,
              callbacks=[nn.callbacks.LearningRateScheduler(lambda epoch, rate: 10.0**-epoch)])  # fmt: skip
    assert model.get_weights()[0].ravel() == pytest.approx([-1.11] * 4, rel=1e-6)
    assert model.history.history["learning_rate"] == pytest.approx([1, 0.1, 0.01])


def test_weights_are_read_and_set_in_between() -> None:
    model, x = one_weight_per_sample(4)
    model.fit(x, np.ones(4), batch_size=1, verbose=0)
    first = model.get_weights()
    assert first[0].ravel().tolist() == [-1.0] * 4
    first[0][:] = 7  # a copy: the model's stay
    assert model.get_weights()[0].ravel().tolist() == [-1.0] * 4
    model.set_weights([np.arange(4.0)[:, None]])
    assert model.predict(x, verbose=0).ravel().tolist() == [0, 1, 2, 3]
    model.fit(x, np.ones(4), batch_size=1, verbose=0)
    assert model.get_weights()[0].ravel().tolist() == [-1, 0, 1, 2]
    model.layers[0].kernel.assign(np.full((4, 1), 5.0))
    assert model.predict(x, verbose=0).ravel().tolist() == [5.0] * 4
    assert np.asarray(model.call(x)).ravel().tolist() == [5.0] * 4


def test_frozen_layers_stay() -> None:
    model = small(nn.optimizers.Adam(0.01, weight_decay=0.1))
    model.layers[0].trainable = False
    model.compile(nn.optimizers.Adam(0.01, weight_decay=0.1), model.loss)
    before = model.get_weights()
    model.fit(X, LABELS, epochs=2, verbose=0)
    after = model.get_weights()
    assert [a.tobytes() == b.tobytes() for a, b in zip(before, after, strict=True)] == [True, True, False, False]
    # now it learns as well; the optimizer has nothing kept for it
    model.layers[0].trainable = True
    with pytest.raises(ModelError, match="not one of the 2 variables that the optimizer was built with"):
        model.fit(X, LABELS, verbose=0)
    assert np.array_equal(model.predict(X, verbose=0), model.predict(X, verbose=0))
    assert bits(model) == b"".join(w.tobytes() for w in after)
    model.compile(nn.optimizers.Adam(0.01), model.loss)
    model.fit(X, LABELS, verbose=0)
    assert not any(a.tobytes() == b.tobytes() for a, b in zip(after, model.get_weights(), strict=True))


def test_an_optimizer_of_another_model_is_refused() -> None:
    optimizer = nn.optimizers.Adam(0.01)
    one, two = small(optimizer), small(optimizer)
    one.fit(X, LABELS, verbose=0)
    before = bits(two)
    with pytest.raises(ModelError, match="Make a new optimizer"):
        two.fit(X, LABELS, verbose=0)
    assert bits(two) == before
    assert roundings(two.predict(X, verbose=0), two(X)) < 20


def test_a_model_without_trainable_weights() -> None:
    model = small()
    model.trainable = False
    model.compile("adam", "sparse_categorical_crossentropy")
    before = bits(model)
    history = model.fit(X, LABELS, verbose=0)
    assert bits(model) == before
    assert history.history["loss"][0] == pytest.approx(model.evaluate(X, LABELS, verbose=0), rel=1e-5)


def test_a_shared_layer_trains_in_both_models() -> None:
    shared = nn.layers.Dense(HIDDEN, activation="tanh", name="shared")
    models = []
    for name in ("one", "two"):
        head = nn.layers.Dense(CLASSES, activation="softmax", name=f"head_{name}")
        model = nn.Sequential([nn.Input((INPUTS,), name="input"), shared, head], name=name)
        model.compile(nn.optimizers.SGD(0.5, momentum=0.9), "categorical_crossentropy")
        models.append(model)
    copies = [small(), small()]
    optimizers = [nn.optimizers.SGD(0.5, momentum=0.9) for _ in copies]
    for copy, model in zip(copies, models, strict=True):
        copy.set_weights(model.get_weights())
    for turn in range(6):
        now = turn % 2
        models[now].fit(X, ONE_HOT, batch_size=ROWS, verbose=0)
        optimizers[now].apply(gradients(copies[now], X, ONE_HOT), copies[now].trainable_weights)
        copies[1 - now].layers[0].set_weights(copies[now].layers[0].get_weights())
        for copy, model in zip(copies, models, strict=True):
            assert roundings(model.predict(X, verbose=0), copy(X)) < 100
            assert np.array_equal(model.get_weights()[0], shared.kernel.value)


@pytest.mark.parametrize("first", ["fit", "evaluate", "predict", "train_on_batch", "test_on_batch", "predict_on_batch"])
def test_a_model_is_built_by_its_first_data(first: str) -> None:
    model = nn.Sequential([nn.layers.Dense(CLASSES, activation="softmax", name="only")], name="unbuilt")
    model.compile("sgd", "sparse_categorical_crossentropy")
    assert not model.built
    data = (X,) if "predict" in first else (X, LABELS)
    getattr(model, first)(*data, **({} if "batch" in first else {"verbose": 0}))
    assert model.built
    assert [w.shape for w in model.weights] == [(INPUTS, CLASSES), (CLASSES,)]
    with pytest.raises(ModelError, match=r"only \(Dense\): expected \(batch, 4\), received \(batch, 3\)"):
        model.predict(X[:, :3], verbose=0)


def test_data_that_do_not_fit_the_target_build_nothing_in_c() -> None:
    model = nn.Sequential([nn.layers.Dense(CLASSES, name="only")], name="unbuilt")
    model.compile("sgd", "mse")
    with pytest.raises(ModelError, match=r"mean_squared_error expected \(batch, 3\)"):
        model.fit(X, LABELS)
    assert not model._libraries


# ------------------------------------------------------------------ threads, processes, Ctrl-C


def test_models_in_threads() -> None:
    def run(seed: int) -> bytes:
        model = small(nn.optimizers.Adam(0.01), seed=seed)
        model.fit(np.tile(X, (20, 1)), np.tile(LABELS, 20), epochs=10, batch_size=3, shuffle=False, verbose=0)
        return bits(model)

    alone = [run(seed) for seed in range(2)]
    found: dict[int, bytes] = {}
    threads = [threading.Thread(target=lambda s=s: found.__setitem__(s, run(s))) for s in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert [found[seed] for seed in range(2)] == alone


def test_a_library_is_used_by_one_thread_at_a_time() -> None:
    model = small()
    model.fit(X, LABELS, verbose=0)
    expected = model.predict(np.tile(X, (100, 1)), verbose=0)
    wrong: list[int] = []

    def use() -> None:
        for rows in (1, 50, 1000, 5000, 77):
            if not np.allclose(model.predict(np.tile(X, (100, 1))[:rows], verbose=0), expected[:rows], atol=1e-6):
                wrong.append(rows)

    threads = [threading.Thread(target=use) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not wrong


FORK = """
import os, sys
import numpy as np
from test_training import LABELS, X, bits, small
model, other = small(), small()
for m in (model, other):
    m.fit(X, LABELS, shuffle=False, verbose=0)
before = bits(model)
pid = os.fork()
if pid == 0:
    model.fit(X, LABELS, epochs=2, shuffle=False, verbose=0)
    other.fit(X, LABELS, epochs=2, shuffle=False, verbose=0)
    same = bits(model) == bits(other) and bits(model) != before and np.isfinite(model.predict(X, verbose=0)).all()
    os._exit(0 if same else 1)
assert os.waitpid(pid, 0)[1] == 0
assert bits(model) == before
model.fit(X, LABELS, verbose=0)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
def test_training_after_a_fork() -> None:
    child(FORK)


INTERRUPTED = """
import signal, sys, time
import numpy as np
import nncompile as nn
from test_training import CLASSES, INPUTS, LABELS, X, small
signal.signal(signal.SIGINT, signal.default_int_handler)
model = small(nn.optimizers.Adam(0.001))
x, y = np.tile(X, (20000, 1)), np.tile(LABELS, 20000)
def begun(epoch, logs=None):
    if epoch == 1:
        print("ready", flush=True)
try:
    model.fit(x, y, batch_size=int(sys.argv[1]), epochs=100000, verbose=0,
              callbacks=[nn.callbacks.LambdaCallback(on_epoch_begin=begun)])
except KeyboardInterrupt:
    print(time.time(), flush=True)
else:
    sys.exit("not interrupted")
done = int(model.optimizer.iterations)
assert done > 0
assert all(np.isfinite(w).all() for w in model.get_weights())
assert np.allclose(model.predict(X, verbose=0), model.call(X), atol=1e-5)
model.fit(X, LABELS, batch_size=10, verbose=0)
assert int(model.optimizer.iterations) == done + 5
print("usable")
"""


@pytest.mark.parametrize("batch", [32, 100_000])
def test_ctrl_c_ends_a_fit_at_once(batch: int) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", INTERRUPTED, str(batch)], cwd=Path(__file__).parent, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == "ready\n"
        time.sleep(0.2)  # amid an epoch
        sent = time.time()
        process.send_signal(signal.SIGINT)
        came = float(process.stdout.readline())
        assert process.stdout.readline() == "usable\n"
        assert process.wait(30) == 0
    finally:
        process.kill()
        process.stdout.close()
        process.wait()
    assert came - sent < 0.5


# ------------------------------------------------------------------ what is refused


@pytest.fixture(scope="module")
def model() -> Any:
    made = small(nn.optimizers.Adam(0.01), metrics=["accuracy"])
    made.fit(X, LABELS, verbose=0)
    return made


@pytest.fixture
def unchanged(model: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The model, of which nothing may run or change."""

    def runs(*_: Any) -> None:
        raise AssertionError("C was run")

    for name in ("train", "evaluate", "predict"):
        monkeypatch.setattr(compiler.Library, name, runs)
    before = bits(model), int(model.optimizer.iterations), [v.value.tobytes() for v in model.optimizer.variables]
    yield model
    after = bits(model), int(model.optimizer.iterations), [v.value.tobytes() for v in model.optimizer.variables]
    assert after == before


def wrong_label(value: Any, row: int = 13) -> Any:
    labels = LABELS.astype("float64")
    labels[row] = value
    return labels


BAD_DATA = [
    (X[:, :3], LABELS, r"hidden \(Dense\): expected \(batch, 4\), received \(batch, 3\)"),
    (X[0], LABELS[:1], r"hidden \(Dense\): expected \(batch, 4\), received \(batch,\)\. This is one row: use x\[None"),
    (X.T, LABELS[:4], r"received \(batch, 50\)\. Rows are along the first axis: use x\.T"),
    (X.reshape(ROWS, 2, 2), LABELS, r"\(batch, 2, 2\)\. Put Flatten\(\) before it, or use x\.reshape\(len\(x\), 4\)"),
    (X, LABELS[:49], r"as many rows in y as in x, which has 50, received 49"),
    (X, ONE_HOT, r"sparse_categorical_crossentropy expected \(batch,\), received \(batch, 3\)\. This looks one-hot"),
    (X, np.zeros((ROWS, 2)), r"sparse_categorical_crossentropy expected \(batch,\), received \(batch, 2\)"),
    (X, wrong_label(3), r"labels from 0 to 2, .* received 3\.0 in row 13\. .*y - 1"),
    (X, wrong_label(-1), r"labels from 0 to 2, .* received -1\.0 in row 13"),
    (X, wrong_label(77), r"labels from 0 to 2, .* received 77\.0 in row 13"),
    (X, wrong_label(0.5), r"received 0\.5 in row 13\. Labels are whole numbers"),
    (X, wrong_label(np.nan), r"received nan in row 13"),
    (X, wrong_label(np.inf), r"received inf in row 13"),
    (X, LABELS - 1, r"received -1 in row"),
    (X[:0], LABELS[:0], r"x: expected at least one row, received none"),
    (X, LABELS[:0], r"y: expected at least one row, received shape \(0,\)"),
    ([], [], r"x: expected at least one row, received none"),
    (np.float32(3), LABELS, r"x: expected rows along the first axis, received the number"),
    (None, LABELS, r"x: expected an array, received None"),
    (X, None, r"y: expected an array, received None"),
    (X.astype(str), LABELS, r"x: expected an array of numbers, received ndarray of dtype <U"),
    (X.astype(object), LABELS, r"x: expected an array of numbers, received ndarray of dtype object"),
    (X.astype(complex), LABELS, r"x: expected an array of numbers, received ndarray of dtype complex128"),
    (X, LABELS.astype("M8[D]"), r"y: expected an array of numbers, received ndarray of dtype datetime64"),
    (X, ["cat"] * ROWS, r"y: expected an array of numbers, received list of dtype <U3\. Number the words"),
    ([[1, 2, 3, 4], [1, 2]], [0, 1], r"x: expected an array, received list, of which NumPy makes none"),
    (np.ma.masked_array(X, X > 0), LABELS, r"x: expected numbers everywhere, received a masked array"),
]  # fmt: skip


@pytest.mark.parametrize("method", ["fit", "evaluate", "train_on_batch", "test_on_batch"])
@pytest.mark.parametrize(("x", "y", "message"), BAD_DATA, ids=[f"{i}" for i in range(len(BAD_DATA))])
def test_bad_data(method: str, x: Any, y: Any, message: str, unchanged: Any) -> None:
    with pytest.raises(ModelError, match=message):
        getattr(unchanged, method)(x, y)
    if method == "fit" and x is not None and y is not None:
        with pytest.raises(ModelError, match=message):
            unchanged.fit(X, LABELS, validation_data=(x, y))


@pytest.mark.parametrize("method", ["predict", "predict_on_batch"])
@pytest.mark.parametrize(("x", "message"), [(x, m) for x, y, m in BAD_DATA if x is not X])
def test_bad_inputs(method: str, x: Any, message: str, unchanged: Any) -> None:
    with pytest.raises(ModelError, match=message):
        getattr(unchanged, method)(x)


@pytest.mark.parametrize(("loss", "units", "y", "message"), [
    ("mse", 3, LABELS, r"mean_squared_error expected \(batch, 3\), as the model's output, received \(batch,\)"),
    ("mse", 1, ONE_HOT, r"expected \(batch, 1\), .* received \(batch, 3\)\. End the model with Dense\(3\)"),
    ("categorical_crossentropy", 3, LABELS, r"received \(batch,\)\. For labels use sparse_categorical_crossentropy"),
    ("binary_crossentropy", 2, LABELS % 2, r"received \(batch,\)\. For labels 0 and 1 end the model with Dense\(1\)"),
    ("sparse_categorical_crossentropy", 1, LABELS, r"labels from 0 to 0, as the model has 1 outputs"),
    (nn.losses.MeanSquaredError(reduction=None), 3, ONE_HOT, r"reduction=None has no single number to minimise"),
])  # fmt: skip
def test_targets_that_do_not_fit_the_loss(loss: Any, units: int, y: Any, message: str) -> None:
    made = nn.Sequential([nn.Input((INPUTS,)), nn.layers.Dense(units)])
    made.compile("sgd", loss)
    before = bits(made)
    with pytest.raises(ModelError, match=message):
        made.fit(X, y)
    assert bits(made) == before
    assert not made._libraries


@pytest.mark.parametrize(("arguments", "message"), [
    *(({name: value}, rf"expected batch_size to be a whole number from 1, received {re.escape(repr(value))}")
      for name, value in itertools.product(["batch_size"], [0, -1, 2.5, 8.0, True, False, "8", np.float32(4)])),
    *(({"validation_data": (X, LABELS), "validation_batch_size": value}, "expected batch_size to be a whole number")
      for value in (0, -3, True)),
    *(({name: value}, rf"{name}: expected a whole number, 0 or more, received {re.escape(repr(value))}")
      for name, value in itertools.product(["epochs", "initial_epoch"], [-1, 1.0, True, None, "2"])),
    ({"verbose": 3}, "verbose: expected 'auto', 0, 1 or 2, received 3"),
    ({"verbose": "yes"}, "verbose: expected 'auto', 0, 1 or 2, received 'yes'"),
    ({"shuffle": "epoch"}, "expected shuffle to be True, False or 'batch', received 'epoch'"),
    ({"validation_split": 1.0}, "expected validation_split to be between 0 and 1, received 1.0"),
    ({"validation_split": -0.1}, "expected validation_split to be between 0 and 1"),
    ({"validation_split": 0.999}, "expected rows for both parts"),
    ({"validation_split": "half"}, "expected validation_split to be between 0 and 1"),
    ({"validation_data": X}, r"validation_data: expected \(x, y\), \(x, y, sample_weight\) or .*, received ndarray"),
    ({"validation_data": (X,)}, r"validation_data: y: expected an array, received None"),
    ({"validation_data": (X, LABELS, LABELS, LABELS)}, r"validation_data: expected .*, received 4 things"),
    ({"validation_data": (X, LABELS, LABELS[1:])}, r"validation_data: sample_weight: expected as many .* received 49"),
    *(({name: value}, rf"{name}: expected a whole number from 1, received {re.escape(repr(value))}")
      for name, value in itertools.product(["steps_per_epoch"], [0, -1, 2.5, True, "2"])),
    ({"validation_data": (X, LABELS), "validation_steps": 0}, "validation_steps: expected a whole number from 1"),
    ({"class_weight": [1.0, 2.0]}, r"class_weight: expected a dict of class numbers to weights, received \[1.0, 2.0\]"),
    ({"class_weight": {"a": 1.0}}, "class_weight: expected class numbers as keys, received 'a'"),
    ({"class_weight": {0: "big"}}, "class_weight: expected a number as the weight of class 0, received 'big'"),
    ({"class_weight": {0: 2.0}, "sample_weight": LABELS}, "expected class_weight or sample_weight, received both"),
    ({"sample_weight": LABELS[1:]}, "sample_weight: expected as many weights as rows in x, which has 50, received 49"),
    ({"sample_weight": "heavy"}, "sample_weight: "),
    ({"sample_weight": {"a": LABELS, "b": LABELS}}, "sample_weight: expected the structure of y, a single array"),
    ({"validation_freq": 0}, "validation_freq: expected a positive number or a list, received 0"),
    ({"validation_freq": True}, "validation_freq: expected a positive number"),
    ({"validation_freq": 1.5}, "validation_freq: expected a positive number"),
    ({"callbacks": [3]}, "callbacks: expected Callback objects, received 3"),
    ({"callbacks": [nn.callbacks.EarlyStopping]}, "callbacks: "),
])  # fmt: skip
def test_bad_arguments_of_fit(arguments: dict[str, Any], message: str, unchanged: Any) -> None:
    with pytest.raises(ModelError, match=message):
        unchanged.fit(X, LABELS, **arguments)


@pytest.mark.parametrize("value", [0, -1, 2.5, True])
def test_bad_batch_sizes(value: Any, unchanged: Any) -> None:
    for method, data in (("evaluate", (X, LABELS)), ("predict", (X,))):
        with pytest.raises(ModelError, match="expected batch_size to be a whole number from 1"):
            getattr(unchanged, method)(*data, batch_size=value)


@pytest.mark.parametrize(("method", "argument", "hint"), [
    ("fit", "epoch", "Did you mean 'epochs'"), ("fit", "batchsize", "Did you mean 'batch_size'"),
    ("fit", "valdation_data", "Did you mean 'validation_data'"), ("fit", "zzz", None),
    ("evaluate", "batchsize", "Did you mean 'batch_size'"), ("predict", "verbos", "Did you mean 'verbose'"),
    ("compile", "metrice", "Did you mean 'metrics'"), ("compile", "los", "Did you mean 'loss'"),
])  # fmt: skip
def test_misspelled_arguments(method: str, argument: str, hint: str | None, unchanged: Any) -> None:
    data = {"fit": (X, LABELS), "evaluate": (X, LABELS), "predict": (X,), "compile": ("sgd",)}[method]
    with pytest.raises(TypeError, match=rf"{method}\(\) got an unexpected keyword argument '{argument}'") as caught:
        getattr(unchanged, method)(*data, **{argument: 1})
    assert (hint is None and "Did you" not in str(caught.value)) or (hint or "") in str(caught.value)


@pytest.mark.parametrize(("arguments", "message"), [
    ({"optimizer": "adm"}, "optimizers: unknown name 'adm'. Did you mean 'Adam'"),
    ({"loss": "mean_square_error"}, "losses: unknown name 'mean_square_error'. Did you mean 'mean_squared_error'"),
    ({"metrics": ["acuracy"]}, "metrics: unknown name 'acuracy'. Did you mean 'Accuracy'"),
    ({"metrics": ["acc", "zzzzzz"]}, "metrics: unknown name 'zzzzzz'.$"),
    ({"metrics": "mae"}, r"metrics: expected a list, received 'mae'. Write metrics=\['mae'\]"),
    ({"optimizer": 3}, "optimizers: expected a name or an Optimizer, received 3"),
    ({"loss": 3}, "losses: expected a name, a function or a Loss, received 3"),
    ({"metrics": [3]}, "metrics: expected a name, a function or a Metric, received 3"),
    ({"loss": ["mse", "mae"]}, "expected one loss"),
    ({"steps_per_execution": 0}, "steps_per_execution: expected a whole number from 1, received 0"),
    ({"loss_weights": 2}, r"loss_weights: expected a float, or a list or dict .*, received 2. Write 2.0"),
    ({"loss_weights": ["a"]}, "loss_weights: expected numbers, received 'a'"),
    ({"loss_weights": [1.0, 2.0]}, "loss_weights: expected as many as there are losses, 1, received 2"),
    ({"loss": {"putput": "mse"}}, "loss: expected names of the outputs, 'output', received 'putput'. Did you mean"),
    ({"loss": {}}, "loss: expected one for each of the outputs 'output', received nothing: 'output' is missing"),
    ({"weighted_metrics": "mae"}, r"weighted_metrics: expected a list, received 'mae'"),
    ({"weighted_metrics": ["zzzzzz"]}, "metrics: unknown name 'zzzzzz'"),
    ({"jit_compile": "always"}, "jit_compile: expected True, False or 'auto', received 'always'"),
])  # fmt: skip
def test_bad_arguments_of_compile(arguments: dict[str, Any], message: str, unchanged: Any) -> None:
    with pytest.raises(ModelError, match=message):
        unchanged.compile(**arguments)
    assert isinstance(unchanged.optimizer, nn.optimizers.Adam)
    assert unchanged.loss == "sparse_categorical_crossentropy"


def test_unknown_activations() -> None:
    with pytest.raises(ModelError, match=r"activations: unknown name 'rellu'\. Did you mean 'relu'"):
        nn.layers.Dense(3, activation="rellu")


def test_training_needs_compile() -> None:
    made = nn.Sequential([nn.Input((INPUTS,)), nn.layers.Dense(CLASSES)])
    for method in ("fit", "evaluate", "train_on_batch", "test_on_batch"):
        with pytest.raises(ModelError, match=rf"{method}\(\) needs to know how to train\. Call compile"):
            getattr(made, method)(X, LABELS)
    assert made.predict(X, verbose=0).shape == (ROWS, CLASSES)  # this does not
    made.compile("sgd")
    for method in ("fit", "evaluate", "train_on_batch", "test_on_batch"):
        with pytest.raises(ModelError, match=rf"{method}\(\) needs a loss"):
            getattr(made, method)(X, LABELS)
    made.compile(None, "mse")
    for method in ("fit", "train_on_batch"):
        with pytest.raises(ModelError, match=rf"{method}\(\) needs an optimizer"):
            getattr(made, method)(X, ONE_HOT)
    expected = float(np.mean((np.asarray(made(X)) - ONE_HOT) ** 2))
    assert made.evaluate(X, ONE_HOT, verbose=0) == pytest.approx(expected, rel=1e-5)


# ------------------------------------------------------------------ the spelling of Keras 1


def test_nb_epoch() -> None:
    made = small()
    with pytest.warns(DeprecationWarning) as caught:
        history = made.fit(X, LABELS, nb_epoch=3, verbose=0)
    assert len(caught) == 1
    assert re.search(r"fit: 'nb_epoch' is the spelling of Keras 1 or 2; use 'epochs'", str(caught[0].message))
    assert caught[0].filename == __file__
    assert history.epoch == [0, 1, 2]
    with pytest.raises(TypeError, match="fit got both 'nb_epoch' and 'epochs'"):
        made.fit(X, LABELS, nb_epoch=3, epochs=2, verbose=0)
    assert int(made.optimizer.iterations) == 6


def test_a_script_of_keras_1_trains_as_one_of_keras_3() -> None:
    rng = np.random.default_rng(8)
    images, digits = rng.random((60, 28 * 28)), np.eye(10)[rng.integers(0, 10, 60)]

    nn.utils.set_random_seed(9)
    old = nn.Sequential(name="digits")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        old.add(nn.layers.Dense(input_dim=28 * 28, output_dim=20, name="first"))
        old.add(nn.layers.Activation("sigmoid", name="second"))
        old.add(nn.layers.Dense(output_dim=10, name="third"))
        old.add(nn.layers.Activation("sigmoid", name="fourth"))
        old.compile(loss="mse", optimizer=nn.optimizers.SGD(lr=0.5), metrics=["accuracy"])
        past = old.fit(images, digits, batch_size=16, nb_epoch=2, verbose=0)
    named = sorted(re.findall(r"'(\w+)' is the spelling", " ".join(str(w.message) for w in caught)))
    assert named == ["input_dim", "lr", "nb_epoch", "output_dim", "output_dim"]
    assert {w.category for w in caught} == {DeprecationWarning}
    assert {w.filename for w in caught} == {__file__}

    nn.utils.set_random_seed(9)
    new = nn.Sequential(
        [
            nn.Input((784,), name="input"),
            nn.layers.Dense(20, activation="sigmoid", name="first"),
            nn.layers.Dense(10, activation="sigmoid", name="third"),
        ],
        name="digits",
    )
    new.compile(nn.optimizers.SGD(learning_rate=0.5), "mse", metrics=["accuracy"])
    present = new.fit(images, digits, batch_size=16, epochs=2, verbose=0)
    assert bits(old) == bits(new)
    assert past.history == present.history
