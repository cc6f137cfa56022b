"""What signals ask of `schedule`: SIGTERM and SIGINT to stop, SIGHUP to read the settings again."""

from __future__ import annotations

import signal
import socket
import time
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any, Self

_LOOK_EVERY_SECONDS = 0.1


class Signals:
    """Takes signals down while the `with` block lasts; one thread, the main one, waits for them.

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
            self._before[number] = signal.signal(number, self._asks(self._to_stop))
        self._before[signal.SIGHUP] = signal.signal(signal.SIGHUP, self._asks(self._to_reload))
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

    def pause(self, span: Any) -> None:
        """Wait for `span` (a timedelta), or until a signal asks to stop."""
        until = time.monotonic() + span.total_seconds()
        while not self._stop and (left := until - time.monotonic()) > 0:
            time.sleep(min(left, _LOOK_EVERY_SECONDS))

    def _to_stop(self) -> None:
        self._stop = True

    def _to_reload(self) -> None:
        self._reload = True

    def _asks(self, note: Callable[[], None]) -> Callable[[int, FrameType | None], None]:
        def asked(_number: int, _frame: FrameType | None) -> None:
            note()

        return asked
