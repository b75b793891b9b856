"""Bytes on disk: whole files are read with a limit and replaced in one step.

A file is written under another name in the same folder, forced to the disk, and
renamed over the old one. Whoever opens the path sees the old file or the new one,
whatever happens in between: an exception, a full disk, ``kill -9``, a power cut.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import secrets
import stat
from collections.abc import Iterable
from typing import Any

from ..errors import FileFormatError, ModelError

MAX_FILE = 1 << 32
"""The largest file that is read, 4 GiB."""

MAX_JSON = 8 << 20
"""The largest configuration that is parsed; one of a thousand layers takes 1 MB."""

MAX_DEPTH = 100
"""How deep lists and objects of a configuration may be nested."""

Path = str | os.PathLike[str]


class FileMissingError(FileFormatError, FileNotFoundError):
    """There is no file of that name; Keras raises ValueError, others FileNotFoundError."""


def read_file(path: Path, *, nofollow: bool = False) -> bytes:
    """Returns the contents of a regular file.

    Args:
        path: the file.
        nofollow: refuse a symbolic link.

    Raises:
        FileMissingError: there is none.
        FileFormatError: it is a folder, a pipe or a device, or larger than 4 GiB.
        OSError: the operating system cannot read it.
    """
    # Without O_NONBLOCK, opening a pipe that nobody writes to would wait for ever.
    flags = os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0)
    if nofollow:
        flags |= getattr(os, "O_NOFOLLOW", 0)
    try:
        descriptor = os.open(path, flags)
    except FileNotFoundError:
        raise FileMissingError(f"{os.fspath(path)}: there is no such file.") from None
    except ValueError as error:
        raise FileFormatError(f"{os.fspath(path)!r} cannot be the name of a file: {error}.") from None
    except OSError as error:
        if nofollow and error.errno == errno.ELOOP:
            raise FileFormatError(
                f"{os.fspath(path)}: a symbolic link is not followed out of a model's folder."
            ) from None
        raise
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise FileFormatError(f"{os.fspath(path)}: expected a file, found a folder, pipe or device.")
        if status.st_size > MAX_FILE:
            raise FileFormatError(f"{os.fspath(path)}: expected at most 4 GiB, found {status.st_size} bytes.")
        data = file.read(MAX_FILE + 1)
    if len(data) > MAX_FILE:
        raise FileFormatError(f"{os.fspath(path)}: expected at most 4 GiB, and it grew beyond that.")
    return data


def check_target(path: Path, overwrite: bool, what: str) -> None:
    """Raises ModelError if ``path`` cannot be where a file is to be written."""
    try:
        mode = os.stat(path).st_mode
    except FileNotFoundError:
        return
    except ValueError as error:
        raise ModelError(f"{what}: {os.fspath(path)!r} cannot be the name of a file: {error}.") from None
    if stat.S_ISDIR(mode):
        raise ModelError(f"{what}: {os.fspath(path)} is a folder. Give the name of a file in it.")
    if not stat.S_ISREG(mode):
        raise ModelError(f"{what}: {os.fspath(path)} is not a regular file and is not replaced.")
    if not overwrite:
        raise ModelError(f"{what}: {os.fspath(path)} exists. Pass overwrite=True to replace it.")


def write_file(path: Path, parts: Iterable[bytes | bytearray | memoryview]) -> None:
    """Writes ``parts`` one after another as the whole contents of ``path``, or nothing.

    The order is: temporary file in the folder of ``path``, write, fsync of the file,
    rename, fsync of the folder. A symbolic link stays, and the file that it points to
    is replaced. A file that is replaced keeps its permissions.

    Raises:
        OSError: as the operating system reported it; the old file is as it was and
            the temporary one is gone.
    """
    target = os.path.realpath(path)
    folder, name = os.path.split(target)
    # The name may already be as long as the file system allows.
    temporary = os.path.join(folder, f".{name[:60]}.{os.getpid()}.{secrets.token_hex(4)}.tmp")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0) | getattr(os, "O_NOFOLLOW", 0)
    descriptor = os.open(temporary, flags, 0o666)  # less the umask, as for any new file
    try:
        with os.fdopen(descriptor, "wb", buffering=0) as file:
            with contextlib.suppress(FileNotFoundError):
                _keep_mode(file.fileno(), os.stat(target).st_mode)
            for part in parts:
                view = memoryview(part).cast("B")
                while len(view):
                    view = view[file.write(view) or 0 :]
            os.fsync(file.fileno())
        os.replace(temporary, target)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
    _sync_folder(folder)


def _keep_mode(descriptor: int, mode: int) -> None:
    if hasattr(os, "fchmod"):
        # File systems without permissions refuse; the file is then as any other there.
        with contextlib.suppress(PermissionError, NotImplementedError):
            os.fchmod(descriptor, stat.S_IMODE(mode))


def _sync_folder(folder: str) -> None:
    """Makes a rename in ``folder`` survive a power cut."""
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY | getattr(os, "O_DIRECTORY", 0))
    try:
        os.fsync(descriptor)
    except OSError as error:
        # Some network file systems cannot do it; the rename has happened all the same.
        if error.errno not in (errno.EINVAL, errno.ENOTSUP, errno.ENOSYS, errno.EBADF):
            raise
    finally:
        os.close(descriptor)


# JSON ------------------------------------------------------------------------------


def parse_json(data: bytes | str, where: str) -> Any:
    """Returns the value of a JSON text from a file that may be hostile.

    Refused are: more than 8 MiB, bytes that are not UTF-8, the same key twice in one
    object, integers of more than 20 digits, nesting deeper than 100, and text that no
    file could hold (lone surrogates). NaN and Infinity are read, as Keras writes them.

    Args:
        data: the text.
        where: what it is, for the message.

    Raises:
        FileFormatError: for all of the above, and for what is not JSON.
    """
    if len(data) > MAX_JSON:
        raise FileFormatError(f"{where}: expected at most {MAX_JSON} bytes of JSON, found {len(data)}.")
    try:
        text = data.decode("utf-8") if isinstance(data, bytes) else data
        value = json.loads(text, parse_int=_integer, object_pairs_hook=_object)
        _check_values(value)
    except UnicodeError as error:
        raise FileFormatError(f"{where}: expected text in UTF-8: {error}.") from None
    except (ValueError, RecursionError, MemoryError) as error:
        raise FileFormatError(f"{where}: expected JSON: {error}.") from None
    return value


def parse_object(data: bytes | str, where: str) -> dict[str, Any]:
    """As :func:`parse_json`, for a text that must be an object."""
    value = parse_json(data, where)
    if not isinstance(value, dict):
        raise FileFormatError(f"{where}: expected a JSON object, found {_kind(value)}.")
    return value


def _integer(digits: str) -> int:
    # Python refuses more than 4300 digits by itself, and only since 3.10.7.
    if len(digits) > 20:
        raise ValueError(f"an integer of {len(digits)} digits")
    return int(digits)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        # Readers disagree on which one counts, so one of them would be deceived.
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise ValueError(f"the key {key!r:.80} twice in one object")
            seen.add(key)
    return value


def _check_values(value: Any) -> None:
    """Walks without recursion: depth, and text that UTF-8 can hold."""
    level = [value]
    for _ in range(MAX_DEPTH):
        inner: list[Any] = []
        for item in level:
            if isinstance(item, dict):
                inner.extend(item)
                inner.extend(item.values())
            elif isinstance(item, list):
                inner.extend(item)
            elif isinstance(item, str) and not item.isascii():
                item.encode("utf-8")
        if not inner:
            return
        level = inner
    raise ValueError(f"lists and objects nested deeper than {MAX_DEPTH}")


def _kind(value: Any) -> str:
    names = {list: "a list", str: "a string", bool: "a truth value", type(None): "null"}
    return names.get(type(value), "a number")
