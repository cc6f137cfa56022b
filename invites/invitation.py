"""What goes out: an invitation, its revision and what changed, who sends it, and for which server."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from hashlib import sha256
from typing import Literal, get_args

from invites.model import Attendee, DateLink, Meeting, Room, Validity


class Kind(StrEnum):
    """What a message tells its receiver; each kind has its templates.

    `WITHDRAWN` takes back one person's invitation and does not say that the meeting is off;
    `CANCELLED` says that it is, `DATE_CANCELLED` that one date of a series is and the others stand.
    """

    INVITATION = "invitation"
    UPDATE = "update"
    DATE_CANCELLED = "date_cancelled"
    CANCELLED = "cancelled"
    WITHDRAWN = "withdrawn"
    REMINDER = "reminder"


class Method(StrEnum):
    """The iTIP method (RFC 5546 3.2)."""

    REQUEST = "REQUEST"
    CANCEL = "CANCEL"


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
class Picture:
    """A logo that each mail brings along; `media_type` is what its content is, such as image/png."""

    content: bytes = field(repr=False)
    media_type: str

    @property
    def name(self) -> str:
        """What a mail program saves it as."""
        return f"logo.{self.media_type.removeprefix('image/')}"

    @property
    def content_id(self) -> str:
        """What the HTML names it by, as `cid:` and this (RFC 2392)."""
        return f"logo.{sha256(self.content).hexdigest()[:16]}@invites"


@dataclass(frozen=True, slots=True, kw_only=True)
class Brand:
    """How an organisation's letters look and greet, each "" where it is not set.

    `colour` is `#rrggbb`.  `logo` is an https URL, or what names `picture` within the message.
    `greeting` has `{name}` where the attendee's name is to stand.
    """

    name: str = ""
    colour: str = ""
    logo: str = ""
    picture: Picture | None = None
    footer: str = ""
    greeting: str = ""


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
    `date` is the original start of the one date of a series that the message is about, its
    RECURRENCE-ID, aware and in UTC; None for all of the meeting.
    """

    kind: Kind
    sequence: int
    dtstamp: datetime
    date: datetime | None = None

    @property
    def method(self) -> Method:
        """The iTIP method that this kind of message carries."""
        match self.kind:
            case Kind.DATE_CANCELLED | Kind.CANCELLED | Kind.WITHDRAWN:
                return Method.CANCEL
            case Kind.INVITATION | Kind.UPDATE | Kind.REMINDER:
                return Method.REQUEST


@dataclass(frozen=True, slots=True, kw_only=True)
class Invitation:
    """One composed message for one attendee: the .eml and .ics bytes and what they say.

    `eml` and `ics` hold a live link: they never reach a log or a `repr`.
    `ics` is empty for a reminder.
    `answers` is the Message-ID of the earlier message that it refers to, None for none.
    `links` are the dates whose links it carries, None where one link is for the whole meeting.
    """

    meeting: Meeting
    uid: str
    attendee: Attendee
    room: Room
    validity: Validity
    revision: Revision
    message_id: str
    answers: str | None = None
    links: tuple[DateLink, ...] | None = None
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


DeliveryName = Literal["folder", "smtp"]
"""Where messages can go, as settings and flags name it."""


DELIVERIES: tuple[str, ...] = get_args(DeliveryName)
