"""Reads the roster that a command was given, for all commands alike."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from invites.cli.options import Call
    from invites.model import Roster
    from invites.problems import Warned
    from invites.settings import Settings


def read_roster(source: str, settings: Settings, *, skip_invalid: bool) -> Roster:
    """Return the roster in the file `source`, or in standard input for `-`.

    Raises UsageError for a file that is not there and RosterRefusedError with every problem.
    """
    from invites.roster.csv_file import read_table
    from invites.roster.parse import parse_roster

    table = read_table(source)
    return parse_roster(table, settings.roster_rules(), skip_invalid=skip_invalid)


def warn_of(call: Call, roster: Roster, further: Iterable[Warned] = ()) -> None:
    """Say on stderr what was left out of the roster, and what somebody should look at."""
    call.problems(problem.text(roster.source) for problem in roster.left_out)
    for warning in (*roster.warnings, *further):
        call.warn(warning.line(roster.source))
