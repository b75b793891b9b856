"""The command line: ``nncompile build``, ``nncompile bench`` and ``nncompile demo``.

It ends with 0, with 1 if something failed, and with 2 if it was called wrongly. What goes
wrong is one line on the standard error; with ``NNCOMPILE_DEBUG`` the traceback as well.
"""

from __future__ import annotations

import argparse
import os
import runpy
import sys
import time
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from . import _version, registry, targets
from .errors import ModelError, NncompileError

if TYPE_CHECKING:
    from .export import Report

_TARGETS = ("c99",)
"""What C can be written for."""
_SPECS = (
    "SPEC is one of:\n"
    "  model.keras     a file of Keras 3 or of nncompile\n"
    "  model.h5        a file of Keras 1 or 2\n"
    "  config.json     the layers alone; weights are drawn anew{}\n"
    "  file.py:NAME    the model NAME of a Python file, which is run:\n"
    "                  {} only files that you trust\n"
)
_LEAST = 0.9
"""Accuracy that the demo must reach."""
_APART = 1e-4
"""How far outputs of C and of Python may be apart in the demo: they round differently."""


class _Formatter(argparse.RawDescriptionHelpFormatter):
    """Help as wide as the terminal, with descriptions as they are written."""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="nncompile",
        description="A compiler for neural networks: Keras models become C.",
        epilog="nncompile COMMAND --help explains a command.",
        formatter_class=_Formatter,
        allow_abbrev=False,
    )
    parser.add_argument("-V", "--version", action="version", version=f"nncompile {_version.__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", dest="command")

    build = commands.add_parser(
        "build",
        help="write a model as one C file and one header",
        description=(
            "Writes a model as NAME.c and NAME.h: C99 that needs no library and no heap, for\n"
            "any processor. The same model always gives the same bytes."
        ),
        epilog=(
            _SPECS.format(", see --seed", "build") + "\n"
            "example:\n"
            "  nncompile build mnist.keras -o firmware/\n"
            "  cc -std=c99 -O2 -DMNIST_SELF_TEST firmware/mnist.c -o selftest && ./selftest"
        ),
        formatter_class=_Formatter,
        allow_abbrev=False,
    )
    build.add_argument("spec", metavar="SPEC", help="the model: .keras, .h5, config.json, or file.py:NAME")
    build.add_argument(
        "-o",
        "--output",
        metavar="DIR",
        default=".",
        help="folder of the two files, made if missing (default: here)",
    )
    build.add_argument(
        "--name", metavar="NAME", help="what files, functions and macros are called (default: as the SPEC is called)"
    )
    build.add_argument(
        "--target", choices=_TARGETS, default="c99", help="what the C is for: c99 is any processor (default: c99)"
    )
    build.add_argument(
        "--seed",
        metavar="N",
        type=_seed,
        default=1,
        help="of the random numbers with which weights begin that are in no file (default: 1)",
    )
    build.add_argument("-q", "--quiet", action="store_true", help="print nothing unless something fails")
    build.set_defaults(run=_build, parser=build)

    bench = commands.add_parser(
        "bench",
        help="measure how fast a model trains and predicts here, and what bounds it",
        description=(
            "Measures a model on made-up data: compiling, training, prediction of one row\n"
            "and of many, and each step of training, beside the most that this machine can\n"
            "do and beside other libraries that are installed. A compiled model is trained\n"
            "as it says, any other one with Adam and a loss that fits. No file changes."
        ),
        epilog=(
            _SPECS.format("", "measure") + "\nexample:\n  nncompile bench mnist.keras --batch-size 100 --plot mnist.png"
        ),
        formatter_class=_Formatter,
        allow_abbrev=False,
    )
    bench.add_argument("spec", metavar="SPEC", help="the model: .keras, .h5, config.json, or file.py:NAME")
    bench.add_argument("--batch-size", metavar="N", type=_positive, default=32, help="rows per update (default: 32)")
    bench.add_argument("--rows", metavar="N", type=_positive, default=10_000, help="rows of data (default: 10,000)")
    bench.add_argument(
        "--epochs",
        metavar="N",
        type=_positive,
        help="passes over the data that are timed, after one that is not (default: 5, more if they are short)",
    )
    bench.add_argument(
        "--threads", metavar="N", type=_positive, help="how many to compute with (default: one per core)"
    )
    bench.add_argument(
        "--target",
        metavar="NAME",
        choices=[t.name for t in targets.TARGETS],
        help=f"processor to compile for: {', '.join(t.name for t in targets.TARGETS)} "
        "(default: the best that this machine can run)",
    )
    bench.add_argument(
        "--peers",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="whether to measure other libraries that are installed, which takes a minute or two (default: yes)",
    )
    bench.add_argument("--plot", metavar="FILE", help="draw a picture too: .png, .svg or .pdf; needs matplotlib")
    bench.add_argument("--json", action="store_true", help="print one JSON object instead of text")
    bench.set_defaults(run=_bench, parser=bench)

    demo = commands.add_parser(
        "demo",
        help="train a network on handwritten digits, export it as C, and test the C",
        description=(
            "Shows the whole path on 9,000 handwritten digits that come with nncompile: it\n"
            "trains a network with two hidden layers of 500 neurons, writes mnist.keras,\n"
            "mnist.c and mnist.h, compiles the C, runs its self-test, and compares its\n"
            "predictions with Python's."
        ),
        formatter_class=_Formatter,
        allow_abbrev=False,
    )
    demo.add_argument("--epochs", metavar="N", type=_positive, default=20, help="passes over the data (default: 20)")
    demo.add_argument("-o", "--output", metavar="DIR", default="out", help="folder of the three files (default: out)")
    demo.add_argument("--seed", metavar="N", type=_seed, default=1, help="of all random numbers (default: 1)")
    demo.set_defaults(run=_demo, parser=demo)
    return parser


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError
    return number


