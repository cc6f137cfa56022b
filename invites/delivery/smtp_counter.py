"""Several lines at once, each in its own thread, and one desk in the thread that called.

Parcels are composed and the journal is written in the calling thread alone.
What several lines note at the same time is committed together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from threading import Thread
from typing import TypeVar, cast

from invites.delivery import Key, Outcome, Parcel
from invites.delivery.smtp_desk import Clerk, Desk, Pause

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

    def take(self) -> Parcel | Pause | None:
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

    def retire(self, parcels: Sequence[Parcel]) -> bool:
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
