"""History, jobs, reminders and moving a ledger."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from invites import ledger
from invites.due.attempts import Inputs, JobState, Obstacle, after_attempt, noticed
from invites.due.rule import Reminder, due_reminders
from invites.errors import LedgerError
from invites.ledger import Ledger
from invites.ledger.history import past_messages, past_runs, scopes, waiting
from invites.ledger.jobs import (
    ReminderNote,
    job_state,
    note_reminders,
    save_job_state,
    sent_reminders,
    standing_invitations,
)
from invites.planning.state import State
from tests.ledger.test_forgetting import send
from tests.ledger.test_recording import ADA, START, begin_run, found
from tests.peers.planning import DAY, HOUR, NOW, World, attendee, meeting
from tests.peers.postgresql import PostgreSQL


def test_history_says_what_was_sent_when_and_how_it_ended(opened: Ledger) -> None:
    """Latest first, with the server's answer, by person and by meeting."""
    world = World().put(meeting("m", attendee("Ada"), attendee("Bob")))
    send(opened, world)
    send(opened, world.edit("m", title="Another"), State.DEFERRED)
    messages = past_messages(opened, address=ADA)
    assert [(one.kind, one.state, one.answer) for one in messages] == [
        ("update", State.DEFERRED, "250 ok"),
        ("invitation", State.SENT, "250 ok"),
    ]
    assert (messages[0].at, messages[0].title, messages[0].sequence) == (NOW + HOUR, "Meeting m", 0)
    assert len(past_messages(opened, meeting_id="m")) == 4
    assert past_messages(opened, meeting_id="n") == ()
    assert len(past_messages(opened, at_most=3)) == 3


def test_history_lists_what_still_waits(opened: Ledger) -> None:
    """Planned, deferred until when, failed and unknown ones."""
    world = World()
    for number, state in enumerate((State.PLANNED, State.DEFERRED, State.FAILED, State.UNKNOWN)):
        send(opened, world.put(meeting(f"m{number}", attendee("Ada"))), state)
    found_ones = waiting(opened)
    assert [(one.meeting_id, one.state) for one in found_ones] == [
        ("m0", State.UNKNOWN),
        ("m1", State.UNKNOWN),
        ("m2", State.UNKNOWN),
        ("m3", State.UNKNOWN),
    ]
    assert waiting(opened, meeting_id="m1", address=ADA) == found_ones[1:2]
    assert waiting(opened, address="bob@example.org") == ()


def test_history_says_until_when_a_deferred_one_waits(opened: Ledger) -> None:
    """The next attempt's time, and how many there were."""
    send(opened, World().put(meeting("m", attendee("Ada"))), State.DEFERRED)
    (one,) = waiting(opened)
    assert (one.state, one.attempts, one.next_attempt) == (State.DEFERRED, 1, NOW + HOUR)


def test_runs_are_listed_latest_first(opened: Ledger) -> None:
    """And scopes by the number of their meetings."""
    world = World().put(meeting("m", attendee("Ada")))
    send(opened, world)
    send(opened, world)
    assert [run.started for run in past_runs(opened)] == [NOW + HOUR, NOW]
    assert len(past_runs(opened, at_most=1)) == 1
    assert dict(scopes(opened)) == {"default": 1}


def test_a_job_is_remembered_with_its_open_due_time(opened: Ledger) -> None:
    """What `core.attempts` decides from comes back as it was written."""
    assert job_state(opened, "nightly") is None
    state = JobState(watermark=NOW, missed=NOW - DAY)
    save_job_state(opened, "nightly", state)
    assert job_state(opened, "nightly") == state
    inputs = Inputs(roster="r", settings="s", acceptance="a")
    tried = noticed(
        after_attempt(state, NOW + DAY, cause=Obstacle.SHRINK, inputs=inputs, now=NOW + DAY)
    )
    save_job_state(opened, "nightly", tried)
    assert job_state(opened, "nightly") == tried


def test_reminders_come_from_the_ledgers_facts_and_go_out_once(opened: Ledger) -> None:
    """Who stands is reminded; one that may have been sent is not sent again."""
    world = World().put(
        meeting("m", attendee("Ada")), meeting("n", attendee("Ada"), start=NOW + 50 * DAY)
    )
    send(opened, world)
    now = NOW + 9 * DAY + HOUR
    (one,) = standing_invitations(opened, "default", until=now + DAY, now=now)
    assert (one.meeting_id, one.known.attendee.name) == ("m", "Ada")
    assert one.known.facts.meeting_of(one.known.attendee).title == "Meeting m"
    (reminder,) = due_reminders(
        [DAY], [one.standing], sent=sent_reminders(opened, now=now), now=now
    )
    run_id = begin_run(opened, START, now=now)
    for state, again in ((State.DEFERRED, True), (State.SENDING, False), (State.SENT, False)):
        note = ReminderNote(reminder=reminder, meeting_id="m", message_id="<x@y>", state=state)
        note_reminders(opened, run_id, [note], now=now)
        assert (sent_reminders(opened, now=now) == frozenset()) is again
    assert sent_reminders(opened, now=now) == {
        Reminder(uid=one.standing.uid, address=ADA, start=NOW + 10 * DAY, lead=DAY)
    }
    assert past_messages(opened, address=ADA)[0].kind == "reminder"


@pytest.mark.peer("postgresql")
def test_a_ledger_moves_from_sqlite_to_postgresql_and_back(
    tmp_path: Path, postgresql: PostgreSQL
) -> None:
    """The procedure of docs/ledger.md: nobody is invited twice afterwards."""
    first, second = (f"sqlite:///{tmp_path / name}" for name in ("a.db", "b.db"))
    there = postgresql.url()
    ledger.create(first)
    world = World().put(meeting("m", attendee("Ada"), attendee("Bob")))
    with ledger.open_ledger(first, lock=True) as opened:
        send(opened, world)
        save_job_state(opened, "nightly", JobState(watermark=NOW))
    assert ledger.copy_ledger(first, there) == ledger.copy_ledger(there, second)
    for url in (there, second):
        with ledger.open_ledger(url, lock=True) as opened:
            assert found(opened, world) == _kept(first, world)
            assert job_state(opened, "nightly") == JobState(watermark=NOW)
            assert send(opened, world) == []
            world.wait(-HOUR)


def _kept(url: str, world: World) -> object:
    with ledger.open_ledger(url, lock=False) as opened:
        return found(opened, world)


def test_a_ledger_is_not_copied_over_one_that_has_seen_runs(tmp_path: Path) -> None:
    """Both stay as they are."""
    first, second = (f"sqlite:///{tmp_path / name}" for name in ("a.db", "b.db"))
    for url in (first, second):
        ledger.create(url)
        with ledger.open_ledger(url, lock=True) as opened:
            begin_run(opened, START, now=NOW + timedelta(seconds=1))
    with pytest.raises(LedgerError, match="without any"):
        ledger.copy_ledger(first, second)
