"""Faults that a planner could have; each is put in place of what the real one decides."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from invites.invitation import Kind, Revision
from invites.ledger import read as snapshots
from invites.model import Roster
from invites.planning import changes as plan_changes
from invites.planning import decide as planning
from invites.planning.absence import Withdrawal
from invites.planning.actions import (
    Action,
    Cause,
    Plan,
    Policy,
    Send,
    Situation,
    Withdraw,
    order_of,
)
from invites.planning.facts import Draft, MeetingDraft
from invites.planning.presence import Presence
from invites.planning.state import Entry, MeetingState, Recorded, Snapshot, State, uid_for
from invites.sending import Renderer
from invites.sending import frame as frame_module
from invites.sending import passes as pass_module

Planner = Callable[..., Plan]
Plant = Callable[[pytest.MonkeyPatch], None]
FAULTS: dict[str, Plant] = {}
"""Every fault, by what it does."""

PERSONAL = frozenset({"moderator", "attendance", "name"})
_plan_for = planning.plan_for


def fault(name: str) -> Callable[[Plant], Plant]:
    """Add a fault to the list."""

    def add(plant: Plant) -> Plant:
        FAULTS[name] = plant
        return plant

    return add


def altered(alter: Callable[[Plan, Snapshot, Situation], Iterable[Action] | Plan]) -> Plant:
    """Return a fault that gives other actions than those of the real plan."""

    def plant(patch: pytest.MonkeyPatch) -> None:
        def plan_for(
            roster: Roster,
            drafts: Sequence[MeetingDraft],
            snapshot: Snapshot,
            *,
            now: datetime,
            policy: Policy,
        ) -> Plan:
            plan = _plan_for(roster, drafts, snapshot, now=now, policy=policy)
            moment = Situation(snapshot=snapshot, policy=policy, now=now)
            found = alter(plan, snapshot, moment)
            return found if isinstance(found, Plan) else _with(plan, found)

        patch.setattr(pass_module, "plan_for", plan_for)

    return plant


def with_policy(**wrong: Any) -> Plant:
    """Return a fault that plans by another policy than was asked for."""

    def plant(patch: pytest.MonkeyPatch) -> None:
        def plan_for(*given: Any, now: datetime, policy: Policy) -> Plan:
            return _plan_for(*given, now=now, policy=replace(policy, **wrong))

        patch.setattr(pass_module, "plan_for", plan_for)

    return plant


def _with(plan: Plan, actions: Iterable[Action]) -> Plan:
    return replace(plan, actions=tuple(sorted(actions, key=order_of)))


def recorded(found: Recorded | None) -> Recorded:
    """Return a revision that is there."""
    assert found is not None
    return found


def _entries(snapshot: Snapshot, meeting_id: str) -> list[Entry]:
    state = snapshot.meetings.get(meeting_id)
    return list(state.entries.values()) if state else []


def _kept_in(plan: Plan, meeting_ids: set[str]) -> list[Draft]:
    return [keep.draft for keep in plan.kept if keep.draft.facts.id in meeting_ids]


def _again(
    draft: Draft, snapshot: Snapshot, moment: Situation, *, step: int, cause: Cause = Cause.RESENT
) -> Send:
    """Return a REQUEST to one who has what the roster says."""
    state = snapshot.meetings[draft.facts.id]
    entry = state.entries[draft.attendee.address]
    stamp = max(moment.seconds, entry.latest_dtstamp + 1)
    return Send(
        meeting=draft.facts.meeting_of(draft.attendee),
        uid=state.uid,
        draft=draft,
        revision=Revision(
            kind=Kind.INVITATION,
            sequence=recorded(entry.standing).sequence + step,
            dtstamp=datetime.fromtimestamp(stamp, UTC),
        ),
        cause=cause,
    )


@fault("SEQUENCE is not raised when a meeting is moved")
def _sequence_stays(patch: pytest.MonkeyPatch) -> None:
    less = plan_changes.RAISES_SEQUENCE - {"start", "end"}
    patch.setattr(plan_changes, "RAISES_SEQUENCE", less)


@fault("SEQUENCE is raised for a new title")
def _sequence_rises(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(plan_changes, "RAISES_SEQUENCE", plan_changes.RAISES_SEQUENCE | {"title"})


@fault("DTSTAMP does not rise")
def _stamp_stays(patch: pytest.MonkeyPatch) -> None:
    def following(self: Situation, kind: Kind, sequence: int, entry: Entry) -> Revision:
        stamp = self.seconds if entry.standing is None else entry.standing.dtstamp
        return Revision(kind=kind, sequence=sequence, dtstamp=datetime.fromtimestamp(stamp, UTC))

    patch.setattr(Situation, "next_revision", following)


@fault("DTSTAMP is the clock's, also when that was set back")
def _stamp_of_the_clock(patch: pytest.MonkeyPatch) -> None:
    def following(self: Situation, kind: Kind, sequence: int, _entry: Entry) -> Revision:
        stamp = datetime.fromtimestamp(self.seconds, UTC)
        return Revision(kind=kind, sequence=sequence, dtstamp=stamp)

    patch.setattr(Situation, "next_revision", following)


@fault("CANCEL goes to all when one is removed")
@altered
def _cancel_to_all(plan: Plan, snapshot: Snapshot, moment: Situation) -> Iterable[Action]:
    gone = {action.facts.id: action for action in plan.actions if action.cause is Cause.MISSING}
    yield from plan.actions
    for draft in _kept_in(plan, set(gone)):
        again = _again(draft, snapshot, moment, step=1)
        yield replace(
            gone[draft.facts.id],  # type: ignore[type-var]
            draft=draft,
            meeting=again.meeting,
            revision=replace(again.revision, kind=Kind.WITHDRAWN),
        )


@fault("everything is sent again because its token was minted again")
@altered
def _resend_on_remint(plan: Plan, snapshot: Snapshot, moment: Situation) -> Iterable[Action]:
    yield from plan.actions
    for keep in plan.kept:
        yield _again(keep.draft, snapshot, moment, step=0)


@fault("who is missing once is withdrawn")
def _at_the_first_miss(patch: pytest.MonkeyPatch) -> None:
    with_policy(withdraw_after=1)(patch)


@fault("the UID follows the namespace")
def _other_uid(patch: pytest.MonkeyPatch) -> None:
    def plan_for(
        roster: Roster, drafts: Any, snapshot: Snapshot, *, now: datetime, policy: Policy
    ) -> Plan:
        meetings = {
            state.id: replace(state, uid=uid_for(policy.namespace, state.id))
            for state in snapshot.meetings.values()
        }
        other = replace(snapshot, meetings=meetings)
        return _plan_for(roster, drafts, other, now=now, policy=policy)

    patch.setattr(pass_module, "plan_for", plan_for)


@fault("who is back again gets SEQUENCE 0")
@altered
def _back_at_zero(plan: Plan, _snapshot: Snapshot, _moment: Situation) -> Iterable[Action]:
    for action in plan.actions:
        if action.cause is Cause.BACK:
            yield replace(action, revision=replace(action.revision, sequence=0))
        else:
            yield action


@fault("who never got an invitation gets a CANCEL")
@altered
def _cancel_to_a_stranger(plan: Plan, snapshot: Snapshot, moment: Situation) -> Plan:
    strangers = []
    for drop in plan.dropped:
        state = snapshot.meetings[drop.meeting_id]
        entry = state.entries[drop.address]
        if entry.standing is None and recorded(entry.pending).end > moment.seconds:
            strangers.append(_withdrawn_before_it_was_sent(state, entry, snapshot))
    kept = {(one.facts.id, one.attendee.address) for one in strangers}
    dropped = tuple(drop for drop in plan.dropped if tuple(drop) not in kept)
    return replace(_with(plan, [*plan.actions, *strangers]), dropped=dropped)


def _withdrawn_before_it_was_sent(
    state: MeetingState, entry: Entry, snapshot: Snapshot
) -> Withdraw:
    pending = recorded(entry.pending)
    known = snapshot.known(pending)
    draft = Draft(known.facts, known.attendee, pending.digest)
    stamp = datetime.fromtimestamp(entry.latest_dtstamp + 1, UTC)
    return Withdraw(
        meeting=known.facts.meeting_of(known.attendee),
        uid=state.uid,
        draft=draft,
        revision=Revision(kind=Kind.WITHDRAWN, sequence=pending.sequence + 1, dtstamp=stamp),
        cause=Cause.MISSING,
        admits_until=known.facts.validity.expires,
    )


@fault("another secret is not noticed")
def _secret_unnoticed(patch: pytest.MonkeyPatch) -> None:
    drafts = Renderer.drafts

    def blind(self: Renderer, roster: Roster, now: datetime) -> list[MeetingDraft]:
        return drafts(replace(self, terms=replace(self.terms, key="0" * 16)), roster, now)

    patch.setattr(Renderer, "drafts", blind)


@fault("one attendee's change is told to all")
@altered
def _personal_to_all(plan: Plan, snapshot: Snapshot, moment: Situation) -> Iterable[Action]:
    personal = {
        action.facts.id
        for action in plan.actions
        if isinstance(action, Send)
        and action.changes
        and {change.field for change in action.changes} <= PERSONAL
    }
    yield from plan.actions
    for draft in _kept_in(plan, personal):
        yield _again(draft, snapshot, moment, step=1, cause=Cause.CHANGED)


@fault("meetings that are over are mailed about")
def _over_is_mailed(patch: pytest.MonkeyPatch) -> None:
    def plan_for(
        roster: Roster,
        drafts: Sequence[MeetingDraft],
        snapshot: Snapshot,
        *,
        now: datetime,
        policy: Policy,
    ) -> Plan:
        plan = _plan_for(roster, drafts, snapshot, now=now, policy=policy)
        moment = Situation(snapshot=snapshot, policy=policy, now=now)
        late = [
            _again(draft, snapshot, moment, step=1, cause=Cause.CHANGED)
            for meeting in drafts
            if meeting.facts.end <= now
            for draft in meeting.drafts
            if any(
                entry.address == draft.attendee.address
                and entry.invited
                and recorded(entry.standing).digest != draft.digest
                for entry in _entries(snapshot, meeting.facts.id)
            )
        ]
        return _with(plan, [*plan.actions, *late])

    patch.setattr(pass_module, "plan_for", plan_for)


@fault("a new title is told to nobody")
@altered
def _title_untold(plan: Plan, _snapshot: Snapshot, _moment: Situation) -> Iterable[Action]:
    for action in plan.actions:
        if {change.field for change in action.changes} != {"title"}:
            yield action


@fault("the old address keeps its invitation")
@altered
def _old_address_stays(plan: Plan, _snapshot: Snapshot, _moment: Situation) -> Iterable[Action]:
    return [action for action in plan.actions if action.cause is not Cause.ADDRESS]


@fault("a roster that shrank withdraws those who are gone")
def _no_shrink_guard(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(planning, "shrink_guards", lambda *_: ())


@fault("a part of a roster withdraws the others")
def _partial_withdraws(patch: pytest.MonkeyPatch) -> None:
    with_policy(partial=False)(patch)


@fault("one who is taken out is told that the meeting is off")
def _off_for_one(patch: pytest.MonkeyPatch) -> None:
    now = Withdrawal.now

    def off(self: Withdrawal, _kind: Kind, *given: Any, **more: Any) -> Any:
        return now(self, Kind.CANCELLED, *given, **more)

    patch.setattr(Withdrawal, "now", off)


@fault("a left-out row counts as missing")
def _left_out_is_missing(patch: pytest.MonkeyPatch) -> None:
    def plan_for(
        roster: Roster, drafts: Sequence[MeetingDraft], snapshot: Snapshot, **rest: Any
    ) -> Plan:
        whole = replace(roster, complete=True, left_out_meetings=())
        drafts = [replace(one, meeting=replace(one.meeting, incomplete=False)) for one in drafts]
        return _plan_for(whole, drafts, snapshot, **rest)

    patch.setattr(pass_module, "plan_for", plan_for)


@fault("what may have been sent counts as never sent")
def _unknown_is_unsent(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(snapshots, "_as_found", lambda entry: entry)
    patch.setattr(frame_module, "settle", lambda *_given, **_more: 0)


@fault("a message that is tried again is another message")
@altered
def _retry_is_new(plan: Plan, snapshot: Snapshot, moment: Situation) -> Iterable[Action]:
    for action in plan.actions:
        entry = (
            snapshot.meetings[action.facts.id].entries[action.attendee.address]
            if action.retry
            else None
        )
        if entry is None:
            yield action
            continue
        stamp = datetime.fromtimestamp(max(moment.seconds, entry.latest_dtstamp + 1), UTC)
        yield replace(action, retry=False, revision=replace(action.revision, dtstamp=stamp))


@fault("what lies beyond the horizon goes out")
def _no_horizon(patch: pytest.MonkeyPatch) -> None:
    with_policy(horizon=None)(patch)


@fault("a revision that was superseded still goes out")
def _superseded_goes_out(patch: pytest.MonkeyPatch) -> None:
    def plan_for(
        roster: Roster, drafts: Any, snapshot: Snapshot, *, now: datetime, policy: Policy
    ) -> Plan:
        plan = _plan_for(roster, drafts, snapshot, now=now, policy=policy)
        stale: list[Action] = []
        for action in plan.actions:
            if isinstance(action, Send) and action.supersedes:
                entry = snapshot.meetings[action.facts.id].entries[action.attendee.address]
                pending = recorded(entry.pending)
                known = snapshot.known(pending)
                draft = Draft(known.facts, known.attendee, pending.digest)
                meeting = known.facts.meeting_of(known.attendee)
                stale.append(replace(action, draft=draft, meeting=meeting))
            else:
                stale.append(action)
        return _with(plan, stale)

    patch.setattr(pass_module, "plan_for", plan_for)


@fault("another organizer updates what the former one made")
def _same_uid(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(plan_changes.Difference, "organizer", None)


@fault("a CANCEL comes from the mailbox of now")
def _mailbox_of_now(patch: pytest.MonkeyPatch) -> None:
    def mailbox_of(self: Renderer, _action: Action) -> str:
        return self.composer.sender.organizer.email

    patch.setattr(Renderer, "mailbox_of", mailbox_of)


@fault("a date is told alone to who may not have its series")
def _date_alone_in_doubt(patch: pytest.MonkeyPatch) -> None:
    alone = Presence._alone

    def in_doubt(self: Presence, standing: Recorded, found: plan_changes.Difference) -> Any:
        return alone(self, standing._replace(state=State.SENT), found)

    patch.setattr(Presence, "_alone", in_doubt)
