"""Patterns that a broken export makes and a person hardly does: three or more of a kind.

Each looks at what a plan would newly send, beside what is live: invitations that stand, to
meetings that are not over.  What was begun in an earlier run is finished, and not looked at.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from itertools import islice

from invites.model import Attendee, Meeting, Roster, Status
from invites.planning.actions import Action, Cause, Place, Send, Situation, TrippedGuard, Withdraw
from invites.planning.facts import MeetingDraft, MeetingFacts
from invites.planning.state import Entry
from invites.problems import escaped
from invites.roster.columns import Column, Holder, compared
from invites.times import local

PATTERN = 3
"""So many of a kind are a pattern."""
EXAMPLES = 3


@dataclass(frozen=True, kw_only=True)
class Proposal:
    """What a plan would newly send, beside what is live.

    `drafts` are the roster's meetings by id, `live` the standing invitations by meeting, `fresh`
    the messages that no earlier run began, `moved` such withdrawals by another organizer.
    """

    situation: Situation
    roster: Roster
    drafts: Mapping[str, MeetingDraft]
    live: Mapping[str, list[Entry]]
    fresh: tuple[Send, ...]
    moved: tuple[Withdraw, ...]

    @cached_property
    def updates(self) -> tuple[Send, ...]:
        """Those of the fresh messages that change an invitation."""
        return tuple(send for send in self.fresh if send.cause is Cause.CHANGED)

    @cached_property
    def invitations(self) -> tuple[Send, ...]:
        """Those of the fresh messages that invite somebody."""
        return tuple(send for send in self.fresh if send.cause is not Cause.CHANGED)

    @cached_property
    def coming(self) -> tuple[MeetingDraft, ...]:
        """The roster's meetings that are to take place."""
        return tuple(
            draft
            for draft in self.drafts.values()
            if draft.facts.end > self.situation.now and draft.meeting.status is not Status.CANCELLED
        )

    @cached_property
    def live_facts(self) -> Mapping[str, MeetingFacts]:
        """What the attendees of each live meeting have of it."""
        return {
            meeting_id: self.situation.snapshot.standing(live[0]).facts
            for meeting_id, live in self.live.items()
        }

    @cached_property
    def names(self) -> Mapping[str, set[str]]:
        """The names of each live address, for comparing."""
        found: dict[str, set[str]] = defaultdict(set)
        for live in self.live.values():
            for entry in live:
                found[entry.address].add(
                    _folded(self.situation.snapshot.standing(entry).attendee.name)
                )
        return found


def patterns(proposal: Proposal) -> Iterator[TrippedGuard]:
    """Yield each pattern that is found, with what it holds back."""
    if not proposal.live or len(proposal.fresh) < PATTERN:
        return
    for pattern in (other_ids, partners, same_shift):
        for tripped in pattern(proposal):
            yield _widened(tripped, proposal)
    for pattern in (moderators, emptied_columns, crowds):
        yield from pattern(proposal)


def _widened(tripped: TrippedGuard, proposal: Proposal) -> TrippedGuard:
    """Hold everything new where a pattern is in most live meetings.

    The export is broken as a whole then, and what it says of others is as little to be trusted:
    a person who is new in a roster whose addresses slipped by a row gets the neighbour's.
    """
    if 2 * len(tripped.meetings & proposal.live.keys()) <= len(proposal.live):
        return tripped
    return replace(tripped, meetings=frozenset({*proposal.drafts, *proposal.live}))


def other_ids(proposal: Proposal) -> Iterator[TrippedGuard]:
    """Find meetings that equal a live one under another id: an exporter that numbers anew.

    Equal: at the same time, and with the same title and somebody in common, the same attendees, or
    the same room of the roster's.  Counted are the people who would have it twice.
    """
    at_time: dict[tuple[datetime, datetime], list[str]] = defaultdict(list)
    for meeting_id, facts in proposal.live_facts.items():
        at_time[facts.start, facts.end].append(meeting_id)
    found: list[Send] = []
    meetings: set[str] = set()
    for meeting_id, sends in _by_meeting(proposal.fresh).items():
        draft = proposal.drafts[meeting_id]
        own = proposal.live_facts.get(meeting_id)
        new = draft.facts
        if own is not None and (own.meeting.title, own.start, own.end) == (
            new.meeting.title,
            new.start,
            new.end,
        ):
            continue  # the meeting is what it was under this id
        for other in at_time.get((new.start, new.end), ()):
            if other != meeting_id and _alike(proposal, draft, other):
                theirs = {entry.address for entry in proposal.live[other]}
                found += [send for send in sends if send.attendee.address in theirs]
                meetings |= {meeting_id, other}
                break
    if len(found) >= PATTERN:
        yield TrippedGuard(
            guard="other ids",
            what="messages are about meetings that equal a live one under another meeting_id",
            found=len(found),
            live=len(proposal.fresh),
            examples=examples_of(found),
            meetings=frozenset(meetings),
        )


