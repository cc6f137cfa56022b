"""What one attendee gets whom the roster has in a meeting that takes place."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from invites.model import Kind, Meeting, Method
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
)
from invites.planning.facts import (
    Difference,
    Draft,
    changes_from,
    difference,
)
from invites.planning.state import PRESENT, Entry, Recorded


@dataclass(frozen=True, slots=True, kw_only=True)
class Presence:
    """One attendee whom the roster has in a meeting that takes place, beside what the ledger has.

    `replaces` is the folded address that this one takes the place of, "" for none.
    """

    meeting: Meeting
    draft: Draft
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
            yield self._tried_before(self._invitation())
            return
        found = None
        if standing.digest != self.draft.digest:
            found = difference(self.situation.snapshot.known(standing), self.draft)
        if found is not None and found.changes:
            yield self._tried_before(self._update(standing, found))
        else:
            # Nothing that counts differs: another key of one's own, a template, a new token.
            yield from self._unchanged(standing)

    def _invitation(self) -> Send:
        """Invite one who has no invitation: SEQUENCE 0, or above that of the CANCEL.

        A person who was forgotten may still have an older one in the calendar: above that too.
        """
        withdrawn = self.entry.withdrawn
        if withdrawn is not None:
            sequence = withdrawn.sequence + 1
        else:
            forgotten = self.situation.snapshot.forgotten
            highest = forgotten.sequence_for(self.uid, self.entry.address)
            sequence = 0 if highest is None else highest + 1
        return Send(
            meeting=self.meeting,
            uid=self.uid,
            draft=self.draft,
            revision=self.situation.next_revision(Kind.INVITATION, sequence, self.entry),
            cause=Cause.NEW if withdrawn is None else Cause.BACK,
            replaces=self.replaces,
        )

    def _update(self, standing: Recorded, found: Difference) -> Send:
        """Say what changed; SEQUENCE rises where the link, the time or the status did."""
        until = None
        if found.demotes:
            # The moderator's old token lives until its exp: the mail says until when.
            expires = self.situation.snapshot.known(standing).facts.validity.expires
            until = expires if expires > self.situation.seconds else None
        sequence = standing.sequence + found.raises_sequence
        return Send(
            meeting=self.meeting,
            uid=self.uid,
            draft=self.draft,
            revision=self.situation.next_revision(Kind.UPDATE, sequence, self.entry),
            cause=Cause.CHANGED,
            changes=found.changes,
            zone_rules=found.zone_rules,
            first_message_id=self.entry.first_message_id,
            admits_until=until,
        )

    def _unchanged(self, standing: Recorded) -> Iterator[Item]:
        """Keep what is there, but finish what was begun: a copy on its way, or one unanswered."""
        entry, policy = self.entry, self.situation.policy
        hold = self.situation.keeps_unknown(entry)
        again = Send(
            meeting=self.meeting,
            uid=self.uid,
            draft=self.draft,
            revision=self.situation.next_revision(Kind.INVITATION, standing.sequence, entry),
            cause=Cause.RESENT,
        )
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
            # A deferred revision that is superseded is dropped: this one takes its place.
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
            and pending.method is Method.REQUEST
            and pending.sequence == send.revision.sequence
        )

    def _answered(self, repeated: Recorded) -> str | None:
        """Return the Message-ID that a repeated message answers: only an update answers one."""
        return self.entry.first_message_id if repeated.kind is Kind.UPDATE else None
