"""The table's last row on the pure planner: another organizer's mailbox."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from invites.model import Status
from invites.planning.actions import Cause
from invites.planning.state import State, uid_of_edition
from invites.planning.wakeups import drained
from tests.peers.planning import HOUR, TERMS, World, attendee, meeting, said

ADA, BOB = "ada@example.org", "bob@example.org"
OTHER = replace(TERMS, mailbox="other@example.com")


def invited() -> World:
    """Return a world where Ada and Bob were invited to one meeting an hour ago."""
    world = World().put(meeting("m", attendee("Ada"), attendee("Bob")))
    world.run()
    return world.wait(HOUR)


def moved(world: World) -> World:
    """Let another mailbox invite from now on: a yes, the withdrawals, and the new invitations."""
    world.terms = OTHER
    world.run(accept=world.plan().accept_code)
    world.run()
    return world.wait(HOUR)


def test_another_organizer_withdraws_from_the_old_mailbox_and_invites_under_a_new_uid() -> None:
    """The table's last row: after a yes a CANCEL by the former, a REQUEST with SEQUENCE 0."""
    world = invited()
    first = world.states["m"].uid
    world.terms = OTHER
    cancels = world.run(accept=world.plan().accept_code)
    assert said(cancels) == [(ADA, "withdrawn", 1), (BOB, "withdrawn", 1)]
    assert {(one.uid, one.facts.terms.mailbox) for one in cancels.actions} == {
        (first, "meetings@example.com")
    }
    requests = world.run()
    assert said(requests) == [(ADA, "invitation", 0), (BOB, "invitation", 0)]
    assert {one.cause for one in requests.actions} == {Cause.ANEW}
    ((uid, mailbox),) = {(one.uid, one.facts.terms.mailbox) for one in requests.actions}
    assert uid != first
    assert mailbox == "other@example.com"
    assert world.plan().actions == ()


def test_an_update_after_another_organizer_keeps_the_new_uid() -> None:
    """Once moved, all goes on under the new UID, for those who are new as well."""
    world = moved(invited())
    uid = world.snapshot.known(world.entry("m", ADA).standing).facts.edition  # type: ignore[arg-type]
    old = world.meetings["m"].attendees
    world.edit("m", title="Another", attendees=(*old, attendee("Eve")))
    plan = world.run()
    assert said(plan) == [
        (ADA, "update", 0),
        (BOB, "update", 0),
        ("eve@example.org", "invitation", 0),
    ]
    assert {one.facts.edition for one in plan.actions} == {uid} == {1}
    assert len({one.uid for one in plan.actions}) == 1
    assert world.states["m"].uid not in {one.uid for one in plan.actions}
    gone = world.wait(HOUR).drop_attendee("m", BOB).plan(withdraw_now=True)
    assert [one.uid for one in gone.actions] == [plan.actions[0].uid]


def test_a_mailbox_that_comes_back_gets_a_uid_of_its_own() -> None:
    """Under the first UID a CANCEL was the last word: a REQUEST with SEQUENCE 0 would be too old."""
    world = invited()
    first = world.states["m"].uid
    moved(world)
    world.terms = TERMS
    world.run(accept=world.plan().accept_code)
    plan = world.run()
    assert said(plan) == [(ADA, "invitation", 0), (BOB, "invitation", 0)]
    assert len({first, plan.actions[0].uid, uid_of_edition(first, 1)}) == 3


def test_the_new_mailbox_invites_also_where_the_old_one_may_not_send() -> None:
    """A refused CANCEL leaves the old entry, which can't be helped; it is not tried for ever."""
    world = invited()
    world.terms = OTHER
    world.run(State.FAILED, accept=world.plan().accept_code)
    plan = world.run()
    assert said(plan) == [(ADA, "invitation", 0), (BOB, "invitation", 0)]
    assert world.plan().actions == ()


def test_the_new_mailbox_waits_until_the_old_ones_cancel_was_answered() -> None:
    """Its REQUEST has another UID and does not outrank the CANCEL: both entries would stand."""
    world = invited()
    world.terms = OTHER
    first = world.run(State.UNKNOWN, accept=world.plan().accept_code)
    again = world.wait(HOUR).run()
    assert said(again) == said(first)
    assert {one.retry for one in again.actions} == {True}
    assert {one.cause for one in again.actions} == {Cause.ORGANIZER}
    assert said(world.run()) == [(ADA, "invitation", 0), (BOB, "invitation", 0)]


