"""What a wake-up reads does not grow with the history."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, event

from invites import ledger
from invites.ledger.erase import expire
from invites.ledger.history import last_run, scopes, waiting
from invites.ledger.jobs import job_state, sent_reminders, standing_invitations
from invites.ledger.runs import guard_facts, left_sending, sent_since
from tests.ledger.test_forgetting import send
from tests.peers.planning import DAY, NOW, World, attendee, meeting


def test_no_statement_of_a_wake_up_scans_the_messages(tmp_path: Path) -> None:
    """By SQLite's own plan of each statement that an unchanged `send` and an idle `run` make."""
    url = f"sqlite:///{tmp_path / 'invites.db'}"
    ledger.create(url)
    scans: list[str] = []
    seen: set[str] = set()

    def explain(
        connection: Connection,
        _cursor: Any,
        statement: str,
        given: Any,
        _context: Any,
        many: bool,  # noqa: FBT001
    ) -> None:
        if statement in seen or not statement.startswith(("SELECT", "UPDATE", "DELETE", "INSERT")):
            return
        seen.add(statement)
        raw: Any = connection.connection.driver_connection
        steps = raw.execute(f"EXPLAIN QUERY PLAN {statement}", given[0] if many else given)
        scans.extend(statement for step in steps if step[3].startswith("SCAN messages"))

    with ledger.open_ledger(url, lock=True) as one:
        world = World().put(meeting("m", attendee("Ada"), attendee("Bob")))
        send(one, world)
        event.listen(Engine, "before_cursor_execute", explain)
        try:
            assert send(one, world) == []
            left_sending(one), waiting(one), scopes(one), guard_facts(one)
            sent_since(one, DAY, now=NOW)
            last_run(one, "nightly"), job_state(one, "nightly"), sent_reminders(one, now=NOW)
            standing_invitations(one, "default", until=NOW + DAY, now=NOW)
            expire(one, keep=timedelta(days=400), now=NOW)
        finally:
            event.remove(Engine, "before_cursor_execute", explain)
    assert len(seen) > 15
    assert scans == []
