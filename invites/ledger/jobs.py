"""What the nightly part remembers: each job's due times, and the reminders that went out."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Any, NamedTuple

from sqlalchemy import select

from invites.due.attempts import Inputs, JobState, Obstacle, OpenDue, Untold
from invites.due.rule import Reminder, Standing
from invites.errors import Exit
from invites.ledger.engine import Ledger
from invites.ledger.read import standing_condition
from invites.ledger.schema import (
    invitations,
    jobs,
    meetings,
    messages,
    meta,
    reminders,
    shared_facts,
)
from invites.ledger.write import insert_into
from invites.planning.facts import Known, attendee_from, meeting_facts_from
from invites.planning.state import State
from invites.times import instant


def job_state(ledger: Ledger, name: str) -> JobState | None:
    """Return what is remembered of a job, None for one never seen."""
    with ledger.reading() as connection:
        text = connection.execute(
            select(jobs.c.state).where(jobs.c.name == name)
        ).scalar_one_or_none()
    return None if text is None else _state_from(json.loads(text))


def save_job_state(ledger: Ledger, name: str, state: JobState) -> None:
    """Write down what is to be remembered of a job."""
    with ledger.writing() as connection:
        statement = insert_into(connection, jobs)
        connection.execute(
            statement.on_conflict_do_update(
                index_elements=["name"], set_={"state": statement.excluded.state}
            ),
            {"name": name, "state": json.dumps(_state_json(state))},
        )


def held_state(ledger: Ledger, name: str) -> JobState | None:
    """Return since when another run's lock holds up a job's due time; None where none ever did."""
    statement = select(meta.c.value).where(meta.c.name == f"{_HELD}{name}")
    with ledger.reading() as connection:
        text = connection.execute(statement).scalar_one_or_none()
    return None if text is None else _state_from(json.loads(text))


def save_held_state(ledger: Ledger, name: str, state: JobState) -> None:
    """Write down since when another run's lock holds up a job's due time.

    It stands apart from the job's own state, which is the holder's to write: this is the one thing
    that is written without the lock.
    """
    with ledger.writing() as connection:
        statement = insert_into(connection, meta)
        connection.execute(
            statement.on_conflict_do_update(
                index_elements=["name"], set_={"value": statement.excluded.value}
            ),
            {"name": f"{_HELD}{name}", "value": json.dumps(_state_json(state))},
        )


_HELD = "lock held: "
"""How the names in `meta` begin under which the lock's waiting is written down."""


def _state_json(state: JobState) -> dict[str, Any]:
    tried = state.open
    return {
        "watermark": _seconds(state.watermark),
        "missed": None if state.missed is None else _seconds(state.missed),
        "open": None
        if tried is None
        else {
            "due": _seconds(tried.due),
            "first_attempt": _seconds(tried.first_attempt),
            "last_attempt": _seconds(tried.last_attempt),
            "attempts": tried.attempts,
            "cause": tried.cause.value,
            "since": _seconds(tried.since),
            "inputs": [tried.inputs.roster, tried.inputs.settings, tried.inputs.acceptance],
            "noticed": sorted(cause.value for cause in tried.noticed),
        },
        "untold": [
            [_seconds(end.due), int(end.exit_code), None if end.cause is None else end.cause.value]
            for end in state.untold
        ],
    }


def _state_from(kept: Mapping[str, Any]) -> JobState:
    return JobState(
        watermark=instant(kept["watermark"]),
        missed=None if kept["missed"] is None else instant(kept["missed"]),
        open=None if kept["open"] is None else _open_from(kept["open"]),
        untold=tuple(_untold_from(*end) for end in kept.get("untold", ())),
    )


def _untold_from(due: int, exit_code: int, cause: str | None) -> Untold:
    return Untold(
        due=instant(due),
        exit_code=Exit(exit_code),
        cause=None if cause is None else Obstacle(cause),
    )


def _open_from(kept: Mapping[str, Any]) -> OpenDue:
    roster, settings, acceptance = kept["inputs"]
    return OpenDue(
        due=instant(kept["due"]),
        first_attempt=instant(kept["first_attempt"]),
        last_attempt=instant(kept["last_attempt"]),
        attempts=kept["attempts"],
        cause=Obstacle(kept["cause"]),
        since=instant(kept["since"]),
        inputs=Inputs(roster=roster, settings=settings, acceptance=acceptance),
        noticed=frozenset(Obstacle(cause) for cause in kept["noticed"]),
    )


class StandingInvitation(NamedTuple):
    """An invitation that stands, and the facts from which a reminder of it is composed.

    `first_message_id` is that of the first message about the meeting, which a reminder answers.
    """

    meeting_id: str
    standing: Standing
    known: Known
    first_message_id: str | None


