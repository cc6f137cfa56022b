"""Rows that list each date of a series by itself: what rule they make, and what stays single."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from invites.jitsi.validity import ValidityRule
from invites.model import Meeting, Roster
from invites.roster.recurrence import rule_text
from tests.roster.test_roster import only, read, refused
from tests.series import Case, corpus

LONG = ValidityRule(longest=timedelta(days=3), longest_series=timedelta(days=5_000))
BY_TITLE: dict[str, Any] = {"timezone": "Europe/Berlin", "series": "title", "validity": LONG}
CORPUS = tuple(corpus())


def row(day: str, who: str = "Ada", *, clock: str = "09:00", **cells: str) -> dict[str, str]:
    """Return a row of one date, an hour long, under a meeting_id of its own."""
    end = (datetime.fromisoformat(f"{day} {clock}") + timedelta(hours=1)).isoformat(" ")
    return {
        "meeting_id": f"m-{day}-{clock}",
        "title": "Maths",
        "start": f"{day} {clock}",
        "end": end,
        "name": f"{who} Example",
        "email": f"{who.lower()}@example.org",
        **cells,
    }


def mondays(count: int, *left_out: int) -> list[str]:
    """Return so many Mondays from 7 December 2026 on, without those at the given places."""
    first = date(2026, 12, 7)
    return [str(first + timedelta(weeks=n)) for n in range(count) if n not in left_out]


def instants(roster: Roster) -> list[tuple[datetime, datetime]]:
    """Return when the meetings of a roster take place, in order."""
    return sorted(
        (one.start, one.end)
        for meeting in roster.meetings
        for one in (meeting.series.taking_place if meeting.series else (meeting,))
    )


def test_rows_that_differ_in_their_date_alone_are_one_series() -> None:
    """Its meeting_id is the column's value, and a week that is not listed is left out."""
    rows = [row(day, who) for day in mondays(9, 3) for who in ("Ada", "Bob")]
    roster = read(*rows, **BY_TITLE)
    meeting = only(roster)
    assert meeting.id == "Maths"
    assert meeting.series is not None
    assert rule_text(meeting.series) == "FREQ=WEEKLY;BYDAY=MO;UNTIL=20270201T080000Z"
    assert meeting.series.left_out == {datetime(2026, 12, 28, 8, tzinfo=UTC)}
    assert [person.misses for person in meeting.attendees] == [(), ()]
    assert (roster.rows_read, roster.accepted) == (16, 16)
    assert roster.joined is not None
    assert (roster.joined.rows, roster.joined.series, roster.joined.dates) == (16, 1, 8)


@pytest.mark.parametrize("series", ["title", "Course", "meeting_id", "group"])
def test_any_column_can_tell_series_apart(series: str) -> None:
    """A known one, one of one's own by its header's spelling, and the meeting_id itself."""
    rows = [
        row(day, meeting_id=name, Course=name, title=name, group=name)
        for day in mondays(4)
        for name in ("7a", "7b")
    ]
    rows = [{**one, "start": one["start"].replace("09", "11"), "end": one["end"].replace("10", "12")}
            if one["title"] == "7b" else one for one in rows]  # fmt: skip
    roster = read(*rows, **{**BY_TITLE, "series": series}, extra=("Course",))
    assert [(one.id, len(one.starts)) for one in roster.meetings] == [("7a", 4), ("7b", 4)]


def test_one_moved_and_one_cancelled_date_are_exceptions() -> None:
    """Another day between its neighbours, another hour, another title; status cancelled."""
    days = mondays(8)
    rows = [row(day) for day in days]
    rows[2] = row("2026-12-23", title="Maths", clock="10:00")
    rows[4]["status"] = "cancelled"
    rows[5] = row(days[5], clock="11:00")
    meeting = only(read(*rows, **BY_TITLE))
    assert meeting.series is not None
    dates = meeting.series.occurrences
    assert [one.start.day for one in dates] == [7, 14, 23, 28, 4, 11, 18, 25]
    assert [one.cancelled for one in dates] == [at == 4 for at in range(8)]
    assert dates[5].start - dates[5].original == timedelta(hours=2)


def test_a_date_of_its_own_title_keeps_it_where_another_column_joins() -> None:
    """The title of most dates is the series'; where none is, the column's value is."""
    days = mondays(4)
    rows = [row(day, group="7b", title="Exam" if day == days[3] else "Maths") for day in days]
    meeting = only(read(*rows, **{**BY_TITLE, "series": "group"}))
    assert meeting.series is not None
    assert (meeting.title, [one.title for one in meeting.series.occurrences]) == (
        "Maths",
        ["", "", "", "Exam"],
    )
    rows = [row(day, group="7b", title=f"Lesson {day}") for day in days]
    assert only(read(*rows, **{**BY_TITLE, "series": "group"})).title == "7b"


def test_who_is_listed_on_some_dates_comes_on_these() -> None:
    """Bob joins with the third date."""
    days = mondays(6)
    rows = [row(day) for day in days] + [row(day, "Bob") for day in days[2:]]
    ada, bob = only(read(*rows, **BY_TITLE)).parts()
    assert (len(ada.starts), bob.starts) == (6, ada.starts[2:])


