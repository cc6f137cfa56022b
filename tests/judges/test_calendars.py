"""Every calendar file of the sample, before judges that are not ours."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from itertools import zip_longest
from pathlib import Path
from typing import Any

import pytest
import vobject
from icalendar import Calendar

from tests.judges import octets
from tests.judges.conftest import Libical
from tests.peers.calendars import CalDav
from tests.support import SampleBuild

CANCEL = (
    b"BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//x//EN\r\nMETHOD:CANCEL\r\nBEGIN:VEVENT\r\n"
    b"UID:1\r\nDTSTAMP:20310101T000000Z\r\nORGANIZER:mailto:a@example.com\r\nSEQUENCE:1\r\n"
    b"RRULE:FREQ=DAILY;UNTIL=20310201T000000Z\r\nATTENDEE;PARTSTAT=NEEDS-ACTION:mailto:b@example.com\r\n"
    b"SUMMARY:one\\, two\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
)
PLANTED = {
    "no mailto": (b"NEEDS-ACTION:mailto:", b"NEEDS-ACTION:"),
    "METHOD": (b"METHOD:CANCEL", b"METHOD:CANCELLED"),
    "PARTSTAT": (b"NEEDS-ACTION", b"WAITING"),
    "line end": (b"SEQUENCE:1\r\n", b"SEQUENCE:1\n"),
    "VALARM in a CANCEL": (b"END:VEVENT", b"BEGIN:VALARM\r\nEND:VALARM\r\nEND:VEVENT"),
    "line length": (b"SUMMARY:", b"SUMMARY:" + b"x" * 70),
    "escape": (b"one\\, two", b"one, two"),
    "local time": (b"DTSTAMP:20310101T000000Z", b"DTSTAMP:20310101T000000"),
    "local UNTIL": (b"UNTIL=20310201T000000Z", b"UNTIL=20310201T000000"),
    "folded inside a character": (b"two", b"\xc3\r\n \xa9"),
}


@pytest.mark.parametrize("fault", PLANTED)
def test_the_octet_judge_finds_what_is_planted(fault: str) -> None:
    """Each of the faults that other judges miss is seen, and a right object has none."""
    assert octets.faults(CANCEL) == []
    spoilt = CANCEL.replace(*PLANTED[fault])
    assert spoilt != CANCEL
    assert fault in octets.faults(spoilt)


def test_no_octet_of_a_calendar_file_is_wrong(sample: SampleBuild) -> None:
    """Lines, folds, escapes, methods, addresses and instants are right in every file."""
    assert len(sample.rows) >= 30
    for ics in sample.files("ics"):
        assert octets.faults(ics) == []


@pytest.mark.peer("libical3")
def test_libical_accepts_every_calendar_file(sample: SampleBuild, libical: Libical) -> None:
    """Each parses without X-LIC-ERROR and keeps the restrictions of iTIP."""
    for ics in sample.files("ics"):
        assert libical.faults(ics) == []


@pytest.mark.peer("libical3")
def test_libical_would_find_a_broken_restriction(sample: SampleBuild, libical: Libical) -> None:
    """A REQUEST without ORGANIZER, or with a start that is no time, does not pass."""
    ics = sample.files("ics")[0]
    assert libical.faults(ics.replace(b"ORGANIZER", b"X-ORGANIZER"))
    assert libical.faults(ics.replace(b"DTSTART:2", b"DTSTART:x"))


def test_icalendar_reads_the_meeting_that_the_manifest_lists(sample: SampleBuild) -> None:
    """One VEVENT without parse errors, with the manifest's identity and the attendee's address."""
    for row, ics in zip(sample.rows, sample.files("ics"), strict=True):
        calendar = Calendar.from_ical(ics)
        (event,) = calendar.walk("VEVENT")
        assert event.errors == []
        assert str(calendar["method"]) == row["method"] == "REQUEST"
        assert str(event["uid"]) == row["uid"]
        assert event["sequence"] == int(row["sequence"])
        assert event["dtstamp"].dt.strftime("%Y-%m-%dT%H:%M:%SZ") == row["dtstamp"]
        assert event["attendee"].params["role"] == _role(row, event)
        assert str(event["status"]) in {"CONFIRMED", "TENTATIVE"}


def _role(row: dict[str, str], event: Any) -> str:
    role = str(event["attendee"].params["role"])
    return "CHAIR" if row["moderator"] == "true" else role if role != "CHAIR" else "not CHAIR"


def test_vobject_reads_one_event_and_the_link_in_it(sample: SampleBuild) -> None:
    """Vobject takes each file as it is and finds the same link in URL and DESCRIPTION."""
    for row, ics in zip(sample.rows, sample.files("ics"), strict=True):
        event = vobject.readOne(ics.decode()).vevent
        assert event.uid.value == row["uid"]
        assert event.description.value.splitlines()[-1] == event.url.value
        assert "?jwt=" in event.url.value


def test_khal_imports_every_file_and_shows_each_meeting_once(
    sample: SampleBuild, khal: Callable[..., str], tmp_path: Path
) -> None:
    """An attendee's calendar program takes the file and lists the meeting at its time, once."""
    by_meeting = defaultdict(list)
    for row in sample.rows:
        by_meeting[row["uid"]].append(sample.folder / row["ics"])
    calendar = tmp_path / "calendar"
    for files in zip_longest(*by_meeting.values()):
        chosen = [file for file in files if file is not None]
        khal("import", "--batch", "-a", "sample", *chosen)
        shown = khal("list", "2031-01-01", "365d", "--once", "--format", "{uid} {start} {end}")
        lines = sorted(line for line in shown.splitlines() if "-" in line[:30] and len(line) > 36)
        assert lines == sorted(_as_khal_shows(file) for file in chosen)
        for file in calendar.iterdir():
            file.unlink()


def _as_khal_shows(file: Path) -> str:
    (event,) = Calendar.from_ical(file.read_bytes()).walk("VEVENT")
    start, end = event["dtstart"].dt, event["dtend"].dt
    return f"{event['uid']} {start:%Y-%m-%d %H:%M} {end:%Y-%m-%d %H:%M}"


def test_a_caldav_server_stores_each_meeting_and_gives_it_back(
    sample: SampleBuild, caldav: CalDav
) -> None:
    """Radicale takes the event by PUT, without METHOD as RFC 4791 4.1 has it, and loses nothing."""
    for number, ics in enumerate(sample.files("ics")):
        stored = ics.replace(b"METHOD:REQUEST\r\n", b"")
        uid = str(Calendar.from_ical(ics).walk("VEVENT")[0]["uid"]).encode()
        body = stored.replace(uid, b"%d-%s" % (number, uid))
        assert caldav.request("PUT", f"{number}.ics", body)[0] == 201
        status, given = caldav.request("GET", f"{number}.ics")
        assert status == 200
        assert _facts(given) == _facts(body)


def test_a_caldav_server_takes_the_file_as_it_is(sample: SampleBuild, caldav: CalDav) -> None:
    """A client that uploads the .ics unread, METHOD included, is answered as well."""
    ics = sample.files("ics")[0]
    assert caldav.request("PUT", "whole.ics", ics)[0] == 201
    assert _facts(caldav.request("GET", "whole.ics")[1]) == _facts(ics)


def _facts(ics: bytes) -> dict[str, bytes]:
    (event,) = Calendar.from_ical(ics).walk("VEVENT")
    return {name: event[name].to_ical() for name in event}
