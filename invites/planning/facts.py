"""What an attendee would have: the facts that decide whether, and as what, a message goes out.

Facts hold no token, no link and no secret, only a keyed fingerprint of the secret.
They are enough to compose a cancellation, a retry or a reminder from the ledger alone.
A digest stands for those that count; comparing it is cheap, and where two digests differ `changes`
says in which fields (none: then only what does not count has changed).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import blake2b
from operator import attrgetter
from types import MappingProxyType
from typing import Any, NamedTuple
from urllib.parse import unquote

from invites.model import Attendance, Attendee, Change, Meeting, Room, Server, Status, Validity
from invites.roster.columns import COLUMNS, Scope, compared
from invites.times import zone

DIGEST_OCTETS = 16
"""Length of a facts digest; it only has to be unlikely to repeat by chance."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What the settings add to what the roster says, where a change of it sends a message.

    `server_print` stands for everything of the server that a token or a link depends on, `key` is
    the keyed fingerprint of the secret (`jitsi.tokens.fingerprint`), and `alarm` is the calendar
    entry's reminder as the settings write it ("" for none).
    `mailbox` is the organizer's, by which receivers know who may change an invitation.
    """

    server_url: str
    server_print: str
    key: str
    alarm: str = ""
    mailbox: str = ""

    @classmethod
    def of(cls, server: Server, *, key: str, alarm: str = "", mailbox: str = "") -> Terms:
        """Return the terms for `server`, a key's fingerprint, the alarm and the organizer."""
        parts = (
            server.url,
            server.app_id,
            server.subject,
            server.tenant or "",
            server.audience,
            server.algorithm,
            server.key_id or "",
            server.link,
            *server.moderator_claims,
            server.profile,
        )
        return cls(
            server_url=server.url,
            server_print=_digest(parts),
            key=key,
            alarm=alarm,
            mailbox=mailbox,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class MeetingFacts:
    """The part of the facts that all attendees of a meeting share.

    `start` and `end` are aware and in UTC; `wall_start` is the start as the clock on the wall of
    `timezone` shows it, by which a change of the zone's rules is told from a moved meeting.
    `digest` stands for all of it that counts.
    """

    id: str
    title: str
    start: datetime
    end: datetime
    timezone: str
    wall_start: str
    description: str
    organizer_name: str
    organizer_email: str
    status: Status
    room: Room
    validity: Validity
    terms: Terms
    digest: str

    @classmethod
    def of(cls, meeting: Meeting, *, room: Room, validity: Validity, terms: Terms) -> MeetingFacts:
        """Return the facts of `meeting`; `room` is the one it takes place in, derived or not."""
        local = meeting.start.astimezone(zone(meeting.timezone)).replace(tzinfo=None)
        return cls(
            id=meeting.id,
            title=meeting.title,
            start=meeting.start,
            end=meeting.end,
            timezone=meeting.timezone,
            wall_start=local.isoformat(),
            description=meeting.description,
            organizer_name=meeting.organizer_name,
            organizer_email=meeting.organizer_email,
            status=meeting.status,
            room=room,
            validity=validity,
            terms=terms,
            digest=_meeting_digest(meeting, room, validity, terms),
        )

    def meeting(self, attendees: tuple[Attendee, ...]) -> Meeting:
        """Return the meeting as these facts have it, for composing from the ledger alone."""
        return Meeting(
            id=self.id,
            title=self.title,
            start=self.start,
            end=self.end,
            timezone=self.timezone,
            attendees=attendees,
            room=self.room,
            description=self.description,
            organizer_name=self.organizer_name,
            organizer_email=self.organizer_email,
            status=self.status,
        )

    @property
    def content_digest(self) -> str:
        """The key under which the ledger keeps `as_json` once for all attendees that share it."""
        return _digest((self.as_json(),))

    def as_json(self) -> str:
        """Return the facts as one line of JSON that `meeting_facts_from` reads."""
        return json.dumps(
            {
                "id": self.id,
                "title": self.title,
                "start": int(self.start.timestamp()),
                "end": int(self.end.timestamp()),
                "timezone": self.timezone,
                "wall_start": self.wall_start,
                "description": self.description,
                "organizer_name": self.organizer_name,
                "organizer_email": self.organizer_email,
                "status": self.status.value,
                "room": [self.room.claim, self.room.segment],
                "validity": [self.validity.not_before, self.validity.expires],
                "server_url": self.terms.server_url,
                "server_print": self.terms.server_print,
                "key": self.terms.key,
                "alarm": self.terms.alarm,
                "mailbox": self.terms.mailbox,
                "digest": self.digest,
            },
            ensure_ascii=False,
        )


Value = datetime | str | bool | None


class Draft(NamedTuple):
    """What one attendee is to have by the roster; `digest` stands for all of it that counts."""

    facts: MeetingFacts
    attendee: Attendee
    digest: str


class Known(NamedTuple):
    """What one attendee has, or may have, by the ledger."""

    facts: MeetingFacts
    attendee: Attendee


@dataclass(frozen=True, slots=True, kw_only=True)
class MeetingDraft:
    """A roster's meeting with its facts and a draft for each attendee."""

    meeting: Meeting
    facts: MeetingFacts
    drafts: tuple[Draft, ...]


def drafted(meeting: Meeting, *, room: Room, validity: Validity, terms: Terms) -> MeetingDraft:
    """Return the drafts of one meeting; what is shared is computed once."""
    facts = MeetingFacts.of(meeting, room=room, validity=validity, terms=terms)
    drafts = tuple(
        Draft(facts, attendee, attendee_digest(facts.digest, attendee))
        for attendee in meeting.attendees
    )
    return MeetingDraft(meeting=meeting, facts=facts, drafts=drafts)


_PERSON = compared(Scope.ATTENDEE)
"""The attendee's columns whose change sends a message: digest, JSON and changes follow from them."""
_FIELDS = tuple(column.field or column.name for column in _PERSON)
_values_of: Callable[[Attendee], tuple[Any, ...]] = attrgetter(*_FIELDS)


_told_of: Callable[[Attendee], tuple[Any, ...]] = attrgetter(
    *(field for field in _FIELDS if field != "attendance")
)


def attendee_digest(meeting_digest: str, attendee: Attendee) -> str:
    """Return the digest of everything that counts for this attendee in this meeting."""
    return _digest((meeting_digest, expected_as(attendee), *map(_as_text, _told_of(attendee))))


def _as_text(value: Any) -> str:
    """Return a column's value as people read it; two values differ exactly where this does."""
    if isinstance(value, tuple):
        return " ".join(value)
    return "" if value is None else str(value)


def expected_as(attendee: Attendee) -> str:
    """Return what the calendar shows of the attendance: a moderator's own makes no difference."""
    return "chair" if attendee.moderator else attendee.attendance.value


def attendee_json(attendee: Attendee) -> str:
    """Return the attendee as one line of JSON; columns of the user's own are for the templates."""
    facts: dict[str, Any] = {
        "email": attendee.email,
        "mailbox": attendee.mailbox,
        "address": attendee.address,
    }
    facts |= {
        field: value
        for column, field, value in zip(_PERSON, _FIELDS, _values_of(attendee), strict=True)
        if value and value != column.empty
    }
    if attendee.columns:
        facts["columns"] = dict(attendee.columns)
    return json.dumps(facts, ensure_ascii=False)


def attendee_from(text: str) -> Attendee:
    """Return the attendee that `attendee_json` wrote; what JSON has no word for comes back."""
    facts: dict[str, Any] = json.loads(text)
    facts["attendance"] = Attendance(facts.get("attendance", Attendance.REQUIRED.value))
    facts["features"] = tuple(facts.get("features", ()))
    facts["columns"] = MappingProxyType(facts.get("columns", {}))
    return Attendee(**facts)


def meeting_facts_from(text: str) -> MeetingFacts:
    """Return the facts that `MeetingFacts.as_json` wrote."""
    facts: dict[str, Any] = json.loads(text)
    claim, segment = facts.pop("room")
    not_before, expires = facts.pop("validity")
    return MeetingFacts(
        start=datetime.fromtimestamp(facts.pop("start"), UTC),
        end=datetime.fromtimestamp(facts.pop("end"), UTC),
        status=Status(facts.pop("status")),
        room=Room(claim=claim, segment=segment),
        validity=Validity(not_before=not_before, expires=expires),
        terms=Terms(**{name: facts.pop(name, "") for name in _TERMS}),
        **facts,
    )


_TERMS = ("server_url", "server_print", "key", "alarm", "mailbox")


def _meeting_digest(meeting: Meeting, room: Room, validity: Validity, terms: Terms) -> str:
    return _digest(
        (
            str(int(meeting.start.timestamp())),
            str(int(meeting.end.timestamp())),
            meeting.timezone,
            meeting.title,
            meeting.description,
            meeting.organizer_name,
            meeting.organizer_email,
            meeting.status.value,
            room.claim,
            room.segment,
            str(validity.not_before),
            str(validity.expires),
            terms.server_print,
            terms.key,
            terms.alarm,
            terms.mailbox,
        )
    )


def _digest(parts: tuple[str, ...]) -> str:
    return blake2b("\0".join(parts).encode(), digest_size=DIGEST_OCTETS).hexdigest()


RAISES_SEQUENCE = frozenset(
    {column.told for column in COLUMNS if column.raises_sequence}
    | {"server", "validity", "key", "organizer"}
)
"""The fields whose change moves the entry (RFC 5546 2.1.4), its link or its token: SEQUENCE + 1.

Every other change is sent with the same SEQUENCE and a new DTSTAMP.
"""


class Difference(NamedTuple):
    """Everything that counts and differs; `zone_rules` where only the zone's rules moved it."""

    changes: tuple[Change, ...]
    zone_rules: bool

    @property
    def raises_sequence(self) -> bool:
        """Tell whether the new revision needs a higher SEQUENCE."""
        return any(change.field in RAISES_SEQUENCE for change in self.changes)

    @property
    def demotes(self) -> bool:
        """Tell whether a moderator is one no longer, so that the old token still is one's."""
        return any(change.field == "moderator" and change.old is True for change in self.changes)


def difference(known: Known, draft: Draft) -> Difference:
    """Return what differs between what the attendee has and what it is to have."""
    changes = (
        *_times(known.facts, draft.facts),
        *_texts(known.facts, draft.facts),
        *_link(known.facts, draft.facts),
        *_person(known.attendee, draft.attendee),
    )
    return Difference(changes, _zone_moved(known.facts, draft.facts))


def _zone_moved(old: MeetingFacts, new: MeetingFacts) -> bool:
    same_wall = (old.timezone, old.wall_start) == (new.timezone, new.wall_start)
    return same_wall and old.start != new.start


def _times(old: MeetingFacts, new: MeetingFacts) -> Iterator[Change]:
    if old.start != new.start:
        yield Change(field="start", old=old.start, new=new.start)
    if old.end != new.end:
        yield Change(field="end", old=old.end, new=new.end)
    if old.timezone != new.timezone:
        yield Change(field="timezone", old=old.timezone, new=new.timezone)


def _texts(old: MeetingFacts, new: MeetingFacts) -> Iterator[Change]:
    pairs = (
        ("title", old.title, new.title),
        ("description", old.description, new.description),
        ("host", _host(old), _host(new)),
        ("status", old.status.value, new.status.value),
        ("reminder", old.terms.alarm, new.terms.alarm),
        ("organizer", old.terms.mailbox, new.terms.mailbox),
    )
    for field, before, after in pairs:
        if before != after:
            yield Change(field=field, old=before, new=after)


def _host(facts: MeetingFacts) -> str:
    if facts.organizer_name and facts.organizer_email:
        return f"{facts.organizer_name} <{facts.organizer_email}>"
    return facts.organizer_name or facts.organizer_email


def _link(old: MeetingFacts, new: MeetingFacts) -> Iterator[Change]:
    """Yield what moves the link; a window that only follows the meeting is no change of its own."""
    moved = old.start != new.start or old.end != new.end
    if old.room != new.room:
        yield Change(field="room", old=unquote(old.room.claim), new=unquote(new.room.claim))
    if old.terms.server_url != new.terms.server_url:
        yield Change(field="server", old=old.terms.server_url, new=new.terms.server_url)
    elif old.terms.server_print != new.terms.server_print:
        yield Change(field="server", old=None, new=None)
    if old.validity != new.validity and not moved:
        yield Change(field="validity", old=None, new=None)
    if old.terms.key != new.terms.key:
        yield Change(field="key", old=None, new=None)


def _person(old: Attendee, new: Attendee) -> Iterator[Change]:
    for column, before, after in zip(_PERSON, _values_of(old), _values_of(new), strict=True):
        if column.name == "attendance":
            # A moderator is CHAIR whatever the cell says; a new flag is told by itself.
            differs = old.moderator == new.moderator and expected_as(old) != expected_as(new)
        else:
            differs = before != after
        if differs:
            yield Change(field=column.told, old=_shown(before), new=_shown(after))


def _shown(value: Any) -> str | bool | None:
    return value if value is None or isinstance(value, bool) else _as_text(value)


def changes_json(changes: tuple[Change, ...]) -> str | None:
    """Return the changes as the ledger keeps them, so that a repeated message can repeat them."""
    if not changes:
        return None
    return json.dumps(
        [[change.field, _plain(change.old), _plain(change.new)] for change in changes],
        ensure_ascii=False,
    )


def changes_from(text: str | None) -> tuple[Change, ...]:
    """Return the changes that `changes_json` wrote; times are aware and in UTC."""
    if text is None:
        return ()
    return tuple(
        Change(field=field, old=_value(field, old), new=_value(field, new))
        for field, old, new in json.loads(text)
    )


def _plain(value: Value) -> str | bool | int | None:
    return int(value.timestamp()) if isinstance(value, datetime) else value


def _value(field: str, value: str | bool | int | None) -> Value:  # noqa: FBT001 - JSON's value
    if field in {"start", "end"} and isinstance(value, int):
        return datetime.fromtimestamp(value, UTC)
    return value  # type: ignore[return-value]  # only times are written as numbers
