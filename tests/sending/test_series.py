"""Meetings that repeat, sent: one mail for all dates, and one for each change."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
import recurring_ical_events
from icalendar import Calendar

from invites.errors import Exit
from invites.planning.actions import Cause, Reason
from tests.world import Mail, PassWorld

HEADER = "meeting_id,title,start,end,name,email,recurrence,exclude,occurrence,status"
RULE = "weekly until 2031-09-29"
START = datetime(2031, 2, 1, tzinfo=UTC)


def rows(*people: str, start: str = "09:00", end: str = "09:45", rule: str = RULE) -> list[str]:
    """Return the rows of a series of thirty-one Mondays, less one left out."""
    return [
        f"maths,Maths,2031-03-03 {start},2031-03-03 {end},{person.title()},{person}@example.org,"
        f"{rule},2031-04-14,,"
        for person in people
    ]


THREE = rows("ada", "bob", "eve")


@pytest.fixture
def world(tmp_path: Path) -> PassWorld:
    """Give a world whose roster has series, in Berlin, with links that live long enough."""
    sections = '\n[roster]\ntimezone = "Europe/Berlin"\n[series]\nlongest = "300d"\n'
    return PassWorld(folder=tmp_path, header=HEADER, sections=sections)


def briefs(mails: list[Mail]) -> list[tuple[str, str, int]]:
    """Return to whom each mail says what, in which order."""
    return sorted(mail.brief for mail in mails)


def test_thirty_dates_for_three_people_are_three_mails(world: PassWorld) -> None:
    """One each, told as a rule in words with the next date; a second run sends nothing."""
    report = world.send(*THREE)
    assert (report.exit_code, report.plan.counts["new"]) == (Exit.DONE, 3)
    mails = world.last()
    assert briefs(mails) == [(f"{who}@example.org", "REQUEST", 0) for who in ("ada", "bob", "eve")]
    assert mails[0].subject == "Invitation: Maths, every Monday, 09:00 – 09:45"
    assert "Every Monday, 09:00 – 09:45, until Monday, 29 September 2031 (Berlin time)" in (
        mails[0].text
    )
    assert "Next date: Monday, 3 March 2031, 09:00 – 09:45" in mails[0].text
    assert "* Monday, 14 April 2031: does not take place" in mails[0].text
    assert mails[0].text.count("?jwt=") == 1
    assert world.send(*reversed(THREE)).plan.actions == ()


def test_a_changed_rule_is_one_update_each_with_old_and_new_in_words(world: PassWorld) -> None:
    """The time on every date: SEQUENCE rises, and the rules are told, not thirty dates."""
    world.send(*THREE)
    report = world.send(*rows("ada", "bob", "eve", start="10:00", end="10:45"))
    assert [action.cause for action in report.plan.actions] == 3 * [Cause.CHANGED]
    mails = world.last()
    assert briefs(mails) == [(f"{who}@example.org", "REQUEST", 1) for who in ("ada", "bob", "eve")]
    words = " ".join(mails[0].text.split())
    assert (
        "* Dates: every Monday, 09:00 – 09:45, until Monday, 29 September 2031 (Berlin time) -> "
        "every Monday, 10:00 – 10:45, until Monday, 29 September 2031 (Berlin time)"
    ) in words


def test_a_moved_and_a_cancelled_date_are_one_update_each(world: PassWorld) -> None:
    """The series goes out with its exceptions, under the same UID; each date is told."""
    world.send(*THREE)
    moved = "maths,,2031-03-11 10:00,,,,,,2031-03-10,"
    cancelled = "maths,,,,,,,,2031-03-17,cancelled"
    world.send(*THREE, moved, cancelled)
    mails = world.last()
    assert [mail.brief[1:] for mail in mails] == 3 * [("REQUEST", 1)]
    assert len(mails) == 3
    words = " ".join(mails[0].text.split())
    old, new = "Monday, 10 March 2031, 09:00", "Tuesday, 11 March 2031, 10:00"
    assert f"* One of the dates: {old} (Berlin time, UTC+01:00) -> {new}" in words
    assert (
        "One of the dates: Monday, 17 March 2031, 09:00 (Berlin time, UTC+01:00) -> cancelled"
        in words
    )
    rule, exception = Calendar.from_ical(mails[0].calendar).walk("VEVENT")
    assert exception["dtstart"].dt == datetime(2031, 3, 11, 9, tzinfo=UTC)
    assert len(rule["exdate"]) == 2
    # The link is the one that they have: the first date and the last are where they were.
    assert "replaces the link" not in mails[0].text
    assert world.send(*THREE, moved, cancelled).plan.actions == ()


def test_another_title_of_one_date_keeps_sequence(world: PassWorld) -> None:
    """As of a meeting: nobody is asked to answer again."""
    world.send(*THREE)
    world.send(*THREE, "maths,Guest lecture,,,,,,,2031-03-10,")
    assert [mail.brief[1:] for mail in world.last()] == 3 * [("REQUEST", 0)]
    assert "Title of one of the dates: Maths -> Guest lecture" in world.last()[0].text


def test_a_longer_series_renews_the_link(world: PassWorld) -> None:
    """Its window ends with the last date, and the mail says that it replaces the earlier link."""
    world.send(*THREE)
    world.send(*rows("ada", "bob", "eve", rule="weekly until 2031-10-13"))
    assert "It replaces the link in earlier mails." in world.last()[0].text


def test_a_new_attendee_alone_gets_the_series(world: PassWorld) -> None:
    """Nobody else is mailed."""
    world.send(*THREE)
    world.send(*rows("ada", "bob", "eve", "zoe"))
    assert briefs(world.last()) == [("zoe@example.org", "REQUEST", 0)]


def test_a_series_is_over_when_its_last_date_is(world: PassWorld) -> None:
    """Between the first date and the last an update goes out; after the last nothing ever does."""
    world.send(*THREE)
    world.now = datetime(2031, 5, 4, tzinfo=UTC)
    assert world.send(*THREE).plan.actions == ()
    world.now = datetime(2031, 6, 4, tzinfo=UTC)
    moved = "maths,,2031-06-10 10:00,,,,,,2031-06-09,"
    assert len(world.send(*THREE, moved).plan.actions) == 3
    assert "Tuesday, 10 June 2031, 10:00 – 10:45" in world.last()[0].text
    world.now = datetime(2031, 8, 29, tzinfo=UTC)
    assert world.send(*THREE, moved).plan.actions == ()
    world.now = datetime(2031, 9, 29, 8, 0, tzinfo=UTC)
    assert world.send(*THREE).plan.actions == ()
    assert world.send(*rows("ada"), withdraw_after=1).plan.actions == ()


def test_what_becomes_of_a_date_that_is_over_sends_nothing(world: PassWorld) -> None:
    """An export that drops past rows takes the moved date with it; nobody is told of the past."""
    moved = "maths,,2031-03-11 10:00,,,,,,2031-03-10,"
    world.send(*THREE, moved)
    world.now = datetime(2031, 3, 12, tzinfo=UTC)
    assert world.send(*THREE).plan.actions == ()
    to_come = "maths,,2031-03-18 10:00,,,,,,2031-03-17,"
    report = world.send(*THREE, to_come)
    fields = {tuple(change.field for change in one.changes) for one in report.plan.actions}
    assert (len(report.plan.actions), fields) == (3, {("date",)})


def test_a_withdrawn_series_is_taken_back_as_a_whole(world: PassWorld) -> None:
    """One CANCEL for all dates, without RECURRENCE-ID and without a link."""
    world.send(*THREE, *(row.replace("maths", "other", 1) for row in THREE))
    world.send(
        *rows("ada", "bob"), *(row.replace("maths", "other", 1) for row in THREE), withdraw_after=1
    )
    (mail,) = world.last()
    assert mail.brief == ("eve@example.org", "CANCEL", 1)
    assert "RECURRENCE-ID" not in mail.calendar
    assert "jwt=" not in mail.calendar


def test_guards_count_a_series_once(world: PassWorld) -> None:
    """Three series whose every date is new are three meetings, and moving them by an hour three."""
    many = [row.replace("maths", f"m{n}", 1) for n in range(2) for row in THREE]
    report = world.send(*many)
    assert report.plan.counts["new"] == 6
    later = [row.replace("09:00", "10:00").replace("09:45", "10:45") for row in many]
    report = world.send(*later)
    assert report.plan.refusals == ()
    assert report.plan.counts["updated"] == 6


def test_a_single_meeting_becomes_a_series_under_its_uid(world: PassWorld) -> None:
    """And back: one update each way, told as the date alone."""
    single = [row.replace(f"{RULE},2031-04-14", ",") for row in THREE]
    world.send(*single)
    world.send(*THREE)
    words = " ".join(world.last()[0].text.split())
    assert [mail.brief[1:] for mail in world.last()] == 3 * [("REQUEST", 1)]
    assert "* Dates: Monday, 3 March 2031, 09:00 (Berlin time, UTC+01:00) -> every Monday" in words
    world.send(*single)
    assert [mail.brief[1:] for mail in world.last()] == 3 * [("REQUEST", 2)]
    assert "RRULE" not in world.last()[0].calendar.replace("RRULE:FREQ=YEARLY", "")
    uids = {
        mail.calendar.split("UID:")[1].split()[0] for batch in world.batches() for mail in batch
    }
    assert len(uids) == 1


def test_a_series_that_comes_down_to_the_date_that_stands_tells_its_other_title_alone(
    world: PassWorld,
) -> None:
    """A calendar shows the same date: no rule is told, and nothing where the title is the same."""
    single = "maths,Maths,2031-03-03 09:00,2031-03-03 09:45,Ada,ada@example.org,,,,"
    world.send(single)
    twice = single.replace("org,,", "org,weekly x 2,2031-03-10")
    assert world.send(twice).plan.actions == ()
    report = world.send(twice.replace(",Maths,", ",Sums,"))
    assert [change.field for one in report.plan.actions for change in one.changes] == ["title"]


def test_another_rule_of_the_zone_between_the_dates_is_told_apart() -> None:
    """The same rule at other instants is the zone's doing, and never the organizer's."""
    from dataclasses import replace  # noqa: PLC0415

    from invites.planning.changes import dates_changes, same_dates_elsewhere  # noqa: PLC0415
    from tests.series import series_meeting  # noqa: PLC0415

    new = series_meeting("weekly x 4", wall=datetime(2031, 12, 1, 9))  # noqa: DTZ001
    assert new.series is not None
    hour = timedelta(hours=1)
    shifted = [
        replace(one, original=one.original - hour, start=one.start - hour, end=one.end - hour)
        for one in new.series.occurrences[1:3]
    ]
    occurrences = (new.series.occurrences[0], *shifted, new.series.occurrences[3])
    old = replace(new, series=replace(new.series, occurrences=occurrences))
    assert same_dates_elsewhere(old, new, START)
    assert not same_dates_elsewhere(old, new, new.over_at)
    (change,) = dates_changes(old, new, START)
    assert (change.field, change.old, change.new) == ("recurrence", None, None)


def test_an_export_without_the_first_dates_row_renews_no_link(world: PassWorld) -> None:
    """The first date was moved to the evening; it is over, and its row is gone: no update."""
    moved = "maths,,2031-03-03 18:00,,,,,,2031-03-03,"
    world.send(*THREE, moved)
    world.now = datetime(2031, 3, 5, tzinfo=UTC)
    assert world.send(*THREE).plan.actions == ()


def link_of(mail: Mail) -> str:
    """Return the join link that stands in a message's text."""
    (link,) = (line for line in mail.text.splitlines() if "?jwt=" in line)
    return link


