"""How fast a relay may be fed: limits such as `30/m, 10000/d`, counted over runs by the ledger."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Final

from invites.delivery.base import SentSince
from invites.settings.quantities import RateLimit

WAITED_FOR: Final = timedelta(hours=1)
"""The longest period whose limit is waited for; a day's limit ends the run."""


class Pace:
    """Says for each message how long to wait, so that no window of a limit's length holds too many.

    What earlier runs handed over within a period counts as if it had gone out just now: a little
    slow at a run's start, and never over the limit.
    """

    def __init__(
        self,
        limits: Sequence[RateLimit],
        *,
        sent_since: SentSince,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`clock` gives seconds that never go back."""
        self._clock = clock
        self._windows = [
            _Window(limit, already=sent_since(limit.period), at=clock()) for limit in limits
        ]

    def wait(self) -> float:
        """Return the seconds until the next message may start; 0 for now, infinite for not today."""
        now = self._clock()
        return max((window.wait(now) for window in self._windows), default=0.0)

    def count(self) -> None:
        """Count a message that starts now."""
        now = self._clock()
        for window in self._windows:
            window.starts.append(now)

    @property
    def spent(self) -> RateLimit | None:
        """The limit that is used up for longer than a run waits, if there is one."""
        now = self._clock()
        limits = (window.limit for window in self._windows if window.wait(now) == float("inf"))
        return next(limits, None)


class _Window:
    """The starts of the last `count` messages under one limit."""

    def __init__(self, limit: RateLimit, *, already: int, at: float) -> None:
        self.limit = limit
        self.starts: deque[float] = deque([at] * min(already, limit.count), maxlen=limit.count)

    def wait(self, now: float) -> float:
        if len(self.starts) < self.limit.count:
            return 0.0
        remaining = self.starts[0] + self.limit.period.total_seconds() - now
        if remaining > 0 and self.limit.period > WAITED_FOR:
            return float("inf")
        return max(remaining, 0.0)
