"""The program as a process in a world, and what its ledger holds."""

from __future__ import annotations

import os
import resource
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import Engine, create_engine, text

from invites.ledger import schema
from tests.support import COMMAND, ROOT
from tests.world import World

HEADER = "meeting_id,title,start,end,name,email\n"
PATIENCE = 60.0
"""Seconds after which a process of ours that is still there counts as hung."""


def address_of(number: int) -> str:
    """Return the address of the attendee with this number."""
    return f"attendee{number}@example.org"


def rows(count: int) -> str:
    """Return a roster of so many attendees, ten to a meeting."""
    lines = (
        f"meeting {number // 10},Meeting {number // 10},2031-03-01 09:00,2031-03-01 09:30,"
        f"Attendee {number},{address_of(number)}\n"
        for number in range(count)
    )
    return HEADER + "".join(lines)


@dataclass(kw_only=True)
class ProcessWorld(World):
    """A world in which the program is a process that can be killed and starved."""

    environ: Mapping[str, str] = field(default_factory=dict)
    largest_file: int = 0
    """Bytes past which the program's files can't grow; 0 for no limit."""

    @classmethod
    def ready(
        cls, folder: Path, *, roster: str, sections: str = "", ledger_url: str = ""
    ) -> ProcessWorld:
        """Write the files and make the ledger."""
        world = cls(folder=folder, sections=sections, url=ledger_url)
        world.write_settings()
        (folder / "roster.csv").write_text(roster, encoding="utf-8")
        world.make_ledger()
        return world

    def send(self, *arguments: str) -> tuple[str, ...]:
        """Return the command line of a `send` of the roster."""
        return (*COMMAND, "send", "roster.csv", *arguments)

    def start(self, *command: str) -> subprocess.Popen[str]:
        """Start the program in this folder, its output in pipes."""
        return subprocess.Popen(
            command,
            cwd=self.folder,
            env={**os.environ, "PYTHONPATH": str(ROOT), **self.environ},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=self._limit if self.largest_file else None,  # noqa: PLW1509 - no threads fork
        )

    def _limit(self) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (self.largest_file, self.largest_file))

    def run(self, *command: str) -> Ended:
        """Run a command in this folder to its end."""
        with self.start(*command) as process:
            out, err = process.communicate(timeout=PATIENCE)
            return Ended(process.returncode, out, err)

    def drop_tables(self) -> None:
        """Lose what a PostgreSQL ledger holds."""
        engine = create_engine(self.ledger_url)
        schema.metadata.drop_all(engine)
        engine.dispose()

    def facts(self) -> LedgerFacts:
        """Return what the ledger holds, without touching it."""
        if self.ledger_url.startswith("sqlite"):
            return _facts_of_a_copy(self.folder)
        return _facts(create_engine(self.ledger_url))


@dataclass(frozen=True)
class Ended:
    """How a process ended, and what it said."""

    code: int
    out: str
    err: str


@dataclass(frozen=True)
class LedgerFacts:
    """The state of each attendee's newest revision, by address; how many runs have no end."""

    pending: Mapping[str, str]
    standing: Mapping[str, str]
    unfinished: int

    def on_the_way(self) -> set[str]:
        """Return who has a message in `sending`."""
        return {address for address, state in self.pending.items() if state == "sending"}


def _facts_of_a_copy(folder: Path) -> LedgerFacts:
    """Read a copy: whoever closes the last connection would clear the log that a crash left."""
    copy = folder / "seen"
    copy.mkdir(exist_ok=True)
    for old in copy.iterdir():
        old.unlink()
    for suffix in ("", "-wal"):
        source = folder / f"invites.db{suffix}"
        if source.exists():
            (copy / source.name).write_bytes(source.read_bytes())
    return _facts(create_engine(f"sqlite:///{copy / 'invites.db'}"))


def _facts(engine: Engine) -> LedgerFacts:
    with engine.connect() as connection:
        entries = connection.execute(
            text("SELECT address, pending_state, standing_state FROM invitations")
        ).all()
        unfinished = connection.execute(text("SELECT count(*) FROM runs WHERE finished IS NULL"))
        count = int(unfinished.scalar_one())
    engine.dispose()
    return LedgerFacts(
        pending={address: state for address, state, _ in entries if state},
        standing={address: state for address, _, state in entries if state},
        unfinished=count,
    )
