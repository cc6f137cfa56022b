"""Files that a roster may be in: which one a place means, how it lies there, what vouches for it.

Beside it may lie its digest (`.sha256`) and its row count (`.rows`).
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from glob import glob, has_magic
from pathlib import Path
from typing import Final, Self

from invites.errors import GuardError, RosterRefusedError
from invites.problems import Problem
from invites.roster.table import BYTES_AT_MOST, Chunk, Table
from invites.roster.workbook import split_sheet
from invites.text import BLANKS, counted


@dataclass(frozen=True, slots=True)
class RosterPath:
    """A path or a pattern (`*`, `?`, `[…]`) as a job names it, and the folder it starts from.

    `sheet` is the one that is meant of a workbook, "" for the first.
    """

    text: str
    base: Path
    sheet: str = ""

    @classmethod
    def of(cls, name: str, base: Path) -> Self:
        """Take `name` apart, which may be `roster.xlsx#Sheet`."""
        text, sheet = split_sheet(name)
        return cls(text, base, sheet)

    @property
    def path(self) -> Path:
        """The file of that very name."""
        return self.base / self.text


class RosterMovesError(GuardError):
    """A roster is still being written, or changed while it was read; try again.

    `still_at` is when it will have been still for `settle` if nobody touches it any more.
    """

    def __init__(self, text: str, *, still_at: datetime) -> None:
        """`still_at` is aware, in UTC."""
        self.still_at = still_at
        super().__init__(text)


@dataclass(frozen=True, slots=True, kw_only=True)
class RosterFile:
    """One file as it lay there: `modified_ns` since 1970, `digest` the SHA-256 in hex.

    `sealed` is true where a `.sha256` beside it matches: then it is whole, whatever it ends with.
    `rows` is the number of rows that a `.rows` beside it states, None where there is none.
    `sheet` is the one to read of a workbook, "" for the first.
    """

    path: Path
    size: int
    modified_ns: int
    digest: str
    sealed: bool
    rows: int | None = None
    sheet: str = ""

    @property
    def modified(self) -> datetime:
        """The modification time, aware, in UTC."""
        return since_1970(self.modified_ns)


def file_of(place: RosterPath) -> Path | None:
    """Return the file that a path or a pattern means; None where there is none.

    A place is taken as a path where a file of that very name is there, brackets and all.
    Of a pattern's files the newest counts, of equally new ones that with the greatest name.
    Raises SourceRefusedError for what no pattern may find.
    """
    if place.path.exists() or not has_magic(place.text):
        return place.path if place.path.exists() else None
    seen = [(name, _ordinary(place, name)) for name in names_found(place)]
    dated = [(sight.st_mtime_ns, name) for name, sight in seen if sight is not None]
    return place.base / max(dated)[1] if dated else None


def names_found(place: RosterPath) -> list[str]:
    """Return the names that a pattern finds in its folder, without sidecars, locks and dotfiles."""
    names = glob(place.text, root_dir=place.base, recursive=True)  # noqa: PTH207 - no dotfiles
    return [
        name
        for name in names
        if not name.endswith(SUFFIXES) and not Path(name).name.startswith(_LOCK)
    ]


_LOCK: Final = "~$"
"""What Excel's note of an open workbook starts with; it lies beside it and is newer."""


def _ordinary(place: RosterPath, name: str) -> os.stat_result | None:
    """Return what is seen of a file that a pattern found; None for a folder or what went away.

    Whoever may write into the folder could otherwise have any file read as a roster, by a link.
    """
    path = place.base / name
    try:
        seen = path.lstat()
        if stat.S_ISLNK(seen.st_mode) and not path.is_dir():
            raise SourceRefusedError(
                place.text,
                f"{_shown(name)} is a symbolic link; expected plain files alone: replace it by the "
                "file, or name that file in the job's roster",
            )
    except OSError:
        return None
    if not stat.S_ISREG(seen.st_mode):
        return None
    if _shown(name) != name:
        raise SourceRefusedError(
            place.text,
            f"the name {_shown(name)} is not UTF-8; expected one that is: rename the file",
        )
    return seen


def _shown(name: str) -> str:
    r"""Return a file's name with each byte that is not UTF-8 as `\xe4`."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def look(path: Path) -> tuple[int, int]:
    """Return a plain file's size and modification time in ns; refuse what is no plain file."""
    try:
        seen = path.stat()
    except OSError as error:
        raise SourceRefusedError(str(path), f"can't be read: {error.strerror}") from None
    if not stat.S_ISREG(seen.st_mode):
        raise SourceRefusedError(str(path), "is no plain file; expected a CSV file or a workbook")
    if seen.st_size > BYTES_AT_MOST:
        raise SourceRefusedError(
            str(path),
            f"has {seen.st_size:,} bytes, expected at most {BYTES_AT_MOST:,}: is it the right file?",
        )
    return seen.st_size, seen.st_mtime_ns


def snapshot(
    path: Path, size: int, modified_ns: int, *, still_at: datetime, sheet: str = ""
) -> RosterFile:
    """Return the file with its digest; refuse one that changed while the digest was taken."""
    digest = digest_of(path)
    file = RosterFile(
        path=path,
        size=size,
        modified_ns=modified_ns,
        digest=digest,
        sealed=matches_checksum(path, digest),
        rows=rows_stated(path),
        sheet=sheet,
    )
    if look(path) != (size, modified_ns):
        raise RosterMovesError(
            f"{path}: changed while it was looked at; expected a file that nobody writes to; "
            "look again when it is complete",
            still_at=still_at,
        )
    return file


