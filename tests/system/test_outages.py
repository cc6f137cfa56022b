"""A mail server that is down for hours, and receivers whose messages always get lost: who gets what when.

Whole wake-ups of a job, every five minutes, against a scripted server; the clock is set.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.jobs.conftest import JobWorld, row, with_relay
from tests.peers.smtp_server import Fault, ScriptedServer

EVERY = timedelta(minutes=5)
POISON = [f"poison{number}@example.org" for number in range(5)]
Record = Callable[[str, str], None]


def people(count: int) -> list[str]:
    """Return the roster's rows of so many people, five to a meeting, the latest meeting first."""
    return [
        row(f"{number // 5:02}", f"person{number}", start=f"2031-03-{1 + number // 5:02} 09:00")
        for number in reversed(range(count))
    ]


def world_for(folder: Path, server: ScriptedServer, rows: list[str]) -> JobWorld:
    """Return a world whose job of 02:15 mails these rows through the server."""
    world = JobWorld(folder=folder, sections=with_relay(server), deliver="smtp")
    world.roster(*rows)
    world.seen()
    return world


def wake_until(world: JobWorld, until: datetime) -> None:
    """Wake up every five minutes, up to and with `until`."""
    while world.now < until:
        world.wake(world.now + EVERY)


def mailbox(command: str) -> str:
    """Return the mailbox of a RCPT command."""
    return command.partition("<")[2].partition(">")[0]


def to_whom(server: ScriptedServer) -> list[str]:
    """Return the receivers of what was accepted, in order."""
    return [one.recipient for one in server.accepted]


OUTAGES = [("banner", "554"), ("EHLO", "drop"), ("RCPT", "421"), ("MAIL", "drop"), ("dot", "drop")]


