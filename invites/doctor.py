"""What `invites doctor` looks at; each finding says what is the case and what to do.

Nothing is changed, sent or locked.
"""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from invites.errors import GuardError, InvitesError, RosterRefusedError, SettingsError
from invites.jitsi.deployment import env_file, from_docker, from_prosody
from invites.jitsi.pitfalls import Finding, Weight, pitfalls
from invites.jobs.options import late, status_of
from invites.ledger import Ledger, open_ledger
from invites.ledger.history import waiting
from invites.ledger.runs import guard_facts
from invites.roster.files import RosterMovesError
from invites.roster.source import find
from invites.settings import Settings
from invites.text import counted
from invites.times import TZDATA_VERSION, clock_fault, zone_data_fault

if TYPE_CHECKING:
    from invites.settings import Job

OLD_ZONE_DATA = timedelta(days=400)
"""The IANA releases several times a year; data older than this miss known changes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Installation:
    """What is looked at: settings that could be read, the environment, and the present (aware).

    `jitsi_env` and `prosody` are what the Jitsi server's own files say, where they were given.
    """

    settings: Settings
    environ: Mapping[str, str]
    now: datetime
    jitsi_env: str | None = None
    prosody: str | None = None


def settings_faults(error: SettingsError) -> list[Finding]:
    """Return a finding for each line of an error that kept the settings from being read."""
    return [_fault("settings", line) for line in str(error).splitlines()]


def job_findings(installation: Installation) -> Iterator[Finding]:
    """Yield how each job stands: whether it missed its last due time."""
    yield from _with_ledger(installation, _jobs)


def all_findings(installation: Installation, *, smtp: bool = True) -> Iterator[Finding]:
    """Yield everything that was looked at, in the order in which a person would mend it."""
    settings = installation.settings
    yield _good("settings", f"read from {settings.source or 'the environment and defaults'}")
    for warning in settings.warnings:
        yield Finding("settings", Weight.HINT, warning)
    yield from _secret(settings)
    yield from _clock()
    yield from _zone_data(installation.now)
    yield from _templates(settings)
    yield from _with_ledger(installation, _ledger, _jobs)
    for job in settings.jobs:
        yield from _roster(job, installation.now)
    yield from _folder(settings)
    if smtp:
        yield from _smtp(settings)
    with suppress(SettingsError):  # `_secret` has said what is missing
        yield from _jitsi(installation)


def _good(check: str, text: str) -> Finding:
    return Finding(check, Weight.GOOD, text)


def _hint(check: str, text: str, remedy: str) -> Finding:
    return Finding(check, Weight.HINT, text, remedy)


def _fault(check: str, text: str, remedy: str = "") -> Finding:
    return Finding(check, Weight.FAULT, text, remedy)


def _secret(settings: Settings) -> Iterator[Finding]:
    """Demand all that minting needs; an error's own line says each way to give it."""
    try:
        settings.require_minting()
    except SettingsError as error:
        for line in str(error).splitlines():
            yield _fault("secret", line)
        return
    yield _good("secret", f"tokens can be signed with {settings.jitsi.algorithm}")
    if settings.jitsi.allow_weak_secret and settings.jitsi.algorithm.startswith("HS"):
        yield _hint(
            "secret",
            "allow_weak_secret lets a secret pass that can be guessed, and with it every token",
            "set a longer secret at the server and here, then remove the line",
        )
    if settings.jitsi.room_key_file is None:
        yield _hint(
            "secret",
            "without room_key_file a new secret moves the rooms of all meetings that name none",
            "let `invites init` make a room.key, before the first invitation goes out",
        )


def _clock() -> Iterator[Finding]:
    match clock_is_synchronised():
        case True:
            yield _good("clock", "the kernel says that it is synchronised")
        case False:
            yield _hint(
                "clock",
                "the kernel does not know it to be synchronised, and Jitsi gives no leeway",
                "run chrony or systemd-timesyncd, here and on the server; in a container the host's",
            )
        case None:
            pass


def _zone_data(now: datetime) -> Iterator[Finding]:
    fault = zone_data_fault(None, TZDATA_VERSION)
    if fault is not None:
        yield _fault("time zone data", fault)
        return
    published = datetime(int(TZDATA_VERSION[:4]), 12, 31, tzinfo=now.tzinfo)
    if now - published > OLD_ZONE_DATA:
        yield _hint(
            "time zone data",
            f"version {TZDATA_VERSION} is more than a year old: windows may be an hour wrong",
            "update the tzdata package",
        )
        return
    yield _good("time zone data", f"version {TZDATA_VERSION}")


def _templates(settings: Settings) -> Iterator[Finding]:
    from invites.messages.compose import templates_for  # noqa: PLC0415

    folder = settings.mail.templates
    try:
        templates_for(settings)
    except InvitesError as error:
        yield _fault("templates", str(error))
        return
    yield _good("templates", f"all compile; {folder or 'those that come with the program'}")


