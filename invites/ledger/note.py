"""What a run writes down about each message, before it can leave and after.

planned -> sending -> sent | deferred | failed | unknown; each call is one transaction, durable when
it returns.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Update,
    bindparam,
    case,
    delete,
    func,
    literal_column,
    null,
    or_,
    select,
    update,
)
from sqlalchemy.engine.interfaces import Dialect

from invites.ledger.engine import Ledger
from invites.ledger.schema import invitations, messages, meta
from invites.ledger.write import NOTHING_PENDING, THIS_ONE, Bulk, Key, date_written, insert_for
from invites.planning.actions import Action
from invites.planning.state import INVITING, State


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What became of one message; `next_attempt` (aware) for one that is to be tried again.

    `answer` is one line without links, tokens and secrets: the delivery masked it.
    """

    key: Key
    state: State
    answer: str = ""
    next_attempt: datetime | None = None


_NOTHING_PENDING: Mapping[str, Any] = {
    name: null() if value is None else literal_column(str(value))
    for name, value in NOTHING_PENDING.items()
}
"""Written into the statement, for it is the same for every row."""

_STANDS_NOW = {
    name: invitations.c[name.replace("standing_", "pending_")]
    for name in (column.name for column in invitations.c)
    if name.startswith("standing_") and name != "standing_state"
}
"""What was on its way takes the place of what stood."""

_FIRST = case(
    (
        invitations.c.first_message_id.is_(None)
        & or_(*(invitations.c.pending_kind == kind.value for kind in sorted(INVITING))),
        invitations.c.pending_message_id,
    ),
    else_=invitations.c.first_message_id,
)

_ONE_MORE_COPY = case(
    (
        (invitations.c.standing_state == State.UNKNOWN.value)
        & (invitations.c.standing_kind == invitations.c.pending_kind)
        & (invitations.c.standing_dtstamp == invitations.c.pending_dtstamp),
        invitations.c.copies + 1,
    ),
    else_=1,
)
"""Counts the very revision that stands without an answer; another one starts anew."""


def _sending() -> Update:
    return (
        update(invitations)
        .where(*THIS_ONE)
        .values(
            pending_state=literal_column(f"'{State.SENDING.value}'"),
            pending_message_id=bindparam("b_message_id"),
        )
    )


def _ended(state: State) -> Update:
    """Return what an outcome does: what was, or may have been, sent stands from now on."""
    statement = update(invitations).where(*THIS_ONE)
    word: ColumnElement[str] = literal_column(f"'{state.value}'")
    match state:
        case State.SENT | State.UNKNOWN:
            stands: dict[str, Any] = {**_NOTHING_PENDING, **_STANDS_NOW}
            if state is State.UNKNOWN:
                stands |= {"next_attempt": bindparam("b_next"), "copies": _ONE_MORE_COPY}
            else:
                stands["copies"] = literal_column("0")
            return statement.where(invitations.c.pending_kind.is_not(None)).values(
                **stands,
                standing_state=word,
                first_message_id=_FIRST,
                sent_at=bindparam("b_at"),
            )
        case State.DEFERRED | State.FAILED:
            return statement.values(
                pending_state=word,
                attempts=invitations.c.attempts + 1,
                next_attempt=bindparam("b_next"),
            )
        case _:
            return statement.values(pending_state=word)


_NAMES: Mapping[State, tuple[str, ...]] = {
    State.SENT: ("b_meeting", "b_address", "b_at"),
    State.UNKNOWN: ("b_meeting", "b_address", "b_at", "b_next"),
    State.DEFERRED: ("b_meeting", "b_address", "b_next"),
    State.FAILED: ("b_meeting", "b_address", "b_next"),
}


def record_state(
    connection: Connection, state: State, results: Sequence[Result], now: datetime
) -> None:
    """Move these invitations to `state`."""
    _record(connection, Bulk(_ended(state), (), connection.dialect), state, results, now)


def _record(
    connection: Connection, bulk: Bulk, state: State, results: Sequence[Result], now: datetime
) -> None:
    at = int(now.timestamp())
    names = _NAMES.get(state, ("b_meeting", "b_address"))
    values = (
        {
            "b_meeting": result.key.meeting_id,
            "b_address": result.key.address,
            "b_at": at,
            "b_next": int(result.next_attempt.timestamp()) if result.next_attempt else 0,
        }
        for result in results
    )
    bulk.execute(connection, ({name: row[name] for name in names} for row in values))


