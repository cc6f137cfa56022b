"""The calendar objects of meetings that repeat: what stands in them, and what is found if it doesn't."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from icalendar import Calendar

from invites.errors import MessageFaultError
from invites.invitation import Kind, Method, Revision
from invites.messages.check import MessageCheck
from invites.messages.zones import vtimezone
from invites.roster.series import DateRow
from invites.times import zone_names
from tests.factory import START, Factory, with_calendar
from tests.series import ics_of, series_meeting

MONDAY = datetime(2031, 12, 1, 9)  # noqa: DTZ001 - a wall time


@pytest.mark.parametrize("years", [(2026, 2027), (2028, 2030)])
def test_a_vtimezone_tells_the_instants_of_every_zone(years: tuple[int, int]) -> None:
    """Each month of the years, and each quarter of an hour around a change, in all zones there are."""
    for name in sorted(zone_names()):
        lines = "\r\n".join(vtimezone(name, *years)).replace(
            f"TZID:{name}", f"TZID:Own/{name}-{years}"
        )
        calendar = Calendar.from_ical(
            f"BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:x\r\n{lines}\r\nEND:VCALENDAR\r\n"
        )
        own, there = calendar.timezones[0].to_tz(lookup_tzid=False), ZoneInfo(name)
        for at in _probes(there, *years):
            local = at.astimezone(there)
            wall = local.replace(tzinfo=None)
            if local.replace(fold=0).utcoffset() == local.replace(fold=1).utcoffset():
                assert wall.replace(tzinfo=own).utcoffset() == local.utcoffset(), (name, at)


def _probes(there: ZoneInfo, first: int, last: int) -> list[datetime]:
    months = [
        datetime(year, month, 15, 12, tzinfo=UTC)
        for year in range(first, last + 1)
        for month in range(1, 13)
    ]
    around = []
    for before, after in pairwise(months):
        if before.astimezone(there).utcoffset() != after.astimezone(there).utcoffset():
            low, high = before, after
            while high - low > timedelta(minutes=15):
                middle = low + (high - low) / 2
                same = middle.astimezone(there).utcoffset() == before.astimezone(there).utcoffset()
                low, high = (middle, high) if same else (low, middle)
            around += [low + timedelta(minutes=15 * n) for n in range(-12, 13)]
    return [*months, *around]


def test_an_exception_stands_beside_the_rule_in_one_object(factory: Factory) -> None:
    """One UID and SEQUENCE; the date's own times and title; the left out date is an EXDATE."""
    meeting = series_meeting(
        "weekly x 4",
        wall=MONDAY,
        exclude=(datetime(2031, 12, 8).date(),),  # noqa: DTZ001 - a day
        dates=(
            DateRow(
                original=datetime(2031, 12, 15, 9),  # noqa: DTZ001 - a wall time
                start=datetime(2031, 12, 16, 13, tzinfo=UTC),
                title="Guest lecture",
            ),
        ),
    )
    calendar = Calendar.from_ical(ics_of(factory, meeting))
    rule, exception = calendar.walk("VEVENT")
    assert rule["rrule"].to_ical() == b"FREQ=WEEKLY;UNTIL=20311222T080000Z;BYDAY=MO"
    assert rule["exdate"].dts[0].dt == datetime(2031, 12, 8, 8, tzinfo=UTC)
    assert [str(one["uid"]) for one in (rule, exception)] == 2 * [str(rule["uid"])]
    assert [one["sequence"] for one in (rule, exception)] == [2, 2]
    assert exception["recurrence-id"].dt == datetime(2031, 12, 15, 8, tzinfo=UTC)
    assert exception["dtstart"].dt == datetime(2031, 12, 16, 13, tzinfo=UTC)
    assert exception["dtend"].dt == datetime(2031, 12, 16, 13, 45, tzinfo=UTC)
    assert str(exception["summary"]) == "Guest lecture"
    assert str(exception["url"]) == str(rule["url"])


def test_a_cancel_takes_the_whole_series_back(factory: Factory) -> None:
    """One event without RECURRENCE-ID, alarm and link."""
    meeting = series_meeting(
        "weekly x 4",
        wall=MONDAY,
        dates=(DateRow(original=datetime(2031, 12, 15).date(), title="Guest"),),  # noqa: DTZ001
    )
    ics = ics_of(factory, meeting, Kind.CANCELLED)
    (event,) = Calendar.from_ical(ics).walk("VEVENT")
    assert str(Calendar.from_ical(ics)["method"]) == Method.CANCEL
    assert "recurrence-id" not in event
    assert b"jwt=" not in ics
    assert b"VALARM" not in ics


