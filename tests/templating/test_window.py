"""What a letter says of the time and of the link's window where the clock is changed in between."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from html import unescape
from zoneinfo import ZoneInfo

import pytest

from invites.invitation import Kind
from invites.jitsi.validity import ValidityRule, validity_for
from invites.model import Attendee
from invites.templating import LetterFacts, LetterWriter

LINK = "https://meet.example.com/planning?jwt=aaa.bbb.ccc"
CHANGES = {
    "Europe/Berlin": ("2027-03-28T01:00Z", "2027-10-31T01:00Z"),
    "America/New_York": ("2027-03-14T07:00Z", "2027-11-07T06:00Z"),
    "America/St_Johns": ("2027-03-14T05:30Z", "2027-11-07T04:30Z"),
    "Australia/Lord_Howe": ("2027-04-03T15:00Z", "2027-10-02T15:30Z"),
    "Antarctica/Troll": ("2027-03-28T01:00Z", "2027-10-31T01:00Z"),
    "Pacific/Chatham": ("2027-04-03T14:00Z", "2027-09-25T14:00Z"),
    "UTC": ("2027-03-28T01:00Z",),
}
OFFSET = r"UTC[+-]\d\d:\d\d"
WINDOW = re.compile(
    rf"The link opens (?:at|on) (.+?)(?: \(({OFFSET})\))? and closes (?:at|on) (.+?)"
    rf"(?: \(({OFFSET})\))?(?: \(([\w ’.]+)\))?\."
)


def words(page: str) -> str:
    """Return what a reader sees of an HTML page."""
    body = page.partition("</head>")[2]
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", body)).split())


def told(text: str, offset: str | None, day: datetime, zone: ZoneInfo) -> datetime:
    """Return the instant of a clock with or without date and offset, as who reads the letter does."""
    date, _, clock = text.rpartition(" at ")
    on = datetime.strptime(date, "%A, %d %B %Y") if date else day  # noqa: DTZ007 - the offset follows
    hours, minutes = map(int, clock.split(":"))
    if offset is None:
        wall = datetime(on.year, on.month, on.day, hours, minutes, tzinfo=zone)
        assert wall.utcoffset() == wall.replace(fold=1).utcoffset()
        return wall.astimezone(UTC)
    ahead, more = map(int, offset[4:].split(":"))
    east = timedelta(hours=ahead, minutes=more) * (-1 if offset[3] == "-" else 1)
    wall = datetime(on.year, on.month, on.day, hours, minutes, tzinfo=UTC)
    return wall - east


@pytest.mark.parametrize("name", CHANGES)
@pytest.mark.parametrize("kind", [Kind.INVITATION, Kind.UPDATE, Kind.REMINDER])
def test_the_window_told_is_the_real_one_around_each_change_of_the_clock(
    kind: Kind, name: str, writer: LetterWriter, facts: LetterFacts, attendee: Attendee
) -> None:
    """In the text, the HTML and the calendar notes, whichever of the four instants it parts."""
    rule = ValidityRule()
    both = 0
    for change in map(datetime.fromisoformat, CHANGES[name]):
        for half_hours in range(-6, 7):
            start = change + timedelta(minutes=30 * half_hours)
            end = start + timedelta(minutes=90)
            meeting = replace(facts.meeting, start=start, end=end, timezone=name)
            validity = validity_for(start, end, rule)
            letter = writer.letter(
                kind,
                replace(facts, meeting=meeting, validity=validity, skew=rule.skew),
                attendee,
                LINK,
            )
            zone = ZoneInfo(name)
            day = start.astimezone(zone).replace(tzinfo=None)
            parts = [" ".join(letter.text.split()), words(letter.html)]
            if kind is not Kind.REMINDER:
                parts.append(" ".join(letter.notes.split()))
            for part in parts:
                found = WINDOW.search(part)
                assert found is not None, part
                opens, opens_offset, closes, closes_offset, place = found.groups()
                both += opens_offset is not None
                assert (opens_offset is None) == (closes_offset is None)
                assert place in {None, "UTC"} or str(place).endswith(" time")
                # Without an offset there is one reading: no clock there shows these times twice.
                opened = told(opens, opens_offset, day, zone)
                closed = told(closes, closes_offset, day, zone)
                skew = int(rule.skew.total_seconds())
                assert int(opened.timestamp()) == validity.not_before + skew
                assert int(closed.timestamp()) == validity.expires
    assert bool(both) is (name != "UTC")


@pytest.mark.parametrize("kind", [Kind.INVITATION, Kind.CANCELLED])
def test_the_place_beside_hours_of_two_offsets_names_the_zone_alone(
    kind: Kind, writer: LetterWriter, facts: LetterFacts, attendee: Attendee
) -> None:
    """One offset there would contradict the other one's hour."""
    start = datetime(2027, 3, 28, 0, tzinfo=UTC)
    meeting = replace(facts.meeting, start=start, end=start + timedelta(hours=2))
    shown = words(writer.letter(kind, replace(facts, meeting=meeting), attendee, LINK).html)
    assert "01:00 (UTC+01:00) – 04:00 (UTC+02:00) Berlin time " in shown
    assert "Berlin time, UTC" not in shown
