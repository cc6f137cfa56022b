"""A plan and a history as people and programs read them."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from io import StringIO

from rich.console import Console

from invites.invitation import Change
from invites.ledger.history import PastMessage, PastRun
from invites.model import Room, Status
from invites.planning.state import State
from invites.report.plan import change_words, plan_document, plan_lines, plan_summary
from invites.report.tables import documents_of, message_table, run_table
from tests.peers.planning import DAY, HOUR, NOW, World, attendee, meeting


def lines(world: World, **flags: object) -> list[str]:
    """Return the plan's lines."""
    return list(plan_lines(world.plan(**flags)))


def world_of() -> World:
    """Return a world in which Ada and Bob were invited an hour ago."""
    world = World().put(meeting("m", attendee("Ada", moderator=True), attendee("Bob")))
    world.run()
    return world.wait(HOUR)


PLACE = 'ada@example.org, "Meeting m" Sat 2031-01-11 03:15 Europe/Berlin'


def test_a_new_attendee_is_a_plus() -> None:
    """Sign, person, meeting with its local time and zone."""
    world = World().put(meeting("m", attendee("Ada")))
    assert lines(world) == [f"+ {PLACE}: new"]


def test_an_update_says_old_and_new_for_each_field() -> None:
    """Times on the meeting's clock, texts quoted."""
    world = world_of().edit("m", title="Other", start=NOW + 11 * DAY)
    first = lines(world)[0]
    assert first.startswith("~ ada@example.org")
    assert "start Sat 2031-01-11 03:15 → Sun 2031-01-12 03:15" in first
    assert 'title "Meeting m" → "Other"' in first


def test_the_dates_of_a_series_are_told_as_rules_and_on_the_meeting_s_clock() -> None:
    """Old and new rule in words; a date that is cancelled, or back, at its own time."""
    old = "20310106T080000Z/20310106T084500Z Europe/Berlin FREQ=WEEKLY;BYDAY=MO;UNTIL=20310127T080000Z"
    new = old.replace("MO", "MO,TU").replace("UNTIL=20310127", "UNTIL=20310128")
    told = change_words(Change(field="recurrence", old=old, new=new), "Europe/Berlin")
    assert told == (
        "dates every Monday, 09:00 – 09:45, until Monday, 27 January 2031 (Berlin time) → "
        "every Monday and Tuesday, 09:00 – 09:45, until Tuesday, 28 January 2031 (Berlin time)"
    )
    date = datetime(2031, 1, 13, 8, tzinfo=UTC)
    off = change_words(Change(field="date", old=date, new="cancelled"), "Europe/Berlin")
    assert off == 'date Mon 2031-01-13 09:00 → "cancelled"'
    back = change_words(Change(field="date", old="cancelled", new=date), "Europe/Berlin")
    assert back == 'date "cancelled" → Mon 2031-01-13 09:00'
    single = change_words(Change(field="recurrence", old=date, new=old), "Europe/Berlin")
    assert single.startswith("dates Mon 2031-01-13 09:00 alone → every Monday")


def test_a_demoted_moderator_keeps_the_old_token_for_a_while() -> None:
    """The line says until when."""
    (line,) = lines(world_of().edit_attendee("m", "ada@example.org", moderator=False))
    assert "moderator yes → no" in line
    assert "makes a moderator until 2031-01-11 04:45 Europe/Berlin" in line


def test_one_withdrawn_is_a_minus_that_says_until_when_the_token_admits() -> None:
    """So that a person can decide to move the room."""
    world = world_of().drop_attendee("m", "ada@example.org")
    assert lines(world, withdraw_now=True) == [
        f"- {PLACE}: attendee missing; the old token admits until 2031-01-11 04:45 Europe/Berlin"
    ]
    assert lines(world) == [
        f"! {PLACE}: attendee missing, held back: missing, not often enough yet (1 of 2 runs)"
    ]


def test_a_deferred_one_says_when_it_is_tried_again() -> None:
    """Held back by its backoff."""
    world = World().put(meeting("m", attendee("Ada")))
    world.run(State.DEFERRED)
    assert lines(world)[0].endswith(
        "deferred, too early to try again, next at 2031-01-01 04:15 Europe/Berlin"
    )


def test_a_changed_secret_is_named_without_a_value() -> None:
    """There is no old and no new to show."""
    world = world_of()
    world.terms = type(world.terms)(
        server_url=world.terms.server_url,
        server_print=world.terms.server_print,
        key="another",
        alarm=world.terms.alarm,
    )
    assert all(line.endswith(": the secret or key") for line in lines(world))


def test_a_secret_that_moves_rooms_is_warned_about() -> None:
    """Rooms derived from the secret move with it: plan says so."""
    world = world_of()
    world.terms = type(world.terms)(
        server_url=world.terms.server_url,
        server_print=world.terms.server_print,
        key="another",
        alarm=world.terms.alarm,
    )
    world.edit("m", room=Room(claim="moved", segment="moved"))
    (warning,) = world.plan().warnings
    assert "room_key_file" in warning


