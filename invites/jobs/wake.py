"""One wake-up: what is due is run, reminders go out, what was deferred is tried again.

The ledger's watermark decides; any number of wake-ups, processes and hosts have one effect for each
due time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from invites.errors import Exit, GuardError, InvitesError, TryAgainError
from invites.jobs.attempt import DueNow, attempted, cause_of
from invites.jobs.notify import is_told, notify, notify_of_side
from invites.jobs.options import JobOutcome, Night, SideOutcome, Waking, due_rule, inputs_of
from invites.jobs.rehearse import rehearse
from invites.jobs.remind import remind
from invites.jobs.retry import drain
from invites.jobs.tell import tell_job, tell_side
from invites.ledger import Ledger, open_ledger
from invites.ledger.jobs import held_state, job_state, save_held_state, save_job_state
from invites.ledger.runs import check_guards
from invites.planning.attempts import (
    Cause,
    ClockBehind,
    CloseAsMissed,
    Inputs,
    JobState,
    Run,
    Wait,
    Watch,
    after_attempt,
    closed,
    completed,
    decide,
    notice_due,
    noticed,
)
from invites.planning.due import last_due, next_due
from invites.times import TZDATA_VERSION

if TYPE_CHECKING:
    from invites.settings import Job

REMIND_EVERY_SECONDS = 60.0
"""How often a long run looks for reminders that became due."""

_INSTANT = timedelta(seconds=1)


def wake_up(night: Night) -> Waking:
    """Do all that is to be done now, under the ledger's lock, and return what came of it.

    With `--dry-run` it only says what would come of it.
    Where another run holds the lock, what is due stays due (75), and no job's state is written.
    Raises LedgerError for a ledger that is missing or newer, TryAgainError where its server is
    down; what happens to single jobs is in the outcomes.
    """
    if night.order.dry_run:
        return rehearse(night)
    with ExitStack() as stack:
        try:
            ledger = stack.enter_context(open_ledger(night.settings.ledger.url, lock=True))
        except TryAgainError as held:
            return _locked_out(night, held)
        return _at_work(night, ledger)


def _at_work(night: Night, ledger: Ledger) -> Waking:
    outcomes: list[JobOutcome] = []
    sides: list[SideOutcome] = []
    for job in night.jobs:
        attend = _left_by_stop if night.surroundings.stop() else _attended
        outcomes += _told(night, attend(night, ledger, job))
    for side in _beside(night, ledger):
        _hear_of(night, side)
        sides.append(side)
    return Waking(at=night.now, outcomes=tuple(outcomes), sides=tuple(sides), again=again(night))


def _hear_of(night: Night, side: SideOutcome) -> None:
    tell_side(night, side)
    notify_of_side(night, side)


def again(night: Night) -> datetime | None:
    """Return the next instant (UTC) at which a job is due; None without jobs."""
    now = night.now
    return min((next_due(due_rule(job), now) for job in night.settings.jobs), default=None)


def _told(night: Night, outcomes: Iterator[JobOutcome]) -> Iterator[JobOutcome]:
    for outcome in outcomes:
        tell_job(night, outcome)
        yield outcome


def _attended(night: Night, ledger: Ledger, job: Job) -> Iterator[JobOutcome]:
    """Do what there is to do for one job; yields an outcome for each due time that it touched."""
    rule, inputs, state = due_rule(job), inputs_of(night, job), job_state(ledger, job.name)
    while True:
        now = night.now
        decision = decide(state, rule, now=now, retry_for=job.retry_for, inputs=inputs)
        match decision:
            case Watch():
                state = decision.state
                save_job_state(ledger, job.name, state)
            case CloseAsMissed():
                state, outcome = _closed(night, ledger, job, state, decision)
                yield outcome
            case ClockBehind() if night.order.accept_clock:
                state = _with_clock_accepted(state, job, now)
                save_job_state(ledger, job.name, state)
            case ClockBehind():
                yield _clock_behind(night, ledger, job, state, decision, inputs)
                return
            case Run():
                due_now = DueNow(due=decision.due, caught_up=decision.caught_up)
                yield _run(night, ledger, job, state, due_now, inputs)
                return
            case Wait():
                if night.order.force and (forced := _forced(state, job, now)) is not None:
                    yield _run(night, ledger, job, state, forced, inputs)
                return


def _left_by_stop(night: Night, ledger: Ledger, job: Job) -> Iterator[JobOutcome]:
    """Yield the due time that a signal keeps from being begun; it stays as it was."""
    due = _due_but_left(night, ledger, job)
    if due is not None:
        yield JobOutcome(
            job=job.name,
            due=due,
            exit_code=Exit.TRY_AGAIN,
            cause=Cause.STOPPED,
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
    return JobState(watermark=watermark, missed=None if state is None else state.missed)


def _run(
    night: Night,
    ledger: Ledger,
    job: Job,
    state: JobState | None,
    due_now: DueNow,
    inputs: Inputs,
) -> JobOutcome:
    """Attempt the due time, write down what came of it, and tell people where they are to know."""
    if state is None:
        raise AssertionError("a job that runs has been seen")
    outcome = attempted(night, ledger, job, due_now, state, on_message=_between(night, ledger))
    try:
        return _written(night, ledger, job, state, outcome, inputs)
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
    night: Night,
    ledger: Ledger,
    job: Job,
    state: JobState,
    outcome: JobOutcome,
    inputs: Inputs,
) -> JobOutcome:
    if outcome.cause is None:
        save_job_state(ledger, job.name, completed(state, outcome.due))
        if is_told(job, outcome):
            notify(night, job, outcome)
        return outcome
    if outcome.due <= state.watermark:  # forced once more after it was done
        notify(night, job, outcome)
        return outcome
    now = night.now
    state = after_attempt(state, outcome.due, cause=outcome.cause, inputs=inputs, now=now)
    outcome = replace(outcome, until=_tried_until(state, job))
    save_job_state(ledger, job.name, state)
    _notify_once(night, ledger, job, state, outcome)
    return outcome


def _tried_until(state: JobState, job: Job) -> datetime | None:
    tried = state.open
    if tried is None:
        return None
    return min(tried.first_attempt + job.retry_for, next_due(due_rule(job), tried.due))


def _notify_once(
    night: Night, ledger: Ledger, job: Job, state: JobState, outcome: JobOutcome
) -> None:
    """Send the notice of an open due time, once for each cause; one that failed is tried again."""
    if state.open is None or not notice_due(state.open, night.now):
        return
    if notify(night, job, outcome):
        save_job_state(ledger, job.name, noticed(state))


def _closed(
    night: Night, ledger: Ledger, job: Job, state: JobState | None, decision: CloseAsMissed
) -> tuple[JobState, JobOutcome]:
    """Close a due time as missed: written down first, so that the notice goes out once."""
    if state is None:
        raise AssertionError("a job that missed a due time has been seen")
    state = closed(state, decision.due)
    save_job_state(ledger, job.name, state)
    outcome = JobOutcome(
        job=job.name,
        due=decision.due,
        exit_code=decision.cause.exit_code,
        cause=decision.cause,
        missed=True,
        text=f"closed as missed; the last attempt ended with: {decision.cause.value}",
        source=" + ".join(place.text for place in job.roster),
    )
    notify(night, job, outcome)
    return state, outcome


def _clock_behind(
    night: Night,
    ledger: Ledger,
    job: Job,
    state: JobState | None,
    decision: ClockBehind,
    inputs: Inputs,
) -> JobOutcome:
    now = night.now
    due = last_due(due_rule(job), now) or now
    minutes = decision.by.total_seconds() / 60
    outcome = JobOutcome(
        job=job.name,
        due=due,
        exit_code=Cause.CLOCK.exit_code,
        cause=Cause.CLOCK,
        text=f"clock: it is {minutes:.0f} minutes behind the last due time that was done; expected "
        "a clock that is right; set it, or give --accept-clock if it is",
    )
    if state is not None:
        state = after_attempt(state, due, cause=Cause.CLOCK, inputs=inputs, now=now)
        save_job_state(ledger, job.name, state)
        _notify_once(night, ledger, job, state, outcome)
    return outcome


def _between(night: Night, ledger: Ledger) -> Callable[[], None]:
    """Return what a long run does before each message: look for due reminders, once a minute."""
    looked = night.surroundings.timer()

    def look() -> None:
        nonlocal looked
        if night.surroundings.timer() - looked < REMIND_EVERY_SECONDS:
            return
        for side in _reminders(night, ledger):
            _hear_of(night, side)
        looked = night.surroundings.timer()

    return look


def _beside(night: Night, ledger: Ledger) -> Iterator[SideOutcome]:
    """Send due reminders and what was deferred, where clock and zone data can be trusted."""
    if night.surroundings.stop():
        return
    try:
        check_guards(
            ledger,
            now=night.now,
            tz_version=TZDATA_VERSION,
            clock_ahead=night.settings.guard.clock_ahead,
            accept_clock=night.order.accept_clock,
        )
    except GuardError:
        return  # the due jobs say so; and nothing goes out by a clock that may be wrong
    yield from _reminders(night, ledger)
    try:
        yield from drain(night, ledger)
    except InvitesError as error:
        yield _trouble(night, "deferred", "", error)


def _reminders(night: Night, ledger: Ledger) -> Iterator[SideOutcome]:
    for job in night.settings.jobs:
        if night.surroundings.stop():
            return
        try:
            side = remind(night, ledger, job)
        except InvitesError as error:
            side = _trouble(night, "reminders", job.name, error)
        except Exception as error:  # noqa: BLE001 - reminders never end the run they go between
            failure = InvitesError(f"unexpected failure: {type(error).__name__}")
            side = _trouble(night, "reminders", job.name, failure)
        if side is not None:
            yield side


def _trouble(night: Night, what: str, scope: str, error: InvitesError) -> SideOutcome:
    cause = cause_of(error, stopped=night.surroundings.stop())
    return SideOutcome(
        what=what,  # type: ignore[arg-type]
        scope=scope,
        exit_code=cause.exit_code,
        ended={},
        text=str(error),
    )


def _locked_out(night: Night, held: TryAgainError) -> Waking:
    """Return what stays due while another run holds the lock; writes no job's state."""
    outcomes: list[JobOutcome] = []
    with open_ledger(night.settings.ledger.url, lock=False) as ledger:
        for job in night.jobs:
            due = _due_but_left(night, ledger, job)
            if due is None:
                continue
            outcome = JobOutcome(
                job=job.name,
                due=due,
                exit_code=Exit.TRY_AGAIN,
                cause=Cause.LOCK,
                text=str(held),
            )
            tell_job(night, outcome)
            _note_held(night, ledger, job, outcome)
            outcomes.append(outcome)
    return Waking(at=night.now, outcomes=tuple(outcomes), again=again(night))


def _due_but_left(night: Night, ledger: Ledger, job: Job) -> datetime | None:
    """Return the due time that would be run now; None where there is none."""
    state, now = job_state(ledger, job.name), night.now
    rule = due_rule(job)
    decision = decide(state, rule, now=now, retry_for=job.retry_for, inputs=inputs_of(night, job))
    match decision:
        case Run() | CloseAsMissed():
            return decision.due
        case _:
            return last_due(rule, now) if night.order.force else None


def _note_held(night: Night, ledger: Ledger, job: Job, outcome: JobOutcome) -> None:
    """Write down since when the lock holds this due time up, apart from the job's own state."""
    inputs = Inputs(roster="", settings="")
    before = held_state(ledger, job.name) or JobState(watermark=outcome.due - _INSTANT)
    state = after_attempt(before, outcome.due, cause=Cause.LOCK, inputs=inputs, now=night.now)
    if state.open is not None and notice_due(state.open, night.now) and notify(night, job, outcome):
        state = noticed(state)
    save_held_state(ledger, job.name, state)
