"""The high-water mark beside a SQLite ledger: what shows that an older copy was put back.

Each transaction raises the ledger's generation, and then the mark's.  So the ledger is never behind
its mark, unless it is an older copy, or the end of its log (`-wal`) is lost.
The mark also keeps the highest SEQUENCE and DTSTAMP that messages may have: what is sent after a
restore goes above them.
"""

from __future__ import annotations

import os
import re
import zlib
from dataclasses import dataclass, replace
from pathlib import Path

from invites.errors import LedgerError, StorageError
from invites.ledger.files import PRIVATE

_LINE = re.compile(rb"invites ledger ([0-9a-f]{32}) (\d{20}) (\d{10}) (\d{12}) ([0-9a-f]{8})\n")


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


def mark_path(ledger: Path) -> Path:
    """Return where the mark of the ledger at `ledger` is."""
    return ledger.with_name(ledger.name + ".mark")


def read_mark(ledger: Path) -> HighWaterMark | None:
    """Return the mark of the ledger at `ledger`, None where there is none.

    Raises LedgerError for one that is damaged.
    """
    path = mark_path(ledger)
    try:
        found = _LINE.fullmatch(path.read_bytes())
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StorageError(f"{path}: {error.strerror}; expected the ledger's mark") from None
    if found is not None:
        mark = HighWaterMark(
            ledger=found[1].decode(),
            generation=int(found[2]),
            sequence=int(found[3]),
            dtstamp=int(found[4]),
        )
        if mark.line() == found[0]:
            return mark
    raise LedgerError(
        f"{path}: found something else than the ledger's mark; {AFTER_RESTORE} writes a new one"
    )


AFTER_RESTORE = (
    "--after-restore (plan, send, run) goes on with this one: it sends above all that may have "
    "been used, and"
)


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