def test_a_series_has_one_link_from_its_first_date_to_its_last(factory: Factory) -> None:
    """Nbf before the first date that takes place, exp after the last."""
    meeting = series_meeting(
        "weekly x 4",
        wall=MONDAY,
        exclude=(datetime(2031, 12, 1).date(),),  # noqa: DTZ001 - a day
    )
    validity = factory.composer().validity_for(meeting)
    assert datetime.fromtimestamp(validity.not_before, UTC) == datetime(
        2031, 12, 8, 7, 44, tzinfo=UTC
    )
    assert datetime.fromtimestamp(validity.expires, UTC) == datetime(
        2031, 12, 22, 9, 15, tzinfo=UTC
    )


SPOILT = {
    "local UNTIL": (b"UNTIL=20311222T080000Z", b"UNTIL=20311222T080000"),
    "COUNT": (b";UNTIL=20311222T080000Z", b";COUNT=4"),
    "another zone": (b"DTEND;TZID=Europe/Berlin", b"DTEND;TZID=Europe/Paris"),
    "no VTIMEZONE": (b"BEGIN:VTIMEZONE\r\nTZID:Europe/Berlin", b"BEGIN:VTIMEZONE\r\nTZID:"),
    "an RDATE": (b"EXDATE;", b"RDATE;"),
    "another SEQUENCE": (
        b"SEQUENCE:2\r\nSTATUS:CONFIRMED\r\nSUMMARY:Guest",
        b"SEQUENCE:3\r\nSTATUS:CONFIRMED\r\nSUMMARY:Guest",
    ),
    "RECURRENCE-ID in UTC's place": (b"RECURRENCE-ID;TZID=Europe/Berlin", b"RECURRENCE-ID"),
}


@pytest.mark.parametrize("fault", SPOILT)
def test_a_fault_in_a_series_does_not_pass_the_check(factory: Factory, fault: str) -> None:
    """What readers take for other dates stops the run before anything goes out."""
    meeting = series_meeting(
        "weekly x 4",
        wall=MONDAY,
        exclude=(datetime(2031, 12, 8).date(),),  # noqa: DTZ001 - a day
        dates=(DateRow(original=datetime(2031, 12, 15).date(), title="Guest"),),  # noqa: DTZ001
    )
    ics = ics_of(factory, meeting)
    before, after = SPOILT[fault]
    assert before in ics
    revision = Revision(kind=Kind.INVITATION, sequence=2, dtstamp=START)
    check = MessageCheck(revision, reply_to=False)
    check.calendar(ics, mailbox="attendee1@example.org", where="a series")
    with pytest.raises(MessageFaultError):
        check.calendar(
            ics.replace(before, after, 1), mailbox="attendee1@example.org", where="a series"
        )


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"EXDATE;TZID=Europe/Berlin:20311208", b"EXDATE;TZID=Europe/Berlin:20311222"),
        (b"UNTIL=20311222T080000Z", b"UNTIL=20311229T080000Z"),
        (b"SUMMARY:Guest", b"SUMMARY:Other"),
        (
            b"RECURRENCE-ID;TZID=Europe/Berlin:20311215",
            b"RECURRENCE-ID;TZID=Europe/Berlin:20311222",
        ),
    ],
)
def test_other_dates_than_the_meeting_s_are_found_by_reading_back(
    factory: Factory, before: bytes, after: bytes
) -> None:
    """A parser that is not ours compares the rule's end, the left out and the differing dates."""
    meeting = series_meeting(
        "weekly x 4",
        wall=MONDAY,
        exclude=(datetime(2031, 12, 8).date(),),  # noqa: DTZ001 - a day
        dates=(DateRow(original=datetime(2031, 12, 15).date(), title="Guest"),),  # noqa: DTZ001
    )
    composed = factory.composer().compose(meeting, factory.revision, [factory.attendee()])
    (invitation,) = composed
    spoilt = with_calendar(invitation, invitation.ics.replace(before, after))
    with pytest.raises(MessageFaultError, match="read back"):
        [*factory.verifier().passed([spoilt])]
