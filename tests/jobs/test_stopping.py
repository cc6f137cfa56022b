"""A signal in the middle of a night, and nights without a ledger."""

from __future__ import annotations

import time
from datetime import timedelta
from pathlib import Path

import pytest

from invites.due.attempts import Obstacle
from invites.errors import Exit, TryAgainError
from invites.jobs.schedule import Schedule
from invites.sending import Effects
from tests.jobs.conftest import JobWorld, row, subjects
from tests.peers.postgresql import PostgreSQL
from tests.peers.smtp_server import ScriptedServer

PEOPLE = [row(number, f"person{number}") for number in range(8)]


def test_a_signal_finishes_the_message_in_hand_and_the_next_wake_up_goes_on(
    told: JobWorld, relay: ScriptedServer
) -> None:
    """75 and no notice; what was sent stays sent, the rest goes out once."""
    told.roster(*PEOPLE)
    told.seen()
    told.on_message = lambda: setattr(told, "stop", len(relay.accepted) >= 2)
    outcome = told.one("02:15")
    assert (outcome.exit_code, outcome.cause) == (Exit.TRY_AGAIN, Obstacle.STOPPED)
    assert 2 <= len(relay.accepted) < len(PEOPLE)

    told.stop, told.on_message = False, lambda: None
    assert told.one("02:20").exit_code is Exit.DONE
    assert sorted(one.recipient for one in relay.accepted) == [
        f"person{number}@example.org" for number in range(8)
    ]
    assert subjects(relay) == []


def test_a_job_that_a_signal_kept_from_beginning_stays_due(
    told: JobWorld, relay: ScriptedServer
) -> None:
    """The second of two due jobs is 75 as well, and nothing is written of it."""
    told.job += '\n[[job]]\nname = "second"\nroster = "rosters/*.csv"\nat = "02:15"\n'
    told.load()
    told.roster(*PEOPLE)
    told.seen()
    told.on_message = lambda: setattr(told, "stop", True)
    report = told.wake("02:15")
    assert [(one.job, one.cause) for one in report.outcomes] == [
        ("nightly", Obstacle.STOPPED),
        ("second", Obstacle.STOPPED),
    ]
    assert report.exit_code is Exit.TRY_AGAIN


class NobodyCalls:
    """What asks the schedule for nothing."""

    def stop(self) -> bool:
        """Go on."""
        return False

    def reload(self) -> bool:
        """Keep the settings."""
        return False

    def wait(self) -> None:
        """Return at once."""


def test_a_ledger_that_vanished_is_told_once_for_each_due_time(
    told: JobWorld, relay: ScriptedServer
) -> None:
    """There is nothing to write down in; the schedule itself remembers whom it told."""
    schedule = Schedule(
        told.load,
        effects=Effects(clock=lambda: told.now, timer=time.monotonic),
        calls=NobodyCalls(),
        tell=told.lines.append,
    )
    told.roster(row(1))
    schedule._wake_up()
    ledger = told.folder / "invites.db"
    ledger.rename(told.folder / "elsewhere.db")
    for minutes in (0, 80, 85):
        told.now += timedelta(minutes=minutes)
        schedule._wake_up()
    assert subjects(relay) == ["invites: job nightly of 2031-02-01 failed"]
    assert {line.event for line in told.lines} == {"wake_up_failed"}

    (told.folder / "elsewhere.db").rename(ledger)
    schedule._wake_up()
    assert [one.recipient for one in relay.accepted][1:] == ["ada@example.org"]


@pytest.mark.peer("postgresql")
def test_a_ledger_server_that_dies_in_a_night_leaves_the_job_due(tmp_path: Path) -> None:
    """It is told as a server that is down (75); the next wake-up does the work."""
    with PostgreSQL() as server:
        world = JobWorld(folder=tmp_path, url=server.url())
        world.roster(row(1))
        world.seen()
        world.on_message = server.stop
        with pytest.raises(TryAgainError, match="its lock is lost"):
            world.wake("02:15")
        (told,) = (line for line in world.lines if line.event == "job_open")
        assert (told.facts["exit"], told.facts["cause"]) == (75, "server")
        world.on_message = lambda: None
        server.start()
        assert world.one("02:20").exit_code is Exit.DONE
        assert world.invited() == ["ada@example.org"]
