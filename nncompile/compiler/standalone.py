"""Stage 3 of the export: the text of the two files.

The templates ``inference.c.j2`` and ``inference.h.j2`` place what was printed here, by
:mod:`.inference` and by :mod:`.plain`. Equal networks with equal weights give equal bytes.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import _version, ops
from .inference import PANEL, Inference, Kernel, Port, Vector, widths
from .plain import table
from .records import Vocabulary
from .render import Sources, environment, fill


@dataclass(frozen=True)
class Table:
    """A constant array.

    Attributes:
        name: in C.
        size: how many numbers.
        comment: what they are.
        place: what stands in the text of the templates where the numbers come.
    """

    name: str
    size: int
    comment: str
    place: str


@dataclass(frozen=True)
class SelfTest:
    """Rows of inputs with the outputs that they must give, and the largest error that is allowed."""

    rows: int
    xs: tuple[tuple[Port, Table], ...]
    ys: tuple[tuple[Port, Table], ...]
    tolerance: str
    allowed: str
    needs_math: bool


class _Tables:
    """Prints arrays. The text of the templates gets short marks, so that megabytes pass through no template."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def add(self, name: str, values: NDArray[Any], comment: str, per_line: int = 16) -> Table:
        self.texts.append(table(values, per_line))
        return Table(name, values.size, comment, f"\0{len(self.texts) - 1}\0")

    def weight(self, w: Kernel | Vector) -> Table:
        if isinstance(w, Vector):
            numbers = w.values if w.weight is None else w.weight.variable.value
            assert numbers is not None
            per_line = numbers.shape[-1] if numbers.ndim == 2 else 16
            return self.add(w.name, numbers, w.comment, per_line)
        value, own = w.weight.variable.value.reshape(w.inputs, w.outputs), w.weight.variable.name
        if w.low:
            value = ops.bfloat16(value)
        panels = value[:, : w.whole].reshape(w.inputs, -1, w.panel).swapaxes(0, 1)
        ordered = np.concatenate([panels.ravel(), value[:, w.whole :].ravel()])
        # a line of the text is a row of a panel, or some rows of a narrow one
        per_line = w.panel if w.whole else w.rest * (w.panel // w.rest)
        return self.add(w.name, ordered, f"{own} of {w.inputs} x {w.outputs}", per_line)

    def put(self, text: str) -> str:
        """The text with the numbers in it."""
        pieces = text.split("\0")
        pieces[1::2] = [self.texts[int(place)] for place in pieces[1::2]]
        return "".join(pieces)


def render(
    network: Inference,
    stem: str,
    xs: Sequence[NDArray[Any]],
    ys: Sequence[NDArray[Any]],
    tolerance: str,
    summary: Sequence[str],
) -> Sources:
    """Prints the two files.

    Args:
        network: what they compute.
        stem: name of the files without ``.c`` and ``.h``.
        xs: for each input rows for the self-test.
        ys: for each output those that they must give.
        tolerance: C text of the largest error that is allowed.
        summary: lines about layers and sizes, for the comment at the top.

    Returns:
        The header as ``declarations``, and the code.
    """
    tables = _Tables()
    weights = [tables.weight(w) for w in network.weights]
    rows = len(xs[0])
    test = SelfTest(
        rows,
        tuple(
            (port, tables.add(f"{network.prefix}_test_{port.name}", x, f"{rows} rows of inputs"))
            for port, x in zip(network.inputs, xs, strict=True)
        ),
        tuple(
            (port, tables.add(f"{network.prefix}_test_{port.name}", y, "what the outputs must be", min(y.shape[1], 16)))
            for port, y in zip(network.outputs, ys, strict=True)
        ),
        tolerance,
        tolerance.rstrip("f"),
        not all(bool(np.isfinite(y).all()) for y in ys),
    )
    numbers = [w.weight.variable.value if w.weight is not None else w.values for w in network.weights]
    special = not all(np.isfinite(np.asarray(values)).all() for values in numbers)
    bits = 64 if network.real == "double" else 32
    words = _vocabulary(Vocabulary("c99", network.real, bits, 1, bits // 8, network.functions))
    context = {
        "n": network,
        "version": _version.__version__,
        "stem": stem,
        "upper": network.prefix.upper(),
        "inputs": sum(port.size for port in network.inputs),
        "outputs": sum(port.size for port in network.outputs),
        "ports": [*network.inputs, *network.outputs],
        "tables": weights,
        "test": test,
        "vocabulary": words,
        "widths": widths(network.layers),
        "summary": summary,
        "integer": network.integer,
        "bytes": bits // 8,
        "space": f"{max(network.workspace, 1) * bits // 8:,}",
        "weights": f"{sum(t.size for t in weights) * bits // 8:,}",
        "panel": PANEL,
        "root": ("sqrt" if network.real == "double" else "sqrtf") if "nn_sqrt" in network.functions else "",
        "needs_math": special or "nn_sqrt" in network.functions,
        "needs_bits": f"int{bits}_t" in words,
    }
    return Sources(fill("inference.h.j2", context), tables.put(fill("inference.c.j2", context)))


def reader(prefix: str, stem: str, real: str, inputs: Sequence[Port], outputs: Sequence[Port]) -> str:
    """A program that reads samples from its standard input, one input after the other, and writes the outputs."""
    context = {"prefix": prefix, "stem": stem, "real": real, "inputs": inputs, "outputs": outputs}
    return fill("stdin.c.j2", context)


_TYPES = {"vec": "{real}", "real": "{real}", "mask": "int", "vec_int": "int{bits}_t", "vec_bits": "uint{bits}_t"}
"""What the types of the vocabulary are in plain C."""
_LAST_TYPE = "typedef int mask;"
"""Where their declarations end."""


def _vocabulary(v: Vocabulary) -> str:
    """The functions of the vocabulary over the types of C, without the one that does nothing to a single number."""
    text = environment().get_template("vector.h.j2").render({"v": v})
    text = text.partition(_LAST_TYPE)[2]
    for name, c in _TYPES.items():
        text = re.sub(rf"\b{name}\b", c.format(real=v.real, bits=v.bits), text)
    call = "nn_set("
    while (start := text.find(call)) >= 0:
        depth, end = 1, start + len(call)
        while depth:
            depth += {"(": 1, ")": -1}.get(text[end], 0)
            end += 1
        text = text[:start] + text[start + len(call) : end - 1] + text[end:]
    return text.strip("\n")
