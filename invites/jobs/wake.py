"""One wake-up, from top to bottom: due jobs are run, links and reminders go out, what was deferred is tried.

The ledger's watermark decides; any number of wake-ups, processes and hosts have one effect for each
due time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack
from datetime import datetime
from functools import partial

from invites.delivery.base import clean_up_outbox
from invites.due.rule import next_due
from invites.errors import GuardError, InvitesError, TryAgainError
from invites.invitation import DeliveryName
from invites.jobs.attempt import cause_of, delivery_opener, side_options, summed_up, unsent_line
from invites.jobs.attend import DueJob
from invites.jobs.notify import notify_of_side, tell_job, tell_side
from invites.jobs.options import JobOutcome, Side, SideOutcome, WakeUp, WakeUpReport, due_rule
from invites.ledger import Ledger, open_ledger
from invites.ledger.history import Waiting, scopes, waiting
from invites.ledger.runs import check_guards
from invites.planning.state import State
from invites.sending import RunReport, drain, give_links, remind
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
    options = wakeup.options
    with ExitStack() as stack:
        try:
            ledger = stack.enter_context(
                open_ledger(
                    wakeup.settings.ledger.url,
                    lock=not options.dry_run,
                    after_restore=options.after_restore,
                    outbox=wakeup.settings.delivery.folder,
                )
            )
        except TryAgainError as held:
            if options.dry_run:
                raise
            return _locked_out(wakeup, str(held))
        return _rehearsed(wakeup, ledger) if options.dry_run else _at_work(wakeup, ledger)


def _at_work(wakeup: WakeUp, ledger: Ledger) -> WakeUpReport:
    if _clock_is_trusted(wakeup, ledger):
        # By a clock that lies, every batch may look old, and its messages would be gone.
        clean_up_outbox(wakeup.settings, now=wakeup.now, keep_old=wakeup.options.simulated)
    outcomes: list[JobOutcome] = []
    for job in wakeup.jobs:
        on_message = _reminding(wakeup, ledger)
        due_job = DueJob(wakeup=wakeup, ledger=ledger, job=job, on_message=on_message)
        stopped = wakeup.effects.stop()
        outcomes += _told(wakeup, due_job.left_by_stop() if stopped else due_job.outcomes())
        due_job.tell_untold()
    sides: list[SideOutcome] = []
    if _clock_is_trusted(wakeup, ledger):  # else the due jobs have said so
        sides += _sides_told(wakeup, _links(wakeup, ledger))
        sides += _sides_told(wakeup, _reminders(wakeup, ledger))
        sides += _sides_told(wakeup, _deferred(wakeup, ledger))
    return WakeUpReport(
        at=wakeup.now, outcomes=tuple(outcomes), sides=tuple(sides), again=_again(wakeup)
    )


def _locked_out(wakeup: WakeUp, text: str) -> WakeUpReport:
    """Return what stays due while another run holds the lock; writes no job's state."""
    with open_ledger(wakeup.settings.ledger.url, lock=False) as ledger:
        jobs = (DueJob(wakeup=wakeup, ledger=ledger, job=job) for job in wakeup.jobs)
        outcomes = _told(wakeup, (outcome for job in jobs for outcome in job.left_locked(text)))
    return WakeUpReport(at=wakeup.now, outcomes=tuple(outcomes), again=_again(wakeup))


def _rehearsed(wakeup: WakeUp, ledger: Ledger) -> WakeUpReport:
    """Return what would become of what is due: reads, plans, composes, and writes nothing."""
    ledger.demand_sound()
    jobs = (DueJob(wakeup=wakeup, ledger=ledger, job=job) for job in wakeup.jobs)
    outcomes = _told(wakeup, (outcome for job in jobs for outcome in job.rehearsed()))
    return WakeUpReport(at=wakeup.now, outcomes=tuple(outcomes))


def _again(wakeup: WakeUp) -> datetime | None:
    """Return the next instant (UTC) at which a job is due; None without jobs."""
    now = wakeup.now
    return min((next_due(due_rule(job), now) for job in wakeup.settings.jobs), default=None)


def _told(wakeup: WakeUp, outcomes: Iterable[JobOutcome]) -> list[JobOutcome]:
    """Tell the log of each outcome as soon as it is there."""
    told = []
    for outcome in outcomes:
        tell_job(wakeup, outcome)
        told.append(outcome)
    return told


def _sides_told(wakeup: WakeUp, sides: Iterable[SideOutcome]) -> list[SideOutcome]:
    told = []
    for side in sides:
        tell_side(wakeup, side)
        notify_of_side(wakeup, side)
        told.append(side)
    return told


