"""What goes out between two rosters, decided from the ledger alone: retries, and links of dates."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime

from invites.invitation import Kind
from invites.jitsi.validity import ValidityRule, links_of_dates
from invites.planning.absence import Withdrawal, recorded_draft
from invites.planning.actions import (
    Cause,
    Drop,
    Item,
    Plan,
    Policy,
    Send,
    Situation,
    Withdraw,
    order_of,
)
from invites.planning.changes import brings_links, changes_from, difference
from invites.planning.facts import Draft, Known, MeetingFacts, Terms, attendee_digest
from invites.planning.state import (
    UPDATING,
    Entry,
    MeetingState,
    Recorded,
    Snapshot,
    State,
    uid_of_edition,
)


def drained(snapshot: Snapshot, *, now: datetime, policy: Policy, terms: Terms) -> Plan:
    """Return a plan that repeats what was deferred or got no answer, from the ledger alone.

    `terms` are those in force: a link made under others is left to a run that sees the roster.
    One whose meeting is over is given up.
    """
    situation = Situation(snapshot=snapshot, policy=policy, now=now)
    items = [
        item
        for state in snapshot.meetings.values()
        for entry in state.entries.values()
        for item in _tried_again(entry, state.uid, situation, terms)
    ]
    actions = [item for item in items if isinstance(item, Send | Withdraw)]
    return Plan(
        scope=snapshot.scope,
        roster_digest="",
        actions=tuple(sorted(actions, key=order_of)),
        dropped=tuple(item for item in items if isinstance(item, Drop)),
    )


def _tried_again(entry: Entry, uid: str, situation: Situation, terms: Terms) -> Iterator[Item]:
    """Repeat one attendee's message, once it may be tried again."""
    pending = entry.pending
    if pending is None and entry.unanswered and not situation.keeps_unknown(entry):
        again, over = entry.standing, None
    elif pending is not None and pending.state is State.DEFERRED:
        again, over = pending, Drop(entry.meeting_id, entry.address)
    else:
        return
    if again is None or situation.waits(entry):
        return
    known = situation.snapshot.known(again)
    if again.end <= situation.seconds or brings_past_links(again, known, situation):
        if over is not None:
            yield over
        return
    copies = entry.copies if pending is None or (entry.unanswered and entry.repeats) else 0
    if not again.invites:
        withdrawal = Withdrawal(entry=entry, uid=uid, situation=situation)
        yield replace(
            withdrawal.deferred_again(recorded_draft(again, situation), again), copies=copies
        )
    elif known.facts.terms == terms:
        send = _repeated(entry, again, known, uid)
        cause = Cause.RESENT if pending is None else send.cause
        yield replace(send, cause=cause, attempts=entry.attempts, copies=copies)


def _repeated(entry: Entry, again: Recorded, known: Known, uid: str) -> Send:
    """Return a REQUEST of the ledger as it was planned."""
    update, changes = again.kind in UPDATING, changes_from(again.changes)
    changed = Cause.LINK if brings_links(changes) else Cause.CHANGED
    return Send(
        meeting=known.facts.meeting_of(known.attendee),
        uid=uid_of_edition(uid, known.facts.edition),
        draft=Draft(known.facts, known.attendee, again.digest),
        revision=again.revision,
        cause=changed if update else Cause.NEW,
        changes=changes,
        retry=True,
        first_message_id=entry.first_message_id if update else None,
    )


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
    its way.  What an earlier pass planned and did not come to is carried out.  `terms` are those
    in force: a link under others is left to a run that sees the roster.
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
            # What an earlier pass planned, and ended before it came to it.
            past = brings_past_links(pending, begun, situation)
            if pending.state is State.PLANNED and begun.facts.terms == terms and not past:
                yield _repeated(entry, pending, begun, state.uid)
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


def brings_past_links(again: Recorded, known: Known, situation: Situation) -> bool:
    """Tell whether a message is about nothing but links of dates that are over."""
    changes = changes_from(again.changes)
    if not brings_links(changes) or known.facts.meeting.series is None:
        return False
    told = {change.new for change in changes}
    dates = known.facts.meeting.series.taking_place
    return all(one.end <= situation.now for one in dates if one.start in told)
