"""From dates that somebody listed to a rule with exceptions, one that Outlook can express."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from functools import partial
from itertools import chain
from math import gcd
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

from invites.model import WEEKDAYS, Frequency, Recurrence
from invites.roster.recurrence import (
    DATES_AT_MOST,
    IN_EVERY_MONTH,
    LONGEST_INTERVAL,
    Rule,
    dates_of,
)
from invites.text import CellRefused

FEW: Final = 2
"""So many dates always have a rule: that from one to the other."""

WEEKDAY_SHARE: Final = 6
"""A weekday with a sixth of the dates, or with two of few, is one of the rule's; others moved."""

EXTRA_SHARE: Final = 4
"""At most a quarter of the dates may be beside the rule and stay meetings of their own."""


class Fitted(NamedTuple):
    """A rule, and of each of its dates the place of the listed one that it is, None where none is.

    `originals` are the rule's dates, in UTC; `beside` are the places of those that it does not have.
    """

    recurrence: Recurrence
    originals: tuple[datetime, ...]
    places: tuple[int | None, ...]
    beside: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A rule, how to list its days round some dates, and how many holes it may have for each date."""

    recurrence: Recurrence
    days: Callable[[date, date], Iterator[date]]
    holes: int


def fitted(starts: Sequence[datetime], length: timedelta, there: ZoneInfo) -> Fitted | None:
    """Return the rule that has most of these dates, with the fewest exceptions; None for none.

    `starts` are aware and sorted, and most dates last `length`.  Dates are compared on the wall of
    `there`: a rule has one time of day, the one that most of them have.
    """
    walls = [start.astimezone(there).replace(tzinfo=None) for start in starts]
    clock = _most_common(wall.time() for wall in walls)
    every = [wall.date() for wall in walls]
    at_the_time = [wall.date() for wall in walls if wall.time() == clock]
    # A date at another hour is on its day in most cases; a moved one is the first to have another.
    candidates = _candidates(every)
    if len(at_the_time) < len(every):
        candidates = chain(candidates, _candidates(at_the_time))
    best: tuple[int, Fitted] | None = None
    for candidate in candidates:
        found = _aligned(candidate, walls, clock, length, there)
        if found is None:
            continue
        cost = _cost(found, walls)
        if best is None or cost < best[0]:
            best = (cost, found)
        if cost == 0:
            break
    return None if best is None else best[1]


def _most_common(values: Iterator[time]) -> time:
    counts = Counter(values)
    return min(counts, key=lambda value: (-counts[value], value))


def _cost(found: Fitted, walls: Sequence[datetime]) -> int:
    holes = sum(place is None for place in found.places)
    return holes + 2 * _moved(found, walls) + 4 * len(found.beside)


def _moved(found: Fitted, walls: Sequence[datetime]) -> int:
    """Return how many dates are on another day than the rule has them."""
    days = {walls[place].date() for place in found.places if place is not None}
    return len(days - {day.date() for day in found.originals})


def _candidates(days: Sequence[date]) -> Iterator[_Candidate]:
    yield from _weekly(days)
    yield from _monthly(days)
    step = _common_step([day.toordinal() for day in days])
    if step <= LONGEST_INTERVAL[Frequency.DAILY]:
        yield _Candidate(
            Recurrence(frequency=Frequency.DAILY, interval=step),
            lambda first, last: _every(days[0], step, first, last),
            holes=1,
        )


def _common_step(numbers: Sequence[int]) -> int:
    """Return the largest step that leads from the first of these numbers to all others."""
    return gcd(*(number - numbers[0] for number in numbers)) or 1


def _every(anchor: date, step: int, first: date, last: date) -> Iterator[date]:
    """Yield each `step`th day from the one before `first` to the one after `last`."""
    day = anchor - timedelta(days=step * (-(-(anchor - first).days // step) + 1))
    while day <= last + timedelta(days=step):
        yield day
        day += timedelta(days=step)


def _weekly(days: Sequence[date]) -> Iterator[_Candidate]:
    counts = Counter(day.weekday() for day in days)
    enough = max(min(2, max(counts.values())), len(days) / WEEKDAY_SHARE)
    on = sorted(day for day, count in counts.items() if count >= enough)
    if not on or len(on) == len(WEEKDAYS):
        return
    done: set[int] = set()
    # With several days in every second week it matters which day begins a week.
    for begins in (0, 6, *range(1, 6)) if len(on) > 1 else (0,):
        first_days = [_week_of(day, begins) for day in days if day.weekday() in on]
        weeks = _common_step([first.toordinal() // 7 for first in first_days])
        step = weeks if weeks <= LONGEST_INTERVAL[Frequency.WEEKLY] else 1
        if step == 1 and step in done:
            continue
        done.add(step)
        yield _in_weeks(first_days[0], on, step, begins)
    if 1 not in done:
        yield _in_weeks(_week_of(days[0], 0), on, 1, 0)


def _week_of(day: date, begins: int) -> date:
    """Return the first day of the day's week, where weeks begin on this weekday."""
    return day - timedelta(days=(day.weekday() - begins) % 7)


