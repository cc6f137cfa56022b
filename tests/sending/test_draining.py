"""Deferred messages: waited for by `send`, drained by the ledger alone."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from invites.errors import Exit
from invites.ledger.history import past_runs, waiting
from invites.planning.state import State
from invites.sending import RunReport, drain, send
from tests.peers.smtp_server import Fault, ScriptedServer
from tests.world import ADA, BOB, PassWorld, smtp

MINUTE = timedelta(minutes=1)


@pytest.fixture
def greylisting() -> Iterator[ScriptedServer]:
    """Give a server that defers Bob's first message."""
    with ScriptedServer([Fault("RCPT", "451", only="bob@example.org", times=2)]) as server:
        yield server


def sent(world: PassWorld, retry_wait: timedelta) -> RunReport:
    """Send to Ada and Bob and wait for so long."""
    with world.locked() as ledger:
        return send(
            world.roster(ADA, BOB),
            world.renderer,
            ledger,
            world.options(),
            world.effects,
            delivery_for=world.delivery_for,
            retry_wait=retry_wait,
        )


def test_send_waits_for_the_backoff_and_tries_again(
    tmp_path: Path, greylisting: ScriptedServer
) -> None:
    """Five minutes; then all are sent, and the report says so."""
    world = PassWorld(folder=tmp_path, sections=smtp(greylisting), to="smtp")
    report = sent(world, 10 * MINUTE)
    assert world.pauses == [5 * MINUTE]
    assert (report.exit_code, report.ended, report.unsent) == (Exit.DONE, {State.SENT: 2}, ())
    assert len(greylisting.accepted) == 2


def test_send_does_not_wait_longer_than_it_may(tmp_path: Path, greylisting: ScriptedServer) -> None:
    """Nor at all, unless it is told to."""
    world = PassWorld(folder=tmp_path, sections=smtp(greylisting), to="smtp")
    report = sent(world, 4 * MINUTE)
    assert (world.pauses, report.exit_code) == ([], Exit.IN_PART)
    (one,) = report.unsent
    assert (one.state, one.next_attempt) == (State.DEFERRED, world.now + 5 * MINUTE)
    assert one.answer.startswith("451")


def test_the_waits_grow_while_the_server_goes_on_deferring(tmp_path: Path) -> None:
    """5, 10, 20 minutes, as long as they end in time."""
    with ScriptedServer([Fault("RCPT", "451", only="bob@example.org")]) as server:
        world = PassWorld(folder=tmp_path, sections=smtp(server), to="smtp")
        report = sent(world, 60 * MINUTE)
    assert world.pauses == [5 * MINUTE, 10 * MINUTE, 20 * MINUTE]
    assert report.exit_code is Exit.IN_PART
    assert report.ended == {State.SENT: 1, State.DEFERRED: 1}


def test_draining_sends_what_is_due_and_nothing_else(
    tmp_path: Path, greylisting: ScriptedServer
) -> None:
    """From the ledger alone, with the Message-ID of the first attempt, as a run of its own."""
    world = PassWorld(folder=tmp_path, sections=smtp(greylisting), to="smtp")
    sent(world, timedelta(0))
    with world.locked() as ledger:
        planned_id = waiting(ledger)[0].sequence

        def drained() -> RunReport | None:
            return drain(
                world.renderer,
                ledger,
                world.options(),
                world.effects,
                delivery_for=world.delivery_for,
            )

        assert drained() is None
        world.now += 5 * MINUTE
        report = drained()
        assert report is not None
        assert (report.exit_code, report.ended) == (Exit.DONE, {State.SENT: 1})
        assert (drained(), waiting(ledger), planned_id) == (None, (), 0)
        assert [run.source for run in past_runs(ledger)] == [
            "(deferred messages)",
            str(world.folder / "roster.csv"),
        ]
    assert [one.recipient for one in greylisting.accepted] == [
        "ada@example.org",
        "bob@example.org",
    ]


def test_what_belongs_to_a_meeting_that_is_over_is_given_up(
    tmp_path: Path, greylisting: ScriptedServer
) -> None:
    """Nobody hears of a meeting that is over."""
    world = PassWorld(folder=tmp_path, sections=smtp(greylisting), to="smtp")
    sent(world, timedelta(0))
    world.now += timedelta(days=60)
    with world.locked() as ledger:
        report = drain(
            world.renderer,
            ledger,
            world.options(),
            world.effects,
            delivery_for=world.delivery_for,
        )
    assert report is None
    assert len(greylisting.accepted) == 1