def standing_invitations(
    ledger: Ledger, scope: str, *, until: datetime, now: datetime
) -> tuple[StandingInvitation, ...]:
    """Return the invitations of a scope that stand, for each date that starts after `now`, by `until`.

    A meeting that repeats has several, each with its own start.  Left out are those for whom
    something newer is on its way: an update or a withdrawal.
    """
    statement = (
        select(
            meetings.c.id,
            meetings.c.uid,
            invitations.c.address,
            invitations.c.sent_at,
            shared_facts.c.facts,
            invitations.c.standing_attendee,
            invitations.c.first_message_id,
        )
        .select_from(
            invitations.join(meetings, meetings.c.id == invitations.c.meeting_id).join(
                shared_facts, shared_facts.c.digest == invitations.c.standing_facts
            )
        )
        .where(
            meetings.c.scope == scope,
            standing_condition(now),
            invitations.c.pending_kind.is_(None),
            invitations.c.standing_start <= int(until.timestamp()),
        )
        .order_by(invitations.c.standing_start, meetings.c.id, invitations.c.address)
    )
    with ledger.reading() as connection:
        rows = connection.execute(statement).all()
    facts_of = cache(meeting_facts_from)  # many attendees share the facts of one meeting
    found = [
        StandingInvitation(
            meeting_id,
            Standing(uid=uid, address=address, start=start, sent_at=instant(sent_at or 0)),
            Known(facts_of(facts), attendee_from(attendee)),
            first,
        )
        for meeting_id, uid, address, sent_at, facts, attendee, first in rows
        for start in facts_of(facts).meeting.starts
        if now < start <= until
    ]
    return tuple(sorted(found, key=lambda one: (one.standing.start, one.meeting_id)))


_COUNTS_AS_SENT = (State.SENDING, State.SENT, State.UNKNOWN, State.FAILED)
"""A reminder goes out once: one that may have been sent, or never can be, is not tried again."""


def sent_reminders(ledger: Ledger, *, now: datetime) -> frozenset[Reminder]:
    """Return the reminders of meetings to come that are not to be sent again."""
    statement = select(
        reminders.c.uid, reminders.c.address, reminders.c.start, reminders.c.lead
    ).where(reminders.c.start > int(now.timestamp()), reminders.c.state.in_(_COUNTS_AS_SENT))
    with ledger.reading() as connection:
        return frozenset(
            Reminder(uid=uid, address=address, start=instant(start), lead=timedelta(seconds=lead))
            for uid, address, start, lead in connection.execute(statement)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ReminderNote:
    """A reminder's state as it is to be written down; `meeting_id` is for the history."""

    reminder: Reminder
    meeting_id: str
    message_id: str
    state: State
    answer: str = ""


def note_reminders(
    ledger: Ledger, run_id: str, notes: Sequence[ReminderNote], *, now: datetime
) -> None:
    """Make durable in one transaction which reminders may leave now, and what became of others."""
    at = int(now.timestamp())
    with ledger.writing() as connection:
        statement = insert_into(connection, reminders)
        connection.execute(
            statement.on_conflict_do_update(
                index_elements=["uid", "address", "start", "lead"],
                set_={"state": statement.excluded.state, "at": statement.excluded.at},
            ),
            list(_reminder_rows(notes, at)),
        )
        log = insert_into(connection, messages)
        connection.execute(
            log.on_conflict_do_update(
                index_elements=["run_id", "meeting_id", "address", "kind"],
                set_={
                    "state": log.excluded.state,
                    "answer": log.excluded.answer,
                    "at": log.excluded.at,
                },
            ),
            list(_log_rows(notes, run_id, at)),
        )


def _reminder_rows(notes: Iterable[ReminderNote], at: int) -> Iterable[dict[str, Any]]:
    for note in notes:
        yield {
            "uid": note.reminder.uid,
            "address": note.reminder.address,
            "start": _seconds(note.reminder.start),
            "lead": int(note.reminder.lead.total_seconds()),
            "state": note.state.value,
            "at": at,
        }


def _log_rows(notes: Iterable[ReminderNote], run_id: str, at: int) -> Iterable[dict[str, Any]]:
    for note in notes:
        yield {
            "run_id": run_id,
            "meeting_id": note.meeting_id,
            "address": note.reminder.address,
            "kind": "reminder",
            "sequence": 0,
            "dtstamp": at,
            "message_id": note.message_id,
            "state": note.state.value,
            "answer": note.answer,
            "at": at,
        }


def _seconds(moment: datetime) -> int:
    return int(moment.timestamp())
