"""One job at one wake-up: what is due is run, written down, and told.

Read from top to bottom: `attended` asks the planner what there is to do, `_run` does it, `_written`
keeps what came of it, and what follows says who hears of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING

from invites.due.attempts import (
    ClockBehind,
    CloseAsMissed,
    Inputs,
    JobState,
    Obstacle,
    Run,
    Untold,
    Wait,
    Watch,
    after_attempt,
    closed,
    completed,
    decide,
    notice_due,
    noticed,
    with_untold,
)
from invites.due.rule import last_due, next_due
from invites.errors import Exit, InvitesError
from invites.jobs.attempt import DueNow, attempted, cause_of
from invites.jobs.notify import Signal, is_told, notify, ping
from invites.jobs.options import JobOutcome, WakeUp, due_rule, inputs_of
from invites.ledger import Ledger
from invites.ledger.jobs import held_state, job_state, save_held_state, save_job_state

if TYPE_CHECKING:
    from invites.settings import Job

_INSTANT = timedelta(seconds=1)


def attended(
    wakeup: WakeUp, ledger: Ledger, job: Job, *, on_message: Callable[[], None]
) -> Iterator[JobOutcome]:
    """Do what there is to do for one job; yields an outcome for each due time that it touched.

    `on_message` is called before each message of a run.
    """
    rule, inputs, state = due_rule(job), inputs_of(wakeup, job), job_state(ledger, job.name)

    run = partial(_run, wakeup, ledger, job, inputs=inputs, on_message=on_message)
    while True:
        now = wakeup.now
        match decide(state, rule, now=now, retry_for=job.retry_for, inputs=inputs):
            case Watch(state=state):
                save_job_state(ledger, job.name, state)
            case CloseAsMissed() as decision:
                state, outcome = _closed(wakeup, ledger, job, state, decision)
                yield outcome
            case ClockBehind() if wakeup.options.accept_clock:
                state = _with_clock_accepted(state, job, now)
                save_job_state(ledger, job.name, state)
            case ClockBehind(by=by):
                yield _clock_behind(wakeup, ledger, job, state, by, inputs)
                return
            case Run(due=due, caught_up=caught_up):
                yield run(state, DueNow(due=due, caught_up=caught_up))
                return
            case Wait():
                forced = _forced(state, job, now) if wakeup.options.force else None
                if forced is not None:
                    yield run(state, forced)
                return


def rehearsed(wakeup: WakeUp, ledger: Ledger, job: Job) -> Iterator[JobOutcome]:
    """Yield what would become of the due time that would be run now; nothing is written down."""
    due = _due_but_left(wakeup, ledger, job)
    if due is not None:
        state = job_state(ledger, job.name)
        tried = None if state is None else state.open
        yield attempted(wakeup, ledger, job, DueNow(due=due), tried, on_message=lambda: None)


def _due_but_left(wakeup: WakeUp, ledger: Ledger, job: Job) -> datetime | None:
    """Return the due time that would be run now; None where there is none."""
    state, now = job_state(ledger, job.name), wakeup.now
    rule = due_rule(job)
    decision = decide(state, rule, now=now, retry_for=job.retry_for, inputs=inputs_of(wakeup, job))
    match decision:
        case Run() | CloseAsMissed():
            return decision.due
        case _:
            return last_due(rule, now) if wakeup.options.force else None


def left_by_stop(wakeup: WakeUp, ledger: Ledger, job: Job) -> Iterator[JobOutcome]:
    """Yield the due time that a signal keeps from being begun; it stays as it was."""
    due = _due_but_left(wakeup, ledger, job)
    if due is not None:
        yield JobOutcome(
            job=job.name,
            due=due,
            exit_code=Exit.TRY_AGAIN,
            cause=Obstacle.STOPPED,
            text="stopped by a signal before it began; run again",
        )


def _forced(state: JobState | None, job: Job, now: datetime) -> DueNow | None:
    """Return the due time that `--force` runs: the open one, else the last."""
    if state is not None and state.open is not None and state.open.due > state.watermark:
        return DueNow(due=state.open.due)
    due = last_due(due_rule(job), now)
    return None if due is None else DueNow(due=due)


def _with_clock_accepted(state: JobState | None, job: Job, now: datetime) -> JobState:
    """Return a state whose watermark lies just before the last due time: that one is run."""
    due = last_due(due_rule(job), now)
    watermark = now if due is None else due - _INSTANT
    return JobState(
        watermark=watermark,
        missed=None if state is None else state.missed,
        untold=() if state is None else state.untold,
    )


def _run(
    wakeup: WakeUp,
    ledger: Ledger,
    job: Job,
    state: JobState | None,
    due_now: DueNow,
    *,
    inputs: Inputs,
    on_message: Callable[[], None],
) -> JobOutcome:
    """Attempt the due time, write down what came of it, and tell people where they are to know."""
    if state is None:
        raise AssertionError("a job that runs has been seen")
    ping(wakeup, job, Signal.START)
    outcome = attempted(wakeup, ledger, job, due_now, state.open, on_message=on_message)
    ping(wakeup, job, Signal.SUCCESS if outcome.cause is None else Signal.FAILURE)
    try:
        return _written(wakeup, ledger, job, state, outcome, inputs)
    except InvitesError as error:
        cause = cause_of(error, stopped=False)
        return replace(
            outcome,
            cause=cause,
            exit_code=cause.exit_code,
            lines=(outcome.text, *outcome.lines),
            text=f"how it ended could not be written down: {error}",
        )


def _written(
    wakeup: WakeUp,
    ledger: Ledger,
    job: Job,
    state: JobState,
    outcome: JobOutcome,
    inputs: Inputs,
) -> JobOutcome:
    if outcome.cause is None:
        state = completed(state, outcome.due)
        save_job_state(ledger, job.name, state)
        if is_told(job, outcome) and not notify(wakeup, job, outcome):
            _keep_untold(ledger, job, state, outcome)
        return outcome
    if outcome.due <= state.watermark:  # forced once more after it was done
        notify(wakeup, job, outcome)
        return outcome
    earlier, now = state.open, wakeup.now
    state = after_attempt(state, outcome.due, cause=outcome.cause, inputs=inputs, now=now)
    outcome = replace(
        outcome,
        until=_tried_until(state, job),
        repeated=earlier is not None
        and (earlier.due, earlier.cause) == (outcome.due, outcome.cause),
    )
    save_job_state(ledger, job.name, state)
    _notify_once(wakeup, ledger, job, state, outcome)
    return outcome


def _tried_until(state: JobState, job: Job) -> datetime | None:
    tried = state.open
    if tried is None:
        return None
    return min(tried.first_attempt + job.retry_for, next_due(due_rule(job), tried.due))


def _notify_once(
    wakeup: WakeUp, ledger: Ledger, job: Job, state: JobState, outcome: JobOutcome
) -> None:
    """Send the notice of an open due time, once for each cause; one that failed is tried again."""
    if state.open is None or not notice_due(state.open, wakeup.now):
        return
    if notify(wakeup, job, outcome):
        save_job_state(ledger, job.name, noticed(state))


def _closed(
    wakeup: WakeUp, ledger: Ledger, job: Job, state: JobState | None, decision: CloseAsMissed
) -> tuple[JobState, JobOutcome]:
    """Close a due time as missed: written down first, so that the notice goes out once."""
    if state is None:
        raise AssertionError("a job that missed a due time has been seen")
    state = closed(state, decision.due)
    save_job_state(ledger, job.name, state)
    outcome = _end_of(
        job,
        Untold(due=decision.due, exit_code=decision.cause.exit_code, cause=decision.cause),
    )
    ping(wakeup, job, Signal.FAILURE)
    if not notify(wakeup, job, outcome):
        state = _keep_untold(ledger, job, state, outcome)
    return state, outcome


def _keep_untold(ledger: Ledger, job: Job, state: JobState, outcome: JobOutcome) -> JobState:
    end = Untold(due=outcome.due, exit_code=outcome.exit_code, cause=outcome.cause)
    state = with_untold(state, end)
    save_job_state(ledger, job.name, state)
    return state


def tell_untold(wakeup: WakeUp, ledger: Ledger, job: Job) -> None:
    """Send the notices that could not be sent when their due times ended, as soon as mail works."""
    state = job_state(ledger, job.name)
    if state is None or wakeup.options.simulated:
        return
    left = [*state.untold]
    while left and notify(wakeup, job, _end_of(job, left[0], repeated=True)):
        left.pop(0)
    if len(left) < len(state.untold):
        save_job_state(ledger, job.name, replace(state, untold=tuple(left)))


def _end_of(job: Job, end: Untold, *, repeated: bool = False) -> JobOutcome:
    """Return the outcome of a due time of which only its end is still known."""
    if end.cause is None:
        text = "this notice could not be sent at the time; `invites history` shows the run"
    else:
        text = f"closed as missed; the last attempt ended with: {end.cause.value}"
    return JobOutcome(
        job=job.name,
        due=end.due,
        exit_code=end.exit_code,
        cause=end.cause,
        missed=end.cause is not None,
        repeated=repeated,
        text=text,
        source=" + ".join(place.text for place in job.roster),
    )


def _clock_behind(
    wakeup: WakeUp,
    ledger: Ledger,
    job: Job,
    state: JobState | None,
    by: timedelta,
    inputs: Inputs,
) -> JobOutcome:
    now = wakeup.now
    due = last_due(due_rule(job), now) or now
    minutes = by.total_seconds() / 60
    outcome = JobOutcome(
        job=job.name,
        due=due,
        exit_code=Obstacle.CLOCK.exit_code,
        cause=Obstacle.CLOCK,
        text=f"clock: it is {minutes:.0f} minutes behind the last due time that was done; expected "
        "a clock that is right; set it, or give --accept-clock if it is",
    )
    if state is not None:
        earlier = state.open
        state = after_attempt(state, due, cause=Obstacle.CLOCK, inputs=inputs, now=now)
        save_job_state(ledger, job.name, state)
        _notify_once(wakeup, ledger, job, state, outcome)
        repeated = earlier is not None and (earlier.due, earlier.cause) == (due, Obstacle.CLOCK)
        outcome = replace(outcome, repeated=repeated)
    return outcome


def left_locked(wakeup: WakeUp, ledger: Ledger, job: Job, text: str) -> JobOutcome | None:
    """Return the due time that another run's lock holds up, and note since when it does.

    That stands apart from the job's own state, which is the lock's holder's to write.
    """
    due = _due_but_left(wakeup, ledger, job)
    if due is None:
        return None
    outcome = JobOutcome(
        job=job.name, due=due, exit_code=Exit.TRY_AGAIN, cause=Obstacle.LOCK, text=text
    )
    before = held_state(ledger, job.name) or JobState(watermark=due - _INSTANT)
    inputs = Inputs(roster="", settings="")
    state = after_attempt(before, due, cause=Obstacle.LOCK, inputs=inputs, now=wakeup.now)
    tried = state.open
    if tried is not None and notice_due(tried, wakeup.now) and notify(wakeup, job, outcome):
        state = noticed(state)
    save_held_state(ledger, job.name, state)
    return outcome
