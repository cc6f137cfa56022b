"""Dates and times as a letter writes them: CLDR's formats, through Babel, in the letter's language."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING

from babel import Locale
from babel.dates import format_date, format_time, format_timedelta, get_timezone_location

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

    from invites.templating.language import Language

_MINUTE = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class LocalTime:
    """One instant in one zone, as text.

    `text` is what a reader of the meeting's time needs: the clock alone on the same day, else date
    and clock; `when` says so in a sentence ("at 09:00").  `zone` is the zone's IANA name, `place`
    what its people call its time, and `full` is all of it, with the offset.
    `day`, `month` and `weekday` are short, as on a calendar's leaf.
    """

    date: str
    clock: str
    zone: str
    offset: str
    place: str
    text: str
    when: str
    full: str
    day: str
    month: str
    weekday: str

    def __str__(self) -> str:
        """Return `text`."""
        return self.text


@dataclass(frozen=True, slots=True)
class Span:
    """A meeting's start and end in one zone, as text; `hours` leaves out date and zone.

    `zone` is the zone's IANA name; `place` what its people call its time, with the offset where
    `span` was asked for it, unless that changes in between: then `hours` tell both.
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


def lasting(length: timedelta, language: Language) -> str:
    """Return how long something is: "24 hours", "3 days"."""
    return str(format_timedelta(length, threshold=2, locale=language.locale))


@lru_cache(maxsize=4096)
def local_time(
    at: datetime,
    zone: ZoneInfo,
    language: Language,
    *,
    beside: date | None = None,
    with_offset: bool = False,
) -> LocalTime:
    """Return the aware datetime `at` as text in `zone`; its `text` is short on the day `beside`.

    `with_offset` puts the offset into what is said: where that of another time beside it differs.
    """
    local = at.astimezone(zone)
    locale = language.locale
    day, clock = _day(local.date(), locale), _clock(local.timetz(), locale)
    offset = offset_text(local.utcoffset() or timedelta(0))
    shown = f"{clock} ({offset})" if with_offset else clock
    both = language.says("%(date)s, %(clock)s", date=day, clock=shown)
    near = local.date() == beside
    full = language.says(
        "%(date)s, %(clock)s (%(place)s)",
        date=day,
        clock=clock,
        place=_place(zone.key, language, offset, with_offset=True),
    )
    return LocalTime(
        date=day,
        clock=clock,
        zone=zone.key,
        offset=offset,
        place=_place(zone.key, language, offset, with_offset=False),
        text=shown if near else both,
        when=language.says("at %(clock)s", clock=shown)
        if near
        else language.says("on %(date)s at %(clock)s", date=day, clock=shown),
        full=full,
        day=str(local.day),
        month=locale.months["format"]["abbreviated"][local.month],
        weekday=locale.days["format"]["abbreviated"][local.weekday()],
    )


@lru_cache(maxsize=4096)
def span(
    start: datetime,
    end: datetime,
    zone: ZoneInfo,
    language: Language,
    *,
    with_offset: bool = False,
    beside: date | None = None,
) -> Span:
    """Return the time from `start` to `end`, both aware, as text in `zone`.

    `with_offset` where a time in another zone or of another season stands beside it; `beside` is a
    day that is said already, and that the text leaves out.
    """
    day = start.astimezone(zone).date()
    changes = start.astimezone(zone).utcoffset() != end.astimezone(zone).utcoffset()
    first = local_time(start, zone, language, beside=day, with_offset=changes)
    last = local_time(end, zone, language, beside=day, with_offset=changes)
    hours = language.says("%(start)s – %(end)s", start=first.text, end=last.text)
    with_offset = with_offset or any(comes_twice(at, zone) for at in (start, end))
    place = _place(zone.key, language, first.offset, with_offset=with_offset and not changes)
    return Span(
        text=language.says("%(hours)s (%(place)s)", hours=hours, place=place)
        if day == beside
        else language.says(
            "%(date)s, %(hours)s (%(place)s)", date=first.date, hours=hours, place=place
        ),
        date=first.date,
        hours=hours,
        place=place,
        zone=zone.key,
        start=first,
        end=last,
    )


def moved(
    old: tuple[datetime, datetime],
    new: tuple[datetime, datetime],
    zone: ZoneInfo,
    language: Language,
) -> tuple[str, str]:
    """Return a meeting's old and new time (each a start and an end, aware) to stand side by side.

    What both have in common is said once: the date in the old one, zone and offset in the new one.
    """
    before, after = (span(*both, zone, language, with_offset=True) for both in (old, new))
    if before.place != after.place:
        return before.text, after.text
    earlier = language.says("%(date)s, %(hours)s", date=before.date, hours=before.hours)
    if before.date == after.date:
        return earlier, language.says("%(hours)s (%(place)s)", hours=after.hours, place=after.place)
    return earlier, after.text


def ahead(start: datetime, now: datetime, zone: ZoneInfo, language: Language) -> str:
    """Return when `start` is as whoever reads at `now` says it: `in an hour`, `tomorrow at 09:00`.

    Both are aware; days are those of `zone`.
    """
    minutes = round((start - now) / _MINUTE)
    if minutes <= 65:
        return _within_the_hour(minutes, language)
    at = local_time(start, zone, language)
    match (start.astimezone(zone).date() - now.astimezone(zone).date()).days:
        case 0:
            return language.says("today at %(clock)s", clock=at.clock)
        case 1:
            return language.says("tomorrow at %(clock)s", clock=at.clock)
        case _:
            return at.when


def _within_the_hour(minutes: int, language: Language) -> str:
    if minutes <= 0:
        return language.says("now")
    if minutes == 1:
        return language.says("in a minute")
    if minutes < 55:
        return language.counts("in %(num)d minute", "in %(num)d minutes", minutes)
    return language.says("in an hour")


def comes_twice(at: datetime, zone: ZoneInfo) -> bool:
    """Tell whether clocks in `zone` show this aware time twice, so that only the offset tells it."""
    local = at.astimezone(zone)
    return local.utcoffset() != local.replace(fold=1 - local.fold).utcoffset()


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


def place_of(zone: str, language: Language) -> str:
    """Return what people call the time of a zone, its IANA name where it is of no place."""
    return _place(zone, language, zone, with_offset=False)


def _place(zone: str, language: Language, offset: str, *, with_offset: bool) -> str:
    """Return `Berlin time`, or `Berlin time, UTC+01:00`; UTC, and a zone of no place, is its offset."""
    if zone == "UTC":
        return zone
    city = _city(zone, language.locale)
    if city is None:
        return offset
    if with_offset:
        return language.says("%(city)s time, %(offset)s", city=city, offset=offset)
    return language.says("%(city)s time", city=city)


@lru_cache(maxsize=1024)
def _city(zone: str, locale: Locale) -> str | None:
    """Return CLDR's name of a zone's city, None where it has none (`UTC`, `Etc/GMT+5`, `EST`)."""
    if "/" not in zone or zone.startswith("Etc/"):
        return None
    # Babel keeps the region of a city that CLDR has no name for: `Argentina/Buenos Aires`.
    return get_timezone_location(zone, locale=locale, return_city=True).rpartition("/")[2]


@lru_cache(maxsize=4096)
def _day(day: date, locale: Locale) -> str:
    return format_date(day, "full", locale=locale)


@lru_cache(maxsize=4096)
def _clock(clock: time, locale: Locale) -> str:
    wall = clock.replace(tzinfo=None, fold=0)
    return format_time(wall, "medium" if wall.second else "short", locale=locale)