def series_dates(mail: Mail) -> list[datetime]:
    """Return the dates that a calendar makes of a message."""
    calendar = Calendar.from_ical(mail.calendar)
    found = recurring_ical_events.of(calendar).between(START, START + timedelta(days=400))
    return sorted(one["dtstart"].dt.astimezone(UTC) for one in found)


def mondays(*left_out: int) -> list[datetime]:
    """Return the starts of the thirty-one weeks, without those at the given places."""
    berlin = ZoneInfo("Europe/Berlin")
    walls = (datetime(2031, 3, 3, 9, tzinfo=berlin) + timedelta(weeks=n) for n in range(31))
    return [one.astimezone(UTC) for n, one in enumerate(walls) if n not in {6, *left_out}]


def away(who: str, *days: str) -> list[str]:
    """Return rows that take one person from some dates."""
    return [f"maths,,,,{who.title()},{who}@example.org,,,{day},cancelled" for day in days]


def test_who_misses_two_dates_alone_gets_the_series_without_them(world: PassWorld) -> None:
    """One update, with the dates left out; who joins later gets the series from there on."""
    world.send(*THREE)
    absent = away("bob", "2031-03-10", "2031-03-24")
    report = world.send(*THREE, *absent)
    assert [action.attendee.address for action in report.plan.actions] == ["bob@example.org"]
    assert [[change.field for change in one.changes] for one in report.plan.actions] == [
        ["date", "date"]
    ]
    (mail,) = world.last()
    assert mail.brief == ("bob@example.org", "REQUEST", 1)
    assert series_dates(mail) == mondays(1, 3)
    assert world.send(*THREE, *absent).plan.actions == ()
    joining = rows("zoe", start="09:00")[0].replace("2031-03-03", "2031-06-02")
    report = world.send(*THREE, *absent, joining)
    (mail,) = world.last()
    assert mail.brief == ("zoe@example.org", "REQUEST", 0)
    assert series_dates(mail) == mondays(*range(13))
    assert "Next date: Monday, 2 June 2031" in mail.text
    assert world.send(*THREE, *absent, joining).plan.actions == ()
    # Back on one of the two: that date alone is told, to nobody else.
    report = world.send(*THREE, *absent[1:], joining)
    assert [one.attendee.address for one in report.plan.actions] == ["bob@example.org"]
    assert series_dates(world.last()[0]) == mondays(3)


