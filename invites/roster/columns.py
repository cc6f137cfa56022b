"""The roster's columns: one table that says what each is, how it is read and what it is for.

All that depends on a column follows from its row here: `header` finds it, `rows` and `meetings`
read it by `holder` and `parse`, and whoever compares what an attendee has with what the roster says
takes `compared(holder)`: each column's value by `value_of`, the change's name by `told`, what a
change does by `uses`, and how the ledger keeps the value by `kept`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Flag, StrEnum, auto
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from invites.addresses import ADDRESS_AT_MOST
from invites.model import Attendance, Attendee, Meeting, Room, Status
from invites.roster.cells import (
    Parser,
    RosterRules,
    as_address,
    as_attendance,
    as_date,
    as_dates,
    as_features,
    as_https_url,
    as_language,
    as_meeting_id,
    as_moderator,
    as_name,
    as_recurrence,
    as_room,
    as_status,
    as_text,
    as_time,
    as_zone,
)
from invites.roster.series import kept_series, series_kept
from invites.text import CellRefused, check_line, check_lines

CELL_AT_MOST: Final = 2_000
"""Characters of a cell whose column has no limit of its own."""


class Holder(StrEnum):
    """Whose fact a column holds."""

    IDENTITY = "identity"
    MEETING = "meeting"
    ATTENDEE = "attendee"


class Use(Flag):
    """What a column's value goes into; a change of one that goes nowhere sends nothing."""

    NOTHING = 0
    TOKEN = auto()
    """The token or the join link: a change sends a new link."""
    TEXT = auto()
    """What the mail says."""
    CALENDAR = auto()
    """What the calendar entry says."""
    TIME = auto()
    """When the meeting takes place: told before all else."""
    SEQUENCE = auto()
    """A change raises the entry's SEQUENCE: time, link, token, status (RFC 5546 2.1.4)."""


class LedgerForm(NamedTuple):
    """How the ledger keeps a value: what of it is written as JSON, and the value of what is read."""

    written: Callable[[Any], object]
    read: Callable[[Any], object]


def _as_it_is(value: object) -> object:
    return value


AS_IT_IS: Final = LedgerForm(_as_it_is, _as_it_is)
_SECONDS: Final = LedgerForm(
    lambda moment: int(moment.timestamp()),
    lambda seconds: datetime.fromtimestamp(seconds, UTC),
)
_ROOM: Final = LedgerForm(
    lambda room: [room.claim, room.segment],
    lambda kept: Room(claim=kept[0], segment=kept[1]),
)
_SERIES: Final = LedgerForm(kept_series, series_kept)


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One column.

    `limit` is in characters.  `what` completes "expected …" where a required cell is empty.
    `empty` is the value of an empty optional cell; in a meeting's column None means that the cell
    takes the value that the meeting's other rows give.
    `field` is the attribute of `Meeting` or `Attendee` that holds the value, "" for the column's
    name; `change` is the name under which a change is told, "" for the column's name.
    `kept` is only asked for the values of columns that are compared.
    """

    name: str
    holder: Holder
    parse: Parser = as_text
    required: bool = False
    limit: int = CELL_AT_MOST
    lines: bool = False
    empty: object = None
    what: str = "some text"
    uses: Use = Use.NOTHING
    field: str = ""
    change: str = ""
    kept: LedgerForm = AS_IT_IS

    @property
    def attribute(self) -> str:
        """The attribute of `Meeting` or `Attendee` that holds its value."""
        return self.field or self.name

    @property
    def told(self) -> str:
        """The name under which a change of it is told."""
        return self.change or self.name

    @property
    def raises_sequence(self) -> bool:
        """Whether a change of it raises the entry's SEQUENCE."""
        return Use.SEQUENCE in self.uses

    def value_of(self, holder: Meeting | Attendee) -> Any:
        """Return what the column came to in a meeting or an attendee, whichever holds it."""
        return getattr(holder, self.attribute)

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
    return Column(name=name, holder=Holder.MEETING, parse=parse, **more)  # type: ignore[arg-type]


