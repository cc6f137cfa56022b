"""What a recipient gets, in a real client and on a real server, in the order in which it came."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.peers.calendar_model import Letter
from tests.peers.calendars import khal_in, radicale
from tests.receiver.machine import first_start, guest
from tests.receiver.truth import RosterMeeting
from tests.receiver.world import ReceiverWorld


@pytest.fixture
def letters() -> list[Letter]:
    """Return what one recipient gets: invited, moved, cancelled."""
    world = ReceiverWorld()
    try:
        meeting = RosterMeeting(
            title="Board", start=first_start(9), zone="UTC", guests=[guest("Ada")]
        )
        world.paper.gatherings["board"] = meeting
        world.run()
        meeting.start = first_start(10).replace(hour=14)
        world.run()
        meeting.status = "cancelled"
        world.run()
        return world.watch.post.mailboxes["ada@example.org"].letters
    finally:
        world.close()


def test_khal_shows_the_event_once_moved_and_then_cancelled(
    letters: list[Letter], tmp_path: Path
) -> None:
    """One event after each import, at its new time after the update."""
    shown, khal = [], khal_in(tmp_path)
    for letter in letters:
        (tmp_path / "invite.ics").write_bytes(letter.ics)
        khal("import", "--batch", str(tmp_path / "invite.ics"))
        listing = khal("list", "--format", "{start} {title} {status}", "2031-01-01", "60d")
        shown.append([line.strip() for line in listing.splitlines() if "Board" in line])
    assert [letter.method for letter in letters] == ["REQUEST", "REQUEST", "CANCEL"]
    assert [len(lines) for lines in shown] == [1, 1, 1]
    assert shown[0][0].startswith("2031-01-15 09:00 Board")
    assert shown[1][0].startswith("2031-01-16 14:00 Board")
    assert "CANCELLED" in shown[2][0]


def test_radicale_holds_the_event_once_moved_and_then_cancelled(
    letters: list[Letter], tmp_path: Path
) -> None:
    """Stored without METHOD, as RFC 4791 4.1 asks, under one name for one UID."""
    found = []
    with radicale(tmp_path) as calendar:
        for letter in letters:
            lines = letter.ics.splitlines(keepends=True)
            stored = b"".join(line for line in lines if not line.startswith(b"METHOD"))
            calendar.request("PUT", f"{letter.uid}.ics", stored)
            found.append(calendar.request("GET")[1])
    assert [one.count(b"BEGIN:VEVENT") for one in found] == [1, 1, 1]
    assert b"DTSTART:20310115T090000Z" in found[0]
    assert b"DTSTART:20310116T140000Z" in found[1]
    assert b"STATUS:CANCELLED" in found[2]
