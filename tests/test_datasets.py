"""MNIST: the shipped selection, Keras' own file, and damaged ones."""

from __future__ import annotations

import io
import pickle
import shutil
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nncompile import absent, datasets
from nncompile.datasets import mnist
from nncompile.errors import FileFormatError, UnsupportedError


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder in which Keras keeps its data, empty."""
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    (tmp_path / "datasets").mkdir()
    return tmp_path / "datasets"


def arrays(train: int = 6, test: int = 3) -> dict[str, Any]:
    rng = np.random.default_rng(0)
    return {
        "x_train": rng.integers(0, 256, (train, 28, 28), np.uint8),
        "y_train": rng.integers(0, 10, train, np.uint8),
        "x_test": rng.integers(0, 256, (test, 28, 28), np.uint8),
        "y_test": rng.integers(0, 10, test, np.uint8),
    }


def test_shipped_selection(home: Path) -> None:
    (x_train, y_train), (x_test, y_test) = mnist.load_data()
    assert x_train.shape == (8000, 28, 28)
    assert y_train.shape == (8000,)
    assert x_test.shape == (1000, 28, 28)
    assert y_test.shape == (1000,)
    for x, y in ((x_train, y_train), (x_test, y_test)):
        assert x.dtype == y.dtype == np.uint8
        assert (x.min(), x.max()) == (0, 255)
        assert set(y) == set(range(10))
        assert np.bincount(y).min() > len(y) / 15
    # Both parts are drawings of the same digits, and not the same drawings.
    means = np.stack([x_train[y_train == digit].mean(axis=0) for digit in range(10)])
    distance = ((x_test[:, None] - means[None]) ** 2).mean(axis=(2, 3))
    assert (distance.argmin(axis=1) == y_test).mean() > 0.75
    assert not {x.tobytes() for x in x_train} & {x.tobytes() for x in x_test}


def test_file_of_keras_comes_first(home: Path) -> None:
    given_arrays = arrays()
    np.savez_compressed(home / "mnist.npz", **given_arrays)
    np.savez(home / "other.npz", **arrays(4, 2))
    (x_train, y_train), (x_test, y_test) = mnist.load_data()
    for name, array in {"x_train": x_train, "y_train": y_train, "x_test": x_test, "y_test": y_test}.items():
        np.testing.assert_array_equal(array, given_arrays[name])
    assert len(mnist.load_data("other.npz")[0][0]) == 4
    assert len(mnist.load_data(home / "other.npz")[0][0]) == 4
    assert len(mnist.load_data("missing.npz")[0][0]) == 8000


def test_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KERAS_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    assert len(mnist.load_data()[0][0]) == 8000
    (tmp_path / ".keras" / "datasets").mkdir(parents=True)
    np.savez(tmp_path / ".keras" / "datasets" / "mnist.npz", **arrays())
    assert len(mnist.load_data()[0][0]) == 6


def test_keras_reads_the_same(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from oracle import keras

    path = home / "mnist.npz"
    np.savez(path, **arrays())
    theirs = keras.src.datasets.mnist
    monkeypatch.setattr(theirs, "get_file", lambda **_: str(path))
    for ours, other in zip(mnist.load_data(), theirs.load_data(), strict=True):
        for array, expected in zip(ours, other, strict=True):
            np.testing.assert_array_equal(array, expected)


def member(array: Any) -> bytes:
    stream = io.BytesIO()
    np.lib.format.write_array(stream, np.asarray(array), allow_pickle=True)
    return stream.getvalue()


def header(shape: tuple[int, ...], dtype: str = "|u1", version: tuple[int, int] = (1, 0)) -> bytes:
    stream = io.BytesIO()
    write = np.lib.format.write_array_header_1_0 if version == (1, 0) else np.lib.format.write_array_header_2_0
    write(stream, {"descr": dtype, "fortran_order": False, "shape": shape})
    return stream.getvalue()


def write(path: Path, **changed: bytes | None) -> None:
    members = {name: member(array) for name, array in arrays().items()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in {**members, **changed}.items():
            if content is not None:
                archive.writestr(f"{name}.npy", content)


def test_other_numbers_and_versions_are_read(home: Path) -> None:
    values = arrays()
    write(
        home / "mnist.npz",
        x_train=member(values["x_train"].astype(np.float32)),
        y_train=header((6,), version=(2, 0)) + bytes(6),
        x_test=member(np.asfortranarray(values["x_test"])),
    )
    (x_train, y_train), (x_test, _) = mnist.load_data()
    assert x_train.dtype == np.float32
    assert y_train.shape == (6,)
    np.testing.assert_array_equal(x_test, values["x_test"])


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"y_test": None}, "received no y_test"),
        (
            {"x_train": member(np.zeros((6, 27, 28), np.uint8))},
            r"x_train: expected numbers of shape \(n, 28, 28\)",
        ),
        ({"y_train": member(np.zeros((6, 1), np.uint8))}, r"y_train: expected numbers of shape \(n,\)"),
        ({"y_train": member(np.uint8(3))}, "y_train: expected numbers"),
        (
            {"y_train": member(np.zeros(5, np.uint8))},
            r"as many rows in y_train as in x_train \(6\), received 5",
        ),
        ({"y_train": member(np.array(["a"] * 6))}, "received <U1"),
        ({"y_train": member(np.array([print] * 6))}, "received object"),
        ({"y_train": header((1 << 40,)) + b"abc"}, "its header says"),
        ({"y_train": header((6,)) + bytes(5)}, "its header says"),
        ({"y_train": header((6,)) + bytes(7)}, "its header says"),
        ({"y_train": header((-6,)) + bytes(6)}, "its header says|cannot be read"),
        ({"y_train": b"not an array"}, "cannot be read"),
        ({"y_train": b""}, "cannot be read"),
        ({"y_train": b"\x93NUMPY\x09\x00"}, "cannot be read"),
        ({"y_train": b"\x93NUMPY\x01\x00\x10\x00__import__('os')"}, "cannot be read"),
    ],
)
def test_files_with_something_else_in_them(home: Path, changed: dict[str, Any], message: str) -> None:
    write(home / "mnist.npz", **changed)
    with pytest.raises(FileFormatError, match=message) as error:
        mnist.load_data()
    assert str(home / "mnist.npz") in str(error.value)


class Explosive:
    def __reduce__(self) -> Any:
        return (pytest.fail, ("a pickle was run",))


def test_pickles_are_never_run(home: Path) -> None:
    write(home / "mnist.npz", y_train=member(np.array([Explosive()] * 6)))
    with pytest.raises(FileFormatError):
        mnist.load_data()
    (home / "mnist.npz").write_bytes(pickle.dumps(Explosive()))
    with pytest.raises(FileFormatError):
        mnist.load_data()


def test_an_array_alone_and_a_folder(home: Path) -> None:
    with open(home / "mnist.npz", "wb") as file:
        np.save(file, np.ones(3))
    with pytest.raises(FileFormatError, match="cannot be read"):
        mnist.load_data()
    (home / "mnist.npz").unlink()
    (home / "mnist.npz").mkdir()
    with pytest.raises(FileFormatError, match="cannot be read"):
        mnist.load_data()


def test_an_array_with_an_archive_behind_it(home: Path) -> None:
    write(home / "archive")
    with open(home / "mnist.npz", "wb") as file:
        np.save(file, np.ones(3))
        file.write((home / "archive").read_bytes())
    with pytest.raises(FileFormatError, match="cannot be read"):
        mnist.load_data()


@given(st.data())
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_damaged_files(home: Path, data: st.DataObject) -> None:
    """A file cut off or with changed bytes is refused, or its pictures are whole."""
    path = home / "mnist.npz"
    np.savez_compressed(path, **arrays())
    content = bytearray(path.read_bytes())
    if data.draw(st.booleans()):
        content = content[: data.draw(st.integers(0, len(content) - 1))]
    else:
        for _ in range(data.draw(st.integers(1, 4))):
            content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(bytes(content))
    try:
        (x_train, y_train), (x_test, y_test) = mnist.load_data()
    except FileFormatError:
        return
    expected = arrays()
    for name, array in {"x_train": x_train, "y_train": y_train, "x_test": x_test, "y_test": y_test}.items():
        np.testing.assert_array_equal(array, expected[name])


def test_shipped_file_truncated_anywhere(home: Path) -> None:
    content = mnist._SHIPPED.read_bytes()
    for length in (0, 1, 4, 1000, len(content) // 2, len(content) - 1):
        (home / "mnist.npz").write_bytes(content[:length])
        with pytest.raises(FileFormatError):
            mnist.load_data()
    shutil.copy(mnist._SHIPPED, home / "mnist.npz")
    mnist.load_data()


@pytest.mark.parametrize("name", ["cifar10", "fashion_mnist", "imdb"])
def test_other_datasets_of_keras(name: str) -> None:
    from oracle import keras

    assert hasattr(keras.datasets, name)
    assert not hasattr(datasets, name)
    with pytest.raises(UnsupportedError, match=f"{name} is not supported: read the files yourself"):
        getattr(datasets, name)


def test_all_datasets_of_keras_are_known_by_name() -> None:
    from oracle import keras

    theirs = {name for name in dir(keras.datasets) if not name.startswith("_")}
    assert theirs == {*datasets.__all__, *absent.ABSENT["datasets"][absent._DATA].split()}
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = datasets.nothing
