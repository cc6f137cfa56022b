"""Those whom the roster no longer has: counted, held or withdrawn; and meetings called off."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from invites.model import Kind, Method
from invites.planning.actions import COUNT_AGAIN_AFTER, Cause, Drop, Hold, Item, Mark, Reason
from invites.planning.facts import MeetingDraft
from invites.planning.guards import Survey, beyond_horizon
from invites.planning.revisions import Moment, standing_draft, told_again, withdrawal
from invites.planning.state import PRESENT, Entry, MeetingState, Missing


@dataclass(frozen=True, slots=True, kw_only=True)
class Absence:
    """What the whole roster says about withdrawing in this run.

    `complete` is false where a left-out row's meeting can't be known; `left_out` are the meetings
    of which no row was accepted; `shrunk` and `cancellations` where that guard tripped; `waived`
    where a person said that all missing ones are to go now.
    """

    found: Survey
    complete: bool
    left_out: frozenset[str]
    shrunk: bool
    cancellations: bool
    waived: bool


def cancelled_meeting(
    draft: MeetingDraft, state: MeetingState, absence: Absence, moment: Moment
) -> Iterator[Item]:
    """Tell everybody whose invitation stands, listed or not, that the meeting is off."""
    if state.missing.times:
        yield Mark(state.id, None, PRESENT)
    reason = _cancel_held(draft, absence, moment)
    for entry in state.entries.values():
        if entry.invited and entry.standing_end <= moment.seconds:
            continue
        if reason is None:
            yield from withdrawal(
                entry, state.uid, moment, kind=Kind.CANCELLED, cause=Cause.CANCELLED
            )
            continue
        if entry.pending_method is Method.REQUEST:
            yield Drop(entry.meeting_id, entry.address)
        if entry.invited:
            standing = standing_draft(entry, moment.snapshot)
            yield Hold(draft=standing, reason=reason, cause=Cause.CANCELLED)


def _cancel_held(draft: MeetingDraft, absence: Absence, moment: Moment) -> Reason | None:
    if moment.policy.partial:
        return Reason.PARTIAL
    if draft.meeting.incomplete or not absence.complete:
        return Reason.LEFT_OUT
    return Reason.CANCELLATIONS if absence.cancellations else None


def missing_attendees(
    draft: MeetingDraft, state: MeetingState, absence: Absence, moment: Moment
) -> Iterator[Item]:
    """Decide for those whom the ledger has in this meeting and the roster has not."""
    if moment.policy.partial:
        return
    present = {attendee.address for attendee in draft.meeting.attendees}
    for entry in state.entries.values():
        if entry.address in present or _over(entry, moment):
            continue
        replaced_by = absence.found.replaced.get((state.id, entry.address), "")
        if replaced_by:
            yield from _replaced(draft, entry, state.uid, replaced_by, absence, moment)
        else:
            yield from _missing_attendee(draft, entry, state.uid, absence, moment)


def _replaced(
    draft: MeetingDraft,
    entry: Entry,
    uid: str,
    replaced_by: str,
    absence: Absence,
    moment: Moment,
) -> Iterator[Item]:
    """Withdraw the old address at once; the mark lets a run that is cut short be finished."""
    if moment.policy.counts_missing:
        yield Mark(entry.meeting_id, entry.address, _reached(moment))
    if draft.meeting.incomplete or not absence.complete:
        standing = standing_draft(entry, moment.snapshot)
        yield Hold(draft=standing, reason=Reason.LEFT_OUT, cause=Cause.ADDRESS)
        return
    yield from withdrawal(
        entry, uid, moment, kind=Kind.WITHDRAWN, cause=Cause.ADDRESS, replaced_by=replaced_by
    )


def _missing_attendee(
    draft: MeetingDraft, entry: Entry, uid: str, absence: Absence, moment: Moment
) -> Iterator[Item]:
    counted = _counted(entry.missing, absence, moment)
    reason = _held(absence, incomplete=draft.meeting.incomplete)
    if reason is None and counted != entry.missing:
        yield Mark(entry.meeting_id, entry.address, counted)
    yield from _gone(entry, uid, Kind.WITHDRAWN, Cause.MISSING, reason, counted.times, moment)


def missing_meeting(state: MeetingState, absence: Absence, moment: Moment) -> Iterator[Item]:
    """Decide for a meeting of this scope that the roster does not have."""
    if moment.policy.partial:
        return
    entries = [entry for entry in state.entries.values() if not _over(entry, moment)]
    if not any(entry.invited or entry.pending_kind for entry in entries):
        for entry in entries:
            yield from told_again(entry, state.uid, moment)
        return
    reason = _held(absence, incomplete=state.id in absence.left_out)
    if reason is None and _far(entries, moment):
        reason = Reason.HORIZON
    counted = _counted(state.missing, absence, moment)
    if reason is None and counted != state.missing:
        yield Mark(state.id, None, counted)
    for entry in entries:
        yield from _gone(
            entry,
            state.uid,
            Kind.CANCELLED,
            Cause.MEETING_MISSING,
            reason,
            counted.times,
            moment,
        )


def _far(entries: list[Entry], moment: Moment) -> bool:
    starts = [
        entry.standing_start if entry.invited else entry.pending_start
        for entry in entries
        if entry.invited or entry.pending_kind
    ]
    return all(beyond_horizon(start, moment) for start in starts)


def _gone(
    entry: Entry,
    uid: str,
    kind: Kind,
    cause: Cause,
    reason: Reason | None,
    count: int,
    moment: Moment,
) -> Iterator[Item]:
    """Withdraw what nothing holds back; one who never got an invitation waits without a line."""
    needed = moment.policy.withdraw_after
    if not entry.invited and entry.standing_kind is not None:
        yield from told_again(entry, uid, moment)
    elif reason is None and count >= needed:
        yield from withdrawal(entry, uid, moment, kind=kind, cause=cause)
    elif entry.invited:
        yield Hold(
            draft=standing_draft(entry, moment.snapshot),
            reason=reason or Reason.MISSING,
            cause=cause,
            count=0 if reason else count,
            needed=0 if reason else needed,
        )


def _held(absence: Absence, *, incomplete: bool) -> Reason | None:
    if incomplete or not absence.complete:
        return Reason.LEFT_OUT
    return Reason.SHRINK if absence.shrunk else None


def _counted(missing: Missing, absence: Absence, moment: Moment) -> Missing:
    """Return the count after this run: once for each due time, by hand once in half a day."""
    policy = moment.policy
    if absence.waived:
        return missing if missing.times >= policy.withdraw_after else _reached(moment)
    if not policy.counts_missing or not _counts_again(missing, moment):
        return missing
    return Missing(missing.times + 1, moment.seconds, _due(moment))


def _counts_again(missing: Missing, moment: Moment) -> bool:
    due = _due(moment)
    if due is not None:
        return missing.due is None or due > missing.due
    again = COUNT_AGAIN_AFTER.total_seconds()
    return missing.at is None or moment.seconds - missing.at >= again


def _reached(moment: Moment) -> Missing:
    return Missing(moment.policy.withdraw_after, moment.seconds, _due(moment))


def _due(moment: Moment) -> int | None:
    due = moment.policy.due
    return None if due is None else int(due.timestamp())


def _over(entry: Entry, moment: Moment) -> bool:
    """Tell whether the meeting is over by what the attendee has, or was about to get."""
    end = entry.standing_end if entry.standing_kind is not None else entry.pending_end
    return end <= moment.seconds