def test_a_cancel_of_the_old_mailbox_that_was_deferred_is_tried_again() -> None:
    """It keeps its mailbox, its UID and its Message-ID, with the roster and without."""
    world = invited()
    world.terms = OTHER
    first = world.run(State.DEFERRED, accept=world.plan().accept_code)
    assert world.plan().actions == ()
    world.wait(2 * HOUR)
    alone = drained(world.snapshot, now=world.now, policy=world.policy, terms=world.terms)
    for plan in (world.plan(), alone):
        assert [(one.uid, one.revision) for one in plan.actions] == [
            (one.uid, one.revision) for one in first.actions
        ]
        assert {one.facts.terms.mailbox for one in plan.actions} == {"meetings@example.com"}


def test_who_is_gone_is_withdrawn_by_the_mailbox_that_invited() -> None:
    """A meeting that is called off, with no yes to the new organizer yet."""
    world = invited()
    world.terms = OTHER
    plan = world.edit("m", status=Status.CANCELLED).plan()
    assert said(plan) == [(ADA, "cancelled", 1), (BOB, "cancelled", 1)]
    assert {one.uid for one in plan.actions} == {world.states["m"].uid}
    assert {one.facts.terms.mailbox for one in plan.actions} == {"meetings@example.com"}


def test_who_is_back_after_another_organizer_is_invited_under_the_new_uid() -> None:
    """The former mailbox's UID takes no REQUEST of the new one."""
    world = invited()
    gone = world.meetings["m"]
    world.drop_attendee("m", BOB).run(withdraw_now=True)
    moved(world)
    world.put(gone)
    (back,) = world.plan().actions
    assert (back.cause, back.revision.sequence) == (Cause.BACK, 0)
    assert back.uid == uid_of_edition(world.states["m"].uid, 1)


def test_invitations_by_another_organizer_are_no_growth() -> None:
    """The one yes to the organizer stands for both messages."""
    people = tuple(attendee(f"P{number}") for number in range(40))
    world = World().put(meeting("m", *people))
    world.run()
    world.terms = OTHER
    world.wait(HOUR).run(accept=world.plan().accept_code)
    assert world.plan().refusals == ()
    assert len(world.plan().actions) == 40


def test_who_was_moved_to_another_organizer_does_not_wait_for_the_horizon() -> None:
    """Between the CANCEL and the REQUEST nobody has an invitation, which is no reason to wait."""
    world = invited()
    world.terms = OTHER
    near = timedelta(days=3)
    world.run(accept=world.plan(horizon=near).accept_code, horizon=near)
    assert len(world.plan(horizon=near).actions) == 2


def test_what_else_changed_is_guarded_as_ever() -> None:
    """A yes to the organizer is none to flags that were flipped: both are told, with one code."""
    people = tuple(attendee(f"P{number}", moderator=number == 0) for number in range(6))
    world = World().put(meeting("m", *people))
    world.run()
    world.wait(HOUR).terms = OTHER
    for one in people:
        world.edit_attendee("m", one.address, moderator=not one.moderator)
    plan = world.plan()
    assert [refusal.guard for refusal in plan.refusals] == ["organizer", "moderators"]
    assert plan.actions == ()
    world.run(accept=plan.accept_code)
    assert len(world.plan().actions) == 6


def test_a_meeting_that_was_over_and_takes_place_again_is_new_to_another_organizer() -> None:
    """Nothing is told of what is over, so no CANCEL goes to it from the former mailbox."""
    world = invited().wait(timedelta(days=60))
    world.terms = OTHER
    start = world.now + timedelta(days=7)
    plan = world.edit("m", start=start, end=start + HOUR).run()
    assert said(plan) == [(ADA, "invitation", 0), (BOB, "invitation", 0)]
    assert {one.uid for one in plan.actions} == {uid_of_edition(world.states["m"].uid, 1)}
    assert world.plan().actions == ()
