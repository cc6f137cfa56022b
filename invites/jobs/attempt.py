"""One attempt at one due time of one job: find the roster, read it, send, and say how it ended."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from invites.delivery.base import Delivery, open_delivery
from invites.errors import (
    Exit,
    GuardError,
    InvitesError,
    RosterRefusedError,
    ZoneDataError,
)
from invites.jobs.options import JobOutcome, Night
from invites.ledger import Ledger
from invites.ledger.runs import sent_since
from invites.model import Roster
from invites.planning.attempts import Cause, JobState, OpenDue
from invites.roster.files import RosterMovesError
from invites.roster.source import (
    RosterTooOldError,
    Sighting,
    find,
    read_found,
)
from invites.sending import (
    RunReport,
    SendOptions,
    Unsent,
    demand_guards,
    note_refused,
    policy_from,
    send,
)

if TYPE_CHECKING:
    from invites.settings import Job


@dataclass(frozen=True, slots=True, kw_only=True)
class DueNow:
    """A due time to run now; `caught_up` counts the earlier ones that this run stands for."""

    due: datetime
    caught_up: int = 0


def attempted(
    night: Night,
    ledger: Ledger,
    job: Job,
    now_due: DueNow,
    state: JobState,
    *,
    on_message: Callable[[], None],
) -> JobOutcome:
    """Carry out the job for one due time and return how that ended; it never raises.

    `on_message` is called before each message, besides what the surroundings ask for.
    """
    began = night.surroundings.timer()
    blank = JobOutcome(
        job=job.name,
        due=now_due.due,
        exit_code=Exit.DONE,
        text="",
        source=" + ".join(place.text for place in job.roster),
        caught_up=now_due.caught_up,
    )
    try:
        roster = _read_or_noted(night, ledger, job, state.open, now_due.due)
        report = _sent(night, ledger, job, roster, now_due.due, on_message=on_message)
        outcome = ended(replace(blank, source=roster.source), report, roster, night=night)
    except InvitesError as error:
        outcome = refused(blank, error, stopped=night.surroundings.stop())
    except Exception as error:  # noqa: BLE001 - one job's fault is not the others'
        outcome = replace(
            blank,
            cause=Cause.FAILED,
            exit_code=Exit.FAILED,
            text=f"unexpected failure: {type(error).__name__}; run it by hand with -v to see where",
        )
    return replace(outcome, took=timedelta(seconds=night.surroundings.timer() - began))


def _read_or_noted(
    night: Night, ledger: Ledger, job: Job, tried: OpenDue | None, due: datetime
) -> Roster:
    """Return the roster, where clock and zone data can be trusted.

    A refusal goes into the history once for each cause of a due time, not at each wake-up.
    """
    errand = errand_for(night, job, due)
    try:
        demand_guards(ledger, errand, now=night.now)
        return read(night, job, tried)
    except (GuardError, RosterRefusedError) as refusal:
        cause = cause_of(refusal, stopped=False)
        known = tried is not None and tried.due == due and tried.cause is cause
        if not known and cause is not Cause.ROSTER_MOVES:
            source = " + ".join(place.text for place in job.roster)
            note_refused(ledger, errand, refusal, source=source, now=night.now)
        raise


def read(night: Night, job: Job, tried: OpenDue | None) -> Roster:
    """Return the job's roster, which is still, recent, whole, and was not touched while read.

    Raises RosterRefusedError, RosterMovesError, RosterTooOldError.
    """
    seen = (
        None if tried is None else Sighting(fingerprint=tried.inputs.roster, at=tried.last_attempt)
    )
    return read_found(
        find(job.source(), now=night.now, seen=seen),
        night.settings.roster_rules(),
        skip_invalid=job.invalid == "skip",
        now=night.now,
        accepted=night.order.no_final_newline,
    )


def errand_for(night: Night, job: Job, due: datetime) -> SendOptions:
    """Return what a run of the job for `due` is asked to do."""
    order, settings = night.order, night.settings
    to = night.delivery_of(job)
    policy = replace(
        policy_from(settings, to=to),
        horizon=job.horizon,
        due=due,
        accept=order.accept,
    )
    return SendOptions(
        scope=job.name,
        command="run",
        delivery=to,
        policy=policy,
        claimed=tuple(scope for scope in order.claimed if scope != job.name),
        clock_ahead=settings.guard.clock_ahead,
        accept_clock=order.accept_clock,
        keep=settings.ledger.keep,
    )


def delivery_opener(night: Night, ledger: Ledger, to: str) -> Callable[[str], Delivery]:
    """Return a function that opens the delivery of a run by the run's id."""

    def opened(run: str) -> Delivery:
        return open_delivery(
            night.settings,
            run=run,
            now=night.now,
            to=to,  # type: ignore[arg-type]
            sent_since=lambda span: sent_since(ledger, span, now=night.now),
            keep_old=night.order.simulated,
            present=night.surroundings.clock,
        )

    return opened