def _clock_is_trusted(wakeup: WakeUp, ledger: Ledger) -> bool:
    """Tell whether this clock and these zone data pass the ledger's guards."""
    try:
        check_guards(
            ledger,
            now=wakeup.now,
            tz_version=TZDATA_VERSION,
            clock_ahead=wakeup.settings.guard.clock_ahead,
            timezone=wakeup.settings.roster.timezone,
            accept_clock=wakeup.options.accept_clock,
        )
    except GuardError:
        return False
    return True


def _reminding(wakeup: WakeUp, ledger: Ledger) -> Callable[[], None]:
    """Return what a long run does before each message: look for due reminders, once a minute."""
    looked = wakeup.effects.timer()

    def look() -> None:
        nonlocal looked
        if wakeup.effects.timer() - looked >= REMIND_EVERY_SECONDS:
            _sides_told(wakeup, _reminders(wakeup, ledger))
            looked = wakeup.effects.timer()

    return look


def _reminders(wakeup: WakeUp, ledger: Ledger) -> Iterator[SideOutcome]:
    """Send each job's reminders that are due; a folder job's go by SMTP as well, unless `--to` says."""
    to: DeliveryName = wakeup.options.to or "smtp"
    for job in wakeup.settings.jobs:
        if job.reminders:
            send = partial(remind, leads=job.reminders)
            yield from _side(wakeup, ledger, "reminders", job.name, to, send)


def _links(wakeup: WakeUp, ledger: Ledger) -> Iterator[SideOutcome]:
    """Send the links of dates that are due, each scope's the way on which its job delivers."""
    if wakeup.settings.series.tokens == "series":
        return
    ways = {job.name: wakeup.delivery_of(job) for job in wakeup.settings.jobs}
    other = wakeup.options.to or wakeup.settings.delivery.to
    for scope in scopes(ledger):
        yield from _side(wakeup, ledger, "links", scope, ways.get(scope, other), give_links)


def _deferred(wakeup: WakeUp, ledger: Ledger) -> Iterator[SideOutcome]:
    """Try again what was deferred and may be tried now, scope by scope, from the ledger alone.

    A scope's messages go the way on which they were deferred: only a mail server defers.
    """
    if not any(_may_be_tried(one, wakeup) for one in waiting(ledger)):
        return
    by_smtp = wakeup.settings.smtp.host is not None
    to: DeliveryName = wakeup.options.to or ("smtp" if by_smtp else "folder")
    for scope in scopes(ledger):
        yield from _side(wakeup, ledger, "deferred", scope, to, drain)


def _may_be_tried(one: Waiting, wakeup: WakeUp) -> bool:
    """Tell whether a message was tried and may be tried again now; the plan looks closer."""
    delivery, now = wakeup.settings.delivery, wakeup.now
    if one.next_attempt is not None and one.next_attempt > now:
        return False
    if one.state is State.UNKNOWN:
        copies_left = one.attempts <= delivery.unknown_copies
        return delivery.on_unknown == "resend" and copies_left and one.end > now
    return one.state is State.DEFERRED


_COMMANDS: Mapping[Side, str] = {"reminders": "remind", "links": "link", "deferred": "drain"}
"""What the history calls the passes beside the jobs' runs."""


def _side(
    wakeup: WakeUp,
    ledger: Ledger,
    what: Side,
    scope: str,
    to: DeliveryName,
    send: Callable[..., RunReport | None],
) -> Iterator[SideOutcome]:
    """Send something beside the jobs' runs; yields what came of it, nothing where nothing was due."""
    if wakeup.effects.stop():
        return
    try:
        report = send(
            wakeup.renderer,
            ledger,
            side_options(wakeup, scope, _COMMANDS[what], to),
            wakeup.effects,
            delivery_for=delivery_opener(wakeup, ledger, to),
        )
    except Exception as error:  # noqa: BLE001 - reminders never end the run they go between
        failure = InvitesError.of(error)
        code = cause_of(failure, stopped=wakeup.effects.stop()).exit_code
        yield SideOutcome(what=what, scope=scope, exit_code=code, ended={}, text=str(failure))
        return
    if report is None:
        return
    said = "" if what == "reminders" else summed_up(report)
    yield SideOutcome(
        what=what,
        scope=scope,
        exit_code=report.exit_code,
        ended={state.value: count for state, count in report.ended.items()},
        text=said if report.trouble is None else str(report.trouble),
        lines=tuple(unsent_line(one) for one in report.unsent),
    )
