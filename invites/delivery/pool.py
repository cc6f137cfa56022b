"""Several lines at once, each in its own thread, and one desk in the thread that called.

Parcels are composed and the journal is written in the calling thread alone.
What several lines note at the same time is committed together.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Final, Protocol, TypeVar, cast

from invites.delivery.base import Deferred, Journal, Key, Outcome, OutgoingMessage, Unknown
from invites.delivery.rate import Pace
from invites.delivery.smtp_session import check_octets
from invites.errors import TryAgainError

Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class _Request:
    """What a line asks of the desk; `replies` gets what `act` returns once all is noted."""

    act: Callable[[Desk], object]
    outcomes: Sequence[Outcome]
    sending: Sequence[Key]
    replies: SimpleQueue[_Reply]


@dataclass(frozen=True, slots=True)
class _Reply:
    """What the desk returned or raised."""

    answer: object = None
    error: Exception | None = None


@dataclass(frozen=True, slots=True)
class _Gone:
    """A line has ended, with what it raised."""

    error: BaseException | None


_Requests = SimpleQueue[_Request | _Gone]


class Counter:
    """A desk as a line in another thread sees it: each call waits for the desk's own thread."""

    def __init__(self, requests: _Requests) -> None:
        """Ask by way of `requests`, where `serve` listens."""
        self._requests = requests
        self._replies: SimpleQueue[_Reply] = SimpleQueue()

    def take(self) -> OutgoingMessage | Pause | None:
        """See `Desk.take`."""
        return self._ask(Desk.take)

    def is_over(self) -> bool:
        """See `Desk.is_over`."""
        return self._ask(Desk.is_over)

    def note(self, outcomes: Sequence[Outcome], sending: Sequence[Key]) -> None:
        """See `Desk.note`."""
        self._ask(lambda _: None, outcomes, sending)

    def end(self, error: Exception) -> None:
        """See `Desk.end`."""
        self._ask(lambda desk: desk.end(error))

    def retire(self, parcels: Sequence[OutgoingMessage]) -> bool:
        """See `Desk.retire`."""
        return self._ask(lambda desk: desk.retire(parcels))

    def _ask(
        self,
        act: Callable[[Desk], Answer],
        outcomes: Sequence[Outcome] = (),
        sending: Sequence[Key] = (),
    ) -> Answer:
        self._requests.put(_Request(act, outcomes, sending, self._replies))
        reply = self._replies.get()
        if reply.error is not None:
            raise reply.error
        return cast("Answer", reply.answer)


def serve(desk: Desk, lines: Sequence[Callable[[Clerk], None]]) -> None:
    """Run each of `lines` in a thread until all have ended; raises the first fault of any.

    Parcels that a line gave back when the others were through go out in the calling thread.
    """
    requests: _Requests = SimpleQueue()
    for line in lines:
        Thread(target=_run, args=(line, requests), daemon=True).start()
    faults: list[BaseException] = []
    working = len(lines)
    while working:
        asked: list[_Request] = []
        for item in _waiting(requests):
            match item:
                case _Gone(error=error):
                    working -= 1
                    faults += [error] if error else []
                case _Request():
                    asked.append(item)
        _answer(desk, asked)
    if faults:
        raise faults[0]
    if desk.alone():
        lines[0](desk)


def _run(line: Callable[[Clerk], None], requests: _Requests) -> None:
    error: BaseException | None = None
    try:
        line(Counter(requests))
    except BaseException as fault:  # noqa: BLE001 - raised again in the calling thread
        error = fault
    requests.put(_Gone(error))


def _waiting(requests: _Requests) -> Iterator[_Request | _Gone]:
    """Wait for one item, and yield it with all that are there by then."""
    yield requests.get()
    try:
        while True:
            yield requests.get_nowait()
    except Empty:
        return


def _answer(desk: Desk, asked: Sequence[_Request]) -> None:
    outcomes = [outcome for request in asked for outcome in request.outcomes]
    sending = [key for request in asked for key in request.sending]
    try:
        if outcomes or sending:
            desk.note(outcomes, sending)
    except Exception as error:  # noqa: BLE001 - each waiting line raises it, and so does `serve`
        desk.end(error)
        for request in asked:
            request.replies.put(_Reply(error=error))
        return
    for request in asked:
        try:
            request.replies.put(_Reply(request.act(desk)))
        except Exception as error:  # noqa: BLE001 - the line that asked raises it
            request.replies.put(_Reply(error=error))


