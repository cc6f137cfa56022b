"""Twelve faults that an exporter has, on rosters of several sizes: nobody is mailed wrongly.

A night that went well, then a roster with one fault: nothing of what the fault says goes out
before a person says yes, in that night or in the three that follow with the same file.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from hashlib import sha256

import pytest

from invites.model import Attendee, Meeting, Room
from invites.planning.actions import Send, Withdraw
from tests.peers.planning import DAY, HOUR, NOW, World, attendee, meeting

Row = tuple[Meeting, Attendee]
"""A roster's row; what a meeting's rows share is in the meeting, whose attendees are empty."""


def whole(meetings: int, each: int) -> list[Row]:
    """Return the rows of a roster: everybody once, a moderator, a room and a text in each meeting."""
    rows: list[Row] = []
    for number in range(meetings):
        one = meeting(
            f"m{number:04}",
            title=f"Course {number:04}",
            start=NOW + (2 + number // 8) * DAY + (number % 8) * HOUR,
            room=Room(claim=f"room{number}", segment=f"room{number}"),
            description=f"Bring page {number}.",
        )
        for person in range(each):
            name = f"Person{number:04}x{person:02}"
            rows.append((one, attendee(name, moderator=person == 0, user_id=f"u{name}")))
    return rows


def meetings_of(rows: Sequence[Row]) -> dict[str, Meeting]:
    """Return the meetings that these rows are."""
    found: dict[str, Meeting] = {}
    people: dict[str, dict[str, Attendee]] = {}
    for one, who in rows:
        found.setdefault(one.id, one)
        people.setdefault(one.id, {}).setdefault(who.address, who)
    return {
        meeting_id: replace(
            one,
            attendees=tuple(sorted(people[meeting_id].values(), key=lambda who: who.address)),
        )
        for meeting_id, one in found.items()
    }


def at(who: Attendee, other: Attendee) -> Attendee:
    """Return somebody with another one's address."""
    return replace(who, email=other.email, mailbox=other.mailbox, address=other.address)


def ids_renumbered(rows: list[Row]) -> list[Row]:
    """Give each meeting a new id, from 5000 on."""
    return [(replace(one, id=f"n{5000 + int(one.id[1:])}"), who) for one, who in rows]


def ids_moved_up(rows: list[Row]) -> list[Row]:
    """Leave the first meeting out, and give each the id before its own."""
    return [
        (replace(one, id=f"m{int(one.id[1:]) - 1:04}"), who)
        for one, who in rows
        if one.id != "m0000"
    ]


def addresses_shifted(rows: list[Row]) -> list[Row]:
    """Let the column `email` slip by one row."""
    others = [who for _, who in rows]
    return [(one, at(who, others[place - 1])) for place, (one, who) in enumerate(rows)]


def addresses_sorted(rows: list[Row]) -> list[Row]:
    """Sort the column `email` alone, by no order of ours."""
    others = sorted((who for _, who in rows), key=lambda who: sha256(who.address.encode()).digest())
    return [(one, at(who, other)) for (one, who), other in zip(rows, others, strict=True)]


def names_shifted(rows: list[Row]) -> list[Row]:
    """Let the column `name` slip by one row."""
    names = [who.name for _, who in rows]
    return [(one, replace(who, name=names[place - 1])) for place, (one, who) in enumerate(rows)]


def another_teams_file(rows: list[Row]) -> list[Row]:
    """Put the other team's export where ours is expected, with meetings of the same ids."""
    return [
        (
            replace(one, title=f"Their {one.title}", start=one.start + HOUR, end=one.end + HOUR),
            attendee(f"Their{who.name}"),
        )
        for one, who in rows
    ]


def another_teams_file_and_ids(rows: list[Row]) -> list[Row]:
    """Put the other team's export there, with ids of their own."""
    return [(replace(one, id=f"t{one.id}"), who) for one, who in another_teams_file(rows)]


def everybody_everywhere(rows: list[Row]) -> list[Row]:
    """Join without the key: all people, or 60 of them, in each meeting."""
    ones = {one.id: one for one, _ in rows}.values()
    people = [who for _, who in rows]
    return [(one, who) for one in ones for who in people[:60]]


def zone_lost(rows: list[Row]) -> list[Row]:
    """Lose the column `timezone`, so that all is an hour later."""
    return [(moved(one, zone="UTC"), who) for one, who in rows]


def half_an_hour_later(rows: list[Row]) -> list[Row]:
    """Move every other meeting by an hour."""
    return [(moved(one) if int(one.id[1:]) % 2 == 0 else one, who) for one, who in rows]


def moved(one: Meeting, *, zone: str = "") -> Meeting:
    """Return a meeting an hour later."""
    return replace(one, start=one.start + HOUR, end=one.end + HOUR, timezone=zone or one.timezone)


def flags_flipped(rows: list[Row]) -> list[Row]:
    """Let yes and no change places."""
    return [(one, replace(who, moderator=not who.moderator)) for one, who in rows]


def flags_emptied(rows: list[Row]) -> list[Row]:
    """Empty the column `moderator`."""
    return [(one, replace(who, moderator=False)) for one, who in rows]


def room_lost(rows: list[Row]) -> list[Row]:
    """Lose the column `room`."""
    return [(replace(one, room=None), who) for one, who in rows]


