"""How much, how long and when, as settings write it: shares, rates, durations, days, due times.

Each function returns the value of a text or raises `Unfit` with what was expected.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from fractions import Fraction
from typing import Annotated, Final

from pydantic import BeforeValidator

from invites.settings.types import Unfit, names
from invites.times import NAMED_FORMATS

UNITS: Final = {"d": 86_400, "h": 3_600, "m": 60, "s": 1}
"""Seconds in each unit of a duration or rate, largest first."""

WEEKDAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
"""In the order of `datetime.weekday()`."""

LONGEST_DURATION: Final = timedelta(days=36_500)

_DURATION: Final = re.compile(
    r"(?=[0-9])" + "".join(rf"(?:(?P<{unit}>[0-9]{{1,10}}){unit})?" for unit in UNITS)
)
_SHARE: Final = re.compile(r"([0-9]{1,3}(?:\.[0-9]{1,6})?) ?%")
_RATE: Final = re.compile(r"([0-9]{1,9}) ?/ ?([smhd])")
_CLOCK: Final = re.compile(r"([0-9]{2}):([0-9]{2})")


@dataclass(frozen=True, slots=True, kw_only=True)
class RateLimit:
    """At most `count` messages in each `period`."""

    count: int
    period: timedelta


def duration(value: object) -> timedelta:
    """Return the duration that `15m`, `24h`, `60s`, `100d` or `1h30m` says, at most 100 years."""
    expected = "a duration such as 60s, 15m, 24h, 100d or 1h30m"
    match = _DURATION.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None:
        raise Unfit(expected, remedy="write whole numbers with d, h, m or s, in quotes")
    seconds = sum(int(number) * UNITS[unit] for unit, number in match.groupdict("0").items())
    if seconds > LONGEST_DURATION.total_seconds():
        raise Unfit(f"a duration of at most {LONGEST_DURATION.days}d")
    return timedelta(seconds=seconds)


def positive_duration(value: object) -> timedelta:
    """Return a duration that is longer than nothing."""
    length = duration(value)
    if not length:
        raise Unfit("a duration longer than 0s")
    return length


def duration_or_none(value: object) -> timedelta | None:
    """Return a duration, or None where the text is empty."""
    return None if value == "" else duration(value)


def share(value: object, at_most: int = 100) -> Fraction:
    """Return the share that a percentage such as `10%` says, without rounding; `at_most` in %."""
    match = _SHARE.fullmatch(value.strip()) if isinstance(value, str) else None
    parsed = Fraction(match[1]) / 100 if match else None
    if parsed is None or parsed * 100 > at_most:
        expected = f"a percentage from 0% to {at_most}% such as 10%"
        raise Unfit(expected, remedy="write it in quotes")
    return parsed


def growth(value: object) -> Fraction:
    """Return a share that may be more than all there is: twice as many is a growth of 100%."""
    return share(value, at_most=900)


def rate(value: object) -> tuple[RateLimit, ...]:
    """Return the limits of `30/m, 10000/d`, shortest period first; none for empty text."""
    expected = 'limits such as "30/m, 10000/d" (s, m, h or d; each once), or "" for none'
    if not isinstance(value, str):
        raise Unfit(expected)
    if not value.strip():
        return ()
    matches = [_RATE.fullmatch(part.strip()) for part in value.split(",")]
    found = {match[2]: int(match[1]) for match in matches if match is not None}
    if len(found) != len(matches) or not all(found.values()):
        raise Unfit(expected)
    return tuple(
        RateLimit(count=found[unit], period=timedelta(seconds=UNITS[unit]))
        for unit in reversed(UNITS)
        if unit in found
    )


def due_at(value: object) -> time | str:
    """Return the wall time that `02:15` says, without zone, or a cron expression as it stands."""
    expected = "a time of day from 00:00 to 23:59 such as 02:15"
    if not isinstance(value, str):
        raise Unfit(expected, remedy="write it in quotes")
    if len(value.split()) > 1:
        return _cron(value)
    match = _CLOCK.fullmatch(value)
    if match is None or int(match[1]) > 23 or int(match[2]) > 59:
        raise Unfit(f'{expected}, or a cron expression such as "15 2 * * mon-fri"')
    return time(int(match[1]), int(match[2]))


def _cron(value: str) -> str:
    from invites.due.rule import demand_cron  # noqa: PLC0415

    try:
        demand_cron(value)
    except ValueError:
        raise Unfit(
            "a cron expression with minute, hour, day of the month, month and weekday that comes "
            'some day, such as "15 2 * * mon-fri"'
        ) from None
    return " ".join(value.split())


def weekdays(value: object) -> frozenset[int]:
    """Return the days of `mon-sun`, `mon,wed` or `fri-mon` as `datetime.weekday()` numbers."""
    if not isinstance(value, str):
        raise Unfit(_DAYS_EXPECTED)
    days: set[int] = set()
    for part in value.lower().split(","):
        first, dash, last = (piece.strip() for piece in part.partition("-"))
        begin, end = _weekday(first), _weekday(last if dash else first)
        days.update((begin + step) % 7 for step in range((end - begin) % 7 + 1))
    return frozenset(days)


_DAYS_EXPECTED: Final = (
    'days such as "mon-sun", "mon-fri" or "mon,wed" (' + ", ".join(WEEKDAYS) + ")"
)


def _weekday(name: str) -> int:
    if name not in WEEKDAYS:
        raise Unfit(_DAYS_EXPECTED)
    return WEEKDAYS.index(name)


def date_formats(value: object) -> tuple[str, ...]:
    """Return names of date formats, or `strptime` forms that keep day, year, hour and minute."""
    found = names([value] if isinstance(value, str) and value else value or [])
    if not all(form in NAMED_FORMATS or _keeps_the_minute(form) for form in found):
        raise Unfit(
            f"a list of {', '.join(NAMED_FORMATS)} or forms with day, month, year, hour and "
            'minute such as "%d.%m.%Y %H:%M"'
        )
    return found


def _keeps_the_minute(form: str) -> bool:
    sample = datetime(2026, 11, 25, 17, 48, tzinfo=UTC)
    try:
        again = datetime.strptime(sample.strftime(form), form)  # noqa: DTZ007 - with or without zone
    except (ValueError, UnicodeError):
        return False
    return again.replace(tzinfo=UTC) == sample


def reminders(value: object) -> tuple[timedelta, ...]:
    """Return how long before the start each reminder goes out, longest first."""
    if not isinstance(value, list):
        raise Unfit('a list of durations such as ["24h", "1h"]')
    leads = {positive_duration(each) for each in value}
    if len(leads) != len(value):
        raise Unfit("a list that has no duration twice")
    return tuple(sorted(leads, reverse=True))


Duration = Annotated[timedelta, BeforeValidator(duration)]
PositiveDuration = Annotated[timedelta, BeforeValidator(positive_duration)]
Share = Annotated[Fraction, BeforeValidator(share)]
