"""Reading HDF5 from a file that may be hostile.

HDF5 is a file system in a file: a name in it may lead to another file of the machine
(external links, external storage, virtual datasets), a dataset of a hundred bytes may
declare a terabyte, and an unknown filter makes the library look for a plug-in. So
nothing is followed, opened or allocated here before it has been looked at: every step
of a path must be a hard link, and a dataset must be an ordinary one of numbers, all of
which are in the file.

h5py is imported when the first file is opened, since it takes as long as all the rest.
"""

from __future__ import annotations

import contextlib
import io
import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..errors import FileFormatError, NncompileError, UnsupportedError

if TYPE_CHECKING:
    import h5py

Array = NDArray[Any]

MAX_DATASET = 1 << 32
"""The largest dataset that is read, 4 GiB."""

MAX_EXPANSION = 1000
"""How many times larger than what is stored a compressed dataset may become."""

FREE_SIZE = 1 << 20
"""Up to this many bytes, 1 MiB, how much is stored does not matter."""

MAX_NAMES = 1 << 16
"""The most entries of a group, or of a list of names."""

_SIGNATURE = b"\x89HDF\r\n\x1a\n"
_FILTERS = {1: "gzip", 2: "shuffle", 3: "fletcher32", 32000: "lzf"}  # those that h5py brings along


class _Image(io.BytesIO):
    """A file in memory. HDF5 does not notice when it is given less than it asked for."""

    def readinto(self, buffer: Any) -> int:
        count = super().readinto(buffer)
        if count != len(memoryview(buffer)):
            raise EOFError("a part of the file is missing")
        return count


@contextlib.contextmanager
def translated(where: str) -> Iterator[None]:
    """Turns what h5py raises into FileFormatError.

    Args:
        where: the file or member, for the message.
    """
    try:
        yield
    except NncompileError:
        raise
    except RecursionError:
        raise FileFormatError(f"{where}: nested too deeply.") from None
    except Exception as error:  # h5py raises nearly everything, by what it stumbles over
        reason = str(error).strip("'\". ") or type(error).__name__
        raise FileFormatError(f"{where}: damaged HDF5: {reason:.300}.") from error


@contextlib.contextmanager
def opened(data: bytes, where: str) -> Iterator[h5py.File]:
    """Opens an HDF5 file that is in memory.

    Args:
        data: the whole file.
        where: its name, for messages.

    Raises:
        FileFormatError: it is not HDF5, or not in the form that every writer uses, or
            reading it within the ``with`` failed.
    """
    if not data.startswith(_SIGNATURE):
        found = "nothing" if not data else repr(bytes(data[:8]))
        raise FileFormatError(f"{where}: expected HDF5, found {found}. The file is damaged or another one.")
    # Places and sizes of 8 bytes: all writers use them, and attributes.py relies on it.
    sizes = data[13:15] if data[8:9] in (b"\0", b"\1") else data[9:11]
    if bytes(sizes) != b"\x08\x08":
        raise FileFormatError(f"{where}: damaged HDF5: places in the file that are not of 64 bits.")
    import h5py

    # What the caller does with the file is translated too: reading it is all there is to do.
    with translated(where), h5py.File(_Image(data), "r") as file:
        yield file


def _link(parent: h5py.Group, name: str, where: str) -> bool:
    """Says whether ``parent`` has ``name``; it must then be a hard link."""
    import h5py

    key = name.encode("utf-8")
    # A slash would make HDF5 walk, an empty name or a dot stay: all steps are taken here.
    if not name or name == "." or "/" in name or "\0" in name:
        raise FileFormatError(f"{where}: {name!r:.80} cannot be a name in HDF5.")
    if not parent.id.links.exists(key):
        return False
    kind = parent.id.links.get_info(key).type
    if kind != h5py.h5l.TYPE_HARD:
        names = {h5py.h5l.TYPE_SOFT: "a soft link", h5py.h5l.TYPE_EXTERNAL: "a link to another file"}
        raise FileFormatError(f"{where}: {name!r:.80} is {names.get(kind, 'a link')}, which is not followed.")
    return True


def group(parent: h5py.Group, path: str, where: str) -> h5py.Group | None:
    """Returns the group at ``path`` under ``parent``, or None if there is none.

    Raises:
        FileFormatError: a step of the path is a link, or not a group.
    """
    import h5py

    current = parent
    for name in path.split("/"):
        if not _link(current, name, where):
            return None
        # Opened by its identifier: the item access of h5py would resolve links again.
        found = h5py.h5o.open(current.id, name.encode("utf-8"))
        if not isinstance(found, h5py.h5g.GroupID):
            raise FileFormatError(f"{where}: expected a group at {path!r:.200}, found something else.")
        current = h5py.Group(found)
    return current


def count(parent: h5py.Group, where: str) -> int:
    """Returns how many entries a group has."""
    total = int(parent.id.get_num_objs())
    if total > MAX_NAMES:
        raise FileFormatError(f"{where}: a group of {total} entries.")
    return total


