"""Moves a finished folder into place of an earlier one, so that one of the two is always there.

A build is written into `.NAME.invites-new` beside its target and moved with two renames: the old
build to `.NAME.invites-old`, the new one to NAME.
A start that finds the old one aside and no build in its place puts it back; what else an
interruption left is removed, and what no build made is removed nowhere (`output.earlier`).
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from invites.errors import InvitesError, OutputRefusedError, StorageError, TryAgainError
from invites.output.earlier import (
    IGNORED,
    has_manifest,
    refuse_foreign,
    refuse_foreign_beside,
    remove,
)
from invites.output.forms import FOLDER_MODE

_THE_FOLDER_ITSELF = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW


@contextmanager
def staged(target: Path) -> Iterator[int]:
    """Yield an open descriptor of an empty folder that becomes `target` when the block ends well.

    Raises OutputRefusedError where `target` is neither absent, empty, nor an earlier build, and
    TryAgainError where another build writes there now.
    When the block raises, what it wrote is removed and `target` is as it was.
    """
    target, new, old = _places(target)
    refuse_foreign(target)
    with _parents_of(target), ExitStack() as opened:
        if ".." in target.parts:  # after the renames such a path may lead nowhere
            target, new, old = _places(target.parent.resolve() / target.name)
        folder = opened.enter_context(_own(new))
        try:
            _repair(target, old)
            yield folder
            # Somebody may have put a file into the old build while the new one was written.
            refuse_foreign(target, deep=True)
            _move(new, target, old)
        except BaseException:
            shutil.rmtree(new, ignore_errors=True)
            raise
        with suppress(OSError):  # what can't go, or came just now, is named by the next start
            remove(old)


def repair(target: Path) -> None:
    """Put the earlier build back where one was killed between its two renames; else do nothing.

    For a start that may end before it comes to `staged`, which does the same.
    Whatever stands in the way, be it a build that writes there now, is left to `staged` to tell.
    """
    with suppress(InvitesError, OSError):
        target, new, old = _places(target)
        if not has_manifest(old) or has_manifest(target):
            return
        refuse_foreign(target)
        with _own(new):
            try:
                _repair(target, old)
            finally:
                shutil.rmtree(new, ignore_errors=True)


def _places(target: Path) -> tuple[Path, Path, Path]:
    """Return the folder that is meant, and the two beside it: the new build's, the old one's."""
    if target.name in {"", "..", "."}:
        try:
            target = target.resolve()
        except FileNotFoundError:
            raise _no_place(target) from None
    if target.parent == target:
        raise OutputRefusedError(f"{target}: expected a folder of its own for --out")
    new, old = (target.with_name(f".{target.name}.invites-{which}") for which in ("new", "old"))
    _refuse_long(new)
    return target, new, old


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
    try:
        for parent in reversed(target.parents):
            made += _made(parent, target)
        yield
    except BaseException:
        for parent in reversed(made):
            with suppress(OSError):
                parent.rmdir()
        raise


def _made(parent: Path, target: Path) -> tuple[Path, ...]:
    """Make `parent`, a folder above `target`; return it unless it was there."""
    try:
        parent.mkdir(mode=FOLDER_MODE)
    except FileExistsError:
        if not parent.is_dir():
            raise OutputRefusedError(
                f"{parent}: found a file or a link to nothing, expected a folder to make {target} in"
            ) from None
        return ()
    except FileNotFoundError:
        raise _no_place(parent.parent) from None
    return (parent,)


def _no_place(folder: Path) -> InvitesError:
    """Return the error for a folder in which there is no making another."""
    if not folder.is_dir():
        return TryAgainError(f"{folder}: was removed while the build was to begin; run it again")
    return OutputRefusedError(
        f"{folder}: found a folder that was removed or can hold no others, expected one that can; "
        "name another place with --out"
    )


@contextmanager
def _own(new: Path) -> Iterator[int]:
    """Yield a descriptor of the folder `new`, made afresh and locked against other builds."""
    # Another build may make, or remove, the folder between any two of these calls: then again.
    while True:
        _take_over(new)
        try:
            new.mkdir(mode=FOLDER_MODE)
        except FileExistsError:
            continue
        except FileNotFoundError:
            raise _no_place(new.parent) from None
        try:
            folder = os.open(new, _THE_FOLDER_ITSELF)
        except FileNotFoundError:
            continue
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
    except OSError:
        refuse_foreign_beside(new)
        raise
    try:
        _lock(folder, new)
        if _is_still(folder, new):
            refuse_foreign_beside(new)
            _clear(new)
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
    # The kernel drops the lock with its holder: one that was killed holds up nobody.
    try:
        fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise TryAgainError(
            f"{new}: another build is writing there now; run it again when that is done"
        ) from None


def _repair(target: Path, old: Path) -> None:
    """Undo an interruption between the two renames; drop an old build that was replaced.

    An empty folder in the place of `target`, which somebody made meanwhile, replaced nothing.
    """
    with _unlocked(target):
        refuse_foreign_beside(old)
        if has_manifest(old) and not has_manifest(target):
            for name in IGNORED:
                (target / name).unlink(missing_ok=True)
            old.rename(target)
        elif old.exists():
            _clear(old)
    refuse_foreign(target)


def _clear(leftover: Path) -> None:
    """Remove what an interruption left; raises StorageError where that can't go."""
    try:
        remove(leftover)
    except OSError as error:
        raise StorageError(
            f"{leftover}: what an earlier build left there can't be removed ({error.strerror}); "
            "remove it"
        ) from error


def _move(new: Path, target: Path, old: Path) -> None:
    """Move the new build into place; whatever stops it, a signal too, the old one is back."""
    aside = target.exists()
    try:
        if aside:
            # A folder with files in it can't be replaced in one rename; killed here, the next
            # start puts the old one back (`_repair`).
            target.rename(old)
        new.rename(target)
    except BaseException:
        if aside and old.is_dir() and not target.exists():
            old.rename(target)
        raise
