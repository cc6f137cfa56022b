"""The database behind a ledger's url: how it is opened, and what its errors mean for the run.

Try again, mend the settings, or look at the disk.
"""

from __future__ import annotations

import logging
import os
import re
import sqlite3
from pathlib import Path
from urllib.parse import quote

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError, SQLAlchemyError, StatementError
from sqlalchemy.pool import StaticPool

from invites.errors import InvitesError, LedgerError, StorageError, TryAgainError
from invites.ledger import checksums

BUSY_TIMEOUT_SECONDS = 5.0
"""How long a reader or writer waits for another transaction of SQLite to end."""

SQLITE_PRAGMAS = (
    "PRAGMA synchronous = FULL",
    "PRAGMA foreign_keys = ON",
    "PRAGMA trusted_schema = OFF",
    "PRAGMA cell_size_check = ON",
    "PRAGMA temp_store = MEMORY",
)

# Errors say what happened; a driver's own log adds lines, and values that were to be written.
for library in ("psycopg", "sqlalchemy"):
    logging.getLogger(library).addHandler(logging.NullHandler())


def is_sqlite(url: URL) -> bool:
    """Tell SQLite from PostgreSQL."""
    return url.get_backend_name() == "sqlite"


def path_of(url: URL) -> Path:
    """Return the file of a SQLite url; raises LedgerError where it names none."""
    if not url.database:
        raise LedgerError("[ledger] url: found sqlite without a file, expected sqlite:///FILE")
    return Path(url.database)


def server_engine(url: URL) -> Engine:
    """Return an engine for PostgreSQL; raises LedgerError where its driver is not installed."""
    try:
        return create_engine(url, hide_parameters=True, poolclass=StaticPool)
    except ModuleNotFoundError:
        raise LedgerError(
            "[ledger] url: found PostgreSQL, expected its driver to be installed; "
            'install "invites[postgresql]"'
        ) from None


def sqlite_engine(path: Path, *, writes: bool) -> Engine:
    """Return an engine that never makes a file and whose transactions begin as they will go on.

    A deferred transaction that starts to write fails at once, whatever the timeout.
    """

    def connected() -> sqlite3.Connection:
        connection = sqlite3.connect(
            f"file:{quote(os.fspath(path.absolute()))}?mode=rw",
            uri=True,
            timeout=BUSY_TIMEOUT_SECONDS,
            isolation_level=None,
        )
        checksums.add_function(connection)
        for pragma in SQLITE_PRAGMAS:
            connection.execute(pragma)
        if writes:
            connection.execute("PRAGMA journal_mode = WAL")
        return connection

    engine = create_engine(
        "sqlite+pysqlite://", creator=connected, poolclass=StaticPool, hide_parameters=True
    )

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        writes = connection.get_execution_options().get("invites_writes", True)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


_SQLITE_BUSY = frozenset({"SQLITE_BUSY", "SQLITE_LOCKED"})
_SQLITE_STRANGE = frozenset({"SQLITE_NOTADB", "SQLITE_CORRUPT", "SQLITE_SCHEMA"})
_SQLITE_STORAGE = {
    "SQLITE_FULL": "the disk is full",
    "SQLITE_READONLY": "it is read-only",
    "SQLITE_IOERR": "reading or writing failed",
    "SQLITE_CANTOPEN": "it can't be opened",
    "SQLITE_PERM": "it can't be opened",
}
_POSTGRESQL_SETTINGS = {
    "28": "the server refused the login",
    "3D": "there is no such database",
    "42501": "the role lacks a privilege",
}
_POSTGRESQL_STORAGE = {
    "53100": "the server's disk is full",
    "25006": "it is read-only",
    "58": "the server could not read or write",
    "XX001": "its data are damaged",
}
_REFUSED = (
    (
        re.compile(
            "password|authentication(?! due to timeout)|pg_hba\\.conf"
            "|role does not exist|role is not permitted to log in"
        ),
        "the server refused the login, expected [ledger] url's",
    ),
    (re.compile("database does not exist"), "there is no such database; make it first"),
    (
        re.compile("permission denied for database"),
        "the role lacks a privilege, expected one that [ledger] url may use",
    ),
)
"""What a server says while a connection begins, names left out, and what that means."""

