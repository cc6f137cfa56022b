"""A mail server that misbehaves on request: real sockets, real TLS, one thread per connection.

    with ScriptedServer(faults=[Fault("RCPT", "450", times=1)], tls=certificates) as server:
        ...                         # connect to server.host, server.port
    server.accepted                 # what it said 250 to, in order

PHASES x ACTIONS are the cells of the misbehaviour matrix.
An action is a code to answer with (421 closes after it), or `drop`, `hang` (until the client gives
up), `garbage` (octets that are no reply), or any other text, which is sent as the reply line.
A fault befalls its phase after `skip` undisturbed passages, `times` times (None: for ever), and only
for the mailbox `only`, where it is given (RCPT and later).
After `recipients_per_connection` messages RCPT gets 452 until the client reconnects.
`false_pipelining` offers PIPELINING and, where commands come together, does not keep it: `forgets`
all but the first, `refuses` each after the first with 503, or `drops` the connection.
Change `server.faults` at any time, for a server that recovers.
"""

from __future__ import annotations

import base64
import contextlib
import re
import socket
import ssl
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from email.parser import BytesHeaderParser
from typing import Self

PHASES = ("banner", "EHLO", "STARTTLS", "AUTH", "MAIL", "RCPT", "DATA", "dot")
ACTIONS = ("421", "450", "451", "452", "550", "552", "554", "drop", "hang", "garbage")
GARBAGE = b"\x16\x03\x00\xff hello, is this a terminal?\r\n"


@dataclass
class Fault:
    """One misbehaviour; it counts its passages itself."""

    phase: str
    action: str
    times: int | None = None
    skip: int = 0
    only: str | None = None
    after_accepting: bool = False


@dataclass(frozen=True)
class Accepted:
    """A message that the server took responsibility for."""

    sender: str
    recipient: str
    content: bytes
    over_tls: bool
    logged_in_as: str | None

    @property
    def message_id(self) -> str:
        """The Message-ID header."""
        return str(BytesHeaderParser().parsebytes(self.content)["Message-ID"])


class GoneError(Exception):
    """The client went away, or the script closes the connection."""


