"""How a job stands, from the ledger: for the health endpoint, and for `doctor`'s dead man's look."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from invites.due.attempts import Again, OpenDue
from invites.due.rule import last_due, next_due
from invites.jobs.options import due_rule
from invites.ledger import Ledger
from invites.ledger.history import PastRun, last_run
from invites.ledger.jobs import job_state
from invites.times import local

if TYPE_CHECKING:
    from invites.settings import Job

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
