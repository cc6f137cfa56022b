"""`invites doctor`: what is wrong with an installation, and what to do about it."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from invites.cli.options import Call, clock
from invites.errors import Exit, UsageError
from invites.problems import on_one_line
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
    jitsi_env: Annotated[
        Path | None,
        typer.Option("--jitsi-env", metavar="FILE", help="The .env of a docker Jitsi: look at it."),
    ] = None,
    prosody: Annotated[
        Path | None,
        typer.Option("--prosody", metavar="FILE", help="Prosody's file of the host: look at it."),
    ] = None,
) -> int:
    """Look for what is wrong and say what to do; changes, sends and locks nothing.

    Looks at settings, secret, clock (the kernel's word, and the ledger's last run), time zone
    data, templates, ledger, jobs (the last due time, the roster), the delivery folder, the login
    at the mail server, and what lets Jitsi servers refuse or ignore tokens; with Jitsi's docker
    .env in the environment it compares that as well.  It does not connect to the Jitsi server.

    With the server's own file (--jitsi-env or --prosody) it says what each person will be at the
    door, moderator or not, and which line of which file to change.

    A fault exits 5; a hint is for somebody to look at, and does not.
    """
    import os

    from invites.doctor import Installation, all_findings, job_findings, settings_faults
    from invites.errors import SettingsError

    if jitsi_env is not None and prosody is not None:
        raise UsageError("--jitsi-env and --prosody: found both, expected the one server's file")
    try:
        settings = call.settings(warn=False)
    except SettingsError as error:
        return _tell(call, settings_faults(error))
    installation = Installation(
        settings=settings,
        environ=os.environ,
        now=clock(),
        jitsi_env=_text_of(jitsi_env, "--jitsi-env"),
        prosody=_text_of(prosody, "--prosody"),
    )
    found = job_findings(installation) if jobs else all_findings(installation, smtp=not offline)
    return _tell(call, list(found))


def _text_of(file: Path | None, option: str) -> str | None:
    """Return a server's file; a byte that is no UTF-8 is none of those that are looked for."""
    if file is None:
        return None
    try:
        return file.read_bytes().decode("utf-8-sig", "replace")
    except OSError as error:
        raise UsageError(
            f"{option}: {on_one_line(str(file))}: can't be read ({error.strerror}); name the "
            "server's file, or a copy of it"
        ) from None


def _tell(call: Call, findings: Sequence[Finding]) -> int:
    from invites.jitsi.pitfalls import Weight

    faults = [finding for finding in findings if finding.weight is Weight.FAULT]
    code = Exit.SETTINGS if faults else Exit.DONE
    call.document(
        command="doctor", exit_code=int(code), findings=[asdict(finding) for finding in findings]
    )
    for finding in findings:
        _say(call, finding, is_fault=finding.weight is Weight.FAULT)
    hints = sum(finding.weight is Weight.HINT for finding in findings)
    call.say(f"{counted(len(faults), 'fault')}, {counted(hints, 'hint')}")
    if not faults:
        call.say("To see mail, link and room work together: invites try YOUR_ADDRESS")
    return code


def _say(call: Call, finding: Finding, *, is_fault: bool) -> None:
    lines = [f"{finding.weight.value:<5}  {on_one_line(f'{finding.check}: {finding.text}')}"]
    if finding.remedy:
        lines.append(f"       do: {on_one_line(finding.remedy)}")
    if is_fault:
        call.problems(lines)
        return
    for line in lines:
        call.say(line)
