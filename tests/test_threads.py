"""Threads: the same bits for any number of them, and processes and threads of the user's around them."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from reference import every_form, forms

import nncompile as nn
from nncompile import targets
from nncompile.errors import ModelError


@pytest.fixture(autouse=True)
def default_threads() -> Iterator[None]:
    yield
    targets.set_threads(None)
    targets.set_host(None)


def network(optimizer: Any = "adam", widths: tuple[int, ...] = (300, 70, 10), rate: float = 0.25) -> Any:
    """A network whose steps are long enough to be shared out."""
    nn.utils.set_random_seed(3)
    first, *_, last = widths
    layers = [nn.Input((200,)), nn.layers.Dense(first, "sigmoid"), nn.layers.Dropout(rate)]
    layers += [nn.layers.Dense(n, "relu") for n in widths[1:-1]]
    model = nn.Sequential([*layers, nn.layers.Dense(last, "softmax")])
    model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def data(rows: int = 700) -> tuple[Any, Any]:
    rng = np.random.default_rng(1)
    return rng.normal(size=(rows, 200)).astype("float32"), rng.integers(0, 10, rows)


def trained(threads: int, batch_size: int, **more: Any) -> list[Any]:
    """Everything that training, evaluation and prediction gave, and the optimizer's numbers."""
    nn.config.set_num_threads(threads)
    model, (x, y) = network(**more), data()
    history = model.fit(x, y, batch_size=batch_size, epochs=2, verbose=0).history
    made = [np.array([history["loss"], history["accuracy"]]), np.array(model.evaluate(x, y, verbose=0))]
    return [*made, model.predict(x, verbose=0), *model.get_weights(), *(v.numpy() for v in model.optimizer.variables)]


def assert_same_bits(a: list[Any], b: list[Any]) -> None:
    assert len(a) == len(b)
    for one, other in zip(a, b, strict=True):
        assert one.dtype == other.dtype and one.tobytes() == other.tobytes()


@pytest.mark.parametrize("target", every_form())
@pytest.mark.parametrize("batch_size", [1, 97, 700])
def test_same_bits_for_any_number_of_threads(target: str, batch_size: int) -> None:
    if batch_size == 1 and target != forms()[0]:
        pytest.skip("one row on the best target is enough: it has no kernels of its own for others")
    targets.set_host(target)
    widths = (300, 70, 10) if batch_size != 1 else (2000, 700, 10)
    one = trained(1, batch_size, widths=widths) if batch_size != 1 else trained_rows(1)
    for threads in (2, 3, 5):
        assert_same_bits(one, trained(threads, batch_size, widths=widths) if batch_size != 1 else trained_rows(threads))


@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16", "bfloat16_6x"])
@pytest.mark.parametrize("target", every_form())
def test_threads_that_take_samples_through_the_network_apart(target: str, policy: str) -> None:
    """The same bits in the same places, also where the batches do not come out even, for two inputs and two outputs."""
    targets.set_host(target)
    nn.utils.set_random_seed(4)
    a, b = nn.Input((70,)), nn.Input((30,))
    dtype = policy if policy == "mixed_bfloat16" else None
    joined = nn.layers.Concatenate()([nn.layers.Dense(90, "relu", dtype=dtype)(a), b])
    normal = nn.layers.LayerNormalization()(joined)
    outs = [nn.layers.Dense(33, "softmax", dtype=dtype)(normal), nn.layers.Dense(1)(normal)]
    rng = np.random.default_rng(2)
    x = [rng.normal(size=(5000, n)).astype("float32") for n in (70, 30)]
    if policy == "bfloat16_6x":
        nn.config.set_matmul_precision(policy)
    try:
        model = nn.Model([a, b], outs)
        for rows in (719, 720, 721, 1201, 5000):
            part = [of[:rows] for of in x]
            nn.config.set_num_threads(1)
            one = model.predict(part, verbose=0, batch_size=rows)
            assert [len(y) for y in one] == [rows, rows] and np.ptp(one[0]) > 0
            for threads in (2, 3, 5):
                nn.config.set_num_threads(threads)
                assert_same_bits(one, model.predict(part, verbose=0, batch_size=rows))
    finally:
        nn.config.set_matmul_precision("float32")


