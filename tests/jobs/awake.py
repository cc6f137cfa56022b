"""The real `invites schedule` as a process: its log, its signals, its health."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Self
from urllib.error import HTTPError
from urllib.request import urlopen

from tests.support import COMMAND

PATIENCE_SECONDS = 30.0


def eventually(happened: Callable[[], object], *, within: float = PATIENCE_SECONDS) -> None:
    """Wait until something is true; fail where it does not come."""
    until = time.monotonic() + within
    while not happened():
        assert time.monotonic() < until, "it did not happen in time"
        time.sleep(0.05)


def free_port() -> int:
    """Return a port of loopback that nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Awake:
    """`invites schedule` in a folder, as long as the block lasts; killed if it does not end."""

    def __init__(self, folder: Path, name: str = "log", flags: Sequence[str] = ()) -> None:
        """Start nothing yet; both streams go into the log `name`."""
        self.folder = folder
        self.flags = flags
        self.path = folder / name

    def __enter__(self) -> Self:
        """Start it, and wait until it says that it is awake."""
        with self.path.open("wb") as log:
            self.process = subprocess.Popen(
                [*COMMAND, "schedule", *self.flags], cwd=self.folder, stdout=log, stderr=log
            )
        return self

    def __exit__(self, *_: object) -> None:
        """Leave no process behind."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()

    @property
    def log(self) -> str:
        """What it has said so far."""
        return self.path.read_text(encoding="utf-8")

    def says(self, text: str, *, within: float = PATIENCE_SECONDS) -> None:
        """Wait until the log holds `text`."""
        eventually(lambda: text in self.log or self.process.poll() is not None, within=within)
        assert text in self.log

    def signal(self, number: signal.Signals) -> None:
        """Send a signal."""
        self.process.send_signal(number)

    def ends(self, *, within: float) -> int:
        """Wait for its end and return the exit code."""
        return self.process.wait(timeout=within)


def healthz(port: int) -> tuple[int, dict[str, Any]]:
    """Return the status and the facts of /healthz."""
    try:
        with urlopen(f"http://127.0.0.1:{port}/healthz", timeout=5) as answer:
            return answer.status, json.load(answer)
    except HTTPError as error:
        with error:
            return error.code, json.load(error)


def metrics(port: int) -> dict[str, float]:
    """Return what Prometheus would read: a value for each name with its labels."""
    with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
        text = answer.read().decode()
    pairs = (line.rpartition(" ") for line in text.splitlines() if not line.startswith("#"))
    return {name: float(value) for name, _, value in pairs}
