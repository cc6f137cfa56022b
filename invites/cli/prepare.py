"""What `plan` and `send` begin with: the settings, the roster and what makes messages."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING
from unicodedata import normalize

import typer

from invites.cli import spare_the_collector
from invites.cli.options import Call, RunFlags, SendFlags, clock
from invites.errors import UsageError
from invites.model import DeliveryName

if TYPE_CHECKING:
    from invites.ledger import Ledger
    from invites.model import Roster
    from invites.planning.actions import Only, Plan, Policy
    from invites.sending import Renderer, SendOptions
    from invites.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """What is known before the roster is read."""

    settings: Settings
    options: SendOptions
    now: datetime

    @property
    def to(self) -> DeliveryName:
        """The delivery's name."""
        return "smtp" if self.options.delivery == "smtp" else "folder"


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
    import os

    from invites import settings as settings_package
    from invites.sending import SendOptions

    now = clock(flags.now)
    settings = settings_package.load(call.config, environ=os.environ)
    for warning in settings.warnings:
        call.warn(warning)
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
    renderer = Renderer.from_settings(
        settings, templates=flags.templates, everything=flags.verify == "all"
    )
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
    from invites.addresses import AddressRefused, parse_address
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
    try:
        found = parse_address(value, special_domains=settings.roster.special_domains)
    except AddressRefused as refused:
        raise UsageError(f'--only: found "{value[:60]}", expected {refused.expected}') from None
    return Only("email", found.address)


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
