"""What sending costs: the first run, a second one that has nothing to send, and the ledger's part.

    python benchmarks/send.py [--attendees 10000] [--messages 2000] [--ledger URL]

CPU is that of the whole `invites send` process, user and system; "start-up taken off" means less
that of the same run with a roster of one attendee, which loads and compiles the same.
The ledger's part is what `Journal.note` costs when each message is announced and noted by itself,
as SMTP on one connection does; `--ledger` measures another one (PostgreSQL) beside SQLite.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.roster import write_roster
from invites import ledger
from invites import settings as settings_package
from invites.delivery.base import Sent
from invites.ledger.runs import begin_run
from invites.ledger.write import Key, record_plan
from invites.roster.csv_file import read_table
from invites.roster.parse import parse_roster
from invites.sending import Renderer, SendOptions, planned, policy_from, run_start
from invites.sending.journal import LedgerJournal

NOW = "2030-12-01T00:00:00Z"
SETTINGS = """
[jitsi]
url = "https://meet.example.com"
app_id = "benchmark"
secret = "a benchmark's secret, of more than sixty-four bytes: 0123456789 abcdefghijklm"
[organizer]
name = "Meetings"
email = "meetings@example.com"
"""


@dataclass(frozen=True)
class Cost:
    """Seconds of CPU and of the clock on the wall."""

    cpu: float
    wall: float

    def __str__(self) -> str:
        """Return both."""
        return f"{self.cpu:7.2f} s CPU, {self.wall:7.2f} s"


def cost_of(folder: Path, *arguments: str) -> Cost:
    """Return what one call of `invites` costs."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    command = [sys.executable, "-m", "invites", *arguments, "--to", "folder", "--now", NOW, "-q"]
    environ = {**os.environ, "PYTHONPATH": str(Path.cwd())}
    subprocess.run(command, cwd=folder, env=environ, check=True)
    after, wall = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter() - began
    return Cost(
        after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime,
        wall,
    )


def measure_runs(folder: Path, attendees: int) -> None:
    """Print what the first and the second run cost."""
    write_roster(folder / "one.csv", 1)
    write_roster(folder / "roster.csv", attendees)
    first_of_one = cost_of(folder, "send", "one.csv", "--scope", "one", "--new-ledger")
    second_of_one = cost_of(folder, "send", "one.csv", "--scope", "one")
    (folder / "invites.db").unlink()
    first = cost_of(folder, "send", "roster.csv", "--new-ledger")
    second = cost_of(folder, "send", "roster.csv")
    print(f"one attendee, first run       {first_of_one}")
    print(f"one attendee, second run      {second_of_one}")
    print(f"{attendees:,} attendees, first    {first}")
    print(f"{attendees:,} attendees, second   {second}")
    work, again = first.cpu - first_of_one.cpu, second.cpu - second_of_one.cpu
    print(f"start-up taken off: {work / attendees * 1e6:.0f} µs CPU a message at first,")
    print(f"{again / attendees * 1e6:.0f} µs an attendee again: {again / work:.1%} of it")


def measure_ledger(folder: Path, messages: int, url: str) -> None:
    """Print what noting each message by itself costs in one ledger."""
    settings = settings_package.load(folder / "invites.toml", environ={})
    write_roster(folder / "noted.csv", messages)
    roster = parse_roster(read_table(folder / "noted.csv"), settings.roster_rules())
    renderer = Renderer.from_settings(settings)
    options = SendOptions(
        scope="noted", command="send", delivery="smtp", policy=policy_from(settings, to="smtp")
    )
    now = datetime.fromisoformat(NOW).astimezone(UTC)
    plan = planned(roster, renderer, None, options, now=now)
    ledger.create(url)
    with ledger.open_ledger(url, lock=True) as opened:
        run_id = begin_run(opened, run_start(options, "noted.csv", roster.digest), now=now)
        began = time.perf_counter()
        record_plan(opened, plan)
        planning = time.perf_counter() - began
        journal = LedgerJournal(opened, run_id, plan.actions, clock=lambda: now)
        keys = [Key.of(action) for action in plan.actions]
        for key in keys:
            journal.announced(key, f"<{key.address}@example.com>")
        began, cpu = time.perf_counter(), time.process_time()
        note_one_by_one(journal, keys)
        wall, cpu = time.perf_counter() - began, time.process_time() - cpu
    name = url.partition(":")[0]
    print(
        f"{name}: a durable note a message {wall / messages * 1e6:.0f} µs "
        f"({cpu / messages * 1e6:.0f} µs CPU); the plan written down "
        f"{planning / messages * 1e6:.0f} µs a message"
    )


def note_one_by_one(journal: LedgerJournal, keys: Sequence[Key]) -> None:
    """Announce each message together with the outcome of the one before, as SMTP does."""
    before: list[Sent] = []
    for key in keys:
        journal.note(outcomes=before, sending=[key])
        before = [Sent(key=key, answer="250 2.0.0 Ok: queued as 4F2B91C0D3")]
    journal.note(outcomes=before, sending=[])


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--attendees", type=int, default=10_000)
    parser.add_argument("--messages", type=int, default=2_000)
    parser.add_argument("--ledger", help="another ledger's url, empty: PostgreSQL")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=".") as name:
        folder = Path(name).absolute()
        config = folder / "invites.toml"
        config.touch(mode=0o600)
        config.write_text(SETTINGS)
        measure_runs(folder, given.attendees)
        measure_ledger(folder, given.messages, f"sqlite:///{folder / 'noted.db'}")
        if given.ledger:
            measure_ledger(folder, given.messages, given.ledger)


if __name__ == "__main__":
    main()
