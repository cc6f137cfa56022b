"""Moving a ledger, such as from SQLite to PostgreSQL: all rows, into a ledger that has none."""

from __future__ import annotations

from sqlalchemy import Connection, Table, delete, func, insert, select

from invites.errors import LedgerError
from invites.ledger.engine import create, exists, open_ledger
from invites.ledger.restore import highest_used, mark_of
from invites.ledger.schema import meta, metadata, runs

ROWS_AT_ONCE = 1000

OWN_FACTS = ("ledger_id", "generation")
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
            used = highest_used(writing, mark_of(writing))
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