def test_a_link_opens_with_the_first_date_that_one_comes_to(world: PassWorld) -> None:
    """Who joins in June has no key to the lessons before, nor one to those after the last."""
    joining = rows("zoe")[0].replace("2031-03-03", "2031-06-02")
    report = world.send(*THREE, joining)
    zoe = next(one for one in report.plan.actions if one.attendee.address == "zoe@example.org")
    opens = datetime.fromtimestamp(zoe.facts.validity.not_before, UTC)
    assert opens.date().isoformat() == "2031-06-02"


def test_who_comes_to_no_date_any_more_is_withdrawn(world: PassWorld) -> None:
    """When the last of one's own dates is over nothing is sent; when all to come are taken, it is."""
    leaving = rows("bob", rule="weekly until 2031-04-07")
    world.send(*rows("ada", "eve"), *leaving)
    world.now = datetime(2031, 4, 9, tzinfo=UTC)
    assert world.send(*rows("ada", "eve"), *leaving, withdraw_after=1).plan.actions == ()
    sooner = rows("eve", rule="weekly until 2031-04-07")
    report = world.send(*rows("ada"), *sooner, *leaving, withdraw_after=1)
    (mail,) = world.last()
    assert (mail.brief, len(report.plan.actions)) == (("eve@example.org", "CANCEL", 1), 1)


