"""One pass of `send`, whole: a roster file, a real ledger, and a folder or a server that receives."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from invites import ledger
from invites import settings as settings_package
from invites.errors import Exit, GuardError, RosterRefusedError, TryAgainError
from invites.planning.actions import Cause
from invites.planning.state import State
from invites.sending import Renderer, planned
from tests.peers.smtp_server import Fault, ScriptedServer
from tests.support import SETTINGS, write_settings
from tests.world import ADA, BOB, EVE, PassWorld, read_mail, smtp

NOW = datetime(2031, 2, 1, 2, 15, tzinfo=UTC)
DAY = timedelta(days=1)


def mails(world: PassWorld) -> list[tuple[str, str, int, str]]:
    """Return receiver, METHOD, SEQUENCE and subject of every message in the outbox, by batch."""
    paths = (path for batch in world.batch_folders() for path in sorted(batch.rglob("*.eml")))
    found = [read_mail(path.read_bytes()) for path in paths]
    return [(*mail.brief, mail.subject) for mail in found]


@pytest.fixture
def relay() -> Iterator[ScriptedServer]:
    """Give a server that accepts everything."""
    with ScriptedServer() as server:
        yield server


def test_the_second_run_sends_nothing(world: PassWorld) -> None:
    """Everybody is invited once."""
    first = world.send(ADA, BOB, EVE)
    assert (first.exit_code, first.ended) == (Exit.DONE, {State.SENT: 3})
    second = world.send(EVE, BOB, ADA)
    assert (second.exit_code, second.plan.actions) == (Exit.DONE, ())
    assert [mail[:3] for mail in mails(world)] == [
        ("eve@example.org", "REQUEST", 0),
        ("ada@example.org", "REQUEST", 0),
        ("bob@example.org", "REQUEST", 0),
    ]


def test_a_moved_meeting_and_a_withdrawal_reach_the_right_people(world: PassWorld) -> None:
    """Update to those of the meeting, CANCEL to the one who is gone, nothing to the others."""
    world.send(ADA, BOB, EVE)
    report = world.send(ADA.replace("09:30", "10:00"), EVE, withdraw_after=1)
    assert report.plan.counts["updated"] == report.plan.counts["withdrawn"] == 1
    assert [mail[:3] for mail in mails(world)[3:]] == [
        ("ada@example.org", "REQUEST", 1),
        ("bob@example.org", "CANCEL", 1),
    ]


def test_who_is_withdrawn_and_back_again_has_an_invitation_above_the_cancel(
    world: PassWorld,
) -> None:
    """The calendar takes it, for its SEQUENCE is higher."""
    world.send(ADA, BOB)
    world.send(ADA, withdraw_now=True)
    report = world.send(ADA, BOB)
    (action,) = report.plan.actions
    assert (action.cause, action.revision.sequence) == (Cause.BACK, 2)


def test_another_secret_sends_everything_again(world: PassWorld, tmp_path: Path) -> None:
    """The old links are dead; the change is counted as an update of each."""
    world.send(ADA, BOB)
    (tmp_path / "other").mkdir()
    changed = write_settings(tmp_path / "other", SETTINGS.replace("a test's", "another test's"))
    world.renderer = Renderer.from_settings(settings_package.load(changed, environ={}))
    report = world.send(ADA, BOB)
    assert report.plan.counts["updated"] == 2
    assert {change.field for change in report.plan.actions[0].changes} == {"key", "room"}
    assert "room_key_file" in report.plan.warnings[0]


def test_planning_changes_nothing_and_says_the_same(world: PassWorld) -> None:
    """The plan is what the next send does."""
    world.send(ADA)
    before = (world.folder / "invites.db").read_bytes()
    roster = world.roster(ADA, BOB)
    with ledger.open_ledger(world.settings.ledger.url, lock=False) as opened:
        plan = planned(roster, world.renderer, opened, world.options(), now=world.now + DAY)
    assert (world.folder / "invites.db").read_bytes() == before
    assert [action.attendee.name for action in plan.actions] == ["Bob"]
    assert [action.attendee.name for action in world.send(ADA, BOB).plan.actions] == ["Bob"]


def test_planning_against_a_new_ledger_invites_everybody(world: PassWorld) -> None:
    """None stands for the ledger that --new-ledger would make."""
    world.send(ADA)
    options = world.options()
    plan = planned(world.roster(ADA, BOB), world.renderer, None, options, now=world.now)
    assert plan.counts["new"] == 2


def test_another_scopes_meeting_is_refused_until_it_is_claimed(world: PassWorld) -> None:
    """By hand first, then by a job, on one ledger."""
    world.send(ADA, BOB)
    with pytest.raises(RosterRefusedError) as caught:
        world.send(ADA, BOB, scope="nightly")
    assert "--claim default" in caught.value.problems[0].expected
    report = world.send(ADA, BOB, scope="nightly", claimed=("default",))
    assert (report.exit_code, report.plan.actions) == (Exit.DONE, ())
    assert len(report.plan.kept) == 2
    assert world.send(ADA, BOB, scope="nightly").exit_code is Exit.DONE


def test_a_tripped_guard_ends_with_its_exit_code_and_sends_the_rest(world: PassWorld) -> None:
    """All but one of the meetings gone: nobody is withdrawn, the new one is invited, exit 6."""
    rows = [EVE.replace("review", f"r{number}") for number in range(5)]
    world.send(*rows)
    report = world.send(ADA, withdraw_now=True)
    assert report.exit_code is Exit.GUARD
    assert [action.attendee.name for action in report.plan.actions] == ["Ada"]


def test_a_clock_set_back_is_refused_before_anything(world: PassWorld) -> None:
    """The ledger remembers when it was last used."""
    world.send(ADA)
    world.now -= DAY
    with pytest.raises(GuardError, match="clock"):
        world.send(ADA, BOB)
    assert len(mails(world)) == 1


def test_a_relay_gets_each_message_once(tmp_path: Path, relay: ScriptedServer) -> None:
    """And the ledger has the server's answer."""
    world = PassWorld(folder=tmp_path, sections=smtp(relay), to="smtp")
    assert world.send(ADA, BOB).ended == {State.SENT: 2}
    assert world.send(ADA, BOB).ended == {}
    assert len(relay.ids()) == len(set(relay.ids())) == 2


