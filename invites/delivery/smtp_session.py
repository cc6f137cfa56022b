"""A session with a relay: one message after the other, each in a transaction of its own.

Pipelining (RFC 2920): MAIL, RCPT and DATA go out in one write, and those of the next message right
behind the dot of this one.
The content waits for the 354 and for the ledger, so at any moment at most one message per connection
is in doubt.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import datetime
from email.utils import format_datetime
from hashlib import sha256
from typing import Final

from invites.delivery.base import OutgoingMessage, Phase
from invites.delivery.smtp_connection import Connection, LostError, Relay, Reply
from invites.delivery.smtp_login import CLOSING, Extensions
from invites.errors import LoginError, MessageFaultError
from invites.text import masked

_MAILBOX: Final = re.compile(r"[!-;=?-~]+@[!-;=?A-~]+")
"""Printable ASCII without blanks and angle brackets: nothing that could end the command."""

_OUT_OF_STEP: Final = re.compile(r"\b5\.5\.[01]\b")
_DATE: Final = re.compile(rb"^Date: [^\r\n]*", re.MULTILINE)

LOGIN_WANTED: Final = (530, 535, 538)
"""Answers about the session, whatever command they come to (RFC 4954 6)."""

ENDING: Final = {Phase.MAIL: 2, Phase.RCPT: 2, Phase.DATA: 3, Phase.DOT: 2}
"""The first digit of the reply that lets a message go on."""

QUIT_TIMEOUT: Final = 5.0


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of one message: the reply's code and text, and the phase it came in."""

    code: int
    words: str
    phase: Phase


