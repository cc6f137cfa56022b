"""What a run writes down, on SQLite and on PostgreSQL alike, against a model in memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, select

from invites.errors import Exit, GuardError, StorageError
from invites.invitation import Kind, Method
from invites.ledger import Ledger
from invites.ledger.history import past_runs
from invites.ledger.note import Notes, Result
from invites.ledger.read import snapshot_of
from invites.ledger.runs import (
    RunStart,
    begin_run,
    check_guards,
    claim,
    finish_run,
    left_sending,
    sent_since,
    settle_left,
)
from invites.ledger.schema import meta
from invites.ledger.write import ROWS_AT_ONCE, Bulk, Key, insert_into, record_plan
from invites.model import Status
from invites.planning.actions import Action, Plan
from invites.planning.state import Entry, Recorded, Snapshot, State
from tests.peers.planning import (
    DAY,
    HOUR,
    NOW,
    World,
    attendee,
    meeting,
    message_id,
    only_action,
    said,
)

ADA = "ada@example.org"
START = RunStart(
    scope="default",
    command="send",
    delivery="smtp",
    source="roster.csv",
    roster_digest="ab" * 32,
    tz_version="2026f",
)
AHEAD = timedelta(days=100)


def revision_of(found: Recorded | None) -> Recorded:
    """Return a revision that is there."""
    assert found is not None
    return found


def begun(opened: Ledger, world: World) -> str:
    """Begin a run at the world's time."""
    return begin_run(opened, START, now=world.now)


def carry_out(opened: Ledger, world: World, plan: Plan, outcome: Callable[[Action], State]) -> str:
    """Record a plan in the ledger, and let each message end as `outcome` says."""
    run_id = begun(opened, world)
    record_plan(opened, plan)
    notes = Notes(opened, run_id, {Key.of(action): action for action in plan.actions})
    for action in plan.actions:
        key, state = Key.of(action), outcome(action)
        if state is State.PLANNED:
            continue
        notes.note(results=(), sending={key: message_id(action)}, now=world.now)
        if state is State.SENDING:
            continue
        later = world.now + HOUR if state is State.DEFERRED else world.now
        result = Result(key=key, state=state, answer="250 ok", next_attempt=later)
        notes.note(results=[result], sending={}, now=world.now)
    return run_id


def found(opened: Ledger, world: World, **fields: Any) -> Snapshot:
    """Return what the ledger knows of the world's roster."""
    return snapshot_of(opened, "default", meeting_ids=list(world.meetings), now=world.now, **fields)


def entries(states: Mapping[str, Any]) -> dict[tuple[str, str], Entry]:
    """Return all entries by meeting and address."""
    return {
        (state.id, address): entry
        for state in states.values()
        for address, entry in state.entries.items()
    }


STATES = (State.SENT, State.UNKNOWN, State.DEFERRED, State.FAILED, State.SENDING, State.PLANNED)


NIGHTS = [(one, STATES[(place + step) % 6]) for place, one in enumerate(STATES) for step in (0, 2)]


@pytest.mark.parametrize(("first", "second"), NIGHTS)
def test_the_ledger_knows_what_the_model_knows(opened: Ledger, first: State, second: State) -> None:
    """Two nights with any two outcomes: the snapshot and the next plan are the model's."""
    world = World().put(
        meeting("m", attendee("Ada", columns={"seat": "1"}), attendee("Bob", features=("flip",))),
        meeting("n", attendee("Ada", user_id="u1"), status=Status.TENTATIVE),
    )
    for state in (first, second):
        plan = world.plan()
        carry_out(opened, world, plan, lambda _, state=state: state)
        world.record(plan)
        for action in plan.actions:
            if state is not State.PLANNED:
                world.settle(action, state)
        settle_left(opened, {}, now=world.now)
        world.wait(13 * HOUR).edit("m", title="Another").drop_attendee("m", "bob@example.org")
    theirs, ours = found(opened, world), world.snapshot
    assert {key: _plain(entry) for key, entry in entries(theirs.meetings).items()} == {
        key: _plain(entry) for key, entry in entries(ours.meetings).items()
    }
    world.states = dict(theirs.meetings)
    world.shared = dict(theirs.meeting_facts)
    assert said(world.plan()) is not None


