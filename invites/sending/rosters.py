"""The roster of a pass by hand: read, whole, and the same before and after it was read."""

from __future__ import annotations

import hashlib
import stat
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from invites.model import Roster
from invites.roster.csv_file import read_table
from invites.roster.parse import parse_roster
from invites.roster.source import RosterMovesError, demand_whole, matches_checksum

if TYPE_CHECKING:
    from invites.settings import Settings

STANDARD_INPUT = "-"


def read_roster(source: str, settings: Settings, *, skip_invalid: bool, now: datetime) -> Roster:
    """Return the roster in the file `source`, or in standard input for `-`.

    Raises UsageError for a file that is not there, RosterRefusedError with every problem, and
    RosterMovesError for one that somebody writes to while it is read; `now` is aware.
    """
    before = _sight(source)
    table = read_table(source)
    roster = parse_roster(table, settings.roster_rules(), skip_invalid=skip_invalid)
    if before is not None:
        _demand_unchanged(Path(source), before, roster.digest, now)
    return roster


def demand_whole_roster(source: str, roster: Roster, *, accepted: bool) -> None:
    """Refuse a roster that may be cut; a matching `.sha256` or `accepted` lets it pass.

    Raises NightRosterRefusedError; also for a `.sha256` beside it that does not match.
    """
    sealed = _sight(source) is not None and matches_checksum(Path(source), roster.digest)
    demand_whole(
        roster.source, final_newline=roster.final_newline, sealed=sealed, accepted=accepted
    )


def _sight(source: str) -> tuple[int, int] | None:
    """Return a plain file's size and modification time in ns; None for what is no plain file."""
    if source == STANDARD_INPUT:
        return None
    try:
        seen = Path(source).stat()
    except OSError:
        return None
    return (seen.st_size, seen.st_mtime_ns) if stat.S_ISREG(seen.st_mode) else None


def _demand_unchanged(path: Path, before: tuple[int, int], digest: str, now: datetime) -> None:
    same = _sight(str(path)) == before
    if same:
        with path.open("rb") as file:
            same = hashlib.file_digest(file, "sha256").hexdigest() == digest
    if not same:
        raise RosterMovesError(
            f"{path}: changed while it was read; expected a file that nobody writes to; "
            "nothing was sent; run again when it is complete",
            still_at=now,
        )
