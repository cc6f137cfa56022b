"""What the planner needs to know of a scope, read in one transaction."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import islice
from types import MappingProxyType
from typing import Any

from sqlalchemy import ColumnElement, Connection, Table, and_, func, or_, select, true

from invites.invitation import Kind
from invites.ledger.checksums import is_wrong
from invites.ledger.database import damaged
from invites.ledger.engine import Ledger
from invites.ledger.mark import HighWaterMark
from invites.ledger.schema import (
    forgotten,
    invitations,
    meetings,
    meta,
    past_invitations,
    runs,
    shared_facts,
)
from invites.planning.facts import MeetingFacts, meeting_facts_from
from invites.planning.state import (
    INVITING,
    NOBODY_FORGOTTEN,
    Entry,
    Forgotten,
    MeetingState,
    MissingCount,
    Recorded,
    Snapshot,
    State,
)

AT_ONCE = 500
"""Most values in one IN list; SQLite allows far more, PostgreSQL plans long lists slowly."""


def snapshot_of(
    ledger: Ledger,
    scope: str,
    *,
    meeting_ids: Collection[str],
    now: datetime,
    claimed: Sequence[str] = (),
    window: timedelta = timedelta(0),
    rooms: Collection[str] = (),
) -> Snapshot:
    """Return what the ledger has of `scope`, and of the scopes that are `claimed` for it.

    `window` is how far back the guards look, `rooms` are the claims that the roster itself names.
    Left out are meetings that were over at `now` (aware), unless the roster has them: its
    `meeting_ids`.
    """
    scopes, mark = [scope, *claimed], ledger.restored
    with ledger.reading() as connection:
        states = _meetings(connection, scopes, meeting_ids, now)
        entries = _entries(connection, states, ledger.name)
        gone = _forgotten(connection)
        if mark is not None:
            entries = [_raised(entry, mark) for entry in entries]
            gone = replace(gone, floor=mark.sequence)
        return Snapshot(
            scope=scope,
            meetings=_with_entries(states, entries),
            owners=_owners(connection, scopes, meeting_ids),
            meeting_facts=_shared_facts(connection, entries, ledger.name),
            forgotten=gone,
            rooms=_rooms_elsewhere(connection, scopes, frozenset(rooms), now),
            first_run=not states and not _ever_had_one(connection, scopes),
            recent=_recent(connection, scopes, now, window),
            accepted_at=_accepted_at(connection, scopes, now, window, ledger.name),
        )


def facts_with_date_links(ledger: Ledger, scope: str, *, now: datetime) -> list[MeetingFacts]:
    """Return what the invitations of a scope say that stand, where dates have links of their own."""
    statement = (
        select(shared_facts.c.facts)
        .join(invitations, shared_facts.c.digest == invitations.c.standing_facts)
        .join(meetings, meetings.c.id == invitations.c.meeting_id)
        # Of other series, of which there may be many, nothing has to be read.
        .where(
            meetings.c.scope == scope,
            standing_condition(now),
            shared_facts.c.facts.contains('"links": ['),
        )
        .distinct()
    )
    with ledger.reading() as connection:
        return [meeting_facts_from(facts) for facts in connection.execute(statement).scalars()]


def _ever_had_one(connection: Connection, scopes: list[str]) -> bool:
    found = select(meetings.c.id).where(meetings.c.scope.in_(scopes)).limit(1)
    return connection.execute(found).first() is not None


def _recent(connection: Connection, scopes: list[str], now: datetime, window: timedelta) -> int:
    """Count the invitations that stood until their meetings ended within the window."""
    ours = (
        meetings.c.scope.in_(scopes),
        meetings.c.last_end > int((now - window).timestamp()),
        meetings.c.last_end <= int(now.timestamp()),
    )
    past = select(func.coalesce(func.sum(meetings.c.stood), 0)).where(*ours)
    just_over = (
        select(func.count())
        .select_from(invitations.join(meetings, meetings.c.id == invitations.c.meeting_id))
        .where(*ours, stood_condition(invitations))
    )
    return sum(connection.execute(one).scalar_one() for one in (past, just_over))


def stood_condition(table: Table) -> ColumnElement[bool]:
    """Return the condition for an invitation that was not taken back."""
    return table.c.standing_kind.in_(sorted(INVITING))


def _accepted_at(
    connection: Connection, scopes: list[str], now: datetime, window: timedelta, name: str
) -> int:
    """Return when the last run ended in the window whose guards a person had said yes to."""
    rows = connection.execute(
        select(runs.c.finished, runs.c.counts, is_wrong(runs, connection)).where(
            runs.c.scope.in_(scopes),
            runs.c.finished.is_not(None),
            runs.c.started > int((now - window).timestamp()),
        )
    ).all()
    if any(row[2] for row in rows):
        raise damaged(name, "a row of runs")
    accepted = [ended for ended, counts, _ in rows if json.loads(counts or "{}").get("accepted")]
    return max(accepted, default=0)


def chunks(values: Collection[str]) -> Iterator[list[str]]:
    """Yield the values in lists that are short enough for one statement."""
    rest = iter(values)
    while chunk := list(islice(rest, AT_ONCE)):
        yield chunk


def _meetings(
    connection: Connection, scopes: list[str], meeting_ids: Collection[str], now: datetime
) -> dict[str, MeetingState]:
    columns = (
        meetings.c.id,
        meetings.c.uid,
        meetings.c.missing_times,
        meetings.c.missing_at,
        meetings.c.missing_due,
    )
    # By way of the live invitations: their table is looked at as a whole, an index may lie.
    live = connection.execute(select(invitations.c.meeting_id).distinct()).scalars()
    wanted, current = frozenset(meeting_ids), meetings.c.last_end > int(now.timestamp())
    found: dict[str, MeetingState] = {}
    for ids, condition in ((wanted, true()), (frozenset(live) - wanted, current)):
        for chunk in chunks(ids):
            for meeting_id, uid, times, at, due in connection.execute(
                select(*columns).where(
                    meetings.c.id.in_(chunk), meetings.c.scope.in_(scopes), condition
                )
            ):
                found[meeting_id] = MeetingState(
                    id=meeting_id, uid=uid, entries={}, missing=MissingCount(times, at, due)
                )
    return found


def _entries(connection: Connection, states: Mapping[str, MeetingState], name: str) -> list[Entry]:
    """Return the entries of these meetings; LedgerError where one that is past was damaged."""
    live = select(*entry_columns(invitations))
    past = select(*entry_columns(past_invitations), is_wrong(past_invitations, connection))
    rows: list[Sequence[Any]] = []
    for chunk in chunks(states):
        rows += connection.execute(live.where(invitations.c.meeting_id.in_(chunk))).all()
    seen = {row[0] for row in rows}
    for chunk in chunks([meeting_id for meeting_id in states if meeting_id not in seen]):
        found = connection.execute(past.where(past_invitations.c.meeting_id.in_(chunk))).all()
        if any(row[-1] for row in found):
            raise damaged(name, "a row of past_invitations")
        rows += [row[:-1] for row in found]
    return [_as_found(entry_from(row)) for row in rows]


def entry_columns(table: Table) -> tuple[ColumnElement[Any], ...]:
    """Return the columns of an entry, in the order in which `entry_from` takes them."""
    return (
        *(table.c[name] for name in ("meeting_id", "address")),
        *(table.c[f"standing_{name}"] for name in Recorded._fields),
        *(table.c[f"pending_{name}"] for name in Recorded._fields),
        *(table.c[name] for name in ("pending_message_id", "attempts", "next_attempt")),
        *(table.c[name] for name in ("latest_dtstamp", "first_message_id")),
        *(table.c[f"missing_{name}"] for name in MissingCount._fields),
        *(table.c[name] for name in ("sent_at", "copies")),
    )


_REVISION = len(Recorded._fields)


def entry_from(row: Sequence[Any]) -> Entry:
    """Return the entry that a row of the table is; the columns are those of `entry_columns`."""
    standing, pending = row[2 : 2 + _REVISION], row[2 + _REVISION : 2 + 2 * _REVISION]
    message_id, attempts, again, latest, first, *rest = row[2 + 2 * _REVISION :]
    times, at, due, sent_at, copies = rest
    return Entry(
        row[0],
        row[1],
        _recorded(standing),
        _recorded(pending),
        message_id,
        attempts,
        again,
        latest,
        first,
        MissingCount(times, at, due),
        sent_at,
        copies,
    )


def _recorded(values: Sequence[Any]) -> Recorded | None:
    kind, sequence, dtstamp, state, *rest = values
    return None if kind is None else Recorded(Kind(kind), sequence, dtstamp, State(state), *rest)


def _as_found(entry: Entry) -> Entry:
    """Return the entry as the next run will find it: what was on its way may have been sent."""
    sending = entry.pending is not None and entry.pending.state is State.SENDING
    return entry.promoted() if sending else entry


def _raised(entry: Entry, mark: HighWaterMark) -> Entry:
    """Return the entry as `ledger.mark.raise_to` would write it, for what may only read."""
    standing, pending = (
        one and one._replace(sequence=max(one.sequence, mark.sequence))
        for one in (entry.standing, entry.pending)
    )
    latest = max(entry.latest_dtstamp, mark.dtstamp)
    return entry._replace(standing=standing, pending=pending, latest_dtstamp=latest)


def _with_entries(
    states: Mapping[str, MeetingState], entries: list[Entry]
) -> Mapping[str, MeetingState]:
    by_meeting: dict[str, dict[str, Entry]] = {meeting_id: {} for meeting_id in states}
    for entry in entries:
        by_meeting[entry.meeting_id][entry.address] = entry
    return MappingProxyType(
        {
            state.id: MeetingState(
                id=state.id,
                uid=state.uid,
                entries=MappingProxyType(by_meeting[state.id]),
                missing=state.missing,
            )
            for state in states.values()
        }
    )


def _owners(
    connection: Connection, scopes: list[str], meeting_ids: Collection[str]
) -> Mapping[str, str]:
    found: dict[str, str] = {}
    for chunk in chunks(meeting_ids):
        rows = connection.execute(
            select(meetings.c.id, meetings.c.scope).where(
                meetings.c.id.in_(chunk), meetings.c.scope.not_in(scopes)
            )
        )
        found.update({row[0]: row[1] for row in rows})
    return MappingProxyType(found)


def _rooms_elsewhere(
    connection: Connection, scopes: list[str], rooms: frozenset[str], now: datetime
) -> Mapping[str, str]:
    """Return the scope of each of these rooms that is live in another scope."""
    if not rooms:
        return MappingProxyType({})
    rows = connection.execute(
        select(meetings.c.scope, shared_facts.c.facts)
        .join(invitations, meetings.c.id == invitations.c.meeting_id)
        .join(shared_facts, shared_facts.c.digest == invitations.c.standing_facts)
        .where(meetings.c.scope.not_in(scopes), standing_condition(now))
        .distinct()
    )
    found = {meeting_facts_from(facts).room.claim: scope for scope, facts in rows}
    return MappingProxyType({room: scope for room, scope in found.items() if room in rooms})


def _shared_facts(connection: Connection, entries: list[Entry], name: str) -> Mapping[str, str]:
    digests = sorted(
        {one.facts for entry in entries for one in (entry.standing, entry.pending) if one}
    )
    found: dict[str, str] = {}
    kept = select(shared_facts.c.digest, shared_facts.c.facts, is_wrong(shared_facts, connection))
    for chunk in chunks(digests):
        rows = connection.execute(kept.where(shared_facts.c.digest.in_(chunk))).all()
        if len(rows) < len(chunk) or any(row[2] for row in rows):
            raise damaged(name, "a row of shared_facts")
        found.update({row[0]: row[1] for row in rows})
    return MappingProxyType(found)


def _forgotten(connection: Connection) -> Forgotten:
    rows = connection.execute(select(forgotten.c.hash, forgotten.c.sequence)).all()
    floor = connection.execute(
        select(meta.c.value).where(meta.c.name == "sequence_floor")
    ).scalar_one_or_none()
    if not rows and floor is None:
        return NOBODY_FORGOTTEN
    return Forgotten(
        key=forget_key(connection),
        highest=MappingProxyType({row[0]: row[1] for row in rows}),
        floor=None if floor is None else int(floor),
    )


def forget_key(connection: Connection) -> bytes:
    """Return the key under which the ledger hashes those it forgets."""
    value: str = connection.execute(
        select(meta.c.value).where(meta.c.name == "forget_key")
    ).scalar_one()
    return bytes.fromhex(value)


def standing_condition(now: datetime) -> ColumnElement[bool]:
    """Return the condition for an invitation that stands and is not over at `now`."""
    return and_(stood_condition(invitations), invitations.c.standing_end > int(now.timestamp()))


def on_its_way_condition(now: datetime) -> ColumnElement[bool]:
    """Return the condition for a revision that a later run would still send."""
    return or_(
        and_(
            invitations.c.pending_kind.is_not(None),
            invitations.c.pending_end > int(now.timestamp()),
        ),
        and_(
            invitations.c.standing_state == State.UNKNOWN,
            invitations.c.standing_end > int(now.timestamp()),
        ),
    )
