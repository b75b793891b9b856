"""Export: a trained network as one C file and one header that need nothing else.

The C is strict C99 without heap, library or variables of its own, for any processor. Its
predictions are bit for bit those of the target ``c99`` in Python, and it carries inputs
and outputs computed by that target, so that it can be tested where it is to run::

    model.export("out/mnist.c")
    cc -std=c99 -O2 -DMNIST_SELF_TEST out/mnist.c -o mnist_test && ./mnist_test
"""

from __future__ import annotations

import contextlib
import dataclasses
import math
import os
import secrets
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import absent, compiler, registry, targets
from .compiler import build, graph, inference, standalone
from .compiler.environment import safe_comment
from .compiler.expression import Pass, identifier
from .compiler.inference import Inference, Port
from .errors import BuildError, ModelError, UnsupportedError
from .saving import storage

Array = NDArray[Any]

_FORMATS = ("tf_saved_model", "onnx", "openvino", "litert", "torch")
_FOREIGN = (".cc", ".cpp", ".cxx", ".h5", ".hdf5", ".hpp", ".json", ".keras", ".onnx", ".pb", ".pt", ".py", ".tflite")
_ARGUMENTS = ("filepath", "format", "name", "verbose", "input_signature")


@dataclass(frozen=True)
class LayerSize:
    """One line of the report.

    Attributes:
        title: the layer.
        shape: of its output.
        weights: numbers that it has.
        multiply_adds: of its product, for one sample.
    """

    title: str
    shape: tuple[int, ...]
    weights: int
    multiply_adds: int


@dataclass(frozen=True)
class Report:
    """What was exported and what it needs. ``str()`` of it is for people.

    Attributes:
        name: what the names in C begin with.
        real: ``float`` or ``double``.
        inputs, outputs: numbers of a sample.
        ports: the arguments of predict: inputs and outputs.
        source, header: the files.
        source_bytes: size of the file of C.
        layers: the parts of the network that do something.
        weights: bytes of constant data, exactly.
        workspace: bytes that the caller gives, exactly.
        stack: bytes of stack that are enough for a call.
        multiply_adds: for one sample.
        tolerance: of the self-test; the error is 0 unless the compiler contracts.
    """

    name: str
    real: str
    inputs: int
    outputs: int
    ports: tuple[tuple[Port, ...], tuple[Port, ...]]
    source: Path
    header: Path
    source_bytes: int
    layers: tuple[LayerSize, ...]
    weights: int
    workspace: int
    stack: int
    multiply_adds: int
    tolerance: float

    def lines(self) -> list[str]:
        """The report without the files, as it stands in the C."""
        rows = [("layer", "output", "weights", "multiply-adds")]
        for layer in self.layers:
            shape = " x ".join(map(str, layer.shape))
            rows.append((safe_comment(layer.title)[:40], shape, f"{layer.weights:,}", f"{layer.multiply_adds:,}"))
        rows.append(("total", "", f"{sum(layer.weights for layer in self.layers):,}", f"{self.multiply_adds:,}"))
        wide = [max(map(len, column)) for column in zip(*rows, strict=True)]
        text = [
            "  ".join([row[0].ljust(wide[0]), *(cell.rjust(w) for cell, w in zip(row[1:], wide[1:], strict=True))])
            for row in rows
        ]
        sizes = [
            ("weights", self.weights, "constant, and the only data of the file"),
            ("workspace", self.workspace, "given by the caller"),
            ("stack", self.stack, "at most, even without optimisation"),
        ]
        width = max(len(f"{size:,}") for _, size, _ in sizes)
        return [*text, "", *(f"{name:<9}  {size:>{width},} bytes, {what}" for name, size, what in sizes)]

    def __str__(self) -> str:
        files = f"{self.source} ({_readable(self.source_bytes)}) and {self.header}"
        return "\n".join([*self.lines(), "", f"wrote {files}"])


