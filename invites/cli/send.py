"""`invites send`: carry the plan out, record it, resume where it stopped."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from invites.cli.options import Call, SendFlags, address_of
from invites.errors import UsageError

if TYPE_CHECKING:
    from datetime import timedelta

    from invites.cli.plan import Setup


def send(
    call: Call,
    context: typer.Context,
    flags: SendFlags,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Compose and check all, send and record nothing.")
    ] = False,
    redirect: Annotated[
        str | None,
        typer.Option("--redirect", metavar="ADDRESS", help="Send all there and record nothing."),
    ] = None,
    record_only: Annotated[
        Path | None,
        typer.Option("--record-only", metavar="MANIFEST", help="Adopt what a build mailed."),
    ] = None,
    retry_wait: Annotated[
        str, typer.Option("--retry-wait", metavar="TIME", help="Try deferred ones for so long.")
    ] = "0s",
) -> int:
    """Send what the plan says through the configured delivery, and remember it."""
    _refuse_together(dry_run=dry_run, redirect=redirect, record_only=record_only)
    flags.demand_real_clock(dry_run=dry_run)
    wait = _duration(retry_wait)
    from invites.cli.plan import set_up
    from invites.cli.sending import Sending

    setup = set_up(call, flags)
    sending = Sending(call=call, context=context, flags=flags, setup=setup)
    if redirect is not None:
        return sending.redirect(_test_box(redirect, setup))
    if dry_run:
        return sending.rehearse()
    if record_only is not None:
        return sending.adopt(record_only)
    return sending.send(wait)


def _refuse_together(*, dry_run: bool, redirect: str | None, record_only: Path | None) -> None:
    given = [
        flag
        for flag, value in (
            ("--dry-run", dry_run),
            ("--redirect", redirect is not None),
            ("--record-only", record_only is not None),
        )
        if value
    ]
    if len(given) > 1:
        raise UsageError(f"found {' and '.join(given)}, expected one of them")


def _duration(text: str) -> timedelta:
    from invites.settings.quantities import duration
    from invites.settings.types import Unfit

    try:
        return duration(text)
    except Unfit as unfit:
        raise UsageError(f'--retry-wait: found "{text[:40]}", expected {unfit.expected}') from None


def _test_box(text: str, setup: Setup) -> str:
    """Return the mailbox that `--redirect` names; a folder has no envelope to redirect."""
    if setup.to != "smtp":
        raise UsageError(
            "--redirect: found delivery to a folder, expected --to smtp: a folder's messages go "
            "where their To: header says, to the attendees; --dry-run or build show them safely"
        )
    return address_of(text, "--redirect", setup.settings).mailbox