def test_a_guest_of_one_date_is_invited_to_it_alone(world: PassWorld) -> None:
    """A meeting that does not repeat, in the series' room; on a second date it is a series."""
    world.send(*THREE)
    guest = "maths,,,,Zoe,zoe@example.org,,,{},"
    world.send(*THREE, guest.format("2031-03-10"))
    (mail,) = world.last()
    assert (mail.brief, "RRULE:FREQ=WEEKLY" in mail.calendar) == (
        ("zoe@example.org", "REQUEST", 0),
        False,
    )
    assert series_dates(mail) == mondays(0, *range(2, 31))
    both = [guest.format("2031-03-10"), guest.format("2031-03-31")]
    world.send(*THREE, *both)
    (mail,) = world.last()
    assert series_dates(mail) == mondays(0, 2, 3, *range(5, 31))


def test_joining_several_series_later_is_no_shift_of_them(world: PassWorld) -> None:
    """Three classes that somebody comes to from June on are where they were: no guard trips."""
    classes = [row.replace("maths", f"m{n}", 1) for n in range(4) for row in THREE]
    world.send(*classes)
    later = [row.replace("2031-03-03", "2031-06-02") if "ada@" in row else row for row in classes]
    report = world.send(*later)
    assert report.plan.refusals == ()
    assert {one.attendee.address for one in report.plan.actions} == {"ada@example.org"}
    moved = [row.replace("09:00", "10:00").replace("09:45", "10:45") for row in later]
    assert [one.guard for one in world.send(*moved).plan.refusals] == ["same shift"]