def _seed(text: str) -> int:
    number = int(text)
    if not 0 <= number < 2**32:
        raise ValueError
    return number


_positive.__name__, _seed.__name__ = "positive whole number", "seed (0 to 4294967295)"  # in argparse's messages


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line; ``sys.argv`` if no arguments are given. Returns the exit status."""
    parser = _parser()
    given, unknown = parser.parse_known_args(arguments)
    if given.command is None and not unknown:
        parser.print_help(sys.stderr)
        return 2
    if unknown:
        _refuse(parser if given.command is None else given.parser, unknown)
    try:
        status: int = given.run(given)
        if sys.stdout is not None:  # of ``nncompile … >&-``
            sys.stdout.flush()
    except BrokenPipeError:  # of ``nncompile … | head``
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (NncompileError, OSError) as error:
        if os.environ.get("NNCOMPILE_DEBUG", "0") not in ("", "0"):
            traceback.print_exc()
        print(f"nncompile: error: {_text(error)}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("nncompile: interrupted", file=sys.stderr)
        return 130
    return status


def _refuse(parser: argparse.ArgumentParser, unknown: Sequence[str]) -> NoReturn:
    """Ends the program, with the usage of the command that does not know what it was given."""
    options = [name for action in parser._actions for name in action.option_strings if name.startswith("--")]
    wrong = unknown[0].partition("=")[0]
    hint = registry.nearest(wrong, options) if wrong.startswith("-") else ""
    parser.error(f"unrecognized arguments: {' '.join(unknown)}{hint and '.' + hint}")


def _text(error: Exception) -> str:
    """What went wrong, with the file before it, as compilers say it."""
    if isinstance(error, OSError) and error.filename is not None and error.strerror:
        return f"{os.fsdecode(error.filename)}: {error.strerror}."
    return str(error)


def _output(given: str) -> Path:
    """The folder to write to.

    Raises:
        ModelError: it is a file.
    """
    folder = Path(given)
    if folder.exists() and not folder.is_dir():
        raise ModelError(f"--output: {given}: expected a folder, found a file.")
    return folder


# ------------------------------------------------------------------ build


def _build(given: argparse.Namespace) -> int:
    from . import export, utils

    folder = _output(given.output)
    utils.set_random_seed(given.seed)
    spec = str(given.spec)
    model, name, fresh = _from_spec(spec)
    stem = export.file_stem(given.name if given.name is not None else name or Path(spec).stem)
    report = export.export_model(model, folder / f"{stem}.c", name=given.name or stem)
    if not given.quiet:
        if fresh:
            print(f"{spec} has no weights: they were drawn anew, with seed {given.seed}.\n")
        print(report)
    return 0


def _from_spec(spec: str, compile: bool = False) -> tuple[Any, str, bool]:
    """The model, what it is called in a Python file, and whether its weights are new.

    Args:
        spec: as the user wrote it.
        compile: whether a file also says how the model is trained.
    """
    if not spec:
        raise ModelError("SPEC: expected a file of a model, received ''.")
    if ".py:" in spec or spec.endswith(".py"):
        file, _, name = spec.rpartition(":") if ".py:" in spec else (spec, "", "")
        return _from_python(Path(file), name), name, False
    model, fresh = _from_file(Path(spec), compile)
    return model, "", fresh


def _from_file(path: Path, compile: bool) -> tuple[Any, bool]:
    """The model of a file, and whether its weights are new."""
    from . import saving

    model = saving.load_model(path, compile=compile)
    with open(path, "rb") if path.is_file() else open(path / "config.json", "rb") as file:
        fresh = path.is_file() and file.read(64).lstrip().startswith(b"{")
    return model, fresh


def _from_python(path: Path, name: str) -> Any:
    """The model ``name`` that a user's own file makes. It is run, as ``python file.py`` would."""
    from .models import Model

    if not path.is_file():
        raise ModelError(f"{path}: there is no such file.")
    folder = str(path.resolve().parent)
    sys.path.insert(0, folder)  # so that it can import what lies beside it
    try:
        values = runpy.run_path(str(path), run_name=path.stem)
    except NncompileError:
        raise
    except SystemExit as error:
        raise ModelError(f"{path}: it ended itself with sys.exit({error.code!r}) before there was a model.") from error
    except SyntaxError as error:
        raise ModelError(f"{path}: it failed with {type(error).__name__}: {error}.") from error  # which says where
    except Exception as error:
        frames = traceback.extract_tb(error.__traceback__)
        place = next((f for f in reversed(frames) if f.filename == str(path)), frames[-1])  # not deep in a library
        raise ModelError(
            f"{path}: it failed with {type(error).__name__}: {error} ({place.filename}, line {place.lineno})."
        ) from error
    finally:
        sys.path.remove(folder)
    models = [key for key, value in values.items() if isinstance(value, Model)]
    found = f"It has the models {', '.join(models)}." if models else "There is no model in it."
    example = f" Write {path}:{models[0]}" if models else ""
    if not name:
        raise ModelError(f"{path}: expected the name of a model behind a colon. {found}{example}")
    if name not in values:
        raise ModelError(f"{path}: has no variable {name!r}. {found}{example}")
    if not isinstance(values[name], Model):
        raise ModelError(f"{path}: {name}: expected a model, found {type(values[name]).__name__}. {found}{example}")
    return values[name]


