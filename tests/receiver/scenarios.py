"""Short nights, each of which only the fault of its name would spoil."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from tests.receiver.machine import first_start, guest
from tests.receiver.office import DAY, HOUR, Office
from tests.receiver.truth import Gathering

Scenario = Callable[[Office], None]
SCENARIOS: dict[str, Scenario] = {}


def spoilt_by(name: str) -> Callable[[Scenario], Scenario]:
    """Add a scenario to the list."""

    def add(scenario: Scenario) -> Scenario:
        SCENARIOS[name] = scenario
        return scenario

    return add


def board(office: Office) -> Gathering:
    """Write a meeting of two into the roster, nine days from now."""
    found = Gathering(title="Board", start=first_start(9), guests=[guest("Ada"), guest("Bob")])
    office.paper.gatherings["board"] = found
    return found


@spoilt_by("DTSTAMP is the clock's, also when that was set back")
def _clock_set_back(office: Office) -> None:
    meeting = board(office)
    office.run()
    office.now -= HOUR
    meeting.title = "Numbers"
    office.run()


@spoilt_by("CANCEL goes to all when one is removed")
def _one_is_removed(office: Office) -> None:
    meeting = board(office)
    office.run()
    del meeting.guests[0]
    office.run(withdraw_now=True)


@spoilt_by("who is missing once is withdrawn")
def _missing_once(office: Office) -> None:
    meeting = board(office)
    office.run()
    gone = meeting.guests.pop()
    office.run()
    meeting.guests.append(gone)
    office.run()


@spoilt_by("who is back again gets SEQUENCE 0")
def _back_again(office: Office) -> None:
    meeting = board(office)
    office.run()
    gone = meeting.guests.pop()
    office.run(withdraw_now=True)
    meeting.guests.append(gone)
    office.run()


@spoilt_by("who never got an invitation gets a CANCEL")
def _never_invited(office: Office) -> None:
    meeting = board(office)
    office.run(fates=["failed at RCPT"])
    del meeting.guests[0]
    office.run(withdraw_now=True)


@spoilt_by("meetings that are over are mailed about")
def _over(office: Office) -> None:
    meeting = board(office)
    office.run()
    office.now += 20 * DAY
    meeting.title = "Numbers"
    office.run()


@spoilt_by("a new title is told to nobody")
def _new_title(office: Office) -> None:
    meeting = board(office)
    office.run()
    meeting.title = "Numbers"
    office.run()


@spoilt_by("the old address keeps its invitation")
def _new_address(office: Office) -> None:
    meeting = board(office)
    office.run()
    meeting.guests[0].mailbox = "ada@example.net"


@spoilt_by("what may have been sent counts as never sent")
def _death_and_a_move(office: Office) -> None:
    meeting = board(office)
    office.run(fates=["death after it arrived"])
    meeting.minutes = 45
    office.run()


@spoilt_by("a message that is tried again is another message")
def _death_and_again(office: Office) -> None:
    board(office)
    office.run(fates=["death after it arrived"])
    office.run()


@spoilt_by("what lies beyond the horizon goes out")
def _far_away(office: Office) -> None:
    board(office)
    office.run(horizon=3 * DAY)


@spoilt_by("a roster that shrank withdraws those who are gone")
def _half_is_lost(office: Office) -> None:
    meeting = board(office)
    meeting.guests += [guest(f"Guest{number}") for number in range(10)]
    office.run()
    gone = sorted(office.paper.places())[::2]
    office.run(paper=office.paper.without(gone), withdraw_now=True)


@spoilt_by("a revision that was superseded still goes out")
def _superseded(office: Office) -> None:
    meeting = board(office)
    office.run()
    meeting.title = "Numbers"
    office.run(fates=["deferred at RCPT", "deferred at RCPT"])
    meeting.title = "Plans"
    office.run()


@spoilt_by("one attendee's change is told to all")
def _one_changes(office: Office) -> None:
    meeting = board(office)
    office.run()
    meeting.guests[0].moderator = True
    office.run()


@spoilt_by("another secret is not noticed")
def _rotated(office: Office) -> None:
    board(office)
    office.run()
    office.house = replace(office.house, secret="second")
    office.run()
