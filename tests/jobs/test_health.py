"""The health endpoint: alive while it wakes up, and what Prometheus reads."""

from __future__ import annotations

import resource
import socket
import struct
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest

from invites import ledger
from invites.errors import SettingsError
from invites.jobs import WakeUpReport
from invites.jobs.health import MOST_CONNECTIONS, Health, serving
from invites.jobs.options import status_of
from invites.settings.types import Listen
from invites.times import local
from tests.jobs.awake import free_port, healthz, metrics
from tests.jobs.conftest import JobWorld, row

MINUTES = timedelta(minutes=1)


@contextmanager
def listening(world: JobWorld) -> Iterator[tuple[Health, int]]:
    """Serve what is known of a world on a free port of loopback."""
    health = Health(lambda: world.now, "Asia/Tokyo")
    with serving(health, Listen(host="127.0.0.1", port=free_port())) as port:
        assert port is not None
        yield health, port


def slept(health: Health, world: JobWorld, report: WakeUpReport | None, trouble: str = "") -> None:
    """Let the endpoint hear of a wake-up that has ended."""
    with ledger.open_ledger(world.settings.ledger.url, lock=False) as opened:
        statuses = [status_of(opened, job, now=world.now) for job in world.settings.jobs]
    health.slept(report, statuses, trouble)


def test_a_night_shows_in_the_metrics(world: JobWorld) -> None:
    """Last success, exit code, duration, counts and the next due time, by job."""
    world.roster(row(1), row(2, "bob"))
    world.seen()
    report = world.wake("02:15")
    with listening(world) as (health, port):
        health.woke()
        slept(health, world, report)
        found = metrics(port)
    job = '{job="nightly"}'
    assert found[f"invites_job_last_success_timestamp_seconds{job}"] == world.now.timestamp()
    assert found[f"invites_job_last_exit_code{job}"] == 0
    assert found[f"invites_job_last_duration_seconds{job}"] >= 0
    assert found['invites_job_last_run_count{job="nightly",what="sent"}'] == 2
    assert found['invites_messages_total{job="nightly",kind="invitation",outcome="sent"}'] == 2
    assert found['invites_attempts_total{exit_code="0",job="nightly"}'] == 1
    assert found[f"invites_job_missed{job}"] == 0
    assert found["invites_wake_ups_total"] == 1
    next_due = datetime(2031, 2, 2, 2, 15, tzinfo=UTC)
    assert found[f"invites_job_next_due_timestamp_seconds{job}"] == next_due.timestamp()


def test_a_missed_job_shows_in_the_metrics_and_does_not_end_the_process(world: JobWorld) -> None:
    """A supervisor restarts what is not alive; a refused roster is no reason for that."""
    world.seen()
    report = world.wake("02:15")
    with listening(world) as (health, port):
        slept(health, world, report)
        assert metrics(port)['invites_job_missed{job="nightly"}'] == 1
        status, facts = healthz(port)
    assert status == 200
    assert "roster" in facts["jobs_missed"]["nightly"]


def test_it_is_not_alive_when_it_does_not_wake_up(world: JobWorld) -> None:
    """Three wake-ups that did not come are 503; one that lasts is work."""
    world.seen()
    with listening(world) as (health, port):
        slept(health, world, None)
        world.now += 14 * MINUTES
        assert healthz(port)[0] == 200
        world.now += 2 * MINUTES
        status, facts = healthz(port)
        assert (status, facts["alive"]) == (503, False)
        since = local(world.now - 16 * MINUTES, "Asia/Tokyo")
        assert facts["trouble"] == f"no wake-up since {since}"
        health.woke()
        assert healthz(port)[0] == 200


def test_a_ledger_that_cannot_be_opened_is_told(world: JobWorld) -> None:
    """What kept the last wake-up from its work stands in the answer."""
    world.seen()
    with listening(world) as (health, port):
        slept(health, world, None, "the ledger is not there")
        assert healthz(port) == (
            503,
            {
                "alive": False,
                "trouble": "the ledger is not there",
                "last_wake_up": world.now.isoformat(),
                "jobs_missed": {},
            },
        )


def test_no_other_page_is_served(world: JobWorld) -> None:
    """Only the two that the documentation names."""
    with listening(world) as (_, port), pytest.raises(HTTPError) as found:
        urlopen(f"http://127.0.0.1:{port}/../etc/passwd", timeout=5)
    with found.value as answer:
        assert answer.code == 404


def test_an_address_that_is_taken_is_a_setting_to_correct(world: JobWorld) -> None:
    """A second process on one address ends with words, not with a traceback."""
    with listening(world) as (health, port):
        second = serving(health, Listen(host="127.0.0.1", port=port))
        with pytest.raises(SettingsError, match="can't be listened on"), second:
            pass


def handles_open() -> int:
    """Return how many file handles this process has."""
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.fixture
def _many_handles() -> Iterator[None]:
    """Let this process have the file handles that both ends of a thousand connections take."""
    before, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(4096, most), most))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (before, most))


@pytest.mark.usefixtures("_many_handles")
def test_a_thousand_slow_connections_do_not_keep_a_supervisor_out(
    world: JobWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who says nothing makes room for who asks; and takes no file handles from ledger and mail."""
    monkeypatch.setattr("invites.jobs.health.REQUEST_SECONDS", 600.0)  # else they go by themselves
    world.seen()
    with ExitStack() as stack, listening(world) as (health, port):
        slept(health, world, None)
        handles = handles_open()
        slow = []
        for number in range(1000):
            one = stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=5))
            one.sendall(b"GET /healthz HT" if number % 2 else b"")
            slow.append(one)
        assert healthz(port)[0] == 200
        assert handles_open() - handles - len(slow) <= MOST_CONNECTIONS + 1


def test_a_reset_connection_is_no_line_in_the_log(
    world: JobWorld, capfd: pytest.CaptureFixture[str]
) -> None:
    """A probe that slams the door leaves no traceback."""
    world.seen()
    with listening(world) as (health, port):
        slept(health, world, None)
        for _ in range(20):
            with socket.create_connection(("127.0.0.1", port), timeout=5) as one:
                one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                one.sendall(b"GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        assert healthz(port)[0] == 200
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("host", "status"),
    [("127.0.0.1:9108", 200), ("localhost", 200), ("[::1]:9108", 200), ("evil.example", 421)],
)
def test_only_who_asks_for_this_machine_gets_an_answer(
    world: JobWorld, host: str, status: int
) -> None:
    """A web page whose own name was pointed at loopback reads nothing here."""
    world.seen()
    with listening(world) as (health, port):
        slept(health, world, None)
        connection = HTTPConnection("127.0.0.1", port, timeout=5)
        connection.request("GET", "/metrics", headers={"Host": host})
        assert connection.getresponse().status == status
        connection.close()
