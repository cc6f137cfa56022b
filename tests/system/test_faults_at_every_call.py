"""SIGKILL at every flush, and a full or failing disk at every write, of a small run."""

from __future__ import annotations

import csv
import shutil
import signal
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from itertools import count
from pathlib import Path

import pytest

from tests.peers.smtp_server import ScriptedServer
from tests.peers.strace import Injection
from tests.support import Answer
from tests.system.world import Ended, LedgerFacts, ProcessWorld, address_of, rows

ATTENDEES = 3
EVERYBODY = {address_of(number) for number in range(ATTENDEES)}

pytestmark = pytest.mark.peer("strace")


class Bench:
    """Runs one small `send` with a fault, and one without after it, and judges both."""

    def __init__(self, folder: Path, server: ScriptedServer, call: Callable[..., Answer]) -> None:
        """Make the world once; each run begins with the ledger as it was then."""
        self._world = ProcessWorld.ready(
            folder,
            roster=rows(ATTENDEES),
            sections=f'[smtp]\nhost = "127.0.0.1"\nport = {server.port}\nsecurity = "none"\n',
        )
        self._ledger = (folder / "invites.db").read_bytes()
        self._server = server
        self._call = call
        self.outcomes: Counter[str] = Counter()

    def sweep(self, to: str, faults: Iterable[Injection]) -> None:
        """Try these faults, until the run has no further such call."""
        for fault in faults:
            if not self._try(to, fault):
                return

    def once(self, to: str, fault: Injection) -> Ended:
        """Run a send with this fault, and return how it ended."""
        self._begin()
        log = self._world.folder / "strace.log"
        ended = self._world.run(*fault.command(log, *self._world.send("--to", to)))
        assert fault.struck(log), fault
        return ended

    def words(self) -> str:
        """Return how often the runs ended how."""
        return "; ".join(f"{number} x {how}" for how, number in sorted(self.outcomes.items()))

    def _try(self, to: str, fault: Injection) -> bool:
        self._begin()
        log = self._world.folder / "strace.log"
        first = self._world.run(*fault.command(log, *self._world.send("--to", to)))
        if not fault.struck(log):
            assert first.code == 0, f"{fault}: {first.err}"
            return False
        arrived, facts = self._arrived(to), self._world.facts()
        self.outcomes[f"exit {first.code}, {arrived.total()} {to}"] += 1
        _judge_the_fault(fault, first, to, arrived, facts)
        second = self._call(
            "send",
            self._world.folder / "roster.csv",
            *("--config", self._world.folder / "invites.toml", "--to", to),
        )
        assert second.code == 0, f"{fault}: {second.err}"
        self._judge_the_end(fault, to, facts)
        return True

    def _begin(self) -> None:
        folder = self._world.folder
        for left in folder.glob("invites.db*"):
            left.unlink()
        shutil.rmtree(folder / "outbox", ignore_errors=True)
        (folder / "invites.db").write_bytes(self._ledger)
        self._server.accepted.clear()

    def _arrived(self, to: str) -> Counter[str]:
        """Return how often each person's message is where it was to go."""
        if to == "smtp":
            return Counter(one.recipient for one in self._server.accepted)
        manifests = self._world.folder.glob("outbox/[!.]*/manifest.csv")
        return Counter(row["email"] for path in manifests for row in _rows(path))

    def _judge_the_end(self, fault: Injection, to: str, after_the_fault: LedgerFacts) -> None:
        arrived, facts = self._arrived(to), self._world.facts()
        assert set(arrived) == EVERYBODY, f"{fault}: lost {EVERYBODY - set(arrived)}"
        assert facts.standing == dict.fromkeys(EVERYBODY, "sent"), fault
        assert not facts.pending, fault
        repeated = {address for address, copies in arrived.items() if copies > 1}
        in_doubt = after_the_fault.on_the_way() if to == "smtp" else set()
        assert repeated <= in_doubt, f"{fault}: a second copy of what was in no doubt"
        assert arrived.total() <= ATTENDEES + 1, fault


def _rows(manifest: Path) -> Iterator[dict[str, str]]:
    with manifest.open(encoding="utf-8", newline="") as file:
        yield from csv.DictReader(file)


