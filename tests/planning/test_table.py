"""The table "Who gets what, when", row by row, on the pure planner."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from invites.invitation import Kind
from invites.model import Attendance, Room, Status
from invites.planning.actions import Cause, Reason, Send, Withdraw
from invites.planning.decide import plan_for
from invites.planning.facts import Terms, drafted
from invites.planning.state import State
from tests.peers.planning import (
    DAY,
    HOUR,
    NOW,
    SERVER,
    TERMS,
    World,
    attendee,
    drafts_of,
    meeting,
    only_action,
    said,
)

ADA, BOB = "ada@example.org", "bob@example.org"


def invited(*, extra: tuple[Any, ...] = (), **fields: Any) -> World:
    """Return a world where Ada and Bob were invited to one meeting an hour ago."""
    world = World().put(meeting("m", attendee("Ada"), attendee("Bob"), *extra, **fields))
    world.run()
    return world.wait(HOUR)


def test_new_attendees_get_a_request_with_sequence_0() -> None:
    """Who has nothing yet is invited, and the revision's time is that of the run."""
    world = World().put(meeting("m", attendee("Ada"), attendee("Bob")))
    plan = world.plan()
    assert said(plan) == [(ADA, "invitation", 0), (BOB, "invitation", 0)]
    assert {action.revision.dtstamp for action in plan.actions} == {NOW}
    assert {action.cause for action in plan.actions} == {Cause.NEW}


def test_a_new_attendee_gets_a_request_and_the_others_nothing() -> None:
    """Another attendee added sends nothing to those who were there."""
    world = invited()
    old = world.meetings["m"].attendees
    world.edit("m", attendees=(*old, attendee("Eve")))
    assert said(world.plan()) == [("eve@example.org", "invitation", 0)]


@pytest.mark.parametrize(
    "fields",
    [
        {"start": NOW + 11 * DAY},
        {"end": NOW + 10 * DAY + 2 * HOUR},
        {"room": Room(claim="blue", segment="blue")},
        {"status": Status.TENTATIVE},
    ],
    ids=["start", "end", "room", "status"],
)
def test_what_moves_the_meeting_goes_to_all_with_sequence_raised(fields: dict[str, Any]) -> None:
    """Start, end, room and status: a REQUEST to all, SEQUENCE + 1, saying what changed."""
    plan = invited().edit("m", **fields).plan()
    assert said(plan) == [(ADA, "update", 1), (BOB, "update", 1)]
    assert set(fields) <= {change.field for change in plan.actions[0].changes}


@pytest.mark.parametrize(
    ("terms", "field"),
    [
        (replace(TERMS, key="ffff000011112222"), "key"),
        (
            Terms.of(replace(SERVER, url="https://b.example.com"), key=TERMS.key, alarm="10m"),
            "server",
        ),
        (Terms.of(replace(SERVER, link="fragment"), key=TERMS.key, alarm="10m"), "server"),
    ],
    ids=["secret", "server", "link form"],
)
def test_what_changes_the_link_goes_to_all_with_sequence_raised(terms: Terms, field: str) -> None:
    """A changed secret or server re-mints and sends again whatever is not over."""
    world = invited()
    world.terms = terms
    plan = world.plan()
    assert said(plan) == [(ADA, "update", 1), (BOB, "update", 1)]
    assert [change.field for change in plan.actions[0].changes] == [field]


def test_a_changed_validity_goes_to_all_with_sequence_raised() -> None:
    """Another window for the same times is a change of its own, with nothing to show."""
    world = invited()
    (draft,) = drafts_of(world.meetings.values())
    later = replace(draft.facts.validity, expires=draft.facts.validity.expires + 60)
    changed = drafted(
        draft.meeting, room=draft.facts.room, validity_of=lambda _: later, terms=TERMS
    )
    plan = plan_for(world.roster, [changed], world.snapshot, now=world.now, policy=world.policy)
    assert said(plan) == [(ADA, "update", 1), (BOB, "update", 1)]
    (change,) = plan.actions[0].changes
    assert (change.field, change.old, change.new) == ("validity", None, None)


