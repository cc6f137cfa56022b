"""Several workers at once, each in its own thread, and one queue in the thread that called.

Messages are composed and the journal is written in the calling thread alone.
What several workers note at the same time is committed together.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Final, Protocol, TypeVar, cast

from invites.delivery.base import (
    Deferred,
    Journal,
    Key,
    Outcome,
    OutgoingMessage,
    Phase,
    Unknown,
)
from invites.delivery.smtp_connection import Pace
from invites.delivery.smtp_session import check_octets, with_date
from invites.errors import ServerDownError, TryAgainError

T = TypeVar("T")

LOST_IN_A_ROW: Final = 5
"""Different messages in a row without an answer after which the server counts as down."""

_OPENING: Final = frozenset({Phase.CONNECT, Phase.BANNER, Phase.EHLO, Phase.STARTTLS, Phase.AUTH})
"""Phases in which nothing was said about a message yet."""


@dataclass(frozen=True, slots=True)
class Pause:
    """Nothing may start for so many seconds."""

    seconds: float


class Queue(Protocol):
    """What a worker needs of a queue or of the queue in front of it."""

    def take(self) -> OutgoingMessage | Pause | None:
        """Return the next message, how long to wait for it, or None where there is no more."""

    def is_over(self) -> bool:
        """Whether no further message is to be started."""

    def note(self, outcomes: Sequence[Outcome], sending: Sequence[Key]) -> None:
        """Make durable what happened and what may leave now."""

    def end(self, error: Exception) -> None:
        """Give out no more messages; the first error is what the delivery raises."""

    def retire(self, messages: Sequence[OutgoingMessage]) -> bool:
        """Take back messages of a worker that can't open; False where it is the last worker."""


class MessageQueue:
    """Messages out in order, outcomes in; ends the run where the relay seems to be down."""

    def __init__(
        self,
        messages: Iterable[OutgoingMessage],
        journal: Journal,
        *,
        stop: Callable[[], bool],
        pace: Pace,
        relay_name: str,
        workers: int = 1,
        in_doubt: bool = False,
        is_spent: Callable[[], bool] = lambda: False,
        clock: Callable[[], datetime] | None = None,
    ) -> None:
        """`workers` is how many of them take messages.

        `in_doubt`: the relay was down at the last run, so the first loss is enough to say so again.
        `is_spent` tells whether the run's time budget is used up, `clock` (aware) what Date says.
        """
        self._messages: Iterator[OutgoingMessage] = iter(messages)
        self._next: deque[OutgoingMessage] = deque()
        self._journal = journal
        self._stop = stop
        self._pace = pace
        self._relay_name = relay_name
        self._workers = workers
        self._in_doubt = in_doubt
        self._is_spent = is_spent
        self._clock = clock
        self._never_tried: set[Key] = set()
        self._lost: list[Key] = []
        self._journal_fault: Exception | None = None
        self.error: Exception | None = None

    def take(self) -> OutgoingMessage | Pause | None:
        """Return the next message, how long to wait for it, or None where there is no more."""
        if self.is_over() or not self._look_ahead():
            return None
        wait = self._pace.wait()
        if wait == float("inf"):
            self.end(_limit_reached(self._pace))
            return None
        if wait > 0:
            return Pause(wait)
        self._pace.count()
        message = self._next.popleft()
        if not message.tried:
            self._never_tried.add(message.key)
        return message if self._clock is None else with_date(message, self._clock())

    def is_over(self) -> bool:
        """Whether no further message is to be started."""
        if self.error is None and self._stop():
            self.end(TryAgainError("stopped by a signal; run again to send the rest"))
        if self.error is None and self._is_spent():
            self.end(
                TryAgainError("delivery.budget: the run's time is used up; run again for the rest")
            )
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
        """End the run where losing messages says that the relay is down, and not that they are odd.

        A message that was lost in an earlier run may well be lost for what it is or where it goes:
        only one that was never tried, or a session that does not even open, tells of the relay.
        """
        match outcome:
            case Unknown() | Deferred(lost=True):
                self._lost.append(outcome.key)
                if isinstance(self.error, ServerDownError):  # another worker's, a moment later
                    self.error.lost = (*self.error.lost, outcome.key)
            case _:
                self._lost.clear()
                self._in_doubt = False  # whatever it said, it is there
        tells = outcome.key in self._never_tried or outcome.phase in _OPENING
        self._never_tried.discard(outcome.key)
        if (len(self._lost) >= LOST_IN_A_ROW and tells) or (self._lost and self._in_doubt):
            words = (
                f"{len(self._lost)} messages in a row were lost, the last"
                if len(self._lost) > 1
                else "it was down at the last run, and the first message was lost"
            )
            self.end(
                ServerDownError(
                    f"{self._relay_name}: {words} at {outcome.phase}: {outcome.answer}; "
                    "run again later",
                    lost=self._lost,
                )
            )

    def end(self, error: Exception) -> None:
        """Give out no more messages; the first error is what the delivery raises."""
        if isinstance(error, ServerDownError):
            error.lost = error.lost or tuple(self._lost)
        self.error = self.error or error

    def retire(self, messages: Sequence[OutgoingMessage]) -> bool:
        """Take back messages of a worker that can't open; False where it is the last worker."""
        if self._workers == 1:
            return False
        self._workers -= 1
        self._next.extendleft(reversed(messages))
        return True

    def alone(self) -> bool:
        """Tell the queue that one worker is left; true where there still is something for it."""
        self._workers = 1
        return self.error is None and bool(self._next)

    def _look_ahead(self) -> bool:
        """Make sure that the next message is here; a fault in composing it waits for those in hand."""
        if not self._next:
            try:
                for message in self._messages:
                    check_octets(message)
                    self._next.append(message)
                    break
            except Exception as error:  # noqa: BLE001 - raised by `deliver` once all workers are idle
                self.end(error)
        return bool(self._next)