def _readable(size: int) -> str:
    return f"{size:,} bytes" if size < 10_000 else f"{size / 1e3:.1f} kB" if size < 1e6 else f"{size / 1e6:.2f} MB"


def export_model(
    model: Any,
    filepath: str | os.PathLike[str],
    format: str = "c",
    name: str | None = None,
    verbose: bool | None = None,
    input_signature: Any = None,
    **unknown: Any,
) -> Report:
    """Writes a model as C that needs nothing else: ``mnist.c`` and ``mnist.h``.

    ``mnist.h`` declares ``MNIST_INPUTS``, ``MNIST_OUTPUTS``, ``mnist_workspace`` and
    ``mnist_predict``. Both files are there as a whole or, on error, as they were. Equal
    models give equal bytes.

    Args:
        model: a built model.
        filepath: of the C file, or of a folder that exists; missing folders are made.
        format: ``"c"``.
        name: what the names in C begin with; the stem of the file if None.
        verbose: whether to print the report.
        input_signature: not supported; the model knows the shape of its input.
        **unknown: none.

    Returns:
        A :class:`Report`: sizes, and the multiply-adds of each layer.

    Raises:
        ModelError: the model is not built, or the name or path cannot be used.
        UnsupportedError: another format, or a network that cannot be exported yet.
        BuildError: there is no C compiler to compute the outputs of the self-test with.
        OSError: a file cannot be written.
    """
    registry.check_keywords("export()", unknown, _ARGUMENTS)
    registry.refuse("export()", input_signature=input_signature)
    _check_format(format)
    model._need_built("export")
    folder, stem = _place(filepath, model.name)
    prefix = _prefix(stem if name is None else name)
    network = _plan(model, prefix)
    xs = _test_inputs(network)
    ys = _expected(model, [x.reshape(-1, *port.shape) for x, port in zip(xs, network.inputs, strict=True)])
    tolerance = _tolerance(ys, network.real)
    source, header = folder / f"{stem}.c", folder / f"{stem}.h"
    report = _report(network, source, header, tolerance)
    text = f"{tolerance:.0e}".replace("e-0", "e-") + ("" if network.real == "double" else "f")
    rows = [y.reshape(len(y), -1) for y in ys]
    rendered = compiler.staged("render", lambda: standalone.render(network, stem, xs, rows, text, report.lines()), 5)
    files = {header: rendered.declarations.encode("ascii"), source: rendered.code.encode("ascii")}
    _write(files)
    report = dataclasses.replace(report, source_bytes=len(files[source]))
    if verbose:
        print(report)
    return report


# ------------------------------------------------------------------ names


def _check_format(format: Any) -> None:
    if format == "c":
        return
    if format in _FORMATS:
        raise UnsupportedError(f"export(): format={format!r} is not supported; format='c' writes C99.")
    raise ModelError(f"export(): format: expected 'c', received {format!r:.80}.")


def _place(filepath: Any, model_name: str) -> tuple[Path, str]:
    """The folder and the stem of the files that a user means."""
    if not isinstance(filepath, (str, os.PathLike)):
        raise ModelError(f"export(): expected the path of a file, received {type(filepath).__name__}.")
    text = os.fsdecode(os.fspath(filepath))
    path = Path(text)
    if not text or "\0" in text:
        raise ModelError(f"export(): {text!r:.80} cannot be the name of a file.")
    if text.endswith(("/", os.sep)) or path.is_dir():
        return path, _prefix(model_name)
    if path.suffix.lower() in _FOREIGN:
        raise ModelError(
            f"export(): {path.name!r:.80} is no file of C. Give a name that ends in .c; for a .keras file call save()."
        )
    stem = path.stem if path.suffix.lower() in (".c", ".h") else path.name
    # it stands in an #include, a comment and a macro's name
    if stem != file_stem(stem):
        raise ModelError(
            f"export(): {stem!r:.80}: expected a name of the letters a to z, digits, and _ - + . "
            "because it stands in the C. Give such a name, and any other to os.rename()."
        )
    return path.parent, stem