def _alike(proposal: Proposal, draft: MeetingDraft, other: str) -> bool:
    theirs = {entry.address for entry in proposal.live[other]}
    ours = {attendee.address for attendee in draft.meeting.attendees}
    facts = proposal.live_facts[other]
    same_title = facts.meeting.title.casefold() == draft.meeting.title.casefold()
    same_room = draft.meeting.room is not None and facts.room == draft.facts.room
    return bool(ours & theirs) and (same_title or same_room or (ours == theirs and len(ours) > 1))


def partners(proposal: Proposal) -> Iterator[TrippedGuard]:
    """Find addresses and names that changed partners: a column sorted alone, or slipped by rows.

    The address is known under another name, and the name with another address.
    """
    renamed = [
        send
        for send in proposal.fresh
        if send.cause is not Cause.CHANGED or any(one.field == "name" for one in send.changes)
    ]
    if len(renamed) < PATTERN:
        return
    of_name: dict[str, set[str]] = defaultdict(set)
    for address, names in proposal.names.items():
        for name in names:
            of_name[name].add(address)
    found = []
    for send in renamed:
        name, address = _folded(send.attendee.name), send.attendee.address
        known = proposal.names.get(address, set())
        if known and name not in known and of_name.get(name, set()) - {address}:
            found.append(send)
    if len(found) >= PATTERN:
        yield TrippedGuard(
            guard="partners",
            what="messages go to an address that belongs to another name so far",
            found=len(found),
            live=len(proposal.fresh),
            examples=tuple(
                f"{send.attendee.name} at {place_named(send.facts, send.attendee)}"
                for send in found[:EXAMPLES]
            ),
            meetings=frozenset(send.facts.id for send in found),
        )


def same_shift(proposal: Proposal) -> Iterator[TrippedGuard]:
    """Find meetings that all move by the same span: a zone column lost, a clock converted twice.

    New rules of a zone move meetings too, and are the `change` guard's to judge.  Where the wall
    clock stays and the zone differs the spans may differ as well (summer and winter).
    """
    groups: dict[object, dict[str, Send]] = defaultdict(dict)
    for send in proposal.updates:
        old = proposal.live_facts.get(send.facts.id)
        if old is None or send.zone_rules or old.start == send.facts.start:
            continue
        if _has_date(proposal.drafts[send.facts.id].meeting, old.start):
            continue  # the series is where it was, and somebody comes to other dates of it
        same_zone = old.meeting.timezone == send.meeting.timezone
        zone_alone = old.wall_start == send.facts.wall_start and not same_zone
        span = "zone" if zone_alone else send.facts.start - old.start
        groups[span].setdefault(send.facts.id, send)
    moved = {
        meeting_id: send
        for group in groups.values()
        if len(group) >= PATTERN
        for meeting_id, send in group.items()
    }
    if moved:
        yield TrippedGuard(
            guard="same shift",
            what="meetings move by the same span",
            found=len(moved),
            live=len(proposal.live),
            examples=tuple(
                f"{meeting_named(proposal.live_facts[meeting_id])} → {_when(send.facts)}"
                for meeting_id, send in list(moved.items())[:EXAMPLES]
            ),
            meetings=frozenset(moved),
        )


def _has_date(meeting: Meeting, start: datetime) -> bool:
    return meeting.series is not None and any(
        one.original == start for one in meeting.series.occurrences
    )


