"""A change of one date of a series: a message about that date alone, where that is enough."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from icalendar import Calendar

from invites.inspection import contents_of, document, inspected, lines
from invites.invitation import Kind
from invites.ledger.history import past_messages
from invites.planning.state import State
from invites.sending import drain
from tests.peers.smtp_server import Fault, ScriptedServer
from tests.sending.test_series import THREE, briefs, rows
from tests.world import Mail, PassWorld, read_mail, smtp

HEADER = "meeting_id,title,start,end,name,email,recurrence,exclude,occurrence,status"
SECTIONS = '\n[roster]\ntimezone = "Europe/Berlin"\n[series]\nlongest = "300d"\n'
EVERYBODY = [f"{who}@example.org" for who in ("ada", "bob", "eve")]
MOVED = "maths,,2031-03-11 10:00,,,,,,2031-03-10,"
CANCELLED = "maths,,,,,,,,2031-03-17,cancelled"


@pytest.fixture
def world(tmp_path: Path) -> PassWorld:
    """Give a world whose roster has series, in Berlin, with links that live long enough."""
    return PassWorld(folder=tmp_path, header=HEADER, sections=SECTIONS)


def words_of(mail: Mail) -> str:
    """Return a mail's text on one line."""
    return " ".join(mail.text.split())


def is_about_one_date(mail: Mail) -> bool:
    """Tell whether a mail's calendar object is one date's, without the rule of its series."""
    event, *others = Calendar.from_ical(mail.calendar).walk("VEVENT")
    return "recurrence-id" in event and "rrule" not in event and not others


def test_a_moved_date_goes_out_alone(world: PassWorld) -> None:
    """REQUEST with RECURRENCE-ID, the series' UID and link, and words about that date."""
    world.send(*THREE)
    (first, *_) = world.last()
    world.send(*THREE, MOVED)
    mails = world.last()
    assert briefs(mails) == [(who, "REQUEST", 1) for who in EVERYBODY]
    (event,) = Calendar.from_ical(mails[0].calendar).walk("VEVENT")
    assert str(event["uid"]) in first.calendar
    assert event["recurrence-id"].dt == datetime(2031, 3, 10, 8, tzinfo=UTC)
    assert event["recurrence-id"].params["TZID"] == event["dtstart"].params["TZID"]
    assert event["dtstart"].dt == datetime(2031, 3, 11, 9, tzinfo=UTC)
    assert event["dtend"].dt == datetime(2031, 3, 11, 9, 45, tzinfo=UTC)
    assert str(event["url"]) in first.text
    assert "BEGIN:VTIMEZONE" in mails[0].calendar.split("BEGIN:VEVENT")[0]
    assert (
        mails[0].subject
        == "Updated invitation: Maths, Tuesday, 11 March 2031, 10:00 – 10:45 (Berlin time)"
    )
    assert "one of the dates has changed. The others stay as they are." in words_of(mails[0])
    assert "One of these dates: Every Monday, 09:00 – 09:45, until Monday, 29 September" in (
        words_of(mails[0])
    )
    assert mails[0].answers == first.message_id
    assert world.send(*THREE, MOVED).plan.actions == ()


def test_a_cancelled_date_goes_out_alone_and_the_invitation_stands(world: PassWorld) -> None:
    """CANCEL with RECURRENCE-ID and STATUS, no link; what follows is an update of the series."""
    world.send(*THREE)
    world.send(*THREE, CANCELLED)
    mails = world.last()
    assert briefs(mails) == [(who, "CANCEL", 1) for who in EVERYBODY]
    (event,) = Calendar.from_ical(mails[0].calendar).walk("VEVENT")
    assert event["recurrence-id"].dt == datetime(2031, 3, 17, 8, tzinfo=UTC)
    assert str(event["status"]) == "CANCELLED"
    assert "jwt=" not in mails[0].calendar + mails[0].text
    assert (
        mails[0].subject == "Cancelled: Maths, Monday, 17 March 2031, 09:00 – 09:45 (Berlin time)"
    )
    assert "one of the dates is cancelled: it will not take place. The others stay" in (
        words_of(mails[0])
    )
    assert world.send(*THREE, CANCELLED).plan.actions == ()
    world.send(*rows("ada", "bob", "eve", start="10:00", end="10:45"), CANCELLED)
    assert briefs(world.last()) == [(who, "REQUEST", 2) for who in EVERYBODY]