def file_stem(name: str) -> str:
    """``name`` with underscores for what cannot stand in the name of an exported file."""
    return "".join(ch if ch.isascii() and (ch.isalnum() or ch in "_-+.") else "_" for ch in name) or "model"


def _prefix(name: Any) -> str:
    """What the names in C begin with: ``name`` as an identifier."""
    if not isinstance(name, str) or not any(ch.isascii() and ch.isalnum() for ch in name):
        raise ModelError(f"export(): name: expected letters or digits, received {name!r:.80}.")
    made = identifier(name)
    return f"{made}net" if made.endswith("_") else made  # of a word of C it made ``float_``


# ------------------------------------------------------------------ the network


def _plan(model: Any, prefix: str) -> Inference:
    """What the C does.

    Automatic names count through the whole process; in comments, as in C, they count
    within the model, so that equal models give equal bytes.
    """
    real = "double" if model.dtype == "float64" else "float"
    traced = compiler.staged("graph", lambda: graph.build(model, training=False), 2)
    return compiler.staged("inference", lambda: inference.build(traced, real, prefix, {}), 2)


def _stack(network: Inference) -> int:
    """Bytes of stack that are enough for a call, however gcc and clang are told to optimise.

    Measured on x86-64, where pointers are as long as anywhere: without optimisation every
    local value has a place of its own, in predict and in the largest formula. With it a
    call needs about a third. The tests measure it again.
    """
    size = 8 if network.real == "double" else 4
    statements = max(len(p.before) + len(p.body) for layer in network.layers for p in (*layer.passes, _NOTHING))
    return 16 * math.ceil((192 + 24 * size + 8 * len(network.locals) + 2 * size * statements) / 16)


_NOTHING = Pass((), (), (), False, False)


def _report(network: Inference, source: Path, header: Path, tolerance: float) -> Report:
    size = 8 if network.real == "double" else 4
    several = len(network.inputs) > 1
    layers = [LayerSize(f"input {port.name}" if several else "input", port.shape, 0, 0) for port in network.inputs]
    for layer in network.layers:
        layers.append(LayerSize(layer.title, layer.shape, layer.weights, layer.multiply_adds))
    return Report(
        name=network.prefix,
        real=network.real,
        inputs=sum(port.size for port in network.inputs),
        outputs=sum(port.size for port in network.outputs),
        ports=(network.inputs, network.outputs),
        source=source,
        header=header,
        source_bytes=0,
        layers=tuple(layers),
        weights=size * sum(w.size for w in network.weights),
        workspace=size * max(network.workspace, 1),
        stack=_stack(network),
        multiply_adds=sum(layer.multiply_adds for layer in layers),
        tolerance=tolerance,
    )


# ------------------------------------------------------------------ the self-test

_ROWS = ((0.0, 0.0), (0.0, 1.0), (0.0, 1.0), (0.0, 1.0), (-1.0, 1.0), (-1.0, 1.0), (-3.0, 3.0), (-3.0, 3.0))
"""Ranges of the rows of the self-test."""


def _test_rows(width: int, real: str) -> Array:
    """Rows of inputs, of two decimals each so that they are short. The same for ever: NumPy freezes this generator."""
    draw = np.random.RandomState(1)
    rows = np.stack([draw.uniform(low, high, width) for low, high in _ROWS])
    return (np.round(rows, 2) + 0.0).astype("float64" if real == "double" else "float32")


def _test_inputs(network: Inference) -> list[Array]:
    """Rows for each input; what names rows of a table are whole numbers within it."""
    wide = _test_rows(sum(port.size for port in network.inputs), network.real)
    made, first = [], 0
    for port in network.inputs:
        rows = wide[:, first : first + port.size]
        if port.rows:
            rows = np.floor(np.abs(rows) * port.rows / 3.0) % port.rows
        made.append(np.ascontiguousarray(rows, wide.dtype))
        first += port.size
    return made


