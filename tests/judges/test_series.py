"""The dates of meetings that repeat, as readers that are not ours read them."""

from __future__ import annotations

import ctypes
import ctypes.util
import json
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
import recurring_ical_events
from icalendar import Calendar

from invites.invitation import Kind
from invites.messages.zones import utc_value
from invites.model import Meeting
from invites.roster.series import DateRow
from tests.factory import Factory
from tests.judges import octets
from tests.judges.conftest import Libical
from tests.peers.calendars import CalDav
from tests.peers.node import answer_of
from tests.series import LONG, Case, corpus, ics_of, series_meeting

DAY = timedelta(days=1)
QUARTER = timedelta(minutes=15)


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


def _for_radicale(factory: Factory, cases: list[Case]) -> list[tuple[Case, bytes]]:
    """Return some of the cases, with their objects as a server keeps them.

    Radicale's parser keeps one VTIMEZONE for each name, the first: of zones whose changes are
    spelled out, each series for its own years, it is shown one series.
    """
    chosen, spelled_out = [], set()
    for case in cases:
        ics = ics_of(factory, case.meeting).replace(b"METHOD:REQUEST\r\n", b"")
        by_rule = (
            case.zone == "UTC" or b"RRULE:FREQ=YEARLY;BYMONTH" in ics.split(b"BEGIN:VEVENT")[0]
        )
        if (by_rule and case.number % 3 == 0) or case.zone not in spelled_out:
            chosen.append((case, ics))
            spelled_out.add(case.zone)
    return chosen


def test_a_caldav_server_expands_each_series_to_its_dates(
    factory: Factory, caldav: CalDav, cases: list[Case]
) -> None:
    """Radicale's expand report (RFC 4791 9.6.5) has the dates that take place, at their instants."""
    some = _for_radicale(factory, [case for case in cases if skips_no_time(case)])
    assert len(some) > 100
    for case, ics in some:
        assert caldav.request("PUT", "series.ics", ics)[0] in {201, 204}
        first, last = case.meeting.opens - 2 * DAY, case.meeting.over_at + 900 * DAY
        query = _EXPAND.format(start=utc_value(first), end=utc_value(last))
        status, answer = caldav.request("REPORT", body=query.encode())
        assert status == 207
        # The calendar has other entries as well: one response is this series' own.
        (own,) = (one for one in answer.decode().split("response>") if "series.ics" in one)
        found = sorted(re.findall(r"DTSTART[^:\r\n]*:(\d{8}T\d{6}Z)", own))
        assert found == sorted(map(utc_value, case.meeting.starts)), case


def _by_node(factory: Factory, cases: list[Case]) -> list[dict[str, list[int]]]:
    """Return when ical.js and node-ical have each case's dates, and the offsets that Node has then."""
    asked = []
    for case in cases:
        ics = ics_of(factory, case.meeting)
        starts = [int(one.start.timestamp()) for one in case.series.occurrences]
        texts = {"named": ics.decode(), "own": own_zone(ics, case).decode()}
        asked.append(json.dumps({**texts, "zone": case.zone, "starts": starts}))
    answers = answer_of("series.mjs", given="\n".join(asked) + "\n").splitlines()
    return [json.loads(answer) for answer in answers]


def _node_ical_can_tell(case: Case, offsets: list[int]) -> bool:
    """Tell whether Node's zones, which are of its own release, have the same instants.

    It also counts from the begin of the first week: there clocks must not skip the time either.
    """
    there, start = ZoneInfo(case.zone), case.meeting.start
    ours = [one.start.astimezone(there).utcoffset() for one in case.series.occurrences]
    wall = start.astimezone(there).replace(tzinfo=None)
    week = [(wall - n * DAY).replace(tzinfo=there) for n in range(7)]
    in_each = all(at.astimezone(UTC).astimezone(there).time() == wall.time() for at in week)
    return in_each and ours == [timedelta(minutes=offset) for offset in offsets]


@pytest.mark.peer("node")
def test_ical_js_and_node_ical_have_the_same_dates(factory: Factory, cases: list[Case]) -> None:
    """ical.js, which Thunderbird and Nextcloud read with, by VTIMEZONE; node-ical by the zones' names."""
    some = [case for case in cases if skips_no_time(case) and _is_shown_once(case)]
    compared = {"ical.js": 0, "node-ical": 0}
    for case, found in zip(some, _by_node(factory, some), strict=True):
        expected = [int(at.timestamp()) for at in sorted(case.meeting.starts)]
        for name in compared:
            if name == "ical.js" or _node_ical_can_tell(case, found["offsets"]):
                assert found[name] == expected, (name, case)
                compared[name] += 1
    assert compared["ical.js"] == len(some) > 300
    assert compared["node-ical"] > 250


def test_a_message_about_one_date_makes_of_the_series_what_the_whole_would(
    factory: Factory, cases: list[Case]
) -> None:
    """A calendar that puts its event beside those it has shows the dates of the new series."""
    some = [case for case in cases if case.number % 4 == 1 and len(case.series.taking_place) > 2]
    assert len(some) > 60
    for case in some:
        old = case.series
        one = old.taking_place[len(old.taking_place) // 2]
        moved = replace(one, start=one.start + QUARTER, end=one.end + QUARTER, title="Elsewhere")
        dates = tuple(moved if each is one else each for each in old.occurrences)
        meeting = replace(case.meeting, series=replace(old, occurrences=dates))
        alone = ics_of(factory, meeting, Kind.UPDATE, date=one.original)
        assert octets.faults(alone) == [], case
        event = alone[alone.index(b"BEGIN:VEVENT") : alone.index(b"END:VCALENDAR")]
        known = ics_of(factory, case.meeting)
        own = b"RECURRENCE-ID" + event.partition(b"RECURRENCE-ID")[2].partition(b"\r\n")[0]
        kept = [part for part in known.split(b"BEGIN:VEVENT") if own not in part]
        whole = b"BEGIN:VEVENT".join(kept).removesuffix(b"END:VCALENDAR\r\n")
        both = whole + event + b"END:VCALENDAR\r\n"
        assert starts(both, case) == sorted(each.start for each in dates if not each.cancelled), (
            case
        )


@pytest.mark.peer("libical3")
@pytest.mark.parametrize("off", [False, True])
def test_libical_and_khal_take_a_message_about_one_date(
    factory: Factory, libical: Libical, khal: Callable[..., str], tmp_path: Path, *, off: bool
) -> None:
    """REQUEST or CANCEL, it keeps RFC 5546's restrictions; khal shows the date where it is now."""
    meeting = _week_of_four()
    original = datetime(2031, 12, 8 if off else 15, 8, tzinfo=UTC)
    ics = ics_of(factory, meeting, Kind.DATE_CANCELLED if off else Kind.UPDATE, date=original)
    assert libical.faults(ics) == []
    if off:
        (event,) = Calendar.from_ical(ics).walk("VEVENT")
        assert (str(event["status"]), event["recurrence-id"].dt) == ("CANCELLED", original)
        return
    file = tmp_path / "date.ics"
    file.write_bytes(ics)
    khal("import", "--batch", "-a", "sample", file)
    shown = khal("list", "2031-11-01", "90d", "--format", "{start} {end} {title}")
    assert "2031-12-16 13:00 2031-12-16 13:45 Guest lecture" in shown


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