@pytest.mark.parametrize(
    "fields",
    [
        {"moderator": True},
        {"name": "Ada L."},
        {"avatar": "https://example.com/a.png"},
        {"user_id": "u1"},
        {"group": "staff"},
        {"features": ("recording",)},
    ],
    ids=lambda fields: next(iter(fields)),
)
def test_what_changes_the_token_goes_to_that_one_with_sequence_raised(
    fields: dict[str, Any],
) -> None:
    """An attendee's own claims: a REQUEST to that one, SEQUENCE + 1."""
    plan = invited().edit_attendee("m", ADA, **fields).plan()
    assert said(plan) == [(ADA, "update", 1)]
    assert [change.field for change in plan.actions[0].changes] == list(fields)


@pytest.mark.parametrize(
    "fields",
    [
        {"title": "Another title"},
        {"description": "An agenda"},
        {"organizer_name": "Hedy Host"},
        {"organizer_email": "hedy@example.org"},
        {"timezone": "Asia/Tokyo"},
    ],
    ids=lambda fields: next(iter(fields)),
)
def test_what_the_meeting_says_goes_to_all_with_the_same_sequence(fields: dict[str, Any]) -> None:
    """Title, description, host: a REQUEST with the same SEQUENCE and a new DTSTAMP."""
    world = invited().edit("m", **fields)
    plan = world.plan()
    assert said(plan) == [(ADA, "update", 0), (BOB, "update", 0)]
    assert {action.revision.dtstamp for action in plan.actions} == {world.now}


@pytest.mark.parametrize(
    "fields",
    [
        {"attendance": Attendance.OPTIONAL},
        {"language": "de"},
        {"timezone": "Asia/Tokyo"},
    ],
    ids=lambda fields: next(iter(fields)),
)
def test_what_concerns_one_reader_goes_to_that_one_with_the_same_sequence(
    fields: dict[str, Any],
) -> None:
    """Attendance, language and own zone: a REQUEST to that one, the same SEQUENCE."""
    assert said(invited().edit_attendee("m", ADA, **fields).plan()) == [(ADA, "update", 0)]


def test_a_changed_alarm_goes_to_all_with_the_same_sequence() -> None:
    """The calendar entry's reminder is in the entry, not in the link."""
    world = invited()
    world.terms = replace(TERMS, alarm="30m")
    assert said(world.plan()) == [(ADA, "update", 0), (BOB, "update", 0)]


@pytest.mark.parametrize(
    "fields",
    [{"columns": {"seat": "12"}}, {"email": "Ada@Example.ORG"}, {"mailbox": "ADA@example.org"}],
    ids=lambda fields: next(iter(fields)),
)
def test_what_makes_no_difference_sends_nothing(fields: dict[str, Any]) -> None:
    """Columns of the user's own and the case of an address are no change."""
    plan = invited().edit_attendee("m", ADA, **fields).plan()
    assert said(plan) == []
    assert plan.counts["kept"] == 2


def test_a_moderators_attendance_sends_nothing() -> None:
    """A moderator is CHAIR in the calendar, whatever the attendance column says."""
    world = World().put(meeting("m", attendee("Ada", moderator=True)))
    world.run()
    world.edit_attendee("m", ADA, attendance=Attendance.OPTIONAL)
    assert said(world.plan()) == []


def test_a_missing_attendee_is_withdrawn_after_withdraw_after_runs() -> None:
    """The first run that misses one counts, the second (12 hours later) withdraws that one."""
    world = invited().drop_attendee("m", ADA)
    first = world.run()
    assert said(first) == []
    (hold,) = first.held
    assert (hold.reason, hold.count, hold.needed) == (Reason.MISSING, 1, 2)
    second = world.wait(12 * HOUR).run()
    assert said(second) == [(ADA, "withdrawn", 1)]
    action = only_action(second)
    assert isinstance(action, Withdraw)
    assert action.cause is Cause.MISSING


def test_a_cancelled_meeting_is_cancelled_for_each() -> None:
    """Status cancelled: a CANCEL to each, SEQUENCE + 1, at once."""
    plan = invited().edit("m", status=Status.CANCELLED).plan()
    assert said(plan) == [(ADA, "cancelled", 1), (BOB, "cancelled", 1)]