def trained_rows(threads: int) -> list[Any]:
    """A few updates of one row each, of layers so wide that even these are shared out."""
    nn.config.set_num_threads(threads)
    model, (x, y) = network("sgd", (2500, 1500, 10)), data(20)
    model.fit(x, y, batch_size=1, epochs=1, verbose=0)
    return [model.predict(x[:1], verbose=0), *model.get_weights()]


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
@pytest.mark.parametrize("target", every_form())
def test_one_row_gives_the_gradient_of_the_row_twice(target: str, optimizer: str) -> None:
    """Gradients of single rows are computed by kernels of their own."""
    targets.set_host(target)
    x, y = data(8)
    results = []
    for times in (1, 2):
        model = network(optimizer, widths=(37, 21, 10), rate=0.0)
        model.fit(x.repeat(times, axis=0), y.repeat(times), batch_size=times, epochs=2, shuffle=False, verbose=0)
        results.append(model.get_weights())
    for one, two in zip(*results, strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-4, atol=2e-5)


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "nadam"])
@pytest.mark.parametrize("rate", [0.0, 0.3])
def test_updates_of_rows_may_wait(optimizer: str, rate: float) -> None:
    """With one row per batch an update waits for the next row, unless the call ends: the bits are the same."""
    x, y = data(7)
    results, sums = [], []
    for pieces in ([7], [1] * 7, [3, 4]):
        model = network(optimizer, widths=(37, 21, 10), rate=rate)
        first, total = 0, 0.0
        for n in pieces:
            history = model.fit(x[first : first + n], y[first : first + n], batch_size=1, shuffle=False, verbose=0)
            total += history.history["loss"][0] * n
            first += n
        results.append([*model.get_weights(), *(v.numpy() for v in model.optimizer.variables)])
        sums.append(total)
    assert_same_bits(results[0], results[1])
    assert_same_bits(results[0], results[2])
    np.testing.assert_allclose(sums, sums[0], rtol=1e-6)


def test_frozen_layers_do_not_wait() -> None:
    """A network with a frozen layer takes the other way, to the same weights."""
    x, y = data(9)
    made = []
    for frozen in (False, True):
        model = network("sgd", widths=(37, 21, 10), rate=0.0)
        if frozen:
            model.layers[0].trainable = False
            model.compile("sgd", "sparse_categorical_crossentropy")
        before = model.get_weights()
        model.fit(x, y, batch_size=1, shuffle=False, verbose=0)
        same = [np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True)]
        made.append(same)
    assert made == [[False] * 6, [True, True, *[False] * 4]]


@pytest.mark.parametrize("rows", [1, 2, 13, 100])
@pytest.mark.parametrize("target", every_form())
def test_error_of_products(target: str, rows: int) -> None:
    """Within K eps of the sum of sizes, as every chain of K multiplications and additions is."""
    targets.set_host(target)
    rng = np.random.default_rng(rows)
    for inputs, outputs in ((1, 1), (7, 33), (300, 48), (1100, 17)):
        x = (rng.normal(size=(rows, inputs)) * 10.0 ** rng.integers(-3, 4, inputs)).astype("float32")
        model = nn.Sequential([nn.Input((inputs,)), nn.layers.Dense(outputs, use_bias=False)])
        (kernel,) = model.get_weights()
        made = model.predict(x, batch_size=rows, verbose=0)
        exact = x.astype("float64") @ kernel.astype("float64")
        sizes = np.abs(x).astype("float64") @ np.abs(kernel).astype("float64")
        assert np.all(np.abs(made - exact) <= (inputs + 1) * np.finfo("float32").eps * sizes)


def test_small_numbers_fade_to_zero() -> None:
    """Moments of weights without gradient never become denormal numbers, over which processors are slow."""
    model, (x, y) = network(rate=0.0), data()
    x[:, 0] = 0  # the weights of this input get a gradient of 0
    model.fit(x[:50], y[:50], batch_size=50, epochs=1, verbose=0)
    tiny = np.finfo("float32").tiny
    for v in model.optimizer.variables:
        if v.shape == (200, 300):
            v.assign(np.full(v.shape, tiny, "float32"))
    model.fit(x, y, batch_size=50, epochs=3, verbose=0)
    for v in model.optimizer.variables:
        values = np.abs(v.numpy())
        assert not np.any((values > 0) & (values < tiny)), v.path
    assert np.float32(tiny) / np.float32(4) > 0, "Python's own arithmetic is as it was"