def _with_ledger(
    installation: Installation, *looks: Callable[[Installation, Ledger], Iterator[Finding]]
) -> Iterator[Finding]:
    with ExitStack() as stack:
        try:
            settings = installation.settings
            ledger = stack.enter_context(
                open_ledger(settings.ledger.url, lock=False, outbox=settings.delivery.folder)
            )
        except InvitesError as error:
            yield _fault("ledger", str(error))
            return
        for look in looks:
            yield from look(installation, ledger)


def _ledger(installation: Installation, ledger: Ledger) -> Iterator[Finding]:
    facts = guard_facts(ledger)
    settings, seconds = installation.settings, int(installation.now.timestamp())
    ahead, zone = settings.guard.clock_ahead, settings.roster.timezone
    faults = [
        ("clock", clock_fault(facts.last_run, seconds, ahead=ahead, in_zone=zone)),
        ("time zone data", zone_data_fault(facts.tz_version, TZDATA_VERSION)),
    ]
    for check, fault in faults:
        if fault is not None:
            yield _fault(check, fault)
    states = [one.state.value for one in waiting(ledger)]
    shown = ", ".join(f"{states.count(state)} {state}" for state in sorted(set(states)))
    yield _good("ledger", f"{ledger.name}: opens" + (f"; not sent yet: {shown}" if states else ""))
    if "unknown" in states and installation.settings.delivery.on_unknown == "hold":
        yield _hint(
            "ledger",
            f"{counted(states.count('unknown'), 'message')} may have been sent or not, held for now",
            "ask those people; `invites send --resend --only email:ADDRESS` sends again",
        )


def _jobs(installation: Installation, ledger: Ledger) -> Iterator[Finding]:
    for job in installation.settings.jobs:
        status = status_of(ledger, job, now=installation.now)
        why = late(status, now=installation.now)
        if why is not None:
            text, _, remedy = why.partition("; ")
            yield _fault(f"job {job.name}", text, remedy)
            continue
        done = (
            ""
            if status.last_done is None
            else f"last done {status.said(status.last_done.started)}, "
        )
        yield _good(f"job {job.name}", f"{done}next due {status.said(status.next_due)}")


def _roster(job: Job, now: datetime) -> Iterator[Finding]:
    """Look for the job's roster as its run would; reading its rows is `check`'s."""
    check = f"job {job.name}"
    try:
        found = find(job.source(), now=now)
    except RosterMovesError:
        yield _good(check, "its roster is being written just now")
    except RosterRefusedError as refusal:
        for problem in refusal.problems:
            yield _fault(check, problem.text(refusal.source))
    except GuardError as error:
        yield _fault(check, str(error))
    else:
        names = ", ".join(str(file.path) for file in found.files)
        yield _good(check, f"its roster is {names}")


def _folder(settings: Settings) -> Iterator[Finding]:
    uses = settings.delivery.to == "folder" or any(job.deliver == "folder" for job in settings.jobs)
    if not uses:
        return
    folder = settings.delivery.folder
    nearest = next((path for path in (folder, *folder.parents) if path.exists()), folder)
    if nearest.is_dir() and os.access(nearest, os.W_OK | os.X_OK):
        yield _good("delivery", f"batches go to {folder}")
        return
    yield _fault(
        "delivery",
        f"{nearest} can't be written to, so no batch can be made in {folder}",
        "correct [delivery] folder, or give the account that runs invites the right to write",
    )


def _smtp(settings: Settings) -> Iterator[Finding]:
    if settings.smtp.host is None:
        return
    from invites.delivery.smtp import login_report, relay_from  # noqa: PLC0415

    try:
        yield _good("smtp", login_report(relay_from(settings)))
    except InvitesError as error:
        yield _fault("smtp", str(error))


def _jitsi(installation: Installation) -> Iterator[Finding]:
    """Compare the tokens with what is known of the server: its own file, or else the environment."""
    server = installation.settings.server()
    if installation.jitsi_env is not None:
        deployment = from_docker(env_file(installation.jitsi_env), whole=True)
    elif installation.prosody is not None:
        host = server.host.partition(":")[0]
        deployment = from_prosody(installation.prosody, host=host)
    else:
        deployment = from_docker(installation.environ, whole=False)
    has_file = installation.jitsi_env is not None or installation.prosody is not None
    secret = None
    with suppress(SettingsError):  # `_secret` has said what is missing
        key = installation.settings.signing_key().key
        secret = key if isinstance(key, bytes) else None
    rule = installation.settings.validity_rule()
    yield from pitfalls(server, rule, deployment, secret=secret, door=has_file)


_TIME_ERROR = 5
_OCTETS_OF_TIMEX = 512
"""More than struct timex has anywhere; all zero asks without changing anything."""


def clock_is_synchronised() -> bool | None:
    """Tell whether the kernel takes its clock for synchronised; None where it can't be asked."""
    if not sys.platform.startswith("linux"):
        return None
    try:
        answer = ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(_OCTETS_OF_TIMEX))
    except (AttributeError, OSError):
        return None
    return None if answer < 0 else answer != _TIME_ERROR
