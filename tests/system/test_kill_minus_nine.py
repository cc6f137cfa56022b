"""kill -9 at random points of real sends: nothing is lost, and nothing repeated beyond what is said."""

from __future__ import annotations

import random
import signal
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.peers.counting_sink import CountingSink, Stage
from tests.peers.postgresql import PostgreSQL
from tests.system.world import PATIENCE, ProcessWorld, address_of, rows

ATTENDEES = 160
"""To one ledger; it is used up after some 30 kills."""
LATEST_KILL = 0.02
"""Seconds after an accepted message within which the kill falls: two messages' time."""


@dataclass
class Tally:
    """What came of one ledger after another."""

    kills: int = 0
    before_data: int = 0
    between_data_and_commit: int = 0
    after: int = 0
    second_copies: int = 0
    lost: int = 0
    messages: int = 0
    too_early_or_late: int = 0
    unknown: int = 0
    seconds: float = 0.0

    def words(self) -> str:
        """Return the figures as a line for the note."""
        return (
            f"{self.messages} messages, {self.kills} kills "
            f"({self.before_data} before DATA, {self.between_data_and_commit} between DATA and the "
            f"commit, {self.after} after; {self.too_early_or_late} not counted), "
            f"{self.second_copies} second copies, {self.lost} lost, {self.unknown} unknown, "
            f"{self.seconds:.0f} s"
        )


@dataclass
class Campaign:
    """One ledger and one sink: runs are killed until enough were, then one goes through."""

    world: ProcessWorld
    sink: CountingSink
    chance: random.Random
    tally: Tally
    ambiguous: set[str] = field(default_factory=set)

    def wage(self, kills: int) -> None:
        """Kill so many runs, or as many as there is something left to send for."""
        last = self.tally.kills + kills
        while self.tally.kills < last and self._one_run():
            pass
        self._run_to_the_end()

    def _one_run(self) -> bool:
        """Start a run and kill it; false where it was through before."""
        self.sink.begin()
        self.sink.pipelining = self.chance.random() < 0.5
        with self.world.start(*self.world.send("--to", "smtp", "-q")) as process:
            self.sink.wait_for(
                self.chance.randint(1, 4),
                seconds=PATIENCE,
                unless=lambda: process.poll() is not None,
            )
            time.sleep(self.chance.uniform(0, LATEST_KILL))
            process.kill()
            _, err = process.communicate(timeout=PATIENCE)
        assert process.returncode in {-signal.SIGKILL, 0, 4}, err
        if process.returncode == -signal.SIGKILL:
            self._judge_the_kill()
        return process.returncode == -signal.SIGKILL

    def _judge_the_kill(self) -> None:
        facts = self.world.facts()
        stage, on_the_way = self.sink.stage, facts.on_the_way()
        assert len(on_the_way) <= 1, "more than one message in doubt on one connection"
        if not self.sink.accepted_in_this_run or not facts.unfinished:
            self.tally.too_early_or_late += 1
            return
        self.tally.kills += 1
        if on_the_way:
            self.ambiguous |= on_the_way
            self.tally.between_data_and_commit += 1
        elif stage is Stage.ENVELOPE:
            self.tally.before_data += 1
        else:
            self.tally.after += 1

    def _run_to_the_end(self) -> None:
        self.sink.begin()
        ended = self.world.run(*self.world.send("--to", "smtp", "-q"))
        assert ended.code in {0, 4}, ended.err
        assert not self.world.facts().on_the_way()
        self._judge_what_arrived()
        assert self._sends_nothing_more()

    def _judge_what_arrived(self) -> None:
        everybody = {address_of(number) for number in range(ATTENDEES)}
        ids: dict[str, set[str]] = {}
        for mail in self.sink.accepted:
            ids.setdefault(mail.recipient, set()).add(mail.message_id)
        assert all(len(one) == 1 for one in ids.values()), "a copy with another Message-ID"
        copies = Counter(mail.recipient for mail in self.sink.accepted)
        repeated = {address for address, count in copies.items() if count > 1}
        assert repeated <= self.ambiguous, "a second copy of what was in no doubt"
        listed = self._listed_as_unknown()
        assert listed <= self.ambiguous
        unsent = everybody - set(ids)
        self.tally.lost += len(unsent - listed)
        self.tally.unknown += len(listed)
        self.tally.second_copies += copies.total() - len(copies)
        self.tally.messages += len(everybody)

    def _listed_as_unknown(self) -> set[str]:
        standing = self.world.facts().standing
        return {address for address, state in standing.items() if state == "unknown"}

    def _sends_nothing_more(self) -> bool:
        self.sink.begin()
        self.world.run(*self.world.send("--to", "smtp", "-q"))
        return self.sink.accepted_in_this_run == 0


