"""The options of the command line, each declared once, and how a dataclass of them is taken apart.

A command names a dataclass of options as its parameter; `spread` shows Typer the fields instead,
and puts what was given together again.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import MISSING, dataclass, fields, is_dataclass
from datetime import UTC, datetime
from inspect import Parameter, Signature, signature
from pathlib import Path
from string import hexdigits
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import typer

from invites.errors import UsageError
from invites.problems import lines_of, printable, printable_json

if TYPE_CHECKING:
    from invites.addresses import Address
    from invites.model import Roster
    from invites.problems import Warned
    from invites.report.tables import By
    from invites.settings import Settings

JSON_VERSION = 1
"""Raised when a `--json` document changes so that a program reading it would break."""

RosterArgument = Annotated[
    str, typer.Argument(metavar="ROSTER", help="The CSV file or workbook; - reads standard input.")
]
NowOption = Annotated[
    str | None,
    typer.Option("--now", metavar="TIME", help="Take this time (ISO 8601) for the present."),
]
SkipInvalidOption = Annotated[
    bool, typer.Option("--skip-invalid", help="Leave faulty rows out instead of refusing.")
]
TemplatesOption = Annotated[
    Path | None, typer.Option("--templates", metavar="DIR", help="Look here for templates first.")
]
VerifyOption = Annotated[
    str | None,
    typer.Option("--verify", metavar="all", help="Read every message back, not a sample."),
]

ByOption = Annotated[
    str | None,
    typer.Option(
        "--by", metavar="meeting|person", help="Group by meeting or person, alike ones in one line."
    ),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """The options that every command has, before or after its name, and the two streams."""

    config: Annotated[
        Path | None,
        typer.Option("--config", metavar="FILE", help="Read the settings from this file."),
    ] = None
    as_json: Annotated[
        bool, typer.Option("--json", help="Write one JSON document to standard output.")
    ] = False
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Say only what went wrong.")] = False
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Say more.")] = False

    def settings(self, *, warn: bool = True, templates: Path | None = None) -> Settings:
        """Return the settings that this call is for, and say what of them is to be looked at.

        `templates` is what `--templates` says, which beats `[mail] templates`.
        """
        from invites import settings

        overrides = {"mail.templates": templates}
        loaded = settings.load(self.config, environ=os.environ, overrides=overrides)
        for warning in loaded.warnings if warn else ():
            self.warn(warning)
        return loaded

    def say(self, text: str, *, colour: str = "") -> None:
        """Write a line for people: to stdout, or to stderr where stdout carries JSON.

        `colour` (32 is green) is its first character's on a terminal, without NO_COLOR.
        """
        if self.quiet:
            return
        shown = printable(text).replace("\n", "\\n")  # a file may be called so
        plain = self.as_json or os.environ.get("NO_COLOR") or not sys.stdout.isatty()
        if colour and not plain:
            shown = f"\x1b[{colour}m{shown[:1]}\x1b[0m{shown[1:]}"
        print(shown, file=sys.stderr if self.as_json else sys.stdout)

    def detail(self, text: str) -> None:
        """Write a line that only `-v` shows, to stderr."""
        if self.verbose:
            print(printable(text), file=sys.stderr)

    def warn(self, text: str) -> None:
        """Write a warning to stderr; `-q` keeps it, for something is not as it should be."""
        print(printable(f"warning: {text}"), file=sys.stderr)

    def fail(self, error: object) -> None:
        """Write to stderr why a call ended as it did."""
        print(printable(f"invites: {error}"), file=sys.stderr)

    def problems(self, lines: Iterable[str]) -> None:
        """Write problems to stderr, one unwrapped line each."""
        for line in lines:
            print(printable(line), file=sys.stderr)

    def warn_of(self, roster: Roster, further: Iterable[Warned] = ()) -> None:
        """Say on stderr what was left out of the roster, and what somebody should look at."""
        self.problems(lines_of(roster.left_out, roster.source))
        for line in lines_of((*roster.warnings, *further), roster.source):
            self.warn(line)

    def document(self, **facts: Any) -> None:
        """Write the one JSON document, where it was asked for; an iterator's list as it comes."""
        if not self.as_json:
            return
        for number, (name, value) in enumerate({"version": JSON_VERSION, **facts}.items()):
            print("," if number else "{", f'\n  "{name}": ', sep="", end="")
            if isinstance(value, Iterator):
                _write_list(value)
            else:
                print(_json(value, "\n  "), end="")
        print("\n}")


