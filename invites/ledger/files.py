"""The ledger's file: made whole or not at all, and for its owner's eyes alone."""

from __future__ import annotations

import fcntl
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from sqlalchemy import Connection, text

from invites.errors import LedgerError, StorageError, TryAgainError

PRIVATE = 0o600


def create_private(path: Path, fill: Callable[[Path], None]) -> None:
    """Make `path` with mode 0600, whatever the umask, appearing only when `fill` has filled it.

    SQLite gives -wal and -shm the mode of the file itself.
    Raises LedgerError where there is something already, StorageError where it can't be written.
    """
    if path.exists() and path.stat().st_size > 0:
        raise LedgerError(f"{path}: there is a ledger already; leave it, or move it away first")
    beside = path.with_name(f".{path.name}.{os.getpid()}.new")
    try:
        os.close(os.open(beside, os.O_CREAT | os.O_EXCL | os.O_RDWR, PRIVATE))
        beside.chmod(PRIVATE)
        fill(beside)
        _appear(beside, path)
        with suppress(FileNotFoundError):  # there was no ledger here before
            Path(f"{beside}.mark").replace(f"{path}.mark")
    except OSError as error:
        raise StorageError(
            f"{path}: {error.strerror or error}; no ledger was made; "
            "make the folder or correct [ledger] url"
        ) from None
    finally:
        for rest in ("", "-wal", "-shm", "-journal", ".mark"):
            Path(f"{beside}{rest}").unlink(missing_ok=True)


def _appear(beside: Path, path: Path) -> None:
    """Link, which never overwrites; an empty file in the way is an earlier start that was cut."""
    if path.exists() and path.stat().st_size == 0:
        path.unlink()
    try:
        os.link(beside, path)
    except FileExistsError:
        raise LedgerError(f"{path}: another program made a ledger just now; run again") from None
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def demand_ours(path: Path) -> None:
    """Raise LedgerError where everybody can write the ledger: it may be anybody's by now."""
    for name in _files(path):
        try:
            open_to_all = name.stat().st_mode & stat.S_IWOTH
        except FileNotFoundError:
            continue
        if open_to_all:
            raise LedgerError(
                f"{name}: found a file that everybody can write, expected mode 0600; see who "
                f"changed it and when; if it is as you left it: chmod 600 {name}"
            )


def _files(path: Path) -> tuple[Path, ...]:
    return (path, *(Path(f"{path}{rest}") for rest in ("-wal", "-shm", ".mark")))


class SameFile:
    """Notices that a SQLite ledger's file, or its log, is gone or another one."""

    def __init__(self, path: Path) -> None:
        """`path` is the ledger's file, open by now."""
        self._path = path
        self._file = _identity(path)
        self._log: tuple[int, int] | None = None

    def demand(self) -> None:
        """Raise LedgerError where what was just written went to a file without a name."""
        log = _identity(Path(f"{self._path}-wal"))
        if _identity(self._path) != self._file or log != (self._log or log):
            raise LedgerError(
                f"{self._path}: the ledger or its log was deleted or replaced while this run was "
                "at work; expected the file that it opened; the run stopped at once; put back the "
                "latest copy, and go on with it by --after-restore"
            )
        self._log = log


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def make_private(path: Path) -> None:
    """Take a copy that came back with wider modes from the eyes of others, where it is ours."""
    for name in _files(path):
        try:
            status = name.stat()
        except FileNotFoundError:
            continue
        if status.st_mode & 0o077 and status.st_uid == os.geteuid():
            name.chmod(PRIVATE)


ADVISORY_LOCK = 0x1271_7E5
"""Together with the schema's name this program's own number among a database's locks."""


def held(name: str) -> TryAgainError:
    """Return the error for a lock that another run holds."""
    return TryAgainError(f"{name}: another run holds the ledger's lock; run again when it is done")


@contextmanager
def file_lock(path: Path) -> Iterator[None]:
    """Hold the lock beside the ledger's file; the kernel gives it back however the process ends.

    Raises TryAgainError where another process holds it, StorageError where it can't be made.
    The lock's file stays: to remove it would let two runs lock two files of one name.
    """
    name = path.with_name(path.name + ".lock")
    try:
        handle = os.open(name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, PRIVATE)
    except OSError as error:
        raise StorageError(
            f"{name}: {error.strerror}; expected a folder in which the lock can be made; "
            "nothing was done"
        ) from None
    try:
        os.fchmod(handle, PRIVATE)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise held(str(path)) from None
        yield
    finally:
        os.close(handle)


def advisory_lock(connection: Connection, name: str) -> None:
    """Take the lock for this connection's session; raises TryAgainError where it is held."""
    taken = connection.execute(
        text("SELECT pg_try_advisory_lock(:number, hashtext(current_schema()))"),
        {"number": ADVISORY_LOCK},
    ).scalar_one()
    if not taken:
        raise held(name)
