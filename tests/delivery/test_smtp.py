"""Delivery by SMTP: the contract over several servers, what is on the wire, and the journal's part."""

from __future__ import annotations

import email
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import Envelope

from invites.delivery.base import Delivery
from invites.delivery.smtp import SmtpDelivery
from invites.delivery.smtp_connection import Relay
from tests.delivery.conftest import (
    SENDER,
    Recorder,
    deliver,
    message,
    message_id_of,
    messages,
    plain_relay,
)
from tests.delivery.contract import DeliveryContract, never
from tests.peers.smtp_server import Fault, ScriptedServer


class Sink:
    """An aiosmtpd handler that keeps Message-IDs."""

    def __init__(self) -> None:
        """Start with none."""
        self.ids: list[str] = []

    async def handle_DATA(  # noqa: N802 - aiosmtpd's name
        self, _server: object, _session: object, envelope: Envelope
    ) -> str:
        """Keep the Message-ID."""
        message = email.message_from_bytes(envelope.original_content or b"")
        self.ids.append(str(message["Message-ID"]))
        return "250 2.0.0 kept"


def free_port() -> int:
    """Return a port of 127.0.0.1 that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


class TestAiosmtpd(DeliveryContract):
    """The contract, against another project's server, which offers no pipelining."""

    @pytest.fixture
    def delivery(self) -> Iterator[Delivery]:
        """Return a delivery to the sink."""
        self.sink = Sink()
        port = free_port()
        controller = Controller(self.sink, hostname="127.0.0.1", port=port)
        controller.start()
        yield SmtpDelivery(Relay(host="127.0.0.1", port=port, security="none"))
        controller.stop()

    def arrived(self) -> list[str]:
        """Return what the sink got."""
        return self.sink.ids


class TestPipelining(DeliveryContract):
    """The contract, against a server that offers pipelining."""

    connections = 1

    @pytest.fixture
    def delivery(self) -> Iterator[Delivery]:
        """Return a delivery to the scripted server."""
        with ScriptedServer() as self.server:
            yield SmtpDelivery(plain_relay(self.server, connections=self.connections))

    def arrived(self) -> list[str]:
        """Return what the server accepted."""
        return self.server.ids()


class TestThreeConnections(TestPipelining):
    """The contract, over three connections at once."""

    connections = 3


def test_a_message_travels_with_its_envelope_and_its_very_bytes(journal: Recorder) -> None:
    """Lines that begin with dots arrive as they were (RFC 5321 4.5.2)."""
    body = ".\r\n..\r\n.dot\r\n\r\n.\r\n"
    with ScriptedServer() as server:
        sent = message(1, body=body)
        SmtpDelivery(plain_relay(server)).deliver([sent], journal, stop=never)
    (arrived,) = server.accepted
    assert arrived.content == sent.content
    assert (arrived.sender, arrived.recipient) == (SENDER, sent.recipient)


def test_one_recipient_per_transaction_over_one_connection(journal: Recorder) -> None:
    """Nobody shares an envelope, and the connection is opened once."""
    with ScriptedServer(pipelining=False) as server:
        deliver(plain_relay(server), journal, 4)
    verbs = [command.split(" ")[0] for command in server.commands]
    assert verbs == ["EHLO", *["MAIL", "RCPT", "DATA"] * 4, "QUIT"]
    assert server.connections == 1


def test_pipelining_takes_one_write_per_message(journal: Recorder) -> None:
    """The commands of the next message travel right behind the dot of this one (RFC 2920 3.1)."""
    with ScriptedServer() as server:
        deliver(plain_relay(server), journal, 4)
    first, *between, last, goodbye = server.writes[1:]
    assert first.startswith(b"MAIL FROM:")
    assert first.endswith(b"\r\nDATA\r\n")
    assert len(between) == 3
    for write in between:
        assert b"\r\n.\r\nMAIL FROM:" in write
        assert write.endswith(b"\r\nDATA\r\n")
    assert last.endswith(b"\r\n.\r\n")
    assert goodbye == b"QUIT\r\n"