def moderators(proposal: Proposal) -> Iterator[TrippedGuard]:
    """Find moderator flags that are flipped in most places, moved about, or all gone."""
    flipped = [send for send in proposal.updates if _changes(send, "moderator")]
    if len(flipped) < PATTERN:
        return
    demoted = sum(1 for send in flipped if not send.attendee.moderator)
    none_left = not any(one.attendee.moderator for draft in proposal.coming for one in draft.drafts)
    compared_with = sum(len(proposal.live[one]) for one in {send.facts.id for send in flipped})
    moved_about = demoted >= PATTERN and len(flipped) - demoted >= PATTERN
    if none_left or moved_about or 2 * len(flipped) > compared_with:
        yield TrippedGuard(
            guard="moderators",
            what="attendees change between moderator and guest"
            + (", and no moderator is left" if none_left else ""),
            found=len(flipped),
            live=sum(len(live) for live in proposal.live.values()),
            examples=examples_of(flipped),
            places=frozenset(_place(send) for send in flipped),
        )


def emptied_columns(proposal: Proposal) -> Iterator[TrippedGuard]:
    """Find columns that some had a value in and nobody has any more: one that the export lost.

    Of a meeting's column three meetings are wanted, unless the file has no such column at all.
    """
    for column in (*compared(Holder.MEETING), *compared(Holder.ATTENDEE)):
        changed = [send for send in proposal.updates if _changes(send, column.told)]
        if column.required or column.name == "moderator" or len(changed) < PATTERN:
            continue
        gone = proposal.roster.columns is not None and column.name not in proposal.roster.columns
        meetings = {send.facts.id for send in changed}
        enough = gone or column.holder is Holder.ATTENDEE or len(meetings) >= PATTERN
        if enough and (gone or _is_empty(column, proposal)):
            yield TrippedGuard(
                guard="column",
                what=f'invitations had a value from the column "{column.name}", which '
                + ("the roster has no longer" if gone else "is empty in every row now"),
                found=len(changed),
                live=sum(len(live) for live in proposal.live.values()),
                examples=examples_of(changed),
                detail=column.name,
                # Somebody new in such a meeting would get what the others are not to get.
                meetings=frozenset(meetings if column.holder is Holder.MEETING else ()),
                places=frozenset(_place(send) for send in changed),
            )


def _is_empty(column: Column, proposal: Proposal) -> bool:
    holders = (
        (draft.meeting for draft in proposal.coming)
        if column.holder is Holder.MEETING
        else (one.attendee for draft in proposal.coming for one in draft.drafts)
    )
    return all(not value or value == column.empty for value in map(column.value_of, holders))


def crowds(proposal: Proposal) -> Iterator[TrippedGuard]:
    """Find meetings that had different attendees and are to have the same: a join without its key."""
    alike: dict[frozenset[str], list[str]] = defaultdict(list)
    new = _by_meeting(proposal.invitations)
    for meeting_id in new:
        if meeting_id in proposal.live:
            drafts = proposal.drafts[meeting_id].drafts
            alike[frozenset(one.attendee.address for one in drafts)].append(meeting_id)
    for meetings in alike.values():
        before = {
            frozenset(entry.address for entry in proposal.live[meeting_id])
            for meeting_id in meetings
        }
        found = [send for meeting_id in meetings for send in new[meeting_id]]
        if len(before) > 1 and len(found) >= PATTERN:
            yield TrippedGuard(
                guard="crowd",
                what="new invitations give meetings the same attendees that had different ones",
                found=len(found),
                live=len(proposal.fresh),
                examples=examples_of(found),
                meetings=frozenset(meetings),
            )


def _by_meeting(sends: Iterable[Send]) -> Mapping[str, list[Send]]:
    found: dict[str, list[Send]] = defaultdict(list)
    for send in sends:
        found[send.facts.id].append(send)
    return found


def examples_of(sends: Iterable[Action]) -> tuple[str, ...]:
    """Return whom and what the first three messages are about."""
    return tuple(place_named(one.facts, one.attendee) for one in islice(sends, EXAMPLES))


def place_named(facts: MeetingFacts, attendee: Attendee) -> str:
    """Return an attendee in a meeting as people know them."""
    return f"{attendee.email} in {meeting_named(facts)}"


def meeting_named(facts: MeetingFacts) -> str:
    """Return a meeting as people know it: its title, and when it is."""
    return f'"{escaped(facts.meeting.title)}" {_when(facts)}'


def _when(facts: MeetingFacts) -> str:
    return local(facts.start, facts.meeting.timezone)


def _changes(send: Send, field: str) -> bool:
    return any(change.field == field for change in send.changes)


def _place(send: Send) -> Place:
    return send.facts.id, send.attendee.address


def _folded(name: str) -> str:
    return " ".join(name.casefold().split())
