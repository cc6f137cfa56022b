"""Zones and times: the pinned rules, and each time that a zone skips or has twice."""

# ruff: noqa: DTZ001 - a roster's times have no zone of their own

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from invites.text import CellRefused
from invites.times import (
    TZDATA_VERSION,
    TimeRefused,
    ZoneRefused,
    in_utc,
    parse_time,
    zone,
    zone_names,
)

FROM = datetime(2026, 1, 1, tzinfo=UTC)
UNTIL = datetime(2031, 1, 1, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def offset_at(moment: datetime, name: str) -> timedelta:
    """Return the offset of a zone at an instant."""
    return moment.astimezone(zone(name)).utcoffset() or timedelta()


def changes(name: str) -> list[datetime]:
    """Return the first instant of each new offset from 2026 to 2030, found by halving.

    No zone changes twice within the five days of a step.
    """
    found = []
    low, before = FROM, offset_at(FROM, name)
    while low < UNTIL:
        high = low + timedelta(days=5)
        after = offset_at(high, name)
        if before != after:
            found.append(_first_after(low, high, before, name))
        low, before = high, after
    return found


def _first_after(low: datetime, high: datetime, before: timedelta, name: str) -> datetime:
    while high - low > SECOND:
        middle = low + (high - low) // SECOND // 2 * SECOND
        low, high = (middle, high) if offset_at(middle, name) == before else (low, middle)
    return high


CHANGES = {name: found for name in sorted(zone_names()) if (found := changes(name))}


def test_zones_are_those_of_the_pinned_database() -> None:
    """The release is known, and British Columbia stays on its new time from 2026 on."""
    assert re.fullmatch(r"20\d\d[a-z]+", TZDATA_VERSION)
    assert zone("America/Vancouver").utcoffset(datetime(2031, 1, 15)) == timedelta(hours=-7)


def test_many_zones_change_their_offset() -> None:
    """The tests below have something to test."""
    assert len(CHANGES) > 100
    assert sum(len(found) for found in CHANGES.values()) > 1_000


@pytest.mark.parametrize("name", CHANGES)
def test_every_skipped_time_is_refused_and_every_doubled_one_wants_an_offset(name: str) -> None:
    """Around each change a time is taken exactly where the zone shows it at one instant."""
    rules = zone(name)
    for change in CHANGES[name]:
        before, after = offset_at(change - SECOND, name), offset_at(change, name)
        old, new = (change + before).replace(tzinfo=None), (change + after).replace(tzinfo=None)
        first, last = min(old, new), max(old, new) - SECOND
        for wall in (first, first + (last - first) / 2, last):
            with pytest.raises(TimeRefused) as refused:
                in_utc(wall.replace(microsecond=0), rules)
            assert ("is skipped" if after > before else "comes twice") in refused.value.expected
        for wall in (first - SECOND, last + SECOND):
            placed = in_utc(wall, rules)
            assert placed.astimezone(rules).replace(tzinfo=None) == wall
            assert placed.tzinfo is UTC


def test_the_offsets_that_a_refusal_offers_are_both_instants_of_that_time() -> None:
    """What the message tells people to write is read, and is the first and the second time."""
    with pytest.raises(TimeRefused) as refused:
        in_utc(datetime(2026, 10, 25, 2, 30), zone("Europe/Berlin"))
    offered = re.findall(r"\d{4}-\d\d-\d\d \d\d:\d\d[+-]\d\d:\d\d", refused.value.expected)
    first, second = (in_utc(parse_time(text), zone("Europe/Berlin")) for text in offered)
    assert first == datetime(2026, 10, 25, 0, 30, tzinfo=UTC)
    assert second - first == timedelta(hours=1)


def test_the_times_offered_around_a_gap_exist() -> None:
    """Both suggestions of a gap's refusal are taken."""
    with pytest.raises(TimeRefused) as refused:
        in_utc(datetime(2026, 3, 29, 2, 30), zone("Europe/Berlin"))
    assert "01:30 and 03:30 exist" in refused.value.expected


@given(
    moment=st.datetimes(datetime(1970, 1, 2), datetime(9998, 12, 30)).map(
        lambda when: when.replace(microsecond=0)
    ),
    separator=st.sampled_from([" ", "T"]),
    minutes=st.integers(-14 * 60, 14 * 60),
)
def test_a_time_with_offset_is_an_instant_in_every_zone(
    moment: datetime, separator: str, minutes: int
) -> None:
    """The zone column does not move a time that says its own offset."""
    aware = moment.replace(tzinfo=timezone(timedelta(minutes=minutes)))
    parsed = parse_time(aware.isoformat(sep=separator))
    assert parsed == aware
    assert in_utc(parsed, zone("Asia/Kathmandu")) == aware


@given(st.text(max_size=30))
def test_any_text_is_a_time_or_refused(text: str) -> None:
    """Nothing but TimeRefused comes out of a text that is no time."""
    try:
        parse_time(text)
    except TimeRefused as refused:
        assert refused.expected  # noqa: PT017 - either outcome is right


@pytest.mark.parametrize(
    "text",
    [
        "2026-12-01 09:00",
        "2026-12-01T09:00",
        "2026-12-01 09:00:00",
        "2026-12-01T10:00+01:00",
        "2026-12-01 10:00+0100",
        "2026-12-01 10:00 +01",
        "2026-12-01T09:00:00Z",
    ],
)
def test_each_form_of_a_time_is_read(text: str) -> None:
    """The forms of the documentation come to the same instant in UTC."""
    assert in_utc(parse_time(text), zone("UTC")) == datetime(2026, 12, 1, 9, tzinfo=UTC)


def test_a_date_format_is_the_only_form_that_is_read() -> None:
    """With date_format set, ISO 8601 is refused and the message shows an example of the form."""
    assert parse_time("01.12.2026 09:00", ("%d.%m.%Y %H:%M",)) == datetime(2026, 12, 1, 9)
    with pytest.raises(TimeRefused) as refused:
        parse_time("2026-12-01 09:00", ("%d.%m.%Y %H:%M",))
    assert "such as 31.01.2026 10:00" in refused.value.expected


@pytest.mark.parametrize(
    ("form", "texts"),
    [
        ("iso", ["2026-12-01 09:00", "2026-12-01T09:00:00"]),
        ("de", ["01.12.2026 09:00", "1.12.2026 9:00", "01.12.2026 09:00:00"]),
        ("us", ["12/01/2026 9:00 AM", "12/1/2026 09:00", "12/01/2026 09:00:00"]),
        ("excel", ["46357.375", "46357,375", "46357.3750000001"]),
    ],
)
def test_a_named_date_format_reads_its_own_form_alone(form: str, texts: list[str]) -> None:
    """And beside another one both are read."""
    for text in texts:
        assert parse_time(text, (form,)) == datetime(2026, 12, 1, 9)
        assert parse_time(text, ("%Y%m%d %H%M", form)) == datetime(2026, 12, 1, 9)
        others = {"iso", "de", "us", "excel"} - {form}
        with pytest.raises(TimeRefused) as refused:
            parse_time(text, tuple(sorted(others)))
        assert refused.value.expected.count(" or ") == 2


@pytest.mark.parametrize(
    "text", ["46357.375.1", "-46357", "1e5", "0.5", "46357.", "31.02.2026 09:00"]
)
def test_what_no_date_format_knows_is_refused(text: str) -> None:
    """No number in another form, and no day that does not exist."""
    with pytest.raises(TimeRefused):
        parse_time(text, ("excel", "de"))


@pytest.mark.parametrize("name", ["", "europe/berlin", "../UTC", "Europe", "tzdata.zi", "a\0b"])
def test_a_name_that_is_no_zone_is_refused(name: str) -> None:
    """Only the database's own names are looked up, so that no path is."""
    with pytest.raises(ZoneRefused):
        zone(name)


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("europe/berlin", "Europe/Berlin"),
        ("Europe/Berln", "Europe/Berlin"),
        ("Amercia/New_York", "America/New_York"),
        ("America/New York", "America/New_York"),
        ("new york", "America/New_York"),
        ("utc", "UTC"),
    ],
)
def test_a_zone_that_is_nearly_right_is_suggested(name: str, meant: str) -> None:
    """Case, blanks, a city alone and a slip of the keys lead to the zone."""
    with pytest.raises(ZoneRefused) as refused:
        zone(name)
    assert refused.value.expected.endswith(f"did you mean {meant}?")


def test_a_refused_zone_is_a_refused_cell() -> None:
    """Callers catch one kind of refusal."""
    assert issubclass(ZoneRefused, CellRefused)
