"""The values that travel from a roster's row to a sent message: frozen, and free of effects."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Literal, get_args

from invites.problems import Problem, Warned

NO_COLUMNS: Mapping[str, str] = MappingProxyType({})

DeliveryName = Literal["folder", "smtp"]
"""Where messages can go, as settings and flags name it."""

DELIVERIES: tuple[str, ...] = get_args(DeliveryName)


class Status(StrEnum):
    """A meeting's status; the names are iCalendar's (RFC 5545 3.8.1.11) in lower case."""

    CONFIRMED = "confirmed"
    TENTATIVE = "tentative"
    CANCELLED = "cancelled"


class Attendance(StrEnum):
    """Whether an attendee who is no moderator is expected (RFC 5545 3.2.16)."""

    REQUIRED = "required"
    OPTIONAL = "optional"


class Kind(StrEnum):
    """What a message tells its receiver; each kind has its templates.

    `WITHDRAWN` takes back one person's invitation and does not say that the meeting is off;
    `CANCELLED` says that it is.
    """

    INVITATION = "invitation"
    UPDATE = "update"
    CANCELLED = "cancelled"
    WITHDRAWN = "withdrawn"
    REMINDER = "reminder"


class Method(StrEnum):
    """The iTIP method (RFC 5546 3.2)."""

    REQUEST = "REQUEST"
    CANCEL = "CANCEL"


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """One room: `claim` stands in the token, `segment` in the link (see `jitsi.rooms`)."""

    claim: str
    segment: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Validity:
    """A token's window in whole seconds since 1970 (RFC 7519 4.1.4, 4.1.5).

    Admitted when `not_before <= now < expires`.
    """

    not_before: int
    expires: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Attendee:
    """One person in one meeting.

    `email` is the address as the roster writes it, for people to read.
    `mailbox` is the same with its domain as A-labels, for headers, SMTP and `mailto:`.
    `address` is the folded form that two spellings share, for comparing and for identity.
    `columns` holds the roster's unknown columns, for templates.
    `row` is the number a spreadsheet shows.
    Empty optional text is "" and an absent zone or language is None.
    """

    name: str
    email: str
    mailbox: str
    address: str
    moderator: bool = False
    attendance: Attendance = Attendance.REQUIRED
    avatar: str = ""
    language: str | None = None
    timezone: str | None = None
    features: tuple[str, ...] = ()
    user_id: str = ""
    group: str = ""
    columns: Mapping[str, str] = field(default_factory=lambda: NO_COLUMNS)
    row: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Meeting:
    """One meeting and its attendees, who are sorted by `address`.

    `start` and `end` are aware and in UTC; `timezone` (IANA) is the zone to show them in.
    `room` is None where the roster names none: then it is derived from `id`.
    `organizer_email` is A-label form, "" where the roster names no host.
    `incomplete` is true where a row of this meeting was left out, so that nobody is withdrawn.
    `row` is the first row's number.
    """

    id: str
    title: str
    start: datetime
    end: datetime
    timezone: str
    attendees: tuple[Attendee, ...]
    room: Room | None = None
    description: str = ""
    organizer_name: str = ""
    organizer_email: str = ""
    status: Status = Status.CONFIRMED
    incomplete: bool = False
    row: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Roster:
    """A roster that was read and found in order, apart from the rows in `left_out`.

    `meetings` are sorted by (start, id).  `digest` is the SHA-256 of the file's bytes in hex.
    `rows_read` = `accepted` + the number of distinct rows left out; `repeated` counts the accepted
    rows that said again what another row says.
    `left_out_meetings` are the ids of meetings of which no row was accepted: they are not missing.
    `complete` is false where a left-out row's meeting can't be known.
    `final_newline` is false where the file ends without a line end: it may be cut, unless it is
    `sealed`: a `.sha256` beside it matches.
    `columns` are the known columns that the file has, None where nobody knows.
    """

    source: str
    digest: str
    meetings: tuple[Meeting, ...]
    rows_read: int
    accepted: int
    rejected: int = 0
    repeated: int = 0
    left_out: tuple[Problem, ...] = ()
    left_out_meetings: tuple[str, ...] = ()
    warnings: tuple[Warned, ...] = ()
    complete: bool = True
    final_newline: bool = True
    sealed: bool = False
    columns: frozenset[str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """The Jitsi server that links point to, and what its token plugin expects.

    `url` has no trailing slash and includes the tenant's path where there is one.
    `host` is the url's host with its port, `tenant` the path as the web client folds it.
    """

    url: str
    host: str
    app_id: str
    subject: str
    tenant: str | None = None
    audience: str = "jitsi"
    algorithm: str = "HS256"
    key_id: str | None = None
    link: Literal["query", "fragment"] = "query"
    moderator_claims: tuple[str, ...] = ("context",)
    profile: Literal["jitsi", "jaas"] = "jitsi"


@dataclass(frozen=True, slots=True, kw_only=True)
class Organizer:
    """The service mailbox that sends, and that ORGANIZER, From and the envelope name."""

    name: str
    email: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One fact that differs from what the attendee has: a field's name, old and new value.

    Times are aware datetimes in UTC; other values are text as people read it.
    A value that is not to be shown (a token's window, a secret) is None on both sides.
    """

    field: str
    old: datetime | str | bool | None
    new: datetime | str | bool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Revision:
    """What orders the messages about one meeting for one attendee (RFC 5546 2.1.5).

    `dtstamp` is aware, in UTC and in whole seconds; it is the message's Date as well.
    """

    kind: Kind
    sequence: int
    dtstamp: datetime

    @property
    def method(self) -> Method:
        """The iTIP method that this kind of message carries."""
        match self.kind:
            case Kind.CANCELLED | Kind.WITHDRAWN:
                return Method.CANCEL
            case Kind.INVITATION | Kind.UPDATE | Kind.REMINDER:
                return Method.REQUEST


@dataclass(frozen=True, slots=True, kw_only=True)
class Invitation:
    """One composed message for one attendee: the .eml and .ics bytes and what they say.

    `eml` and `ics` hold a live link: they never reach a log or a `repr`.
    `ics` is empty for a reminder.
    `answers` is the Message-ID of the earlier message that it refers to, None for none.
    """

    meeting: Meeting
    uid: str
    attendee: Attendee
    room: Room
    validity: Validity
    revision: Revision
    message_id: str
    answers: str | None = None
    eml: bytes = field(repr=False)
    ics: bytes = field(repr=False)

    @property
    def meeting_id(self) -> str:
        """The meeting's id in the roster."""
        return self.meeting.id

    @property
    def replies_to_host(self) -> bool:
        """Whether replies go to the meeting's host, and not to the service mailbox."""
        return bool(self.meeting.organizer_email)
