"""Two sends at once on one ledger: the second ends with exit 75, and nobody gets two messages."""

from __future__ import annotations

import threading
from collections import Counter
from pathlib import Path

import pytest

from tests.peers.postgresql import PostgreSQL
from tests.peers.smtp_server import ScriptedServer
from tests.system.world import PATIENCE, ProcessWorld, address_of, rows

ATTENDEES = 6
EVERYBODY = Counter(address_of(number) for number in range(ATTENDEES))
BACKENDS = (
    pytest.param("sqlite", id="SQLite"),
    pytest.param("postgresql", id="PostgreSQL", marks=pytest.mark.peer("postgresql")),
)


class Hold:
    """Keeps back the answer to a message until it may go on."""

    def __init__(self) -> None:
        """Hold the first message that comes."""
        self.has_one = threading.Event()
        self.may_go_on = threading.Event()

    def __call__(self, _content: bytes) -> None:
        """Wait, in the server's thread."""
        self.has_one.set()
        assert self.may_go_on.wait(PATIENCE)


def office_for(
    backend: str, server: ScriptedServer, request: pytest.FixtureRequest
) -> ProcessWorld:
    """Make a world whose ledger is on this backend."""
    folder: Path = request.getfixturevalue("tmp_path")
    url = ""
    if backend == "postgresql":
        peer: PostgreSQL = request.getfixturevalue("postgresql")
        url = peer.url()
    return ProcessWorld.ready(
        folder / "world",
        roster=rows(ATTENDEES),
        sections=f'[smtp]\nhost = "127.0.0.1"\nport = {server.port}\nsecurity = "none"\n',
        ledger_url=url,
    )


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_second_of_two_senders_is_told_to_come_again(
    backend: str, request: pytest.FixtureRequest
) -> None:
    """While the first has a message in hand, a second ends with exit 75 and sends nothing."""
    hold = Hold()
    with ScriptedServer(on_content=hold) as server:
        world = office_for(backend, server, request)
        with world.start(*world.send("--to", "smtp")) as first:
            assert hold.has_one.wait(PATIENCE)
            second = world.run(*world.send("--to", "smtp"))
            connections = server.connections
            hold.may_go_on.set()
            out, err = first.communicate(timeout=PATIENCE)
        assert (first.returncode, second.code) == (0, 75), out + err + second.err
        assert "another run holds the ledger's lock" in second.err
        assert connections == 1
        third = world.run(*world.send("--to", "smtp"))
        assert third.code == 0, third.err
        assert Counter(one.recipient for one in server.accepted) == EVERYBODY


@pytest.mark.parametrize("backend", BACKENDS)
def test_senders_that_start_together_send_each_message_once(
    backend: str, request: pytest.FixtureRequest
) -> None:
    """Whoever comes first sends; the others end with exit 75, or find nothing left to send."""
    with ScriptedServer() as server:
        world = office_for(backend, server, request)
        started = [world.start(*world.send("--to", "smtp")) for _ in range(3)]
        said = [process.communicate(timeout=PATIENCE) for process in started]
        codes = [process.returncode for process in started]
        assert 0 in codes, said
        assert set(codes) <= {0, 75}, said
        assert Counter(one.recipient for one in server.accepted) == EVERYBODY
