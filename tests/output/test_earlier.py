"""What somebody put into an earlier build: found, named, and kept."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from invites.errors import OutputRefusedError
from invites.output import manifest
from invites.output.earlier import remove
from invites.output.forms import name_for, write_file
from invites.output.staging import staged

MEETING = name_for("weekly")
ADA = name_for("ada@example.org")


@pytest.fixture(autouse=True)
def earlier(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stand in a folder with a build in `out`; return the folder of its meeting."""
    monkeypatch.chdir(tmp_path)
    build()
    return tmp_path / "out" / MEETING


def build(meanwhile: Callable[[], None] = lambda: None) -> None:
    """Build one meeting with one attendee into `out`; `meanwhile` comes before the move."""
    with staged(Path("out")) as folder:
        write_file(folder, manifest.NAME, manifest.HEADER)
        write_file(folder, "index.html")
        os.mkdir(MEETING, dir_fd=folder)
        meeting = os.open(MEETING, os.O_RDONLY, dir_fd=folder)
        write_file(meeting, f"{ADA}.eml")
        write_file(meeting, f"{ADA}.ics")
        os.close(meeting)
        meanwhile()


def everything() -> list[tuple[str, int]]:
    """Return all that is in the current folder, links not followed, with what tells it apart."""
    return sorted((str(path), path.lstat().st_ino) for path in Path().rglob("*"))


OTHERS: dict[str, Callable[[Path], None]] = {
    "notes.txt": Path.touch,
    ".hidden": Path.touch,
    "photos": Path.mkdir,
    "manifest.csv": Path.touch,
    "ada-example-org.eml": Path.touch,
    f"{ADA}.txt": Path.touch,
    f"{ADA}.eml.bak": Path.touch,
    f"{ADA}": Path.touch,
    f"{name_for('bob')}": Path.mkdir,
    f"{name_for('bob@example.org')}.eml": Path.mkdir,
    f"{name_for('bob@example.net')}.ics": lambda path: path.symlink_to("../index.html"),
    f"{name_for('bob@example.com')}.ics": os.mkfifo,
    "Thumbs.db": Path.mkdir,
}
"""What no build makes in the folder of a meeting, by name and kind."""


@pytest.mark.parametrize("name", OTHERS)
def test_what_no_build_made_in_a_meetings_folder_is_refused_and_stays(
    earlier: Path, name: str
) -> None:
    """It is named with its folder; nothing is made, moved or removed."""
    OTHERS[name](earlier / name)
    before = everything()
    with pytest.raises(OutputRefusedError) as refused:
        build()
    assert f"out: found files that no build made ({MEETING}/{name})" in str(refused.value)
    assert everything() == before


def test_what_somebody_puts_there_while_the_build_runs_stays(earlier: Path) -> None:
    """The look that counts is the one before the move."""
    before = everything()
    with pytest.raises(OutputRefusedError, match=rf"\({MEETING}/notes\.txt\)"):
        build(meanwhile=(earlier / "notes.txt").touch)
    (earlier / "notes.txt").unlink()
    assert everything() == before


def test_a_message_that_was_removed_and_what_file_managers_leave_are_no_matter(
    earlier: Path,
) -> None:
    """The earlier build is replaced as a whole."""
    (earlier / f"{ADA}.eml").unlink()
    (earlier / ".DS_Store").touch()
    (earlier.parent / "desktop.ini").touch()
    build()
    assert sorted(path.name for path in earlier.iterdir()) == [f"{ADA}.eml", f"{ADA}.ics"]
    assert [path.name for path in Path().iterdir()] == ["out"]


def test_what_somebody_puts_there_at_the_last_moment_is_not_removed(earlier: Path) -> None:
    """The removal of an old build takes what a build makes, and stops at anything else."""
    (earlier / "notes.txt").touch()
    with pytest.raises(OSError, match="not empty"):
        remove(Path("out"))
    assert [path.name for path in earlier.iterdir()] == ["notes.txt"]
