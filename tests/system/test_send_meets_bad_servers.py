"""`invites send` against servers that misbehave: ledger, exit code, and what the next run sends."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import time_machine

from tests.peers.certificates import Authority
from tests.peers.smtp_server import ACTIONS, PHASES, Fault, ScriptedServer, all_cells
from tests.support import Answer
from tests.system.world import LedgerFacts, ProcessWorld, address_of, rows

OPENING = ("banner", "EHLO", "STARTTLS", "AUTH")
FIRST, SECOND = address_of(0), address_of(1)
PASSWORD = "correct horse battery"
BACKOFF = timedelta(minutes=6)
"""A little more than a message waits that was deferred once."""


@dataclass(frozen=True)
class Promise:
    """What reliability.md promises for one cell that befalls the first of two messages.

    `first` and `second` are what the ledger then has of them; `strikes` is how often the server
    must misbehave to be through with one message.
    """

    first: str
    second: str
    exit_code: int
    strikes: int = 1

    @property
    def sent_next(self) -> list[str]:
        """Who is sent to by the next run: whoever has no message that is known to be accepted."""
        states = ((FIRST, self.first), (SECOND, self.second))
        return [address for address, state in states if state != "sent"]


NOBODY_TRIED = "planned"


def promise(phase: str, action: str) -> Promise:
    """Return what is promised for one cell of the matrix."""
    lost = action in {"421", "drop", "hang", "garbage"}
    if phase == "dot" and action in {"drop", "hang", "garbage"}:
        return Promise("unknown", "sent", 4)
    if lost or (phase in {"banner", "EHLO"} and action.startswith("4")):
        return Promise("deferred", "sent", 4, strikes=2)
    if phase in OPENING:
        refused_login = phase in {"STARTTLS", "AUTH"} and action.startswith("5")
        return Promise(NOBODY_TRIED, NOBODY_TRIED, 5 if refused_login else 75)
    return Promise("failed" if action.startswith("5") else "deferred", "sent", 4)


Call = Callable[..., Answer]


@dataclass(frozen=True)
class RelayedWorld:
    """A world of two attendees whose mail goes to a scripted server over TLS, with a login."""

    world: ProcessWorld
    server: ScriptedServer
    call: Call

    def send(self, *flags: str) -> Answer:
        """Run `invites send`."""
        folder = self.world.folder
        return self.call(
            "send", folder / "roster.csv", "--config", folder / "invites.toml", "--json", *flags
        )

    def recipients(self) -> list[str]:
        """Return to whom the server accepted messages, in order."""
        return [message.recipient for message in self.server.accepted]


@contextmanager
def later() -> Iterator[None]:
    """Move the clock past the first wait of a deferred message."""
    with time_machine.travel(datetime.now(UTC) + BACKOFF, tick=True):
        yield


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Give a certificate authority."""
    return Authority.in_folder(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def world_at(
    tmp_path: Path, authority: Authority, invites: Call, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., RelayedWorld]:
    """Give a function that makes a world for a server; its timeouts are in seconds."""
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
    monkeypatch.setenv("TEST_MAIL_PASSWORD", PASSWORD)

    def relayed(
        server: ScriptedServer, *, timeout: int = 10, attendees: int = 2, more: str = ""
    ) -> RelayedWorld:
        settings = (
            f'[delivery]\nto = "smtp"\n[smtp]\nhost = "{server.host}"\nport = {server.port}\n'
            'username = "meetings@example.com"\npassword_env = "TEST_MAIL_PASSWORD"\n'
            f'timeout = "{timeout}s"\ndata_timeout = "{timeout}s"\n{more}'
        )
        world = ProcessWorld.ready(tmp_path / "world", roster=rows(attendees), sections=settings)
        return RelayedWorld(world, server, invites)

    return relayed


@contextmanager
def scripted(authority: Authority, *faults: Fault, **script: Any) -> Iterator[ScriptedServer]:
    """Serve with TLS and a login, and with these faults."""
    whole = {
        "tls": authority.server_context(),
        "logins": {"meetings@example.com": PASSWORD},
        **script,
    }
    with ScriptedServer(list(faults), **whole) as server:
        yield server


def states(facts: LedgerFacts) -> dict[str, str]:
    """Return the state of each person's newest revision."""
    return {**facts.standing, **facts.pending}


@pytest.mark.parametrize(("phase", "action"), all_cells(), ids=map("-".join, all_cells()))
def test_each_misbehaviour_ends_as_promised_and_the_next_run_sends_the_rest(
    phase: str, action: str, authority: Authority, world_at: Callable[..., RelayedWorld]
) -> None:
    """Ledger, exit code, and the next run, which finds the server well again."""
    promised = promise(phase, action)
    fault = Fault(phase, action, times=promised.strikes)
    with scripted(authority, fault) as server:
        relayed = world_at(server, timeout=1 if action == "hang" else 10)
        first = relayed.send()
        assert first.code == promised.exit_code, first.err
        assert "Traceback" not in first.err
        assert states(relayed.world.facts()) == {FIRST: promised.first, SECOND: promised.second}
        assert relayed.recipients() == ([SECOND] if promised.second == "sent" else [])

        server.recover()
        server.accepted.clear()
        with later():
            second = relayed.send()
        assert second.code == 0, second.err
        assert relayed.recipients() == promised.sent_next
        assert states(relayed.world.facts()) == {FIRST: "sent", SECOND: "sent"}
        assert all(one.over_tls and one.logged_in_as for one in server.accepted)


def test_the_matrix_has_all_its_80_cells() -> None:
    """No cell is missing: eight phases times ten misbehaviours, and none twice."""
    cells = set(all_cells())
    assert len(cells) == 80
    assert cells == {
        (phase, action)
        for phase in ("banner", "EHLO", "STARTTLS", "AUTH", "MAIL", "RCPT", "DATA", "dot")
        for action in (
            *("421", "450", "451", "452", "550", "552", "554"),
            *("drop", "hang", "garbage"),
        )
    }
    assert (len(PHASES), len(ACTIONS)) == (8, 10)


@pytest.mark.parametrize("wrong", [{"expired": True}, {"host": "elsewhere.example.com"}], ids=str)
def test_a_certificate_that_is_not_right_stops_the_run_and_marks_nothing(
    wrong: dict[str, Any], authority: Authority, world_at: Callable[..., RelayedWorld]
) -> None:
    """Exit 5, no mail in plain text, and the next run sends all once the certificate is right."""
    with scripted(authority, tls=authority.server_context(**wrong)) as server:
        relayed = world_at(server)
        first = relayed.send()
        assert first.code == 5
        assert "certificate" in first.err
        assert set(states(relayed.world.facts()).values()) == {NOBODY_TRIED}
        assert not [command for command in server.commands if command.startswith(("MAIL", "AUTH"))]
        server.tls = authority.server_context()
        assert relayed.send().code == 0
        assert relayed.recipients() == [FIRST, SECOND]


def test_a_refused_login_stops_the_run_and_marks_nothing(
    authority: Authority, world_at: Callable[..., RelayedWorld]
) -> None:
    """Exit 5 without the password in any words; the next run sends all once it is right."""
    with scripted(authority, logins={"meetings@example.com": "another"}) as server:
        relayed = world_at(server)
        first = relayed.send()
        assert first.code == 5
        assert PASSWORD not in first.err + first.out
        assert set(states(relayed.world.facts()).values()) == {NOBODY_TRIED}
        server.logins["meetings@example.com"] = PASSWORD
        assert relayed.send().code == 0
        assert relayed.recipients() == [FIRST, SECOND]


def test_a_limit_of_connections_is_kept_to(
    authority: Authority, world_at: Callable[..., RelayedWorld]
) -> None:
    """Three connections are configured and one is allowed: it carries all, and nothing is marked."""
    with scripted(authority, connection_limit=1) as server:
        relayed = world_at(server, attendees=12, more="connections = 3\n")
        answer = relayed.send()
        assert answer.code == 0, answer.err
        assert sorted(relayed.recipients()) == sorted(address_of(number) for number in range(12))
        assert set(states(relayed.world.facts()).values()) == {"sent"}


def test_a_greylisted_message_is_deferred_and_sent_when_its_time_has_come(
    authority: Authority, world_at: Callable[..., RelayedWorld]
) -> None:
    """Exit 4; not tried again at once; after the wait it goes out, and no second time."""
    with scripted(authority, Fault("RCPT", "451", times=2, only=SECOND)) as server:
        relayed = world_at(server)
        assert relayed.send().code == 4
        assert states(relayed.world.facts()) == {FIRST: "sent", SECOND: "deferred"}
        assert relayed.send().code == 4
        assert relayed.recipients() == [FIRST]
        with later():
            assert relayed.send().code == 0
            assert relayed.send().code == 0
        assert relayed.recipients() == [FIRST, SECOND]


@pytest.mark.parametrize("phase", PHASES)
def test_five_messages_lost_in_a_row_stop_the_run_and_none_is_marked_failed(
    phase: str, authority: Authority, world_at: Callable[..., RelayedWorld]
) -> None:
    """Exit 75; the sixth is not tried; the next run, with a server that is well, sends all."""
    with scripted(authority, Fault(phase, "drop")) as server:
        relayed = world_at(server, attendees=7)
        first = relayed.send()
        assert first.code == 75, first.err
        found = Counter(states(relayed.world.facts()).values())
        assert found == {("unknown" if phase == "dot" else "deferred"): 5, NOBODY_TRIED: 2}
        server.recover()
        with later():
            assert relayed.send().code == 0
        assert sorted(relayed.recipients()) == sorted(address_of(number) for number in range(7))
