"""One writer for each ledger: a file lock beside SQLite, an advisory lock in PostgreSQL."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Connection, text

from invites.errors import StorageError, TryAgainError
from invites.ledger.files import PRIVATE

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
