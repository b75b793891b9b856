"""Steps of a program as records for the templates: which function of C each becomes, and what it costs."""

from __future__ import annotations

from typing import Any

from ..errors import InternalError
from . import tiles
from .formulas_text import FormulasPrinter, constant_name, rows_of
from .memory import Buffer
from .program import (
    Backward,
    Columns,
    Copy,
    Dot,
    Forward,
    Loss,
    Program,
    Rows,
    Scatter,
    Take,
    Turn,
    Update,
)
from .records import (
    BackwardText,
    CopyText,
    DotText,
    ForwardText,
    LoopsText,
    LossText,
    RowsText,
    ScatterText,
    TakeText,
    TurnText,
    UpdateText,
)
from .updates import KEPT
from .weightwise import Apply


def step_text(printer: FormulasPrinter, step: Any) -> Any:
    if isinstance(step, Apply):
        assert printer.updates is not None
        return printer.updates.apply(step, printer.program.matrices)
    rows = rows_of(getattr(step, "positions", 1))
    program = printer.program
    if isinstance(step, Forward):
        train, infer = (printer.tile(f) if f else None for f in (step.training, step.inference))
        formula = step.training or step.inference
        one, other = train or infer, infer or train
        assert formula is not None and one is not None and other is not None
        stride, x_stride = constant_name(formula.stores[0][0]), constant_name(step.x)
        work = tiles.work(step.matrix, step.matrix.panels, rows, step.matrix.inputs, program.target)
        return ForwardText(step, step.x, x_stride, stride, one, other, one == other, rows, *work, _when(step))
    if isinstance(step, Rows):
        texts = [printer.rows(f, step.width) if f else None for f in (step.training, step.inference)]
        same = texts[0] == texts[1] or None in texts
        return RowsText(step, texts[0] or texts[1], texts[1], same, rows, 30.0 * step.width, _when(step))
    if isinstance(step, Columns):
        return printer.columns(step)
    if isinstance(step, Backward):
        stride, dy_stride = constant_name(step.formula.stores[0][0]), constant_name(step.dy)
        work = tiles.work(step.matrix, step.panels, rows, step.matrix.outputs, program.target, "BACKWARD_ROWS")
        return BackwardText(step, step.dy, dy_stride, stride, printer.tile(step.formula), rows, *work)
    if isinstance(step, Update):
        vectors = tuple(
            (v, d, "0" if alone else constant_name(d), alone, use.at, printer.rules[use.rule])
            for (v, d, alone), use in zip(step.vectors, step.vector_uses, strict=True)
        )
        rule = printer.rules[step.use.rule] if step.use else None
        units, cost, pack_cost = f"pieces({vectors[0][0].padded if vectors else 0}, PANEL)", 0.0, 0.0
        if step.matrix:
            packed = step.matrix.inputs + step.matrix.panels.padded
            cost, units, pack_cost = tiles.work(
                step.matrix, step.matrix.panels, str(step.matrix.inputs), packed, program.target, "UPDATE_ROWS"
            )
        else:
            cost = 2.0 * vectors[0][0].padded
        x_stride, dy_stride = constant_name(step.x), constant_name(step.dy)
        return UpdateText(step, step.x, x_stride, step.dy, dy_stride, rule, vectors, rows, units, cost, pack_cost)
    if isinstance(step, Turn):
        return TurnText(step, 2.0 * step.matrix.inputs * step.matrix.panels.padded)
    if isinstance(step, Scatter):
        dy = program.buffer(step.dy)
        cost = 2.0 * dy.positions * dy.columns
        return ScatterText(step, program.buffer(step.indices), dy, f"{step.matrix.name}_{KEPT}", cost)
    if isinstance(step, Copy):
        target = program.buffer(step.target)
        pieces = tuple(_loops(program, step, piece, target) for piece in step.arrangement.pieces)
        clear = step.adds or not step.arrangement.whole or target.columns != target.stride
        return CopyText(step, target, pieces, clear, 2.0 * target.positions * target.columns, step.when)
    if isinstance(step, Dot):
        left, right, target = (program.buffer(name) for name in (step.left, step.right, step.target))
        cost = 2.0 * step.groups * step.rows * step.inner * step.panels.padded
        return DotText(step, left, right, target, step.panels.padded, cost, step.when)
    if isinstance(step, Take):
        target = program.buffer(step.target)
        return TakeText(step, program.buffer(step.indices), target, 2.0 * target.positions * target.columns, step.when)
    raise InternalError(f"no text for {step!r}")


def _when(step: Forward | Rows) -> str:
    """In which mode a step is done."""
    return "inference" if step.training is None else "training" if step.inference is None else "both"


def _loops(program: Program, step: Copy, piece: Any, target: Buffer) -> LoopsText:
    """The loops that bring numbers of a sample to their places."""
    source = program.buffer(step.sources[piece.source])
    sizes, starts = list(piece.sizes), (piece.start, piece.to_start)
    steps = [list(piece.steps), list(piece.to_steps)]
    run = sizes[-1]
    for buffer, start, by in zip((source, target), starts, steps, strict=True):
        inside = buffer.positions == 1 or (
            start % buffer.columns + run <= buffer.columns and all(n % buffer.columns == 0 for n in by[:-1])
        )
        if by[-1] != 1 or not inside:
            run = 1
    if run > 1:
        sizes, steps = sizes[:-1], [by[:-1] for by in steps]
    names = [f"i{n}" for n in range(len(sizes))]
    places = []
    for buffer, start, by in zip((source, target), starts, steps, strict=True):
        terms = [f"{name} * {n}" if n != 1 else name for name, n in zip(names, by, strict=True) if n]
        at = " + ".join([*terms, *([str(start)] if start or not terms else [])])
        if buffer.positions > 1:
            at = f"({at}) / {buffer.columns} * {constant_name(buffer.name)} + ({at}) % {buffer.columns}"
        places.append(at)
    heads = [f"for (int {i} = 0; {i} < {n}; {i}++)" for i, n in zip(names, sizes, strict=True)]
    loops = tuple("    " * depth + head for depth, head in enumerate(heads))
    return LoopsText(source, loops, "    " * len(heads), run, places[0], places[1])


def loss_text(printer: FormulasPrinter, loss: Loss, number: int) -> LossText:
    positions = loss.rows.positions if loss.mean == "mean" else 1
    count = f"((double)w->samples * {positions})" if positions > 1 else "(double)w->samples"
    squared = f"1.0 / ({count} * {count})"
    scale = {"sum": "1.0", "weights": f"1.0 / w->weights[{number}]", "squared": squared}.get(
        loss.mean, f"1.0 / {count}"
    )
    scale = f"{loss.factor!r} * {scale}" if loss.factor != 1.0 else scale
    share = {
        "sum": " * w->samples", "weights": f" * w->samples / w->weights[{number}]", "squared": " / w->samples",
    }.get(loss.mean, f" / {positions}" if positions > 1 else "")  # fmt: skip
    tallies = tuple(
        printer.tally(tally, loss.rows.width, f"{loss.name}_{mode}_sums_{n}", mode)
        for mode, runs in (("training", loss.trained), ("inference", loss.predicted))
        for n, tally in enumerate(runs, 1)
    )
    singles = max((len(t.singles) for t in tallies), default=0)
    columns = max((sum(padded for _, padded, _ in t.columns) for t in tallies), default=0)
    return LossText(loss, step_text(printer, loss.rows), number, scale, share, tallies, singles, columns)
