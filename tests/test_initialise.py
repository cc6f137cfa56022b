"""What `init` writes, and what it leaves alone."""

from __future__ import annotations

import csv
import os
import stat
from datetime import UTC, datetime
from pathlib import Path

import pytest

from invites import settings
from invites.errors import UsageError
from invites.initialise import example_settings, first_roster, initialise
from invites.shipped import shipped_folder

NOW = datetime(2026, 12, 31, 23, 0, tzinfo=UTC)
ROOM_KEY = "0123456789abcdef" * 4


def contents(folder: Path) -> dict[str, bytes]:
    """Return every file below a folder."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def test_an_empty_folder_gets_settings_room_key_and_roster(tmp_path: Path) -> None:
    """The settings are the shipped text, the key is what was passed in."""
    done = initialise(tmp_path / "new", room_key=ROOM_KEY, now=NOW)
    written = contents(tmp_path / "new")
    assert written.pop("invites.db").startswith(b"SQLite format 3")
    assert written == {
        "invites.toml": example_settings().read_bytes(),
        "room.key": ROOM_KEY.encode() + b"\n",
        "roster.csv": first_roster(NOW).encode(),
    }
    assert {path.name for path in done.made} == {
        "invites.toml",
        "room.key",
        "invites.db",
        "roster.csv",
    }
    assert (done.kept, done.left_out, done.copied_templates) == ((), (), False)


def test_its_settings_load_and_find_the_room_key(tmp_path: Path) -> None:
    """The file names the key that lies beside it."""
    initialise(tmp_path, room_key=ROOM_KEY, now=NOW)
    found = settings.load(tmp_path / "invites.toml", environ={})
    assert found.room_key() == ROOM_KEY.encode()
    assert found.warnings == ()


def test_files_are_ones_own_under_any_umask(tmp_path: Path) -> None:
    """Settings will hold the secret, the roster addresses: 0600, the folder 0700."""
    old = os.umask(0)
    try:
        done = initialise(tmp_path / "new", room_key=ROOM_KEY, now=NOW)
    finally:
        os.umask(old)
    assert {stat.S_IMODE(path.stat().st_mode) for path in done.made} == {0o600}
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o700


def test_templates_are_copied_and_set_where_asked_for(tmp_path: Path) -> None:
    """Byte for byte, and the settings name the copy."""
    done = initialise(tmp_path, room_key=ROOM_KEY, now=NOW, with_templates=True)
    assert contents(tmp_path / "templates") == contents(shipped_folder())
    assert done.copied_templates
    found = settings.load(tmp_path / "invites.toml", environ={})
    assert found.mail.templates == tmp_path / "templates"


def test_what_is_there_is_kept_and_named(tmp_path: Path) -> None:
    """What lacks is made beside it."""
    (tmp_path / "roster.csv").write_text("mine")
    done = initialise(tmp_path, room_key=ROOM_KEY, now=NOW)
    assert done.kept == (tmp_path / "roster.csv",)
    assert (tmp_path / "roster.csv").read_text() == "mine"
    assert {path.name for path in done.made} == {"invites.toml", "room.key", "invites.db"}


def test_a_second_time_changes_nothing(tmp_path: Path) -> None:
    """With other arguments too."""
    initialise(tmp_path, room_key=ROOM_KEY, now=NOW, with_templates=True)
    before = contents(tmp_path)
    done = initialise(tmp_path, room_key="f" * 64, now=NOW, with_templates=True)
    assert contents(tmp_path) == before
    assert done.made == ()
    assert len(done.kept) == len(before)


def test_no_new_ledger_is_put_beside_old_settings(tmp_path: Path) -> None:
    """A lost ledger that is replaced in silence would invite everybody again."""
    initialise(tmp_path, room_key=ROOM_KEY, now=NOW)
    (tmp_path / "invites.db").unlink()
    done = initialise(tmp_path, room_key=ROOM_KEY, now=NOW)
    assert not (tmp_path / "invites.db").exists()
    ((path, reason),) = done.left_out
    assert path == tmp_path / "invites.db"
    assert "--new-ledger" in reason


def test_no_new_room_key_is_put_beside_old_settings(tmp_path: Path) -> None:
    """A lost key that is replaced in silence would move every derived room."""
    initialise(tmp_path, room_key=ROOM_KEY, now=NOW)
    (tmp_path / "room.key").unlink()
    done = initialise(tmp_path, room_key="f" * 64, now=NOW)
    assert not (tmp_path / "room.key").exists()
    ((path, reason),) = done.left_out
    assert path == tmp_path / "room.key"
    assert reason == "invites.toml is there already, and a new key would move derived rooms"


def test_an_old_room_key_serves_new_settings(tmp_path: Path) -> None:
    """Settings that were lost are written anew, the key stays."""
    (tmp_path / "room.key").write_text("old key that is long enough\n")
    done = initialise(tmp_path, room_key=ROOM_KEY, now=NOW)
    assert tmp_path / "room.key" in done.kept
    found = settings.load(tmp_path / "invites.toml", environ={})
    assert found.room_key() == b"old key that is long enough"


def test_a_link_to_nothing_is_in_the_way_as_well(tmp_path: Path) -> None:
    """Nothing is written through it."""
    (tmp_path / "invites.toml").symlink_to(tmp_path / "elsewhere")
    done = initialise(tmp_path, room_key=ROOM_KEY, now=NOW)
    assert tmp_path / "invites.toml" in done.kept
    assert not (tmp_path / "elsewhere").exists()


def test_a_file_is_no_folder_to_start_in(tmp_path: Path) -> None:
    """It is left as it is."""
    (tmp_path / "file").write_text("mine")
    with pytest.raises(UsageError, match="expected a folder or nothing"):
        initialise(tmp_path / "file", room_key=ROOM_KEY, now=NOW)
    assert (tmp_path / "file").read_text() == "mine"


def test_the_first_roster_is_ahead_of_now_and_of_equal_rows() -> None:
    """Two meetings of two, a week from now, also over the year's end."""
    header, *rows = csv.reader(first_roster(NOW).splitlines())
    assert {len(row) for row in rows} == {len(header)}
    starts = [dict(zip(header, row, strict=True))["start"] for row in rows]
    assert starts == ["2027-01-07 09:00"] * 2 + ["2027-01-08 14:30"] * 2
