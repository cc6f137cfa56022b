"""The dates of meetings that repeat, as readers that are not ours read them."""

from __future__ import annotations

import ctypes
import ctypes.util
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
import recurring_ical_events
from icalendar import Calendar

from invites.model import Meeting
from invites.roster.series import DateRow
from tests.factory import Factory
from tests.judges import octets
from tests.judges.conftest import Libical
from tests.peers.calendars import CalDav
from tests.series import LONG, Case, corpus, ics_of, series_meeting

DAY = timedelta(days=1)


@pytest.fixture(scope="module")
def cases() -> list[Case]:
    """Return the corpus."""
    return [*corpus()]


def own_zone(ics: bytes, case: Case) -> bytes:
    """Return the object with its zone under a name that no database has: only VTIMEZONE tells it."""
    name = f"Own/Zone-{case.number}-{len(case.series.left_out)}".encode()
    for before in (b"TZID:", b"TZID="):
        ics = ics.replace(before + case.zone.encode(), before + name)
    return ics


def starts(ics: bytes, case: Case) -> list[datetime]:
    """Return when recurring-ical-events has the object's dates."""
    first, last = case.meeting.opens - 2 * DAY, case.meeting.over_at + 900 * DAY
    events = recurring_ical_events.of(Calendar.from_ical(ics)).between(first, last)
    return sorted(event["DTSTART"].dt.astimezone(UTC) for event in events)


def skips_no_time(case: Case) -> bool:
    """Tell whether the zone has the wall time of each date: readers differ in times it skips."""
    wall = case.meeting.start.astimezone(ZoneInfo(case.zone)).time()
    local = (one.original.astimezone(ZoneInfo(case.zone)) for one in case.series.occurrences)
    return all(each.time() == wall for each in local)


def test_recurring_ical_events_has_the_same_dates(factory: Factory, cases: list[Case]) -> None:
    """By the zones' names, as Thunderbird reads them: every instant of the corpus, none more."""
    dates = 0
    for case in cases:
        expected = sorted(one.start for one in case.series.taking_place)
        assert starts(ics_of(factory, case.meeting), case) == expected, case
        dates += len(expected)
    assert dates > 10_000


def test_the_vtimezone_alone_gives_the_same_dates(factory: Factory, cases: list[Case]) -> None:
    """By VTIMEZONE, as Outlook and ical.js read it, wherever the wall shows the time at all."""
    some = [case for case in cases if case.zone != "UTC" and skips_no_time(case)]
    assert len(some) > 300
    for case in some:
        expected = sorted(one.start for one in case.series.taking_place)
        assert starts(own_zone(ics_of(factory, case.meeting), case), case) == expected, case


class _Span(ctypes.Structure):
    _fields_ = (("start", ctypes.c_long), ("end", ctypes.c_long), ("busy", ctypes.c_int))


class _Time(ctypes.Structure):
    _fields_ = (*((f"field{n}", ctypes.c_int) for n in range(8)), ("zone", ctypes.c_void_p))


_CALLBACK = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.POINTER(_Span), ctypes.c_void_p)
_VEVENT = 4


def _libical_starts(ics: bytes, case: Case) -> list[datetime]:
    """Return when libical has the dates of the rule, by the object's own VTIMEZONE."""
    library = ctypes.CDLL(ctypes.util.find_library("ical"))
    for name, takes, gives in (
        ("icalparser_parse_string", [ctypes.c_char_p], ctypes.c_void_p),
        ("icalcomponent_get_first_component", [ctypes.c_void_p, ctypes.c_int], ctypes.c_void_p),
        ("icaltimezone_get_utc_timezone", [], ctypes.c_void_p),
        ("icaltime_from_timet_with_zone", [ctypes.c_long, ctypes.c_int, ctypes.c_void_p], _Time),
        (
            "icalcomponent_foreach_recurrence",
            [ctypes.c_void_p, _Time, _Time, _CALLBACK, ctypes.c_void_p],
            None,
        ),
        ("icalcomponent_free", [ctypes.c_void_p], None),
    ):
        function = getattr(library, name)
        function.argtypes, function.restype = takes, gives
    utc = library.icaltimezone_get_utc_timezone()
    first, last = (
        library.icaltime_from_timet_with_zone(int(at.timestamp()), 0, utc)
        for at in (case.meeting.start - 400 * DAY, case.meeting.over_at + 900 * DAY)
    )
    component = library.icalparser_parse_string(ics)
    found: list[int] = []
    callback = _CALLBACK(lambda _event, span, _data: found.append(span.contents.start))
    event = library.icalcomponent_get_first_component(component, _VEVENT)
    library.icalcomponent_foreach_recurrence(event, first, last, callback, None)
    library.icalcomponent_free(component)
    return sorted(datetime.fromtimestamp(seconds, UTC) for seconds in found)


def _is_shown_once(case: Case) -> bool:
    """Tell whether clocks show the time of each date exactly once; libical takes the later one."""
    there = ZoneInfo(case.zone)
    wall = case.meeting.start.astimezone(there).time()
    for one in case.series.occurrences:
        local = datetime.combine(one.original.astimezone(there).date(), wall, there)
        if local.utcoffset() != local.replace(fold=1).utcoffset():
            return False
    return True


