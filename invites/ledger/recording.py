"""What a run writes down: its plan before anything goes out, and each message before and after.

planned -> sending -> sent | deferred | failed | unknown; each function is one transaction, durable
when it returns.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, Table, bindparam, case, func, update
from sqlalchemy.dialects import postgresql, sqlite

from invites.core.facts import attendee_json
from invites.core.model import Kind, Revision
from invites.core.plan_actions import Action, Drop, Mark, Plan
from invites.core.plan_revisions import changes_json
from invites.core.plan_state import NOTHING_PENDING, State
from invites.ledger.answers import kept_answer
from invites.ledger.engine import Ledger
from invites.ledger.schema import invitations, meetings, messages, shared_facts


class Key(NamedTuple):
    """What names one message of a run."""

    meeting_id: str
    address: str
    kind: Kind

    @classmethod
    def of(cls, action: Action) -> Key:
        """Return the key of a plan's action."""
        return cls(action.facts.id, action.attendee.address, action.revision.kind)


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What became of one message; `next_attempt` (aware) for a deferred one."""

    key: Key
    state: State
    answer: str = ""
    next_attempt: datetime | None = None


def insert_into(connection: Connection, table: Table) -> sqlite.Insert | postgresql.Insert:
    """Return the INSERT of this database's dialect, which knows ON CONFLICT."""
    if connection.dialect.name == "sqlite":
        return sqlite.insert(table)
    return postgresql.insert(table)


def record_plan(ledger: Ledger, plan: Plan) -> None:
    """Write down all that a run is going to do, and what it counted, before it does anything.

    Raises StorageError where the disk is full: noticed before the first message.
    """
    with ledger.writing() as connection:
        if plan.actions:
            _add_meetings(connection, plan)
            _add_shared_facts(connection, plan.actions)
            _add_pending(connection, plan.actions)
        _drop(connection, plan.dropped)
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
            set_={"last_end": latest(meetings.c.last_end, insert.excluded.last_end)},
        ),
        list(rows.values()),
    )


def _add_shared_facts(connection: Connection, actions: Sequence[Action]) -> None:
    facts = {id(action.facts): action.facts for action in actions}
    rows = {one.content_digest: one.as_json() for one in facts.values()}
    connection.execute(
        insert_into(connection, shared_facts).on_conflict_do_nothing(index_elements=["digest"]),
        [{"digest": digest, "facts": text} for digest, text in rows.items()],
    )


_PENDING = tuple(column.name for column in invitations.c if column.name.startswith("pending_"))


def _add_pending(connection: Connection, actions: Sequence[Action]) -> None:
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
    connection.execute(statement, [_pending_row(action, content) for action in actions])


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
        "pending_message_id": None,
        "latest_dtstamp": stamp,
    }


def _drop(connection: Connection, dropped: Sequence[Drop]) -> None:
    """Forget a revision that nobody got; with it goes an attendee who never got any."""
    if not dropped:
        return
    rows = [{"b_meeting": drop.meeting_id, "b_address": drop.address} for drop in dropped]
    connection.execute(update(invitations).where(*_THIS_ONE).values(**NOTHING_PENDING), rows)


def _mark(connection: Connection, marks: Sequence[Mark]) -> None:
    for table, chosen in (
        (meetings, [mark for mark in marks if mark.address is None]),
        (invitations, [mark for mark in marks if mark.address is not None]),
    ):
        if not chosen:
            continue
        where = [meetings.c.id == bindparam("b_meeting")] if table is meetings else _THIS_ONE
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


_THIS_ONE = (
    invitations.c.meeting_id == bindparam("b_meeting"),
    invitations.c.address == bindparam("b_address"),
)

_STANDS_NOW = {
    name: invitations.c[name.replace("standing_", "pending_")]
    for name in (column.name for column in invitations.c)
    if name.startswith("standing_") and name != "standing_state"
}
"""What was on its way takes the place of what stood."""

