"""An aiosmtpd server that counts what it accepted by Message-ID, and takes its time to answer.

    with CountingSink(seed=1) as sink:
        sink.begin()                     # a run of the sender begins
        ...                              # which connects to 127.0.0.1, sink.port
        sink.wait_for(3, seconds=10)     # until this run had three messages accepted
    sink.copies                          # Message-ID -> how many times it was accepted

A message whose sender dies before the answer is taken or lost by the toss of a coin, as with real
servers: some queue it at the dot, some find the connection gone first.
`stage` is how far the connection is, so that one can tell where its sender died.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from email.parser import BytesHeaderParser
from enum import StrEnum
from threading import Condition
from typing import Self

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session


class Stage(StrEnum):
    """How far a connection is with the message in hand."""

    GREETED = "greeted"
    ENVELOPE = "MAIL said, content not whole"
    WHOLE = "whole, not answered"
    ANSWERED = "answered"


@dataclass(frozen=True)
class Mail:
    """What was accepted: for whom, under which Message-ID, and the bytes."""

    recipient: str
    message_id: str
    content: bytes


class CountingSink:
    """See the module; used as a context manager."""

    def __init__(self, *, seed: int, longest_pause: float = 0.012) -> None:
        """Pause before answers to the dot for up to `longest_pause` seconds, to MAIL half of it."""
        self.pipelining = True
        self.accepted: list[Mail] = []
        self.copies: Counter[str] = Counter()
        self.stage = Stage.GREETED
        self.port = 0
        self._chance = random.Random(seed)  # noqa: S311 - not for secrets
        self._longest_pause = longest_pause
        self._changed = Condition()
        self._accepted_before = 0

    def __enter__(self) -> Self:
        """Listen on a free port of 127.0.0.1."""
        self._controller = OnAFreePort(self, hostname="127.0.0.1", port=0)
        self._controller.start()
        self.port = self._controller.port
        return self

    def __exit__(self, *_: object) -> None:
        """Stop listening."""
        self._controller.stop()

    def begin(self) -> None:
        """Count from here on what one run of the sender has had accepted."""
        with self._changed:
            self._accepted_before = len(self.accepted)
            self.stage = Stage.GREETED

    @property
    def accepted_in_this_run(self) -> int:
        """How many messages were accepted since `begin`."""
        return len(self.accepted) - self._accepted_before

    def wait_for(self, count: int, *, seconds: float, unless: Callable[[], bool]) -> bool:
        """Wait until this run had so many messages accepted; false where `unless` came true first."""
        ends = time.monotonic() + seconds
        with self._changed:
            while self.accepted_in_this_run < count:
                self._changed.wait(0.05)
                if unless() or time.monotonic() > ends:
                    return self.accepted_in_this_run >= count
        return True

    async def handle_EHLO(  # noqa: N802 - aiosmtpd's name
        self,
        _server: SMTP,
        session: Session,
        _envelope: Envelope,
        hostname: str,
        responses: list[str],
    ) -> list[str]:
        """Offer PIPELINING where this run is to have it."""
        session.host_name = hostname
        return ["250-PIPELINING", *responses] if self.pipelining else responses

    async def handle_MAIL(  # noqa: N802 - aiosmtpd's name
        self,
        _server: SMTP,
        _session: Session,
        envelope: Envelope,
        address: str,
        _mail_options: list[str],
    ) -> str:
        """Take any sender, after a pause."""
        self.stage = Stage.ENVELOPE
        envelope.mail_from = address
        await self._pause(self._longest_pause / 2)
        return "250 2.1.0 Ok"

    async def handle_DATA(  # noqa: N802 - aiosmtpd's name
        self, _server: SMTP, _session: Session, envelope: Envelope
    ) -> str:
        """Take the message before the pause or after it; a sender that dies ends the pause."""
        self.stage = Stage.WHOLE
        takes_first = self._chance.random() < 0.5
        if takes_first:
            self._take(envelope)
        await self._pause(self._longest_pause)
        if not takes_first:
            self._take(envelope)
        self.stage = Stage.ANSWERED
        return f"250 2.0.0 Ok: queued as {len(self.accepted)}"

    async def _pause(self, longest: float) -> None:
        await asyncio.sleep(self._chance.uniform(0, longest))

    def _take(self, envelope: Envelope) -> None:
        content = bytes(envelope.original_content or b"")
        message_id = str(BytesHeaderParser().parsebytes(content)["Message-ID"])
        with self._changed:
            self.accepted += [Mail(to, message_id, content) for to in envelope.rcpt_tos]
            self.copies[message_id] += len(envelope.rcpt_tos)
            self._changed.notify_all()


class OnAFreePort(Controller):
    """A controller that listens where there is room, and looks for itself there."""

    def _trigger_server(self) -> None:
        self.port = self.server.sockets[0].getsockname()[1]
        super()._trigger_server()
