"""What `plan` and `send` share: what follows from their flags and the settings."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal
from unicodedata import normalize

import typer

from invites.cli.common import Call, clock, spare_the_collector
from invites.errors import UsageError

if TYPE_CHECKING:
    from invites.ledger import Ledger
    from invites.model import Roster
    from invites.planning.actions import Only, Plan, Policy
    from invites.sending import Renderer, SendOptions
    from invites.settings import Settings

SHORTEST_DIGEST = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Flags:
    """The flags of a `plan` or `send`, as they were given."""

    roster: str
    to: str | None = None
    scope: str | None = None
    claim: tuple[str, ...] = ()
    partial: bool = False
    limit: int | None = None
    only: tuple[str, ...] = ()
    resend: bool = False
    withdraw_now: bool = False
    new_ledger: bool = False
    accept_shrink: str | None = None
    accept_change: str | None = None
    accept_clock: bool = False
    no_final_newline: bool = False
    skip_invalid: bool = False
    templates: Path | None = None
    verify: str | None = None
    now: str | None = None

    def __post_init__(self) -> None:
        """Refuse what can be known to be wrong from the flags alone."""
        if self.to not in {None, "folder", "smtp"}:
            raise UsageError(f'--to: found "{self.to}", expected folder or smtp')
        if self.verify not in {None, "all"}:
            raise UsageError(f'--verify: found "{self.verify}", expected all')
        for flag, digest in (
            ("--accept-shrink", self.accept_shrink),
            ("--accept-change", self.accept_change),
        ):
            demand_digest(flag, digest)


def demand_digest(flag: str, digest: str | None) -> None:
    """Raise UsageError for what can't be the beginning of a roster's digest."""
    """Refuse as UsageError what can be no roster's digest; None is no flag."""
    if digest is None:
        return
    if len(digest) < SHORTEST_DIGEST or set(digest.lower()) - set("0123456789abcdef"):
        raise UsageError(
            f'{flag}: found "{digest[:70]}", expected at least {SHORTEST_DIGEST} hex digits of the '
            "roster's SHA-256, as the guard's message shows them"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Begun:
    """What is known before the roster is read."""

    settings: Settings
    errand: SendOptions
    now: datetime

    @property
    def to(self) -> Literal["folder", "smtp"]:
        """The delivery's name."""
        return "smtp" if self.errand.delivery == "smtp" else "folder"


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A roster that was read, and all that is needed to plan with it or to send."""

    settings: Settings
    roster: Roster
    workshop: Renderer
    errand: SendOptions
    now: datetime


def begun(call: Call, flags: Flags) -> Begun:
    """Return what `plan` and `send` begin with, or raise what is wrong with flags and settings."""
    import os

    from invites import settings as settings_package
    from invites.sending import SendOptions

    now = clock(flags.now)
    settings = settings_package.load(call.config, environ=os.environ)
    for warning in settings.warnings:
        call.warn(warning)
    settings.require_minting()
    to = flags.to or settings.delivery.to
    scope = _scope(call, flags, settings)
    errand = SendOptions(
        scope=scope,
        command="send",
        delivery=to,
        policy=_policy(flags, settings, to),
        claimed=tuple(dict.fromkeys(name for name in flags.claim if name != scope)),
        clock_ahead=settings.guard.clock_ahead,
        accept_clock=flags.accept_clock,
        keep=settings.ledger.keep,
    )
    return Begun(settings=settings, errand=errand, now=now)


def prepared(call: Call, flags: Flags, begin: Begun) -> Prepared:
    """Read the roster and open the workshop; raises what is wrong with either."""
    from invites.cli.reading import warn_of
    from invites.sending import Renderer
    from invites.sending.rosters import read_roster

    spare_the_collector()
    settings = begin.settings
    roster = read_roster(flags.roster, settings, skip_invalid=flags.skip_invalid, now=begin.now)
    workshop = Renderer.from_settings(
        settings, templates=flags.templates, everything=flags.verify == "all"
    )
    warn_of(call, roster)
    _warn_of_other_digests(call, flags, roster)
    return Prepared(
        settings=settings, roster=roster, workshop=workshop, errand=begin.errand, now=begin.now
    )


def _policy(flags: Flags, settings: Settings, to: str) -> Policy:
    from dataclasses import replace

    from invites.sending import policy_from

    return replace(
        policy_from(settings, to=to),
        accept_shrink=flags.accept_shrink,
        accept_change=flags.accept_change,
        partial=flags.partial,
        withdraw_now=flags.withdraw_now,
        resend=flags.resend,
        limit=flags.limit,
        only=tuple(_only(text, settings) for text in flags.only),
    )


def _only(text: str, settings: Settings) -> Only:
    """Return what one `--only` names: a folded address, or a meeting id as rosters have them."""
    from invites.addresses import AddressRefused, parse_address
    from invites.planning.actions import Only

    what, colon, value = text.partition(":")
    value = value.strip()
    if not colon or not value or what not in {"email", "meeting"}:
        raise UsageError(f'--only: found "{text[:60]}", expected email:ADDRESS or meeting:ID')
    if what == "meeting":
        return Only("meeting", normalize("NFC", value))
    try:
        found = parse_address(value, special_domains=settings.roster.special_domains)
    except AddressRefused as refused:
        raise UsageError(f'--only: found "{value[:60]}", expected {refused.expected}') from None
    return Only("email", found.address)


def _scope(call: Call, flags: Flags, settings: Settings) -> str:
    from invites.sending.scopes import scope_for

    if flags.scope is not None:
        if not flags.scope.strip():
            raise UsageError("--scope: found nothing, expected a name such as a job's")
        return normalize("NFC", flags.scope.strip())
    scope = scope_for(flags.roster, settings)
    if scope.warning:
        call.warn(scope.warning)
    return scope.name


def _warn_of_other_digests(call: Call, flags: Flags, roster: Roster) -> None:
    """Say where a yes was to another roster than this one; it is then no yes."""
    for flag, digest in (
        ("--accept-shrink", flags.accept_shrink),
        ("--accept-change", flags.accept_change),
    ):
        if digest is not None and not roster.digest.startswith(digest.lower()):
            call.warn(
                f"{flag}: {digest[:16]} is another roster's digest, and accepts nothing of this "
                f"one's, which begins with {roster.digest[:16]}"
            )


@contextmanager
def ledger_to_read(settings: Settings, *, new: bool) -> Iterator[Ledger | None]:
    """Open the ledger without its lock; None stands for the empty one that `--new-ledger` means."""
    from invites.ledger import open_ledger

    if new:
        yield None
        return
    with open_ledger(settings.ledger.url, lock=False) as ledger:
        yield ledger


def acceptance(context: typer.Context, plan: Plan) -> tuple[str, ...]:
    """Return the very commands that say yes to what the plan's guards refused."""
    flags = {ACCEPTED_BY[refusal.guard]: refusal.digest[:DIGEST_SHOWN] for refusal in plan.refusals}
    return tuple(f"{again(context, without=flag)} {flag} {flags[flag]}" for flag in flags)


ACCEPTED_BY = {
    "shrink": "--accept-shrink",
    "cancelled": "--accept-shrink",
    "change": "--accept-change",
}
DIGEST_SHOWN = 16


def again(context: typer.Context, *, without: str) -> str:
    """Return this call as a `send`, as somebody types it, apart from one flag."""
    words = ["invites", "send"]
    for parameter in context.command.params:
        name = parameter.name or ""
        source = context.get_parameter_source(name)
        if source is None or source.name != "COMMANDLINE":
            continue
        flag = parameter.opts[0]
        value = context.params[name]
        if flag in {without, "--json", "--dry-run", "--now"}:
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
    for command in commands:
        call.warn(f"to accept: {command}")
