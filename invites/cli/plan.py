"""`invites plan`: what `send` would do now; `send`: carry it out; and what both begin with.

The ways in which `send` does it are in `sending`, which is read only then.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from unicodedata import normalize

import typer

from invites.cli import spare_the_collector
from invites.cli.options import ByOption, Call, RunFlags, SendFlags, address_of, by_of, clock
from invites.errors import Exit, GuardError, RosterRefusedError, UsageError
from invites.invitation import DeliveryName

if TYPE_CHECKING:
    from datetime import timedelta

    from invites.ledger import Ledger
    from invites.model import Roster
    from invites.planning.actions import Only, Plan, Policy
    from invites.report.tables import By
    from invites.sending import Renderer, SendOptions
    from invites.settings import Settings


_COLOURS = {"+": "32", "~": "33", "*": "36", "-": "31", "!": "35"}
"""Of a plan's signs: new, updated, sent again, withdrawn, held back."""


def plan(call: Call, context: typer.Context, flags: SendFlags, by: ByOption = None) -> int:
    """Show what send would do now: who is new, updated, withdrawn, kept or held back."""
    from invites.sending import planned

    grouped = by_of(by)
    ready = prepared(call, flags, set_up(call, flags))
    with ledger_to_read(ready.settings, flags) as ledger:
        faults = _faults(ready, flags, ledger)
        found = planned(ready.roster, ready.renderer, ledger, ready.options, now=ready.now)
    _show(call, found, ready, faults, acceptance(context, found), grouped)
    return Exit.DONE


def _faults(ready: Prepared, flags: SendFlags, ledger: Ledger | None) -> list[str]:
    """Return why `send` would not even begin, as lines."""
    from invites.problems import lines_of
    from invites.roster.source import demand_whole
    from invites.sending import demand_guards

    faults: list[str] = []
    try:
        demand_whole(ready.roster, accepted=flags.no_final_newline)
    except RosterRefusedError as refusal:
        faults += lines_of(refusal.problems, refusal.source)
    if ledger is not None:
        try:
            demand_guards(ledger, ready.options, now=ready.now)
        except GuardError as refusal:
            faults.append(str(refusal))
    return faults


