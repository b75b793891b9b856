"""Feeds: the samples of an epoch, cut into calls of C.

An :class:`ArrayFeed` has all samples in arrays, and cuts them as the clock and those who
listen want; a :class:`StreamFeed` takes one batch after another from a stream.
"""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from .. import data, random
from ..errors import ModelError
from ..variables import Array
from .supervision import Supervised

if TYPE_CHECKING:
    from ..compiler import Library
    from ..compiler.library import Samples

_PAUSE = 0.05
"""Seconds after which C should be back in Python: so long Ctrl-C may have to wait."""
_FIRST = 1e7
"""Multiply-adds that take much less than that on any machine: what the first call of C does."""
_CAPTURED = 1 << 18
"""Numbers of outputs that are kept for the metrics that Python computes."""


class Form(NamedTuple):
    """What C has to know of the targets of an output.

    Attributes:
        labels: whether there is one number per row.
        columns: numbers per row otherwise; 0 for an output without targets.
        weighted: whether samples have weights.
        counted: whether the mean is over the samples that count, which its formula finds out.
    """

    labels: bool
    columns: int
    weighted: bool
    counted: bool = False


@dataclass
class Taken:
    """Samples that were checked, in the order of the model's inputs and outputs.

    Attributes:
        xs: inputs.
        ys: targets, None for outputs that have none.
        weights: of the samples, None for outputs that have none.
        forms: of the targets.
        losses: the Loss of each output.
        shapes: of a target of each output, as they were given.
    """

    xs: list[Array]
    ys: list[Array | None]
    weights: list[Array | None]
    forms: tuple[Form, ...]
    losses: tuple[Any, ...]
    shapes: tuple[tuple[int, ...], ...]

    @property
    def rows(self) -> int:
        return len(self.xs[0])

    def part(self, first: int, last: int) -> Taken:
        """Some of the samples, as views."""
        return Taken(
            [x[first:last] for x in self.xs],
            [None if y is None else y[first:last] for y in self.ys],
            [None if w is None else w[first:last] for w in self.weights],
            self.forms,
            self.losses,
            self.shapes,
        )

    def supervised(self, rows: Any) -> Supervised:
        """Targets and weights of some rows."""
        ys = [None if y is None else y[rows] for y in self.ys]
        return Supervised(
            ys,
            [None if y is None else y.reshape(len(y), *shape) for y, shape in zip(ys, self.shapes, strict=True)],
            [None if w is None else w[rows] for w in self.weights],
        )


def united(forms: Sequence[Form], others: Sequence[Form], *, where: str) -> tuple[Form, ...]:
    """The forms that serve two kinds of samples, of which one may have weights.

    Raises:
        ModelError: the targets are of different forms.
    """
    made = []
    for form, other in zip(forms, others, strict=True):
        if (form.labels, form.columns) != (other.labels, other.columns):
            kinds = ["labels" if f.labels else "dense" for f in (other, form)]
            raise ModelError(f"{where}: its y is of another form ({kinds[0]}) than y ({kinds[1]}).")
        made.append(form._replace(weighted=form.weighted or other.weighted))
    return tuple(made)


def samples_of(library: Library, taken: Taken, forms: Sequence[Form], order: Array | None = None) -> Samples:
    """The samples as C takes them; where the program expects weights and there are none, all count as one."""
    weights: Sequence[Array | None] = ()
    if any(form.weighted for form in forms):
        weights = [None if w is None else np.ascontiguousarray(w, library.dtype) for w in taken.weights]
    return library.samples(taken.xs, taken.ys, order, weights)


class Piece(NamedTuple):
    """Samples for one call of C.

    Attributes:
        samples: where they are.
        first: number of the first in the order of the samples.
        rows: how many they are.
        batch: samples of an update.
        step: number of the first batch in the epoch.
        steps: batches of the epoch up to the last of these.
    """

    samples: Samples
    first: int
    rows: int
    batch: int
    step: int
    steps: int


class Pace:
    """How much to do in one call of C: as much as takes about _PAUSE seconds, which is found out while it runs."""

    def __init__(self, library: Library) -> None:
        self._rows = _FIRST / max(sum(matrix.numbers for matrix in library.program.matrices), 1)

    def learn(self, rows: int, seconds: float) -> None:
        """Takes into account how long some rows took."""
        self._rows = min(self._rows * 4, rows * _PAUSE / max(seconds, 1e-6))

    def epochs(self, rows: int) -> int:
        """How many epochs of so many rows fit into a call."""
        return int(self._rows / rows)

    def pieces(self, first: int, last: int, batch: int, group: int, limit: int = 0) -> Iterator[tuple[int, int]]:
        """Cuts some rows into calls, in whole batches.

        Args:
            first: the first row.
            last: the row after the last.
            batch: rows of a batch.
            group: how many batches are one call; 0 for as many as the clock allows.
            limit: most rows of a call then, 0 for any number.

        Yields:
            First row and number of rows.
        """
        while first < last:
            rows = min(self._rows, limit) if limit else self._rows
            batches = group or max(int(rows / batch), 1)
            count = min(batches * batch, last - first)
            begun = time.perf_counter()
            yield first, count
            first += count
            if not group:
                self.learn(count, time.perf_counter() - begun)