def _in_weeks(anchor: date, on: Sequence[int], step: int, begins: int) -> _Candidate:
    def listed(first: date, last: date) -> Iterator[date]:
        for week in _every(anchor, 7 * step, first, last):
            yield from sorted(week + timedelta(days=(day - begins) % 7) for day in on)

    return _Candidate(
        Recurrence(
            frequency=Frequency.WEEKLY,
            interval=step,
            weekdays=tuple(WEEKDAYS[day] for day in on),
            week_start=WEEKDAYS[begins] if step > 1 and len(on) > 1 else WEEKDAYS[0],
        ),
        listed,
        holes=3 if len(on) == 1 else 1,
    )


def _monthly(days: Sequence[date]) -> Iterator[_Candidate]:
    """Yield the rules by the weekday in the month, and by the day of the month, that fit most."""
    weekday = Counter(day.weekday() for day in days).most_common(1)[0][0]
    for kind in ((weekday,), tuple(range(5)), (5, 6)):
        of_kind = [day for day in days if day.weekday() in kind]
        for nth in _nths(of_kind, kind):
            yield from _by_month(
                Recurrence(
                    frequency=Frequency.MONTHLY,
                    weekdays=tuple(WEEKDAYS[day] for day in kind),
                    nth=nth,
                ),
                days,
                partial(_nth_day, kind, nth),
            )
    month_day = Counter(day.day for day in days).most_common(1)[0][0]
    each_last = sum((day + timedelta(days=1)).day == 1 for day in days)
    by_last = each_last >= sum(day.day == month_day for day in days)
    month_day = -1 if by_last else month_day
    if month_day <= IN_EVERY_MONTH:
        yield from _by_month(
            Recurrence(frequency=Frequency.MONTHLY, month_day=month_day),
            days,
            lambda year, month: _day_of_month(year, month, month_day),
        )


