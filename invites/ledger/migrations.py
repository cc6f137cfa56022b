"""The schema's versions: a new ledger gets the present one, an older one is brought there.

Each step has DDL of its own that never changes again; it runs in one transaction with the others.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from types import MappingProxyType

from sqlalchemy import Connection, Table, insert, inspect, select, text, update

from invites.errors import LedgerError
from invites.ledger import checksums, schema
from invites.ledger.mark import HighWaterMark, highest_used

FORGET_KEY_OCTETS = 32
LEDGER_ID_OCTETS = 16


def create_tables(connection: Connection) -> None:
    """Make the tables of the present version in an empty database."""
    schema.metadata.create_all(connection)
    checksums.add_triggers(connection)
    checksums.keep(connection)
    connection.execute(
        insert(schema.meta),
        [
            {"name": "schema_version", "value": str(schema.SCHEMA_VERSION)},
            {"name": "forget_key", "value": secrets.token_hex(FORGET_KEY_OCTETS)},
            {"name": "ledger_id", "value": secrets.token_hex(LEDGER_ID_OCTETS)},
            {"name": "mark", "value": "0 0 0"},
        ],
    )


def version_of(connection: Connection, name: str) -> int:
    """Return the ledger's schema version; raises LedgerError where this program can't know it."""
    found = connection.execute(
        select(schema.meta.c.value).where(schema.meta.c.name == "schema_version")
    ).scalar_one_or_none()
    if found is None or not found.isdigit():
        raise LedgerError(f"{name}: found no schema version, expected a ledger of this program")
    version = int(found)
    if version > schema.SCHEMA_VERSION:
        raise LedgerError(
            f"{name}: found schema version {version}, expected at most {schema.SCHEMA_VERSION}; "
            "a newer version of this program wrote it: install that one"
        )
    return version


def migrate(connection: Connection, version: int) -> None:
    """Bring a ledger from `version` to the present one, within the caller's transaction."""
    for step in range(version, schema.SCHEMA_VERSION):
        STEPS[step](connection)
    connection.execute(
        update(schema.meta)
        .where(schema.meta.c.name == "schema_version")
        .values(value=str(schema.SCHEMA_VERSION))
    )
    checksums.add_triggers(connection)
    checksums.fill(connection)


def _to_1(connection: Connection) -> None:
    """Version 0 had no jobs and no reminders."""
    schema.metadata.create_all(connection, tables=list(schema.NIGHTLY_TABLES), checkfirst=True)


def _to_2(connection: Connection) -> None:
    """Version 1 did not count the copies of a message without an answer."""
    connection.execute(text("ALTER TABLE invitations ADD COLUMN copies INTEGER DEFAULT 0 NOT NULL"))


def _to_3(connection: Connection) -> None:
    """Version 2 had no checksums, and nothing to tell an older copy of it by."""
    for table in checksums.KEPT:
        is_later = table is schema.past_invitations
        if not is_later and "checksum" not in _columns(connection, table):
            connection.exec_driver_sql(f"ALTER TABLE {table.name} ADD COLUMN checksum BIGINT")
    connection.execute(
        insert(schema.meta),
        [
            {"name": "ledger_id", "value": secrets.token_hex(LEDGER_ID_OCTETS)},
            {"name": "generation", "value": "0"},
        ],
    )


def _columns(connection: Connection, table: Table) -> set[str]:
    return {column["name"] for column in inspect(connection).get_columns(table.name)}


def _to_4(connection: Connection) -> None:
    """Version 3 read all of its history at each run, and had its highest SEQUENCE to look for."""
    for changed, column in (
        ("meetings", "stood INTEGER DEFAULT 0 NOT NULL"),
        ("shared_facts", "meeting_id TEXT DEFAULT '' NOT NULL"),
    ):
        connection.exec_driver_sql(f"ALTER TABLE {changed} ADD COLUMN {column}")
    field = "facts ->> '$.id'" if connection.dialect.name == "sqlite" else "facts::json ->> 'id'"
    connection.exec_driver_sql(f"UPDATE shared_facts SET meeting_id = {field}")  # noqa: S608 - ours
    schema.past_invitations.create(connection)
    connection.exec_driver_sql("DROP INDEX IF EXISTS meetings_by_scope")
    for table in schema.metadata.sorted_tables:
        for index in table.indexes:
            index.create(connection, checkfirst=True)
    generation = connection.execute(
        select(schema.meta.c.value).where(schema.meta.c.name == "generation")
    ).scalar_one()
    used = highest_used(connection, HighWaterMark(ledger="", generation=int(generation)))
    connection.execute(
        update(schema.meta)
        .where(schema.meta.c.name == "generation")
        .values(name="mark", value=used.value())
    )


def _to_5(connection: Connection) -> None:
    """Version 4 knew no message about one date of a series alone."""
    for table in (schema.invitations, schema.past_invitations):
        there = _columns(connection, table)  # of `past_invitations`, made by the step before, all
        for column in ("standing_date", "pending_date"):
            if column not in there:
                connection.exec_driver_sql(f"ALTER TABLE {table.name} ADD COLUMN {column} BIGINT")
    connection.exec_driver_sql("ALTER TABLE messages ADD COLUMN date BIGINT")


STEPS: Mapping[int, Callable[[Connection], None]] = MappingProxyType(
    {0: _to_1, 1: _to_2, 2: _to_3, 3: _to_4, 4: _to_5}
)
"""By the version that a step starts from."""