def _write_list(values: Iterator[Any]) -> None:
    some = False
    for value in values:
        print("," if some else "[", "\n    ", _json(value, "\n    "), sep="", end="")
        some = True
    print("\n  ]" if some else "[]", end="")


def _json(value: Any, line_end: str) -> str:
    return printable_json(json.dumps(value, ensure_ascii=False, indent=2).replace("\n", line_end))


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFlags:
    """What `plan`, `send` and `run` take alike: where to, and what a person says yes to."""

    to: Annotated[
        str | None,
        typer.Option("--to", metavar="folder|smtp", help="Deliver there, not as configured."),
    ] = None
    claim: Annotated[
        list[str] | None,
        typer.Option("--claim", metavar="SCOPE", help="Move that scope's meetings over."),
    ] = None
    new_ledger: Annotated[
        bool, typer.Option("--new-ledger", help="Start with an empty ledger.")
    ] = False
    accept: Annotated[
        str | None,
        typer.Option("--accept", metavar="CODE", help="Say yes to the guards that plan showed."),
    ] = None
    accept_clock: Annotated[
        bool, typer.Option("--accept-clock", help="Go on: this machine's clock is right.")
    ] = False
    after_restore: Annotated[
        bool,
        typer.Option("--after-restore", help="Go on with an older ledger, above all it forgot."),
    ] = False
    no_final_newline: Annotated[
        bool, typer.Option("--no-final-newline", help="The roster is whole, though it ends so.")
    ] = False
    now: NowOption = None

    def __post_init__(self) -> None:
        """Refuse what can be known to be wrong from the options alone."""
        from invites.invitation import DELIVERIES
        from invites.planning.guards import CODE_OCTETS

        if self.to is not None and self.to not in DELIVERIES:
            raise UsageError(f'--to: found "{self.to}", expected {" or ".join(DELIVERIES)}')
        if self.accept is not None and (
            len(self.accept) < 2 * CODE_OCTETS or set(self.accept.lower()) - set(hexdigits)
        ):
            raise UsageError(
                f'--accept: found "{self.accept[:70]}", expected at least {2 * CODE_OCTETS} hex '
                "digits, the code that plan shows with the guards"
            )

    def demand_real_clock(self, *, dry_run: bool) -> None:
        """Raise UsageError for a `--now` in what may go to a mail server."""
        if self.now is not None and not dry_run and self.to != "folder":
            raise UsageError(
                "--now: found it without --dry-run or --to folder, expected one of them; what a "
                "mail server gets has the time of the clock"
            )

    @property
    def claimed(self) -> tuple[str, ...]:
        """The scopes to move over, each once."""
        return tuple(dict.fromkeys(self.claim or ()))


@dataclass(frozen=True, slots=True, kw_only=True)
class SendFlags(RunFlags):
    """What `plan` and `send` take besides: whose roster it is, and what of it counts."""

    roster: RosterArgument
    scope: Annotated[
        str | None,
        typer.Option("--scope", metavar="NAME", help="The roster speaks for this scope or job."),
    ] = None
    partial: Annotated[
        bool, typer.Option("--partial", help="Withdraw nobody: the roster is only a part.")
    ] = False
    limit: Annotated[
        int | None, typer.Option("--limit", metavar="N", min=0, help="Make at most N messages.")
    ] = None
    only: Annotated[
        list[str] | None,
        typer.Option("--only", metavar="email:A|meeting:ID", help="Only this person or meeting."),
    ] = None
    resend: Annotated[
        bool, typer.Option("--resend", help="Send what stands once more; best with --only.")
    ] = False
    withdraw_now: Annotated[
        bool, typer.Option("--withdraw-now", help="Withdraw who is missing without waiting.")
    ] = False
    skip_invalid: SkipInvalidOption = False
    templates: TemplatesOption = None
    verify: VerifyOption = None

    def __post_init__(self) -> None:
        """Refuse what can be known to be wrong from the options alone."""
        RunFlags.__post_init__(self)
        demand_verify(self.verify)


