"""The compiler: layers, formulas → Graph → Program → Sources → Library.

====================  ======================  =======================================
stage                 in → out                rule
====================  ======================  =======================================
:mod:`.graph`         model → Graph           all mistakes of a user are found here
:mod:`.planner`       Graph, losses,          after it nothing is decided; forward
                      optimizer and Target    is :mod:`.flow`, the way back
                      → Program               :mod:`.backwards`; :mod:`.columns`
                                              joins what goes over rows of a batch
:mod:`.updates`       its part for the        one formula per weight, ending the
                      weights                 gradient's kernel or as :mod:`.sweeps`
:mod:`.render`        Program → Sources       same input, same bytes; :mod:`.steps_text`
                                              and others print the :mod:`.records` of
                                              templates, for Jinja2 in :mod:`.environment`
:mod:`.build`         Sources → module        the only importer of cffi and subprocess;
                                              cached by content
:mod:`.library`       module → Library        the state, bound to the model's variables
====================  ======================  =======================================

The export goes from the Graph to :mod:`.inference` and :mod:`.standalone` instead: one
sample at a time, without padding, as two files of plain C99.

``NNCOMPILE_DEBUG=1`` prints the time of each stage, 2 the graph and the program as well,
3 the C, 4 the commands, all to the standard error.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from typing import Any, TypeVar

from ..targets import Target
from . import build, graph, planner, render
from .library import Library
from .program import Program, Supervision, Training
from .render import Sources

T = TypeVar("T")


def compile_network(model: Any, target: Target, training: Training | None = None) -> Library:
    """Compiles a built model.

    Args:
        model: the model.
        target: the processor.
        training: what it is trained for; None for a network that only predicts.

    Returns:
        A library; its state is not bound to the model's variables yet.
    """
    planned = plan(model, target, training)
    sources = staged("render", lambda: render.training(planned), 3)
    module = staged("build", lambda: build.build(sources, target), 5)
    if level() >= 4:
        for command in build.commands_for(build.find_compiler(), target, sources.parts):
            print(" ".join(command), file=sys.stderr)
    return Library(module, planned, sources.code)


def plan(model: Any, target: Target, training: Training | None = None) -> Program:
    """The first two stages: from a model to a program."""
    real = "double" if model.dtype == "float64" else "float"
    inference = staged("graph", lambda: graph.build(model, training=False), 2)
    if training is None:
        return staged("program", lambda: planner.build(inference, target, real), 2)
    as_trained = staged("graph", lambda: graph.build(model, training=True), 2)
    return staged("program", lambda: planner.build(inference, target, real, as_trained, training), 2)


def staged(name: str, work: Callable[[], T], shown_at: int) -> T:
    """Does the work of a stage, printing what NNCOMPILE_DEBUG asks for."""
    begun = time.perf_counter()
    result = work()
    if level() >= 1:
        print(f"nncompile: {name}: {(time.perf_counter() - begun) * 1e3:.1f} ms", file=sys.stderr)
    if level() >= shown_at:
        print(result, file=sys.stderr)
    return result


def level() -> int:
    """How much NNCOMPILE_DEBUG asks for."""
    text = os.environ.get("NNCOMPILE_DEBUG", "0")
    return int(text) if text.isdecimal() else 0


__all__ = ["Library", "Program", "Sources", "Supervision", "Training", "compile_network", "plan"]
