"""Opening a ledger: its one connection, its transactions, its lock, and what is noticed of it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

from sqlalchemy import Connection, Engine, inspect, make_url
from sqlalchemy.engine import URL
from sqlalchemy.engine.interfaces import Dialect
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from invites.errors import InvitesError, LedgerError, RecordKeptError, StorageError, TryAgainError
from invites.ledger import checksums, migrations, schema
from invites.ledger.database import (
    damaged,
    from_sqlite,
    is_sqlite,
    named,
    path_of,
    server_engine,
    sqlite_engine,
    translated,
)
from invites.ledger.files import SameFile, advisory_lock, demand_ours, file_lock, make_private
from invites.ledger.mark import (
    HighWaterMark,
    above_all,
    delivered_marks,
    demand_newest,
    keep_mark,
    mark_of,
    raise_to,
    read_mark,
    write_mark,
)


class Ledger:
    """An open ledger: one connection, used by one thread.

    Everything in `ledger` takes one; its errors are those of `ledger.database`.
    `restored` is the mark that it would be raised to, where it is read `after_restore` and nothing
    may be written.
    """

    def __init__(self, engine: Engine, url: URL, *, locked: bool) -> None:
        """`locked` where this process holds the writer lock."""
        self._engine = engine
        self._connection = engine.connect()
        self.name = named(url)
        self.locked = locked
        self._path = path_of(url) if self.is_sqlite else None
        self._same_file = None if self._path is None else SameFile(self._path)
        self._sound = False
        self._mark: HighWaterMark | None = None
        self._written: HighWaterMark | None = None
        self.restored: HighWaterMark | None = None

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
        ledger is locked or the server is down; RecordKeptError where all is durable and only the
        mark beside the ledger could not be written.
        """
        with self._transaction(writes=True) as connection:
            yield connection

    @contextmanager
    def migrating(self) -> Iterator[Connection]:
        """Run the transaction that brings an older schema here; it has no checksums to look at."""
        with self._transaction(writes=True, checked=False) as connection:
            yield connection

    def keep_checksums(self) -> None:
        """Let this connection write each row's checksum with the row."""
        checksums.keep(self._connection)
        self._connection.commit()

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Run one transaction that reads one consistent state and changes nothing."""
        with self._transaction(writes=False) as connection:
            yield connection

    @contextmanager
    def _transaction(self, *, writes: bool, checked: bool = True) -> Iterator[Connection]:
        if writes and checked:
            # Nothing leaves before something is written: so no message comes of damaged rows, and
            # a wake-up with nothing to do reads no more than it needs.
            self.demand_sound()
        try:
            self._begin(writes=writes)
            try:
                yield self._connection
                self._end(writes=writes)
            except BaseException:
                self._undo()
                raise
        except SQLAlchemyError as error:
            raise translated(error, self.name) from None

    def _end(self, *, writes: bool) -> None:
        if not writes:
            self._connection.rollback()
            return
        if self._mark is not None:
            self._mark = replace(self._mark, generation=self._mark.generation + 1)
            keep_mark(self._connection, self._mark)
        self._connection.commit()
        if self._mark is not None and self._path is not None and self._same_file is not None:
            # The ledger first, then its mark: killed in between, the ledger is ahead, never behind.
            self._same_file.demand()
            self._write_mark(self._path, self._mark)

    def _write_mark(self, path: Path, mark: HighWaterMark) -> None:
        before = self._written
        higher = before is None or (before.sequence, before.dtstamp) != (
            mark.sequence,
            mark.dtstamp,
        )
        try:
            write_mark(path, mark, durable=higher)
        except StorageError as error:
            raise RecordKeptError(
                f"{error}; what was recorded is kept, and nothing is in doubt by this"
            ) from None
        self._written = mark

    def mark_line(self) -> bytes:
        """Return the mark as a batch takes it along; nothing where this ledger is not written."""
        return b"" if self._mark is None else self._mark.line()

    def will_use(self, *, sequence: int, dtstamp: int) -> None:
        """Let the mark say, from this transaction on, that messages may have these."""
        if self._mark is not None:
            self._mark = self._mark.raised(sequence=sequence, dtstamp=dtstamp)

    def demand_sound(self) -> None:
        """Raise LedgerError where the database is not what was written; looks once, at all of it."""
        if self._sound:
            return
        with self.reading() as connection:
            where = checksums.damage(connection)
        if where:
            raise damaged(self.name, where)
        self._sound = True

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

    def begin_marking(self, *, after_restore: bool, outbox: Path | None) -> None:
        """Hold the ledger against the marks that know it, and keep its mark from now on.

        They are the one beside it and those of the batches in `outbox`.
        Raises LedgerError where an older copy was put back, or the end of its log is lost; with
        `after_restore` the ledger is raised above all that may have been used instead.
        """
        # Before the ledger is read: a run at work raises the ledger first, then the marks.
        delivered = delivered_marks(outbox)
        try:
            beside = None if self._path is None else read_mark(self._path)
        except LedgerError:
            if not after_restore:
                raise
            beside = None
        with self.reading() as connection:
            own = mark_of(connection)
        if not after_restore:
            demand_newest(own, beside, delivered, self.name)
            if self.locked:
                self._mark, self._written = own, beside
            return
        with self.reading() as connection:
            raised = above_all(connection, own, beside, delivered)
        if not self.locked:
            self.restored = raised
            return
        with self.writing() as connection:
            raise_to(connection, raised)
            self._mark = raised

    def empty_log(self) -> None:
        """Write SQLite's file anew and empty its log, so that what was erased is nowhere.

        Raises TryAgainError where another program still reads what was erased.
        """
        raw = self._connection.connection.driver_connection
        if not self.is_sqlite or raw is None:
            return
        try:
            raw.execute("VACUUM")
            (busy, _, _) = raw.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        except sqlite3.Error as error:
            raise from_sqlite(error, self.name) from None
        if busy:
            raise TryAgainError(
                f"{self.name}: it is erased, but another program still reads the ledger, and its "
                "log keeps it until then; run again when that program is done"
            )

    def close(self) -> None:
        """Close the connection; an advisory lock goes with it."""
        self._connection.close()
        self._engine.dispose()

    def __enter__(self) -> Self:
        """Return the ledger itself; it is open already."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close."""
        self.close()