MARCH = [
    row.replace("maths,Maths", "maths-2,Maths").replace(",2031-04-14,,", ",,,")
    for row in rows("ada", "bob", "eve", start="10:00", end="10:45")
]
FEBRUARY = [
    row.replace("2031-03-03", "2031-02-03").replace("2031-04-14", "2031-02-10")
    for row in rows("ada", "bob", "eve", rule="weekly until 2031-06-30")
]


def test_a_series_that_is_split_ends_earlier_and_goes_on_under_another_uid(
    world: PassWorld,
) -> None:
    """From March on at ten: one update of the old one, and one invitation to the new, each."""
    world.send(*FEBRUARY)
    (first, *_) = world.last()
    ends = [row.replace("weekly until 2031-06-30", "weekly until 2031-02-24") for row in FEBRUARY]
    report = world.send(*ends, *MARCH)
    assert report.plan.refusals == ()
    uid = Calendar.from_ical(first.calendar).walk("VEVENT")[0]["uid"]
    told = {
        (mail.to, mail.sequence, f"UID:{uid}" in mail.calendar, mail.subject.split(":")[0])
        for mail in world.last()
    }
    assert len(world.last()) == 6
    assert told == {
        (f"{who}@example.org", sequence, old, words)
        for who in ("ada", "bob", "eve")
        for sequence, old, words in ((1, True, "Updated invitation"), (0, False, "Invitation"))
    }
    (old,) = (mail for mail in world.last() if mail.brief == ("ada@example.org", "REQUEST", 1))
    assert "UNTIL=20310224T080000Z" in old.calendar
    assert world.send(*ends, *MARCH).plan.actions == ()
    # When February is over and its rows are gone, nobody is told of it.
    world.now = datetime(2031, 2, 25, tzinfo=UTC)
    assert world.send(*MARCH, withdraw_after=1).plan.actions == ()


def test_another_rule_in_the_middle_of_a_series_is_one_update_of_the_same_entry(
    world: PassWorld,
) -> None:
    """The export goes on under the old id, with the dates from March on: the past ones are gone."""
    world.send(*FEBRUARY)
    world.now = datetime(2031, 2, 25, tzinfo=UTC)
    march = [row.replace("maths-2", "maths") for row in MARCH]
    world.send(*march)
    assert briefs(world.last()) == [
        (f"{who}@example.org", "REQUEST", 1) for who in ("ada", "bob", "eve")
    ]
    assert "DTSTART;TZID=Europe/Berlin:20310303T100000" in world.last()[0].calendar
    assert world.send(*march).plan.actions == ()


@pytest.fixture
def joining(tmp_path: Path) -> PassWorld:
    """Give a world whose roster has a row for each date of a class."""
    sections = (
        '\n[roster]\ntimezone = "Europe/Berlin"\nseries = "title"\n[series]\nlongest = "300d"\n'
    )
    header = "meeting_id,title,start,end,name,email"
    return PassWorld(folder=tmp_path, header=header, sections=sections)


def each_date(
    *weeks: int, clock: str = "09:00", people: tuple[str, ...] = ("ada", "bob")
) -> list[str]:
    """Return a row for each date and person, in weeks from 3 March 2031 on."""
    days = [(week, date(2031, 3, 3) + timedelta(weeks=week)) for week in weeks]
    return [
        f"m{week},Maths,{day} {clock},{day} {clock[:2]}:45,{who.title()},{who}@example.org"
        for week, day in days
        for who in people
    ]


