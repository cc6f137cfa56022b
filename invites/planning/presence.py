"""What one attendee gets whom the roster has in a meeting that takes place."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from invites.invitation import Change, Kind
from invites.model import Meeting, Occurrence
from invites.planning.absence import Withdrawal
from invites.planning.actions import (
    Cause,
    Drop,
    Hold,
    Item,
    Keep,
    Mark,
    Reason,
    Send,
    Situation,
    Withdraw,
)
from invites.planning.changes import Difference, changes_from, difference, tells_of_organizer
from invites.planning.facts import Draft, MeetingDraft, MeetingFacts
from invites.planning.state import (
    PRESENT,
    UPDATING,
    Entry,
    MeetingState,
    Recorded,
    Snapshot,
    State,
    uid_of_edition,
)


def newest_edition(draft: MeetingDraft, state: MeetingState, snapshot: Snapshot) -> int:
    """Return which edition of a meeting's UID a new invitation gets.

    It is that of the present organizer's mailbox; another mailbox begins another edition.
    """
    known = (
        snapshot.facts_of(one)
        for entry in state.entries.values()
        for one in (entry.standing, entry.pending)
        if one is not None
    )
    last = max(known, key=lambda facts: facts.edition, default=draft.facts)
    return last.edition + last.terms.has_other_mailbox(draft.facts.terms)


@dataclass(frozen=True, slots=True, kw_only=True)
class Presence:
    """One attendee whom the roster has in a meeting that takes place, beside what the ledger has.

    `newest` are the meeting's facts under the UID that a new invitation gets, `uid` is its first.
    `replaces` is the folded address that this one takes the place of, "" for none.
    """

    meeting: Meeting
    draft: Draft
    newest: MeetingFacts
    entry: Entry
    uid: str
    situation: Situation
    replaces: str = ""

    def items(self) -> Iterator[Item]:
        """Decide what this attendee gets."""
        entry, standing = self.entry, self.entry.invitation
        if entry.missing.times:
            yield Mark(entry.meeting_id, entry.address, PRESENT)
        if standing is None:
            yield from self._not_invited()
            return
        found = None
        if standing.digest != self.draft.digest:
            found = difference(
                self.situation.snapshot.known(standing), self.draft, self.situation.now
            )
        if found is not None and found.organizer is not None:
            yield from self._by_another_organizer(standing, found, found.organizer)
        elif found is not None and found.changes:
            yield self._tried_before(self._update(standing, found))
        else:
            # Nothing that counts differs: another key of one's own, a template, a new token.
            yield from self._unchanged(standing)

    def _not_invited(self) -> Iterator[Item]:
        """Invite, once a CANCEL of the former organizer's has got its answer."""
        withdrawn = self.entry.withdrawn
        hold = self.situation.keeps_unknown(self.entry)
        if (
            withdrawn is not None
            and self.entry.unanswered
            and not hold
            and tells_of_organizer(withdrawn.changes)
        ):
            # Under another UID the REQUEST does not outrank it: lost, both entries would stand.
            yield from self._withdrawal().told_again()
        else:
            yield self._tried_before(self._invitation())

    def _invitation(self) -> Send:
        """Invite one who has no invitation, or one of a former organizer's.

        Who is new, and who is under a new UID, gets SEQUENCE 0, and who is back one above that of
        the CANCEL.  A person who was forgotten may still have an older one in the calendar.
        """
        last = self.entry.standing
        edition, cause = self.newest.edition, Cause.NEW
        if last is not None:
            facts = self.situation.snapshot.facts_of(last)
            if not facts.terms.has_other_mailbox(self.draft.facts.terms):
                return self._send(Kind.INVITATION, last.sequence + 1, Cause.BACK, facts.edition)
            edition = max(edition, facts.edition + 1)
            moved = self.entry.invited or tells_of_organizer(last.changes)
            cause = Cause.ANEW if moved else Cause.BACK
        uid = uid_of_edition(self.uid, edition)
        highest = self.situation.snapshot.forgotten.sequence_for(uid, self.entry.address)
        return self._send(Kind.INVITATION, 0 if highest is None else highest + 1, cause, edition)

    def _by_another_organizer(
        self, standing: Recorded, found: Difference, change: Change
    ) -> Iterator[Item]:
        """Withdraw from the mailbox that invited; the table's REQUEST under a new UID follows.

        It follows in a plan of its own, for an attendee has one message under way.
        """
        pending = self.entry.pending
        if standing.end <= self.situation.seconds:
            # What they have is over and told no more of, "ever": they are new to the new mailbox.
            yield self._tried_before(replace(self._invitation(), cause=Cause.NEW))
        elif (
            pending is not None
            and pending.state is State.FAILED
            and tells_of_organizer(pending.changes)
        ):
            # The old mailbox may not send any more: its entry stays, and the new one comes.
            yield replace(self._invitation(), supersedes=True)
        else:
            others = tuple(one for one in found.changes if one is not change)
            # A yes to the organizer is none to what else a broken export says: the guards see it.
            update = self._update(standing, found._replace(changes=others)) if others else None
            items = self._withdrawal().now(Kind.WITHDRAWN, Cause.ORGANIZER, changes=(change,))
            for item in items:
                yield replace(item, update=update) if isinstance(item, Withdraw) else item

    def _withdrawal(self) -> Withdrawal:
        return Withdrawal(entry=self.entry, uid=self.uid, situation=self.situation)

    def _send(self, kind: Kind, sequence: int, cause: Cause, edition: int) -> Send:
        facts = self.newest
        if facts.edition != edition:
            facts = replace(facts, edition=edition)
        return Send(
            meeting=self.meeting,
            uid=uid_of_edition(self.uid, edition),
            draft=self.draft._replace(facts=facts),
            revision=self.situation.next_revision(kind, sequence, self.entry),
            cause=cause,
            replaces=self.replaces if kind is Kind.INVITATION and not self.entry.invited else "",
        )

    def _update(self, standing: Recorded, found: Difference) -> Send:
        """Say what changed; SEQUENCE rises where the link, the time or the status did."""
        facts, until = self.situation.snapshot.facts_of(standing), None
        each = facts.links is None and self.draft.facts.links is not None
        if found.demotes or (each and facts.meeting.series is not None):
            # The old token lives until its exp, as a moderator's or for all dates: the mail says so.
            expires = facts.admits_until or 0
            until = expires if expires > self.situation.seconds else None
        cause = Cause.LINK if found.brings_links else Cause.CHANGED
        # Raised where the link or the time changes, equal where not: a raised one asks people again.
        sequence = standing.sequence + found.raises_sequence
        kind, date = Kind.UPDATE, self._alone(standing, found)
        if date is not None and date.cancelled:
            kind = Kind.DATE_CANCELLED
        send = self._send(kind, sequence, cause, facts.edition)
        if date is not None and facts.links is None and send.facts.validity != facts.validity:
            # The date has the link that its series has, though a new one would open later by now.
            stated = replace(send.facts, validity=facts.validity)
            send = replace(send, draft=send.draft._replace(facts=stated))
        return replace(
            send,
            revision=replace(send.revision, date=date.original if date else None),
            changes=found.changes,
            zone_rules=found.zone_rules,
            first_message_id=self.entry.first_message_id,
            admits_until=until,
        )

    def _alone(self, standing: Recorded, found: Difference) -> Occurrence | None:
        """Return the one date that the update is about, None where it tells all of the series.

        Only a calendar that has the series for sure can put a date of it in its place: whatever is
        unanswered, or was begun and is superseded by this, is made good by the whole.
        """
        pending = self.entry.pending
        begun_otherwise = pending is not None and pending.digest != self.draft.digest
        if found.date is None or standing.state is not State.SENT or begun_otherwise:
            return None
        if found.date in self.draft.attendee.misses:
            return (
                None  # it takes place, without this one: a cancelled date would say that it doesn't
            )
        return self.draft.facts.meeting.date_of(found.date)

    def _unchanged(self, standing: Recorded) -> Iterator[Item]:
        """Keep what is there, but finish what was begun: a copy on its way, or one unanswered."""
        entry, policy = self.entry, self.situation.policy
        hold = self.situation.keeps_unknown(entry)
        edition = self.situation.snapshot.facts_of(standing).edition
        again = self._send(Kind.INVITATION, standing.sequence, Cause.RESENT, edition)
        # A `--resend` that was cut short is finished, unless it is the unanswered message itself,
        # of which `on_unknown = "hold"`, or `unknown_copies`, wants no further copy.
        if self._continues(again) and not (entry.unanswered and hold and entry.repeats):
            yield self._tried_before(again)
            return
        if policy.resend:
            yield again
            return
        if entry.pending is not None and not entry.repeats:
            # An update under way that the roster took back: the attendee has what it says again.
            yield Drop(entry.meeting_id, entry.address)
        if not entry.unanswered:
            yield Keep(self.draft)
        elif hold:
            yield Hold(draft=self.draft, reason=Reason.UNKNOWN, cause=Cause.RESENT)
        elif self.situation.waits(entry):
            yield self.situation.backoff(self.draft, Cause.RESENT, entry)
        else:
            # The standing revision once more: the same Message-ID, the same words.
            yield replace(
                again,
                revision=standing.revision,
                changes=changes_from(standing.changes),
                retry=True,
                first_message_id=self._answered(standing),
                copies=entry.copies,
            )

    def _tried_before(self, send: Send) -> Send | Hold:
        """Return `send` as the revision that was begun for the same facts, if there is one."""
        entry, pending = self.entry, self.entry.pending
        if pending is None:
            return send
        if not self._continues(send):
            # "A deferred revision that is superseded is dropped": this one takes its place.
            return replace(send, supersedes=True)
        if self.situation.waits(entry):
            return self.situation.backoff(send.draft, send.cause, entry)
        return replace(
            send,
            revision=pending.revision,
            changes=send.changes or changes_from(pending.changes),
            retry=True,
            first_message_id=self._answered(pending),
            attempts=entry.attempts,
            copies=entry.copies if entry.unanswered and entry.repeats else 0,
        )

    def _continues(self, send: Send) -> bool:
        """Tell whether the pending revision says the same to the same effect."""
        pending = self.entry.pending
        return (
            pending is not None
            and pending.digest == send.draft.digest
            and pending.invites
            and pending.sequence == send.revision.sequence
            and self.situation.snapshot.facts_of(pending).edition == send.facts.edition
        )

    def _answered(self, repeated: Recorded) -> str | None:
        """Return the Message-ID that a repeated message answers: only an update answers one."""
        return self.entry.first_message_id if repeated.kind in UPDATING else None