def _judge_the_fault(
    fault: Injection, ended: Ended, to: str, arrived: Counter[str], facts: LedgerFacts
) -> None:
    """Assert that the run stopped where it no longer could record, and said so in words."""
    assert "Traceback" not in ended.err, f"{fault}: {ended.err}"
    if fault.fault == "KILL":
        assert ended.code == -signal.SIGKILL, fault
    elif ended.code == 0:
        assert set(arrived) == EVERYBODY, f"{fault}: exit 0, but not all went out"
    else:
        assert ended.code == 1, f"{fault}: {ended.code} {ended.err}"
        assert ended.err.startswith("invites: "), f"{fault}: {ended.err}"
    recorded = {address for address, state in facts.standing.items() if state == "sent"}
    if to == "smtp":
        assert set(arrived) <= recorded | facts.on_the_way(), f"{fault}: out, and not recorded"
        assert len(facts.on_the_way()) <= 1, fault
    assert recorded <= set(arrived), f"{fault}: recorded, and not out"


@pytest.fixture
def bench(tmp_path: Path, invites: Callable[..., Answer]) -> Iterator[Bench]:
    """Give a bench whose mail goes to a server that takes everything."""
    with ScriptedServer() as server:
        yield Bench(tmp_path / "world", server, invites)


SWEEPS = (
    *(("smtp", "fdatasync", fault, 1) for fault in ("KILL", "EIO")),
    *(("smtp", "pwrite64", fault, 4) for fault in ("ENOSPC", "EIO")),
    *(("smtp", "write", fault, 1) for fault in ("ENOSPC", "EIO")),
    *(
        ("folder", call, fault, 1)
        for call in ("fdatasync", "fsync", "syncfs", "rename")
        for fault in ("KILL", "EIO")
    ),
    *(("folder", "pwrite64", fault, 4) for fault in ("ENOSPC", "EIO")),
    *(("folder", "write", fault, 1) for fault in ("ENOSPC", "EIO")),
)
"""Delivery, system call, fault, and in how many tests the sweep is cut, for two cores to share."""
PARTS = [(*sweep, part) for sweep in SWEEPS for part in range(sweep[3])]

SAMPLE = (
    ("smtp", "fdatasync", "KILL", (5, 8)),
    ("smtp", "pwrite64", "ENOSPC", (1, 45, 80)),
    ("smtp", "pwrite64", "EIO", (60,)),
    ("folder", "rename", "KILL", (1,)),
    ("folder", "fsync", "KILL", (2,)),
    ("folder", "write", "ENOSPC", (2,)),
)


def injections(call: str, fault: str, numbers: Iterable[int]) -> Iterator[Injection]:
    """Return the fault at each of these calls.

    A disk stays full, while an error comes once; write(2) also carries what the program says of it.
    """
    lasting = fault == "ENOSPC" and call != "write"
    return (Injection(call, fault, number, lasting=lasting) for number in numbers)


@pytest.mark.parametrize(
    ("to", "call", "fault", "numbers"), SAMPLE, ids=["-".join(each[:3]) for each in SAMPLE]
)
def test_a_fault_at_some_calls_loses_nothing(
    to: str, call: str, fault: str, numbers: tuple[int, ...], bench: Bench
) -> None:
    """A sample of the whole sweep: before the plan, in the middle, near the end."""
    bench.sweep(to, injections(call, fault, numbers))
    assert bench.outcomes.total() == len(numbers), "a fault did not strike"


def test_a_message_whose_outcome_could_not_be_recorded_is_told_apart(bench: Bench) -> None:
    """It was handed over: neither sent for certain nor untried.

    The tenth flush is that of the first outcome; those before are the run's, the plan's and the
    first message's.
    """
    ended = bench.once("smtp", Injection("fdatasync", "EIO", 10))
    assert ended.code == 1
    assert "0 of 3 messages sent" in ended.out
    assert "1 in doubt (handed over, outcome not recorded), 2 not tried" in ended.out


def test_a_batch_that_is_there_but_not_confirmed_is_not_said_to_be_gone(bench: Bench) -> None:
    """The folder's flush fails after the rename; the two before the batch's are the mark's."""
    ended = bench.once("folder", Injection("fsync", "EIO", 4))
    assert ended.code == 1
    assert "the batch is there" in ended.err


@pytest.mark.faults
@pytest.mark.parametrize(
    ("to", "call", "fault", "parts", "part"), PARTS, ids=["-".join(map(str, one)) for one in PARTS]
)
def test_a_fault_at_any_call_loses_nothing(
    to: str,
    call: str,
    fault: str,
    parts: int,
    part: int,
    bench: Bench,
    record_property: Callable[[str, object], None],
) -> None:
    """Every call of the run has its turn; the run after it finishes the work."""
    bench.sweep(to, injections(call, fault, count(1 + part, parts)))
    record_property("figures", f"{fault} at {call}, {part + 1} of {parts}: {bench.words()}")
    assert bench.outcomes, "no fault struck"
