"""A run's frame in the ledger: its guards, its beginning, what it found left over, and its end."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import Connection, bindparam, func, select, update

from invites.errors import Exit, GuardError, ZoneDataError
from invites.invitation import Kind
from invites.ledger.engine import Ledger
from invites.ledger.note import Result, record_state
from invites.ledger.schema import NOT_AT_REST, invitations, meetings, messages, meta, runs
from invites.ledger.write import Key, insert_into
from invites.planning.state import State
from invites.times import clock_fault, zone_data_fault


@dataclass(frozen=True, slots=True, kw_only=True)
class RunStart:
    """What is known of a run when it begins.

    `command` is `send` or `run`, `source` the roster as the user gave it, `due` a job's due time.
    """

    scope: str
    command: str
    delivery: str
    source: str
    roster_digest: str
    tz_version: str
    due: datetime | None = None


class Left(NamedTuple):
    """A message that an earlier run may have sent: it died between `sending` and the outcome.

    `delivery` is that run's, which alone can know.
    """

    key: Key
    message_id: str
    delivery: str = ""


class GuardFacts(NamedTuple):
    """What the clock (seconds since 1970) and the zone data are held against; None before a run."""

    last_run: int | None
    tz_version: str | None


def guard_facts(ledger: Ledger) -> GuardFacts:
    """Return what the ledger's last run says of clock and time zone data."""
    with ledger.reading() as connection:
        facts = _meta(connection)
    last = facts.get("last_run")
    return GuardFacts(None if last is None else int(last), facts.get("tz_version"))


def check_guards(
    ledger: Ledger,
    *,
    now: datetime,
    tz_version: str,
    clock_ahead: timedelta,
    timezone: str,
    accept_clock: bool = False,
) -> None:
    """Raise GuardError where the clock can't be trusted, ZoneDataError where zone data can't.

    The times of the clock are told as `timezone` (IANA) has them.
    """
    facts = guard_facts(ledger)
    fault = zone_data_fault(facts.tz_version, tz_version)
    if fault is not None:
        raise ZoneDataError(fault)
    if accept_clock:
        return
    seconds = int(now.timestamp())
    fault = clock_fault(facts.last_run, seconds, ahead=clock_ahead, in_zone=timezone)
    if fault is not None:
        raise GuardError(fault)


def begin_run(ledger: Ledger, start: RunStart, *, now: datetime) -> str:
    """Write down that a run begins and return its id, such as `20261201T021500Z`.

    `check_guards` comes before it: from now on this clock and these zone data are the ledger's.
    """
    seconds = int(now.timestamp())
    with ledger.writing() as connection:
        run_id = _free_run_id(connection, now)
        connection.execute(runs.insert(), _run_row(run_id, start, seconds))
        _set_meta(connection, last_run=str(seconds), tz_version=start.tz_version)
    return run_id


def record_refused(
    ledger: Ledger, start: RunStart, *, exit_code: Exit, counts: Mapping[str, int], now: datetime
) -> str:
    """Write down a run that a guard or the roster's problems ended before it began.

    The clock and the zone data that were refused do not become the ledger's.
    """
    seconds = int(now.timestamp())
    with ledger.writing() as connection:
        run_id = _free_run_id(connection, now)
        connection.execute(
            runs.insert(),
            {
                **_run_row(run_id, start, seconds),
                "finished": seconds,
                "milliseconds": 0,
                "exit_code": int(exit_code),
                "counts": json.dumps(dict(counts)),
            },
        )
    return run_id


def _run_row(run_id: str, start: RunStart, started: int) -> dict[str, Any]:
    return {
        "id": run_id,
        "scope": start.scope,
        "command": start.command,
        "delivery": start.delivery,
        "source": start.source,
        "roster_digest": start.roster_digest,
        "tz_version": start.tz_version,
        "due": None if start.due is None else int(start.due.timestamp()),
        "started": started,
    }


def _meta(connection: Connection) -> dict[str, str]:
    return {row[0]: row[1] for row in connection.execute(select(meta.c.name, meta.c.value))}


def _set_meta(connection: Connection, **values: str) -> None:
    insert = insert_into(connection, meta)
    connection.execute(
        insert.on_conflict_do_update(
            index_elements=["name"], set_={"value": insert.excluded.value}
        ),
        [{"name": name, "value": value} for name, value in values.items()],
    )