def test_a_missing_meeting_is_cancelled_for_each_after_withdraw_after_runs() -> None:
    """A meeting that is missing often enough is cancelled for each."""
    world = invited()
    del world.meetings["m"]
    assert said(world.run()) == []
    plan = world.wait(DAY).run()
    assert said(plan) == [(ADA, "cancelled", 1), (BOB, "cancelled", 1)]
    assert {action.cause for action in plan.actions} == {Cause.MEETING_MISSING}


def test_an_attendee_back_again_gets_a_request_above_the_cancel() -> None:
    """Back again: a REQUEST with the same UID whose SEQUENCE is above the CANCEL's."""
    world = invited()
    uid = world.states["m"].uid
    before = world.meetings["m"]
    world.drop_attendee("m", ADA).run(withdraw_now=True)
    world.put(before).wait(HOUR)
    plan = world.plan()
    assert said(plan) == [(ADA, "invitation", 2)]
    assert only_action(plan).uid == uid
    assert only_action(plan).cause is Cause.BACK


def test_a_meeting_back_again_gets_requests_above_the_cancels() -> None:
    """A cancelled meeting that takes place after all is a new invitation to each."""
    world = invited().edit("m", status=Status.CANCELLED)
    world.run()
    world.wait(HOUR).edit("m", status=Status.CONFIRMED)
    assert said(world.plan()) == [(ADA, "invitation", 2), (BOB, "invitation", 2)]


def test_a_changed_address_withdraws_the_old_one_at_once_and_invites_the_new() -> None:
    """The same user_id in the meeting: CANCEL to the old address, REQUEST to the new one."""
    world = World().put(meeting("m", attendee("Ada", user_id="u1"), attendee("Bob")))
    world.run()
    new = "ada@example.com"
    world.wait(HOUR).edit_attendee("m", ADA, address=new, email=new, mailbox=new)
    plan = world.run()
    assert said(plan) == [(new, "invitation", 0), (ADA, "withdrawn", 1)]
    assert {action.cause for action in plan.actions} == {Cause.NEW, Cause.ADDRESS}
    assert said(world.wait(HOUR).plan()) == []


def test_another_address_without_user_id_is_one_removed_and_one_added() -> None:
    """Without a common user_id the new one is invited and the old one counted as missing."""
    world = invited()
    new = "ada@example.com"
    world.edit_attendee("m", ADA, address=new, email=new, mailbox=new)
    plan = world.plan()
    assert said(plan) == [(new, "invitation", 0)]
    assert [hold.reason for hold in plan.held] == [Reason.MISSING]


def test_resend_repeats_the_request_with_a_new_dtstamp_and_the_same_sequence() -> None:
    """--resend: a REQUEST with a new DTSTAMP, and so a new Message-ID; the same SEQUENCE."""
    world = invited()
    (action, _) = world.run(resend=True).actions
    assert (action.revision.kind, action.revision.sequence) == (Kind.INVITATION, 0)
    assert action.revision.dtstamp == world.now
    assert said(world.wait(HOUR).plan()) == []


@pytest.mark.parametrize(
    "edit",
    [
        lambda _: None,
        lambda world: world.edit("m", title="Too late"),
        lambda world: world.edit("m", status=Status.CANCELLED),
        lambda world: world.drop_attendee("m", ADA),
        lambda world: world.meetings.clear(),
        lambda world: world.edit("m", attendees=(attendee("Eve"),)),
    ],
    ids=["same", "title", "cancelled", "attendee gone", "meeting gone", "new attendee"],
)
def test_a_meeting_that_is_over_sends_nothing_ever(edit: Any) -> None:
    """Once the meeting is over nothing goes out, whatever the roster says."""
    world = invited().wait(11 * DAY)
    edit(world)
    assert said(world.plan(withdraw_after=1, resend=True, withdraw_now=True)) == []


