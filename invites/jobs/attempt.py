"""One attempt at one due time of one job: find the roster, read it, send, and say how it ended."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from invites.delivery.base import Delivery
from invites.due.attempts import Obstacle, OpenDue, Run
from invites.errors import Exit, GuardError, InvitesError, RosterRefusedError, ZoneDataError
from invites.invitation import DeliveryName
from invites.jobs.options import JobOutcome, WakeUp
from invites.ledger import Ledger
from invites.model import Roster
from invites.planning.actions import Reason
from invites.problems import lines_of
from invites.report.notice import record
from invites.report.sending import Unsent
from invites.roster.files import RosterMovesError
from invites.roster.source import RosterTooOldError, Sighting, find, read_found
from invites.sending import RunReport, SendOptions, deliveries, demand_guards, note_refused, send
from invites.times import local

if TYPE_CHECKING:
    from invites.settings import Job


def attempted(
    wakeup: WakeUp,
    ledger: Ledger,
    job: Job,
    due: Run,
    tried: OpenDue | None,
    *,
    on_message: Callable[[], None],
) -> JobOutcome:
    """Carry out the job for one due time and return how that ended; it never raises.

    `tried` is what the ledger has of an earlier attempt.
    `on_message` is called before each message, besides what the effects ask for.
    """
    began = wakeup.effects.timer()
    options = options_for(wakeup, job, due.due)
    outcome = JobOutcome(
        job=job.name,
        due=due.due,
        exit_code=Exit.DONE,
        text="",
        source=" + ".join(place.text for place in job.roster),
        caught_up=due.caught_up,
    )

    def on_each() -> None:
        wakeup.effects.on_message()
        on_message()

    try:
        roster = _read_or_noted(wakeup, ledger, job, options, tried)
        report = send(
            roster,
            wakeup.renderer,
            ledger,
            options,
            replace(wakeup.effects, on_message=on_each),
            delivery_for=delivery_opener(wakeup, ledger, wakeup.delivery_of(job)),
        )
        outcome = _ended(replace(outcome, source=roster.source), report, roster, wakeup=wakeup)
    except InvitesError as error:
        outcome = _refused(outcome, error, stopped=wakeup.effects.stop())
    except Exception as error:  # noqa: BLE001 - one job's fault is not the others'
        outcome = replace(
            outcome,
            cause=Obstacle.FAILED,
            exit_code=Exit.FAILED,
            text=f"{InvitesError.of(error)}; run it by hand with -v to see where",
        )
    return replace(outcome, took=timedelta(seconds=wakeup.effects.timer() - began))


def _read_or_noted(
    wakeup: WakeUp, ledger: Ledger, job: Job, options: SendOptions, tried: OpenDue | None
) -> Roster:
    """Return the roster, where clock and zone data can be trusted.

    A refusal goes into the history once for each cause of a due time, not at each wake-up.
    """
    try:
        demand_guards(ledger, options, now=wakeup.now)
        return _read_when_still(wakeup, job, tried)
    except (GuardError, RosterRefusedError) as refusal:
        cause, due = cause_of(refusal, stopped=False), options.policy.due
        known = tried is not None and tried.due == due and tried.cause is cause
        if options.records and not known and cause is not Obstacle.ROSTER_MOVES:
            source = " + ".join(place.text for place in job.roster)
            note_refused(ledger, options, refusal, source=source, now=wakeup.now)
        raise


WAITS_FOR_ROSTER = timedelta(minutes=10)
"""How long `--force` waits for a roster that is still being written: somebody sits there."""

_LOOKS = 5


def _read_when_still(wakeup: WakeUp, job: Job, tried: OpenDue | None) -> Roster:
    """Read the roster; with `--force` wait until it is still, instead of for the next wake-up."""
    until = wakeup.now + WAITS_FOR_ROSTER
    for _ in range(_LOOKS if wakeup.options.force else 0):
        try:
            return _read(wakeup, job, tried)
        except RosterMovesError as moves:
            if wakeup.effects.stop() or moves.still_at > until:
                raise
            still = local(moves.still_at, job.timezone, seconds=True)
            text = f"job {job.name}: waits until the roster is still, at {still}"
            wakeup.tell(record("roster_moves", text, facts={"job": job.name}))
            wakeup.effects.pause(max(moves.still_at - wakeup.now, timedelta(seconds=1)))
    return _read(wakeup, job, tried)


def _read(wakeup: WakeUp, job: Job, tried: OpenDue | None) -> Roster:
    """Return the job's roster, which is still, recent, whole, and was not touched while read.

    Raises RosterRefusedError, RosterMovesError, RosterTooOldError.
    """
    seen = (
        None if tried is None else Sighting(fingerprint=tried.inputs.roster, at=tried.last_attempt)
    )
    return read_found(
        find(job.source(), now=wakeup.now, seen=seen),
        wakeup.settings.roster_rules(),
        skip_invalid=job.invalid == "skip",
        now=wakeup.now,
        accepted=wakeup.options.no_final_newline,
    )


def options_for(wakeup: WakeUp, job: Job, due: datetime) -> SendOptions:
    """Return what a run of the job for `due` is asked to do."""
    flags = wakeup.options
    options = side_options(wakeup, job.name, "run", wakeup.delivery_of(job))
    return replace(
        options,
        policy=replace(options.policy, horizon=job.horizon, due=due, accept=flags.accept),
        claimed=tuple(scope for scope in flags.claimed if scope != job.name),
        skip_invalid=job.invalid == "skip",
        dry_run=flags.dry_run,
        timezone=job.timezone,
    )


def side_options(wakeup: WakeUp, scope: str, command: str, to: DeliveryName) -> SendOptions:
    """Return what a pass is asked to do that goes out beside the jobs' runs."""
    options = SendOptions.from_settings(wakeup.settings, scope=scope, command=command, to=to)
    return replace(options, accept_clock=wakeup.options.accept_clock)


