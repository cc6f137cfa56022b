"""manifest.csv: a row per invitation, without token and link; `build` and the outbox share it.

The columns are a contract: programs read them, `send --record-only` adopts a build by them, and a
folder is known as an earlier build by this header.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Final

from invites.errors import UsageError
from invites.invitation import Invitation
from invites.times import instant, iso_z

COLUMNS: Final = (
    "meeting_id",
    "uid",
    "email",
    "moderator",
    "room",
    "not_before",
    "expires",
    "method",
    "sequence",
    "dtstamp",
    "message_id",
    "eml",
    "ics",
)
NAME: Final = "manifest.csv"
MARK: Final = "ledger.mark"
"""A batch's copy of the ledger's mark, by which an older ledger is known."""
HEADER: Final = (",".join(COLUMNS) + "\r\n").encode("ascii")
_SIGNS: Final = "=+-@\t\r＝＋－＠"  # noqa: RUF001 - the wide ones, too
"""What a cell begins with that a spreadsheet runs as a formula."""

_GUARDED_BEFORE: Final = frozenset(_SIGNS) | {"'"}
_BEFORE_FORMULA: Final = re.compile(rf"(^|[;\t] *)('*)(?=[{re.escape(_SIGNS)}])")
"""A cell's beginning, or what a spreadsheet may take for one: many split at `;`, or at tabs."""

_GUARDED_FORMULA: Final = re.compile(rf"(^|[;\t] *)'('*)(?=[{re.escape(_SIGNS)}])")


def row_for(invitation: Invitation, *, eml: str, ics: str) -> list[str]:
    """Return the row of an invitation; `eml` and `ics` are relative to the manifest's folder.

    `meeting_id` and `email` are as the roster writes them; times are UTC.
    """
    revision, validity = invitation.revision, invitation.validity
    return [
        invitation.meeting_id,
        invitation.uid,
        invitation.attendee.email,
        "true" if invitation.attendee.moderator else "false",
        invitation.room.claim,
        _utc(validity.not_before),
        _utc(validity.expires),
        revision.method.value,
        str(revision.sequence),
        _utc(int(revision.dtstamp.timestamp())),
        invitation.message_id,
        eml,
        ics,
    ]


@lru_cache(maxsize=1024)
def _utc(seconds: int) -> str:
    """Return seconds since 1970 as `2031-01-01T08:44:00Z`."""
    return iso_z(instant(seconds))


def lines(rows: Iterable[list[str]]) -> bytes:
    """Return rows as RFC 4180 has them, each ended by CRLF, in UTF-8.

    A cell that a spreadsheet would run as a formula gets an apostrophe before it.
    """
    return "".join([_line(_harmless(row)) for row in rows]).encode()


def _line(cells: list[str]) -> str:
    """Return one line; csv looks at each character, so it is asked only where one needs quotes."""
    line = ",".join(cells)
    quotes = '"' in line or "\r" in line or "\n" in line or line.count(",") >= len(cells)
    if not quotes:
        return line + "\r\n"
    text = io.StringIO(newline="")
    csv.writer(text).writerow(cells)
    return text.getvalue()


def _harmless(row: list[str]) -> list[str]:
    """Return cells none of which runs as a formula; `_as_written` undoes it."""
    text = "".join(row)
    splits = ";" in text or "\t" in text
    return [
        _BEFORE_FORMULA.sub(r"\1'\2", cell) if splits or cell[:1] in _GUARDED_BEFORE else cell
        for cell in row
    ]


def is_manifest(first_bytes: bytes) -> bool:
    """Whether a file that begins so is a manifest of ours."""
    return first_bytes.startswith(HEADER)


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """One row of a manifest that was read; times are seconds since 1970.

    `row` is the number a spreadsheet shows; `ics` is the calendar file's place, None for none.
    """

    row: int
    meeting_id: str
    uid: str
    email: str
    moderator: bool
    room: str
    not_before: int
    expires: int
    method: str
    sequence: int
    dtstamp: int
    message_id: str
    ics: Path | None


def read(path: Path) -> tuple[Listed, ...]:
    """Return the rows of the manifest at `path`; raises UsageError for what is none of ours."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise UsageError(f"{path}: there is no such manifest; `build` writes one") from None
    except OSError as error:
        raise UsageError(f"{path} can't be read: {error.strerror or error}") from None
    if not is_manifest(content):
        raise UsageError(
            f"{path}: found another header, expected a {NAME} that `build` wrote: "
            f"{', '.join(COLUMNS)}"
        )
    try:
        rows = list(csv.reader(io.StringIO(content.decode(), newline=""), strict=True))
        return tuple(
            _listed(number, dict(zip(COLUMNS, cells, strict=True)), path.parent)
            for number, cells in enumerate(rows[1:], start=2)
        )
    except (ValueError, csv.Error):
        raise UsageError(
            f"{path}: found rows that `build` did not write so, expected it unchanged"
        ) from None


def _listed(row: int, cells: dict[str, str], folder: Path) -> Listed:
    return Listed(
        row=row,
        meeting_id=_as_written(cells["meeting_id"]),
        uid=cells["uid"],
        email=_as_written(cells["email"]),
        moderator=cells["moderator"] == "true",
        room=_as_written(cells["room"]),
        not_before=_seconds(cells["not_before"]),
        expires=_seconds(cells["expires"]),
        method=cells["method"],
        sequence=int(cells["sequence"]),
        dtstamp=_seconds(cells["dtstamp"]),
        message_id=cells["message_id"],
        ics=_within(folder, cells["ics"]),
    )


def _seconds(text: str) -> int:
    return int(datetime.strptime(text, "%Y-%m-%dT%H:%M:%S%z").timestamp())


def _as_written(cell: str) -> str:
    """Return a cell without the apostrophes that kept a spreadsheet from running it."""
    return _GUARDED_FORMULA.sub(r"\1\2", cell)


def _within(folder: Path, name: str) -> Path | None:
    """Return the file of a build that a cell names, None where it names none inside."""
    path = folder / name
    inside = bool(name) and path.resolve().is_relative_to(folder.resolve())
    return path if inside and path.is_file() else None
