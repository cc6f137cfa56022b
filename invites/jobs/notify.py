"""Who hears of what came of a wake-up: the log, people by mail, and a job's `ping` URL."""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum
from shlex import quote
from typing import TYPE_CHECKING
from urllib.error import HTTPError
from urllib.request import HTTPRedirectHandler, Request, build_opener

from invites import __version__
from invites.delivery.base import OutcomesNoted, OutgoingMessage, Sent, open_delivery
from invites.due.attempts import Again, Obstacle
from invites.errors import Exit, InvitesError
from invites.jobs.options import JobOutcome, SideOutcome, WakeUp
from invites.planning.state import State
from invites.report.notice import News, Notice, notice_message, notice_of, record
from invites.times import local

if TYPE_CHECKING:
    from invites.settings import Job


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
    wakeup.tell(record(_event(outcome), text, level=_level(outcome), facts=facts))
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
    """Tell what became of reminders, links or deferred messages."""
    said = ", ".join(f"{count} {name}" for name, count in side.ended.items() if count)
    trouble = side.text if side.exit_code not in {Exit.DONE, Exit.IN_PART} else ""
    text = f"{side.what} of {side.scope}: {'; '.join(filter(None, (said, trouble)))}"
    wakeup.tell(
        record(
            side.what,
            level=logging.INFO if side.exit_code is Exit.DONE else logging.WARNING,
            text=text,
            facts={"scope": side.scope, "exit": int(side.exit_code), **side.ended},
        )
    )
    _tell_details(wakeup, side.scope, side.lines, level=logging.WARNING)


def _tell_details(wakeup: WakeUp, job: str, lines: Iterable[str], *, level: int) -> None:
    for line in lines:
        wakeup.tell(record("detail", line, level=level, facts={"job": job}))


_ACCEPT = "If it is right, run `invites run {job} --force --accept {code}`."
_LOOK_AT_THE_PLAN = f"look at the plan (`invites plan ROSTER`). {_ACCEPT}"
_REMEDIES = {
    Obstacle.FAILED: "see the error above; `invites history` shows what went out before it.",
    Obstacle.SETTINGS: "correct the settings; `invites doctor` checks them. "
    "`systemctl reload invites` (SIGHUP) reads them again.",
    Obstacle.LOCK: "see what holds the ledger: `invites history` shows the run that began last, "
    "`fuser` beside the ledger's file which process it is.",
    Obstacle.SERVER: "see whether the mail server or the database is up.",
    Obstacle.STOPPED: "start it again: it goes on where it stopped.",
    Obstacle.CLOCK: "set this machine's clock; if it is right, run "
    "`invites run {job} --force --accept-clock` once.",
    Obstacle.ZONE_DATA: "update the tzdata package.",
    Obstacle.ROSTER_MOVES: "see why the export is still being written.",
    Obstacle.ROSTER: "correct the roster or have it exported anew; "
    "`invites check ROSTER` lists every problem.",
    Obstacle.GROWTH: _LOOK_AT_THE_PLAN,
    Obstacle.PATTERN: _LOOK_AT_THE_PLAN,
    Obstacle.SHRINK: f"look at the roster. {_ACCEPT}",
    Obstacle.CHANGE: _LOOK_AT_THE_PLAN,
    Obstacle.AGE: "see why the export did not come, or raise `newest` in the job.",
}


_CLAIM = re.compile(r"--claim \S+")
"""How a problem of the file names the scope that a meeting belongs to."""


def is_told(job: Job, outcome: JobOutcome) -> bool:
    """Tell whether people hear of a due time that is completed or closed; open ones have patience."""
    if outcome.missed or outcome.caught_up or job.notify_always:
        return True
    return outcome.exit_code is not Exit.DONE


def news_of(job: Job, outcome: JobOutcome) -> News:
    """Return what a notice says of an outcome."""
    code = outcome.run.plan.accept_code if outcome.run is not None else "CODE"
    remedy = ""
    claimed = next((found for line in outcome.lines if (found := _CLAIM.search(line))), None)
    if claimed is not None:
        remedy = (
            "earlier sends by hand made these meetings another scope's. If they are this job's, run "
            f"`invites run {quote(job.name)} --force {claimed[0]}` once."
        )
    elif outcome.cause is not None:
        remedy = _REMEDIES[outcome.cause].format(job=quote(job.name), code=code)
    elif outcome.exit_code is Exit.IN_PART:
        remedy = "see the lines above: correct rows that were left out; `invites history` shows "
        remedy += "what was refused. Deferred messages are tried again by themselves."
    facts = {"roster": outcome.source, "exit code": str(int(outcome.exit_code))}
    if outcome.run is not None:
        facts["run"] = outcome.run.run_id
    facts |= {name.replace("_", " "): str(count) for name, count in outcome.counts.items() if count}
    return News(
        job=job.name,
        due=outcome.due,
        timezone=job.timezone,
        what=_verdict(outcome),
        why=outcome.text,
        remedy=remedy,
        then=_next(outcome, job.timezone),
        lines=outcome.lines,
        facts=facts,
    )


def _verdict(outcome: JobOutcome) -> str:
    if outcome.missed:
        return "did not happen"
    if outcome.cause is Obstacle.LOCK:
        return "waits for another run"
    return _VERDICTS.get(outcome.exit_code, "failed") + _late(outcome)


_VERDICTS = {
    Exit.DONE: "is done",
    Exit.IN_PART: "is done in part",
    Exit.ROSTER: "was refused",
    Exit.GUARD: "was refused",
    Exit.TRY_AGAIN: "is not done yet",
}