# ------------------------------------------------------------------ processes and threads around it


FORKING = """
import os, numpy as np, nncompile as nn
nn.config.set_num_threads(2)
nn.utils.set_random_seed(3)
rng = np.random.default_rng(1)
x, y = rng.normal(size=(700, 200)).astype("float32"), rng.integers(0, 10, 700)
model = nn.Sequential([nn.Input((200,)), nn.layers.Dense(300, "relu"), nn.layers.Dense(10, "softmax")])
model.compile("adam", "sparse_categorical_crossentropy")
model.fit(x, y, batch_size=350, verbose=0, shuffle=False)  # the parent has threads now
child = os.fork()
model.fit(x, y, batch_size=350, verbose=0, shuffle=False)  # both go on, each with its own
made = b"".join(w.tobytes() for w in model.get_weights())
if not child:
    with open("child", "wb") as file:
        file.write(made)
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
with open("child", "rb") as file:
    assert file.read() == made, "the child trained otherwise"
print("the same")
"""


def test_child_after_fork_has_its_own_threads(tmp_path: Path) -> None:
    if not hasattr(os, "fork"):
        pytest.skip("no fork here")
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", FORKING]  # newer Pythons warn of threads
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout == "the same\n"


def test_new_process() -> None:
    program = (
        "import numpy as np, nncompile as nn\n"
        "model = nn.Sequential([nn.Input((300,)), nn.layers.Dense(400), nn.layers.Dense(3)])\n"
        "model.compile('sgd', 'mse')\n"
        "model.fit(np.zeros((300, 300), 'float32'), np.zeros((300, 3), 'float32'), batch_size=100, verbose=0)\n"
        "print(nn.config.num_threads())\n"
    )
    env = {**os.environ, "NNCOMPILE_NUM_THREADS": "3"}
    ran = subprocess.run([sys.executable, "-c", program], env=env, capture_output=True, text=True, timeout=300)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.strip() == "3"


def test_two_models_in_two_threads() -> None:
    """Also when both are one module: only one of them has the pool at a time, the other works alone."""
    nn.config.set_num_threads(2)
    x, y = data()
    models = [network(rate=0.0) for _ in range(2)]
    for m in models:
        m.fit(x[:100], y[:100], batch_size=100, verbose=0, shuffle=False)
    failed: list[BaseException] = []

    def work(model: Any) -> None:
        try:
            model.fit(x, y, batch_size=100, epochs=20, verbose=0, shuffle=False)
        except BaseException as error:
            failed.append(error)
            raise

    workers = [threading.Thread(target=work, args=(m,)) for m in models]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(timeout=300)
    assert not failed and not any(w.is_alive() for w in workers)
    assert_same_bits(models[0].get_weights(), models[1].get_weights())


def test_threads_may_change() -> None:
    model, (x, _) = network(rate=0.0), data()
    made = []
    for threads in (1, 4, 2, 3, 1, 2):
        nn.config.set_num_threads(threads)
        made.append(model.predict(x, verbose=0).tobytes())
    assert len(set(made)) == 1


# ------------------------------------------------------------------ settings


def test_default_is_the_cores_of_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NNCOMPILE_NUM_THREADS", raising=False)
    nn.config.set_num_threads(None)
    assert 1 <= nn.config.num_threads() == targets.cores() <= (os.cpu_count() or 1)


@pytest.mark.parametrize("text", ["0", "-1", "two", "1.5"])
def test_environment_is_checked(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NNCOMPILE_NUM_THREADS", text)
    nn.config.set_num_threads(None)
    with pytest.raises(ModelError, match=f"NNCOMPILE_NUM_THREADS: expected a number of threads.*{text}"):
        nn.config.num_threads()


@pytest.mark.parametrize("count", [0, -3, 1.5, True, "2"])
def test_counts_are_checked(count: Any) -> None:
    with pytest.raises(ModelError, match="set_num_threads: expected a whole number"):
        nn.config.set_num_threads(count)