@contextmanager
def open_ledger(
    url: str, *, lock: bool, after_restore: bool = False, outbox: Path | None = None
) -> Iterator[Ledger]:
    """Open the ledger at `url`; with `lock` as its one writer, whose schema is brought up to date.

    Without `lock` nothing is changed, and the writer may be at work.  `after_restore` takes an
    older copy that was put back, and with `lock` raises it above all that may have been used.
    `outbox` is where the folder delivery's batches lie, which tell of an older copy, too.
    Raises LedgerError where it is missing, damaged, older than its mark, newer than this program or
    no ledger, TryAgainError where another run holds the lock or the server is down.
    """
    parsed = make_url(url)
    with ExitStack() as stack:
        if is_sqlite(parsed):
            engine = stack.enter_context(_file(path_of(parsed), lock=lock))
        else:
            engine = server_engine(parsed)
        ledger = stack.enter_context(_connected(engine, parsed, locked=lock))
        if lock:
            ledger.lock()
        with _damage_told(ledger):
            _checked(ledger)
            ledger.begin_marking(after_restore=after_restore, outbox=outbox)
            yield ledger


@contextmanager
def _damage_told(ledger: Ledger) -> Iterator[None]:
    """Where something failed in a way that nobody foresaw, look whether damaged rows are why."""
    try:
        yield
    except InvitesError:
        raise
    except Exception:
        ledger.demand_sound()
        raise


@contextmanager
def _file(path: Path, *, lock: bool) -> Iterator[Engine]:
    if not path.is_file() or path.stat().st_size == 0:
        raise missing(str(path))
    demand_ours(path)
    if not lock:
        yield sqlite_engine(path, writes=False)
        return
    with file_lock(path):
        make_private(path)
        yield sqlite_engine(path, writes=True)


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
    except UnicodeDecodeError:  # SQLite's own words of a schema that is no text any more
        engine.dispose()
        raise damaged(named(url), "its schema") from None
    with ledger:
        yield ledger


def _checked(ledger: Ledger) -> None:
    """Bring an older schema up to date, or for a reader as far as its transaction lasts."""
    with ledger.reading() as connection:
        if not inspect(connection).has_table(schema.meta.name):
            raise missing(ledger.name)
        version = migrations.version_of(connection, ledger.name)
    if version == schema.SCHEMA_VERSION:
        ledger.keep_checksums()
        return
    if not ledger.locked:
        raise LedgerError(
            f"{ledger.name}: found schema version {version}, expected {schema.SCHEMA_VERSION}; "
            'the next "invites send" or "invites run" brings it up to date'
        )
    with ledger.migrating() as connection:
        migrations.migrate(connection, version)
    ledger.keep_checksums()
