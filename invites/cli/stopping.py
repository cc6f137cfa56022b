"""How a signal stops a delivery: the message in hand is finished, and then the run ends."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from types import FrameType

STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""The signals that stop a command; typer would make 130 of Python's own KeyboardInterrupt."""

_LOOK_EVERY_SECONDS = 0.1
_Handler = Callable[[int, "FrameType | None"], Any] | int | signal.Handlers | None


class Stop:
    """Asks a delivery to stop once a signal has come; the second signal ends it where it is."""

    def __init__(self) -> None:
        """Nothing has asked yet, and signals still do what they did."""
        self._asked = self._armed = False

    def __call__(self) -> bool:
        """Tell whether to stop."""
        return self._asked

    def arm(self) -> None:
        """From now on the first signal asks to stop; until then it ended the command at once."""
        if self._armed:
            return
        self._armed = True
        for number in STOPPING:
            before = signal.getsignal(number)
            if before is not signal.SIG_IGN:
                signal.signal(number, self._once(before))

    def pause(self, span: timedelta) -> None:
        """Wait for `span`, or until a signal asks to stop."""
        until = time.monotonic() + span.total_seconds()
        while not self._asked and (left := until - time.monotonic()) > 0:
            time.sleep(min(left, _LOOK_EVERY_SECONDS))

    def _once(self, before: _Handler) -> _Handler:
        def asked(number: int, _frame: FrameType | None) -> None:
            self._asked = True
            signal.signal(number, before)

        return asked
