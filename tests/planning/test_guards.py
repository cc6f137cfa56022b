"""What holds a plan back: guards, counts of missing ones, the horizon, left-out rows, flags."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from fractions import Fraction

import pytest

from invites.invitation import Method
from invites.model import Status
from invites.planning.actions import Only, Reason
from invites.planning.state import Forgotten, State, forgotten_hash
from invites.sending.options import claims_needed
from invites.times import clock_fault, zone_data_fault
from tests.peers.planning import DAY, HOUR, NOW, World, attendee, meeting, only_action, said

DAILY = timedelta(days=1)


def meetings_of(count: int, attendees: int = 1) -> World:
    """Return a world in which everybody was invited to `count` meetings of `attendees` each."""
    world = World().put(
        *(
            meeting(
                f"m{number:03}",
                *(attendee(f"P{number:03}x{each:02}") for each in range(attendees)),
            )
            for number in range(count)
        )
    )
    world.run()
    return world.wait(DAY)


def lose(world: World, count: int) -> World:
    """Take the first meetings out of the roster."""
    for meeting_id in sorted(world.meetings)[:count]:
        del world.meetings[meeting_id]
    return world


def test_a_roster_that_shrank_withdraws_nobody_and_sends_all_else() -> None:
    """More than the share and more than two meetings gone: held, and new ones still go out."""
    world = lose(meetings_of(20), 3).put(meeting("new", attendee("Eve")))
    plan = world.run(withdraw_now=True)
    assert said(plan) == [("eve@example.org", "invitation", 0)]
    assert {hold.reason for hold in plan.held} == {Reason.SHRINK}
    (refusal,) = plan.refusals
    assert (refusal.guard, refusal.found, refusal.live) == ("shrink", 3, 20)
    assert "3 of 20 meetings" in refusal.text
    titles = [example.split('"')[1] for example in refusal.examples]
    assert titles == ["Meeting m000", "Meeting m001", "Meeting m002"]
    assert 'all else goes out, such as "Meeting m000" 2031-01-11 03:15 Europe/Berlin;' in (
        refusal.text
    )


@pytest.mark.parametrize(("meetings", "lost"), [(20, 2), (31, 3), (10, 2)])
def test_a_small_loss_is_no_shrink(meetings: int, lost: int) -> None:
    """Up to two meetings, or up to the share, nothing is held."""
    assert lose(meetings_of(meetings), lost).plan().refusals == ()


def test_more_than_five_attendees_gone_are_a_shrink_too() -> None:
    """Attendees gone from meetings that are there count as well."""
    world = meetings_of(1, attendees=20)
    gone = [one.address for one in world.meetings["m000"].attendees[:6]]
    plan = world.drop_attendee("m000", *gone).plan(withdraw_after=1)
    assert said(plan) == []
    assert plan.refusals[0].what.startswith("attendees")
    assert [one.partition(" in ")[0] for one in plan.refusals[0].examples] == gone[:3]


def test_a_shrink_that_was_accepted_withdraws_now() -> None:
    """Bound to that roster's digest, and withdraw_after is waived."""
    world = lose(meetings_of(20), 3)
    plan = world.plan(accept=world.plan().accept_code)
    assert [kind for _, kind, _ in said(plan)] == ["cancelled"] * 3
    assert plan.refusals == ()


def test_an_acceptance_of_another_roster_accepts_nothing() -> None:
    """The next night's roster needs a yes of its own."""
    world = lose(meetings_of(20), 3)
    code = world.plan().accept_code
    lose(world, 1)
    plan = world.plan(accept=code)
    assert plan.refusals != ()
    assert plan.other_code == code
    assert world.plan(accept=world.plan().accept_code[:4]).refusals != ()


def test_a_run_that_the_shrink_guard_refused_counts_nothing_as_missing() -> None:
    """Two short rosters, the second within the share: still one count only."""
    world = meetings_of(40)
    whole = dict(world.meetings)
    lose(world, 5).run()
    world.meetings = whole
    plan = lose(world.wait(DAY), 1).run()
    (hold,) = plan.held
    assert (hold.reason, hold.count) == (Reason.MISSING, 1)


def test_many_newly_cancelled_meetings_are_held_like_a_shrink() -> None:
    """More than two, and more than the share of the live ones."""
    world = meetings_of(20)
    for meeting_id in sorted(world.meetings)[:3]:
        world.edit(meeting_id, status=Status.CANCELLED)
    plan = world.plan()
    assert said(plan) == []
    assert {hold.reason for hold in plan.held} == {Reason.CANCELLATIONS}
    assert [one.split('"')[1] for one in plan.refusals[0].examples] == [
        "Meeting m000",
        "Meeting m001",
        "Meeting m002",
    ]
    assert len(world.plan(accept=world.plan().accept_code).actions) == 3


