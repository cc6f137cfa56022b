"""The one door to a roster, for every command and job: which files, still, whole, and read.

A command reads the file that it was given (`read_roster`).  A job says where its files are and
what they must be like (`RosterSource`), finds them (`find`) and reads them (`read_found`).  What
was read is known to be what lay there before and after.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

from invites.errors import GuardError, InvitesError, RosterRefusedError, UsageError
from invites.model import Roster
from invites.roster.cells import RosterRules
from invites.roster.csv_file import content_of, read_table, table_from_bytes
from invites.roster.files import (
    CHECKSUM_SUFFIX,
    ROWS_SUFFIX,
    SUFFIXES,
    RosterFile,
    RosterMovesError,
    RosterPath,
    SourceRefusedError,
    beside,
    digest_of,
    file_of,
    holding,
    look,
    names_found,
    sight,
    since_1970,
    snapshot,
)
from invites.roster.parse import parse_roster
from invites.roster.scratch import Stored
from invites.roster.table import Table, joined, joined_digest
from invites.roster.workbook import split_sheet

if TYPE_CHECKING:
    from invites.roster.suggest import Suggestion

WINDOWS: Final = "cp1252"
"""What a text that is not UTF-8 mostly is: the encoding of Excel's plain CSV in the West."""

STANDARD_INPUT = "-"
"""The name that stands for standard input on the command line."""


class RosterTooOldError(GuardError):
    """The newest roster is older than `newest`: the export did not come."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RosterSource:
    """Where a job's roster is, and what it must be like.

    `places` are paths or patterns; of a pattern's files the newest is meant.
    `newest` is the age limit, None for none; `settle` how long a file must have been left alone.
    `require` names the sidecars that each file must have: `digest`, `rows`.
    """

    places: tuple[RosterPath, ...]
    settle: timedelta = timedelta(seconds=60)
    newest: timedelta | None = None
    require: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundRoster:
    """The files of a job's roster, in the order of its `places`, each once."""

    files: tuple[RosterFile, ...]
    settle: timedelta = timedelta(0)

    @property
    def sealed(self) -> bool:
        """Whether every file has a checksum that matches."""
        return all(file.sealed for file in self.files)

    @property
    def digest(self) -> str:
        """The file's SHA-256 in hex; for several, that of their digests in order."""
        return joined_digest([file.digest for file in self.files])


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """What `fingerprint` said at an earlier wake-up; `at` is aware."""

    fingerprint: str
    at: datetime


def read_roster(name: str, rules: RosterRules, *, skip_invalid: bool, now: datetime) -> Roster:
    """Return the roster in the file `name`, or in standard input for `-`; `now` is aware.

    `name` may be `FILE#Sheet` for a workbook.
    Raises UsageError for a file that is not there, RosterRefusedError with every problem, and
    RosterMovesError for one that somebody writes to while it is read.
    """
    name, sheet = split_sheet(name)
    path = Path(name)
    if name == STANDARD_INPUT or not path.is_file():
        # A pipe can be read once, so that there is nothing to compare it with.
        table = read_table(name, encoding=rules.encoding, sheet=sheet)
        return parse_roster(table, rules, skip_invalid=skip_invalid, kept=Stored)
    file = snapshot(path, *look(path), still_at=now, sheet=sheet)
    table = _table_of(file, rules)
    _demand_unchanged(file, table, "run again when it is complete", still_at=now)
    roster = parse_roster(_checked(file, table), rules, skip_invalid=skip_invalid, kept=Stored)
    return replace(roster, sealed=file.sealed)


def suggestion_of(name: str, rules: RosterRules, *, zone_here: str) -> Suggestion:
    """Return what would make the roster in the file `name` readable; it is read as it lies there.

    Text that is not UTF-8 is tried as Windows-1252, and that is then part of the suggestion.
    Raises UsageError and RosterRefusedError like `read_roster`, for what no setting mends.
    """
    from invites.roster.suggest import suggestion_for  # noqa: PLC0415 - nothing else needs it

    file, sheet = split_sheet(name)
    content, shown = content_of(file)
    try:
        table = table_from_bytes(content, shown, rules.encoding, sheet)
    except RosterRefusedError:
        table = table_from_bytes(content, shown, WINDOWS, sheet)
        return suggestion_for(table, rules, encoding=WINDOWS, zone_here=zone_here)
    return suggestion_for(table, rules, zone_here=zone_here)