class ArrayFeed:
    """Samples in arrays.

    Args:
        library: what computes.
        taken: the samples.
        forms: of the targets, as the library was compiled for.
        batch: samples of a batch.
        steps: batches of an epoch; all if None. An epoch goes on where the one before it has ended.
        shuffle: True for a new random order in each pass, ``"batch"`` within batches.
        where: what was called, for messages.
    """

    def __init__(
        self,
        library: Library,
        taken: Taken,
        forms: Sequence[Form],
        batch: int,
        steps: int | None = None,
        shuffle: Any = False,
        where: str = "",
    ) -> None:
        self.library, self.taken, self.batch, self.steps, self.where = library, taken, batch, steps, where
        self.rows, self._shuffle, self._next = taken.rows, shuffle, 0
        self.order = np.empty(self.rows, np.int64) if shuffle else None
        self.samples = samples_of(library, taken, forms, self.order)
        self.pace = Pace(library)
        self.total = steps or math.ceil(self.rows / batch)
        self.weighted = [form.weighted for form in forms]

    @property
    def whole(self) -> bool:
        """Whether each epoch is one pass in the order of the arrays or a wholly random one."""
        return self.steps is None and self._shuffle != "batch"

    def more(self) -> bool:
        return True

    def close(self) -> None:
        """There is nothing to end."""

    def restart(self) -> None:
        """The next epoch begins with the first sample."""
        self._next = 0

    def supervised(self, piece: Piece) -> Supervised:
        """Targets and weights of the samples of a piece."""
        rows: Any = slice(piece.first, piece.first + piece.rows)
        return self.taken.supervised(rows if self.order is None else self.order[rows])

    def pieces(self, group: int, columns: int = 0) -> Iterator[Piece]:
        """The calls of one epoch.

        Args:
            group: how many batches are one call; 0 for as many as the clock allows.
            columns: numbers of the outputs of a sample if they are to be kept.
        """
        if self._next == 0 and self.order is not None:
            if self._shuffle == "batch":
                data.shuffle_batches(self.order, random.generator(), self.batch)
            else:
                self.library.shuffle(self.samples, int(random.next_words(1)[0]))
        begin = self._next
        end = self.rows if self.steps is None else begin + self.steps * self.batch
        limit = max(_CAPTURED // columns, 1) if columns else 0
        batch = self.batch
        for first, count in self.pace.pieces(begin, min(end, self.rows), batch, group, limit):
            done = first - begin
            yield Piece(self.samples, first, count, batch, done // batch, -(-(done + count) // batch))
        self._next = 0 if end >= self.rows else end
        if self.steps is not None and begin + (self.steps - 1) * self.batch >= self.rows:
            warnings.warn(
                f"{self.where}: expected {self.steps} batches, received {math.ceil((self.rows - begin) / self.batch)}: "
                "the data has ended. Give more rows, a smaller batch_size or fewer steps.",
                UserWarning,
                stacklevel=2,
            )


class StreamFeed:
    """Batches of a stream, each one call of C.

    Args:
        library: what computes.
        stream: where the batches come from.
        take: checks a batch.
        forms: of the targets, as the library was compiled for.
        steps: batches of an epoch; as many as there are if None.
    """

    def __init__(
        self,
        library: Library,
        stream: data.Stream,
        take: Callable[[data.streams.Batch], Taken],
        forms: Sequence[Form],
        steps: int | None = None,
    ) -> None:
        self.library, self.stream, self._take, self._forms = library, stream, take, tuple(forms)
        self.steps, self.total = steps, steps or stream.batches
        self.weighted = [form.weighted for form in forms]
        self._last: Taken

    def more(self) -> bool:
        return self.stream.more()

    def close(self) -> None:
        self.stream.close()

    def restart(self) -> None:
        """The next epoch begins with the first batch, unless it cannot be had again."""
        self.stream.restart()

    def supervised(self, piece: Piece) -> Supervised:
        """Targets and weights of the samples of a piece, which must be the last one."""
        return self._last.supervised(slice(None))

    def pieces(self, group: int, columns: int = 0) -> Iterator[Piece]:
        """The calls of one epoch; for the arguments see :meth:`ArrayFeed.pieces`."""
        for number, batch in enumerate(self.stream.epoch(self.steps)):
            taken = self._take(batch)
            forms = united(self._forms, taken.forms, where=f"{self.stream.where}: batch {number}")
            if forms != self._forms:
                raise ModelError(
                    f"{self.stream.where}: batch {number}: expected no sample_weight, as the first batch has none, "
                    "received some. Give it with every batch."
                )
            self._last = taken
            yield Piece(samples_of(self.library, taken, forms), 0, taken.rows, taken.rows, number, number + 1)