def _by_month(
    recurrence: Recurrence, days: Sequence[date], day_in: Callable[[int, int], date]
) -> Iterator[_Candidate]:
    def number(day: date) -> int:
        return day.year * 12 + day.month - 1

    on_it = [day for day in days if day == day_in(day.year, day.month)]
    if not on_it:
        return
    step = _common_step([number(day) for day in on_it])

    def listed(first: date, last: date) -> Iterator[date]:
        anchor = number(on_it[0])
        at = anchor - step * (-(-(anchor - number(first)) // step) + 1)
        while at <= number(last) + step:
            yield day_in(at // 12, at % 12 + 1)
            at += step

    if step <= LONGEST_INTERVAL[Frequency.MONTHLY]:
        yield _Candidate(replace(recurrence, interval=step), listed, holes=3)


def _nths(days: Sequence[date], kind: Sequence[int]) -> Iterator[int]:
    """Yield which of its kind in a month most days are, where a rule has a word for that."""
    counts = Counter[int]()
    for day in days:
        counts.update(
            nth for nth in (1, 2, 3, 4, -1) if _nth_day(kind, nth, day.year, day.month) == day
        )
    yield from (nth for nth, _ in counts.most_common(2))


def _nth_day(kind: Sequence[int], nth: int, year: int, month: int) -> date:
    last = _day_of_month(year, month, -1)
    days = (last.replace(day=number) for number in range(1, last.day + 1))
    of_kind = [day for day in days if day.weekday() in kind]
    return of_kind[nth - 1 if nth > 0 else nth]


def _day_of_month(year: int, month: int, day: int) -> date:
    if day > 0:
        return date(year, month, day)
    following = date(year + month // 12, month % 12 + 1, 1)
    return following - timedelta(days=1)


def _aligned(
    candidate: _Candidate,
    walls: Sequence[datetime],
    clock: time,
    length: timedelta,
    there: ZoneInfo,
) -> Fitted | None:
    """Return which listed date each of the rule's dates is; None where they fit too badly."""
    days = list(candidate.days(walls[0].date(), walls[-1].date()))
    taken, beside = _taken(days, [wall.date() for wall in walls])
    if not taken:
        return None
    first, last = min(taken), max(taken)
    # The first date gives the series its times of day: a day on which clocks don't change then.
    while not _is_plain(datetime.combine(days[first], clock), length, there):
        if first == 0:
            return None
        first -= 1
    places = tuple(taken.get(at) for at in range(first, last + 1))
    holes = sum(place is None for place in places)
    exact = len(walls) <= FEW and not beside
    if holes > candidate.holes * len(walls) or len(beside) * EXTRA_SHARE > len(walls):
        return None
    moved = sum(1 for at, place in taken.items() if walls[place].date() != days[at])
    if not exact and 2 * (moved + len(beside)) > len(walls):
        return None
    originals = _by_the_rule(candidate.recurrence, days[first : last + 1], clock, there)
    if originals is None:
        return None
    return Fitted(candidate.recurrence, originals, places, tuple(beside))


def _taken(days: Sequence[date], listed: Sequence[date]) -> tuple[dict[int, int], list[int]]:
    """Return which listed date each of the rule's days is, by places, and those that are beside it.

    One that is on none of the days takes the nearest free one between its neighbours': it was
    moved from there, and Outlook moves no date past another.
    """
    at_day = {day: at for at, day in enumerate(days)}
    taken: dict[int, int] = {}
    loose: list[int] = []
    for place, day in enumerate(listed):
        at = at_day.get(day)
        if at is None or at in taken:
            loose.append(place)
        else:
            taken[at] = place
    beside = []
    for place in loose:
        before = max((at for at, other in taken.items() if other < place), default=-1)
        after = min((at for at, other in taken.items() if other > place), default=len(days))
        same_day = listed[place] in {listed[taken[at]] for at in (before, after) if at in taken}
        if same_day or after - before < 2:
            beside.append(place)
            continue
        nearest = min(range(before + 1, after), key=lambda at: abs((days[at] - listed[place]).days))
        taken[nearest] = place
    return taken, beside


def _is_plain(wall: datetime, length: timedelta, there: ZoneInfo) -> bool:
    local = wall.replace(tzinfo=there)
    ends = (local.astimezone(UTC) + length).astimezone(there)
    return local.utcoffset() == local.replace(fold=1).utcoffset() == ends.utcoffset()


def _by_the_rule(
    recurrence: Recurrence, days: Sequence[date], clock: time, there: ZoneInfo
) -> tuple[datetime, ...] | None:
    """Return the starts that the rule itself has; None where these are not those days."""
    start = datetime.combine(days[0], clock, tzinfo=there).astimezone(UTC)
    until = datetime.combine(days[-1], clock)
    if len(days) > DATES_AT_MOST:
        return None
    try:
        originals = dates_of(Rule(recurrence=recurrence, until=until), start, there)
    except CellRefused:
        return None
    walls = (datetime.combine(day, clock, tzinfo=there).astimezone(UTC) for day in days)
    return originals if originals == tuple(walls) else None
