"""The schema's versions: a new ledger gets the present one, an older one is brought there.

Each step has DDL of its own that never changes again; it runs in one transaction with the others.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from types import MappingProxyType

from sqlalchemy import Connection, insert, inspect, select, text, update

from invites.errors import LedgerError
from invites.ledger import checksums, schema

FORGET_KEY_OCTETS = 32
LEDGER_ID_OCTETS = 16


def create_tables(connection: Connection) -> None:
    """Make the tables of the present version in an empty database."""
    schema.metadata.create_all(connection)
    if connection.dialect.name == "sqlite":
        checksums.keep(connection)
    connection.execute(
        insert(schema.meta),
        [
            {"name": "schema_version", "value": str(schema.SCHEMA_VERSION)},
            {"name": "forget_key", "value": secrets.token_hex(FORGET_KEY_OCTETS)},
            *_own_facts(),
        ],
    )


def _own_facts() -> list[dict[str, str]]:
    """Return what `ledger.mark` tells one ledger from another by, and a state from an older one."""
    return [
        {"name": "ledger_id", "value": secrets.token_hex(LEDGER_ID_OCTETS)},
        {"name": "generation", "value": "0"},
    ]


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
    if connection.dialect.name == "sqlite":
        checksums.fill(connection)


def _to_1(connection: Connection) -> None:
    """Version 0 had no jobs and no reminders."""
    schema.metadata.create_all(connection, tables=list(schema.NIGHTLY_TABLES), checkfirst=True)


def _to_2(connection: Connection) -> None:
    """Version 1 did not count the copies of a message without an answer."""
    connection.execute(text("ALTER TABLE invitations ADD COLUMN copies INTEGER DEFAULT 0 NOT NULL"))


def _to_3(connection: Connection) -> None:
    """Version 2 had no checksums, and nothing to tell an older copy of it by."""
    for table in checksums.CHECKED:
        if "checksum" not in {
            column["name"] for column in inspect(connection).get_columns(table.name)
        }:
            connection.exec_driver_sql(f"ALTER TABLE {table.name} ADD COLUMN checksum BIGINT")
    connection.execute(insert(schema.meta), _own_facts())


STEPS: Mapping[int, Callable[[Connection], None]] = MappingProxyType({0: _to_1, 1: _to_2, 2: _to_3})
"""By the version that a step starts from."""
