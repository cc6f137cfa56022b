"""History as a JSON document and as tables: what was sent to whom, and how each run went.

The rows are the ledger's own values; their attributes are read here, so that a report needs no SQL.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Protocol

from invites.times import iso_z

if TYPE_CHECKING:
    from rich.table import Table

EXIT_WORDS: Final[Mapping[int, str]] = {
    0: "done",
    1: "failed",
    2: "wrong usage",
    3: "roster refused",
    4: "done in part",
    5: "settings",
    6: "a guard refused",
    75: "to be run again",
}


class Sent(Protocol):
    """A message of the past, as the ledger has it."""

    @property
    def at(self) -> datetime: ...  # noqa: D102 - the ledger says
    @property
    def meeting_id(self) -> str: ...  # noqa: D102
    @property
    def title(self) -> str: ...  # noqa: D102
    @property
    def address(self) -> str: ...  # noqa: D102
    @property
    def kind(self) -> str: ...  # noqa: D102
    @property
    def sequence(self) -> int: ...  # noqa: D102
    @property
    def state(self) -> str: ...  # noqa: D102
    @property
    def answer(self) -> str: ...  # noqa: D102


class Ran(Protocol):
    """A run of the past, as the ledger has it."""

    @property
    def id(self) -> str: ...  # noqa: D102
    @property
    def scope(self) -> str: ...  # noqa: D102
    @property
    def started(self) -> datetime: ...  # noqa: D102
    @property
    def took(self) -> timedelta | None: ...  # noqa: D102
    @property
    def exit_code(self) -> int | None: ...  # noqa: D102
    @property
    def counts(self) -> Mapping[str, int]: ...  # noqa: D102
    @property
    def roster_digest(self) -> str: ...  # noqa: D102
    @property
    def tz_version(self) -> str: ...  # noqa: D102


class Waits(Protocol):
    """A revision that is planned and not accepted yet, as the ledger has it."""

    @property
    def meeting_id(self) -> str: ...  # noqa: D102 - the ledger says
    @property
    def address(self) -> str: ...  # noqa: D102
    @property
    def kind(self) -> str: ...  # noqa: D102
    @property
    def sequence(self) -> int: ...  # noqa: D102
    @property
    def state(self) -> str: ...  # noqa: D102
    @property
    def attempts(self) -> int: ...  # noqa: D102
    @property
    def next_attempt(self) -> datetime | None: ...  # noqa: D102


def waiting_table(waiting: Sequence[Waits]) -> Table:
    """Return what is on its way, a row per message."""
    columns = ("to", "meeting", "what", "seq", "state", "attempts", "next attempt")
    table = _table("not accepted yet", columns)
    for one in waiting:
        table.add_row(
            *_cells(
                one.address,
                one.meeting_id,
                one.kind,
                str(one.sequence),
                str(one.state),
                str(one.attempts),
                "" if one.next_attempt is None else _when(one.next_attempt),
            )
        )
    return table


def message_table(messages: Sequence[Sent]) -> Table:
    """Return what was sent, a row per message; nothing in a cell is taken for markup."""
    table = _table("messages", ("when", "to", "meeting", "what", "seq", "outcome", "answer"))
    for one in messages:
        name = one.title or one.meeting_id
        table.add_row(
            *_cells(
                _when(one.at),
                one.address,
                name,
                one.kind,
                str(one.sequence),
                str(one.state),
                one.answer,
            )
        )
    return table


def run_table(runs: Sequence[Ran]) -> Table:
    """Return how runs went, a row per run."""
    table = _table("runs", ("run", "scope", "took", "outcome", "counts", "roster", "zone data"))
    for run in runs:
        counts = ", ".join(f"{number} {name}" for name, number in run.counts.items() if number)
        table.add_row(
            *_cells(
                run.id,
                run.scope,
                "" if run.took is None else f"{run.took.total_seconds():.1f} s",
                _outcome(run.exit_code),
                counts.replace("_", " "),
                run.roster_digest[:12],
                run.tz_version,
            )
        )
    return table


def document_of(rows: Iterable[Any]) -> list[dict[str, Any]]:
    """Return the ledger's values for `--json`: times in UTC, durations in seconds."""
    return [{name: _plain(value) for name, value in _fields(row).items()} for row in rows]


def _fields(row: Any) -> dict[str, Any]:
    if isinstance(row, tuple) and hasattr(row, "_asdict"):
        fields: dict[str, Any] = row._asdict()
        return fields
    names = row.__dataclass_fields__
    return {name: getattr(row, name) for name in names}


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return iso_z(value)
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, Mapping):
        return dict(value)
    return value


def _outcome(exit_code: int | None) -> str:
    if exit_code is None:
        return "cut short"
    return f"{EXIT_WORDS.get(exit_code, 'unknown')} ({exit_code})"


def _when(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%SZ")


def _table(title: str, columns: Sequence[str]) -> Table:
    from rich.table import Table  # noqa: PLC0415 - only where somebody looks

    table = Table(title=title, title_justify="left")
    for name in columns:
        table.add_column(name, overflow="fold")
    return table


def _cells(*values: str) -> list[Any]:
    from rich.text import Text  # noqa: PLC0415 - only where somebody looks

    return [
        Text("".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in value))
        for value in values
    ]
