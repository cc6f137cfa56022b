"""The health endpoint: alive while it wakes up, and what Prometheus reads."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest

from invites import ledger
from invites.errors import SettingsError
from invites.jobs import WakeUpReport
from invites.jobs.health import Health, serving
from invites.jobs.status import status_of
from invites.settings.types import Listen
from tests.jobs.awake import free_port, healthz, metrics
from tests.jobs.conftest import House, row

MINUTES = timedelta(minutes=1)


@contextmanager
def listening(house: House) -> Iterator[tuple[Health, int]]:
    """Serve what is known of a house on a free port of loopback."""
    health = Health(lambda: house.now)
    with serving(health, Listen(host="127.0.0.1", port=free_port())) as port:
        assert port is not None
        yield health, port


def slept(health: Health, house: House, report: WakeUpReport | None, trouble: str = "") -> None:
    """Let the endpoint hear of a wake-up that has ended."""
    with ledger.open_ledger(house.settings.ledger.url, lock=False) as opened:
        statuses = [status_of(opened, job, now=house.now) for job in house.settings.jobs]
    health.slept(report, statuses, trouble)


def test_a_night_shows_in_the_metrics(house: House) -> None:
    """Last success, exit code, duration, counts and the next due time, by job."""
    house.roster(row(1), row(2, "bob"))
    house.seen()
    report = house.wake("02:15")
    with listening(house) as (health, port):
        health.woke()
        slept(health, house, report)
        found = metrics(port)
    job = '{job="nightly"}'
    assert found[f"invites_job_last_success_timestamp_seconds{job}"] == house.now.timestamp()
    assert found[f"invites_job_last_exit_code{job}"] == 0
    assert found[f"invites_job_last_duration_seconds{job}"] >= 0
    assert found['invites_job_last_run_count{job="nightly",what="sent"}'] == 2
    assert found['invites_messages_total{job="nightly",kind="invitation",outcome="sent"}'] == 2
    assert found['invites_attempts_total{job="nightly",exit_code="0"}'] == 1
    assert found[f"invites_job_missed{job}"] == 0
    assert found["invites_wake_ups_total"] == 1
    next_due = datetime(2031, 2, 2, 2, 15, tzinfo=UTC)
    assert found[f"invites_job_next_due_timestamp_seconds{job}"] == next_due.timestamp()


def test_a_missed_job_shows_in_the_metrics_and_does_not_end_the_process(house: House) -> None:
    """A supervisor restarts what is not alive; a refused roster is no reason for that."""
    house.seen()
    report = house.wake("02:15")
    with listening(house) as (health, port):
        slept(health, house, report)
        assert metrics(port)['invites_job_missed{job="nightly"}'] == 1
        status, facts = healthz(port)
    assert status == 200
    assert "roster" in facts["jobs_missed"]["nightly"]


def test_it_is_not_alive_when_it_does_not_wake_up(house: House) -> None:
    """Three wake-ups that did not come are 503; one that lasts is work."""
    house.seen()
    with listening(house) as (health, port):
        slept(health, house, None)
        house.now += 14 * MINUTES
        assert healthz(port)[0] == 200
        house.now += 2 * MINUTES
        status, facts = healthz(port)
        assert (status, facts["alive"]) == (503, False)
        health.woke()
        assert healthz(port)[0] == 200


def test_a_ledger_that_cannot_be_opened_is_told(house: House) -> None:
    """What kept the last wake-up from its work stands in the answer."""
    house.seen()
    with listening(house) as (health, port):
        slept(health, house, None, "the ledger is not there")
        assert healthz(port) == (
            503,
            {
                "alive": False,
                "trouble": "the ledger is not there",
                "last_wake_up": house.now.isoformat(),
                "jobs_missed": {},
            },
        )


def test_no_other_page_is_served(house: House) -> None:
    """Only the two that the documentation names."""
    with listening(house) as (_, port), pytest.raises(HTTPError) as found:
        urlopen(f"http://127.0.0.1:{port}/../etc/passwd", timeout=5)
    with found.value as answer:
        assert answer.code == 404


def test_an_address_that_is_taken_is_a_setting_to_correct(house: House) -> None:
    """A second process on one address ends with words, not with a traceback."""
    with listening(house) as (health, port):
        second = serving(health, Listen(host="127.0.0.1", port=port))
        with pytest.raises(SettingsError, match="can't be listened on"), second:
            pass