# ------------------------------------------------------------------ bench


def _bench(given: argparse.Namespace) -> int:
    from . import config, utils
    from .benchmark import report

    if given.plot is not None:
        from .benchmark import drawing

        drawing.check(given.plot)  # before minutes of measuring
    utils.set_random_seed(1)
    if given.target is not None:
        config.set_target(given.target)
    model, _, fresh = _from_spec(str(given.spec), compile=True)
    options = report.Options(given.batch_size, given.rows, given.epochs, given.threads, given.peers)
    notes = [f"{given.spec} has no weights: they were drawn anew."] if fresh else []
    watched = sys.stderr is not None and sys.stderr.isatty() and os.environ.get("TERM") != "dumb"

    def progress(line: str) -> None:
        print(f"\r\x1b[K{line[:100]}", end="", file=sys.stderr, flush=True)

    def show(text: str) -> None:
        if watched:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)
        if text:
            print(text, end="\n\n", flush=True)

    made = report.benchmark(
        model, options, notes, show=None if given.json else show, progress=progress if watched else None
    )
    if given.json:
        print(made.to_json())
    if given.plot is not None:
        drawing.draw(made, given.plot)
        if not given.json:
            print(f"wrote {given.plot}")
    return 0


# ------------------------------------------------------------------ demo


