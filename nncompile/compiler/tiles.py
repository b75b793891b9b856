"""How products by matrix tiles are cut and split: tables for ``templates/kernels/tiles.c.j2``.

A tile of sums is 16 x 16 floats; it takes a tile of 16 rows x 32 terms on its left and one of 32 terms x 16 columns,
two terms in a word, on its right. Of the eight registers four hold sums, 32 x 32 of them, and two each what is left and
right of them. On Sapphire Rapids such a step of 32 terms should take 64 cycles and read 4 KB, which is about what the
second-level cache provides; six products of three parts read 14 KB in 384 cycles. Neither was measured.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..targets import Target
from .memory import Matrix, Panels

RATES = {"amx": 16, "emulated": 16, "dots": 2}
"""Multiply-adds of bfloat16 numbers in the time of one of float32 by vectors, of which x86 does 32 in a cycle."""


@dataclass(frozen=True)
class Term:
    """One product of parts, and which of them are not in registers yet."""

    left: int
    right: int
    load_left: bool
    load_right: bool


@dataclass(frozen=True)
class Split:
    """How the operands of a product are split: into how many parts, and which products of those are summed."""

    parts: int
    comment: str
    terms: tuple[Term, ...]


def _split(comment: str, *products: tuple[int, int]) -> Split:
    before = ((-1, -1), *products)
    terms = tuple(Term(a, b, a != c, b != d) for (a, b), (c, d) in zip(products, before, strict=False))
    return Split(1 + max(a for a, _ in products), comment, terms)


SPLITS = {
    s.parts: s
    for s in (
        # in an order in which few parts are loaded anew
        _split("", (0, 0)),
        _split(" of numbers in two parts, three products", (1, 0), (0, 0), (0, 1)),
        _split(" of numbers in three parts, six products", (2, 0), (1, 0), (1, 1), (0, 1), (0, 2), (0, 0)),
    )
}


@dataclass(frozen=True)
class Sum:
    """A tile of sums in a block: where it stands, its register, and those of its operands."""

    row: int
    column: int
    register: int
    left: int
    right: int


@dataclass(frozen=True)
class Block:
    """Some tiles of sums that are computed at one time: each operand that is loaded serves for all beside it.

    Attributes:
        left: (number of the tile, its register).
        right: likewise.
        condition: in C, when a product has this size.
    """

    tall: int
    wide: int
    left: tuple[tuple[int, int], ...]
    right: tuple[tuple[int, int], ...]
    sums: tuple[Sum, ...]
    condition: str


def _block(tall: int, wide: int) -> Block:
    left = tuple((i, 4 + i) for i in range(tall))
    right = tuple((j, 6 + j) for j in range(wide))
    sums = tuple(Sum(16 * i, 16 * j, 2 * i + j, a, b) for i, a in left for j, b in right)
    return Block(tall, wide, left, right, sums, f"rows {'<= 16' if tall == 1 else '> 16'} && width == {16 * wide}")


BLOCKS = [_block(tall, wide) for tall in (2, 1) for wide in (2, 1)]


@dataclass(frozen=True)
class Operand:
    """An operand in memory: rows of terms of sums, both as text over ``samples``."""

    parts: int
    rows: str
    terms: str


def _of_samples(rows: str) -> str:
    """The number of rows of a batch where its number of samples is a variable."""
    return rows.replace("w->samples", "samples")


def left_operand(f: Any) -> Operand:
    """What a product by tiles has on its left, of the record of a step."""
    matrix, rows = f.step.matrix, _of_samples(f.rows)
    if f.kind == "update":
        return Operand(matrix.parts, str(matrix.inputs), rows)
    return Operand(matrix.parts, rows, str(matrix.inputs if f.kind == "forward" else matrix.outputs))


def right_operand(f: Any) -> Operand:
    """What a gradient has on its right; other products have copies of kernels there."""
    return Operand(f.step.matrix.parts, str(f.step.matrix.panels.padded), _of_samples(f.rows))


def work(
    matrix: Matrix, panels: Panels, rows: str, packed: int, target: Target, size: str = "FORWARD_ROWS"
) -> tuple[float, str, float]:
    """The cost of a product, the units that it is cut into, and the cost of laying out its operands.

    Args:
        matrix: the kernel.
        panels: how the columns of the result are cut.
        rows: of the result, in C.
        packed: numbers per row of the batch that are laid out.
        target: the processor.
        size: rows of a unit, in C, where there are no tiles.
    """
    cost = 2.0 * matrix.numbers
    if not matrix.parts:
        return cost, f"{panels.count} * pieces({rows}, {size})", 0.0
    products = len(SPLITS[matrix.parts].terms)
    # half of the time is waiting for operands
    return (
        2 * cost * products / RATES[target.tiles],
        f"{panels.count} * pieces({rows}, TILED_ROWS)",
        4.0 * matrix.parts * packed,
    )
