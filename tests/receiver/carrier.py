"""A delivery that misbehaves by a script: it refuses, loses, delays and dies, and notes it honestly."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Protocol, Self

from invites.delivery.base import (
    Deferred,
    Failed,
    Journal,
    Key,
    Outcome,
    OutgoingMessage,
    Phase,
    Sent,
    Unknown,
)
from invites.errors import TryAgainError

ARRIVES = "arrives"
FATES = (
    ARRIVES,
    "arrives late",
    "deferred at RCPT",
    "deferred at the dot",
    "failed at RCPT",
    "failed at the dot",
    "no answer, and it arrived",
    "no answer, and it is lost",
    "the server goes down",
    "death before it leaves",
    "death once it may leave",
    "death after it arrived",
)
"""What can become of a message; after "death after it arrived" the outcome is lost as well."""


class Death(BaseException):
    """The process ended here: nothing after this line was done."""


class Observer(Protocol):
    """What is told as it happens: a message may leave, it left, it was noted."""

    def announced(self, message: OutgoingMessage) -> None:
        """Note that a message may have been sent: that is durable now."""

    def left(self, message: OutgoingMessage, *, late: bool = False) -> None:
        """Note that the receiver has it, or will have it later."""

    def noted(self, outcome: Outcome, message: OutgoingMessage) -> None:
        """Note how a message ended: that is durable now."""

    def had(self, message_id: str) -> bool:
        """Tell whether such a message was ever accepted."""


@dataclass
class Carrier:
    """Carries messages as `fates` say, one after the other, and then well.

    Its name is that of the delivery for which it stands: a folder can tell a later run what was
    sent, SMTP can't.
    """

    observer: Observer
    fates: list[str] = field(default_factory=list)
    name: str = "smtp"
    _done: list[tuple[Outcome, OutgoingMessage]] = field(default_factory=list)

    def deliver(
        self, messages: Iterable[OutgoingMessage], journal: Journal, *, stop: Callable[[], bool]
    ) -> None:
        """See `Delivery.deliver`; an outcome is noted with the next message's announcement."""
        del stop  # nothing asks this one to stop
        for message in messages:
            fate = self.fates.pop(0) if self.fates else ARRIVES
            if not self._refused_early(fate, message, journal):
                self._note(journal, message)
                self._leave(fate, message)
        self._note(journal)

    def _refused_early(self, fate: str, message: OutgoingMessage, journal: Journal) -> bool:
        match fate:
            case "the server goes down":
                self._note(journal)
                raise TryAgainError("the server is down")
            case "death before it leaves":
                raise Death
            case "deferred at RCPT":
                self._end(message, Deferred(key=message.key, answer="451 later", phase=Phase.RCPT))
            case "failed at RCPT":
                self._end(message, Failed(key=message.key, answer="550 nobody", phase=Phase.RCPT))
            case _:
                return False
        return True

    def _leave(self, fate: str, message: OutgoingMessage) -> None:
        key = message.key
        match fate:
            case "death once it may leave":
                raise Death
            case "deferred at the dot":
                self._end(message, Deferred(key=key, answer="451 later", phase=Phase.DOT))
            case "failed at the dot":
                self._end(message, Failed(key=key, answer="554 no", phase=Phase.DOT))
            case "no answer, and it is lost":
                self._end(message, Unknown(key=key, answer="no answer"))
            case "no answer, and it arrived":
                self.observer.left(message)
                self._end(message, Unknown(key=key, answer="no answer"))
            case "death after it arrived":
                self.observer.left(message)
                raise Death
            case _:
                self.observer.left(message, late=fate == "arrives late")
                self._end(message, Sent(key=key, answer="250 ok"))

    def _end(self, message: OutgoingMessage, outcome: Outcome) -> None:
        self._done.append((outcome, message))

    def _note(self, journal: Journal, message: OutgoingMessage | None = None) -> None:
        sending: list[Key] = [] if message is None else [message.key]
        journal.note(outcomes=[outcome for outcome, _ in self._done], sending=sending)
        for outcome, ended in self._done:
            self.observer.noted(outcome, ended)
        self._done.clear()
        if message is not None:
            self.observer.announced(message)

    def traced(self, message_ids: Iterable[str]) -> Mapping[str, bool]:
        """See `Delivery.traced`."""
        if self.name != "folder":
            return {}
        return {message_id: self.observer.had(message_id) for message_id in message_ids}

    def __enter__(self) -> Self:
        """Start."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close nothing."""
