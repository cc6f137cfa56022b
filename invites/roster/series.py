"""A meeting's dates: its rule, the dates left out, and the rows that say otherwise of one date."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import Any, Final, NamedTuple
from zoneinfo import ZoneInfo

from invites.jitsi.validity import ValidityRule, fits, fits_series, validity_for
from invites.model import Occurrence, Recurrence, Series
from invites.roster.recurrence import Rule, StartRefused, anchored, dates_of, rule_text
from invites.roster.rule import parse_rule
from invites.text import CellRefused

Dates = tuple[date | datetime, ...]
"""Dates as a cell names them: by the day, or by the start: aware, or a wall time without zone."""

EXCEPTIONS_AT_MOST: Final = 200
"""Dates that take place and differ from their rule: each adds 3 KB to a calendar entry, 9 to a mail."""

DIFFERS_IN: Final = ("start", "end", "title", "status")
"""The columns in which a date may differ from its series."""


class SeriesRefused(CellRefused):
    """What is wrong with a series, and in which column.

    `exception` is the place of the exception that is wrong, None where the series itself is.
    """

    def __init__(self, column: str, expected: str, exception: int | None = None) -> None:
        """Name the column, what was expected there, and the exception."""
        super().__init__(expected)
        self.column = column
        self.exception = exception


class DateRow(NamedTuple):
    """What some rows say of one date; None is as the series has it, times are aware.

    They speak for those at the addresses in `named`, for everybody where it is empty.
    """

    original: date | datetime
    start: datetime | None = None
    end: datetime | None = None
    title: str | None = None
    cancelled: bool = False
    row: int = 0
    named: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesRows:
    """What the rows of a series come to, before its dates are known; `start` and `end` are in UTC.

    `attendees` are the addresses in its own rows; of these `stretches` has those who join later or
    leave earlier, with their dates by the rule.
    """

    rule: Rule
    start: datetime
    end: datetime
    title: str
    zone: ZoneInfo
    exclude: Dates = ()
    dates: Sequence[DateRow] = ()
    attendees: frozenset[str] = frozenset()
    stretches: Mapping[str, Collection[datetime]] = field(default_factory=dict)


class Attended(NamedTuple):
    """A series whose dates last `length` by the rule, and who misses which of them."""

    series: Series
    misses: Mapping[str, tuple[datetime, ...]]
    length: timedelta


def series_of(rows: SeriesRows, validity: ValidityRule) -> Attended:
    """Return the series with all its dates, and who misses which; raises SeriesRefused."""
    _check_wall(rows.start, rows.end, rows.zone)
    recurrence, starts = _starts(rows)
    length = rows.end - rows.start
    dates = {start: Occurrence(original=start, start=start, end=start + length) for start in starts}
    excluded = set()
    for each in rows.exclude:
        original = _original(each, dates, rows.zone)
        if original is None:
            raise SeriesRefused("exclude", f"dates of the series; {_said(each)} is none of them")
        dates[original] = replace(dates[original], cancelled=True)
        excluded.add(original)
    told: dict[datetime, list[tuple[int, DateRow]]] = {}
    for at, row in enumerate(rows.dates):
        told.setdefault(_changed(row, dates, rows, excluded, at).original, []).append((at, row))
    for original, about in told.items():
        said = [(at, row, _changed(row, dates, rows, excluded, at)) for at, row in about]
        dates[original] = _agreed(said, dates[original], rows)
    series = Series(recurrence=recurrence, occurrences=tuple(dates.values()))
    check_dates(series, rows, validity)
    return Attended(series, _misses(rows, series, told), length)


def _agreed(
    said: Sequence[tuple[int, DateRow, Occurrence]], regular: Occurrence, rows: SeriesRows
) -> Occurrence:
    """Return what becomes of a date by the rows about it.

    A row without a name speaks for everybody, and so do rows for each attendee that say the same.
    A cancelled one with a name takes its attendee from the date, and nothing from the others.
    """
    for_all = [each for each in said if not each[1].named]
    there = [each for each in said if each[1].named and not each[1].cancelled]
    away = frozenset[str]().union(*(row.named for _, row, _ in said if row.cancelled))
    named = frozenset[str]().union(*(row.named for _, row, _ in there))
    if not there and not for_all:
        return replace(regular, cancelled=rows.attendees <= away)
    whole = bool(for_all) or rows.attendees <= named | away
    speaking = for_all or (there if whole else [])
    told = speaking[0][2] if speaking else regular
    for at, _, other in (*for_all, *there):
        if other == told:
            continue
        if not whole:
            raise SeriesRefused(
                "occurrence",
                f"rows about this date for each of the series' {len(rows.attendees)} attendees, or "
                "one row without name and email, which speaks for all of them; one attendee alone "
                'misses a date (status "cancelled") and does not have it at another time',
                at,
            )
        first = speaking[0][1].row
        raise SeriesRefused("occurrence", f"what row {first} says of the same date", at)
    return told


def _misses(
    rows: SeriesRows, series: Series, told: Mapping[datetime, Sequence[tuple[int, DateRow]]]
) -> dict[str, tuple[datetime, ...]]:
    """Return the dates that take place without each of those who come on some of them only."""
    taking_place = [one.original for one in series.taking_place]
    comes: dict[str, set[datetime]] = {
        address: set(dates) for address, dates in rows.stretches.items()
    }
    last_row: dict[str, int] = {}
    for original, about in told.items():
        for at, row in about:
            for address in row.named:
                everywhere = taking_place if address in rows.attendees else ()
                dates = comes.setdefault(address, set(everywhere))
                last_row[address] = max(at, last_row.get(address, 0))
                if row.cancelled:
                    dates.discard(original)
                else:
                    dates.add(original)
    misses = {}
    for address, dates in comes.items():
        if dates.isdisjoint(taking_place):
            raise SeriesRefused(
                "occurrence",
                "an attendee who comes to at least one date; of one who comes to none leave out "
                "every row",
                last_row.get(address),
            )
        missed = tuple(one for one in taking_place if one not in dates)
        if missed:
            misses[address] = missed
    return misses


def _starts(rows: SeriesRows) -> tuple[Recurrence, tuple[datetime, ...]]:
    wall = rows.start.astimezone(rows.zone).replace(tzinfo=None)
    try:
        recurrence = anchored(rows.rule.recurrence, wall)
        rule = replace(rows.rule, recurrence=recurrence)
        return recurrence, dates_of(rule, rows.start, rows.zone)
    except StartRefused as refusal:
        first = refusal.first.astimezone(rows.zone)
        raise SeriesRefused(
            "start", f"a start that is a date of the rule; its first one is {first:%Y-%m-%d %H:%M}"
        ) from None
    except CellRefused as refusal:
        raise SeriesRefused("recurrence", refusal.expected) from None


def _check_wall(start: datetime, end: datetime, zone: ZoneInfo, at: int | None = None) -> None:
    """Refuse times that clocks show twice, and a date on which clocks change meanwhile.

    A calendar has a series' times as the wall's clock shows them, and programs differ in how long
    such a first date lasts.
    """
    local = (start.astimezone(zone), end.astimezone(zone))
    for column, moment in zip(("start", "end"), local, strict=True):
        if moment.fold:
            raise SeriesRefused(column, f"a time that clocks in {zone.key} show once that day", at)
    if at is None and local[0].utcoffset() != local[1].utcoffset():
        raise SeriesRefused("end", f"a first date during which clocks in {zone.key} don't change")


def _original(
    said: date | datetime, dates: dict[datetime, Occurrence], zone: ZoneInfo
) -> datetime | None:
    """Return the date of the series that a cell names, by its start or by its day in the zone."""
    if isinstance(said, datetime):
        instant = (said if said.tzinfo else said.replace(tzinfo=zone)).astimezone(UTC)
        if instant in dates:
            return instant
        # A spreadsheet writes a day as its midnight.
        if said.tzinfo is not None or said.time() != datetime.min.time():
            return None
        said = said.date()
    return next((start for start in dates if start.astimezone(zone).date() == said), None)


def _said(each: date | datetime) -> str:
    return f"{each:%Y-%m-%d %H:%M}" if isinstance(each, datetime) else f"{each:%Y-%m-%d}"


def _changed(
    exception: DateRow,
    dates: dict[datetime, Occurrence],
    rows: SeriesRows,
    excluded: Collection[datetime],
    at: int,
) -> Occurrence:
    original = _original(exception.original, dates, rows.zone)
    if original is None:
        near = min(
            dates, key=lambda start: abs(_day(start, rows.zone) - _day_of(exception.original))
        )
        raise SeriesRefused(
            "occurrence",
            "the start of a date of the series, as the rule has it; the nearest one is "
            f"{near.astimezone(rows.zone):%Y-%m-%d %H:%M}",
            at,
        )
    if original in excluded and not exception.cancelled:
        raise SeriesRefused("occurrence", 'a date that "exclude" does not leave out', at)
    start = exception.start or original
    end = exception.end or start + (rows.end - rows.start)
    if end <= start:
        raise SeriesRefused("end", "an end after the start", at)
    _check_wall(start, end, rows.zone, at)
    title = exception.title if exception.title != rows.title else None
    if exception.cancelled:
        start, end, title = original, original + (rows.end - rows.start), None
    return Occurrence(
        original=original, start=start, end=end, title=title or "", cancelled=exception.cancelled
    )


def _day(instant: datetime, zone: ZoneInfo) -> timedelta:
    return instant.astimezone(zone).date() - date.min


def _day_of(said: date | datetime) -> timedelta:
    return (said.date() if isinstance(said, datetime) else said) - date.min


def check_dates(series: Series, rows: SeriesRows, validity: ValidityRule) -> None:
    """Refuse dates that overlap or pass each other, a huge series, and a link that lives too long."""
    _check_order(series, rows)
    _check_size(series, rows, rows.end - rows.start)
    _check_life(series, rows, validity)


def _check_order(series: Series, rows: SeriesRows) -> None:
    """Refuse dates that overlap, or that an exception moves past another one or onto its day.

    Outlook has at most one date of a series on a day, and never moves one past another.
    """
    dates = [(one.start.astimezone(rows.zone).date(), one) for one in series.taking_place]
    if not dates:
        raise SeriesRefused("recurrence", "a series of which at least one date takes place")
    for (day, one), (next_day, after) in pairwise(dates):
        if one.end <= after.start and day < next_day:
            continue
        moved = [_place_of(rows, each, series) for each in (after, one)]
        at = next((place for place in moved if place is not None), None)
        if at is None:
            raise SeriesRefused("end", "an end before the series' next date begins")
        raise SeriesRefused(
            "start" if rows.dates[at].start else "end",
            "times between the dates before and after it, on a day of its own (Outlook moves no "
            'date past another); leave this date out (status "cancelled") and give the new one a '
            "meeting_id of its own",
            at,
        )


def _check_size(series: Series, rows: SeriesRows, length: timedelta) -> None:
    """Refuse more dates that differ than a mail can hold: with 999 it would have 9 MB."""
    differing = series.exceptions(length)
    if len(differing) > EXCEPTIONS_AT_MOST:
        raise SeriesRefused(
            "occurrence",
            f"at most {EXCEPTIONS_AT_MOST} dates that differ from the rule; there are "
            f"{len(differing)}; change the rule, or give the later dates a meeting_id of their own",
            _place_of(rows, differing[EXCEPTIONS_AT_MOST], series),
        )


def _place_of(rows: SeriesRows, one: Occurrence, series: Series) -> int | None:
    """Return which exception is about this date, None where none is."""
    dates = {each.original: each for each in series.occurrences}
    return next(
        (
            at
            for at, exception in enumerate(rows.dates)
            if _original(exception.original, dates, rows.zone) == one.original
        ),
        None,
    )


def _check_life(series: Series, rows: SeriesRows, validity: ValidityRule) -> None:
    """Refuse a link that would live too long: the one for all dates, or one of a date's own."""
    if validity.tokens != "series":
        for one in series.taking_place:
            if not fits(validity_for(one.start, one.end, validity), validity):
                raise SeriesRefused(
                    "end",
                    "dates whose own link lives at most "
                    f"{validity.longest / timedelta(hours=1):g} hours ([validity] longest); "
                    f"{one.original:%Y-%m-%d} needs more",
                    _place_of(rows, one, series),
                )
        return
    opens = min(one.start for one in series.taking_place)
    over_at = max(one.end for one in series.taking_place)
    window = validity_for(opens, over_at, validity)
    if fits_series(window, validity):
        return
    days = (window.expires - window.not_before) / 86_400
    raise SeriesRefused(
        "recurrence",
        f"a series whose one link lives at most {validity.longest_series / timedelta(days=1):g} "
        f"days ([series] longest); this one needs {days:.0f}, from {opens:%Y-%m-%d} to "
        f"{over_at:%Y-%m-%d}; end it earlier and give the later dates a meeting_id of their own, "
        "or raise the setting",
    )


