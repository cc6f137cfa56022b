"""What becomes of revisions that were deferred, failed, cut short or never answered."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from invites.due.attempts import NEVER, backoff
from invites.model import Status
from invites.planning.actions import Cause, Reason, Send
from invites.planning.state import State
from invites.planning.wakeups import drained
from tests.peers.planning import (
    DAY,
    HOUR,
    NOW,
    TERMS,
    World,
    attendee,
    meeting,
    message_id,
    only_action,
    said,
)

ADA = "ada@example.org"
MINUTE = timedelta(minutes=1)


def one(state: State, **fields: object) -> World:
    """Return a world where Ada's invitation ended in `state` two hours ago."""
    world = World().put(meeting("m", attendee("Ada"), **fields))
    world.run(state)
    return world.wait(2 * HOUR)


def updated(state: State) -> World:
    """Return a world where Ada has an invitation, and an update of it ended in `state`."""
    world = one(State.SENT).edit("m", start=NOW + 11 * DAY)
    world.run(state)
    return world.wait(2 * HOUR)


@pytest.mark.parametrize("state", [State.PLANNED, State.DEFERRED, State.FAILED])
def test_a_revision_that_was_not_sent_is_sent_with_the_same_message_id(state: State) -> None:
    """The next run repeats the revision, so that its Message-ID is repeated too."""
    world = World().put(meeting("m", attendee("Ada")))
    first = only_action(world.run(state))
    again = only_action(world.wait(2 * HOUR).plan())
    assert again.retry
    assert message_id(again) == message_id(first)


def test_a_deferred_revision_waits_until_it_may_be_tried_again() -> None:
    """Backoff holds by hand as well, and the plan says until when."""
    world = World().put(meeting("m", attendee("Ada")))
    world.run(State.DEFERRED)
    (hold,) = world.wait(HOUR / 2).plan().held
    assert (hold.reason, hold.until) == (Reason.BACKOFF, int((NOW + HOUR).timestamp()))


def test_a_deferred_revision_that_is_superseded_is_dropped() -> None:
    """Old in old -> new is what was sent: SEQUENCE rises once, from the invitation's."""
    world = updated(State.DEFERRED).edit("m", start=NOW + 12 * DAY)
    action = only_action(world.plan())
    assert (action.revision.sequence, action.retry) == (1, False)
    assert action.changes[0].old == NOW + 10 * DAY
    assert action.changes[0].new == NOW + 12 * DAY


def test_a_deferred_update_that_is_taken_back_is_dropped_and_sends_nothing() -> None:
    """The attendee has what the roster says again."""
    world = updated(State.DEFERRED).edit("m", start=NOW + 10 * DAY)
    plan = world.run()
    assert said(plan) == []
    assert len(plan.dropped) == len(plan.kept) == 1
    assert world.entry("m", ADA).pending is None


def test_who_never_got_a_request_gets_no_cancel() -> None:
    """A deferred invitation of one who is taken out is dropped, not cancelled."""
    world = one(State.DEFERRED).drop_attendee("m", ADA)
    plan = world.run(withdraw_now=True)
    assert said(plan) == []
    assert len(plan.dropped) == 1


def test_a_cancelled_meeting_drops_invitations_that_nobody_got() -> None:
    """A meeting called off before its invitation went out sends nothing."""
    plan = one(State.FAILED).edit("m", status=Status.CANCELLED).run()
    assert said(plan) == []
    assert len(plan.dropped) == 1


def test_a_deferred_update_of_one_withdrawn_is_dropped_for_the_cancel() -> None:
    """One revision never sends both; the CANCEL is above the invitation that was sent."""
    plan = updated(State.DEFERRED).drop_attendee("m", ADA).run(withdraw_now=True)
    assert said(plan) == [(ADA, "withdrawn", 1)]


def test_an_unknown_revision_is_sent_again_with_the_same_message_id() -> None:
    """on_unknown = resend: at most one more copy, recognisable by its Message-ID."""
    world = World().put(meeting("m", attendee("Ada")))
    first = only_action(world.run(State.UNKNOWN))
    again = only_action(world.wait(HOUR).run())
    assert message_id(again) == message_id(first)
    assert isinstance(again, Send)
    assert again.first_message_id is None
    assert said(world.wait(HOUR).plan()) == []


