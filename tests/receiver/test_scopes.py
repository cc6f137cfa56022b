"""Two rosters on one ledger, and one that is sent by hand before a job takes it over."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from invites.errors import RosterRefusedError
from tests.receiver.machine import first_start, guest
from tests.receiver.truth import RosterMeeting, RosterText
from tests.receiver.world import DAY, ReceiverWorld


def gathering(*names: str) -> RosterMeeting:
    """Return a meeting of these people."""
    return RosterMeeting(
        title="Board", start=first_start(9), guests=[guest(name) for name in names]
    )


@pytest.fixture
def world() -> Iterator[ReceiverWorld]:
    """Give a world that has invited nobody."""
    world = ReceiverWorld()
    yield world
    world.close()


def test_two_scopes_on_one_ledger_withdraw_nobody_of_the_other(world: ReceiverWorld) -> None:
    """Each roster speaks for its own meetings, night after night, even told to withdraw at once."""
    school = RosterText({"lessons": gathering("Ada", "Bob")})
    clinic = RosterText({"rounds": gathering("Ada", "Kim")})
    for _ in range(4):
        world.run(paper=school, scope="school", withdraw_now=True)
        world.run(paper=clinic, scope="clinic", withdraw_now=True)
        world.now += DAY
    assert len(world.watch.arrived) == 4
    school.gatherings["lessons"].guests.pop()
    world.run(paper=school, scope="school", withdraw_now=True)
    held = {(address, world.watch.meeting_of[uid]) for address, uid in world.watch.post.standing()}
    assert held == {
        ("ada@example.org", "lessons"),
        ("ada@example.org", "rounds"),
        ("kim@example.org", "rounds"),
    }


def test_by_hand_first_and_then_by_a_job_needs_a_claim(world: ReceiverWorld) -> None:
    """Refused without it, nothing sent with it, and from then on the job looks after all."""
    paper = world.paper
    paper.gatherings["board"] = gathering("Ada", "Bob")
    world.run()
    with pytest.raises(RosterRefusedError) as caught:
        world.run(scope="nightly")
    assert "--claim default" in caught.value.problems[0].expected
    assert len(world.watch.arrived) == 2
    report = world.run(scope="nightly", claimed=("default",))
    assert report is not None
    assert report.plan.actions == ()
    paper.gatherings["board"].guests.pop()
    world.run(scope="nightly")
    assert len(world.watch.arrived) == 2
    world.now += DAY
    world.run(scope="nightly")
    assert set(world.held()) == {("board", "ada@example.org")}


def test_a_claim_with_a_part_of_the_meetings_withdraws_nobody_at_once(world: ReceiverWorld) -> None:
    """What was sent by hand and the job's roster lacks is missing once, not gone."""
    hand = RosterText({"board": gathering("Ada"), "retro": gathering("Bob")})
    world.run(paper=hand)
    job = RosterText({"board": gathering("Ada")})
    world.run(paper=job, scope="nightly", claimed=("default",))
    assert len(world.watch.arrived) == 2
    assert len(world.watch.post.standing()) == 2
    with pytest.raises(RosterRefusedError):
        world.run(paper=hand)
