"""How a meeting repeats: which rules are taken, and from a rule to its dates.

A rule ends, and is one of those that Outlook can express (MS-OXCICAL 2.1.3.2.2): what it can't, Outlook would show on other days, or not at all.
Dates are counted on the wall's clock, so that a lesson at nine stays at nine when clocks change.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo

from invites.model import WEEKDAYS, Frequency, Recurrence, Series
from invites.text import CellRefused
from invites.times import LAST_YEAR

if TYPE_CHECKING:
    from dateutil.rrule import rrule

DATES_AT_MOST: Final = 999
"""Dates of one series; Outlook counts with three digits."""

LONGEST_INTERVAL: Final = {
    Frequency.DAILY: 999,
    Frequency.WEEKLY: 99,
    Frequency.MONTHLY: 99,
    Frequency.YEARLY: 8,
}
"""What Outlook takes for "every N"; of months it counts 99, and so 8 whole years."""

UNITS: Final[Mapping[str, Frequency]] = {
    "day": Frequency.DAILY,
    "week": Frequency.WEEKLY,
    "month": Frequency.MONTHLY,
    "year": Frequency.YEARLY,
}

IN_EVERY_MONTH: Final = 28
"""The last day that each month has; of a later one Outlook makes the month's last day."""

WORKING_DAYS: Final = WEEKDAYS[:5]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A rule as a cell has it; what follows from the first date is not filled in yet.

    It ends after `count` dates, or `until` (inclusive): aware in UTC, or a wall time without zone.
    """

    recurrence: Recurrence
    count: int | None = None
    until: datetime | None = None


def not_in_outlook(what: str, instead: str) -> CellRefused:
    """Return the refusal of a part that Outlook has no word for."""
    return CellRefused(f"a rule that Outlook can express: {what}; {instead}")


def checked(rule: Rule) -> Rule:
    """Return the rule, its week's start only where that makes a difference; raises CellRefused."""
    each = rule.recurrence
    if (rule.count is None) == (rule.until is None):
        raise CellRefused(
            'one end, "until" a date or a number of times; it has both'
            if rule.count is not None
            else 'a series that ends: add "until 2027-02-01" or "x 10" (in an RRULE UNTIL or COUNT)'
        )
    if rule.count is not None and rule.count > DATES_AT_MOST:
        raise _too_many()
    longest = LONGEST_INTERVAL[each.frequency]
    if each.interval > longest:
        raise not_in_outlook(
            f"an interval of at most {longest} {_unit(each)}s, not {each.interval}",
            "give each date a meeting_id",
        )
    _check_days(each)
    matters = each.frequency is Frequency.WEEKLY and each.interval > 1 and len(each.weekdays) > 1
    return rule if matters else replace(rule, recurrence=replace(each, week_start="MO"))


def _unit(each: Recurrence) -> str:
    return next(unit for unit, frequency in UNITS.items() if frequency is each.frequency)


def _check_days(each: Recurrence) -> None:
    monthly = each.frequency in {Frequency.MONTHLY, Frequency.YEARLY}
    if each.month_day and not monthly:
        raise CellRefused(f"no BYMONTHDAY in a rule by {_unit(each)}s")
    if each.month and each.frequency is not Frequency.YEARLY:
        raise not_in_outlook("BYMONTH in a yearly rule alone", "make a series of each stretch")
    if each.month > 12:
        raise CellRefused("a month from 1 to 12 in BYMONTH")
    if each.weekdays and each.frequency is Frequency.DAILY:
        raise not_in_outlook(
            "a daily rule without BYDAY", "FREQ=WEEKLY with the same BYDAY has the same dates"
        )
    if each.weekdays and each.month_day:
        raise not_in_outlook("either BYDAY or BYMONTHDAY", "keep one of them")
    if each.nth and not monthly:
        raise not_in_outlook("BYSETPOS in a monthly or yearly rule alone", "leave it out")
    if each.weekdays and monthly and not each.nth:
        raise not_in_outlook(
            "of the days in a month the 1st, 2nd, 3rd, 4th or last one",
            'say which, as in BYDAY=1TU or "on 1st tue", or make the rule weekly',
        )
    if each.nth not in {0, 1, 2, 3, 4, -1}:
        raise not_in_outlook(
            f"the 1st, 2nd, 3rd, 4th or last day of its kind in a month, not {each.nth}",
            "a 5th is not in every month, -1 is the last",
        )
    if each.frequency is Frequency.YEARLY and (each.weekdays or each.month_day) and not each.month:
        raise not_in_outlook("BYMONTH beside BYDAY or BYMONTHDAY in a yearly rule", "add it")
    _check_month_day(each)


