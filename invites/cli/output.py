"""What a command shows besides its lines: tables and a progress bar on a terminal, a job's log."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, NoReturn, TextIO

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
