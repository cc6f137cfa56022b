"""A progress bar on standard error, where that is a terminal and the work is long."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

LONG_WORK = 500
"""Fewer steps are done before a bar could be read."""


@contextmanager
def no_bar() -> Iterator[Callable[[], None]]:
    """Yield a step that shows nothing."""
    yield _nothing


def _nothing() -> None:
    return


@contextmanager
def bar(title: str, total: int) -> Iterator[Callable[[], None]]:
    """Yield a step that moves a bar of `total` steps; nothing to see without a terminal."""
    if total < LONG_WORK or not sys.stderr.isatty():
        yield _nothing
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
