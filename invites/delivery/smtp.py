"""Delivery through a mail relay: one recipient per transaction, nothing sent that was not announced.

`Sent` means that the relay accepted the message; a bounce later goes to the envelope sender.
A worker opens its connection when it is needed, and again once per message; it has one message in
hand, and with pipelining the next one on its way behind it.
"""

from __future__ import annotations

import re
import ssl
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final, Self

from invites.delivery.base import (
    Deferred,
    Failed,
    Journal,
    Key,
    Outcome,
    OutgoingMessage,
    Phase,
    Sent,
    SentSince,
    Unknown,
    nothing_sent_yet,
)
from invites.delivery.pool import MessageQueue, Pause, Queue, serve
from invites.delivery.smtp_connection import LostError, Pace, Relay
from invites.delivery.smtp_login import open_session, secret_source, verifying_context
from invites.delivery.smtp_session import Answer, Session
from invites.errors import InvitesError, ServerDownError, SettingsError

if TYPE_CHECKING:
    from invites.settings import Settings

LONGEST_NAP: Final = 1.0
"""Seconds between looks at whether the run is to stop, while a rate limit is waited for."""

IDLE_AT_MOST: Final = 30.0
"""Seconds of waiting for which a connection is kept; servers close idle ones (RFC 5321 4.5.3.2)."""

PATIENCE_AT_MOST: Final = 16
"""Refusals for now in a row after which a new connection is tried in any case."""

_BAD_ADDRESS: Final = re.compile(r"5\d\d[ -]5\.1\.\d{1,3}\b")
"""A refusal for good with an enhanced status about the address (RFC 3463 3.2)."""


@dataclass(slots=True)
class _InHand:
    """A message on this worker: whether it was announced, and what was tried with it."""

    message: OutgoingMessage
    announced: bool = False
    lost_once: bool = False
    reconnected: bool = False


