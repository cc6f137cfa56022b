"""What a recipient gets, in a real client and on a real server, in the order in which it came."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

import pytest

from tests.peers.calendar_model import Letter
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


@pytest.fixture
def khal(tmp_path: Path) -> tuple[str, ...]:
    """Return khal's command line, with an empty calendar."""
    (tmp_path / "calendar").mkdir()
    config = tmp_path / "khal.conf"
    config.write_text(
        f"[calendars]\n[[mine]]\npath = {tmp_path / 'calendar'}\n"
        "[locale]\nlocal_timezone = UTC\ndefault_timezone = UTC\ntimeformat = %H:%M\n"
        "dateformat = %Y-%m-%d\nlongdateformat = %Y-%m-%d\n"
        "datetimeformat = %Y-%m-%d %H:%M\nlongdatetimeformat = %Y-%m-%d %H:%M\n"
        f"[sqlite]\npath = {tmp_path / 'khal.db'}\n",
        encoding="utf-8",
    )
    return str(Path(sys.executable).with_name("khal")), "--config", str(config)


def run(*command: str) -> str:
    """Run a command and return what it prints."""
    environment = {**os.environ, "TZ": "UTC", "LC_ALL": "C.UTF-8"}
    done = subprocess.run(command, capture_output=True, check=True, timeout=60, env=environment)
    return done.stdout.decode()


def test_khal_shows_the_event_once_moved_and_then_cancelled(
    letters: list[Letter], khal: tuple[str, ...], tmp_path: Path
) -> None:
    """One event after each import, at its new time after the update."""
    shown = []
    for letter in letters:
        (tmp_path / "invite.ics").write_bytes(letter.ics)
        run(*khal, "import", "--batch", str(tmp_path / "invite.ics"))
        listing = run(*khal, "list", "--format", "{start} {title} {status}", "2031-01-01", "60d")
        shown.append([line.strip() for line in listing.splitlines() if "Board" in line])
    assert [letter.method for letter in letters] == ["REQUEST", "REQUEST", "CANCEL"]
    assert [len(lines) for lines in shown] == [1, 1, 1]
    assert shown[0][0].startswith("2031-01-15 09:00 Board")
    assert shown[1][0].startswith("2031-01-16 14:00 Board")
    assert "CANCELLED" in shown[2][0]


@pytest.fixture
def calendar(tmp_path: Path) -> Iterator[str]:
    """Start radicale on loopback, and return the address of an empty calendar."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    options = (
        f"--server-hosts=127.0.0.1:{port}",
        "--auth-type=none",
        f"--storage-filesystem-folder={tmp_path / 'radicale'}",
        "--logging-level=error",
    )
    with (tmp_path / "log").open("wb") as log:
        server = subprocess.Popen(
            [sys.executable, "-m", "radicale", "--config", os.devnull, *options],
            stdout=log,
            stderr=log,
        )
        url = f"http://127.0.0.1:{port}/tester/mine/"
        try:
            until_it_answers(url)
            yield url
        finally:
            server.terminate()
            server.wait(10)


def until_it_answers(url: str) -> None:
    """Make the calendar, as soon as the server is there."""
    deadline = time.monotonic() + 30
    while True:
        try:
            dav("MKCALENDAR", url)
        except HTTPError:
            raise
        except URLError:
            assert time.monotonic() < deadline, "radicale does not answer"
            time.sleep(0.1)
        else:
            return


def dav(method: str, url: str, body: bytes | None = None) -> bytes:
    """Send one request and return the answer's body."""
    headers = {
        "Content-Type": "text/calendar; charset=utf-8",
        "Authorization": "Basic dGVzdGVyOg==",
    }
    request = Request(url, data=body, method=method, headers=headers)  # noqa: S310 - loopback
    with urlopen(request, timeout=10) as answer:  # noqa: S310
        octets: bytes = answer.read()
        return octets


def test_radicale_holds_the_event_once_moved_and_then_cancelled(
    letters: list[Letter], calendar: str
) -> None:
    """Stored without METHOD, as RFC 4791 4.1 asks, under one name for one UID."""
    found = []
    for letter in letters:
        stored = b"".join(
            line for line in letter.ics.splitlines(keepends=True) if not line.startswith(b"METHOD")
        )
        dav("PUT", f"{calendar}{letter.uid}.ics", stored)
        found.append(dav("GET", calendar))
    assert [one.count(b"BEGIN:VEVENT") for one in found] == [1, 1, 1]
    assert b"DTSTART:20310115T090000Z" in found[0]
    assert b"DTSTART:20310116T140000Z" in found[1]
    assert b"STATUS:CANCELLED" in found[2]
