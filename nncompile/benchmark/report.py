"""A benchmark of a user's own model: how fast it is, what bounds it, and how fast others are at it.

Three kinds of figures stand side by side: times of the model, the most that this machine
can do, and times of other libraries on the same network, data and optimizer. Data are
made up; times do not depend on what they are.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import math
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import compiler, config, losses, targets
from ..callbacks import Callback
from ..compiler import render
from ..compiler.program import Forward, Program
from ..errors import ModelError, UnsupportedError
from . import machine, peers, rooflines, tables, timing, workloads
from .machine import Machine, Peak
from .records import PERCENTILES, Beside, Compiled, Lap, Network, Predicted, Trained
from .rooflines import Laps

Array = NDArray[Any]
Profile = Callable[[Array, Array, int], Laps]
"""Trains on x and y in batches of a size and returns the laps."""

_LONGEST = 1000
"""Epochs at most where the user did not say how many."""
_ENOUGH = 0.5
"""Seconds for which something is repeated."""
_FREE = 0.8
"""Share of the multiply-adds of free processors below which the user is told."""
_PATIENCE = 0.5
"""Share of the memory of the machine that made-up data may take."""


@dataclass(frozen=True)
class Options:
    """What a user may choose.

    Attributes:
        batch_size: rows per update.
        rows: rows of the data.
        epochs: that are timed; None for as many as take half a second, at least 5.
        threads: None for as many as there are processors.
        peers: whether other libraries are measured as well.
        seconds: for how long a trial of the machine and of a peer lasts, as a share of the usual.
    """

    batch_size: int = 32
    rows: int = 10_000
    epochs: int | None = None
    threads: int | None = None
    peers: bool = True
    seconds: float = 1.0


@dataclass(frozen=True)
class Report:
    """All that was measured. ``str()`` of it is for people, :meth:`to_json` for programs.

    Attributes:
        date: when, in UTC.
        machine: where.
        peaks: the most that it can do, with one thread and with all.
        network: what.
        notes: what was assumed, and what could not be measured.
        compiled, trained, predicted: how fast.
        laps: of the steps of training, as the C orders them.
        beside: nncompile and the others, in equal processes.
        latencies: microseconds of single rows, for drawing.
    """

    date: str
    machine: Machine
    peaks: tuple[Peak, ...]
    network: Network
    notes: tuple[str, ...]
    compiled: Compiled
    trained: Trained
    predicted: Predicted
    laps: tuple[Lap, ...]
    beside: tuple[Beside, ...]
    latencies: tuple[float, ...] = dataclasses.field(repr=False, default=())

    @property
    def peak(self) -> Peak:
        """Of as many threads as the network has."""
        return next(p for p in self.peaks if p.threads == self.network.threads)

    def to_json(self) -> str:
        """One JSON object; what is not a number is null."""
        values = dataclasses.asdict(dataclasses.replace(self, latencies=()))
        del values["latencies"]
        return json.dumps(_finite(values), indent=2, allow_nan=False)

    def __str__(self) -> str:
        return "\n\n".join(
            part
            for part in (
                tables.of_machine(self.date, self.machine, self.peaks),
                tables.of_network(self.network, self.compiled, self.notes),
                tables.of_training(self.trained, self.network),
                tables.of_prediction(self.predicted, self.network),
                tables.of_laps(self.laps, self.network),
                tables.of_beside(self.beside),
            )
            if part
        )


def _finite(value: Any) -> Any:
    """The same with None for numbers that JSON does not have."""
    if isinstance(value, dict):
        return {key: _finite(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


# ------------------------------------------------------------------ the whole


def benchmark(
    model: Any,
    options: Options | None = None,
    notes: Sequence[str] = (),
    show: Callable[[str], None] | None = None,
    progress: Callable[[str], None] | None = None,
    profile: Profile | None = None,
) -> Report:
    """Measures a model. It is trained by that.

    Args:
        model: a built model; if it is not compiled, Adam and a loss that fits are taken.
        options: what is measured and how.
        notes: what the user should be told beside.
        show: is given each part of the text as soon as it is known.
        progress: is told what other libraries are at.
        profile: of the laps; the model's own if None.

    Returns:
        The report.

    Raises:
        ModelError: the model is not built, has nothing to train, or an option cannot be right.
        UnsupportedError: it does something that is not supported yet.
        BuildError: there is no C compiler, or it failed.
    """
    options = options or Options()
    _check(options)
    say = show or (lambda part: None)
    said = list(notes)
    model._need_built("bench")
    if not any(w.trainable for layer in model.layers for w in layer.weights):
        raise ModelError(f"{model._title}: bench: expected weights that can be trained, found none.")
    if not all(isinstance(n, int) and n > 0 for n in model.input_shape[1:]):
        raise ModelError(
            f"{model._title}: bench: expected an input of known, positive sizes, found {model.input_shape}."
        )
    threads = _use_threads(options.threads)
    target = targets.host()
    date = datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC")
    described = machine.identify(target)
    said += _complete(model)
    x, y, dense = made_up(model, options.rows)
    weights = model.get_weights()

    compiled, program = _compile(model, x, y, options.batch_size)
    network = _network(model, program, options, threads)
    counts = tuple(sorted({1, threads, described.cores}))
    brief = 0.003 * options.seconds
    peaks = machine.measure(target, counts, program.real, network.bytes, brief)
    peak = next(p for p in peaks if p.threads == threads)
    said += _crowded(peaks)
    say(tables.of_machine(date, described, peaks))
    say(tables.of_network(network, compiled, said))

    trained = _train(model, x, y, options, network, peak)
    say(tables.of_training(trained, network))
    predicted, latencies = _predict(model, x, network, peak, options.seconds)
    say(tables.of_prediction(predicted, network))

    laps: tuple[Lap, ...] = ()
    profile = profile or getattr(model, "_profile", None)
    later: list[str] = []
    if profile is None:
        later.append("There are no times of single layers: the C of this version does not measure itself.")
    else:
        laps = rooflines.roofline(program, profile(x, y, options.batch_size), network, peak, x.dtype.itemsize)
        say(tables.of_laps(laps, network))

    beside: tuple[Beside, ...] = ()
    if options.peers:
        try:
            beside = _beside(model, x, dense, weights, options, threads, progress)
        except UnsupportedError as error:  # of the comparison only: the model itself was measured
            later.append(str(error))
        say(tables.of_beside(beside))
    if later:
        say(tables.of_notes(later))
    return Report(
        date, described, peaks, network, (*said, *later), compiled, trained, predicted, laps, beside, latencies
    )


def _check(options: Options) -> None:
    for name in ("batch_size", "rows", "epochs", "threads"):
        value = getattr(options, name)
        whole = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
        if value is not None and (not whole or value < 1):
            raise ModelError(f"bench: {name}: expected a whole number from 1, received {value!r:.80}.")


def _use_threads(wanted: int | None) -> int:
    """Tells nncompile how many threads to use, its own choice for None; returns how many."""
    limit = machine.processors()
    if wanted is not None and wanted > limit:
        raise ModelError(
            f"bench: threads: this process may use {tables.counted(limit, 'processor')}, received {wanted}."
        )
    if wanted is not None:
        config.set_num_threads(wanted)
    return config.num_threads()


def _crowded(peaks: Sequence[Peak]) -> list[str]:
    """Says so if threads did not get a processor each."""
    one, most = peaks[0], max(peaks, key=lambda p: p.threads)
    times = most.gflops / one.gflops
    if times >= _FREE * most.threads:
        return []
    return [
        f"{most.threads} threads did only {times:.2f} times the multiply-adds of one: other processes were busy, or "
        "processors share their units. Times with several threads are worth little then."
    ]


# ------------------------------------------------------------------ the model and its data


def _last_activation(model: Any) -> str:
    """The name of what the output went through last; empty if it is something of the user's own."""
    for layer in reversed(model.layers):
        kind = type(layer).__name__
        if kind in ("Dropout", "Flatten", "Reshape"):
            continue
        return str(getattr(getattr(layer, "activation", None), "__name__", kind.lower()))
    return ""