def test_changed_zone_rules_count_as_a_change_and_are_told_apart() -> None:
    """Other instants for the same wall time: SEQUENCE + 1, marked as the zone's doing."""
    world = invited()
    standing = world.entry("m", ADA).standing
    assert standing is not None
    moved = world.shared[standing.facts]
    start = int(world.meetings["m"].start.timestamp())
    world.shared[standing.facts] = moved.replace(str(start), str(start - 3600)).replace(
        str(start + 3600), str(start)
    )
    for address in (ADA, BOB):
        recorded = world.entry("m", address).standing
        assert recorded is not None
        older = recorded._replace(digest="made with other rules")
        world._change("m", address, {"standing": older})
    plan = world.plan()
    assert said(plan) == [(ADA, "update", 1), (BOB, "update", 1)]
    assert plan.counts["zone_rules"] == 2


def test_a_moved_meeting_is_no_change_of_the_zones_rules() -> None:
    """A meeting that the roster moves is told as moved, not as the zone's doing."""
    assert invited().edit("m", start=NOW + 11 * DAY).plan().counts["zone_rules"] == 0


def test_a_demoted_moderator_is_told_until_when_the_old_token_admits() -> None:
    """The old token lives until its exp: the action knows until when."""
    world = World().put(meeting("m", attendee("Ada", moderator=True)))
    world.run()
    action = only_action(world.edit_attendee("m", ADA, moderator=False).plan())
    assert isinstance(action, Send)
    assert action.admits_until == int((NOW + 10 * DAY + HOUR).timestamp()) + 1800


def test_a_window_that_follows_the_meeting_is_not_told_as_a_change_of_its_own() -> None:
    """A moved meeting moves its window; the mail says the meeting moved."""
    plan = invited().edit("m", start=NOW + 11 * DAY).plan()
    assert [change.field for change in plan.actions[0].changes] == ["start", "end"]


def test_the_uid_stays_when_the_namespace_changes() -> None:
    """The ledger keeps the UID whatever changes later."""
    world = invited()
    uid = world.states["m"].uid
    world.edit("m", title="Another")
    plan = world.plan(namespace="other.example")
    assert {action.uid for action in plan.actions} == {uid}


def test_several_changes_at_once_raise_the_sequence_once() -> None:
    """One revision says everything that changed."""
    plan = invited().edit("m", title="Another", start=NOW + 11 * DAY).plan()
    assert said(plan) == [(ADA, "update", 1), (BOB, "update", 1)]


def test_messages_go_out_by_meeting_start() -> None:
    """The next meeting is first, whatever its id and the order of rows."""
    world = World().put(
        meeting("a", attendee("Ada"), start=NOW + 3 * DAY),
        meeting("b", attendee("Ada"), start=NOW + DAY),
        meeting("c", attendee("Ada"), start=NOW + 2 * DAY),
    )
    assert [action.facts.id for action in world.plan().actions] == ["b", "c", "a"]


def test_an_update_answers_the_first_message_and_an_invitation_answers_none() -> None:
    """In-Reply-To and References of an update name the first message of that attendee."""
    world = World().put(meeting("m", attendee("Ada")))
    assert only_action(world.run()).first_message_id is None
    first = world.entry("m", ADA).first_message_id
    world.wait(HOUR).edit("m", title="Second").run()
    world.wait(HOUR).edit("m", title="Third")
    assert first is not None
    assert only_action(world.plan()).first_message_id == first


def test_state_words_are_those_of_the_contract() -> None:
    """planned, sending, sent, deferred, failed, unknown."""
    assert {"planned", "sending", "sent", "deferred", "failed", "unknown"} <= set(State)


def test_dtstamp_rises_within_a_second_and_with_a_clock_set_back() -> None:
    """Two revisions with one SEQUENCE in the same second, or earlier, are still in order."""
    world = World().put(meeting("m", attendee("Ada")))
    world.run()
    first = world.edit("m", title="Second").run().actions[0].revision.dtstamp
    assert first == NOW + timedelta(seconds=1)
    world.now = NOW - timedelta(minutes=3)
    second = world.edit("m", title="Third").run().actions[0].revision.dtstamp
    assert second > first
