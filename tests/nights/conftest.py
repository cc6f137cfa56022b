"""What the sweeps over the clock changes share: the zones, and an oracle that counts minutes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, time, timedelta
from functools import cache
from importlib.resources import files
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest

from invites.times import zone

FIRST_YEAR, LAST_YEAR = 2026, 2030
MINUTE = timedelta(minutes=1)
QUARTER = timedelta(minutes=15)
DAY = timedelta(days=1)

Oracle = Callable[[ZoneInfo, Sequence[time], datetime, datetime], dict[time, list[datetime]]]


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker of the sweeps that take minutes."""
    config.addinivalue_line(
        "markers", "nights: a whole sweep over years of nights; run by `make test-nights` alone"
    )


def every_quarter(start: datetime, end: datetime) -> Iterator[datetime]:
    """Yield start, start + 15 min, … up to and without end."""
    while start < end:
        yield start
        start += QUARTER


@cache
def changes_of(name: str) -> tuple[datetime, ...]:
    """Return the quarters (UTC) of 2026-30 at which a zone's offset is another than before."""
    tz = zone(name)
    noons = (datetime(FIRST_YEAR, 1, 1, tzinfo=UTC) + DAY * n for n in range(5 * 366))
    changes = []
    for one, next_one in pairwise(noons):
        if one.astimezone(tz).utcoffset() == next_one.astimezone(tz).utcoffset():
            continue
        for before, after in pairwise(every_quarter(one, next_one + QUARTER)):
            if before.astimezone(tz).utcoffset() != after.astimezone(tz).utcoffset():
                last_minute = (after - MINUTE).astimezone(tz)
                assert last_minute.utcoffset() == before.astimezone(tz).utcoffset()
                changes.append(after)
    return tuple(change for change in changes if change.year <= LAST_YEAR)


@pytest.fixture(scope="session")
def changing_zones() -> dict[str, tuple[datetime, ...]]:
    """Every zone of the pinned data whose offset changes in 2026-30, with its changes (UTC)."""
    names = (files("tzdata") / "zones").read_text("utf-8").split()
    return {name: changes_of(name) for name in names if changes_of(name)}


@pytest.fixture(scope="session")
def distinct_zones(changing_zones: dict[str, tuple[datetime, ...]]) -> tuple[str, ...]:
    """One name of each set of zones whose files say the same, byte by byte."""
    by_content: dict[bytes, str] = {}
    for name in changing_zones:
        content = files("tzdata").joinpath("zoneinfo", *name.split("/")).read_bytes()
        by_content.setdefault(content, name)
    return tuple(by_content.values())


@pytest.fixture(scope="session")
def oracle() -> Oracle:
    """Find each local day's due minute by reading the clocks on the wall, minute by minute.

    It knows no gap, no fold and no offset: for each day that the clocks show, the due minute is
    the first one at which they show that day's time or anything later.
    """
    return _first_minutes


def _first_minutes(
    tz: ZoneInfo, times: Sequence[time], start: datetime, end: datetime
) -> dict[time, list[datetime]]:
    """Return each time's due minutes (UTC) for the local days that begin after `start`.

    `end` is exclusive; both are aware, on a quarter of an hour.
    """
    # The clocks change at quarters alone (asserted above), so within one they only go forward.
    quarters = [(q, _wall(q + 14 * MINUTE, tz)) for q in every_quarter(start, end)]
    days = sorted({wall.date() for _, wall in quarters})[1:]
    found: dict[time, list[datetime]] = {}
    for at in times:
        targets = iter(datetime.combine(day, at) for day in days)
        target = next(targets, None)
        found[at] = []
        for quarter, wall in quarters:
            while target is not None and wall >= target:
                found[at].append(_first_minute(quarter, target, tz))
                target = next(targets, None)
    return found


def _first_minute(quarter: datetime, target: datetime, tz: ZoneInfo) -> datetime:
    minutes = (quarter + MINUTE * n for n in range(15))
    return next(minute for minute in minutes if _wall(minute, tz) >= target)


def _wall(instant: datetime, tz: ZoneInfo) -> datetime:
    return instant.astimezone(tz).replace(tzinfo=None, fold=0)
