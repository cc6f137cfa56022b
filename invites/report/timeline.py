"""When meetings are, as a page shows it: a line for each day of each zone, with a bar for each meeting."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from invites.times import zone

DAYS_AT_MOST: Final = 31
"""Days that a zone's timeline shows; the table has all meetings."""

LANES_AT_MOST: Final = 12
"""Meetings at the same time that a day shows one below the other."""

_DAY: Final = timedelta(days=1)
_SHORTEST: Final = timedelta(minutes=15)
"""A bar that is shorter could not be seen."""

_TITLE: Final = timedelta(hours=4)
"""The room that a title takes beside or on its bar."""


@dataclass(frozen=True, slots=True)
class MeetingTime:
    """A meeting on a timeline; `start` and `end` are aware."""

    title: str
    start: datetime
    end: datetime
    timezone: str
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """A meeting on one day: its place, in percent of the day, with room for its title.

    `part` is how much of the width it takes itself, in percent; it ends there where it is `late`.
    """

    title: str
    words: str
    left: float
    width: float
    part: float
    late: bool
    lane: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Day:
    """One day of a zone; `more` counts the meetings that found no lane."""

    name: str
    bars: tuple[Bar, ...]
    lanes: int
    more: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeline:
    """The days on which a zone has meetings, the first ones; `more` counts the other days."""

    timezone: str
    days: tuple[Day, ...]
    more: int


def span_words(start: datetime, end: datetime, timezone: str) -> str:
    """Return two instants on the clock of `timezone`, the second one's day where it differs."""
    first, last = start.astimezone(zone(timezone)), end.astimezone(zone(timezone))
    form = "%H:%M" if first.date() == last.date() else "%Y-%m-%d %H:%M"
    return f"{first:%Y-%m-%d %H:%M}–{last:{form}}"


def timelines(times: Iterable[MeetingTime]) -> tuple[Timeline, ...]:
    """Return a timeline for each zone, by name; a meeting stands on the day that it begins."""
    by_zone: dict[str, dict[str, list[MeetingTime]]] = {}
    for time in sorted(times, key=lambda each: (each.start, each.title)):
        there = time.start.astimezone(zone(time.timezone))
        days = by_zone.setdefault(time.timezone, {})
        days.setdefault(f"{there:%Y-%m-%d %a}", []).append(time)
    return tuple(
        Timeline(
            timezone=timezone,
            days=tuple(_day(name, found) for name, found in list(days.items())[:DAYS_AT_MOST]),
            more=max(0, len(days) - DAYS_AT_MOST),
        )
        for timezone, days in sorted(by_zone.items())
    )


def _day(name: str, times: Sequence[MeetingTime]) -> Day:
    """Return a day whose meetings lie in lanes, so that none covers another."""
    ends: list[timedelta] = []
    bars: list[Bar] = []
    for time in times:
        there = time.start.astimezone(zone(time.timezone))
        begin = timedelta(hours=there.hour, minutes=there.minute, seconds=there.second)
        length = min(max(time.end - time.start, _SHORTEST), _DAY - begin)
        room = max(length, _TITLE)
        late = begin + room > _DAY
        left = _DAY - room if late else begin
        lane = next((lane for lane, free in enumerate(ends) if free <= left), len(ends))
        if lane == LANES_AT_MOST:
            continue
        ends[lane : lane + 1] = [left + room]
        bars.append(
            Bar(
                title=time.title,
                words=f"{span_words(time.start, time.end, time.timezone)} {time.timezone}: "
                f"{time.title}, {time.note}",
                left=round(100 * (left / _DAY), 2),
                width=round(100 * (room / _DAY), 2),
                part=round(100 * (length / room), 2),
                late=late,
                lane=lane,
            )
        )
    return Day(name=name, bars=tuple(bars), lanes=len(ends), more=len(times) - len(bars))
