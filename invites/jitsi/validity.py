"""A token's window: from a meeting's start and end to the whole seconds of `nbf` and `exp`.

Jitsi compares both with its clock and allows no leeway (`luajwtjitsi.lib.lua`), so that whatever
leeway there is stands in the numbers.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import Final

from invites.model import DateLink, Meeting, Occurrence, SeriesTokens, Validity
from invites.times import zone

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_SECOND: Final = timedelta(seconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class ValidityRule:
    """How far a token's window reaches beyond its meeting, and how long it may be at most.

    `opens_before` and `closes_after` are for people who come early and connections that drop late;
    `skew` back-dates `nbf` for servers whose clocks are behind.
    `longest` is for what takes place once, `longest_series` for the one link of a series.
    `tokens` says which links a series has; those of its dates are given `link_ahead` before them.
    Raises ValueError where one is negative or a longest is not positive.
    """

    opens_before: timedelta = timedelta(minutes=15)
    closes_after: timedelta = timedelta(minutes=30)
    skew: timedelta = timedelta(seconds=60)
    longest: timedelta = timedelta(hours=24)
    longest_series: timedelta = timedelta(days=200)
    tokens: SeriesTokens = "series"
    link_ahead: timedelta = timedelta(hours=24)

    def __post_init__(self) -> None:
        """Refuse what would open a window after its meeting's start, or close it before the end."""
        if min(self.opens_before, self.closes_after, self.skew) < timedelta(0):
            raise ValueError("opens_before, closes_after and skew are never negative")
        if min(self.longest, self.longest_series) <= timedelta(0):
            raise ValueError("longest is more than nothing")


def validity_for(start: datetime, end: datetime, rule: ValidityRule) -> Validity:
    """Return the window for a meeting: nbf = start - opens_before - skew, exp = end + closes_after.

    `start` and `end` are aware, `end` exclusive.
    A fraction of a second is rounded away from the meeting, so that none of it is cut off.
    Raises ValueError for naive times, which have no place on the line of seconds.
    """
    if start.tzinfo is None or end.tzinfo is None:
        raise ValueError("start and end need a time zone")
    opens = start.astimezone(UTC) - _EPOCH - rule.opens_before - rule.skew
    closes = end.astimezone(UTC) - _EPOCH + rule.closes_after
    return Validity(not_before=opens // _SECOND, expires=-(-closes // _SECOND))


def fits(validity: Validity, rule: ValidityRule) -> bool:
    """Return whether a window is no longer than the rule's longest."""
    return (validity.expires - validity.not_before) * _SECOND <= rule.longest


def fits_series(validity: Validity, rule: ValidityRule) -> bool:
    """Return whether the window of a series is no longer than the rule's longest for series."""
    return (validity.expires - validity.not_before) * _SECOND <= rule.longest_series


def links_of_dates(
    meeting: Meeting, rule: ValidityRule, now: datetime
) -> tuple[DateLink, ...] | None:
    """Return the links that a series' attendees have at `now`: those of the dates to come that are near.

    None where one link is for the whole meeting.  A date that is over has none any more.
    What is near goes by the rule's dates too, so that a link that was given stays so where its date
    moves to later, or its week's first date is cancelled.
    """
    if meeting.series is None or rule.tokens == "series":
        return None
    there = zone(meeting.timezone)

    def week(one: Occurrence) -> tuple[int, int]:
        return one.original.astimezone(there).isocalendar()[:2]

    dates = sorted(meeting.series.occurrences, key=lambda one: one.original)
    together = [[one] for one in dates]
    if rule.tokens == "rolling":
        together = [[*each] for _, each in groupby(dates, key=week)]
    return tuple(
        DateLink(one.original, validity_for(one.start, one.end, rule))
        for each in together
        if min(each[0].original, each[0].start) - rule.link_ahead <= now
        for one in each
        if one.end > now and not one.cancelled
    )


def opening(validity: Validity, rule: ValidityRule) -> datetime:
    """Return when people are told that the link opens, in UTC: `nbf` without the skew."""
    return _EPOCH + validity.not_before * _SECOND + rule.skew


def closing(validity: Validity) -> datetime:
    """Return when the link closes, in UTC and exclusive: `exp`."""
    return _EPOCH + validity.expires * _SECOND
