"""What a run writes down: its plan before anything goes out, and each message before and after.

planned -> sending -> sent | deferred | failed | unknown; each function is one transaction, durable
when it returns.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import islice
from operator import itemgetter
from typing import Any, Final, NamedTuple

from sqlalchemy import (
    ColumnElement,
    Connection,
    Table,
    bindparam,
    case,
    delete,
    func,
    select,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine.interfaces import Dialect
from sqlalchemy.sql import Delete, Insert, Update

from invites.invitation import Kind
from invites.ledger.engine import Ledger
from invites.ledger.read import chunks
from invites.ledger.schema import (
    invitations,
    meetings,
    past_invitations,
    refuse_unkept,
    shared_facts,
)
from invites.planning.actions import Action, Drop, Mark, Plan
from invites.planning.changes import changes_json
from invites.planning.facts import attendee_json
from invites.planning.state import State


class Key(NamedTuple):
    """What names one message of a run."""

    meeting_id: str
    address: str
    kind: Kind

    @classmethod
    def of(cls, action: Action) -> Key:
        """Return the key of a plan's action."""
        return cls(action.facts.id, action.attendee.address, action.revision.kind)


def insert_into(connection: Connection, table: Table) -> sqlite.Insert | postgresql.Insert:
    """Return the INSERT of this database's dialect, which knows ON CONFLICT."""
    return insert_for(connection.dialect, table)


def insert_for(dialect: Dialect, table: Table) -> sqlite.Insert | postgresql.Insert:
    """Return the INSERT of a dialect, which knows ON CONFLICT."""
    return sqlite.insert(table) if dialect.name == "sqlite" else postgresql.insert(table)


def record_plan(ledger: Ledger, plan: Plan) -> None:
    """Write down all that a run is going to do, and what it counted, before it does anything.

    Raises StorageError where the disk is full: noticed before the first message.
    """
    with ledger.writing() as connection:
        # First what nobody is to get any more: a message that is repeated takes its place, as when
        # a CANCEL without an answer is told again and the REQUEST that would have followed is not.
        _drop(connection, plan.dropped)
        if plan.actions:
            _add_meetings(connection, plan)
            _bring_back(connection, {action.facts.id for action in plan.actions})
            _add_shared_facts(connection, plan.actions)
            _add_pending(ledger, connection, plan.actions)
        _mark(connection, plan.marks)


def _add_meetings(connection: Connection, plan: Plan) -> None:
    rows = {
        action.facts.id: {
            "id": action.facts.id,
            "scope": plan.scope,
            "uid": action.uid,
            "last_end": int(action.facts.end.timestamp()),
        }
        for action in plan.actions
    }
    insert = insert_into(connection, meetings)
    latest = func.max if connection.dialect.name == "sqlite" else func.greatest
    connection.execute(
        insert.on_conflict_do_update(
            index_elements=["id"],
            set_={
                "last_end": latest(meetings.c.last_end, insert.excluded.last_end),
                "stood": 0,
            },
        ),
        list(rows.values()),
    )


def _bring_back(connection: Connection, meeting_ids: Collection[str]) -> None:
    """Let the invitations of meetings that were over, and are not any more, be live again."""
    for chunk in chunks(meeting_ids):
        these = past_invitations.c.meeting_id.in_(chunk)
        move(connection, past_invitations, invitations, these)


def move(connection: Connection, old: Table, new: Table, these: ColumnElement[bool]) -> None:
    """Move rows of invitations from one table to the other."""
    names = [column.name for column in old.c]
    connection.execute(new.insert().from_select(names, select(old).where(these)))
    connection.execute(delete(old).where(these))


def _add_shared_facts(connection: Connection, actions: Sequence[Action]) -> None:
    facts = {id(action.facts): action.facts for action in actions}
    rows = {one.content_digest: one for one in facts.values()}
    connection.execute(
        insert_into(connection, shared_facts).on_conflict_do_nothing(index_elements=["digest"]),
        [
            {"digest": digest, "facts": one.as_json(), "meeting_id": one.id}
            for digest, one in rows.items()
        ],
    )


NOTHING_PENDING: Mapping[str, str | int | None] = {
    **{
        column.name: None if column.nullable else 0
        for column in invitations.c
        if column.name.startswith("pending_")
    },
    "attempts": 0,
    "next_attempt": 0,
}
"""The columns of an entry with nothing under way."""
_PENDING = tuple(column.name for column in invitations.c if column.name.startswith("pending_"))


