"""Who gets what now: the drafts of a roster against one scope's part of the ledger.

Pure: the same roster, snapshot, policy and `now` give the same plan, whatever the order of rows.
The rules are the table "Who gets what, when" and the sentences below it (RFC 5546 2.1.4, 2.1.5).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import chain

from invites.identity import uid_for
from invites.model import Roster, Status
from invites.planning.absence import Absence, cancelled_meeting, missing_attendees, missing_meeting
from invites.planning.actions import (
    CHANGE_UPDATES,
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
    Refusal,
    Send,
    Withdraw,
    order_of,
)
from invites.planning.facts import Draft, MeetingDraft, Terms
from invites.planning.guards import (
    Survey,
    accepts,
    beyond_horizon,
    moved_into_the_past,
    shrink_refusals,
    survey,
)
from invites.planning.revisions import Moment, deferred_again, for_present
from invites.planning.state import PRESENT, Entry, MeetingState, Snapshot
from invites.problems import Problem
from invites.text import counted


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
    moment = Moment(snapshot=snapshot, policy=policy, now=now, seconds=int(now.timestamp()))
    by_id = {draft.facts.id: draft for draft in drafts}
    left_out = frozenset(roster.left_out_meetings)
    found = survey(by_id, left_out, moment)
    refusals = shrink_refusals(found, roster, policy)
    absence = Absence(
        found=found,
        complete=roster.complete,
        left_out=left_out,
        shrunk=any(refusal.guard == "shrink" for refusal in refusals),
        cancellations=any(refusal.guard == "cancelled" for refusal in refusals),
        waived=policy.withdraw_now or accepts(policy.accept, roster),
    )
    sorted_out = _Sorted(moment)
    sorted_out.take(
        chain.from_iterable(_for_meeting(draft, absence, moment) for draft in by_id.values())
    )
    sorted_out.take(_missing(by_id, absence, moment))
    refusals += sorted_out.guard_changes(roster, found)
    return sorted_out.plan(roster, refusals, _warnings(by_id, sorted_out, moment))


def claims_needed(roster: Roster, snapshot: Snapshot) -> tuple[Problem, ...]:
    """Return a problem of the file for each meeting id that another scope has."""
    return tuple(
        Problem(
            row=meeting.row or None,
            column="meeting_id",
            found=meeting.id,
            expected=(
                f'a meeting of scope "{snapshot.scope}"; scope "{snapshot.owners[meeting.id]}" '
                f"has it; --claim {snapshot.owners[meeting.id]} moves that scope's meetings over"
            ),
            refuses_file=True,
        )
        for meeting in sorted(roster.meetings, key=lambda one: one.row)
        if meeting.id in snapshot.owners
    )


def _for_meeting(draft: MeetingDraft, absence: Absence, moment: Moment) -> Iterator[Item]:
    state = moment.snapshot.meetings.get(draft.facts.id)
    if draft.facts.end.timestamp() <= moment.seconds:
        yield from _given_up(state)
        return
    if draft.meeting.status is Status.CANCELLED:
        if state is not None:
            yield from cancelled_meeting(draft, state, absence, moment)
        return
    if state is None:
        state = MeetingState(
            id=draft.facts.id, uid=uid_for(moment.policy.namespace, draft.facts.id), entries={}
        )
    if state.missing.times:
        yield Mark(state.id, None, PRESENT)
    if _waits_for_horizon(draft, state, moment):
        yield from (Hold(draft=one, reason=Reason.HORIZON, cause=Cause.NEW) for one in draft.drafts)
        return
    yield from _present(draft, state, absence, moment)
    yield from missing_attendees(draft, state, absence, moment)


def _given_up(state: MeetingState | None) -> Iterator[Item]:
    """Give up what is still on its way to a meeting that is over."""
    if state is not None:
        for entry in state.entries.values():
            if entry.pending_kind is not None:
                yield Drop(entry.meeting_id, entry.address)


def _waits_for_horizon(draft: MeetingDraft, state: MeetingState, moment: Moment) -> bool:
    if not beyond_horizon(draft.facts.start.timestamp(), moment):
        return False
    return not any(state.live(moment.seconds))


def _present(
    draft: MeetingDraft, state: MeetingState, absence: Absence, moment: Moment
) -> Iterator[Item]:
    new_for = (
        {
            new: old
            for (meeting_id, old), new in absence.found.replaced.items()
            if meeting_id == state.id
        }
        if absence.found.replaced
        else {}
    )
    entries, resend = state.entries, moment.policy.resend
    for one in draft.drafts:
        address = one.attendee.address
        entry = entries.get(address)
        if entry is None:
            entry = Entry(state.id, address)
        elif not resend and _settled(entry, one):
            yield Keep(one)
            continue
        yield from for_present(
            draft.meeting, one, entry, state.uid, moment, new_for.get(address, "")
        )


def _settled(entry: Entry, draft: Draft) -> bool:
    """Tell whether there is nothing to decide: the quick way through an unchanged roster."""
    return (
        entry.standing_digest == draft.digest
        and entry.standing_state == "sent"
        and entry.pending_kind is None
        and not entry.missing_times
        and entry.invited
    )


def _missing(
    drafts: Mapping[str, MeetingDraft], absence: Absence, moment: Moment
) -> Iterator[Item]:
    for state in moment.snapshot.meetings.values():
        if state.id not in drafts:
            yield from missing_meeting(state, absence, moment)


class _Sorted:
    """The items of a plan by their kind, as far as `--only` and `--limit` let them through."""

    def __init__(self, moment: Moment) -> None:
        self.moment = moment
        self.actions: list[Action] = []
        self.kept: list[Keep] = []
        self.held: list[Hold] = []
        self.dropped: list[Drop] = []
        self.marks: list[Mark] = []

    def take(self, items: Iterable[Item]) -> None:
        """Sort the items in, apart from those that the flags leave out."""
        for item in items:
            if _lets_through(self.moment.policy, item):
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

    def guard_changes(self, roster: Roster, found: Survey) -> tuple[Refusal, ...]:
        """Hold the updates where there are too many at once; those begun before go on."""
        policy = self.moment.policy
        updates = [action for action in self.actions if _is_new_update(action)]
        live = found.live_attendees
        few = len(updates) <= CHANGE_UPDATES or len(updates) <= policy.change * live
        if few or accepts(policy.accept, roster):
            return ()
        self.actions = [action for action in self.actions if not _is_new_update(action)]
        for update in updates:
            self.held.append(Hold(draft=update.draft, reason=Reason.CHANGE, cause=Cause.CHANGED))
            if isinstance(update, Send) and update.supersedes:
                self.dropped.append(Drop(*_place(update.draft)))
        return (
            Refusal(
                guard="change",
                what="invitations would be updated",
                found=len(updates),
                live=live,
                share=policy.change,
                digest=roster.digest,
            ),
        )

    def plan(
        self, roster: Roster, refusals: tuple[Refusal, ...], warnings: tuple[str, ...]
    ) -> Plan:
        limit = self.moment.policy.limit
        ordered = sorted(self.actions, key=order_of)
        late = ordered[limit:] if limit is not None else []
        self.held += [
            Hold(draft=action.draft, reason=Reason.LIMIT, cause=action.cause) for action in late
        ]
        return Plan(
            scope=self.moment.snapshot.scope,
            roster_digest=roster.digest,
            actions=tuple(ordered[:limit]),
            kept=tuple(self.kept),
            held=tuple(sorted(self.held, key=order_of)),
            dropped=tuple(self.dropped),
            marks=tuple(self.marks),
            refusals=refusals,
            warnings=warnings,
            over=sum(
                len(meeting.attendees)
                for meeting in roster.meetings
                if meeting.end <= self.moment.now
            ),
        )


def _place(draft: Draft) -> tuple[str, str]:
    return draft.facts.id, draft.attendee.address


def _lets_through(policy: Policy, item: Item) -> bool:
    """Tell whether `--only` lets an item through; a presence is written down in any case."""
    if isinstance(item, Mark):
        return policy.counts_missing or not item.missing.times
    if not policy.only:
        return True
    if isinstance(item, Drop):
        meeting_id, addresses = item.meeting_id, {item.address}
    else:
        meeting_id, address = _place(item.draft)
        addresses = {address, _counterpart(item)}
    return any(
        meeting_id == only.value if only.what == "meeting" else only.value in addresses
        for only in policy.only
    )


def _counterpart(item: Item) -> str:
    """Return the other address where one takes another's place, so that both go together."""
    match item:
        case Send():
            return item.replaces
        case Withdraw():
            return item.replaced_by
        case _:
            return ""


