"""`invites doctor`: what is wrong with an installation, and what to do about it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from invites.cli.common import clock
from invites.cli.options import Call
from invites.errors import Exit
from invites.text import counted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from invites.jitsi.pitfalls import Finding


def doctor(
    call: Call,
    jobs: Annotated[
        bool,
        typer.Option("--jobs", help="Only whether each job did its last due time; for monitoring."),
    ] = False,
    offline: Annotated[
        bool, typer.Option("--offline", help="Do not log in to the mail server.")
    ] = False,
) -> int:
    """Look for what is wrong and say what to do; changes, sends and locks nothing.

    Looks at settings, secret, clock (the kernel's word, and the ledger's last run), time zone
    data, templates, ledger, jobs (the last due time, the roster), the delivery folder, the login
    at the mail server, and what lets Jitsi servers refuse or ignore tokens; with Jitsi's docker
    .env in the environment it compares that as well.  It does not connect to the Jitsi server.

    A fault exits 5; a hint is for somebody to look at, and does not.
    """
    import os

    from invites import settings as settings_package
    from invites.doctor import Installation, all_findings, job_findings, settings_faults
    from invites.errors import SettingsError

    try:
        settings = settings_package.load(call.config, environ=os.environ)
    except SettingsError as error:
        return _tell(call, settings_faults(error))
    installation = Installation(settings=settings, environ=os.environ, now=clock())
    found = job_findings(installation) if jobs else all_findings(installation, smtp=not offline)
    return _tell(call, list(found))


def _tell(call: Call, findings: Sequence[Finding]) -> int:
    from invites.jitsi.pitfalls import Weight

    faults = [finding for finding in findings if finding.weight is Weight.FAULT]
    code = Exit.SETTINGS if faults else Exit.DONE
    call.document(
        command="doctor",
        exit_code=int(code),
        findings=[_document(finding) for finding in findings],
    )
    for finding in findings:
        _say(call, finding, is_fault=finding.weight is Weight.FAULT)
    hints = sum(finding.weight is Weight.HINT for finding in findings)
    call.say(f"{counted(len(faults), 'fault')}, {counted(hints, 'hint')}")
    return code


def _say(call: Call, finding: Finding, *, is_fault: bool) -> None:
    lines = [f"{finding.weight.value:<5}  {finding.check}: {finding.text}"]
    if finding.remedy:
        lines.append(f"       do: {finding.remedy}")
    if is_fault:
        call.problems(lines)
        return
    for line in lines:
        call.say(line)


def _document(finding: Finding) -> dict[str, Any]:
    return {
        "check": finding.check,
        "weight": finding.weight.value,
        "text": finding.text,
        "remedy": finding.remedy,
    }
