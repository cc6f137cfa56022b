"""Whole sweeps of what `make test` samples: exporters' faults, and rosters that were cut.

Plans alone, each night of which is carried out in memory: thousands of nights take a minute.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from itertools import zip_longest

import pytest

from invites.planning.actions import Withdraw
from invites.planning.patterns import PATTERN
from tests.peers.planning import DAY, NOW, World
from tests.planning.test_exporter_faults import FAULTS, Row, meetings_of, truncated, whole

Record = Callable[[str, str], None]

SMALL = ((5, 1), (12, 1), (6, 2))
"""Meetings, and attendees of each: rosters of 5 and 12 rows; two meetings alone are no pattern."""

MUTATIONS = 200
NIGHTS = 20


def mutated(randomness: random.Random) -> list[Row]:
    """Return the rows of a roster of some size, in some order, with times and roles of its own."""
    size = randomness.choice((*SMALL, (randomness.randrange(5, 60), randomness.randrange(1, 4))))
    shift = timedelta(days=5 + randomness.randrange(20), minutes=15 * randomness.randrange(40))
    chairs = randomness.randrange(2, 5)
    rows = [
        (
            replace(one, start=one.start + shift, end=one.end + shift),
            replace(who, moderator=who.moderator or randomness.randrange(chairs) == 0),
        )
        for one, who in whole(*size)
    ]
    randomness.shuffle(rows)
    return rows


@pytest.mark.faults
@pytest.mark.parametrize(
    "fault",
    # A roster that ends early is judged by how many it withdraws: below.
    [fault for fault in FAULTS if fault is not truncated],
    ids=lambda fault: fault.__name__,
)
def test_no_fault_of_an_exporter_mails_anybody_without_a_yes(
    fault: Callable[[list[Row]], list[Row]], record_property: Record
) -> None:
    """200 rosters with it, of 5 and 12 rows and of up to 180, for three nights each."""
    wrongly: list[str] = []
    held_back = 0
    for number in range(MUTATIONS):
        randomness = random.Random(f"{fault.__name__} {number}")  # noqa: S311 - can be repeated
        rows = mutated(randomness)
        while sum(old != new for old, new in zip_longest(rows, fault(rows))) < PATTERN:
            rows = mutated(randomness)  # such as a sorted column that was nearly sorted before
        world = World()
        world.roster_fields = {"columns": frozenset({"timezone", "room", "user_id", "moderator"})}
        world.meetings = meetings_of(rows)
        assert len(world.run(due=world.now).actions) == len(rows)
        world.meetings = meetings_of(fault(rows))
        refused = []
        for _ in range(3):
            plan = world.wait(DAY).run(due=world.now)
            wrongly += [f"{number}: {one.attendee.address}" for one in plan.actions]
            refused.append(bool(plan.refusals))
        held_back += all(refused)
    record_property(
        "figures",
        f"{fault.__name__}: {MUTATIONS} tried, {held_back} held back, "
        f"{len(wrongly)} messages wrongly mailed",
    )
    assert wrongly == []
    assert held_back == MUTATIONS


@pytest.mark.faults
@pytest.mark.parametrize(
    "size", [*SMALL, (4, 3), (30, 2), (25, 4)], ids=lambda size: f"{size[0]}x{size[1]}"
)
def test_cuts_at_each_line_end_withdraw_no_more_than_the_windows_share(
    size: tuple[int, int], record_property: Record
) -> None:
    """The same cut for 20 nights, and another one each night: 10 %, or 5 people, are gone at most.

    Who is in a later, longer file is invited again, and then counts no more.
    """
    rows = whole(*size)
    share = max(len(rows) // 10, 5)
    most = tried = held_back = 0
    randomness = random.Random(20310101)  # noqa: S311 - a sweep that can be repeated
    for cut in [*range(1, len(rows)), *([0] * 20)]:
        world = World()
        world.meetings = meetings_of(
            [(replace(one, start=NOW + 60 * DAY, end=NOW + 61 * DAY), who) for one, who in rows]
        )
        entire = world.meetings
        world.run(due=world.now)
        gone: set[tuple[str, str]] = set()
        for _ in range(NIGHTS):
            length = cut or randomness.randrange(1, len(rows) + 1)
            kept = {(one.id, who.address) for one, who in rows[:length]}
            world.meetings = {
                one.id: replace(one, attendees=people)
                for one in entire.values()
                if (people := tuple(w for w in one.attendees if (one.id, w.address) in kept))
            }
            plan = world.wait(DAY).run(due=world.now)
            for one in plan.actions:
                place = one.facts.id, one.attendee.address
                if isinstance(one, Withdraw):
                    gone.add(place)
                else:
                    gone.discard(place)
            held_back += bool(plan.refusals)
            tried += 1
            most = max(most, len(gone))
            assert most <= share, f"cut after row {cut}"
    record_property(
        "figures",
        f"{size[0]}x{size[1]} rows cut: {tried} nights tried, {held_back} held back, "
        f"{most} of {len(rows)} withdrawn at once at most (allowed: {share})",
    )
