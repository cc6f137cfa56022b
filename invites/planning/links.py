"""The links of dates that are due, decided from the ledger alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime

from invites.jitsi.validity import ValidityRule, links_of_dates
from invites.model import Kind
from invites.planning.actions import Cause, Plan, Policy, Send, Situation, order_of
from invites.planning.changes import brings_links, changes_from, difference
from invites.planning.facts import Draft, Known, MeetingFacts, Terms, attendee_digest
from invites.planning.state import Entry, MeetingState, Recorded, Snapshot, State, uid_of_edition


def facts_with_links(facts: MeetingFacts, rule: ValidityRule, now: datetime) -> MeetingFacts | None:
    """Return the facts with the links that are due at `now`; None where none is new.

    Nor is any where the invitation was sent under another `[series] tokens`.
    """
    links = links_of_dates(facts.meeting, rule, now)
    if not links or facts.links is None:
        return None
    given = {link.original for link in facts.links}
    return None if all(link.original in given for link in links) else facts.with_links(links)


def links_due(
    snapshot: Snapshot, *, now: datetime, policy: Policy, terms: Terms, rule: ValidityRule
) -> Plan:
    """Return a plan that gives each attendee who still has an invitation the links that are due.

    Who was missing in the latest roster gets none, nor does anybody for whom something else is on
    its way.  What an earlier pass planned and did not come to is carried out.  `terms` are those in force: a link under others is left to a run that sees the roster.
    """
    situation = Situation(snapshot=snapshot, policy=policy, now=now)
    due: dict[str, MeetingFacts | None] = {}
    actions = [
        send
        for state in snapshot.meetings.values()
        if not state.missing.times
        for entry in state.live(situation.seconds)
        if not entry.missing.times and not situation.waits(entry)
        for send in _given(entry, state, situation, terms, rule, due)
    ]
    return Plan(
        scope=snapshot.scope, roster_digest="", actions=tuple(sorted(actions, key=order_of))
    )


def _given(
    entry: Entry,
    state: MeetingState,
    situation: Situation,
    terms: Terms,
    rule: ValidityRule,
    due: dict[str, MeetingFacts | None],
) -> Iterator[Send]:
    """Yield the message that gives one attendee the links that are due."""
    standing, pending = entry.standing, entry.pending
    if standing is None:
        return
    if pending is not None:
        begun = situation.snapshot.known(pending)
        if not brings_links(changes_from(pending.changes)):
            return
        if facts_with_links(begun.facts, rule, situation.now) is None:
            yield from _begun(entry, pending, state, situation, terms)
            return
    known = situation.snapshot.known(standing)
    if standing.facts not in due:
        due[standing.facts] = facts_with_links(known.facts, rule, situation.now)
    facts = due[standing.facts]
    if facts is None or known.facts.terms != terms:
        return
    draft = Draft(facts, known.attendee, attendee_digest(facts.digest, known.attendee))
    found = difference(known, draft, situation.now)
    if found.brings_links:
        revision = situation.next_revision(Kind.UPDATE, standing.sequence + 1, entry)
        # A date alone has its place only in a calendar that has the series for sure.
        date = found.date if standing.state is State.SENT else None
        yield Send(
            meeting=facts.meeting_of(known.attendee),
            uid=uid_of_edition(state.uid, facts.edition),
            draft=draft,
            revision=replace(revision, date=date),
            cause=Cause.LINK,
            changes=found.changes,
            first_message_id=entry.first_message_id,
            supersedes=pending is not None,
        )


def _begun(
    entry: Entry, pending: Recorded, state: MeetingState, situation: Situation, terms: Terms
) -> Iterator[Send]:
    """Yield the message that an earlier pass planned, and ended before it came to it."""
    known = situation.snapshot.known(pending)
    past = brings_past_links(pending, known, situation)
    if pending.state is State.PLANNED and known.facts.terms == terms and not past:
        yield Send(
            meeting=known.facts.meeting_of(known.attendee),
            uid=uid_of_edition(state.uid, known.facts.edition),
            draft=Draft(known.facts, known.attendee, pending.digest),
            revision=pending.revision,
            cause=Cause.LINK,
            changes=changes_from(pending.changes),
            retry=True,
            first_message_id=entry.first_message_id,
        )


def brings_past_links(again: Recorded, known: Known, situation: Situation) -> bool:
    """Tell whether a message is about nothing but links of dates that are over."""
    changes = changes_from(again.changes)
    if not brings_links(changes) or known.facts.meeting.series is None:
        return False
    told = {change.new for change in changes}
    dates = known.facts.meeting.series.taking_place
    return all(one.end <= situation.now for one in dates if one.start in told)
