"""What every command shares: its common options, its clock, and where its output goes."""

from __future__ import annotations

import gc
import json
import os
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from invites.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable

JSON_VERSION = 1
"""Raised when a `--json` document changes so that a program reading it would break."""

FIRST_YEAR, LAST_YEAR = 1970, 9998
"""What `--now` can be: a NumericDate is not negative, and arithmetic needs a day to spare."""

RosterArgument = Annotated[
    str, typer.Argument(metavar="ROSTER", help="The CSV file; - for standard input.")
]
ConfigOption = Annotated[
    Path | None,
    typer.Option("--config", metavar="FILE", help="The settings file.", envvar="INVITES_CONFIG"),
]
UnreadConfigOption = Annotated[
    Path | None,
    typer.Option("--config", metavar="FILE", help="Taken as everywhere; nothing is read here."),
]
JsonOption = Annotated[
    bool, typer.Option("--json", help="Write one JSON document to standard output.")
]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="Say only what went wrong.")]
VerboseOption = Annotated[bool, typer.Option("--verbose", "-v", help="Say more.")]
NowOption = Annotated[
    str | None,
    typer.Option("--now", metavar="TIME", help="Stands in for the clock: ISO 8601 with offset."),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """The common options of one call, and the two streams."""

    config: Path | None = None
    as_json: bool = False
    quiet: bool = False
    verbose: bool = False

    def say(self, text: str) -> None:
        """Write a line for people: to stdout, or to stderr where stdout carries JSON."""
        if not self.quiet:
            print(text, file=sys.stderr if self.as_json else sys.stdout)

    def detail(self, text: str) -> None:
        """Write a line that only `-v` shows, to stderr."""
        if self.verbose:
            print(text, file=sys.stderr)

    def warn(self, text: str) -> None:
        """Write a warning to stderr; `-q` keeps it, for something is not as it should be."""
        print(f"warning: {text}", file=sys.stderr)

    def problems(self, lines: Iterable[str]) -> None:
        """Write problems to stderr, one unwrapped line each."""
        for line in lines:
            print(line, file=sys.stderr)

    def document(self, **facts: Any) -> None:
        """Write the one JSON document, where it was asked for."""
        if self.as_json:
            json.dump({"version": JSON_VERSION, **facts}, sys.stdout, ensure_ascii=False, indent=2)
            sys.stdout.write("\n")


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


def spare_the_collector() -> None:
    """Switch the garbage collector off, for a build: a roster and its messages have no cycles.

    Walking through all of them again and again costs a tenth of the build and finds nothing; the
    memory at its peak is the same with 100,000 attendees.
    """
    gc.disable()
