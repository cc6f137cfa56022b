"""A roster that changes while it is read, or may be cut."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from invites import settings as settings_package
from invites.roster.source import NightRosterRefusedError, RosterMovesError
from invites.sending.rosters import demand_whole_roster, read_roster
from tests.office import ADA, BOB, HEADER
from tests.support import write_settings

NOW = datetime(2031, 2, 1, tzinfo=UTC)


class Meanwhile:
    """Settings during whose reading something happens to the roster."""

    def __init__(self, folder: Path, happens: Any) -> None:
        """`happens` is called after the rows were read and before they are judged."""
        self._settings = settings_package.load(write_settings(folder), environ={})
        self._happens = happens

    def roster_rules(self) -> Any:
        """Return the rules of the settings."""
        self._happens()
        return self._settings.roster_rules()


@pytest.fixture
def roster(tmp_path: Path) -> Path:
    """Give a roster that is whole."""
    path = tmp_path / "roster.csv"
    path.write_text(f"{HEADER}\n{ADA}\n")
    return path


def read(path: Path, happens: Any) -> Any:
    """Read the roster while something happens."""
    settings: Any = Meanwhile(path.parent, happens)
    return read_roster(str(path), settings, skip_invalid=False, now=NOW)


def test_a_roster_that_nobody_touches_is_read(roster: Path) -> None:
    """By its digest it is the file."""
    assert read(roster, lambda: None).accepted == 1


def test_a_roster_that_grows_while_it_is_read_is_refused(roster: Path) -> None:
    """Half of it would be missing, and withdrawn."""
    with pytest.raises(RosterMovesError, match="changed while it was read"):
        read(roster, lambda: roster.write_text(f"{HEADER}\n{ADA}\n{BOB}\n"))


def test_a_roster_that_is_replaced_by_one_of_its_size_is_refused(roster: Path) -> None:
    """Even with the date of before."""
    import os  # noqa: PLC0415

    def replace() -> None:
        seen = roster.stat()
        roster.write_text(f"{HEADER}\n{ADA.replace('Ada', 'Eda')}\n")
        os.utime(roster, ns=(seen.st_atime_ns, seen.st_mtime_ns))

    with pytest.raises(RosterMovesError):
        read(roster, replace)


def test_a_roster_that_goes_away_while_it_is_read_is_refused(roster: Path) -> None:
    """It is not what was read any more."""
    with pytest.raises(RosterMovesError):
        read(roster, roster.unlink)


def test_a_cut_roster_is_refused_unless_somebody_says_so(roster: Path) -> None:
    """Standard input has no checksum beside it."""
    roster.write_text(f"{HEADER}\n{ADA}")
    found = read(roster, lambda: None)
    for source in (str(roster), "-"):
        with pytest.raises(NightRosterRefusedError):
            demand_whole_roster(source, found, accepted=False)
        demand_whole_roster(source, found, accepted=True)
