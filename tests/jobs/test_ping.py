"""The dead man's switch: a job's URL hears start, success and failure, and never blocks a run."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from invites.errors import Exit
from invites.jobs import notify
from tests.jobs.awake import free_port
from tests.jobs.conftest import JobWorld, row


class Listener(ThreadingHTTPServer):
    """Takes down the paths that it was asked for; `hang` keeps it from answering."""

    daemon_threads = True

    def __init__(self) -> None:
        """Listen on a free port of loopback."""
        self.paths: list[str] = []
        self.hang = threading.Event()
        self.location = ""
        listener = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                listener.paths.append(self.path)
                if listener.hang.is_set():
                    threading.Event().wait(3)
                self.send_response(302 if listener.location else 200)
                if listener.location:
                    self.send_header("Location", listener.location)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        super().__init__(("127.0.0.1", 0), Handler)


@contextmanager
def listening() -> Iterator[Listener]:
    """Serve until the block ends."""
    with Listener() as listener:
        threading.Thread(target=listener.serve_forever, args=(0.05,), daemon=True).start()
        yield listener
        listener.shutdown()


@pytest.fixture
def switch(world: JobWorld) -> Iterator[Listener]:
    """Return a listener that the world's job pings under a secret path."""
    with listening() as listener:
        world.job += f'\nping = "http://127.0.0.1:{listener.server_address[1]}/s3cret"'
        world.load()
        yield listener


def test_a_good_run_pings_start_and_success(world: JobWorld, switch: Listener) -> None:
    """The URL itself is success, as the usual services have it."""
    world.roster(row(1))
    world.seen()
    assert switch.paths == []
    world.wake("02:15")
    assert switch.paths == ["/s3cret/start", "/s3cret"]


def test_a_refused_roster_pings_failure(world: JobWorld, switch: Listener) -> None:
    """A due time that stays open is a failure for whoever watches."""
    world.seen()
    world.wake("02:15")
    assert switch.paths == ["/s3cret/start", "/s3cret/fail"]


def test_a_dry_run_and_a_simulated_clock_ping_nobody(world: JobWorld, switch: Listener) -> None:
    """Trying things out is no sign of life."""
    world.roster(row(1))
    world.seen()
    world.wake("02:15", dry_run=True)
    world.wake("02:15", simulated=True, to="folder")
    assert switch.paths == []


def test_a_switch_that_hangs_does_not_hold_the_run_up(
    world: JobWorld, switch: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run waits a moment, says so without the URL, and does its work."""
    monkeypatch.setattr(notify, "PING_SECONDS", 0.2)
    switch.hang.set()
    world.roster(row(1))
    world.seen()
    assert world.one("02:15").exit_code is Exit.DONE
    failed = [line.getMessage() for line in world.lines if line.event == "ping_failed"]
    assert len(failed) == 2
    assert not any("s3cret" in text for text in failed)


def test_a_switch_that_is_not_there_changes_nothing(world: JobWorld) -> None:
    """Nobody listens: the run is done all the same."""
    world.job += f'\nping = "http://127.0.0.1:{free_port()}/s3cret"'
    world.load()
    world.roster(row(1))
    world.seen()
    assert world.one("02:15").exit_code is Exit.DONE
    assert any(line.event == "ping_failed" for line in world.lines)


def test_a_switch_that_points_elsewhere_is_not_followed(world: JobWorld, switch: Listener) -> None:
    """The secret path goes to the one whom the settings name."""
    with listening() as other:
        switch.location = f"http://127.0.0.1:{other.server_address[1]}/elsewhere"
        world.roster(row(1))
        world.seen()
        assert world.one("02:15").exit_code is Exit.DONE
        assert other.paths == []
