"""What `invites init` writes, what it leaves alone, and what it says."""

from __future__ import annotations

import csv
import json
import os
import stat
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from invites import settings
from invites.cli.init import example_settings, first_roster, initialise
from invites.errors import UsageError
from invites.shipped import shipped_folder
from tests.support import Answer

Invites = Callable[..., Answer]
NOW = datetime(2026, 12, 31, 23, 0, tzinfo=UTC)
ROOM_KEY = "0123456789abcdef" * 4


def contents(folder: Path) -> dict[str, bytes]:
    """Return every file below a folder."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def test_init_makes_a_folder_that_works_after_four_values(
    tmp_path: Path, invites: Invites, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Made, filled in, and built from, with nothing else done."""
    first = invites("init", "new")
    assert (first.code, first.err) == (0, "")
    assert "made  new/invites.toml" in first.out
    assert "cd new && invites build roster.csv" in first.out
    folder = tmp_path / "new"
    file = folder / "invites.toml"
    text = file.read_text()
    for key, value in (
        ("url", "https://meet.example.com"),
        ("app_id", "my_app"),
        ("secret", "0123456789abcdef0123456789abcdef"),
        ("email", "meetings@example.com"),
    ):
        text = text.replace(f'\n{key} = ""', f'\n{key} = "{value}"', 1)
    file.write_text(text)
    monkeypatch.chdir(folder)
    built = invites("build", "roster.csv")
    assert built.code == 0, built.err
    assert len(list((folder / "out").rglob("*.eml"))) == 4


def test_build_before_the_values_are_filled_in_names_all_four(
    tmp_path: Path, invites: Invites
) -> None:
    """Exit 5, and a line for each."""
    invites("init")
    built = invites("build", "roster.csv")
    assert built.code == 5
    for key in ("[jitsi] url", "[jitsi] app_id", "[jitsi] secret", "[organizer] email"):
        assert f"{key}: found nothing" in built.err


def test_two_folders_get_two_room_keys(tmp_path: Path, invites: Invites) -> None:
    """The key is random, 32 bytes in hex, and not shown."""
    outputs = [invites("init", name).out for name in ("a", "b")]
    keys = [(tmp_path / name / "room.key").read_text().strip() for name in ("a", "b")]
    assert len(set(keys)) == 2
    assert [len(bytes.fromhex(key)) for key in keys] == [32, 32]
    assert not any(key in output for key in keys for output in outputs)


def test_a_second_init_refuses_and_names_what_is_there(tmp_path: Path, invites: Invites) -> None:
    """Exit 2 where nothing was made, and nothing is changed."""
    invites("init", "--with-templates")
    before = contents(tmp_path)
    again = invites("init", "--with-templates")
    assert again.code == 2
    assert "kept  invites.toml (it was there)" in again.out
    assert "found everything that init writes" in again.err
    assert contents(tmp_path) == before


def test_what_lacks_is_made_later(tmp_path: Path, invites: Invites) -> None:
    """Templates on a second call: exit 0, and how to use them."""
    invites("init")
    again = invites("init", "--with-templates")
    assert (again.code, again.err) == (0, "")
    assert 'set templates = "templates" in [mail] of invites.toml' in again.out
    assert (tmp_path / "templates").is_dir()


def test_a_lost_room_key_is_warned_about(tmp_path: Path, invites: Invites) -> None:
    """It is not made anew beside old settings."""
    invites("init")
    (tmp_path / "room.key").unlink()
    again = invites("init", "--with-templates")
    assert again.code == 0
    assert not (tmp_path / "room.key").exists()
    reason = "invites.toml is there already, and a new key would move derived rooms"
    assert f"warning: room.key was not made: {reason}" in again.err


def test_a_lost_ledger_is_not_made_anew_and_the_error_agrees(
    tmp_path: Path, invites: Invites
) -> None:
    """An empty one would invite everybody again; which command makes one is told."""
    invites("init")
    (tmp_path / "invites.db").unlink()
    again = invites("init")
    assert again.code == 2
    assert "warning: invites.db was not made" in again.err
    assert "`invites send ROSTER --new-ledger` makes one" in again.err
    assert "found all else that init writes" in again.err
    assert not (tmp_path / "invites.db").exists()


@pytest.mark.parametrize("folder", ["with blank", "it's"])
def test_the_next_command_can_be_pasted(invites: Invites, folder: str) -> None:
    """A folder's name is quoted for the shell where it must be."""
    from shlex import split  # noqa: PLC0415

    last = invites("init", folder).out.splitlines()[-1]
    assert split(last) == ["cd", folder, "&&", "invites", "build", "roster.csv"]


def test_json_says_what_was_made(tmp_path: Path, invites: Invites) -> None:
    """One document on stdout; what people read is on stderr."""
    done = invites("init", "--json")
    document = json.loads(done.out)
    assert document["version"] == 1
    assert sorted(document["made"]) == [
        "invites.db",
        "invites.toml",
        "room.key",
        "roster.csv",
    ]
    assert (document["kept"], document["left_out"]) == ([], [])
    assert "made  invites.toml" in done.err


def test_quiet_says_nothing(tmp_path: Path, invites: Invites) -> None:
    """Neither stream has a word where all went well."""
    done = invites("init", "-q")
    assert (done.code, done.out, done.err) == (0, "", "")


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
    copied, shipped = contents(tmp_path / "templates"), contents(shipped_folder())
    assert copied.items() <= shipped.items()
    left = set(shipped) - set(copied)
    assert {str(path).partition("/")[0] for path in left} == {"catalogs"}
    assert not (tmp_path / "templates" / "catalogs").exists(), "it would hide later translations"
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
