"""Two rosters on one ledger, and one that is sent by hand before a job takes it over."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from invites.errors import RosterRefusedError
from tests.receiver.machine import first_start, guest
from tests.receiver.office import DAY, Office
from tests.receiver.truth import Gathering, Paper


def gathering(*names: str) -> Gathering:
    """Return a meeting of these people."""
    return Gathering(title="Board", start=first_start(9), guests=[guest(name) for name in names])


@pytest.fixture
def office() -> Iterator[Office]:
    """Give an office that has invited nobody."""
    office = Office()
    yield office
    office.close()


def test_two_scopes_on_one_ledger_withdraw_nobody_of_the_other(office: Office) -> None:
    """Each roster speaks for its own meetings, night after night, even told to withdraw at once."""
    school = Paper({"lessons": gathering("Ada", "Bob")})
    clinic = Paper({"rounds": gathering("Ada", "Kim")})
    for _ in range(4):
        office.run(paper=school, scope="school", withdraw_now=True)
        office.run(paper=clinic, scope="clinic", withdraw_now=True)
        office.now += DAY
    assert len(office.watch.arrived) == 4
    school.gatherings["lessons"].guests.pop()
    office.run(paper=school, scope="school", withdraw_now=True)
    held = {
        (address, office.watch.meeting_of[uid]) for address, uid in office.watch.post.standing()
    }
    assert held == {
        ("ada@example.org", "lessons"),
        ("ada@example.org", "rounds"),
        ("kim@example.org", "rounds"),
    }


def test_by_hand_first_and_then_by_a_job_needs_a_claim(office: Office) -> None:
    """Refused without it, nothing sent with it, and from then on the job looks after all."""
    paper = office.paper
    paper.gatherings["board"] = gathering("Ada", "Bob")
    office.run()
    with pytest.raises(RosterRefusedError) as caught:
        office.run(scope="nightly")
    assert "--claim default" in caught.value.problems[0].expected
    assert len(office.watch.arrived) == 2
    report = office.run(scope="nightly", claimed=("default",))
    assert report is not None
    assert report.plan.actions == ()
    paper.gatherings["board"].guests.pop()
    office.run(scope="nightly")
    assert len(office.watch.arrived) == 2
    office.now += DAY
    office.run(scope="nightly")
    assert set(office.held()) == {("board", "ada@example.org")}


def test_a_claim_with_a_part_of_the_meetings_withdraws_nobody_at_once(office: Office) -> None:
    """What was sent by hand and the job's roster lacks is missing once, not gone."""
    hand = Paper({"board": gathering("Ada"), "retro": gathering("Bob")})
    office.run(paper=hand)
    job = Paper({"board": gathering("Ada")})
    office.run(paper=job, scope="nightly", claimed=("default",))
    assert len(office.watch.arrived) == 2
    assert len(office.watch.post.standing()) == 2
    with pytest.raises(RosterRefusedError):
        office.run(paper=hand)