def test_an_unknown_update_is_repeated_with_what_it_said() -> None:
    """The copy says the same changes, old -> new, and answers the same message."""
    world = one(State.SENT).edit("m", start=NOW + 11 * DAY)
    first = only_action(world.run(State.SENDING))
    again = only_action(world.wait(HOUR).plan())
    assert (again.revision, again.changes) == (first.revision, first.changes)
    assert again.first_message_id == first.first_message_id is not None


def test_an_unknown_revision_is_held_where_the_settings_say_so() -> None:
    """on_unknown = hold: no second copy, and the row is listed."""
    plan = one(State.UNKNOWN).plan(on_unknown="hold")
    assert said(plan) == []
    assert [hold.reason for hold in plan.held] == [Reason.UNKNOWN]


def test_what_may_have_been_sent_counts_as_sent_for_what_follows() -> None:
    """A change after an unknown update is told against it, above its SEQUENCE."""
    action = only_action(updated(State.UNKNOWN).edit("m", start=NOW + 10 * DAY).plan())
    assert action.revision.sequence == 2
    assert action.changes[0].old == NOW + 11 * DAY


def test_one_who_may_have_been_invited_is_told_of_the_withdrawal() -> None:
    """A CANCEL goes to everybody who may have got the REQUEST."""
    world = one(State.UNKNOWN).drop_attendee("m", ADA)
    assert said(world.plan(withdraw_now=True, on_unknown="hold")) == [(ADA, "withdrawn", 1)]


def test_an_unknown_cancel_is_repeated_for_one_who_is_gone() -> None:
    """Also the withdrawal is finished, though the roster has the person no longer."""
    world = one(State.SENT).drop_attendee("m", ADA)
    first = only_action(world.run(State.UNKNOWN, withdraw_now=True))
    again = only_action(world.wait(HOUR).run())
    assert message_id(again) == message_id(first)
    assert said(world.wait(DAY).plan()) == []


def test_a_deferred_cancel_is_repeated_and_dropped_when_the_person_is_back() -> None:
    """Nobody is told of a withdrawal that was taken back before it went out."""
    world = one(State.SENT)
    before = world.meetings["m"]
    world.drop_attendee("m", ADA).run(State.DEFERRED, withdraw_now=True)
    world.wait(2 * HOUR)
    assert said(world.plan()) == [(ADA, "withdrawn", 1)]
    plan = world.put(before).run()
    assert said(plan) == []
    assert len(plan.dropped) == 1


def test_an_interrupted_resend_is_finished_without_the_flag() -> None:
    """A planned copy goes out with the next run, once."""
    world = one(State.SENT)
    first = only_action(world.run(State.PLANNED, resend=True))
    again = only_action(world.wait(HOUR).run())
    assert message_id(again) == message_id(first)
    assert said(world.wait(HOUR).plan()) == []


def test_an_interrupted_change_of_address_is_finished_by_the_next_run() -> None:
    """The old address is withdrawn also where the run was cut between the two messages."""
    world = World().put(meeting("m", attendee("Ada", user_id="u1")))
    world.run()
    new = "ada@example.com"
    world.wait(HOUR).edit_attendee("m", ADA, address=new, email=new, mailbox=new)
    world.run(lambda action: State.SENT if isinstance(action, Send) else State.PLANNED)
    assert said(world.wait(HOUR).plan()) == [(ADA, "withdrawn", 1)]


def test_a_deferred_revision_is_given_up_at_the_meetings_end() -> None:
    """What is over is dropped."""
    plan = one(State.DEFERRED).wait(11 * DAY).plan()
    assert said(plan) == []
    assert len(plan.dropped) == 1


def test_draining_repeats_what_was_deferred_from_the_ledger_alone() -> None:
    """Between the runs no roster is needed: revision, facts and changes are the ledger's."""
    world = one(State.SENT).edit("m", start=NOW + 11 * DAY)
    first = only_action(world.run(State.DEFERRED))
    world.meetings.clear()
    plan = drained(world.snapshot, now=world.now + 2 * HOUR, policy=world.policy, terms=TERMS)
    again = only_action(plan)
    assert (again.revision, again.changes) == (first.revision, first.changes)
    assert again.meeting.start == NOW + 11 * DAY
    assert again.cause is Cause.CHANGED
    early = drained(world.snapshot, now=world.now, policy=world.policy, terms=TERMS)
    assert early.actions == ()


