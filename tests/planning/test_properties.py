"""Properties of the plan over generated nights: what receivers hold in the end, and how often."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from random import Random
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from invites.invitation import Method
from invites.model import Status
from invites.planning.actions import Action, Plan, Reason
from invites.planning.decide import plan_for
from invites.planning.state import State, uid_for
from tests.peers.planning import DAY, HOUR, NOW, World, attendee, drafts_of, meeting

PEOPLE = ("Ada", "Bob", "Eve")
MEETINGS = ("m", "n")

edits = st.one_of(
    st.tuples(st.just("move"), st.sampled_from(MEETINGS), st.integers(5, 9)),
    st.tuples(st.just("title"), st.sampled_from(MEETINGS), st.sampled_from("xyz")),
    st.tuples(st.just("toggle"), st.sampled_from(MEETINGS), st.sampled_from(PEOPLE)),
    st.tuples(st.just("moderator"), st.sampled_from(MEETINGS), st.sampled_from(PEOPLE)),
    st.tuples(st.just("status"), st.sampled_from(MEETINGS), st.sampled_from(list(Status))),
    st.tuples(st.just("gone"), st.sampled_from(MEETINGS), st.none()),
    st.tuples(st.just("secret"), st.none(), st.sampled_from(("k1", "k2"))),
    st.tuples(st.just("clock"), st.none(), st.sampled_from((-200, 0, 1, 7200))),
)
outcomes = st.lists(
    st.sampled_from(
        (State.SENT, State.SENT, State.DEFERRED, State.FAILED, State.PLANNED, State.UNKNOWN)
    ),
    min_size=1,
    max_size=6,
)
nights = st.lists(st.tuples(st.lists(edits, max_size=3), outcomes, st.booleans()), max_size=6)


def edit(world: World, what: str, meeting_id: str | None, value: Any) -> None:
    """Change the roster, the secret or the clock."""
    name = meeting_id or ""
    if what == "secret":
        world.terms = replace(world.terms, key=value)
    elif what == "clock":
        world.now += HOUR * value / 3600
    elif what == "gone":
        world.meetings.pop(name, None)
    else:
        if name not in world.meetings:
            world.put(meeting(name, attendee("Ada")))
        _edit_meeting(world, what, name, value)


def _edit_meeting(world: World, what: str, name: str, value: Any) -> None:
    current = world.meetings[name]
    match what:
        case "move":
            world.edit(name, start=NOW + (20 + value) * DAY)
        case "title":
            world.edit(name, title=value)
        case "status":
            world.edit(name, status=value)
        case "toggle":
            others = tuple(one for one in current.attendees if one.name != value)
            if len(others) == len(current.attendees):
                others = (*others, attendee(value))
            world.edit(name, attendees=tuple(sorted(others, key=lambda one: one.address)))
        case "moderator":
            address = f"{value.lower()}@example.org"
            world.edit_attendee(name, address, moderator=True)


class Receivers:
    """Calendars that apply what comes as RFC 5546 2.1.5 says: SEQUENCE first, then DTSTAMP."""

    def __init__(self) -> None:
        """Begin with nothing in any calendar; `unanswered` counts copies without an answer."""
        self.unanswered: Counter[tuple[str, str]] = Counter()
        self.holds: dict[tuple[str, str], tuple[int, int, Method, str, str]] = {}
        self.asked: set[tuple[str, str]] = set()

    def may_get(self, action: Action) -> None:
        """Note that a REQUEST may have arrived, so that a CANCEL is in order."""
        if action.revision.method is Method.REQUEST:
            self.asked.add((action.uid, action.attendee.address))

    def get(self, action: Action) -> None:
        """Take a message, unless something newer was there."""
        place = (action.uid, action.attendee.address)
        stamp = int(action.revision.dtstamp.timestamp())
        new = (
            action.revision.sequence,
            stamp,
            action.revision.method,
            action.facts.digest,
            f"{action.attendee.name}/{action.attendee.moderator}",
        )
        old = self.holds.get(place)
        assert old is None or action.retry or new[:2] > old[:2]
        assert place in self.asked or new[2] is Method.REQUEST
        if old is None or new[:2] >= old[:2]:
            self.holds[place] = new

    def standing(self) -> dict[tuple[str, str], tuple[str, str]]:
        """Return what stands in each calendar."""
        return {
            place: (facts, who)
            for place, (_, _, method, facts, who) in self.holds.items()
            if method is Method.REQUEST
        }


def expected(world: World) -> dict[tuple[str, str], tuple[str, str]]:
    """Return what the roster says should stand."""
    return {
        (uid_for("example.com", draft.facts.id), one.attendee.address): (
            draft.facts.digest,
            f"{one.attendee.name}/{one.attendee.moderator}",
        )
        for draft in drafts_of(world.meetings.values(), world.terms)
        for one in draft.drafts
        if draft.meeting.status is not Status.CANCELLED
    }


def night(
    world: World,
    receivers: Receivers,
    ends: list[State],
    *,
    arrives: bool,
    accept: str | None = None,
) -> Plan:
    """Run once; an unknown message has arrived or not."""
    left = list(ends)

    def outcome(action: Action) -> State:
        state = left.pop(0) if len(left) > 1 else left[0]
        if state in {State.SENT, State.UNKNOWN}:
            receivers.may_get(action)
        receivers.unanswered[action.uid, action.attendee.address] += state is State.UNKNOWN
        if state is State.SENT or (state is State.UNKNOWN and arrives):
            receivers.get(action)
        return state

    plan = world.run(outcome, due=world.now, accept=accept)
    addressed = [(action.uid, action.attendee.address) for action in plan.actions]
    assert len(addressed) == len(set(addressed)), "two messages to one person in one run"
    return plan


@settings(max_examples=120, deadline=None)
@given(nights=nights)
@example(
    nights=[
        ([], [State.SENT], False),
        ([("status", "m", Status.CANCELLED)], [State.UNKNOWN], False),
        ([("status", "m", Status.CONFIRMED)], [State.DEFERRED], False),
        ([("status", "m", Status.CANCELLED)], [State.UNKNOWN], False),
    ]
)
def test_receivers_end_with_exactly_what_the_roster_says(nights: Any) -> None:
    """Whatever was edited, deferred, refused or lost: two good runs later all calendars are right."""
    world = World().put(meeting("m", attendee("Ada"), attendee("Bob"), start=NOW + 20 * DAY))
    receivers = Receivers()
    for changes, ends, arrives in nights:
        for change in changes:
            edit(world, *change)
        night(world, receivers, ends, arrives=arrives)
        world.wait(DAY)
    for _ in range(3):
        yes = world.plan(due=world.now).accept_code
        plan = night(world, receivers, [State.SENT], arrives=True, accept=yes)
        world.wait(DAY)
    # Whom a person has to look at: no answer to the message and to both of its copies.
    held = {
        (uid_for("example.com", hold.draft.facts.id), hold.draft.attendee.address)
        for hold in plan.held
        if hold.reason is Reason.UNKNOWN
    }
    assert all(receivers.unanswered[place] > world.policy.unknown_copies for place in held)
    found, right = receivers.standing(), expected(world)
    for place in (found.keys() | right.keys()) - held:
        assert found.get(place) == right.get(place)


@settings(max_examples=60, deadline=None)
@given(nights=nights)
def test_a_second_run_sends_nothing(nights: Any) -> None:
    """What was accepted is not sent again, whatever came before."""
    world = World().put(meeting("m", attendee("Ada"), attendee("Bob"), start=NOW + 20 * DAY))
    for changes, ends, _ in nights:
        for change in changes:
            edit(world, *change)
        world.run(lambda _, ends=ends: ends[0], due=world.now)
        world.wait(DAY)
    world.run(due=world.now, withdraw_now=True)
    second = world.wait(HOUR).plan(due=world.now, withdraw_now=True)
    assert second.actions == ()
    assert second.dropped == ()


@settings(max_examples=30, deadline=None)
@given(shuffler=st.randoms(), changes=st.lists(edits, max_size=6))
def test_the_order_of_rows_makes_no_difference(shuffler: Random, changes: Any) -> None:
    """The plan is a function of what the roster says, not of how it is written."""
    world = World().put(
        meeting("m", attendee("Ada"), attendee("Bob"), start=NOW + 20 * DAY),
        meeting("n", attendee("Ada"), start=NOW + 20 * DAY),
    )
    world.run()
    for change in changes:
        edit(world, *change)
    world.wait(HOUR)
    drafts = list(drafts_of(world.meetings.values(), world.terms))
    shuffled = [
        replace(draft, drafts=tuple(reversed(draft.drafts)))
        for draft in shuffler.sample(drafts, len(drafts))
    ]
    one, other = (
        plan_for(world.roster, some, world.snapshot, now=world.now, policy=world.policy)
        for some in (drafts, shuffled)
    )
    assert one.actions == other.actions
    assert one.held == other.held
    assert sorted(one.marks) == sorted(other.marks)
