"""What goes between a command and its terminal besides lines.

Tables, a progress bar, questions and a job's log; and what signals ask of it: to stop after the
message in hand, and `schedule` to reload.
"""

from __future__ import annotations

import logging
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from types import FrameType
from typing import TYPE_CHECKING, Any, NoReturn, Self, TextIO

from invites.problems import printable

if TYPE_CHECKING:
    from rich.table import Table

    from invites.cli.options import Call


LONG_WORK = 500
"""Fewer steps are done before a bar could be read."""

WIDTH_OF_PIPES = 160


def sits_at_terminal(call: Call) -> bool:
    """Tell whether somebody looks at standard output, and asked for more than what went wrong."""
    return not call.as_json and not call.quiet and sys.stdout.isatty()


def can_ask(call: Call) -> bool:
    """Tell whether somebody sits there who can be asked."""
    return sits_at_terminal(call) and sys.stdin.isatty()


def asked(question: str, *, hidden: bool = False) -> str:
    """Return what somebody answers, without blanks at its ends; "" for Enter and for no more input.

    What is `hidden` is not shown while it is typed.
    """
    from getpass import getpass

    try:
        return (getpass(printable(question)) if hidden else input(printable(question))).strip()
    except EOFError:
        print()
        return ""


def show(table: Table) -> None:
    """Print a table; what is piped somewhere has no width of its own."""
    from rich.console import Console

    Console(width=None if sys.stdout.isatty() else WIDTH_OF_PIPES).print(table)


@contextmanager
def bar(call: Call, title: str, total: int) -> Iterator[Callable[[], None]]:
    """Yield a step that moves a bar of `total` steps; nothing to see without a terminal."""
    if call.quiet or total < LONG_WORK or not sys.stderr.isatty():
        yield lambda: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as shown:
        task = shown.add_task(title, total=total)
        done = 0

        def advance() -> None:
            nonlocal done
            done += 1
            if done % 100 == 0 or done == total:
                shown.update(task, completed=done)

        yield advance


def log_of(call: Call, *, timezone: str = "UTC") -> Callable[[logging.LogRecord], None]:
    """Return what writes a job's log records; people read the times of this zone (IANA).

    Another call changes the zone of what was returned before.
    Warnings and errors go to stderr, all else to stdout (with `--json` to stderr); `-q` leaves the
    good news out, and records of level debug need `-v`.
    """
    from invites.report.notice import LOG

    LOG.handlers = [
        _handler(sys.stderr if call.as_json else sys.stdout, timezone, good=True),
        _handler(sys.stderr, timezone, good=False),
    ]
    LOG.propagate = False
    lowest = logging.DEBUG if call.verbose else logging.INFO
    LOG.setLevel(logging.WARNING if call.quiet else lowest)
    return lambda record: LOG.handle(record) if LOG.isEnabledFor(record.levelno) else None


class _Lines(logging.StreamHandler[TextIO]):
    """Writes lines; a stream that is closed or full ends the command, as with any other line."""

    def handleError(self, _record: logging.LogRecord) -> NoReturn:  # noqa: N802 - logging's name
        """Raise what `emit` met."""
        raise  # noqa: PLE0704 - logging calls this while it handles the exception


def _handler(stream: TextIO, timezone: str, *, good: bool) -> logging.Handler:
    from invites.report.notice import LogFormatter

    handler = _Lines(stream)
    handler.setFormatter(LogFormatter(timezone if stream.isatty() else None))
    handler.addFilter(lambda record: (record.levelno < logging.WARNING) is good)
    return handler


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

    def __exit__(self, *_: object) -> None:
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