def test_a_date_that_was_moved_and_is_cancelled_is_told_at_the_time_it_was_expected(
    world: PassWorld,
) -> None:
    """RECURRENCE-ID names it by the rule, the words by where it was."""
    world.send(*THREE, MOVED)
    world.send(*THREE, "maths,,,,,,,,2031-03-10,cancelled")
    mail = world.last()[0]
    assert mail.subject == "Cancelled: Maths, Tuesday, 11 March 2031, 10:00 – 10:45 (Berlin time)"
    (event,) = Calendar.from_ical(mail.calendar).walk("VEVENT")
    assert event["recurrence-id"].dt == datetime(2031, 3, 10, 8, tzinfo=UTC)


@pytest.mark.parametrize(
    ("row", "sequence"),
    [
        ("maths,Guest lecture,,,,,,,2031-03-10,", 0),
        ("maths,,,2031-03-10 11:00,,,,,2031-03-10,", 1),
        ("maths,Guest lecture,2031-03-10 10:00,,,,,,2031-03-10,", 1),
    ],
    ids=["title", "end", "title and start"],
)
def test_another_title_or_end_of_one_date_goes_out_alone(
    world: PassWorld, row: str, sequence: int
) -> None:
    """And the change taken back as well: then the date is as the rule has it."""
    world.send(*THREE)
    for expected, extra in ((sequence, [row]), (2 * sequence, [])):
        world.send(*THREE, *extra)
        assert briefs(world.last()) == [(who, "REQUEST", expected) for who in EVERYBODY]
        assert all(map(is_about_one_date, world.last()))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ([], [MOVED, CANCELLED]),
        ([CANCELLED], []),
        ([], ["maths,,2031-03-03 10:00,,,,,,2031-03-03,"]),
        ([], ["maths,,2031-09-29 10:00,,,,,,2031-09-29,"]),
    ],
    ids=["two dates", "takes place again", "the link opens later", "the link closes later"],
)
def test_what_is_about_more_than_one_date_is_the_whole_series(
    world: PassWorld, before: list[str], after: list[str]
) -> None:
    """So is a date that was off: no calendar has it any more for a RECURRENCE-ID to name."""
    world.send(*THREE, *before)
    world.send(*THREE, *after)
    assert {mail.brief[1] for mail in world.last()} == {"REQUEST"}
    assert not any(map(is_about_one_date, world.last()))


def test_beside_another_change_the_whole_series_goes_out(world: PassWorld) -> None:
    """Bob's own name changes too: he gets the series, and the others the one date."""
    world.send(*THREE)
    world.send(*(row.replace("Bob", "Robert") for row in THREE), MOVED)
    alone = {mail.to: is_about_one_date(mail) for mail in world.last()}
    assert alone == {"ada@example.org": True, "bob@example.org": False, "eve@example.org": True}


def test_who_is_new_gets_the_series_with_its_exceptions(world: PassWorld) -> None:
    """The others get the date, the new one all there is."""
    world.send(*THREE)
    world.send(*rows("ada", "bob", "eve", "zoe"), MOVED)
    alone = {mail.to: is_about_one_date(mail) for mail in world.last()}
    assert alone == {**dict.fromkeys(EVERYBODY, True), "zoe@example.org": False}


@pytest.fixture(params=[MOVED, CANCELLED], ids=["moved", "cancelled"])
def change(request: pytest.FixtureRequest) -> str:
    """Give a row that changes one date."""
    row: str = request.param
    return row


@pytest.fixture
def unhurried(tmp_path: Path, change: str) -> list[bytes]:
    """Give the messages about the date where nothing goes wrong."""
    with ScriptedServer() as server:
        world = PassWorld(folder=tmp_path / "control", header=HEADER, to="smtp")
        prepare(world, server)
        world.send(*THREE, change)
        return [message.content for message in server.accepted[3:]]


def prepare(world: PassWorld, server: ScriptedServer) -> None:
    """Invite all three by way of this server."""
    world.sections = SECTIONS + smtp(server)
    world.settings = world.load_settings()
    world.send(*THREE)


@pytest.fixture
def deferring(tmp_path: Path) -> Iterator[tuple[PassWorld, ScriptedServer]]:
    """Give a world in which Bob's message about the date is deferred once."""
    with ScriptedServer() as server:
        world = PassWorld(folder=tmp_path, header=HEADER, to="smtp")
        prepare(world, server)
        server.faults = [Fault("RCPT", "451", only="bob@example.org", times=2)]
        yield world, server


