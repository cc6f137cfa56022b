"""Times in a calendar object, and VTIMEZONE (RFC 5545 3.6.5), by which the wall times of a series are read.

A zone's rule for all years to come, its file's footer, becomes two yearly rules, which is the form
that Outlook and ical.js read rightly.  Where the series' years have other changes than that
(Ramadan in Casablanca), or the rule is none of RFC 5545's (Gaza's), each change is spelled out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Final, NamedTuple

from invites.model import WEEKDAYS, Meeting
from invites.times import footer_of, zone

_NAME = r"(?:[A-Za-z]+|<[^>]+>)"
_HOURS = r"[+-]?\d+(?::\d\d){0,2}"
_YEARLY = rf",M(\d+)\.(\d)\.(\d)(?:/({_HOURS}))?"
_FOOTER = re.compile(rf"{_NAME}({_HOURS})(?:{_NAME}({_HOURS})?{_YEARLY}{_YEARLY})?", re.ASCII)
_BEGIN: Final = 1970
_DAY: Final = timedelta(days=1)
_HOUR: Final = timedelta(hours=1)


class OffsetChange(NamedTuple):
    """A change of a zone's offset from UTC at `at` (aware, UTC)."""

    at: datetime
    before: timedelta
    after: timedelta


@dataclass(frozen=True, slots=True)
class _YearlyChange:
    """A change on the `week`th (5 is the last) `weekday` (0 is Sunday) of a month, by the wall."""

    month: int
    week: int
    weekday: int
    clock: timedelta
    before: timedelta
    after: timedelta

    def wall_in(self, year: int) -> datetime:
        """Return the wall time at which clocks of this year are changed, as they still show it."""
        first = date(year, self.month, 1)
        # date.weekday() counts from Monday, POSIX from Sunday.
        day = first + _DAY * ((self.weekday - first.weekday() - 1) % 7 + 7 * (self.week - 1))
        if day.month != self.month:
            day -= 7 * _DAY
        return datetime(day.year, day.month, day.day) + self.clock  # noqa: DTZ001 - a wall time

    def at_in(self, year: int) -> OffsetChange:
        """Return this year's change."""
        at = (self.wall_in(year) - self.before).replace(tzinfo=UTC)
        return OffsetChange(at, self.before, self.after)

    @property
    def rule(self) -> str:
        """The RRULE of all its years."""
        weekday = WEEKDAYS[self.weekday - 1]
        week = -1 if self.week == 5 else self.week
        return f"FREQ=YEARLY;BYMONTH={self.month};BYDAY={week}{weekday}"


@lru_cache(maxsize=256)
def vtimezone(name: str, first_year: int, last_year: int) -> tuple[str, ...]:
    """Return the lines of a zone's VTIMEZONE, right for all instants of these years (inclusive)."""
    yearly, standard = _rules_of(name)
    years = range(first_year, last_year + 1)
    changes = [*_changes(name, first_year, last_year + 1)]
    expected = sorted(each.at_in(year) for year in years for each in yearly)
    by_rule = changes == expected and all(timedelta(0) <= one.clock < _DAY for one in yearly)
    if by_rule and yearly:
        parts = [
            _observance(one.wall_in(_BEGIN), one.before, one.after, one.rule) for one in yearly
        ]
    elif by_rule and _offset_at(name, datetime(first_year, 1, 1, tzinfo=UTC)) == standard:
        parts = [_always(standard)]
    else:
        begin = datetime(first_year, 1, 1, tzinfo=UTC)
        parts = [_always(_offset_at(name, begin))]
        parts += [
            _observance((one.at + one.before).replace(tzinfo=None), one.before, one.after)
            for one in changes
        ]
    lines = [line for part in parts for line in part]
    return "BEGIN:VTIMEZONE", f"TZID:{name}", *lines, "END:VTIMEZONE"


def _rules_of(name: str) -> tuple[list[_YearlyChange], timedelta]:
    """Return the footer's yearly changes, none where it has none, and its standard offset."""
    found = _FOOTER.fullmatch(footer_of(name))
    if found is None:  # a form that no zone has: its changes are spelled out
        return [], timedelta(days=1)
    standard = -_span(found[1])
    if found[3] is None:
        return [], standard
    daylight = standard + _HOUR if found[2] is None else -_span(found[2])
    forward, back = found.groups()[2:6], found.groups()[6:10]
    return [
        _yearly(forward, before=standard, after=daylight),
        _yearly(back, before=daylight, after=standard),
    ], standard