def test_a_cancel_told_again_takes_the_place_of_a_request_that_is_dropped(opened: Ledger) -> None:
    """Of an entry with both, the message that goes out stays on its way; then it stands."""
    world = World().put(meeting("m", attendee("Ada")))
    nights = (
        (Status.CONFIRMED, State.SENT),
        (Status.CANCELLED, State.UNKNOWN),
        (Status.CONFIRMED, State.DEFERRED),
        (Status.CANCELLED, State.SENT),
    )
    for status, state in nights:
        plan = world.edit("m", status=status).plan()
        carry_out(opened, world, plan, lambda _, state=state: state)
        world.states = dict(found(opened, world).meetings)
        world.shared = dict(found(opened, world).meeting_facts)
        world.wait(DAY)
    entry = found(opened, world).meetings["m"].entries[ADA]
    standing = revision_of(entry.standing)
    assert (standing.revision.method, standing.state) == (Method.CANCEL, State.SENT)


def _plain(entry: Entry) -> dict[str, Any]:
    """Return what counts of an entry: `next_attempt` of one not deferred is of no meaning."""
    fields = entry._asdict()
    if entry.pending is None or entry.pending.state is not State.DEFERRED:
        del fields["next_attempt"]
    return fields


def test_missing_counts_are_kept(opened: Ledger) -> None:
    """A count that one run wrote is what the next one goes on from."""
    world = World().put(
        meeting("m", attendee("Ada"), attendee("Bob")), meeting("n", attendee("Ada"))
    )
    carry_out(opened, world, world.run(), lambda _: State.SENT)
    world.wait(DAY).drop_attendee("m", ADA)
    del world.meetings["n"]
    carry_out(opened, world, world.run(due=world.now), lambda _: State.SENT)
    snapshot = found(opened, world)
    assert snapshot.meetings["n"].missing == world.states["n"].missing
    assert snapshot.meetings["n"].missing.times == 1
    assert snapshot.meetings["m"].entries[ADA].missing.times == 1


def test_what_was_on_its_way_is_settled_by_what_the_delivery_can_trace(opened: Ledger) -> None:
    """In the folder: sent.  Surely not there: planned again.  Nobody knows: unknown."""
    world = World().put(meeting("m", attendee("Ada"), attendee("Bob"), attendee("Eve")))
    plan = world.plan()
    carry_out(opened, world, plan, lambda _: State.SENDING)
    ids = [left.message_id for left in left_sending(opened)]
    assert settle_left(opened, {ids[0]: True, ids[1]: False}, now=NOW) == 1
    states = found(opened, world).meetings["m"].entries
    assert revision_of(states[ADA].standing).state is State.SENT
    assert revision_of(states["bob@example.org"].pending).state is State.PLANNED
    assert states["eve@example.org"].unanswered
    assert left_sending(opened) == ()


def test_a_reader_sees_what_is_on_its_way_as_unknown(opened: Ledger) -> None:
    """`plan` says what the next `send` would find, without changing anything."""
    world = World().put(meeting("m", attendee("Ada")))
    carry_out(opened, world, world.plan(), lambda _: State.SENDING)
    assert found(opened, world).meetings["m"].entries[ADA].unanswered
    assert len(left_sending(opened)) == 1


def test_meetings_that_are_over_are_left_out_unless_the_roster_has_them(opened: Ledger) -> None:
    """Years of past meetings cost nothing, and one that the roster moves on keeps its UID."""
    world = World().put(meeting("m", attendee("Ada")))
    carry_out(opened, world, world.plan(), lambda _: State.SENT)
    world.wait(30 * DAY)
    assert found(opened, world).meetings["m"].entries[ADA].invited
    world.meetings.clear()
    assert found(opened, world).meetings == {}


def test_another_scopes_meetings_are_named_and_can_be_claimed(opened: Ledger) -> None:
    """By hand first, then by a job: the claim moves them over."""
    world = World().put(meeting("m", attendee("Ada")))
    carry_out(opened, world, world.plan(), lambda _: State.SENT)
    there = snapshot_of(opened, "nightly", meeting_ids=["m"], now=NOW)
    assert (dict(there.owners), dict(there.meetings)) == ({"m": "default"}, {})
    as_if = snapshot_of(opened, "nightly", meeting_ids=["m"], now=NOW, claimed=["default"])
    assert claim(opened, other="default", scope="nightly") == 1
    after = snapshot_of(opened, "nightly", meeting_ids=["m"], now=NOW)
    assert as_if == after
    assert list(after.meetings) == ["m"]


def test_a_run_that_can_not_write_its_plan_writes_none_of_it(opened: Ledger) -> None:
    """Text that one of the databases refuses is refused by both, before anything is written."""
    world = World().put(meeting("m", attendee("Ada"), attendee("N", address="n\0@example.org")))
    begun(opened, world)
    with pytest.raises(StorageError, match="NUL"):
        record_plan(opened, world.plan())
    assert found(opened, world).meetings == {}