def kept_series(series: Series | None) -> list[object] | None:
    """Return a series as JSON has it, `series_kept` reads it: rule, length in seconds, dates.

    A date is its start, in seconds since 1970; one that differs from the rule has all of it.
    """
    if series is None:
        return None
    length = series.occurrences[0].end - series.occurrences[0].start
    return [
        rule_text(series),
        int(length.total_seconds()),
        *(_kept_date(one, length) for one in series.occurrences),
    ]


def _kept_date(one: Occurrence, length: timedelta) -> object:
    original = int(one.original.timestamp())
    regular = (one.original, one.original + length, "", False)
    if (one.start, one.end, one.title, one.cancelled) == regular:
        return original
    times = int(one.start.timestamp()), int(one.end.timestamp())
    return [original, *times, one.title, one.cancelled]


def series_kept(kept: Sequence[Any] | None) -> Series | None:
    """Return the series that `kept_series` wrote."""
    if kept is None:
        return None
    text, length, *dates = kept
    return Series(
        recurrence=parse_rule(text).recurrence,
        occurrences=tuple(_date_kept(each, length) for each in dates),
    )


def _date_kept(kept: Any, length: int) -> Occurrence:
    original, start, end, title, cancelled = (
        kept if isinstance(kept, list) else (kept, kept, kept + length, "", False)
    )
    return Occurrence(
        original=datetime.fromtimestamp(original, UTC),
        start=datetime.fromtimestamp(start, UTC),
        end=datetime.fromtimestamp(end, UTC),
        title=title,
        cancelled=cancelled,
    )
