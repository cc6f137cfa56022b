"""One job at one wake-up: what is due is run, written down, and told.

Read from top to bottom: `DueJob.outcomes` asks what there is to do, `_run` does it, `_written` keeps
what came of it, and what follows says who hears of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from invites.due.attempts import (
    ClockBehind,
    CloseAsMissed,
    Decision,
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
from invites.due.rule import DueRule, last_due, next_due
from invites.errors import InvitesError
from invites.jobs.attempt import attempted, cause_of
from invites.jobs.notify import Signal, is_told, notify, ping
from invites.jobs.options import JobOutcome, WakeUp, due_rule, inputs_of
from invites.ledger import Ledger
from invites.ledger.jobs import held_state, job_state, save_held_state, save_job_state

if TYPE_CHECKING:
    from invites.settings import Job

_INSTANT = timedelta(seconds=1)


@dataclass(kw_only=True)
class DueJob:
    """One job at one wake-up; `state` is what the ledger knows of it, None before the first look.

    `on_message` is called before each message of a run.
    """

    wakeup: WakeUp
    ledger: Ledger
    job: Job
    on_message: Callable[[], None] = lambda: None
    state: JobState | None = field(init=False)
    inputs: Inputs = field(init=False)
    rule: DueRule = field(init=False)

    def __post_init__(self) -> None:
        """Look at the ledger, and at what a person can change."""
        self.state = job_state(self.ledger, self.job.name)
        self.inputs = inputs_of(self.wakeup, self.job)
        self.rule = due_rule(self.job)

    def outcomes(self) -> Iterator[JobOutcome]:
        """Do what there is to do; yields an outcome for each due time that was touched."""
        options = self.wakeup.options
        while True:
            match self._decision():
                case Watch(state=state):
                    self._save(state)
                case CloseAsMissed() as decision:
                    yield self._close(decision)
                case ClockBehind() if options.accept_clock:
                    self._save(self._state_with_clock_accepted())
                case ClockBehind(by=by):
                    yield self._clock_behind(by)
                    return
                case Run() as due:
                    yield self._run(due)
                    return
                case Wait():
                    if options.force and (forced := self._forced()) is not None:
                        yield self._run(forced)
                    return

    def rehearsed(self) -> Iterator[JobOutcome]:
        """Yield what would become of what is due; nothing is written down."""
        due = self._due_but_left()
        if due is not None:
            tried = None if self.state is None else self.state.open
            yield attempted(
                self.wakeup, self.ledger, self.job, Run(due=due), tried, on_message=self.on_message
            )

    def left_by_stop(self) -> Iterator[JobOutcome]:
        """Yield the due time that a signal keeps from being begun; it stays as it was."""
        due = self._due_but_left()
        if due is not None:
            text = "stopped by a signal before it began; run again"
            yield self._open(due, Obstacle.STOPPED, text)

    def left_locked(self, why: str) -> Iterator[JobOutcome]:
        """Yield the due time that another run's lock holds up, and note since when it does.

        That stands apart from the job's own state, which is the lock's holder's to write.
        """
        due, now = self._due_but_left(), self.wakeup.now
        if due is None:
            return
        outcome = self._open(due, Obstacle.LOCK, why)
        before = held_state(self.ledger, self.job.name) or JobState(watermark=due - _INSTANT)
        inputs = Inputs(roster="", settings="")
        state = after_attempt(before, due, cause=Obstacle.LOCK, inputs=inputs, now=now)
        tried = state.open
        if tried is not None and notice_due(tried, now) and self._notified(outcome):
            state = noticed(state)
        save_held_state(self.ledger, self.job.name, state)
        yield outcome

    def tell_untold(self) -> None:
        """Send the notices that could not be sent when their due times ended, once mail works."""
        if self.state is None or self.wakeup.options.simulated:
            return
        left = [*self.state.untold]
        while left and self._notified(self._end_of(left[0], repeated=True)):
            left.pop(0)
        if len(left) < len(self.state.untold):
            self._save(replace(self.state, untold=tuple(left)))

    def _decision(self) -> Decision:
        return decide(
            self.state,
            self.rule,
            now=self.wakeup.now,
            retry_for=self.job.retry_for,
            inputs=self.inputs,
        )

    def _due_but_left(self) -> datetime | None:
        """Return the due time that would be run now; None where there is none."""
        match self._decision():
            case (Run() | CloseAsMissed()) as decision:
                return decision.due
            case _:
                force = self.wakeup.options.force
                return last_due(self.rule, self.wakeup.now) if force else None

    def _forced(self) -> Run | None:
        """Return the due time that `--force` runs: the open one, else the last."""
        state = self.state
        if state is not None and state.open is not None and state.open.due > state.watermark:
            return Run(due=state.open.due)
        due = last_due(self.rule, self.wakeup.now)
        return None if due is None else Run(due=due)

    def _known_state(self) -> JobState:
        if self.state is None:
            raise AssertionError("a job that runs or missed a due time has been seen")
        return self.state

    def _save(self, state: JobState) -> None:
        save_job_state(self.ledger, self.job.name, state)
        self.state = state

    def _state_with_clock_accepted(self) -> JobState:
        """Return a state whose watermark lies just before the last due time: that one is run."""
        now = self.wakeup.now
        due = last_due(self.rule, now)
        watermark = now if due is None else due - _INSTANT
        if self.state is None:
            return JobState(watermark=watermark)
        return JobState(watermark=watermark, missed=self.state.missed, untold=self.state.untold)

    def _run(self, due: Run) -> JobOutcome:
        """Attempt the due time, write down what came of it, and tell people who are to know."""
        tried = self._known_state().open
        ping(self.wakeup, self.job, Signal.START)
        outcome = attempted(
            self.wakeup, self.ledger, self.job, due, tried, on_message=self.on_message
        )
        ping(self.wakeup, self.job, Signal.SUCCESS if outcome.cause is None else Signal.FAILURE)
        try:
            return self._written(outcome)
        except InvitesError as error:
            # What went out stays told: it is the record of it that is missing.
            cause = cause_of(error, stopped=False)
            return replace(
                outcome,
                cause=cause,
                exit_code=cause.exit_code,
                lines=(outcome.text, *outcome.lines),
                text=f"how it ended could not be written down: {error}",
            )

    def _written(self, outcome: JobOutcome) -> JobOutcome:
        state = self._known_state()
        if outcome.cause is None:
            self._save(completed(state, outcome.due))
            if is_told(self.job, outcome) and not self._notified(outcome):
                self._keep_untold(outcome)
            return outcome
        if outcome.due <= state.watermark:  # forced once more after it was done
            self._notified(outcome)
            return outcome
        return self._noted_as_open(outcome, outcome.cause)

    def _noted_as_open(self, outcome: JobOutcome, cause: Obstacle) -> JobOutcome:
        """Write down that a due time stays open, and tell people once for each cause."""
        state, now = self._known_state(), self.wakeup.now
        earlier = state.open
        self._save(after_attempt(state, outcome.due, cause=cause, inputs=self.inputs, now=now))
        repeated = earlier is not None and (earlier.due, earlier.cause) == (outcome.due, cause)
        outcome = replace(outcome, repeated=repeated)
        state = self._known_state()
        tried = state.open
        if tried is None:
            return outcome
        if tried.due > state.watermark:
            until = min(tried.first_attempt + self.job.retry_for, next_due(self.rule, tried.due))
            outcome = replace(outcome, until=until)
        # A notice that could not be sent is not noted: the next attempt tries it again.
        if notice_due(tried, now) and self._notified(outcome):
            self._save(noticed(state))
        return outcome

    def _notified(self, outcome: JobOutcome) -> bool:
        return notify(self.wakeup, self.job, outcome)

    def _close(self, decision: CloseAsMissed) -> JobOutcome:
        """Close a due time as missed: written down first, so that the notice goes out once."""
        self._save(closed(self._known_state(), decision.due))
        cause = decision.cause
        outcome = self._end_of(Untold(decision.due, cause.exit_code, cause=cause))
        ping(self.wakeup, self.job, Signal.FAILURE)
        if not self._notified(outcome):
            self._keep_untold(outcome)
        return outcome

    def _keep_untold(self, outcome: JobOutcome) -> None:
        end = Untold(outcome.due, outcome.exit_code, cause=outcome.cause)
        self._save(with_untold(self._known_state(), end))

    def _end_of(self, end: Untold, *, repeated: bool = False) -> JobOutcome:
        """Return the outcome of a due time of which only its end is still known."""
        if end.cause is None:
            text = "this notice could not be sent at the time; `invites history` shows the run"
        else:
            text = f"closed as missed; the last attempt ended with: {end.cause.value}"
        return JobOutcome(
            job=self.job.name,
            due=end.due,
            exit_code=end.exit_code,
            cause=end.cause,
            missed=end.cause is not None,
            repeated=repeated,
            text=text,
            source=" + ".join(place.text for place in self.job.roster),
        )

    def _clock_behind(self, by: timedelta) -> JobOutcome:
        due = last_due(self.rule, self.wakeup.now) or self.wakeup.now
        outcome = self._open(
            due,
            Obstacle.CLOCK,
            f"clock: it is {by.total_seconds() / 60:.0f} minutes behind the last due time that was "
            "done; expected a clock that is right; set it, or give --accept-clock if it is",
        )
        return outcome if self.state is None else self._noted_as_open(outcome, Obstacle.CLOCK)

    def _open(self, due: datetime, cause: Obstacle, text: str) -> JobOutcome:
        """Return the outcome of a due time that stays open without an attempt."""
        return JobOutcome(
            job=self.job.name, due=due, exit_code=cause.exit_code, cause=cause, text=text
        )
