"""Taking invitations back: whom the roster no longer has, and meetings that it calls off."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta

from invites.invitation import Change, Kind, Revision
from invites.planning.actions import (
    Cause,
    Drop,
    Hold,
    Item,
    Mark,
    Place,
    Reason,
    Situation,
    Withdraw,
)
from invites.planning.changes import (
    REGROUPED,
    changes_from,
    changes_json,
    tells_of_organizer,
    tells_of_regrouping,
)
from invites.planning.facts import Draft, MeetingDraft, MeetingFacts
from invites.planning.regrouping import Successors
from invites.planning.state import (
    PRESENT,
    Entry,
    MeetingState,
    MissingCount,
    Recorded,
    uid_of_edition,
)

COUNT_AGAIN_AFTER = timedelta(hours=12)
"""A `send` by hand counts what is missing again only this long after the last count."""


def recorded_draft(recorded: Recorded, situation: Situation) -> Draft:
    """Return what a revision of the ledger says as a draft, for composing and recording it."""
    known = situation.snapshot.known(recorded)
    return Draft(known.facts, known.attendee, recorded.digest)


@dataclass(frozen=True, slots=True, kw_only=True)
class Withdrawal:
    """Taking back one attendee's invitation, decided from what the ledger has of it.

    It goes out from the mailbox that invited and under the UID of that invitation, as its facts
    say; `uid` is the meeting's first.
    """

    entry: Entry
    uid: str
    situation: Situation

    def now(
        self,
        kind: Kind,
        cause: Cause,
        *,
        replaced_by: str = "",
        changes: tuple[Change, ...] = (),
    ) -> Iterator[Item]:
        """Withdraw; who never got an invitation gets nothing, who was told is not told again."""
        entry = self.entry
        if entry.invitation is None:
            yield from self.told_again() if entry.withdrawn else self._never_sent()
            return
        draft, pending = recorded_draft(entry.invitation, self.situation), entry.pending
        begun = (
            pending is not None
            and pending.kind == kind
            and pending.changes == changes_json(changes)
        )
        if pending is None or not begun:
            # The table's CANCEL: SEQUENCE + 1 for that attendee, above the invitation that stands.
            revision = self.situation.next_revision(kind, entry.invitation.sequence + 1, entry)
            action = self._message(draft, revision, cause)
        elif self.situation.waits(entry):
            yield self.situation.backoff(draft, cause, entry)
            return
        else:
            # The very CANCEL was begun before: repeating its revision repeats its Message-ID.
            action = self._message(draft, pending.revision, cause, retry=True)
        yield replace(action, replaced_by=replaced_by, changes=changes)

    def told_again(self) -> Iterator[Item]:
        """Repeat a CANCEL that got no answer; drop an invitation that would have followed it.

        The drop is recorded before the repeat, which then takes the place under way.
        """
        entry, standing = self.entry, self.entry.withdrawn
        if entry.pending is not None and not entry.repeats:
            yield Drop(entry.meeting_id, entry.address)
        if standing is None or not entry.unanswered:
            return
        cause = _cause_of(standing)
        draft = recorded_draft(standing, self.situation)
        if self.situation.keeps_unknown(entry):
            yield Hold(draft=draft, reason=Reason.UNKNOWN, cause=cause)
        elif self.situation.waits(entry):
            yield self.situation.backoff(draft, cause, entry)
        else:
            yield replace(
                self._message(draft, standing.revision, cause, retry=True),
                changes=changes_from(standing.changes),
                copies=entry.copies,
            )

    def deferred_again(self, draft: Draft, pending: Recorded) -> Withdraw:
        """Return the CANCEL under way once more, as it was planned."""
        action = self._message(draft, pending.revision, _cause_of(pending), retry=True)
        return replace(action, changes=changes_from(pending.changes))

    def _never_sent(self) -> Iterator[Item]:
        """Drop an invitation that nobody got: the table has no CANCEL without a REQUEST."""
        if self.entry.pending is not None:
            yield Drop(self.entry.meeting_id, self.entry.address)

    def _message(
        self, draft: Draft, revision: Revision, cause: Cause, *, retry: bool = False
    ) -> Withdraw:
        return Withdraw(
            meeting=draft.facts.meeting_of(draft.attendee),
            uid=uid_of_edition(self.uid, draft.facts.edition),
            draft=draft,
            revision=revision,
            cause=cause,
            admits_until=self._admits_until(draft.facts),
            retry=retry,
            first_message_id=self.entry.first_message_id,
            attempts=self.entry.attempts if retry else 0,
        )

    def _admits_until(self, facts: MeetingFacts) -> int | None:
        until = facts.admits_until
        return None if until is None or until <= self.situation.seconds else until


def _cause_of(cancel: Recorded) -> Cause:
    if tells_of_organizer(cancel.changes):
        return Cause.ORGANIZER
    if tells_of_regrouping(cancel.changes):
        return Cause.REGROUPED
    return Cause.CANCELLED if cancel.kind is Kind.CANCELLED else Cause.MISSING


@dataclass(frozen=True, slots=True, kw_only=True)
class Absence:
    """What the whole roster says about withdrawing in this run.

    `complete` is false where a left-out row's meeting can't be known; `left_out` are the meetings
    of which no row was accepted; `shrunk` and `cancellations` where that guard tripped; `waived`
    where a person said that all missing ones are to go now.
    `replaced` maps (meeting id, folded old address) to the folded address that took its place,
    `regrouped` to the meetings that have the dates of that entry now.
    """

    situation: Situation
    replaced: dict[tuple[str, str], str]
    regrouped: Mapping[Place, Successors]
    complete: bool
    left_out: frozenset[str]
    shrunk: bool
    cancellations: bool
    waived: bool

    def cancelled_meeting(self, draft: MeetingDraft, state: MeetingState) -> Iterator[Item]:
        """Tell everybody whose invitation stands, listed or not, that the meeting is off."""
        if state.missing.times:
            yield Mark(state.id, None, PRESENT)
        # "Meeting cancelled": to each who has an invitation, with SEQUENCE + 1 and STATUS:CANCELLED;
        # who never got a REQUEST gets no CANCEL.
        reason = self._cancel_held(draft)
        for entry in state.entries.values():
            standing = entry.invitation
            if standing is not None and standing.end <= self.situation.seconds:
                continue  # over by what this attendee has: nothing, ever
            if reason is None:
                yield from self._withdrawal(entry, state).now(Kind.CANCELLED, Cause.CANCELLED)
                continue
            # Held, but an invitation or update under way would contradict the roster: dropped.
            if entry.pending is not None and entry.pending.invites:
                yield Drop(entry.meeting_id, entry.address)
            if standing is not None:
                held = recorded_draft(standing, self.situation)
                yield Hold(draft=held, reason=reason, cause=Cause.CANCELLED)

    def _cancel_held(self, draft: MeetingDraft) -> Reason | None:
        if self.situation.policy.partial:
            return Reason.PARTIAL
        if draft.meeting.incomplete or not self.complete:
            return Reason.LEFT_OUT
        return Reason.CANCELLATIONS if self.cancellations else None

    def missing_attendees(self, draft: MeetingDraft, state: MeetingState) -> Iterator[Item]:
        """Decide for those whom the ledger has in this meeting and the roster has not."""
        if self.situation.policy.partial:
            return
        present = draft.coming(self.situation.seconds)
        for entry in state.entries.values():
            if entry.address in present or self._over(entry):
                continue
            replaced_by = self.replaced.get((state.id, entry.address), "")
            # "Address changed": the same user_id under another address; no waiting, nobody is missing.
            if replaced_by:
                yield from self._replaced(draft, entry, state, replaced_by)
            else:
                yield from self._missing_attendee(draft, entry, state)

    def _replaced(
        self, draft: MeetingDraft, entry: Entry, state: MeetingState, replaced_by: str
    ) -> Iterator[Item]:
        """Withdraw the old address at once; the mark lets a run that is cut short be finished."""
        if self.situation.policy.counts_missing:
            yield Mark(entry.meeting_id, entry.address, self._reached())
        if entry.invitation is not None and (draft.meeting.incomplete or not self.complete):
            held = recorded_draft(entry.invitation, self.situation)
            yield Hold(draft=held, reason=Reason.LEFT_OUT, cause=Cause.ADDRESS)
            return
        yield from self._withdrawal(entry, state).now(
            Kind.WITHDRAWN, Cause.ADDRESS, replaced_by=replaced_by
        )

    def _missing_attendee(
        self, draft: MeetingDraft, entry: Entry, state: MeetingState
    ) -> Iterator[Item]:
        # "Attendee missing for `withdraw_after` runs"; what is held back counts nothing as missing.
        counted = self._counted(entry.missing)
        reason = self._held(incomplete=draft.meeting.incomplete)
        if reason is None and counted != entry.missing:
            yield Mark(entry.meeting_id, entry.address, counted)
        withdrawal = self._withdrawal(entry, state)
        yield from self._gone(withdrawal, Kind.WITHDRAWN, Cause.MISSING, reason, counted.times)

    def missing_meeting(self, state: MeetingState) -> Iterator[Item]:
        """Decide for a meeting of this scope that the roster does not have."""
        if self.situation.policy.partial:
            return
        entries = [entry for entry in state.entries.values() if not self._over(entry)]
        if not any(entry.invited or entry.pending for entry in entries):
            for entry in entries:
                yield from self._withdrawal(entry, state).told_again()
            return
        elsewhere = [one for one in entries if (state.id, one.address) in self.regrouped]
        for entry in elsewhere:
            yield from self._regrouped(entry, state)
        entries = [entry for entry in entries if entry not in elsewhere]
        if not any(entry.invited or entry.pending for entry in entries):
            return
        reason = self._held(incomplete=state.id in self.left_out)
        # Beyond the horizon nothing is missing: the job's roster may not reach that far.
        if reason is None and self._far(entries):
            reason = Reason.HORIZON
        counted = self._counted(state.missing)
        if reason is None and counted != state.missing:
            yield Mark(state.id, None, counted)
        for entry in entries:
            withdrawal = self._withdrawal(entry, state)
            yield from self._gone(
                withdrawal, Kind.CANCELLED, Cause.MEETING_MISSING, reason, counted.times
            )

    def _regrouped(self, entry: Entry, state: MeetingState) -> Iterator[Item]:
        """Withdraw an entry whose dates all stand in other ones; nobody is missing, so at once."""
        successors = self.regrouped[state.id, entry.address]
        if entry.invitation is not None and not successors.stand:
            yield Hold(
                draft=recorded_draft(entry.invitation, self.situation),
                reason=Reason.REGROUPED,
                cause=Cause.REGROUPED,
            )
            return
        change = Change(
            field=REGROUPED, old=state.id, new=", ".join(sorted(successors.meeting_ids))
        )
        yield from self._withdrawal(entry, state).now(
            Kind.WITHDRAWN, Cause.REGROUPED, changes=(change,)
        )

    def _far(self, entries: list[Entry]) -> bool:
        """Tell whether the meeting waits by what everybody has, or was about to get."""
        current = [entry.invitation or entry.pending for entry in entries]
        return all(self.situation.beyond_horizon(one.start) for one in current if one is not None)

    def _gone(
        self, withdrawal: Withdrawal, kind: Kind, cause: Cause, reason: Reason | None, count: int
    ) -> Iterator[Item]:
        """Withdraw what nothing holds back; one who never got an invitation waits without a line."""
        entry, needed = withdrawal.entry, self.situation.policy.withdraw_after
        if entry.withdrawn is not None:
            yield from withdrawal.told_again()
        elif reason is None and count >= needed:
            yield from withdrawal.now(kind, cause)
        elif entry.invitation is not None:
            yield Hold(
                draft=recorded_draft(entry.invitation, self.situation),
                reason=reason or Reason.MISSING,
                cause=cause,
                count=0 if reason else count,
                needed=0 if reason else needed,
            )

    def _withdrawal(self, entry: Entry, state: MeetingState) -> Withdrawal:
        return Withdrawal(entry=entry, uid=state.uid, situation=self.situation)

    def _held(self, *, incomplete: bool) -> Reason | None:
        if incomplete or not self.complete:
            return Reason.LEFT_OUT
        return Reason.SHRINK if self.shrunk else None

    def _counted(self, missing: MissingCount) -> MissingCount:
        """Return the count after this run: once for each due time, by hand once in half a day."""
        # "The first run that misses it counts 1"; not counted by --only, --limit and --partial.
        policy = self.situation.policy
        if self.waived:
            return missing if missing.times >= policy.withdraw_after else self._reached()
        if not policy.counts_missing or not self._counts_again(missing):
            return missing
        return MissingCount(missing.times + 1, self.situation.seconds, self.situation.due)

    def _counts_again(self, missing: MissingCount) -> bool:
        due = self.situation.due
        if due is not None:
            return missing.due is None or due > missing.due
        again = COUNT_AGAIN_AFTER.total_seconds()
        return missing.at is None or self.situation.seconds - missing.at >= again

    def _reached(self) -> MissingCount:
        """Return the count of one who is withdrawn now: a run that is cut short is finished by it."""
        return MissingCount(
            self.situation.policy.withdraw_after, self.situation.seconds, self.situation.due
        )

    def _over(self, entry: Entry) -> bool:
        """Tell whether the meeting is over by what the attendee has, or was about to get."""
        current = entry.standing or entry.pending
        return current is None or current.end <= self.situation.seconds
