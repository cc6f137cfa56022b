"""Reminders: a short mail with the same link, from what the ledger knows alone."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from itertools import groupby

from invites.delivery.base import Delivery, Outcome
from invites.delivery.base import Key as DeliveryKey
from invites.due.rule import Reminder, due_reminders
from invites.invitation import Kind, Revision
from invites.ledger import Ledger
from invites.ledger.jobs import (
    ReminderNote,
    StandingInvitation,
    note_reminders,
    sent_reminders,
    standing_invitations,
)
from invites.ledger.write import Key
from invites.planning.actions import Action, Cause, Plan, Send
from invites.planning.facts import Draft
from invites.planning.state import State
from invites.sending.frame import Pass
from invites.sending.journal import Tally, state_of
from invites.sending.options import Effects, RunReport, SendOptions
from invites.sending.renderer import Renderer

Due = tuple[StandingInvitation, Reminder]


def remind(
    renderer: Renderer,
    ledger: Ledger,
    options: SendOptions,
    effects: Effects,
    *,
    leads: Collection[timedelta],
    delivery_for: Callable[[str], Delivery],
) -> RunReport | None:
    """Send the scope's reminders that are due now; None where there is none.

    `leads` are how long before a meeting people are reminded.
    """
    now = effects.clock()
    due = {
        Key.of(action): (action, reminder)
        for action, reminder in _actions(_due(ledger, options.scope, leads, renderer, now), now)
    }
    if not due:
        return None
    actions = tuple(action for action, _ in due.values())
    plan = Plan(scope=options.scope, roster_digest="", actions=actions)
    return Pass(
        renderer=renderer,
        ledger=ledger,
        options=options,
        effects=effects,
        delivery_for=delivery_for,
        plan=lambda _now: plan,
        amid_another=True,
        only_if_needed=True,
        journal=partial(_ReminderJournal, {key: reminder for key, (_, reminder) in due.items()}),
        counts=lambda _plan, journal: {state.value: n for state, n in journal.ended.items()},
    ).run()


def _due(
    ledger: Ledger, scope: str, leads: Collection[timedelta], renderer: Renderer, now: datetime
) -> list[Due]:
    """Return the invitations of the scope of which a reminder is due now, with that reminder."""
    standing = standing_invitations(ledger, scope, until=now + max(leads), now=now)
    by_date = {
        (one.standing.uid, one.standing.address, one.standing.start): one for one in standing
    }
    sent = sent_reminders(ledger, now=now) if standing else frozenset()
    reminders = due_reminders(leads, [one.standing for one in standing], sent=sent, now=now)
    # Of a series' dates the first alone: a second reminder of one moment would have its Message-ID.
    first: dict[tuple[str, str], Reminder] = {}
    for reminder in sorted(reminders, key=lambda reminder: reminder.start):
        first.setdefault((reminder.uid, reminder.address), reminder)
    found = [(by_date[one.uid, one.address, one.start], one) for one in first.values()]
    # By other terms it would be another link than the one that was sent: the next run sends that.
    terms = replace(renderer.terms, alarm="")
    return [
        (invitation, reminder)
        for invitation, reminder in found
        if replace(invitation.known.facts.terms, alarm="") == terms
        and invitation.known.facts.has_link_at(reminder.start)
    ]


def _actions(due: Sequence[Due], now: datetime) -> Iterator[tuple[Action, Reminder]]:
    """Yield the message of each reminder; those of one date of a meeting share its facts."""

    def place(one: Due) -> tuple[str, str, datetime]:
        return one[0].meeting_id, one[0].known.facts.digest, one[1].start

    revision = Revision(kind=Kind.REMINDER, sequence=0, dtstamp=now)
    for _, group in groupby(sorted(due, key=place), key=place):
        alike = [*group]
        facts = alike[0][0].known.facts
        meeting = facts.meeting_of(*(invitation.known.attendee for invitation, _ in alike))
        meeting = meeting.on_date(alike[0][1].start)
        for invitation, reminder in alike:
            yield (
                Send(
                    meeting=meeting,
                    uid=reminder.uid,
                    draft=Draft(facts, invitation.known.attendee, ""),
                    revision=revision,
                    cause=Cause.REMINDER,
                    first_message_id=invitation.first_message_id,
                ),
                reminder,
            )


class _ReminderJournal(Tally):
    """Writes down what becomes of reminders, beside the invitations that stay as they are."""

    def __init__(
        self,
        reminders: Mapping[Key, Reminder],
        ledger: Ledger,
        run_id: str,
        actions: Sequence[Action],
        *,
        clock: Callable[[], datetime],
    ) -> None:
        super().__init__(actions, clock=clock)
        self.run_id = run_id
        self._reminders, self._ledger = reminders, ledger
        self._message_ids: dict[DeliveryKey, str] = {}

    def announced(self, key: Key, message_id: str) -> None:
        super().announced(key, message_id)
        self._message_ids[key] = message_id

    def note(self, *, outcomes: Sequence[Outcome], sending: Sequence[DeliveryKey]) -> None:
        notes = [self._note(key, State.SENDING) for key in sending]
        notes += [self._note(one.key, state_of(one), one.answer) for one in outcomes]
        if notes:
            with self.in_order():
                note_reminders(self._ledger, self.run_id, notes, now=self._clock())
        super().note(outcomes=outcomes, sending=sending)

    def _note(self, key: DeliveryKey, state: State, answer: str = "") -> ReminderNote:
        if not isinstance(key, Key):
            raise TypeError(f"a delivery handed back a key that is none of ours: {type(key)}")
        return ReminderNote(
            reminder=self._reminders[key],
            meeting_id=key.meeting_id,
            message_id=self._message_ids[key],
            state=state,
            answer=answer,
        )
