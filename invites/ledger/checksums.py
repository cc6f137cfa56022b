"""A checksum in each row of SQLite, so that a flipped bit never becomes a message.

SQLite notices damage to its own structure, not to the values in it.  The writer's connection has
triggers of its own (TEMP: the file holds none) that keep the sums, whichever statement writes.
PostgreSQL has checksums of its own (`initdb --data-checksums`).
"""

from __future__ import annotations

import json
import sqlite3
import zlib

from sqlalchemy import Connection, Table
from sqlalchemy.exc import DBAPIError

from invites.ledger import schema

CHECKSUM = "invites_checksum"

CHECKED = tuple(table for table in schema.metadata.sorted_tables if "checksum" in table.c)
"""All that decides who gets which message; `messages` is a log, and too long to be read each time."""


def add_function(connection: sqlite3.Connection) -> None:
    """Give a connection the function that the sums are made with."""
    connection.create_function(CHECKSUM, -1, _sum, deterministic=True)


def _sum(*values: str | int | None) -> int:
    """Return a row's sum; JSON tells text from numbers, and is the same in each Python.

    Raises TypeError for octets, which no column has: a type that was flipped.
    """
    return zlib.crc32(json.dumps(values, ensure_ascii=False).encode())


def _columns(table: Table) -> list[str]:
    return [column.name for column in table.c if column.name != "checksum"]


def _call(table: Table, prefix: str = "") -> str:
    return f"{CHECKSUM}({', '.join(prefix + name for name in _columns(table))})"


def keep(connection: Connection) -> None:
    """Let this connection write each row's sum with the row."""
    for table in CHECKED:
        written = ", ".join(_columns(table))
        for event in ("INSERT", f"UPDATE OF {written}"):
            name = f"{CHECKSUM}_{table.name}_{event[:6].lower()}"
            connection.exec_driver_sql(
                f"CREATE TEMP TRIGGER {name} AFTER {event} ON main.{table.name} BEGIN "  # noqa: S608 - names of ours
                f"UPDATE {table.name} SET checksum = {_call(table, 'NEW.')} "
                "WHERE rowid = NEW.rowid; END"
            )


def fill(connection: Connection) -> None:
    """Give their sums to rows that have none: those of an older version."""
    for table in CHECKED:
        connection.exec_driver_sql(f"UPDATE {table.name} SET checksum = {_call(table)}")  # noqa: S608 - names of ours


def damage(connection: Connection) -> str:
    """Return where the database is not what was written, "" where it is."""
    try:
        (said,) = connection.exec_driver_sql("PRAGMA quick_check(1)").scalars()
        if said != "ok":
            return "its pages"
        for table in CHECKED:
            # quick_check leaves out whether an index names the rows that the table has.
            (said,) = connection.exec_driver_sql(f"PRAGMA integrity_check({table.name})").scalars()
            if said != "ok":
                return f"the table {table.name}"
            wrong = f"SELECT 1 FROM {table.name} WHERE checksum IS NOT {_call(table)} LIMIT 1"  # noqa: S608 - names of ours
            if connection.exec_driver_sql(wrong).first() is not None:
                return f"a row of {table.name}"
    except (DBAPIError, ValueError) as error:
        # What can't even be read: a type that was flipped, text that is no UTF-8, a page amiss.
        if isinstance(error, DBAPIError) and _is_elsewhere(error):
            raise
        return "its pages"
    return ""


def _is_elsewhere(error: DBAPIError) -> bool:
    """Tell a lock or the disk from damage."""
    name = getattr(error.orig, "sqlite_errorname", "")
    return name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED", "SQLITE_IOERR", "SQLITE_CANTOPEN"))
