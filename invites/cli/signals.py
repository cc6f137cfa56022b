"""What signals ask of a command: to stop after the message in hand, and `schedule` to reload."""

from __future__ import annotations

import signal
import socket
import time
from collections.abc import Callable
from datetime import timedelta
from types import FrameType, TracebackType
from typing import Any, Self

STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""The signals that stop a command; typer would make 130 of Python's own KeyboardInterrupt."""

_LOOK_EVERY_SECONDS = 0.1
_Handler = Callable[[int, FrameType | None], Any] | int | signal.Handlers | None


def _pause(span: timedelta, asked: Callable[[], bool]) -> None:
    """Wait for `span`, or until a signal asks to stop."""
    until = time.monotonic() + span.total_seconds()
    while not asked() and (left := until - time.monotonic()) > 0:
        time.sleep(min(left, _LOOK_EVERY_SECONDS))


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
        _pause(span, self)

    def _once(self, before: _Handler) -> _Handler:
        def asked(number: int, _frame: FrameType | None) -> None:
            self._asked = True
            signal.signal(number, before)

        return asked


class Signals:
    """What signals ask of `schedule`: SIGTERM and SIGINT to stop, SIGHUP to read the settings again.

    They are taken down while the `with` block lasts; one thread, the main one, waits for them.
    Handlers only set a flag: to take a lock in them could wait for the very thread that they
    interrupted.  What wakes the waiting is the byte that Python writes for each signal.
    """

    def __init__(self) -> None:
        """Nothing was asked yet."""
        self._stop = self._reload = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        """From now on signals ask instead of ending the process."""
        self._ear, self._mouth = socket.socketpair()
        self._mouth.setblocking(False)
        signal.set_wakeup_fd(self._mouth.fileno(), warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT):
            self._before[number] = signal.signal(number, self._to_stop)
        self._before[signal.SIGHUP] = signal.signal(signal.SIGHUP, self._to_reload)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Put back what was there before."""
        for number, handler in self._before.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(-1)
        self._ear.close()
        self._mouth.close()

    def stop(self) -> bool:
        """See `jobs.schedule.Calls`."""
        return self._stop

    def reload(self) -> bool:
        """See `jobs.schedule.Calls`."""
        asked, self._reload = self._reload, False
        return asked

    def wait(self) -> None:
        """See `jobs.schedule.Calls`."""
        self._ear.recv(4096)

    def pause(self, span: timedelta) -> None:
        """Wait for `span`, or until a signal asks to stop."""
        _pause(span, self.stop)

    def _to_stop(self, _number: int, _frame: FrameType | None) -> None:
        self._stop = True

    def _to_reload(self, _number: int, _frame: FrameType | None) -> None:
        self._reload = True