def _complete(model: Any) -> list[str]:
    """Compiles a model that is not compiled; returns what was assumed."""
    if model.compiled and model.loss is not None and model.optimizer is not None:
        return []
    fitting = {"softmax": "categorical_crossentropy", "sigmoid": "binary_crossentropy"}
    loss = model.loss if model.loss is not None else fitting.get(_last_activation(model), "mean_squared_error")
    missing = []
    if model.optimizer is None:
        missing.append("Adam")
    if model.loss is None:
        missing.append(str(loss))
    model.compile(optimizer=model.optimizer or "adam", loss=loss)
    return [f"The model was not compiled for training: {' and '.join(missing)} assumed."]


def _loss_name(model: Any) -> str:
    loss = model.loss
    if isinstance(loss, str):
        return str(losses.name_of(losses.get(loss))) if loss.lower() not in ("crossentropy", "ce") else loss.lower()
    return str(losses.name_of(loss))


def made_up(model: Any, rows: int) -> tuple[Array, Array, Array]:
    """Makes inputs in [-1, 1), and targets that a linear network could learn in part.

    Args:
        model: a compiled model.
        rows: how many.

    Returns:
        The inputs, the targets as the model's loss wants them, and the targets with one
        number for each output.

    Raises:
        ModelError: they would take more memory than there is.
    """
    shape, out = tuple(model.input_shape[1:]), tuple(model.output_shape[1:])
    inputs, outputs = math.prod(shape), math.prod(out)
    dtype = np.dtype("float64" if model.dtype == "float64" else "float32")
    needed = (rows * (inputs + 3 * outputs) + inputs * outputs) * dtype.itemsize
    memory = machine.identify(targets.host()).memory
    if memory and needed > _PATIENCE * memory:
        raise ModelError(
            f"bench: {rows:,} rows of {inputs:,} inputs take {needed / 1e9:,.1f} GB; "
            f"this machine has {memory / 1e9:,.1f} GB. Give fewer rows."
        )
    random = np.random.default_rng(1)
    x = random.random((rows, inputs), dtype="float32").astype(dtype, copy=False)
    x *= 2
    x -= 1
    scores = (x @ random.standard_normal((inputs, outputs), dtype="float32").astype(dtype)).reshape(rows, *out)
    loss, last = _loss_name(model), _last_activation(model)
    x = x.reshape(rows, *shape)
    general = loss in ("crossentropy", "ce")
    if "sparse" in loss:
        labels = scores.argmax(axis=-1)
        return x, labels, np.eye(out[-1], dtype=dtype)[labels]
    if "binary" in loss or (general and out[-1] == 1) or (last == "sigmoid" and "categorical" not in loss):
        y = (scores > 0).astype(dtype)
    elif "categorical" in loss or general or last == "softmax":
        y = np.eye(out[-1], dtype=dtype)[scores.argmax(axis=-1)]
    else:
        y = scores / dtype.type(inputs**0.5)
    return x, y, y