def test_one_commit_per_message_where_the_server_answers_together(journal: Recorder) -> None:
    """The outcome of a message and the announcement of the next one are one note."""
    with ScriptedServer(answers_together=True) as server:
        deliver(plain_relay(server), journal, 20)
    assert len(journal.notes) == 21
    assert all(len(outcomes) == len(sending) == 1 for outcomes, sending in journal.notes[1:-1])


def test_an_outcome_does_not_wait_for_a_slow_answer_to_the_next_message() -> None:
    """While the server is silent about the next receiver, the last message is noted already."""
    times: dict[object, float] = {}

    class Timed(Recorder):
        def note(self, **facts: Any) -> None:
            super().note(**facts)
            for one in (*facts["sending"], *facts["outcomes"]):
                times[one] = time.monotonic()

    journal, fault = Timed(), Fault("RCPT", "hang", skip=1, times=1)
    with ScriptedServer(faults=[fault]) as server:
        deliver(plain_relay(server, timeout=0.4), journal, 2)
    assert journal.kinds() == {1: "Sent", 2: "Sent"}
    assert times[2] - times[journal.outcomes[1]] > 0.3


@pytest.mark.parametrize("connections", [1, 3])
def test_no_more_messages_are_in_doubt_than_there_are_connections(
    connections: int, journal: Recorder
) -> None:
    """A crash at any moment leaves at most one announced message without outcome per connection."""
    with ScriptedServer() as server:
        deliver(plain_relay(server, connections=connections), journal, 30)
    in_doubt = 0
    for outcomes, sending in journal.notes:
        in_doubt += len(sending) - len(outcomes)
        assert in_doubt <= connections


def test_a_journal_that_fails_ends_all_lines(journal: Recorder) -> None:
    """With three connections too: its error comes up, and it is not asked again."""
    journal.fails_at = 4
    server = ScriptedServer()
    with server, pytest.raises(OSError, match="No space left"):
        deliver(plain_relay(server, connections=3), journal, 40)
    assert len(journal.notes) == 4
    assert len(server.accepted) <= len(journal.sending)


@pytest.mark.parametrize("pipelining", [True, False], ids=["pipelining", "stepwise"])
def test_content_waits_for_the_journal(*, pipelining: bool, journal: Recorder) -> None:
    """Whatever content reaches the server was announced before."""
    unannounced: list[bytes] = []

    def look(content: bytes) -> None:
        announced = {message_id_of(key).encode() for key in journal.sending}
        if not any(each in content for each in announced):
            unannounced.append(content)

    with ScriptedServer(pipelining=pipelining, on_content=look) as server:
        deliver(plain_relay(server), journal, 6)
    assert unannounced == []
    assert len(server.accepted) == 6


def test_a_journal_that_fails_in_the_middle_stops_before_the_next_content(
    journal: Recorder,
) -> None:
    """Where `sent` can't be committed nothing more goes out, though the server waits for it."""
    journal.fails_at = 3
    with ScriptedServer() as server:
        with pytest.raises(OSError, match="No space left"):
            deliver(plain_relay(server), journal, 9)
        for _ in range(50):
            time.sleep(0.01)
            if server.open_now == 0:
                break
    assert len(server.accepted) == len(journal.sending)
    assert len(server.accepted) <= 3


def test_messages_and_journal_stay_in_the_calling_thread() -> None:
    """With several connections, composing and the ledger see one thread only."""
    threads: set[int] = set()

    class Noticing(Recorder):
        def note(self, **facts: object) -> None:
            threads.add(threading.get_ident())
            super().note(**facts)

    def noticed() -> Iterator[object]:
        for each in messages(20):
            threads.add(threading.get_ident())
            yield each

    with ScriptedServer() as server:
        relay = plain_relay(server, connections=3)
        SmtpDelivery(relay).deliver(noticed(), Noticing(), stop=never)
    assert threads == {threading.get_ident()}
    assert server.connections == 3
