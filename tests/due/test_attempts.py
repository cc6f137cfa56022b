"""What becomes of a due time: run, wait, or closed as missed; and when people are told."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, time, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from invites.due.attempts import (
    Again,
    ClockBehind,
    CloseAsMissed,
    Decision,
    Inputs,
    JobState,
    Obstacle,
    Run,
    Wait,
    Watch,
    after_attempt,
    closed,
    completed,
    completes,
    decide,
    notice_due,
    noticed,
)
from invites.due.rule import DueRule
from invites.errors import Exit

RULE = DueRule(at=time(2, 15), timezone="UTC")
DUE = datetime(2026, 12, 2, 2, 15, tzinfo=UTC)
DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
SOON = timedelta(minutes=5)
RETRY_FOR = 12 * HOUR
INPUTS = Inputs(roster="roster", settings="settings")
LAST_NIGHT = JobState(watermark=DUE - DAY)

EVERY_WAKE_UP = (
    Obstacle.FAILED,
    Obstacle.SETTINGS,
    Obstacle.LOCK,
    Obstacle.SERVER,
    Obstacle.STOPPED,
    Obstacle.CLOCK,
    Obstacle.ZONE_DATA,
    Obstacle.ROSTER_MOVES,
)
WHEN_INPUTS_CHANGE = (Obstacle.ROSTER, Obstacle.SHRINK, Obstacle.CHANGE, Obstacle.AGE)


def decided(
    state: JobState | None, now: datetime, inputs: Inputs = INPUTS, rule: DueRule = RULE
) -> Decision:
    """Return the decision for the job of these tests."""
    return decide(state, rule, now=now, retry_for=RETRY_FOR, inputs=inputs)


def tried(cause: Obstacle, *, now: datetime = DUE, state: JobState = LAST_NIGHT) -> JobState:
    """Return the state after an attempt at the due time that ended with `cause`."""
    return after_attempt(state, DUE, cause=cause, inputs=INPUTS, now=now)


def test_a_job_seen_for_the_first_time_waits_for_its_next_due_time() -> None:
    """A new job does not run for a night at which it was not there."""
    now = DUE + HOUR
    assert decided(None, now) == Watch(state=JobState(watermark=now), until=DUE + DAY)
    assert decided(JobState(watermark=now), now) == Wait(until=DUE + DAY)
    assert decided(JobState(watermark=now), DUE + DAY) == Run(due=DUE + DAY)


def test_a_job_seen_for_the_first_time_at_its_due_time_runs_the_next_day() -> None:
    """The watermark is that very moment, and a due time is due when it is later."""
    assert decided(JobState(watermark=DUE), DUE) == Wait(until=DUE + DAY)


def test_a_job_runs_from_its_due_time_on_and_once() -> None:
    """Before it waits, at it runs, and once completed every wake-up waits for the next."""
    assert decided(LAST_NIGHT, DUE - timedelta(seconds=1)) == Wait(until=DUE)
    assert decided(LAST_NIGHT, DUE) == Run(due=DUE)
    done = completed(LAST_NIGHT, DUE)
    assert decided(done, DUE + SOON) == Wait(until=DUE + DAY)


@pytest.mark.parametrize("nights", [1, 5])
def test_after_an_outage_one_run_stands_for_all_that_were_missed(nights: int) -> None:
    """The catch-up is for the last due time, and says for how many earlier ones it stands."""
    now = DUE + (nights - 1) * DAY + 3 * HOUR
    last = DUE + (nights - 1) * DAY
    assert decided(LAST_NIGHT, now) == Run(due=last, caught_up=nights - 1)
    assert decided(completed(LAST_NIGHT, last), now) == Wait(until=last + DAY)


def test_a_night_that_was_killed_in_the_middle_runs_again() -> None:
    """A crash writes nothing, so the due time is still later than the watermark."""
    assert decided(LAST_NIGHT, DUE + SOON) == Run(due=DUE)


@pytest.mark.parametrize("cause", EVERY_WAKE_UP)
def test_what_may_mend_by_itself_is_tried_at_every_wake_up(cause: Obstacle) -> None:
    """A lock, a server, a clock or a moving roster may be different in five minutes."""
    assert cause.again is Again.EVERY_WAKE_UP
    assert decided(tried(cause), DUE + SOON) == Run(due=DUE)


@pytest.mark.parametrize("cause", WHEN_INPUTS_CHANGE)
def test_what_a_person_must_mend_waits_for_a_change(cause: Obstacle) -> None:
    """The same roster under the same settings would be refused again."""
    waits = decided(tried(cause), DUE + SOON)
    assert waits == Wait(until=DUE + RETRY_FOR, cause=cause)


@pytest.mark.parametrize("cause", WHEN_INPUTS_CHANGE)
@pytest.mark.parametrize("changed", ["roster", "settings", "acceptance"])
def test_a_changed_roster_setting_or_acceptance_is_tried_at_once(
    cause: Obstacle, changed: str
) -> None:
    """Whoever mends it need not call anything; and the changed one waits for the next change."""
    inputs = replace(INPUTS, **{changed: "another"})
    assert decided(tried(cause), DUE + SOON, inputs) == Run(due=DUE)
    again = after_attempt(tried(cause), DUE, cause=cause, inputs=inputs, now=DUE + SOON)
    assert isinstance(decided(again, DUE + 2 * SOON, inputs), Wait)


@pytest.mark.parametrize("cause", Obstacle)
def test_an_open_due_time_is_closed_as_missed_after_retry_for(cause: Obstacle) -> None:
    """At the end of `retry_for` nothing is tried any more, whatever the cause."""
    state, last = tried(cause), DUE + RETRY_FOR
    assert not isinstance(decided(state, last - timedelta(seconds=1)), CloseAsMissed)
    assert decided(state, last) == CloseAsMissed(due=DUE, cause=cause)
    missed = closed(state, DUE)
    assert missed.missed == DUE
    assert decided(missed, last) == Wait(until=DUE + DAY)


def test_an_open_due_time_never_outlives_the_next_one() -> None:
    """The next night closes the last one, even where `retry_for` is longer, and then runs."""
    state, now = tried(Obstacle.SERVER), DUE + DAY
    decision = decide(state, RULE, now=now, retry_for=7 * DAY, inputs=INPUTS)
    assert decision == CloseAsMissed(due=DUE, cause=Obstacle.SERVER)
    assert decided(closed(state, DUE), now) == Run(due=DUE + DAY)


def test_a_catch_up_late_in_the_day_has_its_retry_for_as_well() -> None:
    """Time is counted from the first attempt: an outage does not eat it up."""
    first = DUE + 11 * HOUR
    state = tried(Obstacle.SERVER, now=first)
    assert decided(state, first + 3 * HOUR) == Run(due=DUE)
    later = after_attempt(state, DUE, cause=Obstacle.SERVER, inputs=INPUTS, now=first + 3 * HOUR)
    assert later.open is not None
    assert (later.open.attempts, later.open.first_attempt) == (2, first)
    assert isinstance(decided(later, first + RETRY_FOR), CloseAsMissed)


def test_a_clock_that_was_set_back_an_hour_runs_nothing_twice() -> None:
    """The same night does not come again; a clock far behind the watermark is reported."""
    state = completed(LAST_NIGHT, DUE)
    assert decided(state, DUE - HOUR) == ClockBehind(by=HOUR)
    assert decided(state, DUE - timedelta(minutes=5)) == Wait(until=DUE)
    assert decided(state, DUE) == Wait(until=DUE + DAY)


def test_an_earlier_time_set_while_a_night_is_open_leaves_that_night_open() -> None:
    """Editing `at` neither loses the open due time nor runs one that is long past."""
    earlier = DueRule(at=time(22, 0), timezone="UTC")
    assert decided(tried(Obstacle.SHRINK), DUE + HOUR, rule=earlier) == Wait(
        until=min(DUE + RETRY_FOR, datetime(2026, 12, 2, 22, 0, tzinfo=UTC)), cause=Obstacle.SHRINK
    )


@pytest.mark.parametrize("code", Exit)
def test_done_and_done_in_part_alone_complete_a_due_time(code: Exit) -> None:
    """Exit 0 and 4 complete; everything else leaves it open."""
    assert completes(code) == (code in {Exit.DONE, Exit.IN_PART})


@pytest.mark.parametrize("cause", Obstacle)
def test_no_cause_has_an_exit_code_that_completes(cause: Obstacle) -> None:
    """A cause is why a due time stays open."""
    assert not completes(cause.exit_code)


def test_each_cause_is_told_once_for_a_due_time() -> None:
    """The second attempt with the same cause is silent, another cause is told."""
    state = tried(Obstacle.SERVER)
    assert state.open is not None
    assert notice_due(state.open, DUE)
    told = noticed(state)
    again = after_attempt(told, DUE, cause=Obstacle.SERVER, inputs=INPUTS, now=DUE + SOON)
    assert again.open is not None
    assert not notice_due(again.open, DUE + SOON)
    other = after_attempt(again, DUE, cause=Obstacle.SHRINK, inputs=INPUTS, now=DUE + 2 * SOON)
    assert other.open is not None
    assert notice_due(other.open, DUE + 2 * SOON)


def test_the_next_due_time_is_told_of_the_same_cause_again() -> None:
    """A notice is for one due time: a second bad night is news."""
    state = noticed(tried(Obstacle.SHRINK))
    tomorrow = after_attempt(
        closed(state, DUE), DUE + DAY, cause=Obstacle.SHRINK, inputs=INPUTS, now=DUE + DAY
    )
    assert tomorrow.open is not None
    assert notice_due(tomorrow.open, DUE + DAY)


def test_a_held_lock_is_told_of_after_six_hours_only() -> None:
    """A long run is no fault; one that still holds the lock after six hours may be stuck."""
    state = tried(Obstacle.LOCK)
    for n in range(1, 72):
        state = after_attempt(state, DUE, cause=Obstacle.LOCK, inputs=INPUTS, now=DUE + n * SOON)
        assert state.open is not None
        assert not notice_due(state.open, DUE + n * SOON)
    state = after_attempt(state, DUE, cause=Obstacle.LOCK, inputs=INPUTS, now=DUE + 6 * HOUR)
    assert state.open is not None
    assert notice_due(state.open, DUE + 6 * HOUR)


def test_nothing_open_has_no_notice_to_mark() -> None:
    """Marking a notice without an open due time changes nothing."""
    assert noticed(LAST_NIGHT) == LAST_NIGHT


outcomes = st.lists(st.sampled_from([None, *Obstacle]), min_size=1, max_size=60)


@given(outcomes=outcomes, minutes=st.integers(1, 700))
def test_every_due_time_is_completed_or_closed_exactly_once(
    outcomes: list[Obstacle | None], minutes: int
) -> None:
    """Whatever attempts end with and however often it wakes up, each night has one end."""
    state, now = LAST_NIGHT, DUE - HOUR
    ends: list[datetime] = []
    for outcome in outcomes:
        decision = decided(state, now)
        if isinstance(decision, CloseAsMissed):
            state = closed(state, decision.due)
            ends.append(decision.due)
            decision = decided(state, now)
        if isinstance(decision, Run):
            assert decision.due > state.watermark
            if outcome is None:
                state = completed(state, decision.due)
                ends.append(decision.due)
            else:
                state = after_attempt(state, decision.due, cause=outcome, inputs=INPUTS, now=now)
        now += timedelta(minutes=minutes)
    assert ends == sorted(set(ends))
    last_night = DUE + DAY * ((now - DUE) // DAY)
    nights = [DUE + DAY * n for n in range((last_night - DUE) // DAY - 1)]
    assert set(nights) <= set(ends)
