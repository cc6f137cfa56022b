"""Columns that stand together in place of one, columns joined by settings, and lists of attendees."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from typing import Any

import pytest

from invites.errors import RosterRefusedError
from invites.model import Meeting, Roster
from invites.problems import Problem
from invites.roster.parse import RosterRules, parse_roster
from invites.roster.parts import as_clock, as_length
from invites.roster.table import Chunk, Table
from invites.text import CellRefused

DAY = {"start_date": "2031-03-03", "start_time": "09:00"}
WHOLE = {"meeting_id": "m", "title": "Weekly", "name": "Ada Example", "email": "ada@example.org"}


def table(*rows: dict[str, str]) -> Table:
    """Return a table of rows that have the same cells."""
    header = tuple(rows[0])
    chunk = Chunk(range(2, len(rows) + 2), [[row[name] for row in rows] for name in header])
    return Table(source="r.csv", digest="0" * 64, header=header, rows=[chunk])


def read(*rows: dict[str, str], **rules: Any) -> Roster:
    """Return the roster that these rows make."""
    return parse_roster(table(*rows), RosterRules(**rules))


def meeting(row: dict[str, str], **rules: Any) -> Meeting:
    """Return the one meeting of a row."""
    (found,) = read({**WHOLE, **row}, **rules).meetings
    return found


def problems(*rows: dict[str, str], **rules: Any) -> tuple[Problem, ...]:
    """Return why rows are refused."""
    with pytest.raises(RosterRefusedError) as caught:
        read(*rows, **rules)
    return tuple(caught.value.problems)


def at(day: int, hour: int, minute: int = 0) -> datetime:
    """Return an instant of March 2031."""
    return datetime(2031, 3, day, hour, minute, tzinfo=UTC)


@pytest.mark.parametrize(
    ("cells", "end"),
    [
        ({"end_time": "10:30"}, at(3, 10, 30)),
        ({"end_time": "10:30", "end_date": "2031-03-03"}, at(3, 10, 30)),
        ({"end_time": "10:30", "end_date": ""}, at(3, 10, 30)),
        ({"end_time": "08:00", "end_date": "2031-03-04"}, at(4, 8)),
        ({"duration": "45"}, at(3, 9, 45)),
        ({"duration": "1h30m"}, at(3, 10, 30)),
        ({"end": "2031-03-03 11:00", "end_time": "10:30", "duration": "45"}, at(3, 11)),
    ],
)
def test_a_date_and_a_time_of_day_stand_for_start_and_end(
    cells: dict[str, str], end: datetime
) -> None:
    """Where the whole column is there it counts, and its parts are columns like any other."""
    found = meeting({**DAY, **cells})
    assert (found.start, found.end) == (at(3, 9), end)


def test_an_end_before_the_start_is_the_next_days_where_the_night_is_short() -> None:
    """22:00 to 00:30 crosses midnight; 14:00 to 13:00 is a slip, and no meeting of 23 hours."""
    night = {"start_date": "2031-03-03", "start_time": "22:00", "end_time": "00:30"}
    assert meeting(night).end == at(4, 0, 30)
    slip = {"start_date": "2031-03-03", "start_time": "14:00", "end_time": "13:00"}
    (problem,) = problems({**WHOLE, **slip})
    assert (problem.row, problem.column, problem.found) == (2, "end_time", "13:00")
    assert problem.expected == "an end after the start"


def test_an_end_of_day_goes_with_a_whole_start_and_its_offset() -> None:
    """A start with an offset is an instant, and its end's time of day is meant in it."""
    found = meeting({"start": "2031-03-03 09:00+02:00", "end_time": "10:00"})
    assert (found.start, found.end) == (at(3, 7), at(3, 8))


def test_a_duration_is_time_that_passes_where_clocks_change() -> None:
    """From 01:30 it takes two hours, and clocks then show 04:30."""
    cells = {"start_date": "2031-03-30", "start_time": "01:30", "duration": "2h"}
    found = meeting(cells, timezone="Europe/Berlin")
    assert found.end - found.start == timedelta(hours=2)