def test_the_clock_and_the_zone_data_are_those_of_the_last_run(opened: Ledger) -> None:
    """A clock set back, one far ahead and older zone data are refused."""
    begin_run(opened, START, now=NOW)

    def check(now: timedelta = HOUR, tz: str = "2026f", *, accept: bool = False) -> None:
        check_guards(
            opened,
            now=NOW + now,
            tz_version=tz,
            clock_ahead=AHEAD,
            timezone="Asia/Tokyo",
            accept_clock=accept,
        )

    check()
    check(-timedelta(minutes=5))
    check(-HOUR, accept=True)
    for bad in ({"now": -HOUR}, {"now": 101 * DAY}, {"tz": "2026a"}, {"tz": "?"}):
        with pytest.raises(GuardError, match="Asia/Tokyo" if "now" in bad else "tzdata"):
            check(**bad)  # type: ignore[arg-type]


def test_runs_of_one_second_have_names_of_their_own(opened: Ledger) -> None:
    """A run's name is its time, and a number where two are of one second."""
    names = [begin_run(opened, START, now=NOW) for _ in range(3)]
    assert names == ["20310101T021500Z", "20310101T021500Z-2", "20310101T021500Z-3"]


def test_the_relays_limits_count_what_was_handed_over(opened: Ledger) -> None:
    """Sent and unknown ones count, deferred ones do not, and old ones no longer."""
    world = World().put(meeting("m", attendee("Ada"), attendee("Bob"), attendee("Eve")))
    ends = iter((State.SENT, State.UNKNOWN, State.DEFERRED))
    carry_out(opened, world, world.plan(), lambda _: next(ends))
    assert sent_since(opened, DAY, now=NOW + HOUR) == 2
    assert sent_since(opened, HOUR, now=NOW + 2 * HOUR) == 0


def test_a_finished_run_has_its_exit_code_and_counts(opened: Ledger) -> None:
    """How a run ended is what history shows."""
    run_id = begin_run(opened, START, now=NOW)
    (running,) = past_runs(opened)
    assert (running.exit_code, running.finished) == (None, None)
    finish_run(
        opened,
        run_id,
        exit_code=Exit.IN_PART,
        counts={"sent": 3},
        took=timedelta(seconds=1.5),
        now=NOW + HOUR,
    )
    (run,) = past_runs(opened)
    assert (run.exit_code, dict(run.counts), run.took) == (4, {"sent": 3}, timedelta(seconds=1.5))
    assert (run.tz_version, run.roster_digest, run.source) == ("2026f", "ab" * 32, "roster.csv")


def test_keys_name_one_message_of_a_run() -> None:
    """Meeting, address and kind."""
    action = only_action(World().put(meeting("m", attendee("Ada"))).plan())
    assert Key.of(action) == ("m", ADA, Kind.INVITATION)


def test_the_guards_know_a_scopes_first_run_and_what_was_live_in_the_window(
    opened: Ledger,
) -> None:
    """A new scope has no past; a meeting that ended counts for as long as the window is."""
    world = World().put(meeting("m", attendee("Ada"), attendee("Bob")))
    assert found(opened, world).first_run
    carry_out(opened, world, world.plan(), lambda _: State.SENT)
    world.wait(12 * DAY).meetings.clear()
    later = found(opened, world, window=14 * DAY)
    assert (later.meetings, later.first_run, later.recent) == ({}, False, 2)
    assert found(opened, world, window=DAY).recent == 0


def test_the_guards_know_when_a_person_last_said_yes(opened: Ledger) -> None:
    """The window begins anew with it; a yes before the window is forgotten."""
    world = World()
    run_id = begun(opened, world)
    ended = NOW + HOUR
    finish_run(opened, run_id, exit_code=Exit.DONE, counts={"accepted": 1}, took=HOUR, now=ended)
    world.wait(DAY)
    assert found(opened, world, window=14 * DAY).accepted_at == int(ended.timestamp())
    assert found(opened, world, window=HOUR).accepted_at == 0


def test_of_many_rows_only_some_are_in_memory(opened: Ledger) -> None:
    """Each row is made when those before it are written, so that a plan of any size can be."""
    count = 2 * ROWS_AT_ONCE + 1
    with opened.writing() as connection:
        there = select(func.count()).select_from(meta)
        before = connection.execute(there).scalar_one()
        rows = (
            {"name": f"row {number}", "value": str(connection.execute(there).scalar_one() - before)}
            for number in range(count)
        )
        Bulk(insert_into(connection, meta), ("name", "value"), connection.dialect).execute(
            connection, rows
        )
        last = connection.execute(select(meta.c.value).where(meta.c.name == f"row {count - 1}"))
        assert last.scalar_one() == str(2 * ROWS_AT_ONCE)
        assert connection.execute(there).scalar_one() == before + count