def _add_pending(ledger: Ledger, connection: Connection, actions: Sequence[Action]) -> None:
    digests = {id(action.facts): action.facts for action in actions}
    content = {key: facts.content_digest for key, facts in digests.items()}
    insert = insert_into(connection, invitations)
    latest = func.max if connection.dialect.name == "sqlite" else func.greatest
    fresh = {name: insert.excluded[name] for name in _PENDING}
    same = (invitations.c.pending_dtstamp == insert.excluded.pending_dtstamp) & (
        invitations.c.pending_kind == insert.excluded.pending_kind
    )
    statement = insert.on_conflict_do_update(
        index_elements=["meeting_id", "address"],
        set_={
            **fresh,
            "attempts": case((same, invitations.c.attempts), else_=0),
            "latest_dtstamp": latest(invitations.c.latest_dtstamp, insert.excluded.latest_dtstamp),
        },
    )
    ledger.will_use(
        sequence=max(action.revision.sequence for action in actions),
        dtstamp=max(int(action.revision.dtstamp.timestamp()) for action in actions),
    )
    names = _pending_row(actions[0], content)
    rows = (_pending_row(action, content) for action in actions)
    Bulk(statement, names, connection.dialect).execute(connection, rows)


def _pending_row(action: Action, content: Mapping[int, str]) -> dict[str, Any]:
    stamp = int(action.revision.dtstamp.timestamp())
    return {
        "meeting_id": action.facts.id,
        "address": action.attendee.address,
        "pending_kind": action.revision.kind.value,
        "pending_sequence": action.revision.sequence,
        "pending_dtstamp": stamp,
        "pending_state": State.PLANNED.value,
        "pending_digest": action.draft.digest,
        "pending_facts": content[id(action.facts)],
        "pending_attendee": attendee_json(action.attendee),
        "pending_changes": changes_json(action.changes),
        "pending_start": int(action.facts.start.timestamp()),
        "pending_end": int(action.facts.end.timestamp()),
        "pending_date": date_written(action),
        "pending_message_id": None,
        "latest_dtstamp": stamp,
    }


def date_written(action: Action) -> int | None:
    """Return the original start of the one date that a message is about, None for all of them."""
    date = action.revision.date
    return None if date is None else int(date.timestamp())


def _drop(connection: Connection, dropped: Sequence[Drop]) -> None:
    """Forget a revision that nobody got; with it goes an attendee who never got any."""
    if not dropped:
        return
    rows = [{"b_meeting": drop.meeting_id, "b_address": drop.address} for drop in dropped]
    connection.execute(update(invitations).where(*THIS_ONE).values(**NOTHING_PENDING), rows)


def _mark(connection: Connection, marks: Sequence[Mark]) -> None:
    for table, chosen in (
        (meetings, [mark for mark in marks if mark.address is None]),
        (invitations, [mark for mark in marks if mark.address is not None]),
    ):
        if not chosen:
            continue
        where = [meetings.c.id == bindparam("b_meeting")] if table is meetings else THIS_ONE
        connection.execute(
            update(table)
            .where(*where)
            .values(
                missing_times=bindparam("b_times"),
                missing_at=bindparam("b_at"),
                missing_due=bindparam("b_due"),
            ),
            [
                {
                    "b_meeting": mark.meeting_id,
                    "b_address": mark.address,
                    "b_times": mark.missing.times,
                    "b_at": mark.missing.at,
                    "b_due": mark.missing.due,
                }
                for mark in chosen
            ],
        )


THIS_ONE = (
    invitations.c.meeting_id == bindparam("b_meeting"),
    invitations.c.address == bindparam("b_address"),
)


ROWS_AT_ONCE: Final = 1_000
"""Rows that a statement for many gets in one go."""


class Bulk:
    """A statement for many rows, each a mapping of all `names` to values."""

    def __init__(
        self, statement: Insert | Update | Delete, names: Iterable[str], dialect: Dialect
    ) -> None:
        """`names` are the columns of an insert, or the bind parameters of another statement."""
        columns = list(names) if isinstance(statement, Insert) else None
        compiled = statement.compile(dialect=dialect, column_keys=columns)
        self._text = str(compiled)
        self._fixed = dict(compiled.params)
        order: Sequence[str] | None = getattr(compiled, "positiontup", None)
        self._values = itemgetter(*order) if order else None

    def execute(self, connection: Connection, rows: Iterable[Mapping[str, Any]]) -> None:
        """Execute the statement for each row; raises StorageError for text that can't be kept.

        Only some of the rows are in memory at one time, where `rows` makes them as it goes.
        """
        each = iter(rows)
        while some := [{**self._fixed, **row} for row in islice(each, ROWS_AT_ONCE)]:
            for row in some:
                for value in row.values():
                    if isinstance(value, str):
                        refuse_unkept(value)
            if self._values is None:
                connection.exec_driver_sql(self._text, some)
            else:
                connection.exec_driver_sql(self._text, [self._values(row) for row in some])