def _expected(model: Any, xs: Sequence[Array]) -> list[Array]:
    """The outputs that the target c99 computes; the model itself stays as it is."""
    library = compiler.compile_network(model, targets.find("c99"))
    for weight in library.program.weights:
        library.place(weight.name).write(weight.variable.value)
    rows = len(xs[0])
    ys = [np.empty((rows, o.positions * o.columns), dtype=library.dtype) for o in library.program.outputs]
    library.predict(library.samples([np.ascontiguousarray(x) for x in xs]), 0, rows, rows, ys)
    return ys


def _tolerance(ys: Sequence[Array], real: str) -> float:
    """Some dozen roundings of the largest output: what contraction may do, and a wrong weight rarely does."""
    finite = np.concatenate([y[np.isfinite(y)] for y in ys])
    largest = max(1.0, float(np.abs(finite).max())) if finite.size else 1.0
    return float(f"{largest * (2e-14 if real == 'double' else 1e-5):.0e}")


# ------------------------------------------------------------------ the files at work

_FLAGS = ("-std=c99", "-O2")


def run_self_test(report: Report) -> build.Ran:
    """Compiles what was exported with its self-test and runs it; status 0 says that it passed.

    Raises:
        BuildError: there is no C compiler, or it failed.
    """
    return build.run_program([report.source.resolve()], [*_FLAGS, f"-D{report.name.upper()}_SELF_TEST"])


def run_predict(report: Report, x: Array | Sequence[Array]) -> Any:
    """Compiles what was exported and lets it predict.

    Args:
        report: of the export.
        x: rows of inputs, of the element type of the model; a list of such for several inputs.

    Returns:
        Rows of as many numbers as the network has outputs; a list of such for several outputs.

    Raises:
        BuildError: there is no C compiler, it failed, or the program did.
    """
    source = report.source.resolve()
    xs = [x] if isinstance(x, np.ndarray) else list(x)
    inputs, outputs = report.ports
    with tempfile.TemporaryDirectory(prefix="nncompile-") as folder:
        main = Path(folder, "main.c")
        text = standalone.reader(report.name, source.stem, report.real, inputs, outputs)
        main.write_text(text, encoding="ascii")
        given = np.concatenate([rows.reshape(len(rows), -1) for rows in xs], axis=1)
        ran = build.run_program([main, source], [*_FLAGS, f"-I{source.parent}"], np.ascontiguousarray(given).tobytes())
    y = np.frombuffer(ran.output, dtype=xs[0].dtype)
    if ran.status or y.size != len(given) * report.outputs:
        raise BuildError(f"{report.source}: the program that was compiled of it ended with status {ran.status}.")
    rows = y.reshape(len(given), report.outputs)
    parts = np.split(rows, np.cumsum([port.size for port in outputs])[:-1], axis=1)
    return parts[0] if len(parts) == 1 else parts


# ------------------------------------------------------------------ files


def _write(files: dict[Path, bytes]) -> None:
    """Writes all files or none: each under another name first, then all are renamed."""
    ready: list[tuple[str, str]] = []
    path = next(iter(files)).parent
    try:
        path.mkdir(parents=True, exist_ok=True)
        for path, data in files.items():
            storage.check_target(path, True, "export()")
            target = os.path.realpath(path)
            folder, name = os.path.split(target)
            temporary = os.path.join(folder, f".{name[:60]}.{os.getpid()}.{secrets.token_hex(4)}.tmp")
            ready.append((temporary, target))
            with open(temporary, "xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
        for temporary, target in ready:
            os.replace(temporary, target)
    except OSError as error:
        raise OSError(error.errno, f"cannot be written: {error.strerror}", str(path)) from error
    finally:
        for temporary, _ in ready:
            with contextlib.suppress(OSError):
                os.unlink(temporary)


__getattr__ = absent.finder(__name__)
