"""Making a ledger: a new one, or a copy of all that another has, such as in PostgreSQL."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection, Table, delete, func, insert, inspect, make_url, select
from sqlalchemy.exc import DBAPIError

from invites.errors import LedgerError
from invites.ledger import migrations
from invites.ledger.database import (
    is_sqlite,
    named,
    path_of,
    server_engine,
    sqlite_engine,
    translated,
)
from invites.ledger.engine import open_ledger
from invites.ledger.files import create_private
from invites.ledger.mark import above_all, mark_of, raise_to, read_mark, write_mark
from invites.ledger.schema import meta, metadata, runs


def create(url: str) -> None:
    """Make a new ledger where there is none.

    Raises LedgerError where there is one already, StorageError where it can't be written.
    """
    parsed = make_url(url)
    if is_sqlite(parsed):
        _create_file(path_of(parsed))
        return
    engine = server_engine(parsed)
    try:
        with engine.begin() as connection:
            if inspect(connection).has_table(meta.name):
                raise LedgerError(f"{named(parsed)}: there is a ledger already; nothing was done")
            migrations.create_tables(connection)
    except DBAPIError as error:
        raise translated(error, named(parsed)) from None
    finally:
        engine.dispose()


def _create_file(path: Path) -> None:
    """Make the file and its mark; above what a ledger that was here before may have sent."""
    try:
        earlier = read_mark(path)
    except LedgerError:
        earlier = None

    def fill(beside: Path) -> None:
        engine = sqlite_engine(beside, writes=False)
        try:
            with engine.begin() as connection:
                migrations.create_tables(connection)
                own = mark_of(connection)
                if earlier is not None and earlier.dtstamp:
                    own = above_all(connection, own, earlier)
                    raise_to(connection, own)
        except DBAPIError as error:
            raise translated(error, str(path)) from None
        finally:
            engine.dispose()
        if earlier is not None:
            write_mark(beside, own, durable=True)

    create_private(path, fill)


def exists(url: str) -> bool:
    """Tell whether there is a ledger at `url`; raises as `open_ledger` where it can't be known."""
    parsed = make_url(url)
    if is_sqlite(parsed):
        return path_of(parsed).is_file() and path_of(parsed).stat().st_size > 0
    engine = server_engine(parsed)
    try:
        with engine.connect() as connection:
            return inspect(connection).has_table(meta.name)
    except DBAPIError as error:
        raise translated(error, named(parsed)) from None
    finally:
        engine.dispose()


ROWS_AT_ONCE = 1000

OWN_FACTS = ("ledger_id", "mark")
"""What each ledger has of its own: the copy is told from what it was made of."""


def copy_ledger(source: str, target: str) -> int:
    """Copy everything from the ledger at url `source` to one at url `target`; returns the rows.

    Both are locked meanwhile.  The target is made if there is none; one that has seen a run is
    refused with LedgerError, and then nothing is written.
    """
    if not exists(target):
        create(target)
    copied = 0
    with open_ledger(source, lock=True) as old, open_ledger(target, lock=True) as new:
        old.demand_sound()
        with old.reading() as reading, new.writing() as writing:
            if writing.execute(select(func.count()).select_from(runs)).scalar_one():
                raise LedgerError(f"{new.name}: found runs, expected a ledger without any")
            writing.execute(delete(meta).where(meta.c.name.not_in(OWN_FACTS)))
            for table in metadata.sorted_tables:
                copied += _copy_table(table, reading, writing)
            used = mark_of(reading)
            new.will_use(sequence=used.sequence, dtstamp=used.dtstamp)
    return copied


def _copy_table(table: Table, reading: Connection, writing: Connection) -> int:
    rows_of = select(table)
    if table is meta:
        rows_of = rows_of.where(meta.c.name.not_in(OWN_FACTS))
    found, copied = reading.execute(rows_of).mappings(), 0
    while rows := found.fetchmany(ROWS_AT_ONCE):
        writing.execute(insert(table), [dict(row) for row in rows])
        copied += len(rows)
    return copied
