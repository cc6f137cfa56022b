"""Which jobs would invite a person again, by the rosters that they would read now."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from glob import glob
from pathlib import Path
from typing import TYPE_CHECKING

from invites.errors import InvitesError
from invites.roster.csv_file import read_table
from invites.roster.parse import parse_roster
from invites.roster.source import CHECKSUM_SUFFIX, newest_of

if TYPE_CHECKING:
    from invites.settings import Settings
    from invites.settings.paths import RosterPath


def jobs_expecting(address: str, settings: Settings, *, now: datetime) -> tuple[str, ...]:
    """Return the jobs whose roster has this folded address in a meeting that is not over at `now`.

    A roster that is not there or refused expects nobody: its job would not send either.
    """
    return tuple(
        job.name
        for job in settings.jobs
        if any(_expects(path, address, settings, now) for path in _files(job.roster))
    )


def _files(places: tuple[RosterPath, ...]) -> Iterator[Path]:
    for place in places:
        if not place.is_pattern:
            yield place.path
            continue
        found = [Path(name) for name in glob(place.pattern, recursive=True)]  # noqa: PTH207 - as jobs do
        files = [path for path in found if path.is_file() and path.suffix != CHECKSUM_SUFFIX]
        newest = newest_of((path.stat().st_mtime_ns, str(path)) for path in files)
        if newest is not None:
            yield Path(newest)


def _expects(path: Path, address: str, settings: Settings, now: datetime) -> bool:
    try:
        roster = parse_roster(read_table(path), settings.roster_rules(), skip_invalid=True)
    except InvitesError:
        return False
    return any(
        attendee.address == address
        for meeting in roster.meetings
        if meeting.end > now
        for attendee in meeting.attendees
    )