def _limit_reached(pace: Pace) -> TryAgainError:
    limit = pace.spent
    words = f"{limit.count} messages in a day" if limit else "messages"
    return TryAgainError(
        f"smtp.rate: the limit of {words} is reached; the rest waits; run again later"
    )


@dataclass(frozen=True, slots=True)
class _Request:
    """What a worker asks of the queue; `replies` gets what `act` returns once all is noted."""

    act: Callable[[MessageQueue], object]
    outcomes: Sequence[Outcome]
    sending: Sequence[Key]
    replies: SimpleQueue[_Reply]


@dataclass(frozen=True, slots=True)
class _Reply:
    """What the queue returned or raised."""

    answer: object = None
    error: Exception | None = None


@dataclass(frozen=True, slots=True)
class _Gone:
    """A worker has ended, with what it raised."""

    error: BaseException | None


_Requests = SimpleQueue[_Request | _Gone]


class RemoteQueue:
    """A queue as a worker in another thread sees it: each call waits for the queue's own thread."""

    def __init__(self, requests: _Requests) -> None:
        """Ask by way of `requests`, where `serve` listens."""
        self._requests = requests
        self._replies: SimpleQueue[_Reply] = SimpleQueue()

    def take(self) -> OutgoingMessage | Pause | None:
        """See `MessageQueue.take`."""
        return self._ask(MessageQueue.take)

    def is_over(self) -> bool:
        """See `MessageQueue.is_over`."""
        return self._ask(MessageQueue.is_over)

    def note(self, outcomes: Sequence[Outcome], sending: Sequence[Key]) -> None:
        """See `MessageQueue.note`."""
        self._ask(lambda _: None, outcomes, sending)

    def end(self, error: Exception) -> None:
        """See `MessageQueue.end`."""
        self._ask(lambda queue: queue.end(error))

    def retire(self, messages: Sequence[OutgoingMessage]) -> bool:
        """See `MessageQueue.retire`."""
        return self._ask(lambda queue: queue.retire(messages))

    def _ask(
        self,
        act: Callable[[MessageQueue], T],
        outcomes: Sequence[Outcome] = (),
        sending: Sequence[Key] = (),
    ) -> T:
        self._requests.put(_Request(act, outcomes, sending, self._replies))
        reply = self._replies.get()
        if reply.error is not None:
            raise reply.error
        return cast("T", reply.answer)


def serve(queue: MessageQueue, workers: Sequence[Callable[[Queue], None]]) -> None:
    """Run each of `workers` in a thread until all have ended; raises the first fault of any.

    Messages that a worker gave back when the others were through go out in the calling thread.
    """
    requests: _Requests = SimpleQueue()
    for worker in workers:
        Thread(target=_run, args=(worker, requests), daemon=True).start()
    faults: list[BaseException] = []
    working = len(workers)
    while working:
        asked: list[_Request] = []
        for item in _waiting(requests):
            match item:
                case _Gone(error=error):
                    working -= 1
                    faults += [error] if error else []
                case _Request():
                    asked.append(item)
        _answer(queue, asked)
    if faults:
        raise faults[0]
    if queue.alone():
        workers[0](queue)


def _run(worker: Callable[[Queue], None], requests: _Requests) -> None:
    error: BaseException | None = None
    try:
        worker(RemoteQueue(requests))
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


def _answer(queue: MessageQueue, asked: Sequence[_Request]) -> None:
    outcomes = [outcome for request in asked for outcome in request.outcomes]
    sending = [key for request in asked for key in request.sending]
    try:
        if outcomes or sending:
            queue.note(outcomes, sending)
    except Exception as error:  # noqa: BLE001 - each waiting worker raises it, and so does `serve`
        queue.end(error)
        for request in asked:
            request.replies.put(_Reply(error=error))
        return
    for request in asked:
        try:
            request.replies.put(_Reply(request.act(queue)))
        except Exception as error:  # noqa: BLE001 - the worker that asked raises it
            request.replies.put(_Reply(error=error))
