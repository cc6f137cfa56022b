"""Rows of meetings that repeat: the rule, dates left out, and rows that are about one date."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from invites.jitsi.validity import ValidityRule
from invites.model import Meeting, Occurrence
from invites.roster.recurrence import rule_text
from invites.roster.series import kept_series, series_kept
from tests.roster.test_roster import only, read, refused

ADA = {
    "title": "Maths",
    "start": "2026-12-07 09:00",
    "end": "2026-12-07 09:45",
    "recurrence": "weekly until 2027-02-01",
    "exclude": "",
    "occurrence": "",
    "status": "",
}
BOB = {**ADA, "name": "Bob Example", "email": "bob@example.org"}
ALL = {"start": "", "end": "", "title": "", "name": "", "email": "", "recurrence": ""}
"""A row about a date that says nothing yet, and speaks for everybody."""

BERLIN: dict[str, Any] = {"timezone": "Europe/Berlin"}


def day(number: int, hour: int = 8, minute: int = 0, month: int = 12) -> datetime:
    """Return a time in UTC."""
    return datetime(2026 if month == 12 else 2027, month, number, hour, minute, tzinfo=UTC)


def about(occurrence: str, **cells: str) -> dict[str, str]:
    """Return a row about one date."""
    return {**ADA, **ALL, "occurrence": occurrence, **cells}


def dates(meeting: Meeting) -> tuple[Occurrence, ...]:
    """Return the dates of a series."""
    assert meeting.series is not None
    return meeting.series.occurrences


def test_rows_with_a_rule_are_one_meeting_on_all_its_dates() -> None:
    """Start and end are the first date's; it is over when the last one is."""
    meeting = only(read(ADA, BOB, **BERLIN))
    assert [person.name for person in meeting.attendees] == ["Ada Example", "Bob Example"]
    assert (meeting.start, meeting.end) == (day(7), day(7, 8, 45))
    assert [one.start for one in dates(meeting)] == [day(7) + timedelta(weeks=n) for n in range(9)]
    assert (meeting.opens, meeting.over_at) == (day(7), day(1, 8, 45, month=2))


def test_two_ways_to_say_a_rule_are_the_same_rule() -> None:
    """COUNT or UNTIL, with the weekday or without: what goes out is one RRULE."""
    texts = ("weekly until 2027-02-01", "weekly x 9", "FREQ=WEEKLY;BYDAY=MO;UNTIL=20270207")
    series = {only(read({**ADA, "recurrence": text}, **BERLIN)).series for text in texts}
    (one,) = series
    assert one is not None
    assert rule_text(one) == "FREQ=WEEKLY;BYDAY=MO;UNTIL=20270201T080000Z"


@pytest.mark.parametrize(
    "cell",
    ["2026-12-28, 2027-01-04", "2026-12-28 2027-01-04", "2026-12-28 09:00; 2027-01-04 00:00"],
)
def test_dates_are_left_out_by_day_or_by_start(cell: str) -> None:
    """A spreadsheet's midnight is a day."""
    meeting = only(read({**ADA, "exclude": cell}, **BERLIN))
    assert meeting.series is not None
    assert meeting.series.left_out == {day(28), day(4, month=1)}
    assert len(meeting.starts) == 7


def test_dates_are_read_as_the_settings_say() -> None:
    """A German export leaves out and names dates in its own form."""
    rows = [
        {**ADA, "start": "07.12.2026 09:00", "end": "07.12.2026 09:45", "exclude": "28.12.2026"},
        {**about("14.12.2026"), "status": "cancelled"},
    ]
    meeting = only(read(*rows, date_format=("de",), **BERLIN))
    assert meeting.series is not None
    assert meeting.series.left_out == {day(14), day(28)}


def test_a_row_about_a_date_changes_that_one() -> None:
    """Another time and title; its end follows where none is given; the others stay."""
    moved = about("2026-12-14 09:00", start="2026-12-15 10:00", title="Guest lecture")
    off = about("2026-12-21", status="cancelled")
    longer = about("2026-12-28", end="2026-12-28 10:00")
    roster = read(ADA, BOB, moved, off, longer, **BERLIN)
    assert (roster.rows_read, roster.accepted) == (5, 5)
    meeting = only(roster)
    first, second, third, fourth, *rest = dates(meeting)
    assert second == Occurrence(
        original=day(14), start=day(15, 9), end=day(15, 9, 45), title="Guest lecture"
    )
    assert third.cancelled
    assert fourth == Occurrence(original=day(28), start=day(28), end=day(28, 9))
    assert meeting.series is not None
    assert meeting.series.exceptions(meeting.end - meeting.start) == (second, fourth)
    assert not any(one.cancelled for one in (first, *rest))


