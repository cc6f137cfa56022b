"""`invites run`: the jobs that are due, once; `invites schedule`: each when it is due."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from invites.cli import spare_the_collector
from invites.cli.options import Call, RunFlags, clock
from invites.errors import Exit, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from invites.jobs import JobOutcome, RunOptions, SideOutcome, WakeUpReport
    from invites.settings import Settings


def run(
    call: Call,
    flags: RunFlags,
    jobs: Annotated[
        list[str] | None, typer.Argument(metavar="JOB", help="Only these jobs.")
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Run the named jobs whether they are due or not.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Compose and check all, send and record nothing.")
    ] = False,
) -> int:
    """Run the configured jobs that are due, once; the ledger knows which are."""
    names = tuple(jobs or ())
    _refuse_what_excludes_itself(names, flags, force=force, dry_run=dry_run)
    clock(flags.now)
    from invites.jobs import RunOptions

    settings = _settings(call, names)
    options = RunOptions(
        jobs=names,
        force=force,
        accept=flags.accept,
        accept_clock=flags.accept_clock,
        after_restore=flags.after_restore,
        no_final_newline=flags.no_final_newline,
        claimed=flags.claimed,
        to=flags.to,  # type: ignore[arg-type]  # other words are refused by the flags
        dry_run=dry_run,
        simulated=flags.now is not None,
    )
    report = _woken(call, settings, options, now=flags.now, new_ledger=flags.new_ledger)
    _tell(call, settings, report, names)
    return report.exit_code


def _refuse_what_excludes_itself(
    names: Sequence[str], flags: RunFlags, *, force: bool, dry_run: bool
) -> None:
    if force and not names:
        raise UsageError("--force: found no job, expected the names of those to run at any rate")
    flags.demand_real_clock(dry_run=dry_run)
    if dry_run and flags.new_ledger:
        raise UsageError(
            "--new-ledger: found it with --dry-run, which makes nothing; leave one out"
        )


def _settings(call: Call, names: Sequence[str]) -> Settings:
    """Return the settings, which have all the named jobs and one at least."""
    from difflib import get_close_matches

    from invites.errors import SettingsError

    settings = call.settings()
    known = [job.name for job in settings.jobs]
    for name in names:
        if name not in known:
            close = get_close_matches(name, known, 1)
            meant = f'; did you mean "{close[0]}"?' if close else ""
            listed = ", ".join(f'"{one}"' for one in known) or "none"
            raise UsageError(f'there is no job "{name[:60]}"{meant} The settings have: {listed}')
    if not known:
        raise SettingsError(
            f"{settings.source or 'invites.toml'}: found no [[job]], expected one or more; "
            "invites.example.toml shows one"
        )
    return settings


def _woken(
    call: Call, settings: Settings, options: RunOptions, *, now: str | None, new_ledger: bool
) -> WakeUpReport:
    import time

    from invites.cli.terminal import Stop, log_of
    from invites.jobs import WakeUp, wake_up
    from invites.ledger import create
    from invites.sending import Effects

    spare_the_collector()
    if new_ledger:
        create(settings.ledger.url)
    stop = Stop()
    stop.arm()
    wakeup = WakeUp(
        settings=settings,
        effects=Effects(
            clock=lambda: clock(now), timer=time.monotonic, stop=stop, pause=stop.pause
        ),
        options=options,
        tell=log_of(call, timezone=settings.roster.timezone),
    )
    return wake_up(wakeup)


def _tell(call: Call, settings: Settings, report: WakeUpReport, names: Sequence[str]) -> None:
    call.document(
        command="run",
        exit_code=int(report.exit_code),
        at=_said(report.at),
        next_due=_said(report.again),
        jobs=[_job_document(outcome) for outcome in report.outcomes],
        reminders=[_side_document(side) for side in report.sides if side.what == "reminders"],
        links=[_side_document(side) for side in report.sides if side.what == "links"],
        deferred=[_side_document(side) for side in report.sides if side.what == "deferred"],
    )
    if not report.outcomes:
        looked_at = names or [job.name for job in settings.jobs]
        call.say(f"nothing is due: {', '.join(looked_at)}{_next(settings, report)}")


def _next(settings: Settings, report: WakeUpReport) -> str:
    """Say when something is due next, as the clock of the job that is due shows it."""
    from invites.due.rule import next_due
    from invites.jobs.options import due_rule
    from invites.times import local

    for job in settings.jobs:
        if next_due(due_rule(job), report.at) == report.again:
            return f"; next: {job.name}, {local(report.again, job.timezone)}"
    return ""


def _said(instant: Any) -> str | None:
    from invites.times import iso_z

    return None if instant is None else iso_z(instant)


def _job_document(outcome: JobOutcome) -> dict[str, Any]:
    from invites.report.plan import plan_document

    run = outcome.run
    return {
        "job": outcome.job,
        "due": _said(outcome.due),
        "exit_code": int(outcome.exit_code),
        "cause": None if outcome.cause is None else outcome.cause.value,
        "text": outcome.text,
        "lines": list(outcome.lines),
        "roster": outcome.source,
        "missed": outcome.missed,
        "caught_up": outcome.caught_up,
        "tried_until": _said(outcome.until),
        "seconds": round(outcome.took.total_seconds(), 3),
        "run": None if run is None else run.run_id or None,
        "ended": {} if run is None else {state.value: n for state, n in run.ended.items()},
        "plan": None if run is None else plan_document(run.plan),
    }


def _side_document(side: SideOutcome) -> dict[str, Any]:
    return {
        "scope": side.scope,
        "exit_code": int(side.exit_code),
        "ended": dict(side.ended),
        "text": side.text,
    }


def schedule(call: Call) -> int:
    """Stay in the foreground and run the jobs when they are due; SIGHUP reads the settings again.

    SIGTERM finishes the message in hand and ends: 0, or 75 where a run has to go on later.
    """
    import logging
    import time

    from invites.cli.terminal import Signals, log_of
    from invites.jobs.schedule import Schedule
    from invites.report.notice import record
    from invites.sending import Effects

    tell = log_of(call)

    def load() -> Settings:
        settings = call.settings(warn=False)
        log_of(call, timezone=settings.roster.timezone)
        for warning in settings.warnings:
            tell(record("setting", warning, level=logging.WARNING))
        return settings

    calls = Signals()
    effects = Effects(clock=clock, timer=time.monotonic, stop=calls.stop, pause=calls.pause)
    waiting = Schedule(load, effects=effects, calls=calls, tell=tell)
    with calls:
        interrupted = waiting.run()
    call.document(command="schedule", interrupted=interrupted)
    return Exit.TRY_AGAIN if interrupted else Exit.DONE
