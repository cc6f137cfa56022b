"""A roster to spoil: one good row, and what reading a spoilt one comes to."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from typing import Any

import pytest

from invites.errors import RosterRefusedError
from invites.model import Roster
from invites.roster.csv_file import table_from_bytes
from invites.roster.parse import RosterRules, parse_roster

GOOD = {
    "meeting_id": "weekly",
    "title": "Weekly",
    "start": "2031-03-03 09:00",
    "end": "2031-03-03 10:00",
    "timezone": "Europe/Berlin",
    "name": "Ada Example",
    "email": "ada@example.org",
    "moderator": "",
    "room": "",
    "description": "",
    "status": "",
}


def csv_bytes(*rows: dict[str, str]) -> bytes:
    """Return a roster of the good row with these cells put in, one row each."""
    out = io.StringIO()
    header = list(dict.fromkeys([*GOOD, *(name for row in rows for name in row)]))
    writer = csv.DictWriter(out, header, restval="", lineterminator="\n", quoting=csv.QUOTE_ALL)
    writer.writeheader()
    writer.writerows({**GOOD, **row} for row in rows)
    return out.getvalue().encode()


@pytest.fixture
def roster_file() -> Callable[..., bytes]:
    """Give the bytes of a roster made of the good row with other cells."""
    return csv_bytes


@pytest.fixture
def read() -> Callable[..., Roster]:
    """Give what reads a roster's bytes, or cells to put into the good row."""

    def reading(
        *content: bytes | dict[str, str], skip_invalid: bool = False, **rules: Any
    ) -> Roster:
        first = content[0]
        body = first if isinstance(first, bytes) else csv_bytes(*content)  # type: ignore[arg-type]
        table = table_from_bytes(body, "roster.csv", rules.get("encoding", ""))
        return parse_roster(table, RosterRules(**rules), skip_invalid=skip_invalid)

    return reading


@pytest.fixture
def refused(read: Callable[..., Roster]) -> Callable[..., RosterRefusedError]:
    """Give what reads a roster and returns how it was refused."""

    def refusal(*content: bytes | dict[str, str], **more: Any) -> RosterRefusedError:
        with pytest.raises(RosterRefusedError) as caught:
            read(*content, **more)
        return caught.value

    return refusal
