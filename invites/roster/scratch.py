"""What is too large for the memory lies in files without a name, which nobody else can open.

They are gone with the process, whatever ends it.
"""

from __future__ import annotations

import codecs
import copyreg
import io
import os
import pickle
import tempfile
from array import array
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final, Generic, NoReturn, TypeVar

from invites.errors import StorageError
from invites.model import NO_COLUMNS
from invites.roster.table import plain_start

PIECE: Final = 1 << 20
"""Octets that are read in one go."""

Value = TypeVar("Value")


class Scratch:
    """Octets in a file without a name (0600), in the folder that TMPDIR names."""

    def __init__(self) -> None:
        """Make an empty one; StorageError where there is no room for it."""
        try:
            with tempfile.TemporaryFile() as file:
                self._file = os.dup(file.fileno())
        except OSError as error:
            _refuse(error)
        self.size = 0

    def __del__(self) -> None:
        """Let go of the file; there is none where it could not be made."""
        if hasattr(self, "_file"):
            os.close(self._file)

    def add(self, octets: bytes | memoryview) -> None:
        """Write at the end; StorageError where the disk is full."""
        try:
            done = os.write(self._file, octets)
            while done < len(octets):
                done += os.write(self._file, memoryview(octets)[done:])
        except OSError as error:
            _refuse(error)
        self.size += len(octets)

    def read(self, start: int, octets: int) -> bytes:
        """Return so many octets from `start` on; processes of one build read at the same time."""
        return os.pread(self._file, octets, start)

    def opened(self, start: int = 0) -> io.BufferedReader:
        """Return a file to read from `start` on, with a place of its own."""
        return io.BufferedReader(_Reading(self, start), 1 << 18)


def start_of_text(aside: Scratch) -> int | None:
    """Return where the text begins in what is plainly CSV in UTF-8; None where it may not be.

    That is then looked at as a whole, which says what it is instead.
    """
    start = plain_start(aside.read(0, PIECE))
    if start is None:
        return None
    decoder = codecs.getincrementaldecoder("utf-8")()
    with aside.opened(start) as file:
        returns = line_ends = 0
        last = b""
        while piece := file.read(PIECE):
            try:
                decoder.decode(piece)
            except UnicodeDecodeError:
                return None
            returns += piece.count(b"\r")
            line_ends += piece.count(b"\r\n") + (last == b"\r" and piece[:1] == b"\n")
            last = piece[-1:]
        try:
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            return None
    return start if returns == line_ends else None


class _Reading(io.RawIOBase):
    """Reads a scratch file."""

    def __init__(self, scratch: Scratch, start: int) -> None:
        self._scratch = scratch
        self._at = start

    def readable(self) -> bool:
        """Return that it can be read."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Read what fits into `buffer`."""
        view = memoryview(buffer).cast("B")
        found = self._scratch.read(self._at, len(view))
        view[: len(found)] = found
        self._at += len(found)
        return len(found)


def _read_only(columns: dict[str, str]) -> Mapping[str, str]:
    return MappingProxyType(columns) if columns else NO_COLUMNS


class _Pickler(pickle.Pickler):
    """Writes frozen values, whose mappings are read-only ones."""

    dispatch_table = {  # noqa: RUF012 - the name by which pickle finds it
        **copyreg.dispatch_table,
        MappingProxyType: lambda columns: (_read_only, (dict(columns),)),
    }


class Stored(Generic[Value]):
    """Values in the order in which they were added; each is made anew when it is asked for."""

    def __init__(self) -> None:
        """Begin without any; StorageError where there is no room for them."""
        self._scratch = Scratch()
        self._starts = array("Q", [0])
        self._latest: tuple[int, Value] | None = None

    def append(self, value: Value) -> None:
        """Add one; StorageError where the disk is full."""
        written = io.BytesIO()
        _Pickler(written, pickle.HIGHEST_PROTOCOL).dump(value)
        self._scratch.add(written.getbuffer())
        self._starts.append(self._scratch.size)

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._starts) - 1

    def __getitem__(self, place: int) -> Value:
        """Return one; IndexError where there is none."""
        if not 0 <= place < len(self):
            raise IndexError(place)
        if self._latest is None or self._latest[0] != place:
            start, end = self._starts[place], self._starts[place + 1]
            value = pickle.loads(self._scratch.read(start, end - start))  # noqa: S301 - we wrote it
            self._latest = place, value
        return self._latest[1]

    def __iter__(self) -> Iterator[Value]:
        """Yield all of them."""
        return map(self.__getitem__, range(len(self)))


def _refuse(error: OSError) -> NoReturn:
    raise StorageError(
        f"{tempfile.gettempdir()}: {error.strerror}; a large roster needs its own size there three "
        "times; make room, or let TMPDIR name another folder"
    ) from error