def find(source: RosterSource, *, now: datetime, seen: Sighting | None = None) -> FoundRoster:
    """Return a job's roster as it is at `now` (aware): still, recent enough, checksums matching.

    `seen` is an earlier look: files whose dates lie in the future count as still when nothing about
    them changed for `settle`.
    Raises SourceRefusedError (3), RosterMovesError and RosterTooOldError (6).
    """
    unchanged = (
        seen is not None
        and now - seen.at >= source.settle
        and seen.fingerprint == fingerprint(source)
    )
    files = []
    for path, sheet in _paths(source):
        size, modified_ns = look(path)
        if not unchanged:
            _demand_still(path, since_1970(modified_ns), source.settle, now)
        _demand_recent(path, since_1970(modified_ns), source.newest, now)
        file = snapshot(path, size, modified_ns, still_at=now + source.settle, sheet=sheet)
        _demand_sidecars(file, source.require)
        files.append(file)
    return FoundRoster(files=tuple(files), settle=source.settle)


def read_found(
    found: FoundRoster,
    rules: RosterRules,
    *,
    skip_invalid: bool,
    now: datetime,
    accepted: bool = False,
) -> Roster:
    """Return the roster in the files that `find` found; a cut one only where that is `accepted`.

    Raises RosterRefusedError with every problem, and RosterMovesError where a file is no longer
    what was found.
    """
    tables = []
    for file in found.files:
        try:
            table = _table_of(file, rules)
        except UsageError as error:
            raise SourceRefusedError(str(file.path), str(error)) from None
        still_at = max(now, file.modified) + found.settle
        _demand_unchanged(file, table, "the next wake-up reads it again", still_at=still_at)
        tables.append(_checked(file, table))
    table = joined(tables)
    _demand_whole(table.source, whole=table.final_newline or found.sealed or accepted)
    return replace(
        parse_roster(table, rules, skip_invalid=skip_invalid, kept=Stored), sealed=found.sealed
    )


def expects(source: RosterSource, address: str, rules: RosterRules, *, now: datetime) -> bool:
    """Tell whether a job's files have this folded address in a meeting that is not over at `now`.

    A file that is not there or refused expects nobody: its job would not send either.
    """
    return any(_has(path, sheet, address, rules, now) for path, sheet in _there(source))


def may_read(source: RosterSource, name: str) -> bool:
    """Tell whether a file is one that the job could take for its roster, now or another night.

    `name` is the file's, or `FILE#Sheet`; another sheet is another roster.
    """
    file, sheet = split_sheet(name)
    path = Path(file).resolve()
    return any(
        place.path.resolve() == path
        or any((place.base / found).resolve() == path for found in names_found(place))
        for place in source.places
        if place.sheet == sheet
    )


def fingerprint(source: RosterSource) -> str:
    """Return a digest of what can be seen of a job's files without opening them.

    It changes when a file or a sidecar is written, touched, replaced, comes or goes, and never
    fails: a roster that is missing or refused has a fingerprint too.
    """
    seen = hashlib.sha256()
    for place in source.places:
        try:
            path = file_of(place)
        except SourceRefusedError as refusal:
            seen.update(str(refusal.problems).encode("utf-8", "surrogateescape"))
            continue
        if path is None:
            seen.update(b"missing\0")
            continue
        for file in (path, *(beside(path, suffix) for suffix in SUFFIXES)):
            seen.update(sight(file).encode("utf-8", "surrogateescape"))
    return seen.hexdigest()


def demand_whole(roster: Roster, *, accepted: bool) -> None:
    """Refuse a roster that ends without a line end, for its last address may be cut.

    A checksum that matches or `--no-final-newline` (`accepted`) lets it pass.
    Raises SourceRefusedError.
    """
    _demand_whole(roster.source, whole=roster.final_newline or roster.sealed or accepted)


