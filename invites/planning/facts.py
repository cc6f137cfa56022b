"""What an attendee would have: the facts that decide whether, and as what, a message goes out.

Facts hold no token, no link and no secret, only a keyed fingerprint of the secret.
They are enough to compose a cancellation, a retry or a reminder from the ledger alone.
A digest stands for those that count; comparing it is cheap, and where two digests differ
`changes.difference` says in which fields (none: then only what does not count has changed).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from hashlib import blake2b
from operator import attrgetter
from types import MappingProxyType
from typing import Any, NamedTuple, cast
from urllib.parse import unquote

from invites.invitation import Server
from invites.model import Attendee, DateLink, Meeting, Room, Validity
from invites.roster.columns import Column, Holder, Use, compared
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

    def has_other_mailbox(self, other: Terms) -> bool:
        """Tell whether the organizer's mailbox is another one, as far as it is known."""
        return "" not in (self.mailbox, other.mailbox) and self.mailbox != other.mailbox

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

    `meeting` is as the roster has it, without attendees and row, in its `room`, derived or not.
    `wall_start` is the start as the clock on the wall of its zone shows it, by which a change of
    the zone's rules is told from a moved meeting.
    `digest` stands for all of it that counts.
    `edition` counts the changes of the organizer's mailbox since the meeting's first UID: each
    edition has its own.
    `links` are those of a series' dates that were given so far; None where one link, of this
    `validity`, is for the whole meeting.
    """

    meeting: Meeting
    room: Room
    validity: Validity
    terms: Terms
    wall_start: str
    digest: str
    edition: int = 0
    links: tuple[DateLink, ...] | None = None

    @classmethod
    def of(
        cls,
        meeting: Meeting,
        *,
        room: Room,
        validity: Validity,
        terms: Terms,
        links: tuple[DateLink, ...] | None = None,
    ) -> MeetingFacts:
        """Return the facts of `meeting`; `room` is the one it takes place in, derived or not."""
        local = meeting.start.astimezone(zone(meeting.timezone)).replace(tzinfo=None)
        stated = replace(meeting, attendees=(), everybody=(), room=room, incomplete=False, row=0)
        parts = (
            *(part for column in MEETING_COLUMNS for part in _digested(column, stated)),
            str(validity.not_before),
            str(validity.expires),
            *(getattr(terms, name) for name in _TERMS[1:]),
            *(() if links is None else ("links", *map(str, _numbers(links)))),
        )
        return cls(
            meeting=stated,
            room=room,
            validity=validity,
            terms=terms,
            wall_start=local.isoformat(),
            digest=_digest(parts),
            links=links,
        )

    @property
    def id(self) -> str:
        """The meeting's id in the roster."""
        return self.meeting.id

    @property
    def start(self) -> datetime:
        """When the meeting starts, of a series the rule's first date: aware, in UTC."""
        return self.meeting.start

    @property
    def end(self) -> datetime:
        """When the meeting is over, of a series its last date: aware, in UTC."""
        return self.meeting.over_at

    @property
    def admits_until(self) -> int | None:
        """Until when a token for this meeting admits, in seconds since 1970; None where none does."""
        if self.links is None:
            return self.validity.expires
        return max((link.validity.expires for link in self.links), default=None)

    def has_link_at(self, start: datetime) -> bool:
        """Tell whether there is a link for what starts then: a date may not have its own yet."""
        if self.links is None or self.meeting.series is None:
            return True
        given = {link.original for link in self.links}
        dates = self.meeting.series.taking_place
        return any(one.start == start and one.original in given for one in dates)

    def with_links(self, links: tuple[DateLink, ...]) -> MeetingFacts:
        """Return the same facts with the links of other dates."""
        fresh = MeetingFacts.of(
            self.meeting, room=self.room, validity=self.validity, terms=self.terms, links=links
        )
        return replace(fresh, edition=self.edition)

    def meeting_of(self, *attendees: Attendee) -> Meeting:
        """Return the meeting as these facts have it, for composing from the ledger alone."""
        return replace(self.meeting, attendees=attendees)

    @property
    def content_digest(self) -> str:
        """The key under which the ledger keeps `as_json` once for all attendees that share it."""
        return _digest((self.as_json(),))

    def as_json(self) -> str:
        """Return the facts as one line of JSON that `meeting_facts_from` reads."""
        return json.dumps(
            {
                "id": self.id,
                **_written(MEETING_COLUMNS, self.meeting),
                "wall_start": self.wall_start,
                "validity": [self.validity.not_before, self.validity.expires],
                **{name: getattr(self.terms, name) for name in _TERMS},
                "digest": self.digest,
                **({"edition": self.edition} if self.edition else {}),
                **({} if self.links is None else {"links": _numbers(self.links)}),
            },
            ensure_ascii=False,
        )


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
    """A roster's meeting with its facts and a draft for each attendee.

    `several` has a draft of its own for those who come to the same dates, where some miss one.
    """

    meeting: Meeting
    facts: MeetingFacts
    drafts: tuple[Draft, ...]
    several: tuple[MeetingDraft, ...] = ()

    @property
    def parts(self) -> tuple[MeetingDraft, ...]:
        """The meeting as its attendees have it; in most meetings all have the same."""
        return self.several or (self,)

    def coming(self, now: int) -> set[str]:
        """Return the addresses of those who have a date to come at `now` (seconds since 1970).

        Who comes to none any more is as good as gone, though the series goes on.
        """
        return {
            one.attendee.address
            for part in self.parts
            if part is self or part.facts.end.timestamp() > now
            for one in part.drafts
        }