def test_the_summary_counts_everybody_once() -> None:
    """New, updated, withdrawn, cancelled, kept, held back, over."""
    world = world_of().put(
        meeting("n", attendee("Eve")), meeting("o", attendee("Eve"), start=NOW - DAY)
    )
    assert plan_summary(world.plan()) == (
        "Plan for scope default: 1 new, 0 updated, 0 withdrawn, 0 cancelled, 2 kept, "
        "0 held back, 1 over."
    )


def test_a_plan_by_meeting_or_by_person_has_one_line_for_those_that_are_alike() -> None:
    """The first three are named, the others counted; who differs has a line of its own."""
    people = [attendee(f"P{number:02}") for number in range(20)]
    world = World().put(meeting("m", *people))
    world.run()
    world.wait(HOUR).edit("m", title="Other").put(meeting("n", attendee("P00")))
    changed, three = (
        'title "Meeting m" → "Other"',
        "p00@example.org, p01@example.org, p02@example.org",
    )
    assert list(plan_lines(world.plan(), by="meeting")) == [
        '"Other" Sat 2031-01-11 03:15 Europe/Berlin:',
        f"  ~ 20 attendees: {changed} ({three} and 17 more)",
        '"Meeting n" Sat 2031-01-11 03:15 Europe/Berlin:',
        "  + 1 attendee: new (p00@example.org)",
    ]
    by_person = list(plan_lines(world.plan(), by="person"))
    assert by_person[:3] == [
        "p00@example.org:",
        f'  ~ 1 meeting: {changed} ("Other" Sat 2031-01-11 03:15 Europe/Berlin)',
        '  + 1 meeting: new ("Meeting n" Sat 2031-01-11 03:15 Europe/Berlin)',
    ]
    assert len(by_person) == 20 * 2 + 1


def test_the_json_document_has_the_same_in_plain_values() -> None:
    """It can be dumped, and its times are UTC."""
    world = world_of().edit("m", status=Status.CANCELLED)
    document = json.loads(json.dumps(plan_document(world.plan())))
    first = document["actions"][0]
    assert first["method"] == "CANCEL"
    assert first["start"] == "2031-01-11T02:15:00Z"
    assert first["email"] == "ada@example.org"
    assert document["counts"]["cancelled"] == 2


def _printed(table: object) -> str:
    console = Console(file=StringIO(), width=200, no_color=True)
    console.print(table)
    assert isinstance(console.file, StringIO)
    return console.file.getvalue()


def _sent(title: str, *, rule: str = "") -> PastMessage:
    return PastMessage(
        run_id="r",
        at=NOW,
        meeting_id="m",
        title=title,
        start=NOW,
        timezone="Europe/Berlin",
        address="ada@example.org",
        kind="invitation",
        sequence=0,
        dtstamp=NOW,
        message_id="<x@example.com>",
        state=State.SENT,
        answer="250 ok",
        rule=rule,
    )


def test_history_says_how_a_meeting_repeats() -> None:
    """By the rule of what the attendee has."""
    message = _sent("Maths", rule="FREQ=MONTHLY;BYDAY=-1FR;UNTIL=20311231T080000Z")
    told = _printed(message_table([message], timezone="UTC"))
    told = " ".join(told.replace("│", " ").split())
    assert "Maths, every month on the last Friday from 2031-01-01 03:15 Europe/Berlin" in told


def test_history_is_a_table_and_a_document() -> None:
    """Nothing in a cell is taken for markup, and a run that was cut short says so."""
    message = _sent("[bold]Title")
    run = PastRun(
        id="20310101T021500Z",
        scope="default",
        command="send",
        delivery="smtp",
        source="roster.csv",
        roster_digest="ab" * 32,
        tz_version="2026f",
        due=None,
        started=NOW,
        finished=None,
        took=None,
        exit_code=None,
        counts={"sent": 2, "sent_again": 0},
    )
    printed = _printed(message_table([message], timezone="America/New_York"))
    assert "[bold]Title, 2031-01-01 03:15 Europe/Berlin (m)" in printed
    assert "messages (times in America/New_York)" in printed
    assert "2030-12-31 21:15:00" in printed
    assert "250 ok" in printed
    assert "cut short" in _printed(run_table([run]))
    document = json.loads(json.dumps(list(documents_of([message, run]))))
    assert document[0]["at"] == "2031-01-01T02:15:00Z"
    assert document[0]["state"] == "sent"
    assert document[1]["counts"] == {"sent": 2, "sent_again": 0}
    assert next(documents_of([run]))["took"] is None
    assert timedelta(seconds=2).total_seconds() == next(documents_of([_took(run)]))["took"]


def _took(run: PastRun) -> PastRun:
    return replace(run, took=timedelta(seconds=2), exit_code=0)
