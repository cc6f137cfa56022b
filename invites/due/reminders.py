"""Who is reminded now of a meeting, decided from the ledger's facts alone."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """An invitation that stands: sent, neither withdrawn nor cancelled.

    `start` is the meeting's (aware, UTC) as that invitation says it; `sent_at` is when the latest
    message of this invitation went out, an update included.
    """

    uid: str
    address: str
    start: datetime
    sent_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Reminder:
    """One reminder for one attendee; equal ones are the same reminder and go out once.

    The start belongs to it: a meeting that was moved is reminded of at its new time, also to those
    who had the reminder of the old one.
    """

    uid: str
    address: str
    start: datetime
    lead: timedelta


def due_reminders(
    leads: Collection[timedelta],
    standing: Iterable[Standing],
    *,
    sent: Collection[Reminder],
    now: datetime,
) -> Iterator[Reminder]:
    """Yield the reminders that are to go out at `now`, at most one for each invitation.

    A reminder is due when start - lead <= now < start and the invitation went out before
    start - lead: who has just got the invitation or an update needs no reminder of it.
    Of several due only the last is sent, and once it has been, the earlier ones never are.
    """
    ascending = sorted(set(leads))
    for invitation in standing:
        left = invitation.start - now
        lead = next((lead for lead in ascending if left <= lead), None)
        if lead is None or left <= timedelta(0):
            continue
        if invitation.sent_at >= invitation.start - lead:
            continue
        reminder = Reminder(
            uid=invitation.uid, address=invitation.address, start=invitation.start, lead=lead
        )
        if reminder not in sent:
            yield reminder
