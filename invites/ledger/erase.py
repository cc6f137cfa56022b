"""Erasing: a person who asks for it, and everybody once `keep` is over."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, ScalarSelect, delete, func, or_, select, update

from invites.errors import UsageError
from invites.identity import uid_of_edition
from invites.ledger.engine import Ledger
from invites.ledger.read import (
    ENTRY_COLUMNS,
    entry_from,
    forget_key,
    on_its_way_condition,
    standing_condition,
)
from invites.ledger.schema import (
    forgotten,
    invitations,
    meetings,
    messages,
    reminders,
    runs,
    shared_facts,
)
from invites.ledger.write import insert_into
from invites.planning.facts import meeting_facts_from
from invites.planning.state import Entry, forgotten_hash


@dataclass(frozen=True, slots=True, kw_only=True)
class Forgot:
    """How much was erased of a person."""

    invitations: int
    messages: int


def forget(ledger: Ledger, address: str, *, now: datetime) -> Forgot:
    """Erase everything about the person with this folded address.

    The highest SEQUENCE that the person has for each UID stays under a keyed hash, so that a later
    invitation is not taken for an old one.
    Raises UsageError while an invitation stands, a message is on its way, or the person is the host
    of a meeting that is still to come: then nothing is erased.
    """
    with ledger.writing() as connection:
        if ledger.is_sqlite:
            connection.exec_driver_sql("PRAGMA secure_delete = ON")
        _refuse(connection, address, now)
        _keep_sequences(connection, address)
        gone = connection.execute(delete(invitations).where(invitations.c.address == address))
        log = connection.execute(delete(messages).where(messages.c.address == address))
        connection.execute(delete(reminders).where(reminders.c.address == address))
        _forget_host(connection, address)
        forgot = Forgot(invitations=gone.rowcount, messages=log.rowcount)
    ledger.empty_log()
    return forgot


def _refuse(connection: Connection, address: str, now: datetime) -> None:
    mine = invitations.c.address == address
    standing = _meeting_ids(connection, mine, standing_condition(now))
    if standing:
        raise UsageError(
            f"an invitation stands for this person in {standing}; withdraw it first: take the "
            "person out of the roster and send"
        )
    expected = _meeting_ids(connection, mine, on_its_way_condition(now))
    if expected:
        raise UsageError(
            f"a run still has a message on its way to this person in {expected}; take the person "
            "out of the roster and send, then forget"
        )
    hosting = [name for name, over in _hosted(connection, address, now) if not over]
    if hosting:
        raise UsageError(
            f"this person is the host of {_listed(hosting)}; give the meeting another host and "
            "send, then forget"
        )


def _meeting_ids(connection: Connection, *conditions: object) -> str:
    statement = select(invitations.c.meeting_id).where(*conditions)  # type: ignore[arg-type]
    return _listed(list(connection.execute(statement.order_by("meeting_id")).scalars()))


def _listed(names: list[str]) -> str:
    shown = ", ".join(f'"{name}"' for name in names[:3])
    return f"{shown} and {len(names) - 3} more" if len(names) > 3 else shown


def _keep_sequences(connection: Connection, address: str) -> None:
    statement = (
        select(
            meetings.c.uid,
            invitations.c.standing_sequence,
            invitations.c.standing_end,
            shared_facts.c.facts,
            _highest_sent(address),
        )
        .join(meetings, meetings.c.id == invitations.c.meeting_id)
        .join(shared_facts, shared_facts.c.digest == invitations.c.standing_facts)
        .where(invitations.c.address == address, invitations.c.standing_kind.is_not(None))
    )
    key = forget_key(connection)
    rows = []
    for uid, sequence, end, facts, highest in connection.execute(statement):
        newest = meeting_facts_from(facts).edition
        for edition in range(newest + 1):
            # Of the UIDs that a former organizer's mailbox had, only the log knows, and no more
            # than the highest of all.
            kept = sequence if edition == newest else max(sequence, highest or 0)
            hashed = forgotten_hash(key, uid_of_edition(uid, edition), address)
            rows.append({"hash": hashed, "sequence": kept, "until": end})
    if not rows:
        return
    insert = insert_into(connection, forgotten)
    latest = func.max if connection.dialect.name == "sqlite" else func.greatest
    connection.execute(
        insert.on_conflict_do_update(
            index_elements=["hash"],
            set_={
                "sequence": latest(forgotten.c.sequence, insert.excluded.sequence),
                "until": latest(forgotten.c.until, insert.excluded.until),
            },
        ),
        rows,
    )


def _highest_sent(address: str) -> ScalarSelect[int]:
    """Return the highest SEQUENCE that the log has for a person, for each invitation's meeting."""
    return (
        select(func.max(messages.c.sequence))
        .where(messages.c.meeting_id == invitations.c.meeting_id, messages.c.address == address)
        .scalar_subquery()
    )


def _hosted(connection: Connection, address: str, now: datetime) -> list[tuple[str, bool]]:
    """Return the meetings whose host has this address, and whether each is over."""
    rows = connection.execute(select(shared_facts.c.facts)).scalars()
    facts = (json.loads(text) for text in rows if address in text.casefold())
    return [
        (one["id"], one["end"] <= now.timestamp())
        for one in facts
        if one["organizer_email"].casefold() == address
    ]


def _forget_host(connection: Connection, address: str) -> None:
    for digest, text in connection.execute(
        select(shared_facts.c.digest, shared_facts.c.facts)
    ).all():
        if address not in text.casefold():
            continue
        facts = json.loads(text)
        if facts["organizer_email"].casefold() != address:
            continue
        facts.update(organizer_name="", organizer_email="")
        connection.execute(
            update(shared_facts)
            .where(shared_facts.c.digest == digest)
            .values(facts=json.dumps(facts, ensure_ascii=False))
        )


def expire(ledger: Ledger, *, keep: timedelta, now: datetime) -> None:
    """Erase what is older than `keep`: meetings that ended, messages, runs and hashes."""
    before = int((now - keep).timestamp())
    with ledger.writing() as connection:
        connection.execute(
            delete(invitations).where(
                invitations.c.standing_end < before, invitations.c.pending_end < before
            )
        )
        connection.execute(delete(messages).where(messages.c.at < before))
        connection.execute(
            delete(runs).where(runs.c.started < before, runs.c.id.not_in(select(messages.c.run_id)))
        )
        connection.execute(delete(reminders).where(reminders.c.start < before))
        connection.execute(delete(forgotten).where(forgotten.c.until < before))
        connection.execute(
            delete(meetings).where(
                meetings.c.last_end < before,
                meetings.c.id.not_in(select(invitations.c.meeting_id)),
            )
        )
        _expire_shared_facts(connection)


def _expire_shared_facts(connection: Connection) -> None:
    used = select(invitations.c.standing_facts).where(invitations.c.standing_facts.is_not(None))
    coming = select(invitations.c.pending_facts).where(invitations.c.pending_facts.is_not(None))
    connection.execute(
        delete(shared_facts).where(
            ~or_(shared_facts.c.digest.in_(used), shared_facts.c.digest.in_(coming))
        )
    )


def entries_of(ledger: Ledger, address: str) -> tuple[Entry, ...]:
    """Return everything that the ledger has of one folded address, for who asks what is kept."""
    statement = select(*ENTRY_COLUMNS)
    with ledger.reading() as connection:
        rows = connection.execute(statement.where(invitations.c.address == address))
        return tuple(entry_from(row) for row in rows)
