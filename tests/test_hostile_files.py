"""Files are safe to read from anyone: they are refused, or they are harmless."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import json
import random
import sys
import time
import warnings
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hostile_files import BAD, good_members, replaced, with_hdf5, with_layer, zipped
from saved_files import KERAS_2, KERAS_2_WEIGHTS, ROOT, TRAINING, adam_state, child, legacy_file, predict, small

from nncompile import optimizers, registry, saving
from nncompile.errors import FileFormatError, NncompileError, UnsupportedError
from nncompile.saving import hdf5

h5py = pytest.importorskip("h5py")


@dataclasses.dataclass
class Watch:
    """What the interpreter did meanwhile that could do harm."""

    events: list[tuple[str, Any]] = dataclasses.field(default_factory=list)
    on: bool = False


WATCH = Watch()
HARMFUL = (
    "open", "import", "exec", "marshal.loads", "pickle.find_class", "os.", "subprocess.", "socket.",
    "ctypes.", "shutil.", "tempfile.", "urllib.", "code.__new__", "function.__new__", "webbrowser.", "http.",
)  # fmt: skip


def _audit(event: str, args: tuple[Any, ...]) -> None:
    if WATCH.on and event.startswith(HARMFUL) and not (event == "open" and isinstance(args[0], int)):
        WATCH.events.append((event, args[:1]))


@contextlib.contextmanager
def watched() -> Iterator[list[tuple[str, Any]]]:
    """Records files opened, modules imported, code run: nothing of which a file may cause."""
    if not WATCH.events and not getattr(_audit, "added", False):
        sys.addaudithook(_audit)
        _audit.added = True  # type: ignore[attr-defined]
    WATCH.events.clear()
    WATCH.on = True
    try:
        yield WATCH.events
    finally:
        WATCH.on = False


def load_bytes(data: bytes, tmp_path: Path) -> Any:
    path = tmp_path / "bad.keras"
    path.write_bytes(data)
    saving.load_weights(small(), WARM)  # what is imported late is imported now
    with watched() as events:
        try:
            return saving.load_model(path)
        finally:
            WATCH.on = False
            assert [e for e in events if e != ("open", (str(path),))] == []
            assert sorted(p.name for p in tmp_path.iterdir()) == ["bad.keras"]


@pytest.fixture(scope="module", autouse=True)
def warm(tmp_path_factory: pytest.TempPathFactory) -> None:
    global WARM
    WARM = tmp_path_factory.mktemp("warm") / "good.keras"
    WARM.write_bytes(zipped(good_members(), compression=zipfile.ZIP_DEFLATED))
    saving.load_model(WARM)


WARM: Path


@pytest.mark.parametrize("name", BAD)
def test_bad_file(name: str, tmp_path: Path) -> None:
    make, error, message = BAD[name]
    data = make()
    before = dict(registry._custom)
    start = time.monotonic()
    with pytest.raises(error, match=message) as caught:
        load_bytes(data, tmp_path)
    assert time.monotonic() - start < 10
    assert isinstance(caught.value, NncompileError)
    assert "bad.keras" in str(caught.value), "the message says which file"
    assert registry._custom == before


def test_there_are_enough_bad_files() -> None:
    assert len(BAD) >= 100


def test_good_files_are_good(tmp_path: Path) -> None:
    """What the bad ones are made of, and harmless oddities, load."""
    load_bytes(zipped(good_members()), tmp_path)
    load_bytes(zipped(good_members(), compression=zipfile.ZIP_DEFLATED), tmp_path)
    without = {k: v for k, v in good_members().items() if k != "metadata.json"}
    load_bytes(zipped(without), tmp_path)
    names = {"../../evil": b"x", "/etc/evil": b"x", "assets/a.txt": b"x", "C:\\evil": b"x"}
    load_bytes(zipped({**names, **good_members()}), tmp_path)
    load_bytes(with_layer(config={"name": "a; rm -rf *\n${x} *\\ ü"}), tmp_path)
    model = load_bytes(with_layer(config={"name": "../../etc/cron.d/x"}), tmp_path)
    (tmp_path / "bad.keras").unlink()
    with pytest.warns(UserWarning, match=r"cron.d/x \(Dense\): Keras does not open"):
        model.save(tmp_path / "bad.keras")
    np.testing.assert_array_equal(predict(load_bytes((tmp_path / "bad.keras").read_bytes(), tmp_path)), predict(model))
    load_bytes(with_hdf5(lambda f: f.__setitem__("unknown", h5py.ExternalLink("/tmp/other.h5", "/"))), tmp_path)
    packed: dict[str, Any] = {"data": np.ones((6, 4), "f8"), "chunks": (2, 4), "compression": "gzip", "shuffle": True}
    load_bytes(replaced(lambda g: g.create_dataset("0", **packed) and None), tmp_path)


def test_every_truncation_of_an_archive_is_refused(tmp_path: Path) -> None:
    data = zipped(good_members())
    for size in [*range(0, 200), *range(200, len(data) - 200, 211), *range(len(data) - 200, len(data))]:
        with pytest.raises(FileFormatError):
            load_bytes(data[:size], tmp_path)


def test_every_truncation_of_hdf5_is_refused(tmp_path: Path) -> None:
    data = good_members()["model.weights.h5"]
    model = small()
    before = model.get_weights()
    path = tmp_path / "m.weights.h5"
    for size in [*range(0, 120), *range(120, len(data), 97), len(data) - 1]:
        path.write_bytes(data[:size])
        with pytest.raises(FileFormatError):
            model.load_weights(path)
    for a, b in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(a, b)


def test_random_damage_is_found_or_harmless(tmp_path: Path) -> None:
    """Whatever is wrong ends in an error of ours, and never in part of a model."""
    members = good_members()
    archived = zipped(members)
    path = legacy_file(tmp_path / "m.h5", KERAS_2, KERAS_2_WEIGHTS, "2.4.0", training=TRAINING, state=adam_state("2.4"))
    legacy = path.read_bytes()
    path.unlink()
    model = small()
    path = tmp_path / "m.weights.h5"
    refused = 0
    for seed in range(600):
        rng = random.Random(seed)
        which = rng.choice(["archive", "config.json", "model.weights.h5", "weights alone", "legacy"])
        whole = {"archive": archived, "legacy": legacy, "weights alone": members["model.weights.h5"], **members}
        data = bytearray(whole[which])
        for _ in range(rng.choice([1, 1, 2, 8])):
            at = rng.randrange(len(data))
            while data[at] == 0 and rng.random() < 0.8:  # what is not zero matters more
                at = rng.randrange(len(data))
            data[at] = rng.choice([0, 1, 127, 128, 255, rng.randrange(256), data[at] ^ (1 << rng.randrange(8))])
        before = model.get_weights()
        try:
            if which == "weights alone":
                path.write_bytes(data)
                model.load_weights(path)
                path.unlink()
            elif which == "archive":
                load_bytes(bytes(data), tmp_path)
            elif which == "legacy":
                path.write_bytes(data)
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")  # of the state of the optimizer
                    saving.load_model(path)
            else:
                path.unlink(missing_ok=True)
                load_bytes(zipped({**members, which: bytes(data)}), tmp_path)
        except NncompileError:
            refused += 1
            for a, b in zip(model.get_weights(), before, strict=True):
                np.testing.assert_array_equal(a, b)
        finally:
            path.unlink(missing_ok=True)
            (tmp_path / "bad.keras").unlink(missing_ok=True)
    assert refused > 150


# Legacy files that are hostile: the same doors, once more.


def legacy_with(tmp_path: Path, change: Callable[[Any], Any]) -> Path:
    path = legacy_file(tmp_path / "bad.h5", KERAS_2, KERAS_2_WEIGHTS, "2.2.4")
    with h5py.File(path, "r+") as file:
        change(file)
    return path


def rename_first_weight(file: Any, name: str) -> None:
    group = file["model_weights/dense_1"]
    group.attrs["weight_names"] = [name.encode(), b"dense_1/bias:0"]


def change_config(file: Any, change: Callable[[Any], Any]) -> None:
    config = json.loads(file.attrs["model_config"])
    change(config)
    file.attrs["model_config"] = json.dumps(config).encode()


def amplify(file: Any) -> None:
    """A list of 4000 names, each of which is the same megabyte."""
    text = "x" * (1 << 20)
    group = file["model_weights"]
    del group.attrs["layer_names"]
    names = np.array([text], h5py.string_dtype())
    group.attrs.create("layer_names", np.array([text] * 400, h5py.string_dtype()))
    assert names.size


BAD_LEGACY: dict[str, tuple[Callable[[Any], Any], type[Exception], str]] = {
    "no model": (lambda f: f.attrs.__delitem__("model_config"), FileFormatError, "whole model"),
    "config a number": (lambda f: f.attrs.__setitem__("model_config", 3), FileFormatError, "expected text"),
    "config numbers": (lambda f: f.attrs.__setitem__("model_config", np.zeros(100)), FileFormatError, "expected text"),
    "config no JSON": (lambda f: f.attrs.__setitem__("model_config", "x"), FileFormatError, "JSON"),
    "config not UTF-8": (
        lambda f: f.attrs.__setitem__("model_config", np.bytes_(b"\xff\xfe")),
        FileFormatError,
        "UTF-8|utf-8|codec",
    ),
    "config a list": (lambda f: f.attrs.__setitem__("model_config", "[]"), FileFormatError, "object"),
    "training a list": (lambda f: f.attrs.__setitem__("training_config", "[]"), FileFormatError, "object"),
    "no weights": (lambda f: f.__delitem__("model_weights"), FileFormatError, "model_weights"),
    "no layer names": (lambda f: f["model_weights"].attrs.__delitem__("layer_names"), FileFormatError, "received 0"),
    "layer missing": (lambda f: f.__delitem__("model_weights/dense_1"), FileFormatError, "dense_1"),
    "weight missing": (lambda f: f.__delitem__("model_weights/dense_1/dense_1/kernel:0"), FileFormatError, "kernel"),
    "weight by a path": (
        lambda f: rename_first_weight(f, "/model_weights/dense_2/dense_2/kernel:0"),
        FileFormatError,
        "name in HDF5",
    ),
    "weight by dots": (lambda f: rename_first_weight(f, "../dense_2/dense_2/kernel:0"), FileFormatError, "found none"),
    "weight without a name": (lambda f: rename_first_weight(f, ""), FileFormatError, "name in HDF5"),
    "weight of zero": (lambda f: rename_first_weight(f, "a\\u0000b"), FileFormatError, "found none|name"),
    "external link": (
        lambda f: (
            f.__delitem__("model_weights/dense_1"),
            f.__setitem__("model_weights/dense_1", h5py.ExternalLink("/tmp/o.h5", "/")),
        ),
        FileFormatError,
        "another file",
    ),
    "soft link": (
        lambda f: (f.__delitem__("model_weights/dense_1"), f.__setitem__("model_weights/dense_1", h5py.SoftLink("/"))),
        FileFormatError,
        "soft link",
    ),
    "external link for all": (
        lambda f: (f.__delitem__("model_weights"), f.__setitem__("model_weights", h5py.ExternalLink("/tmp/o.h5", "/"))),
        FileFormatError,
        "another file",
    ),
    "names a thousand times": (amplify, FileFormatError, "400 texts of"),
    "Lambda": (
        lambda f: change_config(
            f,
            lambda c: c["config"]["layers"].append(
                {"class_name": "Lambda", "config": {"function": ["4wEAAAA=", None, None]}}
            ),
        ),
        UnsupportedError,
        "Lambda.*never run",
    ),
    "unknown class": (
        lambda f: change_config(f, lambda c: c["config"]["layers"].append({"class_name": "Mine", "config": {}})),
        UnsupportedError,
        "Mine.*custom_objects",
    ),
    "units huge": (
        lambda f: change_config(f, lambda c: c["config"]["layers"][0]["config"].update(units=1 << 30)),
        FileFormatError,
        "numbers",
    ),
    "units of another file": (
        lambda f: change_config(f, lambda c: c["config"]["layers"][0]["config"].update(units=5)),
        FileFormatError,
        r"dense_1 \(Dense\): expected shape \(6, 5\)",
    ),
}


@pytest.mark.parametrize("name", BAD_LEGACY)
def test_bad_legacy_file(name: str, tmp_path: Path) -> None:
    change, error, message = BAD_LEGACY[name]
    path = legacy_with(tmp_path, change)
    with watched() as events, pytest.raises(error, match=message) as caught:
        saving.load_model(path)
    assert [e for e in events if e != ("open", (str(path),))] == []
    assert "bad.h5" in str(caught.value)


def test_a_link_is_refused_even_if_it_leads_somewhere(tmp_path: Path) -> None:
    """Not because the other file is missing: it is there, and would fit."""
    with h5py.File(tmp_path / "secret.h5", "w") as file:
        file["0"] = np.full((6, 4), 42.0, "f4")
    np.full((6, 4), 42.0, "f4").tofile(tmp_path / "secret.bin")
    external = [(str(tmp_path / "secret.bin"), 0, 96)]
    layout = h5py.VirtualLayout((6, 4), "f4")
    layout[:] = h5py.VirtualSource(str(tmp_path / "secret.h5"), "0", (6, 4))
    makers: list[Callable[[Any], Any]] = [
        lambda g: h5py.ExternalLink(str(tmp_path / "secret.h5"), "0"),
        lambda g: g.create_dataset("0", (6, 4), "f4", external=external) and None,
        lambda g: g.create_virtual_dataset("0", layout) and None,
    ]
    model = small()
    model.optimizer = optimizers.SGD()
    (tmp_path / "m.keras").write_bytes(
        with_hdf5(lambda f: f.__setitem__("optimizer", h5py.ExternalLink(str(tmp_path / "secret.h5"), "/")))
    )
    with pytest.raises(FileFormatError, match="another file"):
        model.load_weights(tmp_path / "m.keras")
    for make in makers:
        (tmp_path / "m.keras").write_bytes(replaced(make))
        with pytest.raises(FileFormatError, match=r"another file|virtual"):
            saving.load_model(tmp_path / "m.keras")


def test_memory_stays_small(tmp_path: Path) -> None:
    """Bombs are refused before they are unpacked."""
    names = ("bomb of weights", "shape bomb", "units huge", "width huge", "very many members", "deep lists")
    for i, name in enumerate(names):
        (tmp_path / f"{i}.keras").write_bytes(BAD[name][0]())
    result = child(
        """
        import resource, sys
        from pathlib import Path
        from nncompile import saving, errors
        from nncompile.saving import archive, hdf5
        import h5py, zipfile
        try:
            saving.load_model(sys.argv[1] + "/5.keras")
        except errors.FileFormatError:
            pass
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        for path in Path(sys.argv[1]).iterdir():
            try:
                saving.load_model(path)
            except errors.FileFormatError:
                print("refused")
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
        """,
        str(tmp_path),
    )
    *refused, grown = result.stdout.split()
    assert refused == ["refused"] * len(names), result.stderr
    assert int(grown) < 100_000  # kilobytes


# ------------------------------------------------------------------ the rest


def test_start_up_is_not_slowed() -> None:
    result = child("import sys, nncompile.saving; print({'h5py', 'zipfile', 'keras'} & set(sys.modules))")
    assert result.stdout.strip() == "set()", result.stderr


def test_nothing_on_the_way_can_run_code() -> None:
    """No module that makes code of data is imported, and none is imported by its name."""
    import ast

    for path in sorted((ROOT / "nncompile" / "saving").glob("*.py")):
        tree = ast.parse(path.read_text())
        for node in ast.walk(tree):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                assert node.func.id not in ("eval", "exec", "compile", "__import__"), path
            for name in names:
                assert name.partition(".")[0] not in (
                    "pickle", "marshal", "shelve", "yaml", "importlib", "subprocess", "ctypes", "runpy", "tarfile",
                    "shutil", "tempfile",
                ), (path, name)  # fmt: skip
            if isinstance(node, ast.Attribute):
                assert node.attr not in ("extract", "extractall", "import_module"), path


@pytest.mark.parametrize(
    "value",
    [
        "x",
        "",
        "ü" * 60_000,
        b"bytes",
        np.bytes_(b"fixed"),
        np.array([b"a", b"bcd"]),
        ["list", "of", "texts"],
        np.array(["a", "b" * 900], object),
        np.array([[b"a", b"b"]]),
        [],
        np.array([], "S3"),
    ],
    ids=lambda value: repr(value)[:30],
)
def test_attributes_are_read_as_h5py_reads_them(value: Any) -> None:
    from nncompile.saving import attributes

    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        group = file.create_group("some/group")
        for i in range(30):
            group.attrs[f"other{i}"] = "x" * i
        group.attrs["value"] = value
        group.attrs["number"] = 3.5
        group.attrs["numbers"] = np.arange(4)
        address = hdf5.address(group)
        expected = group.attrs["value"]
    texts = attributes.Texts(buffer.getvalue(), "f")
    if isinstance(expected, bytes):
        expected = expected.decode()
    if isinstance(expected, np.ndarray):
        expected = [t.decode() if isinstance(t, bytes) else t for t in expected.ravel().tolist()]
    assert texts.read(address, "value") == expected
    assert texts.read(address, "other7") == "x" * 7
    assert texts.read(address, "none") is None
    for name in ("number", "numbers"):
        with pytest.raises(FileFormatError, match="expected text"):
            texts.read(address, name)


@pytest.mark.parametrize("damage", ["free place of no size", "text of 2 GiB", "place out of the file", "many blocks"])
def test_damage_that_the_hdf5_library_does_not_survive(tmp_path: Path, damage: str) -> None:
    """With the first it goes round for ever, with the second it sets 2 GiB aside."""
    path = legacy_file(tmp_path / "bad.h5", KERAS_2, KERAS_2_WEIGHTS, "2.4.0")
    with h5py.File(path, "r+") as file:
        for i in range(40):
            file["model_weights"].attrs[f"x{i}"] = f"{i}" * 50
        place = hdf5.address(file["model_weights"])
    data = bytearray(path.read_bytes())
    heap = data.find(b"GCOL")
    text = data.find(b"layer_names", place)
    if damage == "free place of no size":
        data[heap + 16 : heap + 32] = bytes(16)
    elif damage == "many blocks":  # one within the other, each of which lists the rest
        blocks = b"GCOL\1\0\0\0" + (1 << 16).to_bytes(8, "little")
        data[heap + 32 : heap + 32 + 16 * 40] = blocks * 40
    else:
        # The value of layer_names: lengths, places and numbers of three texts.
        value = data.find((len("dense_1")).to_bytes(4, "little") + heap.to_bytes(8, "little"), text)
        new = (1 << 31).to_bytes(4, "little") if damage == "text of 2 GiB" else b"\7\0\0\0" + b"\xf0" * 8
        data[value : value + len(new)] = new
    path.write_bytes(data)
    start = time.monotonic()
    with pytest.raises(FileFormatError, match=r"bad\.h5"):
        saving.load_model(path)
    assert time.monotonic() - start < 5