def demand_verify(given: str | None) -> None:
    """Raise UsageError for a `--verify` that is not `all`."""
    if given not in {None, "all"}:
        raise UsageError(f'--verify: found "{given[:40]}", expected all')


FIRST_YEAR, LAST_YEAR = 1970, 9998
"""What `--now` can be: a NumericDate is not negative, and arithmetic needs a day to spare."""


def clock(given: str | None = None, *, reproducible: bool = False) -> datetime:
    """Return the present in UTC and whole seconds, or what stands in for it.

    `given` is `--now`.  With `reproducible` (`check`, `build`) SOURCE_DATE_EPOCH does the same.
    Raises UsageError for a time without offset or of no known form.
    """
    if given is not None:
        return _instant(given)
    epoch = os.environ.get("SOURCE_DATE_EPOCH") if reproducible else None
    if epoch:
        if not epoch.isascii() or not epoch.isdigit():
            raise UsageError(
                f'SOURCE_DATE_EPOCH: found "{epoch[:40]}", expected whole seconds since 1970'
            )
        if len(epoch) > 11 or (instant := datetime.fromtimestamp(int(epoch), UTC)).year > LAST_YEAR:
            raise UsageError(
                f'SOURCE_DATE_EPOCH: found "{epoch[:40]}", expected a time up to {LAST_YEAR}'
            )
        return instant
    return datetime.now(UTC).replace(microsecond=0)


def _instant(text: str) -> datetime:
    expected = "a time with offset such as 2026-12-01T09:00:00+01:00 or 2026-12-01T08:00:00Z"
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(f'--now: found "{text[:60]}", expected {expected}') from None
    if instant.tzinfo is None:
        raise UsageError(f'--now: found "{text[:60]}" without offset, expected {expected}')
    try:
        instant = instant.astimezone(UTC).replace(microsecond=0)
    except OverflowError:
        instant = datetime.min.replace(tzinfo=UTC)
    if not FIRST_YEAR <= instant.year <= LAST_YEAR:
        raise UsageError(
            f'--now: found "{text[:60]}", expected a time from {FIRST_YEAR} to {LAST_YEAR}'
        )
    return instant


def address_of(text: str, flag: str, settings: Settings) -> Address:
    """Return the mail address that a flag or an argument names; UsageError for what is none."""
    from invites.addresses import AddressRefused, parse_address

    try:
        return parse_address(text.strip(), special_domains=settings.roster.special_domains)
    except AddressRefused as refused:
        raise UsageError(f'{flag}: found "{text[:60]}", expected {refused.expected}') from None


def by_of(given: str | None) -> By | None:
    """Return what `--by` names; UsageError for anything else."""
    match given:
        case None | "meeting" | "person":
            return given
        case _:
            raise UsageError(f'--by: found "{given[:40]}", expected meeting or person')


def spread(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return the function with each dataclass among its parameters taken apart into its fields.

    Typer makes an option of each field, whose default and help stand in its `Annotated` type.
    """
    hints = get_type_hints(function, include_extras=True)
    groups: dict[str, Any] = {name: hint for name, hint in hints.items() if is_dataclass(hint)}
    parameters = [
        parameter.replace(annotation=hints[name], kind=Parameter.KEYWORD_ONLY)
        for name, parameter in signature(function).parameters.items()
        if name not in groups
    ]
    for group in reversed(groups.values()):  # `call` comes first: its options end each help text
        parameters += _parameters_of(group)

    def called(**given: Any) -> Any:
        for name, group in groups.items():
            options = {field.name: given.pop(field.name) for field in fields(group)}
            given[name] = group(**options)
        return function(**given)

    called.__doc__ = function.__doc__
    called.__signature__ = Signature(parameters)  # type: ignore[attr-defined]
    called.__annotations__ = {each.name: each.annotation for each in parameters}
    return called


def _parameters_of(group: type) -> list[Parameter]:
    hints = get_type_hints(group, include_extras=True)
    return [
        Parameter(
            field.name,
            Parameter.KEYWORD_ONLY,
            default=Parameter.empty if field.default is MISSING else field.default,
            annotation=hints[field.name],
        )
        for field in fields(group)
    ]