def test_a_deferred_message_goes_out_later_with_the_same_id(tmp_path: Path) -> None:
    """Exit 4, backoff, then the same revision."""
    with ScriptedServer([Fault("RCPT", "451", times=1)]) as relay:
        world = PassWorld(folder=tmp_path, sections=smtp(relay), to="smtp")
        first = world.send(ADA)
        assert (first.exit_code, first.ended) == (Exit.IN_PART, {State.DEFERRED: 1})
        assert world.send(ADA).exit_code is Exit.IN_PART
        world.now += timedelta(minutes=5)
        assert world.send(ADA).ended == {State.SENT: 1}


def test_a_signal_stops_before_the_next_message_and_the_next_run_goes_on(
    tmp_path: Path, relay: ScriptedServer
) -> None:
    """Exit 75, and what is left goes out next time."""
    world = PassWorld(folder=tmp_path, sections=smtp(relay), to="smtp")
    world.stop = True
    report = world.send(ADA, BOB)
    assert isinstance(report.trouble, TryAgainError)
    assert report.exit_code is Exit.TRY_AGAIN
    world.stop = False
    assert world.send(ADA, BOB).ended == {State.SENT: 2}


def test_a_yes_to_strangers_withdraws_nobody_at_the_first_miss(world: PassWorld) -> None:
    """Who is gone is missed as often as ever; a yes to a roster that shrank alone waives that."""
    ours = [
        BOB.replace("Bob", f"Bob {n}").replace("bob@", f"bob{n}@").replace("u2", f"u{n}")
        for n in "1234"
    ]
    theirs = [
        EVE.replace("Eve", f"Eve {n}").replace("eve@", f"eve{n}@").replace("u3", f"e{n}")
        for n in "1234"
    ]
    world.send(*ours)
    refused = world.send(*theirs)
    assert {refusal.guard for refusal in refused.plan.refusals} == {"another roster"}
    accepted = world.send(*theirs, accept=refused.plan.accept_code)
    assert (accepted.plan.counts["new"], accepted.plan.counts["withdrawn"]) == (4, 0)
