"""The real `invites schedule` as a process, with a real mail server and the real clock."""

from __future__ import annotations

import signal
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from invites import ledger
from invites.ledger.history import past_messages
from tests.jobs.awake import Awake, eventually, free_port, healthz, metrics
from tests.jobs.conftest import JobWorld, row, with_relay
from tests.peers.postgresql import PostgreSQL
from tests.peers.smtp_server import Fault, ScriptedServer

PEOPLE = [row(number, f"person{number}") for number in range(12)]


def real_house(folder: Path, relay: ScriptedServer, **facts: str) -> JobWorld:
    """Return a world by the real clock whose job has been due since the last full hour."""
    now = datetime.now(UTC)
    at = f"{now - timedelta(minutes=30):%H}:00"
    sections = with_relay(relay) + facts.pop("sections", "")
    world = JobWorld(folder=folder, sections=sections, deliver="smtp", at=at, **facts)  # type: ignore[arg-type]
    world.now = now - timedelta(days=1)
    world.seen()
    world.now = now
    return world


def slowly(_content: bytes) -> None:
    """Take half a second for a message."""
    time.sleep(0.5)


def receivers(relay: ScriptedServer) -> Counter[str]:
    """Return how many messages each mailbox got."""
    return Counter(one.recipient for one in relay.accepted)


def sent(world: JobWorld) -> int:
    """Return how many messages the ledger has as sent."""
    with ledger.open_ledger(world.settings.ledger.url, lock=False) as opened:
        return sum(message.state == "sent" for message in past_messages(opened))


def test_it_delivers_at_a_due_minute_and_stops_with_the_message_in_hand_sent(
    tmp_path: Path, relay: ScriptedServer
) -> None:
    """At the minute that is set it sends; SIGTERM ends it within seconds, the next start goes on.

    Before that a settings file with a fault is refused, and the old settings stay.
    """
    port = free_port()
    due = (datetime.now(UTC) + timedelta(seconds=8)).replace(second=0) + timedelta(minutes=1)
    world = JobWorld(
        folder=tmp_path,
        sections=with_relay(relay) + f'\n[schedule]\nlisten = "127.0.0.1:{port}"\n',
        deliver="smtp",
        at=f"{due:%H:%M}",
        now=datetime.now(UTC),
    )
    world.roster(*PEOPLE)
    relay.on_content = slowly
    with Awake(tmp_path) as awake:
        awake.says("event=started")
        eventually(lambda: healthz(port)[0] == 200)
        config = tmp_path / "invites.toml"
        good = config.read_text(encoding="utf-8")
        config.write_text(good + "\nsurprise = true\n", encoding="utf-8")
        awake.signal(signal.SIGHUP)
        awake.says("event=reload_refused")
        assert "surprise" in awake.log
        config.write_text(good, encoding="utf-8")
        awake.signal(signal.SIGHUP)
        awake.says("event=reloaded")
        assert relay.accepted == []

        eventually(lambda: len(relay.accepted) >= 2, within=75)
        assert datetime.now(UTC) >= due.replace(microsecond=0)
        awake.signal(signal.SIGTERM)
        assert awake.ends(within=8) == 75
    assert 2 <= len(relay.accepted) < len(PEOPLE)
    assert sent(world) == len(relay.accepted), "what was in hand was sent and written down"

    relay.on_content = None
    with Awake(tmp_path, "second") as awake:
        awake.says("event=job_done")
        eventually(lambda: metrics(port).get('invites_job_last_exit_code{job="nightly"}') == 0)
        assert metrics(port)['invites_job_missed{job="nightly"}'] == 0
        awake.signal(signal.SIGTERM)
        assert awake.ends(within=8) == 0
    assert set(receivers(relay).values()) == {1}
    assert len(receivers(relay)) == len(PEOPLE)


def test_it_drains_what_was_deferred(tmp_path: Path, relay: ScriptedServer) -> None:
    """A message that the server did not take for now goes out at a later wake-up, once."""
    world = real_house(tmp_path, relay)
    relay.faults = [Fault("RCPT", "450", times=1)]
    world.now -= timedelta(minutes=10)
    world.roster(row(1))
    outcome = world.one(jobs=("nightly",), force=True)
    assert outcome.counts["deferred"] == 1
    world.roster(row(1), age=timedelta(hours=1))
    with Awake(tmp_path) as awake:
        eventually(lambda: len(relay.accepted) == 1)
        awake.signal(signal.SIGTERM)
        assert awake.ends(within=8) in {0, 75}
    assert receivers(relay) == {"ada@example.org": 1}


@pytest.fixture(
    params=[
        "sqlite",
        pytest.param("postgresql", marks=pytest.mark.peer("postgresql")),
    ]
)
def url(request: pytest.FixtureRequest) -> Iterator[str]:
    """Give a ledger in a file, and one on a server."""
    if request.param == "sqlite":
        yield "sqlite:///invites.db"
        return
    with PostgreSQL() as server:
        yield server.url()


def test_of_two_schedules_one_works_and_the_other_leaves_it_the_lock(
    tmp_path: Path, relay: ScriptedServer, url: str
) -> None:
    """Both find the same job due; everybody gets one message, and the loser says that it waits."""
    world = real_house(tmp_path, relay, url=url)
    world.roster(*PEOPLE)
    relay.on_content = slowly
    with Awake(tmp_path, "one") as one:
        eventually(lambda: relay.commands)
        with Awake(tmp_path, "two") as two:
            two.says("cause=lock")
            one.says("event=job_done")
            for each in (one, two):
                each.signal(signal.SIGTERM)
            assert one.ends(within=8) == 0
            assert two.ends(within=8) == 0
    assert receivers(relay) == {f"person{number}@example.org": 1 for number in range(12)}
    assert world.wake(datetime.now(UTC)).outcomes == ()


def test_after_kill_minus_nine_in_the_middle_of_a_night_the_next_start_goes_on(
    tmp_path: Path, relay: ScriptedServer
) -> None:
    """Nobody is lost; at most the message in hand comes twice, with the same Message-ID."""
    world = real_house(tmp_path, relay)
    world.roster(*PEOPLE)
    relay.on_content = slowly
    with Awake(tmp_path) as awake:
        eventually(lambda: len(relay.accepted) >= 3)
        awake.signal(signal.SIGKILL)
        awake.ends(within=8)
    relay.on_content = None
    with Awake(tmp_path, "second") as awake:
        awake.says("event=job_done")
        awake.signal(signal.SIGTERM)
        assert awake.ends(within=8) == 0
    got = receivers(relay)
    assert len(got) == len(PEOPLE)
    assert sum(got.values()) <= len(PEOPLE) + 1
    assert len(set(relay.ids())) == len(PEOPLE)
    assert world.state().open is None


def test_it_does_not_start_without_what_its_jobs_need(tmp_path: Path) -> None:
    """A missing ledger ends it at once with 5, before a supervisor takes it for alive."""
    world = JobWorld(folder=tmp_path)
    (tmp_path / "invites.db").unlink()
    world.load()
    with Awake(tmp_path) as awake:
        assert awake.ends(within=20) == 5
    assert "found no ledger" in awake.log
