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

from invites.delivery.base import clean_up_outbox
from invites.errors import Exit, GuardError, InvitesError, TryAgainError
from invites.jobs.attempt import DueNow, attempted, cause_of
from invites.jobs.notify import is_told, notify, notify_of_side
from invites.jobs.options import JobOutcome, SideOutcome, WakeUp, WakeUpReport, due_rule, inputs_of
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


def wake_up(wakeup: WakeUp) -> WakeUpReport:
    """Do all that is to be done now, under the ledger's lock, and return what came of it.

    With `--dry-run` it only says what would come of it.
    Where another run holds the lock, what is due stays due (75), and no job's state is written.
    Raises LedgerError for a ledger that is missing or newer, TryAgainError where its server is
    down; what happens to single jobs is in the outcomes.
    """
    if wakeup.options.dry_run:
        return rehearse(wakeup)
    with ExitStack() as stack:
        try:
            ledger = stack.enter_context(
                open_ledger(
                    wakeup.settings.ledger.url,
                    lock=True,
                    after_restore=wakeup.options.after_restore,
                )
            )
        except TryAgainError as held:
            return _locked_out(wakeup, held)
        return _at_work(wakeup, ledger)


def _at_work(wakeup: WakeUp, ledger: Ledger) -> WakeUpReport:
    clean_up_outbox(wakeup.settings, now=wakeup.now, keep_old=wakeup.options.simulated)
    outcomes: list[JobOutcome] = []
    sides: list[SideOutcome] = []
    for job in wakeup.jobs:
        attend = _left_by_stop if wakeup.effects.stop() else _attended
        outcomes += _told(wakeup, attend(wakeup, ledger, job))
    for side in _beside(wakeup, ledger):
        _hear_of(wakeup, side)
        sides.append(side)
    return WakeUpReport(
        at=wakeup.now, outcomes=tuple(outcomes), sides=tuple(sides), again=again(wakeup)
    )


def _hear_of(wakeup: WakeUp, side: SideOutcome) -> None:
    tell_side(wakeup, side)
    notify_of_side(wakeup, side)


def again(wakeup: WakeUp) -> datetime | None:
    """Return the next instant (UTC) at which a job is due; None without jobs."""
    now = wakeup.now
    return min((next_due(due_rule(job), now) for job in wakeup.settings.jobs), default=None)


def _told(wakeup: WakeUp, outcomes: Iterator[JobOutcome]) -> Iterator[JobOutcome]:
    for outcome in outcomes:
        tell_job(wakeup, outcome)
        yield outcome


def _attended(wakeup: WakeUp, ledger: Ledger, job: Job) -> Iterator[JobOutcome]:
    """Do what there is to do for one job; yields an outcome for each due time that it touched."""
    rule, inputs, state = due_rule(job), inputs_of(wakeup, job), job_state(ledger, job.name)
    while True:
        now = wakeup.now
        decision = decide(state, rule, now=now, retry_for=job.retry_for, inputs=inputs)
        match decision:
            case Watch():
                state = decision.state
                save_job_state(ledger, job.name, state)
            case CloseAsMissed():
                state, outcome = _closed(wakeup, ledger, job, state, decision)
                yield outcome
            case ClockBehind() if wakeup.options.accept_clock:
                state = _with_clock_accepted(state, job, now)
                save_job_state(ledger, job.name, state)
            case ClockBehind():
                yield _clock_behind(wakeup, ledger, job, state, decision, inputs)
                return
            case Run():
                due_now = DueNow(due=decision.due, caught_up=decision.caught_up)
                yield _run(wakeup, ledger, job, state, due_now, inputs)
                return
            case Wait():
                if wakeup.options.force and (forced := _forced(state, job, now)) is not None:
                    yield _run(wakeup, ledger, job, state, forced, inputs)
                return


def _left_by_stop(wakeup: WakeUp, ledger: Ledger, job: Job) -> Iterator[JobOutcome]:
    """Yield the due time that a signal keeps from being begun; it stays as it was."""
    due = _due_but_left(wakeup, ledger, job)
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
    wakeup: WakeUp,
    ledger: Ledger,
    job: Job,
    state: JobState | None,
    due_now: DueNow,
    inputs: Inputs,
) -> JobOutcome:
    """Attempt the due time, write down what came of it, and tell people where they are to know."""
    if state is None:
        raise AssertionError("a job that runs has been seen")
    outcome = attempted(wakeup, ledger, job, due_now, state, on_message=_between(wakeup, ledger))
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
        save_job_state(ledger, job.name, completed(state, outcome.due))
        if is_told(job, outcome):
            notify(wakeup, job, outcome)
        return outcome
    if outcome.due <= state.watermark:  # forced once more after it was done
        notify(wakeup, job, outcome)
        return outcome
    now = wakeup.now
    state = after_attempt(state, outcome.due, cause=outcome.cause, inputs=inputs, now=now)
    outcome = replace(outcome, until=_tried_until(state, job))
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
    outcome = JobOutcome(
        job=job.name,
        due=decision.due,
        exit_code=decision.cause.exit_code,
        cause=decision.cause,
        missed=True,
        text=f"closed as missed; the last attempt ended with: {decision.cause.value}",
        source=" + ".join(place.text for place in job.roster),
    )
    notify(wakeup, job, outcome)
    return state, outcome


