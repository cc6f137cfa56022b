"""Series for tests: a corpus of rules, zones, dates left out and dates that differ."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from invites.invitation import Kind, Revision
from invites.jitsi.validity import ValidityRule
from invites.model import Meeting, Series
from invites.roster.rule import parse_rule
from invites.roster.series import DateRow, SeriesRows, series_of
from invites.times import zone
from tests.factory import Factory

RULES = (
    "daily x 40",
    "FREQ=DAILY;INTERVAL=3;COUNT=25",
    "weekly x 30",
    "weekly until {later:%Y-%m-%d}",
    "every 2 weeks on {day},sun x 20",
    "FREQ=WEEKLY;INTERVAL=2;BYDAY={DAY},SU;WKST=SU;COUNT=20",
    "every weekday until {later:%Y-%m-%d}",
    "monthly x 14",
    "monthly on last day x 12",
    "monthly on 1st tue x 12",
    "FREQ=MONTHLY;BYDAY=-1FR;COUNT=10",
    "FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1;COUNT=12",
    "FREQ=MONTHLY;INTERVAL=2;BYDAY=SA,SU;BYSETPOS=2;COUNT=8",
    "FREQ=MONTHLY;BYMONTHDAY=15;UNTIL={later:%Y%m%d}T235959Z",
    "yearly x 4",
    "FREQ=YEARLY;BYMONTH=3;BYDAY=-1SU;COUNT=4",
    "FREQ=YEARLY;BYMONTH=10;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=1;UNTIL={later:%Y%m%d}",
)
"""Each frequency, with ordinals, BYSETPOS, COUNT and UNTIL."""

ZONES = (
    *("Europe/Berlin", "America/New_York", "UTC", "Asia/Kolkata", "Europe/Dublin"),
    *("Asia/Gaza", "Africa/Casablanca", "Africa/Cairo", "America/Nuuk", "America/Vancouver"),
    *("America/Santiago", "Australia/Lord_Howe", "Pacific/Chatham", "Antarctica/Troll"),
    *("America/Havana", "Asia/Beirut", "America/St_Johns", "Pacific/Auckland", "Asia/Kathmandu"),
)
WALLS = ((2026, 2, 3, 9, 0), (2027, 9, 28, 2, 30), (2028, 3, 1, 0, 15), (2029, 10, 20, 23, 30))
"""Wall times before changes of clocks, in the hours that they skip or show twice too."""

LONG = ValidityRule(longest_series=timedelta(days=5_000))


@dataclass(frozen=True, slots=True)
class Case:
    """One series of the corpus, by its rule's text, its zone and where it stands in the corpus."""

    rule: str
    zone: str
    number: int
    meeting: Meeting

    @property
    def series(self) -> Series:
        """The meeting's series."""
        assert self.meeting.series is not None
        return self.meeting.series


def series_meeting(
    rule: str,
    *,
    wall: datetime,
    in_zone: str = "Europe/Berlin",
    length: timedelta = timedelta(minutes=45),
    exclude: tuple[date, ...] = (),
    dates: tuple[DateRow, ...] = (),
    validity: ValidityRule = LONG,
    **facts: object,
) -> Meeting:
    """Return a meeting that repeats by `rule` from this wall time of its zone on."""
    there = zone(in_zone)
    start = wall.replace(tzinfo=there).astimezone(UTC)
    rows = SeriesRows(
        rule=parse_rule(rule),
        start=start,
        end=start + length,
        title="Maths",
        zone=there,
        exclude=exclude,
        dates=dates,
    )
    whole = {"id": "maths", "title": "Maths", "attendees": (), **facts}
    return Meeting(
        **whole,  # type: ignore[arg-type]
        start=start,
        end=start + length,
        timezone=in_zone,
        series=series_of(rows, validity).series,
    )


def corpus() -> Iterator[Case]:
    """Yield each rule in each zone, from one of the wall times on, some with exceptions."""
    number = 0
    for rule in RULES:
        for in_zone in ZONES:
            number += 1
            wall = _fitting(rule, datetime(*WALLS[number % len(WALLS)]))  # noqa: DTZ001 - a wall time
            later = wall + timedelta(days=300 + number)
            days = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
            day = days[wall.weekday()]
            text = rule.format(later=later, day=day, DAY=day[:2].upper())
            first = _first_start(text, wall, in_zone)
            if first is None:
                continue
            plain = series_meeting(text, wall=first, in_zone=in_zone)
            case = Case(text, in_zone, number, plain)
            yield case
            if number % 3 == 0 and len(case.series.occurrences) > 3:
                yield Case(text, in_zone, number, _with_exceptions(text, first, in_zone, plain))


def _fitting(rule: str, wall: datetime) -> datetime:
    return wall.replace(day=min(wall.day, 28))


def _first_start(text: str, wall: datetime, in_zone: str) -> datetime | None:
    """Return the first wall time from `wall` on that the rule has, and the zone exactly once."""
    there = zone(in_zone)
    for days in range(500):
        at = wall + timedelta(days=days)
        local = at.replace(tzinfo=there)
        if local.utcoffset() != local.replace(fold=1).utcoffset():
            continue
        try:
            series_meeting(text, wall=at, in_zone=in_zone)
        except ValueError:
            continue
        return at
    return None


def _with_exceptions(text: str, first: datetime, in_zone: str, plain: Meeting) -> Meeting:
    """Return the same with its second date left out, one moved by 20 minutes, and one with a title."""
    assert plain.series is not None
    there = zone(in_zone)
    days = [one.original.astimezone(there).date() for one in plain.series.occurrences]
    moved = plain.series.occurrences[2]
    dates = [
        DateRow(original=days[2], start=moved.start + timedelta(minutes=20)),
        DateRow(original=days[-1], title="The last, \N{PARTY POPPER}"),
    ]
    return series_meeting(text, wall=first, in_zone=in_zone, exclude=(days[1],), dates=tuple(dates))


def ics_of(
    factory: Factory,
    meeting: Meeting,
    kind: Kind = Kind.INVITATION,
    *,
    date: datetime | None = None,
) -> bytes:
    """Return a meeting's calendar object for one attendee, composed, checked and read back.

    It is about the one date of the series that the rule has at `date`, where that is given.
    """
    stamp = meeting.start - timedelta(days=30)
    revision = Revision(kind=kind, sequence=2, dtstamp=stamp, date=date)
    composed = factory.composer().compose(meeting, revision, [factory.attendee()])
    (invitation,) = factory.verifier().passed(composed)
    return invitation.ics
