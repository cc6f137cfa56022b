"""Delivery through a mail relay: one recipient per transaction, nothing sent that was not announced.

`Sent` means that the relay accepted the message; a bounce later goes to the envelope sender.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from types import TracebackType
from typing import TYPE_CHECKING, Self

from invites.delivery.base import Journal, OutgoingMessage, SentSince, nothing_sent_yet
from invites.delivery.oauth import secret_source
from invites.delivery.pool import MessageQueue, Queue, serve
from invites.delivery.rate import Pace
from invites.delivery.smtp_connection import LostError, Relay
from invites.delivery.smtp_login import open_session, verifying_context
from invites.delivery.smtp_session import Session
from invites.delivery.smtp_worker import Worker
from invites.errors import ServerDownError, SettingsError

if TYPE_CHECKING:
    from invites.settings import Settings


class SmtpDelivery:
    """Hands messages to one relay over one or more connections."""

    name = "smtp"

    def __init__(
        self,
        relay: Relay,
        *,
        sent_since: SentSince = nothing_sent_yet,
        budget: timedelta | None = None,
        in_doubt: bool = False,
        present: Callable[[], datetime] | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Start the `budget` now: how long the run may take (None: no limit).

        `in_doubt` where the relay was down at the last run.
        `present` (aware) is what the Date header of a message says; None leaves it as composed.
        `clock` and `sleep` are for rate and budget, in seconds; deadlines go by the real ones.
        """
        self._relay = relay
        self._sent_since = sent_since
        self._clock = clock
        self._sleep = sleep
        self._in_doubt = in_doubt
        self._present = present
        self._until = None if budget is None else clock() + budget.total_seconds()

    def __enter__(self) -> Self:
        """Open nothing: connections are opened when there is a first message."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Have nothing to close: each worker closed its connection."""

    def deliver(
        self, messages: Iterable[OutgoingMessage], journal: Journal, *, stop: Callable[[], bool]
    ) -> None:
        """See `Delivery.deliver`; with one connection everything happens in the calling thread."""
        relay = self._relay
        pace = Pace(relay.rate, sent_since=self._sent_since, clock=self._clock)
        workers = max(relay.connections, 1)
        queue = MessageQueue(
            messages,
            journal,
            stop=stop,
            pace=pace,
            relay_name=relay.name,
            workers=workers,
            in_doubt=self._in_doubt,
            is_spent=self._is_spent,
            clock=self._present,
        )
        context = verifying_context(relay)

        def work(queue: Queue) -> None:
            Worker(relay, context, queue, sleep=self._sleep).work()

        if workers == 1:
            work(queue)
        else:
            serve(queue, [work] * workers)
        if queue.error is not None:
            raise queue.error

    def _is_spent(self) -> bool:
        return self._until is not None and self._clock() >= self._until

    def traced(self, message_ids: Iterable[str]) -> Mapping[str, bool]:  # noqa: ARG002 - protocol
        """Tell nothing: a relay can't be asked what it accepted."""
        return {}


def relay_from(settings: Settings) -> Relay:
    """Return the relay of `[smtp]`; SettingsError where there is no host or no source of a secret."""
    smtp = settings.smtp
    if smtp.host is None:
        raise SettingsError(
            "[smtp] host is missing: delivery by SMTP needs a mail server; "
            'set host = "smtp.example.com" in [smtp], or INVITES_SMTP__HOST in the environment'
        )
    return Relay(
        host=smtp.host,
        port=smtp.port,
        security=smtp.security,
        allow_plaintext=smtp.allow_plaintext,
        username=smtp.username,
        auth=smtp.auth,
        secret=secret_source(settings),
        rate=smtp.rate,
        connections=smtp.connections,
        timeout=smtp.timeout.total_seconds(),
        data_timeout=smtp.data_timeout.total_seconds(),
    )


def login_report(relay: Relay) -> str:
    """Log in and out again, for `doctor`; return in words what the relay offers.

    Raises what sending would: LoginError, SettingsError, and TryAgainError for a server that is
    down.
    """
    try:
        connection, extensions = open_session(relay, verifying_context(relay))
    except LostError as lost:
        raise ServerDownError(f"{relay.name}: {lost.why} ({lost.phase}); try again later") from None
    Session(connection, extensions, relay).quit()
    login = f"login as {relay.username}" if relay.username is not None else "no login"
    offers = [
        "pipelining" if "PIPELINING" in extensions else "no pipelining",
        f"messages up to {extensions['SIZE']} octets"
        if extensions.get("SIZE")
        else "no size limit",
    ]
    return f"{relay.name}: {relay.security}, {login}, {', '.join(offers)}"