def _compile(model: Any, x: Array, y: Array, batch: int) -> tuple[Compiled, Program]:
    """Compiles the model as if nothing was in the cache, and then as if it was."""
    # beside the user's builds are the compiled templates: they are not of this model, and stay where they are
    render.environment()
    rows = slice(0, min(batch, len(x)))
    times: list[float] = []
    with tempfile.TemporaryDirectory(prefix="nncompile-bench-") as empty, _environment(NNCOMPILE_CACHE_DIR=empty):
        for _ in range(2):
            model._drop_libraries()
            begun = time.perf_counter()
            model.test_on_batch(x[rows], y[rows])
            times.append(time.perf_counter() - begun)
    program = _program(model)
    return Compiled(times[0], times[1], len(model.source().encode())), program


@contextlib.contextmanager
def _environment(**values: str) -> Iterator[None]:
    """Variables of the environment that are set back at the end."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _program(model: Any) -> Program:
    """What the model was compiled to for training."""
    library: compiler.Library
    for key, library in model._libraries.items():
        if key.purpose == "train":
            return library.program
    raise ModelError(f"{model._title}: bench: it was not compiled for training.")


def _network(model: Any, program: Program, options: Options, threads: int) -> Network:
    products = [s for s in program.forward if isinstance(s, Forward)]
    ahead = sum(2 * s.matrix.inputs * s.matrix.outputs * s.positions for s in products)
    size = rooflines.real_size(program)
    slots = max((len(kept) for _, kept in program.optimizer.kept), default=0) if program.optimizer else 0
    numbers = sum(math.prod(w.shape) * (1 + slots * bool(w.trainable)) for w in program.weights)
    batch = min(options.batch_size, options.rows)
    return Network(
        name=str(model.name),
        widths=(math.prod(model.input_shape[1:]), *(s.matrix.outputs for s in products)),
        weights=int(model.count_params()),
        dtype="float64" if program.real == "double" else "float32",
        optimizer=type(model.optimizer).__name__,
        loss=_loss_name(model),
        batch_size=options.batch_size,
        rows=options.rows,
        threads=threads,
        flops_per_row=ahead,
        training_flops_per_row=sum(cost.flops for cost in rooflines.costs(program).values()),
        bytes=(numbers + program.sample_size * batch) * size + sum(map(sum, rooflines.copied_bytes(program).values())),
    )


# ------------------------------------------------------------------ times


class _Clock(Callback):
    """Times of epochs."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds: list[float] = []
        self._begun = 0.0

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self._begun = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.seconds.append(time.perf_counter() - self._begun)


