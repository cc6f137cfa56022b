"""The high-water mark, which shows that an older copy of the ledger was put back, and what then.

Each transaction raises the ledger's generation, then the mark in the file beside a SQLite ledger;
each batch of the folder delivery has a copy of the mark.  So the ledger is never behind a mark of
its own, unless it is an older copy, or the end of its log (`-wal`) is lost.
The mark also keeps the highest SEQUENCE and DTSTAMP that messages may have, and with them their
Message-IDs: what is sent after a restore goes above them.
"""

from __future__ import annotations

import os
import re
import zlib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

from sqlalchemy import Connection, Table, delete, func, insert, select, update

from invites.errors import LedgerError, StorageError
from invites.ledger.files import PRIVATE
from invites.ledger.schema import invitations, meta, past_invitations
from invites.output.manifest import MARK

_LINE = re.compile(rb"invites ledger ([0-9a-f]{32}) (\d{20}) (\d{10}) (\d{12}) ([0-9a-f]{8})\n")

BEYOND = 100
"""How much a restore raises SEQUENCE above the highest known, for what no mark knows of."""

AFTER_RESTORE = (
    "--after-restore (plan, send, run) goes on with this one: it sends above all that may have "
    "been used, and"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class HighWaterMark:
    """How far the ledger with this id has come; `dtstamp` in seconds since 1970."""

    ledger: str
    generation: int
    sequence: int = 0
    dtstamp: int = 0

    def raised(self, *, sequence: int, dtstamp: int) -> HighWaterMark:
        """Return a mark that is not below these."""
        return replace(
            self,
            sequence=max(self.sequence, sequence),
            dtstamp=max(self.dtstamp, dtstamp),
        )

    def line(self) -> bytes:
        """Return the mark as its file has it; always as long, so that one write replaces it."""
        facts = f"{self.ledger} {self.generation:020} {self.sequence:010} {self.dtstamp:012}"
        return f"invites ledger {facts} {zlib.crc32(facts.encode()):08x}\n".encode()

    def value(self) -> str:
        """Return the mark as `meta` has it."""
        return f"{self.generation} {self.sequence} {self.dtstamp}"


def _from_line(line: bytes) -> HighWaterMark | None:
    """Return the mark that a file's octets are, None where they are something else."""
    found = _LINE.fullmatch(line)
    if found is None:
        return None
    generation, sequence, dtstamp = map(int, found.groups()[1:4])
    mark = HighWaterMark(
        ledger=found[1].decode(), generation=generation, sequence=sequence, dtstamp=dtstamp
    )
    return mark if mark.line() == line else None


def mark_path(ledger: Path) -> Path:
    """Return where the mark of the ledger at `ledger` is."""
    return ledger.with_name(ledger.name + ".mark")


def read_mark(ledger: Path) -> HighWaterMark | None:
    """Return the mark of the ledger at `ledger`, None where there is none.

    Raises LedgerError for one that is damaged.
    """
    path = mark_path(ledger)
    try:
        line = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StorageError(f"{path}: {error.strerror}; expected the ledger's mark") from None
    if not line:
        return None  # the disk was full when it was to be written for the first time
    mark = _from_line(line)
    if mark is None:
        raise LedgerError(
            f"{path}: found something else than the ledger's mark; {AFTER_RESTORE} writes a new one"
        )
    return mark


def delivered_marks(outbox: Path | None) -> Mapping[str, HighWaterMark]:
    """Return the marks of the batches in `outbox` by the batch's name.

    A batch is its mailer's by now: a mark that can't be read there says nothing.
    """
    found: dict[str, HighWaterMark] = {}
    with suppress(OSError):
        for path in () if outbox is None else outbox.glob(f"*/{MARK}"):
            with suppress(OSError):
                mark = None if path.is_symlink() else _from_line(path.read_bytes())
                if mark is not None:
                    found[path.parent.name] = mark
    return MappingProxyType(found)


def write_mark(ledger: Path, mark: HighWaterMark, *, durable: bool) -> None:
    """Write the mark; `durable` where messages may leave by it.

    Without, a power cut may leave an older one, which is never a false alarm.
    Raises StorageError where it can't be written.
    """
    path = mark_path(ledger)
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, PRIVATE)
        try:
            os.pwrite(handle, mark.line(), 0)
            os.ftruncate(handle, len(mark.line()))
            if durable:
                os.fsync(handle)
        finally:
            os.close(handle)
    except OSError as error:
        raise StorageError(
            f"{path}: {error.strerror}; expected to write the ledger's mark there; "
            "make room or mend it, then run again"
        ) from None