class Worker:
    """Carries what the queue gives out over one connection at a time."""

    def __init__(
        self, relay: Relay, context: ssl.SSLContext, queue: Queue, *, sleep: Callable[[float], None]
    ) -> None:
        """`sleep` waits so many seconds."""
        self._relay = relay
        self._context = context
        self._queue = queue
        self._sleep = sleep
        self._session: Session | None = None
        self._hand: deque[_InHand] = deque()
        self._pending: list[Outcome] = []
        self._is_retired = False
        self._pipelining = True
        self._accepted = 0
        self._refused_in_a_row = 0
        self._patience = 1

    def work(self) -> None:
        """Carry messages until the queue has none; errors of the session end the run at the queue."""
        try:
            while self._has_message():
                self._carry()
            self._flush()
            self._leave()
        except InvitesError as error:
            self._give_up(error)
        finally:
            self._drop()

    def _has_message(self) -> bool:
        """Make sure that a message is in hand; one whose transaction was lost may be left."""
        if self._hand and self._session is None and self._queue.is_over():
            self._hand = deque(held for held in self._hand if held.announced)
        while not self._hand and not self._is_retired:
            match self._queue.take():
                case None:
                    return False
                case Pause(seconds=seconds):
                    self._wait(seconds)
                case message:
                    self._hand.append(_InHand(message))
        return bool(self._hand)

    def _carry(self) -> None:
        """Carry the message in hand as far as it goes."""
        current = self._hand[0]
        opening = self._session is None
        try:
            session = self._session = self._session or self._opened()
            opening = False
            answer = session.refusal(current.message)
            if answer is None:
                self._announce(current)
                answer = session.content(current.message, ahead=self._next_message(session))
        except LostError as lost:
            self._lose(current, lost, opening=opening)
        else:
            if self._is_worth_a_connection(current, answer):
                current.reconnected = True
                self._flush()
                self._leave()
                return
            self._settle(_outcome(current.message.key, answer))
            self._tidy(session)

    def _opened(self) -> Session:
        connection, extensions = open_session(self._relay, self._context)
        self._accepted = self._refused_in_a_row = 0
        return Session(connection, extensions, self._relay, pipelining=self._pipelining)

    def _is_worth_a_connection(self, current: _InHand, answer: Answer) -> bool:
        """Tell whether a refusal for now may be about the connection, and not about the message.

        Some servers take so many recipients of a connection and answer 4xx from then on; greylisting
        looks the same.  So the message in hand is tried once over a new connection, and where that
        did not help, twice as many refusals in a row are waited for before the next such attempt.
        """
        if answer.code // 100 == 2:
            self._accepted, self._refused_in_a_row = self._accepted + 1, 0
            self._patience = 1 if current.reconnected else self._patience
            return False
        if answer.code // 100 != 4 or answer.phase is Phase.DOT:
            return False
        self._refused_in_a_row += 1
        if current.reconnected:
            self._patience = min(2 * self._patience, PATIENCE_AT_MOST)
            return False
        return self._accepted > 0 and self._refused_in_a_row >= self._patience

    def _next_message(self, session: Session) -> OutgoingMessage | None:
        """Take the message whose commands may follow the dot of this one."""
        if not session.pipelining:
            return None
        if len(self._hand) == 1:
            message = self._queue.take()
            if not isinstance(message, OutgoingMessage):
                return None
            self._hand.append(_InHand(message))
        message = self._hand[1].message
        return None if session.objection(message) else message

    def _announce(self, current: _InHand) -> None:
        sending: list[Key] = [] if current.announced else [current.message.key]
        self._flush(sending)
        current.announced = True

    def _settle(self, outcome: Outcome) -> None:
        self._hand.popleft()
        self._pending.append(outcome)

    def _tidy(self, session: Session) -> None:
        """Note the outcome now, unless the next announcement is due at once and can carry it."""
        if not session.usable:
            self._drop()
        if self._session is None or not session.next_is_answered:
            self._flush()

    def _lose(self, current: _InHand, lost: LostError, *, opening: bool) -> None:
        """Try the message again once; after that, or after its dot, its outcome is settled."""
        if self._session is not None and self._session.pipelining and not lost.closing:
            self._pipelining = False  # offered and perhaps not kept: step by step from now on
        self._drop()
        if lost.dot_out:
            self._settle(Unknown(key=current.message.key, answer=f"no answer: {lost.why}"))
        elif not current.lost_once:
            current.lost_once = True
        elif opening and not current.announced and self._retire():
            return
        elif lost.refused:
            words = f"{self._relay.name}: {lost.why}; the rest waits; run again later"
            raise ServerDownError(words) from None
        else:
            self._settle(
                Deferred(key=current.message.key, answer=lost.why, phase=lost.phase, lost=True)
            )
        self._flush()

    def _retire(self) -> bool:
        """Leave the rest to workers that did get a connection, where there are any."""
        self._is_retired = self._queue.retire([held.message for held in self._hand])
        if self._is_retired:
            self._hand.clear()
        return self._is_retired

    def _give_up(self, error: InvitesError) -> None:
        """End the run; a message that was announced, and is known not to be sent, is deferred."""
        self._drop()
        for held in self._hand:
            if held.announced:
                self._pending.append(_cut_short(held.message.key))
        self._hand.clear()
        self._flush()
        self._queue.end(error)

    def _flush(self, sending: list[Key] | None = None) -> None:
        outcomes, self._pending = self._pending, []
        if outcomes or sending:
            self._queue.note(outcomes, sending or [])

    def _wait(self, seconds: float) -> None:
        self._flush()
        if seconds > IDLE_AT_MOST:
            self._leave()
        self._sleep(min(seconds, LONGEST_NAP))

    def _leave(self) -> None:
        if self._session is not None:
            self._session.quit()
            self._session = None

    def _drop(self) -> None:
        if self._session is not None:
            self._session.close()
            self._session = None


def _outcome(key: Key, answer: Answer) -> Outcome:
    match answer.code // 100:
        case 2:
            return Sent(key=key, answer=answer.words)
        case 4:
            return Deferred(key=key, answer=answer.words, phase=answer.phase)
        case _:
            return Failed(
                key=key,
                answer=answer.words,
                phase=answer.phase,
                bad_address=answer.phase is not Phase.MAIL
                and _BAD_ADDRESS.match(answer.words) is not None,
            )


def _cut_short(key: Key) -> Outcome:
    words = "not sent: the run ended before a connection was back"
    return Deferred(key=key, answer=words, phase=Phase.CONNECT, lost=True)


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

    def __exit__(self, *_: object) -> None:
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
