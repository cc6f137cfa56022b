"""What a delivery tells of its messages: counted, and written into the ledger."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime

from invites.delivery.base import Deferred, Failed, Outcome, Sent, Unknown
from invites.delivery.base import Key as DeliveryKey
from invites.due.attempts import NEVER, backoff, server_backoff
from invites.errors import InvitesError, RecordKeptError, ServerDownError
from invites.ledger import Ledger
from invites.ledger.note import Notes, Result, ServerDown, record_server
from invites.ledger.write import Key, record_plan
from invites.planning.actions import Action, Plan
from invites.planning.state import State
from invites.report.sending import Unsent
from invites.sending.options import NO_RUN


class Tally:
    """Counts what became of the messages and remembers what did not go out; records nothing."""

    run_id = NO_RUN

    def __init__(self, actions: Sequence[Action], *, clock: Callable[[], datetime]) -> None:
        """`actions` are those whose messages are delivered."""
        self.ended: Counter[State] = Counter()
        self.trouble: RecordKeptError | None = None
        self.composed = 0
        self._actions = {Key.of(action): action for action in actions}
        self._unsent: dict[Key, Result] = {}
        self._clock = clock

    def record_plan(self, plan: Plan) -> None:
        """Hear what is going to be done, before anything of it is."""

    def announced(self, key: Key, message_id: str) -> None:  # noqa: ARG002 - for those that record
        """Hear the Message-ID of a message that passed all checks and is about to be handed over."""
        self.composed += 1

    def note(self, *, outcomes: Sequence[Outcome], sending: Sequence[DeliveryKey]) -> None:  # noqa: ARG002 - the protocol's
        """See `delivery.Journal.note`; nothing is durable."""
        now = self._clock()
        self._count([self._result(outcome, now) for outcome in outcomes])

    def note_server(self, trouble: InvitesError | None, before: ServerDown | None) -> None:
        """Hear how the delivery ended, and whether the mail server was down before."""

    @contextmanager
    def in_order(self) -> Iterator[None]:
        """Keep as `trouble` that the ledger's mark could not be written; no message follows then.

        The record is durable: raised from a note, what is in hand would count as in doubt.
        """
        try:
            yield
        except RecordKeptError as error:
            self.trouble = self.trouble or error

    @property
    def unsent(self) -> tuple[Unsent, ...]:
        """What was tried and did not go out, or may not have."""
        return tuple(
            Unsent(
                action=self._actions[key],
                state=result.state,
                answer=result.answer,
                next_attempt=None if result.state is State.FAILED else result.next_attempt,
            )
            for key, result in self._unsent.items()
        )

    def _count(self, results: Sequence[Result]) -> None:
        self.ended.update(result.state for result in results)
        self._unsent.update(
            (result.key, result) for result in results if result.state is not State.SENT
        )

    def _result(self, outcome: Outcome, now: datetime) -> Result:
        key = outcome.key
        if not isinstance(key, Key):
            raise TypeError(f"a delivery handed back a key that is none of ours: {type(key)}")
        again = _next_attempt(outcome, self._actions[key], now)
        return Result(key=key, state=state_of(outcome), answer=outcome.answer, next_attempt=again)


class LedgerJournal(Tally):
    """What a delivery tells of its messages, written into the ledger."""

    def __init__(
        self,
        ledger: Ledger,
        run_id: str,
        actions: Sequence[Action],
        *,
        clock: Callable[[], datetime],
    ) -> None:
        """`actions` are the plan's; the run has begun."""
        super().__init__(actions, clock=clock)
        self.run_id = run_id
        self._ledger = ledger
        self._notes = Notes(ledger, run_id, self._actions)
        self._message_ids: dict[Key, str] = {}
        self._on_their_way: set[Key] = set()

    def record_plan(self, plan: Plan) -> None:
        """Write down all that is going to be done; StorageError where the disk is full."""
        record_plan(self._ledger, plan)

    def announced(self, key: Key, message_id: str) -> None:
        """Remember the Message-ID of a message that is about to be handed over."""
        super().announced(key, message_id)
        self._message_ids[key] = message_id

    def note(self, *, outcomes: Sequence[Outcome], sending: Sequence[DeliveryKey]) -> None:
        """See `delivery.Journal.note`."""
        now = self._clock()
        results = [self._result(outcome, now) for outcome in outcomes]
        keys = [key for key in sending if isinstance(key, Key)]
        with self.in_order():
            self._notes.note(
                results=results, sending={key: self._message_ids[key] for key in keys}, now=now
            )
        # Counted after the note: what could not be written down stays among those on their way.
        self._count(results)
        self._on_their_way.difference_update(result.key for result in results)
        self._on_their_way.update(keys)
        self._count_those_on_their_way()

    def note_server(self, trouble: InvitesError | None, before: ServerDown | None) -> None:
        """Write down whether the mail server is down now; `before` is what the ledger knew.

        What was lost one after the other was lost to the server: none of it waits by itself.
        """
        now = self._clock()
        if isinstance(trouble, ServerDownError):
            lost = [key for key in trouble.lost if isinstance(key, Key)]
            # One that was accepted shows that the server was up: the count begins anew.
            answered = self.ended[State.SENT] > 0
            times = 1 if before is None or answered else before.times + 1
            # Where no connection came about, trying again costs nobody a copy: no wait.
            unanswered = any(self._unsent[key].state is State.UNKNOWN for key in lost)
            again = now + server_backoff(times, unanswered=unanswered) if lost else now
            record_server(self._ledger, ServerDown(times=times, again=again), lost=lost, now=now)
            for key in lost:
                # One without an answer keeps its own wait: it may have arrived.
                if self._unsent[key].state is State.DEFERRED:
                    self._unsent[key] = replace(self._unsent[key], next_attempt=now)
        elif before is not None and self.ended:
            record_server(self._ledger, None, now=now)

    def _count_those_on_their_way(self) -> None:
        """Count what may have left and has no outcome: for good where the ledger fails now."""
        if self._on_their_way:
            self.ended[State.SENDING] = len(self._on_their_way)
        else:
            self.ended.pop(State.SENDING, None)


def state_of(outcome: Outcome) -> State:
    """Return what the ledger calls this outcome."""
    match outcome:
        case Sent():
            return State.SENT
        case Deferred():
            return State.DEFERRED
        case Failed():
            return State.FAILED
        case Unknown():
            return State.UNKNOWN


def _next_attempt(outcome: Outcome, action: Action, now: datetime) -> datetime | None:
    """Return when a message may be tried again at the earliest; None where nothing waits."""
    match outcome:
        case Deferred():
            return now + backoff(action.attempts)
        case Unknown():
            return now + backoff(action.copies)  # each try may be one more copy for somebody
        case Failed(bad_address=True):
            return datetime.fromtimestamp(NEVER, UTC)  # until the row changes, or `--resend`
        case Sent() | Failed():
            return None