Wage = Callable[[str, str, int, int], Tally]


@pytest.fixture
def wage(
    tmp_path: Path,
    request: pytest.FixtureRequest,
    record_property: Callable[[str, object], None],
) -> Wage:
    """Give a function that kills so many runs, so many to a ledger, and tells what came of it."""

    def whole(backend: str, on_unknown: str, kills: int, per_ledger: int) -> Tally:
        tally, began, number = Tally(), time.monotonic(), 0
        while tally.kills < kills:
            number += 1
            url = ""
            if backend == "postgresql":
                server: PostgreSQL = request.getfixturevalue("postgresql")
                url = server.url()
            with CountingSink(seed=number) as sink:
                settings = (
                    f'[delivery]\non_unknown = "{on_unknown}"\n'
                    f'[smtp]\nhost = "127.0.0.1"\nport = {sink.port}\nsecurity = "none"\n'
                )
                world = ProcessWorld.ready(
                    tmp_path / str(number),
                    roster=rows(ATTENDEES),
                    sections=settings,
                    ledger_url=url,
                )
                chance = random.Random(number)  # noqa: S311 - not for secrets
                Campaign(world, sink, chance, tally).wage(min(per_ledger, kills - tally.kills))
        tally.seconds = time.monotonic() - began
        record_property("figures", f"kill -9, {backend}, {on_unknown}: {tally.words()}")
        return tally

    return whole


def judge(tally: Tally, on_unknown: str, kills: int) -> None:
    """Assert what reliability.md promises, and that the kills fell where they matter."""
    assert tally.kills >= kills
    assert tally.lost == 0, tally.words()
    assert tally.between_data_and_commit >= tally.kills // 10, tally.words()
    if on_unknown == "hold":
        assert tally.second_copies == 0, tally.words()
        assert tally.unknown == tally.between_data_and_commit, tally.words()
    else:
        assert tally.second_copies <= tally.between_data_and_commit, tally.words()
        assert tally.unknown == 0, tally.words()


ARMS = (
    pytest.param("sqlite", "resend", id="SQLite-resend"),
    pytest.param("sqlite", "hold", id="SQLite-hold"),
    pytest.param(
        "postgresql", "resend", id="PostgreSQL-resend", marks=pytest.mark.peer("postgresql")
    ),
)


@pytest.mark.parametrize(("backend", "on_unknown"), ARMS)
def test_a_dozen_kills_lose_nothing_and_repeat_only_what_was_in_doubt(
    backend: str, on_unknown: str, wage: Wage
) -> None:
    """The short form of the proof."""
    judge(wage(backend, on_unknown, 12, 12), on_unknown, 12)


@pytest.mark.faults
@pytest.mark.parametrize(("backend", "on_unknown"), ARMS)
def test_two_hundred_kills_lose_nothing_and_repeat_only_what_was_in_doubt(
    backend: str, on_unknown: str, wage: Wage
) -> None:
    """The whole proof: at least 200 kills that count."""
    judge(wage(backend, on_unknown, 200, 25), on_unknown, 200)