def mark_of(connection: Connection) -> HighWaterMark:
    """Return the mark that stands in the ledger itself."""
    facts = {row[0]: row[1] for row in connection.execute(select(meta.c.name, meta.c.value))}
    generation, sequence, dtstamp = map(int, facts["mark"].split())
    return HighWaterMark(
        ledger=facts["ledger_id"], generation=generation, sequence=sequence, dtstamp=dtstamp
    )


def keep_mark(connection: Connection, mark: HighWaterMark) -> None:
    """Let the ledger itself say how far it has come."""
    connection.execute(update(meta).where(meta.c.name == "mark").values(value=mark.value()))


def highest_used(connection: Connection, mark: HighWaterMark) -> HighWaterMark:
    """Return the mark raised to the highest SEQUENCE and DTSTAMP of all invitations."""
    for table in (invitations, past_invitations):
        highest = (table.c.standing_sequence, table.c.pending_sequence, table.c.latest_dtstamp)
        standing, pending, dtstamp = connection.execute(
            select(*(func.coalesce(func.max(column), 0) for column in highest))
        ).one()
        mark = mark.raised(sequence=max(standing, pending), dtstamp=dtstamp)
    return mark


def demand_newest(
    own: HighWaterMark,
    beside: HighWaterMark | None,
    delivered: Mapping[str, HighWaterMark],
    name: str,
) -> None:
    """Raise LedgerError where a mark knows the ledger as newer, or knows another one.

    A batch by another ledger says nothing: several may share an outbox.
    """
    if beside is not None and beside.ledger != own.ledger:
        raise LedgerError(
            f"{name}: found another ledger than the one whose mark is beside it; put that one back; "
            f"{AFTER_RESTORE} belongs where this one is meant"
        )
    if beside is not None and own.generation < beside.generation:
        raise LedgerError(
            f"{name}: found the ledger as it was {beside.generation - own.generation} changes ago: "
            "an older copy was put back, or the end of its log (-wal) is lost; expected the latest; "
            f"put that one back; {AFTER_RESTORE} belongs where there is none"
        )
    for batch, mark in sorted(delivered.items()):
        if mark.ledger == own.ledger and own.generation < mark.generation:
            raise LedgerError(
                f"{name}: found the ledger as it was before batch {batch} of the outbox was made: "
                "an older copy was put back; expected the latest; "
                f"put that one back; {AFTER_RESTORE} belongs where there is none"
            )


def above_all(
    connection: Connection,
    own: HighWaterMark,
    beside: HighWaterMark | None,
    delivered: Mapping[str, HighWaterMark] = MappingProxyType({}),
) -> HighWaterMark:
    """Return the mark of a ledger that goes on after a restore; nothing is changed.

    SEQUENCE and DTSTAMP are the highest that a mark or the ledger knows; where the mark beside is
    no newer, or lost, SEQUENCE goes BEYOND it, for nobody knows what was used.
    """
    known, newer = highest_used(connection, own), False
    if beside is not None:
        known = known.raised(sequence=beside.sequence, dtstamp=beside.dtstamp)
        newer = beside.ledger != own.ledger or beside.generation > own.generation
    generations = [own.generation]
    for mark in (beside, *delivered.values()):
        if mark is not None and mark.ledger == own.ledger:
            known = known.raised(sequence=mark.sequence, dtstamp=mark.dtstamp)
            generations.append(mark.generation)
    return replace(
        known,
        sequence=known.sequence + (0 if newer else BEYOND),
        generation=max(generations),
    )


def raise_to(connection: Connection, known: HighWaterMark) -> None:
    """Raise all that the next messages go above: SEQUENCE and DTSTAMP of every invitation."""
    for table in (invitations, past_invitations):
        _raise_rows(connection, table, known)
    connection.execute(delete(meta).where(meta.c.name == "sequence_floor"))
    connection.execute(insert(meta).values(name="sequence_floor", value=str(known.sequence)))
    keep_mark(connection, known)


def _raise_rows(connection: Connection, table: Table, mark: HighWaterMark) -> None:
    higher = func.max if connection.dialect.name == "sqlite" else func.greatest
    for kind, value in (
        (table.c.standing_kind, table.c.standing_sequence),
        (table.c.pending_kind, table.c.pending_sequence),
    ):
        connection.execute(
            update(table).where(kind.is_not(None)).values({value: higher(value, mark.sequence)})
        )
    connection.execute(
        update(table).values(latest_dtstamp=higher(table.c.latest_dtstamp, mark.dtstamp))
    )
