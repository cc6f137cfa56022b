"""Opening a ledger: SQLite and PostgreSQL, their transactions, and what their errors mean."""

from __future__ import annotations

import logging
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

from sqlalchemy import Connection, Engine, create_engine, event, inspect, make_url
from sqlalchemy.engine import URL
from sqlalchemy.engine.interfaces import Dialect
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.pool import StaticPool

from invites.errors import LedgerError, TryAgainError
from invites.ledger import migrations, schema
from invites.ledger.faults import named, translated
from invites.ledger.files import advisory_lock, create_private, file_lock, make_private

BUSY_TIMEOUT_SECONDS = 5.0
"""How long a reader or writer waits for another transaction of SQLite to end."""

SQLITE_PRAGMAS = (
    "PRAGMA synchronous = FULL",
    "PRAGMA foreign_keys = ON",
    "PRAGMA trusted_schema = OFF",
)

# Errors say what happened; a driver's own log adds lines, and values that were to be written.
for library in ("psycopg", "sqlalchemy"):
    logging.getLogger(library).addHandler(logging.NullHandler())


class Ledger:
    """An open ledger: one connection, used by one thread.

    Everything in `ledger` takes one; its errors are those of `ledger.faults`.
    """

    def __init__(self, engine: Engine, url: URL, *, locked: bool) -> None:
        """`locked` where this process holds the writer lock."""
        self._engine = engine
        self._connection = engine.connect()
        self.name = named(url)
        self.locked = locked

    @property
    def dialect(self) -> Dialect:
        """SQLAlchemy's dialect, for statements that are compiled once."""
        return self._engine.dialect

    @property
    def is_sqlite(self) -> bool:
        """Tell SQLite from PostgreSQL."""
        return self._engine.dialect.name == "sqlite"

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """Run one transaction that writes: all of it is durable when this returns, or nothing.

        Raises StorageError where the disk is full, read-only or failed, TryAgainError where the
        ledger is locked or the server is down.
        """
        with self._transaction(writes=True) as connection:
            yield connection

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Run one transaction that reads one consistent state and changes nothing."""
        with self._transaction(writes=False) as connection:
            yield connection

    @contextmanager
    def _transaction(self, *, writes: bool) -> Iterator[Connection]:
        try:
            self._begin(writes=writes)
            try:
                yield self._connection
                self._connection.commit() if writes else self._connection.rollback()
            except BaseException:
                self._undo()
                raise
        except SQLAlchemyError as error:
            raise translated(error, self.name) from None

    def _undo(self) -> None:
        """Leave a transaction that failed, at its commit too; a second fault adds nothing."""
        with suppress(SQLAlchemyError):
            self._connection.rollback()

    def _begin(self, *, writes: bool) -> None:
        if self.locked and self._connection.invalidated:
            # SQLAlchemy would connect anew, without the lock, which another run may have by now.
            raise TryAgainError(
                f"{self.name}: the connection to the ledger's server broke, and its lock is lost "
                "with it; run again"
            )
        options: dict[str, Any] = {"invites_writes": writes}
        if not self.is_sqlite:
            options["isolation_level"] = "READ COMMITTED" if writes else "REPEATABLE READ"
            options["postgresql_readonly"] = not writes
        self._connection.execution_options(**options)
        self._connection.begin()

    def lock(self) -> None:
        """Take PostgreSQL's advisory lock on this connection; raises TryAgainError if it is held.

        With the connection the lock is lost, and with the lock the connection that writes.
        """
        if not self.is_sqlite:
            with self.reading() as connection:
                advisory_lock(connection, self.name)

    def checkpoint(self) -> None:
        """Move SQLite's log into the file and empty it, so that what was erased is nowhere."""
        if self.is_sqlite:
            raw = self._connection.connection.driver_connection
            if raw is not None:
                raw.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def close(self) -> None:
        """Close the connection; an advisory lock goes with it."""
        self._connection.close()
        self._engine.dispose()

    def __enter__(self) -> Self:
        """Return the ledger itself; it is open already."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close."""
        self.close()