_LOGGED = (
    "run_id",
    "meeting_id",
    "address",
    "kind",
    "sequence",
    "dtstamp",
    "date",
    "message_id",
    "state",
    "answer",
    "at",
)


def _log(dialect: Dialect) -> Bulk:
    """Return the statement that writes a message of this run, or what became of it."""
    insert = insert_for(dialect, messages)
    statement = insert.on_conflict_do_update(
        index_elements=["run_id", "meeting_id", "address", "kind"],
        set_={
            "state": insert.excluded.state,
            "answer": insert.excluded.answer,
            "at": insert.excluded.at,
            "message_id": func.coalesce(insert.excluded.message_id, messages.c.message_id),
        },
    )
    return Bulk(statement, _LOGGED, dialect)


class Notes:
    """Writes down, for one run, what may leave now and what became of it."""

    def __init__(self, ledger: Ledger, run_id: str, actions: Mapping[Key, Action]) -> None:
        """`actions` are the plan's, written down before with `record_plan`."""
        self._ledger = ledger
        self._run_id = run_id
        self._actions = actions
        dialect = ledger.dialect
        self._announce = Bulk(_sending(), (), dialect)
        self._ends = {state: Bulk(_ended(state), (), dialect) for state in State}
        self._log = _log(dialect)

    def note(self, *, results: Sequence[Result], sending: Mapping[Key, str], now: datetime) -> None:
        """Make durable in one transaction: these messages ended so, and these may leave now.

        `sending` gives the Message-ID of each.  Raises StorageError, and then nothing may leave.
        """
        at = int(now.timestamp())
        with self._ledger.writing() as connection:
            for state in {result.state for result in results}:
                ended = [one for one in results if one.state is state]
                _record(connection, self._ends[state], state, ended, now)
            self._announce.execute(
                connection,
                (
                    {
                        "b_meeting": key.meeting_id,
                        "b_address": key.address,
                        "b_message_id": message_id,
                    }
                    for key, message_id in sending.items()
                ),
            )
            ended_rows = (self._row(one.key, one.state, at, answer=one.answer) for one in results)
            leaving = (
                self._row(key, State.SENDING, at, message_id=message_id)
                for key, message_id in sending.items()
            )
            self._log.execute(connection, chain(ended_rows, leaving))

    def _row(
        self,
        key: Key,
        state: State,
        at: int,
        *,
        message_id: str | None = None,
        answer: str | None = None,
    ) -> dict[str, Any]:
        action = self._actions[key]
        return {
            "sequence": action.revision.sequence,
            "dtstamp": int(action.revision.dtstamp.timestamp()),
            "date": date_written(action),
            "run_id": self._run_id,
            "meeting_id": key.meeting_id,
            "address": key.address,
            "kind": key.kind.value,
            "message_id": message_id,
            "state": state.value,
            "answer": answer,
            "at": at,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerDown:
    """The mail server lost messages, or had no connection, in the last `times` runs.

    `again` (aware) is when a run that nobody waits for tries it again.
    """

    times: int
    again: datetime


_DOWN = "server_down"
"""The single fact in `meta`: how many times, and the second since 1970 of the next attempt."""


def server_down(ledger: Ledger) -> ServerDown | None:
    """Return what is known of a mail server that was down at the last run; None where it was not."""
    with ledger.reading() as connection:
        found = connection.execute(
            select(meta.c.value).where(meta.c.name == _DOWN)
        ).scalar_one_or_none()
    if found is None:
        return None
    times, again = map(int, found.split())
    return ServerDown(times=times, again=datetime.fromtimestamp(again, UTC))


def record_server(
    ledger: Ledger, down: ServerDown | None, *, lost: Sequence[Key] = (), now: datetime
) -> None:
    """Write down that the mail server is down, or (None) up.

    Each message in `lost` may be tried again from `now`: the server waits, not the message.
    """
    with ledger.writing() as connection:
        if down is None:
            connection.execute(delete(meta).where(meta.c.name == _DOWN))
            return
        insert = insert_for(connection.dialect, meta)
        connection.execute(
            insert.on_conflict_do_update(
                index_elements=["name"], set_={"value": insert.excluded.value}
            ),
            [{"name": _DOWN, "value": f"{down.times} {int(down.again.timestamp())}"}],
        )
        if lost:
            connection.execute(
                update(invitations)
                .where(*THIS_ONE, invitations.c.pending_state == State.DEFERRED.value)
                .values(next_attempt=int(now.timestamp())),
                [{"b_meeting": key.meeting_id, "b_address": key.address} for key in lost],
            )