_OURS_TO_MEND = frozenset({"22", "23", "42"})
"""Classes of SQLSTATE that only a fault of this program explains: data, integrity, syntax."""

_QUOTED = re.compile("\".*\"|'.*'")


def named(url: URL) -> str:
    """Return how messages name a ledger: its file, or the server's url without a password."""
    if url.get_backend_name() == "sqlite":
        return url.database or "sqlite"
    return url.set(password=None, query={}).render_as_string()


def translated(error: SQLAlchemyError, name: str) -> Exception:
    """Return our error for a database's; its text holds no value that was to be written.

    What SQLAlchemy itself refuses is a fault of this program and stays as it is.
    """
    if isinstance(error, StatementError) and isinstance(error.orig, InvitesError):
        return error.orig
    if not isinstance(error, DBAPIError):
        return error
    original = error.orig
    if isinstance(original, sqlite3.Error):
        return from_sqlite(original, name)
    return _from_postgresql(original, name)


def damaged(name: str, where: str) -> LedgerError:
    """Return the error for a ledger whose rows or pages are not what was written."""
    return LedgerError(
        f"{name}: found {where} damaged, expected what was written; nothing was sent by it; check "
        "the disk, put back a sound copy, and go on with it by --after-restore"
    )


def from_sqlite(error: sqlite3.Error, name: str) -> InvitesError:
    """Return our error for one of SQLite's."""
    code = getattr(error, "sqlite_errorname", "")
    family = "_".join(code.split("_")[:2])
    if family in _SQLITE_BUSY:
        return TryAgainError(f"{name}: the ledger is locked by another program; run again")
    if family in _SQLITE_STORAGE:
        return StorageError(
            f"{name}: {_SQLITE_STORAGE[family]}; what was recorded before stays; "
            "make room or mend it, then run again"
        )
    if family in _SQLITE_STRANGE:
        return LedgerError(
            f"{name}: found no sound SQLite file, expected a ledger; put back a sound copy"
        )
    return LedgerError(f"{name}: {code or type(error).__name__}, expected a ledger that answers")


def _from_postgresql(error: BaseException | None, name: str) -> InvitesError:
    state = getattr(error, "sqlstate", None) or ""
    for code, words in _POSTGRESQL_SETTINGS.items():
        if state.startswith(code):
            return LedgerError(f"{name}: {words}, expected one that [ledger] url may use")
    for code, words in _POSTGRESQL_STORAGE.items():
        if state.startswith(code):
            return StorageError(f"{name}: {words}; what was recorded before stays")
    if state[:2] in _OURS_TO_MEND:
        return LedgerError(f"{name}: SQLSTATE {state}, expected a ledger of this program")
    return _not_reached(error, name)


def _not_reached(error: BaseException | None, name: str) -> InvitesError:
    """Tell a wrong login or name from a server that is down: psycopg gives words, no SQLSTATE."""
    said = _unquoted(str(error))
    for words, fault in _REFUSED:
        if words.search(said):
            return LedgerError(f"{name}: {fault}")
    return TryAgainError(f"{name}: the ledger's server does not answer for now; run again")


def _unquoted(message: str) -> str:
    """Return what libpq and the server say in lower case, without the names that they quote.

    Hosts, folders, logins and databases can be called anything.  A line is
    `connection to server at "HOST" (ADDRESS), port N failed: FATAL:  role "NAME" does not exist`,
    and quotes within a name are not escaped.
    """
    reasons = (line.rpartition(" failed: ")[2] for line in message.splitlines())
    return "\n".join(" ".join(_QUOTED.sub(" ", reason).split()) for reason in reasons).lower()
