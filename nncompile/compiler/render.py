"""Stage 3: from a Program to Sources, the text of the C.

Formulas are printed here, by :mod:`.expression`; the templates place what was printed.
Equal programs give equal bytes: no dates, no paths, no addresses.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from .. import _version
from ..errors import BuildError, ModelError
from . import cache, tiles, vocabulary
from .environment import Environment, create, is_compiled
from .formulas_text import FormulasPrinter, constant_name
from .memory import Matrix
from .program import (
    Backward,
    Dot,
    Forward,
    Program,
    Scatter,
    Take,
    Turn,
    Update,
)
from .records import Field, Vocabulary
from .steps_text import loss_text, step_text
from .sweeps import TILED_ROWS
from .updates import KEPT
from .updates_text import ApplyText, RuleText
from .weightwise import Apply, Product


@dataclass(frozen=True)
class Sources:
    """C that is ready to be compiled.

    Attributes:
        declarations: what Python or a C program may call; no preprocessor.
        code: the unit.
        parts: how many parts of about the same size the unit can be compiled in, with -DPART=1 and so on;
            compiled without that it is whole.
    """

    declarations: str
    code: str
    parts: int = 1

    def __str__(self) -> str:
        return self.code


# ------------------------------------------------------------------ rendering


def template_folder() -> Path:
    """Where the templates are: in the package once installed, beside it in a checkout."""
    inside = Path(__file__).parent.parent / "templates"
    return inside if inside.is_dir() else Path(__file__).parent.parent.parent / "templates"


def _bytecode_folder() -> Path | None:
    """Where compiled templates are kept beside the builds; compiling them takes longer than all else in a warm start.

    Rendering must work where nothing can be written, so a cache folder that cannot be used
    only means that there is no such place; a build would report it.
    """
    try:
        folder = cache.cache_folder() / "templates"
        folder.mkdir(mode=0o700, exist_ok=True)
    except (BuildError, OSError):
        return None
    return folder


@functools.cache
def environment() -> Environment:
    """The environment of the templates, with what is kept of them between processes."""
    folder = template_folder()
    return create(folder) if is_compiled(folder) else create(folder, _bytecode_folder())


def training(program: Program) -> Sources:
    """The unit that Python loads: predict, and evaluate and train if the program can."""
    printer = FormulasPrinter(program)
    records = _records(printer)
    context = {
        "program": program,
        "version": _version.__version__,
        **records,
        **_kernels(program, records),
        "v": _vocabulary(program, printer.functions | _called_by_kernels(program, printer.rules.values())),
        "state": _state(program),
        "threads": program.target.form == "gnu",
        "by_parts": program.target.form == "gnu" and not program.profile,
        "predict_cost": sum(
            (f.cost * getattr(f.step, "positions", 1) for f in records["forward"]), float(program.sample_numbers)
        ),
        "strides": [(constant_name(b.name), b.stride) for b in program.buffers]
        + [(constant_name(t.name), t.stride) for t in program.targets],
        "inputs": [(i, program.buffer(i.name)) for i in program.inputs],
        "weighted": any(t.weights for t in program.targets),
        "takes": any(isinstance(s, (Take, Scatter)) for s in (*program.forward, *program.backward)),
        "captures": any(o.capture for o in program.outputs),
    }
    parts = 3 if records["rule"] else 2
    return Sources(fill("api.h.j2", context), fill("training.c.j2", context), parts=parts)


def _records(printer: FormulasPrinter) -> dict[str, Any]:
    """All steps of a program, printed."""
    program, updates = printer.program, printer.updates
    forward, late = ([step_text(printer, step) for step in some] for some in (program.forward, program.late))
    outputs = [
        (step_text(printer, o.predict), step_text(printer, o.capture) if o.capture else None) for o in program.outputs
    ]
    losses = [loss_text(printer, loss, number) for number, loss in enumerate(program.losses)]
    assignments = [step_text(printer, s) for s in program.assignments]
    rule = None
    penalties, before, behind = (list[ApplyText]() for _ in range(3))
    kernels = list(dict.fromkeys(s.use.rule for s in program.backward if isinstance(s, Update) and s.use))
    if updates is not None:
        printer.rules = updates.rules(kernels)
    backward = [step_text(printer, s) for s in program.backward]
    if updates is not None:
        of = updates.optimization
        made = {a.name: updates.apply(a) for a in (*of.penalties, *of.penalties_behind)}
        penalties, before, behind = (
            [made[a.name] for a in some] for some in (of.penalties, of.penalties_before, of.penalties_behind)
        )
        rule = updates.optimizer(printer.rules, kernels)
    if program.one_pass:
        changes = {f.step.matrix.name: f for f in backward if f.kind == "update"}
        forward = [replace(f, update=changes[f.step.matrix.name]) for f in forward]
    return {
        "forward": forward,
        "late": late,
        "outputs": outputs,
        "losses": losses,
        "backward": backward,
        "assignments": assignments,
        "rule": rule,
        "penalties": penalties,
        "penalties_before": before,
        "penalties_behind": behind,
        "applies": [f for f in (*backward, *penalties, *behind) if f.kind == "apply"],
    }


def _kernels(program: Program, records: Mapping[str, Any]) -> dict[str, Any]:
    """Which kernels of products the steps need, and in which sizes."""
    target, lanes = program.target, _lanes(program)
    steps = [*records["forward"], *records["late"], *records["backward"]]
    products = [s for s in (*program.forward, *program.backward) if isinstance(s, (Forward, Backward))]
    low = tuple(m for m in program.matrices if m.low and not m.parts)
    copied = tuple(m for m in program.matrices if m.copied)
    tiled = [f for f in steps if getattr(f, "pack_cost", 0)]
    sweeps = [p for f in records["applies"] for p in f.parts]
    untiled = (
        any(not s.matrix.parts and not (s.matrix.low and isinstance(s, Forward)) for s in products)
        or any(p.kind == "product" for p in sweeps)
        or any(f.kind == "dot" for f in steps)
    )
    untiled_updates = any(isinstance(s, Update) and s.matrix and not s.matrix.parts for s in program.backward)
    return {
        "heights": target.tile_rows,
        "tile_heights": tuple(dict.fromkeys((*target.tile_rows, 1))),
        "panel": lanes * target.panel_vectors,
        "widths": _widths(program, lanes),
        "pairs": any(
            s.matrix.panels.full > 1 and not s.matrix.copied for s in program.forward if isinstance(s, Forward)
        ),
        "low": low,
        "rounded": any(m.low for m in program.matrices),
        "copied": copied,
        "splits": [tiles.SPLITS[n] for n in sorted({m.parts for m in copied if m.parts})],
        "tile_blocks": tiles.BLOCKS,
        "tiled_rows": TILED_ROWS,
        "tiled": tiled,
        "tiled_updates": any(f.kind == "update" for f in tiled),
        "by_pairs": any(m.parts for m in copied) and target.tiles == "dots",
        "turned": {s.matrix.name for s in program.backward if isinstance(s, Backward) and s.matrix.parts},
        "left_operands": [tiles.left_operand(f) for f in tiled],
        "right_operands": [tiles.right_operand(f) for f in tiled if f.kind == "update"],
        "untiled": untiled,
        "untiled_updates": untiled_updates,
        "in_parts": untiled or untiled_updates or bool(low) or any(p.kind == "sweep" for p in sweeps),
        "dots": any(isinstance(s, Backward) for s in products),
        "side_by_side": _SIDE_BY_SIDE,
        "low_widths": sorted({v for _, v in _row_times(low, lanes)}, reverse=True),
        "row_times": _row_times(low, lanes),
        "grain": max(target.tile_rows[2], 2),
        "together": target.updated_together,
        "transposes": program.scratch_size > 0 or any(isinstance(s, Turn) for s in program.backward),
        "interleaved": _interleaved(lanes),
    }


def _called_by_kernels(program: Program, rules: Iterable[RuleText]) -> set[str]:
    """The functions of the vocabulary that templates call beside those of the formulas."""
    called = {"nn_load", "nn_store", "nn_set"}  # by the kernel of products
    parts = [m.parts for m in program.matrices if m.copied]
    sums = any(r.sums for r in rules)
    if sums or any(isinstance(s, Backward) for s in program.backward):
        called |= {"nn_iota", "nn_lt", "nn_select"}  # by dots(), and by sums over a kernel
    if sums:
        called.add("nn_sum_lanes")
    if parts:
        called |= {"nn_bfloat16", "nn_bits", "nn_from_bits"}
    if any(parts):
        called |= {"nn_iota", "nn_select", "nn_transpose"}
    if any(n > 1 for n in parts):
        called |= {"nn_abs", "nn_and"}
    return called


def _lanes(program: Program) -> int:
    """Numbers in a vector."""
    return max(program.target.vector_bytes // (8 if program.real == "double" else 4), 1)


def _widths(program: Program, lanes: int) -> list[int]:
    """The widths of panels that products have, in vectors, the widest first."""
    cut = [m.panels for m in program.matrices]
    cut += [s.panels for s in program.backward if isinstance(s, Backward)]
    cut += [s.panels for s in (*program.forward, *program.late, *program.backward) if isinstance(s, Dot)]
    applies = [s for s in program.backward if isinstance(s, Apply)]
    applies += program.optimizer.penalties if program.optimizer else ()
    cut += [p.panels for a in applies for p in a.steps if isinstance(p, Product)]
    found = {c.width // lanes for c in cut if c.full} | {c.rest // lanes for c in cut if c.rest}
    return sorted(found, reverse=True)


_SIDE_BY_SIDE = 4
"""Panels that one row is multiplied by at a time, in bfloat16: as many sums as the latency of an addition asks for."""


def _row_times(matrices: Iterable[Matrix], lanes: int) -> list[tuple[int, int]]:
    """How many panels, and of how many vectors, one row is multiplied by at a time."""
    found = set()
    for cut in (m.panels for m in matrices):
        found |= {(n + 1, cut.width // lanes) for n in range(min(cut.full, _SIDE_BY_SIDE))}
        found |= {(1, cut.rest // lanes)} if cut.rest else set()
    return sorted(found)


def _interleaved(lanes: int) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    """The lanes of two vectors side by side, of their first and of their second halves."""
    pairs = [(i, i + lanes) for i in range(lanes)]
    return pairs[: lanes // 2], pairs[lanes // 2 :]


def fill(name: str, context: Mapping[str, Any]) -> str:
    """Renders a template; blank lines that macros leave behind are taken out."""
    text = environment().get_template(name).render(context)
    text = re.sub(r"\n{3,}", "\n\n", text)
    return re.sub(r"(?<=\{\n)\n|\n(?=\n *\})", "", text).strip("\n") + "\n"


_OF_ROWS = {
    "nn_first": (),
    "nn_argmax_lanes": ("nn_max_lanes", "nn_min_lanes", "nn_select", "nn_eq", "nn_set"),
    "nn_store_some": ("nn_store",),
    "nn_transpose": (),
    "nn_load_columns": ("nn_transpose", "nn_load", "nn_set"),
    "nn_store_columns": ("nn_transpose", "nn_store"),
    "nn_lane": (),
    "nn_sum_first": (),
}
"""What templates/kernels/rows.c.j2 adds to the vocabulary, and what that calls."""


def _vocabulary(program: Program, functions: Iterable[str]) -> Vocabulary:
    size = 8 if program.real == "double" else 4
    target = program.target
    width = target.vector_bytes or size
    names = set(functions)
    names |= {called for name, calls in _OF_ROWS.items() if name in names for called in calls}
    if any(isinstance(s, Backward) for s in program.backward):
        names.add("nn_transpose")
    used = vocabulary.closure(sorted(names - set(_OF_ROWS)), target.form)
    return Vocabulary(
        target.form, program.real, size * 8, width // size, width, (*used, *(n for n in _OF_ROWS if n in names))
    )


def _kept(program: Program, weight: str, shape: tuple[int, ...], numbers: int) -> list[Field]:
    """What is kept beside a weight, and its gradient if that goes to memory."""
    optimizer = program.optimizer
    if optimizer is None:
        return []
    lanes = _lanes(program)
    fields = [
        Field(program.real, f"{weight}_{name}", numbers if of == shape else -(-max(of) // lanes) * lanes, what)
        for name, of in optimizer.slots(weight)
        for what in [f"{name} of the optimizer"]
    ]
    if weight in optimizer.gradients:
        fields.append(Field(program.real, f"{weight}_{KEPT}", numbers, "its gradient"))
    return fields


def _state(program: Program) -> list[Field]:
    """The members of the state, weights first so that they are aligned."""
    fields: list[Field] = []
    optimizer = program.optimizer
    backward = (s for s in program.backward if isinstance(s, Backward) and s.matrix.parts)
    turned = {s.matrix.name: s.panels.padded for s in backward}
    for m in program.matrices:
        what = f"{m.inputs} x {m.outputs}: {m.panels}, each of {m.inputs} rows"
        fields.append(Field(program.real, m.name, m.numbers, what))
        if m.copied:
            parts = f" in {m.parts} parts" if m.parts > 1 else ""
            pairs = f"the same in bfloat16{parts}, {m.pairs} pairs of rows, the first in the lower half of a word"
            fields.append(Field("uint32_t", f"{m.name}_pairs", max(m.parts, 1) * m.part_size, pairs))
        if m.name in turned:
            pairs = f"the same transposed, {16 * m.depth} pairs of rows"
            size = m.parts * 16 * m.depth * turned[m.name]
            fields.append(Field("uint32_t", f"{m.name}_transposed", size, pairs))
        fields += _kept(program, m.name, (m.inputs, m.outputs), m.numbers)
    for v in program.vectors:
        fields.append(Field(program.real, v.name, v.padded, f"{v.length}"))
        fields += _kept(program, v.name, (v.length,), v.padded)
    if optimizer:
        fields += [Field("double", n, 0, f"of the {whose}") for n, whose, _ in optimizer.numbers]
        fields.append(Field(program.real, "learning_rate", 0, "of the optimizer"))
        fields += [Field(program.real, n, 0, "of the optimizer, shared by all weights") for n, _ in optimizer.scalars]
    fields.append(Field("int64_t", "step", 0, "updates done"))
    fields.append(Field("int32_t", "turn", 0, "whether the next prediction does the units of a step backwards"))
    if program.noises:
        fields.append(Field("int64_t", "calls", 0, "so far; each draws other random numbers"))
    fields += [Field("uint64_t", f"noise_{i}_seed", 0, "of random numbers") for i in range(len(program.noises))]
    fields += [Field("double", f"{n}_total", 0, "sum so far") for n in program.totals]
    fields += [Field("double", f"{n}_seconds", 0, "that this took so far") for n in program.laps]
    names = [f.name for f in fields]
    for name in names:
        if names.count(name) > 1:
            raise ModelError(
                f"{program.name}: two things would be called {name!r} in C: of the layers' weights and what the "
                "optimizer and the metrics keep. Give the layer, its weight or the metric another name."
            )
    return fields
