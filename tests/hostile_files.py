"""Archives that are damaged or mean harm, by what is wrong with them, and how the next one is made."""

from __future__ import annotations

import io
import json
import struct
import warnings
import zipfile
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from saved_files import small

from nncompile import saving
from nncompile.errors import FileFormatError, NncompileError, UnsupportedError

h5py = pytest.importorskip("h5py")


def good_members() -> dict[str, bytes]:
    buffer = io.BytesIO()
    config = saving.model_to_json(small()).encode()
    metadata = b'{"keras_version": "3.15.1", "date_saved": "2026-01-01@00:00:00"}'
    from nncompile.saving import weights_h5

    buffer.write(weights_h5.write(small()))
    return {"metadata.json": metadata, "config.json": config, "model.weights.h5": buffer.getvalue()}


def zipped(members: dict[str, bytes], **options: Any) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", **options) as file:
        for name, data in members.items():
            file.writestr(name, data)
    return buffer.getvalue()


def with_config(change: Callable[[Any], Any]) -> bytes:
    """A good archive, with another configuration."""
    members = good_members()
    config = json.loads(members["config.json"])
    changed = change(config)
    members["config.json"] = json.dumps(config if changed is None else changed).encode()
    return zipped(members)


def with_text(text: bytes) -> bytes:
    return zipped({**good_members(), "config.json": text})


def with_layer(**layer: Any) -> bytes:
    """A good archive, in which the first Dense is something else."""

    def change(config: Any) -> None:
        old = config["config"]["layers"][1]
        new = {**old, **layer}
        if "config" in layer and isinstance(layer["config"], dict):
            new["config"] = {**old["config"], **layer["config"]}
        config["config"]["layers"][1] = new

    return with_config(change)


def with_hdf5(change: Callable[[Any], Any]) -> bytes:
    """A good archive, with other weights."""
    members = good_members()
    buffer = io.BytesIO(members["model.weights.h5"])
    with h5py.File(buffer, "r+") as file:
        change(file)
    return zipped({**members, "model.weights.h5": buffer.getvalue()})


FIRST = "layers/dense/vars/0"


def replaced(make: Callable[[Any], Any], path: str = FIRST) -> bytes:
    """A good archive, with something else in the place of the first kernel."""

    def change(file: Any) -> None:
        group, _, name = path.rpartition("/")
        parent = file[group] if group else file
        del parent[name]
        made = make(parent)
        if made is not None:
            parent[name] = made

    return with_hdf5(change)


def virtual(group: Any) -> None:
    layout = h5py.VirtualLayout((6, 4), "f4")
    layout[:] = h5py.VirtualSource("/tmp/other.h5", "x", (6, 4))
    group.create_virtual_dataset("0", layout)


def unknown_filter(group: Any) -> None:
    properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    properties.set_chunk((6, 4))
    properties.set_filter(32099, h5py.h5z.FLAG_OPTIONAL, (1,))
    h5py.h5d.create(group.id, b"0", h5py.h5t.IEEE_F32LE, h5py.h5s.create_simple((6, 4)), properties)


def missing_chunk(group: Any) -> None:
    group.create_dataset("0", (6, 4), "f4", chunks=(3, 4))[:3] = 1.0


def corrupt(data: bytes, at: bytes, offset: int, value: bytes) -> bytes:
    place = data.rfind(at) + offset
    return data[:place] + value + data[place + len(value) :]


def directory_entry(offset: int, value: bytes, member: bytes = b"config.json") -> bytes:
    """A good archive, with other bytes in the central directory."""
    return corrupt(zipped(good_members()), member, offset - 46, value)


def nested(depth: int) -> bytes:
    def change(config: Any) -> None:
        for _ in range(depth):
            config["config"]["layers"] = [
                {
                    "module": "keras",
                    "class_name": "Sequential",
                    "config": {"name": "s", "layers": config["config"]["layers"]},
                }
            ]

    return with_config(change)