def user_id_lost(rows: list[Row]) -> list[Row]:
    """Lose the column `user_id`."""
    return [(one, replace(who, user_id="")) for one, who in rows]


def truncated(rows: list[Row]) -> list[Row]:
    """Cut the file after two thirds of its rows."""
    return rows[: len(rows) * 2 // 3]


def meetings_twice(rows: list[Row]) -> list[Row]:
    """List each meeting twice, the second time under another id."""
    return rows + [(replace(one, id=f"copy-{one.id}"), who) for one, who in rows]


FAULTS: tuple[Callable[[list[Row]], list[Row]], ...] = (
    ids_renumbered,
    ids_moved_up,
    addresses_shifted,
    addresses_sorted,
    names_shifted,
    another_teams_file,
    another_teams_file_and_ids,
    everybody_everywhere,
    zone_lost,
    half_an_hour_later,
    flags_flipped,
    flags_emptied,
    room_lost,
    user_id_lost,
    truncated,
    meetings_twice,
)
SIZES = ((12, 1), (18, 1), (10, 2), (9, 2), (6, 3), (5, 4), (40, 5), (200, 2))
"""Meetings, and attendees of each: 12, 18, 20, 18, 18, 20, 200 and 400 rows."""


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_nobody_is_mailed_wrongly_without_a_yes(
    fault: Callable[[list[Row]], list[Row]], size: tuple[int, int]
) -> None:
    """Four nights with the faulty roster send nothing at all, and each is refused by a guard."""
    rows = whole(*size)
    world = World()
    world.roster_fields = {"columns": frozenset({"timezone", "room", "user_id", "moderator"})}
    world.meetings = meetings_of(rows)
    assert len(world.run(due=world.now).actions) == len(rows)
    world.meetings = meetings_of(fault(rows))
    for _ in range(4):
        world.wait(timedelta(hours=6))
        plan = world.run(due=world.now)
        assert plan.refusals
        assert plan.accept_code
        assert plan.actions == ()


def test_another_teams_small_file_withdraws_nobody_night_after_night() -> None:
    """Five rows: who is gone is not counted as missing while it looks like another roster."""
    rows = whole(5, 1)
    world = World()
    world.meetings = meetings_of(rows)
    world.run(due=world.now)
    world.meetings = meetings_of(another_teams_file(rows))
    for _ in range(4):
        plan = world.wait(timedelta(hours=6)).run(due=world.now)
        assert "another roster" in {refusal.guard for refusal in plan.refusals}
        assert plan.actions == ()


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_one_yes_carries_the_whole_plan_out(fault: Callable[[list[Row]], list[Row]]) -> None:
    """Where the roster was right after all, the one code lets everything of it go out."""
    rows = whole(6, 3)
    world = World()
    world.meetings = meetings_of(rows)
    world.run()
    world.meetings = meetings_of(fault(rows))
    world.wait(HOUR)
    code = world.plan().accept_code
    plan = world.run(accept=code)
    assert plan.refusals == ()
    assert plan.accepted >= 1
    assert plan.actions != ()
    assert not [hold for hold in plan.held if "fault" in hold.reason.value]


def test_a_mended_roster_goes_on_as_if_nothing_had_been() -> None:
    """After a refused night the right roster sends nothing to anybody."""
    rows = whole(6, 3)
    world = World()
    world.meetings = meetings_of(rows)
    world.run(due=world.now)
    for fault in FAULTS:
        world.meetings = meetings_of(fault(rows))
        world.wait(DAY / 8).run(due=world.now)
        world.meetings = meetings_of(rows)
        plan = world.wait(DAY / 8).run(due=world.now)
        assert (plan.actions, plan.refusals) == ((), ())


def test_many_small_losses_are_held_like_a_great_one() -> None:
    """8 % fewer every second night for 20 nights: no more than the window's share is withdrawn."""
    world = World()
    world.meetings = {
        f"m{number:04}": meeting(f"m{number:04}", attendee(f"P{number}"), start=NOW + 60 * DAY)
        for number in range(1000)
    }
    world.run(due=world.now)
    withdrawn, refused = 0, 0
    for night in range(20):
        if night % 2:
            for meeting_id in sorted(world.meetings)[: len(world.meetings) * 8 // 100]:
                del world.meetings[meeting_id]
        world.wait(DAY)
        plan = world.run(due=world.now)
        assert not any(isinstance(action, Send) for action in plan.actions)
        withdrawn += sum(isinstance(action, Withdraw) for action in plan.actions)
        refused += bool(plan.refusals)
    assert withdrawn <= 100
    assert refused >= 10


def test_a_yes_begins_the_window_anew() -> None:
    """What was seen and accepted is not held against a small loss of the next night."""
    world = World()
    world.meetings = {
        f"m{number:02}": meeting(f"m{number:02}", attendee(f"P{number}"), start=NOW + 60 * DAY)
        for number in range(60)
    }
    world.run(due=world.now)
    for meeting_id in sorted(world.meetings)[:20]:
        del world.meetings[meeting_id]
    world.wait(DAY)
    world.run(due=world.now, accept=world.plan(due=world.now).accept_code)
    for meeting_id in sorted(world.meetings)[:3]:
        del world.meetings[meeting_id]
    assert world.wait(DAY).plan(due=world.now).refusals == ()