def create(url: str) -> None:
    """Make a new ledger where there is none.

    Raises LedgerError where there is one already, StorageError where it can't be written.
    """
    parsed = make_url(url)
    if _is_sqlite(parsed):
        create_private(_path(parsed), _fill_file)
        return
    engine = _engine(parsed)
    try:
        with engine.begin() as connection:
            if inspect(connection).has_table(schema.meta.name):
                raise LedgerError(f"{named(parsed)}: there is a ledger already; nothing was done")
            migrations.create_tables(connection)
    except DBAPIError as error:
        raise translated(error, named(parsed)) from None
    finally:
        engine.dispose()


def _fill_file(path: Path) -> None:
    engine = _sqlite_engine(path, writes=True)
    try:
        with engine.begin() as connection:
            migrations.create_tables(connection)
    except DBAPIError as error:
        raise translated(error, str(path)) from None
    finally:
        engine.dispose()


def exists(url: str) -> bool:
    """Tell whether there is a ledger at `url`; raises as `open_ledger` where it can't be known."""
    parsed = make_url(url)
    if _is_sqlite(parsed):
        return _path(parsed).is_file() and _path(parsed).stat().st_size > 0
    engine = _engine(parsed)
    try:
        with engine.connect() as connection:
            return inspect(connection).has_table(schema.meta.name)
    except DBAPIError as error:
        raise translated(error, named(parsed)) from None
    finally:
        engine.dispose()


@contextmanager
def open_ledger(url: str, *, lock: bool) -> Iterator[Ledger]:
    """Open the ledger at `url`; with `lock` as its one writer, whose schema is brought up to date.

    Without `lock` nothing is changed, and the writer may be at work.
    Raises LedgerError where it is missing, newer than this program or no ledger, TryAgainError
    where another run holds the lock or the server is down.
    """
    parsed = make_url(url)
    if _is_sqlite(parsed):
        with _open_file(_path(parsed), parsed, lock=lock) as ledger:
            yield ledger
        return
    with _connected(_engine(parsed), parsed, locked=lock) as ledger:
        if lock:
            ledger.lock()
        _checked(ledger)
        yield ledger


@contextmanager
def _open_file(path: Path, url: URL, *, lock: bool) -> Iterator[Ledger]:
    if not path.is_file() or path.stat().st_size == 0:
        raise missing(str(path))
    if not lock:
        with _connected(_sqlite_engine(path, writes=False), url, locked=False) as ledger:
            _checked(ledger)
            yield ledger
        return
    with file_lock(path):
        make_private(path)
        with _connected(_sqlite_engine(path, writes=True), url, locked=True) as ledger:
            _checked(ledger)
            yield ledger


def missing(name: str) -> LedgerError:
    """Return the error for a ledger that is not where the settings say."""
    return LedgerError(
        f"{name}: found no ledger, expected the one that remembers who was invited; "
        "if it was moved, put it back or correct [ledger] url; "
        "if nobody was invited yet, `invites init` in a new folder or --new-ledger makes one"
    )


@contextmanager
def _connected(engine: Engine, url: URL, *, locked: bool) -> Iterator[Ledger]:
    try:
        ledger = Ledger(engine, url, locked=locked)
    except DBAPIError as error:
        engine.dispose()
        raise translated(error, named(url)) from None
    with ledger:
        yield ledger


def _checked(ledger: Ledger) -> None:
    """Bring an older schema up to date, or for a reader as far as its transaction lasts."""
    with ledger.reading() as connection:
        if not inspect(connection).has_table(schema.meta.name):
            raise missing(ledger.name)
        version = migrations.version_of(connection, ledger.name)
    if version == schema.SCHEMA_VERSION:
        return
    if not ledger.locked:
        raise LedgerError(
            f"{ledger.name}: found schema version {version}, expected {schema.SCHEMA_VERSION}; "
            'the next "invites send" or "invites run" brings it up to date'
        )
    with ledger.writing() as connection:
        migrations.migrate(connection, version)


def _is_sqlite(url: URL) -> bool:
    return url.get_backend_name() == "sqlite"


def _path(url: URL) -> Path:
    if not url.database:
        raise LedgerError("[ledger] url: found sqlite without a file, expected sqlite:///FILE")
    return Path(url.database)


def _engine(url: URL) -> Engine:
    try:
        engine = create_engine(url, hide_parameters=True, poolclass=StaticPool)
    except ModuleNotFoundError:
        raise LedgerError(
            "[ledger] url: found PostgreSQL, expected its driver to be installed; "
            'install "invites[postgresql]"'
        ) from None
    return engine


def _sqlite_engine(path: Path, *, writes: bool) -> Engine:
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
