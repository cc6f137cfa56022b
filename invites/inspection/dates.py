"""The dates of a calendar object that repeats, as far as its rule is one that `invites` writes."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Final

from invites.model import Meeting, Occurrence, Series
from invites.roster.recurrence import Rule, anchored, dates_of
from invites.roster.rule import parse_rule
from invites.times import zone

_FOLD: Final = re.compile(rb"\r?\n[ \t]")
_LINE: Final = re.compile(
    r"^(DTSTART|DTEND|RRULE|EXDATE|RECURRENCE-ID)(?:;TZID=\"?([\w/+-]{1,60})\"?)?:([^\r\n]{1,500})",
    re.MULTILINE,
)
DATES_READ: Final = 2_000
"""Events of one object that are looked at; a series of ours has at most 1,000."""


def repeating(octets: bytes) -> Meeting | None:
    """Return the meeting of a calendar object, with all its dates; None where it has no rule of ours.

    It has neither title nor attendees: only its times are read.
    """
    text = _FOLD.sub(b"", octets).decode("utf-8", "replace")
    events = text.split("BEGIN:VEVENT", DATES_READ)[1:]
    try:
        return _meeting([_LINE.findall(event.partition("END:VEVENT")[0]) for event in events])
    except (ValueError, LookupError, OverflowError):
        return None  # a rule that we don't write, or no calendar at all


def _meeting(events: list[list[tuple[str, str, str]]]) -> Meeting | None:
    rules = [value for event in events for name, _, value in event if name == "RRULE"]
    if len(rules) != 1:
        return None
    main = next(event for event in events if any(name == "RRULE" for name, *_ in event))
    named = {name: (zone_name, value) for name, zone_name, value in main}
    start, end = _instant(*named["DTSTART"]), _instant(*named["DTEND"])
    timezone = zone(named["DTSTART"][0] or "UTC")
    rule = parse_rule(rules[0])
    recurrence = anchored(rule.recurrence, start.astimezone(timezone).replace(tzinfo=None))
    whole = Rule(recurrence=recurrence, count=rule.count, until=rule.until)
    dates = {
        one: Occurrence(original=one, start=one, end=one + (end - start))
        for one in dates_of(whole, start, timezone)
    }
    for name, zone_name, value in main:
        for left_out in value.split(",") if name == "EXDATE" else ():
            one = dates[_instant(zone_name, left_out)]
            dates[one.original] = Occurrence(
                original=one.original, start=one.start, end=one.end, cancelled=True
            )
    for event in events:
        about = {name: (zone_name, value) for name, zone_name, value in event}
        if "RECURRENCE-ID" in about:
            original = dates[_instant(*about["RECURRENCE-ID"])].original
            times = _instant(*about["DTSTART"]), _instant(*about["DTEND"])
            dates[original] = Occurrence(original=original, start=times[0], end=times[1])
    series = Series(recurrence=recurrence, occurrences=tuple(dates.values()))
    if not series.taking_place:
        return None
    return Meeting(
        id="",
        title="",
        start=start,
        end=end,
        timezone=timezone.key,
        attendees=(),
        series=series,
    )


def _instant(zone_name: str, value: str) -> datetime:
    """Return a DATE-TIME (RFC 5545 3.3.5) in UTC; ValueError for one without zone."""
    if value.endswith("Z"):
        return datetime.strptime(value, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    wall = datetime.strptime(value, "%Y%m%dT%H%M%S").replace(tzinfo=zone(zone_name))
    return wall.astimezone(UTC)
