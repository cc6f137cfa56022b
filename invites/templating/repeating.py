"""A meeting's dates in words: "every Monday, 09:00 – 09:45, until Monday, 31 May 2027"."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

from babel.dates import format_skeleton
from babel.lists import format_list

from invites.model import WEEKDAYS, Frequency, Recurrence
from invites.roster.rule import parse_rule
from invites.templating.dates import local_time, place_of, span
from invites.templating.language import ENGLISH
from invites.times import zone as zone_named

if TYPE_CHECKING:
    from collections.abc import Iterator

    from invites.model import Meeting, Occurrence, Series
    from invites.templating.dates import Span
    from invites.templating.language import Language

DIFFERING_SHOWN = 20
"""Dates that differ from the rule and that a letter shows; the calendar entry has them all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesView:
    """`series` in a template, all in the meeting's zone.

    `repeats` tells whether there is one, for a meeting that does not repeat has all else empty.
    `text` is the rule with hours, last date and zone, for a line of its own; `short` has neither
    date nor zone, for subjects.  `dates` counts those that take place.  `differing` are the coming
    ones that differ from the rule, a line each, and `more` tells that there are others.
    """

    repeats: bool = False
    text: str = ""
    short: str = ""
    dates: int = 0
    differing: tuple[str, ...] = ()
    more: bool = False

    def __bool__(self) -> bool:
        """Tell whether the meeting repeats, for a template that asks `if series`."""
        return self.repeats


NO_SERIES = SeriesView()


def series_view(meeting: Meeting, series: Series, now: datetime, language: Language) -> SeriesView:
    """Return a series as letters that are written at `now` tell it."""
    there = zone_named(meeting.timezone)
    rule = rule_words(series.recurrence, language)
    hours = _hours(span(meeting.start, meeting.end, there, language), language)
    lines = [*_differing(meeting, series, now, language)]
    return SeriesView(
        repeats=True,
        text=_sentence(_until(rule, hours, meeting.starts[-1], meeting.timezone, language)),
        short=language.says("%(rule)s, %(hours)s", rule=rule, hours=hours),
        dates=len(series.taking_place),
        differing=tuple(lines[:DIFFERING_SHOWN]),
        more=len(lines) > DIFFERING_SHOWN,
    )


def repeats_words(rule: str) -> str:
    """Return an RRULE of ours in English, without its end."""
    return rule_words(parse_rule(rule).recurrence, ENGLISH)


def told_words(told: str, language: Language = ENGLISH) -> str:
    """Return in words what `planning.changes.told_series` made of a series."""
    times, zone_name, rule = told.split(" ")
    start, end = (
        datetime.strptime(text, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC) for text in times.split("/")
    )
    parsed = parse_rule(rule)
    hours = _hours(span(start, end, zone_named(zone_name), language), language)
    words = rule_words(parsed.recurrence, language)
    return _until(words, hours, parsed.until or start, zone_name, language)


def _hours(told: Span, language: Language) -> str:
    return language.says("%(start)s – %(end)s", start=told.start.clock, end=told.end.text)


def _until(rule: str, hours: str, last: datetime, zone: str, language: Language) -> str:
    return language.says(
        "%(rule)s, %(hours)s, until %(last)s (%(place)s)",
        rule=rule,
        hours=hours,
        last=local_time(last, zone_named(zone), language).date,
        place=place_of(zone, language),
    )


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


def rule_words(each: Recurrence, language: Language) -> str:
    """Return an anchored rule without its end: `every 2 weeks on Monday and Wednesday`."""
    once = each.interval == 1
    match each.frequency:
        case Frequency.DAILY:
            return _every(each, language)
        case Frequency.WEEKLY if once and each.weekdays == WEEKDAYS[:5]:
            return language.says("every weekday")
        case Frequency.WEEKLY if once:
            return language.says("every %(days)s", days=_days(each.weekdays, language))
        case Frequency.WEEKLY:
            on = _days(each.weekdays, language)
        case Frequency.MONTHLY:
            on = _in_month(each, language)
        case _:
            on = _in_year(each, language)
    return language.says("%(every)s on %(which)s", every=_every(each, language), which=on)


def _message(text: str) -> str:
    """Mark a text as one that catalogs have."""
    return text


def _messages(one: str, several: str) -> tuple[str, str]:
    """Mark a text that has plural forms."""
    return one, several


_EVERY = {
    Frequency.DAILY: (
        _message("every day"),
        _messages("every %(num)d day", "every %(num)d days"),
    ),
    Frequency.WEEKLY: (
        _message("every week"),
        _messages("every %(num)d week", "every %(num)d weeks"),
    ),
    Frequency.MONTHLY: (
        _message("every month"),
        _messages("every %(num)d month", "every %(num)d months"),
    ),
    Frequency.YEARLY: (
        _message("every year"),
        _messages("every %(num)d year", "every %(num)d years"),
    ),
}
_NTH = {
    1: _message("the first %(what)s"),
    2: _message("the second %(what)s"),
    3: _message("the third %(what)s"),
    4: _message("the fourth %(what)s"),
    -1: _message("the last %(what)s"),
}
_KINDS_OF_DAY = {
    WEEKDAYS[:5]: _message("weekday"),
    WEEKDAYS[5:]: _message("day of the weekend"),
    WEEKDAYS: _message("day"),
}


def _every(each: Recurrence, language: Language) -> str:
    one, several = _EVERY[each.frequency]
    return language.says(one) if each.interval == 1 else language.counts(*several, each.interval)


def _days(weekdays: tuple[str, ...], language: Language) -> str:
    names = language.locale.days["format"]["wide"]
    return format_list([names[WEEKDAYS.index(day)] for day in weekdays], locale=language.locale)


def _in_month(each: Recurrence, language: Language) -> str:
    if each.month_day == -1:
        return language.says("the last day")
    if each.month_day:
        return language.says("day %(day)s", day=each.month_day)
    kind = _KINDS_OF_DAY.get(each.weekdays)
    what = language.says(kind) if kind else _days(each.weekdays, language)
    return language.says(_NTH[each.nth], what=what)


def _in_year(each: Recurrence, language: Language) -> str:
    locale = language.locale
    if each.month_day:
        return str(format_skeleton("MMMMd", date(2028, each.month, each.month_day), locale=locale))
    month = locale.months["format"]["wide"][each.month]
    return language.says("%(which)s of %(month)s", which=_in_month(each, language), month=month)


def _differing(
    meeting: Meeting, series: Series, now: datetime, language: Language
) -> Iterator[str]:
    there = zone_named(meeting.timezone)
    length = meeting.end - meeting.start
    differing = {*series.exceptions(length)}
    for one in series.occurrences:
        if one.cancelled and one.original > now:
            was = local_time(one.original, there, language).date
            yield language.says("%(date)s: does not take place", date=was)
        elif one in differing and one.end > now:
            yield _moved(one, meeting, language)


def _moved(one: Occurrence, meeting: Meeting, language: Language) -> str:
    there = zone_named(meeting.timezone)
    was = local_time(one.original, there, language).date
    now = span(one.start, one.end, there, language)
    at = _hours(now, language)
    if now.date != was:
        at = language.says("%(date)s, %(hours)s", date=now.date, hours=at)
    to = f"{was}: {at}" if now.date == was else f"{was} → {at}"
    return f"{to}{f', {one.title}' if one.title else ''}"