def _attendee(name: str, parse: Parser = as_text, **more: object) -> Column:
    return Column(name=name, holder=Holder.ATTENDEE, parse=parse, **more)  # type: ignore[arg-type]


_A_TIME: Final = "a date and time such as 2026-01-31 10:00"
_SHOWN: Final = Use.TEXT | Use.CALENDAR
_WHEN: Final = Use.TOKEN | Use.TEXT | Use.CALENDAR | Use.TIME | Use.SEQUENCE
_TOKEN: Final = Use.TOKEN | Use.SEQUENCE

COLUMNS: Final = (
    Column(
        name="meeting_id",
        holder=Holder.IDENTITY,
        parse=as_meeting_id,
        required=True,
        limit=1_000,
        what="the meeting's identity, the same in each of its rows",
        field="id",
    ),
    _meeting("title", as_name, required=True, limit=500, what="the meeting's title", uses=_SHOWN),
    _meeting("start", as_time, required=True, what=_A_TIME, uses=_WHEN, kept=_SECONDS),
    _meeting("end", as_time, required=True, what=_A_TIME, uses=_WHEN, kept=_SECONDS),
    _attendee(
        "name",
        as_name,
        required=True,
        limit=200,
        what="the attendee's name",
        uses=_TOKEN | _SHOWN,
    ),
    # The address is who the attendee is: another one is another attendee, and no change of this.
    _attendee(
        "email",
        as_address,
        required=True,
        limit=ADDRESS_AT_MOST,
        what="one address such as ada@example.org",
    ),
    _meeting("timezone", as_zone, uses=_SHOWN | Use.TIME),
    _attendee("moderator", as_moderator, empty=False, uses=_TOKEN | Use.CALENDAR),
    _meeting("room", as_room, uses=_TOKEN, kept=_ROOM),
    _meeting("description", limit=20_000, lines=True, uses=_SHOWN),
    _meeting("organizer_name", as_name, uses=_SHOWN, change="host"),
    _meeting("organizer_email", as_address, uses=_SHOWN, change="host"),
    _meeting(
        "status",
        as_status,
        empty=Status.CONFIRMED,
        uses=_SHOWN | Use.SEQUENCE,
        kept=AS_IT_IS._replace(read=Status),
    ),
    _attendee("avatar", as_https_url, empty="", uses=_TOKEN),
    _attendee("language", as_language, uses=_SHOWN),
    _attendee("attendee_timezone", as_zone, uses=Use.TEXT, field="timezone"),
    _attendee(
        "attendance",
        as_attendance,
        empty=Attendance.REQUIRED,
        uses=Use.CALENDAR,
        kept=AS_IT_IS._replace(read=Attendance),
    ),
    _attendee("features", as_features, empty=(), uses=_TOKEN, kept=AS_IT_IS._replace(read=tuple)),
    _attendee("user_id", empty="", uses=_TOKEN),
    _attendee("group", empty="", uses=_TOKEN),
    _meeting(
        # Its link's window is told by itself: it follows from the first date and the last alone.
        "recurrence",
        as_recurrence,
        uses=_WHEN & ~Use.TOKEN,
        field="series",
        kept=_SERIES,
    ),
    # What they say is in the series: the dates left out, and the date that a row is about.
    _meeting("exclude", as_dates),
    _meeting("occurrence", as_date),
)
"""Every column that is known, in the order of the documentation."""

BY_NAME: Final = MappingProxyType({column.name: column for column in COLUMNS})


def compared(holder: Holder) -> tuple[Column, ...]:
    """Return the columns of a holder whose change sends a message, in the documentation's order."""
    return tuple(column for column in COLUMNS if column.holder is holder and column.uses)


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
    return Column(name=name, holder=Holder.ATTENDEE, empty="")