def test_an_export_that_drops_past_rows_needs_no_message(joining: PassWorld) -> None:
    """One invitation each for all dates; then nothing, down to the last date, which is over too."""
    assert len(joining.send(*each_date(*range(9))).plan.actions) == 2
    for left in range(1, 9):
        joining.now = datetime(2031, 3, 2, tzinfo=UTC) + timedelta(weeks=left)
        assert joining.send(*each_date(*range(left, 9)), withdraw_after=1).plan.actions == ()
    joining.now = datetime(2031, 4, 29, tzinfo=UTC)
    assert joining.send(*each_date(8), withdraw_after=1).plan.actions == ()


def test_of_joined_rows_a_moved_date_and_a_new_one_are_one_update_each(joining: PassWorld) -> None:
    """With past rows dropped the change is told as that one date, and the calendar has the rest."""
    joining.send(*each_date(*range(9)))
    links = {mail.to: link_of(mail) for mail in joining.last()}
    joining.now = datetime(2031, 3, 16, tzinfo=UTC)
    moved = [*each_date(2, 4, 5, 6, 7, 8), *each_date(3, clock="11:00")]
    report = joining.send(*moved)
    assert [[change.field for change in one.changes] for one in report.plan.actions] == 2 * [
        ["date"]
    ]
    # The date has the link of its series, though the export's first date would open a new one later.
    assert {mail.to: link_of(mail) for mail in joining.last()} == links
    assert joining.send(*reversed(moved)).plan.actions == ()
    report = joining.send(*moved, *each_date(9))
    assert [[change.field for change in one.changes] for one in report.plan.actions] == 2 * [
        ["recurrence", "validity"]
    ]
    (ada, _) = sorted(joining.last(), key=lambda mail: mail.to)
    assert len(series_dates(ada)) == 8


def test_who_leaves_joined_rows_is_withdrawn_from_the_dates_to_come(joining: PassWorld) -> None:
    """Rows of past dates alone are no invitation to those to come."""
    joining.send(*each_date(*range(9)))
    joining.now = datetime(2031, 3, 20, tzinfo=UTC)
    left = [*each_date(0, 1, 2), *each_date(*range(3, 9), people=("ada",))]
    joining.send(*left, withdraw_after=1)
    assert [mail.brief for mail in joining.last()] == [("bob@example.org", "CANCEL", 1)]


SINGLES = '\n[roster]\ntimezone = "Europe/Berlin"\n[series]\nlongest = "300d"\n'


def switched(world: PassWorld, sections: str) -> None:
    """Go on with other settings."""
    world.sections = sections
    world.settings = world.load_settings()


def calendars(world: PassWorld) -> dict[str, list[datetime]]:
    """Return what is in each receiver's calendar after all mails so far, entry by entry."""
    entries: dict[tuple[str, str], Mail] = {}
    for mail in (mail for batch in world.batches() for mail in batch):
        uid = str(Calendar.from_ical(mail.calendar).walk("VEVENT")[0]["uid"])
        known = entries.get((mail.to, uid))
        if known is None or mail.sequence >= known.sequence:
            entries[mail.to, uid] = mail
    found: dict[str, list[datetime]] = {}
    for (who, _), mail in entries.items():
        found.setdefault(who, [])
        if mail.method == "REQUEST":
            found[who] += series_dates(mail)
    return {who: sorted(dates) for who, dates in found.items()}


