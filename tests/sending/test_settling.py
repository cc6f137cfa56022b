"""What a run that died left on its way: each delivery knows of what it carried itself."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from invites.ledger.history import waiting
from invites.ledger.runs import begin_run
from invites.ledger.write import Key, record_plan
from invites.planning.state import State
from invites.sending import planned, run_start, send, settle
from invites.sending.journal import LedgerJournal
from invites.sending.renderer import composed
from tests.peers.smtp_server import ScriptedServer
from tests.world import ADA, PassWorld, smtp


def left_on_its_way(world: PassWorld) -> Sequence[str]:
    """Do what a run does up to the moment in which a message may leave, and no more."""
    roster, options = world.roster(ADA), world.options()
    with world.locked() as ledger:
        plan = planned(roster, world.renderer, ledger, options, now=world.now)
        run_id = begin_run(ledger, run_start(options, roster.source, roster.digest), now=world.now)
        record_plan(ledger, plan)
        journal = LedgerJournal(ledger, run_id, plan.actions, clock=lambda: world.now)
        ids = []
        for action, invitation in composed(plan.actions, world.renderer):
            journal.announced(Key.of(action), invitation.message_id)
            journal.note(outcomes=(), sending=[Key.of(action)])
            ids.append(invitation.message_id)
    return ids


def settled(world: PassWorld) -> list[State]:
    """Settle, and return the states of what is not accepted yet."""
    with world.locked() as ledger:
        settle(ledger, world.delivery_for, now=world.now)
        return [one.state for one in waiting(ledger)]


def test_a_folder_knows_that_its_batch_is_not_there(world: PassWorld) -> None:
    """Then the message was surely not sent."""
    left_on_its_way(world)
    assert settled(world) == [State.PLANNED]


def test_nobody_knows_what_a_mail_server_got(tmp_path: Path) -> None:
    """Neither it nor a folder that is asked by the next run."""
    with ScriptedServer() as server:
        world = PassWorld(folder=tmp_path, sections=smtp(server), to="smtp")
        left_on_its_way(world)
        world.to = "folder"
        assert settled(world) == [State.UNKNOWN]


def test_the_next_run_repeats_the_message_with_its_message_id(world: PassWorld) -> None:
    """The very revision that was planned."""
    (message_id,) = left_on_its_way(world)
    with world.locked() as ledger:
        report = send(
            world.roster(ADA),
            world.renderer,
            ledger,
            world.options(),
            world.effects,
            delivery_for=world.delivery_for,
        )
    assert report.ended == {State.SENT: 1}
    (manifest,) = (world.folder / "outbox").glob("*/manifest.csv")
    assert message_id in manifest.read_text()
