"""What differs between the facts an attendee has and those it is to have, field by field."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple
from urllib.parse import unquote

from invites.core.facts import Draft, Known, MeetingFacts, expected_as
from invites.core.model import Attendee, Change

RAISES_SEQUENCE = frozenset(
    {
        "start",
        "end",
        "room",
        "server",
        "validity",
        "key",
        "moderator",
        "name",
        "avatar",
        "user_id",
        "group",
        "features",
    }
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
    if old.moderator != new.moderator:
        yield Change(field="moderator", old=old.moderator, new=new.moderator)
    elif expected_as(old) != expected_as(new):
        yield Change(field="attendance", old=old.attendance.value, new=new.attendance.value)
    pairs = (
        ("name", old.name, new.name),
        ("avatar", old.avatar, new.avatar),
        ("user_id", old.user_id, new.user_id),
        ("group", old.group, new.group),
        ("features", " ".join(old.features), " ".join(new.features)),
        ("language", old.language, new.language),
        ("attendee_timezone", old.timezone, new.timezone),
    )
    for field, before, after in pairs:
        if before != after:
            yield Change(field=field, old=before, new=after)