def _yearly(parts: tuple[str, ...], *, before: timedelta, after: timedelta) -> _YearlyChange:
    month, week, weekday, clock = parts
    at = _span(clock) if clock else 2 * _HOUR
    return _YearlyChange(int(month), int(week), int(weekday), at, before, after)


def _span(text: str) -> timedelta:
    """Return a span that POSIX writes as hours, or as hours:minutes:seconds."""
    hours, minutes, seconds = (*map(int, text.lstrip("+-").split(":")), 0, 0)[:3]
    span = timedelta(hours=hours, minutes=minutes, seconds=seconds)
    return -span if text.startswith("-") else span


def _offset_at(name: str, at: datetime) -> timedelta:
    return at.astimezone(zone(name)).utcoffset() or timedelta(0)


def _changes(name: str, first_year: int, before_year: int) -> Iterator[OffsetChange]:
    """Yield a zone's changes from the begin of one year to that of another."""
    at, end = datetime(first_year, 1, 1, tzinfo=UTC), datetime(before_year, 1, 1, tzinfo=UTC)
    before = _offset_at(name, at)
    while at < end:
        after = _offset_at(name, at + _DAY)
        if after != before:
            yield OffsetChange(_found(name, at, at + _DAY, before), before, after)
            before = after
        at += _DAY


def _found(name: str, at: datetime, end: datetime, before: timedelta) -> datetime:
    """Return the second between two instants from which the offset is `before` no longer."""
    while end - at > timedelta(seconds=1):
        middle = at + timedelta(seconds=(end - at) // timedelta(seconds=2))
        if _offset_at(name, middle) == before:
            at = middle
        else:
            end = middle
    return end


def _always(offset: timedelta) -> list[str]:
    return _observance(datetime(_BEGIN, 1, 1), offset, offset)  # noqa: DTZ001 - a wall time


def _observance(wall: datetime, before: timedelta, after: timedelta, rule: str = "") -> list[str]:
    """Return STANDARD or DAYLIGHT, which is the greater offset, in Dublin too."""
    kind = "DAYLIGHT" if after > before else "STANDARD"
    return [
        f"BEGIN:{kind}",
        f"DTSTART:{wall:%Y%m%dT%H%M%S}",
        *([f"RRULE:{rule}"] if rule else []),
        f"TZOFFSETFROM:{_offset(before)}",
        f"TZOFFSETTO:{_offset(after)}",
        f"END:{kind}",
    ]


def _offset(offset: timedelta) -> str:
    """Return an offset as RFC 5545 3.3.14 has it."""
    sign = "-" if offset < timedelta(0) else "+"
    minutes, seconds = divmod(int(abs(offset).total_seconds()), 60)
    return f"{sign}{minutes // 60:02d}{minutes % 60:02d}" + (f"{seconds:02d}" if seconds else "")


def utc_value(instant: datetime) -> str:
    """Return an aware instant in UTC as a DATE-TIME (RFC 5545 3.3.5, form 2)."""
    # Half of what strftime takes, for each meeting.
    return instant.isoformat()[:19].replace("-", "").replace(":", "") + "Z"


def wall_value(instant: datetime, in_zone: str) -> str:
    """Return an instant as what follows a property's name: `;TZID=Europe/Berlin:20310101T090000`.

    In UTC for that zone, and for the second of two times that a clock shows alike, which only UTC
    can tell apart (RFC 5545 3.3.5).
    """
    local = instant.astimezone(zone(in_zone))
    if in_zone == "UTC" or local.fold:
        return f":{utc_value(instant)}"
    return f";TZID={in_zone}:{local:%Y%m%dT%H%M%S}"


def original_value(original: datetime, meeting: Meeting) -> str:
    """Return the time of a date by the rule, as the rule has it even where clocks skip it."""
    in_zone = zone(meeting.timezone)
    clock = meeting.start.astimezone(in_zone).time()
    wall = datetime.combine(original.astimezone(in_zone).date(), clock, in_zone)
    if wall.astimezone(UTC) != original or meeting.timezone == "UTC":
        return wall_value(original, meeting.timezone)
    return f";TZID={meeting.timezone}:{wall:%Y%m%dT%H%M%S}"
