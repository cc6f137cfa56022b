"""Stays awake: APScheduler wakes the program up, the ledger's watermark decides what is due.

Nothing of APScheduler's own sense of time is relied on: its triggers are plain UTC instants, its
store is this process's memory, and a wake-up that comes late or twice does no harm.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Protocol

from apscheduler.executors.pool import ThreadPoolExecutor  # type: ignore[import-untyped]
from apscheduler.schedulers.background import BackgroundScheduler  # type: ignore[import-untyped]
from apscheduler.triggers.date import DateTrigger  # type: ignore[import-untyped]
from apscheduler.triggers.interval import IntervalTrigger  # type: ignore[import-untyped]

from invites.due.rule import last_due
from invites.errors import Exit, InvitesError, SettingsError, TryAgainError
from invites.jobs.attempt import cause_of
from invites.jobs.health import Health, serving
from invites.jobs.notify import notify
from invites.jobs.options import JobOutcome, JobStatus, WakeUp, WakeUpReport, due_rule, status_of
from invites.jobs.wake import wake_up
from invites.ledger import open_ledger
from invites.report.notice import record
from invites.sending import Effects, Renderer

if TYPE_CHECKING:
    from invites.settings import Settings

WAKE_EVERY = timedelta(minutes=5)


class Calls(Protocol):
    """What the world asks of the schedule; the command line makes it of signals."""

    def stop(self) -> bool:
        """Tell whether to stop."""

    def reload(self) -> bool:
        """Tell whether the settings are to be read again, once for each time that was asked."""

    def wait(self) -> None:
        """Return when something was asked."""


class Schedule:
    """Runs the jobs when they are due, until it is asked to stop."""

    def __init__(
        self,
        load: Callable[[], Settings],
        *,
        effects: Effects,
        calls: Calls,
        tell: Callable[[logging.LogRecord], None],
    ) -> None:
        """Read the settings; raises SettingsError, TemplateError, LedgerError where they lack.

        `effects.stop` must say what `calls.stop` says.
        """
        self._load = load
        self._effects = effects
        self._calls = calls
        self._tell = tell
        self._settings = checked(load())
        self._demand_ledger()
        self._health = Health(effects.clock, self._settings.roster.timezone)
        self._interrupted = False
        self._awake = threading.Lock()
        self._watermarks: dict[str, datetime] = {}
        self._told: set[tuple[str, datetime]] = set()
        self._scheduler = BackgroundScheduler(
            timezone=UTC,
            executors={"default": ThreadPoolExecutor(1)},  # wake-ups never overlap
            job_defaults={"misfire_grace_time": None, "coalesce": True, "max_instances": 1},
        )
        logging.getLogger("apscheduler").setLevel(logging.CRITICAL)

    def run(self) -> bool:
        """Wake up until asked to stop; tell whether work was left undone by stopping."""
        with serving(self._health, self._settings.schedule.listen) as port:
            self._say_started(port)
            self._scheduler.add_job(
                self._wake, IntervalTrigger(seconds=int(WAKE_EVERY.total_seconds())), id="every"
            )
            self._wake_at(datetime.now(UTC), "now")
            self._scheduler.start()
            try:
                self._wait()
            finally:
                self._end()
            self._tell(record("stopped", "stopped by a signal"))
        return self._interrupted

    def _wait(self) -> None:
        while True:
            self._calls.wait()
            if self._calls.stop():
                return
            if self._calls.reload():
                self._reload()

    def _end(self) -> None:
        """Let the wake-up in hand end, then end APScheduler.

        Its own shutdown holds the lock while it waits that a wake-up needs to set the next one.
        """
        with self._awake:
            self._scheduler.shutdown(wait=False)

    def _demand_ledger(self) -> None:
        try:
            with open_ledger(self._settings.ledger.url, lock=False):
                pass
        except TryAgainError as error:
            self._tell(record("ledger_down", str(error), level=logging.WARNING))

    def _reload(self) -> None:
        """Read the settings again; what is wrong with them keeps the old ones."""
        listen = self._settings.schedule.listen
        try:
            self._settings = checked(self._load())
        except InvitesError as error:
            text = f"the settings were not taken, the old ones stay: {error}"
            self._tell(record("reload_refused", text, level=logging.ERROR))
            return
        jobs = ", ".join(job.name for job in self._settings.jobs)
        self._tell(record("reloaded", f"the settings were read again; jobs: {jobs}"))
        if self._settings.schedule.listen != listen:
            text = "[schedule] listen changed; it counts from the next start on"
            self._tell(record("reloaded", text, level=logging.WARNING))
        self._wake_at(datetime.now(UTC), "now")

    def _say_started(self, port: int | None) -> None:
        jobs = ", ".join(job.name for job in self._settings.jobs)
        at = "" if port is None else f"; health on port {port}"
        self._tell(record("started", f"awake for the jobs {jobs}{at}", facts={"port": port}))

    def _wake_at(self, instant: datetime, name: str) -> None:
        self._scheduler.add_job(self._wake, DateTrigger(instant), id=name, replace_existing=True)

    def _wake(self) -> None:
        """Wake up once, in APScheduler's one thread; nothing that goes wrong ends the schedule."""
        with self._awake:
            if not self._calls.stop():
                self._wake_up()

    def _wake_up(self) -> None:
        self._health.woke()
        report, trouble = self._woken()
        statuses = self._statuses()
        self._health.slept(report, statuses, trouble)
        for status in statuses:
            if status.watermark is not None:
                self._watermarks[status.job] = status.watermark
        if report is None:
            return
        if self._calls.stop():
            self._interrupted = report.exit_code is Exit.TRY_AGAIN
        elif report.again is not None:
            self._wake_at(report.again, "due")

    def _woken(self) -> tuple[WakeUpReport | None, str]:
        wakeup = WakeUp(settings=self._settings, effects=self._effects, tell=self._tell)
        try:
            return wake_up(wakeup), ""
        except Exception as error:  # noqa: BLE001 - the next wake-up may do better
            failure = InvitesError.of(error)
        self._tell(record("wake_up_failed", str(failure), level=logging.ERROR))
        self._tell_people(wakeup, failure)
        return None, str(failure)

    def _tell_people(self, wakeup: WakeUp, failure: InvitesError) -> None:
        """Mail once for each due time that a ledger which can't be opened holds up.

        What was told is remembered here alone, for there is no ledger to write it into.
        """
        cause = cause_of(failure, stopped=False)
        for job in wakeup.jobs:
            due = last_due(due_rule(job), wakeup.now)
            done = self._watermarks.get(job.name)
            if due is None or done is None or due <= done or (job.name, due) in self._told:
                continue
            outcome = JobOutcome(
                job=job.name, due=due, exit_code=cause.exit_code, cause=cause, text=str(failure)
            )
            if notify(wakeup, job, outcome):
                self._told.add((job.name, due))

    def _statuses(self) -> list[JobStatus]:
        now = self._effects.clock()
        try:
            with open_ledger(self._settings.ledger.url, lock=False) as ledger:
                return [status_of(ledger, job, now=now) for job in self._settings.jobs]
        except InvitesError:
            return []  # the wake-up itself has said so


def checked(settings: Settings) -> Settings:
    """Return settings that have jobs and all that their runs need; raises SettingsError."""
    if not settings.jobs:
        raise SettingsError(
            f"{settings.source or 'invites.toml'}: found no [[job]], expected one or more; "
            "invites.example.toml shows one"
        )
    Renderer.from_settings(settings)
    return settings
