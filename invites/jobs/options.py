"""What a wake-up is asked to do, what came of it, and how a job stands in the ledger."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Literal

from invites.due.attempts import Again, Inputs, Obstacle, OpenDue
from invites.due.rule import DueRule, last_due, next_due
from invites.errors import Exit
from invites.invitation import DeliveryName
from invites.ledger import Ledger
from invites.ledger.history import PastRun, last_run
from invites.ledger.jobs import job_state
from invites.report.notice import tell_nobody
from invites.roster.source import fingerprint
from invites.sending import Effects, Renderer, RunReport
from invites.times import local

if TYPE_CHECKING:
    from invites.settings import Job, Settings


PRECEDENCE = (Exit.FAILED, Exit.SETTINGS, Exit.ROSTER, Exit.GUARD, Exit.TRY_AGAIN, Exit.IN_PART)
"""Of several jobs' exit codes the first of these is the whole call's (product.md)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """What the flags ask for; a wake-up of `schedule` has none of them.

    `jobs` are names, none for all.  `force` runs them whether due or not.  `to` stands in for the
    jobs' own delivery.  `simulated` where `--now` stands in for the clock: nobody gets a notice,
    and no old batch is removed.
    """

    jobs: tuple[str, ...] = ()
    force: bool = False
    accept: str | None = None
    accept_clock: bool = False
    after_restore: bool = False
    no_final_newline: bool = False
    claimed: tuple[str, ...] = ()
    to: DeliveryName | None = None
    dry_run: bool = False
    simulated: bool = False

    @property
    def acceptance(self) -> str:
        """What changes with each acceptance that was given, "" for none."""
        given = (
            self.accept or "",
            "clock" if self.accept_clock else "",
            "restored" if self.after_restore else "",
            "whole" if self.no_final_newline else "",
            *self.claimed,
        )
        return "\n".join(given) if any(given) else ""


@dataclass(frozen=True, kw_only=True)
class WakeUp:
    """One wake-up: the settings, the effects, the options, and who hears of what happens.

    `effects.clock` gives the present (aware); nothing here looks at another clock.
    """

    settings: Settings
    effects: Effects
    options: RunOptions = field(default_factory=RunOptions)
    tell: Callable[[logging.LogRecord], None] = tell_nobody

    @property
    def now(self) -> datetime:
        """The present (aware), anew each time."""
        return self.effects.clock()

    @property
    def jobs(self) -> tuple[Job, ...]:
        """The jobs that this wake-up looks at, in the order of the settings."""
        names = self.options.jobs
        return tuple(job for job in self.settings.jobs if not names or job.name in names)

    @cached_property
    def renderer(self) -> Renderer:
        """What makes messages; SettingsError names all that is missing, TemplateError a fault."""
        return Renderer.from_settings(self.settings)

    def delivery_of(self, job: Job) -> DeliveryName:
        """Return where the job's messages go."""
        return self.options.to or job.deliver


def due_rule(job: Job) -> DueRule:
    """Return when the job is due."""
    return DueRule(at=job.at, timezone=job.timezone, days=job.days)