def test_single_rows_become_a_series_and_back_without_a_double_entry(joining: PassWorld) -> None:
    """New entries first, then the old ones go, in one run; no guard and no wait is in the way."""
    people = ("ada", "bob", "eve", "zoe")
    rows = each_date(*range(9), people=people)
    weeks = [start for start in mondays() if start < datetime(2031, 5, 1, tzinfo=UTC)]
    listed = sorted({*weeks, datetime(2031, 4, 14, 7, tzinfo=UTC)})
    whole = {f"{who}@example.org": listed for who in people}
    joined = joining.sections
    switched(joining, SINGLES)
    joining.send(*rows)
    assert calendars(joining) == whole
    switched(joining, joined)
    report = joining.send(*rows)
    assert (report.exit_code, report.plan.refusals) == (Exit.DONE, ())
    (warning,) = report.plan.warnings
    assert warning == (
        'the dates of 9 meetings that 4 people had are in "Maths" now, as a series begins or ends: '
        "the new invitation goes out first, and what it replaces is withdrawn in the same run, once "
        "that was sent"
    )
    first, second = joining.batches()[-2:]
    assert briefs(first) == [(f"{who}@example.org", "REQUEST", 0) for who in people]
    assert {mail.method for mail in second} == {"CANCEL"}
    assert len(second) == 36
    assert "A newer invitation has its date" in " ".join(second[0].text.split())
    assert calendars(joining) == whole
    assert joining.send(*rows).plan.actions == ()
    # A small loss in the nights after it is no shrink: what was regrouped is not lost.
    fewer = [row for row in rows if "zoe@" not in row]
    assert joining.send(*fewer, withdraw_after=1).plan.refusals == ()
    rows, whole = fewer, {**whole, "zoe@example.org": []}
    switched(joining, SINGLES)
    report = joining.send(*rows)
    assert report.plan.refusals == ()
    assert {action.cause for action in report.plan.actions} == {Cause.BACK, Cause.REGROUPED}
    assert calendars(joining) == whole
    assert joining.send(*rows).plan.actions == ()


def test_an_old_entry_stays_until_the_new_one_was_sent(joining: PassWorld) -> None:
    """A run that is cut short leaves nobody without a date: the next one goes on."""
    rows = each_date(*range(5))
    joined = joining.sections
    switched(joining, SINGLES)
    joining.send(*rows)
    switched(joining, joined)
    report = joining.send(*rows, limit=1)
    assert [mail.brief for mail in joining.last()] == [("ada@example.org", "REQUEST", 0)]
    assert {(hold.reason, hold.cause) for hold in report.plan.held} == {
        (Reason.LIMIT, Cause.NEW),
        (Reason.REGROUPED, Cause.REGROUPED),
    }
    dates = calendars(joining)
    assert len(set(dates["bob@example.org"])) == len(dates["bob@example.org"]) == 5
    joining.send(*rows)
    dates = calendars(joining)
    assert [len(dates[who]) for who in sorted(dates)] == [5, 5]
    assert joining.send(*rows).plan.actions == ()


def test_one_date_alone_takes_the_series_id_too(joining: PassWorld) -> None:
    """A class with a single row gets the column's value as meeting_id, like those with several."""
    rows = [row.replace("Maths", "Talk") for row in each_date(3, people=("ada", "bob", "eve"))]
    joined = joining.sections
    switched(joining, SINGLES)
    joining.send(*rows)
    switched(joining, joined)
    report = joining.send(*rows)
    assert report.plan.refusals == ()
    assert {len(dates) for dates in calendars(joining).values()} == {1}
    assert joining.send(*rows).plan.actions == ()


def test_who_misses_a_date_gets_no_link_for_it(tmp_path: Path) -> None:
    """Where each date has a link of its own; the others get theirs."""
    sections = '\n[roster]\ntimezone = "Europe/Berlin"\n[series]\ntokens = "occurrence"\n'
    world = PassWorld(folder=tmp_path, header=HEADER, sections=sections)
    listed = [*THREE, *away("bob", "2031-03-10")]
    world.send(*listed)
    world.now = datetime(2031, 3, 9, 12, tzinfo=UTC)
    world.send(*listed)
    assert [mail.to for mail in world.last()] == ["ada@example.org", "eve@example.org"]
    assert all("jwt=" in mail.text for mail in world.last())
    world.now = datetime(2031, 3, 16, 12, tzinfo=UTC)
    world.send(*listed)
    assert len(world.last()) == 3


def test_the_others_in_an_entry_are_all_who_come_to_some_date(tmp_path: Path) -> None:
    """Whoever misses a date sees the others, and they see who does."""
    sections = (
        '\n[roster]\ntimezone = "Europe/Berlin"\n[series]\nlongest = "300d"\n'
        "[mail]\nshow_attendees = true\n"
    )
    world = PassWorld(folder=tmp_path, header=HEADER, sections=sections)
    world.send(*THREE, *away("bob", "2031-03-10"))
    for mail in world.last():
        event = Calendar.from_ical(mail.calendar).walk("VEVENT")[0]
        assert len(event["attendee"]) == 3
