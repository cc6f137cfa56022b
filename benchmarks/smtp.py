"""Messages a second to a local sink: ours by connections and pipelining, beside plain smtplib.

    python benchmarks/smtp.py [--messages 2000] [--latency 0] [--runs 3]

The sink is a process of its own that reads and forgets, wants a login, and offers PIPELINING.
`--latency` is what it waits before each answer, in milliseconds, as a network does.
The journal is one in memory: what the ledger adds is measured apart.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import smtplib
import statistics
import time
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection

from invites.delivery.base import Key, Outcome, OutgoingMessage
from invites.delivery.smtp import SmtpDelivery
from invites.delivery.smtp_connection import Relay

USER, PASSWORD = "meetings@example.com", "benchmark"
BODY = ("A" * 76 + "\r\n") * 130
"""About 10 kB, as an invitation has."""


class Sink(asyncio.Protocol):
    """Answers as fast as it can; what arrives together is answered together."""

    latency = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Greet."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - for the type
        self.transport = transport
        self.buffer = bytearray()
        self.in_data = False
        self.answer([b"220 sink"])

    def data_received(self, data: bytes) -> None:
        """Answer every command and content that is whole."""
        self.buffer += data
        answers: list[bytes] = []
        while (found := self.buffer.find(b"\r\n.\r\n" if self.in_data else b"\r\n")) >= 0:
            line = bytes(self.buffer[:found])
            del self.buffer[: found + (5 if self.in_data else 2)]
            answers += self.answers_to(line)
        if answers:
            self.answer(answers)

    def answers_to(self, line: bytes) -> list[bytes]:
        """Return the reply's lines."""
        if self.in_data:
            self.in_data = False
            return [b"250 kept"]
        match line[:4].upper():
            case b"EHLO":
                return [b"250-sink", b"250-PIPELINING", b"250 AUTH PLAIN"]
            case b"AUTH":
                return [b"235 welcome"]
            case b"QUIT":
                return [b"221 bye"]
            case b"DATA":
                self.in_data = True
                return [b"354 go on"]
            case _:
                return [b"250 ok"]

    def answer(self, lines: Sequence[bytes]) -> None:
        """Write, after the latency."""
        octets = b"".join(line + b"\r\n" for line in lines)
        if self.latency:
            asyncio.get_running_loop().call_later(self.latency, self.transport.write, octets)
        else:
            self.transport.write(octets)


def serve(port: Connection, latency: float) -> None:
    """Run the sink until the process is ended."""

    async def listen() -> None:
        Sink.latency = latency
        server = await asyncio.get_running_loop().create_server(Sink, "127.0.0.1", 0)
        port.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    asyncio.run(listen())


class Forgetful:
    """A journal that keeps nothing."""

    def note(self, *, outcomes: Sequence[Outcome], sending: Sequence[Key]) -> None:
        """Forget."""


def messages(count: int) -> list[OutgoingMessage]:
    """Return so many messages."""
    return [
        OutgoingMessage(
            key=number,
            sender=USER,
            recipient=f"attendee{number}@example.org",
            message_id=f"<{number}@example.com>",
            content=f"From: {USER}\r\nMessage-ID: <{number}@example.com>\r\n\r\n{BODY}".encode(),
        )
        for number in range(count)
    ]


def smtplib_login_each(port: int, messages: Sequence[OutgoingMessage]) -> None:
    """Send as a short script does: connect, log in, send, quit for each message."""
    for message in messages:
        with smtplib.SMTP("127.0.0.1", port) as server:
            server.login(USER, PASSWORD)
            server.sendmail(message.sender, message.recipient, message.content)


def smtplib_reused(port: int, messages: Sequence[OutgoingMessage]) -> None:
    """Send all over one connection with one login."""
    with smtplib.SMTP("127.0.0.1", port) as server:
        server.login(USER, PASSWORD)
        for message in messages:
            server.sendmail(message.sender, message.recipient, message.content)


def ours(*, connections: int, pipelining: bool) -> Callable[[int, Sequence[OutgoingMessage]], None]:
    """Return our delivery with these settings."""

    def send(port: int, messages: Sequence[OutgoingMessage]) -> None:
        relay = Relay(
            host="127.0.0.1",
            port=port,
            security="none",
            username=USER,
            auth="plain",
            secret=lambda: PASSWORD,
            connections=connections,
            pipelining=pipelining,
        )
        SmtpDelivery(relay).deliver(messages, Forgetful(), stop=lambda: False)

    return send


CONTENDERS: dict[str, Callable[[int, Sequence[OutgoingMessage]], None]] = {
    "smtplib, a login for each message": smtplib_login_each,
    "smtplib, one login": smtplib_reused,
    **{
        f"ours, {connections} connection{'s' * (connections > 1)}, {words}": ours(
            connections=connections, pipelining=pipelining
        )
        for pipelining, words in ((False, "stepwise"), (True, "pipelining"))
        for connections in (1, 2, 4)
    },
}


def measured(port: int, messages: Sequence[OutgoingMessage], runs: int) -> dict[str, float]:
    """Return messages a second of each contender: the median of `runs`, taken in turns."""
    rates: dict[str, list[float]] = {name: [] for name in CONTENDERS}
    for _ in range(runs):
        for name, send in CONTENDERS.items():
            started = time.perf_counter()
            send(port, messages)
            rates[name].append(len(messages) / (time.perf_counter() - started))
    return {name: statistics.median(each) for name, each in rates.items()}


def main() -> None:
    """Start the sink, measure, print a table."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--messages", type=int, default=2000)
    options.add_argument("--latency", type=float, default=0.0, help="milliseconds")
    options.add_argument("--runs", type=int, default=3)
    chosen = options.parse_args()
    ours_end, sinks_end = multiprocessing.Pipe()
    sink = multiprocessing.Process(target=serve, args=(sinks_end, chosen.latency / 1000))
    sink.start()
    try:
        for name, rate in measured(ours_end.recv(), messages(chosen.messages), chosen.runs).items():
            print(f"{name:<40} {rate:>8,.0f} messages/s")
    finally:
        sink.terminate()
        sink.join()


if __name__ == "__main__":
    main()
