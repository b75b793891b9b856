"""Texts that are attributes of HDF5 groups, read from the bytes of the file.

The legacy format keeps configurations and lists of names in attributes. The HDF5 library
believes what a damaged file says of the length of a text, and sets gigabytes aside for
it; in a damaged list of texts it may go round for ever. So these are read here, which
takes little: an attribute is a message in the header of its group, and a text of any
length is an entry in a block called global heap, of which the message has the place.

Only the form of headers is known here that Keras has always written, the one that every
release of HDF5 reads. Numbers are little-endian, as they are in it everywhere.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from ..errors import FileFormatError, UnsupportedError

MAX_TEXT = 1 << 26
"""The most bytes that the texts of one attribute may have together, 64 MiB."""

MAX_MESSAGES = 1 << 12
"""The most messages of one header."""

MAX_ENTRIES = 1 << 18
"""The most texts of any length in one file; blocks that overlap could hold any number."""

_ATTRIBUTE, _CONTINUATION, _ELSEWHERE = 0x000C, 0x0010, 0x0015
_STRING, _VARIABLE = 3, 9
_UNDEFINED = (1 << 64) - 1


class Texts:
    """The attributes of the groups of one file.

    Args:
        data: the whole file.
        where: its name, for messages.

    Raises:
        FileFormatError: the file does not begin as one in this form does.
    """

    def __init__(self, data: bytes, where: str) -> None:
        self._data = data
        self._where = where
        self._heaps: dict[int, dict[int, tuple[int, int]]] = {}
        self._left = MAX_ENTRIES
        base = 24 if data[8:9] == b"\0" else 28
        if data[8:9] not in (b"\0", b"\1"):
            raise UnsupportedError(f"{where}: the form that HDF5 has since 1.8 is not supported for models.")
        if any(data[base : base + 8]):
            raise FileFormatError(f"{where}: damaged HDF5: places that are counted from elsewhere.")

    def read(self, address: int, name: str) -> str | list[str] | None:
        """Returns an attribute, a text or a list of texts; None if there is none.

        Args:
            address: the place of the header of the group.
            name: of the attribute.

        Raises:
            FileFormatError: the file is damaged, or the attribute is no text or too long.
        """
        key = name.encode("utf-8")
        for start, end in self._messages(address):
            found = self._attribute(start, end, key)
            if found is not None:
                return found
        return None

    def _damaged(self, what: str) -> FileFormatError:
        return FileFormatError(f"{self._where}: damaged HDF5: {what}.")

    def _number(self, at: int, size: int, end: int | None = None) -> int:
        """Returns an unsigned number, which must lie before ``end``."""
        if not 0 <= at <= (len(self._data) if end is None else end) - size:
            raise self._damaged("a number that lies outside of its place")
        return int.from_bytes(self._data[at : at + size], "little")

    def _messages(self, address: int) -> Iterator[tuple[int, int]]:
        """Yields beginning and end of the attributes in a header."""
        if self._number(address, 1) != 1:
            raise self._damaged("a header of another form")
        blocks = [(address + 16, self._number(address + 8, 4))]
        left = MAX_MESSAGES
        while blocks:
            at, size = blocks.pop(0)
            stop = at + size
            if stop > len(self._data):
                raise self._damaged("a header that reaches out of the file")
            while at + 8 <= stop:
                kind, length, flags = self._number(at, 2), self._number(at + 2, 2), self._number(at + 4, 1)
                at, end, left = at + 8, at + 8 + length, left - 1
                if end > stop or left < 0:
                    raise self._damaged("a header that does not add up")
                if kind == _CONTINUATION:
                    blocks.append((self._number(at, 8, end), self._number(at + 8, 8, end)))
                elif kind == _ELSEWHERE and self._number(end - 8, 8, end) != _UNDEFINED:
                    raise UnsupportedError(f"{self._where}: attributes outside of their header are not supported.")
                elif kind == _ATTRIBUTE:
                    if flags & 2:
                        raise UnsupportedError(f"{self._where}: shared attributes are not supported.")
                    yield at, end
                at = end

    def _attribute(self, at: int, end: int, wanted: bytes) -> str | list[str] | None:
        version, shared = self._number(at, 1, end), self._number(at + 1, 1, end)
        sizes = [self._number(at + 2 + 2 * i, 2, end) for i in range(3)]
        if version not in (1, 2, 3):
            raise self._damaged("an attribute of another form")
        # The first version rounds the three parts up to 8 bytes, the third says how the name is coded.
        parts = [(n + 7) // 8 * 8 if version == 1 else n for n in sizes]
        start = at + 8 + (version == 3)
        kind, space, value = start + parts[0], start + parts[0] + parts[1], start + sum(parts)
        if value > end:
            raise self._damaged("an attribute that does not add up")
        if self._data[start : start + sizes[0]].split(b"\0")[0] != wanted:
            return None
        if version > 1 and shared:
            raise UnsupportedError(f"{self._where}: attributes of a named type are not supported.")
        label = f"attribute {wanted.decode('utf-8')!r}"
        shape = self._shape(space, value)
        texts = self._texts(kind, space, value, end, math.prod(shape), label)
        try:
            found = [text.decode("utf-8") for text in texts]
        except UnicodeDecodeError:
            raise FileFormatError(f"{self._where}: {label}: expected text in UTF-8.") from None
        return found if shape else found[0]

    def _shape(self, at: int, end: int) -> tuple[int, ...]:
        version, rank = self._number(at, 1, end), self._number(at + 1, 1, end)
        if version not in (1, 2):
            raise self._damaged("a shape of another form")
        if version == 2 and self._number(at + 3, 1, end) == 2:  # nothing at all, as for an empty list
            return (0,)
        first = at + (8 if version == 1 else 4)
        return tuple(self._number(first + 8 * i, 8, end) for i in range(rank))

    def _texts(self, kind: int, stop: int, at: int, end: int, count: int, label: str) -> list[bytes]:
        """Returns the bytes of ``count`` texts of the type at ``kind``, which are at ``at``."""
        if count == 0:
            return []
        what, size = self._number(kind, 1, stop) & 15, self._number(kind + 4, 4, stop)
        variable = what == _VARIABLE and self._number(kind + 1, 1, stop) & 15 == 1
        if (what != _STRING and not variable) or (variable and size != 16):
            raise FileFormatError(f"{self._where}: {label}: expected text, found something else.")
        if count * size > end - at:
            raise self._damaged("an attribute with less in it than it says")
        places = range(at, at + count * size, size) if size else []
        if not variable:
            return [self._data[place : place + size].split(b"\0")[0] for place in places]
        lengths = [self._number(place, 4, end) for place in places]
        if sum(lengths) > MAX_TEXT:
            raise FileFormatError(f"{self._where}: {label}: {count} texts of {sum(lengths)} bytes.")
        return [
            self._entry(self._number(place + 4, 8, end), self._number(place + 12, 4, end), length)
            for place, length in zip(places, lengths, strict=True)
        ]

    def _entry(self, address: int, index: int, length: int) -> bytes:
        """Returns the first ``length`` bytes of an entry of a global heap."""
        if not length:
            return b""
        if address not in self._heaps:
            self._heaps[address] = dict(self._entries(address))
        start, size = self._heaps[address].get(index, (0, 0))
        if size < length:
            raise self._damaged("a text that is not in its block")
        return self._data[start : start + length].split(b"\0")[0]

    def _entries(self, address: int) -> Iterator[tuple[int, tuple[int, int]]]:
        """Yields index, place and size of the entries of a global heap."""
        if self._data[address : address + 8] != b"GCOL\1\0\0\0":
            raise self._damaged("a text whose block is not there")
        stop = address + self._number(address + 8, 8)
        if stop > len(self._data):
            raise self._damaged("a block of texts that reaches out of the file")
        at = address + 16
        while at + 16 <= stop:
            index, size = self._number(at, 2), self._number(at + 8, 8)
            if index == 0:  # what follows is free
                return
            at += 16
            self._left -= 1
            if size > stop - at or self._left < 0:
                raise self._damaged("a block of texts that does not add up")
            yield index, (at, size)
            at += (size + 7) // 8 * 8