def _check_month_day(each: Recurrence) -> None:
    """Refuse a day that some months, or the month of some years, don't have.

    RFC 5545 skips it there, and Outlook takes the last day.
    """
    day = each.month_day
    if each.frequency is Frequency.YEARLY:
        if day and (each.month, day) not in _EACH_YEAR:
            raise not_in_outlook("a day that its month has in every year", "take an earlier one")
    elif day and not (day == -1 or 1 <= day <= IN_EVERY_MONTH):
        raise not_in_outlook(
            f"a day from 1 to {IN_EVERY_MONTH} or the last one, not {day}, which not every month has",
            'the last day is BYMONTHDAY=-1 or "monthly on last day"',
        )


_EACH_YEAR: Final = frozenset(
    (each.month, each.day) for each in (date(2027, 1, 1) + timedelta(days=n) for n in range(365))
)
"""The days, as (month, day), of a year that is no leap year."""


def _too_many() -> CellRefused:
    return CellRefused(f"at most {DATES_AT_MOST} dates in one series; end it earlier")


def anchored(each: Recurrence, wall_start: datetime) -> Recurrence:
    """Return the rule with what its first date says: the weekday, the day, the month.

    `wall_start` is a wall time.  Raises CellRefused for a day that Outlook takes for another one.
    """
    match each.frequency:
        case Frequency.DAILY:
            return each
        case Frequency.WEEKLY:
            return (
                each if each.weekdays else replace(each, weekdays=(WEEKDAYS[wall_start.weekday()],))
            )
        case Frequency.MONTHLY | Frequency.YEARLY:
            if each.frequency is Frequency.YEARLY and not each.month:
                each = replace(each, month=wall_start.month)
            if not each.weekdays and not each.month_day:
                each = replace(each, month_day=wall_start.day)
                _check_month_day(each)
            return each


def dates_of(rule: Rule, start: datetime, zone: ZoneInfo) -> tuple[datetime, ...]:
    """Return the starts of all dates of an anchored rule, in UTC, for a first one at `start`.

    Counted on the wall: a time that the zone skips is read with the offset from before the change,
    of one that it has twice the first is meant (RFC 5545 3.3.5; PEP 495's fold of 0).
    Raises CellRefused where the first date is none of the rule's, or there are too many.
    """
    wall_start = start.astimezone(zone).replace(tzinfo=None)
    dates: list[datetime] = []
    for wall in islice(_walls(rule.recurrence, wall_start), rule.count):
        if wall.year > LAST_YEAR:
            raise CellRefused(f"an end of the series by the year {LAST_YEAR}")
        instant = wall.replace(tzinfo=zone).astimezone(UTC)
        if rule.until is not None and (wall if rule.until.tzinfo is None else instant) > rule.until:
            break
        if len(dates) == DATES_AT_MOST:
            raise _too_many()
        dates.append(instant)
    if not dates:
        raise CellRefused("an end of the series that is not before its first date")
    if dates[0] != start:
        raise StartRefused(dates[0])
    return tuple(dates)


class StartRefused(CellRefused):
    """A start that is no date of the rule; `first` is the rule's first one after it, in UTC."""

    def __init__(self, first: datetime) -> None:
        """Say which date the rule has instead."""
        super().__init__("a start that is a date of the rule")
        self.first = first


def _walls(each: Recurrence, wall_start: datetime) -> Iterator[datetime]:
    return iter(_rrule_of(each, wall_start))


def _rrule_of(each: Recurrence, wall_start: datetime) -> rrule:
    from dateutil import rrule as rules  # noqa: PLC0415 - only where something repeats

    return rules.rrule(
        getattr(rules, each.frequency.value),
        dtstart=wall_start,
        interval=each.interval,
        wkst=WEEKDAYS.index(each.week_start),
        byweekday=[WEEKDAYS.index(day) for day in each.weekdays] or None,
        bymonthday=each.month_day or None,
        bymonth=each.month or None,
        bysetpos=each.nth or None,
    )


def rule_text(series: Series) -> str:
    """Return the series' rule as an RRULE's value (RFC 5545 3.3.10), which `parse_rule` reads.

    It ends at the last date, in UTC, however the roster says it: then another way to say the same
    is no change, and no reader has to count.
    """
    each = series.recurrence
    days = ",".join(each.weekdays)
    alone = each.nth and len(each.weekdays) == 1
    parts = {
        "FREQ": each.frequency.value,
        "INTERVAL": "" if each.interval == 1 else str(each.interval),
        "BYMONTH": str(each.month or ""),
        "BYMONTHDAY": str(each.month_day or ""),
        "BYDAY": f"{each.nth}{days}" if alone else days,
        "BYSETPOS": "" if alone else str(each.nth or ""),
        "WKST": _wkst(each),
        "UNTIL": f"{series.occurrences[-1].original:%Y%m%dT%H%M%SZ}",
    }
    return ";".join(f"{name}={value}" for name, value in parts.items() if value)


def _wkst(each: Recurrence) -> str:
    """Return the week's first day where dates depend on it; Outlook's own default is Sunday."""
    depends = each.frequency is Frequency.WEEKLY and each.interval > 1 and len(each.weekdays) > 1
    return each.week_start if depends else ""
