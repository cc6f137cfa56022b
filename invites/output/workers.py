"""Spreads work over processes of this machine; what comes of it comes in order."""

from __future__ import annotations

import fcntl
import os
import pickle
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import Any, BinaryIO, NoReturn, TypeVar

from invites.errors import TryAgainError

Task = TypeVar("Task")
Result = TypeVar("Result")

_PIPE = 1 << 20
"""Octets that a worker may be ahead of whoever takes its results, where the system allows it."""


def cores() -> int:
    """Return how many processors this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def in_order(work: Callable[[Task], Result], tasks: Sequence[Task], jobs: int) -> Iterator[Result]:
    """Yield what `work` returns for each task, made by `jobs` processes, or here where that is 1.

    A process has all that this one has; what `work` changes there stays there.  Close the iterator
    to end them.  Raises what `work` raised for the first task that failed, and TryAgainError where
    a process was ended from outside.
    """
    if jobs < 2:
        yield from map(work, tasks)
        return
    workers: list[_Worker] = []
    try:
        for number in range(min(jobs, len(tasks))):
            workers.append(_Worker(work, tasks[number::jobs], beside=workers))
        for number in range(len(tasks)):
            yield workers[number % jobs].result()
    finally:
        for worker in workers:
            worker.end()


class _Worker:
    """A forked process that does its tasks one after the other."""

    def __init__(
        self, work: Callable[[Any], Any], tasks: Sequence[Any], *, beside: Sequence[_Worker]
    ) -> None:
        """Begin; `beside` are those that were begun before."""
        reading, writing = os.pipe()
        self._results: BinaryIO = os.fdopen(reading, "rb")
        self._process = os.fork()
        if not self._process:
            # Nobody reads on once the first process is gone: then writing ends this one as well.
            for each in (*beside, self):
                os.close(each._results.fileno())  # noqa: SLF001 - one of us
            _serve(work, tasks, writing)
        os.close(writing)

    def result(self) -> Any:
        """Return what comes of the next task, or raise what it raised."""
        try:
            result, error = pickle.load(self._results)  # noqa: S301 - our own process wrote it
        except (EOFError, pickle.UnpicklingError):
            raise TryAgainError(
                "a process of this build was ended from outside, perhaps for want of memory; "
                "run it again, with --jobs 1"
            ) from None
        if error is not None:
            raise error
        return result

    def end(self) -> None:
        """End the process, at once: what it was about is thrown away."""
        self._results.close()
        os.kill(self._process, signal.SIGKILL)
        os.waitpid(self._process, 0)


def _serve(work: Callable[[Any], Any], tasks: Sequence[Any], writing: int) -> NoReturn:
    """Do the tasks and write what comes of them; leave nothing to this process's own end."""
    # Signals are sent to all processes of a terminal: the first one acts on them, and ends these.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    with suppress(AttributeError, OSError):
        fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, _PIPE)
    with suppress(BaseException), os.fdopen(writing, "wb") as results:
        for task in tasks:
            try:
                result, error = work(task), None
            except Exception as raised:  # noqa: BLE001 - whatever it is, it is raised over there
                result, error = None, raised
            pickle.dump((result, error), results)
            results.flush()
            if error is not None:
                break
    os._exit(0)