LOST_IN_A_ROW: Final = 5
"""Messages in a row without an answer after which the server counts as down."""


@dataclass(frozen=True, slots=True)
class Pause:
    """Nothing may start for so many seconds."""

    seconds: float


class Clerk(Protocol):
    """What a line needs of a desk or of the counter in front of it."""

    def take(self) -> OutgoingMessage | Pause | None:
        """Return the next parcel, how long to wait for it, or None where there is no more."""

    def is_over(self) -> bool:
        """Whether no further message is to be started."""

    def note(self, outcomes: Sequence[Outcome], sending: Sequence[Key]) -> None:
        """Make durable what happened and what may leave now."""

    def end(self, error: Exception) -> None:
        """Give out no more parcels; the first error is what the delivery raises."""

    def retire(self, parcels: Sequence[OutgoingMessage]) -> bool:
        """Take back parcels of a line that can't open; False where it is the last line."""


class Desk:
    """Parcels out in order, outcomes in; ends the run where the relay seems to be down."""

    def __init__(
        self,
        parcels: Iterable[OutgoingMessage],
        journal: Journal,
        *,
        stop: Callable[[], bool],
        pace: Pace,
        relay_name: str,
        lines: int = 1,
    ) -> None:
        """`lines` is how many of them take parcels."""
        self._parcels: Iterator[OutgoingMessage] = iter(parcels)
        self._next: deque[OutgoingMessage] = deque()
        self._journal = journal
        self._stop = stop
        self._pace = pace
        self._relay_name = relay_name
        self._lines = lines
        self._lost_in_a_row = 0
        self._journal_fault: Exception | None = None
        self.error: Exception | None = None

    def take(self) -> OutgoingMessage | Pause | None:
        """Return the next parcel, how long to wait for it, or None where there is no more."""
        if self.is_over() or not self._look_ahead():
            return None
        wait = self._pace.wait()
        if wait == float("inf"):
            self.end(_limit_reached(self._pace))
            return None
        if wait > 0:
            return Pause(wait)
        self._pace.count()
        return self._next.popleft()

    def is_over(self) -> bool:
        """Whether no further message is to be started."""
        if self.error is None and self._stop():
            self.end(TryAgainError("stopped by a signal; run again to send the rest"))
        return self.error is not None

    def note(self, outcomes: Sequence[Outcome], sending: Sequence[Key]) -> None:
        """Write the journal, then see whether too many messages were lost in a row.

        A journal that failed once is not asked again: what it does not hold stays in doubt.
        """
        if self._journal_fault is not None:
            raise self._journal_fault
        try:
            self._journal.note(outcomes=outcomes, sending=sending)
        except Exception as error:
            self._journal_fault = error
            raise
        for outcome in outcomes:
            self._watch(outcome)

    def _watch(self, outcome: Outcome) -> None:
        match outcome:
            case Unknown() | Deferred(lost=True):
                self._lost_in_a_row += 1
            case _:
                self._lost_in_a_row = 0
        if self._lost_in_a_row == LOST_IN_A_ROW:
            self.end(
                TryAgainError(
                    f"{self._relay_name}: {LOST_IN_A_ROW} messages in a row were lost, the last at "
                    f"{outcome.phase}: {outcome.answer}; run again later"
                )
            )

    def end(self, error: Exception) -> None:
        """Give out no more parcels; the first error is what the delivery raises."""
        self.error = self.error or error

    def retire(self, parcels: Sequence[OutgoingMessage]) -> bool:
        """Take back parcels of a line that can't open; False where it is the last line."""
        if self._lines == 1:
            return False
        self._lines -= 1
        self._next.extendleft(reversed(parcels))
        return True

    def alone(self) -> bool:
        """Tell the desk that one line is left; true where there still is something for it."""
        self._lines = 1
        return self.error is None and bool(self._next)

    def _look_ahead(self) -> bool:
        """Make sure that the next parcel is here; a fault in composing it waits for those in hand."""
        if not self._next:
            try:
                for parcel in self._parcels:
                    check_octets(parcel)
                    self._next.append(parcel)
                    break
            except Exception as error:  # noqa: BLE001 - raised by `deliver` once all lines are idle
                self.end(error)
        return bool(self._next)


def _limit_reached(pace: Pace) -> TryAgainError:
    limit = pace.spent
    words = f"{limit.count} messages in a day" if limit else "messages"
    return TryAgainError(
        f"smtp.rate: the limit of {words} is reached; the rest waits; run again later"
    )