def digest_of(path: Path) -> str:
    """Return the SHA-256 (hex) of a file's bytes; refuse one that can't be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise SourceRefusedError(str(path), f"can't be read: {error.strerror}") from None


def sight(path: Path) -> str:
    """Return what can be seen of a file without opening it."""
    try:
        seen = path.stat()
    except OSError:
        return f"{path}\0absent\0"
    return f"{path}\0{seen.st_size}\0{seen.st_mtime_ns}\0{seen.st_ctime_ns}\0{seen.st_ino}\0"


def since_1970(nanoseconds: int) -> datetime:
    """Return the instant in whole microseconds, which a float of seconds would blur."""
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=nanoseconds // 1000)


CHECKSUM_SUFFIX: Final = ".sha256"
ROWS_SUFFIX: Final = ".rows"
SUFFIXES: Final = (CHECKSUM_SUFFIX, ROWS_SUFFIX)
"""Ends of names that no pattern takes for a roster."""

_AT_MOST: Final = 65_536
"""Bytes that are read of a sidecar, which is a line or a few."""

_SHA256: Final = re.compile(r"[0-9a-f]{64}", re.ASCII)
_ROWS: Final = re.compile(r"^#\s*rows:[ \t]*(\d{1,9})[ \t]*\r?$", re.ASCII | re.MULTILINE)


class SourceRefusedError(RosterRefusedError):
    """A roster's file is missing, no plain file, cut, or differs from what lies beside it."""

    def __init__(self, source: str, expected: str) -> None:
        """Take as `expected` what is wrong, what was expected and what to do."""
        super().__init__(source, [Problem(row=None, column=None, found=None, expected=expected)])


def beside(path: Path, suffix: str) -> Path:
    """Return where a roster's sidecar lies: beside it, its name and the suffix."""
    return path.with_name(path.name + suffix)


def matches_checksum(path: Path, digest: str) -> bool:
    """Tell whether a `.sha256` beside `path` vouches for `digest` (SHA-256 in hex).

    False where there is none.  Raises SourceRefusedError where there is one that does not match or
    can't be read.
    """
    text = _text_beside(path, CHECKSUM_SUFFIX)
    if text is None:
        return False
    stated = checksum_in(text, path.name)
    if stated == digest:
        return True
    found = "says no SHA-256 for it" if stated is None else "says another SHA-256"
    raise SourceRefusedError(
        str(path),
        f"{path.name}{CHECKSUM_SUFFIX} beside it {found}; expected that of this file: wait for the "
        "upload, export both again, or remove the checksum",
    )


def checksum_in(text: str, name: str) -> str | None:
    """Return the SHA-256 (hex, lower case) that the text of a checksum file states for `name`.

    Read are a bare digest, the lines of sha256sum (`digest  name`, `digest *name`) and the tagged
    form (`SHA256 (name) = digest`); of several lines, the one that names the file.
    """
    stated = [entry for entry in map(_stated, text.splitlines()) if entry is not None]
    named = [digest for digest, of in stated if of == name]
    if named:
        return named[0]
    return stated[0][0] if len(stated) == 1 else None


def _stated(line: str) -> tuple[str, str] | None:
    """Return the digest and the bare file name that one line of a checksum file states."""
    line = line.strip().removeprefix("\ufeff")
    if line.startswith("SHA256 (") and ") = " in line:
        of, _, digest = line.removeprefix("SHA256 (").rpartition(") = ")
    else:
        digest, _, of = line.partition(" ")
        of = of.strip().removeprefix("*")
    digest = digest.strip().lower()
    return (digest, Path(of).name) if _SHA256.fullmatch(digest) else None


def rows_stated(path: Path) -> int | None:
    """Return the rows that a `.rows` beside `path` says there are below the header.

    None where there is no such file.  Raises SourceRefusedError for one without `# rows: N`.
    """
    text = _text_beside(path, ROWS_SUFFIX)
    if text is None:
        return None
    found = _ROWS.search(text.removeprefix("\ufeff"))
    if found is None:
        raise SourceRefusedError(
            str(path),
            f'{path.name}{ROWS_SUFFIX} beside it has no line "# rows: N"; expected the number of '
            "rows below the header: export both again, or remove it",
        )
    return int(found[1])


def holding(table: Table, stated: int) -> Iterator[Chunk]:
    """Yield the table's rows, and refuse it at the end where they are not as many as stated.

    Counted are rows with text in any cell, those of a wrong length as well: an exporter wrote them.
    Raises SourceRefusedError.
    """
    rows = len(table.faults)
    for chunk in table.rows:
        rows += sum(
            any(cell.strip(BLANKS) for cell in row) for row in zip(*chunk.columns, strict=True)
        )
        yield chunk
    if rows != stated:
        raise SourceRefusedError(
            table.source,
            f"it has {counted(rows, 'row')} and its {ROWS_SUFFIX} says {stated:,}; expected as "
            "many: the file may be cut; export both again",
        )


def _text_beside(path: Path, suffix: str) -> str | None:
    """Return the text of a sidecar, None where there is none; raises SourceRefusedError."""
    sidecar = beside(path, suffix)
    why = "it is no plain file"
    try:
        # A pipe of that name would keep the run waiting for ever.
        if stat.S_ISREG(sidecar.stat().st_mode):
            with sidecar.open("rb") as file:
                return file.read(_AT_MOST).decode("utf-8", errors="replace")
    except FileNotFoundError:
        return None
    except OSError as error:
        why = str(error.strerror)
    raise SourceRefusedError(str(path), f"{sidecar.name} beside it can't be read: {why}")
