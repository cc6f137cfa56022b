"""The log's lines about a wake-up."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from invites.due.attempts import Again
from invites.errors import Exit
from invites.jobs.options import JobOutcome, SideOutcome, WakeUp
from invites.report.log import record
from invites.times import local


def tell_job(wakeup: WakeUp, outcome: JobOutcome) -> None:
    """Tell what became of a due time, and each problem on a line of its own."""
    facts: dict[str, object] = {
        "job": outcome.job,
        "due": outcome.due,
        "exit": int(outcome.exit_code),
        "cause": None if outcome.cause is None else outcome.cause.value,
        "missed": True if outcome.missed else None,
        "caught_up": outcome.caught_up or None,
        "run": None if outcome.run is None else outcome.run.run_id,
        "took": outcome.took,
        **{name: count for name, count in outcome.counts.items() if count},
    }
    text = f"job {outcome.job}: {outcome.text}{_what_ends_it(wakeup, outcome)}"
    level = _level(outcome)
    wakeup.tell(record(_event(outcome), text, level=level, facts=facts))
    details = logging.INFO if outcome.repeated else logging.WARNING
    _tell_details(wakeup, outcome.job, outcome.lines, level=details)


def _what_ends_it(wakeup: WakeUp, outcome: JobOutcome) -> str:
    """Say of an open due time which one it is, until when it is open, and what ends it."""
    job = next((job for job in wakeup.settings.jobs if job.name == outcome.job), None)
    if job is None or outcome.cause is None or outcome.until is None:
        return ""
    due, until = local(outcome.due, job.timezone), local(outcome.until, job.timezone)
    ends = (
        "the next wake-up tries it again"
        if outcome.cause.again is Again.EVERY_WAKE_UP
        else "the first wake-up after the roster, the settings or an acceptance changed tries it again"
    )
    return f"; due {due}, open until {until}: {ends}"


def _event(outcome: JobOutcome) -> str:
    if outcome.missed:
        return "job_missed"
    return "job_done" if outcome.cause is None else "job_open"


def _level(outcome: JobOutcome) -> int:
    """Return how much it matters; what is expected to go away by itself is no bad news."""
    if outcome.missed:
        return logging.ERROR
    if outcome.cause is not None:
        # Under cron each line is a mail: a state that lasts is told when it begins.
        return logging.INFO if outcome.cause.patience or outcome.repeated else logging.ERROR
    return logging.INFO if outcome.exit_code is Exit.DONE else logging.WARNING


def tell_side(wakeup: WakeUp, side: SideOutcome) -> None:
    """Tell what became of reminders or deferred messages."""
    said = ", ".join(f"{count} {name}" for name, count in side.ended.items() if count)
    trouble = side.text if side.exit_code not in {Exit.DONE, Exit.IN_PART} else ""
    place = f"{side.what} of {side.scope}" if side.scope else side.what
    text = f"{place}: {'; '.join(filter(None, (said, trouble)))}"
    wakeup.tell(
        record(
            event=side.what,
            level=logging.INFO if side.exit_code is Exit.DONE else logging.WARNING,
            text=text,
            facts={"scope": side.scope, "exit": int(side.exit_code), **side.ended},
        )
    )
    _tell_details(wakeup, side.scope, side.lines, level=logging.WARNING)


def _tell_details(wakeup: WakeUp, job: str, lines: Iterable[str], *, level: int) -> None:
    for line in lines:
        wakeup.tell(record("detail", line, level=level, facts={"job": job}))
