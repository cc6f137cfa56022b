"""The judges: libical through ctypes, a CalDAV server, and a calendar program."""

from __future__ import annotations

import ctypes
import ctypes.util
import os
import socket
import subprocess
import sys
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

import pytest

_VERDICT = "X-LIC-ERROR"
_TESTER = "Basic " + b64encode(b"tester:none").decode()


class Libical:
    """libical 3: its parser, and the restrictions of RFC 5545 and 5546 that it knows."""

    def __init__(self) -> None:
        """Load the library; OSError where it is absent."""
        library = ctypes.CDLL(ctypes.util.find_library("ical"))
        for name, takes, gives in (
            ("icalparser_parse_string", [ctypes.c_char_p], ctypes.c_void_p),
            ("icalrestriction_check", [ctypes.c_void_p], ctypes.c_int),
            ("icalcomponent_as_ical_string", [ctypes.c_void_p], ctypes.c_char_p),
            ("icalcomponent_free", [ctypes.c_void_p], None),
        ):
            function = getattr(library, name)
            function.argtypes, function.restype = takes, gives
        self._library = library

    def faults(self, ics: bytes) -> list[str]:
        """Return what libical finds wrong with a calendar object, nothing where it is right."""
        allowed, text = self.read(ics)
        found = [line for line in text.splitlines() if line.startswith(_VERDICT)]
        return found if allowed else [*found, "a restriction is broken"]

    def read(self, ics: bytes) -> tuple[bool, str]:
        """Return whether the object keeps the restrictions, and how libical writes it itself."""
        component = self._library.icalparser_parse_string(ics)
        assert component, "libical can't parse it"
        try:
            allowed = self._library.icalrestriction_check(component) == 1
            written = self._library.icalcomponent_as_ical_string(component).decode()
        finally:
            self._library.icalcomponent_free(component)
        return allowed, written.replace("\r\n ", "")


@pytest.fixture(scope="session")
def libical() -> Libical:
    """Return libical; a test that uses it is marked `peer("libical3")`."""
    return Libical()


class CalDav:
    """A client of a CalDAV server (RFC 4791) with one calendar."""

    def __init__(self, url: str) -> None:
        """`url` is the calendar collection's, with a slash at its end."""
        self._url = url

    def request(self, method: str, name: str = "", body: bytes | None = None) -> tuple[int, bytes]:
        """Send one request and return its status and body."""
        headers = {"Content-Type": "text/calendar; charset=utf-8", "Authorization": _TESTER}
        request = Request(self._url + name, data=body, method=method, headers=headers)  # noqa: S310 - loopback
        with urlopen(request, timeout=10) as answer:  # noqa: S310
            return answer.status, answer.read()


@pytest.fixture(scope="session")
def caldav(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CalDav]:
    """Start radicale on loopback with a folder of its own, and make a calendar in it."""
    folder = tmp_path_factory.mktemp("radicale")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    options = (
        f"--server-hosts=127.0.0.1:{port}",
        "--auth-type=none",
        f"--storage-filesystem-folder={folder}",
        "--logging-level=warning",
    )
    log = (folder / "log").open("wb")
    server = subprocess.Popen(
        [sys.executable, "-m", "radicale", "--config", os.devnull, *options],
        stdout=log,
        stderr=log,
    )
    client = CalDav(f"http://127.0.0.1:{port}/tester/sample/")
    try:
        _until_it_answers(client, server)
        yield client
    finally:
        server.terminate()
        server.wait(10)
        log.close()


def _until_it_answers(client: CalDav, server: subprocess.Popen[bytes]) -> None:
    for _ in range(150):
        assert server.poll() is None, "radicale ended"
        try:
            status, _ = client.request("MKCALENDAR")
        except HTTPError:
            raise
        except URLError:
            time.sleep(0.1)
        else:
            assert status == 201
            return
    pytest.fail("radicale did not answer in 15 seconds")


@pytest.fixture
def khal(tmp_path: Path) -> Callable[..., str]:
    """Return a function that runs khal with an empty calendar of its own and gives its output."""
    calendar = tmp_path / "calendar"
    calendar.mkdir()
    config = tmp_path / "khal.conf"
    config.write_text(
        f"[calendars]\n[[sample]]\npath = {calendar}\n"
        "[locale]\nlocal_timezone = UTC\ndefault_timezone = UTC\n"
        "timeformat = %H:%M\ndateformat = %Y-%m-%d\nlongdateformat = %Y-%m-%d\n"
        "datetimeformat = %Y-%m-%d %H:%M\nlongdatetimeformat = %Y-%m-%d %H:%M\n"
        f"[sqlite]\npath = {tmp_path / 'khal.db'}\n",
        encoding="utf-8",
    )
    program = Path(sys.executable).with_name("khal")

    def run(*arguments: str | Path) -> str:
        done = subprocess.run(
            [program, "--config", config, *arguments],
            capture_output=True,
            check=True,
            timeout=60,
            env={**os.environ, "TZ": "UTC", "LC_ALL": "C.UTF-8"},
        )
        return done.stdout.decode()

    return run
