"""What may lie beside a roster to vouch for it: its digest (`.sha256`) and its row count (`.rows`)."""

from __future__ import annotations

import re
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from invites.errors import RosterRefusedError
from invites.problems import Problem
from invites.roster.table import Chunk, Table
from invites.text import BLANKS, counted

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