def test_rows_about_a_date_for_each_attendee_are_as_one_for_all() -> None:
    """An export that repeats the date's row for everybody says the same."""
    moved = {"start": "2026-12-15 10:00", "end": "2026-12-15 10:45", "occurrence": "2026-12-14"}
    each = read(ADA, BOB, {**ADA, **moved}, {**BOB, **moved}, **BERLIN)
    one = read(ADA, BOB, about("2026-12-14", start=moved["start"]), **BERLIN)
    assert only(each).series == only(one).series


CASES: list[tuple[list[dict[str, str]], str, str]] = [
    ([{**ADA, "start": "2026-12-08 09:00", "end": "2026-12-08 09:45", "recurrence": "weekly on mon x 3"}], "start", "2026-12-14 09:00"),
    ([{**ADA, "end": "2026-12-15 09:00", "recurrence": "weekly x 3"}], "end", "token lives at most"),
    ([{**ADA, "recurrence": "weekly until 2026-11-01"}], "recurrence", "not before its first date"),
    ([{**ADA, "recurrence": "weekly x 3", "exclude": "2026-12-15"}], "exclude", "2026-12-15 is none"),
    ([{**ADA, "recurrence": "weekly x 1", "exclude": "2026-12-07"}], "recurrence", "at least one date"),
    ([{**ADA, "recurrence": "", "exclude": "2026-12-07"}], "exclude", 'no "recurrence"'),
    ([{**ADA, "recurrence": "weekly until 2028-01-01"}], "recurrence", "at most 200 days"),
    ([{**ADA, "recurrence": "", "occurrence": "2026-12-07"}], "occurrence", "own rows beside this one"),
    ([ADA, about("2026-12-15")], "occurrence", "2026-12-14 09:00"),
    ([ADA, BOB, {**ADA, "occurrence": "2026-12-14", "start": "2026-12-15 09:00", "end": "2026-12-15 09:45"}], "occurrence", "each of the series' 2 attendees"),
    ([ADA, BOB, {**ADA, "occurrence": "2026-12-14", "title": "Ada's own"}], "occurrence", "does not have it at another time"),
    ([ADA, *({**BOB, "occurrence": f"2026-12-{day:02}", "status": "cancelled"} for day in (7, 14))], "occurrence", "at least one date"),
    ([ADA, {**BOB, "occurrence": "2026-12-07"}, {**BOB, "occurrence": "2026-12-14", "moderator": "yes"}], "occurrence", "the values of row 3"),
    ([ADA, {**BOB, "start": "2026-12-15 09:00", "end": "2026-12-15 09:45"}], "start", "as in row 2"),
    ([ADA, {**BOB, "start": "2026-12-14 10:00", "end": "2026-12-14 10:45"}], "start", "as in row 2"),
    ([ADA, {**BOB, "recurrence": "daily x 3"}], "recurrence", "as in row 2"),
    ([ADA, BOB, {**BOB, "start": "2026-12-14 09:00", "end": "2026-12-14 09:45"}], "start", "as in row 2"),
    ([ADA, about("2026-12-14", start="2026-12-22 09:00")], "start", "moves no date past another"),
    ([ADA, about("2026-12-14", start="2026-12-21 12:00")], "start", "on a day of its own"),
    ([ADA, about("2026-12-14", end="2026-12-14 08:00")], "end", "after the start"),
    ([ADA, about("2026-12-14", room="other")], "room", "admits to one room"),
    ([ADA, about("2026-12-14", status="tentative")], "status", "cancelled, an empty cell"),
    ([ADA, about("2026-12-14", description="x")], "description", "in start, end, title, status alone"),
    ([ADA, about("2026-12-14", title="A"), about("2026-12-14 09:00", title="B")], "occurrence", "row 3"),
    ([{**ADA, "exclude": "2026-12-14"}, about("2026-12-14", title="A")], "occurrence", "does not leave out"),
]  # fmt: skip


@pytest.mark.parametrize(("rows", "column", "expected"), CASES)
def test_what_is_wrong_with_a_series_is_told_where_it_stands(
    rows: list[dict[str, str]], column: str, expected: str
) -> None:
    """The row, the column, and what to write instead."""
    problem = refused(*rows, **BERLIN).problems[0]
    assert problem.column == column
    assert expected in problem.expected


LATER = {**BOB, "start": "2026-12-21 09:00", "end": "2026-12-21 09:45"}


