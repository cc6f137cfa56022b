"""A job's due times with a real ledger: each has one effect, whatever wakes up how often."""

from __future__ import annotations

from datetime import timedelta

import pytest

from invites.due.attempts import Obstacle
from invites.errors import Exit
from tests.jobs.conftest import START, House, row

DAY = timedelta(days=1)
DUE = START.replace(hour=2, minute=15)


def test_a_new_job_runs_at_its_next_due_time_and_not_at_once(house: House) -> None:
    """The first wake-up takes note of the job; the due time of the day before is not its own."""
    house.roster(row(1))
    assert house.wake().outcomes == ()
    assert house.state().watermark == START
    assert house.invited() == []

    assert house.one("02:15").due == DUE
    assert house.invited() == ["ada@example.org"]


def test_any_number_of_wake_ups_has_one_effect(house: House) -> None:
    """After the due time is done, waking up again does nothing until the next one."""
    house.roster(row(1))
    house.seen()
    outcomes = [
        outcome
        for minutes in range(0, 24 * 60, 5)
        for outcome in house.wake(DUE + timedelta(minutes=minutes - 10)).outcomes
    ]
    assert [(outcome.due, outcome.exit_code) for outcome in outcomes] == [(DUE, Exit.DONE)]
    assert house.state().watermark == DUE


@pytest.mark.parametrize("nights", [1, 5])
def test_after_an_outage_one_run_catches_up(house: House, nights: int) -> None:
    """One late run stands for all due times that passed, and says for how many."""
    house.roster(row(1))
    house.seen()
    late = DUE + DAY * (nights - 1) + timedelta(hours=7)
    outcome = house.one(late)
    assert outcome.due == DUE + DAY * (nights - 1)
    assert outcome.caught_up == nights - 1
    assert house.invited() == ["ada@example.org"]
    assert house.wake(late + timedelta(minutes=5)).outcomes == ()


def test_the_wake_up_says_when_something_is_due_next(house: House) -> None:
    """The scheduler wakes up again at the next due instant."""
    assert house.wake().again == DUE
    assert house.wake("02:20").again == DUE + DAY


def test_a_job_of_some_days_rests_on_the_others(house: House) -> None:
    """2031-02-01 is a Saturday: a job of Mondays is due two days later."""
    house.job = 'days = "mon"'
    house.load()
    house.roster(row(1))
    house.seen()
    assert house.wake(DUE + DAY).outcomes == ()
    assert house.one(DUE + 2 * DAY).due == DUE + 2 * DAY


def test_force_runs_a_job_that_is_not_due(house: House) -> None:
    """Whether due or not: the last due time is run once more, and the watermark stays."""
    house.roster(row(1))
    house.seen()
    watermark = house.state().watermark
    outcome = house.one(jobs=("nightly",), force=True)
    assert outcome.due == DUE - DAY
    assert outcome.exit_code is Exit.DONE
    assert house.state().watermark == watermark
    assert house.invited() == ["ada@example.org"]


def test_a_job_that_is_not_named_stays_due(house: House) -> None:
    """`invites run OTHER` leaves this job for the next wake-up."""
    house.job = '[[job]]\nname = "other"\nroster = "other.csv"\nat = "12:00"'
    house.load()
    house.roster(row(1))
    house.seen()
    assert house.wake("02:15", jobs=("other",)).outcomes == ()
    assert house.one().job == "nightly"


def test_a_clock_that_was_set_back_an_hour_is_refused_until_it_is_right(house: House) -> None:
    """Exit 6 without `--accept-clock`; nothing runs by a clock that lies behind what was done."""
    house.roster(row(1))
    house.seen()
    house.wake(DUE)
    house.roster(row(1), row(2))
    outcome = house.one(DUE - timedelta(hours=1))
    assert (outcome.exit_code, outcome.cause) == (Exit.GUARD, Obstacle.CLOCK)
    assert len(house.invited()) == 1
    assert house.wake(DUE + timedelta(minutes=30)).outcomes == ()


def test_a_clock_that_is_right_after_all_can_be_accepted(house: House) -> None:
    """`--accept-clock` runs the last due time by this clock, and the nights go on from there."""
    house.roster(row(1))
    house.seen()
    house.wake(DUE + 20 * DAY)
    house.now = DUE + timedelta(hours=1)
    house.roster(row(1), row(2))
    outcome = house.one(accept_clock=True)
    assert (outcome.due, outcome.exit_code) == (DUE, Exit.DONE)
    assert house.one(DUE + DAY).due == DUE + DAY


def test_a_dry_run_composes_everything_and_writes_nothing(house: House) -> None:
    """It says what would happen; the due time stays due."""
    house.roster(row(1))
    house.seen()
    before = house.state()
    outcome = house.one("02:20", dry_run=True)
    assert outcome.counts["new"] == 1
    assert (house.state(), house.batches()) == (before, [])
    assert house.one().counts["sent"] == 1