@pytest.mark.parametrize(
    ("forms", "day", "clock"),
    [
        (("de",), "03.03.2031", "9:00"),
        (("us",), "3/3/2031", "9:00:00 AM"),
        (("excel",), "47910", "0,375"),
        (("%d/%m/%Y, %H:%M Uhr",), "03/03/2031", "09:00 Uhr"),
        (("us", "de"), "03.03.2031", "09:00"),
        ((), "2031-03-03 00:00", "09:00"),
    ],
)
def test_a_date_is_read_by_the_dates_part_of_the_roster_s_forms(
    forms: tuple[str, ...], day: str, clock: str
) -> None:
    """One setting says how dates are written, with and without a time behind them."""
    cells = {"start_date": day, "start_time": clock, "duration": "1h"}
    assert meeting(cells, date_format=forms).start == at(3, 9)


def test_a_date_in_another_order_is_refused_where_it_stands() -> None:
    """Without date_format there is one order of day and month."""
    cells = {"start_date": "03.04.2031", "start_time": "09:00", "duration": "1h"}
    (problem,) = problems({**WHOLE, **cells})
    assert (problem.column, problem.found) == ("start_date + start_time", "03.04.2031 09:00")
    assert "2026-01-31" in problem.expected


@pytest.mark.parametrize(
    ("text", "hour", "minute"),
    [("9:00", 9, 0), ("12:00 AM", 0, 0), ("12:30 pm", 12, 30), ("09.15", 9, 15), ("7h45", 7, 45)],
)
def test_times_of_day_as_people_write_them(text: str, hour: int, minute: int) -> None:
    """Twelve hours with a word for the half, twenty-four without."""
    assert as_clock(text, RosterRules()) == time(hour, minute)


@pytest.mark.parametrize("text", ["9", "24:00", "13:00 PM", "9:60", "noon", "0.375"])
def test_what_is_no_time_of_day(text: str) -> None:
    """A number alone may be anything; an end at midnight is 00:00."""
    with pytest.raises(CellRefused, match="09:00"):
        as_clock(text, RosterRules())


@pytest.mark.parametrize(
    ("text", "minutes"),
    [("45", 45), ("90 min", 90), ("1h", 60), ("1 h 30 min", 90), ("1:30", 90), ("PT1H30M", 90),
     ("1:30:00", 90), ("2 hours", 120), ("30m", 30), ("2 Std.", 120), ("1h30", 90), ("2h05", 125)],
)  # fmt: skip
def test_durations_as_people_write_them(text: str, minutes: int) -> None:
    """A number alone means minutes, and a colon stands between hours and minutes."""
    assert as_length(text, RosterRules()) == timedelta(minutes=minutes)


@pytest.mark.parametrize("text", ["1", "2", "0", "0:00", "1.5", "-30", "PT", "long", "5 days"])
def test_what_is_no_duration(text: str) -> None:
    """A single hour without its unit would be a meeting of one minute."""
    with pytest.raises(CellRefused, match="45m"):
        as_length(text, RosterRules())


def test_first_and_last_name_stand_for_the_name() -> None:
    """One of them may be empty, not both; beside a name they are columns like any other."""
    row = {**WHOLE, **DAY, "duration": "1h", "first_name": "Ada", "last_name": "Example"}
    del row["name"]
    assert read(row).meetings[0].attendees[0].name == "Ada Example"
    assert read({**row, "last_name": ""}).meetings[0].attendees[0].name == "Ada"
    (problem,) = problems({**row, "first_name": "", "last_name": " "})
    assert (problem.column, problem.expected) == ("first_name + last_name", "the attendee's name")
    beside = read({**row, "name": "A. Example"}).meetings[0].attendees[0]
    assert (beside.name, beside.columns["first_name"]) == ("A. Example", "Ada")