def coming(meeting: Meeting) -> dict[str, list[int]]:
    """Return the weeks of the series that each attendee comes in, counted from its first."""
    return {
        attendee.name.split()[0]: [(start - day(7)).days // 7 for start in part.starts]
        for part in meeting.parts()
        for attendee in part.attendees
    }


def test_a_cancelled_row_with_a_name_takes_that_attendee_from_the_date() -> None:
    """The others come; the series is what it was."""
    away = [{**BOB, "occurrence": f"2026-12-{day}", "status": "cancelled"} for day in (14, 28)]
    meeting = only(read(ADA, BOB, *away, **BERLIN))
    assert coming(meeting) == {"Ada": [*range(9)], "Bob": [0, 2, 4, 5, 6, 7, 8]}
    assert meeting.series == only(read(ADA, BOB, **BERLIN)).series
    assert [person.misses for person in meeting.attendees] == [(), (day(14), day(28))]


def test_everybody_cancelled_by_name_is_a_date_that_is_off() -> None:
    """An export that repeats the row for each attendee says what one row without a name says."""
    each = [{**one, "occurrence": "2026-12-14", "status": "cancelled"} for one in (ADA, BOB)]
    off = about("2026-12-14", status="cancelled")
    assert only(read(ADA, BOB, *each, **BERLIN)) == only(read(ADA, BOB, off, **BERLIN))


def test_a_date_that_moves_for_those_who_come_does_not_bring_back_who_is_away() -> None:
    """Rows by name for all others speak for the date; with one for everybody it is the same."""
    moved = {"start": "2026-12-15 10:00", "end": "2026-12-15 10:45", "occurrence": "2026-12-14"}
    away = {**BOB, "occurrence": "2026-12-14", "status": "cancelled"}
    by_name = only(read(ADA, BOB, away, {**ADA, **moved}, **BERLIN))
    for_all = only(read(ADA, BOB, about("2026-12-14", start=moved["start"]), away, **BERLIN))
    assert by_name == for_all
    ada, bob = by_name.parts()
    assert day(15, 9) in ada.starts
    assert (len(ada.starts), len(bob.starts)) == (9, 8)


def test_a_later_start_and_an_earlier_end_in_ones_own_row_are_a_stretch() -> None:
    """Bob joins on the 21st; Eve leaves after it; the series has all of it."""
    eve = {**ADA, "name": "Eve Example", "email": "eve@example.org"}
    short = {**eve, "recurrence": "weekly until 2026-12-21"}
    meeting = only(read(LATER, ADA, short, **BERLIN))
    assert (meeting.start, len(meeting.starts)) == (day(7), 9)
    assert coming(meeting) == {"Ada": [*range(9)], "Bob": [*range(2, 9)], "Eve": [0, 1, 2]}
    whole = only(read(LATER, short, **BERLIN))
    assert (len(whole.starts), coming(whole)) == (9, {"Bob": [*range(2, 9)], "Eve": [0, 1, 2]})
    counted = only(read(ADA, {**LATER, "recurrence": "weekly x 2"}, **BERLIN))
    assert coming(counted)["Bob"] == [2, 3]


def test_who_has_rows_about_dates_alone_comes_on_these() -> None:
    """A guest of one date, and one who joins earlier for once; the others are not concerned."""
    guest = {**ALL, "name": "Zoe Guest", "email": "zoe@example.org", "occurrence": "2026-12-14"}
    early = {**ALL, **{key: BOB[key] for key in ("name", "email")}, "occurrence": "2026-12-07"}
    meeting = only(read(ADA, LATER, guest, early, **BERLIN))
    assert coming(meeting)["Bob"] == [0, *range(2, 9)]
    zoe = next(part for part in meeting.parts() if part.attendees[0].name == "Zoe Guest")
    assert (zoe.series, zoe.start, zoe.end) == (None, day(14), day(14, 8, 45))
    assert [person.name for person in meeting.attendees][-1] == "Zoe Guest"


def test_parts_begin_and_end_with_dates_that_their_attendees_come_to() -> None:
    """What is missed in between is left out, and what is off for all stays as the series has it."""
    away = [{**BOB, "occurrence": f"2026-12-{day:02}", "status": "cancelled"} for day in (7, 21)]
    off = {"exclude": "2026-12-14, 2027-02-01"}
    ada, bob = only(read({**ADA, **off}, {**BOB, **off}, *away, **BERLIN)).parts()
    assert ada.series is not None
    assert bob.series is not None
    assert len(ada.series.occurrences) == 9
    assert (bob.start, bob.end) == (day(28), day(28, 8, 45))
    assert [one.cancelled for one in bob.series.occurrences] == [*5 * [False], True]
    assert rule_text(bob.series) == rule_text(ada.series)
    assert bob.parts() == (bob,)


def test_a_part_begins_at_the_time_of_day_of_its_series() -> None:
    """On the night of 28 March clocks in Berlin skip 02:30: the part begins a day earlier."""
    night = {"start": "2027-03-26 02:30", "end": "2027-03-26 02:45", "recurrence": "daily x 6"}
    away = [
        about(f"2027-03-{day}", status="cancelled", email=BOB["email"], name=BOB["name"])
        for day in (26, 27)
    ]
    _, bob = only(read({**ADA, **night}, {**BOB, **night}, *away, **BERLIN)).parts()
    assert bob.series is not None
    assert (bob.start, bob.starts[0]) == (day(27, 1, 30, month=3), day(28, 1, 30, month=3))
    assert [one.cancelled for one in bob.series.occurrences] == [True, *4 * [False]]


def test_dates_that_overlap_are_refused() -> None:
    """A lesson ends before the next one begins."""
    long = {**ADA, "end": "2026-12-08 09:30", "recurrence": "daily x 3"}
    problem = refused(long, validity=ValidityRule(longest=timedelta(days=3)), **BERLIN).problems[0]
    assert (problem.column, "next date begins" in problem.expected) == ("end", True)


def test_a_first_date_that_clocks_show_twice_is_refused() -> None:
    """A calendar has a series' times on the wall, and can't tell the second 02:30 from the first."""
    twice = {**ADA, "start": "2026-10-25T02:30+01:00", "end": "2026-10-25T03:15+01:00"}
    problem = refused({**twice, "recurrence": "weekly x 3"}, **BERLIN).problems[0]
    assert (problem.column, "show once" in problem.expected) == ("start", True)


def test_a_faulty_row_about_a_date_leaves_the_whole_series_out() -> None:
    """Without the row the lesson would be where nobody wants it; each row is told why."""
    roster = read(
        ADA, BOB, about("2026-12-15"), {"meeting_id": "other"}, skip_invalid=True, **BERLIN
    )
    assert only(roster).id == "other"
    assert (roster.accepted, roster.rejected) == (1, 3)
    assert [problem.row for problem in roster.left_out] == [2, 3, 4]
    assert roster.left_out_meetings == ("weekly",)
    misspelt = about("2026-12-14", start="tomorrow")
    roster = read(ADA, BOB, misspelt, {"meeting_id": "other"}, skip_invalid=True, **BERLIN)
    assert (only(roster).id, roster.rejected) == ("other", 3)


def test_the_setting_says_how_long_a_series_link_may_live() -> None:
    """The rule of single meetings does not count for it, nor the other way round."""
    rule = ValidityRule(longest_series=timedelta(days=1))
    problem = refused(ADA, validity=rule, **BERLIN).problems[0]
    assert (problem.column, "[series] longest" in problem.expected) == ("recurrence", True)
    long = ValidityRule(longest_series=timedelta(days=500))
    meeting = only(read({**ADA, "recurrence": "weekly until 2028-01-01"}, validity=long, **BERLIN))
    assert len(meeting.starts) == 56


def test_a_series_is_kept_and_read_as_it_was() -> None:
    """What the ledger keeps of it has all dates, the differing ones whole."""
    moved = about("2026-12-14 09:00", start="2026-12-15 10:00", title="Guest lecture")
    meeting = only(read({**ADA, "exclude": "2026-12-28"}, moved, **BERLIN))
    kept = kept_series(meeting.series)
    assert series_kept(kept) == meeting.series
    assert kept is not None
    assert sum(isinstance(one, list) for one in kept) == 2
    assert kept_series(None) is series_kept(None) is None


@pytest.mark.parametrize("count", [200, 201])
def test_as_many_dates_differ_as_a_mail_can_hold(count: int) -> None:
    """Each is an event of its own; dates left out are a line each, and are not counted."""
    first = datetime(2026, 12, 7, 9)  # noqa: DTZ001 - a wall time
    days = [f"{first + timedelta(days=n):%Y-%m-%d}" for n in range(count)]
    series = {**ADA, "recurrence": f"daily x {count + 40}"}
    off = [about(f"{first + timedelta(days=count + n):%Y-%m-%d}") for n in range(30)]
    rows = [
        series,
        *(about(on, start=f"{on} 10:00") for on in days),
        *({**one, "status": "cancelled"} for one in off),
    ]
    rule = ValidityRule(longest_series=timedelta(days=400))
    if count == 200:
        assert len(only(read(*rows, validity=rule, **BERLIN)).starts) == 210
        return
    problem = refused(*rows, validity=rule, **BERLIN).problems[0]
    assert (problem.column, problem.row) == ("occurrence", 203)
    assert problem.expected == (
        "at most 200 dates that differ from the rule; there are 201; change the rule, or give the "
        "later dates a meeting_id of their own"
    )
