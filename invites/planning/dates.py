"""What differs between two versions of a meeting's dates, where one of them is a series."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from itertools import islice
from types import MappingProxyType
from typing import Final, NamedTuple

from invites.model import Change, Meeting, Occurrence
from invites.roster.columns import Use
from invites.roster.recurrence import rule_text
from invites.times import zone

DATES_TOLD: Final = 20
"""Changed dates that one message tells; the calendar entry has them all."""

_MOVES: Final = Use.TEXT | Use.CALENDAR | Use.SEQUENCE
DATE_CHANGES: Final = MappingProxyType(
    {"date": _MOVES, "date_end": _MOVES, "date_title": Use.TEXT | Use.CALENDAR}
)
"""What a change of one date does, by its name."""

CANCELLED: Final = "cancelled"
"""What stands for a date that does not take place."""


def repeats(old: Meeting, new: Meeting) -> bool:
    """Tell whether either is a series."""
    return old.series is not None or new.series is not None


def told_series(meeting: Meeting) -> str | datetime:
    """Return a meeting's first date, zone and rule as one text; of one that is single, the start.

    `20261207T080000Z/20261207T084500Z Europe/Berlin FREQ=WEEKLY;…`: `templating` puts it into words.
    """
    if meeting.series is None:
        return meeting.start
    first = "/".join(f"{moment:%Y%m%dT%H%M%SZ}" for moment in (meeting.start, meeting.end))
    return f"{first} {meeting.timezone} {rule_text(meeting.series)}"


def dates_changes(old: Meeting, new: Meeting) -> Iterator[Change]:
    """Yield how rule and times differ, as one change, and each date that differs by itself.

    Nothing for two meetings that don't repeat: their times are columns like others.
    """
    if old.series == new.series and (not repeats(old, new) or old.end == new.end):
        return
    before, after = told_series(old), told_series(new)
    dates = [*islice(_date_changes(old, new), DATES_TOLD)]
    if before != after:
        yield Change(field="recurrence", old=before, new=after)
    elif not dates:  # the rules of the zone changed between the first and the last date
        yield Change(field="recurrence", old=None, new=None)
    yield from dates


class _Differing(NamedTuple):
    """How a date differs from its rule."""

    cancelled: bool
    moved: timedelta
    longer: timedelta
    title: str


def _differing(meeting: Meeting) -> dict[date, tuple[_Differing, Occurrence]]:
    """Return the dates of a series by their days."""
    there, length = zone(meeting.timezone), meeting.end - meeting.start
    return {
        one.original.astimezone(there).date(): (
            _Differing(
                one.cancelled, one.start - one.original, one.end - one.start - length, one.title
            ),
            one,
        )
        for one in (meeting.series.occurrences if meeting.series else ())
    }


def _date_changes(old: Meeting, new: Meeting) -> Iterator[Change]:
    known = _differing(old)
    for day, (after, one) in _differing(new).items():
        # A date that is new with the rule differs from what nobody was told of.
        regular = one.original, one.original + (new.end - new.start)
        before, was = known.get(day) or (
            _Differing(cancelled=False, moved=timedelta(0), longer=timedelta(0), title=""),
            Occurrence(original=one.original, start=regular[0], end=regular[1]),
        )
        if after.cancelled or before.cancelled:
            if after.cancelled != before.cancelled:
                yield Change(
                    field="date",
                    old=CANCELLED if before.cancelled else was.start,
                    new=CANCELLED if after.cancelled else one.start,
                )
            continue
        if after.moved != before.moved:
            yield Change(field="date", old=was.start, new=one.start)
        elif after.longer != before.longer:
            yield Change(field="date_end", old=was.end, new=one.end)
        if after.title != before.title:
            yield Change(field="date_title", old=was.title or old.title, new=one.title or new.title)


def same_dates_elsewhere(old: Meeting, new: Meeting) -> bool:
    """Tell whether the same rule has as many dates, at other instants: the zone's rules changed."""
    if old.series is None or new.series is None:
        return False
    before, after = (
        [one.original for one in each.occurrences] for each in (old.series, new.series)
    )
    same_rule = old.series.recurrence == new.series.recurrence and len(before) == len(after)
    return same_rule and before != after