def _is_new_update(action: Action) -> bool:
    return isinstance(action, Send) and action.cause is Cause.CHANGED and not action.retry


def _warnings(
    drafts: Mapping[str, MeetingDraft], sorted_out: _Sorted, moment: Moment
) -> tuple[str, ...]:
    warnings = [
        f'meeting "{meeting_id}" is over by the roster, and {counted(count, "invitation")} '
        f"to a later time {'stands' if count == 1 else 'stand'}; nobody is told of a meeting that is over"
        for meeting_id, count in moved_into_the_past(drafts, moment)
    ]
    moved = {action.draft.facts.id for action in sorted_out.actions if _key_moved_room(action)}
    if moved:
        warnings.append(
            f"the new secret moves the rooms of {counted(len(moved), 'meeting')}, for they are "
            "derived from it; a room key file ([jitsi] room_key_file) keeps rooms over a change of secret"
        )
    return tuple(warnings)


def _key_moved_room(action: Action) -> bool:
    fields = {change.field for change in action.changes}
    return {"key", "room"} <= fields


def drained(snapshot: Snapshot, *, now: datetime, policy: Policy, terms: Terms) -> Plan:
    """Return a plan that repeats deferred revisions as they were planned, from the ledger alone.

    `terms` are those in force: a link made under others is left to a run that sees the roster.
    One whose meeting is over is given up.
    """
    moment = Moment(snapshot=snapshot, policy=policy, now=now, seconds=int(now.timestamp()))
    items = [
        item
        for state in snapshot.meetings.values()
        for entry in state.entries.values()
        for item in deferred_again(entry, state.uid, moment, terms)
    ]
    actions = [item for item in items if isinstance(item, Send | Withdraw)]
    return Plan(
        scope=snapshot.scope,
        roster_digest="",
        actions=tuple(sorted(actions, key=order_of)),
        dropped=tuple(item for item in items if isinstance(item, Drop)),
    )
