"""Calendar programs of other people: radicale, a CalDAV server, and khal, a client."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

_TESTER = "Basic " + b64encode(b"tester:none").decode()


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


@contextmanager
def radicale(folder: Path) -> Iterator[CalDav]:
    """Run radicale on loopback with a folder of its own, and make a calendar in it."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    options = (
        f"--server-hosts=127.0.0.1:{port}",
        "--auth-type=none",
        f"--storage-filesystem-folder={folder / 'radicale'}",
        "--logging-level=warning",
    )
    with (folder / "log").open("wb") as log:
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


def _until_it_answers(client: CalDav, server: subprocess.Popen[bytes]) -> None:
    for _ in range(300):
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
    raise AssertionError("radicale did not answer")


def khal_in(folder: Path) -> Callable[..., str]:
    """Return a function that runs khal with an empty calendar of its own and gives its output."""
    (folder / "calendar").mkdir()
    config = folder / "khal.conf"
    config.write_text(
        f"[calendars]\n[[sample]]\npath = {folder / 'calendar'}\n"
        "[locale]\nlocal_timezone = UTC\ndefault_timezone = UTC\n"
        "timeformat = %H:%M\ndateformat = %Y-%m-%d\nlongdateformat = %Y-%m-%d\n"
        "datetimeformat = %Y-%m-%d %H:%M\nlongdatetimeformat = %Y-%m-%d %H:%M\n"
        f"[sqlite]\npath = {folder / 'khal.db'}\n",
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