def drafted(
    meeting: Meeting,
    *,
    room: Room,
    validity_of: Callable[[Meeting], Validity],
    terms: Terms,
    links_of: Callable[[Meeting], tuple[DateLink, ...] | None] = lambda _: None,
) -> MeetingDraft:
    """Return the drafts of one meeting; what is shared is computed once."""

    def draft_of(part: Meeting) -> MeetingDraft:
        facts = MeetingFacts.of(
            part, room=room, validity=validity_of(part), terms=terms, links=links_of(part)
        )
        drafts = tuple(
            Draft(facts, attendee, attendee_digest(facts.digest, attendee))
            for attendee in part.attendees
        )
        return MeetingDraft(meeting=part, facts=facts, drafts=drafts)

    first, *others = meeting.parts()
    if first is meeting:
        return draft_of(meeting)
    several = tuple(map(draft_of, (first, *others)))
    drafts = tuple(draft for part in several for draft in part.drafts)
    whole = draft_of(replace(meeting, attendees=()))
    return replace(whole, meeting=meeting, drafts=drafts, several=several)


MEETING_COLUMNS = tuple(
    sorted(
        compared(Holder.MEETING),
        key=lambda column: (Use.TIME not in column.uses, Use.TEXT not in column.uses),
    )
)
ATTENDEE_COLUMNS = compared(Holder.ATTENDEE)
"""The columns whose change sends a message, in the order in which changes are told: times before
texts, texts before what moves the link.  Digest, JSON and changes follow from them.
"""
_told_of: Callable[[Attendee], tuple[Any, ...]] = attrgetter(
    *(column.attribute for column in ATTENDEE_COLUMNS if column.name != "attendance")
)
_TERMS = ("server_url", "server_print", "key", "alarm", "mailbox")


def attendee_digest(meeting_digest: str, attendee: Attendee) -> str:
    """Return the digest of everything that counts for this attendee in this meeting."""
    return _digest((meeting_digest, expected_as(attendee), *map(as_text, _told_of(attendee))))


def expected_as(attendee: Attendee) -> str:
    """Return what the calendar shows of the attendance: a moderator's own makes no difference."""
    return "chair" if attendee.moderator else attendee.attendance.value


def attendee_json(attendee: Attendee) -> str:
    """Return the attendee as one line of JSON; columns of the user's own are for the templates."""
    facts: dict[str, Any] = {
        "email": attendee.email,
        "mailbox": attendee.mailbox,
        "address": attendee.address,
        **_written(ATTENDEE_COLUMNS, attendee, if_any=True),
    }
    if attendee.columns:
        facts["columns"] = dict(attendee.columns)
    return json.dumps(facts, ensure_ascii=False)


def attendee_from(text: str) -> Attendee:
    """Return the attendee that `attendee_json` wrote."""
    facts: dict[str, Any] = json.loads(text)
    facts |= _read(ATTENDEE_COLUMNS, facts)
    facts["columns"] = MappingProxyType(facts.get("columns", {}))
    return Attendee(**facts)


def meeting_facts_from(text: str) -> MeetingFacts:
    """Return the facts that `MeetingFacts.as_json` wrote."""
    facts: dict[str, Any] = json.loads(text)
    meeting = Meeting(id=facts["id"], attendees=(), **_read(MEETING_COLUMNS, facts))
    not_before, expires = facts["validity"]
    return MeetingFacts(
        meeting=meeting,
        room=cast("Room", meeting.room),
        validity=Validity(not_before=not_before, expires=expires),
        terms=Terms(**{name: facts.get(name, "") for name in _TERMS}),
        wall_start=facts["wall_start"],
        digest=facts["digest"],
        edition=facts.get("edition", 0),
        links=_links_from(facts["links"]) if "links" in facts else None,
    )


def _numbers(links: tuple[DateLink, ...]) -> list[int]:
    """Return the links as JSON has them: a date, nbf and exp each, in seconds since 1970."""
    return [
        number
        for original, window in links
        for number in (int(original.timestamp()), window.not_before, window.expires)
    ]


def _links_from(numbers: list[int]) -> tuple[DateLink, ...]:
    threes = zip(numbers[::3], numbers[1::3], numbers[2::3], strict=True)
    return tuple(
        DateLink(datetime.fromtimestamp(original, UTC), Validity(not_before=opens, expires=closes))
        for original, opens, closes in threes
    )


def _written(
    columns: Iterable[Column], holder: Meeting | Attendee, *, if_any: bool = False
) -> dict[str, object]:
    """Return the values of these columns as the ledger keeps them; `if_any`: no empty ones."""
    values = ((column, column.value_of(holder)) for column in columns)
    return {
        column.attribute: column.kept.written(value)
        for column, value in values
        if not if_any or (value and value != column.empty)
    }


def _read(columns: Iterable[Column], kept: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values that `_written` wrote; one that is not there is the model's default."""
    named = ((column, column.attribute) for column in columns)
    return {name: column.kept.read(kept[name]) for column, name in named if name in kept}


def _digested(column: Column, meeting: Meeting) -> Iterable[str]:
    kept = column.kept.written(column.value_of(meeting))
    return map(str, kept) if isinstance(kept, list) else (as_text(kept),)


def as_text(value: Any) -> str:
    """Return a value as people read it; two values of a column differ exactly where this does."""
    match value:
        case None:
            return ""
        case tuple():
            return " ".join(value)
        case Room():
            return unquote(value.claim)
        case _:
            return str(value)


def _digest(parts: tuple[str, ...]) -> str:
    return blake2b("\0".join(parts).encode(), digest_size=DIGEST_OCTETS).hexdigest()
