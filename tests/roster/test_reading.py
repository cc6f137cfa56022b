"""A roster by hand that changes while it is read, or may be cut."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from invites.model import Roster
from invites.roster import source
from invites.roster.cells import RosterRules
from invites.roster.csv_file import read_table
from invites.roster.files import RosterMovesError, SourceRefusedError
from invites.roster.source import demand_whole, read_roster
from invites.roster.table import Table
from tests.world import ADA, BOB, HEADER

NOW = datetime(2031, 2, 1, tzinfo=UTC)


@pytest.fixture
def roster(tmp_path: Path) -> Path:
    """Give a roster that is whole."""
    path = tmp_path / "roster.csv"
    path.write_text(f"{HEADER}\n{ADA}\n")
    return path


def read(path: Path) -> Roster:
    """Read the roster as commands do."""
    return read_roster(str(path), RosterRules(), skip_invalid=False, now=NOW)


Meanwhile = Callable[[Callable[[], object]], None]


@pytest.fixture
def meanwhile(monkeypatch: pytest.MonkeyPatch) -> Meanwhile:
    """Give a function that has something happen right after the bytes were read."""

    def arrange(happens: Callable[[], object]) -> None:
        def read_and_overtaken(path: Path | str, *, encoding: str, sheet: str) -> Table:
            table = read_table(path, encoding=encoding, sheet=sheet)
            happens()
            return table

        monkeypatch.setattr(source, "read_table", read_and_overtaken)

    return arrange


def test_a_roster_that_nobody_touches_is_read(roster: Path) -> None:
    """By its digest it is the file."""
    assert read(roster).accepted == 1


def test_a_roster_that_grows_while_it_is_read_is_refused(
    roster: Path, meanwhile: Meanwhile
) -> None:
    """Half of it would be missing, and withdrawn."""
    meanwhile(lambda: roster.write_text(f"{HEADER}\n{ADA}\n{BOB}\n"))
    with pytest.raises(RosterMovesError, match="changed while it was read"):
        read(roster)


def test_a_roster_that_is_replaced_by_one_of_its_size_is_refused(
    roster: Path, meanwhile: Meanwhile
) -> None:
    """Even with the date of before."""

    def replace() -> None:
        seen = roster.stat()
        roster.write_text(f"{HEADER}\n{ADA.replace('Ada', 'Eda')}\n")
        os.utime(roster, ns=(seen.st_atime_ns, seen.st_mtime_ns))

    meanwhile(replace)
    with pytest.raises(RosterMovesError):
        read(roster)


def test_a_roster_that_goes_away_while_it_is_read_is_refused(
    roster: Path, meanwhile: Meanwhile
) -> None:
    """It is not what was read any more."""
    meanwhile(roster.unlink)
    with pytest.raises(RosterMovesError):
        read(roster)


def test_a_cut_roster_is_refused_unless_somebody_says_so(roster: Path) -> None:
    """`check` and `build` read it; what sends asks for its end."""
    roster.write_text(f"{HEADER}\n{ADA}")
    found = read(roster)
    with pytest.raises(SourceRefusedError):
        demand_whole(found, accepted=False)
    demand_whole(found, accepted=True)