def test_dates_without_a_rule_stay_meetings_and_it_is_said_why() -> None:
    """And of those beside a rule each does alone; their meeting_ids are their own."""
    odd = [row(day) for day in ("2026-12-07", "2026-12-17", "2027-01-20", "2027-02-06")]
    roster = read(*odd, **BY_TITLE)
    assert [one.id for one in roster.meetings] == [one["meeting_id"] for one in odd]
    assert roster.joined is not None
    (single,) = roster.joined.single
    assert single.text == (
        '"Maths": 4 dates stay meetings of their own: '
        "its 4 dates follow no rule that Outlook can express"
    )
    twice = [*map(row, mondays(8)), row("2026-12-14", clock="14:00")]
    roster = read(*twice, **BY_TITLE)
    assert sorted(one.id for one in roster.meetings) == ["Maths", "m-2026-12-14-14:00"]
    same_id = [{**one, "meeting_id": "maths"} for one in twice]
    roster = read(*same_id, **BY_TITLE)
    assert sorted(one.id for one in roster.meetings) == ["Maths", "maths 2026-12-14 14:00"]


def test_rows_without_a_value_or_with_a_rule_are_as_ever() -> None:
    """An empty cell joins nothing, and a meeting that has its rule keeps its meeting_id."""
    ruled = {**row("2026-12-08"), "recurrence": "weekly x 4", "group": "7b"}
    roster = read(
        *(row(day, group="") for day in mondays(3)), ruled, **{**BY_TITLE, "series": "group"}
    )
    assert len(roster.meetings) == 4
    assert {one.id for one in roster.meetings if one.series} == {"m-2026-12-08-09:00"}


CASES: list[tuple[dict[str, str], str, str]] = [
    ({"room": "r2"}, "room", '"r1" as in row 2'),
    ({"start": "2026-12-28 09:30", "end": "2026-12-28 10:30"}, "start", "don't overlap"),
    ({"organizer_name": "Host"}, "organizer_name", "tells them apart"),
    ({"moderator": "yes"}, "email", "one name, role and language"),
    ({"status": "tentative"}, "status", '"confirmed" as in row 2'),
]


@pytest.mark.parametrize(("cells", "column", "expected"), CASES)
def test_dates_of_one_value_that_disagree_are_refused(
    cells: dict[str, str], column: str, expected: str
) -> None:
    """Row and column, and that another column may tell two series apart."""
    rows = [{**row(day), "room": "r1", "organizer_name": ""} for day in mondays(4)]
    rows.append({**row("2027-01-11"), "room": "r1", "organizer_name": "", **cells})
    error = refused(*rows, **BY_TITLE)
    (problem,) = error.problems
    assert (problem.row, problem.column) == (6, column)
    assert expected in problem.expected
    whole = read(*rows, {"title": "Other"}, skip_invalid=True, **BY_TITLE)
    assert [one.id for one in whole.meetings] == ["Other"]
    assert (whole.accepted, whole.rejected) == (1, 5)
    assert "Maths" in whole.left_out_meetings


def test_a_missing_column_and_a_taken_id_are_told() -> None:
    """A series' id is its value, which no other meeting may have."""
    error = refused(row("2026-12-07"), **{**BY_TITLE, "series": "course"})
    assert "which [roster] series names" in error.problems[0].expected
    rows = [row(day, group="7b") for day in mondays(2)]
    error = refused(
        *rows, row("2026-12-09", meeting_id="7b", group=""), **{**BY_TITLE, "series": "group"}
    )
    assert "another meeting_id" in error.problems[0].expected


def test_a_link_that_would_live_too_long_is_told_at_the_start() -> None:
    """As for a series by a rule."""
    short = ValidityRule(longest_series=timedelta(days=20))
    error = refused(*map(row, mondays(9)), **{**BY_TITLE, "validity": short})
    assert (error.problems[0].column, "[series] longest" in error.problems[0].expected) == (
        "start",
        True,
    )


def exported(case: Case, since: int = 0) -> list[dict[str, str]]:
    """Return a series of the corpus as an export with a row for each date, without the first ones."""
    dates = case.series.taking_place[since:]
    return [
        {
            "meeting_id": f"m{at}",
            "title": "Maths",
            "Course": "maths",
            "start": one.start.isoformat(),
            "end": one.end.isoformat(),
            "timezone": case.zone,
        }
        for at, one in enumerate(dates)
    ]


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(CORPUS), st.data())
def test_any_series_exported_as_rows_joins_back_to_the_same_instants(
    case: Case, data: st.DataObject
) -> None:
    """With all rows, and without those of dates that are over: then its id stays."""
    since = data.draw(st.integers(0, len(case.series.taking_place) - 1))
    rules: dict[str, Any] = {"series": "Course", "extra": ("Course",), "validity": LONG}
    for dropped in (0, since):
        roster = read(*exported(case, dropped), **rules)
        assert instants(roster) == [
            (one.start, one.end) for one in case.series.taking_place[dropped:]
        ]
        assert "maths" in {one.id for one in roster.meetings}


def _exceptions(days: Sequence[str], at: int) -> dict[str, str]:
    moved = datetime.combine(date.fromisoformat(days[at]), time(11)) + timedelta(days=1)
    return row(f"{moved:%Y-%m-%d}", clock=f"{moved:%H:%M}")


@settings(max_examples=60, deadline=None)
@given(st.integers(4, 30), st.data())
def test_left_out_and_moved_dates_join_with_the_others(count: int, data: st.DataObject) -> None:
    """Up to a quarter of them moved by a day and two hours: one series, at the same instants."""
    out = data.draw(st.sets(st.integers(1, count - 2), max_size=count // 4))
    days = mondays(count, *out)
    moved = data.draw(st.sets(st.integers(0, len(days) - 1), max_size=len(days) // 4))
    rows = [_exceptions(days, at) if at in moved else row(day) for at, day in enumerate(days)]
    roster = read(*rows, **BY_TITLE)
    meeting: Meeting = only(roster)
    assert meeting.id == "Maths"
    there = ZoneInfo("Europe/Berlin")
    listed = [datetime.fromisoformat(one["start"]).replace(tzinfo=there) for one in rows]
    assert [start for start, _ in instants(roster)] == [one.astimezone(UTC) for one in listed]
