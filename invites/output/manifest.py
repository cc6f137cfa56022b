"""manifest.csv: a row per invitation, without token and link; `build` and the outbox share it.

The columns are a contract: programs read them, `send --record-only` adopts a build by them, and a
folder is known as an earlier build by this header.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final

from invites.core.model import Invitation

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
HEADER: Final = (",".join(COLUMNS) + "\r\n").encode("ascii")
_RUN_AS_FORMULA: Final = frozenset("=+-@\t\r")


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
        instant(validity.not_before),
        instant(validity.expires),
        revision.method.value,
        str(revision.sequence),
        instant(int(revision.dtstamp.timestamp())),
        invitation.message_id,
        eml,
        ics,
    ]


@lru_cache(maxsize=1024)
def instant(seconds: int) -> str:
    """Return seconds since 1970 as `2031-01-01T08:44:00Z`."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def lines(rows: Iterable[list[str]]) -> bytes:
    """Return rows as RFC 4180 has them, each ended by CRLF, in UTF-8.

    A cell that a spreadsheet would run as a formula gets an apostrophe before it.
    """
    text = io.StringIO(newline="")
    csv.writer(text).writerows([[_harmless(cell) for cell in row] for row in rows])
    return text.getvalue().encode()


def _harmless(cell: str) -> str:
    return "'" + cell if cell[:1] in _RUN_AS_FORMULA else cell


def is_manifest(first_bytes: bytes) -> bool:
    """Whether a file that begins so is a manifest of ours."""
    return first_bytes.startswith(HEADER)
