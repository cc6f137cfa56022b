"""Tells a build's own files from somebody's, by names and kinds; removes a build's alone.

A file that was edited where it stands counts as the build's: only contents could tell.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from invites.errors import OutputRefusedError
from invites.output import manifest
from invites.output.forms import FORMS, INDEX, is_file_name, is_name
from invites.problems import escaped

IGNORED = frozenset({".DS_Store", "Thumbs.db", "desktop.ini"})
"""What file managers leave behind; it is neither a build's nor anybody's."""

_OURS = 0o700

BUILT = frozenset({manifest.NAME, INDEX} | {form.TOP_FILE for form in FORMS.values()} - {""})
"""The files that a build has at its top."""


def refuse_foreign(target: Path, *, deep: bool = False) -> None:
    """Raise OutputRefusedError unless `target` is absent, an empty folder or an earlier build.

    With `deep`, also for what is no build's in the folders of the meetings: that costs about 2 µs
    for each attendee of the earlier build.
    """
    if target.is_symlink():
        raise OutputRefusedError(
            f"{target}: found a symbolic link, expected a folder; name the folder itself"
        )
    if not target.exists():
        return
    if not target.is_dir():
        raise OutputRefusedError(f"{target}: found a file, expected a folder")
    if target.is_mount():
        raise OutputRefusedError(
            f"{target}: found a mount point, which no folder can be moved to; name a folder in it"
        )
    entries = _entries(target)
    if not entries:
        return
    if not has_manifest(target):
        raise OutputRefusedError(
            f"{target}: found a folder with other files ({_some(e.name for e in entries)}), "
            "expected an empty folder or an earlier build; name another folder with --out"
        )
    _refuse_any(target, _foreign(entries, deep=deep))


def has_manifest(folder: Path) -> bool:
    """Whether `folder` has a build's manifest, by which an earlier build is known."""
    path = folder / manifest.NAME
    if path.is_symlink() or not path.is_file():
        return False
    with path.open("rb") as file:
        return manifest.is_manifest(file.read(len(manifest.HEADER)))


def refuse_foreign_beside(leftover: Path) -> None:
    """Raise OutputRefusedError where an interrupted build can't have left what stands there."""
    if leftover.is_symlink():
        raise OutputRefusedError(f"{leftover}: found a symbolic link; remove it")
    if leftover.is_dir():
        _refuse_any(leftover, _foreign(_entries(leftover), deep=True))
    elif leftover.exists():
        raise OutputRefusedError(f"{leftover}: found a file; remove it")


def remove(build: Path) -> None:
    """Remove what a build made, write-protected or not; OSError where a folder holds anything else.

    The manifest goes first: a folder without it was being removed, and is not put back.
    """
    build.chmod(_OURS)
    (build / manifest.NAME).unlink(missing_ok=True)
    for entry in _listed(build):
        if _is_meeting(entry):
            _remove_messages(entry)
            Path(entry).rmdir()
        elif _is_at_the_top(entry):
            Path(entry).unlink()
    build.rmdir()


def _remove_messages(meeting: os.DirEntry[str]) -> None:
    """Remove the files of a meeting, by its descriptor: a Path for each would cost more."""
    folder = os.open(meeting, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        os.fchmod(folder, _OURS)
        for file in _listed(meeting):
            if _is_in_a_meeting(file):
                os.unlink(file.name, dir_fd=folder)
    finally:
        os.close(folder)


def _foreign(entries: Iterable[os.DirEntry[str]], *, deep: bool) -> Iterator[str]:
    """Yield what no build made; what is in a folder of a meeting with that folder's name."""
    for entry in entries:
        if not _is_meeting(entry):
            if not _is_at_the_top(entry):
                yield entry.name
        elif deep:
            for file in _listed(entry):
                if not _is_in_a_meeting(file):
                    yield f"{entry.name}/{file.name}"


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    """Return what is in `folder` apart from what file managers leave."""
    return [entry for entry in _listed(folder) if not (entry.name in IGNORED and _is_file(entry))]


def _listed(folder: Path | os.DirEntry[str]) -> list[os.DirEntry[str]]:
    with os.scandir(folder) as found:
        return list(found)


def _is_meeting(entry: os.DirEntry[str]) -> bool:
    return is_name(entry.name) and entry.is_dir(follow_symlinks=False)


def _is_at_the_top(entry: os.DirEntry[str]) -> bool:
    return (entry.name in BUILT or entry.name in IGNORED) and _is_file(entry)


def _is_in_a_meeting(entry: os.DirEntry[str]) -> bool:
    return (is_file_name(entry.name) or entry.name in IGNORED) and _is_file(entry)


def _is_file(entry: os.DirEntry[str]) -> bool:
    """Whether it is a file and no link to one; costs no call where the file system has types."""
    return entry.is_file(follow_symlinks=False)


def _refuse_any(folder: Path, foreign: Iterable[str]) -> None:
    names = list(foreign)
    if names:
        raise OutputRefusedError(
            f"{folder}: found files that no build made ({_some(names)}), which a new build "
            "would remove; move them elsewhere or name another folder with --out"
        )


def _some(names: Iterable[str]) -> str:
    """Return the first three names on one line, whatever characters they have."""
    listed = sorted(names)
    shown = ["/".join(escaped(part) for part in name.split("/")) for name in listed[:3]]
    return ", ".join(shown) + (", …" if len(listed) > 3 else "")
