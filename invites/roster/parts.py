"""Columns that stand together in place of one: a date and a time of day, a length, two names.

What they come to is read by `meetings` like the column itself: a whole time, or for an end the time
of day or the length from which the start makes one (`end_from`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from typing import Final

from invites.roster.cells import RosterRules, forms_of
from invites.roster.columns import BY_NAME, Column
from invites.text import CellRefused
from invites.times import NAMED_FORMATS, TimeRefused, parse_time

JOINED: Final = " + "
"""Between the names of columns whose texts are read as one, with a blank between them."""

ACROSS_MIDNIGHT: Final = timedelta(hours=12)
"""A meeting is shorter than this whose end's time of day is meant to be the next day's."""

SHORTEST_BARE: Final = 5
"""Fewest minutes that a number without unit can mean: 1 or 2 is probably an hour or two."""

_CLOCK = re.compile(
    r"(\d{1,2})[:.h](\d\d)(?:[:.](\d\d)(?:\.0+)?)?(?: ?(?:(a|p)\.?m\.?|uhr|h))?",
    re.ASCII | re.IGNORECASE,
)
_FRACTION = re.compile(r"0(?:[.,]\d{1,17})?", re.ASCII)
_AT_MIDNIGHT = re.compile(r"(.+?)[ T]0?0:00(?::00)?", re.ASCII)
_DATE_THEN_CLOCK = re.compile(
    rf"(.*?) ?({_CLOCK.pattern}|{_FRACTION.pattern})", re.ASCII | re.IGNORECASE
)
_HOURS_AND_MINUTES = re.compile(r"(\d{1,3}):(\d\d)(?::00)?", re.ASCII)
_IN_UNITS = re.compile(
    r"(?:pt)?(?:(\d{1,3}) ?(?:h|hrs?|hours?|std\.?|stunden?)(?: ?(\d\d)(?=$))?)? ?"
    r"(?:(\d{1,4}) ?(?:m|min\.?|mins?|minutes?|minuten?))?",
    re.ASCII | re.IGNORECASE,
)

A_CLOCK: Final = "a time of day such as 09:00"
A_LENGTH: Final = "a duration such as 45m, 1h30m or 1:30; a number alone means minutes, 5 or more"


def as_date_then_clock(text: str, rules: RosterRules) -> datetime | time:
    """Return the time that a date and a time of day make; the time of day alone without a date."""
    found = _DATE_THEN_CLOCK.fullmatch(text)
    if found is None:
        raise CellRefused(f"a date, and {A_CLOCK}")
    clock = as_clock(found[2], rules)
    return datetime.combine(as_date(found[1], rules), clock) if found[1] else clock


def as_start(text: str, rules: RosterRules) -> datetime:
    """Return the time that a date and a time of day make; both are needed."""
    moment = as_date_then_clock(text, rules)
    if not isinstance(moment, datetime):
        raise CellRefused("a date before the time of day")
    return moment


def as_clock(text: str, rules: RosterRules) -> time:
    """Return a time of day: `9:00`, `09:00:00`, `9:00 AM`, or as `excel` a fraction of a day."""
    if "excel" in rules.date_format and _FRACTION.fullmatch(text):
        seconds = round(float(text.replace(",", ".")) * 86_400)
        return (datetime(1970, 1, 1) + timedelta(seconds=seconds)).time()  # noqa: DTZ001
    found = _CLOCK.fullmatch(text)
    if found is None:
        raise CellRefused(A_CLOCK)
    hour, half = int(found[1]), (found[4] or "").lower()
    if half:
        if not 1 <= hour <= 12:
            raise CellRefused(f"{A_CLOCK} or 9:00 AM")
        hour = hour % 12 + (12 if half == "p" else 0)
    try:
        return time(hour, int(found[2]), int(found[3] or 0))
    except ValueError:
        raise CellRefused(f"{A_CLOCK}; hours end at 23, minutes and seconds at 59") from None


def as_length(text: str, _rules: RosterRules) -> timedelta:
    """Return how long a meeting takes."""
    if text.isascii() and text.isdigit() and len(text) < 5:
        minutes = int(text)
        if minutes < SHORTEST_BARE:
            raise CellRefused(A_LENGTH)
    elif found := _HOURS_AND_MINUTES.fullmatch(text) or _IN_UNITS.fullmatch(text):
        minutes = int(found[1] or 0) * 60 + sum(int(part or 0) for part in found.groups()[1:])
    else:
        raise CellRefused(A_LENGTH)
    if not minutes:
        raise CellRefused(A_LENGTH)
    return timedelta(minutes=minutes)


def end_from(start: object, end: object) -> object:
    """Return an end as a time, where it is a time of day: the start's day, or at night the next.

    The next day is meant where the meeting is then shorter than `ACROSS_MIDNIGHT`; an end before
    the start stays one else, for 14:00 to 13:00 is a slip and no meeting of 23 hours.
    """
    if not (isinstance(start, datetime) and isinstance(end, time)):
        return end
    same_day = datetime.combine(start.date(), end, tzinfo=start.tzinfo)
    next_day = same_day + timedelta(days=1)
    return next_day if same_day < start and next_day - start < ACROSS_MIDNIGHT else same_day


def as_date(text: str, rules: RosterRules) -> date:
    """Return a day, by the date's part of each form that the roster has.

    A spreadsheet may show midnight behind it.
    """
    if (found := _AT_MIDNIGHT.fullmatch(text)) is not None:
        text = found[1]
    forms = forms_of(rules) or ("iso",)
    for form in forms:
        for pattern in _date_patterns(form):
            try:
                return parse_time(f"{text} 00:00", (f"{pattern} %H:%M",)).date()
            except TimeRefused:
                continue
        if form == "excel":
            try:
                return parse_time(text, ("excel",)).date()
            except TimeRefused:
                continue
    examples = " or ".join(dict.fromkeys(_example(form) for form in forms))
    told = f" ([roster] date_format is {', '.join(forms)})" if rules.date_format else ""
    raise CellRefused(f"a date such as {examples} before the time of day{told}")


_TIME_OF_DAY: Final = re.compile(r"%[HIMSpfzZXc]|%-[HI]")


def _date_patterns(form: str) -> tuple[str, ...]:
    """Return the `strptime` forms of a form's date, without its time of day."""
    if form == "iso":
        return ("%Y-%m-%d",)
    if form == "excel":
        return ()
    whole = NAMED_FORMATS.get(form, (form,))
    parts = (_TIME_OF_DAY.split(pattern)[0].rstrip(" ,T") for pattern in whole)
    return tuple(dict.fromkeys(part for part in parts if part))


def _example(form: str) -> str:
    patterns = _date_patterns(form)
    return f"{date(2026, 1, 31):{patterns[0]}}" if patterns else "46053"


@dataclass(frozen=True, slots=True)
class StandIn:
    """Columns that together stand in place of `column`, read as it says."""

    parts: tuple[str, ...]
    column: Column


STAND_INS: Final = (
    StandIn(
        ("start_date", "start_time"),
        replace(BY_NAME["start"], parse=as_start, what=f"a date, and {A_CLOCK}"),
    ),
    StandIn(
        ("end_date", "end_time"),
        replace(BY_NAME["end"], parse=as_date_then_clock, what=A_CLOCK),
    ),
    StandIn(("end_time",), replace(BY_NAME["end"], parse=as_clock, what=A_CLOCK)),
    StandIn(("duration",), replace(BY_NAME["end"], parse=as_length, what=A_LENGTH)),
    StandIn(("first_name", "last_name"), BY_NAME["name"]),
)
"""In this order: the first whose parts are all there counts, where the column itself is not."""

PARTS: Final = frozenset(part for each in STAND_INS for part in each.parts)
