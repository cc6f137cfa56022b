"""The ledger's tables, the same for SQLite and PostgreSQL; times are seconds since 1970.

Facts only: no column holds a token, a link or a secret.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    TypeDecorator,
    text,
)

from invites.errors import StorageError

SCHEMA_VERSION = 5
"""Raised by one with each migration (`ledger.migrations`)."""


def refuse_unkept(value: str) -> None:
    """Raise StorageError for text that one of the databases can't keep."""
    if "\0" in value:
        raise StorageError(
            "the ledger was given text with a NUL character, expected text without; "
            "nothing was written"
        )


class Plain(TypeDecorator[str]):
    """Text that both databases keep as it is: the one validator before either.

    PostgreSQL refuses NUL, SQLite would keep it; neither keeps a lone surrogate.
    """

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Any) -> str | None:  # noqa: ARG002 - SQLAlchemy's signature
        """Return `value`; raises StorageError for text that one of the databases can't keep."""
        if value is not None:
            refuse_unkept(value)
        return value


metadata = MetaData()


def _checksum() -> Column[int]:
    """Return the column that only `ledger.checksums` writes and reads."""
    return Column("checksum", BigInteger)


meta = Table(
    "meta",
    metadata,
    Column("name", Plain, primary_key=True),
    Column("value", Plain, nullable=False),
    _checksum(),
)
"""Single facts of the ledger itself: schema_version, forget_key, last_run, tz_version, ledger_id,
mark and sequence_floor (`ledger.mark`), and since when another run's lock holds a job up."""

meetings = Table(
    "meetings",
    metadata,
    Column("id", Plain, primary_key=True),
    Column("scope", Plain, nullable=False),
    Column("uid", Plain, nullable=False),
    Column("last_end", BigInteger, nullable=False),
    Column("missing_times", Integer, nullable=False, server_default=text("0")),
    Column("missing_at", BigInteger),
    Column("missing_due", BigInteger),
    Column("stood", Integer, nullable=False, server_default=text("0")),
    _checksum(),
    Index("meetings_by_scope", "scope", "last_end", "stood"),
    Index("meetings_by_end", "last_end"),
)
"""A meeting belongs to one scope and keeps its UID; `last_end` is the latest end it ever had, and
`stood`, once its invitations are past, how many of them stood until then."""

shared_facts = Table(
    "shared_facts",
    metadata,
    Column("digest", Plain, primary_key=True),
    Column("facts", Plain, nullable=False),
    Column("meeting_id", Plain, nullable=False, server_default=text("''")),
    _checksum(),
    Index("shared_facts_by_meeting", "meeting_id"),
)
"""The facts that attendees of a meeting share, kept once."""


def _revision(prefix: str) -> list[Column[Any]]:
    return [
        Column(f"{prefix}_kind", Plain),
        Column(f"{prefix}_sequence", Integer, nullable=False, server_default=text("0")),
        Column(f"{prefix}_dtstamp", BigInteger, nullable=False, server_default=text("0")),
        Column(f"{prefix}_state", Plain),
        Column(f"{prefix}_digest", Plain),
        Column(f"{prefix}_facts", Plain),
        Column(f"{prefix}_attendee", Plain),
        Column(f"{prefix}_changes", Plain),
        Column(f"{prefix}_start", BigInteger, nullable=False, server_default=text("0")),
        Column(f"{prefix}_end", BigInteger, nullable=False, server_default=text("0")),
        Column(f"{prefix}_date", BigInteger),
    ]


def _invitation() -> list[Column[Any]]:
    return [
        Column("meeting_id", Plain, ForeignKey("meetings.id"), primary_key=True),
        Column("address", Plain, primary_key=True),
        *_revision("standing"),
        *_revision("pending"),
        Column("pending_message_id", Plain),
        Column("attempts", Integer, nullable=False, server_default=text("0")),
        Column("next_attempt", BigInteger, nullable=False, server_default=text("0")),
        Column("latest_dtstamp", BigInteger, nullable=False, server_default=text("0")),
        Column("first_message_id", Plain),
        Column("missing_times", Integer, nullable=False, server_default=text("0")),
        Column("missing_at", BigInteger),
        Column("missing_due", BigInteger),
        Column("sent_at", BigInteger),
        Column("copies", Integer, nullable=False, server_default=text("0")),
        _checksum(),
    ]


