"""What was sent to whom, when and with which outcome, and how each run went."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any

from sqlalchemy import FromClause, Row, func, select

from invites.due.attempts import NEVER
from invites.errors import Exit
from invites.ledger.engine import Ledger
from invites.ledger.schema import (
    NOT_AT_REST,
    invitations,
    meetings,
    messages,
    past_invitations,
    runs,
    shared_facts,
)
from invites.planning.state import State
from invites.times import instant, zone

ROWS_AT_ONCE = 1000
"""How many rows of a long history are in memory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PastMessage:
    """One message of one run; `at` (aware, UTC) is when its state was last written.

    `answer` is the server's, without links and tokens; `title`, `start` and `timezone` are the
    meeting's as the attendee has it, "" and None where nothing stands; `rule` is the RRULE of one
    that repeats, and `date` the original start of the one date that the message was about.
    """

    run_id: str
    at: datetime
    meeting_id: str
    title: str
    start: datetime | None
    timezone: str
    address: str
    kind: str
    sequence: int
    dtstamp: datetime
    message_id: str
    state: State
    answer: str
    rule: str = ""
    date: datetime | None = None

    @property
    def what(self) -> str:
        """The kind of message, of one about a single date with that date in the meeting's zone."""
        kind = self.kind.replace("_", " ")
        if self.date is None:
            return kind
        return f"{kind}, {self.date.astimezone(zone(self.timezone or 'UTC')):%Y-%m-%d}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """A revision that is planned, or without an answer; `next_attempt` where it waits for a time.

    `attempts` counts the refusals, of one without an answer the copies; `end` is the meeting's.
    """

    meeting_id: str
    address: str
    kind: str
    sequence: int
    state: State
    attempts: int
    next_attempt: datetime | None
    end: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class PastRun:
    """One run; `finished`, `took` and `exit_code` are None where it was cut short."""

    id: str
    scope: str
    command: str
    delivery: str
    source: str
    roster_digest: str
    tz_version: str
    due: datetime | None
    started: datetime
    finished: datetime | None
    took: timedelta | None
    exit_code: int | None
    counts: Mapping[str, int]


def past_messages(
    ledger: Ledger,
    *,
    meeting_id: str | None = None,
    address: str | None = None,
    at_most: int | None = None,
) -> tuple[PastMessage, ...]:
    """Return messages, the latest first, of one meeting or one folded address where given."""
    return tuple(each_message(ledger, meeting_id=meeting_id, address=address, at_most=at_most))


def each_message(
    ledger: Ledger,
    *,
    meeting_id: str | None = None,
    address: str | None = None,
    at_most: int | None = None,
) -> Iterator[PastMessage]:
    """Yield what `past_messages` returns, a few at a time; nothing else is read meanwhile."""
    live, past = invitations, past_invitations
    standing = func.coalesce(live.c.standing_facts, past.c.standing_facts)
    joined: FromClause = messages
    for table in (live, past):
        same_meeting = table.c.meeting_id == messages.c.meeting_id
        joined = joined.outerjoin(table, same_meeting & (table.c.address == messages.c.address))
    statement = (
        select(messages, shared_facts.c.facts)
        .select_from(joined.outerjoin(shared_facts, shared_facts.c.digest == standing))
        .order_by(messages.c.at.desc(), messages.c.meeting_id, messages.c.address)
        .limit(at_most)
        .execution_options(yield_per=ROWS_AT_ONCE)
    )
    if meeting_id is not None:
        statement = statement.where(messages.c.meeting_id == meeting_id)
    if address is not None:
        statement = statement.where(messages.c.address == address)
    with ledger.reading() as connection:
        for row in connection.execute(statement):
            yield _message(row)


def _message(row: Row[*tuple[Any, ...]]) -> PastMessage:
    found = row._mapping  # noqa: SLF001 - SQLAlchemy's public name for it
    facts = json.loads(found["facts"]) if found["facts"] else None
    return PastMessage(
        run_id=found["run_id"],
        at=instant(found["at"]),
        meeting_id=found["meeting_id"],
        title=facts["title"] if facts else "",
        start=instant(facts["start"]) if facts else None,
        timezone=facts["timezone"] if facts else "",
        rule=facts["series"][0] if facts and facts.get("series") else "",
        address=found["address"],
        kind=found["kind"],
        sequence=found["sequence"],
        dtstamp=instant(found["dtstamp"]),
        message_id=found["message_id"] or "",
        state=State(found["state"]),
        answer=found["answer"] or "",
        date=None if found["date"] is None else instant(found["date"]),
    )


def waiting(
    ledger: Ledger, *, meeting_id: str | None = None, address: str | None = None
) -> tuple[Waiting, ...]:
    """Return what is planned, deferred, failed or unknown, in the order of meetings."""
    columns = (
        *(invitations.c[name] for name in ("meeting_id", "address", "next_attempt")),
        *(invitations.c[f"pending_{name}"] for name in ("kind", "sequence", "state")),
        *(invitations.c[name] for name in ("attempts", "pending_end")),
        *(invitations.c[f"standing_{name}"] for name in ("kind", "sequence", "state")),
        *(invitations.c[name] for name in ("copies", "standing_end")),
    )
    statement = select(*columns).where(NOT_AT_REST)
    if meeting_id is not None:
        statement = statement.where(invitations.c.meeting_id == meeting_id)
    if address is not None:
        statement = statement.where(invitations.c.address == address)
    statement = statement.order_by(invitations.c.meeting_id, invitations.c.address)
    with ledger.reading() as connection:
        rows = connection.execute(statement).all()
    # What is on its way, else what stands without an answer.
    return tuple(_waiting(*row[:3], *(row[8:] if row[3] is None else row[3:8])) for row in rows)


def _waiting(
    meeting_id: str,
    address: str,
    next_attempt: int,
    kind: str,
    sequence: int,
    state: str,
    attempts: int,
    end: int,
) -> Waiting:
    again = state in {State.DEFERRED, State.UNKNOWN} and 0 < next_attempt < NEVER
    return Waiting(
        meeting_id=meeting_id,
        address=address,
        kind=kind,
        sequence=sequence,
        state=State(state),
        attempts=attempts,
        next_attempt=instant(next_attempt) if again else None,
        end=instant(end),
    )


def past_runs(ledger: Ledger, *, at_most: int | None = None) -> tuple[PastRun, ...]:
    """Return runs, the latest first."""
    statement = select(runs).order_by(runs.c.started.desc(), runs.c.id.desc()).limit(at_most)
    with ledger.reading() as connection:
        return tuple(_run(row) for row in connection.execute(statement))


def last_run(ledger: Ledger, job: str, *, done: bool = False) -> PastRun | None:
    """Return a job's latest run, with `done` the latest that ended with 0 or 4."""
    statement = select(runs).where(runs.c.scope == job, runs.c.command == "run")
    if done:
        statement = statement.where(runs.c.exit_code.in_((int(Exit.DONE), int(Exit.IN_PART))))
    latest = statement.order_by(runs.c.started.desc(), runs.c.id.desc()).limit(1)
    with ledger.reading() as connection:
        row = connection.execute(latest).first()
    return None if row is None else _run(row)


def _run(row: Row[*tuple[Any, ...]]) -> PastRun:
    found = row._mapping  # noqa: SLF001 - SQLAlchemy's public name for it
    took, due, finished = found["milliseconds"], found["due"], found["finished"]
    return PastRun(
        id=found["id"],
        scope=found["scope"],
        command=found["command"],
        delivery=found["delivery"],
        source=found["source"],
        roster_digest=found["roster_digest"],
        tz_version=found["tz_version"],
        due=None if due is None else instant(due),
        started=instant(found["started"]),
        finished=None if finished is None else instant(finished),
        took=None if took is None else timedelta(milliseconds=took),
        exit_code=found["exit_code"],
        counts=MappingProxyType(json.loads(found["counts"] or "{}")),
    )


def scopes(ledger: Ledger) -> Mapping[str, int]:
    """Return how many live meetings each scope has."""
    live = meetings.c.id.in_(select(invitations.c.meeting_id))
    statement = select(meetings.c.scope, func.count()).where(live).group_by(meetings.c.scope)
    with ledger.reading() as connection:
        return MappingProxyType({row[0]: row[1] for row in connection.execute(statement)})
