"""The least that steps of training can take on a machine, and how near to it they come."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..compiler import tiles
from ..compiler.memory import Matrix
from ..compiler.program import (
    Backward,
    Copy,
    Forward,
    Program,
    Rows,
    Update,
)
from .machine import Peak
from .records import Lap, Network

Laps = Mapping[str, tuple[float, int]]
"""Of each step of the C: seconds, and how often it was called."""


@dataclass(frozen=True)
class Cost:
    """What a step cannot do without, each number being read and written once.

    Attributes:
        flops: of its product, for a row of data.
        row: bytes for a row of data.
        call: bytes for a batch: the weights.
        changes: whether most of that is changed in place.
        rate: how many times faster than a multiply-add of vectors one of the product is.
    """

    flops: int
    row: int
    call: int
    changes: bool = False
    rate: float = 1.0


def real_size(program: Program) -> int:
    """Bytes of a number of the network."""
    return 8 if program.real == "double" else 4


def _rate(program: Program, matrix: Matrix) -> float:
    """How fast a product is against one of vectors."""
    if not matrix.parts:
        return 1.0
    return tiles.RATES[program.target.tiles] / len(tiles.SPLITS[matrix.parts].terms)


def copied_bytes(program: Program) -> dict[str, tuple[int, int]]:
    """Bytes of the bfloat16 copies of each kernel, as it is and transposed, that products read in its place."""
    turned = {s.matrix.name for s in program.backward if isinstance(s, Backward)}
    found = {}
    for m in program.matrices:
        numbers = m.inputs * m.outputs
        copy = 2 * max(m.parts, 1) * numbers if m.copied else 0
        found[m.name] = (copy, copy if m.parts and m.name in turned else 0)
    return found


def costs(program: Program, item: int = 4) -> dict[str, Cost]:
    """The costs of the steps of training, by the names that the C has for them.

    Args:
        program: of a network that is trained.
        item: bytes of a number of the user's data.
    """
    size = real_size(program)
    slots = max((len(kept) for _, kept in program.optimizer.kept), default=0) if program.optimizer else 0
    widths = {b.name: b.positions * b.columns for b in program.buffers}
    widths |= {wanted.name: wanted.positions * wanted.columns for wanted in program.targets}

    def values(names: Sequence[str]) -> int:
        return size * sum(widths.get(name, 0) for name in dict.fromkeys(names))

    first = program.sample_numbers + sum(widths[wanted.name] for wanted in program.targets)
    found = {"gather": Cost(0, first * (item + size), 0)}
    copies = copied_bytes(program)
    steps = [*program.forward, *(loss.rows for loss in program.losses), *program.backward]
    for step in steps:
        if isinstance(step, Update):
            matrix = step.matrix
            kernel = matrix.inputs * matrix.outputs if matrix is not None else 0
            weights = (kernel if matrix is not None and matrix.trainable else 0) + sum(
                v.length for v, *_ in step.vectors
            )
            flops = 2 * kernel * step.positions
            moved = size * 2 * (1 + slots) * weights + (sum(copies[matrix.name]) if matrix is not None else 0)
            rate = _rate(program, matrix) if matrix is not None else 1.0
            found[f"{step.name}_update"] = Cost(flops, values(step.uses()), moved, True, rate)
        elif isinstance(step, (Forward, Backward)):
            kernel = step.matrix.inputs * step.matrix.outputs
            formula = (step.training or step.inference) if isinstance(step, Forward) else step.formula
            assert formula is not None
            names = [step.x if isinstance(step, Forward) else step.dy, *(n for n, _ in formula.stores)]
            suffix = "forward" if isinstance(step, Forward) else "backward"
            row = values([*names, *formula.reads()])
            moved = copies[step.matrix.name][suffix == "backward"] or size * kernel
            found[f"{step.name}_{suffix}"] = Cost(
                2 * kernel * step.positions, row, moved, rate=_rate(program, step.matrix)
            )
        elif isinstance(step, (Rows, Copy)):
            found[step.name] = Cost(0, values(step.uses()), 0)
    return found


def roofline(program: Program, laps: Laps, network: Network, peak: Peak, item: int = 4) -> tuple[Lap, ...]:
    """Sets the laps of training beside what the machine would need at least.

    Between two uses of a weight training goes through everything else, so that memory
    counts with the speed that it has for as many bytes as all of that. What has no weights
    finds its values where they have just been written, and samples are where all data fit.

    Args:
        program: what was trained.
        laps: seconds and calls of its steps.
        network: what is measured.
        peak: of the machine, with the level ``network``.
        item: bytes of a number of the user's data.
    """
    known = costs(program, item)
    whole = sum(seconds for seconds, _ in laps.values()) or 1.0
    batches = math.ceil(network.rows / network.batch_size)
    found = []
    for name, (seconds, calls) in laps.items():
        cost = known.get(name) or known.get(name.removesuffix("_training"))
        if cost is None or not calls or not seconds:
            found.append(Lap(name, calls, seconds, seconds / whole))
            continue
        rows = network.rows / batches  # of a call: the last batch may be short
        flops, moved = cost.flops * rows, cost.row * rows + cost.call
        computing = flops / (1e9 * peak.gflops * cost.rate)
        size = network.rows * cost.row if name == "gather" else moved
        level = peak.level("network") if cost.call else peak.holding(size)
        moving = moved / (1e9 * (level.update if cost.changes else level.read))
        each = seconds / calls
        found.append(
            Lap(
                name=name,
                calls=calls,
                seconds=seconds,
                share=seconds / whole,
                flops=flops,
                bytes=moved,
                gflops=1e-9 * flops / each,
                gigabytes=1e-9 * moved / each,
                intensity=flops / moved if moved else 0.0,
                bound="compute" if computing > moving else "memory",
                roofline=max(computing, moving) / each,
            )
        )
    return tuple(found)
