"""Dates and times as a letter writes them; the one place that knows the letters' locale.

Formats are CLDR's, through Babel.
English is `en_150`, CLDR's English for Europe: the day before the month and 24 hours, for
readers anywhere, who may not share a convention ("Tuesday, 2 December 2031, 09:00").
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING

from babel import Locale
from babel.dates import format_date, format_time

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

DEFAULT_LANGUAGE = "en"
_LOCALES = {"en": "en_150"}
"""Which CLDR locale writes the dates of a language."""

TO = "\N{EN DASH}"
_MINUTE = timedelta(minutes=1)


def direction(language: str) -> str:
    """Return `ltr` or `rtl`, for HTML's `dir`."""
    return locale_of(language).text_direction


@dataclass(frozen=True, slots=True)
class LocalTime:
    """One instant in one zone, as text.

    `text` is what a reader of the meeting's time needs: the clock alone on the same day, else date
    and clock.  `place` is the zone's name and its offset then; `full` is all of it.
    """

    date: str
    clock: str
    zone: str
    offset: str
    place: str
    text: str
    full: str

    def __str__(self) -> str:
        """Return `text`."""
        return self.text


@dataclass(frozen=True, slots=True)
class Span:
    """A meeting's start and end in one zone, as text; `hours` leaves out date and zone.

    `zone` is the zone's name; `place` has its offset as well, unless that changes in between: then
    `hours` tell both.
    """

    text: str
    date: str
    hours: str
    place: str
    zone: str
    start: LocalTime
    end: LocalTime

    def __str__(self) -> str:
        """Return `text`."""
        return self.text


@lru_cache(maxsize=4096)
def local_time(
    at: datetime, zone: ZoneInfo, language: str, *, beside: date | None = None
) -> LocalTime:
    """Return the aware datetime `at` as text in `zone`; its `text` is short on the day `beside`."""
    local = at.astimezone(zone)
    day, clock = _day(local.date(), language), _clock(local.timetz(), language)
    offset = offset_text(local.utcoffset() or timedelta(0))
    place = _place(zone.key, offset)
    return LocalTime(
        date=day,
        clock=clock,
        zone=zone.key,
        offset=offset,
        place=place,
        text=clock if local.date() == beside else f"{day}, {clock}",
        full=f"{day}, {clock} ({place})",
    )


@lru_cache(maxsize=4096)
def span(start: datetime, end: datetime, zone: ZoneInfo, language: str) -> Span:
    """Return the time from `start` to `end`, both aware, as text in `zone`."""
    day = start.astimezone(zone).date()
    first = local_time(start, zone, language)
    last = local_time(end, zone, language, beside=day)
    if first.offset == last.offset:
        hours, place = f"{first.clock} {TO} {last.text}", first.place
    else:
        hours = f"{first.clock} ({first.offset}) {TO} {last.text} ({last.offset})"
        place = zone.key
    return Span(
        text=f"{first.date}, {hours} ({place})",
        date=first.date,
        hours=hours,
        place=place,
        zone=zone.key,
        start=first,
        end=last,
    )


def ahead(start: datetime, now: datetime, zone: ZoneInfo, language: str) -> str:
    """Return when `start` is as whoever reads at `now` says it: `in an hour`, `tomorrow at 09:00`.

    Both are aware; days are those of `zone`.
    """
    minutes = round((start - now) / _MINUTE)
    if minutes <= 0:
        return "now"
    if minutes < 55:
        return f"in {minutes} minutes" if minutes > 1 else "in a minute"
    if minutes <= 65:
        return "in an hour"
    at = local_time(start, zone, language)
    match (start.astimezone(zone).date() - now.astimezone(zone).date()).days:
        case 0:
            return f"today at {at.clock}"
        case 1:
            return f"tomorrow at {at.clock}"
        case _:
            return f"on {at.date} at {at.clock}"


def minute_at(seconds: int, *, up: bool = False) -> datetime:
    """Return seconds since 1970 as an aware datetime in UTC, down (or `up`) to a full minute."""
    at = datetime.fromtimestamp(seconds, UTC)
    minute = at.replace(second=0)
    return minute + _MINUTE if up and minute != at else minute


def offset_text(offset: timedelta) -> str:
    """Return an offset as `UTC+01:00`, with seconds only where there are some."""
    sign = "-" if offset < timedelta(0) else "+"
    minutes, seconds = divmod(int(abs(offset).total_seconds()), 60)
    text = f"UTC{sign}{minutes // 60:02}:{minutes % 60:02}"
    return f"{text}:{seconds:02}" if seconds else text


def _place(zone: str, offset: str) -> str:
    """`Europe/Berlin, UTC+01:00`; UTC itself is not named twice."""
    return offset if zone == "UTC" else f"{zone}, {offset}"


@lru_cache(maxsize=4096)
def _day(day: date, language: str) -> str:
    return format_date(day, "full", locale=locale_of(language))


@lru_cache(maxsize=4096)
def _clock(clock: time, language: str) -> str:
    wall = clock.replace(tzinfo=None, fold=0)
    return format_time(wall, "medium" if wall.second else "short", locale=locale_of(language))


@lru_cache(maxsize=16)
def locale_of(language: str) -> Locale:
    """Return CLDR's locale for a language."""
    return Locale.parse(_LOCALES[language])
