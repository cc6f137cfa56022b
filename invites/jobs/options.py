"""What a wake-up is asked to do, and what came of it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Literal

from invites.due.attempts import Inputs, Obstacle
from invites.due.rule import DueRule
from invites.errors import Exit
from invites.model import DeliveryName
from invites.report.notice import tell_nobody
from invites.roster.source import fingerprint
from invites.sending import Effects, Renderer, RunReport

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