def _show(
    call: Call,
    found: Plan,
    ready: Prepared,
    faults: list[str],
    commands: tuple[str, ...],
    by: By | None,
) -> None:
    from invites.report.plan import plan_document, plan_lines, plan_summary
    from invites.times import iso_z

    for warning in found.warnings:
        call.warn(warning)
    call.document(
        command="plan",
        roster=ready.roster.source,
        to=ready.options.delivery,
        now=iso_z(ready.now),
        **plan_document(found),
        accept=list(commands),
        would_refuse=faults,
        problems=[problem.facts() for problem in ready.roster.left_out],
    )
    for line in plan_lines(found, by):
        call.say(line, colour=_COLOURS.get(line[:1], ""))
    call.say(plan_summary(found))
    for fault in faults:
        call.warn(f"send would refuse: {fault}")
    warn_of_refusals(call, found, commands)


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """What is known before the roster is read."""

    settings: Settings
    options: SendOptions
    now: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A roster that was read, and all that is needed to plan with it or to send."""

    settings: Settings
    roster: Roster
    renderer: Renderer
    options: SendOptions
    now: datetime


def set_up(call: Call, flags: SendFlags) -> Setup:
    """Return what `plan` and `send` begin with, or raise what is wrong with flags and settings."""
    from invites.sending import SendOptions

    now = clock(flags.now)
    settings = call.settings(templates=flags.templates)
    settings.require_minting()
    to: DeliveryName = flags.to or settings.delivery.to  # type: ignore[assignment]  # the flags refuse others
    scope = _scope(call, flags, settings)
    options = SendOptions.from_settings(settings, scope=scope, command="send", to=to)
    options = replace(
        options,
        policy=_policy(flags, settings, options.policy),
        claimed=tuple(name for name in flags.claimed if name != scope),
        skip_invalid=flags.skip_invalid,
        accept_clock=flags.accept_clock,
    )
    return Setup(settings=settings, options=options, now=now)


def prepared(call: Call, flags: SendFlags, setup: Setup) -> Prepared:
    """Read the roster and open the renderer; raises what is wrong with either."""
    from invites.roster.source import read_roster
    from invites.sending import Renderer

    spare_the_collector()
    settings = setup.settings
    roster = read_roster(
        flags.roster, settings.roster_rules(), skip_invalid=flags.skip_invalid, now=setup.now
    )
    renderer = Renderer.from_settings(settings, everything=flags.verify == "all")
    call.warn_of(roster)
    return Prepared(
        settings=settings, roster=roster, renderer=renderer, options=setup.options, now=setup.now
    )


def _policy(flags: SendFlags, settings: Settings, policy: Policy) -> Policy:
    return replace(
        policy,
        accept=flags.accept,
        partial=flags.partial,
        withdraw_now=flags.withdraw_now,
        resend=flags.resend,
        limit=flags.limit,
        only=tuple(_only(text, settings) for text in flags.only or ()),
    )


def _only(text: str, settings: Settings) -> Only:
    """Return what one `--only` names: a folded address, or a meeting id as rosters have them.

    A bare address is one: `ada@example.org` as well as `email:ada@example.org`.
    """
    from invites.planning.actions import Only

    what, colon, value = text.partition(":")
    if not colon and "@" in text:
        what, colon, value = "email", ":", text
    value = value.strip()
    if not colon or not value or what not in {"email", "meeting"}:
        raise UsageError(
            f'--only: found "{text[:60]}", expected an address, email:ADDRESS or meeting:ID'
        )
    if what == "meeting":
        return Only("meeting", normalize("NFC", value))
    return Only("email", address_of(value, "--only", settings).address)


def _scope(call: Call, flags: SendFlags, settings: Settings) -> str:
    from invites.sending import scope_for

    if flags.scope is not None:
        if not flags.scope.strip():
            raise UsageError("--scope: found nothing, expected a name such as a job's")
        return normalize("NFC", flags.scope.strip())
    scope, warning = scope_for(flags.roster, settings)
    if warning:
        call.warn(warning)
    return scope


@contextmanager
def ledger_to_read(settings: Settings, flags: RunFlags) -> Iterator[Ledger | None]:
    """Open the ledger without its lock; None stands for the empty one that `--new-ledger` means.

    Raises LedgerError for one that is damaged: nothing is shown, or redirected, that is not so.
    """
    from invites.ledger import open_ledger

    if flags.new_ledger:
        yield None
        return
    with open_ledger(
        settings.ledger.url,
        lock=False,
        after_restore=flags.after_restore,
        outbox=settings.delivery.folder,
    ) as ledger:
        ledger.demand_sound()
        yield ledger


def acceptance(context: typer.Context, plan: Plan) -> tuple[str, ...]:
    """Return the very command that says yes to what the plan's guards refused, if they did."""
    if not plan.accept_code:
        return ()
    return (f"{again(context, without='--accept')} --accept {plan.accept_code}",)


def again(context: typer.Context, *, without: str) -> str:
    """Return this call as a `send`, as somebody types it, apart from one flag."""
    words = ["invites", "send"]
    for parameter in context.command.params:
        name = parameter.name or ""
        source = context.get_parameter_source(name)
        if source is None or source.name not in {"COMMANDLINE", "DEFAULT_MAP"}:
            continue
        flag = parameter.opts[0]
        value = context.params[name]
        if flag in {without, "--json", "--dry-run", "--now", "--by"}:
            continue
        words += _typed(flag, value, is_argument=parameter.param_type_name == "argument")
    return shlex.join(words)


def _typed(flag: str, value: object, *, is_argument: bool) -> list[str]:
    if is_argument:
        return [str(value)]
    if value is True:
        return [flag]
    if isinstance(value, list | tuple):
        return [word for each in value for word in (flag, str(each))]
    return [flag, str(value)]


def warn_of_refusals(call: Call, plan: Plan, commands: tuple[str, ...]) -> None:
    """Say which guards refused what, and by which commands a person says yes."""
    for refusal in plan.refusals:
        call.warn(refusal.text)
    if plan.other_code:
        call.warn(
            f"--accept: {plan.other_code[:16]} is the code of another roster or of other guards, "
            "and accepts nothing here"
        )
    for command in commands:
        call.warn(f"to accept: {command}")


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
    if setup.options.delivery != "smtp":
        raise UsageError(
            "--redirect: found delivery to a folder, expected --to smtp: a folder's messages go "
            "where their To: header says, to the attendees; --dry-run or build show them safely"
        )
    return address_of(text, "--redirect", setup.settings).mailbox