def test_a_roster_with_every_meeting_gone_is_held() -> None:
    """An empty roster is the greatest shrink."""
    world = lose(meetings_of(5), 5)
    assert said(world.plan(withdraw_now=True)) == []


def test_many_updates_at_once_are_held_and_new_ones_go_out() -> None:
    """A settings edit that touches everybody needs a yes."""
    world = meetings_of(1, attendees=30).edit("m000", title="Another")
    world.edit("m000", attendees=(*world.meetings["m000"].attendees, attendee("Zoe")))
    plan = world.plan()
    assert said(plan) == [("zoe@example.org", "invitation", 0)]
    assert [refusal.guard for refusal in plan.refusals] == ["change"]
    assert len(world.plan(accept=world.plan().accept_code).actions) == 31


@pytest.mark.parametrize(("attendees", "trips"), [(20, False), (21, True)])
def test_the_change_guard_needs_more_than_twenty_updates(attendees: int, *, trips: bool) -> None:
    """Up to twenty updates at once are no flood, whatever their share."""
    world = meetings_of(1, attendees=attendees).edit("m000", title="Another")
    assert bool(world.plan().refusals) is trips


def test_updates_that_were_begun_are_finished_without_another_yes() -> None:
    """An accepted change that was cut short goes on."""
    world = meetings_of(1, attendees=30).edit("m000", title="Another")
    world.run(State.PLANNED, accept=world.plan().accept_code)
    plan = world.wait(HOUR).plan()
    assert len(plan.actions) == 30
    assert plan.refusals == ()


def test_an_update_that_is_held_drops_the_older_one_on_its_way() -> None:
    """Nobody is to get what the roster does not say any more, while its successor waits."""
    world = meetings_of(1, attendees=30).edit("m000", title="Another")
    world.run(State.DEFERRED, accept=world.plan().accept_code)
    plan = world.edit("m000", title="A third").run()
    assert [refusal.guard for refusal in plan.refusals] == ["change"]
    assert len(plan.dropped) == 30


def test_a_job_counts_a_missing_one_once_for_each_due_time() -> None:
    """Any number of runs for one due time count once."""
    world = lose(meetings_of(3), 1)
    for _ in range(3):
        assert world.run(due=NOW + DAY).held[0].count == 1
        world.wait(HOUR)
    assert [kind for _, kind, _ in said(world.run(due=NOW + 2 * DAY))] == ["cancelled"]


def test_a_send_by_hand_counts_again_only_after_twelve_hours() -> None:
    """Two sends in a row are not two nights."""
    world = lose(meetings_of(3), 1)
    assert world.run().held[0].count == 1
    assert world.wait(11 * HOUR).run().held[0].count == 1
    assert said(world.wait(HOUR).run()) != []


@pytest.mark.parametrize(
    "flags",
    [
        {"only": (Only("meeting", "m000"),)},
        {"limit": 5},
        {"partial": True},
    ],
    ids=lambda flags: next(iter(flags)),
)
def test_runs_that_see_a_part_count_nothing(flags: dict[str, object]) -> None:
    """--only, --limit and --partial leave the counts alone."""
    world = lose(meetings_of(3), 1)
    world.run(**flags)
    assert world.states["m000"].missing.times == 0


def test_present_again_resets_the_count() -> None:
    """Missing, there, missing: that is once, not twice."""
    world = meetings_of(3)
    whole = dict(world.meetings)
    lose(world, 1).run()
    world.meetings = whole
    world.wait(DAY).run()
    assert world.states["m000"].missing.times == 0
    lose(world.wait(DAY), 1)
    assert world.run().held[0].count == 1


def test_an_attendee_present_again_resets_the_count() -> None:
    """The same for one person in a meeting that is there."""
    world = meetings_of(1, attendees=3)
    whole = world.meetings["m000"]
    address = whole.attendees[0].address
    world.drop_attendee("m000", address).run()
    assert world.entry("m000", address).missing.times == 1
    world.put(whole).wait(DAY).run()
    assert world.entry("m000", address).missing.times == 0


def test_a_left_out_row_withdraws_nobody_from_its_meeting() -> None:
    """The missing one may be the row that was left out."""
    world = meetings_of(2, attendees=2)
    for meeting_id in ("m000", "m001"):
        world.drop_attendee(meeting_id, world.meetings[meeting_id].attendees[0].address)
    world.edit("m000", incomplete=True)
    plan = world.plan(withdraw_after=1)
    assert [action.facts.id for action in plan.actions] == ["m001"]
    assert [hold.reason for hold in plan.held] == [Reason.LEFT_OUT]


