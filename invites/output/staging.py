"""Moves a finished folder into place of an earlier one, so that one of the two is always there.

A build is written into `.NAME.invites-new` beside its target and moved with two renames: the old
build to `.NAME.invites-old`, the new one to NAME.
A start that finds the old one aside and no target puts it back; what else an interruption left is
removed.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from invites.errors import OutputRefusedError, TryAgainError
from invites.output import manifest
from invites.output.names import is_name

FOLDER_MODE = 0o700
FILE_MODE = 0o600
IGNORED = frozenset({".DS_Store", "Thumbs.db", "desktop.ini"})
"""What file managers leave behind; it is neither a build's nor anybody's."""

BUILT = frozenset({manifest.NAME, "index.html", "invitations.mbox", "invitations.tar"})
"""The files that a build has at its top."""

_THE_FOLDER_ITSELF = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW


@contextmanager
def staged(target: Path) -> Iterator[int]:
    """Yield an open descriptor of an empty folder that becomes `target` when the block ends well.

    Raises OutputRefusedError where `target` is neither absent, empty, nor an earlier build, and
    TryAgainError where another build writes there now.
    When the block raises, what it wrote is removed and `target` is as it was.
    """
    if target.name in {"", "..", "."}:
        target = target.resolve()
    if target.parent == target:
        raise OutputRefusedError(f"{target}: expected a folder of its own for --out")
    new, old = (target.with_name(f".{target.name}.invites-{which}") for which in ("new", "old"))
    _refuse_long(new)
    refuse_foreign(target)
    with _parents_of(target), _own(new) as folder:
        try:
            with _unlocked(target):
                _repair(target, old)
            refuse_foreign(target)
            yield folder
            refuse_foreign(target)
            _move(new, target, old)
        except BaseException:
            shutil.rmtree(new, ignore_errors=True)
            raise
        shutil.rmtree(old, ignore_errors=True)


def refuse_foreign(target: Path) -> None:
    """Raise OutputRefusedError unless `target` is absent, an empty folder or an earlier build."""
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
    with os.scandir(target) as found:
        entries = {entry.name: entry.is_dir(follow_symlinks=False) for entry in found}
    for name in IGNORED:
        entries.pop(name, None)
    if not entries:
        return
    if not _has_manifest(target):
        raise OutputRefusedError(
            f"{target}: found a folder with other files ({_some(entries)}), expected an empty "
            "folder or an earlier build; name another folder with --out"
        )
    foreign = [
        name for name, folder in entries.items() if not (is_name(name) if folder else name in BUILT)
    ]
    if foreign:
        raise OutputRefusedError(
            f"{target}: found files that no build made ({_some(foreign)}), which a new build "
            "would remove; move them elsewhere or name another folder with --out"
        )


def _some(names: dict[str, bool] | list[str]) -> str:
    listed = sorted(names)
    return ", ".join(name[:40] for name in listed[:3]) + (", …" if len(listed) > 3 else "")


def _has_manifest(folder: Path) -> bool:
    path = folder / manifest.NAME
    if path.is_symlink() or not path.is_file():
        return False
    with path.open("rb") as file:
        return manifest.is_manifest(file.read(len(manifest.HEADER)))


def _refuse_long(new: Path) -> None:
    """Refuse a name that leaves no room for the name of the folder beside it."""
    length, at_most = len(os.fsencode(new.name)), 255
    if length > at_most:
        raise OutputRefusedError(
            f"--out: found a name that is {length - at_most} bytes too long; name a shorter one"
        )


@contextmanager
def _parents_of(target: Path) -> Iterator[None]:
    """Make the folders above `target` (0700, for what is in them is private); undo on failure."""
    made: list[Path] = []
    for parent in reversed(target.parents):
        try:
            parent.mkdir(mode=FOLDER_MODE)
        except FileExistsError:
            if not parent.is_dir():
                raise OutputRefusedError(
                    f"{parent}: found a file or a link to nothing, expected a folder to make "
                    f"{target} in"
                ) from None
        else:
            made.append(parent)
    try:
        yield
    except BaseException:
        for parent in reversed(made):
            with suppress(OSError):
                parent.rmdir()
        raise


@contextmanager
def _own(new: Path) -> Iterator[int]:
    """Yield a descriptor of the folder `new`, made afresh and locked against other builds."""
    while True:
        if new.is_symlink():
            raise OutputRefusedError(f"{new}: found a symbolic link; remove it")
        if new.exists():
            _take_over(new)
        try:
            new.mkdir(mode=FOLDER_MODE)
            folder = os.open(new, _THE_FOLDER_ITSELF)
        except (FileExistsError, FileNotFoundError):
            if new.parent.is_dir():
                continue
            raise
        try:
            _lock(folder, new)
            if _is_still(folder, new):
                yield folder
                return
        finally:
            os.close(folder)


def _take_over(new: Path) -> None:
    """Remove what an interrupted build left, unless its writer is alive."""
    try:
        folder = os.open(new, _THE_FOLDER_ITSELF)
    except FileNotFoundError:
        return
    except NotADirectoryError:
        raise OutputRefusedError(f"{new}: found a file; remove it") from None
    try:
        _lock(folder, new)
        if _is_still(folder, new):
            shutil.rmtree(new)
    finally:
        os.close(folder)


def _is_still(folder: int, path: Path) -> bool:
    """Whether `path` is the folder that was opened, and not one that took its place since."""
    try:
        return os.path.samestat(os.fstat(folder), path.lstat())
    except FileNotFoundError:
        return False


@contextmanager
def _unlocked(target: Path) -> Iterator[None]:
    """Hold off while the build that has just moved into place still clears up beside it."""
    if not target.is_dir():
        yield
        return
    folder = os.open(target, _THE_FOLDER_ITSELF)
    try:
        _lock(folder, target)
        yield
    finally:
        os.close(folder)


def _lock(folder: int, new: Path) -> None:
    try:
        fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise TryAgainError(
            f"{new}: another build is writing there now; run it again when that is done"
        ) from None


def _repair(target: Path, old: Path) -> None:
    """Undo an interruption between the two renames; drop an old build that was replaced."""
    if old.is_symlink() or not old.is_dir():
        return
    if target.exists():
        shutil.rmtree(old, ignore_errors=True)
    else:
        old.rename(target)


def _move(new: Path, target: Path, old: Path) -> None:
    """Move the new build into place; whatever stops it, a signal too, the old one is back."""
    aside = target.exists()
    try:
        if aside:
            target.rename(old)
        new.rename(target)
    except BaseException:
        if aside and old.is_dir() and not target.exists():
            old.rename(target)
        raise
