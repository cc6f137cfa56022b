"""Reminders: a short mail with the same link, from what the ledger knows alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from itertools import groupby
from typing import TYPE_CHECKING

from invites.delivery.base import Key, Outcome, OutgoingMessage
from invites.due.reminders import Reminder, due_reminders
from invites.errors import Exit, InvitesError
from invites.jobs.attempt import delivery_opener
from invites.jobs.options import SideOutcome, WakeUp
from invites.ledger import Ledger
from invites.ledger.jobs import (
    ReminderNote,
    StandingInvitation,
    note_reminders,
    sent_reminders,
    standing_invitations,
)
from invites.ledger.runs import RunStart, begin_run, finish_run
from invites.model import Invitation, Kind, Revision
from invites.planning.facts import Known
from invites.planning.state import State
from invites.sending.journal import state_of
from invites.times import TZDATA_VERSION

if TYPE_CHECKING:
    from invites.settings import Job

Due = tuple[StandingInvitation, Reminder]


def remind(wakeup: WakeUp, ledger: Ledger, job: Job) -> SideOutcome | None:
    """Send the job's reminders that are due now; None where there is none."""
    if not job.reminders:
        return None
    due = reminders_due(wakeup, ledger, job)
    if not due:
        return None
    due = [one for one in due if _same_link(one[0].known, wakeup)]
    return _sent(wakeup, ledger, job, due) if due else None


def reminders_due(wakeup: WakeUp, ledger: Ledger, job: Job) -> list[Due]:
    """Return the invitations of the job's scope of which a reminder is due now."""
    now = wakeup.now
    standing = standing_invitations(ledger, job.name, until=now + max(job.reminders), now=now)
    by_place = {(one.standing.uid, one.standing.address): one for one in standing}
    sent = sent_reminders(ledger, now=now) if standing else frozenset()
    reminders = due_reminders(job.reminders, [one.standing for one in standing], sent=sent, now=now)
    return [(by_place[one.uid, one.address], one) for one in reminders]


def _same_link(known: Known, wakeup: WakeUp) -> bool:
    """Tell whether the link would be the one that was sent; another waits for the next run."""
    return replace(known.facts.terms, alarm="") == replace(wakeup.renderer.terms, alarm="")


class _ReminderJournal:
    """Writes down what becomes of reminders; the keys are the reminders."""

    def __init__(self, wakeup: WakeUp, ledger: Ledger, run_id: str) -> None:
        self.ended: Counter[str] = Counter()
        self._wakeup, self._ledger, self._run_id = wakeup, ledger, run_id
        self._messages: dict[Reminder, tuple[str, str]] = {}

    def announced(self, reminder: Reminder, meeting_id: str, message_id: str) -> None:
        """Remember what a reminder is about, and its Message-ID."""
        self._messages[reminder] = (meeting_id, message_id)

    def note(self, *, outcomes: Sequence[Outcome], sending: Sequence[Key]) -> None:
        """See `delivery.Journal.note`."""
        notes = [self._note(key, State.SENDING) for key in sending]
        for outcome in outcomes:
            state = state_of(outcome)
            self.ended[state.value] += 1
            notes.append(self._note(outcome.key, state, outcome.answer))
        if notes:
            note_reminders(self._ledger, self._run_id, notes, now=self._wakeup.now)

    def _note(self, key: Key, state: State, answer: str = "") -> ReminderNote:
        if not isinstance(key, Reminder):
            raise TypeError(f"a delivery handed back a key that is no reminder: {type(key)}")
        meeting_id, message_id = self._messages[key]
        return ReminderNote(
            reminder=key, meeting_id=meeting_id, message_id=message_id, state=state, answer=answer
        )


def _sent(wakeup: WakeUp, ledger: Ledger, job: Job, due: Sequence[Due]) -> SideOutcome:
    """Send these reminders as one run; a folder job's go by SMTP as well, unless `--to` says."""
    to = wakeup.options.to or "smtp"
    began = wakeup.effects.timer()
    start = RunStart(
        scope=job.name,
        command="remind",
        delivery=to,
        source="",
        roster_digest="",
        tz_version=TZDATA_VERSION,
    )
    run_id = begin_run(ledger, start, now=wakeup.now)
    journal = _ReminderJournal(wakeup, ledger, run_id)
    trouble: InvitesError | None = None
    try:
        with delivery_opener(wakeup, ledger, to)(run_id) as delivery:
            messages = _messages_of(wakeup, due, journal)
            delivery.deliver(messages, journal, stop=wakeup.effects.stop)
    except InvitesError as error:
        trouble = error
    exit_code = _exit_code(journal.ended, trouble)
    finish_run(
        ledger,
        run_id,
        exit_code=exit_code,
        counts=dict(journal.ended),
        took=timedelta(seconds=wakeup.effects.timer() - began),
        now=wakeup.now,
    )
    return SideOutcome(
        what="reminders",
        scope=job.name,
        exit_code=exit_code,
        ended=dict(journal.ended),
        text="" if trouble is None else str(trouble),
    )


def _exit_code(ended: Mapping[str, int], trouble: InvitesError | None) -> Exit:
    if trouble is not None:
        return trouble.exit_code
    return Exit.IN_PART if set(ended) - {State.SENT.value} else Exit.DONE


def _messages_of(
    wakeup: WakeUp, due: Sequence[Due], journal: _ReminderJournal
) -> Iterator[OutgoingMessage]:
    sender = wakeup.renderer.composer.sender.organizer.email
    alike = sorted(due, key=lambda one: (one[0].meeting_id, one[0].known.facts.digest))
    for _, group in groupby(alike, key=lambda one: (one[0].meeting_id, one[0].known.facts.digest)):
        pairs = [*group]
        same = {standing.known.attendee.address: reminder for standing, reminder in pairs}
        for invitation in _composed(wakeup, [standing for standing, _ in pairs]):
            reminder = same[invitation.attendee.address]
            journal.announced(reminder, invitation.meeting_id, invitation.message_id)
            yield OutgoingMessage.of(invitation, key=reminder, sender=sender)


def _composed(wakeup: WakeUp, same: Sequence[StandingInvitation]) -> Iterator[Invitation]:
    """Yield the reminder of each attendee of one meeting, checked as every message is."""
    facts, uid = same[0].known.facts, same[0].standing.uid
    attendees = tuple(one.known.attendee for one in same)
    revision = Revision(kind=Kind.REMINDER, sequence=0, dtstamp=wakeup.now)
    composer = wakeup.renderer.composer
    return wakeup.renderer.verifier.passed(
        composer.compose(
            facts.meeting_of(*attendees),
            revision,
            attendees,
            uid=uid,
            room=facts.room,
            validity=facts.validity,
            references={
                one.standing.address: one.first_message_id for one in same if one.first_message_id
            },
        )
    )