FOREIGN = {"module": "os", "class_name": "system", "config": {"command": "touch /tmp/owned"}, "registered_name": None}
FUNCTION = {"module": "os", "class_name": "function", "config": "system", "registered_name": "system"}
LAMBDA = {
    "module": "keras.layers", "class_name": "Lambda", "registered_name": None,
    "config": {"name": "l", "function": {"class_name": "__lambda__", "config": {"code": "4wEAAAA="}}},
}  # fmt: skip

BAD: dict[str, tuple[Callable[[], bytes], type[Exception], str]] = {
    # not an archive
    "empty": (lambda: b"", FileFormatError, "empty"),
    "text": (lambda: b"hello, world\n" * 50, FileFormatError, "expected a model"),
    "pickle": (lambda: b"\x80\x04cos\nsystem\n(S'true'\ntR.", FileFormatError, "expected a model"),
    "yaml": (lambda: b"!!python/object/apply:os.system ['true']\n", FileFormatError, "expected a model"),
    "PK alone": (lambda: b"PK", FileFormatError, "ends too early"),
    "signature alone": (lambda: b"PK\x03\x04" + bytes(100), FileFormatError, "ends too early"),
    "end alone": (lambda: b"PK\x05\x06" + bytes(18), FileFormatError, "config.json"),
    "foreign zip": (lambda: zipped({"word/document.xml": b"<x/>"}), FileFormatError, "config.json"),
    # archives
    "no config": (lambda: zipped({"model.weights.h5": b"", "metadata.json": b"{}"}), FileFormatError, "config.json"),
    "no weights": (lambda: zipped({"config.json": b"{}"}), FileFormatError, "model.weights.h5"),
    "npz weights": (lambda: zipped({"config.json": b"{}", "model.weights.npz": b""}), UnsupportedError, "npz"),
    "duplicate config": (lambda: duplicate("config.json"), FileFormatError, "twice"),
    "duplicate weights": (lambda: duplicate("model.weights.h5"), FileFormatError, "twice"),
    "duplicate of another": (lambda: duplicate("readme"), FileFormatError, "twice"),
    "bomb of config": (
        lambda: zipped({**good_members(), "config.json": bytes(7 << 20)}, compression=zipfile.ZIP_DEFLATED),
        FileFormatError,
        "declared are",
    ),
    "large config": (lambda: with_text(b" " * (9 << 20)), FileFormatError, "at most"),
    "bomb of weights": (
        lambda: zipped({**good_members(), "model.weights.h5": bytes(50 << 20)}, compression=zipfile.ZIP_DEFLATED),
        FileFormatError,
        "declared are",
    ),
    "4 GiB declared": (lambda: directory_entry(24, b"\xff\xff\xff\xfe"), FileFormatError, "GiB|declared|ZIP"),
    "size too large": (lambda: directory_entry(24, struct.pack("<L", 99999)), FileFormatError, "ZIP|bytes"),
    "size too small": (lambda: directory_entry(24, struct.pack("<L", 9)), FileFormatError, "ZIP|bytes"),
    "wrong check sum": (lambda: directory_entry(16, b"abcd"), FileFormatError, "CRC"),
    "encrypted": (lambda: directory_entry(8, b"\x01\0"), FileFormatError, "encrypted"),
    "unknown compression": (lambda: directory_entry(10, b"\x63\0"), FileFormatError, "ZIP"),
    "far version": (lambda: directory_entry(6, b"\xff\xff"), FileFormatError, "ZIP"),
    "place out of the file": (lambda: directory_entry(42, b"\xff\xff\xff\x7f"), FileFormatError, "ZIP"),
    "place of another member": (lambda: directory_entry(42, bytes(4)), FileFormatError, "ZIP"),
    "very many members": (
        lambda: zipped({**good_members(), **{f"x{i:05}": b"" for i in range(25000)}}),
        FileFormatError,
        "three members",
    ),
    "directory elsewhere": (
        lambda: corrupt(zipped(good_members()), b"PK\x05\x06", 16, b"\xff\xff\xff\x7f"),
        FileFormatError,
        "ZIP",
    ),
    "metadata is a list": (lambda: zipped({**good_members(), "metadata.json": b"[]"}), FileFormatError, "object"),
    "metadata is no JSON": (lambda: zipped({**good_members(), "metadata.json": b"\0"}), FileFormatError, "JSON"),
    # JSON
    "config not UTF-8": (lambda: with_text(b'{"class_name": "\xff\xfe"}'), FileFormatError, "UTF-8"),
    "config UTF-16": (lambda: with_text('{"class_name": "Sequential"}'.encode("utf-16")), FileFormatError, "UTF-8"),
    "config no JSON": (lambda: with_text(b"{'class_name': 1}"), FileFormatError, "JSON"),
    "config empty": (lambda: with_text(b""), FileFormatError, "JSON"),
    "config null": (lambda: with_text(b"null"), FileFormatError, "object"),
    "config a list": (lambda: with_text(b"[]"), FileFormatError, "object"),
    "config a number": (lambda: with_text(b"1e999"), FileFormatError, "object"),
    "config a string": (lambda: with_text(b'"os.system"'), FileFormatError, "object"),
    "config without class": (lambda: with_text(b"{}"), FileFormatError, "class_name"),
    "class a number": (lambda: with_text(b'{"class_name": 3, "config": {}}'), FileFormatError, "class_name"),
    "deep lists": (lambda: with_text(b"[" * 100_000), FileFormatError, "JSON"),
    "deep objects": (lambda: with_text(b'{"a":' * 50_000 + b"1" + b"}" * 50_000), FileFormatError, "JSON"),
    "closed deep lists": (lambda: with_text(b"[" * 300 + b"]" * 300), FileFormatError, "nested deeper"),
    "models in models": (lambda: nested(60), FileFormatError, "nested"),
    "key twice": (lambda: with_text(b'{"class_name": "A", "class_name": "B"}'), FileFormatError, "twice"),
    "long integer": (lambda: with_text(b'{"a": ' + b"9" * 5000 + b"}"), FileFormatError, "digits"),
    "lone surrogate": (lambda: with_text(b'{"class_name": "\\ud800"}'), FileFormatError, "UTF-8"),
    # objects
    "layers a number": (lambda: with_config(lambda c: c["config"].update(layers=3)), FileFormatError, "layers"),
    "layers an object": (lambda: with_config(lambda c: c["config"].update(layers={})), FileFormatError, "layers"),
    "layer a number": (lambda: with_config(lambda c: c["config"].update(layers=[3])), FileFormatError, "3"),
    "layer null": (lambda: with_config(lambda c: c["config"].update(layers=[None])), FileFormatError, "None"),
    "layer a function": (lambda: with_config(lambda c: c["config"].update(layers=["relu"])), NncompileError, "relu"),
    "inner config a list": (lambda: with_layer(config=[]), FileFormatError, "Dense"),
    "unknown class": (lambda: with_layer(class_name="Nonesuch"), UnsupportedError, "Nonesuch.*custom_objects"),
    "unknown class of the user's": (
        lambda: with_layer(class_name="Mine", module=None, registered_name="me>Mine"),
        UnsupportedError,
        "me>Mine.*custom_objects",
    ),
    "the user's class with the name of ours": (
        lambda: with_layer(module="mine.layers", registered_name="mine>Dense"),
        UnsupportedError,
        "mine.layers.Dense.*custom_objects",
    ),
    "class of a module": (
        lambda: with_config(lambda c: c["config"]["layers"].append(FOREIGN)),
        UnsupportedError,
        "os.system",
    ),
    "model of a module": (lambda: with_config(lambda c: FOREIGN), UnsupportedError, "os.system"),
    "function of a module": (
        lambda: with_layer(config={"activation": FUNCTION}),
        UnsupportedError,
        "os.system. is not known",
    ),
    "builtin function": (
        lambda: with_layer(
            config={
                "activation": {
                    "module": "builtins",
                    "class_name": "function",
                    "config": "exec",
                    "registered_name": "function",
                }
            }
        ),
        NncompileError,
        "exec",
    ),
    "path of a function": (lambda: with_layer(config={"activation": "os.system"}), FileFormatError, "os.system"),
    "import in a name": (
        lambda: with_layer(config={"kernel_initializer": "__import__('os')"}),
        FileFormatError,
        "__import__",
    ),
    "keras utility": (
        lambda: with_layer(module="keras.utils", class_name="get_file", config={"origin": "http://localhost/x"}),
        UnsupportedError,
        "get_file",
    ),
    "keras option": (
        lambda: with_layer(module="keras.config", class_name="enable_unsafe_deserialization"),
        UnsupportedError,
        "enable_unsafe",
    ),
    "internal module": (
        lambda: with_layer(module="keras.src.utils.python_utils", class_name="func_load"),
        UnsupportedError,
        "func_load",
    ),
    "Lambda": (
        lambda: with_config(lambda c: c["config"]["layers"].append(LAMBDA)),
        UnsupportedError,
        "Lambda.*never run",
    ),
    "Lambda as model": (lambda: with_config(lambda c: LAMBDA), UnsupportedError, "Lambda"),
    "lambda as activation": (
        lambda: with_layer(
            config={"activation": {"class_name": "__lambda__", "config": {"value": ["4wEAAAA=", None, None]}}}
        ),
        UnsupportedError,
        "__lambda__.*never run",
    ),
    "TFSMLayer": (
        lambda: with_layer(class_name="TFSMLayer", config={"filepath": "/tmp/model"}),
        UnsupportedError,
        "TFSMLayer",
    ),
    "TorchModuleWrapper": (lambda: with_layer(class_name="TorchModuleWrapper"), UnsupportedError, "TorchModule"),
    "vocabulary": (
        lambda: with_layer(class_name="StringLookup", config={"vocabulary": "/etc/passwd"}),
        UnsupportedError,
        "StringLookup",
    ),
    "class of ours under a name of the user's": (
        lambda: with_layer(registered_name="mine>Dense"),
        UnsupportedError,
        "mine>Dense|keras.layers.Dense.*custom_objects",
    ),
    "function of ours under a name of the user's": (
        lambda: with_layer(
            config={"activation": {**FUNCTION, "module": "builtins", "config": "relu", "registered_name": "mine>relu"}}
        ),
        UnsupportedError,
        "mine>relu.*custom_objects",
    ),
    "function without a name": (
        lambda: with_layer(config={"activation": {**FUNCTION, "module": "builtins", "config": ["relu"]}}),
        FileFormatError,
        "relu",
    ),
    "class to come": (lambda: with_layer(class_name="Conv7D"), UnsupportedError, "Conv7D"),
    "functional": (
        lambda: with_config(lambda c: c.update(class_name="Functional")),
        FileFormatError,
        "expected input_layers",
    ),
    "a layer, not a model": (
        lambda: with_config(lambda c: c["config"]["layers"][1]),
        FileFormatError,
        "expected a model",
    ),
    "an optimizer, not a model": (
        lambda: with_config(lambda c: {"module": "keras.optimizers", "class_name": "SGD", "config": {}}),
        FileFormatError,
        "expected a model",
    ),
    "unknown argument": (lambda: with_layer(config={"unit": 3}), FileFormatError, "unit"),
    "units negative": (lambda: with_layer(config={"units": -1}), FileFormatError, "units"),
    "units text": (lambda: with_layer(config={"units": "__import__('os')"}), FileFormatError, "units"),
    "units huge": (lambda: with_layer(config={"units": 10**9}), FileFormatError, "numbers|bytes"),
    "units beyond 64 bits": (lambda: with_layer(config={"units": 2**63 - 64}), FileFormatError, "numbers|bytes"),
    "units of many layers": (
        lambda: with_config(
            lambda c: [layer["config"].update(units=1 << 20) for layer in c["config"]["layers"][1:]] and None
        ),
        FileFormatError,
        "bytes of weights",
    ),
    "units NaN": (lambda: with_layer(config={"units": float("nan")}), FileFormatError, "units"),
    "units a list": (lambda: with_layer(config={"units": [1, 2]}), FileFormatError, "units"),
    "dtype unknown": (lambda: with_layer(config={"dtype": "object"}), FileFormatError, "object"),
    "dtype half": (lambda: with_layer(config={"dtype": "float16"}), UnsupportedError, "float16"),
    "dtype a list": (lambda: with_layer(config={"dtype": []}), FileFormatError, "dtype|float"),
    "name a list": (lambda: with_layer(config={"name": [1]}), FileFormatError, "name"),
    "name twice": (
        lambda: with_config(
            lambda c: [layer["config"].update(name="x") for layer in c["config"]["layers"][1:]] and None
        ),
        FileFormatError,
        "name|called",
    ),
    "width huge": (
        lambda: with_config(lambda c: c["config"]["layers"][0]["config"].update(batch_shape=[None, 10**12])),
        FileFormatError,
        "numbers",
    ),
    "width negative": (
        lambda: with_config(lambda c: c["config"]["layers"][0]["config"].update(batch_shape=[None, -6])),
        FileFormatError,
        "-6",
    ),
    "shape text": (
        lambda: with_config(lambda c: c["config"]["layers"][0]["config"].update(batch_shape="abc")),
        FileFormatError,
        "abc",
    ),
    "shape of very many axes": (
        lambda: with_config(lambda c: c["config"]["layers"][0]["config"].update(batch_shape=[None] + [1] * 5000)),
        FileFormatError,
        r"\w",
    ),
    "another shape in build_config": (
        lambda: with_config(lambda c: c.update(build_config={"input_shape": [None, 1 << 40]})),
        FileFormatError,
        "numbers",
    ),
    "shape without an Input": (
        lambda: with_config(
            lambda c: c["config"].update(layers=c["config"]["layers"][1:], build_input_shape=[None, 1 << 22])
        ),
        FileFormatError,
        "bytes of weights",
    ),
    # HDF5
    "weights no HDF5": (lambda: zipped({**good_members(), "model.weights.h5": b"text"}), FileFormatError, "HDF5"),
    "weights empty": (lambda: zipped({**good_members(), "model.weights.h5": b""}), FileFormatError, "HDF5"),
    "weights a signature": (
        lambda: zipped({**good_members(), "model.weights.h5": b"\x89HDF\r\n\x1a\n"}),
        FileFormatError,
        "HDF5",
    ),
    "small places": (
        lambda: zipped(
            {**good_members(), "model.weights.h5": corrupt(good_members()["model.weights.h5"], b"\x89HDF", 13, b"\4\4")}
        ),
        FileFormatError,
        "64 bits",
    ),
    "soft link": (lambda: replaced(lambda g: h5py.SoftLink("/layers/dense_1/vars/0")), FileFormatError, "soft link"),
    "external link": (
        lambda: replaced(lambda g: h5py.ExternalLink("/tmp/other.h5", "x")),
        FileFormatError,
        "another file",
    ),
    "soft link to a group": (
        lambda: replaced(lambda g: h5py.SoftLink("/layers/dense_1/vars"), "layers/dense/vars"),
        FileFormatError,
        "soft link",
    ),
    "external link to a group": (
        lambda: replaced(lambda g: h5py.ExternalLink("/tmp/other.h5", "/"), "layers"),
        FileFormatError,
        "another file",
    ),
    "external storage": (
        lambda: replaced(lambda g: g.create_dataset("0", (6, 4), "f4", external=[("/etc/hostname", 0, 96)]) and None),
        FileFormatError,
        "another file",
    ),
    "virtual dataset": (lambda: replaced(virtual), FileFormatError, "virtual"),
    "shape bomb": (
        lambda: replaced(
            lambda g: g.create_dataset("0", (1 << 20, 1 << 20), "f4", chunks=(64, 64), compression="gzip") and None
        ),
        FileFormatError,
        "declared are",
    ),
    "shapes that overflow": (
        lambda: replaced(lambda g: g.create_dataset("0", (1 << 31, 1 << 30), "f4", chunks=(1, 1)) and None),
        FileFormatError,
        "declared are",
    ),
    "bomb that fits": (
        lambda: replaced(
            lambda g: g.create_dataset("0", (2000, 2000), "f4", chunks=(100, 100), compression="gzip") and None
        ),
        FileFormatError,
        "declared are",
    ),
    "nothing stored": (
        lambda: replaced(lambda g: g.create_dataset("0", (6, 4), "f4") and None),
        FileFormatError,
        "not stored",
    ),
    "a chunk missing": (lambda: replaced(missing_chunk), FileFormatError, "not stored"),
    "huge chunks": (
        lambda: replaced(
            lambda g: g.create_dataset("0", (6, 4), "f4", chunks=(1 << 14, 1 << 14), maxshape=(None, None)) and None
        ),
        FileFormatError,
        "chunks",
    ),
    "unknown filter": (lambda: replaced(unknown_filter), FileFormatError, "filter 32099"),
    "other shape": (lambda: replaced(lambda g: np.zeros((4, 6), "f4")), FileFormatError, r"expected shape \(6, 4\)"),
    "other rank": (lambda: replaced(lambda g: np.zeros((6, 4, 1), "f4")), FileFormatError, "expected shape"),
    "a scalar": (lambda: replaced(lambda g: 1.0), FileFormatError, "expected shape"),
    "texts": (lambda: replaced(lambda g: np.full((6, 4), b"x")), FileFormatError, "expected numbers"),
    "texts of any length": (
        lambda: replaced(lambda g: np.full((6, 4), "x", object)),
        FileFormatError,
        "expected numbers",
    ),
    "compounds": (lambda: replaced(lambda g: np.zeros((6, 4), "f4,f4")), FileFormatError, "expected numbers"),
    "complex": (lambda: replaced(lambda g: np.zeros((6, 4), "c8")), FileFormatError, "expected numbers"),
    "opaque": (lambda: replaced(lambda g: np.zeros((6, 4), "V8")), FileFormatError, "expected numbers"),
    "bfloat16": (lambda: replaced(lambda g: np.zeros((6, 4), "V2")), UnsupportedError, "bfloat16"),
    "references": (
        lambda: replaced(lambda g: g.create_dataset("0", (6, 4), h5py.ref_dtype) and None),
        FileFormatError,
        "expected numbers",
    ),
    "empty dataset": (lambda: replaced(lambda g: h5py.Empty("f4")), FileFormatError, r"\w"),
    "group for a dataset": (lambda: replaced(lambda g: g.create_group("0") and None), FileFormatError, "dataset"),
    "dataset for a group": (
        lambda: replaced(lambda g: np.zeros(3), "layers/dense/vars"),
        FileFormatError,
        "expected a group",
    ),
    "type for a dataset": (lambda: replaced(lambda g: np.dtype("f4")), FileFormatError, "dataset"),
    "dataset missing": (lambda: replaced(lambda g: None), FileFormatError, "counted from 0|expected 2"),
    "one dataset too many": (
        lambda: with_hdf5(lambda f: f.__setitem__("layers/dense/vars/2", np.zeros(3))),
        FileFormatError,
        "expected 2 variables",
    ),
    "layer missing": (lambda: with_hdf5(lambda f: f.__delitem__("layers/dense_1")), FileFormatError, "received 0"),
    "no groups": (lambda: with_hdf5(lambda f: f.clear()), FileFormatError, "weights of a Keras model"),
}


def duplicate(name: str) -> bytes:
    buffer = io.BytesIO(zipped({**good_members(), "readme": b""}))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with zipfile.ZipFile(buffer, "a") as file:
            file.writestr(name, b"{}")
    return buffer.getvalue()