def inputs_of(wakeup: WakeUp, job: Job) -> Inputs:
    """Return what a person can change to have a refused due time tried again."""
    return Inputs(
        roster=fingerprint(job.source()),
        settings=wakeup.settings.digest(),
        acceptance=wakeup.options.acceptance,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class JobOutcome:
    """What became of one due time of one job.

    `cause` is None where the due time is completed.  `text` says in one line what happened and
    what to do, `lines` are problems and refusals, one line each.
    `run` is None where nothing was planned.  `missed` where the due time was closed without having
    been completed, `caught_up` counts the earlier due times that this run stood for.
    `until` is up to when an open due time is tried again; `repeated` where the attempt before
    ended with the same cause, so that it is no news.
    """

    job: str
    due: datetime
    exit_code: Exit
    text: str
    cause: Obstacle | None = None
    lines: tuple[str, ...] = ()
    run: RunReport | None = None
    source: str = ""
    took: timedelta = timedelta(0)
    missed: bool = False
    caught_up: int = 0
    until: datetime | None = None
    repeated: bool = False

    @property
    def counts(self) -> Mapping[str, int]:
        """How many attendees each word of the plan is about, and how each message ended."""
        if self.run is None:
            return {}
        ended = {state.value: count for state, count in self.run.ended.items()}
        return {**self.run.plan.counts, **ended}


Side = Literal["reminders", "links", "deferred"]
"""What goes out beside the jobs' runs: reminders, links of dates, and what was deferred."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SideOutcome:
    """What became of reminders, of links or of deferred messages of one scope."""

    what: Side
    scope: str
    exit_code: Exit
    ended: Mapping[str, int]
    text: str = ""
    lines: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class WakeUpReport:
    """What came of a wake-up; `again` is the next instant (UTC) at which something is due."""

    at: datetime
    outcomes: tuple[JobOutcome, ...] = ()
    sides: tuple[SideOutcome, ...] = ()
    again: datetime | None = None

    @property
    def exit_code(self) -> Exit:
        """Return the exit code of the whole: the first of 1, 5, 3, 6, 75, 4 that occurred."""
        jobs = [outcome.exit_code for outcome in self.outcomes]
        return first_of([*jobs, *(side.exit_code for side in self.sides)])


def first_of(codes: Sequence[Exit]) -> Exit:
    """Return the first of 1, 5, 3, 6, 75, 4 that occurred, 0 for none."""
    return next((code for code in PRECEDENCE if code in codes), Exit.DONE)


GRACE = timedelta(minutes=15)
"""How long after a due time nobody has to have looked: three wake-ups."""

LONGEST_RUN = timedelta(hours=6)
"""A run that began this long ago and has no end is taken for dead."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobStatus:
    """What the ledger knows of a job.

    `watermark` is None for a job that no wake-up has seen.  `last_due` is the last due time that is
    not later than now, `running` the start of a run for it that has not ended.
    `pending` is the first due time not later than now that neither completed nor was closed.
    """

    job: str
    timezone: str
    watermark: datetime | None
    open: OpenDue | None
    missed: datetime | None
    last_due: datetime | None
    pending: datetime | None
    next_due: datetime
    last: PastRun | None
    last_done: PastRun | None

    def said(self, instant: datetime) -> str:
        """Return a due time or a run's as the job's own clock shows it, with the zone (IANA)."""
        return local(instant, self.timezone)

    @property
    def running(self) -> datetime | None:
        """When the run for the last due time began, if it has not ended."""
        last = self.last
        if last is None or last.finished is not None or last.due != self.last_due:
            return None
        return last.started


def status_of(ledger: Ledger, job: Job, *, now: datetime) -> JobStatus:
    """Return how the job stands at `now` (aware)."""
    state = job_state(ledger, job.name)
    waits = state is not None and state.open is not None and state.open.due > state.watermark
    first = None if state is None else next_due(due_rule(job), state.watermark)
    return JobStatus(
        job=job.name,
        timezone=job.timezone,
        watermark=None if state is None else state.watermark,
        open=state.open if state is not None and waits else None,
        missed=None if state is None else state.missed,
        last_due=last_due(due_rule(job), now),
        pending=first if first is not None and first <= now else None,
        next_due=next_due(due_rule(job), now),
        last=last_run(ledger, job.name),
        last_done=last_run(ledger, job.name, done=True),
    )


def missed(status: JobStatus, *, now: datetime) -> str | None:
    """Return why the job's last due time counts as missed, with what to do; None where it does not.

    One that is being run, or waits for what mends itself, has its time.
    """
    due = status.last_due
    if status.watermark is None:
        return (
            "no wake-up has seen this job yet; start `invites schedule`, or have `invites run` "
            "called every five minutes"
        )
    if due is not None and status.missed == due:
        return f"missed its due time {status.said(due)}; `invites history` shows its last runs"
    if due is None or due <= status.watermark:
        return None
    if status.open is not None and status.open.due == due:
        return _held_up(status, status.open, now=now)
    return _nobody_came(status, due, now=now)


def late(status: JobStatus, *, now: datetime) -> str | None:
    """Return why a due time is late, with what to do; None where all that were due completed.

    Late from a quarter of an hour after the due time, whatever is being tried, until one completed:
    whoever watches from outside wants to know that nothing went out, not that it still may.
    """
    if (why := missed(status, now=now)) is not None or status.watermark is None:
        return why
    if status.missed is not None and status.missed >= status.watermark:
        return (
            f"missed its due time {status.said(status.missed)}, and none has completed since; "
            "`invites history` shows its last runs"
        )
    due = status.pending
    if due is None or now - due <= GRACE:
        return None
    if status.open is not None:
        return _not_done(status, status.open)
    if status.running is not None:
        return (
            f"was due {status.said(due)} and is still being run, since {status.said(status.running)}; "
            "`invites history` shows its last runs"
        )
    return _not_run(status, due)


def _nobody_came(status: JobStatus, due: datetime, *, now: datetime) -> str | None:
    is_run = status.running is not None and now - status.running <= LONGEST_RUN
    if is_run or now - due <= GRACE:
        return None
    return _not_run(status, due)


def _not_run(status: JobStatus, due: datetime) -> str:
    return (
        f"was due {status.said(due)}, and nothing has run it; see whether `invites schedule` is up, or "
        "the timer or crontab that calls `invites run`"
    )


def _held_up(status: JobStatus, tried: OpenDue, *, now: datetime) -> str | None:
    needs_somebody = tried.cause.again is Again.WHEN_INPUTS_CHANGE
    if not needs_somebody and now - tried.since < max(tried.cause.patience, GRACE):
        return None
    return _not_done(status, tried)


def _not_done(status: JobStatus, tried: OpenDue) -> str:
    return (
        f"was due {status.said(tried.due)} and is not done after {tried.attempts} attempts: "
        f"{tried.cause.value} (exit {int(tried.cause.exit_code)}); `invites run` says more"
    )
