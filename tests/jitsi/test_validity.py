"""The window of a token against instants that are known before any zone is involved."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import cache
from importlib.resources import files
from math import ceil, floor
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from invites.jitsi.validity import ValidityRule, closing, fits, opening, validity_for
from invites.model import Validity

FIRST = int(datetime(2026, 1, 1, tzinfo=UTC).timestamp())
LAST = int(datetime(2031, 1, 1, tzinfo=UTC).timestamp())
DAY = 86_400


@cache
def pinned_zone(name: str) -> ZoneInfo:
    """Return a zone from the tzdata package, whatever the machine has."""
    with files("tzdata").joinpath("zoneinfo", *name.split("/")).open("rb") as file:
        return ZoneInfo.from_file(file, key=name)


def offset_at(zone: ZoneInfo, instant: int) -> timedelta | None:
    """Return a zone's offset at an instant in seconds since 1970."""
    return datetime.fromtimestamp(instant, zone).utcoffset()


def changes_of(zone: ZoneInfo) -> list[int]:
    """Return the instants of 2026-2030 at which a zone's offset changes, to the second."""
    found = []
    for day in range(FIRST, LAST, 3 * DAY):
        low, high = day, day + 3 * DAY
        before = offset_at(zone, low)
        if offset_at(zone, high) == before:
            continue
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if offset_at(zone, middle) == before else (low, middle)
        found.append(high)
    return found


@cache
def changes() -> tuple[tuple[str, int], ...]:
    """Return every zone of the pinned tzdata with every instant at which its offset changes."""
    names = files("tzdata").joinpath("zones").read_text().split()
    return tuple((name, change) for name in names for change in changes_of(pinned_zone(name)))


def test_the_pinned_zones_change_as_often_as_expected() -> None:
    """The search finds the changes: two a year in Berlin, none in Tokyo, and many zones."""
    found = changes()
    assert sum(name == "Europe/Berlin" for name, _ in found) == 10
    assert not any(name == "Asia/Tokyo" for name, _ in found)
    assert len({name for name, _ in found}) > 150


def test_the_window_brackets_the_meeting_at_every_change_of_every_zone() -> None:
    """A meeting that starts before a change and ends after it has a window of its real length."""
    rule = ValidityRule()
    for name, change in changes():
        zone = pinned_zone(name)
        for start, end in ((change - 1_800, change + 1_800), (change, change + 60)):
            validity = validity_for(
                datetime.fromtimestamp(start, zone), datetime.fromtimestamp(end, zone), rule
            )
            assert validity == Validity(not_before=start - 960, expires=end + 1_800), name


@given(
    data=st.data(),
    ahead=st.integers(-7_200, 7_200),
    lasts=st.integers(1, 20 * 3_600),
    minutes=st.tuples(st.integers(0, 600), st.integers(0, 600), st.integers(0, 10)),
)
def test_the_window_brackets_the_real_instants(
    data: st.DataObject, ahead: int, lasts: int, minutes: tuple[int, int, int]
) -> None:
    """Around any change, nbf and exp are as far from the real instants as the rule says."""
    name, change = data.draw(st.sampled_from(changes()))
    opens, closes, skew = (timedelta(minutes=number) for number in minutes)
    rule = ValidityRule(opens_before=opens, closes_after=closes, skew=skew)
    zone = pinned_zone(name)
    start, end = change + ahead, change + ahead + lasts
    validity = validity_for(
        datetime.fromtimestamp(start, zone), datetime.fromtimestamp(end, zone), rule
    )
    assert start - validity.not_before == 60 * (minutes[0] + minutes[2])
    assert validity.expires - end == 60 * minutes[1]
    assert type(validity.not_before) is int
    assert type(validity.expires) is int


@given(st.integers(0, 999_999), st.integers(0, 999_999), st.integers(0, 5_000_000))
def test_a_fraction_of_a_second_never_cuts_the_meeting(begun: int, over: int, early: int) -> None:
    """Fractions are rounded away from the meeting, by less than a second."""
    start = datetime(2031, 3, 1, 9, microsecond=begun, tzinfo=UTC)
    end = datetime(2031, 3, 1, 10, microsecond=over, tzinfo=UTC)
    rule = ValidityRule(opens_before=timedelta(microseconds=early), skew=timedelta(0))
    validity = validity_for(start, end, rule)
    whole = int(start.replace(microsecond=0).timestamp())
    assert validity.not_before == whole + floor((begun - early) / 1_000_000)
    assert validity.expires == whole + 3_600 + 1_800 + ceil(over / 1_000_000)


def test_the_defaults_are_those_of_the_settings() -> None:
    """Without settings a link opens 15 minutes early, closes 30 late, and is skewed by 60 s."""
    start = datetime(2031, 1, 1, 9, tzinfo=UTC)
    validity = validity_for(start, start + timedelta(hours=1), ValidityRule())
    assert validity.not_before == int(start.timestamp()) - 16 * 60
    assert validity.expires == int(start.timestamp()) + 90 * 60


@pytest.mark.parametrize(("hours", "minutes", "does"), [(23, 14, True), (23, 15, False)])
def test_a_window_fits_up_to_the_longest(hours: int, minutes: int, does: bool) -> None:  # noqa: FBT001
    """The longest counts exp - nbf, grace and skew included, and is inclusive."""
    start = datetime(2031, 1, 1, tzinfo=UTC)
    end = start + timedelta(hours=hours, minutes=minutes)
    assert fits(validity_for(start, end, ValidityRule()), ValidityRule()) is does


def test_people_are_told_the_opening_without_the_skew() -> None:
    """The skew is for servers whose clocks are behind; nobody is told to come at odd seconds."""
    start = datetime(2031, 1, 1, 9, tzinfo=UTC)
    validity = validity_for(start, start + timedelta(hours=1), ValidityRule())
    assert opening(validity, ValidityRule()) == datetime(2031, 1, 1, 8, 45, tzinfo=UTC)
    assert closing(validity) == datetime(2031, 1, 1, 10, 30, tzinfo=UTC)


def test_a_time_without_zone_is_refused() -> None:
    """A naive time has no instant."""
    naive = datetime(2031, 1, 1, 9)  # noqa: DTZ001 - the point
    with pytest.raises(ValueError, match="time zone"):
        validity_for(naive, naive, ValidityRule())


@pytest.mark.parametrize("name", ["opens_before", "closes_after", "skew"])
def test_a_negative_reach_is_refused(name: str) -> None:
    """A window that opens after the start or closes before the end is no rule."""
    with pytest.raises(ValueError, match="negative"):
        ValidityRule(**{name: timedelta(seconds=-1)})
    with pytest.raises(ValueError, match="longest"):
        ValidityRule(longest=timedelta(0))
