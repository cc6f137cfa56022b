"""An older copy of the ledger: how it is noticed, and how a run goes on with it all the same."""

from __future__ import annotations

from sqlalchemy import Connection, delete, func, insert, select, update

from invites.errors import LedgerError
from invites.ledger.mark import AFTER_RESTORE, HighWaterMark
from invites.ledger.schema import invitations, meta

BEYOND = 100
"""How much a restore raises SEQUENCE above the highest known, for what no mark knows of."""


def mark_of(connection: Connection) -> HighWaterMark:
    """Return the mark that this ledger's own rows ask for."""
    facts = {row[0]: row[1] for row in connection.execute(select(meta.c.name, meta.c.value))}
    return HighWaterMark(ledger=facts["ledger_id"], generation=int(facts["generation"]))


def highest_used(connection: Connection, mark: HighWaterMark) -> HighWaterMark:
    """Return the mark raised to the highest SEQUENCE and DTSTAMP that the ledger knows."""
    sequence, pending, dtstamp = connection.execute(
        select(
            func.coalesce(func.max(invitations.c.standing_sequence), 0),
            func.coalesce(func.max(invitations.c.pending_sequence), 0),
            func.coalesce(func.max(invitations.c.latest_dtstamp), 0),
        )
    ).one()
    return mark.raised(sequence=max(sequence, pending), dtstamp=dtstamp)


def demand_newest(own: HighWaterMark, beside: HighWaterMark | None, name: str) -> None:
    """Raise LedgerError where the ledger is not the one that the mark beside it knows."""
    if beside is None:
        return
    if beside.ledger != own.ledger:
        raise LedgerError(
            f"{name}: found another ledger than the one whose mark is beside it; put that one back; "
            f"{AFTER_RESTORE} belongs where this one is meant"
        )
    if own.generation < beside.generation:
        raise LedgerError(
            f"{name}: found the ledger as it was {beside.generation - own.generation} changes ago: "
            "an older copy was put back, or the end of its log (-wal) is lost; expected the latest; "
            f"put that one back; {AFTER_RESTORE} belongs where there is none"
        )


def raise_above(
    connection: Connection, own: HighWaterMark, beside: HighWaterMark | None
) -> HighWaterMark:
    """Raise all that the next messages go above, and return the mark that the ledger has then.

    SEQUENCE, DTSTAMP and the clock's last run go to the highest that the mark or the ledger knows;
    where the mark is no newer, or lost, they go BEYOND it, for nobody knows what was used.
    """
    known = highest_used(connection, own)
    newer = beside is not None and (
        beside.ledger != own.ledger or beside.generation > own.generation
    )
    if beside is not None:
        known = known.raised(sequence=beside.sequence, dtstamp=beside.dtstamp)
    sequence = known.sequence + (0 if newer else BEYOND)
    higher = func.max if connection.dialect.name == "sqlite" else func.greatest
    for kind, value in (
        (invitations.c.standing_kind, invitations.c.standing_sequence),
        (invitations.c.pending_kind, invitations.c.pending_sequence),
    ):
        connection.execute(
            update(invitations).where(kind.is_not(None)).values({value: higher(value, sequence)})
        )
    connection.execute(
        update(invitations).values(
            latest_dtstamp=higher(invitations.c.latest_dtstamp, known.dtstamp)
        )
    )
    connection.execute(delete(meta).where(meta.c.name == "sequence_floor"))
    connection.execute(insert(meta).values(name="sequence_floor", value=str(sequence)))
    generation = own.generation
    if beside is not None and beside.ledger == own.ledger:
        generation = max(generation, beside.generation)
    return HighWaterMark(
        ledger=own.ledger, generation=generation, sequence=sequence, dtstamp=known.dtstamp
    )