def test_draining_leaves_a_link_of_other_terms_to_a_run_with_the_roster() -> None:
    """After a change of secret the deferred link would be dead."""
    world = one(State.DEFERRED)
    world.terms = type(TERMS)(server_url="x", server_print="y", key="z")
    plan = drained(world.snapshot, now=world.now, policy=world.policy, terms=world.terms)
    assert plan.actions == ()


def test_backoff_goes_from_five_minutes_to_four_hours() -> None:
    """Each deferral doubles the wait, and the action knows how many there were."""
    waits = [backoff(attempts) / MINUTE for attempts in range(8)]
    assert waits == [5, 10, 20, 40, 80, 160, 240, 240]
    world = World().put(meeting("m", attendee("Ada")))
    for attempts in range(3):
        assert only_action(world.run(State.DEFERRED)).attempts == attempts
        world.wait(2 * HOUR)


def test_a_message_without_an_answer_gets_so_many_copies_and_is_held_then() -> None:
    """Two more by default, each the very same message; then it is held and reported."""
    world = World().put(meeting("m", attendee("Ada")))
    first = only_action(world.run(State.UNKNOWN))
    for copies in (1, 2):
        again = only_action(world.wait(5 * HOUR).run(State.UNKNOWN))
        assert (again.copies, message_id(again)) == (copies, message_id(first))
    plan = world.wait(5 * HOUR).plan()
    assert plan.actions == ()
    assert [hold.reason for hold in plan.held] == [Reason.UNKNOWN]
    assert only_action(world.plan(unknown_copies=3)).copies == 3
    assert only_action(world.edit("m", start=NOW + 11 * DAY).plan()).copies == 0


def test_a_refusal_for_now_is_no_copy() -> None:
    """A copy that was deferred on its way is counted once it went out, not before."""
    world = World().put(meeting("m", attendee("Ada")))
    world.run(State.UNKNOWN)
    for _ in range(4):
        assert only_action(world.wait(5 * HOUR).run(State.DEFERRED)).copies == 1
    world.wait(5 * HOUR).run(State.UNKNOWN)
    assert world.entry("m", ADA).copies == 2


def test_a_cancel_without_an_answer_gets_so_many_copies_too() -> None:
    """Told again twice, then held."""
    world = one(State.SENT).drop_attendee("m", ADA)
    world.run(State.UNKNOWN, withdraw_now=True)
    for copies in (1, 2):
        assert only_action(world.wait(5 * HOUR).run(State.UNKNOWN)).copies == copies
    plan = world.wait(5 * HOUR).plan()
    assert (plan.actions, [hold.reason for hold in plan.held]) == ((), [Reason.UNKNOWN])


def test_copies_go_out_after_everybody_else() -> None:
    """Though their meeting is the first: who never answers holds nobody up."""
    soon = meeting("a", attendee("Ada"), start=NOW + DAY)
    world = World().put(soon)
    world.run(State.UNKNOWN)
    world.put(soon, meeting("z", attendee("Bob"), start=NOW + 9 * DAY)).wait(HOUR)
    assert [action.facts.id for action in world.plan().actions] == ["z", "a"]


def test_a_copy_waits_its_time_by_hand_and_from_the_ledger_alone() -> None:
    """Between the copies there is a backoff; draining sends them as well."""
    world = World().put(meeting("m", attendee("Ada")))
    first = only_action(world.run(State.UNKNOWN))
    world._change("m", ADA, {"next_attempt": int((NOW + HOUR).timestamp())})
    (hold,) = world.plan().held
    assert (hold.reason, hold.until) == (Reason.BACKOFF, int((NOW + HOUR).timestamp()))
    for hours, count in ((0, 0), (2, 1)):
        now = NOW + hours * HOUR
        plan = drained(world.snapshot, now=now, policy=world.policy, terms=TERMS)
        assert len(plan.actions) == count
    assert message_id(plan.actions[0]) == message_id(first)
    hold_all = replace(world.policy, on_unknown="hold")
    assert drained(world.snapshot, now=now, policy=hold_all, terms=TERMS).actions == ()


def test_what_was_refused_for_its_address_waits_for_another_row() -> None:
    """5.1.x: not tried again as long as the row is the same, but for `--resend`."""
    world = one(State.FAILED)
    world._change("m", ADA, {"next_attempt": NEVER})
    plan = world.plan()
    assert (plan.actions, [hold.reason for hold in plan.held]) == ((), [Reason.BAD_ADDRESS])
    assert len(world.plan(resend=True).actions) == 1
    assert len(world.edit("m", start=NOW + 11 * DAY).plan().actions) == 1