def _demand_whole(source: str, *, whole: bool) -> None:
    if not whole:
        raise SourceRefusedError(
            source,
            "the last line has no line end, so the file may be cut; export it again, put its "
            f"{CHECKSUM_SUFFIX} beside it, or give --no-final-newline",
        )


def _table_of(file: RosterFile, rules: RosterRules) -> Table:
    return read_table(file.path, encoding=rules.encoding, sheet=file.sheet)


def _has(path: Path, sheet: str, address: str, rules: RosterRules, now: datetime) -> bool:
    try:
        table = read_table(path, encoding=rules.encoding, sheet=sheet)
        roster = parse_roster(table, rules, skip_invalid=True, kept=Stored)
    except InvitesError:
        return False
    return any(
        attendee.address == address
        for meeting in roster.meetings
        if meeting.end > now
        for attendee in meeting.attendees
    )


def _paths(source: RosterSource) -> list[tuple[Path, str]]:
    """Return each place's file and sheet; two places that come to the same ones count once."""
    found: dict[tuple[Path, str], Path] = {}
    for place in source.places:
        path = file_of(place)
        if path is None:
            raise SourceRefusedError(
                place.text,
                f"no such file in {place.base}; expected the night's export: see whether it ran "
                "and where it writes to",
            )
        found.setdefault((path.resolve(), place.sheet), path)
    return [(path, sheet) for (_, sheet), path in found.items()]


def _there(source: RosterSource) -> Iterator[tuple[Path, str]]:
    """Yield the files that a job would read now, passing over what it would refuse."""
    for place in source.places:
        try:
            path = file_of(place)
        except SourceRefusedError:
            continue
        if path is not None:
            yield path, place.sheet


def _demand_still(path: Path, modified: datetime, settle: timedelta, now: datetime) -> None:
    still_at = modified + settle
    if now >= still_at:
        return
    when = "in the future" if modified > now else f"{(now - modified).total_seconds():.0f} s ago"
    raise RosterMovesError(
        f"{path}: was written {when}; expected it to be left alone for "
        f"{settle.total_seconds():.0f} s (settle); the next wake-up looks again",
        still_at=min(still_at, now + settle),
    )


def _demand_recent(path: Path, modified: datetime, newest: timedelta | None, now: datetime) -> None:
    if newest is None or now - modified <= newest:
        return
    hours = (now - modified).total_seconds() / 3600
    raise RosterTooOldError(
        f"{path}: is {hours:.1f} hours old; expected at most "
        f"{newest.total_seconds() / 3600:g} (newest): the export did not come; see why, "
        "or raise newest in the job"
    )


def _demand_sidecars(file: RosterFile, require: Sequence[str]) -> None:
    """Refuse a file without a sidecar that the job demands; one that is there agrees already."""
    there = {"digest": file.sealed, "rows": file.rows is not None}
    for name, suffix in (("digest", CHECKSUM_SUFFIX), ("rows", ROWS_SUFFIX)):
        if name in require and not there[name]:
            raise SourceRefusedError(
                str(file.path),
                f"{file.path.name}{suffix} is not beside it; expected it (require in the job): see "
                "why the export did not write it",
            )


def _checked(file: RosterFile, table: Table) -> Table:
    """Return the table, held to the number of rows that is stated beside the file."""
    return table if file.rows is None else replace(table, rows=holding(table, file.rows))


def _demand_unchanged(file: RosterFile, table: Table, then: str, *, still_at: datetime) -> None:
    """Make sure that what was read is what lay there before the read and lies there after it."""
    try:
        same = look(file.path) == (file.size, file.modified_ns)
        same = same and table.digest == file.digest == digest_of(file.path)
    except SourceRefusedError:
        same = False
    if not same:
        raise RosterMovesError(
            f"{file.path}: changed while it was read; expected a file that nobody writes to; "
            f"nothing was sent; {then}",
            still_at=still_at,
        )
