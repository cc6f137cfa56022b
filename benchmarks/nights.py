"""Measures what a year of nights costs: an idle `run`, an unchanged `send`, `doctor`, `history`.

Run as part of `make bench`.  Each is measured with an empty history and with `--nights` of
`--messages` behind it, alternating, on tmpfs; what counts is the ratio.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from statistics import median

from sqlalchemy import Connection

from benchmarks.build import SETTINGS, run
from benchmarks.roster import write_roster
from invites.ledger import checksums, schema
from invites.ledger.database import sqlite_engine

SECRET = {"BENCH_SECRET": "0123456789abcdefghijklmnopqrstuvwxyz" * 2}
JOB = """\
[delivery]
folder = "outbox"
[[job]]
name = "nightly"
roster = "roster.csv"
at = "02:15"
"""
DAY = 86_400


class World:
    """A folder with settings, a roster and a ledger that has sent it."""

    def __init__(self, folder: Path, attendees: int) -> None:
        """Send the roster once, and let the job be seen."""
        self.folder = folder
        folder.mkdir()
        (folder / "invites.toml").write_text(SETTINGS + JOB)
        write_roster(folder / "roster.csv", attendees)
        self.cpu("send", "roster.csv", "--scope", "nightly", "--new-ledger")
        self.cpu("run")

    def command(self, *arguments: str) -> list[str]:
        """Return a command line for this world."""
        config = str(self.folder / "invites.toml")
        given = [str(self.folder / one) if one == "roster.csv" else one for one in arguments]
        return [sys.executable, "-m", "invites", *given, "--config", config]

    def cpu(self, *arguments: str) -> float:
        """Return the CPU seconds of a command."""
        return run(*self.command(*arguments), environment=SECRET).cpu

    def with_history(self, folder: Path, nights: int, *, over: bool) -> World:
        """Return a copy of this world with so many nights behind it, all messages of each new."""
        shutil.copytree(self.folder, folder)
        engine = sqlite_engine(folder / "invites.db", writes=True)
        with engine.connect() as connection:
            checksums.keep(connection)
            connection.commit()
            own = {
                table.name: connection.exec_driver_sql(
                    f"SELECT max(rowid) FROM {table.name}"  # noqa: S608 - names of ours
                ).scalar_one()
                for table in (schema.runs, schema.messages, schema.meetings, schema.shared_facts)
            }
            for night in range(1, nights + 1):
                _add_night(connection, night, own, over=over)
                connection.commit()
        engine.dispose()
        (folder / "invites.db.mark").unlink()
        copy = object.__new__(World)
        copy.folder = folder
        return copy


def _add_night(connection: Connection, night: int, own: Mapping[str, int], *, over: bool) -> None:
    """Add what a run sent so many nights ago: to meetings that are over, or the same ones again.

    It is made of the rows up to `own`, those of the first night.
    """
    ago, run_id = night * DAY, f"night-{night:04}"
    now = connection.exec_driver_sql("SELECT max(started) FROM runs").scalar_one()
    new = {
        schema.runs: {"id": "?", "started": "started - ?", "finished": "finished - ?"},
        schema.messages: {"run_id": "?", "at": "at - ?"},
    }
    if over:
        new |= {
            schema.meetings: {"id": "? || id", "last_end": f"{now} - ?"},
            schema.shared_facts: {"digest": "? || digest", "meeting_id": "? || meeting_id"},
            schema.past_invitations: {
                "meeting_id": "? || meeting_id",
                "standing_facts": "? || standing_facts",
            },
        }
        new[schema.messages] |= {"meeting_id": "? || meeting_id"}
    for table, changed in new.items():
        names = [column.name for column in table.c if column.name != "checksum"]
        values = [changed.get(name, name) for name in names]
        given = tuple(ago if "- ?" in value else run_id for value in values if "?" in value)
        source = "invitations" if table is schema.past_invitations else table.name
        connection.exec_driver_sql(
            f"INSERT INTO {table.name} ({', '.join(names)}) "  # noqa: S608 - names of ours
            f"SELECT {', '.join(values)} FROM {source}"
            + (f" WHERE rowid <= {own[source]}" if source in own else "")
            + (" LIMIT 1" if table is schema.runs else ""),
            given,
        )


def stream(world: World) -> tuple[float, float, float]:
    """Return seconds until `history --json` shows a message, until it ends, and its peak in MB."""
    began = time.monotonic()
    with subprocess.Popen(
        world.command("history", "--json"),
        stdout=subprocess.PIPE,
        env={**os.environ, **SECRET},
    ) as child:
        assert child.stdout is not None  # noqa: S101 - it is a pipe
        while b"message_id" not in child.stdout.readline():
            pass
        first = time.monotonic() - began
        for _ in child.stdout:
            pass
        _, _, usage = os.wait4(child.pid, 0)
        child.returncode = 0
    return first, time.monotonic() - began, usage.ru_maxrss / 1024


def main() -> None:
    """Print the table that stands in docs/performance.md."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nights", type=int, default=365)
    parser.add_argument("--messages", type=int, default=10_000, help="that each night sent")
    parser.add_argument("--repeat", type=int, default=3)
    given = parser.parse_args()
    parent = "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108 - tmpfs is the point
    with tempfile.TemporaryDirectory(dir=parent) as scratch:
        empty = World(Path(scratch) / "empty", given.messages)
        full = empty.with_history(Path(scratch) / "full", given.nights, over=True)
        report(empty, full, given.nights, given.messages, given.repeat)
        shutil.rmtree(full.folder)
        nights = -(-1_000_000 // given.messages)
        first, whole, peak = stream(empty.with_history(Path(scratch) / "long", nights, over=False))
    print(
        f"\n`history --json` of {nights * given.messages:,} messages: the first after {first:.2f} s, "
        f"all after {whole:.0f} s, {peak:.0f} MB at the most"
    )


def report(empty: World, full: World, nights: int, messages: int, repeat: int) -> None:
    """Measure, alternating so that a change of the machine's load meets both alike, and print."""
    print(f"{nights} nights of {messages:,} messages, CPU seconds, median of {repeat}\n")
    print("| | empty history | with it | ratio |\n|---|---:|---:|---:|")
    for name, arguments in {
        "idle `run`": ("run",),
        "unchanged `send`": ("send", "roster.csv", "--scope", "nightly"),
        "`doctor`": ("doctor",),
    }.items():
        pairs = [(empty.cpu(*arguments), full.cpu(*arguments)) for _ in range(repeat)]
        before, after = (median(pair[side] for pair in pairs) for side in (0, 1))
        print(f"| {name} | {before:.2f} | {after:.2f} | {after / before:.2f} |")


if __name__ == "__main__":
    main()
