"""A checksum in each row that decides who gets what, so that a flipped bit never becomes a message.

A database notices damage to its own structure, not to the values in it.
The sums are kept by triggers, whichever statement writes, and only for this program's connections:
a value that was changed by hand no longer fits its sum.  SQLite's triggers are the connection's own
(TEMP: the file holds none), PostgreSQL's look for a setting of the session.
What is over (`past_invitations`) grows with the years and is looked at where it is read; `messages`
is a log, and has no sums.
"""

from __future__ import annotations

import json
import sqlite3
import zlib

from sqlalchemy import ColumnElement, Connection, Table, literal_column
from sqlalchemy.exc import DBAPIError

from invites.ledger import schema

CHECKSUM = "invites_checksum"

KEPT = tuple(table for table in schema.metadata.sorted_tables if "checksum" in table.c)
"""All tables whose rows have a sum."""

_GROWING = (schema.meetings, schema.shared_facts, schema.past_invitations, schema.runs)
"""What grows with the history: never looked at as a whole."""

_IN_USE = {
    schema.meetings: ("id", "SELECT meeting_id AS key FROM invitations GROUP BY meeting_id"),
    schema.shared_facts: (
        "digest",
        (
            "SELECT standing_facts AS key FROM invitations WHERE standing_facts IS NOT NULL "
            "UNION SELECT pending_facts FROM invitations WHERE pending_facts IS NOT NULL"
        ),
    ),
}
"""The rows of growing tables that live invitations need: by which column, and its values."""


def add_function(connection: sqlite3.Connection) -> None:
    """Give a connection of SQLite's the function that the sums are made with."""
    connection.create_function(CHECKSUM, -1, _sum, deterministic=True)


def _sum(*values: str | int | None) -> int:
    """Return a row's sum; JSON tells text from numbers, and is the same in each Python.

    Raises TypeError for octets, which no column has: a type that was flipped.
    """
    return zlib.crc32(json.dumps(values, ensure_ascii=False).encode())


def _columns(table: Table) -> list[str]:
    return [column.name for column in table.c if column.name != "checksum"]


def _call(table: Table, of: str, *, sqlite: bool) -> str:
    """Return the SQL for the sum of a row that is named `of`."""
    columns = ", ".join(f"{of}.{name}" for name in _columns(table))
    if sqlite:
        return f"{CHECKSUM}({columns})"
    octets = f"sha256(convert_to(ROW({columns})::text, 'UTF8'))"
    return f"('x' || left(encode({octets}, 'hex'), 15))::bit(60)::bigint"


def is_wrong(table: Table, connection: Connection) -> ColumnElement[bool]:
    """Return the condition for a row of `table` that is not what was written."""
    name, sqlite = table.name, connection.dialect.name == "sqlite"
    differs = "IS NOT" if sqlite else "IS DISTINCT FROM"
    return literal_column(f"{name}.checksum {differs} {_call(table, name, sqlite=sqlite)}")


def keep(connection: Connection) -> None:
    """Let this connection write each row's sum with the row."""
    if connection.dialect.name != "sqlite":
        connection.exec_driver_sql(f"SELECT set_config('{_SETTING}', 'on', false)")
        return
    for table in KEPT:
        written = ", ".join(_columns(table))
        for event in ("INSERT", f"UPDATE OF {written}"):
            name = f"{CHECKSUM}_{table.name}_{event[:6].lower()}"
            connection.exec_driver_sql(
                f"CREATE TEMP TRIGGER {name} AFTER {event} ON main.{table.name} BEGIN "  # noqa: S608 - names of ours
                f"UPDATE {table.name} SET checksum = {_call(table, 'NEW', sqlite=True)} "
                "WHERE rowid = NEW.rowid; END"
            )


_SETTING = "invites.keeps_checksums"


def add_triggers(connection: Connection) -> None:
    """Give PostgreSQL's tables the triggers that keep the sums; SQLite's come with `keep`."""
    if connection.dialect.name == "sqlite":
        return
    for table in KEPT:
        name = f"{CHECKSUM}_{table.name}"
        connection.exec_driver_sql(
            f"CREATE OR REPLACE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
            f"NEW.checksum := {_call(table, 'NEW', sqlite=False)}; RETURN NEW; END $$"
        )
        connection.exec_driver_sql(f"DROP TRIGGER IF EXISTS {name} ON {table.name}")
        connection.exec_driver_sql(
            f"CREATE TRIGGER {name} BEFORE INSERT OR UPDATE ON {table.name} FOR EACH ROW "
            f"WHEN (current_setting('{_SETTING}', true) = 'on') EXECUTE FUNCTION {name}()"
        )


def fill(connection: Connection) -> None:
    """Give their sums to rows that have none: those of an older version."""
    for table in KEPT:
        call = _call(table, table.name, sqlite=connection.dialect.name == "sqlite")
        connection.exec_driver_sql(f"UPDATE {table.name} SET checksum = {call}")  # noqa: S608 - names of ours


def damage(connection: Connection) -> str:
    """Return where what decides is not what was written, "" where it is.

    The cost is that of what is live, not of the history.
    """
    try:
        return _where_damaged(connection)
    except (DBAPIError, ValueError) as error:
        # What can't even be read: a type that was flipped, text that is no UTF-8, a page amiss.
        if isinstance(error, DBAPIError) and _is_elsewhere(error):
            raise
        return "its pages"


def _where_damaged(connection: Connection) -> str:
    sqlite = connection.dialect.name == "sqlite"
    for table in KEPT:
        if table in _GROWING:
            continue
        if sqlite:
            # More than quick_check, which leaves out whether an index names the table's rows.
            (said,) = connection.exec_driver_sql(f"PRAGMA integrity_check({table.name})").scalars()
            if said != "ok":
                return f"the table {table.name}"
        wrong = f"SELECT 1 FROM {table.name} WHERE {is_wrong(table, connection)} LIMIT 1"  # noqa: S608 - names of ours
        if connection.exec_driver_sql(wrong).first() is not None:
            return f"a row of {table.name}"
    for table, (column, used) in _IN_USE.items():
        missing_or_wrong = (
            f"SELECT 1 FROM ({used}) used LEFT JOIN {table.name} ON {table.name}.{column} = used.key "  # noqa: S608 - names of ours
            f"WHERE {table.name}.{column} IS NULL OR {is_wrong(table, connection)} LIMIT 1"
        )
        if connection.exec_driver_sql(missing_or_wrong).first() is not None:
            return f"a row of {table.name}"
    return ""


def _is_elsewhere(error: DBAPIError) -> bool:
    """Tell a lock, the disk or a lost connection from damage."""
    if not isinstance(error.orig, sqlite3.Error):
        return True
    name = getattr(error.orig, "sqlite_errorname", "")
    return name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED", "SQLITE_IOERR", "SQLITE_CANTOPEN"))
