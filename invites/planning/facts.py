"""What an attendee would have: the facts that decide whether, and as what, a message goes out.

Facts hold no token, no link and no secret, only a keyed fingerprint of the secret.
They are enough to compose a cancellation, a retry or a reminder from the ledger alone.
A digest stands for those that count; comparing it is cheap, and where two digests differ `changes`
says in which fields (none: then only what does not count has changed).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from hashlib import blake2b
from itertools import groupby
from operator import attrgetter
from types import MappingProxyType
from typing import Any, NamedTuple, cast
from urllib.parse import unquote

from invites.model import Attendee, Change, Meeting, Room, Server, Validity
from invites.planning.dates import (
    DATE_CHANGES,
    dates_changes,
    repeats,
    same_dates_elsewhere,
)
from invites.roster.columns import COLUMNS, Column, Holder, Use, compared
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
    """

    meeting: Meeting
    room: Room
    validity: Validity
    terms: Terms
    wall_start: str
    digest: str
    edition: int = 0

    @classmethod
    def of(cls, meeting: Meeting, *, room: Room, validity: Validity, terms: Terms) -> MeetingFacts:
        """Return the facts of `meeting`; `room` is the one it takes place in, derived or not."""
        local = meeting.start.astimezone(zone(meeting.timezone)).replace(tzinfo=None)
        stated = replace(meeting, attendees=(), room=room, incomplete=False, row=0)
        parts = (
            *(part for column in _MEETING for part in _digested(column, stated)),
            str(validity.not_before),
            str(validity.expires),
            *(getattr(terms, name) for name in _TERMS[1:]),
        )
        return cls(
            meeting=stated,
            room=room,
            validity=validity,
            terms=terms,
            wall_start=local.isoformat(),
            digest=_digest(parts),
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
                **_written(_MEETING, self.meeting),
                "wall_start": self.wall_start,
                "validity": [self.validity.not_before, self.validity.expires],
                **{name: getattr(self.terms, name) for name in _TERMS},
                "digest": self.digest,
                **({"edition": self.edition} if self.edition else {}),
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


_MEETING = tuple(
    sorted(
        compared(Holder.MEETING),
        key=lambda column: (Use.TIME not in column.uses, Use.TEXT not in column.uses),
    )
)
_TOLD_APART = tuple(
    column for column in _MEETING if column.name not in {"start", "end", "recurrence"}
)
"""Those of a meeting that repeats, whose times and rule are told together."""

_PERSON = compared(Holder.ATTENDEE)
"""The columns whose change sends a message, in the order in which changes are told: times before
texts, texts before what moves the link.  Digest, JSON and changes follow from them.
"""
_told_of: Callable[[Attendee], tuple[Any, ...]] = attrgetter(
    *(column.attribute for column in _PERSON if column.name != "attendance")
)
_TERMS = ("server_url", "server_print", "key", "alarm", "mailbox")


def attendee_digest(meeting_digest: str, attendee: Attendee) -> str:
    """Return the digest of everything that counts for this attendee in this meeting."""
    return _digest((meeting_digest, expected_as(attendee), *map(_as_text, _told_of(attendee))))


def expected_as(attendee: Attendee) -> str:
    """Return what the calendar shows of the attendance: a moderator's own makes no difference."""
    return "chair" if attendee.moderator else attendee.attendance.value


def attendee_json(attendee: Attendee) -> str:
    """Return the attendee as one line of JSON; columns of the user's own are for the templates."""
    facts: dict[str, Any] = {
        "email": attendee.email,
        "mailbox": attendee.mailbox,
        "address": attendee.address,
        **_written(_PERSON, attendee, if_any=True),
    }
    if attendee.columns:
        facts["columns"] = dict(attendee.columns)
    return json.dumps(facts, ensure_ascii=False)


def attendee_from(text: str) -> Attendee:
    """Return the attendee that `attendee_json` wrote."""
    facts: dict[str, Any] = json.loads(text)
    facts |= _read(_PERSON, facts)
    facts["columns"] = MappingProxyType(facts.get("columns", {}))
    return Attendee(**facts)


def meeting_facts_from(text: str) -> MeetingFacts:
    """Return the facts that `MeetingFacts.as_json` wrote."""
    facts: dict[str, Any] = json.loads(text)
    meeting = Meeting(id=facts["id"], attendees=(), **_read(_MEETING, facts))
    not_before, expires = facts["validity"]
    return MeetingFacts(
        meeting=meeting,
        room=cast("Room", meeting.room),
        validity=Validity(not_before=not_before, expires=expires),
        terms=Terms(**{name: facts.get(name, "") for name in _TERMS}),
        wall_start=facts["wall_start"],
        digest=facts["digest"],
        edition=facts.get("edition", 0),
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
    return map(str, kept) if isinstance(kept, list) else (_as_text(kept),)


def _as_text(value: Any) -> str:
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


ORGANIZER = "organizer"
"""The name of the change of the organizer's mailbox."""

_USES: Mapping[str, Use] = {
    "reminder": Use.CALENDAR,
    ORGANIZER: Use.CALENDAR,
    **DATE_CHANGES,
    **dict.fromkeys(("server", "validity", "key"), Use.TOKEN | Use.SEQUENCE),
    **{column.told: column.uses for column in COLUMNS},
}
"""What each change does, by its name: those of the settings, and those of the columns."""

RAISES_SEQUENCE = frozenset(name for name, uses in _USES.items() if Use.SEQUENCE in uses)
"""The changes that move the entry (RFC 5546 2.1.4), its link or its token: SEQUENCE + 1.

Every other change is sent with the same SEQUENCE and a new DTSTAMP.
"""

MOVES_LINK = frozenset(name for name, uses in _USES.items() if Use.TOKEN in uses)
"""The changes by which the link of earlier mails is replaced."""


class Difference(NamedTuple):
    """Everything that counts and differs; `zone_rules` where only the zone's rules moved it."""

    changes: tuple[Change, ...]
    zone_rules: bool

    @property
    def raises_sequence(self) -> bool:
        """Tell whether the new revision needs a higher SEQUENCE."""
        return any(change.field in RAISES_SEQUENCE for change in self.changes)

    @property
    def organizer(self) -> Change | None:
        """The change of the organizer's mailbox, None where it is the same."""
        return next((change for change in self.changes if change.field == ORGANIZER), None)

    @property
    def demotes(self) -> bool:
        """Tell whether a moderator is one no longer, so that the old token still is one's."""
        return any(change.field == "moderator" and change.old is True for change in self.changes)


def difference(known: Known, draft: Draft) -> Difference:
    """Return what differs between what the attendee has and what it is to have."""
    old, new = known.facts, draft.facts
    dates = repeats(old.meeting, new.meeting)
    changes = (
        *dates_changes(old.meeting, new.meeting),
        *_told(_TOLD_APART if dates else _MEETING, old.meeting, new.meeting),
        *_settings(old, new),
        *_told(_PERSON, known.attendee, draft.attendee),
    )
    same_wall = (old.meeting.timezone, old.wall_start) == (new.meeting.timezone, new.wall_start)
    elsewhere = old.start != new.start or same_dates_elsewhere(old.meeting, new.meeting)
    return Difference(changes, same_wall and elsewhere)


def _told(
    columns: Iterable[Column], old: Meeting | Attendee, new: Meeting | Attendee
) -> Iterator[Change]:
    """Yield a change for each column that differs; two that are told as one (the host) are one."""
    for name, together in groupby(columns, key=lambda column: column.told):
        alike = tuple(together)
        before, after = (tuple(column.value_of(one) for column in alike) for one in (old, new))
        if name == "attendance" and isinstance(old, Attendee) and isinstance(new, Attendee):
            # A moderator is CHAIR whatever the cell says; a new flag is told by itself.
            differs = old.moderator == new.moderator and expected_as(old) != expected_as(new)
        else:
            differs = before != after
        if differs:
            yield Change(field=name, old=_shown(*before), new=_shown(*after))


def _shown(value: Any, mailbox: str = "") -> Value:
    if value and mailbox:
        return f"{value} <{mailbox}>"
    keeps = value is None or isinstance(value, bool | datetime)
    return value if keeps else _as_text(value) or mailbox


def _settings(old: MeetingFacts, new: MeetingFacts) -> Iterator[Change]:
    """Yield what changed in the settings; a window that only follows the meeting is no change."""
    before, after = old.terms, new.terms
    if before.alarm != after.alarm:
        yield Change(field="reminder", old=before.alarm, new=after.alarm)
    if before.has_other_mailbox(after):
        yield Change(field=ORGANIZER, old=before.mailbox, new=after.mailbox)
    if before.server_url != after.server_url:
        yield Change(field="server", old=before.server_url, new=after.server_url)
    elif before.server_print != after.server_print:
        yield Change(field="server", old=None, new=None)
    follows = not repeats(old.meeting, new.meeting) and (old.start, old.end) != (new.start, new.end)
    if old.validity != new.validity and not follows:
        yield Change(field="validity", old=None, new=None)
    if before.key != after.key:
        yield Change(field="key", old=None, new=None)


def tells_of_organizer(changes: str | None) -> bool:
    """Tell whether a message was sent because the organizer's mailbox changed; the ledger's JSON."""
    return any(change.field == ORGANIZER for change in changes_from(changes))


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
        Change(field=field, old=_value(old), new=_value(new))
        for field, old, new in json.loads(text)
    )


def _plain(value: Value) -> str | bool | int | None:
    return int(value.timestamp()) if isinstance(value, datetime) else value


def _value(value: str | bool | int | None) -> Value:  # noqa: FBT001 - JSON's value
    """Return a value that `_plain` wrote: only times are numbers there."""
    if isinstance(value, int) and not isinstance(value, bool):
        return datetime.fromtimestamp(value, UTC)
    return value
