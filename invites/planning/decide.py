"""Who gets what now: the drafts of a roster against one scope's part of the ledger.

Pure: the same roster, snapshot, policy and `now` give the same plan, whatever the order of rows.
The rules are the table "Who gets what, when" and the sentences below it (RFC 5546 2.1.4, 2.1.5).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime

from invites.model import Roster, Status
from invites.planning.absence import Absence
from invites.planning.actions import (
    Action,
    Cause,
    Drop,
    Hold,
    Item,
    Keep,
    Mark,
    Plan,
    Policy,
    Reason,
    Send,
    Situation,
    TrippedGuard,
    Withdraw,
    order_of,
)
from invites.planning.changes import tells_of_organizer
from invites.planning.facts import Draft, MeetingDraft, MeetingFacts
from invites.planning.guards import (
    Survey,
    code_for,
    holds,
    organizer_guard,
    sending_guards,
    shrink_guards,
    survey,
    warnings_of,
)
from invites.planning.patterns import Proposal, patterns
from invites.planning.presence import Presence, newest_edition
from invites.planning.regrouping import regrouping_words, unexpected
from invites.planning.state import (
    PRESENT,
    Entry,
    MeetingState,
    Snapshot,
    State,
    uid_for,
)


def plan_for(
    roster: Roster,
    drafts: Sequence[MeetingDraft],
    snapshot: Snapshot,
    *,
    now: datetime,
    policy: Policy,
) -> Plan:
    """Return the plan for a roster whose meetings, all of them, are in `drafts`.

    `now` is aware.  A plan whose `refusals` are not empty can still be carried out: what a guard
    holds is in `held`.
    """
    situation = Situation(snapshot=snapshot, policy=policy, now=now)
    by_id = {draft.facts.id: draft for draft in drafts}
    left_out = frozenset(roster.left_out_meetings)
    found = survey(by_id, left_out, situation)
    sorted_out = _Sorted(situation)
    for draft in drafts:
        sorted_out.take(_present_in(draft, found, situation))
    # All guards are judged before anything is held, so that one yes can stand for all of them;
    # who is withdrawn is decided after that, for a guard against it counts nothing as missing.
    proposal = Proposal(
        situation=situation,
        roster=roster,
        drafts=by_id,
        live=found.live,
        fresh=unexpected(sorted_out.fresh(), found.regrouped),
        moved=tuple(sorted_out.moved()),
    )
    guards = (
        *shrink_guards(found, roster, situation),
        *sending_guards(found, proposal),
        *organizer_guard(proposal),
        *patterns(proposal),
    )
    code = code_for(guards, roster, drafts[0].facts.terms if drafts else None) if guards else ""
    accepted = policy.accept is not None and policy.accept.lower() == code
    refusals = () if accepted else guards
    # "All guards are told together": a code that fits some of them says yes to none.
    tripped = {guard.guard for guard in guards}
    refused = {guard.guard for guard in refusals}
    absence = Absence(
        situation=situation,
        replaced=found.replaced,
        regrouped=found.regrouped,
        complete=roster.complete,
        left_out=left_out,
        shrunk=bool(_LOSSES & refused),
        cancellations="cancelled" in refused,
        # A yes to strangers is none to losses: who is gone is missed as often as ever.
        waived=policy.withdraw_now or (accepted and "shrink" in tripped),
    )
    for draft in drafts:
        sorted_out.take(_absent_from(draft, absence))
    for state in snapshot.meetings.values():
        if state.id not in by_id:
            sorted_out.take(absence.missing_meeting(state))
    sorted_out.hold(refusals)
    warnings = (
        *regrouping_words(found.regrouped),
        *warnings_of(by_id, sorted_out.actions, situation),
    )
    plan = sorted_out.plan(roster, warnings)
    return replace(
        plan,
        refusals=refusals,
        accept_code="" if accepted else code,
        accepted=len(guards) if accepted else 0,
        other_code=(policy.accept or "") if refusals else "",
    )


_LOSSES = frozenset({"shrink", "another roster"})
"""The guards that say that those who are gone are hardly gone: nobody is counted as missing."""


def _present_in(draft: MeetingDraft, found: Survey, situation: Situation) -> Iterator[Item]:
    """Decide for those whom the roster has in this meeting."""
    state = situation.snapshot.meetings.get(draft.facts.id)
    if draft.facts.end.timestamp() <= situation.seconds:
        # Over: nothing, ever; what is still on its way to it is given up.
        for entry in state.entries.values() if state is not None else ():
            if entry.pending is not None:
                yield Drop(entry.meeting_id, entry.address)
        return
    if draft.meeting.status is Status.CANCELLED:
        return  # told in `_absent_from`, once the guards are judged
    if state is None:
        uid = uid_for(situation.policy.namespace, draft.facts.id)
        state = MeetingState(id=draft.facts.id, uid=uid, entries={})
    if state.missing.times:
        yield Mark(state.id, None, PRESENT)  # "present again, the count is reset"
    if _waits(draft, situation):
        yield from (Hold(draft=one, reason=Reason.HORIZON, cause=Cause.NEW) for one in draft.drafts)
        return
    yield from _attendees_of(draft, state, found, situation)


def _attendees_of(
    draft: MeetingDraft, state: MeetingState, found: Survey, situation: Situation
) -> Iterator[Item]:
    new_for = {new: old for (place, old), new in found.replaced.items() if place == state.id}
    edition: int | None = None
    for part in draft.parts:
        newest: MeetingFacts | None = None
        if part.facts.end.timestamp() <= situation.seconds:
            continue  # these have no date to come: absent, though the series goes on
        for one in part.drafts:
            entry = state.entries.get(one.attendee.address)
            if entry is not None and not situation.policy.resend and _settled(entry, one):
                yield Keep(one)
                continue
            if edition is None:
                edition = newest_edition(draft, state, situation.snapshot)
            if newest is None:  # one for all, who are composed together by it
                newest = replace(part.facts, edition=edition) if edition else part.facts
            yield from Presence(
                meeting=part.meeting,
                draft=one,
                newest=newest,
                entry=entry or Entry(state.id, one.attendee.address),
                uid=state.uid,
                situation=situation,
                replaces=new_for.get(one.attendee.address, ""),
            ).items()


def _absent_from(draft: MeetingDraft, absence: Absence) -> Iterator[Item]:
    """Decide for those whom the roster no longer has in this meeting, or whom it calls off."""
    situation = absence.situation
    state = situation.snapshot.meetings.get(draft.facts.id)
    if state is None or draft.facts.end.timestamp() <= situation.seconds:
        return
    if draft.meeting.status is Status.CANCELLED:
        yield from absence.cancelled_meeting(draft, state)
    elif not _waits(draft, situation):
        yield from absence.missing_attendees(draft, state)


def _waits(draft: MeetingDraft, situation: Situation) -> bool:
    """Tell whether a meeting waits for the horizon: nobody has an invitation to it yet.

    Whom a former organizer's mailbox withdrew a moment ago, the present one is about to invite.
    """
    if not situation.beyond_horizon(draft.facts.start.timestamp()):
        return False
    state = situation.snapshot.meetings.get(draft.facts.id)
    return state is None or not (
        any(state.live(situation.seconds))
        or any(
            one.withdrawn and tells_of_organizer(one.withdrawn.changes)
            for one in state.entries.values()
        )
    )


def _settled(entry: Entry, draft: Draft) -> bool:
    """Tell whether there is nothing to decide: the quick way through an unchanged roster."""
    standing = entry.invitation
    return (
        standing is not None
        and standing.digest == draft.digest
        and standing.state is State.SENT
        and entry.pending is None
        and not entry.missing.times
    )


class _Sorted:
    """The items of a plan by their kind, as far as `--only` and `--limit` let them through."""

    def __init__(self, situation: Situation) -> None:
        self.situation = situation
        self.actions: list[Action] = []
        self.kept: list[Keep] = []
        self.held: list[Hold] = []
        self.dropped: list[Drop] = []
        self.marks: list[Mark] = []

    def take(self, items: Iterable[Item]) -> None:
        """Sort the items in, apart from those that the flags leave out."""
        for item in items:
            if _lets_through(self.situation.policy, item):
                self._put(item)

    def _put(self, item: Item) -> None:
        match item:
            case Keep():
                self.kept.append(item)
            case Send() | Withdraw():
                self.actions.append(item)
            case Hold():
                self.held.append(item)
            case Drop():
                self.dropped.append(item)
            case Mark():
                self.marks.append(item)

    def fresh(self) -> Iterator[Send]:
        """Yield the invitations and updates that no earlier run began."""
        for action in self.actions:
            if isinstance(action, Send) and not action.retry and action.cause in _FRESH:
                yield action
        for gone in self.moved():
            if gone.update is not None:
                yield gone.update

    def moved(self) -> Iterator[Withdraw]:
        """Yield the withdrawals by another organizer that no earlier run began."""
        for action in self.actions:
            if (
                action.cause is Cause.ORGANIZER
                and isinstance(action, Withdraw)
                and not action.retry
            ):
                yield action

    def hold(self, refusals: Sequence[TrippedGuard]) -> None:
        """Hold back what a guard refused; an update that it replaces on its way goes to nobody."""
        if not refusals:
            return
        reasons: dict[int, Reason] = {}
        for action in self.actions:
            guard = next((guard for guard in refusals if holds(guard, action)), None)
            if guard is not None:
                reasons[id(action)] = guard.reason
        held = {_place(one.draft): reasons[id(one)] for one in self.actions if id(one) in reasons}
        for action in self.actions:
            # The old address keeps its invitation while the new one's is held.
            if isinstance(action, Withdraw) and action.replaced_by:
                reason = held.get((action.facts.id, action.replaced_by))
                if reason is not None:
                    reasons.setdefault(id(action), reason)
        for action in self.actions:
            if (reason := reasons.get(id(action))) is None:
                continue
            self.held.append(Hold(draft=action.draft, reason=reason, cause=action.cause))
            if isinstance(action, Send) and action.supersedes:
                self.dropped.append(Drop(*_place(action.draft)))
        self.actions = [action for action in self.actions if id(action) not in reasons]

    def plan(self, roster: Roster, warnings: tuple[str, ...]) -> Plan:
        """Return the plan, in the order in which its messages go out."""
        limit = self.situation.policy.limit
        ordered = sorted(self.actions, key=order_of)
        late = ordered[limit:] if limit is not None else []
        self.held += [
            Hold(draft=action.draft, reason=Reason.LIMIT, cause=action.cause) for action in late
        ]
        return Plan(
            scope=self.situation.snapshot.scope,
            roster_digest=roster.digest,
            actions=tuple(ordered[:limit]),
            kept=tuple(self.kept),
            held=tuple(sorted(self.held, key=order_of)),
            dropped=tuple(self.dropped),
            marks=tuple(self.marks),
            warnings=warnings,
            over=sum(
                len(meeting.attendees)
                for meeting in roster.meetings
                if meeting.over_at <= self.situation.now
            ),
        )


def _place(draft: Draft) -> tuple[str, str]:
    return draft.facts.id, draft.attendee.address


def _lets_through(policy: Policy, item: Item) -> bool:
    """Tell whether `--only` lets an item through; a presence is written down in any case."""
    if isinstance(item, Mark):
        return policy.counts_missing or not item.missing.times
    if isinstance(item, Drop):
        return policy.lets_through(item.meeting_id, item.address)
    meeting_id, address = _place(item.draft)
    return policy.lets_through(meeting_id, address, _counterpart(item))


def _counterpart(item: Item) -> str:
    """Return the other address where one takes another's place, so that both go together."""
    match item:
        case Send():
            return item.replaces
        case Withdraw():
            return item.replaced_by
        case _:
            return ""


_FRESH = frozenset({Cause.NEW, Cause.BACK, Cause.CHANGED})
