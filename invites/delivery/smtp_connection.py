"""Octets between us and a mail server: lines in, lines out, each within its deadline.

Knows sockets, TLS and the form of a reply (RFC 5321 4.2), and nothing of what is being said.
`smtplib` is not used: it can't tell a drop before the dot from one after it, restarts its timeout
at each octet, falls back to HELO without a word and leaves the socket open after a 421.
Behind it, how fast a relay may be fed: limits such as `30/m, 10000/d`, counted over runs.
"""

from __future__ import annotations

import contextlib
import ipaddress
import re
import socket
import ssl
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Final, Literal, Self

from invites.delivery.base import Phase, SentSince
from invites.settings.quantities import RateLimit

REPLY_AT_MOST: Final = 64 * 1024
"""Octets of one reply; RFC 5321 4.5.3.1.5 allows 512 a line, and no server needs this many."""

TLS_RECORD: Final = 16 * 1024
"""Octets that one TLS record holds (RFC 8446 5.1)."""

_REPLY_LINE: Final = re.compile(rb"([2-5][0-9]{2})(?:([ -])(.*))?", re.DOTALL)


class LostError(Exception):
    """The connection is of no more use: dropped, timed out, or what came is no SMTP.

    `phase` is where; `why` is a sentence for the history; `dot_out` is true once the message's end
    was handed to the network, so that the server may have accepted it.
    `refused` is true where no connection came about at all, `closing` where the server said that it
    closes it (421).
    """

    def __init__(
        self,
        phase: Phase,
        why: str,
        *,
        dot_out: bool = False,
        refused: bool = False,
        closing: bool = False,
    ) -> None:
        """Say what happened; `why` is already free of secrets."""
        self.phase = phase
        self.why = why
        self.dot_out = dot_out
        self.refused = refused
        self.closing = closing
        super().__init__(f"{why} ({phase})")


@dataclass(frozen=True, slots=True)
class Reply:
    """A server's reply: its code, and its lines without code, decoded leniently."""

    code: int
    lines: tuple[str, ...]

    @property
    def text(self) -> str:
        """The reply as one line, not yet masked."""
        return f"{self.code} {' '.join(self.lines)}".strip()


Security = Literal["starttls", "tls", "none"]
Mechanism = Literal["login", "plain", "xoauth2"]


def no_secret() -> str:
    """Return the secret of a relay that wants no login."""
    return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Relay:
    """A mail server and how to talk to it.

    `username` None means no login.  `secret` gives the password, or for xoauth2 a fresh access
    token; it is called at each login and its answer is kept nowhere.
    `timeout` and `data_timeout` are seconds for one whole phase, however slowly a server trickles.
    `ca_file` stands in for the system's certificate authorities, as SSL_CERT_FILE does.
    `pipelining` false forgoes RFC 2920 where the server offers it.
    """

    host: str
    port: int = 587
    security: Security = "starttls"
    allow_plaintext: bool = False
    username: str | None = None
    auth: Mechanism = "login"
    secret: Callable[[], str] = field(default=no_secret, repr=False)
    rate: tuple[RateLimit, ...] = ()
    connections: int = 1
    timeout: float = 60.0
    data_timeout: float = 600.0
    ca_file: Path | None = None
    pipelining: bool = True

    @property
    def name(self) -> str:
        """The relay as messages name it."""
        return f"{self.host}:{self.port}"