class Session:
    """A connection that is open and logged in."""

    def __init__(
        self,
        connection: Connection,
        extensions: Extensions,
        relay: Relay,
        *,
        pipelining: bool = True,
    ) -> None:
        """Take over what `open_session` returned; `pipelining` false goes step by step."""
        self._connection = connection
        self._relay = relay
        self._offers_size = "SIZE" in extensions
        size = extensions.get("SIZE", "")
        self._size_limit = int(size) if size.isascii() and size.isdigit() else 0
        self._sent_ahead: OutgoingMessage | None = None
        self._offers_dsn = "DSN" in extensions
        self.pipelining = relay.pipelining and pipelining and "PIPELINING" in extensions
        self.usable = True

    @property
    def next_is_answered(self) -> bool:
        """Whether the three replies to a message that was sent ahead are here already."""
        return self._sent_ahead is not None and self._connection.has_lines(3)

    def objection(self, message: OutgoingMessage) -> Answer | None:
        """Return why `message` is not even offered to the server; None where it is.

        The server's SIZE is checked here, for many only notice after the last octet (RFC 1870).
        """
        for mailbox, phase in ((message.sender, Phase.MAIL), (message.recipient, Phase.RCPT)):
            if not _MAILBOX.fullmatch(mailbox):
                return Answer(553, "not offered: the mailbox has characters SMTP forbids", phase)
        size = len(message.content)
        if 0 < self._size_limit < size:
            words = f"not offered: {size} octets, and the server takes {self._size_limit} (SIZE)"
            return Answer(552, words, Phase.MAIL)
        return None

    def refusal(self, message: OutgoingMessage) -> Answer | None:
        """Open the transaction of `message`; None once the server waits for its content.

        Raises LostError where the connection is of no more use, LoginError where the server wants
        another login.
        """
        if (objection := self.objection(message)) is not None:
            return objection
        if self._sent_ahead is not message and self.pipelining:
            self._begin(Phase.MAIL)
            self._connection.send(b"".join(line for _, line in self._commands(message)))
            self._sent_ahead = message
        if self._sent_ahead is message:
            self._sent_ahead = None
            return self._pipelined_refusal()
        return self._stepwise_refusal(message)

    def content(self, message: OutgoingMessage, *, ahead: OutgoingMessage | None) -> Answer:
        """Send the content of `message`, and the commands of `ahead` behind it; return the answer.

        Raises LostError, whose `dot_out` tells whether the server may have accepted the message.
        """
        self._connection.start_phase(Phase.DOT, timeout=self._relay.data_timeout)
        octets = stuffed(message.content) + b".\r\n"
        ends_at = len(octets)
        if ahead is not None:
            octets += b"".join(line for _, line in self._commands(ahead))
        try:
            self._connection.send(octets, ends_at=ends_at)
        except LostError as lost:
            return self._parting_answer(lost)
        self._sent_ahead = ahead
        try:
            reply = self._connection.reply()
        except LostError as lost:
            raise LostError(lost.phase, lost.why, dot_out=True) from None
        return self._judged(reply) or Answer(reply.code, masked(reply.text), Phase.DOT)

    def quit(self) -> None:
        """Take leave and close; whatever goes wrong with that is of no interest."""
        try:
            self._connection.start_phase(Phase.DOT, timeout=min(QUIT_TIMEOUT, self._relay.timeout))
            self._connection.send(b"QUIT\r\n")
            self._connection.reply()
        except LostError:
            pass
        finally:
            self.close()

    def close(self) -> None:
        """Close without a word: a transaction that is open ends unsent (RFC 5321 4.1.1.4)."""
        self._connection.close()

    def _commands(self, message: OutgoingMessage) -> tuple[tuple[Phase, bytes], ...]:
        options = f" SIZE={len(message.content)}" if self._offers_size else ""
        if self._offers_dsn:  # a bounce with the whole message would carry the link about
            options += f" RET=HDRS ENVID={_envelope_id(message.message_id)}"
        return (
            (Phase.MAIL, f"MAIL FROM:<{message.sender}>{options}\r\n".encode("ascii")),
            (Phase.RCPT, f"RCPT TO:<{message.recipient}>\r\n".encode("ascii")),
            (Phase.DATA, b"DATA\r\n"),
        )

    def _begin(self, phase: Phase) -> None:
        self._connection.start_phase(phase, timeout=self._relay.timeout)

    def _stepwise_refusal(self, message: OutgoingMessage) -> Answer | None:
        for phase, line in self._commands(message):
            self._begin(phase)
            self._connection.send(line)
            if (answer := self._judged(self._connection.reply())) is not None:
                self._reset()
                return answer
        return None

    def _pipelined_refusal(self) -> Answer | None:
        """Read all three replies, for each command was sent whatever came of the one before."""
        answer, reply = None, None
        try:
            for phase in (Phase.MAIL, Phase.RCPT, Phase.DATA):
                self._begin(phase)
                reply = self._connection.reply()
                answer = answer or self._judged(reply)
        except LostError:
            if answer is None:
                raise
            _demand_order(answer)
            self.usable = False
            return answer
        if answer is not None:
            _demand_order(answer)
            data_is_open = reply is not None and reply.code == 354
            self._reset(b".\r\n" if data_is_open else b"RSET\r\n")
        return answer

    def _reset(self, line: bytes = b"RSET\r\n") -> None:
        """Leave the transaction; an open DATA without a receiver ends with a lone dot (RFC 2920 3.1)."""
        try:
            self._begin(self._connection.phase)
            self._connection.send(line)
            self.usable = self._connection.reply().code // 100 == 2 or line == b".\r\n"
        except LostError:
            self.usable = False

    def _judged(self, reply: Reply) -> Answer | None:
        """Return the refusal that `reply` is; None where the message goes on."""
        phase, digit = self._connection.phase, reply.code // 100
        if digit == ENDING[phase]:
            return None
        words = masked(reply.text)
        if reply.code == CLOSING:
            raise LostError(phase, words, closing=True)
        if reply.code in LOGIN_WANTED and phase is not Phase.DOT:
            raise LoginError(
                f"{self._relay.name} wants another login ({phase}): {words}; nothing was marked "
                "failed; check smtp.username, smtp.auth and smtp.security"
            )
        if digit in (2, 3):
            raise LostError(phase, f"unexpected answer: {words}", dot_out=phase is Phase.DOT)
        return Answer(reply.code, words, phase)

    def _parting_answer(self, lost: LostError) -> Answer:
        """Return what the server still said about a message whose sending broke; else raise `lost`.

        After the dot any answer counts; before it only a refusal, for the message is not whole.
        """
        reply = self._connection.parting_reply()
        if reply is None or not (lost.dot_out or reply.code // 100 == 5):
            raise lost
        self.usable = False
        return self._judged(reply) or Answer(reply.code, masked(reply.text), Phase.DOT)


def _demand_order(answer: Answer) -> None:
    """Raise LostError where the first refusal of a group says that the group itself was too much.

    A server that offers pipelining and does not keep it answers "bad sequence", "unknown command"
    or "synchronization error" to commands that are right (RFC 3463 3.6: 5.5.0, 5.5.1).
    """
    if answer.code in {500, 503} or _OUT_OF_STEP.search(answer.words):
        raise LostError(answer.phase, f"pipelining is offered and not kept: {answer.words}")


def _envelope_id(message_id: str) -> str:
    """Return the Message-ID as ENVID, at most 100 characters of xtext (RFC 3461 4.4 and 4)."""
    coded = "".join(
        char if "!" <= char <= "~" and char not in "+=" else f"+{ord(char):02X}"
        for char in message_id.strip("<>")
    )
    return coded if len(coded) <= 100 else sha256(message_id.encode()).hexdigest()


def with_date(message: OutgoingMessage, at: datetime) -> OutgoingMessage:
    """Return `message` with `at` (aware) in its Date header; one without Date stays as it is.

    What was composed carries the revision's time, which may be long ago for a repeated message.
    """
    head, blank, rest = message.content.partition(b"\r\n\r\n")
    date = f"Date: {format_datetime(at)}".encode("ascii")
    return replace(message, content=_DATE.sub(date, head, count=1) + blank + rest)


def check_octets(message: OutgoingMessage) -> None:
    """Raise MessageFaultError for content that SMTP does not carry as it is.

    A bare CR or LF lets one message pass for two on some servers; an octet beyond ASCII would need
    8BITMIME.
    """
    content, where = message.content, message.message_id
    breaks = content.count(b"\r\n")
    if content.count(b"\n") != breaks or content.count(b"\r") != breaks:
        raise MessageFaultError("line ends", where, found="a bare CR or LF", expected="CRLF")
    if not content.isascii():
        raise MessageFaultError("7-bit", where, found="an octet over 127", expected="ASCII")


def stuffed(content: bytes) -> bytes:
    """Return `content` with the dots at line starts doubled (RFC 5321 4.5.2), ending in CRLF."""
    if not content.endswith(b"\r\n"):
        content += b"\r\n"
    doubled = content.replace(b"\r\n.", b"\r\n..")
    return b"." + doubled if doubled.startswith(b".") else doubled
