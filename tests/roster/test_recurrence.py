"""How a meeting repeats: what a cell may write, which rules are taken, and the dates that they have."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from dateutil.rrule import rrulestr
from hypothesis import given
from hypothesis import strategies as st

from invites.model import Frequency, Recurrence
from invites.roster.recurrence import anchored, dates_of, rule_text
from invites.roster.rule import Rule, parse_rule
from invites.text import CellRefused
from tests.series import Case, corpus, series_meeting

BERLIN = ZoneInfo("Europe/Berlin")
LAST = datetime(2027, 2, 1, 23, 59, 59, 999_999)  # noqa: DTZ001 - a wall time
WEEKLY, MONTHLY = Frequency.WEEKLY, Frequency.MONTHLY


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("weekly until 2027-02-01", Rule(recurrence=Recurrence(frequency=WEEKLY), until=LAST)),
        (
            "Every 2 weeks on Mon, Wed x 10",
            Rule(
                recurrence=Recurrence(frequency=WEEKLY, interval=2, weekdays=("MO", "WE")), count=10
            ),
        ),
        (
            "every tuesday and thursday 12 times",
            Rule(recurrence=Recurrence(frequency=WEEKLY, weekdays=("TU", "TH")), count=12),
        ),
        (
            "every weekday for 5 times",
            Rule(
                recurrence=Recurrence(frequency=WEEKLY, weekdays=("MO", "TU", "WE", "TH", "FR")),
                count=5,
            ),
        ),
        (
            "monthly on the 1st tue x 6",
            Rule(recurrence=Recurrence(frequency=MONTHLY, weekdays=("TU",), nth=1), count=6),
        ),
        (
            "every other month on last weekday x 6",
            Rule(
                recurrence=Recurrence(
                    frequency=MONTHLY,
                    interval=2,
                    weekdays=("MO", "TU", "WE", "TH", "FR"),
                    nth=-1,
                ),
                count=6,
            ),
        ),
        (
            "monthly on last day x 3",
            Rule(recurrence=Recurrence(frequency=MONTHLY, month_day=-1), count=3),
        ),
        (
            "RRULE:FREQ=MONTHLY;BYDAY=-1FR;COUNT=3",
            Rule(recurrence=Recurrence(frequency=MONTHLY, weekdays=("FR",), nth=-1), count=3),
        ),
        (
            "freq=monthly;byday=MO,TU;bysetpos=-1;count=3",
            Rule(recurrence=Recurrence(frequency=MONTHLY, weekdays=("MO", "TU"), nth=-1), count=3),
        ),
        (
            "FREQ=DAILY;UNTIL=20270201T080000Z",
            Rule(
                recurrence=Recurrence(frequency=Frequency.DAILY),
                until=datetime(2027, 2, 1, 8, tzinfo=UTC),
            ),
        ),
    ],
)
def test_a_rule_is_read_in_either_form(text: str, expected: Rule) -> None:
    """Short forms in any case, and RRULEs with and without their name."""
    assert parse_rule(text) == expected


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("weekly", "a series that ends"),
        ("FREQ=WEEKLY", "a series that ends"),
        ("FREQ=WEEKLY;COUNT=3;UNTIL=20270101", "one end"),
        ("weekly x 1000", "at most 999 dates"),
        ("weekly x 0", "at least one date"),
        ("weekly until 2027-02-30", "that exists"),
        ("weekly until christmas", "until 2027-02-01"),
        ("fortnightly x 3", "is not known"),
        ("every 3 fortnights x 3", "is not known"),
        ("weekly on mo x 3", "on mon,wed"),
        ("daily on mon x 3", "no days after 'daily'"),
        ("monthly on 5th tue x 3", "on 1st tue"),
        ("every 100 weeks x 3", "at most 99 weeks"),
        ("FREQ=HOURLY;COUNT=3", "FREQ=DAILY, WEEKLY, MONTHLY or YEARLY"),
        ("FREQ=WEEKLY;BYHOUR=9;COUNT=3", "not BYHOUR"),
        ("FREQ=WEEKLY;RDATE=20270101;COUNT=3", "not RDATE"),
        ("FREQ=WEEKLY;FREQ=DAILY;COUNT=3", "FREQ comes twice"),
        ("FREQ=WEEKLY;BYDAY;COUNT=3", "parts such as FREQ=WEEKLY"),
        ("FREQ=WEEKLY;BYDAY=1MO;COUNT=3", "without number"),
        ("FREQ=WEEKLY;BYDAY=MI;COUNT=3", "days such as MO"),
        ("FREQ=WEEKLY;BYMONTH=3;COUNT=3", "BYMONTH in a yearly rule"),
        ("FREQ=WEEKLY;BYMONTHDAY=3;COUNT=3", "no BYMONTHDAY"),
        ("FREQ=WEEKLY;WKST=XX;COUNT=3", "WKST"),
        ("FREQ=DAILY;BYDAY=MO;COUNT=3", "FREQ=WEEKLY with the same BYDAY"),
        ("FREQ=MONTHLY;BYDAY=MO;COUNT=3", "say which"),
        ("FREQ=MONTHLY;BYDAY=5MO;COUNT=3", "a 5th is not in every month"),
        ("FREQ=MONTHLY;BYDAY=1MO,3MO;COUNT=3", "one day with a number"),
        ("FREQ=MONTHLY;BYDAY=1MO;BYSETPOS=1;COUNT=3", "BYDAY of plain days"),
        ("FREQ=MONTHLY;BYSETPOS=1;COUNT=3", "BYDAY of plain days"),
        ("FREQ=MONTHLY;BYMONTHDAY=31;COUNT=3", "not every month has"),
        ("FREQ=MONTHLY;BYMONTHDAY=1,15;COUNT=3", "one number in BYMONTHDAY"),
        ("FREQ=MONTHLY;BYDAY=1MO;BYMONTHDAY=3;COUNT=3", "either BYDAY or BYMONTHDAY"),
        ("FREQ=YEARLY;BYDAY=1MO;COUNT=3", "BYMONTH beside"),
        ("FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29;COUNT=3", "in every year"),
        ("FREQ=YEARLY;BYMONTH=13;COUNT=3", "1 to 12"),
        ("FREQ=WEEKLY;COUNT=many", "a number in COUNT"),
        ("FREQ=WEEKLY;UNTIL=20271301", "exists"),
        ("FREQ=WEEKLY;UNTIL=tomorrow", "UNTIL as"),
    ],
)
def test_a_rule_that_is_refused_is_told_which_part_is_wrong(text: str, part: str) -> None:
    """Rules without an end, rules that Outlook has no word for, and what is no rule."""
    with pytest.raises(CellRefused) as caught:
        parse_rule(text)
    assert part in caught.value.expected


def _dates(text: str, *wall: int) -> list[str]:
    there = datetime(*wall, tzinfo=BERLIN)  # type: ignore[arg-type,misc]
    rule = parse_rule(text)
    whole = Rule(
        recurrence=anchored(rule.recurrence, there.replace(tzinfo=None)),
        count=rule.count,
        until=rule.until,
    )
    return [f"{one:%m-%d %H:%M}" for one in dates_of(whole, there.astimezone(UTC), BERLIN)]


def test_a_lesson_at_nine_stays_at_nine_when_clocks_change() -> None:
    """The wall time holds, so the instants move by an hour."""
    assert _dates("weekly x 3", 2027, 3, 15, 9) == ["03-15 08:00", "03-22 08:00", "03-29 07:00"]


def test_a_time_that_clocks_skip_or_show_twice_is_read_as_rfc_5545_says() -> None:
    """02:30 is skipped on the 28th of March: it is 03:30; in October the first 02:30 is meant."""
    assert _dates("daily x 3", 2027, 3, 27, 2, 30) == ["03-27 01:30", "03-28 01:30", "03-29 00:30"]
    assert _dates("daily x 3", 2027, 10, 30, 2, 30) == ["10-30 00:30", "10-31 00:30", "11-01 01:30"]


def test_until_counts_its_whole_day_on_the_wall() -> None:
    """The last day's lesson is one of the series, and a UTC end is an instant."""
    assert _dates("daily until 2027-03-03", 2027, 3, 1, 23, 30)[-1] == "03-03 22:30"
    assert _dates("FREQ=DAILY;UNTIL=20270303T222959Z", 2027, 3, 1, 23, 30)[-1] == "03-02 22:30"