def _sent(
    night: Night,
    ledger: Ledger,
    job: Job,
    roster: Roster,
    due: datetime,
    *,
    on_message: Callable[[], None],
) -> RunReport:
    def on_each() -> None:
        night.surroundings.on_message()
        on_message()

    return send(
        roster,
        night.workshop,
        ledger,
        errand_for(night, job, due),
        replace(night.surroundings, on_message=on_each),
        delivery_for=delivery_opener(night, ledger, night.delivery_of(job)),
    )


def ended(outcome: JobOutcome, report: RunReport, roster: Roster, *, night: Night) -> JobOutcome:
    """Return the outcome of a run that got as far as a plan."""
    lines = [problem.text(roster.source) for problem in roster.left_out]
    lines += [refusal.text for refusal in report.plan.refusals]
    lines += [unsent_line(one) for one in report.unsent]
    lines += report.plan.warnings
    outcome = replace(
        outcome, run=report, exit_code=report.exit_code, lines=tuple(lines), text=summed_up(report)
    )
    if report.trouble is not None:
        return refused(outcome, report.trouble, stopped=night.surroundings.stop())
    if report.plan.refusals:
        guards = {refusal.guard for refusal in report.plan.refusals}
        cause = Cause.CHANGE if guards == {"change"} else Cause.SHRINK
        return replace(outcome, cause=cause, exit_code=cause.exit_code)
    return outcome


def unsent_line(unsent: Unsent) -> str:
    """Return in one line which message did not go out, and what the server said."""
    action = unsent.action
    place = f'meeting "{action.facts.id}", {action.attendee.email}'
    return f"{place}: {unsent.state.value}: {unsent.answer}"


def summed_up(report: RunReport) -> str:
    """Return in one line how many were new, updated …, and how the messages ended."""
    counts = {**report.plan.counts, **{state.value: n for state, n in report.ended.items()}}
    said = [f"{count} {name.replace('_', ' ')}" for name, count in counts.items() if count]
    return ", ".join(said) or "nothing to do"


def refused(outcome: JobOutcome, error: InvitesError, *, stopped: bool) -> JobOutcome:
    """Return the outcome of an attempt that `error` ended."""
    cause = cause_of(error, stopped=stopped)
    problems = error.problems if isinstance(error, RosterRefusedError) else ()
    source = error.source if isinstance(error, RosterRefusedError) else ""
    return replace(
        outcome,
        cause=cause,
        exit_code=cause.exit_code,
        text=str(error),
        lines=(*(problem.text(source) for problem in problems), *outcome.lines),
        source=source or outcome.source,
    )


def cause_of(error: InvitesError, *, stopped: bool) -> Cause:
    """Return why an attempt did not complete its due time; `stopped` where a signal came."""
    match error:
        case RosterMovesError():
            return Cause.ROSTER_MOVES
        case RosterTooOldError():
            return Cause.AGE
        case ZoneDataError():
            return Cause.ZONE_DATA
        case _ if error.exit_code is Exit.TRY_AGAIN:
            return Cause.STOPPED if stopped else Cause.SERVER
        case _:
            return _CAUSES.get(error.exit_code, Cause.FAILED)


_CAUSES = {
    Exit.ROSTER: Cause.ROSTER,
    Exit.USAGE: Cause.ROSTER,
    Exit.SETTINGS: Cause.SETTINGS,
    Exit.GUARD: Cause.CLOCK,
}
