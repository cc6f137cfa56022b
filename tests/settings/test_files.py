"""New files: their mode whatever the umask, and never over an old one."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from invites.errors import StorageError, UsageError
from invites.settings.secrets import PRIVATE, PUBLIC, make_folder, write_new


@pytest.fixture(params=[0o000, 0o022, 0o077, 0o777], ids=oct)
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    """Set the umask for one test."""
    old = os.umask(request.param)
    yield request.param
    os.umask(old)


def mode_of(path: Path) -> int:
    """Return a file's permissions."""
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize("mode", [PRIVATE, PUBLIC])
def test_a_new_file_has_its_mode_whatever_the_umask(tmp_path: Path, umask: int, mode: int) -> None:
    """0600 and 0644 mean just that."""
    write_new(tmp_path / "file", b"content", mode=mode)
    assert (tmp_path / "file").read_bytes() == b"content"
    assert mode_of(tmp_path / "file") == mode


def test_a_new_folder_is_ones_own_whatever_the_umask(tmp_path: Path, umask: int) -> None:
    """0700."""
    make_folder(tmp_path / "folder")
    assert mode_of(tmp_path / "folder") == 0o700
    make_folder(tmp_path / "folder")


def test_folders_above_are_made_too(tmp_path: Path) -> None:
    """As `mkdir -p` does."""
    make_folder(tmp_path / "a" / "b" / "c")
    assert (tmp_path / "a" / "b" / "c").is_dir()


@pytest.mark.parametrize("kind", ["file", "link", "dangling", "folder"])
def test_nothing_is_overwritten(tmp_path: Path, kind: str) -> None:
    """A file, a link, a link to nothing, a folder: each is in the way and stays."""
    target, other = tmp_path / "target", tmp_path / "other"
    match kind:
        case "file":
            target.write_text("old")
        case "link":
            other.write_text("old")
            target.symlink_to(other)
        case "dangling":
            target.symlink_to(other)
        case "folder":
            target.mkdir()
    with pytest.raises(UsageError, match="found a file of that name, expected none"):
        write_new(target, b"new", mode=PRIVATE)
    assert not other.exists() or other.read_text() == "old"
    assert target.is_dir() or target.is_symlink() or target.read_text() == "old"


def test_a_file_in_the_place_of_a_folder_is_refused(tmp_path: Path) -> None:
    """Also further up."""
    (tmp_path / "file").touch()
    for path in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(UsageError, match="expected a folder or nothing"):
            make_folder(path)


def test_a_folder_that_is_not_there_is_said() -> None:
    """The error names the path and why."""
    with pytest.raises(StorageError, match=r"/nowhere/at/all: can't be written \(No such file"):
        write_new(Path("/nowhere/at/all"), b"x", mode=PRIVATE)


def test_a_write_that_fails_is_undone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next try finds the name free."""

    def no_space(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", no_space)
    with pytest.raises(StorageError, match=r"can't be written \(No space left on device\)"):
        write_new(tmp_path / "file", b"content", mode=PRIVATE)
    assert list(tmp_path.iterdir()) == []