def _free_run_id(connection: Connection, now: datetime) -> str:
    stem = now.strftime("%Y%m%dT%H%M%SZ")
    same_second = runs.c.id.between(stem, f"{stem}-9")
    taken = set(connection.execute(select(runs.c.id).where(same_second)).scalars())
    if stem not in taken:
        return stem
    return next(name for n in range(2, len(taken) + 3) if (name := f"{stem}-{n}") not in taken)


def left_sending(ledger: Ledger) -> tuple[Left, ...]:
    """Return what earlier runs left between `sending` and an outcome, in the order of meetings."""
    columns = (
        invitations.c.meeting_id,
        invitations.c.address,
        invitations.c.pending_kind,
        invitations.c.pending_message_id,
    )
    delivery = (
        select(func.max(runs.c.delivery))
        .join(messages, messages.c.run_id == runs.c.id)
        .where(
            messages.c.meeting_id == invitations.c.meeting_id,
            messages.c.address == invitations.c.address,
            messages.c.state == State.SENDING,
        )
        .correlate(invitations)
        .scalar_subquery()
    )
    statement = (
        select(*columns, delivery)
        .where(NOT_AT_REST, invitations.c.pending_state == State.SENDING)
        .order_by(invitations.c.pending_start, invitations.c.meeting_id, invitations.c.address)
    )
    with ledger.reading() as connection:
        return tuple(
            Left(Key(meeting_id, address, Kind(kind)), message_id or "", carried_by or "")
            for meeting_id, address, kind, message_id, carried_by in connection.execute(statement)
        )


def settle_left(ledger: Ledger, traced: Mapping[str, bool], *, now: datetime) -> int:
    """Settle what earlier runs left: sent or not where `traced` (by Message-ID) knows, else unknown.

    Returns how many are unknown.
    """
    left = left_sending(ledger)
    if not left:
        return 0
    by_state: dict[State, list[Result]] = {}
    for key, message_id, _ in left:
        state = _traced_state(traced.get(message_id))
        by_state.setdefault(state, []).append(
            Result(key=key, state=state, answer="the run ended before the answer")
        )
    with ledger.writing() as connection:
        for state, results in by_state.items():
            record_state(connection, state, results, now)
            connection.execute(
                update(messages)
                .where(
                    messages.c.state == State.SENDING,
                    messages.c.meeting_id == bindparam("b_meeting"),
                    messages.c.address == bindparam("b_address"),
                )
                .values(state=bindparam("b_state")),
                [
                    {
                        "b_meeting": result.key.meeting_id,
                        "b_address": result.key.address,
                        "b_state": state,
                    }
                    for result in results
                ],
            )
    return len(by_state.get(State.UNKNOWN, []))


def _traced_state(found: bool | None) -> State:  # noqa: FBT001 - the mapping's value
    match found:
        case True:
            return State.SENT
        case False:
            return State.PLANNED
        case None:
            return State.UNKNOWN


def finish_run(
    ledger: Ledger,
    run_id: str,
    *,
    exit_code: Exit,
    counts: Mapping[str, int],
    took: timedelta,
    now: datetime,
) -> None:
    """Write down how a run ended; `took` is by a clock that never goes back."""
    with ledger.writing() as connection:
        connection.execute(
            update(runs)
            .where(runs.c.id == run_id)
            .values(
                finished=int(now.timestamp()),
                milliseconds=int(took / timedelta(milliseconds=1)),
                exit_code=int(exit_code),
                counts=json.dumps(dict(counts)),
            )
        )
        _set_meta(connection, last_run=str(int(now.timestamp())))


def claim(ledger: Ledger, *, other: str, scope: str) -> int:
    """Move all meetings of the scope `other` to `scope`; returns how many."""
    with ledger.writing() as connection:
        moved = connection.execute(
            update(meetings).where(meetings.c.scope == other).values(scope=scope)
        )
    return moved.rowcount


def sent_since(ledger: Ledger, span: timedelta, *, now: datetime) -> int:
    """Return how many messages were handed to the relay in the last `span`, for its rate limits."""
    after = int((now - span).timestamp())
    states = (State.SENT.value, State.UNKNOWN.value, State.SENDING.value)
    statement = (
        select(func.count())
        .select_from(messages.join(runs, runs.c.id == messages.c.run_id))
        .where(messages.c.at > after, messages.c.state.in_(states), runs.c.delivery == "smtp")
    )
    with ledger.reading() as connection:
        return int(connection.execute(statement).scalar_one())