def delivery_opener(wakeup: WakeUp, ledger: Ledger, to: DeliveryName) -> Callable[[str], Delivery]:
    """Return what opens the delivery of a run by the run's id."""
    return deliveries(
        wakeup.settings,
        ledger,
        to=to,
        clock=wakeup.effects.clock,
        simulated=wakeup.options.simulated,
    )


def _ended(outcome: JobOutcome, report: RunReport, roster: Roster, *, wakeup: WakeUp) -> JobOutcome:
    """Return the outcome of a run that got as far as a plan."""
    lines = lines_of(roster.left_out, roster.source)
    lines += [refusal.text for refusal in report.plan.refusals]
    lines += [unsent_line(one) for one in report.unsent]
    lines += report.plan.warnings
    outcome = replace(
        outcome, run=report, exit_code=report.exit_code, lines=tuple(lines), text=summed_up(report)
    )
    if report.trouble is not None:
        return _refused(outcome, report.trouble, stopped=wakeup.effects.stop())
    if report.plan.refusals:
        reasons = {refusal.reason for refusal in report.plan.refusals}
        cause = next(cause for reason, cause in _GUARDS.items() if reason in reasons)
        return replace(outcome, cause=cause, exit_code=cause.exit_code)
    return outcome


_GUARDS = {
    Reason.GROWTH: Obstacle.GROWTH,
    Reason.PATTERN: Obstacle.PATTERN,
    Reason.SHRINK: Obstacle.SHRINK,
    Reason.CANCELLATIONS: Obstacle.SHRINK,
    Reason.CHANGE: Obstacle.CHANGE,
    Reason.ORGANIZER: Obstacle.CHANGE,
}
"""What a guard's refusal is called; of several the first, by how wrong the mails would have been."""


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


def _refused(outcome: JobOutcome, error: InvitesError, *, stopped: bool) -> JobOutcome:
    """Return the outcome of an attempt that `error` ended."""
    cause = cause_of(error, stopped=stopped)
    problems = error.problems if isinstance(error, RosterRefusedError) else ()
    source = error.source if isinstance(error, RosterRefusedError) else ""
    return replace(
        outcome,
        cause=cause,
        exit_code=cause.exit_code,
        text=str(error),
        lines=(*lines_of(problems, source), *outcome.lines),
        source=source or outcome.source,
    )


def cause_of(error: InvitesError, *, stopped: bool) -> Obstacle:
    """Return why an attempt did not complete its due time; `stopped` where a signal came."""
    match error:
        case RosterMovesError():
            return Obstacle.ROSTER_MOVES
        case RosterTooOldError():
            return Obstacle.AGE
        case ZoneDataError():
            return Obstacle.ZONE_DATA
        case _ if error.exit_code is Exit.TRY_AGAIN:
            return Obstacle.STOPPED if stopped else Obstacle.SERVER
        case _:
            return _CAUSES.get(error.exit_code, Obstacle.FAILED)


_CAUSES = {
    Exit.ROSTER: Obstacle.ROSTER,
    Exit.USAGE: Obstacle.ROSTER,
    Exit.SETTINGS: Obstacle.SETTINGS,
    Exit.GUARD: Obstacle.CLOCK,
}
