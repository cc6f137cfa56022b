"""`invites init` as it is called."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from invites.cli.app import run_command_line


class Done(NamedTuple):
    """How a call ended, and what it wrote."""

    code: int
    out: str
    err: str


Invites = Callable[..., Done]


@pytest.fixture
def invites(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Invites:
    """Return a function that runs the command line in a folder, with no settings around."""
    for name in [name for name in os.environ if name.startswith("INVITES_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr("signal.signal", lambda *_: None)

    def run(*arguments: str, cwd: Path = tmp_path) -> Done:
        monkeypatch.chdir(cwd)
        code = run_command_line(arguments)
        out, err = capsys.readouterr()
        return Done(int(code), out, err)

    return run


def test_init_makes_a_folder_that_works_after_four_values(tmp_path: Path, invites: Invites) -> None:
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
    built = invites("build", "roster.csv", cwd=folder)
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
    invites("init")
    before = (tmp_path / "room.key").read_bytes()
    again = invites("init")
    assert again.code == 2
    assert "kept  invites.toml (it was there)" in again.out
    assert "found everything that init writes" in again.err
    assert (tmp_path / "room.key").read_bytes() == before


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
    assert "warning: room.key was not made: invites.toml is there already" in again.err


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
