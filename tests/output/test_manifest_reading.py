"""manifest.csv read back: what was written, and nothing that was not."""

from __future__ import annotations

from pathlib import Path

import pytest

from invites.errors import UsageError
from invites.output import manifest
from invites.times import instant, iso_z
from tests.support import SampleBuild


def test_a_build_is_read_as_it_was_written(sample: SampleBuild) -> None:
    """Row for row, with the calendar files that are there."""
    rows = manifest.read(sample.folder / "manifest.csv")
    assert [row.message_id for row in rows] == [row["message_id"] for row in sample.rows]
    assert [iso_z(instant(row.expires)) for row in rows] == [row["expires"] for row in sample.rows]
    assert all(row.ics is not None and row.ics.is_file() for row in rows)
    assert [row.row for row in rows] == list(range(2, len(rows) + 2))


def write(path: Path, *cells: str) -> Path:
    """Write a manifest of one row."""
    path.write_bytes(manifest.HEADER + manifest.lines([list(cells)]))
    return path


ROW = (
    "=m",
    "uid",
    "+ada@example.org",
    "true",
    "-room",
    "2031-01-01T08:44:00Z",
    "2031-01-01T10:00:00Z",
    "REQUEST",
    "0",
    "2030-01-01T00:00:00Z",
    "<id@example.com>",
    "a.eml",
    "a.ics",
)


def test_the_apostrophe_against_formulas_is_taken_off(tmp_path: Path) -> None:
    """The ledger has the roster's spelling."""
    (row,) = manifest.read(write(tmp_path / "manifest.csv", *ROW))
    assert (row.meeting_id, row.email, row.room) == ("=m", "+ada@example.org", "-room")
    assert row.ics is None


def test_a_file_outside_the_build_is_not_looked_at(tmp_path: Path) -> None:
    """A manifest does not say what else is read."""
    (tmp_path / "secret").write_text("x")
    folder = tmp_path / "out"
    folder.mkdir()
    (row,) = manifest.read(write(folder / "manifest.csv", *ROW[:-1], "../secret"))
    assert row.ics is None


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"meeting_id,title\r\n",
        manifest.HEADER + b"one,two\r\n",
        manifest.HEADER + manifest.lines([[*ROW[:8], "many", *ROW[9:]]]),
        manifest.HEADER + b'"\xff',
    ],
)
def test_what_is_no_manifest_of_ours_is_refused(tmp_path: Path, content: bytes) -> None:
    """Exit 2, with the file's name."""
    path = tmp_path / "manifest.csv"
    path.write_bytes(content)
    with pytest.raises(UsageError, match=r"manifest\.csv"):
        manifest.read(path)