def _demo(given: argparse.Namespace) -> int:
    import numpy as np

    from . import export, utils
    from .datasets import mnist
    from .layers import Dense, Dropout, Input
    from .models import Sequential

    folder = _output(given.output)
    folder.mkdir(parents=True, exist_ok=True)  # before a minute of training
    utils.set_random_seed(given.seed)
    shipped = Path(mnist.__file__).with_name("mnist9k.npz")
    (x, y), (x_test, y_test) = mnist.load_data(shipped)
    x, x_test = (np.asarray(a.reshape(len(a), -1) / 255, dtype="float32") for a in (x, x_test))
    model = Sequential(
        [
            Input((784,)),
            Dense(500, activation="sigmoid"),
            Dropout(0.2),
            Dense(500, activation="relu"),
            Dense(10, activation="softmax"),
        ],
        name="mnist",
    )
    model.compile(loss="sparse_categorical_crossentropy", optimizer="adam", metrics=["accuracy"])

    held = 0.1
    print(f"1. Training on {round(len(x) * (1 - held)):,} digits, with {round(len(x) * held):,} to look at in between.")
    begun = time.perf_counter()
    model.fit(x, y, batch_size=100, epochs=given.epochs, validation_split=held, verbose=2)
    trained = time.perf_counter() - begun

    print(f"2. Testing it on {len(x_test):,} other digits.")
    accuracy = model.evaluate(x_test, y_test, verbose=0, return_dict=True)["accuracy"]

    print("3. Writing it as a Keras file and as C.\n")
    model.save(folder / "mnist.keras")
    begun = time.perf_counter()
    report = export.export_model(model, folder / "mnist.c")
    exported = time.perf_counter() - begun
    print(*(f"   {line}".rstrip() for line in report.lines()), sep="\n")

    print("\n4. Compiling the C, and running its self-test.")
    begun = time.perf_counter()
    test = export.run_self_test(report)
    compiled = time.perf_counter() - begun
    print(f"   {test.output.decode('ascii', 'replace').strip()}")

    print("5. Comparing what C and Python say to the test digits.")
    expected = model.predict(x_test, verbose=0)
    got = export.run_predict(report, x_test)
    apart = float(np.abs(got - expected).max())
    same = int((got.argmax(axis=-1) == expected.argmax(axis=-1)).sum())
    print(f"   The same digit for {same:,} of {len(x_test):,}; outputs differ by at most {apart:.1e}.")

    passed = test.status == 0 and not apart > _APART
    print(f"\n{_summary(accuracy, trained, exported, compiled, report, folder)}")
    if not passed:
        print("nncompile: error: the C does not compute what was trained.", file=sys.stderr)
    if accuracy < _LEAST:
        print(
            f"nncompile: error: expected an accuracy of at least {_LEAST:.0%}; give it more --epochs.", file=sys.stderr
        )
    return 0 if passed and accuracy >= _LEAST else 1


def _summary(accuracy: float, trained: float, exported: float, compiled: float, report: Report, folder: Path) -> str:
    files = ", ".join(
        f"{folder / name} ({(folder / name).stat().st_size / 1e6:.1f} MB)" for name in ("mnist.keras", "mnist.c")
    )
    return "\n".join(
        [
            f"accuracy   {accuracy:.1%} of the test digits",
            f"time       training {trained:.1f} s, export {exported:.1f} s, compiling and self-test {compiled:.1f} s",
            f"C          {report.weights:,} bytes of weights, {report.workspace:,} of workspace, no heap, no library",
            f"files      {files}, {folder / 'mnist.h'}",
        ]
    )