def test_a_meeting_of_which_every_row_was_left_out_is_not_missing() -> None:
    """Nobody is withdrawn from it, nothing is counted, and it is no part of a shrink."""
    world = lose(meetings_of(5, attendees=4), 3)
    world.roster_fields = {"left_out_meetings": ("m000", "m001", "m002")}
    plan = world.run(withdraw_now=True)
    assert (said(plan), plan.refusals) == ([], ())
    assert {hold.reason for hold in plan.held} == {Reason.LEFT_OUT}
    assert world.states["m000"].missing.times == 0


def test_a_left_out_row_of_an_unknown_meeting_withdraws_nobody_at_all() -> None:
    """Neither missing ones nor cancelled meetings, and nothing is counted."""
    world = lose(meetings_of(5), 1)
    world.edit("m003", status=Status.CANCELLED)
    world.roster_fields = {"complete": False}
    plan = world.run(withdraw_now=True)
    assert said(plan) == []
    assert {hold.reason for hold in plan.held} == {Reason.LEFT_OUT}
    assert world.states["m000"].missing.times == 0


def test_a_partial_roster_withdraws_nobody() -> None:
    """A hand-made part of the roster says nothing about those it leaves out."""
    world = lose(meetings_of(30), 25)
    plan = world.plan(partial=True, withdraw_now=True)
    assert said(plan) == []
    assert plan.refusals == ()


def test_meetings_beyond_the_horizon_wait_and_go_out_on_the_first_night_inside() -> None:
    """The horizon starts at the due time."""
    world = World().put(meeting("m", attendee("Ada"), start=NOW + 22 * DAY))
    plan = world.run(horizon=21 * DAILY, due=NOW)
    assert said(plan) == []
    assert [hold.reason for hold in plan.held] == [Reason.HORIZON]
    assert len(world.wait(DAY).plan(horizon=21 * DAILY, due=NOW + DAY).actions) == 1


def test_what_was_sent_stays_looked_after_beyond_the_horizon() -> None:
    """A meeting that moves past the horizon is updated all the same."""
    world = meetings_of(1).edit("m000", start=NOW + 100 * DAY)
    assert len(world.plan(horizon=21 * DAILY, due=world.now).actions) == 1


def test_a_meeting_beyond_the_horizon_is_neither_missing_nor_a_shrink() -> None:
    """An export that ends at the horizon withdraws nobody."""
    world = lose(meetings_of(10), 10)
    plan = world.run(horizon=5 * DAILY, due=world.now, withdraw_now=True)
    assert said(plan) == []
    assert plan.refusals == ()
    assert world.states["m000"].missing.times == 0


def test_only_and_limit_choose_who_is_served() -> None:
    """--only by address or meeting, --limit the first by start."""
    world = World().put(
        meeting("a", attendee("Ada"), attendee("Bob")), meeting("b", attendee("Ada"))
    )
    assert len(world.plan(only=(Only("email", "ada@example.org"),)).actions) == 2
    assert len(world.plan(only=(Only("meeting", "a"),)).actions) == 2
    limited = world.plan(limit=1)
    assert said(limited) == [("ada@example.org", "invitation", 0)]
    assert {hold.reason for hold in limited.held} == {Reason.LIMIT}


def test_another_scopes_meeting_is_a_problem_that_names_the_claim() -> None:
    """A meeting id belongs to one scope."""
    world = World().put(meeting("m", attendee("Ada"), row=2))
    (problem,) = claims_needed(world.roster, replace(world.snapshot, owners={"m": "nightly"}))
    assert problem.refuses_file
    assert "--claim nightly" in problem.expected


def test_a_meeting_moved_into_the_past_is_warned_about() -> None:
    """Nobody is told of a meeting that is over, so a person should look."""
    plan = meetings_of(1).edit("m000", start=NOW - 10 * DAY).plan()
    assert said(plan) == []
    assert "m000" in plan.warnings[0]


def test_a_forgotten_person_is_invited_above_the_highest_sequence() -> None:
    """What was forgotten leaves the SEQUENCE in order."""
    world = World().put(meeting("m", attendee("Ada")))
    uid = only_action(world.plan()).uid
    hashed = forgotten_hash(b"key", uid, "ada@example.org")
    world.forgotten = Forgotten(key=b"key", highest={hashed: 4})
    assert said(world.plan()) == [("ada@example.org", "invitation", 5)]


@pytest.mark.parametrize(
    ("now", "fault"),
    [(0, False), (-300, False), (-301, True), (8_640_000, False), (8_640_001, True)],
)
def test_the_clock_guard_allows_five_minutes_back_and_a_pause(now: int, *, fault: bool) -> None:
    """Behind by more than five minutes, or ahead by more than the setting, is a fault."""
    last = 2_000_000_000
    told = clock_fault(last, last + now, ahead=timedelta(days=100), in_zone="Asia/Tokyo")
    assert bool(told) is fault
    if told is not None:
        assert "the ledger's last run at 2033-05-18 12:33:20 Asia/Tokyo" in told