@dataclass
class ScriptedServer:
    """See the module; used as a context manager."""

    faults: list[Fault] = field(default_factory=list)
    tls: ssl.SSLContext | None = None
    implicit_tls: bool = False
    logins: dict[str, str] = field(default_factory=dict)
    mechanisms: tuple[str, ...] = ("LOGIN", "PLAIN", "XOAUTH2")
    pipelining: bool = True
    size: int | None = None
    connection_limit: int | None = None
    messages_per_connection: int | None = None
    recipients_per_connection: int | None = None
    dsn: bool = False
    false_pipelining: str = ""
    octet_pause: float = 0.0
    answers_together: bool = False
    takes_data_without_recipient: bool = False
    gives_up_after_octets: int | None = None
    bind: str = "127.0.0.1"
    on_content: Callable[[bytes], None] | None = None

    accepted: list[Accepted] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)
    writes: list[bytes] = field(default_factory=list)
    connections: int = 0
    open_now: int = 0
    host: str = "localhost"

    def __enter__(self) -> Self:
        """Listen on a free port of 127.0.0.1."""
        self.lock = threading.Lock()
        self._listener = socket.create_server((self.bind, 0))
        self.port: int = self._listener.getsockname()[1]
        self._open: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self._acceptor = threading.Thread(target=self._accept, daemon=True)
        self._acceptor.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop listening and cut all connections."""
        self.stop_listening()
        self._acceptor.join(5)
        for connection in list(self._open):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(5)

    def stop_listening(self) -> None:
        """Refuse new connections from now on; those that are open stay."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def recover(self) -> None:
        """Behave well from now on."""
        self.faults.clear()

    def ids(self) -> list[str]:
        """Return the Message-IDs that were accepted, in order."""
        return [message.message_id for message in self.accepted]

    def action_at(self, phase: str, mailbox: str | None = None) -> Fault | None:
        """Return the fault that befalls this passage, and count it."""
        with self.lock:
            for fault in self.faults:
                if fault.phase != phase or fault.times == 0:
                    continue
                if fault.only is not None and fault.only != mailbox:
                    continue
                if fault.skip:
                    fault.skip -= 1
                    continue
                fault.times = None if fault.times is None else fault.times - 1
                return fault
        return None

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.connections += 1
            self._open.add(connection)
            thread = threading.Thread(target=self._serve, args=(connection,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        with self.lock:
            self.open_now += 1
            crowded = self.connection_limit is not None and self.open_now > self.connection_limit
        talk = _Talk(self, connection)
        try:
            with contextlib.suppress(GoneError, OSError):
                talk.run(crowded=crowded)
        finally:
            with self.lock:
                self.open_now -= 1
            self._open.discard(connection)
            with contextlib.suppress(OSError):
                talk.socket.close()
            connection.close()


class _Talk:
    """One connection."""

    def __init__(self, server: ScriptedServer, connection: socket.socket) -> None:
        self.server = server
        self.socket = connection
        self.buffer = b""
        self.unsent = b""
        self.over_tls = False
        self.user: str | None = None
        self.sender: str | None = None
        self.recipient: str | None = None
        self.count = 0

    def run(self, *, crowded: bool) -> None:
        if self.server.implicit_tls:
            self.secure()
        if crowded:
            self.say("421 4.7.0 too many connections from you")
            return
        if not self.disturbed("banner"):
            self.say("220 scripted.example ESMTP")
        while True:
            line = self.line()
            self.server.commands.append(line.decode("latin-1"))
            if self.is_beside_others(line):
                continue
            verb = line.split(b" ", 1)[0].upper().decode("latin-1")
            handler = getattr(self, f"do_{verb.lower()}", None)
            if handler is None:
                self.say("500 5.5.2 what?")
            else:
                handler(line.decode("latin-1"))

    def do_ehlo(self, _line: str) -> None:
        if self.disturbed("EHLO"):
            return
        offers = ["scripted.example greets you"]
        offers += ["PIPELINING"] if self.server.pipelining else []
        offers += ["DSN"] if self.server.dsn else []
        offers += [f"SIZE {self.server.size}"] if self.server.size is not None else []
        if self.server.tls and not self.over_tls:
            offers.append("STARTTLS")
        if self.server.logins and (self.over_tls or not self.server.tls):
            offers.append("AUTH " + " ".join(self.server.mechanisms))
        for offer in offers[:-1]:
            self.say(f"250-{offer}")
        self.say(f"250 {offers[-1]}")

    def do_starttls(self, _line: str) -> None:
        if self.disturbed("STARTTLS"):
            return
        self.say("220 2.0.0 go ahead")
        self.secure()

    def do_auth(self, line: str) -> None:
        if self.disturbed("AUTH"):
            return
        _, mechanism, *initial = line.split(" ")
        user, secret = getattr(self, f"auth_{mechanism.lower()}")(initial)
        if self.server.logins.get(user) == secret:
            self.user = user
            self.say("235 2.7.0 welcome")
            return
        if mechanism == "XOAUTH2":
            self.say("334 " + base64.b64encode(b'{"status":"401","schemes":"bearer"}').decode())
            self.line()
        # A careless server: it repeats what it was given.
        echo = base64.b64encode(secret.encode()).decode()
        self.say(f"535 5.7.3 Authentication unsuccessful for {secret} ({echo})")

    def auth_login(self, _initial: list[str]) -> tuple[str, str]:
        answers = []
        for prompt in ("Username:", "Password:"):
            self.say("334 " + base64.b64encode(prompt.encode()).decode())
            answers.append(base64.b64decode(self.line()).decode())
        return answers[0], answers[1]

    def auth_plain(self, initial: list[str]) -> tuple[str, str]:
        _, user, secret = base64.b64decode(initial[0]).decode().split("\0")
        return user, secret

    def auth_xoauth2(self, initial: list[str]) -> tuple[str, str]:
        match = re.fullmatch(
            r"user=([^\x01]*)\x01auth=Bearer ([^\x01]*)\x01\x01",
            base64.b64decode(initial[0]).decode(),
        )
        assert match is not None
        return match[1], match[2]

    def do_mail(self, line: str) -> None:
        limit = self.server.messages_per_connection
        if limit is not None and self.count >= limit:
            self.say("421 4.7.0 too many messages in this connection")
            raise GoneError
        if self.disturbed("MAIL"):
            return
        if self.server.logins and self.user is None:
            self.say("530 5.7.57 Client not authenticated to send mail")
            return
        self.sender = _mailbox(line)
        self.say("250 2.1.0 Ok")

    def do_rcpt(self, line: str) -> None:
        if self.sender is None:
            self.say("503 5.5.1 MAIL first")
            return
        mailbox = _mailbox(line)
        if self.disturbed("RCPT", mailbox):
            return
        limit = self.server.recipients_per_connection
        if limit is not None and self.count >= limit:
            self.say("452 4.5.3 too many recipients")
            return
        self.recipient = mailbox
        self.say("250 2.1.5 Ok")

    def do_data(self, _line: str) -> None:
        if self.recipient is None:
            self.refuse_data()
            return
        if self.disturbed("DATA", self.recipient):
            return
        self.say("354 go on")
        content = self.content()
        if self.server.on_content is not None:
            self.server.on_content(content)
        mailbox, self.count = self.recipient, self.count + 1
        message = Accepted(self.sender or "", mailbox, content, self.over_tls, self.user)
        self.sender = self.recipient = None
        fault = self.server.action_at("dot", mailbox)
        if fault is None or fault.after_accepting:
            self.server.accepted.append(message)
        if fault is not None:
            self.misbehave(fault)
        else:
            self.say(f"250 2.0.0 Ok: queued as {len(self.server.accepted)}")

    def refuse_data(self) -> None:
        if not self.server.takes_data_without_recipient:
            self.say("503 5.5.1 RCPT first")
            return
        self.say("354 go on")
        self.server.commands.append(f"content of {len(self.content())} octets to nobody")
        self.say("554 5.5.1 no valid recipients")

    def do_rset(self, _line: str) -> None:
        self.sender = self.recipient = None
        self.say("250 2.0.0 Ok")

    def do_quit(self, _line: str) -> None:
        self.say("221 2.0.0 Bye")
        raise GoneError

    def content(self) -> bytes:
        while b"\r\n.\r\n" not in b"\r\n" + self.buffer:
            self.receive()
            limit = self.server.gives_up_after_octets
            if limit is not None and len(self.buffer) > limit:
                self.say("552 5.3.4 that is too much")
                raise GoneError
        whole, self.buffer = (b"\r\n" + self.buffer).split(b"\r\n.\r\n", 1)
        return (whole[2:] + b"\r\n").replace(b"\r\n..", b"\r\n.").removeprefix(b".")

    def is_beside_others(self, line: bytes) -> bool:
        """Tell whether a server that does not keep pipelining is done with this command."""
        match self.server.false_pipelining:
            case "forgets":
                self.buffer = b""
            case "refuses" if self.buffer and not line.startswith(b"MAIL"):
                self.say("503 5.5.1 bad sequence of commands")
                return True
            case "drops" if self.buffer:
                raise GoneError
        return False

    def disturbed(self, phase: str, mailbox: str | None = None) -> bool:
        fault = self.server.action_at(phase, mailbox)
        if fault is not None:
            self.misbehave(fault)
        return fault is not None

    def misbehave(self, fault: Fault) -> None:
        match fault.action:
            case "drop":
                self.close_abruptly()
                raise GoneError
            case "hang":
                while True:
                    self.receive()
            case "garbage":
                self.socket.sendall(GARBAGE)
            case code if code in ACTIONS:
                self.say(f"{code} {code[0]}.0.0 as the script says")
                if code == "421":
                    raise GoneError
            case text:
                self.say(text)

    def close_abruptly(self) -> None:
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)

    def secure(self) -> None:
        assert self.server.tls is not None
        try:
            self.socket = self.server.tls.wrap_socket(self.socket, server_side=True)
        except (OSError, ValueError):
            raise GoneError from None
        self.server._open.add(self.socket)
        self.over_tls, self.buffer = True, b""

    def line(self) -> bytes:
        while b"\r\n" not in self.buffer:
            self.receive()
        line, self.buffer = self.buffer.split(b"\r\n", 1)
        return line

    def receive(self) -> None:
        self.flush()
        octets = self.socket.recv(65536)
        if not octets:
            raise GoneError
        self.server.writes.append(octets)
        self.buffer += octets

    def say(self, text: str) -> None:
        self.unsent += text.encode("latin-1") + b"\r\n"
        if not self.server.answers_together or text.startswith(("220", "221", "421")):
            self.flush()

    def flush(self) -> None:
        octets, self.unsent = self.unsent, b""
        if not self.server.octet_pause:
            self.socket.sendall(octets)
            return
        for octet in octets:
            threading.Event().wait(self.server.octet_pause)
            self.socket.sendall(bytes([octet]))


def _mailbox(line: str) -> str:
    match = re.search(r"<([^>]*)>", line)
    return match[1] if match else ""


def all_cells() -> Iterable[tuple[str, str]]:
    """Return the 80 cells of the matrix as (phase, action)."""
    return [(phase, action) for phase in PHASES for action in ACTIONS]