@pytest.mark.parametrize("day", [29, 30, 31])
def test_a_monthly_series_from_a_day_that_not_every_month_has_is_refused(day: int) -> None:
    """Outlook would take the month's last day where RFC 5545 has none."""
    with pytest.raises(CellRefused, match="not every month has"):
        _dates("monthly x 3", 2027, 1, day, 9)


def test_the_corpus_agrees_with_dateutil_and_zoneinfo() -> None:
    """The RRULE that goes out has, read by dateutil on zoneinfo's clock, the same dates."""
    cases = [*corpus()]
    assert len(cases) > 300
    for case in cases:
        assert _by_dateutil(case) == [one.original for one in case.series.occurrences], case


def _by_dateutil(case: Case) -> list[datetime]:
    there = ZoneInfo(case.zone)
    start = case.meeting.start.astimezone(there).replace(tzinfo=None)
    text, _, until = rule_text(case.series).partition(";UNTIL=")
    last = datetime.strptime(until, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    walls = rrulestr(text, dtstart=start).between(
        start, last.replace(tzinfo=None) + timedelta(days=2), inc=True
    )
    dates = [wall.replace(tzinfo=there).astimezone(UTC) for wall in walls]
    return [one for one in dates if one <= last]


@given(
    interval=st.integers(1, 5),
    days=st.sets(st.sampled_from(("mon", "wed", "fri", "sun")), min_size=1),
    count=st.integers(1, 60),
    start=st.datetimes(datetime(2026, 1, 1), datetime(2030, 12, 1)),  # noqa: DTZ001 - wall times
)
def test_the_rule_that_goes_out_is_read_as_the_one_that_came_in(
    interval: int, days: set[str], count: int, start: datetime
) -> None:
    """Writing a rule and reading it gives the same dates, whatever it was written as."""
    text = f"every {interval} weeks on {','.join(sorted(days))} x {count}"
    wall = start.replace(hour=9, minute=0, second=0, microsecond=0)
    while f"{wall:%a}".lower() not in days:
        wall += timedelta(days=1)
    meeting = series_meeting(text, wall=wall)
    assert meeting.series is not None
    again = series_meeting(rule_text(meeting.series), wall=wall)
    assert again.series == meeting.series
    assert len(meeting.series.occurrences) == count
