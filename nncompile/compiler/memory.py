"""What a program keeps in memory: buffers of a batch, weights, and how both are cut into panels."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Buffer:
    """Memory for a value of every sample of a batch.

    Attributes:
        name: its name in C.
        positions: rows per sample.
        columns: numbers in a row that mean something.
        padded: numbers in a row that a product may read or write: whole panels.
        stride: numbers from a row to the next; what lies behind the columns is padding.
        offset: where it starts, in numbers per sample of the capacity of the workspace.
        alone: where it starts if no two buffers share memory, for a single row.
        comment: what it holds.
    """

    name: str
    positions: int
    columns: int
    padded: int
    stride: int
    offset: int
    alone: int
    comment: str

    def __str__(self) -> str:
        return f"{self.name}[{self.positions}][{self.columns} of {self.stride}] at {self.offset}"


@dataclass(frozen=True)
class Panels:
    """How columns are cut: into panels of one width, the last one half as wide where that holds the rest.

    Attributes:
        count: of panels, the narrow one included.
        full: of panels that have the whole width.
        width: columns of a full panel.
        rest: columns of the narrow one; 0 if there is none.
    """

    count: int
    full: int
    width: int
    rest: int

    @property
    def padded(self) -> int:
        """Columns of all panels."""
        return self.full * self.width + self.rest

    def __str__(self) -> str:
        return f"{self.full} panels of {self.width}" + (f" and one of {self.rest}" if self.rest else "")


@dataclass(frozen=True)
class Matrix:
    """A weight of two axes, stored panel by panel, each as [inputs][columns of the panel].

    Attributes:
        low: whether products take it rounded to bfloat16: then there is a copy in which a
            word holds two rows of a column, panel by panel as [pairs][columns of the panel].
        parts: of bfloat16 that products by tiles take it in, 1 if it is rounded; 0 if it has no such products. Each
            part has such a copy.
    """

    name: str
    inputs: int
    outputs: int
    panels: Panels
    trainable: bool
    low: bool = False
    parts: int = 0

    @property
    def numbers(self) -> int:
        return self.inputs * self.panels.padded

    @property
    def pairs(self) -> int:
        """Pairs of rows, those that are not there of 0: half of the last pair, or what whole tiles have more."""
        return -(-self.inputs // 32) * 16 if self.parts else -(-self.inputs // 2)

    @property
    def copied(self) -> bool:
        """Whether there are copies in bfloat16, which have to follow the numbers."""
        return self.low or self.parts > 0

    @property
    def depth(self) -> int:
        """Tiles that a row of it is read in where it is transposed."""
        return -(-self.outputs // 32)

    @property
    def part_size(self) -> int:
        """Words of one part of a copy."""
        return self.pairs * self.panels.padded


@dataclass(frozen=True)
class Vector:
    """A weight of one axis, padded to whole panels."""

    name: str
    length: int
    padded: int
    trainable: bool


@dataclass(frozen=True)
class Statistic:
    """Memory for a number per feature that is the same for all rows of a batch."""

    name: str
    columns: int
    padded: int
    comment: str

    def __str__(self) -> str:
        return f"{self.name}[{self.columns}]"
