"""The ledger's PostgreSQL server dies in the middle of a send: nothing is lost, nothing guessed."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.peers.postgresql import PostgreSQL
from tests.peers.smtp_server import Fault, ScriptedServer
from tests.system.world import Ended, ProcessWorld, address_of, rows

pytestmark = pytest.mark.peer("postgresql")

ATTENDEES = 12
EVERYBODY = Counter(address_of(number) for number in range(ATTENDEES))
AT_MESSAGE = 5
"""The server dies while this message is whole and not answered: its outcome can't be recorded."""


def killed(server: PostgreSQL) -> None:
    """Kill it as the kernel does when memory runs out."""
    server.kill()


def stopped(server: PostgreSQL) -> None:
    """Stop it as an impatient administrator does."""
    server.stop()


def restarted(server: PostgreSQL) -> None:
    """Let it be back before anybody looks, as a supervisor does: the lock is lost all the same."""
    server.stop()
    server.start()


def revive(server: PostgreSQL) -> None:
    """Start the server again, where it is not back by itself."""
    if not server.runs:
        server.start()


End = Callable[[PostgreSQL], None]


@pytest.fixture(scope="module")
def own_postgresql() -> Iterator[PostgreSQL]:
    """Start a server that is these tests' alone."""
    with PostgreSQL() as server:
        yield server


@pytest.fixture
def mortal(own_postgresql: PostgreSQL) -> PostgreSQL:
    """Give a server that runs, whatever the test before did to it."""
    revive(own_postgresql)
    return own_postgresql


@dataclass
class FatefulSink(ScriptedServer):
    """A mail server in whose hands the ledger's server dies: at a passage of a phase, unanswered."""

    end: Callable[[], None] = lambda: None
    phase: str = "dot"
    passage: int = AT_MESSAGE

    def __post_init__(self) -> None:
        """Count from here on, one connection after the other."""
        self._one_by_one = threading.Lock()
        self._passages = 0

    def action_at(self, phase: str, mailbox: str | None = None) -> Fault | None:
        """Let it happen in the thread of the connection whose turn it is; misbehave never."""
        with self._one_by_one:
            self._passages += phase == self.phase
            if phase == self.phase and self._passages == self.passage:
                self.end()
        return super().action_at(phase, mailbox)


def opened(
    folder: Path, sink: ScriptedServer, ledger: str, *, on_unknown: str, connections: int = 1
) -> ProcessWorld:
    """Return a world that sends to the sink, one or several connections at a time."""
    return ProcessWorld.ready(
        folder / "world",
        roster=rows(ATTENDEES),
        sections=(
            f'[delivery]\nto = "smtp"\non_unknown = "{on_unknown}"\n'
            f'[smtp]\nhost = "127.0.0.1"\nport = {sink.port}\nsecurity = "none"\n'
            f"connections = {connections}\n"
        ),
        ledger_url=ledger,
    )


def tells_to_come_again(ended: Ended) -> bool:
    """Whether a command ended with 75 and said so in one line, with nothing of its insides."""
    (line,) = ended.err.splitlines()
    assert line.startswith("invites: postgresql+psycopg://"), line
    assert line.endswith("run again"), line
    return ended.code == 75


def receivers(sink: ScriptedServer) -> Counter[str]:
    """Return how many messages each mailbox got."""
    return Counter(one.recipient for one in sink.accepted)


@pytest.mark.parametrize(
    ("end", "on_unknown"), [(killed, "resend"), (stopped, "hold"), (restarted, "resend")]
)
def test_a_ledger_server_that_dies_in_the_middle_loses_nothing(
    end: End, on_unknown: str, mortal: PostgreSQL, tmp_path: Path
) -> None:
    """It ends with 75; the next send finishes, and only what was in hand is in doubt."""
    in_hand = address_of(AT_MESSAGE - 1)
    with FatefulSink(end=lambda: end(mortal)) as sink:
        world = opened(tmp_path, sink, mortal.url(), on_unknown=on_unknown)
        assert tells_to_come_again(world.run(*world.send()))
        assert len(sink.accepted) == AT_MESSAGE, "nothing leaves that can't be recorded"
        revive(mortal)
        assert world.facts().on_the_way() == {in_hand}

        again = world.run(*world.send())
        resends = on_unknown == "resend"
        assert again.code == (0 if resends else 4), again.err
        assert receivers(sink) == EVERYBODY + Counter([in_hand] if resends else [])
        assert len(set(sink.ids())) == ATTENDEES, "a second copy has the first one's Message-ID"
        facts = world.facts()
        assert not facts.pending
        assert facts.standing[in_hand] == ("sent" if resends else "unknown")


def test_with_several_connections_one_message_of_each_is_in_doubt_at_most(
    mortal: PostgreSQL, tmp_path: Path
) -> None:
    """What the others had in hand at that moment is sent once more, and nothing else."""
    with FatefulSink(end=mortal.kill) as sink:
        world = opened(tmp_path, sink, mortal.url(), on_unknown="resend", connections=3)
        assert tells_to_come_again(world.run(*world.send()))
        revive(mortal)
        in_doubt = world.facts().on_the_way()
        assert 1 <= len(in_doubt) <= 3

        again = world.run(*world.send())
        assert again.code == 0, again.err
        repeated = receivers(sink) - EVERYBODY
        assert receivers(sink) == EVERYBODY + repeated
        assert set(repeated) <= in_doubt
        assert set(repeated.values()) <= {1}
        assert len(set(sink.ids())) == ATTENDEES
        assert not world.facts().pending


def test_a_ledger_server_that_dies_before_the_first_message_lets_none_leave(
    mortal: PostgreSQL, tmp_path: Path
) -> None:
    """What is not noted as on its way stays here, and goes out once when the server is back."""
    with FatefulSink(end=mortal.kill, phase="EHLO", passage=1) as sink:
        world = opened(tmp_path, sink, mortal.url(), on_unknown="resend")
        assert tells_to_come_again(world.run(*world.send()))
        assert sink.accepted == []
        revive(mortal)
        assert not world.facts().on_the_way()

        again = world.run(*world.send())
        assert again.code == 0, again.err
        assert receivers(sink) == EVERYBODY