def _late(outcome: JobOutcome) -> str:
    if not outcome.caught_up or outcome.cause is not None:
        return ""
    earlier = "due time" if outcome.caught_up == 1 else "due times"
    return f", for {outcome.caught_up} earlier {earlier} as well, which did not happen"


def _next(outcome: JobOutcome, timezone: str) -> str:
    if outcome.missed:
        return "this due time is not tried again; the next one runs as set."
    if outcome.cause is None or outcome.until is None:
        return ""
    until = local(outcome.until, timezone)
    if outcome.cause.again is Again.EVERY_WAKE_UP:
        return f"it is tried again at every wake-up until {until}."
    return (
        f"it is tried again when the roster, the settings or an acceptance changes, until {until}."
    )


def notify(wakeup: WakeUp, job: Job, outcome: JobOutcome) -> bool:
    """Mail the outcome to those whom the job names; tell whether somebody got it, or nobody is to.

    What goes wrong here is told to the log alone, and changes nothing else.
    """
    # What lasts, and a relay that is down for messages and notices alike, is told once in the log.
    quiet = outcome.repeated or outcome.cause is Obstacle.SERVER
    level = logging.INFO if quiet else logging.WARNING
    return _mailed(wakeup, job, news_of(job, outcome), level=level)


def notify_of_side(wakeup: WakeUp, side: SideOutcome) -> None:
    """Mail what of reminders or deferred messages is not tried again by itself."""
    given_up = side.ended.get(State.FAILED.value, 0) + side.ended.get(State.UNKNOWN.value, 0)
    job = next((job for job in wakeup.settings.jobs if job.name == side.scope), None)
    if not given_up or job is None:
        return
    names = {"reminders": "reminders", "links": "links of dates"}
    what = names.get(side.what, "messages that had been deferred")
    news = News(
        job=job.name,
        due=wakeup.now,
        timezone=job.timezone,
        what="could not deliver everything",
        why=f"Of the {what}, {given_up} {'was' if given_up == 1 else 'were'} refused for good "
        "or may not have arrived.",
        remedy="see the lines above; `invites history` shows each message.",
        lines=side.lines,
        facts={name: str(count) for name, count in side.ended.items() if count},
    )
    _mailed(wakeup, job, news, level=logging.WARNING)


def _mailed(wakeup: WakeUp, job: Job, news: News, *, level: int) -> bool:
    if not job.notify or wakeup.options.simulated or wakeup.options.dry_run:
        return True
    try:
        notice = notice_of(news)
        journal = OutcomesNoted()
        now = wakeup.now
        with open_delivery(wakeup.settings, run="notice", now=now, to="smtp") as delivery:
            delivery.deliver(
                _messages_of(wakeup, job, notice, now), journal, stop=wakeup.effects.stop
            )
    except Exception as error:  # noqa: BLE001 - a notice never changes what became of a run
        wakeup.tell(_not_told(job, str(InvitesError.of(error)), level))
        return False
    unsent = [one for one in journal.outcomes if not isinstance(one, Sent)]
    for one in unsent:
        wakeup.tell(_not_told(job, one.answer, level))
    return len(unsent) < len(journal.outcomes)


def _messages_of(wakeup: WakeUp, job: Job, notice: Notice, now: datetime) -> list[OutgoingMessage]:
    mailbox = wakeup.settings.service_mailbox()
    messages = []
    for recipient in job.notify:
        message_id, content = notice_message(
            notice, sender_name=mailbox.name, sender=mailbox.email, recipient=recipient, now=now
        )
        messages.append(
            OutgoingMessage(
                key=recipient,
                sender=mailbox.email,
                recipient=recipient,
                message_id=message_id,
                content=content,
            )
        )
    return messages


def _not_told(job: Job, why: str, level: int) -> logging.LogRecord:
    return record(
        "notice_failed",
        f"job {job.name}: the notice could not be sent: {why}",
        level=level,
        facts={"job": job.name},
    )


PING_SECONDS = 5.0
"""A run waits so long for each ping at most, name look-up included."""


class Signal(StrEnum):
    """What is said, as what stands behind the URL."""

    START = "/start"
    SUCCESS = ""
    FAILURE = "/fail"


def ping(wakeup: WakeUp, job: Job, signal: Signal) -> None:
    """Tell the job's `ping` URL; what goes wrong here changes nothing else.

    It is a dead man's switch: who listens there notices what no mail tells, that nothing runs.
    Nothing but the URL itself is said: no name, no address, no count.
    """
    if not job.ping or wakeup.options.simulated or wakeup.options.dry_run:
        return
    failures: list[str] = []
    # The timeout of a socket does not count the look-up of a name; the thread's does.
    thread = threading.Thread(
        target=_say, args=(job.ping.rstrip("/") + signal, failures), name="ping", daemon=True
    )
    thread.start()
    thread.join(PING_SECONDS)
    if thread.is_alive():
        failures.append(f"no answer within {PING_SECONDS:.0f} seconds")
    if failures:
        wakeup.tell(
            record(
                "ping_failed",
                f"job {job.name}: ping could not be told: {failures[0]}",
                facts={"job": job.name},
            )
        )


class _NoRedirect(HTTPRedirectHandler):
    """A URL that is a secret goes to nobody but the one whom the settings name."""

    def redirect_request(self, *_: object) -> None:
        return None


def _say(url: str, failures: list[str]) -> None:
    request = Request(url, headers={"User-Agent": f"invites/{__version__}"})  # noqa: S310 - checked by the settings
    try:
        with build_opener(_NoRedirect).open(request, timeout=PING_SECONDS):
            pass
    except HTTPError as error:
        with error:
            failures.append(f"it answered {error.code}")
    except Exception as error:  # noqa: BLE001 - and the URL may stand in the error's text
        failures.append(type(error).__name__)