@pytest.mark.faults
@pytest.mark.parametrize(("phase", "action"), OUTAGES, ids=map("-".join, OUTAGES))
@pytest.mark.parametrize("count", [7, 60])
def test_after_an_outage_all_goes_out_at_the_first_wake_up_that_finds_the_server_up(
    count: int, phase: str, action: str, tmp_path: Path, record_property: Record
) -> None:
    """Six hours: nobody is left out, the earliest meeting is first, and the server waited, no message.

    Where whole messages got no answer, each try may have been a copy: who had three of them is held.
    """
    with ScriptedServer([Fault(phase, action)]) as server:
        world = world_for(tmp_path, server, people(count))
        world.wake("02:15")
        wake_until(world, world.now + timedelta(hours=6) - EVERY)
        assert server.accepted == []
        server.recover()
        up = world.now
        minutes: list[float] = []
        while len(server.accepted) < count and world.now < up + timedelta(hours=6):
            before = len(server.accepted)
            world.wake(world.now + EVERY)
            minutes += [(world.now - up - EVERY) / timedelta(minutes=1)] * (
                len(server.accepted) - before
            )
        tries = Counter(mailbox(one) for one in server.commands if one.startswith("RCPT"))
    everybody = {f"person{n}@example.org" for n in range(count)}
    held = {one for one in everybody if phase == "dot" and tries[one] == 3} - {*to_whom(server)}
    assert sorted(to_whom(server)) == sorted(everybody - held)
    assert len(held) <= 1
    assert phase != "dot" or max(tries.values()) <= 3
    starts = [int(one.removeprefix("person").partition("@")[0]) // 5 for one in to_whom(server)]
    if phase != "dot":
        assert set(minutes) == {0.0}
        assert starts[1:] == sorted(starts[1:])
    words = (
        f"{count} people, {phase} {action}: {len(minutes)} sent, {max(minutes):.0f} minutes late"
    )
    record_property("figures", f"6 h outage, {words} at most, {len(held)} held")


def copies_of(server: ScriptedServer) -> Counter[str]:
    """Return how many messages each receiver got."""
    return Counter(to_whom(server))


@pytest.mark.parametrize("phase", ["RCPT", "dot"])
def test_receivers_whose_messages_always_get_lost_hold_nobody_up(
    phase: str, tmp_path: Path, record_property: Record
) -> None:
    """Five at the head of the list: the others have theirs at the second wake-up, once each."""
    faults = [Fault(phase, "drop", only=mailbox, after_accepting=True) for mailbox in POISON]
    poison = [row("poison", one.partition("@")[0], start="2031-02-20 09:00") for one in POISON]
    with ScriptedServer(faults) as server:
        world = world_for(tmp_path, server, [*people(55), *poison])
        first = world.one("02:15")
        assert int(first.exit_code) == 75
        wake_until(world, world.now + EVERY)
        others = {one: n for one, n in copies_of(server).items() if one not in POISON}
        assert others == dict.fromkeys((f"person{n}@example.org" for n in range(55)), 1)
        wake_until(world, world.now + timedelta(hours=20))
        copies = copies_of(server)
        assert {one: copies[one] for one in others} == others
        assert [copies[one] for one in POISON] == ([3] * 5 if phase == "dot" else [0] * 5)
    most = max(copies[one] for one in POISON)
    record_property(
        "figures",
        f"5 poison receivers at the head, {phase}: 0 of 55 starved, 5 minutes late, "
        f"{most} copies at most",
    )


SERVERS: dict[str, dict[str, Any]] = {
    "20 recipients of a connection": {"recipients_per_connection": 20},
    "20 messages of a connection": {"messages_per_connection": 20},
    "one connection of three": {"connection_limit": 1},
    "pipelining that forgets": {"false_pipelining": "forgets"},
    "pipelining that refuses": {"false_pipelining": "refuses"},
    "pipelining that drops": {"false_pipelining": "drops"},
}


@pytest.mark.faults
@pytest.mark.parametrize("script", SERVERS)
def test_a_server_with_a_limit_or_a_false_promise_gets_all_in_one_run(
    script: str, tmp_path: Path, record_property: Record
) -> None:
    """All people in one wake-up, once each, and few connections for it."""
    with ScriptedServer(**SERVERS[script]) as server:
        more = 'timeout = "1s"\n' + ("connections = 3\n" if "three" in script else "")
        world = JobWorld(folder=tmp_path, sections=f"{with_relay(server)}{more}", deliver="smtp")
        world.roster(*people(130))
        world.seen()
        outcome = world.one("02:15")
        assert (int(outcome.exit_code), len(outcome.lines)) == (0, 0)
    assert copies_of(server) == dict.fromkeys((f"person{n}@example.org" for n in range(130)), 1)
    words = f"{len(server.accepted)} sent in one run, {server.connections} connections"
    record_property("figures", f"{script}: {words}")


def test_a_server_that_is_down_is_left_alone_for_a_moment(tmp_path: Path) -> None:
    """The next wake-up within a minute does not try it; `send` by hand and the one after do."""
    with ScriptedServer([Fault("RCPT", "drop")]) as server:
        world = world_for(tmp_path, server, people(7))
        assert int(world.one("02:15").exit_code) == 75
        connections = server.connections
        outcome = world.one(world.now + timedelta(seconds=30))
        assert (int(outcome.exit_code), server.connections) == (75, connections)
        assert "the mail server was down in the last run" in outcome.text
        server.recover()
        outcome = world.one(world.now + timedelta(seconds=31))
        assert int(outcome.exit_code) == 0
        assert len(server.accepted) == 7


def test_an_address_that_the_server_does_not_know_is_not_tried_every_night(tmp_path: Path) -> None:
    """550 5.1.1: tried once, held and counted in the next nights, tried again with another row."""
    fault = Fault("RCPT", "550 5.1.1 no such user", only="person0@example.org")
    with ScriptedServer([fault]) as server:
        world = world_for(tmp_path, server, people(2))
        outcomes: list[Any] = [world.one("02:15")]
        for _ in range(2):
            world.now += timedelta(days=1)
            world.roster(*people(2))
            outcomes.append(world.one("02:15"))
        tried = [one for one in server.commands if one.startswith("RCPT TO:<person0@")]
        assert len(tried) == 1
        assert [int(one.exit_code) for one in outcomes] == [4, 4, 4]
        world.now += timedelta(days=1)
        world.roster(*[one.replace("Meeting", "Talk") for one in people(2)])
        world.one("02:15")
        tried = [one for one in server.commands if one.startswith("RCPT TO:<person0@")]
        assert len(tried) == 2
