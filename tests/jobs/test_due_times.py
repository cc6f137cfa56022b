"""A job's due times with a real ledger: each has one effect, whatever wakes up how often."""

from __future__ import annotations

from datetime import timedelta

import pytest

from invites.due.attempts import Obstacle
from invites.errors import Exit
from tests.jobs.conftest import START, JobWorld, row

DAY = timedelta(days=1)
DUE = START.replace(hour=2, minute=15)


def test_a_new_job_runs_at_its_next_due_time_and_not_at_once(world: JobWorld) -> None:
    """The first wake-up takes note of the job; the due time of the day before is not its own."""
    world.roster(row(1))
    assert world.wake().outcomes == ()
    assert world.state().watermark == START
    assert world.invited() == []

    assert world.one("02:15").due == DUE
    assert world.invited() == ["ada@example.org"]


def test_any_number_of_wake_ups_has_one_effect(world: JobWorld) -> None:
    """After the due time is done, waking up again does nothing until the next one."""
    world.roster(row(1))
    world.seen()
    outcomes = [
        outcome
        for minutes in range(0, 24 * 60, 5)
        for outcome in world.wake(DUE + timedelta(minutes=minutes - 10)).outcomes
    ]
    assert [(outcome.due, outcome.exit_code) for outcome in outcomes] == [(DUE, Exit.DONE)]
    assert world.state().watermark == DUE


@pytest.mark.parametrize("nights", [1, 5])
def test_after_an_outage_one_run_catches_up(world: JobWorld, nights: int) -> None:
    """One late run stands for all due times that passed, and says for how many."""
    world.roster(row(1))
    world.seen()
    late = DUE + DAY * (nights - 1) + timedelta(hours=7)
    outcome = world.one(late)
    assert outcome.due == DUE + DAY * (nights - 1)
    assert outcome.caught_up == nights - 1
    assert world.invited() == ["ada@example.org"]
    assert world.wake(late + timedelta(minutes=5)).outcomes == ()


def test_the_wake_up_says_when_something_is_due_next(world: JobWorld) -> None:
    """The scheduler wakes up again at the next due instant."""
    assert world.wake().again == DUE
    assert world.wake("02:20").again == DUE + DAY


def test_a_job_of_some_days_rests_on_the_others(world: JobWorld) -> None:
    """2031-02-01 is a Saturday: a job of Mondays is due two days later."""
    world.job = 'days = "mon"'
    world.load()
    world.roster(row(1))
    world.seen()
    assert world.wake(DUE + DAY).outcomes == ()
    assert world.one(DUE + 2 * DAY).due == DUE + 2 * DAY


def test_force_runs_a_job_that_is_not_due(world: JobWorld) -> None:
    """Whether due or not: the last due time is run once more, and the watermark stays."""
    world.roster(row(1))
    world.seen()
    watermark = world.state().watermark
    outcome = world.one(jobs=("nightly",), force=True)
    assert outcome.due == DUE - DAY
    assert outcome.exit_code is Exit.DONE
    assert world.state().watermark == watermark
    assert world.invited() == ["ada@example.org"]


def test_a_job_that_is_not_named_stays_due(world: JobWorld) -> None:
    """`invites run OTHER` leaves this job for the next wake-up."""
    world.job = '[[job]]\nname = "other"\nroster = "other.csv"\nat = "12:00"'
    world.load()
    world.roster(row(1))
    world.seen()
    assert world.wake("02:15", jobs=("other",)).outcomes == ()
    assert world.one().job == "nightly"


def test_a_clock_that_was_set_back_an_hour_is_refused_until_it_is_right(world: JobWorld) -> None:
    """Exit 6 without `--accept-clock`; nothing runs by a clock that lies behind what was done."""
    world.roster(row(1))
    world.seen()
    world.wake(DUE)
    world.roster(row(1), row(2))
    outcome = world.one(DUE - timedelta(hours=1))
    assert (outcome.exit_code, outcome.cause) == (Exit.GUARD, Obstacle.CLOCK)
    assert len(world.invited()) == 1
    assert world.wake(DUE + timedelta(minutes=30)).outcomes == ()


def test_a_clock_that_is_right_after_all_can_be_accepted(world: JobWorld) -> None:
    """`--accept-clock` runs the last due time by this clock, and the nights go on from there."""
    world.roster(row(1))
    world.seen()
    world.wake(DUE + 20 * DAY)
    world.now = DUE + timedelta(hours=1)
    world.roster(row(1), row(2))
    outcome = world.one(accept_clock=True)
    assert (outcome.due, outcome.exit_code) == (DUE, Exit.DONE)
    assert world.one(DUE + DAY).due == DUE + DAY


def test_a_dry_run_composes_everything_and_writes_nothing(world: JobWorld) -> None:
    """It says what would happen; the due time stays due."""
    world.roster(row(1))
    world.seen()
    before = world.state()
    outcome = world.one("02:20", dry_run=True)
    assert outcome.counts["new"] == 1
    assert (world.state(), world.batch_folders()) == (before, [])
    assert world.one().counts["sent"] == 1
