"""The `Delivery` protocol, its values, and the choice of a backend.

A delivery gets messages in the order in which they are to go out, tells a `Journal` before a message
can leave and after it has left, and knows nothing of SQL, plans or guards.
A new backend is a module here, one line in `open_delivery`, and a subclass of the contract tests.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol, Self, assert_never

from invites.invitation import DeliveryName, Invitation

if TYPE_CHECKING:
    from invites.settings import Settings

Key = Hashable
"""What the ledger calls a message; a delivery only hands it back."""


class Phase(StrEnum):
    """Where in a delivery something happened; the names are those of SMTP's commands."""

    CONNECT = "connect"
    BANNER = "banner"
    EHLO = "EHLO"
    STARTTLS = "STARTTLS"
    AUTH = "AUTH"
    MAIL = "MAIL"
    RCPT = "RCPT"
    DATA = "DATA"
    DOT = "dot"
    BATCH = "batch"


@dataclass(frozen=True, slots=True, kw_only=True)
class OutgoingMessage:
    """One message that is ready to go to one mailbox.

    `sender` and `recipient` are the envelope's mailboxes, ASCII with A-labels.
    `content` is the whole .eml: CRLF line ends, 7-bit; it holds a live link.
    `tried` is true where an earlier run tried it already: losing it says less about the relay.
    `invitation` says what it is about, for the manifest of a folder; None for a message that is no
    invitation (a report to operators), which only SMTP carries.
    """

    key: Key
    sender: str
    recipient: str
    message_id: str
    content: bytes = field(repr=False)
    tried: bool = False
    invitation: Invitation | None = field(default=None, repr=False)

    @classmethod
    def of(
        cls,
        invitation: Invitation,
        *,
        key: Key,
        sender: str,
        recipient: str | None = None,
        tried: bool = False,
    ) -> Self:
        """Return the message of `invitation`, to its attendee's mailbox unless `recipient` is given."""
        return cls(
            key=key,
            sender=sender,
            recipient=recipient or invitation.attendee.mailbox,
            message_id=invitation.message_id,
            content=invitation.eml,
            tried=tried,
            invitation=invitation,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """The relay accepted the message, or its batch is in the folder.

    In every outcome `answer` is one printable line of at most 200 characters for the history: the
    server's words where there are any, with links, tokens and secrets masked.
    It may name the receiver's address.
    """

    key: Key
    answer: str
    phase: Phase = Phase.DOT


@dataclass(frozen=True, slots=True, kw_only=True)
class Deferred:
    """Not sent for now: the server said 4xx, or (`lost`) the connection was lost twice."""

    key: Key
    answer: str
    phase: Phase
    lost: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """Not sent, and the same message again would not be either (5xx, too big, a bad address).

    `bad_address` is true where the server said that there is no such mailbox (RFC 3463 3.2: 5.1.x).
    """

    key: Key
    answer: str
    phase: Phase
    bad_address: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Unknown:
    """The whole message went out and no answer came: it may have been accepted or not."""

    key: Key
    answer: str
    phase: Phase = Phase.DOT


Outcome = Sent | Deferred | Failed | Unknown


class Journal(Protocol):
    """What must be durable before and after each message; the ledger implements it.

    A delivery calls it from the thread that called `deliver`, never from another one.
    """

    def note(self, *, outcomes: Sequence[Outcome], sending: Sequence[Key]) -> None:
        """Make durable, in one transaction: these messages ended so, and these may leave now.

        Either sequence may be empty.  Once this returns, the content of each message in `sending`
        may go out at any moment.  Each key in `sending` later gets exactly one outcome, unless the
        process dies or this raises; whatever it raises ends the delivery without another message.
        An outcome may come for a key that was never in `sending`: refused at MAIL, RCPT or DATA,
        lost before that, or found in a batch of this run.
        """


class OutcomesNoted:
    """A journal that takes down how messages ended and makes nothing durable: they are in no ledger."""

    def __init__(self) -> None:
        """Nothing has ended yet."""
        self.outcomes: list[Outcome] = []

    def note(self, *, outcomes: Sequence[Outcome], sending: Sequence[Key]) -> None:  # noqa: ARG002
        """See `Journal.note`."""
        self.outcomes += outcomes


class Delivery(Protocol):
    """Carries messages; used as a context manager, once per run."""

    name: str

    def deliver(
        self, messages: Iterable[OutgoingMessage], journal: Journal, *, stop: Callable[[], bool]
    ) -> None:
        """Carry each message and note its outcome; a message without outcome was not sent.

        `messages` is iterated in the calling thread, lazily, a few ahead of what is sent.
        `stop` is asked before each message is taken; once true the messages in hand are finished.
        Raises TryAgainError where the run ended early (the day's limit, the time budget, `stop`),
        ServerDownError where the server serves nobody, and LoginError where login or TLS failed; both with everything
        noted that happened, and nothing marked failed for it.
        Raises StorageError where a folder can't be written.
        """

    def traced(self, message_ids: Iterable[str]) -> Mapping[str, bool]:
        """Tell which messages that an earlier run left in `sending` were sent; for the next run.

        True: it is there.  False: it surely is not.  Absent: this delivery can't know (SMTP), and
        `on_unknown` decides.
        """

    def __enter__(self) -> Self:
        """Start; opens nothing yet."""

    def __exit__(self, *_: object) -> None:
        """Close what is open."""


SentSince = Callable[[timedelta], int]
"""How many messages were handed over (sent or unknown) in the last so-and-so long; the ledger's."""


def nothing_sent_yet(span: timedelta) -> int:  # noqa: ARG001 - the signature is SentSince's
    """Stand in for the ledger's count where there is no ledger."""
    return 0


def clean_up_outbox(settings: Settings, *, now: datetime, keep_old: bool = False) -> None:
    """Remove old batches whatever the delivery is now; what can't be looked at stays as it is."""
    from invites.delivery.folder import clean_up  # noqa: PLC0415

    with suppress(OSError):
        keep = None if keep_old else settings.delivery.keep_batches
        clean_up(settings.delivery.folder, now=now, keep=keep)


def open_delivery(
    settings: Settings,
    *,
    run: str,
    now: datetime,
    to: DeliveryName | None = None,
    sent_since: SentSince = nothing_sent_yet,
    keep_old: bool = False,
    present: Callable[[], datetime] | None = None,
    in_doubt: bool = False,
    mark: bytes = b"",
) -> Delivery:
    """Return the configured delivery, or the one that `to` names.

    `run` names the run and its batch: ASCII letters, digits, `-`, `_`, `.`; the same run again
    gives the same name.  `now` decides which old batches go; `keep_old` lets all of them be, for
    a run whose clock is not the real one.  `present` gives the time of an attempt, which by SMTP
    becomes the message's Date.  `in_doubt` where the mail server was down at the last
    run: then the first message that is lost ends this one.  `mark` is the ledger's, for a batch.
    Raises SettingsError where the delivery's settings are incomplete.
    """
    chosen = to or settings.delivery.to
    match chosen:
        case "folder":
            from invites.delivery.folder import FolderDelivery  # noqa: PLC0415

            keep = None if keep_old else settings.delivery.keep_batches
            return FolderDelivery(settings.delivery.folder, run=run, now=now, keep=keep, mark=mark)
        case "smtp":
            from invites.delivery.smtp import SmtpDelivery, relay_from  # noqa: PLC0415

            return SmtpDelivery(
                relay_from(settings),
                sent_since=sent_since,
                budget=settings.delivery.budget,
                present=present,
                in_doubt=in_doubt,
            )
        case _:
            assert_never(chosen)
