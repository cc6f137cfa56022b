"""The desk between the lines to a relay and the rest: hands out parcels, takes in outcomes."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from invites.delivery import Deferred, Journal, Key, Outcome, Parcel, Unknown
from invites.delivery.rate import Pace
from invites.delivery.smtp_session import check_octets
from invites.errors import TryAgainError

LOST_IN_A_ROW: Final = 5
"""Messages in a row without an answer after which the server counts as down."""


@dataclass(frozen=True, slots=True)
class Pause:
    """Nothing may start for so many seconds."""

    seconds: float


class Clerk(Protocol):
    """What a line needs of a desk or of the counter in front of it."""

    def take(self) -> Parcel | Pause | None:
        """Return the next parcel, how long to wait for it, or None where there is no more."""

    def is_over(self) -> bool:
        """Whether no further message is to be started."""

    def note(self, outcomes: Sequence[Outcome], sending: Sequence[Key]) -> None:
        """Make durable what happened and what may leave now."""

    def end(self, error: Exception) -> None:
        """Give out no more parcels; the first error is what the delivery raises."""

    def retire(self, parcels: Sequence[Parcel]) -> bool:
        """Take back parcels of a line that can't open; False where it is the last line."""


class Desk:
    """Parcels out in order, outcomes in; ends the run where the relay seems to be down."""

    def __init__(
        self,
        parcels: Iterable[Parcel],
        journal: Journal,
        *,
        stop: Callable[[], bool],
        pace: Pace,
        relay_name: str,
        lines: int = 1,
    ) -> None:
        """`lines` is how many of them take parcels."""
        self._parcels: Iterator[Parcel] = iter(parcels)
        self._next: deque[Parcel] = deque()
        self._journal = journal
        self._stop = stop
        self._pace = pace
        self._relay_name = relay_name
        self._lines = lines
        self._lost_in_a_row = 0
        self._journal_fault: Exception | None = None
        self.error: Exception | None = None

    def take(self) -> Parcel | Pause | None:
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

    def retire(self, parcels: Sequence[Parcel]) -> bool:
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