def test_half_of_what_stands_for_a_column_says_what_lacks() -> None:
    """The message names the other half, and a misspelt one is asked about."""
    (problem,) = problems({**WHOLE, "start_date": "2031-03-03", "duration": "1h"})
    assert 'and "start_time", with which "start_date" would stand for it' in problem.expected
    found = problems({**WHOLE, "start_date": "2031-03-03", "strat_time": "9:00", "duration": "1h"})
    assert any('did you mean "start_time"' in each.expected for each in found)


def test_parts_have_other_names_by_the_settings() -> None:
    """A German sheet has Name for the family's alone: the setting goes before our own name."""
    columns = {"first_name": ("Vorname",), "last_name": ("Name",), "start_date": ("Datum",)}
    row = {
        "meeting_id": "m", "title": "Weekly", "Datum": "2031-03-03", "start_time": "9:00",
        "duration": "1h", "Name": "Example", "Vorname": "Ada", "email": "ada@example.org",
    }  # fmt: skip
    assert read(row, columns=columns).meetings[0].attendees[0].name == "Ada Example"


def test_columns_are_joined_by_the_settings() -> None:
    """What has no id has one by its title and day; the parts stay columns of their own."""
    columns = {
        "meeting_id": ("title + Day",),
        "start": ("Day + From",),
        "end": ("Day + To",),
        "name": ("Vorname + Name",),
    }
    row = {
        "title": "Weekly", "Day": "2031-03-03", "From": "09:00", "To": "10:00",
        "Name": "Example", "Vorname": "Ada", "email": "ada@example.org",
    }  # fmt: skip
    (found,) = read(row, {**row, "Day": "2031-03-10"}, columns=columns).meetings[:1]
    assert (found.id, found.title, found.start) == ("Weekly 2031-03-03", "Weekly", at(3, 9))
    assert found.attendees[0].name == "Ada Example"
    (problem,) = problems({**row, "To": "9 o'clock"}, columns=columns)
    assert (problem.column, problem.found) == ("Day + To", "2031-03-03 9 o'clock")


OUTLOOK = {
    "meeting_id": "m", "title": "Weekly", **DAY, "duration": "1h", "notes": "n",
    "Required Attendees": "Ada Example <ada@example.org>; ben@example.com",
    "Optional Attendees": "",
}  # fmt: skip
LISTS = ("Required Attendees", "optional-attendees")


def test_a_cell_that_lists_attendees_makes_a_row_of_each() -> None:
    """Each has the row's number, is counted as one row, and never reads who the others are."""
    more = {**OUTLOOK, "Optional Attendees": "Cy Example <cy@example.net>"}
    roster = read(OUTLOOK, more, attendees=LISTS)
    people = roster.meetings[0].attendees
    assert [(one.name, one.address, one.row) for one in people] == [
        ("Ada Example", "ada@example.org", 2),
        ("ben@example.com", "ben@example.com", 2),
        ("Cy Example", "cy@example.net", 3),
    ]
    assert all(set(one.columns) == {"notes"} for one in people)
    assert (roster.rows_read, roster.accepted) == (2, 2)


def test_a_list_without_addresses_is_a_problem_of_its_row() -> None:
    """Outlook writes the names alone of people whom it knows: nobody can be mailed by that."""
    rows = [{**OUTLOOK, "Required Attendees": cell} for cell in ("Ada Example; Ben Example", "")]
    found = problems(*rows, attendees=LISTS)
    assert [(each.row, each.column, each.found) for each in found] == [
        (2, "email", "Ada Example"),
        (2, "email", "Ben Example"),
        (3, "email", ""),
        (3, "name", ""),
    ]


def test_a_list_beside_an_email_column_or_of_no_column_refuses_the_file() -> None:
    """Which of them is meant can't be known."""
    assert "keep one" in problems({**OUTLOOK, "E-Mail": "x"}, attendees=LISTS)[0].expected
    assert '"Guests" is missing' in problems(OUTLOOK, attendees=("Guests",))[0].expected
