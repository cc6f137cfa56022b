"""What a wake-up, a send and `doctor` read does not grow with the history."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, event

from invites import ledger
from invites.ledger.erase import expire
from invites.ledger.history import each_message, last_run, scopes, waiting
from invites.ledger.jobs import job_state, sent_reminders, standing_invitations
from invites.ledger.note import server_down
from invites.ledger.runs import guard_facts, left_sending, sent_since
from tests.ledger.test_forgetting import send
from tests.ledger.test_recording import found
from tests.peers.planning import DAY, NOW, World, attendee, meeting

GROWING = {"messages", "past_invitations", "meetings", "shared_facts", "runs"}
"""The tables that years fill; `invitations` and `reminders` have the live ones alone."""


class Plans:
    """SQLite's own plan of each statement that is executed: which tables are read as a whole."""

    def __init__(self) -> None:
        """Know of no statement yet."""
        self.steps: list[str] = []
        self.scans: list[str] = []
        self.seen: set[str] = set()

    def explain(
        self,
        connection: Connection,
        _cursor: Any,
        statement: str,
        given: Any,
        _context: Any,
        many: bool,  # noqa: FBT001
    ) -> None:
        """Ask for the plan of a statement that is about to be executed."""
        if statement in self.seen or not statement.startswith(
            ("SELECT", "UPDATE", "DELETE", "INSERT")
        ):
            return
        self.seen.add(statement)
        raw: Any = connection.connection.driver_connection
        for step in raw.execute(f"EXPLAIN QUERY PLAN {statement}", given[0] if many else given):
            self.steps.append(step[3])
            scanned = re.match(r"SCAN (\w+)", step[3])
            if scanned and scanned[1] in GROWING:
                self.scans.append(f"{step[3]}: {statement}")


@pytest.fixture
def plans() -> Any:
    """Give the plans of what is executed from now on."""
    plans = Plans()
    event.listen(Engine, "before_cursor_execute", plans.explain)
    yield plans
    event.remove(Engine, "before_cursor_execute", plans.explain)


def test_no_statement_of_a_wake_up_reads_a_growing_table_as_a_whole(
    tmp_path: Path, plans: Plans
) -> None:
    """An idle `run`, a `send` with and without changes, meetings that end, and `doctor`."""
    url = f"sqlite:///{tmp_path / 'invites.db'}"
    ledger.create(url)
    plans.seen.clear(), plans.scans.clear()
    with ledger.open_ledger(url, lock=True) as one:
        world = World().put(meeting("m", attendee("Ada"), attendee("Bob")))
        send(one, world)
        assert send(one, world) == []
        expire(one, keep=timedelta(days=400), now=NOW + 20 * DAY)
        world.wait(20 * DAY).edit("m", start=NOW + 30 * DAY)
        assert len(send(one, world)) == 2
        found(one, world, window=14 * DAY, rooms=["a"])
        left_sending(one), server_down(one), sent_since(one, DAY, now=NOW)
        sent_reminders(one, now=NOW)
        standing_invitations(one, "default", until=NOW + DAY, now=NOW)
        expire(one, keep=timedelta(days=400), now=NOW)
    with ledger.open_ledger(url, lock=False) as one:
        waiting(one), scopes(one), guard_facts(one), job_state(one, "nightly")
        last_run(one, "nightly"), last_run(one, "nightly", done=True)
    assert len(plans.seen) > 50
    assert plans.scans == []


def test_no_statement_of_an_idle_wake_up_reads_all_that_is_live(
    tmp_path: Path, plans: Plans
) -> None:
    """What is on its way has an index of its own."""
    url = f"sqlite:///{tmp_path / 'invites.db'}"
    ledger.create(url)
    with ledger.open_ledger(url, lock=False) as one:
        plans.steps.clear()
        waiting(one), left_sending(one)
    steps = [step for step in plans.steps if "invitations" in step]
    assert len(steps) == 2
    assert all("invitations_not_at_rest" in step for step in steps), steps


def test_the_latest_messages_come_first_without_sorting_all(tmp_path: Path, plans: Plans) -> None:
    """By the index of their time: `history` begins at once, however long it is."""
    url = f"sqlite:///{tmp_path / 'invites.db'}"
    ledger.create(url)
    with ledger.open_ledger(url, lock=False) as one:
        assert list(each_message(one)) == []
    assert ["messages_by_time" in scan for scan in plans.scans] == [True]