class Connection:
    """One TCP connection, in plain text or under TLS."""

    def __init__(self, connection: socket.socket) -> None:
        """Take over a connected socket."""
        self._socket = connection
        self._buffer = bytearray()
        self._deadline = time.monotonic()
        self.phase = Phase.CONNECT

    @classmethod
    def to(cls, host: str, port: int, *, timeout: float) -> Self:
        """Connect to the first address of `host` that answers within `timeout` seconds in all."""
        deadline = time.monotonic() + timeout
        try:
            addresses = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError):
            why = f"the name {host} can't be resolved"
            raise LostError(Phase.CONNECT, why, refused=True) from None
        trouble = "no address"
        for family, kind, protocol, _, address in addresses:
            try:
                connection = socket.socket(family, kind, protocol)
            except OSError as error:
                trouble = _words(error)
                continue
            try:
                connection.settimeout(max(deadline - time.monotonic(), 0.001))
                connection.connect(address)
            except OSError as error:
                connection.close()
                trouble = _words(error)
            else:
                # A dot in a segment of its own would wait for the other side's delayed ACK.
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                return cls(connection)
        raise LostError(Phase.CONNECT, f"no connection: {trouble}", refused=True)

    def start_phase(self, phase: Phase, *, timeout: float) -> None:
        """Begin `phase`; everything until the next one must happen within `timeout` seconds."""
        self.phase = phase
        self._deadline = time.monotonic() + timeout

    @property
    def is_loopback(self) -> bool:
        """Whether the other side is this machine."""
        host = str(self._socket.getpeername()[0]).partition("%")[0]
        address = ipaddress.ip_address(host)
        mapped = getattr(address, "ipv4_mapped", None)
        return (mapped or address).is_loopback

    @property
    def address_literal(self) -> str:
        """Our own end as an address literal (RFC 5321 4.1.3)."""
        host = str(self._socket.getsockname()[0]).partition("%")[0]
        return f"[IPv6:{host}]" if ":" in host else f"[{host}]"

    @property
    def has_more(self) -> bool:
        """Whether octets that were not read yet are here already."""
        return bool(self._buffer)

    def has_lines(self, count: int) -> bool:
        """Whether `count` whole lines that were not read yet are here already."""
        return self._buffer.count(b"\n") >= count

    def start_tls(self, context: ssl.SSLContext, host: str) -> None:
        """Put TLS on the connection; ssl.SSLError where it fails for another reason than a drop."""
        self._socket.settimeout(self._remaining())
        try:
            self._socket = context.wrap_socket(self._socket, server_hostname=host)
        except (ssl.SSLEOFError, ssl.SSLZeroReturnError):
            raise LostError(self.phase, "the server closed the connection") from None
        except ssl.SSLError:
            raise
        except OSError as error:
            raise LostError(self.phase, _words(error)) from None

    def send(self, octets: bytes, *, ends_at: int | None = None) -> None:
        """Send `octets`; where they fail, `dot_out` says whether the first `ends_at` had gone.

        A TLS record goes whole or not at all, a longer write may go in part without telling: so no
        write is longer than a record.
        """
        view, gone = memoryview(octets), 0
        while gone < len(octets):
            try:
                self._socket.settimeout(self._remaining())
                gone += self._socket.send(view[gone : gone + TLS_RECORD])
            except (OSError, LostError) as error:
                why = error.why if isinstance(error, LostError) else _words(error)
                dot_out = ends_at is not None and gone >= ends_at
                raise LostError(self.phase, why, dot_out=dot_out) from None

    def reply(self) -> Reply:
        """Read one reply, which may have several lines (RFC 5321 4.2.1)."""
        lines: list[str] = []
        code, more, size = b"", True, 0
        while more:
            line = self._line()
            match = _REPLY_LINE.fullmatch(line)
            if match is None or (code and match[1] != code):
                raise LostError(self.phase, "the server's answer is no SMTP reply")
            code, more, size = match[1], match[2] == b"-", size + len(line)
            lines.append((match[3] or b"").decode("utf-8", "replace"))
            if size > REPLY_AT_MOST:
                raise LostError(self.phase, "the server's reply has no end")
        return Reply(int(code), tuple(lines))

    def parting_reply(self) -> Reply | None:
        """Return what the server said before it closed on us, where it is here already."""
        self._deadline = time.monotonic() + 0.2
        try:
            return self.reply()
        except LostError:
            return None

    def close(self) -> None:
        """Close at once, without another word."""
        with contextlib.suppress(OSError):
            self._socket.close()

    def _line(self) -> bytes:
        while (end := self._buffer.find(b"\n")) < 0:
            if len(self._buffer) > REPLY_AT_MOST:
                raise LostError(self.phase, "the server's reply has no end")
            self._receive()
        line = bytes(self._buffer[:end]).rstrip(b"\r")
        del self._buffer[: end + 1]
        return line

    def _receive(self) -> None:
        try:
            self._socket.settimeout(self._remaining())
            octets = self._socket.recv(65536)
        except OSError as error:
            raise LostError(self.phase, _words(error)) from None
        if not octets:
            raise LostError(self.phase, "the server closed the connection")
        self._buffer += octets

    def _remaining(self) -> float:
        remaining = self._deadline - time.monotonic()
        if remaining <= 0:
            raise LostError(self.phase, "no answer in time")
        return remaining


def _words(error: OSError) -> str:
    match error:
        case TimeoutError():
            return "no answer in time"
        case ConnectionRefusedError():
            return "the connection was refused"
        case ConnectionError() | ssl.SSLError():
            return "the server closed the connection"
        case _:
            return (error.strerror or "the network failed").lower()


WAITED_FOR: Final = timedelta(hours=1)
"""The longest period whose limit is waited for; a day's limit ends the run."""


class Pace:
    """Says for each message how long to wait, so that no window of a limit's length holds too many.

    What earlier runs handed over within a period counts as if it had gone out just now: a little
    slow at a run's start, and never over the limit.
    """

    def __init__(
        self,
        limits: Sequence[RateLimit],
        *,
        sent_since: SentSince,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`clock` gives seconds that never go back."""
        self._clock = clock
        self._windows = [
            _Window(limit, already=sent_since(limit.period), at=clock()) for limit in limits
        ]

    def wait(self) -> float:
        """Return the seconds until the next message may start; 0 for now, infinite for not today."""
        now = self._clock()
        return max((window.wait(now) for window in self._windows), default=0.0)

    def count(self) -> None:
        """Count a message that starts now."""
        now = self._clock()
        for window in self._windows:
            window.starts.append(now)

    @property
    def spent(self) -> RateLimit | None:
        """The limit that is used up for longer than a run waits, if there is one."""
        now = self._clock()
        limits = (window.limit for window in self._windows if window.wait(now) == float("inf"))
        return next(limits, None)


class _Window:
    """The starts of the last `count` messages under one limit."""

    def __init__(self, limit: RateLimit, *, already: int, at: float) -> None:
        self.limit = limit
        self.starts: deque[float] = deque([at] * min(already, limit.count), maxlen=limit.count)

    def wait(self, now: float) -> float:
        if len(self.starts) < self.limit.count:
            return 0.0
        remaining = self.starts[0] + self.limit.period.total_seconds() - now
        if remaining > 0 and self.limit.period > WAITED_FOR:
            return float("inf")
        return max(remaining, 0.0)
