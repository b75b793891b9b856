"""The table that ``model.summary()`` prints, to the letter as Keras has it."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import tree
from ..errors import ModelError
from ..layers.base import Layer
from ..ops.symbolic import kind_of
from ..utils import format_table
from ..variables import Variable
from .network import Network


def summary_text(
    model: Any,
    line_length: int | None,
    positions: Sequence[float] | None,
    expand_nested: bool,
    show_trainable: bool,
    layer_range: Sequence[str] | None,
    ascii_only: bool,
) -> str:
    """Returns the text that :meth:`Model.summary` prints; the arguments are those of it."""
    network = model._network if model._is_functional else None
    rows_of = network.operations if network is not None else model.layers
    header = ["Layer (type)", "Output Shape", "Param #"]
    alignments = ["left", "left", "right"]
    ends, length = list(positions or (0.45, 0.80, 1.0)), 88
    connected = network is not None and not network.is_chain()
    if connected:
        header.append("Connected to")
        alignments.append("left")
        ends, length = list(positions or (0.3, 0.56, 0.74, 1.0)), 108
    if show_trainable:
        header.append("Trainable")
        alignments.append("center")
        ends = [0.9 * end for end in ends] + [1.0]
        length += 12
    if len(ends) < len(header):
        raise ModelError(f"summary: expected {len(header)} positions, received {len(ends)}.")
    import shutil

    length = line_length or min(length, shutil.get_terminal_size().columns - 4)
    if positions and positions[0] > 1:  # in characters, as by Keras 1 and 2; Keras 3 still describes them
        ends = [end / length for end in ends]
    first, last = _row_range(rows_of, layer_range)
    columns = _Columns(network if connected else None, expand_nested, show_trainable)
    rows = [row for layer in rows_of[first:last] for row in columns.rows(layer, 0)]
    text = format_table(header, rows, _column_widths(ends[: len(header)], length), alignments, ascii_only)
    lines = [f'Model: "{model.name}"', text]
    trainable = _unique(model.trainable_weights)
    frozen = _unique(model.non_trainable_weights)
    optimizer: list[Variable] = []
    has_optimizer = bool(model.compiled and model.optimizer and getattr(model.optimizer, "built", False))
    if has_optimizer:
        optimizer = _unique(model.optimizer.variables)
    counts = [("Total", trainable + frozen + optimizer), ("Trainable", trainable), ("Non-trainable", frozen)]
    counts += [("Optimizer", optimizer)] if has_optimizer else []
    for label, variables in counts:
        numbers = sum(int(np.prod(v.shape, dtype="int64")) for v in variables)
        size = sum(int(np.prod(v.shape, dtype="int64")) * np.dtype(v.dtype).itemsize for v in variables)
        lines.append(f" {label} params: {numbers:,} ({_readable_size(size)})")
    return "\n".join(lines) + "\n"


def _unique(variables: Iterable[Variable]) -> list[Variable]:
    return list({id(v): v for v in variables}.values())


@dataclass(frozen=True)
class _Columns:
    """What the rows of a summary say.

    Attributes:
        network: the graph, if there is a column that says what a layer is connected to.
        expand_nested: whether the layers of inner models get rows of their own.
        show_trainable: whether there is a column that says what is trainable.
    """

    network: Network | None
    expand_nested: bool
    show_trainable: bool

    def rows(self, layer: Any, depth: int) -> list[list[str]]:
        """Returns the row of a layer, and those of the layers in it."""
        prefix = "   " * depth + "└ " if depth else ""
        numbers = "0"
        if isinstance(layer, Layer):
            numbers = f"{layer.count_params():,}" if layer.built else "0 (unbuilt)"
        row = [f"{prefix}{layer.name} ({kind_of(layer)})", shape_text(layer), numbers]
        if self.network is not None:
            row.append(self._connections(layer))
        if self.show_trainable:
            row.append(("Y" if layer.trainable else "N") if getattr(layer, "weights", None) else "-")
        inner = layer.layers if self.expand_nested and hasattr(layer, "layers") else []
        return [row, *(below for part in inner for below in self.rows(part, depth + 1))]

    def _connections(self, layer: Any) -> str:
        assert self.network is not None
        found = []
        for node in layer._inbound_nodes:
            if self.network.contains(node):
                for tensor in node.inputs:
                    before, call, index = tensor._keras_history
                    found.append(f"{before.name}[{call}][{index}]")
        return ", ".join(found) or "-"


def shape_text(layer: Any) -> str:
    """Returns the shape of what a layer returned last, or would return, as text; ``?`` if it is not known."""
    if layer._inbound_nodes:
        shapes = [x.shape for x in layer._inbound_nodes[-1].outputs]
    else:
        try:
            known = layer.output_shape if layer.built else None
        except (AttributeError, ModelError, NotImplementedError):
            known = None
        if known is None:
            return "?"
        shapes = []
        tree.map_shape_structure(shapes.append, known)
    texts = [f"({', '.join(map(str, shape))})" for shape in shapes]
    return texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]"


def _column_widths(ends: Sequence[float], length: int) -> list[int]:
    """Returns the room for text in each column of a table that is ``length`` wide.

    Lines between the columns and a blank at either side of a text come out of the
    columns in equal shares, rounded so that the table is exactly that wide. Where the
    columns end before the line does, each gets more, in the measure of its width.
    """
    edges = [0, *(int(end * length) for end in ends)]
    asked = [right - left for left, right in itertools.pairwise(edges)]
    if min(asked) < 4:
        raise ModelError(f"summary: a line of {length} characters has no room for {len(asked)} columns.")
    excess = sum(asked) + 3 * len(asked) + 1 - length
    widths = []
    if excess < 0:
        total = sum(asked) + 2 * len(asked)
        for width in asked:
            share = -(-(width + 2) * -excess // total)  # rounded up
            widths.append(width + share)
            total, excess = total - width - 2, excess + share
        return widths
    for index, width in enumerate(asked):
        share = round(excess / (len(asked) - index))
        widths.append(max(width - share, 1))
        excess -= share
    return widths


def _row_range(layers: Sequence[Layer], layer_range: Sequence[str] | None) -> tuple[int, int]:
    """Returns where the rows that ``layer_range`` names begin and end."""
    if layer_range is None:
        return 0, len(layers)
    if isinstance(layer_range, str) or len(layer_range) != 2 or not all(isinstance(name, str) for name in layer_range):
        raise ModelError(f"summary: expected layer_range to be two names, received {layer_range!r:.80}.")
    found = []
    for name in layer_range:
        try:
            matches = [index for index, layer in enumerate(layers) if re.match(name, layer.name)]
        except re.error as error:
            raise ModelError(f"summary: layer_range {name!r} is no regular expression: {error}.") from error
        if not matches:
            raise ModelError(f"summary: no layer is called {name!r}.")
        found.append(matches)
    first, last = min(found[0]), max(found[1])
    if first > last:  # given the other way round
        first, last = min(found[1]), max(found[0])
    return first, last + 1


def _readable_size(size: float) -> str:
    for unit in ("B", "KB", "MB", "GB", "TB"):
        if size < 1024:
            return f"{size:.2f} {unit}"
        size /= 1024
    return f"{size:.2f} PB"
