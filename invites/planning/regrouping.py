"""Meetings that became a series, and series that became meetings: the same dates in other entries.

A roster whose rows are joined from now on (`[roster] series`), or no longer are, has the dates that
people have under other meeting_ids.  The new invitations go out first; an old entry is withdrawn
once all its dates stand in the new ones: nobody is without a date, and nobody has one twice for
longer than a run takes.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Final, NamedTuple

from invites.model import Meeting, Status
from invites.planning.actions import Place, Send, Situation
from invites.planning.changes import dates_to_come
from invites.planning.facts import MeetingDraft
from invites.planning.state import Entry, State
from invites.problems import escaped
from invites.text import counted

NAMED: Final = 3
"""Meetings that are named where many have the dates of others."""

Date = tuple[datetime, datetime, str]
"""Start, end and title of one date, as a calendar shows it, whatever the letters' case."""


class Successors(NamedTuple):
    """The meetings that have the dates of somebody's old entry; `stand` once those were sent."""

    meeting_ids: frozenset[str]
    stand: bool


def regrouped(
    drafts: Mapping[str, MeetingDraft], left_out: frozenset[str], situation: Situation
) -> dict[Place, Successors]:
    """Return, by the places of old entries, what has all their dates to come by the roster.

    An old entry is live and its meeting is not in the roster.  One of both is a series and the
    other is none: an exporter that numbers its meetings anew is another matter, which guards hold.
    """
    old = [
        (entry, situation.snapshot.standing(entry).facts.meeting)
        for state in situation.snapshot.meetings.values()
        if state.id not in drafts and state.id not in left_out
        for entry in state.live(situation.seconds)
    ]
    if not old:
        return {}
    wanted = {date for _, meeting in old for date in _shown(meeting, situation.now)}
    having = _having(drafts.values(), wanted, situation.now)
    found = {}
    for entry, meeting in old:
        successors = _successors(entry, meeting, having, situation)
        if successors is not None:
            found[entry.meeting_id, entry.address] = successors
    return found


def _shown(meeting: Meeting, now: datetime) -> Iterator[Date]:
    for start, end, title in dates_to_come(meeting, now, meeting.title):
        yield start, end, title.casefold()


def _having(
    drafts: Iterable[MeetingDraft], wanted: set[Date], now: datetime
) -> dict[tuple[Date, str], list[tuple[str, bool, str]]]:
    """Return which meetings have each wanted date, by date and address: id, whether a series, name."""
    found: dict[tuple[Date, str], list[tuple[str, bool, str]]] = defaultdict(list)
    for draft in drafts:
        if draft.meeting.status is Status.CANCELLED:
            continue
        # A joined one with one date left has a series' meeting_id all the same.
        repeats = draft.meeting.series is not None or draft.meeting.joined
        for part in draft.parts:
            for date in wanted.intersection(_shown(part.meeting, now)):
                for one in part.drafts:
                    place = draft.facts.id, repeats, one.attendee.name
                    found[date, one.attendee.address].append(place)
    return found


def _successors(
    entry: Entry,
    meeting: Meeting,
    having: Mapping[tuple[Date, str], list[tuple[str, bool, str]]],
    situation: Situation,
) -> Successors | None:
    """Return what has all dates of an old entry, under the name that it has; None for nothing."""
    name = situation.snapshot.standing(entry).attendee.name
    repeats = meeting.series is not None
    ids = set()
    stand = True
    for date in _shown(meeting, situation.now):
        new = [
            each
            for each, is_series, called in having.get((date, entry.address), ())
            if is_series is not repeats and called == name
        ]
        if not new:
            return None
        ids.update(new)
        stand = stand and any(_stands(each, entry.address, date, situation) for each in new)
    return Successors(frozenset(ids), stand)


def _stands(meeting_id: str, address: str, date: Date, situation: Situation) -> bool:
    """Tell whether the attendee's invitation to a meeting was sent, and has this date.

    One beyond the horizon is invited to later, like everybody.
    """
    state = situation.snapshot.meetings.get(meeting_id)
    entry = None if state is None else state.entries.get(address)
    if entry is None or entry.invitation is None:
        return situation.beyond_horizon(date[0].timestamp()) and entry is None
    known = situation.snapshot.known(entry.invitation).facts.meeting
    return entry.invitation.state is State.SENT and date in _shown(known, situation.now)


def unexpected(fresh: Iterable[Send], found: Mapping[Place, Successors]) -> tuple[Send, ...]:
    """Return the messages that guards look at: those for dates in other entries are none."""
    expected = {(new, address) for (_, address), each in found.items() for new in each.meeting_ids}
    return tuple(send for send in fresh if (send.facts.id, send.attendee.address) not in expected)


def regrouping_words(found: Mapping[Place, Successors]) -> Iterator[str]:
    """Say what becomes of meetings whose dates the roster has in others."""
    if not found:
        return
    old = {meeting_id for meeting_id, _ in found}
    new = sorted({each for one in found.values() for each in one.meeting_ids})
    people = {address for _, address in found}
    more = f" and {len(new) - NAMED:,} more" if len(new) > NAMED else ""
    named = ", ".join(f'"{escaped(each)}"' for each in new[:NAMED])
    yield (
        f"the dates of {counted(len(old), 'meeting')} that {_people(len(people))} had are in "
        f"{named}{more} now, as a series begins or ends: the new invitation goes out first, and what it "
        "replaces is withdrawn in the same run, once that was sent"
    )


def _people(number: int) -> str:
    return "1 person" if number == 1 else f"{number:,} people"