def test_a_deferred_date_is_sent_again_as_the_same_bytes(
    deferring: tuple[PassWorld, ScriptedServer], change: str, unhurried: list[bytes]
) -> None:
    """By a run that sees the roster; the ledger remembers which date it is about."""
    world, server = deferring
    world.send(*THREE, change)
    world.now += timedelta(hours=1)
    report = world.send(*THREE, change)
    assert [one.retry for one in report.plan.actions] == [True]
    assert sorted(message.content for message in server.accepted[3:]) == sorted(unhurried)


def test_a_deferred_date_is_drained_from_the_ledger_as_the_same_bytes(
    deferring: tuple[PassWorld, ScriptedServer], change: str, unhurried: list[bytes]
) -> None:
    """By a wake-up that has no roster at all."""
    world, server = deferring
    world.send(*THREE, change)
    world.now += timedelta(hours=1)
    with world.locked() as ledger:
        drain(
            world.renderer,
            ledger,
            world.options(),
            world.effects,
            delivery_for=world.delivery_for,
        )
    assert sorted(message.content for message in server.accepted[3:]) == sorted(unhurried)


def test_another_date_while_one_is_under_way_is_the_whole_series(
    deferring: tuple[PassWorld, ScriptedServer],
) -> None:
    """What was deferred is superseded: Bob, who has not got it, gets all that there is."""
    world, server = deferring
    world.send(*THREE, MOVED)
    world.send(*THREE, MOVED, CANCELLED)
    last = {mail.to: mail for mail in map(read_mail, (one.content for one in server.accepted[-3:]))}
    assert {to: is_about_one_date(mail) for to, mail in last.items()} == {
        "ada@example.org": True,
        "bob@example.org": False,
        "eve@example.org": True,
    }


def test_after_a_message_without_an_answer_the_whole_series_goes_out(tmp_path: Path) -> None:
    """Nobody knows whether Bob has the series: a date alone might find nothing to change."""
    with ScriptedServer([Fault("dot", "drop", only="bob@example.org", times=1)]) as server:
        world = PassWorld(folder=tmp_path, header=HEADER, to="smtp")
        prepare(world, server)
        report = world.send(*THREE, MOVED)
        standing = {
            one.attendee.address: one.revision.date is not None for one in report.plan.actions
        }
    assert standing == {
        "ada@example.org": True,
        "bob@example.org": False,
        "eve@example.org": True,
    }


def test_a_removed_attendee_loses_the_series_after_a_cancelled_date(world: PassWorld) -> None:
    """The invitation stood: the CANCEL of the whole is above that of the date."""
    world.send(*THREE)
    report = world.send(*THREE, CANCELLED)
    assert {one.revision.kind for one in report.plan.actions} == {Kind.DATE_CANCELLED}
    world.send(*rows("ada", "bob"), CANCELLED, withdraw_after=1)
    (mail,) = world.last()
    assert mail.brief == ("eve@example.org", "CANCEL", 2)
    assert "RECURRENCE-ID" not in mail.calendar
    assert report.ended == {State.SENT: 3}


def test_history_and_inspect_tell_which_date_a_message_is_about(world: PassWorld) -> None:
    """With the date by the rule, and by `inspect` with its times as well."""
    world.send(*THREE)
    world.send(*THREE, MOVED)
    moved = world.last()[0]
    world.send(*THREE, MOVED, CANCELLED)
    with world.locked() as ledger:
        history = past_messages(ledger, address="ada@example.org")
    assert [one.what for one in history] == [
        "date cancelled, 2031-03-17",
        "update, 2031-03-10",
        "invitation",
    ]
    for octets in (moved.calendar.encode(), bytes(moved.message)):
        inspection = inspected(contents_of(octets), [world.now])
        assert next(iter(lines(inspection, zone=ZoneInfo("Europe/Berlin")))) == (
            "Date        one date of a series, by its rule Mon 2031-03-10 09:00:00 CET (UTC+01:00): "
            "Tue 2031-03-11 10:00:00 CET (UTC+01:00) to Tue 2031-03-11 10:45:00 CET (UTC+01:00)"
        )
        assert document(inspection)["date"] == {
            "original": "2031-03-10T08:00:00Z",
            "start": "2031-03-11T09:00:00Z",
            "end": "2031-03-11T09:45:00Z",
            "cancelled": False,
        }
    cancelled = world.last()[0]
    inspection = inspected(contents_of(bytes(cancelled.message)), [world.now])
    assert [*lines(inspection, zone=ZoneInfo("Europe/Berlin"))] == [
        (
            "Date        one date of a series, by its rule Mon 2031-03-17 09:00:00 CET (UTC+01:00): "
            "cancelled, it does not take place"
        )
    ]
    assert not inspection.admitted