@pytest.mark.peer("libical3")
def test_libical_has_the_same_dates(factory: Factory, cases: list[Case], libical: Libical) -> None:
    """It expands the rule, takes the left out dates away, and finds no fault in the object."""
    some = [case for case in cases if _is_shown_once(case)]
    assert len(some) > 300
    for case in some:
        ics = ics_of(factory, case.meeting)
        expected = sorted(one.original for one in case.series.taking_place)
        assert _libical_starts(own_zone(ics, case), case) == expected, case
        assert libical.faults(ics) == [], case
        assert octets.faults(ics) == [], case


def _week_of_four() -> Meeting:
    """Return four Mondays at nine in Berlin: the second cancelled, the third moved to a Tuesday."""
    monday = datetime(2031, 12, 1, 9)  # noqa: DTZ001 - a wall time
    return series_meeting(
        "weekly x 4",
        wall=monday,
        exclude=((monday + 7 * DAY).date(),),
        dates=(
            DateRow(
                original=(monday + 14 * DAY).date(),
                start=datetime(2031, 12, 16, 13, tzinfo=UTC),
                title="Guest lecture",
            ),
        ),
    )


def test_khal_shows_a_moved_and_a_cancelled_date_rightly(
    factory: Factory, khal: Callable[..., str], tmp_path: Path
) -> None:
    """An attendee's calendar lists three dates of four, the moved one on its own day."""
    file = tmp_path / "series.ics"
    file.write_bytes(ics_of(factory, _week_of_four()))
    khal("import", "--batch", "-a", "sample", file)
    shown = khal("list", "2031-11-01", "90d", "--format", "{start} {end} {title}")
    lines = [line.rstrip() for line in shown.splitlines() if line[:4].isdigit() and len(line) > 20]
    assert [line.partition(" ::")[0] for line in lines] == [
        "2031-12-01 08:00 2031-12-01 08:45 Maths",
        "2031-12-16 13:00 2031-12-16 13:45 Guest lecture",
        "2031-12-22 08:00 2031-12-22 08:45 Maths",
    ]


_EXPAND = """<?xml version="1.0" encoding="utf-8"?>
<C:calendar-query xmlns:D="DAV:" xmlns:C="urn:ietf:params:xml:ns:caldav">
<D:prop><C:calendar-data><C:expand start="{start}" end="{end}"/></C:calendar-data></D:prop>
<C:filter><C:comp-filter name="VCALENDAR"><C:comp-filter name="VEVENT">
<C:time-range start="{start}" end="{end}"/>
</C:comp-filter></C:comp-filter></C:filter>
</C:calendar-query>"""


def test_a_caldav_server_expands_a_series_to_its_dates(factory: Factory, caldav: CalDav) -> None:
    """Radicale's expand report (RFC 4791 9.6.5) has the dates that take place, at their instants."""
    meeting = _week_of_four()
    body = ics_of(factory, meeting).replace(b"METHOD:REQUEST\r\n", b"")
    assert caldav.request("PUT", "series.ics", body)[0] == 201
    query = _EXPAND.format(start="20311101T000000Z", end="20320201T000000Z")
    status, answer = caldav.request("REPORT", body=query.encode())
    assert status == 207
    # The calendar has other entries as well: one response is this series' own.
    (own,) = (one for one in answer.decode().split("response>") if "series.ics" in one)
    found = set(re.findall(r"DTSTART[^:\r\n]*:(\d{8}T\d{6}Z)", own))
    assert found == {f"{start:%Y%m%dT%H%M%SZ}" for start in meeting.starts}


@pytest.mark.peer("libical3")
def test_dates_that_have_links_of_their_own_stay_where_they_are(
    factory: Factory, cases: list[Case], libical: Libical
) -> None:
    """As events beside the rule's, each with its link alone: the same instants, no fault."""
    rule = replace(LONG, tokens="occurrence", link_ahead=timedelta(days=60))
    composer, verifier = factory.composer(rule=rule), factory.verifier()
    linked = 0
    for case in cases[::7]:
        revision = replace(factory.revision, dtstamp=case.meeting.opens - timedelta(days=30))
        composed = composer.compose(case.meeting, revision, [factory.attendee()])
        (invitation,) = verifier.passed(composed)
        expected = sorted(one.start for one in case.series.taking_place)
        assert starts(invitation.ics, case) == expected, case
        assert libical.faults(invitation.ics) == [], case
        assert octets.faults(invitation.ics) == [], case
        series, *dates = Calendar.from_ical(invitation.ics).walk("VEVENT")
        given = {link.original for link in invitation.links or ()}
        has = {one["recurrence-id"].dt.astimezone(UTC) for one in dates if "url" in one}
        assert ("url" in series, has) == (False, given)
        assert len({str(one["url"]) for one in dates if "url" in one}) == len(given)
        linked += len(given)
    assert linked > 200
