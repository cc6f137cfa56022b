"""Dates and times as letters write them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from invites.templating.dates import comes_twice, local_time, minute_at, moved, offset_text, span
from invites.templating.language import ENGLISH
from invites.times import zone

BERLIN = zone("Europe/Berlin")


def _span(start: str, end: str, name: str = "Europe/Berlin") -> str:
    times = (datetime.fromisoformat(text) for text in (start, end))
    return span(*times, zone(name), ENGLISH).text


def test_a_meeting_within_a_day_names_date_hours_and_zone() -> None:
    """The weekday is written out, the clock has 24 hours."""
    assert _span("2031-12-02T13:00Z", "2031-12-02T14:30Z") == (
        "Tuesday, 2 December 2031, 14:00 – 15:30 (Berlin time)"
    )


def test_a_meeting_over_midnight_names_both_dates() -> None:
    """An end on another day would mislead as a clock alone."""
    assert _span("2031-12-02T22:00Z", "2031-12-03T00:30Z") == (
        "Tuesday, 2 December 2031, 23:00 – Wednesday, 3 December 2031, 01:30 (Berlin time)"
    )


def test_a_meeting_during_which_the_clock_is_changed_names_both_offsets() -> None:
    """Where the same wall time comes twice, only the offset tells them apart."""
    assert _span("2031-10-26T00:30Z", "2031-10-26T01:30Z") == (
        "Sunday, 26 October 2031, 02:30 (UTC+02:00) – 02:30 (UTC+01:00) (Berlin time)"
    )


def test_seconds_are_shown_only_where_there_are_some() -> None:
    """A roster may have seconds."""
    assert "09:00:30 – 10:00 (" in _span("2031-12-02T08:00:30Z", "2031-12-02T09:00Z")


def test_utc_is_not_named_twice() -> None:
    """Its name is its offset."""
    assert _span("2031-12-02T08:00Z", "2031-12-02T09:00Z", "UTC") == (
        "Tuesday, 2 December 2031, 08:00 – 09:00 (UTC)"
    )


@pytest.mark.parametrize(
    ("offset", "text"),
    [
        (timedelta(0), "UTC+00:00"),
        (timedelta(hours=5, minutes=45), "UTC+05:45"),
        (-timedelta(hours=3, minutes=30), "UTC-03:30"),
        (timedelta(minutes=19, seconds=32), "UTC+00:19:32"),
    ],
)
def test_offsets_have_a_sign_and_seconds_only_of_old(offset: timedelta, text: str) -> None:
    """Offsets before standard time had seconds."""
    assert offset_text(offset) == text


@given(st.integers(min_value=0, max_value=4_000_000_000))
def test_the_window_shown_lies_within_the_real_one(seconds: int) -> None:
    """A link is never shown as open before it opens, or after it closes."""
    opens, closes = minute_at(seconds, up=True), minute_at(seconds)
    assert opens.timestamp() >= seconds >= closes.timestamp()
    assert opens - closes <= timedelta(minutes=1)
    assert opens.second == closes.second == 0


@given(st.integers(min_value=40_000_000, max_value=250_000_000_000))
def test_a_moment_is_short_only_on_the_day_it_stands_beside(seconds: int) -> None:
    """The clock alone stands for the same day in that zone, and for no other."""
    at = datetime.fromtimestamp(seconds, UTC)
    day = at.astimezone(BERLIN).date()
    shown = local_time(at, BERLIN, ENGLISH, beside=day)
    assert shown.text == shown.clock
    other = local_time(at, BERLIN, ENGLISH, beside=day + timedelta(days=1))
    assert other.text == f"{other.date}, {other.clock}"
    assert other.full == f"{other.text} (Berlin time, {other.offset})"
    assert str(day.year) in other.date


def test_a_time_that_comes_twice_has_its_offset() -> None:
    """Nothing else tells the two apart; a time an hour later needs none."""
    assert _span("2031-10-26T00:10Z", "2031-10-26T00:40Z") == (
        "Sunday, 26 October 2031, 02:10 – 02:40 (Berlin time, UTC+02:00)"
    )
    assert _span("2031-10-26T02:10Z", "2031-10-26T02:40Z").endswith("(Berlin time)")
    assert comes_twice(datetime(2031, 10, 26, 1, 10, tzinfo=UTC), BERLIN)
    assert not comes_twice(datetime(2031, 3, 30, 1, 10, tzinfo=UTC), BERLIN)


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("America/Argentina/Buenos_Aires", "Buenos Aires time"),
        ("Asia/Calcutta", "Kolkata time"),
        ("Etc/GMT+5", "UTC-05:00"),
        ("EST", "UTC-05:00"),
    ],
)
def test_a_zone_of_no_city_is_its_offset(name: str, place: str) -> None:
    """CLDR names cities; of `Etc/GMT+5` readers take the sign for the other one."""
    assert _span("2031-12-02T08:00Z", "2031-12-02T09:00Z", name).endswith(f"({place})")


@pytest.mark.parametrize(
    ("old", "told"),
    [
        (
            ("2031-12-02T08:00Z", "2031-12-02T08:45Z"),
            "Tuesday, 2 December 2031, 09:00 – 09:45 -> 11:00 – 11:45 (Berlin time, UTC+01:00)",
        ),
        (
            ("2031-12-01T08:00Z", "2031-12-01T08:45Z"),
            (
                "Monday, 1 December 2031, 09:00 – 09:45 -> "
                "Tuesday, 2 December 2031, 11:00 – 11:45 (Berlin time, UTC+01:00)"
            ),
        ),
        (
            ("2031-10-01T08:00Z", "2031-10-01T08:45Z"),
            (
                "Wednesday, 1 October 2031, 10:00 – 10:45 (Berlin time, UTC+02:00) -> "
                "Tuesday, 2 December 2031, 11:00 – 11:45 (Berlin time, UTC+01:00)"
            ),
        ),
    ],
)
def test_a_moved_meeting_is_told_with_what_both_times_share_said_once(
    old: tuple[str, str], told: str
) -> None:
    """Weekday, zone and offset are there; the date and the offset twice only where they differ."""
    new = ("2031-12-02T10:00Z", "2031-12-02T10:45Z")
    before, after = (tuple(map(datetime.fromisoformat, both)) for both in (old, new))
    shown = moved((before[0], before[1]), (after[0], after[1]), BERLIN, ENGLISH)
    assert " -> ".join(shown) == told