_FIRST = case(
    (
        invitations.c.first_message_id.is_(None)
        & (
            (invitations.c.pending_kind == Kind.INVITATION.value)
            | (invitations.c.pending_kind == Kind.UPDATE.value)
        ),
        invitations.c.pending_message_id,
    ),
    else_=invitations.c.first_message_id,
)


class Notes:
    """Writes down, for one run, what may leave now and what became of it."""

    def __init__(self, ledger: Ledger, run_id: str, actions: Sequence[Action]) -> None:
        """`actions` are the plan's, written down before with `record_plan`."""
        self._ledger = ledger
        self._run_id = run_id
        self._revisions = {Key.of(action): action.revision for action in actions}

    def note(self, *, results: Sequence[Result], sending: Mapping[Key, str], now: datetime) -> None:
        """Make durable in one transaction: these messages ended so, and these may leave now.

        `sending` gives the Message-ID of each.  Raises StorageError, and then nothing may leave.
        """
        with self._ledger.writing() as connection:
            if results:
                self._results(connection, results, now)
            if sending:
                self._sending(connection, sending, now)

    def _sending(self, connection: Connection, sending: Mapping[Key, str], now: datetime) -> None:
        connection.execute(
            update(invitations)
            .where(*_THIS_ONE)
            .values(
                pending_state=State.SENDING.value, pending_message_id=bindparam("b_message_id")
            ),
            [
                {
                    "b_meeting": key.meeting_id,
                    "b_address": key.address,
                    "b_message_id": message_id,
                }
                for key, message_id in sending.items()
            ],
        )
        self._messages(
            connection,
            [
                self._row(key, State.SENDING, now) | {"message_id": message_id}
                for key, message_id in sending.items()
            ],
        )

    def _results(self, connection: Connection, results: Sequence[Result], now: datetime) -> None:
        for state in {result.state for result in results}:
            record_state(connection, state, [one for one in results if one.state is state], now)
        self._messages(
            connection,
            [
                self._row(result.key, result.state, now) | {"answer": kept_answer(result.answer)}
                for result in results
            ],
        )

    def _row(self, key: Key, state: State, now: datetime) -> dict[str, Any]:
        revision: Revision = self._revisions[key]
        return {
            "run_id": self._run_id,
            "meeting_id": key.meeting_id,
            "address": key.address,
            "kind": key.kind.value,
            "sequence": revision.sequence,
            "dtstamp": int(revision.dtstamp.timestamp()),
            "message_id": None,
            "state": state.value,
            "answer": None,
            "at": int(now.timestamp()),
        }

    @staticmethod
    def _messages(connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
        insert = insert_into(connection, messages)
        connection.execute(
            insert.on_conflict_do_update(
                index_elements=["run_id", "meeting_id", "address", "kind"],
                set_={
                    "state": insert.excluded.state,
                    "answer": insert.excluded.answer,
                    "at": insert.excluded.at,
                    "message_id": func.coalesce(insert.excluded.message_id, messages.c.message_id),
                },
            ),
            list(rows),
        )


def record_state(
    connection: Connection, state: State, results: Sequence[Result], now: datetime
) -> None:
    """Move these invitations to `state`: what was, or may have been, sent stands from now on."""
    rows = [
        {
            "b_meeting": result.key.meeting_id,
            "b_address": result.key.address,
            "b_next": int(result.next_attempt.timestamp()) if result.next_attempt else 0,
        }
        for result in results
    ]
    statement = update(invitations).where(*_THIS_ONE)
    match state:
        case State.SENT | State.UNKNOWN:
            statement = statement.where(invitations.c.pending_kind.is_not(None)).values(
                **dict(NOTHING_PENDING)
                | _STANDS_NOW
                | {
                    "standing_state": state.value,
                    "first_message_id": _FIRST,
                    "sent_at": int(now.timestamp()),
                }
            )
        case State.DEFERRED | State.FAILED:
            statement = statement.values(
                pending_state=state.value,
                attempts=invitations.c.attempts + 1,
                next_attempt=bindparam("b_next"),
            )
        case _:
            statement = statement.values(pending_state=state.value)
    connection.execute(statement, rows)
