"""What a benchmark of a model finds out, as records of plain fields."""

from __future__ import annotations

from dataclasses import dataclass

PERCENTILES = (50.0, 90.0, 99.0, 99.9)
"""Of the times of single rows."""


@dataclass(frozen=True)
class Network:
    """What is measured.

    Attributes:
        name: of the model.
        widths: of the input and of what each product makes.
        weights: numbers that it has.
        dtype: of its weights.
        optimizer, loss: what it is trained with.
        batch_size, rows, threads: how.
        flops_per_row: of the products of one row, in prediction.
        training_flops_per_row: of the products of one row, in training.
        bytes: that a step of training goes through: weights, what the optimizer keeps, values of a batch.
    """

    name: str
    widths: tuple[int, ...]
    weights: int
    dtype: str
    optimizer: str
    loss: str
    batch_size: int
    rows: int
    threads: int
    flops_per_row: int
    training_flops_per_row: int
    bytes: int


@dataclass(frozen=True)
class Compiled:
    """What compiling took.

    Attributes:
        seconds: with nothing in the cache.
        again: with everything in the cache.
        source_bytes: of the C.
    """

    seconds: float
    again: float
    source_bytes: int


@dataclass(frozen=True)
class Trained:
    """Times of training.

    Attributes:
        seconds: per epoch, the median.
        fastest, slowest: the shortest and the longest epoch.
        epochs: how many were timed, after one that was not.
        gflops: of the products.
        share: of the peak of as many threads.
        losses: of the first and of the last epoch.
    """

    seconds: float
    fastest: float
    slowest: float
    epochs: int
    gflops: float
    share: float
    losses: tuple[float, float]


@dataclass(frozen=True)
class Predicted:
    """Times of prediction.

    Attributes:
        microseconds: of one row, by percentile: ``p50``, ``p90``, ``p99``, ``p99.9``.
        calls: of which.
        rows_per_second: of all rows in one call.
        gflops: of their products.
        share: of the peak of as many threads.
    """

    microseconds: dict[str, float]
    calls: int
    rows_per_second: float
    gflops: float
    share: float


@dataclass(frozen=True)
class Lap:
    """A step of training, and its roofline: what the machine would need for it at least.

    Attributes:
        name: of the step in C.
        calls: how often it was measured.
        seconds: of all calls.
        share: of the time of all steps.
        flops: of a call's product, on average; 0 without one.
        bytes: that a call has to read and write, each number once; 0 if that is not known.
        gflops: reached.
        gigabytes: a second, reached.
        intensity: operations per byte.
        bound: ``compute`` or ``memory``: what the roofline is made of; empty if that is not known.
        roofline: share of it that was reached.
    """

    name: str
    calls: int
    seconds: float
    share: float
    flops: float = 0.0
    bytes: float = 0.0
    gflops: float = 0.0
    gigabytes: float = 0.0
    intensity: float = 0.0
    bound: str = ""
    roofline: float = 0.0


@dataclass(frozen=True)
class Beside:
    """A library on the same work, in a process of its own.

    Attributes:
        name: of the library and how it is used.
        version: that is installed.
        seconds: per epoch; None if it cannot train or failed.
        loss: of the second epoch; None if it does not begin with the same weights.
        microseconds: of one row, the median.
        tail: of one row, the 99th percentile.
        rows_per_second: of all rows in one call.
        disturbance: share of the processors' time that other processes took meanwhile, at most.
        failures: what it could not do, and why.
    """

    name: str
    version: str
    seconds: float | None = None
    loss: float | None = None
    microseconds: float | None = None
    tail: float | None = None
    rows_per_second: float | None = None
    disturbance: float = 0.0
    failures: tuple[str, ...] = ()
