"""`invites init` as it is called."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def invites(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run the program in a folder."""
    return subprocess.run(
        [sys.executable, "-m", "invites", *arguments],
        cwd=cwd,
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin", "TZ": "UTC"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_init_makes_a_folder_that_works_after_four_values(tmp_path: Path) -> None:
    """Made, filled in, and built from, with nothing else done."""
    first = invites("init", "new", cwd=tmp_path)
    assert (first.returncode, first.stderr) == (0, "")
    assert "made  new/invites.toml" in first.stdout
    assert "cd new && invites build roster.csv" in first.stdout
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
    built = invites("build", "roster.csv", cwd=folder)
    assert built.returncode == 0, built.stderr
    assert len(list((folder / "out").rglob("*.eml"))) == 4


def test_build_before_the_values_are_filled_in_names_all_four(tmp_path: Path) -> None:
    """Exit 5, and a line for each."""
    invites("init", cwd=tmp_path)
    built = invites("build", "roster.csv", cwd=tmp_path)
    assert built.returncode == 5
    for key in ("[jitsi] url", "[jitsi] app_id", "[jitsi] secret", "[organizer] email"):
        assert f"{key}: found nothing" in built.stderr


def test_two_folders_get_two_room_keys(tmp_path: Path) -> None:
    """The key is random, 32 bytes in hex, and not shown."""
    outputs = [invites("init", name, cwd=tmp_path).stdout for name in ("a", "b")]
    keys = [(tmp_path / name / "room.key").read_text().strip() for name in ("a", "b")]
    assert len(set(keys)) == 2
    assert [len(bytes.fromhex(key)) for key in keys] == [32, 32]
    assert not any(key in output for key in keys for output in outputs)


def test_a_second_init_refuses_and_names_what_is_there(tmp_path: Path) -> None:
    """Exit 2 where nothing was made, and nothing is changed."""
    invites("init", cwd=tmp_path)
    before = (tmp_path / "room.key").read_bytes()
    again = invites("init", cwd=tmp_path)
    assert again.returncode == 2
    assert "kept  invites.toml (it was there)" in again.stdout
    assert "found everything that init writes" in again.stderr
    assert (tmp_path / "room.key").read_bytes() == before


def test_what_lacks_is_made_later(tmp_path: Path) -> None:
    """Templates on a second call: exit 0, and how to use them."""
    invites("init", cwd=tmp_path)
    again = invites("init", "--with-templates", cwd=tmp_path)
    assert (again.returncode, again.stderr) == (0, "")
    assert 'set templates = "templates" in [mail] of invites.toml' in again.stdout
    assert (tmp_path / "templates").is_dir()


def test_a_lost_room_key_is_warned_about(tmp_path: Path) -> None:
    """It is not made anew beside old settings."""
    invites("init", cwd=tmp_path)
    (tmp_path / "room.key").unlink()
    again = invites("init", "--with-templates", cwd=tmp_path)
    assert again.returncode == 0
    assert "warning: room.key was not made: invites.toml is there already" in again.stderr


@pytest.mark.parametrize("folder", ["with blank", "it's"])
def test_the_next_command_can_be_pasted(tmp_path: Path, folder: str) -> None:
    """A folder's name is quoted for the shell where it must be."""
    from shlex import split  # noqa: PLC0415

    last = invites("init", folder, cwd=tmp_path).stdout.splitlines()[-1]
    assert split(last) == ["cd", folder, "&&", "invites", "build", "roster.csv"]


def test_json_says_what_was_made(tmp_path: Path) -> None:
    """One document on stdout; what people read is on stderr."""
    done = invites("init", "--json", cwd=tmp_path)
    document = json.loads(done.stdout)
    assert document["version"] == 1
    assert sorted(document["made"]) == ["invites.toml", "room.key", "roster.csv"]
    assert (document["kept"], document["left_out"]) == ([], [])
    assert "made  invites.toml" in done.stderr


def test_quiet_says_nothing(tmp_path: Path) -> None:
    """Neither stream has a word where all went well."""
    done = invites("init", "-q", cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
