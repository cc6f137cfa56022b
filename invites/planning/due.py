"""When a job is due: each local day has exactly one due time, whatever its zone does to the clock.

A cron trigger skips a time in the gap of spring or runs twice in the fold of autumn; here the days
are counted in the zone and each is turned into one instant, so that none is lost or doubled.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from invites.times import zone

EVERY_DAY = frozenset(range(7))
"""Monday is 0, as in `date.weekday`."""

_DAY = timedelta(days=1)
_SECOND = timedelta(seconds=1)
_DAYS_TO_LOOK = 16
"""Two weeks find any weekday even where a zone skipped one; two days for offsets and gaps."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DueRule:
    """A job's `at`, `days` and `timezone`.

    `at` is naive and local; `days` are weekdays with Monday as 0; `timezone` is an IANA name.
    Raises ValueError for an `at` with a zone of its own, no day, or a day that is none.
    """

    at: time
    timezone: str
    days: frozenset[int] = EVERY_DAY

    def __post_init__(self) -> None:
        """Refuse a rule that has no due times, or more than one reading."""
        if self.at.tzinfo is not None:
            raise ValueError("a due time is local to its rule's timezone and has no zone itself")
        if not self.days or not self.days <= EVERY_DAY:
            raise ValueError("the days of a due rule are one or more of 0 (Monday) to 6 (Sunday)")


def due_instant(rule: DueRule, day: date) -> datetime | None:
    """Return the one instant (UTC) at which the job is due for the local `day`.

    A time that the zone skips becomes the first instant after the gap, which may already belong
    to the next day (23:59 where the clock goes from 23:00 to 00:00).
    A time that the zone has twice is its first occurrence.
    None where `day` is not one of the rule's days, or where the zone skips the whole day
    (Pacific/Apia has no 2011-12-30): a day that never was has nothing due.
    """
    return _instant_of(rule.at, rule.timezone, day) if day.weekday() in rule.days else None


@lru_cache(maxsize=512)
def _instant_of(at: time, timezone: str, day: date) -> datetime | None:
    """Do the work of `due_instant`; every wake-up asks for the same few days again."""
    tz = zone(timezone)
    wall = datetime.combine(day, at)
    first = wall.replace(tzinfo=tz, fold=0).astimezone(UTC)
    if _wall(first, tz) == wall:
        return first
    end_of_gap = _first_instant_past(wall, tz, first)
    return end_of_gap if _was(day, tz, end_of_gap) else None


def due_instants(rule: DueRule, *, after: datetime, until: datetime) -> Iterator[datetime]:
    """Yield the due instants (UTC) with `after` < instant <= `until`, in order."""
    day = after.astimezone(zone(rule.timezone)).date() - 2 * _DAY
    last = until.astimezone(zone(rule.timezone)).date() + _DAY
    while day <= last:
        instant = due_instant(rule, day)
        if instant is not None and after < instant <= until:
            yield instant
        day += _DAY


def last_due(rule: DueRule, now: datetime) -> datetime | None:
    """Return the latest due instant (UTC) that is not after `now`; None at the dawn of time."""
    day = now.astimezone(zone(rule.timezone)).date() + _DAY
    for back in range(_DAYS_TO_LOOK):
        instant = due_instant(rule, day - back * _DAY)
        if instant is not None and instant <= now:
            return instant
    return None


def next_due(rule: DueRule, now: datetime) -> datetime:
    """Return the earliest due instant (UTC) that is after `now`.

    Raises ValueError at the end of the calendar, where nothing is due any more.
    """
    day = now.astimezone(zone(rule.timezone)).date() - _DAY
    for ahead in range(_DAYS_TO_LOOK):
        instant = due_instant(rule, day + ahead * _DAY)
        if instant is not None and instant > now:
            return instant
    raise ValueError(f"nothing is due within {_DAYS_TO_LOOK} days in {rule.timezone}")


def _wall(instant: datetime, tz: ZoneInfo) -> datetime:
    """Return what the clocks of `tz` show at `instant`, naive."""
    return instant.astimezone(tz).replace(tzinfo=None, fold=0)


def _first_instant_past(wall: datetime, tz: ZoneInfo, after_gap: datetime) -> datetime:
    """Return the first whole second at which the clocks show `wall` or later.

    `after_gap` lies past the gap: it is `wall` read with the offset of before (PEP 495).
    """
    low = wall.replace(tzinfo=tz, fold=1).astimezone(UTC).replace(microsecond=0) - _SECOND
    high = after_gap
    while high - low > _SECOND:
        middle = (low + (high - low) / 2).replace(microsecond=0)
        if _wall(middle, tz) >= wall:
            high = middle
        else:
            low = middle
    return high


def _was(day: date, tz: ZoneInfo, end_of_gap: datetime) -> bool:
    """Tell whether any instant beside the gap belongs to `day`."""
    beside = (end_of_gap - _SECOND, end_of_gap)
    return any(_wall(instant, tz).date() == day for instant in beside)