@pytest.mark.parametrize(
    ("recorded", "current", "fault"),
    [
        (None, "2026f", False),
        ("2026a", "2026f", False),
        ("2026f", "2026f", False),
        ("2026f", "2026a", True),
        ("2026z", "2026aa", False),
        ("2026a", "2025z", True),
        ("2026a", "", True),
        ("2026a", "unknown", True),
    ],
)
def test_zone_data_older_than_the_ledgers_or_unknown_are_refused(
    recorded: str | None, current: str, *, fault: bool
) -> None:
    """Older rules would move meetings back to where they are not."""
    assert bool(zone_data_fault(recorded, current)) is fault


def test_many_new_invitations_at_once_are_held_and_updates_go_out() -> None:
    """More than are live, and more than twenty: none is sent before a yes."""
    world = meetings_of(21).edit("m000", title="Another")
    world.put(*(meeting(f"n{number}", attendee(f"New{number}")) for number in range(22)))
    plan = world.plan()
    (refusal,) = plan.refusals
    assert (refusal.guard, refusal.found, refusal.live) == ("growth", 22, 21)
    assert len(refusal.examples) == 3
    assert [kind for _, kind, _ in said(plan)] == ["update"]
    assert {hold.reason for hold in plan.held} == {Reason.GROWTH}
    assert len(world.plan(accept=plan.accept_code).actions) == 23


def test_a_scopes_first_run_is_no_growth() -> None:
    """There is nothing yet to be compared with."""
    world = World().put(*(meeting(f"m{n}", attendee(f"P{n}")) for n in range(200)))
    assert len(world.plan().actions) == 200


def test_a_new_address_that_is_held_leaves_the_old_one_its_invitation() -> None:
    """Both messages of a changed address go out, or none."""
    people = [attendee(f"P{number}", user_id=f"u{number}") for number in range(21)]
    world = World().put(meeting("m", *people))
    world.run()
    moved = [
        replace(one, address=f"new-{one.address}", email=f"new-{one.address}") for one in people
    ]
    world.wait(DAY).edit("m", attendees=tuple(moved))
    plan = world.plan(growth=Fraction(1, 2))
    assert [refusal.guard for refusal in plan.refusals] == ["growth"]
    assert plan.actions == ()
    assert len(world.plan(growth=Fraction(1, 2), accept=plan.accept_code).actions) == 42


def test_another_organizers_mailbox_sends_nothing_to_those_invited_before_a_yes() -> None:
    """Receivers refuse an update by another organizer: a person is to look first."""
    world = meetings_of(2, attendees=2).put(meeting("new", attendee("Eve")))
    world.terms = replace(world.terms, mailbox="other@example.com")
    plan = world.plan()
    (refusal,) = plan.refusals
    assert (refusal.guard, refusal.found) == ("organizer", 4)
    assert said(plan) == [("eve@example.org", "invitation", 0)]
    accepted = world.plan(accept=plan.accept_code)
    assert [action.revision.method for action in accepted.actions].count(Method.CANCEL) == 4
    assert len(accepted.actions) == 5


def test_a_yes_is_to_these_guards_under_these_settings() -> None:
    """The code stays while counts fall, and is another one under another secret."""
    world = meetings_of(30).put(meeting("soon", attendee("Eve"), start=NOW + DAY + HOUR))
    world.run()
    for meeting_id in list(world.meetings):
        world.edit(meeting_id, title="Another")
    code = world.plan().accept_code
    assert world.wait(2 * HOUR).plan().accept_code == code
    world.terms = replace(world.terms, alarm="5m")
    assert world.plan().accept_code != code


def test_only_one_persons_loss_is_no_shrink() -> None:
    """What `--only` leaves out is neither sent nor guarded."""
    world = lose(meetings_of(20), 3)
    assert world.plan(withdraw_now=True, only=(Only("meeting", "m000"),)).refusals == ()
    assert len(world.plan(withdraw_now=True, only=(Only("meeting", "m000"),)).actions) == 1


def test_all_guards_of_a_plan_are_told_together_and_one_code_says_yes_to_them() -> None:
    """Losses, new ones and updates at once: three refusals, one yes."""
    world = lose(meetings_of(60), 10)
    for meeting_id in list(world.meetings):
        world.edit(meeting_id, title=f"Another {meeting_id}")
    world.put(*(meeting(f"n{number}", attendee(f"New{number}")) for number in range(70)))
    plan = world.plan()
    tripped = {refusal.guard for refusal in plan.refusals}
    assert {"shrink", "growth", "change"} <= tripped
    assert said(plan) == []
    accepted = world.plan(accept=plan.accept_code)
    assert (accepted.refusals, accepted.accepted) == ((), len(plan.refusals))
    assert len(accepted.actions) == 130
