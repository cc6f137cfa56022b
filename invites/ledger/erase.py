"""Erasing: a person who asks for it, and everybody once `keep` is over."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, ScalarSelect, Table, delete, func, select, union, update

from invites.errors import UsageError
from invites.ledger.engine import Ledger
from invites.ledger.read import (
    chunks,
    entry_columns,
    entry_from,
    forget_key,
    on_its_way_condition,
    standing_condition,
    stood_condition,
)
from invites.ledger.schema import (
    NOT_AT_REST,
    forgotten,
    invitations,
    meetings,
    messages,
    past_invitations,
    reminders,
    runs,
    shared_facts,
)
from invites.ledger.write import insert_into, move
from invites.planning.facts import meeting_facts_from
from invites.planning.state import Entry, State, forgotten_hash, uid_of_edition


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
        gone = 0
        for table in (invitations, past_invitations):
            _keep_sequences(connection, table, address)
            gone += connection.execute(delete(table).where(table.c.address == address)).rowcount
        log = connection.execute(delete(messages).where(messages.c.address == address))
        connection.execute(delete(reminders).where(reminders.c.address == address))
        _forget_host(connection, address)
        forgot = Forgot(invitations=gone, messages=log.rowcount)
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


def _keep_sequences(connection: Connection, table: Table, address: str) -> None:
    statement = (
        select(
            meetings.c.uid,
            table.c.standing_sequence,
            table.c.standing_end,
            shared_facts.c.facts,
            _highest_sent(table),
        )
        .join(meetings, meetings.c.id == table.c.meeting_id)
        .join(shared_facts, shared_facts.c.digest == table.c.standing_facts)
        .where(table.c.address == address, table.c.standing_kind.is_not(None))
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


def _highest_sent(table: Table) -> ScalarSelect[int]:
    """Return the highest SEQUENCE that the log has for each invitation."""
    mine = (messages.c.meeting_id == table.c.meeting_id, messages.c.address == table.c.address)
    return select(func.max(messages.c.sequence)).where(*mine).scalar_subquery()


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
    """Put aside what is over, and erase what has been over for `keep`.

    The cost is that of what is put aside and erased, not of what stays.
    """
    before = int((now - keep).timestamp())
    with ledger.writing() as connection:
        _erase_superseded_facts(connection)
        _put_aside(connection, now)
        over = select(meetings.c.id).where(meetings.c.last_end < before)
        for chunk in chunks(connection.execute(over).scalars().all()):
            for table, column in (
                (invitations, invitations.c.meeting_id),
                (past_invitations, past_invitations.c.meeting_id),
                (shared_facts, shared_facts.c.meeting_id),
                (meetings, meetings.c.id),
            ):
                connection.execute(delete(table).where(column.in_(chunk)))
        connection.execute(delete(messages).where(messages.c.at < before))
        has_messages = select(messages.c.run_id).where(messages.c.run_id == runs.c.id).exists()
        connection.execute(delete(runs).where(runs.c.started < before, ~has_messages))
        # The log has them, too; what was sent is asked for only of meetings to come.
        connection.execute(delete(reminders).where(reminders.c.start < int(now.timestamp())))
        connection.execute(delete(forgotten).where(forgotten.c.until < before))


def _put_aside(connection: Connection, now: datetime) -> None:
    """Move the invitations of meetings that are over to the past, but those still on their way."""
    live = connection.execute(select(invitations.c.meeting_id).distinct()).scalars().all()
    on_its_way = select(invitations.c.meeting_id).where(
        NOT_AT_REST, invitations.c.pending_state == State.SENDING
    )
    stood = (
        select(func.count())
        .where(invitations.c.meeting_id == meetings.c.id, stood_condition(invitations))
        .scalar_subquery()
    )
    for chunk in chunks(live):
        over = select(meetings.c.id).where(
            meetings.c.id.in_(chunk),
            meetings.c.last_end <= int(now.timestamp()),
            meetings.c.id.not_in(on_its_way),
        )
        if ids := connection.execute(over).scalars().all():
            connection.execute(update(meetings).where(meetings.c.id.in_(ids)).values(stood=stood))
            move(connection, invitations, past_invitations, invitations.c.meeting_id.in_(ids))


def _erase_superseded_facts(connection: Connection) -> None:
    """Erase what attendees of live meetings shared, and none has any more."""
    used = [
        select(column).where(column.is_not(None))
        for column in (invitations.c.standing_facts, invitations.c.pending_facts)
    ]
    connection.execute(
        delete(shared_facts).where(
            shared_facts.c.meeting_id.in_(select(invitations.c.meeting_id)),
            shared_facts.c.digest.not_in(union(*used)),
        )
    )


def entries_of(ledger: Ledger, address: str) -> tuple[Entry, ...]:
    """Return everything that the ledger has of one folded address, in the order of meetings."""
    with ledger.reading() as connection:
        rows = [
            row
            for table in (invitations, past_invitations)
            for row in connection.execute(
                select(*entry_columns(table)).where(table.c.address == address)
            )
        ]
    return tuple(sorted(map(entry_from, rows), key=lambda entry: entry.meeting_id))