def _clock_behind(
    wakeup: WakeUp,
    ledger: Ledger,
    job: Job,
    state: JobState | None,
    decision: ClockBehind,
    inputs: Inputs,
) -> JobOutcome:
    now = wakeup.now
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
        _notify_once(wakeup, ledger, job, state, outcome)
    return outcome


def _between(wakeup: WakeUp, ledger: Ledger) -> Callable[[], None]:
    """Return what a long run does before each message: look for due reminders, once a minute."""
    looked = wakeup.effects.timer()

    def look() -> None:
        nonlocal looked
        if wakeup.effects.timer() - looked < REMIND_EVERY_SECONDS:
            return
        for side in _reminders(wakeup, ledger):
            _hear_of(wakeup, side)
        looked = wakeup.effects.timer()

    return look


def _beside(wakeup: WakeUp, ledger: Ledger) -> Iterator[SideOutcome]:
    """Send due reminders and what was deferred, where clock and zone data can be trusted."""
    if wakeup.effects.stop():
        return
    try:
        check_guards(
            ledger,
            now=wakeup.now,
            tz_version=TZDATA_VERSION,
            clock_ahead=wakeup.settings.guard.clock_ahead,
            accept_clock=wakeup.options.accept_clock,
        )
    except GuardError:
        return  # the due jobs say so; and nothing goes out by a clock that may be wrong
    yield from _reminders(wakeup, ledger)
    try:
        yield from drain(wakeup, ledger)
    except InvitesError as error:
        yield _trouble(wakeup, "deferred", "", error)


def _reminders(wakeup: WakeUp, ledger: Ledger) -> Iterator[SideOutcome]:
    for job in wakeup.settings.jobs:
        if wakeup.effects.stop():
            return
        try:
            side = remind(wakeup, ledger, job)
        except InvitesError as error:
            side = _trouble(wakeup, "reminders", job.name, error)
        except Exception as error:  # noqa: BLE001 - reminders never end the run they go between
            failure = InvitesError(f"unexpected failure: {type(error).__name__}")
            side = _trouble(wakeup, "reminders", job.name, failure)
        if side is not None:
            yield side


def _trouble(wakeup: WakeUp, what: str, scope: str, error: InvitesError) -> SideOutcome:
    cause = cause_of(error, stopped=wakeup.effects.stop())
    return SideOutcome(
        what=what,  # type: ignore[arg-type]
        scope=scope,
        exit_code=cause.exit_code,
        ended={},
        text=str(error),
    )


def _locked_out(wakeup: WakeUp, held: TryAgainError) -> WakeUpReport:
    """Return what stays due while another run holds the lock; writes no job's state."""
    outcomes: list[JobOutcome] = []
    with open_ledger(wakeup.settings.ledger.url, lock=False) as ledger:
        for job in wakeup.jobs:
            due = _due_but_left(wakeup, ledger, job)
            if due is None:
                continue
            outcome = JobOutcome(
                job=job.name,
                due=due,
                exit_code=Exit.TRY_AGAIN,
                cause=Cause.LOCK,
                text=str(held),
            )
            tell_job(wakeup, outcome)
            _note_held(wakeup, ledger, job, outcome)
            outcomes.append(outcome)
    return WakeUpReport(at=wakeup.now, outcomes=tuple(outcomes), again=again(wakeup))


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


def _note_held(wakeup: WakeUp, ledger: Ledger, job: Job, outcome: JobOutcome) -> None:
    """Write down since when the lock holds this due time up, apart from the job's own state."""
    inputs = Inputs(roster="", settings="")
    before = held_state(ledger, job.name) or JobState(watermark=outcome.due - _INSTANT)
    state = after_attempt(before, outcome.due, cause=Cause.LOCK, inputs=inputs, now=wakeup.now)
    if (
        state.open is not None
        and notice_due(state.open, wakeup.now)
        and notify(wakeup, job, outcome)
    ):
        state = noticed(state)
    save_held_state(ledger, job.name, state)
