"""A meeting's dates in words: "every Monday, 09:00 – 09:45, until Monday, 31 May 2027"."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

from babel.dates import format_skeleton
from babel.lists import format_list

from invites.model import WEEKDAYS, Frequency, Recurrence
from invites.roster.rule import parse_rule
from invites.templating.dates import DEFAULT_LANGUAGE, local_time, locale_of, span
from invites.times import zone as zone_named

if TYPE_CHECKING:
    from collections.abc import Iterator

    from invites.model import Meeting, Occurrence, Series

DIFFERING_SHOWN = 20
"""Dates that differ from the rule and that a letter shows; the calendar entry has them all."""

_NTH = {1: "first", 2: "second", 3: "third", 4: "fourth", -1: "last"}
_KINDS_OF_DAY = {
    WEEKDAYS[:5]: "weekday",
    WEEKDAYS[5:]: "day of the weekend",
    WEEKDAYS: "day",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesView:
    """`series` in a template, all in the meeting's zone.

    `text` is the rule with hours, last date and zone, for a line of its own; `short` has neither
    date nor zone, for subjects.  `dates` counts those that take place.  `differing` are the coming
    ones that differ from the rule, a line each, and `more` tells that there are others.
    """

    text: str
    short: str
    dates: int
    differing: tuple[str, ...]
    more: bool


def series_view(meeting: Meeting, series: Series, now: datetime, language: str) -> SeriesView:
    """Return a series as letters that are written at `now` tell it."""
    there = zone_named(meeting.timezone)
    hours = span(meeting.start, meeting.end, there, language)
    rule = f"{rule_words(series.recurrence, language)}, {hours.start.clock} – {hours.end.text}"
    last = local_time(meeting.starts[-1], there, language).date
    lines = [*_differing(meeting, series, now, language)]
    return SeriesView(
        text=_sentence(f"{rule}, until {last} ({meeting.timezone})"),
        short=rule,
        dates=len(series.taking_place),
        differing=tuple(lines[:DIFFERING_SHOWN]),
        more=len(lines) > DIFFERING_SHOWN,
    )


def repeats_words(rule: str) -> str:
    """Return an RRULE of ours in English, without its end."""
    return rule_words(parse_rule(rule).recurrence, DEFAULT_LANGUAGE)


def told_words(told: str, language: str) -> str:
    """Return in words what `planning.changes.told_series` made of a series."""
    times, zone_name, rule = told.split(" ")
    start, end = (
        datetime.strptime(text, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC) for text in times.split("/")
    )
    there, parsed = zone_named(zone_name), parse_rule(rule)
    hours = span(start, end, there, language)
    last = local_time(parsed.until or start, there, language).date
    words = rule_words(parsed.recurrence, language)
    return f"{words}, {hours.start.clock} – {hours.end.text}, until {last} ({zone_name})"


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


def rule_words(each: Recurrence, language: str) -> str:
    """Return an anchored rule without its end: `every 2 weeks on Monday and Wednesday`."""
    match each.frequency:
        case Frequency.DAILY:
            return _every("day", each.interval)
        case Frequency.WEEKLY:
            days = "weekday" if each.weekdays == WEEKDAYS[:5] else _days(each.weekdays, language)
            if each.interval == 1:
                return f"every {days}"
            return f"{_every('week', each.interval)} on {days}"
        case Frequency.MONTHLY:
            return f"{_every('month', each.interval)} on {_in_month(each, language)}"
        case Frequency.YEARLY:
            return f"{_every('year', each.interval)} on {_in_year(each, language)}"


def _every(unit: str, interval: int) -> str:
    return f"every {unit}" if interval == 1 else f"every {interval} {unit}s"


def _days(weekdays: tuple[str, ...], language: str) -> str:
    names = locale_of(language).days["format"]["wide"]
    return format_list([names[WEEKDAYS.index(day)] for day in weekdays], locale=locale_of(language))


def _in_month(each: Recurrence, language: str) -> str:
    if each.month_day:
        return "the last day" if each.month_day == -1 else f"day {each.month_day}"
    kind = _KINDS_OF_DAY.get(each.weekdays) or _days(each.weekdays, language)
    return f"the {_NTH[each.nth]} {kind}"


def _in_year(each: Recurrence, language: str) -> str:
    locale = locale_of(language)
    if each.month_day:
        return str(format_skeleton("MMMMd", date(2028, each.month, each.month_day), locale=locale))
    return f"{_in_month(each, language)} of {locale.months['format']['wide'][each.month]}"


def _differing(meeting: Meeting, series: Series, now: datetime, language: str) -> Iterator[str]:
    there = zone_named(meeting.timezone)
    length = meeting.end - meeting.start
    differing = {*series.exceptions(length)}
    for one in series.occurrences:
        if one.cancelled and one.original > now:
            yield f"{local_time(one.original, there, language).date}: does not take place"
        elif one in differing and one.end > now:
            yield _moved(one, meeting, language)


def _moved(one: Occurrence, meeting: Meeting, language: str) -> str:
    there = zone_named(meeting.timezone)
    was = local_time(one.original, there, language).date
    now = span(one.start, one.end, there, language)
    at = f"{now.start.clock} – {now.end.text}"
    to = f"{was}: {at}" if now.date == was else f"{was} → {now.date}, {at}"
    return f"{to}{f', {one.title}' if one.title else ''}"
