"""`invites send`: carry the plan out, record it, resume where it stopped."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from invites.cli.common import (
    Call,
    ConfigOption,
    JsonOption,
    NowOption,
    QuietOption,
    RosterArgument,
    VerboseOption,
)
from invites.cli.flags import (
    AcceptChangeOption,
    AcceptClockOption,
    AcceptShrinkOption,
    ClaimOption,
    LimitOption,
    NewLedgerOption,
    NoFinalNewlineOption,
    OnlyOption,
    PartialOption,
    ResendOption,
    ScopeOption,
    SkipInvalidOption,
    TemplatesOption,
    ToOption,
    VerifyOption,
    WithdrawNowOption,
)
from invites.errors import UsageError

if TYPE_CHECKING:
    from datetime import timedelta

    from invites.cli.errands import Begun


def send(
    context: typer.Context,
    roster: RosterArgument,
    to: ToOption = None,
    scope: ScopeOption = None,
    claim: ClaimOption = None,
    partial: PartialOption = False,
    limit: LimitOption = None,
    only: OnlyOption = None,
    resend: ResendOption = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Compose and check all, send and record nothing.")
    ] = False,
    redirect: Annotated[
        str | None,
        typer.Option("--redirect", metavar="ADDRESS", help="All to this box, record nothing."),
    ] = None,
    record_only: Annotated[
        Path | None,
        typer.Option("--record-only", metavar="MANIFEST", help="Adopt what a build mailed."),
    ] = None,
    withdraw_now: WithdrawNowOption = False,
    new_ledger: NewLedgerOption = False,
    accept_shrink: AcceptShrinkOption = None,
    accept_change: AcceptChangeOption = None,
    accept_clock: AcceptClockOption = False,
    no_final_newline: NoFinalNewlineOption = False,
    retry_wait: Annotated[
        str, typer.Option("--retry-wait", metavar="TIME", help="Try deferred ones for so long.")
    ] = "0s",
    skip_invalid: SkipInvalidOption = False,
    templates: TemplatesOption = None,
    verify: VerifyOption = None,
    now: NowOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
) -> int:
    """Send what the plan says through the configured delivery, and remember it."""
    from invites.cli.errands import Flags, begun

    flags = Flags(
        roster=roster,
        to=to,
        scope=scope,
        claim=tuple(claim or ()),
        partial=partial,
        limit=limit,
        only=tuple(only or ()),
        resend=resend,
        withdraw_now=withdraw_now,
        new_ledger=new_ledger,
        accept_shrink=accept_shrink,
        accept_change=accept_change,
        accept_clock=accept_clock,
        no_final_newline=no_final_newline,
        skip_invalid=skip_invalid,
        templates=templates,
        verify=verify,
        now=now,
    )
    _refuse_together(dry_run=dry_run, redirect=redirect, record_only=record_only)
    wait = _duration(retry_wait)
    call = Call(config=config, as_json=as_json, quiet=quiet, verbose=verbose)
    from invites.cli.sending import Sending

    begin = begun(call, flags)
    errand = Sending(call=call, context=context, flags=flags, begin=begin)
    if not dry_run:
        _refuse_another_time(begin, now)
    if redirect is not None:
        return errand.redirect(_test_box(redirect, begin))
    if dry_run:
        return errand.rehearse()
    if record_only is not None:
        return errand.adopt(record_only)
    return errand.send(wait)


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


def _refuse_another_time(begin: Begun, now: str | None) -> None:
    if now is not None and begin.to != "folder":
        raise UsageError(
            f"--now: found it with delivery to {begin.to}, expected it with --dry-run or --to "
            "folder alone; what a mail server gets has the time of the clock"
        )


def _duration(text: str) -> timedelta:
    from invites.settings.values import Unfit, duration

    try:
        return duration(text)
    except Unfit as unfit:
        raise UsageError(f'--retry-wait: found "{text[:40]}", expected {unfit.expected}') from None


def _test_box(text: str, begin: Begun) -> str:
    """Return the mailbox that `--redirect` names; a folder has no envelope to redirect."""
    from invites.addresses import AddressRefused, parse_address

    if begin.to != "smtp":
        raise UsageError(
            "--redirect: found delivery to a folder, expected --to smtp: a folder's messages go "
            "where their To: header says, to the attendees; --dry-run or build show them safely"
        )
    try:
        found = parse_address(text, special_domains=begin.settings.roster.special_domains)
    except AddressRefused as refused:
        raise UsageError(f'--redirect: found "{text[:60]}", expected {refused.expected}') from None
    return found.mailbox
