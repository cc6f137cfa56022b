"""Work spread over processes comes out as if it were done in one."""

from __future__ import annotations

import os
import signal
import time
from contextlib import closing
from pathlib import Path

import pytest

from invites.errors import MessageFaultError, RosterRefusedError, TryAgainError
from invites.output.workers import in_order
from invites.problems import Problem

TASKS = list(range(20))


def _squares(number: int) -> tuple[int, int]:
    time.sleep(0.002 * (number % 3))
    return number * number, os.getpid()


@pytest.mark.parametrize("jobs", [1, 2, 3, 50])
def test_results_come_in_the_order_of_the_tasks(jobs: int) -> None:
    """Whichever process is done first; no more processes are begun than there are tasks."""
    made = list(in_order(_squares, TASKS, jobs))
    assert [square for square, _ in made] == [number * number for number in TASKS]
    processes = {process for _, process in made}
    assert len(processes) == min(jobs, len(TASKS))
    assert (os.getpid() in processes) == (jobs == 1)


@pytest.mark.parametrize("jobs", [1, 3])
def test_the_first_task_that_fails_is_told(jobs: int) -> None:
    """With the facts of its error, whatever came of later ones."""

    def fails(number: int) -> int:
        if number == 4:
            raise MessageFaultError("recipient", "<id@example.com>", found="x", expected="y")
        if number == 5:
            raise OSError(28, "No space left on device")
        return number

    made = in_order(fails, TASKS, jobs)
    assert [next(made) for _ in range(4)] == TASKS[:4]
    with pytest.raises(MessageFaultError, match="recipient") as caught:
        next(made)
    assert str(caught.value) == str(
        MessageFaultError("recipient", "<id@example.com>", found="x", expected="y")
    )


def test_an_error_keeps_its_facts_on_the_way() -> None:
    """Attributes as well as its text."""
    problem = Problem(row=2, column="email", found="x", expected="an address")

    def fails(_: int) -> None:
        raise RosterRefusedError("r.csv", [problem], rows_read=7)

    with pytest.raises(RosterRefusedError) as caught:
        list(in_order(fails, TASKS, 2))
    assert (caught.value.problems, caught.value.rows_read) == ((problem,), 7)


def test_a_process_that_is_killed_is_told_in_words() -> None:
    """As a machine short of memory does; nobody waits for ever."""

    def dies(number: int) -> int:
        if number == 3:
            os.kill(os.getpid(), signal.SIGKILL)
        return number

    with pytest.raises(TryAgainError, match="--jobs 1"):
        list(in_order(dies, TASKS, 2))


def test_no_process_outlives_whoever_asked(tmp_path: Path) -> None:
    """Ended when the iterator is closed, and by themselves where the first one is killed."""
    with closing(in_order(_squares, TASKS * 1000, 2)) as made:
        ours = {next(made)[1] for _ in range(4)}
    assert not any(Path(f"/proc/{process}").exists() for process in ours)

    def tells(number: int) -> bytes:
        (tmp_path / str(os.getpid())).touch()
        return bytes(100_000)

    child = os.fork()
    if child == 0:
        for _ in in_order(tells, TASKS * 1000, 2):
            time.sleep(0.01)
    while len(list(tmp_path.iterdir())) < 2:
        time.sleep(0.01)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    for orphan in tmp_path.iterdir():
        while _runs(orphan.name):
            time.sleep(0.01)


def _runs(process: str) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(") ")[2][0] != "Z"
    except FileNotFoundError:
        return False
