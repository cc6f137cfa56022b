"""Short nights, each of which only the fault of its name would spoil."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from tests.receiver.machine import first_start, guest
from tests.receiver.truth import RosterMeeting
from tests.receiver.world import DAY, HOUR, ReceiverWorld

Scenario = Callable[[ReceiverWorld], None]
SCENARIOS: dict[str, Scenario] = {}


def spoilt_by(name: str) -> Callable[[Scenario], Scenario]:
    """Add a scenario to the list."""

    def add(scenario: Scenario) -> Scenario:
        SCENARIOS[name] = scenario
        return scenario

    return add


def board(world: ReceiverWorld) -> RosterMeeting:
    """Write a meeting of two into the roster, nine days from now."""
    found = RosterMeeting(title="Board", start=first_start(9), guests=[guest("Ada"), guest("Bob")])
    world.paper.gatherings["board"] = found
    return found


@spoilt_by("DTSTAMP is the clock's, also when that was set back")
def _clock_set_back(world: ReceiverWorld) -> None:
    meeting = board(world)
    world.run()
    world.now -= HOUR
    meeting.title = "Numbers"
    world.run()


@spoilt_by("CANCEL goes to all when one is removed")
def _one_is_removed(world: ReceiverWorld) -> None:
    meeting = board(world)
    world.run()
    del meeting.guests[0]
    world.run(withdraw_now=True)


@spoilt_by("who is missing once is withdrawn")
def _missing_once(world: ReceiverWorld) -> None:
    meeting = board(world)
    world.run()
    gone = meeting.guests.pop()
    world.run()
    meeting.guests.append(gone)
    world.run()


@spoilt_by("who is back again gets SEQUENCE 0")
def _back_again(world: ReceiverWorld) -> None:
    meeting = board(world)
    world.run()
    gone = meeting.guests.pop()
    world.run(withdraw_now=True)
    meeting.guests.append(gone)
    world.run()


@spoilt_by("who never got an invitation gets a CANCEL")
def _never_invited(world: ReceiverWorld) -> None:
    meeting = board(world)
    world.run(fates=["failed at RCPT"])
    del meeting.guests[0]
    world.run(withdraw_now=True)


@spoilt_by("meetings that are over are mailed about")
def _over(world: ReceiverWorld) -> None:
    meeting = board(world)
    world.run()
    world.now += 20 * DAY
    meeting.title = "Numbers"
    world.run()


@spoilt_by("a new title is told to nobody")
def _new_title(world: ReceiverWorld) -> None:
    meeting = board(world)
    world.run()
    meeting.title = "Numbers"
    world.run()


@spoilt_by("the old address keeps its invitation")
def _new_address(world: ReceiverWorld) -> None:
    meeting = board(world)
    world.run()
    meeting.guests[0].mailbox = "ada@example.net"


@spoilt_by("what may have been sent counts as never sent")
def _death_and_a_move(world: ReceiverWorld) -> None:
    meeting = board(world)
    world.run(fates=["death after it arrived"])
    meeting.minutes = 45
    world.run()


@spoilt_by("a message that is tried again is another message")
def _death_and_again(world: ReceiverWorld) -> None:
    board(world)
    world.run(fates=["death after it arrived"])
    world.run()


@spoilt_by("what lies beyond the horizon goes out")
def _far_away(world: ReceiverWorld) -> None:
    board(world)
    world.run(horizon=3 * DAY)


@spoilt_by("a roster that shrank withdraws those who are gone")
def _half_is_lost(world: ReceiverWorld) -> None:
    meeting = board(world)
    meeting.guests += [guest(f"RosterPerson{number}") for number in range(10)]
    world.run()
    gone = sorted(world.paper.places())[::2]
    world.run(paper=world.paper.without(gone), withdraw_now=True)


@spoilt_by("a revision that was superseded still goes out")
def _superseded(world: ReceiverWorld) -> None:
    meeting = board(world)
    world.run()
    meeting.title = "Numbers"
    world.run(fates=["deferred at RCPT", "deferred at RCPT"])
    meeting.title = "Plans"
    world.run()


@spoilt_by("one attendee's change is told to all")
def _one_changes(world: ReceiverWorld) -> None:
    meeting = board(world)
    world.run()
    meeting.guests[0].moderator = True
    world.run()


@spoilt_by("another secret is not noticed")
def _rotated(world: ReceiverWorld) -> None:
    board(world)
    world.run()
    world.setup = replace(world.setup, secret="second")
    world.run()


@spoilt_by("another organizer updates what the former one made")
@spoilt_by("a CANCEL comes from the mailbox of now")
def _another_organizer(world: ReceiverWorld) -> None:
    board(world)
    world.run()
    world.setup = replace(world.setup, mailbox="rooms@example.net")
    world.run(accept=True)


@spoilt_by("a date is told alone to who may not have its series")
def _date_in_doubt(world: ReceiverWorld) -> None:
    meeting = board(world)
    meeting.weeks = 4
    world.run(fates=["death after it arrived"])
    meeting.late = frozenset({1})
    world.run()