invitations = Table(
    "invitations", metadata, *_invitation(), Index("invitations_by_address", "address")
)
"""What each attendee has (`standing_*`) and what is on its way (`pending_*`), see `planning.state`.

Here are the live ones, so that a wake-up costs what they cost and not what the years do."""

past_invitations = Table(
    "past_invitations", metadata, *_invitation(), Index("past_invitations_by_address", "address")
)
"""Those of meetings that were over when a run ended; all rows of a meeting are here, or there."""

NOT_AT_REST = text("(pending_kind IS NOT NULL OR standing_state = 'unknown')")
"""What is on its way, or was sent without an answer; the words of the index, which a statement must
repeat for SQLite to see that it fits."""

Index(
    "invitations_not_at_rest",
    invitations.c.meeting_id,
    invitations.c.address,
    sqlite_where=NOT_AT_REST,
    postgresql_where=NOT_AT_REST,
)

runs = Table(
    "runs",
    metadata,
    Column("id", Plain, primary_key=True),
    Column("scope", Plain, nullable=False),
    Column("command", Plain, nullable=False),
    Column("delivery", Plain, nullable=False),
    Column("source", Plain, nullable=False),
    Column("roster_digest", Plain, nullable=False),
    Column("tz_version", Plain, nullable=False),
    Column("due", BigInteger),
    Column("started", BigInteger, nullable=False),
    Column("finished", BigInteger),
    Column("milliseconds", BigInteger),
    Column("exit_code", Integer),
    Column("counts", Plain),
    _checksum(),
    Index("runs_by_scope", "scope", "started"),
    Index("runs_by_start", "started"),
)

messages = Table(
    "messages",
    metadata,
    Column("run_id", Plain, ForeignKey("runs.id"), primary_key=True),
    Column("meeting_id", Plain, primary_key=True),
    Column("address", Plain, primary_key=True),
    Column("kind", Plain, primary_key=True),
    Column("sequence", Integer, nullable=False),
    Column("dtstamp", BigInteger, nullable=False),
    Column("message_id", Plain),
    Column("state", Plain, nullable=False),
    Column("answer", Plain),
    Column("date", BigInteger),
    Column("at", BigInteger, nullable=False),
    Index("messages_by_address", "address"),
    Index("messages_by_meeting", "meeting_id"),
    Index("messages_by_time", "at"),
)
"""What became of each message of each run; `answer` is the server's."""

forgotten = Table(
    "forgotten",
    metadata,
    Column("hash", Plain, primary_key=True),
    Column("sequence", Integer, nullable=False),
    Column("until", BigInteger, nullable=False),
    _checksum(),
)
"""The highest SEQUENCE that a forgotten person has, under a keyed hash of UID and address."""

jobs = Table(
    "jobs",
    metadata,
    Column("name", Plain, primary_key=True),
    Column("state", Plain, nullable=False),
    _checksum(),
)
"""Each job's watermark and open due time, as JSON."""

reminders = Table(
    "reminders",
    metadata,
    Column("uid", Plain, primary_key=True),
    Column("address", Plain, primary_key=True),
    Column("start", BigInteger, primary_key=True),
    Column("lead", BigInteger, primary_key=True),
    Column("state", Plain, nullable=False),
    Column("at", BigInteger, nullable=False),
    _checksum(),
    Index("reminders_by_start", "start"),
)
"""Reminders that were, or may have been, sent; `lead` in seconds."""

NIGHTLY_TABLES = (jobs, reminders)
"""The tables that came with schema version 1."""
