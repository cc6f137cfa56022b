"""The roster's columns: one table that says what each is, whose it is and how it is read."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from invites.addresses import ADDRESS_AT_MOST
from invites.model import Attendance, Status
from invites.roster.cells import (
    Parser,
    RosterRules,
    as_address,
    as_attendance,
    as_features,
    as_https_url,
    as_language,
    as_later,
    as_meeting_id,
    as_moderator,
    as_name,
    as_room,
    as_status,
    as_text,
    as_time,
    as_zone,
)
from invites.text import CellRefused, check_line, check_lines

CELL_AT_MOST: Final = 2_000
"""Characters of a cell whose column has no limit of its own."""


class Scope(StrEnum):
    """Whose fact a column holds."""

    IDENTITY = "identity"
    MEETING = "meeting"
    ATTENDEE = "attendee"


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One column.

    `limit` is in characters.  `what` completes "expected …" where a required cell is empty.
    `empty` is the value of an empty optional cell; in a meeting's column None means that the cell
    takes the value that the meeting's other rows give.
    """

    name: str
    scope: Scope
    parse: Parser = as_text
    required: bool = False
    limit: int = CELL_AT_MOST
    lines: bool = False
    empty: object = None
    what: str = "some text"

    def read(self, text: str, rules: RosterRules) -> object:
        """Return the value of a cell whose outer blanks are gone; raises CellRefused."""
        if text.isprintable() and 0 < len(text) <= self.limit:
            return self.parse(text, rules)
        if not text:
            if self.required:
                raise CellRefused(self.what)
            return self.empty
        if len(text) > self.limit:
            raise CellRefused(f"at most {self.limit:,} characters (it has {len(text):,})")
        return self.parse(check_lines(text) if self.lines else check_line(text), rules)


def _meeting(name: str, parse: Parser = as_text, **more: object) -> Column:
    return Column(name=name, scope=Scope.MEETING, parse=parse, **more)  # type: ignore[arg-type]


def _attendee(name: str, parse: Parser = as_text, **more: object) -> Column:
    return Column(name=name, scope=Scope.ATTENDEE, parse=parse, **more)  # type: ignore[arg-type]


_A_TIME: Final = "a date and time such as 2026-01-31 10:00"

COLUMNS: Final = (
    Column(
        name="meeting_id",
        scope=Scope.IDENTITY,
        parse=as_meeting_id,
        required=True,
        limit=1_000,
        what="the meeting's identity, the same in each of its rows",
    ),
    _meeting("title", as_name, required=True, limit=500, what="the meeting's title"),
    _meeting("start", as_time, required=True, what=_A_TIME),
    _meeting("end", as_time, required=True, what=_A_TIME),
    _attendee("name", as_name, required=True, limit=200, what="the attendee's name"),
    _attendee(
        "email",
        as_address,
        required=True,
        limit=ADDRESS_AT_MOST,
        what="one address such as ada@example.org",
    ),
    _meeting("timezone", as_zone),
    _attendee("moderator", as_moderator, empty=False),
    _meeting("room", as_room),
    _meeting("description", limit=20_000, lines=True),
    _meeting("organizer_name", as_name),
    _meeting("organizer_email", as_address),
    _meeting("status", as_status, empty=Status.CONFIRMED),
    _attendee("avatar", as_https_url, empty=""),
    _attendee("language", as_language),
    _attendee("attendee_timezone", as_zone),
    _attendee("attendance", as_attendance, empty=Attendance.REQUIRED),
    _attendee("features", as_features, empty=()),
    _attendee("user_id", empty=""),
    _attendee("group", empty=""),
    _meeting("recurrence", as_later),
    _meeting("exclude", as_later),
)
"""Every column that is known, in the order of the documentation."""

BY_NAME: Final = MappingProxyType({column.name: column for column in COLUMNS})

_BETWEEN_WORDS = re.compile(r"[\s_\u00a0\u2010\u2011-]+")
_E_MAIL = re.compile(r"(?<![^_])e_mail(?![^_])")


def folded_name(header: str) -> str:
    """Return a header's name as columns are compared: lower case, words joined by underscores.

    `E-Mail` is `email`, alone and within a longer name.
    """
    joined = _BETWEEN_WORDS.sub("_", header.strip()).strip("_").casefold()
    return _E_MAIL.sub("email", joined)


def extra_column(name: str) -> Column:
    """Return the column of this name that we don't know: it is kept for templates."""
    return Column(name=name, scope=Scope.ATTENDEE, empty="")