def _train(model: Any, x: Array, y: Array, options: Options, network: Network, peak: Peak) -> Trained:
    clock = _Clock()
    settings = {"batch_size": options.batch_size, "verbose": 0, "callbacks": [clock]}
    first = model.fit(x, y, epochs=1, **settings).history["loss"]
    epochs = options.epochs
    if epochs is None:
        epochs = min(max(5, math.ceil(_ENOUGH * options.seconds / max(clock.seconds[0], 1e-6))), _LONGEST)
    clock.seconds.clear()
    last = model.fit(x, y, epochs=epochs, **settings).history["loss"]
    seconds = statistics.median(clock.seconds)
    gflops = 1e-9 * network.training_flops_per_row * network.rows / seconds
    return Trained(
        seconds=seconds,
        fastest=min(clock.seconds),
        slowest=max(clock.seconds),
        epochs=epochs,
        gflops=gflops,
        share=gflops / peak.gflops,
        losses=(float(first[0]), float(last[-1])),
    )


def _predict(model: Any, x: Array, network: Network, peak: Peak, seconds: float) -> tuple[Predicted, tuple[float, ...]]:
    row = x[:1]
    times = _times(lambda: model.predict_on_batch(row), _ENOUGH * seconds, least=1000)
    microseconds = 1e-3 * np.asarray(times, dtype="float64")
    values = np.percentile(microseconds, PERCENTILES, method="higher")  # each is the time of a call
    found = {f"p{p:g}": float(v) for p, v in zip(PERCENTILES, values, strict=True)}
    many = 1e-9 * statistics.median(_times(lambda: model.predict_on_batch(x), _ENOUGH * seconds, least=3))
    gflops = 1e-9 * network.flops_per_row * network.rows / many
    predicted = Predicted(found, len(times), network.rows / many, gflops, gflops / peak.gflops)
    return predicted, tuple(microseconds.tolist())


def _times(work: Callable[[], Any], seconds: float, least: int, most: int = 100_000) -> list[int]:
    """Nanoseconds of calls, one by one, after some that do not count."""
    clock = time.perf_counter_ns
    for _ in range(max(1, least // 20)):
        work()
    times: list[int] = []
    until = clock() + int(1e9 * seconds)
    while len(times) < least or (clock() < until and len(times) < most):
        begun = clock()
        work()
        times.append(clock() - begun)
    return times


# ------------------------------------------------------------------ others


def _beside(
    model: Any,
    x: Array,
    y: Array,
    weights: Sequence[Array],
    options: Options,
    threads: int,
    progress: Callable[[str], None] | None,
) -> tuple[Beside, ...]:
    """Measures nncompile and what else is installed, each in a process of its own.

    Raises:
        UnsupportedError: not every peer has what the network is made of.
    """
    computing = {str(layer.compute_dtype) for layer in model.layers}
    if computing not in ({"float32"}, {"bfloat16"}):
        raise UnsupportedError(
            f"{model.name}: comparison with other libraries: expected float32 or bfloat16, "
            f"received {' and '.join(sorted(computing))}. Measure it without peers."
        )
    work = workloads.from_model(model, x, y, options.batch_size)
    one = dataclasses.replace(work, rows=1, batch_size=1)
    cpus = timing.processors()
    rounds, seconds = (2, 0.5 * options.seconds)
    found: list[timing.Measured] = []
    with (
        tempfile.TemporaryDirectory(prefix="nncompile-bench-") as folder,
        _environment(NNCOMPILE_TARGET=targets.host().name),
    ):
        named: dict[str, Any] = {f"{'wb'[n % 2]}{n // 2}": array for n, array in enumerate(weights)}
        for workload, what, count in ((work, "train", rounds), (one, "predict", rounds), (work, "predict", rounds)):
            data = Path(folder, f"{workload.rows}.npz")
            if not data.exists():
                np.savez(data, x=x[: workload.rows], y=y[: workload.rows], **named)
            cases = timing.cases_of(workload, what, [threads], computing.copy().pop())
            found += timing.measure(cases, cpus, count, seconds, data=data, patience=0, report=progress)
    return together(found)


def together(found: Sequence[timing.Measured]) -> tuple[Beside, ...]:
    """What was measured of each library, on one line."""
    rows: dict[str, Beside] = {}
    for m in found:
        name = m.case.peer
        row = rows.get(name) or Beside(name, m.version)
        if m.failure is not None:
            row = dataclasses.replace(row, failures=(*row.failures, m.failure))
        elif m.case.what == "train":
            loss = m.losses[-1] if m.losses and peers.PEERS[name].exact else None
            row = dataclasses.replace(row, seconds=m.median / m.case.workload.epochs, loss=loss)
        elif m.case.workload.rows == 1:
            tail = 1e6 * statistics.median(m.tail) if m.tail else None
            row = dataclasses.replace(row, microseconds=1e6 * m.median, tail=tail)
        else:
            row = dataclasses.replace(row, rows_per_second=m.case.workload.rows / m.median)
        disturbed = max(row.disturbance, *m.disturbance, 0.0)
        rows[name] = dataclasses.replace(row, version=row.version or m.version, disturbance=disturbed)
    return tuple(rows.values())
