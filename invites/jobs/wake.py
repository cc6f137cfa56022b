"""One wake-up: what is due is run, reminders go out, what was deferred is tried again.

The ledger's watermark decides; any number of wake-ups, processes and hosts have one effect for each
due time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import datetime

from invites.delivery.base import clean_up_outbox
from invites.due.rule import next_due
from invites.errors import GuardError, InvitesError, TryAgainError
from invites.jobs.attempt import cause_of
from invites.jobs.attend import attended, left_by_stop, left_locked, tell_untold
from invites.jobs.notify import notify_of_side
from invites.jobs.options import JobOutcome, SideOutcome, WakeUp, WakeUpReport, due_rule
from invites.jobs.rehearse import rehearse
from invites.jobs.remind import remind
from invites.jobs.retry import drain
from invites.jobs.tell import tell_job, tell_side
from invites.ledger import Ledger, open_ledger
from invites.ledger.runs import check_guards
from invites.times import TZDATA_VERSION

REMIND_EVERY_SECONDS = 60.0
"""How often a long run looks for reminders that became due."""


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
            return _locked_out(wakeup, str(held))
        return _at_work(wakeup, ledger)


def _at_work(wakeup: WakeUp, ledger: Ledger) -> WakeUpReport:
    if _clock_is_trusted(wakeup, ledger):
        # By a clock that lies, every batch may look old, and its messages would be gone.
        clean_up_outbox(wakeup.settings, now=wakeup.now, keep_old=wakeup.options.simulated)
    outcomes: list[JobOutcome] = []
    for job in wakeup.jobs:
        if wakeup.effects.stop():
            found = left_by_stop(wakeup, ledger, job)
        else:
            found = attended(wakeup, ledger, job, on_message=_reminding(wakeup, ledger))
        for outcome in found:
            tell_job(wakeup, outcome)
            outcomes.append(outcome)
        tell_untold(wakeup, ledger, job)
    sides = [_told(wakeup, side) for side in _beside(wakeup, ledger)]
    return WakeUpReport(
        at=wakeup.now, outcomes=tuple(outcomes), sides=tuple(sides), again=again(wakeup)
    )


def _locked_out(wakeup: WakeUp, text: str) -> WakeUpReport:
    """Return what stays due while another run holds the lock; writes no job's state."""
    outcomes: list[JobOutcome] = []
    with open_ledger(wakeup.settings.ledger.url, lock=False) as ledger:
        for job in wakeup.jobs:
            outcome = left_locked(wakeup, ledger, job, text)
            if outcome is not None:
                tell_job(wakeup, outcome)
                outcomes.append(outcome)
    return WakeUpReport(at=wakeup.now, outcomes=tuple(outcomes), again=again(wakeup))


def again(wakeup: WakeUp) -> datetime | None:
    """Return the next instant (UTC) at which a job is due; None without jobs."""
    now = wakeup.now
    return min((next_due(due_rule(job), now) for job in wakeup.settings.jobs), default=None)


def _reminding(wakeup: WakeUp, ledger: Ledger) -> Callable[[], None]:
    """Return what a long run does before each message: look for due reminders, once a minute."""
    looked = wakeup.effects.timer()

    def look() -> None:
        nonlocal looked
        if wakeup.effects.timer() - looked < REMIND_EVERY_SECONDS:
            return
        for side in _reminders(wakeup, ledger):
            _told(wakeup, side)
        looked = wakeup.effects.timer()

    return look


def _told(wakeup: WakeUp, side: SideOutcome) -> SideOutcome:
    tell_side(wakeup, side)
    notify_of_side(wakeup, side)
    return side


def _beside(wakeup: WakeUp, ledger: Ledger) -> Iterator[SideOutcome]:
    """Send due reminders and what was deferred, where clock and zone data can be trusted."""
    if wakeup.effects.stop() or not _clock_is_trusted(wakeup, ledger):
        return  # the due jobs say so; and nothing goes out by a clock that may be wrong
    yield from _reminders(wakeup, ledger)
    try:
        yield from drain(wakeup, ledger)
    except InvitesError as error:
        yield _trouble(wakeup, "deferred", "", error)


def _clock_is_trusted(wakeup: WakeUp, ledger: Ledger) -> bool:
    """Tell whether this clock and these zone data pass the ledger's guards."""
    try:
        check_guards(
            ledger,
            now=wakeup.now,
            tz_version=TZDATA_VERSION,
            clock_ahead=wakeup.settings.guard.clock_ahead,
            accept_clock=wakeup.options.accept_clock,
        )
    except GuardError:
        return False
    return True


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