class Dataset:
    """An ordinary dataset of numbers that has been looked at but not read.

    Attributes:
        shape: as declared, and as stored.
        dtype: as declared.
    """

    def __init__(self, dataset: h5py.h5d.DatasetID, where: str) -> None:
        self._id = dataset
        self._where = where
        properties = dataset.get_create_plist()
        self._check_layout(properties)
        self.shape: tuple[int, ...] = tuple(int(n) for n in dataset.shape)
        self.dtype = _number_type(dataset, where)
        # Python integers: a product that overflows 64 bits is still the right one.
        self.nbytes = math.prod(self.shape) * self.dtype.itemsize
        self._check_size(properties)

    def _check_layout(self, properties: Any) -> None:
        # Before the shape is asked for: that of a virtual dataset opens other files.
        import h5py

        layout = properties.get_layout()
        if layout == h5py.h5d.VIRTUAL:
            raise FileFormatError(f"{self._where}: a virtual dataset, which may be of other files.")
        if layout not in (h5py.h5d.COMPACT, h5py.h5d.CONTIGUOUS, h5py.h5d.CHUNKED):
            raise FileFormatError(f"{self._where}: a dataset of an unknown layout.")
        if properties.get_external_count():
            raise FileFormatError(f"{self._where}: a dataset that is stored in another file.")
        for i in range(properties.get_nfilters()):
            code = int(properties.get_filter(i)[0])
            if code not in _FILTERS:
                raise FileFormatError(f"{self._where}: a dataset with filter {code}; expected one of {_FILTERS}.")

    def _check_size(self, properties: Any) -> None:
        import h5py

        stored = int(self._id.get_storage_size())
        if self.nbytes > MAX_DATASET or (self.nbytes > FREE_SIZE and self.nbytes > MAX_EXPANSION * stored):
            raise FileFormatError(
                f"{self._where}: declared are {self.nbytes} bytes, {self.shape} of {self.dtype}, and stored {stored}."
            )
        complete = True
        if properties.get_layout() == h5py.h5d.CHUNKED:
            chunk = properties.get_chunk()
            size = math.prod(chunk) * self.dtype.itemsize
            if size > max(self.nbytes, FREE_SIZE):
                raise FileFormatError(f"{self._where}: chunks of {size} bytes for {self.nbytes} of data.")
            wanted = math.prod(-(-n // c) for n, c in zip(self.shape, chunk, strict=True))
            complete = wanted == int(self._id.get_num_chunks())
        elif self.nbytes:
            complete = stored == self.nbytes
        if not complete:
            # HDF5 would make up the rest from a fill value.
            raise FileFormatError(f"{self._where}: a part of the {self.nbytes} declared bytes is not stored.")

    def read(self, dtype: Any = None) -> Array:
        """Returns the numbers, as ``dtype`` if given."""
        import h5py

        with translated(self._where):
            value: Array = np.empty(self.shape, self.dtype)
            if value.size:
                self._id.read(h5py.h5s.ALL, h5py.h5s.ALL, value)
            with np.errstate(all="ignore"):  # what is too large for float32 becomes infinite
                return value if dtype is None else value.astype(dtype, copy=False)


def _number_type(dataset: h5py.h5d.DatasetID, where: str) -> np.dtype[Any]:
    import h5py

    kind = dataset.get_type()
    if isinstance(kind, h5py.h5t.TypeOpaqueID) and kind.get_size() == 2:
        raise UnsupportedError(f"{where}: numbers of type bfloat16 are not supported yet.")
    if not isinstance(kind, (h5py.h5t.TypeFloatID, h5py.h5t.TypeIntegerID, h5py.h5t.TypeEnumID)):
        raise FileFormatError(f"{where}: expected numbers, found {type(kind).__name__[4:-2].lower()}s.")
    dtype: np.dtype[Any] = kind.dtype
    if dtype.kind not in "fiub" or dtype.itemsize > 8:
        raise FileFormatError(f"{where}: expected numbers of at most 64 bits, found {dtype}.")
    return dtype


def dataset(parent: h5py.Group, path: str, where: str) -> Dataset | None:
    """Returns the dataset at ``path`` under ``parent``, or None if there is none.

    Raises:
        FileFormatError: it is reached by a link, is not a dataset, is stored elsewhere,
            or declares more than it stores.
        UnsupportedError: its numbers are of a type that is known and not supported.
    """
    import h5py

    folder, _, name = path.rpartition("/")
    holder = group(parent, folder, where) if folder else parent
    if holder is None or not _link(holder, name, where):
        return None
    found = h5py.h5o.open(holder.id, name.encode("utf-8"))
    if not isinstance(found, h5py.h5d.DatasetID):
        raise FileFormatError(f"{where}: expected a dataset at {path!r:.200}, found something else.")
    return Dataset(found, f"{where}: {path:.200}")


def address(parent: h5py.Group) -> int:
    """Returns where in the file the header of a group begins."""
    import h5py

    return int(h5py.h5o.get_info(parent.id).addr)
